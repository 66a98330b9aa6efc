//! The right form of a value of the wrong type, as a line to paste: with what was written where that can stay, else with an example.

use toml::de::DeValue;

use super::grammar::{Key, Record, Shape};
use super::kept;
use super::names::check_signal;
use super::shape::text_of;
use crate::grants::toml_text;
use crate::synonyms::choice;
use crate::time::parse_duration;

/// What to write at the key `name` of this shape instead of `value`.
pub(super) fn right(name: &str, shape: &'static Shape, value: &DeValue<'_>) -> Option<String> {
    let last = name.rsplit('.').next().unwrap_or(name);
    let form = match (shape, value) {
        (Shape::Tables(_), DeValue::Table(_)) => {
            return Some(format!("write two brackets, once for each: `[[{last}]]`"));
        }
        (Shape::Tables(_), _) => return Some(format!("write each as a table: `[[{last}]]`")),
        (Shape::Map { .. }, _) => {
            return Some(format!("write one table for each: `[{last}.<name>]`"));
        }
        (Shape::Port, DeValue::String(_)) => {
            return Some(
                "write each port as a number, without quotes: `ports = [8080, 8081]`; there are no ranges"
                    .to_owned(),
            );
        }
        (Shape::Record(record), value) => table(record, value),
        (Shape::List(Shape::Record(_)), DeValue::Table(_)) => {
            return Some(format!("write a list: `{last} = [{{ .. }}]`"));
        }
        (Shape::List(item), value) => format!("[{}]", scalar(item, value)?),
        (Shape::JsonTable | Shape::TemplateTable, _) => "{ name = \"value\" }".to_owned(),
        (shape, value) => scalar(shape, value)?,
    };
    Some(match name.ends_with(']') {
        // An element of a list has no key of its own.
        true => format!("write `{form}`"),
        false => format!("write `{last} = {form}`"),
    })
}

/// What to write for the entry `name` of a map instead of `value`.
pub(super) fn entry(name: &str, values: &'static Record, value: &DeValue<'_>) -> Option<String> {
    Some(format!("write `{name} = {}`", table(values, value)))
}

/// A duration as it is written here: `PT5M`, `1h30m` and `5 minutes` are known elsewhere.
pub(super) fn duration(text: &str) -> Option<String> {
    let lower = text.trim().to_lowercase();
    let iso = lower.starts_with('p');
    let mut rest = lower.trim_start_matches(['p', 't']).trim_start();
    let mut millis: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = rest[digits..].trim_start();
        let letters = rest
            .find(|c: char| !c.is_ascii_alphabetic() || (iso && c == 't'))
            .unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "ms" | "msec" | "millis" | "millisecond" | "milliseconds" => 1,
            "s" | "sec" | "secs" | "second" | "seconds" => 1_000,
            "m" | "min" | "mins" | "minute" | "minutes" => 60_000,
            "h" | "hr" | "hrs" | "hour" | "hours" => 3_600_000,
            "d" | "day" | "days" => 86_400_000,
            "w" | "week" | "weeks" => 604_800_000,
            _ => return None,
        };
        millis = millis.checked_add(number.checked_mul(unit)?)?;
        rest = rest[letters..].trim_start_matches([' ', ',', 't']);
    }
    let units = [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ];
    let (name, size) = units
        .into_iter()
        .find(|(_, size)| millis > 0 && millis.is_multiple_of(*size))?;
    Some(format!("{}{name}", millis / size))
}

/// The value in the form of a shape that has no keys.
fn scalar(shape: &'static Shape, value: &DeValue<'_>) -> Option<String> {
    match (shape, value) {
        (Shape::Bool, DeValue::String(text)) => match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Some("true".to_owned()),
            "false" | "no" | "off" | "0" => Some("false".to_owned()),
            _ => None,
        },
        (Shape::SchemaVersion, _) => Some("1".to_owned()),
        (Shape::Integer { .. }, DeValue::String(text)) => {
            text.trim().parse::<i64>().ok().map(|n| n.to_string())
        }
        (Shape::Number { .. }, DeValue::String(text)) => {
            let number = text.trim().parse::<f64>().ok().filter(|n| n.is_finite())?;
            Some(number.to_string())
        }
        (Shape::Instant, DeValue::Datetime(at)) => Some(format!("\"'{at}'\"")),
        (Shape::Items, DeValue::Array(_)) => {
            Some(kept::items(value).unwrap_or_else(|| "\"[1, 2, 3]\"".to_owned()))
        }
        // An expression as it stands, though templates have it in braces.
        (Shape::Items | Shape::Condition, DeValue::String(text)) => Some(toml_text(bare(text))),
        (shape, DeValue::Array(items)) if is_text(shape) => match &items[..] {
            [only] => Some(toml_text(only.get_ref().as_str()?)),
            _ => None,
        },
        (shape, value) if is_text(shape) => quoted(value),
        _ => None,
    }
}

/// What stands between the braces, if it is an expression of this language.
pub(super) fn expression(text: &str) -> Option<&str> {
    let inner = bare(text);
    crate::expr::reads(inner).then_some(inner)
}

/// `inputs.files` of `${ inputs.files }`, and of what users of GitHub Actions write.
fn bare(text: &str) -> &str {
    let inner = text
        .trim()
        .strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'));
    match inner {
        Some(inner) if !inner.contains("${") => {
            let inner = inner.strip_prefix('{').unwrap_or(inner);
            inner.strip_suffix('}').unwrap_or(inner).trim()
        }
        _ => text,
    }
}

/// Whether a value of the shape is written in quotes.
fn is_text(shape: &Shape) -> bool {
    matches!(
        shape,
        Shape::Text
            | Shape::Name
            | Shape::FreeText
            | Shape::StepId
            | Shape::Signal
            | Shape::Secret
            | Shape::Bucket
            | Shape::Choice { .. }
            | Shape::Condition
            | Shape::Instant
            | Shape::Items
    )
}

