//! Workers that say in the store that they are there, so that whoever hands something to "a worker" can know whether there is one.

use std::sync::Arc;
use std::time::Duration;

use milepost_core::limits;
use tokio::task::{AbortHandle, JoinHandle};

use super::Engine;
use super::shared::Shared;
use crate::owner::Liveness;
use crate::store::{Owner, StoreError};

/// A worker that says that it is there, until this is dropped.
pub(super) struct Presence {
    shared: Arc<Shared>,
    owner: Owner,
    saying: AbortHandle,
    leaving: Option<JoinHandle<()>>,
}

/// How long the end of a worker waits for the store to hear of it; otherwise the others find out by its process, or when its time is over.
const PATIENCE: Duration = Duration::from_secs(1);

impl Presence {
    /// Says so from now on. A store that does not take it hinders nobody: all that is lost is a better word.
    pub(super) fn begin(shared: &Arc<Shared>) -> Self {
        let owner = shared.host.enter();
        let (store, said) = (Arc::clone(&shared.store), owner.clone());
        let saying = tokio::spawn(async move {
            loop {
                if let Err(error) = store.present(said.clone(), limits::LEASE).await {
                    tracing::debug!(%error, "the store does not take that a worker is there");
                }
                tokio::time::sleep(limits::LEASE_RENEWAL).await;
            }
        });
        Self {
            shared: Arc::clone(shared),
            owner,
            saying: saying.abort_handle(),
            leaving: None,
        }
    }

    /// It takes no more runs, which the store hears beside whatever the worker still has to do.
    pub(super) fn leave(&mut self) {
        if self.leaving.is_some() {
            return;
        }
        self.saying.abort();
        let (store, owner) = (Arc::clone(&self.shared.store), self.owner.clone());
        self.leaving = Some(tokio::spawn(async move {
            if let Err(error) = store.absent(&owner).await {
                tracing::debug!(%error, "the store does not take that a worker has left");
            }
        }));
    }

    /// The same, and waits until the store has heard it, if it answers soon.
    pub(super) async fn end(&mut self) {
        self.leave();
        if let Some(leaving) = &mut self.leaving {
            // It can only be late.
            let _ = tokio::time::timeout(PATIENCE, leaving).await;
        }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.saying.abort();
        self.shared.host.leave(&self.owner);
    }
}

impl Engine {
    /// Whether a worker is there that can take runs of this store: one that said so lately, and whose process is not known to be gone.
    ///
    /// # Errors
    /// [`StoreError`] when the store does not answer.
    pub async fn has_worker(&self) -> Result<bool, StoreError> {
        let workers = self.shared.store.workers().await?;
        let lives = |worker: &Owner| self.shared.host.liveness(worker) != Liveness::Gone;
        Ok(workers.iter().any(lives))
    }
}
