//! What an expression comes to where one thing is supposed and nothing else is known.

use std::borrow::Cow;

use serde_json::Value;

use super::Expr;
use super::ast::{BinaryOp, Node, NodeKind};
use super::reference::{Reference, StepField};
use super::value::{Val, View, compares};
use crate::ids::StepId;
use crate::rules::Rules;

/// An expression, and what is supposed where it is evaluated.
pub(super) struct Supposed<'a> {
    pub(super) expr: &'a Expr,
    pub(super) what: Supposition<'a>,
}

/// What is supposed; nothing is known of everything else.
#[derive(Debug, Clone, Copy)]
pub(super) enum Supposition<'a> {
    /// One step has this status.
    Step { id: &'a StepId, status: &'a str },
    /// It is the first iteration of the loop.
    FirstIteration,
}

/// What a part of an expression then comes to.
pub(super) enum Given<'v> {
    Is(Cow<'v, Value>),
    /// It fails: it reads what is not there.
    Missing,
    Open,
}

impl<'v> Given<'v> {
    fn bool(&self) -> Option<bool> {
        match self {
            Self::Is(value) => value.as_bool(),
            Self::Missing | Self::Open => None,
        }
    }

    fn truth(truth: bool) -> Self {
        Self::Is(Cow::Owned(Value::Bool(truth)))
    }

    /// What it comes to when one of its parts is this.
    fn open_or_missing(self) -> Given<'v> {
        match self {
            Self::Missing => Self::Missing,
            Self::Is(_) | Self::Open => Self::Open,
        }
    }
}

impl Supposed<'_> {
    pub(super) fn value<'v>(&self, node: &'v Node) -> Given<'v> {
        match &node.kind {
            NodeKind::Literal(value) => Given::Is(Cow::Borrowed(value)),
            NodeKind::List(items) => self.list(items),
            NodeKind::Reference { index, .. } => self.reference(*index),
            NodeKind::HasReference { index } => self.has(*index).map_or(Given::Open, Given::truth),
            NodeKind::OrValue { chain, default } => match self.chain(chain) {
                Some(true) => self.value(default),
                Some(false) => Given::Missing,
                None => Given::Open,
            },
            NodeKind::HasField { base, .. } | NodeKind::Select { base, .. } => {
                self.value(base).open_or_missing()
            }
            NodeKind::Negate(operand) => self.value(operand).open_or_missing(),
            NodeKind::Index { base, index, .. } => self.all(&[base, index]),
            NodeKind::Call { args, .. } => self.all(&args.iter().collect::<Vec<_>>()),
            NodeKind::Not(operand) => {
                let operand = self.value(operand);
                match operand.bool() {
                    Some(truth) => Given::truth(!truth),
                    None => operand.open_or_missing(),
                }
            }
            NodeKind::Binary { op, left, right } => self.binary(*op, left, right),
            NodeKind::All(items) => self.decide(items, false),
            NodeKind::Any(items) => self.decide(items, true),
            NodeKind::Conditional {
                condition,
                then,
                otherwise,
            } => {
                let condition = self.value(condition);
                match condition.bool() {
                    Some(true) => self.value(then),
                    Some(false) => self.value(otherwise),
                    None => condition.open_or_missing(),
                }
            }
        }
    }

    /// Whether there is a value where the reference reads, as far as that is certain.
    fn has(&self, index: usize) -> Option<bool> {
        match (self.what, &self.expr.references[index]) {
            (Supposition::Step { id, status }, Reference::Step { id: read, field })
                if id == read =>
            {
                match field {
                    StepField::Status | StepField::Attempts => Some(true),
                    StepField::Output => Some(status == "completed"),
                    StepField::Error => Some(status == "failed"),
                    StepField::Iterations | StepField::Item => None,
                }
            }
            (Supposition::FirstIteration, Reference::LoopIteration) => Some(true),
            (Supposition::FirstIteration, Reference::LoopPrevious) => Some(false),
            _ => None,
        }
    }

    fn reference<'v>(&self, index: usize) -> Given<'v> {
        let value = match (self.what, &self.expr.references[index]) {
            (
                Supposition::Step { id, status },
                Reference::Step {
                    id: read,
                    field: StepField::Status,
                },
            ) if id == read => Some(Value::from(status)),
            (Supposition::FirstIteration, Reference::LoopIteration) => Some(Value::from(1)),
            _ => None,
        };
        match value {
            Some(value) => Given::Is(Cow::Owned(value)),
            None if self.has(index) == Some(false) => Given::Missing,
            None => Given::Open,
        }
    }

    fn list<'v>(&self, items: &'v [Node]) -> Given<'v> {
        let mut values = Vec::new();
        for item in items {
            match self.value(item) {
                Given::Is(value) => values.push(value.into_owned()),
                other => return other,
            }
        }
        Given::Is(Cow::Owned(Value::Array(values)))
    }

    /// Whether a chain with `.?` ends in its default; `Some(false)` when it fails before.
    fn chain(&self, node: &Node) -> Option<bool> {
        match &node.kind {
            NodeKind::Reference { index, optional } => {
                let has = self.has(*index)?;
                (!has).then_some(*optional)
            }
            NodeKind::Select { base, .. } | NodeKind::Index { base, .. } => self.chain(base),
            _ => None,
        }
    }

    fn all<'v>(&self, parts: &[&'v Node]) -> Given<'v> {
        let mut parts = parts.iter().map(|part| self.value(part));
        match parts.any(|part| matches!(part, Given::Missing)) {
            true => Given::Missing,
            false => Given::Open,
        }
    }

    fn binary<'v>(&self, op: BinaryOp, left: &'v Node, right: &'v Node) -> Given<'v> {
        let (left, right) = match (self.value(left), self.value(right)) {
            (Given::Is(left), Given::Is(right)) => (Val::Json(left), Val::Json(right)),
            (Given::Missing, _) | (_, Given::Missing) => return Given::Missing,
            (Given::Open, _) | (_, Given::Open) => return Given::Open,
        };
        let rules = Rules::PRESENT;
        let (left, right) = (left.view(rules), right.view(rules));
        let truth = match op {
            BinaryOp::Equal => Some(left.equals(&right, rules)),
            BinaryOp::NotEqual => Some(!left.equals(&right, rules)),
            BinaryOp::In => match right {
                View::List(items) => Some(items.iter(rules).any(|item| item.equals(&left, rules))),
                _ => None,
            },
            op => left
                .order(&right, rules)
                .and_then(|order| compares(op, order)),
        };
        truth.map_or(Given::Open, Given::truth)
    }

    /// `&&`, which false decides, and `||`, which true does: an error on another side or not.
    fn decide<'v>(&self, items: &'v [Node], decisive: bool) -> Given<'v> {
        let values: Vec<_> = items.iter().map(|item| self.value(item)).collect();
        let any = |wanted: fn(&Given<'_>) -> bool| values.iter().any(wanted);
        if values.iter().any(|value| value.bool() == Some(decisive)) {
            Given::truth(decisive)
        } else if any(|value| matches!(value, Given::Open)) {
            Given::Open
        } else if any(|value| matches!(value, Given::Missing)) {
            Given::Missing
        } else {
            Given::truth(!decisive)
        }
    }
}
