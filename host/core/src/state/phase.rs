//! Where a run stands.

use serde::{Deserialize, Serialize};

use super::Status;
use crate::payload::Payload;
use crate::stop::Stop;
use crate::time::Timestamp;

/// Where a run stands, with exactly the data that is legal there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Phase {
    /// See [`Status::Pending`].
    Pending,
    /// See [`Status::Running`].
    Running,
    /// See [`Status::Paused`].
    Paused {
        /// Why, and what happens next.
        stop: Stop,
        /// Since when.
        at: Timestamp,
    },
    /// See [`Status::Completed`].
    Completed {
        /// What the workflow returned.
        output: Payload,
        /// Since when.
        at: Timestamp,
    },
    /// See [`Status::Failed`].
    Failed {
        /// Why, and what happens next.
        stop: Stop,
        /// Since when.
        at: Timestamp,
    },
    /// See [`Status::Cancelled`].
    Cancelled {
        /// Why.
        stop: Stop,
        /// Since when.
        at: Timestamp,
    },
}

impl Phase {
    /// The status.
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            Self::Pending => Status::Pending,
            Self::Running => Status::Running,
            Self::Paused { .. } => Status::Paused,
            Self::Completed { .. } => Status::Completed,
            Self::Failed { .. } => Status::Failed,
            Self::Cancelled { .. } => Status::Cancelled,
        }
    }

    /// Why the run does not move, when it does not.
    #[must_use]
    pub fn stop(&self) -> Option<&Stop> {
        match self {
            Self::Paused { stop, .. }
            | Self::Failed { stop, .. }
            | Self::Cancelled { stop, .. } => Some(stop),
            Self::Pending | Self::Running | Self::Completed { .. } => None,
        }
    }

    pub(super) const fn stop_mut(&mut self) -> Option<&mut Stop> {
        match self {
            Self::Paused { stop, .. }
            | Self::Failed { stop, .. }
            | Self::Cancelled { stop, .. } => Some(stop),
            Self::Pending | Self::Running | Self::Completed { .. } => None,
        }
    }
}
