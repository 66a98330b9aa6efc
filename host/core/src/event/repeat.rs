//! What happens to an execution of a loop.

use super::{Event, StepEvent};
use crate::ids::Path;

/// What happened to a loop.
#[derive(Debug, Clone, PartialEq)]
pub enum LoopEvent {
    /// Decided. An iteration began.
    IterationStarted {
        /// Which iteration, from 1.
        iteration: u32,
    },
    /// Decided. An iteration is over and `until` was evaluated.
    IterationEnded {
        /// Which iteration.
        iteration: u32,
        /// What `until` gave.
        condition_met: bool,
    },
    /// Decided. The loop ended without failing. The step is settled with output `{iterations, condition_met}`.
    Completed {
        /// Iterations run.
        iterations: u32,
        /// What `until` gave last; false when no iteration ran.
        condition_met: bool,
    },
}

impl LoopEvent {
    /// The same, of the execution at `path`.
    #[must_use]
    pub fn at(self, path: Path) -> Event {
        StepEvent::Loop(self).at(path)
    }
}
