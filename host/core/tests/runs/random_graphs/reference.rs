//! What is known of a run: what its journal says, member by member. A scheduler as simple as can be goes over that, see `expected`.

use std::collections::{BTreeMap, BTreeSet};

use milepost_core::definition::EndStatus;
use milepost_core::event::{
    Entry, Event, ForEachEvent, LoopEvent, ResumeCause, RunEvent, RunResumed, StepEvent, WaitEvent,
};
use milepost_core::ids::StepId;
use milepost_core::time::Timestamp;
use milepost_core::wait::Verdict;

use super::generate::{Kind, Made};

pub(super) struct Reference<'a> {
    pub(super) made: &'a Made,
    pub(super) parallel: usize,
    /// Present or last execution of each member, in each item of the fan-outs around it; and of items.
    pub(super) records: BTreeMap<Slot, Record>,
    /// The run is about to end so.
    pub(super) ending: Option<EndStatus>,
    pub(super) finally_since: Option<Timestamp>,
}

/// A member, and its items.
type Slot = (usize, Vec<u32>);

#[derive(Default)]
pub(super) struct Record {
    pub(super) path: String,
    pub(super) phase: Phase,
    /// How many attempts were made, or how often it waited.
    attempts: u32,
    pub(super) deadline: Option<Timestamp>,
    /// How it ended last, in whatever iteration.
    pub(super) seen: Option<Ended>,
    /// Whether its list was evaluated.
    fanned_out: bool,
}

#[derive(Clone, Copy, PartialEq, Default)]
pub(super) enum Phase {
    #[default]
    Pending,
    InFlight,
    Retry(Timestamp),
    /// And when it goes on by itself.
    Paused(Option<Timestamp>),
    Waiting(Option<Timestamp>),
    Looping(u32, Option<bool>),
    /// With so many items.
    FannedOut(u32),
    InItem,
    Ended(Ended),
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Ended {
    /// With the number in its output.
    Completed(i64),
    Failed,
    Skipped,
}

impl Record {
    pub(super) fn has_begun(&self) -> bool {
        self.phase != Phase::Pending || self.attempts > 0
    }

    fn settle(&mut self, ended: Ended) {
        self.phase = Phase::Ended(ended);
        self.seen = Some(ended);
        self.deadline = None;
    }

    /// As if it had not run.
    fn reset(&mut self) {
        self.phase = Phase::Pending;
        (self.seen, self.deadline) = (None, None);
    }
}

/// The items that a path names, from the outside in.
pub(super) fn items_of(path: &str) -> Vec<u32> {
    let parts = path.split('[').skip(1);
    parts
        .map(|part| part.split(']').next().unwrap().parse().unwrap())
        .collect()
}

/// Whether something stands in the loop or fan-out at `outer`, or in the item.
pub(super) fn is_within(path: &str, outer: &str) -> bool {
    let rest = path.strip_prefix(outer);
    rest.is_some_and(|rest| rest.starts_with(['#', '[', '/']))
}

impl<'a> Reference<'a> {
    pub(super) fn new(made: &'a Made, parallel: usize) -> Self {
        Self {
            made,
            parallel,
            records: BTreeMap::new(),
            ending: None,
            finally_since: None,
        }
    }

    pub(super) fn member(&self, id: &str) -> usize {
        let mut members = self.made.members.iter();
        members.position(|member| member.id == id).unwrap()
    }

    /// What is known of this very execution.
    pub(super) fn at(&self, index: usize, path: &str) -> Option<&Record> {
        let record = self.records.get(&(index, items_of(path)))?;
        (record.path == path).then_some(record)
    }

    pub(super) fn in_flight(&self) -> Vec<String> {
        let flying = self.records.values();
        let flying = flying.filter(|record| record.phase == Phase::InFlight);
        let mut paths: Vec<_> = flying.map(|record| record.path.clone()).collect();
        paths.sort();
        paths
    }

    /// Takes note of an event.
    pub(super) fn fold(&mut self, entry: &Entry) {
        match &entry.event {
            Event::Step { path, event } => {
                let index = self.member(path.step().as_str());
                self.fold_step(index, &path.to_string(), event);
            }
            Event::Run(RunEvent::Claimed { .. }) => {
                for record in self.records.values_mut() {
                    if record.phase == Phase::InFlight {
                        record.phase = Phase::Pending;
                    }
                }
            }
            Event::Run(RunEvent::Resumed(resumed)) => self.resume(resumed),
            Event::Run(RunEvent::Finishing { ending }) => self.ending = Some(ending.status()),
            Event::Run(RunEvent::FinallyStarted) => self.finally_since = Some(entry.at),
            Event::Run(
                RunEvent::Completed { .. } | RunEvent::Failed { .. } | RunEvent::Cancelled { .. },
            ) => (self.ending, self.finally_since) = (None, None),
            Event::Run(_) => {}
        }
    }

