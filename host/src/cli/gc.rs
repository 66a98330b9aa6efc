//! `milepost gc`: removes old runs.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use milepost::core::state::Status;
use milepost::core::time::{Timestamp, parse_duration};
use serde_json::json;

use super::context::{Context, Reply};
use super::drive::runtime;
use super::exit::Exit;
use super::failure::Failure;

/// Remove old runs
///
/// Removes runs that are over and have been left alone for a time, with their events, logs and outputs.
///
/// Failed runs can be resumed, so they are only removed when asked for.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost gc                              # completed and cancelled runs, untouched for 30 days
  milepost gc --older-than 90d --status failed
  milepost gc --older-than 1h --dry-run")]
pub(crate) struct GcArgs {
    /// How long ago its last event has to be: `250ms`, `30s`, `5m`, `24h`, `30d`
    #[arg(long, value_name = "DURATION", default_value = "30d", value_parser = |text: &str| parse_duration(text))]
    older_than: Duration,
    /// Only runs with this status: `completed`, `cancelled` or `failed`; may be repeated; the first two by default
    #[arg(long, value_name = "STATUS", value_parser = status)]
    status: Vec<Status>,
    /// Only say which runs would be removed
    #[arg(long)]
    dry_run: bool,
}

fn status(text: &str) -> Result<Status, String> {
    match text.parse() {
        Ok(status @ (Status::Completed | Status::Cancelled | Status::Failed)) => Ok(status),
        Ok(status @ (Status::Pending | Status::Running | Status::Paused)) => Err(format!(
            "a {status} run is not over; cancel it first (`milepost cancel`)"
        )),
        Err(_) => Err("choose one of completed, cancelled, failed".to_owned()),
    }
}

pub(super) fn run(args: &GcArgs, cx: &Context) -> Result<Reply, Failure> {
    let statuses = match args.status.as_slice() {
        [] => &[Status::Completed, Status::Cancelled],
        named => named,
    };
    // Nothing is older than that.
    let before = SystemTime::now().checked_sub(args.older_than);
    let before = Timestamp::from(before.unwrap_or(UNIX_EPOCH));
    let engine = cx.engine()?;
    let collected = runtime()?.block_on(engine.collect(before, statuses, args.dry_run))?;
    for (run, reason) in &collected.kept {
        cx.warn(&format!("run {run} was not removed: {reason}"));
    }
    let kept = collected.kept.iter();
    let document = json!({
        "dry_run": args.dry_run,
        "before": before,
        "runs": collected.runs,
        "kept": kept.map(|(run, reason)| json!({ "id": run, "reason": reason })).collect::<Vec<_>>(),
    });
    Ok(cx.reply(Exit::Completed, &document, || {
        let count = collected.runs.len();
        let runs = if count == 1 { "run" } else { "runs" };
        if args.dry_run {
            let ids = collected.runs.iter().map(|run| format!("\n  {run}"));
            format!("{count} {runs} would be removed{}", ids.collect::<String>())
        } else {
            format!("{count} {runs} removed")
        }
    }))
}
