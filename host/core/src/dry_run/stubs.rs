//! What stands in the place of steps: JSON that a person writes.
//!
//! ```json
//! { "steps": {
//!     "fetch": { "output": { "rows": 3 } },
//!     "flaky": [ { "error": { "code": "busy", "message": "try again", "retryable": true } }, { "output": {} } ],
//!     "gate": { "decision": "rejected", "comment": "not today" },
//!     "call/inner": { "output": 1 } } }
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::json;
use crate::outcome::{ErrorClass, Outcome, Pause, StepError};
use crate::payload::present;
use crate::wait::Verdict;

/// Stubs by the names of steps; of several of one step, one for each time that it is asked for, and the last one from then on.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Stubs(BTreeMap<String, Vec<Stub>>);

/// What stands in the place of a step, once.
#[derive(Debug, Clone, PartialEq)]
pub enum Stub {
    /// Its attempt, or its child run, completes with this.
    Output(Value),
    /// It fails.
    Error(StepError),
    /// It pauses.
    Pause(Pause),
    /// A person decides.
    Decision {
        /// What.
        verdict: Verdict,
        /// Why.
        comment: Option<String>,
    },
    /// A signal comes, with this.
    Signal(Value),
    /// Nobody comes before the wait or the approval gives up.
    TimedOut,
}

/// Why stubs cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidStubs {
    /// It is no JSON that is kept as it is.
    #[error(transparent)]
    Json(#[from] json::UnusableJson),
    /// It is JSON of another shape.
    #[error("{0}")]
    Shape(String),
    /// A stub says nothing, or several things.
    #[error(
        "the stub of `{0}` has to have one of `output`, `error`, `pause`, `decision`, `signal` and `timed_out`"
    )]
    NotOne(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    steps: BTreeMap<String, Value>,
}

#[derive(Serialize)]
struct Written {
    steps: BTreeMap<String, Several>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Several {
    One(Box<Raw>),
    Many(Vec<Raw>),
}

#[derive(Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    output: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<RawError>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pause: Option<RawPause>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    decision: Option<Verdict>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    signal: Option<Value>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    timed_out: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawError {
    code: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    retryable: bool,
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    detail: Option<Value>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPause {
    code: String,
    #[serde(default)]
    reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signal: Option<String>,
}

impl Stubs {
    /// Reads what a person wrote.
    ///
    /// # Errors
    /// [`InvalidStubs`].
    pub fn parse(text: &str) -> Result<Self, InvalidStubs> {
        let value = json::parse(text)?;
        let file: File = serde_json::from_value(value)
            .map_err(|error| InvalidStubs::Shape(error.to_string()))?;
        let steps = file.steps.into_iter().map(|(name, stubs)| {
            let several = match stubs {
                Value::Array(several) => several,
                one => vec![one],
            };
            let stubs = several.into_iter().map(|stub| {
                let wrong =
                    |what: String| InvalidStubs::Shape(format!("the stub of `{name}`: {what}"));
                if !stub.is_object() {
                    return Err(wrong("it is no object".to_owned()));
                }
                let raw = serde_json::from_value(stub).map_err(|error| wrong(error.to_string()))?;
                Stub::of(&name, raw)
            });
            let stubs: Vec<Stub> = stubs.collect::<Result<_, _>>()?;
            match stubs.is_empty() {
                true => Err(InvalidStubs::NotOne(name)),
                false => Ok((name, stubs)),
            }
        });
        steps.collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn of(stubs: impl IntoIterator<Item = (String, Vec<Stub>)>) -> Self {
        Self(stubs.into_iter().collect())
    }

    /// The text of a file with them.
    #[must_use]
    pub fn to_text(&self) -> String {
        let steps = self.0.iter().map(|(name, stubs)| {
            let mut raw: Vec<Raw> = stubs.iter().map(Stub::raw).collect();
            let several = match raw.len() {
                1 => Several::One(Box::new(raw.remove(0))),
                _ => Several::Many(raw),
            };
            (name.clone(), several)
        });
        let file = Written {
            steps: steps.collect(),
        };
        serde_json::to_string_pretty(&file).expect("stubs have string keys") + "\n"
    }

    /// The steps that have one.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub(super) fn get(&self, name: &str) -> Option<&[Stub]> {
        self.0.get(name).map(Vec::as_slice)
    }
}

impl Stub {
    pub(super) const fn approved() -> Self {
        Self::Decision {
            verdict: Verdict::Approved,
            comment: None,
        }
    }

