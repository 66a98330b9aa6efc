//! Runs of every example, and of components that do what is told of them, as a program of their time exported them: they replay, whole
//! and cut off anywhere. The files are in `tests/golden`; those that are missing are written by
//!
//! ```text
//! UPDATE_GOLDEN_RUNS=1 cargo test --workspace --test cases golden_runs
//! ```
//!
//! Never change one: such files exist. A new format gets files of its own beside them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use milepost::bundle;
use milepost::plugin::PluginSource;
use milepost::record;
use milepost::replay::{Replayed, replay};
use milepost::store::memory::MemoryStore;
use milepost::testing::{Runner, TestFile, Verdict, workflow_from_run};
use milepost::wasm_plugins::WasmPlugins;
use milepost_core::checkpoint::{self, Position};
use milepost_core::definition::Definition;
use milepost_core::ids::RunId;
use milepost_core::replay::check;
use milepost_core::state::RunState;
use milepost_tests::cli::{Cli, code_cache};
use milepost_tests::decorator::Decorator;
use milepost_tests::decorator::prelude::*;
use milepost_tests::hand_on;
use milepost_tests::now::Now as _;
use orders_api::{Api, Settings};
use serde_json::json;

/// Where golden runs are made: paths are part of a record, and these tell nothing of a machine.
const FOLDER: &str = "/tmp/milepost-golden";
/// Cuts of one run of which all attempts before are executed again; between events, every place is a cut.
const CUTS: u64 = 3;

static PLUGINS: LazyLock<WasmPlugins> = LazyLock::new(|| WasmPlugins::new(Some(code_cache())));

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

fn golden() -> Vec<PathBuf> {
    let files = fs::read_dir(root().join("tests/golden")).unwrap();
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|kind| kind == "mpr"));
    files.sort();
    files
}

async fn unpacked(file: &Path) -> (Arc<MemoryStore>, RunId) {
    let mut file = File::open(file).unwrap();
    let (store, run) = bundle::unpack(&mut file, &mut |_| {}).await.unwrap();
    (Arc::new(store), run)
}

async fn replayed(store: Arc<dyn Store>, run: &RunId) -> Replayed {
    replay(&store, &*PLUGINS, run).await.unwrap()
}

/// A run whose journal ends earlier.
struct Cut {
    inner: Arc<MemoryStore>,
    run: RunId,
    state: RunState,
}

impl Decorator for Cut {
    fn inner(&self) -> &dyn Store {
        self.inner.as_ref()
    }
}

impl Cut {
    fn row(&self, row: RunRow) -> RunRow {
        if row.id != self.run {
            return row;
        }
        RunRow {
            seq: self.state.seq(),
            epoch: self.state.epoch(),
            status: self.state.phase().status(),
            updated_at: self.state.updated_at(),
            ..row
        }
    }
}

impl Runs for Cut {
    fn row<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<Option<RunRow>, StoreError>> {
        Box::pin(async move { Ok(self.inner.row(run).await?.map(|row| Self::row(self, row))) })
    }

    fn checkpoint<'a>(
        &'a self,
        run: &'a RunId,
    ) -> BoxFuture<'a, Result<Option<StoredCheckpoint>, StoreError>> {
        Box::pin(async move {
            let found = self.inner.checkpoint(run).await?;
            let parts = checkpoint::all_parts(&self.state).into_iter();
            Ok(found.map(|found| match found.row.id == self.run {
                true => StoredCheckpoint {
                    row: Self::row(self, found.row),
                    parts: parts
                        .filter_map(|(name, body)| Some((name, body?)))
                        .collect(),
                },
                false => found,
            }))
        })
    }

    fn journal<'a>(
        &'a self,
        run: &'a RunId,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<StoredEntry>, StoreError>> {
        Box::pin(async move {
            let mut page = self.inner.journal(run, after, limit).await?;
            page.retain(|entry| *run != self.run || entry.seq <= self.state.seq());
            Ok(page)
        })
    }

    hand_on! { write logs }
}

hand_on! { Cut: Attempts }
hand_on! { Cut: Artifacts }
hand_on! { Cut: Claims }
hand_on! { Cut: Mailbox }
hand_on! { Cut: Blobs }
hand_on! { Cut: Upkeep }
hand_on! { Cut: Watch }

#[tokio::test]
async fn golden_runs_replay_and_so_they_do_cut_off_anywhere() {
    if std::env::var_os("UPDATE_GOLDEN_RUNS").is_some() {
        tokio::task::spawn_blocking(make).await.unwrap();
    }
    let files = golden();
    let examples = fs::read_dir(root().join("examples")).unwrap();
    let examples = examples.filter(|entry| entry.as_ref().unwrap().path().is_dir());
    for example in examples {
        let name = example.unwrap().file_name().into_string().unwrap();
        let has = |file: &PathBuf| {
            file.file_stem()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with(&name)
        };
        assert!(files.iter().any(has), "no golden run of {name}");
    }
    let bytes: u64 = files
        .iter()
        .map(|file| file.metadata().unwrap().len())
        .sum();
    assert!(bytes < 15 * 1024 * 1024, "{bytes} bytes");
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let (store, run) = unpacked(&file).await;
        let whole = replayed(store.clone(), &run).await;
        assert!(whole.is_same(), "{name}: {whole:?}");
        assert!(whole.attempts > 0, "{name}: {whole:?}");
        cut(&name, store, &run, whole.events).await;
    }
}

