//! What goes wrong with a disk, and when.

use rusqlite::ffi;

/// The name of the database itself, beside its journals.
const DATABASE: &str = "db";

/// A call that changes what is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Create,
    Write,
    Truncate,
    Sync,
    Delete,
}

impl Call {
    /// What the operating system's VFS reports when it fails.
    fn io_error(self) -> i32 {
        match self {
            Self::Create => ffi::SQLITE_CANTOPEN,
            Self::Write => ffi::SQLITE_IOERR_WRITE,
            Self::Truncate => ffi::SQLITE_IOERR_TRUNCATE,
            Self::Sync => ffi::SQLITE_IOERR_FSYNC,
            Self::Delete => ffi::SQLITE_IOERR_DELETE,
        }
    }
}

/// What will go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    Never,
    /// The power fails at a sync, which reports an error whether its work was done or not.
    Cut {
        /// How many syncs still succeed.
        after: u64,
        among: Among,
        /// Whether the sync was just done.
        done: bool,
    },
    /// A call fails.
    Fault {
        /// How many calls of the kind still succeed.
        after: u64,
        among: Among,
        fault: Fault,
        /// Whether the calls after it fail as well.
        lasting: bool,
    },
}

/// Which calls count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Among {
    All,
    /// Those on the database itself: while it is made, and when the WAL is folded into it.
    Database,
}

/// How calls fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Any call that changes the disk.
    Any,
    /// A write, for want of space.
    Full,
    /// A sync that also forgets what it should have written: as on Linux, where the pages count as clean afterwards, so that
    /// the next sync succeeds without them.
    Forgetful,
}

impl Fault {
    fn meets(self, call: Call) -> bool {
        match self {
            Self::Any => true,
            Self::Full => call == Call::Write,
            Self::Forgetful => call == Call::Sync,
        }
    }
}

/// What becomes of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It does its work and says so.
    Done,
    /// The power fails, before or after its work was done.
    PowerLost { done: bool },
    /// It does nothing and reports this code.
    Refused(i32),
    /// A sync that does nothing, reports an error, and leaves nothing for the next one.
    Forgotten,
}

impl Trouble {
    /// Decides about the next call on a file, or on the folder.
    pub(crate) fn meet(&mut self, call: Call, file: &str) -> Fate {
        let (after, among, meets) = match self {
            Self::Never => return Fate::Done,
            Self::Cut { after, among, .. } => (after, among, call == Call::Sync),
            Self::Fault {
                after,
                among,
                fault,
                ..
            } => (after, among, fault.meets(call)),
        };
        if !meets || (*among == Among::Database && file != DATABASE) {
            return Fate::Done;
        }
        if *after > 0 {
            *after -= 1;
            return Fate::Done;
        }
        match *self {
            Self::Never => Fate::Done,
            Self::Cut { done, .. } => Fate::PowerLost { done },
            Self::Fault { fault, lasting, .. } => {
                if !lasting {
                    *self = Self::Never;
                }
                match fault {
                    Fault::Any => Fate::Refused(call.io_error()),
                    Fault::Full => Fate::Refused(ffi::SQLITE_FULL),
                    Fault::Forgetful => Fate::Forgotten,
                }
            }
        }
    }
}
