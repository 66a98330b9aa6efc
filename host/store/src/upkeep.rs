//! Looking over all runs, removing old ones, examining the store.

use futures_util::future::BoxFuture;
use milepost_core::ids::RunId;
use milepost_core::state::Status;
use milepost_core::time::Timestamp;

use crate::{Count, Filter, Health, Holdings, Listing, Release, RunRow, Space, StoreError};

/// What people and their tools ask of a store as a whole.
pub trait Upkeep: Send + Sync {
    /// A page of rows, newest first (creation time, then id).
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]. A row that cannot be read is returned in [`Listing::unreadable`], not as an error.
    fn list<'a>(&'a self, filter: &'a Filter) -> BoxFuture<'a, Result<Listing, StoreError>>;

    /// How many runs a list has in all its pages, also those that cannot be read; where the filter begins and its limit do not
    /// matter.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    fn count<'a>(&'a self, filter: &'a Filter) -> BoxFuture<'a, Result<usize, StoreError>>;

    /// Ids that start with `prefix`, sorted, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    fn ids_with_prefix<'a>(
        &'a self,
        prefix: &'a str,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<RunId>, StoreError>>;

    /// Runs of these statuses that were created and last written before `before`, the oldest first, at most `limit`. A row
    /// that cannot be read is passed over.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    fn written_before<'a>(
        &'a self,
        before: Timestamp,
        statuses: &'a [Status],
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<RunRow>, StoreError>>;

    /// Removes a run that stands at `seq` and is completed, failed or cancelled, with its journal, checkpoint, logs and
    /// signals, and the blobs that no other run uses.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Conflict`] when it stands elsewhere or is not over;
    /// [`StoreError::Unavailable`]: of a run that has much, it may be gone all the same, and its room is given back later.
    fn delete<'a>(&'a self, run: &'a RunId, seq: u64) -> BoxFuture<'a, Result<(), StoreError>>;

    /// What a run has of the store, all of one moment. Takes as long as looking at each of its entries and log lines.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    fn holdings<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<Holdings, StoreError>>;

    /// Adds to counters, which begin at 0 and have names that the store does not understand. They are for watching: unlike all else,
    /// what was added need not survive a loss of power, and so costs no wait for a disk. A counter stays at the largest number that
    /// the store can hold.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: nothing was added.
    fn count_up(&self, by: Vec<Count>) -> BoxFuture<'_, Result<(), StoreError>>;

    /// All counters that were ever added to, sorted by the bytes of their names.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    fn counts(&self) -> BoxFuture<'_, Result<Vec<Count>, StoreError>>;

    /// Examines the whole store: takes as long as reading all of it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    fn health(&self) -> BoxFuture<'_, Result<Health, StoreError>>;

    /// How much room the store takes, and how much of it nothing uses. Nothing, for a store that keeps no room.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    fn space(&self) -> BoxFuture<'_, Result<Space, StoreError>> {
        Box::pin(std::future::ready(Ok(Space::default())))
    }

    /// Gives room that nothing uses back to the disk. May take long, and blocks its caller's thread.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; what was given back until then stays so.
    fn release(&self, _: Release) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}
