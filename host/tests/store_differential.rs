//! Random histories, told to the SQLite store and to the one in memory: every answer and everything that can be read must be
//! the same. `PROPTEST_CASES` sets how many histories are tried.

#![expect(clippy::unwrap_used, reason = "a test")]

mod store;

use std::fmt::Debug;
use std::task::Poll;

use milepost::store::memory::MemoryStore;
use milepost::store::sqlite::{Durability, SqliteStore};
use milepost::store::{Expect, Filter, Store, Write};
use milepost_core::ids::{Digest, Epoch};
use milepost_core::state::Status;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use store::{ALL, With, at, create, id, poll_once, wait};

const RUNS: [&str; 4] = ["a", "ab", "b_1", "B"];
const PARTS: [&str; 4] = ["p", "q", "p/1", "now"];
const BLOBS: [&[u8]; 3] = [b"", b"one", b"two"];

/// One thing done to both stores. Indexes choose from the constants above.
#[derive(Debug, Clone)]
enum Op {
    Write(Change),
    /// Several writes on their way at once: SQLite may join them into one transaction.
    Together(Vec<Change>),
    Cancel {
        run: usize,
        seconds: u64,
    },
    Renew {
        run: usize,
        epoch_off: i64,
        seconds: u64,
    },
    List {
        statuses: Vec<Status>,
        workflow: Option<bool>,
        limit: Option<usize>,
    },
    Prefix {
        prefix: &'static str,
        limit: usize,
    },
    Page {
        run: usize,
        after: u64,
        limit: usize,
    },
    /// Ends the store and opens the file again.
    Reopen,
}

#[derive(Debug, Clone)]
struct Change {
    run: usize,
    /// Create, or how far the expected place is off the present one.
    expect: Option<(i64, i64)>,
    claim: Option<u64>,
    status: Status,
    seconds: u64,
    workflow: bool,
    stop: Option<u64>,
    recoveries: u32,
    entries: Vec<i64>,
    parts: Vec<(usize, Option<u8>)>,
    logs: Vec<u8>,
    blobs: Vec<usize>,
}

fn mostly_zero() -> impl Strategy<Value = i64> {
    prop_oneof![9 => Just(0), 1 => -1..=2_i64]
}

