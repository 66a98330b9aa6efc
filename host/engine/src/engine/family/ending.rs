//! The end of a run and of the runs that it has started.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::BoxFuture;
use milepost_core::event::Parent;
use milepost_core::ids::RunId;
use milepost_core::limits;
use milepost_core::request::stop;
use milepost_core::state::{RunState, Status};
use tokio::time::{Instant, sleep};

use crate::engine::approvals::note;
use crate::engine::control::demand_of;
use crate::engine::error::EngineError;
use crate::engine::shared::Looks;
use crate::engine::{Engine, StopAnswer, Trouble};
use crate::fault;
use crate::record::{self, Batch};
use crate::store::{Family, Filter, RunRow, StopKind, StopRequest, StoreError};

/// How soon it is looked again whether those that were asked to end have ended.
const LOOKS: Duration = Duration::from_millis(20);

/// What became of a run that was to end, and of the runs that it has started.
#[derive(Debug, Clone, PartialEq)]
pub struct FamilyStopped {
    /// Of the run itself.
    pub answer: StopAnswer,
    /// Child runs, theirs included, that were ended.
    pub children: Vec<RunId>,
    /// Those that are cancelled, and whose steps with `finally` are yet to run.
    pub finishing: Vec<RunId>,
    /// Those whose process was asked to end them, and that have not ended within [`limits::FAMILY_GRACE`].
    pub asked: Vec<RunId>,
    /// Those that could not be ended, and why.
    pub kept: Vec<(RunId, String)>,
    /// Whether there are more than were looked at.
    pub more: bool,
    /// The step of another run that waited for the run.
    pub strands: Option<Parent>,
    /// Until when it is waited for those that were asked.
    until: Option<Instant>,
}

impl FamilyStopped {
    const fn new(answer: StopAnswer) -> Self {
        Self {
            answer,
            children: Vec::new(),
            finishing: Vec::new(),
            asked: Vec::new(),
            kept: Vec::new(),
            more: false,
            strands: None,
            until: None,
        }
    }

    /// Whether it tells of that child.
    fn knows(&self, child: &RunId) -> bool {
        self.children.contains(child)
            || self.finishing.contains(child)
            || self.asked.contains(child)
            || self.kept.iter().any(|(kept, _)| kept == child)
    }
}
impl Engine {
    /// Ends a run for good, and before it the runs that it has started and theirs, as far as they are not over: the deepest ones
    /// first. A run that would go on by itself meanwhile is held where it stands.
    ///
    /// # Errors
    /// [`EngineError`] when the run itself cannot be ended. What could not be ended of its children is told.
    pub async fn end_family(
        &self,
        run: &RunId,
        at_once: bool,
        by: &str,
    ) -> Result<FamilyStopped, EngineError> {
        let kind = if at_once {
            StopKind::Kill
        } else {
            StopKind::Cancel
        };
        self.end_family_by(run, kind, by).await
    }

    /// The same by a request of this kind. After [`StopKind::Compensate`], what completed steps did is undone before the end: where
    /// nobody drives the run, whoever drives it next does so.
    ///
    /// # Errors
    /// [`EngineError`] when the run itself cannot be ended.
    pub async fn end_family_by(
        &self,
        run: &RunId,
        kind: StopKind,
        by: &str,
    ) -> Result<FamilyStopped, EngineError> {
        let recorded = record::load(self.shared.store.as_ref(), run).await?;
        let mut ended = FamilyStopped::new(StopAnswer::Already(recorded.row.status));
        ended.strands = self.stranded(&recorded.state).await?;
        let last_steps_run = kind.cleans_up() && recorded.state.finally_since().is_some();
        if last_steps_run || !self.has_open_children(run).await? {
            ended.answer = self.stop(run, kind, by).await?;
            return Ok(ended);
        }
        let mut begun = false;
        let first = match recorded.row.status {
            // It starts no more of them then, and ends them, too.
            Status::Running if self.owner_may_live(&recorded.row) => {
                Some(self.stop(run, kind, by).await?)
            }
            // Whoever takes it over hears of it.
            Status::Running => {
                let request = StopRequest {
                    kind,
                    at: self.shared.clock.now(),
                    by: by.to_owned(),
                };
                self.shared.store.request_stop(run, request).await?;
                None
            }
            // It goes nowhere when the first of them ends.
            Status::Pending | Status::Paused if kind.cleans_up() => {
                begun = self.begin_to_end(run, kind, by).await?;
                None
            }
            Status::Paused => {
                self.stop(run, StopKind::Pause, by).await?;
                None
            }
            Status::Pending | Status::Completed | Status::Failed | Status::Cancelled => None,
        };
        self.end_descendants(run, kind, by, true, &mut ended)
            .await?;
        if kind.cleans_up() {
            self.ends_of(&mut ended, None).await?;
        }
        ended.answer = match first {
            Some(first) => first,
            None => match self.stop(run, kind, by).await? {
                // Somebody took it up, and brought it there.
                StopAnswer::Already(Status::Cancelled) if begun => {
                    StopAnswer::Done(Status::Cancelled)
                }
                answer => answer,
            },
        };
        // What started between the look and the end.
        self.end_descendants(run, kind, by, true, &mut ended)
            .await?;
        self.ends_of(&mut ended, None).await?;
        if begun && ended.answer == StopAnswer::Asked && self.is_over_soon(run).await? {
            ended.answer = StopAnswer::Done(Status::Cancelled);
        }
        Ok(ended)
    }

