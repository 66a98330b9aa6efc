//! The journal's events: what happened to a run, in the past tense. Folding them gives the run's state.
//!
//! An event is *decided* (the core derives it from definition and state) or *reported* (it brings something new in: an
//! outcome, a claim, a person's request). Replay derives the first kind again and takes the second kind from the record.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::{Digest, Epoch, Path, RunId, StepId};
use crate::outcome::{Pause, StepError};
use crate::payload::{FindBlob, MissingBlob, Payload, hydrate};
use crate::rules::Rules;
use crate::shown;
use crate::tape::Tape;
use crate::time::Timestamp;
use crate::wait::{Verdict, Wait};

/// Version of the stored form of events and checkpoint parts.
pub const FORMAT: u32 = 1;

/// One event at its place in the journal of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Position, from 1, without gaps.
    pub seq: u64,
    /// When it was recorded.
    pub at: Timestamp,
    /// Under which claim.
    pub epoch: Epoch,
    /// What happened.
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// Reported. The run exists, with everything that is frozen for its life. Always the first event; gives `pending`.
    RunCreated(RunCreated),
    /// Reported. Somebody took ownership; the entry's epoch is the new one. Gives `running`. Attempts that were in flight
    /// under the previous claim are lost and will start again.
    RunClaimed {
        /// The owner, for people: host, process id.
        owner: String,
        /// Why.
        cause: ClaimCause,
    },
    /// Reported. The owner let go without an ending (graceful shutdown). Gives `pending`; does not count as a recovery.
    RunReleased {
        /// Why, for people.
        reason: String,
    },
    /// Reported. A person or a scheduler asked a stopped run to go on. Clears the stop; the following claim makes it run.
    RunResumed(RunResumed),
    /// Reported. The definition or its components were replaced with consent.
    DefinitionChanged {
        /// Digest of the new text.
        definition: Digest,
        /// Digests of all components, by plugin name.
        plugins: BTreeMap<String, Digest>,
        /// Steps whose record was dropped because they no longer exist, or stand elsewhere.
        dropped: Vec<StepId>,
        /// Steps that will run again: they have read what was dropped, or stand open in a loop that a lower limit ends.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        reset: Vec<StepId>,
        /// The inputs from now on, where the definition takes others than before.
        #[serde(
            default,
            deserialize_with = "crate::payload::kept_if_any",
            skip_serializing_if = "Option::is_none"
        )]
        inputs: Option<Payload>,
    },

    /// Decided. An attempt is about to start: recorded before the component is called.
    StepStarted {
        /// Where.
        path: Path,
        /// Which attempt, from 1.
        attempt: u32,
        /// Resolved `with`.
        input: Payload,
        /// Seed of all randomness of the attempt.
        seed: u64,
        /// How long the attempt may take, milliseconds.
        timeout_millis: u64,
    },
    /// Reported. An attempt returned an output: the step is settled.
    StepCompleted {
        /// Where.
        path: Path,
        /// Which attempt.
        attempt: u32,
        /// The output.
        output: Payload,
        /// What the host answered to the attempt.
        #[serde(default, skip_serializing_if = "Tape::is_empty")]
        tape: Tape,
    },
    /// Reported. An attempt failed and will be followed by another one.
    AttemptFailed {
        /// Where.
        path: Path,
        /// Which attempt.
        attempt: u32,
        /// How it failed.
        error: StepError,
        /// When the next attempt is due.
        retry_at: Timestamp,
        /// What the host answered to the attempt.
        #[serde(default, skip_serializing_if = "Tape::is_empty")]
        tape: Tape,
    },
    /// Reported after an attempt, decided when no attempt was needed to fail (an expression, a loop's limit). The step is
    /// settled.
    StepFailed {
        /// Where.
        path: Path,
        /// Which attempt; `None` when the component was not called.
        attempt: Option<u32>,
        /// How it failed.
        error: StepError,
        /// What the host answered to the attempt.
        #[serde(default, skip_serializing_if = "Tape::is_empty")]
        tape: Tape,
    },
    /// Reported. An attempt asked to stop here, or used up its retries. The run pauses next.
    StepPaused {
        /// Where.
        path: Path,
        /// Which attempt.
        attempt: u32,
        /// Why, and until when.
        pause: Pause,
        /// The last error, when retries were used up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<StepError>,
        /// What the host answered to the attempt.
        #[serde(default, skip_serializing_if = "Tape::is_empty")]
        tape: Tape,
    },
    /// Reported. The host ended an attempt (a signal, a cancel, a shutdown); it has no outcome and will start again.
    StepInterrupted {
        /// Where.
        path: Path,
        /// Which attempt.
        attempt: u32,
    },
    /// Decided. The step's `if` was false. The step is settled.
    StepSkipped {
        /// Where.
        path: Path,
        /// The condition's text.
        condition: String,
    },

    /// Decided. A wait or an approval began.
    WaitStarted {
        /// Where.
        path: Path,
        /// What ends it.
        wait: Wait,
    },
    /// Decided. Time ended a wait, and that is no failure. The step is settled.
    WaitEnded {
        /// Where.
        path: Path,
        /// The step's output.
        output: Payload,
    },
    /// Reported. A signal came to the step that waits for it. A wait is settled by it, a paused component is called again.
    SignalReceived {
        /// Where.
        path: Path,
        /// The signal's name.
        signal: String,
        /// What was sent with it.
        data: Payload,
        /// When it was sent.
        sent_at: Timestamp,
    },
    /// Reported. A person decided. The step is settled, unless the decision is to go over the work again.
    ApprovalDecided {
        /// Where.
        path: Path,
        /// What was decided.
        decision: Verdict,
        /// Why, in the person's words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        comment: Option<String>,
        /// Who decided, in their own words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// Steps that run again before the approval is asked for again; empty when the decision is final.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        rework: Vec<StepId>,
    },

    /// Decided. A pass of a loop began.
    LoopIterationStarted {
        /// The loop.
        path: Path,
        /// Which pass, from 1.
        iteration: u32,
    },
    /// Decided. A pass is over and `until` was evaluated.
    LoopIterationEnded {
        /// The loop.
        path: Path,
        /// Which pass.
        iteration: u32,
        /// What `until` gave.
        condition_met: bool,
    },
    /// Decided. The loop ended without failing. The step is settled with output `{iterations, condition_met}`.
    LoopCompleted {
        /// The loop.
        path: Path,
        /// Passes run.
        iterations: u32,
        /// What `until` gave last; false when no pass ran.
        condition_met: bool,
    },

    /// Reported. An automatic resume of a paused run was tried and could not begin. The run stays paused.
    RunPostponed {
        /// Why it could not begin.
        reason: String,
        /// When it is tried again; never by itself when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due_at: Option<Timestamp>,
        /// Whether it had waited, and the wait is over: it is not for that any more that it stands still.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        waited: bool,
    },

    /// Reported. A person wants a paused run to stay where it is until a person resumes it, whatever comes meanwhile.
    RunHeld {
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

    /// Decided after a step paused; reported on a signal, a request or an error of the host. Gives `paused`.
    RunPaused {
        /// Why, and what happens next.
        stop: Stop,
    },
    /// Decided. Gives `completed`.
    RunCompleted {
        /// What the workflow returns.
        output: Payload,
    },
    /// Decided after a step failed; reported when the host could not go on. Gives `failed`.
    RunFailed {
        /// Why, and what happens next.
        stop: Stop,
    },
    /// Reported. Gives `cancelled`.
    RunCancelled {
        /// Why.
        stop: Stop,
    },
}

