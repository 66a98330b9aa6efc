//! Removing a run that has much: a piece per transaction, so that others write in between.
//!
//! The first transaction takes its id and its status away. From then on no question finds it, nothing can be written to it, and
//! its id is free; what it has goes piece by piece. If the process dies on the way, the next one that gives room back goes on.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::statements::Statements;
use super::writer::Writer;
use milepost_store::StoreError;
use milepost_store::fault;

/// Rows that go in one transaction, and bytes of them, unless one alone takes more.
const ROWS: i64 = 1_000;
const BYTES: i64 = 16 * 1024 * 1024;

/// Whether a run has so much that it goes in pieces.
pub(super) fn is_large(db: &mut Statements<'_>, key: i64) -> Result<bool, rusqlite::Error> {
    db.get(
        "SELECT stored_bytes > ?2 OR seq > ?3
             OR (SELECT count(*) FROM (SELECT 1 FROM log WHERE run = ?1 LIMIT ?3 + 1)) > ?3
         FROM run WHERE key = ?1",
    )?
    .query_row(params![key, BYTES, ROWS], |row| row.get(0))
}

/// Makes a run invisible. `removed` is the status of no run, and its text no id.
pub(super) fn begin(db: &mut Statements<'_>, key: i64) -> Result<(), rusqlite::Error> {
    db.get(
        "UPDATE run SET id = 'removed ' || key, status = 'removed', request = NULL, due_at = NULL, awaits = '[]', parent = NULL
         WHERE key = ?1",
    )?
    .execute([key])
    .map(drop)
}

/// Removes what is left of all runs whose removal has begun.
pub(super) fn finish(writer: &Writer) -> Result<(), StoreError> {
    while writer.alone(piece)? {
        fault::point("removal");
    }
    Ok(())
}

/// Removes a piece. Returns whether there may be more.
fn piece(db: &Connection) -> Result<bool, rusqlite::Error> {
    let tx = Transaction::new_unchecked(db, TransactionBehavior::Immediate)?;
    let key: Option<i64> = tx
        .prepare_cached("SELECT key FROM run WHERE status = 'removed' LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()?;
    let Some(key) = key else {
        return Ok(false);
    };
    if !(entries(&tx, key)?
        || logs(&tx, key)?
        || blobs(&tx, key)?
        || tokens(&tx, key)?
        || tapes(&tx, key)?
        || memos(&tx, key)?)
    {
        // The rest is bounded, and goes with it (ON DELETE CASCADE).
        tx.execute("DELETE FROM run WHERE key = ?1", [key])?;
    }
    tx.commit()?;
    Ok(true)
}

fn entries(db: &Connection, key: i64) -> Result<bool, rusqlite::Error> {
    let sizes = "SELECT seq, octet_length(body) FROM journal WHERE run = ?1 ORDER BY seq";
    let Some(last) = last_of_piece(db, sizes, key)? else {
        return Ok(false);
    };
    let sql = "DELETE FROM journal WHERE run = ?1 AND seq <= ?2";
    db.execute(sql, [key, last]).map(|_| true)
}

fn logs(db: &Connection, key: i64) -> Result<bool, rusqlite::Error> {
    let sizes = "SELECT position, octet_length(body) FROM log WHERE run = ?1 ORDER BY position";
    let Some(last) = last_of_piece(db, sizes, key)? else {
        return Ok(false);
    };
    let sql = "DELETE FROM log WHERE run = ?1 AND position <= ?2";
    db.execute(sql, [key, last]).map(|_| true)
}

fn tokens(db: &Connection, key: i64) -> Result<bool, rusqlite::Error> {
    let sql = "DELETE FROM signal_token WHERE run = ?1
        AND token IN (SELECT token FROM signal_token WHERE run = ?1 LIMIT ?2)";
    Ok(db.execute(sql, [key, ROWS])? > 0)
}

fn tapes(db: &Connection, key: i64) -> Result<bool, rusqlite::Error> {
    let sizes = "SELECT key, octet_length(body) FROM tape WHERE run = ?1 ORDER BY key";
    let Some(last) = last_of_piece(db, sizes, key)? else {
        return Ok(false);
    };
    let sql = "DELETE FROM tape WHERE run = ?1 AND key <= ?2";
    db.execute(sql, [key, last]).map(|_| true)
}

fn memos(db: &Connection, key: i64) -> Result<bool, rusqlite::Error> {
    let sizes = "SELECT position, octet_length(value) FROM memo WHERE run = ?1 ORDER BY position";
    let Some(last) = last_of_piece(db, sizes, key)? else {
        return Ok(false);
    };
    let sql = "DELETE FROM memo WHERE run = ?1 AND position <= ?2";
    db.execute(sql, [key, last]).map(|_| true)
}

/// Where a piece ends: `sizes` gives positions and bytes, in order.
fn last_of_piece(db: &Connection, sizes: &str, key: i64) -> Result<Option<i64>, rusqlite::Error> {
    let mut statement = db.prepare_cached(sizes)?;
    let mut rows = statement.query([key])?;
    let (mut last, mut count, mut bytes) = (None, 0, 0);
    while let Some(row) = rows.next()? {
        count += 1;
        bytes += row.get::<_, i64>(1)?;
        if last.is_some() && (count > ROWS || bytes > BYTES) {
            break;
        }
        last = Some(row.get(0)?);
    }
    Ok(last)
}

/// Uses of blobs, each with the blob where no other run uses it.
fn blobs(db: &Connection, key: i64) -> Result<bool, rusqlite::Error> {
    let mut next = db.prepare_cached(
        "SELECT digest, coalesce((SELECT length(bytes) FROM blob WHERE blob.digest = blob_use.digest), 0)
         FROM blob_use WHERE run = ?1 LIMIT 1",
    )?;
    let (mut count, mut bytes) = (0, 0);
    while count < ROWS && bytes < BYTES {
        let found: Option<(Vec<u8>, i64)> = next
            .query_row([key], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((digest, size)) = found else {
            break;
        };
        db.prepare_cached("DELETE FROM blob_use WHERE run = ?1 AND digest = ?2")?
            .execute(params![key, digest])?;
        db.prepare_cached(
            "DELETE FROM blob WHERE digest = ?1
             AND NOT EXISTS (SELECT 1 FROM blob_use WHERE blob_use.digest = blob.digest)",
        )?
        .execute([&digest])?;
        (count, bytes) = (count + 1, bytes + size);
    }
    Ok(count > 0)
}
