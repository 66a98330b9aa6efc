//! Runs and the runs that they started: how a child comes into being, stands and goes on, and who drives the children of a run
//! that a person drives.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use milepost_core::decide::{ChildStanding, ChildStarted, child_gone, child_standing};
use milepost_core::definition::Definition;
use milepost_core::event::{CarriedWorkflow, Event, Parent, RunCreated, RunEvent};
use milepost_core::ids::{Path, RunId};
use milepost_core::limits;
use milepost_core::request::Intent;
use milepost_core::request::accept::accept;
use milepost_core::request::resume::ResumeBy;
use milepost_core::request::stop::Demand;
use milepost_core::rules::Rules;
use milepost_core::state::{RunState, Status, StepRecord};
use milepost_core::stop::StopCode;
use milepost_core::time::Timestamp;
use milepost_core::wait::{child_reminder, child_signal};
use tokio::sync::mpsc;

use super::changes::inputs_under;
use super::control::Control;
use super::driver::{Driver, OfChild};
use super::error::{EngineError, Wanted};
use super::observer::Notice;
use super::shared::{Looks, Shared};
use super::{Engine, ResumeOptions, StopAnswer, Trouble};
use crate::carried;
use crate::fault;
use crate::record::{self, Batch, RecordError, Recorded};
use crate::report::{RunReport, StepReport};
use crate::store::{Family, Filter, Pages, RunRow, StopKind, Store, StoreError, Write};
use crate::workflow::Workflow;

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

/// How a child run stands, as its parent's step has it.
#[expect(
    clippy::large_enum_variant,
    reason = "made and consumed at once: a box would only add an allocation"
)]
pub(super) enum Stands {
    /// It may come to its end by itself.
    Open,
    /// It failed before the step began to wait for it, and is to go on.
    ToGoOn,
    /// This is recorded of its end.
    Ended(Event),
}

/// The child runs that the steps of a run wait for.
pub(super) fn awaited(parent: &RunState) -> Vec<(Path, RunId)> {
    let awaited = parent.awaited_children();
    awaited
        .map(|(path, child)| (path.clone(), child.run.clone()))
        .collect()
}

/// The write that creates the run of a step.
pub(super) fn created(
    definition: &Definition,
    parent: &RunState,
    path: &Path,
    child: &ChildStarted,
    now: Timestamp,
) -> Result<Write, EngineError> {
    let made_of = parent.binding().children.get(&child.file);
    let workflow = definition.step(path.step()).and_then(|step| step.child());
    let (Some(made_of), Some(workflow)) = (made_of, workflow) else {
        let message = format!(
            "run `{}`: it does not carry the child workflow {}",
            parent.created().run,
            child.file
        );
        return Err(StoreError::corrupt(message).into());
    };
    let created = RunCreated {
        run: child.run.clone(),
        workflow: workflow.definition.name.to_string(),
        definition: made_of.definition,
        file: child.file.clone(),
        plugins: made_of.plugins.clone(),
        inputs: child.inputs.clone(),
        seed: child.seed,
        rules: Rules::PRESENT,
        children: carried_by(&workflow.definition, parent),
        parent: Some(Parent {
            run: parent.created().run.clone(),
            path: path.clone(),
        }),
    };
    let mut batch = Batch::for_new_run();
    let state = batch.create(Event::Run(RunEvent::Created(created)), now)?;
    Ok(batch.to_write(&state))
}

/// What a run of a child workflow carries of its own children: a part of what its parent carries.
fn carried_by(definition: &Definition, parent: &RunState) -> BTreeMap<String, CarriedWorkflow> {
    let carried = &parent.binding().children;
    let files = definition.descendants().into_keys();
    files
        .filter_map(|file| Some((file.to_owned(), carried.get(file)?.clone())))
        .collect()
}

/// How the child run stands that the step at `path` waits for.
pub(super) async fn stands(
    store: &dyn Store,
    parent: &RunState,
    path: &Path,
    run: &RunId,
) -> Result<Stands, RecordError> {
    let Some(row) = store.row(run).await? else {
        return Ok(Stands::Ended(child_gone(path, run)));
    };
    if row.parent.as_ref() != Some(&parent.created().run) {
        return Ok(Stands::Ended(child_gone(path, run)));
    }
    match row.status {
        Status::Pending | Status::Running | Status::Paused => return Ok(Stands::Open),
        Status::Completed | Status::Failed | Status::Cancelled => {}
    }
    let child = record::load(store, run).await?.state;
    Ok(match child_standing(parent, path, &child) {
        ChildStanding::Open => Stands::Open,
        ChildStanding::ToGoOn => Stands::ToGoOn,
        ChildStanding::Ended(event) => Stands::Ended(event),
    })
}

