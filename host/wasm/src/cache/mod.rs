//! Compiled code on disk, so that a component is compiled once per machine and not once per process.
//!
//! An entry is native code that will run with all rights of the process. What makes that acceptable is its place (`folder`): only
//! the user of this process can write there, and that user could as well replace the program itself. The hash in front of
//! each entry is no protection against an attacker; it finds entries that a full disk or a crash has damaged.
//!
//! The cache is never needed: every failure is a warning, and the component is compiled again.

mod folder;
mod upkeep;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use milepost_core::ids::Digest;
use milepost_core::limits;
use sha2::{Digest as _, Sha256};
use wasmtime::Engine;

use self::folder::Folder;

const MAGIC: &[u8; 8] = b"MPcwasm1";
const HASH_BYTES: usize = 32;

/// A directory of compiled components.
#[derive(Debug, Clone)]
pub struct CodeCache {
    /// None when the directory is not to be trusted.
    folder: Option<Arc<Folder>>,
}

impl CodeCache {
    /// Uses `dir`, which is created for the owner alone if it does not exist. When it cannot be used, because it cannot be
    /// created or because others than its owner could have put something there, the reason is logged and the cache stays empty.
    #[must_use]
    pub fn open(dir: &Path) -> Self {
        match Folder::open(dir) {
            Ok(folder) => Self {
                folder: Some(Arc::new(folder)),
            },
            Err(error) => {
                tracing::warn!(dir = %dir.display(), %error, "compiled code is not cached");
                Self { folder: None }
            }
        }
    }

    /// Whether entries are read and written.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.folder.is_some()
    }

    /// The compiled code of a component for this engine, if an undamaged entry is there.
    pub(super) fn read(&self, engine: &Engine, digest: Digest) -> Option<Vec<u8>> {
        let folder = self.folder.as_ref()?;
        let name = entry(engine, digest);
        let mut bytes = match read(folder, &name) {
            Ok(bytes) => bytes,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!(name, %error, "compiled code cannot be read");
                }
                return None;
            }
        };
        if !is_intact(&bytes) {
            tracing::warn!(name, "compiled code is damaged and will be compiled again");
            self.remove(engine, digest);
            return None;
        }
        bytes.drain(..MAGIC.len() + HASH_BYTES);
        Some(bytes)
    }

    /// Stores the compiled code of a component for this engine, and removes what nobody uses any more or is too much.
    pub(super) fn write(&self, engine: &Engine, digest: Digest, code: &[u8]) {
        let Some(folder) = &self.folder else {
            return;
        };
        if !upkeep::make_room(folder, code.len() as u64) {
            return;
        }
        let name = entry(engine, digest);
        if let Err(error) = write_atomically(folder, &name, code) {
            tracing::warn!(name, %error, "compiled code cannot be stored");
        }
    }

    /// Finds the code of one component under another one's name, too, which must be the same code.
    pub(super) fn also(&self, engine: &Engine, digest: Digest, other: Digest) {
        let Some(folder) = &self.folder else {
            return;
        };
        let (name, other) = (entry(engine, digest), entry(engine, other));
        match folder.link(&name, &other) {
            Ok(()) => {}
            // It is there already, or the first one never was.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound
                ) => {}
            Err(error) => tracing::warn!(name, %error, "compiled code cannot be shared"),
        }
    }

    /// Forgets an entry that turned out to be of no use.
    pub(super) fn remove(&self, engine: &Engine, digest: Digest) {
        let name = entry(engine, digest);
        if let Some(folder) = &self.folder
            && let Err(error) = folder.remove(&name)
        {
            tracing::warn!(name, %error, "compiled code cannot be removed");
        }
    }
}

/// Raised when equal components are given to the compiler in another way than before.
const GIVEN_AS: u32 = 3;

/// The name holds everything that the code depends on: the component and how it is compiled, and wasmtime's version, settings and
/// target.
fn entry(engine: &Engine, digest: Digest) -> String {
    let mut hasher = DefaultHasher::new();
    GIVEN_AS.hash(&mut hasher);
    engine.precompile_compatibility_hash().hash(&mut hasher);
    let digest = digest.to_string();
    let digest = digest.rsplit(':').next().unwrap_or(&digest);
    format!("{digest}-{:016x}.cwasm", hasher.finish())
}

fn read(folder: &Folder, name: &str) -> io::Result<Vec<u8>> {
    let file = folder.file(name)?;
    upkeep::used(&file);
    let most = limits::COMPILED_BYTES + MAGIC.len() + HASH_BYTES;
    let size = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    let mut bytes = Vec::with_capacity(size.min(most));
    file.take(most as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn is_intact(bytes: &[u8]) -> bool {
    bytes
        .strip_prefix(MAGIC)
        .and_then(|rest| rest.split_at_checked(HASH_BYTES))
        .is_some_and(|(hash, code)| Sha256::digest(code)[..] == *hash)
}

/// Other processes see the whole entry or none: it is written under another name first.
fn write_atomically(folder: &Folder, name: &str, code: &[u8]) -> io::Result<()> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let stem = name.trim_end_matches(".cwasm");
    let unfinished = format!("{stem}.{}-{number}.tmp", std::process::id());
    let stored = folder
        .write(&unfinished, [MAGIC, &Sha256::digest(code), code])
        .and_then(|()| folder.rename(&unfinished, name));
    if stored.is_err() {
        // The first error is the one to report; the file may not even exist.
        let _ = folder.remove(&unfinished);
    }
    stored
}
