//! What all processes of one simulation share: the store, time, who lives, and what was promised to whom.

use milepost::store::prelude::*;
use milepost_tests::now::Now as _;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use milepost::record;
use milepost::store::memory::MemoryStore;
use milepost::store::{Filter, StoreClock, StoredEntry};
use milepost_core::event::Entry;
use milepost_core::ids::RunId;
use milepost_core::time::Timestamp;
use milepost_tests::read_back::Differences;
use milepost_tests::rng::Rng;
use tokio::time::Instant;

use crate::process::Process;

/// When every simulation begins, by a clock that is right.
pub(crate) const START: Timestamp = Timestamp::from_nanos(1_700_000_000_000_000_000);

/// What was acknowledged: none of it may ever be lost.
#[derive(Debug, Default)]
pub(crate) struct Promises {
    /// Journal entries of acknowledged writes.
    pub(crate) entries: BTreeMap<(RunId, u64), StoredEntry>,
    /// Runs whose start was acknowledged.
    pub(crate) starts: BTreeSet<RunId>,
    /// Data of acknowledged signals.
    pub(crate) signals: Vec<(RunId, u64)>,
    /// Runs whose cancellation was acknowledged, with the number of calls at that time.
    pub(crate) cancelled: BTreeMap<RunId, usize>,
    /// Those that were told that it is done already.
    pub(crate) over: BTreeSet<RunId>,
}

pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) rng: Rng,
    pub(crate) began: Instant,
    /// Faults happen, and steps misbehave.
    pub(crate) stormy: AtomicBool,
    pub(crate) folder: tempfile::TempDir,
    /// What was read back otherwise than it was saved.
    pub(crate) differences: Differences,
    promises: Mutex<Promises>,
    /// Live processes by pid.
    processes: Mutex<BTreeMap<u32, Arc<Process>>>,
    last_pid: AtomicU32,
    /// Steps that were called: run, path, attempt.
    calls: Mutex<Vec<(RunId, String, u32)>>,
    lines: Mutex<Vec<String>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let began = Instant::now();
        let right = StoreClock::new(move || START.after(began.elapsed()));
        Self {
            seed,
            store: Arc::new(MemoryStore::with_clock(right)),
            rng: Rng::new(seed),
            began,
            stormy: AtomicBool::new(true),
            folder: tempfile::tempdir().unwrap(),
            differences: Differences::default(),
            promises: Mutex::default(),
            processes: Mutex::default(),
            last_pid: AtomicU32::new(0),
            calls: Mutex::default(),
            lines: Mutex::default(),
        }
    }

    pub(crate) fn is_stormy(&self) -> bool {
        self.stormy.load(Ordering::Relaxed)
    }

    /// A new process.
    pub(crate) fn process(self: &Arc<Self>) -> Arc<Process> {
        let pid = self.last_pid.fetch_add(1, Ordering::Relaxed) + 1;
        let process = Arc::new(Process::new(Arc::clone(self), pid));
        lock(&self.processes).insert(pid, Arc::clone(&process));
        process
    }

    /// The process of that id, while it lives.
    pub(crate) fn living(&self, pid: u32) -> Option<Arc<Process>> {
        lock(&self.processes).get(&pid).cloned()
    }

    pub(crate) fn bury(&self, pid: u32) {
        lock(&self.processes).remove(&pid);
    }

    /// Ends all processes. Each holds the world that holds it: without this, nothing of a seed would ever be given back.
    pub(crate) fn bury_all(&self) {
        let processes = std::mem::take(&mut *lock(&self.processes));
        // Not under the lock: what ends may still ask who lives.
        drop(processes);
    }

    pub(crate) fn promises(&self) -> MutexGuard<'_, Promises> {
        lock(&self.promises)
    }

    pub(crate) fn called(&self, run: &RunId, path: &str, attempt: u32) {
        lock(&self.calls).push((run.clone(), path.to_owned(), attempt));
    }

    /// How many calls there were, and those of one run since then.
    pub(crate) fn calls(&self) -> Vec<(RunId, String, u32)> {
        lock(&self.calls).clone()
    }

    pub(crate) fn say(&self, line: String) {
        let at = self.began.elapsed().as_millis();
        lock(&self.lines).push(format!("{at} {line}"));
    }

    pub(crate) fn runs(&self) -> Vec<RunId> {
        let rows = self.store.list(&Filter::default()).now().unwrap().rows;
        rows.into_iter().map(|row| row.id).collect()
    }

    pub(crate) fn journal(&self, run: &RunId) -> Vec<Entry> {
        record::journal(self.store.as_ref(), run, 0, usize::MAX)
            .now()
            .unwrap()
    }

    /// Everything that happened, as text.
    pub(crate) fn trace(&self) -> String {
        let mut trace = lock(&self.lines).join("\n");
        for run in self.runs() {
            for entry in self.journal(&run) {
                trace.push_str(&format!(
                    "\n{run} {} {} {} {:?}",
                    entry.seq, entry.at, entry.epoch.0, entry.event
                ));
            }
        }
        // The folder of the definitions is another one each time.
        trace.replace(&self.folder.path().display().to_string(), "")
    }
}
