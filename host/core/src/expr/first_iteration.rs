//! Whether an expression can be evaluated in the first iteration of its loop, where there is no `loop.previous`.

use std::ops::Range;

use super::Expr;
use super::ast::{Node, NodeKind};
use super::reference::Reference;
use super::supposed::{Given, Supposed, Supposition};

impl Expr {
    /// The read of `loop.previous` that makes the expression fail in the first iteration, whatever else there is.
    pub(crate) fn fails_in_first_iteration(&self) -> Option<Range<usize>> {
        match self.in_first_iteration() {
            Given::Missing => self.previous_read(&self.root),
            Given::Is(_) | Given::Open => None,
        }
    }

    /// What a condition comes to in the first iteration, where that is certain.
    pub(crate) fn holds_in_first_iteration(&self) -> Option<bool> {
        match self.in_first_iteration() {
            Given::Is(value) => value.as_bool(),
            Given::Missing | Given::Open => None,
        }
    }

    fn in_first_iteration(&self) -> Given<'_> {
        let supposed = Supposed {
            expr: self,
            what: Supposition::FirstIteration,
        };
        supposed.value(&self.root)
    }

    /// Where `loop.previous` is read first.
    fn previous_read(&self, node: &Node) -> Option<Range<usize>> {
        let first = |nodes: &[Node]| nodes.iter().find_map(|node| self.previous_read(node));
        match &node.kind {
            NodeKind::Reference { index, .. } => {
                let is_previous = self.references[*index] == Reference::LoopPrevious;
                is_previous.then(|| node.range.clone())
            }
            NodeKind::Literal(_) | NodeKind::HasReference { .. } => None,
            NodeKind::List(items)
            | NodeKind::All(items)
            | NodeKind::Any(items)
            | NodeKind::Call { args: items, .. } => first(items),
            NodeKind::Select { base, .. } | NodeKind::HasField { base, .. } => {
                self.previous_read(base)
            }
            NodeKind::Not(operand) | NodeKind::Negate(operand) => self.previous_read(operand),
            NodeKind::Index {
                base: left,
                index: right,
                ..
            }
            | NodeKind::Binary { left, right, .. }
            | NodeKind::OrValue {
                chain: left,
                default: right,
            } => self
                .previous_read(left)
                .or_else(|| self.previous_read(right)),
            NodeKind::Conditional {
                condition,
                then,
                otherwise,
            } => self
                .previous_read(condition)
                .or_else(|| self.previous_read(then))
                .or_else(|| self.previous_read(otherwise)),
        }
    }
}
