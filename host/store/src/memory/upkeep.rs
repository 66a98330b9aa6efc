//! Blobs, lists of all runs, and what is removed.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::BoxFuture;
use milepost_core::ids::{Digest, RunId};
use milepost_core::state::Status;
use milepost_core::time::Timestamp;

use super::{MemoryStore, conflict};
use crate::{
    BlobFault, Blobs, CheckedBlob, Count, Cursor, Filter, Health, Holdings, Listing, RunRow,
    StoreError, Upkeep,
};

impl Blobs for MemoryStore {
    fn blob<'a>(
        &'a self,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<Option<Vec<u8>>, StoreError>> {
        Box::pin(async move {
            let bytes = self.state().blobs.get(digest).cloned();
            if bytes
                .as_ref()
                .is_some_and(|bytes| Digest::of(bytes) != *digest)
            {
                return Err(StoreError::corrupt(format!(
                    "blob {digest}: its bytes do not match its digest"
                )));
            }
            Ok(bytes.map(|bytes| bytes.to_vec()))
        })
    }

    fn checked_blob<'a>(
        &'a self,
        after: Option<&'a Digest>,
    ) -> BoxFuture<'a, Result<Option<CheckedBlob>, StoreError>> {
        Box::pin(async move {
            let state = self.state();
            let used = state.runs.values().flat_map(|run| &run.blobs);
            let next = state.blobs.keys().chain(used);
            let next = next
                .filter(|digest| after.is_none_or(|after| *digest > after))
                .min();
            Ok(next.map(|digest| {
                let fault = match state.blobs.get(digest) {
                    None => Some(BlobFault::Missing),
                    Some(bytes) if Digest::of(bytes) != *digest => Some(BlobFault::Damaged),
                    Some(_) => None,
                };
                let users = state
                    .runs
                    .iter()
                    .filter(|(_, run)| run.blobs.contains(digest));
                CheckedBlob {
                    digest: *digest,
                    fault,
                    users: match fault {
                        Some(_) => users.map(|(id, _)| id.to_string()).collect(),
                        None => Vec::new(),
                    },
                }
            }))
        })
    }
}

impl Upkeep for MemoryStore {
    fn list<'a>(&'a self, filter: &'a Filter) -> BoxFuture<'a, Result<Listing, StoreError>> {
        Box::pin(async move {
            let state = self.state();
            let begun = |row: &&RunRow| {
                let place = cursor(row);
                let after = filter.after.as_ref();
                after.is_none_or(|after| {
                    (place.created_at, &place.id) < (after.created_at, &after.id)
                })
            };
            let mut rows: Vec<&RunRow> = state.filtered(filter).filter(begun).collect();
            rows.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
            let more = rows.len() > filter.limit;
            rows.truncate(filter.limit);
            Ok(Listing {
                next: rows.last().filter(|_| more).map(|row| cursor(row)),
                rows: rows.into_iter().cloned().collect(),
                unreadable: Vec::new(),
            })
        })
    }

    fn count<'a>(&'a self, filter: &'a Filter) -> BoxFuture<'a, Result<usize, StoreError>> {
        Box::pin(async move { Ok(self.state().filtered(filter).count()) })
    }

    fn ids_with_prefix<'a>(
        &'a self,
        prefix: &'a str,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<RunId>, StoreError>> {
        Box::pin(async move {
            let state = self.state();
            let matching = state
                .runs
                .keys()
                .filter(|id| id.as_str().starts_with(prefix));
            Ok(matching.take(limit).cloned().collect())
        })
    }

    fn written_before<'a>(
        &'a self,
        before: Timestamp,
        statuses: &'a [Status],
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<RunRow>, StoreError>> {
        Box::pin(async move {
            let state = self.state();
            let rows = state.runs.values().map(|run| &run.row);
            let old = rows.filter(|row| {
                row.created_at < before && row.updated_at < before && statuses.contains(&row.status)
            });
            let mut old: Vec<RunRow> = old.cloned().collect();
            old.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
            old.truncate(limit);
            Ok(old)
        })
    }

    fn delete<'a>(&'a self, run: &'a RunId, seq: u64) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let mut state = self.state();
            let row = &state.run(run)?.row;
            let over = matches!(
                row.status,
                Status::Completed | Status::Failed | Status::Cancelled
            );
            if row.seq != seq || !over {
                return Err(conflict(row));
            }
            state.runs.remove(run);
            let used: BTreeSet<Digest> = state
                .runs
                .values()
                .flat_map(|run| run.blobs.clone())
                .collect();
            state.blobs.retain(|digest, _| used.contains(digest));
            // A run's positions grow; between runs they mean nothing.
            let logs = state.runs.values().filter_map(|run| run.logs.last());
            state.last_log = logs.map(|log| log.position).max().unwrap_or(0);
            Ok(())
        })
    }

    fn holdings<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<Holdings, StoreError>> {
        Box::pin(async move {
            let state = self.state();
            let Some(run) = state.runs.get(run) else {
                return Ok(Holdings::default());
            };
            let entries = run.journal.iter().map(|entry| entry.body.len());
            let lines = run.logs.iter().map(|log| log.line.bytes());
            let size = |digest| {
                state
                    .blobs
                    .get(digest)
                    .map_or(0, |bytes| bytes.len() as u64)
            };
            let tapes = run.tapes.values().map(String::len);
            let memos = run
                .memos
                .iter()
                .map(|((_, key), value)| key.len() + value.len());
            let beside = tapes.chain(memos);
            Ok(Holdings {
                record_bytes: entries.chain(beside).sum::<usize>() as u64 + lines.sum::<u64>(),
                blobs: run.blobs.iter().map(|d| (*d, size(d))).collect(),
            })
        })
    }

    fn count_up(&self, by: Vec<Count>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let mut state = self.state();
            for Count { name, value } in by {
                let count = state.counts.entry(name).or_default();
                // What a signed number can hold, as in other stores.
                *count = count.saturating_add(value).min(i64::MAX.unsigned_abs());
            }
            Ok(())
        })
    }

    fn counts(&self) -> BoxFuture<'_, Result<Vec<Count>, StoreError>> {
        Box::pin(async move {
            let state = self.state();
            let counts = state.counts.iter().map(|(name, value)| Count {
                name: name.clone(),
                value: *value,
            });
            Ok(counts.collect())
        })
    }

    fn health(&self) -> BoxFuture<'_, Result<Health, StoreError>> {
        Box::pin(async move {
            let mut runs = BTreeMap::new();
            for run in self.state().runs.values() {
                *runs.entry(run.row.status).or_default() += 1;
            }
            Ok(Health {
                version: 0,
                problems: Vec::new(),
                bytes: 0,
                wal_bytes: 0,
                unused_bytes: 0,
                gives_back: false,
                free_bytes: None,
                runs,
            })
        })
    }
}

fn cursor(row: &RunRow) -> Cursor {
    Cursor {
        created_at: i64::try_from(row.created_at.as_nanos()).unwrap_or(i64::MAX),
        id: row.id.as_str().as_bytes().to_vec(),
    }
}
