//! `approval`: a step that asks a person.

use super::codes;
use super::expressions::Compiler;
use super::model::{ApprovalStep, OnApprovalTimeout, OnReject, Rework};
use super::outline::Entry;
use super::scope::Place;
use super::view::View;
use super::waits::lone_on_timeout;
use crate::diagnostic::Diagnostic;
use crate::ids::StepId;
use crate::limits;

/// Builds the approval of the step at `index`; `None` when it has a problem that was reported.
pub(super) fn approval(
    compiler: &mut Compiler<'_>,
    index: usize,
    entry: &Entry<'_>,
    view: &View<'_>,
) -> Option<ApprovalStep> {
    lone_on_timeout(view, &mut compiler.out);
    let rework = view.record("rework");
    if let (Some(rework), Some(node)) = (&rework, view.node("on_reject"))
        && view.text("on_reject") == Some("continue")
    {
        let message = "`on_reject = \"continue\"` and `rework` are two answers to a rejection";
        let problem = Diagnostic::error(codes::REJECT_TWICE, node.span(), message)
            .with_help("choose one: with `rework`, the last rejection cancels the run");
        compiler
            .out
            .push(problem.with_related(rework.span.clone(), "the other answer"));
    }
    let message = view
        .node("message")
        .filter(|node| node.get_ref().is_str())
        .and_then(|node| compiler.template(node, Place::Step(index)));
    Some(ApprovalStep {
        message: message?,
        timeout: view.duration("timeout"),
        on_timeout: match view.text("on_timeout") {
            Some("approve") => OnApprovalTimeout::Approve,
            Some("stay") => OnApprovalTimeout::Stay,
            _ => OnApprovalTimeout::Reject,
        },
        on_reject: match view.text("on_reject") {
            Some("continue") => OnReject::Continue,
            _ => OnReject::Cancel,
        },
        rework: match rework {
            Some(rework) => Some(Rework {
                from: from(compiler, entry)?,
                max_attempts: rework
                    .integer("max_attempts")
                    .unwrap_or(limits::REWORK_DEFAULT_ATTEMPTS),
            }),
            None => None,
        },
    })
}

/// The step that `rework.from` was resolved to.
fn from(compiler: &Compiler<'_>, entry: &Entry<'_>) -> Option<StepId> {
    StepId::new(compiler.outline.entries[entry.rework?].name).ok()
}
