//! One open file: what SQLite asks of it, in safe terms.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use rusqlite::ffi;

use super::disk::{Disk, locate};
use super::locks::Holder;

/// The slot whose exclusive lock lets a connection write (`WAL_WRITE_LOCK`).
const WRITE_SLOT: u8 = 1;

#[derive(Debug)]
pub(crate) struct Handle {
    disk: Arc<Disk>,
    name: String,
    inode: usize,
    holder: Holder,
    /// The name may be new: the next sync covers the folder too, as in SQLite's own VFS.
    sync_folder: bool,
    delete_on_close: bool,
}

impl Handle {
    pub(crate) fn open(path: &str, flags: i32) -> Result<Self, i32> {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let create = flags & ffi::SQLITE_OPEN_CREATE != 0;
        let journal = ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_WAL;
        let (disk, name) = locate(path).ok_or(ffi::SQLITE_CANTOPEN)?;
        let inode = disk.open(&name, create)?;
        Ok(Self {
            disk,
            name,
            inode,
            holder: NEXT.fetch_add(1, Ordering::Relaxed),
            sync_folder: create && flags & journal != 0,
            delete_on_close: flags & ffi::SQLITE_OPEN_DELETEONCLOSE != 0,
        })
    }

    /// Returns how much was there.
    pub(crate) fn read(&self, offset: usize, into: &mut [u8]) -> Result<usize, i32> {
        self.disk.look(self.inode, ffi::SQLITE_IOERR_READ, |file| {
            file.read(offset, into)
        })
    }

    pub(crate) fn size(&self) -> Result<usize, i32> {
        let error = ffi::SQLITE_IOERR_FSTAT;
        self.disk.look(self.inode, error, |file| file.len())
    }

    pub(crate) fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), i32> {
        self.disk.write(self.inode, &self.name, offset, bytes)
    }

    pub(crate) fn resize(&self, length: usize) -> Result<(), i32> {
        self.disk.resize(self.inode, &self.name, length)
    }

    pub(crate) fn sync(&mut self) -> Result<(), i32> {
        self.disk.sync(self.inode, &self.name, self.sync_folder)?;
        self.sync_folder = false;
        Ok(())
    }

    pub(crate) fn lock(&self, level: i32) -> Result<(), i32> {
        self.disk
            .locks(self.inode, |file| file.locks.raise(self.holder, level))
            .then_some(())
            .ok_or(ffi::SQLITE_BUSY)
    }

    pub(crate) fn unlock(&self, level: i32) {
        self.disk
            .locks(self.inode, |file| file.locks.lower(self.holder, level));
    }

    pub(crate) fn reserved(&self) -> bool {
        self.disk.locks(self.inode, |file| file.locks.reserved())
    }

    /// The start of a region of the shared memory.
    pub(crate) fn region(&self, index: usize, bytes: usize, extend: bool) -> Option<*mut u8> {
        self.disk.locks(self.inode, |file| {
            file.memory.region(self.holder, index, bytes, extend)
        })
    }

    pub(crate) fn take_slots(&self, mask: u8, exclusive: bool) -> Result<(), i32> {
        if exclusive && mask & WRITE_SLOT != 0 && self.disk.held() {
            return Err(ffi::SQLITE_BUSY);
        }
        let take = |slots: &mut super::locks::SlotLocks| slots.take(self.holder, mask, exclusive);
        self.disk
            .locks(self.inode, |file| take(&mut file.memory.slots))
            .then_some(())
            .ok_or(ffi::SQLITE_BUSY)
    }

    pub(crate) fn release_slots(&self, mask: u8) {
        self.disk.locks(self.inode, |file| {
            file.memory.slots.release(self.holder, mask);
        });
    }

    pub(crate) fn barrier() {
        fence(Ordering::SeqCst);
    }

    pub(crate) fn leave_memory(&self) {
        self.disk
            .locks(self.inode, |file| file.memory.leave(self.holder));
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.unlock(ffi::SQLITE_LOCK_NONE);
        self.leave_memory();
        if self.delete_on_close {
            // SQLite does not ask whether it went well either.
            let _ = self.disk.delete(&self.name, false);
        }
    }
}
