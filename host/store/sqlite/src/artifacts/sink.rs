//! An artifact on its way to the disk. Its file is locked for as long as somebody writes it: one that nobody holds is left over.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use futures_util::future::BoxFuture;
use milepost_core::ids::Digest;
use tokio::sync::oneshot;

use super::{UNFINISHED, failed, place};
use milepost_store::{ArtifactSink, StoreError, fault};

/// What a loss of power can separate: each step is on the disk when its sync has returned, and may be before.
pub(crate) trait Disk: fmt::Debug + Send + Sync {
    fn make_folder(&self, path: &Path) -> io::Result<()>;
    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()>;
    fn sync(&self, file: &File) -> io::Result<()>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
}

/// That of the machine.
#[derive(Debug)]
pub(crate) struct Machine;

impl Disk for Machine {
    fn make_folder(&self, path: &Path) -> io::Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path)
    }

    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        if cfg!(unix) {
            File::open(path)?.sync_all()?;
        }
        Ok(())
    }
}

/// A file that is being written.
pub(super) struct Sink {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    path: PathBuf,
    file: Option<File>,
}

impl Sink {
    pub(super) fn create(disk: Arc<dyn Disk>, folder: PathBuf) -> io::Result<Self> {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let unfinished = folder.join(UNFINISHED);
        disk.make_folder(&unfinished)?;
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
        let file = options.open(&path)?;
        // Where there are no locks, its age has to tell.
        let _ = file.try_lock();
        let file = Some(file);
        Ok(Self {
            disk,
            folder,
            path,
            file,
        })
    }

    pub(super) fn fill(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.file {
            Some(file) => self.disk.write(file, bytes),
            None => Ok(()),
        }
    }

    pub(super) fn keep(mut self, digest: &Digest) -> io::Result<()> {
        let Some(file) = self.file.take() else {
            return Ok(());
        };
        self.disk.sync(&file)?;
        fault::point("artifact_synced");
        let target = place(&self.folder, digest);
        let beside = target.parent().unwrap_or(&self.folder);
        self.disk.make_folder(beside)?;
        // Also over one that is there: it is the same, unless it was damaged, and new in the eyes of a sweep.
        self.disk.rename(&self.path, &target)?;
        fault::point("artifact_named");
        // Who has made these folders may not have come to this yet.
        self.disk.sync_folder(beside)?;
        self.disk.sync_folder(&self.folder)?;
        self.disk
            .sync_folder(self.folder.parent().unwrap_or(&self.folder))
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        // What was finished has another name by now; what is left otherwise is swept one day.
        let _ = fs::remove_file(&self.path);
    }
}

impl ArtifactSink for Sink {
    fn write<'a>(&'a mut self, chunk: &'a [u8]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let written = self.fill(chunk);
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