    /// Waits a moment for the end of a run that somebody took up who brings it there.
    async fn is_over_soon(&self, run: &RunId) -> Result<bool, StoreError> {
        let began = Instant::now();
        loop {
            let row = self.shared.store.row(run).await?;
            if row.is_some_and(|row| row.status == Status::Cancelled) {
                return Ok(true);
            }
            if began.elapsed() >= limits::CANCEL_GRACE {
                return Ok(false);
            }
            sleep(LOOKS).await;
        }
    }

    /// Records of a run that nobody drives that it is about to end, so that it goes nowhere else. Returns whether it was this call
    /// that did.
    async fn begin_to_end(
        &self,
        run: &RunId,
        kind: StopKind,
        by: &str,
    ) -> Result<bool, EngineError> {
        note("the name of who asks", Some(by))?;
        let mut looks = Looks::default();
        loop {
            let mut state = looks.load(self.shared.store.as_ref(), run).await?.state;
            let Some(event) = stop::begin_to_end(&state, demand_of(kind), by) else {
                return Ok(false);
            };
            let mut batch = Batch::after(state.seq(), state.epoch());
            batch.record(&mut state, event, self.shared.clock.now())?;
            fault::point("before_stop");
            if self.shared.write(&batch, &state).await? {
                return Ok(true);
            }
        }
    }

    /// What a run has started ends before it does. Those that do not within a while are left to it, and told.
    pub(in crate::engine) async fn end_children_first(
        &self,
        run: &RunId,
        kind: StopKind,
        by: &str,
        finishing: impl Fn(RunId),
    ) {
        let mut ended = FamilyStopped::new(StopAnswer::Asked);
        let ending = async {
            self.end_descendants(run, kind, by, true, &mut ended)
                .await?;
            ended.finishing.iter().cloned().for_each(finishing);
            ended.asked.append(&mut ended.finishing);
            match kind {
                StopKind::Kill => Ok(()),
                _ => self.ends_of(&mut ended, None).await,
            }
        };
        if let Err(error) = ending.await {
            ended.kept.push((run.clone(), error.to_string()));
        }
        self.tell_kept(&ended);
    }

    /// Waits for the ends of those that were asked, or of these among them; not for ever.
    async fn ends_of(
        &self,
        ended: &mut FamilyStopped,
        only: Option<&BTreeSet<RunId>>,
    ) -> Result<(), StoreError> {
        let store = self.shared.store.as_ref();
        let is_over = async |run: &RunId| {
            let row = store.row(run).await?;
            Ok::<_, StoreError>(row.is_none_or(|row| row.status.has_ended()))
        };
        let mut open = ended.asked.clone();
        open.retain(|run| only.is_none_or(|only| only.contains(run)));
        let until = *ended
            .until
            .get_or_insert(Instant::now() + limits::FAMILY_GRACE);
        loop {
            while let Some(run) = open.last()
                && is_over(run).await?
            {
                open.pop();
            }
            if open.is_empty() || Instant::now() >= until {
                break;
            }
            sleep(LOOKS).await;
        }
        for run in std::mem::take(&mut ended.asked) {
            match is_over(&run).await? {
                true => ended.children.push(run),
                false => ended.asked.push(run),
            }
        }
        Ok(())
    }

    /// Asks the descendants of a run that nobody drives to end, for somebody who asked it at that time. Returns whether there is
    /// nothing left to wait for.
    pub(in crate::engine) async fn have_children_ended(
        &self,
        run: &RunId,
        request: &StopRequest,
    ) -> Result<bool, StoreError> {
        let mut ended = FamilyStopped::new(StopAnswer::Asked);
        self.end_descendants(run, request.kind, &request.by, false, &mut ended)
            .await?;
        self.tell_kept(&ended);
        let open = !ended.asked.is_empty() || !ended.finishing.is_empty();
        let until = request.at.after(limits::FAMILY_GRACE);
        Ok(!open || until <= self.shared.clock.now())
    }

