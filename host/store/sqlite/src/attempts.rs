//! What attempts leave behind while they are in flight, and buckets: the SQL of both.

use std::sync::Arc;

use milepost_core::effect::{
    Applied, Artifact, GroupChange, KvChange, KvItem, Memo, ProcessGroup, TapePart,
};
use milepost_core::ids::{Digest, Epoch, RunId};
use milepost_core::limits;
use milepost_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::change::{Change, Failure, conflict, keep_blob, present, use_blob};
use super::statements::Statements;
use super::{nanos, signed, store_error};
use milepost_store::fault;
use milepost_store::{
    Bucket, NewLog, Note, Page, Said, StoreError, StoredProgress, StoredTape, UsedArtifact,
    bucket_has_room, may_use,
};

/// Applies a note. `is_kept` says whether the bytes of an artifact are there.
pub(super) fn note(
    db: &mut Statements<'_>,
    note: &Note,
    is_kept: impl FnOnce(&Digest) -> Result<bool, Failure>,
) -> Result<Applied, Failure> {
    let key = running(db, &note.run, note.epoch)?;
    // Whatever refuses is asked before anything is changed.
    let mut added = 0;
    if let Some(memo) = &note.effect.memo {
        match fits(db, key, &note.path, memo)? {
            Ok(bytes) => added += bytes,
            Err(refused) => return Ok(refused),
        }
    }
    let artifact = note.effect.artifact.as_ref();
    if let Some(artifact) = artifact
        && !is_kept(&artifact.digest)?
    {
        return Ok(Applied::Gone);
    }
    if let Some(artifact) = artifact
        && !may_use_one_more(db, key, &note.path, artifact)?
    {
        return Ok(Applied::Full);
    }
    if let Some(change) = &note.effect.kv
        && let refused @ (Applied::Conflict | Applied::Full) = put(db, change)?
    {
        return Ok(refused);
    }
    if let Some(memo) = &note.effect.memo {
        keep_memo(db, key, &note.path, memo)?;
    }
    if let Some(artifact) = artifact {
        use_artifact(db, key, &note.path, artifact)?;
    }
    if let Some(part) = &note.effect.tape {
        for (digest, bytes) in &part.blobs {
            let used: bool = db
                .get("SELECT EXISTS (SELECT 1 FROM blob_use WHERE digest = ?1 AND run = ?2)")?
                .query_row(params![digest.as_bytes(), key], |row| row.get(0))?;
            if !used {
                added += bytes.len() as u64;
            }
            keep_blob(db, digest, bytes)?;
            use_blob(db, key, digest)?;
        }
        added += part.bytes();
        let before = keep_tape(db, key, note.started, part)?;
        free(db, key, before)?;
    }
    match &note.effect.processes {
        Some(GroupChange::Began(group)) => {
            db.get(
                    "INSERT INTO process_group (run, host, boot, number, started) VALUES (?1, ?2, ?3, ?4, ?5)
                     ON CONFLICT DO NOTHING",
                )?
                .execute(group_key(key, group))?;
        }
        Some(GroupChange::Ended(group)) => {
            db.get(
                    "DELETE FROM process_group WHERE run = ?1 AND host = ?2 AND boot = ?3 AND number = ?4 AND started = ?5",
                )?
                .execute(group_key(key, group))?;
        }
        None => {}
    }
    if added > 0 {
        take(db, key, added)?;
    }
    fault::point("note_written");
    Ok(Applied::Done)
}

/// Lines of an attempt in flight.
pub(super) struct Saying(pub(super) Said);

impl Change for Saying {
    type Reply = ();

    fn run(&self) -> &RunId {
        &self.0.run
    }

    fn apply(&self, db: &mut Statements<'_>) -> Result<(), Failure> {
        let Said {
            run,
            epoch,
            lines,
            progress,
        } = &self.0;
        let key = running(db, run, *epoch)?;
        append_lines(db, key, lines)?;
        let added = lines.iter().map(NewLog::bytes).sum();
        take(db, key, added)?;
        if let Some(progress) = progress {
            keep_progress(db, key, progress)?;
        }
        Ok(())
    }
}

