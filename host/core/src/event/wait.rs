//! What happens to an execution that waits: for time, for a signal, for a person.

use super::{Event, StepEvent};
use crate::ids::{Path, RunId, StepId};
use crate::outcome::StepError;
use crate::payload::Payload;
use crate::time::Timestamp;
use crate::wait::{Verdict, Wait};

/// What happened to an execution that waits.
#[derive(Debug, Clone, PartialEq)]
pub enum WaitEvent {
    /// Decided. A wait or an approval began.
    Started {
        /// What ends it.
        wait: Wait,
    },
    /// Decided. Time ended a wait, and that is no failure. The step is settled.
    Ended {
        /// The step's output.
        output: Payload,
    },
    /// Reported. A signal came to the step that waits for it. A wait is settled by it, a paused component is called again.
    SignalReceived {
        /// The signal's name.
        signal: String,
        /// What was sent with it.
        data: Payload,
        /// When it was sent.
        sent_at: Timestamp,
    },
    /// Reported. A person decided. The step is settled, unless the decision is to go over the work again.
    ApprovalDecided {
        /// What was decided.
        decision: Verdict,
        /// Why, in the person's words.
        comment: Option<String>,
        /// Who decided, in their own words.
        by: Option<String>,
        /// Steps that run again before the approval is asked for again; empty when the decision is final.
        rework: Vec<StepId>,
    },
    /// Reported. The child run that the step waits for has ended, or failed. The step is settled.
    ChildEnded {
        /// The child run.
        run: RunId,
        /// Where it stood then: number of its last event.
        seq: u64,
        /// How.
        ending: ChildEnding,
    },
}

/// How a child run ended, as its parent's step has it.
#[derive(Debug, Clone, PartialEq)]
pub enum ChildEnding {
    /// With this output.
    Completed(Payload),
    /// It failed, and can be driven again.
    Failed(StepError),
    /// Somebody cancelled it.
    Cancelled(StepError),
}

impl WaitEvent {
    /// The same, of the execution at `path`.
    #[must_use]
    pub fn at(self, path: Path) -> Event {
        StepEvent::Wait(self).at(path)
    }
}