/// The frozen facts of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
}

/// Why somebody took ownership.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

/// A stopped run is asked to go on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunResumed {
    /// How it was asked.
    pub cause: ResumeCause,
    /// Steps that will run again from the start.
    pub reset: Vec<StepId>,
    /// Failed loops that go on at their recorded pass.
    pub reopened: Vec<StepId>,
    /// Open waits behind the step at which the run goes on: they begin anew when their turn comes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub closed: Vec<StepId>,
    /// Steps that stay completed.
    pub completed: u32,
    /// The stop that this clears.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleared: Option<Stop>,
}

/// How a stopped run was asked to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

/// Why a run does not move, and what happens next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stop {
    /// Reason from a closed set.
    pub code: StopCode,
    /// For a person; lists every failed step.
    pub message: String,
    /// The step that stopped it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<Path>,
    /// What happens next, and by whom; not when, which is `due_at`.
    pub next: String,
    /// When something happens by itself: the run goes on, or what it waits for times out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// Whose limit was met.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Who wants the run to stay here until a person resumes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_by: Option<String>,
}

impl Stop {
    /// A stop of the run as a whole, at no step, from which nothing leads by itself.
    #[must_use]
    pub fn new(code: StopCode, message: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            code,
            message: shown::message(message),
            path: None,
            next: shown::message(next),
            due_at: None,
            provider: None,
            held_by: None,
        }
    }

    /// The end of a run that can never go on.
    #[must_use]
    pub fn over(code: StopCode, message: impl Into<String>) -> Self {
        Self::new(code, message, "nothing; the run is over")
    }

    /// A cancellation, by whom or what.
    #[must_use]
    pub fn cancelled_by(by: &str) -> Self {
        Self::over(StopCode::Cancelled, format!("cancelled by {by}"))
    }

    /// The same at a step.
    #[must_use]
    pub fn at(self, path: impl Into<Option<Path>>) -> Self {
        Self {
            path: path.into(),
            ..self
        }
    }
}

