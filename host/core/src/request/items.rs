//! What goes on in fan-outs when a run continues: the items that failed, and in an item what failed there.

use std::collections::BTreeSet;

use super::again::{Again, add_subtree, reads_any};
use super::resume::Refused;
use crate::definition::{Definition, Flow, ForEachStep, ItemsJoin, Over, Step};
use crate::ids::{Path, StepId};
use crate::state::{RunState, Status, StepPhase, StepRecord};
use crate::within::Within;

/// How much of what failed runs again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// A person resumes: what failed inside of an item.
    Resume,
    /// A person retries: the whole item.
    Retry,
}

/// Looks for what failed, and adds what of it runs again or goes on.
pub(super) struct Repeat<'a> {
    pub(super) definition: &'a Definition,
    pub(super) state: &'a RunState,
    pub(super) how: How,
}

impl Repeat<'_> {
    /// The failed members of a scope.
    pub(super) fn members(&self, members: &[usize], within: Within<'_>, again: &mut Again) {
        let mut reset = BTreeSet::new();
        for index in members {
            let step = &self.definition.steps()[*index];
            let Some(record) = self.state.executions().member(&step.id, within) else {
                continue;
            };
            if let Some(fan_out) = step.for_each()
                && record.items().is_some()
                && self.fan_out(step, fan_out, record, again)
            {
                again.reopened.extend(top_only(step, within));
                continue;
            }
            if !record.has_failed() || self.passed_over(step) {
                continue;
            }
            let iterations = record.settled().and_then(|settled| settled.iterations);
            if self.how == How::Resume && iterations.unwrap_or(0) > 0 {
                match within {
                    Within::Item(_) => again.items.reopened.push(record.path.clone()),
                    Within::Top | Within::Iteration(..) => {
                        again.reopened.insert(step.id.clone());
                    }
                }
            } else {
                add_subtree(self.definition, *index, &mut reset);
            }
        }
        match within {
            Within::Item(item) => {
                self.add_readers(members, &mut reset);
                self.reset_inside(item, &reset, again);
            }
            Within::Top | Within::Iteration(..) => again.reset.extend(reset),
        }
    }

    /// Whether a failure of this step was handled: what comes after it went on from there.
    fn passed_over(&self, step: &Step) -> bool {
        self.how == How::Resume
            && step.continue_on_error
            && self.state.created().rules.handle_failures()
            && self.state.phase().status() == Status::Paused
    }

    /// The failed items of a fan-out that has failed or is at work. Returns whether it goes on.
    fn fan_out(
        &self,
        step: &Step,
        fan_out: &ForEachStep,
        record: &StepRecord,
        again: &mut Again,
    ) -> bool {
        let failed = record.has_failed() && !self.passed_over(step);
        let open = record.phase == StepPhase::FannedOut;
        if !failed && !open {
            return false;
        }
        if failed {
            again.items.reopened.push(record.path.clone());
        }
        // What failed is part of the output that is asked for.
        let handled = open
            && self.how == How::Resume
            && fan_out.join == ItemsJoin::AllDone
            && self.state.phase().status() == Status::Paused;
        let items = record.items().map_or(0, |items| items.len());
        for index in 0..items {
            let path = record.path.item(index);
            let Some(item) = self.state.executions().at(&path) else {
                continue;
            };
            let repeats = item.has_failed() && !item.is_kept() && !handled;
            match &fan_out.over {
                Over::Call(_) | Over::Child(_) if repeats => again.items.reset.push(path),
                Over::Body { .. } if repeats && self.how == How::Retry => {
                    self.whole_item(step, &path, again);
                }
                Over::Body { members, .. } if repeats || item.phase == StepPhase::InItem => {
                    if repeats {
                        again.items.reopened.push(path.clone());
                    }
                    self.members(members, Within::Item(&path), again);
                }
                Over::Call(_) | Over::Child(_) | Over::Body { .. } => {}
            }
        }
        failed
    }

    /// An item runs again from the start.
    fn whole_item(&self, step: &Step, item: &Path, again: &mut Again) {
        again.items.reset.push(item.clone());
        let mut inside = BTreeSet::new();
        for member in step.members() {
            add_subtree(self.definition, *member, &mut inside);
        }
        self.reset_inside(item, &inside, again);
    }

    /// Adds whatever reads a step of `reset`, or needs one in a graph, of the members of one scope.
    fn add_readers(&self, members: &[usize], reset: &mut BTreeSet<StepId>) {
        let step = |index: &usize| &self.definition.steps()[*index];
        let parent = members.first().and_then(|index| step(index).parent);
        if self.definition.flow_in(parent) == Flow::Graph {
            let again = members.iter().copied();
            let again = again.filter(|index| reset.contains(&step(index).id));
            for index in self.definition.needing(again) {
                add_subtree(self.definition, index, reset);
            }
            return;
        }
        loop {
            let before = reset.len();
            for index in members {
                if !reset.is_empty() && reads_any(self.definition, *index, reset) {
                    add_subtree(self.definition, *index, reset);
                }
            }
            if reset.len() == before {
                return;
            }
        }
    }

    /// These steps run again, in one item.
    fn reset_inside(&self, item: &Path, steps: &BTreeSet<StepId>, again: &mut Again) {
        for id in steps {
            let records = self.state.executions().inside(id, item);
            let paths = records.iter().map(|record| record.path.clone());
            again
                .items
                .reset
                .extend(paths.filter(|path| item.holds(path)));
        }
    }

    /// The execution at a path runs again, and what has read it: an item, a step inside of one, or a fan-out, whose items keep what
    /// they came to where they are the same again.
    ///
    /// # Errors
    /// [`Refused`] when nothing is recorded there, or it stands in an earlier iteration of a loop, or is a member of one: that goes on
    /// as a whole.
    pub(super) fn from(&self, path: &Path, again: &mut Again) -> Result<(), Refused> {
        let nothing = || Refused::NothingAt(path.clone());
        let definition = self.definition;
        let index = definition.index_of(path.step()).ok_or_else(nothing)?;
        let record = self.state.executions().at(path).ok_or_else(nothing)?;
        let step = &definition.steps()[index];
        let has_items = || step.for_each().is_some() && record.items().is_some();
        let in_items = path.innermost_item().is_some();
        if path.innermost_loop().is_some() && !in_items && !has_items() {
            return Err(nothing());
        }
        let mut at = path.clone();
        if path.is_item() {
            self.whole_item(step, path, again);
        } else if step.for_each().is_some() && record.items().is_some() {
            again.items.reset.push(path.clone());
        } else if let Some(item) = path.innermost_item() {
            let mut reset = BTreeSet::new();
            add_subtree(definition, index, &mut reset);
            self.reset_inside(&item, &reset, again);
        }
        // Outwards: whatever holds it goes on.
        loop {
            if let Some((fan_out, _)) = at.fan_out() {
                if at != *path {
                    self.reopen(&at, again);
                }
                if fan_out != *path {
                    self.reopen(&fan_out, again);
                }
                at = fan_out;
                continue;
            }
            let Some(around) = at.parent() else {
                break;
            };
            let outer = definition.step(around.step()).ok_or_else(nothing)?;
            let mut reset = BTreeSet::from([at.step().clone()]);
            self.add_readers(outer.members(), &mut reset);
            reset.remove(at.step());
            if around.is_item() {
                self.reset_inside(&around, &reset, again);
            } else {
                self.in_iteration(&at, &around, &reset, again)
                    .ok_or_else(nothing)?;
            }
            at = around;
        }
        again.reopened.insert(at.step().clone());
        Ok(())
    }

    /// The loop goes on in the iteration that this path stands in, with these members of it from the start; `None` when it is in a
    /// later one.
    fn in_iteration(
        &self,
        path: &Path,
        around: &Path,
        members: &BTreeSet<StepId>,
        again: &mut Again,
    ) -> Option<()> {
        let record = self.state.executions().at(around)?;
        let present = match &record.phase {
            StepPhase::Looping { iteration, .. } => Some(*iteration),
            StepPhase::Settled(settled) => settled.iterations,
            _ => None,
        };
        let iteration = present.filter(|present| path.is_inside(around, *present))?;
        for id in members {
            let records = self.state.executions().of_step(id);
            let paths = records.iter().map(|record| record.path.clone());
            let inside = paths.filter(|path| path.is_inside(around, iteration));
            again.items.reset.extend(inside);
        }
        if around.parent().is_some() {
            self.reopen(around, again);
        }
        Some(())
    }

    fn reopen(&self, path: &Path, again: &mut Again) {
        let record = self.state.executions().at(path);
        if record.is_some_and(|record| record.settled().is_some()) {
            again.items.reopened.push(path.clone());
        }
    }
}

/// At the top, readers are found by the step.
fn top_only(step: &Step, within: Within<'_>) -> Option<StepId> {
    (within == Within::Top).then(|| step.id.clone())
}
