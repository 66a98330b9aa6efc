//! The shapes that the steps of this plugin hand to each other.

use std::collections::BTreeMap;

use milepost_sdk::Schema;
use serde::{Deserialize, Serialize};

/// A row: one text per column.
pub(crate) type Row = BTreeMap<String, String>;

/// A table of texts.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Schema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    /// Column names in the order of the file.
    pub(crate) columns: Vec<String>,
    /// One object per row, with a text for every column; an empty cell is an empty text.
    pub(crate) rows: Vec<Row>,
    /// For each row, the line of the file on which it begins, from 1: how a person finds it, also after other rows went.
    pub(crate) lines: Vec<u64>,
}

impl Table {
    /// Rows with their lines.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Row)> {
        self.lines.iter().copied().zip(&self.rows)
    }

    /// Keeps the rows whose line passes.
    pub(crate) fn retain_lines(&mut self, keep: impl Fn(u64) -> bool) {
        let lines = std::mem::take(&mut self.lines);
        let rows = std::mem::take(&mut self.rows);
        (self.lines, self.rows) = lines
            .into_iter()
            .zip(rows)
            .filter(|(line, _)| keep(*line))
            .unzip();
    }
}

/// What the cells of a column must be.
#[derive(Debug, Clone, Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    /// The column; it must be in the table.
    pub(crate) column: String,
    /// Whether an empty cell is a problem.
    #[serde(default)]
    pub(crate) required: bool,
    /// What the text stands for.
    #[serde(default, rename = "type")]
    pub(crate) kind: CellType,
    /// Smallest number.
    pub(crate) min: Option<f64>,
    /// Largest number.
    pub(crate) max: Option<f64>,
    /// The values there are, spelled as they should be; empty allows all.
    #[serde(default)]
    pub(crate) allowed: Vec<String>,
}

/// What the text of a cell stands for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Schema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CellType {
    /// Any text.
    #[default]
    Text,
    /// A whole number.
    Int,
    /// A number with a decimal point.
    Float,
    /// A day, `2026-01-31`.
    Date,
}

/// Classes of problems. The first five can be repaired without asking anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, Schema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ProblemKind {
    /// White space around or within the text.
    Space,
    /// A number with a currency, a decimal comma or thousands separators.
    NumberFormat,
    /// A day in another notation.
    DateFormat,
    /// A known value in another spelling.
    Spelling,
    /// A row that says the same as an earlier one.
    Duplicate,
    /// An empty cell where a value is required.
    Missing,
    /// Text where a number should be, or a number that can be read in two ways.
    NotANumber,
    /// Text where a day should be, or a day that does not exist.
    NotADate,
    /// A number that is too small or too large.
    OutOfRange,
    /// A value that is not in the list.
    NotAllowed,
    /// A row with the key of an earlier one that says something else.
    Conflict,
}

/// Something wrong with a row.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Schema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Problem {
    /// Line of the file, from 1.
    pub(crate) line: u64,
    /// The column; for a row as a whole, the columns that name it.
    pub(crate) column: String,
    /// What stands there.
    pub(crate) value: String,
    pub(crate) kind: ProblemKind,
    /// For a person.
    pub(crate) reason: String,
    /// Whether `clean` can repair it.
    pub(crate) fixable: bool,
    /// What `clean` writes instead; nothing where it removes the row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fix: Option<String>,
}
