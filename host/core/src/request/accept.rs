//! Going on under another definition, or with other components: what it keeps of the record.

use std::collections::{BTreeMap, BTreeSet};

use super::again::add_subtree;
use crate::definition::{Definition, Flow, Over, StepKind, WaitStep};
use crate::event::{CarriedWorkflow, DefinitionChanged, RunEvent};
use crate::ids::{Digest, StepId};
use crate::payload::Payload;
use crate::state::{Kind, RunState, StepPhase, StepRecord, StepResult};
use crate::wait::Wait;

/// A person accepts another definition, with these components and child workflows; `inputs` where it takes others than before.
#[must_use]
pub fn accept(
    definition: &Definition,
    plugins: BTreeMap<String, Digest>,
    children: BTreeMap<String, CarriedWorkflow>,
    inputs: Option<Payload>,
    state: &RunState,
) -> RunEvent {
    let Adopted { dropped, reset } = adopt(definition, state);
    RunEvent::DefinitionChanged(DefinitionChanged {
        definition: definition.source.digest,
        plugins,
        children,
        dropped,
        reset,
        inputs,
    })
}

/// What a changed definition makes of the record.
struct Adopted {
    /// Steps whose record it cannot keep: they are gone, stand in another loop, or do something else.
    dropped: Vec<StepId>,
    /// Steps that run again although their record could be kept: directly or through others they have read what was dropped,
    /// or they stand open in a loop that a lower limit ends, where nobody would come back to them.
    reset: Vec<StepId>,
}

/// Says what becomes of the record when the run goes on under another definition.
fn adopt(definition: &Definition, state: &RunState) -> Adopted {
    let dropped = dropped_by(definition, state);
    let mut again: BTreeSet<StepId> = dropped.iter().cloned().collect();
    for id in &dropped {
        reset_ended_loops(definition, state, id, &mut again);
    }
    add_stale(definition, state, &mut again);
    for (index, step) in definition.steps().iter().enumerate() {
        if let StepKind::Loop(body) = &step.kind
            && let Some(record) = state.executions().of(&step.id)
            && let StepPhase::Looping {
                iteration,
                condition_met: None,
            } = record.phase
            && iteration > body.max_iterations
        {
            let mut inside = BTreeSet::new();
            add_subtree(definition, index, &mut inside);
            inside.remove(&step.id);
            let open = |id: &StepId| state.executions().of(id).is_some_and(is_open);
            again.extend(inside.into_iter().filter(open));
        }
    }
    let kept = |id: &StepId| !state.executions().of_step(id).is_empty() && !dropped.contains(id);
    let reset = again.into_iter().filter(kept).collect();
    Adopted { dropped, reset }
}

/// Whether the execution has begun and not ended.
fn is_open(record: &StepRecord) -> bool {
    record.settled().is_none() && record.phase != StepPhase::Pending
}

/// A loop that has ended is not entered again: with a member of it dropped, it runs again as a whole.
fn reset_ended_loops(
    definition: &Definition,
    state: &RunState,
    id: &StepId,
    again: &mut BTreeSet<StepId>,
) {
    let mut parent = definition
        .index_of(id)
        .and_then(|index| definition.steps()[index].parent);
    while let Some(index) = parent {
        let around = &definition.steps()[index];
        let record = state.executions().of(&around.id);
        if record.is_some_and(|record| record.settled().is_some()) {
            add_subtree(definition, index, again);
        }
        parent = around.parent;
    }
}

/// Adds the steps that have read a step of `again` before it, or need one in a graph, until nothing more is added. Beside that step,
/// in the same iteration of a loop, it is the reader alone; from outside, it is the whole loop that the reader stands in.
fn add_stale(definition: &Definition, state: &RunState, again: &mut BTreeSet<StepId>) {
    loop {
        let before = again.len();
        let stale = again.iter().filter_map(|id| definition.index_of(id));
        for index in definition.needing(stale) {
            if !state
                .executions()
                .of_step(&definition.steps()[index].id)
                .is_empty()
            {
                add_subtree(definition, index, again);
            }
        }
        for (index, step) in definition.steps().iter().enumerate() {
            if state.executions().of_step(&step.id).is_empty() {
                continue;
            }
            for read in step.reads.iter().filter(|read| again.contains(*read)) {
                let Some((reader, read)) = definition
                    .index_of(read)
                    .and_then(|read| beside(definition, index, read))
                else {
                    continue;
                };
                // In a graph a step reads what it needs.
                let graph = definition.flow_in(definition.steps()[reader].parent) == Flow::Graph;
                if !graph && read < reader && !again.contains(&definition.steps()[reader].id) {
                    add_subtree(definition, reader, again);
                    break;
                }
            }
        }
        if again.len() == before {
            return;
        }
    }
}

