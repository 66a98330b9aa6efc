//! Drives one claimed run: decide, record, commit, perform, and again, until the run does not move.
//!
//! Every stimulus (an attempt's end, a due retry, a request, a lost claim) enters through [`Driver::next_stimulus`]; whatever
//! follows from it joins one transaction. An outcome and the intent to start what comes next are therefore one commit.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use milepost_core::decide::{Decision, decide_from, interrupt, settle};
use milepost_core::event::{Entry, Event, Stop, StopCode};
use milepost_core::frontier::Frontier;
use milepost_core::ids::{Epoch, Path};
use milepost_core::limits;
use milepost_core::outcome::{ErrorClass, Outcome, StepError, codes};
use milepost_core::state::{RunState, Status, StepPhase};
use milepost_core::tape::Tape;
use milepost_core::time::Timestamp;

use super::control::{Control, Request};
use super::error::EngineError;
use super::launch::Launch;
use super::observer::Notice;
use super::shared::Shared;
use crate::attempt::{BoxFuture, CallResult, CallSink, CancelFlag, LogLine, Mode, Progress};
use crate::owner::this_process;
use crate::record::{self, Batch};
use crate::store::{NewLog, StoreError};
use crate::workflow::Workflow;

/// How often a running run looks whether somebody asked for its cancellation, and whether the claim still holds.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How long a cancelled attempt may take to clean up before it is interrupted.
const CANCEL_GRACE: Duration = Duration::from_secs(2);
/// Waits between the tries to save a commit that the store did not take.
const SAVE_WAITS: [Duration; 6] = [
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
    Duration::from_millis(1_600),
    Duration::from_millis(3_200),
];

/// Why a run stopped being driven without an ending of its own.
#[derive(Debug)]
pub(super) enum Halted {
    /// The store did not take a commit in all tries: what was not saved is lost with this process.
    NotSaved(String),
    /// Another owner has the run: nothing more may be written.
    LostClaim,
    /// The engine or the record is defective.
    Failed(EngineError),
}

impl From<milepost_core::state::Rejected> for Halted {
    fn from(rejected: milepost_core::state::Rejected) -> Self {
        Self::Failed(rejected.into())
    }
}

/// One run that this process owns.
pub(super) struct Driver {
    shared: Arc<Shared>,
    workflow: Workflow,
    state: RunState,
    frontier: Frontier,
    batch: Batch,
    control: Control,
    /// Attempts whose start was recorded and that were not launched yet.
    started: Vec<Launch>,
    /// Raised for all attempts in flight when the run is cancelled.
    cancel: CancelFlag,
    /// Somebody asked through the store for the run to be cancelled.
    cancel_requested: bool,
    /// While set, dropping the driver releases the claim.
    owns: bool,
}

struct Ended {
    path: Path,
    attempt: u32,
    result: CallResult,
}

type InFlight = FuturesUnordered<BoxFuture<'static, Ended>>;

enum Stimulus {
    Ended(Box<Ended>),
    Woken,
    Asked(Request),
    Heartbeat,
}

impl Driver {
    /// Takes over a run whose creation or claim stands in `batch` and is not written yet.
    pub(super) fn new(
        shared: Arc<Shared>,
        workflow: Workflow,
        state: RunState,
        batch: Batch,
        control: Control,
    ) -> Self {
        Self {
            shared,
            workflow,
            state,
            frontier: Frontier::default(),
            batch,
            control,
            started: Vec::new(),
            cancel: CancelFlag::default(),
            cancel_requested: false,
            owns: false,
        }
    }

    /// The state as this driver knows it.
    pub(super) fn state(&self) -> &RunState {
        &self.state
    }

    /// Drives the run until it does not move. The first commit is the claim itself: losing it is
    /// [`StoreError::Conflict`] or [`StoreError::Exists`].
    pub(super) async fn claim_and_drive(&mut self) -> Result<Result<(), Halted>, StoreError> {
        if let Err(halted) = self.advance() {
            return Ok(Err(halted));
        }
        match self.write_once().await {
            Err(StoreError::Unavailable(_)) if self.claim_stands() => self.saved(self.state.epoch),
            answer => answer?,
        }
        self.owns = true;
        let ended = std::panic::AssertUnwindSafe(self.drive())
            .catch_unwind()
            .await;
        let ended = match ended {
            Ok(ended) => ended,
            Err(panic) => self.fail_after_panic(&panic_text(panic.as_ref())).await,
        };
        // What could not be saved is gone, but the run need not stay with this process: dropping the driver releases it.
        self.owns = !matches!(ended, Ok(()) | Err(Halted::LostClaim));
        Ok(ended)
    }

