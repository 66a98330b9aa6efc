//! Files as inputs of type `file`: read once, in pieces, into an artifact of the store. What a run is started with is what is known of that
//! artifact; the file itself is not looked at again.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::path::Path;

use milepost_core::definition::format_size;
use milepost_core::effect::Artifact;
use milepost_core::ids::{Digest, Hasher};
use milepost_core::limits;
use milepost_core::shown::Shown;

use crate::store::{Store, StoreError};

/// A file that was looked at and can be read.
#[derive(Debug)]
pub struct InputFile {
    file: File,
    /// As it was opened; of a pipe nothing that counts is known.
    metadata: Metadata,
    shown: String,
    name: String,
    media_type: &'static str,
}

/// Why a file cannot be an input.
#[derive(Debug, thiserror::Error)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub enum InputFileError {
    /// The system says why.
    #[error("cannot read {file}: {cause}")]
    Io {
        /// The file.
        file: String,
        /// Why.
        cause: io::Error,
    },
    /// It is a folder or a device.
    #[error("{file} is {what}, not a file")]
    NotAFile {
        /// The path.
        file: String,
        /// What it is.
        what: &'static str,
    },
    /// It is larger than an artifact may be.
    #[error("{file} is larger than {}", format_size(limits::ARTIFACT_BYTES as usize))]
    TooLarge {
        /// The file.
        file: String,
    },
    /// What was read may be neither what it was before nor what it is now.
    #[error("{file} was changed while it was read")]
    Changed {
        /// The file.
        file: String,
    },
    /// It cannot be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl InputFile {
    /// Opens a file, or a pipe, whose other end this waits for. The name is for people: what the path ends with, or `otherwise` where that is no
    /// name of a file.
    ///
    /// # Errors
    /// [`InputFileError`].
    pub fn open(path: &Path, otherwise: &str) -> Result<Self, InputFileError> {
        let shown = Shown(path.display()).to_string();
        let io = |cause| InputFileError::Io {
            file: shown.clone(),
            cause,
        };
        // A folder can be opened, and only fails when it is read.
        let metadata = std::fs::metadata(path).map_err(io)?;
        if let Some(what) = unsuitable(&metadata) {
            return Err(InputFileError::NotAFile { file: shown, what });
        }
        let file = File::open(path).map_err(io)?;
        let metadata = file.metadata().map_err(io)?;
        if metadata.is_file() && metadata.len() > limits::ARTIFACT_BYTES {
            return Err(InputFileError::TooLarge { file: shown });
        }
        let named = path.file_name().filter(|_| metadata.is_file());
        let name = named.map(|name| name.to_string_lossy().into_owned());
        let fits = |name: &String| name.len() <= limits::KEY_BYTES;
        Ok(Self {
            media_type: media_type(path),
            name: name.filter(fits).unwrap_or_else(|| otherwise.to_owned()),
            file,
            metadata,
            shown,
        })
    }

    /// The artifact as far as it is known before it is read: of a size that may be wrong, and of a digest that is.
    #[must_use]
    pub fn outline(&self) -> Artifact {
        self.artifact(Digest::of(&[]), 0)
    }

    /// Reads it to its end and keeps it. No more of it than a piece is in memory. The thread waits while the file, or the other end of a pipe, does.
    ///
    /// # Errors
    /// [`InputFileError`]; nothing is kept that a sweep does not take away.
    pub async fn keep(mut self, store: &dyn Store) -> Result<Artifact, InputFileError> {
        let mut sink = store.create_artifact().await?;
        let mut hashed = Hasher::default();
        let mut size = 0;
        let mut piece = vec![0; limits::ARTIFACT_CHUNK_BYTES];
        loop {
            let bytes = match self.file.read(&mut piece) {
                Ok(0) => break,
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(cause) => {
                    let file = self.shown;
                    return Err(InputFileError::Io { file, cause });
                }
            };
            size += bytes as u64;
            if size > limits::ARTIFACT_BYTES {
                return Err(InputFileError::TooLarge { file: self.shown });
            }
            hashed.update(&piece[..bytes]);
            sink.write(&piece[..bytes]).await?;
        }
        if !self.is_unchanged(size) {
            return Err(InputFileError::Changed { file: self.shown });
        }
        let artifact = self.artifact(hashed.finish(), size);
        sink.finish(artifact.digest).await?;
        Ok(artifact)
    }

    /// Whether so many bytes are the file as it was all the while.
    fn is_unchanged(&self, size: u64) -> bool {
        let before = &self.metadata;
        if !before.is_file() {
            return true;
        }
        self.file.metadata().is_ok_and(|after| {
            // What the system makes up (`/proc`) has no bytes by its metadata, before and afterwards.
            let is_made_up = before.len() == 0 && after.len() == 0;
            (size == before.len() || is_made_up)
                && before.len() == after.len()
                && (before.modified().ok() == after.modified().ok() || is_made_up)
        })
    }

    fn artifact(&self, digest: Digest, size: u64) -> Artifact {
        Artifact {
            digest,
            name: self.name.clone(),
            size,
            media_type: self.media_type.to_owned(),
        }
    }
}

/// What cannot be read to an end. A pipe can.
fn unsuitable(metadata: &Metadata) -> Option<&'static str> {
    if metadata.is_dir() {
        return Some("a folder");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        let kind = metadata.file_type();
        if kind.is_char_device() || kind.is_block_device() {
            return Some("a device");
        }
        if kind.is_socket() {
            return Some("a socket");
        }
    }
    None
}

