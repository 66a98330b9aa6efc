//! What waits, signals and decisions do to a run's state.

use std::sync::Arc;

use super::apply::reject;
use super::{Phase, Rejected, RunState, Status, StepPhase, StepRecord, StepResult, Touched};
use crate::ids::{Path, RunId, StepId};
use crate::payload::Payload;
use crate::stop::{Stop, StopCode};
use crate::time::Timestamp;
use crate::wait::{Verdict, Wait, signal_output};

impl RunState {
    /// The wait, or the paused component, at which the run stands: nobody is asked anything further on before it is over.
    ///
    /// The stop names it. Of a run that stands still for another reason, it is the one that began first: no later one is open
    /// unless an earlier version of this program left it open.
    #[must_use]
    pub fn stands_at(&self) -> Option<&StepRecord> {
        let open = |record: &&StepRecord| {
            matches!(
                record.phase,
                StepPhase::Awaiting { .. } | StepPhase::Paused { .. }
            )
        };
        let stop = self.phase.stop().and_then(|stop| stop.path.as_ref());
        stop.and_then(|path| self.steps.get(path.step()).filter(|r| r.path == *path))
            .filter(open)
            .or_else(|| {
                let open = self.steps.values().filter(open);
                open.min_by_key(|record| record.started_at)
            })
    }

    /// The execution that a signal of this name would reach now.
    #[must_use]
    pub fn awaits(&self, signal: &str) -> Option<&Path> {
        self.awaited()
            .and_then(|(path, name)| (name == signal).then_some(path))
    }

    /// The signal that the run waits for where it stands, with its path.
    #[must_use]
    pub fn awaited(&self) -> Option<(&Path, &str)> {
        let record = self.stands_at()?;
        Some((&record.path, signal_of(record)?))
    }

    /// Where a run that moves is at work: at a step in flight, or at one that is tried again.
    #[must_use]
    pub fn at_work(&self) -> Option<&Path> {
        let works = |record: &&StepRecord| {
            matches!(
                record.phase,
                StepPhase::InFlight { .. } | StepPhase::Waiting { .. }
            )
        };
        self.steps.values().find(works).map(|record| &record.path)
    }

    /// Whether a run moves, or is taken by a worker as soon as there is one.
    #[must_use]
    pub fn moves(&self) -> bool {
        match self.phase.status() {
            Status::Pending | Status::Running => true,
            Status::Paused => {
                let stop = self.phase.stop();
                stop.is_some_and(|stop| stop.code == StopCode::Ready) && !self.is_held()
            }
            Status::Completed | Status::Failed | Status::Cancelled => false,
        }
    }

    /// The approval at which the run stands undecided, with what is asked. None of a run that is over or has failed.
    #[must_use]
    pub fn approval(&self) -> Option<(&Path, &str)> {
        let record = self.stands_at()?;
        match (&record.phase, self.phase.status()) {
            (
                StepPhase::Awaiting {
                    wait: Wait::Approval { message, .. },
                },
                Status::Running | Status::Paused,
            ) => Some((&record.path, message)),
            _ => None,
        }
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
        if !record.waited {
            record.waited = true;
            record.rejections = Some(0);
        }
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

    /// Time ended a wait, and that is no failure.
    pub(super) fn wait_ended(
        &mut self,
        event: &'static str,
        path: &Path,
        output: &Payload,
        at: Timestamp,
    ) -> Result<Touched, Rejected> {
        self.must_run_or_pause(event)?;
        self.awaiting(event, path)?;
        let output = output.clone();
        self.settle(path, StepResult::Completed { output }, None, at);
        let mut touched = self.progressed(path);
        touched.run |= self.timed_out(path, at);
        Ok(touched)
    }

    /// Time ended a wait of a paused run, which can go on now. Returns whether the run as a whole changed.
    pub(super) fn timed_out(&mut self, path: &Path, at: Timestamp) -> bool {
        self.make_ready(path, format!("the time of `{path}` is over"), at)
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
        let record = self.steps.get(path.step());
        if record.is_none_or(|r| r.path != *path || signal_of(r) != Some(signal)) {
            return Err(reject(event, path, record));
        }
        if let Some(record) = self.steps.get_mut(path.step())
            && matches!(record.phase, StepPhase::Paused { .. })
        {
            record.phase = StepPhase::Pending;
            record.resume_signal = Some(Arc::unwrap_or_clone(data.value()));
        } else {
            let output = signal_output(signal, Some(&data.value()));
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
        decision: Verdict,
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
        if decision == Verdict::Rejected
            && let Some(rejections) = &mut record.rejections
        {
            *rejections += 1;
        }
        self.settle(path, StepResult::Completed { output }, None, at);
        let mut touched = self.progressed(path);
        touched.run = true;
        if !rework.is_empty() {
            self.reset(rework, &mut touched);
            // What was said stays readable for the steps that go over the work.
            if let Some(record) = self.steps.get_mut(path.step()) {
                record.previous = record.settled().cloned();
                record.phase = StepPhase::Pending;
            }
        }
        self.make_ready(path, format!("`{path}` was {decision}"), at);
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

    /// Whether a paused run goes on without a person's word: when it is due, or when what it waits for comes.
    #[must_use]
    pub fn moves_by_itself(&self) -> bool {
        let due = self.phase.stop().is_some_and(|stop| stop.due_at.is_some());
        let waits = self.awaited().is_some() || self.approval().is_some();
        self.phase.status() == Status::Paused && !self.is_held() && (due || waits)
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
    /// stays as it is. Returns whether it stood there.
    fn make_ready(&mut self, path: &Path, message: String, at: Timestamp) -> bool {
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
            return true;
        }
        false
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

/// The signal that would reach this execution now.
fn signal_of(record: &StepRecord) -> Option<&str> {
    match &record.phase {
        StepPhase::Awaiting {
            wait: Wait::Signal { name, .. },
        } => Some(name),
        StepPhase::Paused { pause, .. } => pause.signal.as_deref(),
        StepPhase::Pending
        | StepPhase::InFlight { .. }
        | StepPhase::Waiting { .. }
        | StepPhase::Awaiting { .. }
        | StepPhase::Looping { .. }
        | StepPhase::Settled(_) => None,
    }
}
