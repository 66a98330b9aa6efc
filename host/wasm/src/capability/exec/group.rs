//! The group that a program runs in, while this process is there to end it.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use milepost_core::effect::ProcessGroup;
use rustix::process::{
    Signal, WaitOptions, getpid, kill_process_group, test_kill_process_group, waitpgid,
};

use super::program::Program;
use crate::compile::ChildProgram;
use crate::process_group;
use crate::spawn::spawn_own;

/// A group that was formed and has not ended.
pub(super) struct Group {
    pub(super) name: ProcessGroup,
    /// As long as it has not been waited for, nobody else gets the number of the group.
    holder: Mutex<Option<Holder>>,
    abandoned: AtomicBool,
}

struct Holder {
    process: Child,
    /// Its end is that of the holder: also when this process is killed.
    _input: Option<ChildStdin>,
}

impl Group {
    pub(super) fn form(holder: &ChildProgram) -> io::Result<Self> {
        let mut command = Command::new(&holder.program);
        command
            .args(&holder.arguments)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        let mut process = spawn_own(&mut command)?;
        let input = process.stdin.take();
        Ok(Self {
            name: process_group::led_by(process.id()),
            holder: Mutex::new(Some(Holder {
                process,
                _input: input,
            })),
            abandoned: AtomicBool::new(false),
        })
    }

    /// Its number, for a process that is about to be started into it.
    pub(super) fn id(&self) -> i32 {
        // Process ids fit by definition.
        i32::try_from(self.name.group).unwrap_or_default()
    }

    /// Asks all of its processes to end.
    pub(super) fn terminate(&self) {
        self.signal(&self.holder(), Signal::TERM);
    }

    /// Kills all of its processes.
    pub(super) fn kill(&self) {
        self.signal(&self.holder(), Signal::KILL);
    }

    /// Nobody waits for its program any more: kills it, and says so to whoever starts or watches it.
    pub(super) fn abandon(&self) {
        self.abandoned.store(true, Ordering::SeqCst);
        self.kill();
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::SeqCst)
    }

    /// Kills what is left of it and gives its number back.
    pub(super) fn end(&self) {
        let mut guard = self.holder();
        self.signal(&guard, Signal::KILL);
        let ended = guard.take();
        drop(guard);
        if let Some(mut holder) = ended {
            // It was killed, and it waits for nothing that could hold it up.
            let _ = holder.process.wait();
            self.reap();
        }
    }

    /// The first process of a container inherits what lost its parent, and is the only one that can put it to rest.
    fn reap(&self) {
        const PATIENCE: Duration = Duration::from_secs(1);
        let Some(id) = process_group::pid(self.name.group).filter(|_| getpid().is_init()) else {
            return;
        };
        let begun = Instant::now();
        while test_kill_process_group(id).is_ok() && begun.elapsed() < PATIENCE {
            if !matches!(waitpgid(id, WaitOptions::NOHANG), Ok(Some(_))) {
                thread::sleep(Duration::from_millis(1));
            }
        }
    }

    fn holder(&self) -> MutexGuard<'_, Option<Holder>> {
        self.holder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signal(&self, holder: &Option<Holder>, signal: Signal) {
        if holder.is_some()
            && let Some(id) = process_group::pid(self.name.group)
        {
            // All that can be wrong is that everybody in it has another user by now.
            let _ = kill_process_group(id, signal);
        }
    }
}

/// Holds groups where nothing better is named: it does nothing until its input ends, as every system has it.
pub(crate) fn plain_holder() -> ChildProgram {
    let found = Program::find("cat").map(|program| program.path);
    ChildProgram {
        program: found.unwrap_or_else(|_| "/bin/cat".into()),
        arguments: Vec::new(),
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
    }
}
