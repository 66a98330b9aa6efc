//! What attempts bring about before they have an outcome, and the state that outlives runs.

use futures_util::future::BoxFuture;
use milepost_core::effect::{Applied, Artifact, Effect, KvChange, KvItem, Memo, ProcessGroup};
use milepost_core::ids::{Digest, Epoch, RunId};
use milepost_core::limits;
use milepost_core::time::Timestamp;

use crate::{NewLog, StoreError};

/// An effect of an attempt in flight.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    /// The run.
    pub run: RunId,
    /// Its epoch: whoever lost the claim changes nothing.
    pub epoch: Epoch,
    /// Sequence number of the event that started the attempt: its tape is kept under it.
    pub started: u64,
    /// Path of the execution: its memos are kept under it.
    pub path: String,
    /// What becomes durable.
    pub effect: Effect,
}

/// What an attempt in flight has said since it said something last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The run.
    pub run: RunId,
    /// Its epoch: whoever lost the claim says nothing.
    pub epoch: Epoch,
    /// Lines that the run's log gets, behind those that it has.
    pub lines: Vec<NewLog>,
    /// How far an attempt is. Only the latest of each execution is kept, and of a run those of so many executions
    /// ([`limits::PROGRESS_KEPT`]).
    pub progress: Option<StoredProgress>,
}

/// How far an attempt in flight was when it last said so. What it said is there until its execution says something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredProgress {
    /// Path of the execution.
    pub path: String,
    /// Its attempt.
    pub attempt: u32,
    /// When the host received it.
    pub at: Timestamp,
    /// JSON of what was said.
    pub body: String,
}

/// A part of a tape, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTape {
    /// Position of its first entry.
    pub first: u64,
    /// A JSON array of entries.
    pub body: String,
}

/// An artifact that a run uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedArtifact {
    /// Rises in the order in which the run came to use them.
    pub position: u64,
    /// Path of the execution that wrote or opened it.
    pub path: String,
    /// What it is.
    pub artifact: Artifact,
}

/// A bucket, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// Keys that have a value.
    pub keys: u64,
    /// What keys and values take, bytes.
    pub bytes: u64,
}

/// For stores: whether a run that uses so many artifacts, of so many bytes together, may use one more.
#[must_use]
pub fn may_use(artifacts: u64, bytes: u64, size: u64) -> bool {
    artifacts < limits::ARTIFACTS as u64 && bytes.saturating_add(size) <= limits::ARTIFACTS_BYTES
}

/// For stores: whether a bucket of that many bytes has room for so many in place of those.
#[must_use]
pub fn bucket_has_room(bucket: u64, before: u64, after: u64) -> bool {
    after <= before || bucket - before.min(bucket) + after <= limits::KV_BUCKET_BYTES as u64
}

/// What attempts leave behind while they are in flight: tapes, memos, process groups; and buckets of keys and values, which all runs
/// of the store share.
pub trait Attempts: Send + Sync {
    /// Applies an effect, whole or not at all; durable when it returns. The same tape part twice is one. An artifact is refused
    /// whose bytes are not kept in this moment: what a run uses is there.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] or [`StoreError::Conflict`] when the run does not run under that epoch: nothing was changed.
    /// [`StoreError::Unavailable`] when it could not be saved.
    fn note(&self, note: Note) -> BoxFuture<'_, Result<Applied, StoreError>>;

    /// How far attempts of a run said that they are, by the path of their execution: also attempts that are over.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    fn progress<'a>(
        &'a self,
        run: &'a RunId,
    ) -> BoxFuture<'a, Result<Vec<StoredProgress>, StoreError>>;

    /// Appends to the log of a run while the attempt that speaks is in flight, for whoever watches and for the case that its process dies.
    /// Need not survive a loss of power, and so costs no wait for a disk. Whoever asks knows from the answer which lines are there:
    /// those that are, the write with the outcome does not bring again.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] or [`StoreError::Conflict`] when the run does not run under that epoch, [`StoreError::Unavailable`] when it
    /// could not be saved: nothing was appended.
    fn say(&self, said: Said) -> BoxFuture<'_, Result<(), StoreError>>;

    /// The parts of the tape of the attempt that `started` with that event, in order, from entry `from` on: as many as a page holds, at least
    /// one. Only an empty page is the end.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    fn tape<'a>(
        &'a self,
        run: &'a RunId,
        started: u64,
        from: u64,
    ) -> BoxFuture<'a, Result<Vec<StoredTape>, StoreError>>;

    /// What a key of an execution came to, if it is settled.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    fn memo<'a>(
        &'a self,
        run: &'a RunId,
        path: &'a str,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<String>, StoreError>>;

    /// Memos of a run with the path of their execution, behind the one of that path and key, sorted by the bytes of path and key: as many
    /// as a page holds, at least one. Only an empty page is the end.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    fn memos<'a>(
        &'a self,
        run: &'a RunId,
        after: Option<(&'a str, &'a str)>,
    ) -> BoxFuture<'a, Result<Vec<(String, Memo)>, StoreError>>;

    /// Process groups that attempts of the run have started and that nobody has seen the end of.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    fn groups<'a>(&'a self, run: &'a RunId)
    -> BoxFuture<'a, Result<Vec<ProcessGroup>, StoreError>>;

    /// Artifacts that the run uses, with a position above `after`, in order, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    fn artifacts<'a>(
        &'a self,
        run: &'a RunId,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<UsedArtifact>, StoreError>>;

    /// What is known of an artifact, if any run uses it: as the first of them has it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    fn artifact<'a>(
        &'a self,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<Option<Artifact>, StoreError>>;

    /// A key of a bucket. One that is not there has no value, and the revision from which it would go on; `None` where that is 0.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    fn kv<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<KvItem>, StoreError>>;

    /// Keys with a value that begin with `prefix` and come after `after`, sorted by their bytes, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    fn kv_keys<'a>(
        &'a self,
        bucket: &'a str,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<String>, StoreError>>;

    /// Changes a key for a person, whom no claim guards.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    fn kv_change(&self, change: KvChange) -> BoxFuture<'_, Result<Applied, StoreError>>;

    /// Buckets whose name comes after `after`, sorted, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    fn buckets<'a>(
        &'a self,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Bucket>, StoreError>>;
}
