//! The SQL of the changes that are not the owner's writes: requests, signals, renewals, marks, deletion.

use milepost_core::ids::{Epoch, RunId};
use milepost_core::state::Status;
use milepost_core::time::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::change::{Change, Failure, asked, conflict, present};
use super::read::{INBOX_SIZE, KNOWN_TOKEN, counted, known};
use super::removal;
use super::statements::Statements;
use super::{nanos, signed};
use milepost_store::{Held, NewSignal, News, Sent, StopKind, StopRequest};

/// Asks the owner to stop.
pub(super) struct Request {
    pub(super) run: RunId,
    pub(super) request: StopRequest,
}

impl Change for Request {
    type Reply = Status;

    fn run(&self) -> &RunId {
        &self.run
    }

    fn apply(&self, db: &mut Statements<'_>) -> Result<Status, Failure> {
        let status = present(db, &self.run)?.status;
        if status == Status::Running {
            let weaker: Vec<&str> = StopKind::ALL
                .into_iter()
                .filter(|kind| *kind < self.request.kind)
                .map(StopKind::as_str)
                .collect();
            db.get(
                "UPDATE run SET request = ?2, requested_at = ?3, requested_by = ?4 WHERE id = ?1
                 AND (request IS NULL OR request IN (SELECT value FROM json_each(?5)))",
            )?
            .execute(params![
                self.run.as_str(),
                self.request.kind.as_str(),
                nanos(self.request.at),
                self.request.by,
                serde_json::to_string(&weaker).expect("a list of texts, which JSON can hold"),
            ])?;
        }
        Ok(status)
    }
}

/// Takes a pause back.
pub(super) struct Withdrawal {
    pub(super) run: RunId,
}

impl Change for Withdrawal {
    type Reply = bool;

    fn run(&self) -> &RunId {
        &self.run
    }

    fn apply(&self, db: &mut Statements<'_>) -> Result<bool, Failure> {
        present(db, &self.run)?;
        let withdrawn = db
            .get(
                "UPDATE run SET request = NULL WHERE id = ?1 AND request IN ('pause', 'pause_now')",
            )?
            .execute([self.run.as_str()])?;
        Ok(withdrawn > 0)
    }
}

/// Keeps a signal.
pub(super) struct Signal {
    pub(super) run: RunId,
    pub(super) signal: NewSignal,
}

impl Change for Signal {
    type Reply = Sent;

    fn run(&self) -> &RunId {
        &self.run
    }

    fn apply(&self, db: &mut Statements<'_>) -> Result<Sent, Failure> {
        let status = present(db, &self.run)?.status;
        if let Some(token) = &self.signal.token {
            let sent_before = db
                .get(KNOWN_TOKEN)?
                .query_row([self.run.as_str(), token], known)
                .optional()?;
            if let Some(sent_before) = sent_before {
                return Ok(sent_before.answer(&self.signal));
            }
        }
        if status.is_terminal() {
            return Ok(Sent::Over(status));
        }
        let inbox = db
            .get(INBOX_SIZE)?
            .query_row([self.run.as_str()], counted)?;
        if !inbox.has_room(&self.signal) {
            return Ok(Sent::Full(inbox));
        }
        let number: i64 = db
            .get(
                "INSERT INTO signal (run, name, at, data)
                 SELECT key, ?2, ?3, ?4 FROM run WHERE id = ?1 RETURNING number",
            )?
            .query_row(
                params![
                    self.run.as_str(),
                    self.signal.name,
                    nanos(self.signal.at),
                    self.signal.data
                ],
                |row| row.get(0),
            )?;
        if let Some(token) = &self.signal.token {
            db.get(
                "INSERT INTO signal_token (run, token, number, content)
                 SELECT key, ?2, ?3, ?4 FROM run WHERE id = ?1",
            )?
            .execute(params![
                self.run.as_str(),
                token,
                number,
                self.signal.content().as_bytes()
            ])?;
        }
        Ok(Sent::Kept(number.unsigned_abs()))
    }
}

