//! Checks a TOML tree against the grammar: unknown, missing and reserved keys, types, ranges, names. Every problem is
//! reported; what follows reads the same tree leniently, because whatever it cannot read has been reported here.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::codes;
use super::foreign;
use super::forms;
use super::grammar::{Key, Names, Record, SCHEMA_VERSIONS, Shape};
use super::kept;
use super::names::{check_id, check_identifier, check_secret, check_signal};
use super::nearest::{enough, nearest};
use super::retries;
use super::size::{format_size, parse_size};
use super::toml_values;
use crate::diagnostic::Diagnostic;
use crate::ids::Digest;
use crate::limits;
use crate::synonyms;
use crate::time::parse_duration;

/// A TOML value with its byte range.
pub(super) type Node<'a> = Spanned<DeValue<'a>>;

/// Numbers that ports have.
const PORTS: std::ops::RangeInclusive<i64> = 1..=65_535;

/// Checks `table`, which stands at `span`, against `record`.
pub(super) fn check_record(
    record: &'static Record,
    table: &DeTable<'_>,
    span: Range<usize>,
    out: &mut Vec<Diagnostic>,
) {
    let before = out.len();
    for (name, value) in table {
        match record.key(name.get_ref()) {
            Some(key) => check_value(key.name, &key.shape, name.span(), value, out),
            None => {
                let near = !enough(out);
                out.push(unknown_key(record, table, name, near));
            }
        }
    }
    if record.title == "a retry policy" {
        retries_in_one_line(table, &mut out[before..]);
    }
    for key in record.keys {
        let written = table.get(key.name);
        if let Some((alias, _)) = key.alias.and_then(|alias| table.get_key_value(alias))
            && let Some((name, _)) = table.get_key_value(key.name)
        {
            let message = format!("`{}` and `{}` are the same key", key.name, alias.get_ref());
            out.push(
                Diagnostic::error(codes::ALIAS_TWICE, alias.span(), message)
                    .with_related(name.span(), "first spelling"),
            );
        }
        // A key that stands there in other words has been reported.
        if key.required && written.is_none() && !meant(record, table).any(|meant| meant == key.name)
        {
            let message = format!("{} needs `{}`", record.title, key.name);
            out.push(
                Diagnostic::error(codes::MISSING_KEY, span.clone(), message)
                    .with_help(missing_help(key)),
            );
        }
    }
}

/// A policy in words of another tool is written again as a whole, at the first of its problems.
fn retries_in_one_line(table: &DeTable<'_>, problems: &mut [Diagnostic]) {
    let counts_by_max = retries::counts_by_max(table);
    let strange = retries::of_others(table);
    let several = strange && (problems.len() > 1 || table.contains_key("backoff"));
    if !counts_by_max && !several {
        return;
    }
    let max = table
        .get("max")
        .filter(|_| counts_by_max)
        .map(Spanned::span);
    for problem in problems.iter_mut() {
        if Some(&problem.span) == max.as_ref() {
            problem.help = Some(
                "`max` is the longest wait; the number of attempts, the first included, is `max_attempts`"
                    .to_owned(),
            );
        }
    }
    let first = problems.iter_mut().min_by_key(|problem| problem.span.start);
    if let (Some(first), Some(line)) = (first, retries::of_table(table)) {
        let help = first.help.take();
        let told = help.map_or_else(String::new, |help| format!("{help}\n"));
        first.help = Some(format!("{told}{line}"));
    }
}

/// The keys that unknown keys of a table probably mean.
pub(super) fn meant<'a>(
    record: &'static Record,
    table: &'a DeTable<'_>,
) -> impl Iterator<Item = &'static str> + 'a {
    let unknown = table.keys().map(|name| &**name.get_ref());
    let unknown = unknown.filter(|name| record.key(name).is_none());
    unknown.filter_map(|name| match foreign::key(record.title, name) {
        Some(foreign) => foreign.key,
        None => {
            let near = nearest(name, record.keys.iter().map(|key| key.name));
            record.key(near.first()?).map(|key| key.name)
        }
    })
}

fn missing_help(key: &Key) -> String {
    let example = match &key.shape {
        Shape::SchemaVersion => "1".to_owned(),
        Shape::Choice { words, .. } => format!("\"{}\"", words[0]),
        Shape::Tables(_) => return format!("add a `[[{}]]`", key.name),
        Shape::List(_) => "[\"..\"]".to_owned(),
        _ => "\"..\"".to_owned(),
    };
    format!("add `{} = {example}`", key.name)
}