/// What a file is by the end of its name: the types that steps tell apart, and bytes for everything else. No more than a hint.
fn media_type(path: &Path) -> &'static str {
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    match extension.to_ascii_lowercase().as_str() {
        "csv" => "text/csv",
        "tsv" => "text/tab-separated-values",
        "txt" | "log" => "text/plain",
        "md" => "text/markdown",
        "html" | "htm" => "text/html",
        "css" => "text/css",
        "js" | "mjs" => "text/javascript",
        "json" => "application/json",
        "jsonl" | "ndjson" => "application/x-ndjson",
        "toml" => "application/toml",
        "yaml" | "yml" => "application/yaml",
        "xml" => "application/xml",
        "pdf" => "application/pdf",
        "wasm" => "application/wasm",
        "parquet" => "application/vnd.apache.parquet",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "zip" => "application/zip",
        "gz" | "tgz" => "application/gzip",
        "zst" => "application/zstd",
        "tar" => "application/x-tar",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "svg" => "image/svg+xml",
        "mp3" => "audio/mpeg",
        "wav" => "audio/wav",
        "mp4" => "video/mp4",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use std::fs;
    use std::io::Write as _;
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::store::memory::MemoryStore;
    use crate::store::prelude::*;

    fn keep(file: InputFile, store: &MemoryStore) -> Result<Artifact, InputFileError> {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(file.keep(store))
    }

    fn read(store: &MemoryStore, artifact: &Artifact) -> Option<Vec<u8>> {
        let read = store.read_artifact(&artifact.digest, 0, usize::MAX);
        futures_util::FutureExt::now_or_never(read)
            .unwrap()
            .unwrap()
    }

    #[test]
    fn b47_a_file_becomes_an_artifact_of_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let store = MemoryStore::new();
        for (name, bytes, media_type) in [
            ("orders.CSV", &b"a,b\n"[..], "text/csv"),
            ("empty", b"", "application/octet-stream"),
            ("raw.bin", &[0xff; 3_000_000], "application/octet-stream"),
        ] {
            let path = folder.path().join(name);
            fs::write(&path, bytes).unwrap();
            let artifact = keep(InputFile::open(&path, "input").unwrap(), &store).unwrap();
            let expected = Artifact {
                digest: Digest::of(bytes),
                name: name.to_owned(),
                size: bytes.len() as u64,
                media_type: media_type.to_owned(),
            };
            assert_eq!(artifact, expected);
            assert_eq!(read(&store, &artifact).as_deref(), Some(bytes));
        }
    }

    type Change = fn(&Path);

    #[test]
    fn b47_what_changes_while_it_is_read_is_refused_and_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let store = MemoryStore::new();
        let changes: [(&str, Change); 3] = [
            ("grown", |path| {
                let file = fs::OpenOptions::new().append(true).open(path);
                file.unwrap().write_all(b"more").unwrap();
            }),
            ("cut", |path| fs::write(path, "x").unwrap()),
            ("other bytes", |path| {
                fs::write(path, "54321").unwrap();
                let file = fs::File::options().write(true).open(path).unwrap();
                let later = SystemTime::now() + Duration::from_secs(60);
                file.set_modified(later).unwrap();
            }),
        ];
        for (what, change) in changes {
            fs::write(&path, "12345").unwrap();
            let file = InputFile::open(&path, "input").unwrap();
            change(&path);
            let error = keep(file, &store).unwrap_err();
            assert!(
                matches!(error, InputFileError::Changed { .. }),
                "{what}: {error}"
            );
        }
        for bytes in [&b"12345"[..], b"12345more", b"x", b"54321"] {
            let digest = Digest::of(bytes);
            let found = store.read_artifact(&digest, 0, 1);
            let found = futures_util::FutureExt::now_or_never(found).unwrap();
            assert_eq!(found.unwrap(), None);
        }
    }

    #[cfg(unix)]
    #[test]
    fn b47_a_pipe_is_read_to_its_end_and_what_has_none_is_refused() {
        let (reader, mut writer) = io::pipe().unwrap();
        let path = format!("/dev/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&reader));
        let writing = std::thread::spawn(move || writer.write_all(&[b'x'; 300_000]));
        let store = MemoryStore::new();
        let file = InputFile::open(Path::new(&path), "log").unwrap();
        let artifact = keep(file, &store).unwrap();
        writing.join().unwrap().unwrap();
        assert_eq!((artifact.name.as_str(), artifact.size), ("log", 300_000));
        // The system says that it has no bytes, and gives some.
        let made_up = InputFile::open(Path::new("/proc/self/status"), "status").unwrap();
        assert!(keep(made_up, &store).unwrap().size > 0);
        for (path, what) in [("/dev/zero", "a device"), ("/", "a folder")] {
            let error = InputFile::open(Path::new(path), "f").unwrap_err();
            assert_eq!(error.to_string(), format!("{path} is {what}, not a file"));
        }
    }

    #[test]
    fn b47_a_file_that_is_too_large_is_refused_before_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        let file = fs::File::create(&path).unwrap();
        // Of holes: it takes no room.
        file.set_len(limits::ARTIFACT_BYTES + 1).unwrap();
        let error = InputFile::open(&path, "f").unwrap_err();
        assert!(
            error.to_string().ends_with("is larger than 4GiB"),
            "{error}"
        );
    }
}
