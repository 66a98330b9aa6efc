//! From changes to transactions. Every transaction costs a sync of the disk, so the fewer the better.
//!
//! * A run that is the only one writing commits *in place*, on its caller's thread: there is nobody to share with, and the
//!   way to another thread and back costs half as much again as the commit itself.
//! * As soon as several runs write, changes queue up for the writer thread, which joins all that wait into one transaction.
//!   The busier the store, the larger the transactions.
//!
//! Counters, and what attempts in flight say, take part in such a transaction, or have one of their own that waits for no disk.
//!
//! A change that is refused has changed nothing, so the rest of its transaction is committed. A database error undoes the
//! transaction; its changes are then applied again one by one, so that only the culprit fails.

use std::borrow::Borrow;
use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::JoinHandle;
use std::time::Duration;

use milepost_core::ids::RunId;
use rusqlite::{Connection, ffi};
use tokio::sync::oneshot;

use super::change::{Change, Failure};
use super::counts;
use super::gate::{Gate, Waiting};
use super::open::{BUSY, Writable};
use super::statements::Statements;
use super::{is_locked, store_error, workers};
use milepost_store::fault;
use milepost_store::{Count, StoreError};

/// Changes in one transaction: bounds how long the first of them waits for the last.
const JOINED: usize = 256;

/// How long what waits for no disk waits for other processes: there is always a next time, and the end of a process does not wait for it.
const UNSYNCED: Duration = Duration::from_millis(500);

/// Owner of the connection that writes.
pub(super) struct Writer {
    shared: Arc<Desk>,
    thread: Option<JoinHandle<()>>,
}

/// Lock order: `session` before `queue`.
struct Desk {
    session: Mutex<Session>,
    queue: Mutex<Queue>,
    /// Signalled when the queue is no longer empty, or closing.
    filled: Condvar,
    commits: AtomicU64,
}

struct Session {
    db: Connection,
    gate: Gate,
    recent: Recent,
    /// What `synchronous` is, while the connection does not wait for the disk.
    relaxed: Option<i64>,
}

/// Which runs the last transaction changed.
enum Recent {
    Nobody,
    One(RunId),
    Several,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Box<dyn Job>>,
    closing: bool,
}

impl Writer {
    /// Takes the connection and starts the thread.
    pub(super) fn start(file: Writable) -> Result<Self, StoreError> {
        let Writable { db, gate, .. } = file;
        // Waiting is done here, at the gate.
        db.busy_timeout(Duration::ZERO)
            .map_err(|error| store_error(error, "the time to wait"))?;
        let shared = Arc::new(Desk {
            session: Mutex::new(Session {
                db,
                gate,
                recent: Recent::Nobody,
                relaxed: None,
            }),
            queue: Mutex::default(),
            filled: Condvar::new(),
            commits: AtomicU64::new(0),
        });
        let thread = std::thread::Builder::new()
            .name("milepost-store".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || shared.serve()
            })
            .map_err(|error| {
                StoreError::unavailable(format!("cannot start the writer thread: {error}"))
            })?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    pub(super) fn commits(&self) -> u64 {
        self.shared.commits.load(Ordering::Relaxed)
    }

    /// Acts while no transaction is open and none can begin.
    pub(super) fn between_transactions<T>(&self, act: impl FnOnce() -> T) -> T {
        let _session = self.shared.session();
        act()
    }

