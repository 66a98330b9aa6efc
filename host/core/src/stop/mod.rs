//! Why a run does not move, as data: whoever shows it to people finds the words.

mod code;
mod stored;

pub use code::StopCode;

use serde::{Deserialize, Serialize};

use crate::definition::EndStatus;
use crate::ids::{Path, RunId};
use crate::limits;
use crate::outcome::{Pause, StepError};
use crate::shown;
use crate::time::Timestamp;
use crate::wait::Verdict;

/// Why a run does not move, and when it does again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "stored::Stored", into = "stored::Stored")]
pub struct Stop {
    /// The reason, with what there is to say of it.
    pub why: Why,
    /// The step that stopped it.
    pub path: Option<Path>,
    /// When something happens by itself: the run continues, or its wait times out.
    pub due_at: Option<Timestamp>,
    /// Whose limit was met.
    pub provider: Option<String>,
    /// Who wants the run to stay here until a person resumes it.
    pub held_by: Option<String>,
    /// Why the last automatic resume could not begin, if so; another one is due or there is none.
    pub postponed: Option<String>,
    /// What it stands at where that is more than one thing: stops of single steps, this one among them unless it is over.
    pub reasons: Vec<Stop>,
    /// How many of those there are besides, where there are more than are kept.
    pub more: u32,
    /// Of a run that is over: how many steps were compensated before, where that was asked for.
    pub compensated: Option<u32>,
    /// Of a run that was ended before all was compensated: how many steps were not.
    pub uncompensated: Option<u32>,
}

/// A reason from a closed set, with what there is to say of it. Texts in it come from plugins, people and errors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Steps failed.
    StepFailed {
        /// The first ones: as many as a message may hold.
        failures: Vec<Failure>,
        /// How many more there are.
        #[serde(default, skip_serializing_if = "is_zero")]
        more: u32,
    },
    /// A step asked to pause.
    StepPaused(Pausing),
    /// A step used up its attempts on a retryable error.
    RetriesExhausted(Pausing),
    /// A signal or a person paused the run.
    Interrupted {
        /// Who or what.
        by: String,
        /// Whether the process that ran it was gone.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        lost: bool,
    },
    /// Steps with `finally` failed, or took too long; of what the run would have ended from without them, its stop names the reason.
    FinallyFailed {
        /// The first ones: as many as a message may hold.
        failures: Vec<Failure>,
        /// How many more there are.
        #[serde(default, skip_serializing_if = "is_zero")]
        more: u32,
    },
    /// A step ended the run.
    Ended {
        /// How: as failed or as cancelled.
        status: EndStatus,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    /// A person cancelled the run.
    Cancelled {
        /// Who or what.
        by: String,
    },
    /// The `returns` expression could not be evaluated.
    ReturnsFailed {
        /// Why.
        error: String,
    },
    /// The host could not go on.
    HostError {
        /// Why.
        error: String,
        /// What that means for the run.
        then: AfterHostError,
    },
    /// The checkpoint could not be saved.
    CheckpointNotSaved {
        /// Why.
        error: String,
    },
    /// The owning process was lost, and nobody goes on in its place.
    ProcessLost(Lost),
    /// It took more room in the store than its definition allows.
    DiskLimit {
        /// Bytes that it takes.
        stored: u64,
        /// Bytes that it may take.
        limit: u64,
    },
    /// It waits for a point in time.
    WaitingForTime,
    /// It waits for a signal.
    WaitingForSignal {
        /// The name of the signal.
        signal: String,
    },
    /// It waits for a person's decision.
    WaitingForApproval {
        /// What the person is asked.
        question: String,
        /// Whether nobody decided in time; it asks on.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        overdue: bool,
    },
    /// It waits for the end of a child run.
    WaitingForChild {
        /// The child run.
        run: RunId,
    },
    /// What it waited for has come: it continues as soon as a worker or a person takes it.
    Ready(Came),
    /// A person rejected it at an approval.
    Rejected {
        /// Who.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        comment: Option<String>,
    },
    /// Nobody decided in time at an approval.
    ApprovalTimedOut,
    /// A compensation failed.
    CompensationFailed {
        /// The code of its error.
        code: String,
        /// What its error says.
        message: String,
        /// Whether it is tried again by itself; absent where a person has to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        automatic: Option<Automatic>,
    },
    /// Words are all that there is of it: that is how a program recorded stops that knew no data of them, and how they are shown.
    #[serde(skip)]
    Told(Told),
}

