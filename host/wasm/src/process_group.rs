//! The processes of a program that a step runs, as one thing that has a name and can be ended, also by whoever comes after a process
//! that was killed.
//!
//! A group is held by a process of its own, which does nothing: it is in the group before the program is, so that the name of the
//! group can be written down before anything starts, and the system gives the number to nobody else for as long as it has not been
//! waited for. What leaves its group on purpose, by a session of its own as daemons do, is the matter of the
//! [supervisor](crate::supervisor) of its program, and of the [process above](crate::strays) that; where both were killed, only what still has
//! its parents in the group is found.

use std::collections::BTreeSet;

use milepost_core::effect::ProcessGroup;

use crate::process_table as table;

/// What became of the processes of a group whose owner is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Orphans {
    /// None was left.
    None,
    /// So many were, and were killed.
    Killed(usize),
    /// They cannot be seen from here: another machine or container, or a system that does not tell.
    OutOfSight,
}

/// The group that a process leads which has not been waited for. On a system that does not tell, it has no start: its owner ends it,
/// or nobody does.
pub(crate) fn led_by(id: u32) -> ProcessGroup {
    ProcessGroup {
        host: table::host(),
        boot: table::boot(),
        group: id,
        started: table::process(id).map_or(0, |leader| leader.started),
    }
}

/// Kills what is left of a group after its owner, the process that had it formed, has died.
#[must_use]
pub fn kill_orphans(group: &ProcessGroup) -> Orphans {
    let (boot, namespace) = split(&group.boot);
    let here = table::boot();
    let (boot_here, namespace_here) = split(&here);
    if boot.is_empty() || boot_here.is_empty() || group.started == 0 || group.host != table::host()
    {
        return Orphans::OutOfSight;
    }
    if boot != boot_here {
        return Orphans::None;
    }
    if namespace != namespace_here {
        return Orphans::OutOfSight;
    }
    let found = family(group);
    if found.is_empty() {
        return Orphans::None;
    }
    // At once, so that nobody in it sees another one end and starts a new one.
    let mut killed = kill(group.group);
    for id in &found {
        killed |= kill_one(*id);
    }
    match killed {
        true => Orphans::Killed(found.len()),
        // They ended by themselves, or belong to another user by now.
        false => Orphans::None,
    }
}

/// Its processes that live, and all that descend from them. A number is not given away again while anybody is in the group: where the process
/// of that number is a later one, the group is gone.
fn family(group: &ProcessGroup) -> BTreeSet<u32> {
    if table::process(group.group).is_some_and(|leader| leader.started != group.started) {
        return BTreeSet::new();
    }
    let all = table::pids().filter_map(|id| Some((id, table::process(id)?)));
    let all: Vec<_> = all.collect();
    let members = all.iter().filter(|(_, process)| {
        process.alive && process.group == group.group && process.started >= group.started
    });
    let mut found: BTreeSet<u32> = members.map(|(id, _)| *id).collect();
    loop {
        let before = found.len();
        let children = all.iter().filter(|(_, process)| {
            process.alive && found.contains(&process.parent) && process.started >= group.started
        });
        let children: Vec<u32> = children.map(|(id, _)| *id).collect();
        found.extend(children);
        if found.len() == before {
            return found;
        }
    }
}

/// Identity of the boot and of the process namespace.
fn split(boot: &str) -> (&str, &str) {
    boot.split_once(' ').unwrap_or((boot, ""))
}

#[cfg(unix)]
mod unix {
    use std::io::{self, Read as _};
    use std::process::ExitCode;

    use rustix::process::{Pid, Signal, getpid, kill_process, kill_process_group};

    use crate::process_table::process;

    pub(super) fn kill(group: u32) -> bool {
        pid(group).is_some_and(|id| kill_process_group(id, Signal::KILL).is_ok())
    }

    pub(super) fn kill_one(id: u32) -> bool {
        pid(id).is_some_and(|id| kill_process(id, Signal::KILL).is_ok())
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
        // Not asked by `getpgrp`: of a group from outside of the namespace it answers 0, which its binding takes for impossible.
        let me = std::process::id();
        if process(me).is_some_and(|shown| shown.group == me) {
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
#[cfg(unix)]
use unix::{kill, kill_one};

#[cfg(not(unix))]
fn kill(_: u32) -> bool {
    false
}

#[cfg(not(unix))]
fn kill_one(_: u32) -> bool {
    false
}
