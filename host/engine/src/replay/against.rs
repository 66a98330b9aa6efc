//! The journal against the core, in order, and its attempts beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use milepost_core::decide::{settle, settle_recorded};
use milepost_core::event::{
    AttemptStarted, Entry, Event, LoopEvent, RunEvent, StepEvent, WaitEvent,
};
use milepost_core::frontier::Frontier;
use milepost_core::ids::{Path, RunId};
use milepost_core::json::differences;
use milepost_core::outcome::{ErrorClass, Outcome};
use milepost_core::replay::{
    Divergence, Ending, Origin, check_from, differing, in_the_words_of, origin,
};
use milepost_core::state::RunState;
use serde_json::json;
use tokio::task::{JoinError, JoinSet};

use super::attempt::{Done, Found, Job, not_replayable, outcome_json};
use super::checkpoint::{checkpoint_differs, damaged};
use super::{
    Change, Changed, NotCompared, NotReplayed, Replacing, ReplayOptions, ReplayProgress, Replayed,
    Unstable, at_once,
};
use crate::attempt::{Mode, NoHost};
use crate::carried;
use crate::engine::EngineError;
use crate::engine::driver::panic_text;
use crate::engine::launch::Launch;
use crate::plugin::{LoadedPlugin, PluginSource};
use crate::record::{self, RecordError};
use crate::secrets;
use crate::store::{Store, StoreError};
use crate::workflow::Workflow;

/// Changed attempts that are kept; the others are counted.
const CHANGED: usize = 1_000;
/// Places of each.
const PLACES: usize = 20;
/// Events between two reports of how far it is.
const REPORTED: u64 = 256;

/// Replays one run.
pub(super) async fn record(
    kept: &Arc<dyn Store>,
    plugins: &dyn PluginSource,
    run: &RunId,
    options: ReplayOptions<'_>,
    replacing: &Replacing,
) -> Result<Replayed, EngineError> {
    let store = kept.as_ref();
    let (last, checkpoint) = match record::read(store, run).await {
        Ok(recorded) => (recorded.row.seq, Ok(recorded.state)),
        Err(error @ (RecordError::Checkpoint { .. } | RecordError::Entry { .. })) => {
            let row = store
                .row(run)
                .await?
                .ok_or_else(|| StoreError::NotFound(run.clone()))?;
            let cause = match error {
                RecordError::Checkpoint { cause, .. } => cause.to_string(),
                error => error.to_string(),
            };
            (row.seq, Err(cause))
        }
        Err(error) => return Err(error.into()),
    };
    // Runs of older versions carry no components: what was replaced during such a run, with consent, is gone. Those that it
    // ended with must be there, or a replay would execute nothing and yet find nothing.
    if let Ok(state) = &checkpoint {
        let carried = carried::read(store, plugins, state).await?;
        let (components, _) = carried.components(plugins);
        components.complete()?;
    }
    let mut replayer: Option<Replayer<'_>> = None;
    let mut entries = record::entries(store, run, 0);
    while let Some(entry) = entries.next().await {
        let entry = match entry {
            Ok(entry) => entry,
            // A damaged event is a finding about the run, not a failure of the replay; what stands before it was replayed.
            Err(RecordError::Entry { seq, cause, .. }) => {
                let found = damaged(seq, "unreadable", &cause.to_string());
                return match replayer {
                    Some(replayer) => replayer.differs(found).await,
                    None => Ok(at_once_damaged(run, found)),
                };
            }
            Err(error) => return Err(error.into()),
        };
        // A run that moves on meanwhile is replayed up to the checkpoint that was read.
        if entry.seq > last {
            break;
        }
        let Some(replayer) = &mut replayer else {
            match RunState::create(&entry) {
                Ok(state) => {
                    let new = Replayer::new(kept, plugins, options, replacing, state, last);
                    replayer = Some(new.await?);
                }
                Err(rejected) => {
                    let cause = rejected.to_string();
                    let found = damaged(entry.seq, entry.event.name(), &cause);
                    return Ok(at_once_damaged(run, found));
                }
            }
            continue;
        };
        let refused = replayer.entry(&entry).await?;
        if refused.is_some() || replayer.diverged() {
            return replayer.ended(refused).await;
        }
    }
    let folded = replayer.as_ref().map_or(0, |replayer| replayer.state.seq());
    let Some(mut replayer) = replayer.filter(|_| folded == last) else {
        let cause = format!("the journal ends after event {folded}, the run has {last}");
        return Ok(at_once_damaged(run, damaged(folded + 1, "missing", &cause)));
    };
    replayer.finish().await?;
    if replayer.diverged() {
        return replayer.ended(None).await;
    }
    replayer.lose_started("it has no outcome");
    let differs = match checkpoint {
        Ok(state) => checkpoint_differs(&replayer.state, &state),
        Err(cause) => Some(damaged(replayer.state.seq(), "checkpoint", &cause)),
    };
    Ok(Replayed {
        divergence: differs,
        ..replayer.found()
    })
}