/// A child run that failed goes on, under what its parent carries by now; once, whoever asks.
pub(super) async fn goes_on(
    shared: &Shared,
    workflow: &Workflow,
    parent: &RunState,
    path: &Path,
    run: &RunId,
) -> Result<(), EngineError> {
    let store = shared.store.as_ref();
    let mut looks = Looks::default();
    loop {
        let mut state = looks.load(store, run).await?.state;
        let standing = child_standing(parent, path, &state);
        let step = workflow.definition.step(path.step());
        let (ChildStanding::ToGoOn, Some(child)) = (standing, step.and_then(|step| step.child()))
        else {
            return Ok(());
        };
        let now = shared.clock.now();
        let mut batch = Batch::after(state.seq(), state.epoch());
        let made_of = parent.binding().children.get(&child.file);
        let children = carried_by(&child.definition, parent);
        let same = made_of.is_none_or(|made_of| {
            let binding = state.binding();
            (made_of.definition, &made_of.plugins, &children)
                == (binding.definition, &binding.plugins, &binding.children)
        });
        let mut definition = Arc::clone(&child.definition);
        if let (false, Some(made_of)) = (same, made_of) {
            let inputs = inputs_under(&definition, &state)?;
            let plugins = made_of.plugins.clone();
            let event = accept(&definition, plugins, children, inputs, &state);
            batch.record(&mut state, event.into(), now)?;
        } else if same {
            definition = Arc::new(carried::definition(store, &state).await?);
        }
        let record = parent.executions().at(path);
        let child = record.and_then(StepRecord::child);
        let intent = match child.is_some_and(|child| child.retried) {
            true => Intent::Retry { from: None },
            false => Intent::Resume(ResumeBy::Person),
        };
        let event = intent.event(&definition, &state)?;
        batch.record(&mut state, event.into(), now)?;
        fault::point("child_goes_on");
        if shared.write(&batch, &state).await? {
            return Ok(());
        }
    }
}

/// The child went on: nobody has to be reminded of that any more. Left in the inbox, a reminder is only looked at in vain.
pub(super) async fn forget_reminder(shared: &Shared, parent: &RunId, child: &RunId) {
    let forgetting = async {
        let store = shared.store.as_ref();
        let name = child_reminder(child);
        let mut looks = Looks::default();
        loop {
            let inbox = store.inbox(parent, limits::SIGNALS * 2).await?;
            let Some(reminder) = inbox.into_iter().find(|signal| signal.name == name) else {
                return Ok::<_, EngineError>(());
            };
            let state = looks.load(store, parent).await?.state;
            if state.phase().status().is_terminal() {
                return Ok(());
            }
            let mut batch = Batch::after(state.seq(), state.epoch());
            batch.consume(reminder.number);
            if shared.write(&batch, &state).await? {
                return Ok(());
            }
        }
    };
    if let Err(error) = forgetting.await {
        tracing::warn!(run = %parent, %error, "a reminder could not be taken away");
    }
}

