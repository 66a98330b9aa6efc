//! Checks a journal against the core that should have produced it: every decided event is decided again, every outcome
//! passes the same classifier, and nothing follows what it cannot follow.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use crate::decide::{Action, Decision, asked, decide_all, overdue, settle_recorded};
use crate::definition::Definition;
use crate::event::{Entry, Event, ForEachEvent, LoopEvent, RunEvent, StepEvent, WaitEvent};
use crate::frontier::Frontier;
use crate::ids::Path;
use crate::json::{Difference, differences};
use crate::outcome::{ErrorClass, Outcome, StepError, codes};
use crate::state::{Rejected, RunState};
use crate::stop::{Stop, StopCode};
use crate::tape::Tape;
use crate::wait::Wait;

/// The first place where the record and the replay differ.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Divergence {
    /// Position of the event in the journal.
    pub seq: u64,
    /// Name of the event.
    pub event: String,
    /// The step execution that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<Path>,
    /// Where in the event, as a JSON pointer; empty for the whole.
    pub field: String,
    /// What the journal holds there.
    pub recorded: Value,
    /// What the replay gives there.
    pub actual: Value,
    /// All places that differ, where there are several, at first: `a` is the record, `b` the replay.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
}

/// Places of a divergence that are shown.
const PLACES: usize = 20;

/// How an event came into the journal.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "made and consumed at once: a box would only add an allocation"
)]
pub enum Origin {
    /// The core decides it.
    Decided,
    /// An attempt ended.
    Attempt(Ending),
    /// It came from outside: a claim, a person, a signal, a host failure.
    Outside,
}

/// How an attempt ended, as the journal tells.
#[derive(Debug, Clone, PartialEq)]
pub struct Ending {
    /// Where.
    pub path: Path,
    /// Which attempt.
    pub attempt: u32,
    /// Its outcome.
    pub outcome: Outcome,
    /// What the host answered to it.
    pub tape: Tape,
}

