//! What the outcome of an attempt becomes: the end of its execution, another attempt, or a pause.

use super::automatic::automatic_resume;
use super::compensation::undo;
use super::deadlines::{cut_off, is_exceeded};
use super::fitting::{fit, fits};
use crate::definition::{Definition, Step};
use crate::event::{Event, StepEvent};
use crate::ids::Path;
use crate::outcome::{ErrorClass, Outcome, Pause, StepError, codes};
use crate::payload::Payload;
use crate::retry::AfterFailure;
use crate::state::{RunState, StepRecord};
use crate::tape::Tape;
use crate::time::Timestamp;

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
            let undo = undo(definition, state, path, &output);
            let with = undo.as_ref().and_then(|undo| undo.with.as_ref());
            let bytes = output.text().len() + with.map_or(0, |with| with.text().len());
            match fits(state, path, "this output", bytes) {
                Ok(()) => {
                    let completed = StepEvent::Completed {
                        attempt,
                        output,
                        undo,
                        tape,
                    };
                    return completed.at(path.clone());
                }
                Err(error) => Err(error),
            }
        }
        other => fit(state, path, other),
    };
    match fitting {
        Ok(outcome) => settle_recorded(definition, state, path, attempt, outcome, tape, now),
        Err(error) => StepEvent::Failed {
            attempt: Some(attempt),
            error: *error,
            tape,
        }
        .at(path.clone()),
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
    let event = match outcome {
        Outcome::Completed(output) => {
            let output = Payload::new(output);
            StepEvent::Completed {
                attempt,
                undo: undo(definition, state, path, &output),
                output,
                tape,
            }
        }
        Outcome::Paused(pause) if definition.is_finally(path) => StepEvent::Failed {
            attempt: Some(attempt),
            error: cannot_pause(pause),
            tape,
        },
        Outcome::Paused(pause) => paused(state, path, attempt, pause, None, tape, now),
        Outcome::Cancelled(message) => StepEvent::Failed {
            attempt: Some(attempt),
            error: StepError::new(ErrorClass::Failed, codes::CANCELLED, message),
            tape,
        },
        Outcome::Failed(error) => failed(definition, state, path, attempt, error, tape, now),
    };
    event.at(path.clone())
}

/// What a pause is at the end of a run, where nobody waits for anything any more.
fn cannot_pause(pause: Pause) -> StepError {
    // It did not ask to pause: it was not called, for a reason that has a remedy.
    if pause.code == codes::SECRET_MISSING {
        return StepError::new(ErrorClass::Failed, codes::SECRET_MISSING, pause.reason);
    }
    let message = format!(
        "it asked to pause, which a step with `finally` cannot ({}): {}",
        pause.code, pause.reason
    );
    StepError::new(ErrorClass::Failed, codes::CANNOT_PAUSE, message)
}

/// Passes a failed attempt through the step's retry policy: one classifier for returned errors, traps and host errors.
fn failed(
    definition: &Definition,
    state: &RunState,
    path: &Path,
    attempt: u32,
    error: StepError,
    tape: Tape,
    now: Timestamp,
) -> StepEvent {
    let record = state.executions().latest(path);
    let failures = record.map_or(0, StepRecord::failures) + 1;
    let step = definition.step(path.step());
    let cut = step
        .zip(record)
        .and_then(|(step, record)| cut_off(step, record, &error));
    let error = cut.unwrap_or(error);
    if is_exceeded(&error) {
        return StepEvent::Failed {
            attempt: Some(attempt),
            error,
            tape,
        };
    }
    let component = step.and_then(Step::call);
    let rules = state.created().rules;
    let then = component.map_or(AfterFailure::Fail, |component| {
        let run = &state.created().run;
        match component.retry.after(rules, run, path, failures, &error) {
            AfterFailure::Pause(_)
                if component.handled && rules.handle_failures() || definition.is_finally(path) =>
            {
                AfterFailure::Fail
            }
            then => then,
        }
    });
    match then {
        AfterFailure::Retry(wait) => StepEvent::AttemptFailed {
            attempt,
            error,
            retry_at: now.after(wait),
            tape,
        },
        AfterFailure::Pause(wait) => {
            let pause = Pause {
                code: error.code.clone(),
                reason: error.message.clone(),
                provider: error.provider.clone(),
                until: wait.map(|wait| now.after(wait)),
                signal: None,
                state: None,
            };
            paused(state, path, attempt, pause, Some(error), tape, now)
        }
        AfterFailure::Fail => StepEvent::Failed {
            attempt: Some(attempt),
            error,
            tape,
        },
    }
}

/// A component that stands still, and when it goes on by itself.
fn paused(
    state: &RunState,
    path: &Path,
    attempt: u32,
    pause: Pause,
    error: Option<StepError>,
    tape: Tape,
    now: Timestamp,
) -> StepEvent {
    let beside = state.created().rules.pauses_pass_beside();
    let resume = automatic_resume(state, path, &pause, error.is_some(), now);
    StepEvent::Paused {
        attempt,
        pause,
        error,
        due_at: resume.and_then(|resume| resume.due).filter(|_| beside),
        tape,
    }
}
