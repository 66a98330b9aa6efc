//! What an engine counts for whoever watches it, and how to read that back: each process adds what it counted to the counters of
//! its store, so that it can be read from any other one.
//!
//! Counting is a handful of additions to numbers in memory. They reach the store with the beat of the keeper, and when the engine is
//! dropped; a process that is killed loses what it counted since.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use milepost_core::event::{
    ChildEnding, ClaimCause, Entry, Event, ForEachEvent, LoopEvent, RunEvent, StepEvent, WaitEvent,
};
use milepost_core::outcome::Outcome;
use milepost_core::state::{RunState, StepResult};
use milepost_store::{Count, Store, StoreError, Write};
use tokio::time::Instant;

/// How often counters are saved while there is something new.
pub(crate) const SAVED_EVERY: Duration = Duration::from_secs(10);

/// Something that is counted or measured.
#[derive(Debug, PartialEq, Eq)]
pub struct Family {
    /// Its name, with the unit as its last word, or `total`.
    pub name: &'static str,
    /// What it is, for people.
    pub help: &'static str,
    /// How it is counted.
    pub kind: Kind,
}

/// How something is counted.
#[derive(Debug, PartialEq, Eq)]
pub enum Kind {
    /// One number that only rises.
    Total,
    /// One for each value of a label.
    By {
        /// The label.
        label: &'static str,
        /// All values that it may have.
        values: &'static [&'static str],
    },
    /// How often an amount fell into each of some ranges.
    Histogram {
        /// The largest amount of each range but the last, which has no end.
        bounds: &'static [u64],
        /// So many make one of the unit in the name.
        per_unit: u64,
    },
}

impl Family {
    /// How many numbers it has.
    const fn size(&self) -> usize {
        match &self.kind {
            Kind::Total => 1,
            Kind::By { values, .. } => values.len(),
            // A number for each range, and the sum of all amounts.
            Kind::Histogram { bounds, .. } => bounds.len() + 2,
        }
    }

    /// The name of one of its numbers, in the store.
    fn counter(&self, number: usize) -> String {
        let name = self.name;
        match &self.kind {
            Kind::Total => name.to_owned(),
            Kind::By { values, .. } => format!("{name}/{}", values[number]),
            Kind::Histogram { bounds, .. } => match number.cmp(&bounds.len()) {
                std::cmp::Ordering::Less => format!("{name}/le/{}", bounds[number]),
                std::cmp::Ordering::Equal => format!("{name}/le/inf"),
                std::cmp::Ordering::Greater => format!("{name}/sum"),
            },
        }
    }
}

const COMPLETED: usize = 0;
const FAILED: usize = 1;
const SKIPPED: usize = 2;
const PAUSED: usize = 2;
const CANCELLED: usize = 3;
const INTERRUPTED: usize = 4;

const STEPS: usize = 0;
const ATTEMPTS: usize = 1;
const ATTEMPT_TIME: usize = 2;
const STOPS: usize = 3;
const COMMIT_TIME: usize = 4;
const COMMIT_SIZE: usize = 5;
const RENEWALS: usize = 6;
const RECOVERIES: usize = 7;

/// All that is counted. Names, labels and bounds are what dashboards and alerts are built on: they stay.
pub const FAMILIES: [Family; 8] = [
    Family {
        name: "steps_total",
        help: "Step executions that ended, by outcome; each iteration of a loop and each item of a fan-out counts.",
        kind: Kind::By {
            label: "outcome",
            values: &["completed", "failed", "skipped"],
        },
    },
    Family {
        name: "attempts_total",
        help: "Calls of components that ended, by outcome.",
        kind: Kind::By {
            label: "outcome",
            values: &["completed", "failed", "paused", "cancelled", "interrupted"],
        },
    },
    Family {
        name: "attempt_seconds",
        help: "How long calls of components took.",
        kind: Kind::Histogram {
            bounds: &[
                1_000,
                5_000,
                10_000,
                50_000,
                100_000,
                500_000,
                1_000_000,
                5_000_000,
                10_000_000,
                30_000_000,
                60_000_000,
                300_000_000,
                1_800_000_000,
            ],
            per_unit: 1_000_000,
        },
    },
    Family {
        name: "run_stops_total",
        help: "Runs that stopped, by status; one that is resumed stops again.",
        kind: Kind::By {
            label: "status",
            values: &["completed", "failed", "paused", "cancelled"],
        },
    },
    Family {
        name: "commit_seconds",
        help: "How long the store took to save a change of a run.",
        kind: Kind::Histogram {
            bounds: &[
                100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000,
                500_000, 1_000_000, 5_000_000,
            ],
            per_unit: 1_000_000,
        },
    },
    Family {
        name: "commit_bytes",
        help: "What a change of a run brought to the store: events, checkpoint, log lines, tapes and blobs.",
        kind: Kind::Histogram {
            bounds: &[
                256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216,
            ],
            per_unit: 1,
        },
    },
    Family {
        name: "lease_renewals_total",
        help: "Leases of running runs that were renewed.",
        kind: Kind::Total,
    },
    Family {
        name: "recoveries_total",
        help: "Runs that were taken over because their process had died.",
        kind: Kind::Total,
    },
];

