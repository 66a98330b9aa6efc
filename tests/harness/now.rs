//! Answers of stores in this process, in tests that have nothing else to do.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// How long an answer may take: a store's own thread may be busy with something that nobody waits for.
const PATIENCE: Duration = Duration::from_secs(10);

/// A future whose answer is there, or comes from a thread of the store without anything else having to happen.
pub trait Now: Future + Sized {
    /// The answer.
    ///
    /// # Panics
    /// When it does not come.
    fn now(self) -> Self::Output {
        let mut future = pin!(self);
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let until = Instant::now() + PATIENCE;
        loop {
            if let Poll::Ready(answer) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return answer;
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "there is no answer");
            thread::park_timeout(left);
        }
    }
}

impl<F: Future> Now for F {}

/// Wakes the thread that waits.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
