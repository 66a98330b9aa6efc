//! What stands behind the questions of an attempt, and what it tells, while its run is driven.

use std::future::ready;
use std::sync::Arc;

use milepost_core::effect::{Applied, Artifact, Effect, KvItem};
use milepost_core::ids::{Digest, Epoch, Path, RunId};
use milepost_core::time::Timestamp;

use super::driver::SAVE_WAITS;
use super::live_log::LiveLog;
use super::observer::Notice;
use super::shared::Shared;
use crate::attempt::{ArtifactWriter, AttemptHost, BoxFuture, CancelFlag, LogLine, Progress};
use crate::fault;
use crate::store::{ArtifactSink, Note, Store, StoreError};
use crate::wasm::HostError;

/// The host of one attempt.
pub(super) struct LiveHost {
    pub(super) shared: Arc<Shared>,
    pub(super) run: RunId,
    /// The claim under which the attempt was started.
    pub(super) epoch: Epoch,
    /// Sequence number of the event that started it.
    pub(super) started: u64,
    pub(super) path: Path,
    pub(super) attempt: u32,
    pub(super) live: Arc<LiveLog>,
    /// Raised for all attempts in flight when the run is asked to stop.
    pub(super) cancel: CancelFlag,
    /// Raised for this one when it has to end though the run goes on.
    pub(super) ends: CancelFlag,
}

impl AttemptHost for LiveHost {
    fn log<'a>(&'a self, line: &'a LogLine) -> BoxFuture<'a, ()> {
        let notice = Notice::Log {
            path: &self.path,
            attempt: self.attempt,
            line,
        };
        self.shared.tell(&self.run, notice);
        self.live.take(line);
        Box::pin(ready(()))
    }

    fn progress<'a>(&'a self, progress: &'a Progress) -> BoxFuture<'a, ()> {
        let notice = Notice::Progress {
            path: &self.path,
            progress,
        };
        self.shared.tell(&self.run, notice);
        self.live.progressed(progress, self.shared.clock.now());
        Box::pin(ready(()))
    }

    fn cancel_requested(&self) -> BoxFuture<'_, bool> {
        Box::pin(ready(self.cancel.is_raised() || self.ends.is_raised()))
    }

    fn cancelled(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            tokio::select! {
            () = self.cancel.raised() => {}
            () = self.ends.raised() => {}
            }
        })
    }

    fn now(&self) -> Option<Timestamp> {
        Some(self.shared.clock.now())
    }

    fn note(&self, effect: Effect) -> BoxFuture<'_, Result<Applied, HostError>> {
        Box::pin(self.save(effect))
    }

    fn memo<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<String>, HostError>> {
        Box::pin(async move {
            let path = self.path.to_string();
            let found = self.shared.store.memo(&self.run, &path, key).await;
            found.map_err(|error| unavailable(&error))
        })
    }

    fn create_artifact(&self) -> BoxFuture<'_, Result<Box<dyn ArtifactWriter>, HostError>> {
        Box::pin(async move {
            let sink = self.shared.store.create_artifact().await;
            let sink = sink.map_err(|error| unavailable(&error))?;
            Ok(Box::new(Written(sink)) as _)
        })
    }

    fn artifact<'a>(
        &'a self,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<Option<Artifact>, HostError>> {
        Box::pin(async move {
            let found = self.shared.store.artifact(digest).await;
            found.map_err(|error| unavailable(&error))
        })
    }

    fn read_artifact<'a>(
        &'a self,
        digest: &'a Digest,
        offset: u64,
        max: usize,
    ) -> BoxFuture<'a, Result<Vec<u8>, HostError>> {
        Box::pin(read_artifact(&*self.shared.store, digest, offset, max))
    }

    fn discard_artifact<'a>(&'a self, digest: &'a Digest) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            // What stays is swept one day.
            let _ = self.shared.store.discard_artifact(digest).await;
        })
    }

    fn kv<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<KvItem>, HostError>> {
        Box::pin(async move {
            let found = self.shared.store.kv(bucket, key).await;
            found.map_err(|error| unavailable(&error))
        })
    }

    fn kv_keys<'a>(
        &'a self,
        bucket: &'a str,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<String>, HostError>> {
        Box::pin(async move {
            let store = &self.shared.store;
            let found = store.kv_keys(bucket, prefix, after, limit).await;
            found.map_err(|error| unavailable(&error))
        })
    }
}

impl LiveHost {
    /// A store that does not take it is tried again, as with a commit, but for a change of a bucket: where the answer was lost, the second try would
    /// meet the first.
    async fn save(&self, effect: Effect) -> Result<Applied, HostError> {
        let mut waits = SAVE_WAITS.iter().filter(|_| effect.kv.is_none());
        loop {
            let note = Note {
                run: self.run.clone(),
                epoch: self.epoch,
                started: self.started,
                path: self.path.to_string(),
                effect: effect.clone(),
            };
            fault::point("before_note");
            let noted = self.shared.store.note(note).await;
            fault::point("after_note");
            match (noted, waits.next()) {
                (Ok(applied), _) => return Ok(applied),
                (Err(StoreError::Unavailable(_)), Some(wait)) => {
                    self.shared.clock.sleep(*wait).await;
                }
                (Err(error), _) => return Err(unavailable(&error)),
            }
        }
    }
}

/// An artifact on its way into the store.
struct Written(Box<dyn ArtifactSink>);

impl ArtifactWriter for Written {
    fn write(&mut self, chunk: Vec<u8>) -> BoxFuture<'_, Result<(), HostError>> {
        Box::pin(async move {
            let written = self.0.write(&chunk).await;
            written.map_err(|error| unavailable(&error))
        })
    }

    fn finish(self: Box<Self>, digest: Digest) -> BoxFuture<'static, Result<(), HostError>> {
        Box::pin(async move {
            let finished = self.0.finish(digest).await;
            finished.map_err(|error| unavailable(&error))
        })
    }
}

/// Bytes of an artifact for an attempt, also for one that is executed again.
pub(crate) async fn read_artifact(
    store: &dyn Store,
    digest: &Digest,
    offset: u64,
    max: usize,
) -> Result<Vec<u8>, HostError> {
    match store.read_artifact(digest, offset, max).await {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(HostError::new("not-found", "it is not kept any more")),
        Err(error) => Err(unavailable(&error)),
    }
}

/// What a guest is told where the store has no answer.
fn unavailable(error: &StoreError) -> HostError {
    match error {
        StoreError::Unavailable(_) => HostError::transient("unavailable", error.to_string()),
        StoreError::Conflict { .. } | StoreError::NotFound(_) => HostError::new(
            "claim-lost",
            "the run was taken over: what this attempt comes to does not count",
        ),
        _ => HostError::new("unavailable", error.to_string()),
    }
}
