//! Why a run stops where it does: a step paused, or nothing is left to do.

use std::sync::Arc;

use serde_json::Value;

use super::Decider;
use crate::definition::{Definition, Step};
use crate::event::{Event, RunEvent};
use crate::expr::{Budget, EvalError};
use crate::ids::Path;
use crate::limits;
use crate::outcome::{Pause, StepError, codes};
use crate::payload::Payload;
use crate::schedule;
use crate::scope::StateScope;
use crate::shell;
use crate::state::{RunState, StepRecord, StepResult};
use crate::stop::{Stop, StopCode};
use crate::time::Timestamp;

/// The end of a run that takes so many bytes of its store, where its definition does not allow as many. The size is a fact of
/// the store, so the event comes from outside; nothing else is decided with it.
#[must_use]
pub fn too_large(definition: &Definition, state: &RunState, stored: u64) -> Option<Event> {
    let limit = definition.disk_bytes;
    if stored <= limit as u64 {
        return None;
    }
    let run = &state.created().run;
    let message = format!(
        "it takes {stored} bytes of the store (journal, tapes, logs, and the blobs that it uses), more than its `limits.disk` \
         of {limit}"
    );
    let next = format!(
        "nothing by itself; raise `limits.disk` in the definition, then `milepost resume {run} --accept-changes` goes on"
    );
    Some(Event::Run(RunEvent::Failed {
        stop: Stop::new(StopCode::DiskLimit, message, next),
    }))
}

impl Decider<'_> {
    pub(super) fn pause_stop(&self, path: &Path, pause: &Pause, retries_exhausted: bool) -> Stop {
        let run = &self.state.created().run;
        let mut next = format!("`milepost resume {run}` goes on at `{path}`");
        if let Some(signal) = &pause.signal {
            let command = shell::signal_command(run, signal);
            next.push_str(&format!(", and so does `{command}`"));
        }
        let due_at = self.automatic_resume(path, pause, retries_exhausted, &mut next);
        if let Some(until) = pause.until.filter(|until| Some(*until) != due_at) {
            next.push_str(&format!("; before {until} it makes no sense"));
        }
        let code = if retries_exhausted {
            StopCode::RetriesExhausted
        } else {
            StopCode::StepPaused
        };
        let message = format!("`{path}` paused ({}): {}", pause.code, pause.reason);
        Stop {
            due_at,
            provider: pause.provider.clone(),
            ..Stop::new(code, message, next).at(path.clone())
        }
    }

    /// When a scheduler resumes this pause. A pause that names a time, met somebody's limit or used up its retries passes by
    /// itself; any other one needs a person or a signal.
    fn automatic_resume(
        &self,
        path: &Path,
        pause: &Pause,
        retries_exhausted: bool,
        next: &mut String,
    ) -> Option<Timestamp> {
        let passes = pause.until.is_some()
            || pause.signal.is_none() && (retries_exhausted || pause.provider.is_some());
        if !passes {
            return None;
        }
        let (episode, rules) = (&self.state.episode(), self.state.created().rules);
        // Another provider is another pool of quota: its waits begin with the first (B206).
        let used = match episode.provider == pause.provider {
            true => episode.resumes,
            false => 0,
        };
        let in_a_row = match rules.count_across_providers() {
            true => episode.in_a_row(),
            false => used,
        };
        let most = limits::AUTOMATIC_RESUMES.len();
        let first = episode.in_a_row() == 0;
        let run = &self.state.created().run;
        let due = schedule::due(run, Some(path), used, pause.until, first, self.now)
            .filter(|_| (in_a_row as usize) < most);
        next.push_str(&match due {
            Some(_) => format!(
                "; a worker (`milepost work`) does it when it is due, automatic resume {} of {most}",
                in_a_row + 1
            ),
            None => format!("; its {most} automatic resumes are used up"),
        });
        due
    }

    /// The end of the top level: failed if anything failed that is not handled, else completed with what the workflow returns.
    pub(super) fn finish(&self) -> RunEvent {
        let run = &self.state.created().run;
        let handled = self.state.created().rules.handle_failures();
        let failures: Vec<(&Step, &StepRecord, &StepError)> = self
            .definition
            .top()
            .iter()
            .filter_map(|index| {
                let step = &self.definition.steps()[*index];
                let record = self.state.executions().of(&step.id)?;
                match &record.settled()?.result {
                    StepResult::Failed { error } => Some((step, record, error)),
                    StepResult::Completed { .. } | StepResult::Skipped => None,
                }
            })
            .collect();
        let ending = failures
            .iter()
            .find(|(step, ..)| !(handled && step.continue_on_error));
        if let Some((_, first, _)) = ending {
            let message = failures
                .iter()
                .map(|(_, record, error)| {
                    format!(
                        "`{}` failed ({}): {}",
                        record.path, error.code, error.message
                    )
                })
                .collect::<Vec<_>>()
                .join("; ");
            let next = if failures
                .iter()
                .any(|(.., error)| error.code == codes::LOOP_EXHAUSTED)
            {
                format!(
                    "nothing by itself; `milepost retry {run}` starts the loop again from its first iteration, a higher \
                     `max_iterations` with `milepost resume {run} --accept-changes` goes on where it stopped"
                )
            } else {
                format!(
                    "nothing by itself; mend the cause, then `milepost resume {run}` runs the failed steps again"
                )
            };
            return RunEvent::Failed {
                stop: Stop::new(StopCode::StepFailed, message, next).at(first.path.clone()),
            };
        }
        match self.returns() {
            Ok(output) => RunEvent::Completed {
                output: Payload::new(output),
            },
            Err(error) => RunEvent::Failed {
                stop: Stop::new(
                    StopCode::ReturnsFailed,
                    format!("`returns` could not be evaluated: {error}"),
                    format!(
                        "nothing by itself; mend `returns`, then `milepost resume {run} --accept-changes`"
                    ),
                ),
            },
        }
    }

    fn returns(&self) -> Result<Value, EvalError> {
        if let Some(returns) = &self.definition.returns {
            let scope = StateScope::of_run(self.definition, self.state);
            return returns.resolve(&scope, &mut Budget::default());
        }
        let last = self.definition.top().iter().rev().find_map(|index| {
            let record = self
                .state
                .executions()
                .of(&self.definition.steps()[*index].id)?;
            match &record.settled()?.result {
                StepResult::Completed { output } => Some(output.value()),
                StepResult::Failed { .. } | StepResult::Skipped => None,
            }
        });
        Ok(last.map_or(Value::Null, Arc::unwrap_or_clone))
    }
}
