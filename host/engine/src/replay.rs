//! Replay of a recorded run: folds the journal, checks that the core allows every event, and executes every attempt again
//! with its recorded input, seed and tape. No clock, no network, no side effect: the store is only read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use milepost_core::decide::{settle, settle_recorded};
use milepost_core::event::{
    AttemptStarted, Entry, Event, LoopEvent, RunEvent, StepEvent, WaitEvent,
};
use milepost_core::frontier::Frontier;
use milepost_core::ids::{Digest, Path, RunId};
use milepost_core::outcome::{ErrorClass, Outcome, codes};
use milepost_core::replay::{
    Divergence, Ending, Origin, check_from, differing, first_difference, in_the_words_of, origin,
};
use milepost_core::state::RunState;
use milepost_core::tape::Tape;
use serde_json::{Value, json};

use crate::attempt::{AttemptHost, BoxFuture, Call, LogLine, Mode, NoHost, Progress};
use crate::bundle::MARKER;
use crate::carried;
use crate::engine::EngineError;
use crate::engine::attempt_host::read_artifact;
use crate::engine::launch::Launch;
use crate::plugin::{Once, PluginSource};
use crate::record::{self, RecordError};
use crate::secrets::{self, NoSecrets, SecretSource};
use crate::store::{Family, Filter, Pages, Store, StoreError};
use crate::wasm::HostError;
use crate::workflow::Workflow;

/// How much longer than its timeout an attempt may take when it is executed again.
const PATIENCE: u32 = 10;

/// What a replay found.
#[derive(Debug, Clone, PartialEq)]
pub struct Replayed {
    /// The run.
    pub run: RunId,
    /// Events checked.
    pub events: u64,
    /// Attempts executed again.
    pub attempts: u64,
    /// Attempts that cannot be executed again, with the reason: no outcome was recorded, the tape outgrew its bound, a
    /// timeout depends on the machine, this machine is too slow.
    pub not_replayed: Vec<NotReplayed>,
    /// Decisions that were not compared, because values that they depend on were replaced when the run was exported.
    pub not_compared: Vec<NotCompared>,
    /// The first place where record and replay differ; null when there is none.
    pub divergence: Option<Box<Divergence>>,
    /// The runs that it has started and that are there, in the order in which they began.
    pub children: Vec<Replayed>,
}

impl Replayed {
    /// Whether nothing differs, in its children neither.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.divergence.is_none() && self.children.iter().all(Self::is_same)
    }
}

/// An attempt that was not executed again.
#[derive(Debug, Clone, PartialEq)]
pub struct NotReplayed {
    /// The execution.
    pub path: Path,
    /// Which attempt.
    pub attempt: u32,
    /// Why not.
    pub reason: String,
}

/// A decision that was not compared with its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotCompared {
    /// Position of the event.
    pub seq: u64,
    /// Its name.
    pub event: String,
    /// The execution, if it is about one.
    pub path: Option<Path>,
}

/// Replays a run; one that moves, up to where it is seen first.
///
/// # Errors
/// [`EngineError`] when the record or a component cannot be read. A divergence is not an error but the result.
pub async fn replay(
    store: &Arc<dyn Store>,
    plugins: &dyn PluginSource,
    run: &RunId,
) -> Result<Replayed, EngineError> {
    replay_with(store, plugins, &NoSecrets, run).await
}

/// The same where secrets have values: attempts whose outcome depends on them are executed again, too.
///
/// # Errors
/// As [`replay`].
pub async fn replay_with(
    store: &Arc<dyn Store>,
    plugins: &dyn PluginSource,
    secrets: &dyn SecretSource,
    run: &RunId,
) -> Result<Replayed, EngineError> {
    // However often the definition was changed, each component is loaded once.
    let plugins = Once::new(plugins);
    let answer = with_children(store, &plugins, secrets, run).await;
    let same = matches!(&answer, Ok(replayed) if replayed.is_same());
    // A run that was removed meanwhile does not differ from its record: it has none any more.
    if !same && matches!(store.row(run).await, Ok(None)) {
        return Err(StoreError::NotFound(run.clone()).into());
    }
    answer
}

/// The run, and whatever it has started, one after the other.
fn with_children<'a>(
    store: &'a Arc<dyn Store>,
    plugins: &'a dyn PluginSource,
    secrets: &'a dyn SecretSource,
    run: &'a RunId,
) -> BoxFuture<'a, Result<Replayed, EngineError>> {
    Box::pin(async move {
        let mut replayed = against_record(store, plugins, secrets, run).await?;
        let mut pages = Pages::of(Filter {
            family: Family::ChildrenOf(run.clone()),
            ..Filter::default()
        });
        let mut children = Vec::new();
        while let Some(page) = pages.next(store.as_ref()).await? {
            children.extend(page.rows.into_iter().map(|row| row.id));
        }
        // The newest come first.
        for child in children.into_iter().rev() {
            replayed
                .children
                .push(with_children(store, plugins, secrets, &child).await?);
        }
        Ok(replayed)
    })
}

