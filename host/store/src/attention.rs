//! What others ask of a run beside its owner's writes (requests, signals), and what a worker looks for.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use milepost_core::ids::Digest;
use milepost_core::limits;
use milepost_core::state::Status;
use milepost_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::RunRow;

/// How a running run is asked to stop; a later one is stronger and replaces a weaker one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopKind {
    /// Pause where the step in flight has ended.
    Pause,
    /// Pause at once; the step in flight is interrupted.
    PauseNow,
    /// End for good, after what its completed steps did is undone; the step in flight may clean up for a moment.
    Compensate,
    /// End for good: the step in flight may clean up for a moment.
    Cancel,
    /// End for good, at once.
    Kill,
}

impl StopKind {
    /// Every kind, the weakest first.
    pub const ALL: [Self; 5] = [
        Self::Pause,
        Self::PauseNow,
        Self::Compensate,
        Self::Cancel,
        Self::Kill,
    ];

    /// The stable text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::PauseNow => "pause_now",
            Self::Compensate => "compensate",
            Self::Cancel => "cancel",
            Self::Kill => "kill",
        }
    }

    /// Whether it ends the run, rather than pausing it.
    #[must_use]
    pub const fn ends(self) -> bool {
        matches!(self, Self::Compensate | Self::Cancel | Self::Kill)
    }

    /// Whether it ends the run once that has done what its workflow wants before the end.
    #[must_use]
    pub const fn cleans_up(self) -> bool {
        matches!(self, Self::Compensate | Self::Cancel)
    }

    /// Whether a request of this kind still means something to a run of that status. To a paused run that goes on by itself, a
    /// pause does as well.
    #[must_use]
    pub const fn outlives(self, status: Status) -> bool {
        match status {
            Status::Pending | Status::Running => true,
            Status::Paused | Status::Failed => self.ends(),
            Status::Completed | Status::Cancelled => false,
        }
    }
}

impl fmt::Display for StopKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no kind of stop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a kind of stop")]
pub struct UnknownStopKind(String);

impl FromStr for StopKind {
    type Err = UnknownStopKind;
    fn from_str(text: &str) -> Result<Self, UnknownStopKind> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| UnknownStopKind(text.to_owned()))
    }
}

/// A request to stop, as it is kept until the owner has met it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopRequest {
    /// What is asked.
    pub kind: StopKind,
    /// Since when.
    pub at: Timestamp,
    /// By whom, for people.
    pub by: String,
}

/// A signal on its way to a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSignal {
    /// Its name.
    pub name: String,
    /// JSON.
    pub data: String,
    /// When it was sent.
    pub at: Timestamp,
    /// Drawn by its sender: sent twice to a run, it is one signal. Without one, each sending is a signal of its own.
    pub token: Option<String>,
}

impl NewSignal {
    /// What it takes of an inbox.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        (self.name.len() + self.data.len()) as u64
    }

    /// What a token stands for: the name and the data, whenever they are sent.
    #[must_use]
    pub fn content(&self) -> Digest {
        let length = (self.name.len() as u64).to_le_bytes();
        let parts = [&length, self.name.as_bytes(), self.data.as_bytes()];
        Digest::of(&parts.concat())
    }
}

/// A signal that was sent with a token. A store knows it for as long as it has the run, also when the run has taken the signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownToken {
    /// The number of the signal.
    pub number: u64,
    /// [`NewSignal::content`].
    pub content: Digest,
}

impl KnownToken {
    /// What is told to whoever sends with that token again.
    #[must_use]
    pub fn answer(&self, signal: &NewSignal) -> Sent {
        match self.content == signal.content() {
            true => Sent::Kept(self.number),
            false => Sent::Differs(self.number),
        }
    }
}

/// What became of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It is kept, durably, until the run takes it; the number names it. The same number again for a token that was sent
    /// before, whatever became of its signal and of the run since.
    Kept(u64),
    /// Another signal was sent with its token, of that number. This one is not kept.
    Differs(u64),
    /// The run is over; the signal was not kept.
    Over(Status),
    /// So many signals wait for the run, or so large ones, that this one is not kept.
    Full(Inbox),
}

