//! The parent's side: starts a child, hands it the component, takes the machine code.

use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use milepost_core::limits;

use super::{CANNOT_COMPILE, first_of};
use crate::component::Rejection;
use crate::guest_code::GuestCode;
use crate::spawn::spawn_own;

/// As much of what the child complains about as is worth reading.
const WORDS_BYTES: usize = 64 * 1024;
/// How often is looked whether it has ended: a small component takes a few milliseconds, a large one many seconds.
const LOOK_AT_LEAST: Duration = Duration::from_micros(500);
const LOOK_AT_MOST: Duration = Duration::from_millis(20);

/// How a child process is started that calls [`compile_stdin_to_stdout`](super::compile_stdin_to_stdout).
#[derive(Debug, Clone)]
pub struct ChildProgram {
    /// The program: one that was built with this very library, since only equal compilers make equal code.
    pub program: PathBuf,
    /// The arguments by which it knows what to do.
    pub arguments: Vec<OsString>,
}

impl ChildProgram {
    /// Compiles a component.
    ///
    /// # Errors
    /// [`Rejection::Invalid`] when the compiler refuses it, [`Rejection::NotCompiled`] when the child did not end as it should:
    /// it took more than it may, or could not be started.
    pub(super) fn compile(&self, bytes: &[u8], code: GuestCode) -> Result<Vec<u8>, Rejection> {
        let failed = |error: io::Error| Rejection::NotCompiled(format!("the compiler: {error}"));
        let bounds = Bounds {
            output_bytes: limits::COMPILED_BYTES,
            time: limits::COMPILE_TIME,
        };
        let talked = self.give(bytes, &code.words(), bounds).map_err(failed)?;
        let Some(status) = talked.status else {
            return Err(Rejection::NotCompiled(format!(
                "it took longer than {} s",
                limits::COMPILE_TIME.as_secs()
            )));
        };
        match status.code() {
            Some(0) => talked.output.map_err(failed),
            Some(1) => {
                let words = String::from_utf8_lossy(&talked.words);
                Err(Rejection::Invalid(first_of(&words)))
            }
            Some(code) if code == i32::from(CANNOT_COMPILE) => {
                let words = String::from_utf8_lossy(&talked.words);
                let reason = format!("the compiler could not work: {}", first_of(&words));
                Err(Rejection::NotCompiled(reason))
            }
            _ => Err(Rejection::NotCompiled(format!(
                "it took more than {} s of processor time or {} MiB of memory, or broke the compiler ({status})",
                limits::COMPILE_PROCESSOR_TIME.as_secs(),
                limits::COMPILE_MEMORY_BYTES / (1024 * 1024)
            ))),
        }
    }

    /// Starts a child, gives it a component, and takes what it makes of it.
    ///
    /// # Errors
    /// When it cannot be started or waited for.
    pub(crate) fn give(
        &self,
        bytes: &[u8],
        arguments: &[String],
        bounds: Bounds,
    ) -> io::Result<Talked> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .args(arguments)
            .env_clear()
            // What it has allocated goes back with its end; giving it back piece by piece before that takes milliseconds.
            .env("MIMALLOC_PURGE_DELAY", "-1")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // A key pressed at the terminal is meant for the parent.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = spawn_own(&mut command)?;
        talk(&mut child, bytes, bounds)
    }
}

/// What a child may give, and how long it may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) output_bytes: usize,
    pub(crate) time: Duration,
}

/// What came back.
pub(crate) struct Talked {
    /// None when it had to be ended.
    pub(crate) status: Option<ExitStatus>,
    pub(crate) output: io::Result<Vec<u8>>,
    /// What it complained about.
    pub(crate) words: Vec<u8>,
}

/// Writes the component, reads the answer, and waits for the end, for as long as that may take.
fn talk(child: &mut Child, bytes: &[u8], bounds: Bounds) -> io::Result<Talked> {
    let (input, output, errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        scope.spawn(move || {
            // A child that does not read to the end says why, or its exit status does.
            let _ = input.map(|mut input| input.write_all(bytes));
        });
        let output = scope.spawn(move || read(output, bounds.output_bytes));
        let words = scope.spawn(move || read(errors, WORDS_BYTES).unwrap_or_default());
        let status = wait(child, bounds.time);
        Ok(Talked {
            status: status?,
            output: output.join().expect("reading does not panic"),
            words: words.join().expect("reading does not panic"),
        })
    })
}

fn read(from: Option<impl io::Read>, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        from.take(most as u64 + 1).read_to_end(&mut bytes)?;
    }
    if bytes.len() > most {
        return Err(io::Error::other(format!("it gave more than {most} bytes")));
    }
    Ok(bytes)
}

/// Ends the child when its time is over. The standard library has no such call; looking every few milliseconds costs nothing
/// beside a compilation.
fn wait(child: &mut Child, most: Duration) -> io::Result<Option<ExitStatus>> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        let elapsed = started.elapsed();
        if elapsed >= most {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep((elapsed / 16).clamp(LOOK_AT_LEAST, LOOK_AT_MOST));
    }
}
