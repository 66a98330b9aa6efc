//! Runs that other runs have started: what one transaction does to both, and which of them a list shows.

use milepost_core::ids::RunId;

use crate::{Expect, NewSignal, StoreError, Write};

/// What a write does beside its own run, in the same transaction.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Kin {
    /// The run that has started this one; set when the run is created, ignored later.
    pub parent: Option<RunId>,
    /// The run that this one is a fork of; set when the run is created, ignored later.
    pub forked_from: Option<RunId>,
    /// Runs that come into being with the write, unless there is one of that id already.
    pub children: Vec<Write>,
    /// Signals for this or other runs: each is kept if its run is there and not over, and none of that name waits for it already,
    /// whether or not there is room in its inbox.
    pub tells: Vec<(RunId, NewSignal)>,
}

impl Kin {
    /// Whether it makes something for somebody to look at.
    pub(crate) fn is_news(&self) -> bool {
        !self.children.is_empty() || !self.tells.is_empty()
    }

    /// For stores: whether the children can be created.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when one of them is no creation, or its entries are not numbered from 1.
    pub fn check(&self) -> Result<(), StoreError> {
        for child in &self.children {
            if child.expect != Expect::Absent || child.kin.is_news() {
                return Err(StoreError::corrupt(format!(
                    "run `{}`: only a new run comes into being with the write of another one",
                    child.run
                )));
            }
            child.seq_after()?;
        }
        Ok(())
    }
}

/// Which runs a list shows, by who has started them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Family {
    /// All.
    #[default]
    All,
    /// Those that no other run of the store has started.
    Roots,
    /// Those that this run has started.
    ChildrenOf(RunId),
}
