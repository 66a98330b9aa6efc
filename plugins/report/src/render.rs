//! The report as text. Inserted text is escaped where Markdown would read it as structure.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::{Chart, Figure, ReportInput, Table};

/// Width of the longest bar, in characters.
const BAR: f64 = 40.0;

pub(crate) fn report(input: &ReportInput) -> String {
    let mut blocks = vec![format!("# {}", one_line(&input.title))];
    blocks.extend(paragraph(&input.intro));
    if !input.figures.is_empty() {
        blocks.push(lines(input.figures.iter().map(figure)));
    }
    for section in &input.sections {
        blocks.push(format!("## {}", one_line(&section.heading)));
        blocks.extend(paragraph(&section.text));
        blocks.extend(section.table.as_ref().and_then(table));
        blocks.extend(section.chart.as_ref().and_then(chart));
    }
    if !input.notes.is_empty() {
        blocks.push("## Notes".to_owned());
        let notes = input.notes.iter();
        blocks.push(lines(notes.map(|note| format!("- {}", one_line(note)))));
    }
    blocks.join("\n\n") + "\n"
}

fn paragraph(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.collect::<Vec<_>>().join("\n")
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn figure(figure: &Figure) -> String {
    let value = show(&figure.value, figure.decimals.unwrap_or(0));
    let unit = one_line(&figure.unit);
    let space = if unit.is_empty() { "" } else { " " };
    format!("- {}: **{value}{space}{unit}**", one_line(&figure.label))
}

fn table(table: &Table) -> Option<String> {
    if table.rows.is_empty() {
        return paragraph(&table.empty);
    }
    let number = |column: &&String| {
        let mut cells = table.rows.iter().map(|row| &row[*column]);
        table.rows.iter().all(|row| row.contains_key(*column)) && cells.all(Value::is_number)
    };
    let rule = table.columns.iter().map(|column| match number(&column) {
        true => "---:".to_owned(),
        false => "---".to_owned(),
    });
    let header = table.columns.iter().map(|name| cell(name));
    let mut text = vec![line(header), line(rule)];
    let limit = table.limit.unwrap_or(usize::MAX);
    for row in table.rows.iter().take(limit) {
        let cells = table.columns.iter().map(|column| {
            let value = row.get(column).unwrap_or(&Value::Null);
            cell(&show(value, table.decimals))
        });
        text.push(line(cells));
    }
    let mut text = text.join("\n");
    if table.rows.len() > limit {
        let _ = write!(text, "\n\n{} more not shown.", table.rows.len() - limit);
    }
    Some(text)
}

fn line(cells: impl Iterator<Item = String>) -> String {
    format!("| {} |", cells.collect::<Vec<_>>().join(" | "))
}

fn cell(text: &str) -> String {
    one_line(text).replace('|', "\\|")
}

/// In a code block, so that the bars stand below each other. Negative numbers have no bar.
fn chart(chart: &Chart) -> Option<String> {
    let bars: Vec<(String, f64)> = chart
        .rows
        .iter()
        .filter_map(|row| Some((label(row, &chart.label), row.get(&chart.value)?.as_f64()?)))
        .collect();
    let largest = bars.iter().map(|(_, value)| *value).reduce(f64::max)?;
    let width = |text: &String| text.chars().count();
    let label_width = bars.iter().map(|(label, _)| width(label)).max()?;
    let numbers: Vec<String> = bars
        .iter()
        .map(|(_, value)| show(&(*value).into(), chart.decimals))
        .collect();
    let number_width = numbers.iter().map(width).max()?;
    let rows = bars.iter().zip(&numbers).map(|((label, value), number)| {
        let bar = if largest > 0.0 {
            (value / largest * BAR).round().clamp(0.0, BAR)
        } else {
            0.0
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "rounded, from 0 to 40"
        )]
        let bar = "█".repeat(bar as usize);
        let text = format!("{label:<label_width$}  {number:>number_width$}  {bar}");
        text.trim_end().to_owned()
    });
    Some(format!("```text\n{}\n```", lines(rows)))
}

fn label(row: &Map<String, Value>, column: &str) -> String {
    let text = row
        .get(column)
        .map_or(String::new(), |value| show(value, 0));
    // A fence inside would end the block.
    one_line(&text).replace("```", "'''")
}

/// A value for a person: `1,234.50`, nothing for `null`.
fn show(value: &Value, decimals: u8) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => thousands(&whole.to_string()),
            (None, Some(number)) => thousands(&format!("{number:.*}", usize::from(decimals))),
            (None, None) => number.to_string(),
        },
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// Puts a comma between groups of three digits.
fn thousands(number: &str) -> String {
    let (sign, digits) = match number.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", number),
    };
    let whole = digits.find('.').unwrap_or(digits.len());
    let mut text = String::from(sign);
    for (at, digit) in digits.char_indices() {
        if at > 0 && at < whole && (whole - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use serde_json::json;

    use super::*;

    fn markdown(input: Value) -> String {
        report(&serde_json::from_value(input).unwrap())
    }

    #[test]
    fn a_whole_report() {
        let rows = json!([
            {"region": "North | East", "revenue": 1234.5, "orders": 3},
            {"region": "South", "revenue": 617.25, "orders": 1200},
        ]);
        let text = markdown(json!({
            "title": "Orders",
            "intro": "Of one year.",
            "figures": [
                {"label": "Revenue", "value": 1851.75, "decimals": 2, "unit": "EUR"},
                {"label": "Orders", "value": 1203},
            ],
            "sections": [{
                "heading": "Regions",
                "table": {"columns": ["region", "revenue", "orders"], "rows": rows},
                "chart": {"label": "region", "value": "revenue", "rows": rows},
            }],
            "notes": ["One row\nwas dropped."],
        }));
        let expected = "\
# Orders

Of one year.

- Revenue: **1,851.75 EUR**
- Orders: **1,203**

## Regions

| region | revenue | orders |
| --- | ---: | ---: |
| North \\| East | 1,234.50 | 3 |
| South | 617.25 | 1,200 |

```text
North | East  1,234.50  ████████████████████████████████████████
South           617.25  ████████████████████
```

## Notes

- One row was dropped.
";
        assert_eq!(text, expected);
    }

    #[test]
    fn numbers_for_people() {
        let table = [
            (json!(0), "0"),
            (json!(-1234), "-1,234"),
            (json!(999), "999"),
            (json!(1_000_000), "1,000,000"),
            (json!(-0.5), "-0.50"),
            (json!(1e15), "1,000,000,000,000,000.00"),
            (json!(u64::MAX), "18,446,744,073,709,551,616.00"),
            (json!(null), ""),
            (json!(true), "true"),
        ];
        for (value, text) in table {
            assert_eq!(show(&value, 2), text);
        }
    }

    #[test]
    fn what_is_not_there_leaves_no_trace() {
        let text = markdown(json!({
            "title": "T",
            "sections": [
                {"heading": "A", "table": {"columns": ["a"], "rows": [], "empty": "Nothing."}},
                {"heading": "B", "chart": {"label": "a", "value": "b", "rows": []}},
                {"heading": "C", "chart": {"label": "a", "value": "b", "rows": [{"a": "x", "b": -1}]}},
                {"heading": "D", "table": {"columns": ["a"], "rows": [{"a": 1}, {}], "limit": 1}},
            ],
        }));
        let expected = "\
# T

## A

Nothing.

## B

## C

```text
x  -1.00
```

## D

| a |
| --- |
| 1 |

1 more not shown.
";
        assert_eq!(text, expected);
    }
}