async fn against_record(
    kept: &Arc<dyn Store>,
    plugins: &dyn PluginSource,
    secrets: &dyn SecretSource,
    run: &RunId,
) -> Result<Replayed, EngineError> {
    let store = kept.as_ref();
    let (last, checkpoint) = match record::read(store, run).await {
        Ok(recorded) => (recorded.row.seq, Ok(recorded.state)),
        Err(RecordError::Checkpoint { cause, .. }) => {
            let row = store
                .row(run)
                .await?
                .ok_or_else(|| StoreError::NotFound(run.clone()))?;
            (row.seq, Err(cause.to_string()))
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
                let mut found = replayer.map_or_else(|| Replayed::nothing(run), |r| r.found);
                found.divergence = Some(damaged(seq, "unreadable", &cause.to_string()));
                return Ok(found);
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
                    replayer = Some(Replayer::new(kept, plugins, secrets, state).await?);
                }
                Err(rejected) => {
                    let mut found = Replayed::nothing(run);
                    let cause = rejected.to_string();
                    found.divergence = Some(damaged(entry.seq, entry.event.name(), &cause));
                    return Ok(found);
                }
            }
            continue;
        };
        if let Some(divergence) = replayer.entry(&entry).await? {
            let mut found = replayer.found.clone();
            found.divergence = Some(divergence);
            return Ok(found);
        }
    }
    let folded = replayer.as_ref().map_or(0, |replayer| replayer.state.seq());
    let Some(mut replayer) = replayer.filter(|_| folded == last) else {
        let mut found = Replayed::nothing(run);
        let cause = format!("the journal ends after event {folded}, the run has {last}");
        found.divergence = Some(damaged(folded + 1, "missing", &cause));
        return Ok(found);
    };
    replayer.lose_started("it has no outcome");
    Ok(Replayed {
        divergence: match checkpoint {
            Ok(state) => checkpoint_differs(&replayer.state, &state),
            Err(cause) => Some(damaged(replayer.state.seq(), "checkpoint", &cause)),
        },
        ..replayer.found
    })
}

impl Replayed {
    fn nothing(run: &RunId) -> Self {
        Self {
            run: run.clone(),
            events: 0,
            attempts: 0,
            not_replayed: Vec::new(),
            not_compared: Vec::new(),
            divergence: None,
            children: Vec::new(),
        }
    }
}

struct Replayer<'a> {
    store: &'a Arc<dyn Store>,
    plugins: &'a dyn PluginSource,
    secrets: &'a dyn SecretSource,
    workflow: Workflow,
    /// Components that are nowhere any more.
    gone: BTreeSet<String>,
    state: RunState,
    frontier: Frontier,
    /// Attempts that were started and have no outcome yet.
    started: BTreeMap<(Path, u32), Launch>,
    found: Replayed,
}

impl<'a> Replayer<'a> {
    async fn new(
        store: &'a Arc<dyn Store>,
        plugins: &'a dyn PluginSource,
        secrets: &'a dyn SecretSource,
        state: RunState,
    ) -> Result<Self, EngineError> {
        let (workflow, gone) = link(store.as_ref(), plugins, &state).await?;
        Ok(Self {
            store,
            plugins,
            secrets,
            workflow,
            gone,
            frontier: Frontier::default(),
            started: BTreeMap::new(),
            found: Replayed {
                run: state.created().run.clone(),
                events: 1,
                attempts: 0,
                not_replayed: Vec::new(),
                not_compared: Vec::new(),
                divergence: None,
                children: Vec::new(),
            },
            state,
        })
    }

    async fn entry(&mut self, entry: &Entry) -> Result<Option<Box<Divergence>>, EngineError> {
        if let Origin::Attempt(ending) = origin(&entry.event)
            && let Some(divergence) = self.execute(entry, &ending).await
        {
            return Ok(Some(divergence));
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
        self.found.events += 1;
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
                    self.skip(path, *attempt, "it was interrupted and has no outcome");
                }
            }
            Event::Run(RunEvent::DefinitionChanged(_)) => {
                (self.workflow, self.gone) =
                    link(self.store.as_ref(), self.plugins, &self.state).await?;
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
        let redacted = !self.state.created().redacted.is_empty();
        let follows = redacted && self.state.apply(entry).is_ok();
        if follows {
            self.frontier = Frontier::default();
            self.found.not_compared.push(NotCompared {
                seq: entry.seq,
                event: entry.event.name().to_owned(),
                path: entry.event.path().cloned(),
            });
        }
        follows
    }

