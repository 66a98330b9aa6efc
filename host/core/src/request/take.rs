//! Taking a run: who may become its owner, and why.

use super::Intent;
use crate::event::ClaimCause;
use crate::state::{RunState, Status};

/// What is known of the owner of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owned {
    /// Nobody owns it.
    Nobody,
    /// Its owner may be at work.
    Alive,
    /// Its owner is gone.
    Lost,
}

/// Why a run cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotTaken {
    /// It is over.
    Over,
    /// Somebody may be at work on it.
    Owned,
    /// It does not stand still, and only what does can be retried.
    Moves,
}

/// Whether the run can be taken now to go on from where it stands, and under which cause.
///
/// # Errors
/// [`NotTaken`].
pub fn take(state: &RunState, owned: Owned, intent: Intent<'_>) -> Result<ClaimCause, NotTaken> {
    match (state.phase().status(), intent) {
        (Status::Paused | Status::Failed, Intent::Resume(_) | Intent::Compensate(_)) => {
            Ok(ClaimCause::Resume)
        }
        (Status::Paused | Status::Failed, Intent::Retry { .. }) => Ok(ClaimCause::Retry),
        (Status::Completed | Status::Cancelled, _) => Err(NotTaken::Over),
        (Status::Pending | Status::Running, Intent::Retry { .. }) => Err(NotTaken::Moves),
        (status, Intent::Resume(_) | Intent::Compensate(_)) => match owned {
            Owned::Nobody if status == Status::Pending => Ok(ClaimCause::Start),
            Owned::Alive => Err(NotTaken::Owned),
            // Its owner gave it up, or is gone: both count.
            Owned::Nobody | Owned::Lost => Ok(ClaimCause::Recovery),
        },
    }
}
