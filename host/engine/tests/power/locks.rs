//! The locks of a database file and of its shared memory, as the operating system's VFS keeps them between processes. Here
//! they stand between the connections of one process.

use std::collections::BTreeMap;

use rusqlite::ffi;

/// Who asks: one open file handle.
pub(crate) type Holder = u64;

/// The lock levels of a database file (`SQLITE_LOCK_*`).
#[derive(Debug, Default)]
pub(crate) struct FileLocks(BTreeMap<Holder, i32>);

impl FileLocks {
    fn highest_of_others(&self, holder: Holder) -> i32 {
        let others = self.0.iter().filter(|(other, _)| **other != holder);
        others
            .map(|(_, level)| *level)
            .max()
            .unwrap_or(ffi::SQLITE_LOCK_NONE)
    }

    /// Raises the level. False when others are in the way.
    pub(crate) fn raise(&mut self, holder: Holder, level: i32) -> bool {
        let others = self.highest_of_others(holder);
        let own = self.0.entry(holder).or_default();
        if *own >= level {
            return true;
        }
        let free = match level {
            ffi::SQLITE_LOCK_SHARED => others < ffi::SQLITE_LOCK_PENDING,
            ffi::SQLITE_LOCK_RESERVED => others < ffi::SQLITE_LOCK_RESERVED,
            _ if others < ffi::SQLITE_LOCK_RESERVED => {
                // Keeps new readers out until the last present one has gone.
                *own = ffi::SQLITE_LOCK_PENDING;
                others < ffi::SQLITE_LOCK_SHARED
            }
            _ => false,
        };
        if free {
            *own = level;
        }
        free
    }

    pub(crate) fn lower(&mut self, holder: Holder, level: i32) {
        if level == ffi::SQLITE_LOCK_NONE {
            self.0.remove(&holder);
        } else {
            self.0.insert(holder, level);
        }
    }

    /// Whether anybody is about to write.
    pub(crate) fn reserved(&self) -> bool {
        self.highest_of_others(0) >= ffi::SQLITE_LOCK_RESERVED
    }
}

/// The slots of a shared memory: a bit each.
#[derive(Debug, Default)]
pub(crate) struct SlotLocks(BTreeMap<Holder, Slots>);

#[derive(Debug, Default, Clone, Copy)]
struct Slots {
    shared: u8,
    exclusive: u8,
}

impl SlotLocks {
    /// Takes all slots of the mask, or none. False when others are in the way.
    pub(crate) fn take(&mut self, holder: Holder, mask: u8, exclusive: bool) -> bool {
        let others = self.0.iter().filter(|(other, _)| **other != holder);
        let taken = others.fold(0, |taken, (_, slots)| {
            taken | slots.exclusive | if exclusive { slots.shared } else { 0 }
        });
        if taken & mask != 0 {
            return false;
        }
        let own = self.0.entry(holder).or_default();
        if exclusive {
            own.exclusive |= mask;
        } else {
            own.shared |= mask;
        }
        true
    }

    pub(crate) fn release(&mut self, holder: Holder, mask: u8) {
        if let Some(own) = self.0.get_mut(&holder) {
            own.exclusive &= !mask;
            own.shared &= !mask;
        }
    }

    /// The holder has gone.
    pub(crate) fn forget(&mut self, holder: Holder) {
        self.0.remove(&holder);
    }
}
