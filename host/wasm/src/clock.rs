//! Time for the engine: the real clock, or one that a test moves.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime};

use milepost_core::time::Timestamp;

use crate::attempt::{AttemptHost, BoxFuture};

/// Where the engine reads time and waits.
pub trait Clock: Send + Sync {
    /// Now, UTC.
    fn now(&self) -> Timestamp;
    /// Time since some moment of this process, by a clock that nobody sets: only differences mean something.
    fn monotonic(&self) -> Duration;
    /// Waits so long, by that clock.
    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()>;
}

/// The machine's clock, with tokio's timer.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }

    fn monotonic(&self) -> Duration {
        static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
        BEGAN.elapsed()
    }

    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(time))
    }
}

/// The clock of one attempt: its times are those of the run's record.
pub struct AttemptClock {
    host: Arc<dyn AttemptHost>,
    machine: Arc<dyn Clock>,
}

impl AttemptClock {
    /// The clock of an attempt with that host, on a machine with that clock.
    pub fn new(host: Arc<dyn AttemptHost>, machine: Arc<dyn Clock>) -> Self {
        Self { host, machine }
    }
}

impl Clock for AttemptClock {
    fn now(&self) -> Timestamp {
        self.host.now().unwrap_or_else(|| self.machine.now())
    }

    fn monotonic(&self) -> Duration {
        self.machine.monotonic()
    }

    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        self.machine.sleep(time)
    }
}

/// A clock that stands still until somebody waits or moves it: a wait jumps to its end at once. For tests.
#[derive(Debug, Clone, Default)]
pub struct VirtualClock(Arc<Mutex<Virtual>>);

#[derive(Debug, Default)]
struct Virtual {
    now: Timestamp,
    /// What passed, whatever `now` was set to.
    passed: Duration,
    /// Waits so far, in order.
    waits: Vec<Duration>,
    /// When set, a wait blocks until the clock is moved past it.
    manual: bool,
    sleepers: BTreeMap<(Duration, usize), Waker>,
    next_sleeper: usize,
}

impl Virtual {
    fn pass(&mut self, time: Duration) {
        self.now = self.now.after(time);
        self.passed += time;
    }
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
        inner.pass(by);
        let next = inner.passed + Duration::from_nanos(1);
        let later = inner.sleepers.split_off(&(next, 0));
        let due = std::mem::replace(&mut inner.sleepers, later);
        drop(inner);
        due.into_values().for_each(Waker::wake);
    }

    /// Sets the wall clock to any point, also back, as when it is corrected. Wakes nobody: no time passes.
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

    fn monotonic(&self) -> Duration {
        self.lock().passed
    }

    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        let until = {
            let mut inner = self.lock();
            let until = inner.passed + time;
            inner.waits.push(time);
            if !inner.manual {
                inner.pass(time);
            }
            until
        };
        let clock = self.clone();
        Box::pin(std::future::poll_fn(move |cx: &mut Context<'_>| {
            let mut inner = clock.lock();
            if inner.passed >= until {
                return Poll::Ready(());
            }
            let key = (until, inner.next_sleeper);
            inner.next_sleeper += 1;
            inner.sleepers.insert(key, cx.waker().clone());
            Poll::Pending
        }))
    }
}