/// Nothing but that.
fn at_once_damaged(run: &RunId, found: Box<Divergence>) -> Replayed {
    Replayed {
        divergence: Some(found),
        ..Replayed::nothing(run)
    }
}

struct Replayer<'a> {
    store: &'a Arc<dyn Store>,
    plugins: &'a dyn PluginSource,
    options: ReplayOptions<'a>,
    replacing: &'a Replacing,
    /// Those of them that the run uses, by the names that it has for what they replace.
    replaced: BTreeMap<String, LoadedPlugin>,
    workflow: Workflow,
    /// Components that are nowhere any more.
    gone: BTreeSet<String>,
    state: RunState,
    frontier: Frontier,
    last: u64,
    /// Attempts that were started and have no outcome yet.
    started: BTreeMap<(Path, u32), Launch>,
    flying: JoinSet<Done>,
    /// How many of them there may be.
    at_once: usize,
    /// Events that ended the attempts that were executed.
    executed: Vec<u64>,
    skipped: Vec<(u64, NotReplayed)>,
    not_compared: Vec<NotCompared>,
    changed: Vec<Changed>,
    more_changed: u64,
    unstable: Vec<(u64, Unstable)>,
    /// The first of the divergences found so far, by the event at which it is.
    first: Option<Box<Divergence>>,
}

impl<'a> Replayer<'a> {
    async fn new(
        store: &'a Arc<dyn Store>,
        plugins: &'a dyn PluginSource,
        options: ReplayOptions<'a>,
        replacing: &'a Replacing,
        state: RunState,
        last: u64,
    ) -> Result<Self, EngineError> {
        let (workflow, gone, replaced) = link(store.as_ref(), plugins, &state, replacing).await?;
        Ok(Self {
            store,
            plugins,
            options,
            replacing,
            replaced,
            workflow,
            gone,
            frontier: Frontier::default(),
            last,
            started: BTreeMap::new(),
            flying: JoinSet::new(),
            at_once: at_once(),
            executed: Vec::new(),
            skipped: Vec::new(),
            not_compared: Vec::new(),
            changed: Vec::new(),
            more_changed: 0,
            unstable: Vec::new(),
            first: None,
            state,
        })
    }

    async fn link(&mut self) -> Result<(), EngineError> {
        (self.workflow, self.gone, self.replaced) = link(
            self.store.as_ref(),
            self.plugins,
            &self.state,
            self.replacing,
        )
        .await?;
        Ok(())
    }

    const fn diverged(&self) -> bool {
        self.first.is_some()
    }

    /// What was found, all attempts included.
    fn found(mut self) -> Replayed {
        self.skipped.sort_by_key(|(seq, _)| *seq);
        self.changed.sort_by_key(|changed| changed.seq);
        self.unstable.sort_by_key(|(seq, _)| *seq);
        Replayed {
            run: self.state.created().run.clone(),
            events: self.state.seq(),
            attempts: self.executed.len() as u64,
            not_replayed: self.skipped.into_iter().map(|(_, it)| it).collect(),
            not_compared: self.not_compared,
            divergence: None,
            changed: self.changed,
            more_changed: self.more_changed,
            unstable: self.unstable.into_iter().map(|(_, it)| it).collect(),
            children: Vec::new(),
        }
    }

