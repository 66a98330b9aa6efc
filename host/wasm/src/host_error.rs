//! What a guest is told when the host does not do what it asked: an error that it can act on, not the end of the attempt.

use std::borrow::Cow;

use milepost_core::grants::Denied;
use serde::{Deserialize, Serialize};

use crate::contract::v0_1::milepost::step::types;
use crate::secrets::Secrets;

/// Why a host call failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostError {
    /// Stable, in an open set: `denied`, `not-found`, `too-large`, `conflict`, `timeout`, `unavailable`, ...
    pub code: Cow<'static, str>,
    /// For people.
    pub message: String,
    /// Whether the same call may succeed later.
    #[serde(default)]
    pub transient: bool,
}

impl HostError {
    /// One that comes again with the same call.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            transient: false,
        }
    }

    /// The secret has no value here.
    pub(crate) fn no_secret(name: &str) -> Self {
        Self::new("not-found", format!("the secret `{name}` has no value"))
    }

    /// The same without values of secrets.
    pub(crate) fn masked(self, secrets: &Secrets) -> Self {
        Self {
            message: secrets.mask(self.message).into_owned(),
            ..self
        }
    }

    /// One that may be over with the next call.
    pub fn transient(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            transient: true,
            ..Self::new(code, message)
        }
    }
}

impl From<Denied> for HostError {
    fn from(denied: Denied) -> Self {
        Self::new("denied", denied.to_string())
    }
}

impl From<HostError> for types::HostError {
    fn from(error: HostError) -> Self {
        Self {
            code: error.code.into_owned(),
            message: error.message,
            transient: error.transient,
        }
    }
}
