//! What looking over a large store costs: a worker's sweep, and the lists of `milepost ls`. The store holds 100,000 runs that are
//! over and 10,000 that are paused, a few of each kind that needs attention, and journals beside them.
//!
//! Run with `cargo bench --bench sweep`. `MILEPOST_BENCH_DIR` picks the disk.

#![expect(clippy::disallowed_macros, reason = "a benchmark prints its figures")]
#![expect(clippy::unwrap_used, reason = "a benchmark: whatever fails ends it")]

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use milepost::core::ids::{Epoch, RunId};
use milepost::core::recovery::{Liveness, judge};
use milepost::core::state::Status;
use milepost::core::time::Timestamp;
use milepost::store::prelude::*;
use milepost::store::sqlite::{Durability, SqliteStore};
use milepost::store::{
    Ask, Claim, Expect, Filter, Head, Kin, Look, NewSignal, Owner, Pages, RunRow, StoreClock,
    StoredEntry, Write,
};

const OVER: u64 = 100_000;
const PAUSED: u64 = 10_000;
/// Of each kind that a sweep has to look at.
const OPEN: u64 = 100;
const PENDING: u64 = OVER + PAUSED;
const RUNNING: u64 = PENDING + OPEN;
const RUNS: u64 = RUNNING + OPEN;
const LIMIT: usize = 1_000;
const ROUNDS: usize = 9;
/// About what a step with a small output leaves behind.
const BODY_BYTES: usize = 300;
const RARE: &str = "rare";
const AWAITED: &str = "approve";

fn main() {
    let parent =
        std::env::var_os("MILEPOST_BENCH_DIR").unwrap_or_else(|| std::env::temp_dir().into());
    println!("store in {}", Path::new(&parent).display());
    let folder = tempfile::tempdir_in(&parent).unwrap();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path, Durability::ProcessCrash).unwrap();
    let store = store.with_clock(StoreClock::new(now));
    let empty = median(|| sweep(&store));
    let start = Instant::now();
    fill(&store);
    println!(
        "{RUNS} runs written in {:.0} s, {:.0} MB",
        start.elapsed().as_secs_f64(),
        store.health().now_or_never().unwrap().unwrap().bytes as f64 / 1e6
    );
    let full = median(|| sweep(&store));
    println!("a sweep of {LIMIT}, judged (at most 20 ms): {}", ms(full));
    println!("  of an empty store: {}", ms(empty));
    println!("lists of 50 (each at most 100 ms)");
    for (name, filter) in filters() {
        println!("  {name:<24} {}", ms(median(|| list(&store, &filter))));
    }
    let count = store.count(&Filter::default()).now_or_never();
    println!(
        "every row, in pages: {} rows, {}",
        count.unwrap().unwrap(),
        ms(median(|| every_page(&store)))
    );
    let old = || {
        let over = [Status::Completed, Status::Failed, Status::Cancelled];
        let rows = store
            .written_before(now(), &over, LIMIT)
            .now_or_never()
            .unwrap()
            .unwrap();
        assert_eq!(rows.len(), LIMIT);
    };
    println!("the {LIMIT} oldest that are over: {}", ms(median(old)));
    let start = Instant::now();
    assert!(
        store
            .health()
            .now_or_never()
            .unwrap()
            .unwrap()
            .problems
            .is_empty()
    );
    println!("the whole store examined: {}", ms(start.elapsed()));
}

/// As a worker with room looks, without what it would then do.
fn sweep(store: &SqliteStore) {
    let look = Look {
        host: "bench".to_owned(),
        limit: LIMIT,
        after: None,
    };
    let found = store.look(&look).now_or_never().unwrap().unwrap();
    let ask = Ask {
        room: LIMIT,
        except: BTreeSet::new(),
    };
    let offer = store.offer(&ask).now_or_never().unwrap().unwrap();
    assert!(found.requested.is_empty() && found.unreadable.is_empty());
    let (of_each, open) = (OPEN as usize, [found.signalled.len(), found.running.len()]);
    assert!(open == [0; 2] || open == [of_each; 2]);
    assert!([0, 2 * of_each].contains(&offer.rows.len()));
    let expired = |row: &RunRow| row.lease_until.is_none_or(|until| until <= now());
    let judged = found
        .running
        .iter()
        .map(|row| judge(Liveness::Unknown, expired(row), row.recoveries));
    std::hint::black_box(judged.collect::<Vec<_>>());
}

