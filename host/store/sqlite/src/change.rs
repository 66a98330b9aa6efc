//! The SQL of a write, and what it shares with the smaller changes. Each begins with one guarded statement that changes
//! nothing when its expectation does not hold, so a refused change can share a transaction with others.

use std::time::Duration;

use milepost_core::checkpoint::NOW;
use milepost_core::ids::{Digest, Epoch, RunId};
use milepost_core::labels::Labels;
use milepost_core::state::Status;
use milepost_core::time::Timestamp;
use rusqlite::{OptionalExtension, Row, named_params, params};

use super::attempts;
use super::read::Columns;
use super::statements::Statements;
use super::{nanos, signed};
use milepost_store::fault;
use milepost_store::{Expect, NewSignal, StopKind, StopRequest, StoreError, Write, Written};

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
    fn apply(&self, db: &mut Statements<'_>) -> Result<Self::Reply, Failure>;
}

/// A write, and when it was brought: the lease of a claim begins then.
pub(super) struct Brought {
    pub(super) write: Write,
    pub(super) at: Timestamp,
}

impl Change for Brought {
    type Reply = Written;

    fn run(&self) -> &RunId {
        &self.write.run
    }

    fn apply(&self, db: &mut Statements<'_>) -> Result<Written, Failure> {
        let write = &self.write;
        let seq = write.seq_after().map_err(Failure::Refused)?;
        write.kin.check().map_err(Failure::Refused)?;
        check_blobs(db, write)?;
        check_signals(db, write)?;
        let to = Place {
            seq,
            added: added(db, write)?,
        };
        let (key, mut written) = match write.expect {
            Expect::Absent => create(db, write, self.at, to)?
                .ok_or_else(|| Failure::Refused(StoreError::Exists(write.run.clone())))?,
            Expect::At { seq: from, epoch } => advance(db, self, from, epoch, to)?,
        };
        fault::point("row_written");
        append(db, write, key)?;
        let mut freed = attempts::renew(db, key, &write.renewed)?;
        freed += left_by_attempts(db, write, key)?;
        attempts::free(db, key, freed)?;
        written.stored_bytes = written.stored_bytes.saturating_sub(freed);
        for child in &write.kin.children {
            bear(db, child, self.at)?;
        }
        for (run, signal) in &write.kin.tells {
            tell(db, run, signal)?;
        }
        Ok(written)
    }
}

/// What attempts of a run have left: tapes, and memos where the run comes from elsewhere. Gives what stood there before, bytes.
fn left_by_attempts(
    db: &mut Statements<'_>,
    write: &Write,
    key: i64,
) -> Result<u64, rusqlite::Error> {
    let mut before = 0;
    for (started, part) in &write.tapes {
        before += attempts::keep_tape(db, key, *started, part)?;
    }
    for (path, memo) in write.moved.iter().flat_map(|moved| &moved.memos) {
        attempts::keep_memo(db, key, path, memo)?;
    }
    Ok(before)
}

/// Creates a run beside another one; one that is there stays as it is.
fn bear(db: &mut Statements<'_>, child: &Write, at: Timestamp) -> Result<(), Failure> {
    let to = Place {
        seq: child.seq_after().map_err(Failure::Refused)?,
        added: added(db, child)?,
    };
    if let Some((key, _)) = create(db, child, at, to)? {
        append(db, child, key)?;
        left_by_attempts(db, child, key)?;
        fault::point("child_written");
    }
    Ok(())
}

/// Keeps a signal for a run that is not over, unless one of that name waits for it already.
fn tell(db: &mut Statements<'_>, run: &RunId, signal: &NewSignal) -> Result<(), rusqlite::Error> {
    db.get(
        "INSERT INTO signal (run, name, at, data)
         SELECT key, ?2, ?3, ?4 FROM run WHERE id = ?1 AND status NOT IN ('completed', 'cancelled')
             AND NOT EXISTS (SELECT 1 FROM signal WHERE signal.run = run.key AND signal.name = ?2)",
    )?
    .execute(params![
        run.as_str(),
        signal.name,
        nanos(signal.at),
        signal.data
    ])
    .map(drop)
}

