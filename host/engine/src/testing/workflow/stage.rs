//! Where a workflow is tested: components behind stubs and mocks, what they did, and where the engine dies.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::pending;
use std::path::Path as FilePath;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use milepost_core::definition::PluginSpec;
use milepost_core::event::{Event, RunEvent, StepEvent};
use milepost_core::ids::{Digest, Path, RunId};
use milepost_core::outcome::{ErrorClass, Outcome, StepError, codes};
use milepost_core::replay::{Origin, origin};
use milepost_core::time::Timestamp;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::clock::TestClock;
use super::stub::{Before, Name, Stub, Stubs};
use crate::attempt::{AttemptHost, BoxFuture, Call, CallResult, Callable, Mode};
use crate::clock::Clock;
use crate::plugin::{ComponentBytes, LoadedPlugin, PluginError, PluginSource};
use crate::record;
use crate::store::memory::MemoryStore;
use crate::testing::world::{self, Answers};
use crate::wasm::{Question, Reply, World};
use crate::workflow::Workflow;

/// A moment after which the engine can be killed.
pub(super) enum Point {
    /// Events are durable.
    Commit {
        run: RunId,
        entries: Vec<(u64, String)>,
    },
    /// An attempt has left something.
    Note { run: RunId, path: String },
    /// A host call was answered.
    Call { name: String, about: String },
}

/// Memos that steps find, by the name of the step and by their key.
pub(crate) type Memos = BTreeMap<String, BTreeMap<String, Value>>;

/// What all lives of the engine share.
pub(super) struct Stage {
    pub(super) clock: TestClock,
    pub(super) store: Arc<MemoryStore>,
    stubs: Stubs,
    memos: Memos,
    answers: Answers,
    state: Mutex<State>,
    /// How many events there may be.
    most: u64,
    idle: Notify,
    died: Notify,
}

#[derive(Default)]
struct State {
    /// How much is under way that takes no time of the test: nothing jumps meanwhile.
    busy: usize,
    /// Whether somebody wants to know when nothing moves.
    listens: bool,
    /// The present life of the engine, from 1.
    life: u32,
    /// It has died.
    dead: bool,
    dies_at: Option<usize>,
    /// It does not come to an end.
    endless: bool,
    points: usize,
    /// After what it died, for people.
    died_after: String,
    /// What was committed, in order: positions of journals.
    commits: Vec<(RunId, u64)>,
    /// How many attempts of each execution were recorded as started.
    started: BTreeMap<(RunId, String), usize>,
    /// How many stubs of each name were taken.
    taken: BTreeMap<String, usize>,
    /// Memos of earlier attempts that were asked for, by name and key.
    asked: BTreeSet<(String, String)>,
    /// Executions whose work is done anew.
    renewed: BTreeSet<(RunId, Path)>,
    /// Stubs that attempts took whose outcome was lost.
    given_back: BTreeMap<(RunId, Path), VecDeque<usize>>,
    calls: Vec<Called>,
    before: BTreeMap<RunId, Before>,
}

/// An attempt that was called.
#[derive(Debug, Clone)]
pub(super) struct Called {
    pub(super) run: RunId,
    pub(super) path: Path,
    pub(super) name: Name,
    /// Which of the recorded starts of its execution it belongs to, from 1.
    start: usize,
    /// In which life of the engine.
    pub(super) life: u32,
    /// The engine died before its outcome was recorded.
    pub(super) lost: bool,
    /// Its host calls.
    pub(super) seen: Vec<world::Seen>,
    /// The stub in its place: of that name, that one.
    stub: Option<(String, usize)>,
    /// Mocks that answered it.
    answered: Vec<usize>,
}

#[cfg(test)]
impl Called {
    /// A call of the execution at this path.
    pub(super) fn of(path: &str, lost: bool) -> Self {
        let path: Path = path.parse().expect("a path");
        Self {
            run: RunId::new("test").expect("an id of a run"),
            name: Name::of(&Before::default(), &path),
            path,
            start: 1,
            life: 1,
            lost,
            seen: Vec::new(),
            stub: None,
            answered: Vec::new(),
        }
    }
}

