//! Drives one claimed run: decide, record, commit, perform, and again, until the run does not move.
//!
//! `stopping` meets requests, `saving` commits and lets go of the claim.
//!
//! Every stimulus (an attempt's end, a due retry, a request, a lost claim) enters through [`Driver::next_stimulus`]; whatever
//! follows from it joins one transaction. An outcome and the intent to start what comes next are therefore one commit.

mod children;
mod in_flight;
mod loading;
mod mail;
mod saving;
mod spans;
mod stopping;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use milepost_core::correction::correction;
use milepost_core::decide::{Action, Decision, decide_from, settle, too_large};
use milepost_core::effect::TapePart;
use milepost_core::event::{RunEvent, StepEvent};
use milepost_core::frontier::Frontier;
use milepost_core::ids::Path;
use milepost_core::limits;
use milepost_core::outcome::{ErrorClass, Outcome, StepError, codes};
use milepost_core::state::{Ending, RunState, Status};
use milepost_core::stop::StopCode;
use milepost_core::time::Timestamp;
use tokio::time::Instant;
use tracing::{Instrument as _, Span};

use self::children::Children;
pub(super) use self::children::OfChild;
use self::in_flight::InFlight;
use self::mail::Mail;
pub(super) use self::saving::SAVE_WAITS;
use self::spans::Spans;
use super::Demand;
use super::attempt_host::LiveHost;
use super::changes::Bound;
use super::control::{Control, Request};
use super::error::EngineError;
use super::family::END_OF_PARENT;
use super::keeper::{Keeper, KeptClaim, Tidings};
use super::launch::Launch;
use super::live_log::{LiveLog, Saved};
use super::loads::LoadPermit;
use super::shared::Shared;
use crate::attempt::{BoxFuture, CallResult, CancelFlag, Mode};
use crate::fault;
use crate::record::Batch;
use crate::secrets;
use crate::store::{Held, Owner, StoreError};
use crate::workflow::Workflow;

/// Why a run stopped being driven without an ending of its own.
#[derive(Debug)]
pub(super) enum Halted {
    /// The store did not take a commit in all tries: what was not saved is lost with this process.
    NotSaved(String),
    /// Another owner has the run: nothing more may be written.
    LostClaim,
    /// The engine or the record is defective.
    Failed(EngineError),
    /// What the run carries could not be loaded.
    NotBegun(EngineError),
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
    /// Whether the components of the workflow are there.
    loaded: bool,
    /// Held while they are loaded.
    permit: Option<LoadPermit>,
    state: RunState,
    frontier: Frontier,
    batch: Batch,
    control: Control,
    /// Attempts whose start was recorded and that were not launched yet.
    started: Vec<Launch>,
    /// Raised for all attempts in flight when the run is asked to stop.
    cancel: CancelFlag,
    /// Of each attempt in flight: raised when it has to end though the run goes on.
    ends: BTreeMap<Path, CancelFlag>,
    /// The claim of this driver.
    owner: Owner,
    /// What was asked and waits for the step in flight.
    patient: Option<Demand>,
    /// While the run waits for time: what time it was, by the wall and by the monotonic clock, when it began to wait.
    pace: Option<(Timestamp, Duration)>,
    /// What the run takes in the store, as of the last commit.
    stored: u64,
    /// Whether the run was put off because the store did not take a commit in all tries.
    unsaved: bool,
    /// Why the run could not begin; it is recorded.
    not_begun: Option<EngineError>,
    /// The claim, as far as this driver knows.
    claim: ClaimStands,
    /// While the claim is this driver's: what the keeper finds of it.
    kept: Option<KeptClaim>,
    /// When something was last heard of what is asked of the run.
    heard: Instant,
    /// What there is to do with its child runs.
    children: Children,
    /// When to look at what is kept for it.
    mail: Mail,
    /// Attempts that were interrupted while the run goes on: what they still come to does not count.
    dropped: BTreeSet<(Path, u32)>,
    spans: Spans,
}

/// Whether a driver has the claim that it was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ClaimStands {
    /// It was not written yet, was refused, or is over.
    No,
    /// It is being written: dropped now, nobody knows.
    Perhaps,
    /// It was written.
    Yes,
}

