//! The records of a run's step executions, each in its slot.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Compensations, StepRecord};
use crate::ids::{InvalidId, Path, StepId};
use crate::within::Within;

/// Where the executions of a step follow each other: the step itself, in one item of every fan-out around it. The iterations of the
/// loops around it have the slot one after the other; items stand beside each other, each with a slot of its own.
///
/// In text: `test`, or `convert[3]` in the fourth item. The compensation of each execution has a slot of its own, `fix#2/test!compensate`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot {
    step: StepId,
    items: Vec<u32>,
    compensation: Option<Path>,
}

impl Slot {
    /// The slot of a step around which there is no fan-out.
    #[must_use]
    pub const fn alone(step: StepId) -> Self {
        Self {
            step,
            items: Vec::new(),
            compensation: None,
        }
    }

    /// The step.
    #[must_use]
    pub const fn step(&self) -> &StepId {
        &self.step
    }
}

impl From<&Path> for Slot {
    fn from(path: &Path) -> Self {
        Self {
            step: path.step().clone(),
            items: items(path).collect(),
            compensation: path.is_compensation().then(|| path.clone()),
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.compensation {
            return write!(f, "{path}");
        }
        write!(f, "{}", self.step)?;
        let mut items = self.items.iter();
        items.try_for_each(|item| write!(f, "[{item}]"))
    }
}

impl FromStr for Slot {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        if text.contains('!') {
            return text.parse::<Path>().map(|path| Self::from(&path));
        }
        let (step, items) = text.split_at(text.find('[').unwrap_or(text.len()));
        let parsed = items
            .split_inclusive(']')
            .map(|item| item.strip_prefix('[')?.strip_suffix(']')?.parse().ok());
        match parsed.collect() {
            Some(items) => Ok(Self {
                step: StepId::new(step)?,
                items,
                compensation: None,
            }),
            // The whole text is no step's id, and says so.
            None => Ok(Self::alone(StepId::new(text)?)),
        }
    }
}

/// The present or last execution of every slot that was touched so far.
///
/// Every decision and every event looks some of them up, a step is added once: a search by halves compares fewer names than a tree.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Executions {
    /// Those of each step, of which there is one at least, in the order of their items; ordered by step.
    steps: Vec<(StepId, Vec<StepRecord>)>,
    len: usize,
    last: LastFound,
    compensations: Compensations,
}

/// Where a step was found last: the next one who looks mostly looks for the same.
#[derive(Debug, Default)]
struct LastFound(AtomicUsize);

impl Clone for LastFound {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for LastFound {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Executions {
    /// What is recorded of this very execution.
    #[must_use]
    pub fn at(&self, path: &Path) -> Option<&StepRecord> {
        self.latest(path).filter(|record| record.path == *path)
    }

    /// The present or last execution in the slot of this one.
    #[must_use]
    pub fn latest(&self, path: &Path) -> Option<&StepRecord> {
        if path.is_compensation() {
            return self.compensations.get(path);
        }
        self.find(path.step(), items(path))
    }

    /// The present or last execution of a step around which there is no fan-out.
    #[must_use]
    pub fn of(&self, step: &StepId) -> Option<&StepRecord> {
        self.find(step, std::iter::empty())
    }

    /// What is recorded of a step in that very scope.
    #[must_use]
    pub fn member(&self, step: &StepId, within: Within<'_>) -> Option<&StepRecord> {
        let record = match within.around() {
            None => self.of(step),
            Some(around) => self.find(step, items(around)),
        };
        record.filter(|record| within.holds(&record.path))
    }

    /// That of a slot.
    #[must_use]
    pub fn get(&self, slot: &Slot) -> Option<&StepRecord> {
        if let Some(path) = &slot.compensation {
            return self.compensations.get(path);
        }
        self.find(&slot.step, slot.items.iter().copied())
    }

    /// The present or last execution of a step in these items of the fan-outs around it, outermost first.
    pub(crate) fn in_items(
        &self,
        step: &StepId,
        items: impl Iterator<Item = u32> + Clone,
    ) -> Option<&StepRecord> {
        self.find(step, items)
    }

    fn find(&self, step: &StepId, items: impl Iterator<Item = u32> + Clone) -> Option<&StepRecord> {
        let (_, records) = &self.steps[self.step(step).ok()?];
        let at = search(records, items).ok()?;
        records.get(at)
    }

    /// Where those of a step are, or would be.
    fn step(&self, step: &StepId) -> Result<usize, usize> {
        let last = self.last.0.load(Ordering::Relaxed);
        if self.steps.get(last).is_some_and(|(known, _)| known == step) {
            return Ok(last);
        }
        let found = self.steps.binary_search_by(|(known, _)| known.cmp(step));
        if let Ok(at) = found {
            self.last.0.store(at, Ordering::Relaxed);
        }
        found
    }

    /// Those of a step, in every item of the fan-outs around it.
    #[must_use]
    pub fn of_step(&self, step: &StepId) -> &[StepRecord] {
        self.step(step).map_or(&[][..], |at| &self.steps[at].1)
    }

    /// Those of a step inside an item, at any depth.
    pub(crate) fn inside(&self, step: &StepId, item: &Path) -> &[StepRecord] {
        let records = self.of_step(step);
        let depth = items(item).count();
        let side = |record: &StepRecord| items(&record.path).take(depth).cmp(items(item));
        let from = records.partition_point(|record| side(record).is_lt());
        let to = records.partition_point(|record| side(record).is_le());
        &records[from..to]
    }

