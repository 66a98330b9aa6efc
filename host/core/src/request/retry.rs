//! Retry: failed steps, or those from a named one on, run again from the start.

use super::again::{Again, add_subtree, has_failed};
use super::resume::{Refused, stopped};
use crate::definition::Definition;
use crate::event::{ResumeCause, RunResumed};
use crate::ids::StepId;
use crate::state::RunState;

/// Runs the failed steps again, loops from their first iteration; with `from`, that step too. What reads them runs again with them.
///
/// # Errors
/// [`Refused`] when the run does not stand still, or the named step does not exist.
pub fn retry(
    definition: &Definition,
    state: &RunState,
    from: Option<&StepId>,
) -> Result<RunResumed, Refused> {
    stopped(state)?;
    let mut again = Again::default();
    for index in definition.top() {
        let id = &definition.steps()[*index].id;
        if state.executions().of(id).is_some_and(has_failed) {
            add_subtree(definition, *index, &mut again.reset);
        }
    }
    if let Some(from) = from {
        let index = definition
            .index_of(from)
            .ok_or_else(|| Refused::UnknownStep(from.clone()))?;
        add_subtree(definition, definition.outermost(index), &mut again.reset);
    }
    Ok(again.resumed(definition, state, ResumeCause::Retry))
}
