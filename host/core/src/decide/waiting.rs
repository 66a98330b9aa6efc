//! Waits and approvals: how they begin, when time ends them, and why the run stands at them.

use std::borrow::Cow;

use serde_json::Value;

use super::{Decider, StepNext, Wait, expression_failed};
use crate::definition::{
    ApprovalStep, Definition, OnApprovalTimeout, OnReject, OnWaitTimeout, Step, StepKind, WaitStep,
};
use crate::event::{Event, RunEvent, StepEvent, WaitEvent};
use crate::expr::{Budget, Expr};
use crate::ids::Path;
use crate::limits;
use crate::outcome::{ErrorClass, StepError, codes};
use crate::scope::StateScope;
use crate::shell;
use crate::state::{RunState, Status, StepPhase};
use crate::stop::{Stop, StopCode};
use crate::tape::Tape;
use crate::time::{InvalidTimestamp, Timestamp};
use crate::wait::{self, Wait as Awaited};

/// The event that ends the wait at which a paused run stands, when its time is over by now. Whoever comes with a signal or a
/// decision records it first: deadlines hold at the write, not only when a worker looks.
#[must_use]
pub fn overdue(definition: &Definition, state: &RunState, now: Timestamp) -> Option<Event> {
    if state.phase.status() != Status::Paused {
        return None;
    }
    let record = state.stands_at()?;
    let StepPhase::Awaiting { wait } = &record.phase else {
        return None;
    };
    let until = match wait {
        Awaited::Time { .. } => None,
        Awaited::Signal { until, .. } | Awaited::Approval { until, .. } => *until,
    };
    if until? > now {
        return None;
    }
    let decider = Decider {
        definition,
        state,
        now,
    };
    let step = definition.step(record.path.step())?;
    // An approval that stays asks on.
    match decider.timed_out(step, &record.path, wait) {
        Event::Run(RunEvent::Paused { .. }) => None,
        event => Some(event),
    }
}

