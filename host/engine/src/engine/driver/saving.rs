//! Commits, and what happens to the claim when driving ends.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use milepost_core::checkpoint;
use milepost_core::event::Entry;
use milepost_core::ids::{Epoch, RunId};
use milepost_core::request::recover;
use milepost_core::request::release::release;
use milepost_core::state::{RunState, Status};

use tokio::runtime::Handle;

use super::{ClaimStands, Driver, Halted};
use crate::engine::observer::Notice;
use crate::engine::shared::{Looks, Shared};
use crate::fault;
use crate::record::{self, Batch, RecordError};
use crate::store::{Owner, StoreError, Unavailable};

/// Waits between the tries to save a commit that the store did not take, or to read what must not be missed.
pub(in crate::engine) const SAVE_WAITS: [Duration; 6] = [
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
    Duration::from_millis(1_600),
    Duration::from_millis(3_200),
];

impl Driver {
    /// Whether the claim was saved although its answer was lost. Turned away, its owner would hold the run without driving it.
    pub(super) async fn claim_stands(&mut self) -> bool {
        let (store, run) = (self.shared.store.as_ref(), &self.state.created().run);
        let row = store.row(run).await.ok().flatten().filter(|row| {
            (row.seq, row.epoch) == (self.state.seq(), self.state.epoch())
                && row.owner.as_ref() == Some(&self.owner)
        });
        let Some(row) = row else {
            return false;
        };
        self.saved(row.epoch, row.stored_bytes);
        self.hear(row.request);
        true
    }

    /// Writes the batch; a store that does not take it is tried again, with the batch held in memory.
    pub(super) async fn commit(&mut self) -> Result<(), Halted> {
        let mut waits = SAVE_WAITS.iter();
        let mut tried = false;
        loop {
            let answer = match self.write_once().await {
                Err(conflict @ StoreError::Conflict { .. }) if tried => {
                    self.saved_before(conflict).await
                }
                answer => answer,
            };
            match answer {
                Ok(()) => return Ok(()),
                Err(StoreError::Conflict { .. } | StoreError::NotFound(_)) => {
                    self.claim = ClaimStands::No;
                    return Err(Halted::LostClaim);
                }
                Err(StoreError::Unavailable(Unavailable { reason, .. })) => {
                    tried = true;
                    let Some(wait) = waits.next() else {
                        return Err(Halted::NotSaved(reason));
                    };
                    let retry_at = self.shared.clock.now().after(*wait);
                    let notice = Notice::SaveDelayed {
                        reason: &reason,
                        retry_at,
                    };
                    self.shared.tell(&self.state.created().run, notice);
                    self.shared.clock.sleep(*wait).await;
                }
                Err(error) => return Err(Halted::Failed(error.into())),
            }
        }
    }

    /// After a conflict: an earlier try was saved after all, only its answer was lost. With the answer went what somebody asked
    /// of the run, who may have been told since that it will be met: it is heard here, before anything starts.
    async fn saved_before(&mut self, conflict: StoreError) -> Result<(), StoreError> {
        if !self.batch_stands().await? {
            return Err(conflict);
        }
        let run = &self.state.created().run;
        let Some(row) = self.shared.store.row(run).await? else {
            return Err(conflict);
        };
        self.saved(self.state.epoch(), row.stored_bytes);
        self.hear(row.request);
        Ok(())
    }

    /// Whether the store holds just what the batch would record. Positions alone do not tell: whoever ended the run over this
    /// owner's head may have recorded as many events.
    async fn batch_stands(&self) -> Result<bool, StoreError> {
        let (entries, run) = (self.batch.entries(), &self.state.created().run);
        let Some(first) = entries.first() else {
            return Ok(false);
        };
        let mut stored = record::entries(self.shared.store.as_ref(), run, first.seq - 1);
        let mut entries = entries.iter();
        loop {
            match (entries.next(), stored.next().await) {
                (None, None) => return Ok(true),
                (_, Some(Err(RecordError::Store(error)))) => return Err(error),
                (Some(entry), Some(Ok(stored))) if stored == *entry => {}
                _ => return Ok(false),
            }
        }
    }

    pub(super) async fn write_once(&mut self) -> Result<(), StoreError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        fault::point("before_commit");
        let written = self.shared.save(&self.batch, &self.state).await?;
        fault::point("after_commit");
        self.saved(written.epoch, written.stored_bytes);
        self.hear(written.request);
        Ok(())
    }

    /// The batch is durable, and with it the run takes so many bytes of the store.
    pub(super) fn saved(&mut self, epoch: Epoch, stored: u64) {
        self.stored = stored;
        let next = Batch::after(self.state.seq(), epoch);
        let batch = std::mem::replace(&mut self.batch, next);
        if checkpoint::is_due(&self.state) {
            self.state.checkpoint_stored();
        }
        self.shared.metrics.recorded(batch.entries(), &self.state);
        let run = &self.state.created().run;
        self.spans.saved(run, batch.entries());
        self.shared.tell_saved(&self.state);
        self.tell(batch.entries());
    }

    fn tell(&self, entries: &[Entry]) {
        for entry in entries {
            self.shared
                .tell(&self.state.created().run, Notice::Recorded(entry));
        }
    }

    /// The host panicked while it drove this run: what was saved is good, so the run fails from there.
    pub(super) async fn fail_after_panic(&mut self, text: &str) -> Result<(), Halted> {
        let run = self.state.created().run.clone();
        let recorded = record::load(self.shared.store.as_ref(), &run)
            .await
            .map_err(|error| Halted::Failed(error.into()))?;
        if recorded.state.epoch() != self.state.epoch() {
            return Err(Halted::LostClaim);
        }
        self.state = recorded.state;
        self.batch = Batch::after(self.state.seq(), self.state.epoch());
        self.started.clear();
        let last = recover::fail_after_panic(&self.state, text);
        let now = self.shared.clock.now();
        self.batch.stop(&mut self.state, last, now)?;
        self.commit().await
    }
}

