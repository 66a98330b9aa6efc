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
            divergence: replayed.divergence.as_deref().cloned(),
            children: replayed.children.iter().map(Self::from).collect(),
        }
    }
}
