//! Damaged rows: an error of that run, which hides nothing else.

use milepost::store::{Filter, Store, StoreError, Write};
use milepost_core::ids::Digest;

use super::Place;
use super::store::{ALL, Talk, With, create, id, start, step};

fn damaged<T: std::fmt::Debug>(answer: Result<T, StoreError>, word: &str) {
    match answer {
        Err(StoreError::Corrupt(text)) => assert!(text.contains(word), "{text}"),
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
        ("cancel_requested_at", "-5"),
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

        damaged(store.row(&id("bad")), column);
        damaged(store.checkpoint(&id("bad")), "bad");
        let listing = store.list(&Filter::default()).unwrap();
        assert_eq!(listing.rows, [store.see("good")], "{column}");
        assert_eq!(listing.unreadable.len(), 1);
        assert_eq!(listing.unreadable[0].0, "bad");
        assert!(listing.unreadable[0].1.contains(column), "{listing:?}");
        assert_eq!(
            store.ids_with_prefix("", ALL).unwrap(),
            [id("bad"), id("good")]
        );
        store.save(step("good", 0, 1));
    }
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
        limit: Some(2),
        ..Filter::default()
    };
    let listing = store.list(&filter).unwrap();
    assert_eq!(
        (listing.rows.len(), listing.unreadable.len(), listing.more),
        (1, 1, 1)
    );
}

#[test]
fn an_id_that_is_none_is_listed_as_unreadable() {
    let place = Place::new();
    let store = place.open();
    store.save(create("bad"));
    store.save(create("good"));
    for id in ["'no id'", "''", "CAST(x'ff' AS TEXT)"] {
        place.sql(&format!("UPDATE run SET id = {id} WHERE id <> 'good'"));
        let listing = store.list(&Filter::default()).unwrap();
        assert_eq!(
            (listing.rows.len(), listing.unreadable.len()),
            (1, 1),
            "{id}"
        );
        assert_eq!(store.ids_with_prefix("", ALL).unwrap().len(), 1, "{id}");
    }
}

#[test]
fn damage_is_told_to_a_writer_that_is_refused() {
    let place = Place::new();
    let store = place.open();
    store.save(start("r"));
    place.sql("UPDATE run SET status = 'nonsense'");
    damaged(store.try_save(step("r", 7, 7)), "status");
    damaged(store.cancel("r", 1), "status");
    damaged(store.renew("r", 9, 1), "status");
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
        damaged(store.journal(&id("bad"), 0, ALL), "bad");
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
        damaged(store.logs(&id("bad"), 0, ALL), "bad");
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
    damaged(store.checkpoint(&id("bad")), "bad");
    assert_eq!(store.parts("good").len(), 1);
    place.sql("UPDATE checkpoint SET body = '1'");
    assert_eq!(store.parts("bad").len(), 1);
    place.sql("UPDATE run SET now = CAST(x'ff' AS TEXT) WHERE id = 'bad'");
    damaged(store.checkpoint(&id("bad")), "bad");
    assert_eq!(store.parts("good").len(), 1);
}

#[test]
fn a_damaged_blob_is_an_error_of_that_blob_alone() {
    let place = Place::new();
    let store = place.open();
    store.save(create("r").blob(b"bad").blob(b"good"));
    place.sql("UPDATE blob SET bytes = x'00' WHERE bytes = x'626164'");
    damaged(store.blob(&Digest::of(b"bad")), "digest");
    assert_eq!(store.blob(&Digest::of(b"good")).unwrap().unwrap(), b"good");
    // Saving it again does not hide the damage.
    store.save(Write {
        blobs: vec![(Digest::of(b"bad"), b"bad".to_vec())],
        ..create("s")
    });
    damaged(store.blob(&Digest::of(b"bad")), "digest");
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
        let opened = milepost::store::sqlite::SqliteStore::open(
            &place.path(),
            milepost::store::sqlite::Durability::PowerLoss,
        );
        let outcome = opened.and_then(|store| {
            store.list(&Filter::default())?;
            (0..20).try_for_each(|n| store.checkpoint(&id(&format!("r{n}"))).map(|_| ()))
        });
        assert!(
            matches!(outcome, Err(StoreError::Corrupt(_))),
            "{length}: {outcome:?}"
        );
        let _ = std::fs::remove_file(place.folder.path().join("store.db-wal"));
        let _ = std::fs::remove_file(place.folder.path().join("store.db-shm"));
    }
}
