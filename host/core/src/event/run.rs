//! What happens to a run as a whole.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{Digest, Path, RunId, StepId};
use crate::labels::Labels;
use crate::payload::Payload;
use crate::rules::Rules;
use crate::state::{Ending, StepRecord};
use crate::stop::Stop;
use crate::time::Timestamp;

/// What happened to a run as a whole.
#[derive(Debug, Clone, PartialEq)]
pub enum RunEvent {
    /// Reported. The run exists, with everything that is frozen for its life. Always the first event; gives `pending`.
    Created(RunCreated),
    /// Reported. Somebody took ownership; the entry's epoch is the new one. Gives `running`. Attempts that were in flight
    /// under the previous claim are lost and will start again.
    Claimed {
        /// The owner, for people: host, process id.
        owner: String,
        /// Why.
        cause: ClaimCause,
    },
    /// Reported. The owner let go without an ending (graceful shutdown). Gives `pending`; does not count as a recovery.
    Released {
        /// Why, for people.
        reason: String,
    },
    /// Reported. A person or a scheduler asked a stopped run to go on. Clears the stop; the following claim makes it run.
    Resumed(RunResumed),
    /// Reported. The definition or its components were replaced with consent.
    DefinitionChanged(DefinitionChanged),
    /// Reported. An automatic resume of a paused run was tried and could not begin. The run stays paused.
    Postponed {
        /// Why it could not begin.
        reason: String,
        /// When it is tried again; never by itself when absent.
        due_at: Option<Timestamp>,
        /// Whether it had waited, and the wait is over: it is not for that any more that it stands still.
        waited: bool,
    },
    /// Reported. A person wants a paused run to stay where it is until a person resumes it, whatever comes meanwhile.
    Held {
        /// Who, for people.
        by: String,
    },
    /// Reported. The clock that wrote the last event was far ahead and is right again. The only event that is recorded with an
    /// earlier time than the one before.
    ClockCorrected {
        /// By how much time steps back, milliseconds.
        back_millis: u64,
        /// Steps whose times move back with it.
        steps: Vec<StepId>,
    },
    /// Decided where a run would end that has something left to do before; reported when a person cancels one. What is open ends
    /// first, then come steps with `finally`, then the end. Gives `pending` to a paused run.
    Finishing {
        /// How the run is about to end.
        ending: Ending,
    },
    /// Decided. The time of the steps with `finally` begins.
    FinallyStarted,
    /// Decided after a step paused; reported on a signal, a request or an error of the host. Gives `paused`.
    Paused {
        /// Why, and what happens next.
        stop: Stop,
    },
    /// Decided. Gives `completed`.
    Completed {
        /// What the workflow returns.
        output: Payload,
    },
    /// Decided after a step failed; reported when the host could not go on. Gives `failed`.
    Failed {
        /// Why, and what happens next.
        stop: Stop,
    },
    /// Reported. Gives `cancelled`.
    Cancelled {
        /// Why.
        stop: Stop,
    },
    /// Reported: a person wants what the run has done undone. What is open ends, then whatever has completed and can be undone is
    /// undone, the latest first, then the run ends. A run that stood still is `pending`.
    Compensating {
        /// Whether it ends as cancelled, not as failed.
        cancels: bool,
        /// Why it ends.
        stop: Stop,
        /// Who asked.
        by: String,
    },
}

/// The frozen facts of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(inline))]
pub struct RunCreated {
    /// The run.
    pub run: RunId,
    /// Name of the workflow.
    pub workflow: String,
    /// Digest of the definition's text; the text is a blob.
    pub definition: Digest,
    /// File of the definition, absolute, so that components are found again.
    pub file: String,
    /// Digests of all components, by plugin name.
    pub plugins: BTreeMap<String, Digest>,
    /// Typed inputs: an object.
    #[serde(deserialize_with = "crate::payload::kept")]
    pub inputs: Payload,
    /// Every attempt's seed is derived from this one.
    pub seed: u64,
    /// Under which rules the run is decided.
    #[serde(default)]
    pub rules: Rules,
    /// What its child workflows, and those of theirs, are made of, by file.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub children: BTreeMap<String, CarriedWorkflow>,
    /// Whose child run it is, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
    /// Places of values that were replaced when the run was exported: what was made of them cannot be made again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redacted: Vec<String>,
    /// What it begins with, if it is the fork of another run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fork: Option<Fork>,
    /// What whoever started it called it by.
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
}

