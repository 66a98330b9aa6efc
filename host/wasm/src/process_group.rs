//! The processes that a program starts, as one thing that has a name and can be ended, also by whoever comes after a process that
//! was killed.
//!
//! A group is held by a process of its own, which does nothing: it is in the group before the program is, so that the name of the
//! group can be written down before anything starts, and the system gives the number to nobody else for as long as it has not been
//! waited for. What leaves its group on purpose, by a session of its own as daemons do, is out of reach.

use serde::{Deserialize, Serialize};

use crate::process_table as table;

/// The name of a process group, which no later group of the same number shares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessGroup {
    /// The number that processes know it by: the process id of who holds it.
    pub id: u32,
    /// When who holds it was started, in clock ticks from boot.
    pub started: u64,
    /// The session that it belongs to.
    pub session: u32,
    /// Where that number means something, as [`boot`](table::boot) says.
    pub boot: String,
}

/// What became of the processes of a group whose owner is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Orphans {
    /// None was left.
    None,
    /// So many were, and were killed.
    Killed(usize),
    /// They cannot be seen from here: another container, or a system that does not tell.
    OutOfSight,
}

#[cfg(unix)]
mod unix {
    use std::io::{self, Read as _};
    use std::process::ExitCode;

    use rustix::process::{Pid, Signal, getpgrp, getpid, kill_process_group};

    use super::{Orphans, ProcessGroup, table};

    impl ProcessGroup {
        /// The group that the process `id` leads, which has not been waited for.
        pub(crate) fn led_by(id: u32) -> Self {
            // On a system that does not tell, the group is ended by its owner or not at all.
            let leader = table::process(id);
            Self {
                id,
                started: leader.map_or(0, |leader| leader.started),
                session: leader.map_or(0, |leader| leader.session),
                boot: table::boot(),
            }
        }

        /// Kills what is left of the group after its owner, the process that had it formed, has died.
        #[must_use]
        pub fn kill_orphans(&self) -> Orphans {
            let (boot, namespace) = split(&self.boot);
            let here = table::boot();
            let (boot_here, namespace_here) = split(&here);
            if boot.is_empty() || boot_here.is_empty() || self.started == 0 {
                return Orphans::OutOfSight;
            }
            if boot != boot_here {
                return Orphans::None;
            }
            if namespace != namespace_here {
                return Orphans::OutOfSight;
            }
            let found = self.members();
            if found == 0 {
                return Orphans::None;
            }
            match pid(self.id).map(|id| kill_process_group(id, Signal::KILL)) {
                Some(Ok(())) => Orphans::Killed(found),
                // They ended by themselves, or belong to another user by now.
                Some(Err(_)) | None => Orphans::None,
            }
        }

        /// How many processes of it live. A number is not given away again while anybody is in the group; so where the process of
        /// that number is a later one, the group is gone.
        fn members(&self) -> usize {
            if table::process(self.id).is_some_and(|leader| leader.started != self.started) {
                return 0;
            }
            table::pids()
                .filter_map(table::process)
                .filter(|process| {
                    process.alive
                        && (process.group, process.session) == (self.id, self.session)
                        && process.started >= self.started
                })
                .count()
        }
    }

    /// Identity of the boot and of the process namespace.
    fn split(boot: &str) -> (&str, &str) {
        boot.split_once(' ').unwrap_or((boot, ""))
    }

    pub(crate) fn pid(id: u32) -> Option<Pid> {
        Pid::from_raw(i32::try_from(id).ok()?)
    }

    /// The whole life of a process that holds a group: it waits until its parent has no more use for it, or has died, and takes
    /// the group with it.
    ///
    /// A program whose steps may run programs calls this, and nothing else, when it is started with the arguments of the
    /// [`ChildProgram`](crate::ChildProgram) that it named as the holder.
    #[must_use]
    pub fn hold_group_until_stdin_ends() -> ExitCode {
        let mut words = [0; 64];
        while !matches!(io::stdin().lock().read(&mut words), Ok(0) | Err(_)) {}
        if getpgrp() == getpid() {
            // It is in the group itself.
            let _ = kill_process_group(getpid(), Signal::KILL);
        }
        ExitCode::SUCCESS
    }
}

#[cfg(unix)]
pub use unix::hold_group_until_stdin_ends;
#[cfg(unix)]
pub(crate) use unix::pid;

#[cfg(not(unix))]
impl ProcessGroup {
    /// There are no groups here.
    #[must_use]
    pub fn kill_orphans(&self) -> Orphans {
        Orphans::OutOfSight
    }
}