/// Where the numbers of a family begin among all of them.
const fn place(family: usize) -> usize {
    let (mut at, mut place) = (0, 0);
    while at < family {
        place += FAMILIES[at].size();
        at += 1;
    }
    place
}

const NUMBERS: usize = place(FAMILIES.len());

/// The numbers of one process that are not in the store yet.
#[derive(Debug)]
pub(crate) struct Metrics {
    numbers: [AtomicU64; NUMBERS],
    changed: AtomicBool,
    saved: Mutex<Instant>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            numbers: [const { AtomicU64::new(0) }; NUMBERS],
            changed: AtomicBool::new(false),
            saved: Mutex::new(Instant::now()),
        }
    }
}

impl Metrics {
    fn count(&self, family: usize, number: usize, by: u64) {
        self.numbers[place(family) + number].fetch_add(by, Ordering::Relaxed);
        if !self.changed.load(Ordering::Relaxed) {
            self.changed.store(true, Ordering::Relaxed);
        }
    }

    fn measure(&self, family: usize, amount: u64) {
        let Kind::Histogram { bounds, .. } = &FAMILIES[family].kind else {
            return;
        };
        let range = bounds.partition_point(|bound| *bound < amount);
        self.count(family, range, 1);
        self.count(family, bounds.len() + 1, amount);
    }

    fn time(&self, family: usize, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.measure(family, micros);
    }

    /// A change of a run was saved, in that time.
    pub(crate) fn committed(&self, bytes: u64, took: Duration) {
        self.time(COMMIT_TIME, took);
        self.measure(COMMIT_SIZE, bytes);
    }

    /// A call of a component is over; without an outcome it was interrupted.
    pub(crate) fn attempted(&self, outcome: Option<&Outcome>, took: Duration) {
        let outcome = match outcome {
            Some(Outcome::Completed(_)) => COMPLETED,
            Some(Outcome::Failed(_)) => FAILED,
            Some(Outcome::Paused(_)) => PAUSED,
            Some(Outcome::Cancelled(_)) => CANCELLED,
            None => INTERRUPTED,
        };
        self.count(ATTEMPTS, outcome, 1);
        self.time(ATTEMPT_TIME, took);
    }

    /// So many leases were renewed.
    pub(crate) fn renewed(&self, leases: usize) {
        if leases > 0 {
            self.count(RENEWALS, 0, leases as u64);
        }
    }

    /// These events were saved of a run that stands like this after them.
    pub(crate) fn recorded(&self, entries: &[Entry], state: &RunState) {
        for entry in entries {
            match &entry.event {
                Event::Run(event) => {
                    if let Some(status) = stop(event) {
                        self.count(STOPS, status, 1);
                    }
                    let recovers = |cause: &ClaimCause| *cause == ClaimCause::Recovery;
                    if matches!(event, RunEvent::Claimed { cause, .. } if recovers(cause)) {
                        self.count(RECOVERIES, 0, 1);
                    }
                }
                Event::Step { path, event } => {
                    let now = || {
                        let record = state.executions().latest(path)?;
                        Some(&record.settled()?.result)
                    };
                    if let Some(outcome) = ending(event, now) {
                        self.count(STEPS, outcome, 1);
                    }
                }
            }
        }
    }

