//! A long-lived worker: drives pending, due and lost runs, several at once, and sweeps the store in between.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use milepost_core::correction::{is_far_ahead, is_plausible};
use milepost_core::ids::RunId;
use milepost_core::limits;
use milepost_core::request::Intent;
use milepost_core::request::resume::ResumeBy;
use milepost_core::state::Status;
use milepost_core::stop::StopCode;
use milepost_core::time::Timestamp;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;

use super::Demand;
use super::control::{Control, Request};
use super::error::EngineError;
use super::loads::{Loads, MayNotLoad};
use super::presence::Presence;
use super::{Engine, ResumeOptions, Swept, Trouble};
use crate::fault;
use crate::record;
use crate::report::RunReport;
use crate::report::stop_of;
use crate::store::{Ask, RunRow, StoreError};

/// How often a worker looks for work.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// How soon after a look it looks again because of a hint.
const HINT_EVERY: Duration = Duration::from_millis(10);
/// How many runs a worker keeps waiting for components before it asks for no others.
const WAITING: usize = 1_000;
/// How much trouble a worker remembers to have told.
const REMEMBERED: usize = 10_000;
/// How often a worker looks for runs that a clock far ahead left behind.
const CORRECT_EVERY: Duration = Duration::from_secs(60 * 60);
/// Longest pause of a worker whose store is not available.
const STORE_WAIT: Duration = Duration::from_secs(30);

/// How a worker works.
#[derive(Debug, Clone)]
pub struct WorkOptions {
    /// How many runs it drives at once; at least 1. Of several, at most half are loading components at a time.
    pub max_runs: usize,
    /// Whether it ends when there is nothing left to do now. Runs that are due later do not keep it.
    pub until_idle: bool,
    /// By which it is asked to stop: any request lets runs finish their step in flight and releases them;
    /// [`Demand::ReleaseNow`] and stronger ones interrupt them.
    pub control: Control,
}

/// What a worker did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Worked {
    /// How often it took a run.
    pub taken: u64,
    /// How those ended: completed, failed, paused, cancelled, or pending when they were released.
    pub ended: BTreeMap<Status, u64>,
    /// How many did not end because the store did not take their checkpoint; they are taken again.
    pub unsaved: u64,
    /// How many it took over from a lost owner.
    pub recovered: u64,
    /// Runs that could not begin.
    pub refused: u64,
    /// Why it ended on its own: its store is no longer where it was.
    pub store_gone: Option<String>,
}

/// The outer error: it was not taken, because it would only wait for components to be loaded.
type Ended = Result<Result<RunReport, EngineError>, MayNotLoad>;

struct Worker<'a> {
    engine: &'a Engine,
    options: WorkOptions,
    /// That it is there, in the store.
    presence: Presence,
    tasks: JoinSet<Ended>,
    /// Which task drives which run.
    driving: HashMap<Id, RunRow>,
    /// When it looks after what nobody drives the next time.
    sweep_at: Instant,
    /// Whether the last look found nothing to do.
    swept: bool,
    /// Whether a run ended here since the look that is under way, or the last one, began: what that left behind it may have missed.
    ended_since: bool,
    /// Runs that it found lost.
    lost: BTreeSet<RunId>,
    /// Whether something new may be on offer.
    asks: bool,
    /// Whether anything was left of the last offer.
    left: bool,
    /// Until when nothing is taken, because the store did not take the last claim.
    not_before: Option<Instant>,
    store_wait: Duration,
    /// The runs that this worker drives, with the way to stop them.
    active: BTreeMap<RunId, Control>,
    worked: Worked,
    /// Trouble that was told about, so that it is told once.
    told: BTreeSet<(String, String)>,
    /// When runs were last looked over for the times of a clock that was far ahead, by the wall and by the monotonic clock.
    corrected: Option<(Timestamp, Duration)>,
    /// Runs whose last try ended in an error of the host: until when they are passed over, and for how long that was. Whatever the
    /// error is, and whatever could be recorded of it, no run is taken in a hot loop.
    resting: BTreeMap<RunId, (Instant, Duration)>,
    loads: Arc<Loads>,
    /// Runs whose components cannot be loaded yet: passed over until they can.
    waiting: BTreeMap<RunId, MayNotLoad>,
    /// Runs that could neither begin nor be put off where they stand, as after damage: passed over until they move. It is looked
    /// now and then whether they did.
    stuck: BTreeMap<RunId, (u64, Instant)>,
}

