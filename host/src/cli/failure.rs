//! Why a verb did nothing. Typed errors of the library become one shape here, once: exit code, stable code, message, help.

use std::fmt::Write as _;

use milepost::core::diagnostic::Diagnostics;
use milepost::core::definition::input::InputProblem;
use milepost::engine::EngineError;
use milepost::plugin::PluginError;
use milepost::store::StoreError;
use milepost::wasm::{DescribeError, Rejection};
use milepost::workflow::OpenError;
use serde_json::{Value, json};

use super::exit::Exit;
use super::style::Style;

/// A verb that did nothing.
#[derive(Debug)]
pub(crate) struct Failure {
    /// How the program ends.
    pub(crate) exit: Exit,
    code: &'static str,
    message: String,
    help: Option<String>,
    details: Details,
}

/// More than one sentence.
#[derive(Debug)]
enum Details {
    None,
    Definition(Box<Diagnostics>),
    Inputs(Vec<InputProblem>),
}

impl Failure {
    /// A failure without help.
    pub(crate) fn new(exit: Exit, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            exit,
            code,
            message: message.into(),
            help: None,
            details: Details::None,
        }
    }

    /// The same failure with what to do about it.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// A file that the program was told to read or write.
    pub(crate) fn file(verb: &str, file: &std::path::Path, error: &std::io::Error) -> Self {
        Self::new(Exit::Invalid, "file", format!("cannot {verb} {}: {error}", file.display()))
    }

    /// All problems of the inputs.
    pub(crate) fn inputs(problems: Vec<InputProblem>) -> Self {
        Self {
            details: Details::Inputs(problems),
            ..Self::new(Exit::Invalid, "invalid_input", "the inputs do not fit the workflow")
        }
    }

    /// For a person.
    pub(crate) fn render(&self, style: Style) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        match &self.details {
            // The problems speak for themselves.
            Details::Definition(diagnostics) => out.push_str(&diagnostics.render(style.is_on())),
            Details::Inputs(problems) => {
                for problem in problems {
                    let head = style.red(&format!("error[{}]", problem.code));
                    let _ = writeln!(out, "{head}: {}", problem.message);
                    if let Some(help) = &problem.help {
                        let _ = writeln!(out, "  {} {help}", style.bold("help:"));
                    }
                    if !problem.candidates.is_empty() {
                        let names: Vec<_> = problem.candidates.iter().map(|name| format!("`{name}`")).collect();
                        let _ = writeln!(out, "  {} did you mean {}?", style.bold("help:"), names.join(" or "));
                    }
                }
            }
            Details::None => {
                let _ = writeln!(out, "{} {}", style.red("error:"), self.message.trim_end());
            }
        }
        if let Some(help) = &self.help {
            let _ = writeln!(out, "  {} {help}", style.bold("help:"));
        }
        out
    }

    /// For a program.
    pub(crate) fn document(&self) -> Value {
        let mut error = json!({ "code": self.code, "message": self.message });
        if let Some(help) = &self.help {
            error["help"] = json!(help);
        }
        match &self.details {
            Details::None => {}
            Details::Definition(diagnostics) => {
                let mut found = diagnostics.to_json();
                error["file"] = found["file"].take();
                error["diagnostics"] = found["diagnostics"].take();
            }
            Details::Inputs(problems) => {
                let problems = problems.iter().map(|problem| {
                    json!({
                        "code": problem.code,
                        "message": problem.message,
                        "help": problem.help,
                        "candidates": problem.candidates,
                    })
                });
                error["diagnostics"] = problems.collect();
            }
        }
        json!({ "error": error })
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let message = error.to_string();
        match error {
            EngineError::Open(error) => error.into(),
            EngineError::Record(_) => Self::new(Exit::Unavailable, "damaged_record", message)
                .help("the record is left as it is; restore the store from a copy"),
            EngineError::Store(error) => error.into(),
            EngineError::IdTaken(_) => Self::new(Exit::Invalid, "id_taken", message),
            EngineError::NotResumable { run, .. } => Self::new(Exit::Invalid, "not_resumable", message)
                .help(format!("`milepost show {run}` tells how it ended")),
            EngineError::AlreadyRunning { run, .. } => Self::new(Exit::TryAgain, "already_running", message)
                .help(format!("`milepost show {run}` tells how far it is")),
            EngineError::Changed { .. } => Self::new(Exit::Invalid, "definition_changed", message).help(
                "`--accept-changes` goes on under the new version; undo the changes to go on under the recorded one",
            ),
            EngineError::Refused(_) => Self::new(Exit::Invalid, "refused", message),
            EngineError::Internal(_) => Self::internal(message),
        }
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        let message = error.to_string();
        match error {
            OpenError::Unreadable { .. } => Self::new(Exit::Invalid, "unreadable_definition", message),
            OpenError::Invalid(diagnostics) => Self::from(*diagnostics),
            OpenError::Plugin(error) => error.into(),
        }
    }
}

