//! Requests to a run that somebody drives: they are left with its signals, and whoever drives it takes them.

use std::time::Duration;

use milepost_core::ids::RunId;
use milepost_core::limits;
use milepost_core::request::posted::{self, Posted};
use milepost_core::state::Status;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::Engine;
use super::error::EngineError;
use crate::fault;
use crate::record::Recorded;
use crate::store::{NewSignal, Sent};

/// How long whoever asks waits for the driver: it looks about twice a second.
const PATIENCE: Duration = Duration::from_secs(3);

/// How soon it is looked again whether it has.
const LOOKS: Duration = Duration::from_millis(20);

impl Engine {
    /// Whether somebody drives the run, or is about to: what is asked of it is left for them.
    pub(super) fn is_driven(&self, recorded: &Recorded) -> bool {
        match recorded.state.phase().status() {
            Status::Pending => true,
            Status::Running => self.owner_may_live(&recorded.row),
            Status::Paused | Status::Completed | Status::Failed | Status::Cancelled => false,
        }
    }

    /// Leaves a request for whoever drives the run, and waits a moment for them to take it. Returns whether they have, or drive it
    /// no longer: the record tells then what became of it. Else it stays there.
    pub(super) async fn post(&self, run: &RunId, posted: &Posted) -> Result<bool, EngineError> {
        let new = NewSignal {
            name: posted::NAME.to_owned(),
            data: json!(posted).to_string(),
            at: self.shared.clock.now(),
            token: None,
        };
        fault::point("before_posting");
        let store = self.shared.store.as_ref();
        let number = match store.send_signal(run, new).await? {
            Sent::Kept(number) => number,
            // Nobody gave it a token.
            Sent::Over(_) | Sent::Differs(_) => return Ok(true),
            Sent::Full(inbox) => {
                let run = run.clone();
                return Err(EngineError::InboxFull { run, inbox });
            }
        };
        fault::point("after_posting");
        self.is_taken(run, number).await
    }

    /// Waits a moment until whoever drives the run has taken what was left for it, or drives it no longer. Returns whether that is so.
    pub(super) async fn is_taken(&self, run: &RunId, number: u64) -> Result<bool, EngineError> {
        let store = self.shared.store.as_ref();
        self.shared.keeper.nudge(run);
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            sleep(LOOKS).await;
            let moves = match store.row(run).await? {
                Some(row) => matches!(row.status, Status::Pending | Status::Running),
                None => false,
            };
            let kept = store.inbox(run, limits::SIGNALS).await?;
            if !moves || !kept.iter().any(|kept| kept.number == number) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