    /// All of them, ordered by step; then the compensations.
    pub fn iter(&self) -> impl Iterator<Item = &StepRecord> {
        let executions = self.steps.iter().flat_map(|(_, records)| records);
        executions.chain(self.compensations.iter())
    }

    /// What there is to undo, and how far that is.
    #[must_use]
    pub const fn compensations(&self) -> &Compensations {
        &self.compensations
    }

    pub(super) const fn compensations_mut(&mut self) -> &mut Compensations {
        &mut self.compensations
    }

    /// Their slots, in the same order.
    pub fn slots(&self) -> impl Iterator<Item = Slot> {
        self.iter().map(|record| Slot::from(&record.path))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len + self.compensations.len()
    }

    /// Whether nothing was touched so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Those of a step, in every item of the fan-outs around it.
    pub(super) fn of_mut(&mut self, step: &StepId) -> impl Iterator<Item = &mut StepRecord> {
        let of_step = self.step(step).map(|at| &mut self.steps[at].1);
        of_step.into_iter().flatten()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut StepRecord> {
        let executions = self.steps.iter_mut().flat_map(|(_, records)| records);
        executions.chain(self.compensations.iter_mut())
    }

    /// Those in the same items of the fan-outs around an execution, at any depth inside of these.
    pub(super) fn beside_mut(&mut self, path: &Path) -> impl Iterator<Item = &mut StepRecord> {
        let depth = items(path).count();
        let side = move |record: &StepRecord| items(&record.path).take(depth).cmp(items(path));
        self.steps.iter_mut().flat_map(move |(_, records)| {
            let from = records.partition_point(|record| side(record).is_lt());
            let to = records.partition_point(|record| side(record).is_le());
            &mut records[from..to]
        })
    }

    pub(super) fn get_mut(&mut self, slot: &Slot) -> Option<&mut StepRecord> {
        if let Some(path) = &slot.compensation {
            return self.compensations.get_mut(path);
        }
        let step = self.step(&slot.step).ok()?;
        let (_, records) = &mut self.steps[step];
        let at = search(records, slot.items.iter().copied()).ok()?;
        records.get_mut(at)
    }

    /// The one in the slot of this execution, made when there is none.
    pub(super) fn get_or_insert_with(
        &mut self,
        path: &Path,
        new: impl FnOnce() -> StepRecord,
    ) -> &mut StepRecord {
        if path.is_compensation() {
            return self.compensations.get_or_insert_with(path, new);
        }
        let step = self.step(path.step()).unwrap_or_else(|at| {
            // Most steps are in no fan-out: there is one execution, and left to itself a list makes room for four.
            self.steps
                .insert(at, (path.step().clone(), Vec::with_capacity(1)));
            at
        });
        let (_, records) = &mut self.steps[step];
        let at = search(records, items(path)).unwrap_or_else(|at| {
            records.insert(at, new());
            self.len += 1;
            at
        });
        &mut records[at]
    }

    pub(super) fn remove(&mut self, step: &StepId) {
        if let Ok(at) = self.step(step) {
            let (_, removed) = self.steps.remove(at);
            self.len -= removed.len();
        }
    }
}

/// In which items of the fan-outs around its step an execution is, outermost first.
fn items(path: &Path) -> impl Iterator<Item = u32> + Clone {
    path.segments().iter().filter_map(|segment| segment.item)
}

/// Where the execution in these items is, or would be.
fn search(
    records: &[StepRecord],
    wanted: impl Iterator<Item = u32> + Clone,
) -> Result<usize, usize> {
    records.binary_search_by(|record| items(&record.path).cmp(wanted.clone()))
}

impl FromIterator<StepRecord> for Executions {
    fn from_iter<I: IntoIterator<Item = StepRecord>>(records: I) -> Self {
        let mut executions = Self::default();
        for record in records {
            let path = record.path.clone();
            let mut record = Some(record);
            let new = || record.take().expect("it is asked for once");
            let place = executions.get_or_insert_with(&path, new);
            if let Some(later) = record {
                *place = later;
            }
        }
        executions.compensations.sort_out();
        executions
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use super::*;

    #[test]
    fn iterations_share_a_slot_and_items_do_not() {
        let slot = |path: &str| Slot::from(&path.parse::<Path>().unwrap());
        assert_eq!(slot("fix#1/test"), slot("fix#2/test"));
        assert_ne!(slot("files[0]/fix#1/test"), slot("files[1]/fix#1/test"));
        for (path, text) in [
            ("a", "a"),
            ("fix#2/test", "test"),
            ("files[3]", "files[3]"),
            ("files[3]/fix#2/lines[0]/test", "test[3][0]"),
            (
                "files[3]/fix#2/test!compensate",
                "files[3]/fix#2/test!compensate",
            ),
        ] {
            assert_eq!(slot(path).to_string(), text);
            assert_eq!(text.parse(), Ok(slot(path)));
        }
        for text in ["", "[1]", "a[", "a[x]", "a[1", "a1]", "a[1]b", "a b", "a!"] {
            assert!(text.parse::<Slot>().is_err(), "{text}");
        }
    }
}
