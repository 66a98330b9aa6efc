//! Looking over many runs: what a worker has to do, what may be removed, how the store is.

use std::collections::BTreeMap;
use std::path::Path;

use milepost_core::correction::is_far_ahead;
use milepost_core::ids::{Digest, RunId};
use milepost_core::limits;
use milepost_core::state::Status;
use milepost_core::time::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, params, params_from_iter};

use super::change::asked;
use super::read::{RUN_COLUMNS, count_limit, listed};
use super::{nanos, signed, space, store_error};
use milepost_store::{
    Ask, Attention, BlobFault, CheckedBlob, Health, Held, Holdings, Look, News, Offer, RunRow,
    StoreError, UNREADABLE,
};

/// The questions of [`offer`] and [`attention`], each answered from an index: what is over, or paused and not due, is never
/// looked at.
const DUE: &str =
    "FROM run INDEXED BY run_by_due WHERE due_at <= ?1 AND status = 'paused' ORDER BY due_at, key";
const PENDING: &str = "FROM run WHERE status = 'pending' ORDER BY created_at, id";
/// A list of names that is damaged matches every signal, so that the row is told of instead of failing the question.
const SIGNALLED: &str =
    "FROM run INDEXED BY run_by_awaits WHERE awaits <> '[]' AND status = 'paused' AND EXISTS (
        SELECT 1 FROM signal, json_each(iif(json_valid(run.awaits), run.awaits, '[]'))
        WHERE signal.run = run.key AND value = signal.name)
    ORDER BY created_at, id LIMIT ?1";
const REQUESTED: &str =
    "FROM run INDEXED BY run_by_request WHERE request IS NOT NULL AND status NOT IN ('running', 'completed', 'cancelled')
    ORDER BY created_at, id LIMIT ?1";
/// Whose lease has run out, or is of a clock far ahead, and all of this host: an owner that cannot be read is nobody's.
const RUNNING: &str = "FROM run WHERE status = 'running'
    AND (lease_until IS NULL OR lease_until <= ?2 OR lease_until > ?3
        OR iif(json_valid(owner), coalesce(owner ->> 'host', ?4), ?4) = ?4)
    AND (?5 IS NULL OR (created_at, id) > (SELECT created_at, id FROM run WHERE id = ?5))
    ORDER BY created_at, id LIMIT ?1";
const NEXT_DUE: &str =
    "SELECT due_at FROM run INDEXED BY run_by_due WHERE due_at > ?1 AND status = 'paused'
    ORDER BY due_at LIMIT 1";

pub(super) fn offer(db: &Connection, ask: &Ask, now: Timestamp) -> Result<Offer, StoreError> {
    let failed = |error: rusqlite::Error| store_error(error, "the runs to take");
    let tx = db.unchecked_transaction().map_err(failed)?;
    let mut offer = Offer::default();
    for question in [DUE, PENDING] {
        take(&tx, question, ask, now, &mut offer).map_err(failed)?;
    }
    tx.finish().map_err(failed)?;
    Ok(offer)
}

/// Reads on until there is no more room. What is passed over, and what cannot be read, keeps nobody else out.
fn take(
    db: &Connection,
    question: &str,
    ask: &Ask,
    now: Timestamp,
    offer: &mut Offer,
) -> Result<(), rusqlite::Error> {
    let mut statement = db.prepare_cached(&format!("SELECT {RUN_COLUMNS} {question}"))?;
    let values = [nanos(now)];
    let named = statement.parameter_count();
    let mut rows = statement.query(params_from_iter(&values[..named]))?;
    while offer.rows.len() < ask.room
        && let Some(row) = rows.next()?
    {
        match listed(row)? {
            Ok(row) if ask.except.contains(&row.id) => {}
            Ok(row) => offer.rows.push(row),
            Err(unreadable) if offer.unreadable.len() < UNREADABLE => {
                offer.unreadable.push(unreadable);
            }
            Err(_) => {}
        }
    }
    Ok(())
}