/// Classifies an event.
#[must_use]
pub fn origin(event: &Event) -> Origin {
    match event {
        // What came with a signal had no room: what came, the journal does not keep.
        Event::Step {
            event:
                StepEvent::Failed {
                    attempt: None,
                    error,
                    ..
                },
            ..
        } if error.code == codes::RUN_STATE_TOO_LARGE => Origin::Outside,
        Event::Step {
            event:
                StepEvent::Started(_)
                | StepEvent::Continued
                | StepEvent::DeadlineSet { .. }
                | StepEvent::Ends { .. }
                | StepEvent::Skipped(_)
                | StepEvent::Wait(WaitEvent::Started { .. } | WaitEvent::Ended { .. })
                | StepEvent::Loop(
                    LoopEvent::IterationStarted { .. }
                    | LoopEvent::IterationEnded { .. }
                    | LoopEvent::Completed { .. },
                )
                | StepEvent::ForEach(
                    ForEachEvent::Started { .. }
                    | ForEachEvent::ItemStarted
                    | ForEachEvent::ItemCompleted { .. }
                    | ForEachEvent::Completed { .. },
                )
                | StepEvent::Failed { attempt: None, .. },
            ..
        }
        | Event::Run(RunEvent::Completed { .. }) => Origin::Decided,
        Event::Step {
            path,
            event:
                StepEvent::Completed {
                    attempt,
                    output,
                    tape,
                    ..
                },
        } => ended(
            path,
            *attempt,
            Outcome::Completed(Arc::unwrap_or_clone(output.value())),
            tape,
        ),
        Event::Step {
            path,
            event:
                StepEvent::AttemptFailed {
                    attempt,
                    error,
                    tape,
                    ..
                }
                | StepEvent::Failed {
                    attempt: Some(attempt),
                    error,
                    tape,
                }
                | StepEvent::Paused {
                    attempt,
                    error: Some(error),
                    tape,
                    ..
                },
        } => ended(path, *attempt, Outcome::Failed(error.clone()), tape),
        Event::Step {
            path,
            event:
                StepEvent::Paused {
                    attempt,
                    pause,
                    error: None,
                    tape,
                    ..
                },
        } => ended(path, *attempt, Outcome::Paused(pause.clone()), tape),
        Event::Run(RunEvent::FinallyStarted) => Origin::Decided,
        Event::Run(RunEvent::Finishing { ending }) => match ending.stop().map(Stop::code) {
            // A person's word.
            Some(StopCode::Cancelled | StopCode::Rejected) => Origin::Outside,
            Some(_) | None => Origin::Decided,
        },
        Event::Run(RunEvent::Compensating { .. }) => Origin::Outside,
        // Whoever asked for that end, it came when all was undone; one that came before is a person's.
        Event::Run(RunEvent::Failed { stop } | RunEvent::Cancelled { stop })
            if stop.compensated.is_some() && stop.uncompensated.is_none() =>
        {
            Origin::Decided
        }
        Event::Run(
            RunEvent::Paused { stop } | RunEvent::Failed { stop } | RunEvent::Cancelled { stop },
        ) => match stop.code() {
            StopCode::StepFailed
            | StopCode::FinallyFailed
            | StopCode::Ended
            | StopCode::StepPaused
            | StopCode::RetriesExhausted
            | StopCode::ReturnsFailed
            | StopCode::WaitingForTime
            | StopCode::WaitingForSignal
            | StopCode::WaitingForApproval
            | StopCode::WaitingForChild
            | StopCode::CompensationFailed
            | StopCode::ApprovalTimedOut => Origin::Decided,
            StopCode::Ready
            | StopCode::Rejected
            | StopCode::Interrupted
            | StopCode::Cancelled
            | StopCode::HostError
            | StopCode::CheckpointNotSaved
            | StopCode::ProcessLost
            | StopCode::DiskLimit => Origin::Outside,
        },
        Event::Run(
            RunEvent::Created(_)
            | RunEvent::Claimed { .. }
            | RunEvent::Released { .. }
            | RunEvent::Resumed(_)
            | RunEvent::DefinitionChanged(_)
            | RunEvent::Postponed { .. }
            | RunEvent::Held { .. }
            | RunEvent::ClockCorrected { .. },
        )
        | Event::Step {
            event:
                StepEvent::Wait(
                    WaitEvent::SignalReceived { .. }
                    | WaitEvent::ApprovalDecided { .. }
                    | WaitEvent::ChildEnded { .. },
                )
                | StepEvent::ForEach(ForEachEvent::ItemCancelled { .. })
                | StepEvent::Interrupted { .. },
            ..
        } => Origin::Outside,
    }
}

fn ended(path: &Path, attempt: u32, outcome: Outcome, tape: &Tape) -> Origin {
    Origin::Attempt(Ending {
        path: path.clone(),
        attempt,
        outcome,
        tape: tape.clone(),
    })
}

/// Checks that `entry` may follow `state` and folds it.
///
/// # Errors
/// [`Divergence`] when the core would have recorded another event, or none.
pub fn check(
    definition: &Definition,
    state: &mut RunState,
    entry: &Entry,
) -> Result<(), Box<Divergence>> {
    check_from(&mut Frontier::default(), definition, state, entry)
}

/// [`check`] for whoever checks one entry after the other: a decision does not take longer the more steps have ended. A frontier
/// is of one run.
///
/// # Errors
/// As [`check`].
pub fn check_from(
    frontier: &mut Frontier,
    definition: &Definition,
    state: &mut RunState,
    entry: &Entry,
) -> Result<(), Box<Divergence>> {
    let expected = match origin(&entry.event) {
        // Of a paused run, only the end of a wait whose time is over.
        Origin::Decided => {
            let at = match &entry.event {
                Event::Run(RunEvent::Cancelled { stop }) => stop.path.as_ref(),
                event => event.path(),
            };
            match at.and_then(|path| overdue(definition, state, path, entry.at)) {
                Some(event) => Some(event),
                None => Some(decided(frontier, definition, state, entry)?),
            }
        }
        Origin::Attempt(ending) => again(definition, state, entry, ending),
        Origin::Outside => None,
    };
    if let Some(expected) = expected.map(|event| in_the_words_of(&entry.event, event))
        && expected != entry.event
    {
        return Err(differing(entry, &json!(entry.event), &json!(expected)));
    }
    state
        .apply(entry)
        .map(drop)
        .map_err(|rejected: Rejected| nothing(entry, &rejected.to_string()))
}

