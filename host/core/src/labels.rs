//! Labels: names and values that whoever starts a run gives it, to find it again.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::limits::{LABEL_NAME_BYTES, LABEL_VALUE_BYTES, LABELS};
use crate::shown::Shown;

/// The labels of a run. They are part of what is recorded of it, so they are few and short.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>")]
pub struct Labels(BTreeMap<String, String>);

/// Why something is no label, or one too many.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidLabel {
    /// The name is no name.
    #[error(
        "`{}` is not a name of a label: it has up to {LABEL_NAME_BYTES} letters, digits, `-`, `_`, `.` and `/`, and begins with a letter or a digit",
        Shown(.0)
    )]
    Name(String),
    /// The value is too long, or has control characters.
    #[error(
        "label `{0}` cannot have that value: a value has up to {LABEL_VALUE_BYTES} bytes, and no control characters"
    )]
    Value(String),
    /// There is no value.
    #[error("`{}` has no value: write it as NAME=VALUE", Shown(.0))]
    NoValue(String),
    /// The name was given twice, with different values.
    #[error("label `{0}` is given twice")]
    Twice(String),
    /// There are too many.
    #[error("{0} labels: a run has at most {LABELS}")]
    TooMany(usize),
}

/// One label, as people write it: `name=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    name: String,
    value: String,
}

/// Which runs are meant: those with a label of this name, and, where one is given, of this value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelFilter {
    /// The name.
    pub name: String,
    /// The value; any when absent.
    pub value: Option<String>,
}

impl Labels {
    /// Labels of a run.
    ///
    /// # Errors
    /// [`InvalidLabel`] when there are too many, or one is given twice with different values.
    pub fn new(labels: impl IntoIterator<Item = Label>) -> Result<Self, InvalidLabel> {
        let mut all = BTreeMap::new();
        for Label { name, value } in labels {
            match all.get(&name) {
                Some(before) if *before != value => return Err(InvalidLabel::Twice(name)),
                _ => all.insert(name, value),
            };
        }
        Self::few(all)
    }

    fn few(all: BTreeMap<String, String>) -> Result<Self, InvalidLabel> {
        match all.len() {
            0..=LABELS => Ok(Self(all)),
            many => Err(InvalidLabel::TooMany(many)),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Names and values, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.0.iter();
        all.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether the filter means a run with these labels.
    #[must_use]
    pub fn are_meant(&self, filter: &LabelFilter) -> bool {
        let found = self.0.get(&filter.name);
        found.is_some_and(|found| filter.value.as_ref().is_none_or(|wanted| wanted == found))
    }
}

/// From what is stored or comes from elsewhere: held against the same rules.
impl TryFrom<BTreeMap<String, String>> for Labels {
    type Error = InvalidLabel;

    fn try_from(all: BTreeMap<String, String>) -> Result<Self, InvalidLabel> {
        for (name, value) in &all {
            check_name(name)?;
            check_value(name, value)?;
        }
        Self::few(all)
    }
}

impl FromStr for Label {
    type Err = InvalidLabel;

    fn from_str(text: &str) -> Result<Self, InvalidLabel> {
        let Some((name, value)) = text.split_once('=') else {
            check_name(text)?;
            return Err(InvalidLabel::NoValue(text.to_owned()));
        };
        check_name(name)?;
        check_value(name, value)?;
        Ok(Self {
            name: name.to_owned(),
            value: value.to_owned(),
        })
    }
}

impl FromStr for LabelFilter {
    type Err = InvalidLabel;

    fn from_str(text: &str) -> Result<Self, InvalidLabel> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        check_name(name)?;
        if let Some(value) = value {
            check_value(name, value)?;
        }
        Ok(Self {
            name: name.to_owned(),
            value: value.map(str::to_owned),
        })
    }
}

/// `env=prod, team=data`.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (name, value)) in self.iter().enumerate() {
            let between = if number == 0 { "" } else { ", " };
            write!(f, "{between}{name}={value}")?;
        }
        Ok(())
    }
}

fn check_name(name: &str) -> Result<(), InvalidLabel> {
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    let inside = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    match begins && name.len() <= LABEL_NAME_BYTES && name.chars().all(inside) {
        true => Ok(()),
        false => Err(InvalidLabel::Name(name.to_owned())),
    }
}

fn check_value(name: &str, value: &str) -> Result<(), InvalidLabel> {
    match value.len() <= LABEL_VALUE_BYTES && !value.chars().any(char::is_control) {
        true => Ok(()),
        false => Err(InvalidLabel::Value(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use super::*;

    fn labels(texts: &[&str]) -> Result<Labels, InvalidLabel> {
        let labels: Result<Vec<Label>, _> = texts.iter().map(|text| text.parse()).collect();
        Labels::new(labels?)
    }

    #[test]
    fn labels_are_kept_by_name() {
        let labels = labels(&["team=data", "env=prod", "a/b.c-d_e=", "env=prod"]).unwrap();
        assert_eq!(labels.to_string(), "a/b.c-d_e=, env=prod, team=data");
        let stored = serde_json::to_string(&labels).unwrap();
        assert_eq!(stored, r#"{"a/b.c-d_e":"","env":"prod","team":"data"}"#);
        assert_eq!(serde_json::from_str::<Labels>(&stored).unwrap(), labels);
    }

    #[test]
    fn what_is_no_label_is_refused_wherever_it_comes_from() {
        let long_name = "n".repeat(LABEL_NAME_BYTES + 1);
        let long_value = "v".repeat(LABEL_VALUE_BYTES + 1);
        for (name, value) in [
            ("", "v"),
            ("-n", "v"),
            ("n n", "v"),
            ("\u{e4}", "v"),
            (long_name.as_str(), "v"),
            ("n", long_value.as_str()),
            ("n", "a\nb"),
            ("n", "a\0b"),
        ] {
            assert!(
                format!("{name}={value}").parse::<Label>().is_err(),
                "{name}"
            );
            assert!(format!("{name}={value}").parse::<LabelFilter>().is_err());
            let stored = serde_json::json!({ name: value });
            assert!(serde_json::from_value::<Labels>(stored).is_err(), "{name}");
        }
        let most = format!("{}={}", &long_name[1..], &long_value[1..]);
        assert!(most.parse::<Label>().is_ok());
        let no_value = "env".parse::<Label>();
        assert_eq!(no_value, Err(InvalidLabel::NoValue("env".to_owned())));
    }

    #[test]
    fn a_run_has_few_labels_and_each_once() {
        let many: Vec<String> = (0..=LABELS).map(|n| format!("n{n}=v")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(labels(&many[1..]).is_ok());
        assert_eq!(labels(&many), Err(InvalidLabel::TooMany(LABELS + 1)));
        let twice = labels(&["a=1", "a=2"]);
        assert_eq!(twice, Err(InvalidLabel::Twice("a".to_owned())));
        let stored: BTreeMap<String, String> = (0..=LABELS)
            .map(|n| (format!("n{n}"), String::new()))
            .collect();
        assert!(Labels::try_from(stored).is_err());
    }

    #[test]
    fn a_filter_means_a_name_or_a_name_and_a_value() {
        let labels = labels(&["env=prod", "empty="]).unwrap();
        for (filter, meant) in [
            ("env", true),
            ("env=prod", true),
            ("env=test", false),
            ("env=", false),
            ("empty", true),
            ("empty=", true),
            ("prod", false),
        ] {
            assert_eq!(
                labels.are_meant(&filter.parse().unwrap()),
                meant,
                "{filter}"
            );
        }
    }
}
