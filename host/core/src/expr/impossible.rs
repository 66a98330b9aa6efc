//! Comparisons with a value that the other side can never have: such a condition would quietly be false.

use std::ops::Range;

use serde_json::Value;

use super::ast::{BinaryOp, NodeKind};
use super::check::Typed;
use super::problem::{Problem, ProblemKind, nearest};
use super::types::Type;
use crate::synonyms;

/// Values that are shown of a known set.
const SHOWN: usize = 12;

/// A value that the other side never has.
pub(super) struct Impossible<'a> {
    value: &'a Value,
    at: &'a Range<usize>,
    /// What the other side can be, and where that stands.
    known: &'a [Value],
    other: &'a Range<usize>,
}

/// Those of a comparison; empty where it may come out either way.
pub(super) fn impossible<'a>(
    op: BinaryOp,
    left: &'a Typed,
    right: &'a Typed,
) -> Vec<Impossible<'a>> {
    match op {
        BinaryOp::Equal | BinaryOp::NotEqual => {
            let both = [one(left, right), one(right, left)];
            both.into_iter().flatten().collect()
        }
        BinaryOp::In => match (&left.ty, &right.node.kind) {
            (Type::OneOf { values, .. }, NodeKind::List(items)) => items
                .iter()
                .filter_map(|item| match &item.kind {
                    NodeKind::Literal(value) => Some((value, &item.range)),
                    _ => None,
                })
                .filter(|(value, _)| !values.iter().any(|known| same(known, value)))
                .map(|(value, at)| Impossible {
                    value,
                    at,
                    known: values,
                    other: &left.node.range,
                })
                .collect(),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// The literal on one side, where the other never has its value.
fn one<'a>(known: &'a Typed, literal: &'a Typed) -> Option<Impossible<'a>> {
    let (Type::OneOf { values, .. }, NodeKind::Literal(value)) = (&known.ty, &literal.node.kind)
    else {
        return None;
    };
    (!values.iter().any(|known| same(known, value))).then_some(Impossible {
        value,
        at: &literal.node.range,
        known: values,
        other: &known.node.range,
    })
}

/// Whether `==` holds: an int may be equal to a double.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => x == y || x.as_f64() == y.as_f64(),
        (a, b) => a == b,
    }
}

impl Impossible<'_> {
    /// What is said of it; `text` is the text of a range.
    pub(super) fn problem(&self, text: impl Fn(&Range<usize>) -> String) -> Problem {
        let message = format!("`{}` is never {}", text(self.other), text(self.at));
        let mut problem = Problem::new(ProblemKind::NeverEqual, self.at.clone(), message);
        let words: Vec<&str> = self.known.iter().filter_map(Value::as_str).collect();
        if let Some(word) = self.value.as_str() {
            problem.candidates = match synonyms::choice(word, &words) {
                Some(same) => vec![same.to_owned()],
                None => nearest(word, words),
            };
        }
        let all: Vec<String> = self
            .known
            .iter()
            .take(SHOWN)
            .map(|value| match value.as_str() {
                Some(word) => format!("`{word}`"),
                None => format!("`{value}`"),
            })
            .collect();
        let more = match self.known.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        problem.help(format!("it can be {}{more}", all.join(", ")))
    }
}
