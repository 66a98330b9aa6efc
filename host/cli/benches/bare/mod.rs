//! The bare baseline: isolated calls and SQLite commits of the same size, with no engine between. And the place in which it is
//! compared with the rest.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use milepost::attempt::{Call, Callable, Mode, NoHost};
use milepost::clock::SystemClock;
use milepost::core::ids::{self, RunId, StepId};
use milepost::core::limits::CallLimits;
use milepost::store::sqlite::{Durability, SqliteStore};
use milepost::wasm::secrets::Secrets;
use milepost::wasm::{CodeCache, WasmEngine};
use milepost::wasm_plugins::WasmPlugins;
use milepost::workflow::Workflow;

pub(crate) const STEPS: usize = 100;
pub(crate) const RUNS: usize = 64;
pub(crate) const BODY_BYTES: usize = 300;

pub(crate) struct Place {
    _folder: tempfile::TempDir,
    pub(crate) dir: PathBuf,
    pub(crate) repository: PathBuf,
    pub(crate) plugins: Arc<WasmPlugins>,
}

impl Place {
    pub(crate) fn new() -> Self {
        let parent =
            std::env::var_os("MILEPOST_BENCH_DIR").unwrap_or_else(|| std::env::temp_dir().into());
        let folder = tempfile::tempdir_in(parent).unwrap();
        let dir = folder.path().to_owned();
        Self {
            plugins: Arc::new(WasmPlugins::new(Some(dir.join("code")))),
            repository: Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).to_owned(),
            _folder: folder,
            dir,
        }
    }

    pub(crate) fn component(&self) -> PathBuf {
        self.repository.join("plugins/prebuilt/text.wasm")
    }

    pub(crate) fn store(&self, name: &str) -> Arc<SqliteStore> {
        let path = self.dir.join(name);
        Arc::new(SqliteStore::open(&path, Durability::PowerLoss).unwrap())
    }

    pub(crate) fn workflow(&self, steps: &str) -> Workflow {
        let text = format!(
            "schema = 1\nname = \"bench\"\n[plugins.text]\nsource = {:?}\n{steps}",
            self.component()
        );
        Workflow::link(&self.dir.join("bench.toml"), &text, self.plugins.as_ref()).unwrap()
    }

    pub(crate) fn one_thread(&self) -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    }

    pub(crate) fn two_threads(&self) -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap()
    }
}

pub(crate) fn sequence() -> String {
    (0..STEPS).fold(String::new(), |mut text, n| {
        write!(text, "[[step]]\nid = \"s{n}\"\nuse = \"text/echo\"\nwith = {{ n = {n}, text = \"a small value\" }}\n").unwrap();
        text
    })
}

pub(crate) fn call(path: &str) -> Call {
    Call {
        run: RunId::new("bare").unwrap(),
        workflow: "bench".into(),
        step: "echo".into(),
        path: path.parse::<ids::Path>().unwrap(),
        attempt: 1,
        input: Arc::new(serde_json::json!({"n": 1, "text": "a small value"})),
        config: Arc::default(),
        grants: Arc::default(),
        secrets: Secrets::default(),
        outputs: Arc::new(BTreeMap::<StepId, _>::new()),
        resume_state: None,
        resume_signal: None,
        seed: 1,
        deadline: None,
        timeout: Duration::from_secs(60),
        idle_timeout: None,
        limits: CallLimits::default(),
        host: Arc::new(NoHost),
        mode: Mode::Live,
    }
}

/// The bare baseline's store: one table, one insert of 300 bytes a step, WAL, FULL.
pub(crate) fn bare_table(path: &Path) -> rusqlite::Connection {
    let db = rusqlite::Connection::open(path).unwrap();
    db.execute_batch(
        "PRAGMA journal_mode = wal; PRAGMA synchronous = FULL; CREATE TABLE t (x INTEGER PRIMARY KEY, body TEXT)",
    )
    .unwrap();
    db
}

pub(crate) fn insert(db: &rusqlite::Connection) {
    let body = "x".repeat(BODY_BYTES);
    db.prepare_cached("INSERT INTO t (body) VALUES (?1)")
        .unwrap()
        .execute([body])
        .unwrap();
}

/// Steps per second of 64 runs at once: calls on two threads, and one writer thread that joins what waits.
pub(crate) async fn bare_together(place: &Place, round: usize) -> f64 {
    let wasm = WasmEngine::new(
        Some(CodeCache::open(&place.dir.join("code"))),
        Arc::new(SystemClock),
    )
    .unwrap();
    let plugin = wasm.load(&place.component(), None).unwrap();
    let (sender, receiver) = mpsc::channel::<tokio::sync::oneshot::Sender<()>>();
    let db = bare_table(&place.dir.join(format!("bare-together-{round}.db")));
    let writer = std::thread::spawn(move || {
        while let Ok(first) = receiver.recv() {
            let mut waiting = vec![first];
            waiting.extend(receiver.try_iter());
            db.execute_batch("BEGIN IMMEDIATE").unwrap();
            waiting.iter().for_each(|_| insert(&db));
            db.execute_batch("COMMIT").unwrap();
            for done in waiting {
                let _ = done.send(());
            }
        }
    });
    let start = Instant::now();
    let runs: Vec<_> = (0..RUNS)
        .map(|_| {
            let (plugin, sender) = (plugin.clone(), sender.clone());
            tokio::spawn(async move {
                for _ in 0..STEPS {
                    plugin.call(call("s")).await;
                    let (done, wait) = tokio::sync::oneshot::channel();
                    sender.send(done).unwrap();
                    wait.await.unwrap();
                }
            })
        })
        .collect();
    for run in runs {
        run.await.unwrap();
    }
    let rate = (RUNS * STEPS) as f64 / start.elapsed().as_secs_f64();
    drop(sender);
    writer.join().unwrap();
    rate
}

/// The value below which so many quarters of the values lie.
pub(crate) fn quarter(values: &mut [f64], quarters: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() - 1) * quarters / 4]
}
