//! The one door for every change of a run's state: what each event does to it, and when it cannot follow.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::{
    Binding, Episode, Phase, RunState, Settled, Status, StepPhase, StepRecord, StepResult,
    loop_output,
};
use crate::event::{
    AttemptStarted, ClaimCause, DefinitionChanged, Entry, Event, LoopEvent, ResumeCause, RunEvent,
    RunResumed, StepEvent, WaitEvent,
};
use crate::ids::{Path, StepId};
use crate::outcome::Pause;
use crate::stop::StopCode;
use crate::tape::LogDropped;
use crate::time::Timestamp;
use crate::wait::approval_output;

/// An event that cannot follow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// The transition table forbids it (B237).
    #[error("`{event}` would take the run from {from} to {to}, which is not possible")]
    Transition {
        /// Name of the event.
        event: &'static str,
        /// Present status.
        from: Status,
        /// Wanted status.
        to: Status,
    },
    /// It is not the next event of this run.
    #[error("event {found} follows event {last}")]
    OutOfOrder {
        /// Position of the last event.
        last: u64,
        /// Position of the new one.
        found: u64,
    },
    /// The step is not in a phase in which this can happen to it.
    #[error("`{event}` cannot happen to `{path}`, which is {phase}")]
    Step {
        /// Name of the event.
        event: &'static str,
        /// The execution.
        path: Path,
        /// What is recorded of it.
        phase: String,
    },
    /// The run is not running.
    #[error("`{event}` cannot happen to a run that is {status}")]
    NotRunning {
        /// Name of the event.
        event: &'static str,
        /// Present status.
        status: Status,
    },
    /// The run is not paused.
    #[error("`{event}` cannot happen to a run that is {status}, only to a paused one")]
    NotPaused {
        /// Name of the event.
        event: &'static str,
        /// Present status.
        status: Status,
    },
    /// The journal does not begin with `run_created`.
    #[error("a journal begins with `run_created`, not with `{0}`")]
    NotCreated(&'static str),
}

/// Which parts of the checkpoint an event changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Touched {
    /// These step records.
    pub steps: Vec<StepId>,
    /// Phase, times or counters of the run.
    pub run: bool,
}

impl Touched {
    pub(super) fn step(path: &Path) -> Self {
        Self {
            steps: vec![path.step().clone()],
            run: false,
        }
    }

    pub(super) fn run() -> Self {
        Self {
            steps: Vec::new(),
            run: true,
        }
    }
}

impl RunState {
    /// The state after the first event of a journal.
    ///
    /// # Errors
    /// [`Rejected::NotCreated`] when it is another one than `run_created`; [`Rejected::OutOfOrder`] when it is not event 1.
    pub fn create(entry: &Entry) -> Result<Self, Rejected> {
        let Event::Run(RunEvent::Created(created)) = &entry.event else {
            return Err(Rejected::NotCreated(entry.event.name()));
        };
        if entry.seq != 1 {
            return Err(Rejected::OutOfOrder {
                last: 0,
                found: entry.seq,
            });
        }
        Ok(Self {
            binding: Binding {
                definition: created.definition,
                plugins: created.plugins.clone(),
                inputs: None,
            },
            created: Arc::new(created.clone()),
            created_at: entry.at,
            phase: Phase::Pending,
            started_at: None,
            updated_at: entry.at,
            seq: entry.seq,
            epoch: entry.epoch,
            recoveries: 0,
            episode: Episode::default(),
            steps: BTreeMap::new(),
            in_flight: BTreeSet::new(),
            recorded_bytes: 0,
        })
    }

    /// Folds a whole journal.
    ///
    /// # Errors
    /// [`Rejected`] at the first event that cannot follow; an empty journal is [`Rejected::NotCreated`].
    pub fn fold<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Result<Self, Rejected> {
        let mut entries = entries.into_iter();
        let first = entries.next().ok_or(Rejected::NotCreated("nothing"))?;
        let mut state = Self::create(first)?;
        for entry in entries {
            state.apply(entry)?;
        }
        Ok(state)
    }

