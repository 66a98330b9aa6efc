//! What waits, signals and decisions do to an execution, and to a run that stands at it.

use std::sync::Arc;

use super::{Rejected, Touched};
use crate::event::WaitEvent;
use crate::ids::{Path, StepId};
use crate::payload::Payload;
use crate::state::{Kind, Phase, RunState, StepPhase, StepRecord, StepResult};
use crate::stop::Came;
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
                self.must_pause(name)?;
                self.must_wait(name, path, |wait| matches!(wait, Wait::Approval { .. }))
            }
        }
    }

    pub(super) fn change_wait(&mut self, path: &Path, event: &WaitEvent, at: Timestamp) -> Touched {
        match event {
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
        if let Phase::Paused { rest, .. } = &mut self.phase
            && rest.reason().path.as_ref() == Some(path)
        {
            // At once, also for a clock that was set back since.
            *rest = rest.ready(path, came, self.created_at.min(at));
            return true;
        }
        false
    }
}