struct Ended {
    /// Sequence number of the event that started it.
    started: u64,
    path: Path,
    attempt: u32,
    result: CallResult,
    /// What the store has of its log already.
    saved: Saved,
}

enum Stimulus {
    Ended(Box<Ended>),
    Woken,
    ChildStopped,
    Asked(Request),
    Tidings(Option<Tidings>),
}

impl Driver {
    /// Takes over a run whose creation or claim stands in `batch` and is not written yet.
    pub(super) fn new(
        shared: Arc<Shared>,
        bound: Bound,
        state: RunState,
        batch: Batch,
        owner: Owner,
        control: Control,
    ) -> Self {
        let any = bound.workflow.definition.starts_runs();
        let spans = Spans::of(&state);
        Self {
            shared,
            workflow: bound.workflow,
            loaded: bound.loaded,
            permit: None,
            state,
            frontier: Frontier::default(),
            batch,
            control,
            started: Vec::new(),
            cancel: CancelFlag::default(),
            ends: BTreeMap::new(),
            owner,
            patient: None,
            pace: None,
            stored: 0,
            unsaved: false,
            not_begun: None,
            claim: ClaimStands::No,
            kept: None,
            heard: Instant::now(),
            children: Children::of_any(any),
            mail: Mail::default(),
            dropped: BTreeSet::new(),
            spans,
        }
    }

    /// Around everything that it does.
    pub(super) fn span(&self) -> Span {
        self.spans.run()
    }

    /// Lets go of the permit when the components are there.
    pub(super) fn loads_under(&mut self, permit: Option<LoadPermit>) {
        self.permit = permit.filter(|_| !self.loaded);
    }

    /// The state as this driver knows it.
    pub(super) fn state(&self) -> &RunState {
        &self.state
    }

    /// Whether something was lost because the store did not take it in time, and the run was put off for it.
    pub(super) const fn is_unsaved(&self) -> bool {
        self.unsaved
    }

    /// Why the run could not begin, where that is how it ended.
    pub(super) fn not_begun(&mut self) -> Option<EngineError> {
        self.not_begun.take()
    }

    /// Drives the run until it does not move. The first commit is the claim itself, with the first start where all is at hand: losing it is
    /// [`StoreError::Conflict`] or [`StoreError::Exists`].
    pub(super) async fn claim_and_drive(&mut self) -> Result<Result<(), Halted>, StoreError> {
        if self.loaded
            && let Err(halted) = self.advance(&mut InFlight::default()).await
        {
            return Ok(Err(halted));
        }
        self.claim = ClaimStands::Perhaps;
        match self.write_once().await {
            Err(StoreError::Unavailable(_)) if self.claim_stands().await => {}
            Err(refused @ (StoreError::Conflict { .. } | StoreError::Exists(_))) => {
                self.claim = ClaimStands::No;
                return Err(refused);
            }
            answer => answer?,
        }
        self.claim = ClaimStands::Yes;
        let held = Held {
            run: self.state.created().run.clone(),
            epoch: self.state.epoch(),
        };
        self.kept = Some(Keeper::keep(&self.shared, held.clone()));
        fault::point("after_claim");
        let ended = std::panic::AssertUnwindSafe(self.drive())
            .catch_unwind()
            .await;
        let letting_go = std::panic::AssertUnwindSafe(async {
            let ended = match ended {
                Ok(ended) => ended,
                Err(panic) => self.fail_after_panic(&panic_text(panic.as_ref())).await,
            };
            match ended {
                Err(halted) => self.put_off(halted).await,
                Ok(()) => Ok(()),
            }
        });
        let ended = letting_go.catch_unwind().await;
        let ended = ended.unwrap_or_else(|panic| {
            let text = panic_text(panic.as_ref());
            Err(Halted::Failed(EngineError::Panicked(text)))
        });
        // A run that could not be put off is found by the next sweep: taking it over is counted, a release is not.
        self.claim = ClaimStands::No;
        self.kept = None;
        let may_hold = matches!(&ended, Err(halted) if !matches!(halted, Halted::LostClaim));
        if may_hold && let Err(error) = self.shared.store.give_up(&[held]).await {
            tracing::warn!(%error, "the claim lasts until its lease is over");
        }
        Ok(ended)
    }