impl Engine {
    /// Records in a paused run the end of every child that has ended, and lets those go on that are to. Returns whether there was
    /// an end.
    pub(super) async fn deliver_children(&self, run: &RunId) -> Result<bool, EngineError> {
        let store = self.shared.store.as_ref();
        let mut looks = Looks::default();
        loop {
            let mut state = looks.load(store, run).await?.state;
            if state.phase().status() != Status::Paused {
                return Ok(false);
            }
            let awaited = awaited(&state);
            let inbox = store.inbox(run, limits::SIGNALS * 2).await?;
            let (mut ended, mut to_go_on) = (Vec::new(), Vec::new());
            for (path, child) in awaited {
                match stands(store, &state, &path, &child).await? {
                    Stands::Open => {
                        let name = child_reminder(&child);
                        if inbox.iter().any(|signal| signal.name == name) {
                            forget_reminder(&self.shared, run, &child).await;
                        }
                    }
                    Stands::ToGoOn => to_go_on.push((path, child)),
                    Stands::Ended(event) => ended.push((child, event)),
                }
            }
            if !to_go_on.is_empty() {
                let workflow = carried::without_components(store, &state).await?;
                for (path, child) in to_go_on {
                    goes_on(&self.shared, &workflow, &state, &path, &child).await?;
                    forget_reminder(&self.shared, run, &child).await;
                }
            }
            // What tells of a child that is not awaited any more tells nothing new.
            let names = ended
                .iter()
                .flat_map(|(child, _)| [child_signal(child), child_reminder(child)]);
            let names: BTreeSet<String> = names.collect();
            if ended.is_empty() {
                return Ok(false);
            }
            let mut batch = Batch::after(state.seq(), state.epoch());
            self.correct_clock(&mut batch, &mut state).await?;
            let now = self.shared.clock.now();
            for (_, event) in ended {
                batch.record(&mut state, event, now)?;
            }
            let told = inbox.iter().filter(|signal| names.contains(&signal.name));
            told.for_each(|signal| batch.consume(signal.number));
            fault::point("before_child_end");
            if self.shared.write(&batch, &state).await? {
                for entry in batch.entries() {
                    self.shared.tell(run, Notice::Recorded(entry));
                }
                return Ok(true);
            }
        }
    }

