//! What comes too late: the timeout is recorded instead.

use milepost_core::event::Event;
use milepost_core::ids::Path;
use milepost_core::request::deadline::TimedOut;
use milepost_core::state::RunState;
use milepost_core::time::Timestamp;

use super::Engine;
use super::error::EngineError;
use crate::fault;
use crate::record::Batch;

impl Engine {
    /// Records that the time of the wait at `path` is over. `None` says that somebody moved the run meanwhile.
    pub(super) async fn record_timeout(
        &self,
        mut batch: Batch,
        mut state: RunState,
        path: &Path,
        event: Event,
        now: Timestamp,
    ) -> Result<Option<TimedOut>, EngineError> {
        let stands = state.executions().at(path).cloned();
        batch.record(&mut state, event, now)?;
        fault::point("before_timeout");
        if !self.shared.write(&batch, &state).await? {
            return Ok(None);
        }
        Ok(stands.and_then(|record| TimedOut::of(&state, &record)))
    }
}

impl From<TimedOut> for EngineError {
    fn from(over: TimedOut) -> Self {
        Self::TimedOut(Box::new(over))
    }
}
