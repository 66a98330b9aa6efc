//! One file, several stores: what holds between processes.

use crate::store::Now as _;
use milepost_store::prelude::*;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use milepost_core::ids::{Digest, Epoch};
use milepost_core::state::Status;
use milepost_store::{Filter, StopKind, StoreError};
use milepost_store_sqlite::{Durability, SqliteStore};

use super::Place;
use super::store::{
    Talk, With, at, change, conflict, create, id, in_status, owner, poll_once, request, start,
    step, wait,
};

#[test]
fn a_reader_does_not_wait_for_a_writer() {
    let place = Place::new();
    let store = place.open();
    store.save(start("r").part("p", "old"));
    let other = place.raw();
    other
        .execute_batch(
            "BEGIN IMMEDIATE; UPDATE run SET seq = 99; UPDATE checkpoint SET body = 'new'",
        )
        .unwrap();
    // The open transaction is neither waited for nor seen.
    assert_eq!(
        (store.see("r").seq, store.listed(&Filter::default())),
        (0, vec!["r".into()])
    );
    assert_eq!(store.parts("r"), [("p".into(), "old".into())]);
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(
        (store.see("r").seq, store.parts("r")),
        (99, vec![("p".into(), "new".into())])
    );
}

#[test]
fn a_write_waits_for_another_process() {
    let place = Place::new();
    let store = place.open();
    let other = place.raw();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut future = store.write(create("r"));
    // The caller's thread is free meanwhile.
    assert!(poll_once(&mut future).is_pending());
    other.execute_batch("COMMIT").unwrap();
    wait(future).unwrap();
}

/// A store that writes all the time lets others in when they ask, however short its pauses are.
#[test]
fn a_busy_writer_does_not_keep_others_waiting() {
    const SIGNALS: u64 = 60;
    let place = Place::new();
    let (busy, other) = (place.open(), place.open());
    busy.save(start("busy"));
    busy.save(start("waiting").status(Status::Paused));
    let (over, steps) = (AtomicBool::new(false), AtomicU64::new(0));
    let waited = std::thread::scope(|scope| {
        scope.spawn(|| {
            for seq in 0.. {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                busy.save(step("busy", seq, 1));
                steps.store(seq + 1, Ordering::Relaxed);
            }
        });
        let mut waited = Vec::new();
        for _ in 0..SIGNALS {
            // The busy one is at work.
            let before = steps.load(Ordering::Relaxed) + 1;
            while steps.load(Ordering::Relaxed) <= before {
                std::thread::yield_now();
            }
            let asked = steps.load(Ordering::Relaxed);
            other.post("waiting", "go");
            waited.push(steps.load(Ordering::Relaxed) - asked);
        }
        over.store(true, Ordering::Relaxed);
        waited
    });
    // A few, because a machine may let the asking thread wait before it has asked; a hundred of them got in without turns.
    let mean = waited.iter().sum::<u64>() / SIGNALS;
    assert!(mean <= 10, "steps that got in before a signal: {waited:?}");
    assert_eq!(other.waiting("waiting").len() as u64, SIGNALS);
}

#[test]
fn a_writer_that_was_stopped_at_the_gate_is_passed_by() {
    let place = Place::new();
    let store = place.open();
    store.save(start("r"));
    let gate = std::fs::File::open(place.folder.path().join("store.db-gate")).unwrap();
    gate.lock().unwrap();
    for seq in 0..5 {
        store.save(step("r", seq, 1));
    }
    gate.unlock().unwrap();
    store.save(step("r", 5, 1));
    assert_eq!(store.entries("r").len(), 6);
}

#[test]
fn nobody_writes_while_a_store_is_held_between_its_transactions() {
    let place = Place::new();
    let (store, other) = (place.open(), place.open());
    store.save(start("r"));
    let other_saved = store.between_transactions(|| {
        let mut waiting = store.write(step("r", 0, 1));
        assert!(poll_once(&mut waiting).is_pending());
        // Somebody else can.
        other.save(create("s"));
        drop(waiting);
        other.listed(&Filter::default()).len()
    });
    assert_eq!(other_saved, 2);
}

#[test]
fn two_stores_see_each_others_writes() {
    let place = Place::new();
    let (one, two) = (place.open(), place.open());
    one.save(start("r").part("p", "1"));
    two.save(step("r", 0, 1).part("p", "2"));
    assert_eq!(one.parts("r"), [("p".into(), "2".into())]);
    assert_eq!(conflict(one.try_save(step("r", 0, 1))).2, 1);
    one.save(step("r", 1, 1));
    assert_eq!(two.entries("r"), [1, 2]);
}

#[test]
fn a_request_reaches_the_owner_in_another_process() {
    let place = Place::new();
    let (owning, asking) = (place.open(), place.open());
    owning.save(start("r"));
    asking.ask("r", StopKind::Cancel, 5).unwrap();
    let told = owning.save(step("r", 0, 1)).request;
    assert_eq!(told, Some(request(StopKind::Cancel, 5)));
    owning.save(step("r", 1, 1).status(Status::Cancelled));
    let over = asking.ask("r", StopKind::Kill, 6).unwrap();
    assert_eq!(over, Status::Cancelled);
}

