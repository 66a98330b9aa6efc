//! The SQLite store: one file, safe against `kill -9` and (by default) power loss, shared by any number of processes.
//!
//! * `files` says where a store's files are and who may read them; `open` brings them into the expected state and proves
//!   it: WAL, `synchronous`, schema version.
//! * `change` and `request` are the SQL of the changes, each guarded by its own compare-and-swap.
//! * `writer` turns changes into transactions: in place for a lone run, joined for many (group commit).
//! * `removal` takes a run that has much away in pieces.
//! * `gate` lets the writers of all processes take turns; `space` gives back to the disk what nothing uses.
//! * `read` answers from separate connections, which WAL keeps out of the writer's way.
//!
//! Locking: inside a process, one connection writes; between processes, `BEGIN IMMEDIATE`. No lock is held between calls.
//! Instants beyond the year 2262 are kept as the last one that a signed 64-bit number of nanoseconds can hold.
//!
//! Nothing here depends on how SQLite was compiled. `LIBSQLITE3_FLAGS`, which only the workspace that is built can set, makes it faster: with
//! `-DHAVE_FDATASYNC` a commit does not wait for the file's times, `-DSQLITE_DEFAULT_MEMSTATUS=0` saves a lock at each allocation.
//! Neither can be had at run time: which function syncs is compiled in, and `sqlite3_config` changes SQLite for the whole process and must
//! not meet any other use of it, which a library cannot promise. Shared caches, which `-DSQLITE_OMIT_SHARED_CACHE` leaves out, are never
//! opened, whatever the program around has switched on.

mod artifacts;
mod attempts;
mod change;
mod counts;
mod files;
mod gate;
mod migrations;
mod open;
mod read;
mod removal;
mod request;
mod scan;
mod schema;
mod space;
mod statements;
mod workers;
mod writer;

use std::borrow::Borrow;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use milepost_core::effect::{Applied, Artifact, KvChange, KvItem, Memo, ProcessGroup};
use milepost_core::ids::{Digest, Epoch, RunId};
use milepost_core::state::Status;
use milepost_core::time::Timestamp;
use rusqlite::{Connection, ErrorCode, ffi};

use self::artifacts::{Disk, Machine, Noted};
use self::change::{Brought, Change};
use self::files::Watch;
use self::open::Place;
use self::read::Readers;
use self::request::{Abandonment, Deletion, DetachedMark, Renewal, Request, Signal, Withdrawal};
use self::writer::{Beside, Writer};
use futures_util::future::BoxFuture;
use milepost_store::hints::Hints;
use milepost_store::{
    Ask, Attempts, Attention, Blobs, Bucket, Cause, CheckedBlob, Claims, Count, Filter, Health,
    Held, Holdings, Inbox, KnownToken, Listing, Look, Mailbox, NewSignal, News, Note, Offer, Owner,
    Release, RunRow, Runs, Said, Sent, Space, StopRequest, StoreClock, StoreError,
    StoredCheckpoint, StoredEntry, StoredLog, StoredProgress, StoredSignal, StoredTape, Upkeep,
    UsedArtifact, Write, Written,
};

/// What a returned write survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// Loss of power: every transaction is synced to the disk (`synchronous=FULL`).
    #[default]
    PowerLoss,
    /// The end of the process, but not of the machine (`synchronous=NORMAL`): some twenty times faster for a lone run.
    ProcessCrash,
}

/// A store in a SQLite file. Dropping it finishes the writes that wait.
#[derive(Debug)]
pub struct SqliteStore {
    // Dropped first: the last connection to close folds the WAL into the file, and only the writer's can.
    readers: Readers,
    /// None in a store that is only read.
    writer: Option<Writer>,
    watch: Watch,
    path: PathBuf,
    /// Where artifacts go.
    disk: Arc<dyn Disk>,
    clock: StoreClock,
    hints: Hints,
}

