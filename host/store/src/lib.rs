//! Where runs are kept: the traits of a store, one per concern, their words, and a [store in memory](memory), which others are compared with.
//!
//! A store keeps four things per run: one *row* (what lists and claims look at), the *journal* (append-only events), the
//! *checkpoint* (named parts, rewritten in place, bounded by the size of the definition; of a moving run it may stand some events before the row) and *logs*. Blobs are shared,
//! content-addressed bytes. The store understands none of the bodies: the core encodes and decodes them.
//!
//! Every change of a run goes through one door, [`Runs::write`]: a transaction that applies only if the run still stands
//! where the writer last saw it (sequence number and epoch). That compare-and-swap is all the locking there is.
//!
//! No text that a store is given holds a NUL (U+0000), which some databases cannot keep: the engine refuses it in what people
//! name and say, and bodies are JSON, which escapes it.
//!
//! Another store implements the traits and proves them with the cases of `conformance`, behind the feature of that name.

mod artifacts;
mod attempts;
mod attention;
mod blobs;
mod claims;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
#[doc(hidden)]
pub mod decorator;
#[doc(hidden)]
pub mod fault;
#[doc(hidden)]
pub mod hints;
mod kin;
mod mailbox;
pub mod memory;
mod runs;
mod upkeep;
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use milepost_core::effect::{Artifact, Memo, TapePart};
use milepost_core::ids::{Digest, Epoch, RunId};
use milepost_core::labels::{LabelFilter, Labels};
use milepost_core::limits;
use milepost_core::state::Status;
use milepost_core::time::Timestamp;
use serde::{Deserialize, Serialize};

pub use self::artifacts::{ArtifactSink, Artifacts, Swept};
pub use self::attempts::{
    Attempts, Bucket, Note, Said, StoredProgress, StoredTape, UsedArtifact, bucket_has_room,
    may_use,
};
pub use self::attention::{
    Attention, BlobFault, CheckedBlob, Health, Holdings, Inbox, KnownToken, NewSignal, Offer,
    Release, Sent, Space, StopKind, StopRequest, StoredSignal, UNREADABLE, UnknownStopKind,
};
pub use self::blobs::Blobs;
pub use self::claims::{Ask, Claimed, Claims, Held, Look, News};
pub use self::kin::{Family, Kin};
pub use self::mailbox::Mailbox;
pub use self::runs::Runs;
pub use self::upkeep::Upkeep;
pub use self::watch::{StoreClock, Watch};

/// A place that keeps runs. Nothing is asked of it that another machine could not answer: every call is awaited, reads as well
/// as writes. A store that answers at once gives futures that are ready.
pub trait Store: Runs + Attempts + Artifacts + Claims + Mailbox + Blobs + Upkeep + Watch {}

impl<S: Runs + Attempts + Artifacts + Claims + Mailbox + Blobs + Upkeep + Watch + ?Sized> Store
    for S
{
}

/// The methods of a store whose type is known: `use milepost_store::prelude::*`.
pub mod prelude {
    pub use crate::{
        Artifacts as _, Attempts as _, Blobs as _, Claims as _, Mailbox as _, Runs as _,
        Upkeep as _, Watch as _,
    };
}

/// For stores: rows that are read one by one, as far as a page of a journal or a log goes.
#[derive(Debug)]
pub struct Page<T> {
    rows: Vec<T>,
    bytes: usize,
}

impl<T> Default for Page<T> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            bytes: 0,
        }
    }
}

impl<T> Page<T> {
    /// Takes a row with a body of `bytes`. Returns false, without having taken it, when the page is full.
    pub fn take(&mut self, row: T, bytes: usize) -> bool {
        self.bytes += bytes;
        let fits = self.rows.is_empty() || self.bytes <= limits::PAGE_BYTES;
        if fits {
            self.rows.push(row);
        }
        fits
    }

    /// The rows taken, in their order.
    pub fn into_rows(self) -> Vec<T> {
        self.rows
    }
}

/// A counter of the store, or what is added to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// Its name.
    pub name: String,
    /// How many.
    pub value: u64,
}

