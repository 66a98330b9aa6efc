//! The store without a file: for tests, simulation, and as the oracle that other stores are compared with. Plain on purpose:
//! one map behind one lock, every write checked first and then applied.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use milepost_core::ids::{Digest, Epoch, RunId};
use milepost_core::recovery::lease_holds;
use milepost_core::state::Status;
use milepost_core::time::Timestamp;

use super::hints::Hints;
use super::{
    Ask, Attention, BlobFault, Blobs, CheckedBlob, Claims, Cursor, Expect, Filter, Health, Held,
    Holdings, Inbox, KnownToken, Listing, Look, Mailbox, NewSignal, News, Offer, Page, RunRow,
    Runs, Sent, StopRequest, StoreClock, StoreError, StoredCheckpoint, StoredEntry, StoredLog,
    StoredSignal, Upkeep, Watch, Write, Written,
};
use futures_util::future::BoxFuture;

/// A store that lives as long as the value.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
    clock: StoreClock,
    hints: Hints,
}

#[derive(Debug, Default)]
struct State {
    runs: BTreeMap<RunId, Run>,
    blobs: BTreeMap<Digest, Arc<[u8]>>,
    last_log: u64,
    last_signal: u64,
    created: usize,
}

#[derive(Debug)]
struct Run {
    row: RunRow,
    journal: Vec<StoredEntry>,
    parts: BTreeMap<String, String>,
    logs: Vec<StoredLog>,
    inbox: Vec<StoredSignal>,
    tokens: BTreeMap<String, KnownToken>,
    blobs: BTreeSet<Digest>,
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

impl Claims for MemoryStore {
    fn offer<'a>(&'a self, ask: &'a Ask) -> BoxFuture<'a, Result<Offer, StoreError>> {
        Box::pin(async move {
            let (state, now) = (self.state(), self.clock.now());
            let runs = || {
                state
                    .runs
                    .values()
                    .filter(|run| !ask.except.contains(&run.row.id))
            };
            let mut due: Vec<&Run> = runs()
                .filter(|run| run.row.status == Status::Paused)
                .filter(|run| run.row.due_at.is_some_and(|due| due <= now))
                .collect();
            due.sort_by_key(|run| (run.row.due_at, run.key));
            let due = due.into_iter().map(|run| run.row.clone());
            let pending = runs().map(|run| &run.row);
            let pending = pending.filter(|row| row.status == Status::Pending);
            let offered = due.chain(by_age(pending.cloned().collect()));
            Ok(Offer {
                rows: offered.take(ask.room).collect(),
                unreadable: Vec::new(),
            })
        })
    }

    fn keep<'a>(
        &'a self,
        held: &'a [Held],
        renew: Option<Duration>,
    ) -> BoxFuture<'a, Result<Vec<News>, StoreError>> {
        Box::pin(async move {
            let (mut state, now) = (self.state(), self.clock.now());
            let mut news = Vec::new();
            for held in held {
                let holds = state.held(&held.run, held.epoch).map(|row| {
                    if let Some(lease) = renew {
                        row.lease_until = Some(now.after(lease));
                        row.detached_at = None;
                    }
                    row.request.clone()
                });
                news.extend(held.news(holds));
            }
            Ok(news)
        })
    }

    fn give_up<'a>(&'a self, held: &'a [Held]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let mut state = self.state();
            for Held { run, epoch } in held {
                if let Some(row) = state.held(run, *epoch) {
                    row.owner = None;
                    row.lease_until = None;
                }
            }
            Ok(())
        })
    }

    fn mark_detached<'a>(
        &'a self,
        run: &'a RunId,
        epoch: Epoch,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let (mut state, now) = (self.state(), self.clock.now());
            let row = &mut state.run(run)?.row;
            let expired = row.lease_until.is_some_and(|until| until <= now);
            let marks = row.epoch == epoch && expired && row.detached_at.is_none();
            if marks {
                row.detached_at = Some(now);
            }
            Ok(marks)
        })
    }

    fn look<'a>(&'a self, look: &'a Look) -> BoxFuture<'a, Result<Attention, StoreError>> {
        Box::pin(async move {
            let (state, now) = (self.state(), self.clock.now());
            let runs = || state.runs.values();
            let rows = || runs().map(|run| &run.row);
            let oldest = |rows: Vec<RunRow>| {
                let mut rows = by_age(rows);
                rows.truncate(look.limit);
                rows
            };
            let signalled = runs().filter(|run| {
                let awaited = |s: &StoredSignal| run.row.awaits.contains(&s.name);
                run.row.status == Status::Paused && run.inbox.iter().any(awaited)
            });
            let requested =
                rows().filter(|row| row.request.is_some() && row.status != Status::Running);
            let ours = |row: &RunRow| {
                row.owner
                    .as_ref()
                    .is_none_or(|owner| owner.host == look.host)
            };
            let suspect = |row: &&RunRow| {
                let expired = row.lease_until.is_none_or(|until| !lease_holds(until, now));
                row.status == Status::Running && (expired || ours(row))
            };
            let mut running = by_age(rows().filter(suspect).cloned().collect());
            if let Some(after) = &look.after {
                let seen = rows().find(|row| row.id.as_str() == after);
                running.retain(|row| {
                    seen.is_some_and(|seen| (row.created_at, &row.id) > (seen.created_at, &seen.id))
                });
            }
            let full = running.len() >= look.limit;
            running.truncate(look.limit);
            let last = running.last().map(|row| row.id.to_string());
            let mut attention = Attention {
                next: last.filter(|_| full),
                running,
                ..Attention::default()
            };
            if look.after.is_none() {
                attention.signalled = oldest(signalled.map(|run| run.row.clone()).collect());
                attention.requested = oldest(requested.cloned().collect());
                attention.next_due = rows()
                    .filter(|row| row.status == Status::Paused)
                    .filter_map(|row| row.due_at)
                    .filter(|due| *due > now)
                    .min();
            }
            Ok(attention)
        })
    }
}

