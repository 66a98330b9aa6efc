//! Whose the files of a store are, and what happens when they go.
#![cfg(unix)]

use crate::store::Now as _;
use milepost_store::prelude::*;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::time::Duration;

use milepost_store::StoreError;
use milepost_store_sqlite::{Durability, SqliteStore};

use super::store::{ALL, Talk, With, create, id, start, step};
use super::{Place, open};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_new_database_and_its_side_files_are_private_also_in_an_open_folder() {
    for open_to in [0o755, 0o777, 0o1777] {
        let place = Place::new();
        fs::set_permissions(place.folder.path(), fs::Permissions::from_mode(open_to)).unwrap();
        let store = place.open();
        store.save(start("r").part("p", "1"));
        let files: Vec<_> = fs::read_dir(place.folder.path()).unwrap().collect();
        assert_eq!(
            files.len(),
            4,
            "database, log, shared memory, gate: {files:?}"
        );
        for file in files {
            let path = file.unwrap().path();
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
        assert_eq!(
            mode(place.folder.path()),
            open_to & 0o777,
            "it stays as it is"
        );
    }
    let place = Place::new();
    let made = place.folder.path().join("a/b");
    open(&made.join("store.db"));
    assert_eq!(mode(&made), 0o700);
}

#[test]
fn a_store_that_a_group_shares_stays_shared() {
    let place = Place::new();
    drop(place.open());
    fs::remove_file(place.folder.path().join("store.db-gate")).unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o640)).unwrap();
    place.open().save(start("r"));
    assert_eq!(mode(&place.path()), 0o640);
    assert_eq!(mode(&place.folder.path().join("store.db-gate")), 0o640);
}

#[test]
fn a_link_to_a_database_is_not_followed() {
    let (place, planted) = (Place::new(), Place::new());
    let refused = |opened: Result<SqliteStore, StoreError>| {
        assert!(
            matches!(&opened, Err(StoreError::Unavailable(text)) if text.reason.contains("is a link")),
            "{opened:?}"
        );
    };
    symlink(planted.path(), place.path()).unwrap();
    refused(SqliteStore::open(&place.path(), Durability::PowerLoss));
    assert!(!planted.path().exists(), "nothing is made through a link");
    drop(planted.open());
    refused(SqliteStore::open(&place.path(), Durability::PowerLoss));
    refused(SqliteStore::open_read_only(&place.path()));
    // A folder may be a link: its owner chose it.
    let linked = place.folder.path().join("linked");
    symlink(planted.folder.path(), &linked).unwrap();
    open(&linked.join("store.db")).save(create("r"));
    // A planted gate leads nowhere either.
    let gate = planted.folder.path().join("store.db-gate");
    fs::remove_file(&gate).unwrap();
    symlink(place.folder.path().join("made"), &gate).unwrap();
    planted.open().save(create("s"));
    assert!(!place.folder.path().join("made").exists());
}

/// Whatever the store is asked within some seconds, until it says that it is gone.
fn until_gone(store: &SqliteStore, ask: impl Fn(&SqliteStore) -> Result<(), StoreError>) {
    for _ in 0..100 {
        match ask(store) {
            Err(StoreError::Gone(_)) => return,
            answer => assert!(answer.is_ok(), "{answer:?}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("it was not noticed");
}

#[test]
fn a_store_that_was_moved_removed_or_replaced_is_noticed() {
    let moved = Place::new();
    let store = moved.open();
    store.save(start("r"));
    fs::rename(moved.path(), moved.folder.path().join("elsewhere.db")).unwrap();
    until_gone(&store, |store| store.renew("r", 1, 60).map(drop));

    let removed = Place::new();
    let store = removed.open();
    store.save(start("r"));
    let reading = SqliteStore::open_read_only(&removed.path()).unwrap();
    for file in fs::read_dir(removed.folder.path()).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
    until_gone(&store, |store| store.find(9, ALL).map(drop));
    until_gone(&reading, |store| store.row(&id("r")).now().map(drop));

    let replaced = Place::new();
    let store = replaced.open();
    store.save(start("r"));
    fs::rename(replaced.path(), replaced.folder.path().join("old.db")).unwrap();
    fs::write(replaced.path(), "").unwrap();
    let mut seq = std::cell::Cell::new(0);
    until_gone(&store, |store| {
        store
            .try_save(step("r", seq.get(), 1))
            .map(|_| seq.set(seq.get() + 1))
    });
    assert!(*seq.get_mut() < 100);
}
