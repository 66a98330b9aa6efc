//! What happens to an execution of a fan-out, and to its items.

use super::{Event, StepEvent};
use crate::ids::Path;
use crate::payload::Payload;

/// What happened to a fan-out, or to one of its items. What happens inside an item happens to steps of its own.
#[derive(Debug, Clone, PartialEq)]
pub enum ForEachEvent {
    /// Decided. The list was evaluated, once: its items are at work from now on.
    Started {
        /// The list.
        items: Payload,
        /// How many items keep the outcome that they had, because their value is the same.
        kept: u32,
    },
    /// Decided. The members of an item, at whose path this stands, are at work from now on.
    ItemStarted,
    /// Decided. They have ended, and the item is settled.
    ItemCompleted {
        /// Its output.
        output: Payload,
    },
    /// Reported. A person does not want an item to be worked at: it is settled, and no resume or retry brings it back.
    ItemCancelled {
        /// Who, for people.
        by: String,
    },
    /// Decided. All items have ended, and the step is settled.
    Completed {
        /// What came of the items, in their order.
        output: Payload,
    },
}

impl ForEachEvent {
    /// The same, of the execution at `path`.
    #[must_use]
    pub fn at(self, path: Path) -> Event {
        StepEvent::ForEach(self).at(path)
    }
}
