//! The store without a file: for tests, simulation, and as the oracle that other stores are compared with. Plain on purpose:
//! one map behind one lock, every write checked first and then applied.

mod artifacts;
mod attempts;
mod claims;
mod mailbox;
mod upkeep;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use milepost_core::effect::{KvItem, ProcessGroup};
use milepost_core::ids::{Digest, Epoch, RunId};
use milepost_core::state::Status;
use milepost_core::time::Timestamp;

use super::hints::Hints;
use super::{
    Expect, Family, Filter, Inbox, KnownToken, NewSignal, Owner, Page, RunRow, Runs, StopRequest,
    StoreClock, StoreError, StoredCheckpoint, StoredEntry, StoredLog, StoredProgress, StoredSignal,
    UsedArtifact, Work, Write, Written,
};
use futures_util::future::BoxFuture;

/// What a signed number of nanoseconds can hold, as in other stores.
const MOST_WORK: Duration = Duration::from_nanos(i64::MAX.unsigned_abs());

/// A store that lives as long as the value.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
    artifacts: artifacts::Kept,
    clock: StoreClock,
    hints: Hints,
}

#[derive(Debug, Default)]
struct State {
    runs: BTreeMap<RunId, Run>,
    blobs: BTreeMap<Digest, Arc<[u8]>>,
    kv: BTreeMap<(String, String), KvItem>,
    /// By bucket: the highest revision of its deleted keys.
    kv_deleted: BTreeMap<String, u64>,
    counts: BTreeMap<String, u64>,
    /// By nonce: each with the time until which it is taken to be there.
    workers: BTreeMap<String, (Owner, Timestamp)>,
    last_log: u64,
    last_signal: u64,
    last_artifact: u64,
    created: usize,
}

#[derive(Debug)]
struct Run {
    row: RunRow,
    journal: Vec<StoredEntry>,
    parts: BTreeMap<String, String>,
    logs: Vec<StoredLog>,
    progress: BTreeMap<String, StoredProgress>,
    inbox: Vec<StoredSignal>,
    tokens: BTreeMap<String, KnownToken>,
    blobs: BTreeSet<Digest>,
    /// Parts of tapes: by the event that started the attempt, and the position of their first entry.
    tapes: BTreeMap<(u64, u64), String>,
    /// By path and key.
    memos: BTreeMap<(String, String), String>,
    groups: BTreeSet<ProcessGroup>,
    artifacts: Vec<UsedArtifact>,
    /// Place in the order of creation.
    key: usize,
}

impl Run {
    fn inbox_size(&self) -> Inbox {
        Inbox {
            signals: self.inbox.len() as u64,
            bytes: self
                .inbox
                .iter()
                .map(|stored| (stored.name.len() + stored.data.len()) as u64)
                .sum(),
        }
    }
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One whose leases begin and end by another clock than the machine's.
    #[must_use]
    pub fn with_clock(clock: StoreClock) -> Self {
        Self {
            clock,
            ..Self::default()
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Runs for MemoryStore {
    fn write(&self, write: Write) -> BoxFuture<'_, Result<Written, StoreError>> {
        Box::pin(async move {
            let offer = write.is_offer();
            let written = self.state().write(write, self.clock.now())?;
            if offer {
                self.hints.give();
            }
            Ok(written)
        })
    }

    fn row<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<Option<RunRow>, StoreError>> {
        Box::pin(async move { Ok(self.state().runs.get(run).map(|run| run.row.clone())) })
    }

    fn checkpoint<'a>(
        &'a self,
        run: &'a RunId,
    ) -> BoxFuture<'a, Result<Option<StoredCheckpoint>, StoreError>> {
        Box::pin(async move {
            Ok(self.state().runs.get(run).map(|run| StoredCheckpoint {
                row: run.row.clone(),
                parts: run.parts.clone().into_iter().collect(),
            }))
        })
    }

    fn journal<'a>(
        &'a self,
        run: &'a RunId,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<StoredEntry>, StoreError>> {
        Box::pin(async move {
            let state = self.state();
            let entries = state.runs.get(run).into_iter().flat_map(|run| &run.journal);
            let mut page = Page::default();
            for entry in entries.filter(|entry| entry.seq > after).take(limit) {
                if !page.take(entry.clone(), entry.body.len()) {
                    break;
                }
            }
            Ok(page.into_rows())
        })
    }

    fn logs<'a>(
        &'a self,
        run: &'a RunId,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<StoredLog>, StoreError>> {
        Box::pin(async move {
            let state = self.state();
            let lines = state.runs.get(run).into_iter().flat_map(|run| &run.logs);
            let mut page = Page::default();
            for log in lines.filter(|log| log.position > after).take(limit) {
                if !page.take(log.clone(), log.line.body.len()) {
                    break;
                }
            }
            Ok(page.into_rows())
        })
    }
}