/// Where a run begins that is the fork of another one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Fork {
    /// That run. It need not be there any more.
    pub run: RunId,
    /// Where its journal ended.
    pub seq: u64,
    /// From which steps on the fork runs again.
    pub from: Vec<StepId>,
    /// The executions whose outcomes it keeps, as the other run had recorded them. The first event of a journal alone has them: whoever
    /// folds it finds them among the executions of the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<serde_json::Value>"))]
    pub kept: Vec<StepRecord>,
}

impl Fork {
    /// The steps at the top level that it keeps the outcome of.
    #[must_use]
    pub fn kept_steps(&self) -> Vec<StepId> {
        let top = |record: &&StepRecord| record.path.parent().is_none() && !record.path.is_item();
        let kept = self.kept.iter().filter(top);
        kept.map(|record| record.path.step().clone()).collect()
    }
}

/// What a run carries of a child workflow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CarriedWorkflow {
    /// Digest of the definition's text; the text is a blob.
    pub definition: Digest,
    /// Digests of all components, by plugin name.
    pub plugins: BTreeMap<String, Digest>,
}

impl CarriedWorkflow {
    /// The blobs that it names.
    pub fn blobs(&self) -> impl Iterator<Item = Digest> {
        std::iter::once(self.definition).chain(self.plugins.values().copied())
    }
}

/// The step of another run that a run was started by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "ParentStep"))]
pub struct Parent {
    /// That run.
    pub run: RunId,
    /// The execution in it.
    pub path: Path,
}

/// Another definition, or other components, that the run goes on under.
#[derive(Debug, Clone, PartialEq)]
pub struct DefinitionChanged {
    /// Digest of the new text.
    pub definition: Digest,
    /// Digests of all components, by plugin name.
    pub plugins: BTreeMap<String, Digest>,
    /// What its child workflows, and those of theirs, are made of, by file.
    pub children: BTreeMap<String, CarriedWorkflow>,
    /// Steps whose record was dropped because they no longer exist, or stand elsewhere.
    pub dropped: Vec<StepId>,
    /// Steps that will run again: they have read what was dropped, or stand open in a loop that a lower limit ends.
    pub reset: Vec<StepId>,
    /// The inputs from now on, where the definition takes others than before.
    pub inputs: Option<Payload>,
}

/// Why somebody took ownership.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ClaimCause {
    /// First start, or after a release.
    Start,
    /// After a resume, or a person's take-over of a run whose owner is gone.
    Resume,
    /// After a retry.
    Retry,
    /// The previous owner is gone.
    Recovery,
}

/// A stopped run is asked to continue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(inline))]
pub struct RunResumed {
    /// How it was asked.
    pub cause: ResumeCause,
    /// Steps that will run again from the start.
    pub reset: Vec<StepId>,
    /// Failed loops that continue at their recorded iteration.
    pub reopened: Vec<StepId>,
    /// Which items of fan-outs run again or go on.
    #[serde(default, skip_serializing_if = "ItemsAgain::is_empty")]
    pub items: ItemsAgain,
    /// Open waits behind the step at which the run goes on: they begin anew when their turn comes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub closed: Vec<StepId>,
    /// Components that stay paused where a run that stands at several steps goes on by itself: their time has not come.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paused: Vec<Path>,
    /// Steps that stay completed.
    pub completed: u32,
    /// The stop that this clears.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleared: Option<Stop>,
}

/// What goes on in fan-outs when a run continues; what is named here by its path is one execution, not all of its step.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(inline))]
pub struct ItemsAgain {
    /// Executions that run again from the start: items, and steps inside of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub reset: Vec<Path>,
    /// Fan-outs, items and loops that failed and go on where they stand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub reopened: Vec<Path>,
}

impl ItemsAgain {
    /// Whether nothing of a fan-out goes on.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.reset.is_empty() && self.reopened.is_empty()
    }
}

/// How a stopped run was asked to continue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ResumeCause {
    /// Continue.
    Resume,
    /// Run failed or named steps again.
    Retry,
    /// An automatic resume: its time had come.
    Schedule,
    /// What it waited for has come, or its time is over.
    Wait,
}
