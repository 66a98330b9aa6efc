//! The state of a run: what the journal folds to. Bounded by the size of the definition, never by the length of the run.
//!
//! [`RunState::apply`] is the one door for every change. It rejects what cannot follow from the present state and then
//! changes nothing.

mod apply;
mod awaiting;
pub(crate) mod size;
mod status;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::event::RunCreated;
use crate::ids::{Digest, Epoch, Path, StepId};
use crate::outcome::{Pause, StepError};
use crate::payload::Payload;
use crate::stop::Stop;
use crate::tape::LogDropped;
use crate::time::Timestamp;
use crate::wait::Wait;

pub use apply::{Rejected, Touched};
pub use status::{Status, UnknownStatus};

/// Where a run stands, with exactly the data that is legal there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Phase {
    /// See [`Status::Pending`].
    Pending,
    /// See [`Status::Running`].
    Running,
    /// See [`Status::Paused`].
    Paused {
        /// Why, and what happens next.
        stop: Stop,
        /// Since when.
        at: Timestamp,
    },
    /// See [`Status::Completed`].
    Completed {
        /// What the workflow returned.
        output: Payload,
        /// Since when.
        at: Timestamp,
    },
    /// See [`Status::Failed`].
    Failed {
        /// Why, and what happens next.
        stop: Stop,
        /// Since when.
        at: Timestamp,
    },
    /// See [`Status::Cancelled`].
    Cancelled {
        /// Why.
        stop: Stop,
        /// Since when.
        at: Timestamp,
    },
}

impl Phase {
    /// The status.
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            Self::Pending => Status::Pending,
            Self::Running => Status::Running,
            Self::Paused { .. } => Status::Paused,
            Self::Completed { .. } => Status::Completed,
            Self::Failed { .. } => Status::Failed,
            Self::Cancelled { .. } => Status::Cancelled,
        }
    }

    /// Why the run does not move, when it does not.
    #[must_use]
    pub fn stop(&self) -> Option<&Stop> {
        match self {
            Self::Paused { stop, .. }
            | Self::Failed { stop, .. }
            | Self::Cancelled { stop, .. } => Some(stop),
            Self::Pending | Self::Running | Self::Completed { .. } => None,
        }
    }
}

/// What is recorded of one step: its present or last execution. Loops are steps too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Where the present or last execution stands.
    pub path: Path,
    /// How far it is.
    pub phase: StepPhase,
    /// Attempts made at this path.
    pub attempts: u32,
    /// Failed attempts in a row; what the retry policy counts. A pause or a reset begins afresh.
    pub failures: u32,
    /// When the first attempt at this path, or the first iteration, began.
    pub started_at: Timestamp,
    /// How the execution before this one ended (the previous pass of a loop). Visible until this one settles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Settled>,
    /// What the last pause at this path left for the next attempt.
    #[serde(
        default,
        deserialize_with = "crate::payload::present",
        skip_serializing_if = "Option::is_none"
    )]
    pub resume_state: Option<Value>,
    /// What came with the signal that ended the last pause at this path.
    #[serde(
        default,
        deserialize_with = "crate::payload::present",
        skip_serializing_if = "Option::is_none"
    )]
    pub resume_signal: Option<Value>,
    /// What did not fit into the log of the last attempt that ended at this path.
    #[serde(default, skip_serializing_if = "LogDropped::is_nothing")]
    pub log_dropped: LogDropped,
    /// Whether this is, or was, a wait or an approval; `attempts` then counts how often it began.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waited: bool,
    /// How often a person rejected at this path, for waits and approvals. `None` only where a program that did not count began
    /// it: whoever decides there counts in the journal first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejections: Option<u32>,
}

/// How far one step execution is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum StepPhase {
    /// Will start, or start again: after an interruption, a resume or a retry.
    Pending,
    /// An attempt was started and has no outcome.
    InFlight {
        /// When it was started.
        since: Timestamp,
    },
    /// The last attempt failed; another one is due.
    Waiting {
        /// When.
        retry_at: Timestamp,
        /// How the last attempt failed.
        error: StepError,
    },
    /// The last attempt asked to stop here, or used up its retries.
    Paused {
        /// Why, and until when. Its `state` is kept in [`StepRecord::resume_state`].
        pause: Pause,
        /// Whether retries were used up.
        retries_exhausted: bool,
    },
    /// A wait or an approval that nothing has ended yet.
    Awaiting {
        /// What ends it.
        wait: Wait,
    },
    /// A loop is in this pass.
    Looping {
        /// From 1.
        iteration: u32,
        /// What `until` gave after this pass; `None` while the pass runs.
        condition_met: Option<bool>,
    },
    /// Ended, for this path.
    Settled(Settled),
}

/// How a step execution ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settled {
    /// The ending.
    pub result: StepResult,
    /// When.
    pub at: Timestamp,
    /// Passes, for a loop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iterations: Option<u32>,
}

/// The ending of a step execution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum StepResult {
    /// With an output.
    Completed {
        /// The output.
        output: Payload,
    },
    /// Without one.
    Failed {
        /// Why.
        error: StepError,
    },
    /// Its `if` was false.
    Skipped,
}

impl StepRecord {
    /// The ending that other steps see: of this execution, else of the one before.
    #[must_use]
    pub fn visible(&self) -> Option<&Settled> {
        match &self.phase {
            StepPhase::Settled(settled) => Some(settled),
            StepPhase::Pending
            | StepPhase::InFlight { .. }
            | StepPhase::Waiting { .. }
            | StepPhase::Paused { .. }
            | StepPhase::Awaiting { .. }
            | StepPhase::Looping { .. } => self.previous.as_ref(),
        }
    }

    /// The ending of this very execution.
    #[must_use]
    pub fn settled(&self) -> Option<&Settled> {
        match &self.phase {
            StepPhase::Settled(settled) => Some(settled),
            StepPhase::Pending
            | StepPhase::InFlight { .. }
            | StepPhase::Waiting { .. }
            | StepPhase::Paused { .. }
            | StepPhase::Awaiting { .. }
            | StepPhase::Looping { .. } => None,
        }
    }

    /// The word that `steps.<id>.status` and reports use.
    #[must_use]
    pub fn status(&self) -> &'static str {
        match &self.phase {
            StepPhase::Pending => "pending",
            StepPhase::InFlight { .. } | StepPhase::Looping { .. } => "running",
            StepPhase::Waiting { .. } | StepPhase::Awaiting { .. } => "waiting",
            StepPhase::Paused { .. } => "paused",
            StepPhase::Settled(settled) => settled.result.status(),
        }
    }

    /// The outputs that it holds: of this execution and of the one before.
    pub fn outputs(&self) -> impl Iterator<Item = &Payload> {
        [self.settled(), self.previous.as_ref()]
            .into_iter()
            .flatten()
            .filter_map(Settled::output)
    }
}

impl Settled {
    /// The output, when it ended with one.
    #[must_use]
    pub fn output(&self) -> Option<&Payload> {
        match &self.result {
            StepResult::Completed { output } => Some(output),
            StepResult::Failed { .. } | StepResult::Skipped => None,
        }
    }
}

impl StepResult {
    /// The word that `steps.<id>.status` and reports use.
    #[must_use]
    pub fn status(&self) -> &'static str {
        match self {
            Self::Completed { .. } => "completed",
            Self::Failed { .. } => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// The output of a loop step.
#[must_use]
pub fn loop_output(iterations: u32, condition_met: bool) -> Payload {
    Payload::new(json!({"iterations": iterations, "condition_met": condition_met}))
}

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
