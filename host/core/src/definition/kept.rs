//! What stands under a word of another tool, as a line in words of this language: its numbers and its texts stay.

use toml::de::{DeTable, DeValue};

use super::foreign::{self, Foreign};
use super::forms;
use super::grammar::{Record, Shape};
use super::names::check_id;
use super::retries;
use super::shape::text_of;
use super::toml_values;
use crate::grants::toml_text;
use crate::synonyms::plain;

/// Ids that one line of `needs` can have.
const NEEDS: usize = 12;

/// The help for `word` of `table`, with what stands there where an example would.
pub(super) fn help(
    record: &'static Record,
    table: &DeTable<'_>,
    word: &str,
    foreign: Foreign,
) -> String {
    let value = table.get(word).map(|value| value.get_ref());
    if let (Some("use"), Some(value)) = (foreign.key, value) {
        if let Some(line) = child(value) {
            return format!("a step may be a run of another workflow\n{line}");
        }
        if let Some(line) = kind(value) {
            return format!("what a step does is a key of its own\n{line}");
        }
    }
    let other = match value {
        // `[[step.step]]` are members.
        Some(DeValue::Array(_)) if plain(word) == "step" => foreign::key(record.title, "steps"),
        Some(DeValue::String(text)) if foreign.key == Some("if") && is_always(text) => {
            foreign::key(record.title, "always")
        }
        _ => None,
    };
    if let Some(other) = other {
        return other.help.to_owned();
    }
    let line = foreign
        .key
        .and_then(|key| Some((key, line(record, table, word, key)?)));
    match line {
        Some((key, line)) => fitted(foreign.help, key, &line),
        None => foreign.help.to_owned(),
    }
}

/// Whether a condition is one of other tools that holds whatever happens.
fn is_always(text: &str) -> bool {
    plain(text).trim_end_matches("()") == "always"
}

