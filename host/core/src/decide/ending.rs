//! Steps that end the run, and how a run that is about to end comes to it.

use serde_json::Value;

use super::waiting::asked;
use super::{Decider, Decision, Walk, expression_failed, fits};
use crate::definition::EndStep;
use crate::event::StepEvent;
use crate::expr::{Budget, EvalError, Template};
use crate::ids::Path;
use crate::payload::Payload;
use crate::scope::StateScope;
use crate::state::Ending;

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

    /// What a run does that is about to end: what is open ends first, then the run.
    pub(super) fn end(&self, ending: &Ending, mut walk: Walk<'_>) -> Decision {
        if !self.close(|_| true, &mut walk) {
            return Decision::End(ending.event());
        }
        match walk.ready.is_empty() {
            false => Decision::Act(walk.ready),
            true => Decision::Wait {
                wake_at: None,
                cancel: walk.cancel,
            },
        }
    }
}