pub(super) fn attention(
    db: &Connection,
    look: &Look,
    now: Timestamp,
) -> Result<Attention, StoreError> {
    let failed = |error: rusqlite::Error| store_error(error, "the runs that need attention");
    let tx = db.unchecked_transaction().map_err(failed)?;
    let mut unreadable = BTreeMap::new();
    let mut ask = |question: &str, values: &[Value]| {
        let found = rows(&tx, question, values).map_err(failed)?;
        // A page that is not full is the last one.
        let full = found.rows.len() + found.unreadable.len() >= look.limit;
        unreadable.extend(found.unreadable);
        Ok::<_, StoreError>((found.rows, found.last.filter(|_| full)))
    };
    let limit = Value::from(count_limit(look.limit));
    let mut attention = Attention::default();
    if look.after.is_none() {
        (attention.signalled, _) = ask(SIGNALLED, std::slice::from_ref(&limit))?;
        (attention.requested, _) = ask(REQUESTED, std::slice::from_ref(&limit))?;
    }
    (attention.running, attention.next) = ask(
        RUNNING,
        &[
            limit,
            Value::from(nanos(now)),
            Value::from(nanos(far_ahead(now))),
            Value::from(look.host.clone()),
            Value::from(look.after.clone()),
        ],
    )?;
    attention.unreadable = unreadable.into_iter().collect();
    if look.after.is_none() {
        let next = tx.prepare_cached(NEXT_DUE).and_then(|mut next| {
            let mut rows = next.query([nanos(now)])?;
            rows.next()?.map(|row| row.get::<_, i64>(0)).transpose()
        });
        let next = next.map_err(failed)?;
        attention.next_due = next.map(|at| Timestamp::from_nanos(at.unsigned_abs()));
    }
    tx.finish().map_err(failed)?;
    Ok(attention)
}

/// The last instant until which a lease may be valid that a clock which is right has written.
fn far_ahead(now: Timestamp) -> Timestamp {
    let end = Timestamp::from_nanos(u64::MAX);
    match is_far_ahead(end, now) {
        true => now.after(limits::CLOCK_AHEAD),
        false => end,
    }
}

/// What is new of claims, without a change.
pub(super) fn news(db: &Connection, held: &[Held]) -> Result<Vec<News>, StoreError> {
    let failed = |error: rusqlite::Error| store_error(error, "the claims of this process");
    let tx = db.unchecked_transaction().map_err(failed)?;
    let mut question = tx
        .prepare_cached(
            "SELECT request, requested_at, requested_by FROM run WHERE id = ?1 AND epoch = ?2 AND owner IS NOT NULL",
        )
        .map_err(failed)?;
    let mut news = Vec::new();
    for claim in held {
        let holds = question
            .query_row(params![claim.run.as_str(), signed(claim.epoch.0)], |row| {
                asked(row, 0)
            })
            .optional()
            .map_err(failed)?;
        news.extend(claim.news(holds));
    }
    drop(question);
    tx.finish().map_err(failed)?;
    Ok(news)
}

pub(super) fn written_before(
    db: &Connection,
    before: Timestamp,
    statuses: &[Status],
    limit: usize,
) -> Result<Vec<RunRow>, StoreError> {
    let failed = |error: rusqlite::Error| store_error(error, "the runs to remove");
    let words: Vec<&str> = statuses.iter().map(|status| status.as_str()).collect();
    let question = "FROM run WHERE status IN (SELECT value FROM json_each(?3))
        AND created_at < ?1 AND updated_at < ?1 ORDER BY created_at, id LIMIT ?2";
    let values = [
        Value::from(nanos(before)),
        Value::from(count_limit(limit)),
        Value::from(serde_json::to_string(&words).expect("a list of texts, which JSON can hold")),
    ];
    Ok(rows(db, question, &values).map_err(failed)?.rows)
}

/// A bounded list.
#[derive(Default)]
struct Rows {
    rows: Vec<RunRow>,
    unreadable: Vec<(String, String)>,
    /// The id of the last one that was read, in whatever state.
    last: Option<String>,
}

fn rows(db: &Connection, question: &str, values: &[Value]) -> Result<Rows, rusqlite::Error> {
    let mut statement = db.prepare_cached(&format!("SELECT {RUN_COLUMNS} {question}"))?;
    let named = statement.parameter_count();
    let mut found = Rows::default();
    // A question names the parameters that it needs; SQLite counts up to the highest.
    let mut rows = statement.query(params_from_iter(&values[..named]))?;
    while let Some(row) = rows.next()? {
        match listed(row)? {
            Ok(row) => {
                found.last = Some(row.id.to_string());
                found.rows.push(row);
            }
            Err(unreadable) => {
                found.last = Some(unreadable.0.clone());
                found.unreadable.push(unreadable);
            }
        }
    }
    Ok(found)
}

pub(super) fn checked_blob(
    db: &Connection,
    after: Option<&Digest>,
) -> Result<Option<CheckedBlob>, StoreError> {
    let failed = |error: rusqlite::Error| store_error(error, "the blobs");
    let tx = db.unchecked_transaction().map_err(failed)?;
    let Some(digest) = next_digest(&tx, after).map_err(failed)? else {
        return Ok(None);
    };
    let fault = match blob_fault(&tx, &digest) {
        Ok(fault) => fault,
        Err(error) => match store_error(error, "a blob") {
            StoreError::Corrupt(_) => Some(BlobFault::Damaged),
            error => return Err(error),
        },
    };
    let users = match fault {
        Some(_) => users(&tx, &digest).map_err(failed)?,
        None => Vec::new(),
    };
    tx.finish().map_err(failed)?;
    Ok(Some(CheckedBlob {
        digest,
        fault,
        users,
    }))
}

