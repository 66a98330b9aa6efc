//! Where a run stands, and what moves it from there.

use super::{ChildRun, Phase, Rest, RunState, Status, StepPhase, StepRecord};
use crate::ids::{Path, RunId};
use crate::stop::StopCode;
use crate::wait::Wait;

impl RunState {
    /// The waits and paused components at which the run stands, that which its stop names first, then in the order in which they
    /// began. In a sequence there is one: nobody is asked anything further on before it is over.
    pub fn stands_at(&self) -> impl Iterator<Item = &StepRecord> {
        let open = |record: &&StepRecord| {
            matches!(
                record.phase,
                StepPhase::Awaiting { .. } | StepPhase::Paused { .. }
            )
        };
        let stopped_at = self.phase.stopped_at();
        let named = |record: &StepRecord| stopped_at == Some(&record.path);
        let mut found: Vec<&StepRecord> = self.executions.iter().filter(open).collect();
        found.sort_by_key(|record| (!named(record), record.started_at));
        // An earlier version of this program left a later one open.
        let all = self.created.rules.answer_all();
        found.into_iter().take(if all { usize::MAX } else { 1 })
    }

    /// The execution that a signal of this name would reach now.
    #[must_use]
    pub fn awaits(&self, signal: &str) -> Option<&Path> {
        let mut awaited = self.awaited();
        awaited.find_map(|(path, name)| (name == signal).then_some(path))
    }

    /// The signals that the run waits for where it stands, with their paths.
    pub fn awaited(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.stands_at()
            .filter_map(|record| Some((&record.path, record.awaited_signal()?)))
    }

    /// The child runs that its steps wait for, with their paths, in the order of the ids of the steps.
    pub fn awaited_children(&self) -> impl Iterator<Item = (&Path, &ChildRun)> {
        let waits = |record: &&StepRecord| matches!(record.phase, StepPhase::Awaiting { .. });
        let waiting = self.executions.iter().filter(waits);
        waiting.filter_map(|record| Some((&record.path, record.child()?)))
    }

    /// The child runs whose steps were ended before them, and of a run that is over those for which it still waited: somebody ends
    /// them, unless that was done.
    pub fn left_children(&self) -> impl Iterator<Item = &RunId> {
        let run_is_over = self.phase.status().is_terminal();
        self.executions.iter().filter_map(move |record| {
            let child = record.child()?;
            let waits = || matches!(record.phase, StepPhase::Awaiting { .. });
            (child.left || run_is_over && waits()).then_some(&child.run)
        })
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

    /// The approvals at which the run stands undecided, with what is asked. None of a run that is over or has failed.
    pub fn approvals(&self) -> impl Iterator<Item = (&Path, &str)> {
        let asks = matches!(
            self.phase.status(),
            Status::Pending | Status::Running | Status::Paused
        );
        let open = self.stands_at().filter(move |_| asks);
        open.filter_map(|record| match &record.phase {
            StepPhase::Awaiting {
                wait: Wait::Approval { message, .. },
            } => Some((&record.path, message.as_str())),
            _ => None,
        })
    }

    /// Whether a signal or a decision would move the run where it stands.
    #[must_use]
    pub fn awaits_answer(&self) -> bool {
        self.awaited().next().is_some() || self.approvals().next().is_some()
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
        let waits = || self.awaits_answer() || self.awaited_children().next().is_some();
        !self.is_held() && (rest.due_at().is_some() || waits())
    }
}
