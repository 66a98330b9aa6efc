//! What is kept for the run: signals, and what is asked of it while it moves.

use std::time::Duration;

use milepost_core::definition::Definition;
use milepost_core::event::{Event, RunEvent, StepEvent};
use milepost_core::limits;
use milepost_core::request::signal::Delivery;
use milepost_core::state::Status;
use milepost_core::time::Timestamp;
use tokio::time::Instant;

use super::saving::SAVE_WAITS;
use super::{Driver, Halted, InFlight};
use crate::engine::family::END_OF_PARENT;
use crate::engine::{Demand, inbox};
use crate::store::StoreError;

/// How often it is looked at while the run moves, at most; the keeper's beats wake the driver.
const LOOKS: Duration = Duration::from_millis(400);

/// When to look at what is kept for a run that moves.
#[derive(Debug, Default)]
pub(super) struct Mail {
    /// Whether anything can take it then. In a sequence nothing moves beside what waits.
    beside: bool,
    looked: Option<Instant>,
}

impl Mail {
    pub(super) fn of(definition: &Definition) -> Self {
        Self {
            beside: definition.is_concurrent(),
            looked: None,
        }
    }

    /// Something may be there, or may be taken now that could not before.
    pub(super) const fn look_now(&mut self) {
        self.looked = None;
    }

    /// Whether it is time.
    pub(super) fn is_due(&mut self) -> bool {
        let fresh = |looked: Instant| looked.elapsed() < LOOKS;
        if !self.beside || self.looked.is_some_and(fresh) {
            return false;
        }
        self.looked = Some(Instant::now());
        true
    }
}

impl Driver {
    /// Takes the first of what is kept that moves the run where it stands. Returns whether there was anything. `may_wait` says that
    /// somebody looks again, where the store does not answer; a wait that ended would have lost its signal.
    pub(super) async fn take_mail(
        &mut self,
        now: Timestamp,
        may_wait: bool,
        in_flight: &mut InFlight,
    ) -> Result<bool, Halted> {
        if !self.mail.beside && !self.state.awaits_answer() {
            return Ok(false);
        }
        let Some(Delivery { number, events }) = self.next_delivery(may_wait).await? else {
            return Ok(false);
        };
        let ends = |event: &Event| {
            matches!(
                event,
                Event::Run(RunEvent::Cancelled { .. } | RunEvent::Finishing { .. })
            )
        };
        if events.iter().any(ends) {
            self.end_children_first(Demand::Compensate, END_OF_PARENT, in_flight)
                .await?;
        }
        self.batch.consume(number);
        for event in events {
            match event {
                Event::Run(last @ RunEvent::Cancelled { .. })
                    if self.state.phase().status() == Status::Running =>
                {
                    self.end(last, in_flight).await?;
                }
                event @ Event::Run(RunEvent::Finishing { .. }) => self.note(event, now)?,
                event => {
                    self.let_go(&event);
                    self.batch.record(&mut self.state, event, now)?;
                }
            }
        }
        Ok(true)
    }

    /// What was left while the run paused: its sender was told that whoever drives it takes it.
    pub(super) async fn take_late_mail(&mut self, in_flight: &mut InFlight) -> Result<(), Halted> {
        let paused = self.state.phase().status() == Status::Paused;
        if !paused || !self.mail.beside {
            return Ok(());
        }
        let now = self.shared.clock.now();
        while self.state.phase().status() == Status::Paused
            && self.take_mail(now, true, in_flight).await?
        {}
        self.commit().await
    }

    async fn next_delivery(&mut self, may_wait: bool) -> Result<Option<Delivery>, Halted> {
        let run = self.state.created().run.clone();
        let mut waits = SAVE_WAITS.iter();
        loop {
            let inbox = self.shared.store.inbox(&run, limits::SIGNALS).await;
            let found = match inbox {
                Ok(inbox) => {
                    let definition = Some(self.workflow.definition.as_ref());
                    inbox::next(definition, &self.state, &inbox, self.batch.consumed())
                }
                Err(error) => Err(error),
            };
            match found {
                Ok(found) => return Ok(found),
                Err(error @ StoreError::Corrupt(_)) => return Err(Halted::Failed(error.into())),
                Err(error) if may_wait => {
                    tracing::warn!(%run, %error, "what is kept for the run could not be read");
                    return Ok(None);
                }
                Err(error) => match waits.next() {
                    Some(wait) => self.shared.clock.sleep(*wait).await,
                    None => return Err(Halted::Failed(error.into())),
                },
            }
        }
    }

    /// What moves on without an event of its own when this is recorded. An attempt that is interrupted while the run goes on may
    /// clean up, and what it comes to does not count; an item may leave child runs behind.
    fn let_go(&mut self, event: &Event) {
        let Event::Step { path, event } = event else {
            return;
        };
        match event {
            StepEvent::Interrupted { attempt } => {
                let before = self.started.len();
                self.started.retain(|launch| launch.path != *path);
                if self.started.len() == before {
                    self.ends.entry(path.clone()).or_default().raise();
                    self.dropped.insert((path.clone(), *attempt));
                }
            }
            StepEvent::ForEach(_) => self.children.closed |= self.children.any,
            _ => {}
        }
    }
}
