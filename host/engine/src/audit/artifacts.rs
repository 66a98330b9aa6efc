//! The artifacts that a run uses, which are kept beside the store.

use milepost_core::effect::Artifact;
use milepost_core::ids::Hasher;
use milepost_core::limits;

use super::{Audit, Auditor, FAULTS};
use crate::store::StoreError;

/// Artifacts that are looked at at once.
const PAGE: usize = 256;

impl Audit<'_, '_> {
    /// Whether they are there, with all their bytes, and, where that was asked for, whether those are the bytes of their digest.
    pub(super) async fn artifacts(&mut self) -> Result<(), StoreError> {
        let store = self.auditor.store;
        let mut after = 0;
        while self.faults.len() < FAULTS {
            let used = store.artifacts(self.run, after, PAGE).await?;
            let Some(last) = used.last() else {
                return Ok(());
            };
            after = last.position;
            for used in used {
                let artifact = used.artifact;
                // Its last byte, and nothing behind it.
                let from = artifact.size.saturating_sub(1);
                let wanted = usize::from(artifact.size > 0);
                let what = match store.read_artifact(&artifact.digest, from, 2).await? {
                    None => "is missing",
                    Some(end) if end.len() != wanted => "does not have the size that it had",
                    Some(_) if self.auditor.is_intact(&artifact).await? => continue,
                    Some(_) => "does not match its digest",
                };
                let part = format!("artifact {}", artifact.name);
                self.fault(part, format_args!("{} {what}", artifact.digest));
            }
        }
        Ok(())
    }
}

impl Auditor<'_> {
    /// Whether the bytes are those of the digest, if they are read at all; each once.
    async fn is_intact(&mut self, artifact: &Artifact) -> Result<bool, StoreError> {
        if !self.reads_artifacts {
            return Ok(true);
        }
        if let Some(intact) = self.artifacts.get(&artifact.digest) {
            return Ok(*intact);
        }
        let mut hashed = Hasher::default();
        let mut offset = 0;
        loop {
            let most = limits::ARTIFACT_CHUNK_BYTES;
            let read = self.store.read_artifact(&artifact.digest, offset, most);
            let bytes = read.await?.unwrap_or_default();
            if bytes.is_empty() {
                break;
            }
            hashed.update(&bytes);
            offset += bytes.len() as u64;
        }
        let intact = hashed.finish() == artifact.digest;
        self.artifacts.insert(artifact.digest, intact);
        Ok(intact)
    }
}