/// The line of a step whose kind was written as a value.
fn kind(value: &DeValue<'_>) -> Option<&'static str> {
    const KINDS: [&str; 6] = [
        "wait = { for = \"10m\" }",
        "approval = { message = \"Publish?\" }",
        "loop = { until = \"steps.check.output.ok\", max_iterations = 5 }",
        "foreach = { items = \"inputs.files\" }",
        "workflow = \"other.toml\"",
        "end = { status = \"completed\" }",
    ];
    let kind = plain(value.as_str()?);
    let key = match foreign::key("a step", &kind) {
        Some(Foreign { key: Some(key), .. }) => key,
        _ => kind.as_str(),
    };
    KINDS
        .into_iter()
        .find(|line| line.split(' ').next() == Some(key))
}

/// The help with the line in the place of its example.
fn fitted(help: &str, key: &str, line: &str) -> String {
    let example = format!("`{key} = ");
    if let Some((told, _)) = help.rsplit_once('\n') {
        return format!("{told}\n{line}");
    }
    if let Some((told, rest)) = help.split_once(&example)
        && let Some((_, rest)) = rest.split_once('`')
    {
        return format!("{told}`{line}`{rest}");
    }
    format!("{help}\n{line}")
}

/// The line for the key that `word` means.
fn line(
    record: &'static Record,
    table: &DeTable<'_>,
    word: &str,
    key: &'static str,
) -> Option<String> {
    let value = table.get(word)?.get_ref();
    let word = plain(word);
    match (record.title, key) {
        ("a step", "retry") => retries::beside(record, table),
        ("a step", "needs") => needs(value),
        ("a step", "if") => condition(&word, value),
        ("a step", "id") => id(value),
        ("a step", "use" | "end" | "compensate" | "finally" | "continue_on_error") => None,
        ("a step", "timeout") => timeout(&word, value),
        ("a step", "loop") if word == "while" || word == "dowhile" => {
            let text = value.as_str()?;
            let until = toml_text(&format!("!({})", forms::expression(text)?));
            Some(format!("loop = {{ until = {until}, max_iterations = 5 }}"))
        }
        ("a step", "wait") if signals(&word) || value.as_table().is_some() => {
            let signal = match value.as_table() {
                Some(inner) => inner.get("signal")?.get_ref(),
                None => value,
            };
            let signal = signal.as_str().filter(|text| !text.is_empty())?;
            Some(format!("wait = {{ signal = {} }}", toml_text(signal)))
        }
        ("a step", "foreach") => fan_out(table),
        ("a fan-out", "items") => items(value).map(|items| format!("items = {items}")),
        ("a workflow", "defaults") if word.contains("retr") => retries::beside(record, table),
        ("a workflow", "defaults") => timeout(&word, value),
        ("a workflow", "limits") => {
            let value = match value {
                DeValue::Table(table) => table.get("limit")?.get_ref(),
                value => value,
            };
            let number = toml_values::integer(value)?;
            Some(format!("parallel = {number}"))
        }
        // Its value names a place, or nothing.
        ("a step", "approval") if matches!(word.as_str(), "environment" | "gate" | "manual") => {
            None
        }
        ("a retry policy", _) => retries::of_key(&word, key, value),
        ("an input", "required") => Some(format!("required = {}", !value.as_bool()?)),
        ("a loop", "until") => {
            let text = forms::expression(value.as_str()?)?;
            Some(match word == "while" {
                true => format!("until = {}", toml_text(&format!("!({text})"))),
                false => format!("until = {}", toml_text(text)),
            })
        }
        _ => plainly(record, key, value),
    }
}

/// The value as it is written under the key, where that can be told from its shape.
fn plainly(record: &'static Record, key: &'static str, value: &DeValue<'_>) -> Option<String> {
    let form = match (&record.key(key)?.shape, value) {
        (Shape::Record(inner), value) => forms::table_with(inner, value)?,
        (Shape::Duration { .. }, value) => retries::duration(value)?,
        (Shape::Integer { .. }, DeValue::Integer(_)) => text_of(value),
        (Shape::Bool, DeValue::Boolean(is)) => is.to_string(),
        (
            Shape::Text | Shape::Name | Shape::FreeText | Shape::StepId | Shape::Signal,
            DeValue::String(text),
        ) => toml_text(text),
        (Shape::Json | Shape::List(_), value) => literal(value)?,
        _ => return None,
    };
    Some(format!("{key} = {form}"))
}

/// A value as TOML writes it, if that is short.
fn literal(value: &DeValue<'_>) -> Option<String> {
    const READABLE: usize = 100;
    let text = match value {
        DeValue::String(text) => toml_text(text),
        DeValue::Boolean(is) => is.to_string(),
        DeValue::Integer(_) | DeValue::Float(_) => text_of(value),
        DeValue::Array(items) if items.len() <= NEEDS => {
            let items: Option<Vec<_>> = items.iter().map(|item| literal(item.get_ref())).collect();
            format!("[{}]", items?.join(", "))
        }
        DeValue::Array(_) | DeValue::Table(_) | DeValue::Datetime(_) => return None,
    };
    (text.len() <= READABLE).then_some(text)
}

/// `build && test`, `build, test` and lists of names.
fn needs(value: &DeValue<'_>) -> Option<String> {
    let ids: Vec<&str> = match value {
        DeValue::String(text) => {
            let parts = text.split([',', '&', ' ']);
            parts.filter(|part| !part.is_empty()).collect()
        }
        DeValue::Array(items) => {
            let texts: Option<Vec<_>> = items.iter().map(|item| item.get_ref().as_str()).collect();
            texts?
        }
        _ => return None,
    };
    let known = (1..=NEEDS).contains(&ids.len()) && ids.iter().all(|id| check_id(id).is_ok());
    let ids: Vec<_> = ids.into_iter().map(toml_text).collect();
    known.then(|| format!("needs = [{}]", ids.join(", ")))
}

/// A file of another workflow, under a word that elsewhere runs one.
fn child(value: &DeValue<'_>) -> Option<String> {
    let file = value.as_str().filter(|text| text.ends_with(".toml"))?;
    Some(format!("workflow = {}", toml_text(file)))
}

fn condition(word: &str, value: &DeValue<'_>) -> Option<String> {
    let negated = matches!(word, "unless" | "skipif" | "disabled" | "skip");
    let text = match value {
        DeValue::Boolean(is) => (*is != negated).to_string(),
        DeValue::String(text) => {
            let text = forms::expression(text)?;
            match negated {
                true => format!("!({text})"),
                false => text.to_owned(),
            }
        }
        _ => return None,
    };
    Some(format!("if = {}", toml_text(&text)))
}

/// A title as an id: `Build the site` is `build_the_site`.
fn id(value: &DeValue<'_>) -> Option<String> {
    let text = value.as_str()?;
    let words: Vec<String> = text
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-')
        .filter(|word| !word.is_empty())
        .map(|word| match check_id(text) {
            Ok(()) => word.to_owned(),
            Err(_) => word.to_ascii_lowercase(),
        })
        .collect();
    let id = words.join("_");
    check_id(&id).ok()?;
    Some(format!("id = {}", toml_text(&id)))
}

fn timeout(word: &str, value: &DeValue<'_>) -> Option<String> {
    let minutes = word.ends_with("minutes");
    let duration = match value {
        DeValue::Integer(_) if minutes => {
            format!("\"{}m\"", u32::try_from(toml_values::integer(value)?).ok()?)
        }
        value => retries::duration(value)?,
    };
    Some(format!("timeout = {duration}"))
}

fn signals(word: &str) -> bool {
    foreign::SIGNAL.contains(&word)
}

/// The fan-out of a step that says under other words what it goes over, and how many at the same time.
pub(super) fn fan_out(table: &DeTable<'_>) -> Option<String> {
    let under = |key: &str, value: &dyn Fn(&DeValue<'_>) -> Option<String>| {
        table.iter().find_map(|(word, found)| {
            let word = plain(word.get_ref());
            let is_step = foreign::key("a step", &word)
                .is_some_and(|foreign| foreign.key == Some("foreach"))
                || word == "foreach";
            let is_key = foreign::key("a fan-out", &word).and_then(|foreign| foreign.key);
            (is_step || is_key == Some(key) || word == plain(key))
                .then(|| value(found.get_ref()))
                .flatten()
        })
    };
    let items = under("items", &items)?;
    let at_once = under("max_parallel", &|value| {
        let number = u32::try_from(toml_values::integer(value)?).ok()?;
        Some(format!(", max_parallel = {number}"))
    });
    let at_once = at_once.unwrap_or_default();
    Some(format!("foreach = {{ items = {items}{at_once} }}"))
}

/// The list of a fan-out: an expression as it stands, or the elements that were written, as a list of an expression.
pub(super) fn items(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(toml_text(forms::expression(text)?)),
        DeValue::Array(elements) if (1..=NEEDS).contains(&elements.len()) => {
            let elements: Option<Vec<String>> = elements
                .iter()
                .map(|element| match element.get_ref() {
                    DeValue::String(text) if !text.contains(['\'', '\\', '\n', '$']) => {
                        Some(format!("'{text}'"))
                    }
                    value @ (DeValue::Integer(_) | DeValue::Float(_)) => Some(text_of(value)),
                    _ => None,
                })
                .collect();
            Some(toml_text(&format!("[{}]", elements?.join(", "))))
        }
        // A matrix of one dimension is a list.
        DeValue::Table(table) if table.len() == 1 => {
            let (_, only) = table.iter().next()?;
            match only.get_ref() {
                DeValue::Array(_) | DeValue::Table(_) => items(only.get_ref()),
                _ => None,
            }
        }
        _ => None,
    }
}