/// One transaction on one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Write {
    /// The run.
    pub run: RunId,
    /// Where the run must stand.
    pub expect: Expect,
    /// Raises the epoch by one and makes this the owner.
    pub claim: Option<Claim>,
    /// Columns after the write.
    pub head: Head,
    /// New journal entries; numbered on from the expected sequence number, without gaps.
    pub entries: Vec<StoredEntry>,
    /// Checkpoint parts to put (`Some`) or to remove (`None`).
    pub parts: Vec<(String, Option<String>)>,
    /// Log lines to append.
    pub logs: Vec<NewLog>,
    /// Tapes of attempts that end with it, as far as they were not saved before: under the event that started each.
    pub tapes: Vec<(u64, TapePart)>,
    /// Executions whose work is done anew: memos of these paths, and of all that stands in them, are dropped.
    pub renewed: Vec<String>,
    /// Blobs to keep; one that exists already is left alone, unless what is kept was damaged and these are the bytes. Shared, because a component may be large.
    pub blobs: Vec<(Digest, Arc<[u8]>)>,
    /// Blobs that entries and parts name. One that is neither among `blobs` nor in the store is a [`StoreError::Corrupt`]:
    /// what is saved could not be read back. The run uses them from now on, whoever saved them.
    pub named: Vec<Digest>,
    /// Artifacts that the run uses from now on, under a path each, as those that attempts write and open. Their bytes are kept already.
    pub artifacts: Vec<(String, Artifact)>,
    /// Signals that the entries take from the run's inbox. One that is not there is a [`StoreError::Conflict`].
    pub consumed: Vec<u64>,
    /// What it does beside.
    pub kin: Kin,
    /// Of a run that is created as another store recorded it: what no entry and no part holds.
    pub moved: Option<Moved>,
}

/// What comes with a run from another store beside its entries and parts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Moved {
    /// How often it was claimed there: its epoch from now on.
    pub epoch: Epoch,
    /// How long it was at work there.
    pub worked: Duration,
    /// The memos of its executions, each with the path of its execution.
    pub memos: Vec<(String, Memo)>,
}

impl Write {
    /// When the run was created, where this write creates it: with its first entry, though later ones may come with it.
    #[must_use]
    pub fn created_at(&self) -> Timestamp {
        let first = self.entries.first();
        first.map_or(self.head.at, |entry| entry.at)
    }

    /// The run's last sequence number after this write.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the entries are not numbered on from the expected one (saved, they would damage the
    /// journal), or signals are taken for a run that is being created, or one that exists is said to come from another store.
    pub fn seq_after(&self) -> Result<u64, StoreError> {
        let mut seq = match self.expect {
            Expect::Absent if !self.consumed.is_empty() => {
                return Err(StoreError::corrupt(format!(
                    "run `{}`: a run that does not exist has no signals to take",
                    self.run
                )));
            }
            Expect::Absent => 0,
            Expect::At { .. } if self.moved.is_some() => {
                return Err(StoreError::corrupt(format!(
                    "run `{}`: only a run that does not exist can come from another store",
                    self.run
                )));
            }
            Expect::At { seq, .. } => seq,
        };
        for entry in &self.entries {
            if seq.checked_add(1) != Some(entry.seq) {
                return Err(StoreError::corrupt(format!(
                    "run `{}`: the entry after {seq} is numbered {}; entries must continue without a gap",
                    self.run, entry.seq
                )));
            }
            seq = entry.seq;
        }
        Ok(seq)
    }

    /// Whether it makes something for a worker to take at once.
    #[must_use]
    pub fn is_offer(&self) -> bool {
        let own = match self.head.status {
            Status::Pending => true,
            Status::Paused => self.head.due_at.is_some_and(|due| due <= self.head.at),
            Status::Running | Status::Completed | Status::Failed | Status::Cancelled => false,
        };
        own || self.kin.is_news()
    }

    /// Encoded bytes of the entries, log lines, tapes and memos that it adds.
    pub fn bytes(&self) -> u64 {
        let entries = self.entries.iter().map(|entry| entry.body.len());
        let tapes = self.tapes.iter().map(|(_, part)| part.body.len());
        let memos = self.moved.iter().flat_map(|moved| &moved.memos);
        let memos = memos.map(|(_, memo)| memo.key.len() + memo.value.len());
        let logs = self.logs.iter().map(NewLog::bytes);
        let others = entries.chain(tapes).chain(memos);
        others.sum::<usize>() as u64 + logs.sum::<u64>()
    }

    /// For stores: the epoch of the run that this write creates, before a claim in it raises that.
    #[must_use]
    pub fn first_epoch(&self) -> Epoch {
        self.moved.as_ref().map_or(Epoch(0), |moved| moved.epoch)
    }

    /// The blobs that come with it, those of its tapes included.
    pub fn brought(&self) -> impl Iterator<Item = &(Digest, Arc<[u8]>)> {
        let of_tapes = self.tapes.iter().flat_map(|(_, part)| &part.blobs);
        self.blobs.iter().chain(of_tapes)
    }