/// In the place of what its execution said before. Not counted: it is little, and bounded.
fn keep_progress(
    db: &mut Statements<'_>,
    run: i64,
    progress: &StoredProgress,
) -> Result<(), rusqlite::Error> {
    db.get(
        "INSERT INTO progress (run, path, attempt, at, body) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO UPDATE SET attempt = excluded.attempt, at = excluded.at, body = excluded.body",
    )?
    .execute(params![
        run,
        progress.path,
        progress.attempt,
        nanos(progress.at),
        progress.body
    ])?;
    db.get(
        "DELETE FROM progress WHERE run = ?1 AND path IN
             (SELECT path FROM progress WHERE run = ?1 ORDER BY at DESC, path DESC LIMIT -1 OFFSET ?2)",
    )?
    .execute(params![run, signed(limits::PROGRESS_KEPT as u64)])
    .map(drop)
}

/// How far attempts of a run said that they are.
pub(super) fn progress(db: &Connection, run: &RunId) -> Result<Vec<StoredProgress>, StoreError> {
    let read = || {
        let mut statement = db.prepare_cached(
            "SELECT path, attempt, at, body FROM progress WHERE run = (SELECT key FROM run WHERE id = ?1) ORDER BY path",
        )?;
        let rows = statement.query_map([run.as_str()], |row| {
            Ok(StoredProgress {
                path: row.get(0)?,
                attempt: row.get(1)?,
                at: Timestamp::from_nanos(row.get::<_, i64>(2)?.unsigned_abs()),
                body: row.get(3)?,
            })
        })?;
        rows.collect::<Result<_, rusqlite::Error>>()
    };
    read().map_err(|error| store_error(error, "the progress of a run"))
}

/// The key of a run that runs under that epoch.
fn running(db: &mut Statements<'_>, run: &RunId, epoch: Epoch) -> Result<i64, Failure> {
    let key = db
        .get("SELECT key FROM run WHERE id = ?1 AND epoch = ?2 AND status = 'running'")?
        .query_row(params![run.as_str(), signed(epoch.0)], |row| row.get(0))
        .optional()?;
    match key {
        Some(key) => Ok(key),
        None => {
            present(db, run)?;
            Err(conflict(db, run)?)
        }
    }
}

/// Counts bytes that a run takes more.
fn take(db: &mut Statements<'_>, run: i64, added: u64) -> Result<(), rusqlite::Error> {
    db.get("UPDATE run SET stored_bytes = min(stored_bytes, 9223372036854775807 - ?2) + ?2 WHERE key = ?1")?
        .execute(params![run, signed(added)])
        .map(drop)
}

/// Appends to the log of a run.
pub(super) fn append_lines(
    db: &mut Statements<'_>,
    run: i64,
    lines: &[NewLog],
) -> Result<(), rusqlite::Error> {
    for line in lines {
        db.get("INSERT INTO log (run, at, path, attempt, body) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![
                run,
                nanos(line.at),
                line.path,
                line.attempt,
                line.body
            ])?;
    }
    Ok(())
}

fn group_key(run: i64, group: &ProcessGroup) -> (i64, &str, &str, u32, i64) {
    (
        run,
        &group.host,
        &group.boot,
        group.group,
        signed(group.started),
    )
}

