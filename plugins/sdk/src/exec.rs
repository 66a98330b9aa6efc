//! Programs of the machine that runs the workflow, which names each program, its arguments, variables and folders; there is no shell, and
//! nothing else (`exec = [{ program = "git", args = ["log", "--oneline", "--end-of-options", "**"], env = ["LC_ALL"], dirs = ["/srv/repositories/**"] }]`).
//!
//! ```
//! use milepost_sdk::{Context, Error, Result};
//! use milepost_sdk::exec::Command;
//!
//! fn head(repository: &str) -> Result<String> {
//!     let output = Command::new("git")
//!         .args(["rev-parse", "HEAD"])
//!         .current_dir(repository)
//!         .output()?
//!         .checked()?;
//!     Ok(output.stdout_text().trim().to_owned())
//! }
//!
//! # #[cfg(not(target_family = "wasm"))]
//! # {
//! // What a unit test does: it answers in place of the programs.
//! use milepost_sdk::exec::{self, Output};
//! exec::answer(|command| {
//!     assert_eq!(command.program(), "git");
//!     Ok(Output::exited(0).with_stdout("8a7e1b2\n"))
//! });
//! assert_eq!(head("/srv/repository"), Ok("8a7e1b2".to_owned()));
//! # }
//! ```

use std::time::Duration;

use crate::{Error, HostError, Result};

/// A program that is to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "nothing runs until `output` is called"]
pub struct Command {
    program: String,
    args: Vec<String>,
    env: Vec<(String, String)>,
    stdin: Vec<u8>,
    current_dir: Option<String>,
    timeout: Option<Duration>,
}

impl Command {
    /// A program by its absolute path, or by its bare name, which the host looks for in `/usr/local/bin`, `/usr/bin` and `/bin`. The
    /// workflow has to name it in the same way.
    pub fn new(program: impl Into<String>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            stdin: Vec::new(),
            current_dir: None,
            timeout: None,
        }
    }

    /// Adds an argument, which arrives as it is.
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of its environment, which is empty otherwise: there is no `PATH` and no `HOME`. The workflow has to allow it.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// What it reads from its standard input: nothing without this.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Where it starts, as an absolute path: `/` without this. The workflow has to allow the folder, by its path without symbolic links.
    pub fn current_dir(mut self, folder: impl Into<String>) -> Self {
        self.current_dir = Some(folder.into());
        self
    }

    /// How long it may take, in whole milliseconds: five minutes without this, and no longer than the attempt in any case.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The program.
    #[must_use]
    pub fn program(&self) -> &str {
        &self.program
    }

    /// Its arguments.
    #[must_use]
    pub fn arguments(&self) -> &[String] {
        &self.args
    }

    /// Runs it and waits for its end. However it ends is an [`Output`].
    ///
    /// # Errors
    /// `denied` when the workflow does not allow it, `not-found`, `not-executable`, `too-large`, `invalid`, `cancelled`, or `spawn`
    /// when the machine cannot start it.
    pub fn output(self) -> Result<Output, HostError> {
        source::run(self)
    }
}

/// How a program ended, and what it wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its exit code; `None` where a signal or its timeout ended it.
    pub exit_code: Option<i32>,
    /// Whether its timeout ended it.
    pub timed_out: bool,
    /// The end of what it wrote to its standard output: the last 100,000 characters.
    pub stdout: Vec<u8>,
    /// The same of its standard error.
    pub stderr: Vec<u8>,
    /// Bytes of its standard output that were dropped in front of that.
    pub stdout_dropped: u64,
    /// Bytes of its standard error that were dropped in front of that.
    pub stderr_dropped: u64,
}

