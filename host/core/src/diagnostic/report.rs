//! The problems of a file for a program: each with its place. Lines and columns count from 1, columns in characters; spans are
//! byte offsets, the end excluded.

use std::ops::Range;

use serde::Serialize;

use super::lines::Lines;
use super::{Diagnostic, Severity};

/// The problems of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report<'a> {
    /// The file, as the user gave it.
    pub file: &'a str,
    /// The first problems, in the order of the text.
    pub diagnostics: Vec<Located>,
    /// How many more there are.
    #[serde(skip_serializing_if = "is_none")]
    pub omitted: usize,
}

fn is_none(count: &usize) -> bool {
    *count == 0
}

/// A problem at its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Located {
    /// Where its place begins: the line.
    pub line: usize,
    /// The column.
    pub column: usize,
    /// Where its place ends: the line.
    pub end_line: usize,
    /// The column.
    pub end_column: usize,
    /// The same in bytes.
    pub span: Span,
    /// Stable code, `MP0123`.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one sentence.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// Nearest valid names, best first.
    pub candidates: Vec<String>,
    /// Other places that matter.
    pub related: Vec<Label>,
}

/// Another place that matters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Label {
    /// Where it begins: the line.
    pub line: usize,
    /// The column.
    pub column: usize,
    /// Where it ends: the line.
    pub end_line: usize,
    /// The column.
    pub end_column: usize,
    /// The same in bytes.
    pub span: Span,
    /// Why it matters.
    pub label: String,
}

/// A range of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte after the last one.
    pub end: usize,
}

impl From<&Range<usize>> for Span {
    fn from(range: &Range<usize>) -> Self {
        Self {
            start: range.start,
            end: range.end,
        }
    }
}

impl Located {
    pub(super) fn new(item: &Diagnostic, lines: &Lines<'_>) -> Self {
        let start = lines.position(item.span.start);
        let end = lines.position(item.span.end);
        Self {
            line: start.line,
            column: start.column,
            end_line: end.line,
            end_column: end.column,
            span: (&item.span).into(),
            code: item.code,
            severity: item.severity,
            message: item.message.clone(),
            help: item.help.clone(),
            candidates: item.candidates.clone(),
            related: item
                .related
                .iter()
                .map(|(span, label)| Label::new(span, label, lines))
                .collect(),
        }
    }
}

impl Label {
    fn new(span: &Range<usize>, label: &str, lines: &Lines<'_>) -> Self {
        let start = lines.position(span.start);
        let end = lines.position(span.end);
        Self {
            line: start.line,
            column: start.column,
            end_line: end.line,
            end_column: end.column,
            span: span.into(),
            label: label.to_owned(),
        }
    }
}
