//! `milepost run`: starts a run and drives it to its end, or to where it pauses.

use std::path::PathBuf;

use clap::Args;
use milepost::core::definition::input::Inputs;
use milepost::core::diagnostic::Diagnostics;
use milepost::core::ids::RunId;
use milepost::engine::StartOptions;
use milepost::workflow::Workflow;

use super::context::{Context, Reply};
use super::drive::drive;
use super::failure::Failure;
use super::inputs::InputArgs;
use super::progress::Limits;
use super::{ending, format, place};

/// Start a run of a workflow
///
/// Stays until the run completes, fails, pauses or is cancelled.
///
/// What the workflow returns goes to stdout, everything else to stderr. SIGINT or SIGTERM pauses the run with a
/// checkpoint; a second one stops at once.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost run hello/workflow.toml --input name=World
  milepost run notes.toml --inputs release.json --input log=@build.log
  milepost run notes.toml --id notes-2026-03     # the same command again starts no second run
  milepost run notes.toml --json | jq .output")]
pub(crate) struct RunArgs {
    /// The definition
    file: PathBuf,
    #[command(flatten)]
    inputs: InputArgs,
    /// Id of the run; one that exists with the same workflow and inputs is answered with that run
    #[arg(long, value_name = "ID")]
    id: Option<RunId>,
}

pub(super) fn run(args: RunArgs, cx: &Context) -> Result<Reply, Failure> {
    let given = args.inputs.read()?;
    let plugins = cx.plugins();
    let workflow = Workflow::open(&args.file, plugins.as_ref())?;
    warn(cx, &workflow);
    let inputs = Inputs::resolve(&workflow.definition, &given).map_err(Failure::inputs)?;
    for name in &inputs.ignored {
        cx.warn(&format!(
            "the workflow has no input `{name}`; it is ignored"
        ));
    }
    for name in &inputs.defaulted {
        cx.note(&format!(
            "input {name} = {} (default)",
            format::excerpt(&inputs.values[name])
        ));
    }
    // Only now: a mistake above leaves no store behind.
    let store = place::open_or_create(&cx.store)?;
    let existed = match &args.id {
        Some(id) => store.row(id)?.is_some(),
        None => false,
    };
    let limits = Limits::of(&workflow.definition);
    let id = args.id;
    let report = drive(cx, store, plugins, limits, |engine, control| async move {
        engine
            .run(workflow, inputs.values, StartOptions { id, control })
            .await
    })?;
    if existed {
        cx.note(&format!(
            "run {} existed already, with the same workflow and inputs",
            report.id
        ));
    }
    Ok(ending::reply(cx, &report))
}

fn warn(cx: &Context, workflow: &Workflow) {
    if workflow.warnings.is_empty() {
        return;
    }
    let source = &workflow.definition.source;
    let diagnostics =
        Diagnostics::new(&source.file, source.text.clone(), workflow.warnings.clone());
    cx.note(diagnostics.render(cx.err.is_on()).trim_end());
}
