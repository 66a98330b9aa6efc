//! What became of a command on a run.

use milepost::core::ids::{Path, RunId};
use milepost::core::state::Status;
use milepost::core::wait::Verdict;
use milepost::engine::EarlierDecision;
use schemars::JsonSchema;
use serde::Serialize;

use super::failure::Problem;
use super::run::Run;

/// What `pause`, `cancel` and `kill` found or did; somebody else may have moved the run since.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Stopped {
    /// The run.
    pub(crate) id: RunId,
    /// What became of the command.
    pub(crate) answer: Answer,
    /// Status of the run.
    pub(crate) status: Status,
}

/// What became of a command to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// It is paused now.
    Paused,
    /// It is cancelled now.
    Cancelled,
    /// It was already paused, and stays paused until a person resumes it.
    Held,
    /// Its process was asked to pause it.
    Pausing,
    /// Its process was asked to end it.
    Cancelling,
    /// The item of a fan-out is cancelled now.
    ItemCancelled,
    /// The process that runs it was asked to cancel the item of a fan-out.
    ItemCancelling,
    /// Nothing was done: the item of a fan-out was cancelled before.
    ItemAlreadyCancelled,
    /// Nothing was done: it is being cancelled.
    BeingCancelled,
    /// Nothing was done: it waits for somebody to take it.
    AlreadyPending,
    /// Nothing was done: it runs.
    AlreadyRunning,
    /// Nothing was done: it is paused.
    AlreadyPaused,
    /// Nothing was done: it is completed.
    AlreadyCompleted,
    /// Nothing was done: it has failed.
    AlreadyFailed,
    /// Nothing was done: it is cancelled.
    AlreadyCancelled,
    /// A resume withdrew the request to pause: the run keeps running.
    PauseWithdrawn,
}

impl Answer {
    /// Nothing was done to a run of this status.
    pub(crate) const fn already(status: Status) -> Self {
        match status {
            Status::Pending => Self::AlreadyPending,
            Status::Running => Self::AlreadyRunning,
            Status::Paused => Self::AlreadyPaused,
            Status::Completed => Self::AlreadyCompleted,
            Status::Failed => Self::AlreadyFailed,
            Status::Cancelled => Self::AlreadyCancelled,
        }
    }
}

/// What `resume` and `retry` print.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "it only describes what two types are written as")]
pub(crate) enum Resumed {
    /// Where the run stands now.
    Run(Box<Run>),
    /// The request to pause is withdrawn.
    Withdrawn(Stopped),
    /// Of ids on stdin.
    Several(Several),
}

/// What `cancel` prints.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "it only describes what two types are written as")]
pub(crate) enum Cancelled {
    /// What became of the run.
    One(Stopped),
    /// Of ids on stdin.
    Several(Several),
}

/// What `signal` prints.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "it only describes what two types are written as")]
pub(crate) enum AfterSignal {
    /// What became of the signal.
    Signalled(Signalled),
    /// With `--resume`: where the run stands then.
    Run(Box<Run>),
}

/// What `approve` and `reject` print.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "it only describes what two types are written as")]
pub(crate) enum AfterDecision {
    /// What the decision did.
    Decided(Decided),
    /// With `--resume`: where the run stands then.
    Run(Box<Run>),
}

/// What several runs came to whose ids stood on stdin, in their order.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "it only describes what is put together of others")]
pub(crate) struct Several {
    /// Each of them.
    runs: Vec<OneOfSeveral>,
}

/// One of several runs.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "it only describes what others are written as")]
pub(crate) enum OneOfSeveral {
    /// Where it stands now.
    Run(Box<Run>),
    /// What became of the command.
    Stopped(Stopped),
    /// Nothing was done with it.
    Failed(FailedRun),
}

/// A run with which nothing was done.
#[derive(Serialize, JsonSchema)]
pub(crate) struct FailedRun {
    /// The run, as it was given.
    pub(crate) id: String,
    /// Why.
    pub(crate) error: Problem,
}

/// Who continues a run by itself.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Continues {
    /// A worker.
    Worker,
}

/// What became of a signal.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Signalled {
    /// The run.
    pub(crate) id: RunId,
    /// Name of the signal.
    pub(crate) signal: String,
    /// What became of this very signal.
    pub(crate) answer: SignalAnswer,
    /// Status of the run.
    pub(crate) status: Status,
    /// Whether a person has to resume it.
    pub(crate) held: bool,
    /// Who continues the run after the signal; null when nobody does.
    pub(crate) continues: Option<Continues>,
    /// Whether a worker is there now.
    pub(crate) worker_present: bool,
    /// Names of the signals that the run waits for where it stands.
    pub(crate) awaits: Vec<String>,
    /// Names that the workflow waits for and that this one was probably meant to be.
    pub(crate) nearest: Vec<String>,
}

/// What became of a signal.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum SignalAnswer {
    /// The run took it.
    Delivered,
    /// It is kept until the run waits for it.
    Kept,
}

impl Signalled {
    pub(crate) fn new(
        run: &RunId,
        signal: &str,
        sent: &milepost::engine::Signalled,
        worker: bool,
    ) -> Self {
        Self {
            id: run.clone(),
            signal: signal.to_owned(),
            answer: match sent.answer {
                milepost::engine::SignalAnswer::Delivered => SignalAnswer::Delivered,
                milepost::engine::SignalAnswer::Kept => SignalAnswer::Kept,
            },
            status: sent.status,
            held: sent.held,
            continues: sent.goes_on.then_some(Continues::Worker),
            worker_present: worker,
            awaits: sent.waits_for.iter().cloned().collect(),
            nearest: sent.nearest.clone(),
        }
    }
}

/// What a decision did.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Decided {
    /// The run.
    pub(crate) id: RunId,
    /// What was decided.
    pub(crate) answer: Verdict,
    /// The approval.
    pub(crate) path: Path,
    /// Whether it is recorded. Otherwise it is kept for the process that runs the run, and counts if the question is still open when
    /// that takes it.
    pub(crate) taken: bool,
    /// Whether the same was decided before: nothing was recorded.
    pub(crate) repeated: bool,
    /// Status of the run now.
    pub(crate) status: Status,
    /// How many rejections with rework the approval has left; null when it has no rework, and after a repetition.
    pub(crate) rework_left: Option<u32>,
    /// Whether a person has to resume it.
    pub(crate) held: bool,
    /// Who continues the run after the decision; null when nobody does.
    pub(crate) continues: Option<Continues>,
    /// Whether a worker is there now.
    pub(crate) worker_present: bool,
}

impl Decided {
    pub(crate) fn new(run: &RunId, decided: &milepost::engine::Decided, worker: bool) -> Self {
        Self {
            id: run.clone(),
            answer: decided.decision,
            path: decided.path.clone(),
            taken: decided.taken,
            repeated: false,
            status: decided.status,
            rework_left: decided.rework_left,
            held: decided.held,
            continues: decided.goes_on.then_some(Continues::Worker),
            worker_present: worker,
        }
    }

    /// The same was decided before.
    pub(crate) fn before(earlier: &EarlierDecision, worker: bool) -> Self {
        Self {
            id: earlier.run.clone(),
            answer: earlier.decision,
            path: earlier.path.clone(),
            taken: true,
            repeated: true,
            status: earlier.status,
            rework_left: None,
            held: earlier.held,
            continues: earlier.goes_on.then_some(Continues::Worker),
            worker_present: worker,
        }
    }
}