    /// The record ends at a divergence.
    async fn differs(mut self, refused: Box<Divergence>) -> Result<Replayed, EngineError> {
        self.ended(Some(refused)).await
    }

    /// The same, or at one that an attempt has found. Which attempts ended before does not matter: what stands behind the first
    /// divergence does not count.
    async fn ended(&mut self, refused: Option<Box<Divergence>>) -> Result<Replayed, EngineError> {
        self.finish().await?;
        let first = match (self.first.take(), refused) {
            // An outcome that differs is found before its event is checked.
            (Some(outcome), Some(refused)) if outcome.seq <= refused.seq => outcome,
            (_, Some(refused)) => refused,
            (Some(outcome), None) => outcome,
            (None, None) => return Ok(Replayed::nothing(&self.state.created().run)),
        };
        let seq = first.seq;
        let upto = |at: u64| at <= seq;
        let skipped = self.skipped.iter().filter(|(at, _)| upto(*at));
        let unstable = self.unstable.iter().filter(|(at, _)| upto(*at));
        let changed = self.changed.iter().filter(|changed| upto(changed.seq));
        Ok(Replayed {
            run: self.state.created().run.clone(),
            events: seq - 1,
            attempts: self.executed.iter().filter(|at| upto(**at)).count() as u64,
            not_replayed: skipped.map(|(_, it)| it.clone()).collect(),
            not_compared: self.not_compared.clone(),
            divergence: Some(first),
            changed: changed.cloned().collect(),
            more_changed: 0,
            unstable: unstable.map(|(_, it)| it.clone()).collect(),
            children: Vec::new(),
        })
    }

    async fn entry(&mut self, entry: &Entry) -> Result<Option<Box<Divergence>>, EngineError> {
        if let Origin::Attempt(ending) = origin(&entry.event) {
            self.begin(entry, ending).await?;
        }
        if let Err(divergence) = check_from(
            &mut self.frontier,
            &self.workflow.definition,
            &mut self.state,
            entry,
        ) && !self.is_taken_on_trust(entry)
        {
            return Ok(Some(divergence));
        }
        if entry.seq.is_multiple_of(REPORTED) {
            self.report();
        }
        match &entry.event {
            Event::Step {
                path,
                event:
                    StepEvent::Started(AttemptStarted {
                        attempt,
                        input,
                        seed,
                        timeout_millis,
                    }),
            } => {
                let started = Launch {
                    seq: entry.seq,
                    path: path.clone(),
                    attempt: *attempt,
                    input: input.value(),
                    seed: *seed,
                    timeout: Duration::from_millis(*timeout_millis),
                    at: entry.at,
                };
                self.started.insert((path.clone(), *attempt), started);
            }
            Event::Run(RunEvent::Claimed { .. } | RunEvent::Released { .. }) => {
                for ((path, attempt), _) in std::mem::take(&mut self.started) {
                    self.skip(
                        entry.seq,
                        &path,
                        attempt,
                        "its process was lost before it had an outcome",
                    );
                }
            }
            Event::Step {
                path,
                event: StepEvent::Interrupted { attempt },
            } => {
                // Waits end so as well, and pauses, whose attempt has an outcome.
                if self.started.remove(&(path.clone(), *attempt)).is_some() {
                    self.skip(
                        entry.seq,
                        path,
                        *attempt,
                        "it was interrupted and has no outcome",
                    );
                }
            }
            Event::Run(RunEvent::DefinitionChanged(_)) => {
                self.link().await?;
            }
            Event::Run(
                RunEvent::Finishing { .. }
                | RunEvent::FinallyStarted
                | RunEvent::Created(_)
                | RunEvent::Resumed(_)
                | RunEvent::Postponed { .. }
                | RunEvent::Held { .. }
                | RunEvent::ClockCorrected { .. }
                | RunEvent::Paused { .. }
                | RunEvent::Completed { .. }
                | RunEvent::Failed { .. }
                | RunEvent::Compensating { .. }
                | RunEvent::Cancelled { .. },
            )
            | Event::Step {
                event:
                    StepEvent::Completed { .. }
                    | StepEvent::AttemptFailed { .. }
                    | StepEvent::Failed { .. }
                    | StepEvent::Paused { .. }
                    | StepEvent::Continued
                    | StepEvent::DeadlineSet { .. }
                    | StepEvent::Ends { .. }
                    | StepEvent::Skipped { .. }
                    | StepEvent::Wait(
                        WaitEvent::Started { .. }
                        | WaitEvent::Ended { .. }
                        | WaitEvent::SignalReceived { .. }
                        | WaitEvent::ApprovalDecided { .. }
                        | WaitEvent::ChildEnded { .. },
                    )
                    | StepEvent::Loop(
                        LoopEvent::IterationStarted { .. }
                        | LoopEvent::IterationEnded { .. }
                        | LoopEvent::Completed { .. },
                    )
                    | StepEvent::ForEach(_),
                ..
            } => {}
        }
        Ok(None)
    }

