//! What is known of the steps where a part of an expression is evaluated, and which of its reads fail where a step has come to
//! nothing: the static half of a guard.

use std::ops::Range;

use super::Expr;
use super::ast::{BinaryOp, Node, NodeKind};
use super::reference::{Reference, StepField};
use super::supposed::{Given, Supposed, Supposition};
use crate::ids::StepId;

/// A read of what a step came to, which fails if it came to nothing.
#[derive(Debug)]
pub(crate) struct Read<'a> {
    pub(crate) id: &'a StepId,
    pub(crate) field: StepField,
    /// Where it stands: `steps.x.output`.
    pub(crate) range: Range<usize>,
    /// The same with the members behind it: `steps.x.output.n`.
    pub(crate) whole: Range<usize>,
    /// It stands in `has(..)`, which asks for a member.
    pub(crate) asked: bool,
}

/// Conditions of which it is known how they came out.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known<'a>(Vec<Outcome<'a>>);

#[derive(Debug, Clone, Copy)]
struct Outcome<'a> {
    expr: &'a Expr,
    node: &'a Node,
    truth: bool,
    /// It was evaluated, so nothing that it reads was missing. Beside an operand of `&&` the others may be errors, too.
    evaluated: bool,
}

impl<'a> Known<'a> {
    /// `condition` was evaluated, and was true or not.
    pub(crate) fn add(&mut self, condition: &'a Expr, truth: bool) {
        self.push(condition, &condition.root, truth, true);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Steps that the conditions from this one on read.
    pub(crate) fn steps(&self, from: usize) -> impl Iterator<Item = &'a StepId> {
        let outcomes = self.0[from.min(self.0.len())..].iter();
        outcomes.flat_map(|outcome| {
            outcome
                .expr
                .references
                .iter()
                .filter_map(|reference| match reference {
                    Reference::Step { id, .. } => Some(id),
                    _ => None,
                })
        })
    }

    /// Whether the step cannot have this status: with it, a condition would have come out otherwise.
    pub(crate) fn excludes(&self, id: &StepId, status: &str) -> bool {
        let reads = |outcome: &&Outcome<'_>| {
            let mut references = outcome.expr.references.iter();
            references.any(
                |reference| matches!(reference, Reference::Step { id: read, .. } if read == id),
            )
        };
        self.0.iter().filter(reads).any(|outcome| {
            let supposed = Supposed {
                expr: outcome.expr,
                what: Supposition::Step { id, status },
            };
            match supposed.value(outcome.node) {
                Given::Is(value) => value.as_bool() == Some(!outcome.truth),
                Given::Missing => outcome.evaluated,
                Given::Open => false,
            }
        })
    }

    /// Whether `condition` is true.
    pub(crate) fn implies(&self, condition: &Expr) -> bool {
        self.implied(condition, &condition.root, true)
    }

    fn implied(&self, expr: &Expr, node: &Node, truth: bool) -> bool {
        let known = self.0.iter().any(|outcome| {
            let same = same(outcome.expr, outcome.node, expr, node);
            same.is_some_and(|same| (outcome.truth == truth) == same)
        });
        known
            || match &node.kind {
                NodeKind::Not(operand) => self.implied(expr, operand, !truth),
                NodeKind::All(items) if truth => {
                    items.iter().all(|item| self.implied(expr, item, true))
                }
                NodeKind::All(items) => items.iter().any(|item| self.implied(expr, item, false)),
                NodeKind::Any(items) if truth => {
                    items.iter().any(|item| self.implied(expr, item, true))
                }
                NodeKind::Any(items) => items.iter().all(|item| self.implied(expr, item, false)),
                NodeKind::Literal(value) => value.as_bool() == Some(truth),
                _ => false,
            }
    }

    fn push(&mut self, expr: &'a Expr, node: &'a Node, truth: bool, evaluated: bool) {
        match &node.kind {
            NodeKind::Not(operand) => self.push(expr, operand, !truth, evaluated),
            NodeKind::All(items) if truth => {
                for item in items {
                    self.push(expr, item, true, evaluated);
                }
            }
            NodeKind::Any(items) if !truth => {
                for item in items {
                    self.push(expr, item, false, evaluated);
                }
            }
            _ => self.0.push(Outcome {
                expr,
                node,
                truth,
                evaluated,
            }),
        }
    }
}

