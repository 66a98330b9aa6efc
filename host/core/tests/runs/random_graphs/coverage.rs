//! How often each rule was at work.

use std::collections::BTreeMap;

use milepost_core::event::{
    Entry, Event, ForEachEvent, LoopEvent, ResumeCause, RunEvent, Skip, StepEvent, WaitEvent,
};
use milepost_core::ids::Path;
use milepost_core::outcome::codes;

use super::generate::{Join, Kind, Made, Member};

/// In how many runs each of them was.
#[derive(Default)]
pub(super) struct Coverage(BTreeMap<&'static str, u64>);

const RULES: [&str; 28] = [
    "a loop",
    "a second iteration",
    "a fan-out",
    "an item of a call",
    "an item with members",
    "a failed item",
    "a failed fan-out",
    "a scope in a scope",
    "skipped by its condition",
    "skipped by all_success",
    "skipped by one_success",
    "skipped by none_failed_min_one_success",
    "a failure",
    "a handled failure",
    "an attempt that is tried again",
    "a pause",
    "a paused run",
    "a signal",
    "a time-out",
    "an approval",
    "a rework",
    "a deadline that is met",
    "a deadline that passes",
    "an end",
    "a step with finally",
    "a failed step with finally",
    "a retry",
    "items that a retry keeps",
];

impl Coverage {
    pub(super) fn of(made: &Made, journal: &[Entry]) -> Self {
        let mut all = Self::default();
        for entry in journal {
            match &entry.event {
                Event::Run(RunEvent::FinallyStarted) => all.note("a step with finally"),
                Event::Run(RunEvent::Paused { .. }) => all.note("a paused run"),
                Event::Run(RunEvent::Resumed(resumed)) if resumed.cause == ResumeCause::Retry => {
                    all.note("a retry");
                }
                Event::Run(_) => {}
                Event::Step { path, event } => {
                    let id = path.step().as_str();
                    let member = made.members.iter().find(|member| member.id == id);
                    all.note_step(member.unwrap(), path, event);
                }
            }
        }
        all
    }

    fn note(&mut self, rule: &'static str) {
        assert!(RULES.contains(&rule), "{rule}");
        self.0.insert(rule, 1);
    }

    fn note_step(&mut self, member: &Member, path: &Path, event: &StepEvent) {
        let call = matches!(member.kind, Kind::Call { .. });
        if path.segments().len() > 2 {
            self.note("a scope in a scope");
        }
        match event {
            StepEvent::Failed { error, .. } => {
                match path.is_item() {
                    true => self.note("a failed item"),
                    false => self.note("a failure"),
                }
                if error.code == codes::DEADLINE_EXCEEDED {
                    self.note("a deadline that passes");
                }
                if error.code == codes::ITEMS_FAILED {
                    self.note("a failed fan-out");
                }
                if member.handled && !path.is_item() {
                    self.note("a handled failure");
                }
                if member.finally && !path.is_item() {
                    self.note("a failed step with finally");
                }
            }
            StepEvent::AttemptFailed { .. } => self.note("an attempt that is tried again"),
            StepEvent::Paused { .. } => self.note("a pause"),
            StepEvent::DeadlineSet { .. } => self.note("a deadline that is met"),
            StepEvent::Ends { .. } => self.note("an end"),
            StepEvent::Skipped(Skip::Condition(_)) => self.note("skipped by its condition"),
            StepEvent::Skipped(Skip::Join { .. }) => match member.join {
                Join::AllSuccess => self.note("skipped by all_success"),
                Join::OneSuccess => self.note("skipped by one_success"),
                Join::NoneFailedMinOneSuccess => {
                    self.note("skipped by none_failed_min_one_success");
                }
                Join::AllDone => panic!("`all_done` keeps nothing from running"),
            },
            StepEvent::Wait(WaitEvent::SignalReceived { .. }) => self.note("a signal"),
            StepEvent::Wait(WaitEvent::Ended { .. })
                if !matches!(member.kind, Kind::Nap { .. }) =>
            {
                self.note("a time-out");
            }
            StepEvent::Wait(WaitEvent::ApprovalDecided { rework, .. }) => match rework.is_empty() {
                true => self.note("an approval"),
                false => self.note("a rework"),
            },
            StepEvent::Loop(LoopEvent::IterationStarted { iteration: 1 }) => self.note("a loop"),
            StepEvent::Loop(LoopEvent::IterationStarted { .. }) => self.note("a second iteration"),
            StepEvent::ForEach(ForEachEvent::Started { kept, .. }) => {
                self.note("a fan-out");
                if *kept > 0 {
                    self.note("items that a retry keeps");
                }
            }
            StepEvent::ForEach(ForEachEvent::ItemStarted) => self.note("an item with members"),
            StepEvent::Started(_) if !call && path.is_item() => self.note("an item of a call"),
            _ => {}
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        for (rule, count) in other.0 {
            *self.0.entry(rule).or_default() += count;
        }
    }

    /// Each of them in so many runs at least.
    pub(super) fn must_be_often(&self, least: u64) {
        let rare = RULES.iter().filter_map(|rule| {
            let count = self.0.get(rule).copied().unwrap_or(0);
            (count < least).then(|| format!("{rule}: {count}"))
        });
        let rare: Vec<String> = rare.collect();
        assert!(rare.is_empty(), "fewer than {least}: {rare:#?}");
    }
}
