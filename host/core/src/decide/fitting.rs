//! What an attempt leaves has to fit into the run's state, whatever it is: an output, an error's detail, a pause's state.

use crate::ids::Path;
use crate::limits::RUN_STATE_BYTES;
use crate::outcome::{ErrorClass, Outcome, StepError, codes};
use crate::state::RunState;
use crate::state::size;

/// Whether a result of so many bytes has room at `path`; else the error with which its step fails.
pub(crate) fn fits(
    state: &RunState,
    path: &Path,
    what: &str,
    bytes: usize,
) -> Result<(), Box<StepError>> {
    let total = state.bytes_with(path, bytes);
    if total <= RUN_STATE_BYTES {
        return Ok(());
    }
    let message = format!(
        "with {what} the recorded state of the run would take {total} bytes, more than {RUN_STATE_BYTES}"
    );
    let code = codes::RUN_STATE_TOO_LARGE;
    Err(Box::new(StepError::new(ErrorClass::Failed, code, message)))
}

/// An outcome without output as it is recorded, or the error with which its step fails because there is no room for it.
///
/// An error is always recorded: what it may lose is its detail, and it says so.
pub(super) fn fit(
    state: &RunState,
    path: &Path,
    outcome: Outcome,
) -> Result<Outcome, Box<StepError>> {
    match outcome {
        Outcome::Paused(pause) => {
            if pause.state.is_some() {
                let what = "the state that its pause leaves";
                fits(state, path, what, size::pause(&pause))?;
            }
            Ok(Outcome::Paused(pause))
        }
        Outcome::Failed(mut error) => {
            if fits(state, path, "", size::error(&error)).is_err()
                && let Some(detail) = error.detail.take()
            {
                let bytes = size::json(&detail);
                error.message.push_str(&format!(
                    " (its detail of {bytes} bytes was dropped: there is no room for it in the run's state)"
                ));
            }
            Ok(Outcome::Failed(error))
        }
        other @ (Outcome::Completed(_) | Outcome::Cancelled(_)) => Ok(other),
    }
}
