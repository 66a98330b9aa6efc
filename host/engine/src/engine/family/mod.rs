//! Runs and the runs that they started: how a child comes into being, stands and goes on.

mod driving;
mod ending;
mod looking;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use milepost_core::decide::{ChildStanding, ChildStarted, child_gone, child_standing};
use milepost_core::definition::{Child, Definition};
use milepost_core::event::{CarriedWorkflow, Event, Parent, RunCreated, RunEvent};
use milepost_core::ids::{Path, RunId};
use milepost_core::labels::Labels;
use milepost_core::limits;
use milepost_core::request::Intent;
use milepost_core::request::accept::accept;
use milepost_core::request::resume::ResumeBy;
use milepost_core::rules::Rules;
use milepost_core::state::{RunState, Status, StepRecord};
use milepost_core::time::Timestamp;
use milepost_core::wait::{child_reminder, child_signal};

pub use self::ending::FamilyStopped;
use super::Engine;
use super::changes::inputs_under;
use super::error::EngineError;
use super::files;
use super::observer::Notice;
use super::shared::{Looks, Shared};
use crate::carried;
use crate::fault;
use crate::record::{self, Batch, RecordError};
use crate::store::{Store, StoreError, Write};
use crate::workflow::Workflow;

/// Who cancels a run whose parent ends by itself.
pub(in crate::engine) const END_OF_PARENT: &str = "the end of its parent";

/// How a child run stands, as its parent's step has it.
#[expect(
    clippy::large_enum_variant,
    reason = "made and consumed at once: a box would only add an allocation"
)]
pub(in crate::engine) enum Stands {
    /// It may come to its end by itself.
    Open,
    /// It failed before the step began to wait for it, and is to go on.
    ToGoOn,
    /// This is recorded of its end.
    Ended(Event),
}

/// The child runs that the steps of a run wait for.
pub(in crate::engine) fn awaited(parent: &RunState) -> Vec<(Path, RunId)> {
    let awaited = parent.awaited_children();
    awaited
        .map(|(path, child)| (path.clone(), child.run.clone()))
        .collect()
}

/// The write that creates the run of a step.
pub(in crate::engine) async fn created(
    store: &dyn Store,
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
        redacted: Vec::new(),
        fork: None,
        labels: Labels::default(),
    };
    let mut batch = Batch::for_new_run();
    batch.artifacts(files::known(store, &workflow.definition, &created.inputs.value()).await?);
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
pub(in crate::engine) async fn stands(
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
pub(in crate::engine) async fn goes_on(
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
        let mut definition = Arc::clone(&child.definition);
        match as_carried(child, parent, &state)? {
            Some(event) => {
                batch.record(&mut state, event, now)?;
                batch.artifacts(files::known(store, &definition, &state.inputs().value()).await?);
            }
            None => definition = Arc::new(carried::definition(store, &state).await?),
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

/// What is recorded of a child run that does not carry what its parent carries by now, because a person accepted changes there.
fn as_carried(
    child: &Child,
    parent: &RunState,
    state: &RunState,
) -> Result<Option<Event>, EngineError> {
    let Some(made_of) = parent.binding().children.get(&child.file) else {
        return Ok(None);
    };
    let children = carried_by(&child.definition, parent);
    let binding = state.binding();
    let carried = (binding.definition, &binding.plugins, &binding.children);
    if (made_of.definition, &made_of.plugins, &children) == carried {
        return Ok(None);
    }
    let inputs = inputs_under(&child.definition, state)?;
    let plugins = made_of.plugins.clone();
    let event = accept(&child.definition, plugins, children, inputs, state);
    Ok(Some(event.into()))
}

/// A paused child run goes on under what its parent carries by now, if that is something else. Returns whether it does.
pub(in crate::engine) async fn goes_on_as_carried(
    shared: &Shared,
    definition: &Definition,
    parent: &RunState,
    path: &Path,
    run: &RunId,
) -> Result<bool, EngineError> {
    let store = shared.store.as_ref();
    let Some(child) = definition.step(path.step()).and_then(|step| step.child()) else {
        return Ok(false);
    };
    let mut looks = Looks::default();
    loop {
        let mut state = looks.load(store, run).await?.state;
        if state.phase().status() != Status::Paused {
            return Ok(false);
        }
        let Some(event) = as_carried(child, parent, &state)? else {
            return Ok(false);
        };
        let now = shared.clock.now();
        let mut batch = Batch::after(state.seq(), state.epoch());
        batch.record(&mut state, event, now)?;
        let files = files::known(store, &child.definition, &state.inputs().value()).await?;
        batch.artifacts(files);
        let intent = Intent::Resume(ResumeBy::Person);
        let event = intent.event(&child.definition, &state)?;
        batch.record(&mut state, event.into(), now)?;
        fault::point("child_goes_on");
        if shared.write(&batch, &state).await? {
            return Ok(true);
        }
    }
}

/// The child went on: nobody has to be reminded of that any more. Left in the inbox, a reminder is only looked at in vain.
pub(in crate::engine) async fn forget_reminder(shared: &Shared, parent: &RunId, child: &RunId) {
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
    pub(in crate::engine) async fn deliver_children(
        &self,
        run: &RunId,
    ) -> Result<bool, EngineError> {
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
}
