//! Signals and decisions that come too late: the timeout is what is recorded, in that write, and what they are told.

use std::fmt;

use milepost_core::event::Event;
use milepost_core::ids::{Path, RunId};
use milepost_core::state::{RunState, Status, StepPhase, StepRecord, StepResult};
use milepost_core::stop::StopCode;
use milepost_core::time::Timestamp;
use milepost_core::wait::Wait;

use super::Engine;
use super::error::EngineError;
use crate::fault;
use crate::record::Batch;

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
        let Self {
            run, path, until, ..
        } = self;
        write!(
            f,
            "too late: `{path}` of run `{run}` waited until {until}; {}",
            match self.holds {
                Holds::Cancelled => "nobody decided in time, and the run is cancelled",
                Holds::Approved => "nobody decided in time, which counts as approved",
                Holds::Rejected => "nobody decided in time, which counts as rejected",
                Holds::WithoutSignal =>
                    "its signal did not come in time, and the run goes on without it",
                Holds::Failed => "what it waited for did not come in time, and the step has failed",
            }
        )
    }
}

impl Engine {
    /// Records that the time of the wait is over at which the run stands. `None` says that somebody moved the run meanwhile.
    pub(super) async fn record_time_out(
        &self,
        mut batch: Batch,
        mut state: RunState,
        event: Event,
        now: Timestamp,
    ) -> Result<Option<TimedOut>, EngineError> {
        let stands = state.stands_at().cloned();
        batch.record(&mut state, event, now)?;
        fault::point("before_time_out");
        if !self.shared.write(&batch, &state).await? {
            return Ok(None);
        }
        Ok(stands.and_then(|record| TimedOut::of(&state, &record)))
    }
}

impl TimedOut {
    /// What became of the wait that `open` is the record of.
    fn of(state: &RunState, open: &StepRecord) -> Option<Self> {
        let StepPhase::Awaiting { wait } = &open.phase else {
            return None;
        };
        let settled = state.steps.get(open.path.step())?.settled();
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
            run: state.created.run.clone(),
            path: open.path.clone(),
            until: wait.until()?,
            holds,
        })
    }
}

/// Whether a run moves, or is taken by a worker as soon as there is one.
pub(super) fn moves(state: &RunState) -> bool {
    match state.phase.status() {
        Status::Pending | Status::Running => true,
        Status::Paused => {
            let stop = state.phase.stop();
            stop.is_some_and(|stop| stop.code == StopCode::Ready) && !state.is_held()
        }
        Status::Completed | Status::Failed | Status::Cancelled => false,
    }
}
