//! The SQL of a change. Each begins with one guarded statement that changes nothing when its expectation does not hold, so a
//! refused change can share a transaction with others.

use milepost_core::checkpoint::NOW;
use milepost_core::ids::{Epoch, RunId};
use milepost_core::state::Status;
use milepost_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, named_params, params};

use super::read::Columns;
use super::{nanos, signed};
use crate::store::{Expect, StoreError, Write, Written};

/// Why a change was not applied.
pub(super) enum Failure {
    /// Its expectation does not hold. It has changed nothing.
    Refused(StoreError),
    /// The database failed, perhaps half-way: the transaction must not be committed.
    Broken(rusqlite::Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Broken(error)
    }
}

/// One change, to be applied inside a transaction that others may share.
pub(super) trait Change: Send + 'static {
    /// What its caller is told.
    type Reply: Send + 'static;

    /// The run that it changes.
    fn run(&self) -> &RunId;

    /// Applies it. May be called again after a rollback.
    fn apply(&self, db: &Connection) -> Result<Self::Reply, Failure>;
}

impl Change for Write {
    type Reply = Written;

    fn run(&self) -> &RunId {
        &self.run
    }

    fn apply(&self, db: &Connection) -> Result<Written, Failure> {
        let seq = self.seq_after().map_err(Failure::Refused)?;
        let (key, written) = match self.expect {
            Expect::Absent => create(db, self, seq)?,
            Expect::At { seq: from, epoch } => advance(db, self, from, epoch, seq)?,
        };
        append(db, self, key)?;
        Ok(written)
    }
}

fn create(db: &Connection, write: &Write, seq: u64) -> Result<(i64, Written), Failure> {
    let head = &write.head;
    let epoch = Epoch(u64::from(write.claim.is_some()));
    let (owner, lease_until) = ownership(write);
    let key = db
        .prepare_cached(
            "INSERT INTO run (id, workflow, status, seq, epoch, created_at, updated_at, owner, lease_until, stop_code, due_at, recoveries, now)
             VALUES (:id, :workflow, :status, :seq, :epoch, :at, :at, :owner, :lease_until, :stop_code, :due_at, :recoveries, :now)
             ON CONFLICT (id) DO NOTHING RETURNING key",
        )?
        .query_row(
            named_params! {
                ":id": write.run.as_str(),
                ":workflow": head.workflow,
                ":status": head.status.as_str(),
                ":seq": signed(seq),
                ":epoch": signed(epoch.0),
                ":at": nanos(head.at),
                ":owner": owner,
                ":lease_until": lease_until,
                ":stop_code": head.stop_code,
                ":due_at": head.due_at.map(nanos),
                ":recoveries": head.recoveries,
                ":now": now_part(write).flatten(),
            },
            |row| row.get(0),
        )
        .optional()?;
    let key = key.ok_or_else(|| Failure::Refused(StoreError::Exists(write.run.clone())))?;
    let written = Written {
        epoch,
        cancel_requested: false,
    };
    Ok((key, written))
}

