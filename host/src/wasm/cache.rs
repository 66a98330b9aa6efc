//! Compiled code on disk, so that a component is compiled once per machine and not once per process.
//!
//! An entry is native code that will run with all rights of the process. What makes that acceptable is the directory: only
//! its owner can write there, and the owner could as well replace the program itself. A directory that others could write
//! to is not used. The hash in front of each entry is no protection against an attacker; it finds entries that a full disk
//! or a crash has damaged.
//!
//! The cache is never needed: every failure is a warning, and the component is compiled again.

mod age;

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use milepost_core::ids::Digest;
use sha2::{Digest as _, Sha256};
use wasmtime::Engine;

const MAGIC: &[u8; 8] = b"MPcwasm1";
const HASH_BYTES: usize = 32;

/// A directory of compiled components.
#[derive(Debug, Clone)]
pub struct CodeCache {
    /// None when the directory is not to be trusted.
    dir: Option<PathBuf>,
}

impl CodeCache {
    /// Uses `dir`, which is created for the owner alone if it does not exist. When it cannot be used, because it cannot be
    /// created or because others than its owner may write to it, the reason is logged and the cache stays empty.
    #[must_use]
    pub fn open(dir: &Path) -> Self {
        match prepare(dir) {
            Ok(()) => Self {
                dir: Some(dir.to_owned()),
            },
            Err(error) => {
                tracing::warn!(dir = %dir.display(), %error, "compiled code is not cached");
                Self { dir: None }
            }
        }
    }

    /// Whether entries are read and written.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.dir.is_some()
    }

    /// The compiled code of a component for this engine, if an undamaged entry is there.
    pub(super) fn read(&self, engine: &Engine, digest: Digest) -> Option<Vec<u8>> {
        let path = self.entry(engine, digest)?;
        let mut bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!(path = %path.display(), %error, "compiled code cannot be read");
                }
                return None;
            }
        };
        if !is_intact(&bytes) {
            tracing::warn!(path = %path.display(), "compiled code is damaged and will be compiled again");
            self.remove(engine, digest);
            return None;
        }
        age::used(&path);
        bytes.drain(..MAGIC.len() + HASH_BYTES);
        Some(bytes)
    }

    /// Stores the compiled code of a component for this engine, and removes what nobody uses any more.
    pub(super) fn write(&self, engine: &Engine, digest: Digest, code: &[u8]) {
        let (Some(dir), Some(path)) = (&self.dir, self.entry(engine, digest)) else {
            return;
        };
        age::prune(dir);
        if let Err(error) = write_atomically(&path, code) {
            tracing::warn!(path = %path.display(), %error, "compiled code cannot be stored");
        }
    }

    /// Forgets an entry that turned out to be of no use.
    pub(super) fn remove(&self, engine: &Engine, digest: Digest) {
        if let Some(path) = self.entry(engine, digest)
            && let Err(error) = fs::remove_file(&path)
        {
            tracing::warn!(path = %path.display(), %error, "compiled code cannot be removed");
        }
    }

    /// The name holds everything that the code depends on: the component, and wasmtime's version, settings and target.
    fn entry(&self, engine: &Engine, digest: Digest) -> Option<PathBuf> {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let digest = digest.to_string();
        let digest = digest.rsplit(':').next().unwrap_or(&digest);
        let name = format!("{digest}-{:016x}.cwasm", hasher.finish());
        self.dir.as_ref().map(|dir| dir.join(name))
    }
}

fn is_intact(bytes: &[u8]) -> bool {
    bytes
        .strip_prefix(MAGIC)
        .and_then(|rest| rest.split_at_checked(HASH_BYTES))
        .is_some_and(|(hash, code)| Sha256::digest(code)[..] == *hash)
}

/// Other processes see the whole entry or none: it is written under another name first.
fn write_atomically(path: &Path, code: &[u8]) -> io::Result<()> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let unfinished = path.with_extension(format!("{}-{number}.tmp", std::process::id()));
    let written = create(&unfinished).and_then(|mut file| {
        file.write_all(MAGIC)?;
        file.write_all(&Sha256::digest(code))?;
        file.write_all(code)
    });
    let stored = written.and_then(|()| fs::rename(&unfinished, path));
    if stored.is_err() {
        // The first error is the one to report; the file may not even exist.
        let _ = fs::remove_file(&unfinished);
    }
    stored
}

#[cfg(unix)]
fn create(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

#[cfg(unix)]
fn prepare(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)?;
    let metadata = fs::metadata(dir)?;
    let refuse = |reason| Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return refuse("the directory belongs to another user");
    }
    if metadata.mode() & 0o022 != 0 {
        return refuse(
            "others than its owner may write to the directory; `chmod go-w` makes it usable",
        );
    }
    Ok(())
}

#[cfg(not(unix))]
fn create(path: &Path) -> io::Result<File> {
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
}

#[cfg(not(unix))]
fn prepare(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)
}
