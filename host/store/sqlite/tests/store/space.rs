//! The room that removed runs leave behind.

use crate::store::Now as _;
use milepost_core::state::Status;
use milepost_store::prelude::*;
use milepost_store::{Release, Space};
use milepost_store_sqlite::{Durability, SqliteStore};

use super::Place;
use super::store::{Talk, With, start, step, wait};

/// A store of some megabytes, of which nearly everything was removed.
fn emptied(place: &Place) -> SqliteStore {
    let store = SqliteStore::open(&place.path(), Durability::ProcessCrash).unwrap();
    store.save(start("kept").part("p", "1").entry(1));
    for n in 0..20 {
        let run = format!("r{n}");
        store.save(start(&run).part("p", &"x".repeat(200_000)).entry(1));
        store.save(step(&run, 1, 1).status(Status::Completed));
    }
    for n in 0..20 {
        store.remove(&format!("r{n}"), 2).unwrap();
    }
    store
}

/// Size of the file once the log is folded into it.
fn size(place: &Place) -> u64 {
    std::fs::metadata(place.path()).unwrap().len()
}

#[test]
fn what_removed_runs_took_is_given_back() {
    let place = Place::new();
    let store = emptied(&place);
    let before = store.space().now().unwrap();
    assert!(
        before.gives_back && before.unused_bytes > 3_000_000,
        "{before:?}"
    );
    let health = store.health().now().unwrap();
    assert_eq!(
        (health.unused_bytes, health.gives_back),
        (before.unused_bytes, true)
    );
    wait(store.release(Release::Unused)).unwrap();
    let Space {
        bytes,
        unused_bytes,
        ..
    } = store.space().now().unwrap();
    assert_eq!(unused_bytes, 0);
    assert!(
        bytes < before.bytes / 10 && size(&place) == bytes,
        "{bytes}"
    );
    assert_eq!(
        (
            store.entries("kept"),
            store.health().now().unwrap().problems.len()
        ),
        (vec![1], 0)
    );
    // Nothing to do.
    wait(store.release(Release::Unused)).unwrap();
}

#[test]
fn the_file_of_an_older_store_is_rewritten_once_and_shrinks_from_then_on() {
    let place = Place::new();
    drop(place.open());
    place.sql("PRAGMA journal_mode = DELETE; PRAGMA auto_vacuum = NONE; VACUUM");
    let store = emptied(&place);
    let before = store.space().now().unwrap();
    assert!(
        !before.gives_back && before.unused_bytes > 3_000_000,
        "{before:?}"
    );
    wait(store.release(Release::Unused)).unwrap();
    assert_eq!(store.space().now().unwrap(), before, "it cannot");
    wait(store.release(Release::Rewrite)).unwrap();
    let after = store.space().now().unwrap();
    assert!(after.gives_back && after.unused_bytes == 0 && after.bytes < before.bytes / 10);
    assert_eq!(size(&place), after.bytes);
    drop(store);
    let store = emptied_again(&place);
    wait(store.release(Release::Unused)).unwrap();
    assert_eq!(store.space().now().unwrap().unused_bytes, 0);
    assert_eq!(
        (
            store.entries("kept"),
            store.health().now().unwrap().problems.len()
        ),
        (vec![1], 0)
    );
}

fn emptied_again(place: &Place) -> SqliteStore {
    let store = place.open();
    store.save(start("more").part("p", &"x".repeat(500_000)).entry(1));
    store.save(step("more", 1, 1).status(Status::Completed));
    store.remove("more", 2).unwrap();
    assert!(store.space().now().unwrap().unused_bytes > 400_000);
    store
}

/// Others write while much is given back, and a reader's view stays whole.
#[test]
fn giving_back_keeps_nobody_from_working() {
    let place = Place::new();
    let store = emptied(&place);
    let other = place.open();
    let reader = place.raw();
    let count = || -> i64 {
        reader
            .query_row("SELECT count(*) FROM run", [], |row| row.get(0))
            .unwrap()
    };
    reader.execute_batch("BEGIN").unwrap();
    let before = count();
    std::thread::scope(|scope| {
        let releasing = scope.spawn(|| wait(store.release(Release::Unused)));
        for seq in 1..50 {
            other.save(step("kept", seq, 1));
        }
        releasing.join().unwrap().unwrap();
    });
    assert_eq!(count(), before);
    reader.execute_batch("COMMIT").unwrap();
    assert_eq!(other.entries("kept").len(), 50);
    assert_eq!(store.space().now().unwrap().unused_bytes, 0);
}