fn advance(
    db: &Connection,
    write: &Write,
    from: u64,
    epoch: Epoch,
    seq: u64,
) -> Result<(i64, Written), Failure> {
    let head = &write.head;
    let goes_on = head.status == Status::Running
        && write.claim.is_none()
        && head.stop_code.is_none()
        && head.due_at.is_none();
    if goes_on && let Some(done) = step_on(db, write, from, epoch, seq)? {
        return Ok(done);
    }
    let raised = Epoch(epoch.0.saturating_add(u64::from(write.claim.is_some())));
    let (owner, lease_until) = ownership(write);
    let now = now_part(write);
    let found = db
        .prepare_cached(
            "UPDATE run SET status = :status, seq = :seq, epoch = :raised, updated_at = :at,
                 owner = CASE WHEN :running THEN coalesce(:owner, owner) END,
                 lease_until = CASE WHEN :running THEN coalesce(:lease_until, lease_until) END,
                 stop_code = :stop_code, due_at = :due_at, recoveries = :recoveries,
                 now = CASE WHEN :changes_now THEN :now ELSE now END,
                 cancel_requested_at = CASE WHEN :terminal THEN NULL ELSE cancel_requested_at END
             WHERE id = :id AND seq = :from AND epoch = :epoch
             RETURNING key, cancel_requested_at IS NOT NULL",
        )?
        .query_row(
            named_params! {
                ":id": write.run.as_str(),
                ":from": signed(from),
                ":epoch": signed(epoch.0),
                ":status": head.status.as_str(),
                ":running": head.status == Status::Running,
                ":terminal": head.status.is_terminal(),
                ":seq": signed(seq),
                ":raised": signed(raised.0),
                ":at": nanos(head.at),
                ":owner": owner,
                ":lease_until": lease_until,
                ":stop_code": head.stop_code,
                ":due_at": head.due_at.map(nanos),
                ":recoveries": head.recoveries,
                ":changes_now": now.is_some(),
                ":now": now.flatten(),
            },
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    match found {
        Some((key, cancel_requested)) => Ok((
            key,
            Written {
                epoch: raised,
                cancel_requested,
            },
        )),
        None => Err(conflict(db, &write.run)?),
    }
}

/// The write of nearly every step: a run that was running and still is. Names no indexed column, because SQLite rewrites the
/// index entries of every column that an `UPDATE` names, changed or not. Looks first and changes then, in the one
/// transaction: cheaper than `RETURNING`, for which SQLite keeps the row aside and the page as it was.
fn step_on(
    db: &Connection,
    write: &Write,
    from: u64,
    epoch: Epoch,
    seq: u64,
) -> Result<Option<(i64, Written)>, rusqlite::Error> {
    let found = db
        .prepare_cached(
            "SELECT key, cancel_requested_at IS NOT NULL FROM run
             WHERE id = ?1 AND seq = ?2 AND epoch = ?3
                 AND status = 'running' AND stop_code IS NULL AND due_at IS NULL",
        )?
        .query_row(
            params![write.run.as_str(), signed(from), signed(epoch.0)],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let Some((key, cancel_requested)) = found else {
        return Ok(None);
    };
    let now = now_part(write);
    db.prepare_cached(
        "UPDATE run SET seq = ?2, updated_at = ?3, recoveries = ?4, now = CASE WHEN ?5 THEN ?6 ELSE now END
         WHERE key = ?1",
    )?
    .execute(params![
        key,
        signed(seq),
        nanos(write.head.at),
        write.head.recoveries,
        now.is_some(),
        now.flatten(),
    ])?;
    let written = Written {
        epoch,
        cancel_requested,
    };
    Ok(Some((key, written)))
}

/// The columns of a new claim; a run that does not run is owned by nobody.
fn ownership(write: &Write) -> (Option<String>, Option<i64>) {
    match &write.claim {
        Some(claim) if write.head.status == Status::Running => (
            Some(
                serde_json::to_string(&claim.owner)
                    .expect("an owner is made of texts and numbers, which JSON can hold"),
            ),
            Some(nanos(claim.lease_until)),
        ),
        _ => (None, None),
    }
}

/// What the write does to the part that stands in the run's row: nothing, remove it, or put it.
fn now_part(write: &Write) -> Option<Option<&str>> {
    let last = write.parts.iter().rfind(|(part, _)| part == NOW);
    last.map(|(_, body)| body.as_deref())
}

fn append(db: &Connection, write: &Write, key: i64) -> Result<(), rusqlite::Error> {
    for entry in &write.entries {
        db.prepare_cached(
            "INSERT INTO journal (run, seq, at, epoch, body) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            key,
            signed(entry.seq),
            nanos(entry.at),
            signed(entry.epoch.0),
            entry.body
        ])?;
    }
    for (part, body) in write.parts.iter().filter(|(part, _)| part != NOW) {
        match body {
            Some(body) => db
                .prepare_cached(
                    "INSERT INTO checkpoint (run, part, body) VALUES (?1, ?2, ?3)
                     ON CONFLICT (run, part) DO UPDATE SET body = excluded.body",
                )?
                .execute(params![key, part, body])?,
            None => db
                .prepare_cached("DELETE FROM checkpoint WHERE run = ?1 AND part = ?2")?
                .execute(params![key, part])?,
        };
    }
    for line in &write.logs {
        db.prepare_cached(
            "INSERT INTO log (run, at, path, attempt, body) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            key,
            nanos(line.at),
            line.path,
            line.attempt,
            line.body
        ])?;
    }
    for (digest, bytes) in &write.blobs {
        db.prepare_cached(
            "INSERT INTO blob (digest, bytes) VALUES (?1, ?2) ON CONFLICT (digest) DO NOTHING",
        )?
        .execute(params![digest.as_bytes(), bytes])?;
    }
    Ok(())
}

