//! Short ways to say what a case does to a store, and to wait for it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use milepost_core::effect::Artifact;
use milepost_core::ids::{Digest, Epoch, RunId};
use milepost_core::state::Status;
use milepost_core::time::Timestamp;
use tokio::runtime::Runtime;

use crate::{
    Ask, Attention, Claim, Claimed, Claims, Expect, Filter, Head, Held, Kin, Look, NewLog,
    NewSignal, Owner, RunRow, Sent, StopKind, StopRequest, Store, StoreClock, StoreError,
    StoredEntry, Write, Written,
};

/// The end of every journal, log or list in these tests.
pub const ALL: usize = 1_000_000;

/// Where what a store needs of tokio lives on from case to case: connections, timers.
pub(super) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap()
    })
}

/// Waits on this thread.
pub fn wait<T>(future: impl Future<Output = T>) -> T {
    runtime().block_on(future)
}

/// `store.row(&run).wait()`, for [`wait`].
pub trait Wait: Future + Sized {
    /// The answer.
    fn wait(self) -> Self::Output {
        wait(self)
    }
}

impl<F: Future> Wait for F {}

/// The run of that name.
pub fn id(text: &str) -> RunId {
    RunId::new(text).unwrap()
}

/// So many seconds after some day.
pub fn at(seconds: u64) -> Timestamp {
    Timestamp::from_nanos((1_700_000_000 + seconds) * 1_000_000_000)
}

/// An owner, told from others by its nonce.
pub fn owner(nonce: &str) -> Owner {
    Owner {
        host: "host \"1\"".to_owned(),
        boot: "boot".to_owned(),
        pid: u32::MAX,
        started: u64::MAX,
        nonce: nonce.to_owned(),
    }
}

/// A claim for so many seconds: until that one, while it is second 0.
pub fn claim(nonce: &str, lease: u64) -> Claim {
    Claim {
        owner: owner(nonce),
        lease: Duration::from_secs(lease),
    }
}

thread_local! {
    static NOW: Arc<AtomicU64> = Arc::default();
}

/// The clock of the store that a case is about: it stands at second 0 until the case says otherwise.
pub fn clock() -> StoreClock {
    let now = NOW.with(Arc::clone);
    StoreClock::new(move || at(now.load(Ordering::SeqCst)))
}

/// Does something at that second.
pub fn at_second<T>(seconds: u64, act: impl FnOnce() -> T) -> T {
    let before = NOW.with(|now| now.swap(seconds, Ordering::SeqCst));
    let done = act();
    NOW.with(|now| now.store(before, Ordering::SeqCst));
    done
}

/// What somebody on the host of every [`owner`] finds to do.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Pending runs.
    pub pending: Vec<RunRow>,
    /// Paused runs that are due.
    pub due: Vec<RunRow>,
    /// Page by page.
    pub running: Vec<RunRow>,
    /// As in [`Attention`].
    pub signalled: Vec<RunRow>,
    /// As in [`Attention`].
    pub requested: Vec<RunRow>,
    /// Of the offer and of all pages.
    pub unreadable: BTreeMap<String, String>,
    /// As in [`Attention`].
    pub next_due: Option<Timestamp>,
}

/// A look from the host of every [`owner`].
pub fn look(limit: usize) -> Look {
    Look {
        host: owner("").host,
        limit,
        after: None,
    }
}

/// An entry of that number, whose body and time follow from it.
pub fn entry(seq: u64) -> StoredEntry {
    StoredEntry {
        seq,
        at: at(seq),
        epoch: Epoch(1),
        body: format!("{{\"v\":1,\"n\":{seq}}}"),
    }
}

/// A log line with that body.
pub fn line(text: &str) -> NewLog {
    NewLog {
        at: at(9),
        path: "fix#2/test".to_owned(),
        attempt: 3,
        body: text.to_owned(),
    }
}

/// Creates a pending run at second 0, with no entries.
pub fn create(run: &str) -> Write {
    Write {
        run: id(run),
        expect: Expect::Absent,
        claim: None,
        head: Head::new("build", Status::Pending, at(0)),
        entries: Vec::new(),
        parts: Vec::new(),
        logs: Vec::new(),
        tapes: Vec::new(),
        renewed: Vec::new(),
        blobs: Vec::new(),
        named: Vec::new(),
        artifacts: Vec::new(),
        consumed: Vec::new(),
        kin: Kin::default(),
        moved: None,
    }
}