/// What the core decides where the entry stands: of all that could be done then, what is about the same execution.
fn decided(
    frontier: &mut Frontier,
    definition: &Definition,
    state: &RunState,
    entry: &Entry,
) -> Result<Event, Box<Divergence>> {
    let (decision, _) = decide_all(frontier, definition, state, entry.at);
    match decision {
        Decision::Act(actions) => {
            let same = |action: &Action| Some(action.path()) == entry.event.path();
            let meant = actions.iter().position(same).unwrap_or(0);
            let action = actions.into_iter().nth(meant).map(Action::into_event);
            action.ok_or_else(|| nothing(entry, "nothing"))
        }
        Decision::Pause(stop) => Ok(RunEvent::Paused { stop }.into()),
        Decision::Note(event) | Decision::End(event) => Ok(event.into()),
        Decision::Wait { .. } => Err(nothing(entry, "nothing before an attempt ends")),
        Decision::Still => Err(nothing(entry, "nothing: the run does not move")),
    }
}

/// An event that was made again, with what another version of this program, or another machine, may rightly make otherwise
/// taken from the recorded one: the words of the host, which are for people, and points in time that come of arithmetic on
/// doubles.
#[must_use]
pub fn in_the_words_of(recorded: &Event, mut event: Event) -> Event {
    match (&mut event, recorded) {
        (
            Event::Run(
                RunEvent::Paused { stop }
                | RunEvent::Failed { stop }
                | RunEvent::Cancelled { stop },
            ),
            Event::Run(
                RunEvent::Paused { stop: said }
                | RunEvent::Failed { stop: said }
                | RunEvent::Cancelled { stop: said },
            ),
        ) => {
            *stop = stop.clone().in_the_words_of(said);
            // A wait ends when its definition says; when a pause is tried again is a matter of drawn waits.
            let drawn = |stop: &Stop, said: &Stop| {
                !stop.code().is_wait() && stop.due_at.is_some() == said.due_at.is_some()
            };
            let mut any = drawn(stop, said);
            for (reason, said) in stop.reasons.iter_mut().zip(&said.reasons) {
                if drawn(reason, said) {
                    reason.due_at = said.due_at;
                    any = true;
                }
            }
            if any {
                stop.due_at = said.due_at;
            }
        }
        (
            Event::Step {
                event:
                    StepEvent::AttemptFailed {
                        error, retry_at, ..
                    },
                ..
            },
            Event::Step {
                event:
                    StepEvent::AttemptFailed {
                        error: said,
                        retry_at: then,
                        ..
                    },
                ..
            },
        ) => {
            *retry_at = *then;
            take_words(error, said);
        }
        (
            Event::Step {
                event: StepEvent::Failed { error, .. },
                ..
            },
            Event::Step {
                event: StepEvent::Failed { error: said, .. },
                ..
            },
        ) => {
            take_words(error, said);
        }
        (
            Event::Step {
                event:
                    StepEvent::Paused {
                        error,
                        pause,
                        due_at,
                        ..
                    },
                ..
            },
            Event::Step {
                event:
                    StepEvent::Paused {
                        error: said,
                        pause: said_pause,
                        due_at: then,
                        ..
                    },
                ..
            },
        ) => {
            if let (Some(due_at), Some(then)) = (due_at, then) {
                *due_at = *then;
            }
            if let (Some(error), Some(said)) = (error, said)
                && take_words(error, said)
            {
                pause.reason.clone_from(&said_pause.reason);
            }
        }
        // A long question that was recorded before questions were cut.
        (
            Event::Step {
                event:
                    StepEvent::Wait(WaitEvent::Started {
                        wait: Wait::Approval { message, .. },
                        ..
                    }),
                ..
            },
            Event::Step {
                event:
                    StepEvent::Wait(WaitEvent::Started {
                        wait: Wait::Approval { message: said, .. },
                        ..
                    }),
                ..
            },
        ) if asked(said) == *message => message.clone_from(said),
        _ => {}
    }
    event
}

