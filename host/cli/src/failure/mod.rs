//! Why a verb did nothing. One shape for all of them: a [`code`], which has an exit code, a message, help. [`kinds`]
//! brings the library's typed errors into it, once.

mod code;
mod kinds;

pub(crate) use code::Code;
pub(crate) use kinds::DENIED;

use milepost::core::definition::input::InputProblem;
use milepost::core::diagnostic::Diagnostics;
use milepost::core::shown::{self, Shown};

use super::documents::{Diagnostic, Failed, Problem, located};
use super::exit::Exit;
use super::meant;
use super::style::Style;
use super::text::Text;
use super::words::{self, advice::Advice};

/// The code of an input that is missing.
const MISSING_INPUT: &str = "MP0703";

/// A verb that did nothing.
#[derive(Debug)]
pub(crate) struct Failure {
    /// How the program ends.
    pub(crate) exit: Exit,
    code: Code,
    message: String,
    help: Option<Advice>,
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
    /// A failure without help, its message bounded.
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            exit: code.about().exit,
            code,
            message: shown::message(message),
            help: None,
            details: Details::None,
        }
    }

    /// The same failure with what to do about it.
    pub(crate) fn help(mut self, help: impl Into<Advice>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same failure of a command that looked into this store: where that matters, it is named. A run that is not found may be in
    /// another one.
    pub(crate) fn in_store(mut self, folder: &std::path::Path) -> Self {
        let matters = matches!(
            self.code,
            Code::RunNotFound | Code::StoreFull | Code::StoreLocked | Code::StoreUnavailable
        );
        let store = Shown(folder.display()).to_string();
        if matters && !self.message.contains(&store) {
            self.message.push_str(&format!(" (store: {store})"));
        }
        self
    }

    /// What went wrong, in words.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// A file that the program was told to read or write.
    pub(crate) fn file(verb: &str, file: &std::path::Path, error: &std::io::Error) -> Self {
        Self::new(
            Code::File,
            format!("cannot {verb} {}: {error}", Shown(file.display())),
        )
    }

    /// All problems of the inputs, and how one that is missing is given.
    pub(crate) fn inputs(problems: Vec<InputProblem>) -> Self {
        let is_missing = |problem: &InputProblem| problem.code == MISSING_INPUT;
        let failure = Self::new(Code::InvalidInput, "the inputs do not fit the workflow");
        let failure = match problems.iter().any(is_missing) {
            true => failure.help("`--input NAME=VALUE` gives one, `--inputs FILE` all of a file"),
            false => failure,
        };
        Self {
            details: Details::Inputs(problems),
            ..failure
        }
    }

    /// All problems of an expression.
    pub(crate) fn expression(problems: Diagnostics) -> Self {
        let message = problems.items.first();
        let message = message.map(|problem| problem.message.clone());
        Self {
            details: Details::Definition(Box::new(problems)),
            ..Self::new(Code::InvalidExpression, message.unwrap_or_default())
        }
    }

    /// The store was moved away under the program.
    pub(crate) fn store_gone(message: impl Into<String>) -> Self {
        Self::new(Code::StoreGone, message)
            .help("nothing more was written; put it back, or name where it is now with `--store`")
    }

    /// A defect of the program.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(Code::Internal, message)
            .help("this is a defect of milepost; please report it with this text")
    }

    /// For a person, with commands as this makes them of their verbs.
    pub(crate) fn render(&self, style: Style, command: impl Fn(&str) -> String) -> Text {
        let help = |text: &str| style.bold("help:") + " " + text;
        let mut lines = Vec::new();
        match &self.details {
            // The problems speak for themselves.
            Details::Definition(found) => lines.push(Text::diagnostics(found, style.is_on())),
            Details::Inputs(problems) => {
                for problem in problems {
                    let head = style.red(format!("error[{}]", problem.code));
                    lines.push(head + ": " + &problem.message);
                    let given = problem.help.iter();
                    lines.extend(given.map(|text| Text::from("  ") + help(text)));
                    if !problem.candidates.is_empty() {
                        let question = meant::ask(&problem.candidates);
                        lines.push(Text::from("  ") + help(&question));
                    }
                }
            }
            Details::None => lines.push(style.red("error:") + " " + self.message.trim_end()),
        }
        let advice = self.help.iter().map(|advice| advice.words(&command));
        lines.extend(advice.map(|text| Text::from("  ") + help(&text)));
        Text::joined(lines, "\n")
    }

    /// For a program.
    pub(crate) fn document(&self) -> Failed {
        let mut error = Problem {
            code: self.code.about().code,
            message: self.message.clone(),
            help: self.help.as_ref().map(|help| help.words(words::plain)),
            file: None,
            diagnostics: None,
            omitted: 0,
        };
        match &self.details {
            Details::None => {}
            Details::Definition(diagnostics) => {
                let found = diagnostics.report();
                error.file = Some(found.file.to_owned());
                error.omitted = found.omitted;
                error.diagnostics = Some(located(found.diagnostics));
            }
            Details::Inputs(problems) => {
                let problems = problems
                    .iter()
                    .map(|problem| Diagnostic::Input(problem.into()));
                error.diagnostics = Some(problems.collect());
            }
        }
        Failed { error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_problems_of_the_inputs_are_told() {
        let problem = |name: &str| InputProblem {
            code: "MP0701",
            message: format!("the workflow has no input `{name}`"),
            help: None,
            candidates: vec!["repo".into()],
        };
        let failure = Failure::inputs(vec![problem("rpo"), problem("reop")]);
        let text = failure.render(Style::new(false), words::plain).plain();
        assert_eq!(text.matches("error[MP0701]").count(), 2, "{text}");
        assert!(text.contains("did you mean `repo`?"), "{text}");
        let document = failure.document();
        assert_eq!(document.error.diagnostics.map(|all| all.len()), Some(2));
    }
}
