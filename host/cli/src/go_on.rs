//! `milepost resume`, `retry` and `compensate`: a stopped run goes on, or undoes what it did.

use std::future::Future;

use clap::Args;
use milepost::Engine;
use milepost::core::ids::{Path as StepPath, RunId};
use milepost::core::state::Status;
use milepost::engine::{EngineError, OnChange, ResumeOptions};
use milepost::report::OwnerState;
use milepost::report::RunReport;

use super::context::{Context, Reply};
use super::documents::{self, Answer};
use super::drive::{drive, recorded_definition, wait};
use super::exit::Exit;
use super::failure::{Code, Failure};
use super::memory_args::MemoryArgs;
use super::progress::Limits;
use super::words::advice::Advice;
use super::world_args::WorldArgs;
use super::{ending, ids, meant, place, several};

/// Continue a stopped run from its checkpoint
///
/// Continues a run that is paused or failed, or whose process died. Completed steps are not run again; failed ones are. A
/// loop continues in the iteration where it stopped, and a fan-out with the items that failed or had not ended.
///
/// If the run was asked to pause but has not paused yet, `resume` withdraws that request, and the run keeps running. It then
/// refuses `--accept-changes`.
///
/// A run carries its definition and its components. If the files differ from them, the difference is shown and nothing
/// happens until you choose `--as-started` or `--accept-changes`. Files that no longer exist do not count as a difference.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost resume 7k3m                     # any unique prefix of the id
  milepost resume 7k3m --as-started        # with what the run carries
  milepost resume 7k3m --accept-changes    # with what the files hold now")]
pub(crate) struct ResumeArgs {
    #[command(flatten)]
    stopped: Stopped,
}

/// Run the failed steps of a stopped run again
///
/// Runs the failed steps of a paused or failed run again; failed loops start over from their first iteration, and of a fan-out,
/// the failed items run again.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost retry 7k3m
  milepost retry 7k3m --from collect       # that step and all that depend on it
  milepost retry 7k3m --from 'files[3]'    # the fourth item of a fan-out
  milepost ls --status failed -o ids | milepost retry -")]
pub(crate) struct RetryArgs {
    #[command(flatten)]
    stopped: Stopped,
    /// Also run this step, or this item of a fan-out, and every step that depends on it again; open waits after it start over
    #[arg(long, value_name = "STEP", allow_hyphen_values = true)]
    from: Option<StepPath>,
}

/// Undo what a failed run has done
///
/// Calls the compensations of the completed steps of a failed run, the latest first, one at a time. The run stays failed, and cannot
/// be resumed or retried afterwards.
///
/// A compensation that fails pauses the run; `milepost resume` tries it again.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost compensate 7k3m
  milepost cancel 7k3m --compensate    # a run that has not failed")]
pub(crate) struct CompensateArgs {
    #[command(flatten)]
    stopped: Stopped,
}

impl ResumeArgs {
    pub(super) fn world(&self) -> &WorldArgs {
        &self.stopped.world
    }
}

impl RetryArgs {
    pub(super) fn world(&self) -> &WorldArgs {
        &self.stopped.world
    }
}

impl CompensateArgs {
    pub(super) fn world(&self) -> &WorldArgs {
        &self.stopped.world
    }
}

/// A run that stands still.
#[derive(Debug, Args)]
struct Stopped {
    #[arg(help = several::HELP)]
    run: String,
    /// Continue with the definition and components that the run was started with, whatever the files hold now
    #[arg(long)]
    as_started: bool,
    /// Continue with the definition and components that the files hold now
    #[arg(long, conflicts_with = "as_started")]
    accept_changes: bool,
    #[command(flatten)]
    memory: MemoryArgs,
    #[command(flatten)]
    world: WorldArgs,
}

