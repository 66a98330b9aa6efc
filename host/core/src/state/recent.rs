//! Which executions the last events were about: whoever asks again what to do need not look at all of them.

use std::collections::VecDeque;

use super::RunState;
use crate::ids::Path;

/// How many events are remembered: about as many as come between two decisions.
const EVENTS: usize = 64;

/// What the last events were about. Derived and never stored; it is no part of what a state is.
#[derive(Debug, Clone)]
pub(super) struct Recent {
    /// Position of the last event that may have changed more than one execution.
    many: u64,
    /// The executions of those since, one of each event, the last one last.
    paths: VecDeque<Path>,
}

impl PartialEq for Recent {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Recent {
    /// Nothing is known of the events up to this position.
    pub(super) const fn after(seq: u64) -> Self {
        Self {
            many: seq,
            paths: VecDeque::new(),
        }
    }

    /// The next event is about this execution alone.
    pub(super) fn one(&mut self, path: &Path) {
        if self.paths.len() == EVENTS {
            self.paths.pop_front();
        }
        self.paths.push_back(path.clone());
    }

    /// The event at this position may have changed anything.
    pub(super) fn many(&mut self, seq: u64) {
        self.many = seq;
        self.paths.clear();
    }
}

/// What has changed since some event.
pub(crate) enum Changed<I> {
    /// These executions alone.
    These(I),
    /// Some executions, each by an event about it; nobody remembers which.
    Some,
    /// Anything.
    Anything,
}

impl RunState {
    /// What has changed since the event at this position.
    pub(crate) fn changed_since(&self, seq: u64) -> Changed<impl Iterator<Item = &Path>> {
        if seq < self.recent.many || seq > self.seq {
            return Changed::Anything;
        }
        let events = usize::try_from(self.seq - seq).ok();
        match events.and_then(|events| self.recent.paths.len().checked_sub(events)) {
            Some(earlier) => Changed::These(self.recent.paths.range(earlier..)),
            None => Changed::Some,
        }
    }
}
