//! Retry: failed steps, or those from a named one on, run again from the start.

use super::again::{Again, add_always_run, add_subtree};
use super::items::{How, Repeat};
use super::resume::{Refused, ended_by, stopped};
use crate::definition::Definition;
use crate::event::{ResumeCause, RunResumed};
use crate::ids::Path;
use crate::state::RunState;
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
    stopped(state)?;
    let mut again = Again::default();
    let repeat = Repeat {
        definition,
        state,
        how: How::Retry,
    };
    repeat.members(definition.top(), Within::Top, &mut again);
    if let Some(index) = ended_by(state).and_then(|id| definition.index_of(id)) {
        add_subtree(definition, definition.outermost(index), &mut again.reset);
    }
    add_always_run(definition, state, &mut again.reset);
    if let Some(from) = from {
        let index = definition
            .index_of(from.step())
            .ok_or_else(|| Refused::UnknownStep(from.step().clone()))?;
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
