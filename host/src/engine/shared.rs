//! What all runs of one engine share.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use milepost_core::ids::RunId;
use milepost_core::state::RunState;
use tokio::runtime::{Handle, RuntimeFlavor};

use super::observer::{Notice, Observer};
use crate::clock::Clock;
use crate::owner::Host;
use crate::plugin::PluginSource;
use crate::record::Batch;
use crate::store::{Store, StoreError};

pub(super) struct Shared {
    pub(super) store: Arc<dyn Store>,
    pub(super) plugins: Arc<dyn PluginSource>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) host: Arc<dyn Host>,
}

impl Shared {
    /// Writes what was recorded of a run that this process does not drive. `false` says that somebody moved the run
    /// meanwhile: what was read of it does not hold any more.
    pub(super) async fn write(&self, batch: &Batch, state: &RunState) -> Result<bool, StoreError> {
        match self.store.write(batch.to_write(state)).await {
            Ok(_) => {
                self.tell_saved(state);
                Ok(true)
            }
            Err(StoreError::Conflict { .. } | StoreError::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Tells the observer. It only watches: its panic is its own affair and ends no run.
    pub(super) fn tell(&self, run: &RunId, notice: Notice<'_>) {
        if catch_unwind(AssertUnwindSafe(|| self.observer.notice(run, notice))).is_err() {
            tracing::error!(%run, "the observer panicked");
        }
    }

    /// Tells the observer how a run stands in the store.
    pub(super) fn tell_saved(&self, state: &RunState) {
        if catch_unwind(AssertUnwindSafe(|| self.observer.saved(state))).is_err() {
            tracing::error!(run = %state.created.run, "the observer panicked");
        }
    }

    /// Tells the observer about trouble.
    pub(super) fn tell_trouble(&self, run: Option<&str>, reason: &str) {
        if catch_unwind(AssertUnwindSafe(|| self.observer.trouble(run, reason))).is_err() {
            tracing::error!("the observer panicked");
        }
    }
}

/// Does work that may take long without giving way, such as loading a component, on a thread of its own: heartbeats, requests, drains
/// and other runs do not wait for it. Dropped, it leaves the work to itself. Work that is not `long` is done here where the runtime has
/// one thread.
pub(super) async fn apart<T: Send + 'static>(
    long: bool,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    let apart = match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::CurrentThread) => long,
        Ok(_) => true,
        Err(_) => false,
    };
    if !apart {
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime is shut down: nothing goes on.
            Err(_) => std::future::pending().await,
        },
    }
}