/// By creation time, then id.
fn by_age(mut rows: Vec<RunRow>) -> Vec<RunRow> {
    rows.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
    rows
}

impl Watch for MemoryStore {
    fn hint(&self) -> BoxFuture<'_, ()> {
        self.hints.next()
    }
}

impl Mailbox for MemoryStore {
    fn request_stop<'a>(
        &'a self,
        run: &'a RunId,
        request: StopRequest,
    ) -> BoxFuture<'a, Result<Status, StoreError>> {
        Box::pin(async move {
            let mut state = self.state();
            let row = &mut state.run(run)?.row;
            let weaker = row.request.as_ref().is_none_or(|r| r.kind < request.kind);
            if row.status == Status::Running && weaker {
                row.request = Some(request);
            }
            Ok(row.status)
        })
    }

    fn withdraw_pause<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let mut state = self.state();
            let request = &mut state.run(run)?.row.request;
            Ok(request.take_if(|request| !request.kind.ends()).is_some())
        })
    }

    fn send_signal<'a>(
        &'a self,
        run: &'a RunId,
        signal: NewSignal,
    ) -> BoxFuture<'a, Result<Sent, StoreError>> {
        Box::pin(async move {
            let mut state = self.state();
            let number = state.last_signal + 1;
            let run = state.run(run)?;
            if let Some(known) = signal
                .token
                .as_ref()
                .and_then(|token| run.tokens.get(token))
            {
                return Ok(known.answer(&signal));
            }
            if run.row.status.is_terminal() {
                return Ok(Sent::Over(run.row.status));
            }
            let inbox = run.inbox_size();
            if !inbox.has_room(&signal) {
                return Ok(Sent::Full(inbox));
            }
            let content = signal.content();
            if let Some(token) = signal.token {
                run.tokens.insert(token, KnownToken { number, content });
            }
            run.inbox.push(StoredSignal {
                number,
                name: signal.name,
                data: signal.data,
                at: signal.at,
            });
            state.last_signal = number;
            drop(state);
            self.hints.give();
            Ok(Sent::Kept(number))
        })
    }

    fn known_token<'a>(
        &'a self,
        run: &'a RunId,
        token: &'a str,
    ) -> BoxFuture<'a, Result<Option<KnownToken>, StoreError>> {
        Box::pin(async move {
            let state = self.state();
            Ok(state
                .runs
                .get(run)
                .and_then(|run| run.tokens.get(token).copied()))
        })
    }

    fn inbox<'a>(
        &'a self,
        run: &'a RunId,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<StoredSignal>, StoreError>> {
        Box::pin(async move {
            let state = self.state();
            let signals = state.runs.get(run).into_iter().flat_map(|run| &run.inbox);
            Ok(signals.take(limit).cloned().collect())
        })
    }

    fn inbox_size<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<Inbox, StoreError>> {
        Box::pin(async move {
            let state = self.state();
            let run = state.runs.get(run);
            Ok(run.map(Run::inbox_size).unwrap_or_default())
        })
    }
}

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
            let lines = run.logs.iter().map(|log| &log.line);
            let lines = lines.map(|line| line.path.len() + line.body.len());
            let size = |digest| {
                state
                    .blobs
                    .get(digest)
                    .map_or(0, |bytes| bytes.len() as u64)
            };
            Ok(Holdings {
                record_bytes: entries.chain(lines).sum::<usize>() as u64,
                blobs: run.blobs.iter().map(|d| (*d, size(d))).collect(),
            })
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

impl State {
    fn filtered<'a>(&'a self, filter: &'a Filter) -> impl Iterator<Item = &'a RunRow> {
        let rows = self.runs.values().map(|run| &run.row);
        rows.filter(|row| filter.statuses.is_empty() || filter.statuses.contains(&row.status))
            .filter(|row| {
                let workflow = filter.workflow.as_ref();
                workflow.is_none_or(|name| *name == row.workflow)
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
        for (digest, bytes) in &write.blobs {
            let kept = self.blobs.entry(*digest);
            let kept = kept.or_insert_with(|| Arc::clone(bytes));
            if kept != bytes && Digest::of(bytes) == *digest {
                *kept = Arc::clone(bytes);
            }
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
        run.blobs
            .extend(write.blobs.iter().map(|(digest, _)| *digest));
        run.blobs.extend(&write.named);
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
            r.kind.outlives(head.status) || !r.kind.ends() && head.moves_by_itself
        };
        row.request = row.request.take().filter(kept);
        let written = written(row);
        self.last_log = position;
        Ok(written)
    }
}

fn cursor(row: &RunRow) -> Cursor {
    Cursor {
        created_at: i64::try_from(row.created_at.as_nanos()).unwrap_or(i64::MAX),
        id: row.id.as_str().as_bytes().to_vec(),
    }
}

fn new_run(write: &Write, key: usize) -> Run {
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
            auto_resumes: 0,
            provider: None,
            awaits: Vec::new(),
            request: None,
            detached_at: None,
            stored_bytes: 0,
        },
        journal: Vec::new(),
        parts: BTreeMap::new(),
        logs: Vec::new(),
        inbox: Vec::new(),
        tokens: BTreeMap::new(),
        blobs: BTreeSet::new(),
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