impl Output {
    /// Whether it ended by itself, with the exit code 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.exit_code == Some(0)
    }

    /// Its standard output as text. What is no UTF-8 is replaced, and where anything was dropped, a line in front says how much.
    #[must_use]
    pub fn stdout_text(&self) -> String {
        text(&self.stdout, self.stdout_dropped)
    }

    /// Its standard error as text, likewise.
    #[must_use]
    pub fn stderr_text(&self) -> String {
        text(&self.stderr, self.stderr_dropped)
    }

    /// The same, if it [succeeded](Self::success).
    ///
    /// # Errors
    /// A failure with the code `exit-code`, `signal` or `timeout`. Its message is the end of what the program wrote to its standard error or,
    /// where that is nothing, to its standard output; its detail holds `exit_code`, `timed_out`, and the last 4,000 characters of `stdout` and
    /// `stderr`.
    pub fn checked(self) -> Result<Self> {
        if self.success() {
            return Ok(self);
        }
        let (code, how) = match self.exit_code {
            Some(number) => ("exit-code", format!("exited with code {number}")),
            None if self.timed_out => ("timeout", "timed out".to_owned()),
            None => ("signal", "ended by a signal".to_owned()),
        };
        #[derive(serde::Serialize)]
        struct Detail {
            exit_code: Option<i32>,
            timed_out: bool,
            stdout: String,
            stderr: String,
        }
        let detail = Detail {
            exit_code: self.exit_code,
            timed_out: self.timed_out,
            stdout: end(&self.stdout, self.stdout_dropped),
            stderr: end(&self.stderr, self.stderr_dropped),
        };
        // Many a tool that checks something says what is wrong where others write results.
        let message = match (detail.stderr.trim(), detail.stdout.trim()) {
            ("", "") => how,
            ("", said) => format!("{how}: {said}"),
            (said, _) => said.to_owned(),
        };
        Err(Error::failed(code, message).detail(&detail).into())
    }
}

/// The end of a text, as far as an error may repeat it.
fn end(bytes: &[u8], dropped: u64) -> String {
    const CHARACTERS: usize = 4_000;
    let text = String::from_utf8_lossy(bytes);
    let cut = text.char_indices().rev().nth(CHARACTERS - 1);
    let at = cut.map_or(0, |(at, _)| at);
    let dropped = dropped.saturating_add(at as u64);
    self::text(&text.as_bytes()[at..], dropped)
}

fn text(bytes: &[u8], dropped: u64) -> String {
    let text = String::from_utf8_lossy(bytes);
    match dropped {
        0 => text.into_owned(),
        _ => format!("[{dropped} bytes were dropped here]\n{text}"),
    }
}

#[cfg(not(target_family = "wasm"))]
pub use source::answer;

/// Only where there is no host.
#[cfg(not(target_family = "wasm"))]
impl Output {
    /// Of a program that wrote nothing.
    #[must_use]
    pub fn exited(code: i32) -> Self {
        Self {
            exit_code: Some(code),
            timed_out: false,
            stdout: Vec::new(),
            stderr: Vec::new(),
            stdout_dropped: 0,
            stderr_dropped: 0,
        }
    }

    /// Of one that wrote this to its standard output.
    #[must_use]
    pub fn with_stdout(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdout = bytes.into();
        self
    }

    /// Of one that wrote this to its standard error.
    #[must_use]
    pub fn with_stderr(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stderr = bytes.into();
        self
    }
}

#[cfg(target_family = "wasm")]
mod source {
    use super::{Command, HostError, Output};
    use crate::bindings::milepost::step::exec;

    pub(super) fn run(command: Command) -> Result<Output, HostError> {
        let given = exec::Command::new(&command.program);
        for arg in &command.args {
            given.arg(arg);
        }
        for (name, value) in &command.env {
            given.env(name, value);
        }
        if !command.stdin.is_empty() {
            given.stdin(&command.stdin);
        }
        if let Some(folder) = &command.current_dir {
            given.working_dir(folder);
        }
        if let Some(timeout) = command.timeout {
            given.timeout(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
        }
        let outcome = exec::Command::run(given)?;
        Ok(Output {
            exit_code: outcome.exit_code(),
            timed_out: outcome.timed_out(),
            stdout: outcome.stdout(),
            stderr: outcome.stderr(),
            stdout_dropped: outcome.stdout_dropped(),
            stderr_dropped: outcome.stderr_dropped(),
        })
    }
}

#[cfg(not(target_family = "wasm"))]
mod source {
    use std::cell::RefCell;