impl State {
    fn filtered<'a>(&'a self, filter: &'a Filter) -> impl Iterator<Item = &'a RunRow> {
        let rows = self.runs.values().map(|run| &run.row);
        rows.filter(|row| filter.statuses.is_empty() || filter.statuses.contains(&row.status))
            .filter(|row| {
                let workflow = filter.workflow.as_ref();
                workflow.is_none_or(|name| *name == row.workflow)
            })
            .filter(|row| {
                let mut labels = filter.labels.iter();
                labels.all(|label| row.labels.are_meant(label))
            })
            .filter(|row| match &filter.family {
                Family::All => true,
                Family::Roots => {
                    let parent = row.parent.as_ref();
                    parent.is_none_or(|parent| !self.runs.contains_key(parent))
                }
                Family::ChildrenOf(run) => row.parent.as_ref() == Some(run),
            })
            .filter(|row| filter.updated_after.is_none_or(|at| row.updated_at > at))
            .filter(|row| {
                let due = row.due_at;
                let before = filter.due_before;
                before.is_none_or(|at| due.is_some_and(|due| due < at))
            })
    }

    fn run(&mut self, id: &RunId) -> Result<&mut Run, StoreError> {
        self.runs
            .get_mut(id)
            .ok_or_else(|| StoreError::NotFound(id.clone()))
    }

    /// The row of a claim that holds.
    fn held(&mut self, run: &RunId, epoch: Epoch) -> Option<&mut RunRow> {
        let row = &mut self.runs.get_mut(run)?.row;
        (row.epoch == epoch && row.owner.is_some()).then_some(row)
    }

    fn write(&mut self, write: Write, now: Timestamp) -> Result<Written, StoreError> {
        let seq = write.seq_after()?;
        write.kin.check()?;
        if let Some(digest) = write
            .named_elsewhere()
            .find(|digest| !self.blobs.contains_key(digest))
        {
            return Err(write.names_nothing(digest));
        }
        match write.expect {
            Expect::Absent if self.runs.contains_key(&write.run) => {
                return Err(StoreError::Exists(write.run));
            }
            Expect::Absent => {
                self.created += 1;
                self.runs
                    .insert(write.run.clone(), new_run(&write, self.created));
            }
            Expect::At { seq, epoch } => {
                let row = &self.run(&write.run)?.row;
                if (row.seq, row.epoch) != (seq, epoch) || row.status.is_terminal() {
                    return Err(conflict(row));
                }
            }
        }
        let run = self.run(&write.run)?;
        let there = |number: &u64| run.inbox.iter().any(|s| s.number == *number);
        if !write.consumed.iter().all(there) {
            return Err(conflict(&run.row));
        }
        // Nothing below can fail.
        for (digest, bytes) in write.brought() {
            self.keep_blob(*digest, bytes);
        }
        let mut position = self.last_log;
        let mut added = write.bytes();
        let used = &self.run(&write.run)?.blobs;
        let uses = write.uses().into_iter();
        let fresh: Vec<_> = uses.filter(|(digest, _)| !used.contains(*digest)).collect();
        for (digest, carried) in fresh {
            let kept = self.blobs.get(digest).map_or(0, |bytes| bytes.len() as u64);
            added += carried.unwrap_or(kept);
        }
        let run = self.run(&write.run)?;
        run.row.stored_bytes = run.row.stored_bytes.saturating_add(added);
        run.blobs.extend(write.brought().map(|(digest, _)| *digest));
        let freed = run.renew(&write.renewed);
        run.row.stored_bytes = run.row.stored_bytes.saturating_sub(freed);
        for (started, part) in write.tapes {
            let before = run.tapes.insert((started, part.first), part.body);
            let freed = before.map_or(0, |body| body.len() as u64);
            run.row.stored_bytes = run.row.stored_bytes.saturating_sub(freed);
        }
        run.blobs.extend(&write.named);
        let memos = write.moved.into_iter().flat_map(|moved| moved.memos);
        run.memos
            .extend(memos.map(|(path, memo)| ((path, memo.key), memo.value)));
        let mut last_artifact = self.last_artifact;
        let run = self.run(&write.run)?;
        for (path, artifact) in write.artifacts {
            last_artifact += u64::from(run.use_artifact(last_artifact + 1, path, artifact));
        }
        self.last_artifact = last_artifact;
        let run = self.run(&write.run)?;
        run.inbox.retain(|s| !write.consumed.contains(&s.number));
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
        if let Some(worked) = &mut row.worked {
            let runs = head.status == Status::Running;
            let claims = write.claim.is_some();
            if let Some(since) = worked.since
                && (claims || !runs)
            {
                let until = if claims { row.updated_at } else { head.at };
                worked.before = (worked.before + until.since(since)).min(MOST_WORK);
            }
            worked.since = match worked.since {
                _ if !runs => None,
                Some(since) if !claims => Some(since),
                _ => Some(head.at),
            };
        }
        row.seq = seq;
        row.status = head.status;
        row.updated_at = head.at;
        row.stop_code = head.stop_code;
        row.due_at = head.due_at;
        row.recoveries = head.recoveries;
        row.auto_resumes = head.auto_resumes;
        row.provider = head.provider;
        row.awaits = head.awaits;
        row.detached_at = None;
        if let Some(claim) = write.claim {
            row.epoch.0 += 1;
            row.owner = Some(claim.owner);
            row.lease_until = Some(now.after(claim.lease));
        }
        if row.status != Status::Running {
            row.owner = None;
            row.lease_until = None;
        }
        let kept = |r: &StopRequest| {
            let met = head.cancelling && r.kind.cleans_up();
            !met && r.kind.outlives(head.status) || !r.kind.ends() && head.moves_by_itself
        };
        row.request = row.request.take().filter(kept);
        let written = written(row);
        self.last_log = position;
        for child in write.kin.children {
            if !self.runs.contains_key(&child.run) {
                self.write(child, now)?;
            }
        }
        for (run, signal) in write.kin.tells {
            self.tell(&run, signal);
        }
        Ok(written)
    }

