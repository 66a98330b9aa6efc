//! The artifacts that a run uses, which are kept beside the store.

use super::{Audit, FAULTS};
use crate::store::StoreError;

/// Artifacts that are looked at at once.
const PAGE: usize = 256;

impl Audit<'_, '_> {
    /// Whether they are there, with all their bytes. What is in them is compared when they are read.
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
                    Some(_) => continue,
                };
                let part = format!("artifact {}", artifact.name);
                self.fault(part, format_args!("{} {what}", artifact.digest));
            }
        }
        Ok(())
    }
}
