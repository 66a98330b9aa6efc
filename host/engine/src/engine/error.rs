//! Why the engine did not do what it was asked. Nothing was changed when one of these comes back, unless it says so.

use std::fmt;

use milepost_core::definition::UnknownSignal;
use milepost_core::definition::input::InputProblem;
use milepost_core::ids::{Digest, Path, RunId};
use milepost_core::request::approve::EarlierDecision;
use milepost_core::request::cancel_item::NotCancellable;
use milepost_core::request::deadline::TimedOut;
use milepost_core::request::fork::NotForked;
use milepost_core::request::resume::Refused;
use milepost_core::shown::Shown;
use milepost_core::state::{Rejected, Status};
use milepost_core::stop::Lasting;

use super::changes::Changes;
use super::taken::Taken;
use crate::plugin::PluginError;
use crate::record::RecordError;
use crate::store::{Inbox, Owner, StoreError};
use crate::workflow::OpenError;

/// Why a request to the engine was not carried out.
#[derive(Debug, thiserror::Error)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub enum EngineError {
    /// The workflow cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The record cannot be read.
    #[error(transparent)]
    Record(RecordError),
    /// The store said no.
    #[error(transparent)]
    Store(StoreError),
    /// A run of that id exists with another definition or other inputs.
    #[error("{0}")]
    IdTaken(Box<Taken>),
    /// The run does not stand where it could be resumed, retried or claimed (B180), or does not any more (B181).
    #[error("run `{run}` is {status}: {reason}")]
    NotResumable {
        /// The run.
        run: RunId,
        /// Its status.
        status: Status,
        /// Why, and what to do.
        reason: String,
    },
    /// Somebody else has it, or was quicker (B283).
    #[error("run `{run}` is already being driven ({status}){}; try again later", OwnedBy(.owner.as_ref()))]
    AlreadyRunning {
        /// The run.
        run: RunId,
        /// Its status.
        status: Status,
        /// Who has it.
        owner: Option<Owner>,
    },
    /// Somebody took the run over, or ended it, while this process drove it; nothing more was written.
    #[error("the claim on run `{run}` was lost{}; this process has stopped and writes nothing more", Now(.status.as_ref()))]
    ClaimLost {
        /// The run.
        run: RunId,
        /// Its present status, if known.
        status: Option<Status>,
    },
    /// The run was claimed, but what it carries could not be loaded; that was recorded, and counts.
    #[error("run `{run}` is {status} now; it could not start: {error}")]
    NotBegun {
        /// The run.
        run: RunId,
        /// Its present status.
        status: Status,
        /// Why.
        error: Box<EngineError>,
    },
    /// Definition or components on disk differ from those that the run carries: a person decides.
    #[error("the workflow of run `{run}` has changed since:\n{changes}")]
    Changed {
        /// The run.
        run: RunId,
        /// What differs.
        changes: Box<Changes>,
    },
    /// A run of that id exists and was started with another version of the workflow.
    #[error(
        "run `{run}` already exists ({status}), with another version of the workflow:\n{changes}"
    )]
    StartedOtherwise {
        /// The run.
        run: RunId,
        /// Its status.
        status: Status,
        /// What differs.
        changes: Box<Changes>,
    },
    /// A run cannot be forked so.
    #[error("run `{run}` cannot be forked: {reason}")]
    NotForked {
        /// The run.
        run: RunId,
        /// Why not.
        reason: NotForked,
    },
    /// Inputs are not as the workflow wants them.
    #[error("the inputs do not fit the workflow:{}", Listed(.0))]
    Inputs(Vec<InputProblem>),
    /// The inputs of the run are not those that the changed definition needs.
    #[error("run `{run}` cannot continue with the changed definition:{}", Listed(.problems))]
    InputsUnfit {
        /// The run.
        run: RunId,
        /// All of them.
        problems: Vec<InputProblem>,
    },
    /// No such approval waits.
    #[error("run `{run}` is {status}: {reason}")]
    NotWaiting {
        /// The run.
        run: RunId,
        /// Its status.
        status: Status,
        /// Why there is nothing to decide.
        reason: String,
    },
    /// It is a child run that waits for what somebody brings to the run.
    #[error("run `{run}` waits at `{path}` for its child run `{child}`, which is the one to ask")]
    AtChild {
        /// The run.
        run: RunId,
        /// Where it waits.
        path: Path,
        /// The child, or a child of it, that takes what was brought.
        child: RunId,
        /// What was brought.
        wanted: Wanted,
    },
    /// Somebody decided before (B302).
    #[error("{0}")]
    AlreadyDecided(Box<EarlierDecision>),
    /// A decision or a signal came when the time of the wait was over; the timeout is recorded.
    #[error("{0}")]
    TimedOut(Box<TimedOut>),
    /// A comment, or the name of who decides or asks, is longer than what is kept.
    #[error("{what} takes {bytes} bytes, more than the maximum of {max}", max = milepost_core::limits::NOTE_BYTES)]
    NoteTooLong {
        /// Which text.
        what: &'static str,
        /// Its length.
        bytes: usize,
    },
    /// A comment, or the name of who decides or asks, holds U+0000.
    #[error("{what} contains a NUL (U+0000), which not every store can keep: leave it out")]
    NoteWithNul {
        /// Which text.
        what: &'static str,
    },
    /// Nothing in the workflow can wait for a signal of that name.
    #[error("nothing in the workflow of run `{run}` waits for a signal `{}`", Shown(.name))]
    UnknownSignal {
        /// The run.
        run: RunId,
        /// The name.
        name: String,
        /// What there is instead.
        unknown: UnknownSignal,
    },
    /// A signal cannot be taken.
    #[error("run `{run}` cannot take the signal: {reason}")]
    Signal {
        /// The run.
        run: RunId,
        /// Why.
        reason: String,
    },
    /// So much waits for the run already that no more is kept.
    #[error("run `{run}` cannot keep more signals: {} are waiting, with {} bytes (maximum: {}, with {} bytes)", .inbox.signals, .inbox.bytes,
        milepost_core::limits::SIGNALS, milepost_core::limits::INBOX_BYTES)]
    InboxFull {
        /// The run.
        run: RunId,
        /// What waits.
        inbox: Inbox,
    },
    /// The run does not stand where it could be paused (B290).
    #[error("run `{run}` is {status}: only a running run can be paused")]
    NotPausable {
        /// The run.
        run: RunId,
        /// Its status.
        status: Status,
    },
    /// An item of a fan-out cannot be cancelled.
    #[error("run `{run}`: {reason}")]
    NotCancellable {
        /// The run.
        run: RunId,
        /// Why not.
        reason: NotCancellable,
    },
    /// The inputs are larger than a run may keep.
    #[error("the inputs take {0} bytes, more than the maximum of {max}", max = milepost_core::limits::INPUTS_BYTES)]
    InputsTooLarge(usize),
    /// The store does not have the artifact that is given as an input of type `file`, or not of that size.
    #[error("input `{input}`: the store has no artifact {digest} of that size")]
    FileNotKept {
        /// The input.
        input: String,
        /// The artifact.
        digest: Digest,
    },
    /// The files that a run is given are more than the artifacts that it may use.
    #[error("the files take {0} bytes, more than the {max} that a run may use", max = milepost_core::limits::ARTIFACTS_BYTES)]
    FilesTooLarge(u64),
    /// A step would be given more than its expressions may make, whatever happens until then.
    #[error("{place} would get at least {bytes} bytes of inputs, more than the {max} that its expressions can produce", max = milepost_core::limits::EXPRESSION_OUTPUT_BYTES)]
    InputsDoNotFit {
        /// The step, or `returns`.
        place: String,
        /// What it would be given.
        bytes: usize,
    },
    /// The named step does not exist.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// A defect of the engine or of what it was built from.
    #[error("internal error: it panicked: {0}")]
    Panicked(String),
    /// A defect of the engine: the core rejected an event that it was given.
    #[error("internal error: {0}")]
    Internal(#[from] Rejected),
}

