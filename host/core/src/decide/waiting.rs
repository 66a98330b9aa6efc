//! Waits and approvals: how they begin, when time ends them, and why the run stands at them.

use std::borrow::Cow;

use serde_json::Value;

use super::ending::last;
use super::{Action, Decider, Standing, Walk, expression_failed};
use crate::definition::{
    ApprovalStep, Definition, OnApprovalTimeout, OnReject, OnWaitTimeout, Step, StepKind, WaitStep,
};
use crate::event::{Event, StepEvent, WaitEvent};
use crate::expr::{Budget, Expr};
use crate::ids::Path;
use crate::limits;
use crate::open::Timer;
use crate::outcome::{ErrorClass, StepError, codes};
use crate::scope::StateScope;
use crate::state::{Ending, RunState, Status, StepPhase};
use crate::stop::{Stop, Why};
use crate::time::{InvalidTimestamp, Timestamp};
use crate::wait::{self, Verdict, Wait};

/// The event that ends the wait at `path`, at which a run stands, when its time is over by now. Whoever comes with a signal or a
/// decision records it first: deadlines hold at the write, not only when a worker looks.
#[must_use]
pub fn overdue(
    definition: &Definition,
    state: &RunState,
    path: &Path,
    now: Timestamp,
) -> Option<Event> {
    if state.phase().status() != Status::Paused {
        return None;
    }
    let record = state.executions().at(path)?;
    let StepPhase::Awaiting { wait } = &record.phase else {
        return None;
    };
    let decider = Decider {
        definition,
        state,
        now,
    };
    let step = definition.step(record.path.step())?;
    if let Some((deadline, event)) = decider.wait_out_of_time(&record.path)
        && ends_at(step, wait).is_none_or(|until| until > deadline)
    {
        return Some(event.at(record.path.clone()));
    }
    if matches!(wait, Wait::Time { .. }) || wait.until()? > now {
        return None;
    }
    match decider.timed_out(step, &record.path, wait) {
        AtTimeout::Ends(event) => Some(event.at(record.path.clone())),
        AtTimeout::Cancels(stop) => {
            Some(last(definition, state, Ending::Cancelled { stop }).into())
        }
        // It asks on.
        AtTimeout::Stays(_) => None,
    }
}

/// What becomes of a wait whose time is over.
enum AtTimeout {
    /// It ends.
    Ends(StepEvent),
    /// The run ends with it.
    Cancels(Stop),
    /// It goes on without a time.
    Stays(Stop),
}