impl Stage {
    pub(super) fn new(
        clock: TestClock,
        store: Arc<MemoryStore>,
        (stubs, memos): (Stubs, Memos),
        answers: Answers,
        most: u64,
        dies_at: Option<usize>,
    ) -> Self {
        Self {
            clock,
            store,
            stubs,
            memos,
            answers,
            most,
            state: Mutex::new(State {
                life: 1,
                dies_at,
                ..State::default()
            }),
            idle: Notify::new(),
            died: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Told by the runtime: its thread has nothing to do.
    pub(super) fn parked(&self) {
        let mut state = self.state();
        if state.listens && state.busy == 0 {
            state.listens = false;
            drop(state);
            self.idle.notify_one();
        }
    }

    /// Waits until nothing moves without the clock.
    pub(super) async fn idle(&self) {
        self.state().listens = true;
        self.idle.notified().await;
    }

    /// Waits until the engine dies.
    pub(super) async fn died(&self) {
        self.died.notified().await;
    }

    /// While it lives, the clock stands still.
    pub(super) fn busy(self: &Arc<Self>) -> Busy {
        let mut state = self.state();
        state.busy += 1;
        Busy(Arc::clone(self), state.life)
    }

    pub(super) fn life(&self) -> u32 {
        self.state().life
    }

    pub(super) fn lives(&self, life: u32) -> bool {
        let state = self.state();
        state.life == life && !state.dead
    }

    /// How many points were reached.
    pub(super) fn points(&self) -> usize {
        self.state().points
    }

    /// Whether it was broken off.
    pub(super) fn is_endless(&self) -> bool {
        self.state().endless
    }

    pub(super) fn died_after(&self) -> String {
        self.state().died_after.clone()
    }

    pub(super) fn commits(&self) -> Vec<(RunId, u64)> {
        self.state().commits.clone()
    }

    pub(super) fn calls(&self) -> Vec<Called> {
        self.state().calls.clone()
    }

    pub(super) const fn answers(&self) -> &Answers {
        &self.answers
    }

    /// Stubs that no attempt took: name, how many were taken, and all of them.
    pub(super) fn unused(&self) -> impl Iterator<Item = (&str, usize, &[Stub])> {
        let taken = self.state().taken.clone();
        self.stubs.0.iter().filter_map(move |(name, stubs)| {
            let taken = taken.get(name).copied().unwrap_or(0);
            (taken < stubs.len()).then_some((name.as_str(), taken, stubs.as_slice()))
        })
    }

    /// Notes a point; returns whether the engine dies there.
    pub(super) fn reach(&self, point: Point) -> bool {
        let mut state = self.state();
        if let Point::Commit { run, entries } = &point {
            for path in entries.iter().filter_map(|(_, body)| started(body)) {
                *state.started.entry((run.clone(), path)).or_default() += 1;
            }
            let entries = entries.iter().map(|(seq, _)| (run.clone(), *seq));
            state.commits.extend(entries);
            if state.commits.len() as u64 > self.most {
                state.dead = true;
                state.endless = true;
                self.died.notify_one();
                return true;
            }
        }
        state.points += 1;
        if state.dies_at != Some(state.points) {
            return false;
        }
        state.dead = true;
        state.died_after = match point {
            Point::Commit { run, entries } => {
                let before = state.before.get(&run).cloned().unwrap_or_default();
                let told = entries.last().map(|(_, body)| event_of(&before.full, body));
                format!("the commit of {}", told.unwrap_or_default())
            }
            Point::Note { run, path } => {
                let before = state.before.get(&run).cloned().unwrap_or_default();
                format!("what `{}{path}` left behind", before.full)
            }
            Point::Call { name, about } => format!("the host call {about} of `{name}`"),
        };
        drop(state);
        self.died.notify_one();
        true
    }

    /// The next life of the engine begins: attempts whose outcome was not recorded are called again.
    pub(super) async fn revive(&self) {
        let lost: Vec<usize> = {
            let state = self.state();
            let calls = state.calls.iter().enumerate();
            // Before another one is called, the one before has ended.
            let last: BTreeMap<_, _> = calls
                .filter(|(_, call)| call.life == state.life)
                .map(|(at, call)| ((&call.run, &call.path), at))
                .collect();
            last.into_values().collect()
        };
        for at in lost {
            let call = self.state().calls[at].clone();
            if self.is_recorded(&call).await {
                continue;
            }
            self.answers.give_back(&call.answered);
            let mut state = self.state();
            state.calls[at].lost = true;
            if let Some((_, stub)) = call.stub {
                let key = (call.run, call.path);
                state.given_back.entry(key).or_default().push_back(stub);
            }
        }
        let mut state = self.state();
        state.life += 1;
        state.dead = false;
        state.busy = 0;
        state.dies_at = None;
    }

    /// Whether the outcome of the attempt is in the journal.
    async fn is_recorded(&self, call: &Called) -> bool {
        let journal = record::journal(self.store.as_ref(), &call.run, 0, usize::MAX).await;
        let mut starts = 0;
        for entry in journal.unwrap_or_default() {
            match &entry.event {
                Event::Step { path, event } if *path == call.path => match event {
                    StepEvent::Started(_) => starts += 1,
                    _ if starts == call.start
                        && matches!(origin(&entry.event), Origin::Attempt(_)) =>
                    {
                        return true;
                    }
                    _ => {}
                },
                _ => {}
            }
        }
        false
    }

    /// What the execution is called.
    async fn name(&self, run: &RunId, path: &Path) -> Name {
        Name::of(&self.before(run).await, path)
    }

    /// What stands before the names of the steps of a run.
    pub(super) fn before<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Before> {
        Box::pin(async move {
            if let Some(known) = self.state().before.get(run) {
                return known.clone();
            }
            let first = record::journal(self.store.as_ref(), run, 0, 1).await;
            let first = first.ok().and_then(|entries| entries.into_iter().next());
            let before = match first.map(|entry| entry.event) {
                Some(Event::Run(RunEvent::Created(created))) => match created.parent {
                    Some(parent) => self.before(&parent.run).await.of_child(&parent.path),
                    None => Before::default(),
                },
                _ => Before::default(),
            };
            self.state().before.insert(run.clone(), before.clone());
            before
        })
    }

    /// What an attempt before the test has left under a key.
    pub(super) async fn memo(&self, run: &RunId, path: &str, key: &str) -> Option<String> {
        let path: Path = path.parse().ok()?;
        let is_renewed =
            |(of, whole): &(RunId, Path)| of == run && (path == *whole || path.is_within(whole));
        if self.state().renewed.iter().any(is_renewed) {
            return None;
        }
        let name = self.name(run, &path).await;
        let (name, memos) = name.of_these(&self.memos)?;
        let value = memos.get(key)?;
        let asked = (name.to_owned(), key.to_owned());
        self.state().asked.insert(asked);
        Some(value.to_string())
    }

    /// The work of these executions is done anew: what was memoised of it before the test counts no longer.
    pub(super) fn renew(&self, run: &RunId, paths: &[String]) {
        let paths = paths.iter().filter_map(|path| path.parse().ok());
        self.state()
            .renewed
            .extend(paths.map(|path| (run.clone(), path)));
    }

    /// Those that nobody asked for: name and key.
    pub(super) fn unasked(&self) -> impl Iterator<Item = (&str, &str)> {
        let asked = self.state().asked.clone();
        let all = self.memos.iter();
        let all = all.flat_map(|(name, memos)| memos.keys().map(move |key| (name, key)));
        all.filter(move |(name, key)| !asked.contains(&((*name).clone(), (*key).clone())))
            .map(|(name, key)| (name.as_str(), key.as_str()))
    }

    /// Takes the stub of an attempt, if it has one, and notes the call: its number.
    fn begin(&self, call: &Call, name: Name) -> (usize, Option<Stub>) {
        let mut state = self.state();
        let found = name.find(&self.stubs);
        let key = (call.run.clone(), call.path.clone());
        let stub = found.map(|(name, stubs)| {
            let again = state.given_back.get_mut(&key).and_then(VecDeque::pop_front);
            let at = again.unwrap_or_else(|| {
                let taken = state.taken.entry(name.to_owned()).or_default();
                *taken += 1;
                *taken - 1
            });
            (name.to_owned(), at.min(stubs.len() - 1))
        });
        let taken = stub
            .as_ref()
            .zip(found)
            .map(|((_, at), (_, stubs))| stubs[*at].clone());
        let life = state.life;
        let start = state
            .started
            .get(&(call.run.clone(), call.path.to_string()));
        let start = start.copied().unwrap_or(0);
        state.calls.push(Called {
            start,
            run: call.run.clone(),
            path: call.path.clone(),
            name,
            life,
            lost: false,
            seen: Vec::new(),
            stub,
            answered: Vec::new(),
        });
        (state.calls.len() - 1, taken)
    }
}

/// The execution of which an attempt starts, from the stored form of an event.
fn started(body: &str) -> Option<String> {
    // Most events are others, and may be long.
    if !body.contains("\"step_started\"") {
        return None;
    }
    let event: Value = serde_json::from_str(body).ok()?;
    let body = &event["body"];
    (body["type"] == "step_started").then(|| body["path"].as_str().map(str::to_owned))?
}

/// An event for people, from its stored form.
fn event_of(before: &str, body: &str) -> String {
    let event: Value = serde_json::from_str(body).unwrap_or_default();
    let name = event["body"]["type"].as_str().unwrap_or("an event");
    match event["body"]["path"].as_str() {
        Some(path) => format!("`{name}` of `{before}{path}`"),
        None => format!("`{name}`"),
    }
}

/// Something is under way, in that life of the engine.
pub(super) struct Busy(Arc<Stage>, u32);

impl Drop for Busy {
    fn drop(&mut self) {
        let mut state = self.0.state();
        if state.life == self.1 {
            state.busy -= 1;
        }
    }
}

/// Components of a workflow that is tested.
pub(super) struct Staged {
    pub(super) stage: Arc<Stage>,
    pub(super) source: Arc<dyn PluginSource>,
}

impl Staged {
    /// The workflow with its components behind the stubs and mocks.
    pub(super) fn workflow(&self, workflow: &Workflow) -> Workflow {
        let plugins = workflow.loaded().iter();
        let plugins = plugins.map(|(name, loaded)| (name.clone(), self.wrapped(loaded.clone())));
        workflow.clone().with(plugins.collect())
    }

    fn wrapped(&self, loaded: LoadedPlugin) -> LoadedPlugin {
        LoadedPlugin {
            callable: Arc::new(Behind {
                stage: Arc::clone(&self.stage),
                component: loaded.callable,
            }),
            ..loaded
        }
    }
}

impl PluginSource for Staged {
    fn read(
        &self,
        name: &str,
        spec: &PluginSpec,
        base: &FilePath,
    ) -> Result<ComponentBytes, PluginError> {
        self.source.read(name, spec, base)
    }

    fn admit(
        &self,
        component: &ComponentBytes,
        spec: &PluginSpec,
        file: &FilePath,
    ) -> Result<(), PluginError> {
        self.source.admit(component, spec, file)
    }

    fn load(&self, component: &ComponentBytes) -> Result<LoadedPlugin, PluginError> {
        self.source
            .load(component)
            .map(|loaded| self.wrapped(loaded))
    }

    fn loaded(&self, digest: &Digest) -> Option<LoadedPlugin> {
        self.source
            .loaded(digest)
            .map(|loaded| self.wrapped(loaded))
    }
}

/// A component behind the stubs and mocks of a test.
struct Behind {
    stage: Arc<Stage>,
    component: Arc<dyn Callable>,
}

impl Callable for Behind {
    fn call(&self, call: Call) -> BoxFuture<'_, CallResult> {
        Box::pin(async move {
            let life = self.stage.life();
            if !self.stage.lives(life) {
                return pending().await;
            }
            let name = self.stage.name(&call.run, &call.path).await;
            let (number, stub) = self.stage.begin(&call, name);
            let timeout = call.timeout;
            let called = async {
                match stub {
                    Some(stub) => self.played(&stub, call.host.as_ref()).await,
                    None => self.really(number, call).await,
                }
            };
            let result = tokio::select! {
                biased;
                result = called => result,
                () = self.stage.clock.sleep(timeout) => {
                    let message = format!("the step did not end within {timeout:?}");
                    let error = StepError::new(ErrorClass::Timeout, codes::TIMEOUT, message);
                    CallResult::of(Outcome::Failed(error))
                }
            };
            match self.stage.lives(life) {
                true => result,
                false => pending().await,
            }
        })
    }
}

impl Behind {
    /// A stub in the place of the component; it ends when it is asked to.
    async fn played(&self, stub: &Stub, host: &dyn AttemptHost) -> CallResult {
        let clock = &self.stage.clock;
        if !stub.takes.is_zero() {
            tokio::select! {
                biased;
                () = clock.sleep(stub.takes) => {}
                () = host.cancelled() => return CallResult::of(Outcome::Cancelled(String::new())),
            }
        }
        CallResult::of(stub.at(clock.now()))
    }

