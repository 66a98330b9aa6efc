//! The state of a run: what the journal folds to. Bounded by the size of the definition, never by the length of the run.
//!
//! [`RunState::apply`] is the one door for every change. It rejects what cannot follow from the present state and then
//! changes nothing.

mod apply;
mod awaiting;
mod compensation;
mod ending;
mod executions;
mod items;
mod phase;
mod recent;
mod record;
mod rest;
pub(crate) mod size;
mod status;
mod stored;
mod unwritten;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use self::recent::Recent;
use self::unwritten::Unwritten;
use crate::event::{CarriedWorkflow, RunCreated};
use crate::ids::{Digest, Epoch, Path};
use crate::payload::Payload;
#[cfg(doc)]
use crate::stop::Stop;
use crate::time::Timestamp;

pub use apply::{Rejected, Touched};
pub use compensation::{Compensable, Compensations};
pub use ending::Ending;
pub use executions::{Executions, Slot};
pub use items::Items;
pub(crate) use items::{COMPLETED, OUTPUT};
pub use phase::Phase;
pub(crate) use recent::Changed;
pub use record::{
    Attempts, ChildRun, Kind, Settled, StepPhase, StepRecord, StepResult, loop_output,
};
pub use rest::{Reason, Rest};
pub use status::{Status, UnknownStatus};
pub(crate) use stored::RECORD_VALUES;

/// The state of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunState {
    created: Arc<RunCreated>,
    created_at: Timestamp,
    binding: Binding,
    phase: Phase,
    started_at: Option<Timestamp>,
    updated_at: Timestamp,
    seq: u64,
    epoch: Epoch,
    recoveries: u32,
    episode: Episode,
    /// How it is about to end, while it still runs.
    ending: Option<Ending>,
    /// Since when steps with `finally` run.
    finally_since: Option<Timestamp>,
    /// Whether whatever can be undone is undone before that.
    compensates: bool,
    executions: Executions,
    /// The slots in which an attempt was started and has no outcome.
    in_flight: BTreeSet<Slot>,
    recorded_bytes: usize,
    recent: Recent,
    unwritten: Unwritten,
}

/// What a checkpoint holds of a run as a whole.
pub(crate) struct Restored {
    pub(crate) created: RunCreated,
    pub(crate) created_at: Timestamp,
    pub(crate) binding: Binding,
    pub(crate) phase: Phase,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) updated_at: Timestamp,
    /// The last event that the checkpoint holds, where it says so.
    pub(crate) written: Option<u64>,
    pub(crate) seq: u64,
    pub(crate) epoch: Epoch,
    pub(crate) recoveries: u32,
    pub(crate) episode: Episode,
    pub(crate) ending: Option<Ending>,
    pub(crate) finally_since: Option<Timestamp>,
    pub(crate) compensates: bool,
    pub(crate) executions: Executions,
}

impl From<Restored> for RunState {
    fn from(restored: Restored) -> Self {
        let mut executions = restored.executions;
        executions.share_all_outputs();
        let in_flight = executions.iter().filter(|record| record.is_in_flight());
        Self {
            in_flight: in_flight.map(|record| Slot::from(&record.path)).collect(),
            recorded_bytes: executions.iter().map(StepRecord::bytes).sum(),
            recent: Recent::after(restored.seq),
            unwritten: Unwritten::after(restored.written),
            created: Arc::new(restored.created),
            created_at: restored.created_at,
            binding: restored.binding,
            phase: restored.phase,
            started_at: restored.started_at,
            updated_at: restored.updated_at,
            seq: restored.seq,
            epoch: restored.epoch,
            recoveries: restored.recoveries,
            episode: restored.episode,
            ending: restored.ending,
            finally_since: restored.finally_since,
            compensates: restored.compensates,
            executions,
        }
    }
}

/// A row of pauses without progress in between: what bounds automatic resumes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Episode {
    /// Whose limit was met; another one begins another episode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Automatic resumes so far, those that could not begin included.
    pub resumes: u32,
    /// Those before, under other providers, since the last completed step.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub earlier: u32,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Episode {
    /// Automatic resumes since the last completed step, whatever provider was named. This number is bounded.
    #[must_use]
    pub fn in_a_row(&self) -> u32 {
        self.resumes.saturating_add(self.earlier)
    }

    /// A step completed, or a person spoke: the count begins afresh. Returns whether it had begun.
    pub(crate) fn end(&mut self) -> bool {
        let began = self.in_a_row() > 0;
        (self.resumes, self.earlier) = (0, 0);
        began
    }
}

