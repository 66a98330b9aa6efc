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
    session.reads(expect![[r#"
        $ milepost replay f --with flaky=flaky2.wasm
        try, attempt 1 of `flaky` (event 4)
            /error/message
              recorded: "attempt 1 of 2 fails"
              now:      "attempt 1 out of 2 fails"
        differs: 1 of 7 events, 2 attempts
        [exit 4]

        $ milepost replay r --with text=other.wasm
        greet, attempt 1 of `text` (event 4)
            /error
              recorded: nothing
              now:      {"class":"failed","code":"unknown_step","message":"no step `greet`; there are: markdown"}
            /output
              recorded: {"greeting":"Hello, x!"}
              now:      nothing
        differs: 1 of 5 events, 1 attempt
        [exit 4]

        $ milepost replay r --with txet=other.wasm
        ! error: run `r` has no plugin `txet`
        !   help: did you mean `text`?
        [exit 64]

        $ milepost replay r --with text
        ! error: invalid value 'text' for '--with <NAME=FILE>': write NAME=FILE: the name of a plugin in the definition, and a component
        !
        ! For more information, try '--help'.
        [exit 64]

        $ milepost replay r --with text=nowhere.wasm
        ! error: cannot read nowhere.wasm: No such file or directory (os error 2)
        [exit 65]

        $ milepost replay --all --with flaky=flaky2.wasm
        differs: run f: try, attempt 1; `milepost replay f --with flaky=flaky2.wasm` shows it
        2 runs: 0 the same, 1 different, 1 without that component
        12 events, 2 attempts executed
        [exit 4]

        $ milepost replay --all --with flaky=flaky2.wasm --json
        /same: 0
        /untouched: 1
        /different/0/id: "f"
        /failed: []
        [exit 4]

        $ milepost replay --all --workflow hello --since 7d
        1 run: 1 the same, 0 different
        5 events, 1 attempt executed

        $ milepost replay r --all
        ! error: the argument '[RUN|FILE]' cannot be used with '--all'
        !
        ! Usage: milepost replay <RUN|FILE>
        !
        ! For more information, try '--help'.
        [exit 64]

        $ milepost replay
        ! error: the following required arguments were not provided:
        !   <RUN|FILE>
        !
        ! Usage: milepost replay <RUN|FILE>
        !
        ! For more information, try '--help'.
        [exit 64]
    "#]]);
}

#[test]
fn one_step_is_replayed_alone() {
    let cli = Cli::new();
    cli.workflow("flaky.toml", &flaky(r#"initial = "1ms""#));
    cli.run("run flaky.toml --id r").expect(0);
    let mut session = cli.session();
    session.milepost("replay r --step try");
    session.milepost("replay r --step other");
    session.reads(expect![[r#"
        $ milepost replay r --step try
        same as recorded: 7 events, 2 attempts

        $ milepost replay r --step other
        ! error: run `r` has no step `other`
        !   help: its steps are `try`
        [exit 65]
    "#]]);
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
    session.reads(expect![[r#"
        $ milepost replay r --with world=world2.wasm
        keep, attempt 1 of `world` (event 4): a host call that the history does not answer
            call 3
              recorded: kv.get b/k (request [digest])
              now:      kv.get b/other (request [digest])
        differs: 1 of 5 events, 1 attempt
        [exit 4]

        $ milepost replay r --with world=world2.wasm --json
        /divergence: null
        /changed/0/differences: []
        /changed/0/unanswered/index: 3
        [exit 4]
    "#]]);
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
