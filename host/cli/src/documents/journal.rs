//! What a run has many of: events and log lines. They are written one by one, under the head that [`Events`] and [`Logs`]
//! describe; where reading fails on the way, the list ends and `error` says why.

use std::collections::BTreeMap;

use milepost::attempt::{LogLevel, LogLine};
use milepost::core::event::{Entry, Event};
use milepost::core::ids::{Epoch, RunId};
use milepost::core::tape::LogDropped;
use milepost::core::time::Timestamp;
use milepost::store::StoredLog;
use schemars::JsonSchema;
use serde::Serialize;

use super::failure::Problem;
use crate::words;

/// The journal of a run.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it only describes what is written piece by piece")]
pub(crate) struct Events {
    /// The run.
    id: RunId,
    /// Its events, in order.
    events: Vec<EventEntry>,
    /// Why the list ends before its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Problem>,
}

/// One event at its place.
#[derive(Serialize, JsonSchema)]
pub(crate) struct EventEntry {
    /// Position, from 1, without gaps.
    seq: u64,
    /// When it was recorded.
    at: Timestamp,
    /// Under which claim.
    epoch: Epoch,
    /// What happened, as it is recorded.
    event: Event,
}

impl EventEntry {
    pub(crate) fn new(run: &RunId, entry: &Entry) -> Self {
        Self {
            seq: entry.seq,
            at: entry.at,
            epoch: entry.epoch,
            event: words::event::told(run, entry.event.clone()),
        }
    }
}

/// What the steps of a run logged.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it only describes what is written piece by piece")]
pub(crate) struct Logs {
    /// The run.
    id: RunId,
    /// The lines, in the order in which they were saved.
    lines: Vec<LogEntry>,
    /// Why the list ends before its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Problem>,
}

/// One line of a step's log.
#[derive(Serialize, JsonSchema)]
pub(crate) struct LogEntry {
    /// When the host received it.
    at: Timestamp,
    /// The step execution.
    path: String,
    /// Which attempt of it.
    attempt: u32,
    /// Its level.
    level: Level,
    /// The text.
    message: String,
    /// Structured fields.
    fields: BTreeMap<String, String>,
    /// On the line that stands where lines were dropped: how many.
    #[serde(skip_serializing_if = "Option::is_none")]
    log_dropped: Option<LogDropped>,
}

/// Level of a log line.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

impl LogEntry {
    pub(crate) fn new(stored: &StoredLog, line: &LogLine) -> Self {
        Self::of(stored.line.path.clone(), stored.line.attempt, line)
    }

    /// A line that this attempt of the execution at `path` wrote.
    pub(crate) fn of(path: String, attempt: u32, line: &LogLine) -> Self {
        Self {
            at: line.at,
            path,
            attempt,
            level: match line.level {
                LogLevel::Trace => Level::Trace,
                LogLevel::Debug => Level::Debug,
                LogLevel::Info => Level::Info,
                LogLevel::Warn => Level::Warn,
                LogLevel::Error => Level::Error,
            },
            message: line.message.clone(),
            fields: line.fields.iter().cloned().collect(),
            log_dropped: line.dropped,
        }
    }
}