fn list(store: &SqliteStore, filter: &Filter) {
    std::hint::black_box(store.list(filter).now_or_never().unwrap().unwrap());
}

fn every_page(store: &SqliteStore) {
    let mut pages = Pages::of(Filter::default());
    while let Some(page) = pages.next(store).now_or_never().unwrap().unwrap() {
        std::hint::black_box(page);
    }
}

fn filters() -> [(&'static str, Filter); 5] {
    let of = |statuses: &[Status], workflow: Option<&str>| Filter {
        statuses: statuses.to_vec(),
        workflow: workflow.map(str::to_owned),
        limit: 50,
        ..Filter::default()
    };
    [
        ("of all", of(&[], None)),
        ("of one status", of(&[Status::Completed], None)),
        (
            "of three statuses",
            of(&[Status::Completed, Status::Failed, Status::Paused], None),
        ),
        ("of one workflow", of(&[], Some(RARE))),
        ("of both", of(&[Status::Completed], Some(RARE))),
    ]
}

/// As runs leave them, oldest first: with a journal of two entries and a checkpoint part, which share the file's pages.
fn fill(store: &SqliteStore) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    runtime.block_on(async {
        let all: Vec<u64> = (0..RUNS).collect();
        // Together, they share their transactions.
        for together in all.chunks(1_000) {
            let writes = together.iter().map(|n| store.write(run(*n)));
            for written in join_all(writes).await {
                written.unwrap();
            }
        }
        for n in (OVER..OVER + PAUSED).step_by((PAUSED / OPEN) as usize) {
            let signal = NewSignal {
                name: AWAITED.to_owned(),
                data: "null".to_owned(),
                at: second(n),
                token: None,
            };
            store.send_signal(&id(n), signal).await.unwrap();
        }
    });
}

/// The runs that are over come first, then the paused ones, then what needs attention.
fn status(n: u64) -> Status {
    match n {
        0..OVER if n.is_multiple_of(10) => Status::Cancelled,
        0..OVER if n % 10 == 1 => Status::Failed,
        0..OVER => Status::Completed,
        OVER..PENDING => Status::Paused,
        PENDING..RUNNING => Status::Pending,
        _ => Status::Running,
    }
}

fn run(n: u64) -> Write {
    let (status, paused) = (status(n), status(n) == Status::Paused);
    let body = "x".repeat(BODY_BYTES);
    let workflow = match n.is_multiple_of(1_000) {
        true => RARE,
        false => "often",
    };
    let entry = |seq| StoredEntry {
        seq,
        at: second(n),
        epoch: Epoch(1),
        body: body.clone(),
    };
    Write {
        run: id(n),
        expect: Expect::Absent,
        claim: Some(Claim {
            owner: Owner {
                host: "bench".to_owned(),
                boot: "b7a2c0de-0000-4000-8000-000000000000".to_owned(),
                pid: 4_242,
                started: 1_234_567,
                nonce: "f00dfeed".to_owned(),
            },
            lease: Duration::from_secs(30),
        }),
        head: Head {
            stop_code: paused.then(|| "waiting".to_owned()),
            // Half of the paused runs have a time, most of them far away.
            due_at: (paused && n.is_multiple_of(2)).then(|| {
                second(if n.is_multiple_of(PAUSED / OPEN) {
                    n
                } else {
                    2 * RUNS
                })
            }),
            awaits: paused.then(|| AWAITED.to_owned()).into_iter().collect(),
            ..Head::new(workflow, status, second(n))
        },
        entries: vec![entry(1), entry(2)],
        parts: vec![("position".to_owned(), Some(body.clone()))],
        logs: Vec::new(),
        tapes: Vec::new(),
        renewed: Vec::new(),
        blobs: Vec::new(),
        named: Vec::new(),
        artifacts: Vec::new(),
        consumed: Vec::new(),
        kin: Kin::default(),
        moved: None,
    }
}

/// Ids do not grow with time, as in the field.
fn id(n: u64) -> RunId {
    let mixed = (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    RunId::new(&format!("r{mixed:016x}")).unwrap()
}

fn second(n: u64) -> Timestamp {
    Timestamp::from_nanos((1_700_000_000 + n) * 1_000_000_000)
}

/// After all that was written.
fn now() -> Timestamp {
    second(RUNS + 60)
}

fn median(mut measured: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            measured();
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[ROUNDS / 2]
}

fn ms(time: Duration) -> String {
    format!("{:8.2} ms", time.as_secs_f64() * 1e3)
}
