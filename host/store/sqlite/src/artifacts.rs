//! Artifacts as files in a folder beside the database: `ab/cdef...` by digest. A file comes into being under another name and gets its
//! own when it is on the disk, so that one of that name is whole.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use milepost_core::ids::Digest;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{SqliteStore, attempts};
use milepost_store::{ArtifactSink, Artifacts, StoreError, Swept, fault};

/// Where files are that are not finished.
const UNFINISHED: &str = "unfinished";
/// How long one that nobody finishes is kept: longer than any attempt takes.
const ABANDONED: Duration = Duration::from_secs(7 * 24 * 60 * 60);

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
    StoreError::unavailable(format!("an artifact cannot be {what}: {error}")).caused_by(error)
}

impl Artifacts for SqliteStore {
    fn create_artifact(&self) -> BoxFuture<'_, Result<Box<dyn ArtifactSink>, StoreError>> {
        Box::pin(async move {
            // One that is only read refuses this as any change.
            self.writer()?;
            let sink =
                Sink::create(folder(&self.path)).map_err(|error| failed("written", error))?;
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
        Box::pin(async move { self.read(|db| sweep(db, &folder(&self.path), grace, pretend)) })
    }
}

fn read(path: &Path, offset: u64, max: usize) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(max as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A file that is being written.
struct Sink {
    folder: PathBuf,
    path: PathBuf,
    file: Option<File>,
}

impl Sink {
    fn create(folder: PathBuf) -> io::Result<Self> {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let unfinished = folder.join(UNFINISHED);
        make_folder(&unfinished)?;
        let nanos = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
            .as_nanos();
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        let path = unfinished.join(format!("{}-{nanos}-{number}", process::id()));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = Some(options.open(&path)?);
        Ok(Self { folder, path, file })
    }

    fn keep(mut self, digest: &Digest) -> io::Result<()> {
        let Some(file) = self.file.take() else {
            return Ok(());
        };
        file.sync_all()?;
        fault::point("artifact_synced");
        let target = place(&self.folder, digest);
        let beside = target.parent().unwrap_or(&self.folder);
        make_folder(beside)?;
        // Also over one that is there: it is the same, unless it was damaged, and new in the eyes of a sweep.
        fs::rename(&self.path, &target)?;
        fault::point("artifact_named");
        // Who has made these folders may not have come to this yet.
        sync_folder(beside)?;
        sync_folder(&self.folder)?;
        sync_folder(self.folder.parent().unwrap_or(&self.folder))
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        // What was finished has another name by now; what is left otherwise is swept one day.
        let _ = fs::remove_file(&self.path);
    }
}

fn make_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(path)?.sync_all()?;
    }
    Ok(())
}

impl ArtifactSink for Sink {
    fn write<'a>(&'a mut self, chunk: &'a [u8]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let written = match &mut self.file {
                Some(file) => file.write_all(chunk),
                None => Ok(()),
            };
            written.map_err(|error| failed("written", error))
        })
    }

    /// A large file takes its time to reach the disk: no thread that drives runs waits for it.
    fn finish(self: Box<Self>, digest: Digest) -> BoxFuture<'static, Result<(), StoreError>> {
        let (told, kept) = oneshot::channel();
        let keeping = std::thread::Builder::new()
            .name("artifact".to_owned())
            .spawn(move || {
                // Whoever asked may have lost interest.
                let _ = told.send(self.keep(&digest));
            });
        Box::pin(async move {
            let kept = match keeping {
                Ok(_) => kept
                    .await
                    .unwrap_or_else(|_| Err(io::Error::other("its thread ended"))),
                Err(error) => Err(error),
            };
            kept.map_err(|error| failed("written", error))
        })
    }
}

fn sweep(
    db: &Connection,
    folder: &Path,
    grace: Duration,
    pretend: bool,
) -> Result<Swept, StoreError> {
    let mut swept = Swept::default();
    let failed = |error| failed("swept", error);
    let mut remove = |path: &Path, bytes: u64| -> Result<(), StoreError> {
        if !pretend {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
                _ => {}
            }
        }
        swept.artifacts += 1;
        swept.bytes += bytes;
        Ok(())
    };
    for (part, path, bytes, age) in files(folder).map_err(failed)? {
        if part == UNFINISHED {
            if age > ABANDONED {
                remove(&path, bytes)?;
            }
            continue;
        }
        let rest = path.file_name().and_then(|name| name.to_str());
        let digest = rest.and_then(|rest| format!("sha256:{part}{rest}").parse().ok());
        // What is named otherwise is somebody else's.
        // Asked again: somebody may have written it since.
        let is_old = || {
            let modified = fs::metadata(&path).and_then(|data| data.modified());
            modified.is_ok_and(|at| at.elapsed().unwrap_or_default() >= grace)
        };
        if let Some(digest) = digest
            && age >= grace
            && attempts::artifact(db, &digest)?.is_none()
            && is_old()
        {
            remove(&path, bytes)?;
        }
    }
    Ok(swept)
}

/// All files with their folder's name, their size and their age.
fn files(folder: &Path) -> io::Result<Vec<(String, PathBuf, u64, Duration)>> {
    let mut found = Vec::new();
    let parts = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        parts => parts?,
    };
    for part in parts {
        let part = part?;
        let name = part.file_name().to_string_lossy().into_owned();
        if !part.file_type()?.is_dir() {
            continue;
        }
        for file in fs::read_dir(part.path())? {
            let file = file?;
            // It may go while it is looked at.
            let Ok(data) = file.metadata() else {
                continue;
            };
            if data.is_file() {
                let age = data.modified()?.elapsed().unwrap_or_default();
                found.push((name.clone(), file.path(), data.len(), age));
            }
        }
    }
    Ok(found)
}