fn unknown_key(
    record: &'static Record,
    table: &DeTable<'_>,
    name: &Spanned<std::borrow::Cow<'_, str>>,
    near: bool,
) -> Diagnostic {
    let given = name.get_ref();
    if let Some((_, feature)) = record.planned.iter().find(|(planned, _)| planned == given) {
        return planned(name.span(), given, feature);
    }
    let problem = Diagnostic::error(
        codes::UNKNOWN_KEY,
        name.span(),
        format!("{} has no key `{given}`", record.title),
    );
    if let Some(foreign) = foreign::key(record.title, given) {
        return problem.with_help(kept::help(record, table, given, foreign));
    }
    let known = record.keys.iter().map(|key| key.name);
    let candidates = nearest(given, known.clone());
    if candidates.is_empty() {
        // A word of another tool, misspelt.
        let foreign = near.then(|| foreign::nearly(record.title, given)).flatten();
        if let Some(foreign) = foreign {
            return problem.with_help(kept::help(record, table, given, foreign));
        }
        let all: Vec<_> = known.map(|key| format!("`{key}`")).collect();
        problem.with_help(format!(
            "the keys of {} are {}",
            record.title,
            all.join(", ")
        ))
    } else {
        let is_fan_out = candidates.iter().any(|key| key == "foreach");
        let line = is_fan_out.then(|| kept::fan_out(table)).flatten();
        let problem = problem.with_candidates(candidates);
        match line {
            Some(line) => problem.with_help(format!("a list is gone over by `foreach`\n{line}")),
            None => problem,
        }
    }
}

/// The refusal of something that the language reserves.
fn planned(span: Range<usize>, what: &str, feature: &str) -> Diagnostic {
    let message = format!("`{what}` is not supported yet");
    Diagnostic::error(codes::RESERVED, span, message)
        .with_help(format!("{feature} will come in a later version; until then this is refused, because ignoring it would change what the workflow does"))
}

