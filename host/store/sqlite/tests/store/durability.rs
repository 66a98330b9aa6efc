//! What was acknowledged is there after a crash, and what failed left nothing; and what the commits cost.

use crate::store::Now as _;
use milepost_store::prelude::*;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use milepost_core::ids::RunId;
use milepost_core::time::Timestamp;
use milepost_store::{Filter, StoreError};
use milepost_store_sqlite::{Durability, SqliteStore};

use super::store::{Talk, With, change, create, id, start, step, wait};
use super::{Place, open};

#[test]
fn b106_what_was_saved_is_in_the_files_at_once() {
    let (place, image) = (Place::new(), Place::new());
    let store = place.open();
    store.save(start("r"));
    for seq in 0..20 {
        store.save(step("r", seq, 1).part("p", &seq.to_string()));
        // The files as a crash at this moment would leave them.
        for name in ["store.db", "store.db-wal"] {
            std::fs::copy(
                place.folder.path().join(name),
                image.folder.path().join(name),
            )
            .unwrap();
        }
        let _ = std::fs::remove_file(image.folder.path().join("store.db-shm"));
        let after_crash = image.open();
        assert_eq!(after_crash.see("r").seq, seq + 1);
        assert_eq!(after_crash.parts("r"), [("p".into(), seq.to_string())]);
    }
}

const CHILD: &str = "MILEPOST_TEST_STORE";

#[test]
#[ignore = "the child of b106_a_killed_process_loses_nothing_that_was_acknowledged"]
fn a_child_saves_until_it_is_killed() {
    let Some(path) = std::env::var_os(CHILD) else {
        return;
    };
    let store = open(Path::new(&path));
    let from = store.see("r").seq;
    for seq in from..from + 100_000 {
        store.save(step("r", seq, 1).part("p", &(seq + 1).to_string()));
        println!("{}", seq + 1);
    }
}

#[test]
fn b106_a_killed_process_loses_nothing_that_was_acknowledged() {
    let place = Place::new();
    place.open().save(start("r"));
    for lines in [1, 7, 40, 150] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "durability::a_child_saves_until_it_is_killed",
                "--exact",
                "--ignored",
                "--nocapture",
            ])
            .env(CHILD, place.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Kept until the end: a child that cannot print would end by itself.
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let acknowledged = output
            .by_ref()
            .filter_map(|line| line.unwrap().parse::<u64>().ok())
            .take(lines)
            .last()
            .unwrap();
        child.kill().unwrap();
        child.wait().unwrap();

        let store = place.open();
        let seq = store.see("r").seq;
        assert!(seq >= acknowledged, "{seq} is before {acknowledged}");
        assert_eq!(store.entries("r"), (1..=seq).collect::<Vec<_>>());
        assert_eq!(store.parts("r"), [("p".into(), seq.to_string())]);
    }
}

#[test]
fn a_lone_run_costs_one_commit_a_write() {
    let place = Place::new();
    let store = place.open();
    store.save(start("r"));
    assert_eq!(store.commits(), 1);
    for seq in 0..25 {
        store.save(
            step("r", seq, 1)
                .part("p", "1")
                .part("q", "1")
                .log("l")
                .blob(b"b"),
        );
    }
    assert_eq!(store.commits(), 26);
}

#[test]
fn a_refused_write_costs_no_commit() {
    let place = Place::new();
    let store = place.open();
    store.save(start("r"));
    for run in ["r", "unknown", "r"] {
        assert!(store.try_save(step(run, 9, 9)).is_err());
    }
    assert_eq!(store.commits(), 1);
}

/// Makes every checkpoint part of this name fail to be saved, as a full disk in the middle of a write would.
const POISON: &str = "CREATE TRIGGER poison BEFORE INSERT ON checkpoint WHEN NEW.part = 'poison'
                      BEGIN SELECT RAISE(ABORT, 'poison'); END";

#[test]
fn b105_a_write_that_fails_half_way_leaves_nothing() {
    let place = Place::new();
    let store = place.open();
    store.save(start("r").part("p", "old"));
    place.sql(POISON);
    let before = store.checkpoint(&id("r")).now().unwrap();
    let broken = step("r", 0, 1)
        .part("p", "new")
        .part("poison", "")
        .log("l")
        .blob(b"b");
    assert!(
        matches!(store.try_save(broken), Err(StoreError::Unavailable(text)) if text.reason.contains("poison"))
    );
    assert_eq!(store.checkpoint(&id("r")).now().unwrap(), before);
    assert!(store.entries("r").is_empty() && store.lines("r").is_empty());
    // And the same place can be tried again.
    store.save(step("r", 0, 1).part("p", "new"));
}