/// A step that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The execution.
    pub path: Path,
    /// The code of its error.
    pub code: String,
    /// What its error says.
    pub message: String,
}

/// Why a step asked to stop here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pausing {
    /// The code of its pause.
    pub code: String,
    /// What its pause says.
    pub reason: String,
    /// The signal that resumes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// Before then it makes no sense to resume it; absent where that is when it is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// Whether it is resumed automatically; absent where a person or a signal has to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub automatic: Option<Automatic>,
}

/// Automatic resumes of what passes by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Automatic {
    /// The next one is due.
    Next {
        /// Its number, from 1.
        number: u32,
        /// How many there may be in a row.
        of: u32,
    },
    /// There is none left.
    UsedUp {
        /// How many there were.
        of: u32,
    },
}

/// What an error of the host means for the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AfterHostError {
    /// It is tried again, or was tried too often.
    Automatic(Automatic),
    /// No try mends it: the run fails.
    Lasting {
        /// Why not.
        fault: Lasting,
        /// Whether the run had begun to go on.
        begun: bool,
    },
    /// The program that ran it has a defect: the run fails.
    Panicked,
}

/// What makes an error last until a person sees to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lasting {
    /// The definition, the inputs or a component that the run carries cannot be used.
    Unusable,
    /// A component is nowhere.
    ComponentMissing,
    /// The store is damaged.
    Damaged,
}

/// How a process was lost for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lost {
    /// So often in a row, with nothing recorded in between.
    Repeatedly {
        /// How often.
        times: u32,
    },
    /// Nobody can go on in its place.
    CannotGoOn {
        /// Why.
        error: String,
        /// What makes that last.
        fault: Lasting,
    },
}

/// What came that a run had waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Came {
    /// A signal of this name.
    Signal(String),
    /// A person's decision.
    Decision(Verdict),
    /// The end of a child run.
    Child(RunId),
    /// The time at which the wait gives up.
    Time,
    /// The end of the wait; an automatic resume behind it could not begin.
    End,
}

/// A stop in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Its code.
    pub code: StopCode,
    /// Why.
    pub message: String,
    /// What happens next, and by whom.
    pub next: String,
}

impl Stop {
    /// A stop of the run as a whole, at no step, from which nothing leads by itself.
    #[must_use]
    pub const fn new(why: Why) -> Self {
        Self {
            why,
            path: None,
            due_at: None,
            provider: None,
            held_by: None,
            postponed: None,
            reasons: Vec::new(),
            more: 0,
            compensated: None,
            uncompensated: None,
        }
    }

    /// Its code.
    #[must_use]
    pub const fn code(&self) -> StopCode {
        self.why.code()
    }

    /// Why a run pauses in which members stand still for these reasons: the first one says so for all of them, and it goes on, or
    /// asks somebody else, as soon as the earliest is due.
    #[must_use]
    pub fn for_reasons(reasons: Vec<Self>) -> Option<Self> {
        let due_at = reasons.iter().filter_map(|reason| reason.due_at).min();
        let first = reasons.first()?.clone();
        if reasons.len() == 1 {
            return Some(first);
        }
        let more = reasons.len().saturating_sub(limits::STOP_REASONS);
        let kept = reasons.into_iter().take(limits::STOP_REASONS);
        Some(Self {
            due_at,
            reasons: kept.collect(),
            more: u32::try_from(more).unwrap_or(u32::MAX),
            ..first
        })
    }

    /// The same, where something ends by then.
    #[must_use]
    pub fn due_by(self, deadline: Option<Timestamp>) -> Self {
        Self {
            due_at: self.due_at.into_iter().chain(deadline).min(),
            ..self
        }
    }