    /// Whether values of the run were replaced when it was exported, and the entry can follow all the same: what was decided by them
    /// cannot be decided again.
    fn is_taken_on_trust(&mut self, entry: &Entry) -> bool {
        let follows = self.is_redacted() && self.state.apply(entry).is_ok();
        if follows {
            self.frontier = Frontier::default();
            self.not_compared.push(NotCompared {
                seq: entry.seq,
                event: entry.event.name().to_owned(),
                path: entry.event.path().cloned(),
            });
        }
        follows
    }

    fn is_redacted(&self) -> bool {
        !self.state.created().redacted.is_empty()
    }

    fn report(&self) {
        if let Some(progress) = self.options.progress {
            progress(ReplayProgress {
                run: self.state.created().run.clone(),
                events: self.state.seq(),
                of: self.last,
                attempts: (self.executed.len() - self.flying.len()) as u64,
            });
        }
    }

    fn lose_started(&mut self, reason: &str) {
        let seq = self.state.seq();
        for (path, attempt) in std::mem::take(&mut self.started).into_keys() {
            self.skip(seq, &path, attempt, reason);
        }
    }

    fn skip(&mut self, seq: u64, path: &Path, attempt: u32, reason: &str) {
        if !self.is_meant(path) {
            return;
        }
        let skipped = NotReplayed {
            path: path.clone(),
            attempt,
            reason: reason.to_owned(),
        };
        self.skipped.push((seq, skipped));
    }

    /// Whether attempts at that path are to be executed.
    fn is_meant(&self, path: &Path) -> bool {
        if self.options.only.is_some_and(|only| only != path) {
            return false;
        }
        self.options.with.is_none() || self.replacement(path).is_some()
    }

    /// The name of the component there, where another one takes its place.
    fn replacement(&self, path: &Path) -> Option<String> {
        let step = self.workflow.definition.step(path.step())?;
        let plugin = step.callee(path)?.plugin;
        let replaced = self.replaced.contains_key(plugin);
        replaced.then(|| plugin.to_owned())
    }

