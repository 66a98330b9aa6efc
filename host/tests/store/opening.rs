//! Which files are opened, and which are refused and left as they were.

use std::fs;

use milepost::store::sqlite::{Durability, SqliteStore};
use milepost::store::{Filter, Store, StoreError};
use milepost_core::checkpoint::NOW;
use milepost_core::ids::{Digest, Epoch};
use milepost_core::state::Status;

use super::store::{ALL, Talk, With, at, create, id, owner, start, step};
use super::{Place, open};

fn refusal(place: &Place) -> StoreError {
    SqliteStore::open(&place.path(), Durability::PowerLoss).unwrap_err()
}

#[test]
fn b249_missing_folders_are_created() {
    let place = Place::new();
    let path = place.folder.path().join("a/b/store.db");
    open(&path).save(create("r"));
    assert_eq!(open(&path).listed(&Filter::default()), ["r"]);
}

#[test]
fn b104_everything_is_there_after_opening_again() {
    let place = Place::new();
    let store = place.open();
    store.save(start("a").entry(1).part("p", "1").log("l").blob(b"b"));
    store.save(step("a", 1, 1).status(Status::Paused).part("q", "2"));
    store.save(start("b"));
    store.cancel("b", 7).unwrap();
    let seen = |store: &dyn Store| {
        let runs = ["a", "b"].map(|run| {
            (
                store.checkpoint(&id(run)).unwrap(),
                store.journal(&id(run), 0, ALL).unwrap(),
                store.logs(&id(run), 0, ALL).unwrap(),
            )
        });
        (runs, store.blob(&Digest::of(b"b")).unwrap())
    };
    let before = seen(&store);
    drop(store);
    assert_eq!(seen(&place.open()), before);
    assert!(
        !place.folder.path().join("store.db-wal").exists(),
        "folded in when closed"
    );
}

#[test]
fn a_newer_file_is_refused_and_left_alone() {
    let place = Place::new();
    drop(place.open());
    place.sql("PRAGMA user_version = 1000");
    let before = fs::read(place.path()).unwrap();
    let refused = refusal(&place);
    assert!(
        matches!(&refused, StoreError::TooNew { found: 1000, known, .. } if *known < 1000),
        "{refused}"
    );
    assert!(
        refused.to_string().contains("use a newer milepost"),
        "{refused}"
    );
    assert_eq!(fs::read(place.path()).unwrap(), before);
}

#[test]
fn another_programs_database_is_refused_and_left_alone() {
    for setup in [
        "CREATE TABLE theirs (x)",
        "PRAGMA application_id = 252006674",
    ] {
        let place = Place::new();
        place.sql(setup);
        let before = fs::read(place.path()).unwrap();
        let refused = refusal(&place);
        assert!(
            matches!(&refused, StoreError::Unavailable(text) if text.contains("another program")),
            "{refused}"
        );
        assert_eq!(fs::read(place.path()).unwrap(), before);
    }
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let place = Place::new();
    let text = "name = \"a workflow, not a store\"\n".repeat(100);
    fs::write(place.path(), &text).unwrap();
    let refused = refusal(&place);
    assert!(
        matches!(&refused, StoreError::Corrupt(text) if text.contains("store.db")),
        "{refused}"
    );
    assert_eq!(fs::read_to_string(place.path()).unwrap(), text);
}

#[test]
fn a_place_that_cannot_be_is_unavailable() {
    let place = Place::new();
    fs::create_dir(place.path()).unwrap();
    assert!(matches!(refusal(&place), StoreError::Unavailable(_)));
    let below_a_file = place.folder.path().join("file");
    fs::write(&below_a_file, "").unwrap();
    let refused = SqliteStore::open(&below_a_file.join("store.db"), Durability::PowerLoss);
    assert!(matches!(refused, Err(StoreError::Unavailable(_))));
}

