//! What waits, signals and decisions do to an execution, and to a run that stands at it.

use std::sync::Arc;

use super::{Rejected, Touched};
use crate::event::{ChildEnding, WaitEvent};
use crate::ids::{Path, RunId, StepId};
use crate::payload::Payload;
use crate::state::{ChildRun, Kind, Phase, RunState, StepPhase, StepRecord, StepResult};
use crate::stop::{Came, StopCode};
use crate::time::Timestamp;
use crate::wait::{Verdict, Wait, approval_output, signal_output};

impl RunState {
    pub(super) fn check_wait(
        &self,
        name: &'static str,
        path: &Path,
        event: &WaitEvent,
    ) -> Result<(), Rejected> {
        match event {
            WaitEvent::Started { .. } => {
                self.must_run(name)?;
                self.may_open(name, path).map(drop)
            }
            WaitEvent::Ended { .. } => {
                self.must_run_or_pause(name)?;
                self.must_wait(name, path, |_| true)
            }
            WaitEvent::SignalReceived { signal, .. } => {
                self.must_run_or_pause(name)?;
                match self
                    .executions
                    .at(path)
                    .and_then(StepRecord::awaited_signal)
                {
                    Some(awaited) if awaited == signal => Ok(()),
                    _ => Err(self.reject(name, path)),
                }
            }
            WaitEvent::ApprovalDecided { .. } => {
                self.must_run_or_pause(name)?;
                self.must_wait(name, path, |wait| matches!(wait, Wait::Approval { .. }))
            }
            WaitEvent::ChildEnded { run, .. } => {
                self.must_run_or_pause(name)?;
                let meant =
                    |wait: &Wait| matches!(wait, Wait::Child { run: child, .. } if child == run);
                self.must_wait(name, path, meant)
            }
        }
    }

    pub(super) fn change_wait(&mut self, path: &Path, event: &WaitEvent, at: Timestamp) -> Touched {
        match event {
            WaitEvent::Started {
                wait: wait @ Wait::Child { run, inputs },
            } => {
                let record = self.opened(path, at);
                let same = record.child().filter(|child| child.run == *run);
                record.kind = Kind::Child(ChildRun {
                    run: run.clone(),
                    made: record.attempts() + u32::from(same.is_none()),
                    inputs: *inputs,
                    failed_at: same.map_or(0, |child| child.failed_at),
                    over: false,
                    retried: same.is_some_and(|child| child.retried),
                    left: false,
                });
                record.phase = StepPhase::Awaiting { wait: wait.clone() };
                Touched::step(path)
            }
            WaitEvent::Started { wait } => {
                let record = self.opened(path, at);
                record.kind = match record.kind {
                    Kind::Wait { began, rejections } => Kind::Wait {
                        began: began + 1,
                        rejections,
                    },
                    Kind::Unknown
                    | Kind::Component(_)
                    | Kind::Loop
                    | Kind::FanOut(_)
                    | Kind::Child(_)
                    | Kind::Item => Kind::Wait {
                        began: record.attempts() + 1,
                        rejections: Some(0),
                    },
                };
                record.phase = StepPhase::Awaiting { wait: wait.clone() };
                Touched::step(path)
            }
            WaitEvent::Ended { output } => {
                let output = output.clone();
                let result = StepResult::Completed { output };
                self.opened(path, at).settle(result, None, at);
                let ready = self.timed_out(path, at);
                self.progressed(path).and_run(ready)
            }
            WaitEvent::SignalReceived { signal, data, .. } => {
                self.signalled(path, signal, data, at)
            }
            WaitEvent::ApprovalDecided {
                decision,
                comment,
                by,
                rework,
            } => {
                let output = approval_output(*decision, comment.as_deref(), by.as_deref(), false);
                self.decided(path, *decision, output, rework, at)
            }
            WaitEvent::ChildEnded { run, seq, ending } => {
                self.child_ended(path, (run, *seq), ending, at)
            }
        }
    }

