//! Deadlines: a step that is not over by then fails, whatever it is at.

use std::time::Duration;

use super::waiting::ends_at;
use super::{Action, Decider, Standing, Walk};
use crate::definition::{ComponentStep, Step, StepKind};
use crate::event::StepEvent;
use crate::ids::Path;
use crate::outcome::{ErrorClass, StepError, codes};
use crate::state::{RunState, StepPhase, StepRecord};
use crate::time::{Timestamp, format_duration};

impl Decider<'_> {
    /// A step that is about to start for the first time, where it has a deadline that was not set yet.
    pub(super) fn set_deadline(
        &self,
        step: &Step,
        path: &Path,
        record: Option<&StepRecord>,
    ) -> Option<Action> {
        let allowed = step.deadline?;
        if record.is_some_and(|record| record.path == *path && record.deadline.is_some()) {
            return None;
        }
        let deadline = self.now.after(allowed);
        Some(Action::record(path, StepEvent::DeadlineSet { deadline }))
    }

    /// How long an attempt that starts now may take.
    pub(super) fn attempt_timeout(
        &self,
        component: &ComponentStep,
        record: Option<&StepRecord>,
    ) -> Duration {
        match record.and_then(StepRecord::deadline) {
            Some(deadline) => component.timeout.min(deadline.since(self.now)),
            None => component.timeout,
        }
    }

    /// The error with which the deadline ends a step by now, or ends a retry that would come too late.
    pub(super) fn out_of_time(&self, step: &Step, record: &StepRecord) -> Option<StepError> {
        let deadline = record.deadline?;
        let last = match &record.phase {
            StepPhase::Waiting { retry_at, error } if *retry_at >= deadline => Some(error),
            // Its own end came first.
            StepPhase::Awaiting { wait }
                if ends_at(step, wait).is_some_and(|until| until <= deadline) =>
            {
                return None;
            }
            _ if deadline <= self.now => None,
            _ => return None,
        };
        Some(exceeded(step, last))
    }

    /// The time of a step is over. What is open in it ends first: attempts may clean up, all else is closed.
    pub(super) fn end_at_deadline(
        &self,
        path: &Path,
        record: &StepRecord,
        error: StepError,
        walk: &mut Walk<'_>,
    ) -> Standing {
        let failed = StepEvent::failed(error);
        match &record.phase {
            StepPhase::InFlight { .. } => return walk.cancel(path),
            // A signal that came in time ends it still.
            StepPhase::Awaiting { .. } => {
                return walk.act(Action::EndWait {
                    path: path.clone(),
                    event: failed,
                });
            }
            StepPhase::Pending
            | StepPhase::Waiting { .. }
            | StepPhase::Paused { .. }
            | StepPhase::Looping { .. }
            | StepPhase::FannedOut
            | StepPhase::InItem
            | StepPhase::Settled(_) => {}
        }
        let inside = |record: &&StepRecord| record.path.is_within(path);
        match self.close(inside, walk) {
            true => Standing::Open,
            false => walk.act(Action::record(path, failed)),
        }
    }

    /// Ends what is open of these executions. Returns whether anything was.
    pub(super) fn close(&self, of: impl Fn(&&StepRecord) -> bool, walk: &mut Walk<'_>) -> bool {
        let mut open = false;
        for record in self.state.executions().iter().filter(of) {
            match &record.phase {
                StepPhase::InFlight { .. } => {
                    walk.cancel(&record.path);
                }
                StepPhase::Waiting { .. }
                | StepPhase::Paused { .. }
                | StepPhase::Awaiting { .. } => {
                    let attempt = record.attempts();
                    walk.act(Action::record(
                        &record.path,
                        StepEvent::Interrupted { attempt },
                    ));
                }
                StepPhase::Pending
                | StepPhase::Looping { .. }
                | StepPhase::FannedOut
                | StepPhase::InItem
                | StepPhase::Settled(_) => continue,
            }
            open = true;
        }
        open
    }

    /// What ends a wait before anything else does, by now: its own deadline, or that of a step around it.
    pub(super) fn wait_out_of_time(&self, path: &Path) -> Option<(Timestamp, StepEvent)> {
        let (owner, deadline) = earliest(self.state, path)?;
        let step = self.definition.step(owner.path.step())?;
        (deadline <= self.now).then(|| (deadline, StepEvent::failed(exceeded(step, None))))
    }
}

/// When the execution at `path` has to be over: by its own deadline, or by that of a step around it.
#[must_use]
pub(crate) fn due_by(state: &RunState, path: &Path) -> Option<Timestamp> {
    Some(earliest(state, path)?.1)
}

fn earliest<'a>(state: &'a RunState, path: &Path) -> Option<(&'a StepRecord, Timestamp)> {
    let around = std::iter::successors(Some(path.clone()), Path::around);
    around
        .filter_map(|path| {
            let record = state.executions().at(&path)?;
            Some((record, record.deadline?))
        })
        .min_by_key(|(_, deadline)| *deadline)
}

/// The error of an attempt that ran into the deadline of its step, rather than into its own timeout.
pub(super) fn cut_off(step: &Step, record: &StepRecord, error: &StepError) -> Option<StepError> {
    let (StepKind::Component(component), StepPhase::InFlight { since }) =
        (&step.kind, &record.phase)
    else {
        return None;
    };
    let cut = record.deadline?.since(*since) < component.timeout;
    let timed_out = error.class == ErrorClass::Timeout && error.code == codes::TIMEOUT;
    (cut && timed_out).then(|| exceeded(step, None))
}

/// Whether a step failed because its time was over; the host alone gives errors of that class.
pub(crate) fn is_exceeded(error: &StepError) -> bool {
    error.class == ErrorClass::Timeout && error.code == codes::DEADLINE_EXCEEDED
}

fn exceeded(step: &Step, last: Option<&StepError>) -> StepError {
    let allowed = step.deadline.map_or_else(String::new, |deadline| {
        format!(" of {}", format_duration(deadline))
    });
    let id = &step.id;
    let message = match last {
        None => format!("`{id}` did not end within its deadline{allowed}"),
        Some(error) => format!(
            "the next attempt would start after the deadline{allowed} of `{id}`; the last one failed ({}): {}",
            error.code, error.message
        ),
    };
    let code = codes::DEADLINE_EXCEEDED;
    StepError::new(ErrorClass::Timeout, code, message)
}
