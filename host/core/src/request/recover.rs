//! Recover: what becomes of a run whose owner is lost, or whose host cannot go on with it.

use crate::event::{ClaimCause, Event, RunEvent};
use crate::ids::Path;
use crate::limits;
use crate::schedule;
use crate::shown;
use crate::state::{RunState, Status};
use crate::stop::{AfterHostError, Automatic, Lasting, Lost, Stop, Why};
use crate::time::Timestamp;

/// The event with which the host lets go of a running run after an error of its own, at `path`. The run goes on by itself, later
/// and later; when it was in vain too often without a completed step in between, it fails.
#[must_use]
pub fn put_off(state: &RunState, reason: &str, path: Option<Path>, now: Timestamp) -> Event {
    let run = &state.created().run;
    let used = state.episode().in_a_row();
    let due_at = schedule::due(run, path.as_ref(), used, None, false, now);
    let automatic = Automatic::after(used, due_at.is_some());
    let why = Why::host_error(reason, AfterHostError::Automatic(automatic));
    let stop = Stop {
        due_at,
        ..Stop::new(why).at(path)
    };
    match due_at {
        Some(_) => RunEvent::Paused { stop }.into(),
        None => RunEvent::Failed { stop }.into(),
    }
}

/// The end of a run whose owners were lost too often, with nothing recorded in between.
#[must_use]
pub fn give_up(state: &RunState) -> Event {
    let times = state.recoveries() + 1;
    failed(Why::ProcessLost(Lost::Repeatedly { times }), None)
}

/// The end of a run whose driver met an error that no try mends, before or after it began.
#[must_use]
pub fn fail(reason: &str, begun: bool, fault: Lasting, path: Option<Path>) -> Event {
    let then = AfterHostError::Lasting { fault, begun };
    failed(Why::host_error(reason, then), path)
}

/// The end of a run whose driver panicked, from what was saved of it.
#[must_use]
pub fn fail_after_panic(state: &RunState, panic: &str) -> Event {
    let why = Why::host_error(panic, AfterHostError::Panicked);
    failed(why, state.at_work().cloned())
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
/// carries what nothing can run (there is a `fault`) fails at once.
pub fn cannot_begin(
    state: &RunState,
    reason: &str,
    fault: Option<Lasting>,
    now: Timestamp,
) -> CannotBegin {
    match (state.phase().status(), fault) {
        (Status::Running, Some(fault)) => {
            let error = shown::message(reason);
            let lost = Lost::CannotGoOn { error, fault };
            CannotBegin::Record(failed(Why::ProcessLost(lost), None))
        }
        (Status::Pending, Some(fault)) => CannotBegin::Record(fail(reason, false, fault, None)),
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
    let phase = state.phase();
    let waited = phase.stop_code()?.is_wait();
    if used as usize >= limits::AUTOMATIC_RESUMES.len() {
        return None;
    }
    let run = &state.created().run;
    let event = RunEvent::Postponed {
        reason: reason.to_owned(),
        due_at: schedule::due(run, phase.stopped_at(), used, None, false, now),
        waited,
    };
    Some(event.into())
}

fn failed(why: Why, path: Option<Path>) -> Event {
    let stop = Stop::new(why).at(path);
    RunEvent::Failed { stop }.into()
}
