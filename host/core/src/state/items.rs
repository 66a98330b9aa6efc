//! The list that a fan-out goes over.

use std::ops::Range;
use std::sync::Arc;

use serde_json::Value;

use super::{Executions, Settled, StepPhase, StepResult};
use crate::ids::Path;
use crate::payload::Payload;

/// The items of a fan-out: the text of the list, and where in it each of them stands. An item is parsed when somebody reads it.
#[derive(Debug, Clone)]
pub struct Items {
    list: Payload,
    places: Arc<[Range<usize>]>,
}

impl Items {
    /// Of a list; `None` of any other value.
    #[must_use]
    pub fn new(list: Payload) -> Option<Self> {
        let places = list.elements()?.into();
        Some(Self { list, places })
    }

    /// The list.
    #[must_use]
    pub const fn list(&self) -> &Payload {
        &self.list
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> u32 {
        u32::try_from(self.places.len()).unwrap_or(u32::MAX)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The compact text of one.
    #[must_use]
    pub fn text(&self, index: u32) -> Option<&str> {
        let place = self.places.get(index as usize)?;
        self.list.text().get(place.clone())
    }

    /// Whether there is one at this place, and the same one in `other`.
    #[must_use]
    pub fn same(&self, other: &Self, index: u32) -> bool {
        self.text(index).is_some() && self.text(index) == other.text(index)
    }

    /// One of them.
    #[must_use]
    pub fn value(&self, index: u32) -> Option<Value> {
        serde_json::from_str(self.text(index)?).ok()
    }
}

impl PartialEq for Items {
    fn eq(&self, other: &Self) -> bool {
        self.list == other.list
    }
}

impl Executions {
    /// [`Self::share_outputs`] of every fan-out.
    pub(super) fn share_all_outputs(&mut self) {
        let fan_outs = self.iter().filter(|record| record.items().is_some());
        let fan_outs: Vec<Path> = fan_outs.map(|record| record.path.clone()).collect();
        for path in &fan_outs {
            self.share_outputs(path);
        }
    }

    /// The output of a fan-out that has completed holds those of its items: their records take no memory besides.
    pub(super) fn share_outputs(&mut self, fan_out: &Path) {
        let Some(record) = self.at(fan_out) else {
            return;
        };
        let (Some(_), Some(list)) = (record.items(), record.settled().and_then(Settled::output))
        else {
            return;
        };
        let list = list.clone();
        let Some(places) = list.elements() else {
            return;
        };
        let shared = |index: u32, output: &Payload| {
            let place = places.get(index as usize)?;
            let element = list.text().get(place.clone())?;
            let inner = element
                .strip_prefix(OUTPUT)
                .and_then(|rest| rest.strip_suffix(COMPLETED));
            if element == output.text() {
                list.part(place.clone())
            } else if inner == Some(output.text()) {
                list.part(place.start + OUTPUT.len()..place.end - COMPLETED.len())
            } else {
                None
            }
        };
        for record in self.beside_mut(fan_out) {
            if let Some(index) = record.path.item_of(fan_out)
                && let StepPhase::Settled(settled) = &mut record.phase
                && let StepResult::Completed { output } = &mut settled.result
                && let Some(part) = shared(index, output)
            {
                *output = part;
            }
        }
    }
}

/// What stands around the output of an item in that of a fan-out whose `join` is `all_done`.
pub(crate) const OUTPUT: &str = "{\"output\":";
pub(crate) const COMPLETED: &str = ",\"status\":\"completed\"}";

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use serde_json::json;

    use super::*;

    #[test]
    fn items_are_found_in_the_text_of_their_list() {
        let values = [json!("a,]"), json!({"b": [1, 2]}), json!(null), json!(-1.5)];
        let items = Items::new(Payload::new(json!(values))).unwrap();
        assert_eq!(items.len(), 4);
        for (index, value) in (0..).zip(&values) {
            assert_eq!(items.value(index).as_ref(), Some(value));
            assert_eq!(items.text(index), Some(value.to_string().as_str()));
        }
        assert_eq!(items.value(4), None);
        assert!(Items::new(Payload::new(json!([]))).unwrap().is_empty());
        for other in [json!({"a": []}), json!("[1]"), json!(1), json!(null)] {
            assert_eq!(Items::new(Payload::new(other)), None);
        }
    }
}
