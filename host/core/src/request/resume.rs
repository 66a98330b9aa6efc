//! Resume: a stopped run is asked to continue from its checkpoint.

use std::collections::BTreeSet;

use super::again::{Again, add_always_run, add_finally};
use super::compensate::NotCompensated;
use super::items::{How, Repeat};
use crate::definition::{Definition, Flow, StepKind};
use crate::event::{ResumeCause, RunResumed};
use crate::ids::{Path, StepId};
use crate::state::{RunState, Status, StepPhase, StepRecord};
use crate::stop::{Stop, StopCode};
use crate::within::Within;

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
    /// It was cancelled, and has steps with `finally` to run before it is over.
    #[error(
        "the run is being cancelled: nothing of it is tried again, and `resume` brings it to its end"
    )]
    Cancelled,
    /// What it has done is undone.
    #[error(
        "its completed steps were compensated, so it cannot continue; fork it, or start a new run"
    )]
    Compensated,
    /// What it has done is being undone.
    #[error(
        "its completed steps are being compensated; `resume` continues with that, `kill` ends the run without it"
    )]
    Compensating,
    /// There is nothing to undo, or not so.
    #[error(transparent)]
    NotCompensated(#[from] NotCompensated),
    /// The named step is not in the definition.
    #[error("the definition has no step `{0}`")]
    UnknownStep(StepId),
    /// A person cancelled the named item, or the one around the named path.
    #[error("`{0}` was cancelled for good, and does not run again")]
    ItemCancelled(Path),
    /// Nothing that could run again is recorded at the named path.
    #[error("nothing that could run again by itself is recorded at `{0}`")]
    NothingAt(Path),
}

/// Continues: what failed runs again when a person asks, and with it every step that reads its record, directly or through
/// others. Of a run that failed, steps with `finally` come again when it ends. A loop that depends on such a step, or that holds one, starts again as a whole. Failed members of a loop that is still
/// in an iteration stay as they are: the loop's `until` decides about them. So do handled failures of a run that was only paused:
/// later steps went on from them. Of a fan-out, the items that failed run again, or in them what failed there. Steps with
/// `always_run` run again with what reads them, unless the run stands at a wait: going on behind one repeats nothing, or an approval
/// that reads such a step would ask for ever.
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
        // It stopped on the way to its end, and goes on there.
        ResumeBy::Person if state.ending().is_some() => ResumeCause::Resume,
        ResumeBy::Person => {
            // In a sequence, a failed step before a wait was passed over on purpose; going on behind the wait does not run it again.
            let waits = state.phase().stop_code().is_some_and(StopCode::is_wait);
            if definition.flow == Flow::Graph || !waits {
                let repeat = Repeat {
                    definition,
                    state,
                    how: How::Resume,
                };
                repeat.members(definition.main(), Within::Top, &mut again);
                add_always_run(definition, state, &mut again.reset);
            }
            again.reset.extend(ended_by(definition, state));
            if status == Status::Failed {
                add_finally(definition, &mut again.reset);
            }
            ResumeCause::Resume
        }
        ResumeBy::Schedule => ResumeCause::Schedule,
        // Beside the wait, components may go on that asked to stop: what bounds those counts.
        ResumeBy::Wait if due_pauses(state).next().is_some() => ResumeCause::Schedule,
        ResumeBy::Wait => ResumeCause::Wait,
    };
    let resumed = again.resumed(definition, state, cause);
    Ok(match by {
        ResumeBy::Person => resumed,
        ResumeBy::Schedule | ResumeBy::Wait => RunResumed {
            paused: not_due(state),
            ..resumed
        },
    })
}

/// The reasons of a stop for several that are due with it: components that asked to stop, and go on now.
fn due_pauses(state: &RunState) -> impl Iterator<Item = Stop> {
    let stop = state
        .phase()
        .stop()
        .filter(|stop| stop.code() != StopCode::Ready);
    let due_at = stop.as_ref().and_then(|stop| stop.due_at);
    let reasons = stop.map(|stop| stop.reasons).unwrap_or_default();
    let due = move |reason: &Stop| reason.due_at.is_some() && reason.due_at == due_at;
    reasons
        .into_iter()
        .filter(|reason| !reason.code().is_wait())
        .filter(due)
}

/// The components that stay paused when time moves a run on that stands at several steps: theirs has not come.
fn not_due(state: &RunState) -> Vec<Path> {
    let stop = state.phase().stop();
    if stop.is_none_or(|stop| stop.reasons.is_empty()) {
        return Vec::new();
    }
    let due: BTreeSet<Path> = due_pauses(state).filter_map(|reason| reason.path).collect();
    let paused = state.stands_at();
    let paused = paused.filter(|record| matches!(record.phase, StepPhase::Paused { .. }));
    paused
        .map(|record| record.path.clone())
        .filter(|path| !due.contains(path))
        .collect()
}

/// The status of a run that stands still.
pub(super) fn stopped(state: &RunState) -> Result<Status, Refused> {
    let undone = state.executions().compensations().have_begun();
    match state.phase().status() {
        Status::Failed if undone => Err(Refused::Compensated),
        status @ (Status::Paused | Status::Failed) => Ok(status),
        status @ (Status::Pending | Status::Running | Status::Completed | Status::Cancelled) => {
            Err(Refused::NotStopped(status))
        }
    }
}

/// The step that ended the run, whose turn comes again.
fn ended_by(definition: &Definition, state: &RunState) -> Option<StepId> {
    Some(ended_at(definition, state)?.step().clone())
}

/// Where that was.
pub(super) fn ended_at(definition: &Definition, state: &RunState) -> Option<Path> {
    let stop = state.phase().stop()?;
    // Where steps with `finally` failed after it, it is one of the reasons.
    let all = std::iter::once(&stop).chain(&stop.reasons);
    let mut ended = all.filter(|stop| stop.code() == StopCode::Ended);
    if let Some(ended) = ended.next() {
        return ended.path.clone();
    }
    // Or none, as it would have completed the run.
    if stop.code() != StopCode::FinallyFailed {
        return None;
    }
    let mut ends = ends(definition, state);
    ends.next().map(|record| record.path().clone())
}

/// Where steps have ended the run.
pub(super) fn ends<'a>(
    definition: &'a Definition,
    state: &'a RunState,
) -> impl Iterator<Item = &'a StepRecord> {
    let steps = definition.steps().iter();
    let steps = steps.filter(|step| matches!(step.kind, StepKind::End(_)));
    let records = steps.flat_map(|step| state.executions().of_step(&step.id).iter());
    records.filter(|record| record.settled().is_some_and(|s| s.output().is_some()))
}
