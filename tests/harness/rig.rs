//! An engine on a bench: a definition in a folder, scripted steps, a store, a clock that the test owns.

use crate::now::Now as _;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use milepost::Engine;
use milepost::attempt::LogLine;
use milepost::clock::{Clock as _, VirtualClock};
use milepost::engine::{
    Control, EngineError, ResumeOptions, StartOptions, Swept, WorkOptions, Worked,
};
use milepost::record;
use milepost::replay::{Replayed, replay};
use milepost::report::RunReport;
use milepost::store::memory::MemoryStore;
use milepost::store::sqlite::{Durability, SqliteStore};
use milepost::store::{Filter, Owner, RunRow, Store, StoreClock};
use milepost::workflow::Workflow;
use milepost_core::event::{Entry, Event, RunEvent};
use milepost_core::ids::RunId;
use milepost_core::state::RunState;
use milepost_core::time::Timestamp;
use serde_json::Value;
use tempfile::TempDir;

use crate::faulty::{Fault, FaultyStore};
use crate::read_back::{Differences, ReadBack};
use crate::recorder::Recorder;
use crate::scripted::{Gate, Script};

const HEAD: &str = "schema = 1\nname = \"test\"\n";
const PLUGIN: &str = "[plugins.p]\nsource = \"p.wasm\"\n";

/// When every case begins.
pub const START: Timestamp = Timestamp::from_nanos(1_700_000_000_000_000_000);

/// One workflow on one store. After every write the run is read back and compared with the live state; when the rig goes,
/// every run in the store is checked: the journal must fold to the checkpoint, and each body be written again as it stands.
pub struct Rig {
    folder: TempDir,
    /// Where runs are kept.
    pub store: Arc<dyn Store>,
    /// What time it is.
    pub clock: VirtualClock,
    /// The component `p`.
    pub script: Script,
    /// What the engines of this rig said.
    pub recorder: Arc<Recorder>,
    /// What was read back otherwise than it was saved.
    pub differences: Differences,
    /// Set by a case that damages the store on purpose.
    pub damaged: bool,
}

/// A worker of at most so many runs at once, until there is nothing left to do.
#[must_use]
pub fn until_idle(max_runs: usize) -> WorkOptions {
    WorkOptions {
        max_runs,
        until_idle: true,
        control: Control::default(),
    }
}

impl Rig {
    /// A workflow with the steps of `body`, which use the plugin `p`, on a store in memory.
    #[must_use]
    pub fn new(body: &str, script: &Script) -> Self {
        let clock = VirtualClock::jumping(START);
        let rig = Self {
            folder: tempfile::tempdir().expect("a folder for the test"),
            store: Arc::new(MemoryStore::with_clock(of_the_store(&clock))),
            clock,
            script: script.clone(),
            recorder: Arc::default(),
            differences: Differences::default(),
            damaged: false,
        };
        rig.edit(body);
        rig
    }

    /// The same on a store in a file.
    #[must_use]
    pub fn sqlite(body: &str, script: &Script) -> Self {
        let mut rig = Self::new(body, script);
        rig.reopen();
        rig
    }

    /// Closes the store in the file and opens it again, as a new process would.
    pub fn reopen(&mut self) {
        self.store = Arc::new(MemoryStore::new());
        self.store = Arc::new(self.open_sqlite());
    }

    /// Another handle on the store in the file.
    #[must_use]
    pub fn open_sqlite(&self) -> SqliteStore {
        SqliteStore::open(&self.store_file(), Durability::ProcessCrash)
            .expect("the store can be opened")
            .with_clock(of_the_store(&self.clock))
    }

    /// File of the store.
    #[must_use]
    pub fn store_file(&self) -> PathBuf {
        self.folder.path().join("store.db")
    }

