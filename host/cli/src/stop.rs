//! `milepost pause`, `cancel` and `kill`: ask a run to stop, whichever process has it.

use std::time::{Duration, Instant};

use clap::Args;
use milepost::Engine;
use milepost::core::ids::RunId;
use milepost::core::limits;
use milepost::core::shown::Shown;
use milepost::core::state::Status;
use milepost::core::stop::{Stop, Why};
use milepost::engine::{EngineError, FamilyStopped, ItemAnswer, ResumeOptions, StopAnswer};

use milepost::report::OwnerState;
use milepost::store::{StopKind, StoreError};

use super::context::{By, Context, Reply};
use super::documents::{Answer, Stopped};
use super::drive::{drive, recorded_limits, wait};
use super::exit::Exit;
use super::failure::{Code, Failure};
use super::world_args::{World, WorldArgs};
use super::{format, ids, meant, place, several, words};

/// Pause a running run
///
/// Pauses a running run as soon as its steps in flight have finished, whichever process is driving it.
///
/// A paused run that would continue by itself is held: it stays paused until `milepost resume`. Pausing a run that is
/// already stopped changes nothing and is not an error. While a request to pause is pending, `milepost resume` withdraws it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost pause 7k3m
  milepost pause 7k3m --now         # interrupt the steps in flight
  milepost pause 7k3m --wait=1m     # until it has paused, a minute at most")]
pub(crate) struct PauseArgs {
    #[arg(help = ids::WHOLE)]
    run: String,
    /// Interrupt the steps in flight; they run again when the run continues
    #[arg(long)]
    now: bool,
    #[command(flatten)]
    wait: WaitArgs,
}

/// End a run for good
///
/// Ends a run for good, and before it the runs that it has started. If another process is driving it, that process is asked to
/// end it, and the steps in flight get a moment to clean up.
///
/// Steps with `finally` run before the run ends, and compensations with `--compensate`: in its process, or, of a run that nobody drives, here, with
/// `--secrets` and within `--deny`. What its child runs have done is not undone.
///
/// Cancelling a run that has already ended changes nothing and is not an error.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost cancel 7k3m
  milepost cancel 7k3m --compensate           # undo first what its steps did
  milepost cancel 7k3m --secrets production.toml  # for steps with `finally`
  milepost cancel 7k3m --step 'files[3]'    # one item of a fan-out, for good
  milepost cancel 7k3m --wait               # until it has ended")]
pub(crate) struct CancelArgs {
    #[arg(help = several::WHOLE)]
    run: String,
    /// Undo first what its completed steps did: call their compensations, the latest first
    #[arg(long, conflicts_with = "step")]
    compensate: bool,
    /// Cancel this item of a fan-out instead; no resume or retry brings it back
    #[arg(long, value_name = "ITEM", allow_hyphen_values = true)]
    step: Option<String>,
    #[command(flatten)]
    wait: WaitArgs,
    #[command(flatten)]
    world: WorldArgs,
}

/// End a run for good, at once
///
/// Ends a run for good, like `milepost cancel`, but gives the steps in flight no time to clean up and runs no steps with
/// `finally`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost kill 7k3m
  milepost kill 7k3m --wait=10s")]
pub(crate) struct KillArgs {
    #[arg(help = ids::WHOLE)]
    run: String,
    #[command(flatten)]
    wait: WaitArgs,
}

/// Until when a verb stays.
#[derive(Debug, Args)]
struct WaitArgs {
    /// Wait until the run has stopped, or for TIME, such as `30s`; exit code 75 if it has not stopped by then
    #[arg(long, value_name = "TIME", num_args = 0..=1, require_equals = true, value_parser = milepost::core::time::parse_duration)]
    wait: Option<Option<Duration>>,
}

/// How the answers to one verb read.
struct Words {
    verb: &'static str,
    done: &'static str,
    /// How its document says that it is done, and that it was asked of its process.
    answers: (Answer, Answer),
    /// What its process was asked to do with the run.
    wish: &'static str,
}

