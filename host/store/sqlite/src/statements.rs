//! The statements of one transaction.

use rusqlite::{CachedStatement, Connection};

/// What a change works with. However many changes share the transaction, each of their statements is looked up once.
pub(super) struct Statements<'db> {
    db: &'db Connection,
    ready: Vec<(&'static str, CachedStatement<'db>)>,
}

impl<'db> Statements<'db> {
    pub(super) fn of(db: &'db Connection) -> Self {
        Self {
            db,
            ready: Vec::new(),
        }
    }

    /// The statement with this text. Where the text stands tells statements apart: comparing it would cost what is saved.
    pub(super) fn get(
        &mut self,
        sql: &'static str,
    ) -> Result<&mut CachedStatement<'db>, rusqlite::Error> {
        let at = self
            .ready
            .iter()
            .position(|(text, _)| std::ptr::eq(*text, sql));
        let at = match at {
            Some(at) => at,
            None => {
                self.ready.push((sql, self.db.prepare_cached(sql)?));
                self.ready.len() - 1
            }
        };
        Ok(&mut self.ready[at].1)
    }
}