impl From<Diagnostics> for Failure {
    fn from(diagnostics: Diagnostics) -> Self {
        let count = diagnostics.items.len();
        let plural = if count == 1 { "" } else { "s" };
        let message = format!("{} has {count} problem{plural}", diagnostics.file);
        Self {
            details: Details::Definition(Box::new(diagnostics)),
            ..Self::new(Exit::Invalid, "invalid_definition", message)
        }
    }
}

impl From<PluginError> for Failure {
    fn from(error: PluginError) -> Self {
        let message = error.to_string();
        match error {
            PluginError::Unavailable { .. } => Self::new(Exit::Unavailable, "plugin_unavailable", message),
            PluginError::Incompatible { .. } => Self::new(Exit::Invalid, "plugin_incompatible", message),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        match error {
            StoreError::NotFound(_) => Self::new(Exit::Invalid, "run_not_found", message).help("`milepost ls` lists the runs"),
            StoreError::Exists(_) => Self::new(Exit::Invalid, "id_taken", message),
            StoreError::Conflict { .. } => Self::new(Exit::TryAgain, "already_running", message),
            StoreError::TooNew { .. } => Self::new(Exit::Unavailable, "store_too_new", message),
            StoreError::Corrupt(_) => Self::new(Exit::Unavailable, "store_damaged", message)
                .help("restore the store from a copy, or name another one with `--store`"),
            StoreError::Unavailable(_) => Self::new(Exit::Unavailable, "store_unavailable", message),
        }
    }
}

impl From<Rejection> for Failure {
    fn from(rejection: Rejection) -> Self {
        let failure = Self::new(Exit::Invalid, "plugin_incompatible", format!("cannot use the component: {rejection}"));
        match rejection.help() {
            Some(help) => failure.help(help),
            None => failure,
        }
    }
}

impl From<DescribeError> for Failure {
    fn from(error: DescribeError) -> Self {
        match error {
            DescribeError::Rejected(rejection) => rejection.into(),
            DescribeError::Stopped(_) => Self::new(Exit::Invalid, "describe_failed", error.to_string())
                .help("`describe` must give its manifest without calling anything of the host"),
        }
    }
}

impl Failure {
    /// A defect of the program.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(Exit::Internal, "internal", message).help("this is a defect of milepost; please report it with this text")
    }
}

#[cfg(test)]
mod tests {
    use milepost::core::ids::RunId;
    use milepost::core::state::Status;

    use super::*;

    #[test]
    fn every_kind_of_error_has_its_exit_code() {
        let Ok(run) = RunId::new("r") else {
            panic!("a valid id");
        };
        let unavailable = || StoreError::Unavailable("disk full".into());
        let cases: Vec<(Failure, Exit, &str)> = vec![
            (StoreError::NotFound(run.clone()).into(), Exit::Invalid, "run_not_found"),
            (unavailable().into(), Exit::Unavailable, "store_unavailable"),
            (EngineError::Store(unavailable()).into(), Exit::Unavailable, "store_unavailable"),
            (EngineError::IdTaken(run.clone()).into(), Exit::Invalid, "id_taken"),
            (
                EngineError::AlreadyRunning {
                    run: run.clone(),
                    status: Status::Running,
                    owner: None,
                }
                .into(),
                Exit::TryAgain,
                "already_running",
            ),
            (
                EngineError::NotResumable {
                    run,
                    status: Status::Completed,
                    reason: "it has ended".into(),
                }
                .into(),
                Exit::Invalid,
                "not_resumable",
            ),
            (
                PluginError::Unavailable {
                    name: "p".into(),
                    reason: "gone".into(),
                }
                .into(),
                Exit::Unavailable,
                "plugin_unavailable",
            ),
            (Rejection::NotWasm.into(), Exit::Invalid, "plugin_incompatible"),
        ];
        for (failure, exit, code) in cases {
            assert_eq!(failure.exit, exit, "{code}");
            assert_eq!(failure.document()["error"]["code"], code);
            assert!(failure.render(Style::new(false)).starts_with("error: "), "{code}");
        }
    }

    #[test]
    fn all_problems_of_the_inputs_are_told() {
        let problem = |name: &str| InputProblem {
            code: "MP0701",
            message: format!("the workflow has no input `{name}`"),
            help: None,
            candidates: vec!["repo".into()],
        };
        let failure = Failure::inputs(vec![problem("rpo"), problem("reop")]);
        let text = failure.render(Style::new(false));
        assert_eq!(text.matches("error[MP0701]").count(), 2, "{text}");
        assert!(text.contains("did you mean `repo`?"), "{text}");
        let document = failure.document();
        assert_eq!(document["error"]["diagnostics"].as_array().map(Vec::len), Some(2));
    }
}
