//! What `run` and `submit` share: which workflow, with which inputs, under which id.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use milepost::core::definition::input::Inputs;
use milepost::core::diagnostic::Diagnostics;
use milepost::core::ids::RunId;
use milepost::core::labels::{Label, Labels};
use milepost::core::limits::EXCERPT_BYTES;
use milepost::core::shown::{self, Shown};
use milepost::engine::StartOptions;
use milepost::report::RunReport;
use milepost::store::prelude::*;
use milepost::store::sqlite::SqliteStore;
use milepost::wasm_plugins::WasmPlugins;
use milepost::workflow::Workflow;
use serde_json::Value;

use super::context::Context;
use super::drive::{drive, wait};
use super::failure::{Code, Failure};
use super::inputs::InputArgs;
use super::progress::Limits;
use super::text::Text;
use super::world_args::World;
use super::{format, named, place};

/// What a new run is made of.
#[derive(Debug, Clone, Args)]
pub(crate) struct StartArgs {
    /// The definition, or the name of a workflow (`milepost workflows`)
    pub(crate) file: PathBuf,
    #[command(flatten)]
    inputs: InputArgs,
    /// Id of the run; if it already exists with the same workflow, inputs and labels, the answer is that run
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    pub(crate) id: Option<RunId>,
    /// A label of the run, to find it by (`milepost ls --label`); may be repeated
    #[arg(long = "label", value_name = "NAME=VALUE", allow_hyphen_values = true)]
    labels: Vec<Label>,
}

/// Everything that can be wrong has been looked at: the run can be recorded.
pub(crate) struct Prepared {
    pub(crate) workflow: Workflow,
    pub(crate) inputs: BTreeMap<String, Value>,
    pub(crate) id: Option<RunId>,
    pub(crate) labels: Labels,
    pub(crate) store: Arc<SqliteStore>,
    pub(crate) plugins: Arc<WasmPlugins>,
    existed: bool,
}

impl StartArgs {
    /// Opens the workflow, types the inputs, and opens or creates the store.
    ///
    /// # Errors
    /// [`Failure`] with all problems of the workflow, or else all problems of the inputs. Neither leaves a store behind.
    pub(crate) fn prepare(
        self,
        plugins: Arc<WasmPlugins>,
        cx: &Context,
    ) -> Result<Prepared, Failure> {
        let labels = Labels::new(self.labels)
            .map_err(|error| Failure::new(Code::Usage, error.to_string()))?;
        let file = named::file(&self.file, cx)?;
        let workflow = Workflow::open(&file, plugins.as_ref())?;
        let mut given = self.inputs.read(&workflow.definition)?;
        let mut problems = std::mem::take(&mut given.problems);
        warn(cx, &workflow);
        let resolved = Inputs::resolve(&workflow.definition, &given.inputs);
        let mut inputs = resolved.unwrap_or_else(|more| {
            problems.extend(more);
            Inputs::default()
        });
        if !problems.is_empty() {
            return Err(Failure::inputs(problems));
        }
        for name in &inputs.ignored {
            cx.warn(format!(
                "the workflow has no input `{}`; it is ignored",
                Shown(shown::excerpt(name, EXCERPT_BYTES))
            ));
        }
        for name in &inputs.defaulted {
            cx.note(format!(
                "input {name} = {} (default)",
                format::excerpt(&inputs.values[name])
            ));
        }
        let store = place::open_or_create(&cx.store)?;
        inputs.values.extend(given.keep(store.as_ref())?);
        let existed = match &self.id {
            Some(id) => wait(store.row(id))?.is_some(),
            None => false,
        };
        Ok(Prepared {
            workflow,
            inputs: inputs.values,
            id: self.id,
            labels,
            store,
            plugins,
            existed,
        })
    }
}

impl Prepared {
    /// Records the run and drives it until it ends or pauses.
    ///
    /// # Errors
    /// As [`drive`].
    pub(crate) fn drive(self, world: &World, cx: &Context) -> Result<RunReport, Failure> {
        let existed = self.existed();
        let Self {
            workflow,
            inputs,
            id,
            labels,
            store,
            plugins,
            ..
        } = self;
        let limits = Limits::of(&workflow.definition);
        world.warn_idle(cx, &workflow.definition);
        let report = drive(
            cx,
            store,
            plugins,
            world,
            limits,
            |engine, control| async move {
                let options = StartOptions {
                    id,
                    labels,
                    control,
                };
                engine.run(workflow, inputs, options).await
            },
        )?;
        // Not before: another workflow or other inputs are refused.
        if let Some(existed) = existed {
            cx.note(existed);
        }
        Ok(report)
    }

    /// What there is to say about a run that was there before.
    pub(crate) fn existed(&self) -> Option<String> {
        let id = self.id.as_ref().filter(|_| self.existed)?;
        Some(format!(
            "run {id} already exists, with the same workflow and inputs"
        ))
    }
}

fn warn(cx: &Context, workflow: &Workflow) {
    if workflow.warnings.is_empty() {
        return;
    }
    let source = &workflow.definition.source;
    let diagnostics =
        Diagnostics::new(&source.file, source.text.clone(), workflow.warnings.clone());
    cx.note(Text::diagnostics(&diagnostics, cx.err.is_on()));
}
