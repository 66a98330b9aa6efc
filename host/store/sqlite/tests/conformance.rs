//! The store in a file does what every store must do.

#![expect(clippy::unwrap_used, reason = "a test")]

use milepost_store::conformance::words::clock;
use milepost_store_sqlite::{Durability, SqliteStore};

milepost_store::conformance!(|| {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path, Durability::PowerLoss).unwrap();
    (store.with_clock(clock()), folder)
});
