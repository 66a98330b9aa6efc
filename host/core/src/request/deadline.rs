//! Signals and decisions that come too late: the timeout is what is recorded, in that write, and what they are told.

use std::fmt;

use crate::decide::due_by;
use crate::ids::{Path, RunId};
use crate::state::{RunState, StepPhase, StepRecord, StepResult};
use crate::time::Timestamp;
use crate::wait::Wait;

/// A wait that was over before what was to end it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimedOut {
    /// The run.
    pub run: RunId,
    /// The wait or the approval.
    pub path: Path,
    /// Until when it waited.
    pub until: Timestamp,
    /// What holds instead.
    pub holds: Holds,
}

/// What a timeout left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// The run was cancelled.
    Cancelled,
    /// It counts as approved; the run goes on.
    Approved,
    /// It counts as rejected; the run goes on.
    Rejected,
    /// The wait ended without a signal; the run goes on.
    WithoutSignal,
    /// The step failed.
    Failed,
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { run, path, .. } = self;
        let until = self.until.to_the_second();
        write!(
            f,
            "too late: `{path}` of run `{run}` waited until {until}; {}",
            match self.holds {
                Holds::Cancelled => "nobody decided in time, and the run is cancelled",
                Holds::Approved => "nobody decided in time, which counts as approved",
                Holds::Rejected => "nobody decided in time, which counts as rejected",
                Holds::WithoutSignal =>
                    "its signal did not come in time, and the run continues without it",
                Holds::Failed => "what it waited for did not come in time, and the step has failed",
            }
        )
    }
}

impl TimedOut {
    /// What became of the wait that `open` was the record of.
    #[must_use]
    pub fn of(state: &RunState, open: &StepRecord) -> Option<Self> {
        let StepPhase::Awaiting { wait } = &open.phase else {
            return None;
        };
        let settled = state.executions().latest(&open.path)?.settled();
        let holds = match (settled.map(|settled| &settled.result), wait) {
            (None, _) => Holds::Cancelled,
            (Some(StepResult::Failed { .. }), _) => Holds::Failed,
            (Some(StepResult::Completed { output }), Wait::Approval { .. }) => {
                match output.value()["decision"].as_str() {
                    Some("approved") => Holds::Approved,
                    _ => Holds::Rejected,
                }
            }
            (Some(StepResult::Completed { .. } | StepResult::Skipped), _) => Holds::WithoutSignal,
        };
        Some(Self {
            run: state.created().run.clone(),
            path: open.path.clone(),
            until: [open.deadline, due_by(state, &open.path), wait.until()]
                .into_iter()
                .flatten()
                .min()?,
            holds,
        })
    }
}