    /// Executes an attempt again: beside the journal where there is room, or at once.
    async fn begin(&mut self, entry: &Entry, ending: Ending) -> Result<(), EngineError> {
        let Ending {
            path,
            attempt,
            outcome,
            tape,
        } = ending;
        // An outcome without a start is for `check` to refuse.
        let Some(started) = self.started.remove(&(path.clone(), attempt)) else {
            return Ok(());
        };
        if !self.is_meant(&path) {
            return Ok(());
        }
        if let Some(reason) = not_replayable(&outcome, &tape) {
            self.skip(entry.seq, &path, attempt, &reason);
            return Ok(());
        }
        let step = self.workflow.definition.step(path.step());
        if let Some(callee) = step.and_then(|step| step.callee(&path))
            && self.gone.contains(callee.plugin)
        {
            let reason = format!("its component `{}` was replaced since", callee.plugin);
            self.skip(entry.seq, &path, attempt, &reason);
            return Ok(());
        }
        let prepared = started.prepare(&self.workflow, &self.state, Arc::new(NoHost), Mode::Live);
        let Some((callable, call)) = prepared else {
            let reason = "the definition has no such component step";
            self.skip(entry.seq, &path, attempt, reason);
            return Ok(());
        };
        let call = match secrets::give_again(self.options.secrets, call, &tape).await {
            Ok(call) => call,
            Err(reason) => {
                self.skip(entry.seq, &path, attempt, &reason);
                return Ok(());
            }
        };
        self.executed.push(entry.seq);
        let replaced = self.replacement(&path);
        let job = Job {
            store: Arc::clone(self.store),
            run: self.state.created().run.clone(),
            entry: entry.clone(),
            path,
            attempt,
            outcome,
            tape,
            definition: Arc::clone(&self.workflow.definition),
            callable,
            call,
            replaced,
            redacted: self.is_redacted(),
            verify: self.options.verify,
        };
        while let Some(landed) = self.flying.try_join_next() {
            self.landed(landed).await?;
        }
        if self.flying.len() < self.at_once {
            self.flying.spawn(job.execute());
            return Ok(());
        }
        // Most attempts take less time than to fall asleep and be woken: whoever reads the journal lends a hand instead.
        let executed = AssertUnwindSafe(job.execute()).catch_unwind().await;
        match executed {
            Ok(done) => self.judge(done).await,
            Err(panic) => Err(EngineError::Panicked(panic_text(panic.as_ref()))),
        }
    }

    /// Waits for all attempts.
    async fn finish(&mut self) -> Result<(), EngineError> {
        while !self.flying.is_empty() {
            self.land().await?;
        }
        self.report();
        Ok(())
    }

    /// Waits for an attempt to end.
    async fn land(&mut self) -> Result<(), EngineError> {
        match self.flying.join_next().await {
            Some(landed) => self.landed(landed).await,
            None => Ok(()),
        }
    }

    async fn landed(&mut self, landed: Result<Done, JoinError>) -> Result<(), EngineError> {
        match landed {
            Ok(done) => self.judge(done).await,
            Err(error) => Err(EngineError::Panicked(error.to_string())),
        }
    }

    async fn judge(&mut self, Done { job, found }: Done) -> Result<(), EngineError> {
        let plugin = job.replaced.clone();
        let divergence = match (found, plugin) {
            (Found::Same, _) => return Ok(()),
            (Found::Not(reason), _) => {
                self.executed.retain(|seq| *seq != job.entry.seq);
                self.skip(job.entry.seq, &job.path, job.attempt, &reason);
                return Ok(());
            }
            (Found::Unstable(unstable), _) => {
                self.unstable.push((job.entry.seq, unstable));
                return Ok(());
            }
            (Found::Damaged(cause), _) => {
                let mut found = damaged(job.entry.seq, job.entry.event.name(), &cause);
                found.path = Some(job.path.clone());
                found
            }
            (Found::Call(call), Some(plugin)) => {
                let how = Change::Unanswered {
                    index: call.index,
                    recorded: call.recorded,
                    actual: call.actual,
                };
                self.change(&job, plugin, how);
                return Ok(());
            }
            (Found::Call(call), None) => {
                let recorded = json!({ "tape": [call.recorded] });
                let actual = json!({ "tape": [call.actual] });
                let mut found = differing(&job.entry, &recorded, &actual);
                found.field = format!("/tape/entries/{}", call.index);
                found
            }
            (Found::Outcome(outcome), Some(plugin)) => {
                if !same_but_for_words(&job.outcome, &outcome) {
                    let (recorded, actual) = (outcome_json(&job.outcome), outcome_json(&outcome));
                    let places = differences(&recorded, &actual, PLACES);
                    self.change(&job, plugin, Change::Outcome(places));
                }
                return Ok(());
            }
            (Found::Outcome(outcome), None) => match self.classify(&job, &outcome).await? {
                Some(found) => found,
                None => return Ok(()),
            },
        };
        if self
            .first
            .as_ref()
            .is_none_or(|first| divergence.seq < first.seq)
        {
            self.first = Some(divergence);
        }
        Ok(())
    }

