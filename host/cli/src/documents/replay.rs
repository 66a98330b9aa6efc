//! What a replay found.

use milepost::core::ids::{Path, RunId};
use milepost::core::json::Difference;
use milepost::core::replay::Divergence;
use milepost::replay::{Change, Changed, Replayed, Unstable};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

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
    /// `--with`: attempts that come to something else with the other component, at first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changed: Vec<ChangedAttempt>,
    /// `--with`: how many more come to something else.
    #[serde(skip_serializing_if = "is_zero")]
    more_changed: u64,
    /// `--verify`: attempts that were not the same when they were executed twice.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unstable: Vec<UnstableAttempt>,
    /// The runs that it has started, each with what was found.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    children: Vec<Replay>,
}

/// An attempt that comes to something else with another component.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ChangedAttempt {
    /// The event that ended it.
    seq: u64,
    /// The step execution.
    path: Path,
    /// Which attempt of it.
    attempt: u32,
    /// Name of the component.
    plugin: String,
    /// Where its outcome differs, at first: `a` is the record, `b` what the other component gives.
    differences: Vec<Difference>,
    /// A host call that the history does not answer; null where there is none.
    unanswered: Option<Unanswered>,
}

/// A host call that the history does not answer.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Unanswered {
    /// Position on the tape, from 0.
    index: usize,
    /// What the tape holds there; null at its end.
    recorded: Option<String>,
    /// What the component did.
    actual: String,
}

/// An attempt that was not the same when it was executed twice.
#[derive(Serialize, JsonSchema)]
pub(crate) struct UnstableAttempt {
    /// The step execution.
    path: Path,
    /// Which attempt of it.
    attempt: u32,
    /// What each execution consumed.
    fuel: [u64; 2],
    /// What each came to.
    outcomes: [Value; 2],
}

/// What a replay of many runs found.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ReplayedAll {
    /// Runs that are the same, with their children.
    pub(crate) same: u64,
    /// `--with`: runs without that component.
    pub(crate) untouched: u64,
    /// Runs that differ.
    pub(crate) different: Vec<Replay>,
    /// Runs that could not be replayed.
    pub(crate) failed: Vec<NotReplayable>,
    /// Events checked.
    pub(crate) events: u64,
    /// Attempts executed again.
    pub(crate) attempts: u64,
    /// Attempts that cannot be executed again.
    pub(crate) not_replayed: u64,
}

/// A run that could not be replayed.
#[derive(Serialize, JsonSchema)]
pub(crate) struct NotReplayable {
    /// The run.
    pub(crate) id: RunId,
    /// Why not.
    pub(crate) reason: String,
}

/// What `replay` prints.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "it only describes what two types are written as")]
pub(crate) enum ReplayAnswer {
    /// `replay RUN`.
    One(Box<Replay>),
    /// `replay --all`.
    All(ReplayedAll),
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
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
        let (changed, unstable) = (replayed.changed.iter(), replayed.unstable.iter());
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
            changed: changed.map(ChangedAttempt::from).collect(),
            more_changed: replayed.more_changed,
            unstable: unstable.map(UnstableAttempt::from).collect(),
            children: replayed.children.iter().map(Self::from).collect(),
        }
    }
}

impl From<&Changed> for ChangedAttempt {
    fn from(changed: &Changed) -> Self {
        let (differences, unanswered) = match &changed.how {
            Change::Outcome(places) => (places.clone(), None),
            Change::Unanswered {
                index,
                recorded,
                actual,
            } => {
                let call = Unanswered {
                    index: *index,
                    recorded: recorded.clone(),
                    actual: actual.clone(),
                };
                (Vec::new(), Some(call))
            }
        };
        Self {
            seq: changed.seq,
            path: changed.path.clone(),
            attempt: changed.attempt,
            plugin: changed.plugin.clone(),
            differences,
            unanswered,
        }
    }
}

impl From<&Unstable> for UnstableAttempt {
    fn from(unstable: &Unstable) -> Self {
        Self {
            path: unstable.path.clone(),
            attempt: unstable.attempt,
            fuel: unstable.fuel,
            outcomes: unstable.outcomes.clone(),
        }
    }
}
