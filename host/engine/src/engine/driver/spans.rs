//! `tracing` spans of a run that is driven: the run, its steps, and the attempts in them. Where nobody listens, there are none.
//!
//! A step's span lasts from when its start is saved to when its end is, over all attempts in between; one that is left open ends
//! with the run's. Attempts are tasks of their own, so parents are named rather than found by what is entered.

use std::collections::BTreeMap;

use milepost_core::event::{Entry, Event, ForEachEvent, LoopEvent, RunEvent, StepEvent, WaitEvent};
use milepost_core::ids::{Path, RunId};
use milepost_core::outcome::Outcome;
use milepost_core::state::RunState;
use tracing::field::Empty;
use tracing::{Span, info_span};

/// The spans that are open.
pub(super) struct Spans {
    run: Span,
    steps: BTreeMap<Path, Span>,
}

impl Spans {
    pub(super) fn of(state: &RunState) -> Self {
        let created = state.created();
        let run = info_span!(
            "run",
            run = %created.run,
            workflow = created.workflow,
            epoch = state.epoch().0,
            parent_run = Empty,
            outcome = Empty,
            error = Empty,
        );
        if let Some(parent) = &created.parent {
            run.record("parent_run", parent.run.as_str());
        }
        Self {
            run,
            steps: BTreeMap::new(),
        }
    }

    /// The span of the run.
    pub(super) fn run(&self) -> Span {
        self.run.clone()
    }

    /// Opens and closes what these events, which were saved, begin and end.
    pub(super) fn saved(&mut self, run: &RunId, entries: &[Entry]) {
        if self.run.is_disabled() {
            return;
        }
        for entry in entries {
            match &entry.event {
                Event::Run(event) => self.stopped(event),
                Event::Step { path, event } => match change(event) {
                    Change::Opens => self.open(run, path),
                    Change::Closes(outcome) => {
                        if let Some(span) = self.steps.remove(path) {
                            span.record("outcome", outcome);
                            if let StepEvent::Failed { error, .. } = event {
                                span.record("error", error.code.as_str());
                            }
                        }
                    }
                    Change::Nothing => {}
                },
            }
        }
    }

    /// The span of an attempt whose start was saved.
    pub(super) fn attempt(&self, run: &RunId, path: &Path, attempt: u32) -> Span {
        if self.run.is_disabled() {
            return Span::none();
        }
        info_span!(
            parent: self.around(Some(path.clone())),
            "attempt",
            %run,
            %path,
            attempt,
            outcome = Empty,
            error = Empty,
        )
    }

    fn open(&mut self, run: &RunId, path: &Path) {
        if self.steps.contains_key(path) {
            return;
        }
        let parent = self.around(path.around());
        let span = info_span!(parent: parent, "step", %run, %path, outcome = Empty, error = Empty);
        self.steps.insert(path.clone(), span);
    }

    /// The innermost open span at `path` or around it.
    fn around(&self, mut path: Option<Path>) -> &Span {
        while let Some(at) = path {
            if let Some(span) = self.steps.get(&at) {
                return span;
            }
            path = at.around();
        }
        &self.run
    }

    fn stopped(&self, event: &RunEvent) {
        let (outcome, stop) = match event {
            RunEvent::Completed { .. } => ("completed", None),
            RunEvent::Paused { .. } => ("paused", None),
            RunEvent::Failed { stop } => ("failed", Some(stop)),
            RunEvent::Cancelled { .. } => ("cancelled", None),
            RunEvent::Released { .. } => ("released", None),
            _ => return,
        };
        self.run.record("outcome", outcome);
        if let Some(stop) = stop {
            self.run.record("error", stop.code().as_str());
        }
    }
}

/// What an attempt came to.
pub(super) fn ended(span: &Span, outcome: &Outcome) {
    if span.is_disabled() {
        return;
    }
    let word = match outcome {
        Outcome::Completed(_) => "completed",
        Outcome::Failed(error) => {
            span.record("error", error.code.as_str());
            "failed"
        }
        Outcome::Paused(_) => "paused",
        Outcome::Cancelled(_) => "cancelled",
    };
    span.record("outcome", word);
}

/// What an event does to the span of its step.
enum Change {
    Opens,
    Closes(&'static str),
    Nothing,
}

fn change(event: &StepEvent) -> Change {
    match event {
        StepEvent::Started(_)
        | StepEvent::Wait(WaitEvent::Started { .. })
        | StepEvent::Loop(LoopEvent::IterationStarted { .. })
        | StepEvent::ForEach(ForEachEvent::Started { .. } | ForEachEvent::ItemStarted) => {
            Change::Opens
        }
        StepEvent::Completed { .. }
        | StepEvent::Ends { .. }
        | StepEvent::Loop(LoopEvent::Completed { .. })
        | StepEvent::ForEach(ForEachEvent::Completed { .. } | ForEachEvent::ItemCompleted { .. }) => {
            Change::Closes("completed")
        }
        StepEvent::Failed { .. } => Change::Closes("failed"),
        StepEvent::Paused { .. } => Change::Closes("paused"),
        StepEvent::Interrupted { .. } => Change::Closes("interrupted"),
        StepEvent::ForEach(ForEachEvent::ItemCancelled { .. }) => Change::Closes("cancelled"),
        StepEvent::Wait(
            WaitEvent::Ended { .. }
            | WaitEvent::SignalReceived { .. }
            | WaitEvent::ApprovalDecided { .. }
            | WaitEvent::ChildEnded { .. },
        ) => Change::Closes("ended"),
        // A retry belongs to the same execution.
        StepEvent::AttemptFailed { .. }
        | StepEvent::Continued
        | StepEvent::DeadlineSet { .. }
        | StepEvent::Skipped(_)
        | StepEvent::Loop(LoopEvent::IterationEnded { .. }) => Change::Nothing,
    }
}
