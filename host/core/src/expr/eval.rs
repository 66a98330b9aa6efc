//! Evaluation of a checked expression. What was checked is not checked again, except the kinds of values that only run time
//! knows.

use super::Expr;
use super::ast::{Access, BinaryOp, Function, Node, NodeKind};
use super::error::{Budget, EvalError, MissingReason};
use super::hint::{near_field, not_whole};
use super::reference::Scope;
use super::value::{Val, View, compares, scalar_text};
use crate::rules::Rules;

/// Characters of a value that an error shows.
const SHOWN: usize = 64;

type Evaluated<'a> = Result<Val<'a>, EvalError>;

/// The value of `expr`, borrowed from `scope` where nothing was computed.
pub(super) fn eval<'a>(expr: &'a Expr, scope: &'a dyn Scope, budget: &mut Budget) -> Evaluated<'a> {
    let mut evaluator = Evaluator {
        expr,
        scope,
        rules: scope.rules(),
        budget,
    };
    evaluator.value(&expr.root)
}

/// The value of `expr`, which must be a bool.
pub(super) fn eval_bool(
    expr: &Expr,
    scope: &dyn Scope,
    budget: &mut Budget,
) -> Result<bool, EvalError> {
    let mut evaluator = Evaluator {
        expr,
        scope,
        rules: scope.rules(),
        budget,
    };
    evaluator.condition(&expr.root)
}

pub(super) struct Evaluator<'a, 'b> {
    expr: &'a Expr,
    scope: &'a dyn Scope,
    rules: Rules,
    budget: &'b mut Budget,
}

