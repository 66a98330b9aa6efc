//! What events do to a run as a whole.

use std::time::Duration;

use super::{Rejected, Touched};
use crate::event::{ClaimCause, DefinitionChanged, ResumeCause, RunEvent, RunResumed};
use crate::ids::{Path, StepId};
use crate::state::{
    Binding, Ending, Episode, Kind, Phase, RunState, Slot, Status, StepPhase, StepRecord,
};
use crate::stop::StopCode;
use crate::time::Timestamp;
use crate::wait::Wait;

impl RunState {
    pub(super) fn check_run(&self, name: &'static str, event: &RunEvent) -> Result<(), Rejected> {
        match event {
            RunEvent::Created(_) => Err(Rejected::OutOfOrder {
                last: self.seq,
                found: 1,
            }),
            // A resumed run is already on its way to `running`; only a recovery takes a running run.
            RunEvent::Claimed { .. } => {
                self.must_be(name, &[Status::Pending, Status::Running], Status::Running)
            }
            RunEvent::Released { .. } => self.must_run(name),
            RunEvent::Resumed(_) => {
                self.must_be(name, &[Status::Paused, Status::Failed], Status::Running)
            }
            RunEvent::DefinitionChanged(_) | RunEvent::ClockCorrected { .. } => Ok(()),
            RunEvent::Postponed { .. } | RunEvent::Held { .. } => self.must_pause(name),
            RunEvent::Finishing { ending } => self.may_finish(name, ending),
            RunEvent::FinallyStarted => match (&self.ending, self.finally_since) {
                (Some(_), None) => self.must_run(name),
                (_, _) => Err(self.not_now(name)),
            },
            RunEvent::Paused { .. } => self.may_stop(name, Status::Paused),
            RunEvent::Completed { .. } => self.may_stop(name, Status::Completed),
            RunEvent::Failed { .. } => self.may_stop(name, Status::Failed),
            RunEvent::Cancelled { .. } => self.may_stop(name, Status::Cancelled),
            RunEvent::Compensating { .. } => self.may_compensate_all(name),
        }
    }

    pub(super) fn change_run(&mut self, event: &RunEvent, at: Timestamp) -> Touched {
        match event {
            // Only `create` takes it.
            RunEvent::Created(_) => Touched::default(),
            RunEvent::Claimed { cause, .. } => self.claimed(*cause, at),
            RunEvent::Released { .. } => self.moved(Phase::Pending),
            RunEvent::Resumed(resumed) => self.resumed(resumed),
            RunEvent::DefinitionChanged(changed) => self.definition_changed(changed),
            RunEvent::Postponed {
                reason,
                due_at,
                waited,
            } => self.postponed(reason, *due_at, *waited),
            RunEvent::Held { by } => self.held(by),
            RunEvent::ClockCorrected { back_millis, steps } => {
                self.clock_corrected(Duration::from_millis(*back_millis), steps, at)
            }
            RunEvent::Finishing { ending } => self.finishing(ending),
            RunEvent::FinallyStarted => {
                self.finally_since = Some(at);
                Touched::run()
            }
            RunEvent::Paused { stop } => {
                if stop.code() != StopCode::HostError {
                    self.begin_episode(stop.provider.as_deref());
                }
                let stop = stop.clone();
                let rest = stop.into();
                self.moved(Phase::Paused { rest, at })
            }
            RunEvent::Completed { output } => {
                self.ended();
                let output = output.clone();
                self.moved(Phase::Completed { output, at })
            }
            RunEvent::Failed { stop } => {
                // Whoever lets a run go on that was lost on the way to its cancellation lets it go on with that.
                let goes_on = self.created.rules.cancellations_outlive_losses()
                    && self.is_being_cancelled()
                    && stop.code() == StopCode::ProcessLost;
                if !goes_on {
                    self.ended();
                }
                let stop = stop.clone();
                self.moved(Phase::Failed { stop, at })
            }
            RunEvent::Cancelled { stop } => {
                self.ended();
                let stop = stop.clone();
                self.moved(Phase::Cancelled { stop, at })
            }
            RunEvent::Compensating { cancels, stop, .. } => {
                self.compensating(Ending::by_stop(*cancels, stop.clone()))
            }
        }
    }

