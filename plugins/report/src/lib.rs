//! A Markdown report that a person wants to read: figures, tables, bar charts and notes, in that order of a section.

mod render;

use milepost_sdk::{Context, Result, Schema, Step, export};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
struct ReportInput {
    title: String,
    /// One paragraph below the title.
    #[serde(default)]
    intro: String,
    /// Shown first.
    #[serde(default)]
    figures: Vec<Figure>,
    #[serde(default)]
    sections: Vec<Section>,
    /// Shown last, as a list.
    #[serde(default)]
    notes: Vec<String>,
}

/// One number or word that matters.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
struct Figure {
    label: String,
    /// Text, number or boolean.
    value: Value,
    /// Decimal places of a number; whole numbers need none.
    decimals: Option<u8>,
    /// Shown after the value.
    #[serde(default)]
    unit: String,
}

#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
struct Section {
    heading: String,
    /// One paragraph below the heading.
    #[serde(default)]
    text: String,
    table: Option<Table>,
    chart: Option<Chart>,
}

/// Rows as objects. Numbers stand at the right.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
struct Table {
    columns: Vec<String>,
    rows: Vec<Map<String, Value>>,
    /// Decimal places of numbers that have any.
    #[serde(default = "two")]
    decimals: u8,
    /// How many rows to show; the rest is counted.
    limit: Option<usize>,
    /// What to say instead of a table without rows.
    #[serde(default)]
    empty: String,
}

/// Bars of text, one per row.
#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
struct Chart {
    rows: Vec<Map<String, Value>>,
    /// Column that names a bar.
    label: String,
    /// Column with its number.
    value: String,
    #[serde(default = "two")]
    decimals: u8,
}

fn two() -> u8 {
    2
}

#[derive(Serialize, Schema)]
struct ReportOutput {
    markdown: String,
}

struct Markdown;

impl Step for Markdown {
    const NAME: &'static str = "markdown";
    const DESCRIPTION: &'static str = "Writes a report in Markdown.";
    type Input = ReportInput;
    type Output = ReportOutput;

    fn run(input: ReportInput, _: &Context) -> Result<ReportOutput> {
        Ok(ReportOutput {
            markdown: render::report(&input),
        })
    }
}

export! {
    name: "report",
    version: env!("CARGO_PKG_VERSION"),
    description: "Reports for people.",
    steps: [Markdown],
}
