//! Entries one after the other: tar inside one frame of zstd. Each has the one header that its name and size give, nothing else is an
//! entry, and nothing stands between, behind or beside them: two programs cannot read two things in such a file.

use std::io::{self, BufRead as _, BufReader, Read, Write};

use milepost_core::limits;
use tar::{EntryType, Header};

use super::error::{BundleError, Refused};

const BLOCK: usize = 512;
/// How a file begins: as every frame of zstd does (RFC 8878, 3.1.1).
pub const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// How hard it is packed: components shrink to a third, and a disk is still the slower part.
const LEVEL: i32 = 3;

/// Writes entries.
pub(super) struct Packer<W: Write> {
    out: zstd::stream::write::Encoder<'static, W>,
    /// Bytes of the present entry that are yet to come, and its size.
    left: u64,
    size: u64,
}

impl<W: Write> Packer<W> {
    pub(super) fn new(out: W) -> io::Result<Self> {
        let mut out = zstd::stream::write::Encoder::new(out, LEVEL)?;
        out.include_checksum(true)?;
        out.include_contentsize(false)?;
        Ok(Self {
            out,
            left: 0,
            size: 0,
        })
    }

    /// Begins an entry of so many bytes.
    pub(super) fn begin(&mut self, name: &str, size: u64) -> io::Result<()> {
        self.out.write_all(header(name, size)?.as_bytes())?;
        (self.left, self.size) = (size, size);
        Ok(())
    }

    /// Adds bytes to it.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        let left = self.left.checked_sub(bytes.len() as u64);
        self.left =
            left.ok_or_else(|| io::Error::other("an entry has grown while it was written"))?;
        self.out.write_all(bytes)?;
        if self.left == 0 {
            let padding = [0; BLOCK];
            self.out.write_all(&padding[..padding_of(self.size)])?;
        }
        Ok(())
    }

    /// A whole entry.
    pub(super) fn entry(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.begin(name, bytes.len() as u64)?;
        self.bytes(bytes)
    }

    /// Ends the file.
    pub(super) fn finish(mut self) -> io::Result<W> {
        if self.left > 0 {
            return Err(io::Error::other("an entry has shrunk while it was written"));
        }
        self.out.write_all(&[0; 2 * BLOCK])?;
        self.out.finish()
    }
}

/// The header of an entry, as it is always written: no time, no owner, nothing of a machine.
fn header(name: &str, size: u64) -> io::Result<Header> {
    let mut header = Header::new_ustar();
    header.set_path(name)?;
    header.set_entry_type(EntryType::Regular);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    Ok(header)
}

fn padding_of(size: u64) -> usize {
    let over = (size % BLOCK as u64) as usize;
    (BLOCK - over) % BLOCK
}

/// Reads entries that are known beforehand.
pub(super) struct Unpacker<'a, R: Read> {
    packed: zstd::stream::read::Decoder<'static, BufReader<R>>,
    name: String,
    left: u64,
    size: u64,
    done: u64,
    progress: &'a mut super::Progress<'a>,
}

impl<'a, R: Read> Unpacker<'a, R> {
    pub(super) fn new(file: R, progress: &'a mut super::Progress<'a>) -> Result<Self, BundleError> {
        let mut file = BufReader::new(file);
        // Enough to tell: whatever is shorter is cut off.
        let begins = file.fill_buf()?;
        if begins.len() >= MAGIC.len() && !begins.starts_with(&MAGIC) {
            return Err(Refused::file("it is not a run that was exported").into());
        }
        let mut packed = zstd::stream::read::Decoder::with_buffer(file)?.single_frame();
        packed.window_log_max(limits::BUNDLE_WINDOW_LOG)?;
        Ok(Self {
            packed,
            name: String::new(),
            left: 0,
            size: 0,
            done: 0,
            progress,
        })
    }

