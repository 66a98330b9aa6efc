//! What runs again with a step: what reads its record, and the waits that are open behind it.

use std::collections::BTreeSet;

use crate::definition::{Definition, Flow, StepKind};
use crate::event::{ItemsAgain, ResumeCause, RunResumed};
use crate::ids::{Path, StepId};
use crate::state::{RunState, StepPhase, StepRecord};
use crate::within::Within;

/// What a stopped run goes on with.
#[derive(Default)]
pub(super) struct Again {
    /// Steps that run again from the start.
    pub(super) reset: BTreeSet<StepId>,
    /// Failed loops that go on at their recorded iteration, and fan-outs of which some items run again.
    pub(super) reopened: BTreeSet<StepId>,
    /// What of fan-outs runs again or goes on.
    pub(super) items: ItemsAgain,
}

impl Again {
    /// Adds all that follows from it, and makes the event of it.
    pub(super) fn resumed(
        mut self,
        definition: &Definition,
        state: &RunState,
        cause: ResumeCause,
    ) -> RunResumed {
        match definition.flow {
            Flow::Sequence => add_readers(definition, state, &mut self.reset, &self.reopened),
            Flow::Graph => add_needing(definition, &mut self.reset, &self.reopened),
        }
        let Self {
            reset,
            mut reopened,
            mut items,
        } = self;
        reopened.retain(|id| !reset.contains(id));
        // What runs again as a whole has no part that does.
        let partly = |path: &Path| {
            !path
                .segments()
                .iter()
                .any(|part| reset.contains(&part.step))
        };
        items.reset.retain(partly);
        let fresh: BTreeSet<&Path> = items.reset.iter().collect();
        items
            .reopened
            .retain(|path| partly(path) && !fresh.contains(path));
        let closed = open_behind(definition, state, &reset, &reopened);
        let completed = definition
            .top()
            .iter()
            .map(|index| &definition.steps()[*index].id)
            .filter(|id| !reset.contains(*id) && !reopened.contains(*id))
            .filter(|id| {
                state
                    .executions()
                    .of(id)
                    .is_some_and(StepRecord::has_completed)
            })
            .count();
        RunResumed {
            cause,
            reset: reset
                .into_iter()
                .filter(|id| !state.executions().of_step(id).is_empty())
                .collect(),
            reopened: reopened.into_iter().collect(),
            items,
            closed,
            completed: u32::try_from(completed).unwrap_or(u32::MAX),
            paused: Vec::new(),
            cleared: state.phase().stop(),
        }
    }
}

/// The waits that are open behind the step at which the run goes on. Left open, somebody could end a later one before the
/// earlier one has begun.
fn open_behind(
    definition: &Definition,
    state: &RunState,
    reset: &BTreeSet<StepId>,
    reopened: &BTreeSet<StepId>,
) -> Vec<StepId> {
    let mut walk = Behind {
        definition,
        state,
        reset,
        reopened,
        passed: false,
        open: Vec::new(),
    };
    walk.scope(definition.main(), definition.flow, Within::Top);
    walk.open
}

struct Behind<'a> {
    definition: &'a Definition,
    state: &'a RunState,
    reset: &'a BTreeSet<StepId>,
    reopened: &'a BTreeSet<StepId>,
    /// Whether the walk is behind the step at which the run goes on.
    passed: bool,
    open: Vec<StepId>,
}

