//! `milepost submit`: records a run for a worker.

use clap::Args;
use milepost::Engine;
use milepost::core::state::Status;
use milepost::engine::StartOptions;

use super::context::{Context, Reply};
use super::documents;
use super::drive::wait;
use super::exit::Exit;
use super::failure::Failure;
use super::start::{Prepared, StartArgs};
use super::then::FollowArgs;

/// Record a run for a worker
///
/// Records a run without starting it, and prints its id. A worker (`milepost work`) picks it up.
///
/// The workflow, its components and the inputs are checked as in `milepost run`. With `--follow`, the answer is the run where it stops,
/// with the exit codes of `run`; it goes on when nobody follows it any more.
///
/// A run is never driven here: `milepost run` starts one in this process, `milepost resume` takes over one that is recorded.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost submit hello/workflow.toml --input name=World
  run=$(milepost submit notes.toml --inputs release.json)
  milepost submit notes.toml --id notes-2026-03   # repeated: no second run
  milepost submit notes.toml --follow       # watch a worker run it")]
pub(crate) struct SubmitArgs {
    #[command(flatten)]
    start: StartArgs,
    #[command(flatten)]
    follow: FollowArgs,
}

pub(super) fn run(args: SubmitArgs, cx: &Context) -> Result<Reply, Failure> {
    let prepared = args.start.prepare(cx.plugins(), cx)?;
    let existed = prepared.existed();
    let Prepared {
        workflow,
        inputs,
        id,
        labels,
        store,
        plugins,
        ..
    } = prepared;
    let engine = Engine::builder(store, plugins).build();
    let options = StartOptions {
        id,
        labels,
        ..StartOptions::default()
    };
    let report = wait(engine.submit(workflow, inputs, options))?;
    // Not before: another workflow or other inputs are refused.
    if let Some(existed) = existed {
        cx.note(existed);
    }
    let run = &report.id;
    let next = match report.status {
        Status::Pending if cx.has_worker(&engine) => "; a worker starts it".to_owned(),
        Status::Pending => format!(
            "; no worker is running: `{}` or `{}` starts it",
            cx.program("work"),
            cx.command("resume", run)
        ),
        Status::Paused | Status::Failed => {
            format!("; `{}` shows what happens next", cx.command("show", run))
        }
        Status::Running | Status::Completed | Status::Cancelled => String::new(),
    };
    let did = format!("run {run} is {}{next}", report.status);
    if !args.follow.is_wanted() {
        cx.note(did);
        let document = || documents::Run::from(&report);
        return Ok(cx.reply(Exit::Completed, document, || run.to_string()));
    }
    args.follow.reply(cx, run, did.into())
}