impl Words {
    /// Whether that is how the run is to stand.
    fn is(&self, status: Status) -> bool {
        self.done == status.as_str()
    }
}

const ENDING: Words = Words {
    verb: "cancel",
    done: "cancelled",
    answers: (Answer::Cancelled, Answer::Cancelling),
    wish: "end it",
};

pub(super) fn pause(args: &PauseArgs, cx: &Context) -> Result<Reply, Failure> {
    let words = Words {
        verb: "pause",
        done: "paused",
        answers: (Answer::Paused, Answer::Pausing),
        wish: "pause it",
    };
    let world = World::of_the_environment();
    stop(
        &args.run,
        cx,
        &words,
        (&world, &args.wait),
        async |engine, run| {
            let by = "`milepost pause`";
            Ok((engine.pause(run, args.now, by).await?, None))
        },
    )
}

pub(super) fn cancel(args: &CancelArgs, cx: &Context) -> Result<Reply, Failure> {
    several::each(&args.run, cx, |run| cancel_one(run, args, cx))
}

fn cancel_one(run: &str, args: &CancelArgs, cx: &Context) -> Result<Reply, Failure> {
    let world = args.world.read()?;
    let stays = (&world, &args.wait);
    if let Some(item) = &args.step {
        return cancel_item(run, item, cx, &world);
    }
    if args.compensate {
        let words = Words {
            wish: "undo what its steps did, and end it",
            ..ENDING
        };
        let by = "`milepost cancel --compensate`";
        return end(run, cx, &words, stays, StopKind::Compensate, by);
    }
    end(
        run,
        cx,
        &ENDING,
        stays,
        StopKind::Cancel,
        "`milepost cancel`",
    )
}

fn cancel_item(typed: &str, item: &str, cx: &Context, world: &World) -> Result<Reply, Failure> {
    let engine = cx.engine()?;
    let run = ids::resolve_to_change(cx, engine.store().as_ref(), typed)?;
    let shown = Shown(item);
    let stopped = wait(engine.cancel_item(&run, item, "`milepost cancel`"))
        .map_err(|failure| meant::at(failure, engine.store().as_ref(), &run, item))?;
    finish_children(cx, world, &stopped.finishing);
    let (answer, status, text) = match stopped.answer {
        ItemAnswer::Cancelled(status) => (
            Answer::ItemCancelled,
            status,
            format!("`{shown}` of run {run} is cancelled; the run is {status}"),
        ),
        ItemAnswer::Asked(status) => (
            Answer::ItemCancelling,
            status,
            format!("the process that runs {run} will cancel `{shown}`"),
        ),
        ItemAnswer::Already(status) => (
            Answer::ItemAlreadyCancelled,
            status,
            format!("nothing to cancel: `{shown}` of run {run} is cancelled"),
        ),
    };
    let document = || Stopped {
        id: run.clone(),
        answer,
        status,
    };
    Ok(cx.reply(Exit::Completed, document, || text))
}

pub(super) fn kill(args: &KillArgs, cx: &Context) -> Result<Reply, Failure> {
    let words = Words {
        verb: "kill",
        ..ENDING
    };
    let world = World::of_the_environment();
    let by = "`milepost kill`";
    let stays = (&world, &args.wait);
    end(&args.run, cx, &words, stays, StopKind::Kill, by)
}

fn end(
    typed: &str,
    cx: &Context,
    words: &Words,
    stays: (&World, &WaitArgs),
    kind: StopKind,
    by: &str,
) -> Result<Reply, Failure> {
    stop(typed, cx, words, stays, async |engine, run| {
        let ended = engine.end_family_by(run, kind, by).await?;
        Ok((ended.answer, Some(ended)))
    })
}