    fn tell(&mut self, run: &RunId, signal: NewSignal) {
        let number = self.last_signal + 1;
        let Some(run) = self.runs.get_mut(run) else {
            return;
        };
        let known = run.inbox.iter().any(|kept| kept.name == signal.name);
        if known || run.row.status.is_terminal() {
            return;
        }
        run.inbox.push(StoredSignal {
            number,
            name: signal.name,
            data: signal.data,
            at: signal.at,
        });
        self.last_signal = number;
    }
}

fn new_run(write: &Write, key: usize) -> Run {
    Run {
        row: RunRow {
            id: write.run.clone(),
            workflow: write.head.workflow.clone(),
            parent: write.kin.parent.clone(),
            forked_from: write.kin.forked_from.clone(),
            labels: write.head.labels.clone(),
            status: write.head.status,
            seq: 0,
            epoch: write.first_epoch(),
            created_at: write.created_at(),
            updated_at: write.head.at,
            owner: None,
            lease_until: None,
            stop_code: None,
            due_at: None,
            recoveries: 0,
            auto_resumes: 0,
            provider: None,
            awaits: Vec::new(),
            request: None,
            detached_at: None,
            worked: Some(Work {
                before: write
                    .moved
                    .as_ref()
                    .map_or(Duration::ZERO, |moved| moved.worked)
                    .min(MOST_WORK),
                since: None,
            }),
            stored_bytes: 0,
        },
        journal: Vec::new(),
        parts: BTreeMap::new(),
        logs: Vec::new(),
        progress: BTreeMap::new(),
        inbox: Vec::new(),
        tokens: BTreeMap::new(),
        blobs: BTreeSet::new(),
        tapes: BTreeMap::new(),
        memos: BTreeMap::new(),
        groups: BTreeSet::new(),
        artifacts: Vec::new(),
        key,
    }
}

fn written(row: &RunRow) -> Written {
    Written {
        epoch: row.epoch,
        request: row.request.clone(),
        stored_bytes: row.stored_bytes,
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

#[cfg(test)]
mod tests {
    use super::MemoryStore;

    crate::conformance!(|| (
        MemoryStore::with_clock(crate::conformance::words::clock()),
        ()
    ));
}