/// What a write makes of a run's row beside its head.
#[derive(Clone, Copy)]
struct Place {
    /// Sequence number after the write.
    seq: u64,
    /// Bytes that the run takes more than before.
    added: u64,
}

/// `None` when there is a run of that id.
fn create(
    db: &mut Statements<'_>,
    write: &Write,
    at: Timestamp,
    to: Place,
) -> Result<Option<(i64, Written)>, rusqlite::Error> {
    let head = &write.head;
    let epoch = write.first_epoch().0;
    let epoch = Epoch(epoch.saturating_add(u64::from(write.claim.is_some())));
    let (owner, lease_until) = ownership(write, at);
    let key = db
        .get(
            "INSERT INTO run (id, workflow, parent, forked_from, labels, worked, working_since, status, seq, epoch, created_at, updated_at, owner, lease_until, stop_code, due_at,
                 recoveries, auto_resumes, provider, awaits, present, stored_bytes)
             VALUES (:id, :workflow, :parent, :forked_from, :labels, :worked, :working_since, :status, :seq, :epoch, :created_at, :at, :owner, :lease_until, :stop_code, :due_at,
                 :recoveries, :auto_resumes, :provider, :awaits, :now, :added)
             ON CONFLICT (id) DO NOTHING RETURNING key",
        )?
        .query_row(
            named_params! {
                ":id": write.run.as_str(),
                ":workflow": head.workflow,
                ":parent": write.kin.parent.as_ref().map(RunId::as_str),
                ":forked_from": write.kin.forked_from.as_ref().map(RunId::as_str),
                ":labels": labels(&head.labels),
                ":worked": write.moved.as_ref().map_or(0, |moved| signed(nanos_of(moved.worked))),
                ":working_since": (head.status == Status::Running).then(|| nanos(head.at)),
                ":status": head.status.as_str(),
                ":seq": signed(to.seq),
                ":added": signed(to.added),
                ":epoch": signed(epoch.0),
                ":created_at": nanos(write.created_at()),
                ":at": nanos(head.at),
                ":owner": owner,
                ":lease_until": lease_until,
                ":stop_code": head.stop_code,
                ":due_at": head.due_at.map(nanos),
                ":recoveries": head.recoveries,
                ":auto_resumes": head.auto_resumes,
                ":provider": head.provider,
                ":awaits": names(&head.awaits),
                ":now": now_part(write).flatten(),
            },
            |row| row.get(0),
        )
        .optional()?;
    let written = Written {
        epoch,
        request: None,
        stored_bytes: to.added,
    };
    Ok(key.map(|key| (key, written)))
}

