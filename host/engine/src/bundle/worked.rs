//! How long a run was at work, from its journal: what the row of the store that it comes from says of it.

use std::time::Duration;

use milepost_core::event::{Entry, Event, RunEvent};
use milepost_core::state::Status;
use milepost_core::time::Timestamp;

/// The time under claims.
#[derive(Debug, Clone, Default)]
pub(super) struct Worked {
    before: Duration,
    since: Option<Timestamp>,
    last: Timestamp,
}

impl Worked {
    /// Takes the next event, after which the run has this status. What a lost owner had counts up to what it recorded last.
    pub(super) fn take(&mut self, entry: &Entry, status: Status) {
        let claims = matches!(entry.event, Event::Run(RunEvent::Claimed { .. }));
        if let Some(since) = self.since
            && (claims || status != Status::Running)
        {
            let until = if claims { self.last } else { entry.at };
            self.before = self.before.saturating_add(until.since(since));
            self.since = None;
        }
        if claims {
            self.since = Some(entry.at);
        }
        self.last = entry.at;
    }

    /// All of it, of a run that stands.
    pub(super) const fn time(&self) -> Duration {
        self.before
    }
}
