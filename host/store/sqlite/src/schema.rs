//! Whether a file has the tables and indexes that this version makes: without an index, a question fails or takes a walk through
//! everything, and a trigger of somebody else changes what is written.

use std::collections::BTreeMap;

use rusqlite::Connection;

use crate::migrations;

/// What a file should have and has not, has otherwise, or should not have.
pub(super) fn differences(db: &Connection) -> Result<Vec<String>, rusqlite::Error> {
    let fresh = migrations::fresh()?;
    let (expected, mut found) = (objects(&fresh)?, objects(db)?);
    let mut differences = Vec::new();
    for (name, wanted) in expected {
        let kind = wanted.kind.clone();
        match found.remove(&name) {
            None => differences.push(format!("the {kind} `{name}` is missing")),
            Some(found) if found != wanted => differences.push(format!(
                "the {kind} `{name}` differs from what this version creates"
            )),
            Some(_) => {}
        }
    }
    // Other tables and indexes of somebody do no harm.
    let triggers = found.iter().filter(|(_, found)| found.kind == "trigger");
    differences.extend(
        triggers.map(|(name, _)| format!("the trigger `{name}` was not created by this program")),
    );
    Ok(differences)
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Object {
    kind: String,
    /// Columns of a table: what added them later wrote its text in its own way. Else the text.
    made_as: Vec<String>,
}

pub(super) fn objects(db: &Connection) -> Result<BTreeMap<String, Object>, rusqlite::Error> {
    let mut statement = db.prepare(
        "SELECT type, name, coalesce(sql, '') FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
    )?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let mut objects = BTreeMap::new();
    for row in rows {
        let (kind, name, sql): (String, String, String) = row?;
        let made_as = match kind.as_str() {
            "table" => columns(db, &name)?,
            _ => sql.split_whitespace().map(str::to_owned).collect(),
        };
        objects.insert(name, Object { kind, made_as });
    }
    Ok(objects)
}

fn columns(db: &Connection, table: &str) -> Result<Vec<String>, rusqlite::Error> {
    let mut statement = db.prepare(
        "SELECT name || ' ' || type || ' ' || \"notnull\" || ' ' || coalesce(dflt_value, '') || ' ' || pk
         FROM pragma_table_info(?1) ORDER BY name",
    )?;
    statement.query_map([table], |row| row.get(0))?.collect()
}
