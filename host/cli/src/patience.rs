//! How long the end of the program waits for readers that do not read: one allowance for all that is still to be written, whichever
//! stream it goes to. Whoever reads, however slowly, is waited for until the last signal.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long nothing may move before nobody is believed to read.
const STILL: Duration = Duration::from_secs(1);
/// The same once that was waited in vain: time for what is written at once, and no more.
const BRIEF: Duration = Duration::from_millis(50);

/// What is left for the end of this program.
pub(super) static PATIENCE: Patience = Patience::new(STILL);

/// See the module.
pub(super) struct Patience {
    still: Duration,
    state: Mutex<State>,
}

struct State {
    /// Somebody waited in vain.
    spent: bool,
    /// The last signal came: nobody waits any longer, whoever reads.
    until: Option<Instant>,
}

impl Patience {
    pub(super) const fn new(still: Duration) -> Self {
        let state = State {
            spent: false,
            until: None,
        };
        Self {
            still,
            state: Mutex::new(state),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long to wait from now on for something to move.
    pub(super) fn left(&self, now: Instant) -> Duration {
        let state = self.lock();
        let still = if state.spent { BRIEF } else { self.still };
        match state.until {
            Some(until) => still.min(until.saturating_duration_since(now)).max(BRIEF),
            None => still,
        }
    }

    /// That was waited, and `moved` tells whether something moved meanwhile. Returns whether to go on waiting.
    pub(super) fn goes_on(&self, moved: bool, now: Instant) -> bool {
        let mut state = self.lock();
        if !moved {
            state.spent = true;
        }
        moved && state.until.is_none_or(|until| now < until)
    }

    /// Nobody waits beyond that.
    pub(super) fn ends_at(&self, until: Instant) {
        let mut state = self.lock();
        state.until = Some(state.until.map_or(until, |before| before.min(until)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_waited_in_vain_is_waited_once_whatever_is_still_to_be_written() {
        let patience = Patience::new(STILL);
        let now = Instant::now();
        assert_eq!(patience.left(now), STILL);
        assert!(patience.goes_on(true, now + STILL));
        assert_eq!(patience.left(now), STILL, "somebody reads");
        assert!(!patience.goes_on(false, now + STILL));
        for _ in 0..5 {
            assert_eq!(patience.left(now + STILL), BRIEF);
        }
    }

    #[test]
    fn after_the_last_signal_also_one_who_reads_is_waited_for_no_longer() {
        let patience = Patience::new(STILL);
        let now = Instant::now();
        patience.ends_at(now + STILL / 2);
        patience.ends_at(now + STILL);
        assert_eq!(patience.left(now), STILL / 2);
        assert!(patience.goes_on(true, now));
        assert!(!patience.goes_on(true, now + STILL / 2));
        assert_eq!(patience.left(now + STILL), BRIEF);
    }
}