/// The closed set of reasons for a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopCode {
    /// A step failed.
    StepFailed,
    /// A step asked to pause.
    StepPaused,
    /// A step used up its attempts on a retryable error.
    RetriesExhausted,
    /// A signal or a person paused the run.
    Interrupted,
    /// A person cancelled the run.
    Cancelled,
    /// The `returns` expression could not be evaluated.
    ReturnsFailed,
    /// The host could not go on.
    HostError,
    /// The checkpoint could not be saved.
    CheckpointNotSaved,
    /// The owning process was lost too often.
    ProcessLost,
    /// It took more room in the store than its definition allows.
    DiskLimit,
    /// It waits for a point in time.
    WaitingForTime,
    /// It waits for a signal.
    WaitingForSignal,
    /// It waits for a person's decision.
    WaitingForApproval,
    /// What it waited for has come: it goes on as soon as somebody takes it.
    Ready,
    /// A person rejected it at an approval.
    Rejected,
    /// Nobody decided in time at an approval.
    ApprovalTimedOut,
}

impl StopCode {
    /// Every code.
    pub const ALL: [Self; 16] = [
        Self::StepFailed,
        Self::StepPaused,
        Self::RetriesExhausted,
        Self::Interrupted,
        Self::Cancelled,
        Self::ReturnsFailed,
        Self::HostError,
        Self::CheckpointNotSaved,
        Self::ProcessLost,
        Self::DiskLimit,
        Self::WaitingForTime,
        Self::WaitingForSignal,
        Self::WaitingForApproval,
        Self::Ready,
        Self::Rejected,
        Self::ApprovalTimedOut,
    ];

    /// Whether the run stands at a wait or an approval, resolved or not: going on repeats nothing.
    #[must_use]
    pub const fn is_wait(self) -> bool {
        matches!(
            self,
            Self::WaitingForTime | Self::WaitingForSignal | Self::WaitingForApproval | Self::Ready
        )
    }

    /// Whether the due time ends a wait for something else, rather than being what the run waits for.
    #[must_use]
    pub const fn times_out(self) -> bool {
        matches!(self, Self::WaitingForSignal | Self::WaitingForApproval)
    }

    /// The stable text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StepFailed => "step_failed",
            Self::StepPaused => "step_paused",
            Self::RetriesExhausted => "retries_exhausted",
            Self::Interrupted => "interrupted",
            Self::Cancelled => "cancelled",
            Self::ReturnsFailed => "returns_failed",
            Self::HostError => "host_error",
            Self::CheckpointNotSaved => "checkpoint_not_saved",
            Self::ProcessLost => "process_lost",
            Self::DiskLimit => "disk_limit",
            Self::WaitingForTime => "waiting_for_time",
            Self::WaitingForSignal => "waiting_for_signal",
            Self::WaitingForApproval => "waiting_for_approval",
            Self::Ready => "ready",
            Self::Rejected => "rejected",
            Self::ApprovalTimedOut => "approval_timed_out",
        }
    }
}