    /// Does work that begins transactions of its own, in its turn.
    pub(super) fn alone<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, rusqlite::Error>,
    ) -> Result<T, StoreError> {
        let mut session = self.shared.session();
        session.wait_for_the_disk().map_err(not_saved)?;
        let Session { db, gate, .. } = &mut *session;
        let _pass = gate.pass(BUSY);
        let done = db.busy_timeout(BUSY).and_then(|()| work(db));
        let restored = db.busy_timeout(Duration::ZERO);
        done.and_then(|done| restored.map(|()| done))
            .map_err(not_saved)
    }

    /// Applies a change; durable when it returns. Dropped half-way, the change is made whole or not at all.
    pub(super) async fn submit<C: Change>(&self, change: C) -> Result<C::Reply, StoreError> {
        let change = match self.shared.in_place(change) {
            Ok(reply) => return reply,
            Err(change) => change,
        };
        self.queued(change, |pending| pending).await
    }

    /// Applies a change that survives a loss of power only together with a later one; dropped half-way, it is made all the same. In its turn:
    /// not before what was submitted earlier.
    pub(super) async fn append<C: Change>(&self, change: C) -> Result<C::Reply, StoreError> {
        self.queued(change, Appending).await
    }

    /// Lets a change wait for its turn, as this kind of job.
    async fn queued<C: Change, J: Job + 'static>(
        &self,
        change: C,
        job: impl FnOnce(Pending<C>) -> J,
    ) -> Result<C::Reply, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.shared.enqueue(Box::new(job(Pending {
            change,
            outcome: None,
            reply,
        })));
        match answer.await {
            // Whoever made the change lets go of its memory: the one thread that writes has enough to do.
            Ok((reply, _change)) => reply,
            Err(_) => Err(no_answer()),
        }
    }

    /// Does what is of no run. Survives a loss of power only together with a later change; dropped half-way, it is done all the same.
    pub(super) async fn beside(&self, what: Beside) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        self.shared.enqueue(Box::new(Aside { what, reply }));
        answer.await.unwrap_or_else(|_| Err(no_answer()))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.queue().closing = true;
        self.shared.filled.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported by the panic hook; there is nobody left to tell.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("commits", &self.commits())
            .finish_non_exhaustive()
    }
}

impl Desk {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enqueue(&self, job: Box<dyn Job>) {
        let mut queue = self.queue();
        queue.jobs.push_back(job);
        // The thread only sleeps on an empty queue.
        let first = queue.jobs.len() == 1;
        drop(queue);
        if first {
            self.filled.notify_one();
        }
    }

    /// Commits a change on this thread, or gives it back when others write too.
    fn in_place<C: Change>(&self, change: C) -> Result<Result<C::Reply, StoreError>, C> {
        let mut session = match self.session.try_lock() {
            Ok(session) => session,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(change),
        };
        let alone = match &session.recent {
            Recent::Nobody => true,
            Recent::One(run) => run == change.run(),
            Recent::Several => false,
        };
        if !alone || !self.queue().jobs.is_empty() {
            return Err(change);
        }
        // An async caller's thread must not sleep until another process is done; the writer thread may.
        match session.begin(Duration::ZERO) {
            Ok(()) => {}
            Err(error) if is_locked(&error) => return Err(change),
            Err(error) => return Ok(Err(not_saved(error))),
        }
        let applied = change.apply(&mut Statements::of(&session.db));
        let reply = match applied {
            Ok(reply) => match session.commit() {
                Ok(()) => {
                    self.commits.fetch_add(1, Ordering::Relaxed);
                    Ok(reply)
                }
                Err(error) => Err(not_saved(error)),
            },
            Err(Failure::Refused(refusal)) => {
                session.roll_back();
                Err(refusal)
            }
            Err(Failure::Broken(error)) => {
                session.roll_back();
                Err(not_saved(error))
            }
        };
        session.recent = Recent::One(change.run().clone());
        Ok(reply)
    }

    /// The writer thread: until closing, and then until the queue is empty.
    fn serve(&self) {
        loop {
            let queue = self
                .filled
                .wait_while(self.queue(), |queue| {
                    queue.jobs.is_empty() && !queue.closing
                })
                .unwrap_or_else(PoisonError::into_inner);
            if queue.jobs.is_empty() {
                return;
            }
            drop(queue);
            // A panic has been reported by the panic hook. It costs its own transaction, which the next one undoes, and its
            // callers learn of it from the closed channels; without this thread, all later ones would wait for ever.
            let _ = catch_unwind(AssertUnwindSafe(|| self.commit_waiting()));
        }
    }

