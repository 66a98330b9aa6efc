//! The journal's events: what happened to a run, in the past tense. Folding them gives the run's state.
//!
//! An event is *decided* (the core derives it from definition and state) or *reported* (it brings something new in: an
//! outcome, a claim, a person's request). Replay derives the first kind again and takes the second kind from the record.
//!
//! `run` has what happens to the run as a whole; `step` what happens to one of its step executions, with `wait` and `repeat`
//! for those that wait and those that are loops, `for_each` for fan-outs. How an event is stored is another matter, and stays as it is when these types
//! change: see `stored`.

mod for_each;
mod repeat;
mod run;
mod step;
mod stored;
mod tagged;
mod wait;

pub use for_each::ForEachEvent;
pub use repeat::LoopEvent;
pub use run::{
    CarriedWorkflow, ClaimCause, DefinitionChanged, Fork, ItemsAgain, Parent, ResumeCause,
    RunCreated, RunEvent, RunResumed,
};
pub use step::{AttemptStarted, Skip, StepEvent, Undo};
pub use wait::{ChildEnding, WaitEvent};

use crate::ids::{Digest, Epoch, Path};
use crate::payload::Payload;
use crate::state::StepRecord;
use crate::tape::Tape;
use crate::time::Timestamp;

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
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// To the run as a whole.
    Run(RunEvent),
    /// To one step execution.
    Step {
        /// The execution.
        path: Path,
        /// What happened to it.
        event: StepEvent,
    },
}

impl From<RunEvent> for Event {
    fn from(event: RunEvent) -> Self {
        Self::Run(event)
    }
}

