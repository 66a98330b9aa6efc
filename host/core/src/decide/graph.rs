//! Graphs: members start when what they need is settled, in file order, as many at a time as there may be.

use super::{Action, Decider, Scope, Walk};
use crate::definition::{Join, OnFailure, Step, StepKind};
use crate::event::{Skip, StepEvent};
use crate::frontier::Graph;
use crate::state::{StepPhase, StepRecord, StepResult};
use crate::within::Within;

/// What came of a step that another one needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// It completed, or its failure is handled.
    Success,
    Failed,
    Skipped,
}

impl Decider<'_> {
    /// Every member that can move does, in the order of the file. The cost is that of the members that have begun, and of what was
    /// settled since.
    pub(super) fn graph(
        &self,
        members: &[usize],
        within: Within<'_>,
        graph: &mut Graph,
        walk: &mut Walk<'_>,
    ) -> Scope {
        self.pass_settled(members, within, graph);
        let stopped = graph.failed && self.definition.on_failure == OnFailure::Stop;
        let begun: Vec<u32> = graph.begun.iter().copied().collect();
        let mut open = false;
        for place in begun {
            if !stopped {
                self.start_ready(members, within, graph, place, walk);
            }
            let step = self.at(members, place);
            let record = self.record(step, within);
            let fresh = record.is_none_or(is_fresh);
            if fresh && stopped {
                continue;
            }
            open = true;
            // What was reset is judged again: what it needs may have come out otherwise.
            let idle = record.is_none_or(|record| record.phase == StepPhase::Pending);
            if idle && let Some(skip) = self.not_joined(step, within) {
                let path = within.member(&step.id);
                let _open = walk.act(Action::record(&path, StepEvent::Skipped(skip)));
                continue;
            }
            let actions = walk.ready.len() + walk.calls.len();
            let _open = self.standing(step, within, walk);
            let waits = actions == walk.ready.len() + walk.calls.len();
            if fresh && waits && matches!(step.kind, StepKind::Component(_)) {
                graph.begun.remove(&place);
                graph.ready.insert(place);
            }
        }
        if !stopped {
            open |= !graph.ready.is_empty();
            self.start_ready(members, within, graph, u32::MAX, walk);
        }
        match open {
            true => Scope::Open,
            false => Scope::Done,
        }
    }

    /// Starts calls that had to wait until another attempt ended, those before a place, while there may be more.
    fn start_ready(
        &self,
        members: &[usize],
        within: Within<'_>,
        graph: &mut Graph,
        before: u32,
        walk: &mut Walk<'_>,
    ) {
        while walk.free > 0
            && let Some(place) = graph.ready.first().copied()
            && place < before
        {
            graph.ready.remove(&place);
            graph.begun.insert(place);
            let _open = self.standing(self.at(members, place), within, walk);
        }
    }

    /// Leaves behind what was settled since the last decision, and what was settled with it before this frontier saw it.
    fn pass_settled(&self, members: &[usize], within: Within<'_>, graph: &mut Graph) {
        // What is ready has not begun.
        let mut look: Vec<u32> = graph.begun.iter().copied().collect();
        while let Some(place) = look.pop() {
            let step = self.at(members, place);
            let record = self.record(step, within);
            let Some(settled) = record.and_then(StepRecord::settled) else {
                continue;
            };
            let failed = settled.has_failed() && !step.continue_on_error;
            look.extend(graph.settle(place, failed));
        }
    }

    fn at(&self, members: &[usize], place: u32) -> &Step {
        &self.definition.steps()[members[place as usize]]
    }

    /// Why what the step needs does not let it run, if it does not.
    fn not_joined(&self, step: &Step, within: Within<'_>) -> Option<Skip> {
        // Nothing has to be looked at for either.
        if step.needs.is_empty() || step.join == Join::AllDone {
            return None;
        }
        let needs = step.needs.iter().map(|index| {
            let need = &self.definition.steps()[*index];
            (&need.id, self.outcome(need, within))
        });
        let needs: Vec<_> = needs.collect();
        let count = |wanted| {
            needs
                .iter()
                .filter(|(_, outcome)| *outcome == wanted)
                .count()
        };
        let failed = count(Outcome::Failed);
        let skipped = count(Outcome::Skipped);
        let succeeded = needs.len() - failed - skipped;
        if step.join.lets_run(succeeded, failed, skipped) {
            return None;
        }
        let failures_alone = step.join == Join::NoneFailedMinOneSuccess && failed > 0;
        let blocking = needs.into_iter().filter(|(_, outcome)| match outcome {
            Outcome::Failed => true,
            Outcome::Skipped => !failures_alone,
            Outcome::Success => false,
        });
        Some(Skip::Join {
            needs: blocking.map(|(id, _)| id.clone()).collect(),
        })
    }

    fn outcome(&self, step: &Step, within: Within<'_>) -> Outcome {
        let record = self.record(step, within);
        match record
            .and_then(StepRecord::settled)
            .map(|settled| &settled.result)
        {
            Some(StepResult::Completed { .. }) => Outcome::Success,
            Some(StepResult::Failed { .. }) if step.continue_on_error => Outcome::Success,
            Some(StepResult::Skipped) => Outcome::Skipped,
            Some(StepResult::Failed { .. }) | None => Outcome::Failed,
        }
    }
}

/// Whether nothing of a member has begun: it waits for its turn, perhaps after a reset.
fn is_fresh(record: &StepRecord) -> bool {
    record.phase == StepPhase::Pending && record.attempts() == 0
}
