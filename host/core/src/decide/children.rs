//! Child runs: how a step starts one, and what becomes of the step when it ends.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Action, Decider, attempt_seed, expression_failed, fits};
use crate::definition::input::{GivenInputs, InputProblem, Inputs, files};
use crate::definition::{ChildStep, Definition};
use crate::event::{ChildEnding, Event, StepEvent, WaitEvent};
use crate::expr::Budget;
use crate::ids::{Digest, Path, RunId};
use crate::limits;
use crate::outcome::{ErrorClass, StepError, codes};
use crate::payload::Payload;
use crate::scope::StateScope;
use crate::state::{ChildRun, Phase, RunState, StepRecord};
use crate::stop::{Stop, Why};
use crate::wait::Wait;

/// A child run as its parent starts it.
#[derive(Debug, Clone, PartialEq)]
pub struct ChildStarted {
    /// Its id, which follows from its parent's and the path: started twice, it is one run.
    pub run: RunId,
    /// The file of its workflow.
    pub file: String,
    /// Its inputs, of their declared types: an object.
    pub inputs: Payload,
    /// From which the seeds of its attempts are derived.
    pub seed: u64,
}

impl ChildStarted {
    /// What its parent's step waits for.
    #[must_use]
    pub fn wait(&self) -> Wait {
        Wait::Child {
            run: self.run.clone(),
            inputs: digest(&self.inputs),
        }
    }
}

/// The id of the run that is started at a path of its parent, the `number`th one there.
#[must_use]
pub fn child_run(parent: &RunId, path: &Path, number: u32) -> RunId {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let hash = Sha256::digest(format!("child/{parent}/{path}/{number}").as_bytes());
    let text: String = hash[..20]
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(byte % 32)]))
        .collect();
    RunId::new(&text).expect("letters and digits make a run id")
}

/// How the child run of a step stands, as the step has it.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
#[expect(
    clippy::large_enum_variant,
    reason = "made and consumed at once: a box would only add an allocation"
)]
pub enum ChildStanding {
    /// It may come to its end by itself.
    Open,
    /// It failed before the step began to wait for it, and is to go on.
    ToGoOn,
    /// It has ended, or failed: record this.
    Ended(Event),
}

/// How the child run that a step waits for stands.
pub fn child_standing(parent: &RunState, path: &Path, child: &RunState) -> ChildStanding {
    let run = child.created().run.clone();
    let seq = child.seq();
    let known = parent.executions().at(path).and_then(StepRecord::child);
    let ending = match child.phase() {
        Phase::Completed { output, .. } => {
            match fits(
                parent,
                path,
                "the output of its child run",
                output.text().len(),
            ) {
                Ok(()) => ChildEnding::Completed(output.clone()),
                Err(error) => ChildEnding::Cancelled(*error),
            }
        }
        Phase::Failed { .. }
            if known.is_some_and(|known| known.failed_at == seq)
                && !child.executions().compensations().have_begun() =>
        {
            return ChildStanding::ToGoOn;
        }
        // What it had done is undone: when the step runs again, another run does it anew.
        Phase::Failed { stop, .. } if child.executions().compensations().have_begun() => {
            ChildEnding::Cancelled(error_of(&run, codes::CHILD_FAILED, "failed", stop))
        }
        Phase::Failed { stop, .. } => {
            ChildEnding::Failed(error_of(&run, codes::CHILD_FAILED, "failed", stop))
        }
        Phase::Cancelled { stop, .. } => ChildEnding::Cancelled(error_of(
            &run,
            codes::CHILD_CANCELLED,
            "was cancelled",
            stop,
        )),
        Phase::Pending | Phase::Running | Phase::Paused { .. } => return ChildStanding::Open,
    };
    ChildStanding::Ended(WaitEvent::ChildEnded { run, seq, ending }.at(path.clone()))
}

/// What becomes of a step whose child run is not there, or is another run's.
#[must_use]
pub fn child_gone(path: &Path, run: &RunId) -> Event {
    let message = format!("the child run `{run}` is gone");
    let error = StepError::new(ErrorClass::Host, codes::CHILD_FAILED, message);
    let ended = WaitEvent::ChildEnded {
        run: run.clone(),
        seq: 0,
        ending: ChildEnding::Cancelled(error),
    };
    ended.at(path.clone())
}

