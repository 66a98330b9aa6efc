//! Asking a stopped run to go on: what runs again, what stays, and what a changed definition keeps of the record.

use std::collections::BTreeSet;

use crate::definition::{Definition, StepKind, WaitStep};
use crate::event::{ResumeCause, RunResumed};
use crate::ids::{Path, StepId};
use crate::state::{RunState, Status, StepPhase, StepRecord, StepResult};
use crate::wait::Wait;

/// How a stopped run is asked to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent<'a> {
    /// Continue: failed steps run again, failed loops are looked at again in their recorded pass.
    Resume,
    /// Continue where the run waits, and repeat nothing.
    GoOn(GoOn),
    /// Run the failed steps again, loops from their first iteration; with `from`, that step and what depends on it too.
    Retry {
        /// The step to begin at.
        from: Option<&'a StepId>,
    },
}

/// What lets a paused run go on by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoOn {
    /// The time of its automatic resume has come.
    Schedule,
    /// What it waited for has come, or the time of the wait is over.
    Wait,
}

/// Why a run cannot be asked to go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Only paused and failed runs can (B180).
    #[error("the run is {0}; only a paused or failed run can go on")]
    NotStopped(Status),
    /// The named step is not in the definition.
    #[error("the definition has no step `{0}`")]
    UnknownStep(StepId),
}

/// Plans a resume or a retry: the event to record.
///
/// Failed steps run again, and with them every step that reads their record, directly or through others. A loop that
/// depends on such a step, or that holds one, starts again as a whole. Failed members of a loop that is still in a pass stay
/// as they are: the loop's `until` decides about them. So do handled failures of a run that was only paused: later steps went
/// on from them.
///
/// # Errors
/// [`Refused`] when the run does not stand still, or the named step does not exist.
pub fn plan(
    definition: &Definition,
    state: &RunState,
    intent: Intent<'_>,
) -> Result<RunResumed, Refused> {
    let status = state.phase.status();
    if !matches!(status, Status::Paused | Status::Failed) {
        return Err(Refused::NotStopped(status));
    }
    let mut reset = BTreeSet::new();
    let mut reopened = BTreeSet::new();
    let waits = state.phase.stop().is_some_and(|stop| stop.code.is_wait());
    // A failed step before a wait was passed over on purpose; going on behind the wait does not run it again.
    let repeats = match intent {
        Intent::Resume => !waits,
        Intent::GoOn(_) => false,
        Intent::Retry { .. } => true,
    };
    for index in definition.top().iter().filter(|_| repeats) {
        let step = &definition.steps()[*index];
        let handled = step.continue_on_error && state.created.rules.handle_failures();
        if handled && matches!(intent, Intent::Resume) && status == Status::Paused {
            continue;
        }
        let id = &step.id;
        let Some(record) = state.steps.get(id).filter(|record| has_failed(record)) else {
            continue;
        };
        let passes = record.settled().and_then(|s| s.iterations).unwrap_or(0);
        match intent {
            Intent::Resume if passes > 0 => {
                reopened.insert(id.clone());
            }
            Intent::Resume | Intent::GoOn(_) | Intent::Retry { .. } => {
                add_subtree(definition, *index, &mut reset)
            }
        }
    }
    if let Intent::Retry { from: Some(from) } = intent {
        let index = definition
            .index_of(from)
            .ok_or_else(|| Refused::UnknownStep(from.clone()))?;
        add_subtree(definition, definition.outermost(index), &mut reset);
    }
    add_readers(definition, state, &mut reset, &reopened);
    reopened.retain(|id| !reset.contains(id));
    let closed = open_behind(definition, state, &reset, &reopened);

    let completed = definition
        .top()
        .iter()
        .map(|index| &definition.steps()[*index].id)
        .filter(|id| !reset.contains(*id) && !reopened.contains(*id))
        .filter(|id| state.steps.get(*id).is_some_and(has_completed))
        .count();
    Ok(RunResumed {
        cause: match intent {
            Intent::Resume => ResumeCause::Resume,
            Intent::GoOn(GoOn::Schedule) => ResumeCause::Schedule,
            Intent::GoOn(GoOn::Wait) => ResumeCause::Wait,
            Intent::Retry { .. } => ResumeCause::Retry,
        },
        reset: reset
            .into_iter()
            .filter(|id| state.steps.contains_key(id))
            .collect(),
        reopened: reopened.into_iter().collect(),
        closed,
        completed: u32::try_from(completed).unwrap_or(u32::MAX),
        cleared: state.phase.stop().cloned(),
    })
}