impl std::fmt::Display for StopCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A stored record that cannot be read back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A version that this program does not know.
    #[error("it has format {0}, this program knows up to {FORMAT}")]
    TooNew(u64),
    /// Not the expected shape.
    #[error("it does not have the expected shape: {0}")]
    Malformed(String),
    /// A blob is gone.
    #[error(transparent)]
    MissingBlob(#[from] MissingBlob),
}

/// Checks and removes the format version of a stored body and puts its blobs back.
pub(crate) fn open_body(
    text: &str,
    pointers: &[&str],
    find: &FindBlob<'_>,
) -> Result<Value, DecodeError> {
    let malformed = |e: &dyn std::fmt::Display| DecodeError::Malformed(e.to_string());
    let mut body: Value = serde_json::from_str(text).map_err(|e| malformed(&e))?;
    let format = body
        .get("format")
        .and_then(Value::as_u64)
        .ok_or_else(|| malformed(&"it has no format version"))?;
    if format > u64::from(FORMAT) {
        return Err(DecodeError::TooNew(format));
    }
    let mut inner = body
        .get_mut("body")
        .map(Value::take)
        .ok_or_else(|| malformed(&"it has no body"))?;
    hydrate(&mut inner, pointers, find)?;
    Ok(inner)
}

/// Wraps a record with the format version.
pub(crate) fn close_body<T: Serialize>(body: &T) -> String {
    #[derive(Serialize)]
    struct Stored<'a, T> {
        format: u32,
        body: &'a T,
    }
    // Room for most bodies: growing on the way would copy them.
    let mut text = Vec::with_capacity(512);
    let stored = Stored {
        format: FORMAT,
        body,
    };
    serde_json::to_writer(&mut text, &stored)
        .expect("records have string keys and no failing serializers");
    String::from_utf8(text).expect("JSON is text")
}

