//! Stop: a run is asked to pause, to be held where it stands, to be let go of, or to end for good.

use super::compensate::{Undoing, compensate, compensating};
use super::release::release;
use crate::decide::{interrupt, last};
use crate::definition::{Definition, Step};
use crate::event::{Event, RunEvent};
use crate::ids::Path;
use crate::state::{Ending, RunState, Status, StepRecord};
use crate::stop::{Stop, Why};

/// How strongly a run is asked to stop: a stronger request replaces a weaker one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Demand {
    /// Let go of the run where the step in flight has ended; another worker goes on with it.
    Release,
    /// Pause where the step in flight has ended.
    Pause,
    /// Let go of the run at once; the step in flight is interrupted.
    ReleaseNow,
    /// Pause at once; the step in flight is interrupted.
    PauseNow,
    /// End for good, after what it has done is undone: the step in flight may clean up for a moment.
    Compensate,
    /// End for good: the step in flight may clean up for a moment.
    Cancel,
    /// End for good, at once.
    Kill,
}

impl Demand {
    /// Whether it waits for the step in flight.
    #[must_use]
    pub const fn is_patient(self) -> bool {
        matches!(self, Self::Release | Self::Pause)
    }

    /// Whether the run is over with it.
    #[must_use]
    pub const fn ends(self) -> bool {
        matches!(self, Self::Compensate | Self::Cancel | Self::Kill)
    }

    /// Whether it ends the run once that has done what its workflow wants before the end.
    #[must_use]
    pub const fn cleans_up(self) -> bool {
        matches!(self, Self::Compensate | Self::Cancel)
    }
}

/// What a request comes to that does not come from the owner of the run.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
#[expect(
    clippy::large_enum_variant,
    reason = "made and consumed at once: a box would only add an allocation"
)]
pub enum Stopping {
    /// Record this, and the run stands as was asked.
    Stop(Vec<Event>),
    /// Record this, and the paused run stays where it is until a person resumes it.
    Hold(Event),
    /// Its owner may be at work: it has to be asked.
    AskOwner,
    /// It is over, or stands still, as it is.
    Already(Status),
    /// It was cancelled before, and has something left to do before it is over: that needs somebody to drive it.
    Finishing,
}

/// Only a running run can be paused (B290).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotPausable(pub Status);

/// Asks a run to pause or to end; `owned` says whether somebody may be at work on it. A definition that cannot be read any more
/// (`None`) leaves nothing to do before the end.
///
/// # Errors
/// [`NotPausable`] for a pending run that is asked to pause.
pub fn stop(
    definition: Option<&Definition>,
    state: &RunState,
    demand: Demand,
    by: &str,
    owned: bool,
) -> Result<Stopping, NotPausable> {
    let status = state.phase().status();
    let compensated = |stop: Stop| stop.compensated.is_some();
    if status == Status::Failed && state.phase().stop().is_some_and(compensated) {
        // It is over, as a run that nobody can resume.
        return Ok(Stopping::Already(status));
    }
    let undoing = Undoing { cancels: true, by };
    let undo = (demand == Demand::Compensate && !state.compensates())
        .then(|| compensate(state, undoing).ok())
        .flatten();
    if let Some(ending) = state.ending()
        && state.is_being_cancelled()
        && demand.cleans_up()
        && undo.is_none()
        && !owned
    {
        let last_steps = definition.is_some_and(|definition| !definition.finally().is_empty());
        return Ok(match last_steps || state.compensates() {
            true => Stopping::Finishing,
            false => Stopping::Stop(interrupt(state, ending.clone().into_event().into())),
        });
    }
    match (status, demand.ends()) {
        (Status::Paused, false) if state.moves_by_itself() => {
            Ok(Stopping::Hold(RunEvent::Held { by: by.to_owned() }.into()))
        }
        (Status::Completed | Status::Cancelled, _) | (Status::Paused | Status::Failed, false) => {
            Ok(Stopping::Already(status))
        }
        (Status::Pending, false) => Err(NotPausable(status)),
        (Status::Running, _) if owned => Ok(Stopping::AskOwner),
        (Status::Running, false) => Ok(Stopping::Stop(interrupt(state, paused(by, true, None)))),
        (Status::Pending | Status::Running | Status::Paused | Status::Failed, true) => {
            let stop = Stop::cancelled_by(by);
            let last = match (undo, definition.filter(|_| demand.cleans_up())) {
                (Some(undo), _) => undo,
                (None, Some(definition)) => cancelled_in(definition, state, stop),
                (None, None) => RunEvent::Cancelled {
                    stop: with_compensations(state, stop),
                },
            };
            Ok(Stopping::Stop(interrupt(state, last.into())))
        }
    }
}

/// What is recorded first of a run that nobody drives and that is asked to end, before what it has started ends: whoever takes it
/// up then brings it nowhere else. Nothing where it ends already, or is not asked to clean up.
#[must_use]
pub fn begin_to_end(state: &RunState, demand: Demand, by: &str) -> Option<Event> {
    let stands = matches!(state.phase().status(), Status::Pending | Status::Paused);
    if !stands || !demand.cleans_up() || state.is_being_cancelled() {
        return None;
    }
    let undo = match demand {
        Demand::Compensate => compensate(state, Undoing { cancels: true, by }).ok(),
        _ => None,
    };
    let finishing = || RunEvent::Finishing {
        ending: Ending::Cancelled {
            stop: Stop::cancelled_by(by),
        },
    };
    Some(undo.unwrap_or_else(finishing).into())
}

