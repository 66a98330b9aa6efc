//! The stored form of a stop: flat, with the words of those that were recorded before stops were data.

use serde::{Deserialize, Serialize};

use super::{Stop, StopCode, Told, Why};
use crate::ids::Path;
use crate::time::Timestamp;

/// A stop as it is stored: with `why`, or in words. Documents show it in words.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    feature = "schema",
    schemars(
        rename = "RecordedStop",
        description = "Why a run does not move, and what happens next.",
        extend("required" = ["code", "message", "next"])
    )
)]
pub(super) struct Stored {
    /// Reason from a closed set.
    code: StopCode,
    /// For a person; lists every failed step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    message: Option<String>,
    /// The step that stopped it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<Path>,
    /// What happens next, and by whom; not when, which is `due_at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    next: Option<String>,
    /// When something happens by itself: the run continues, or its wait times out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due_at: Option<Timestamp>,
    /// Whose limit was met.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
    /// Who wants the run to stay here until a person resumes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    held_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(skip))]
    postponed: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(skip))]
    why: Option<Why>,
    /// Everything that it stands at, where that is more than one thing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<Stored>,
    /// How many reasons there are besides.
    #[serde(default, skip_serializing_if = "super::is_zero")]
    more: u32,
    /// How many steps were compensated before the run ended, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    compensated: Option<u32>,
    /// How many steps were not, where the run was ended before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uncompensated: Option<u32>,
}

impl From<Stop> for Stored {
    fn from(stop: Stop) -> Self {
        let code = stop.code();
        let (message, next, why) = match stop.why {
            Why::Told(told) => (Some(told.message), Some(told.next), None),
            why => (None, None, Some(why)),
        };
        Self {
            code,
            message,
            path: stop.path,
            next,
            due_at: stop.due_at,
            provider: stop.provider,
            held_by: stop.held_by,
            postponed: stop.postponed,
            why,
            reasons: stop.reasons.into_iter().map(Self::from).collect(),
            more: stop.more,
            compensated: stop.compensated,
            uncompensated: stop.uncompensated,
        }
    }
}

impl TryFrom<Stored> for Stop {
    type Error = &'static str;

    fn try_from(stored: Stored) -> Result<Self, Self::Error> {
        let code = stored.code;
        let why = match (stored.why, stored.message, stored.next) {
            (Some(why), None, None) if why.code() == code => why,
            (Some(_), None, None) => return Err("its stop has another code than its reason"),
            (None, Some(message), Some(next)) => Why::Told(Told {
                code,
                message,
                next,
            }),
            (_, _, _) => return Err("its stop needs a reason, or words for it"),
        };
        Ok(Self {
            why,
            path: stored.path,
            due_at: stored.due_at,
            provider: stored.provider,
            held_by: stored.held_by,
            postponed: stored.postponed,
            reasons: {
                let reasons = stored.reasons.into_iter().map(Self::try_from);
                reasons.collect::<Result<_, _>>()?
            },
            more: stored.more,
            compensated: stored.compensated,
            uncompensated: stored.uncompensated,
        })
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Stop {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        Stored::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Stored::json_schema(generator)
    }
}
