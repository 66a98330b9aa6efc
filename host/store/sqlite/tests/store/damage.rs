//! Damaged rows: an error of that run, which hides nothing else.

use crate::store::Now as _;
use milepost_store::prelude::*;
use std::sync::Arc;

use milepost_core::ids::Digest;
use milepost_core::state::Status;
use milepost_store::{Claimed, Claims, Filter, Held, Pages, StopKind, StoreError, Write};
use milepost_store_sqlite::{Durability, SqliteStore};

use super::Place;
use super::store::{ALL, Talk, With, at, create, id, start, step, wait};

fn damaged<T: std::fmt::Debug>(answer: Result<T, StoreError>, word: &str) {
    match answer {
        Err(StoreError::Corrupt(text)) => assert!(text.what.contains(word), "{text}"),
        other => panic!("expected damage of {word}, got {other:?}"),
    }
}

#[test]
fn b244_a_damaged_row_is_an_error_of_that_run_alone() {
    for (column, value) in [
        ("status", "'nonsense'"),
        ("status", "''"),
        ("status", "x'ff'"),
        ("seq", "-1"),
        ("epoch", "-1"),
        ("created_at", "-1"),
        ("updated_at", "-1"),
        ("owner", "'{'"),
        ("owner", "'{}'"),
        ("owner", "'[]'"),
        ("lease_until", "-5"),
        ("due_at", "-5"),
        ("recoveries", "-1"),
        ("recoveries", "4294967296"),
        ("auto_resumes", "-1"),
        ("provider", "CAST(x'ff' AS TEXT)"),
        ("awaits", "'not json'"),
        ("awaits", "'{}'"),
        ("awaits", "'[1]'"),
        ("request", "'nonsense'"),
        ("detached_at", "-5"),
        ("workflow", "CAST(x'ff' AS TEXT)"),
    ] {
        let place = Place::new();
        let store = place.open();
        store.save(start("bad").part("p", "1"));
        store.save(start("good").part("p", "1"));
        let value = value.replace("x'ff'", "CAST(x'ff' AS TEXT)");
        place.sql(&format!(
            "UPDATE run SET {column} = {value} WHERE id = 'bad'"
        ));

        damaged(store.row(&id("bad")).now(), column);
        damaged(store.checkpoint(&id("bad")).now(), "bad");
        let listing = store.list(&Filter::default()).now().unwrap();
        assert_eq!(listing.rows, [store.see("good")], "{column}");
        assert_eq!(listing.unreadable.len(), 1);
        assert_eq!(listing.unreadable[0].0, "bad");
        assert!(listing.unreadable[0].1.contains(column), "{listing:?}");
        assert_eq!(
            store.ids_with_prefix("", ALL).now().unwrap(),
            [id("bad"), id("good")]
        );
        store.save(step("good", 0, 1));
    }
}

#[test]
fn an_entry_that_is_there_already_is_damage_of_that_run() {
    let place = Place::new();
    let store = place.open();
    for run in ["bad", "good"] {
        store.save(start(run));
        store.save(step(run, 0, 1));
    }
    place.sql("UPDATE run SET seq = 0 WHERE id = 'bad'");
    let row = store.see("bad");
    damaged(wait(store.write(step("bad", 0, 1))), "journal");
    assert_eq!(store.see("bad"), row, "nothing was written");
    store.save(step("good", 1, 1));
}

#[test]
fn a_damaged_row_counts_towards_the_limit() {
    let place = Place::new();
    let store = place.open();
    for n in 1..=3 {
        store.save(create(&format!("r{n}")).at(n));
    }
    place.sql("UPDATE run SET seq = -1 WHERE id = 'r3'");
    let filter = Filter {
        limit: 2,
        ..Filter::default()
    };
    let listing = store.list(&filter).now().unwrap();
    assert_eq!((listing.rows.len(), listing.unreadable.len()), (1, 1));
    assert_eq!(store.count(&filter).now().unwrap(), 3);
    let rest = Filter {
        after: listing.next,
        ..filter
    };
    assert_eq!(store.listed(&rest), ["r1"]);
}

#[test]
fn pages_go_on_after_rows_that_cannot_be_read() {
    let place = Place::new();
    let store = place.open();
    for n in 1..=5 {
        store.save(create(&format!("r{n}")).at(n));
    }
    place.sql("UPDATE run SET id = CAST(x'ff' AS TEXT) WHERE id = 'r4'");
    place.sql("UPDATE run SET created_at = -1 WHERE id = 'r2'");
    let mut pages = Pages::of(Filter {
        limit: 1,
        ..Filter::default()
    });
    let (mut read, mut unreadable) = (Vec::new(), 0);
    while let Some(page) = pages.next(&store).now().unwrap() {
        read.extend(page.rows.into_iter().map(|row| row.id.to_string()));
        unreadable += page.unreadable.len();
    }
    assert_eq!((read.join(" "), unreadable), ("r5 r3 r1".to_owned(), 2));
}

