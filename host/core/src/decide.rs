//! What a run does next. A pure function of definition, state and time; the engine performs what it says, replay checks
//! that the record agrees with it.

mod fitting;
mod stopping;
mod waiting;

pub(crate) use fitting::fits;
pub use stopping::too_large;
pub(crate) use waiting::asked;
pub use waiting::overdue;

use sha2::{Digest as _, Sha256};

use crate::definition::{ComponentStep, Definition, LoopStep, OnExhausted, Step, StepKind};
use crate::event::{AttemptStarted, Event, LoopEvent, RunEvent, StepEvent};
use crate::expr::{Budget, EvalError};
use crate::frontier::Frontier;
use crate::ids::{Path, RunId};
use crate::outcome::{ErrorClass, Outcome, Pause, StepError, codes};
use crate::payload::Payload;
use crate::retry::AfterFailure;
use crate::scope::StateScope;
use crate::state::{Phase, RunState, StepPhase, StepRecord, StepResult};
use crate::tape::Tape;
use crate::time::Timestamp;

/// What a run does next.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
#[expect(
    clippy::large_enum_variant,
    reason = "made and consumed at once: a box would only add an allocation"
)]
pub enum Decision {
    /// Record this event, apply it, and ask again.
    Record(Event),
    /// Nothing to record until an attempt in flight ends, or until `wake_at`.
    Wait {
        /// Executions whose attempt was started and has no outcome.
        in_flight: Vec<Path>,
        /// The earliest due retry.
        wake_at: Option<Timestamp>,
    },
    /// The run does not move: it is not running.
    Stopped,
}

/// Decides the next move of a run.
///
/// # Panics
/// Never on states that [`RunState::apply`] produced under the same definition.
pub fn decide(definition: &Definition, state: &RunState, now: Timestamp) -> Decision {
    decide_from(&mut Frontier::default(), definition, state, now)
}

/// [`decide`] for whoever asks again and again: what the frontier has passed is not looked at again, so a decision does not
/// take longer the more steps have ended. A frontier is of one run.
///
/// # Panics
/// Never on states that [`RunState::apply`] produced under the same definition.
pub fn decide_from(
    frontier: &mut Frontier,
    definition: &Definition,
    state: &RunState,
    now: Timestamp,
) -> Decision {
    if state.phase != Phase::Running {
        return Decision::Stopped;
    }
    let decider = Decider {
        definition,
        state,
        now,
    };
    frontier.under(state.epoch);
    let mut walk = Walk {
        frontier,
        wait: Wait::default(),
    };
    let next = decider.scope(definition.top(), None, &mut walk);
    let wait = walk.wait;
    match next {
        ScopeNext::Record(event) => Decision::Record(event),
        ScopeNext::Busy => Decision::Wait {
            in_flight: wait.in_flight,
            wake_at: wait.wake_at,
        },
        ScopeNext::Done => Decision::Record(decider.finish()),
    }
}

/// The event that an attempt's outcome gives: it settles, delays or pauses the step.
#[must_use]
pub fn settle(
    definition: &Definition,
    state: &RunState,
    path: &Path,
    attempt: u32,
    outcome: Outcome,
    tape: Tape,
    now: Timestamp,
) -> Event {
    let fitting = match outcome {
        // Written once: the text that is measured is the one that is recorded.
        Outcome::Completed(output) => {
            let output = Payload::new(output);
            match fitting::fits(state, path, "this output", output.text().len()) {
                Ok(()) => {
                    return Event::Step {
                        path: path.clone(),
                        event: StepEvent::Completed {
                            attempt,
                            output,
                            tape,
                        },
                    };
                }
                Err(error) => Err(error),
            }
        }
        other => fitting::fit(state, path, other),
    };
    match fitting {
        Ok(outcome) => settle_recorded(definition, state, path, attempt, outcome, tape, now),
        Err(error) => Event::Step {
            path: path.clone(),
            event: StepEvent::Failed {
                attempt: Some(attempt),
                error: *error,
                tape,
            },
        },
    }
}

