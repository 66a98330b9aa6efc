//! What only a store in a file has to prove: that it survives, refuses what it does not know, shares, and joins commits.

#![expect(clippy::disallowed_macros, reason = "a test prints its seed")]
#![expect(clippy::unwrap_used, reason = "a test")]

#[path = "store/artifacts.rs"]
mod artifacts;
#[path = "store/damage.rs"]
mod damage;
#[path = "store/durability.rs"]
mod durability;
#[path = "store/opening.rs"]
mod opening;
#[path = "store/private.rs"]
mod private;
#[path = "store/sharing.rs"]
mod sharing;
#[path = "store/space.rs"]
mod space;
mod store;

use std::path::{Path, PathBuf};

use self::store::clock;
use milepost_store_sqlite::{Durability, SqliteStore};
use rusqlite::Connection;
use tempfile::TempDir;

/// A folder with a place for a store.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("store.db")
    }

    fn open(&self) -> SqliteStore {
        open(&self.path())
    }

    /// The file itself, as another program would see it.
    fn raw(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }

    fn sql(&self, sql: &str) {
        self.raw().execute_batch(sql).unwrap();
    }
}

fn open(path: &Path) -> SqliteStore {
    let store = SqliteStore::open(path, Durability::PowerLoss).unwrap();
    store.with_clock(clock())
}