    /// Joins what waits into one transaction.
    fn commit_waiting(&self) {
        let mut session = self.session();
        let unsynced = {
            let mut queue = self.queue();
            let first = queue.jobs.front();
            let unsynced = first.is_some_and(|job| job.run().is_none());
            unsynced.then(|| queue.jobs.pop_front()).flatten()
        };
        if let Some(mut job) = unsynced {
            let saved = session.apply_unsynced(job.as_mut()).map_err(not_saved);
            drop(session);
            return job.answer(saved);
        }
        // First the lock of the file, then the queue: what arrives while another process writes joins as well.
        let begun = session.begin(BUSY);
        let mut jobs = {
            let mut queue = self.queue();
            let joined = queue.jobs.len().min(JOINED);
            queue.jobs.drain(..joined).collect::<Vec<_>>()
        };
        session.recent = Recent::of(&jobs);
        let saved = begun.and_then(|()| session.apply_all(&mut jobs));
        match saved {
            Ok(changed) => {
                self.commits
                    .fetch_add(u64::from(changed), Ordering::Relaxed);
                drop(session);
                for job in jobs {
                    job.answer(Ok(()));
                }
            }
            Err(error) if jobs.len() == 1 || is_locked(&error) => {
                let error = Arc::new(error);
                for job in jobs {
                    job.answer(Err(not_saved(Arc::clone(&error))));
                }
            }
            Err(_) => {
                for mut job in jobs {
                    let saved = session
                        .begin(BUSY)
                        .and_then(|()| session.apply_all(std::slice::from_mut(&mut job)));
                    if let Ok(changed) = saved {
                        self.commits
                            .fetch_add(u64::from(changed), Ordering::Relaxed);
                    }
                    job.answer(saved.map(|_| ()).map_err(not_saved));
                }
            }
        }
    }
}

impl Session {
    /// Begins a transaction that may write; waits at most `patience` for other processes.
    fn begin(&mut self, patience: Duration) -> Result<(), rusqlite::Error> {
        // Only after a panic inside a transaction.
        if !self.db.is_autocommit() {
            self.roll_back();
        }
        self.wait_for_the_disk()?;
        self.enter(patience)
    }

    /// Applies in a transaction of its own, which no disk is waited for.
    fn apply_unsynced(&mut self, job: &mut dyn Job) -> Result<(), rusqlite::Error> {
        if !self.db.is_autocommit() {
            self.roll_back();
        }
        if self.relaxed.is_none() {
            let level = self
                .db
                .pragma_query_value(None, "synchronous", |row| row.get(0))?;
            // Before it is so: whoever begins next sees to it, whatever happens here.
            self.relaxed = Some(level);
            self.db.pragma_update(None, "synchronous", "NORMAL")?;
        }
        self.enter(UNSYNCED)?;
        let added = job.apply(&mut Statements::of(&self.db));
        let saved = added.and_then(|_| execute(&self.db, "COMMIT"));
        saved.inspect_err(|_| self.roll_back())
    }

    /// From here on, what is committed is on the disk again.
    fn wait_for_the_disk(&mut self) -> Result<(), rusqlite::Error> {
        if let Some(level) = self.relaxed {
            self.db.pragma_update(None, "synchronous", level)?;
            self.relaxed = None;
        }
        Ok(())
    }

    fn enter(&mut self, patience: Duration) -> Result<(), rusqlite::Error> {
        let mut waiting = Waiting::at_most(patience);
        // Kept until the transaction has begun: whoever has just committed queues up behind.
        let pass = self.gate.pass(patience);
        if pass.is_none() {
            return Err(rusqlite::Error::SqliteFailure(
                ffi::Error::new(ffi::SQLITE_BUSY),
                None,
            ));
        }
        loop {
            match execute(&self.db, "BEGIN IMMEDIATE") {
                Err(error) if is_locked(&error) && waiting.again() => {}
                begun => return begun,
            }
        }
    }

    fn commit(&self) -> Result<(), rusqlite::Error> {
        fault::point("before_sync");
        execute(&self.db, "COMMIT").inspect_err(|_| self.roll_back())?;
        fault::point("after_sync");
        Ok(())
    }

    fn roll_back(&self) {
        // SQLite has rolled back by itself after some errors. Where it fails otherwise, the next `begin` reports it.
        if !self.db.is_autocommit() {
            let _ = execute(&self.db, "ROLLBACK");
        }
    }

    /// Applies the jobs and ends the transaction. Returns whether there was anything to commit.
    fn apply_all(&self, jobs: &mut [Box<dyn Job>]) -> Result<bool, rusqlite::Error> {
        let mut changed = false;
        let mut statements = Statements::of(&self.db);
        for job in jobs {
            match job.apply(&mut statements) {
                Ok(applied) => changed |= applied,
                Err(error) => {
                    self.roll_back();
                    return Err(error);
                }
            }
        }
        if changed {
            self.commit()?;
        } else {
            self.roll_back();
        }
        Ok(changed)
    }
}