    /// Folds one event. Rejected events change nothing.
    ///
    /// # Errors
    /// [`Rejected`] when the event cannot follow from the present state.
    pub fn apply(&mut self, entry: &Entry) -> Result<Touched, Rejected> {
        if entry.seq != self.seq + 1 {
            return Err(Rejected::OutOfOrder {
                last: self.seq,
                found: entry.seq,
            });
        }
        // Most events are about one step; the few that are about many change their number by what is there afterwards.
        let one = match &entry.event {
            Event::Run(RunEvent::Resumed(_) | RunEvent::DefinitionChanged(_))
            | Event::Step {
                event: StepEvent::Wait(WaitEvent::ApprovalDecided { .. }),
                ..
            } => None,
            event => Some(event.path().map(Path::step)),
        };
        let bytes = |state: &Self, step: Option<&StepId>| {
            let record = step.and_then(|step| state.steps.get(step));
            record.map_or(0, StepRecord::bytes)
        };
        let before = one.map_or(0, |step| bytes(self, step));
        let touched = self.change(entry)?;
        if let (Some(path), Some(tape)) = (entry.event.path(), entry.event.tape())
            && let Some(record) = self.steps.get_mut(path.step())
        {
            record.log_dropped = tape.log_dropped;
        }
        self.recorded_bytes = match one {
            Some(step) => self.recorded_bytes - before + bytes(self, step),
            None => self.steps.values().map(StepRecord::bytes).sum(),
        };
        self.seq = entry.seq;
        self.epoch = entry.epoch;
        self.updated_at = entry.at;
        Ok(touched)
    }

