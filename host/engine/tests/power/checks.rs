//! What must hold of a store that is opened after something went wrong.

use crate::power::world::clock;
use crate::store::Now as _;
use milepost::store::prelude::*;
use std::path::Path;

use milepost::record;
use milepost::store::sqlite::{Durability, SqliteStore};
use milepost::store::{Filter, NewLog, Store, StoreError, StoredCheckpoint, StoredEntry};
use milepost_core::ids::RunId;
use milepost_core::state::RunState;
use rusqlite::Connection;

use super::disk::{Image, Mounted};
use super::world::{Change, World};
use crate::store::{ALL, Talk as _, start, step};

/// What should not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Finding {
    /// The store does not open, or does not work.
    Unusable(String),
    /// What it holds contradicts itself.
    Inconsistent(String),
    /// It does not hold what was acknowledged, or holds what nobody wrote.
    Differs(String),
}

/// What became of the changes that had no answer.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Unanswered {
    pub(crate) made: u64,
    pub(crate) lost: u64,
}

/// Opens a store on a copy of the image and compares it with the world. The changes without an answer may have been made,
/// each whole or not at all; those that were are made in the world, too.
pub(crate) fn check(
    image: &Image,
    durability: Durability,
    world: &mut World,
    unanswered: &[Change],
) -> Result<Unanswered, Finding> {
    let disk = Mounted::new(image);
    let store = open(&disk, durability)?;
    consistent(&disk.path(), &store, world)?;
    let found = settle(&store, world, unanswered)?;
    complete(&store, world)?;
    // What was recovered must also survive being folded, which closing the store does.
    drop(store);
    let store = open(&disk, durability)?;
    complete(&store, world)?;
    takes_new_writes(&store)?;
    drop(store);
    consistent(&disk.path(), &open(&disk, durability)?, world)?;
    Ok(found)
}

pub(crate) fn open(disk: &Mounted, durability: Durability) -> Result<SqliteStore, Finding> {
    let opened = SqliteStore::open(&disk.path(), durability);
    let opened = opened.map(|store| store.with_clock(clock()));
    opened.map_err(|error| unusable(&error))
}

fn unusable(error: &StoreError) -> Finding {
    Finding::Unusable(error.to_string())
}

/// Whatever was lost, the rest must be of one piece: SQLite finds no damage, journals have no gaps and end where the row
/// says, and the core folds them to the checkpoint.
fn consistent(path: &Path, store: &SqliteStore, world: &World) -> Result<(), Finding> {
    let damaged = |text: String| Err(Finding::Inconsistent(text));
    let found = Connection::open(path).and_then(|db| {
        db.pragma_query_value(None, "integrity_check", |row| row.get::<_, String>(0))
    });
    if found.as_deref() != Ok("ok") {
        return damaged(format!("{found:?}"));
    }
    for run in &world.runs {
        let Some(row) = store.row(run).now().map_err(|error| unusable(&error))? else {
            continue;
        };
        let loaded = match record::load(store, run).now() {
            Ok(loaded) => loaded.state,
            Err(error) => return damaged(error.to_string()),
        };
        let journal = match record::journal(store, run, 0, ALL).now() {
            Ok(journal) => journal,
            Err(error) => return damaged(error.to_string()),
        };
        let numbers: Vec<u64> = journal.iter().map(|entry| entry.seq).collect();
        if numbers != (1..=row.seq).collect::<Vec<_>>() {
            return damaged(format!("run {run} stands at {}: {numbers:?}", row.seq));
        }
        if RunState::fold(&journal).as_ref() != Ok(&loaded) {
            return damaged(format!("run {run}: the journal gives another state"));
        }
        if (row.status, row.epoch) != (loaded.phase().status(), loaded.epoch()) {
            return damaged(format!("run {run}: the row says {row:?}"));
        }
    }
    Ok(())
}

