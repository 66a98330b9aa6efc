//! A workflow as a whole: the real engine on a store in memory, with stubs or a mocked world in the place of its steps, people
//! who act, and a clock that jumps to what is due next.

mod act;
mod clock;
mod conductor;
mod crash;
mod happened;
mod host;
mod recorded;

mod stage;
mod store;
mod stub;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Duration;

use milepost_core::definition::{Definition, nearest};
use milepost_core::effect::KvChange;
use milepost_core::ids::RunId;
use milepost_core::limits;
use milepost_core::state::Status;
use milepost_core::time::Timestamp;
use serde_json::{Value, json};

pub use self::act::Act;
pub(crate) use self::act::{Ask, What};
use self::clock::TestClock;
use self::conductor::Conductor;
pub(crate) use self::happened::ENDINGS;
use self::happened::Happened;

pub use self::recorded::{RecordedTest, from_run};
pub(crate) use self::stage::Memos;
use self::stage::{Called, Stage, Staged};
pub use self::stub::Stub;
pub(crate) use self::stub::Stubs;
use super::compare::{Check, Finding, diff};
use super::mock::Mock;
use super::step::NOW;
use super::world::{Answers, Order};
use super::{CrashReport, TestError};
use crate::clock::Clock as _;
use crate::engine::EngineError;
use crate::plugin::PluginSource;
use crate::report::RunReport;
use crate::store::memory::MemoryStore;
use crate::store::{Attempts as _, StoreClock};
use crate::workflow::Workflow;

/// How long a test may take, by the clock of the machine.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A workflow, and what comes to it from outside.
#[derive(Debug, Clone)]
pub struct WorkflowTest {
    pub(crate) inputs: Value,
    pub(crate) run: RunId,
    pub(crate) seed: u64,
    pub(crate) now: Timestamp,
    pub(crate) until: Option<Duration>,
    pub(crate) timeout: Duration,
    pub(crate) secrets: BTreeMap<String, String>,
    pub(crate) stubs: Stubs,
    pub(crate) memos: Memos,
    /// Where they stand.
    pub(crate) memos_place: Range<usize>,
    /// Values by bucket and key.
    pub(crate) kv: BTreeMap<(String, String), Arc<[u8]>>,
    pub(crate) mocks: Vec<Mock>,
    pub(crate) places: Vec<Range<usize>>,
    pub(crate) any_order: bool,
    pub(crate) acts: Vec<Act>,
    pub(crate) checks: Vec<Check>,
    /// How many events there may be.
    pub(crate) most: u64,
}

impl WorkflowTest {
    /// A run with these inputs.
    #[must_use]
    pub fn new(inputs: Value) -> Self {
        Self {
            inputs,
            run: RunId::new("test").expect("an id of a run"),
            seed: 1,
            now: NOW,
            until: None,
            timeout: TIMEOUT,
            secrets: BTreeMap::new(),
            stubs: Stubs::default(),
            memos: Memos::new(),
            memos_place: 0..0,
            kv: BTreeMap::new(),
            mocks: Vec::new(),
            places: Vec::new(),
            any_order: false,
            acts: Vec::new(),
            checks: Vec::new(),
            most: limits::DRY_RUN_EVENTS,
        }
    }

    /// What stands in the place of a step, by its id (`fetch`; in a child run `call/fetch`), or of what runs at one path
    /// (`fix#2/test`, `files[0]`). Added again, each attempt takes the next one, and the last one stays.
    #[must_use]
    pub fn stub(mut self, step: &str, stub: Stub) -> Self {
        self.stubs.0.entry(step.to_owned()).or_default().push(stub);
        self
    }

    /// Answers a host call of a component that has no stub.
    #[must_use]
    pub fn mock(mut self, mock: Mock) -> Self {
        self.mocks.push(mock);
        self
    }

    /// Mocks answer whatever fits them, in any order.
    #[must_use]
    pub fn any_order(mut self) -> Self {
        self.any_order = true;
        self
    }

    /// What the work of a step under a key came to in an attempt before the test; the step has a name as for a [stub](Self::stub).
    #[must_use]
    pub fn memo(mut self, step: &str, key: &str, value: Value) -> Self {
        let memos = self.memos.entry(step.to_owned()).or_default();
        memos.insert(key.to_owned(), value);
        self
    }

    /// What is in a bucket when the run starts.
    #[must_use]
    pub fn kv(mut self, bucket: &str, key: &str, value: impl AsRef<[u8]>) -> Self {
        let key = (bucket.to_owned(), key.to_owned());
        self.kv.insert(key, value.as_ref().into());
        self
    }

    /// Something that comes to the run from outside.
    #[must_use]
    pub fn act(mut self, act: Act) -> Self {
        self.acts.push(act);
        self
    }

    /// The value of a secret.
    #[must_use]
    pub fn secret(mut self, name: &str, value: &str) -> Self {
        self.secrets.insert(name.to_owned(), value.to_owned());
        self
    }

