//! The files of a store: where they are, who may read them, and whether they are still there.
//!
//! Runs hold inputs, outputs and logs, so what is made is its owner's alone, also in a folder that others may enter. SQLite
//! gives its side files the mode of the database, and a new database the mode of the gate ([`mode_of`]): no file is open to
//! others for even a moment.

use std::fs::{self, File, Metadata};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::gate;
use milepost_store::{Cause, StoreError};

/// How often a look is taken at whether the file is still there.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The database by the name of its folder without links. The file itself is not looked at.
pub(super) fn resolved(path: &Path) -> Result<PathBuf, StoreError> {
    let name = path.file_name().ok_or_else(|| {
        StoreError::unavailable(format!("`{}` is not the name of a file", path.display()))
    })?;
    let folder = holder(path).unwrap_or(Path::new("."));
    let folder = folder.canonicalize().map_err(|error| {
        StoreError::met(
            Cause::of(&error),
            format!("cannot open `{}`: {error}", folder.display()),
        )
    })?;
    Ok(folder.join(name))
}

/// The folder that a path names, if it names one.
pub(super) fn holder(path: &Path) -> Option<&Path> {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
}

/// Makes a folder and those above it, for its owner alone. One that exists stays as it is.
pub(super) fn private_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    let missing = missing_folders(folder);
    builder.create(folder)?;
    // SQLite syncs the folder of its files, and nothing above: without this, a new store could be lost with its folder.
    for new in missing {
        // Not every system can sync a folder, and not every user may open it; SQLite goes on then, too.
        if let Ok(holder) = File::open(holder(new).unwrap_or(Path::new("."))) {
            let _ = holder.sync_all();
        }
    }
    Ok(())
}

/// What has to be created for a folder to exist, the innermost first.
fn missing_folders(folder: &Path) -> Vec<&Path> {
    let all = folder.ancestors().filter(|f| !f.as_os_str().is_empty());
    all.take_while(|folder| !folder.exists()).collect()
}

/// A database that exists, without following a link.
///
/// # Errors
/// [`StoreError::Unavailable`] for a link: whoever may write to the folder would choose which file is read or written.
pub(super) fn existing(path: &Path) -> Result<Option<Metadata>, StoreError> {
    let Ok(found) = fs::symlink_metadata(path) else {
        return Ok(None);
    };
    if found.is_symlink() {
        return Err(StoreError::unavailable(format!(
            "`{}` is a link, and links to a database are not followed; name the folder that holds the file itself",
            path.display()
        )));
    }
    Ok(Some(found))
}

/// Whether a database that exists was made whole once, so that one with nothing in it has lost what it held.
///
/// # Errors
/// [`StoreError::Corrupt`] for a file of no length that was more: SQLite would take it, and what stands in its log, for a beginning.
pub(super) fn was_made(path: &Path, database: Option<&Metadata>) -> Result<bool, StoreError> {
    let Some(bytes) = database.filter(|found| found.is_file()).map(Metadata::len) else {
        return Ok(false);
    };
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let says_made = gate::says_made(path);
    // Before it writes to its log, SQLite writes to the file. A log alone does not say that all tables were made.
    let has_begun = says_made || fs::metadata(&log).is_ok_and(|log| log.len() > 0);
    // SQLite takes a file of one byte for an empty one, and nobody begins with that. Looked at again, because another process
    // may have made it since.
    let is_empty = match bytes {
        0 => has_begun && fs::metadata(path).is_ok_and(|found| found.len() == 0),
        bytes => bytes == 1,
    };
    match is_empty {
        true => Err(emptied(path)),
        false => Ok(says_made),
    }
}

/// The refusal of a database that holds nothing any more.
pub(super) fn emptied(path: &Path) -> StoreError {
    StoreError::corrupt(format!(
        "`{}` has lost its content; restore a backup, or, to start with an empty store, move it and the files beside it away",
        path.display()
    ))
}

/// Refuses a database that another user may have put there, and warns of a folder where that is possible.
#[cfg(unix)]
pub(super) fn check_owner(path: &Path, database: Option<&Metadata>) -> Result<(), StoreError> {
    use std::os::unix::fs::MetadataExt as _;
    const EVERYBODY_WRITES: u32 = 0o002;
    const STICKY: u32 = 0o1000;
    let folder = holder(path).unwrap_or(Path::new("."));
    let mode = fs::metadata(folder).map_or(0, |folder| folder.mode());
    if mode & EVERYBODY_WRITES == 0 {
        return Ok(());
    }
    let me = rustix::process::geteuid().as_raw();
    if let Some(owner) = database.map(|file| file.uid())
        && owner != me
        && owner != 0
    {
        return Err(StoreError::unavailable(format!(
            "`{}` belongs to another user ({owner}) and is in a folder that everybody can write to; use a folder of your \
             own",
            path.display()
        )));
    }
    if mode & STICKY == 0 {
        tracing::warn!(
            "everybody can write to {}, and so replace the store in it; `chmod o-w` it, or use a folder of your own",
            folder.display()
        );
    }
    Ok(())
}

#[cfg(not(unix))]
pub(super) fn check_owner(_: &Path, _: Option<&Metadata>) -> Result<(), StoreError> {
    Ok(())
}