async fn cut(name: &str, store: Arc<MemoryStore>, run: &RunId, events: u64) {
    let inner = store.as_ref() as &dyn Store;
    let journal = record::journal(inner, run, 0, usize::MAX).await.unwrap();
    let recorded = record::load(inner, run).await.unwrap();
    let text = record::definition_text(inner, &recorded.state)
        .await
        .unwrap();
    let definition = Definition::reread("", &text).unwrap().definition;
    // What children are made of is not read here: the replays below decide with it.
    let starts_runs = !recorded.state.binding().children.is_empty();
    let find = |digest: &Digest| inner.blob(digest).now().unwrap();
    let mut state = RunState::create(&journal[0]).unwrap();
    for entry in &journal[1..] {
        let place = format!("{name}, cut after event {}", state.seq());
        // Whoever goes on there knows nothing but the checkpoint, and decides the same.
        let parts = checkpoint::all_parts(&state);
        let parts = parts
            .iter()
            .filter_map(|(name, body)| Some((name.as_str(), body.as_deref()?)));
        let position = Position {
            seq: state.seq(),
            epoch: state.epoch(),
            updated_at: state.updated_at(),
        };
        let mut restored = checkpoint::restore(position, parts, &find).unwrap();
        assert_eq!(restored, state, "{place}");
        let checked = match starts_runs {
            true => restored
                .apply(entry)
                .map(drop)
                .map_err(|error| error.to_string()),
            false => check(&definition, &mut restored, entry).map_err(|found| format!("{found:?}")),
        };
        assert_eq!(checked, Ok(()), "{place}");
        if entry.seq % events.div_ceil(CUTS) == 0 {
            let cut = Cut {
                inner: store.clone(),
                run: run.clone(),
                state: state.clone(),
            };
            let found = replayed(Arc::new(cut), run).await;
            assert_eq!(found.divergence, None, "{place}");
            assert_eq!(found.events, state.seq(), "{place}");
        }
        state.apply(entry).unwrap();
        assert_eq!(restored, state, "{place}");
    }
}

/// Makes those that are missing.
fn make() {
    let folder = Path::new(FOLDER);
    let _ = fs::remove_dir_all(folder);
    for part in ["examples", "plugins/prebuilt"] {
        copy(&root().join(part), &folder.join(part));
    }
    let cli = Cli::new();
    let example = |name: &str| format!("{FOLDER}/examples/{name}/workflow.toml");
    let data = |name: &str, file: &str| format!("@{FOLDER}/examples/{name}/data/{file}");
    let run = |status: i32, id: &str, rest: &str| {
        cli.run(&format!("run {} {rest} --id {id}", example(id)))
            .expect(status);
    };
    run(0, "hello", "--input name=Ada");
    run(0, "retry", "");
    run(0, "nested-loops", "");
    run(1, "saga", "");
    run(0, "outliers", "");
    run(0, "feedback", "");
    let text = data("word-count", "handbook.txt");
    run(0, "word-count", &format!("--input text={text}"));
    let history = data("release-notes", "history.txt");
    run(
        0,
        "release-notes",
        &format!("--input repository={FOLDER}/kettle.git --input history={history}"),
    );
    let packages = data("release-train", "packages.json");
    run(
        2,
        "release-train",
        &format!("--input train=2026.11 --input packages={packages}"),
    );
    cli.run("approve release-train").expect(0);
    cli.run("resume release-train").expect(0);
    run(2, "sign-off", "");
    cli.run("approve sign-off --by grace").expect(0);
    cli.run("resume sign-off").expect(2);
    cli.run(r#"signal sign-off delivered --data {"state":"left"}"#)
        .expect(0);
    cli.run("resume sign-off").expect(0);
    let orders = data("table-report", "orders.csv");
    run(
        2,
        "table-report",
        &format!("--input csv={orders} --input strict=true"),
    );
    cli.run("resume table-report").expect(0);
    run(2, "table-checks", &format!("--input csv={orders}"));
    cli.run("approve table-checks --comment known").expect(0);
    cli.run("resume table-checks").expect(0);
    let api = Api::start(Settings {
        port: 0,
        retry_after: 0,
        ..Settings::default()
    });
    let api = api.unwrap();
    let file = example("api-report");
    let text = fs::read_to_string(&file).unwrap();
    let text = text.replace("8271", &api.port().to_string());
    fs::write(
        &file,
        text.replace("initial = \"200ms\"", "initial = \"10ms\""),
    )
    .unwrap();
    run(0, "api-report", "");
    guests(&cli);
    let made = root().join("tests/golden");
    fs::create_dir_all(&made).unwrap();
    // Child runs come with their parents.
    let rows = cli.run("ls --json").expect(0).json();
    let roots = rows
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["parent"].is_null());
    for row in roots {
        let id = row["id"].as_str().unwrap();
        let file = made.join(format!("{id}-1.mpr"));
        if !file.exists() {
            cli.run(&format!("export {id} -o {}", file.display()))
                .expect(0);
        }
    }
}

