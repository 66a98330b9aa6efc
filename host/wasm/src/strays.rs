//! What a program has started, when its [supervisor](crate::supervisor) was killed: the kernel gives it to this process, which ends it.
//!
//! That needs a process that takes such children, and that starts no others but through this crate, since they cannot be told apart otherwise. So
//! a program says so, once, and a library does not.

use std::collections::BTreeMap;
use std::io;
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, Signal, WaitOptions, getpid, kill_process, set_child_subreaper, waitpid,
};

use crate::process_table as table;
use crate::supervisor::children;

/// How long is tried to end them.
const PATIENCE: Duration = Duration::from_secs(10);
/// So many children are remembered before those that have ended are looked for.
const MANY: usize = 64;

static ADOPTS: AtomicBool = AtomicBool::new(false);
/// Children that this process has started, and when, as the system tells it: a number alone may have become that of another one.
static OWN: Mutex<BTreeMap<u32, u64>> = Mutex::new(BTreeMap::new());

/// From now on, whatever loses its supervisor becomes a child of this process, which ends it. All children of this process have to be such
/// that this crate has started, before or after: others would be ended, too.
///
/// # Errors
/// When the system does not take children to this process.
pub fn adopt() -> io::Result<()> {
    set_child_subreaper(Some(getpid()))?;
    ADOPTS.store(true, Ordering::Relaxed);
    Ok(())
}

fn own() -> MutexGuard<'static, BTreeMap<u32, u64>> {
    OWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a child that is none of those. Nobody looks for them meanwhile.
pub(crate) fn start(spawn: impl FnOnce() -> io::Result<Child>) -> io::Result<Child> {
    let mut own = own();
    let child = spawn()?;
    if own.len() >= MANY {
        own.retain(|id, started| lives(*id, *started));
    }
    if let Some(process) = table::process(child.id()) {
        own.insert(child.id(), process.started);
    }
    Ok(child)
}

/// Whether it is there, be it only to be waited for.
fn lives(id: u32, started: u64) -> bool {
    table::process(id).is_some_and(|process| process.started == started)
}

/// Ends all of them. Gives how many are left.
pub(crate) fn end() -> usize {
    if !ADOPTS.load(Ordering::Relaxed) {
        return 0;
    }
    let begun = Instant::now();
    loop {
        let left = kill_all();
        if left == 0 || begun.elapsed() >= PATIENCE {
            return left;
        }
        // Their own children come here, too, when they have ended.
        thread::sleep(Duration::from_millis(1));
    }
}

fn kill_all() -> usize {
    let own = own();
    let is_own = |child: &Pid| {
        let id = child.as_raw_pid().unsigned_abs();
        own.get(&id).is_some_and(|started| lives(id, *started))
    };
    let strays: Vec<Pid> = children().into_iter().filter(|id| !is_own(id)).collect();
    for stray in &strays {
        // The number is its own until it has been waited for.
        let _ = kill_process(*stray, Signal::KILL);
        let _ = waitpid(Some(*stray), WaitOptions::NOHANG);
    }
    strays.len()
}
