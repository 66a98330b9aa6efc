//! What events do to one step execution.

use super::{Rejected, Touched};
use crate::event::StepEvent;
use crate::ids::Path;
use crate::outcome::Pause;
use crate::state::{
    Ending, Kind, RunState, Settled, Slot, Status, StepPhase, StepRecord, StepResult,
};
use crate::time::Timestamp;

impl RunState {
    pub(super) fn check_step(
        &self,
        name: &'static str,
        path: &Path,
        event: &StepEvent,
    ) -> Result<(), Rejected> {
        match event {
            StepEvent::Started(started) => {
                self.must_run(name)?;
                match self.may_open(name, path)? + 1 {
                    next if next == started.attempt => Ok(()),
                    _ => Err(self.reject(name, path)),
                }
            }
            StepEvent::Completed { attempt, .. }
            | StepEvent::AttemptFailed { attempt, .. }
            | StepEvent::Paused { attempt, .. }
            | StepEvent::Failed {
                attempt: Some(attempt),
                ..
            } => self.must_be_in_flight(name, path, *attempt),
            StepEvent::Failed { attempt: None, .. } => self.may_fail(name, path),
            StepEvent::Interrupted { attempt } => self.may_be_interrupted(name, path, *attempt),
            StepEvent::Continued => {
                self.must_run(name)?;
                match self.executions.at(path).map(|record| &record.phase) {
                    Some(StepPhase::Paused { .. }) => Ok(()),
                    _ => Err(self.reject(name, path)),
                }
            }
            StepEvent::DeadlineSet { .. } => {
                self.must_run(name)?;
                match self.executions.at(path).map(|record| &record.phase) {
                    Some(StepPhase::Looping { .. } | StepPhase::FannedOut) => Ok(()),
                    _ => self.may_open(name, path).map(drop),
                }
            }
            StepEvent::Ends { .. } => {
                self.must_run(name)?;
                match self.ending {
                    None => self.may_open(name, path).map(drop),
                    Some(_) => Err(self.reject(name, path)),
                }
            }
            StepEvent::Skipped(_) => {
                self.must_run(name)?;
                self.may_open(name, path).map(drop)
            }
            StepEvent::Wait(event) => self.check_wait(name, path, event),
            StepEvent::Loop(event) => self.check_loop(name, path, event),
            StepEvent::ForEach(event) => self.check_for_each(name, path, event),
        }
    }

