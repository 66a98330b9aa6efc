//! Cancelling one item of a fan-out, in a run that nobody drives.

use milepost_core::ids::RunId;
use milepost_core::request::cancel_item::{NotCancellable, cancel_item};
use milepost_core::state::Status;

use super::Engine;
use super::approvals::note;
use super::error::EngineError;
use super::shared::Looks;
use crate::record::{Batch, Recorded};

/// What cancelling an item came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemAnswer {
    /// It is cancelled, for good.
    Cancelled(Status),
    /// It was before: nothing was changed.
    Already(Status),
}

impl Engine {
    /// Cancels one item of a fan-out, named by its path: no resume or retry works at it again. The run has to stand still.
    ///
    /// # Errors
    /// [`EngineError::NotCancellable`]; the run stands as before.
    pub async fn cancel_item(
        &self,
        run: &RunId,
        item: &str,
        by: &str,
    ) -> Result<ItemAnswer, EngineError> {
        note("the name of who asks", Some(by))?;
        self.shared.follow().await;
        let refused = |reason| EngineError::NotCancellable {
            run: run.clone(),
            reason,
        };
        let mut looks = Looks::default();
        loop {
            let Recorded { row, mut state } = looks.load(self.shared.store.as_ref(), run).await?;
            let status = state.phase().status();
            if status == Status::Running && self.owner_may_live(&row) {
                return Err(refused(NotCancellable::Moves));
            }
            let events = cancel_item(&state, item, by).map_err(refused)?;
            if events.is_empty() {
                self.end_left_children(&state, by).await;
                return Ok(ItemAnswer::Already(status));
            }
            let now = self.shared.clock.now();
            let mut batch = Batch::after(state.seq(), state.epoch());
            for event in events {
                batch.record(&mut state, event, now)?;
            }
            if self.shared.write(&batch, &state).await? {
                self.end_left_children(&state, by).await;
                return Ok(ItemAnswer::Cancelled(status));
            }
        }
    }
}
