//! Time for the engine: the real clock, or one that a test moves.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use milepost_core::time::Timestamp;

use crate::attempt::BoxFuture;

/// Where the engine reads time and waits.
pub trait Clock: Send + Sync {
    /// Now, UTC.
    fn now(&self) -> Timestamp;
    /// Waits until `until` is reached.
    fn sleep_until(&self, until: Timestamp) -> BoxFuture<'static, ()>;
}

/// The machine's clock, with tokio's timer.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }

    fn sleep_until(&self, until: Timestamp) -> BoxFuture<'static, ()> {
        let wait = until.since(self.now());
        Box::pin(tokio::time::sleep(wait))
    }
}

/// A clock that stands still until somebody waits or moves it: a wait jumps to its end at once. For tests.
#[derive(Debug, Clone, Default)]
pub struct VirtualClock(Arc<Mutex<Virtual>>);

#[derive(Debug, Default)]
struct Virtual {
    now: Timestamp,
    /// Waits so far, in order.
    waits: Vec<Duration>,
    /// When set, a wait blocks until the clock is moved past it.
    manual: bool,
    sleepers: BTreeMap<(Timestamp, usize), Waker>,
    next_sleeper: usize,
}

impl VirtualClock {
    /// A clock that jumps over every wait.
    #[must_use]
    pub fn jumping(now: Timestamp) -> Self {
        let clock = Self::default();
        clock.lock().now = now;
        clock
    }

    /// A clock that only moves by [`VirtualClock::advance`].
    #[must_use]
    pub fn manual(now: Timestamp) -> Self {
        let clock = Self::jumping(now);
        clock.lock().manual = true;
        clock
    }

    /// Moves time on and wakes whoever is due.
    pub fn advance(&self, by: Duration) {
        let mut inner = self.lock();
        inner.now = inner.now.after(by);
        let now = inner.now;
        let later = inner
            .sleepers
            .split_off(&(now.after(Duration::from_nanos(1)), 0));
        let due = std::mem::replace(&mut inner.sleepers, later);
        drop(inner);
        due.into_values().for_each(Waker::wake);
    }

    /// Sets time to any point, also back: what happens to a wall clock when it is corrected. Wakes nobody.
    pub fn set(&self, now: Timestamp) {
        self.lock().now = now;
    }

    /// Every wait that was asked for so far, in order.
    #[must_use]
    pub fn waits(&self) -> Vec<Duration> {
        self.lock().waits.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Virtual> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.lock().now
    }

    fn sleep_until(&self, until: Timestamp) -> BoxFuture<'static, ()> {
        {
            let mut inner = self.lock();
            let wait = until.since(inner.now);
            inner.waits.push(wait);
            if !inner.manual {
                inner.now = inner.now.max(until);
            }
        }
        let clock = self.clone();
        Box::pin(std::future::poll_fn(move |cx: &mut Context<'_>| {
            let mut inner = clock.lock();
            if inner.now >= until {
                return Poll::Ready(());
            }
            let key = (until, inner.next_sleeper);
            inner.next_sleeper += 1;
            inner.sleepers.insert(key, cx.waker().clone());
            Poll::Pending
        }))
    }
}
