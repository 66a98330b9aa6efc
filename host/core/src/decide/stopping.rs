//! Why a run stops where it does: a step paused, or nothing is left to do.

use std::sync::Arc;

use serde_json::Value;

use super::Decider;
use crate::definition::{Definition, Step};
use crate::event::{Event, RunEvent};
use crate::expr::{Budget, EvalError};
use crate::outcome::StepError;
use crate::payload::Payload;
use crate::scope::StateScope;
use crate::shown;
use crate::state::{Ending, StepRecord, StepResult};
use crate::stop::{Stop, Why};
use crate::within::Within;

/// The end of a run that takes so many bytes of its store, where its definition does not allow as many. The size is a fact of
/// the store, so the event comes from outside; nothing else is decided with it.
#[must_use]
pub fn too_large(definition: &Definition, stored: u64) -> Option<Event> {
    let limit = definition.disk_bytes;
    if stored <= limit as u64 {
        return None;
    }
    let limit = limit as u64;
    Some(Event::Run(RunEvent::Failed {
        stop: Stop::new(Why::DiskLimit { stored, limit }),
    }))
}

impl Decider<'_> {
    /// The end of the top level: failed if anything failed that is not handled, else completed with what the workflow returns.
    pub(super) fn finish(&self) -> Ending {
        let rules = self.state.created().rules;
        let failures = self.failures(self.definition.main(), Within::Top);
        let counts = |step: &Step| !(rules.handle_failures() && step.continue_on_error);
        let ending = failures.iter().find(|(step, ..)| counts(step));
        if let Some((_, first, _)) = ending {
            let mut named = failures.clone();
            named.retain(|(step, ..)| !rules.name_what_failed_the_run() || counts(step));
            let named = named.iter();
            let why = Why::failed(named.map(|(_, record, error)| (&record.path, *error)));
            return Ending::Failed {
                stop: Stop::new(why).at(first.path.clone()),
            };
        }
        match self.returns() {
            Ok(output) => Ending::Completed {
                output: Payload::new(output),
            },
            Err(error) => Ending::Failed {
                stop: Stop::new(Why::ReturnsFailed {
                    error: shown::message(error.to_string()),
                }),
            },
        }
    }

    /// The members of a scope that failed, handled or not, in file order.
    pub(super) fn failures(
        &self,
        members: &[usize],
        within: Within<'_>,
    ) -> Vec<(&Step, &StepRecord, &StepError)> {
        let failure = |index: &usize| {
            let step = &self.definition.steps()[*index];
            let record = self.record(step, within)?;
            match &record.settled()?.result {
                StepResult::Failed { error } => Some((step, record, error)),
                StepResult::Completed { .. } | StepResult::Skipped => None,
            }
        };
        members.iter().filter_map(failure).collect()
    }

    fn returns(&self) -> Result<Value, EvalError> {
        if let Some(returns) = &self.definition.returns {
            let scope = StateScope::of_run(self.definition, self.state);
            return returns.resolve(&scope, &mut Budget::default());
        }
        let last = self.definition.main().iter().rev().find_map(|index| {
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
