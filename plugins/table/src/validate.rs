//! Finds what is wrong with a table; changes nothing.

use std::collections::BTreeMap;

use milepost_sdk::{Context, Error, Result, Schema, Step, log};
use serde::{Deserialize, Serialize};

use crate::cell;
use crate::model::{Problem, ProblemKind, Row, Rule, Table};

#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ValidateInput {
    table: Table,
    /// At most one rule per column; columns without one may hold anything.
    rules: Vec<Rule>,
    /// Columns that together name a row. Two rows with the same values there are duplicates when they agree in every
    /// column, and a conflict otherwise. Empty: rows may repeat.
    #[serde(default)]
    key: Vec<String>,
}

#[derive(Debug, Serialize, Schema)]
pub(crate) struct ValidateOutput {
    /// In the order of the rows; of each cell only what can be seen now: mending one problem may uncover the next.
    pub(crate) problems: Vec<Problem>,
    /// How many of them `clean` can repair.
    pub(crate) fixable: usize,
    /// How many of them a person must decide.
    pub(crate) unresolved: usize,
}

pub(crate) struct Validate;

impl Step for Validate {
    const NAME: &'static str = "validate";
    const DESCRIPTION: &'static str =
        "Lists the problems of a table, and which of them can be repaired.";
    type Input = ValidateInput;
    type Output = ValidateOutput;

    fn run(input: ValidateInput, _: &Context) -> Result<ValidateOutput> {
        let ValidateInput { table, rules, key } = input;
        let named = rules.iter().map(|rule| &rule.column).chain(&key);
        for column in named {
            if !table.columns.contains(column) {
                let message = format!(
                    "no column `{column}`; there are: {}",
                    table.columns.join(", ")
                );
                return Err(Error::failed("missing_column", message).into());
            }
        }
        let output = validate(&table, &rules, &key);
        log::info(&format!(
            "{} problems can be repaired, {} cannot",
            output.fixable, output.unresolved
        ));
        Ok(output)
    }
}

pub(crate) fn validate(table: &Table, rules: &[Rule], key: &[String]) -> ValidateOutput {
    let mut problems = Vec::new();
    let mut seen: BTreeMap<Vec<&str>, (u64, &Row)> = BTreeMap::new();
    for (line, row) in table.iter() {
        let before = problems.len();
        for rule in rules {
            let value = row.get(&rule.column).map_or("", String::as_str);
            if let Some(finding) = cell::check(rule, value) {
                problems.push(Problem {
                    line,
                    column: rule.column.clone(),
                    value: value.to_owned(),
                    kind: finding.kind,
                    reason: finding.reason,
                    fixable: finding.fix.is_some(),
                    fix: finding.fix,
                });
            }
        }
        // A row that is still to be mended may turn out to be a duplicate, and none before.
        let settled = problems[before..].iter().all(|problem| !problem.fixable);
        if !key.is_empty() && settled {
            problems.extend(repeated(key, line, row, &mut seen));
        }
    }
    let fixable = problems.iter().filter(|problem| problem.fixable).count();
    ValidateOutput {
        unresolved: problems.len() - fixable,
        fixable,
        problems,
    }
}

/// What is wrong with a row of which there was one with the same key.
fn repeated<'a>(
    key: &[String],
    line: u64,
    row: &'a Row,
    seen: &mut BTreeMap<Vec<&'a str>, (u64, &'a Row)>,
) -> Option<Problem> {
    let values: Vec<&str> = key
        .iter()
        .map(|column| row.get(column).map_or("", String::as_str))
        .collect();
    let value = values.join(", ");
    let (first_line, first) = *seen.entry(values).or_insert((line, row));
    if first_line == line {
        return None;
    }
    let fixable = first == row;
    let (kind, reason) = if fixable {
        (
            ProblemKind::Duplicate,
            format!("the same as line {first_line}"),
        )
    } else {
        (
            ProblemKind::Conflict,
            format!("line {first_line} says something else"),
        )
    };
    Some(Problem {
        line,
        column: key.join(", "),
        value,
        kind,
        reason,
        fixable,
        fix: None,
    })
}