#[test]
fn an_id_that_is_none_is_listed_as_unreadable() {
    let place = Place::new();
    let store = place.open();
    store.save(create("bad"));
    store.save(create("good"));
    for id in ["'no id'", "''", "CAST(x'ff' AS TEXT)"] {
        place.sql(&format!("UPDATE run SET id = {id} WHERE id <> 'good'"));
        let listing = store.list(&Filter::default()).now().unwrap();
        assert_eq!(
            (listing.rows.len(), listing.unreadable.len()),
            (1, 1),
            "{id}"
        );
        assert_eq!(
            store.ids_with_prefix("", ALL).now().unwrap().len(),
            1,
            "{id}"
        );
    }
}

#[test]
fn damage_is_told_to_a_writer_that_is_refused() {
    let place = Place::new();
    let store = place.open();
    store.save(start("r"));
    place.sql("UPDATE run SET status = 'nonsense'");
    damaged(store.try_save(step("r", 7, 7)), "status");
    damaged(store.ask("r", StopKind::Kill, 1), "status");
    damaged(store.send("r", "a"), "status");
    damaged(store.detach("r", 9, 1), "status");
    damaged(store.remove("r", 9), "status");
}

#[test]
fn damaged_entries_and_log_lines_are_errors_of_that_run_alone() {
    let place = Place::new();
    let store = place.open();
    for run in ["bad", "good"] {
        store.save(create(run).entry(1).log("l"));
    }
    let of_bad = "WHERE run = (SELECT key FROM run WHERE id = 'bad')";
    for change in ["at = -1", "epoch = -1", "body = CAST(x'ff' AS TEXT)"] {
        place.sql(&format!("UPDATE journal SET {change} {of_bad}"));
        damaged(store.journal(&id("bad"), 0, ALL).now(), "bad");
        place.sql(&format!(
            "UPDATE journal SET at = 1, epoch = 1, body = '' {of_bad}"
        ));
    }
    for change in [
        "at = -1",
        "attempt = -1",
        "attempt = 4294967296",
        "path = CAST(x'ff' AS TEXT)",
    ] {
        place.sql(&format!("UPDATE log SET {change} {of_bad}"));
        damaged(store.logs(&id("bad"), 0, ALL).now(), "bad");
        place.sql(&format!(
            "UPDATE log SET at = 1, attempt = 1, path = '' {of_bad}"
        ));
    }
    assert_eq!(
        (store.entries("good"), store.lines("good").len()),
        (vec![1], 1)
    );
}

#[test]
fn a_damaged_part_is_an_error_of_that_run_alone() {
    let place = Place::new();
    let store = place.open();
    store.save(create("bad").part("p", "1"));
    store.save(create("good").part("p", "1"));
    place.sql("UPDATE checkpoint SET body = CAST(x'ff' AS TEXT) WHERE run = (SELECT key FROM run WHERE id = 'bad')");
    damaged(store.checkpoint(&id("bad")).now(), "bad");
    assert_eq!(store.parts("good").len(), 1);
    place.sql("UPDATE checkpoint SET body = '1'");
    assert_eq!(store.parts("bad").len(), 1);
    place.sql("UPDATE run SET present = CAST(x'ff' AS TEXT) WHERE id = 'bad'");
    damaged(store.checkpoint(&id("bad")).now(), "bad");
    assert_eq!(store.parts("good").len(), 1);
}

#[test]
fn a_damaged_blob_is_an_error_of_that_blob_alone() {
    let place = Place::new();
    let store = place.open();
    store.save(create("r").blob(b"bad").blob(b"good"));
    place.sql("UPDATE blob SET bytes = x'00' WHERE bytes = x'626164'");
    damaged(store.blob(&Digest::of(b"bad")).now(), "digest");
    assert_eq!(
        store.blob(&Digest::of(b"good")).now().unwrap().unwrap(),
        b"good"
    );
    // Whoever brings it again mends it for all; a lie mends nothing.
    let again = |run: &str, bytes: &'static [u8]| Write {
        blobs: vec![(Digest::of(b"bad"), Arc::from(bytes))],
        ..create(run)
    };
    store.save(again("s", b"lie"));
    damaged(store.blob(&Digest::of(b"bad")).now(), "digest");
    store.save(again("t", b"bad"));
    assert_eq!(
        store.blob(&Digest::of(b"bad")).now().unwrap().unwrap(),
        b"bad"
    );
}

