//! Values during evaluation: borrowed from the scope as long as possible.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::ast::BinaryOp;
use super::error::{Budget, EvalError};
use crate::rules::Rules;

/// A value that is owned or borrowed from the scope or the expression.
#[derive(Debug)]
pub(super) enum Val<'a> {
    Json(Cow<'a, Value>),
    /// A list that the expression built; its elements may still be borrowed.
    List(Vec<Val<'a>>),
}

/// A look at a value, by the kinds of the language.
#[derive(Debug, Clone, Copy)]
pub(super) enum View<'b> {
    Null,
    Bool(bool),
    Int(i64),
    /// A whole number that only fits without a sign: what does not compare or convert it takes no part in it.
    Uint(u64),
    Double(f64),
    Text(&'b str),
    List(Items<'b>),
    Object(&'b Map<String, Value>),
}

/// The elements of a list in either of its two shapes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Items<'b> {
    Json(&'b [Value]),
    Built(&'b [Val<'b>]),
}

impl<'b> Items<'b> {
    pub(super) fn len(self) -> usize {
        match self {
            Self::Json(items) => items.len(),
            Self::Built(items) => items.len(),
        }
    }

    pub(super) fn iter(self, rules: Rules) -> impl Iterator<Item = View<'b>> {
        let (json, built) = match self {
            Self::Json(items) => (items, &[][..]),
            Self::Built(items) => (&[][..], items),
        };
        json.iter()
            .map(move |item| View::of(item, rules))
            .chain(built.iter().map(move |item| item.view(rules)))
    }
}

impl<'b> View<'b> {
    fn of(value: &'b Value, rules: Rules) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(b) => Self::Bool(*b),
            Value::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(int), _) => Self::Int(int),
                (None, Some(uint)) if rules.compare_as_cel() => Self::Uint(uint),
                // Every JSON number has a double; `arbitrary_precision`, under which it may not, is off.
                (None, _) => Self::Double(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => Self::Text(text),
            Value::Array(items) => Self::List(Items::Json(items)),
            Value::Object(map) => Self::Object(map),
        }
    }

    /// The word for this kind in a message.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a bool",
            Self::Int(_) => "an int",
            Self::Uint(_) => "an int above 9223372036854775807",
            Self::Double(_) => "a double",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }

    /// Equality of CEL: numbers by value whatever their kind, lists and objects by content, other kinds never.
    pub(super) fn equals(&self, other: &View<'_>, rules: Rules) -> bool {
        match (self, other) {
            (Self::Null, View::Null) => true,
            (Self::Bool(a), View::Bool(b)) => a == b,
            (Self::Text(a), View::Text(b)) => a == b,
            (
                Self::Int(_) | Self::Uint(_) | Self::Double(_),
                View::Int(_) | View::Uint(_) | View::Double(_),
            ) => self.order(other, rules) == Some(Ordering::Equal),
            (Self::List(a), View::List(b)) => {
                let mut pairs = a.iter(rules).zip(b.iter(rules));
                a.len() == b.len() && pairs.all(|(a, b)| a.equals(&b, rules))
            }
            (Self::Object(a), View::Object(b)) => {
                a.len() == b.len()
                    && a.iter().all(|(key, a)| {
                        b.get(key)
                            .is_some_and(|b| View::of(a, rules).equals(&View::of(b, rules), rules))
                    })
            }
            _ => false,
        }
    }

    /// Order of CEL: numbers among each other, strings by code points, false before true; nothing else has one.
    pub(super) fn order(&self, other: &View<'_>, rules: Rules) -> Option<Ordering> {
        match (self, other) {
            (Self::Bool(a), View::Bool(b)) => Some(a.cmp(b)),
            // Bytes of UTF-8 sort as their code points do.
            (Self::Text(a), View::Text(b)) => Some((*a).cmp(*b)),
            (Self::Int(a), View::Int(b)) => Some(a.cmp(b)),
            (Self::Uint(a), View::Uint(b)) => Some(a.cmp(b)),
            (Self::Int(_), View::Uint(_)) => Some(Ordering::Less),
            (Self::Uint(_), View::Int(_)) => Some(Ordering::Greater),
            (Self::Int(a), View::Double(b)) if !rules.compare_as_cel() => unrounded(*a, *b),
            (Self::Double(a), View::Int(b)) if !rules.compare_as_cel() => {
                unrounded(*b, *a).map(Ordering::reverse)
            }
            (
                Self::Int(_) | Self::Uint(_) | Self::Double(_),
                View::Int(_) | View::Uint(_) | View::Double(_),
            ) => self.as_double()?.partial_cmp(&other.as_double()?),
            _ => None,
        }
    }

    /// A number as the nearest double.
    fn as_double(&self) -> Option<f64> {
        match self {
            Self::Int(n) => Some(*n as f64),
            Self::Uint(n) => Some(*n as f64),
            Self::Double(n) => Some(*n),
            _ => None,
        }
    }
}

