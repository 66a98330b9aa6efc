//! When a failed attempt is tried again, and after how long.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::ids::{Path, RunId};
use crate::outcome::{ErrorClass, StepError};
use crate::rules::Rules;

/// What happens after a failed attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryPolicy {
    /// Attempts in all, the first included; at least 1.
    pub max_attempts: u32,
    /// Wait before the second attempt.
    pub initial: Duration,
    /// Growth of the wait from attempt to attempt; at least 1.
    pub factor: f64,
    /// Longest wait.
    pub max: Duration,
    /// Share of the wait that is drawn at random around it: 0.25 gives 75 % to 125 %, but never more than `max`.
    pub jitter: f64,
    /// Classes that are tried again.
    pub on: BTreeSet<ErrorClass>,
    /// When not empty: only errors with one of these codes are tried again.
    pub codes: BTreeSet<String>,
    /// What happens when the attempts are used up.
    pub then: WhenExhausted,
}

/// What a step does when its attempts are used up and its last error was retryable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenExhausted {
    /// The run pauses at this step.
    Pause,
    /// The step fails.
    Fail,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            initial: Duration::from_secs(10),
            factor: 2.0,
            max: Duration::from_secs(60),
            jitter: 0.0,
            on: BTreeSet::from([ErrorClass::Retryable]),
            codes: BTreeSet::new(),
            then: WhenExhausted::Pause,
        }
    }
}

/// The verdict on a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterFailure {
    /// Try again after this wait.
    Retry(Duration),
    /// Stop the run here until somebody or something resumes it; it makes no sense before this wait is over.
    Pause(Option<Duration>),
    /// The step has failed.
    Fail,
}

impl RetryPolicy {
    /// Decides what follows the `failures`-th failed attempt in a row (from 1).
    ///
    /// Only errors of a listed class, and of a listed code when codes are listed, are tried again. When the attempts are
    /// used up, or the plugin asks to wait longer than `max`, such an error pauses or fails the step as `then` says; any
    /// other error fails it at once.
    #[must_use]
    pub fn after(
        &self,
        rules: Rules,
        run: &RunId,
        path: &Path,
        failures: u32,
        error: &StepError,
    ) -> AfterFailure {
        let covered = self.on.contains(&error.class)
            && (self.codes.is_empty() || self.codes.contains(&error.code));
        if !covered {
            return AfterFailure::Fail;
        }
        let asked = error.retry_after_millis.map(Duration::from_millis);
        // A plugin that asks for more than the longest wait met a quota: holding the run in memory would not help (B149).
        let too_long = asked.is_some_and(|asked| asked > self.max);
        if failures >= self.max_attempts || too_long {
            return match self.then {
                WhenExhausted::Pause => AfterFailure::Pause(asked),
                WhenExhausted::Fail => AfterFailure::Fail,
            };
        }
        AfterFailure::Retry(
            asked
                .unwrap_or_default()
                .max(self.wait(rules, run, path, failures)),
        )
    }

    /// The wait after the `failures`-th failed attempt: `initial * factor^(failures-1)` with seeded jitter, never more than `max`.
    #[must_use]
    pub fn wait(&self, rules: Rules, run: &RunId, path: &Path, failures: u32) -> Duration {
        let exponent = i32::try_from(failures.saturating_sub(1)).unwrap_or(i32::MAX);
        let grown = self.initial.as_secs_f64() * self.factor.powi(exponent);
        let max = self.max.as_secs_f64();
        let capped = grown.min(max);
        let draw = unit_draw(run, path, failures);
        if !rules.cap_jitter() {
            let spread = 1.0 + self.jitter * (2.0 * draw - 1.0);
            return Duration::try_from_secs_f64(capped * spread).unwrap_or(self.max);
        }
        // Drawn from what is left of the range, not cut: at the cap, runs would else come back all at once.
        let shortest = capped * (1.0 - self.jitter);
        let longest = (capped * (1.0 + self.jitter)).min(max);
        Duration::try_from_secs_f64(shortest + draw * (longest - shortest))
            .map_or(self.max, |wait| wait.min(self.max))
    }
}

/// A number in 0..1 that depends on the run, the path and the count alone, so that waits replay.
pub(crate) fn unit_draw(run: &RunId, path: &dyn Display, count: u32) -> f64 {
    let hash = Sha256::digest(format!("{run}/{path}/{count}").as_bytes());
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hash[..8]);
    // 53 bits are what a double holds exactly.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
    let draw = (u64::from_be_bytes(bytes) >> 11) as f64;
    draw / 9_007_199_254_740_992.0
}
