//! The thread that ends a guest's time slice by raising wasmtime's epoch.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use wasmtime::Engine;

/// How long a guest may compute before its thread serves others.
const SLICE: Duration = Duration::from_millis(10);

/// Ticks while an attempt is in flight and sleeps otherwise, so that an idle process uses no processor time.
/// Dropping it ends the thread.
pub(super) struct Ticker {
    shared: Arc<Ticks>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Ticks {
    in_flight: AtomicUsize,
    /// Set while the thread waits for the first attempt. Raised before the thread looks at `in_flight` a last time, and
    /// read after an attempt raised `in_flight`: one of the two always notices the other.
    parked: AtomicBool,
    stop: Mutex<bool>,
    wake: Condvar,
}

/// Keeps the ticker awake.
pub(super) struct InFlight<'a>(&'a Ticks);

impl Ticker {
    pub(super) fn start(engine: Engine) -> std::io::Result<Self> {
        let shared = Arc::new(Ticks::default());
        let thread = std::thread::Builder::new()
            .name("milepost-ticker".into())
            .spawn({
                let shared = Arc::clone(&shared);
                move || shared.run(&engine)
            })?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Begins an attempt. Wakes the thread only when it is parked, which it is not between calls that follow each other.
    pub(super) fn attempt(&self) -> InFlight<'_> {
        self.shared.in_flight.fetch_add(1, Ordering::SeqCst);
        if self.shared.parked.load(Ordering::SeqCst) {
            let _stop = self
                .shared
                .stop
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            self.shared.wake.notify_one();
        }
        InFlight(&self.shared)
    }

    #[cfg(test)]
    pub(super) fn is_parked(&self) -> bool {
        self.shared.parked.load(Ordering::SeqCst)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Ticks {
    fn run(&self, engine: &Engine) {
        let mut stop = self.stop.lock().unwrap_or_else(PoisonError::into_inner);
        while !*stop {
            self.parked.store(true, Ordering::SeqCst);
            while !*stop && self.in_flight.load(Ordering::SeqCst) == 0 {
                stop = self.wake.wait(stop).unwrap_or_else(PoisonError::into_inner);
            }
            self.parked.store(false, Ordering::SeqCst);
            if !*stop {
                (stop, _) = self
                    .wake
                    .wait_timeout(stop, SLICE)
                    .unwrap_or_else(PoisonError::into_inner);
                engine.increment_epoch();
            }
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        *self
            .shared
            .stop
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            // The thread cannot panic in a way that matters here: it owns nothing but its own handles.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]
    use super::*;

    #[test]
    fn the_ticker_parks_when_nothing_is_in_flight_and_ends_when_dropped() {
        let mut config = wasmtime::Config::new();
        config.epoch_interruption(true);
        let ticker = Ticker::start(Engine::new(&config).unwrap()).unwrap();
        let until = |parked: bool| {
            while ticker.is_parked() != parked {
                std::thread::yield_now();
            }
        };
        until(true);
        let attempt = ticker.attempt();
        until(false);
        drop(attempt);
        until(true);
        drop(ticker);
    }
}
