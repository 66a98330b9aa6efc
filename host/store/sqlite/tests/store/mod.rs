//! What the tests of stores share: short ways to say a write, and to wait for it.

#![allow(dead_code, reason = "each test binary uses its own part of this")]

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use milepost_core::ids::{Digest, Epoch, RunId};
use milepost_core::state::Status;
use milepost_core::time::Timestamp;
use milepost_store::{
    Claim, Expect, Filter, Head, NewLog, NewSignal, Owner, RunRow, Sent, StopKind, StopRequest,
    Store, StoreError, StoredEntry, Write, Written,
};

/// The end of every journal, log or list in these tests.
pub(crate) const ALL: usize = 1_000_000;

/// Waits on this thread.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

/// A future whose answer is there: both stores answer at once.
pub(crate) trait Now: Future + Sized {
    fn now(self) -> Self::Output {
        match poll_once(&mut Box::pin(self)) {
            Poll::Ready(answer) => answer,
            Poll::Pending => panic!("the answer has to be waited for"),
        }
    }
}

impl<F: Future> Now for F {}

/// Lets a future go as far as it can without waiting.
pub(crate) fn poll_once<T>(future: &mut (impl Future<Output = T> + Unpin)) -> Poll<T> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

pub(crate) fn id(text: &str) -> RunId {
    RunId::new(text).unwrap()
}

/// So many seconds after some day.
pub(crate) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_nanos((1_700_000_000 + seconds) * 1_000_000_000)
}

pub(crate) fn owner(nonce: &str) -> Owner {
    Owner {
        host: "host \"1\"".to_owned(),
        boot: "boot".to_owned(),
        pid: u32::MAX,
        started: u64::MAX,
        nonce: nonce.to_owned(),
    }
}

pub(crate) fn claim(nonce: &str, lease: u64) -> Claim {
    Claim {
        owner: owner(nonce),
        lease_until: at(lease),
    }
}

pub(crate) fn entry(seq: u64) -> StoredEntry {
    StoredEntry {
        seq,
        at: at(seq),
        epoch: Epoch(1),
        body: format!("{{\"v\":1,\"n\":{seq}}}"),
    }
}

pub(crate) fn line(text: &str) -> NewLog {
    NewLog {
        at: at(9),
        path: "fix#2/test".to_owned(),
        attempt: 3,
        body: text.to_owned(),
    }
}

/// Creates a pending run at second 0, with no entries.
pub(crate) fn create(run: &str) -> Write {
    Write {
        run: id(run),
        expect: Expect::Absent,
        claim: None,
        head: Head {
            workflow: "build".to_owned(),
            status: Status::Pending,
            moves_by_itself: false,
            at: at(0),
            stop_code: None,
            due_at: None,
            recoveries: 0,
            auto_resumes: 0,
            provider: None,
            awaits: Vec::new(),
        },
        entries: Vec::new(),
        parts: Vec::new(),
        logs: Vec::new(),
        blobs: Vec::new(),
        named: Vec::new(),
        consumed: Vec::new(),
    }
}

/// What `request_stop` is given: asked for by `"<kind> by somebody"`.
pub(crate) fn request(kind: StopKind, seconds: u64) -> StopRequest {
    StopRequest {
        kind,
        at: at(seconds),
        by: format!("{kind} by \"somebody\""),
    }
}

pub(crate) fn signal(name: &str, data: &str, seconds: u64) -> NewSignal {
    NewSignal {
        name: name.to_owned(),
        data: data.to_owned(),
        at: at(seconds),
    }
}

/// Creates a running run, claimed by `a` in epoch 1 until second 30.
pub(crate) fn start(run: &str) -> Write {
    create(run).status(Status::Running).claim("a", 30)
}

/// Changes a running run that stands at `seq` in `epoch`; adds no entry.
pub(crate) fn change(run: &str, seq: u64, epoch: u64) -> Write {
    Write {
        expect: Expect::At {
            seq,
            epoch: Epoch(epoch),
        },
        ..create(run).status(Status::Running).at(1)
    }
}

/// Like [`change`], with one entry.
pub(crate) fn step(run: &str, seq: u64, epoch: u64) -> Write {
    change(run, seq, epoch).entry(seq + 1)
}