/// A sum that cannot be right stops nobody from writing to the run.
#[test]
fn a_count_of_bytes_near_the_largest_number_does_not_overflow() {
    let place = Place::new();
    let store = place.open();
    store.save(start("r").entry(1));
    place.sql("UPDATE run SET stored_bytes = 9223372036854775807");
    store.save(step("r", 1, 1));
    store.save(step("r", 2, 1).status(Status::Paused));
    let largest = i64::MAX.unsigned_abs();
    assert_eq!(store.see("r").stored_bytes, largest);
    place.sql("UPDATE run SET stored_bytes = -1");
    damaged(store.row(&id("r")).now(), "stored_bytes");
}

#[test]
fn a_file_that_was_cut_off_is_damage_and_never_a_panic() {
    let place = Place::new();
    let store = place.open();
    let body = "x".repeat(20_000);
    for n in 0..20 {
        store.save(create(&format!("r{n}")).part("p", &body));
    }
    drop(store);
    let whole = std::fs::read(place.path()).unwrap();
    for length in [100, 4_096, 10_000, whole.len() / 2] {
        std::fs::write(place.path(), &whole[..length]).unwrap();
        let opened = SqliteStore::open(&place.path(), Durability::PowerLoss);
        let outcome = opened.and_then(|store| {
            store.list(&Filter::default()).now()?;
            (0..20).try_for_each(|n| store.checkpoint(&id(&format!("r{n}"))).now().map(|_| ()))
        });
        assert!(
            matches!(outcome, Err(StoreError::Corrupt(_))),
            "{length}: {outcome:?}"
        );
        let _ = std::fs::remove_file(place.folder.path().join("store.db-wal"));
        let _ = std::fs::remove_file(place.folder.path().join("store.db-shm"));
    }
}

/// What needs attention is found beside rows that cannot be read, and those are told of.
#[test]
fn b244_an_unreadable_row_hides_no_other_that_needs_attention() {
    let place = Place::new();
    let store = place.open();
    for run in ["bad", "good"] {
        let paused = || create(&format!("{run}-paused")).status(Status::Paused);
        store.save(create(&format!("{run}-pending")));
        store.save(start(&format!("{run}-running")));
        store.save(paused().due(1).awaits(&["go"]));
        store.post(&format!("{run}-paused"), "go");
        let requested = format!("{run}-requested");
        store.save(start(&requested));
        store.ask(&requested, StopKind::Kill, 1).unwrap();
        store.save(step(&requested, 0, 1).status(Status::Failed));
    }
    for damage in [
        "seq = -1",
        "awaits = 'not json'",
        "awaits = '[1]'",
        "recoveries = -1",
    ] {
        place.sql(&format!("UPDATE run SET {damage} WHERE id LIKE 'bad%'"));
        let attention = store.find(9, ALL).unwrap();
        assert_eq!(attention.pending, [store.see("good-pending")]);
        assert_eq!(attention.running, [store.see("good-running")]);
        assert_eq!(attention.due, [store.see("good-paused")]);
        assert_eq!(attention.signalled, [store.see("good-paused")]);
        assert_eq!(attention.requested, [store.see("good-requested")]);
        let unreadable: Vec<&str> = attention
            .unreadable
            .iter()
            .map(|bad| bad.0.as_str())
            .collect();
        // Each once, whichever lists it would have been in.
        let all = ["bad-paused", "bad-pending", "bad-requested", "bad-running"];
        assert_eq!(unreadable, all, "{damage}");
        let failed = store
            .written_before(at(9), &[Status::Failed], ALL)
            .now()
            .unwrap();
        assert_eq!(failed, [store.see("good-requested")]);
        place.sql("UPDATE run SET seq = (SELECT count(*) FROM journal WHERE journal.run = run.key), awaits = '[]', recoveries = 0");
        place.sql("UPDATE run SET awaits = '[\"go\"]' WHERE status = 'paused'");
    }
    assert!(store.find(9, ALL).unwrap().unreadable.is_empty());
}

#[test]
fn a_damaged_signal_is_an_error_of_that_run_alone() {
    let place = Place::new();
    let store = place.open();
    for run in ["bad", "good"] {
        store.save(start(run));
        store.post(run, "go");
    }
    place.sql("UPDATE signal SET at = -1 WHERE run = (SELECT key FROM run WHERE id = 'bad')");
    damaged(store.inbox(&id("bad"), ALL).now(), "bad");
    assert_eq!(store.waiting("good").len(), 1);
}

