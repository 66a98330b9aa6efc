//! Workers that say that they are there: the SQL of them.

use milepost_core::recovery::lease_holds;
use milepost_core::time::Timestamp;
use rusqlite::{Connection, params};

use super::statements::Statements;
use super::{nanos, store_error};
use milepost_store::{Owner, StoreError};

/// More than anybody has: a table that somebody else has filled is not read whole.
const MOST: i64 = 10_000;

/// What a worker says of itself.
pub(super) enum Said {
    /// It is there, and taken to be until then.
    Present {
        worker: Owner,
        at: Timestamp,
        until: Timestamp,
    },
    /// It takes no more runs.
    Absent { nonce: String },
}

/// Keeps what a worker says, inside an open transaction; of workers whose time is over nothing stays.
pub(super) fn keep(db: &mut Statements<'_>, said: &Said) -> Result<(), rusqlite::Error> {
    match said {
        Said::Present { worker, at, until } => {
            db.get("DELETE FROM worker WHERE until <= ?1")?
                .execute([nanos(*at)])?;
            let owner = serde_json::to_string(worker)
                .expect("an owner is made of texts and numbers, which JSON can hold");
            db.get(
                "INSERT INTO worker (nonce, owner, until) VALUES (?1, ?2, ?3)
                 ON CONFLICT (nonce) DO UPDATE SET until = excluded.until",
            )?
            .execute(params![worker.nonce, owner, nanos(*until)])
        }
        Said::Absent { nonce } => db
            .get("DELETE FROM worker WHERE nonce = ?1")?
            .execute([nonce]),
    }
    .map(drop)
}

/// Those that are taken to be there.
pub(super) fn all(db: &Connection, now: Timestamp) -> Result<Vec<Owner>, StoreError> {
    let read = || -> Result<Vec<(String, i64)>, rusqlite::Error> {
        let mut statement =
            db.prepare_cached("SELECT owner, until FROM worker WHERE until > ?1 LIMIT ?2")?;
        let found = statement.query_map(params![nanos(now), MOST], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
        found.collect()
    };
    let found = read().map_err(|error| store_error(error, "the workers"))?;
    let there = found.iter().filter(|(_, until)| {
        let until = Timestamp::from_nanos(until.unsigned_abs());
        lease_holds(until, now)
    });
    there
        .map(|(owner, _)| serde_json::from_str(owner))
        .collect::<Result<_, _>>()
        .map_err(|error| StoreError::corrupt(format!("the workers: {error}")))
}
