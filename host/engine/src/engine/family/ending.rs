//! The end of a run and of the runs that it has started.

use futures_util::future::BoxFuture;
use milepost_core::event::Parent;
use milepost_core::ids::RunId;
use milepost_core::state::{RunState, Status};

use crate::engine::error::EngineError;
use crate::engine::{Engine, StopAnswer, Trouble};
use crate::fault;
use crate::record;
use crate::store::{Family, Filter, StopKind, StoreError};

/// What became of a run that was to end, and of the runs that it has started.
#[derive(Debug, Clone, PartialEq)]
pub struct FamilyStopped {
    /// Of the run itself.
    pub answer: StopAnswer,
    /// Child runs, theirs included, that were ended.
    pub children: Vec<RunId>,
    /// Those that are cancelled, and whose steps with `finally` are yet to run.
    pub finishing: Vec<RunId>,
    /// Those whose process was asked to end them.
    pub asked: Vec<RunId>,
    /// Those that could not be ended, and why.
    pub kept: Vec<(RunId, String)>,
    /// Whether there are more than were looked at.
    pub more: bool,
    /// The step of another run that waited for the run.
    pub strands: Option<Parent>,
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
        let has_children = self.has_open_children(run).await?;
        if has_children && recorded.row.status == Status::Paused {
            // It would go on when the first of them ends.
            self.stop(run, StopKind::Pause, by).await?;
        }
        let first = match (has_children, recorded.row.status) {
            // It starts no more of them then.
            (true, Status::Pending | Status::Running) => Some(self.stop(run, kind, by).await?),
            _ => None,
        };
        if has_children {
            self.end_descendants(run, kind, by, &mut ended).await?;
        }
        ended.answer = match first {
            Some(first) => first,
            None => self.stop(run, kind, by).await?,
        };
        if has_children {
            // What started between the look and the end.
            self.end_descendants(run, kind, by, &mut ended).await?;
        }
        Ok(ended)
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
        ended: &mut FamilyStopped,
    ) -> Result<(), StoreError> {
        // What a child run has done is not undone with its parent.
        let kind = match kind {
            StopKind::Compensate => StopKind::Cancel,
            kind => kind,
        };
        let (descendants, more) = self.descendants(run).await?;
        ended.more |= more;
        for row in descendants.iter().rev() {
            let moves = matches!(
                row.status,
                Status::Pending | Status::Running | Status::Paused
            );
            if !moves || ended.knows(&row.id) {
                continue;
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
        if let Err(error) = self.end_descendants(run, kind, by, &mut ended).await {
            ended.kept.push((run.clone(), error.to_string()));
        }
        for (run, reason) in &ended.kept {
            let trouble = Trouble::Error(reason);
            self.shared.tell_trouble(Some(run.as_str()), trouble);
        }
    }

    /// Ends the child runs whose steps were ended before them. What cannot be ended is told.
    pub(in crate::engine) async fn end_left_children(&self, state: &RunState) {
        for run in state.left_children() {
            self.end_left_child(run.clone()).await;
        }
    }

    pub(super) fn end_left_child(&self, run: RunId) -> BoxFuture<'static, ()> {
        let engine = self.clone();
        Box::pin(async move {
            let ended = async {
                let row = engine.shared.store.row(&run).await?;
                let over = |status: Status| status.is_terminal() || status == Status::Failed;
                match row.is_none_or(|row| over(row.status)) {
                    true => Ok(()),
                    false => {
                        let by = "the end of its step";
                        engine.end_family(&run, false, by).await.map(drop)
                    }
                }
            };
            if let Err(error) = ended.await {
                let reason = error.to_string();
                let trouble = Trouble::Error(&reason);
                engine.shared.tell_trouble(Some(run.as_str()), trouble);
            }
        })
    }
}