fn advance(
    db: &mut Statements<'_>,
    brought: &Brought,
    from: u64,
    epoch: Epoch,
    to: Place,
) -> Result<(i64, Written), Failure> {
    let write = &brought.write;
    let head = &write.head;
    let goes_on = head.status == Status::Running
        && write.claim.is_none()
        && !head.cancelling
        && head.stop_code.is_none()
        && head.due_at.is_none()
        && head.provider.is_none()
        && head.awaits.is_empty();
    if goes_on && let Some(done) = step_on(db, write, from, epoch, to)? {
        return Ok(done);
    }
    let raised = Epoch(epoch.0.saturating_add(u64::from(write.claim.is_some())));
    let (owner, lease_until) = ownership(write, brought.at);
    let now = now_part(write);
    let found = db
        .get(
            "UPDATE run SET status = :status, seq = :seq, epoch = :raised, updated_at = :at,
                 owner = CASE WHEN :running THEN coalesce(:owner, owner) END,
                 lease_until = CASE WHEN :running THEN coalesce(:lease_until, lease_until) END,
                 worked = CASE WHEN working_since IS NOT NULL AND (:claims OR NOT :running)
                     THEN worked + min(9223372036854775807 - worked,
                         max(0, CASE WHEN :claims THEN updated_at ELSE :at END - working_since))
                     ELSE worked END,
                 working_since = CASE WHEN worked IS NULL OR NOT :running THEN NULL
                     WHEN working_since IS NULL OR :claims THEN :at ELSE working_since END,
                 stop_code = :stop_code, due_at = :due_at, recoveries = :recoveries, auto_resumes = :auto_resumes,
                 provider = :provider, awaits = :awaits, detached_at = NULL,
                 present = CASE WHEN :changes_now THEN :now ELSE present END, stored_bytes = min(stored_bytes, 9223372036854775807 - :added) + :added,
                 request = CASE WHEN :ended OR (:stopped AND request IN ('pause', 'pause_now'))
                         OR (:cancelling AND request IN ('compensate', 'cancel')) THEN NULL ELSE request END
             WHERE id = :id AND seq = :from AND epoch = :epoch AND status NOT IN ('completed', 'cancelled')
             RETURNING key, stored_bytes, request, requested_at, requested_by",
        )?
        .query_row(
            named_params! {
                ":id": write.run.as_str(),
                ":from": signed(from),
                ":epoch": signed(epoch.0),
                ":status": head.status.as_str(),
                ":running": head.status == Status::Running,
                ":claims": write.claim.is_some(),
                ":ended": !StopKind::Kill.outlives(head.status),
                ":cancelling": head.cancelling,
                ":stopped": !StopKind::Pause.outlives(head.status) && !head.moves_by_itself,
                ":seq": signed(to.seq),
                ":added": signed(to.added),
                ":raised": signed(raised.0),
                ":at": nanos(head.at),
                ":owner": owner,
                ":lease_until": lease_until,
                ":stop_code": head.stop_code,
                ":due_at": head.due_at.map(nanos),
                ":recoveries": head.recoveries,
                ":auto_resumes": head.auto_resumes,
                ":provider": head.provider,
                ":awaits": names(&head.awaits),
                ":changes_now": now.is_some(),
                ":now": now.flatten(),
            },
            |row| Ok((row.get(0)?, row.get::<_, i64>(1)?, asked(row, 2)?)),
        )
        .optional()?;
    match found {
        Some((key, stored, request)) => Ok((
            key,
            Written {
                epoch: raised,
                request,
                stored_bytes: stored.unsigned_abs(),
            },
        )),
        None => Err(conflict(db, &write.run)?),
    }
}

/// The write of nearly every step: a run that was running and still is. Names no indexed column, because SQLite rewrites the
/// index entries of every column that an `UPDATE` names, changed or not. Looks first and changes then, in the one
/// transaction: cheaper than `RETURNING`, for which SQLite keeps the row aside and the page as it was.
fn step_on(
    db: &mut Statements<'_>,
    write: &Write,
    from: u64,
    epoch: Epoch,
    to: Place,
) -> Result<Option<(i64, Written)>, rusqlite::Error> {
    let found = db
        .get(
            "SELECT key, stored_bytes, request, requested_at, requested_by FROM run
             WHERE id = ?1 AND seq = ?2 AND epoch = ?3
                 AND status = 'running' AND stop_code IS NULL AND due_at IS NULL
                 AND provider IS NULL AND awaits = '[]'",
        )?
        .query_row(
            params![write.run.as_str(), signed(from), signed(epoch.0)],
            |row| Ok((row.get(0)?, row.get::<_, i64>(1)?, asked(row, 2)?)),
        )
        .optional()?;
    let Some((key, stored, request)) = found else {
        return Ok(None);
    };
    let now = now_part(write);
    let stored_bytes = stored.unsigned_abs().saturating_add(to.added);
    db.get(
        "UPDATE run SET seq = ?2, updated_at = ?3, recoveries = ?4, auto_resumes = ?7, detached_at = NULL,
             present = CASE WHEN ?5 THEN ?6 ELSE present END, stored_bytes = ?8
         WHERE key = ?1",
    )?
    .execute(params![
        key,
        signed(to.seq),
        nanos(write.head.at),
        write.head.recoveries,
        now.is_some(),
        now.flatten(),
        write.head.auto_resumes,
        signed(stored_bytes),
    ])?;
    let written = Written {
        epoch,
        request,
        stored_bytes,
    };
    Ok(Some((key, written)))
}