    /// The next entry, which must have this name: its size, which must be at most that.
    pub(super) fn next(&mut self, name: &str, most: u64) -> Result<u64, BundleError> {
        let found = self.block(name)?;
        if found == [0; BLOCK] {
            return Err(Refused::at(name, "it is missing: the file ends before it").into());
        }
        let found = Header::from_byte_slice(&found);
        let size = found.entry_size().unwrap_or(u64::MAX);
        let expected = header(name, size);
        if !expected.is_ok_and(|expected| expected.as_bytes() == found.as_bytes()) {
            return Err(stranger(found, name).into());
        }
        if size > most {
            let what = format!("it has {size} bytes, more than the {most} that it may have");
            return Err(Refused::at(name, what).into());
        }
        name.clone_into(&mut self.name);
        (self.left, self.size) = (size, size);
        if size == 0 {
            self.padding()?;
        }
        Ok(size)
    }

    /// Bytes of the present entry: as many as fit, none at its end.
    pub(super) fn bytes(&mut self, into: &mut [u8]) -> Result<usize, BundleError> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let most = most.min(into.len());
        if most == 0 {
            return Ok(0);
        }
        let name = self.name.clone();
        self.fill(&name, &mut into[..most])?;
        self.left -= most as u64;
        if self.left == 0 {
            self.padding()?;
        }
        Ok(most)
    }

    fn padding(&mut self) -> Result<(), BundleError> {
        let mut padding = [0; BLOCK];
        let name = self.name.clone();
        self.fill(&name, &mut padding[..padding_of(self.size)])?;
        match padding == [0; BLOCK] {
            true => Ok(()),
            false => Err(Refused::at(name, "something is hidden behind it").into()),
        }
    }

    /// Nothing may follow.
    pub(super) fn finish(mut self) -> Result<(), BundleError> {
        let end = "its end";
        let mut blocks = [0; 2 * BLOCK];
        self.fill(end, &mut blocks)?;
        if blocks != [0; 2 * BLOCK] {
            let (first, _) = blocks.split_at(BLOCK);
            let mut block = [0; BLOCK];
            block.copy_from_slice(first);
            return Err(stranger(Header::from_byte_slice(&block), end).into());
        }
        let more = self
            .packed
            .read(&mut [0])
            .map_err(|error| broken(end, &error))?;
        let beyond = self.packed.finish().read(&mut [0])?;
        match (more, beyond) {
            (0, 0) => Ok(()),
            _ => Err(Refused::file("something follows behind its end").into()),
        }
    }

    fn block(&mut self, at: &str) -> Result<[u8; BLOCK], BundleError> {
        let mut block = [0; BLOCK];
        self.fill(at, &mut block)?;
        Ok(block)
    }

    fn fill(&mut self, at: &str, into: &mut [u8]) -> Result<(), BundleError> {
        self.packed
            .read_exact(into)
            .map_err(|error| broken(at, &error))?;
        self.done += into.len() as u64;
        (self.progress)(self.done);
        Ok(())
    }
}

/// What goes wrong while unpacking is the file's fault, but for what the system says of its disk.
fn broken(at: &str, error: &io::Error) -> BundleError {
    if error.raw_os_error().is_some() {
        return io::Error::new(error.kind(), error.to_string()).into();
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Refused::at(at, "the file is cut off there").into(),
        _ => Refused::at(at, format!("the file cannot be unpacked there: {error}")).into(),
    }
}

/// What stands where another entry should.
fn stranger(found: &Header, expected: &str) -> Refused {
    let path = String::from_utf8_lossy(&found.path_bytes()).into_owned();
    let mut sum = found.clone();
    sum.set_cksum();
    let kind = found.entry_type();
    let what = if sum.as_bytes() != found.as_bytes() {
        "what stands there is no entry of an archive".to_owned()
    } else if kind.is_symlink() || kind.is_hard_link() {
        format!("an entry `{path}` that is a link stands there")
    } else if !kind.is_file() {
        format!("an entry `{path}` that is no file stands there")
    } else if path.starts_with('/') || path.split('/').any(|part| part == "..") {
        format!("an entry stands there whose name leads elsewhere: `{path}`")
    } else if path != expected {
        format!("an entry `{path}` stands there, which is not the one that the manifest names")
    } else {
        "its header says more than its name and its size".to_owned()
    };
    Refused::at(expected, what)
}