/// [`settle`] for an outcome that stands in a journal: what was recorded had room in the run's state, as it was measured then.
#[must_use]
pub fn settle_recorded(
    definition: &Definition,
    state: &RunState,
    path: &Path,
    attempt: u32,
    outcome: Outcome,
    tape: Tape,
    now: Timestamp,
) -> Event {
    let path = path.clone();
    match outcome {
        Outcome::Completed(output) => Event::Step {
            path,
            event: StepEvent::Completed {
                attempt,
                output: Payload::new(output),
                tape,
            },
        },
        Outcome::Paused(pause) => Event::Step {
            path,
            event: StepEvent::Paused {
                attempt,
                pause,
                error: None,
                tape,
            },
        },
        Outcome::Cancelled(message) => Event::Step {
            path,
            event: StepEvent::Failed {
                attempt: Some(attempt),
                error: StepError::new(ErrorClass::Failed, codes::CANCELLED, message),
                tape,
            },
        },
        Outcome::Failed(error) => failed(definition, state, path, attempt, error, tape, now),
    }
}

/// Passes a failed attempt through the step's retry policy: one classifier for returned errors, traps and host errors.
fn failed(
    definition: &Definition,
    state: &RunState,
    path: Path,
    attempt: u32,
    error: StepError,
    tape: Tape,
    now: Timestamp,
) -> Event {
    let failures = state.steps.get(path.step()).map_or(0, |r| r.failures) + 1;
    let component = definition
        .step(path.step())
        .and_then(|step| match &step.kind {
            StepKind::Component(component) => Some(component),
            StepKind::Loop(_) | StepKind::Wait(_) | StepKind::Approval(_) => None,
        });
    let rules = state.created.rules;
    let verdict = component.map_or(AfterFailure::Fail, |component| {
        let run = &state.created.run;
        match component.retry.verdict(rules, run, &path, failures, &error) {
            AfterFailure::Pause(_) if component.handled && rules.handle_failures() => {
                AfterFailure::Fail
            }
            verdict => verdict,
        }
    });
    match verdict {
        AfterFailure::Retry(wait) => Event::Step {
            path,
            event: StepEvent::AttemptFailed {
                attempt,
                error,
                retry_at: now.after(wait),
                tape,
            },
        },
        AfterFailure::Pause(wait) => Event::Step {
            path,
            event: StepEvent::Paused {
                attempt,
                pause: Pause {
                    code: error.code.clone(),
                    reason: error.message.clone(),
                    provider: error.provider.clone(),
                    until: wait.map(|wait| now.after(wait)),
                    signal: None,
                    state: None,
                },
                error: Some(error),
                tape,
            },
        },
        AfterFailure::Fail => Event::Step {
            path,
            event: StepEvent::Failed {
                attempt: Some(attempt),
                error,
                tape,
            },
        },
    }
}

/// The events that stop a running run from outside: every attempt in flight is interrupted, then the run stops.
#[must_use]
pub fn interrupt(state: &RunState, last: Event) -> Vec<Event> {
    let mut events: Vec<Event> = state
        .in_flight
        .iter()
        .filter_map(|id| state.steps.get(id))
        .map(|record| Event::Step {
            path: record.path.clone(),
            event: StepEvent::Interrupted {
                attempt: record.attempts,
            },
        })
        .collect();
    events.push(last);
    events
}

/// The seed of one attempt, derived from the run's seed.
#[must_use]
pub fn attempt_seed(run_seed: u64, run: &RunId, path: &Path, attempt: u32) -> u64 {
    let hash = Sha256::digest(format!("{run_seed}/{run}/{path}/{attempt}").as_bytes());
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hash[..8]);
    // 53 bits: what every reader of the journal can hold exactly.
    u64::from_be_bytes(bytes) >> 11
}

struct Walk<'a> {
    frontier: &'a mut Frontier,
    wait: Wait,
}

#[derive(Default)]
struct Wait {
    in_flight: Vec<Path>,
    wake_at: Option<Timestamp>,
}

#[expect(
    clippy::large_enum_variant,
    reason = "made and consumed at once: a box would only add an allocation"
)]
enum ScopeNext {
    Record(Event),
    /// Something is in flight or due later.
    Busy,
    /// Every member is settled, or a failure ends the scope.
    Done,
}

struct Decider<'a> {
    definition: &'a Definition,
    state: &'a RunState,
    now: Timestamp,
}

