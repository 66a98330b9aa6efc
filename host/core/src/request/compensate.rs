//! Compensate: a run that is to end is asked to undo first what it has done.

use crate::event::RunEvent;
use crate::state::{Phase, RunState, Status};
use crate::stop::Stop;

/// What is wanted of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Undoing<'a> {
    /// Whether it is cancelled with that; else it has failed, and stays so.
    pub cancels: bool,
    /// Who asks, for people.
    pub by: &'a str,
}

/// Why there is nothing to undo, or not so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotCompensated {
    /// It is over, or has not failed.
    #[error(
        "the run is {0}; only a failed run can be compensated, or one that is cancelled with that"
    )]
    NotFailed(Status),
    /// Its steps with `finally` run.
    #[error("its last steps are running already: it is too late to compensate the others")]
    TooLate,
    /// No completed step can be undone.
    #[error("no completed step of the run has anything to compensate")]
    Nothing,
}

/// What is recorded of it, wherever the run stands. Attempts in flight are interrupted before by their owner, or lost with it.
///
/// # Errors
/// [`NotCompensated`].
pub fn compensate(state: &RunState, wanted: Undoing<'_>) -> Result<RunEvent, NotCompensated> {
    let compensating = compensating(state, wanted)?;
    match state.executions().compensations().open().next() {
        Some(_) => Ok(compensating),
        None => Err(NotCompensated::Nothing),
    }
}

/// The same, whether or not anything can be undone by now.
pub(super) fn compensating(
    state: &RunState,
    wanted: Undoing<'_>,
) -> Result<RunEvent, NotCompensated> {
    let Undoing { cancels, by } = wanted;
    let stop = match (state.phase(), cancels) {
        (Phase::Failed { stop, .. }, false) => Stop {
            compensated: None,
            ..stop.clone()
        },
        (Phase::Pending | Phase::Running | Phase::Paused { .. } | Phase::Failed { .. }, true) => {
            Stop::cancelled_by(by).at(state.at_work().cloned())
        }
        (other, _) => return Err(NotCompensated::NotFailed(other.status())),
    };
    if state.finally_since().is_some() {
        return Err(NotCompensated::TooLate);
    }
    Ok(RunEvent::Compensating {
        cancels,
        stop,
        by: by.to_owned(),
    })
}