    /// Drives a run and, in this process, its children and theirs, until nothing of it moves here.
    pub(super) fn drive_family(
        &self,
        driver: Driver,
        definition: Arc<Definition>,
        control: Control,
        by_person: bool,
    ) -> BoxFuture<'static, Result<RunReport, EngineError>> {
        let engine = self.clone();
        Box::pin(async move { engine.family(driver, &definition, control, by_person).await })
    }

    async fn family(
        &self,
        driver: Driver,
        definition: &Definition,
        control: Control,
        by_person: bool,
    ) -> Result<RunReport, EngineError> {
        let run = driver.state().created().run.clone();
        let mut driving = FuturesUnordered::<BoxFuture<'static, ()>>::new();
        if by_person {
            for (_, child) in driver.state().awaited_children() {
                driving.push(self.drive_child(child.run.clone(), control.clone(), true));
            }
        }
        let mut next = Some(driver);
        let mut last: Option<RunReport> = None;
        loop {
            if let Some(mut driver) = next.take() {
                let (told, mut started) = mpsc::unbounded_channel();
                driver.tells_children(told);
                let stopped = driver.hears_of_children();
                let mut own = self.driven(driver, definition);
                let report = loop {
                    tokio::select! {
                        biased;
                        report = &mut own => break report,
                        Some(child) = started.recv() => {
                            driving.push(self.tend(child, &control));
                        }
                        Some(()) = driving.next(), if !driving.is_empty() => stopped.notify_one(),
                    }
                };
                while let Ok(child) = started.try_recv() {
                    driving.push(self.tend(child, &control));
                }
                if let Ok(report) = &report
                    && report.status == Status::Pending
                {
                    next = self.to_finish(&run, &control).await?;
                    if next.is_some() {
                        continue;
                    }
                }
                match report {
                    Ok(report) if report.status == Status::Paused => last = Some(report),
                    // What the children do without it is for whoever drives them next.
                    other if driving.is_empty() => return other,
                    other => {
                        while driving.next().await.is_some() {}
                        return other;
                    }
                }
            }
            next = self.after_children(&run, &control).await?;
            if next.is_some() {
                continue;
            }
            match driving.next().await {
                Some(()) => {}
                None => {
                    let report = self.report(&run).await?;
                    return Ok(match last {
                        Some(last) if report.status == Status::Paused => RunReport {
                            unsaved: last.unsaved,
                            ..report
                        },
                        Some(_) | None => report,
                    });
                }
            }
        }
    }

    /// Who drives a run on that stood still until its children ended.
    fn after_children<'a>(
        &'a self,
        run: &'a RunId,
        control: &'a Control,
    ) -> BoxFuture<'a, Result<Option<Driver>, EngineError>> {
        Box::pin(async move {
            let recorded = record::load(self.shared.store.as_ref(), run).await?;
            let stopped = recorded.state.phase().status() == Status::Paused;
            let asked = control.present().is_some();
            if !stopped || asked || !self.deliver_children(run).await? {
                return Ok(None);
            }
            let recorded = record::load(self.shared.store.as_ref(), run).await?;
            if !recorded.state.moves() {
                return Ok(None);
            }
            self.taken_up(recorded, ResumeBy::Wait, control).await
        })
    }

    /// Who drives a run on that stands still; `None` when a worker was quicker.
    async fn taken_up(
        &self,
        recorded: Recorded,
        by: ResumeBy,
        control: &Control,
    ) -> Result<Option<Driver>, EngineError> {
        let options = ResumeOptions::as_started(control.clone());
        let prepared = self.prepared(recorded, None, Intent::Resume(by), options, None);
        match prepared.await {
            Ok(prepared) => Ok(prepared.map(|(driver, _)| driver)),
            Err(EngineError::AlreadyRunning { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// [`Engine::drive`], apart: families are polled inside of each other, eight deep, and what each of them takes of the stack counts.
    fn driven<'a>(
        &'a self,
        driver: Driver,
        definition: &'a Definition,
    ) -> BoxFuture<'a, Result<RunReport, EngineError>> {
        Box::pin(self.drive(driver, definition))
    }

    fn tend(&self, child: OfChild, control: &Control) -> BoxFuture<'static, ()> {
        match child {
            OfChild::Moves(run) => self.drive_child(run, control.clone(), false),
            OfChild::Left(run) => self.end_left_child(run),
        }
    }

    /// A run that was cancelled as it paused, and was not released: it is driven to its end.
    fn to_finish<'a>(
        &'a self,
        run: &'a RunId,
        control: &'a Control,
    ) -> BoxFuture<'a, Result<Option<Driver>, EngineError>> {
        Box::pin(async move {
            let recorded = record::load(self.shared.store.as_ref(), run).await?;
            let released = control.present().is_some_and(|request| {
                matches!(request.demand, Demand::Release | Demand::ReleaseNow)
            });
            let pending = recorded.row.status == Status::Pending;
            if released || !pending || recorded.state.ending().is_none() {
                return Ok(None);
            }
            match self.taken_up(recorded, ResumeBy::Person, control).await {
                // A worker was quicker, and it is over.
                Err(EngineError::NotResumable { .. }) => Ok(None),
                taken => taken,
            }
        })
    }

    /// Drives a child run as far as it goes in this process. What is wrong with it is told, and recorded where that matters.
    fn drive_child(&self, run: RunId, family: Control, by_person: bool) -> BoxFuture<'static, ()> {
        let engine = self.clone();
        Box::pin(async move {
            let control = Control::default();
            let mut driven = engine.child(&run, control.clone(), by_person);
            let mut passed = None;
            let driven = loop {
                tokio::select! {
                    biased;
                    driven = &mut driven => break driven,
                    request = family.asked_here(passed) => {
                        passed = Some(request.demand);
                        control.ask(request);
                    }
                }
            };
            match driven {
                Ok(())
                | Err(EngineError::AlreadyRunning { .. } | EngineError::NotResumable { .. }) => {}
                Err(error) => {
                    let text = error.to_string();
                    let trouble = Trouble::Error(&text);
                    engine.shared.tell_trouble(Some(run.as_str()), trouble);
                }
            }
        })
    }

    fn child<'a>(
        &'a self,
        run: &'a RunId,
        control: Control,
        by_person: bool,
    ) -> BoxFuture<'a, Result<(), EngineError>> {
        Box::pin(self.go_on_with_child(run, control, by_person))
    }

    async fn go_on_with_child(
        &self,
        run: &RunId,
        control: Control,
        by_person: bool,
    ) -> Result<(), EngineError> {
        let recorded = record::load(self.shared.store.as_ref(), run).await?;
        let state = &recorded.state;
        let waits_for_others = matches!(
            state.phase().stop_code(),
            Some(
                StopCode::WaitingForTime
                    | StopCode::WaitingForSignal
                    | StopCode::WaitingForApproval
            )
        );
        let intent = match state.phase().status() {
            Status::Pending => Intent::Resume(ResumeBy::Person),
            Status::Paused if state.moves() => Intent::Resume(ResumeBy::Wait),
            Status::Paused if by_person && !waits_for_others => Intent::Resume(ResumeBy::Person),
            Status::Running if by_person => Intent::Resume(ResumeBy::Person),
            _ => return Ok(()),
        };
        let options = ResumeOptions::as_started(control.clone());
        let row = recorded.row.clone();
        let prepared = Box::pin(self.prepared(recorded, Some(&row), intent, options, None));
        let Some((driver, definition)) = prepared.await? else {
            return Ok(());
        };
        let driven = self.drive_family(driver, definition, control, by_person);
        driven.await.map(drop)
    }

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
    pub(super) async fn end_children(&self, run: &RunId, kind: StopKind, by: &str) {
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
    pub(super) async fn end_left_children(&self, state: &RunState) {
        for run in state.left_children() {
            self.end_left_child(run.clone()).await;
        }
    }

    fn end_left_child(&self, run: RunId) -> BoxFuture<'static, ()> {
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

    /// Adds how the children of a run stand.
    pub(super) async fn report_children(&self, report: &mut RunReport) -> Result<(), StoreError> {
        let store = self.shared.store.as_ref();
        let none = |step: &StepReport| step.child.is_none() && step.items.is_none();
        if report.steps.iter().all(none) {
            return Ok(());
        }
        for child in report.steps.iter_mut().flat_map(StepReport::children_mut) {
            // One that cannot be read is told by whoever shows that one.
            let Ok(Some(row)) = store.row(&child.run).await else {
                continue;
            };
            child.status = Some(row.status);
            if row.stop_code.is_some()
                && let Ok(recorded) = record::load(store, &child.run).await
            {
                child.stop = recorded.state.phase().stop();
            }
        }
        for status in Status::ALL {
            let of_status = Filter {
                statuses: vec![status],
                family: Family::ChildrenOf(report.id.clone()),
                ..Filter::default()
            };
            let count = store.count(&of_status).await?;
            if count > 0 {
                report.children.insert(status, count);
            }
        }
        Ok(())
    }

    /// The child run that takes what somebody brings to a run that waits for it; `takes` says which one wants it. Where none does,
    /// the first one is named if `or_first` says so. A person who named a step that waits for a child means that one.
    pub(super) async fn at_child(
        &self,
        state: &RunState,
        wanted: Wanted,
        named: Option<&str>,
        takes: impl Fn(&RunRow) -> bool,
        or_first: bool,
    ) -> Result<Option<EngineError>, EngineError> {
        if state.phase().status().is_terminal() {
            return Ok(None);
        }
        let store = self.shared.store.as_ref();
        let mut awaited = awaited(state);
        let meant = |(path, _): &(Path, RunId)| named == Some(path.to_string().as_str());
        if awaited.iter().any(meant) {
            awaited.retain(meant);
        }
        let at = |path: &Path, child: &RunId| EngineError::AtChild {
            run: state.created().run.clone(),
            path: path.clone(),
            child: child.clone(),
            wanted: wanted.clone(),
        };
        for (path, child) in &awaited {
            let mut open = vec![child.clone()];
            let mut looked = 0;
            while let Some(run) = open.pop()
                && looked < limits::CHILD_FILES
            {
                looked += 1;
                let Ok(recorded) = record::load(store, &run).await else {
                    continue;
                };
                if takes(&recorded.row) {
                    return Ok(Some(at(path, &run)));
                }
                let below = recorded.state.awaited_children();
                open.extend(below.map(|(_, child)| child.run.clone()));
            }
        }
        let first = awaited.first().filter(|_| or_first);
        Ok(first.map(|(path, child)| at(path, child)))
    }

    /// The runs that a run has started, and those that they have started, the ones closest to it first; `true` says that there
    /// are more.
    pub(super) async fn descendants(&self, run: &RunId) -> Result<(Vec<RunRow>, bool), StoreError> {
        let store = self.shared.store.as_ref();
        let mut found: Vec<RunRow> = Vec::new();
        let mut seen = BTreeSet::from([run.clone()]);
        let mut open = vec![run.clone()];
        while let Some(parent) = open.pop() {
            let mut pages = Pages::of(Filter {
                family: Family::ChildrenOf(parent),
                ..Filter::default()
            });
            while let Some(page) = pages.next(store).await? {
                for row in page.rows {
                    if found.len() >= limits::FAMILY {
                        return Ok((found, true));
                    }
                    if seen.insert(row.id.clone()) {
                        open.insert(0, row.id.clone());
                        found.push(row);
                    }
                }
            }
        }
        Ok((found, false))
    }
}