    /// A wait that nothing has ended yet, of a kind.
    fn must_wait(
        &self,
        name: &'static str,
        path: &Path,
        kind: impl Fn(&Wait) -> bool,
    ) -> Result<(), Rejected> {
        match self.executions.at(path).map(|record| &record.phase) {
            Some(StepPhase::Awaiting { wait }) if kind(wait) => Ok(()),
            _ => Err(self.reject(name, path)),
        }
    }

    fn signalled(&mut self, path: &Path, signal: &str, data: &Payload, at: Timestamp) -> Touched {
        let record = self.opened(path, at);
        if matches!(record.phase, StepPhase::Paused { .. }) {
            record.phase = StepPhase::Pending;
            record.component_mut().resume_signal = Some(Arc::unwrap_or_clone(data.value()));
        } else {
            let output = signal_output(signal, Some(&data.value()));
            record.settle(StepResult::Completed { output }, None, at);
        }
        self.make_ready(path, Came::Signal(signal.to_owned()), at);
        self.progressed(path).and_run(true)
    }

    fn child_ended(
        &mut self,
        path: &Path,
        (run, seq): (&RunId, u64),
        ending: &ChildEnding,
        at: Timestamp,
    ) -> Touched {
        let (result, over) = match ending {
            ChildEnding::Completed(output) => {
                let output = output.clone();
                (StepResult::Completed { output }, true)
            }
            ChildEnding::Failed(error) => {
                let error = error.clone();
                (StepResult::Failed { error }, false)
            }
            ChildEnding::Cancelled(error) => {
                let error = error.clone();
                (StepResult::Failed { error }, true)
            }
        };
        let completed = matches!(result, StepResult::Completed { .. });
        let record = self.opened(path, at);
        if let Kind::Child(child) = &mut record.kind {
            child.over = over;
            child.retried = false;
            child.failed_at = if over { 0 } else { seq };
        }
        record.settle(result, None, at);
        let counted = completed && self.episode.end();
        // Others may be able to go on with it, whichever of them the stop names.
        let waits = self.phase.stop_code().is_some_and(StopCode::is_wait);
        if let Phase::Paused { rest, .. } = &mut self.phase
            && waits
        {
            *rest = rest.ready(path, Came::Child(run.clone()), self.created_at.min(at));
        }
        self.progressed(path).and_run(counted || waits)
    }

    fn decided(
        &mut self,
        path: &Path,
        decision: Verdict,
        output: Payload,
        rework: &[StepId],
        at: Timestamp,
    ) -> Touched {
        let record = self.opened(path, at);
        if decision == Verdict::Rejected
            && let Kind::Wait {
                rejections: Some(rejections),
                ..
            } = &mut record.kind
        {
            *rejections += 1;
        }
        record.settle(StepResult::Completed { output }, None, at);
        if !rework.is_empty() {
            // What was said stays readable for the steps that go over the work.
            record.previous = record.settled().cloned();
            record.phase = StepPhase::Pending;
        }
        let mut touched = self.progressed(path).and_run(true);
        // Of the fan-outs around the approval, this item alone.
        self.reset_in(rework, path.innermost_item().as_ref(), &mut touched);
        self.make_ready(path, Came::Decision(decision), at);
        touched
    }

    /// Time ended a wait of a paused run, which can go on now. Returns whether the run as a whole changed.
    pub(super) fn timed_out(&mut self, path: &Path, at: Timestamp) -> bool {
        self.make_ready(path, Came::Time, at)
    }

    /// What a paused run waited for has come: it is due at once. A run that a person paused, or that stands somewhere else,
    /// stays as it is. Returns whether it stood there.
    fn make_ready(&mut self, path: &Path, came: Came, at: Timestamp) -> bool {
        let all = self.created.rules.answer_all();
        if let Phase::Paused { rest, .. } = &mut self.phase
            && (rest.reason().path.as_ref() == Some(path)
                || all && rest.reason().why.code().is_at_a_step())
        {
            // At once, also for a clock that was set back since.
            *rest = rest.ready(path, came, self.created_at.min(at));
            return true;
        }
        false
    }
}