    /// Whether a value that the attempt was given, or gave, was replaced when the run was exported.
    fn is_redacted(&self, call: &Call, outcome: &Outcome, tape: &Tape) -> bool {
        if self.state.created().redacted.is_empty() {
            return false;
        }
        let texts = [
            call.input.to_string(),
            outcome_json(outcome).to_string(),
            format!("{:?} {:?}", call.outputs, call.resume_state),
            format!("{:?} {:?}", call.resume_signal, tape.entries),
        ];
        texts.iter().any(|text| text.contains(MARKER))
    }

    /// Puts the host calls that are kept apart into a tape.
    async fn complete(&self, tape: &mut Tape) -> Result<(), String> {
        let Some(kept) = &tape.kept else {
            return Ok(());
        };
        let run = &self.state.created().run;
        let entries = record::tape(self.store.as_ref(), run, kept.started).await;
        tape.put_back(entries.map_err(|error| error.to_string())?)
    }

    fn lose_started(&mut self, reason: &str) {
        for (path, attempt) in std::mem::take(&mut self.started).into_keys() {
            self.skip(&path, attempt, reason);
        }
    }

    fn skip(&mut self, path: &Path, attempt: u32, reason: &str) {
        self.found.not_replayed.push(NotReplayed {
            path: path.clone(),
            attempt,
            reason: reason.to_owned(),
        });
    }

    /// Executes an attempt again and compares its outcome with the recorded one.
    async fn execute(&mut self, entry: &Entry, ending: &Ending) -> Option<Box<Divergence>> {
        let Ending {
            path,
            attempt,
            outcome,
            tape,
        } = ending;
        // An outcome without a start is for `check` to refuse.
        let started = self.started.remove(&(path.clone(), *attempt))?;
        if let Some(reason) = not_replayable(outcome, tape) {
            self.skip(path, *attempt, &reason);
            return None;
        }
        let definition = &self.workflow.definition;
        let step = definition.step(path.step());
        if let Some(callee) = step.and_then(|step| step.callee(path))
            && self.gone.contains(callee.plugin)
        {
            let reason = format!("its component `{}` was replaced since", callee.plugin);
            self.skip(path, *attempt, &reason);
            return None;
        }
        let mut full = tape.clone();
        if let Err(cause) = self.complete(&mut full).await {
            let mut found = damaged(entry.seq, entry.event.name(), &cause);
            found.path = Some(path.clone());
            return Some(found);
        }
        let host = Arc::new(Beside(Arc::clone(self.store)));
        let full = Arc::new(full);
        let mode = Mode::Replay(Arc::clone(&full));
        let prepared = started.prepare(&self.workflow, &self.state, host, mode);
        let Some((callable, call)) = prepared else {
            self.skip(path, *attempt, "the definition has no such component step");
            return None;
        };
        if self.is_redacted(&call, outcome, &full) {
            self.skip(
                path,
                *attempt,
                "values of it were replaced when the run was exported",
            );
            return None;
        }
        let call = match secrets::give_again(self.secrets, call, tape).await {
            Ok(call) => call,
            Err(reason) => {
                self.skip(path, *attempt, &reason);
                return None;
            }
        };
        // What it came to in time then, a slower machine, or one that was asleep, may take longer for.
        let call = Call {
            timeout: call.timeout.saturating_mul(PATIENCE),
            idle_timeout: None,
            ..call
        };
        let result = callable.call(call).await;
        if let Outcome::Failed(error) = &result.outcome
            && error.class == ErrorClass::Timeout
        {
            let reason = format!("it was not over after {PATIENCE} times its timeout");
            self.skip(path, *attempt, &reason);
            return None;
        }
        self.found.attempts += 1;
        if let Outcome::Failed(error) = &result.outcome
            && (error.class, &*error.code) == (ErrorClass::Host, codes::DAMAGED)
        {
            // The component did nothing else than then: what it reads is not there any more.
            let cause = error.message.lines().next().unwrap_or_default();
            let mut found = damaged(entry.seq, entry.event.name(), cause);
            found.path = Some(path.clone());
            return Some(found);
        }
        if let Some(divergence) = result.divergence {
            let recorded = json!({ "tape": [divergence.recorded] });
            let actual = json!({ "tape": [divergence.actual] });
            let mut found = differing(entry, &recorded, &actual);
            found.field = format!("/tape/entries/{}", divergence.index);
            return Some(found);
        }
        // Through the core, as it was recorded: what the host made of an outcome (a run that grew too large, a
        // cancellation) is made of it again, and no code that a guest may choose is taken at its word.
        let classify = |measured: bool| {
            let how = if measured { settle } else { settle_recorded };
            how(
                &self.workflow.definition,
                &self.state,
                path,
                *attempt,
                result.outcome.clone(),
                tape.clone(),
                entry.at,
            )
        };
        // What was recorded had room in the run's state, as it was measured then; what had none has none today.
        let again = in_the_words_of(&entry.event, classify(true));
        let recorded = in_the_words_of(&entry.event, classify(false));
        if again == entry.event || recorded == entry.event {
            return None;
        }
        let (recorded, actual) = (outcome_json(outcome), outcome_json(&result.outcome));
        Some(if recorded == actual {
            differing(entry, &json!(entry.event), &json!(again))
        } else {
            differing(entry, &recorded, &actual)
        })
    }
}

