//! What the ledger says on a terminal and to a program, and what it leaves unsaid on stdout.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use expect_test::expect;
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
    let mut session = cli.session();
    session.document("ls", &["/0/id", "/1"]);
    session.document("work --until-idle", &["/ended"]);
    session.reads(expect![[r#"
        $ milepost ls --json
        ! warning: run bad cannot be read: stored data is corrupted: status: `dancing` is not a status; use pending, running, paused, completed, failed or cancelled
        /0/id: "good"
        /1 is missing

        $ milepost work --until-idle --json
        ! working on .milepost, up to 4 runs at once
        ! run good: started
        ! run good: completed
        /ended: {"completed":1}
    "#]]);
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
    let mut session = cli.session();
    for status in [
        "pending",
        "running",
        "paused",
        "completed",
        "failed",
        "cancelled",
    ] {
        session.milepost(&format!("ls --status {status}"));
    }
    for other in ["queued", "timed_out", "scheduled_retry", "interrupted"] {
        session.milepost(&format!("ls --status {other}"));
    }
    session.reads(expect![[r#"
        $ milepost ls --status pending
        no matching runs (store: .milepost)

        $ milepost ls --status running
        no matching runs (store: .milepost)

        $ milepost ls --status paused
        no matching runs (store: .milepost)

        $ milepost ls --status completed
        no matching runs (store: .milepost)

        $ milepost ls --status failed
        no matching runs (store: .milepost)

        $ milepost ls --status cancelled
        no matching runs (store: .milepost)

        $ milepost ls --status queued
        ! error: invalid value 'queued' for '--status <STATUS>': choose one of pending, running, paused, completed, failed, cancelled
        !
        ! For more information, try '--help'.
        [exit 64]

        $ milepost ls --status timed_out
        ! error: invalid value 'timed_out' for '--status <STATUS>': choose one of pending, running, paused, completed, failed, cancelled
        !
        ! For more information, try '--help'.
        [exit 64]

        $ milepost ls --status scheduled_retry
        ! error: invalid value 'scheduled_retry' for '--status <STATUS>': choose one of pending, running, paused, completed, failed, cancelled
        !
        ! For more information, try '--help'.
        [exit 64]

        $ milepost ls --status interrupted
        ! error: invalid value 'interrupted' for '--status <STATUS>': choose one of pending, running, paused, completed, failed, cancelled
        !
        ! For more information, try '--help'.
        [exit 64]
    "#]]);
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
    let mut session = cli.session();
    session.milepost("ls");
    session.document(
        "ls",
        &["/0/stop_reason", "/1/stop_reason", "/2/stop_reason"],
    );
    session.document("ls", &["/0/provider", "/1/provider", "/2/provider"]);
    session.reads(expect![[r#"
        $ milepost ls
        ! no worker is running: `milepost work` starts one
        ID      WORKFLOW  STATUS                       OWNER  STARTED  TOOK       WAITED     UPDATED  NEXT
        over    endless   cancelled                           [ago]    [elapsed]  [elapsed]  [ago]
        person  endless   paused (interrupted)                [ago]    [elapsed]  [elapsed]  [ago]    resume by hand
        limit   pausing   paused (step_paused) [acme]         [ago]    [elapsed]  [elapsed]  [ago]    in [left] (resume 1 of 5)

        $ milepost ls --json
        /0/stop_reason: "cancelled"
        /1/stop_reason: "interrupted"
        /2/stop_reason: "step_paused"

        $ milepost ls --json
        /0/provider: null
        /1/provider: null
        /2/provider: "acme"
    "#]]);
}