    fn fold_step(&mut self, index: usize, path: &str, event: &StepEvent) {
        let kind = &self.made.members[index].kind;
        let slot = (index, items_of(path));
        let record = self.records.entry(slot).or_default();
        if record.path != path {
            let seen = record.seen.take();
            *record = Record {
                path: path.to_owned(),
                seen,
                ..Record::default()
            };
        }
        match event {
            StepEvent::Started(started) => {
                record.attempts = started.attempt;
                record.phase = Phase::InFlight;
            }
            StepEvent::Completed { output, .. } => {
                record.settle(Ended::Completed(output.value()["n"].as_i64().unwrap()));
            }
            StepEvent::AttemptFailed { retry_at, .. } => record.phase = Phase::Retry(*retry_at),
            StepEvent::Failed { .. } => record.settle(Ended::Failed),
            StepEvent::Paused { due_at, .. } => record.phase = Phase::Paused(*due_at),
            StepEvent::Interrupted { .. } | StepEvent::Continued => record.phase = Phase::Pending,
            StepEvent::Skipped(_) => record.settle(Ended::Skipped),
            StepEvent::DeadlineSet { deadline } => record.deadline = Some(*deadline),
            StepEvent::Ends { status, .. } => {
                record.settle(Ended::Completed(0));
                self.ending = Some(*status);
            }
            StepEvent::Wait(WaitEvent::Started { wait }) => {
                record.attempts += 1;
                record.phase = Phase::Waiting(wait.until());
            }
            StepEvent::Wait(WaitEvent::SignalReceived { .. })
                if !matches!(kind, Kind::Signal { .. }) =>
            {
                record.phase = Phase::Pending;
            }
            StepEvent::Wait(WaitEvent::ApprovalDecided {
                decision, rework, ..
            }) => {
                record.settle(Ended::Completed(0));
                if !rework.is_empty() {
                    assert_eq!(*decision, Verdict::Rejected);
                    record.phase = Phase::Pending;
                    self.rework(index, path, rework);
                }
            }
            StepEvent::Wait(_) | StepEvent::Loop(LoopEvent::Completed { .. }) => {
                record.settle(Ended::Completed(0));
            }
            StepEvent::Loop(LoopEvent::IterationStarted { iteration }) => {
                record.phase = Phase::Looping(*iteration, None);
            }
            StepEvent::Loop(LoopEvent::IterationEnded {
                iteration,
                condition_met,
            }) => record.phase = Phase::Looping(*iteration, Some(*condition_met)),
            StepEvent::ForEach(ForEachEvent::Started { items, kept }) => {
                let items = u32::try_from(items.value().as_array().unwrap().len()).unwrap();
                record.phase = Phase::FannedOut(items);
                record.fanned_out = true;
                self.renew_items(index, path, *kept);
            }
            StepEvent::ForEach(ForEachEvent::ItemStarted) => record.phase = Phase::InItem,
            StepEvent::ForEach(_) => record.settle(Ended::Completed(0)),
        }
    }

    /// The same list again: what completed is kept, the other items begin anew with all that stands in them.
    fn renew_items(&mut self, index: usize, path: &str, kept: u32) {
        let completed = |((at, _), record): (&Slot, &Record)| {
            let item = *at == index && record.path != path && is_within(&record.path, path);
            let completed = matches!(record.phase, Phase::Ended(Ended::Completed(_)));
            (item && completed).then(|| record.path.clone())
        };
        let same: Vec<String> = self.records.iter().filter_map(completed).collect();
        for record in self.records.values_mut() {
            let is_kept = |item: &String| record.path == *item || is_within(&record.path, item);
            if record.path != path && is_within(&record.path, path) && !same.iter().any(is_kept) {
                record.reset();
            }
        }
        assert_eq!(kept as usize, same.len(), "items of {path} that are kept");
    }

