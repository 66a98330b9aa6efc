//! The expression language: a strict subset of CEL, checked when a definition is loaded.
//!
//! [`Expr`] is a bare expression (`if`, `until`, `foreach.items`), [`Template`] a value with `${ }` in it (`with`,
//! `returns`, `message`). Both are compiled against an [`Env`], which knows names and types, and evaluated against a
//! [`Scope`], which knows recorded values. Evaluation reads nothing else, so the same scope gives the same result.
//!
//! # The language
//! Syntax and meaning are those of CEL. There is: `null`, bools, ints of 64 bits, doubles, strings in `'` or `"`, lists;
//! `a.b`, `a['b']`, `a[0]`, `a.?b` with `.orValue(x)`, `has(a.b)`; `! -`, `* / %`, `+ -`, `== != < <= > >=`, `in`, `&&`,
//! `||`, `?:`; `size`, `startsWith`, `endsWith`, `contains`, `int`, `string`, `double`. Nothing else.
//!
//! # Where CEL leaves a choice
//! - `false && x` is false and `true || x` is true whatever `x` is, and the same with the sides exchanged: an error, a
//!   missing value included, is absorbed by a side that already decides. Running out of budget is never absorbed.
//! - Ints compare with each other exactly, and with a double as the nearest double, as CEL has it; arithmetic does not mix
//!   them. A JSON number without fraction and exponent that fits 64 bits is an int, every other one a double. An int that fits
//!   only without a sign compares, converts and travels exactly; arithmetic refuses it. In an expression it is written with a
//!   `u` behind it, as CEL does; no other number is.
//! - Overflow, division by zero (also of doubles) and a double that is not finite are errors.
//! - A missing key, an index out of range and a reference without a value are [`EvalError::Missing`]. `.?` tolerates a
//!   missing member of its base; once there is a `.?`, the members after it are tolerated too. The base itself must have a
//!   value. Such a chain must end in `.orValue(x)`; `x` is evaluated only when it is needed.
//! - `has(a.b)` asks for the presence of `b`; a present null is present. `has(steps.x.output)` and `has(inputs.x)` ask
//!   whether there is a recorded value.
//! - Types that are known at load must fit: `inputs.n == 'x'` with an int `n` is an error although CEL would answer false.
//!   Where the type is not known, `==` of different kinds is false, every other mismatch an error.
//! - A run that began under older [`Rules`](crate::rules::Rules) keeps what they say of comparisons and of lists.
//! - `loop` is a reserved word in CEL and a name here.
//! - `string(x)` and text in a template write a double as the shortest decimal that reads back (`1.0` gives `1`).

mod advice;
mod ast;
mod check;
mod doubt;
mod error;
mod eval;
mod first_iteration;
mod foreign;
mod functions;
mod hint;
mod impossible;
mod known;
mod lexer;
mod names;
mod parser;
mod problem;
mod reference;
mod supposed;
mod template;
#[cfg(test)]
mod tests;
mod types;
mod value;

use serde_json::Value;

pub(crate) use known::{Known, Read};

/// Whether a text is an expression of the language, whatever its names mean.
pub(crate) fn reads(text: &str) -> bool {
    parser::parse(text, false).is_ok()
}

pub use error::{Budget, EvalError, MissingReason, MissingValue};
pub use problem::{Problem, ProblemKind};
pub use reference::{Env, Reference, Scope, StepField, StepProblem};
pub use template::{Part, Template};
pub use types::Type;

/// An expression that parsed and fits its environment.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    text: String,
    root: ast::Node,
    ty: Type,
    references: Vec<Reference>,
}

impl Expr {
    /// Parses and checks `text`.
    ///
    /// # Errors
    /// Every problem found, in the order of the text; a syntax error hides those behind it. Ranges are bytes of `text`.
    pub fn compile(text: &str, env: &dyn Env) -> Result<Self, Vec<Problem>> {
        let tree = parser::parse(text, env.accepted()).map_err(|problem| vec![problem])?;
        let checked = check::check(&tree, text, env)?;
        Ok(Self {
            text: text.to_owned(),
            root: checked.root,
            ty: checked.ty,
            references: checked.references,
        })
    }

    /// The source text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The type of the result as far as it is known.
    #[must_use]
    pub fn ty(&self) -> &Type {
        &self.ty
    }

    /// Everything of the context that it may read, each once, in the order of the text.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        self.references.iter()
    }

    /// What it is, when it is nothing but a reference.
    fn whole_reference(&self) -> Option<&Reference> {
        match self.root.kind {
            ast::NodeKind::Reference { index, .. } => self.references.get(index),
            _ => None,
        }
    }

    /// The value in `scope`.
    ///
    /// # Errors
    /// [`EvalError`]: a missing value, a type that does not fit, arithmetic, or an exhausted budget.
    pub fn eval(&self, scope: &dyn Scope, budget: &mut Budget) -> Result<Value, EvalError> {
        eval::eval(self, scope, budget)?.into_json(budget)
    }

    /// The value in `scope` of a condition.
    ///
    /// # Errors
    /// As [`Expr::eval`], and [`EvalError::TypeMismatch`] when the value is no bool.
    pub fn eval_bool(&self, scope: &dyn Scope, budget: &mut Budget) -> Result<bool, EvalError> {
        eval::eval_bool(self, scope, budget)
    }
}
