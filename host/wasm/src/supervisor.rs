//! A process between this one and a program that a step runs, from which nothing that the program starts can get away while it lives.
//!
//! A process whose parent has ended becomes a child of the nearest ancestor that asked for that (a subreaper). A program's supervisor does,
//! so that also what begins a session of its own, as daemons do, stays among its descendants; when the program has ended, the supervisor
//! kills all of them. It does the same when the process that started it lets it go, or has died. It is in no group of the program's, so that what
//! a program does to its own group does not concern it. Where a program kills it on purpose, what it has started are [strays](crate::strays).
//!
//! Its standard input is a socket: one line that says what to start, what the program reads, then `TERMINATE` or the end; from the
//! other side, when all is over, what became of it. Standard output and standard error are the program's, and so are environment and working
//! directory.

use serde::{Deserialize, Serialize};

/// What a supervisor is to start.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Start {
    /// The file.
    pub(crate) program: String,
    pub(crate) args: Vec<String>,
    /// All of its environment.
    pub(crate) env: Vec<(String, String)>,
    /// The group that it gets into.
    pub(crate) group: i32,
    /// How many bytes follow that the program reads; none: it reads nothing.
    pub(crate) input: usize,
}

/// What became of it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ended {
    /// It was not started: the number of the error, and its words.
    NotStarted(Option<i32>, String),
    /// With an exit code, or by a signal. So many processes could not be ended.
    Program {
        code: Option<i32>,
        signal: Option<i32>,
        left: usize,
    },
}

/// Asks the program to end.
pub(crate) const TERMINATE: u8 = b'T';

#[cfg(target_os = "linux")]
pub(crate) use linux::children;
#[cfg(target_os = "linux")]
pub use linux::supervise_program;

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;
    use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
    use std::os::fd::{AsFd as _, OwnedFd};
    use std::os::unix::net::UnixStream;
    use std::os::unix::process::CommandExt as _;
    use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
    use std::thread;
    use std::time::{Duration, Instant};

    use rustix::io::Errno;
    use rustix::process::{
        Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, getpid, kill_process, pidfd_open,
        pidfd_send_signal, set_child_subreaper, wait,
    };

    use super::{Ended, Start, TERMINATE};
    use crate::descriptors;
    use crate::process_table as table;
    use crate::spawn::spawn_written;

    /// How long is tried to end what a program has left behind. Whatever outruns that for so long is left.
    const PATIENCE: Duration = Duration::from_secs(10);

    /// The whole life of a supervisor.
    ///
    /// A program whose steps may run programs calls this, and nothing else, when it is started with the arguments of the
    /// [`ChildProgram`](crate::ChildProgram) that it named as the supervisor.
    #[must_use]
    pub fn supervise_program() -> ExitCode {
        let Ok(control) = io::stdin().as_fd().try_clone_to_owned() else {
            return ExitCode::FAILURE;
        };
        let control = UnixStream::from(control);
        match supervised(&control) {
            Ok(ended) => {
                let text = serde_json::to_vec(&ended).unwrap_or_default();
                // Where nobody waits for it any more, nobody reads it.
                let _ = (&control).write_all(&text);
                ExitCode::SUCCESS
            }
            Err(_) => ExitCode::FAILURE,
        }
    }

    fn supervised(control: &UnixStream) -> io::Result<Ended> {
        descriptors::keep_from_programs();
        set_child_subreaper(Some(getpid()))?;
        let mut orders = BufReader::new(control.try_clone()?);
        let mut line = Vec::new();
        orders.read_until(b'\n', &mut line)?;
        let start: Start = serde_json::from_slice(&line).map_err(io::Error::other)?;
        let mut child = match started(&start) {
            Ok(child) => child,
            Err(error) => return Ok(Ended::NotStarted(error.raw_os_error(), error.to_string())),
        };
        let id = Pid::from_child(&child);
        let program = pidfd_open(id, PidfdFlags::empty())?;
        let input = child.stdin.take();
        // It ends with this process, wherever it waits.
        thread::spawn(move || obey(orders, input, start.input, &program));
        let status = end_of(id)?;
        let left = end_descendants();
        Ok(Ended::Program {
            code: status.exit_status(),
            signal: status.terminating_signal(),
            left,
        })
    }

    fn started(start: &Start) -> io::Result<Child> {
        let input = match start.input {
            0 => Stdio::null(),
            _ => Stdio::piped(),
        };
        let mut command = Command::new(&start.program);
        command
            .args(&start.args)
            .env_clear()
            .envs(start.env.iter().map(|(name, value)| (name, value)))
            .stdin(input)
            .process_group(start.group);
        spawn_written(&mut command)
    }

    /// Gives the program its input, then does what it is told. When nobody is there any more to tell it, the program is killed.
    fn obey(
        mut orders: BufReader<UnixStream>,
        input: Option<ChildStdin>,
        bytes: usize,
        program: &OwnedFd,
    ) {
        let mut given = Vec::new();
        let taken = (&mut orders).take(bytes as u64).read_to_end(&mut given);
        let whole = taken.is_ok_and(|taken| taken == bytes);
        if let Some(mut input) = input {
            // A program need not read it, and who waits for that hears no order.
            thread::spawn(move || input.write_all(&given));
        }
        let mut order = [0];
        while whole && matches!(orders.read(&mut order), Ok(1)) {
            if order[0] == TERMINATE {
                let _ = pidfd_send_signal(program, Signal::TERM);
            }
        }
        // All else follows from its end.
        let _ = pidfd_send_signal(program, Signal::KILL);
    }

    /// Waits for the end of the program, and puts to rest what became a child of this process meanwhile.
    fn end_of(program: Pid) -> io::Result<WaitStatus> {
        loop {
            match wait(WaitOptions::empty()) {
                Ok(Some((id, status))) if id == program => return Ok(status),
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Kills all descendants of this process: its children, until there are none, since the children of a process that has ended become its own.
    /// Gives how many are left.
    pub(super) fn end_descendants() -> usize {
        let begun = Instant::now();
        loop {
            let children = children();
            for child in &children {
                // The number is its own until it has been waited for, which happens below.
                let _ = kill_process(*child, Signal::KILL);
            }
            let mut rested = false;
            loop {
                match wait(WaitOptions::NOHANG) {
                    Ok(Some(_)) => rested = true,
                    // Not what the list says: it may have missed one.
                    Err(Errno::CHILD) => return 0,
                    Ok(None) | Err(_) => break,
                }
            }
            if begun.elapsed() >= PATIENCE {
                return children.len().max(1);
            }
            // Whoever starts others as fast as it can is outrun only by who does not wait; the last ones take a moment to end.
            if !rested {
                thread::sleep(Duration::from_micros(200));
            }
        }
    }

    /// The children of this process, whichever of its threads they are listed under.
    pub(crate) fn children() -> Vec<Pid> {
        let tasks = fs::read_dir("/proc/self/task").into_iter().flatten();
        let mut all = Vec::new();
        let mut listed = true;
        for task in tasks.flatten() {
            match fs::read_to_string(task.path().join("children")) {
                Ok(text) => {
                    let ids = text.split_ascii_whitespace();
                    all.extend(ids.filter_map(|id| Pid::from_raw(id.parse().ok()?)));
                }
                // It has ended meanwhile, or the system has no such list.
                Err(_) => listed = false,
            }
        }
        if listed || !all.is_empty() {
            return all;
        }
        let me = std::process::id();
        let ids =
            table::pids().filter(|id| table::process(*id).is_some_and(|one| one.parent == me));
        ids.filter_map(|id| Pid::from_raw(i32::try_from(id).ok()?))
            .collect()
    }
}