impl<'a> Evaluator<'a, '_> {
    /// The node as the user wrote it.
    pub(super) fn source(&self, node: &Node) -> &'a str {
        &self.expr.text[node.range.clone()]
    }

    fn mismatch(&self, node: &Node, message: String) -> EvalError {
        EvalError::TypeMismatch {
            expression: self.source(node).to_owned(),
            message,
        }
    }

    fn missing(&self, node: &Node, reason: MissingReason) -> EvalError {
        let help = self.missing_help(node, &reason);
        EvalError::missing(self.source(node), reason, help)
    }

    fn value(&mut self, node: &'a Node) -> Evaluated<'a> {
        match &node.kind {
            NodeKind::Literal(value) => Ok(Val::Json(std::borrow::Cow::Borrowed(value))),
            NodeKind::List(items) => {
                let items = items.iter().map(|item| self.value(item));
                items.collect::<Result<_, _>>().map(Val::List)
            }
            NodeKind::Reference { index, .. } => self.reference(*index).ok_or_else(|| {
                let reference = self.expr.references[*index].clone();
                self.missing(node, MissingReason::NotRecorded(reference))
            }),
            NodeKind::Select { base, field, .. } => {
                let base = self.value(base)?;
                self.field(node, base, field)
            }
            NodeKind::Index { base, index, .. } => {
                let base = self.value(base)?;
                let index = self.value(index)?;
                self.element(node, base, &index)
            }
            NodeKind::OrValue { chain, default } => match self.optional(chain)? {
                Some(value) => Ok(value),
                None => self.value(default),
            },
            NodeKind::HasReference { index } => {
                let reference = &self.expr.references[*index];
                Ok(Val::owned(self.scope.lookup(reference).is_some()))
            }
            NodeKind::HasField { base, field } => {
                let base = self.value(base)?;
                match base.view(self.rules) {
                    View::Object(map) => Ok(Val::owned(map.contains_key(field))),
                    other => Err(self.mismatch(node, format!("{} has no fields", other.kind()))),
                }
            }
            NodeKind::Not(operand) => Ok(Val::owned(!self.condition(operand)?)),
            NodeKind::Negate(operand) => {
                let operand = self.value(operand)?;
                match operand.view(self.rules) {
                    View::Int(n) => self.int(node, n.checked_neg()),
                    View::Double(n) => self.double(node, -n),
                    other => {
                        Err(self.mismatch(node, format!("`-` does not take {}", other.kind())))
                    }
                }
            }
            NodeKind::Binary { op, left, right } => {
                let left = self.value(left)?;
                let right = self.value(right)?;
                self.binary(node, *op, left, right)
            }
            NodeKind::All(items) => self.decide(items, false).map(Val::owned),
            NodeKind::Any(items) => self.decide(items, true).map(Val::owned),
            NodeKind::Conditional {
                condition,
                then,
                otherwise,
            } => match self.condition(condition)? {
                true => self.value(then),
                false => self.value(otherwise),
            },
            NodeKind::Call { function, args } => self.call(node, *function, args),
        }
    }

    fn reference(&self, index: usize) -> Option<Val<'a>> {
        let expr = self.expr;
        self.scope.lookup(&expr.references[index]).map(Val::Json)
    }

    fn condition(&mut self, node: &'a Node) -> Result<bool, EvalError> {
        let value = self.value(node)?;
        match value.view(self.rules) {
            View::Bool(b) => Ok(b),
            other => Err(self.mismatch(
                node,
                format!("a bool is needed, and this is {}", other.kind()),
            )),
        }
    }

    /// `&&` (decided by false) and `||` (decided by true). A side that decides outweighs an error on any other side, as CEL
    /// demands; without one, the first error is the result.
    fn decide(&mut self, items: &'a [Node], decisive: bool) -> Result<bool, EvalError> {
        let mut first_error = None;
        for item in items {
            match self.condition(item) {
                Ok(value) if value == decisive => return Ok(decisive),
                Ok(_) => {}
                // The work is done and paid for; absorbing this would lift the bound.
                Err(error @ EvalError::OutOfBudget { .. }) => return Err(error),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        first_error.map_or(Ok(!decisive), Err)
    }

    /// A part of an optional chain: `None` when it has no value.
    fn optional(&mut self, node: &'a Node) -> Result<Option<Val<'a>>, EvalError> {
        match &node.kind {
            NodeKind::Reference {
                index,
                optional: true,
            } => Ok(self.reference(*index)),
            NodeKind::Select {
                base,
                field,
                access: access @ (Access::Optional | Access::Continued),
            } => {
                let Some(base) = self.optional(base)? else {
                    return Ok(None);
                };
                match (base.view(self.rules), access) {
                    (View::Object(_), _) => Ok(base.into_field(field)),
                    (_, Access::Continued | Access::Required) => {
                        self.field(node, base, field).map(Some)
                    }
                    // Of all values without fields CEL tolerates those that are no lists.
                    (View::List(_), _) if self.rules.refuse_what_no_list_has() => {
                        self.field(node, base, field).map(Some)
                    }
                    (_, Access::Optional) => Ok(None),
                }
            }
            NodeKind::Index {
                base,
                index,
                access: Access::Optional | Access::Continued,
            } => {
                let Some(base) = self.optional(base)? else {
                    return Ok(None);
                };
                let index = self.value(index)?;
                match self.element(node, base, &index) {
                    Ok(value) => Ok(Some(value)),
                    Err(EvalError::Missing { .. }) => Ok(None),
                    Err(error) => Err(error),
                }
            }
            _ => self.value(node).map(Some),
        }
    }

    fn field(&self, node: &Node, base: Val<'a>, field: &str) -> Evaluated<'a> {
        match base.view(self.rules) {
            View::Object(map) => {
                // Looked for before the base is taken apart; only a missing field pays for it.
                let nearest = (!map.contains_key(field)).then(|| near_field(map, field));
                base.into_field(field).ok_or_else(|| {
                    let field = field.chars().take(SHOWN).collect();
                    let nearest = nearest.flatten();
                    self.missing(node, MissingReason::NoField { field, nearest })
                })
            }
            other => {
                let message = format!("{} has no field `{field}`", other.kind());
                Err(self.mismatch(node, message))
            }
        }
    }

    fn element(&self, node: &Node, base: Val<'a>, index: &Val<'_>) -> Evaluated<'a> {
        let index = index.view(self.rules);
        match (base.view(self.rules), index) {
            (View::Object(_), View::Text(field)) => self.field(node, base, field),
            // CEL reads a list at a whole double too.
            (View::List(items), View::Int(_) | View::Uint(_) | View::Double(_)) => {
                let size = items.len();
                let position = match index {
                    View::Int(n) => Some(i128::from(n)),
                    View::Uint(n) => Some(i128::from(n)),
                    View::Double(n) if n.fract() == 0.0 => {
                        if self.rules.refuse_what_no_list_has() {
                            truncated(n).map(i128::from)
                        } else {
                            Some(i128::from(n as i64))
                        }
                    }
                    _ => None,
                };
                let Some(position) = position else {
                    let message = "an index must be a whole number of 64 bits";
                    return Err(self.mismatch(node, message.to_owned()));
                };
                let element = usize::try_from(position)
                    .ok()
                    .and_then(|position| base.into_element(position));
                element.ok_or_else(|| {
                    let index = position.to_string();
                    self.missing(node, MissingReason::OutOfRange { index, size })
                })
            }
            (base, index) => {
                let message = format!("{} is not an index of {}", index.kind(), base.kind());
                Err(self.mismatch(node, message))
            }
        }
    }

    fn int(&self, node: &Node, result: Option<i64>) -> Evaluated<'a> {
        result.map(Val::owned).ok_or_else(|| EvalError::Overflow {
            expression: self.source(node).to_owned(),
        })
    }

    fn double(&self, node: &Node, result: f64) -> Evaluated<'a> {
        if result.is_finite() {
            return Ok(Val::owned(result));
        }
        Err(EvalError::NotFinite {
            expression: self.source(node).to_owned(),
        })
    }

    fn binary(
        &mut self,
        node: &Node,
        op: BinaryOp,
        left: Val<'a>,
        right: Val<'a>,
    ) -> Evaluated<'a> {
        let (a, b) = (left.view(self.rules), right.view(self.rules));
        match op {
            BinaryOp::Equal => Ok(Val::owned(a.equals(&b, self.rules))),
            BinaryOp::NotEqual => Ok(Val::owned(!a.equals(&b, self.rules))),
            BinaryOp::In => match (a, b) {
                (_, View::List(items)) => Ok(Val::owned(
                    items
                        .iter(self.rules)
                        .any(|item| item.equals(&a, self.rules)),
                )),
                (View::Text(key), View::Object(map)) => Ok(Val::owned(map.contains_key(key))),
                // The keys of an object are strings, so no other scalar is one of them.
                (
                    View::Bool(_) | View::Int(_) | View::Uint(_) | View::Double(_),
                    View::Object(_),
                ) => Ok(Val::owned(false)),
                _ => Err(self.unfit(node, op, &a, &b)),
            },
            BinaryOp::Less | BinaryOp::LessEqual | BinaryOp::Greater | BinaryOp::GreaterEqual => {
                let satisfied = a
                    .order(&b, self.rules)
                    .and_then(|order| compares(op, order));
                match satisfied {
                    Some(satisfied) => Ok(Val::owned(satisfied)),
                    None => Err(self.unfit(node, op, &a, &b)),
                }
            }
            BinaryOp::Add => match (a, b) {
                (View::Text(a), View::Text(b)) => {
                    self.budget.spend(a.len() + b.len())?;
                    Ok(Val::owned([a, b].concat()))
                }
                (View::List(a), View::List(b)) => {
                    self.budget.spend(2 * (a.len() + b.len()))?;
                    let mut items = left.into_elements();
                    items.extend(right.into_elements());
                    Ok(Val::List(items))
                }
                _ => self.arithmetic(node, op, &a, &b),
            },
            BinaryOp::Subtract | BinaryOp::Multiply | BinaryOp::Divide | BinaryOp::Remainder => {
                self.arithmetic(node, op, &a, &b)
            }
        }
    }

    fn arithmetic(
        &self,
        node: &Node,
        op: BinaryOp,
        left: &View<'_>,
        right: &View<'_>,
    ) -> Evaluated<'a> {
        let by_zero = || EvalError::DivisionByZero {
            expression: self.source(node).to_owned(),
        };
        match (left, right, op) {
            (View::Int(_), View::Int(0), BinaryOp::Divide | BinaryOp::Remainder) => Err(by_zero()),
            (View::Double(_), View::Double(0.0), BinaryOp::Divide) => Err(by_zero()),
            (View::Int(a), View::Int(b), BinaryOp::Add) => self.int(node, a.checked_add(*b)),
            (View::Int(a), View::Int(b), BinaryOp::Subtract) => self.int(node, a.checked_sub(*b)),
            (View::Int(a), View::Int(b), BinaryOp::Multiply) => self.int(node, a.checked_mul(*b)),
            (View::Int(a), View::Int(b), BinaryOp::Divide) => self.int(node, a.checked_div(*b)),
            (View::Int(a), View::Int(b), BinaryOp::Remainder) => self.int(node, a.checked_rem(*b)),
            (View::Double(a), View::Double(b), BinaryOp::Add) => self.double(node, a + b),
            (View::Double(a), View::Double(b), BinaryOp::Subtract) => self.double(node, a - b),
            (View::Double(a), View::Double(b), BinaryOp::Multiply) => self.double(node, a * b),
            (View::Double(a), View::Double(b), BinaryOp::Divide) => self.double(node, a / b),
            _ => Err(self.unfit(node, op, left, right)),
        }
    }

    fn unfit(&self, node: &Node, op: BinaryOp, left: &View<'_>, right: &View<'_>) -> EvalError {
        let hint = self.operand_hint(node, op, left, right);
        let (symbol, left, right) = (op.symbol(), left.kind(), right.kind());
        self.mismatch(
            node,
            format!("`{symbol}` does not take {left} and {right}{hint}"),
        )
    }

    fn call(&mut self, node: &'a Node, function: Function, args: &'a [Node]) -> Evaluated<'a> {
        let mut values = Vec::with_capacity(args.len());
        for arg in args {
            values.push(self.value(arg)?);
        }
        let refuse = |evaluator: &Self, view: &View<'_>| {
            let hint = evaluator.call_hint(function, args, view);
            Err(evaluator.mismatch(node, format!("it does not take {}{hint}", view.kind())))
        };
        match (function, values.as_slice()) {
            (Function::Size, [value]) => {
                let size = match value.view(self.rules) {
                    View::Text(text) => text.chars().count(),
                    View::List(items) => items.len(),
                    View::Object(map) => map.len(),
                    other => return refuse(self, &other),
                };
                self.int(node, i64::try_from(size).ok())
            }
            (Function::StartsWith | Function::EndsWith | Function::Contains, [receiver, part]) => {
                match (receiver.view(self.rules), part.view(self.rules)) {
                    (View::Text(text), View::Text(part)) => Ok(Val::owned(match function {
                        Function::StartsWith => text.starts_with(part),
                        Function::EndsWith => text.ends_with(part),
                        _ => text.contains(part),
                    })),
                    (View::Text(_), other) | (other, _) => refuse(self, &other),
                }
            }
            (Function::Int, [value]) => match value.view(self.rules) {
                View::Int(n) => Ok(Val::owned(n)),
                View::Uint(_) => self.int(node, None),
                View::Double(n) => self.int(node, truncated(n)),
                View::Text(text) => match text.parse::<i64>() {
                    Ok(n) => Ok(Val::owned(n)),
                    Err(_) => Err(self.not_a_number(node, text, not_whole(text))),
                },
                other => refuse(self, &other),
            },
            (Function::Double, [value]) => match value.view(self.rules) {
                View::Int(n) => self.double(node, n as f64),
                View::Uint(n) => self.double(node, n as f64),
                View::Double(n) => self.double(node, n),
                View::Text(text) => match text.parse::<f64>() {
                    Ok(n) => self.double(node, n),
                    Err(_) => Err(self.not_a_number(node, text, "a number")),
                },
                other => refuse(self, &other),
            },
            (Function::String, [value]) => match value.view(self.rules) {
                View::Text(text) => {
                    self.budget.spend(text.len())?;
                    Ok(Val::owned(text))
                }
                view @ (View::Bool(_) | View::Int(_) | View::Uint(_) | View::Double(_)) => {
                    let text = scalar_text(&view).unwrap_or_default();
                    self.budget.spend(text.len())?;
                    Ok(Val::owned(text))
                }
                other @ (View::Null | View::List(_) | View::Object(_)) => refuse(self, &other),
            },
            (_, values) => {
                let message = format!("it does not take {} arguments", values.len());
                Err(self.mismatch(node, message))
            }
        }
    }

    fn not_a_number(&self, node: &Node, text: &str, wanted: &'static str) -> EvalError {
        EvalError::NotANumber {
            expression: self.source(node).to_owned(),
            text: text.chars().take(SHOWN).collect(),
            wanted,
        }
    }
}

/// A double without its fraction. Both bounds are excluded, as CEL has it.
fn truncated(n: f64) -> Option<i64> {
    const BOUND: f64 = 9_223_372_036_854_775_808.0;
    (n > -BOUND && n < BOUND).then_some(n as i64)
}