/// What `request_stop` is given: asked for by `"<kind> by somebody"`.
pub fn request(kind: StopKind, seconds: u64) -> StopRequest {
    StopRequest {
        kind,
        at: at(seconds),
        by: format!("{kind} by \"somebody\""),
    }
}

/// A signal as it is sent.
pub fn signal(name: &str, data: &str, seconds: u64) -> NewSignal {
    NewSignal {
        name: name.to_owned(),
        data: data.to_owned(),
        at: at(seconds),
        token: None,
    }
}

/// Creates a running run, claimed by `a` in epoch 1 until second 30.
pub fn start(run: &str) -> Write {
    create(run).status(Status::Running).claim("a", 30)
}

/// Changes a running run that stands at `seq` in `epoch`; adds no entry.
pub fn change(run: &str, seq: u64, epoch: u64) -> Write {
    Write {
        expect: Expect::At {
            seq,
            epoch: Epoch(epoch),
        },
        ..create(run).status(Status::Running).at(1)
    }
}

/// Like [`change`], with one entry.
pub fn step(run: &str, seq: u64, epoch: u64) -> Write {
    change(run, seq, epoch).entry(seq + 1)
}

/// Words to complete a write with.
pub trait With: Sized {
    /// In that status.
    fn status(self, status: Status) -> Self;
    /// Paused, and going on by itself.
    fn moving(self) -> Self;
    /// Made at that second.
    fn at(self, seconds: u64) -> Self;
    /// Of a workflow of that name.
    fn workflow(self, name: &str) -> Self;
    /// Claimed until that second.
    fn claim(self, nonce: &str, lease: u64) -> Self;
    /// With one more [`entry`].
    fn entry(self, seq: u64) -> Self;
    /// Putting a part.
    fn part(self, name: &str, body: &str) -> Self;
    /// Removing a part.
    fn without(self, part: &str) -> Self;
    /// With one more log [`line`].
    fn log(self, text: &str) -> Self;
    /// Bringing a blob.
    fn blob(self, bytes: &[u8]) -> Self;
    /// Naming a blob that somebody else brought.
    fn naming(self, bytes: &[u8]) -> Self;
    /// Using an artifact of these bytes, which are kept already.
    fn using(self, path: &str, bytes: &[u8]) -> Self;
    /// With a cancellation that is met.
    fn cancelling(self) -> Self;
    /// Due at that second.
    fn due(self, seconds: u64) -> Self;
    /// Waiting for these signals.
    fn awaits(self, names: &[&str]) -> Self;
    /// Taking these signals.
    fn consume(self, signals: &[u64]) -> Self;
    /// Started by that run.
    fn child_of(self, run: &str) -> Self;
    /// Creating another run as well.
    fn bears(self, child: Write) -> Self;
    /// Telling another run.
    fn tells(self, run: &str, signal: NewSignal) -> Self;
}

