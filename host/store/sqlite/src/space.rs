//! The room that the file takes, and how what nothing uses of it is given back to the disk.

use std::time::Duration;

use rusqlite::Connection;

use super::open::INCREMENTAL;
use super::writer::Writer;
use milepost_store::{Release, Space, StoreError};

/// Pages given back in one transaction: few enough that others hardly wait for it.
const PAGES: u32 = 500;

/// How long readers are waited for.
const FOLDING: Duration = Duration::from_millis(100);

pub(super) fn of(db: &Connection) -> Result<Space, rusqlite::Error> {
    let number = |name: &str| {
        db.pragma_query_value(None, name, |row| row.get::<_, i64>(0))
            .map(i64::unsigned_abs)
    };
    let page = number("page_size")?;
    Ok(Space {
        bytes: number("page_count")?.saturating_mul(page),
        unused_bytes: number("freelist_count")?.saturating_mul(page),
        gives_back: number("auto_vacuum")? == INCREMENTAL.unsigned_abs(),
    })
}

pub(super) fn release(writer: &Writer, how: Release) -> Result<(), StoreError> {
    match how {
        Release::Unused => while writer.alone(release_some)? {},
        Release::Rewrite => writer.alone(|db| {
            db.pragma_update(None, "auto_vacuum", INCREMENTAL)?;
            db.execute_batch("VACUUM")
        })?,
    }
    // The file shrinks when the log is folded into it. Where readers are in the way, the next commits do it: nobody can write
    // while they are waited for.
    writer.alone(|db| {
        db.busy_timeout(FOLDING)?;
        let folded = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        match folded {
            Err(error) if super::is_locked(&error) => Ok(()),
            folded => folded,
        }
    })
}

/// Whether there may be more.
fn release_some(db: &Connection) -> Result<bool, rusqlite::Error> {
    let space = of(db)?;
    if space.unused_bytes == 0 || !space.gives_back {
        return Ok(false);
    }
    let mut statement = db.prepare(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
    let mut rows = statement.query([])?;
    // It gives back one page for every row that is asked for.
    while rows.next()?.is_some() {}
    Ok(true)
}