/// Tells what is new of claims, and extends those that hold.
pub(super) struct Renewal {
    pub(super) held: Vec<Held>,
    pub(super) until: Timestamp,
}

impl Change for Renewal {
    type Reply = Vec<News>;

    fn run(&self) -> &RunId {
        &self.held.first().expect("no claims are not brought").run
    }

    fn apply(&self, db: &mut Statements<'_>) -> Result<Vec<News>, Failure> {
        let mut news = Vec::new();
        for held in &self.held {
            let holds = db
                .get(
                    "UPDATE run SET lease_until = ?3, detached_at = NULL
                     WHERE id = ?1 AND epoch = ?2 AND owner IS NOT NULL RETURNING request, requested_at, requested_by",
                )?
                .query_row(
                    params![held.run.as_str(), signed(held.epoch.0), nanos(self.until)],
                    |row| asked(row, 0),
                )
                .optional()?;
            news.extend(held.news(holds));
        }
        Ok(news)
    }
}

/// Gives up claims without a word in their journals.
pub(super) struct Abandonment {
    pub(super) held: Vec<Held>,
}

impl Change for Abandonment {
    type Reply = ();

    fn run(&self) -> &RunId {
        &self.held.first().expect("no claims are not brought").run
    }

    fn apply(&self, db: &mut Statements<'_>) -> Result<(), Failure> {
        for Held { run, epoch } in &self.held {
            db.get("UPDATE run SET owner = NULL, lease_until = NULL WHERE id = ?1 AND epoch = ?2")?
                .execute(params![run.as_str(), signed(epoch.0)])?;
        }
        Ok(())
    }
}

/// Marks a run whose owner does not renew.
pub(super) struct DetachedMark {
    pub(super) run: RunId,
    pub(super) epoch: Epoch,
    pub(super) at: Timestamp,
}

impl Change for DetachedMark {
    type Reply = bool;

    fn run(&self) -> &RunId {
        &self.run
    }

    fn apply(&self, db: &mut Statements<'_>) -> Result<bool, Failure> {
        present(db, &self.run)?;
        let marked = db
            .get(
                "UPDATE run SET detached_at = ?3
                 WHERE id = ?1 AND epoch = ?2 AND lease_until <= ?3 AND detached_at IS NULL",
            )?
            .execute(params![
                self.run.as_str(),
                signed(self.epoch.0),
                nanos(self.at)
            ])?;
        Ok(marked > 0)
    }
}

/// Removes a run that is over; of one that has much, only the beginning: the reply says whether something is left.
pub(super) struct Deletion {
    pub(super) run: RunId,
    pub(super) seq: u64,
}

impl Change for Deletion {
    type Reply = bool;

    fn run(&self) -> &RunId {
        &self.run
    }

    fn apply(&self, db: &mut Statements<'_>) -> Result<bool, Failure> {
        let key: Option<i64> = db
            .get(
                "SELECT key FROM run WHERE id = ?1 AND seq = ?2
                 AND status IN ('completed', 'failed', 'cancelled')",
            )?
            .query_row(params![self.run.as_str(), signed(self.seq)], |row| {
                row.get(0)
            })
            .optional()?;
        let Some(key) = key else {
            return Err(conflict(db, &self.run)?);
        };
        if removal::is_large(db, key)? {
            removal::begin(db, key)?;
            return Ok(true);
        }
        db.get(
            "DELETE FROM blob WHERE digest IN (SELECT digest FROM blob_use WHERE run = ?1)
             AND NOT EXISTS (SELECT 1 FROM blob_use WHERE blob_use.digest = blob.digest AND run <> ?1)",
        )?
        .execute([key])?;
        // Everything else goes with it (ON DELETE CASCADE).
        db.get("DELETE FROM run WHERE key = ?1")?.execute([key])?;
        Ok(false)
    }
}
