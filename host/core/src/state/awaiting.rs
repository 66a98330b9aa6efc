//! What waits, signals and decisions do to a run's state.

use super::apply::reject;
use super::{Phase, Rejected, RunState, Status, StepPhase, StepRecord, StepResult, Touched};
use crate::event::{Stop, StopCode};
use crate::ids::{Path, RunId, StepId};
use crate::payload::Payload;
use crate::time::Timestamp;
use crate::wait::{Wait, signal_output};

impl RunState {
    /// The execution that a signal of this name would reach now.
    #[must_use]
    pub fn awaits(&self, signal: &str) -> Option<&Path> {
        self.awaited()
            .find_map(|(path, name)| (name == signal).then_some(path))
    }

    /// The signals that executions wait for now, with their paths.
    pub fn awaited(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.steps.values().filter_map(|record| {
            let name = match &record.phase {
                StepPhase::Awaiting {
                    wait: Wait::Signal { name, .. },
                } => name,
                StepPhase::Paused { pause, .. } => pause.signal.as_ref()?,
                StepPhase::Pending
                | StepPhase::InFlight { .. }
                | StepPhase::Waiting { .. }
                | StepPhase::Awaiting { .. }
                | StepPhase::Looping { .. }
                | StepPhase::Settled(_) => return None,
            };
            Some((&record.path, name.as_str()))
        })
    }

    /// The approvals that nobody has decided yet, with what is asked.
    pub fn approvals(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.steps
            .values()
            .filter_map(|record| match &record.phase {
                StepPhase::Awaiting {
                    wait: Wait::Approval { message, .. },
                } => Some((&record.path, message.as_str())),
                _ => None,
            })
    }

    pub(super) fn wait_started(
        &mut self,
        event: &'static str,
        path: &Path,
        wait: &Wait,
        at: Timestamp,
    ) -> Result<Touched, Rejected> {
        self.must_run(event)?;
        let record = self.open(event, path, at)?;
        record.attempts += 1;
        record.waited = true;
        record.phase = StepPhase::Awaiting { wait: wait.clone() };
        Ok(Touched::step(path))
    }

    /// The record of a wait that nothing has ended yet.
    pub(super) fn awaiting(
        &mut self,
        event: &'static str,
        path: &Path,
    ) -> Result<&mut StepRecord, Rejected> {
        match self.steps.get_mut(path.step()) {
            Some(record)
                if record.path == *path && matches!(record.phase, StepPhase::Awaiting { .. }) =>
            {
                Ok(record)
            }
            other => Err(reject(event, path, other.as_deref())),
        }
    }

    pub(super) fn signalled(
        &mut self,
        event: &'static str,
        path: &Path,
        signal: &str,
        data: &Payload,
        at: Timestamp,
    ) -> Result<Touched, Rejected> {
        self.must_run_or_pause(event)?;
        if self.awaits(signal) != Some(path) {
            return Err(reject(event, path, self.steps.get(path.step())));
        }
        if let Some(record) = self.steps.get_mut(path.step())
            && matches!(record.phase, StepPhase::Paused { .. })
        {
            record.phase = StepPhase::Pending;
            record.resume_signal = Some(data.value().as_ref().clone());
        } else {
            let output = signal_output(signal, Some(data.value()));
            self.settle(path, StepResult::Completed { output }, None, at);
        }
        self.make_ready(path, format!("the signal `{signal}` came"), at);
        let mut touched = self.progressed(path);
        touched.run = true;
        Ok(touched)
    }

