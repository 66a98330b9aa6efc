//! One file: what programs see of it, what the disk holds for sure, and what stands between the two.

use std::sync::atomic::AtomicU64;

use super::draws::Draws;
use super::locks::{FileLocks, Holder, SlotLocks};

/// What a disk writes whole or not at all.
pub(crate) const SECTOR: usize = 512;

/// A change that no sync has covered yet.
#[derive(Debug)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Resize(usize),
}

#[derive(Debug, Default)]
pub(crate) struct File {
    seen: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
    pub(crate) locks: FileLocks,
    pub(crate) memory: SharedMemory,
}

/// The memory that the connections of a WAL database share. Its content does not survive its last user, as in SQLite's own
/// VFS, where the first user of a left-over file empties it.
#[derive(Debug, Default)]
pub(crate) struct SharedMemory {
    pub(crate) slots: SlotLocks,
    /// Words, because SQLite needs them aligned; atomic, because connections on several threads write them.
    regions: Vec<Box<[AtomicU64]>>,
    users: Vec<Holder>,
}

impl File {
    /// A file that is on the disk already.
    pub(crate) fn holding(bytes: Vec<u8>) -> Self {
        Self {
            seen: bytes.clone(),
            durable: bytes,
            ..Self::default()
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.seen.len()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.seen
    }

    /// Fills the front of `into` with what is there; returns how much that was.
    pub(crate) fn read(&self, offset: usize, into: &mut [u8]) -> usize {
        let from = self.seen.get(offset..).unwrap_or_default();
        let length = from.len().min(into.len());
        into[..length].copy_from_slice(&from[..length]);
        length
    }

    pub(crate) fn write(&mut self, offset: usize, bytes: &[u8]) {
        put(&mut self.seen, offset, bytes);
        self.unsynced.push(Change::Write {
            offset,
            bytes: bytes.to_vec(),
        });
    }

    pub(crate) fn resize(&mut self, length: usize) {
        resize(&mut self.seen, length);
        self.unsynced.push(Change::Resize(length));
    }

    pub(crate) fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            match change {
                Change::Write { offset, bytes } => put(&mut self.durable, offset, &bytes),
                Change::Resize(length) => resize(&mut self.durable, length),
            }
        }
    }

    /// The changes so far will never reach the disk, although programs go on seeing them.
    pub(crate) fn forget_unsynced(&mut self) {
        self.unsynced.clear();
    }

    /// What is found after the power failed: of the changes that no sync had covered, any may be there, missing or torn.
    pub(crate) fn surviving(&self, draws: &mut Draws, odds: Odds) -> Vec<u8> {
        let mut left = self.durable.clone();
        for change in &self.unsynced {
            match change {
                Change::Write { offset, bytes } => {
                    let tear = Tear::draw(draws, odds, bytes.len());
                    write_torn(&mut left, *offset, bytes, tear, draws);
                }
                Change::Resize(length) => {
                    if draws.chance(odds.0) {
                        resize(&mut left, *length);
                    }
                }
            }
        }
        left
    }
}

/// How likely an unsynced change survives, percent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Odds(pub(crate) usize);

#[derive(Debug, Clone, Copy)]
enum Tear {
    Whole,
    Lost,
    /// So many sectors from the front.
    Prefix(usize),
    /// Each sector by itself.
    Random,
}

impl Tear {
    fn draw(draws: &mut Draws, Odds(percent): Odds, length: usize) -> Self {
        match percent {
            0 => Self::Lost,
            100 => Self::Whole,
            _ => match draws.below(4) {
                0 => Self::Prefix(draws.below(length / SECTOR + 1)),
                1 => Self::Random,
                _ if draws.chance(percent) => Self::Whole,
                _ => Self::Lost,
            },
        }
    }
}

/// Writes the sectors that survive. Where the file had grown, its new length may survive without its new content.
fn write_torn(left: &mut Vec<u8>, offset: usize, bytes: &[u8], tear: Tear, draws: &mut Draws) {
    let end = offset + bytes.len();
    if end > left.len() && !matches!(tear, Tear::Whole) && draws.chance(30) {
        let junk = u8::try_from(draws.below(256)).unwrap();
        let filler = *draws.choose(&[0, junk]);
        fill(left, end, filler);
    }
    let mut at = offset;
    for index in 0.. {
        if at >= end {
            break;
        }
        let next = ((at / SECTOR + 1) * SECTOR).min(end);
        let kept = match tear {
            Tear::Whole => true,
            Tear::Lost => false,
            Tear::Prefix(sectors) => index < sectors,
            Tear::Random => draws.chance(50),
        };
        if kept {
            put(left, at, &bytes[at - offset..next - offset]);
        }
        at = next;
    }
}

fn put(file: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if file.len() < offset {
        fill(file, offset, 0);
    }
    let (over, beyond) = bytes.split_at(bytes.len().min(file.len() - offset));
    file[offset..offset + over.len()].copy_from_slice(over);
    file.extend_from_slice(beyond);
}

/// Makes a file so long. Unlike [`Vec::resize`], quick without optimisation.
fn fill(file: &mut Vec<u8>, length: usize, filler: u8) {
    file.extend_from_slice(&vec![filler; length - file.len()]);
}

/// Makes a file so long, or so short.
fn resize(file: &mut Vec<u8>, length: usize) {
    file.truncate(length);
    fill(file, length, 0);
}

impl SharedMemory {
    /// The start of a region; `None` when it does not exist and must not be made.
    pub(crate) fn region(
        &mut self,
        holder: Holder,
        index: usize,
        bytes: usize,
        extend: bool,
    ) -> Option<*mut u8> {
        if !self.users.contains(&holder) {
            self.users.push(holder);
        }
        while extend && self.regions.len() <= index {
            let words = std::iter::repeat_with(AtomicU64::default);
            self.regions
                .push(words.take(bytes / size_of::<u64>()).collect());
        }
        let region = self.regions.get(index)?;
        Some(region.as_ptr().cast_mut().cast())
    }

    /// A holder has gone.
    pub(crate) fn leave(&mut self, holder: Holder) {
        self.slots.forget(holder);
        self.users.retain(|user| *user != holder);
        if self.users.is_empty() {
            self.regions.clear();
        }
    }
}
