//! What is said of a store, and what was done to many of its runs.

use std::collections::BTreeMap;

use milepost::core::ids::RunId;
use milepost::core::state::Status;
use milepost::core::time::Timestamp;
use milepost::engine::Gravity;
use milepost::store::Health;
use schemars::JsonSchema;
use serde::Serialize;

/// What a look at a store found.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Doctor {
    /// Folder of the store.
    pub(crate) folder: String,
    /// Whether nothing is broken; warnings and notes do not count.
    pub(crate) ok: bool,
    /// What the store says of itself.
    pub(crate) store: Store,
    /// What was found, the gravest first.
    pub(crate) findings: Vec<Finding>,
}

/// What a store says of itself.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Store {
    /// Version of its layout.
    version: u32,
    /// What is wrong with its file; empty when nothing is.
    problems: Vec<String>,
    /// Bytes of its main file.
    bytes: u64,
    /// Bytes of its write-ahead log.
    wal_bytes: u64,
    /// Bytes of its main file that nothing uses.
    unused_bytes: u64,
    /// Whether those can be returned to the disk without rewriting the file.
    gives_back: bool,
    /// Bytes free on its disk, if known.
    free_bytes: Option<u64>,
    /// Runs by status.
    runs: BTreeMap<Status, u64>,
}

impl From<&Health> for Store {
    fn from(health: &Health) -> Self {
        Self {
            version: health.version,
            problems: health.problems.clone(),
            bytes: health.bytes,
            wal_bytes: health.wal_bytes,
            unused_bytes: health.unused_bytes,
            gives_back: health.gives_back,
            free_bytes: health.free_bytes,
            runs: health.runs.clone(),
        }
    }
}

/// Something that a look at a store found.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Finding {
    /// How bad it is.
    pub(crate) severity: Severity,
    /// The run, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) run: Option<String>,
    /// What is damaged, if something is: `event 3`, `checkpoint`, `column status`, `component text`, a blob.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) part: Option<String>,
    /// What was found.
    pub(crate) message: String,
    /// What to do.
    pub(crate) help: String,
}

/// How bad a finding is.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "FindingSeverity")]
pub(crate) enum Severity {
    /// Worth knowing.
    Note,
    /// Somebody should look.
    Warning,
    /// Something is broken.
    Problem,
}

impl From<Gravity> for Severity {
    fn from(gravity: Gravity) -> Self {
        match gravity {
            Gravity::Note => Self::Note,
            Gravity::Warning => Self::Warning,
            Gravity::Problem => Self::Problem,
        }
    }
}

/// What was removed.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Collected {
    /// Whether this only says what would be removed.
    pub(crate) dry_run: bool,
    /// Only runs whose last write was before this.
    pub(crate) before: Timestamp,
    /// The runs, the oldest first.
    pub(crate) runs: Vec<RunId>,
    /// Artifacts that no run used any more.
    pub(crate) artifacts: u64,
    /// Their bytes.
    pub(crate) artifact_bytes: u64,
    /// Artifacts that no run uses, and that are kept for a while.
    pub(crate) young_artifacts: u64,
    /// Bytes of the store's file that were returned to the disk.
    pub(crate) given_back_bytes: u64,
    /// Bytes of the main file that nothing uses now.
    pub(crate) unused_bytes: u64,
    /// Runs that could not be removed.
    pub(crate) kept: Vec<KeptRun>,
}

/// A run that could not be removed.
#[derive(Serialize, JsonSchema)]
pub(crate) struct KeptRun {
    /// The run.
    pub(crate) id: RunId,
    /// Why.
    pub(crate) reason: String,
}

/// What a worker did.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Worked {
    /// How often it took a run.
    taken: u64,
    /// How those ended: completed, failed, paused, cancelled, or pending when they were released.
    ended: BTreeMap<Status, u64>,
    /// How many did not end because the store did not take their checkpoint; they are taken again.
    unsaved: u64,
    /// How many it took over from a lost owner.
    recovered: u64,
    /// Runs that could not begin.
    refused: u64,
}

impl From<&milepost::engine::Worked> for Worked {
    fn from(worked: &milepost::engine::Worked) -> Self {
        Self {
            taken: worked.taken,
            ended: worked.ended.clone(),
            unsaved: worked.unsaved,
            recovered: worked.recovered,
            refused: worked.refused,
        }
    }
}