    /// Whether there is anything that is not in the store.
    pub(crate) fn is_changed(&self) -> bool {
        self.changed.load(Ordering::Relaxed)
    }

    /// Whether it is time to save it.
    pub(crate) fn is_due(&self) -> bool {
        self.is_changed() && self.saved().elapsed() >= SAVED_EVERY
    }

    /// Takes what is not in the store yet.
    pub(crate) fn take(&self) -> Vec<Count> {
        if !self.changed.swap(false, Ordering::Relaxed) {
            return Vec::new();
        }
        *self.saved() = Instant::now();
        let mut counts = Vec::new();
        for (at, family) in FAMILIES.iter().enumerate() {
            for number in 0..family.size() {
                let value = self.numbers[place(at) + number].swap(0, Ordering::Relaxed);
                if value > 0 {
                    let name = family.counter(number);
                    counts.push(Count { name, value });
                }
            }
        }
        counts
    }

    /// Takes back what could not be saved.
    pub(crate) fn give_back(&self, counts: &[Count]) {
        for (at, family) in FAMILIES.iter().enumerate() {
            for number in 0..family.size() {
                let name = family.counter(number);
                if let Some(count) = counts.iter().find(|count| count.name == name) {
                    self.count(at, number, count.value);
                }
            }
        }
    }

    fn saved(&self) -> std::sync::MutexGuard<'_, Instant> {
        self.saved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a write brings to the store, bytes.
pub(crate) fn brought(write: &Write) -> u64 {
    let parts = write.parts.iter().filter_map(|(_, body)| body.as_ref());
    let blobs = write.brought().map(|(_, bytes)| bytes.len());
    let beside: usize = parts.map(String::len).chain(blobs).sum();
    write.bytes() + beside as u64
}

/// How a run stands still with an event.
fn stop(event: &RunEvent) -> Option<usize> {
    match event {
        RunEvent::Completed { .. } => Some(COMPLETED),
        RunEvent::Failed { .. } => Some(FAILED),
        RunEvent::Paused { .. } => Some(PAUSED),
        RunEvent::Cancelled { .. } => Some(CANCELLED),
        RunEvent::Created(_)
        | RunEvent::Claimed { .. }
        | RunEvent::Released { .. }
        | RunEvent::Resumed(_)
        | RunEvent::DefinitionChanged(_)
        | RunEvent::Postponed { .. }
        | RunEvent::Held { .. }
        | RunEvent::ClockCorrected { .. }
        | RunEvent::Finishing { .. }
        | RunEvent::FinallyStarted
        | RunEvent::Compensating { .. } => None,
    }
}

/// How a step ends with an event. What some events come to is seen in the state `now`.
fn ending<'a>(event: &StepEvent, now: impl FnOnce() -> Option<&'a StepResult>) -> Option<usize> {
    match event {
        StepEvent::Completed { .. }
        | StepEvent::Ends { .. }
        | StepEvent::Wait(
            WaitEvent::Ended { .. }
            | WaitEvent::ChildEnded {
                ending: ChildEnding::Completed(_),
                ..
            },
        )
        | StepEvent::Loop(LoopEvent::Completed { .. })
        | StepEvent::ForEach(ForEachEvent::Completed { .. }) => Some(COMPLETED),
        StepEvent::Failed { .. }
        | StepEvent::Wait(WaitEvent::ChildEnded {
            ending: ChildEnding::Failed(_) | ChildEnding::Cancelled(_),
            ..
        }) => Some(FAILED),
        StepEvent::Skipped(_) => Some(SKIPPED),
        StepEvent::Wait(WaitEvent::SignalReceived { .. } | WaitEvent::ApprovalDecided { .. }) => {
            now().map(|result| match result {
                StepResult::Completed { .. } => COMPLETED,
                StepResult::Failed { .. } => FAILED,
                StepResult::Skipped => SKIPPED,
            })
        }
        StepEvent::Started(_)
        | StepEvent::AttemptFailed { .. }
        | StepEvent::Paused { .. }
        | StepEvent::Interrupted { .. }
        | StepEvent::Continued
        | StepEvent::DeadlineSet { .. }
        | StepEvent::Wait(WaitEvent::Started { .. })
        | StepEvent::Loop(LoopEvent::IterationStarted { .. } | LoopEvent::IterationEnded { .. })
        | StepEvent::ForEach(
            ForEachEvent::Started { .. }
            | ForEachEvent::ItemStarted
            | ForEachEvent::ItemCompleted { .. }
            | ForEachEvent::ItemCancelled { .. },
        ) => None,
    }
}