    fn change(&mut self, entry: &Entry) -> Result<Touched, Rejected> {
        let at = entry.at;
        let name = entry.event.name();
        match &entry.event {
            Event::Run(RunEvent::Created(_)) => Err(Rejected::OutOfOrder {
                last: self.seq,
                found: 1,
            }),
            Event::Run(RunEvent::Claimed { cause, .. }) => self.claimed(name, *cause, at),
            Event::Run(RunEvent::Released { .. }) => {
                self.must_run(name)?;
                let steps = self.lose_attempts();
                self.phase = Phase::Pending;
                Ok(Touched { steps, run: true })
            }
            Event::Run(RunEvent::Resumed(resumed)) => self.resumed(name, resumed),
            Event::Run(RunEvent::DefinitionChanged(DefinitionChanged {
                definition,
                plugins,
                dropped,
                reset,
                inputs,
            })) => {
                self.binding = Binding {
                    definition: *definition,
                    plugins: plugins.clone(),
                    inputs: inputs.clone().or_else(|| self.binding.inputs.take()),
                };
                for step in dropped {
                    self.in_flight.remove(step);
                    self.steps.remove(step);
                }
                let mut touched = Touched {
                    steps: dropped.clone(),
                    run: true,
                };
                for step in reset {
                    self.in_flight.remove(step);
                }
                self.reset(reset, &mut touched);
                Ok(touched)
            }
            Event::Step {
                path,
                event: StepEvent::Started(AttemptStarted { attempt, .. }),
            } => self.started(name, path, *attempt, at),
            Event::Step {
                path,
                event:
                    StepEvent::Completed {
                        attempt, output, ..
                    },
            } => {
                self.end_attempt(name, path, Some(*attempt))?;
                let output = output.clone();
                self.settle(path, StepResult::Completed { output }, None, at);
                let counted = self.episode.end();
                let mut touched = self.progressed(path);
                touched.run |= counted;
                Ok(touched)
            }
            Event::Step {
                path,
                event:
                    StepEvent::AttemptFailed {
                        attempt,
                        error,
                        retry_at,
                        ..
                    },
            } => {
                let record = self.end_attempt(name, path, Some(*attempt))?;
                record.failures += 1;
                record.phase = StepPhase::Waiting {
                    retry_at: *retry_at,
                    error: error.clone(),
                };
                Ok(self.progressed(path))
            }
            Event::Step {
                path,
                event: StepEvent::Failed { attempt, error, .. },
            } => {
                let iterations = self.failing(name, path, *attempt, at)?;
                let error = error.clone();
                self.settle(path, StepResult::Failed { error }, iterations, at);
                let mut touched = self.progressed(path);
                touched.run |= self.timed_out(path, at);
                Ok(touched)
            }
            Event::Step {
                path,
                event:
                    StepEvent::Paused {
                        attempt,
                        pause,
                        error,
                        ..
                    },
            } => {
                let record = self.end_attempt(name, path, Some(*attempt))?;
                if pause.state.is_some() {
                    record.resume_state.clone_from(&pause.state);
                }
                record.resume_signal = None;
                record.phase = StepPhase::Paused {
                    pause: Pause {
                        state: None,
                        ..pause.clone()
                    },
                    retries_exhausted: error.is_some(),
                };
                record.failures = 0;
                Ok(self.progressed(path))
            }
            Event::Step {
                path,
                event: StepEvent::Interrupted { attempt },
            } => {
                let record = self.end_attempt(name, path, Some(*attempt))?;
                record.phase = StepPhase::Pending;
                Ok(Touched::step(path))
            }
            Event::Step {
                path,
                event: StepEvent::Skipped { .. },
            } => {
                self.must_run(name)?;
                self.open(name, path, at)?;
                self.settle(path, StepResult::Skipped, None, at);
                Ok(Touched::step(path))
            }
            Event::Step {
                path,
                event: StepEvent::Wait(WaitEvent::Started { wait }),
            } => self.wait_started(name, path, wait, at),
            Event::Step {
                path,
                event: StepEvent::Wait(WaitEvent::Ended { output }),
            } => self.wait_ended(name, path, output, at),
            Event::Step {
                path,
                event: StepEvent::Wait(WaitEvent::SignalReceived { signal, data, .. }),
            } => self.signalled(name, path, signal, data, at),
            Event::Step {
                path,
                event:
                    StepEvent::Wait(WaitEvent::ApprovalDecided {
                        decision,
                        comment,
                        by,
                        rework,
                    }),
            } => {
                let output = approval_output(*decision, comment.as_deref(), by.as_deref(), false);
                self.decided(name, path, *decision, output, rework, at)
            }
            Event::Step {
                path,
                event: StepEvent::Loop(LoopEvent::IterationStarted { iteration }),
            } => {
                self.must_run(name)?;
                self.iterate(name, path, *iteration, at)
            }
            Event::Step {
                path,
                event:
                    StepEvent::Loop(LoopEvent::IterationEnded {
                        iteration,
                        condition_met,
                    }),
            } => {
                self.must_run(name)?;
                let record = self.looping(name, path, *iteration)?;
                record.phase = StepPhase::Looping {
                    iteration: *iteration,
                    condition_met: Some(*condition_met),
                };
                Ok(Touched::step(path))
            }
            Event::Step {
                path,
                event:
                    StepEvent::Loop(LoopEvent::Completed {
                        iterations,
                        condition_met,
                    }),
            } => {
                self.must_run(name)?;
                if *iterations == 0 {
                    self.open(name, path, at)?;
                } else {
                    self.looping(name, path, *iterations)?;
                }
                let output = loop_output(*iterations, *condition_met);
                let result = StepResult::Completed { output };
                self.settle(path, result, Some(*iterations), at);
                Ok(Touched::step(path))
            }
            Event::Run(RunEvent::Postponed {
                reason,
                due_at,
                waited,
            }) => self.postponed(name, reason, *due_at, *waited),
            Event::Run(RunEvent::Held { by }) => self.held(name, by),
            Event::Run(RunEvent::ClockCorrected { back_millis, steps }) => {
                self.take_back(Duration::from_millis(*back_millis), steps, at);
                Ok(Touched {
                    steps: steps.clone(),
                    run: true,
                })
            }
            Event::Run(RunEvent::Paused { stop }) => {
                let phase = Phase::Paused {
                    stop: stop.clone(),
                    at,
                };
                let touched = self.stopped(name, phase)?;
                // An error of the host is no pause of a provider's.
                if stop.code != StopCode::HostError && self.episode.provider != stop.provider {
                    let earlier = match self.created.rules.count_across_providers() {
                        true => self.episode.in_a_row(),
                        false => 0,
                    };
                    self.episode = Episode {
                        provider: stop.provider.clone(),
                        resumes: 0,
                        earlier,
                    };
                }
                Ok(touched)
            }
            Event::Run(RunEvent::Completed { output }) => self.stopped(
                name,
                Phase::Completed {
                    output: output.clone(),
                    at,
                },
            ),
            Event::Run(RunEvent::Failed { stop }) => self.stopped(
                name,
                Phase::Failed {
                    stop: stop.clone(),
                    at,
                },
            ),
            Event::Run(RunEvent::Cancelled { stop }) => self.stopped(
                name,
                Phase::Cancelled {
                    stop: stop.clone(),
                    at,
                },
            ),
        }
    }