    fn of(name: &str, raw: Raw) -> Result<Self, InvalidStubs> {
        let comment = raw.comment;
        let mut said = [
            raw.output.map(Self::Output),
            raw.error.map(|error| {
                let class = match error.retryable {
                    true => ErrorClass::Retryable,
                    false => ErrorClass::Failed,
                };
                Self::Error(StepError {
                    detail: error.detail,
                    ..StepError::new(class, &error.code, error.message)
                })
            }),
            raw.pause.map(|pause| {
                Self::Pause(Pause {
                    code: pause.code,
                    reason: pause.reason,
                    provider: None,
                    until: None,
                    signal: pause.signal,
                    state: None,
                })
            }),
            raw.decision.map(|verdict| Self::Decision {
                verdict,
                comment: comment.clone(),
            }),
            raw.signal.map(Self::Signal),
            raw.timed_out.then_some(Self::TimedOut),
        ]
        .into_iter()
        .flatten();
        match (said.next(), said.next()) {
            (Some(decision @ Self::Decision { .. }), None) => Ok(decision),
            (Some(one), None) if comment.is_none() => Ok(one),
            _ => Err(InvalidStubs::NotOne(name.to_owned())),
        }
    }

    fn raw(&self) -> Raw {
        let mut raw = Raw::default();
        match self {
            Self::Output(output) => raw.output = Some(output.clone()),
            Self::Error(error) => {
                raw.error = Some(RawError {
                    code: error.code.clone(),
                    message: error.message.clone(),
                    retryable: error.class == ErrorClass::Retryable,
                    detail: error.detail.clone(),
                });
            }
            Self::Pause(pause) => {
                raw.pause = Some(RawPause {
                    code: pause.code.clone(),
                    reason: pause.reason.clone(),
                    signal: pause.signal.clone(),
                });
            }
            Self::Decision { verdict, comment } => {
                raw.decision = Some(*verdict);
                raw.comment.clone_from(comment);
            }
            Self::Signal(data) => raw.signal = Some(data.clone()),
            Self::TimedOut => raw.timed_out = true,
        }
        raw
    }

    /// What an attempt or a child run comes to with it; `None` of what stands for a person or a signal.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Output(output) => Some(Outcome::Completed(output.clone())),
            Self::Error(error) => Some(Outcome::Failed(error.clone())),
            Self::Pause(pause) => Some(Outcome::Paused(pause.clone())),
            Self::Decision { .. } | Self::Signal(_) | Self::TimedOut => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let text = r#"{"steps": {
            "a": {"output": null},
            "b": [{"error": {"code": "x", "retryable": true}}, {"output": [1]}],
            "c": {"decision": "rejected", "comment": "no"},
            "d": {"signal": {"n": 1}},
            "e": {"timed_out": true},
            "f": {"pause": {"code": "q", "signal": "go"}}
        }}"#;
        let stubs = Stubs::parse(text).unwrap();
        assert_eq!(stubs.get("b").unwrap().len(), 2);
        assert_eq!(Stubs::parse(&stubs.to_text()), Ok(stubs));
    }

    #[test]
    fn what_says_nothing_or_too_much_is_refused() {
        for text in [
            "{",
            "{}",
            r#"{"steps": {"a": {}}}"#,
            r#"{"steps": {"a": []}}"#,
            r#"{"steps": {"a": {"output": 1, "signal": 2}}}"#,
            r#"{"steps": {"a": {"output": 1, "comment": "x"}}}"#,
            r#"{"steps": {"a": {"otuput": 1}}}"#,
            r#"{"steps": {"a": 1}}"#,
            r#"{"steps": {}, "more": 1}"#,
            r#"{"steps": {"a": {"output": 12345678901234567890123}}}"#,
        ] {
            assert!(Stubs::parse(text).is_err(), "{text}");
        }
    }
}