impl With for Write {
    fn status(mut self, status: Status) -> Self {
        self.head.status = status;
        self
    }
    fn moving(mut self) -> Self {
        self.head.moves_by_itself = true;
        self
    }
    fn using(mut self, path: &str, bytes: &[u8]) -> Self {
        let artifact = Artifact {
            digest: Digest::of(bytes),
            name: "file".to_owned(),
            size: bytes.len() as u64,
            media_type: "text/plain".to_owned(),
        };
        self.artifacts.push((path.to_owned(), artifact));
        self
    }
    fn cancelling(mut self) -> Self {
        self.head.cancelling = true;
        self
    }
    fn at(mut self, seconds: u64) -> Self {
        self.head.at = at(seconds);
        self
    }
    fn workflow(mut self, name: &str) -> Self {
        self.head.workflow = name.to_owned();
        self
    }
    fn claim(mut self, nonce: &str, lease: u64) -> Self {
        self.claim = Some(claim(nonce, lease));
        self
    }
    fn entry(mut self, seq: u64) -> Self {
        self.entries.push(entry(seq));
        self
    }
    fn part(mut self, name: &str, body: &str) -> Self {
        self.parts.push((name.to_owned(), Some(body.to_owned())));
        self
    }
    fn without(mut self, part: &str) -> Self {
        self.parts.push((part.to_owned(), None));
        self
    }
    fn log(mut self, text: &str) -> Self {
        self.logs.push(line(text));
        self
    }
    fn blob(mut self, bytes: &[u8]) -> Self {
        self.blobs.push((Digest::of(bytes), bytes.into()));
        self
    }
    fn naming(mut self, bytes: &[u8]) -> Self {
        self.named.push(Digest::of(bytes));
        self
    }
    fn due(mut self, seconds: u64) -> Self {
        self.head.due_at = Some(at(seconds));
        self
    }
    fn awaits(mut self, names: &[&str]) -> Self {
        self.head.awaits = names.iter().map(|name| (*name).to_owned()).collect();
        self
    }
    fn consume(mut self, signals: &[u64]) -> Self {
        self.consumed.extend(signals);
        self
    }
    fn child_of(mut self, run: &str) -> Self {
        self.kin.parent = Some(id(run));
        self
    }
    fn bears(mut self, child: Write) -> Self {
        self.kin.children.push(child);
        self
    }
    fn tells(mut self, run: &str, signal: NewSignal) -> Self {
        self.kin.tells.push((id(run), signal));
        self
    }
}

/// The store as the tests talk to it: blocking, with texts for ids.
pub trait Talk {
    /// Writes.
    fn try_save(&self, write: Write) -> Result<Written, StoreError>;
    /// Writes what must be taken.
    fn save(&self, write: Write) -> Written;
    /// Asks for a stop, as in [`request`].
    fn ask(&self, run: &str, kind: StopKind, seconds: u64) -> Result<Status, StoreError>;
    /// Sends a signal.
    fn send(&self, run: &str, name: &str) -> Result<Sent, StoreError>;
    /// Sends a signal with a token and with data.
    fn send_once(&self, run: &str, token: &str, name: &str, data: &str)
    -> Result<Sent, StoreError>;
    /// Sends a signal that must be kept; its number.
    fn post(&self, run: &str, name: &str) -> u64;
    /// Marks an owner that does not renew.
    fn detach(&self, run: &str, epoch: u64, seconds: u64) -> Result<bool, StoreError>;
    /// Deletes the run.
    fn remove(&self, run: &str, seq: u64) -> Result<(), StoreError>;
    /// Renews the lease until that second; what is new of the claim.
    fn renew(&self, run: &str, epoch: u64, seconds: u64) -> Result<Option<Claimed>, StoreError>;
    /// What there is to do at that second; the offer and each page of a look have room for so many.
    fn find(&self, seconds: u64, limit: usize) -> Result<Found, StoreError>;
    /// The row of a run that is there.
    fn see(&self, run: &str) -> RunRow;
    /// Its checkpoint.
    fn parts(&self, run: &str) -> Vec<(String, String)>;
    /// The numbers of its entries.
    fn entries(&self, run: &str) -> Vec<u64>;
    /// The bodies of its log.
    fn lines(&self, run: &str) -> Vec<String>;
    /// Numbers and names of the signals that wait.
    fn waiting(&self, run: &str) -> Vec<(u64, String)>;
    /// The ids that a list shows.
    fn listed(&self, filter: &Filter) -> Vec<String>;
}

