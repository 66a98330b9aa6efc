//! The lines of a record: one JSON object each, with the stored text of what it holds in it as it is.

use milepost_core::effect::{Memo, TapePart};
use milepost_core::ids::Epoch;
use milepost_core::limits;
use milepost_core::time::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::error::{BundleError, Refused};
use crate::store::{NewLog, StoredEntry};

/// An event.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryLine {
    seq: u64,
    at: Timestamp,
    epoch: Epoch,
    event: Box<RawValue>,
}

/// Host calls of an attempt.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TapeLine {
    started: u64,
    first: u64,
    calls: Box<RawValue>,
}

/// A memo.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MemoLine {
    path: String,
    key: String,
    value: String,
}

/// A log line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LogLine {
    at: Timestamp,
    path: String,
    attempt: u32,
    line: Box<RawValue>,
}

/// The record of a run, as it is stored.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Lines {
    pub(super) entries: Vec<StoredEntry>,
    /// Parts of tapes, under the event that started their attempt.
    pub(super) tapes: Vec<(u64, TapePart)>,
    pub(super) memos: Vec<(String, Memo)>,
    pub(super) logs: Vec<NewLog>,
}

impl Lines {
    pub(super) fn journal(&self) -> Result<Vec<u8>, BundleError> {
        written(self.entries.iter().map(|entry| {
            Ok(EntryLine {
                seq: entry.seq,
                at: entry.at,
                epoch: entry.epoch,
                event: raw(&entry.body)?,
            })
        }))
    }

    pub(super) fn tapes(&self) -> Result<Vec<u8>, BundleError> {
        written(self.tapes.iter().map(|(started, part)| {
            Ok(TapeLine {
                started: *started,
                first: part.first,
                calls: raw(&part.body)?,
            })
        }))
    }

    pub(super) fn memos(&self) -> Result<Vec<u8>, BundleError> {
        written(self.memos.iter().map(|(path, memo)| {
            Ok(MemoLine {
                path: path.clone(),
                key: memo.key.clone(),
                value: memo.value.clone(),
            })
        }))
    }

    pub(super) fn log(&self) -> Result<Vec<u8>, BundleError> {
        written(self.logs.iter().map(|log| {
            Ok(LogLine {
                at: log.at,
                path: log.path.clone(),
                attempt: log.attempt,
                line: raw(&log.body)?,
            })
        }))
    }
}

fn raw(text: &str) -> Result<Box<RawValue>, Refused> {
    RawValue::from_string(text.to_owned())
        .map_err(|error| Refused::at("the record", error.to_string()))
}

fn written<T: Serialize>(
    lines: impl Iterator<Item = Result<T, Refused>>,
) -> Result<Vec<u8>, BundleError> {
    let mut bytes = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut bytes, &line?).map_err(std::io::Error::from)?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}

/// Reads the events of a part.
pub(super) fn entries(part: &str, bytes: &[u8]) -> Result<Vec<StoredEntry>, BundleError> {
    read(part, bytes, |line: EntryLine| StoredEntry {
        seq: line.seq,
        at: line.at,
        epoch: line.epoch,
        body: line.event.get().to_owned(),
    })
}

/// Reads the tapes of a part.
pub(super) fn tapes(part: &str, bytes: &[u8]) -> Result<Vec<(u64, TapePart)>, BundleError> {
    read(part, bytes, |line: TapeLine| {
        let calls = TapePart {
            first: line.first,
            body: line.calls.get().to_owned(),
            blobs: Vec::new(),
        };
        (line.started, calls)
    })
}

/// Reads the memos of a part.
pub(super) fn memos(part: &str, bytes: &[u8]) -> Result<Vec<(String, Memo)>, BundleError> {
    read(part, bytes, |line: MemoLine| {
        let memo = Memo {
            key: line.key,
            value: line.value,
        };
        (line.path, memo)
    })
}

/// Reads the log lines of a part.
pub(super) fn logs(part: &str, bytes: &[u8]) -> Result<Vec<NewLog>, BundleError> {
    read(part, bytes, |line: LogLine| NewLog {
        at: line.at,
        path: line.path,
        attempt: line.attempt,
        body: line.line.get().to_owned(),
    })
}

fn read<L: DeserializeOwned, T>(
    part: &str,
    bytes: &[u8],
    take: impl Fn(L) -> T,
) -> Result<Vec<T>, BundleError> {
    let wrong = |number: usize, what: String| Refused::at(place(part, number), what);
    let text = std::str::from_utf8(bytes).map_err(|_| Refused::at(part, "it is not text"))?;
    let mut found = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let number = found.len() + 1;
        let Some((line, more)) = rest.split_once('\n') else {
            return Err(wrong(number, "it has no end".to_owned()).into());
        };
        if line.len() > limits::BUNDLE_LINE_BYTES {
            let most = limits::BUNDLE_LINE_BYTES;
            let what = format!("it has {} bytes, more than {most}", line.len());
            return Err(wrong(number, what).into());
        }
        let line = serde_json::from_str(line).map_err(|error| wrong(number, error.to_string()))?;
        found.push(take(line));
        rest = more;
    }
    Ok(found)
}

/// A line of a part, for people.
pub(super) fn place(part: &str, number: usize) -> String {
    format!("{part}, line {number}")
}
