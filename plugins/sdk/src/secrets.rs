//! Secrets that the workflow names for the step (`secrets = ["api_token"]`).
//!
//! A plugin gets a stand-in, which the host replaces by the value at the last moment, in requests to hosts that the plugin may
//! reach. The value itself it never sees, and so cannot leak.
//!
//! ```
//! # use milepost_sdk::{Result, secrets};
//! # fn main() -> Result<()> {
//! let authorization = format!("Bearer {}", secrets::placeholder("api_token")?);
//! # assert_eq!(authorization, "Bearer secret-api_token");
//! # Ok(())
//! # }
//! ```
//!
//! On targets without a host, as in a unit test, the stand-in and the value of a secret are its name after `secret-`.

#![allow(
    clippy::needless_question_mark,
    reason = "in a component, the error of the host is of another type"
)]

use crate::{HostError, Result};

/// A stand-in for a secret, for the headers and bodies of requests.
///
/// # Errors
/// `denied` when the workflow does not give the secret to the step.
pub fn placeholder(name: &str) -> Result<String, HostError> {
    Ok(source::placeholder(name)?)
}

/// The value of a secret, for what needs it in another form, such as a signature. The workflow has to allow it by itself
/// (`secrets-reveal`), and `milepost inspect` shows that the plugin asks for it.
///
/// # Errors
/// `denied` when the workflow does not allow it.
pub fn reveal(name: &str) -> Result<String, HostError> {
    Ok(source::reveal(name)?)
}

#[cfg(target_family = "wasm")]
mod source {
    pub(super) use crate::bindings::milepost::step::secrets::placeholder;
    pub(super) use crate::bindings::milepost::step::secrets_reveal::reveal;
}

#[cfg(not(target_family = "wasm"))]
mod source {
    use super::HostError;

    pub(super) fn placeholder(name: &str) -> Result<String, HostError> {
        Ok(format!("secret-{name}"))
    }

    pub(super) fn reveal(name: &str) -> Result<String, HostError> {
        placeholder(name)
    }
}
