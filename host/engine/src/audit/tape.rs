//! The host calls of attempts, which are kept beside the journal.

use milepost_core::tape::Tape;

use super::Audit;
use crate::record::{self, RecordError};
use crate::store::StoreError;

impl Audit<'_, '_> {
    /// Whether the calls that the event at `seq` speaks of are there, as they were.
    pub(super) async fn tape(&mut self, seq: u64, tape: &Tape) -> Result<(), StoreError> {
        let Some(kept) = &tape.kept else {
            return Ok(());
        };
        let part = format!("host calls of event {seq}");
        match record::tape(self.auditor.store, self.run, kept.started).await {
            Ok(entries) => {
                if let Err(cause) = tape.clone().put_back(entries) {
                    self.fault(part, cause);
                }
            }
            Err(RecordError::Store(StoreError::Corrupt(text))) => self.fault(part, text.what),
            Err(RecordError::Store(error)) => return Err(error),
            Err(error) => self.fault(part, error),
        }
        Ok(())
    }
}