    /// The blobs that the run uses from now on, with the size of those that come with the write.
    pub fn uses(&self) -> BTreeMap<&Digest, Option<u64>> {
        let named = self.named.iter().map(|digest| (digest, None));
        named.chain(sizes(self.brought())).collect()
    }

    /// Those of the named blobs that the store must hold already, also those that its children name.
    pub fn named_elsewhere(&self) -> impl Iterator<Item = &Digest> {
        let brought = |write: &Self, digest: &Digest| write.brought().any(|(d, _)| d == digest);
        let own = self
            .named
            .iter()
            .filter(move |digest| !brought(self, digest));
        let of_children = self.kin.children.iter().flat_map(move |child| {
            let named = child.named.iter();
            named.filter(move |digest| !brought(child, digest) && !brought(self, digest))
        });
        own.chain(of_children)
    }

    /// The refusal of a write that names a blob which is nowhere.
    pub fn names_nothing(&self, digest: &Digest) -> StoreError {
        StoreError::corrupt(format!(
            "run `{}`: the write names the blob {digest}, which is neither in it nor in the store",
            self.run
        ))
    }
}

fn sizes<'a>(
    blobs: impl Iterator<Item = &'a (Digest, Arc<[u8]>)>,
) -> impl Iterator<Item = (&'a Digest, Option<u64>)> {
    blobs.map(|(digest, bytes)| (digest, Some(bytes.len() as u64)))
}

/// The compare side of the compare-and-swap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// The run does not exist; this write creates it (epoch 0, or that of [`Write::moved`], before a claim in the same write raises it).
    Absent,
    /// The run's last sequence number and epoch are these, and it is neither completed nor cancelled.
    At {
        /// Sequence number of the last journal entry.
        seq: u64,
        /// The present epoch.
        epoch: Epoch,
    },
}

/// Taking ownership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Who.
    pub owner: Owner,
    /// How long the claim is valid without renewal, from when the store takes the write.
    pub lease: Duration,
}

/// Who owns a run: enough to tell whether that process still lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Host name.
    pub host: String,
    /// Identity of the host's present boot, and of the namespace of its process ids.
    pub boot: String,
    /// Process id.
    pub pid: u32,
    /// When the process started, in the kernel's own unit: tells a reused pid.
    pub started: u64,
    /// Drawn once per claim.
    pub nonce: String,
}

/// The columns that a write sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Name of the workflow; set when the run is created, ignored later.
    pub workflow: String,
    /// What the run is called by; set when the run is created, ignored later.
    pub labels: Labels,
    /// Status after the write. A status other than `running` clears owner and lease; a request that means nothing to the
    /// status ([`StopKind::outlives`]) is cleared.
    pub status: Status,
    /// Whether the run is paused and continues by itself. A pause that was asked of it is kept then, until it is held.
    pub moves_by_itself: bool,
    /// Whether a cancellation that was asked of it is met, though it is not over yet: that request is cleared.
    pub cancelling: bool,
    /// Time of the write.
    pub at: Timestamp,
    /// Reason code of the stop, when stopped.
    pub stop_code: Option<String>,
    /// When a scheduler may continue the run.
    pub due_at: Option<Timestamp>,
    /// Recoveries without progress in between.
    pub recoveries: u32,
    /// Automatic resumes of the present pause episode.
    pub auto_resumes: u32,
    /// Whose limit stopped it, when stopped.
    pub provider: Option<String>,
    /// Names of the signals that it waits for, when paused.
    pub awaits: Vec<String>,
}

impl Head {
    /// Of a run that does not wait for anything and was never lost.
    #[must_use]
    pub fn new(workflow: impl Into<String>, status: Status, at: Timestamp) -> Self {
        Self {
            workflow: workflow.into(),
            labels: Labels::default(),
            status,
            moves_by_itself: false,
            cancelling: false,
            at,
            stop_code: None,
            due_at: None,
            recoveries: 0,
            auto_resumes: 0,
            provider: None,
            awaits: Vec::new(),
        }
    }
}

/// What a write tells its caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The epoch from now on.
    pub epoch: Epoch,
    /// What somebody asks of the run, and nobody has met.
    pub request: Option<StopRequest>,
    /// See [`RunRow::stored_bytes`].
    pub stored_bytes: u64,
}

