//! The one door for every change of a run's state: what each event does to it, and when it cannot follow.
//!
//! An event is checked first, by functions that cannot change anything, and then takes effect, by functions that cannot refuse:
//! what is refused leaves no trace. `run` does both for events of the run as a whole, `step` for those of one execution, with
//! `wait`, `repeat` and `for_each` as the events have them.

mod for_each;
mod repeat;
mod run;
mod step;
mod wait;

use std::collections::BTreeSet;
use std::sync::Arc;

use super::recent::Recent;
use super::unwritten::Unwritten;
use super::{Binding, Episode, Executions, Phase, RunState, Slot, Status, StepRecord};
use crate::event::{Entry, Event, ForEachEvent, RunEvent, StepEvent, WaitEvent};
use crate::ids::Path;

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
    /// The records in these slots.
    pub slots: Vec<Slot>,
    /// Phase, times or counters of the run.
    pub run: bool,
    /// Executions that had come to an end and begin anew: what was memoised of them, and of all that stands in them, is done anew.
    pub renewed: Vec<Path>,
}

impl Touched {
    fn step(path: &Path) -> Self {
        Self {
            slots: vec![path.into()],
            ..Self::default()
        }
    }

    fn run() -> Self {
        Self {
            run: true,
            ..Self::default()
        }
    }

    /// The same, and the run as a whole where `run` says so.
    fn and_run(self, run: bool) -> Self {
        Self {
            run: self.run || run,
            ..self
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
        let mut created = created.clone();
        let kept = created
            .fork
            .as_mut()
            .map(|fork| std::mem::take(&mut fork.kept));
        let mut executions: Executions = kept.unwrap_or_default().into_iter().collect();
        executions.share_all_outputs();
        Ok(Self {
            recorded_bytes: executions.iter().map(StepRecord::bytes).sum(),
            executions,
            binding: Binding {
                definition: created.definition,
                plugins: created.plugins.clone(),
                children: created.children.clone(),
                inputs: None,
            },
            created: Arc::new(created),
            created_at: entry.at,
            phase: Phase::Pending,
            started_at: None,
            updated_at: entry.at,
            seq: entry.seq,
            epoch: entry.epoch,
            recoveries: 0,
            episode: Episode::default(),
            ending: None,
            finally_since: None,
            compensates: false,
            in_flight: BTreeSet::new(),
            recent: Recent::after(entry.seq),
            unwritten: Unwritten::after(Some(entry.seq)),
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
        self.check(entry)?;
        Ok(self.change(entry))
    }

    fn check(&self, entry: &Entry) -> Result<(), Rejected> {
        if entry.seq != self.seq + 1 {
            return Err(Rejected::OutOfOrder {
                last: self.seq,
                found: entry.seq,
            });
        }
        let name = entry.event.name();
        match &entry.event {
            Event::Run(event) => self.check_run(name, event),
            Event::Step { path, event } => self.check_step(name, path, event),
        }
    }

    fn change(&mut self, entry: &Entry) -> Touched {
        let touched = match &entry.event {
            Event::Run(event) => {
                let touched = self.change_run(event, entry.at);
                if let RunEvent::Resumed(_)
                | RunEvent::Compensating { .. }
                | RunEvent::DefinitionChanged(_) = event
                {
                    self.weigh_all();
                }
                touched
            }
            // They may open or close many steps.
            Event::Step {
                path,
                event:
                    event @ (StepEvent::Wait(WaitEvent::ApprovalDecided { .. })
                    | StepEvent::ForEach(ForEachEvent::ItemCancelled { .. })),
            } => {
                let touched = self.change_step(path, event, entry.at);
                self.weigh_all();
                touched
            }
            Event::Step {
                path,
                event: event @ StepEvent::ForEach(ForEachEvent::Started { .. }),
            } if self.executions.at(path).is_some() => {
                let touched = self.change_step(path, event, entry.at);
                self.weigh_all();
                touched
            }
            Event::Step { path, event } => {
                let undone = match event {
                    StepEvent::Completed { undo: Some(_), .. } => Some(path.compensation()),
                    _ => None,
                };
                let weight = |state: &Self| -> usize {
                    let changed = [Some(path), undone.as_ref()].into_iter().flatten();
                    let records = changed.filter_map(|path| state.executions.latest(path));
                    records.map(StepRecord::bytes).sum()
                };
                let before = weight(self);
                let touched = self.change_step(path, event, entry.at);
                self.recorded_bytes = self.recorded_bytes - before + weight(self);
                touched
            }
        };
        match &entry.event {
            // What it leaves to undo is looked at when the run ends.
            Event::Step {
                path,
                event: StepEvent::Completed { .. },
            } => self.recent.one(path),
            Event::Step { path, .. } if touched.slots.len() == 1 => self.recent.one(path),
            Event::Step { .. } | Event::Run(_) => self.recent.many(entry.seq),
        }
        self.unwritten.add(&touched);
        self.seq = entry.seq;
        self.epoch = entry.epoch;
        self.updated_at = entry.at;
        touched
    }

    fn weigh_all(&mut self) {
        self.recorded_bytes = self.executions.iter().map(StepRecord::bytes).sum();
    }

    fn must_run(&self, event: &'static str) -> Result<(), Rejected> {
        match self.phase.status() {
            Status::Running => Ok(()),
            status => Err(Rejected::NotRunning { event, status }),
        }
    }

    fn must_pause(&self, event: &'static str) -> Result<(), Rejected> {
        match self.phase.status() {
            Status::Paused => Ok(()),
            status => Err(Rejected::NotPaused { event, status }),
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

    /// A recorded outcome is progress: the run did not just die and come back.
    fn progressed(&mut self, path: &Path) -> Touched {
        let run = std::mem::take(&mut self.recoveries) > 0;
        Touched::step(path).and_run(run)
    }
}
