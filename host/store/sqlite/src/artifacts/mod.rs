//! Artifacts as files in a folder beside the database: `ab/cdef...` by digest. A file comes into being under another name and gets its
//! own when it is on the disk, so that one of that name is whole.
//!
//! A file is removed, and a row that names one is written, by whoever holds the database's one lock for writing: so no row names what a
//! sweep has just taken.

mod sink;
#[cfg(all(test, unix))]
mod tests;

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use milepost_core::ids::{Digest, RunId};
use rusqlite::{Connection, Transaction, TransactionBehavior};

use self::sink::Sink;
pub(super) use self::sink::{Disk, Machine};
use super::change::{Change, Failure};
use super::statements::Statements;
use super::{SqliteStore, attempts};
use milepost_core::effect::Applied;
use milepost_store::{ArtifactSink, Artifacts, Cause, Note, StoreError, Swept};

/// Where files are that are not finished.
const UNFINISHED: &str = "unfinished";
/// An unfinished file may be so young that its writer has not locked it yet.
const UNLOCKED: Duration = Duration::from_secs(60);
/// How long one is kept where nobody can tell whether it is locked: longer than any attempt takes.
const ABANDONED: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Files that are removed while nobody else can write.
const TOGETHER: usize = 64;

/// The folder of the artifacts of the database at `path`.
fn folder(path: &Path) -> PathBuf {
    path.with_extension("artifacts")
}

fn place(folder: &Path, digest: &Digest) -> PathBuf {
    let hex = digest.hex();
    let (first, rest) = hex.split_at(2);
    folder.join(first).join(rest)
}

fn failed(what: &str, error: io::Error) -> StoreError {
    let reason = format!("an artifact cannot be {what}: {error}");
    StoreError::met(Cause::of(&error), reason).caused_by(error)
}

/// A note, and where artifacts are.
pub(super) struct Noted {
    note: Note,
    folder: PathBuf,
}

impl Noted {
    pub(super) fn of(note: Note, path: &Path) -> Self {
        let folder = folder(path);
        Self { note, folder }
    }
}

impl Change for Noted {
    type Reply = Applied;

    fn run(&self) -> &RunId {
        &self.note.run
    }

    fn apply(&self, db: &mut Statements<'_>) -> Result<Applied, Failure> {
        let is_kept = |digest: &Digest| match fs::metadata(place(&self.folder, digest)) {
            Ok(data) => Ok(data.is_file()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Failure::Refused(failed("found", error))),
        };
        attempts::note(db, &self.note, is_kept)
    }
}

impl Artifacts for SqliteStore {
    fn create_artifact(&self) -> BoxFuture<'_, Result<Box<dyn ArtifactSink>, StoreError>> {
        Box::pin(async move {
            // One that is only read refuses this as any change.
            self.writer()?;
            let sink = Sink::create(Arc::clone(&self.disk), folder(&self.path));
            let sink = sink.map_err(|error| failed("written", error))?;
            Ok(Box::new(sink) as _)
        })
    }

    fn read_artifact<'a>(
        &'a self,
        digest: &'a Digest,
        offset: u64,
        max: usize,
    ) -> BoxFuture<'a, Result<Option<Vec<u8>>, StoreError>> {
        Box::pin(async move {
            match read(&place(&folder(&self.path), digest), offset, max) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(failed("read", error)),
            }
        })
    }

    fn sweep_artifacts(
        &self,
        grace: Duration,
        pretend: bool,
    ) -> BoxFuture<'_, Result<Swept, StoreError>> {
        Box::pin(async move {
            let folder = folder(&self.path);
            let mut swept = Swept::default();
            for path in left_over(&folder).map_err(|error| failed("swept", error))? {
                take(&mut swept, &path, pretend)?;
            }
            let found = finished(&folder).map_err(|error| failed("swept", error))?;
            for some in found.chunks(TOGETHER) {
                let unused = self.read(|db| unused(db, some, grace))?;
                let taken = match pretend {
                    true => sweep(&unused, true)?,
                    false if unused.is_empty() => Swept::default(),
                    false => self.while_nobody_writes(|db| {
                        // Asked again: now nobody comes to use one.
                        sweep(&self::unused(db, &unused, grace)?, false)
                    })?,
                };
                swept.artifacts += taken.artifacts;
                swept.bytes += taken.bytes;
            }
            Ok(swept)
        })
    }

    fn discard_artifact<'a>(&'a self, digest: &'a Digest) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let file = (*digest, place(&folder(&self.path), digest));
            self.while_nobody_writes(|db| sweep(&unused(db, &[file], Duration::ZERO)?, false))?;
            Ok(())
        })
    }
}

