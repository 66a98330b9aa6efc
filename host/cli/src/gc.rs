//! `milepost gc`: removes old runs, and gives the room that they took back to the disk.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use milepost::core::state::Status;
use milepost::core::time::{Timestamp, parse_duration};
use milepost::core::{limits, shown};
use milepost::engine::{EngineError, much_unused};
use milepost::store::{Release, Space, Swept};

use super::context::{Context, Reply};
use super::documents::{self, KeptRun};
use super::drive::wait;
use super::exit::Exit;
use super::failure::Failure;
use super::format;

/// Remove old runs
///
/// Removes runs that ended some time ago, with their events, logs and outputs, and artifacts that no run uses any more, and returns unused space
/// to the disk. Such an artifact is kept for an hour after it was last written, because a run may be about to use it.
///
/// Failed runs can still be resumed, so they are removed only when you ask for it with `--status failed`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost gc                              # ended, and untouched for 30 days
  milepost gc --older-than 90d --status failed
  milepost gc --older-than 1h --dry-run
  milepost gc --compact")]
pub(crate) struct GcArgs {
    /// Minimum age of a run's last event, such as `250ms`, `30s`, `5m`, `24h` or `30d`
    #[arg(long, value_name = "DURATION", default_value = "30d", value_parser = |text: &str| parse_duration(text))]
    older_than: Duration,
    /// Only runs with this status: `completed`, `cancelled` or `failed`; may be repeated [default: the first two]
    #[arg(long, value_name = "STATUS", value_parser = status)]
    status: Vec<Status>,
    /// Only list the runs and count the artifacts that would be removed
    #[arg(long)]
    dry_run: bool,
    /// Rewrite the whole file; needed once for a store made by an older version, whose file never shrinks otherwise. Needs
    /// as much free space as the store takes, and blocks other writers meanwhile
    #[arg(long, conflicts_with = "dry_run")]
    compact: bool,
}

fn status(text: &str) -> Result<Status, String> {
    match text.parse() {
        Ok(status @ (Status::Completed | Status::Cancelled | Status::Failed)) => Ok(status),
        Ok(status @ (Status::Pending | Status::Running | Status::Paused)) => Err(format!(
            "a {status} run has not ended; cancel it first (`milepost cancel`)"
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
    let engine = match args.dry_run {
        true => cx.engine_to_read()?,
        false => cx.engine()?,
    };
    let store = engine.store();
    let how = match args.compact {
        true => Release::Rewrite,
        false => Release::Unused,
    };
    let (collected, swept, young, room) = wait(async {
        let collected = engine.collect(before, statuses, args.dry_run).await?;
        let swept = store
            .sweep_artifacts(limits::ARTIFACT_GRACE, args.dry_run)
            .await?;
        // What is left and used by nobody is too young.
        let mut young = store.sweep_artifacts(Duration::ZERO, true).await?;
        if args.dry_run {
            young.artifacts = young.artifacts.saturating_sub(swept.artifacts);
            young.bytes = young.bytes.saturating_sub(swept.bytes);
        }
        let before = store.space().await?;
        if !args.dry_run {
            store.release(how).await?;
        }
        let after = store.space().await?;
        let given_back = before.bytes.saturating_sub(after.bytes);
        Ok::<_, EngineError>((collected, swept, young, Room { after, given_back }))
    })?;
    for (run, reason) in &collected.kept {
        cx.warn(format!("run {run} was not removed: {reason}"));
    }
    let kept = collected.kept.iter();
    let document = || documents::Collected {
        dry_run: args.dry_run,
        before,
        runs: collected.runs.clone(),
        artifacts: swept.artifacts,
        artifact_bytes: swept.bytes,
        young_artifacts: young.artifacts,
        given_back_bytes: room.given_back,
        unused_bytes: room.after.unused_bytes,
        kept: kept
            .map(|(id, reason)| KeptRun {
                id: id.clone(),
                reason: reason.clone(),
            })
            .collect(),
    };
    Ok(cx.reply(Exit::Completed, document, || {
        let count = collected.runs.len();
        let runs = format::count(count, "run");
        let mut text = if args.dry_run {
            let ids = collected.runs.iter().map(|run| format!("\n  {run}"));
            format!("{runs} would be removed{}", ids.collect::<String>())
        } else {
            format!("{runs} removed")
        };
        if swept.artifacts > 0 {
            let would = if args.dry_run { " would be" } else { "" };
            text.push_str(&format!("\n{}{would} removed", unused(swept)));
        }
        if young.artifacts > 0 {
            text.push_str(&format!(
                "\n{} kept, because a run may be about to use what is younger than {}",
                unused(young),
                format::length(limits::ARTIFACT_GRACE)
            ));
        }
        if let Some(said) = room.said(cx) {
            text.push('\n');
            text.push_str(&said);
        }
        text
    }))
}

/// Artifacts that no run uses, in words.
fn unused(swept: Swept) -> String {
    let count = usize::try_from(swept.artifacts).unwrap_or(usize::MAX);
    let artifacts = format::count(count, "artifact");
    format!(
        "{artifacts} that no run uses, {},",
        shown::bytes(swept.bytes)
    )
}

/// Room that is worth a word to a person.
const MUCH_GIVEN_BACK: u64 = 1024 * 1024;

/// What became of the room.
struct Room {
    after: Space,
    given_back: u64,
}

impl Room {
    fn said(&self, cx: &Context) -> Option<String> {
        let mut parts = Vec::new();
        if self.given_back >= MUCH_GIVEN_BACK {
            let bytes = shown::bytes(self.given_back);
            parts.push(format!("{bytes} returned to the disk"));
        }
        let Space {
            bytes,
            unused_bytes,
            gives_back,
        } = self.after;
        if much_unused(unused_bytes, bytes) {
            let verb = if gives_back { "gc" } else { "gc --compact" };
            parts.push(format!(
                "{} of the file's {} are unused; `{}` returns them to the disk",
                shown::bytes(unused_bytes),
                shown::bytes(bytes),
                cx.program(verb)
            ));
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}