/// What a memo takes more, bytes, or why there is no room for it.
fn fits(
    db: &mut Statements<'_>,
    run: i64,
    path: &str,
    memo: &Memo,
) -> Result<Result<u64, Applied>, rusqlite::Error> {
    let known = db
        .get("SELECT value FROM memo WHERE run = ?1 AND path = ?2 AND key = ?3")?
        .query_row(params![run, path, memo.key], |row| {
            Ok(row.get_ref(0)?.as_str()? == memo.value)
        })
        .optional()?;
    match known {
        Some(true) => return Ok(Ok(0)),
        Some(false) => return Ok(Err(Applied::Conflict)),
        None => {}
    }
    let keys: i64 = db
        .get("SELECT count(*) FROM memo WHERE run = ?1 AND path = ?2")?
        .query_row(params![run, path], |row| row.get(0))?;
    Ok(match keys.unsigned_abs() < limits::MEMO_KEYS as u64 {
        true => Ok(memo.bytes()),
        false => Err(Applied::Full),
    })
}

/// Whether the run may use an artifact, which it may use already.
fn may_use_one_more(
    db: &mut Statements<'_>,
    run: i64,
    path: &str,
    artifact: &Artifact,
) -> Result<bool, rusqlite::Error> {
    let known: bool = db
        .get("SELECT EXISTS (SELECT 1 FROM artifact WHERE run = ?1 AND path = ?2 AND name = ?3 AND digest = ?4)")?
        .query_row(
            params![run, path, artifact.name, artifact.digest.as_bytes()],
            |row| row.get(0),
        )?;
    if known {
        return Ok(true);
    }
    let (used, bytes): (i64, i64) = db
        .get("SELECT count(*), coalesce(sum(size), 0) FROM artifact WHERE run = ?1")?
        .query_row([run], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(may_use(
        used.unsigned_abs(),
        bytes.unsigned_abs(),
        artifact.size,
    ))
}

/// Notes that the run uses an artifact.
pub(super) fn use_artifact(
    db: &mut Statements<'_>,
    run: i64,
    path: &str,
    artifact: &Artifact,
) -> Result<(), rusqlite::Error> {
    db.get(
        // Not with a conflict that is ignored: that would take a position.
        "INSERT INTO artifact (run, path, name, digest, size, media_type) SELECT ?1, ?2, ?3, ?4, ?5, ?6
         WHERE NOT EXISTS (SELECT 1 FROM artifact WHERE run = ?1 AND path = ?2 AND name = ?3 AND digest = ?4)",
    )?
    .execute(params![
        run,
        path,
        artifact.name,
        artifact.digest.as_bytes(),
        signed(artifact.size),
        artifact.media_type
    ])
    .map(drop)
}

/// Keeps a part of a tape, in the place of one that begins there too: its owner was not told that it was saved. Gives what that took,
/// bytes.
pub(super) fn keep_tape(
    db: &mut Statements<'_>,
    run: i64,
    started: u64,
    part: &TapePart,
) -> Result<u64, rusqlite::Error> {
    let place = (run, signed(started), signed(part.first));
    let before: Option<i64> = db
        .get("SELECT octet_length(body) FROM tape WHERE run = ?1 AND started = ?2 AND first = ?3")?
        .query_row(place, |row| row.get(0))
        .optional()?;
    db.get(
        "INSERT INTO tape (run, started, first, body) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (run, started, first) DO UPDATE SET body = excluded.body",
    )?
    .execute(params![place.0, place.1, place.2, part.body])?;
    Ok(before.map_or(0, i64::unsigned_abs))
}

/// Keeps what the work under a key of an execution came to.
pub(super) fn keep_memo(
    db: &mut Statements<'_>,
    run: i64,
    path: &str,
    memo: &Memo,
) -> Result<(), rusqlite::Error> {
    db.get(
        "INSERT INTO memo (run, path, key, value) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
    )?
    .execute(params![run, path, memo.key, memo.value])
    .map(drop)
}

/// The run takes so many bytes less.
pub(super) fn free(db: &mut Statements<'_>, run: i64, bytes: u64) -> Result<(), rusqlite::Error> {
    if bytes > 0 {
        db.get("UPDATE run SET stored_bytes = max(stored_bytes - ?2, 0) WHERE key = ?1")?
            .execute(params![run, signed(bytes)])?;
    }
    Ok(())
}

/// Drops the memos of these executions, and of all that stands in them. Gives what they took, bytes.
pub(super) fn renew(
    db: &mut Statements<'_>,
    run: i64,
    paths: &[String],
) -> Result<u64, rusqlite::Error> {
    let mut freed: i64 = 0;
    for path in paths {
        let memos = db.get(
            "DELETE FROM memo WHERE run = ?1 AND (path = ?2
                 OR substr(path, 1, length(?2) + 1) IN (?2 || '#', ?2 || '[', ?2 || '/'))
             RETURNING octet_length(key) + octet_length(value)",
        )?;
        let mut rows = memos.query(params![run, path])?;
        while let Some(row) = rows.next()? {
            freed += row.get::<_, i64>(0)?;
        }
    }
    Ok(freed.unsigned_abs())
}