    fn claimed(
        &mut self,
        event: &'static str,
        cause: ClaimCause,
        at: Timestamp,
    ) -> Result<Touched, Rejected> {
        let from = self.phase.status();
        // A resumed run is already on its way to `running`; only a recovery takes a running run.
        if !matches!(from, Status::Pending | Status::Running) {
            return Err(Rejected::Transition {
                event,
                from,
                to: Status::Running,
            });
        }
        match cause {
            ClaimCause::Recovery => self.recoveries += 1,
            // A person takes over a run whose owner is gone: their word begins afresh.
            ClaimCause::Resume if from == Status::Running => {
                self.recoveries = 0;
                self.episode.end();
            }
            ClaimCause::Start | ClaimCause::Resume | ClaimCause::Retry => {}
        }
        let steps = self.lose_attempts();
        self.phase = Phase::Running;
        self.started_at.get_or_insert(at);
        Ok(Touched { steps, run: true })
    }

    /// Attempts of a lost claim have no outcome and never will: they start again.
    fn lose_attempts(&mut self) -> Vec<StepId> {
        let lost = std::mem::take(&mut self.in_flight);
        for id in &lost {
            if let Some(record) = self.steps.get_mut(id) {
                record.phase = StepPhase::Pending;
            }
        }
        lost.into_iter().collect()
    }

    fn resumed(&mut self, event: &'static str, resumed: &RunResumed) -> Result<Touched, Rejected> {
        let from = self.phase.status();
        if !matches!(from, Status::Paused | Status::Failed) {
            return Err(Rejected::Transition {
                event,
                from,
                to: Status::Running,
            });
        }
        let mut touched = Touched::run();
        match resumed.cause {
            // A person's word begins afresh; a schedule's does not (B202).
            ResumeCause::Resume | ResumeCause::Retry => {
                self.episode.end();
                self.recoveries = 0;
            }
            ResumeCause::Schedule => self.episode.resumes += 1,
            ResumeCause::Wait => {}
        }
        for (id, record) in &mut self.steps {
            if matches!(record.phase, StepPhase::Paused { .. }) {
                record.phase = StepPhase::Pending;
                touched.steps.push(id.clone());
            }
        }
        self.reset(&resumed.reset, &mut touched);
        for id in &resumed.closed {
            if let Some(record) = self.steps.get_mut(id)
                && matches!(record.phase, StepPhase::Awaiting { .. })
            {
                record.phase = StepPhase::Pending;
                touched.steps.push(id.clone());
            }
        }
        for id in &resumed.reopened {
            if let Some(record) = self.steps.get_mut(id)
                && let Some(iteration) = record.settled().and_then(|s| s.iterations)
                && iteration > 0
            {
                record.phase = StepPhase::Looping {
                    iteration,
                    condition_met: None,
                };
                touched.steps.push(id.clone());
            }
        }
        self.phase = Phase::Pending;
        Ok(touched)
    }

    /// These steps run again as if they had not run before.
    pub(super) fn reset(&mut self, steps: &[StepId], touched: &mut Touched) {
        for id in steps {
            if let Some(record) = self.steps.get_mut(id) {
                record.phase = StepPhase::Pending;
                record.failures = 0;
                record.previous = None;
                record.resume_state = None;
                record.resume_signal = None;
                touched.steps.push(id.clone());
            }
        }
    }