/// The owner is asked to end a run that it drives, where that has something left to do before: what it records, and drives on.
/// Attempts in flight are cancelled after that. `None` when the run ends with the request.
#[must_use]
pub fn finish(
    definition: &Definition,
    state: &RunState,
    demand: Demand,
    by: &str,
) -> Option<Option<Event>> {
    if demand == Demand::Compensate && !state.compensates() {
        let undoing = Undoing { cancels: true, by };
        // What is in flight may complete yet.
        let asked = match state
            .in_flight()
            .any(|record| is_compensable(definition, record))
        {
            true => compensating(state, undoing),
            false => compensate(state, undoing),
        };
        if let Ok(event) = asked {
            return Some(Some(event.into()));
        }
    }
    if state.is_being_cancelled() {
        return Some(None);
    }
    let stop = Stop::cancelled_by(by).at(state.at_work().cloned());
    match cancelled_in(definition, state, stop) {
        event @ RunEvent::Finishing { .. } => Some(Some(event.into())),
        _ => None,
    }
}

fn is_compensable(definition: &Definition, record: &StepRecord) -> bool {
    let call = definition.step(record.path().step()).and_then(Step::call);
    call.is_some_and(|call| call.compensation.is_some())
}

/// The owner meets a request of a run that it drives: what it records. Nothing when the run does not move any more.
#[must_use]
pub fn meet(state: &RunState, demand: Demand, by: &str) -> Vec<Event> {
    if state.phase().status() != Status::Running {
        return Vec::new();
    }
    let last = match demand {
        Demand::Release | Demand::ReleaseNow => release(state, by),
        Demand::Pause | Demand::PauseNow => Some(paused(by, false, state.at_work())),
        Demand::Compensate | Demand::Cancel | Demand::Kill => Some(cancelled(state, by)),
    };
    last.map_or_else(Vec::new, |last| interrupt(state, last))
}

/// A request that came while the run stopped by itself: its sender was told that the owner sees to it. The run is ended, or
/// held where it would go on by itself.
#[must_use]
pub fn meet_late(
    definition: &Definition,
    state: &RunState,
    demand: Demand,
    by: &str,
) -> Option<Event> {
    match (demand, state.phase().status()) {
        (Demand::Compensate, Status::Paused | Status::Failed)
            if !state.compensates()
                && let Ok(event) = compensate(state, Undoing { cancels: true, by }) =>
        {
            Some(event.into())
        }
        (Demand::Compensate | Demand::Cancel, Status::Paused) => {
            if state.is_being_cancelled() {
                return None;
            }
            let stop = Stop::cancelled_by(by).at(state.at_work().cloned());
            Some(cancelled_in(definition, state, stop).into())
        }
        (Demand::Compensate | Demand::Cancel | Demand::Kill, Status::Paused | Status::Failed) => {
            Some(cancelled(state, by))
        }
        (Demand::Pause | Demand::PauseNow, _) if state.moves_by_itself() => {
            Some(RunEvent::Held { by: by.to_owned() }.into())
        }
        (
            Demand::Release
            | Demand::Pause
            | Demand::ReleaseNow
            | Demand::PauseNow
            | Demand::Compensate
            | Demand::Cancel
            | Demand::Kill,
            _,
        ) => None,
    }
}

/// The end of a run that a person cancels. One that has failed did before what it had left to do.
fn cancelled_in(definition: &Definition, state: &RunState, stop: Stop) -> RunEvent {
    let ending = Ending::Cancelled { stop: stop.clone() };
    let last = match state.phase().status() {
        Status::Failed => ending.into_event(),
        _ => last(definition, state, ending),
    };
    match last {
        RunEvent::Cancelled { .. } => RunEvent::Cancelled {
            stop: with_compensations(state, stop),
        },
        // What a person wants undone still is.
        RunEvent::Finishing { .. } if !state.compensates() => RunEvent::Finishing {
            ending: Ending::Cancelled {
                stop: with_compensations(state, stop),
            },
        },
        last => last,
    }
}

/// How far the compensations had come that end with the run.
fn with_compensations(state: &RunState, mut stop: Stop) -> Stop {
    let all = state.executions().compensations();
    if all.have_begun() {
        let count = |steps: usize| u32::try_from(steps).unwrap_or(u32::MAX);
        stop.compensated = Some(count(all.completed()));
        stop.uncompensated = Some(count(all.open().count()));
    }
    stop
}

fn paused(by: &str, lost: bool, path: Option<&Path>) -> Event {
    let by = by.to_owned();
    let stop = Stop::new(Why::Interrupted { by, lost }).at(path.cloned());
    RunEvent::Paused { stop }.into()
}

fn cancelled(state: &RunState, by: &str) -> Event {
    let stop = Stop::cancelled_by(by).at(state.at_work().cloned());
    let stop = with_compensations(state, stop);
    RunEvent::Cancelled { stop }.into()
}
