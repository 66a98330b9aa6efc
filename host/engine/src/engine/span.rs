//! How long a run has been under way, for lists: without reading what is recorded of its steps.

use std::time::Duration;

use milepost_core::event::{Event, RunEvent};
use milepost_core::ids::{Epoch, RunId};
use milepost_core::state::Status;
use milepost_core::time::Timestamp;

use super::Engine;
use crate::store::{RunRow, StoreError};

/// Entries that are looked at for either end: a run is claimed soon after it was created, and little is recorded of one that
/// stands still.
const FEW: u64 = 16;

/// What a run has spent its time with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spent {
    /// How long it was at work: from each claim to where it stopped. `None` before its first claim.
    pub working: Option<Duration>,
    /// How long it waited: for its first claim, and wherever it was paused or had failed, until it ended or until now. `None` where that
    /// is not known apart from its work, as for a run that an older program has created.
    pub waiting: Option<Duration>,
}

impl Engine {
    /// How long a run has worked and waited.
    ///
    /// # Errors
    /// [`StoreError`] when its journal has to be read, and cannot be.
    pub async fn spent(&self, row: &RunRow, now: Timestamp) -> Result<Spent, StoreError> {
        let Some(work) = row.worked else {
            return Ok(Spent {
                working: self.took(row, now).await?,
                waiting: None,
            });
        };
        // Of what its owner did after its last write, nothing is known.
        let until = match self.owner_may_live(row) {
            true => now,
            false => row.updated_at,
        };
        let present = work.since.map(|since| until.since(since));
        let working = work.before + present.unwrap_or_default();
        let end = match row.status {
            Status::Pending | Status::Running | Status::Paused => now,
            Status::Completed | Status::Failed | Status::Cancelled => row.updated_at,
        };
        Ok(Spent {
            working: (row.epoch != Epoch(0)).then_some(working),
            waiting: Some(end.since(row.created_at).saturating_sub(working)),
        })
    }

    /// How long a run has been under way: from its first claim to where it stopped, or until now while it runs, as
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
            Status::Running => now,
            // Nothing moves it until somebody claims it.
            Status::Pending => row.updated_at,
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

    /// Whether the due time of a paused run is that of another of the things that it stands at than the one that its row names. Not,
    /// where its journal cannot be read.
    pub async fn is_due_beside(&self, row: &RunRow) -> bool {
        let (Status::Paused, Some(due_at)) = (row.status, row.due_at) else {
            return false;
        };
        let Ok(events) = self.events(&row.id, row.seq.saturating_sub(FEW)).await else {
            return false;
        };
        let stop = events.into_iter().rev().find_map(|(_, event)| match event {
            RunEvent::Paused { stop } => Some(stop),
            _ => None,
        });
        // What has come since stands in the row, and is another reason.
        let stop = stop.filter(|stop| row.stop_code.as_deref() == Some(stop.code().as_str()));
        stop.is_some_and(|stop| {
            let mut reasons = stop.reasons.iter();
            let named = reasons.find(|reason| reason.path == stop.path);
            named.is_some_and(|named| named.due_at != Some(due_at))
        })
    }

    /// When such events were recorded, of the few behind this place.
    async fn moments(
        &self,
        run: &RunId,
        after: u64,
        wanted: impl Fn(&RunEvent) -> bool,
    ) -> Result<Vec<Timestamp>, StoreError> {
        let events = self.events(run, after).await?.into_iter();
        let moments = events.filter(|(_, event)| wanted(event));
        Ok(moments.map(|(at, _)| at).collect())
    }

    /// What happened to the run as a whole, of the few events behind this place.
    async fn events(
        &self,
        run: &RunId,
        after: u64,
    ) -> Result<Vec<(Timestamp, RunEvent)>, StoreError> {
        let few = usize::try_from(FEW).unwrap_or(usize::MAX);
        let entries = self.shared.store.journal(run, after, few).await?;
        let events = entries.into_iter().filter_map(|entry| {
            // What names a blob is none that is looked for here, and neither is what cannot be read.
            match Event::decode(&entry.body, &|_| None) {
                Ok(Event::Run(event)) => Some((entry.at, event)),
                Ok(_) | Err(_) => None,
            }
        });
        Ok(events.collect())
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
