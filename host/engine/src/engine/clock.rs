//! The clock of an engine: the machine's, or another one, until its store turns out to have a clock of its own. From then on it
//! follows that, so that all who share the store agree what time it is.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use milepost_core::time::Timestamp;

use crate::attempt::BoxFuture;
use crate::clock::Clock;
use crate::store::Store;

/// How long an answer of the store holds.
const FOLLOWS_FOR: Duration = Duration::from_secs(10);

/// How long the time stands still, rather than stepping back, when the store's turns out to be earlier.
const STANDS: Duration = Duration::from_secs(5);

/// Goes on by the monotonic clock between two answers of the store, and does not step back by little, as their travelling times
/// differ.
pub(super) struct Following {
    own: Arc<dyn Clock>,
    /// Whether the store's time was ever seen: without it, no reading of the clock waits for another.
    follows: AtomicBool,
    state: Mutex<Followed>,
}

#[derive(Default)]
struct Followed {
    /// What time it was by the store, and by the monotonic clock when it was.
    seen: Option<(Timestamp, Duration)>,
    /// When the store was asked last, by the monotonic clock.
    asked: Option<Duration>,
    /// The latest time that was told.
    told: Timestamp,
    /// The store has no clock of its own.
    alone: bool,
}

impl Following {
    pub(super) fn new(own: Arc<dyn Clock>) -> Self {
        Self {
            own,
            follows: AtomicBool::new(false),
            state: Mutex::default(),
        }
    }

    /// Asks the store for the time, unless it was asked just now. A store that does not answer changes nothing.
    pub(super) async fn follow(&self, store: &dyn Store) {
        let before = self.own.monotonic();
        let fresh = |asked| before.saturating_sub(asked) < FOLLOWS_FOR;
        let followed = {
            let state = self.lock();
            state.alone || state.asked.is_some_and(fresh)
        };
        if followed {
            return;
        }
        let Ok(time) = store.time().await else {
            return;
        };
        let after = self.own.monotonic();
        let mut state = self.lock();
        let Some(time) = time else {
            state.alone = true;
            return;
        };
        // Of a clock that was set back, runs know by themselves what they have recorded.
        if state.told.since(time) > STANDS {
            state.told = time;
        }
        // It was read somewhere on the way there and back.
        state.seen = Some((time, before + after.saturating_sub(before) / 2));
        state.asked = Some(after);
        self.follows.store(true, Ordering::Release);
    }

    /// Now, UTC.
    pub(super) fn now(&self) -> Timestamp {
        if !self.follows.load(Ordering::Acquire) {
            return self.own.now();
        }
        let mut state = self.lock();
        let Some((time, at)) = state.seen else {
            return self.own.now();
        };
        let now = time.after(self.own.monotonic().saturating_sub(at));
        state.told = now.max(state.told);
        state.told
    }

    /// Time since some moment of this process, by a clock that nobody sets.
    pub(super) fn monotonic(&self) -> Duration {
        self.own.monotonic()
    }

    /// Waits so long, by that clock.
    pub(super) fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        self.own.sleep(time)
    }

    fn lock(&self) -> MutexGuard<'_, Followed> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
