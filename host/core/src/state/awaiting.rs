//! Where a run stands, and what moves it from there.

use super::{ChildRun, Phase, Rest, RunState, Status, StepPhase, StepRecord};
use crate::ids::Path;
use crate::stop::StopCode;
use crate::wait::Wait;

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
        self.phase
            .stopped_at()
            .and_then(|path| self.executions.at(path))
            .filter(open)
            .or_else(|| {
                let open = self.executions.iter().filter(open);
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
        Some((&record.path, record.awaited_signal()?))
    }

    /// The child runs that its steps wait for, with their paths, in the order of the ids of the steps.
    pub fn awaited_children(&self) -> impl Iterator<Item = (&Path, &ChildRun)> {
        let waits = |record: &&StepRecord| matches!(record.phase, StepPhase::Awaiting { .. });
        let waiting = self.executions.iter().filter(waits);
        waiting.filter_map(|record| Some((&record.path, record.child()?)))
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
        self.executions
            .iter()
            .find(works)
            .map(|record| &record.path)
    }

    /// Whether a run moves, or is taken by a worker as soon as there is one.
    #[must_use]
    pub fn moves(&self) -> bool {
        match self.phase.status() {
            Status::Pending | Status::Running => true,
            Status::Paused => self.phase.stop_code() == Some(StopCode::Ready) && !self.is_held(),
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

    /// Whether a person has to resume the run, whatever it waited for has come: it was paused, or held where it stood.
    #[must_use]
    pub fn is_held(&self) -> bool {
        match &self.phase {
            Phase::Paused { rest, .. } => match rest {
                Rest::Held { .. } => true,
                Rest::Waiting { reason, .. }
                | Rest::Ready { reason, .. }
                | Rest::Postponed { reason, .. } => reason.why.code() == StopCode::Interrupted,
            },
            Phase::Pending
            | Phase::Running
            | Phase::Completed { .. }
            | Phase::Failed { .. }
            | Phase::Cancelled { .. } => false,
        }
    }

    /// Whether a paused run goes on without a person's word: when it is due, or when what it waits for comes.
    #[must_use]
    pub fn moves_by_itself(&self) -> bool {
        let Phase::Paused { rest, .. } = &self.phase else {
            return false;
        };
        let waits = self.awaited().is_some()
            || self.approval().is_some()
            || self.awaited_children().next().is_some();
        !self.is_held() && (rest.due_at().is_some() || waits)
    }
}
