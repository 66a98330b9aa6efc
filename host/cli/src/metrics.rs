//! `milepost metrics`: how a store stands, in numbers that a monitor can scrape.

use std::fmt::Write as _;
use std::time::SystemTime;

use clap::Args;
use milepost::core::state::Status;
use milepost::core::time::Timestamp;
use milepost::store::{Ask, Filter, Look};

use super::context::{Context, Reply};
use super::documents::{Bucket, Metrics};
use super::drive::wait;
use super::exit::Exit;
use super::failure::Failure;
use super::{kv, place};

/// Print how the store stands, for a monitoring system
///
/// Prints numbers in the text format of Prometheus: runs by status, how long runs have waited for a worker, expired leases,
/// the size of the store and of its buckets. Nothing is sent anywhere.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost metrics
  milepost metrics > /var/lib/node_exporter/milepost.prom    # for the textfile collector")]
pub(crate) struct MetricsArgs {}

/// Running runs that are looked at at once.
const PAGE: usize = 1_000;

pub(super) fn run(_: &MetricsArgs, cx: &Context) -> Result<Reply, Failure> {
    let store = place::open_to_read(&cx.store)?;
    let now = Timestamp::from(SystemTime::now());
    let mut runs = std::collections::BTreeMap::new();
    for status in Status::ALL {
        let filter = Filter {
            statuses: vec![status],
            ..Filter::default()
        };
        runs.insert(status, wait(store.count(&filter))? as u64);
    }
    let offer = wait(store.offer(&Ask {
        room: 1,
        ..Ask::default()
    }))?;
    // A paused run waits since it was due, a pending one since it was last written.
    let waiting = offer.rows.first();
    let since = waiting.map(|row| row.due_at.unwrap_or(row.updated_at));
    let mut expired = 0;
    let mut look = Look {
        limit: PAGE,
        ..Look::default()
    };
    let next_due = loop {
        let found = wait(store.look(&look))?;
        let over = |lease: Option<Timestamp>| lease.is_none_or(|until| until <= now);
        expired += found
            .running
            .iter()
            .filter(|row| over(row.lease_until))
            .count() as u64;
        match found.next {
            Some(next) => look.after = Some(next),
            None => break found.next_due,
        }
    };
    let space = wait(store.space())?;
    let metrics = Metrics {
        runs,
        oldest_waiting_seconds: since.map_or(0.0, |since| now.since(since).as_secs_f64()),
        next_due_at: next_due,
        expired_leases: expired,
        store_bytes: space.bytes,
        store_unused_bytes: space.unused_bytes,
        buckets: kv::all_buckets(store.as_ref())?,
    };
    let text = text(&metrics);
    Ok(cx.reply(Exit::Completed, || metrics, || text))
}

fn text(metrics: &Metrics) -> String {
    let mut out = String::new();
    let mut family = |name: &str, help: &str, rows: &[(String, String)]| {
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "# HELP milepost_{name} {help}\n# TYPE milepost_{name} gauge"
        );
        for (labels, value) in rows {
            let _ = writeln!(out, "milepost_{name}{labels} {value}");
        }
    };
    let one = |value: String| [(String::new(), value)];
    let runs = metrics.runs.iter();
    let runs: Vec<_> = runs
        .map(|(status, count)| (format!("{{status=\"{status}\"}}"), count.to_string()))
        .collect();
    family("runs", "Runs in the store, by status.", &runs);
    family(
        "oldest_waiting_seconds",
        "How long the run has waited for a worker that has waited longest; 0 when none waits.",
        &one(format!("{:.3}", metrics.oldest_waiting_seconds)),
    );
    family(
        "expired_leases",
        "Running runs whose lease is over: their process may be gone.",
        &one(metrics.expired_leases.to_string()),
    );
    family(
        "store_bytes",
        "Size of the store's file.",
        &one(metrics.store_bytes.to_string()),
    );
    family(
        "store_unused_bytes",
        "Bytes of it that nothing uses.",
        &one(metrics.store_unused_bytes.to_string()),
    );
    let of = |value: fn(&Bucket) -> u64| -> Vec<(String, String)> {
        let buckets = metrics.buckets.iter();
        buckets
            .map(|bucket| {
                let labels = format!("{{bucket=\"{}\"}}", label(&bucket.name));
                (labels, value(bucket).to_string())
            })
            .collect()
    };
    family(
        "bucket_keys",
        "Keys in a bucket.",
        &of(|bucket| bucket.keys),
    );
    family(
        "bucket_bytes",
        "Bytes of the keys and values of a bucket.",
        &of(|bucket| bucket.bytes),
    );
    out.truncate(out.trim_end().len());
    out
}

/// A value of a label, as the format writes it.
fn label(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}
