//! What is recorded of the execution of one step.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Compensable, Items};
use crate::ids::{Digest, Path, RunId};
use crate::outcome::{ErrorClass, Pause, StepError};
use crate::payload::Payload;
use crate::rules::Rules;
use crate::tape::{LogDropped, TapeNote};
use crate::time::Timestamp;
use crate::wait::Wait;

/// What is recorded of one step: its present or last execution. Loops are steps too.
#[derive(Debug, Clone, PartialEq)]
pub struct StepRecord {
    pub(crate) path: Path,
    pub(crate) phase: StepPhase,
    pub(crate) started_at: Timestamp,
    /// When the execution has to be over, while it is not.
    pub(crate) deadline: Option<Timestamp>,
    /// How the execution before this one ended (the iteration before). Visible until this one settles.
    pub(crate) previous: Option<Settled>,
    pub(crate) kind: Kind,
    /// Of a compensation: what it undoes.
    pub(crate) compensable: Option<Box<Compensable>>,
}

/// What kind of step the execution has shown itself to be, with what is kept of that kind only.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// None yet: it was skipped, failed before it began, or waits for its turn.
    Unknown,
    /// It calls a component.
    Component(Attempts),
    /// It repeats its body.
    Loop,
    /// It goes over these items.
    FanOut(Items),
    /// It is an item of a fan-out with members.
    Item,
    /// It waits for time, a signal or a person.
    Wait {
        /// How often it began at this path.
        began: u32,
        /// How often a person rejected at this path. `None` only where a program that did not count began it: whoever decides
        /// there counts in the journal first.
        rejections: Option<u32>,
    },
    /// It starts a child run and waits for its end.
    Child(ChildRun),
}

/// The child run of a step execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildRun {
    /// The run: the last one, when there were several.
    pub run: RunId,
    /// How many runs were started at this path.
    pub made: u32,
    /// Digest of the inputs that it was given.
    pub inputs: Digest,
    /// Where it stood when it failed; 0 before it did. While the step waits for it, it is yet to go on from there.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failed_at: u64,
    /// Whether it ended for good: where the step runs again, another run is started.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub over: bool,
    /// Whether a person retried its step after it failed, rather than resumed it: its failed loops begin anew.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retried: bool,
    /// Whether its step was ended before it: whoever recorded that ends it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub left: bool,
}

/// What is kept of the attempts at one path.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Attempts {
    /// Attempts made.
    pub made: u32,
    /// Failed attempts in a row; what the retry policy counts. A pause or a reset begins afresh.
    pub failures: u32,
    /// What the last pause left for the next attempt.
    pub resume_state: Option<Value>,
    /// What came with the signal that ended the last pause.
    pub resume_signal: Option<Value>,
    /// What did not fit into the log of the last attempt that ended.
    pub log_dropped: LogDropped,
    /// The tape of that attempt.
    pub tape: Option<TapeNote>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// How far one step execution is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum StepPhase {
    /// Will start, or start again: after an interruption, a resume or a retry.
    Pending,
    /// An attempt was started and has no outcome.
    InFlight {
        /// When it was started.
        since: Timestamp,
    },
    /// The last attempt failed; another one is due.
    Waiting {
        /// When.
        retry_at: Timestamp,
        /// How the last attempt failed.
        error: StepError,
    },
    /// The last attempt asked to stop here, or used up its retries.
    Paused {
        /// Why, and until when. Its `state` is kept in [`StepRecord::resume_state`].
        pause: Pause,
        /// Whether retries were used up.
        retries_exhausted: bool,
        /// When it goes on by itself, if it does; of older runs, that is found when the run pauses.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due_at: Option<Timestamp>,
    },
    /// A wait or an approval that nothing has ended yet.
    Awaiting {
        /// What ends it.
        wait: Wait,
    },
    /// A loop is in this iteration.
    Looping {
        /// From 1.
        iteration: u32,
        /// What `until` gave after this iteration; `None` while it runs.
        condition_met: Option<bool>,
    },
    /// A fan-out whose items are at work.
    FannedOut,
    /// An item of a fan-out whose members are at work.
    InItem,
    /// Ended, for this path.
    Settled(Settled),
}

/// How a step execution ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settled {
    /// The ending.
    pub result: StepResult,
    /// When.
    pub at: Timestamp,
    /// Passes, for a loop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iterations: Option<u32>,
}

/// The ending of a step execution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum StepResult {
    /// With an output.
    Completed {
        /// The output.
        output: Payload,
    },
    /// Without one.
    Failed {
        /// Why.
        error: StepError,
    },
    /// Its `if` was false.
    Skipped,
}

impl StepRecord {
    /// Where the present or last execution stands.
    #[must_use]
    pub const fn path(&self) -> &Path {
        &self.path
    }

    /// How far it is.
    #[must_use]
    pub const fn phase(&self) -> &StepPhase {
        &self.phase
    }

