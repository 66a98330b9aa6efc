//! What came of one call of one step.

use milepost::core::outcome::{Pause, StepError};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::journal::LogEntry;
use super::run::HostCall;

/// What came of one call of one step.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Called {
    /// The component's file.
    pub(crate) component: String,
    /// Its step, or its function.
    pub(crate) step: String,
    /// `completed`, `failed`, `paused` or `cancelled`.
    pub(crate) status: &'static str,
    /// What it returned; null unless it completed.
    pub(crate) output: Value,
    /// Why it failed; null unless it did.
    pub(crate) error: Option<StepError>,
    /// Why it paused, and what the next attempt would be given; null unless it did.
    pub(crate) pause: Option<Pause>,
    /// What it logged, in order.
    pub(crate) logs: Vec<LogEntry>,
    /// What it asked the host, in order.
    pub(crate) calls: Vec<CalledHost>,
    /// How long it took, milliseconds; null where it was not called.
    pub(crate) took_millis: Option<u64>,
    /// Bytes of linear memory that it had at its end; null where it was not called.
    pub(crate) memory_bytes: Option<u64>,
}

/// A call of the host: a call with an answer of its own, or the name of a small one.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum CalledHost {
    /// With what was asked and answered.
    Host(HostCall),
    /// A reading of a clock, a sleep, a question whether to stop.
    Small {
        /// Interface and function.
        call: &'static str,
        /// What was answered, or asked.
        about: String,
    },
}
