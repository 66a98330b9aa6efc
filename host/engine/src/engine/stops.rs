//! Asking runs to stop, from whatever process: pause, cancel, kill.

use milepost_core::event::{Event, RunEvent};
use milepost_core::ids::RunId;
use milepost_core::state::Status;
use milepost_core::stop::{Stop, StopCode};

use super::Engine;
use super::decisions::note;
use super::error::EngineError;
use super::shared::Looks;
use crate::fault;
use crate::record::{Batch, Recorded};
use crate::store::{StopKind, StopRequest};

/// What a request to stop did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopAnswer {
    /// The run stands now as was asked: paused, or cancelled.
    Done(Status),
    /// It was paused, or over, before; nothing was changed (B286).
    Already(Status),
    /// Its owner was asked and will see to it.
    Asked,
    /// It is paused and stays so until a person resumes it.
    Held,
    /// It was asked to end before, and ends: this request does not count.
    Ending,
}

impl Engine {
    /// Ends a run for good. One that another process runs is asked through the store; its step may clean up for a moment.
    ///
    /// # Errors
    /// [`EngineError`]; the run stands as before.
    pub async fn cancel(&self, run: &RunId, by: &str) -> Result<StopAnswer, EngineError> {
        self.stop(run, StopKind::Cancel, by).await
    }

    /// Ends a run for good, at once: its step gets no time to clean up.
    ///
    /// # Errors
    /// [`EngineError`]; the run stands as before.
    pub async fn kill(&self, run: &RunId, by: &str) -> Result<StopAnswer, EngineError> {
        self.stop(run, StopKind::Kill, by).await
    }

    /// Pauses a running run where its step in flight has ended; with `now`, at once, and that step will run again. A paused run
    /// that would go on by itself is held where it stands until a person resumes it.
    ///
    /// # Errors
    /// [`EngineError::NotPausable`] for a pending run; the run stands as before.
    pub async fn pause(&self, run: &RunId, now: bool, by: &str) -> Result<StopAnswer, EngineError> {
        let kind = if now {
            StopKind::PauseNow
        } else {
            StopKind::Pause
        };
        self.stop(run, kind, by).await
    }

    /// Takes back a pause that was asked of a running run and that nobody has met yet. Returns whether there was one. An owner that
    /// is about to meet it may still pause.
    ///
    /// # Errors
    /// [`EngineError::Store`].
    pub async fn withdraw_pause(&self, run: &RunId) -> Result<bool, EngineError> {
        Ok(self.shared.store.withdraw_pause(run).await?)
    }

    pub(super) async fn stop(
        &self,
        run: &RunId,
        kind: StopKind,
        by: &str,
    ) -> Result<StopAnswer, EngineError> {
        note("the name of who asks", Some(by))?;
        let mut looks = Looks::default();
        loop {
            let Recorded { row, mut state } = looks.load(self.shared.store.as_ref(), run)?;
            let status = state.phase.status();
            if !kind.ends() && state.moves_by_itself() {
                let mut batch = Batch::after(state.seq, state.epoch);
                let event = Event::Run(RunEvent::Held { by: by.to_owned() });
                batch.record(&mut state, event, self.shared.clock.now())?;
                if self.shared.write(&batch, &state).await? {
                    return Ok(StopAnswer::Held);
                }
                continue;
            }
            if status.is_terminal()
                || !kind.ends() && matches!(status, Status::Paused | Status::Failed)
            {
                return Ok(StopAnswer::Already(status));
            }
            if status == Status::Pending && !kind.ends() {
                return Err(EngineError::NotPausable {
                    run: run.clone(),
                    status,
                });
            }
            let now = self.shared.clock.now();
            if status == Status::Running && self.owner_may_live(&row) {
                let request = StopRequest {
                    kind,
                    at: now,
                    by: by.to_owned(),
                };
                fault::point("before_request");
                // Its owner may have stopped it meanwhile and will not look at requests any more.
                if self.shared.store.request_stop(run, request).await? != Status::Running {
                    continue;
                }
                // A stronger request stands.
                let asked = self.shared.store.row(run)?.and_then(|row| row.request);
                let ends = asked.is_some_and(|asked| asked.kind.ends());
                return Ok(match ends && !kind.ends() {
                    true => StopAnswer::Ending,
                    false => StopAnswer::Asked,
                });
            }
            let mut batch = Batch::after(state.seq, state.epoch);
            let last = match kind.ends() {
                true => Event::Run(RunEvent::Cancelled {
                    stop: Stop::cancelled_by(by),
                }),
                false => Event::Run(RunEvent::Paused {
                    stop: Stop::new(
                        StopCode::Interrupted,
                        format!("paused by {by}; the process that ran it was gone"),
                        format!("`milepost resume {run}` goes on"),
                    ),
                }),
            };
            batch.stop(&mut state, last, now)?;
            fault::point("before_stop");
            if self.shared.write(&batch, &state).await? {
                return Ok(StopAnswer::Done(state.phase.status()));
            }
        }
    }
}
