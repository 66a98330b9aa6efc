//! Problems in a file, as data: stable code, message, place, help, candidates. Rendering is a function of the data.

mod lines;
mod render;
mod report;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;

pub use lines::Position;
pub use report::{Label, Located, Report, Span};

use lines::Lines;

use crate::limits::DIAGNOSTICS;
use crate::shown;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The definition cannot be used.
    Error,
    /// It can, but the author should know.
    Warning,
}

/// One problem at one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Stable code, `MP0123`; `explain` tells more.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one sentence.
    pub message: String,
    /// Byte range in the file.
    pub span: Range<usize>,
    /// How to mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Nearest valid names, best first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<String>,
    /// Other places that matter, each with a label ("first defined here").
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub related: Vec<(Range<usize>, String)>,
}

impl Diagnostic {
    /// An error without help.
    pub fn error(code: &'static str, span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: shown::message(message),
            span,
            help: None,
            candidates: Vec::new(),
            related: Vec::new(),
        }
    }

    /// A warning without help.
    pub fn warning(code: &'static str, span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(code, span, message)
        }
    }

    /// The same problem with this help.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(shown::message(help));
        self
    }

    /// The same problem with these names to choose from.
    #[must_use]
    pub fn with_candidates(mut self, candidates: Vec<String>) -> Self {
        self.candidates = candidates;
        self
    }

    /// The same problem with one more place that matters.
    #[must_use]
    pub fn with_related(mut self, span: Range<usize>, label: impl Into<String>) -> Self {
        self.related.push((span, label.into()));
        self
    }
}

/// Every problem of one file, sorted by position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics {
    /// File name, as the user gave it.
    pub file: String,
    /// The exact text that the spans point into.
    pub text: Arc<str>,
    /// The problems, in the order of the text.
    pub items: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Sorts `items` by position.
    #[must_use]
    pub fn new(file: &str, text: Arc<str>, mut items: Vec<Diagnostic>) -> Self {
        items.sort_by(|a, b| {
            (a.span.start, a.span.end, a.code).cmp(&(b.span.start, b.span.end, b.code))
        });
        Self {
            file: file.to_owned(),
            text,
            items,
        }
    }

    /// Whether any of the problems is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.items.iter().any(|d| d.severity == Severity::Error)
    }

    /// The first [`DIAGNOSTICS`], which are shown.
    fn shown(&self) -> &[Diagnostic] {
        &self.items[..self.items.len().min(DIAGNOSTICS)]
    }

    /// How many problems are not shown.
    #[must_use]
    pub fn omitted(&self) -> usize {
        self.items.len() - self.shown().len()
    }

    /// The problems for a person: place, source line with a caret, help. `color` adds ANSI styles.
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        render::render(self, color)
    }

    /// The problems for a program, with their places.
    #[must_use]
    pub fn report(&self) -> Report<'_> {
        let lines = Lines::new(&self.text);
        let items = self.shown().iter();
        Report {
            file: &self.file,
            diagnostics: items.map(|item| Located::new(item, &lines)).collect(),
            omitted: self.omitted(),
        }
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Diagnostics {}
