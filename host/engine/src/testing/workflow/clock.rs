//! The time of a test of a workflow: it stands still while anything can happen without it, and jumps to what is due next.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use milepost_core::time::Timestamp;

use crate::attempt::BoxFuture;
use crate::clock::Clock;

/// A clock that moves only when it is told to. Clones are the same clock.
#[derive(Clone)]
pub(super) struct TestClock(Arc<Mutex<Inner>>);

struct Inner {
    now: Timestamp,
    passed: Duration,
    /// Whoever sleeps, by when they wake up.
    sleepers: BTreeMap<(Duration, u64), Option<Waker>>,
    last: u64,
}

impl TestClock {
    pub(super) fn at(now: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            now,
            passed: Duration::ZERO,
            sleepers: BTreeMap::new(),
            last: 0,
        })))
    }

    /// When the first of those who sleep wakes up.
    pub(super) fn next(&self) -> Option<Timestamp> {
        let inner = self.lock();
        let ((until, _), _) = inner.sleepers.first_key_value()?;
        Some(inner.now.after(until.saturating_sub(inner.passed)))
    }

    /// Goes on to that time and wakes whoever slept until then.
    pub(super) fn go_on_to(&self, at: Timestamp) {
        let mut inner = self.lock();
        let step = at.since(inner.now);
        inner.now = inner.now.after(step);
        inner.passed += step;
        let passed = inner.passed;
        let due = inner.sleepers.range_mut(..=(passed, u64::MAX));
        let wakers: Vec<Waker> = due.filter_map(|(_, waker)| waker.take()).collect();
        drop(inner);
        wakers.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        self.lock().now
    }

    fn monotonic(&self) -> Duration {
        self.lock().passed
    }

    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        let mut inner = self.lock();
        inner.last += 1;
        let key = (inner.passed.saturating_add(time), inner.last);
        inner.sleepers.insert(key, None);
        Box::pin(Sleep {
            clock: self.clone(),
            key,
        })
    }
}

struct Sleep {
    clock: TestClock,
    key: (Duration, u64),
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.clock.lock();
        if inner.passed >= self.key.0 {
            return Poll::Ready(());
        }
        inner.sleepers.insert(self.key, Some(cx.waker().clone()));
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.clock.lock().sleepers.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    #[test]
    fn it_knows_who_wakes_up_next_and_forgets_who_does_not_wait() {
        let start = Timestamp::from_nanos(1_000_000_000);
        let clock = TestClock::at(start);
        assert_eq!(clock.next(), None);
        let long = clock.sleep(Duration::from_secs(60));
        let mut short = pin!(clock.sleep(Duration::from_secs(5)));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(short.as_mut().poll(&mut cx).is_pending());
        assert_eq!(clock.next(), Some(start.after(Duration::from_secs(5))));
        clock.go_on_to(start.after(Duration::from_secs(5)));
        assert!(short.as_mut().poll(&mut cx).is_ready());
        drop(long);
        short.set(clock.sleep(Duration::from_secs(1)));
        assert_eq!(clock.next(), Some(start.after(Duration::from_secs(6))));
        // Time does not step back.
        clock.go_on_to(start);
        assert_eq!(clock.monotonic(), Duration::from_secs(5));
    }
}