    async fn drive(&mut self) -> Result<(), Halted> {
        let mut in_flight = InFlight::default();
        if !self.loaded {
            self.load().await?;
        }
        let definition = &self.workflow.definition;
        let beside = definition.is_parallel();
        self.mail = Mail::of(definition);
        loop {
            self.moves();
            let wake_at = self.advance(&mut in_flight).await?;
            let began = (self.now(), self.shared.clock.monotonic());
            self.pace = wake_at.map(|_| self.pace.unwrap_or(began));
            self.commit().await?;
            self.children_go_on().await?;
            if self.state.phase().status() != Status::Running {
                self.take_late_mail(&mut in_flight).await?;
                return self.meet_late_request().await;
            }
            if let Some(last) = too_large(&self.workflow.definition, self.stored) {
                self.fail(last, &mut in_flight)?;
                continue;
            }
            // What was asked before that commit is met before anything starts.
            if let Some(request) = self.control.present()
                && self.is_due(&request, &in_flight)
            {
                self.meet(request, &mut in_flight).await?;
                continue;
            }
            for started in std::mem::take(&mut self.started) {
                fault::point("before_call");
                in_flight.push(self.launch(started), beside);
            }
            match self.next_stimulus(&mut in_flight, wake_at).await {
                Stimulus::Ended(ended) => {
                    self.ended(*ended)?;
                    // What has ended with it shares its commit.
                    while self.batch.entries().len() < limits::EVENTS_PER_COMMIT
                        && let Some(ended) = in_flight.ended()
                    {
                        self.ended(ended)?;
                    }
                }
                Stimulus::Woken => {}
                Stimulus::ChildStopped => self.children.looked = None,
                Stimulus::Asked(request) => self.asked(request, &mut in_flight).await?,
                Stimulus::Tidings(tidings) => self.learn(tidings)?,
            }
        }
    }

    /// What time it is for this run. Clocks may be set: while the run waits, its own time passes by the monotonic clock, so that no
    /// wait is shorter or longer than it should; and times that were recorded do not step back.
    fn now(&self) -> Timestamp {
        let clock = &self.shared.clock;
        let now = match self.pace {
            Some((from, since)) => from.after(clock.monotonic().saturating_sub(since)),
            None => clock.now(),
        };
        now.max(self.state.updated_at())
    }

    /// After a clock that was far ahead, time steps back, once.
    fn correct_clock(&mut self) -> Result<(), Halted> {
        let now = self.shared.clock.now();
        let definition = &self.workflow.definition;
        if let Some(event) = correction(definition, &self.state, now) {
            self.batch.record(&mut self.state, event, now)?;
            self.pace = None;
        }
        Ok(())
    }

    /// Records whatever the core decides until something outside has to happen. Returns when a retry is due.
    async fn advance(&mut self, in_flight: &mut InFlight) -> Result<Option<Timestamp>, Halted> {
        self.correct_clock()?;
        if self.looks_at_children() {
            self.take_children(self.now()).await?;
        }
        loop {
            if self.batch.entries().len() >= limits::EVENTS_PER_COMMIT {
                // Give way: the caller commits and comes back at once.
                return Ok(Some(self.now()));
            }
            let now = self.now();
            let definition = &self.workflow.definition;
            let decision = decide_from(&mut self.frontier, definition, &self.state, now);
            if self.state.ending().is_some() && self.has_children_to_end(Demand::Compensate) {
                if self.claim != ClaimStands::Yes {
                    // The claim comes first.
                    return Ok(Some(now));
                }
                self.end_children_first(Demand::Compensate, END_OF_PARENT, in_flight)
                    .await?;
                continue;
            }
            match decision {
                Decision::Act(actions) => {
                    for action in actions {
                        if action.begins()
                            && let Some(request) = self.held().await
                        {
                            // Nothing new begins; what is in flight may end first.
                            if in_flight.is_empty() && self.started.is_empty() {
                                self.stop(&request)?;
                            }
                            return Ok(None);
                        }
                        if !self.act(action, now, in_flight).await? {
                            break;
                        }
                    }
                }
                Decision::Pause(stop) => {
                    if !self.take_children(now).await?
                        && !self.take_mail(now, true, in_flight).await?
                    {
                        let event = RunEvent::Paused { stop }.into();
                        self.batch.record(&mut self.state, event, now)?;
                    }
                }
                // A decision may have come in time.
                Decision::Note(RunEvent::Finishing {
                    ending: Ending::Cancelled { stop },
                })
                | Decision::End(RunEvent::Cancelled { stop })
                    if stop.code() == StopCode::ApprovalTimedOut
                        && self.take_mail(now, false, in_flight).await? => {}
                Decision::Note(RunEvent::Finishing { .. }) | Decision::End(_)
                    if self.has_children_to_end(Demand::Compensate) =>
                {
                    if self.claim != ClaimStands::Yes {
                        return Ok(Some(now));
                    }
                    self.end_children_first(Demand::Compensate, END_OF_PARENT, in_flight)
                        .await?;
                }
                Decision::Note(event) => self.note(event.into(), now)?,
                Decision::End(last) => self.end(last, in_flight).await?,
                Decision::Wait { wake_at, cancel } => {
                    for path in cancel {
                        self.ends.entry(path).or_default().raise();
                    }
                    if !self.mail.is_due() || !self.take_mail(now, true, in_flight).await? {
                        return Ok(wake_at);
                    }
                    // There may be more.
                    self.mail.look_now();
                }
                Decision::Still => return Ok(None),
            }
        }
    }