    /// Whether the claim was saved although its answer was lost. Turned away, its owner would hold the run without driving it.
    fn claim_stands(&self) -> bool {
        let (store, run) = (self.shared.store.as_ref(), &self.state.created.run);
        let owned = store.row(run).ok().flatten().is_some_and(|row| {
            (row.seq, row.epoch) == (self.state.seq, self.state.epoch)
                && row.owner.as_ref() == Some(this_process())
        });
        // Another claim of this very process would have been made at another time.
        owned
            && record::journal(store, run, self.state.seq - 1, 1)
                .is_ok_and(|entries| entries.last() == self.batch.entries().last())
    }

    async fn drive(&mut self) -> Result<(), Halted> {
        let mut in_flight = InFlight::new();
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        heartbeat.tick().await;
        let mut renewed = self.shared.clock.now();
        loop {
            let wake_at = self.advance()?;
            self.commit().await?;
            for started in std::mem::take(&mut self.started) {
                in_flight.push(self.launch(started));
            }
            if self.state.phase.status() != Status::Running {
                return self.cancel_if_requested().await;
            }
            match self
                .next_stimulus(&mut in_flight, wake_at, &mut heartbeat)
                .await
            {
                Stimulus::Ended(ended) => self.ended(*ended)?,
                Stimulus::Woken => {}
                Stimulus::Asked(request) => self.asked(request, &mut in_flight).await?,
                Stimulus::Heartbeat => self.heartbeat(&mut renewed).await?,
            }
        }
    }

    /// Records whatever the core decides until something outside has to happen. Returns when a retry is due.
    fn advance(&mut self) -> Result<Option<Timestamp>, Halted> {
        loop {
            if self.batch.entries().len() >= limits::EVENTS_PER_COMMIT {
                // Give way: the caller commits and comes back at once.
                return Ok(Some(self.shared.clock.now()));
            }
            let now = self.shared.clock.now().max(self.state.updated_at);
            let definition = &self.workflow.definition;
            match decide_from(&mut self.frontier, definition, &self.state, now) {
                Decision::Record(event) => {
                    if let Event::StepStarted {
                        path,
                        attempt,
                        input,
                        seed,
                        timeout_millis,
                    } = &event
                    {
                        self.started.push(Launch {
                            path: path.clone(),
                            attempt: *attempt,
                            input: Arc::clone(input.value()),
                            seed: *seed,
                            timeout: Duration::from_millis(*timeout_millis),
                            at: now,
                        });
                    }
                    self.batch.record(&mut self.state, event, now)?;
                }
                Decision::Wait { wake_at, .. } => return Ok(wake_at),
                Decision::Stopped => return Ok(None),
            }
        }
    }

    async fn next_stimulus(
        &self,
        in_flight: &mut InFlight,
        wake_at: Option<Timestamp>,
        heartbeat: &mut tokio::time::Interval,
    ) -> Stimulus {
        let woken = async {
            match wake_at {
                Some(at) => self.shared.clock.sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            request = self.control.asked() => Stimulus::Asked(request),
            Some(ended) = in_flight.next() => Stimulus::Ended(Box::new(ended)),
            () = woken => Stimulus::Woken,
            _ = heartbeat.tick() => Stimulus::Heartbeat,
        }
    }

    fn launch(&self, launch: Launch) -> BoxFuture<'static, Ended> {
        let (path, attempt) = (launch.path.clone(), launch.attempt);
        let prepared = launch.prepare(&self.workflow, &self.state, self.cancel.clone(), Mode::Live);
        let Some((callable, call)) = prepared else {
            return ended_at_once(path, attempt, "its component is not loaded");
        };
        let sink = Arc::new(Sink {
            shared: Arc::clone(&self.shared),
            run: call.run.clone(),
            path: path.clone(),
            attempt,
        });
        Box::pin(async move {
            let result = callable.call(call, sink).await;
            Ended {
                path,
                attempt,
                result,
            }
        })
    }

    /// An attempt is over: its outcome goes through the core, its log lines join the same transaction.
    fn ended(&mut self, ended: Ended) -> Result<(), Halted> {
        let Ended {
            path,
            attempt,
            result,
        } = ended;
        let now = self.shared.clock.now().max(self.state.updated_at);
        let text = path.to_string();
        self.batch.logs(result.logs.iter().map(|line| NewLog {
            at: line.at,
            path: text.clone(),
            attempt,
            body: serde_json::to_string(line).unwrap_or_default(),
        }));
        let event = settle(
            &self.workflow.definition,
            &self.state,
            &path,
            attempt,
            result.outcome,
            result.tape,
            now,
        );
        self.batch.record(&mut self.state, event, now)?;
        Ok(())
    }

