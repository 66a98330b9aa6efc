//! Values with `${ expr }` in them.
//!
//! A string that is exactly one `${ }` has the value and the type of the expression; any other is text, into which the
//! values are written. `$${` is a literal `${`, and `${ '$' }${ x }` writes a `$` before a value. The text is cut once, when it is compiled: what is inserted later is never
//! looked at again (B45), and means nothing but itself (B44).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde_json::Value;

use super::Expr;
use super::doubt;
use super::error::{Budget, EvalError, MissingValue};
use super::eval;
use super::problem::{Problem, ProblemKind};
use super::reference::{Env, Reference, Scope};
use super::types::Type;
use crate::limits::JSON_DEPTH;
use crate::payload::within_depth;

/// A value that may depend on the context.
#[derive(Debug, Clone, PartialEq)]
pub enum Template {
    /// It does not.
    Literal(Value),
    /// It is the value of an expression.
    Expr(Expr),
    /// A string made of parts.
    Text(Vec<Part>),
    /// A list of templates.
    List(Vec<Template>),
    /// An object of templates.
    Object(BTreeMap<String, Template>),
}

/// A part of a text.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// Characters that stand for themselves.
    Text(String),
    /// An expression whose value is written here.
    Expr(Expr),
}

impl Template {
    /// Compiles one string.
    ///
    /// # Errors
    /// Every problem of every expression in it, in the order of the text. Ranges are bytes of `text`.
    pub fn compile_text(text: &str, env: &dyn Env) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut parts = Vec::new();
        for piece in pieces(text) {
            match piece {
                Ok(Piece::Text(part)) => parts.push(Part::Text(part)),
                Ok(Piece::Source(range)) => match compile_at(text, range, env) {
                    Ok(expr) => parts.push(Part::Expr(expr)),
                    Err(found) => problems.extend(found),
                },
                Err(problem) => problems.push(problem),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(match parts.pop() {
            None => Self::Literal(Value::String(String::new())),
            Some(Part::Text(text)) if parts.is_empty() => Self::Literal(Value::String(text)),
            Some(Part::Expr(expr)) if parts.is_empty() => Self::Expr(expr),
            Some(last) => {
                parts.push(last);
                Self::Text(parts)
            }
        })
    }

    /// What of a text stands for itself and looks as if a value were meant: `{{ inputs.n }}`, `$${ inputs.n }`. No mistakes,
    /// but worth a word.
    #[must_use]
    pub fn doubts(text: &str) -> Vec<Problem> {
        doubt::doubts(text)
    }

    /// Of a text that is nothing but a path: the path, and what to say if that is a value where the text stands.
    pub(crate) fn bare(text: &str) -> Option<(&str, Problem)> {
        doubt::bare(text)
    }

    /// The expressions of the template that `text` was compiled to, each with the byte at which it begins there.
    pub(crate) fn of_text<'t>(&'t self, text: &str) -> Vec<(usize, &'t Expr)> {
        let exprs: Vec<&Expr> = match self {
            Self::Expr(expr) => vec![expr],
            Self::Text(parts) => parts
                .iter()
                .filter_map(|part| match part {
                    Part::Text(_) => None,
                    Part::Expr(expr) => Some(expr),
                })
                .collect(),
            Self::Literal(_) | Self::List(_) | Self::Object(_) => return Vec::new(),
        };
        let starts = pieces(text).into_iter().filter_map(|piece| match piece {
            Ok(Piece::Source(range)) => Some(range.start),
            Ok(Piece::Text(_)) | Err(_) => None,
        });
        starts.zip(exprs).collect()
    }

    /// The value in `scope`.
    ///
    /// # Errors
    /// [`EvalError::Missing`] lists every value that expressions of the tree read and that is not there, each once, in order (B41).
    /// Another error ends the walk where it occurs. [`EvalError::TooDeep`] when the tree and what was put into it are too deep together.
    pub fn resolve(&self, scope: &dyn Scope, budget: &mut Budget) -> Result<Value, EvalError> {
        let mut resolver = Resolver {
            scope,
            budget,
            missing: Vec::new(),
            listed: BTreeSet::new(),
        };
        let value = resolver.value(self)?;
        match resolver.missing {
            values if values.is_empty() => match within_depth(&value, JSON_DEPTH) {
                true => Ok(value),
                false => Err(EvalError::TooDeep),
            },
            values => Err(EvalError::Missing { values }),
        }
    }

    /// Everything of the context that its expressions may read, in order; one that several read comes several times.
    #[must_use]
    pub fn references(&self) -> Vec<&Reference> {
        let mut out = Vec::new();
        self.collect_references(&mut out);
        out
    }

    fn collect_references<'t>(&'t self, out: &mut Vec<&'t Reference>) {
        match self {
            Self::Literal(_) => {}
            Self::Expr(expr) => out.extend(expr.references()),
            Self::Text(parts) => {
                for part in parts {
                    match part {
                        Part::Text(_) => {}
                        Part::Expr(expr) => out.extend(expr.references()),
                    }
                }
            }
            Self::List(items) => items.iter().for_each(|item| item.collect_references(out)),
            Self::Object(fields) => fields.values().for_each(|v| v.collect_references(out)),
        }
    }

    /// What of the context it takes as it is, in order; one that is taken several times comes several times.
    #[must_use]
    pub fn whole_references(&self) -> Vec<&Reference> {
        match self {
            Self::Literal(_) => Vec::new(),
            Self::Expr(expr) => expr.whole_reference().into_iter().collect(),
            Self::Text(parts) => parts
                .iter()
                .filter_map(|part| match part {
                    Part::Text(_) => None,
                    Part::Expr(expr) => expr.whole_reference(),
                })
                .collect(),
            Self::List(items) => items.iter().flat_map(Self::whole_references).collect(),
            Self::Object(fields) => fields.values().flat_map(Self::whole_references).collect(),
        }
    }

    /// The type of the value as far as it is known.
    #[must_use]
    pub fn ty(&self) -> Type {
        match self {
            Self::Literal(value) => Type::of(value),
            Self::Expr(expr) => expr.ty().clone(),
            Self::Text(_) => Type::String,
            Self::List(items) => Type::list_of(items.iter().map(Self::ty)),
            Self::Object(fields) => Type::Object {
                fields: fields.iter().map(|(k, v)| (k.clone(), v.ty())).collect(),
                open: false,
            },
        }
    }
}

