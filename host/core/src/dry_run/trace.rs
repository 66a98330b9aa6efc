//! What happened to the steps of a dry run, in order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::event::{
    AttemptStarted, ChildEnding, Event, ForEachEvent, LoopEvent, Skip, StepEvent, WaitEvent,
};
use crate::ids::Path;
use crate::outcome::StepError;
use crate::time::Timestamp;
use crate::wait::{Verdict, Wait};

/// One thing that happened to a step execution.
#[derive(Debug, Clone, PartialEq)]
pub struct Traced {
    /// The execution; of a child run, behind the step that starts it and a slash.
    pub path: String,
    /// What.
    pub how: How,
    /// Why.
    pub why: Why,
    /// Which attempt, of one that was called.
    pub attempt: Option<u32>,
    /// What it was given, of one that was called.
    pub input: Option<Arc<Value>>,
    /// What it came to.
    pub output: Option<Arc<Value>>,
    /// Why it failed.
    pub error: Option<StepError>,
}

/// What became of a step execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It completed, by itself.
    Completed,
    /// It completed with what stands in its place.
    Stubbed,
    /// It was not run.
    Skipped,
    /// It failed, or an attempt of it.
    Failed,
    /// It stands still.
    Paused,
}

impl How {
    /// The stable word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Stubbed => "stubbed",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Paused => "paused",
        }
    }
}

/// Why that became of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Why {
    /// A stub says so.
    Stub,
    /// There is no stub: a value that fits its schema stands in its place.
    NoStub,
    /// Its attempt failed, and another one follows after that time.
    TriedAgain(Duration),
    /// It could not be called: an expression, a limit.
    NotCalled,
    /// Its condition, or what it needs.
    Skip(Skip),
    /// A decision was taken.
    Decided(Verdict),
    /// A signal of that name came.
    Signal(String),
    /// Its time passed.
    Passed,
    /// Its child run ended.
    Child,
    /// A loop ended after so many iterations.
    Iterations(u32),
    /// A fan-out, or an item of it, ended.
    Items,
    /// It ended the run.
    Ends,
    /// It waits for this.
    Waits(Wait),
}

/// What is known of executions that have not ended.
#[derive(Default)]
pub(super) struct Open(BTreeMap<Path, (u32, Arc<Value>)>);

impl Open {
    /// What an event says that is worth telling. `stubbed`: whether what ends an attempt comes of a stub.
    pub(super) fn tell(
        &mut self,
        before: &str,
        event: &Event,
        at: Timestamp,
        stubbed: bool,
    ) -> Option<Traced> {
        let Event::Step { path, event } = event else {
            return None;
        };
        let stub = match stubbed {
            true => Why::Stub,
            false => Why::NoStub,
        };
        let (how, why, output, error) = match event {
            StepEvent::Started(AttemptStarted { attempt, input, .. }) => {
                self.0.insert(path.clone(), (*attempt, input.value()));
                return None;
            }
            StepEvent::Completed { output, .. } => (How::Stubbed, stub, Some(output.value()), None),
            StepEvent::AttemptFailed {
                error, retry_at, ..
            } => {
                let again = Why::TriedAgain(retry_at.since(at));
                (How::Failed, again, None, Some(error.clone()))
            }
            StepEvent::Failed { attempt, error, .. } => {
                let why = match attempt {
                    Some(_) => stub,
                    None => Why::NotCalled,
                };
                (How::Failed, why, None, Some(error.clone()))
            }
            StepEvent::Paused { error, .. } => (How::Paused, stub, None, error.clone()),
            StepEvent::Skipped(skip) => (How::Skipped, Why::Skip(skip.clone()), None, None),
            StepEvent::Ends { output, .. } => {
                (How::Completed, Why::Ends, Some(output.value()), None)
            }
            StepEvent::Wait(WaitEvent::Ended { output }) => {
                (How::Completed, Why::Passed, Some(output.value()), None)
            }
            StepEvent::Wait(WaitEvent::SignalReceived { signal, data, .. }) => {
                let why = Why::Signal(signal.clone());
                (How::Completed, why, Some(data.value()), None)
            }
            StepEvent::Wait(WaitEvent::ApprovalDecided {
                decision, comment, ..
            }) => {
                let output = json!({ "decision": decision.as_str(), "comment": comment });
                (
                    How::Completed,
                    Why::Decided(*decision),
                    Some(Arc::new(output)),
                    None,
                )
            }
            StepEvent::Wait(WaitEvent::ChildEnded { ending, .. }) => match ending {
                ChildEnding::Completed(output) => {
                    (How::Completed, Why::Child, Some(output.value()), None)
                }
                ChildEnding::Failed(error) | ChildEnding::Cancelled(error) => {
                    (How::Failed, Why::Child, None, Some(error.clone()))
                }
            },
            StepEvent::Loop(LoopEvent::Completed {
                iterations,
                condition_met,
            }) => {
                let output = json!({ "iterations": iterations, "condition_met": condition_met });
                let why = Why::Iterations(*iterations);
                (How::Completed, why, Some(Arc::new(output)), None)
            }
            StepEvent::ForEach(
                ForEachEvent::Completed { output } | ForEachEvent::ItemCompleted { output },
            ) => (How::Completed, Why::Items, Some(output.value()), None),
            StepEvent::Interrupted { .. }
            | StepEvent::Continued
            | StepEvent::DeadlineSet { .. }
            | StepEvent::Wait(WaitEvent::Started { .. })
            | StepEvent::Loop(
                LoopEvent::IterationStarted { .. } | LoopEvent::IterationEnded { .. },
            )
            | StepEvent::ForEach(
                ForEachEvent::Started { .. }
                | ForEachEvent::ItemStarted
                | ForEachEvent::ItemCancelled { .. },
            ) => return None,
        };
        let called = self.0.remove(path);
        Some(Traced {
            path: format!("{before}{path}"),
            how,
            why,
            attempt: called.as_ref().map(|(attempt, _)| *attempt),
            input: called.map(|(_, input)| input),
            output,
            error,
        })
    }
}