fn error_of(run: &RunId, code: &str, how: &str, stop: &Stop) -> StepError {
    let why = match &stop.why {
        Why::StepFailed { failures, more } => {
            let mut all: Vec<_> = failures
                .iter()
                .map(|failure| format!("{}: {}", failure.path, failure.message))
                .collect();
            if *more > 0 {
                all.push(format!("and {more} more"));
            }
            format!(": {}", all.join("; "))
        }
        Why::Cancelled { by } => format!(" by {by}"),
        Why::Told(told) => format!(": {}", told.message),
        Why::Ended {
            message: Some(message),
            ..
        } => format!(": {message}"),
        why => match why.error() {
            Some(error) => format!(": {error}"),
            None => format!(" ({})", why.code()),
        },
    };
    StepError {
        detail: Some(json!({ "run": run, "stop": stop.code() })),
        ..StepError::new(
            ErrorClass::Failed,
            code,
            format!("the child run `{run}` {how}{why}"),
        )
    }
}

impl Decider<'_> {
    pub(super) fn begin_child(&self, step: &ChildStep, path: &Path) -> Action {
        match self.child(step, path) {
            Ok(child) => Action::StartChild {
                path: path.clone(),
                child,
            },
            Err(failed) => Action::record(path, *failed),
        }
    }

    fn child(&self, step: &ChildStep, path: &Path) -> Result<ChildStarted, Box<StepEvent>> {
        let scope = StateScope::of_step(self.definition, self.state, path);
        let given = step
            .with
            .resolve(&scope, &mut Budget::default())
            .map_err(|error| Box::new(expression_failed("with", &error)))?;
        let child = step.child.as_ref().ok_or_else(|| {
            let message = format!("the child workflow `{}` was not read", step.workflow);
            refused(ErrorClass::Host, codes::HOST_ERROR, message)
        })?;
        let inputs = inputs(&child.definition, given)
            .map_err(|message| refused(ErrorClass::Definition, codes::INPUTS_UNFIT, message))?;
        let created = self.state.created();
        let before = self.state.executions().at(path);
        let number = number(before.and_then(StepRecord::child), digest(&inputs));
        Ok(ChildStarted {
            run: child_run(&created.run, path, number),
            file: child.file.clone(),
            seed: attempt_seed(created.seed, &created.run, path, number),
            inputs,
        })
    }
}

/// Which run at its path a step starts: the one that failed there goes on, unless it was given other inputs.
fn number(before: Option<&ChildRun>, inputs: Digest) -> u32 {
    match before {
        Some(child) if !child.over && child.inputs == inputs => child.made,
        Some(child) => child.made + 1,
        None => 1,
    }
}

/// The inputs of the child run, with the defaults of its workflow.
fn inputs(definition: &Definition, given: Value) -> Result<Payload, String> {
    let given = match given {
        Value::Object(given) => given.into_iter().collect(),
        _ => BTreeMap::new(),
    };
    let given = GivenInputs {
        file: given,
        ..GivenInputs::default()
    };
    let name = &definition.name;
    let inputs = Inputs::resolve(definition, &given).map_err(|problems: Vec<InputProblem>| {
        let problems: Vec<_> = problems.into_iter().map(|found| found.message).collect();
        format!("the child workflow `{name}`: {}", problems.join("; "))
    })?;
    let inputs = Payload::kept(Value::Object(inputs.values.into_iter().collect()));
    let bytes = inputs.text().len();
    if bytes > limits::INPUTS_BYTES {
        let max = limits::INPUTS_BYTES;
        return Err(format!(
            "the inputs of the child workflow `{name}` take {bytes} bytes, more than the maximum of {max}"
        ));
    }
    let bytes: u64 = files(definition, &inputs.value())
        .map(|(_, file)| file.size)
        .sum();
    if bytes > limits::ARTIFACTS_BYTES {
        let max = limits::ARTIFACTS_BYTES;
        return Err(format!(
            "the files that the child workflow `{name}` is given take {bytes} bytes, more than the maximum of {max}"
        ));
    }
    match definition.cannot_take(&inputs.value()) {
        Some((place, bytes)) => Err(format!(
            "the inputs of the child workflow `{name}` do not fit: {place} would be given {bytes} bytes"
        )),
        None => Ok(inputs),
    }
}

fn digest(inputs: &Payload) -> Digest {
    Digest::of(inputs.text().as_bytes())
}

fn refused(class: ErrorClass, code: &str, message: String) -> Box<StepEvent> {
    Box::new(StepEvent::failed(StepError::new(class, code, message)))
}
