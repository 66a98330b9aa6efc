//! Writes what happened into a file of tests. Every other byte of it stays as it is.

use std::ops::Range;

use serde_json::{Map, Value};

use super::compare::{Check, How, seen};
use super::file::{Case, Place};
use super::toml_text::inline;

/// The text with what happened in these tests in the place of what was expected; `None` where nothing of it changes.
#[must_use]
pub fn updated(text: &str, happened: &[(&Case, &Map<String, Value>)]) -> Option<String> {
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    for (case, happened) in happened {
        edits.extend(edits_of(text, case, happened));
    }
    // From the end on, so that the places before stay where they are.
    edits.sort_by_key(|(range, _)| std::cmp::Reverse(range.start));
    let mut new = text.to_owned();
    for (range, with) in edits {
        new.replace_range(range, &with);
    }
    (new != text).then_some(new)
}

fn edits_of(text: &str, case: &Case, happened: &Map<String, Value>) -> Vec<(Range<usize>, String)> {
    let is_end = |key: &str| key == "output" || case.ends().contains(&key);
    let end = happened.iter().find(|(key, _)| is_end(key));
    let Some((end, value)) = end.or_else(|| happened.get_key_value("status")) else {
        return Vec::new();
    };
    let mut edits = Vec::new();
    let mut written = false;
    for check in case.checks() {
        let Check::Member {
            key,
            member,
            how,
            place,
        } = check
        else {
            continue;
        };
        let named = case.keys.iter().find(|(of, _)| of == place);
        if *member == end {
            let new = match how {
                How::Has(Value::Object(part))
                    if *key != "output_has" && part.len() == 1 && !is_table(text, place) =>
                {
                    value["code"].clone()
                }
                How::Has(part) => seen(value, part),
                _ => value.clone(),
            };
            edits.push((place.clone(), inline(&new)));
            written = true;
        } else if !is_end(member) {
            // What is beside the end of it.
            let actual = happened.get(*member);
            if let Some(new) = actual.and_then(|actual| beside(how, actual)) {
                edits.push((place.clone(), inline(&new)));
            }
            written |= *member == "status";
        } else if let Some((_, name)) = named {
            // It ended otherwise than was expected.
            let with = match written {
                false => line(end, value),
                true => format!("# {}", &text[name.start..place.end]),
            };
            edits.push((name.start..place.end, with));
            written = true;
        }
    }
    if !written {
        edits.push(match &case.expect {
            Place::Header(at) => (*at..*at, format!("\n{}", line(end, value))),
            Place::Inline(at) => (*at..*at, format!(" {},", line(end, value))),
            Place::Nowhere(at) => (*at..*at, format!("\n\n[test.expect]\n{}", line(end, value))),
        });
    }
    edits
}

/// What stands in the place of an expectation of something beside the end.
fn beside(how: &How, actual: &Value) -> Option<Value> {
    match how {
        How::Lines(lines) => Some(log_lines(lines, actual)),
        How::Exactly(_) => Some(actual.clone()),
        How::Has(Value::Object(part)) => {
            // What did not happen is not counted.
            let count = |name: &String| actual.get(name).cloned().unwrap_or(0.into());
            Some(
                part.keys()
                    .map(|name| (name.clone(), count(name)))
                    .collect(),
            )
        }
        How::Has(_) | How::HasLines(_) | How::InOrder(_) => None,
    }
}

/// Whether the value that stands there is a table rather than a text.
fn is_table(text: &str, place: &Range<usize>) -> bool {
    text.get(place.clone())
        .is_some_and(|value| !value.starts_with(['"', '\'']))
}

fn line(end: &str, value: &Value) -> String {
    match end {
        "output" | "status" => format!("{end} = {}", inline(value)),
        "cancelled" if value.is_string() => format!("{end} = {}", inline(value)),
        _ => format!("{end} = {}", inline(&value["code"])),
    }
}

fn log_lines(written: &[Value], actual: &Value) -> Value {
    let lines = actual.as_array().into_iter().flatten().enumerate();
    let lines = lines.map(|(at, line)| match written.get(at) {
        Some(part @ Value::Object(_)) => seen(line, part),
        _ => line["message"].clone(),
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;
    use crate::testing::TestFile;

    #[test]
    fn only_what_differs_is_written_and_comments_stay() {
        let text = "# head\nschema = 1\ncomponent = \"a\"\n\n[[test]]\nname = \"a\" # why\nstep = \"x\"\n\n[test.expect]\n\
                    output = { n = 1 } # one\nlogs = [\"x\"]\n\n[[test]]\nname = \"b\"\nstep = \"x\"\n\n\
                    [[test]]\nname = \"c\"\nstep = \"x\"\nexpect = { output = 1 } # c\n";
        let file = TestFile::parse(Path::new("a.test.toml"), text).expect("it is right");
        let happened = [
            json!({ "output": { "n": 2, "none": null }, "logs": [{ "message": "y" }] }),
            json!({ "failed": { "code": "no", "message": "no" }, "logs": [] }),
            json!({ "retryable": { "code": "later", "message": "no" }, "logs": [] }),
        ];
        let pairs: Vec<_> = file
            .cases
            .iter()
            .zip(happened.iter().filter_map(Value::as_object))
            .collect();
        let new = updated(text, &pairs).expect("it differs");
        assert_eq!(
            new,
            "# head\nschema = 1\ncomponent = \"a\"\n\n[[test]]\nname = \"a\" # why\nstep = \"x\"\n\n[test.expect]\n\
             output = { n = 2, none = { \"$json\" = \"null\" } } # one\nlogs = [\"y\"]\n\n[[test]]\nname = \"b\"\nstep = \"x\"\n\n\
             [test.expect]\nfailed = \"no\"\n\n[[test]]\nname = \"c\"\nstep = \"x\"\nexpect = { retryable = \"later\" } # c\n"
        );
        let file = TestFile::parse(Path::new("a.test.toml"), &new).expect("it is right again");
        let pairs: Vec<_> = file
            .cases
            .iter()
            .zip(happened.iter().filter_map(Value::as_object))
            .collect();
        assert_eq!(updated(&new, &pairs), None);
    }
}