    /// When the run starts.
    #[must_use]
    pub fn starts_at(mut self, now: Timestamp) -> Self {
        self.now = now;
        self
    }

    /// The test ends so long after the start, wherever the run stands.
    #[must_use]
    pub fn until(mut self, until: Duration) -> Self {
        self.until = Some(until);
        self
    }

    /// The seed of the run.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Lets the run of a definition's file take place. Components are loaded once per process.
    ///
    /// # Errors
    /// [`TestError`] when the workflow cannot be used, or the engine cannot go on.
    pub fn run(&self, file: impl AsRef<FilePath>) -> Result<WorkflowRun, TestError> {
        let (workflow, source) = super::workflow_of(file.as_ref())?;
        self.played(&workflow, &source, None)
            .map(|played| played.run)
    }

    /// The same, with components from another source, such as [native steps](crate::native).
    ///
    /// # Errors
    /// As [`WorkflowTest::run`].
    pub fn run_with(
        &self,
        file: impl AsRef<FilePath>,
        source: Arc<dyn PluginSource>,
    ) -> Result<WorkflowRun, TestError> {
        let (workflow, source) = opened(file.as_ref(), source)?;
        self.played(&workflow, &source, None)
            .map(|played| played.run)
    }

    /// Lets the run take place again and again; each time the engine is killed after another one of its commits and of the host
    /// calls of its steps, and goes on as another process.
    ///
    /// # Errors
    /// As [`WorkflowTest::run`].
    pub fn crash(&self, file: impl AsRef<FilePath>) -> Result<CrashReport, TestError> {
        let (workflow, source) = super::workflow_of(file.as_ref())?;
        let usual = self.played(&workflow, &source, None)?;
        self.killed(&workflow, &source, &usual, &(0..0))
    }

    /// The same, with components from another source.
    ///
    /// # Errors
    /// As [`WorkflowTest::run`].
    pub fn crash_with(
        &self,
        file: impl AsRef<FilePath>,
        source: Arc<dyn PluginSource>,
    ) -> Result<CrashReport, TestError> {
        let (workflow, source) = opened(file.as_ref(), source)?;
        let usual = self.played(&workflow, &source, None)?;
        self.killed(&workflow, &source, &usual, &(0..0))
    }

    /// One run; the engine dies at that point, if it is to die.
    pub(super) fn played(
        &self,
        workflow: &Workflow,
        source: &Arc<dyn PluginSource>,
        dies_at: Option<usize>,
    ) -> Result<Played, TestError> {
        let order = match self.any_order || dies_at.is_some() {
            true => Order::Any,
            false => Order::Strict,
        };
        let clock = TestClock::at(self.now);
        let of_the_store = clock.clone();
        let store = MemoryStore::with_clock(StoreClock::new(move || of_the_store.now()));
        let store = Arc::new(store);
        let stage = Arc::new(Stage::new(
            clock,
            Arc::clone(&store),
            (self.stubs.clone(), self.memos.clone()),
            Answers::new(self.mocks.clone(), order),
            self.most,
            dies_at,
        ));
        let staged = Arc::new(Staged {
            stage: Arc::clone(&stage),
            source: Arc::clone(source),
        });
        let parked = Arc::clone(&stage);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .on_thread_park(move || parked.parked())
            .build()?;
        let ready = staged.workflow(workflow);
        let conductor = Conductor::new(self, Arc::clone(&stage), staged);
        let played = runtime.block_on(async {
            let playing = async {
                for ((bucket, key), value) in &self.kv {
                    let change = KvChange {
                        bucket: bucket.clone(),
                        key: key.clone(),
                        over: 0,
                        value: Some(Arc::clone(value)),
                    };
                    let put = store.kv_change(change).await;
                    put.map_err(|error| TestError::Engine(Box::new(error.into())))?;
                }
                let findings = conductor.play(ready).await?;
                let happened = Happened::read(&stage, &self.run).await?;
                Ok::<_, TestError>((happened, findings))
            };
            match tokio::time::timeout(self.timeout, playing).await {
                Ok(played) => played,
                Err(_) => Err(TestError::Slow(self.timeout)),
            }
        });
        runtime.shutdown_background();
        let (happened, mut findings) = played?;
        let unknown = stage.answers().unknown();
        let refused = unknown.is_some();
        if let Some((step, unknown)) = unknown {
            let (message, add) = unknown.split_once('\n').unwrap_or((&unknown, ""));
            let message = format!("`{step}`: {message}");
            findings.push(Finding::new(message, 0..0).with(add));
        } else {
            findings.extend(self.unused(&stage, &workflow.definition));
        }
        Ok(Played {
            run: WorkflowRun {
                status: happened.report.status,
                output: happened.report.output.clone(),
                path: happened.path.clone(),
                attempts: happened.attempts.clone(),
                took: stage.clock.monotonic(),
                report: happened.report.clone(),
                findings,
            },
            happened,
            refused,
            calls: stage.calls(),
            points: stage.points(),
            died_after: stage.died_after(),
        })
    }

