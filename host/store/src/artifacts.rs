//! Artifacts: bytes that are too many for the store itself, under their digest.
//!
//! One is written first, and used by a run afterwards ([`Attempts::note`](crate::Attempts::note)). What holds it in between: a sweep
//! takes only what nobody has written for a while; and, whatever happens to the bytes, a run comes to use them only if they are there,
//! which the store asks in the very moment in which no sweep can take them.

use std::time::Duration;

use futures_util::future::BoxFuture;
use milepost_core::ids::Digest;

use crate::StoreError;

/// Where artifacts are kept. Which run uses them is a matter of [`Attempts`](crate::Attempts): one is written first, and named then.
pub trait Artifacts: Send + Sync {
    /// Begins one.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    fn create_artifact(&self) -> BoxFuture<'_, Result<Box<dyn ArtifactSink>, StoreError>>;

    /// Bytes of one from `offset` on: `max`, fewer only at its end. `None` when it is not kept.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    fn read_artifact<'a>(
        &'a self,
        digest: &'a Digest,
        offset: u64,
        max: usize,
    ) -> BoxFuture<'a, Result<Option<Vec<u8>>, StoreError>>;

    /// Removes those that no run uses and that nobody has written for `grace`, and what is left of those whose writer is gone. With
    /// `pretend`, only counts them.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; what was removed until then stays removed.
    fn sweep_artifacts(
        &self,
        grace: Duration,
        pretend: bool,
    ) -> BoxFuture<'_, Result<Swept, StoreError>>;

    /// Removes one that was finished and that no run uses: the one for whom it was written may not have it. Where somebody else is about
    /// to use the same bytes, it is told that they are gone.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: a sweep will take it.
    fn discard_artifact<'a>(&'a self, digest: &'a Digest) -> BoxFuture<'a, Result<(), StoreError>>;
}

/// An artifact that is being written. Dropped unfinished, nothing of it is kept.
pub trait ArtifactSink: Send {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: it cannot be finished any more.
    fn write<'a>(&'a mut self, chunk: &'a [u8]) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Keeps the bytes under their digest; durable when it returns.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: nothing is kept.
    fn finish(self: Box<Self>, digest: Digest) -> BoxFuture<'static, Result<(), StoreError>>;
}

/// What a sweep has removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Artifacts.
    pub artifacts: u64,
    /// Their bytes.
    pub bytes: u64,
}
