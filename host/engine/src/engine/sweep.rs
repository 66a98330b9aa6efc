//! Looking after runs that nobody drives: lost owners, met and unmet requests, signals, what cannot begin.
//!
//! Every change here is one compare-and-swap on the row that was looked at. Whoever loses it leaves the run alone: somebody
//! else looks after it. A run that cannot be read or changed is told about and passed over; it never keeps others waiting.

use futures_util::future::join_all;
use milepost_core::correction::{correction, is_far_ahead};
use milepost_core::event::{ClaimCause, Event, RunEvent};
use milepost_core::ids::RunId;
use milepost_core::limits;
use milepost_core::recovery::{Judgement, Liveness, judge, lease_holds};
use milepost_core::request::let_go;
use milepost_core::request::recover::{self, CannotBegin};
use milepost_core::state::{RunState, Status};
use milepost_core::time::Timestamp;

use super::Engine;
use super::StopAnswer;
use super::error::EngineError;
use super::observer::Notice;
use crate::fault;
use crate::record::{self, Batch};
use crate::store::{Attention, Filter, Held, Look, Pages, RunRow, StopRequest, StoreError};

/// What a sweep found and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Swept {
    /// Runs whose owner is gone; to be taken over.
    pub lost: Vec<RunRow>,
    /// Runs whose owner was lost too often; they failed.
    pub given_up: Vec<RunId>,
    /// Runs whose owner lives but does not renew, newly noticed.
    pub detached: Vec<RunId>,
    /// Runs that got the signal that they waited for.
    pub delivered: Vec<RunId>,
    /// Runs that were paused or cancelled as somebody had asked of an owner that is gone, or failed because what waits for them is
    /// damaged.
    pub stopped: Vec<RunId>,
    /// Runs that could not be looked after, with the reason.
    pub troubled: Vec<(String, String)>,
    /// When the next paused run will be due.
    pub next_due: Option<Timestamp>,
}

impl Engine {
    /// Looks after the runs that nobody drives, as far as that needs no component: `lost` ones are left to be taken over.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be asked. Trouble with one run is in [`Swept::troubled`].
    pub async fn sweep(&self) -> Result<Swept, StoreError> {
        self.shared.follow().await;
        let mut swept = Swept::default();
        let mut look = self.first_look();
        loop {
            let attention = self.shared.store.look(&look).await?;
            // When this process has slept, its own claims are about to be renewed.
            let own = self.shared.keeper.held();
            let others = attention.running.iter().filter(|row| {
                let (run, epoch) = (row.id.clone(), row.epoch);
                !own.contains(&Held { run, epoch })
            });
            for row in others {
                let done = self.look_after(row, &mut swept).await;
                note(&mut swept, &row.id, done)?;
            }
            if look.after.is_none() {
                swept.next_due = attention.next_due;
                self.serve(&attention, &mut swept).await?;
            }
            swept.troubled.extend(attention.unreadable);
            look.after = attention.next;
            if look.after.is_none() {
                return Ok(swept);
            }
        }
    }

    /// What a sweep asks for first.
    pub(super) fn first_look(&self) -> Look {
        Look {
            host: self.shared.host.name(),
            limit: SWEEP_ROWS,
            after: None,
        }
    }

    /// Meets requests and brings signals.
    async fn serve(&self, attention: &Attention, swept: &mut Swept) -> Result<(), StoreError> {
        for row in &attention.requested {
            let done = self.meet_request(row, swept).await.map(drop);
            note(swept, &row.id, done)?;
        }
        for rows in attention.signalled.chunks(AT_ONCE) {
            let brought = join_all(rows.iter().map(|row| self.bring(row))).await;
            for (row, done) in rows.iter().zip(brought) {
                let done = match done {
                    Ok(delivered) => {
                        swept.delivered.extend(delivered.then(|| row.id.clone()));
                        Ok(())
                    }
                    Err((error, failed)) => {
                        swept.stopped.extend(failed.then(|| row.id.clone()));
                        Err(error)
                    }
                };
                note(swept, &row.id, done)?;
            }
        }
        Ok(())
    }

    /// Gives a run the signal that it waits for. With the error comes whether the run failed for it.
    async fn bring(&self, row: &RunRow) -> Result<bool, (EngineError, bool)> {
        match self.deliver(&row.id).await {
            Ok(delivered) => Ok(delivered),
            Err(error) => {
                let failed = self.could_not_deliver(row, &error).await;
                Err((error, failed))
            }
        }
    }