    /// Returns whether what was decided with it still holds.
    async fn act(
        &mut self,
        action: Action,
        now: Timestamp,
        in_flight: &mut InFlight,
    ) -> Result<bool, Halted> {
        match &action {
            Action::Start { path, attempt } => self.started.push(Launch {
                seq: self.state.seq() + 1,
                path: path.clone(),
                attempt: attempt.attempt,
                input: attempt.input.value(),
                seed: attempt.seed,
                timeout: Duration::from_millis(attempt.timeout_millis),
                at: now,
            }),
            Action::StartChild { path, child } => self.start_child(path, child, now).await?,
            // One that has ended by now has ended in time.
            Action::EndWait { path, .. }
                if self.ends_before_child(path) && self.take_children(now).await? =>
            {
                return Ok(false);
            }
            // It may have ended another wait that is over, too.
            Action::EndWait { .. } if self.take_mail(now, false, in_flight).await? => {
                return Ok(false);
            }
            Action::Await { .. } => self.mail.look_now(),
            Action::Record { path, .. } => drop(self.ends_before_child(path)),
            Action::EndWait { .. } => {}
        }
        self.batch
            .record(&mut self.state, action.into_event(), now)?;
        Ok(true)
    }

    async fn next_stimulus(
        &mut self,
        in_flight: &mut InFlight,
        wake_at: Option<Timestamp>,
    ) -> Stimulus {
        let wait = wake_at.map(|at| at.since(self.now()));
        let woken = async {
            match wait {
                Some(wait) => self.shared.clock.sleep(wait).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
        biased;
        request = self.control.asked(self.patient) => Stimulus::Asked(request),
        ended = in_flight.next() => Stimulus::Ended(Box::new(ended)),
        () = woken => Stimulus::Woken,
        () = self.children.stopped.notified() => Stimulus::ChildStopped,
        tidings = tidings(&mut self.kept) => Stimulus::Tidings(tidings),
        }
    }

    fn launch(&mut self, launch: Launch) -> BoxFuture<'static, Ended> {
        let (started, path, attempt) = (launch.seq, launch.path.clone(), launch.attempt);
        let ends = self.ends.entry(path.clone()).or_default().clone();
        let (run, epoch) = (self.state.created().run.clone(), self.state.epoch());
        let log_bytes = self.workflow.definition.call_limits.log_bytes;
        let live = Arc::new(LiveLog::new(path.to_string(), attempt, log_bytes));
        let host = Arc::new(LiveHost {
            shared: Arc::clone(&self.shared),
            run: run.clone(),
            epoch,
            started,
            path: path.clone(),
            attempt,
            live: Arc::clone(&live),
            cancel: self.cancel.clone(),
            ends: ends.clone(),
        });
        let prepared = launch.prepare(&self.workflow, &self.state, host, Mode::Live);
        let Some((callable, call)) = prepared else {
            return ended_at_once(started, path, attempt, "its component is not loaded");
        };
        let span = self.spans.attempt(&run, &path, attempt);
        let in_span = span.clone();
        let shared = Arc::clone(&self.shared);
        let attempt_of = async move {
            let timed = Timed::begin(&shared);
            let (source, narrowing) = (&shared.secrets, &shared.narrowing);
            let called = async {
                match secrets::give(source.as_ref(), call.narrowed(narrowing)).await {
                    Ok(call) => callable.call(call).await,
                    Err(missing) => missing.paused(),
                }
            };
            let too_long = async {
                ends.raised().await;
                tokio::time::sleep(limits::CANCEL_GRACE).await;
            };
            let result = async {
                tokio::select! {
                biased;
                result = called => result,
                () = too_long => CallResult::of(Outcome::Cancelled(String::new())),
                }
            };
            let result = live.saved_during(&*shared.store, &run, epoch, result).await;
            timed.end(&result.outcome);
            spans::ended(&in_span, &result.outcome);
            fault::point("after_call");
            Ended {
                started,
                path,
                attempt,
                result,
                saved: live.saved(),
            }
        };
        Box::pin(attempt_of.instrument(span))
    }

