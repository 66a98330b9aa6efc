//! Repairs what `validate` found and can be repaired without asking anybody.

use std::collections::{BTreeMap, BTreeSet};

use milepost_sdk::{Context, Result, Schema, Step, log};
use serde::{Deserialize, Serialize};

use crate::model::{Problem, ProblemKind, Table};

#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CleanInput {
    table: Table,
    /// What `validate` found in this table; problems that are not fixable are left alone.
    problems: Vec<Problem>,
}

#[derive(Debug, Serialize, Schema)]
pub(crate) struct CleanOutput {
    pub(crate) table: Table,
    /// How many problems of each kind were repaired.
    pub(crate) repaired: BTreeMap<ProblemKind, usize>,
}

pub(crate) struct Clean;

impl Step for Clean {
    const NAME: &'static str = "clean";
    const DESCRIPTION: &'static str = "Repairs the problems that were found and can be repaired.";
    type Input = CleanInput;
    type Output = CleanOutput;

    fn run(input: CleanInput, _: &Context) -> Result<CleanOutput> {
        let output = clean(input.table, &input.problems);
        for (kind, count) in &output.repaired {
            log::info(&format!("repaired {count} of kind {kind:?}"));
        }
        Ok(output)
    }
}

pub(crate) fn clean(mut table: Table, problems: &[Problem]) -> CleanOutput {
    let mut repaired = BTreeMap::new();
    let mut duplicates = BTreeSet::new();
    let index: BTreeMap<u64, usize> = table.lines.iter().copied().zip(0..).collect();
    for problem in problems.iter().filter(|problem| problem.fixable) {
        let done = if problem.kind == ProblemKind::Duplicate {
            duplicates.insert(problem.line)
        } else {
            mend(&mut table, &index, problem)
        };
        if done {
            *repaired.entry(problem.kind).or_default() += 1;
        }
    }
    table.retain_lines(|line| !duplicates.contains(&line));
    CleanOutput { table, repaired }
}

/// Writes the repaired text, unless the cell no longer says what was found.
fn mend(table: &mut Table, index: &BTreeMap<u64, usize>, problem: &Problem) -> bool {
    let row = index
        .get(&problem.line)
        .and_then(|&at| table.rows.get_mut(at));
    let cell = row.and_then(|row| row.get_mut(&problem.column));
    match (cell, &problem.fix) {
        (Some(cell), Some(fix)) if *cell == problem.value => {
            cell.clone_from(fix);
            true
        }
        _ => false,
    }
}