#[test]
fn of_claims_through_several_stores_exactly_one_wins() {
    let place = Place::new();
    let stores: Vec<_> = (0..4).map(|_| place.open()).collect();
    for round in 0..10 {
        let run = format!("r{round}");
        in_status(&stores[0], &run, Status::Paused);
        let winners: Vec<String> = std::thread::scope(|scope| {
            let claims: Vec<_> = stores
                .iter()
                .enumerate()
                .map(|(n, store)| {
                    let run = &run;
                    scope.spawn(move || {
                        let claimed = store.try_save(step(run, 1, 1).claim(&n.to_string(), 60));
                        match claimed {
                            Ok(written) => Some((n, written.epoch)),
                            lost => {
                                assert_eq!(conflict(lost), (run.clone(), Status::Running, 2, 2));
                                None
                            }
                        }
                    })
                })
                .collect();
            let results = claims.into_iter().filter_map(|claim| claim.join().unwrap());
            results
                .map(|(n, epoch)| {
                    assert_eq!(epoch, Epoch(2));
                    n.to_string()
                })
                .collect()
        });
        assert_eq!(winners.len(), 1);
        assert_eq!(stores[3].see(&run).owner, Some(owner(&winners[0])));
    }
}

#[test]
fn many_runs_through_several_stores_lose_nothing() {
    const STEPS: u64 = 20;
    let place = Place::new();
    let stores: Vec<_> = (0..3).map(|_| place.open()).collect();
    std::thread::scope(|scope| {
        for (n, store) in stores.iter().enumerate() {
            for run in 0..4 {
                scope.spawn(move || {
                    let run = format!("r{n}-{run}");
                    store.save(start(&run));
                    for seq in 0..STEPS {
                        store.save(step(&run, seq, 1).log("l"));
                    }
                });
            }
        }
    });
    let ids = stores[0].ids_with_prefix("r", 100).now().unwrap();
    assert_eq!(ids.len(), 12);
    for run in ids {
        assert_eq!(
            stores[1].entries(run.as_str()),
            (1..=STEPS).collect::<Vec<_>>()
        );
        assert_eq!(
            stores[2]
                .logs(&id(run.as_str()), 0, 100)
                .now()
                .unwrap()
                .len(),
            20
        );
    }
}

/// How a child of this test is told what to do: `<store> <run> <nonce>`.
const CHILD: &str = "MILEPOST_TEST_CLAIM";

#[test]
#[ignore = "a child of b276_b282_of_many_processes_that_claim_one_run_exactly_one_wins"]
fn a_child_claims_when_it_is_told_to() {
    let Some(store) = std::env::var_os(CHILD) else {
        return;
    };
    let store = super::open(Path::new(&store));
    let seen = store.see("r");
    println!("{READY}");
    let mut go = String::new();
    std::io::stdin().read_line(&mut go).unwrap();
    let nonce = std::process::id().to_string();
    let claim = step("r", seen.seq, seen.epoch.0).claim(&nonce, 60);
    match store.try_save(claim.part("winner", &nonce)) {
        Ok(_) => println!("{WON}"),
        lost => println!("{LOST}{}", conflict(lost).1),
    }
}

const READY: &str = "child: ready";
const WON: &str = "child: won";
const LOST: &str = "child: lost, the run is ";

#[test]
fn b276_b282_of_many_processes_that_claim_one_run_exactly_one_wins() {
    let place = Place::new();
    let store = place.open();
    in_status(&store, "r", Status::Failed);
    for round in 1..=3 {
        let mut children: Vec<_> = (0..4)
            .map(|_| {
                let mut child = Command::new(std::env::current_exe().unwrap())
                    .args(["sharing::a_child_claims_when_it_is_told_to", "--exact"])
                    .args(["--ignored", "--nocapture"])
                    .env(CHILD, place.path())
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .spawn()
                    .unwrap();
                let lines = BufReader::new(child.stdout.take().unwrap()).lines();
                (child, lines.map(Result::unwrap))
            })
            .collect();
        // All have looked before any of them claims.
        for (_, lines) in &mut children {
            assert!(lines.any(|line| line.ends_with(READY)));
        }
        for (child, _) in &mut children {
            drop(child.stdin.take());
        }
        let mut winners = Vec::new();
        for (child, lines) in &mut children {
            let answer = lines.find(|line| line.contains("child: ")).unwrap();
            if answer.contains(WON) {
                winners.push(child.id().to_string());
            } else {
                assert!(answer.ends_with(&format!("{LOST}running")), "{answer}");
            }
            assert!(child.wait().unwrap().success());
        }
        assert_eq!(winners.len(), 1);
        // One entry, one trace: the others have written nothing.
        assert_eq!(store.see("r").owner, Some(owner(&winners[0])));
        assert_eq!(store.parts("r"), [("winner".into(), winners[0].clone())]);
        assert_eq!(store.entries("r"), (1..=1 + round).collect::<Vec<_>>());
        let epoch = store.see("r").epoch.0;
        store.save(change("r", 1 + round, epoch).status(Status::Failed));
    }
}

