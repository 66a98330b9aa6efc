//! Large or binary data, also a file that is an input of the workflow, kept by the digest of its content. A step puts the [`Artifact`] into its output,
//! which is a value of at most 4 MiB, and later steps read it by its digest. The workflow has to allow it (`artifacts = true`).
//!
//! ```
//! use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
//!
//! use milepost_sdk::Result;
//! use milepost_sdk::artifacts::{Reader, Writer};
//!
//! # fn main() -> Result<()> {
//! let mut table = Writer::create("rates.csv", "text/csv")?;
//! writeln!(table, "currency,rate")?;
//! writeln!(table, "EUR,1.07")?;
//! let artifact = table.finish()?;
//! assert_eq!(artifact.size, 23);
//!
//! let mut reader = Reader::open(&artifact.digest)?;
//! reader.seek(SeekFrom::Start(14))?;
//! let mut text = String::new();
//! reader.read_to_string(&mut text)?;
//! assert_eq!(text, "EUR,1.07\n");
//! # Ok(())
//! # }
//! ```
//!
//! On targets without a host, as in a unit test, artifacts are kept per thread.

#![allow(
    clippy::needless_question_mark,
    clippy::useless_conversion,
    reason = "in a component, the error of the host is of another type"
)]

use std::io::{self, Read, Seek, SeekFrom, Write};

use serde::{Deserialize, Serialize};

use crate::{HostError, Result, Schema};

/// What passes between guest and host at once.
const CHUNK: usize = 64 * 1024;
/// Most that the host takes and gives at once.
const MOST: usize = 1024 * 1024;

/// Data that is kept by the digest of its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Schema)]
pub struct Artifact {
    /// SHA-256 of the content, as `sha256:` and 64 hex digits.
    pub digest: String,
    /// Bytes.
    pub size: u64,
    /// What it is: `text/csv`.
    pub media_type: String,
}

/// Writes an artifact. Small writes are gathered; what is not [finished](Writer::finish) is not kept.
pub struct Writer {
    source: source::Writer,
    gathered: Vec<u8>,
}

impl Writer {
    /// Begins an artifact. The name is for people.
    ///
    /// # Errors
    /// `denied` when the workflow does not allow it, or what the host says.
    pub fn create(name: &str, media_type: &str) -> Result<Self, HostError> {
        Ok(Self {
            source: source::Writer::create(name, media_type)?,
            gathered: Vec::new(),
        })
    }

    /// Keeps it.
    ///
    /// # Errors
    /// What the host says.
    pub fn finish(mut self) -> Result<Artifact, HostError> {
        self.hand_over()?;
        let kept = source::Writer::finish(self.source)?;
        Ok(Artifact {
            digest: kept.digest,
            size: kept.size,
            media_type: kept.media_type,
        })
    }

    fn hand_over(&mut self) -> Result<(), HostError> {
        if !self.gathered.is_empty() {
            self.source.write(&self.gathered)?;
            self.gathered.clear();
        }
        Ok(())
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.gathered.len() + bytes.len() > CHUNK {
            self.hand_over().map_err(io::Error::from)?;
        }
        if bytes.len() >= CHUNK {
            let bytes = &bytes[..bytes.len().min(MOST)];
            let written = self.source.write(bytes).map_err(HostError::from);
            written.map_err(io::Error::from)?;
            return Ok(bytes.len());
        }
        self.gathered.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(self.hand_over()?)
    }
}

/// Reads an artifact. Small reads are served from what was read before.
pub struct Reader {
    source: source::Reader,
    info: Artifact,
    position: u64,
    /// Where `read` begins.
    from: u64,
    read: Vec<u8>,
}

impl Reader {
    /// Opens an artifact by its digest.
    ///
    /// # Errors
    /// `not-found`, `denied`, or what the host says.
    pub fn open(digest: &str) -> Result<Self, HostError> {
        let source = source::Reader::open(digest)?;
        let info = source.info();
        Ok(Self {
            source,
            info: Artifact {
                digest: info.digest,
                size: info.size,
                media_type: info.media_type,
            },
            position: 0,
            from: 0,
            read: Vec::new(),
        })
    }

    /// What it is.
    #[must_use]
    pub fn info(&self) -> &Artifact {
        &self.info
    }

    fn at_hand(&self) -> &[u8] {
        let skipped = self.position.checked_sub(self.from);
        let skipped = skipped.and_then(|skipped| usize::try_from(skipped).ok());
        skipped
            .and_then(|skipped| self.read.get(skipped..))
            .unwrap_or_default()
    }
}

impl Read for Reader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() || self.position >= self.info.size {
            return Ok(0);
        }
        if self.at_hand().is_empty() {
            let wanted = into.len().clamp(CHUNK, MOST) as u32;
            let read = self.source.read(self.position, wanted);
            self.read = read.map_err(|error| io::Error::from(HostError::from(error)))?;
            self.from = self.position;
        }
        let at_hand = self.at_hand();
        let bytes = at_hand.len().min(into.len());
        into[..bytes].copy_from_slice(&at_hand[..bytes]);
        self.position += bytes as u64;
        Ok(bytes)
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.info.size.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "a position before the start")
        })?;
        Ok(self.position)
    }
}

