//! The state of a run: what the journal folds to. Bounded by the size of the definition, never by the length of the run.
//!
//! [`RunState::apply`] is the one door for every change. It rejects what cannot follow from the present state and then
//! changes nothing.

mod apply;
mod awaiting;
mod phase;
mod record;
pub(crate) mod size;
mod status;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::event::RunCreated;
use crate::ids::{Digest, Epoch, StepId};
use crate::payload::Payload;
use crate::time::Timestamp;

pub use apply::{Rejected, Touched};
pub use phase::Phase;
pub use record::{Settled, StepPhase, StepRecord, StepResult, loop_output};
pub use status::{Status, UnknownStatus};

/// The state of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunState {
    /// What was frozen at the start.
    pub created: Arc<RunCreated>,
    /// When it was created.
    pub created_at: Timestamp,
    /// What may change on a resume with consent.
    pub binding: Binding,
    /// Where it stands.
    pub phase: Phase,
    /// When it was claimed first.
    pub started_at: Option<Timestamp>,
    /// Time of the last event.
    pub updated_at: Timestamp,
    /// Position of the last event.
    pub seq: u64,
    /// The present fencing token.
    pub epoch: Epoch,
    /// Recoveries without progress in between.
    pub recoveries: u32,
    /// The present or last pause episode.
    pub episode: Episode,
    /// Every step that was touched so far.
    pub steps: BTreeMap<StepId, StepRecord>,
    /// Those of them whose attempt was started and has no outcome.
    pub in_flight: BTreeSet<StepId>,
    /// Bytes of everything that users and plugins left in the steps' records together; what
    /// [`RUN_STATE_BYTES`](crate::limits::RUN_STATE_BYTES) bounds.
    pub recorded_bytes: usize,
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
    /// The inputs, where they are others than at the start.
    #[serde(
        default,
        deserialize_with = "crate::payload::kept_if_any",
        skip_serializing_if = "Option::is_none"
    )]
    pub inputs: Option<Payload>,
}

impl RunState {
    /// The inputs of the run: those that it was started with, or those of the definition that was accepted since.
    #[must_use]
    pub fn inputs(&self) -> &Payload {
        self.binding.inputs.as_ref().unwrap_or(&self.created.inputs)
    }
}
