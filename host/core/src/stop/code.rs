//! The codes of stops.

use serde::{Deserialize, Serialize};

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
    /// Steps with `finally` failed.
    FinallyFailed,
    /// A step ended the run.
    Ended,
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
    /// It waits for the end of a child run.
    WaitingForChild,
    /// What it waited for has come: it continues as soon as a worker or a person takes it.
    Ready,
    /// A person rejected it at an approval.
    Rejected,
    /// Nobody decided in time at an approval.
    ApprovalTimedOut,
    /// A compensation failed.
    CompensationFailed,
}

impl StopCode {
    /// Every code.
    pub const ALL: [Self; 20] = [
        Self::StepFailed,
        Self::StepPaused,
        Self::RetriesExhausted,
        Self::Interrupted,
        Self::FinallyFailed,
        Self::Ended,
        Self::Cancelled,
        Self::ReturnsFailed,
        Self::HostError,
        Self::CheckpointNotSaved,
        Self::ProcessLost,
        Self::DiskLimit,
        Self::WaitingForTime,
        Self::WaitingForSignal,
        Self::WaitingForApproval,
        Self::WaitingForChild,
        Self::Ready,
        Self::Rejected,
        Self::ApprovalTimedOut,
        Self::CompensationFailed,
    ];

    /// Whether the run stands at a wait or an approval, resolved or not: going on repeats nothing.
    #[must_use]
    pub const fn is_wait(self) -> bool {
        matches!(
            self,
            Self::WaitingForTime
                | Self::WaitingForSignal
                | Self::WaitingForApproval
                | Self::WaitingForChild
                | Self::Ready
        )
    }

    /// Whether it stands at a step: a wait, an approval, or a component that asked to stop.
    #[must_use]
    pub const fn is_at_a_step(self) -> bool {
        self.is_wait() || matches!(self, Self::StepPaused | Self::RetriesExhausted)
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
            Self::FinallyFailed => "finally_failed",
            Self::Ended => "ended",
            Self::Cancelled => "cancelled",
            Self::ReturnsFailed => "returns_failed",
            Self::HostError => "host_error",
            Self::CheckpointNotSaved => "checkpoint_not_saved",
            Self::ProcessLost => "process_lost",
            Self::DiskLimit => "disk_limit",
            Self::WaitingForTime => "waiting_for_time",
            Self::WaitingForSignal => "waiting_for_signal",
            Self::WaitingForApproval => "waiting_for_approval",
            Self::WaitingForChild => "waiting_for_child",
            Self::Ready => "ready",
            Self::Rejected => "rejected",
            Self::ApprovalTimedOut => "approval_timed_out",
            Self::CompensationFailed => "compensation_failed",
        }
    }
}

impl std::fmt::Display for StopCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
