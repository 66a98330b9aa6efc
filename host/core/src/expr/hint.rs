//! What to write instead, said by an evaluation that failed.

use serde_json::{Map, Value};

use super::ast::{BinaryOp, Function, Node, NodeKind};
use super::error::MissingReason;
use super::eval::Evaluator;
use super::problem::nearest;
use super::value::View;

/// Fields of an object that are looked at for the nearest name.
const FIELDS: usize = 1_000;

impl Evaluator<'_, '_> {
    /// How to write that the value of `node` may be missing.
    pub(super) fn missing_help(&self, node: &Node, reason: &MissingReason) -> String {
        let whole = self.source(node);
        let optional = |base: &str, field: &str| {
            format!("ask `has({whole})` first or write `{base}.?{field}.orValue(..)`")
        };
        match &node.kind {
            NodeKind::Select { base, field, .. } => optional(self.source(base), field),
            NodeKind::Index { base, index, .. } => {
                let (base, index) = (self.source(base), self.source(index));
                match reason {
                    MissingReason::OutOfRange { .. } => {
                        format!("ask `size({base}) > {index}` first")
                    }
                    _ => format!("ask `{index} in {base}` first"),
                }
            }
            _ => match whole.rsplit_once('.') {
                Some((base, field)) => optional(base, field),
                None => format!("ask `has({whole})` first"),
            },
        }
    }

    /// What to write when an operator does not take its two sides.
    pub(super) fn operand_hint(
        &self,
        node: &Node,
        op: BinaryOp,
        left: &View<'_>,
        right: &View<'_>,
    ) -> String {
        let NodeKind::Binary {
            left: left_node,
            right: right_node,
            ..
        } = &node.kind
        else {
            return String::new();
        };
        let as_text = |node: &Node| format!("; write `string({})`", self.source(node));
        match (left, right) {
            (View::Int(_), View::Double(_)) | (View::Double(_), View::Int(_)) => {
                "; write `double(x)` around the int".to_owned()
            }
            (View::Text(_), View::Int(_) | View::Double(_) | View::Bool(_))
                if op == BinaryOp::Add =>
            {
                as_text(right_node)
            }
            (View::Int(_) | View::Double(_) | View::Bool(_), View::Text(_))
                if op == BinaryOp::Add =>
            {
                as_text(left_node)
            }
            (View::Bool(_), _) if op.orders() => match &left_node.kind {
                NodeKind::Binary {
                    op: first, right, ..
                } if first.orders() => format!(
                    "; comparisons do not chain: write `{} && {} {} {}`",
                    self.source(left_node),
                    self.source(right),
                    op.symbol(),
                    self.source(right_node)
                ),
                _ => String::new(),
            },
            _ => String::new(),
        }
    }

    /// What to write when a function does not take a value of this kind.
    pub(super) fn call_hint(&self, function: Function, args: &[Node], view: &View<'_>) -> String {
        match (function, view, args) {
            (Function::Contains, View::List(_), [list, element]) => format!(
                "; write `{} in {}`",
                self.source(element),
                self.source(list)
            ),
            (Function::Int, View::Bool(_), [arg]) => {
                format!("; write `{} ? 1 : 0`", self.source(arg))
            }
            (Function::Double, View::Bool(_), [arg]) => {
                format!("; write `{} ? 1.0 : 0.0`", self.source(arg))
            }
            (Function::String, _, _) => "; `${ }` takes any value".to_owned(),
            _ => String::new(),
        }
    }
}

/// The field of `map` that `field` was probably meant to be.
pub(super) fn near_field(map: &Map<String, Value>, field: &str) -> Option<String> {
    let known = map.keys().take(FIELDS).map(String::as_str);
    nearest(field, known).into_iter().next()
}

/// What a text should be that `int` does not take.
pub(super) fn not_whole(text: &str) -> &'static str {
    let fraction = text.parse().is_ok_and(f64::is_finite) && text.contains(['.', 'e', 'E']);
    if fraction {
        "a whole number; `int(double(x))` cuts the fraction off"
    } else {
        "a whole number of 64 bits"
    }
}
