//! What all runs of one engine share.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use futures_util::FutureExt as _;
use milepost_core::grants::Narrowing;
use milepost_core::ids::{Epoch, RunId};
use milepost_core::state::{RunState, Status};
use tokio::runtime::{Handle, RuntimeFlavor};

use super::clock::Following;
use super::error::EngineError;
use super::keeper::Keeper;
use super::loads::LoadPermit;
use super::observer::{Notice, Observer, Trouble};
use crate::carried::{self, Kept};
use crate::metrics::{self, Metrics};
use crate::owner::Host;
use crate::plugin::PluginSource;
use crate::record::{self, Batch, RecordError, Recorded};
use crate::secrets::SecretSource;
use crate::store::{Store, StoreError, Written};
use crate::workflow::Workflow;

/// The looks at a run of which a change was refused because somebody had moved it: the next one has to find it moved.
#[derive(Default)]
pub(super) struct Looks {
    stood: Option<(u64, Epoch, Status)>,
    still: u32,
}

/// How often a run may be found where it was. What was refused for another reason, as a signal that is gone, shows it so once.
const STILL: u32 = 3;

impl Looks {
    /// Loads the run.
    ///
    /// # Errors
    /// [`RecordError`]; [`StoreError::Corrupt`] when it does not move and yet takes no change.
    pub(super) async fn load(
        &mut self,
        store: &dyn Store,
        run: &RunId,
    ) -> Result<Recorded, RecordError> {
        let recorded = record::load_to_change(store, run).await?;
        let row = &recorded.row;
        let stands = Some((row.seq, row.epoch, row.status));
        self.still = match stands == self.stood {
            true => self.still + 1,
            false => 0,
        };
        self.stood = stands;
        if self.still > STILL {
            return Err(StoreError::corrupt(format!(
                "run `{run}` cannot be changed although no process drives it"
            ))
            .into());
        }
        Ok(recorded)
    }
}

pub(super) struct Shared {
    pub(super) store: Arc<dyn Store>,
    pub(super) plugins: Arc<dyn PluginSource>,
    pub(super) workflows: Kept,
    pub(super) clock: Following,
    pub(super) keeper: Keeper,
    pub(super) metrics: Metrics,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) host: Arc<dyn Host>,
    pub(super) secrets: Arc<dyn SecretSource>,
    pub(super) narrowing: Narrowing,
}

impl Shared {
    /// Before anything is dated: what time it is by the store.
    pub(super) async fn follow(&self) {
        self.clock.follow(self.store.as_ref()).await;
    }

    /// The workflow of a run, with its components. `permit` is held while they are loaded, also for whoever was told to stop
    /// and does not wait: they are being loaded all the same.
    pub(super) async fn workflow(
        &self,
        state: &RunState,
        permit: Option<LoadPermit>,
    ) -> Result<Workflow, EngineError> {
        if let Some(workflow) = self.workflows.of(state, self.plugins.as_ref()) {
            return Ok(workflow);
        }
        let carried = carried::read(self.store.as_ref(), self.plugins.as_ref(), state).await?;
        let source = Arc::clone(&self.plugins);
        let loading = apart(source.takes_long(), move || {
            let _permit = permit;
            carried.workflow(source.as_ref())
        });
        let workflow = loading.await?;
        // What came from files is yet to be brought into the store.
        if workflow.bytes().next().is_none() {
            self.workflows.keep(state, &workflow);
        }
        Ok(workflow)
    }

    /// Saves what was recorded of a run that stands like this after it, and measures that.
    pub(super) async fn save(
        &self,
        batch: &Batch,
        state: &RunState,
    ) -> Result<Written, StoreError> {
        let write = batch.to_write(state);
        let bytes = metrics::brought(&write);
        let begun = self.clock.monotonic();
        let written = self.store.write(write).await?;
        let took = self.clock.monotonic().saturating_sub(begun);
        self.metrics.committed(bytes, took);
        Ok(written)
    }

    /// Adds what this process has counted to the counters of the store, so that all can read it.
    pub(super) async fn save_metrics(&self) {
        let counts = self.metrics.take();
        if counts.is_empty() {
            return;
        }
        if let Err(error) = self.store.count_up(counts.clone()).await {
            tracing::debug!(%error, "the counters are saved another time");
            self.metrics.give_back(&counts);
        }
    }

    /// Writes what was recorded of a run that this process does not drive. `false` says that somebody moved the run
    /// meanwhile: what was read of it does not hold any more.
    pub(super) async fn write(&self, batch: &Batch, state: &RunState) -> Result<bool, StoreError> {
        match self.save(batch, state).await {
            Ok(_) => {
                self.metrics.recorded(batch.entries(), state);
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
            tracing::error!(run = %state.created().run, "the observer panicked");
        }
    }

    /// Tells the observer about trouble.
    pub(super) fn tell_trouble(&self, run: Option<&str>, trouble: Trouble<'_>) {
        if catch_unwind(AssertUnwindSafe(|| self.observer.trouble(run, trouble))).is_err() {
            tracing::error!("the observer panicked");
        }
    }
}

impl Drop for Shared {
    /// What was counted and not saved is handed to the store. A store that needs more than one try to take it has lost it: for such a
    /// one there is [`Engine::save_metrics`](super::Engine::save_metrics).
    fn drop(&mut self) {
        let counts = self.metrics.take();
        if !counts.is_empty() {
            // It may be dropped by a panic, and a second one would end the process.
            let handing_over = AssertUnwindSafe(|| self.store.count_up(counts).now_or_never());
            let _ = catch_unwind(handing_over);
        }
    }
}

/// Does work that may take long without giving way, such as loading a component, on a thread of its own: requests, drains
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