/// Where two steps stand beside each other: the outermost steps around them, or they themselves, that differ. `None` when one
/// holds the other.
fn beside(definition: &Definition, one: usize, other: usize) -> Option<(usize, usize)> {
    let around = |index: usize| {
        let steps = std::iter::successors(Some(index), |at| definition.steps()[*at].parent);
        let mut steps: Vec<usize> = steps.collect();
        steps.reverse();
        steps
    };
    around(one)
        .into_iter()
        .zip(around(other))
        .find(|(one, other)| one != other)
}

/// Steps whose record a changed definition cannot keep: they are gone, stand in another loop, or do something else.
fn dropped_by(definition: &Definition, state: &RunState) -> Vec<StepId> {
    let fits = |record: &StepRecord| {
        let Some(index) = definition.index_of(record.path.step()) else {
            return false;
        };
        let step = &definition.steps()[index];
        let mut ancestry = vec![&step.id];
        let mut parent = step.parent;
        while let Some(index) = parent {
            ancestry.push(&definition.steps()[index].id);
            parent = definition.steps()[index].parent;
        }
        let recorded = record.path.segments().iter().rev().map(|s| &s.step);
        // A record that shows no kind fits all of them.
        let same_kind = match (&step.kind, &record.kind) {
            (StepKind::Loop(_), Kind::Loop | Kind::Unknown)
            | (StepKind::Child(_), Kind::Child(_) | Kind::Unknown)
            | (StepKind::Component(_), Kind::Component(_) | Kind::Unknown) => {
                !record.path.is_item()
            }
            (StepKind::ForEach(fan_out), kind) => match (&fan_out.over, kind) {
                (Over::Call(_), Kind::Component(_))
                | (Over::Child(_), Kind::Child(_))
                | (Over::Body { .. }, Kind::Item) => record.path.is_item(),
                (_, Kind::FanOut(_)) => !record.path.is_item(),
                (_, Kind::Unknown) => true,
                (
                    _,
                    Kind::Component(_)
                    | Kind::Item
                    | Kind::Loop
                    | Kind::Child(_)
                    | Kind::Wait { .. },
                ) => false,
            },
            (StepKind::Wait(wait), Kind::Wait { .. } | Kind::Unknown) => keeps_wait(wait, record),
            (StepKind::Approval(_), Kind::Wait { .. } | Kind::Unknown) => !was_wait(record),
            (StepKind::End(_), Kind::Unknown) => true,
            (
                StepKind::Loop(_)
                | StepKind::Component(_)
                | StepKind::Wait(_)
                | StepKind::Approval(_)
                | StepKind::End(_)
                | StepKind::Child(_),
                _,
            ) => false,
        };
        same_kind && recorded.eq(ancestry)
    };
    let lost = state.executions().iter().filter(|record| !fits(record));
    let mut dropped: Vec<StepId> = lost.map(|record| record.path.step().clone()).collect();
    dropped.dedup();
    dropped
}

/// Whether a record can be one of this wait: not an approval's, and when it is open, of the same kind and signal. An open
/// wait keeps the end that it began with.
fn keeps_wait(step: &WaitStep, record: &StepRecord) -> bool {
    let StepPhase::Awaiting { wait } = &record.phase else {
        return !decided(record);
    };
    match (wait, step) {
        (Wait::Time { .. }, WaitStep::For(_) | WaitStep::Until(_)) => true,
        (Wait::Signal { name: open, .. }, WaitStep::Signal { name, .. }) => open == name,
        (Wait::Time { .. }, WaitStep::Signal { .. })
        | (Wait::Signal { .. }, WaitStep::For(_) | WaitStep::Until(_))
        | (Wait::Approval { .. } | Wait::Child { .. }, _) => false,
    }
}

/// Whether the record shows a wait for time or a signal. One that is over would count as approved if it were kept.
fn was_wait(record: &StepRecord) -> bool {
    if let StepPhase::Awaiting { wait } = &record.phase {
        return !matches!(wait, Wait::Approval { .. });
    }
    let completed = record
        .visible()
        .is_some_and(|settled| matches!(settled.result, StepResult::Completed { .. }));
    record.is_wait() && completed && !decided(record)
}

/// Whether the record holds the decision of an approval.
fn decided(record: &StepRecord) -> bool {
    record
        .visible()
        .is_some_and(|settled| match &settled.result {
            StepResult::Completed { output } => output.value().get("decision").is_some(),
            StepResult::Failed { .. } | StepResult::Skipped => false,
        })
}