impl Decider<'_> {
    /// Walks the members of one scope in file order: the top level (`pass` is `None`) or one pass of a loop's body.
    fn scope(
        &self,
        members: &[usize],
        pass: Option<(&Path, u32)>,
        walk: &mut Walk<'_>,
    ) -> ScopeNext {
        let depth = pass.map_or(0, |(outer, _)| outer.segments().len());
        let behind = walk.frontier.enter(depth, pass.map_or(0, |(_, n)| n));
        for index in members.iter().skip(behind) {
            let step = &self.definition.steps()[*index];
            // Looking at a settled member must not cost an allocation.
            let record = self
                .state
                .steps
                .get(&step.id)
                .filter(|record| record.path.stands_in(pass));
            let next = if let Some(settled) = record.and_then(StepRecord::settled) {
                StepNext::Settled {
                    failed: matches!(settled.result, StepResult::Failed { .. }),
                }
            } else {
                let path = match pass {
                    None => Path::top(step.id.clone()),
                    Some((outer, iteration)) => outer.member(iteration, step.id.clone()),
                };
                self.step(step, &path, record, walk)
            };
            match next {
                StepNext::Settled { failed } => {
                    // In a loop `until` alone decides; at the top a failure ends the run, unless told otherwise.
                    if failed && pass.is_none() && !step.continue_on_error {
                        return ScopeNext::Done;
                    }
                    walk.frontier.pass_by(depth);
                }
                StepNext::Record(event) => return ScopeNext::Record(event),
                StepNext::Busy => return ScopeNext::Busy,
            }
        }
        ScopeNext::Done
    }

    fn step(
        &self,
        step: &Step,
        path: &Path,
        record: Option<&StepRecord>,
        walk: &mut Walk<'_>,
    ) -> StepNext {
        let Some(record) = record else {
            return self.begin(step, path, None);
        };
        match &record.phase {
            StepPhase::Settled(settled) => StepNext::Settled {
                failed: matches!(settled.result, StepResult::Failed { .. }),
            },
            StepPhase::Pending => self.begin(step, path, Some(record)),
            StepPhase::InFlight { .. } => {
                walk.wait.in_flight.push(path.clone());
                StepNext::Busy
            }
            StepPhase::Waiting { retry_at, .. } if *retry_at <= self.now => match &step.kind {
                StepKind::Component(component) => {
                    self.start(component, step, path, record.attempts + 1)
                }
                StepKind::Loop(_) | StepKind::Wait(_) | StepKind::Approval(_) => {
                    self.begin(step, path, Some(record))
                }
            },
            StepPhase::Waiting { retry_at, .. } => {
                let wait = &mut walk.wait;
                wait.wake_at = Some(wait.wake_at.map_or(*retry_at, |at| at.min(*retry_at)));
                StepNext::Busy
            }
            StepPhase::Paused {
                pause,
                retries_exhausted,
            } => StepNext::Record(Event::Run(RunEvent::Paused {
                stop: self.pause_stop(path, pause, *retries_exhausted),
            })),
            StepPhase::Looping {
                iteration,
                condition_met,
            } => match &step.kind {
                StepKind::Loop(body) => {
                    self.in_loop(body, step, path, *iteration, *condition_met, walk)
                }
                StepKind::Component(_) | StepKind::Wait(_) | StepKind::Approval(_) => {
                    self.begin(step, path, Some(record))
                }
            },
            StepPhase::Awaiting { wait: awaited } => {
                self.awaiting(step, path, awaited, &mut walk.wait)
            }
        }
    }

    /// A step whose turn has come: its condition decides, then it starts.
    fn begin(&self, step: &Step, path: &Path, record: Option<&StepRecord>) -> StepNext {
        if let Some(condition) = &step.condition {
            let scope = StateScope::of_step(self.definition, self.state, path);
            match condition.eval_bool(&scope, &mut Budget::default()) {
                Ok(true) => {}
                Ok(false) => {
                    return StepNext::Record(Event::Step {
                        path: path.clone(),
                        event: StepEvent::Skipped {
                            condition: condition.text().to_owned(),
                        },
                    });
                }
                Err(error) => return StepNext::Record(expression_failed(path, "if", &error)),
            }
        }
        match &step.kind {
            StepKind::Component(component) => {
                self.start(component, step, path, record.map_or(0, |r| r.attempts) + 1)
            }
            StepKind::Loop(body) => StepNext::Record(self.next_pass(body, path, 0)),
            StepKind::Wait(wait) => StepNext::Record(self.begin_wait(wait, path)),
            StepKind::Approval(approval) => StepNext::Record(self.begin_approval(approval, path)),
        }
    }

    fn start(&self, component: &ComponentStep, step: &Step, path: &Path, attempt: u32) -> StepNext {
        let scope = StateScope::of_step(self.definition, self.state, path);
        let input = match component.with.resolve(&scope, &mut Budget::default()) {
            Ok(input) => input,
            Err(error) => return StepNext::Record(expression_failed(path, "with", &error)),
        };
        debug_assert_eq!(step.id, *path.step());
        StepNext::Record(Event::Step {
            path: path.clone(),
            event: StepEvent::Started(AttemptStarted {
                attempt, // The call is about to read it.
                input: Payload::kept(input),
                seed: attempt_seed(
                    self.state.created.seed,
                    &self.state.created.run,
                    path,
                    attempt,
                ),
                timeout_millis: u64::try_from(component.timeout.as_millis()).unwrap_or(u64::MAX),
            }),
        })
    }

    fn in_loop(
        &self,
        body: &LoopStep,
        step: &Step,
        path: &Path,
        iteration: u32,
        condition_met: Option<bool>,
        walk: &mut Walk<'_>,
    ) -> StepNext {
        if let Some(met) = condition_met {
            return StepNext::Record(if met {
                Event::Step {
                    path: path.clone(),
                    event: StepEvent::Loop(LoopEvent::Completed {
                        iterations: iteration,
                        condition_met: true,
                    }),
                }
            } else {
                self.next_pass(body, path, iteration)
            });
        }
        // A limit that was lowered below the recorded pass ends the loop; it never starts it afresh (B134).
        if iteration > body.max_iterations {
            return StepNext::Record(self.exhausted(body, path, iteration));
        }
        match self.scope(&body.body, Some((path, iteration)), walk) {
            ScopeNext::Record(event) => StepNext::Record(event),
            ScopeNext::Busy => StepNext::Busy,
            ScopeNext::Done => {
                let scope = StateScope::of_until(self.definition, self.state, path, iteration);
                debug_assert_eq!(step.id, *path.step());
                StepNext::Record(match body.until.eval_bool(&scope, &mut Budget::default()) {
                    Ok(condition_met) => Event::Step {
                        path: path.clone(),
                        event: StepEvent::Loop(LoopEvent::IterationEnded {
                            iteration,
                            condition_met,
                        }),
                    },
                    Err(error) => expression_failed(path, "until", &error),
                })
            }
        }
    }

    fn next_pass(&self, body: &LoopStep, path: &Path, done: u32) -> Event {
        if done >= body.max_iterations {
            return self.exhausted(body, path, done);
        }
        Event::Step {
            path: path.clone(),
            event: StepEvent::Loop(LoopEvent::IterationStarted {
                iteration: done + 1,
            }),
        }
    }

    fn exhausted(&self, body: &LoopStep, path: &Path, iterations: u32) -> Event {
        match body.on_exhausted {
            OnExhausted::Continue => Event::Step {
                path: path.clone(),
                event: StepEvent::Loop(LoopEvent::Completed {
                    iterations,
                    condition_met: false,
                }),
            },
            OnExhausted::Fail => {
                let mut message = format!(
                    "condition not met after {iterations} iteration{}: {}",
                    if iterations == 1 { "" } else { "s" },
                    body.until.text()
                );
                let last_error = body
                    .body
                    .iter()
                    .rev()
                    .filter_map(|index| {
                        let id = &self.definition.steps()[*index].id;
                        self.state.steps.get(id)
                    })
                    .filter(|record| record.path.is_inside(path, iterations))
                    .find_map(|record| match &record.settled()?.result {
                        StepResult::Failed { error } => Some((record, error)),
                        StepResult::Completed { .. } | StepResult::Skipped => None,
                    });
                if let Some((record, error)) = last_error {
                    message.push_str(&format!(
                        "; last, `{}` failed: {}",
                        record.path, error.message
                    ));
                }
                Event::Step {
                    path: path.clone(),
                    event: StepEvent::Failed {
                        attempt: None,
                        error: StepError::new(ErrorClass::Failed, codes::LOOP_EXHAUSTED, message),
                        tape: Tape::default(),
                    },
                }
            }
        }
    }
}

#[expect(
    clippy::large_enum_variant,
    reason = "made and consumed at once: a box would only add an allocation"
)]
enum StepNext {
    Settled { failed: bool },
    Record(Event),
    Busy,
}

fn expression_failed(path: &Path, place: &str, error: &EvalError) -> Event {
    Event::Step {
        path: path.clone(),
        event: StepEvent::Failed {
            attempt: None,
            error: StepError::new(
                ErrorClass::Definition,
                error.code(),
                format!("in `{place}`: {error}"),
            ),
            tape: Tape::default(),
        },
    }
}
