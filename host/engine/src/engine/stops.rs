//! Asking runs to stop, from whatever process: pause, cancel, kill.

use milepost_core::definition::Definition;
use milepost_core::ids::RunId;
use milepost_core::request::stop::{self, NotPausable, Stopping};
use milepost_core::state::{RunState, Status};

use super::Engine;
use super::approvals::note;
use super::control::demand_of;
use super::error::EngineError;
use super::shared::Looks;
use crate::fault;
use crate::record::{Batch, Recorded};
use crate::store::{StopKind, StopRequest, StoreError};

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
    /// It is cancelled, and its steps with `finally` are yet to run: whoever drives it next runs them.
    Finishing,
}

impl Engine {
    /// Ends a run for good, and before it the runs that it has started. One that another process runs is asked through the store;
    /// its step may clean up for a moment. [`Engine::end_family`] tells what became of each.
    ///
    /// # Errors
    /// [`EngineError`]; the run stands as before.
    pub async fn cancel(&self, run: &RunId, by: &str) -> Result<StopAnswer, EngineError> {
        let ended = self.end_family(run, false, by).await?;
        Ok(ended.answer)
    }

    /// The same at once: steps get no time to clean up.
    ///
    /// # Errors
    /// [`EngineError`]; the run stands as before.
    pub async fn kill(&self, run: &RunId, by: &str) -> Result<StopAnswer, EngineError> {
        let ended = self.end_family(run, true, by).await?;
        Ok(ended.answer)
    }

    /// Pauses a running run where its step in flight has ended; with `now`, at once, and that step will run again. A paused run
    /// that would continue by itself is held as it is until a person resumes it.
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
        self.shared.follow().await;
        let mut looks = Looks::default();
        loop {
            let Recorded { row, mut state } = looks.load(self.shared.store.as_ref(), run).await?;
            let now = self.shared.clock.now();
            if kind == StopKind::Compensate && state.finally_since().is_some() {
                // Its last steps run: it is too late to undo the others.
                return Ok(StopAnswer::Ending);
            }
            let owned = state.phase().status() == Status::Running && self.owner_may_live(&row);
            if !owned {
                self.end_orphans(&row).await;
            }
            let definition = self.left_to_do(&state, kind).await?;
            let asked = stop::stop(definition.as_ref(), &state, demand_of(kind), by, owned);
            let stopping = asked.map_err(|NotPausable(status)| EngineError::NotPausable {
                run: run.clone(),
                status,
            })?;
            let mut batch = Batch::after(state.seq(), state.epoch());
            match stopping {
                Stopping::Already(status) => return Ok(StopAnswer::Already(status)),
                Stopping::Finishing => return Ok(StopAnswer::Finishing),
                Stopping::Hold(event) => {
                    batch.record(&mut state, event, now)?;
                    if self.shared.write(&batch, &state).await? {
                        return Ok(StopAnswer::Held);
                    }
                }
                Stopping::AskOwner => {
                    let request = StopRequest {
                        kind,
                        at: now,
                        by: by.to_owned(),
                    };
                    if let Some(answer) = self.ask_owner(run, request).await? {
                        return Ok(answer);
                    }
                }
                Stopping::Stop(events) => {
                    for event in events {
                        batch.record(&mut state, event, now)?;
                    }
                    fault::point("before_stop");
                    if self.shared.write(&batch, &state).await? {
                        return Ok(match state.ending() {
                            Some(_) => StopAnswer::Finishing,
                            None => StopAnswer::Done(state.phase().status()),
                        });
                    }
                }
            }
        }
    }

    /// The definition of a run that is cancelled, which may leave something to do before its end; none where that cannot be read.
    async fn left_to_do(
        &self,
        state: &RunState,
        kind: StopKind,
    ) -> Result<Option<Definition>, EngineError> {
        if !kind.cleans_up() || state.executions().is_empty() {
            return Ok(None);
        }
        match self.frozen(state).await {
            Ok(definition) => Ok(Some(definition)),
            Err(EngineError::Open(_) | EngineError::Store(StoreError::Corrupt(_))) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Leaves the request for the owner of a running run. `None` when the run does not run any more: its owner may have stopped it
    /// meanwhile, and will not look at requests then.
    async fn ask_owner(
        &self,
        run: &RunId,
        request: StopRequest,
    ) -> Result<Option<StopAnswer>, EngineError> {
        // What is undone before the end is asked for before the end.
        let ends = request.kind.ends() && request.kind != StopKind::Compensate;
        let kind = request.kind;
        fault::point("before_request");
        if self.shared.store.request_stop(run, request).await? != Status::Running {
            return Ok(None);
        }
        // A stronger request stands.
        let asked = self
            .shared
            .store
            .row(run)
            .await?
            .and_then(|row| row.request);
        let ending = asked.is_some_and(|asked| asked.kind.ends() && asked.kind != kind);
        Ok(Some(match ending && !ends {
            true => StopAnswer::Ending,
            false => StopAnswer::Asked,
        }))
    }
}