    /// Stubs and mocks that nothing asked for.
    fn unused(&self, stage: &Stage, definition: &Definition) -> Vec<Finding> {
        let mut findings = Vec::new();
        let known = happened::steps(definition);
        for (name, taken, stubs) in stage.unused() {
            let first = &stubs[taken];
            let mut message = match taken {
                0 => format!("nothing called `{name}`, which has a stub"),
                1 => format!("`{name}` was called once, and has {} stubs", stubs.len()),
                _ => format!(
                    "`{name}` was called {taken} times, and has {} stubs",
                    stubs.len()
                ),
            };
            let id = happened::id_of(name, &known);
            let help = match known.get(&id) {
                Some(true) => String::new(),
                Some(false) => "only components have stubs; those of a child run stand behind the step that starts it: \
                                `call/fetch`"
                    .to_owned(),
                None => {
                    let near = nearest(&id, known.keys().map(String::as_str));
                    message = format!("the workflow has no step `{id}`");
                    match near.first() {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => String::new(),
                    }
                }
            };
            findings.push(Finding::new(message, first.place.clone()).with(help));
        }
        for (name, key) in stage.unasked() {
            let message = format!("`{name}` did not ask for its memo `{key}`");
            findings.push(Finding::new(message, self.memos_place.clone()));
        }
        for (at, left) in stage.answers().unused() {
            let place = self.places.get(at).cloned().unwrap_or(0..0);
            let mock = &self.mocks[at];
            let message = match left == mock.times {
                true => format!("`{}` was not called", mock.call),
                false => format!("`{}` was called {left} times less", mock.call),
            };
            findings.push(Finding::new(message, place));
        }
        findings
    }
}

fn opened(
    file: &FilePath,
    source: Arc<dyn PluginSource>,
) -> Result<(Workflow, Arc<dyn PluginSource>), TestError> {
    let source: Arc<dyn PluginSource> = Arc::new(crate::plugin::Once::new(source));
    let workflow = Workflow::open(file, &*source)?;
    Ok((workflow, source))
}

/// One run, with what a judge looks at.
pub(crate) struct Played {
    pub(crate) run: WorkflowRun,
    pub(crate) happened: Happened,
    /// A step asked what no mock answers.
    pub(crate) refused: bool,
    calls: Vec<Called>,
    points: usize,
    died_after: String,
}

/// What came of a run.
#[derive(Debug, Clone)]
pub struct WorkflowRun {
    /// Where it stands.
    pub status: Status,
    /// What it returned; null unless it completed.
    pub output: Value,
    /// The executions that began, in this order: attempts of components, waits, approvals, child runs and their steps
    /// (`call/fetch`).
    pub path: Vec<String>,
    /// How often the components of steps were called, by their ids.
    pub attempts: BTreeMap<String, u32>,
    /// How much time has passed, by the clock of the test.
    pub took: Duration,
    /// All of it.
    pub report: RunReport,
    /// Calls that no mock answers; stubs, mocks and people that nothing asked for; what was refused.
    pub findings: Vec<Finding>,
}

impl WorkflowRun {
    /// It completed with this output, and took all that the test has for it.
    ///
    /// # Panics
    /// When it did not.
    #[track_caller]
    pub fn assert_output(&self, expected: &Value) {
        self.assert_status(Status::Completed);
        assert!(
            self.output == *expected,
            "the output differs:\n{}",
            diff(expected, &self.output)
        );
    }

    /// It stands so, and took all that the test has for it.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn assert_status(&self, status: Status) {
        if let Some(finding) = self.findings.first() {
            panic!("{}\n{}", finding.message, finding.detail);
        }
        assert!(
            self.status == status,
            "expected `{status}`, but it is `{}`: {}",
            self.status,
            json!(self.report.stop)
        );
    }
}

impl From<EngineError> for TestError {
    fn from(error: EngineError) -> Self {
        Self::Engine(Box::new(error))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use super::*;
    use crate::native::{NativePlugin, NativePlugins};

    #[test]
    fn a_run_that_does_not_end_is_broken_off() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("w.toml");
        let text = "schema = 1\nname = \"w\"\n[plugins.p]\nsource = \"native:p\"\n\
                    [[step]]\nid = \"l\"\nloop = { until = \"false\", max_iterations = 900 }\n\
                    [[step]]\nid = \"a\"\nin = \"l\"\nuse = \"p/a\"\n";
        std::fs::write(&file, text).unwrap();
        let plugin = NativePlugin::new("p", "1").step("a", |_| async { Ok(json!(1)) });
        let plugins = Arc::new(NativePlugins::default().plugin(plugin));
        let mut test = WorkflowTest::new(json!({})).stub("a", Stub::output(json!(1)));
        test.most = 100;
        let ran = test.run_with(&file, plugins).unwrap();
        assert_eq!(
            ran.findings[0].message,
            "the run has not ended after 100 events"
        );
        assert!(ran.attempts["a"] < 100, "{:?}", ran.attempts);
    }
}
