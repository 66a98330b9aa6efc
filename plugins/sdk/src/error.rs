//! The ways in which a step does not return an output: one constructor each, so that a pause or a retry is one line.

use core::any::Any;
use core::fmt;
use std::io;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::HostError;

/// Why a step has no output. `?` makes one of every [`std::error::Error`]: a failure whose message has its causes, too, and whose code is
///
/// | of | code |
/// |---|---|
/// | [`HostError`] | its own, and retryable where the host says so |
/// | [`serde_json::Error`] | `invalid_input` |
/// | [`std::io::Error`] | `io`; one that the host caused is what the host said |
/// | anything else | `failed` |
///
/// [`ResultExt::code`] chooses another code.
///
/// ```
/// use milepost_sdk::{Error, Result, ResultExt};
///
/// fn port(text: &str) -> Result<u16> {
///     let port: u16 = text.trim().parse().code("bad-port")?;
///     if port < 1024 {
///         return Err(Error::failed("privileged-port", format!("{port} is below 1024")).into());
///     }
///     Ok(port)
/// }
///
/// let error = port("80a").unwrap_err().to_string();
/// assert_eq!(error, "failed (bad-port): invalid digit found in string");
/// ```
///
/// So that `?` can do that, this is no [`std::error::Error`] itself.
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

impl<E: std::error::Error + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        // Of what type it is, is known when this is compiled: the branches that are not taken are not there.
        let mut error = Some(error);
        let any: &mut dyn Any = &mut error;
        if let Some(Some(host)) = any.downcast_mut::<Option<HostError>>().map(Option::take) {
            return host.of_step();
        }
        if let Some(Some(io)) = any.downcast_mut::<Option<io::Error>>().map(Option::take) {
            return match io.downcast::<HostError>() {
                Ok(host) => host.of_step(),
                Err(io) => Self::failed("io", message(&io)).into(),
            };
        }
        let code = match any.is::<Option<serde_json::Error>>() {
            true => "invalid_input",
            false => "failed",
        };
        let message = error.as_ref().map_or_else(String::new, |e| message(e));
        Self::failed(code, message).into()
    }
}

/// What an error says, with its causes.
fn message(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        message.push_str(": ");
        message.push_str(&next.to_string());
        cause = next.source();
    }
    message
}

/// What can be said of an error on its way out of a step.
pub trait ResultExt<T> {
    /// Gives the error this code, which a workflow can match on ("bad-date"); it stays what it is otherwise, such as retryable.
    ///
    /// # Errors
    /// That error.
    fn code(self, code: &str) -> Result<T, Error>;

    /// Makes the error one that another attempt may not meet, with this code. A pause and a cancellation stay what they are.
    ///
    /// # Errors
    /// That error.
    fn retryable(self, code: &str) -> Result<T, Error>;
}

impl<T, E: Into<Error>> ResultExt<T> for Result<T, E> {
    fn code(self, code: &str) -> Result<T, Error> {
        self.map_err(|error| error.into().with_code(code))
    }

    fn retryable(self, code: &str) -> Result<T, Error> {
        self.map_err(|error| match error.into().with_code(code) {
            Error::Failed(cause) => Retryable {
                cause,
                after: None,
                provider: None,
            }
            .into(),
            other => other,
        })
    }
}

impl Error {
    fn with_code(mut self, code: &str) -> Self {
        match &mut self {
            Self::Retryable(retryable) => code.clone_into(&mut retryable.cause.code),
            Self::Failed(failure) => code.clone_into(&mut failure.code),
            Self::Pause(pause) => code.clone_into(&mut pause.code),
            Self::Cancelled(_) => {}
        }
        self
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

    #[derive(Debug)]
    struct Outer(std::num::ParseIntError);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("no port")
        }
    }

    impl std::error::Error for Outer {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn any_error_is_a_failure_with_its_causes_and_the_code_that_is_chosen() {
        let number = || "x".parse::<u8>();
        let digit = "invalid digit found in string";
        let plain = || -> crate::Result<u8> { Ok(number()?) };
        assert_eq!(
            plain().unwrap_err().to_string(),
            format!("failed (failed): {digit}")
        );
        let outer = || number().map_err(Outer);
        for (error, expected) in [
            (
                outer().code("bad-port"),
                format!("failed (bad-port): no port: {digit}"),
            ),
            (
                outer().retryable("busy"),
                format!("retryable (busy): no port: {digit}"),
            ),
            (
                Err(Error::retryable("busy", "wait")).code("queue"),
                "retryable (queue): wait".to_owned(),
            ),
            (
                Err(Error::pause("ask", "say yes")).retryable("person"),
                "paused (person): say yes".to_owned(),
            ),
            (
                Err(Error::cancelled("stopped")).code("x"),
                "cancelled: stopped".to_owned(),
            ),
        ] {
            assert_eq!(error.unwrap_err().to_string(), expected);
        }
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
