//! Compiles the expressions of a file and shows their problems at the place in the file, also inside strings.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

use toml::de::DeValue;

use super::children::Children;
use super::codes;
use super::nearest::enough;
use super::needs::Order;
use super::outline::Outline;
use super::scope::{Place, Scope};
use super::shape::Node;
use super::string_map::StringMap;
use super::toml_values::to_json;
use crate::diagnostic::Diagnostic;
use crate::expr::Template;
use crate::expr::{Expr, Problem, ProblemKind, Reference, Type};
use crate::limits;

/// Everything that compiling needs, for any place of one file.
#[derive(Debug)]
pub(super) struct Compiler<'a> {
    pub(super) file: &'a str,
    pub(super) outline: &'a Outline<'a>,
    pub(super) order: &'a Order,
    pub(super) inputs: &'a BTreeMap<String, Type>,
    pub(super) outputs: &'a [Type],
    /// What stands in the files of child workflows.
    pub(super) children: Option<&'a Children>,
    /// How often names were given for a suggestion.
    pub(super) suggested: Cell<usize>,
    /// Expressions that read what steps came to.
    pub(super) readers: Vec<Reader>,
    pub(super) out: Vec<Diagnostic>,
}

/// An expression that reads what steps or the iteration before came to, and where it stands.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) expr: Expr,
    pub(super) place: Place,
    /// It is the `if` of the step there.
    pub(super) is_condition: bool,
    /// The string around it, and where that stands in the file.
    text: Rc<str>,
    literal: Range<usize>,
    /// Where it begins in that string.
    start: usize,
}

impl Reader {
    /// Where a part of the expression stands in the file.
    pub(super) fn span(&self, file: &str, range: &Range<usize>) -> Range<usize> {
        let map = StringMap::new(file, self.literal.clone(), &self.text);
        map.range(range.start + self.start..range.end + self.start)
    }
}

