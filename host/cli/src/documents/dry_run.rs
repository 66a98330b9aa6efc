//! What a dry run says.

use milepost::core::dry_run::{DryRun, Traced};
use milepost::core::outcome::StepError;
use milepost::core::state::Status;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::words;

/// What a workflow would do.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Simulated {
    /// Name of the workflow.
    workflow: String,
    /// How it would end, or where it would stand.
    status: Status,
    /// Whether it completed, with a stub for every step that it came to.
    ok: bool,
    /// What it would return; null unless completed.
    output: Value,
    /// Why it would not move; null where it completed.
    reason: Option<String>,
    /// What would happen to its steps, in that order.
    trace: Vec<TracedStep>,
    /// Steps that it came to and that have no stub.
    missing: Vec<String>,
    /// Stubs that it did not ask for.
    unused: Vec<Unused>,
    /// Whether it was broken off, because it has no end in sight.
    broken_off: bool,
}

/// What would happen to a step.
#[derive(Serialize, JsonSchema)]
struct TracedStep {
    /// The step execution; of a child run, behind the step that starts it and a slash.
    path: String,
    /// `completed`, `stubbed`, `skipped`, `failed` or `paused`.
    status: &'static str,
    /// Why, in words.
    reason: String,
    /// Which attempt; null where none is called.
    attempt: Option<u32>,
    /// What it is given; null where nothing is called.
    input: Option<Value>,
    /// What it comes to; null where it comes to nothing.
    output: Option<Value>,
    /// Why it fails; null where it does not.
    error: Option<StepError>,
}

/// A stub that was not asked for.
#[derive(Serialize, JsonSchema)]
struct Unused {
    /// Its name.
    step: String,
    /// Whether there is such a step.
    known: bool,
}

impl Simulated {
    pub(crate) fn new(workflow: &str, simulated: &DryRun) -> Self {
        Self {
            workflow: workflow.to_owned(),
            status: simulated.status,
            ok: simulated.is_complete(),
            output: simulated.output.clone(),
            reason: simulated.stop.as_ref().map(words::stop::message),
            trace: simulated.trace.iter().map(TracedStep::from).collect(),
            missing: simulated.missing.clone(),
            unused: simulated
                .unused
                .iter()
                .map(|(step, known)| Unused {
                    step: step.clone(),
                    known: *known,
                })
                .collect(),
            broken_off: simulated.broken_off,
        }
    }
}

impl From<&Traced> for TracedStep {
    fn from(traced: &Traced) -> Self {
        Self {
            path: traced.path.clone(),
            status: traced.how.as_str(),
            reason: words::dry_run::why(&traced.why),
            attempt: traced.attempt,
            input: traced.input.as_deref().cloned(),
            output: traced.output.as_deref().cloned(),
            error: traced.error.clone(),
        }
    }
}
