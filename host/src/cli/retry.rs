//! `milepost retry`: runs failed or named steps of a stopped run again.

use clap::Args;
use milepost::core::ids::StepId;
use milepost::engine::ResumeOptions;

use super::context::{Context, Reply};
use super::drive::{drive, recorded_limits};
use super::failure::Failure;
use super::{ending, ids, place};

/// Run the failed steps of a stopped run again
///
/// Runs the failed steps of a paused or failed run again, loops from their first pass.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost retry 7k3m
  milepost retry 7k3m --from collect    # that step and everything that depends on it, also what completed")]
pub(crate) struct RetryArgs {
    /// Id of the run, or its beginning
    run: String,
    /// Also run this step again, and every step that depends on it
    #[arg(long, value_name = "STEP")]
    from: Option<StepId>,
    /// Go on although the definition or a component has changed since
    #[arg(long)]
    accept_changes: bool,
}

pub(super) fn run(args: &RetryArgs, cx: &Context) -> Result<Reply, Failure> {
    let store = place::open_existing(&cx.store)?;
    let run = ids::resolve(store.as_ref(), &args.run)?;
    let limits = recorded_limits(store.as_ref(), &run);
    let (from, accept_changes) = (args.from.clone(), args.accept_changes);
    let report = drive(
        cx,
        store,
        cx.plugins(),
        limits,
        |engine, control| async move {
            let options = ResumeOptions {
                accept_changes,
                control,
            };
            engine.retry(&run, from.as_ref(), options).await
        },
    )?;
    Ok(ending::reply(cx, &report))
}
