//! Fork: a new run begins with outcomes that another one has recorded, and comes to the others by itself.

use std::collections::BTreeSet;

use super::again::{add_always_run, add_finally, add_needing, add_readers, add_subtree};
use crate::definition::{Definition, Flow, StepKind};
use crate::ids::StepId;
use crate::state::{RunState, Status, StepRecord, StepResult};

/// Why a run cannot be forked so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotForked {
    /// What it has in flight has no outcome yet.
    #[error("the run is {0}; only a run that does not move can be forked")]
    Moves(Status),
    /// A named step is not in the definition.
    #[error("the definition has no step `{0}`")]
    UnknownStep(StepId),
    /// A step whose outcome is kept has read an input that is another one now.
    #[error(
        "step `{step}` keeps an outcome that comes of the input `{input}`, which is to be changed"
    )]
    ReadsInput {
        /// The step: at the top level, or the loop or fan-out there that holds the reader.
        step: StepId,
        /// The input.
        input: String,
    },
}

/// The outcomes that a fork of the run keeps that runs again from these steps on, with other values of the `changed` inputs.
///
/// In a sequence every step runs again from the first named one on, in a graph the named ones and all that need them. So do steps
/// without an outcome that a run can go on from: what failed and is not handled, what is open, what ended the run, and what was
/// compensated, whose work is undone. And steps with `finally` or `always_run`, and whatever reads one that runs again. Of a loop or
/// a fan-out, all of it runs again, or nothing.
///
/// # Errors
/// [`NotForked`].
pub fn fork(
    definition: &Definition,
    state: &RunState,
    from: &[StepId],
    changed: &BTreeSet<String>,
) -> Result<Vec<StepRecord>, NotForked> {
    match state.phase().status() {
        Status::Paused | Status::Completed | Status::Failed | Status::Cancelled => {}
        status @ (Status::Pending | Status::Running) => return Err(NotForked::Moves(status)),
    }
    let mut again = BTreeSet::new();
    for id in from {
        let index = definition.index_of(id);
        let index = index.ok_or_else(|| NotForked::UnknownStep(id.clone()))?;
        let outermost = definition.outermost(index);
        add_subtree(definition, outermost, &mut again);
        if definition.flow == Flow::Sequence && !definition.steps()[outermost].finally {
            let later = definition.main().iter().filter(|index| **index > outermost);
            later.for_each(|index| add_subtree(definition, *index, &mut again));
        }
    }
    let lasts = |index: &&usize| !lasts(definition, state, **index);
    for index in definition.main().iter().filter(lasts) {
        add_subtree(definition, *index, &mut again);
    }
    let undone = state.executions().compensations().iter();
    for record in undone.filter(|record| record.attempts() > 0) {
        if let Some(index) = definition.index_of(record.path().step()) {
            add_subtree(definition, definition.outermost(index), &mut again);
        }
    }
    add_always_run(definition, state, &mut again);
    add_finally(definition, &mut again);
    match definition.flow {
        Flow::Sequence => add_readers(definition, state, &mut again, &BTreeSet::new()),
        Flow::Graph => add_needing(definition, &mut again, &BTreeSet::new()),
    }
    let step = |index: &usize| &definition.steps()[*index];
    for index in definition.main() {
        let kept = !again.contains(&step(index).id);
        if let Some(input) = changed
            .iter()
            .find(|input| kept && reads_input(definition, *index, input))
        {
            return Err(NotForked::ReadsInput {
                step: step(index).id.clone(),
                input: input.clone(),
            });
        }
    }
    let records = state.executions().iter();
    let kept = records.filter(|record| !record.path().is_compensation());
    let kept = kept.filter(|record| record.settled().is_some());
    let kept = kept.filter(|record| !again.contains(record.path().step()));
    Ok(kept.map(StepRecord::carried_over).collect())
}

/// Whether the step at `index` has come to something that a run can go on from.
fn lasts(definition: &Definition, state: &RunState, index: usize) -> bool {
    let step = &definition.steps()[index];
    let record = state.executions().of(&step.id);
    let result = record.and_then(|record| Some(&record.settled()?.result));
    let handled = step.continue_on_error && state.created().rules.handle_failures();
    let settled = match result {
        Some(StepResult::Completed { .. } | StepResult::Skipped) => true,
        Some(StepResult::Failed { .. }) => handled,
        None => false,
    };
    settled && !ended_the_run(definition, state, index)
}

/// Whether the step at `index`, or a member of it, is an end that the run has come to: that is decided again.
fn ended_the_run(definition: &Definition, state: &RunState, index: usize) -> bool {
    let step = &definition.steps()[index];
    let mut records = state.executions().of_step(&step.id).iter();
    let is_end = matches!(step.kind, StepKind::End(_));
    let mut members = step.members().iter();
    is_end && records.any(StepRecord::has_completed)
        || members.any(|member| ended_the_run(definition, state, *member))
}

/// Whether the step at `index`, or a member of it, reads this input.
fn reads_input(definition: &Definition, index: usize, input: &str) -> bool {
    let step = &definition.steps()[index];
    let mut members = step.members().iter();
    step.reads_input(input) || members.any(|member| reads_input(definition, *member, input))
}