#[test]
fn an_empty_file_becomes_a_store() {
    let place = Place::new();
    fs::write(place.path(), "").unwrap();
    place.open().save(create("r"));
    assert_eq!(place.open().listed(&Filter::default()), ["r"]);
}

#[test]
fn many_may_open_a_new_file_at_once() {
    let place = Place::new();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let place = &place;
            scope.spawn(move || place.open().save(create(&format!("r{n}"))));
        }
    });
    assert_eq!(place.open().listed(&Filter::default()).len(), 8);
}

/// A file as version 1 wrote it. Never edit this: such files exist.
const VERSION_1: &str = r#"
PRAGMA application_id = 1836086132;
PRAGMA user_version = 1;
CREATE TABLE run (
    key INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, workflow TEXT NOT NULL, status TEXT NOT NULL,
    seq INTEGER NOT NULL, epoch INTEGER NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    owner TEXT, lease_until INTEGER, stop_code TEXT, due_at INTEGER, recoveries INTEGER NOT NULL,
    cancel_requested_at INTEGER
) STRICT;
CREATE INDEX run_by_creation ON run (created_at, id);
CREATE INDEX run_by_status ON run (status, created_at, id);
CREATE INDEX run_by_due ON run (due_at) WHERE due_at IS NOT NULL;
CREATE TABLE journal (
    key INTEGER PRIMARY KEY, run INTEGER NOT NULL REFERENCES run (key) ON DELETE CASCADE, seq INTEGER NOT NULL,
    at INTEGER NOT NULL, epoch INTEGER NOT NULL, body TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX journal_by_run ON journal (run, seq);
CREATE TABLE checkpoint (
    key INTEGER PRIMARY KEY, run INTEGER NOT NULL REFERENCES run (key) ON DELETE CASCADE, part TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX checkpoint_by_run ON checkpoint (run, part);
CREATE TABLE log (
    position INTEGER PRIMARY KEY, run INTEGER NOT NULL REFERENCES run (key) ON DELETE CASCADE, at INTEGER NOT NULL,
    path TEXT NOT NULL, attempt INTEGER NOT NULL, body TEXT NOT NULL
) STRICT;
CREATE INDEX log_by_run ON log (run);
CREATE TABLE blob (digest BLOB NOT NULL UNIQUE, bytes BLOB NOT NULL) STRICT;
INSERT INTO run VALUES (1, 'old', 'build', 'running', 1, 3, 1700000000000000000, 1700000001000000000,
    '{"host":"host \"1\"","boot":"boot","pid":4294967295,"started":18446744073709551615,"nonce":"a"}',
    1700000030000000000, NULL, NULL, 2, NULL);
INSERT INTO journal (run, seq, at, epoch, body) VALUES (1, 1, 1700000001000000000, 1, '{"v":1,"n":1}');
INSERT INTO checkpoint (run, part, body) VALUES (1, 'p', '{"v":1}');
INSERT INTO log (run, at, path, attempt, body) VALUES (1, 1700000009000000000, 'fix#2/test', 3, 'hello');
"#;

#[test]
fn b236_a_file_of_version_1_is_read_and_written() {
    let place = Place::new();
    place.sql(VERSION_1);
    let store = place.open();
    let row = store.see("old");
    assert_eq!(
        (row.status, row.seq, row.epoch),
        (Status::Running, 1, Epoch(3))
    );
    assert_eq!(
        (row.owner, row.lease_until),
        (Some(owner("a")), Some(at(30)))
    );
    assert_eq!((row.recoveries, row.cancel_requested_at), (2, None));
    assert_eq!(
        store.journal(&id("old"), 0, ALL).unwrap(),
        [super::store::entry(1)]
    );
    assert_eq!(store.lines("old"), ["hello"]);
    assert_eq!(store.parts("old"), [("p".into(), "{\"v\":1}".into())]);
    store.save(step("old", 1, 3).part("p", "new").part(NOW, "here"));
    assert_eq!(
        store.parts("old"),
        [(NOW.into(), "here".into()), ("p".into(), "new".into())]
    );
}