    /// Attempts made at this path; for a wait or an approval, how often it began.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        match &self.kind {
            Kind::Component(attempts) => attempts.made,
            Kind::Wait { began, .. } => *began,
            Kind::Child(child) => child.made,
            Kind::Unknown | Kind::Loop | Kind::FanOut(_) | Kind::Item => 0,
        }
    }

    /// What is kept of the attempts, where it calls a component.
    #[must_use]
    pub const fn component(&self) -> Option<&Attempts> {
        match &self.kind {
            Kind::Component(attempts) => Some(attempts),
            Kind::Unknown
            | Kind::Loop
            | Kind::FanOut(_)
            | Kind::Item
            | Kind::Wait { .. }
            | Kind::Child(_) => None,
        }
    }

    /// The same, from now on of a component.
    pub(super) fn component_mut(&mut self) -> &mut Attempts {
        if self.component().is_none() {
            self.kind = Kind::Component(Attempts {
                made: self.attempts(),
                ..Attempts::default()
            });
        }
        match &mut self.kind {
            Kind::Component(attempts) => attempts,
            Kind::Unknown
            | Kind::Loop
            | Kind::FanOut(_)
            | Kind::Item
            | Kind::Wait { .. }
            | Kind::Child(_) => {
                unreachable!("it is one by now")
            }
        }
    }

    /// Failed attempts in a row.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.component().map_or(0, |attempts| attempts.failures)
    }

    /// When the first attempt at this path, or the first iteration, began.
    #[must_use]
    pub const fn started_at(&self) -> Timestamp {
        self.started_at
    }

    /// When the execution has to be over, while it is not.
    #[must_use]
    pub const fn deadline(&self) -> Option<Timestamp> {
        self.deadline
    }

    /// How the execution before this one ended.
    #[must_use]
    pub const fn previous(&self) -> Option<&Settled> {
        self.previous.as_ref()
    }

    /// The items that it goes over, of a fan-out that has begun.
    #[must_use]
    pub const fn items(&self) -> Option<&Items> {
        match &self.kind {
            Kind::FanOut(items) => Some(items),
            Kind::Unknown
            | Kind::Component(_)
            | Kind::Loop
            | Kind::Item
            | Kind::Wait { .. }
            | Kind::Child(_) => None,
        }
    }

    /// Whether an item has come to what a fan-out that begins again keeps: it completed, or a person cancelled it.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        match self.settled().map(|settled| &settled.result) {
            Some(StepResult::Completed { .. }) => true,
            Some(StepResult::Failed { error }) => error.class == ErrorClass::Cancelled,
            Some(StepResult::Skipped) | None => false,
        }
    }

    /// Whether a person cancelled this item of a fan-out.
    #[must_use]
    pub fn is_cancelled_item(&self) -> bool {
        self.path.is_item() && self.has_failed() && self.is_kept()
    }

    /// Whether it is not worked at again with what stands before its fan-out or around it: where that has another value in its
    /// place, the fan-out finds out when it begins.
    pub(super) fn stays_cancelled(&self, rules: Rules) -> bool {
        rules.keep_cancelled_items() && self.is_cancelled_item()
    }

    /// What another run begins with of an execution that has ended: its outcome. How it was tried, with whose child run, and how it
    /// is undone, is a matter of the run that did.
    pub(crate) fn carried_over(&self) -> Self {
        let kind = match &self.kind {
            Kind::Component(attempts) => Kind::Component(Attempts {
                made: attempts.made,
                ..Attempts::default()
            }),
            Kind::Child(_) => Kind::Unknown,
            kind @ (Kind::Unknown
            | Kind::Loop
            | Kind::FanOut(_)
            | Kind::Item
            | Kind::Wait { .. }) => kind.clone(),
        };
        Self {
            kind,
            deadline: None,
            ..self.clone()
        }
    }

    /// What the last pause at this path left for the next attempt.
    #[must_use]
    pub fn resume_state(&self) -> Option<&Value> {
        self.component()?.resume_state.as_ref()
    }

    /// What came with the signal that ended the last pause at this path.
    #[must_use]
    pub fn resume_signal(&self) -> Option<&Value> {
        self.component()?.resume_signal.as_ref()
    }

    /// The tape of the last attempt that ended at this path, where its host calls are kept.
    #[must_use]
    pub fn tape(&self) -> Option<&TapeNote> {
        self.component()?.tape.as_ref()
    }

    /// What did not fit into the log of the last attempt that ended at this path.
    #[must_use]
    pub fn log_dropped(&self) -> LogDropped {
        self.component()
            .map_or_else(LogDropped::default, |attempts| attempts.log_dropped)
    }

    /// How often a person rejected at this path. `None` where a program that did not count began it, and of what is no wait.
    #[must_use]
    pub const fn rejections(&self) -> Option<u32> {
        match &self.kind {
            Kind::Wait { rejections, .. } => *rejections,
            Kind::Unknown
            | Kind::Component(_)
            | Kind::Loop
            | Kind::FanOut(_)
            | Kind::Item
            | Kind::Child(_) => None,
        }
    }

    /// Its child run, where it has started one.
    #[must_use]
    pub const fn child(&self) -> Option<&ChildRun> {
        match &self.kind {
            Kind::Child(child) => Some(child),
            Kind::Unknown
            | Kind::Component(_)
            | Kind::Loop
            | Kind::FanOut(_)
            | Kind::Item
            | Kind::Wait { .. } => None,
        }
    }

    /// The step ends before the child run that it waits for.
    pub(super) const fn leave_child(&mut self) {
        if let (Kind::Child(child), StepPhase::Awaiting { .. }) = (&mut self.kind, &self.phase) {
            child.over = true;
            child.left = true;
        }
    }

    /// Whether this is, or was, a wait or an approval.
    #[must_use]
    pub const fn is_wait(&self) -> bool {
        matches!(self.kind, Kind::Wait { .. })
    }

    /// Whether an attempt was started and has no outcome.
    #[must_use]
    pub const fn is_in_flight(&self) -> bool {
        matches!(self.phase, StepPhase::InFlight { .. })
    }

    /// The ending that other steps see: of this execution, else of the one before.
    #[must_use]
    pub fn visible(&self) -> Option<&Settled> {
        self.settled().or(self.previous.as_ref())
    }

    /// The ending of this very execution.
    #[must_use]
    pub fn settled(&self) -> Option<&Settled> {
        match &self.phase {
            StepPhase::Settled(settled) => Some(settled),
            StepPhase::Pending
            | StepPhase::InFlight { .. }
            | StepPhase::Waiting { .. }
            | StepPhase::Paused { .. }
            | StepPhase::Awaiting { .. }
            | StepPhase::FannedOut
            | StepPhase::InItem
            | StepPhase::Looping { .. } => None,
        }
    }

    /// Whether this very execution has ended with an output.
    #[must_use]
    pub fn has_completed(&self) -> bool {
        self.settled().and_then(Settled::output).is_some()
    }

    /// Whether this very execution has ended with an error.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.settled().is_some_and(Settled::has_failed)
    }

    /// Whether nothing of it has begun: it waits for its turn, perhaps after a reset.
    #[must_use]
    pub(crate) fn is_fresh(&self) -> bool {
        self.phase == StepPhase::Pending && self.attempts() == 0
    }

    /// The word that `steps.<id>.status` and reports use.
    #[must_use]
    pub fn status(&self) -> &'static str {
        match &self.phase {
            StepPhase::Pending => "pending",
            StepPhase::InFlight { .. }
            | StepPhase::Looping { .. }
            | StepPhase::FannedOut
            | StepPhase::InItem => "running",
            StepPhase::Waiting { .. } | StepPhase::Awaiting { .. } => "waiting",
            StepPhase::Paused { .. } => "paused",
            StepPhase::Settled(settled) => settled.result.status(),
        }
    }

    /// The signal that would reach this execution now.
    #[must_use]
    pub fn awaited_signal(&self) -> Option<&str> {
        match &self.phase {
            StepPhase::Awaiting {
                wait: Wait::Signal { name, .. },
            } => Some(name),
            StepPhase::Paused { pause, .. } => pause.signal.as_deref(),
            StepPhase::Pending
            | StepPhase::InFlight { .. }
            | StepPhase::Waiting { .. }
            | StepPhase::Awaiting { .. }
            | StepPhase::Looping { .. }
            | StepPhase::FannedOut
            | StepPhase::InItem
            | StepPhase::Settled(_) => None,
        }
    }

    /// The values that it holds: outputs, the items of a fan-out, the input of a compensation.
    pub fn payloads(&self) -> impl Iterator<Item = &Payload> {
        let with = self.compensable().and_then(|undone| undone.with.as_ref());
        let held = self.outputs().chain(self.items().map(Items::list));
        held.chain(with)
    }

    /// The outputs that it holds: of this execution and of the one before.
    pub fn outputs(&self) -> impl Iterator<Item = &Payload> {
        [self.settled(), self.previous.as_ref()]
            .into_iter()
            .flatten()
            .filter_map(Settled::output)
    }
}

impl Settled {
    /// Whether it ended without an output, with an error.
    #[must_use]
    pub const fn has_failed(&self) -> bool {
        matches!(self.result, StepResult::Failed { .. })
    }

    /// The output, when it ended with one.
    #[must_use]
    pub fn output(&self) -> Option<&Payload> {
        match &self.result {
            StepResult::Completed { output } => Some(output),
            StepResult::Failed { .. } | StepResult::Skipped => None,
        }
    }
}

impl StepResult {
    /// The word that `steps.<id>.status` and reports use.
    #[must_use]
    pub fn status(&self) -> &'static str {
        match self {
            Self::Completed { .. } => "completed",
            Self::Failed { .. } => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// The output of a loop step.
#[must_use]
pub fn loop_output(iterations: u32, condition_met: bool) -> Payload {
    Payload::new(json!({"iterations": iterations, "condition_met": condition_met}))
}