/// Components that do what they are told: with the world, and in every way to end.
fn guests(cli: &Cli) {
    let plugin =
        |name: &str| format!("[plugins.{name}]\nsource = \"plugins/prebuilt/{name}.wasm\"\n");
    let write = |name: &str, text: &str| {
        let text = format!("schema = 1\nname = \"{name}\"\n{text}");
        fs::write(format!("{FOLDER}/{name}.toml"), text).unwrap();
    };
    let world = plugin("world");
    write(
        "guest-world",
        &format!(
            "[inputs.calls]\ntype = \"json\"\n{world}[plugins.world.allow]\nkv = [\"b\"]\nartifacts = true\n[[step]]\nid = \"a\"\nuse = \"world/visit\"\nwith = {{ calls = \"${{ inputs.calls }}\" }}\n"
        ),
    );
    let calls = json!([
        { "do": "memo", "key": "k", "value": { "ü": [1.5, null] } },
        { "do": "put", "bucket": "b", "key": "x", "value": "y".repeat(10_000) },
        { "do": "get", "bucket": "b", "key": "x" },
        { "do": "get", "bucket": "secret", "key": "x" },
        { "do": "keys", "bucket": "b", "prefix": "" },
        { "do": "write", "name": "r.txt", "text": "0123456789", "times": 1000 },
        { "do": "read", "offset": 9_995, "max": 100 },
        { "do": "now" },
        { "do": "random", "bytes": 4 },
    ]);
    cli.write("calls.json", json!({ "calls": calls }).to_string());
    cli.run(&format!(
        "run {FOLDER}/guest-world.toml --inputs calls.json --id guest-world"
    ))
    .expect(0);
    let hostile = plugin("hostile");
    write(
        "guest-trap",
        &format!("{hostile}[[step]]\nid = \"a\"\nuse = \"hostile/trap\"\n"),
    );
    cli.run(&format!("run {FOLDER}/guest-trap.toml --id guest-trap"))
        .expect(1);
    let pausing = plugin("pausing");
    write(
        "guest-pauses",
        &format!(
            "flow = \"graph\"\n{pausing}[[step]]\nid = \"kept\"\nuse = \"pausing/once\"\nwith = {{ state = {{ \"ü\" = [1.5, true] }} }}\n\
             [[step]]\nid = \"told\"\nneeds = [\"kept\"]\nuse = \"pausing/for_signal\"\nwith = {{ signal = \"go\" }}\n\
             [[step]]\nid = \"again\"\nneeds = [\"told\"]\nloop = {{ until = \"loop.iteration == 2\", max_iterations = 3 }}\n\
             [[step]]\nid = \"turn\"\nin = \"again\"\nuse = \"pausing/in_iteration\"\nwith = {{ pause_in = 2 }}\n\
             [[step]]\nid = \"late\"\nfinally = true\nuse = \"pausing/until_attempt\"\nwith = {{ complete_on = 1 }}\n"
        ),
    );
    cli.run(&format!("run {FOLDER}/guest-pauses.toml --id guest-pauses"))
        .expect(2);
    cli.run("resume guest-pauses").expect(2);
    cli.run("signal guest-pauses go --data {\"n\":1}").expect(0);
    cli.run("resume guest-pauses").expect(2);
    cli.run("resume guest-pauses").expect(0);
    // What a fork begins with is in its own record.
    cli.run("fork guest-pauses --from again --id guest-fork")
        .expect(2);
    cli.run("resume guest-fork").expect(0);
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}

/// A test of every recorded run passes at once, beside its definition.
#[tokio::test]
async fn golden_runs_become_tests_that_pass() {
    let source: Arc<dyn PluginSource> = Arc::new(WasmPlugins::new(Some(code_cache())));
    for file in golden() {
        let (store, run) = unpacked(&file).await;
        let shown = file.display();
        let made = workflow_from_run(
            store.as_ref(),
            Arc::clone(&source),
            &run,
            Path::new("/"),
            &[],
        )
        .await;
        if shown.to_string().contains("guest-fork") {
            let refused = made.map_or_else(|error| error.to_string(), |made| made.text);
            assert!(
                refused.contains("it is the fork of another run"),
                "{refused}"
            );
            continue;
        }
        let made = made.unwrap_or_else(|error| panic!("{shown}: {error}"));
        assert_eq!(made.differs, [] as [String; 0], "{shown}");
        // The examples are those that the runs were made of.
        let examples = format!("{}/examples/", root().display());
        let text = made.text.replace(&format!("{FOLDER}/examples/"), &examples);
        if text == made.text {
            continue;
        }
        let test = TestFile::parse(Path::new("golden.test.toml"), &text).unwrap();
        let source = Arc::clone(&source);
        let ran = std::thread::spawn(move || Runner::new(source).run(&[&test.cases[0]]).remove(0));
        let verdict = ran.join().unwrap().verdict;
        assert!(matches!(verdict, Verdict::Passed), "{shown}: {verdict:?}");
    }
}
