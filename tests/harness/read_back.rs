//! After every write the run is read back from the store, and must equal the live state.

use crate::now::Now as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use milepost::engine::{Notice, Observer, Trouble};
use milepost::record::{self, RecordError};
use milepost::store::{Store, StoreError};
use milepost_core::ids::RunId;
use milepost_core::state::RunState;

/// What did not come back as it was saved.
#[derive(Clone, Default)]
pub struct Differences(Arc<Mutex<Found>>);

#[derive(Default)]
struct Found {
    compared: usize,
    differences: Vec<String>,
}

impl Differences {
    fn found(&self) -> MutexGuard<'_, Found> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many states were compared; each equalled what was saved.
    ///
    /// # Panics
    /// When one did not.
    #[must_use]
    pub fn none_of(&self) -> usize {
        let found = self.found();
        assert!(found.differences.is_empty(), "{}", found.differences[0]);
        found.compared
    }
}

/// An observer that reads back, and hands on to another one.
pub struct ReadBack {
    /// The store itself, past whatever stands between it and the engine.
    pub store: Arc<dyn Store>,
    /// Told what an observer is told.
    pub then: Arc<dyn Observer>,
    /// Where the differences go.
    pub differences: Differences,
}

impl Observer for ReadBack {
    fn notice(&self, run: &RunId, notice: Notice<'_>) {
        self.then.notice(run, notice);
    }

    fn trouble(&self, run: Option<&str>, trouble: Trouble<'_>) {
        self.then.trouble(run, trouble);
    }

    fn saved(&self, live: &RunState) {
        let run = &live.created().run;
        let difference = match record::load(self.store.as_ref(), run).now() {
            // Somebody moved it on meanwhile, or removed it.
            Ok(recorded)
                if (recorded.state.seq(), recorded.state.epoch()) > (live.seq(), live.epoch()) =>
            {
                return;
            }
            Err(RecordError::Store(StoreError::NotFound(_))) => return,
            Ok(recorded) if recorded.state == *live => None,
            Ok(recorded) => Some(format!(
                "run {run} after event {}: saved\n{live:?}\nread back\n{:?}",
                live.seq(),
                recorded.state
            )),
            Err(error) => Some(format!("run {run} after event {}: {error}", live.seq())),
        };
        let mut found = self.differences.found();
        found.compared += 1;
        found.differences.extend(difference);
    }
}
