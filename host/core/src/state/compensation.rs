//! What there is to undo: one record for each completed execution of a step with `compensate`, in the order of their completion.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::StepRecord;
use crate::event::Undo;
use crate::ids::Path;
use crate::payload::Payload;
use crate::time::Timestamp;

/// The compensations of a run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Compensations {
    records: BTreeMap<Path, StepRecord>,
    /// Those that have not completed, by when their steps completed.
    open: BTreeMap<u64, Path>,
}

/// What a compensation undoes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Compensable {
    /// Position of the event with which the execution completed.
    pub completed: u64,
    /// The input of the compensation, as it was then; without one, it is evaluated when it is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<Payload>,
}

impl Compensations {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// How many have completed.
    #[must_use]
    pub fn completed(&self) -> usize {
        self.records.len() - self.open.len()
    }

    /// Those that have not completed, the one that comes first at the beginning: of the step that completed last.
    pub fn open(&self) -> impl Iterator<Item = &StepRecord> {
        let latest = self.open.values().rev();
        latest.filter_map(|path| self.records.get(path))
    }

    /// Whether one was started, whatever came of it.
    #[must_use]
    pub fn have_begun(&self) -> bool {
        let mut open = self.open();
        self.completed() > 0 || open.next().is_some_and(|first| !first.is_fresh())
    }

    /// All of them, ordered by path.
    pub fn iter(&self) -> impl Iterator<Item = &StepRecord> {
        self.records.values()
    }

    pub(super) fn get(&self, path: &Path) -> Option<&StepRecord> {
        self.records.get(path)
    }

    pub(super) fn get_mut(&mut self, path: &Path) -> Option<&mut StepRecord> {
        self.records.get_mut(path)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut StepRecord> {
        self.records.values_mut()
    }

    pub(super) fn get_or_insert_with(
        &mut self,
        path: &Path,
        new: impl FnOnce() -> StepRecord,
    ) -> &mut StepRecord {
        self.records.entry(path.clone()).or_insert_with(new)
    }

    /// An execution completed that can be undone. One that ran again and completed again is undone once, in its new place.
    pub(super) fn add(&mut self, execution: &Path, completed: u64, undo: &Undo, at: Timestamp) {
        let path = execution.compensation();
        if let Some(before) = self.records.get(&path).and_then(StepRecord::compensable) {
            self.open.remove(&before.completed);
        }
        self.open.insert(completed, path.clone());
        let record = StepRecord {
            compensable: Some(Box::new(Compensable {
                completed,
                with: undo.with.clone(),
            })),
            ..StepRecord::new(&path, None, at)
        };
        self.records.insert(path, record);
    }

    /// The compensation at this path has completed.
    pub(super) fn complete(&mut self, path: &Path) {
        if let Some(compensable) = self.records.get(path).and_then(StepRecord::compensable) {
            self.open.remove(&compensable.completed);
        }
    }

    /// Finds out which are open, after the records were read back.
    pub(super) fn sort_out(&mut self) {
        let open = self
            .records
            .values()
            .filter(|record| !record.has_completed());
        self.open = open
            .filter_map(|record| Some((record.compensable()?.completed, record.path.clone())))
            .collect();
    }
}

impl StepRecord {
    /// What it undoes, where it is a compensation.
    #[must_use]
    pub fn compensable(&self) -> Option<&Compensable> {
        self.compensable.as_deref()
    }
}
