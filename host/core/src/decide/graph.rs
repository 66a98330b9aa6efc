//! Graphs: members start when what they need is settled, in file order, as many at a time as there may be.

use super::{Action, Decider, Scope, Standing, Walk};
use crate::definition::{Join, OnFailure, Step};
use crate::event::{Skip, StepEvent};
use crate::frontier::{Came, Graph, Needs};
use crate::open::Due;
use crate::state::{Settled, StepPhase, StepRecord, StepResult};
use crate::within::Within;

impl Decider<'_> {
    /// Every member that can move does, in the order of the file. The cost is that of what has changed: of the members that something
    /// happened to, and of those that it lets move.
    pub(super) fn graph(
        &self,
        members: &[usize],
        within: Within<'_>,
        graph: &mut Graph,
        walk: &mut Walk<'_>,
    ) -> Scope {
        graph.open.wake_due(self.now);
        self.pass_settled(members, within, graph);
        let at_the_end = members
            .first()
            .is_some_and(|first| self.definition.steps()[*first].finally);
        let stopped = graph.failed && self.definition.on_failure == OnFailure::Stop && !at_the_end;
        let mut open = false;
        let mut from = 0;
        while let Some(place) = graph.next(from, walk.free > 0, stopped) {
            from = place + 1;
            open |= self.move_on(members, within, (graph, place), stopped, walk);
        }
        walk.due.join(&graph.open.due());
        let starved = graph.has_ready() && !stopped;
        walk.wanting |= starved || graph.open.any_wanting();
        match open || starved || graph.open.any_still() {
            true => Scope::Open,
            false => Scope::Done,
        }
    }

    /// A member moves on as far as it can. Returns whether it keeps the graph open.
    fn move_on(
        &self,
        members: &[usize],
        within: Within<'_>,
        (graph, place): (&mut Graph, u32),
        stopped: bool,
        walk: &mut Walk<'_>,
    ) -> bool {
        let step = self.at(members, place);
        let record = self.record(step, within);
        let fresh = record.is_none_or(StepRecord::is_fresh);
        if fresh && stopped {
            graph.put_off(place);
            return false;
        }
        // What was reset is judged again: what it needs may have come out otherwise.
        let idle = record.is_none_or(|record| record.phase == StepPhase::Pending);
        if idle
            && !graph.is_ready(place)
            && let Some(skip) = self.not_joined(step, graph.needs(place), within)
        {
            let path = within.member(&step.id);
            let _open = walk.act(Action::record(&path, StepEvent::Skipped(skip)));
            return true;
        }
        let (standing, apart) = walk.apart(|walk| self.standing(step, record, within, walk));
        if apart.acted || standing != Standing::Open {
            graph.look_at(place);
        } else if fresh && apart.wanting && apart.due == Due::default() {
            graph.put_off(place);
        } else {
            graph.open.rest(place, apart.due, apart.wanting);
        }
        true
    }

    /// Leaves behind what was settled since the last decision, and what was settled with it before this frontier saw it.
    fn pass_settled(&self, members: &[usize], within: Within<'_>, graph: &mut Graph) {
        let mut look: Vec<u32> = graph.open.looked_at().collect();
        while let Some(place) = look.pop() {
            let step = self.at(members, place);
            let record = self.record(step, within);
            let Some(settled) = record.and_then(StepRecord::settled) else {
                continue;
            };
            look.extend(graph.settle(place, came(step, settled)));
        }
    }

    fn at(&self, members: &[usize], place: u32) -> &Step {
        &self.definition.steps()[members[place as usize]]
    }

    /// Why what the step needs does not let it run, if it does not.
    fn not_joined(&self, step: &Step, needs: Needs, within: Within<'_>) -> Option<Skip> {
        // Nothing has to be looked at for either.
        if step.needs.is_empty() || step.join == Join::AllDone {
            return None;
        }
        let Needs {
            succeeded,
            failed,
            skipped,
            ..
        } = needs;
        if step.join.lets_run(succeeded, failed, skipped) {
            return None;
        }
        let failures_alone = step.join == Join::NoneFailedMinOneSuccess && failed > 0;
        let needed = step
            .needs
            .iter()
            .map(|index| &self.definition.steps()[*index]);
        let blocking = needed.filter(|need| {
            let settled = self.record(need, within).and_then(StepRecord::settled);
            match settled.map(|settled| came(need, settled)) {
                Some(Came::Success) => false,
                Some(Came::Skipped) => !failures_alone,
                Some(Came::Failed) | None => true,
            }
        });
        Some(Skip::Join {
            needs: blocking.map(|need| need.id.clone()).collect(),
        })
    }
}

fn came(step: &Step, settled: &Settled) -> Came {
    match &settled.result {
        StepResult::Completed { .. } => Came::Success,
        StepResult::Failed { .. } if step.continue_on_error => Came::Success,
        StepResult::Failed { .. } => Came::Failed,
        StepResult::Skipped => Came::Skipped,
    }
}