impl Engine {
    /// Drives runs until it is asked to stop, or, on request, until there is nothing left to do.
    ///
    /// Any number of workers may share a store: every run is driven by one of them.
    ///
    /// # Errors
    /// None of a run: those are told to the observer. A store that is not available is waited for; one that was moved or
    /// removed ends the work ([`Worked::store_gone`]).
    pub async fn work(&self, options: WorkOptions) -> Worked {
        let mut worker = Worker {
            engine: self,
            loads: Loads::of(options.max_runs),
            waiting: BTreeMap::new(),
            options,
            presence: Presence::begin(&self.shared),
            tasks: JoinSet::new(),
            driving: HashMap::new(),
            sweep_at: Instant::now(),
            swept: false,
            ended_since: false,
            lost: BTreeSet::new(),
            asks: false,
            left: false,
            not_before: None,
            store_wait: SWEEP_EVERY,
            active: BTreeMap::new(),
            worked: Worked::default(),
            told: BTreeSet::new(),
            stuck: BTreeMap::new(),
            resting: BTreeMap::new(),
            corrected: None,
        };
        worker.work().await;
        worker.presence.end().await;
        worker.worked
    }
}

/// How a run goes on that is on offer.
pub(super) fn goes_on(row: &RunRow) -> ResumeBy {
    match (row.status, stop_of(row)) {
        (Status::Pending, _) => ResumeBy::Person,
        (_, Some(code)) if code.is_wait() => ResumeBy::Wait,
        (_, Some(_) | None) => ResumeBy::Schedule,
    }
}

