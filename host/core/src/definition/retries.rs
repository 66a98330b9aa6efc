//! A retry policy of another tool, in words of this language: with its numbers.

use toml::de::{DeTable, DeValue};

use super::foreign;
use super::forms;
use super::grammar::Record;
use super::shape::text_of;
use super::toml_values;
use crate::grants::toml_text;
use crate::synonyms::plain;
use crate::time::parse_duration;

/// What was understood of a policy, by key.
#[derive(Default)]
struct Policy {
    max_attempts: Option<String>,
    initial: Option<String>,
    factor: Option<String>,
    max: Option<String>,
    others: Vec<String>,
}

/// The line for all that a table says about retries, beside its own key for them.
pub(super) fn beside(record: &Record, table: &DeTable<'_>) -> Option<String> {
    let mut policy = Policy::default();
    for (word, value) in table {
        let word = word.get_ref();
        if record.key(word).is_some() {
            continue;
        }
        let Some(word) = foreign::known("a step", word) else {
            continue;
        };
        match value.get_ref() {
            _ if foreign::key("a step", word).and_then(|foreign| foreign.key) != Some("retry") => {}
            DeValue::Table(inner) => policy.take_all(inner),
            value => policy.take(word, value),
        }
    }
    policy.line()
}

/// The line for a table of `retry` with such words in it.
pub(super) fn of_table(table: &DeTable<'_>) -> Option<String> {
    let mut policy = Policy::default();
    policy.take_all(table);
    policy.line()
}

/// Whether a table of `retry` has words of another tool.
pub(super) fn of_others(table: &DeTable<'_>) -> bool {
    let mut words = table.keys().map(|word| word.get_ref());
    words.any(|word| foreign::key("a retry policy", word).is_some())
}

/// Whether a table of `retry` has its number of attempts under `max`, which is a time here.
pub(super) fn counts_by_max(table: &DeTable<'_>) -> bool {
    let max = table.get("max").map(|value| value.get_ref());
    matches!(max, Some(DeValue::Integer(_))) && !table.contains_key("max_attempts")
}

/// One key of a policy.
pub(super) fn of_key(word: &str, key: &str, value: &DeValue<'_>) -> Option<String> {
    let mut policy = Policy::default();
    policy.take(word, value);
    let form = match key {
        "max_attempts" => policy.max_attempts,
        "initial" => policy.initial,
        "factor" => policy.factor,
        "max" => policy.max,
        _ => None,
    };
    form.map(|form| format!("{key} = {form}"))
}

/// A length of time as it is written here; a number is one of seconds.
pub(super) fn duration(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::Integer(_) => {
            let seconds = u32::try_from(toml_values::integer(value)?).ok()?;
            Some(format!("\"{seconds}s\""))
        }
        DeValue::String(text) if parse_duration(text).is_ok() => Some(toml_text(text)),
        DeValue::String(text) => match text.parse::<u32>() {
            Ok(seconds) => Some(format!("\"{seconds}s\"")),
            Err(_) => forms::duration(text).map(|form| toml_text(&form)),
        },
        _ => None,
    }
}

impl Policy {
    fn take_all(&mut self, table: &DeTable<'_>) {
        let counts = counts_by_max(table);
        for (word, value) in table {
            let value = value.get_ref();
            match plain(word.get_ref()).as_str() {
                "max" if counts => self.max_attempts = count(value),
                word => self.take(word, value),
            }
        }
    }

    fn take(&mut self, word: &str, value: &DeValue<'_>) {
        match (word, value) {
            ("backoff", DeValue::Table(inner)) => self.take_all(inner),
            // A growth in numbers or words; else the first wait.
            ("backoff", DeValue::Integer(_) | DeValue::Float(_)) => {
                self.factor = Some(text_of(value));
            }
            ("backoff" | "type" | "strategy", DeValue::String(text)) if growth(text).is_some() => {
                self.factor = growth(text).map(str::to_owned);
            }
            ("backoff" | "exponentialbackoff" | "exponential", DeValue::Boolean(true)) => {
                self.factor = Some("2".to_owned());
            }
            ("backoff", value) => self.initial = duration(value).or(self.initial.take()),
            ("delayms" | "intervalms", DeValue::Integer(_)) => {
                self.initial = Some(format!("\"{}ms\"", text_of(value)));
            }
            ("retrypolicy", DeValue::String(text)) => {
                self.others
                    .extend(kinds(text).map(|on| format!("on = {on}")));
            }
            ("factor", value) => self.factor = number(value),
            ("jitter", DeValue::Integer(_) | DeValue::Float(_)) => {
                self.others.push(format!("jitter = {}", text_of(value)));
            }
            ("then", DeValue::String(text)) => {
                self.others.push(format!("then = {}", toml_text(text)))
            }
            ("on" | "codes", DeValue::Array(items)) => {
                let texts = items
                    .iter()
                    .map(|item| item.get_ref().as_str().map(toml_text));
                if let Some(texts) = texts.collect::<Option<Vec<_>>>() {
                    self.others.push(format!("{word} = [{}]", texts.join(", ")));
                }
            }
            (
                "initial" | "retrydelay" | "retryinterval" | "retrywait" | "retrywaitseconds",
                value,
            ) => {
                self.initial = duration(value);
            }
            ("max", value) => self.max = duration(value),
            ("maxattempts" | "retrycount", value) => self.max_attempts = count(value),
            (word, value) => {
                let means = foreign::key("a retry policy", word).and_then(|foreign| foreign.key);
                match means {
                    Some("max_attempts") => self.max_attempts = count(value),
                    Some("initial") => self.initial = duration(value),
                    Some("factor") => self.factor = number(value),
                    Some("max") => self.max = duration(value),
                    _ => {}
                }
            }
        }
    }

    fn line(self) -> Option<String> {
        let keys = [
            ("max_attempts", self.max_attempts),
            ("initial", self.initial),
            ("factor", self.factor),
            ("max", self.max),
        ];
        let keys = keys
            .into_iter()
            .filter_map(|(key, form)| Some(format!("{key} = {}", form?)));
        let all: Vec<String> = keys.chain(self.others).collect();
        (!all.is_empty()).then(|| format!("retry = {{ {} }}", all.join(", ")))
    }
}

/// A number of attempts, in quotes or not.
fn count(value: &DeValue<'_>) -> Option<String> {
    let number = match value {
        DeValue::String(text) => text.trim().parse().ok()?,
        value => toml_values::integer(value)?,
    };
    (number > 0).then(|| number.to_string())
}

fn number(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::Integer(_) | DeValue::Float(_) => Some(text_of(value)),
        DeValue::String(text) => text.trim().parse::<f64>().ok().map(|n| n.to_string()),
        _ => None,
    }
}

/// How much the wait grows.
fn growth(text: &str) -> Option<&'static str> {
    match plain(text).as_str() {
        "exponential" => Some("2"),
        "constant" | "fixed" | "linear" | "none" => Some("1"),
        _ => None,
    }
}

/// Argo's `retryPolicy`.
fn kinds(text: &str) -> Option<&'static str> {
    match plain(text).as_str() {
        "always" => Some("[\"retryable\", \"timeout\", \"trap\", \"failed\"]"),
        "onfailure" => Some("[\"retryable\", \"failed\"]"),
        "onerror" => Some("[\"retryable\", \"timeout\", \"trap\"]"),
        "ontransienterror" => Some("[\"retryable\"]"),
        _ => None,
    }
}