    /// A run is about to end once; only a person's word comes after that, as long as it does not end as cancelled already. Of a run
    /// that does not move, nothing but such a word is heard.
    fn may_finish(&self, event: &'static str, ending: &Ending) -> Result<(), Rejected> {
        let again = match &self.ending {
            None => true,
            Some(before) => ending.cancels() && !before.cancels(),
        };
        match self.phase.status() {
            Status::Running if again => Ok(()),
            Status::Pending | Status::Paused if again && ending.cancels() => Ok(()),
            _ => Err(self.not_now(event)),
        }
    }

    fn not_now(&self, event: &'static str) -> Rejected {
        let status = self.phase.status();
        Rejected::NotRunning { event, status }
    }

    /// A paused run has to be driven again for it.
    fn finishing(&mut self, ending: &Ending) -> Touched {
        self.ending = Some(ending.clone());
        match self.phase.status() {
            Status::Paused => self.moved(Phase::Pending),
            _ => Touched::run(),
        }
    }

    /// The run is over.
    fn ended(&mut self) {
        (self.ending, self.finally_since) = (None, None);
        self.compensates = false;
    }

    fn must_be(&self, event: &'static str, allowed: &[Status], to: Status) -> Result<(), Rejected> {
        match self.phase.status() {
            from if allowed.contains(&from) => Ok(()),
            from => Err(Rejected::Transition { event, from, to }),
        }
    }

    fn may_stop(&self, event: &'static str, to: Status) -> Result<(), Rejected> {
        let from = self.phase.status();
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
        Ok(())
    }

    /// Under another phase. Attempts of a lost claim have no outcome and never will: they start again.
    fn moved(&mut self, phase: Phase) -> Touched {
        self.phase = phase;
        let lost = std::mem::take(&mut self.in_flight);
        for slot in &lost {
            if let Some(record) = self.executions.get_mut(slot) {
                record.phase = StepPhase::Pending;
            }
        }
        Touched {
            slots: lost.into_iter().collect(),
            ..Touched::run()
        }
    }

    fn claimed(&mut self, cause: ClaimCause, at: Timestamp) -> Touched {
        match cause {
            ClaimCause::Recovery => self.recoveries += 1,
            // A person takes over a run whose owner is gone: their word begins afresh.
            ClaimCause::Resume if self.phase == Phase::Running => self.person_spoke(),
            ClaimCause::Start | ClaimCause::Resume | ClaimCause::Retry => {}
        }
        if !self.created.rules.finally_counts_across_claims() {
            self.finally_since = None;
        }
        self.started_at.get_or_insert(at);
        self.moved(Phase::Running)
    }

    fn person_spoke(&mut self) {
        self.episode.end();
        self.recoveries = 0;
    }

    /// Another provider's limit begins another row of pauses. An error of the host is no pause of a provider's.
    pub(super) fn begin_episode(&mut self, provider: Option<&str>) {
        if self.episode.provider.as_deref() != provider {
            let earlier = match self.created.rules.count_across_providers() {
                true => self.episode.in_a_row(),
                false => 0,
            };
            self.episode = Episode {
                provider: provider.map(str::to_owned),
                resumes: 0,
                earlier,
            };
        }
    }

    /// A person may ask for it of whatever is not over, until steps with `finally` run.
    fn may_compensate_all(&self, event: &'static str) -> Result<(), Rejected> {
        if self.finally_since.is_some() {
            return Err(self.not_now(event));
        }
        let allowed = [
            Status::Pending,
            Status::Running,
            Status::Paused,
            Status::Failed,
        ];
        self.must_be(event, &allowed, Status::Pending)
    }

    fn compensating(&mut self, ending: Ending) -> Touched {
        self.ending = Some(ending);
        self.compensates = true;
        self.person_spoke();
        // Somebody has to drive one that stood still.
        let mut touched = match self.phase.status() {
            Status::Running => Touched::run(),
            _ => self.moved(Phase::Pending),
        };
        self.compensations_again(&mut touched);
        touched
    }