/// Runs what comes before the end of a run that is cancelled, here, with what its steps may reach, and tells how it stands then.
///
/// # Errors
/// [`Failure`] when it cannot be driven.
pub(crate) fn finish(cx: &Context, world: &World, run: &RunId) -> Result<Status, Failure> {
    let store = place::open_existing(&cx.store)?;
    let limits = recorded_limits(store.as_ref(), run);
    let report = drive(
        cx,
        store,
        cx.plugins(),
        world,
        limits,
        async |engine: Engine, control| {
            let options = ResumeOptions::as_started(control);
            match engine.resume(run, options).await {
                // A worker was quicker.
                Err(EngineError::AlreadyRunning { .. } | EngineError::NotResumable { .. }) => {
                    engine.report(run).await
                }
                driven => driven,
            }
        },
    )?;
    let stop = report.stop.as_ref().map(|stop| &stop.reasons);
    let finally = |reason: &&Stop| matches!(reason.why, Why::FinallyFailed { .. });
    for failed in stop.into_iter().flatten().filter(finally) {
        cx.warn(words::stop::message(failed));
    }
    Ok(report.status)
}

/// Most runs that have not ended yet and are named.
const NAMED: usize = 10;

/// Runs, here, what child runs have left to do before their end that were cancelled.
fn finish_children(cx: &Context, world: &World, finishing: &[RunId]) {
    for run in finishing {
        match finish(cx, world, run) {
            Ok(Status::Cancelled) => {}
            Ok(status) => cx.note(format!("the child run {run} is {status}, about to end")),
            Err(failure) => cx.warn(format!("the child run {run}: {}", failure.message())),
        }
    }
}

/// What became of the runs around the one that was to end.
fn tell_family(cx: &Context, world: &World, ended: &FamilyStopped) {
    let plural = |runs: usize| format::count(runs, "child run");
    if !ended.children.is_empty() {
        cx.note(format!("{} cancelled", plural(ended.children.len())));
    }
    finish_children(cx, world, &ended.finishing);
    for run in ended.asked.iter().take(NAMED) {
        cx.warn(format!(
            "the child run {run} has not ended yet; its process was asked to end it: `{}`",
            cx.command("show", run)
        ));
    }
    if let Some(more @ 1..) = ended.asked.len().checked_sub(NAMED) {
        let more = plural(more);
        cx.warn(format!(
            "{more} more have not ended yet; their processes were asked to end them"
        ));
    }
    for (run, reason) in &ended.kept {
        cx.warn(format!(
            "the child run {run} could not be cancelled: {reason}"
        ));
    }
    if ended.more {
        let most = limits::FAMILY;
        cx.warn(format!(
            "only the first {most} child runs were looked at; the same command again goes on"
        ));
    }
    if let Some(parent) = &ended.strands {
        let (run, path) = (&parent.run, Shown(&parent.path));
        cx.warn(format!(
            "run {run} waits at {path} for this run, and goes on as after a failure of that step: `{}`",
            cx.command("show", run)
        ));
    }
}

/// How often it is looked whether a run has stopped.
const LOOK: Duration = Duration::from_millis(100);

/// Waits until a run that was asked to stop stands still; `None` when it still runs after the time that this may take. Where its process
/// is gone meanwhile, nobody else need come.
async fn stands_still(
    engine: &Engine,
    run: &RunId,
    most: Option<Duration>,
    ask: &impl AsyncFn(&Engine, &RunId) -> Result<(StopAnswer, Option<FamilyStopped>), EngineError>,
) -> Result<Option<(StopAnswer, Option<FamilyStopped>)>, EngineError> {
    let since = Instant::now();
    loop {
        let row = engine.store().row(run).await?;
        let row = row.ok_or_else(|| StoreError::NotFound(run.clone()))?;
        match row.status {
            Status::Completed | Status::Failed | Status::Cancelled | Status::Paused => {
                return Ok(Some((StopAnswer::Already(row.status), None)));
            }
            Status::Running => {
                let owner = engine.owner(&row);
                if owner.is_none_or(|owner| owner.state == OwnerState::Gone) {
                    let asked = ask(engine, run).await?;
                    if !matches!(asked.0, StopAnswer::Asked | StopAnswer::Ending) {
                        return Ok(Some(asked));
                    }
                }
            }
            Status::Pending => {}
        }
        let left = most.map(|most| most.saturating_sub(since.elapsed()));
        if left.is_some_and(|left| left.is_zero()) {
            return Ok(None);
        }
        tokio::time::sleep(left.map_or(LOOK, |left| left.min(LOOK))).await;
    }
}

