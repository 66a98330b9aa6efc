//! Why a run was not exported, or a file not imported.

use std::io;

use milepost_core::ids::RunId;
use milepost_core::shown::Shown;

use super::redact::Field;
use crate::engine::EngineError;
use crate::record::RecordError;
use crate::store::StoreError;

/// Why a run was not exported or imported. Nothing was written to a store.
#[derive(Debug, thiserror::Error)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub enum BundleError {
    /// The file cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The store, or the record in it, cannot be read or written.
    #[error(transparent)]
    Engine(EngineError),
    /// The file is not one that was exported, or not as it was written.
    #[error("{0}")]
    Refused(#[from] Refused),
    /// The file has a format that this program does not know.
    #[error(
        "the file has format {found}, this program reads formats up to {known}: it was made by a newer program"
    )]
    TooNew {
        /// The file's.
        found: u32,
        /// The newest one that is read.
        known: u32,
    },
    /// There is that run, and the file has what happened to it since.
    #[error(
        "the store has run `{run}` as it was after event {there}, and the file as it was after event {file}: the file is newer, and what is in the store stays as it is"
    )]
    Behind {
        /// The run.
        run: RunId,
        /// The last event that the store has of what is in the file.
        there: u64,
        /// The last event of the file.
        file: u64,
    },
    /// There is a run of that id, and its record is another one.
    #[error(
        "the store has a run `{run}` with another record: they differ from event {seq} on, and neither replaces the other"
    )]
    Exists {
        /// The run.
        run: RunId,
        /// The first event that the one in the store does not have, or has otherwise.
        seq: u64,
    },
    /// The record of the run is not whole.
    #[error("run `{run}` cannot be exported: {what}")]
    Damaged {
        /// The run.
        run: RunId,
        /// What is wrong.
        what: String,
    },
    /// It is more than such a file may hold.
    #[error("{what}: {found}, more than the maximum of {most}")]
    TooLarge {
        /// What.
        what: &'static str,
        /// How much there is.
        found: u64,
        /// How much there may be.
        most: u64,
    },
    /// Nothing is recorded where a value was to be replaced.
    #[error("nothing is recorded at `{field}` in run `{run}`, so nothing was replaced")]
    NothingThere {
        /// The place.
        field: Field,
        /// The run.
        run: RunId,
    },
    /// A value that was to be replaced is also a word of the record itself.
    #[error(
        "event {seq} of run `{run}` cannot be read any more when the values are replaced in it: one of them is too short or too common ({what})"
    )]
    NotReplaceable {
        /// The run.
        run: RunId,
        /// The event.
        seq: u64,
        /// What is wrong with the event then.
        what: String,
    },
}

/// A file that is not taken: where, and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {what}", Shown(.part))]
pub struct Refused {
    /// The entry, with the line where there are lines; or `the file`.
    pub part: String,
    /// What is wrong.
    pub what: String,
}

impl Refused {
    pub(super) fn at(part: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            part: part.into(),
            what: what.into(),
        }
    }

    /// Of the whole file.
    pub(super) fn file(what: impl Into<String>) -> Self {
        Self::at("the file", what)
    }
}

impl From<EngineError> for BundleError {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

impl From<StoreError> for BundleError {
    fn from(error: StoreError) -> Self {
        Self::Engine(error.into())
    }
}

impl From<RecordError> for BundleError {
    fn from(error: RecordError) -> Self {
        Self::Engine(error.into())
    }
}
