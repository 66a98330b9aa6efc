//! Ids on stdin, and names that are nearly right.

use std::process::Stdio;

use milepost_tests::cli::{Cli, Output};
use serde_json::{Value, json};

use super::{GATE, HELLO};

/// Fails, whatever is done.
const FAILS: &str = r#"
[[step]]
id = "collect"
use = "flaky/fail_always"
with = { code = "busy", message = "not now" }
"#;

/// A command line with these lines on stdin.
#[track_caller]
fn piped(cli: &Cli, line: &str, stdin: &str) -> Output {
    cli.write("stdin", stdin);
    let mut command = cli.command(line);
    command.stdin(std::fs::File::open(cli.folder().join("stdin")).unwrap());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    Output::of(command.output().unwrap())
}

#[test]
fn failed_runs_are_retried_from_a_pipe() {
    let cli = Cli::new();
    cli.workflow("fails.toml", FAILS);
    for id in ["a", "b"] {
        cli.run(&format!("run fails.toml --id {id}")).expect(1);
    }
    let again = cli.shell("milepost ls --status failed -o ids | milepost retry -");
    assert_eq!(again.status, 1, "{again:?}");
    for id in ["a", "b"] {
        // One of the run, and one of the retry.
        assert_eq!(cli.shown(id)["steps"][0]["attempts"], 2);
        let events = cli.run(&format!("events {id} --json")).expect(0).stdout;
        assert!(events.contains("run_resumed"), "{events}");
        assert!(
            again.stderr.contains(&format!("failed: run {id} ")),
            "{again:?}"
        );
    }
}

#[test]
fn each_id_has_its_answer_and_none_keeps_the_others_waiting() {
    let cli = Cli::new();
    cli.workflow("gate.toml", GATE);
    cli.workflow("hello.toml", HELLO);
    cli.run("run gate.toml --id g1").expect(2);
    cli.run("run gate.toml --id g2").expect(2);
    cli.run("run hello.toml --id h -i name=Ada").expect(0);
    let told = piped(&cli, "cancel - --json", "g1\n\nnone\n g2\ng1\nh\n").expect(65);
    let told: Value = serde_json::from_str(&told.stdout).unwrap();
    let runs = told["runs"].as_array().unwrap();
    let answers: Vec<Value> = runs
        .iter()
        .map(|run| json!([run["id"], run["answer"], run["error"]["code"]]))
        .collect();
    assert_eq!(
        Value::from(answers),
        json!([
            ["g1", "cancelled", null],
            ["none", null, "run_not_found"],
            ["g2", "cancelled", null],
            ["h", "already_completed", null],
        ])
    );
    let nothing = piped(&cli, "cancel -", "\n").expect(0);
    assert!(nothing.stderr.contains("nothing to do"), "{nothing:?}");
    assert_eq!(
        piped(&cli, "resume - --json", "").expect(0).json(),
        json!({ "runs": [] })
    );
    // A prefix is not enough where nobody looks.
    cli.run("run gate.toml --id g3-long").expect(2);
    piped(&cli, "cancel -", "g3").expect(64);
    assert_eq!(cli.shown("g3-long")["status"], "paused");
}

#[test]
fn resumed_runs_print_what_they_return() {
    let cli = Cli::new();
    cli.workflow("gate.toml", GATE);
    for id in ["one", "two"] {
        cli.run(&format!("run gate.toml --id {id}")).expect(2);
        cli.run(&format!("approve {id} --comment fine-{id}"))
            .expect(0);
    }
    let told = piped(&cli, "resume -", "one\ntwo\n").expect(0);
    assert_eq!(told.stdout, "fine-one\nfine-two\n");
}

#[test]
fn b380_names_that_are_nearly_right_are_answered_with_the_right_ones() {
    let cli = Cli::new();
    cli.workflow("greet.toml", HELLO);
    cli.workflow("fails.toml", FAILS);
    cli.run("run greet.toml --id release-1 -i name=Ada")
        .expect(0);
    cli.run("run fails.toml --id f").expect(1);
    for (line, status, question) in [
        ("retry f --from colect", 65, "did you mean `collect`?"),
        ("fork f --from colect", 65, "did you mean `collect`?"),
        ("rerun f --from colect", 65, "did you mean `collect`?"),
        ("show relaese-1", 65, "did you mean `release-1`?"),
        ("run gret.toml", 65, "did you mean `greet.toml`?"),
        (
            "validate greet.tml",
            65,
            "there is no file and no workflow `greet.tml`",
        ),
        ("logs f --step colect", 65, "did you mean `collect`?"),
        (
            "logs f --step colect --follow",
            65,
            "did you mean `collect`?",
        ),
        ("logs f --step nothing", 65, "its steps are `collect`"),
        ("logs f --step collect", 0, ""),
        ("show f --at-step colect", 65, "did you mean `collect`?"),
        ("approve f --step colect", 65, "did you mean `collect`?"),
        ("cancel f --step colect[0]", 65, "did you mean `collect`?"),
        ("replay f --step colect", 65, "did you mean `collect`?"),
        ("replay f --with flacky=x.wasm", 65, "cannot read x.wasm"),
        ("ls --workflow gret", 0, "did you mean `greet`?"),
        ("ls --workflow gret --json", 0, "did you mean `greet`?"),
        ("replay --all --workflow gret", 0, "did you mean `greet`?"),
    ] {
        let told = cli.run(line).expect(status);
        let all = told.stdout + &told.stderr;
        assert!(all.contains(question), "{line}: {all}");
    }
    let told = cli.run("show nothing").expect(65).stderr;
    assert!(
        told.contains("no run begins with `nothing` (store: .milepost)"),
        "{told}"
    );
}

#[test]
fn what_was_decided_is_told_and_no_run_has_failed() {
    let cli = Cli::new();
    cli.workflow("gate.toml", GATE);
    cli.run("run gate.toml --id g").expect(2);
    let told = cli.run("reject g").expect(0).stdout;
    assert!(told.contains("the run is cancelled"), "{told}");
    let told = cli.run("reject g").expect(0).stdout;
    assert!(
        told.contains("nothing to reject: `gate` of run `g` was rejected"),
        "{told}"
    );
    let told = cli.run("approve g").expect(65).stderr;
    assert!(told.contains("was rejected"), "{told}");
    assert!(told.contains("the run is cancelled"), "{told}");
    let told = cli.run("resume g").expect(65).stderr;
    assert!(
        told.contains("`milepost rerun g` runs the same again"),
        "{told}"
    );
}

#[test]
fn a_cause_is_told_before_what_follows_from_it_and_a_missing_value_with_its_help() {
    let cli = Cli::new();
    cli.workflow(
        "w.toml",
        r#"
[inputs.j]
type = "json"
default = {}
[[step]]
id = "fix"
loop = { until = "inputs.j.done == true" }
[[step]]
id = "attempt"
in = "fix"
use = "flaky/fail_always"
with = { code = "busy", message = "not now" }
"#,
    );
    let told = cli.run("run w.toml --id r").expect(1).stderr;
    let shown = cli.run("show r").expect(0).stdout;
    for (told, cause, consequence) in [
        (
            told,
            "step fix#1/attempt: busy: not now",
            "step fix: definition missing_value",
        ),
        (
            shown,
            "\nfix#1/attempt: busy: not now",
            "\nfix: definition missing_value",
        ),
    ] {
        let at = |part: &str| told.rfind(part).unwrap_or_else(|| panic!("{part}: {told}"));
        assert!(at(cause) < at(consequence), "{told}");
        assert!(
            told.contains("help: where a value may be missing"),
            "{told}"
        );
    }
}