    /// File of the definition.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("test.toml")
    }

    /// Writes the definition anew.
    pub fn edit(&self, body: &str) {
        // Top-level keys of a body must stand before the first table.
        let (top, tables) = body.split_at(body.find('[').unwrap_or(0));
        fs::write(self.file(), format!("{HEAD}{top}{PLUGIN}{tables}"))
            .expect("the definition can be written");
    }

    /// An engine on the rig's store.
    #[must_use]
    pub fn engine(&self) -> Engine {
        self.engine_on(Arc::clone(&self.store))
    }

    /// An engine on another view of the store.
    #[must_use]
    pub fn engine_on(&self, store: Arc<dyn Store>) -> Engine {
        Engine::builder(store, Arc::new(self.script.clone()))
            .clock(Arc::new(self.clock.clone()))
            .observer(Arc::new(ReadBack {
                store: Arc::clone(&self.store),
                then: Arc::clone(&self.recorder) as _,
                differences: self.differences.clone(),
            }))
            .build()
    }

    /// An engine in a process of that identity.
    #[must_use]
    pub fn engine_of(&self, owner: Owner) -> Engine {
        let store = FaultyStore::new(Arc::clone(&self.store), |_| Fault::None);
        self.engine_on(Arc::new(store.owned_by(owner)))
    }

    /// Works on the rig's store until there is nothing left to do.
    pub async fn work(&self) -> Worked {
        self.engine().work(until_idle(4)).await
    }

    /// Sweeps the rig's store once.
    ///
    /// # Panics
    /// When the store cannot be asked.
    pub async fn sweep(&self) -> Swept {
        let swept = self.engine().sweep().await;
        swept.expect("the store can be asked")
    }

    /// Records the workflow as a pending run.
    ///
    /// # Panics
    /// When it cannot be recorded.
    pub async fn submit(&self, id: &str) {
        let options = StartOptions {
            id: Some(RunId::new(id).expect("a run id")),
            control: Control::default(),
            ..StartOptions::default()
        };
        let engine = self.engine();
        let submitted = engine
            .submit(self.workflow(), BTreeMap::new(), options)
            .await;
        submitted.expect("the run can be recorded");
    }

    /// The workflow as it is on disk.
    #[must_use]
    pub fn workflow(&self) -> Workflow {
        match self.engine().open(self.file()) {
            Ok(workflow) => workflow,
            Err(error) => panic!("{error}"),
        }
    }

    /// Runs the workflow as run `r1`.
    ///
    /// # Errors
    /// What the engine says.
    pub async fn run(&self) -> Result<RunReport, EngineError> {
        self.run_on(&self.engine(), Control::default()).await
    }

    /// Runs the workflow as run `r1` on another engine, under a control.
    ///
    /// # Errors
    /// What the engine says.
    pub async fn run_on(
        &self,
        engine: &Engine,
        control: Control,
    ) -> Result<RunReport, EngineError> {
        self.run_with(engine, BTreeMap::new(), control).await
    }

    /// Runs the workflow as run `r1` with inputs.
    ///
    /// # Errors
    /// What the engine says.
    pub async fn run_with(
        &self,
        engine: &Engine,
        inputs: BTreeMap<String, Value>,
        control: Control,
    ) -> Result<RunReport, EngineError> {
        let options = StartOptions {
            id: Some(r1()),
            control,
            ..StartOptions::default()
        };
        engine.run(self.workflow(), inputs, options).await
    }

    /// Runs the workflow as run `r1` in a process of that identity until a step is held at the gate, and does `then` while it
    /// hangs there.
    ///
    /// # Panics
    /// When the run ends.
    pub async fn begun_by<T>(&self, owner: Owner, gate: &Gate, then: impl Future<Output = T>) -> T {
        let engine = self.engine_of(owner);
        let mut begun = Box::pin(self.run_on(&engine, Control::default()));
        gate.holds(&mut begun).await;
        then.await
    }

    /// Runs the workflow as run `r1` in a process that dies: `store` is what it sees of the store.
    ///
    /// # Panics
    /// When it does not die.
    pub async fn dies_on(&self, store: FaultyStore) {
        let store = Arc::new(store);
        let engine = self.engine_on(Arc::clone(&store) as _);
        let run = self.run_on(&engine, Control::default());
        store.kills(run).await;
    }

    /// Resumes `r1` twice at once, each time through a handle of its own on the file: both have read the run and are about to
    /// claim it. Returns what the winner came to and what the loser is told.
    ///
    /// # Panics
    /// When not exactly one of them wins.
    pub async fn two_resumes_at_once(&self) -> (RunReport, EngineError) {
        let gates = [Gate::default(), Gate::default()];
        let engines = gates.clone().map(|gate| {
            let store = FaultyStore::new(Arc::new(self.open_sqlite()), move |n| match n {
                1 => Fault::Held(gate.clone()),
                _ => Fault::None,
            });
            self.engine_on(Arc::new(store))
        });
        let id = r1();
        let resume = |n: usize| engines[n].resume(&id, ResumeOptions::default());
        let (first, second, ()) = tokio::join!(resume(0), resume(1), async {
            for gate in &gates {
                gate.came().await;
            }
            gates.iter().for_each(Gate::open);
        });
        match (first, second) {
            (Ok(winner), Err(loser)) | (Err(loser), Ok(winner)) => (winner, loser),
            both => panic!("{both:?}"),
        }
    }

    /// Resumes `r1` on a new engine.
    ///
    /// # Errors
    /// What the engine says.
    pub async fn resume(&self) -> Result<RunReport, EngineError> {
        self.engine().resume(&r1(), ResumeOptions::default()).await
    }

    /// Replays `r1`.
    ///
    /// # Errors
    /// What the engine says.
    pub async fn replay(&self) -> Result<Replayed, EngineError> {
        replay(&self.store, &self.script, &r1()).await
    }

    /// The row of `r1`.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn row(&self) -> RunRow {
        let row = self.store.row(&r1()).now().expect("the store can be read");
        row.expect("the run exists")
    }

    /// The journal of `r1`.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn journal(&self) -> Vec<Entry> {
        journal(self.store.as_ref(), &r1())
    }

    /// Texts of the log lines that are kept of `r1`.
    ///
    /// # Panics
    /// When they cannot be read.
    #[must_use]
    pub fn logs(&self) -> Vec<String> {
        let stored = self
            .store
            .logs(&r1(), 0, 1_000)
            .now()
            .expect("the store can be read");
        let lines = stored
            .iter()
            .map(|log| serde_json::from_str::<LogLine>(&log.line.body));
        lines
            .map(|line| line.expect("a log line").message)
            .collect()
    }

    /// Names of the events of `r1`.
    #[must_use]
    pub fn events(&self) -> Vec<&'static str> {
        self.journal().iter().map(|e| e.event.name()).collect()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if self.damaged || std::thread::panicking() {
            return;
        }
        let _compared = self.differences.none_of();
        let listing = self.store.list(&Filter::default()).now();
        for row in listing.expect("the store can be read").rows {
            assert_folds(self.store.as_ref(), &row.id);
        }
    }
}

