//! A program that is started by its [supervisor](crate::supervisor), as this process sees it.

use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::command;
use super::process::{Ended, Started};
use crate::compile::ChildProgram;
use crate::spawn::spawn_own;
use crate::supervisor::{self, Start, TERMINATE};

/// How long a supervisor may take to end all that its program has started, a little longer than it gives itself.
const PATIENCE: Duration = Duration::from_secs(12);

/// The side of the conversation with a supervisor that is here.
pub(super) struct Control(UnixStream);

/// Starts a supervisor. The program starts when what is to be written has been.
pub(super) fn start(
    supervisor: &ChildProgram,
    program: &Path,
    given: &command::Command,
    group: i32,
    entrance: &Path,
) -> io::Result<Started> {
    let (here, there) = UnixStream::pair()?;
    let mut command = Command::new(&supervisor.program);
    command
        .args(&supervisor.arguments)
        .env_clear()
        .current_dir(entrance)
        .stdin(Stdio::from(OwnedFd::from(there)))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A key pressed at the terminal is meant for this process, and what the program does to its own group for that.
        .process_group(0);
    let child = spawn_own(&mut command)?;
    let start = Start {
        program: program.to_string_lossy().into_owned(),
        args: given.args.clone(),
        env: given.env.clone(),
        group,
        input: given.stdin.len(),
    };
    let mut text = serde_json::to_vec(&start)?;
    text.push(b'\n');
    text.extend_from_slice(&given.stdin);
    Ok(Started {
        child,
        input: Some(OwnedFd::from(here.try_clone()?)),
        control: Some(Control(here)),
        to_write: text,
    })
}

impl Control {
    /// Asks the program to end.
    pub(super) fn terminate(&self) {
        // One that has ended meanwhile is not to be asked, and what it has not read yet comes before this anyway.
        let _ = (&self.0).write(&[TERMINATE]);
    }

    /// Has it killed, with all that it has started. Returns when that is done.
    pub(super) fn kill(&self, supervisor: &mut Child) -> io::Result<()> {
        let _ = self.0.shutdown(Shutdown::Write);
        let begun = Instant::now();
        while supervisor.try_wait()?.is_none() {
            if begun.elapsed() >= PATIENCE {
                return supervisor.kill();
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// What the supervisor, which has ended, says of the program.
    pub(super) fn ended(&mut self) -> io::Result<Ended> {
        let mut text = Vec::new();
        // It does not block, and all that there is to read is there.
        let _ = self.0.read_to_end(&mut text);
        match serde_json::from_slice(&text) {
            Ok(supervisor::Ended::Program { code, signal, left }) => {
                warn_of(left);
                Ok(Ended { code, signal })
            }
            Ok(supervisor::Ended::NotStarted(Some(error), _)) => {
                Err(io::Error::from_raw_os_error(error))
            }
            Ok(supervisor::Ended::NotStarted(None, words)) => Err(io::Error::other(words)),
            // Somebody killed it.
            Err(_) => {
                warn_of(end_strays());
                Ok(Ended {
                    code: None,
                    signal: Some(KILLED),
                })
            }
        }
    }
}

/// Ends what was under a supervisor that was killed. Where it does not come to this process, the program is killed by whoever ends its group.
#[cfg(target_os = "linux")]
fn end_strays() -> usize {
    crate::strays::end()
}

#[cfg(not(target_os = "linux"))]
fn end_strays() -> usize {
    0
}

fn warn_of(left: usize) {
    if left > 0 {
        tracing::warn!(left, "what a program has left behind could not be ended");
    }
}

/// The signal that cannot be refused.
const KILLED: i32 = 9;