/// What somebody brings to a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// A decision.
    Decision,
    /// A signal of that name.
    Signal(String),
}

impl EngineError {
    /// What makes the error stay until a person sees to it: what the run carries cannot be used, or is damaged. `None` of an error
    /// that may be over at the next try.
    pub(super) fn lasting(&self) -> Option<Lasting> {
        let plugins: &[PluginError] = match self {
            Self::Open(error) => error.plugins(),
            _ => &[],
        };
        let any = |is: fn(&PluginError) -> bool| plugins.iter().any(is);
        match self {
            Self::Open(OpenError::Invalid(_)) | Self::InputsUnfit { .. } => Some(Lasting::Unusable),
            Self::Record(_) | Self::Store(StoreError::Corrupt(_)) => Some(Lasting::Damaged),
            _ if any(|error| matches!(error, PluginError::Incompatible { .. })) => {
                Some(Lasting::Unusable)
            }
            _ if any(|error| matches!(error, PluginError::Missing { .. })) => {
                Some(Lasting::ComponentMissing)
            }
            _ => None,
        }
    }
}

impl From<StoreError> for EngineError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<RecordError> for EngineError {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Store(error) => Self::Store(error),
            other @ (RecordError::Checkpoint { .. } | RecordError::Entry { .. }) => {
                Self::Record(other)
            }
        }
    }
}

struct Listed<'a>(&'a [InputProblem]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

struct Now<'a>(Option<&'a Status>);

impl fmt::Display for Now<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(status) => write!(f, ", it is {status} now"),
            None => Ok(()),
        }
    }
}

struct OwnedBy<'a>(Option<&'a Owner>);

impl fmt::Display for OwnedBy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(owner) => write!(f, " by process {} on {}", owner.pid, owner.host),
            None => Ok(()),
        }
    }
}
