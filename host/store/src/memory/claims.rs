//! Claims, and what waits for somebody.

use std::time::Duration;

use futures_util::future::BoxFuture;
use milepost_core::ids::{Epoch, RunId};
use milepost_core::recovery::lease_holds;
use milepost_core::state::Status;

use super::{MemoryStore, Run};
use crate::{
    Ask, Attention, Claims, Held, Look, News, Offer, Owner, RunRow, StoreError, StoredSignal, Watch,
};

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
            let requested = rows().filter(|row| {
                let stands = row.status != Status::Running && !row.status.is_terminal();
                row.request.is_some() && stands
            });
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

    fn present(&self, worker: Owner, lease: Duration) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let (mut state, now) = (self.state(), self.clock.now());
            state
                .workers
                .retain(|_, (_, until)| lease_holds(*until, now));
            let until = now.after(lease);
            state.workers.insert(worker.nonce.clone(), (worker, until));
            Ok(())
        })
    }

    fn absent<'a>(&'a self, worker: &'a Owner) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.state().workers.remove(&worker.nonce);
            Ok(())
        })
    }

    fn workers(&self) -> BoxFuture<'_, Result<Vec<Owner>, StoreError>> {
        Box::pin(async move {
            let (state, now) = (self.state(), self.clock.now());
            let workers = state.workers.values();
            let there = workers.filter(|(_, until)| lease_holds(*until, now));
            Ok(there.map(|(worker, _)| worker.clone()).collect())
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
