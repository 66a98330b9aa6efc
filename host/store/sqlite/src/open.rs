//! Opening: from a path to connections whose settings are proven, not assumed.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::gate::{self, Gate};
use super::{Durability, files, store_error};
use crate::migrations;
use crate::migrations::Obstacle;
use milepost_store::{Cause, StoreError};

/// 3.51.3 is the first release without a bug that could damage a WAL file shared by several processes.
const OLDEST_SQLITE: i32 = 3_051_003;

/// How long a change waits for another process that is writing.
pub(super) const BUSY: Duration = Duration::from_secs(5);

/// Pages in the WAL after which a commit folds it into the file: few enough to bound it, many enough that the two extra
/// syncs of doing so do not show.
const WAL_PAGES: i64 = 2_000;

/// Bytes that the WAL file keeps after a burst.
const WAL_BYTES_KEPT: i64 = 16 * 1024 * 1024;

/// Page caches, in KiB; negative because SQLite reads a positive number as pages.
const WRITER_CACHE: i64 = -4_096;
const READER_CACHE: i64 = -1_024;

/// How SQLite names the way in which pages that nothing uses are given back: when it is told to.
pub(super) const INCREMENTAL: i64 = 2;

/// Statements that a connection keeps prepared; more than any of them uses.
const STATEMENTS: usize = 32;

/// How every connection is opened: used by one thread at a time, of the file itself, and with a cache of its own, even where the
/// program around has switched on shared ones.
const ALONE: OpenFlags = OpenFlags::SQLITE_OPEN_NO_MUTEX
    .union(OpenFlags::SQLITE_OPEN_NOFOLLOW)
    .union(OpenFlags::SQLITE_OPEN_PRIVATE_CACHE);

/// A file that may be written to.
#[derive(Debug)]
pub(super) struct Writable {
    /// The one connection that writes.
    pub(super) db: Connection,
    pub(super) gate: Gate,
    /// The file by the name under which it was opened.
    pub(super) path: PathBuf,
}

/// Opens a file to write to it, and makes it when it is missing.
pub(super) fn writer(path: &Path, durability: Durability) -> Result<Writable, StoreError> {
    check_version(rusqlite::version_number())?;
    if let Some(folder) = files::holder(path) {
        files::private_folder(folder).map_err(|error| {
            if error.kind() == std::io::ErrorKind::ReadOnlyFilesystem {
                return StoreError::ReadOnly(format!("`{}`", folder.display()));
            }
            StoreError::met(
                Cause::of(&error),
                format!("cannot create `{}`: {error}", folder.display()),
            )
        })?;
    }
    let path = files::resolved(path)?;
    let existing = files::existing(&path)?;
    files::check_owner(&path, existing.as_ref())?;
    let was_made = files::was_made(&path, existing.as_ref())?;
    let gate = files::open_gate(&path, existing.as_ref())?;
    if let (None, Some(gate)) = (&existing, &gate) {
        gate::mark_unmade(gate);
    }
    let place = path.display().to_string();
    let failed = |error: rusqlite::Error| store_error(error, &format!("`{place}`"));
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_URI
        | ALONE;
    let name = match (&existing, &gate) {
        (None, Some(_)) => files::mode_of(&path, &gate::beside(&path)),
        _ => files::uri(&path),
    };
    let opened = Connection::open_with_flags(name, flags);
    let mut db = opened.map_err(|error| denied(&path).unwrap_or_else(|| failed(error)))?;
    // SQLite falls back to reading without a word.
    if db.is_readonly("main").map_err(failed)? {
        return Err(read_only_here(&place));
    }
    db.busy_timeout(BUSY).map_err(failed)?;
    // Before anything is set: some settings are written into the file, and it may not be ours.
    let version = migrations::inspect(&db).map_err(|obstacle| match obstacle {
        Obstacle::Database(error) if cannot_log(&error) => read_only_here(&place),
        obstacle => obstacle.at(&place),
    })?;
    if was_made && version == 0 {
        return Err(files::emptied(&path));
    }
    let pages: i64 = db
        .pragma_query_value(None, "page_count", |row| row.get(0))
        .map_err(failed)?;
    if pages == 0 {
        // Later, only rewriting the whole file would let it give pages back.
        db.pragma_update(None, "auto_vacuum", INCREMENTAL)
            .map_err(failed)?;
    }
    let mode = enter_wal(&db).map_err(|error| match cannot_log(&error) {
        true => read_only_here(&place),
        false => failed(error),
    })?;
    if mode != "wal" {
        return Err(StoreError::unavailable(format!(
            "`{place}`: its file system cannot hold a write-ahead log (journal mode is `{mode}`); use a local disk"
        )));
    }
    let synchronous = match durability {
        Durability::PowerLoss => 2,
        Durability::ProcessCrash => 1,
    };
    // Only macOS knows the second one: there a plain sync stops at the drive's own cache.
    for (name, value) in [
        ("synchronous", synchronous),
        ("fullfsync", i64::from(durability == Durability::PowerLoss)),
        ("foreign_keys", 1),
        ("wal_autocheckpoint", WAL_PAGES),
        ("journal_size_limit", WAL_BYTES_KEPT),
        ("cache_size", WRITER_CACHE),
    ] {
        set(&db, name, value, &place)?;
    }
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    migrations::migrate(&mut db).map_err(|obstacle| obstacle.at(&place))?;
    gate.iter().for_each(gate::mark_made);
    Ok(Writable {
        db,
        gate: Gate::of(gate),
        path,
    })
}

