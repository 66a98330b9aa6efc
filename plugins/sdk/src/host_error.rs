//! What the host says when it does not do what a step asked for.

use core::fmt;
use std::io;

use crate::Error;

/// Why the host did not do what it was asked for. With `?` it becomes an [`Error`] of the step: retryable where the same call may
/// succeed later, [`Error::Cancelled`] where the run is being cancelled, else a failure; the code stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostError {
    /// Stable, in an open set: `denied`, `not-found`, `too-large`, `conflict`, `timeout`, `unavailable` and others.
    pub code: String,
    /// For people.
    pub message: String,
    /// Whether the same call may succeed later.
    pub transient: bool,
}

impl HostError {
    /// Whether it has that code.
    #[must_use]
    pub fn is(&self, code: &str) -> bool {
        self.code == code
    }

    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            transient: false,
        }
    }
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

impl std::error::Error for HostError {}

impl HostError {
    pub(crate) fn of_step(self) -> Error {
        if self.is("cancelled") {
            Error::Cancelled(self.message)
        } else if self.transient {
            Error::retryable(&self.code, self.message).into()
        } else {
            Error::failed(&self.code, self.message).into()
        }
    }
}

impl From<HostError> for io::Error {
    fn from(error: HostError) -> Self {
        let kind = match error.code.as_str() {
            "denied" => io::ErrorKind::PermissionDenied,
            "not-found" => io::ErrorKind::NotFound,
            "timeout" => io::ErrorKind::TimedOut,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

#[cfg(target_family = "wasm")]
impl From<crate::bindings::milepost::step::types::HostError> for HostError {
    fn from(error: crate::bindings::milepost::step::types::HostError) -> Self {
        Self {
            code: error.code,
            message: error.message,
            transient: error.transient,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_error_becomes_the_error_of_the_step_that_it_is() {
        let error = |code: &str, transient| HostError {
            transient,
            ..HostError::new(code, "no")
        };
        for (host, step) in [
            (error("denied", false), "failed (denied): no"),
            (error("unavailable", true), "retryable (unavailable): no"),
            (error("cancelled", false), "cancelled: no"),
        ] {
            assert_eq!(Error::from(host.clone()).to_string(), step);
            let through_io = io::Error::from(host);
            assert_eq!(Error::from(through_io).to_string(), step);
        }
        let other = io::Error::other("of its own");
        assert_eq!(Error::from(other).to_string(), "failed (io): of its own");
    }
}
