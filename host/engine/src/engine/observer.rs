//! What a run says while it moves, for whoever watches: a terminal, a log, a test.

use milepost_core::event::Entry;
use milepost_core::ids::{Path, RunId};
use milepost_core::state::RunState;
use milepost_core::stop::Stop;
use milepost_core::time::Timestamp;

use crate::attempt::{LogLine, Progress};

/// Receives notices. Called from the thread that drives the run: must be quick and must not block.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn notice(&self, run: &RunId, notice: Notice<'_>);

    /// A write of this engine is durable, and the run stands like this now.
    fn saved(&self, _state: &RunState) {}

    /// A worker met trouble that is no run's own doing; `run` is as the store spells it.
    fn trouble(&self, _run: Option<&str>, _trouble: Trouble<'_>) {}
}

/// Trouble of a worker.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub enum Trouble<'a> {
    /// The host could not continue a run, which is postponed or has failed.
    PutOff(&'a Stop),
    /// An error in words.
    Error(&'a str),
}

/// Something that happened to a run.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub enum Notice<'a> {
    /// An event is durable.
    Recorded(&'a Entry),
    /// A guest wrote a log line.
    Log {
        /// The execution.
        path: &'a Path,
        /// Its attempt.
        attempt: u32,
        /// The line.
        line: &'a LogLine,
    },
    /// A guest reported progress.
    Progress {
        /// The execution.
        path: &'a Path,
        /// The report.
        progress: &'a Progress,
    },
    /// A person continues the run, and not everything on disk could be compared with what it carries. It continues with that.
    NotCompared {
        /// What could not be read, and why.
        reason: &'a str,
    },
    /// The store did not take a commit; it is held in memory and tried again.
    SaveDelayed {
        /// What the store said.
        reason: &'a str,
        /// When it is tried again.
        retry_at: Timestamp,
    },
}

/// Watches nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn notice(&self, _: &RunId, _: Notice<'_>) {}
}