/// The signals that wait for a run, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Inbox {
    /// How many there are.
    pub signals: u64,
    /// Bytes of their names and their data.
    pub bytes: u64,
}

impl Inbox {
    /// Whether one more may wait ([`limits::SIGNALS`], [`limits::INBOX_BYTES`]).
    #[must_use]
    pub fn has_room(&self, signal: &NewSignal) -> bool {
        self.signals < limits::SIGNALS as u64
            && self.bytes.saturating_add(signal.bytes()) <= limits::INBOX_BYTES as u64
    }
}

/// A signal that waits for its run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSignal {
    /// Its number: grows, is never used again.
    pub number: u64,
    /// Its name.
    pub name: String,
    /// JSON.
    pub data: String,
    /// When it was sent.
    pub at: Timestamp,
}

/// What a run has of its store, as it is found there: what its row should count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Bytes of its entries and log lines.
    pub record_bytes: u64,
    /// The blobs that it uses, with their bytes; a missing one has none.
    pub blobs: BTreeMap<Digest, u64>,
}

impl Holdings {
    /// All of it.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let blobs = self.blobs.values();
        blobs.fold(self.record_bytes, |sum, bytes| sum.saturating_add(*bytes))
    }
}

/// Runs that somebody may take.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// The most urgent first.
    pub rows: Vec<RunRow>,
    /// Rows on the way there that cannot be read, with the reason; at most [`UNREADABLE`].
    pub unreadable: Vec<(String, String)>,
}

/// Most unreadable rows that an offer tells of.
pub const UNREADABLE: usize = 1_000;

/// Runs that need somebody's attention now, each list bounded by the limit that was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Attention {
    /// Paused, and a signal that it waits for is there.
    pub signalled: Vec<RunRow>,
    /// Not running, with a request that nobody has met: its owner died, or paused it, before it could.
    pub requested: Vec<RunRow>,
    /// Running, and perhaps without an owner: whether that one lives is for the asker to judge. By creation time, then id.
    pub running: Vec<RunRow>,
    /// Where to go on ([`Look::after`](crate::Look::after)); `None` when there are no more running ones. The pages behind the first
    /// one have nothing but running runs.
    pub next: Option<String>,
    /// Rows that cannot be read, with the reason.
    pub unreadable: Vec<(String, String)>,
    /// When the next paused run will be due.
    pub next_due: Option<Timestamp>,
}

/// What a store says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Version of its layout.
    pub version: u32,
    /// What is wrong with it; empty when nothing is.
    pub problems: Vec<String>,
    /// Bytes of its main file.
    pub bytes: u64,
    /// Bytes of its write-ahead log.
    pub wal_bytes: u64,
    /// Bytes of its main file that nothing uses.
    pub unused_bytes: u64,
    /// Whether those can be returned to the disk without rewriting the file.
    pub gives_back: bool,
    /// Bytes free on its disk, if known.
    pub free_bytes: Option<u64>,
    /// Runs by status.
    pub runs: std::collections::BTreeMap<Status, u64>,
}

/// What a look at a blob found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedBlob {
    /// Its name.
    pub digest: Digest,
    /// What is wrong with it.
    pub fault: Option<BlobFault>,
    /// Ids of the runs that use it, sorted; asked only when something is wrong.
    pub users: Vec<String>,
}

/// What is wrong with a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobFault {
    /// It is used and not there.
    Missing,
    /// Its bytes do not match its digest, or cannot be read.
    Damaged,
}

impl fmt::Display for BlobFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "is missing",
            Self::Damaged => "does not match its digest",
        })
    }
}

/// How much room a store takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Space {
    /// Bytes that it takes from its disk, without what waits in a log.
    pub bytes: u64,
    /// Bytes of these that nothing uses; later runs do.
    pub unused_bytes: u64,
    /// Whether [`Release::Unused`] gives those back.
    pub gives_back: bool,
}

/// How unused space is returned to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// A little at a time, so that others write in between.
    Unused,
    /// By rewriting everything that is kept. Nobody else writes meanwhile; afterwards [`Release::Unused`] works.
    Rewrite,
}