impl Behind<'_> {
    /// Walks the members of one scope as `decide` does. In a graph none is behind another: what needs a step that runs again does so
    /// too.
    fn scope(&mut self, members: &[usize], flow: Flow, within: Within<'_>) {
        let passed = self.passed;
        for index in members {
            let step = &self.definition.steps()[*index];
            if flow == Flow::Graph {
                self.passed = passed;
            }
            if self.passed {
                self.close(*index);
                continue;
            }
            let record = self.state.executions().member(&step.id, within);
            let record = record.filter(|_| !self.reset.contains(&step.id));
            let in_iteration = match record.map(|record| &record.phase) {
                Some(StepPhase::Settled(settled)) if self.reopened.contains(&step.id) => {
                    settled.iterations
                }
                Some(StepPhase::Settled(_)) => continue,
                Some(StepPhase::Looping {
                    iteration,
                    condition_met: None,
                }) => Some(*iteration),
                _ => None,
            };
            if let (Some(iteration), Some(record), StepKind::Loop(body)) =
                (in_iteration, record, &step.kind)
            {
                let within = Within::Iteration(&record.path, iteration);
                self.scope(&body.body, body.flow, within);
            }
            self.passed = true;
        }
    }

    /// Notes the step, and the members of its body, if they are open waits.
    fn close(&mut self, index: usize) {
        let step = &self.definition.steps()[index];
        let records = self.state.executions().of_step(&step.id);
        let mut records = records.iter();
        let open = records.any(|record| matches!(record.phase, StepPhase::Awaiting { .. }));
        if open && !self.reset.contains(&step.id) {
            self.open.push(step.id.clone());
        }
        for member in step.members() {
            self.close(*member);
        }
    }
}

/// Adds the step and all that stands in it.
pub(super) fn add_subtree(definition: &Definition, index: usize, into: &mut BTreeSet<StepId>) {
    let step = &definition.steps()[index];
    into.insert(step.id.clone());
    for member in step.members() {
        add_subtree(definition, *member, into);
    }
}

/// Adds the steps that run again whenever a person lets the run go on: with the whole loop that one stands in, as any other step that
/// runs again.
pub(super) fn add_always_run(
    definition: &Definition,
    state: &RunState,
    reset: &mut BTreeSet<StepId>,
) {
    for (index, step) in definition.steps().iter().enumerate() {
        let always = step.call().is_some_and(|call| call.always_run);
        let records = state.executions().of_step(&step.id);
        if always && records.iter().any(|record| record.settled().is_some()) {
            add_subtree(definition, definition.outermost(index), reset);
        }
    }
}

/// Adds the steps with `finally`: a run that goes on comes to another end.
pub(super) fn add_finally(definition: &Definition, reset: &mut BTreeSet<StepId>) {
    let steps = definition.finally().iter();
    reset.extend(steps.map(|index| definition.steps()[*index].id.clone()));
}

/// Adds whatever reads a step of `reset` or `reopened`, until nothing more is added. What an earlier step read of an approval
/// that rejected its work is past, and does not make it run again.
pub(super) fn add_readers(
    definition: &Definition,
    state: &RunState,
    reset: &mut BTreeSet<StepId>,
    reopened: &BTreeSet<StepId>,
) {
    loop {
        let before = reset.len();
        for (index, step) in definition.steps().iter().enumerate() {
            let outermost = definition.outermost(index);
            let touched = !state.executions().of_step(&step.id).is_empty();
            let outer_id = &definition.steps()[outermost].id;
            let reads = step.reads.iter().any(|read| {
                let earlier = definition
                    .index_of(read)
                    .is_some_and(|read| definition.outermost(read) < outermost);
                earlier && (reset.contains(read) || reopened.contains(read))
            });
            if touched && reads && !reset.contains(outer_id) {
                add_subtree(definition, outermost, reset);
            }
        }
        if reset.len() == before {
            return;
        }
    }
}

/// Whether the step at `index`, or a member of its body, reads one of `steps`.
pub(super) fn reads_any(definition: &Definition, index: usize, steps: &BTreeSet<StepId>) -> bool {
    let step = &definition.steps()[index];
    let mut members = step.members().iter();
    !step.reads.is_disjoint(steps) || members.any(|member| reads_any(definition, *member, steps))
}

/// Adds whatever needs a step of `reset` or `reopened`, directly or through others. In a graph a step reads only what it needs.
pub(super) fn add_needing(
    definition: &Definition,
    reset: &mut BTreeSet<StepId>,
    reopened: &BTreeSet<StepId>,
) {
    let again = |id: &StepId| reset.contains(id) || reopened.contains(id);
    let top = definition.top().iter().copied();
    let again = top.filter(|index| again(&definition.steps()[*index].id));
    for index in definition.needing(again) {
        add_subtree(definition, index, reset);
    }
}
