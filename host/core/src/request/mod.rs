//! What people, workers and owners ask of a run: one command, one file.
//!
//! Each looks at the state, and answers with what is to be recorded or with a typed refusal; nothing is changed here. Whoever
//! asks reads before, and writes what was answered after, in one guarded write: when the run was moved meanwhile, it reads and
//! asks again.
//!
//! | command | what it asks |
//! |---|---|
//! | `resume`, `retry` | a stopped run to go on; `again` says what runs again with a step, `take` who may take it |
//! | `compensate` | to undo what it has done, and to end |
//! | `fork` | a new run to begin with what it has recorded |
//! | `accept` | to go on under another definition |
//! | `stop` | to pause, to be held, to end; `release`: to be let go of; `cancel_item`: an item of a fan-out to end |
//! | `signal`, `approve` | what a wait is for; `deadline`: what holds when it comes too late |
//! | `posted` | a decision, or the end of an item, left for whoever drives the run |
//! | `recover`, `let_go` | what becomes of a run whose owner is lost, or whose host cannot go on |

pub mod accept;
mod again;
pub mod approve;
pub mod cancel_item;
pub mod compensate;
pub mod deadline;
pub mod fork;
mod items;
pub mod let_go;
pub mod posted;
pub mod recover;
pub mod release;
pub mod resume;
pub mod retry;
pub mod signal;
pub mod stop;
pub mod take;

use crate::definition::Definition;
use crate::event::RunEvent;
use crate::ids::Path;
use crate::state::RunState;

/// How a stopped run is asked to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent<'a> {
    /// Continue from the checkpoint.
    Resume(resume::ResumeBy),
    /// Run failed steps, or those from a named one on, again.
    Retry {
        /// The step to begin at, by its id, or an execution in a fan-out, by its path.
        from: Option<&'a Path>,
    },
    /// Undo what has completed, then end.
    Compensate(compensate::Undoing<'a>),
}

impl Intent<'_> {
    /// What is recorded of it.
    ///
    /// # Errors
    /// [`resume::Refused`].
    pub fn event(
        self,
        definition: &Definition,
        state: &RunState,
    ) -> Result<RunEvent, resume::Refused> {
        match self {
            Self::Resume(by) => resume::resume(definition, state, by).map(RunEvent::Resumed),
            Self::Retry { from } => retry::retry(definition, state, from).map(RunEvent::Resumed),
            Self::Compensate(wanted) => Ok(compensate::compensate(state, wanted)?),
        }
    }
}
