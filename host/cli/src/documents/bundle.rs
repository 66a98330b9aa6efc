//! What `export` and `import` print.

use std::path::Path;

use milepost::bundle::Field;
use milepost::core::ids::RunId;
use milepost::core::state::Status;
use schemars::JsonSchema;
use serde::Serialize;

/// A run that was written to a file.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Exported {
    /// The run.
    id: RunId,
    /// The file.
    file: Option<String>,
    /// Its last event in the file.
    seq: u64,
    /// Runs in the file, its child runs and theirs included.
    runs: usize,
    /// Events of all of them.
    events: u64,
    /// Artifacts.
    artifacts: usize,
    /// Bytes of all parts, unpacked.
    bytes: u64,
    /// Runs that may have moved on since: the file has them as they were read.
    moving: Vec<RunId>,
    /// Signals that nobody has taken yet: they are not in the file.
    waiting_signals: u64,
    /// Where values were replaced.
    redacted: Vec<String>,
    /// Parts in which a replaced value stands still.
    left_in: Vec<String>,
}

impl Exported {
    pub(crate) fn new(
        exported: &milepost::bundle::Exported,
        file: Option<&Path>,
        redacted: &[Field],
    ) -> Self {
        Self {
            id: exported.run.clone(),
            file: file.map(|file| file.display().to_string()),
            seq: exported.seq,
            runs: exported.runs,
            events: exported.events,
            artifacts: exported.artifacts,
            bytes: exported.bytes,
            moving: exported.moving.clone(),
            waiting_signals: exported.waiting_signals,
            redacted: redacted.iter().map(ToString::to_string).collect(),
            left_in: exported.left_in.clone(),
        }
    }
}

/// A run that was put into the store.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Imported {
    /// The run.
    id: RunId,
    /// Where it stands here.
    status: Status,
    /// Runs that came into the store, its child runs and theirs included.
    imported: usize,
    /// Runs of the file that were there already.
    already_there: usize,
    /// Runs that were paused or held, because they would have gone on by themselves.
    held: Vec<RunId>,
    /// Whether values were replaced in the file.
    redacted: bool,
}

impl From<&milepost::bundle::Imported> for Imported {
    fn from(imported: &milepost::bundle::Imported) -> Self {
        Self {
            id: imported.run.clone(),
            status: imported.status,
            imported: imported.runs,
            already_there: imported.there,
            held: imported.held.clone(),
            redacted: imported.redacted,
        }
    }
}