    /// Compensations that failed, or asked to stop, are tried again.
    fn compensations_again(&mut self, touched: &mut Touched) {
        for record in self.executions.compensations_mut().iter_mut() {
            let failed = record.has_failed();
            match record.phase {
                // It asked to stop, and goes on with what it left.
                StepPhase::Paused {
                    retries_exhausted: false,
                    ..
                } => record.phase = StepPhase::Pending,
                StepPhase::Paused { .. } => record.reset(),
                _ if failed => record.reset(),
                _ => continue,
            }
            touched.slots.push(Slot::from(&record.path));
        }
    }

    fn resumed(&mut self, resumed: &RunResumed) -> Touched {
        let mut touched = Touched::run();
        match resumed.cause {
            // A person's word begins afresh; a schedule's does not (B202).
            ResumeCause::Resume => {
                self.person_spoke();
                self.compensations_again(&mut touched);
            }
            // What is tried again may bring the run to another end.
            ResumeCause::Retry => {
                self.person_spoke();
                self.ended();
            }
            ResumeCause::Schedule => self.episode.resumes += 1,
            ResumeCause::Wait => {}
        }
        for record in self.executions.iter_mut() {
            if matches!(record.phase, StepPhase::Paused { .. })
                && !resumed.paused.contains(&record.path)
            {
                record.phase = StepPhase::Pending;
                touched.slots.push(Slot::from(&record.path));
            }
        }
        self.reset(&resumed.reset, &mut touched);
        self.items_again(resumed, &mut touched);
        if let ResumeCause::Resume | ResumeCause::Retry = resumed.cause {
            self.drive_children_on(resumed.cause == ResumeCause::Retry, &mut touched);
        }
        for id in &resumed.closed {
            for record in self.executions.of_mut(id) {
                if matches!(record.phase, StepPhase::Awaiting { .. }) {
                    record.phase = StepPhase::Pending;
                    touched.slots.push(Slot::from(&record.path));
                }
            }
        }
        let mut reopened = Vec::new();
        for id in &resumed.reopened {
            for record in self.executions.of_mut(id) {
                if let Some(iteration) = record.settled().and_then(|s| s.iterations)
                    && iteration > 0
                {
                    record.phase = StepPhase::Looping {
                        iteration,
                        condition_met: None,
                    };
                    touched.slots.push(Slot::from(&record.path));
                    reopened.push(record.path.clone());
                }
            }
        }
        self.forget_deadlines_inside(&reopened, &mut touched);
        self.phase = Phase::Pending;
        touched
    }

    /// A person says how the child runs that failed go on.
    fn drive_children_on(&mut self, retried: bool, touched: &mut Touched) {
        for record in self.executions.iter_mut() {
            if let (Kind::Child(child), StepPhase::Pending) = (&mut record.kind, &record.phase)
                && child.failed_at > 0
                && child.retried != retried
            {
                child.retried = retried;
                touched.slots.push(Slot::from(&record.path));
            }
        }
    }

    /// What is open in a loop that a person reopens has its whole time again, as the loop has.
    fn forget_deadlines_inside(&mut self, loops: &[Path], touched: &mut Touched) {
        if loops.is_empty() {
            return;
        }
        for record in self.executions.iter_mut() {
            if record.deadline.is_some() && loops.iter().any(|path| record.path.is_within(path)) {
                record.deadline = None;
                touched.slots.push(Slot::from(&record.path));
            }
        }
    }

    /// These steps run again as if they had not run before.
    pub(super) fn reset(&mut self, steps: &[StepId], touched: &mut Touched) {
        self.reset_in(steps, None, touched);
    }

    /// The same, of what stands inside an item of a fan-out.
    pub(super) fn reset_in(
        &mut self,
        steps: &[StepId],
        item: Option<&Path>,
        touched: &mut Touched,
    ) {
        let rules = self.created.rules;
        for id in steps {
            for record in self.executions.of_mut(id) {
                let inside = item.is_none_or(|item| item.holds(&record.path));
                if inside && !record.stays_cancelled(rules) {
                    record.begin_anew(touched);
                }
            }
        }
    }

