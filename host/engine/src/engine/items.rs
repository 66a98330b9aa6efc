//! Cancelling one item of a fan-out.

use milepost_core::ids::RunId;
use milepost_core::request::cancel_item::{cancel_item, is_cancelled};
use milepost_core::request::posted::Posted;
use milepost_core::state::{RunState, Status};

use super::Engine;
use super::approvals::note;
use super::error::EngineError;
use super::shared::Looks;
use crate::record::Batch;

/// What cancelling an item came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemAnswer {
    /// It is cancelled, for good.
    Cancelled(Status),
    /// Whoever drives the run was asked, and has not answered yet.
    Asked(Status),
    /// It was before: nothing was changed.
    Already(Status),
}

/// What became of an item that was to be cancelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemStopped {
    /// Of the item itself.
    pub answer: ItemAnswer,
    /// Child runs that are cancelled with it, and whose steps with `finally` are yet to run.
    pub finishing: Vec<RunId>,
}

impl Engine {
    /// Cancels one item of a fan-out, named by its path: no resume or retry works at it again. What is in flight in it is cancelled
    /// cooperatively; whatever it still comes to does not count.
    ///
    /// # Errors
    /// [`EngineError::NotCancellable`]; the run stands as before.
    pub async fn cancel_item(
        &self,
        run: &RunId,
        item: &str,
        by: &str,
    ) -> Result<ItemStopped, EngineError> {
        note("the name of who asks", Some(by))?;
        self.shared.follow().await;
        let refused = |reason| EngineError::NotCancellable {
            run: run.clone(),
            reason,
        };
        let mut looks = Looks::default();
        let mut asked = false;
        loop {
            let recorded = looks.load(self.shared.store.as_ref(), run).await?;
            let driven = self.is_driven(&recorded);
            let mut state = recorded.state;
            let status = state.phase().status();
            if asked && item.parse().is_ok_and(|path| is_cancelled(&state, &path)) {
                return Ok(self
                    .item_stopped(ItemAnswer::Cancelled(status), &state)
                    .await);
            }
            let events = cancel_item(&state, item, by).map_err(refused)?;
            if events.is_empty() {
                return Ok(self.item_stopped(ItemAnswer::Already(status), &state).await);
            }
            if driven && let Ok(path) = item.parse() {
                let by = by.to_owned();
                if !self.post(run, &Posted::CancelItem { path, by }).await? {
                    return Ok(ItemStopped {
                        answer: ItemAnswer::Asked(status),
                        finishing: Vec::new(),
                    });
                }
                asked = true;
                continue;
            }
            let now = self.shared.clock.now();
            let mut batch = Batch::after(state.seq(), state.epoch());
            for event in events {
                batch.record(&mut state, event, now)?;
            }
            if self.shared.write(&batch, &state).await? {
                return Ok(self
                    .item_stopped(ItemAnswer::Cancelled(status), &state)
                    .await);
            }
        }
    }

    /// Ends the child runs of what was cancelled.
    async fn item_stopped(&self, answer: ItemAnswer, state: &RunState) -> ItemStopped {
        ItemStopped {
            answer,
            finishing: self.end_left_children(state).await,
        }
    }
}
