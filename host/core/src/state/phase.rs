//! Where a run stands.

use serde::{Deserialize, Serialize};

use super::{Rest, Status};
use crate::ids::Path;
use crate::payload::Payload;
use crate::stop::{Stop, StopCode};
use crate::time::Timestamp;

/// Where a run stands, with exactly the data that is legal there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub enum Phase {
    /// See [`Status::Pending`].
    Pending,
    /// See [`Status::Running`].
    Running,
    /// See [`Status::Paused`].
    Paused {
        /// What it rests on.
        rest: Rest,
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
        /// Why.
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

/// A phase as it is stored: a paused one with its stop, as it is reported.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
enum Stored {
    Pending,
    Running,
    Paused { stop: Stop, at: Timestamp },
    Completed { output: Payload, at: Timestamp },
    Failed { stop: Stop, at: Timestamp },
    Cancelled { stop: Stop, at: Timestamp },
}

impl From<Phase> for Stored {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Pending => Self::Pending,
            Phase::Running => Self::Running,
            Phase::Paused { rest, at } => Self::Paused {
                stop: (&rest).into(),
                at,
            },
            Phase::Completed { output, at } => Self::Completed { output, at },
            Phase::Failed { stop, at } => Self::Failed { stop, at },
            Phase::Cancelled { stop, at } => Self::Cancelled { stop, at },
        }
    }
}

impl From<Stored> for Phase {
    fn from(stored: Stored) -> Self {
        match stored {
            Stored::Pending => Self::Pending,
            Stored::Running => Self::Running,
            Stored::Paused { stop, at } => Self::Paused {
                rest: stop.into(),
                at,
            },
            Stored::Completed { output, at } => Self::Completed { output, at },
            Stored::Failed { stop, at } => Self::Failed { stop, at },
            Stored::Cancelled { stop, at } => Self::Cancelled { stop, at },
        }
    }
}

impl Phase {
    /// The status.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self {
            Self::Pending => Status::Pending,
            Self::Running => Status::Running,
            Self::Paused { .. } => Status::Paused,
            Self::Completed { .. } => Status::Completed,
            Self::Failed { .. } => Status::Failed,
            Self::Cancelled { .. } => Status::Cancelled,
        }
    }

    /// Why the run does not move, when it does not, as it is reported.
    #[must_use]
    pub fn stop(&self) -> Option<Stop> {
        match self {
            Self::Paused { rest, .. } => Some(rest.into()),
            Self::Failed { stop, .. } | Self::Cancelled { stop, .. } => Some(stop.clone()),
            Self::Pending | Self::Running | Self::Completed { .. } => None,
        }
    }

    /// The code of that.
    #[must_use]
    pub const fn stop_code(&self) -> Option<StopCode> {
        match self {
            Self::Paused { rest, .. } => Some(rest.reason().why.code()),
            Self::Failed { stop, .. } | Self::Cancelled { stop, .. } => Some(stop.code()),
            Self::Pending | Self::Running | Self::Completed { .. } => None,
        }
    }

    /// The step that stopped it.
    #[must_use]
    pub const fn stopped_at(&self) -> Option<&Path> {
        match self {
            Self::Paused { rest, .. } => rest.reason().path.as_ref(),
            Self::Failed { stop, .. } | Self::Cancelled { stop, .. } => stop.path.as_ref(),
            Self::Pending | Self::Running | Self::Completed { .. } => None,
        }
    }

    /// The same in the words of `recorded`: see [`Stop::in_the_words_of`].
    pub(super) fn in_the_words_of(&mut self, recorded: &Self) {
        let Some(said) = recorded.stop() else {
            return;
        };
        match self {
            Self::Paused { rest, .. } => *rest = Stop::from(&*rest).in_the_words_of(&said).into(),
            Self::Failed { stop, .. } | Self::Cancelled { stop, .. } => {
                *stop = stop.clone().in_the_words_of(&said);
            }
            Self::Pending | Self::Running | Self::Completed { .. } => {}
        }
    }
}
