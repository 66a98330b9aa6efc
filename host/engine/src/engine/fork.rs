//! Forks: a new run that begins with what another one has recorded.

use std::collections::BTreeSet;
use std::sync::Arc;

use milepost_core::definition::Definition;
use milepost_core::definition::input::{GivenInputs, Inputs};
use milepost_core::effect::Artifact;
use milepost_core::event::{ClaimCause, Event, Fork, RunCreated, RunEvent};
use milepost_core::ids::{Path, RunId, StepId};
use milepost_core::limits;
use milepost_core::payload::Payload;
use milepost_core::request::fork::fork;
use milepost_core::rules::Rules;
use milepost_core::state::{RunState, StepRecord};
use serde_json::Value;

use super::changes::{Bound, Load, changed};
use super::error::EngineError;
use super::{Control, Engine, OnChange, files};
use crate::record::{self, Batch};
use crate::report::RunReport;
use crate::store::StoreError;

/// How a run is forked.
#[derive(Debug, Clone, Default)]
pub struct ForkOptions {
    /// The id of the new run; drawn at random when absent. The same fork again under the same id is not a second run.
    pub id: Option<RunId>,
    /// What happens when the definition or a component on disk is not the one that the forked run carries.
    pub on_change: OnChange,
    /// By which the new run can be asked to stop.
    pub control: Control,
}

/// Artifacts that are asked for at once.
const PAGE: usize = 256;

impl Engine {
    /// Starts a run that keeps the outcomes which another one has recorded before these steps, and runs from there on by itself, until
    /// it does not move. The other run stays as it is, and may be removed. The new one carries the same definition and components, and
    /// takes the same inputs where `inputs` has no others.
    ///
    /// # Errors
    /// [`EngineError`] when there is no new run.
    pub async fn fork(
        &self,
        run: &RunId,
        from: &[StepId],
        inputs: &GivenInputs,
        options: ForkOptions,
    ) -> Result<RunReport, EngineError> {
        self.shared.follow().await;
        let store = self.shared.store.as_ref();
        let origin = record::load(store, run).await?.state;
        let bound = self.bind(&origin, options.on_change, Load::First).await?;
        let Bound {
            workflow,
            changed: accepted,
            ..
        } = bound;
        let carried = match accepted {
            Some(_) => Arc::new(self.frozen(&origin).await?),
            None => Arc::clone(&workflow.definition),
        };
        let inputs = inputs_of(&workflow.definition, &origin, inputs)?;
        let others = changed_inputs(&origin, &inputs);
        let kept =
            fork(&carried, &origin, from, &others).map_err(|reason| EngineError::NotForked {
                run: run.clone(),
                reason,
            })?;
        let mut batch = Batch::for_new_run();
        let files = files::of_new_run(store, &workflow.definition, &inputs.value()).await?;
        batch.artifacts(files);
        batch.artifacts(self.artifacts_of(run, &kept).await?);
        batch.components(&workflow);
        let binding = origin.binding();
        let created = RunCreated {
            run: options.id.unwrap_or_else(|| self.new_run_id()),
            workflow: carried.name.to_string(),
            definition: binding.definition,
            file: origin.created().file.clone(),
            plugins: binding.plugins.clone(),
            inputs,
            seed: self.shared.host.draw() >> 11,
            rules: Rules::PRESENT,
            children: binding.children.clone(),
            parent: None,
            redacted: origin.created().redacted.clone(),
            fork: Some(Fork {
                run: run.clone(),
                seq: origin.seq(),
                from: from.to_vec(),
                kept,
            }),
            labels: origin.created().labels.clone(),
        };
        let now = self.shared.clock.now();
        let event = Event::Run(RunEvent::Created(created.clone()));
        let mut state = batch.create(event, now)?;
        if accepted.is_some() {
            batch.workflow(&workflow);
            let event = changed(&workflow, &state)?;
            batch.record(&mut state, event, now)?;
        }
        let workflow = workflow.without_bytes();
        let owner = self.claim(&mut batch, &mut state, ClaimCause::Start)?;
        let control = options.control;
        let bound = Bound {
            workflow: workflow.clone(),
            loaded: true,
            changed: None,
        };
        let driver = self.driver(bound, state, batch, owner, control.clone());
        let definition = Arc::clone(&workflow.definition);
        let driven = self.drive_family(driver, definition, control.clone(), false);
        match driven.await {
            Err(EngineError::Store(StoreError::Exists(_))) => {
                self.run_existing(workflow, created, control).await
            }
            other => other,
        }
    }

    /// The artifacts that these executions of a run have written or opened.
    async fn artifacts_of(
        &self,
        run: &RunId,
        kept: &[StepRecord],
    ) -> Result<Vec<(String, Artifact)>, StoreError> {
        let paths: BTreeSet<String> = kept.iter().map(|kept| kept.path().to_string()).collect();
        let steps: BTreeSet<&StepId> = kept.iter().map(|kept| outermost(kept.path())).collect();
        let mut used = Vec::new();
        let mut after = 0;
        loop {
            let page = self.shared.store.artifacts(run, after, PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(used);
            };
            after = last.position;
            let of_kept = page.into_iter().filter(|used| {
                // An earlier iteration of a loop has no record any more.
                let path = used.path.parse::<Path>();
                paths.contains(&used.path)
                    || path.is_ok_and(|path| steps.contains(outermost(&path)))
            });
            used.extend(of_kept.map(|used| (used.path, used.artifact)));
        }
    }
}

fn outermost(path: &Path) -> &StepId {
    path.segments()
        .first()
        .map_or_else(|| path.step(), |segment| &segment.step)
}

/// The inputs of a fork: those of the forked run, but for those that are given.
fn inputs_of(
    definition: &Definition,
    origin: &RunState,
    given: &GivenInputs,
) -> Result<Payload, EngineError> {
    let mut file = match origin.inputs().value().as_ref() {
        Value::Object(inputs) => inputs.clone(),
        _ => serde_json::Map::new(),
    };
    file.retain(|name, _| definition.inputs.contains_key(name.as_str()));
    let mut merged = given.clone();
    let before = file.into_iter();
    merged.file = before.chain(std::mem::take(&mut merged.file)).collect();
    let inputs = Inputs::resolve(definition, &merged).map_err(EngineError::Inputs)?;
    let inputs = Payload::kept(Value::Object(inputs.values.into_iter().collect()));
    if inputs.text().len() > limits::INPUTS_BYTES {
        return Err(EngineError::InputsTooLarge(inputs.text().len()));
    }
    if let Some((place, bytes)) = definition.cannot_take(&inputs.value()) {
        return Err(EngineError::InputsDoNotFit { place, bytes });
    }
    Ok(inputs)
}

/// The names of those that are others than in the forked run.
fn changed_inputs(origin: &RunState, inputs: &Payload) -> BTreeSet<String> {
    let (before, now) = (origin.inputs().value(), inputs.value());
    let empty = serde_json::Map::new();
    let (before, now) = (
        before.as_object().unwrap_or(&empty),
        now.as_object().unwrap_or(&empty),
    );
    let names = before.keys().chain(now.keys());
    let changed = names.filter(|name| before.get(*name) != now.get(*name));
    changed.cloned().collect()
}
