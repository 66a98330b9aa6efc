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
    /// between. With `pretend`, only says which.
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
            collected.runs = rows.into_iter().map(|row| row.id).collect();
            return Ok(collected);
        }
        loop {
            let rows = store
                .written_before(before, statuses, SWEEP_ROWS + collected.kept.len())
                .await?;
            let known = |row: &RunRow| collected.kept.iter().any(|(run, _)| *run == row.id);
            let rows: Vec<RunRow> = rows.into_iter().filter(|row| !known(row)).collect();
            if rows.is_empty() {
                return Ok(collected);
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
}
