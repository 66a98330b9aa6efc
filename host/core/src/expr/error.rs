//! What can go wrong while an expression is evaluated.

use std::fmt;
use std::io;

use serde_json::Value;

use super::reference::{Reference, StepField};
use crate::limits::{EXPRESSION_OUTPUT_BYTES, JSON_DEPTH};
use crate::outcome::codes;

/// Why an expression has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// It reads values that do not exist; all of a template tree at once, in the order of the tree (B41).
    #[error("{}", joined(.values))]
    Missing {
        /// Never empty.
        values: Vec<MissingValue>,
    },
    /// `/` or `%` with a zero on its right.
    #[error("`{expression}` divides by zero")]
    DivisionByZero {
        /// The operation, as written.
        expression: String,
    },
    /// A whole number beyond 64 bits.
    #[error("the result of `{expression}` does not fit in a 64-bit integer")]
    Overflow {
        /// The operation, as written.
        expression: String,
    },
    /// A double beyond its range.
    #[error("the result of `{expression}` is not a finite number")]
    NotFinite {
        /// The operation, as written.
        expression: String,
    },
    /// An operation on values that it does not take.
    #[error("`{expression}`: {message}")]
    TypeMismatch {
        /// The operation, as written.
        expression: String,
        /// What does not fit.
        message: String,
    },
    /// `int(..)` or `double(..)` of a text that is no number.
    #[error("`{expression}`: {text:?} is not {wanted}")]
    NotANumber {
        /// The operation, as written.
        expression: String,
        /// The text, cut when it is long.
        text: String,
        /// What it should be, and how to get there.
        wanted: &'static str,
    },
    /// The whole value has more levels of arrays and objects than a JSON value may have.
    #[error("the value is nested deeper than {JSON_DEPTH} levels")]
    TooDeep,
    /// It produced more bytes than it may.
    #[error(
        "the values that this step's expressions produce are larger than {limit} bytes together"
    )]
    OutOfBudget {
        /// What the budget was.
        limit: usize,
    },
}

impl EvalError {
    /// The stable code of the step error that this becomes.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => codes::MISSING_VALUE,
            Self::DivisionByZero { .. }
            | Self::Overflow { .. }
            | Self::NotFinite { .. }
            | Self::TypeMismatch { .. }
            | Self::NotANumber { .. }
            | Self::TooDeep
            | Self::OutOfBudget { .. } => codes::EXPRESSION_ERROR,
        }
    }

    pub(super) fn missing(what: &str, reason: MissingReason, help: String) -> Self {
        let what = what.to_owned();
        Self::Missing {
            values: vec![MissingValue { what, reason, help }],
        }
    }
}

fn joined(values: &[MissingValue]) -> String {
    let texts: Vec<String> = values.iter().map(ToString::to_string).collect();
    texts.join("; ")
}

/// A value that an expression reads and that does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingValue {
    /// The path as written: `steps.x.output.name`.
    pub what: String,
    /// Why there is none.
    pub reason: MissingReason,
    /// How to write that it may be missing.
    pub help: String,
}

/// Why a value does not exist (B43).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MissingReason {
    /// The reference has no recorded value.
    NotRecorded(Reference),
    /// The object has no such field.
    NoField {
        /// The name asked for, cut when it is long.
        field: String,
        /// The field that it is nearest to, if any is near.
        nearest: Option<String>,
    },
    /// The list has no such position.
    OutOfRange {
        /// The position asked for, as text: it may be any number.
        index: String,
        /// Length of the list.
        size: usize,
    },
}

impl fmt::Display for MissingValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` has no value: {}; where it may be missing, {}",
            self.what, self.reason, self.help
        )
    }
}

impl fmt::Display for MissingReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRecorded(reference) => match reference {
                Reference::Input(name) => write!(f, "input `{name}` was not given"),
                Reference::Step { id, field } => match field {
                    StepField::Status | StepField::Attempts => {
                        write!(f, "step `{id}` has not run")
                    }
                    StepField::Output => write!(f, "step `{id}` has not completed"),
                    StepField::Error => write!(f, "step `{id}` has not failed"),
                    StepField::Iterations => write!(f, "step `{id}` has made no iteration"),
                    StepField::Item => write!(f, "step `{id}` has no item here"),
                },
                Reference::LoopPrevious => f.write_str("this is the first iteration of the loop"),
                Reference::LoopIteration => f.write_str("no loop is running"),
                Reference::Item | Reference::ItemIndex => f.write_str("no fan-out is running"),
                Reference::RunId | Reference::RunStartedAt | Reference::RunStatus => {
                    f.write_str("the run has not started")
                }
            },
            Self::NoField { field, nearest } => {
                write!(f, "there is no field `{field}`")?;
                match nearest {
                    Some(nearest) => write!(f, " (did you mean `{nearest}`?)"),
                    None => Ok(()),
                }
            }
            Self::OutOfRange { index, size } => {
                write!(f, "there is no element {index} in a list of {size}")
            }
        }
    }
}

/// How many bytes evaluation may still produce. One budget serves all expressions of a step.
///
/// Spent by strings that are joined or converted, by lists that are joined (two bytes per element, the least that one takes
/// in JSON), by text of templates, and by values copied into a result (their compact JSON).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    limit: usize,
    left: usize,
}

impl Budget {
    /// A budget of this many bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self {
            limit: bytes,
            left: bytes,
        }
    }

    pub(super) fn spend(&mut self, bytes: usize) -> Result<(), EvalError> {
        self.left = self
            .left
            .checked_sub(bytes)
            .ok_or(EvalError::OutOfBudget { limit: self.limit })?;
        Ok(())
    }

    /// Spends the size of `value` as compact JSON, and stops measuring when that is too much.
    pub(super) fn spend_json(&mut self, value: &Value) -> Result<(), EvalError> {
        struct Meter<'a>(&'a mut Budget);

        impl io::Write for Meter<'_> {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.spend(bytes.len()).map_err(io::Error::other)?;
                Ok(bytes.len())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }

        let limit = self.limit;
        // The meter is the only part of this that can fail.
        serde_json::to_writer(Meter(self), value).map_err(|_| EvalError::OutOfBudget { limit })
    }
}

impl Default for Budget {
    /// [`EXPRESSION_OUTPUT_BYTES`].
    fn default() -> Self {
        Self::new(EXPRESSION_OUTPUT_BYTES)
    }
}