fn next_digest(db: &Connection, after: Option<&Digest>) -> Result<Option<Digest>, rusqlite::Error> {
    let mut next = db.prepare_cached(
        "SELECT min(digest) FROM (
             SELECT * FROM (SELECT digest FROM blob WHERE digest > ?1 AND length(digest) = 32 ORDER BY digest LIMIT 1)
             UNION ALL
             SELECT * FROM (SELECT digest FROM blob_use WHERE digest > ?1 AND length(digest) = 32 ORDER BY digest LIMIT 1))",
    )?;
    // Nothing comes before the empty one.
    let after = after.map_or(&[][..], |after| after.as_bytes());
    let found: Option<[u8; 32]> = next.query_row([after], |row| row.get(0))?;
    Ok(found.map(Digest::from))
}

fn blob_fault(db: &Connection, digest: &Digest) -> Result<Option<BlobFault>, rusqlite::Error> {
    let mut statement = db.prepare_cached("SELECT bytes FROM blob WHERE digest = ?1")?;
    let mut rows = statement.query([digest.as_bytes()])?;
    let Some(row) = rows.next()? else {
        return Ok(Some(BlobFault::Missing));
    };
    let same = Digest::of(row.get_ref(0)?.as_blob()?) == *digest;
    Ok((!same).then_some(BlobFault::Damaged))
}

fn users(db: &Connection, digest: &Digest) -> Result<Vec<String>, rusqlite::Error> {
    let mut statement = db.prepare_cached(
        "SELECT id FROM run JOIN blob_use ON blob_use.run = run.key WHERE digest = ?1 AND status <> 'removed'
         ORDER BY id",
    )?;
    let mut rows = statement.query([digest.as_bytes()])?;
    let mut users = Vec::new();
    while let Some(row) = rows.next()? {
        let id = row.get_ref(0)?.as_bytes()?;
        users.push(String::from_utf8_lossy(id).into_owned());
    }
    Ok(users)
}

pub(super) fn holdings(db: &Connection, run: &RunId) -> Result<Holdings, StoreError> {
    let read = || {
        let tx = db.unchecked_transaction()?;
        let bytes: i64 = tx
            .prepare_cached(
                "SELECT (SELECT coalesce(sum(octet_length(body)), 0) FROM journal WHERE journal.run = run.key)
                      + (SELECT coalesce(sum(octet_length(path) + octet_length(body)), 0) FROM log WHERE log.run = run.key)
                      + (SELECT coalesce(sum(octet_length(body)), 0) FROM tape WHERE tape.run = run.key)
                      + (SELECT coalesce(sum(octet_length(memo.key) + octet_length(value)), 0) FROM memo WHERE memo.run = run.key)
                 FROM run WHERE id = ?1",
            )?
            .query_row([run.as_str()], |row| row.get(0))
            .optional()?
            .unwrap_or_default();
        let mut uses = tx.prepare_cached(
            "SELECT digest, coalesce((SELECT length(bytes) FROM blob WHERE blob.digest = blob_use.digest), 0)
             FROM blob_use WHERE run = (SELECT key FROM run WHERE id = ?1) AND length(digest) = 32",
        )?;
        let uses = uses.query_map([run.as_str()], |row| {
            let (digest, bytes): ([u8; 32], i64) = (row.get(0)?, row.get(1)?);
            Ok((Digest::from(digest), bytes.unsigned_abs()))
        })?;
        Ok(Holdings {
            record_bytes: bytes.unsigned_abs(),
            blobs: uses.collect::<Result<_, _>>()?,
        })
    };
    read().map_err(|error: rusqlite::Error| store_error(error, &format!("run `{run}`")))
}

/// One thing to look at in the whole store; what is wrong goes into the problems.
type Examination = fn(&Connection, &mut Health) -> Result<(), rusqlite::Error>;