    async fn look_after(&self, row: &RunRow, swept: &mut Swept) -> Result<(), EngineError> {
        let now = self.shared.clock.now();
        let expired = row.lease_until.is_none_or(|until| !lease_holds(until, now));
        let owner = self.liveness(row).unwrap_or(Liveness::Gone);
        let judgement = judge(owner, expired, row.recoveries);
        let lost = matches!(judgement, Judgement::Recover | Judgement::GiveUp);
        if lost {
            self.end_orphans(row).await;
        }
        // What its owner could not meet any more needs no new owner.
        if lost && row.request.is_some() && self.meet_request(row, swept).await? {
            return Ok(());
        }
        match judgement {
            Judgement::Healthy => {}
            Judgement::Detached => {
                if self.shared.store.mark_detached(&row.id, row.epoch).await? {
                    swept.detached.push(row.id.clone());
                }
            }
            Judgement::Recover => swept.lost.push(row.clone()),
            Judgement::GiveUp => {
                if self.give_up(row).await? {
                    swept.given_up.push(row.id.clone());
                }
            }
        }
        Ok(())
    }

    /// Fails a run whose owners were lost too often. Returns whether it was this call that did.
    pub(super) async fn give_up(&self, row: &RunRow) -> Result<bool, EngineError> {
        self.change(row, |state| Some(recover::give_up(state)))
            .await
    }

    /// Returns false where the run was asked to end before and has something left to do: that needs somebody to drive it.
    async fn meet_request(&self, row: &RunRow, swept: &mut Swept) -> Result<bool, EngineError> {
        // A pause means nothing to a run that nobody drives yet; the next owner sees it.
        let met = |request: &&StopRequest| request.kind.ends() || row.status != Status::Pending;
        if let Some(request) = row.request.as_ref().filter(met) {
            if request.kind.ends() && !self.have_children_ended(&row.id, request).await? {
                return Ok(true);
            }
            let answer = self.stop(&row.id, request.kind, &request.by).await?;
            let changed = !matches!(answer, StopAnswer::Already(_) | StopAnswer::Finishing);
            swept.stopped.extend(changed.then(|| row.id.clone()));
            return Ok(answer != StopAnswer::Finishing);
        }
        Ok(true)
    }

    /// A run that waits for a signal could not be given it: where that stays so, it fails, or it would wait for ever for what has
    /// come. Returns whether it did.
    pub(super) async fn could_not_deliver(&self, row: &RunRow, error: &EngineError) -> bool {
        if row.status != Status::Paused || error.lasting().is_none() {
            return false;
        }
        let failed = self.take_and_let_go(row, error, ClaimCause::Resume).await;
        failed.unwrap_or_else(|error| {
            tracing::warn!(run = %row.id, %error, "the run could not be failed");
            false
        })
    }

    /// A run that was to go on could not even begin: it is put off, later each time, and fails when that was in vain too often.
    /// One that carries what nothing can run fails at once.
    pub(super) async fn could_not_begin(
        &self,
        row: &RunRow,
        error: &EngineError,
    ) -> Result<bool, EngineError> {
        let state = record::load(self.shared.store.as_ref(), &row.id)
            .await?
            .state;
        if (state.seq(), state.epoch()) != (row.seq, row.epoch) {
            return Ok(false);
        }
        let now = self.shared.clock.now();
        match recover::cannot_begin(&state, &error.to_string(), error.lasting(), now) {
            CannotBegin::Record(event) => self.change(row, |_| Some(event)).await,
            CannotBegin::Claim(cause) => self.take_and_let_go(row, error, cause).await,
            CannotBegin::Over => Ok(false),
        }
    }

