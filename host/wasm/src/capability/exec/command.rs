//! A program that is to be run, and what became of one, as data.

use std::path::PathBuf;
use std::time::Duration;

use milepost_core::ids::Digest;
use milepost_core::limits;

use crate::host_error::HostError;

/// What is to be run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Command {
    /// An absolute path, or a bare name that is looked for in a fixed list of folders.
    pub program: String,
    /// Each arrives as it is.
    pub args: Vec<String>,
    /// All that the program finds in its environment. The last one of a name counts.
    pub env: Vec<(String, String)>,
    /// What it reads.
    pub stdin: Vec<u8>,
    /// Where it starts, absolute; `/` without one.
    pub working_dir: Option<String>,
    /// How long it may take; [`limits::EXEC_TIMEOUT`] without one.
    pub timeout: Option<Duration>,
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// The file that was executed.
    pub program: PathBuf,
    /// Of its content; `None` where it may be executed and not read.
    pub digest: Option<Digest>,
    /// `None` when a signal or its time ended it.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Whether its time was over.
    pub timed_out: bool,
    /// What it wrote.
    pub stdout: Captured,
    /// What it wrote there.
    pub stderr: Captured,
}

/// What is left of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// Its last [`limits::EXEC_OUTPUT_CHARACTERS`] characters. Where it is no UTF-8, each part that is none counts as one.
    pub bytes: Vec<u8>,
    /// Bytes in front of them.
    pub dropped: u64,
}

impl Command {
    /// How long it may take (B78).
    pub(super) fn time(&self) -> Duration {
        self.timeout.unwrap_or(limits::EXEC_TIMEOUT)
    }

    /// Refuses what no program can be given.
    ///
    /// # Errors
    /// `invalid`, `too-large`.
    pub(super) fn check(&self) -> Result<(), HostError> {
        let given = self
            .args
            .iter()
            .chain(self.env.iter().flat_map(|(name, value)| [name, value]));
        // As the system counts: with the byte that ends each.
        let bytes: usize = given.clone().map(|text| text.len() + 1).sum();
        if bytes > limits::EXEC_ARGUMENT_BYTES {
            let most = limits::EXEC_ARGUMENT_BYTES;
            return Err(HostError::new(
                "too-large",
                format!(
                    "arguments and environment take {bytes} bytes, more than the {most} that they may; hand it over by standard input"
                ),
            ));
        }
        if self.stdin.len() > limits::EXEC_INPUT_BYTES {
            let (bytes, most) = (self.stdin.len(), limits::EXEC_INPUT_BYTES);
            return Err(HostError::new(
                "too-large",
                format!("standard input has {bytes} bytes, more than the {most} that it may have"),
            ));
        }
        let invalid = |message: &str| Err(HostError::new("invalid", message));
        if given
            .chain(&self.working_dir)
            .any(|text| text.contains('\0'))
        {
            return invalid("no argument, variable or folder may have a NUL in it");
        }
        if self
            .env
            .iter()
            .any(|(name, _)| name.is_empty() || name.contains('='))
        {
            return invalid("a variable of the environment has a name without a `=` in it");
        }
        if self
            .working_dir
            .as_ref()
            .is_some_and(|folder| !folder.starts_with('/'))
        {
            return invalid("the working directory is an absolute path");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b78_a_program_without_a_timeout_of_its_own_has_five_minutes() {
        let command = Command::default();
        assert_eq!(command.time(), Duration::from_secs(300));
        let timeout = Some(Duration::from_secs(7200));
        let slow = Command { timeout, ..command };
        assert_eq!(slow.time(), Duration::from_secs(7200));
    }
}
