//! Artifacts in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use milepost_core::ids::Digest;

use super::MemoryStore;
use crate::{ArtifactSink, Artifacts, StoreError, Swept};

/// The bytes, by digest; shared with what is being written.
pub(super) type Kept = Arc<Mutex<BTreeMap<Digest, Arc<[u8]>>>>;

impl MemoryStore {
    pub(super) fn keeps(&self, digest: &Digest) -> bool {
        self.kept().contains_key(digest)
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<Digest, Arc<[u8]>>> {
        let kept = self.artifacts.lock();
        kept.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Artifacts for MemoryStore {
    fn create_artifact(&self) -> BoxFuture<'_, Result<Box<dyn ArtifactSink>, StoreError>> {
        let sink = Sink {
            kept: Arc::clone(&self.artifacts),
            bytes: Vec::new(),
        };
        Box::pin(ready(Ok(Box::new(sink) as _)))
    }

    fn read_artifact<'a>(
        &'a self,
        digest: &'a Digest,
        offset: u64,
        max: usize,
    ) -> BoxFuture<'a, Result<Option<Vec<u8>>, StoreError>> {
        Box::pin(async move {
            Ok(self.kept().get(digest).map(|bytes| {
                let from = usize::try_from(offset)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                bytes[from..].iter().copied().take(max).collect()
            }))
        })
    }

    fn sweep_artifacts(
        &self,
        grace: Duration,
        pretend: bool,
    ) -> BoxFuture<'_, Result<Swept, StoreError>> {
        Box::pin(async move {
            let mut swept = Swept::default();
            // When they were written is not kept here.
            if grace > Duration::ZERO {
                return Ok(swept);
            }
            let state = self.state();
            let used = state.runs.values().flat_map(|run| &run.artifacts);
            let used: BTreeSet<Digest> = used.map(|used| used.artifact.digest).collect();
            self.kept().retain(|digest, bytes| {
                let unused = !used.contains(digest);
                swept.artifacts += u64::from(unused);
                swept.bytes += if unused { bytes.len() as u64 } else { 0 };
                pretend || !unused
            });
            Ok(swept)
        })
    }

    fn discard_artifact<'a>(&'a self, digest: &'a Digest) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let state = self.state();
            let mut used = state.runs.values().flat_map(|run| &run.artifacts);
            if used.all(|used| used.artifact.digest != *digest) {
                self.kept().remove(digest);
            }
            Ok(())
        })
    }
}

struct Sink {
    kept: Kept,
    bytes: Vec<u8>,
}

impl ArtifactSink for Sink {
    fn write<'a>(&'a mut self, chunk: &'a [u8]) -> BoxFuture<'a, Result<(), StoreError>> {
        self.bytes.extend_from_slice(chunk);
        Box::pin(ready(Ok(())))
    }

    fn finish(self: Box<Self>, digest: Digest) -> BoxFuture<'static, Result<(), StoreError>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(digest, self.bytes.into());
        drop(kept);
        Box::pin(ready(Ok(())))
    }
}