impl Driver {
    /// The host could not drive the run on: what was saved is good, and from there the run goes on later, or fails when that was
    /// in vain too often, and at once where no try can succeed. The error is given back where that cannot be saved either.
    pub(super) async fn put_off(&mut self, halted: Halted) -> Result<(), Halted> {
        let reason = match &halted {
            Halted::NotSaved(reason) => format!(
                "the checkpoint could not be saved: {reason}; steps whose outcome was not saved run again"
            ),
            Halted::Failed(error) | Halted::NotBegun(error) => error.to_string(),
            Halted::LostClaim => return Err(halted),
        };
        let run = self.state.created().run.clone();
        let Ok(recorded) = record::load(self.shared.store.as_ref(), &run).await else {
            return Err(halted);
        };
        let mut state = recorded.state;
        if state.epoch() != self.state.epoch() || state.phase().status() != Status::Running {
            return Err(Halted::LostClaim);
        }
        let mut batch = Batch::after(state.seq(), state.epoch());
        let now = self.shared.clock.now();
        let path = state.at_work().cloned();
        let lasting = match &halted {
            Halted::NotBegun(error) => error.lasting().map(|fault| (false, fault)),
            Halted::Failed(error) => error.lasting().map(|fault| (true, fault)),
            Halted::NotSaved(_) | Halted::LostClaim => None,
        };
        let last = match lasting {
            Some((begun, fault)) => recover::fail(&reason, begun, fault, path),
            None => recover::put_off(&state, &reason, path, now.max(state.updated_at())),
        };
        let written = match batch.stop(&mut state, last, now) {
            Ok(()) => self.shared.save(&batch, &state).await,
            Err(_) => return Err(halted),
        };
        let Ok(written) = written else {
            return Err(halted);
        };
        self.unsaved = matches!(halted, Halted::NotSaved(_));
        if let Halted::NotBegun(error) = halted {
            self.not_begun = Some(error);
        }
        (self.state, self.batch) = (state, batch);
        self.saved(written.epoch, written.stored_bytes);
        self.hear(written.request);
        self.meet_late_request().await
    }
}

impl Drop for Driver {
    /// The future that drove the run was dropped (a shutdown of the runtime, a caller that lost interest): the claim is
    /// released, so that the run need not wait for its lease to expire.
    fn drop(&mut self) {
        self.kept = None;
        let letting_go = LettingGo {
            shared: Arc::clone(&self.shared),
            owner: self.owner.clone(),
        };
        let state = match self.claim {
            ClaimStands::No => return,
            ClaimStands::Perhaps => None,
            // A commit that was under way may have been handed over and be applied yet. Then this release fits, else the next.
            ClaimStands::Yes => (!self.batch.is_empty()).then(|| self.state.clone()),
        };
        let run = self.state.created().run.clone();
        let sure = self.claim == ClaimStands::Yes;
        hand_over(async move { letting_go.release(&run, state, sure).await });
    }
}

/// Nobody is left to wait for it: what one try does not end is left to the runtime, if there is one.
fn hand_over(letting_go: impl Future<Output = ()> + Send + 'static) {
    let mut letting_go = Box::pin(AssertUnwindSafe(letting_go).catch_unwind());
    // It may be dropped by a panic, and a second one would end the process.
    match letting_go.as_mut().now_or_never() {
        Some(Ok(())) => {}
        Some(Err(_)) => tracing::error!("the claim could not be released: the store panicked"),
        None => {
            if let Ok(runtime) = Handle::try_current() {
                runtime.spawn(letting_go);
            }
        }
    }
}

/// What is left of a driver that was dropped.
struct LettingGo {
    shared: Arc<Shared>,
    owner: Owner,
}

/// Looks whether a claim was written after all, whose driver was dropped before it knew.
const LOOKS: [Duration; 3] = [
    Duration::from_millis(100),
    Duration::from_secs(1),
    Duration::from_secs(5),
];

impl LettingGo {
    async fn release(&self, run: &RunId, pending: Option<RunState>, sure: bool) {
        if let Some(state) = pending
            && self.release_from(state).await
        {
            return;
        }
        let mut waits = LOOKS.iter();
        loop {
            let mut looks = Looks::default();
            while let Ok(recorded) = looks.load(self.shared.store.as_ref(), run).await
                && recorded.row.owner.as_ref() == Some(&self.owner)
            {
                // What was on its way may arrive in between.
                if self.release_from(recorded.state).await {
                    return;
                }
            }
            match waits.next() {
                Some(wait) if !sure && Handle::try_current().is_ok() => {
                    tokio::time::sleep(*wait).await;
                }
                _ => return,
            }
        }
    }

    /// Releases the claim of a run that stands like this. Returns false when it does not.
    async fn release_from(&self, mut state: RunState) -> bool {
        let Some(event) = release(&state, "the engine was shut down") else {
            return true;
        };
        let mut batch = Batch::after(state.seq(), state.epoch());
        let now = self.shared.clock.now();
        if batch.record(&mut state, event, now).is_err() {
            return true;
        }
        match self.shared.save(&batch, &state).await {
            Ok(_) => self.shared.tell_saved(&state),
            Err(StoreError::Conflict { .. }) => return false,
            Err(error) => {
                let run = &state.created().run;
                tracing::warn!(%run, %error, "the claim could not be released");
            }
        }
        true
    }
}

impl Drop for LettingGo {
    fn drop(&mut self) {
        self.shared.host.leave(&self.owner);
    }
}
