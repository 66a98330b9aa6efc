//! Keeping a store in order: removing old runs, and looking for what is wrong.

use std::time::Duration;

use futures_util::future::join_all;
use milepost_core::ids::RunId;
use milepost_core::recovery::{Liveness, Verdict, judge};
use milepost_core::state::Status;
use milepost_core::time::Timestamp;
use serde::Serialize;

use super::Engine;
use super::error::EngineError;
use super::sweep::SWEEP_ROWS;
use crate::fault;
use crate::record;
use crate::store::{Filter, Health, RunRow, StoreError};

/// Free space below which a store is in danger of filling its disk.
const LITTLE_SPACE: u64 = 100 * 1024 * 1024;
/// Events whose runs are removed together: bounds how long others wait for that.
const REMOVED_TOGETHER: u64 = 1_000;
/// Room that nothing uses, from which on it is worth a word, if it is also a good part of the file.
const MUCH_UNUSED: u64 = 1024 * 1024;
/// How long something may be due before it looks as if no worker were there.
const OVERDUE: Duration = Duration::from_secs(60);

/// What was removed, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Collected {
    /// The runs, the oldest first.
    pub runs: Vec<RunId>,
    /// Runs that could not be removed, with the reason.
    pub kept: Vec<(RunId, String)>,
}

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Gravity {
    /// Worth knowing.
    Note,
    /// Somebody should look.
    Warning,
    /// Something is broken.
    Problem,
}

/// Something that a look at the store found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How grave it is.
    pub gravity: Gravity,
    /// The run, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// What was found.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

/// The state of a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Doctor {
    /// What the store says of itself.
    pub store: Health,
    /// What was found, the gravest first.
    pub findings: Vec<Finding>,
}

/// Whether so much of a file is free that a person may want to know.
#[must_use]
pub fn much_unused(unused: u64, of: u64) -> bool {
    unused >= MUCH_UNUSED && unused >= of / 4
}

/// Consecutive rows whose runs are removed at once: one transaction, if the store joins them.
fn together(rows: &[RunRow]) -> impl Iterator<Item = &[RunRow]> {
    let mut events = 0;
    rows.chunk_by(move |_, next| {
        events += next.seq;
        let more = events < REMOVED_TOGETHER;
        if !more {
            events = 0;
        }
        more
    })
}

impl Engine {
    /// Removes runs of these statuses whose last write was before `before`, small ones together, so that others can write in
    /// between. With `pretend`, only says which.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; what was removed until then stays removed.
    pub async fn collect(
        &self,
        before: Timestamp,
        statuses: &[Status],
        pretend: bool,
    ) -> Result<Collected, EngineError> {
        let store = self.shared.store.as_ref();
        let mut collected = Collected::default();
        if pretend {
            let rows = store.written_before(before, statuses, usize::MAX)?;
            collected.runs = rows.into_iter().map(|row| row.id).collect();
            return Ok(collected);
        }
        loop {
            let rows = store.written_before(before, statuses, SWEEP_ROWS + collected.kept.len())?;
            let known = |row: &RunRow| collected.kept.iter().any(|(run, _)| *run == row.id);
            let rows: Vec<RunRow> = rows.into_iter().filter(|row| !known(row)).collect();
            if rows.is_empty() {
                return Ok(collected);
            }
            for rows in together(&rows) {
                fault::point("gc");
                let deletions = rows.iter().map(|row| store.delete(&row.id, row.seq));
                for (row, deleted) in rows.iter().zip(join_all(deletions).await) {
                    match deleted {
                        Ok(()) => collected.runs.push(row.id.clone()),
                        Err(StoreError::NotFound(_)) => {}
                        Err(error @ StoreError::Conflict { .. }) => {
                            collected.kept.push((row.id.clone(), error.to_string()));
                        }
                        Err(error) => return Err(error.into()),
                    }
                }
            }
        }
    }