/// The log beside the database cannot be made or written.
fn cannot_log(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly)
    )
}

fn read_only_here(place: &str) -> StoreError {
    StoreError::ReadOnly(format!("`{place}`"))
}

/// Why the file cannot be read, where this user may not: SQLite only says that it could not open it.
fn denied(path: &Path) -> Option<StoreError> {
    let error = std::fs::File::open(path).err()?;
    let cause = Cause::of(&error);
    let reason = format!("cannot open `{}`: {error}", path.display());
    (cause == Cause::Denied).then(|| StoreError::met(cause, reason))
}

/// How a file is read.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// Others may write to it.
    Shared(PathBuf),
    /// Nobody was writing to it, and its folder does not take the files with which readers and writers agree. What is written
    /// to it from now on may be missed.
    Still(PathBuf),
}

/// One of the connections that read.
pub(super) fn reader(place: &Place) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | ALONE;
    let (path, opened) = match place {
        Place::Shared(path) => (path, Connection::open_with_flags(path, flags)),
        Place::Still(path) => {
            let flags = flags | OpenFlags::SQLITE_OPEN_URI;
            (path, Connection::open_with_flags(files::still(path), flags))
        }
    };
    let place = path.display().to_string();
    let failed = |error: rusqlite::Error| store_error(error, &format!("`{place}`"));
    let db = opened.map_err(|error| denied(path).unwrap_or_else(|| failed(error)))?;
    db.busy_timeout(BUSY).map_err(failed)?;
    set(&db, "cache_size", READER_CACHE, &place)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(db)
}

/// A file that is only read, and how.
pub(super) fn read_only(path: &Path) -> Result<(Place, Connection), StoreError> {
    check_version(rusqlite::version_number())?;
    let path = files::resolved(path)?;
    let existing = files::existing(&path)?;
    let was_made = files::was_made(&path, existing.as_ref())?;
    let place = path.display().to_string();
    // The outer error says that the file could not be asked at all.
    let current = |how: &Place| -> Result<Result<Connection, StoreError>, StoreError> {
        let db = reader(how)?;
        match migrations::require_current(&db) {
            Ok(()) => Ok(Ok(db)),
            Err(Obstacle::Older { found: 0, .. }) if was_made => Err(files::emptied(&path)),
            Err(Obstacle::Database(error)) => Err(store_error(error, &format!("`{place}`"))),
            Err(obstacle) => Ok(Err(obstacle.at(&place))),
        }
    };
    let shared = Place::Shared(path.clone());
    let refusal = match current(&shared) {
        Ok(answer) => return answer.map(|db| (shared, db)),
        Err(StoreError::Unavailable(refusal)) if path.exists() => refusal,
        Err(refusal) => return Err(refusal),
    };
    // Whoever writes keeps a log beside the file: without one, the file is all there is.
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    if std::fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        return Err(StoreError::unavailable(format!(
            "{refusal}; not all writes are in the file yet, and the log that holds them, `{}`, cannot be read here; \
             copy the folder to where it can be written to, and read the copy",
            Path::new(&log).display()
        )));
    }
    let still = Place::Still(path.clone());
    current(&still)?.map(|db| (still, db))
}

