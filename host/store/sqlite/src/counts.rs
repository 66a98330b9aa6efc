//! Counters of the store: the SQL of them. What is added goes to the disk with whatever is saved next.

use rusqlite::{Connection, params};

use super::statements::Statements;
use super::{signed, store_error};
use milepost_store::{Count, StoreError};

/// Adds to counters, inside an open transaction.
pub(super) fn add(db: &mut Statements<'_>, by: &[Count]) -> Result<(), rusqlite::Error> {
    let statement = db.get(
        "INSERT INTO counter (name, value) VALUES (?1, ?2)
         ON CONFLICT DO UPDATE SET value = min(value, 9223372036854775807 - ?2) + ?2",
    )?;
    for Count { name, value } in by {
        statement.execute(params![name, signed(*value)])?;
    }
    Ok(())
}

/// All of them.
pub(super) fn all(db: &Connection) -> Result<Vec<Count>, StoreError> {
    let read = || -> Result<Vec<Count>, rusqlite::Error> {
        let mut statement = db.prepare_cached("SELECT name, value FROM counter ORDER BY name")?;
        let counts = statement.query_map([], |row| {
            Ok(Count {
                name: row.get(0)?,
                value: row.get::<_, i64>(1)?.unsigned_abs(),
            })
        })?;
        counts.collect()
    };
    read().map_err(|error| store_error(error, "the counters"))
}
