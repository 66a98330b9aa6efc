//! `milepost approve` and `milepost reject`: a person decides at an approval.

use clap::Args;
use milepost::core::ids::RunId;
use milepost::core::state::Status;
use milepost::core::wait::Verdict;
use milepost::engine::{ApprovalDecision, Decided, EngineError};

use super::context::{By, Context, Reply};
use super::documents;
use super::drive::wait;
use super::exit::Exit;
use super::failure::Failure;
use super::ids;
use super::meant;
use super::stop::finish;
use super::then::ThenArgs;
use super::world_args::WorldArgs;

/// Approve what a run waits for
///
/// Approves an approval at which a run asks. The first decision counts; repeating it is not an error. None counts after the
/// approval's timeout.
///
/// A run that is paused is continued by a worker or `milepost resume`; one that runs goes on with the decision. With `--resume` or
/// `--follow`, the answer is the run where it stops next, with the exit codes of `run`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost approve 7k3m
  milepost approve 7k3m --step release --comment 'tested on staging'
  milepost approve 7k3m --resume     # and continue the run here
  milepost approve 7k3m --follow     # and watch a worker continue it")]
pub(crate) struct ApproveArgs {
    #[command(flatten)]
    decision: DecisionArgs,
}

/// Reject what a run waits for
///
/// Rejects an approval at which a run asks. The first decision counts; repeating it is not an error. None counts after the
/// approval's timeout.
///
/// With `--resume` or `--follow`, the answer is the run where it stops next, with the exit codes of `run`.
///
/// The workflow defines what follows: its rework starts, the run continues with the rejection, or the run is cancelled. Steps with
/// `finally` of a run that is cancelled run here, with `--secrets` and within `--deny`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost reject 7k3m --comment 'the numbers of May are missing'
  milepost reject 7k3m --step release --by ops")]
pub(crate) struct RejectArgs {
    #[command(flatten)]
    decision: DecisionArgs,
}

/// Which approval, and what is recorded with the decision.
#[derive(Debug, Args)]
struct DecisionArgs {
    #[arg(help = ids::WHOLE)]
    run: String,
    /// The approval to decide; refused if the run waits at another one
    #[arg(long, value_name = "PATH", allow_hyphen_values = true)]
    step: Option<String>,
    /// Reason for the decision; the workflow can read it
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    comment: Option<String>,
    /// Who decides [default: your login name]
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    by: Option<String>,
    #[command(flatten)]
    then: ThenArgs,
    #[command(flatten)]
    world: WorldArgs,
}

impl ApproveArgs {
    pub(super) fn world(&self) -> &WorldArgs {
        &self.decision.world
    }
}

impl RejectArgs {
    pub(super) fn world(&self) -> &WorldArgs {
        &self.decision.world
    }
}

pub(super) fn approve(args: &ApproveArgs, cx: &Context) -> Result<Reply, Failure> {
    decide(&args.decision, Verdict::Approved, cx)
}

pub(super) fn reject(args: &RejectArgs, cx: &Context) -> Result<Reply, Failure> {
    decide(&args.decision, Verdict::Rejected, cx)
}

fn decide(args: &DecisionArgs, verdict: Verdict, cx: &Context) -> Result<Reply, Failure> {
    let world = args.world.read()?;
    let engine = cx.engine()?;
    let run = ids::resolve_to_change(cx, engine.store().as_ref(), &args.run)?;
    let decision = ApprovalDecision {
        path: args.step.clone(),
        verdict,
        comment: args.comment.clone(),
        by: args.by.clone().or_else(login_name),
    };
    let decided = async {
        match engine.decide_approval(&run, &decision).await {
            // Whoever got no answer asks again.
            Err(EngineError::AlreadyDecided(earlier))
                if earlier.says(verdict, args.comment.as_deref()) =>
            {
                Ok(Err(earlier))
            }
            decided => decided.map(Ok),
        }
    };
    let decided = wait(decided).map_err(|failure| match &args.step {
        Some(step) => meant::at(failure, engine.store().as_ref(), &run, step),
        None => failure,
    });
    let decided = match decided? {
        // It is cancelled, and its steps with `finally` are yet to run.
        Ok(decided) if decided.status == Status::Pending => {
            let status = finish(cx, &world, &run)?;
            Ok(Decided {
                status,
                goes_on: !status.is_terminal(),
                ..decided
            })
        }
        other => other,
    };
    let worker = cx.has_worker(&engine);
    let (document, text) = match decided {
        Ok(decided) => (
            documents::Decided::new(&run, &decided, worker),
            text(cx, &run, &decided, args.then.by(worker)),
        ),
        Err(earlier) => (
            documents::Decided::before(&earlier, worker),
            format!("nothing to {}: {earlier}", verb(verdict)),
        ),
    };
    let did = text.clone();
    let reply = cx.reply(Exit::Completed, || document, || text);
    args.then.reply(cx, &world, &run, (did.into(), reply))
}

fn text(cx: &Context, run: &RunId, decided: &Decided, by: By) -> String {
    if !decided.taken {
        return format!(
            "`{}` of run {run} will be {} when the process that runs it takes the decision; `{}` shows whether it has",
            decided.path,
            decided.decision,
            cx.command("show", run)
        );
    }
    let head = format!("`{}` of run {run} is {}", decided.path, decided.decision);
    let next = match decided.status {
        Status::Cancelled => "the run is cancelled".to_owned(),
        Status::Completed | Status::Failed => format!("the run is {}", decided.status),
        Status::Running => "the run goes on with it".to_owned(),
        _ => cx.goes_on(run, decided.held, by),
    };
    format!("{head}; {next}")
}

const fn verb(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Approved => "approve",
        Verdict::Rejected => "reject",
    }
}

fn login_name() -> Option<String> {
    ["USER", "LOGNAME"]
        .into_iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|name| !name.is_empty())
}