/// Takes the words over unless they are a plugin's own, which are its outcome. Returns whether it did.
fn take_words(error: &mut StepError, said: &StepError) -> bool {
    let of_the_plugin = matches!(error.class, ErrorClass::Retryable | ErrorClass::Failed)
        && !HOST_CODES.contains(&error.code.as_str());
    if !of_the_plugin {
        error.message.clone_from(&said.message);
    }
    !of_the_plugin
}

/// What the host records in the classes of the plugins.
const HOST_CODES: [&str; 4] = [
    codes::ITEMS_FAILED,
    codes::RUN_STATE_TOO_LARGE,
    codes::LOOP_EXHAUSTED,
    codes::CANCELLED,
];

/// The event that the recorded outcome gives today; `None` where the outcome alone does not tell.
fn again(
    definition: &Definition,
    state: &RunState,
    entry: &Entry,
    ending: Ending,
) -> Option<Event> {
    if let Outcome::Failed(error) = &ending.outcome
        // Recorded in place of an output or a cancellation, which the journal does not keep.
        && (error.code == codes::RUN_STATE_TOO_LARGE || error.code == codes::CANCELLED)
    {
        return None;
    }
    Some(settle_recorded(
        definition,
        state,
        &ending.path,
        ending.attempt,
        ending.outcome,
        ending.tape,
        entry.at,
    ))
}

fn nothing(entry: &Entry, actual: &str) -> Box<Divergence> {
    Box::new(Divergence {
        seq: entry.seq,
        event: entry.event.name().to_owned(),
        path: entry.event.path().cloned(),
        field: String::new(),
        recorded: json!(entry.event.name()),
        actual: json!(actual),
        differences: Vec::new(),
    })
}

/// The divergence at the first field in which two values differ.
#[must_use]
pub fn differing(entry: &Entry, recorded: &Value, actual: &Value) -> Box<Divergence> {
    let mut differences = differences(recorded, actual, PLACES);
    if differences.len() < 2 {
        differences.clear();
    }
    let (field, recorded, actual) =
        first_difference(recorded, actual).unwrap_or((String::new(), Value::Null, Value::Null));
    Box::new(Divergence {
        seq: entry.seq,
        event: entry.event.name().to_owned(),
        path: entry.event.path().cloned(),
        field,
        recorded,
        actual,
        differences,
    })
}

/// The first place, in key order, where two values differ: a JSON pointer and both sides. A side that has nothing there
/// reads as null.
#[must_use]
pub fn first_difference(left: &Value, right: &Value) -> Option<(String, Value, Value)> {
    if left == right {
        return None;
    }
    let deeper = |step: &str, l: Option<&Value>, r: Option<&Value>| {
        let (l, r) = (l.unwrap_or(&Value::Null), r.unwrap_or(&Value::Null));
        first_difference(l, r).map(|(rest, l, r)| (format!("/{step}{rest}"), l, r))
    };
    let found = match (left, right) {
        (Value::Object(l), Value::Object(r)) => {
            let keys: std::collections::BTreeSet<&String> = l.keys().chain(r.keys()).collect();
            keys.into_iter()
                .find_map(|key| deeper(key, l.get(key), r.get(key)))
        }
        (Value::Array(l), Value::Array(r)) => {
            (0..l.len().max(r.len())).find_map(|i| deeper(&i.to_string(), l.get(i), r.get(i)))
        }
        _ => None,
    };
    found.or_else(|| Some((String::new(), left.clone(), right.clone())))
}