/// What a changed definition makes of the record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Adopted {
    /// Steps whose record it cannot keep: they are gone, stand in another loop, or do something else.
    pub dropped: Vec<StepId>,
    /// Steps that run again although their record could be kept: directly or through others they have read what was dropped,
    /// or they stand open in a loop that a lower limit ends, where nobody would come back to them.
    pub reset: Vec<StepId>,
}

/// Says what becomes of the record when the run goes on under another definition.
#[must_use]
pub fn adopt(definition: &Definition, state: &RunState) -> Adopted {
    let dropped = dropped_by(definition, state);
    let mut again: BTreeSet<StepId> = dropped.iter().cloned().collect();
    for id in &dropped {
        reset_ended_loops(definition, state, id, &mut again);
    }
    add_stale(definition, state, &mut again);
    for (index, step) in definition.steps().iter().enumerate() {
        if let StepKind::Loop(body) = &step.kind
            && let Some(record) = state.steps.get(&step.id)
            && let StepPhase::Looping {
                iteration,
                condition_met: None,
            } = record.phase
            && iteration > body.max_iterations
        {
            let mut inside = BTreeSet::new();
            add_subtree(definition, index, &mut inside);
            inside.remove(&step.id);
            let open = |id: &StepId| state.steps.get(id).is_some_and(is_open);
            again.extend(inside.into_iter().filter(open));
        }
    }
    let kept = |id: &StepId| state.steps.contains_key(id) && !dropped.contains(id);
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
        let record = state.steps.get(&around.id);
        if record.is_some_and(|record| record.settled().is_some()) {
            add_subtree(definition, index, again);
        }
        parent = around.parent;
    }
}