#[test]
fn b294_a_renewal_does_not_wait_for_a_long_read() {
    let place = Place::new();
    let store = place.open();
    store.save(start("r"));
    let reader = place.raw();
    reader.execute_batch("BEGIN").unwrap();
    let lease = || -> i64 {
        let sql = "SELECT lease_until FROM run";
        reader.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    let before = lease();
    // The read goes on for as long as this lasts, on this very thread: whoever waited for it would wait for ever.
    for round in 1..100 {
        store.renew("r", 1, 30 + round).unwrap();
        assert_eq!(store.see("r").lease_until, Some(at(30 + round)));
    }
    assert_eq!(lease(), before, "the read is still of its own moment");
}

/// A reader keeps what it sees in the log of writes. When it ends now and then, the log is folded in and used again.
#[test]
fn the_log_of_writes_stays_small_beside_readers() {
    let place = Place::new();
    let store = SqliteStore::open(&place.path(), Durability::ProcessCrash).unwrap();
    let body = "x".repeat(100_000);
    store.save(start("r"));
    let reader = place.raw();
    let mut largest = 0;
    for round in 0..10 {
        reader
            .execute_batch("BEGIN; SELECT count(*) FROM run")
            .unwrap();
        for seq in round * 100..(round + 1) * 100 {
            store.save(step("r", seq, 1).part("p", &body));
        }
        largest = largest.max(store.health().now().unwrap().wal_bytes);
        reader.execute_batch("COMMIT").unwrap();
    }
    let health = store.health().now().unwrap();
    assert!(health.bytes > 0 && health.problems.is_empty());
    assert!(
        (1..40_000_000).contains(&largest),
        "{largest} bytes of WAL after 100 MB of writes"
    );
}

/// B304: a decision and the entry that tells of it are one transaction. Without the entry there is no decision, and the same
/// decision may be made again.
#[test]
fn b304_a_decision_whose_entry_cannot_be_kept_is_not_made() {
    let place = Place::new();
    let store = place.open();
    store.save(
        create("r")
            .claim("a", 30)
            .status(Status::Paused)
            .awaits(&["go"]),
    );
    let number = store.post("r", "go");
    place.sql(
        "CREATE TRIGGER refusal BEFORE INSERT ON journal BEGIN SELECT RAISE(ABORT, 'no entry'); END",
    );
    let before = (
        store.checkpoint(&id("r")).now().unwrap(),
        store.waiting("r"),
    );
    let decision = || {
        let decision = step("r", 0, 1).claim("b", 60).part("p", "1").log("l");
        decision.blob(b"b").consume(&[number])
    };
    let refused = store.try_save(decision());
    assert!(
        matches!(&refused, Err(StoreError::Unavailable(text)) if text.reason.contains("no entry")),
        "{refused:?}"
    );
    assert_eq!(
        (
            store.checkpoint(&id("r")).now().unwrap(),
            store.waiting("r")
        ),
        before
    );
    assert!(store.lines("r").is_empty());
    assert_eq!(store.blob(&Digest::of(b"b")).now().unwrap(), None);
    place.sql("DROP TRIGGER refusal");
    store.save(decision());
    assert_eq!((store.entries("r"), store.waiting("r")), (vec![1], vec![]));
}

#[test]
fn a_deletion_that_fails_half_way_removes_nothing() {
    let place = Place::new();
    let store = place.open();
    store.save(start("r").part("p", "1").blob(b"b").entry(1));
    store.save(step("r", 1, 1).status(Status::Completed));
    place.sql(
        "CREATE TRIGGER refusal BEFORE DELETE ON run BEGIN SELECT RAISE(ABORT, 'not now'); END",
    );
    assert!(matches!(
        store.remove("r", 2),
        Err(StoreError::Unavailable(_))
    ));
    assert_eq!(
        (store.entries("r"), store.parts("r").len()),
        (vec![1, 2], 1)
    );
    assert!(store.blob(&Digest::of(b"b")).now().unwrap().is_some());
    place.sql("DROP TRIGGER refusal");
    store.remove("r", 2).unwrap();
    let rows_left = "SELECT (SELECT count(*) FROM run) + (SELECT count(*) FROM journal) + (SELECT count(*) FROM checkpoint)
        + (SELECT count(*) FROM blob) + (SELECT count(*) FROM blob_use)";
    let left: i64 = place
        .raw()
        .query_row(rows_left, [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 0);
}

#[test]
fn whoever_waits_for_a_hint_hears_of_what_this_process_brings() {
    let place = Place::new();
    let store = place.open();
    store.save(start("running"));
    let deeds: [&dyn Fn(); 3] = [
        &|| drop(store.save(create("new"))),
        &|| assert!(store.post("running", "a") > 0),
        &|| drop(store.save(step("running", 0, 1).status(Status::Pending))),
    ];
    for deed in deeds {
        let mut hint = store.hint();
        assert!(poll_once(&mut hint).is_pending());
        deed();
        wait(hint);
    }
    let mut hint = store.hint();
    store.save(create("claimed").status(Status::Running).claim("b", 9));
    assert!(poll_once(&mut hint).is_pending(), "nothing to take");
}
