//! What a replay found.

use milepost::core::ids::{Path, RunId};
use milepost::core::replay::Divergence;
use milepost::replay::Replayed;
use schemars::JsonSchema;
use serde::Serialize;

/// What a replay found.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Replay {
    /// The run.
    id: RunId,
    /// Events checked.
    events: u64,
    /// Attempts executed again.
    attempts: u64,
    /// Attempts that cannot be executed again.
    not_replayed: Vec<NotReplayed>,
    /// Decisions that were not compared, because values were replaced when the run was exported.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_compared: Vec<NotCompared>,
    /// The first place where record and replay differ; null when there is none.
    divergence: Option<Divergence>,
    /// The runs that it has started, each with what was found.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    children: Vec<Replay>,
}

/// An attempt that was not executed again.
#[derive(Serialize, JsonSchema)]
pub(crate) struct NotReplayed {
    /// The step execution.
    path: Path,
    /// Which attempt of it.
    attempt: u32,
    /// Why not.
    reason: String,
}

/// A decision that was not compared with its record.
#[derive(Serialize, JsonSchema)]
pub(crate) struct NotCompared {
    /// Position of the event.
    seq: u64,
    /// Its name.
    event: String,
    /// The step execution, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<Path>,
}

impl From<&Replayed> for Replay {
    fn from(replayed: &Replayed) -> Self {
        let skipped = replayed.not_replayed.iter();
        Self {
            id: replayed.run.clone(),
            events: replayed.events,
            attempts: replayed.attempts,
            not_replayed: skipped
                .map(|it| NotReplayed {
                    path: it.path.clone(),
                    attempt: it.attempt,
                    reason: it.reason.clone(),
                })
                .collect(),
            not_compared: replayed
                .not_compared
                .iter()
                .map(|it| NotCompared {
                    seq: it.seq,
                    event: it.event.clone(),
                    path: it.path.clone(),
                })
                .collect(),
            divergence: replayed.divergence.as_deref().cloned(),
            children: replayed.children.iter().map(Self::from).collect(),
        }
    }
}