fn check_value(
    name: &str,
    shape: &'static Shape,
    key_span: Range<usize>,
    node: &Node<'_>,
    out: &mut Vec<Diagnostic>,
) {
    let span = node.span();
    let value = node.get_ref();
    let mut error =
        |code, message: String| out.push(Diagnostic::error(code, span.clone(), message));
    match (shape, value) {
        (Shape::SchemaVersion, DeValue::Integer(_)) => {
            if !toml_values::integer(value)
                .is_some_and(|version| SCHEMA_VERSIONS.contains(&version))
            {
                let supported: Vec<_> = SCHEMA_VERSIONS.iter().map(i64::to_string).collect();
                let message = format!("schema version {} is not supported", text_of(value));
                out.push(
                    Diagnostic::error(codes::SCHEMA_VERSION, span, message)
                        .with_help(format!("supported versions: {}", supported.join(", "))),
                );
            }
        }
        (
            Shape::Text | Shape::Name | Shape::Condition | Shape::Instant | Shape::Items,
            DeValue::String(text),
        ) => {
            if text.trim().is_empty() {
                let message = format!("`{name}` is empty");
                let problem = Diagnostic::error(codes::EMPTY, span, message);
                out.push(match shape {
                    Shape::Condition => problem.with_help("write an expression of type bool, such as `steps.test.status == 'completed'`"),
                    Shape::Instant => problem.with_help("write an expression that gives a time, such as `inputs.start_at`"),
                    Shape::Items => problem.with_help("write an expression that gives a list, such as `inputs.files`"),
                    _ => problem,
                });
            } else if matches!(shape, Shape::Name) && text.contains('\0') {
                let message = format!("`{name}` holds a NUL (U+0000)");
                out.push(
                    Diagnostic::error(codes::BAD_NAME, span, message)
                        .with_help("leave it out: not every store can keep it"),
                );
            }
        }
        (Shape::FreeText, DeValue::String(_)) | (Shape::Bool, DeValue::Boolean(_)) => {}
        (Shape::StepId, DeValue::String(text)) => {
            if let Err(reason) = check_id(text) {
                error(
                    codes::BAD_NAME,
                    format!("`{text}` is not a valid step id: {reason}"),
                );
            }
        }
        (Shape::Signal, DeValue::String(text)) => {
            if let Err(reason) = check_signal(text) {
                error(
                    codes::BAD_NAME,
                    format!("`{text}` is not a valid name of a signal: {reason}"),
                );
            }
        }
        (Shape::Integer { min, max }, DeValue::Integer(_)) => {
            if !toml_values::integer(value).is_some_and(|n| (*min..=*max).contains(&n)) {
                error(
                    codes::OUT_OF_RANGE,
                    format!(
                        "`{name}` must be from {min} to {max}, not {}",
                        text_of(value)
                    ),
                );
            }
        }
        (Shape::Number { min, max }, DeValue::Integer(_) | DeValue::Float(_)) => {
            if !toml_values::number(value).is_some_and(|n| (*min..=*max).contains(&n)) {
                error(
                    codes::OUT_OF_RANGE,
                    format!(
                        "`{name}` must be from {min} to {max}, not {}",
                        text_of(value)
                    ),
                );
            }
        }
        (Shape::Duration { zero }, DeValue::String(text)) => match parse_duration(text) {
            Err(invalid) => {
                let problem =
                    Diagnostic::error(codes::BAD_DURATION, span.clone(), invalid.to_string());
                out.push(match forms::duration(text) {
                    Some(form) => problem.with_help(format!("write `{name} = \"{form}\"`")),
                    None => problem,
                });
            }
            Ok(duration) if duration.is_zero() && !zero => {
                error(
                    codes::OUT_OF_RANGE,
                    format!("`{name}` must be longer than zero"),
                );
            }
            Ok(_) => {}
        },
        (Shape::Duration { .. }, DeValue::Integer(_)) => {
            let message = format!("`{name}` needs a unit");
            out.push(
                Diagnostic::error(codes::BAD_DURATION, span, message).with_help(format!(
                    "for seconds write `{name} = \"{}s\"`; units are ms, s, m, h, d",
                    text_of(value)
                )),
            );
        }
        (Shape::Size { min, max }, DeValue::String(text)) => match parse_size(text) {
            Err(invalid) => error(codes::BAD_SIZE, invalid.to_string()),
            Ok(size) if !(*min..=*max).contains(&size) => {
                let (min, max) = (format_size(*min), format_size(*max));
                error(
                    codes::OUT_OF_RANGE,
                    format!("`{name}` must be from {min} to {max}, not {text}"),
                );
            }
            Ok(_) => {}
        },
        (Shape::Size { .. }, DeValue::Integer(_)) => {
            let message = format!("`{name}` needs a unit");
            out.push(
                Diagnostic::error(codes::BAD_SIZE, span, message).with_help(format!(
                    "for bytes write `{name} = \"{}B\"`; units are B, KiB, MiB, GiB",
                    text_of(value)
                )),
            );
        }
        (
            Shape::Choice {
                words,
                planned: reserved,
            },
            DeValue::String(text),
        ) => {
            if reserved.contains(&&**text) {
                let feature = format!("`{name} = \"{text}\"`");
                out.push(planned(span, text, &feature));
            } else if !words.contains(&&**text) {
                let all: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
                let message = format!("`{name}` cannot be `{text}`");
                let candidates = match synonyms::choice(text, words) {
                    Some(same) => vec![same.to_owned()],
                    None => nearest(text, words.iter().copied()),
                };
                out.push(
                    Diagnostic::error(codes::UNKNOWN_CHOICE, span, message)
                        .with_help(format!("choose one of {}", all.join(", ")))
                        .with_candidates(candidates),
                );
            }
        }
        (Shape::Digest, DeValue::String(text)) => {
            if let Err(invalid) = text.parse::<Digest>() {
                error(codes::BAD_DIGEST, invalid.to_string());
            }
        }
        (Shape::Json | Shape::Template, _)
        | (Shape::JsonTable | Shape::TemplateTable, DeValue::Table(_)) => {
            check_json(node, 0, out);
        }
        (Shape::List(item), DeValue::Array(items)) => {
            for (index, node) in items.iter().enumerate() {
                check_value(&format!("{name}[{index}]"), item, node.span(), node, out);
            }
        }
        (Shape::Record(record), DeValue::Table(table)) => {
            check_record(record, table, place_of(key_span, node), out)
        }
        (Shape::Map { names, values }, DeValue::Table(table)) => {
            check_map(*names, values, table, out);
        }
        (Shape::Tables(record), DeValue::Array(items)) => {
            if items.is_empty() {
                error(codes::NO_STEPS, "the workflow has no steps".to_owned());
            }
            for node in items {
                if let DeValue::Table(table) = node.get_ref() {
                    check_record(record, table, node.span(), out);
                } else {
                    out.push(wrong_type(name, "a table", node));
                }
            }
        }
        (Shape::Bucket, DeValue::String(text)) => {
            if let Err(reason) = check_id(text) {
                error(
                    codes::BAD_NAME,
                    format!("`{text}` is not a valid name of a bucket: {reason}"),
                );
            }
        }
        (Shape::Secret, DeValue::String(text)) => {
            if let Err(reason) = check_secret(text) {
                error(
                    codes::BAD_NAME,
                    format!("`{text}` is not a valid name of a secret: {reason}"),
                );
            }
        }
        (Shape::Port, DeValue::Integer(_)) => {
            if !toml_values::integer(value).is_some_and(|port| PORTS.contains(&port)) {
                let message = format!("`{}` is no port: they are from 1 to 65535", text_of(value));
                error(codes::OUT_OF_RANGE, message);
            }
        }
        (_, _) => {
            let problem = wrong_type(name, expected(shape), node);
            out.push(match forms::right(name, shape, value) {
                Some(help) => problem.with_help(help),
                None => problem,
            });
        }
    }
}

