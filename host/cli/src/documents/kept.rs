//! What is kept beside runs: buckets, artifacts.

use std::collections::BTreeMap;

use milepost::core::effect::Artifact;
use milepost::core::ids::{Digest, RunId};
use milepost::core::state::Status;
use milepost::core::time::Timestamp;
use milepost::store::UsedArtifact;
use schemars::JsonSchema;
use serde::Serialize;

use super::failure::Problem;

/// What `kv` prints.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "it only describes what four types are written as")]
pub(crate) enum KvAnswer {
    /// `kv ls`.
    Buckets(Buckets),
    /// `kv ls BUCKET`.
    Keys(Keys),
    /// `kv get`.
    Item(Item),
    /// `kv put`, `kv rm`.
    Changed(Changed),
}

/// All buckets.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Buckets {
    /// By name.
    pub(crate) buckets: Vec<Bucket>,
}

/// A bucket.
#[derive(Clone, Serialize, JsonSchema)]
pub(crate) struct Bucket {
    /// Its name.
    pub(crate) name: String,
    /// Keys in it.
    pub(crate) keys: u64,
    /// Bytes of keys and values.
    pub(crate) bytes: u64,
}

/// Keys of a bucket.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it only describes what is written piece by piece")]
pub(crate) struct Keys {
    /// The bucket.
    bucket: String,
    /// The keys, sorted by their bytes.
    keys: Vec<String>,
    /// Why the list ends before its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Problem>,
}

/// A key and its value.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Item {
    /// The bucket.
    pub(crate) bucket: String,
    /// The key.
    pub(crate) key: String,
    /// Its revision.
    pub(crate) revision: u64,
    /// The value, where it is text.
    pub(crate) value: Option<String>,
    /// The value as base64, where it is not text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) value_base64: Option<String>,
}

/// A key that was changed.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Changed {
    /// The bucket.
    pub(crate) bucket: String,
    /// The key.
    pub(crate) key: String,
    /// Its revision now.
    pub(crate) revision: u64,
    /// Whether it is gone.
    pub(crate) removed: bool,
}

/// What `metrics` prints.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Metrics {
    /// Runs by status.
    pub(crate) runs: BTreeMap<Status, u64>,
    /// How long the run has waited for a worker that has waited longest: one that is pending, or paused and due; 0 when none waits.
    pub(crate) oldest_waiting_seconds: f64,
    /// When the next paused run will be due.
    pub(crate) next_due_at: Option<Timestamp>,
    /// Running runs whose lease is over.
    pub(crate) expired_leases: u64,
    /// Bytes of the store's file.
    pub(crate) store_bytes: u64,
    /// Bytes of it that nothing uses.
    pub(crate) store_unused_bytes: u64,
    /// The buckets, by name.
    pub(crate) buckets: Vec<Bucket>,
    /// What all processes have counted since the store was made. There may be more of them one day.
    pub(crate) counted: Vec<Counted>,
}

/// Something that is counted or measured. The name is that of Prometheus, without `milepost_`.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Counted {
    /// One number.
    Total {
        /// Its name.
        name: String,
        /// How many.
        value: u64,
    },
    /// A number for each value of a label.
    By {
        /// Its name.
        name: String,
        /// The label.
        label: String,
        /// How many, by value.
        values: BTreeMap<String, u64>,
    },
    /// How often an amount fell into each of some ranges.
    Histogram {
        /// Its name, with the unit.
        name: String,
        /// How many there are.
        count: u64,
        /// All of them together, in that unit.
        sum: f64,
        /// The ranges, the lowest first. Unlike the buckets of Prometheus, each counts for itself.
        ranges: Vec<Range>,
    },
}

/// A range of amounts.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Range {
    /// The largest amount in it; null of the last, which has no end.
    pub(crate) up_to: Option<f64>,
    /// How many fell into it.
    pub(crate) count: u64,
}

/// What `artifacts` prints.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "it only describes what two types are written as")]
pub(crate) enum ArtifactsAnswer {
    /// Those of a run, or the one that was named.
    Artifacts(Artifacts),
    /// One that was written to a file.
    Written(WrittenArtifact),
}

/// Artifacts of a run.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Artifacts {
    /// The run.
    pub(crate) id: RunId,
    /// In the order in which the run came to use them.
    pub(crate) artifacts: Vec<KeptArtifact>,
}

/// An artifact.
#[derive(Serialize, JsonSchema)]
pub(crate) struct KeptArtifact {
    /// Name that its component gave it, or of the file that it was.
    name: String,
    /// SHA-256 of its bytes.
    digest: Digest,
    /// How many bytes.
    size: u64,
    /// What they are, as its component says, or the name of its file.
    media_type: String,
    /// The execution that wrote or opened it, or `inputs.NAME` of an input of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
}

impl KeptArtifact {
    pub(crate) fn new(used: &UsedArtifact) -> Self {
        Self {
            path: Some(used.path.clone()),
            ..Self::of(&used.artifact)
        }
    }

    pub(crate) fn of(artifact: &Artifact) -> Self {
        Self {
            name: artifact.name.clone(),
            digest: artifact.digest,
            size: artifact.size,
            media_type: artifact.media_type.clone(),
            path: None,
        }
    }
}

/// An artifact that was written to a file.
#[derive(Serialize, JsonSchema)]
pub(crate) struct WrittenArtifact {
    /// Which.
    pub(crate) artifact: KeptArtifact,
    /// Where.
    pub(crate) file: String,
}
