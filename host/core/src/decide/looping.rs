//! Loops: when the next iteration begins, and how they end.

use super::{Action, Decider, Scope, Standing, Walk, expression_failed};
use crate::definition::{LoopStep, OnExhausted};
use crate::event::{LoopEvent, StepEvent};
use crate::expr::Budget;
use crate::ids::Path;
use crate::outcome::{ErrorClass, StepError, codes};
use crate::scope::StateScope;
use crate::state::StepResult;
use crate::within::Within;

impl Decider<'_> {
    /// A loop in an iteration; `condition_met` is what `until` gave after it, once it is over.
    pub(super) fn in_loop(
        &self,
        body: &LoopStep,
        path: &Path,
        iteration: u32,
        condition_met: Option<bool>,
        walk: &mut Walk<'_>,
    ) -> Standing {
        let event = match condition_met {
            Some(true) => LoopEvent::Completed {
                iterations: iteration,
                condition_met: true,
            }
            .into(),
            Some(false) => self.next_iteration(body, path, iteration),
            // A limit that was lowered below the recorded iteration ends the loop; it never starts it afresh (B134).
            None if iteration > body.max_iterations => self.exhausted(body, path, iteration),
            None => match self.scope(
                &body.body,
                body.flow,
                Within::Iteration(path, iteration),
                walk,
            ) {
                Scope::Open => return Standing::Open,
                Scope::Done => self.ended(body, path, iteration),
            },
        };
        walk.act(Action::record(path, event))
    }

    /// An iteration whose members have all ended: `until` alone decides.
    fn ended(&self, body: &LoopStep, path: &Path, iteration: u32) -> StepEvent {
        let scope = StateScope::of_until(self.definition, self.state, path, iteration);
        match body.until.eval_bool(&scope, &mut Budget::default()) {
            Ok(condition_met) => LoopEvent::IterationEnded {
                iteration,
                condition_met,
            }
            .into(),
            Err(error) => expression_failed("until", &error),
        }
    }

    /// What follows `done` iterations.
    pub(super) fn next_iteration(&self, body: &LoopStep, path: &Path, done: u32) -> StepEvent {
        if done >= body.max_iterations {
            return self.exhausted(body, path, done);
        }
        LoopEvent::IterationStarted {
            iteration: done + 1,
        }
        .into()
    }

    fn exhausted(&self, body: &LoopStep, path: &Path, iterations: u32) -> StepEvent {
        match body.on_exhausted {
            OnExhausted::Continue => LoopEvent::Completed {
                iterations,
                condition_met: false,
            }
            .into(),
            OnExhausted::Fail => {
                let mut message = format!(
                    "condition not met after {iterations} iteration{}: {}",
                    if iterations == 1 { "" } else { "s" },
                    body.until.text()
                );
                if let Some((member, error)) = self.last_failure(body, path, iterations) {
                    message.push_str(&format!("; last, `{member}` failed: {}", error.message));
                }
                let code = codes::LOOP_EXHAUSTED;
                StepEvent::failed(StepError::new(ErrorClass::Failed, code, message))
            }
        }
    }

    /// The last member that failed in this iteration.
    fn last_failure(
        &self,
        body: &LoopStep,
        path: &Path,
        iteration: u32,
    ) -> Option<(&Path, &StepError)> {
        body.body
            .iter()
            .rev()
            .filter_map(|index| {
                let within = Within::Iteration(path, iteration);
                self.record(&self.definition.steps()[*index], within)
            })
            .find_map(|record| match &record.settled()?.result {
                StepResult::Failed { error } => Some((&record.path, error)),
                StepResult::Completed { .. } | StepResult::Skipped => None,
            })
    }
}