    /// A cancellation, by whom or what.
    #[must_use]
    pub fn cancelled_by(by: &str) -> Self {
        Self::new(Why::Cancelled { by: by.to_owned() })
    }

    /// The same at a step.
    #[must_use]
    pub fn at(self, path: impl Into<Option<Path>>) -> Self {
        Self {
            path: path.into(),
            ..self
        }
    }

    /// The same in words only, as it is shown.
    #[must_use]
    pub fn told(self, message: String, next: String) -> Self {
        let code = self.code();
        Self {
            why: Why::Told(Told {
                code,
                message,
                next,
            }),
            postponed: None,
            ..self
        }
    }

    /// The same with what another program may rightly say otherwise as `recorded` has it: the words of one that recorded nothing
    /// else, and the texts of errors of the host.
    #[must_use]
    pub fn in_the_words_of(mut self, recorded: &Self) -> Self {
        if self.code() != recorded.code() {
            return self;
        }
        if self.reasons.len() == recorded.reasons.len() {
            let told = recorded.reasons.iter();
            let reasons = std::mem::take(&mut self.reasons).into_iter().zip(told);
            self.reasons = reasons
                .map(|(reason, told)| reason.in_the_words_of(told))
                .collect();
        }
        match (&mut self.why, &recorded.why) {
            (_, Why::Told(_)) => {
                self.why = recorded.why.clone();
                self.postponed.clone_from(&recorded.postponed);
            }
            (Why::ReturnsFailed { error }, Why::ReturnsFailed { error: said }) => {
                error.clone_from(said);
            }
            _ => {}
        }
        self
    }
}

impl Why {
    /// Its code.
    #[must_use]
    pub const fn code(&self) -> StopCode {
        match self {
            Self::StepFailed { .. } => StopCode::StepFailed,
            Self::StepPaused(_) => StopCode::StepPaused,
            Self::RetriesExhausted(_) => StopCode::RetriesExhausted,
            Self::Interrupted { .. } => StopCode::Interrupted,
            Self::FinallyFailed { .. } => StopCode::FinallyFailed,
            Self::Ended { .. } => StopCode::Ended,
            Self::Cancelled { .. } => StopCode::Cancelled,
            Self::ReturnsFailed { .. } => StopCode::ReturnsFailed,
            Self::HostError { .. } => StopCode::HostError,
            Self::CheckpointNotSaved { .. } => StopCode::CheckpointNotSaved,
            Self::ProcessLost(_) => StopCode::ProcessLost,
            Self::DiskLimit { .. } => StopCode::DiskLimit,
            Self::WaitingForTime => StopCode::WaitingForTime,
            Self::WaitingForSignal { .. } => StopCode::WaitingForSignal,
            Self::WaitingForApproval { .. } => StopCode::WaitingForApproval,
            Self::WaitingForChild { .. } => StopCode::WaitingForChild,
            Self::Ready(_) => StopCode::Ready,
            Self::Rejected { .. } => StopCode::Rejected,
            Self::ApprovalTimedOut => StopCode::ApprovalTimedOut,
            Self::CompensationFailed { .. } => StopCode::CompensationFailed,
            Self::Told(told) => told.code,
        }
    }