impl<S: Store + ?Sized> Talk for S {
    fn try_save(&self, write: Write) -> Result<Written, StoreError> {
        wait(self.write(write))
    }
    fn save(&self, write: Write) -> Written {
        self.try_save(write).unwrap()
    }
    fn ask(&self, run: &str, kind: StopKind, seconds: u64) -> Result<Status, StoreError> {
        wait(self.request_stop(&id(run), request(kind, seconds)))
    }
    fn send(&self, run: &str, name: &str) -> Result<Sent, StoreError> {
        wait(self.send_signal(&id(run), signal(name, "null", 7)))
    }
    fn send_once(
        &self,
        run: &str,
        token: &str,
        name: &str,
        data: &str,
    ) -> Result<Sent, StoreError> {
        let signal = NewSignal {
            token: Some(token.to_owned()),
            ..signal(name, data, 7)
        };
        wait(self.send_signal(&id(run), signal))
    }
    fn post(&self, run: &str, name: &str) -> u64 {
        match self.send(run, name) {
            Ok(Sent::Kept(number)) => number,
            other => panic!("`{name}` was not kept: {other:?}"),
        }
    }
    fn detach(&self, run: &str, epoch: u64, seconds: u64) -> Result<bool, StoreError> {
        at_second(seconds, || wait(self.mark_detached(&id(run), Epoch(epoch))))
    }
    fn remove(&self, run: &str, seq: u64) -> Result<(), StoreError> {
        wait(self.delete(&id(run), seq))
    }
    fn renew(&self, run: &str, epoch: u64, seconds: u64) -> Result<Option<Claimed>, StoreError> {
        let held = Held {
            run: id(run),
            epoch: Epoch(epoch),
        };
        let lease = Duration::from_secs(seconds);
        // By its path: cases keep signals.
        let news = wait(Claims::keep(self, &[held], Some(lease)))?;
        assert!(news.iter().all(|news| news.held.run == id(run)));
        Ok(news.into_iter().next().map(|news| news.what))
    }
    fn find(&self, seconds: u64, limit: usize) -> Result<Found, StoreError> {
        let ask = Ask {
            room: limit,
            ..Ask::default()
        };
        at_second(seconds, || {
            let mut found = Found::default();
            let offer = wait(self.offer(&ask))?;
            found.unreadable.extend(offer.unreadable);
            let pending = |row: &RunRow| row.status == Status::Pending;
            (found.pending, found.due) = offer.rows.into_iter().partition(pending);
            let mut look = look(limit);
            loop {
                let page: Attention = wait(self.look(&look))?;
                found.unreadable.extend(page.unreadable);
                found.running.extend(page.running);
                if look.after.is_none() {
                    (found.signalled, found.requested) = (page.signalled, page.requested);
                    found.next_due = page.next_due;
                }
                look.after = page.next;
                if look.after.is_none() {
                    return Ok(found);
                }
            }
        })
    }
    fn see(&self, run: &str) -> RunRow {
        self.row(&id(run)).wait().unwrap().unwrap()
    }
    fn parts(&self, run: &str) -> Vec<(String, String)> {
        self.checkpoint(&id(run)).wait().unwrap().unwrap().parts
    }
    fn entries(&self, run: &str) -> Vec<u64> {
        let entries = self.journal(&id(run), 0, ALL).wait().unwrap();
        entries.into_iter().map(|entry| entry.seq).collect()
    }
    fn lines(&self, run: &str) -> Vec<String> {
        let logs = self.logs(&id(run), 0, ALL).wait().unwrap();
        logs.into_iter().map(|log| log.line.body).collect()
    }
    fn waiting(&self, run: &str) -> Vec<(u64, String)> {
        let signals = self.inbox(&id(run), ALL).wait().unwrap();
        signals
            .into_iter()
            .map(|signal| (signal.number, signal.name))
            .collect()
    }
    fn listed(&self, filter: &Filter) -> Vec<String> {
        let listing = self.list(filter).wait().unwrap();
        assert!(listing.unreadable.is_empty());
        listing
            .rows
            .into_iter()
            .map(|row| row.id.to_string())
            .collect()
    }
}

/// A run in a status, by the way that leads there; in epoch 1, at sequence number 1.
pub fn in_status(store: &dyn Store, run: &str, status: Status) {
    match status {
        Status::Pending => {
            store.save(start(run));
            store.save(step(run, 0, 1).status(Status::Pending));
        }
        Status::Running => {
            store.save(start(run).entry(1));
        }
        Status::Paused | Status::Completed | Status::Failed | Status::Cancelled => {
            store.save(start(run));
            store.save(step(run, 0, 1).status(status));
        }
    }
}

/// The present place of a run that a refused change was told.
pub fn conflict<T: std::fmt::Debug>(refused: Result<T, StoreError>) -> (String, Status, u64, u64) {
    match refused {
        Err(StoreError::Conflict {
            run,
            status,
            seq,
            epoch,
        }) => (run.to_string(), status, seq, epoch.0),
        other => panic!("expected a conflict, got {other:?}"),
    }
}