    use super::{Command, HostError, Output};

    type Answer = Box<dyn FnMut(&Command) -> Result<Output, HostError>>;

    thread_local! {
        static ANSWER: RefCell<Option<Answer>> = const { RefCell::new(None) };
    }

    /// Answers in place of all programs that this thread runs from now on. Without it there are none.
    pub fn answer(answer: impl FnMut(&Command) -> Result<Output, HostError> + 'static) {
        ANSWER.set(Some(Box::new(answer)));
    }

    pub(super) fn run(command: Command) -> Result<Output, HostError> {
        ANSWER.with_borrow_mut(|answer| match answer {
            Some(answer) => answer(&command),
            None => {
                let message = format!("there is no program `{}`", command.program);
                Err(HostError::new("not-found", message))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use super::*;

    #[test]
    fn b73_a_program_that_fails_fails_the_step_with_what_it_said() {
        let failed = |output: Output| output.checked().unwrap_err().to_string();
        let loud = Output::exited(2).with_stderr("no such file\n");
        assert_eq!(failed(loud), "failed (exit-code): no such file");
        let silent = Output::exited(2);
        assert_eq!(
            failed(silent.clone()),
            "failed (exit-code): exited with code 2"
        );
        let ended = Output {
            exit_code: None,
            ..silent.clone()
        };
        assert_eq!(failed(ended.clone()), "failed (signal): ended by a signal");
        let late = Output {
            timed_out: true,
            ..ended
        };
        assert_eq!(failed(late), "failed (timeout): timed out");
        let Err(Error::Failed(failure)) = silent.checked() else {
            panic!("not a failure");
        };
        let detail = r#"{"exit_code":2,"timed_out":false,"stdout":"","stderr":""}"#;
        assert_eq!(failure.detail.as_deref(), Some(detail));
    }

    #[test]
    fn b72_what_a_program_that_fails_wrote_is_not_lost() {
        let failed = |output: Output| match output.checked() {
            Err(Error::Failed(failure)) => failure,
            other => panic!("{other:?}"),
        };
        let quiet = failed(Output::exited(1).with_stdout("3 tests failed\n"));
        assert_eq!(quiet.message, "exited with code 1: 3 tests failed");
        let both = failed(
            Output::exited(1)
                .with_stdout("é".repeat(4_001))
                .with_stderr("bad\n"),
        );
        assert_eq!(both.message, "bad");
        let detail: serde_json::Value = serde_json::from_str(&both.detail.unwrap()).unwrap();
        assert_eq!(detail["stderr"], "bad\n");
        let kept = format!("[2 bytes were dropped here]\n{}", "é".repeat(4_000));
        assert_eq!(detail["stdout"], kept);
        let flood = Output {
            stderr_dropped: 10,
            ..Output::exited(1).with_stderr(format!("x{}", "y".repeat(4_000)))
        };
        assert!(
            failed(flood)
                .message
                .starts_with("[11 bytes were dropped here]\ny")
        );
    }

    #[test]
    fn b79_b80_whoever_does_not_check_handles_a_failure_whatever_the_program_says() {
        answer(|_| Ok(Output::exited(1).with_stderr("rate limit exceeded, paused")));
        let output = Command::new("tool").output().unwrap();
        assert!(!output.success());
        assert_eq!(output.exit_code, Some(1));
        let Err(Error::Failed(_)) = output.checked() else {
            panic!("words decide nothing");
        };
    }

    #[test]
    fn b77_a_text_says_how_much_is_not_in_it() {
        let output = Output {
            stdout_dropped: 12,
            ..Output::exited(0).with_stdout(*b"\xffrest")
        };
        assert_eq!(
            output.stdout_text(),
            "[12 bytes were dropped here]\n\u{fffd}rest"
        );
        assert_eq!(output.stderr_text(), "");
    }

    #[test]
    fn without_an_answer_there_are_no_programs() {
        let error = std::thread::spawn(|| Command::new("git").output())
            .join()
            .unwrap();
        assert!(error.unwrap_err().is("not-found"));
    }
}