#[test]
fn writes_that_wait_are_joined_and_each_gets_its_own_answer() {
    let place = Place::new();
    let store = place.open();
    store.save(start("taken"));
    place.sql(POISON);
    let commits = store.commits();
    let plain: Vec<RunId> = (0..30).map(|n| id(&format!("r{n}"))).collect();
    let answers = wait(async {
        let mut writes: Vec<_> = plain.iter().map(|run| create(run.as_str())).collect();
        writes.push(create("taken"));
        writes.push(change("taken", 5, 1));
        joined(&place, &store, writes).await
    });
    assert!(answers[..30].iter().all(Result::is_ok));
    assert!(matches!(&answers[30], Err(StoreError::Exists(_))));
    assert!(matches!(&answers[31], Err(StoreError::Conflict { .. })));
    assert_eq!(store.commits() - commits, 1);
    assert_eq!(store.listed(&Filter::default()).len(), 31);
}

#[test]
fn b105_a_write_that_fails_among_others_fails_alone() {
    let place = Place::new();
    let store = place.open();
    store.save(start("r").part("p", "old"));
    place.sql(POISON);
    let answers = wait(async {
        let writes = vec![
            create("a").part("p", "1"),
            step("r", 0, 1).part("p", "new").part("poison", ""),
            create("b").part("p", "1"),
            step("r", 0, 1).part("p", "newer"),
        ];
        joined(&place, &store, writes).await
    });
    let saved: Vec<bool> = answers.iter().map(Result::is_ok).collect();
    assert_eq!(saved, [true, false, true, true]);
    assert!(matches!(&answers[1], Err(StoreError::Unavailable(_))));
    assert_eq!(store.parts("r"), [("p".into(), "newer".into())]);
    assert_eq!((store.parts("a").len(), store.parts("b").len()), (1, 1));
}

/// Holds the file's write lock until all writes wait; then lets them go.
async fn joined(
    place: &Place,
    store: &SqliteStore,
    writes: Vec<milepost_store::Write>,
) -> Vec<Result<milepost_store::Written, StoreError>> {
    let other = place.raw();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut waiting: Vec<_> = writes.into_iter().map(|write| store.write(write)).collect();
    for future in &mut waiting {
        assert!(super::store::poll_once(future).is_pending());
    }
    other.execute_batch("ROLLBACK").unwrap();
    let mut answers = Vec::new();
    for future in waiting {
        answers.push(future.await);
    }
    answers
}

#[test]
fn a_write_whose_caller_has_gone_is_made_whole_or_not_at_all() {
    let place = Place::new();
    let store = place.open();
    let other = place.raw();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut future = store.write(create("r").part("p", "1").entry(1));
    assert!(super::store::poll_once(&mut future).is_pending());
    drop(future);
    other.execute_batch("ROLLBACK").unwrap();
    // Dropping the store finishes what waits.
    drop(store);
    let store = place.open();
    assert_eq!((store.entries("r"), store.parts("r").len()), (vec![1], 1));
}

#[test]
fn the_log_of_writes_stays_small() {
    let place = Place::new();
    let store = SqliteStore::open(&place.path(), Durability::ProcessCrash).unwrap();
    let body = "x".repeat(100_000);
    store.save(start("r"));
    for seq in 0..1_000 {
        store.save(step("r", seq, 1).part("p", &body));
    }
    let wal = std::fs::metadata(place.folder.path().join("store.db-wal"))
        .unwrap()
        .len();
    assert!(
        wal < 20_000_000,
        "{wal} bytes of WAL after 100 MB of writes"
    );
}

#[test]
fn an_instant_beyond_the_range_becomes_its_end() {
    let place = Place::new();
    let store = place.open();
    let mut write = create("r");
    write.head.due_at = Some(Timestamp::from_nanos(u64::MAX));
    store.save(write);
    let end = Timestamp::from_nanos(u64::try_from(i64::MAX).unwrap());
    assert_eq!(store.see("r").due_at, Some(end));
}
