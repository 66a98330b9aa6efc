//! What the ledger says on a terminal and to a program, and what it leaves unsaid on stdout.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use milepost_tests::cli::{Cli, Output};
use serde_json::{Value, json};

use super::{ENDLESS, HELLO, PAUSING, spinning};

#[test]
fn b222_a_watch_judges_the_owner_at_every_refresh_and_a_list_at_once() {
    let cli = Cli::new();
    let running = spinning(&cli);
    let mut command = cli.command("ls --watch 1 --json");
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut liveness = || {
        let mut line = String::new();
        assert_ne!(stdout.read_line(&mut line).unwrap(), 0);
        let rows: Value = serde_json::from_str(&line).unwrap();
        rows[0]["owner"]["liveness"].clone()
    };
    assert_eq!(liveness(), "alive");
    running.signal("KILL");
    running.wait().expect(128 + 9);
    let listed = cli.run("ls --json").expect(0).json();
    assert_eq!(listed[0]["owner"]["liveness"], "gone");
    while liveness() != "gone" {}
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn b223_warnings_never_reach_a_document() {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    for id in ["good", "bad"] {
        cli.run(&format!("submit hello.toml --input name=x --id {id}"))
            .expect(0);
    }
    let db = rusqlite::Connection::open(cli.database()).unwrap();
    db.execute("UPDATE run SET status = 'dancing' WHERE id = 'bad'", ())
        .unwrap();
    let listed = cli.run("ls --json").expect(0);
    let rows = listed.json();
    assert_eq!(
        (rows.as_array().map(Vec::len), &rows[0]["id"]),
        (Some(1), &json!("good"))
    );
    assert!(
        listed.stderr.contains("run bad cannot be read"),
        "{listed:#?}"
    );
    let worked = cli.run("work --until-idle --json").expect(0);
    assert_eq!(worked.json()["ended"], json!({ "completed": 1 }));
}

#[test]
fn b297_what_a_workflow_says_of_its_success_is_not_its_status() {
    let cli = Cli::new();
    let said = format!(
        "returns = {{ verdict = \"failed\" }}\n{}",
        HELLO.trim_start().split_once('\n').unwrap().1
    );
    cli.workflow("said.toml", &said);
    let run = cli
        .run("run said.toml --input name=x --id r --json")
        .expect(0)
        .json();
    assert_eq!(
        (&run["status"], &run["output"]["verdict"]),
        (&json!("completed"), &json!("failed"))
    );
}

#[test]
fn b298_where_a_run_belongs_is_written_once() {
    let cli = Cli::new();
    cli.workflow("pausing.toml", PAUSING);
    let file = |run: &Value| run["file"].clone();
    let begun = cli.run("run pausing.toml --id r --json").expect(2).json();
    // From another folder the same words would name another file.
    let elsewhere = tempfile::tempdir().unwrap();
    let store = cli.folder().join(".milepost");
    let mut command = cli.command("resume r --json");
    command.arg("--store").arg(store);
    command.current_dir(elsewhere.path());
    let resumed = Output::of(command.output().unwrap());
    let resumed = resumed.expect(0).json();
    assert_eq!(file(&resumed), file(&begun));
    let shown = cli.shown("r");
    assert_eq!(file(&shown), file(&begun));
}

#[test]
fn b394_a_list_knows_six_states_and_no_other() {
    let cli = Cli::new();
    cli.run("work --until-idle").expect(0);
    for status in [
        "pending",
        "running",
        "paused",
        "completed",
        "failed",
        "cancelled",
    ] {
        cli.run(&format!("ls --status {status}")).expect(0);
    }
    for other in ["queued", "timed_out", "scheduled_retry", "interrupted"] {
        let refused = cli.run(&format!("ls --status {other}")).expect(64);
        assert!(refused.stderr.contains("pending, running"), "{refused:#?}");
    }
}

#[test]
fn b440_somebodys_limit_a_persons_pause_and_a_cancel_are_told_apart() {
    let cli = Cli::new();
    cli.workflow("pausing.toml", PAUSING);
    cli.workflow("endless.toml", ENDLESS);
    cli.run("run pausing.toml --id limit").expect(2);
    for (id, verb, exit) in [("person", "pause --now", 2), ("over", "cancel", 3)] {
        let mut running = cli.start(&format!("run endless.toml --id {id}"));
        running.until("step spin: started");
        cli.run(&format!("{verb} {id}")).expect(0);
        running.wait().expect(exit);
    }
    let rows = cli.run("ls --json").expect(0).json();
    let of = |n: usize| {
        json!([
            rows[n]["id"],
            rows[n]["status"],
            rows[n]["stop_reason"],
            rows[n]["provider"]
        ])
    };
    assert_eq!(
        [of(0), of(1), of(2)],
        [
            json!(["over", "cancelled", "cancelled", null]),
            json!(["person", "paused", "interrupted", null]),
            json!(["limit", "paused", "step_paused", "acme"]),
        ]
    );
}

#[test]
fn b442_child_work_is_refused_as_not_supported_yet() {
    let cli = Cli::new();
    cli.workflow(
        "parent.toml",
        "[[step]]\nid = \"child\"\nworkflow = \"child.toml\"\n",
    );
    let refused = cli.run("run parent.toml --id r").expect(65);
    assert!(
        refused.stderr.contains("MP0113") && refused.stderr.contains("child workflows"),
        "{refused:#?}"
    );
    assert_eq!(cli.run("ls").status, 69, "nothing was recorded");
}
