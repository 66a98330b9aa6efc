//! The tape: what the host answered to one attempt, in order, so that the attempt can be executed again; and what it did not
//! keep of the attempt.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::Digest;

/// One recorded host call whose answer is not a function of the attempt's recorded input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "call", rename_all = "snake_case")]
pub enum TapeEntry {
    /// A reading of the wall clock: `clock.now` or WASI's. Nanoseconds since the Unix epoch.
    WallClock {
        /// The reading.
        nanos: u64,
    },
    /// A reading of WASI's monotonic clock, nanoseconds since the attempt began.
    MonotonicClock {
        /// The reading.
        nanos: u64,
    },
    /// `clock.sleep`, with the duration that was asked for.
    Sleep {
        /// Milliseconds.
        millis: u64,
    },
    /// `context.cancel-requested` and what it answered.
    CancelRequested {
        /// The answer.
        requested: bool,
    },
    /// A look of the guest at the responses to its requests through `wasi:http`, which are numbered from 0.
    Responses {
        /// Requests whose responses it had not seen.
        waiting: Vec<u32>,
        /// Those of them whose responses had come. They are the next entries.
        arrived: Vec<u32>,
    },
    /// A call of any other function.
    Host(HostCall),
}

/// A call of a function whose answer is not a function of the attempt's input, and what it was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(inline))]
pub struct HostCall {
    /// Interface of the contract: `kv`.
    pub interface: String,
    /// Its function: `get`.
    pub function: String,
    /// SHA-256 of what was asked, as JSON.
    pub request: Digest,
    /// What was asked, in a few words for people.
    pub about: String,
    /// Parts of it that those words do not show, each with the beginning of its own SHA-256: in which of them another request differs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<String, String>,
    /// How long the answer took, milliseconds.
    pub took_millis: u64,
    /// `{"ok": ..}` or `{"error": {"code": .., "message": .., "transient": ..}}`.
    pub answer: Value,
}

/// The recorded host calls of one attempt. In an event their number and digest stand for them, and they are kept apart.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Tape {
    /// In the order in which the guest made them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<TapeEntry>,
    /// What stands for entries that are kept apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<TapeReference>,
    /// Why this attempt cannot be replayed, when it cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_replayable: Option<String>,
    /// Names of secrets whose values had a part in the outcome: the attempt was told them, or they were masked in it. It can be
    /// executed again where they are known.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub secrets: BTreeSet<String>,
    /// What did not fit into the attempt's log.
    #[serde(default, skip_serializing_if = "LogDropped::is_nothing")]
    pub log_dropped: LogDropped,
}

/// A tape that is kept beside the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(inline))]
pub struct TapeReference {
    /// Sequence number of the event that started the attempt, under which its entries are kept.
    pub started: u64,
    /// How many there are.
    pub entries: u64,
    /// SHA-256 of their JSON, one after the other.
    pub digest: Digest,
}

/// What the record of a step says of the tape of its last attempt that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(inline))]
pub struct TapeNote {
    /// Where its host calls are.
    pub kept: TapeReference,
    /// Why that attempt cannot be replayed, when it cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_replayable: Option<String>,
}

/// What the host did not keep of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LogDropped {
    /// Whole lines.
    pub lines: u64,
    /// Bytes of text, those of lines that were cut included.
    pub bytes: u64,
}

impl LogDropped {
    /// Whether everything was kept.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for LogDropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lines, bytes } = self;
        match lines {
            0 => write!(f, "{bytes} bytes of long lines were"),
            1 => write!(f, "1 line with {bytes} bytes was"),
            _ => write!(f, "{lines} lines with {bytes} bytes were"),
        }
    }
}

impl Tape {
    /// Whether nothing was recorded and nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
            && self.kept.is_none()
            && self.not_replayable.is_none()
            && self.secrets.is_empty()
            && self.log_dropped.is_nothing()
    }

    /// What the record of the step says of it; nothing where no host call is kept apart.
    #[must_use]
    pub fn note(&self) -> Option<TapeNote> {
        let kept = self.kept.clone()?;
        Some(TapeNote {
            kept,
            not_replayable: self.not_replayable.clone(),
        })
    }

    /// Takes the entries of the attempt that `started` with that event out, to be kept apart. The first `saved` are already.
    #[must_use]
    pub fn keep_apart(&mut self, started: u64, saved: usize) -> Option<String> {
        let entries = std::mem::take(&mut self.entries);
        // Where not even the first one found room, that is what there is to tell.
        if entries.is_empty() && self.not_replayable.is_none() {
            return None;
        }
        let texts: Vec<String> = entries.iter().map(text_of).collect();
        self.kept = Some(TapeReference {
            started,
            entries: entries.len() as u64,
            digest: Digest::of(texts.concat().as_bytes()),
        });
        let rest = texts.get(saved..).unwrap_or_default();
        // As `json_of` has it.
        (!rest.is_empty()).then(|| format!("[{}]", rest.join(",")))
    }

    /// Puts entries that were kept apart back in.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn put_back(&mut self, entries: Vec<TapeEntry>) -> Result<(), String> {
        let Some(kept) = &self.kept else {
            return Ok(());
        };
        let found = entries.len() as u64;
        if found != kept.entries {
            return Err(format!(
                "{found} of {} host calls of the attempt are there",
                kept.entries
            ));
        }
        let digest = digest_of(&entries);
        if digest != kept.digest {
            return Err(format!(
                "the host calls of the attempt have the digest {digest}, not {}",
                kept.digest
            ));
        }
        self.entries = entries;
        Ok(())
    }
}

/// Entries as they are kept: a JSON array.
#[must_use]
pub fn json_of(entries: &[TapeEntry]) -> String {
    serde_json::to_string(entries).expect("entries are made of texts, numbers and JSON values")
}

fn digest_of(entries: &[TapeEntry]) -> Digest {
    let text: String = entries.iter().map(text_of).collect();
    Digest::of(text.as_bytes())
}

fn text_of(entry: &TapeEntry) -> String {
    serde_json::to_string(entry).expect("as in `json_of`")
}