impl Event {
    /// The stable name, as in `"type"`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::RunCreated(_) => "run_created",
            Self::RunClaimed { .. } => "run_claimed",
            Self::RunReleased { .. } => "run_released",
            Self::RunResumed(_) => "run_resumed",
            Self::DefinitionChanged { .. } => "definition_changed",
            Self::StepStarted { .. } => "step_started",
            Self::StepCompleted { .. } => "step_completed",
            Self::AttemptFailed { .. } => "attempt_failed",
            Self::StepFailed { .. } => "step_failed",
            Self::StepPaused { .. } => "step_paused",
            Self::StepInterrupted { .. } => "step_interrupted",
            Self::StepSkipped { .. } => "step_skipped",
            Self::WaitStarted { .. } => "wait_started",
            Self::WaitEnded { .. } => "wait_ended",
            Self::SignalReceived { .. } => "signal_received",
            Self::ApprovalDecided { .. } => "approval_decided",
            Self::LoopIterationStarted { .. } => "loop_iteration_started",
            Self::LoopIterationEnded { .. } => "loop_iteration_ended",
            Self::LoopCompleted { .. } => "loop_completed",
            Self::RunPostponed { .. } => "run_postponed",
            Self::RunHeld { .. } => "run_held",
            Self::ClockCorrected { .. } => "clock_corrected",
            Self::RunPaused { .. } => "run_paused",
            Self::RunCompleted { .. } => "run_completed",
            Self::RunFailed { .. } => "run_failed",
            Self::RunCancelled { .. } => "run_cancelled",
        }
    }

    /// The step execution that it is about.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::StepStarted { path, .. }
            | Self::StepCompleted { path, .. }
            | Self::AttemptFailed { path, .. }
            | Self::StepFailed { path, .. }
            | Self::StepPaused { path, .. }
            | Self::StepInterrupted { path, .. }
            | Self::StepSkipped { path, .. }
            | Self::WaitStarted { path, .. }
            | Self::WaitEnded { path, .. }
            | Self::SignalReceived { path, .. }
            | Self::ApprovalDecided { path, .. }
            | Self::LoopIterationStarted { path, .. }
            | Self::LoopIterationEnded { path, .. }
            | Self::LoopCompleted { path, .. } => Some(path),
            Self::RunPaused { stop } | Self::RunFailed { stop } | Self::RunCancelled { stop } => {
                stop.path.as_ref()
            }
            Self::RunCreated(_)
            | Self::RunClaimed { .. }
            | Self::RunReleased { .. }
            | Self::RunResumed(_)
            | Self::DefinitionChanged { .. }
            | Self::RunPostponed { .. }
            | Self::RunHeld { .. }
            | Self::ClockCorrected { .. }
            | Self::RunCompleted { .. } => None,
        }
    }

    /// What the host noted of the attempt that it ends.
    #[must_use]
    pub fn tape(&self) -> Option<&Tape> {
        match self {
            Self::StepCompleted { tape, .. }
            | Self::AttemptFailed { tape, .. }
            | Self::StepFailed { tape, .. }
            | Self::StepPaused { tape, .. } => Some(tape),
            Self::RunCreated(_)
            | Self::RunClaimed { .. }
            | Self::RunReleased { .. }
            | Self::RunResumed(_)
            | Self::DefinitionChanged { .. }
            | Self::StepStarted { .. }
            | Self::StepInterrupted { .. }
            | Self::StepSkipped { .. }
            | Self::WaitStarted { .. }
            | Self::WaitEnded { .. }
            | Self::SignalReceived { .. }
            | Self::ApprovalDecided { .. }
            | Self::LoopIterationStarted { .. }
            | Self::LoopIterationEnded { .. }
            | Self::LoopCompleted { .. }
            | Self::RunPostponed { .. }
            | Self::RunHeld { .. }
            | Self::ClockCorrected { .. }
            | Self::RunPaused { .. }
            | Self::RunCompleted { .. }
            | Self::RunFailed { .. }
            | Self::RunCancelled { .. } => None,
        }
    }

    /// The value of a user or a plugin that it carries.
    #[must_use]
    pub fn payload(&self) -> Option<&Payload> {
        match self {
            Self::RunCreated(created) => Some(&created.inputs),
            Self::StepStarted { input, .. } => Some(input),
            Self::StepCompleted { output, .. }
            | Self::WaitEnded { output, .. }
            | Self::RunCompleted { output } => Some(output),
            Self::SignalReceived { data, .. } => Some(data),
            Self::DefinitionChanged { inputs, .. } => inputs.as_ref(),
            Self::RunClaimed { .. }
            | Self::RunReleased { .. }
            | Self::RunResumed(_)
            | Self::AttemptFailed { .. }
            | Self::StepFailed { .. }
            | Self::StepPaused { .. }
            | Self::StepInterrupted { .. }
            | Self::StepSkipped { .. }
            | Self::WaitStarted { .. }
            | Self::ApprovalDecided { .. }
            | Self::LoopIterationStarted { .. }
            | Self::LoopIterationEnded { .. }
            | Self::LoopCompleted { .. }
            | Self::RunPostponed { .. }
            | Self::RunHeld { .. }
            | Self::ClockCorrected { .. }
            | Self::RunPaused { .. }
            | Self::RunFailed { .. }
            | Self::RunCancelled { .. } => None,
        }
    }

    /// The blobs that its stored form names.
    pub fn blobs(&self) -> impl Iterator<Item = Digest> {
        let carried = match self {
            Self::RunCreated(created) => Some((created.definition, &created.plugins)),
            Self::DefinitionChanged {
                definition,
                plugins,
                ..
            } => Some((*definition, plugins)),
            _ => None,
        };
        let value = self.payload().and_then(Payload::blob);
        carried
            .into_iter()
            .flat_map(|(text, components)| {
                std::iter::once(text).chain(components.values().copied())
            })
            .chain(value.map(|(digest, _)| digest))
    }

    /// The stored form.
    #[must_use]
    pub fn encode(&self) -> String {
        close_body(self)
    }

    /// Reads the stored form back.
    ///
    /// # Errors
    /// [`DecodeError`] when the text is damaged, too new, or names a missing blob.
    pub fn decode(text: &str, find: &FindBlob<'_>) -> Result<Self, DecodeError> {
        let body = open_body(text, &["/inputs", "/input", "/output", "/data"], find)?;
        serde_json::from_value(body).map_err(|e| DecodeError::Malformed(e.to_string()))
    }
}