/// Everything of one run.
#[derive(Debug, PartialEq)]
struct Contents {
    checkpoint: Option<StoredCheckpoint>,
    journal: Vec<StoredEntry>,
    logs: Vec<NewLog>,
}

impl Contents {
    fn of(store: &dyn Store, run: &RunId) -> Result<Self, StoreError> {
        let logs = store.logs(run, 0, ALL).now()?;
        Ok(Self {
            checkpoint: store.checkpoint(run).now()?,
            journal: store.journal(run, 0, ALL).now()?,
            logs: logs.into_iter().map(|log| log.line).collect(),
        })
    }

    /// Where it stands, for a person.
    fn place(&self) -> String {
        let row = self.checkpoint.as_ref().map(|checkpoint| &checkpoint.row);
        let place = row.map(|row| (row.status, row.seq, row.epoch, row.lease_until));
        format!(
            "{place:?} with {} events and {} log lines",
            self.journal.len(),
            self.logs.len()
        )
    }
}

/// Compares a run with the world; says what differs.
pub(crate) fn differs(
    store: &dyn Store,
    world: &World,
    run: &RunId,
) -> Result<Option<String>, Finding> {
    let found = Contents::of(store, run).map_err(|error| unusable(&error))?;
    let expected = Contents::of(&world.oracle, run).map_err(|error| unusable(&error))?;
    Ok((found != expected).then(|| {
        format!(
            "run {run} is {}, should be {}",
            found.place(),
            expected.place()
        )
    }))
}

/// Finds out which of the changes without an answer were made. Those that were must then stand there whole.
fn settle(
    store: &SqliteStore,
    world: &mut World,
    unanswered: &[Change],
) -> Result<Unanswered, Finding> {
    let mut found = Unanswered::default();
    for change in unanswered {
        if differs(store, world, change.run())?.is_some() {
            world.acknowledge(change);
            found.made += 1;
        } else {
            found.lost += 1;
        }
    }
    Ok(found)
}

/// The store holds exactly what the world does.
pub(crate) fn complete(store: &SqliteStore, world: &World) -> Result<(), Finding> {
    for run in &world.runs {
        if let Some(difference) = differs(store, world, run)? {
            return Err(Finding::Differs(difference));
        }
        let (found, expected) = (told(store, run)?, told(&world.oracle, run)?);
        if found != expected {
            return Err(Finding::Differs(format!(
                "run {run} was told {found:?}, should be {expected:?}"
            )));
        }
    }
    for digest in &world.blobs {
        let found = store.blob(digest).now().map_err(|error| unusable(&error))?;
        let expected = world.oracle.blob(digest).now().unwrap();
        if found != expected {
            let lengths = (found.map(|b| b.len()), expected.map(|b| b.len()));
            return Err(Finding::Differs(format!("blob {digest}: {lengths:?}")));
        }
    }
    let list = |store: &dyn Store| store.list(&Filter::default()).now();
    let found = list(store).map_err(|error| unusable(&error))?;
    if !found.unreadable.is_empty() || found.rows != list(&world.oracle).unwrap().rows {
        return Err(Finding::Differs("the list of runs".to_owned()));
    }
    Ok(())
}

/// What waits for a run.
fn told(store: &dyn Store, run: &RunId) -> Result<Vec<(String, String)>, Finding> {
    let inbox = store.inbox(run, ALL).now();
    let inbox = inbox.map_err(|error| unusable(&error))?;
    let told = inbox.into_iter().map(|signal| (signal.name, signal.data));
    Ok(told.collect())
}

fn takes_new_writes(store: &SqliteStore) -> Result<(), Finding> {
    for write in [start("probe"), step("probe", 0, 1), step("probe", 1, 1)] {
        store.try_save(write).map_err(|error| unusable(&error))?;
    }
    let entries = store.entries("probe");
    if entries == [1, 2] {
        Ok(())
    } else {
        Err(Finding::Differs(format!("the new run has {entries:?}")))
    }
}
