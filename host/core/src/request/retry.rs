//! Retry: failed steps, or those from a named one on, run again from the start.

use super::again::{Again, add_always_run, add_finally, add_subtree};
use super::cancel_item::is_cancelled;
use super::items::{How, Repeat};
use super::resume::{Refused, ended_at, ends, stopped};
use crate::definition::Definition;
use crate::event::{ResumeCause, RunResumed};
use crate::ids::Path;
use crate::state::{RunState, Status};
use crate::within::Within;

/// Runs the failed steps again, loops from their first iteration, and of fan-outs the items that failed; with `from`, that step
/// too, or that item of a fan-out. What reads them runs again with them.
///
/// # Errors
/// [`Refused`] when the run does not stand still, or the named step does not exist.
pub fn retry(
    definition: &Definition,
    state: &RunState,
    from: Option<&Path>,
) -> Result<RunResumed, Refused> {
    let status = stopped(state)?;
    if state.compensates() || state.executions().compensations().have_begun() {
        return Err(Refused::Compensating);
    }
    if state.is_being_cancelled() {
        return Err(Refused::Cancelled);
    }
    let mut again = Again::default();
    let repeat = Repeat {
        definition,
        state,
        how: How::Retry,
    };
    repeat.members(definition.main(), Within::Top, &mut again);
    if let Some(path) = ended_at(definition, state) {
        end_again(&repeat, &path, &mut again);
    }
    if status == Status::Failed || state.ending().is_some() {
        add_finally(definition, &mut again.reset);
    }
    if state.ending().is_some() {
        // It has not come to its end, and that is decided again.
        for record in ends(definition, state) {
            end_again(&repeat, record.path(), &mut again);
        }
    }
    add_always_run(definition, state, &mut again.reset);
    if let Some(from) = from {
        let index = definition
            .index_of(from.step())
            .ok_or_else(|| Refused::UnknownStep(from.step().clone()))?;
        let mut around = std::iter::successors(Some(from.clone()), Path::around);
        if let Some(item) = around.find(|path| is_cancelled(state, path)) {
            return Err(Refused::ItemCancelled(item));
        }
        let in_items = from.segments().len() > 1 || from.is_item();
        let has_items = || {
            let record = state.executions().at(from);
            record.is_some_and(|record| record.items().is_some())
        };
        if in_items || has_items() {
            repeat.from(from, &mut again)?;
        } else {
            add_subtree(definition, definition.outermost(index), &mut again.reset);
        }
    }
    Ok(again.resumed(definition, state, ResumeCause::Retry))
}

/// A step that ended the run is decided again: of a fan-out, in its item; in a loop, with all of that.
fn end_again(repeat: &Repeat<'_>, path: &Path, again: &mut Again) {
    let definition = repeat.definition;
    let Some(index) = definition.index_of(path.step()) else {
        return;
    };
    if path.innermost_item().is_none() || repeat.from(path, again).is_err() {
        add_subtree(definition, definition.outermost(index), &mut again.reset);
    }
}
