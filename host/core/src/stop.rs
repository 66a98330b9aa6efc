//! Why a run does not move, and what happens next.

use serde::{Deserialize, Serialize};

use crate::ids::Path;
use crate::shown;
use crate::time::Timestamp;

/// Why a run does not move, and what happens next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "RecordedStop"))]
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

    /// Why a run pauses in which members stand still for these reasons: the first one says so for all of them, and it goes on, or
    /// asks somebody else, as soon as the earliest is due.
    #[must_use]
    pub fn for_reasons(reasons: Vec<Self>) -> Option<Self> {
        let due_at = reasons.iter().filter_map(|reason| reason.due_at).min();
        let first = reasons.into_iter().next()?;
        Some(Self { due_at, ..first })
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_reasons_the_first_speaks_and_the_earliest_is_when_the_run_is_due() {
        let at = |minutes: u64| Timestamp::from_nanos(minutes * 60_000_000_000);
        let reason = |message: &str, due_at| Stop {
            due_at,
            ..Stop::new(StopCode::StepPaused, message, "next")
        };
        for (due, earliest) in [
            ([None, None, None], None),
            ([None, Some(at(9)), Some(at(5))], Some(at(5))),
            ([Some(at(1)), Some(at(9)), None], Some(at(1))),
        ] {
            let reasons = ["first", "second", "third"].into_iter().zip(due);
            let reasons = reasons.map(|(message, due_at)| reason(message, due_at));
            let stop = Stop::for_reasons(reasons.collect());
            assert_eq!(stop, Some(reason("first", earliest)));
        }
        assert_eq!(Stop::for_reasons(Vec::new()), None);
    }
}