    pub(super) fn change_step(&mut self, path: &Path, event: &StepEvent, at: Timestamp) -> Touched {
        if let Some(tape) = event.tape() {
            self.in_flight.remove(&path.into());
            let record = self.opened(path, at);
            if let Kind::Component(attempts) = &mut record.kind {
                attempts.log_dropped = tape.log_dropped;
                attempts.tape = tape.note();
            }
        }
        match event {
            StepEvent::Started(started) => {
                self.in_flight.insert(path.into());
                let record = self.opened(path, at);
                if started.attempt == 1 && path.is_compensation() {
                    record.started_at = at;
                }
                record.component_mut().made = started.attempt;
                record.phase = StepPhase::InFlight { since: at };
                Touched::step(path)
            }
            StepEvent::Completed { output, undo, .. } => {
                let output = output.clone();
                let result = StepResult::Completed { output };
                self.opened(path, at).settle(result, None, at);
                let counted = self.episode.end();
                let mut touched = self.progressed(path).and_run(counted);
                if let Some(undo) = undo {
                    let completed = self.seq + 1;
                    let compensations = self.executions.compensations_mut();
                    compensations.add(path, completed, undo, at);
                    touched.slots.push(Slot::from(&path.compensation()));
                }
                if path.is_compensation() {
                    self.executions.compensations_mut().complete(path);
                }
                touched
            }
            StepEvent::AttemptFailed {
                error, retry_at, ..
            } => {
                let record = self.opened(path, at);
                record.component_mut().failures += 1;
                record.phase = StepPhase::Waiting {
                    retry_at: *retry_at,
                    error: error.clone(),
                };
                self.progressed(path)
            }
            StepEvent::Failed { error, .. } => {
                let record = self.opened(path, at);
                let iterations = match record.phase {
                    StepPhase::Looping { iteration, .. } => Some(iteration),
                    StepPhase::Pending
                    | StepPhase::InFlight { .. }
                    | StepPhase::Waiting { .. }
                    | StepPhase::Paused { .. }
                    | StepPhase::Awaiting { .. }
                    | StepPhase::FannedOut
                    | StepPhase::InItem
                    | StepPhase::Settled(_) => None,
                };
                let error = error.clone();
                record.leave_child();
                record.settle(StepResult::Failed { error }, iterations, at);
                let ready = self.timed_out(path, at);
                self.progressed(path).and_run(ready)
            }
            StepEvent::Paused {
                pause,
                error,
                due_at,
                ..
            } => {
                let record = self.opened(path, at);
                let attempts = record.component_mut();
                if pause.state.is_some() {
                    attempts.resume_state.clone_from(&pause.state);
                }
                attempts.resume_signal = None;
                attempts.failures = 0;
                record.phase = StepPhase::Paused {
                    pause: Pause {
                        state: None,
                        ..pause.clone()
                    },
                    retries_exhausted: error.is_some(),
                    due_at: *due_at,
                };
                self.progressed(path)
            }
            StepEvent::Interrupted { .. } => {
                self.in_flight.remove(&path.into());
                let record = self.opened(path, at);
                record.leave_child();
                record.phase = StepPhase::Pending;
                Touched::step(path)
            }
            StepEvent::Continued => {
                let record = self.opened(path, at);
                let provider = match &record.phase {
                    StepPhase::Paused { pause, .. } => pause.provider.clone(),
                    _ => None,
                };
                record.phase = StepPhase::Pending;
                self.begin_episode(provider.as_deref());
                self.episode.resumes += 1;
                Touched::step(path).and_run(true)
            }
            StepEvent::DeadlineSet { deadline } => {
                self.opened(path, at).deadline = Some(*deadline);
                Touched::step(path)
            }
            StepEvent::Ends {
                status,
                message,
                output,
            } => {
                self.ending = Some(Ending::by_step(path, *status, message.as_deref(), output));
                let output = output.clone();
                let result = StepResult::Completed { output };
                self.opened(path, at).settle(result, None, at);
                self.episode.end();
                self.progressed(path).and_run(true)
            }
            StepEvent::Skipped(_) => {
                let record = self.opened(path, at);
                record.settle(StepResult::Skipped, None, at);
                Touched::step(path)
            }
            StepEvent::Wait(event) => self.change_wait(path, event, at),
            StepEvent::Loop(event) => self.change_loop(path, event, at),
            StepEvent::ForEach(event) => self.change_for_each(path, event, at),
        }
    }

    /// A step fails before an attempt (its expressions), or as a loop that is in an iteration, or as a wait whose time is over.
    fn may_fail(&self, name: &'static str, path: &Path) -> Result<(), Rejected> {
        let phase = self.executions.at(path).map(|record| &record.phase);
        // Time ends a wait also while its run is paused.
        if matches!(phase, Some(StepPhase::Awaiting { .. }))
            && self.phase.status() == Status::Paused
        {
            return Ok(());
        }
        self.must_run(name)?;
        match phase {
            Some(
                StepPhase::Looping { .. }
                | StepPhase::FannedOut
                | StepPhase::InItem
                | StepPhase::Awaiting { .. }
                | StepPhase::Paused { .. },
            ) => Ok(()),
            _ => self.may_open(name, path).map(drop),
        }
    }

    /// An attempt that is in flight, and whatever else is open: a loop ends with its members.
    fn may_be_interrupted(
        &self,
        name: &'static str,
        path: &Path,
        attempt: u32,
    ) -> Result<(), Rejected> {
        self.must_stand(name, path, attempt, |phase| {
            matches!(
                phase,
                StepPhase::InFlight { .. }
                    | StepPhase::Waiting { .. }
                    | StepPhase::Paused { .. }
                    | StepPhase::Awaiting { .. }
            )
        })
    }

    fn must_be_in_flight(
        &self,
        name: &'static str,
        path: &Path,
        attempt: u32,
    ) -> Result<(), Rejected> {
        self.must_stand(name, path, attempt, |phase| {
            matches!(phase, StepPhase::InFlight { .. })
        })
    }

    /// An execution of a running run, after so many attempts, in such a phase.
    fn must_stand(
        &self,
        name: &'static str,
        path: &Path,
        attempt: u32,
        stands: impl Fn(&StepPhase) -> bool,
    ) -> Result<(), Rejected> {
        self.must_run(name)?;
        match self.executions.at(path) {
            Some(record) if record.attempts() == attempt && stands(&record.phase) => Ok(()),
            _ => Err(self.reject(name, path)),
        }
    }

