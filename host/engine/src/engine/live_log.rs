//! The log of an attempt in flight, and how far it is: saved as it comes, so that others can watch, and that it is there when this process dies.
//!
//! In batches, which wait for no disk, and not before an attempt has taken a while: what a quick step says comes with its outcome and
//! costs nothing more. Only the beginning of a log is saved ahead, as much as is kept whatever follows: what is saved never has to go
//! again, and whoever reads on from a position misses nothing.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use milepost_core::ids::{Epoch, RunId};
use milepost_core::time::Timestamp;
use tokio::sync::Notify;

use crate::attempt::{LogLine, Progress};
use crate::store::{NewLog, Said, Store, StoreError, StoredProgress};
use crate::wasm::log;

/// How long a line waits for others.
const GATHER: Duration = Duration::from_millis(200);

/// The log of one attempt.
pub(super) struct LiveLog {
    path: String,
    attempt: u32,
    inner: Mutex<Inner>,
    /// Notified when a line came, and when there is nothing more to come.
    changed: Notify,
}

struct Inner {
    waiting: Vec<LogLine>,
    /// How far the attempt is, if that has changed.
    progress: Option<StoredProgress>,
    /// Bytes of text that may still wait or be saved ahead: bounds the memory.
    room: usize,
    /// Bytes that may still be saved ahead, as they are stored.
    left: usize,
    over: bool,
    saved: Saved,
}

/// Which lines of an attempt are in the store, by their text: how often.
#[derive(Debug, Default)]
pub(super) struct Saved(BTreeMap<u64, u32>);

impl LiveLog {
    /// Of an attempt of whose log that many bytes are kept.
    pub(super) fn new(path: String, attempt: u32, log_bytes: usize) -> Self {
        let beginning = log::beginning(log_bytes);
        Self {
            path,
            attempt,
            inner: Mutex::new(Inner {
                waiting: Vec::new(),
                progress: None,
                room: beginning,
                left: beginning,
                over: false,
                saved: Saved::default(),
            }),
            changed: Notify::new(),
        }
    }

    /// Takes a line that was shown.
    pub(super) fn take(&self, line: &LogLine) {
        let fields = line.fields.iter();
        let fields = fields.map(|(name, value)| name.len() + value.len());
        let bytes = log::line_bytes(&self.path) + line.message.len() + fields.sum::<usize>();
        let mut inner = self.lock();
        match inner.room.checked_sub(bytes) {
            Some(room) => inner.room = room,
            // From here on the log is too long.
            None => inner.room = 0,
        }
        if inner.room == 0 {
            return;
        }
        inner.waiting.push(line.clone());
        if inner.waiting.len() == 1 {
            self.changed.notify_one();
        }
    }

    /// Takes how far the attempt says that it is at that time.
    pub(super) fn progressed(&self, progress: &Progress, at: Timestamp) {
        let progress = StoredProgress {
            path: self.path.clone(),
            attempt: self.attempt,
            at,
            body: serde_json::to_string(progress).unwrap_or_default(),
        };
        if self.lock().progress.replace(progress).is_none() {
            self.changed.notify_one();
        }
    }

    /// Lets an attempt come to its result, and saves meanwhile what it says. When this returns, it is known what was saved.
    pub(super) async fn saved_during<T>(
        &self,
        store: &dyn Store,
        run: &RunId,
        epoch: Epoch,
        attempt: impl Future<Output = T>,
    ) -> T {
        let mut saving = pin!(self.save(store, run, epoch));
        let mut attempt = pin!(attempt);
        let mut saves = true;
        let result = loop {
            tokio::select! {
            biased;
            result = &mut attempt => break result,
            () = &mut saving, if saves => saves = false,
            }
        };
        if saves {
            self.close();
            saving.await;
        }
        result
    }

    /// Saves what comes, until [`LiveLog::close`] is called or the store wants no more of it.
    async fn save(&self, store: &dyn Store, run: &RunId, epoch: Epoch) {
        loop {
            while self.is_waiting() {
                self.changed.notified().await;
            }
            // The store works by the time of the machine, as whoever watches does.
            let _ = tokio::time::timeout(GATHER, self.closed()).await;
            let Some((lines, progress)) = self.batch() else {
                return;
            };
            let hashes: Vec<u64> = lines.iter().map(|line| hash(&line.body)).collect();
            let said = Said {
                run: run.clone(),
                epoch,
                lines,
                progress,
            };
            match store.say(said).await {
                Ok(()) => self.lock().saved.add(hashes),
                // It is all in the outcome, too.
                Err(StoreError::Unavailable(_)) => {}
                Err(_) => return,
            }
        }
    }

    /// There is nothing more to come.
    fn close(&self) {
        self.lock().over = true;
        self.changed.notify_one();
    }

    /// What was saved of it, once its attempt is over.
    pub(super) fn saved(&self) -> Saved {
        std::mem::take(&mut self.lock().saved)
    }

    fn is_waiting(&self) -> bool {
        let inner = self.lock();
        inner.waiting.is_empty() && inner.progress.is_none() && !inner.over
    }

    async fn closed(&self) {
        while !self.lock().over {
            self.changed.notified().await;
        }
    }

    /// What waits, lines as far as they may be saved ahead; `None` when the attempt is over.
    fn batch(&self) -> Option<(Vec<NewLog>, Option<StoredProgress>)> {
        let mut inner = self.lock();
        if inner.over {
            return None;
        }
        let mut lines = Vec::new();
        for line in std::mem::take(&mut inner.waiting) {
            let line = stored(&self.path, self.attempt, &line);
            let bytes = log::line_bytes(&self.path) + line.body.len();
            match inner.left.checked_sub(bytes) {
                Some(left) => inner.left = left,
                None => {
                    (inner.left, inner.room) = (0, 0);
                    break;
                }
            }
            lines.push(line);
        }
        Some((lines, inner.progress.take()))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Saved {
    fn add(&mut self, hashes: Vec<u64>) {
        for hash in hashes {
            *self.0.entry(hash).or_default() += 1;
        }
    }

    /// The lines of an attempt that the store does not have.
    pub(super) fn rest(
        mut self,
        path: &str,
        attempt: u32,
        lines: &[LogLine],
    ) -> impl Iterator<Item = NewLog> {
        let lines = lines.iter().map(move |line| stored(path, attempt, line));
        lines.filter(move |line| match self.0.get_mut(&hash(&line.body)) {
            Some(there) if *there > 0 => {
                *there -= 1;
                false
            }
            _ => true,
        })
    }
}

fn stored(path: &str, attempt: u32, line: &LogLine) -> NewLog {
    NewLog {
        at: line.at,
        path: path.to_owned(),
        attempt,
        body: serde_json::to_string(line).unwrap_or_default(),
    }
}

fn hash(body: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    hasher.finish()
}
