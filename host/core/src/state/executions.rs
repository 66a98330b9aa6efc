//! The records of a run's step executions, each in its slot.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::StepRecord;
use crate::ids::{InvalidId, Path, StepId};

/// Where the executions of a step follow each other: the step itself, in one item of every fan-out around it. The iterations of the
/// loops around it have the slot one after the other; items stand beside each other, each with a slot of its own.
///
/// In text: `test`, or `convert[3]` in the fourth item.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot {
    step: StepId,
    items: Vec<u32>,
}

impl Slot {
    /// The slot of a step around which there is no fan-out.
    #[must_use]
    pub const fn alone(step: StepId) -> Self {
        Self {
            step,
            items: Vec::new(),
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
        let items = path.segments().iter();
        Self {
            step: path.step().clone(),
            items: items.filter_map(|segment| segment.item).collect(),
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.step)?;
        let mut items = self.items.iter();
        items.try_for_each(|item| write!(f, "[{item}]"))
    }
}

impl FromStr for Slot {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let (step, items) = text.split_at(text.find('[').unwrap_or(text.len()));
        let parsed = items
            .split_inclusive(']')
            .map(|item| item.strip_prefix('[')?.strip_suffix(']')?.parse().ok());
        match parsed.collect() {
            Some(items) => Ok(Self {
                step: StepId::new(step)?,
                items,
            }),
            // The whole text is no step's id, and says so.
            None => Ok(Self::alone(StepId::new(text)?)),
        }
    }
}

/// The present or last execution of every slot that was touched so far.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Executions(BTreeMap<Slot, StepRecord>);

impl Executions {
    /// What is recorded of this very execution.
    #[must_use]
    pub fn at(&self, path: &Path) -> Option<&StepRecord> {
        self.latest(path).filter(|record| record.path == *path)
    }

    /// The present or last execution in the slot of this one.
    #[must_use]
    pub fn latest(&self, path: &Path) -> Option<&StepRecord> {
        self.0.get(&Slot::from(path))
    }

    /// The present or last execution of a step around which there is no fan-out.
    #[must_use]
    pub fn of(&self, step: &StepId) -> Option<&StepRecord> {
        self.0.get(&Slot::alone(step.clone()))
    }

    /// That of a slot.
    #[must_use]
    pub fn get(&self, slot: &Slot) -> Option<&StepRecord> {
        self.0.get(slot)
    }

    /// All of them, ordered by step.
    pub fn iter(&self) -> impl Iterator<Item = &StepRecord> {
        self.0.values()
    }

    /// Their slots, in the same order.
    pub fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.0.keys()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing was touched so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those of a step, in every item of the fan-outs around it.
    pub(super) fn of_mut(
        &mut self,
        step: &StepId,
    ) -> impl Iterator<Item = (&Slot, &mut StepRecord)> {
        self.0
            .range_mut(Slot::alone(step.clone())..)
            .take_while(move |(slot, _)| slot.step == *step)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&Slot, &mut StepRecord)> {
        self.0.iter_mut()
    }

    pub(super) fn get_mut(&mut self, slot: &Slot) -> Option<&mut StepRecord> {
        self.0.get_mut(slot)
    }

    /// The one in this slot, made when there is none.
    pub(super) fn get_or_insert_with(
        &mut self,
        slot: Slot,
        new: impl FnOnce() -> StepRecord,
    ) -> &mut StepRecord {
        self.0.entry(slot).or_insert_with(new)
    }

    pub(super) fn remove(&mut self, step: &StepId) {
        self.0.retain(|slot, _| slot.step != *step);
    }
}

impl FromIterator<StepRecord> for Executions {
    fn from_iter<I: IntoIterator<Item = StepRecord>>(records: I) -> Self {
        let slotted = records
            .into_iter()
            .map(|record| (Slot::from(&record.path), record));
        Self(slotted.collect())
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
        ] {
            assert_eq!(slot(path).to_string(), text);
            assert_eq!(text.parse(), Ok(slot(path)));
        }
        for text in ["", "[1]", "a[", "a[x]", "a[1", "a1]", "a[1]b", "a b"] {
            assert!(text.parse::<Slot>().is_err(), "{text}");
        }
    }
}
