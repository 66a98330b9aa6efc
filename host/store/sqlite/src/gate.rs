//! A turn for everybody who wants to write, whichever process they are in.
//!
//! SQLite lets writers poll for its lock. A run of short steps gives the lock back for an instant between two commits, and
//! whoever polls hardly ever meets that instant. So a writer first takes the *gate*, a file beside the database that
//! one process at a time can lock, and keeps it until its transaction has begun: while somebody waits, the busy one has to
//! queue behind it.
//!
//! The gate is a courtesy: SQLite's own lock is what keeps the data safe. Where the gate cannot be had, because its file
//! cannot be made or its holder was stopped, writers do without it. The kernel takes it from a process that ends.
//!
//! A word in it says that the database was made whole once: an empty one is what is left of that, and not a beginning.

use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// Longest wait at the gate. Its holder waits for one transaction, so this means that it was stopped.
const PATIENCE: Duration = Duration::from_secs(2);
/// The wait at a gate whose holder was found to be stopped.
const PATIENCE_JAMMED: Duration = Duration::from_millis(20);

/// What is added to the name of the database.
const SUFFIX: &str = "-gate";

/// The word.
const MADE: &[u8] = b"made\n";

#[derive(Debug)]
pub(super) struct Gate {
    /// None where no file can be had.
    file: Option<File>,
    /// The last wait was in vain.
    jammed: bool,
}

/// While it lives, others wait at the gate.
pub(super) struct Pass<'a>(Option<&'a File>);

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if let Some(file) = self.0 {
            // A lock that cannot be given back ends with the file.
            let _ = file.unlock();
        }
    }
}

impl Gate {
    pub(super) fn of(file: Option<File>) -> Self {
        Self {
            file,
            jammed: false,
        }
    }

    /// Takes the gate. Without patience the answer is `None` when another has it; otherwise it is waited for, and done
    /// without when the wait is in vain.
    pub(super) fn pass(&mut self, patience: Duration) -> Option<Pass<'_>> {
        let Some(file) = &self.file else {
            return Some(Pass(None));
        };
        let longest = match self.jammed {
            true => PATIENCE_JAMMED,
            false => PATIENCE,
        };
        let mut waiting = Waiting::at_most(patience.min(longest));
        loop {
            match file.try_lock() {
                Ok(()) => {
                    self.jammed = false;
                    return Some(Pass(Some(file)));
                }
                Err(TryLockError::WouldBlock) if patience.is_zero() => return None,
                Err(TryLockError::WouldBlock) if waiting.again() => {}
                Err(TryLockError::WouldBlock) => {
                    self.jammed = true;
                    return Some(Pass(None));
                }
                // A file system without locks.
                Err(TryLockError::Error(_)) => return Some(Pass(None)),
            }
        }
    }
}

/// Where the gate of a database is.
pub(super) fn beside(database: &Path) -> std::path::PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(SUFFIX);
    path.into()
}

/// Says that the database beside it is made. One that may not be written goes without.
pub(super) fn mark_made(mut gate: &File) {
    if gate.metadata().is_ok_and(|found| found.len() == 0) {
        let _ = gate.write_all(MADE);
    }
}

/// Takes that back: there is no database beside it.
pub(super) fn mark_unmade(gate: &File) {
    let _ = gate.set_len(0);
}

/// Whether the gate of a database says that it was made.
pub(super) fn says_made(database: &Path) -> bool {
    std::fs::symlink_metadata(beside(database))
        .is_ok_and(|found| found.is_file() && found.len() > 0)
}

/// A wait in short sleeps: what is waited for gives no sign.
pub(super) struct Waiting {
    until: Instant,
    sleep: Duration,
}

impl Waiting {
    /// Short beside the sync of a disk, and long beside what a try costs.
    const LONGEST: Duration = Duration::from_millis(1);

    pub(super) fn at_most(patience: Duration) -> Self {
        Self {
            until: Instant::now() + patience,
            sleep: Duration::from_micros(50),
        }
    }

    /// Sleeps; false when there is no time left.
    pub(super) fn again(&mut self) -> bool {
        if Instant::now() >= self.until {
            return false;
        }
        std::thread::sleep(self.sleep);
        self.sleep = (self.sleep * 2).min(Self::LONGEST);
        true
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use super::*;

    fn gates() -> (tempfile::TempDir, [Gate; 2]) {
        let folder = tempfile::tempdir().unwrap();
        let path = beside(&folder.path().join("s.db"));
        let open = || Gate::of(Some(File::create(&path).unwrap()));
        let gates = [open(), open()];
        (folder, gates)
    }

    #[test]
    fn one_at_a_time_has_the_gate() {
        let (_folder, [mut one, mut two]) = gates();
        let pass = one.pass(Duration::ZERO);
        assert!(pass.is_some() && two.pass(Duration::ZERO).is_none());
        drop(pass);
        assert!(two.pass(Duration::ZERO).is_some());
    }

    #[test]
    fn a_gate_whose_holder_is_stopped_is_done_without_and_soon_at_once() {
        let (_folder, [mut stopped, mut other]) = gates();
        let held = stopped.pass(Duration::ZERO);
        let wait = Duration::from_millis(5);
        assert!(other.pass(wait).is_some_and(|pass| pass.0.is_none()));
        assert!(other.jammed);
        drop(held);
        assert!(other.pass(wait).is_some_and(|pass| pass.0.is_some()));
        assert!(!other.jammed);
    }

    #[test]
    fn without_a_file_everybody_passes() {
        let mut gate = Gate::of(None);
        assert!(gate.pass(Duration::ZERO).is_some());
    }
}
