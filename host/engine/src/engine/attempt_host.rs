//! What stands behind the questions of an attempt, and what it tells, while its run is driven.

use std::future::ready;
use std::sync::Arc;

use milepost_core::ids::{Path, RunId};
use milepost_core::time::Timestamp;

use super::observer::Notice;
use super::shared::Shared;
use crate::attempt::{AttemptHost, BoxFuture, CancelFlag, LogLine, Progress};

/// The host of one attempt.
pub(super) struct LiveHost {
    pub(super) shared: Arc<Shared>,
    pub(super) run: RunId,
    pub(super) path: Path,
    pub(super) attempt: u32,
    /// Raised for all attempts in flight when the run is asked to stop.
    pub(super) cancel: CancelFlag,
    /// Raised for this one when it has to end though the run goes on.
    pub(super) ends: CancelFlag,
}

impl AttemptHost for LiveHost {
    fn log<'a>(&'a self, line: &'a LogLine) -> BoxFuture<'a, ()> {
        let notice = Notice::Log {
            path: &self.path,
            attempt: self.attempt,
            line,
        };
        self.shared.tell(&self.run, notice);
        Box::pin(ready(()))
    }

    fn progress<'a>(&'a self, progress: &'a Progress) -> BoxFuture<'a, ()> {
        let notice = Notice::Progress {
            path: &self.path,
            progress,
        };
        self.shared.tell(&self.run, notice);
        Box::pin(ready(()))
    }

    fn cancel_requested(&self) -> BoxFuture<'_, bool> {
        Box::pin(ready(self.cancel.is_raised() || self.ends.is_raised()))
    }

    fn cancelled(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            tokio::select! {
            () = self.cancel.raised() => {}
            () = self.ends.raised() => {}
            }
        })
    }

    fn now(&self) -> Option<Timestamp> {
        Some(self.shared.clock.now())
    }
}
