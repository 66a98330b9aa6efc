//! What a step without a component waits for, and what the wait leaves as the step's output.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::ids::{Digest, RunId};
use crate::payload::Payload;
use crate::time::Timestamp;

/// A wait that began: what ends it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "for", rename_all = "snake_case")]
pub enum Wait {
    /// A point in time.
    Time {
        /// When it ends.
        until: Timestamp,
    },
    /// A signal of this name.
    Signal {
        /// The name.
        name: String,
        /// When it gives up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    /// A person's decision.
    Approval {
        /// What the person is asked.
        message: String,
        /// When it gives up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    /// The end of a child run.
    Child {
        /// That run.
        run: RunId,
        /// Digest of the inputs that it is given, as compact JSON.
        inputs: Digest,
    },
}

impl Wait {
    /// When time ends it, if time does.
    #[must_use]
    pub fn until(&self) -> Option<Timestamp> {
        match self {
            Self::Time { until } => Some(*until),
            Self::Signal { until, .. } | Self::Approval { until, .. } => *until,
            Self::Child { .. } => None,
        }
    }
}

/// The name under which the end of a child run is told to its parent. No definition can wait for it: it has a colon.
#[must_use]
pub fn child_signal(run: &RunId) -> String {
    format!("{CHILD}{run}")
}

/// The name under which a run reminds whoever looks after it that this child run, which had failed, is yet to go on.
#[must_use]
pub fn child_reminder(run: &RunId) -> String {
    format!("{CHILD}{run}:again")
}

/// Whether it is such a name.
#[must_use]
pub fn is_child_signal(name: &str) -> bool {
    name.starts_with(CHILD)
}

const CHILD: &str = "child:";

/// What a person decided at an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Decision"))]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Go on.
    Approved,
    /// Do not go on like this.
    Rejected,
}

impl Verdict {
    /// The stable text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Rejected => "rejected",
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Output of a wait for a point in time: `{until}`.
#[must_use]
pub fn time_output(until: Timestamp) -> Payload {
    Payload::new(json!({ "until": until }))
}

/// Output of a wait for a signal: `{signal, data, timed_out}`; data is null after a timeout.
#[must_use]
pub fn signal_output(name: &str, data: Option<&Value>) -> Payload {
    Payload::new(json!({ "signal": name, "data": data, "timed_out": data.is_none() }))
}

/// Output of an approval: `{decision, comment, by, timed_out}`.
#[must_use]
pub fn approval_output(
    verdict: Verdict,
    comment: Option<&str>,
    by: Option<&str>,
    timed_out: bool,
) -> Payload {
    Payload::new(json!({
        "decision": verdict, "comment": comment.unwrap_or_default(), "by": by, "timed_out": timed_out,
    }))
}
