//! A component whose inputs and outputs are held against its manifest: what does not fit never reaches it, or whoever reads its output.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::Arc;

use milepost_core::json_schema::{Contracts, JsonSchema, Problem, StepContract, Unfit};
use milepost_core::limits::SCHEMA_CHECK_WORK;
use milepost_core::outcome::{ErrorClass, Outcome, StepError, codes};
use milepost_core::shown;
use serde_json::{Value, json};

use crate::attempt::{BoxFuture, Call, CallResult, Callable};
use crate::wasm::secrets::Secrets;

/// Bytes that an error shows of a value, and of a path.
const SHOWN: usize = 200;

/// A component, and what it declares.
pub(crate) struct Checked {
    pub(crate) component: Arc<dyn Callable>,
    pub(crate) contracts: Arc<Contracts>,
}

impl Callable for Checked {
    fn call(&self, call: Call) -> BoxFuture<'_, CallResult> {
        // Functions, and steps that the manifest does not list, declare nothing here.
        let Some(contract) = self.contracts.step(&call.step) else {
            return self.component.call(call);
        };
        Box::pin(self.attempt(contract, call))
    }
}

impl Checked {
    async fn attempt(&self, contract: &StepContract, call: Call) -> CallResult {
        let (step, secrets) = (Arc::clone(&call.step), call.secrets.clone());
        let refused = |side: Side, schema: &JsonSchema, value: &Value| {
            let unfit = schema.check(value).err()?;
            let mut masked = BTreeSet::new();
            let error = side.error(&step, &unfit, &secrets, &mut masked);
            let (outcome, also) = secrets.mask_outcome(Outcome::Failed(error));
            masked.extend(also);
            Some((outcome, masked))
        };
        if let Some((outcome, masked)) = refused(Side::Input, &contract.input, &call.input) {
            let mut result = CallResult::of(outcome);
            depends_on(&mut result, masked);
            return result;
        }
        let mut result = self.component.call(call).await;
        if let Outcome::Completed(output) = &result.outcome
            && let Some((outcome, masked)) = refused(Side::Output, &contract.output, output)
        {
            result.outcome = outcome;
            depends_on(&mut result, masked);
        }
        result
    }
}

/// Names of secrets whose values were masked.
type Masked = BTreeSet<Arc<str>>;

/// Notes whose values were masked, so that nobody takes the attempt for one that can be executed again without them.
fn depends_on(result: &mut CallResult, masked: Masked) {
    let names = masked.into_iter().map(|name| name.to_string());
    result.tape.secrets.extend(names);
}

#[derive(Clone, Copy)]
enum Side {
    Input,
    Output,
}

impl Side {
    fn error(
        self,
        step: &str,
        unfit: &Unfit<'_>,
        secrets: &Secrets,
        masked: &mut Masked,
    ) -> StepError {
        let (what, class, code) = match self {
            Self::Input => ("input", ErrorClass::Failed, codes::INVALID_INPUT),
            // As of an output that is no JSON: the component does not do what it says.
            Self::Output => ("output", ErrorClass::Trap, codes::INVALID_OUTPUT),
        };
        let problems = match unfit {
            Unfit::Problems(problems) => problems,
            Unfit::TooMuch => {
                let message = format!(
                    "the {what} of `{step}` could not be held against its manifest in {SCHEMA_CHECK_WORK} steps; \
                     `validate = false` of the plugin leaves it unchecked"
                );
                return StepError::new(class, code, message);
            }
        };
        let mut told = |one| Told::of(one, secrets, masked);
        let told: Vec<Told> = problems.iter().map(&mut told).collect();
        let lines: Vec<String> = told.iter().map(|one| one.sentence(what)).collect();
        let message = format!(
            "the {what} does not fit the manifest of `{step}`: {}",
            lines.join("; ")
        );
        let detail = told.into_iter().map(Told::detail).collect::<Vec<_>>();
        StepError {
            detail: Some(json!({ "problems": detail })),
            ..StepError::new(class, code, message)
        }
    }
}

/// A problem as it is told: without secrets, and cut.
struct Told {
    path: String,
    expected: String,
    actual: Option<String>,
}

impl Told {
    fn of(problem: &Problem<'_>, secrets: &Secrets, masked: &mut Masked) -> Self {
        // Masked first: what is cut within a value could not be found any more.
        let mut hidden = |value: &Value| {
            (!secrets.is_empty()).then(|| {
                secrets.mask_json(value.clone(), &mut |name| {
                    masked.insert(Arc::clone(name));
                })
            })
        };
        let path = Value::from(problem.path.as_str());
        let path = hidden(&path).unwrap_or(path);
        Self {
            path: shown::excerpt(path.as_str().unwrap_or_default(), SHOWN),
            expected: problem.expected.clone(),
            // A value may be large, and little of it is shown: without secrets it is not copied.
            actual: problem
                .actual
                .map(|value| beginning(hidden(value).as_ref().unwrap_or(value))),
        }
    }

    fn sentence(&self, what: &str) -> String {
        let place = match &*self.path {
            "" => format!("the {what}"),
            path => format!("`{path}`"),
        };
        let actual = self.actual.as_deref().unwrap_or("nothing");
        format!("{place}: expected {}, found {actual}", self.expected)
    }

    fn detail(self) -> Value {
        json!({ "path": self.path, "expected": self.expected, "actual": self.actual })
    }
}

/// The beginning of a value's JSON: no more is written than is shown.
fn beginning(value: &Value) -> String {
    let mut text = Beginning::default();
    let cut = serde_json::to_writer(&mut text, value).is_err();
    let text = String::from_utf8_lossy(&text.0);
    match cut {
        // A character may have been cut, too.
        true => format!("{}…", text.trim_end_matches(char::REPLACEMENT_CHARACTER)),
        false => text.into_owned(),
    }
}

#[derive(Default)]
struct Beginning(Vec<u8>);

impl Write for Beginning {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match bytes.len().min(SHOWN - self.0.len()) {
            0 if !bytes.is_empty() => Err(io::ErrorKind::WriteZero.into()),
            room => {
                self.0.extend_from_slice(&bytes[..room]);
                Ok(room)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
