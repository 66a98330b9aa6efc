//! The closed set of exit codes. Scripts depend on them: a code is never given a second meaning.

use std::process::ExitCode;

use milepost::core::state::Status;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// The run completed, or the verb did what it was asked.
    Completed = 0,
    /// The run failed; also when a second signal cut the program short.
    Failed = 1,
    /// The run paused and can be resumed.
    Paused = 2,
    /// The run was cancelled.
    Cancelled = 3,
    /// A replay differs from its record.
    Diverged = 4,
    /// The command line is wrong.
    Usage = 64,
    /// A definition, an input, a component or a run id is wrong.
    Invalid = 65,
    /// The store or a component cannot be reached, or stdout cannot be written.
    Unavailable = 69,
    /// A defect of the program.
    Internal = 70,
    /// Somebody else is running it; later it may work.
    TryAgain = 75,
}

impl From<Status> for Exit {
    /// For a verb that drove a run, or answered with one.
    fn from(status: Status) -> Self {
        match status {
            Status::Completed => Self::Completed,
            Status::Failed => Self::Failed,
            Status::Paused => Self::Paused,
            Status::Cancelled => Self::Cancelled,
            // It runs elsewhere.
            Status::Pending | Status::Running => Self::TryAgain,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b164_every_status_has_its_code() {
        let codes: Vec<_> = Status::ALL
            .into_iter()
            .map(|status| (status.as_str(), Exit::from(status) as u8))
            .collect();
        for expected in [
            ("completed", 0),
            ("failed", 1),
            ("paused", 2),
            ("cancelled", 3),
            ("pending", 75),
            ("running", 75),
        ] {
            assert!(codes.contains(&expected), "{expected:?} in {codes:?}");
        }
        assert_eq!(codes.len(), 6);
    }
}
