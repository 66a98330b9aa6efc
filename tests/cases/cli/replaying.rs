//! `replay` with other components, of one step, of all runs, twice; and mutants: which steps differ, and no other.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use expect_test::expect;
use milepost_tests::cli::{Cli, component};

use super::{HELLO, flaky};

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// Runs an example, replaces one of its components with a mutant, and says which attempts come to something else.
fn changed(example: &str, arguments: &str, plugin: &str) -> BTreeSet<(String, u64)> {
    let cli = Cli::new();
    let file = repository("examples").join(example).join("workflow.toml");
    cli.run(&format!("run {} --id r {arguments}", file.display()))
        .expect(0);
    cli.run("replay r").expect(0);
    let own = component(plugin);
    cli.run(&format!("replay r --with {plugin}={}", own.display()))
        .expect(0);
    let mutant = repository("plugins/mutants").join(format!("{plugin}.wasm"));
    let line = format!("replay r --json --with {plugin}={}", mutant.display());
    let found = cli.run(&line).expect(4).json();
    assert_eq!(found["divergence"], serde_json::Value::Null);
    let changed = found["changed"].as_array().expect("some attempts differ");
    let each = changed.iter().map(|it| {
        assert_eq!(it["plugin"], plugin);
        assert_eq!(it["unanswered"], serde_json::Value::Null);
        let path = it["path"].as_str().expect("a path").to_owned();
        (path, it["attempt"].as_u64().expect("a number"))
    });
    each.collect()
}

fn firsts<'a>(paths: impl IntoIterator<Item = &'a str>) -> BTreeSet<(String, u64)> {
    let paths = paths.into_iter();
    paths.map(|path| (path.to_owned(), 1)).collect()
}

#[test]
fn a_mutant_of_text_changes_what_counts_and_nothing_else() {
    let mut expected = BTreeSet::new();
    for round in 1..=3 {
        expected.insert((format!("rounds#{round}/round"), 1));
        for pass in 1..=4 {
            expected.insert((format!("rounds#{round}/passes#{pass}/tick"), 1));
        }
    }
    assert_eq!(changed("nested-loops", "", "text"), expected);
}

#[test]
fn mutants_of_table_and_report_change_one_step_each() {
    let csv = repository("examples/table-report/data/orders.csv");
    let csv = format!("--input csv=@{}", csv.display());
    assert_eq!(changed("table-report", &csv, "table"), firsts(["totals"]));
    assert_eq!(changed("table-report", &csv, "report"), firsts(["report"]));
}

#[test]
fn a_mutant_of_flaky_changes_the_attempts_that_fail() {
    let expected = [1, 2].map(|attempt| ("call".to_owned(), attempt));
    assert_eq!(changed("retry", "", "flaky"), expected.into());
}

#[test]
fn a_replay_with_another_component_says_what_differs() {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    cli.workflow("flaky.toml", &flaky(r#"initial = "1ms""#));
    cli.run("run hello.toml --id r --input name=x").expect(0);
    cli.run("run flaky.toml --id f").expect(0);
    std::fs::copy(component("report"), cli.folder().join("other.wasm")).unwrap();
    std::fs::copy(
        repository("plugins/mutants/flaky.wasm"),
        cli.folder().join("flaky2.wasm"),
    )
    .unwrap();
    let mut session = cli.session();
    session.milepost("replay f --with flaky=flaky2.wasm");
    session.milepost("replay r --with text=other.wasm");
    session.milepost("replay r --with txet=other.wasm");
    session.milepost("replay r --with text");
    session.milepost("replay r --with text=nowhere.wasm");
    session.milepost("replay --all --with flaky=flaky2.wasm");
    session.document(
        "replay --all --with flaky=flaky2.wasm",
        &["/same", "/untouched", "/different/0/id", "/failed"],
    );
    session.milepost("replay --all --workflow hello --since 7d");
    session.milepost("replay r --all");
    session.milepost("replay");
    session.reads(expect![[""]]);
}

#[test]
fn one_step_is_replayed_alone() {
    let cli = Cli::new();
    cli.workflow("flaky.toml", &flaky(r#"initial = "1ms""#));
    cli.run("run flaky.toml --id r").expect(0);
    let mut session = cli.session();
    session.milepost("replay r --step try");
    session.milepost("replay r --step other");
    session.reads(expect![[""]]);
}

/// Puts a value into a bucket, and gets it.
const KEEPS: &str = r#"
[plugins.world.allow]
kv = ["b"]
[[step]]
id = "keep"
use = "world/visit"
with = { calls = [{ do = "put", bucket = "b", key = "k", value = "v" }, { do = "get", bucket = "b", key = "k" }] }
"#;

#[test]
fn a_host_call_that_the_history_does_not_answer_is_listed_as_such() {
    let cli = Cli::new();
    cli.workflow("w.toml", KEEPS);
    cli.run("run w.toml --id r").expect(0);
    std::fs::copy(
        repository("plugins/mutants/world.wasm"),
        cli.folder().join("world2.wasm"),
    )
    .unwrap();
    let mut session = cli.session();
    session.milepost("replay r --with world=world2.wasm");
    session.document(
        "replay r --with world=world2.wasm",
        &[
            "/divergence",
            "/changed/0/differences",
            "/changed/0/unanswered/index",
        ],
    );
    session.reads(expect![[""]]);
}

#[test]
fn attempts_consume_the_same_fuel_twice() {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    cli.workflow("flaky.toml", &flaky(r#"initial = "1ms""#));
    cli.run("run hello.toml --id r --input name=x").expect(0);
    cli.run("run flaky.toml --id f").expect(0);
    let replayed = cli.run("replay --all --verify --json").expect(0).json();
    assert_eq!(
        (&replayed["same"], &replayed["attempts"]),
        (&2.into(), &3.into())
    );
    assert_eq!(replayed["not_replayed"], 0);
}