    /// The text of the error that it is about, if it is about one.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::ReturnsFailed { error }
            | Self::HostError { error, .. }
            | Self::CheckpointNotSaved { error }
            | Self::ProcessLost(Lost::CannotGoOn { error, .. }) => Some(error),
            Self::StepFailed { .. }
            | Self::StepPaused(_)
            | Self::RetriesExhausted(_)
            | Self::Interrupted { .. }
            | Self::FinallyFailed { .. }
            | Self::Ended { .. }
            | Self::Cancelled { .. }
            | Self::ProcessLost(Lost::Repeatedly { .. })
            | Self::DiskLimit { .. }
            | Self::WaitingForTime
            | Self::WaitingForSignal { .. }
            | Self::WaitingForApproval { .. }
            | Self::WaitingForChild { .. }
            | Self::Ready(_)
            | Self::Rejected { .. }
            | Self::ApprovalTimedOut
            | Self::CompensationFailed { .. }
            | Self::Told(_) => None,
        }
    }

    /// Steps failed, in this order. Of many, those are named that a message has room for.
    #[must_use]
    pub fn failed<'a>(failures: impl IntoIterator<Item = (&'a Path, &'a StepError)>) -> Self {
        let (failures, more) = named(failures);
        Self::StepFailed { failures, more }
    }

    /// The same of steps with `finally`.
    #[must_use]
    pub fn finally_failed<'a>(
        failures: impl IntoIterator<Item = (&'a Path, &'a StepError)>,
    ) -> Self {
        let (failures, more) = named(failures);
        Self::FinallyFailed { failures, more }
    }

    /// The host could not go on.
    #[must_use]
    pub fn host_error(error: &str, then: AfterHostError) -> Self {
        Self::HostError {
            error: shown::message(error),
            then,
        }
    }
}

/// As many of these failures as a message has room for, and how many more there are.
fn named<'a>(failures: impl IntoIterator<Item = (&'a Path, &'a StepError)>) -> (Vec<Failure>, u32) {
    let (mut bytes, mut more) = (0, 0);
    let mut named = Vec::new();
    for (path, error) in failures {
        if bytes > limits::MESSAGE_BYTES {
            more += 1;
            continue;
        }
        bytes += error.code.len() + error.message.len();
        named.push(Failure {
            path: path.clone(),
            code: error.code.clone(),
            message: shown::message(error.message.as_str()),
        });
    }
    (named, more)
}

impl Pausing {
    /// What a pause says of a stop that is due then.
    #[must_use]
    pub fn of(pause: &Pause, due_at: Option<Timestamp>, automatic: Option<Automatic>) -> Self {
        Self {
            code: pause.code.clone(),
            reason: shown::message(pause.reason.as_str()),
            signal: pause.signal.clone(),
            not_before: pause.until.filter(|until| Some(*until) != due_at),
            automatic,
        }
    }
}

impl Automatic {
    /// The resume after so many, or none.
    #[must_use]
    pub fn after(used: u32, is_due: bool) -> Self {
        let of = u32::try_from(limits::AUTOMATIC_RESUMES.len()).unwrap_or(u32::MAX);
        match is_due {
            true => Self::Next {
                number: used + 1,
                of,
            },
            false => Self::UsedUp { of },
        }
    }
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_reasons_the_first_speaks_and_the_earliest_is_when_the_run_is_due() {
        let at = |minutes: u64| Timestamp::from_nanos(minutes * 60_000_000_000);
        let reason = |signal: &str, due_at| Stop {
            due_at,
            ..Stop::new(Why::WaitingForSignal {
                signal: signal.to_owned(),
            })
        };
        for (due, earliest) in [
            ([None, None, None], None),
            ([None, Some(at(9)), Some(at(5))], Some(at(5))),
            ([Some(at(1)), Some(at(9)), None], Some(at(1))),
        ] {
            let reasons = ["first", "second", "third"].into_iter().zip(due);
            let reasons = reasons.map(|(signal, due_at)| reason(signal, due_at));
            let reasons: Vec<_> = reasons.collect();
            let stop = Stop::for_reasons(reasons.clone());
            let first = reason("first", earliest);
            assert_eq!(stop, Some(Stop { reasons, ..first }));
        }
        assert_eq!(Stop::for_reasons(Vec::new()), None);
        let alone = reason("alone", Some(at(3)));
        assert_eq!(Stop::for_reasons(vec![alone.clone()]), Some(alone.clone()));
        let many = Stop::for_reasons(vec![alone; limits::STOP_REASONS + 2]);
        let kept = many.map(|stop| (stop.reasons.len(), stop.more));
        assert_eq!(kept, Some((limits::STOP_REASONS, 2)));
    }
}