#[cfg(target_family = "wasm")]
mod source {
    pub(super) use crate::bindings::milepost::step::artifacts::{Reader, Writer};
}

#[cfg(not(target_family = "wasm"))]
mod source {
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    use super::{Artifact, HostError};

    thread_local! {
        static KEPT: RefCell<BTreeMap<String, (Artifact, Vec<u8>)>> = const { RefCell::new(BTreeMap::new()) };
    }

    pub(super) struct Writer {
        media_type: String,
        bytes: RefCell<Vec<u8>>,
    }

    impl Writer {
        pub(super) fn create(_: &str, media_type: &str) -> Result<Self, HostError> {
            Ok(Self {
                media_type: media_type.to_owned(),
                bytes: RefCell::default(),
            })
        }

        pub(super) fn write(&self, chunk: &[u8]) -> Result<(), HostError> {
            if chunk.len() > super::MOST {
                return Err(HostError::new("too-large", "more than 1 MiB at a time"));
            }
            self.bytes.borrow_mut().extend_from_slice(chunk);
            Ok(())
        }

        /// The digest is a name that equal content shares, and no SHA-256.
        pub(super) fn finish(this: Self) -> Result<Artifact, HostError> {
            use std::hash::{DefaultHasher, Hash as _, Hasher as _};
            let bytes = this.bytes.into_inner();
            let mut hasher = DefaultHasher::new();
            bytes.hash(&mut hasher);
            let artifact = Artifact {
                digest: format!("fake:{:016x}", hasher.finish()),
                size: bytes.len() as u64,
                media_type: this.media_type,
            };
            let kept = (artifact.clone(), bytes);
            KEPT.with_borrow_mut(|all| all.insert(artifact.digest.clone(), kept));
            Ok(artifact)
        }
    }

    pub(super) struct Reader {
        artifact: Artifact,
        bytes: Vec<u8>,
    }

    impl Reader {
        pub(super) fn open(digest: &str) -> Result<Self, HostError> {
            let kept = KEPT.with_borrow(|all| all.get(digest).cloned());
            let (artifact, bytes) =
                kept.ok_or_else(|| HostError::new("not-found", format!("no artifact {digest}")))?;
            Ok(Self { artifact, bytes })
        }

        pub(super) fn info(&self) -> Artifact {
            self.artifact.clone()
        }

        pub(super) fn read(&self, offset: u64, max: u32) -> Result<Vec<u8>, HostError> {
            let rest = usize::try_from(offset)
                .ok()
                .and_then(|at| self.bytes.get(at..));
            let rest = rest.unwrap_or_default();
            Ok(rest[..rest.len().min(max as usize)].to_vec())
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use super::*;

    #[test]
    fn what_is_written_in_any_pieces_is_read_in_any_pieces() {
        let whole: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
        for size in [1, 1_000, CHUNK - 1, CHUNK, CHUNK + 1, MOST, whole.len()] {
            let mut writer = Writer::create("data", "application/octet-stream").unwrap();
            // A byte at a time takes long: the rest in one.
            let (few, rest) = whole.split_at(size.saturating_mul(1_000).min(whole.len()));
            for piece in few.chunks(size) {
                writer.write_all(piece).unwrap();
            }
            writer.write_all(rest).unwrap();
            let artifact = writer.finish().unwrap();
            assert_eq!(artifact.size, whole.len() as u64);
            let mut reader = Reader::open(&artifact.digest).unwrap();
            assert_eq!(reader.info(), &artifact);
            let mut read = vec![0; size.min(whole.len())];
            reader.read_exact(&mut read).unwrap();
            reader.read_to_end(&mut read).unwrap();
            assert!(read == whole, "pieces of {size}");
        }
    }

    #[test]
    fn a_reader_goes_where_it_is_sent() {
        let mut writer = Writer::create("data", "text/plain").unwrap();
        writer.write_all(b"0123456789").unwrap();
        let mut reader = Reader::open(&writer.finish().unwrap().digest).unwrap();
        let mut two = [0; 2];
        for (to, position, expected) in [
            (SeekFrom::Start(3), 3, b"34"),
            (SeekFrom::Current(-2), 3, b"34"),
            (SeekFrom::End(-2), 8, b"89"),
        ] {
            assert_eq!(reader.seek(to).unwrap(), position);
            reader.read_exact(&mut two).unwrap();
            assert_eq!(&two, expected);
        }
        assert_eq!(reader.seek(SeekFrom::Start(100)).unwrap(), 100);
        assert_eq!(reader.read(&mut two).unwrap(), 0);
        assert!(reader.seek(SeekFrom::Current(-101)).is_err());
        assert!(Reader::open("sha256:0").is_err_and(|error| error.is("not-found")));
    }
}