    fn change(&mut self, job: &Job, plugin: String, how: Change) {
        if self.changed.len() >= CHANGED {
            self.more_changed += 1;
            return;
        }
        self.changed.push(Changed {
            seq: job.entry.seq,
            path: job.path.clone(),
            attempt: job.attempt,
            plugin,
            how,
        });
    }

    /// Judges another outcome than the recorded one. Through the core, as it was recorded: what the host made of an outcome (a run
    /// that grew too large, a cancellation) is made of it again, and no code that a guest may choose is taken at its word. The state
    /// of that time is folded again: this is rare, and the run has moved on.
    async fn classify(
        &self,
        job: &Job,
        actual: &Outcome,
    ) -> Result<Option<Box<Divergence>>, EngineError> {
        let before = self.state_before(job.entry.seq).await?;
        let Some(state) = before else {
            return Ok(None);
        };
        let classify = |measured: bool| {
            let how = if measured { settle } else { settle_recorded };
            how(
                &job.definition,
                &state,
                &job.path,
                job.attempt,
                actual.clone(),
                job.tape.clone(),
                job.entry.at,
            )
        };
        // What was recorded had room in the run's state, as it was measured then; what had none has none today.
        let again = in_the_words_of(&job.entry.event, classify(true));
        let recorded = in_the_words_of(&job.entry.event, classify(false));
        if again == job.entry.event || recorded == job.entry.event {
            return Ok(None);
        }
        let (recorded, actual) = (outcome_json(&job.outcome), outcome_json(actual));
        Ok(Some(if recorded == actual {
            differing(&job.entry, &json!(job.entry.event), &json!(again))
        } else {
            differing(&job.entry, &recorded, &actual)
        }))
    }

    async fn state_before(&self, seq: u64) -> Result<Option<RunState>, EngineError> {
        let run = &self.state.created().run;
        let mut entries = record::entries(self.store.as_ref(), run, 0);
        let mut state: Option<RunState> = None;
        while let Some(entry) = entries.next().await.transpose()? {
            if entry.seq >= seq {
                break;
            }
            state = match state {
                None => RunState::create(&entry).ok(),
                Some(mut state) => state.apply(&entry).is_ok().then_some(state),
            };
            if state.is_none() {
                break;
            }
        }
        Ok(state)
    }
}

/// Whether two outcomes differ in nothing but what the host says of them, such as the backtrace of a trap.
fn same_but_for_words(recorded: &Outcome, actual: &Outcome) -> bool {
    match (recorded, actual) {
        (Outcome::Failed(said), Outcome::Failed(says)) => {
            let of_the_plugin = matches!(said.class, ErrorClass::Retryable | ErrorClass::Failed);
            !of_the_plugin && (said.class, &said.code) == (says.class, &says.code)
        }
        (recorded, actual) => recorded == actual,
    }
}

/// The workflow as the run carried it then, the names of the components that are nowhere any more, and the components that take
/// the places of others.
async fn link(
    store: &dyn Store,
    plugins: &dyn PluginSource,
    state: &RunState,
    replacing: &Replacing,
) -> Result<(Workflow, BTreeSet<String>, BTreeMap<String, LoadedPlugin>), EngineError> {
    let carried = carried::read(store, plugins, state).await?;
    let (components, text) = carried.components(plugins);
    let mut gone: BTreeSet<String> = components.refused().cloned().collect();
    let bound = state.binding().plugins.iter();
    let replaced: BTreeMap<String, LoadedPlugin> = bound
        .filter_map(|(name, digest)| {
            let by_name = replacing.by_name.get(name);
            let plugin = match replacing.by_name.is_empty() {
                true => replacing.by_digest.get(digest),
                false => by_name,
            };
            Some((name.clone(), plugin?.clone()))
        })
        .collect();
    gone.retain(|name| !replaced.contains_key(name));
    let workflow = components.relink(&text)?.replacing(&replaced);
    Ok((workflow, gone, replaced))
}