impl Decider<'_> {
    pub(super) fn begin_wait(&self, step: &WaitStep, path: &Path) -> Event {
        let wait = match step {
            WaitStep::For(duration) => Awaited::Time {
                until: self.now.after(*duration),
            },
            WaitStep::Until(expr) => match self.instant(expr, path) {
                Ok(until) => Awaited::Time { until },
                Err(failed) => return *failed,
            },
            WaitStep::Signal { name, timeout, .. } => Awaited::Signal {
                name: name.clone(),
                until: timeout.map(|timeout| self.now.after(timeout)),
            },
        };
        Event::Step {
            path: path.clone(),
            event: StepEvent::Wait(WaitEvent::Started { wait }),
        }
    }

    /// The point in time that `wait.until` gives.
    fn instant(&self, expr: &Expr, path: &Path) -> Result<Timestamp, Box<Event>> {
        let scope = StateScope::of_step(self.definition, self.state, path);
        let value = expr
            .eval(&scope, &mut Budget::default())
            .map_err(|error| Box::new(expression_failed(path, "wait.until", &error)))?;
        let instant = value
            .as_str()
            .ok_or_else(|| "a point in time is a text".to_owned())
            .and_then(|text| text.parse().map_err(|e: InvalidTimestamp| e.to_string()));
        instant.map_err(|reason| {
            Box::new(Event::Step {
                path: path.clone(),
                event: StepEvent::Failed {
                    attempt: None,
                    error: StepError::new(
                        ErrorClass::Definition,
                        codes::EXPRESSION_ERROR,
                        format!("in `wait.until`: {reason}"),
                    ),
                    tape: Tape::default(),
                },
            })
        })
    }

    pub(super) fn begin_approval(&self, step: &ApprovalStep, path: &Path) -> Event {
        let scope = StateScope::of_step(self.definition, self.state, path);
        match step.message.resolve(&scope, &mut Budget::default()) {
            Ok(message) => Event::Step {
                path: path.clone(),
                event: StepEvent::Wait(WaitEvent::Started {
                    wait: Awaited::Approval {
                        message: asked(&match message {
                            Value::String(text) => text,
                            other => other.to_string(),
                        })
                        .into_owned(),
                        until: step.timeout.map(|timeout| self.now.after(timeout)),
                    },
                }),
            },
            Err(error) => expression_failed(path, "approval.message", &error),
        }
    }

    /// A wait that nothing has ended yet: time may, else the run stops here until somebody or something does.
    pub(super) fn awaiting(
        &self,
        step: &Step,
        path: &Path,
        awaited: &Awaited,
        wait: &mut Wait,
    ) -> StepNext {
        let until = awaited.until();
        if until.is_some_and(|until| until <= self.now) {
            return StepNext::Record(self.timed_out(step, path, awaited));
        }
        match awaited {
            Awaited::Time { until } if until.since(self.now) <= limits::WAIT_IN_PLACE => {
                wait.wake_at = Some(wait.wake_at.map_or(*until, |at| at.min(*until)));
                StepNext::Busy
            }
            Awaited::Time { .. } | Awaited::Signal { .. } | Awaited::Approval { .. } => {
                StepNext::Record(Event::Run(RunEvent::Paused {
                    stop: self.wait_stop(step, path, awaited),
                }))
            }
        }
    }

    fn timed_out(&self, step: &Step, path: &Path, awaited: &Awaited) -> Event {
        let ended = |output| Event::Step {
            path: path.clone(),
            event: StepEvent::Wait(WaitEvent::Ended { output }),
        };
        let run = &self.state.created.run;
        match (&step.kind, awaited) {
            (_, Awaited::Time { until }) => ended(wait::time_output(*until)),
            (StepKind::Wait(WaitStep::Signal { on_timeout, .. }), Awaited::Signal { name, .. })
                if *on_timeout == OnWaitTimeout::Continue =>
            {
                ended(wait::signal_output(name, None))
            }
            (StepKind::Approval(approval), Awaited::Approval { .. }) => {
                let verdict = match (approval.on_timeout, approval.on_reject) {
                    (OnApprovalTimeout::Approve, _) => wait::Verdict::Approved,
                    (OnApprovalTimeout::Reject, OnReject::Continue) => wait::Verdict::Rejected,
                    (OnApprovalTimeout::Reject, OnReject::Cancel) => {
                        return Event::Run(RunEvent::Cancelled {
                            stop: Stop::over(
                                StopCode::ApprovalTimedOut,
                                format!("nobody decided at `{path}` in time"),
                            )
                            .at(path.clone()),
                        });
                    }
                    (OnApprovalTimeout::Stay, _) => {
                        return Event::Run(RunEvent::Paused {
                            stop: Stop {
                                due_at: None,
                                message: format!("nobody decided at `{path}` in time"),
                                ..self.wait_stop(step, path, awaited)
                            },
                        });
                    }
                };
                ended(wait::approval_output(verdict, None, None, true))
            }
            (_, Awaited::Signal { .. } | Awaited::Approval { .. }) => Event::Step {
                path: path.clone(),
                event: StepEvent::Failed {
                    attempt: None,
                    error: StepError::new(
                        ErrorClass::Timeout,
                        codes::WAIT_TIMED_OUT,
                        match awaited {
                            Awaited::Signal { name, .. } => {
                                format!("the signal `{name}` did not come in time; run `{run}`")
                            }
                            Awaited::Time { .. } | Awaited::Approval { .. } => {
                                "nobody decided in time".to_owned()
                            }
                        },
                    ),
                    tape: Tape::default(),
                },
            },
        }
    }

    /// Why a run that waits does not move. Time ends an approval that stays only for the message: nothing is due then.
    fn wait_stop(&self, step: &Step, path: &Path, awaited: &Awaited) -> Stop {
        let run = &self.state.created.run;
        let stays = matches!(
            &step.kind,
            StepKind::Approval(approval) if approval.on_timeout == OnApprovalTimeout::Stay
        );
        let (code, message, next) = match awaited {
            Awaited::Time { .. } => (
                StopCode::WaitingForTime,
                format!("`{path}` waits for a point in time"),
                format!(
                    "a worker (`milepost work`) goes on then; so does `milepost resume {run}`, not before"
                ),
            ),
            Awaited::Signal { name, .. } => (
                StopCode::WaitingForSignal,
                format!("`{path}` waits for the signal `{name}`"),
                format!("`{}` goes on", shell::signal_command(run, name)),
            ),
            Awaited::Approval { message, .. } => (
                StopCode::WaitingForApproval,
                format!("`{path}` asks: {message}"),
                format!("`milepost approve {run}` or `milepost reject {run}` decides"),
            ),
        };
        Stop {
            due_at: awaited.until().filter(|_| !stays),
            ..Stop::new(code, message, next).at(path.clone())
        }
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