fn check_version(number: i32) -> Result<(), StoreError> {
    if number >= OLDEST_SQLITE {
        return Ok(());
    }
    let dotted = |n: i32| format!("{}.{}.{}", n / 1_000_000, n / 1_000 % 1_000, n % 1_000);
    Err(StoreError::unavailable(format!(
        "this program was linked with SQLite {}, but needs {} or newer",
        dotted(number),
        dotted(OLDEST_SQLITE)
    )))
}

/// Switches the file to WAL and returns the mode that is now in force.
///
/// SQLite does not wait here on its own: when several processes open a new file at once, all but one are told "busy".
fn enter_wal(db: &Connection) -> Result<String, rusqlite::Error> {
    let start = Instant::now();
    // The switch is committed after the answer is there: whoever takes that alone hears nothing of a commit that fails.
    let switch = || -> Result<String, rusqlite::Error> {
        let mut statement = db.prepare("PRAGMA journal_mode = wal")?;
        let mut rows = statement.query([])?;
        let mut mode = String::new();
        while let Some(row) = rows.next()? {
            mode = row.get(0)?;
        }
        Ok(mode)
    };
    loop {
        match switch() {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && start.elapsed() < BUSY =>
            {
                std::thread::sleep(Duration::from_millis(2));
            }
            done => return done,
        }
    }
}

/// Sets a number and reads it back: SQLite ignores what it does not like.
fn set(db: &Connection, name: &str, value: i64, place: &str) -> Result<(), StoreError> {
    let failed = |error: rusqlite::Error| store_error(error, &format!("`{place}`"));
    db.pragma_update(None, name, value).map_err(failed)?;
    let found: i64 = db
        .pragma_query_value(None, name, |row| row.get(0))
        .map_err(failed)?;
    if found == value {
        return Ok(());
    }
    Err(StoreError::unavailable(format!(
        "`{place}`: SQLite did not accept {name} = {value}, it is still {found}"
    )))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use super::*;

    fn pragma(db: &Connection, name: &str) -> i64 {
        db.pragma_query_value(None, name, |row| row.get(0)).unwrap()
    }

    #[test]
    fn the_asked_durability_is_in_force() {
        for (durability, synchronous) in [(Durability::PowerLoss, 2), (Durability::ProcessCrash, 1)]
        {
            let folder = tempfile::tempdir().unwrap();
            let db = writer(&folder.path().join("s.db"), durability).unwrap().db;
            assert_eq!(pragma(&db, "synchronous"), synchronous);
            assert_eq!(pragma(&db, "foreign_keys"), 1);
            assert_eq!(pragma(&db, "wal_autocheckpoint"), WAL_PAGES);
            assert_eq!(pragma(&db, "journal_size_limit"), WAL_BYTES_KEPT);
            let mode: String = db
                .pragma_query_value(None, "journal_mode", |row| row.get(0))
                .unwrap();
            assert_eq!(mode, "wal");
        }
    }

    #[test]
    fn a_setting_that_is_not_taken_is_an_error() {
        let db = Connection::open_in_memory().unwrap();
        // A database in memory knows no page size of 3.
        let refused = set(&db, "page_size", 3, "x");
        assert!(
            matches!(refused, Err(StoreError::Unavailable(text)) if text.reason.contains("page_size"))
        );
    }

    #[test]
    fn an_old_library_is_refused_by_name() {
        assert!(check_version(3_051_003).is_ok());
        let error = check_version(3_050_004).unwrap_err().to_string();
        assert!(
            error.contains("3.50.4") && error.contains("3.51.3"),
            "{error}"
        );
    }

    #[test]
    fn a_reader_cannot_write() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.db");
        let _writer = writer(&path, Durability::PowerLoss).unwrap();
        let db = reader(&Place::Shared(path)).unwrap();
        assert!(db.execute("DELETE FROM run", []).is_err());
    }
}