    /// The component itself, in a mocked world.
    async fn really(&self, number: usize, mut call: Call) -> CallResult {
        let awake = Awake::begin(&self.stage);
        call.mode = Mode::Mocked(Arc::new(Asked {
            stage: Arc::clone(&self.stage),
            number,
            call: call.clone(),
            awake: awake.clone(),
        }));
        let result = self.component.call(call).await;
        awake.end();
        result
    }
}

/// Whether an attempt of a component does something: while it sleeps, the time of the test may pass.
#[derive(Clone)]
struct Awake(Arc<Mutex<Wakefulness>>);

enum Wakefulness {
    Awake(#[expect(dead_code, reason = "it counts until it is dropped")] Busy),
    Asleep,
    Ended,
}

impl Awake {
    fn begin(stage: &Arc<Stage>) -> Self {
        Self(Arc::new(Mutex::new(Wakefulness::Awake(stage.busy()))))
    }

    fn set(&self, to: Wakefulness) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = match &*now {
            Wakefulness::Ended => to,
            Wakefulness::Awake(_) | Wakefulness::Asleep => std::mem::replace(&mut *now, to),
        };
        drop(now);
        drop(before);
    }

    fn end(&self) {
        self.set(Wakefulness::Ended);
    }
}

/// Wakes an attempt up, also where it gives up its sleep.
struct WakesUp(Awake, Arc<Stage>);

impl Drop for WakesUp {
    fn drop(&mut self) {
        self.0.set(Wakefulness::Awake(self.1.busy()));
    }
}

/// The world of one attempt of a real component.
struct Asked {
    stage: Arc<Stage>,
    number: usize,
    call: Call,
    awake: Awake,
}

impl World for Asked {
    fn answer<'a>(&'a self, question: Question<'a>) -> BoxFuture<'a, Reply> {
        Box::pin(async move {
            let call = format!("{}.{}", question.interface, question.function);
            let request = world::filled(&self.call.secrets, question.request);
            let harmless = self.stage.answers.is_harmless(&call, &request);
            let seen = world::Seen {
                call: call.clone(),
                about: question.about.to_owned(),
                request: request.clone(),
                harmless,
            };
            let name = {
                let called = &mut self.stage.state().calls[self.number];
                called.seen.push(seen);
                called.name.clone()
            };
            if let Some(denied) = world::denied(&self.call.grants, &call, &request) {
                return Reply::Answer(json!({ "error": denied }));
            }
            let at = (name.full.as_str(), name.short.as_str());
            let (reply, answered) = self.stage.answers.reply(at, true, &call, &request);
            self.stage.state().calls[self.number]
                .answered
                .extend(answered);
            let point = Point::Call {
                name: name.full,
                about: format!("`{call}` {}", question.about),
            };
            // What the host performs is a point of its own where it leaves something.
            if matches!(reply, Reply::Answer(_)) && self.stage.reach(point) {
                pending::<()>().await;
            }
            reply
        })
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(Dozing {
            stage: Arc::clone(&self.stage),
            awake: self.awake.clone(),
        })
    }
}

/// The clock of a component.
struct Dozing {
    stage: Arc<Stage>,
    awake: Awake,
}

impl Clock for Dozing {
    fn now(&self) -> Timestamp {
        self.stage.clock.now()
    }

    fn monotonic(&self) -> Duration {
        self.stage.clock.monotonic()
    }

    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        let (stage, awake) = (Arc::clone(&self.stage), self.awake.clone());
        Box::pin(async move {
            awake.set(Wakefulness::Asleep);
            let _wakes_up = WakesUp(awake, Arc::clone(&stage));
            stage.clock.sleep(time).await;
        })
    }
}