impl SqliteStore {
    /// Acts while this store has the lock that every change of the database needs.
    fn while_nobody_writes<T>(
        &self,
        act: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.watch.check()?;
        self.writer()?.alone(|db| {
            let tx = Transaction::new_unchecked(db, TransactionBehavior::Immediate)?;
            let done = act(&tx);
            tx.commit()?;
            Ok(done)
        })?
    }
}

fn read(path: &Path, offset: u64, max: usize) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(max as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A digest and its file.
type Kept = (Digest, PathBuf);

/// Those that no run uses and that are so old.
fn unused(db: &Connection, files: &[Kept], grace: Duration) -> Result<Vec<Kept>, StoreError> {
    let mut unused = Vec::new();
    for (digest, path) in files {
        if is_older(path, grace) && attempts::artifact(db, digest)?.is_none() {
            unused.push((*digest, path.clone()));
        }
    }
    Ok(unused)
}

fn is_older(path: &Path, age: Duration) -> bool {
    let modified = fs::metadata(path).and_then(|data| data.modified());
    modified.is_ok_and(|at| at.elapsed().unwrap_or_default() >= age)
}

fn sweep(files: &[Kept], pretend: bool) -> Result<Swept, StoreError> {
    let mut swept = Swept::default();
    for (_, path) in files {
        take(&mut swept, path, pretend)?;
    }
    Ok(swept)
}

/// Removes a file, or only counts it.
fn take(swept: &mut Swept, path: &Path, pretend: bool) -> Result<(), StoreError> {
    let bytes = fs::metadata(path).map_or(0, |data| data.len());
    if !pretend {
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed("swept", error)),
            Ok(()) => {}
        }
    }
    swept.artifacts += 1;
    swept.bytes += bytes;
    Ok(())
}

/// Unfinished files that nobody writes any more.
fn left_over(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in files(&folder.join(UNFINISHED))? {
        let is_left = is_older(&path, UNLOCKED)
            && match File::open(&path).map(|file| file.try_lock()) {
                Ok(Ok(())) => true,
                Ok(Err(fs::TryLockError::WouldBlock)) => false,
                Ok(Err(fs::TryLockError::Error(_))) | Err(_) => is_older(&path, ABANDONED),
            };
        if is_left {
            found.push(path);
        }
    }
    Ok(found)
}

/// Files that are named after a digest; what is named otherwise is somebody else's.
fn finished(folder: &Path) -> io::Result<Vec<Kept>> {
    let mut found = Vec::new();
    for part in entries(folder)? {
        let name = part.file_name().to_string_lossy().into_owned();
        if !part.file_type()?.is_dir() {
            continue;
        }
        for path in files(&part.path())? {
            let rest = path.file_name().and_then(|name| name.to_str());
            let digest = rest.and_then(|rest| format!("sha256:{name}{rest}").parse().ok());
            if let Some(digest) = digest {
                found.push((digest, path));
            }
        }
    }
    Ok(found)
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in entries(folder)? {
        // It may go while it is looked at.
        if entry.file_type().is_ok_and(|kind| kind.is_file()) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

fn entries(folder: &Path) -> io::Result<Vec<fs::DirEntry>> {
    match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries?.collect(),
    }
}
