//! Keeping a store in order: removing old runs.

use futures_util::future::join_all;
use milepost_core::ids::RunId;
use milepost_core::state::Status;
use milepost_core::time::Timestamp;

use super::Engine;
use super::error::EngineError;
use super::sweep::SWEEP_ROWS;
use crate::fault;
use crate::store::{RunRow, StoreError};

/// Events whose runs are removed together: bounds how long others wait for that.
const REMOVED_TOGETHER: u64 = 1_000;

/// What was removed, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collected {
    /// The runs, the oldest first.
    pub runs: Vec<RunId>,
    /// Runs that could not be removed, with the reason.
    pub kept: Vec<(RunId, String)>,
}

/// Consecutive rows whose runs are removed at once: one transaction, if the store joins them.
fn together(rows: &[RunRow]) -> impl Iterator<Item = &[RunRow]> {
    let mut events = 0;
    rows.chunk_by(move |_, next| {
        events += next.seq;
        let more = events < REMOVED_TOGETHER;
        if !more {
            events = 0;
        }
        more
    })
}

impl Engine {
    /// Removes runs of these statuses whose last write was before `before`, small ones together, so that others can write in
    /// between. A run goes with all runs that it has started, or stays. With `pretend`, only says which.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; what was removed until then stays removed.
    pub async fn collect(
        &self,
        before: Timestamp,
        statuses: &[Status],
        pretend: bool,
    ) -> Result<Collected, EngineError> {
        let store = self.shared.store.as_ref();
        let mut collected = Collected::default();
        if pretend {
            let rows = store.written_before(before, statuses, usize::MAX).await?;
            for row in rows {
                if let Some(family) = self.removable(&row, before, statuses).await? {
                    collected.runs.extend(family.into_iter().map(|row| row.id));
                }
            }
            return Ok(collected);
        }
        let mut left = 0;
        loop {
            let limit = SWEEP_ROWS + left + collected.kept.len();
            let found = store.written_before(before, statuses, limit).await?;
            let known = |row: &RunRow| collected.kept.iter().any(|(run, _)| *run == row.id);
            let mut rows: Vec<RunRow> = Vec::new();
            let full = found.len() >= limit;
            left = 0;
            for row in found.into_iter().filter(|row| !known(row)) {
                match self.removable(&row, before, statuses).await? {
                    Some(family) => rows.extend(family),
                    None => left += 1,
                }
            }
            if rows.is_empty() {
                match full {
                    // All of a page stay where they are.
                    true => continue,
                    false => return Ok(collected),
                }
            }
            for rows in together(&rows) {
                fault::point("gc");
                let deletions = rows.iter().map(|row| store.delete(&row.id, row.seq));
                for (row, deleted) in rows.iter().zip(join_all(deletions).await) {
                    match deleted {
                        Ok(()) => collected.runs.push(row.id.clone()),
                        Err(StoreError::NotFound(_)) => {}
                        Err(error @ StoreError::Conflict { .. }) => {
                            collected.kept.push((row.id.clone(), error.to_string()));
                        }
                        Err(error) => return Err(error.into()),
                    }
                }
            }
        }
    }

    /// A run with all that it has started, itself first, if all of them may go; `None` of one that goes only with the run that
    /// started it, or stays.
    async fn removable(
        &self,
        row: &RunRow,
        before: Timestamp,
        statuses: &[Status],
    ) -> Result<Option<Vec<RunRow>>, StoreError> {
        if let Some(parent) = &row.parent
            && self.shared.store.row(parent).await?.is_some()
        {
            return Ok(None);
        }
        let (descendants, more) = self.descendants(&row.id).await?;
        let old = |row: &RunRow| {
            statuses.contains(&row.status) && row.created_at < before && row.updated_at < before
        };
        if more || !descendants.iter().all(old) {
            return Ok(None);
        }
        let mut family = vec![row.clone()];
        family.extend(descendants);
        Ok(Some(family))
    }
}
