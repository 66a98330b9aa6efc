//! The ways in which a step does not return an output: one constructor each, so that a pause or a retry is one line.

use core::fmt;
use std::time::{Duration, SystemTime};

use serde::Serialize;

/// Why a step has no output. Return one with `?` or `.into()`; a [`serde_json::Error`] becomes a failure with the code
/// `invalid_input`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// Another attempt may succeed.
    Retryable(Box<Retryable>),
    /// No attempt with this input will succeed.
    Failed(Failure),
    /// The run should stop here and go on later; this is not a failure.
    Pause(Box<Pause>),
    /// A request to stop was noticed and cleaned up after.
    Cancelled(String),
}

impl Error {
    /// Another attempt may succeed. `code` is stable text that a workflow can match on ("rate-limited").
    pub fn retryable(code: &str, message: impl Into<String>) -> Retryable {
        Retryable {
            cause: Self::failed(code, message),
            after: None,
            provider: None,
        }
    }

    /// No attempt with this input will succeed. `code` is stable text that a workflow can match on ("not-found").
    pub fn failed(code: &str, message: impl Into<String>) -> Failure {
        Failure {
            code: code.to_owned(),
            message: message.into(),
            detail: None,
        }
    }

    /// Stops the run here with a checkpoint. `code` is stable ("quota-exhausted"), `reason` tells a person how to go on.
    pub fn pause(code: &str, reason: impl Into<String>) -> Pause {
        Pause {
            code: code.to_owned(),
            reason: reason.into(),
            provider: None,
            until: None,
            signal: None,
            state: None,
        }
    }

    /// A request to stop ([`crate::Context::cancel_requested`]) was noticed and cleaned up after.
    pub fn cancelled(message: impl Into<String>) -> Self {
        Self::Cancelled(message.into())
    }
}

/// A failure that another attempt with the same input would meet again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) detail: Option<String>,
}

impl Failure {
    /// More about the failure, for programs. Replaces an earlier detail; a value that is not JSON is left out.
    #[must_use]
    pub fn detail(mut self, detail: &impl Serialize) -> Self {
        self.detail = serde_json::to_string(detail).ok();
        self
    }
}

/// A failure that another attempt may not meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retryable {
    pub(crate) cause: Failure,
    pub(crate) after: Option<Duration>,
    pub(crate) provider: Option<String>,
}

impl Retryable {
    /// The earliest next attempt, counted from now, in whole milliseconds. Without it the workflow's policy decides.
    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        self.after = Some(wait);
        self
    }

    /// Whose limit was met ("acme-llm"): runs that were stopped by the same provider are shown together.
    #[must_use]
    pub fn provider(mut self, name: &str) -> Self {
        self.provider = Some(name.to_owned());
        self
    }

    /// More about the failure, for programs. Replaces an earlier detail; a value that is not JSON is left out.
    #[must_use]
    pub fn detail(mut self, detail: &impl Serialize) -> Self {
        self.cause = self.cause.detail(detail);
        self
    }
}

/// A stop that is not a failure. The step is called afresh when the time comes, the signal arrives or a person resumes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    pub(crate) code: String,
    pub(crate) reason: String,
    pub(crate) provider: Option<String>,
    pub(crate) until: Option<SystemTime>,
    pub(crate) signal: Option<String>,
    pub(crate) state: Option<String>,
}

impl Pause {
    /// When a scheduler may resume the run; take the present from [`crate::clock::now`].
    #[must_use]
    pub fn until(mut self, time: SystemTime) -> Self {
        self.until = Some(time);
        self
    }

    /// The name of the signal that resumes the run.
    #[must_use]
    pub fn signal(mut self, name: &str) -> Self {
        self.signal = Some(name.to_owned());
        self
    }

    /// Kept for the next attempt, which reads it with [`crate::Context::resume_state`]. A value that is not JSON is left
    /// out.
    #[must_use]
    pub fn state(mut self, state: &impl Serialize) -> Self {
        self.state = serde_json::to_string(state).ok();
        self
    }

    /// Whose limit was met ("acme-llm"): runs that were stopped by the same provider are shown together.
    #[must_use]
    pub fn provider(mut self, name: &str) -> Self {
        self.provider = Some(name.to_owned());
        self
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Retryable> for Error {
    fn from(retryable: Retryable) -> Self {
        Self::Retryable(Box::new(retryable))
    }
}

impl From<Pause> for Error {
    fn from(pause: Pause) -> Self {
        Self::Pause(Box::new(pause))
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::failed("invalid_input", error.to_string()).into()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, code, text) = match self {
            Self::Retryable(r) => ("retryable", &r.cause.code, &r.cause.message),
            Self::Failed(e) => ("failed", &e.code, &e.message),
            Self::Pause(p) => ("paused", &p.code, &p.reason),
            Self::Cancelled(message) => return write!(f, "cancelled: {message}"),
        };
        write!(f, "{kind} ({code}): {text}")
    }
}

impl std::error::Error for Error {}

#[cfg(target_family = "wasm")]
mod wire {
    use std::time::SystemTime;

    use super::{Error, Failure};
    use crate::bindings::milepost::step::types;

    impl From<Failure> for types::Failure {
        fn from(failure: Failure) -> Self {
            Self {
                code: failure.code,
                message: failure.message,
                detail: failure.detail,
            }
        }
    }

    impl From<Error> for types::StepError {
        fn from(error: Error) -> Self {
            match error {
                Error::Retryable(r) => Self::Retryable(types::Retry {
                    cause: r.cause.into(),
                    after: r
                        .after
                        .map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
                    provider: r.provider,
                }),
                Error::Failed(failure) => Self::Failed(failure.into()),
                Error::Pause(p) => Self::Paused(types::Pause {
                    code: p.code,
                    reason: p.reason,
                    provider: p.provider,
                    until: p.until.map(nanos),
                    signal: p.signal,
                    state: p.state,
                }),
                Error::Cancelled(message) => Self::Cancelled(message),
            }
        }
    }

    /// A time before 1970 has passed in any case.
    fn nanos(time: SystemTime) -> u64 {
        let since = time.duration_since(SystemTime::UNIX_EPOCH);
        since.map_or(0, |d| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use super::*;

    #[test]
    fn a_json_error_is_a_failure_with_a_stable_code() {
        let error: Error = serde_json::from_str::<u8>("{").unwrap_err().into();
        let Error::Failed(failure) = error else {
            panic!("not a failure: {error}");
        };
        assert_eq!(failure.code, "invalid_input");
        assert!(failure.message.contains("line 1"), "{}", failure.message);
    }

    #[test]
    fn every_kind_reads_as_kind_code_and_text() {
        let table: [(Error, &str); 4] = [
            (
                Error::retryable("busy", "try later").into(),
                "retryable (busy): try later",
            ),
            (Error::failed("gone", "no").into(), "failed (gone): no"),
            (
                Error::pause("ask", "say yes").signal("yes").into(),
                "paused (ask): say yes",
            ),
            (Error::cancelled("stopped"), "cancelled: stopped"),
        ];
        for (error, text) in table {
            assert_eq!(error.to_string(), text);
        }
    }
}