    /// Claims a run and lets go of it in one write, as its driver does after such an error. Returns whether the run still
    /// stood as the row says.
    async fn take_and_let_go(
        &self,
        row: &RunRow,
        error: &EngineError,
        cause: ClaimCause,
    ) -> Result<bool, EngineError> {
        let Some(mut state) = self.standing(row).await? else {
            return Ok(false);
        };
        let (reason, fault) = (error.to_string(), error.lasting());
        let mut batch = Batch::after(state.seq(), state.epoch());
        if fault.is_none() {
            self.correct_clock(&mut batch, &mut state).await?;
        }
        let now = self.shared.clock.now();
        let path = state.phase().stopped_at().cloned();
        if state.phase().status() == Status::Paused {
            let definition = match self.frozen(&state).await {
                // It goes nowhere.
                Err(_) if fault.is_some() => None,
                definition => Some(definition?),
            };
            if let Some(resumed) = let_go::resumed(definition.as_ref(), &state)? {
                batch.record(&mut state, Event::Run(RunEvent::Resumed(resumed)), now)?;
            }
        }
        let owner = self.claim(&mut batch, &mut state, cause)?;
        let at = now.max(state.updated_at());
        let last = let_go::let_go(&state, &reason, fault, path, at);
        let written = match batch.stop(&mut state, last, now) {
            Ok(()) => self.write_change(&batch, &state).await,
            Err(rejected) => Err(rejected.into()),
        };
        self.shared.host.leave(&owner);
        written
    }

    /// Takes paused runs that a clock far ahead wrote last back to the present. Returns the trouble with single runs.
    pub(super) async fn correct_clocks(&self) -> Result<Vec<(String, String)>, StoreError> {
        let now = self.shared.clock.now();
        let far_ahead = Filter {
            statuses: vec![Status::Paused],
            updated_after: Some(now.after(limits::CLOCK_AHEAD)),
            limit: SWEEP_ROWS,
            ..Filter::default()
        };
        let mut swept = Swept::default();
        let mut pages = Pages::of(far_ahead);
        while let Some(page) = pages.next(self.shared.store.as_ref()).await? {
            for row in &page.rows {
                let done = self.change(row, |_| None).await;
                note(&mut swept, &row.id, done.map(drop))?;
            }
        }
        Ok(swept.troubled)
    }

    /// After a clock that was far ahead, time steps back, once, before anything else is recorded.
    pub(super) async fn correct_clock(
        &self,
        batch: &mut Batch,
        state: &mut RunState,
    ) -> Result<(), EngineError> {
        let now = self.shared.clock.now();
        if is_far_ahead(state.updated_at(), now)
            && let Some(event) = correction(&self.frozen(state).await?, state, now)
        {
            batch.record(state, event, now)?;
        }
        Ok(())
    }

    /// The state of a run that still stands as the row says.
    async fn standing(&self, row: &RunRow) -> Result<Option<RunState>, EngineError> {
        let recorded = record::load_to_change(self.shared.store.as_ref(), &row.id).await?;
        let stands = (recorded.state.seq(), recorded.state.epoch()) == (row.seq, row.epoch);
        Ok(stands.then_some(recorded.state))
    }

    /// Records one event on a run that still stands as the row says. Returns whether it did.
    async fn change(
        &self,
        row: &RunRow,
        event: impl FnOnce(&RunState) -> Option<Event>,
    ) -> Result<bool, EngineError> {
        let Some(mut state) = self.standing(row).await? else {
            return Ok(false);
        };
        let mut batch = Batch::after(state.seq(), state.epoch());
        self.correct_clock(&mut batch, &mut state).await?;
        let event = event(&state);
        if event.is_none() && batch.is_empty() {
            return Ok(false);
        }
        if let Some(event) = event {
            batch.stop(&mut state, event, self.shared.clock.now())?;
        }
        self.write_change(&batch, &state).await
    }

    async fn write_change(&self, batch: &Batch, state: &RunState) -> Result<bool, EngineError> {
        fault::point("sweep");
        let written = self.shared.write(batch, state).await?;
        if written {
            for entry in batch.entries() {
                self.shared
                    .tell(&state.created().run, Notice::Recorded(entry));
            }
        }
        Ok(written)
    }
}

/// Trouble with one run is told; a store that is not available ends the sweep.
fn note(swept: &mut Swept, run: &RunId, done: Result<(), EngineError>) -> Result<(), StoreError> {
    match done {
        Ok(()) => Ok(()),
        Err(EngineError::Store(error @ StoreError::Unavailable(_))) => Err(error),
        Err(error) => {
            swept.troubled.push((run.to_string(), error.to_string()));
            Ok(())
        }
    }
}

/// How many signals are brought at a time.
const AT_ONCE: usize = 16;

/// Most rows of one kind that a sweep looks at; the rest comes at the next one.
pub(super) const SWEEP_ROWS: usize = 1_000;