/// An int against a double, both on one line: an int beyond 2^53 has no double of its own.
fn unrounded(int: i64, double: f64) -> Option<Ordering> {
    const ABOVE: f64 = 9_223_372_036_854_775_808.0;
    if double >= ABOVE {
        Some(Ordering::Less)
    } else if double < -ABOVE {
        Some(Ordering::Greater)
    } else {
        let whole = double.trunc();
        let of_the_fraction = || 0.0_f64.partial_cmp(&(double - whole));
        match int.cmp(&(whole as i64)) {
            Ordering::Equal => of_the_fraction(),
            order => Some(order),
        }
    }
}

/// Whether and how an operator that compares is satisfied; `None` for the others.
pub(super) fn compares(op: BinaryOp, order: Ordering) -> Option<bool> {
    match op {
        BinaryOp::Less => Some(order.is_lt()),
        BinaryOp::LessEqual => Some(order.is_le()),
        BinaryOp::Greater => Some(order.is_gt()),
        BinaryOp::GreaterEqual => Some(order.is_ge()),
        BinaryOp::Equal
        | BinaryOp::NotEqual
        | BinaryOp::In
        | BinaryOp::Add
        | BinaryOp::Subtract
        | BinaryOp::Multiply
        | BinaryOp::Divide
        | BinaryOp::Remainder => None,
    }
}

impl<'a> Val<'a> {
    pub(super) fn owned(value: impl Into<Value>) -> Self {
        Self::Json(Cow::Owned(value.into()))
    }