/// It was not quick enough. What was asked stands.
fn still_running(cx: &Context, run: &RunId, words: &Words, most: Option<Duration>) -> Failure {
    let time = format::length(most.unwrap_or_default());
    let message = format!(
        "run {run} is still running after {time}; the request to {} stands",
        words.wish
    );
    let show = format!("`{}` shows how it is", cx.command("show", run));
    Failure::new(Code::StillRunning, message).help(show)
}

fn stop(
    typed: &str,
    cx: &Context,
    words: &Words,
    (world, stays): (&World, &WaitArgs),
    ask: impl AsyncFn(&Engine, &RunId) -> Result<(StopAnswer, Option<FamilyStopped>), EngineError>,
) -> Result<Reply, Failure> {
    let engine = cx.engine()?;
    let run = ids::resolve_to_change(cx, engine.store().as_ref(), typed)?;
    let (mut stopped, family) = wait(ask(&engine, &run))?;
    // What comes before its own end comes after theirs.
    if let Some(family) = &family {
        tell_family(cx, world, family);
    }
    if let Some(most) = stays.wait
        && matches!(stopped, StopAnswer::Asked | StopAnswer::Ending)
    {
        let Some((stands, family)) = wait(stands_still(&engine, &run, most, &ask))? else {
            return Err(still_running(cx, &run, words, most));
        };
        stopped = stands;
        if let Some(family) = &family {
            tell_family(cx, world, family);
        }
    }
    if stopped == StopAnswer::Done(Status::Cancelled)
        && let Some(stop) = wait(engine.report(&run))?.stop
        && stop.uncompensated.is_some_and(|steps| steps > 0)
    {
        cx.warn(words::stop::message(&stop));
    }
    let (answer, status, text) = match stopped {
        StopAnswer::Done(status) => (
            words.answers.0,
            status,
            format!("run {run} is {}", words.done),
        ),
        StopAnswer::Held => (
            Answer::Held,
            Status::Paused,
            format!(
                "run {run} is paused and held until `{}`",
                cx.command("resume", &run)
            ),
        ),
        StopAnswer::Asked => (
            words.answers.1,
            Status::Running,
            format!(
                "run {run} is running; its process was asked to {}",
                words.wish
            ),
        ),
        StopAnswer::Ending => (
            Answer::BeingCancelled,
            Status::Running,
            format!("nothing to {}: run {run} is being cancelled", words.verb),
        ),
        StopAnswer::Finishing => match finish(cx, world, &run)? {
            Status::Cancelled => (
                words.answers.0,
                Status::Cancelled,
                format!("run {run} is {}", words.done),
            ),
            status => (
                words.answers.1,
                status,
                format!(
                    "run {run} is {status}: what comes before its end is not over; {}",
                    cx.goes_on(&run, false, By::worker(cx.has_worker(&engine)))
                ),
            ),
        },
        // It is what was wanted when the wait began.
        StopAnswer::Already(status) if stays.wait.is_some() && words.is(status) => (
            words.answers.0,
            status,
            format!("run {run} is {}", words.done),
        ),
        StopAnswer::Already(status) => (
            Answer::already(status),
            status,
            format!("nothing to {}: run {run} is {status}", words.verb),
        ),
    };
    // What this command found or did; somebody else may have moved the run since.
    let document = || Stopped {
        id: run.clone(),
        answer,
        status,
    };
    Ok(cx.reply(Exit::Completed, document, || text))
}