pub(super) fn health(db: &Connection, path: &Path) -> Result<Health, StoreError> {
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |data| data.len());
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    let mut health = Health {
        version: 0,
        problems: Vec::new(),
        bytes: size(path),
        wal_bytes: size(Path::new(&wal)),
        unused_bytes: 0,
        gives_back: false,
        free_bytes: rustix::fs::statvfs(path)
            .ok()
            .map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize)),
        runs: BTreeMap::new(),
    };
    for examine in [version, schema, pages, unused, strays, digests, statuses] as [Examination; 7] {
        let examined = examine(db, &mut health).map_err(|error| store_error(error, "the store"));
        match examined {
            // Damage is what was asked for: the other questions may still have an answer.
            Err(StoreError::Corrupt(damage)) => health.problems.push(damage.what),
            examined => examined?,
        }
    }
    Ok(health)
}

fn version(db: &Connection, health: &mut Health) -> Result<(), rusqlite::Error> {
    health.version = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok(())
}

/// The tables and indexes that this version makes.
fn schema(db: &Connection, health: &mut Health) -> Result<(), rusqlite::Error> {
    health.problems.extend(super::schema::differences(db)?);
    Ok(())
}

/// The file as SQLite sees it: pages, indexes, types.
fn pages(db: &Connection, health: &mut Health) -> Result<(), rusqlite::Error> {
    let mut statement = db.prepare("PRAGMA integrity_check")?;
    for line in statement.query_map([], |row| row.get::<_, String>(0))? {
        health
            .problems
            .extend(Some(line?).filter(|line| line != "ok"));
    }
    Ok(())
}

fn unused(db: &Connection, health: &mut Health) -> Result<(), rusqlite::Error> {
    let space = space::of(db)?;
    (health.unused_bytes, health.gives_back) = (space.unused_bytes, space.gives_back);
    Ok(())
}

fn strays(db: &Connection, health: &mut Health) -> Result<(), rusqlite::Error> {
    let sql = "SELECT count(*) FROM pragma_foreign_key_check";
    let strays: i64 = db.query_row(sql, [], |row| row.get(0))?;
    if strays > 0 {
        let problem = format!("{strays} rows belong to runs that do not exist");
        health.problems.push(problem);
    }
    Ok(())
}

/// Names of blobs that are none: no look at the blobs one by one finds them.
fn digests(db: &Connection, health: &mut Health) -> Result<(), rusqlite::Error> {
    let sql = "SELECT (SELECT count(*) FROM blob WHERE length(digest) <> 32)
                    + (SELECT count(*) FROM blob_use WHERE length(digest) <> 32)";
    let malformed: i64 = db.query_row(sql, [], |row| row.get(0))?;
    if malformed > 0 {
        let problem = format!("{malformed} blobs, or uses of blobs, have no valid digest");
        health.problems.push(problem);
    }
    Ok(())
}

fn statuses(db: &Connection, health: &mut Health) -> Result<(), rusqlite::Error> {
    let mut statement =
        db.prepare("SELECT status, count(*) FROM run WHERE status <> 'removed' GROUP BY status")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (status, count): (String, i64) = (row.get(0)?, row.get(1)?);
        match status.parse::<Status>() {
            Ok(status) => {
                health.runs.insert(status, count.unsigned_abs());
            }
            Err(unknown) => health.problems.push(format!("{count} runs: {unknown}")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use super::*;
    use crate::{Durability, open};

    /// What the database says that it does: a search by an index, or a scan of everything.
    fn plan(db: &Connection, question: &str) -> Vec<String> {
        let mut statement = db
            .prepare(&format!("EXPLAIN QUERY PLAN {question}"))
            .unwrap();
        let values = vec![Value::from(1_i64); 5];
        let count = statement.parameter_count();
        let lines = statement.query_map(params_from_iter(&values[..count]), |row| row.get(3));
        lines.unwrap().collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn a_sweep_never_scans_the_runs() {
        let folder = tempfile::tempdir().unwrap();
        let opened = open::writer(&folder.path().join("s.db"), Durability::PowerLoss);
        let db = opened.unwrap().db;
        let selects = [PENDING, DUE, SIGNALLED, REQUESTED, RUNNING]
            .map(|question| format!("SELECT {RUN_COLUMNS} {question}"));
        for question in selects.iter().map(String::as_str).chain([NEXT_DUE]) {
            let plan = plan(&db, question);
            assert!(
                plan.iter().any(|line| line.contains("SEARCH run")
                    || line.contains("run_by_request")
                    || line.contains("run_by_awaits")),
                "{question}: {plan:?}"
            );
            // Requests that nobody met are few, and of runs that wait for a signal each costs one look: those are walked.
            let few = ["run_by_request", "run_by_awaits", "json_each"];
            let walks = |line: &&String| {
                line.contains("SCAN") && !few.iter().any(|index| line.contains(index))
            };
            assert_eq!(plan.iter().find(walks), None, "{question}: {plan:?}");
        }
    }
}