impl Recent {
    fn of(jobs: &[Box<dyn Job>]) -> Self {
        let mut runs = jobs.iter().filter_map(|job| job.run());
        match runs.next() {
            None => Self::Nobody,
            Some(first) if runs.all(|run| run == first) => Self::One(first.clone()),
            Some(_) => Self::Several,
        }
    }
}

/// A change that waits, with the way back to its caller.
trait Job: Send {
    /// The run that it changes; `None` of what waits for no disk.
    fn run(&self) -> Option<&RunId>;
    /// Applies the change inside the open transaction; whether it changed anything. An error means: roll back.
    fn apply(&mut self, db: &mut Statements<'_>) -> Result<bool, rusqlite::Error>;
    /// Tells the caller: its own reply once the transaction is saved, or that it was not.
    fn answer(self: Box<Self>, saved: Result<(), StoreError>);
}

struct Pending<C: Change> {
    change: C,
    outcome: Option<Result<C::Reply, StoreError>>,
    reply: oneshot::Sender<(Result<C::Reply, StoreError>, C)>,
}

impl<C: Change> Job for Pending<C> {
    fn run(&self) -> Option<&RunId> {
        Some(self.change.run())
    }

    fn apply(&mut self, db: &mut Statements<'_>) -> Result<bool, rusqlite::Error> {
        let outcome = match self.change.apply(db) {
            Ok(reply) => Ok(reply),
            Err(Failure::Refused(refusal)) => Err(refusal),
            Err(Failure::Broken(error)) => return Err(error),
        };
        let changed = outcome.is_ok();
        self.outcome = Some(outcome);
        Ok(changed)
    }

    fn answer(self: Box<Self>, saved: Result<(), StoreError>) {
        // Without an outcome the caller learns from the closed channel that there was no answer.
        let Self {
            change,
            outcome,
            reply,
        } = *self;
        let answer = match saved {
            Ok(()) => outcome,
            Err(error) => Some(Err(error)),
        };
        if let Some(answer) = answer {
            // The caller may have gone; the change stands all the same.
            let _ = reply.send((answer, change));
        }
    }
}

/// A change that waits for its turn, and for no disk.
struct Appending<C: Change>(Pending<C>);

impl<C: Change> Job for Appending<C> {
    fn run(&self) -> Option<&RunId> {
        None
    }

    fn apply(&mut self, db: &mut Statements<'_>) -> Result<bool, rusqlite::Error> {
        self.0.apply(db)
    }

    fn answer(self: Box<Self>, saved: Result<(), StoreError>) {
        Box::new(self.0).answer(saved);
    }
}

/// A small change that is of no run, and waits for no disk.
pub(super) enum Beside {
    /// Adds to counters.
    Counts(Vec<Count>),
    /// Keeps what a worker says of itself.
    Worker(workers::Said),
}

/// One that waits for its turn.
struct Aside {
    what: Beside,
    reply: oneshot::Sender<Result<(), StoreError>>,
}

impl Job for Aside {
    fn run(&self) -> Option<&RunId> {
        None
    }

    fn apply(&mut self, db: &mut Statements<'_>) -> Result<bool, rusqlite::Error> {
        match &self.what {
            Beside::Counts(by) => counts::add(db, by)?,
            Beside::Worker(said) => workers::keep(db, said)?,
        }
        Ok(true)
    }