    pub(super) fn decided(
        &mut self,
        event: &'static str,
        path: &Path,
        output: Payload,
        rework: &[StepId],
        at: Timestamp,
    ) -> Result<Touched, Rejected> {
        if self.phase.status() != Status::Paused {
            return Err(Rejected::NotPaused {
                event,
                status: self.phase.status(),
            });
        }
        let record = self.awaiting(event, path)?;
        if !matches!(
            &record.phase,
            StepPhase::Awaiting {
                wait: Wait::Approval { .. }
            }
        ) {
            return Err(reject(event, path, Some(record)));
        }
        let word = match output
            .value()
            .get("decision")
            .and_then(|word| word.as_str())
        {
            Some(word) => format!("`{path}` was {word}"),
            None => format!("`{path}` was decided"),
        };
        self.settle(path, StepResult::Completed { output }, None, at);
        let mut touched = self.progressed(path);
        touched.run = true;
        if !rework.is_empty() {
            self.reset(rework, &mut touched);
            // What was said stays readable for the steps that go over the work.
            if let Some(record) = self.steps.get_mut(path.step()) {
                let before = record.output_bytes();
                record.previous = record.settled().cloned();
                record.phase = StepPhase::Pending;
                self.output_bytes = self.output_bytes - before + record.output_bytes();
            }
        }
        self.make_ready(path, word, at);
        Ok(touched)
    }

    pub(super) fn postponed(
        &mut self,
        event: &'static str,
        reason: &str,
        due_at: Option<Timestamp>,
        waited: bool,
    ) -> Result<Touched, Rejected> {
        let Phase::Paused { stop, .. } = &mut self.phase else {
            return Err(Rejected::NotPaused {
                event,
                status: self.phase.status(),
            });
        };
        if waited {
            stop.code = StopCode::Ready;
            stop.message = match &stop.path {
                Some(path) => format!("the wait at `{path}` is over"),
                None => "the wait is over".to_owned(),
            };
        }
        stop.due_at = due_at;
        stop.next = format!(
            "the last automatic resume could not begin: {reason}; {}",
            match due_at {
                Some(_) => "it is tried again",
                None => "it is not tried again, resume it by hand",
            }
        );
        self.episode.resumes += 1;
        Ok(Touched::run())
    }

    /// Whether a person has to resume the run, whatever it waited for has come: it was paused, or held where it stood.
    #[must_use]
    pub fn is_held(&self) -> bool {
        match &self.phase {
            Phase::Paused { stop, .. } => {
                stop.held_by.is_some() || stop.code == StopCode::Interrupted
            }
            _ => false,
        }
    }

    pub(super) fn held(&mut self, event: &'static str, by: &str) -> Result<Touched, Rejected> {
        let run = &self.created.run;
        let Phase::Paused { stop, .. } = &mut self.phase else {
            return Err(Rejected::NotPaused {
                event,
                status: self.phase.status(),
            });
        };
        stop.due_at = None;
        stop.held_by = Some(by.to_owned());
        stop.next = held_until(run);
        Ok(Touched::run())
    }

    /// What a paused run waited for has come: it is due at once. A run that a person paused, or that stands somewhere else,
    /// stays as it is.
    fn make_ready(&mut self, path: &Path, message: String, at: Timestamp) {
        let run = self.created.run.clone();
        if let Phase::Paused { stop, .. } = &mut self.phase
            && stop.path.as_ref() == Some(path)
        {
            let held_by = stop.held_by.take();
            let (next, due_at) = match held_by {
                Some(_) => (held_until(&run), None),
                None => (
                    format!("a worker goes on with it, or `milepost resume {run}`"),
                    // At once, also for a clock that was set back since.
                    Some(self.created_at.min(at)),
                ),
            };
            *stop = Stop {
                due_at,
                held_by,
                ..Stop::new(StopCode::Ready, message, next).at(path.clone())
            };
        }
    }

    fn must_run_or_pause(&self, event: &'static str) -> Result<(), Rejected> {
        match self.phase.status() {
            Status::Running | Status::Paused => Ok(()),
            status @ (Status::Pending | Status::Completed | Status::Failed | Status::Cancelled) => {
                Err(Rejected::NotRunning { event, status })
            }
        }
    }
}

fn held_until(run: &RunId) -> String {
    format!("it is held; `milepost resume {run}` lets it go on")
}
