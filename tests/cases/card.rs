//! The promise in one sentence, word by word: a step's output is snapshotted between calls; `max_iterations`, condition
//! evaluation and pause errors are enforced at the host boundary and cannot be influenced by a guest.

use milepost_tests::cli::Cli;

#[test]
fn a_steps_output_is_snapshotted_between_calls() {
    let cli = Cli::new();
    cli.workflow(
        "snapshot.toml",
        r#"
[[step]]
id = "first"
use = "text/echo"
with = { value = [1, 2, 3] }
[[step]]
id = "second"
use = "text/echo"
with = { seen = "${ steps.first.output.value }" }
[[step]]
id = "third"
use = "text/echo"
with = { first = "${ steps.first.output.value }", second = "${ steps.second.output.seen }" }
"#,
    );
    let report = cli.run("run snapshot.toml --json").expect(0).json();
    let value = serde_json::json!([1, 2, 3]);
    assert_eq!(report["steps"][2]["output"]["first"], value);
    assert_eq!(report["steps"][2]["output"]["second"], value);
}

#[test]
fn no_memory_of_a_guest_outlives_its_call() {
    let cli = Cli::new();
    cli.workflow(
        "fresh.toml",
        r#"
[[step]]
id = "again"
loop = { until = "loop.iteration == 5", max_iterations = 5 }
[[step]]
id = "scribble"
in = "again"
use = "hostile/scribble"
[[step]]
id = "check"
in = "again"
use = "text/echo"
with = { calls = "${ steps.scribble.output.calls }" }
"#,
    );
    let report = cli.run("run fresh.toml --json").expect(0).json();
    assert_eq!(report["steps"][1]["output"]["calls"], 1);
    assert_eq!(report["steps"][0]["output"]["iterations"], 5);
}

#[test]
fn max_iterations_and_its_alias_are_counted_by_the_host() {
    for key in ["max_iterations", "maxIterations"] {
        let cli = Cli::new();
        cli.workflow(
            "count.toml",
            &format!(
                r#"
[[step]]
id = "loop"
loop = {{ until = "false", {key} = 4 }}
[[step]]
id = "liar"
in = "loop"
use = "hostile/echo"
with = {{ iterations = 0, iteration = 99, condition_met = true, max_iterations = 1000 }}
"#
            ),
        );
        let report = cli.run("run count.toml --json").expect(1).json();
        let step = &report["steps"][0];
        assert_eq!(step["iterations"], 4, "{key}");
        assert_eq!(step["error"]["code"], "loop_exhausted");
        assert_eq!(report["steps"][1]["path"], "loop#4/liar");
    }
}

#[test]
fn conditions_are_evaluated_by_the_host_on_the_recorded_output() {
    let cli = Cli::new();
    cli.workflow(
        "condition.toml",
        r#"
[[step]]
id = "liar"
use = "hostile/echo"
with = { status = "failed", output = { go = true }, go = false }
[[step]]
id = "guarded"
if = "steps.liar.output.go"
use = "text/echo"
with = {}
[[step]]
id = "by_status"
if = "steps.liar.status == 'completed'"
use = "text/echo"
with = { injected = "${ '$' + '{ inputs.nothing }' }" }
"#,
    );
    let report = cli.run("run condition.toml --json").expect(0).json();
    assert_eq!(report["steps"][1]["status"], "skipped");
    assert_eq!(report["steps"][2]["status"], "completed");
    assert_eq!(
        report["steps"][2]["output"]["injected"], "${ inputs.nothing }",
        "inserted text is never read again"
    );
}

#[test]
fn a_pause_error_pauses_durably_and_resume_hands_the_state_back() {
    let cli = Cli::new();
    cli.workflow(
        "pause.toml",
        r#"
returns = "${ steps.pause.output.state }"
[[step]]
id = "before"
use = "text/echo"
with = { n = 1 }
[[step]]
id = "pause"
use = "pausing/once"
with = { state = { kept = true } }
continue_on_error = true
[[step]]
id = "after"
use = "text/echo"
with = { n = 2 }
"#,
    );
    let paused = cli.run("run pause.toml --id p --json").expect(2).json();
    assert_eq!(paused["status"], "paused");
    assert_eq!(paused["stop"]["code"], "step_paused");
    assert_eq!(paused["stop"]["path"], "pause");
    assert_eq!(
        paused["steps"][2]["status"], "pending",
        "nothing after it ran"
    );
    assert_eq!(cli.shown("p")["status"], "paused");
    let resumed = cli.run("resume p --json").expect(0).json();
    assert_eq!(resumed["output"], serde_json::json!({"kept": true}));
    assert_eq!(
        resumed["steps"][0]["attempts"], 1,
        "a completed step never runs again"
    );
    cli.run("replay p").expect(0);
}

#[test]
fn one_changed_byte_of_a_recorded_output_is_named() {
    let cli = Cli::new();
    cli.workflow(
        "changed.toml",
        r#"
[[step]]
id = "first"
use = "text/upper"
with = { text = "milestone" }
[[step]]
id = "second"
use = "text/lower"
with = { text = "${ steps.first.output.text }" }
"#,
    );
    cli.run("run changed.toml --id c").expect(0);
    cli.run("replay c").expect(0);
    let db = rusqlite::Connection::open(cli.database()).unwrap();
    let changed = db
        .execute(
            "UPDATE journal SET body = replace(body, '\"MILESTONE\"', '\"MILESTOME\"') WHERE instr(body, 'step_completed') AND instr(body, 'MILESTONE')",
            [],
        )
        .unwrap();
    assert_eq!(changed, 1);
    let replay = cli.run("replay c");
    assert_eq!(replay.status, 4, "an exit code of its own: {replay:#?}");
    for part in ["first", "/output/text", "MILESTOME", "MILESTONE"] {
        assert!(
            replay.stdout.contains(part) || replay.stderr.contains(part),
            "{part}: {replay:#?}"
        );
    }
    let json = cli.run("replay c --json").json();
    assert_eq!(json["divergence"]["path"], "first");
    assert_eq!(json["divergence"]["field"], "/output/text");
}

#[test]
fn a_record_that_was_tampered_with_does_not_replay_clean() {
    let cli = Cli::new();
    cli.workflow(
        "tampered.toml",
        r#"
[[step]]
id = "fails"
use = "flaky/fail_always"
with = { class = "failed", code = "broken" }
"#,
    );
    cli.run("run tampered.toml --id t").expect(1);
    cli.run("replay t").expect(0);
    let db = rusqlite::Connection::open(cli.database()).unwrap();
    // Another code, one that the host itself uses too, in every place where it stands.
    for table in ["journal", "checkpoint"] {
        let changed = format!("UPDATE {table} SET body = replace(body, 'broken', 'cancelled')");
        assert!(db.execute(&changed, []).unwrap() > 0);
    }
    let replay = cli.run("replay t --json").expect(4).json();
    assert_eq!(replay["divergence"]["path"], "fails");

    db.execute("DELETE FROM journal WHERE seq > 3", []).unwrap();
    cli.run("replay t").expect(4);
    db.execute("DELETE FROM journal", []).unwrap();
    cli.run("replay t").expect(4);
}