/// The gate of a database, made when it is missing, with the mode that the database has or will get. None where it cannot be
/// had: then writers do without.
///
/// # Errors
/// [`StoreError::Unavailable`] for a new database, which takes its mode from the gate, when that cannot be had or belongs to
/// another user.
#[cfg(unix)]
pub(super) fn open_gate(
    database: &Path,
    existing: Option<&Metadata>,
) -> Result<Option<File>, StoreError> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use rustix::fs::{Mode, OFlags};

    const PRIVATE: u32 = 0o600;
    let path = gate::beside(database);
    let mode = existing.map_or(PRIVATE, |database| database.mode() & 0o777);
    let careful = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let open = |how| rustix::fs::open(&path, how | careful, Mode::from_raw_mode(mode as _));
    let opened = open(OFlags::RDWR | OFlags::CREATE).or_else(|_| open(OFlags::RDONLY));
    let file = match opened {
        Ok(file) => File::from(file),
        Err(_) if existing.is_some() => return Ok(None),
        Err(error) => {
            let error = std::io::Error::from(error);
            return Err(StoreError::met(
                Cause::of(&error),
                format!("cannot make `{}`: {error}", path.display()),
            ));
        }
    };
    if existing.is_none() {
        let me = rustix::process::geteuid().as_raw();
        let private = file.metadata().is_ok_and(|found| {
            found.is_file()
                && found.uid() == me
                && file
                    .set_permissions(fs::Permissions::from_mode(PRIVATE))
                    .is_ok()
        });
        if !private {
            return Err(StoreError::unavailable(format!(
                "`{}` belongs to another user: no store is created beside it; use a folder of your own",
                path.display()
            )));
        }
    }
    Ok(Some(file))
}

#[cfg(not(unix))]
pub(super) fn open_gate(database: &Path, _: Option<&Metadata>) -> Result<Option<File>, StoreError> {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    Ok(options.open(gate::beside(database)).ok())
}

/// The name by which SQLite gives a new database the mode of its gate.
pub(super) fn mode_of(database: &Path, gate: &Path) -> String {
    format!("{}?modeof={}", uri(database), escaped(gate))
}

/// The name by which SQLite opens a file that does not change.
pub(super) fn still(database: &Path) -> String {
    format!("{}?immutable=1", uri(database))
}

/// The name by which SQLite opens a file, whatever characters are in it.
pub(super) fn uri(path: &Path) -> String {
    format!("file:{}", escaped(path))
}

/// Whatever a path holds, also what is no text, as a part of a URI.
fn escaped(path: &Path) -> String {
    let bytes = path.as_os_str().as_encoded_bytes();
    let mut out = String::new();
    for byte in bytes {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                out.push(char::from(*byte));
            }
            _ => out.push_str(&format!("%{byte:02x}")),
        }
    }
    out
}

/// Notices that the file of a store was moved, removed or replaced: what is written to it then is lost with it.
#[derive(Debug)]
pub(super) struct Watch {
    path: PathBuf,
    /// None where files have no identity.
    identity: Option<(u64, u64)>,
    opened: Instant,
    /// When to look again, in milliseconds from `opened`.
    next: AtomicU64,
}

impl Watch {
    /// Of a database that was just opened.
    pub(super) fn of(path: PathBuf) -> Self {
        Self {
            identity: fs::metadata(&path).ok().and_then(|file| identity(&file)),
            path,
            opened: Instant::now(),
            next: AtomicU64::new(0),
        }
    }

    /// Looks, if the last look is a while ago.
    ///
    /// # Errors
    /// [`StoreError::Gone`].
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let Some(known) = self.identity else {
            return Ok(());
        };
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let now = millis(self.opened.elapsed());
        if now < self.next.load(Ordering::Relaxed) {
            return Ok(());
        }
        if self.is_gone(known) {
            return Err(self.gone());
        }
        self.next.store(now + millis(LOOK_EVERY), Ordering::Relaxed);
        Ok(())
    }

    /// What went wrong: that the file is gone, if it is.
    pub(super) fn explain(&self, error: StoreError) -> StoreError {
        let unexplained = matches!(error, StoreError::Unavailable(_) | StoreError::Corrupt(_));
        match self.identity {
            Some(known) if unexplained && self.is_gone(known) => self.gone(),
            _ => error,
        }
    }

    fn is_gone(&self, known: (u64, u64)) -> bool {
        match fs::metadata(&self.path) {
            Ok(found) => identity(&found).is_some_and(|found| found != known),
            Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        }
    }

    fn gone(&self) -> StoreError {
        StoreError::Gone(self.path.display().to_string())
    }
}

#[cfg(unix)]
fn identity(file: &Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    Some((file.dev(), file.ino()))
}

#[cfg(not(unix))]
fn identity(_: &Metadata) -> Option<(u64, u64)> {
    None
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use super::*;

    #[test]
    fn every_folder_that_is_made_is_known_to_be_new() {
        let root = tempfile::tempdir().unwrap();
        let (outer, inner) = (root.path().join("a"), root.path().join("a/b"));
        assert_eq!(missing_folders(&inner), [inner.as_path(), outer.as_path()]);
        private_folder(&inner).unwrap();
        assert!(inner.is_dir() && missing_folders(&inner).is_empty());
    }

    #[test]
    fn a_path_stays_one_name_of_a_uri() {
        for (path, name) in [
            ("/a/s.db", "/a/s.db"),
            ("/100% #1?/&=", "/100%25%20%231%3f/%26%3d"),
            ("/é", "/%c3%a9"),
        ] {
            assert_eq!(escaped(Path::new(path)), name);
        }
    }
}