    /// An attempt is over: its outcome goes through the core, its log lines join the same transaction.
    fn ended(&mut self, ended: Ended) -> Result<(), Halted> {
        let Ended {
            started,
            path,
            attempt,
            result,
            saved,
        } = ended;
        let now = self.now();
        let text = path.to_string();
        let ends = self.ends.remove(&path);
        if self.dropped.remove(&(path.clone(), attempt)) {
            return Ok(());
        }
        self.batch.logs(saved.rest(&text, attempt, &result.logs));
        let mut tape = result.tape;
        let first = result.unsaved.from as u64;
        if let Some(body) = tape.keep_apart(started, result.unsaved.from) {
            let blobs = result.unsaved.blobs;
            self.batch.tape(started, TapePart { first, body, blobs });
        }
        // Of one that had to end, what came in time counts; it ran out of its own time, or was stopped.
        let counts = match &result.outcome {
            Outcome::Completed(_) => true,
            Outcome::Failed(error) => error.class == ErrorClass::Timeout,
            Outcome::Paused(_) | Outcome::Cancelled(_) => false,
        };
        if ends.is_some_and(|ends| ends.is_raised()) && !counts {
            let event = StepEvent::Interrupted { attempt }.at(path);
            self.batch.record(&mut self.state, event, now)?;
            return Ok(());
        }
        let event = settle(
            &self.workflow.definition,
            &self.state,
            &path,
            attempt,
            result.outcome,
            tape,
            now,
        );
        self.batch.record(&mut self.state, event, now)?;
        fault::point("output_held");
        Ok(())
    }
}

/// How long an attempt takes; one whose future is dropped was interrupted.
struct Timed<'a> {
    shared: &'a Shared,
    begun: Duration,
}

impl<'a> Timed<'a> {
    fn begin(shared: &'a Shared) -> Self {
        let begun = shared.clock.monotonic();
        Self { shared, begun }
    }

    fn end(self, outcome: &Outcome) {
        self.count(Some(outcome));
        std::mem::forget(self);
    }

    fn count(&self, outcome: Option<&Outcome>) {
        let took = self.shared.clock.monotonic().saturating_sub(self.begun);
        self.shared.metrics.attempted(outcome, took);
    }
}

impl Drop for Timed<'_> {
    fn drop(&mut self) {
        self.count(None);
    }
}

/// What the keeper finds of a claim next; `None` when it is time to show that its driver moves.
async fn tidings(kept: &mut Option<KeptClaim>) -> Option<Tidings> {
    match kept {
        Some(kept) => kept.next().await,
        None => std::future::pending().await,
    }
}

fn ended_at_once(
    started: u64,
    path: Path,
    attempt: u32,
    reason: &str,
) -> BoxFuture<'static, Ended> {
    let error = StepError::new(ErrorClass::Host, codes::HOST_ERROR, reason);
    let result = CallResult::of(Outcome::Failed(error));
    Box::pin(std::future::ready(Ended {
        started,
        path,
        attempt,
        result,
        saved: Saved::default(),
    }))
}

pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}
