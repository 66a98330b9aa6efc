//! Rows that nobody but a person can judge: `ask` stops for the person, `settle` does what was decided.

use std::collections::{BTreeMap, BTreeSet};

use milepost_sdk::{Context, Error, Result, Schema, Step};
use serde::{Deserialize, Serialize};

use crate::model::{Problem, Table};

/// What becomes of rows with problems that cannot be repaired.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, Schema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Decision {
    /// They are left out.
    #[default]
    Drop,
    /// They stay as they are.
    Keep,
}

#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DecideInput {
    /// What `validate` found; problems that can be repaired are not asked about.
    problems: Vec<Problem>,
    /// What is done when a person resumes the run.
    #[serde(default)]
    default: Decision,
}

#[derive(Debug, Serialize, Schema)]
pub(crate) struct Decided {
    decision: Decision,
    /// How many problems that settles.
    problems: usize,
}

/// Kept over the pause: that it took place, and for how many problems.
#[derive(Deserialize, Serialize)]
struct Asked {
    problems: usize,
}

/// How many problems the message of the pause names one by one.
const LISTED: usize = 10;

pub(crate) struct Decide;

impl Step for Decide {
    const NAME: &'static str = "decide";
    const DESCRIPTION: &'static str = "Pauses until a person has seen the problems that cannot be repaired; resuming applies the default decision.";
    type Input = DecideInput;
    type Output = Decided;

    fn run(input: DecideInput, ctx: &Context) -> Result<Decided> {
        let open: Vec<&Problem> = input.problems.iter().filter(|p| !p.fixable).collect();
        let asked: Option<Asked> = ctx.resume_state()?;
        // Resumed with other problems than the person has seen: ask again.
        if open.is_empty() || asked.is_some_and(|asked| asked.problems == open.len()) {
            return Ok(Decided {
                decision: input.default,
                problems: open.len(),
            });
        }
        let state = Asked {
            problems: open.len(),
        };
        let question = question(&open, input.default);
        Err(Error::pause("needs-decision", question)
            .state(&state)
            .into())
    }
}

fn question(open: &[&Problem], default: Decision) -> String {
    let mut text = format!("{} problems need a person's decision:\n", open.len());
    for problem in open.iter().take(LISTED) {
        let Problem {
            line,
            column,
            value,
            reason,
            ..
        } = problem;
        text.push_str(&format!(
            "  line {line}, {column} = \"{value}\": {reason}\n"
        ));
    }
    if open.len() > LISTED {
        text.push_str(&format!("  and {} more\n", open.len() - LISTED));
    }
    text.push_str(match default {
        Decision::Drop => "Resume the run to leave these rows out",
        Decision::Keep => "Resume the run to keep these rows as they are",
    });
    text.push_str(", or cancel it, correct the file and start again.");
    text
}

#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SettleInput {
    table: Table,
    /// What `validate` found.
    problems: Vec<Problem>,
    #[serde(default)]
    decision: Decision,
}

#[derive(Debug, Serialize, Schema)]
pub(crate) struct Settled {
    table: Table,
    /// Rows left out.
    dropped: usize,
    /// Rows kept in spite of a problem.
    kept: usize,
    /// How many problems of each column were settled.
    by_column: BTreeMap<String, usize>,
}

pub(crate) struct Settle;

impl Step for Settle {
    const NAME: &'static str = "settle";
    const DESCRIPTION: &'static str =
        "Leaves out or keeps the rows whose problems cannot be repaired.";
    type Input = SettleInput;
    type Output = Settled;

    fn run(input: SettleInput, _: &Context) -> Result<Settled> {
        let mut table = input.table;
        let mut by_column = BTreeMap::new();
        let mut bad = BTreeSet::new();
        for problem in input.problems.iter().filter(|problem| !problem.fixable) {
            *by_column.entry(problem.column.clone()).or_default() += 1;
            bad.insert(problem.line);
        }
        let rows = bad.len();
        let (dropped, kept) = match input.decision {
            Decision::Drop => (rows, 0),
            Decision::Keep => (0, rows),
        };
        if dropped > 0 {
            table.retain_lines(|line| !bad.contains(&line));
        }
        Ok(Settled {
            table,
            dropped,
            kept,
            by_column,
        })
    }
}
