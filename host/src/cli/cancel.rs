//! `milepost cancel`: ends a run for good.

use clap::Args;
use milepost::engine::StopAnswer;
use serde_json::json;

use super::context::{Context, Reply};
use super::drive::runtime;
use super::exit::Exit;
use super::failure::Failure;
use super::ids;

/// End a run for good
///
/// Ends a run for good. One that another process runs is asked to end; its step gets a moment to clean up.
///
/// Cancelling a run that has ended changes nothing and is no error.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost cancel 7k3m")]
pub(crate) struct CancelArgs {
    /// Id of the run, or its beginning
    run: String,
}

pub(super) fn run(args: &CancelArgs, cx: &Context) -> Result<Reply, Failure> {
    let engine = cx.engine()?;
    let run = ids::resolve(engine.store().as_ref(), &args.run)?;
    let answer = runtime()?.block_on(engine.cancel(&run, "`milepost cancel`"))?;
    let (word, text) = match answer {
        StopAnswer::Done(_) => ("cancelled".to_owned(), format!("run {run} is cancelled")),
        StopAnswer::Asked => (
            "cancelling".to_owned(),
            format!("run {run} is running; its process was asked to end it"),
        ),
        StopAnswer::Already(status) => (
            format!("already_{status}"),
            format!("nothing to cancel: run {run} is {status}"),
        ),
    };
    let status = engine.store().row(&run)?.map(|row| row.status.as_str());
    let document = json!({ "id": run, "answer": word, "status": status });
    Ok(cx.reply(Exit::Completed, &document, || text))
}
