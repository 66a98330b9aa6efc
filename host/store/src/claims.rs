//! Who drives which run.

use futures_util::future::BoxFuture;
use milepost_core::ids::{Epoch, RunId};
use milepost_core::time::Timestamp;

use crate::{Attention, StoreError, Written};

/// Claims on runs, and what waits for somebody to claim it.
pub trait Claims: Send + Sync {
    /// Extends the lease of a claim. Fails with [`StoreError::Conflict`] when the epoch is not the present one.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Conflict`], [`StoreError::Unavailable`].
    fn renew_lease<'a>(
        &'a self,
        run: &'a RunId,
        epoch: Epoch,
        until: Timestamp,
    ) -> BoxFuture<'a, Result<Written, StoreError>>;

    /// Marks a run whose owner lives but does not renew its lease, until the owner writes or renews again. Returns whether
    /// this call set the mark: false when it is set, the epoch is not the present one, or the lease holds at `at`.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Unavailable`].
    fn mark_detached<'a>(
        &'a self,
        run: &'a RunId,
        epoch: Epoch,
        at: Timestamp,
    ) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// What a worker has to look at. The cost does not depend on how many runs are over or paused.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    fn attention(
        &self,
        now: Timestamp,
        limit: usize,
    ) -> BoxFuture<'_, Result<Attention, StoreError>>;
}
