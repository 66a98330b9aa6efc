//! Reading: a few connections of their own, and the way from columns back to the trait's types. What a column holds is
//! checked again here, because a file can be damaged or edited; the error then names the run and the column.

use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use milepost_core::checkpoint::NOW;
use milepost_core::ids::{Digest, Epoch, RunId};
use milepost_core::time::Timestamp;
use rusqlite::types::{FromSql, Value};
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::open::Place;
use super::{nanos, signed, store_error};
use milepost_store::{
    Cursor, Family, Filter, Inbox, KnownToken, Listing, NewLog, Page, RunRow, StopRequest,
    StoreError, StoredCheckpoint, StoredEntry, StoredLog, StoredSignal, Work,
};

/// Connections that are kept open for the next reader.
const IDLE: usize = 4;

/// The connections that read. A reader never waits for another: when all are in use, one more is opened.
#[derive(Debug)]
pub(super) struct Readers {
    place: Place,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new(place: Place) -> Self {
        Self {
            place,
            idle: Mutex::default(),
        }
    }

    /// With one that is open already.
    pub(super) fn beginning_with(place: Place, first: Connection) -> Self {
        Self {
            place,
            idle: Mutex::new(vec![first]),
        }
    }

    pub(super) fn with<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let idle = self.idle().pop();
        let db = match idle {
            Some(db) => db,
            None => super::open::reader(&self.place)?,
        };
        let found = read(&db);
        let mut idle = self.idle();
        if idle.len() < IDLE {
            idle.push(db);
        }
        found
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes the list of columns that a question selects, and where each of them is then found.
macro_rules! run_columns {
    ($first:ident $(, $name:ident)+ $(,)?) => {
        /// What a question for runs selects.
        pub(super) const RUN_COLUMNS: &str =
            concat!(stringify!($first) $(, ", ", stringify!($name))+);

        /// Where a column stands among [`RUN_COLUMNS`].
        #[derive(Clone, Copy)]
        #[expect(non_camel_case_types, reason = "they are named as in the database")]
        enum RunColumn {
            $first $(, $name)+
        }
    };
}

run_columns! {
    id,
    workflow,
    parent,
    forked_from,
    labels,
    status,
    seq,
    epoch,
    created_at,
    updated_at,
    owner,
    lease_until,
    stop_code,
    due_at,
    recoveries,
    auto_resumes,
    provider,
    awaits,
    request,
    requested_at,
    requested_by,
    detached_at,
    worked,
    working_since,
    stored_bytes,
}

pub(super) fn row(db: &Connection, run: &RunId) -> Result<Option<RunRow>, StoreError> {
    let failed = |error: rusqlite::Error| run_error(error, run.as_str());
    let mut statement = db
        .prepare_cached(&format!("SELECT {RUN_COLUMNS} FROM run WHERE id = ?1"))
        .map_err(failed)?;
    let mut rows = statement.query([run.as_str()]).map_err(failed)?;
    rows.next()
        .map_err(failed)?
        .map(|row| run_row(row, run.as_str()))
        .transpose()
}

pub(super) fn run_row(row: &Row<'_>, run: &str) -> Result<RunRow, StoreError> {
    let columns = Columns::new(row, run);
    let owner = columns.value::<Option<String>>(RunColumn::owner as usize)?;
    Ok(RunRow {
        id: columns.parsed(RunColumn::id as usize)?,
        workflow: columns.value(RunColumn::workflow as usize)?,
        parent: columns.optional(RunColumn::parent as usize)?,
        forked_from: columns.optional(RunColumn::forked_from as usize)?,
        labels: serde_json::from_str(&columns.value::<String>(RunColumn::labels as usize)?)
            .map_err(|error| columns.damaged(RunColumn::labels as usize, &error))?,
        status: columns.parsed(RunColumn::status as usize)?,
        seq: columns.number(RunColumn::seq as usize)?,
        epoch: Epoch(columns.number(RunColumn::epoch as usize)?),
        created_at: columns.instant(RunColumn::created_at as usize)?,
        updated_at: columns.instant(RunColumn::updated_at as usize)?,
        owner: owner
            .map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(|error| columns.damaged(RunColumn::owner as usize, &error))?,
        lease_until: columns.optional_instant(RunColumn::lease_until as usize)?,
        stop_code: columns.value(RunColumn::stop_code as usize)?,
        due_at: columns.optional_instant(RunColumn::due_at as usize)?,
        recoveries: columns.count(RunColumn::recoveries as usize)?,
        auto_resumes: columns.count(RunColumn::auto_resumes as usize)?,
        provider: columns.value(RunColumn::provider as usize)?,
        awaits: serde_json::from_str(&columns.value::<String>(RunColumn::awaits as usize)?)
            .map_err(|error| columns.damaged(RunColumn::awaits as usize, &error))?,
        request: match columns.value::<Option<String>>(RunColumn::request as usize)? {
            Some(_) => Some(StopRequest {
                kind: columns.parsed(RunColumn::request as usize)?,
                at: columns.instant(RunColumn::requested_at as usize)?,
                by: columns.value(RunColumn::requested_by as usize)?,
            }),
            None => None,
        },
        detached_at: columns.optional_instant(RunColumn::detached_at as usize)?,
        worked: match columns.value::<Option<i64>>(RunColumn::worked as usize)? {
            Some(_) => Some(Work {
                before: Duration::from_nanos(columns.number(RunColumn::worked as usize)?),
                since: columns.optional_instant(RunColumn::working_since as usize)?,
            }),
            None => None,
        },
        stored_bytes: columns.number(RunColumn::stored_bytes as usize)?,
    })
}

pub(super) fn inbox(
    db: &Connection,
    run: &RunId,
    limit: usize,
) -> Result<Vec<StoredSignal>, StoreError> {
    let sql = "SELECT number, name, data, at FROM signal
               WHERE run = (SELECT key FROM run WHERE id = ?1) AND number > ?2 ORDER BY number LIMIT ?3";
    let mut signals = Vec::new();
    of_run(db, sql, run, 0, limit, |columns| {
        signals.push(StoredSignal {
            number: columns.number(0)?,
            name: columns.value(1)?,
            data: columns.value(2)?,
            at: columns.instant(3)?,
        });
        Ok(true)
    })?;
    Ok(signals)
}

/// What is known of the token `?2` of the run with the id `?1`.
pub(super) const KNOWN_TOKEN: &str = "SELECT number, content FROM signal_token
    WHERE run = (SELECT key FROM run WHERE id = ?1) AND token = ?2";

pub(super) fn known(row: &Row<'_>) -> Result<KnownToken, rusqlite::Error> {
    Ok(KnownToken {
        number: row.get::<_, i64>(0)?.unsigned_abs(),
        content: Digest::from(row.get::<_, [u8; 32]>(1)?),
    })
}

pub(super) fn known_token(
    db: &Connection,
    run: &RunId,
    token: &str,
) -> Result<Option<KnownToken>, StoreError> {
    db.prepare_cached(KNOWN_TOKEN)
        .and_then(|mut statement| statement.query_row([run.as_str(), token], known).optional())
        .map_err(|error| run_error(error, run.as_str()))
}

/// The signals that wait for the run with the id `?1`: how many, and the bytes of their names and data.
pub(super) const INBOX_SIZE: &str =
    "SELECT count(*), coalesce(sum(octet_length(name) + octet_length(data)), 0) FROM signal
    WHERE run = (SELECT key FROM run WHERE id = ?1)";

pub(super) fn counted(row: &Row<'_>) -> Result<Inbox, rusqlite::Error> {
    let number = |index| row.get(index).map(i64::unsigned_abs);
    Ok(Inbox {
        signals: number(0)?,
        bytes: number(1)?,
    })
}

pub(super) fn inbox_size(db: &Connection, run: &RunId) -> Result<Inbox, StoreError> {
    db.prepare_cached(INBOX_SIZE)
        .and_then(|mut statement| statement.query_row([run.as_str()], counted))
        .map_err(|error| run_error(error, run.as_str()))
}

/// The condition of a list, with the values that it names.
fn condition(filter: &Filter) -> (String, Vec<Value>) {
    let mut conditions = vec!["status <> 'removed'".to_owned()];
    let mut values = Vec::new();
    if !filter.statuses.is_empty() {
        let marks = vec!["?"; filter.statuses.len()].join(", ");
        conditions.push(format!("status IN ({marks})"));
        values.extend(filter.statuses.iter().map(|s| Value::from(s.to_string())));
    }
    if let Some(workflow) = &filter.workflow {
        conditions.push("workflow = ?".to_owned());
        values.push(Value::from(workflow.clone()));
    }
    for label in &filter.labels {
        let value = match &label.value {
            Some(_) => " AND value = ?",
            None => "",
        };
        // Most runs have none: those need not be looked into.
        conditions.push(format!(
            "labels <> '{{}}' AND EXISTS (SELECT 1 FROM json_each(run.labels) WHERE json_each.key = ?{value})"
        ));
        values.push(Value::from(label.name.clone()));
        values.extend(label.value.clone().map(Value::from));
    }
    match &filter.family {
        Family::All => {}
        Family::Roots => conditions.push(
            "(parent IS NULL OR NOT EXISTS (SELECT 1 FROM run AS other WHERE other.id = run.parent))"
                .to_owned(),
        ),
        Family::ChildrenOf(run) => {
            conditions.push("parent = ?".to_owned());
            values.push(Value::from(run.as_str().to_owned()));
        }
    }
    if let Some(at) = filter.updated_after {
        conditions.push("updated_at > ?".to_owned());
        values.push(Value::from(nanos(at)));
    }
    if let Some(at) = filter.due_before {
        conditions.push("due_at < ?".to_owned());
        values.push(Value::from(nanos(at)));
    }
    (conditions.join(" AND "), values)
}

pub(super) fn list(db: &Connection, filter: &Filter) -> Result<Listing, StoreError> {
    let failed = |error: rusqlite::Error| store_error(error, "the list of runs");
    let (mut condition, mut values) = condition(filter);
    if let Some(Cursor { created_at, id }) = &filter.after {
        // Bytes, because an id that cannot be read has its place, too.
        condition.push_str(" AND (created_at, id) < (?, CAST(? AS TEXT))");
        values.extend([Value::from(*created_at), Value::from(id.clone())]);
    }
    // One more tells whether there is more.
    values.push(Value::from(count_limit(filter.limit.saturating_add(1))));
    let mut statement = db
        .prepare_cached(&format!(
            "SELECT {RUN_COLUMNS} FROM run WHERE {condition} ORDER BY created_at DESC, id DESC LIMIT ?"
        ))
        .map_err(failed)?;
    let mut rows = statement.query(params_from_iter(&values)).map_err(failed)?;
    let mut listing = Listing::default();
    let mut last = None;
    while let Some(row) = rows.next().map_err(failed)? {
        if listing.rows.len() + listing.unreadable.len() == filter.limit {
            listing.next = last;
            break;
        }
        last = Some(cursor(row).map_err(failed)?);
        match listed(row).map_err(failed)? {
            Ok(row) => listing.rows.push(row),
            Err(unreadable) => listing.unreadable.push(unreadable),
        }
    }
    Ok(listing)
}

pub(super) fn count(db: &Connection, filter: &Filter) -> Result<usize, StoreError> {
    let (condition, values) = condition(filter);
    let count: i64 = db
        .prepare_cached(&format!("SELECT count(*) FROM run WHERE {condition}"))
        .and_then(|mut count| count.query_row(params_from_iter(&values), |row| row.get(0)))
        .map_err(|error| store_error(error, "the list of runs"))?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

fn cursor(row: &Row<'_>) -> Result<Cursor, rusqlite::Error> {
    Ok(Cursor {
        created_at: row.get("created_at")?,
        id: row.get_ref("id")?.as_bytes()?.to_vec(),
    })
}

/// A row of a list, or its id and what is wrong with it (B244).
pub(super) fn listed(row: &Row<'_>) -> Result<Result<RunRow, (String, String)>, rusqlite::Error> {
    let id = String::from_utf8_lossy(row.get_ref(0)?.as_bytes().unwrap_or(b"?")).into_owned();
    Ok(run_row(row, &id).map_err(|error| (id, error.to_string())))
}

pub(super) fn ids_with_prefix(
    db: &Connection,
    prefix: &str,
    limit: usize,
) -> Result<Vec<RunId>, StoreError> {
    let failed = |error: rusqlite::Error| store_error(error, "the list of runs");
    let mut statement = db
        .prepare_cached("SELECT id FROM run WHERE id >= ?1 ORDER BY id")
        .map_err(failed)?;
    let mut rows = statement.query([prefix]).map_err(failed)?;
    let mut ids = Vec::new();
    while ids.len() < limit
        && let Some(row) = rows.next().map_err(failed)?
    {
        let bytes = row
            .get_ref(0)
            .map_err(failed)?
            .as_bytes()
            .unwrap_or_default();
        if !bytes.starts_with(prefix.as_bytes()) {
            break;
        }
        // What is no id belongs to an unreadable row, which a list shows.
        ids.extend(
            std::str::from_utf8(bytes)
                .ok()
                .and_then(|text| RunId::new(text).ok()),
        );
    }
    Ok(ids)
}

pub(super) fn checkpoint(
    db: &Connection,
    run: &RunId,
) -> Result<Option<StoredCheckpoint>, StoreError> {
    let failed = |error: rusqlite::Error| run_error(error, run.as_str());
    let tx = db.unchecked_transaction().map_err(failed)?;
    let Some(row) = row(&tx, run)? else {
        return Ok(None);
    };
    let parts = tx
        .prepare_cached(
            "SELECT part, body FROM checkpoint WHERE run = (SELECT key FROM run WHERE id = ?1)
             UNION ALL SELECT ?2, present FROM run WHERE id = ?1 AND present IS NOT NULL
             ORDER BY part",
        )
        .and_then(|mut statement| {
            statement
                .query_map([run.as_str(), NOW], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })
        .map_err(failed)?;
    tx.finish().map_err(failed)?;
    Ok(Some(StoredCheckpoint { row, parts }))
}

pub(super) fn journal(
    db: &Connection,
    run: &RunId,
    after: u64,
    limit: usize,
) -> Result<Vec<StoredEntry>, StoreError> {
    let sql = "SELECT seq, at, epoch, body FROM journal
               WHERE run = (SELECT key FROM run WHERE id = ?1) AND seq > ?2 ORDER BY seq LIMIT ?3";
    let mut page = Page::default();
    of_run(db, sql, run, after, limit, |columns| {
        let entry = StoredEntry {
            seq: columns.number(0)?,
            at: columns.instant(1)?,
            epoch: Epoch(columns.number(2)?),
            body: columns.value(3)?,
        };
        let bytes = entry.body.len();
        Ok(page.take(entry, bytes))
    })?;
    Ok(page.into_rows())
}

pub(super) fn logs(
    db: &Connection,
    run: &RunId,
    after: u64,
    limit: usize,
) -> Result<Vec<StoredLog>, StoreError> {
    let sql = "SELECT position, at, path, attempt, body FROM log
               WHERE run = (SELECT key FROM run WHERE id = ?1) AND position > ?2 ORDER BY position LIMIT ?3";
    let mut page = Page::default();
    of_run(db, sql, run, after, limit, |columns| {
        let log = StoredLog {
            position: columns.number(0)?,
            line: NewLog {
                at: columns.instant(1)?,
                path: columns.value(2)?,
                attempt: columns.count(3)?,
                body: columns.value(4)?,
            },
        };
        let bytes = log.line.body.len();
        Ok(page.take(log, bytes))
    })?;
    Ok(page.into_rows())
}

/// Reads what a run has many of, row by row, for as long as `take` returns true.
fn of_run(
    db: &Connection,
    sql: &str,
    run: &RunId,
    after: u64,
    limit: usize,
    mut take: impl FnMut(&Columns<'_>) -> Result<bool, StoreError>,
) -> Result<(), StoreError> {
    let failed = |error: rusqlite::Error| run_error(error, run.as_str());
    let mut statement = db.prepare_cached(sql).map_err(failed)?;
    let mut rows = statement
        .query(params![run.as_str(), signed(after), count_limit(limit)])
        .map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        if !take(&Columns::new(row, run.as_str()))? {
            break;
        }
    }
    Ok(())
}

pub(super) fn blob(db: &Connection, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
    let failed = |error: rusqlite::Error| store_error(error, &format!("blob {digest}"));
    let mut statement = db
        .prepare_cached("SELECT bytes FROM blob WHERE digest = ?1")
        .map_err(failed)?;
    let mut rows = statement.query([digest.as_bytes()]).map_err(failed)?;
    let Some(row) = rows.next().map_err(failed)? else {
        return Ok(None);
    };
    let bytes: Vec<u8> = row.get(0).map_err(failed)?;
    if Digest::of(&bytes) == *digest {
        Ok(Some(bytes))
    } else {
        Err(StoreError::corrupt(format!(
            "blob {digest}: its bytes do not match its digest"
        )))
    }
}

/// The columns of one result row that belongs to a run.
pub(super) struct Columns<'r> {
    row: &'r Row<'r>,
    run: &'r str,
}

impl<'r> Columns<'r> {
    pub(super) fn new(row: &'r Row<'r>, run: &'r str) -> Self {
        Self { row, run }
    }

    fn value<T: FromSql>(&self, index: usize) -> Result<T, StoreError> {
        self.row
            .get(index)
            .map_err(|error| self.damaged(index, &error))
    }

    pub(super) fn number(&self, index: usize) -> Result<u64, StoreError> {
        u64::try_from(self.value::<i64>(index)?).map_err(|error| self.damaged(index, &error))
    }

    fn count(&self, index: usize) -> Result<u32, StoreError> {
        u32::try_from(self.value::<i64>(index)?).map_err(|error| self.damaged(index, &error))
    }

    fn instant(&self, index: usize) -> Result<Timestamp, StoreError> {
        self.number(index).map(Timestamp::from_nanos)
    }

    fn optional_instant(&self, index: usize) -> Result<Option<Timestamp>, StoreError> {
        match self.value::<Option<i64>>(index)? {
            Some(_) => self.instant(index).map(Some),
            None => Ok(None),
        }
    }

    pub(super) fn parsed<T: FromStr<Err: std::fmt::Display>>(
        &self,
        index: usize,
    ) -> Result<T, StoreError> {
        self.value::<String>(index)?
            .parse()
            .map_err(|error| self.damaged(index, &error))
    }

    fn optional<T: FromStr<Err: std::fmt::Display>>(
        &self,
        index: usize,
    ) -> Result<Option<T>, StoreError> {
        match self.value::<Option<String>>(index)? {
            Some(_) => self.parsed(index).map(Some),
            None => Ok(None),
        }
    }

    fn damaged(&self, index: usize, reason: &dyn std::fmt::Display) -> StoreError {
        let column = self.row.as_ref().column_name(index).unwrap_or("?");
        StoreError::corrupt(format!("run `{}`: {column}: {reason}", self.run))
    }
}

fn run_error(error: rusqlite::Error, run: &str) -> StoreError {
    store_error(error, &format!("run `{run}`"))
}

pub(super) fn count_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