/// Whether two nodes are the same condition (`false`: one is true where the other is not), as far as their texts tell.
fn same(a_of: &Expr, a: &Node, b_of: &Expr, b: &Node) -> Option<bool> {
    let alike = |a: &Node, b: &Node| {
        let [a, b] = [(a_of, a), (b_of, b)].map(|(expr, node)| {
            let text = &expr.text[node.range.clone()];
            text.chars().filter(|letter| !letter.is_whitespace())
        });
        a.eq(b)
    };
    use BinaryOp::{Equal, NotEqual};
    if let (
        NodeKind::Binary { op, left, right },
        NodeKind::Binary {
            op: other,
            left: other_left,
            right: other_right,
        },
    ) = (&a.kind, &b.kind)
        && matches!((op, other), (Equal, NotEqual) | (NotEqual, Equal))
    {
        return (alike(left, other_left) && alike(right, other_right)).then_some(false);
    }
    alike(a, b).then_some(true)
}

impl Expr {
    /// Calls `visit` with every read that fails when its step came to nothing, and what is known where it is evaluated: `known`,
    /// and what the expression itself asks before.
    pub(crate) fn visit_reads<'a>(
        &'a self,
        known: &mut Known<'a>,
        visit: &mut dyn FnMut(&Known<'a>, Read<'a>),
    ) {
        Walk {
            expr: self,
            known,
            visit,
        }
        .part(&self.root, None, false);
    }
}

struct Walk<'a, 'b> {
    expr: &'a Expr,
    known: &'b mut Known<'a>,
    visit: &'b mut dyn FnMut(&Known<'a>, Read<'a>),
}

impl<'a> Walk<'a, '_> {
    fn whole(&mut self, node: &'a Node) {
        self.part(node, None, false);
    }

    /// `around` is the path of members that the node begins.
    fn part(&mut self, node: &'a Node, around: Option<&Range<usize>>, asked: bool) {
        match &node.kind {
            NodeKind::Literal(_) | NodeKind::HasReference { .. } => {}
            NodeKind::Reference { index, optional } => {
                let reference = &self.expr.references[*index];
                if let Reference::Step { id, field } = reference
                    && reference.is_outcome()
                    && !optional
                {
                    let read = Read {
                        id,
                        field: *field,
                        range: node.range.clone(),
                        whole: around.unwrap_or(&node.range).clone(),
                        asked,
                    };
                    (self.visit)(self.known, read);
                }
            }
            NodeKind::Select { base, .. } => {
                self.part(base, Some(around.unwrap_or(&node.range)), asked);
            }
            NodeKind::Index { base, index, .. } => {
                self.part(base, Some(around.unwrap_or(&node.range)), asked);
                self.whole(index);
            }
            NodeKind::HasField { base, .. } => self.part(base, None, true),
            NodeKind::OrValue { chain, default } => {
                self.whole(chain);
                self.whole(default);
            }
            NodeKind::Not(operand) | NodeKind::Negate(operand) => self.whole(operand),
            NodeKind::Binary { left, right, .. } => {
                self.whole(left);
                self.whole(right);
            }
            NodeKind::List(items) | NodeKind::Call { args: items, .. } => {
                items.iter().for_each(|item| self.whole(item));
            }
            NodeKind::All(items) => self.beside(items, true),
            NodeKind::Any(items) => self.beside(items, false),
            NodeKind::Conditional {
                condition,
                then,
                otherwise,
            } => {
                self.whole(condition);
                for (branch, truth) in [(then, true), (otherwise, false)] {
                    let before = self.known.len();
                    self.known.push(self.expr, condition, truth, false);
                    self.whole(branch);
                    self.known.0.truncate(before);
                }
            }
        }
    }

    /// Operands of `&&` or `||`: an error of one counts only where no other one decides.
    fn beside(&mut self, items: &'a [Node], truth: bool) {
        let before = self.known.len();
        for item in items {
            self.known.push(self.expr, item, truth, false);
        }
        items.iter().for_each(|item| self.whole(item));
        self.known.0.truncate(before);
    }
}