pub(super) fn resume(args: &ResumeArgs, cx: &Context) -> Result<Reply, Failure> {
    let stopped = &args.stopped;
    several::each(&stopped.run, cx, |typed| {
        if let Some(reply) = withdraw_pause(typed, stopped, cx)? {
            return Ok(reply);
        }
        go_on(typed, stopped, cx, |engine, run, options| async move {
            engine.resume(&run, options).await
        })
    })
}

pub(super) fn retry(args: &RetryArgs, cx: &Context) -> Result<Reply, Failure> {
    let stopped = &args.stopped;
    several::each(&stopped.run, cx, |typed| {
        let from = args.from.clone();
        let gone_on = go_on(typed, stopped, cx, |engine, run, options| async move {
            engine.retry(&run, from.as_ref(), options).await
        });
        gone_on.map_err(|failure| match &args.from {
            Some(from) => meant::step(failure, cx, typed, [from.step().as_str()]),
            None => failure,
        })
    })
}

pub(super) fn compensate(args: &CompensateArgs, cx: &Context) -> Result<Reply, Failure> {
    let typed = &args.stopped.run;
    go_on(
        typed,
        &args.stopped,
        cx,
        |engine, run, options| async move {
            engine
                .compensate(&run, "`milepost compensate`", options)
                .await
        },
    )
}

/// A run that its process was asked to pause, and that has not paused yet, just runs on.
fn withdraw_pause(typed: &str, stopped: &Stopped, cx: &Context) -> Result<Option<Reply>, Failure> {
    let engine = cx.engine()?;
    let store = engine.store();
    let run = ids::resolve(store.as_ref(), typed)?;
    let asked = wait(store.row(&run))?.and_then(|row| row.request);
    if asked.is_none_or(|request| request.kind.ends()) {
        return Ok(None);
    }
    let driven = || -> Result<_, Failure> {
        let row = wait(store.row(&run))?;
        Ok(row.filter(|row| {
            let owner = engine.owner(row);
            let gone = owner.is_none_or(|owner| owner.state == OwnerState::Gone);
            row.status == Status::Running && !gone
        }))
    };
    if stopped.accept_changes && driven()?.is_some() {
        let message = format!(
            "run {run} was asked to pause but is still running: `--accept-changes` cannot be applied now"
        );
        let help = Advice::from("nothing was changed; ")
            .command(format!("resume {run} --accept-changes"))
            .text(" works once it has paused, ")
            .command(format!("resume {run}"))
            .text(" withdraws the pause");
        return Err(Failure::new(Code::Usage, message).help(help));
    }
    if !wait(engine.withdraw_pause(&run))? {
        return Ok(None);
    }
    Ok(driven()?.map(|row| {
        let document = || documents::Stopped {
            id: run.clone(),
            answer: Answer::PauseWithdrawn,
            status: row.status,
        };
        let text = || format!("run {run} keeps running: the request to pause it is withdrawn");
        cx.reply(Exit::Completed, document, text)
    }))
}

fn go_on<W, F>(typed: &str, stopped: &Stopped, cx: &Context, work: W) -> Result<Reply, Failure>
where
    W: FnOnce(Engine, RunId, ResumeOptions) -> F,
    F: Future<Output = Result<RunReport, EngineError>>,
{
    let world = stopped.world.read()?;
    let store = place::open_existing(&cx.store)?;
    let run = ids::resolve(store.as_ref(), typed)?;
    let definition = recorded_definition(store.as_ref(), &run);
    let limits = definition.as_ref().map(Limits::of).unwrap_or_default();
    if let Some(definition) = &definition {
        world.warn_idle(cx, definition);
    }
    let on_change = match (stopped.as_started, stopped.accept_changes) {
        (true, _) => OnChange::AsStarted,
        (false, true) => OnChange::Accept,
        (false, false) => OnChange::Ask,
    };
    let plugins = cx.plugins_within(&stopped.memory, 1);
    let report = drive(cx, store, plugins, &world, limits, |engine, control| {
        let options = ResumeOptions { on_change, control };
        work(engine, run, options)
    })?;
    Ok(ending::reply(cx, &report))
}
