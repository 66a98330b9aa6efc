//! Groups rows and computes figures for each group.

use std::collections::BTreeMap;

use milepost_sdk::{Context, Error, Result, Schema, Step};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::cell::plain_number;
use crate::model::{Row, Table};

#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AggregateInput {
    table: Table,
    /// Columns whose values make a group; none makes one group of all rows.
    #[serde(default)]
    group_by: Vec<GroupBy>,
    /// What to compute for each group.
    measures: Vec<Measure>,
    /// Name of a result column to sort by, instead of the group.
    sort_by: Option<String>,
    /// Largest first.
    #[serde(default)]
    descending: bool,
}

#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
struct GroupBy {
    column: String,
    /// Name in the result; the column's own when left out.
    #[serde(rename = "as")]
    name: Option<String>,
    /// How many characters count: 7 makes the month of `2026-01-31`.
    prefix: Option<usize>,
}

#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
struct Measure {
    op: Op,
    /// The column; `count` needs none.
    column: Option<String>,
    /// Name in the result.
    #[serde(rename = "as")]
    name: String,
    /// Decimal places to round to; 0 makes whole numbers.
    decimals: Option<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Schema)]
#[serde(rename_all = "snake_case")]
enum Op {
    Sum,
    Mean,
    /// Rows of the group.
    Count,
    Min,
    Max,
}

#[derive(Debug, Serialize, Schema)]
pub(crate) struct AggregateOutput {
    columns: Vec<String>,
    /// One object per group: texts for what it was grouped by, numbers for the measures; `null` where a group has no number.
    rows: Vec<Map<String, Value>>,
    /// Cells that a measure could not use because they hold no number.
    skipped: usize,
}

pub(crate) struct Aggregate;

impl Step for Aggregate {
    const NAME: &'static str = "aggregate";
    const DESCRIPTION: &'static str = "Computes sums, means, counts and extremes by group.";
    type Input = AggregateInput;
    type Output = AggregateOutput;

    fn run(input: AggregateInput, _: &Context) -> Result<AggregateOutput> {
        check(&input)?;
        let mut groups: BTreeMap<Vec<String>, Vec<&Row>> = BTreeMap::new();
        for row in &input.table.rows {
            let group = input.group_by.iter().map(|by| by.value(row)).collect();
            groups.entry(group).or_default().push(row);
        }
        let mut skipped = 0;
        let mut rows: Vec<Map<String, Value>> = groups
            .into_iter()
            .map(|(group, members)| {
                let names = input.group_by.iter().map(GroupBy::name);
                let named = names
                    .map(str::to_owned)
                    .zip(group.into_iter().map(Value::from));
                let mut row: Map<String, Value> = named.collect();
                for measure in &input.measures {
                    let value = measure.of(&members, &mut skipped);
                    row.insert(measure.name.clone(), value);
                }
                row
            })
            .collect();
        if let Some(column) = &input.sort_by {
            rows.sort_by(|a, b| compare(&a[column], &b[column]));
        }
        if input.descending {
            rows.reverse();
        }
        Ok(AggregateOutput {
            columns: result_columns(&input),
            rows,
            skipped,
        })
    }
}

fn result_columns(input: &AggregateInput) -> Vec<String> {
    let groups = input.group_by.iter().map(|by| by.name().to_owned());
    let measures = input.measures.iter().map(|measure| measure.name.clone());
    groups.chain(measures).collect()
}

fn check(input: &AggregateInput) -> Result<()> {
    let refuse = |message: String| Err(Error::failed("invalid_input", message).into());
    let groups = input.group_by.iter().map(|by| &by.column);
    let measured = input.measures.iter().filter_map(|m| m.column.as_ref());
    for column in groups.chain(measured) {
        if !input.table.columns.contains(column) {
            return refuse(format!("no column `{column}`"));
        }
    }
    for measure in &input.measures {
        if measure.column.is_none() && measure.op != Op::Count {
            return refuse(format!("measure `{}` names no column", measure.name));
        }
    }
    match &input.sort_by {
        Some(column) if !result_columns(input).contains(column) => {
            refuse(format!("`sort_by` names no result column: `{column}`"))
        }
        _ => Ok(()),
    }
}

impl GroupBy {
    fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.column)
    }

    fn value(&self, row: &Row) -> String {
        let text = row.get(&self.column).map_or("", String::as_str);
        text.chars()
            .take(self.prefix.unwrap_or(usize::MAX))
            .collect()
    }
}

impl Measure {
    fn of(&self, rows: &[&Row], skipped: &mut usize) -> Value {
        let Some(column) = &self.column else {
            return rows.len().into();
        };
        let mut numbers = Vec::with_capacity(rows.len());
        for row in rows {
            match row.get(column).and_then(|text| plain_number(text)) {
                Some(number) => numbers.push(number),
                None => *skipped += 1,
            }
        }
        let sum = || numbers.iter().sum::<f64>();
        let value = match self.op {
            Op::Count => return numbers.len().into(),
            Op::Sum => Some(sum()),
            Op::Mean if numbers.is_empty() => None,
            #[expect(
                clippy::cast_precision_loss,
                reason = "a table has fewer than 2^53 rows"
            )]
            Op::Mean => Some(sum() / numbers.len() as f64),
            Op::Min => numbers.iter().copied().reduce(f64::min),
            Op::Max => numbers.iter().copied().reduce(f64::max),
        };
        value.map_or(Value::Null, |value| self.round(value))
    }

    fn round(&self, value: f64) -> Value {
        match self.decimals {
            #[expect(clippy::cast_possible_truncation, reason = "saturates")]
            Some(0) => (value.round() as i64).into(),
            Some(decimals) => {
                let scale = 10_f64.powi(i32::from(decimals));
                ((value * scale).round() / scale).into()
            }
            None => value.into(),
        }
    }
}

/// Numbers by size, texts by letter, nothing first.
fn compare(a: &Value, b: &Value) -> std::cmp::Ordering {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        (a_number, b_number) => a_number
            .is_some()
            .cmp(&b_number.is_some())
            .then_with(|| a.as_str().cmp(&b.as_str())),
    }
}