    /// The step of another run that waits for this one.
    async fn stranded(&self, state: &RunState) -> Result<Option<Parent>, StoreError> {
        let Some(parent) = &state.created().parent else {
            return Ok(None);
        };
        let row = self.shared.store.row(&parent.run).await?;
        let waits = row.is_some_and(|row| !row.status.is_terminal());
        Ok(Some(parent.clone()).filter(|_| waits && !state.phase().status().is_terminal()))
    }

    async fn has_open_children(&self, run: &RunId) -> Result<bool, StoreError> {
        let open = Filter {
            family: Family::ChildrenOf(run.clone()),
            limit: 1,
            ..Filter::default()
        };
        let listing = self.shared.store.list(&open).await?;
        Ok(!listing.rows.is_empty() || !listing.unreadable.is_empty())
    }

    async fn end_descendants(
        &self,
        run: &RunId,
        kind: StopKind,
        by: &str,
        waits: bool,
        ended: &mut FamilyStopped,
    ) -> Result<(), StoreError> {
        // What a child run has done is not undone with its parent.
        let kind = match kind {
            StopKind::Compensate => StopKind::Cancel,
            kind => kind,
        };
        let (descendants, more) = self.descendants(run).await?;
        ended.more |= more;
        let mut below: BTreeMap<RunId, BTreeSet<RunId>> = BTreeMap::new();
        for row in &descendants {
            if let Some(parent) = row.parent.clone().filter(|parent| parent != run) {
                below.entry(parent).or_default().insert(row.id.clone());
            }
        }
        let open = |row: &&RunRow| !row.status.has_ended();
        for row in descendants.iter().filter(open) {
            if below.contains_key(&row.id)
                && let Err(error) = self.begin_to_end(&row.id, kind, by).await
            {
                ended.kept.push((row.id.clone(), error.to_string()));
            }
        }
        for row in descendants.iter().rev().filter(open) {
            if ended.knows(&row.id) {
                continue;
            }
            if let Some(below) = below.get(&row.id).filter(|_| kind.cleans_up() && waits) {
                self.ends_of(ended, Some(below)).await?;
            }
            fault::point("before_child_stop");
            match self.stop(&row.id, kind, by).await {
                Ok(StopAnswer::Done(_)) => ended.children.push(row.id.clone()),
                Ok(StopAnswer::Asked | StopAnswer::Ending) => ended.asked.push(row.id.clone()),
                Ok(StopAnswer::Finishing) => ended.finishing.push(row.id.clone()),
                Ok(StopAnswer::Already(_) | StopAnswer::Held) => {}
                Err(error) => ended.kept.push((row.id.clone(), error.to_string())),
            }
        }
        Ok(())
    }

    /// A run was cancelled by itself: what it has started ends with it. What cannot be ended is told, and ends when somebody
    /// cancels the run again.
    pub(in crate::engine) async fn end_children(&self, run: &RunId, kind: StopKind, by: &str) {
        let mut ended = FamilyStopped::new(StopAnswer::Already(Status::Cancelled));
        if let Err(error) = self.end_descendants(run, kind, by, true, &mut ended).await {
            ended.kept.push((run.clone(), error.to_string()));
        }
        self.tell_kept(&ended);
    }

    fn tell_kept(&self, ended: &FamilyStopped) {
        for (run, reason) in &ended.kept {
            let trouble = Trouble::Error(reason);
            self.shared.tell_trouble(Some(run.as_str()), trouble);
        }
    }

    /// Ends the child runs whose steps were ended before them, and returns those of them and theirs that have something left to do
    /// before their end. What cannot be ended is told.
    pub(in crate::engine) async fn end_left_children(&self, state: &RunState) -> Vec<RunId> {
        let mut finishing = Vec::new();
        for run in state.left_children() {
            finishing.extend(self.end_left_child(run.clone()).await);
        }
        finishing
    }

    pub(super) fn end_left_child(&self, run: RunId) -> BoxFuture<'static, Vec<RunId>> {
        let engine = self.clone();
        Box::pin(async move {
            let ended = async {
                let row = engine.shared.store.row(&run).await?;
                if row.is_none_or(|row| row.status.has_ended()) {
                    return Ok(Vec::new());
                }
                let by = "the end of its step";
                let ended = engine.end_family(&run, false, by).await?;
                let mut finishing = ended.finishing;
                if ended.answer == StopAnswer::Finishing {
                    finishing.push(run.clone());
                }
                Ok::<_, EngineError>(finishing)
            };
            ended.await.unwrap_or_else(|error| {
                let reason = error.to_string();
                let trouble = Trouble::Error(&reason);
                engine.shared.tell_trouble(Some(run.as_str()), trouble);
                Vec::new()
            })
        })
    }
}
