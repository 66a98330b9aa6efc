//! The store without a file: for tests, simulation, and as the oracle that other stores are compared with. Plain on purpose:
//! one map behind one lock, every write checked first and then applied.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use milepost_core::ids::{Digest, Epoch, RunId};
use milepost_core::state::Status;
use milepost_core::time::Timestamp;

use super::{
    Expect, Filter, Listing, RunRow, Store, StoreError, StoredCheckpoint, StoredEntry, StoredLog,
    Write, Written,
};
use crate::attempt::BoxFuture;

/// A store that lives as long as the value.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    runs: BTreeMap<RunId, Run>,
    blobs: BTreeMap<Digest, Vec<u8>>,
    last_log: u64,
}

#[derive(Debug)]
struct Run {
    row: RunRow,
    journal: Vec<StoredEntry>,
    parts: BTreeMap<String, String>,
    logs: Vec<StoredLog>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn write(&self, write: Write) -> BoxFuture<'_, Result<Written, StoreError>> {
        Box::pin(async move { self.state().write(write) })
    }

    fn request_cancel<'a>(
        &'a self,
        run: &'a RunId,
        at: Timestamp,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let mut state = self.state();
            let row = &mut state.run(run)?.row;
            if row.status.is_terminal() {
                return Ok(false);
            }
            row.cancel_requested_at.get_or_insert(at);
            Ok(true)
        })
    }

    fn renew_lease<'a>(
        &'a self,
        run: &'a RunId,
        epoch: Epoch,
        until: Timestamp,
    ) -> BoxFuture<'a, Result<Written, StoreError>> {
        Box::pin(async move {
            let mut state = self.state();
            let row = &mut state.run(run)?.row;
            if row.epoch != epoch || row.owner.is_none() {
                return Err(conflict(row));
            }
            row.lease_until = Some(until);
            Ok(written(row))
        })
    }

    fn row(&self, run: &RunId) -> Result<Option<RunRow>, StoreError> {
        Ok(self.state().runs.get(run).map(|run| run.row.clone()))
    }

    fn list(&self, filter: &Filter) -> Result<Listing, StoreError> {
        let mut rows: Vec<RunRow> = self
            .state()
            .runs
            .values()
            .map(|run| &run.row)
            .filter(|row| filter.statuses.is_empty() || filter.statuses.contains(&row.status))
            .filter(|row| {
                filter
                    .workflow
                    .as_ref()
                    .is_none_or(|name| *name == row.workflow)
            })
            .cloned()
            .collect();
        rows.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
        let shown = filter.limit.unwrap_or(rows.len()).min(rows.len());
        let more = rows.len() - shown;
        rows.truncate(shown);
        Ok(Listing {
            rows,
            unreadable: Vec::new(),
            more,
        })
    }

    fn ids_with_prefix(&self, prefix: &str, limit: usize) -> Result<Vec<RunId>, StoreError> {
        let state = self.state();
        let matching = state
            .runs
            .keys()
            .filter(|id| id.as_str().starts_with(prefix));
        Ok(matching.take(limit).cloned().collect())
    }

    fn checkpoint(&self, run: &RunId) -> Result<Option<StoredCheckpoint>, StoreError> {
        Ok(self.state().runs.get(run).map(|run| StoredCheckpoint {
            row: run.row.clone(),
            parts: run.parts.clone().into_iter().collect(),
        }))
    }

    fn journal(
        &self,
        run: &RunId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<StoredEntry>, StoreError> {
        let state = self.state();
        let entries = state.runs.get(run).into_iter().flat_map(|run| &run.journal);
        let page = entries.filter(|entry| entry.seq > after).take(limit);
        Ok(page.cloned().collect())
    }

    fn logs(&self, run: &RunId, after: u64, limit: usize) -> Result<Vec<StoredLog>, StoreError> {
        let state = self.state();
        let lines = state.runs.get(run).into_iter().flat_map(|run| &run.logs);
        let page = lines.filter(|log| log.position > after).take(limit);
        Ok(page.cloned().collect())
    }

    fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        let bytes = self.state().blobs.get(digest).cloned();
        if bytes
            .as_ref()
            .is_some_and(|bytes| Digest::of(bytes) != *digest)
        {
            return Err(StoreError::Corrupt(format!(
                "blob {digest}: its bytes do not match its digest"
            )));
        }
        Ok(bytes)
    }
}

impl State {
    fn run(&mut self, id: &RunId) -> Result<&mut Run, StoreError> {
        self.runs
            .get_mut(id)
            .ok_or_else(|| StoreError::NotFound(id.clone()))
    }

    fn write(&mut self, write: Write) -> Result<Written, StoreError> {
        let seq = write.seq_after()?;
        match write.expect {
            Expect::Absent if self.runs.contains_key(&write.run) => {
                return Err(StoreError::Exists(write.run));
            }
            Expect::Absent => {
                self.runs.insert(write.run.clone(), new_run(&write));
            }
            Expect::At { seq, epoch } => {
                let row = &self.run(&write.run)?.row;
                if (row.seq, row.epoch) != (seq, epoch) {
                    return Err(conflict(row));
                }
            }
        }
        // Nothing below can fail.
        for (digest, bytes) in write.blobs {
            self.blobs.entry(digest).or_insert(bytes);
        }
        let mut position = self.last_log;
        let run = self.run(&write.run)?;
        for line in write.logs {
            position += 1;
            run.logs.push(StoredLog { position, line });
        }
        run.journal.extend(write.entries);
        for (part, body) in write.parts {
            match body {
                Some(body) => run.parts.insert(part, body),
                None => run.parts.remove(&part),
            };
        }
        let (row, head) = (&mut run.row, write.head);
        row.seq = seq;
        row.status = head.status;
        row.updated_at = head.at;
        row.stop_code = head.stop_code;
        row.due_at = head.due_at;
        row.recoveries = head.recoveries;
        if let Some(claim) = write.claim {
            row.epoch.0 += 1;
            row.owner = Some(claim.owner);
            row.lease_until = Some(claim.lease_until);
        }
        if row.status != Status::Running {
            row.owner = None;
            row.lease_until = None;
        }
        if row.status.is_terminal() {
            row.cancel_requested_at = None;
        }
        let written = written(row);
        self.last_log = position;
        Ok(written)
    }
}

fn new_run(write: &Write) -> Run {
    Run {
        row: RunRow {
            id: write.run.clone(),
            workflow: write.head.workflow.clone(),
            status: write.head.status,
            seq: 0,
            epoch: Epoch(0),
            created_at: write.head.at,
            updated_at: write.head.at,
            owner: None,
            lease_until: None,
            stop_code: None,
            due_at: None,
            recoveries: 0,
            cancel_requested_at: None,
        },
        journal: Vec::new(),
        parts: BTreeMap::new(),
        logs: Vec::new(),
    }
}

fn written(row: &RunRow) -> Written {
    Written {
        epoch: row.epoch,
        cancel_requested: row.cancel_requested_at.is_some(),
    }
}

fn conflict(row: &RunRow) -> StoreError {
    StoreError::Conflict {
        run: row.id.clone(),
        status: row.status,
        seq: row.seq,
        epoch: row.epoch,
    }
}
