//! Let go: a run that its host cannot go on with is claimed and let go of in one write, so that the try counts.

use super::recover::{fail, put_off};
use super::resume::{Refused, ResumeBy, resume};
use crate::definition::Definition;
use crate::event::{Event, ItemsAgain, ResumeCause, RunResumed};
use crate::ids::Path;
use crate::state::{RunState, Status};
use crate::stop::Lasting;
use crate::time::Timestamp;

/// What asks a paused run to go on before it is claimed; nothing where it is not paused. Where it goes nowhere, its definition
/// (`None`: it cannot be read) does not matter.
///
/// # Errors
/// [`Refused`], which a paused run is not.
pub fn resumed(
    definition: Option<&Definition>,
    state: &RunState,
) -> Result<Option<RunResumed>, Refused> {
    match (state.phase().status(), definition) {
        (Status::Paused, Some(definition)) => {
            resume(definition, state, ResumeBy::Schedule).map(Some)
        }
        (Status::Paused, None) => Ok(Some(RunResumed {
            cause: ResumeCause::Schedule,
            reset: Vec::new(),
            reopened: Vec::new(),
            items: ItemsAgain::default(),
            closed: Vec::new(),
            paused: Vec::new(),
            completed: 0,
            cleared: state.phase().stop(),
        })),
        (
            Status::Pending
            | Status::Running
            | Status::Completed
            | Status::Failed
            | Status::Cancelled,
            _,
        ) => Ok(None),
    }
}

/// How a run that its host has claimed is let go of after an error at `path`: for good where a `fault` makes it last; else until
/// later, as [`put_off`] says.
#[must_use]
pub fn let_go(
    state: &RunState,
    reason: &str,
    fault: Option<Lasting>,
    path: Option<Path>,
    now: Timestamp,
) -> Event {
    match fault {
        Some(fault) => fail(reason, true, fault, path),
        None => put_off(state, reason, path, now),
    }
}