    async fn asked(&mut self, request: Request, in_flight: &mut InFlight) -> Result<(), Halted> {
        let run = self.state.created.run.clone();
        let last = match request {
            Request::Pause(by) => Event::RunPaused {
                stop: Stop {
                    code: StopCode::Interrupted,
                    message: format!("paused by {by}"),
                    path: self.present_path(),
                    next: format!("`milepost resume {run}` goes on"),
                    due_at: None,
                    provider: None,
                },
            },
            Request::Cancel(by) => {
                self.let_clean_up(in_flight).await?;
                self.cancelled_by(&by)
            }
        };
        // Results that arrive from now on do not count (B169).
        in_flight.clear();
        if self.state.phase.status() == Status::Running {
            let now = self.shared.clock.now();
            for event in interrupt(&self.state, last) {
                self.batch.record(&mut self.state, event, now)?;
            }
        }
        Ok(())
    }

    /// A request that came while the run paused or failed: its sender was told that the owner ends the run.
    async fn cancel_if_requested(&mut self) -> Result<(), Halted> {
        if !self.cancel_requested || self.state.phase.status().is_terminal() {
            return Ok(());
        }
        let event = self.cancelled_by("a request");
        let now = self.shared.clock.now();
        self.batch.record(&mut self.state, event, now)?;
        self.commit().await
    }

    fn cancelled_by(&self, by: &str) -> Event {
        Event::RunCancelled {
            stop: Stop {
                code: StopCode::Cancelled,
                message: format!("cancelled by {by}"),
                path: self.present_path(),
                next: "nothing; the run is over".to_owned(),
                due_at: None,
                provider: None,
            },
        }
    }

    /// Tells the attempts in flight that they should stop and gives them a moment; outputs that come in time are kept.
    async fn let_clean_up(&mut self, in_flight: &mut InFlight) -> Result<(), Halted> {
        self.cancel.raise();
        let grace = tokio::time::sleep(CANCEL_GRACE);
        tokio::pin!(grace);
        while !in_flight.is_empty() {
            tokio::select! {
                Some(ended) = in_flight.next() => {
                    if let Outcome::Completed(_) = ended.result.outcome {
                        self.ended(ended)?;
                    }
                }
                () = &mut grace => break,
            }
        }
        Ok(())
    }

    fn present_path(&self) -> Option<Path> {
        self.state
            .steps
            .values()
            .find(|r| {
                matches!(
                    r.phase,
                    StepPhase::InFlight { .. } | StepPhase::Waiting { .. }
                )
            })
            .map(|record| record.path.clone())
    }

    async fn heartbeat(&mut self, renewed: &mut Timestamp) -> Result<(), Halted> {
        let run = self.state.created.run.clone();
        let now = self.shared.clock.now();
        let cancel_requested = if now.since(*renewed) >= limits::LEASE_RENEWAL {
            *renewed = now;
            let until = now.after(limits::LEASE);
            match self
                .shared
                .store
                .renew_lease(&run, self.state.epoch, until)
                .await
            {
                Ok(written) => written.cancel_requested,
                Err(StoreError::Conflict { .. } | StoreError::NotFound(_)) => {
                    return Err(Halted::LostClaim);
                }
                // The next renewal may succeed; a commit will find out otherwise.
                Err(error) => {
                    tracing::warn!(%run, %error, "the lease could not be renewed");
                    false
                }
            }
        } else {
            match self.shared.store.row(&run) {
                Ok(Some(row)) if row.epoch != self.state.epoch => return Err(Halted::LostClaim),
                Ok(Some(row)) => row.cancel_requested_at.is_some(),
                Ok(None) => return Err(Halted::LostClaim),
                Err(_) => false,
            }
        };
        if cancel_requested {
            self.control.ask(Request::Cancel("a request".to_owned()));
        }
        Ok(())
    }

    /// Writes the batch; a store that does not take it is tried again, with the batch held in memory.
    async fn commit(&mut self) -> Result<(), Halted> {
        let mut waits = SAVE_WAITS.iter();
        loop {
            match self.write_once().await {
                Ok(()) => return Ok(()),
                // An earlier try was saved after all, only its answer was lost: nobody else writes in this epoch.
                Err(StoreError::Conflict { seq, epoch, .. })
                    if (seq, epoch) == (self.state.seq, self.state.epoch) =>
                {
                    self.saved(epoch);
                    return Ok(());
                }
                Err(StoreError::Conflict { .. } | StoreError::NotFound(_)) => {
                    self.owns = false;
                    return Err(Halted::LostClaim);
                }
                Err(StoreError::Unavailable(reason)) => {
                    let Some(wait) = waits.next() else {
                        return Err(Halted::NotSaved(reason));
                    };
                    let retry_at = self.shared.clock.now().after(*wait);
                    let notice = Notice::SaveDelayed {
                        reason: &reason,
                        retry_at,
                    };
                    self.shared.tell(&self.state.created.run, notice);
                    self.shared.clock.sleep_until(retry_at).await;
                }
                Err(error) => return Err(Halted::Failed(error.into())),
            }
        }
    }