/// The host of an attempt that is executed again: it has the bodies that are kept beside the tape, and nothing else.
struct Beside(Arc<dyn Store>);

impl AttemptHost for Beside {
    fn log<'a>(&'a self, line: &'a LogLine) -> BoxFuture<'a, ()> {
        NoHost.log(line)
    }

    fn progress<'a>(&'a self, progress: &'a Progress) -> BoxFuture<'a, ()> {
        NoHost.progress(progress)
    }

    fn cancel_requested(&self) -> BoxFuture<'_, bool> {
        NoHost.cancel_requested()
    }

    fn cancelled(&self) -> BoxFuture<'_, ()> {
        NoHost.cancelled()
    }

    fn read_artifact<'a>(
        &'a self,
        digest: &'a Digest,
        offset: u64,
        max: usize,
    ) -> BoxFuture<'a, Result<Vec<u8>, HostError>> {
        Box::pin(read_artifact(self.0.as_ref(), digest, offset, max))
    }

    fn blob<'a>(&'a self, digest: &'a Digest) -> BoxFuture<'a, Option<Vec<u8>>> {
        Box::pin(async move { self.0.blob(digest).await.ok().flatten() })
    }
}

/// The workflow as the run carried it then, and the names of the components that are nowhere any more.
async fn link(
    store: &dyn Store,
    plugins: &dyn PluginSource,
    state: &RunState,
) -> Result<(Workflow, BTreeSet<String>), EngineError> {
    let carried = carried::read(store, plugins, state).await?;
    let (components, text) = carried.components(plugins);
    let gone = components.refused().cloned().collect();
    Ok((components.relink(&text)?, gone))
}

/// Why an attempt cannot be executed again, if so.
fn not_replayable(outcome: &Outcome, tape: &Tape) -> Option<String> {
    if let Some(reason) = &tape.not_replayable {
        return Some(reason.clone());
    }
    match outcome {
        Outcome::Failed(error) => match error.class {
            ErrorClass::Timeout => Some("a timeout depends on the machine".to_owned()),
            ErrorClass::Host => Some("the host failed, not the component".to_owned()),
            ErrorClass::Failed
            | ErrorClass::Retryable
            | ErrorClass::Trap
            | ErrorClass::Definition
            | ErrorClass::Cancelled => None,
        },
        Outcome::Completed(_) | Outcome::Paused(_) => None,
        Outcome::Cancelled(_) => Some("a cancellation has no outcome".to_owned()),
    }
}

/// Outcomes side by side, under the names of the journal's fields.
fn outcome_json(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Completed(output) => json!({ "output": output }),
        Outcome::Failed(error) => json!({ "error": error }),
        Outcome::Paused(pause) => json!({ "pause": pause }),
        Outcome::Cancelled(message) => json!({ "cancelled": message }),
    }
}

fn damaged(seq: u64, event: &str, cause: &str) -> Box<Divergence> {
    Box::new(Divergence {
        seq,
        event: event.to_owned(),
        path: None,
        field: String::new(),
        recorded: json!(cause),
        actual: json!("a readable record"),
    })
}

/// The checkpoint must be what the journal folds to, but for rejections that its program did not count.
pub(crate) fn checkpoint_differs(
    folded: &RunState,
    checkpoint: &RunState,
) -> Option<Box<Divergence>> {
    if folded == checkpoint {
        return None;
    }
    let mut folded = folded.clone();
    let records = checkpoint.executions().iter();
    for record in records.filter(|record| record.rejections().is_none()) {
        folded.count_rejections(record.path(), None);
    }
    folded.in_the_words_of(checkpoint);
    let folded = &folded;
    if folded == checkpoint {
        return None;
    }
    let parts = |state: &RunState| -> Value {
        let parts = milepost_core::checkpoint::all_parts(state);
        parts
            .into_iter()
            .map(|(name, body)| {
                let body = body.and_then(|body| serde_json::from_str(&body).ok());
                (name, body.unwrap_or(Value::Null))
            })
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let (field, recorded, actual) = first_difference(&parts(checkpoint), &parts(folded))
        .unwrap_or_else(|| (String::new(), json!(checkpoint.seq()), json!(folded.seq())));
    Some(Box::new(Divergence {
        seq: folded.seq(),
        event: "checkpoint".to_owned(),
        path: None,
        field,
        recorded,
        actual,
    }))
}
