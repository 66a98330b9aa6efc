//! What events do to a loop.

use super::{Rejected, Touched};
use crate::event::LoopEvent;
use crate::ids::Path;
use crate::state::{Kind, RunState, StepPhase, StepResult, loop_output};
use crate::time::Timestamp;

impl RunState {
    pub(super) fn check_loop(
        &self,
        name: &'static str,
        path: &Path,
        event: &LoopEvent,
    ) -> Result<(), Rejected> {
        self.must_run(name)?;
        match *event {
            // Only a damaged or forged journal says so: iterations count from 1 (B117).
            LoopEvent::IterationStarted { iteration: 0 } => Err(self.reject(name, path)),
            LoopEvent::IterationStarted { iteration: 1 }
            | LoopEvent::Completed { iterations: 0, .. } => self.may_open(name, path).map(drop),
            LoopEvent::IterationStarted { iteration } => {
                self.must_be_looping(name, path, iteration - 1)
            }
            LoopEvent::IterationEnded { iteration, .. }
            | LoopEvent::Completed {
                iterations: iteration,
                ..
            } => self.must_be_looping(name, path, iteration),
        }
    }

    pub(super) fn change_loop(&mut self, path: &Path, event: &LoopEvent, at: Timestamp) -> Touched {
        let record = self.opened(path, at);
        record.kind = Kind::Loop;
        match *event {
            LoopEvent::IterationStarted { iteration } => {
                record.phase = StepPhase::Looping {
                    iteration,
                    condition_met: None,
                };
            }
            LoopEvent::IterationEnded {
                iteration,
                condition_met,
            } => {
                record.phase = StepPhase::Looping {
                    iteration,
                    condition_met: Some(condition_met),
                };
            }
            LoopEvent::Completed {
                iterations,
                condition_met,
            } => {
                let output = loop_output(iterations, condition_met);
                record.settle(StepResult::Completed { output }, Some(iterations), at);
            }
        }
        Touched::step(path)
    }

    fn must_be_looping(
        &self,
        name: &'static str,
        path: &Path,
        wanted: u32,
    ) -> Result<(), Rejected> {
        match self.executions.at(path).map(|record| &record.phase) {
            Some(StepPhase::Looping { iteration, .. }) if *iteration == wanted => Ok(()),
            _ => Err(self.reject(name, path)),
        }
    }
}
