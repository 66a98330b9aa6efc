//! Recover: what becomes of a run whose owner is lost, or whose host cannot go on with it.

use crate::event::{ClaimCause, Event, RunEvent};
use crate::ids::Path;
use crate::limits;
use crate::schedule;
use crate::state::{RunState, Status};
use crate::stop::{Stop, StopCode};
use crate::time::Timestamp;

/// The event with which the host lets go of a running run after an error of its own, at `path`. The run goes on by itself, later
/// and later; when it was in vain too often without a completed step in between, it fails.
#[must_use]
pub fn put_off(state: &RunState, reason: &str, path: Option<Path>, now: Timestamp) -> Event {
    let run = &state.created().run;
    let most = limits::AUTOMATIC_RESUMES.len();
    let used = state.episode().in_a_row();
    match schedule::due(run, path.as_ref(), used, None, false, now) {
        Some(due_at) => {
            let next = format!(
                "a worker (`milepost work`) tries again when it is due, automatic resume {} of {most}; `milepost resume {run}` \
                 does at once",
                used + 1
            );
            let message = format!("the host could not go on: {reason}");
            let stop = Stop {
                due_at: Some(due_at),
                ..Stop::new(StopCode::HostError, message, next).at(path)
            };
            RunEvent::Paused { stop }.into()
        }
        None => {
            let message =
                format!("the host could not go on, also after {most} automatic resumes: {reason}");
            let next = format!("nothing by itself; mend the cause, then `milepost resume {run}`");
            let stop = Stop::new(StopCode::HostError, message, next).at(path);
            RunEvent::Failed { stop }.into()
        }
    }
}

/// The end of a run whose owners were lost too often, with nothing recorded in between.
#[must_use]
pub fn give_up(state: &RunState) -> Event {
    let message = format!(
        "the process that ran it was lost {} times in a row, and nothing was recorded in between",
        state.recoveries() + 1
    );
    let next = format!(
        "nothing by itself; look at what the step in flight did, then `milepost resume {}`",
        state.created().run
    );
    failed(StopCode::ProcessLost, message, next, None)
}

/// How a run that its host has claimed is let go of after an error: for good where there is a `remedy`, which only a person
/// knows how to apply; else until later, as [`put_off`] says.
#[must_use]
pub fn let_go(
    state: &RunState,
    reason: &str,
    remedy: Option<String>,
    path: Option<Path>,
    now: Timestamp,
) -> Event {
    match remedy {
        Some(next) => {
            let message = format!("the host could not go on: {reason}");
            failed(StopCode::HostError, message, next, path)
        }
        None => put_off(state, reason, path, now),
    }
}

/// The end of a run whose driver met an error that no try mends, before or after it began.
#[must_use]
pub fn fail(reason: &str, begun: bool, remedy: String, path: Option<Path>) -> Event {
    let what = match begun {
        true => "the host could not go on",
        false => "it could not begin",
    };
    failed(
        StopCode::HostError,
        format!("{what}: {reason}"),
        remedy,
        path,
    )
}

/// The end of a run whose driver panicked, from what was saved of it.
#[must_use]
pub fn fail_after_panic(state: &RunState, panic: &str) -> Event {
    failed(
        StopCode::HostError,
        format!("the engine failed: {panic}"),
        format!(
            "nothing by itself; `milepost resume {}` tries again",
            state.created().run
        ),
        state.at_work().cloned(),
    )
}

/// What becomes of a run that could not even begin to go on.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
#[expect(
    clippy::large_enum_variant,
    reason = "made and consumed at once: a box would only add an allocation"
)]
pub enum CannotBegin {
    /// Record this.
    Record(Event),
    /// Claim it under this cause, so that the try counts, and let go of it in the same write.
    Claim(ClaimCause),
    /// It is over: there is nothing to begin.
    Over,
}

/// A run that was to go on could not begin: it is put off, later each time, and fails when that was in vain too often. One that
/// carries what nothing can run (there is a `remedy`) fails at once.
pub fn cannot_begin(
    state: &RunState,
    reason: &str,
    remedy: Option<String>,
    now: Timestamp,
) -> CannotBegin {
    match (state.phase().status(), remedy) {
        (Status::Running, Some(next)) => {
            let message = format!("the process that ran it is gone, and it cannot go on: {reason}");
            CannotBegin::Record(failed(StopCode::ProcessLost, message, next, None))
        }
        (Status::Pending, Some(next)) => CannotBegin::Record(fail(reason, false, next, None)),
        (Status::Pending, None) => CannotBegin::Claim(ClaimCause::Start),
        (Status::Running, None) => CannotBegin::Claim(ClaimCause::Recovery),
        (Status::Paused, Some(_)) => CannotBegin::Claim(ClaimCause::Resume),
        (Status::Paused, None) => match postponed(state, reason, now) {
            Some(event) => CannotBegin::Record(event),
            None => CannotBegin::Claim(ClaimCause::Resume),
        },
        (Status::Completed | Status::Failed | Status::Cancelled, _) => CannotBegin::Over,
    }
}

/// The next try of an automatic resume that could not begin; `None` when this was the last one.
fn postponed(state: &RunState, reason: &str, now: Timestamp) -> Option<Event> {
    // This try counts as well.
    let used = state.episode().in_a_row() + 1;
    let stop = state.phase().stop()?;
    if used as usize >= limits::AUTOMATIC_RESUMES.len() {
        return None;
    }
    let run = &state.created().run;
    let event = RunEvent::Postponed {
        reason: reason.to_owned(),
        due_at: schedule::due(run, stop.path.as_ref(), used, None, false, now),
        waited: stop.code.is_wait(),
    };
    Some(event.into())
}

fn failed(code: StopCode, message: String, next: String, path: Option<Path>) -> Event {
    let stop = Stop::new(code, message, next).at(path);
    RunEvent::Failed { stop }.into()
}
