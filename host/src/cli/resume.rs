//! `milepost resume`: goes on with a stopped run.

use clap::Args;
use milepost::engine::ResumeOptions;

use super::context::{Context, Reply};
use super::drive::{drive, recorded_limits};
use super::failure::Failure;
use super::{ending, ids, place};

/// Go on with a stopped run from its checkpoint
///
/// Goes on with a paused or failed run, or with one whose process is gone.
///
/// Completed steps are not run again; failed ones are. A loop goes on in the pass where it stopped.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost resume 7k3m                     # any prefix that only one run has
  milepost resume 7k3m --accept-changes    # under the workflow and components as they are now")]
pub(crate) struct ResumeArgs {
    /// Id of the run, or its beginning
    run: String,
    /// Go on although the definition or a component has changed since
    #[arg(long)]
    accept_changes: bool,
}

pub(super) fn run(args: &ResumeArgs, cx: &Context) -> Result<Reply, Failure> {
    let store = place::open_existing(&cx.store)?;
    let run = ids::resolve(store.as_ref(), &args.run)?;
    let accept_changes = args.accept_changes;
    let limits = recorded_limits(store.as_ref(), &run);
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
            engine.resume(&run, options).await
        },
    )?;
    Ok(ending::reply(cx, &report))
}