impl Compiler<'_> {
    fn scope(&self, place: Place) -> Scope<'_> {
        Scope {
            outline: self.outline,
            order: self.order,
            inputs: self.inputs,
            outputs: self.outputs,
            suggested: &self.suggested,
            accepted: false,
            place,
        }
    }

    /// Compiles an expression of type bool. An empty one has been reported by the shape check.
    pub(super) fn condition(&mut self, key: &str, node: &Node<'_>, place: Place) -> Option<Expr> {
        let help = "compare it with something, such as `.. == 0` or `size(..) > 0`";
        self.expression(key, node, place, &Type::Bool, help)
    }

    /// Compiles an expression that gives a list.
    pub(super) fn list(&mut self, key: &str, node: &Node<'_>, place: Place) -> Option<Expr> {
        let help = "a fan-out goes over a list, such as `inputs.files` or `[1, 2, 3]`";
        self.expression(key, node, place, &Type::List(Box::new(Type::Dyn)), help)
    }

    /// Compiles an expression that gives a point in time as text.
    pub(super) fn instant(&mut self, key: &str, node: &Node<'_>, place: Place) -> Option<Expr> {
        let help = "a point in time is RFC 3339 text, such as '2026-03-01T09:00:00Z'";
        self.expression(key, node, place, &Type::String, help)
    }

    fn expression(
        &mut self,
        key: &str,
        node: &Node<'_>,
        place: Place,
        wanted: &Type,
        help: &str,
    ) -> Option<Expr> {
        let text = node
            .get_ref()
            .as_str()
            .filter(|text| !text.trim().is_empty())?;
        match Expr::compile(text, &self.scope(place)) {
            Ok(expr) if fits(expr.ty(), wanted) => {
                self.note(&[(0, &expr)], node, text, place, key == "if");
                Some(expr)
            }
            Ok(expr) => {
                let message = match wanted {
                    Type::List(_) => format!("`{key}` must be a list, this is {}", expr.ty()),
                    _ => format!("`{key}` must be of type {wanted}, this is {}", expr.ty()),
                };
                let range = self.inside(node, text, 0..text.len());
                self.out
                    .push(Diagnostic::error(codes::EXPR_TYPE, range, message).with_help(help));
                None
            }
            Err(problems) => {
                self.report(problems, node, text);
                // For a text that is read again: it still has the meaning under which it was accepted.
                Expr::compile(text, &self.accepted(place)).ok()
            }
        }
    }

    /// The scope of a text that was accepted before.
    fn accepted(&self, place: Place) -> Scope<'_> {
        Scope {
            accepted: true,
            ..self.scope(place)
        }
    }

    /// Compiles a value whose strings may hold `${ }`.
    pub(super) fn template(&mut self, node: &Node<'_>, place: Place) -> Option<Template> {
        self.template_at(node, place, 0)
    }

    fn template_at(&mut self, node: &Node<'_>, place: Place, depth: usize) -> Option<Template> {
        // Reported by the shape check; here only the recursion must end.
        if depth > limits::JSON_DEPTH {
            return None;
        }
        match node.get_ref() {
            DeValue::String(text) => match Template::compile_text(text, &self.scope(place)) {
                Ok(template) => {
                    self.warn(Template::doubts(text), node, text);
                    self.warn(self.bare(text, place), node, text);
                    self.note(&template.of_text(text), node, text, place, false);
                    Some(template)
                }
                Err(problems) => {
                    self.report(problems, node, text);
                    Template::compile_text(text, &self.accepted(place)).ok()
                }
            },
            DeValue::Array(items) => {
                // Collected before it is judged, so that every item reports its problems.
                let items: Vec<_> = items
                    .iter()
                    .map(|item| self.template_at(item, place, depth + 1))
                    .collect();
                items.into_iter().collect::<Option<_>>().map(Template::List)
            }
            DeValue::Table(table) => {
                let fields: Vec<_> = table
                    .iter()
                    .map(|(name, value)| {
                        Some((
                            name.get_ref().to_string(),
                            self.template_at(value, place, depth + 1)?,
                        ))
                    })
                    .collect();
                fields
                    .into_iter()
                    .collect::<Option<_>>()
                    .map(Template::Object)
            }
            literal @ (DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)) => Some(Template::Literal(to_json(literal))),
        }
    }

    /// The doubt about a text that would be a value, were it an expression.
    fn bare(&self, text: &str, place: Place) -> Vec<Problem> {
        let Some((path, doubt)) = Template::bare(text) else {
            return Vec::new();
        };
        let scope = Scope {
            suggested: &Cell::default(),
            ..self.scope(place)
        };
        let is_value = Expr::compile(path, &scope).is_ok();
        is_value.then_some(doubt).into_iter().collect()
    }

    /// Keeps the expressions of a string whose reads are judged when all steps are known.
    fn note(
        &mut self,
        exprs: &[(usize, &Expr)],
        node: &Node<'_>,
        text: &str,
        place: Place,
        is_condition: bool,
    ) {
        let judged = |read: &Reference| read.is_outcome() || *read == Reference::LoopPrevious;
        let of_steps = |(_, expr): &&(usize, &Expr)| expr.references().any(judged);
        let mut whole = None::<Rc<str>>;
        for (start, expr) in exprs.iter().filter(of_steps) {
            self.readers.push(Reader {
                expr: (*expr).clone(),
                place,
                is_condition,
                text: whole.get_or_insert_with(|| Rc::from(text)).clone(),
                literal: node.span(),
                start: *start,
            });
        }
    }

    fn inside(&self, node: &Node<'_>, text: &str, range: Range<usize>) -> Range<usize> {
        StringMap::new(self.file, node.span(), text).range(range)
    }

    fn report(&mut self, problems: Vec<Problem>, node: &Node<'_>, text: &str) {
        let map = StringMap::new(self.file, node.span(), text);
        for problem in problems {
            let code = code_of(&problem.kind);
            let dashed = self.dashed(&problem, text);
            let mut item = Diagnostic::error(code, map.range(problem.range), problem.message);
            // The candidates are shown as a question of their own.
            let told = problem.candidates.is_empty() || problem.kind == ProblemKind::NeverEqual;
            item.help = dashed.or(problem.help.filter(|_| told));
            item.candidates = problem.candidates;
            self.out.push(item);
        }
    }

    fn warn(&mut self, doubts: Vec<Problem>, node: &Node<'_>, text: &str) {
        if doubts.is_empty() {
            return;
        }
        let map = StringMap::new(self.file, node.span(), text);
        self.out.extend(doubts.into_iter().map(|doubt| {
            let span = map.range(doubt.range);
            let mut item = Diagnostic::warning(code_of(&doubt.kind), span, doubt.message);
            item.help = doubt.help;
            item
        }));
    }

    /// `steps.my-step` reads as a subtraction; shows how such an id is written.
    fn dashed(&self, problem: &Problem, text: &str) -> Option<String> {
        if problem.kind != ProblemKind::UnknownName || enough(&self.out) {
            return None;
        }
        // An id is short: what stands farther in front is none of it.
        const LONGEST: usize = 256;
        let from = text.ceil_char_boundary(problem.range.end.saturating_sub(LONGEST));
        let before = text.get(from..problem.range.end)?;
        let rest = &before[before.rfind("steps.")? + "steps.".len()..];
        let after = text.get(problem.range.end..)?;
        let mut ids = self.outline.names();
        let id = ids.find(|id| {
            id.strip_prefix(rest)
                .is_some_and(|tail| tail.starts_with('-') && after.starts_with(tail))
        })?;
        Some(format!(
            "write `steps['{id}']`: without the quotes, `-` is a subtraction"
        ))
    }
}

fn fits(ty: &Type, wanted: &Type) -> bool {
    match (ty.base(), wanted) {
        (Type::Dyn, _) | (Type::List(_), Type::List(_)) => true,
        (ty, wanted) => ty == wanted,
    }
}

/// The stable code of a problem.
pub(crate) fn code_of(kind: &ProblemKind) -> &'static str {
    match kind {
        ProblemKind::Syntax => codes::EXPR_SYNTAX,
        ProblemKind::TooLarge => codes::EXPR_TOO_LARGE,
        ProblemKind::UnknownName => codes::EXPR_UNKNOWN_NAME,
        ProblemKind::NotReadable => codes::EXPR_NOT_READABLE,
        ProblemKind::TypeMismatch => codes::EXPR_TYPE,
        ProblemKind::NeverEqual => codes::NEVER_EQUAL,
        ProblemKind::UnsupportedFeature => codes::EXPR_UNSUPPORTED,
        ProblemKind::TemplateInExpression => codes::EXPR_TEMPLATE,
        ProblemKind::Literal => codes::EXPR_LITERAL,
    }
}