    fn answer(self: Box<Self>, saved: Result<(), StoreError>) {
        // Whoever asked may not wait for it.
        let _ = self.reply.send(saved);
    }
}

fn no_answer() -> StoreError {
    StoreError::unavailable("the writer panicked before it answered".to_owned())
}

fn execute(db: &Connection, sql: &str) -> Result<(), rusqlite::Error> {
    db.prepare_cached(sql)?.execute([]).map(|_| ())
}

fn not_saved(error: impl Borrow<rusqlite::Error> + Error + Send + Sync + 'static) -> StoreError {
    let context = match is_locked(error.borrow()) {
        true => {
            "the change was not saved: another process has kept the store busy, or was stopped while it wrote"
        }
        false => "the change was not saved",
    };
    store_error(error, context)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use std::path::Path;

    use milepost_core::state::Status;
    use milepost_core::time::Timestamp;

    use milepost_core::ids::Epoch;
    use milepost_store::{Expect, Head, Kin, NewLog, Said, Write};

    use super::*;
    use crate::change::Brought;
    use crate::{Durability, attempts, open, read};

    fn create(run: &str, body: String) -> Brought {
        let write = Write {
            run: RunId::new(run).unwrap(),
            expect: Expect::Absent,
            claim: None,
            head: Head::new("w", Status::Pending, Timestamp::from_nanos(1)),
            entries: Vec::new(),
            parts: vec![("p".to_owned(), Some(body))],
            logs: Vec::new(),
            tapes: Vec::new(),
            renewed: Vec::new(),
            blobs: Vec::new(),
            named: Vec::new(),
            artifacts: Vec::new(),
            consumed: Vec::new(),
            kin: Kin::default(),
            moved: None,
        };
        Brought {
            write,
            at: Timestamp::from_nanos(1),
        }
    }

    fn wait<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(future)
    }

    /// A writer whose file may grow by 20 pages only, as on a disk that is nearly full.
    fn nearly_full(path: &Path) -> Writer {
        let file = open::writer(path, Durability::PowerLoss).unwrap();
        let pages: i64 = file
            .db
            .pragma_query_value(None, "page_count", |row| row.get(0))
            .unwrap();
        file.db
            .pragma_update_and_check(None, "max_page_count", pages + 20, |_| Ok(()))
            .unwrap();
        Writer::start(file).unwrap()
    }