    /// Looks at the whole store. Changes nothing.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be asked.
    pub fn examine(&self) -> Result<Doctor, StoreError> {
        let now = self.shared.clock.now();
        let store = self.shared.store.health()?;
        let attention = self.shared.store.attention(now, SWEEP_ROWS)?;
        let mut findings = Vec::new();
        for problem in &store.problems {
            findings.push(Finding {
                gravity: Gravity::Problem,
                run: None,
                message: problem.clone(),
                remedy: "keep a copy of the file; restore a backup, or remove the run".to_owned(),
            });
        }
        if let Some(free) = store.free_bytes.filter(|free| *free < LITTLE_SPACE) {
            findings.push(Finding {
                gravity: Gravity::Warning,
                run: None,
                message: format!("its disk has only {free} bytes left"),
                remedy: "make room, or remove old runs with `milepost gc`".to_owned(),
            });
        }
        if much_unused(store.unused_bytes, store.bytes) {
            let remedy = match store.gives_back {
                true => "`milepost gc` gives it back to the disk",
                false => "`milepost gc --compact` rewrites the file and gives it back to the disk",
            };
            findings.push(Finding {
                gravity: Gravity::Note,
                run: None,
                message: format!(
                    "{} of {} bytes of the file are kept for later runs",
                    store.unused_bytes, store.bytes
                ),
                remedy: remedy.to_owned(),
            });
        }
        for (run, reason) in &attention.unreadable {
            findings.push(Finding {
                gravity: Gravity::Problem,
                run: Some(run.clone()),
                message: reason.clone(),
                remedy: "the other runs are not affected; restore a backup of the file".to_owned(),
            });
        }
        for run in self.unfinished()? {
            if let Err(error) = record::load(self.shared.store.as_ref(), &run) {
                findings.push(Finding {
                    gravity: Gravity::Problem,
                    run: Some(run.to_string()),
                    message: error.to_string(),
                    remedy: "the other runs are not affected; restore a backup of the file"
                        .to_owned(),
                });
            }
        }
        findings.extend(
            attention
                .running
                .iter()
                .filter_map(|row| self.owner_finding(row, now)),
        );
        let unmet = attention.requested.iter().map(|row| Finding {
            gravity: Gravity::Warning,
            run: Some(row.id.to_string()),
            message: format!(
                "it is {} and a request to stop it was not met yet",
                row.status
            ),
            remedy: "a worker (`milepost work`) meets it".to_owned(),
        });
        findings.extend(unmet);
        let overdue = |row: &&RunRow| row.due_at.is_some_and(|due| due.after(OVERDUE) < now);
        findings.extend(attention.due.iter().filter(overdue).map(|row| Finding {
            gravity: Gravity::Warning,
            run: Some(row.id.to_string()),
            message: "it has been due for more than a minute".to_owned(),
            remedy: "start a worker (`milepost work`), or `milepost resume` it".to_owned(),
        }));
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.gravity));
        Ok(Doctor { store, findings })
    }

    /// The runs that may still move.
    fn unfinished(&self) -> Result<Vec<RunId>, StoreError> {
        let filter = Filter {
            statuses: vec![
                Status::Pending,
                Status::Running,
                Status::Paused,
                Status::Failed,
            ],
            ..Filter::default()
        };
        let rows = self.shared.store.list(&filter)?.rows;
        Ok(rows.into_iter().map(|row| row.id).collect())
    }

    fn owner_finding(&self, row: &RunRow, now: Timestamp) -> Option<Finding> {
        let expired = row.lease_until.is_none_or(|until| until <= now);
        let owner = self.liveness(row).unwrap_or(Liveness::Gone);
        let who = row.owner.as_ref().map_or_else(
            || "nobody".to_owned(),
            |owner| format!("process {} on {}", owner.pid, owner.host),
        );
        let (gravity, message, remedy) = match judge(owner, expired, row.recoveries) {
            Verdict::Healthy => return None,
            Verdict::Detached => (
                Gravity::Warning,
                format!("its owner, {who}, lives but has stopped renewing its claim"),
                "look at that process: it may be stopped or starved; ended, its run is recovered",
            ),
            Verdict::Recover => (
                Gravity::Warning,
                format!("its owner, {who}, is gone"),
                "a worker (`milepost work`) takes it over, or `milepost resume` does",
            ),
            Verdict::GiveUp => (
                Gravity::Warning,
                format!("its owner, {who}, is gone, as was the one before"),
                "a worker fails it with `process_lost`; `milepost resume` tries it once more",
            ),
        };
        Some(Finding {
            gravity,
            run: Some(row.id.to_string()),
            message,
            remedy: remedy.to_owned(),
        })
    }
}
