//! Resume: a stopped run is asked to continue from its checkpoint.

use super::again::{Again, add_subtree, has_failed};
use crate::definition::Definition;
use crate::event::{ResumeCause, RunResumed};
use crate::ids::StepId;
use crate::state::{RunState, Status};
use crate::stop::StopCode;

/// Who lets a stopped run go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResumeBy {
    /// A person: failed steps run again, failed loops are looked at again in their recorded iteration.
    Person,
    /// A worker, because the time of its automatic resume has come: nothing is repeated.
    Schedule,
    /// A worker, because what it waited for has come, or the time of the wait is over: nothing is repeated.
    Wait,
}

/// Why a run cannot be asked to go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Only paused and failed runs can (B180).
    #[error("the run is {0}; only a paused or failed run can continue")]
    NotStopped(Status),
    /// The named step is not in the definition.
    #[error("the definition has no step `{0}`")]
    UnknownStep(StepId),
}

/// Continues: what failed runs again when a person asks, and with it every step that reads its record, directly or through
/// others. A loop that depends on such a step, or that holds one, starts again as a whole. Failed members of a loop that is still
/// in an iteration stay as they are: the loop's `until` decides about them. So do handled failures of a run that was only paused:
/// later steps went on from them.
///
/// # Errors
/// [`Refused::NotStopped`].
pub fn resume(
    definition: &Definition,
    state: &RunState,
    by: ResumeBy,
) -> Result<RunResumed, Refused> {
    let status = stopped(state)?;
    let mut again = Again::default();
    let cause = match by {
        ResumeBy::Person => {
            // A failed step before a wait was passed over on purpose; going on behind the wait does not run it again.
            if !state.phase().stop_code().is_some_and(StopCode::is_wait) {
                repeat_failed(definition, state, status, &mut again);
            }
            ResumeCause::Resume
        }
        ResumeBy::Schedule => ResumeCause::Schedule,
        ResumeBy::Wait => ResumeCause::Wait,
    };
    Ok(again.resumed(definition, state, cause))
}

/// The status of a run that stands still.
pub(super) fn stopped(state: &RunState) -> Result<Status, Refused> {
    match state.phase().status() {
        status @ (Status::Paused | Status::Failed) => Ok(status),
        status @ (Status::Pending | Status::Running | Status::Completed | Status::Cancelled) => {
            Err(Refused::NotStopped(status))
        }
    }
}

fn repeat_failed(definition: &Definition, state: &RunState, status: Status, again: &mut Again) {
    for index in definition.top() {
        let step = &definition.steps()[*index];
        let handled = step.continue_on_error && state.created().rules.handle_failures();
        if handled && status == Status::Paused {
            continue;
        }
        let Some(record) = state.executions().of(&step.id).filter(|r| has_failed(r)) else {
            continue;
        };
        let iterations = record.settled().and_then(|s| s.iterations).unwrap_or(0);
        if iterations > 0 {
            again.reopened.insert(step.id.clone());
        } else {
            add_subtree(definition, *index, &mut again.reset);
        }
    }
}
