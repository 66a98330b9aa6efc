//! Which files are opened, and which are refused and left as they were.

use crate::store::Now as _;
use milepost_store::prelude::*;
use std::fs;

use milepost_core::checkpoint::NOW;
use milepost_core::effect::{Applied, KvChange};
use milepost_core::ids::{Digest, Epoch};
use milepost_core::state::Status;
use milepost_store::{Filter, StopKind, Store, StoreError};
use milepost_store_sqlite::{Durability, SqliteStore};

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
    store.ask("b", StopKind::PauseNow, 7).unwrap();
    store.post("b", "go");
    let seen = |store: &dyn Store| {
        let runs = ["a", "b"].map(|run| {
            (
                store.checkpoint(&id(run)).now().unwrap(),
                store.journal(&id(run), 0, ALL).now().unwrap(),
                store.logs(&id(run), 0, ALL).now().unwrap(),
                store.inbox(&id(run), ALL).now().unwrap(),
            )
        });
        (runs, store.blob(&Digest::of(b"b")).now().unwrap())
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
        refused.to_string().contains("this program knows up to"),
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
            matches!(&refused, StoreError::Unavailable(text) if text.reason.contains("another program")),
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
        matches!(&refused, StoreError::Corrupt(text) if text.what.contains("store.db")),
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

/// What it held is gone: nobody begins again as if it had held nothing.
#[test]
fn a_store_that_was_emptied_is_refused_and_left_alone() {
    for (bytes, gate, log) in [
        (0, true, false),
        (1, true, false),
        (1, false, false),
        (0, false, true),
    ] {
        let place = Place::new();
        place.open().save(create("r"));
        let beside = |suffix: &str| place.folder.path().join(format!("store.db{suffix}"));
        fs::write(place.path(), &b"S"[..bytes]).unwrap();
        if !gate {
            fs::remove_file(beside("-gate")).unwrap();
        }
        if log {
            fs::write(beside("-wal"), "what a process left that was killed").unwrap();
        }
        let read_only = SqliteStore::open_read_only(&place.path());
        for refused in [refusal(&place), read_only.unwrap_err()] {
            assert!(
                matches!(&refused, StoreError::Corrupt(text) if text.what.contains("restore a backup")),
                "{bytes} {gate} {log}: {refused}"
            );
        }
        assert_eq!(fs::metadata(place.path()).unwrap().len(), bytes as u64);
        assert_eq!(beside("-wal").exists(), log);
        // Whoever takes the file away begins anew, also when that is interrupted.
        let _ = fs::remove_file(beside("-wal"));
        fs::remove_file(place.path()).unwrap();
        assert_eq!(place.open().listed(&Filter::default()), [] as [String; 0]);
    }
}

#[test]
fn a_store_that_was_replaced_by_an_empty_database_is_refused() {
    let place = Place::new();
    place.open().save(create("r"));
    fs::remove_file(place.path()).unwrap();
    place.sql("CREATE TABLE t (x); DROP TABLE t");
    let read_only = SqliteStore::open_read_only(&place.path());
    for refused in [refusal(&place), read_only.unwrap_err()] {
        assert!(
            matches!(&refused, StoreError::Corrupt(text) if text.what.contains("restore a backup")),
            "{refused}"
        );
    }
}

/// All that it held is there: nobody is told to begin anew.
#[test]
fn a_store_that_lost_its_version_is_refused_and_left_alone() {
    for gate in [true, false] {
        let place = Place::new();
        let store = place.open();
        store.save(create("r"));
        let version = store.health().now().unwrap().version;
        drop(store);
        place.sql("PRAGMA user_version = 0");
        if !gate {
            fs::remove_file(place.folder.path().join("store.db-gate")).unwrap();
        }
        let read_only = SqliteStore::open_read_only(&place.path());
        for refused in [refusal(&place), read_only.unwrap_err()] {
            assert!(
                matches!(&refused, StoreError::Corrupt(text) if text.what.contains("keep it as it is")),
                "{gate}: {refused}"
            );
        }
        place.sql(&format!("PRAGMA user_version = {version}"));
        assert_eq!(place.open().listed(&Filter::default()), ["r"]);
    }
}

#[test]
fn a_creation_that_was_interrupted_goes_on_though_a_store_was_there_before() {
    let place = Place::new();
    place.open().save(create("r"));
    fs::remove_file(place.path()).unwrap();
    // Something is in the way right after the file was made.
    let gate = place.folder.path().join("store.db-gate");
    assert!(fs::metadata(&gate).unwrap().len() > 0);
    fs::create_dir(place.folder.path().join("store.db-journal")).unwrap();
    assert!(SqliteStore::open(&place.path(), Durability::PowerLoss).is_err());
    assert_eq!(fs::metadata(&gate).unwrap().len(), 0);
    fs::write(place.path(), "").unwrap();
    fs::remove_dir(place.folder.path().join("store.db-journal")).unwrap();
    place.open().save(create("s"));
    assert_eq!(place.open().listed(&Filter::default()), ["s"]);
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

/// What such a file may hold besides: a request to cancel, and blobs that entries name. The second run names one of the
/// first's, and the last blob is named by nobody.
fn version_1_with_blobs() -> String {
    let named = |bytes: &[u8]| format!("{{\"v\":1,\"blob\":\"{}\"}}", Digest::of(bytes));
    let both = format!("[{},{}]", named(b"shared"), named(b"own"));
    let mut sql = VERSION_1.to_owned();
    sql += "UPDATE run SET cancel_requested_at = 1700000007000000000;";
    for (key, run, body) in [(2, "one", both), (3, "two", named(b"shared"))] {
        sql += &format!(
            "INSERT INTO run VALUES ({key}, '{run}', 'build', 'failed', 2, 1, 1, 1, NULL, NULL, NULL, NULL, 0, NULL);
             INSERT INTO journal (run, seq, at, epoch, body) VALUES ({key}, 1, 1, 1, '{{\"text\":\"sha256: no digest\"}}');
             INSERT INTO journal (run, seq, at, epoch, body) VALUES ({key}, 2, 1, 1, '{body}');"
        );
    }
    for bytes in ["shared", "own", "nobodys"] {
        let digest = Digest::of(bytes.as_bytes());
        sql += &format!(
            "INSERT INTO blob VALUES (x'{}', CAST('{bytes}' AS BLOB));",
            digest.hex()
        );
    }
    sql
}

#[test]
fn b236_a_request_and_blobs_of_version_1_are_kept_and_counted() {
    let place = Place::new();
    place.sql(&version_1_with_blobs());
    let store = place.open();
    assert_eq!(store.see("old").stored_bytes, 0, "counted from now on");
    let kept = store.see("old").request.unwrap();
    assert_eq!((kept.kind, kept.at), (StopKind::Cancel, at(7)));
    assert_eq!(store.save(step("old", 1, 3)).request, Some(kept));

    let there = |bytes: &[u8]| store.blob(&Digest::of(bytes)).now().unwrap().is_some();
    let all = || [&b"shared"[..], b"own", b"nobodys"].map(there);
    assert_eq!(all(), [true, true, true]);
    store.remove("one", 2).unwrap();
    assert_eq!(all(), [true, false, true]);
    store.remove("two", 2).unwrap();
    assert_eq!(all(), [false, false, true]);
    assert_eq!(store.health().now().unwrap().problems, Vec::<String>::new());
}

#[test]
fn b236_files_of_version_3_are_swept_whether_awaited_signals_were_indexed_or_not() {
    for index in ["", "DROP INDEX run_by_awaits;"] {
        let place = Place::new();
        place.open().save(start("r"));
        place.sql(&format!(
            "{index} DROP TABLE item; DROP TABLE bucket; DROP TABLE process_group; DROP TABLE artifact; DROP TABLE memo; DROP TABLE tape; \
             DROP INDEX run_by_parent; ALTER TABLE run DROP COLUMN parent; DROP TABLE signal_token; \
             ALTER TABLE run DROP COLUMN stored_bytes; DROP TABLE counter; DROP TABLE progress; DROP TABLE worker; \
             ALTER TABLE run DROP COLUMN labels; ALTER TABLE run DROP COLUMN forked_from; ALTER TABLE run DROP COLUMN worked; \
             ALTER TABLE run DROP COLUMN working_since; ALTER TABLE run RENAME COLUMN present TO now; PRAGMA user_version = 3"
        ));
        let attention = place.open().find(9, ALL);
        assert!(attention.is_ok(), "{index} {attention:?}");
    }
}

/// Version 8 kept a row of every deleted key; this is what a program of its time wrote.
#[test]
fn b236_deleted_keys_of_version_8_leave_nothing_behind_but_their_highest_revision() {
    let place = Place::new();
    place.sql(include_str!("../golden/version-8-buckets.sql"));
    let store = place.open();
    let buckets = store.buckets(None, ALL).now().unwrap();
    let buckets: Vec<_> = buckets
        .iter()
        .map(|bucket| (&*bucket.name, bucket.keys, bucket.bytes))
        .collect();
    let kept = [
        ("bytes", 1, 5),
        ("empty", 1, 4),
        ("rates", 2, 20),
        ("seen", 0, 0),
    ];
    assert_eq!(buckets, kept);
    let rows: i64 = place
        .raw()
        .query_row("SELECT count(*) FROM item", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 4);
    let item = |bucket: &str, key: &str| {
        let found = store.kv(bucket, key).now().unwrap();
        found.map(|item| (item.revision, item.value.map(|value| value.to_vec())))
    };
    assert_eq!(item("rates", "EUR"), Some((2, Some(b"1.09".to_vec()))));
    let quoted = Some((1, Some("it's ü".as_bytes().to_vec())));
    assert_eq!(item("rates", "ü \"1\""), quoted);
    assert_eq!(item("bytes", "raw"), Some((1, Some(vec![0, 255]))));
    assert_eq!(item("empty", "only"), Some((1, Some(Vec::new()))));
    // Whoever read them before, or when they were there, does not change what comes back.
    assert_eq!(item("rates", "USD"), Some((4, None)));
    assert_eq!(item("seen", "a"), Some((4, None)));
    let put = |over| {
        let change = KvChange {
            bucket: "rates".to_owned(),
            key: "USD".to_owned(),
            over,
            value: Some(b"3".as_slice().into()),
        };
        store.kv_change(change).now().unwrap()
    };
    for over in 0..=3 {
        assert_eq!(put(over), Applied::Conflict, "{over}");
    }
    assert_eq!(put(4), Applied::Done);
    assert_eq!(item("rates", "USD"), Some((5, Some(b"3".to_vec()))));
    assert_eq!(store.health().now().unwrap().problems, Vec::<String>::new());
}

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
    assert_eq!((row.recoveries, row.request), (2, None));
    assert_eq!(
        (row.auto_resumes, row.provider, row.awaits.len()),
        (0, None, 0)
    );
    assert_eq!(
        store.journal(&id("old"), 0, ALL).now().unwrap(),
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

/// Every kind of change is refused; everything can be read.
#[test]
fn a_store_that_is_only_read_answers_and_takes_no_change() {
    let place = Place::new();
    let writing = place.open();
    writing.save(start("r").part("p", "1").entry(1).log("l").blob(b"b"));
    let number = writing.post("r", "go");
    let reading = SqliteStore::open_read_only(&place.path()).unwrap();
    let refused = |answer: Result<(), StoreError>| {
        assert!(
            matches!(&answer, Err(StoreError::Unavailable(text)) if text.reason == "the store is read-only"),
            "{answer:?}"
        );
    };
    refused(reading.try_save(step("r", 1, 1)).map(drop));
    refused(reading.try_save(create("s")).map(drop));
    refused(reading.ask("r", StopKind::Kill, 1).map(drop));
    refused(reading.send("r", "go").map(drop));
    refused(reading.renew("r", 1, 60).map(drop));
    refused(reading.detach("r", 1, 60).map(drop));
    refused(reading.remove("r", 1));
    assert_eq!(reading.commits(), 0);

    // What others write is seen.
    writing.save(step("r", 1, 1).part("q", "2"));
    assert_eq!(reading.see("r"), writing.see("r"));
    assert_eq!(
        (reading.entries("r"), reading.parts("r").len()),
        (vec![1, 2], 2)
    );
    assert_eq!(reading.waiting("r"), [(number, "go".to_owned())]);
    assert_eq!(
        (
            reading.lines("r").len(),
            reading.listed(&Filter::default()).len()
        ),
        (1, 1)
    );
    assert_eq!(
        reading.blob(&Digest::of(b"b")).now().unwrap().unwrap(),
        b"b"
    );
    assert_eq!(reading.find(9, ALL).unwrap().running.len(), 1);
    assert_eq!(
        reading.health().now().unwrap().problems,
        Vec::<String>::new()
    );
}

#[test]
fn what_is_only_read_is_not_created_migrated_or_guessed_at() {
    let opened = |place: &Place| SqliteStore::open_read_only(&place.path()).map(drop);
    let missing = Place::new();
    assert!(matches!(opened(&missing), Err(StoreError::Unavailable(_))));
    assert_eq!(fs::read_dir(missing.folder.path()).unwrap().count(), 0);

    let old = Place::new();
    old.sql(VERSION_1);
    let before = fs::read(old.path()).unwrap();
    assert!(matches!(
        opened(&old),
        Err(StoreError::TooOld { found: 1, .. })
    ));
    assert_eq!(fs::read(old.path()).unwrap(), before);

    let newer = Place::new();
    drop(newer.open());
    newer.sql("PRAGMA user_version = 1000");
    assert!(matches!(opened(&newer), Err(StoreError::TooNew { .. })));

    let theirs = Place::new();
    theirs.sql("CREATE TABLE theirs (x)");
    assert!(matches!(opened(&theirs), Err(StoreError::Unavailable(_))));
}

/// A folder that does not take the log beside the database, as one that cannot be written to.
#[cfg(unix)]
#[test]
fn a_store_at_rest_is_read_where_nothing_can_be_written() {
    let place = Place::new();
    let odd = place.folder.path().join("100% #1?");
    let path = odd.join("store.db");
    open(&path).save(start("r").part("p", "1").entry(1));
    let log = odd.join("store.db-wal");
    std::os::unix::fs::symlink(odd.join("no folder/log"), &log).unwrap();
    assert!(matches!(
        SqliteStore::open(&path, Durability::PowerLoss),
        Err(StoreError::ReadOnly(_))
    ));
    let before = fs::read(&path).unwrap();
    let store = SqliteStore::open_read_only(&path).unwrap();
    assert_eq!((store.entries("r"), store.parts("r").len()), (vec![1], 1));
    assert_eq!(store.health().now().unwrap().problems, Vec::<String>::new());
    assert!(store.try_save(step("r", 1, 1)).is_err());
    assert_eq!(fs::read(&path).unwrap(), before);
    drop(store);
    // Writes that were not folded in would be missed: better no answer.
    fs::remove_file(&log).unwrap();
    fs::create_dir(&log).unwrap();
    let refused = SqliteStore::open_read_only(&path);
    assert!(
        matches!(refused, Err(StoreError::Unavailable(_))),
        "{refused:?}"
    );
}