/// What a run looks like from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRow {
    /// The run.
    pub id: RunId,
    /// Name of the workflow.
    pub workflow: String,
    /// The run that has started it, if one has.
    pub parent: Option<RunId>,
    /// The run that it is a fork of, if it is one. It need not be there any more.
    pub forked_from: Option<RunId>,
    /// What it is called by.
    pub labels: Labels,
    /// Status.
    pub status: Status,
    /// Sequence number of the last journal entry.
    pub seq: u64,
    /// Fencing token.
    pub epoch: Epoch,
    /// When it was created.
    pub created_at: Timestamp,
    /// Time of the last write.
    pub updated_at: Timestamp,
    /// Who owns it, while it runs.
    pub owner: Option<Owner>,
    /// Until when the claim is valid, while it runs.
    pub lease_until: Option<Timestamp>,
    /// Reason code of the stop.
    pub stop_code: Option<String>,
    /// When a scheduler may continue it.
    pub due_at: Option<Timestamp>,
    /// Recoveries without progress in between.
    pub recoveries: u32,
    /// Automatic resumes of the present pause episode.
    pub auto_resumes: u32,
    /// Whose limit stopped it.
    pub provider: Option<String>,
    /// Names of the signals that it waits for, when paused.
    pub awaits: Vec<String>,
    /// What somebody asked of it, until its owner has met that.
    pub request: Option<StopRequest>,
    /// Since when its owner lives without renewing the lease.
    pub detached_at: Option<Timestamp>,
    /// How long it was at work; `None` where that is not known: of runs that an older program has created.
    pub worked: Option<Work>,
    /// What it takes: bytes of its entries and log lines, and of each blob that it uses, as they are encoded. Every write adds
    /// what it brings. Runs of stores that did not count are counted from their next write on.
    pub stored_bytes: u64,
}

/// How long a run was at work: from each claim to where it stopped. It waits at all other times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Work {
    /// Under claims that are over. What a lost owner had is counted up to its last write.
    pub before: Duration,
    /// Since when under the present claim.
    pub since: Option<Timestamp>,
}

/// Which runs a list shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Only these; empty means all.
    pub statuses: Vec<Status>,
    /// Only runs of this workflow.
    pub workflow: Option<String>,
    /// Only runs with all of these labels.
    pub labels: Vec<LabelFilter>,
    /// By who has started them.
    pub family: Family,
    /// Only runs that were last written later than that.
    pub updated_after: Option<Timestamp>,
    /// Only runs that were due earlier than that.
    pub due_before: Option<Timestamp>,
    /// Only what comes after that place: where the page before ended.
    pub after: Option<Cursor>,
    /// The maximum number: a page.
    pub limit: usize,
}

impl Default for Filter {
    /// The first page of all runs.
    fn default() -> Self {
        Self {
            statuses: Vec::new(),
            workflow: None,
            labels: Vec::new(),
            family: Family::All,
            updated_after: None,
            due_before: None,
            after: None,
            limit: PAGE_RUNS,
        }
    }
}

/// Runs of a page that nobody asked to be another size.
pub const PAGE_RUNS: usize = 1_000;

/// A place in the order of a list: a run's creation time and id as they are stored, also where they cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// Nanoseconds.
    pub created_at: i64,
    /// Bytes of the id.
    pub id: Vec<u8>,
}

/// The pages of a list, one after the other: what is there from the beginning to the end is in one of them.
#[derive(Debug)]
pub struct Pages {
    filter: Filter,
    ended: bool,
}

impl Pages {
    /// All that the filter lets through, from where it begins, as many at a time as it says.
    #[must_use]
    pub fn of(filter: Filter) -> Self {
        Self {
            filter,
            ended: false,
        }
    }

    /// The next page; `None` when there are no more.
    ///
    /// # Errors
    /// Those of [`Upkeep::list`]; the same page is asked for again.
    pub async fn next(
        &mut self,
        store: &(impl Upkeep + ?Sized),
    ) -> Result<Option<Listing>, StoreError> {
        if self.ended {
            return Ok(None);
        }
        let page = store.list(&self.filter).await?;
        self.ended = page.next.is_none();
        self.filter.after.clone_from(&page.next);
        Ok(Some(page))
    }
}

/// A page of a list of runs.
#[derive(Debug, Default)]
pub struct Listing {
    /// What could be read.
    pub rows: Vec<RunRow>,
    /// Rows that could not, with the reason (B244).
    pub unreadable: Vec<(String, String)>,
    /// Where the page ends, when there is more.
    pub next: Option<Cursor>,
}

/// A checkpoint as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCheckpoint {
    /// The row, from the same snapshot.
    pub row: RunRow,
    /// Parts by name, as the last write that had any left them.
    pub parts: Vec<(String, String)>,
}

/// A journal entry as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEntry {
    /// Position in the run, from 1.
    pub seq: u64,
    /// When it was recorded.
    pub at: Timestamp,
    /// Under which claim.
    pub epoch: Epoch,
    /// JSON with a format version.
    pub body: String,
}

