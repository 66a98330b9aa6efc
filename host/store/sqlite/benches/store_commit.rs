//! What one durable step costs the store: alone, and among 64 runs. Compare only figures of one and the same run; the bare
//! transaction, measured first on the same disk, is the floor.

#![expect(clippy::disallowed_macros, reason = "a benchmark prints its figures")]
#![expect(clippy::unwrap_used, reason = "a measurement: whatever fails ends it")]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use milepost_core::checkpoint::NOW;
use milepost_core::ids::{Epoch, RunId};
use milepost_core::state::Status;
use milepost_core::time::Timestamp;
use milepost_store::prelude::*;
use milepost_store::{Claim, Expect, Head, Kin, Owner, StoredEntry, Write};
use milepost_store_sqlite::{Durability, SqliteStore};

const LONE_STEPS: u64 = 4_000;
const RUNS: u64 = 64;
const STEPS_PER_RUN: u64 = 1_000;
/// About what a step with a small output leaves behind.
const BODY_BYTES: usize = 300;

fn main() {
    let parent =
        std::env::var_os("MILEPOST_BENCH_DIR").unwrap_or_else(|| std::env::temp_dir().into());
    println!("store in {}", Path::new(&parent).display());
    for durability in [Durability::PowerLoss, Durability::ProcessCrash] {
        let folder = tempfile::tempdir_in(&parent).unwrap();
        let store = || SqliteStore::open(&folder.path().join("store.db"), durability).unwrap();
        println!("{durability:?}");
        println!(
            "  bare transaction       {:8.1} us",
            bare(folder.path(), durability)
        );
        lone(&store());
        let (multi, single) = (
            tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .build()
                .unwrap(),
            tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap(),
        );
        multi.block_on(many("two threads", Arc::new(store()), 'a'));
        single.block_on(many("one thread ", Arc::new(store()), 'b'));
    }
}

/// One insert per transaction, through the same library with the same settings.
fn bare(folder: &Path, durability: Durability) -> f64 {
    let db = rusqlite::Connection::open(folder.join("bare.db")).unwrap();
    let synchronous = match durability {
        Durability::PowerLoss => "FULL",
        Durability::ProcessCrash => "NORMAL",
    };
    db.execute_batch(&format!(
        "PRAGMA journal_mode = wal; PRAGMA synchronous = {synchronous}; CREATE TABLE t (x INTEGER PRIMARY KEY, body TEXT)"
    ))
    .unwrap();
    let body = "x".repeat(BODY_BYTES);
    let start = Instant::now();
    for _ in 0..LONE_STEPS {
        db.prepare_cached("INSERT INTO t (body) VALUES (?1)")
            .unwrap()
            .execute([&body])
            .unwrap();
    }
    micros_each(start, LONE_STEPS)
}

fn lone(store: &SqliteStore) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let run = RunId::new("lone").unwrap();
    let micros = runtime.block_on(async {
        store.write(created(&run)).await.unwrap();
        let start = Instant::now();
        for seq in 0..LONE_STEPS {
            store.write(step(&run, seq)).await.unwrap();
        }
        micros_each(start, LONE_STEPS)
    });
    println!("  step of a lone run     {micros:8.1} us");
}

async fn many(threads: &str, store: Arc<SqliteStore>, prefix: char) {
    let runs: Vec<RunId> = (0..RUNS)
        .map(|n| RunId::new(&format!("{prefix}{n}")).unwrap())
        .collect();
    for run in &runs {
        store.write(created(run)).await.unwrap();
    }
    let (start, commits) = (Instant::now(), store.commits());
    let tasks: Vec<_> = runs
        .into_iter()
        .map(|run| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for seq in 0..STEPS_PER_RUN {
                    store.write(step(&run, seq)).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let steps = RUNS * STEPS_PER_RUN;
    println!(
        "  {RUNS} runs, {threads}  {:8.0} steps/s, {:.3} commits a step",
        1e6 / micros_each(start, steps),
        (store.commits() - commits) as f64 / steps as f64,
    );
}

fn micros_each(start: Instant, count: u64) -> f64 {
    start.elapsed().as_secs_f64() * 1e6 / count as f64
}

fn created(run: &RunId) -> Write {
    Write {
        run: run.clone(),
        expect: Expect::Absent,
        claim: Some(Claim {
            owner: Owner {
                host: "bench".to_owned(),
                boot: "b7a2c0de-0000-4000-8000-000000000000".to_owned(),
                pid: 4_242,
                started: 1_234_567,
                nonce: "f00dfeed".to_owned(),
            },
            lease: std::time::Duration::from_secs(30),
        }),
        head: head(0),
        entries: Vec::new(),
        parts: Vec::new(),
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

/// One journal entry; the output of one of 20 steps, and the part that every write changes.
fn step(run: &RunId, seq: u64) -> Write {
    let body = "x".repeat(BODY_BYTES);
    Write {
        expect: Expect::At {
            seq,
            epoch: Epoch(1),
        },
        claim: None,
        head: head(seq),
        entries: vec![StoredEntry {
            seq: seq + 1,
            at: Timestamp::from_nanos(seq),
            epoch: Epoch(1),
            body: body.clone(),
        }],
        parts: vec![
            (format!("step/{}", seq % 20), Some(body)),
            (NOW.to_owned(), Some(format!("{{\"next\":{seq}}}"))),
        ],
        ..created(run)
    }
}

fn head(at: u64) -> Head {
    Head::new("bench", Status::Running, Timestamp::from_nanos(at))
}