/// Which text and which components the run executes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Binding {
    /// Digest of the definition's text.
    pub definition: Digest,
    /// Digests of the components, by plugin name.
    pub plugins: BTreeMap<String, Digest>,
    /// What its child workflows, and those of theirs, are made of, by file.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub children: BTreeMap<String, CarriedWorkflow>,
    /// The inputs, where they are others than at the start.
    #[serde(
        default,
        deserialize_with = "crate::payload::kept_if_any",
        skip_serializing_if = "Option::is_none"
    )]
    pub inputs: Option<Payload>,
}

impl RunState {
    /// What was frozen at the start.
    #[must_use]
    pub fn created(&self) -> &RunCreated {
        &self.created
    }

    /// When it was created.
    #[must_use]
    pub const fn created_at(&self) -> Timestamp {
        self.created_at
    }

    /// What may change on a resume with consent.
    #[must_use]
    pub const fn binding(&self) -> &Binding {
        &self.binding
    }

    /// Where it stands.
    #[must_use]
    pub const fn phase(&self) -> &Phase {
        &self.phase
    }

    /// When it was claimed first.
    #[must_use]
    pub const fn started_at(&self) -> Option<Timestamp> {
        self.started_at
    }

    /// Time of the last event.
    #[must_use]
    pub const fn updated_at(&self) -> Timestamp {
        self.updated_at
    }

    /// Position of the last event.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// The present fencing token.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Recoveries without progress in between.
    #[must_use]
    pub const fn recoveries(&self) -> u32 {
        self.recoveries
    }

    /// The present or last pause episode.
    #[must_use]
    pub const fn episode(&self) -> &Episode {
        &self.episode
    }

    /// How it is about to end: nothing new starts, and what is in flight ends first.
    #[must_use]
    pub const fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }

    /// Whether it is about to end as cancelled.
    #[must_use]
    pub fn is_being_cancelled(&self) -> bool {
        self.ending().is_some_and(Ending::cancels)
    }

    /// Since when steps with `finally` run, under the present claim.
    #[must_use]
    pub const fn finally_since(&self) -> Option<Timestamp> {
        self.finally_since
    }

    /// Whether a person wants whatever has completed and can be undone to be undone before it ends.
    #[must_use]
    pub const fn compensates(&self) -> bool {
        self.compensates
    }

    /// What is recorded of step executions: the present or last one of every slot that was touched so far.
    #[must_use]
    pub const fn executions(&self) -> &Executions {
        &self.executions
    }

    /// Those whose attempt was started and has no outcome.
    pub fn in_flight(&self) -> impl Iterator<Item = &StepRecord> {
        self.in_flight
            .iter()
            .filter_map(|slot| self.executions.get(slot))
    }

    /// How many those are.
    #[must_use]
    pub fn in_flight_count(&self) -> usize {
        self.in_flight.len()
    }

    /// Whether an attempt in this slot was started and has no outcome.
    #[must_use]
    pub fn is_in_flight(&self, slot: &Slot) -> bool {
        self.in_flight.contains(slot)
    }

    /// Bytes of everything that users and plugins left in the records together; what
    /// [`RUN_STATE_BYTES`](crate::limits::RUN_STATE_BYTES) bounds.
    #[must_use]
    pub const fn recorded_bytes(&self) -> usize {
        self.recorded_bytes
    }

    /// Notes how often the approval at `path` was rejected, where a program that did not count began it.
    pub fn count_rejections(&mut self, path: &Path, rejections: Option<u32>) {
        if let Some(record) = self.executions.get_mut(&Slot::from(path))
            && let Kind::Wait {
                rejections: counted,
                ..
            } = &mut record.kind
        {
            *counted = rejections;
        }
    }

    /// Where the run stands for the same reason as `recorded`, it does so in its words: see [`Stop::in_the_words_of`].
    pub fn in_the_words_of(&mut self, recorded: &Self) {
        self.phase.in_the_words_of(&recorded.phase);
    }

    /// The inputs of the run: those that it was started with, or those of the definition that was accepted since.
    #[must_use]
    pub fn inputs(&self) -> &Payload {
        self.binding.inputs.as_ref().unwrap_or(&self.created.inputs)
    }
}