/// Adds the steps that have read a step of `again` before it, until nothing more is added. Beside that step, in the same pass of
/// a loop, it is the reader alone; from outside, it is the whole loop that the reader stands in.
fn add_stale(definition: &Definition, state: &RunState, again: &mut BTreeSet<StepId>) {
    loop {
        let before = again.len();
        for (index, step) in definition.steps().iter().enumerate() {
            if !state.steps.contains_key(&step.id) {
                continue;
            }
            for read in step.reads.iter().filter(|read| again.contains(*read)) {
                let Some((reader, read)) = definition
                    .index_of(read)
                    .and_then(|read| beside(definition, index, read))
                else {
                    continue;
                };
                if read < reader && !again.contains(&definition.steps()[reader].id) {
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
        // What a record shows of its kind: passes are a loop's, attempts a component's. One that shows neither fits both.
        let was_loop = matches!(record.phase, StepPhase::Looping { .. })
            || record.settled().is_some_and(|s| s.iterations.is_some());
        let was_component = record.attempts > 0 && !record.waited;
        let mut ancestry = vec![&step.id];
        let mut parent = step.parent;
        while let Some(index) = parent {
            ancestry.push(&definition.steps()[index].id);
            parent = definition.steps()[index].parent;
        }
        let recorded = record.path.segments().iter().rev().map(|s| &s.step);
        let same_kind = match step.kind {
            StepKind::Loop(_) => !was_component && !record.waited,
            StepKind::Component(_) => !was_loop && !record.waited,
            StepKind::Wait(ref wait) => !was_loop && !was_component && keeps_wait(wait, record),
            StepKind::Approval(_) => !was_loop && !was_component && !was_wait(record),
        };
        same_kind && recorded.eq(ancestry)
    };
    state
        .steps
        .iter()
        .filter(|(_, record)| !fits(record))
        .map(|(id, _)| id.clone())
        .collect()
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
        | (Wait::Approval { .. }, _) => false,
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
    record.waited && completed && !decided(record)
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

/// The steps that run again when the approval at `gate` is rejected with rework from `from`: that step, and every one
/// between it and the approval that reads, directly or through others, what runs again or what the approval leaves.
#[must_use]
pub fn rework(definition: &Definition, gate: &StepId, from: &StepId) -> Vec<StepId> {
    let (Some(end), Some(from)) = (definition.index_of(gate), definition.index_of(from)) else {
        return Vec::new();
    };
    let parent = definition.steps()[end].parent;
    let mut again = BTreeSet::from([gate.clone()]);
    for index in from..end {
        let step = &definition.steps()[index];
        if step.parent == parent && (index == from || reads_any(definition, index, &again)) {
            add_subtree(definition, index, &mut again);
        }
    }
    again.remove(gate);
    again.into_iter().collect()
}

/// Whether the step at `index`, or a member of its body, reads one of `steps`.
fn reads_any(definition: &Definition, index: usize, steps: &BTreeSet<StepId>) -> bool {
    let step = &definition.steps()[index];
    let members = match &step.kind {
        StepKind::Loop(body) => body.body.as_slice(),
        StepKind::Component(_) | StepKind::Wait(_) | StepKind::Approval(_) => &[],
    };
    !step.reads.is_disjoint(steps)
        || members
            .iter()
            .any(|member| reads_any(definition, *member, steps))
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
    walk.scope(definition.top(), None);
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
    /// Walks the members of one scope as `decide` does.
    fn scope(&mut self, members: &[usize], pass: Option<(&Path, u32)>) {
        for index in members {
            let step = &self.definition.steps()[*index];
            if self.passed {
                self.close(*index);
                continue;
            }
            let record = self.state.steps.get(&step.id);
            let record =
                record.filter(|r| r.path.stands_in(pass) && !self.reset.contains(&step.id));
            let in_pass = match record.map(|record| &record.phase) {
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
                (in_pass, record, &step.kind)
            {
                self.scope(&body.body, Some((&record.path, iteration)));
            }
            self.passed = true;
        }
    }

    /// Notes the step, and the members of its body, if they are open waits.
    fn close(&mut self, index: usize) {
        let step = &self.definition.steps()[index];
        let open = self
            .state
            .steps
            .get(&step.id)
            .is_some_and(|record| matches!(record.phase, StepPhase::Awaiting { .. }));
        if open && !self.reset.contains(&step.id) {
            self.open.push(step.id.clone());
        }
        if let StepKind::Loop(body) = &step.kind {
            for member in &body.body {
                self.close(*member);
            }
        }
    }
}

fn add_subtree(definition: &Definition, index: usize, into: &mut BTreeSet<StepId>) {
    let step = &definition.steps()[index];
    into.insert(step.id.clone());
    if let StepKind::Loop(body) = &step.kind {
        for member in &body.body {
            add_subtree(definition, *member, into);
        }
    }
}

/// Adds whatever reads a step of `reset` or `reopened`, until nothing more is added. What an earlier step read of an approval
/// that rejected its work is past, and does not make it run again.
fn add_readers(
    definition: &Definition,
    state: &RunState,
    reset: &mut BTreeSet<StepId>,
    reopened: &BTreeSet<StepId>,
) {
    loop {
        let before = reset.len();
        for (index, step) in definition.steps().iter().enumerate() {
            let outermost = definition.outermost(index);
            let touched = state.steps.contains_key(&step.id);
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

fn has_failed(record: &StepRecord) -> bool {
    record
        .settled()
        .is_some_and(|s| matches!(s.result, StepResult::Failed { .. }))
}

fn has_completed(record: &StepRecord) -> bool {
    record
        .settled()
        .is_some_and(|s| matches!(s.result, StepResult::Completed { .. }))
}