/// Asks the owner to stop.
pub(super) struct CancelRequest {
    pub(super) run: RunId,
    pub(super) at: Timestamp,
}

impl Change for CancelRequest {
    type Reply = bool;

    fn run(&self) -> &RunId {
        &self.run
    }

    fn apply(&self, db: &Connection) -> Result<bool, Failure> {
        if present(db, &self.run)?.status.is_terminal() {
            return Ok(false);
        }
        // The first request keeps its time.
        db.prepare_cached(
            "UPDATE run SET cancel_requested_at = ?2 WHERE id = ?1 AND cancel_requested_at IS NULL",
        )?
        .execute(params![self.run.as_str(), nanos(self.at)])?;
        Ok(true)
    }
}

/// Extends a claim.
pub(super) struct LeaseRenewal {
    pub(super) run: RunId,
    pub(super) epoch: Epoch,
    pub(super) until: Timestamp,
}

impl Change for LeaseRenewal {
    type Reply = Written;

    fn run(&self) -> &RunId {
        &self.run
    }

    fn apply(&self, db: &Connection) -> Result<Written, Failure> {
        let cancel_requested = db
            .prepare_cached(
                "UPDATE run SET lease_until = ?3 WHERE id = ?1 AND epoch = ?2 AND owner IS NOT NULL
                 RETURNING cancel_requested_at IS NOT NULL",
            )?
            .query_row(
                params![self.run.as_str(), signed(self.epoch.0), nanos(self.until)],
                |row| row.get(0),
            )
            .optional()?;
        match cancel_requested {
            Some(cancel_requested) => Ok(Written {
                epoch: self.epoch,
                cancel_requested,
            }),
            None => Err(conflict(db, &self.run)?),
        }
    }
}

/// Where a run stands.
struct Present {
    status: Status,
    seq: u64,
    epoch: Epoch,
}

fn present(db: &Connection, run: &RunId) -> Result<Present, Failure> {
    let mut statement = db.prepare_cached("SELECT status, seq, epoch FROM run WHERE id = ?1")?;
    let mut rows = statement.query([run.as_str()])?;
    let Some(row) = rows.next()? else {
        return Err(Failure::Refused(StoreError::NotFound(run.clone())));
    };
    let columns = Columns::new(row, run.as_str());
    let read = || {
        Ok(Present {
            status: columns.parsed(0)?,
            seq: columns.number(1)?,
            epoch: Epoch(columns.number(2)?),
        })
    };
    read().map_err(Failure::Refused)
}

/// The refusal for a run that is not where the caller saw it.
fn conflict(db: &Connection, run: &RunId) -> Result<Failure, Failure> {
    let present = present(db, run)?;
    Ok(Failure::Refused(StoreError::Conflict {
        run: run.clone(),
        status: present.status,
        seq: present.seq,
        epoch: present.epoch,
    }))
}