    /// The steps that run again when a rejection repeats the work: from the named one on what builds upon it, up to the approval.
    fn rework(&mut self, gate: usize, path: &str, steps: &[StepId]) {
        let Kind::Gate {
            rework: Some(rework),
            ..
        } = &self.made.members[gate].kind
        else {
            panic!("{path} has no rework");
        };
        let made = self.made;
        let mut again = BTreeSet::new();
        let parent = made.members[gate].parent;
        // A sequence names the steps with `finally` between them that read of it, too, which have not run yet.
        let ends = made.at_the_end().filter(|_| parent.is_none());
        let beside: BTreeSet<usize> = made.scope(parent).chain(ends).collect();
        for index in beside {
            let builds_upon = match made.is_graph(parent) {
                true => made.needs(index, rework.from) && made.needs(gate, index),
                false => {
                    let read = made.read_by(index);
                    let reads = read.contains(&gate) || !read.is_disjoint(&again);
                    (rework.from..gate).contains(&index) && reads
                }
            };
            if index == rework.from || builds_upon {
                again.extend(made.subtree(index));
            }
        }
        assert_eq!(self.named(steps), again, "what {path} repeats");
        let items = items_of(path);
        for ((index, own), record) in &mut self.records {
            if again.contains(index) && own.starts_with(&items) {
                record.reset();
            }
        }
    }

    fn named(&self, steps: &[StepId]) -> BTreeSet<usize> {
        let ids = steps.iter().map(|id| self.member(id.as_str()));
        ids.collect()
    }

    fn resume(&mut self, resumed: &RunResumed) {
        if resumed.cause == ResumeCause::Retry {
            (self.ending, self.finally_since) = (None, None);
        } else {
            assert!(resumed.reset.is_empty() && resumed.reopened.is_empty());
            assert!(resumed.items.reset.is_empty() && resumed.items.reopened.is_empty());
        }
        let (reset, closed) = (self.named(&resumed.reset), self.named(&resumed.closed));
        let items = &resumed.items;
        for ((index, _), record) in &mut self.records {
            let is_named = |paths: &[milepost_core::ids::Path]| {
                paths.iter().any(|path| path.to_string() == record.path)
            };
            let waits = matches!(record.phase, Phase::Waiting(_));
            if matches!(record.phase, Phase::Paused(_)) && !is_named(&resumed.paused)
                || waits && closed.contains(index)
            {
                record.phase = Phase::Pending;
            }
            let reopens = is_named(&items.reopened);
            if reset.contains(index) || is_named(&items.reset) {
                record.reset();
            } else if reopens {
                let items = match self.made.members[*index].kind {
                    Kind::Each { items, .. } => items,
                    _ => panic!("{} is reopened", record.path),
                };
                record.phase = match record.path.ends_with(']') {
                    true => Phase::InItem,
                    false => Phase::FannedOut(items),
                };
            }
        }
    }
}

impl Reference<'_> {
    /// The steps of a failed run that run again from the start when a person retries, perhaps from a path of the top level on. `None` where
    /// the run ended inside of an item: what goes on there is another matter.
    pub(super) fn retried(&self, from: Option<&str>) -> Option<BTreeSet<String>> {
        let made = self.made;
        let mut again: BTreeSet<usize> = made.at_the_end().collect();
        // Of these, some items do.
        let mut reopened = BTreeSet::new();
        for index in made.scope(None) {
            let id = &made.members[index].id;
            let named = from.is_some_and(|from| from.split('[').next() == Some(id));
            let top = self.at(index, id);
            let failed = top.is_some_and(|record| record.phase == Phase::Ended(Ended::Failed));
            let has_items = top.is_some_and(|record| record.fanned_out);
            match has_items {
                true if failed || named => drop(reopened.insert(index)),
                false if failed || named => again.extend(made.subtree(index)),
                _ => {}
            }
        }
        for ((index, items), record) in &self.records {
            let ends = matches!(made.members[*index].kind, Kind::End { .. });
            if ends && matches!(record.phase, Phase::Ended(Ended::Completed(_))) {
                if !items.is_empty() {
                    return None;
                }
                again.extend(made.subtree(made.outermost(*index)));
            }
        }
        let recorded: BTreeSet<usize> = self.records.keys().map(|(index, _)| *index).collect();
        loop {
            let before = again.len();
            for index in made.scope(None) {
                let touched: BTreeSet<usize> = again.union(&reopened).copied().collect();
                let builds_upon = match made.graph {
                    true => touched.iter().any(|other| made.needs(index, *other)),
                    false => {
                        let inside = touched.iter().flat_map(|other| made.subtree(*other));
                        let earlier: BTreeSet<usize> = inside
                            .filter(|other| made.outermost(*other) < index)
                            .collect();
                        // What was never come to, as behind a condition of what holds it, has read nothing.
                        let inside = made.subtree(index);
                        let come_to = inside.intersection(&recorded);
                        let mut read = come_to.flat_map(|at| made.read_at(*at));
                        read.any(|read| earlier.contains(&read))
                    }
                };
                if builds_upon {
                    again.extend(made.subtree(index));
                }
            }
            if again.len() == before {
                break;
            }
        }
        let ids = again.intersection(&recorded);
        Some(ids.map(|index| made.members[*index].id.clone()).collect())
    }
}