impl SqliteStore {
    /// Opens the store at `path`; creates the folder and the file when they are missing and migrates an older file.
    ///
    /// # Errors
    /// [`StoreError::TooNew`]; [`StoreError::Corrupt`] when the file is no database; [`StoreError::Unavailable`] when it
    /// cannot be opened, belongs to another program, or the file system cannot give the asked durability.
    pub fn open(path: &Path, durability: Durability) -> Result<Self, StoreError> {
        let file = open::writer(path, durability)?;
        let path = file.path.clone();
        Ok(Self {
            readers: Readers::new(Place::Shared(path.clone())),
            writer: Some(Writer::start(file)?),
            watch: Watch::of(path.clone()),
            path,
            disk: Arc::new(Machine),
            clock: StoreClock::default(),
            hints: Hints::default(),
        })
    }

    /// Opens the store at `path` for somebody who may not write there: it creates nothing and migrates nothing, and every
    /// change is answered with [`StoreError::Unavailable`].
    ///
    /// # Errors
    /// As [`open`](Self::open); also [`StoreError::Unavailable`] when the file does not exist, is of an older version, or was
    /// left with writes that only its owner can fold in.
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        let (place, connection) = open::read_only(path)?;
        let path = match &place {
            Place::Shared(path) | Place::Still(path) => path.clone(),
        };
        Ok(Self {
            readers: Readers::beginning_with(place, connection),
            writer: None,
            watch: Watch::of(path.clone()),
            path,
            disk: Arc::new(Machine),
            clock: StoreClock::default(),
            hints: Hints::default(),
        })
    }

    /// The store with another clock than the machine's: leases begin and end by it.
    #[must_use]
    pub fn with_clock(mut self, clock: StoreClock) -> Self {
        self.clock = clock;
        self
    }

    /// How many transactions this store has committed: the number of syncs that its writes have cost.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.writer.as_ref().map_or(0, Writer::commits)
    }

    /// Does something at a moment when this store is in no transaction, and lets none begin meanwhile: a process that stops
    /// itself there keeps no other one waiting.
    pub fn between_transactions<T>(&self, act: impl FnOnce() -> T) -> T {
        match &self.writer {
            Some(writer) => writer.between_transactions(act),
            None => act(),
        }
    }

    async fn submit<C: Change>(&self, change: C) -> Result<C::Reply, StoreError> {
        let writer = self.writer()?;
        self.watch.check()?;
        let submitted = writer.submit(change).await;
        submitted.map_err(|error| self.watch.explain(error))
    }

    async fn beside(&self, what: Beside) -> Result<(), StoreError> {
        let writer = self.writer()?;
        self.watch.check()?;
        let done = writer.beside(what).await;
        done.map_err(|error| self.watch.explain(error))
    }

    fn writer(&self) -> Result<&Writer, StoreError> {
        let refusal = || StoreError::unavailable("the store is read-only".to_owned());
        self.writer.as_ref().ok_or_else(refusal)
    }

    fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.watch.check()?;
        let found = self.readers.with(read);
        found.map_err(|error| self.watch.explain(error))
    }
}

impl Runs for SqliteStore {
    fn write(&self, write: Write) -> BoxFuture<'_, Result<Written, StoreError>> {
        let offer = write.is_offer();
        let at = self.clock.now();
        Box::pin(async move {
            let written = self.submit(Brought { write, at }).await?;
            if offer {
                self.hints.give();
            }
            Ok(written)
        })
    }

    fn row<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<Option<RunRow>, StoreError>> {
        Box::pin(async move { self.read(|db| read::row(db, run)) })
    }

    fn checkpoint<'a>(
        &'a self,
        run: &'a RunId,
    ) -> BoxFuture<'a, Result<Option<StoredCheckpoint>, StoreError>> {
        Box::pin(async move { self.read(|db| read::checkpoint(db, run)) })
    }

    fn journal<'a>(
        &'a self,
        run: &'a RunId,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<StoredEntry>, StoreError>> {
        Box::pin(async move { self.read(|db| read::journal(db, run, after, limit)) })
    }

    fn logs<'a>(
        &'a self,
        run: &'a RunId,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<StoredLog>, StoreError>> {
        Box::pin(async move { self.read(|db| read::logs(db, run, after, limit)) })
    }
}