#[test]
fn damage_that_the_tables_show_is_a_problem_of_the_store() {
    for (damage, word) in [
        (
            "UPDATE run SET status = 'nonsense' WHERE id = 'bad'",
            "nonsense",
        ),
        (
            "PRAGMA foreign_keys = OFF; DELETE FROM run WHERE id = 'bad'",
            "do not exist",
        ),
        (
            "INSERT INTO blob VALUES (x'ff', x'00')",
            "1 blobs, or uses of blobs, have no valid digest",
        ),
    ] {
        let place = Place::new();
        let store = place.open();
        store.save(start("good").entry(1));
        store.save(start("bad").entry(1).entry(2).entry(3));
        assert_eq!(store.health().now().unwrap().problems, Vec::<String>::new());
        place.sql(damage);
        let problems = store.health().now().unwrap().problems;
        let told = problems
            .iter()
            .any(|problem| problem.to_lowercase().contains(&word.to_lowercase()));
        assert!(told, "{damage}: {problems:?}");
        assert_eq!(problems.len(), 1, "{damage}: {problems:?}");
    }
}

/// Every page of the file in turn, overwritten: examined, it is a problem; and nothing panics.
#[test]
fn a_damaged_page_is_a_problem_and_never_a_panic() {
    const PAGE: usize = 4_096;
    let place = Place::new();
    let store = place.open();
    for n in 0..20 {
        let write = start(&format!("r{n}")).entry(1).log("l").blob(b"b");
        store.save(write.part("p", &"x".repeat(3_000)));
        store.post(&format!("r{n}"), "go");
    }
    drop(store);
    let whole = std::fs::read(place.path()).unwrap();
    let mut told = 0;
    let pages = whole.len() / PAGE;
    // The first page says what the file is: without it, there is no store to examine.
    for page in 1..pages {
        let mut damaged = whole.clone();
        damaged[page * PAGE..(page + 1) * PAGE].fill(0xa5);
        std::fs::write(place.path(), &damaged).unwrap();
        let store = match SqliteStore::open(&place.path(), Durability::PowerLoss) {
            Ok(store) => store,
            // Of the schema: without it, either.
            Err(error) => {
                assert!(matches!(error, StoreError::Corrupt(_)), "{page}: {error}");
                told += 1;
                continue;
            }
        };
        let health = store.health().now().unwrap();
        told += usize::from(!health.problems.is_empty());
        let _ = store.find(9, ALL);
        let _ = store.written_before(at(9), &Status::ALL, ALL).now();
        let _ = store.list(&Filter::default()).now();
    }
    assert_eq!(told, pages - 1);
}

/// One row must not keep the claims of a whole process from being looked at.
#[test]
fn a_damaged_request_keeps_no_other_claim_from_being_kept() {
    let place = Place::new();
    let store = place.open();
    for run in ["bad", "good", "asked"] {
        store.save(start(run));
    }
    for run in ["bad", "asked"] {
        store.ask(run, StopKind::Cancel, 5).unwrap();
    }
    let held = ["asked", "bad", "good"].map(|run| Held {
        run: id(run),
        epoch: milepost_core::ids::Epoch(1),
    });
    for damage in [
        "requested_by = CAST(x'ff' AS TEXT)",
        "requested_by = NULL",
        "requested_at = -5",
        "request = 'nonsense'",
        "request = CAST(x'ff' AS TEXT)",
    ] {
        place.sql(&format!("UPDATE run SET {damage} WHERE id = 'bad'"));
        for renew in [None, Some(std::time::Duration::from_secs(90))] {
            let news = wait(Claims::keep(&store, &held, renew)).unwrap();
            let lost = news.iter().any(|news| news.what == Claimed::Lost);
            assert!(!lost, "{damage}");
            assert!(news.iter().any(|news| news.held.run == id("asked")));
        }
        assert_eq!(store.see("good").lease_until, Some(at(90)));
    }
}

/// The error of the database is there for whoever wants to look at it.
#[test]
fn an_error_keeps_the_one_that_it_came_from() {
    let place = Place::new();
    let store = place.open();
    store.save(start("r"));
    place.sql("DROP TABLE log");
    let error = store.logs(&id("r"), 0, 9).now().unwrap_err();
    let source = std::error::Error::source(&error).unwrap();
    let source = source.downcast_ref::<rusqlite::Error>().unwrap();
    assert!(source.to_string().contains("no such table: log"));
    // Its words are said once.
    assert_eq!(error.to_string().matches("no such table").count(), 1);
}
