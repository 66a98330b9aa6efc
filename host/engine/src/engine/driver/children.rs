//! Child runs of the run that is driven: their start goes with its commit, and their end is taken before it pauses.

use std::sync::Arc;
use std::time::Duration;

use milepost_core::decide::ChildStarted;
use milepost_core::ids::{Path, RunId};
use milepost_core::limits;
use milepost_core::state::{Status, StepRecord};
use milepost_core::time::Timestamp;
use milepost_core::wait::child_signal;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;

use super::{ClaimStands, Driver, Halted, InFlight};
use crate::engine::family::{self, Stands};
use crate::engine::{Demand, Engine};
use crate::store::{StopKind, StoreError};

/// How often the children of a run that moves are looked at.
const LOOKS: Duration = Duration::from_millis(500);

impl Driver {
    /// Whoever drives the children, too, is told of each that starts or goes on.
    pub(in crate::engine) fn tells_children(&mut self, to: UnboundedSender<OfChild>) {
        self.children.told = Some(to);
    }

    /// Whoever drives the children, too, says when one of them moves no more.
    pub(in crate::engine) fn hears_of_children(&self) -> Arc<Notify> {
        Arc::clone(&self.children.stopped)
    }

    /// The run of a step: it comes into being with the commit that records its start, unless it is there.
    pub(super) async fn start_child(
        &mut self,
        path: &Path,
        child: &ChildStarted,
        now: Timestamp,
    ) -> Result<(), Halted> {
        let (store, definition) = (self.shared.store.as_ref(), &self.workflow.definition);
        let created = family::created(store, definition, &self.state, path, child, now).await;
        let created = created.map_err(Halted::Failed)?;
        self.batch.child(created);
        let known = self.state.executions().at(path).and_then(StepRecord::child);
        if known.is_some_and(|known| known.run == child.run && known.failed_at > 0) {
            self.batch.remind(child.run.clone());
        }
        self.children.started.push(child.run.clone());
        Ok(())
    }

    /// While the run moves, its children are looked at now and then.
    pub(super) fn looks_at_children(&mut self) -> bool {
        if !self.children.any || self.state.phase().status() != Status::Running {
            return false;
        }
        let now = Instant::now();
        let fresh = |looked: Instant| now - looked < LOOKS;
        if self.children.looked.is_some_and(fresh) {
            return false;
        }
        self.children.looked = Some(now);
        self.state.awaited_children().next().is_some()
    }

    /// A step that is about to end may be one that waits for its child run.
    pub(super) fn ends_before_child(&mut self, path: &Path) -> bool {
        let record = || self.state.executions().at(path);
        let waits = self.children.any && record().is_some_and(|record| record.child().is_some());
        self.children.closed |= waits;
        waits
    }

    /// Records the end of every child run that has ended. Returns whether there was one.
    pub(super) async fn take_children(&mut self, now: Timestamp) -> Result<bool, Halted> {
        // What was not committed yet is not there yet.
        let awaited = family::awaited(&self.state).into_iter();
        let awaited = awaited.filter(|(_, run)| !self.children.started.contains(run));
        let mut ended = Vec::new();
        for (path, run) in awaited {
            match family::stands(self.shared.store.as_ref(), &self.state, &path, &run).await {
                Ok(Stands::Ended(event)) => ended.push((run, event)),
                Ok(Stands::ToGoOn) => self.children.to_go_on.push((path, run)),
                Ok(Stands::Open) => {}
                // Looked at again, by whoever looks next.
                Err(error) => tracing::warn!(%run, %error, "the child run could not be looked at"),
            }
        }
        if ended.is_empty() {
            return Ok(false);
        }
        let told = self.told().await?;
        for (run, event) in ended {
            self.batch.record(&mut self.state, event, now)?;
            let name = child_signal(&run);
            let of_it = told.iter().filter(|(told, _)| *told == name);
            of_it.for_each(|(_, number)| self.batch.consume(*number));
        }
        Ok(true)
    }

    /// What the inbox holds, by name: what the ends of children told goes with them.
    async fn told(&self) -> Result<Vec<(String, u64)>, Halted> {
        let run = &self.state.created().run;
        let taken = self.batch.consumed();
        let inbox = self.shared.store.inbox(run, limits::SIGNALS * 2).await;
        let inbox = match inbox {
            Ok(inbox) => inbox,
            // What stays there is told once more, of a run that is settled then.
            Err(StoreError::Unavailable(_)) => Vec::new(),
            Err(error) => return Err(Halted::Failed(error.into())),
        };
        let open = inbox.into_iter().filter(|s| !taken.contains(&s.number));
        Ok(open.map(|signal| (signal.name, signal.number)).collect())
    }