    async fn write_once(&mut self) -> Result<(), StoreError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let write = self.batch.to_write(&self.state);
        let written = self.shared.store.write(write).await?;
        self.saved(written.epoch);
        self.cancel_requested = written.cancel_requested;
        if written.cancel_requested && self.state.phase.status() == Status::Running {
            self.control.ask(Request::Cancel("a request".to_owned()));
        }
        Ok(())
    }

    /// The batch is durable.
    fn saved(&mut self, epoch: Epoch) {
        let next = Batch::after(self.state.seq, epoch);
        let batch = std::mem::replace(&mut self.batch, next);
        self.tell(batch.entries());
    }

    fn tell(&self, entries: &[Entry]) {
        for entry in entries {
            self.shared
                .tell(&self.state.created.run, Notice::Recorded(entry));
        }
    }

    /// The host panicked while it drove this run: what was saved is good, so the run fails from there.
    async fn fail_after_panic(&mut self, text: &str) -> Result<(), Halted> {
        let run = self.state.created.run.clone();
        let recorded = record::load(self.shared.store.as_ref(), &run)
            .map_err(|error| Halted::Failed(error.into()))?;
        if recorded.state.epoch != self.state.epoch {
            return Err(Halted::LostClaim);
        }
        self.state = recorded.state;
        self.frontier = Frontier::default();
        self.batch = Batch::after(self.state.seq, self.state.epoch);
        self.started.clear();
        let last = Event::RunFailed {
            stop: Stop {
                code: StopCode::HostError,
                message: format!("the engine failed: {text}"),
                path: self.present_path(),
                next: format!("nothing by itself; `milepost resume {run}` tries again"),
                due_at: None,
                provider: None,
            },
        };
        let now = self.shared.clock.now();
        for event in interrupt(&self.state, last) {
            self.batch.record(&mut self.state, event, now)?;
        }
        self.commit().await
    }
}

impl Drop for Driver {
    /// The future that drove the run was dropped (a shutdown of the runtime, a caller that lost interest): the claim is
    /// released, so that the run need not wait for its lease to expire.
    fn drop(&mut self) {
        if !self.owns {
            return;
        }
        // A commit that was under way may have been handed over and be applied yet. Then this release fits, else the next.
        if !self.batch.is_empty() {
            self.release(self.state.clone());
        }
        if let Ok(recorded) = record::load(self.shared.store.as_ref(), &self.state.created.run) {
            self.release(recorded.state);
        }
    }
}

impl Driver {
    /// Releases the claim of a run that stands like this, if it does.
    fn release(&self, mut state: RunState) {
        if state.epoch != self.state.epoch || state.phase.status() != Status::Running {
            return;
        }
        let mut batch = Batch::after(state.seq, state.epoch);
        let event = Event::RunReleased {
            reason: "the engine was shut down".to_owned(),
        };
        let now = self.shared.clock.now();
        if batch.record(&mut state, event, now).is_err() {
            return;
        }
        // One poll hands the write to the store, which finishes it; nobody is left to wait for more.
        let answer = self.shared.store.write(batch.to_write(&state));
        match answer.now_or_never() {
            None | Some(Ok(_) | Err(StoreError::Conflict { .. })) => {}
            Some(Err(error)) => {
                let run = &state.created.run;
                tracing::warn!(%run, %error, "the claim could not be released");
            }
        }
    }
}

struct Sink {
    shared: Arc<Shared>,
    run: milepost_core::ids::RunId,
    path: Path,
    attempt: u32,
}

impl CallSink for Sink {
    fn log(&self, line: &LogLine) {
        let notice = Notice::Log {
            path: &self.path,
            attempt: self.attempt,
            line,
        };
        self.shared.tell(&self.run, notice);
    }

    fn progress(&self, progress: &Progress) {
        let notice = Notice::Progress {
            path: &self.path,
            progress,
        };
        self.shared.tell(&self.run, notice);
    }
}

fn ended_at_once(path: Path, attempt: u32, reason: &str) -> BoxFuture<'static, Ended> {
    let error = StepError::new(ErrorClass::Host, codes::HOST_ERROR, reason);
    let result = CallResult {
        outcome: Outcome::Failed(error),
        tape: Tape::default(),
        logs: Vec::new(),
        log_dropped: 0,
        progress: None,
        divergence: None,
    };
    Box::pin(std::future::ready(Ended {
        path,
        attempt,
        result,
    }))
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a text".to_owned())
}
