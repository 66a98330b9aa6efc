//! Steps with `finally`: they run when everything else has ended, before the run does.

use super::ending::closing;
use super::{Decider, Decision, Scope, Standing, Walk};
use crate::definition::{Flow, Step};
use crate::event::RunEvent;
use crate::frontier::Progress;
use crate::ids::Path;
use crate::outcome::{ErrorClass, StepError, codes};
use crate::state::{Ending, StepRecord, StepResult};
use crate::stop::{Stop, StopCode, Why};
use crate::time::{Timestamp, format_duration};
use crate::within::Within;

impl Decider<'_> {
    /// What the steps with `finally` do; `None` when all have ended, or their time is over and none is open.
    pub(super) fn finally(&self, walk: &mut Walk<'_>) -> Option<Decision> {
        let members = self.definition.finally();
        let Some(since) = self.state.finally_since() else {
            let ended = |step: &Step| {
                self.finally_record(step)
                    .is_some_and(|record| record.settled().is_some())
            };
            let all = members.iter().all(|index| ended(self.finally_step(*index)));
            return (!all).then_some(Decision::Note(RunEvent::FinallyStarted));
        };
        let until = since.after(self.definition.finally_time);
        if until <= self.now {
            let own = |record: &&StepRecord| self.definition.is_finally(&record.path);
            return self.close(own, walk).then(|| closing(walk));
        }
        match self.definition.flow {
            Flow::Sequence => self.one_after_the_other(members, walk),
            Flow::Graph => {
                let _over: Scope = self.scope(members, Flow::Graph, Within::Top, walk);
            }
        }
        let actions = walk.actions();
        if !actions.is_empty() {
            return Some(Decision::Act(actions));
        }
        let due = walk.due.earliest();
        if self.state.in_flight_count() == 0 && due.is_none() {
            // It waits for child runs at most.
            return self.last_children(until);
        }
        Some(Decision::Wait {
            wake_at: due.into_iter().chain([until]).min(),
            cancel: std::mem::take(&mut walk.cancel),
        })
    }

    /// The run stands still until the child run ends that a step waits for, or its time is over; `None` when none does.
    fn last_children(&self, until: Timestamp) -> Option<Decision> {
        let mut awaited = self.state.awaited_children();
        let (path, child) = awaited.find(|(path, _)| self.definition.is_finally(path))?;
        let run = child.run.clone();
        let stop = Stop::new(Why::WaitingForChild { run }).at(path.clone());
        Some(Decision::Pause(stop.due_by(Some(until))))
    }

    /// All of them, whatever came of the one before.
    fn one_after_the_other(&self, members: &[usize], walk: &mut Walk<'_>) {
        let mut walked = walk.frontier.enter(Within::Top, || Progress::Sequence(0));
        if let Progress::Sequence(behind) = &mut walked.progress {
            for index in members.iter().skip(*behind) {
                let step = self.finally_step(*index);
                let record = self.finally_record(step);
                match self.standing(step, record, Within::Top, walk) {
                    Standing::Settled { .. } => *behind += 1,
                    Standing::Open => break,
                }
            }
        }
        walk.frontier.leave(Within::Top, walked);
    }

    /// The end, when nothing is left to do. A failure before it fails a run that was not cancelled; both keep all reasons.
    pub(super) fn after_finally(&self, ending: &Ending) -> RunEvent {
        // It failed with that before, and was compensated since.
        let told = ending.stop().map(Stop::code) == Some(StopCode::FinallyFailed);
        let Some(failed) = self.finally_failed().filter(|_| !told) else {
            return ending.clone().into_event();
        };
        match ending {
            Ending::Cancelled { stop } => {
                let mut stop = stop.clone();
                stop.reasons.push(failed);
                RunEvent::Cancelled { stop }
            }
            Ending::Failed { stop: first } => RunEvent::Failed {
                stop: Stop {
                    reasons: vec![first.clone()],
                    ..failed
                },
            },
            Ending::Completed { .. } => RunEvent::Failed { stop: failed },
        }
    }

    fn finally_failed(&self) -> Option<Stop> {
        let members = self.definition.finally().iter();
        let failures = members.filter_map(|index| {
            let step = self.finally_step(*index);
            if step.continue_on_error {
                return None;
            }
            let record = self.finally_record(step);
            match record.and_then(StepRecord::settled).map(|s| &s.result) {
                Some(StepResult::Failed { error }) => {
                    Some((Path::top(step.id.clone()), error.clone()))
                }
                Some(StepResult::Completed { .. } | StepResult::Skipped) => None,
                None => Some((Path::top(step.id.clone()), self.too_late())),
            }
        });
        let failures: Vec<(Path, StepError)> = failures.collect();
        let (first, _) = failures.first()?;
        let why = Why::finally_failed(failures.iter().map(|(path, error)| (path, error)));
        Some(Stop::new(why).at(first.clone()))
    }

    /// Why a step did not end.
    fn too_late(&self) -> StepError {
        let allowed = format_duration(self.definition.finally_time);
        StepError::new(
            ErrorClass::Timeout,
            codes::DEADLINE_EXCEEDED,
            format!("it did not end within `limits.finally` ({allowed})"),
        )
    }

    fn finally_step(&self, index: usize) -> &Step {
        &self.definition.steps()[index]
    }

    fn finally_record(&self, step: &Step) -> Option<&StepRecord> {
        self.record(step, Within::Top)
    }
}