impl Attempts for SqliteStore {
    fn note(&self, note: Note) -> BoxFuture<'_, Result<Applied, StoreError>> {
        Box::pin(self.submit(Noted::of(note, &self.path)))
    }

    fn say(&self, said: Said) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let writer = self.writer()?;
            self.watch.check()?;
            let appended = writer.append(attempts::Saying(said)).await;
            appended.map_err(|error| self.watch.explain(error))
        })
    }

    fn progress<'a>(
        &'a self,
        run: &'a RunId,
    ) -> BoxFuture<'a, Result<Vec<StoredProgress>, StoreError>> {
        Box::pin(async move { self.read(|db| attempts::progress(db, run)) })
    }

    fn tape<'a>(
        &'a self,
        run: &'a RunId,
        started: u64,
        from: u64,
    ) -> BoxFuture<'a, Result<Vec<StoredTape>, StoreError>> {
        Box::pin(async move { self.read(|db| attempts::tape(db, run, started, from)) })
    }

    fn memo<'a>(
        &'a self,
        run: &'a RunId,
        path: &'a str,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<String>, StoreError>> {
        Box::pin(async move { self.read(|db| attempts::memo(db, run, path, key)) })
    }

    fn memos<'a>(
        &'a self,
        run: &'a RunId,
        after: Option<(&'a str, &'a str)>,
    ) -> BoxFuture<'a, Result<Vec<(String, Memo)>, StoreError>> {
        Box::pin(async move { self.read(|db| attempts::memos(db, run, after)) })
    }

    fn groups<'a>(
        &'a self,
        run: &'a RunId,
    ) -> BoxFuture<'a, Result<Vec<ProcessGroup>, StoreError>> {
        Box::pin(async move { self.read(|db| attempts::groups(db, run)) })
    }

    fn artifacts<'a>(
        &'a self,
        run: &'a RunId,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<UsedArtifact>, StoreError>> {
        Box::pin(async move { self.read(|db| attempts::artifacts(db, run, after, limit)) })
    }

    fn artifact<'a>(
        &'a self,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<Option<Artifact>, StoreError>> {
        Box::pin(async move { self.read(|db| attempts::artifact(db, digest)) })
    }

    fn kv<'a>(
        &'a self,
        bucket: &'a str,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<KvItem>, StoreError>> {
        Box::pin(async move { self.read(|db| attempts::item(db, bucket, key)) })
    }

    fn kv_keys<'a>(
        &'a self,
        bucket: &'a str,
        prefix: &'a str,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<String>, StoreError>> {
        Box::pin(async move { self.read(|db| attempts::keys(db, bucket, prefix, after, limit)) })
    }

    fn kv_change(&self, change: KvChange) -> BoxFuture<'_, Result<Applied, StoreError>> {
        Box::pin(async move {
            let writer = self.writer()?;
            self.watch.check()?;
            writer.alone(|db| attempts::put_alone(db, &change))
        })
    }

    fn buckets<'a>(
        &'a self,
        after: Option<&'a str>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<Bucket>, StoreError>> {
        Box::pin(async move { self.read(|db| attempts::buckets(db, after, limit)) })
    }
}

impl Claims for SqliteStore {
    fn offer<'a>(&'a self, ask: &'a Ask) -> BoxFuture<'a, Result<Offer, StoreError>> {
        Box::pin(async move { self.read(|db| scan::offer(db, ask, self.clock.now())) })
    }

