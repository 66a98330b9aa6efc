//! An observer that remembers what it was told.

use std::sync::{Mutex, MutexGuard, PoisonError};

use milepost::engine::{Notice, Observer, Trouble};
use milepost_core::event::Event;
use milepost_core::ids::RunId;
use milepost_core::time::Timestamp;

type Reaction = dyn Fn(&Event) + Send + Sync;

/// Remembers notices, and can react to durable events.
#[derive(Default)]
pub struct Recorder {
    seen: Mutex<Seen>,
    reaction: Option<Box<Reaction>>,
}

#[derive(Default)]
struct Seen {
    events: Vec<&'static str>,
    delays: Vec<Timestamp>,
    logs: Vec<String>,
    trouble: Vec<String>,
}

impl Recorder {
    /// Calls `reaction` for every durable event, after it was noted.
    #[must_use]
    pub fn reacting(reaction: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        Self {
            seen: Mutex::default(),
            reaction: Some(Box::new(reaction)),
        }
    }

    /// Names of the durable events, in order.
    #[must_use]
    pub fn events(&self) -> Vec<&'static str> {
        self.seen().events.clone()
    }

    /// When each delayed save was to be tried again.
    #[must_use]
    pub fn delays(&self) -> Vec<Timestamp> {
        self.seen().delays.clone()
    }

    /// Texts of the log lines, as they were written.
    #[must_use]
    pub fn logs(&self) -> Vec<String> {
        self.seen().logs.clone()
    }

    /// What workers complained about, as `run: reason`.
    #[must_use]
    pub fn trouble(&self) -> Vec<String> {
        self.seen().trouble.clone()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Recorder {
    fn trouble(&self, run: Option<&str>, trouble: Trouble<'_>) {
        let reason = match trouble {
            Trouble::PutOff(stop) => stop.why.error().unwrap_or_default(),
            Trouble::Error(error) => error,
        };
        let line = format!("{}: {reason}", run.unwrap_or("the store"));
        self.seen().trouble.push(line);
    }

    fn notice(&self, _: &RunId, notice: Notice<'_>) {
        match notice {
            Notice::Recorded(entry) => {
                self.seen().events.push(entry.event.name());
                if let Some(reaction) = &self.reaction {
                    reaction(&entry.event);
                }
            }
            Notice::SaveDelayed { retry_at, .. } => self.seen().delays.push(retry_at),
            Notice::Log { line, .. } => self.seen().logs.push(line.message.clone()),
            Notice::NotCompared { reason } => self.seen().trouble.push(reason.to_owned()),
            Notice::Progress { .. } => {}
        }
    }
}