    /// Whether children that the steps of its main part wait for have to end first, when the run is about to end.
    pub(super) fn has_children_to_end(&self, demand: Demand) -> bool {
        let known = self.children.ended;
        if !self.children.any || known.is_some_and(|known| known >= demand) {
            return false;
        }
        // A cancellation lets the steps with `finally` run.
        let definition = &self.workflow.definition;
        let mut awaited = self.state.awaited_children();
        awaited.any(|(path, _)| demand == Demand::Kill || !definition.is_finally(path))
    }

    /// What the run has started ends before it does, for a while: what ends meanwhile beside that counts.
    pub(super) async fn end_children_first(
        &mut self,
        demand: Demand,
        by: &str,
        in_flight: &mut InFlight,
    ) -> Result<(), Halted> {
        if self.claim != ClaimStands::Yes || !self.has_children_to_end(demand) {
            return Ok(());
        }
        self.commit().await?;
        self.children.ended = Some(demand);
        let engine = Engine {
            shared: Arc::clone(&self.shared),
        };
        let kind = match demand {
            Demand::Kill => StopKind::Kill,
            _ => StopKind::Cancel,
        };
        let (run, told) = (self.state.created().run.clone(), self.children.told.clone());
        let finishing = |child| drop(told.as_ref().map(|told| told.send(OfChild::Moves(child))));
        let ending = engine.end_children_first(&run, kind, by, finishing);
        let control = self.control.clone();
        let killed = control.asked(Some(demand.max(Demand::Cancel)));
        tokio::pin!(ending, killed);
        loop {
            self.moves();
            tokio::select! {
                biased;
                () = &mut ending => return Ok(()),
                _ = &mut killed => return Ok(()),
                ended = in_flight.next() => {
                    self.ended(ended)?;
                    self.commit().await?;
                }
            }
        }
    }

    /// After a commit: children that failed before their steps began to wait for them go on, and whoever drives them is told.
    pub(super) async fn children_go_on(&mut self) -> Result<(), Halted> {
        let mut moving = std::mem::take(&mut self.children.started);
        let failed = std::mem::take(&mut self.children.to_go_on);
        if std::mem::take(&mut self.children.closed)
            && let Some(told) = &self.children.told
        {
            let left = self.state.left_children().cloned();
            left.for_each(|run| drop(told.send(OfChild::Left(run))));
        }
        if moving.is_empty() && failed.is_empty() {
            return Ok(());
        }
        let of_started = self
            .state
            .awaited_children()
            .filter(|(_, child)| child.failed_at > 0 && moving.contains(&child.run));
        let of_started: Vec<_> = of_started
            .map(|(path, child)| (path.clone(), child.run.clone()))
            .collect();
        for (path, run) in failed.into_iter().chain(of_started) {
            let went_on = family::goes_on(&self.shared, &self.workflow, &self.state, &path, &run);
            match went_on.await {
                Ok(()) => {
                    family::forget_reminder(&self.shared, &self.state.created().run, &run).await;
                    moving.push(run);
                }
                Err(error) => tracing::warn!(%run, %error, "the child run could not go on"),
            }
        }
        if let Some(told) = &self.children.told {
            let moving = moving.into_iter().map(OfChild::Moves);
            moving.for_each(|child| drop(told.send(child)));
        }
        Ok(())
    }
}

/// What became of a child run with a commit of its parent.
pub(in crate::engine) enum OfChild {
    /// It started, or goes on.
    Moves(RunId),
    /// Its step was ended before it.
    Left(RunId),
}

/// What a driver has to do with the children of its run.
#[derive(Default)]
pub(super) struct Children {
    /// Whether the workflow has any: nearly none has, and this is asked at every turn.
    pub(super) any: bool,
    /// Started with the commit that comes.
    pub(super) started: Vec<RunId>,
    /// Failed before, and to go on after it.
    pub(super) to_go_on: Vec<(Path, RunId)>,
    /// Whether a step was ended, with the commit that comes, that may have waited for one.
    pub(super) closed: bool,
    /// One of them moves no more in this process.
    pub(super) stopped: Arc<Notify>,
    /// Who drives them.
    told: Option<UnboundedSender<OfChild>>,
    /// When they were looked at last, while the run moves.
    pub(super) looked: Option<Instant>,
    /// Those that there were ended before the run, which was asked that.
    ended: Option<Demand>,
}

impl Children {
    /// Of a run whose workflow has any.
    pub(super) fn of_any(any: bool) -> Self {
        Self {
            any,
            ..Self::default()
        }
    }
}