    fn keep<'a>(
        &'a self,
        held: &'a [Held],
        renew: Option<Duration>,
    ) -> BoxFuture<'a, Result<Vec<News>, StoreError>> {
        Box::pin(async move {
            match renew {
                _ if held.is_empty() => Ok(Vec::new()),
                None => self.read(|db| scan::news(db, held)),
                Some(lease) => {
                    let renewal = Renewal {
                        held: held.to_vec(),
                        until: self.clock.now().after(lease),
                    };
                    self.submit(renewal).await
                }
            }
        })
    }

    fn give_up<'a>(&'a self, held: &'a [Held]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            if held.is_empty() {
                return Ok(());
            }
            let held = held.to_vec();
            self.submit(Abandonment { held }).await
        })
    }

    fn mark_detached<'a>(
        &'a self,
        run: &'a RunId,
        epoch: Epoch,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(self.submit(DetachedMark {
            run: run.clone(),
            epoch,
            at: self.clock.now(),
        }))
    }

    fn look<'a>(&'a self, look: &'a Look) -> BoxFuture<'a, Result<Attention, StoreError>> {
        Box::pin(async move { self.read(|db| scan::attention(db, look, self.clock.now())) })
    }

    fn present(&self, worker: Owner, lease: Duration) -> BoxFuture<'_, Result<(), StoreError>> {
        let at = self.clock.now();
        let until = at.after(lease);
        Box::pin(self.beside(Beside::Worker(workers::Said::Present { worker, at, until })))
    }

    fn absent<'a>(&'a self, worker: &'a Owner) -> BoxFuture<'a, Result<(), StoreError>> {
        let nonce = worker.nonce.clone();
        Box::pin(self.beside(Beside::Worker(workers::Said::Absent { nonce })))
    }

    fn workers(&self) -> BoxFuture<'_, Result<Vec<Owner>, StoreError>> {
        Box::pin(async move { self.read(|db| workers::all(db, self.clock.now())) })
    }
}

/// Hints come from this process alone: of what others do, SQLite tells nobody.
impl milepost_store::Watch for SqliteStore {
    fn hint(&self) -> BoxFuture<'_, ()> {
        self.hints.next()
    }
}

impl Mailbox for SqliteStore {
    fn request_stop<'a>(
        &'a self,
        run: &'a RunId,
        request: StopRequest,
    ) -> BoxFuture<'a, Result<Status, StoreError>> {
        Box::pin(self.submit(Request {
            run: run.clone(),
            request,
        }))
    }

    fn withdraw_pause<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(self.submit(Withdrawal { run: run.clone() }))
    }

    fn send_signal<'a>(
        &'a self,
        run: &'a RunId,
        signal: NewSignal,
    ) -> BoxFuture<'a, Result<Sent, StoreError>> {
        Box::pin(async move {
            let sent = self.submit(Signal {
                run: run.clone(),
                signal,
            });
            let sent = sent.await?;
            self.hints.give();
            Ok(sent)
        })
    }

    fn known_token<'a>(
        &'a self,
        run: &'a RunId,
        token: &'a str,
    ) -> BoxFuture<'a, Result<Option<KnownToken>, StoreError>> {
        Box::pin(async move { self.read(|db| read::known_token(db, run, token)) })
    }

    fn inbox<'a>(
        &'a self,
        run: &'a RunId,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<StoredSignal>, StoreError>> {
        Box::pin(async move { self.read(|db| read::inbox(db, run, limit)) })
    }

    fn inbox_size<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<Inbox, StoreError>> {
        Box::pin(async move { self.read(|db| read::inbox_size(db, run)) })
    }
}

impl Blobs for SqliteStore {
    fn blob<'a>(
        &'a self,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<Option<Vec<u8>>, StoreError>> {
        Box::pin(async move { self.read(|db| read::blob(db, digest)) })
    }

    fn checked_blob<'a>(
        &'a self,
        after: Option<&'a Digest>,
    ) -> BoxFuture<'a, Result<Option<CheckedBlob>, StoreError>> {
        Box::pin(async move { self.read(|db| scan::checked_blob(db, after)) })
    }
}

impl Upkeep for SqliteStore {
    fn list<'a>(&'a self, filter: &'a Filter) -> BoxFuture<'a, Result<Listing, StoreError>> {
        Box::pin(async move { self.read(|db| read::list(db, filter)) })
    }

    fn count<'a>(&'a self, filter: &'a Filter) -> BoxFuture<'a, Result<usize, StoreError>> {
        Box::pin(async move { self.read(|db| read::count(db, filter)) })
    }