    /// These executions of fan-outs and items run again, or go on where they stand.
    fn items_again(&mut self, resumed: &RunResumed, touched: &mut Touched) {
        let rules = self.created.rules;
        for path in &resumed.items.reset {
            let slot = Slot::from(path);
            if let Some(record) = self.executions.get_mut(&slot)
                && !record.stays_cancelled(rules)
            {
                record.begin_anew(touched);
            }
        }
        for path in &resumed.items.reopened {
            let slot = Slot::from(path);
            let Some(record) = self.executions.get_mut(&slot) else {
                continue;
            };
            let phase = match &record.kind {
                Kind::FanOut(_) => StepPhase::FannedOut,
                Kind::Item => StepPhase::InItem,
                Kind::Loop => match record.settled().and_then(|settled| settled.iterations) {
                    Some(iteration) if iteration > 0 => StepPhase::Looping {
                        iteration,
                        condition_met: None,
                    },
                    Some(_) | None => continue,
                },
                Kind::Unknown | Kind::Component(_) | Kind::Wait { .. } | Kind::Child(_) => continue,
            };
            record.phase = phase;
            touched.slots.push(slot);
        }
    }

    fn definition_changed(&mut self, changed: &DefinitionChanged) -> Touched {
        self.binding = Binding {
            definition: changed.definition,
            plugins: changed.plugins.clone(),
            children: changed.children.clone(),
            inputs: changed
                .inputs
                .clone()
                .or_else(|| self.binding.inputs.take()),
        };
        let mut touched = Touched::run();
        for step in &changed.dropped {
            let dropped = self.executions.of_mut(step);
            touched
                .slots
                .extend(dropped.map(|record| Slot::from(&record.path)));
            self.executions.remove(step);
        }
        let gone = |slot: &Slot| {
            changed.dropped.contains(slot.step()) || changed.reset.contains(slot.step())
        };
        self.in_flight.retain(|slot| !gone(slot));
        self.reset(&changed.reset, &mut touched);
        touched
    }

    /// Moves what is due later than `now` back by `back`: the times of these steps, and the due time of a stop, unless it is that
    /// of another step's wait.
    fn clock_corrected(&mut self, back: Duration, steps: &[StepId], now: Timestamp) -> Touched {
        let moved = |at: Timestamp| if at > now { at.before(back) } else { at };
        let mut touched = Touched::run();
        self.finally_since = self.finally_since.map(moved);
        let back_by = |record: &mut StepRecord, touched: &mut Touched| {
            touched.slots.push(Slot::from(&record.path));
            record.deadline = record.deadline.map(moved);
            match &mut record.phase {
                StepPhase::Waiting { retry_at, .. } => *retry_at = moved(*retry_at),
                StepPhase::Awaiting { wait } => match wait {
                    Wait::Time { until } => *until = moved(*until),
                    Wait::Signal { until, .. } | Wait::Approval { until, .. } => {
                        *until = until.map(moved);
                    }
                    Wait::Child { .. } => {}
                },
                StepPhase::Paused { due_at, .. } => *due_at = due_at.map(moved),
                StepPhase::Pending
                | StepPhase::InFlight { .. }
                | StepPhase::Looping { .. }
                | StepPhase::FannedOut
                | StepPhase::InItem
                | StepPhase::Settled(_) => {}
            }
        };
        for id in steps {
            for record in self.executions.of_mut(id) {
                back_by(record, &mut touched);
            }
        }
        let compensations = self.executions.compensations_mut().iter_mut();
        for record in compensations.filter(|record| steps.contains(record.path.step())) {
            back_by(record, &mut touched);
        }
        let waits_for_time = |path: &Path| {
            let record = self.executions.latest(path);
            record.is_some_and(|record| {
                matches!(
                    record.phase,
                    StepPhase::Awaiting {
                        wait: Wait::Time { .. }
                    }
                )
            })
        };
        if let Phase::Paused { rest, .. } = &mut self.phase {
            let path = rest.reason().path.as_ref();
            let stays =
                path.is_some_and(|path| !steps.contains(path.step()) && waits_for_time(path));
            if !stays {
                rest.move_due(moved);
            }
        }
        touched
    }

    fn postponed(&mut self, reason: &str, due_at: Option<Timestamp>, waited: bool) -> Touched {
        if let Phase::Paused { rest, .. } = &mut self.phase {
            *rest = rest.postponed(reason, due_at, waited);
        }
        self.episode.resumes += 1;
        Touched::run()
    }

    fn held(&mut self, by: &str) -> Touched {
        if let Phase::Paused { rest, .. } = &mut self.phase {
            *rest = rest.held(by);
        }
        Touched::run()
    }
}
