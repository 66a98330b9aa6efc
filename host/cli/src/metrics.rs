//! `milepost metrics`: how a store stands, in numbers that a monitor can scrape.

use std::fmt::{Display, Write as _};
use std::time::SystemTime;

use clap::Args;
use milepost::core::state::Status;
use milepost::core::time::Timestamp;
use milepost::metrics::{self, Family, Kind, Reading};
use milepost::store::{Ask, Filter, Look};

use super::context::{Context, Reply};
use super::documents::{Bucket, Counted, Metrics, Range};
use super::drive::wait;
use super::exit::Exit;
use super::failure::Failure;
use super::{kv, place};

/// Print how the store stands, for a monitoring system
///
/// Prints numbers in the text format of Prometheus: runs by status, how long runs have waited for a worker, expired leases,
/// the size of the store and of its buckets; and what all processes have counted since the store was made: steps, attempts
/// and how long they took, commits, lease renewals, recoveries. Nothing is sent anywhere.
///
/// A process adds what it counted every 10 seconds, and when it ends. One that is killed loses what it counted since.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost metrics
  milepost metrics > /var/lib/node_exporter/milepost.prom")]
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
    let readings = wait(metrics::read(store.as_ref()))?;
    let metrics = Metrics {
        runs,
        oldest_waiting_seconds: since.map_or(0.0, |since| now.since(since).as_secs_f64()),
        next_due_at: next_due,
        expired_leases: expired,
        store_bytes: space.bytes,
        store_unused_bytes: space.unused_bytes,
        buckets: kv::all_buckets(store.as_ref())?,
        counted: readings.iter().map(counted).collect(),
    };
    let text = text(&metrics, &readings);
    Ok(cx.reply(Exit::Completed, || metrics, || text))
}

fn text(metrics: &Metrics, counted: &[Reading]) -> String {
    let mut out = String::new();
    let runs = metrics.runs.iter();
    let runs = runs.map(|(status, count)| (labelled("status", status), count.to_string()));
    gauge(&mut out, "runs", "Runs in the store, by status.", runs);
    let one = |value: String| [(String::new(), value)];
    gauge(
        &mut out,
        "oldest_waiting_seconds",
        "How long the run has waited for a worker that has waited longest; 0 when none waits.",
        one(format!("{:.3}", metrics.oldest_waiting_seconds)),
    );
    gauge(
        &mut out,
        "expired_leases",
        "Running runs whose lease is over: their process may be gone.",
        one(metrics.expired_leases.to_string()),
    );
    gauge(
        &mut out,
        "store_bytes",
        "Size of the store's file.",
        one(metrics.store_bytes.to_string()),
    );
    gauge(
        &mut out,
        "store_unused_bytes",
        "Bytes of it that nothing uses.",
        one(metrics.store_unused_bytes.to_string()),
    );
    let of = |value: fn(&Bucket) -> u64| {
        let buckets = metrics.buckets.iter();
        buckets.map(move |bucket| (labelled("bucket", &bucket.name), value(bucket).to_string()))
    };
    let keys = of(|bucket| bucket.keys);
    gauge(&mut out, "bucket_keys", "Keys in a bucket.", keys);
    let bytes = of(|bucket| bucket.bytes);
    gauge(
        &mut out,
        "bucket_bytes",
        "Bytes of the keys and values of a bucket.",
        bytes,
    );
    for reading in counted {
        count(&mut out, reading);
    }
    out.truncate(out.trim_end().len());
    out
}

fn head(out: &mut String, name: &str, help: &str, kind: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(
        out,
        "# HELP milepost_{name} {help}\n# TYPE milepost_{name} {kind}"
    );
}

/// What stands as it does now.
fn gauge(
    out: &mut String,
    name: &str,
    help: &str,
    rows: impl IntoIterator<Item = (String, String)>,
) {
    head(out, name, help, "gauge");
    for (labels, value) in rows {
        let _ = writeln!(out, "milepost_{name}{labels} {value}");
    }
}

/// What was counted since the store was made.
fn count(out: &mut String, reading: &Reading) {
    let Family { name, help, kind } = reading.family;
    let numbers = reading.numbers.iter();
    match kind {
        Kind::Total | Kind::By { .. } => head(out, name, help, "counter"),
        Kind::Histogram { .. } => head(out, name, help, "histogram"),
    }
    match kind {
        Kind::Total => {
            let _ = writeln!(out, "milepost_{name} {}", numbers.sum::<u64>());
        }
        Kind::By { label, values } => {
            for (value, number) in values.iter().zip(numbers) {
                let labels = labelled(label, value);
                let _ = writeln!(out, "milepost_{name}{labels} {number}");
            }
        }
        Kind::Histogram { bounds, per_unit } => {
            let bounds = bounds.iter().map(|bound| in_units(*bound, *per_unit));
            let bounds = bounds.chain(["+Inf".to_owned()]);
            let mut so_far = 0;
            for (bound, number) in bounds.zip(numbers) {
                so_far += number;
                let labels = labelled("le", bound);
                let _ = writeln!(out, "milepost_{name}_bucket{labels} {so_far}");
            }
            let sum = in_units(reading.sum, *per_unit);
            let _ = writeln!(
                out,
                "milepost_{name}_sum {sum}\nmilepost_{name}_count {so_far}"
            );
        }
    }
}

/// An amount in the unit of its family.
#[expect(clippy::cast_precision_loss, reason = "it is a measurement")]
fn in_units(amount: u64, per_unit: u64) -> String {
    match per_unit {
        1 => amount.to_string(),
        _ => (amount as f64 / per_unit as f64).to_string(),
    }
}

/// A label with a value, as the format writes it.
fn labelled(name: &str, value: impl Display) -> String {
    let value = value
        .to_string()
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    format!("{{{name}=\"{value}\"}}")
}

/// The same for programs.
fn counted(reading: &Reading) -> Counted {
    let Family { name, kind, .. } = reading.family;
    let numbers = reading.numbers.iter().copied();
    let unit = |amount: u64, per_unit: u64| in_units(amount, per_unit).parse().unwrap_or_default();
    match kind {
        Kind::Total => Counted::Total {
            name: (*name).to_owned(),
            value: numbers.sum(),
        },
        Kind::By { label, values } => Counted::By {
            name: (*name).to_owned(),
            label: (*label).to_owned(),
            values: values
                .iter()
                .map(|value| (*value).to_owned())
                .zip(numbers)
                .collect(),
        },
        Kind::Histogram { bounds, per_unit } => {
            let bounds = bounds.iter().map(|bound| Some(unit(*bound, *per_unit)));
            let ranges = bounds.chain([None]).zip(numbers);
            Counted::Histogram {
                name: (*name).to_owned(),
                count: reading.numbers.iter().sum(),
                sum: unit(reading.sum, *per_unit),
                ranges: ranges
                    .map(|(up_to, count)| Range { up_to, count })
                    .collect(),
            }
        }
    }
}