    fn ids_with_prefix<'a>(
        &'a self,
        prefix: &'a str,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<RunId>, StoreError>> {
        Box::pin(async move { self.read(|db| read::ids_with_prefix(db, prefix, limit)) })
    }

    fn written_before<'a>(
        &'a self,
        before: Timestamp,
        statuses: &'a [Status],
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<RunRow>, StoreError>> {
        Box::pin(async move { self.read(|db| scan::written_before(db, before, statuses, limit)) })
    }

    fn delete<'a>(&'a self, run: &'a RunId, seq: u64) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let deletion = Deletion {
                run: run.clone(),
                seq,
            };
            match self.submit(deletion).await? {
                true => removal::finish(self.writer()?),
                false => Ok(()),
            }
        })
    }

    fn holdings<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<Holdings, StoreError>> {
        Box::pin(async move { self.read(|db| scan::holdings(db, run)) })
    }

    fn count_up(&self, by: Vec<Count>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.beside(Beside::Counts(by)))
    }

    fn counts(&self) -> BoxFuture<'_, Result<Vec<Count>, StoreError>> {
        Box::pin(async move { self.read(counts::all) })
    }

    fn health(&self) -> BoxFuture<'_, Result<Health, StoreError>> {
        Box::pin(async move { self.read(|db| scan::health(db, &self.path)) })
    }

    fn space(&self) -> BoxFuture<'_, Result<Space, StoreError>> {
        Box::pin(async move {
            self.read(|db| space::of(db).map_err(|error| store_error(error, "the room it takes")))
        })
    }

    fn release(&self, how: Release) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let writer = self.writer()?;
            self.watch.check()?;
            removal::finish(writer)?;
            space::release(writer, how)
        })
    }
}

/// A database error as the trait words it; `context` says what was being worked on.
fn store_error(
    error: impl Borrow<rusqlite::Error> + Error + Send + Sync + 'static,
    context: &str,
) -> StoreError {
    let text = format!("{context}: {error}");
    let code = error.borrow().sqlite_error_code();
    // Every file has the tables and indexes of its version, until somebody takes them away.
    let no_such = code == Some(ErrorCode::Unknown) && error.to_string().starts_with("no such ");
    let damaged = match code {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => true,
        // What is there already contradicts the row: no change writes a key twice by itself.
        Some(ErrorCode::ConstraintViolation) => is_key_taken(error.borrow()),
        Some(_) => no_such,
        None => matches!(
            error.borrow(),
            rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::Utf8Error(..)
        ),
    };
    let found = match damaged {
        true => StoreError::corrupt(text),
        false => StoreError::met(cause(error.borrow()), text),
    };
    found.caused_by(error)
}

fn cause(error: &rusqlite::Error) -> Cause {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Cause::Locked,
        Some(ErrorCode::DiskFull) => Cause::Full,
        // The file beside it, over which its processes agree, found no room to grow.
        Some(ErrorCode::SystemIoFailure)
            if error.sqlite_error().map(|error| error.extended_code)
                == Some(ffi::SQLITE_IOERR_SHMSIZE) =>
        {
            Cause::Full
        }
        Some(ErrorCode::PermissionDenied) => Cause::Denied,
        _ => Cause::Other,
    }
}

/// An entry of that key is there already.
fn is_key_taken(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    let taken = [
        ffi::SQLITE_CONSTRAINT_UNIQUE,
        ffi::SQLITE_CONSTRAINT_PRIMARYKEY,
    ];
    code.is_some_and(|code| taken.contains(&code))
}

/// Another connection has the lock that was asked for.
fn is_locked(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

/// For a column: SQLite has no unsigned numbers.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// For a column.
fn nanos(at: Timestamp) -> i64 {
    signed(at.as_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_without_room_is_full_however_it_was_met() {
        for (code, expected) in [
            (ffi::SQLITE_FULL, Cause::Full),
            (ffi::SQLITE_IOERR_SHMSIZE, Cause::Full),
            (ffi::SQLITE_IOERR_READ, Cause::Other),
            (ffi::SQLITE_BUSY, Cause::Locked),
            (ffi::SQLITE_PERM, Cause::Denied),
        ] {
            let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            assert_eq!(cause(&error), expected, "{code}");
        }
    }
}