    #[test]
    fn b107_a_full_disk_fails_what_does_not_fit_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.db");
        let writer = nearly_full(&path);
        let refused = wait(writer.submit(create("large", "x".repeat(1_000_000))));
        assert!(
            matches!(&refused, Err(StoreError::Unavailable(text)) if text.reason.contains("full")),
            "{refused:?}"
        );
        wait(writer.submit(create("small", "x".to_owned()))).unwrap();
        let db = open::reader(&open::Place::Shared(path.clone())).unwrap();
        let found = |run: &str| read::checkpoint(&db, &RunId::new(run).unwrap()).unwrap();
        assert_eq!(found("large"), None);
        assert_eq!(found("small").unwrap().parts.len(), 1);
    }

    #[test]
    fn a_queue_longer_than_one_transaction_is_worked_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.db");
        let writer = Writer::start(open::writer(&path, Durability::PowerLoss).unwrap()).unwrap();
        let other = Connection::open(&path).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let mut waiting: Vec<_> = (0..JOINED + 10)
            .map(|n| Box::pin(writer.submit(create(&format!("r{n}"), String::new()))))
            .collect();
        for future in &mut waiting {
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(future.as_mut().poll(&mut context).is_pending());
        }
        other.execute_batch("ROLLBACK").unwrap();
        for future in waiting {
            wait(future).unwrap();
        }
        assert_eq!(writer.commits(), 2);
    }

    /// A change with a bug: it has changed something when it panics.
    struct Panicking(Brought);

    impl Change for Panicking {
        type Reply = ();

        fn run(&self) -> &RunId {
            self.0.run()
        }

        fn apply(&self, db: &mut Statements<'_>) -> Result<(), Failure> {
            self.0.apply(db)?;
            panic!("a change with a bug");
        }
    }

    #[test]
    fn a_panic_costs_its_own_transaction_and_no_later_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.db");
        let writer = Writer::start(open::writer(&path, Durability::PowerLoss).unwrap()).unwrap();
        let bad = || Panicking(create("bad", String::new()));
        // In place, it is the caller's own.
        let in_place = catch_unwind(AssertUnwindSafe(|| wait(writer.submit(bad()))));
        assert!(in_place.is_err());
        wait(writer.submit(create("a", String::new()))).unwrap();
        for good in ["b", "c"] {
            // On the writer thread: the file is locked until the change has been queued.
            let other = Connection::open(&path).unwrap();
            other.execute_batch("BEGIN IMMEDIATE").unwrap();
            let mut queued = Box::pin(writer.submit(bad()));
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(queued.as_mut().poll(&mut context).is_pending());
            other.execute_batch("ROLLBACK").unwrap();
            let answer = wait(queued);
            assert!(
                matches!(&answer, Err(StoreError::Unavailable(text)) if text.reason.contains("panicked")),
                "{answer:?}"
            );
            wait(writer.submit(create(good, String::new()))).unwrap();
        }
        let db = open::reader(&open::Place::Shared(path.clone())).unwrap();
        let ids = read::ids_with_prefix(&db, "", 9).unwrap();
        let ids: Vec<&str> = ids.iter().map(RunId::as_str).collect();
        assert_eq!(ids, ["a", "b", "c"]);
    }

    fn synchronous(writer: &Writer) -> i64 {
        let session = writer.shared.session();
        session
            .db
            .pragma_query_value(None, "synchronous", |row| row.get(0))
            .unwrap()
    }

    fn one() -> Vec<Count> {
        vec![Count {
            name: "a".to_owned(),
            value: 1,
        }]
    }

    fn counted() -> Beside {
        Beside::Counts(one())
    }

    #[test]
    fn counters_wait_for_no_disk_and_whatever_is_saved_next_does() {
        for durability in [Durability::PowerLoss, Durability::ProcessCrash] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("s.db");
            let writer = Writer::start(open::writer(&path, durability).unwrap()).unwrap();
            let level = synchronous(&writer);
            for run in ["a", "b"] {
                wait(writer.beside(counted())).unwrap();
                wait(writer.beside(counted())).unwrap();
                assert_eq!(synchronous(&writer), 1, "NORMAL");
                wait(writer.submit(create(run, String::new()))).unwrap();
                assert_eq!(synchronous(&writer), level);
            }
            // A sync for each write, and for nothing else; the run that is alone is still alone.
            assert_eq!(writer.commits(), 2);
            wait(writer.beside(counted())).unwrap();
            writer.alone(|_| Ok(())).unwrap();
            assert_eq!(synchronous(&writer), level);
            let db = open::reader(&open::Place::Shared(path.clone())).unwrap();
            assert_eq!(counts::all(&db).unwrap()[0].value, 5);
        }
    }

    #[test]
    fn what_attempts_say_waits_for_no_disk_and_the_outcome_after_it_does() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.db");
        let writer = Writer::start(open::writer(&path, Durability::PowerLoss).unwrap()).unwrap();
        let level = synchronous(&writer);
        let run = RunId::new("r").unwrap();
        let mut created = create("r", String::new());
        created.write.head.status = Status::Running;
        wait(writer.submit(created)).unwrap();
        let said = || {
            attempts::Saying(Said {
                run: run.clone(),
                epoch: Epoch(0),
                lines: vec![NewLog {
                    at: Timestamp::from_nanos(1),
                    path: "a".to_owned(),
                    attempt: 1,
                    body: "{}".to_owned(),
                }],
                progress: None,
            })
        };
        wait(writer.append(said())).unwrap();
        // Said and gone: it is there all the same, before what is submitted later.
        let mut saying = Box::pin(writer.append(said()));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let _ = saying.as_mut().poll(&mut context);
        drop(saying);
        wait(writer.append(said())).unwrap();
        assert_eq!(synchronous(&writer), 1, "NORMAL");
        wait(writer.submit(create("other", String::new()))).unwrap();
        assert_eq!((synchronous(&writer), writer.commits()), (level, 2));
        let db = open::reader(&open::Place::Shared(path.clone())).unwrap();
        let lines = read::logs(&db, &run, 0, 9).unwrap();
        assert_eq!(lines.len(), 3);
    }

    #[test]
    fn what_is_counted_as_a_store_closes_is_kept_though_nobody_waits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.db");
        let writer = Writer::start(open::writer(&path, Durability::PowerLoss).unwrap()).unwrap();
        let mut counting = Box::pin(writer.beside(counted()));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let _ = counting.as_mut().poll(&mut context);
        drop(counting);
        drop(writer);
        let db = open::reader(&open::Place::Shared(path.clone())).unwrap();
        assert_eq!(counts::all(&db).unwrap(), one());
    }
}