struct Resolver<'a, 'b> {
    scope: &'a dyn Scope,
    budget: &'b mut Budget,
    missing: Vec<MissingValue>,
    /// What of them is on the list, as written.
    listed: BTreeSet<String>,
}

impl Resolver<'_, '_> {
    /// The value; null stands in where something is missing, and is thrown away with the rest.
    fn value(&mut self, template: &Template) -> Result<Value, EvalError> {
        match template {
            Template::Literal(value) => {
                self.budget.spend_json(value)?;
                Ok(value.clone())
            }
            Template::Expr(expr) => {
                let result = expr.eval(self.scope, self.budget);
                Ok(self.noted(result)?.unwrap_or_default())
            }
            Template::Text(parts) => {
                let mut out = String::new();
                for part in parts {
                    self.write(part, &mut out)?;
                }
                Ok(Value::String(out))
            }
            Template::List(items) => items.iter().map(|item| self.value(item)).collect(),
            Template::Object(fields) => fields
                .iter()
                .map(|(key, field)| Ok((key.clone(), self.value(field)?)))
                .collect(),
        }
    }

    fn write(&mut self, part: &Part, out: &mut String) -> Result<(), EvalError> {
        match part {
            Part::Text(text) => {
                self.budget.spend(text.len())?;
                out.push_str(text);
                Ok(())
            }
            Part::Expr(expr) => {
                let result = eval::eval(expr, self.scope, self.budget);
                match self.noted(result)? {
                    Some(value) => value.write_text(self.scope.rules(), out, self.budget),
                    None => Ok(()),
                }
            }
        }
    }

    /// Puts what is missing on the list, so that the walk goes on.
    fn noted<T>(&mut self, result: Result<T, EvalError>) -> Result<Option<T>, EvalError> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(EvalError::Missing { values }) => {
                let listed = &mut self.listed;
                let new = values
                    .into_iter()
                    .filter(|value| listed.insert(value.what.clone()));
                self.missing.extend(new);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

enum Piece {
    Text(String),
    /// The bytes between `${` and `}`.
    Source(Range<usize>),
}

/// Cuts a text in one pass from left to right.
fn pieces(text: &str) -> Vec<Result<Piece, Problem>> {
    let mut out = Vec::new();
    let mut plain = String::new();
    let mut at = 0;
    while let Some(found) = text[at..].find("${") {
        let open = at + found;
        // `find` sees the inner `${` of `$${`; the `$` before it, if not cut off already, makes it an escape.
        if text[at..open].ends_with('$') {
            plain.push_str(&text[at..open - 1]);
            plain.push_str("${");
            at = open + 2;
            continue;
        }
        plain.push_str(&text[at..open]);
        if !plain.is_empty() {
            out.push(Ok(Piece::Text(std::mem::take(&mut plain))));
        }
        match closing(text, open + 2) {
            Ok(close) if text[open..].starts_with("${{") => {
                let inner = &text[open + 3..close];
                let end = close + 1 + usize::from(text[close + 1..].starts_with('}'));
                out.push(Err(Problem::doubled_braces(open..end, inner)));
                at = end;
            }
            Ok(close) => {
                out.push(Ok(Piece::Source(open + 2..close)));
                at = close + 1;
            }
            Err(problem) => {
                out.push(Err(problem));
                return out;
            }
        }
    }
    plain.push_str(&text[at..]);
    if !plain.is_empty() {
        out.push(Ok(Piece::Text(plain)));
    }
    out
}

/// Where the `}` stands that closes the `${` whose inside starts at `start`; one in a string literal does not.
pub(super) fn closing(text: &str, start: usize) -> Result<usize, Problem> {
    let mut quote: Option<(u8, usize)> = None;
    let mut escaped = false;
    for (offset, byte) in text.bytes().enumerate().skip(start) {
        match quote {
            None if byte == b'}' => return Ok(offset),
            None if byte == b'"' || byte == b'\'' => quote = Some((byte, offset)),
            None => {}
            Some(_) if escaped => escaped = false,
            Some(_) if byte == b'\\' => escaped = true,
            Some((open, _)) if byte == open => quote = None,
            Some(_) => {}
        }
    }
    let problem = |range, message: &str| Problem::new(ProblemKind::Syntax, range, message);
    Err(match quote {
        Some((open, at)) => problem(at..text.len(), "this string is not closed")
            .help(format!("add a `{}` where it ends", char::from(open))),
        None => problem(start - 2..text.len(), "this `${` is not closed")
            .help("add `}` after the expression; a literal `${` is written `$${`"),
    })
}

fn compile_at(text: &str, range: Range<usize>, env: &dyn Env) -> Result<Expr, Vec<Problem>> {
    let start = range.start;
    Expr::compile(&text[range], env).map_err(|mut problems| {
        for problem in &mut problems {
            problem.range = problem.range.start + start..problem.range.end + start;
        }
        problems
    })
}
