//! `milepost ls`: lists runs.

use std::time::{Duration, SystemTime};

use clap::Args;
use milepost::core::state::Status;
use milepost::core::time::Timestamp;
use milepost::store::{Filter, RunRow};
use serde_json::{Value, json};

use super::context::{Context, Reply};
use super::exit::Exit;
use super::failure::Failure;
use super::table::{Cell, Table};
use super::{format, place};

/// Rows of a table on a screen.
const SCREEN: usize = 50;

/// List runs, newest first
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost ls
  milepost ls --status paused --status failed
  milepost ls --workflow release-notes --limit 5
  milepost ls --json | jq '.[].id'")]
pub(crate) struct LsArgs {
    /// Only runs with this status; may be repeated
    #[arg(long, value_name = "STATUS", value_parser = status)]
    status: Vec<Status>,
    /// Only runs of this workflow
    #[arg(long, value_name = "NAME")]
    workflow: Option<String>,
    /// At most so many; 50 by default, all with --json
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

fn status(text: &str) -> Result<Status, String> {
    text.parse().map_err(|_| {
        let all: Vec<_> = Status::ALL.iter().map(|status| status.as_str()).collect();
        format!("choose one of {}", all.join(", "))
    })
}

pub(super) fn run(args: LsArgs, cx: &Context) -> Result<Reply, Failure> {
    let store = place::open_existing(&cx.store)?;
    let filtered = !args.status.is_empty() || args.workflow.is_some();
    let listing = store.list(&Filter {
        statuses: args.status,
        workflow: args.workflow,
        limit: args.limit.or((!cx.json).then_some(SCREEN)),
    })?;
    for (id, reason) in &listing.unreadable {
        cx.warn(&format!("run {id} cannot be read: {reason}"));
    }
    if listing.more > 0 {
        cx.note(&format!(
            "{} more; `--limit` shows more of them",
            listing.more
        ));
    }
    let now = SystemTime::now().into();
    let documents: Vec<Value> = listing.rows.iter().map(document).collect();
    Ok(cx.reply(Exit::Completed, &documents, || {
        if listing.rows.is_empty() {
            let which = if filtered {
                "no run is like that"
            } else {
                "no runs yet"
            };
            return format!("{which} (store: {})", cx.store.display());
        }
        table(cx, &listing.rows, now)
    }))
}

fn table(cx: &Context, rows: &[RunRow], now: Timestamp) -> String {
    let headings = ["ID", "WORKFLOW", "STATUS", "STARTED", "TOOK", "UPDATED"];
    let mut table = Table::new(headings.map(|text| Cell::painted(text, |text| cx.out.bold(text))));
    for row in rows {
        let status = match (&row.stop_code, row.status) {
            (Some(code), Status::Paused) => format!("paused ({code})"),
            _ => row.status.to_string(),
        };
        table.row([
            row.id.as_str().into(),
            row.workflow.as_str().into(),
            Cell::painted(&status, |text| cx.out.status(row.status, text)),
            format::ago(now, row.created_at).into(),
            format::length(took(row, now)).into(),
            format::ago(now, row.updated_at).into(),
        ]);
    }
    table.render()
}

/// A run that moves is still taking its time; any other one stopped with its last write (B235).
fn took(row: &RunRow, now: Timestamp) -> Duration {
    let until = match row.status {
        Status::Pending | Status::Running => now,
        Status::Paused | Status::Completed | Status::Failed | Status::Cancelled => row.updated_at,
    };
    until.since(row.created_at)
}

fn document(row: &RunRow) -> Value {
    json!({
        "id": row.id,
        "workflow": row.workflow,
        "status": row.status.as_str(),
        "stop_code": row.stop_code,
        "due_at": row.due_at,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "owner": row.owner.as_ref().map(|owner| json!({ "host": owner.host, "pid": owner.pid })),
        "lease_until": row.lease_until,
        "request": row.request,
        "events": row.seq,
        "epoch": row.epoch,
        "recoveries": row.recoveries,
    })
}