/// Changes a key of a bucket. What refuses has changed nothing.
fn put(db: &mut Statements<'_>, change: &KvChange) -> Result<Applied, rusqlite::Error> {
    let bucket = db
        .get("SELECT key, bytes, deleted_revision FROM bucket WHERE name = ?1")?
        .query_row([&change.bucket], |row| {
            Ok((row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let (bytes, deleted): (i64, i64) =
        bucket.map_or((0, 0), |(_, bytes, deleted)| (bytes, deleted));
    let present = match bucket {
        None => None,
        Some((key, ..)) => db
            .get("SELECT revision, length(value) FROM item WHERE bucket = ?1 AND key = ?2")?
            .query_row(params![key, change.key], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
            })
            .optional()?,
    };
    // A key that is not there stands at the highest revision of all that were deleted: whatever it had itself is not above that.
    if present.map_or(deleted, |(revision, _)| revision) != signed(change.over) {
        return Ok(Applied::Conflict);
    }
    let name = change.key.len() as u64;
    let before = present.map_or(0, |(_, bytes)| name + bytes.unsigned_abs());
    let value = change.value.as_deref();
    let after = value.map_or(0, |value| name + value.len() as u64);
    let bytes = bytes.unsigned_abs();
    if !bucket_has_room(bytes, before, after) {
        return Ok(Applied::Full);
    }
    let bytes = bytes.saturating_sub(before).saturating_add(after);
    let revision = signed(change.over.saturating_add(1));
    let deleted = match value {
        Some(_) => deleted,
        None => deleted.max(revision),
    };
    let key: i64 = db
        .get(
            "INSERT INTO bucket (name, bytes, deleted_revision) VALUES (?1, ?2, ?3)
             ON CONFLICT (name) DO UPDATE SET bytes = excluded.bytes, deleted_revision = excluded.deleted_revision
             RETURNING key",
        )?
        .query_row(params![change.bucket, signed(bytes), deleted], |row| {
            row.get(0)
        })?;
    match value {
        Some(value) => db
            .get(
                "INSERT INTO item (bucket, key, revision, value) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (bucket, key) DO UPDATE SET revision = excluded.revision, value = excluded.value",
            )?
            .execute(params![key, change.key, revision, value])?,
        None => db
            .get("DELETE FROM item WHERE bucket = ?1 AND key = ?2")?
            .execute(params![key, change.key])?,
    };
    Ok(Applied::Done)
}

/// The same in a transaction of its own.
pub(super) fn put_alone(db: &Connection, change: &KvChange) -> Result<Applied, rusqlite::Error> {
    let tx = rusqlite::Transaction::new_unchecked(db, rusqlite::TransactionBehavior::Immediate)?;
    let applied = put(&mut Statements::of(&tx), change)?;
    tx.commit()?;
    Ok(applied)
}

fn failed(what: &str) -> impl Fn(rusqlite::Error) -> StoreError {
    move |error| store_error(error, what)
}

pub(super) fn tape(
    db: &Connection,
    run: &RunId,
    started: u64,
    from: u64,
) -> Result<Vec<StoredTape>, StoreError> {
    let what = format!("run `{run}`");
    let failed = failed(&what);
    let mut statement = db
        .prepare_cached(
            "SELECT first, body FROM tape
             WHERE run = (SELECT key FROM run WHERE id = ?1) AND started = ?2 AND first >= ?3 ORDER BY first",
        )
        .map_err(&failed)?;
    let mut rows = statement
        .query(params![run.as_str(), signed(started), signed(from)])
        .map_err(&failed)?;
    let mut page = Page::default();
    while let Some(row) = rows.next().map_err(&failed)? {
        let part = StoredTape {
            first: row.get::<_, i64>(0).map_err(&failed)?.unsigned_abs(),
            body: row.get(1).map_err(&failed)?,
        };
        let bytes = part.body.len();
        if !page.take(part, bytes) {
            break;
        }
    }
    Ok(page.into_rows())
}

pub(super) fn memo(
    db: &Connection,
    run: &RunId,
    path: &str,
    key: &str,
) -> Result<Option<String>, StoreError> {
    let read = || {
        db.prepare_cached(
            "SELECT value FROM memo WHERE run = (SELECT key FROM run WHERE id = ?1) AND path = ?2 AND key = ?3",
        )?
        .query_row(params![run.as_str(), path, key], |row| row.get(0))
        .optional()
    };
    read().map_err(failed(&format!("run `{run}`")))
}

pub(super) fn memos(
    db: &Connection,
    run: &RunId,
    after: Option<(&str, &str)>,
) -> Result<Vec<(String, Memo)>, StoreError> {
    let read = || {
        let mut statement = db.prepare_cached(
            "SELECT path, key, value FROM memo
             WHERE run = (SELECT key FROM run WHERE id = ?1) AND (?2 IS NULL OR (path, key) > (?2, ?3)) ORDER BY path, key",
        )?;
        let (path, key) = after.unzip();
        let mut rows = statement.query(params![run.as_str(), path, key])?;
        let mut page = Page::default();
        while let Some(row) = rows.next()? {
            let memo = Memo {
                key: row.get(1)?,
                value: row.get(2)?,
            };
            let bytes = memo.key.len() + memo.value.len();
            if !page.take((row.get(0)?, memo), bytes) {
                break;
            }
        }
        Ok(page.into_rows())
    };
    read().map_err(failed(&format!("run `{run}`")))
}

pub(super) fn groups(db: &Connection, run: &RunId) -> Result<Vec<ProcessGroup>, StoreError> {
    let group = |row: &Row<'_>| {
        Ok(ProcessGroup {
            host: row.get(0)?,
            boot: row.get(1)?,
            group: row.get(2)?,
            started: row.get::<_, i64>(3)?.unsigned_abs(),
        })
    };
    let read = || {
        db.prepare_cached(
            "SELECT host, boot, number, started FROM process_group
             WHERE run = (SELECT key FROM run WHERE id = ?1) ORDER BY host, boot, number, started",
        )?
        .query_map([run.as_str()], group)?
        .collect::<Result<_, _>>()
    };
    read().map_err(failed(&format!("run `{run}`")))
}

fn read_artifact(row: &Row<'_>, first: usize) -> Result<Artifact, rusqlite::Error> {
    Ok(Artifact {
        name: row.get(first)?,
        digest: Digest::from(row.get::<_, [u8; 32]>(first + 1)?),
        size: row.get::<_, i64>(first + 2)?.unsigned_abs(),
        media_type: row.get(first + 3)?,
    })
}

pub(super) fn artifacts(
    db: &Connection,
    run: &RunId,
    after: u64,
    limit: usize,
) -> Result<Vec<UsedArtifact>, StoreError> {
    let used = |row: &Row<'_>| {
        Ok(UsedArtifact {
            position: row.get::<_, i64>(0)?.unsigned_abs(),
            path: row.get(1)?,
            artifact: read_artifact(row, 2)?,
        })
    };
    let read = || {
        let mut statement = db.prepare_cached(
            "SELECT position, path, name, digest, size, media_type FROM artifact
             WHERE run = (SELECT key FROM run WHERE id = ?1) AND position > ?2 ORDER BY position LIMIT ?3",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        statement
            .query_map(params![run.as_str(), signed(after), limit], used)?
            .collect::<Result<_, _>>()
    };
    read().map_err(failed(&format!("run `{run}`")))
}

pub(super) fn artifact(db: &Connection, digest: &Digest) -> Result<Option<Artifact>, StoreError> {
    let read = || {
        db.prepare_cached(
            "SELECT name, digest, size, media_type FROM artifact JOIN run ON run.key = artifact.run
             WHERE digest = ?1 AND status <> 'removed' ORDER BY position LIMIT 1",
        )?
        .query_row([digest.as_bytes()], |row| read_artifact(row, 0))
        .optional()
    };
    read().map_err(failed(&format!("artifact {digest}")))
}

pub(super) fn item(db: &Connection, bucket: &str, key: &str) -> Result<Option<KvItem>, StoreError> {
    let item = |row: &Row<'_>| {
        Ok(KvItem {
            revision: row.get::<_, i64>(0)?.unsigned_abs(),
            value: row.get::<_, Option<Vec<u8>>>(1)?.map(Arc::from),
        })
    };
    let read = || {
        db.prepare_cached(
            "SELECT coalesce(item.revision, deleted_revision), value
             FROM bucket LEFT JOIN item ON item.bucket = bucket.key AND item.key = ?2
             WHERE name = ?1 AND (item.revision IS NOT NULL OR deleted_revision > 0)",
        )?
        .query_row([bucket, key], item)
        .optional()
    };
    read().map_err(failed("a bucket"))
}

pub(super) fn keys(
    db: &Connection,
    bucket: &str,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<String>, StoreError> {
    // Both ends are places in the index: a page costs what is on it, wherever it begins and whatever lies behind.
    let from = after.map_or(prefix, |after| after.max(prefix));
    let end = successor(prefix);
    let read = || {
        let mut statement = db.prepare_cached(match end {
            Some(_) => {
                "SELECT key FROM item WHERE bucket = (SELECT key FROM bucket WHERE name = ?1)
                 AND key >= ?2 AND key IS NOT ?3 AND key < ?5 ORDER BY key LIMIT ?4"
            }
            None => {
                "SELECT key FROM item WHERE bucket = (SELECT key FROM bucket WHERE name = ?1)
                 AND key >= ?2 AND key IS NOT ?3 AND ?5 IS NULL ORDER BY key LIMIT ?4"
            }
        })?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        statement
            .query_map(params![bucket, from, after, limit, end], |row| row.get(0))?
            .collect::<Result<_, _>>()
    };
    read().map_err(failed("a bucket"))
}

/// The first text behind all that begin with `prefix`; `None` where nothing is behind them. (Bytes of UTF-8 sort as their characters.)
fn successor(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        if let Some(next) = (last..=char::MAX).nth(1) {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

pub(super) fn buckets(
    db: &Connection,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<Bucket>, StoreError> {
    let bucket = |row: &Row<'_>| {
        Ok(Bucket {
            name: row.get(0)?,
            bytes: row.get::<_, i64>(1)?.unsigned_abs(),
            keys: row.get::<_, i64>(2)?.unsigned_abs(),
        })
    };
    let read = || {
        let mut statement = db.prepare_cached(
            "SELECT name, bytes, (SELECT count(*) FROM item WHERE item.bucket = bucket.key) FROM bucket
             WHERE ?1 IS NULL OR name > ?1 ORDER BY name LIMIT ?2",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        statement
            .query_map(params![after, limit], bucket)?
            .collect::<Result<_, _>>()
    };
    read().map_err(failed("the buckets"))
}