/// A plain value in quotes.
fn quoted(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(toml_text(text)),
        DeValue::Boolean(truth) => Some(format!("\"{truth}\"")),
        DeValue::Integer(_) | DeValue::Float(_) => Some(format!("\"{}\"", text_of(value))),
        DeValue::Datetime(at) => Some(format!("\"{at}\"")),
        DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

/// The same, if it is known where the value belongs.
pub(super) fn table_with(record: &'static Record, value: &DeValue<'_>) -> Option<String> {
    belongs(record, value)?;
    Some(table(record, value))
}

/// A table of the record in which the value stands where it probably belongs.
fn table(record: &'static Record, value: &DeValue<'_>) -> String {
    let meant = belongs(record, value);
    let mut members: Vec<String> = record
        .keys
        .iter()
        .filter(|key| key.required && meant.as_ref().is_none_or(|(name, _)| *name != key.name))
        .map(|key| match (record.title, key.name) {
            ("an input", "type") => format!("type = \"{}\"", type_of(value)),
            _ => format!("{} = {}", key.name, example(key)),
        })
        .collect();
    match meant {
        Some((name, form)) => {
            let at = record.keys.iter().position(|key| key.name == name);
            let first = at == Some(0) || members.is_empty();
            members.insert(
                if first { 0 } else { members.len() },
                format!("{name} = {form}"),
            );
        }
        None if members.is_empty() => {
            let first = record.keys.first();
            members.extend(first.map(|key| format!("{} = {}", key.name, example(key))));
        }
        None => {}
    }
    format!("{{ {} }}", members.join(", "))
}

/// The key of the record under which the value probably belongs, and how it is written there.
fn belongs(record: &'static Record, value: &DeValue<'_>) -> Option<(&'static str, String)> {
    match (record.title, value) {
        ("a retry policy", DeValue::Integer(_)) => Some(("max_attempts", text_of(value))),
        ("a retry policy", DeValue::String(text)) => match text.trim().parse::<u16>() {
            Ok(attempts) => Some(("max_attempts", attempts.to_string())),
            Err(_) => None,
        },
        ("a loop", DeValue::Integer(_)) => Some(("max_iterations", text_of(value))),
        ("a wait", DeValue::Integer(_)) => Some(("for", format!("\"{}s\"", text_of(value)))),
        ("a wait", DeValue::Datetime(at)) => Some(("until", format!("\"'{at}'\""))),
        ("a wait", DeValue::String(text)) if parse_duration(text).is_ok() => {
            Some(("for", toml_text(text)))
        }
        ("a wait", DeValue::String(text)) if check_signal(text).is_ok() => {
            Some(("signal", toml_text(text)))
        }
        ("a wait", DeValue::String(text)) => Some(("until", toml_text(text))),
        ("an input", DeValue::String(text)) => {
            let types = choices(record, "type");
            match types
                .iter()
                .find(|word| *word == text)
                .copied()
                .or_else(|| choice(text, types))
            {
                Some(word) => Some(("type", format!("\"{word}\""))),
                None => Some(("default", toml_text(text))),
            }
        }
        ("an input", _) => quoted(value).map(|plain| match value {
            DeValue::Datetime(_) => ("default", plain),
            _ => ("default", plain.trim_matches('"').to_owned()),
        }),
        ("a fan-out", DeValue::Array(_)) => {
            let items = kept::items(value).unwrap_or_else(|| "\"[1, 2, 3]\"".to_owned());
            Some(("items", items))
        }
        (_, DeValue::String(text)) => {
            let first = record.keys.iter().find(|key| key.required)?;
            match &first.shape {
                Shape::Choice { words, .. } => {
                    let word = words.iter().find(|word| *word == text).copied();
                    let word = word.or_else(|| choice(text, words))?;
                    Some((first.name, format!("\"{word}\"")))
                }
                Shape::Items | Shape::Condition => Some((first.name, toml_text(bare(text)))),
                shape if is_text(shape) => Some((first.name, toml_text(text))),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The type of an input that has this default.
fn type_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::Integer(_) => "int",
        DeValue::Float(_) => "float",
        DeValue::Boolean(_) => "bool",
        DeValue::Array(_) | DeValue::Table(_) => "json",
        DeValue::String(_) | DeValue::Datetime(_) => "string",
    }
}

fn choices(record: &'static Record, key: &str) -> &'static [&'static str] {
    match record.key(key).map(|key| &key.shape) {
        Some(Shape::Choice { words, .. }) => words,
        _ => &[],
    }
}

/// What a value of the key may look like.
fn example(key: &'static Key) -> String {
    match &key.shape {
        Shape::Choice { words, .. } => format!("\"{}\"", words[0]),
        Shape::Integer { min, .. } => (*min).max(3).to_string(),
        Shape::Bool => "true".to_owned(),
        Shape::Duration { .. } => "\"30s\"".to_owned(),
        Shape::List(_) => "[]".to_owned(),
        _ => "\"..\"".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations_of_others_are_written_as_here() {
        for (text, expected) in [
            ("PT5M", Some("5m")),
            ("P1DT2H", Some("26h")),
            ("1h30m", Some("90m")),
            ("5 minutes", Some("5m")),
            ("1 hour, 30 seconds", Some("3630s")),
            ("2w", Some("14d")),
            ("90sec", Some("90s")),
            ("five minutes", None),
            ("5", None),
            ("", None),
            ("PT", None),
            ("99999999999999999999h", None),
            ("9999999999999999h", None),
            ("5 €", None),
        ] {
            assert_eq!(duration(text).as_deref(), expected, "{text}");
        }
    }
}
