//! What has changed since the stored checkpoint was written: what the next one has to write.

use std::collections::BTreeSet;

use super::{RunState, Slot, Touched};

/// Derived and never stored; it is no part of what a state is.
#[derive(Debug, Clone)]
pub(super) struct Unwritten {
    /// Position of the last event that the stored checkpoint holds. `None` where it does not say so, as those of programs that wrote
    /// one with every event: it is right only as long as the run's row stands where it did.
    since: Option<u64>,
    slots: BTreeSet<Slot>,
    run: bool,
}

impl PartialEq for Unwritten {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Unwritten {
    /// The stored checkpoint says that it stands at this event, or says nothing.
    pub(super) const fn after(seq: Option<u64>) -> Self {
        Self {
            since: seq,
            slots: BTreeSet::new(),
            run: false,
        }
    }

    /// An event changed these.
    pub(super) fn add(&mut self, touched: &Touched) {
        self.slots.extend(touched.slots.iter().cloned());
        self.run |= touched.run;
    }
}

impl RunState {
    /// Events since the stored checkpoint: reading the run back applies them to it. `None` where it does not say where it stands: then
    /// nothing may be written without another one.
    #[must_use]
    pub fn since_checkpoint(&self) -> Option<u64> {
        Some(self.seq - self.unwritten.since?)
    }

    /// What has changed since: the records in these slots, and whether something of the run as a whole has.
    pub(crate) const fn unwritten(&self) -> (&BTreeSet<Slot>, bool) {
        (&self.unwritten.slots, self.unwritten.run)
    }

    /// The checkpoint was stored as the state is now.
    pub fn checkpoint_stored(&mut self) {
        self.unwritten = Unwritten::after(Some(self.seq));
    }
}
