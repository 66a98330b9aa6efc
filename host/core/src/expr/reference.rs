//! What an expression may refer to, and who answers for it.

use std::borrow::Cow;
use std::fmt;

use serde_json::Value;

use super::types::Type;
use crate::ids::StepId;
use crate::rules::Rules;

/// One place of the context that an expression reads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reference {
    /// `inputs.NAME`
    Input(String),
    /// `steps.ID.FIELD`
    Step {
        /// Which step.
        id: StepId,
        /// Which part of its record.
        field: StepField,
    },
    /// `loop.iteration`: the iteration of the innermost loop, from 1.
    LoopIteration,
    /// `loop.previous`: what the iteration before recorded.
    LoopPrevious,
    /// `item`: the element of the fan-out.
    Item,
    /// `item_index`: its position, from 0.
    ItemIndex,
    /// `run.id`
    RunId,
    /// `run.started_at`
    RunStartedAt,
    /// `run.status`: the status that the run is about to get.
    RunStatus,
}

impl Reference {
    /// Whether it reads what a step came to, which one that was skipped has not got.
    pub(crate) fn is_outcome(&self) -> bool {
        matches!(
            self,
            Self::Step {
                field: StepField::Output | StepField::Iterations,
                ..
            }
        )
    }
}

/// A part of a step's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StepField {
    /// How the step ended.
    Status,
    /// What it returned.
    Output,
    /// Why it failed.
    Error,
    /// How often its component was called.
    Attempts,
    /// How many iterations the loop made.
    Iterations,
    /// The element that the fan-out around the reader is at.
    Item,
}

impl StepField {
    /// Every field.
    pub const ALL: [Self; 6] = [
        Self::Status,
        Self::Output,
        Self::Error,
        Self::Attempts,
        Self::Iterations,
        Self::Item,
    ];

    /// The word in an expression.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Output => "output",
            Self::Error => "error",
            Self::Attempts => "attempts",
            Self::Iterations => "iterations",
            Self::Item => "item",
        }
    }
}

impl fmt::Display for StepField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(name) if is_word(name) => write!(f, "inputs.{name}"),
            Self::Input(name) => write!(f, "inputs['{name}']"),
            Self::Step { id, field } if is_word(id.as_str()) => write!(f, "steps.{id}.{field}"),
            Self::Step { id, field } => write!(f, "steps['{id}'].{field}"),
            Self::LoopIteration => f.write_str("loop.iteration"),
            Self::LoopPrevious => f.write_str("loop.previous"),
            Self::Item => f.write_str("item"),
            Self::ItemIndex => f.write_str("item_index"),
            Self::RunId => f.write_str("run.id"),
            Self::RunStartedAt => f.write_str("run.started_at"),
            Self::RunStatus => f.write_str("run.status"),
        }
    }
}

/// Whether a name can stand behind a dot. Names of steps hold letters, digits, `_` and `-`, so two things prevent it.
fn is_word(name: &str) -> bool {
    !name.contains('-') && !name.starts_with(|c: char| c.is_ascii_digit())
}

/// What is known when a definition is loaded, at the place where the expression stands.
pub trait Env {
    /// The type of an input; `None` when there is no such input.
    fn input(&self, name: &str) -> Option<Type>;

    /// Every input, for suggestions.
    fn input_names(&self) -> Vec<String>;

    /// The type of a step's field.
    ///
    /// # Errors
    /// [`StepProblem`] when there is no such step, or it cannot have a value here.
    fn step(&self, id: &str, field: StepField) -> Result<Type, StepProblem>;

    /// Every step, for suggestions.
    fn step_names(&self) -> Vec<String>;

    /// Whether `loop` has a meaning here.
    fn in_loop(&self) -> bool;

    /// The type of `loop.previous`.
    fn previous(&self) -> Type {
        Type::Dyn
    }

    /// Whether `item` and `item_index` have a meaning here.
    fn in_foreach(&self) -> bool;

    /// Whether it is known there how the run is about to end.
    fn at_the_end(&self) -> bool {
        false
    }

    /// Whether the text was accepted before, perhaps by an earlier version: rules that came later do not refuse it.
    fn accepted(&self) -> bool {
        false
    }
}

/// Why a step's field cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepProblem {
    /// There is no such step.
    Unknown,
    /// There is, and it cannot have a value here: the reason ("step `x` runs later") and, if there is one, a help.
    NotReadable(String, Option<String>),
}

/// The recorded values that an evaluation reads; it reads nothing else (B71).
pub trait Scope {
    /// The value; `None` when there is none.
    fn lookup(&self, reference: &Reference) -> Option<Cow<'_, Value>>;

    /// The rules that the evaluation follows: those of the run that the values are from.
    fn rules(&self) -> Rules;
}