fn status() -> impl Strategy<Value = Status> {
    prop_oneof![
        3 => Just(Status::Running),
        2 => prop::sample::select(Status::ALL.to_vec()),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    let place = prop_oneof![
        1 => Just(None),
        4 => (mostly_zero(), mostly_zero()).prop_map(Some),
    ];
    let head = (
        status(),
        0..20_u64,
        any::<bool>(),
        option::weighted(0.2, 0..20_u64),
        0..3_u32,
    );
    (
        (0..RUNS.len(), place, option::weighted(0.3, 0..99_u64)),
        head,
        vec(mostly_zero(), 0..3),
        vec((0..PARTS.len(), option::weighted(0.7, any::<u8>())), 0..4),
        vec(any::<u8>(), 0..3),
        vec(0..BLOBS.len(), 0..2),
    )
        .prop_map(
            |((run, expect, claim), head, entries, parts, logs, blobs)| {
                let (status, seconds, workflow, stop, recoveries) = head;
                Change {
                    run,
                    expect,
                    claim,
                    status,
                    seconds,
                    workflow,
                    stop,
                    recoveries,
                    entries,
                    parts,
                    logs,
                    blobs,
                }
            },
        )
}

fn op() -> impl Strategy<Value = Op> {
    let run = 0..RUNS.len();
    prop_oneof![
        12 => change().prop_map(Op::Write),
        2 => vec(change(), 2..6).prop_map(Op::Together),
        2 => (run.clone(), 0..20_u64).prop_map(|(run, seconds)| Op::Cancel { run, seconds }),
        2 => (run.clone(), mostly_zero(), 0..99_u64)
            .prop_map(|(run, epoch_off, seconds)| Op::Renew { run, epoch_off, seconds }),
        2 => (vec(status(), 0..3), option::of(any::<bool>()), option::of(0..5_usize))
            .prop_map(|(statuses, workflow, limit)| Op::List { statuses, workflow, limit }),
        1 => (prop::sample::select(vec!["", "a", "b_", "%", "_"]), 0..4_usize)
            .prop_map(|(prefix, limit)| Op::Prefix { prefix, limit }),
        1 => (run, 0..4_u64, 0..4_usize)
            .prop_map(|(run, after, limit)| Op::Page { run, after, limit }),
        1 => Just(Op::Reopen),
    ]
}

/// A write at the place where the run stands now, or beside it.
fn resolve(store: &dyn Store, change: &Change) -> Write {
    let run = RUNS[change.run];
    let row = store.row(&id(run)).unwrap();
    let (seq, epoch) = row.map_or((0, 0), |row| (row.seq, row.epoch.0));
    let mut write = create(run)
        .status(change.status)
        .at(change.seconds)
        .workflow(if change.workflow { "x" } else { "y" });
    let mut next = 0;
    if let Some((seq_off, epoch_off)) = change.expect {
        let seq = seq.saturating_add_signed(seq_off);
        let epoch = Epoch(epoch.saturating_add_signed(epoch_off));
        write.expect = Expect::At { seq, epoch };
        next = seq;
    }
    if let Some(lease) = change.claim {
        write = write.claim(&lease.to_string(), lease);
    }
    write.head.stop_code = change.stop.map(|n| format!("code {n}"));
    write.head.due_at = change.stop.map(at);
    write.head.recoveries = change.recoveries;
    for off in &change.entries {
        next = (next + 1).saturating_add_signed(*off);
        write = write.entry(next);
    }
    for (part, body) in &change.parts {
        write = match body {
            Some(body) => write.part(PARTS[*part], &body.to_string()),
            None => write.without(PARTS[*part]),
        };
    }
    for log in &change.logs {
        write = write.log(&log.to_string());
    }
    for blob in &change.blobs {
        write = write.blob(BLOBS[*blob]);
    }
    write
}

/// What a store answers, as a text to compare.
fn answer(store: &dyn Store, op: &Op, writes: &[Write]) -> String {
    match op {
        Op::Write(_) | Op::Together(_) => text(wait(all_at_once(store, writes))),
        Op::Cancel { run, seconds } => {
            text(wait(store.request_cancel(&id(RUNS[*run]), at(*seconds))))
        }
        Op::Renew {
            run,
            epoch_off,
            seconds,
        } => {
            let run = id(RUNS[*run]);
            let epoch = store.row(&run).unwrap().map_or(0, |row| row.epoch.0);
            let epoch = Epoch(epoch.saturating_add_signed(*epoch_off));
            text(wait(store.renew_lease(&run, epoch, at(*seconds))))
        }
        Op::List {
            statuses,
            workflow,
            limit,
        } => text(store.list(&Filter {
            statuses: statuses.clone(),
            workflow: workflow.map(|x| if x { "x" } else { "y" }.to_owned()),
            limit: *limit,
        })),
        Op::Prefix { prefix, limit } => text(store.ids_with_prefix(prefix, *limit)),
        Op::Page { run, after, limit } => text((
            store.journal(&id(RUNS[*run]), *after, *limit),
            store.logs(&id(RUNS[*run]), *after, *limit),
        )),
        Op::Reopen => String::new(),
    }
}

/// Starts all writes, in order, before the first is waited for.
async fn all_at_once(store: &dyn Store, writes: &[Write]) -> Vec<String> {
    let mut started = Vec::new();
    for write in writes {
        let mut future = store.write(write.clone());
        let early = poll_once(&mut future);
        started.push((future, early));
    }
    let mut answers = Vec::new();
    for (future, early) in started {
        answers.push(text(match early {
            Poll::Ready(answer) => answer,
            Poll::Pending => future.await,
        }));
    }
    answers
}

/// Everything that can be read.
fn snapshot(store: &dyn Store) -> String {
    let runs = RUNS.map(|run| {
        let run = id(run);
        text((
            store.row(&run),
            store.checkpoint(&run),
            store.journal(&run, 0, ALL),
            store.logs(&run, 0, ALL),
        ))
    });
    let blobs = BLOBS.map(|bytes| text(store.blob(&Digest::of(bytes))));
    text((runs, blobs, store.list(&Filter::default())))
}

fn text(value: impl Debug) -> String {
    format!("{value:#?}")
}

#[test]
fn sqlite_and_memory_answer_alike() {
    let cases = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(300);
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let history = vec(op(), 1..60);
    TestRunner::new(config)
        .run(&history, |ops| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("store.db");
            let open = || SqliteStore::open(&path, Durability::ProcessCrash).unwrap();
            let memory = MemoryStore::new();
            let mut sqlite = open();
            for op in &ops {
                let changes = match op {
                    Op::Write(change) => std::slice::from_ref(change),
                    Op::Together(changes) => changes,
                    Op::Reopen => {
                        drop(sqlite);
                        sqlite = open();
                        &[]
                    }
                    _ => &[],
                };
                let writes: Vec<_> = changes.iter().map(|c| resolve(&memory, c)).collect();
                prop_assert_eq!(answer(&sqlite, op, &writes), answer(&memory, op, &writes));
            }
            prop_assert_eq!(snapshot(&sqlite), snapshot(&memory));
            Ok(())
        })
        .unwrap();
}
