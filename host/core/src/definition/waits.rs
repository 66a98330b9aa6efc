//! `wait`: a step that waits for time or for a signal.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::Value;

use super::codes;
use super::expressions::Compiler;
use super::grammar::WAITS;
use super::model::{OnWaitTimeout, WaitStep};
use super::scope::Place;
use super::shape::Node;
use super::view::View;
use crate::diagnostic::Diagnostic;
use crate::expr::{Budget, Expr, Reference, Scope};
use crate::rules::Rules;
use crate::time::Timestamp;

/// Builds the wait of the step at `index`; `None` when it has a problem that was reported.
pub(super) fn wait(compiler: &mut Compiler<'_>, index: usize, view: &View<'_>) -> Option<WaitStep> {
    // Compiled before the kind is judged, so that nothing new appears once that is mended.
    let until = view
        .node("until")
        .map(|node| instant(compiler, node, index));
    let given: Vec<_> = WAITS
        .iter()
        .filter_map(|key| Some((*key, view.key_span(key)?)))
        .collect();
    let kind = match given.as_slice() {
        [(kind, _)] => *kind,
        // What it waits for stands there in other words, which has been reported.
        [] if view.meant().any(|key| WAITS.contains(&key)) => return None,
        other => {
            compiler.out.push(not_one(view, other));
            return None;
        }
    };
    match kind {
        "signal" => {
            lone_on_timeout(view, &mut compiler.out);
            Some(WaitStep::Signal {
                name: view.owned("signal")?,
                timeout: view.duration("timeout"),
                on_timeout: match view.text("on_timeout") {
                    Some("continue") => OnWaitTimeout::Continue,
                    _ => OnWaitTimeout::Fail,
                },
            })
        }
        _ => {
            time_has_no_timeout(view, kind, &mut compiler.out);
            time(view, until)
        }
    }
}

/// An expression that gives a point in time. One that reads nothing gives it now, so that it is judged now.
fn instant(compiler: &mut Compiler<'_>, node: &Node<'_>, index: usize) -> Option<Expr> {
    let expr = compiler.instant("until", node, Place::Step(index))?;
    if expr.references().next().is_some() {
        return Some(expr);
    }
    let problem = match expr.eval(&Nothing, &mut Budget::default()) {
        Ok(value) => {
            let text = value.as_str().unwrap_or_default();
            text.parse::<Timestamp>().err().map(|e| e.to_string())
        }
        Err(error) => Some(error.to_string()),
    };
    let problem = problem.map(|problem| Diagnostic::error(codes::INSTANT, node.span(), problem));
    compiler.out.extend(problem);
    Some(expr)
}

/// No value at all.
struct Nothing;

impl Scope for Nothing {
    fn lookup(&self, _: &Reference) -> Option<Cow<'_, Value>> {
        None
    }

    fn rules(&self) -> Rules {
        Rules::PRESENT
    }
}

fn time(view: &View<'_>, until: Option<Option<Expr>>) -> Option<WaitStep> {
    match until {
        Some(until) => until.map(WaitStep::Until),
        None => view.duration("for").map(WaitStep::For),
    }
}

fn not_one(view: &View<'_>, given: &[(&str, Range<usize>)]) -> Diagnostic {
    let all: Vec<_> = WAITS.iter().map(|key| format!("`{key}`")).collect();
    let help = format!("give exactly one of {}", all.join(", "));
    match given {
        [(first, place), rest @ ..] => {
            let names: Vec<_> = given.iter().map(|(key, _)| format!("`{key}`")).collect();
            let message = format!("a wait for more than one thing: {}", names.join(" and "));
            let span = rest.first().map_or(place.clone(), |(_, span)| span.clone());
            Diagnostic::error(codes::WAIT_KIND, span, message)
                .with_help(help)
                .with_related(
                    place.clone(),
                    format!("`{first}` makes it one kind already"),
                )
        }
        [] => Diagnostic::error(
            codes::WAIT_KIND,
            view.span.clone(),
            "a wait for nothing".to_owned(),
        )
        .with_help(help),
    }
}

fn time_has_no_timeout(view: &View<'_>, kind: &str, out: &mut Vec<Diagnostic>) {
    for key in ["timeout", "on_timeout"] {
        if let Some(span) = view.key_span(key) {
            let message = format!("`{key}` belongs to a wait for a signal");
            let help = format!("leave it out: `{kind}` says when this wait ends");
            out.push(Diagnostic::error(codes::LONE_KEY, span, message).with_help(help));
        }
    }
}

/// Refuses `on_timeout` without `timeout`.
pub(super) fn lone_on_timeout(view: &View<'_>, out: &mut Vec<Diagnostic>) {
    if let (Some(span), None) = (view.key_span("on_timeout"), view.key_span("timeout")) {
        let message = "`on_timeout` needs a `timeout`";
        let help = "without one, this wait never times out; add `timeout = \"24h\"`, or leave `on_timeout` out";
        out.push(Diagnostic::error(codes::LONE_KEY, span, message).with_help(help));
    }
}