fn check_map(
    names: Names,
    values: &'static Record,
    table: &DeTable<'_>,
    out: &mut Vec<Diagnostic>,
) {
    for (name, node) in table {
        let checked = match names {
            Names::Identifier => check_identifier(name.get_ref()),
            Names::Id => check_id(name.get_ref()),
        };
        if let Err(reason) = checked {
            let message = format!("`{}` is not a valid name: {reason}", name.get_ref());
            out.push(Diagnostic::error(codes::BAD_NAME, name.span(), message));
        }
        if let DeValue::Table(table) = node.get_ref() {
            check_record(values, table, place_of(name.span(), node), out);
        } else {
            let what = format!("a table that describes {}", values.title);
            let problem = wrong_type(name.get_ref(), &what, node);
            out.push(match forms::entry(name.get_ref(), values, node.get_ref()) {
                Some(help) => problem.with_help(help),
                None => problem,
            });
        }
    }
}

/// Where a problem of a whole table is shown: its header, or its key when it has none.
fn place_of(key_span: Range<usize>, node: &Node<'_>) -> Range<usize> {
    if node.span().is_empty() {
        key_span
    } else {
        node.span()
    }
}

/// Refuses what JSON has no word for.
pub(super) fn check_json(node: &Node<'_>, depth: usize, out: &mut Vec<Diagnostic>) {
    let span = node.span();
    let is_container = matches!(node.get_ref(), DeValue::Array(_) | DeValue::Table(_));
    if is_container && depth >= limits::JSON_DEPTH {
        let message = format!(
            "the value is nested deeper than {} levels",
            limits::JSON_DEPTH
        );
        out.push(Diagnostic::error(codes::NOT_JSON, span, message));
        return;
    }
    match node.get_ref() {
        DeValue::String(_) | DeValue::Boolean(_) => {}
        DeValue::Integer(_) => {
            if toml_values::whole(node.get_ref()).is_none() {
                let message = "the integer does not fit in 64 bits";
                out.push(
                    Diagnostic::error(codes::NOT_JSON, span, message)
                        .with_help("write it as text, in quotes"),
                );
            }
        }
        DeValue::Float(_) => {
            if toml_values::number(node.get_ref()).is_none() {
                let message = format!("JSON has no {}", text_of(node.get_ref()));
                out.push(Diagnostic::error(codes::NOT_JSON, span, message));
            }
        }
        DeValue::Datetime(at) => {
            let message = "a date-time is not a JSON value";
            out.push(
                Diagnostic::error(codes::DATE_TIME, span, message)
                    .with_help(format!("put it in quotes: \"{at}\"")),
            );
        }
        DeValue::Array(items) => {
            for item in items {
                check_json(item, depth + 1, out);
            }
        }
        DeValue::Table(table) => {
            for (_, value) in table {
                check_json(value, depth + 1, out);
            }
        }
    }
}

fn wrong_type(name: &str, expected: &str, node: &Node<'_>) -> Diagnostic {
    let found = match node.get_ref() {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date-time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    Diagnostic::error(
        codes::WRONG_TYPE,
        node.span(),
        format!("`{name}` must be {expected}, not {found}"),
    )
}

fn expected(shape: &Shape) -> &'static str {
    match shape {
        Shape::SchemaVersion | Shape::Integer { .. } | Shape::Port => "an integer",
        Shape::Text
        | Shape::Name
        | Shape::FreeText
        | Shape::StepId
        | Shape::Signal
        | Shape::Secret
        | Shape::Bucket
        | Shape::Choice { .. }
        | Shape::Digest => "a string",
        Shape::Condition | Shape::Instant | Shape::Items => "an expression in a string",
        Shape::Number { .. } => "a number",
        Shape::Bool => "a boolean",
        Shape::Duration { .. } => "a duration in a string",
        Shape::Size { .. } => "a size in a string",
        Shape::Json | Shape::Template => "a value",
        Shape::List(_) => "a list",
        Shape::JsonTable | Shape::TemplateTable | Shape::Record(_) | Shape::Map { .. } => "a table",
        Shape::Tables(_) => "a list of tables",
    }
}

pub(super) fn text_of(value: &DeValue<'_>) -> String {
    match value {
        DeValue::Integer(n) => n.to_string(),
        DeValue::Float(n) => n.to_string(),
        DeValue::String(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => String::new(),
    }
}
