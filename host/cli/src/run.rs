//! `milepost run`: starts a run and drives it to its end, or to where it pauses.

use clap::Args;

use super::context::{Context, Reply};
use super::ending;
use super::failure::Failure;
use super::memory_args::MemoryArgs;
use super::start::StartArgs;
use super::world_args::WorldArgs;

/// Run a workflow
///
/// Starts a run and follows it until it completes, fails, pauses or is cancelled.
///
/// What the workflow returns goes to stdout, everything else to stderr. Control characters in text are escaped; `--json`
/// prints the text as it is.
///
/// SIGINT, SIGTERM or SIGHUP (a closed terminal, unless started with `nohup`) pauses the run and saves its checkpoint. A
/// second signal stops the program at once.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost run hello/workflow.toml --input name=World
  milepost run notes.toml --inputs release.json --input log=@build.log
  milepost run notes.toml --id notes-2026-03     # repeated: no second run
  milepost run notes.toml --label team=docs      # `ls --label team` finds it
  milepost run notes.toml --json | jq .output")]
pub(crate) struct RunArgs {
    #[command(flatten)]
    start: StartArgs,
    #[command(flatten)]
    memory: MemoryArgs,
    #[command(flatten)]
    pub(super) world: WorldArgs,
}

pub(super) fn run(args: RunArgs, cx: &Context) -> Result<Reply, Failure> {
    let world = args.world.read()?;
    let prepared = args.start.prepare(cx.plugins_within(&args.memory, 1), cx)?;
    let report = prepared.drive(&world, cx)?;
    Ok(ending::reply(cx, &report))
}