    pub(super) fn view(&self, rules: Rules) -> View<'_> {
        match self {
            Self::Json(value) => View::of(value, rules),
            Self::List(items) => View::List(Items::Built(items)),
        }
    }

    /// The field of an object, without a copy. `None` when there is no such field, or this is no object.
    pub(super) fn into_field(self, field: &str) -> Option<Self> {
        match self {
            Self::Json(Cow::Borrowed(Value::Object(map))) => {
                map.get(field).map(|v| Self::Json(Cow::Borrowed(v)))
            }
            Self::Json(Cow::Owned(Value::Object(mut map))) => {
                map.remove(field).map(|v| Self::Json(Cow::Owned(v)))
            }
            Self::Json(_) | Self::List(_) => None,
        }
    }

    /// The element of a list, without a copy. `None` when it is out of range, or this is no list.
    pub(super) fn into_element(self, index: usize) -> Option<Self> {
        match self {
            Self::Json(Cow::Borrowed(Value::Array(items))) => {
                items.get(index).map(|v| Self::Json(Cow::Borrowed(v)))
            }
            Self::Json(Cow::Owned(Value::Array(items))) => {
                items.into_iter().nth(index).map(Self::owned)
            }
            Self::List(items) => items.into_iter().nth(index),
            Self::Json(_) => None,
        }
    }

    /// The elements of a list; nothing when this is none.
    pub(super) fn into_elements(self) -> Vec<Self> {
        match self {
            Self::Json(Cow::Borrowed(Value::Array(items))) => {
                items.iter().map(|v| Self::Json(Cow::Borrowed(v))).collect()
            }
            Self::Json(Cow::Owned(Value::Array(items))) => {
                items.into_iter().map(Self::owned).collect()
            }
            Self::List(items) => items,
            Self::Json(_) => Vec::new(),
        }
    }

    /// The value for itself. What was borrowed is copied, and paid for.
    pub(super) fn into_json(self, budget: &mut Budget) -> Result<Value, EvalError> {
        match self {
            Self::Json(Cow::Owned(value)) => Ok(value),
            Self::Json(Cow::Borrowed(value)) => {
                budget.spend_json(value)?;
                Ok(value.clone())
            }
            Self::List(items) => {
                budget.spend(2 + items.len().saturating_sub(1))?;
                let items = items.into_iter().map(|item| item.into_json(budget));
                items.collect::<Result<_, _>>().map(Value::Array)
            }
        }
    }

    /// Appends the value as text: a string as it is, a list or an object as compact JSON.
    pub(super) fn write_text(
        self,
        rules: Rules,
        out: &mut String,
        budget: &mut Budget,
    ) -> Result<(), EvalError> {
        if let View::Text(text) = self.view(rules) {
            budget.spend(text.len())?;
            out.push_str(text);
        } else if let Some(text) = scalar_text(&self.view(rules)) {
            budget.spend(text.len())?;
            out.push_str(&text);
        } else {
            match self {
                Self::Json(value) => {
                    budget.spend_json(&value)?;
                    out.push_str(&value.to_string());
                }
                Self::List(_) => {
                    let value = self.into_json(budget)?;
                    out.push_str(&value.to_string());
                }
            }
        }
        Ok(())
    }
}

/// The text of null, a bool or a number; `None` for the rest.
pub(super) fn scalar_text(view: &View<'_>) -> Option<String> {
    match view {
        View::Null => Some("null".to_owned()),
        View::Bool(b) => Some(b.to_string()),
        View::Int(n) => Some(n.to_string()),
        View::Uint(n) => Some(n.to_string()),
        View::Double(n) => Some(n.to_string()),
        View::Text(_) | View::List(_) | View::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whole_numbers_compare_exactly_and_with_doubles_as_doubles() {
        let max = i64::MAX.unsigned_abs();
        for (left, right, order) in [
            (json!(1), json!(1.0), Ordering::Equal),
            (json!(0), json!(-0.0), Ordering::Equal),
            (json!(1), json!(1.5), Ordering::Less),
            (json!(-1), json!(-1.5), Ordering::Greater),
            (json!(i64::MAX), json!(max + 1), Ordering::Less),
            (json!(u64::MAX), json!(u64::MAX - 1), Ordering::Greater),
            (json!(-1), json!(u64::MAX), Ordering::Less),
            // CEL compares an int with a double after rounding it to one.
            (
                json!(9_007_199_254_740_993_i64),
                json!(9_007_199_254_740_992.0),
                Ordering::Equal,
            ),
            (
                json!(i64::MAX),
                json!(9_223_372_036_854_775_808.0),
                Ordering::Equal,
            ),
            (
                json!(u64::MAX),
                json!(18_446_744_073_709_551_616.0),
                Ordering::Equal,
            ),
            (json!(i64::MIN), json!(-1e300), Ordering::Greater),
            (json!(u64::MAX), json!(1e300), Ordering::Less),
        ] {
            let rules = Rules::PRESENT;
            let (a, b) = (View::of(&left, rules), View::of(&right, rules));
            assert_eq!(a.order(&b, rules), Some(order), "{left} {right}");
            assert_eq!(b.order(&a, rules), Some(order.reverse()), "{right} {left}");
            assert_eq!(a.equals(&b, rules), order.is_eq(), "{left} {right}");
        }
    }
}