    fn started(
        &mut self,
        event: &'static str,
        path: &Path,
        attempt: u32,
        at: Timestamp,
    ) -> Result<Touched, Rejected> {
        self.must_run(event)?;
        if attempt != self.may_open(event, path)? + 1 {
            return Err(reject(event, path, self.steps.get(path.step())));
        }
        let record = self.opened(path, at);
        record.attempts = attempt;
        record.phase = StepPhase::InFlight { since: at };
        self.in_flight.insert(path.step().clone());
        Ok(Touched::step(path))
    }

    fn iterate(
        &mut self,
        event: &'static str,
        path: &Path,
        iteration: u32,
        at: Timestamp,
    ) -> Result<Touched, Rejected> {
        match iteration {
            // Only a damaged or forged journal says so: passes count from 1 (B117).
            0 => return Err(reject(event, path, self.steps.get(path.step()))),
            1 => {
                self.open(event, path, at)?;
            }
            _ => {
                self.looping(event, path, iteration - 1)?;
            }
        }
        if let Some(record) = self.steps.get_mut(path.step()) {
            record.phase = StepPhase::Looping {
                iteration,
                condition_met: None,
            };
        }
        Ok(Touched::step(path))
    }

    /// Checks that a failure can happen here and returns the passes of a loop. A step fails after an attempt, or before
    /// one (its expressions), or as a loop that is in a pass.
    fn failing(
        &mut self,
        event: &'static str,
        path: &Path,
        attempt: Option<u32>,
        at: Timestamp,
    ) -> Result<Option<u32>, Rejected> {
        if attempt.is_some() {
            self.end_attempt(event, path, attempt)?;
            return Ok(None);
        }
        let record = self.steps.get(path.step());
        let record = record.filter(|record| record.path == *path);
        let awaits = record.is_some_and(|r| matches!(r.phase, StepPhase::Awaiting { .. }));
        // Time ends a wait also while its run is paused.
        if awaits && self.phase.status() == Status::Paused {
            return Ok(None);
        }
        self.must_run(event)?;
        if let Some(record) = record {
            match record.phase {
                StepPhase::Looping { iteration, .. } => return Ok(Some(iteration)),
                StepPhase::Awaiting { .. } => return Ok(None),
                StepPhase::Pending
                | StepPhase::InFlight { .. }
                | StepPhase::Waiting { .. }
                | StepPhase::Paused { .. }
                | StepPhase::Settled(_) => {}
            }
        }
        self.open(event, path, at)?;
        Ok(None)
    }

    fn stopped(&mut self, event: &'static str, phase: Phase) -> Result<Touched, Rejected> {
        let (from, to) = (self.phase.status(), phase.status());
        let possible = match to {
            Status::Paused | Status::Completed => from == Status::Running,
            Status::Pending | Status::Running | Status::Failed | Status::Cancelled => {
                from.may_become(to)
            }
        };
        if !possible {
            return Err(Rejected::Transition { event, from, to });
        }
        // An attempt must be settled or interrupted before its run stops, or its outcome would be in doubt.
        if !self.in_flight.is_empty() && to != Status::Failed {
            return Err(Rejected::NotRunning {
                event,
                status: from,
            });
        }
        let steps = self.lose_attempts();
        self.phase = phase;
        Ok(Touched { steps, run: true })
    }

    pub(super) fn must_run(&self, event: &'static str) -> Result<(), Rejected> {
        match self.phase.status() {
            Status::Running => Ok(()),
            status => Err(Rejected::NotRunning { event, status }),
        }
    }