/// A log line to append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLog {
    /// When the host received it.
    pub at: Timestamp,
    /// Path of the step that wrote it.
    pub path: String,
    /// Attempt that wrote it.
    pub attempt: u32,
    /// JSON of the line.
    pub body: String,
}

impl NewLog {
    /// For stores: what it takes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        (self.path.len() + self.body.len()) as u64
    }
}

/// A log line as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredLog {
    /// Position in the run's log; grows, with gaps.
    pub position: u64,
    /// The line.
    pub line: NewLog,
}

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub enum StoreError {
    /// No such run.
    #[error("no run `{0}` in this store")]
    NotFound(RunId),
    /// A run of that id exists already.
    #[error("a run `{0}` exists already")]
    Exists(RunId),
    /// The run does not stand where the writer last saw it: somebody else moved it on.
    #[error("run `{run}` was changed by another process: it is {status} at {seq} in epoch {}", epoch.0)]
    Conflict {
        /// The run.
        run: RunId,
        /// Its present status.
        status: Status,
        /// Its present sequence number.
        seq: u64,
        /// Its present epoch.
        epoch: Epoch,
    },
    /// The store is of a newer version than this program.
    #[error("the store {place} has version {found}, this program knows up to {known}")]
    TooNew {
        /// Which store.
        place: String,
        /// Its version.
        found: u32,
        /// The newest version that this program knows.
        known: u32,
    },
    /// The store is of an older version, which this program can only bring to its own, not read.
    #[error("the store {place} has version {found}, this program reads version {known}")]
    TooOld {
        /// Which store.
        place: String,
        /// Its version.
        found: u32,
        /// The version that this program reads.
        known: u32,
    },
    /// The store cannot be written to from here; it can be read.
    #[error(
        "the store {0} is read-only here: the file, its folder or its disk cannot be written to"
    )]
    ReadOnly(String),
    /// Something stored cannot be read back.
    #[error(transparent)]
    Corrupt(Corrupt),
    /// The file of the store was moved, removed or replaced while it was open. Nothing more is read from it or written to it.
    #[error("the store {0} was moved or removed while it was in use")]
    Gone(String),
    /// The store could not be opened, read or written just now (disk full, locked, I/O error).
    #[error(transparent)]
    Unavailable(Unavailable),
}

/// What cannot be read back, in words, with the error that told so, where there was one.
#[derive(Debug, thiserror::Error)]
#[error("stored data is corrupted: {what}")]
pub struct Corrupt {
    /// What.
    pub what: String,
    source: Option<Source>,
}

/// Why the store did not do it, in words, with the error that told so, where there was one.
#[derive(Debug, thiserror::Error)]
#[error("the store is not available: {reason}")]
pub struct Unavailable {
    /// Why.
    pub reason: String,
    /// Which kind of reason that is.
    pub cause: Cause,
    source: Option<Source>,
}

/// Why a store does not do something, as far as people can do something about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Somebody else has held its lock for too long.
    Locked,
    /// Its disk is full.
    Full,
    /// This user may not do it.
    Denied,
    /// Anything else.
    Other,
}

impl Cause {
    /// Of an error of the operating system.
    #[must_use]
    pub fn of(error: &std::io::Error) -> Self {
        use std::io::ErrorKind;

        match error.kind() {
            ErrorKind::PermissionDenied => Self::Denied,
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::Other,
        }
    }
}

type Source = Box<dyn std::error::Error + Send + Sync>;

impl StoreError {
    /// A [`StoreError::Corrupt`].
    pub fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt(Corrupt {
            what: what.into(),
            source: None,
        })
    }

    /// A [`StoreError::Unavailable`].
    pub fn unavailable(reason: impl Into<String>) -> Self {
        Self::met(Cause::Other, reason)
    }

    /// A [`StoreError::Unavailable`] because of this.
    pub fn met(cause: Cause, reason: impl Into<String>) -> Self {
        Self::Unavailable(Unavailable {
            reason: reason.into(),
            cause,
            source: None,
        })
    }

    /// The same with the error that it came from. Its words say that already.
    #[must_use]
    pub fn caused_by(self, error: impl Into<Source>) -> Self {
        let source = Some(error.into());
        match self {
            Self::Corrupt(corrupt) => Self::Corrupt(Corrupt { source, ..corrupt }),
            Self::Unavailable(unavailable) => Self::Unavailable(Unavailable {
                source,
                ..unavailable
            }),
            other => other,
        }
    }
}
