//! Time as the host tells it. Every answer is recorded, so that a replay sees the same time and does not wait.
//!
//! On targets without a host, as in a unit test, time stands at 2001-09-09 01:46:40 UTC and only [`sleep`] moves it, per
//! thread.

use std::time::{Duration, SystemTime};

/// The present time.
#[must_use]
pub fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(source::now())
}

/// Waits, in whole milliseconds. For seconds at most: pause for longer ([`crate::Pause::until`]), which holds no memory.
pub fn sleep(duration: Duration) {
    source::sleep(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
}

#[cfg(target_family = "wasm")]
mod source {
    pub(super) use crate::bindings::milepost::step::clock::{now, sleep};
}

#[cfg(not(target_family = "wasm"))]
mod source {
    use std::cell::Cell;

    thread_local! {
        static NOW: Cell<u64> = const { Cell::new(1_000_000_000_000_000_000) };
    }

    pub(super) fn now() -> u64 {
        NOW.get()
    }

    pub(super) fn sleep(millis: u64) {
        NOW.set(NOW.get().saturating_add(millis.saturating_mul(1_000_000)));
    }

    #[cfg(test)]
    mod tests {
        use std::time::Duration;

        #[test]
        fn only_sleep_moves_the_time() {
            let before = crate::clock::now();
            assert_eq!(crate::clock::now(), before);
            crate::clock::sleep(Duration::from_millis(1500));
            assert_eq!(crate::clock::now(), before + Duration::from_millis(1500));
        }
    }
}