    /// Whether a path can begin or begin again: when nothing of it was recorded, when an earlier pass is over, or when it waits
    /// for its turn. Returns the attempts that were made at it.
    fn may_open(&self, event: &'static str, path: &Path) -> Result<u32, Rejected> {
        let Some(record) = self.steps.get(path.step()) else {
            return Ok(0);
        };
        let same = record.path == *path;
        match record.phase {
            StepPhase::Pending => Ok(if same { record.attempts } else { 0 }),
            StepPhase::Waiting { .. } if same => Ok(record.attempts),
            StepPhase::Settled(_) if !same => Ok(0),
            StepPhase::InFlight { .. }
            | StepPhase::Waiting { .. }
            | StepPhase::Paused { .. }
            | StepPhase::Awaiting { .. }
            | StepPhase::Looping { .. }
            | StepPhase::Settled(_) => Err(reject(event, path, Some(record))),
        }
    }

    /// The record of a path that begins or begins again. Nothing is changed when it cannot.
    pub(super) fn open(
        &mut self,
        event: &'static str,
        path: &Path,
        at: Timestamp,
    ) -> Result<&mut StepRecord, Rejected> {
        self.may_open(event, path)?;
        Ok(self.opened(path, at))
    }

    /// The record of a path that [may open](Self::may_open), a new one unless it waited for its turn.
    fn opened(&mut self, path: &Path, at: Timestamp) -> &mut StepRecord {
        let fresh = |previous: Option<Settled>| StepRecord {
            path: path.clone(),
            phase: StepPhase::Pending,
            attempts: 0,
            failures: 0,
            started_at: at,
            previous,
            resume_state: None,
            resume_signal: None,
            log_dropped: LogDropped::default(),
            waited: false,
            rejections: None,
        };
        let record = self
            .steps
            .entry(path.step().clone())
            .or_insert_with(|| fresh(None));
        if record.path != *path {
            let previous = match std::mem::replace(&mut record.phase, StepPhase::Pending) {
                StepPhase::Settled(settled) => Some(settled),
                StepPhase::Pending
                | StepPhase::InFlight { .. }
                | StepPhase::Waiting { .. }
                | StepPhase::Paused { .. }
                | StepPhase::Awaiting { .. }
                | StepPhase::Looping { .. } => record.previous.take(),
            };
            *record = fresh(previous);
        }
        record
    }

    /// The record of an attempt in flight, which from now on is none: the caller gives it another phase.
    fn end_attempt(
        &mut self,
        event: &'static str,
        path: &Path,
        attempt: Option<u32>,
    ) -> Result<&mut StepRecord, Rejected> {
        self.must_run(event)?;
        match self.steps.get_mut(path.step()) {
            Some(record)
                if record.path == *path
                    && Some(record.attempts) == attempt
                    && matches!(record.phase, StepPhase::InFlight { .. }) =>
            {
                self.in_flight.remove(path.step());
                Ok(record)
            }
            other => Err(reject(event, path, other.as_deref())),
        }
    }

    fn looping(
        &mut self,
        event: &'static str,
        path: &Path,
        in_pass: u32,
    ) -> Result<&mut StepRecord, Rejected> {
        match self.steps.get_mut(path.step()) {
            Some(record)
                if record.path == *path
                    && matches!(record.phase, StepPhase::Looping { iteration, .. } if iteration == in_pass) =>
            {
                Ok(record)
            }
            other => Err(reject(event, path, other.as_deref())),
        }
    }

    pub(super) fn settle(
        &mut self,
        path: &Path,
        result: StepResult,
        iterations: Option<u32>,
        at: Timestamp,
    ) {
        if let Some(record) = self.steps.get_mut(path.step()) {
            record.phase = StepPhase::Settled(Settled {
                result,
                at,
                iterations,
            });
            record.resume_state = None;
            record.resume_signal = None;
        }
    }

    /// A recorded outcome is progress: the run did not just die and come back.
    pub(super) fn progressed(&mut self, path: &Path) -> Touched {
        let run = std::mem::take(&mut self.recoveries) > 0;
        Touched {
            run,
            ..Touched::step(path)
        }
    }
}

pub(super) fn reject(event: &'static str, path: &Path, record: Option<&StepRecord>) -> Rejected {
    Rejected::Step {
        event,
        path: path.clone(),
        phase: record.map_or_else(
            || "not started".to_owned(),
            |r| format!("{} at `{}`, attempt {}", r.status(), r.path, r.attempts),
        ),
    }
}
