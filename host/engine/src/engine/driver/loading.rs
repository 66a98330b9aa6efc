//! Loading what a run carries, under its claim: whatever goes wrong meanwhile, also the end of the process, counts against the run.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use milepost_core::state::{RunState, Status};

use super::{Driver, Halted, InFlight, panic_text, tidings};
use crate::engine::error::EngineError;
use crate::engine::loads::LoadPermit;
use crate::engine::shared::Shared;
use crate::workflow::Workflow;

impl Driver {
    /// Loads the components, and hears requests meanwhile: one that is met leaves the run stopped.
    pub(super) async fn load(&mut self) -> Result<(), Halted> {
        let loading = loaded(
            Arc::clone(&self.shared),
            self.state.clone(),
            self.permit.take(),
        );
        let mut loading = std::pin::pin!(AssertUnwindSafe(loading).catch_unwind());
        while self.state.phase().status() == Status::Running {
            self.moves();
            tokio::select! {
                biased;
                request = self.control.asked(None) => {
                    self.asked(request, &mut InFlight::default()).await?;
                }
                loaded = &mut loading => {
                    let loaded = loaded.unwrap_or_else(|panic| {
                        Err(EngineError::Panicked(panic_text(panic.as_ref())))
                    });
                    let workflow = loaded.map_err(Halted::NotBegun)?;
                    self.batch.components(&workflow);
                    self.workflow = workflow.without_bytes();
                    self.loaded = true;
                    return Ok(());
                }
                tidings = tidings(&mut self.kept) => self.learn(tidings)?,
            }
        }
        Ok(())
    }
}

async fn loaded(
    shared: Arc<Shared>,
    state: RunState,
    permit: Option<LoadPermit>,
) -> Result<Workflow, EngineError> {
    shared.workflow(&state, permit).await
}
