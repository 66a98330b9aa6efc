//! Signals that wait for a run: each must be one that could have been sent.

use milepost_core::json;
use milepost_core::limits;
use milepost_core::payload::within_depth;

use super::Audit;
use crate::store::{StoreError, StoredSignal};

impl Audit<'_, '_> {
    pub(super) async fn inbox(&mut self) -> Result<(), StoreError> {
        let inbox = match self.auditor.store.inbox(self.run, limits::SIGNALS).await {
            Ok(inbox) => inbox,
            Err(StoreError::Corrupt(text)) => {
                self.fault("signals", text.what);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        for stored in inbox {
            if let Some(wrong) = unsendable(&stored) {
                self.fault(format!("signal {}", stored.number), wrong);
            }
        }
        Ok(())
    }
}

/// Why nobody can have sent such a signal.
fn unsendable(signal: &StoredSignal) -> Option<String> {
    let StoredSignal { name, data, .. } = signal;
    if name.is_empty() || name.len() > limits::NOTE_BYTES {
        return Some(format!(
            "its name has {} bytes, not 1 to {}",
            name.len(),
            limits::NOTE_BYTES
        ));
    }
    if data.len() > limits::SIGNAL_BYTES {
        return Some(format!(
            "its data takes {} bytes, more than {}",
            data.len(),
            limits::SIGNAL_BYTES
        ));
    }
    match json::parse(data) {
        Ok(value) if within_depth(&value, limits::JSON_DEPTH) => None,
        Ok(_) => Some(format!(
            "its data is nested deeper than {} levels",
            limits::JSON_DEPTH
        )),
        // How much memory data may take has been bounded later than its bytes.
        Err(error) => (!error.is_too_large()).then(|| error.to_string()),
    }
}