impl Worker<'_> {
    async fn work(&mut self) {
        let control = self.options.control.clone();
        let loads = Arc::clone(&self.loads);
        let store = Arc::clone(&self.engine.shared.store);
        let mut sweeping: Option<BoxFuture<'static, Result<Swept, StoreError>>> = None;
        loop {
            // From before the questions on: what comes while they last is not missed.
            let mut hint = store.hint();
            while let Some(ended) = self.tasks.try_join_next_with_id() {
                self.ended(ended).await;
            }
            if sweeping.is_none() && self.sweep_at <= Instant::now() {
                sweeping = Some(self.sweep());
            }
            let taken = tokio::select! {
                biased;
                request = control.asked(None) => return self.drain(request).await,
                taken = self.take_offered() => taken,
            };
            match taken {
                Ok(left) => self.left = left,
                Err(error) => {
                    if self.gone(&error) {
                        return;
                    }
                }
            }
            let idle = self.swept && !self.left && sweeping.is_none();
            if idle && self.options.until_idle && self.tasks.is_empty() {
                return;
            }
            let sweeps = sweeping.is_some();
            let swept = async {
                match &mut sweeping {
                    Some(sweep) => sweep.as_mut().await,
                    None => std::future::pending().await,
                }
            };
            let looked = Instant::now();
            let hinted = async {
                tokio::time::sleep_until(looked + HINT_EVERY).await;
                hint.as_mut().await;
            };
            tokio::select! {
                biased;
                request = control.asked(None) => return self.drain(request).await,
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended).await,
                swept = swept => {
                    sweeping = None;
                    match swept {
                        Ok(swept) => self.take_lost(swept),
                        Err(error) => {
                            if self.gone(&error) {
                                return;
                            }
                        }
                    }
                }
                () = loads.ended(), if !self.waiting.is_empty() => self.asks = true,
                () = hinted, if self.room() > 0 => self.asks = true,
                () = tokio::time::sleep_until(self.sweep_at), if !sweeps => {}
            }
        }
    }

    /// The store does not answer: that is waited for, unless it is gone for good. Whatever the runs would still record is lost
    /// then: they end here, and go on wherever the store is now.
    fn gone(&mut self, error: &StoreError) -> bool {
        if let StoreError::Gone(_) = error {
            self.worked.store_gone = Some(error.to_string());
            return true;
        }
        let wait = self.hold_off(None, Trouble::Error(&error.to_string()));
        self.sweep_at = Instant::now() + wait;
        self.asks = false;
        false
    }

    /// Looks after all that nobody drives, beside whatever else there is to do.
    fn sweep(&mut self) -> BoxFuture<'static, Result<Swept, StoreError>> {
        self.ended_since = false;
        let (engine, corrects) = (self.engine.clone(), self.corrects_clocks());
        Box::pin(async move {
            let mut troubled = Vec::new();
            if corrects {
                troubled = engine.correct_clocks().await?;
            }
            let mut swept = engine.sweep().await?;
            swept.troubled.extend(troubled);
            Ok(swept)
        })
    }

    /// The store is not available (a full disk, say): nothing is claimed until a growing wait is over. Returns the wait.
    fn hold_off(&mut self, run: Option<&RunId>, trouble: Trouble<'_>) -> Duration {
        let run = run.map(RunId::as_str);
        self.engine.shared.tell_trouble(run, trouble);
        self.store_wait = (self.store_wait * 2).min(STORE_WAIT);
        self.not_before = Some(Instant::now() + self.store_wait);
        self.store_wait
    }

    /// How many more runs it may take now.
    fn room(&self) -> usize {
        let held = self.not_before.is_some_and(|until| until > Instant::now());
        match held {
            true => 0,
            false => self
                .options
                .max_runs
                .max(1)
                .saturating_sub(self.active.len()),
        }
    }

    /// After a sweep: takes the runs whose owner is lost, and tells what it found.
    fn take_lost(&mut self, swept: Swept) {
        for (run, reason) in &swept.troubled {
            self.tell_once(run, Trouble::Error(reason));
        }
        for run in &swept.detached {
            // The mark in the store is set once, so this is said once, whichever worker says it.
            let reason =
                "its process is alive but has stopped renewing its claim; it is left alone";
            let trouble = Trouble::Error(reason);
            self.engine.shared.tell_trouble(Some(run.as_str()), trouble);
        }
        // A run that was changed may need something else next.
        let changed = [&swept.delivered, &swept.stopped, &swept.given_up];
        self.swept = changed.iter().all(|runs| runs.is_empty());
        self.lost = swept.lost.iter().map(|row| row.id.clone()).collect();
        for row in swept.lost {
            let left = self.consider(row, ResumeBy::Person);
            self.swept &= !left;
        }
        let now = self.engine.shared.clock.now();
        // By another clock than that of the store it may be past: then it is no reason to look again at once.
        let due = swept.next_due.map(|due| due.since(now));
        let due = due.filter(|due| !due.is_zero() && *due < SWEEP_EVERY);
        self.sweep_at = Instant::now() + due.unwrap_or(SWEEP_EVERY);
        self.asks = true;
        if self.ended_since {
            self.look_before_idling();
        }
    }

    /// Looks once more before this worker may call itself idle: what a run left behind may need somebody.
    fn look_before_idling(&mut self) {
        if self.tasks.is_empty() && self.options.until_idle {
            (self.swept, self.sweep_at) = (false, Instant::now());
        }
    }

    /// Takes what is offered and what there is room for. Returns whether anything is left to do, now or later.
    async fn take_offered(&mut self) -> Result<bool, StoreError> {
        let room = self.room();
        let waiting = self.waiting.keys().filter(|run| self.waits(run)).count();
        if !self.asks || room == 0 || waiting >= WAITING {
            return Ok(self.left || self.asks);
        }
        let now = Instant::now();
        self.resting
            .retain(|_, (until, _)| now < *until + STORE_WAIT);
        let ask = Ask {
            room,
            except: self.passed_over(),
        };
        let offer = self.engine.shared.store.offer(&ask).await?;
        for (run, reason) in &offer.unreadable {
            self.tell_once(run, Trouble::Error(reason));
        }
        self.asks = false;
        if offer.rows.len() < room {
            // Whoever is not offered, and could be, waits for nobody.
            let offered = offer.rows.iter().map(|row| row.id.clone());
            let lost = self.lost.iter().cloned();
            self.forget_all_but(&ask.except.into_iter().chain(lost).chain(offered).collect());
        }
        let mut left = !self.resting.is_empty() || !self.waiting.is_empty();
        for row in offer.rows {
            let how = goes_on(&row);
            left |= self.consider(row, how);
        }
        Ok(left)
    }

    /// Takes a run, if it can be taken now. Returns whether there is anything to do about it, now or later.
    fn consider(&mut self, row: RunRow, how: ResumeBy) -> bool {
        if self.active.contains_key(&row.id) {
            return false;
        }
        if let Some((seq, until)) = self.stuck.get_mut(&row.id) {
            if *seq == row.seq {
                *until = Instant::now() + STORE_WAIT;
                return false;
            }
            self.stuck.remove(&row.id);
        }
        // By its own clock it may be too early, however often it is offered. What has come is there already.
        let now = self.engine.shared.clock.now();
        let early = row.due_at.is_some_and(|due| due > now);
        if early && stop_of(&row) != Some(StopCode::Ready) {
            let rest = (Instant::now() + SWEEP_EVERY, SWEEP_EVERY);
            let resting = self.resting.entry(row.id.clone()).or_insert(rest);
            resting.0 = resting.0.max(rest.0);
        }
        if self.room() > 0 && !self.rests(&row.id) && !self.waits(&row.id) {
            self.take(row, Intent::Resume(how));
        }
        true
    }

    /// Runs that it would not take if they were offered: those that it drives, and those that rest, wait or are stuck.
    fn passed_over(&self) -> BTreeSet<RunId> {
        let now = Instant::now();
        let resting = self.resting.keys().filter(|run| self.rests(run));
        let waiting = self.waiting.keys().filter(|run| self.waits(run));
        let stuck = self.stuck.iter().filter(|(_, (_, until))| *until > now);
        let stuck = stuck.map(|(run, _)| run);
        let all = self.active.keys().chain(resting).chain(waiting);
        all.chain(stuck).cloned().collect()
    }

    /// What is known of runs that nobody has to look after any more.
    fn forget_all_but(&mut self, runs: &BTreeSet<RunId>) {
        self.stuck.retain(|run, _| runs.contains(run));
        self.resting.retain(|run, _| runs.contains(run));
        self.waiting.retain(|run, _| runs.contains(run));
    }

    fn take(&mut self, row: RunRow, intent: Intent<'static>) {
        let control = Control::default();
        self.active.insert(row.id.clone(), control.clone());
        self.waiting.remove(&row.id);
        self.worked.taken += 1;
        let loads = Arc::clone(&self.loads);
        let engine = self.engine.clone();
        let driven = row.clone();
        let task = self.tasks.spawn(async move {
            let options = ResumeOptions::as_started(control);
            let shared = &engine.shared;
            let recorded = match record::load_to_change(shared.store.as_ref(), &row.id).await {
                Ok(recorded) => recorded,
                Err(error) => return Ok(Err(error.into())),
            };
            let permit = loads.admit(shared.plugins.as_ref(), &recorded.state)?;
            let driven = engine.go_on_from(recorded, Some(&row), intent, options, permit);
            Ok(driven.await)
        });
        self.driving.insert(task.id(), driven);
    }

    async fn ended(&mut self, ended: Result<(Id, Ended), JoinError>) {
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(panicked) => panicked.id(),
        };
        let Some(row) = self.driving.remove(&id) else {
            return;
        };
        self.active.remove(&row.id);
        self.asks = true;
        self.ended_since = true;
        self.look_before_idling();
        let result = match ended {
            Ok((_, Ok(result))) => result,
            Ok((_, Err(may_not))) => {
                self.worked.taken -= 1;
                self.waiting.insert(row.id, may_not);
                return;
            }
            Err(panicked) => Err(EngineError::Panicked(panicked.to_string())),
        };
        if result.as_ref().is_ok_and(|report| !report.is_put_off()) {
            self.resting.remove(&row.id);
        } else {
            self.rest(&row.id);
        }
        match result {
            Ok(report) => {
                if row.status == Status::Running {
                    self.worked.recovered += 1;
                }
                if report.is_unsaved() {
                    self.worked.unsaved += 1;
                    let stop = report.stop.as_ref();
                    let trouble = stop.map_or(Trouble::Error(""), Trouble::PutOff);
                    self.hold_off(Some(&row.id), trouble);
                } else {
                    if report.is_put_off()
                        && let Some(stop) = &report.stop
                    {
                        self.tell_once(row.id.as_str(), Trouble::PutOff(stop));
                    }
                    self.store_wait = SWEEP_EVERY;
                    *self.worked.ended.entry(report.status).or_default() += 1;
                }
            }
            // Somebody else was quicker, or moved it: that is final for this worker (B431).
            Err(EngineError::AlreadyRunning { .. } | EngineError::NotResumable { .. }) => {
                self.worked.taken -= 1;
            }
            Err(EngineError::Store(StoreError::Unavailable(reason))) => {
                self.hold_off(None, Trouble::Error(&reason.reason));
            }
            Err(error @ EngineError::ClaimLost { .. }) => {
                let text = error.to_string();
                self.engine
                    .shared
                    .tell_trouble(Some(row.id.as_str()), Trouble::Error(&text));
            }
            // Its driver has put it off, or failed it.
            Err(EngineError::NotBegun { error, .. }) => {
                self.worked.refused += 1;
                self.tell_once(row.id.as_str(), Trouble::Error(&error.to_string()));
            }
            Err(error) => {
                self.worked.refused += 1;
                self.tell_once(row.id.as_str(), Trouble::Error(&error.to_string()));
                let putting_off = AssertUnwindSafe(self.engine.could_not_begin(&row, &error));
                let put_off = putting_off.catch_unwind().await;
                let put_off = put_off.unwrap_or(Err(error));
                if let Err(error) = put_off {
                    self.tell_once(row.id.as_str(), Trouble::Error(&error.to_string()));
                    let until = Instant::now() + STORE_WAIT;
                    self.resting.remove(&row.id);
                    self.stuck.insert(row.id, (row.seq, until));
                }
            }
        }
    }

    /// Lets every run end its step in flight and gives it back; after a while, or when told again, at once.
    async fn drain(&mut self, first: Request) {
        fault::point("drain");
        let control = self.options.control.clone();
        let ask = |active: &BTreeMap<RunId, Control>, demand| {
            for run in active.values() {
                run.ask(Request::new(demand, first.by.as_str()));
            }
        };
        let mut demand = Demand::Release;
        if first.demand >= Demand::ReleaseNow {
            demand = Demand::ReleaseNow;
        }
        ask(&self.active, demand);
        self.presence.leave();
        let grace = tokio::time::sleep(limits::DRAIN_GRACE);
        tokio::pin!(grace);
        while !self.tasks.is_empty() {
            let patient = demand == Demand::Release;
            tokio::select! {
                biased;
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended).await,
                _ = control.asked(Some(Demand::Pause)), if patient => {
                    demand = Demand::ReleaseNow;
                    ask(&self.active, demand);
                }
                () = &mut grace, if patient => {
                    demand = Demand::ReleaseNow;
                    ask(&self.active, demand);
                }
            }
        }
    }

    /// The run is passed over for a while, longer each time in a row.
    fn rest(&mut self, run: &RunId) {
        let wait = match self.resting.get(run) {
            Some((_, wait)) => (*wait * 2).min(STORE_WAIT),
            None => SWEEP_EVERY,
        };
        let rest = (Instant::now() + wait, wait);
        self.resting.insert(run.clone(), rest);
    }

    fn rests(&self, run: &RunId) -> bool {
        let rest = self.resting.get(run);
        rest.is_some_and(|(until, _)| *until > Instant::now())
    }

    /// Whether a run still would only wait for components to be loaded.
    fn waits(&self, run: &RunId) -> bool {
        let source = self.engine.shared.plugins.as_ref();
        let waiting = self.waiting.get(run);
        waiting.is_some_and(|may_not| !self.loads.may_admit(source, may_not))
    }

    /// Whether runs are to be looked over for the times of a clock that was far ahead: now and then, and at once when the wall
    /// clock stepped back far.
    fn corrects_clocks(&mut self) -> bool {
        let clock = &self.engine.shared.clock;
        let (now, passed) = (clock.now(), clock.monotonic());
        if !is_plausible(now) {
            // Once the clock is set, this is the first thing that is done.
            return false;
        }
        let fresh = self.corrected.is_some_and(|(then, since)| {
            let passed = passed.saturating_sub(since);
            passed < CORRECT_EVERY && !is_far_ahead(then.after(passed), now)
        });
        if !fresh {
            self.corrected = Some((now, passed));
        }
        !fresh
    }

    fn tell_once(&mut self, run: &str, trouble: Trouble<'_>) {
        // Saying something again is better than remembering for ever.
        if self.told.len() >= REMEMBERED {
            self.told.clear();
        }
        // Of a run that is put off again and again the number of the try differs each time.
        let what = match trouble {
            Trouble::PutOff(stop) => format!("{}: {}", stop.code(), stop.why.error().unwrap_or("")),
            Trouble::Error(error) => error.to_owned(),
        };
        if self.told.insert((run.to_owned(), what)) {
            self.engine.shared.tell_trouble(Some(run), trouble);
        }
    }
}