/// The numbers of a family, in the store of all processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// What they are of.
    pub family: &'static Family,
    /// In the order of the family's values or ranges.
    pub numbers: Vec<u64>,
    /// Of a histogram: all amounts together.
    pub sum: u64,
}

/// Reads what all processes have counted; what nobody has is 0.
///
/// # Errors
/// [`StoreError`] when the store cannot be read.
pub async fn read(store: &dyn Store) -> Result<Vec<Reading>, StoreError> {
    let counts = store.counts().await?;
    let value = |name: String| {
        let found = counts.iter().find(|count| count.name == name);
        found.map_or(0, |count| count.value)
    };
    let readings = FAMILIES.iter().map(|family| {
        let numbers = 0..family.size();
        let mut numbers: Vec<u64> = numbers.map(|at| value(family.counter(at))).collect();
        let sum = match family.kind {
            Kind::Histogram { .. } => numbers.pop().unwrap_or_default(),
            Kind::Total | Kind::By { .. } => 0,
        };
        Reading {
            family,
            numbers,
            sum,
        }
    });
    Ok(readings.collect())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use std::collections::BTreeSet;

    use milepost_core::state::Status;
    use milepost_store::memory::MemoryStore;
    use milepost_store::prelude::*;

    use super::*;

    fn all(metrics: &Metrics) -> Vec<(String, u64)> {
        let counts = metrics.take().into_iter();
        counts.map(|count| (count.name, count.value)).collect()
    }

    fn wait<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(future)
    }

    #[test]
    fn amounts_fall_into_the_range_that_they_do_not_exceed() {
        let metrics = Metrics::default();
        for micros in [0, 1_000, 1_001, u64::MAX / 4] {
            metrics.attempted(None, Duration::from_micros(micros));
        }
        let expected = [
            ("attempts_total/interrupted", 4),
            ("attempt_seconds/le/1000", 2),
            ("attempt_seconds/le/5000", 1),
            ("attempt_seconds/le/inf", 1),
            ("attempt_seconds/sum", u64::MAX / 4 + 2_001),
        ];
        assert_eq!(
            all(&metrics),
            expected.map(|(name, value)| (name.to_owned(), value))
        );
        // Taken is taken.
        assert_eq!(all(&metrics), []);
        assert!(!metrics.is_changed());
    }

    #[test]
    fn every_number_has_a_name_of_its_own_and_comes_back() {
        let metrics = Metrics::default();
        let names: BTreeSet<String> = FAMILIES
            .iter()
            .flat_map(|family| (0..family.size()).map(|number| family.counter(number)))
            .collect();
        assert_eq!(names.len(), NUMBERS);
        let counts: Vec<Count> = (1..)
            .zip(&names)
            .map(|(value, name)| Count {
                name: name.clone(),
                value,
            })
            .collect();
        metrics.give_back(&counts);
        let store = MemoryStore::new();
        let mut taken = metrics.take();
        taken.sort_by(|a, b| a.name.cmp(&b.name));
        assert_eq!(taken, counts);
        wait(store.count_up(taken)).unwrap();
        let read = wait(read(&store)).unwrap();
        let numbers = read.iter().map(|reading| {
            let sum = match reading.family.kind {
                Kind::Histogram { .. } => reading.sum,
                _ => 0,
            };
            reading.numbers.iter().sum::<u64>() + sum
        });
        let all = (1..=NUMBERS as u64).sum::<u64>();
        assert_eq!(numbers.sum::<u64>(), all);
    }

    #[test]
    fn the_words_of_run_stops_are_statuses() {
        let Kind::By { values, .. } = FAMILIES[STOPS].kind else {
            panic!("a counter by status");
        };
        let order = [COMPLETED, FAILED, PAUSED, CANCELLED].map(|status| values[status]);
        let words = [
            Status::Completed,
            Status::Failed,
            Status::Paused,
            Status::Cancelled,
        ]
        .map(|status| status.to_string());
        assert_eq!(order.map(str::to_owned), words);
    }
}
