//! What happens to one step execution.

use serde::{Deserialize, Serialize};

use super::{Event, ForEachEvent, LoopEvent, WaitEvent};
use crate::definition::EndStatus;
use crate::ids::{Path, StepId};
use crate::outcome::{Pause, StepError};
use crate::payload::Payload;
use crate::tape::Tape;
use crate::time::Timestamp;

/// What happened to a step execution.
#[derive(Debug, Clone, PartialEq)]
pub enum StepEvent {
    /// Decided. An attempt is about to start: recorded before the component is called.
    Started(AttemptStarted),
    /// Reported. An attempt returned an output: the step is settled.
    Completed {
        /// Which attempt.
        attempt: u32,
        /// The output.
        output: Payload,
        /// How it can be undone, of a step with `compensate`. Of a compensation, which completes like a step, nothing.
        undo: Option<Undo>,
        /// What the host answered to the attempt.
        tape: Tape,
    },
    /// Reported. An attempt failed and will be followed by another one.
    AttemptFailed {
        /// Which attempt.
        attempt: u32,
        /// How it failed.
        error: StepError,
        /// When the next attempt is due.
        retry_at: Timestamp,
        /// What the host answered to the attempt.
        tape: Tape,
    },
    /// Reported after an attempt, decided when no attempt was needed to fail (an expression, a loop's limit). The step is
    /// settled.
    Failed {
        /// Which attempt; `None` when the component was not called.
        attempt: Option<u32>,
        /// How it failed.
        error: StepError,
        /// What the host answered to the attempt.
        tape: Tape,
    },
    /// Reported. An attempt asked to stop here, or used up its retries. Where nothing else moves, the run pauses next.
    Paused {
        /// Which attempt.
        attempt: u32,
        /// Why, and until when.
        pause: Pause,
        /// The last error, when retries were used up.
        error: Option<StepError>,
        /// When it goes on by itself, if it does; of older runs, that is found when the run pauses.
        due_at: Option<Timestamp>,
        /// What the host answered to the attempt.
        tape: Tape,
    },
    /// Reported when the host ended an attempt (a signal, a cancel, a shutdown); decided for what is open where its scope is over: a
    /// wait, a pause, a retry that is due. It has no outcome and may start again.
    Interrupted {
        /// Which attempt.
        attempt: u32,
    },
    /// Decided. The time of a component that asked to stop has come, while other steps are in flight: it starts again.
    Continued,
    /// Decided. The step is about to start for the first time, and has to be over by then.
    DeadlineSet {
        /// When.
        deadline: Timestamp,
    },
    /// Decided. The step ends the run, and is settled: nothing new starts, and what is in flight ends first.
    Ends {
        /// How.
        status: EndStatus,
        /// Why, for people.
        message: Option<String>,
        /// The output of a run that completes.
        output: Payload,
    },
    /// Decided. The step may not run. It is settled.
    Skipped(Skip),
    /// It waits: for time, a signal, a person.
    Wait(WaitEvent),
    /// It repeats its body.
    Loop(LoopEvent),
    /// It goes over a list, or is an item of one.
    ForEach(ForEachEvent),
}

/// How a completed execution can be undone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(inline))]
pub struct Undo {
    /// The input of its compensation, evaluated when it completed: what the step could read then, later steps and iterations have
    /// changed. Absent where that was not possible; then it is tried again when it is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<Payload>,
}

/// Why a step was skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Skip {
    /// Its `if` was false: the text of that.
    Condition(String),
    /// What it needs did not come out as its `join` asks.
    Join {
        /// The steps that kept it from running.
        needs: Vec<StepId>,
    },
}

/// An attempt that is about to start.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptStarted {
    /// Which attempt, from 1.
    pub attempt: u32,
    /// Resolved `with`.
    pub input: Payload,
    /// Seed of all randomness of the attempt.
    pub seed: u64,
    /// How long the attempt may take, milliseconds.
    pub timeout_millis: u64,
}

impl StepEvent {
    /// The same, of the execution at `path`.
    #[must_use]
    pub fn at(self, path: Path) -> Event {
        Event::Step { path, event: self }
    }

    /// The execution failed without an attempt.
    #[must_use]
    pub fn failed(error: StepError) -> Self {
        Self::Failed {
            attempt: None,
            error,
            tape: Tape::default(),
        }
    }

    /// What the host noted of the attempt that it ends.
    #[must_use]
    pub fn tape(&self) -> Option<&Tape> {
        match self {
            Self::Completed { tape, .. }
            | Self::AttemptFailed { tape, .. }
            | Self::Failed { tape, .. }
            | Self::Paused { tape, .. } => Some(tape),
            Self::Started(_)
            | Self::Interrupted { .. }
            | Self::Continued
            | Self::DeadlineSet { .. }
            | Self::Ends { .. }
            | Self::Skipped(_)
            | Self::Wait(_)
            | Self::Loop(_)
            | Self::ForEach(_) => None,
        }
    }
}

impl From<WaitEvent> for StepEvent {
    fn from(event: WaitEvent) -> Self {
        Self::Wait(event)
    }
}

impl From<ForEachEvent> for StepEvent {
    fn from(event: ForEachEvent) -> Self {
        Self::ForEach(event)
    }
}

impl From<LoopEvent> for StepEvent {
    fn from(event: LoopEvent) -> Self {
        Self::Loop(event)
    }
}
