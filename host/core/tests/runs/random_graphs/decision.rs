//! What has to happen to a run, in words that a decision and the reference share.

use milepost_core::decide::{Action, Decision};
use milepost_core::definition::EndStatus;
use milepost_core::event::{ForEachEvent, LoopEvent, RunEvent, Skip, StepEvent};
use milepost_core::ids::Path;
use milepost_core::time::Timestamp;

/// What has to happen.
#[derive(Debug, PartialEq)]
pub(super) enum Expected {
    /// These, in this order: where, and what.
    Act(Vec<(String, String)>),
    Wait {
        in_flight: Vec<String>,
        wake_at: Option<Timestamp>,
        /// Which of them have to end.
        cancel: Vec<String>,
    },
    /// At the first of those that stand still, until then.
    Pause(String, Option<Timestamp>),
    /// It is about to end so.
    Finishing(EndStatus),
    /// The steps with `finally` begin.
    Finally,
    End(EndStatus),
}

impl Expected {
    /// A decision in the same words.
    pub(super) fn of(decision: &Decision, in_flight: &[Path]) -> Option<Self> {
        let sorted = |paths: &[Path]| {
            let mut paths: Vec<_> = paths.iter().map(ToString::to_string).collect();
            paths.sort();
            paths
        };
        Some(match decision {
            Decision::Act(actions) => Self::Act(
                actions
                    .iter()
                    .map(|action| (action.path().to_string(), words(action)))
                    .collect(),
            ),
            Decision::Wait { wake_at, cancel } => Self::Wait {
                in_flight: sorted(in_flight),
                wake_at: *wake_at,
                cancel: sorted(cancel),
            },
            Decision::Pause(stop) => Self::Pause(stop.path.as_ref()?.to_string(), stop.due_at),
            Decision::Note(RunEvent::Finishing { ending }) => Self::Finishing(ending.status()),
            Decision::Note(RunEvent::FinallyStarted) => Self::Finally,
            Decision::End(RunEvent::Completed { .. }) => Self::End(EndStatus::Completed),
            Decision::End(RunEvent::Failed { .. }) => Self::End(EndStatus::Failed),
            Decision::End(RunEvent::Cancelled { .. }) => Self::End(EndStatus::Cancelled),
            Decision::Note(_) | Decision::End(_) | Decision::Still => return None,
        })
    }
}

fn words(action: &Action) -> String {
    match action {
        Action::Start { .. } => START.to_owned(),
        Action::Await { .. } => "wait".to_owned(),
        Action::StartChild { .. } => "child".to_owned(),
        Action::EndWait { .. } => TIME_IS_OVER.to_owned(),
        Action::Record { event, .. } => match event {
            StepEvent::Skipped(Skip::Condition(_)) => "skip: if".to_owned(),
            StepEvent::Skipped(Skip::Join { needs }) => {
                let needs: Vec<_> = needs.iter().map(ToString::to_string).collect();
                format!("skip: {}", needs.join(" "))
            }
            StepEvent::Loop(LoopEvent::IterationStarted { iteration }) => {
                format!("iteration {iteration}")
            }
            StepEvent::Loop(LoopEvent::IterationEnded {
                iteration,
                condition_met,
            }) => format!("iteration {iteration} ended: {condition_met}"),
            StepEvent::Loop(LoopEvent::Completed {
                iterations,
                condition_met,
            }) => format!("looped {iterations}: {condition_met}"),
            StepEvent::ForEach(ForEachEvent::Started { .. }) => "fan out".to_owned(),
            StepEvent::ForEach(ForEachEvent::ItemStarted) => "item".to_owned(),
            StepEvent::ForEach(ForEachEvent::ItemCompleted { .. }) => "item ended".to_owned(),
            StepEvent::ForEach(ForEachEvent::Completed { .. }) => "fanned out".to_owned(),
            StepEvent::Failed { attempt: None, .. } => FAILS.to_owned(),
            StepEvent::DeadlineSet { .. } => "deadline".to_owned(),
            StepEvent::Ends { .. } => "ends".to_owned(),
            StepEvent::Interrupted { .. } => "closed".to_owned(),
            StepEvent::Continued => "continued".to_owned(),
            other => format!("{other:?}"),
        },
    }
}

pub(super) const START: &str = "start";
pub(super) const FAILS: &str = "fails";
pub(super) const TIME_IS_OVER: &str = "time is over";
