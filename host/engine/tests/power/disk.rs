//! A disk in memory that tells what programs see from what would survive a loss of power.
//!
//! It promises as little as POSIX does: a sync covers the bytes and the length of one file; that a name exists, or no longer
//! does, is only sure after a sync of the folder. Locks and shared memory belong to the machine, not to the disk: they work
//! until the end of the process, whatever happens to the disk.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::ffi;
use tempfile::TempDir;

use super::draws::Draws;
use super::file::{File, Odds};
use super::trouble::{Call, Fate, Trouble};

/// The files of a disk that is not in use, by name.
pub(crate) type Image = BTreeMap<String, Vec<u8>>;

/// Stands for the folder where a file's name is expected.
const FOLDER: &str = "folder";

/// All disks in use, by name: a path `.../power-7.db-wal` is the file `db-wal` of the disk `power-7`.
static DISKS: Mutex<BTreeMap<String, Arc<Disk>>> = Mutex::new(BTreeMap::new());

/// Signalled when writers are let go.
static LET_GO: Condvar = Condvar::new();
static NOTHING: Mutex<()> = Mutex::new(());

#[derive(Debug)]
pub(crate) struct Disk {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// By inode number; a file without a name stays for those who have it open.
    files: Vec<File>,
    /// Names as programs see them.
    names: BTreeMap<String, usize>,
    /// Names as the disk holds them for sure.
    durable_names: BTreeMap<String, usize>,
    /// What happened to names since the folder was synced.
    unsynced_names: Vec<(String, Option<usize>)>,
    trouble: Trouble,
    /// Syncs report success and do nothing.
    lies: bool,
    powered: bool,
    /// What the sync was for that the power failed at.
    cut_at: Option<String>,
    /// Nobody gets the lock to write.
    held: bool,
    /// Whether a call has failed.
    struck: bool,
}

/// A disk in use; unmounted when dropped.
#[derive(Debug)]
pub(crate) struct Mounted {
    name: String,
    disk: Arc<Disk>,
    /// Holds what is not opened through SQLite: the file by which writers take turns.
    folder: TempDir,
}

impl Mounted {
    pub(crate) fn new(image: &Image) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        super::vfs::install();
        let name = format!("power-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let mut state = State {
            files: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            unsynced_names: Vec::new(),
            trouble: Trouble::Never,
            lies: false,
            powered: true,
            cut_at: None,
            held: false,
            struck: false,
        };
        for (file, bytes) in image {
            state.names.insert(file.clone(), state.files.len());
            state.files.push(File::holding(bytes.clone()));
        }
        state.durable_names = state.names.clone();
        let disk = Arc::new(Disk {
            state: Mutex::new(state),
        });
        disks().insert(name.clone(), Arc::clone(&disk));
        let folder = tempfile::tempdir().unwrap();
        Self { name, disk, folder }
    }

    /// Where the store is. No such file exists outside of the test's VFS.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join(format!("{}.db", self.name))
    }

    pub(crate) fn set(&self, trouble: Trouble) {
        self.disk.state().trouble = trouble;
    }

    /// From now on, syncs report success and do nothing.
    pub(crate) fn lie(&self) {
        self.disk.state().lies = true;
    }

    /// Whether a call has failed.
    pub(crate) fn struck(&self) -> bool {
        self.disk.state().struck
    }

    /// What was being synced when the power failed; `None` while it has not.
    pub(crate) fn cut_at(&self) -> Option<String> {
        self.disk.state().cut_at.clone()
    }

    /// Nobody gets the lock to write until the answer is dropped.
    pub(crate) fn hold_writers(&self) -> Held<'_> {
        self.disk.state().held = true;
        Held(&self.disk)
    }

    /// Cuts the power and says what is found afterwards.
    pub(crate) fn cut(&self, draws: &mut Draws) -> Image {
        let mut state = self.disk.state();
        state.powered = false;
        let odds = Odds(*draws.choose(&[0, 25, 50, 75, 100]));
        let mut names = state.durable_names.clone();
        for (name, inode) in &state.unsynced_names {
            if draws.chance(odds.0) {
                match inode {
                    Some(inode) => names.insert(name.clone(), *inode),
                    None => names.remove(name),
                };
            }
        }
        names
            .into_iter()
            .map(|(name, inode)| (name, state.files[inode].surviving(draws, odds)))
            .collect()
    }

    /// The files as programs see them: what is found after the process ended, but not the machine.
    pub(crate) fn contents(&self) -> Image {
        let state = self.disk.state();
        let files = state.names.iter();
        files
            .map(|(name, inode)| (name.clone(), state.files[*inode].bytes().to_vec()))
            .collect()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        disks().remove(&self.name);
    }
}

/// While it lives, writers wait.
pub(crate) struct Held<'a>(&'a Disk);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.state().held = false;
        LET_GO.notify_all();
    }
}

/// Waits as long as SQLite wants to before it tries a lock again, or until writers are let go.
pub(crate) fn sleep(time: Duration) {
    let nothing = NOTHING.lock().unwrap_or_else(PoisonError::into_inner);
    drop(LET_GO.wait_timeout(nothing, time));
}

fn disks() -> MutexGuard<'static, BTreeMap<String, Arc<Disk>>> {
    DISKS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The disk and the file that a path names.
pub(crate) fn locate(path: &str) -> Option<(Arc<Disk>, String)> {
    let name = path.rsplit('/').next()?;
    let (disk, file) = name.split_once('.')?;
    Some((Arc::clone(disks().get(disk)?), file.to_owned()))
}

