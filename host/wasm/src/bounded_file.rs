//! Files that a person named: definitions, inputs, components. Read up to a limit and no further. Only for inputs, which are read
//! before anything runs, may it take time: they may come from a pipe.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::path::Path;

use milepost_core::definition::format_size;

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system says why.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is a folder.
    #[error("it is a folder")]
    Folder,
    /// It is a device, a pipe: something without an end that could be asked for.
    #[error("it is not a regular file, and could be larger than {}", format_size(*most))]
    NotRegular {
        /// The limit.
        most: usize,
    },
    /// It is larger than it may be.
    #[error("it is larger than {}", format_size(*most))]
    TooLarge {
        /// What is known of its size.
        bytes: u64,
        /// The limit.
        most: usize,
    },
    /// It is not UTF-8.
    #[error("it is not UTF-8 text{}", if *.utf_16 { "; it looks like UTF-16: save it as UTF-8" } else { "" })]
    NotText {
        /// It begins with the byte order mark of UTF-16.
        utf_16: bool,
    },
}

impl From<ReadError> for io::Error {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Io(error) => error,
            other => Self::other(other),
        }
    }
}

/// Reads a regular file of at most `most` bytes.
///
/// # Errors
/// [`ReadError`].
pub fn read(path: &Path, most: usize) -> Result<Vec<u8>, ReadError> {
    let file = open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(ReadError::Folder);
    }
    if !metadata.is_file() {
        return Err(ReadError::NotRegular { most });
    }
    let limit = most as u64;
    let too_large = |bytes| Err(ReadError::TooLarge { bytes, most });
    if metadata.len() > limit {
        return too_large(metadata.len());
    }
    // The size may be wrong: the file grows meanwhile, or the system makes it up (`/proc`).
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() > most {
        return too_large(limit + 1);
    }
    Ok(bytes)
}

/// The same for text. A byte order mark stays where it is.
///
/// # Errors
/// [`ReadError`].
pub fn read_text(path: &Path, most: usize) -> Result<String, ReadError> {
    text(read(path, most)?)
}

/// Text from whatever can be read, also a pipe or a terminal: waits for its end, or for its limit. Not for a thread that others
/// wait for.
///
/// # Errors
/// [`ReadError`]; a folder has nothing to read.
pub fn read_text_stream(path: &Path, most: usize) -> Result<String, ReadError> {
    let file = File::open(path)?;
    let mut bytes = Vec::new();
    file.take(most as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > most {
        let bytes = bytes.len() as u64;
        return Err(ReadError::TooLarge { bytes, most });
    }
    text(bytes)
}

fn text(bytes: Vec<u8>) -> Result<String, ReadError> {
    String::from_utf8(bytes).map_err(|error| {
        let bytes = error.as_bytes();
        let utf_16 = bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff");
        ReadError::NotText { utf_16 }
    })
}

/// Opening a pipe would wait for its other end, and a terminal may become the program's own.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
        options.custom_flags(flags.bits().cast_signed());
    }
    options.open(path)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f");
        std::fs::write(&file, "12345").unwrap();
        assert_eq!(read(&file, 5).unwrap(), b"12345");
        assert!(matches!(
            read(&file, 4),
            Err(ReadError::TooLarge { bytes: 5, most: 4 })
        ));
        assert!(matches!(
            read(&folder.path().join("no"), 4),
            Err(ReadError::Io(_))
        ));
        for (bytes, says) in [(&b"\xff\xfea\0"[..], "UTF-16"), (b"\xe9", "UTF-8")] {
            std::fs::write(&file, bytes).unwrap();
            let error = read_text(&file, 10).unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_stream_is_read_up_to_its_limit() {
        let (reader, mut writer) = io::pipe().unwrap();
        let path = format!("/dev/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&reader));
        io::Write::write_all(&mut writer, b"12345").unwrap();
        // It has no end yet, and is not waited for beyond its limit.
        let read = read_text_stream(Path::new(&path), 4);
        assert!(matches!(read, Err(ReadError::TooLarge { most: 4, .. })));
        io::Write::write_all(&mut writer, b"678").unwrap();
        drop(writer);
        assert_eq!(read_text_stream(Path::new(&path), 4).unwrap(), "678");
        let endless = read_text_stream(Path::new("/dev/zero"), 10);
        assert!(matches!(endless, Err(ReadError::TooLarge { .. })));
        assert!(read_text_stream(Path::new("/"), 10).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn what_has_no_end_is_refused_and_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        let error = read(folder.path(), 10).unwrap_err();
        assert!(matches!(error, ReadError::Folder), "{error}");
        for path in [Path::new("/dev/zero"), &pipe] {
            let error = read(path, 10).unwrap_err();
            assert!(
                matches!(error, ReadError::NotRegular { most: 10 }),
                "{path:?}: {error}"
            );
        }
        // The system says that it has no bytes, and gives some.
        let made_up = read(Path::new("/proc/self/status"), 10);
        assert!(
            matches!(made_up, Err(ReadError::TooLarge { .. })),
            "{made_up:?}"
        );
    }
}
