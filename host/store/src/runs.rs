//! What is recorded of runs, and the one door through which a run changes.

use futures_util::future::BoxFuture;
use milepost_core::ids::RunId;

use crate::{RunRow, StoreError, StoredCheckpoint, StoredEntry, StoredLog, Write, Written};

/// The record of runs: row, journal, checkpoint and log.
pub trait Runs: Send + Sync {
    /// Applies one transaction, whole or not at all; durable when it returns.
    ///
    /// # Errors
    /// [`StoreError::Exists`] or [`StoreError::NotFound`] or [`StoreError::Conflict`] when the expectation does not hold:
    /// nothing was changed. [`StoreError::Unavailable`] when it could not be saved: it may be tried again.
    fn write(&self, write: Write) -> BoxFuture<'_, Result<Written, StoreError>>;

    /// The row of a run.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    fn row<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<Option<RunRow>, StoreError>>;

    /// Row and all checkpoint parts, from one snapshot.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    fn checkpoint<'a>(
        &'a self,
        run: &'a RunId,
    ) -> BoxFuture<'a, Result<Option<StoredCheckpoint>, StoreError>>;

    /// A page of the journal: entries with a sequence number above `after`, in order, at most `limit`, and no more bodies
    /// than [`limits::PAGE_BYTES`](milepost_core::limits::PAGE_BYTES) unless the first alone is larger. Only an empty page is the end.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    fn journal<'a>(
        &'a self,
        run: &'a RunId,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<StoredEntry>, StoreError>>;

    /// A page of the log: lines with a position above `after`, in order, bounded as in [`Runs::journal`].
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    fn logs<'a>(
        &'a self,
        run: &'a RunId,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<StoredLog>, StoreError>>;
}