impl Event {
    /// The stable name, as in `"type"`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Run(event) => match event {
                RunEvent::Created(_) => "run_created",
                RunEvent::Claimed { .. } => "run_claimed",
                RunEvent::Released { .. } => "run_released",
                RunEvent::Resumed(_) => "run_resumed",
                RunEvent::DefinitionChanged(_) => "definition_changed",
                RunEvent::Postponed { .. } => "run_postponed",
                RunEvent::Held { .. } => "run_held",
                RunEvent::ClockCorrected { .. } => "clock_corrected",
                RunEvent::Finishing { .. } => "run_finishing",
                RunEvent::FinallyStarted => "finally_started",
                RunEvent::Paused { .. } => "run_paused",
                RunEvent::Completed { .. } => "run_completed",
                RunEvent::Failed { .. } => "run_failed",
                RunEvent::Cancelled { .. } => "run_cancelled",
                RunEvent::Compensating { .. } => "run_compensating",
            },
            Self::Step { event, .. } => match event {
                StepEvent::Started(_) => "step_started",
                StepEvent::Completed { .. } => "step_completed",
                StepEvent::AttemptFailed { .. } => "attempt_failed",
                StepEvent::Failed { .. } => "step_failed",
                StepEvent::Paused { .. } => "step_paused",
                StepEvent::Interrupted { .. } => "step_interrupted",
                StepEvent::Continued => "step_continued",
                StepEvent::DeadlineSet { .. } => "deadline_set",
                StepEvent::Ends { .. } => "run_ending",
                StepEvent::Skipped(_) => "step_skipped",
                StepEvent::Wait(WaitEvent::Started { .. }) => "wait_started",
                StepEvent::Wait(WaitEvent::Ended { .. }) => "wait_ended",
                StepEvent::Wait(WaitEvent::SignalReceived { .. }) => "signal_received",
                StepEvent::Wait(WaitEvent::ApprovalDecided { .. }) => "approval_decided",
                StepEvent::Wait(WaitEvent::ChildEnded { .. }) => "child_ended",
                StepEvent::Loop(LoopEvent::IterationStarted { .. }) => "loop_iteration_started",
                StepEvent::Loop(LoopEvent::IterationEnded { .. }) => "loop_iteration_ended",
                StepEvent::Loop(LoopEvent::Completed { .. }) => "loop_completed",
                StepEvent::ForEach(ForEachEvent::Started { .. }) => "fan_out_started",
                StepEvent::ForEach(ForEachEvent::ItemStarted) => "item_started",
                StepEvent::ForEach(ForEachEvent::ItemCompleted { .. }) => "item_completed",
                StepEvent::ForEach(ForEachEvent::ItemCancelled { .. }) => "item_cancelled",
                StepEvent::ForEach(ForEachEvent::Completed { .. }) => "fan_out_completed",
            },
        }
    }

    /// The step execution that it is about, or at which the run stops with it.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Step { path, .. } => Some(path),
            Self::Run(
                RunEvent::Paused { stop }
                | RunEvent::Failed { stop }
                | RunEvent::Compensating { stop, .. }
                | RunEvent::Cancelled { stop },
            ) => stop.path.as_ref(),
            Self::Run(RunEvent::Finishing { ending }) => ending.stop()?.path.as_ref(),
            Self::Run(_) => None,
        }
    }

    /// What the host noted of the attempt that it ends.
    #[must_use]
    pub fn tape(&self) -> Option<&Tape> {
        match self {
            Self::Step { event, .. } => event.tape(),
            Self::Run(_) => None,
        }
    }

    /// The value of a user or a plugin that it carries.
    #[must_use]
    pub fn payload(&self) -> Option<&Payload> {
        match self {
            Self::Run(event) => match event {
                RunEvent::Created(created) => Some(&created.inputs),
                RunEvent::DefinitionChanged(changed) => changed.inputs.as_ref(),
                RunEvent::Completed { output } => Some(output),
                RunEvent::Finishing { ending } => ending.output(),
                RunEvent::Claimed { .. }
                | RunEvent::Released { .. }
                | RunEvent::Resumed(_)
                | RunEvent::Postponed { .. }
                | RunEvent::Held { .. }
                | RunEvent::ClockCorrected { .. }
                | RunEvent::FinallyStarted
                | RunEvent::Paused { .. }
                | RunEvent::Failed { .. }
                | RunEvent::Compensating { .. }
                | RunEvent::Cancelled { .. } => None,
            },
            Self::Step { event, .. } => match event {
                StepEvent::Started(started) => Some(&started.input),
                StepEvent::Completed { output, .. }
                | StepEvent::Ends { output, .. }
                | StepEvent::Wait(
                    WaitEvent::Ended { output }
                    | WaitEvent::ChildEnded {
                        ending: ChildEnding::Completed(output),
                        ..
                    },
                ) => Some(output),
                StepEvent::Wait(WaitEvent::SignalReceived { data, .. }) => Some(data),
                StepEvent::ForEach(ForEachEvent::Started { items, .. }) => Some(items),
                StepEvent::ForEach(
                    ForEachEvent::ItemCompleted { output } | ForEachEvent::Completed { output },
                ) => Some(output),
                StepEvent::AttemptFailed { .. }
                | StepEvent::Failed { .. }
                | StepEvent::Paused { .. }
                | StepEvent::Interrupted { .. }
                | StepEvent::Continued
                | StepEvent::DeadlineSet { .. }
                | StepEvent::Skipped(_)
                | StepEvent::Wait(
                    WaitEvent::Started { .. }
                    | WaitEvent::ApprovalDecided { .. }
                    | WaitEvent::ChildEnded {
                        ending: ChildEnding::Failed(_) | ChildEnding::Cancelled(_),
                        ..
                    },
                )
                | StepEvent::ForEach(
                    ForEachEvent::ItemStarted | ForEachEvent::ItemCancelled { .. },
                )
                | StepEvent::Loop(_) => None,
            },
        }
    }

    /// The values of users and plugins that it carries.
    pub fn payloads(&self) -> impl Iterator<Item = &Payload> {
        let undo = match self {
            Self::Step {
                event:
                    StepEvent::Completed {
                        undo: Some(undo), ..
                    },
                ..
            } => undo.with.as_ref(),
            _ => None,
        };
        let kept = match self {
            Self::Run(RunEvent::Created(created)) => created.fork.as_ref(),
            Self::Run(_) | Self::Step { .. } => None,
        };
        let kept = kept.into_iter().flat_map(|fork| &fork.kept);
        let own = self.payload().into_iter().chain(undo);
        own.chain(kept.flat_map(StepRecord::payloads))
    }

    /// The blobs that its stored form names.
    pub fn blobs(&self) -> impl Iterator<Item = Digest> {
        let carried = match self {
            Self::Run(RunEvent::Created(created)) => {
                Some((created.definition, &created.plugins, &created.children))
            }
            Self::Run(RunEvent::DefinitionChanged(changed)) => {
                Some((changed.definition, &changed.plugins, &changed.children))
            }
            Self::Run(_) | Self::Step { .. } => None,
        };
        let values = self.payloads().filter_map(Payload::blob);
        carried
            .into_iter()
            .flat_map(|(text, components, children)| {
                let own = std::iter::once(text).chain(components.values().copied());
                own.chain(children.values().flat_map(CarriedWorkflow::blobs))
            })
            .chain(values.map(|(digest, _)| digest))
    }
}
