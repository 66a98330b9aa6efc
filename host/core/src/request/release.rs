//! Release: the owner lets go of a run that it drives, without an ending; somebody else goes on with it.

use crate::event::{Event, RunEvent};
use crate::state::{RunState, Status};

/// What is recorded; nothing of a run that nobody drives. Attempts in flight are lost with it, and start again.
#[must_use]
pub fn release(state: &RunState, reason: &str) -> Option<Event> {
    (state.phase().status() == Status::Running).then(|| {
        RunEvent::Released {
            reason: reason.to_owned(),
        }
        .into()
    })
}