impl Disk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The inode of a file; made when it is missing and `create` says so.
    pub(crate) fn open(&self, name: &str, create: bool) -> Result<usize, i32> {
        let mut state = self.state();
        state.check(ffi::SQLITE_CANTOPEN)?;
        if let Some(inode) = state.names.get(name) {
            return Ok(*inode);
        }
        if !create {
            return Err(ffi::SQLITE_CANTOPEN);
        }
        state.meet(Call::Create, name)?;
        let inode = state.files.len();
        state.files.push(File::default());
        state.rename(name, Some(inode));
        Ok(inode)
    }

    pub(crate) fn delete(&self, name: &str, sync_folder: bool) -> Result<(), i32> {
        let mut state = self.state();
        state.check(ffi::SQLITE_IOERR_DELETE)?;
        if !state.names.contains_key(name) {
            return Err(ffi::SQLITE_IOERR_DELETE_NOENT);
        }
        state.meet(Call::Delete, name)?;
        state.rename(name, None);
        if sync_folder {
            state.sync_folder()?;
        }
        Ok(())
    }

    /// Whether a file exists and holds anything, as SQLite's own VFS words it.
    pub(crate) fn exists(&self, name: &str) -> Result<bool, i32> {
        let state = self.state();
        state.check(ffi::SQLITE_IOERR_ACCESS)?;
        let inode = state.names.get(name);
        Ok(inode.is_some_and(|inode| state.files[*inode].len() > 0))
    }

    /// Gives a look at a file's content.
    pub(crate) fn look<T>(
        &self,
        inode: usize,
        error: i32,
        look: impl FnOnce(&File) -> T,
    ) -> Result<T, i32> {
        let state = self.state();
        state.check(error)?;
        Ok(look(&state.files[inode]))
    }

    /// Gives access to a file's locks and shared memory.
    pub(crate) fn locks<T>(&self, inode: usize, change: impl FnOnce(&mut File) -> T) -> T {
        change(&mut self.state().files[inode])
    }

    pub(crate) fn write(
        &self,
        inode: usize,
        name: &str,
        offset: usize,
        bytes: &[u8],
    ) -> Result<(), i32> {
        let mut state = self.state();
        state.check(ffi::SQLITE_IOERR_WRITE)?;
        state.meet(Call::Write, name)?;
        state.files[inode].write(offset, bytes);
        Ok(())
    }

    pub(crate) fn resize(&self, inode: usize, name: &str, length: usize) -> Result<(), i32> {
        let mut state = self.state();
        state.check(ffi::SQLITE_IOERR_TRUNCATE)?;
        state.meet(Call::Truncate, name)?;
        state.files[inode].resize(length);
        Ok(())
    }

    /// Makes a file durable, and with it the names of the folder when the caller syncs that too.
    pub(crate) fn sync(&self, inode: usize, name: &str, folder: bool) -> Result<(), i32> {
        let mut state = self.state();
        state.check(ffi::SQLITE_IOERR_FSYNC)?;
        state.sync_file(inode, name)?;
        if folder {
            state.sync_folder()?;
        }
        Ok(())
    }

    /// Whether writers have to wait.
    pub(crate) fn held(&self) -> bool {
        self.state().held
    }
}

impl State {
    fn check(&self, error: i32) -> Result<(), i32> {
        if self.powered { Ok(()) } else { Err(error) }
    }

    /// Lets trouble decide about a call that is no sync.
    fn meet(&mut self, call: Call, name: &str) -> Result<(), i32> {
        match self.trouble.meet(call, name) {
            Fate::Refused(code) => {
                self.struck = true;
                Err(code)
            }
            Fate::Done | Fate::PowerLost { .. } | Fate::Forgotten => Ok(()),
        }
    }

    fn rename(&mut self, name: &str, inode: Option<usize>) {
        match inode {
            Some(inode) => self.names.insert(name.to_owned(), inode),
            None => self.names.remove(name),
        };
        self.unsynced_names.push((name.to_owned(), inode));
    }

    fn sync_file(&mut self, inode: usize, name: &str) -> Result<(), i32> {
        let fate = self.trouble.meet(Call::Sync, name);
        self.struck |= fate != Fate::Done;
        let done = matches!(fate, Fate::Done | Fate::PowerLost { done: true });
        if done && !self.lies {
            self.files[inode].sync();
        }
        match fate {
            Fate::Done => Ok(()),
            Fate::PowerLost { .. } => Err(self.power_lost(name)),
            Fate::Refused(code) => Err(code),
            Fate::Forgotten => {
                self.files[inode].forget_unsynced();
                Err(ffi::SQLITE_IOERR_FSYNC)
            }
        }
    }

    /// Only the power fails here: SQLite's own VFS takes no notice when the sync of a folder does.
    fn sync_folder(&mut self) -> Result<(), i32> {
        let fate = match self.trouble {
            Trouble::Cut { .. } => self.trouble.meet(Call::Sync, FOLDER),
            Trouble::Never | Trouble::Fault { .. } => Fate::Done,
        };
        let lost = matches!(fate, Fate::PowerLost { .. });
        if !self.lies && (!lost || fate == (Fate::PowerLost { done: true })) {
            for (name, inode) in self.unsynced_names.drain(..) {
                match inode {
                    Some(inode) => self.durable_names.insert(name, inode),
                    None => self.durable_names.remove(&name),
                };
            }
        }
        if lost {
            return Err(self.power_lost(FOLDER));
        }
        Ok(())
    }

    fn power_lost(&mut self, at: &str) -> i32 {
        self.powered = false;
        self.cut_at = Some(at.to_owned());
        ffi::SQLITE_IOERR_FSYNC
    }
}
