//! The lines of `--follow --json`.

use milepost::attempt::Progress;
use milepost::core::ids::RunId;
use milepost::core::time::Timestamp;
use milepost::store::StoredProgress;
use schemars::JsonSchema;
use serde::Serialize;

use super::journal::{EventEntry, LogEntry};
use super::run::Run;

/// A line of `--follow --json`: one thing that happened, or, on the last line, how the run stands. Has one member beside `id`.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Followed {
    /// The run, or a run that it started.
    id: RunId,
    /// An event of its journal.
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<EventEntry>,
    /// A line that one of its steps logged.
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<LogEntry>,
    /// How far an attempt in flight says that it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<AttemptProgress>,
    /// The run, where it does not move any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<Box<Run>>,
}

/// How far an attempt in flight says that it is.
#[derive(Serialize, JsonSchema)]
pub(crate) struct AttemptProgress {
    /// When the host received it.
    at: Timestamp,
    /// The step execution.
    path: String,
    /// Which attempt of it.
    attempt: u32,
    /// Units done.
    done: u64,
    /// Units in all, where the step knows.
    total: Option<u64>,
    /// For a person.
    message: String,
}

impl AttemptProgress {
    pub(crate) fn new(stored: &StoredProgress, said: &Progress) -> Self {
        Self {
            at: stored.at,
            path: stored.path.clone(),
            attempt: stored.attempt,
            done: said.done,
            total: said.total,
            message: said.message.clone(),
        }
    }
}

impl Followed {
    fn of(id: &RunId) -> Self {
        Self {
            id: id.clone(),
            event: None,
            log: None,
            progress: None,
            run: None,
        }
    }

    pub(crate) fn event(id: &RunId, event: EventEntry) -> Self {
        let event = Some(event);
        Self {
            event,
            ..Self::of(id)
        }
    }

    pub(crate) fn log(id: &RunId, log: LogEntry) -> Self {
        let log = Some(log);
        Self {
            log,
            ..Self::of(id)
        }
    }

    pub(crate) fn progress(id: &RunId, progress: AttemptProgress) -> Self {
        let progress = Some(progress);
        Self {
            progress,
            ..Self::of(id)
        }
    }

    pub(crate) fn run(id: &RunId, run: Run) -> Self {
        let run = Some(Box::new(run));
        Self {
            run,
            ..Self::of(id)
        }
    }
}