    /// Whether a path can begin or begin again: when nothing of it was recorded, when an earlier iteration is over, or when it
    /// waits for its turn. Returns the attempts that were made at it.
    pub(super) fn may_open(&self, name: &'static str, path: &Path) -> Result<u32, Rejected> {
        if path.is_compensation() && !self.may_compensate(path) {
            return Err(self.reject(name, path));
        }
        if path.is_item() && !self.is_item_of_open(path, true) {
            return Err(self.reject(name, path));
        }
        let Some(record) = self.executions.latest(path) else {
            return Ok(0);
        };
        let same = record.path == *path;
        match record.phase {
            StepPhase::Pending => Ok(if same { record.attempts() } else { 0 }),
            StepPhase::Waiting { .. } if same => Ok(record.attempts()),
            StepPhase::Settled(_) if !same => Ok(0),
            // It ended half-way, with a step around it whose time was over.
            StepPhase::Looping { .. } | StepPhase::FannedOut | StepPhase::InItem if !same => Ok(0),
            StepPhase::InFlight { .. }
            | StepPhase::Waiting { .. }
            | StepPhase::Paused { .. }
            | StepPhase::Awaiting { .. }
            | StepPhase::Looping { .. }
            | StepPhase::FannedOut
            | StepPhase::InItem
            | StepPhase::Settled(_) => Err(self.reject(name, path)),
        }
    }

    /// Whether it is this execution's turn to be undone.
    fn may_compensate(&self, path: &Path) -> bool {
        let record = self.executions.at(path);
        self.ending.is_some() && record.is_some_and(|record| record.compensable().is_some())
    }

    /// The record of this execution, a new one unless there is one.
    pub(super) fn opened(&mut self, path: &Path, at: Timestamp) -> &mut StepRecord {
        let record = self
            .executions
            .get_or_insert_with(path, || StepRecord::new(path, None, at));
        if record.path != *path {
            let phase = std::mem::replace(&mut record.phase, StepPhase::Pending);
            let previous = match phase {
                StepPhase::Settled(settled) => Some(settled),
                StepPhase::Pending
                | StepPhase::InFlight { .. }
                | StepPhase::Waiting { .. }
                | StepPhase::Paused { .. }
                | StepPhase::Awaiting { .. }
                | StepPhase::FannedOut
                | StepPhase::InItem
                | StepPhase::Looping { .. } => record.previous.take(),
            };
            *record = StepRecord::new(path, previous, at);
        }
        record
    }

    pub(super) fn reject(&self, event: &'static str, path: &Path) -> Rejected {
        Rejected::Step {
            event,
            path: path.clone(),
            phase: self.executions.latest(path).map_or_else(
                || "not started".to_owned(),
                |r| format!("{} at `{}`, attempt {}", r.status(), r.path, r.attempts()),
            ),
        }
    }
}

impl StepRecord {
    pub(in crate::state) fn new(path: &Path, previous: Option<Settled>, at: Timestamp) -> Self {
        Self {
            path: path.clone(),
            phase: StepPhase::Pending,
            started_at: at,
            deadline: None,
            previous,
            kind: Kind::Unknown,
            compensable: None,
        }
    }

    pub(super) fn settle(&mut self, result: StepResult, iterations: Option<u32>, at: Timestamp) {
        self.phase = StepPhase::Settled(Settled {
            result,
            at,
            iterations,
        });
        self.deadline = None;
        self.forget_pause();
    }

    /// As if it had not run before; how often it was tried is kept.
    pub(super) fn reset(&mut self) {
        self.phase = StepPhase::Pending;
        self.deadline = None;
        self.previous = None;
        match &mut self.kind {
            Kind::Component(attempts) => attempts.failures = 0,
            Kind::Loop => self.kind = Kind::Unknown,
            // A fan-out keeps its items: what they came to is kept where they are the same again.
            Kind::Unknown | Kind::FanOut(_) | Kind::Item | Kind::Wait { .. } | Kind::Child(_) => {}
        }
        self.forget_pause();
    }

    /// The same where a person wants it again, or what it depends on has changed: memoised work of an execution that had completed,
    /// or of a loop's iterations, is not what is wanted.
    pub(super) fn begin_anew(&mut self, touched: &mut Touched) {
        if self.has_completed() || matches!(self.kind, Kind::Loop) {
            touched.renewed.push(self.path.clone());
        }
        self.reset();
        touched.slots.push(Slot::from(&self.path));
    }

    /// Nothing of a pause outlives its execution.
    fn forget_pause(&mut self) {
        if let Kind::Component(attempts) = &mut self.kind {
            attempts.resume_state = None;
            attempts.resume_signal = None;
        }
    }
}