/// The store goes by the same clock.
fn of_the_store(clock: &VirtualClock) -> StoreClock {
    let clock = clock.clone();
    StoreClock::new(move || clock.now())
}

/// The run that the cases use.
///
/// # Panics
/// Never.
#[must_use]
pub fn r1() -> RunId {
    RunId::new("r1").expect("a run id")
}

fn journal(store: &dyn Store, run: &RunId) -> Vec<Entry> {
    record::journal(store, run, 0, 1_000_000)
        .now()
        .expect("the journal can be read")
}

/// The journal of a run must be in order and fold to its checkpoint.
///
/// # Panics
/// When it does not.
pub fn assert_folds(store: &dyn Store, run: &RunId) {
    let journal = journal(store, run);
    for pair in journal.windows(2) {
        assert_eq!(pair[1].seq, pair[0].seq + 1, "positions of {run}");
        let corrected = matches!(pair[1].event, Event::Run(RunEvent::ClockCorrected { .. }));
        assert!(
            corrected || pair[1].at >= pair[0].at,
            "times of {run} at {}",
            pair[1].seq
        );
        assert!(
            pair[1].epoch >= pair[0].epoch,
            "epochs of {run} at {}",
            pair[1].seq
        );
    }
    let recorded = record::load(store, run)
        .now()
        .expect("the checkpoint can be read");
    let folded = RunState::fold(&journal).expect("every event can follow");
    assert_eq!(folded, recorded.state, "checkpoint of {run}");
    let stored = store.journal(run, 0, usize::MAX);
    for (entry, stored) in journal
        .iter()
        .zip(stored.now().expect("the journal can be read"))
    {
        assert_eq!(
            entry.event.encode(),
            stored.body,
            "event {} of {run}",
            entry.seq
        );
    }
}
