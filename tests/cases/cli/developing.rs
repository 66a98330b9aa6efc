//! `milepost dev`: a source is edited while it runs. The text format needs no tool, so that nothing is needed but the program.

use std::fs;

use milepost_tests::cli::Cli;
use serde_json::{Value, json};

/// A plugin whose second step fails: the name that it is called by is misspelt.
fn broken(cli: &Cli) -> (std::path::PathBuf, String) {
    cli.run("plugin new words --lang wat").expect(0);
    let source = cli.folder().join("words/step.wat");
    let right = fs::read_to_string(&source).unwrap();
    let wrong = right.replace(r#"(i32.const 16) "ask""#, r#"(i32.const 16) "asq""#);
    assert_ne!(right, wrong);
    fs::write(&source, wrong).unwrap();
    (source, right)
}

fn attempts(cli: &Cli, run: &str, path: &str) -> Value {
    let steps = cli.shown(run)["steps"].clone();
    let steps = steps.as_array().unwrap().clone();
    let step = steps.into_iter().find(|step| step["path"] == path);
    step.unwrap()["attempts"].clone()
}

#[test]
fn a_source_is_edited_until_the_run_passes() {
    let cli = Cli::new();
    let (source, right) = broken(&cli);
    let mut dev = cli.start("dev words/workflow.toml --id r --input name=Ada");
    dev.until("built words/words.wasm (WAT, ");
    dev.until("failed: run r");
    dev.until("unknown_step");
    dev.until("waiting for changes; Ctrl-C ends this");

    // What does not build is told, with its place, and the run stands as it did.
    fs::write(&source, right.replace("(local.get $p))", "(local.got $p))")).unwrap();
    dev.until("changed: words/step.wat");
    dev.until("unknown operator or unexpected token");
    dev.until(":39:6");
    dev.until("waiting for changes");
    assert_eq!(cli.shown("r")["status"], "failed");

    // Nor does a workflow that is invalid touch it.
    let workflow = cli.folder().join("words/workflow.toml");
    let valid = fs::read_to_string(&workflow).unwrap();
    fs::write(&source, &right).unwrap();
    fs::write(&workflow, valid.replace("id = \"ask\"", "id = \"greet\"")).unwrap();
    dev.until("built words/words.wasm");
    dev.until("MP0");
    dev.until("waiting for changes");
    assert_eq!(cli.shown("r")["status"], "failed");

    // The fix: the same run goes on at the step that failed.
    fs::write(&workflow, valid).unwrap();
    dev.until("changed: words/workflow.toml");
    dev.until("paused: run r");
    dev.until("waiting for changes");
    assert_eq!(attempts(&cli, "r", "greet"), 1);

    // What it waits for comes from elsewhere.
    cli.run("signal r answer --data \"fine\"").expect(0);
    dev.until("completed: run r");
    dev.until("waiting for changes");

    // After a run that completed, a change begins another one.
    fs::write(&source, right.replace("Hello, ", "Hallo, ")).unwrap();
    dev.until("built words/words.wasm");
    dev.until("paused: run ");
    dev.until("waiting for changes");
    let runs = cli.run("ls -o ids").expect(0).stdout;
    assert_eq!(runs.lines().count(), 2, "{runs}");
    dev.signal("INT");
    let ended = dev.wait().expect(2);
    let output: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(
        output,
        json!({ "question": "Hello, Ada! How are you?", "answer": "fine" })
    );
    cli.run("replay r").expect(0);
}

#[test]
fn a_run_that_is_there_goes_on_under_the_files_of_now() {
    let cli = Cli::new();
    let (source, right) = broken(&cli);
    cli.run("plugin build words").expect(0);
    cli.run("run words/workflow.toml --id r").expect(1);
    fs::write(&source, right).unwrap();
    let mut dev = cli.start("dev words/workflow.toml --id r");
    dev.until("built words/words.wasm");
    dev.until("paused: run r");
    dev.until("waiting for changes");
    dev.signal("TERM");
    dev.wait().expect(2);
    assert_eq!(attempts(&cli, "r", "greet"), 1);
    assert_eq!(attempts(&cli, "r", "ask"), 2);
}

#[test]
fn a_component_without_sources_is_watched_itself() {
    let cli = Cli::new();
    let (source, right) = broken(&cli);
    cli.run("plugin build words -o other.wasm").expect(0);
    let workflow = fs::read_to_string(cli.folder().join("words/workflow.toml")).unwrap();
    cli.write("w.toml", workflow.replace("words.wasm", "other.wasm"));
    let mut dev = cli.start("dev w.toml --id r");
    dev.until("failed: run r");
    dev.until("waiting for changes");
    fs::write(&source, right).unwrap();
    cli.run("plugin build words -o other.wasm").expect(0);
    dev.until("changed: other.wasm");
    dev.until("paused: run r");
    dev.until("waiting for changes");
    dev.signal("INT");
    dev.wait().expect(2);
}
