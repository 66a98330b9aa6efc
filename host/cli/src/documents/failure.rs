//! Why a verb did nothing.

use milepost::core::definition::input::InputProblem;
use milepost::core::diagnostic::{Located, Severity};
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::Code;

/// A verb that did nothing.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Failed {
    /// Why.
    pub(crate) error: Problem,
}

/// Why something could not be done.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Problem {
    /// Stable code.
    pub(crate) code: &'static str,
    /// What went wrong, in words.
    pub(crate) message: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) help: Option<String>,
    /// The definition that has problems.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<String>,
    /// The first problems of the definition, or all of the inputs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) diagnostics: Option<Vec<Diagnostic>>,
    /// How many more problems there are.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) omitted: usize,
}

impl Problem {
    /// A file that could not be read.
    pub(crate) fn unreadable(message: String) -> Self {
        Self {
            code: Code::File.about().code,
            message,
            help: None,
            file: None,
            diagnostics: None,
            omitted: 0,
        }
    }
}

/// Problems in a file.
pub(crate) fn located(found: Vec<Located>) -> Vec<Diagnostic> {
    found.into_iter().map(Diagnostic::Located).collect()
}

/// One of several problems.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Diagnostic {
    /// In a file.
    Located(Located),
    /// Of an input.
    Input(InputDiagnostic),
}

/// A problem of an input.
#[derive(Serialize, JsonSchema)]
pub(crate) struct InputDiagnostic {
    /// Stable code.
    code: &'static str,
    /// How bad it is.
    severity: Severity,
    /// What is wrong, in one sentence.
    message: String,
    /// What to do.
    help: Option<String>,
    /// Nearest valid names, best first.
    candidates: Vec<String>,
}

impl From<&InputProblem> for InputDiagnostic {
    fn from(problem: &InputProblem) -> Self {
        Self {
            code: problem.code,
            severity: Severity::Error,
            message: problem.message.clone(),
            help: problem.help.clone(),
            candidates: problem.candidates.clone(),
        }
    }
}

pub(super) fn is_zero(count: &usize) -> bool {
    *count == 0
}
