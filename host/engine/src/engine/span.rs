//! How long a run has been under way, for lists: without reading what is recorded of its steps.

use std::time::Duration;

use milepost_core::event::{Event, RunEvent};
use milepost_core::ids::RunId;
use milepost_core::state::Status;
use milepost_core::time::Timestamp;

use super::Engine;
use crate::store::{RunRow, StoreError};

/// Entries that are looked at for either end: a run is claimed soon after it was created, and little is recorded of one that
/// stands still.
const FEW: u64 = 16;

impl Engine {
    /// How long a run has been under way: from its first claim to where it stopped, or until now while it moves, as
    /// [`RunReport::duration_millis`](crate::report::RunReport::duration_millis) counts it. `None` before its first claim.
    ///
    /// # Errors
    /// [`StoreError`] when its journal cannot be read.
    pub async fn took(&self, row: &RunRow, now: Timestamp) -> Result<Option<Duration>, StoreError> {
        let is_claim = |event: &RunEvent| matches!(event, RunEvent::Claimed { .. });
        let first = self.moments(&row.id, 0, is_claim).await?;
        let Some(start) = first.first() else {
            return Ok(None);
        };
        let end = match row.status {
            Status::Pending | Status::Running => now,
            Status::Paused | Status::Completed | Status::Failed | Status::Cancelled => {
                let after = row.seq.saturating_sub(FEW);
                let stops = self.moments(&row.id, after, is_stop).await?;
                stops.last().copied().unwrap_or(row.updated_at)
            }
        };
        Ok(Some(end.since(*start)))
    }

    /// Whether a run has failed and was compensated: nobody can resume it then. Not, where its journal cannot be read.
    pub async fn is_compensated(&self, row: &RunRow) -> bool {
        let undone = |event: &RunEvent| match event {
            RunEvent::Failed { stop } => stop.compensated.is_some_and(|steps| steps > 0),
            _ => false,
        };
        if row.status != Status::Failed {
            return false;
        }
        let after = row.seq.saturating_sub(FEW);
        let found = self.moments(&row.id, after, undone).await;
        found.is_ok_and(|found| !found.is_empty())
    }

    /// When such events were recorded, of the few behind this place.
    async fn moments(
        &self,
        run: &RunId,
        after: u64,
        wanted: impl Fn(&RunEvent) -> bool,
    ) -> Result<Vec<Timestamp>, StoreError> {
        let few = usize::try_from(FEW).unwrap_or(usize::MAX);
        let entries = self.shared.store.journal(run, after, few).await?;
        let moments = entries.into_iter().filter_map(|entry| {
            // What names a blob is neither, and neither is what cannot be read.
            match Event::decode(&entry.body, &|_| None) {
                Ok(Event::Run(event)) if wanted(&event) => Some(entry.at),
                Ok(_) | Err(_) => None,
            }
        });
        Ok(moments.collect())
    }
}

fn is_stop(event: &RunEvent) -> bool {
    matches!(
        event,
        RunEvent::Paused { .. }
            | RunEvent::Completed { .. }
            | RunEvent::Failed { .. }
            | RunEvent::Cancelled { .. }
    )
}