/// Words to complete a write with.
pub(crate) trait With: Sized {
    fn status(self, status: Status) -> Self;
    fn moving(self) -> Self;
    fn at(self, seconds: u64) -> Self;
    fn workflow(self, name: &str) -> Self;
    fn claim(self, nonce: &str, lease: u64) -> Self;
    fn entry(self, seq: u64) -> Self;
    fn part(self, name: &str, body: &str) -> Self;
    fn without(self, part: &str) -> Self;
    fn log(self, text: &str) -> Self;
    fn blob(self, bytes: &[u8]) -> Self;
    fn naming(self, bytes: &[u8]) -> Self;
    fn due(self, seconds: u64) -> Self;
    fn awaits(self, names: &[&str]) -> Self;
    fn consume(self, signals: &[u64]) -> Self;
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
}

/// The store as the tests talk to it: blocking, with texts for ids.
pub(crate) trait Talk {
    fn try_save(&self, write: Write) -> Result<Written, StoreError>;
    fn save(&self, write: Write) -> Written;
    fn ask(&self, run: &str, kind: StopKind, seconds: u64) -> Result<Status, StoreError>;
    fn send(&self, run: &str, name: &str) -> Result<Sent, StoreError>;
    /// Sends a signal that must be kept; its number.
    fn keep(&self, run: &str, name: &str) -> u64;
    fn detach(&self, run: &str, epoch: u64, seconds: u64) -> Result<bool, StoreError>;
    fn remove(&self, run: &str, seq: u64) -> Result<(), StoreError>;
    fn renew(&self, run: &str, epoch: u64, seconds: u64) -> Result<Written, StoreError>;
    fn see(&self, run: &str) -> RunRow;
    fn parts(&self, run: &str) -> Vec<(String, String)>;
    fn entries(&self, run: &str) -> Vec<u64>;
    fn lines(&self, run: &str) -> Vec<String>;
    /// Numbers and names of the signals that wait.
    fn waiting(&self, run: &str) -> Vec<(u64, String)>;
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
    fn keep(&self, run: &str, name: &str) -> u64 {
        match self.send(run, name) {
            Ok(Sent::Kept(number)) => number,
            other => panic!("`{name}` was not kept: {other:?}"),
        }
    }
    fn detach(&self, run: &str, epoch: u64, seconds: u64) -> Result<bool, StoreError> {
        wait(self.mark_detached(&id(run), Epoch(epoch), at(seconds)))
    }
    fn remove(&self, run: &str, seq: u64) -> Result<(), StoreError> {
        wait(self.delete(&id(run), seq))
    }
    fn renew(&self, run: &str, epoch: u64, seconds: u64) -> Result<Written, StoreError> {
        wait(self.renew_lease(&id(run), Epoch(epoch), at(seconds)))
    }
    fn see(&self, run: &str) -> RunRow {
        self.row(&id(run)).now().unwrap().unwrap()
    }
    fn parts(&self, run: &str) -> Vec<(String, String)> {
        self.checkpoint(&id(run)).now().unwrap().unwrap().parts
    }
    fn entries(&self, run: &str) -> Vec<u64> {
        let entries = self.journal(&id(run), 0, ALL).now().unwrap();
        entries.into_iter().map(|entry| entry.seq).collect()
    }
    fn lines(&self, run: &str) -> Vec<String> {
        let logs = self.logs(&id(run), 0, ALL).now().unwrap();
        logs.into_iter().map(|log| log.line.body).collect()
    }
    fn waiting(&self, run: &str) -> Vec<(u64, String)> {
        let signals = self.inbox(&id(run), ALL).now().unwrap();
        signals
            .into_iter()
            .map(|signal| (signal.number, signal.signal.name))
            .collect()
    }
    fn listed(&self, filter: &Filter) -> Vec<String> {
        let listing = self.list(filter).now().unwrap();
        assert!(listing.unreadable.is_empty());
        listing
            .rows
            .into_iter()
            .map(|row| row.id.to_string())
            .collect()
    }
}

/// A run in a status, by the way that leads there; in epoch 1, at sequence number 1.
pub(crate) fn in_status(store: &dyn Store, run: &str, status: Status) {
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
pub(crate) fn conflict<T: std::fmt::Debug>(
    refused: Result<T, StoreError>,
) -> (String, Status, u64, u64) {
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
