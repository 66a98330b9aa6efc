//! How a run that still runs is about to end.

use serde::{Deserialize, Serialize};

use crate::definition::EndStatus;
use crate::event::RunEvent;
use crate::ids::Path;
use crate::payload::Payload;
use crate::stop::{Stop, Why};

/// How a run is about to end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Ending {
    /// As completed.
    Completed {
        /// What it returns.
        output: Payload,
    },
    /// As failed.
    Failed {
        /// Why.
        stop: Stop,
    },
    /// As cancelled.
    Cancelled {
        /// Why.
        stop: Stop,
    },
}

impl Ending {
    /// The one that a step at `path` gives.
    pub(super) fn by_step(
        path: &Path,
        status: EndStatus,
        message: Option<&str>,
        output: &Payload,
    ) -> Self {
        let stop = || {
            let message = message.map(str::to_owned);
            Stop::new(Why::Ended { status, message }).at(path.clone())
        };
        match status {
            EndStatus::Completed => Self::Completed {
                output: output.clone(),
            },
            EndStatus::Failed => Self::Failed { stop: stop() },
            EndStatus::Cancelled => Self::Cancelled { stop: stop() },
        }
    }

    /// As failed or as cancelled.
    pub(super) const fn by_stop(cancels: bool, stop: Stop) -> Self {
        match cancels {
            true => Self::Cancelled { stop },
            false => Self::Failed { stop },
        }
    }

    /// The status that comes of it.
    #[must_use]
    pub const fn status(&self) -> EndStatus {
        match self {
            Self::Completed { .. } => EndStatus::Completed,
            Self::Failed { .. } => EndStatus::Failed,
            Self::Cancelled { .. } => EndStatus::Cancelled,
        }
    }

    /// Whether it is as cancelled.
    #[must_use]
    pub const fn cancels(&self) -> bool {
        matches!(self, Self::Cancelled { .. })
    }

    /// Why it comes, unless the run completes.
    #[must_use]
    pub const fn stop(&self) -> Option<&Stop> {
        match self {
            Self::Completed { .. } => None,
            Self::Failed { stop } | Self::Cancelled { stop } => Some(stop),
        }
    }

    /// The event with which it comes.
    #[must_use]
    pub fn into_event(self) -> RunEvent {
        match self {
            Self::Completed { output } => RunEvent::Completed { output },
            Self::Failed { stop } => RunEvent::Failed { stop },
            Self::Cancelled { stop } => RunEvent::Cancelled { stop },
        }
    }

    /// The output that it holds.
    pub(crate) const fn output(&self) -> Option<&Payload> {
        match self {
            Self::Completed { output } => Some(output),
            Self::Failed { .. } | Self::Cancelled { .. } => None,
        }
    }
}
