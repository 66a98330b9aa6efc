//! Reads of `loop.previous` that fail in the first iteration of their loop, which has none before it.

use super::codes;
use super::expressions::Reader;
use super::model::{Flow, Step};
use super::needs::Order;
use super::outline::{Kind, Outline};
use super::scope::Place;
use crate::diagnostic::Diagnostic;

/// Refuses expressions that are certain to be evaluated in the first iteration, and to fail there.
pub(super) fn check(
    file: &str,
    outline: &Outline<'_>,
    order: &Order,
    steps: &[Step],
    readers: &[Reader],
    out: &mut Vec<Diagnostic>,
) {
    for reader in readers {
        let Some(range) = reader.expr.fails_in_first_iteration() else {
            continue;
        };
        if !is_evaluated(outline, order, steps, reader) {
            continue;
        }
        let message = "`loop.previous` has no value in the first iteration";
        let help = "say what to use there, or ask first:\nloop.?previous.orValue(..)\nloop.iteration > 1 ? loop.previous : ..";
        out.push(
            Diagnostic::error(codes::EXPR_NOT_READABLE, reader.span(file, &range), message)
                .with_help(help),
        );
    }
}

/// Whether the expression is evaluated in the first iteration whatever happens: nothing on the way to it may be skipped.
fn is_evaluated(outline: &Outline<'_>, order: &Order, steps: &[Step], reader: &Reader) -> bool {
    let index = match reader.place {
        // After a full iteration, the first one included.
        Place::Until(_) => return true,
        Place::Step(index) => index,
        Place::Item(_) | Place::Compensation(_) | Place::Returns => return false,
    };
    let step = &steps[index];
    // Its own `if` is evaluated in any case. Another one that is not certain guards what stands behind it, and so may what it needs.
    let runs = reader.is_condition
        || step
            .condition
            .as_ref()
            .is_none_or(|condition| condition.holds_in_first_iteration() == Some(true));
    let in_loop = step
        .parent
        .is_some_and(|parent| outline.entries[parent].kind == Kind::Loop);
    runs && in_loop && order.flow(step.parent) == Flow::Sequence
}