impl Decider<'_> {
    pub(super) fn begin_wait(&self, step: &WaitStep, path: &Path) -> Action {
        let until = |until| Wait::Time { until };
        let wait = match step {
            WaitStep::For(duration) => Ok(until(self.now.after(*duration))),
            WaitStep::Until(expr) => self.instant(expr, path).map(until),
            WaitStep::Signal { name, timeout, .. } => Ok(Wait::Signal {
                name: name.clone(),
                until: timeout.map(|timeout| self.now.after(timeout)),
            }),
        };
        begin(path, wait)
    }

    /// The point in time that `wait.until` gives.
    fn instant(&self, expr: &Expr, path: &Path) -> Result<Timestamp, Box<StepEvent>> {
        let scope = StateScope::of_step(self.definition, self.state, path);
        let value = expr
            .eval(&scope, &mut Budget::default())
            .map_err(|error| Box::new(expression_failed("wait.until", &error)))?;
        let instant = value
            .as_str()
            .ok_or_else(|| "a point in time is a text".to_owned())
            .and_then(|text| text.parse().map_err(|e: InvalidTimestamp| e.to_string()));
        instant.map_err(|reason| {
            Box::new(StepEvent::failed(StepError::new(
                ErrorClass::Definition,
                codes::EXPRESSION_ERROR,
                format!("in `wait.until`: {reason}"),
            )))
        })
    }

    pub(super) fn begin_approval(&self, step: &ApprovalStep, path: &Path) -> Action {
        let scope = StateScope::of_step(self.definition, self.state, path);
        let wait = match step.message.resolve(&scope, &mut Budget::default()) {
            Ok(message) => Ok(Wait::Approval {
                message: asked(&match message {
                    Value::String(text) => text,
                    other => other.to_string(),
                })
                .into_owned(),
                until: step.timeout.map(|timeout| self.now.after(timeout)),
            }),
            Err(error) => Err(Box::new(expression_failed("approval.message", &error))),
        };
        begin(path, wait)
    }

    /// A wait that nothing has ended yet: time may, else it stands until somebody or something ends it.
    pub(super) fn awaiting(
        &self,
        step: &Step,
        path: &Path,
        wait: &Wait,
        walk: &mut Walk<'_>,
    ) -> Standing {
        if let Some(until) = ends_at(step, wait).filter(|until| *until > self.now) {
            let timer = match wait {
                Wait::Time { .. } => Timer::Time,
                Wait::Signal { .. } | Wait::Approval { .. } | Wait::Child { .. } => Timer::Wait,
            };
            let _open = walk.wake(timer, until);
        }
        match wait.until() {
            Some(until) if until <= self.now => match self.timed_out(step, path, wait) {
                AtTimeout::Ends(event) => walk.act(Action::EndWait {
                    path: path.clone(),
                    event,
                }),
                AtTimeout::Cancels(stop) => walk.end(Ending::Cancelled { stop }),
                AtTimeout::Stays(stop) => walk.stand(|| stop),
            },
            Some(_) | None => walk.stand(|| wait_stop(step, path, wait, false)),
        }
    }

    fn timed_out(&self, step: &Step, path: &Path, awaited: &Wait) -> AtTimeout {
        let ended = |output| AtTimeout::Ends(WaitEvent::Ended { output }.into());
        let failed = |message: String| {
            let code = codes::WAIT_TIMED_OUT;
            AtTimeout::Ends(StepEvent::failed(StepError::new(
                ErrorClass::Timeout,
                code,
                message,
            )))
        };
        let run = &self.state.created().run;
        match (&step.kind, awaited) {
            (_, Wait::Time { until }) => ended(wait::time_output(*until)),
            (StepKind::Wait(WaitStep::Signal { on_timeout, .. }), Wait::Signal { name, .. })
                if *on_timeout == OnWaitTimeout::Continue =>
            {
                ended(wait::signal_output(name, None))
            }
            (StepKind::Approval(approval), Wait::Approval { .. }) => {
                let verdict = match (approval.on_timeout, approval.on_reject) {
                    (OnApprovalTimeout::Approve, _) => Verdict::Approved,
                    (OnApprovalTimeout::Reject, OnReject::Continue) => Verdict::Rejected,
                    (OnApprovalTimeout::Reject, OnReject::Cancel) => {
                        let stop = Stop::new(Why::ApprovalTimedOut);
                        return AtTimeout::Cancels(stop.at(path.clone()));
                    }
                    (OnApprovalTimeout::Stay, _) => {
                        return AtTimeout::Stays(wait_stop(step, path, awaited, true));
                    }
                };
                ended(wait::approval_output(verdict, None, None, true))
            }
            (_, Wait::Signal { name, .. }) => failed(format!(
                "the signal `{name}` did not come in time; run `{run}`"
            )),
            (_, Wait::Approval { .. }) => failed("nobody decided in time".to_owned()),
            (_, Wait::Child { run, .. }) => failed(format!("the run `{run}` did not end in time")),
        }
    }
}

/// When time ends a wait by itself. An approval that stays asks on.
pub(crate) fn ends_at(step: &Step, wait: &Wait) -> Option<Timestamp> {
    let stays = matches!(
        &step.kind,
        StepKind::Approval(approval) if approval.on_timeout == OnApprovalTimeout::Stay
    );
    wait.until().filter(|_| !stays)
}

/// Why a run that waits does not move. The time of an approval that stays makes it `overdue`, and else nothing: nothing is due
/// then.
fn wait_stop(step: &Step, path: &Path, awaited: &Wait, overdue: bool) -> Stop {
    let why = match awaited {
        Wait::Time { .. } => Why::WaitingForTime,
        Wait::Signal { name, .. } => Why::WaitingForSignal {
            signal: name.clone(),
        },
        Wait::Approval { message, .. } => Why::WaitingForApproval {
            question: message.clone(),
            overdue,
        },
        Wait::Child { run, .. } => Why::WaitingForChild { run: run.clone() },
    };
    Stop {
        due_at: ends_at(step, awaited),
        ..Stop::new(why).at(path.clone())
    }
}

fn begin(path: &Path, wait: Result<Wait, Box<StepEvent>>) -> Action {
    match wait {
        Ok(wait) => Action::Await {
            path: path.clone(),
            wait,
        },
        Err(failed) => Action::record(path, *failed),
    }
}

/// What a person is asked is a note: a longer text is cut, and says so.
pub(crate) fn asked(message: &str) -> Cow<'_, str> {
    if message.len() <= limits::NOTE_BYTES {
        return Cow::Borrowed(message);
    }
    let left = limits::NOTE_BYTES - 64;
    let shown = &message[..message.floor_char_boundary(left)];
    Cow::Owned(format!(
        "{shown}… ({} more bytes)",
        message.len() - shown.len()
    ))
}
