//! The stored form of a record: flat, as records were before they owned what is kept of their kind.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::record::{Attempts, ChildRun, Kind};
use super::{Compensable, Items, Settled, StepPhase, StepRecord};
use crate::ids::Path;
use crate::payload::Payload;
use crate::tape::{LogDropped, TapeNote};
use crate::time::Timestamp;

/// Where the values of users and plugins stand in it, as JSON pointers.
pub(crate) const RECORD_VALUES: [&str; 4] = [
    "/phase/result/output",
    "/previous/result/output",
    "/items",
    "/compensable/with",
];

/// A record as it is stored. It borrows what is written, and owns what was read.
#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    path: Cow<'a, Path>,
    phase: Cow<'a, StepPhase>,
    attempts: u32,
    failures: u32,
    started_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deadline: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<Cow<'a, Settled>>,
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    resume_state: Option<Cow<'a, Value>>,
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    resume_signal: Option<Cow<'a, Value>>,
    #[serde(default, skip_serializing_if = "LogDropped::is_nothing")]
    log_dropped: LogDropped,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tape: Option<Cow<'a, TapeNote>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    waited: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rejections: Option<u32>,
    /// Of a fan-out: what it goes over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    items: Option<Cow<'a, Payload>>,
    /// Of an item of a fan-out with members.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    item: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    child: Option<Cow<'a, ChildRun>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    compensable: Option<Cow<'a, Compensable>>,
}

/// A value that is there, also null.
fn present<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Cow<'static, Value>>, D::Error> {
    Value::deserialize(deserializer).map(|value| Some(Cow::Owned(value)))
}

impl<'a> From<&'a StepRecord> for Stored<'a> {
    fn from(record: &'a StepRecord) -> Self {
        Self {
            path: Cow::Borrowed(&record.path),
            phase: Cow::Borrowed(&record.phase),
            attempts: record.attempts(),
            failures: record.failures(),
            started_at: record.started_at,
            deadline: record.deadline,
            previous: record.previous.as_ref().map(Cow::Borrowed),
            resume_state: record.resume_state().map(Cow::Borrowed),
            resume_signal: record.resume_signal().map(Cow::Borrowed),
            log_dropped: record.log_dropped(),
            tape: record.tape().map(Cow::Borrowed),
            waited: record.is_wait(),
            rejections: record.rejections(),
            items: record.items().map(|items| Cow::Borrowed(items.list())),
            item: record.kind == Kind::Item,
            child: record.child().map(Cow::Borrowed),
            compensable: record.compensable().map(Cow::Borrowed),
        }
    }
}

impl From<Stored<'_>> for StepRecord {
    fn from(stored: Stored<'_>) -> Self {
        let phase = stored.phase.into_owned();
        let kind = if let Some(child) = stored.child {
            Kind::Child(child.into_owned())
        } else if stored.waited || matches!(phase, StepPhase::Awaiting { .. }) {
            Kind::Wait {
                began: stored.attempts,
                rejections: stored.rejections,
            }
        } else if stored.attempts > 0 {
            Kind::Component(Attempts {
                made: stored.attempts,
                failures: stored.failures,
                resume_state: stored.resume_state.map(Cow::into_owned),
                resume_signal: stored.resume_signal.map(Cow::into_owned),
                log_dropped: stored.log_dropped,
                tape: stored.tape.map(Cow::into_owned),
            })
        } else if let Some(items) = stored.items.and_then(|list| Items::new(list.into_owned())) {
            Kind::FanOut(items)
        } else if stored.item {
            Kind::Item
        } else if shows_iterations(&phase) {
            Kind::Loop
        } else {
            Kind::Unknown
        };
        Self {
            path: stored.path.into_owned(),
            phase,
            started_at: stored.started_at,
            deadline: stored.deadline,
            previous: stored.previous.map(Cow::into_owned),
            kind,
            compensable: stored.compensable.map(Cow::into_owned).map(Box::new),
        }
    }
}

/// What a phase shows of its kind: iterations are a loop's.
fn shows_iterations(phase: &StepPhase) -> bool {
    match phase {
        StepPhase::Looping { .. } => true,
        StepPhase::Settled(settled) => settled.iterations.is_some(),
        StepPhase::Pending
        | StepPhase::InFlight { .. }
        | StepPhase::Waiting { .. }
        | StepPhase::Paused { .. }
        | StepPhase::FannedOut
        | StepPhase::InItem
        | StepPhase::Awaiting { .. } => false,
    }
}

impl Serialize for StepRecord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Stored::from(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for StepRecord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Stored::deserialize(deserializer).map(Self::from)
    }
}
