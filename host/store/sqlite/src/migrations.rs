//! The SQLite schema, as a list of steps from an empty file to the present.
//!
//! Append to [`STEPS`], never edit: files in the field stand at any of these versions. `user_version` counts the steps that
//! a file has seen; each runs in its own transaction together with the count, so an interrupted migration goes on where it
//! stopped. A file of a newer version is refused rather than guessed at.

use rusqlite::{Connection, TransactionBehavior};

use super::StoreError;
use milepost_store::fault;

/// Marks a SQLite file as ours ("mpst"), so that another program's database is never written to.
const APPLICATION_ID: i32 = 0x6d70_7374;

/// Everything is keyed by the integer `run.key`: the text id stands once per run instead of once per row and index entry.
///
/// The journal and the checkpoint are plain rowid tables, so new rows of all runs share the last page, and a joined
/// transaction of many runs writes few pages. Their indexes hold two small numbers, or a number and a short name.
/// `run.updated_at` changes with every write and is in no index.
const VERSION_1: &str = "
CREATE TABLE run (
    key INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    workflow TEXT NOT NULL,
    status TEXT NOT NULL,
    seq INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    owner TEXT,
    lease_until INTEGER,
    stop_code TEXT,
    due_at INTEGER,
    recoveries INTEGER NOT NULL,
    cancel_requested_at INTEGER
) STRICT;
CREATE INDEX run_by_creation ON run (created_at, id);
CREATE INDEX run_by_status ON run (status, created_at, id);
CREATE INDEX run_by_due ON run (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE journal (
    key INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES run (key) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX journal_by_run ON journal (run, seq);

CREATE TABLE checkpoint (
    key INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES run (key) ON DELETE CASCADE,
    part TEXT NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX checkpoint_by_run ON checkpoint (run, part);

CREATE TABLE log (
    position INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES run (key) ON DELETE CASCADE,
    at INTEGER NOT NULL,
    path TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE INDEX log_by_run ON log (run);

CREATE TABLE blob (
    digest BLOB NOT NULL UNIQUE,
    bytes BLOB NOT NULL
) STRICT;
";

/// Requests of every kind, scheduled resumes, signals, and which runs use a blob.
///
/// `awaits` is a JSON list of signal names. Blobs of older files are given to every run whose record names them.
const VERSION_2: &str = "
ALTER TABLE run ADD COLUMN auto_resumes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE run ADD COLUMN provider TEXT;
ALTER TABLE run ADD COLUMN awaits TEXT NOT NULL DEFAULT '[]';
ALTER TABLE run ADD COLUMN request TEXT;
ALTER TABLE run ADD COLUMN requested_at INTEGER;
ALTER TABLE run ADD COLUMN requested_by TEXT;
ALTER TABLE run ADD COLUMN detached_at INTEGER;
UPDATE run SET request = 'cancel', requested_at = cancel_requested_at, requested_by = 'a request'
    WHERE cancel_requested_at IS NOT NULL;
ALTER TABLE run DROP COLUMN cancel_requested_at;
CREATE INDEX run_by_request ON run (key) WHERE request IS NOT NULL;

CREATE TABLE signal (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    run INTEGER NOT NULL REFERENCES run (key) ON DELETE CASCADE,
    name TEXT NOT NULL,
    at INTEGER NOT NULL,
    data TEXT NOT NULL
) STRICT;
CREATE INDEX signal_by_run ON signal (run);

CREATE TABLE blob_use (
    run INTEGER NOT NULL REFERENCES run (key) ON DELETE CASCADE,
    digest BLOB NOT NULL,
    PRIMARY KEY (run, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX blob_use_by_digest ON blob_use (digest);
WITH RECURSIVE named (run, rest) AS (
    SELECT run, substr(body, instr(body, 'sha256:') + 7) FROM journal WHERE instr(body, 'sha256:') > 0
    UNION ALL
    SELECT run, substr(rest, instr(rest, 'sha256:') + 7) FROM named WHERE instr(rest, 'sha256:') > 0
)
INSERT INTO blob_use (run, digest)
    SELECT DISTINCT named.run, blob.digest FROM named CROSS JOIN blob ON blob.digest = unhex(substr(named.rest, 1, 64));
";

/// The part of the checkpoint that every write changes stands in the row that every write changes: no row of its own, and no
/// search for it. `NULL` in the runs of older versions that nobody has written since.
const VERSION_3: &str = "ALTER TABLE run ADD COLUMN now TEXT;";

/// Finds the runs that wait for signals. Some files of version 3 have the index already.
const VERSION_4: &str =
    "CREATE INDEX IF NOT EXISTS run_by_awaits ON run (key) WHERE awaits <> '[]';";

/// What a run takes. Runs of older files begin with nothing: to count what they have would read the whole file.
const VERSION_5: &str = "ALTER TABLE run ADD COLUMN stored_bytes INTEGER NOT NULL DEFAULT 0;";

/// Which signals were sent with a token: one sent again is told apart for as long as the run is kept. `content` is the SHA-256 of
/// what the token stands for.
const VERSION_6: &str = "
CREATE TABLE signal_token (
    run INTEGER NOT NULL REFERENCES run (key) ON DELETE CASCADE,
    token TEXT NOT NULL,
    number INTEGER NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (run, token)
) STRICT, WITHOUT ROWID;
";

/// Which run has started a run. Its id, not its key: it may be removed first.
const VERSION_7: &str = "
ALTER TABLE run ADD COLUMN parent TEXT;
CREATE INDEX run_by_parent ON run (parent, created_at, id) WHERE parent IS NOT NULL;
";

/// What attempts leave behind while they are in flight: their tapes, under the event that started each; memos; which artifacts they
/// use; process groups that nobody has seen the end of. And buckets, which belong to no run; a deleted key keeps its row without a value.
const VERSION_8: &str = "
CREATE TABLE tape (
    key INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES run (key) ON DELETE CASCADE,
    started INTEGER NOT NULL,
    first INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX tape_by_attempt ON tape (run, started, first);

CREATE TABLE memo (
    position INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES run (key) ON DELETE CASCADE,
    path TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX memo_by_path ON memo (run, path, key);

CREATE TABLE artifact (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    run INTEGER NOT NULL REFERENCES run (key) ON DELETE CASCADE,
    path TEXT NOT NULL,
    name TEXT NOT NULL,
    digest BLOB NOT NULL,
    size INTEGER NOT NULL,
    media_type TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX artifact_by_run ON artifact (run, path, name, digest);
CREATE INDEX artifact_by_digest ON artifact (digest);

CREATE TABLE process_group (
    run INTEGER NOT NULL REFERENCES run (key) ON DELETE CASCADE,
    host TEXT NOT NULL,
    boot TEXT NOT NULL,
    number INTEGER NOT NULL,
    started INTEGER NOT NULL,
    PRIMARY KEY (run, host, boot, number, started)
) STRICT, WITHOUT ROWID;

CREATE TABLE bucket (
    key INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    bytes INTEGER NOT NULL
) STRICT;
CREATE TABLE item (
    position INTEGER PRIMARY KEY,
    bucket INTEGER NOT NULL REFERENCES bucket (key) ON DELETE CASCADE,
    key TEXT NOT NULL,
    revision INTEGER NOT NULL,
    value BLOB
) STRICT;
CREATE UNIQUE INDEX item_by_key ON item (bucket, key);
";

/// A deleted key leaves no row behind. What its revision has to be above when it comes back is one number for all deleted keys of a bucket.
const VERSION_9: &str = "
ALTER TABLE bucket ADD COLUMN deleted_revision INTEGER NOT NULL DEFAULT 0;
UPDATE bucket SET
    deleted_revision = coalesce((SELECT max(revision) FROM item WHERE item.bucket = bucket.key AND value IS NULL), 0),
    bytes = max(bytes - coalesce(
        (SELECT sum(octet_length(item.key)) FROM item WHERE item.bucket = bucket.key AND value IS NULL), 0), 0);
DELETE FROM item WHERE value IS NULL;
";

/// What is counted for whoever watches the store. The names are the engine's.
const VERSION_10: &str = "
CREATE TABLE counter (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// How far attempts in flight say that they are: the latest of each execution.
const VERSION_11: &str = "
CREATE TABLE progress (
    run INTEGER NOT NULL REFERENCES run (key) ON DELETE CASCADE,
    path TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    at INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (run, path)
) STRICT, WITHOUT ROWID;
";

/// What lists say of runs: what they are called by, which run they are a fork of, and how long they were at work (nanoseconds; `NULL`
/// in the runs of older programs, whose stops nobody counted). And who works on the store: until when each worker is taken to live
/// unless it says so again.
const VERSION_12: &str = "
ALTER TABLE run ADD COLUMN labels TEXT NOT NULL DEFAULT '{}';
ALTER TABLE run ADD COLUMN forked_from TEXT;
ALTER TABLE run ADD COLUMN worked INTEGER;
ALTER TABLE run ADD COLUMN working_since INTEGER;

CREATE TABLE worker (
    nonce TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// The checkpoint of a moving run stands some events before its row. Programs that take it for the present state must not open
/// the file, and those that have it open must not go on: their statements find no column `now`.
const VERSION_13: &str = "ALTER TABLE run RENAME COLUMN now TO present;";

const STEPS: &[&str] = &[
    VERSION_1, VERSION_2, VERSION_3, VERSION_4, VERSION_5, VERSION_6, VERSION_7, VERSION_8,
    VERSION_9, VERSION_10, VERSION_11, VERSION_12, VERSION_13,
];

/// Why a file is not brought to the present version.
#[derive(Debug)]
pub(super) enum Obstacle {
    /// The database said no.
    Database(rusqlite::Error),
    /// It is the file of another program.
    Foreign { application_id: i32 },
    /// An older program wrote it, and it may not be brought forward.
    Older { found: u32, known: u32 },
    /// A newer program wrote it.
    Newer { found: u32, known: u32 },
    /// It holds tables, and does not say of which version.
    Unversioned,
}

impl From<rusqlite::Error> for Obstacle {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

/// Says whether the file is ours, or empty and may become ours, and how many steps it has seen. Changes nothing.
pub(super) fn inspect(db: &Connection) -> Result<usize, Obstacle> {
    snapshot_version(db, STEPS)
}

/// Says whether the file is ours and of the present version. Changes nothing.
pub(super) fn require_current(db: &Connection) -> Result<(), Obstacle> {
    match snapshot_version(db, STEPS)? {
        version if version < STEPS.len() => Err(Obstacle::Older {
            found: number(version),
            known: number(STEPS.len()),
        }),
        _ => Ok(()),
    }
}

/// Brings the file to the present version.
pub(super) fn migrate(db: &mut Connection) -> Result<(), Obstacle> {
    run_steps(db, STEPS)
}

/// What a new file of the present version has, in memory.
pub(super) fn fresh() -> Result<Connection, rusqlite::Error> {
    let db = Connection::open_in_memory()?;
    STEPS.iter().try_for_each(|step| db.execute_batch(step))?;
    Ok(db)
}

fn run_steps(db: &mut Connection, steps: &[&str]) -> Result<(), Obstacle> {
    while snapshot_version(db, steps)? < steps.len() {
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Read again under the lock: another process may have done this step meanwhile.
        let done = version(&tx, steps)?;
        if let Some(step) = steps.get(done) {
            tx.execute_batch(step)?;
            fault::point("migration");
            tx.pragma_update(None, "application_id", APPLICATION_ID)?;
            tx.pragma_update(None, "user_version", number(done + 1))?;
        }
        tx.commit()?;
    }
    Ok(())
}

/// [`version`] outside of a transaction. It reads three things, which must be of one moment: another process may be creating
/// this very file, and half of its work would look like another program's.
fn snapshot_version(db: &Connection, steps: &[&str]) -> Result<usize, Obstacle> {
    let tx = db.unchecked_transaction()?;
    version(&tx, steps)
}

/// How many steps the file has seen.
fn version(db: &Connection, steps: &[&str]) -> Result<usize, Obstacle> {
    let pragma = |name: &str| db.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let (application_id, version) = (pragma("application_id")?, pragma("user_version")?);
    let is_empty = || -> Result<bool, rusqlite::Error> {
        let objects = "SELECT count(*) FROM sqlite_schema";
        db.query_row(objects, [], |row| row.get(0))
            .map(|objects: i64| objects == 0)
    };
    if application_id != APPLICATION_ID {
        return if application_id == 0 && version == 0 && is_empty()? {
            Ok(0)
        } else {
            Err(Obstacle::Foreign { application_id })
        };
    }
    match usize::try_from(version) {
        // Version and tables are of one transaction.
        Ok(0) if !is_empty()? => Err(Obstacle::Unversioned),
        Ok(version) if version <= steps.len() => Ok(version),
        Ok(version) => Err(Obstacle::Newer {
            found: number(version),
            known: number(steps.len()),
        }),
        Err(_) => Err(Obstacle::Foreign { application_id }),
    }
}

fn number(steps: usize) -> u32 {
    u32::try_from(steps).unwrap_or(u32::MAX)
}

impl Obstacle {
    /// The same for a caller of the store; `place` names the file.
    pub(super) fn at(self, place: &str) -> StoreError {
        match self {
            Self::Database(error) => super::store_error(error, place),
            Self::Foreign { application_id } => StoreError::unavailable(format!(
                "`{place}` is a database of another program (application id {application_id:#x}); it is left alone"
            )),
            Self::Older { found, known } => StoreError::TooOld {
                place: format!("`{place}`"),
                found,
                known,
            },
            Self::Newer { found, known } => StoreError::TooNew {
                place: format!("`{place}`"),
                found,
                known,
            },
            Self::Unversioned => StoreError::corrupt(format!(
                "`{place}` holds tables, but its header does not say of which version; keep it as it is, and restore a backup"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use super::*;
    use crate::schema;

    const ONE: &str = "CREATE TABLE a (x INTEGER) STRICT; INSERT INTO a VALUES (7);";
    const TWO: &str = "ALTER TABLE a ADD COLUMN y INTEGER NOT NULL DEFAULT 5;";

    fn user_version(db: &Connection) -> i32 {
        db.pragma_query_value(None, "user_version", |row| row.get(0))
            .unwrap()
    }

    #[test]
    fn b236_an_older_file_is_brought_forward_and_keeps_its_rows() {
        let mut db = Connection::open_in_memory().unwrap();
        run_steps(&mut db, &[ONE]).unwrap();
        assert_eq!(user_version(&db), 1);
        run_steps(&mut db, &[ONE, TWO]).unwrap();
        assert_eq!(user_version(&db), 2);
        let row = db.query_row("SELECT x, y FROM a", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        });
        assert_eq!(row, Ok((7, 5)));
    }

    /// A file of every version, as the program of its time wrote it. What they come to is tested with the engine
    /// (`tests/cases/engine/golden.rs`), which also writes the file of a new version.
    #[test]
    fn b236_there_is_a_file_of_every_version() {
        for version in 1..=STEPS.len() {
            let path = format!(
                "{}/tests/golden/version-{version}.sql",
                env!("CARGO_MANIFEST_DIR")
            );
            let sql = std::fs::read_to_string(&path).unwrap_or_else(|error| {
                panic!("{path}: {error}; UPDATE_EXPECT=1 cargo test --workspace --test cases golden writes it")
            });
            let golden = Connection::open_in_memory().unwrap();
            golden.execute_batch(&sql).unwrap();
            assert_eq!(usize::try_from(user_version(&golden)), Ok(version));
            let mut made = Connection::open_in_memory().unwrap();
            run_steps(&mut made, &STEPS[..version]).unwrap();
            if version == 3 {
                // Some programs wrote version 3 with the index that others got with version 4.
                made.execute_batch(VERSION_4).unwrap();
            }
            assert_eq!(
                schema::objects(&golden).unwrap(),
                schema::objects(&made).unwrap(),
                "version {version}"
            );
        }
    }

    #[test]
    fn a_step_that_fails_leaves_the_version_before_it() {
        let mut db = Connection::open_in_memory().unwrap();
        let broken = "CREATE TABLE b (x INTEGER) STRICT; INSERT INTO missing VALUES (1);";
        assert!(matches!(
            run_steps(&mut db, &[ONE, broken]),
            Err(Obstacle::Database(_))
        ));
        assert_eq!(user_version(&db), 1);
        let tables: i64 = db
            .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
            .unwrap();
        assert_eq!(tables, 1);
        run_steps(&mut db, &[ONE, TWO]).unwrap();
        assert_eq!(user_version(&db), 2);
    }

    #[test]
    fn a_newer_file_is_refused_and_left_alone() {
        let mut db = Connection::open_in_memory().unwrap();
        run_steps(&mut db, &[ONE, TWO]).unwrap();
        assert!(matches!(
            run_steps(&mut db, &[ONE]),
            Err(Obstacle::Newer { found: 2, known: 1 })
        ));
        assert_eq!(user_version(&db), 2);
    }

    #[test]
    fn another_programs_file_is_refused() {
        for setup in [
            "CREATE TABLE theirs (x)",
            "PRAGMA application_id = 77",
            "PRAGMA user_version = 3",
        ] {
            let mut db = Connection::open_in_memory().unwrap();
            db.execute_batch(setup).unwrap();
            assert!(
                matches!(migrate(&mut db), Err(Obstacle::Foreign { .. })),
                "{setup}"
            );
        }
    }
}