/// The columns of a new claim; a run that does not run is owned by nobody.
fn ownership(write: &Write, at: Timestamp) -> (Option<String>, Option<i64>) {
    match &write.claim {
        Some(claim) if write.head.status == Status::Running => (
            Some(
                serde_json::to_string(&claim.owner)
                    .expect("an owner is made of texts and numbers, which JSON can hold"),
            ),
            Some(nanos(at.after(claim.lease))),
        ),
        _ => (None, None),
    }
}

/// The three columns of a request, from that one on. What this program does not know, or what is damaged, asks for nothing: one
/// row must not keep the claims of a whole process from being looked at.
pub(super) fn asked(row: &Row<'_>, first: usize) -> Result<Option<StopRequest>, rusqlite::Error> {
    let text = |column: usize| -> Result<Option<String>, rusqlite::Error> {
        let bytes = row.get_ref(column)?.as_bytes_or_null().ok().flatten();
        Ok(bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
    };
    let Some(kind) = text(first)?.and_then(|kind| kind.parse().ok()) else {
        return Ok(None);
    };
    let at = row.get_ref(first + 1)?.as_i64_or_null().ok().flatten();
    Ok(Some(StopRequest {
        kind,
        at: Timestamp::from_nanos(at.unwrap_or_default().unsigned_abs()),
        by: text(first + 2)?.unwrap_or_default(),
    }))
}

/// The column of awaited signals.
fn names(names: &[String]) -> String {
    serde_json::to_string(names).expect("a list of texts, which JSON can hold")
}

/// As many as a number holds.
fn nanos_of(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The column of labels.
fn labels(labels: &Labels) -> String {
    serde_json::to_string(labels).expect("names with values, which JSON can hold")
}

/// Whether the blobs that the write names are there. Asked before anything is changed.
fn check_blobs(db: &mut Statements<'_>, write: &Write) -> Result<(), Failure> {
    for digest in write.named_elsewhere() {
        let there: bool = db
            .get("SELECT EXISTS (SELECT 1 FROM blob WHERE digest = ?1)")?
            .query_row([digest.as_bytes()], |row| row.get(0))?;
        if !there {
            return Err(Failure::Refused(write.names_nothing(digest)));
        }
    }
    Ok(())
}

/// Bytes that the run takes more after the write. Asked before anything is changed, so that the row is written once.
fn added(db: &mut Statements<'_>, write: &Write) -> Result<u64, rusqlite::Error> {
    let mut added = write.bytes();
    for (digest, carried) in write.uses() {
        let used: bool = db
            .get(
                "SELECT EXISTS (SELECT 1 FROM blob_use WHERE digest = ?1 AND run = (SELECT key FROM run WHERE id = ?2))",
            )?
            .query_row(params![digest.as_bytes(), write.run.as_str()], |row| row.get(0))?;
        if used {
            continue;
        }
        added += match carried {
            Some(bytes) => bytes,
            None => db
                .get("SELECT length(bytes) FROM blob WHERE digest = ?1")?
                .query_row([digest.as_bytes()], |row| row.get::<_, i64>(0))?
                .unsigned_abs(),
        };
    }
    Ok(added)
}

/// Whether the signals that the write takes are there. Asked before anything is changed.
fn check_signals(db: &mut Statements<'_>, write: &Write) -> Result<(), Failure> {
    for number in &write.consumed {
        let there: bool = db
            .get(
                "SELECT EXISTS (SELECT 1 FROM signal WHERE number = ?1 AND run = (SELECT key FROM run WHERE id = ?2))",
            )?
            .query_row(params![signed(*number), write.run.as_str()], |row| row.get(0))?;
        if !there {
            return Err(conflict(db, &write.run)?);
        }
    }
    Ok(())
}

/// What the write does to the part that stands in the run's row: nothing, remove it, or put it.
fn now_part(write: &Write) -> Option<Option<&str>> {
    let last = write.parts.iter().rfind(|(part, _)| part == NOW);
    last.map(|(_, body)| body.as_deref())
}

fn append(db: &mut Statements<'_>, write: &Write, key: i64) -> Result<(), rusqlite::Error> {
    let insert =
        db.get("INSERT INTO journal (run, seq, at, epoch, body) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for entry in &write.entries {
        insert.execute(params![
            key,
            signed(entry.seq),
            nanos(entry.at),
            signed(entry.epoch.0),
            entry.body
        ])?;
    }
    fault::point("journal_written");
    for (part, body) in write.parts.iter().filter(|(part, _)| part != NOW) {
        match body {
            Some(body) => db
                .get(
                    "INSERT INTO checkpoint (run, part, body) VALUES (?1, ?2, ?3)
                     ON CONFLICT (run, part) DO UPDATE SET body = excluded.body",
                )?
                .execute(params![key, part, body])?,
            None => db
                .get("DELETE FROM checkpoint WHERE run = ?1 AND part = ?2")?
                .execute(params![key, part])?,
        };
    }
    fault::point("checkpoint_written");
    attempts::append_lines(db, key, &write.logs)?;
    for (digest, bytes) in write.brought() {
        keep_blob(db, digest, bytes)?;
        use_blob(db, key, digest)?;
    }
    for digest in &write.named {
        use_blob(db, key, digest)?;
    }
    for (path, artifact) in &write.artifacts {
        attempts::use_artifact(db, key, path, artifact)?;
    }
    fault::point("logs_and_blobs_written");
    for number in &write.consumed {
        db.get("DELETE FROM signal WHERE number = ?1")?
            .execute(params![signed(*number)])?;
    }
    Ok(())
}

/// Keeps a blob. One that is there already is only compared, because bound to a statement it would be copied for nothing; one
/// that was damaged is mended, so that nobody takes the damage over.
pub(super) fn keep_blob(
    db: &mut Statements<'_>,
    digest: &Digest,
    bytes: &[u8],
) -> Result<(), rusqlite::Error> {
    let same = db
        .get("SELECT bytes FROM blob WHERE digest = ?1")?
        .query_row([digest.as_bytes()], |row| {
            Ok(row.get_ref(0)?.as_blob()? == bytes)
        })
        .optional()?;
    let sql = match same {
        Some(true) => return Ok(()),
        None => "INSERT INTO blob (digest, bytes) VALUES (?1, ?2)",
        Some(false) if Digest::of(bytes) == *digest => {
            "UPDATE blob SET bytes = ?2 WHERE digest = ?1"
        }
        Some(false) => return Ok(()),
    };
    db.get(sql)?
        .execute(params![digest.as_bytes(), bytes])
        .map(drop)
}

pub(super) fn use_blob(
    db: &mut Statements<'_>,
    run: i64,
    digest: &Digest,
) -> Result<(), rusqlite::Error> {
    db.get("INSERT INTO blob_use (run, digest) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
        .execute(params![run, digest.as_bytes()])
        .map(drop)
}

/// Where a run stands.
pub(super) struct Present {
    pub(super) status: Status,
    pub(super) seq: u64,
    pub(super) epoch: Epoch,
}

pub(super) fn present(db: &mut Statements<'_>, run: &RunId) -> Result<Present, Failure> {
    let statement = db.get("SELECT status, seq, epoch FROM run WHERE id = ?1")?;
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
pub(super) fn conflict(db: &mut Statements<'_>, run: &RunId) -> Result<Failure, Failure> {
    let present = present(db, run)?;
    Ok(Failure::Refused(StoreError::Conflict {
        run: run.clone(),
        status: present.status,
        seq: present.seq,
        epoch: present.epoch,
    }))
}
