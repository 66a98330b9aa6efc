//! Steps that end the run, and how a run that is about to end comes to it.

use serde_json::Value;

use super::compensation::is_undone;
use super::waiting::asked;
use super::{Decider, Decision, Walk, expression_failed, fits};
use crate::definition::{Definition, EndStep};
use crate::event::{RunEvent, StepEvent};
use crate::expr::{Budget, EvalError, Template};
use crate::ids::Path;
use crate::payload::Payload;
use crate::scope::StateScope;
use crate::state::{Ending, RunState, StepRecord};

impl Decider<'_> {
    /// The turn of a step that ends the run.
    pub(super) fn ends(&self, step: &EndStep, path: &Path) -> StepEvent {
        let message = match self.resolved(step.message.as_ref(), path) {
            Ok(Some(Value::String(text))) => Some(asked(&text).into_owned()),
            Ok(other) => other.map(|other| asked(&other.to_string()).into_owned()),
            Err(error) => return expression_failed("end.message", &error),
        };
        let output = match self.resolved(step.output.as_ref(), path) {
            Ok(output) => Payload::new(output.unwrap_or_default()),
            Err(error) => return expression_failed("end.output", &error),
        };
        match fits(self.state, path, "this output", output.text().len()) {
            Ok(()) => StepEvent::Ends {
                status: step.status,
                message,
                output,
            },
            Err(error) => StepEvent::failed(*error),
        }
    }

    fn resolved(
        &self,
        template: Option<&Template>,
        path: &Path,
    ) -> Result<Option<Value>, EvalError> {
        let scope = StateScope::of_step(self.definition, self.state, path);
        let resolved = template.map(|template| template.resolve(&scope, &mut Budget::default()));
        resolved.transpose()
    }

    /// The run is over, unless there is something left to do before.
    pub(super) fn over(&self, ending: Ending) -> Decision {
        match winds_up(self.definition, self.state, &ending) {
            true => Decision::Note(RunEvent::Finishing { ending }),
            false => Decision::End(ending.into_event()),
        }
    }

    /// What a run does that is about to end, one stage after the other: what is open ends, what was done is undone where that is
    /// wanted, steps with `finally` run, the run ends.
    pub(super) fn end(&self, ending: &Ending, mut walk: Walk<'_>) -> Decision {
        if let Some(decision) = self.close_all(&mut walk) {
            return decision;
        }
        if let Some(decision) = self.compensate(ending) {
            return decision;
        }
        if let Some(decision) = self.finally(&mut walk) {
            return decision;
        }
        Decision::End(self.after_compensations(ending, self.after_finally(ending)))
    }

    /// Ends what is open but steps with `finally`; `None` when nothing is. Nothing of it opens again after that.
    fn close_all(&self, walk: &mut Walk<'_>) -> Option<Decision> {
        if walk.frontier.is_closed() {
            return None;
        }
        let main = |record: &&StepRecord| {
            !record.path.is_compensation() && !self.definition.is_finally(&record.path)
        };
        if self.close(main, walk) {
            return Some(closing(walk));
        }
        walk.frontier.close();
        None
    }
}

/// Whether a run that is about to end so has something left to do before.
fn winds_up(definition: &Definition, state: &RunState, ending: &Ending) -> bool {
    !definition.finally().is_empty() || is_undone(definition, state, ending)
}

/// What is recorded where something outside ends a run: its end, unless it has something left to do before. A run of which nothing
/// has begun has not.
pub(crate) fn last(definition: &Definition, state: &RunState, ending: Ending) -> RunEvent {
    match winds_up(definition, state, &ending) && !state.executions().is_empty() {
        true => RunEvent::Finishing { ending },
        false => ending.into_event(),
    }
}

/// What is open has to end before anything else.
pub(super) fn closing(walk: &mut Walk<'_>) -> Decision {
    match std::mem::take(&mut walk.ready) {
        ready if !ready.is_empty() => Decision::Act(ready),
        _ => Decision::Wait {
            wake_at: None,
            cancel: std::mem::take(&mut walk.cancel),
        },
    }
}
