//! The log of a run: each line must be one that an attempt of a step wrote.

use std::collections::BTreeMap;

use milepost_core::ids::{Path, StepId};
use milepost_core::time::Timestamp;

use super::{Audit, FAULTS};
use crate::attempt::LogLine;
use crate::store::{NewLog, StoreError};

/// Log lines that are read at once.
const PAGE: usize = 512;

/// The steps that a whole journal has begun until some time, each with its highest attempt.
pub(super) struct Begun<'a> {
    pub(super) attempts: &'a BTreeMap<StepId, u32>,
    pub(super) until: Timestamp,
}

impl Audit<'_, '_> {
    /// Without what was begun, where the journal is damaged, only the lines themselves are looked at.
    pub(super) async fn logs(&mut self, begun: Option<&Begun<'_>>) -> Result<(), StoreError> {
        let mut after = 0;
        while self.faults.len() < FAULTS {
            let page = match self.auditor.store.logs(self.run, after, PAGE).await {
                Ok(page) => page,
                Err(StoreError::Corrupt(text)) => {
                    self.fault("log", text.what);
                    break;
                }
                Err(error) => return Err(error),
            };
            let Some(last) = page.last() else {
                break;
            };
            after = last.position;
            for stored in page {
                let stray = begun.and_then(|begun| begun.stray(&stored.line));
                let wrong = match serde_json::from_str::<LogLine>(&stored.line.body) {
                    Ok(_) => stray,
                    Err(error) => Some(error.to_string()),
                };
                if let Some(wrong) = wrong {
                    self.fault("log", format_args!("line {}: {wrong}", stored.position));
                }
            }
        }
        Ok(())
    }
}

impl Begun<'_> {
    /// Why nothing that had begun can have written a line.
    fn stray(&self, line: &NewLog) -> Option<String> {
        // What came since may be of a step that has begun since.
        if line.at >= self.until {
            return None;
        }
        let path: Path = match line.path.parse() {
            Ok(path) => path,
            Err(error) => return Some(error.to_string()),
        };
        let attempts = self.attempts.get(path.step()).copied().unwrap_or_default();
        let written = (1..=attempts).contains(&line.attempt);
        (!written).then(|| format!("attempt {} of {path} never began", line.attempt))
    }
}
