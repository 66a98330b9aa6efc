//! Runs that wait for a signal or a person.

use std::process::Stdio;
use std::time::Duration;

use milepost_core::limits;
use milepost_tests::cli::Cli;
use rusqlite::Connection;
use serde_json::{Value, json};

use super::{GATE, HELLO, SIGNAL, spinning};

fn events(cli: &Cli, run: &str) -> Value {
    cli.run(&format!("events {run} --json")).expect(0).json()
}

fn at_the_gate(run: &str) -> Cli {
    let cli = Cli::new();
    cli.workflow("gate.toml", GATE);
    cli.run(&format!("run gate.toml --id {run}")).expect(2);
    cli
}

#[test]
fn a_signal_is_delivered_to_a_run_that_waits_and_kept_for_one_that_does_not() {
    let cli = Cli::new();
    cli.workflow("signal.toml", SIGNAL);
    cli.workflow("hello.toml", HELLO);
    cli.run("run signal.toml --id r").expect(2);
    let kept = cli.run("signal r other --json").expect(0).json();
    assert_eq!(
        (&kept["answer"], &kept["continues"]),
        (&json!("kept"), &json!(null))
    );
    let names: Vec<_> = cli.shown("r")["inbox"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|signal| (signal["name"].clone(), signal["sent_at"].is_string()))
        .collect();
    assert_eq!(names, [(json!("other"), true)]);
    let table = cli.run("ls").expect(0).stdout;
    assert!(table.contains("signal go"), "{table}");

    cli.write("data.json", "{\"n\":\n [1]}");
    let told = cli.run("signal r go --data @data.json").expect(0).stdout;
    assert_eq!(
        told,
        "run r got `go`; a worker goes on with it, without one `milepost resume r` does\n"
    );
    let row = &cli.run("ls --json").expect(0).json()[0];
    assert_eq!(
        (&row["status"], &row["stop_reason"], &row["awaits"]),
        (&json!("paused"), &json!("ready"), &json!([]))
    );
    cli.run("work --until-idle").expect(0);
    assert_eq!(cli.shown("r")["output"], json!({ "payload": { "n": [1] } }));

    let over = cli.run("signal r go --json").expect(65).json();
    assert_eq!(over["error"]["code"], "signal_refused");
    // Sent before the run waits for it, and without data.
    cli.run("submit signal.toml --id early").expect(0);
    cli.run("signal early go").expect(0);
    cli.run("work --until-idle").expect(0);
    assert_eq!(cli.shown("early")["output"], json!({ "payload": null }));
}

#[test]
fn data_that_is_no_json_is_a_mistake_with_its_place() {
    let cli = Cli::new();
    cli.workflow("signal.toml", SIGNAL);
    cli.run("run signal.toml --id r").expect(2);
    cli.write("bad.json", "{\n  \"n\": }");
    for (data, place) in [
        ("{\"n\":", "--data is not JSON"),
        ("{\"n\":", "at line 1 column 5"),
        ("@bad.json", "bad.json is not JSON"),
        ("@bad.json", "at line 2 column 8"),
    ] {
        let refused = cli
            .run(&format!("signal r go --data {data} --json"))
            .expect(64)
            .json();
        assert_eq!(refused["error"]["code"], "usage");
        let message = refused["error"]["message"].as_str().unwrap();
        assert!(message.contains(place), "{message}");
    }
    cli.run("signal r go --data @gone.json").expect(65);
    assert_eq!(
        cli.shown("r")["stop_reason"],
        "step_paused",
        "nothing was sent"
    );
}

#[test]
fn b301_b309_an_approved_run_stays_paused_until_somebody_takes_it() {
    let cli = at_the_gate("r");
    let mut approve = cli.command("approve r --json --comment");
    let output = approve
        .arg("good so far")
        .env("USER", "ada")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let decided: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        decided,
        json!({
            "id": "r", "answer": "approved", "path": "gate", "status": "paused", "rework_left": null, "held": false, "continues": "worker"
        })
    );
    let run = cli.shown("r");
    assert_eq!(
        (
            &run["status"],
            &run["stop_reason"],
            &run["steps"][0]["status"]
        ),
        (&json!("paused"), &json!("ready"), &json!("completed"))
    );
    assert_eq!(
        run["steps"][0]["output"],
        json!({ "decision": "approved", "comment": "good so far", "by": "ada", "timed_out": false })
    );
    let worked = cli.run("work --until-idle --json").expect(0).json();
    assert_eq!(worked["ended"], json!({ "completed": 1 }));
    assert_eq!(cli.shown("r")["output"], "good so far");
}

#[test]
fn b302_the_second_decision_is_refused_and_leaves_no_event() {
    let cli = at_the_gate("r");
    cli.run("approve r --by ada").expect(0);
    let before = (cli.shown("r"), events(&cli, "r"));
    assert_eq!(before.0["steps"][0]["output"]["by"], "ada");
    for verb in ["approve", "reject"] {
        let refused = cli.run(&format!("{verb} r --json")).expect(1).json();
        assert_eq!(refused["error"]["code"], "already_decided");
        let message = refused["error"]["message"].as_str().unwrap();
        assert!(
            message.contains("`gate` of run `r` was approved by ada at 20"),
            "{message}"
        );
    }
    assert_eq!((cli.shown("r"), events(&cli, "r")), before);
    cli.run("resume r").expect(0);
}

#[test]
fn b303_of_two_decisions_at_once_exactly_one_wins() {
    let cli = at_the_gate("r");
    let deciding: Vec<_> = ["approve", "reject", "approve", "reject"]
        .into_iter()
        .map(|verb| {
            let mut command = cli.command(&format!("{verb} r"));
            command.stdout(Stdio::null()).stderr(Stdio::null());
            (verb, command.spawn().unwrap())
        })
        .collect();
    let mut winners = Vec::new();
    for (verb, mut child) in deciding {
        match child.wait().unwrap().code() {
            Some(0) => winners.push(verb),
            other => assert_eq!(other, Some(1), "{verb}"),
        }
    }
    let status = cli.shown("r")["status"].clone();
    match winners.as_slice() {
        ["approve"] => assert_eq!(status, "paused"),
        ["reject"] => assert_eq!(status, "cancelled"),
        other => panic!("{other:?} won"),
    }
    let decisions = events(&cli, "r")["events"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|entry| entry["event"]["type"] == "approval_decided")
        .count();
    assert_eq!(decisions, 1);
}

#[test]
fn b305_only_an_approval_that_waits_is_decided() {
    let cli = at_the_gate("r");
    cli.workflow("hello.toml", HELLO);
    cli.run("submit gate.toml --id new").expect(0);
    cli.run("run hello.toml --input name=x --id done").expect(0);
    let running = spinning(&cli);
    for line in [
        "approve new",
        "reject done",
        "approve spin",
        "approve r --step after",
    ] {
        let refused = cli.run(&format!("{line} --json")).expect(65).json();
        assert_eq!(refused["error"]["code"], "not_waiting", "{line}");
    }
    running.signal("INT");
    running.wait().expect(2);
    cli.run("approve r --step gate").expect(0);
}

#[test]
fn b306_a_rejection_without_rework_cancels_the_run() {
    let cli = at_the_gate("r");
    let decided = cli.run("reject r --comment no --json").expect(0).json();
    assert_eq!(
        (
            &decided["answer"],
            &decided["status"],
            &decided["continues"]
        ),
        (&json!("rejected"), &json!("cancelled"), &json!(null))
    );
    let run = cli.shown("r");
    assert_eq!(
        (&run["status"], &run["stop_reason"]),
        (&json!("cancelled"), &json!("rejected"))
    );
    assert!(run["ended_at"].is_string(), "{run:#}");
    assert_eq!(run["stop"]["message"], "`gate` was rejected: no");
    let late = cli.run("approve r --json").expect(1).json();
    assert_eq!(late["error"]["code"], "already_decided");
}

#[test]
fn b307_a_rejection_with_rework_leaves_the_run_to_be_taken() {
    let cli = Cli::new();
    let steps = r#"
        [[step]]
        id = "draft"
        use = "text/upper"
        with = { text = "a" }
        [[step]]
        id = "gate"
        approval = { message = "Good?", rework = { from = "draft", max_attempts = 2 } }
    "#;
    cli.workflow("rework.toml", steps);
    cli.run("run rework.toml --id r").expect(2);
    let decided = cli.run("reject r --comment again --json").expect(0).json();
    assert_eq!(
        (&decided["status"], &decided["continues"]),
        (&json!("paused"), &json!("worker"))
    );
    cli.run("resume r").expect(2);
    assert_eq!(cli.shown("r")["stop_reason"], "waiting_for_approval");
    let told = cli.run("reject r").expect(0).stdout;
    assert_eq!(told, "`gate` of run r is rejected; the run is cancelled\n");
}

#[test]
fn b300_a_run_at_a_gate_says_what_it_asks_and_how_to_answer() {
    let cli = Cli::new();
    cli.workflow("gate.toml", GATE);
    let paused = cli.run("run gate.toml --id r --store s").expect(2);
    assert!(
        paused.stderr.contains("`gate` asks: Publish?"),
        "{paused:#?}"
    );
    assert!(
        paused.stderr.contains("`milepost --store s approve r`"),
        "the store was named, so the next command has to name it: {paused:#?}"
    );
    assert!(
        !paused.stderr.contains("resume:"),
        "it would stand there again: {paused:#?}"
    );
    let shown = cli.run("show r --store s").expect(0).stdout;
    for line in [
        "  waits:  gate, for a decision: Publish?\n",
        "  approve: milepost --store s approve r --step gate\n",
        "  reject:  milepost --store s reject r --step gate\n",
    ] {
        assert!(shown.contains(line), "{line}{shown}");
    }
    let listed = cli.run("ls --store s").expect(0).stdout;
    assert!(listed.contains("approve or reject"), "{listed}");
}

#[test]
fn what_a_run_waits_for_and_until_when_stands_in_one_line_each() {
    let waits = [
        ("wait = { for = \"36h\" }", "waiting_for_time", "goes on"),
        (
            "wait = { signal = \"go\", timeout = \"36h\" }",
            "waiting_for_signal",
            "times out",
        ),
        (
            "approval = { message = \"Publish?\", timeout = \"36h\" }",
            "waiting_for_approval",
            "times out",
        ),
    ];
    for (wait, code, what) in waits {
        let cli = Cli::new();
        cli.workflow("w.toml", &format!("[[step]]\nid = \"w\"\n{wait}\n"));
        let paused = cli.run("run w.toml --id r").expect(2).stderr;
        let due = cli.shown("r")["stop"]["due_at"].clone();
        let due = format!("{}Z", due.as_str().unwrap()[..19].replace('T', " "));
        let line = format!("\n  due:    {what} at {due} (in 1d 12h)\n");
        let shown = cli.run("show r").expect(0).stdout;
        for text in [&paused, &shown] {
            assert!(text.contains(&line), "{line}{text}");
            // The same time as the record writes it.
            assert!(!text.contains(&due.replace(' ', "T")[..19]), "{text}");
        }
        assert_eq!(shown.matches(&due).count(), 1, "{shown}");
        cli.run("submit w.toml --id s").expect(0);
        let told = cli.run("work --until-idle").expect(0).stderr;
        let line = format!("run s: paused: {code}: ");
        let line = told.lines().find(|told| told.starts_with(&line)).unwrap();
        assert!(line.contains(&format!(", {what} at 2")), "{line}");
        let listed = cli.run("ls").expect(0).stdout;
        assert_eq!(
            listed.contains("times out in 1d 12h"),
            what == "times out",
            "{listed}"
        );
    }
}

#[test]
fn what_is_ready_is_not_due_some_time() {
    let cli = at_the_gate("r");
    cli.run("approve r").expect(0);
    let shown = cli.run("show r").expect(0).stdout;
    assert!(
        shown.contains("  next:   a worker goes on with it"),
        "{shown}"
    );
    assert!(!shown.contains("due"), "{shown}");
}

/// A workflow of one step.
fn one(cli: &Cli, id: &str, wait: &str) {
    cli.workflow(
        &format!("{id}.toml"),
        &format!("[[step]]\nid = \"{id}\"\n{wait}\n"),
    );
    cli.run(&format!("run {id}.toml --id {id}")).expect(2);
}

#[test]
fn b315_what_comes_after_the_time_out_is_told_so_and_not_taken() {
    let cli = Cli::new();
    one(
        &cli,
        "g",
        "approval = { message = \"Pay?\", timeout = \"400ms\", on_timeout = \"reject\" }",
    );
    one(
        &cli,
        "s",
        "wait = { signal = \"go\", timeout = \"400ms\", on_timeout = \"continue\" }",
    );
    std::thread::sleep(Duration::from_millis(500));
    let late = cli.run("approve g --json").expect(1).json();
    assert_eq!(late["error"]["code"], "timed_out");
    let message = late["error"]["message"].as_str().unwrap();
    assert!(message.contains("`g` of run `g` waited until"), "{message}");
    assert!(message.contains("the run is cancelled"), "{message}");
    assert_eq!(cli.shown("g")["stop_reason"], "approval_timed_out");
    let shown = cli.run("show g").expect(0).stdout;
    assert!(!shown.contains("milepost approve"), "{shown}");
    cli.run("resume g").expect(65);
    let again = cli.run("approve g --json").expect(1).json();
    assert_eq!(again["error"]["code"], "already_decided");
    let message = again["error"]["message"].as_str().unwrap();
    assert!(message.contains("in time"), "{message}");

    let late = cli.run("signal s go --data 1 --json").expect(1).json();
    assert_eq!(late["error"]["code"], "timed_out");
    cli.run("resume s").expect(0);
    let run = cli.shown("s");
    assert_eq!(
        run["output"],
        json!({ "signal": "go", "data": null, "timed_out": true })
    );
    cli.run("replay s").expect(0);
}

#[test]
fn a_signal_goes_to_where_the_run_stands_first() {
    let cli = Cli::new();
    let wait = |id: &str| format!("[[step]]\nid = \"{id}\"\nwait = {{ signal = \"go\" }}\n");
    cli.workflow(
        "w.toml",
        &format!("{}{}", wait("z_first"), wait("a_second")),
    );
    cli.run("run w.toml --id s").expect(2);
    cli.run("signal s go").expect(0);
    cli.run("resume s").expect(2);
    cli.run("retry s --from z_first").expect(2);
    cli.run("signal s go --data 7").expect(0);
    cli.run("work --until-idle").expect(0);
    let run = cli.shown("s");
    assert_eq!(run["steps"][0]["output"]["data"], 7);
    assert_eq!(run["stop"]["path"], "a_second");
    assert_eq!(run["steps"][1]["status"], "waiting");
}

#[test]
fn b307_retries_before_an_approval_use_up_none_of_its_rejections() {
    let cli = Cli::new();
    let steps = r#"
        [[step]]
        id = "work"
        use = "text/upper"
        with = { text = "a" }
        [[step]]
        id = "gate"
        approval = { message = "ok ${ steps.work.output.text }?", rework = { from = "work", max_attempts = 2 } }
    "#;
    cli.workflow("w.toml", steps);
    cli.run("run w.toml --id s").expect(2);
    cli.run("retry s --from work").expect(2);
    cli.run("retry s --from work").expect(2);
    let rejected = cli.run("reject s --json").expect(0).json();
    assert_eq!(
        (&rejected["status"], &rejected["rework_left"]),
        (&json!("paused"), &json!(1))
    );
    cli.run("resume s").expect(2);
    assert_eq!(cli.shown("s")["stop_reason"], "waiting_for_approval");
    cli.run("reject s").expect(0);
    assert_eq!(cli.shown("s")["status"], "cancelled");
}

#[test]
fn a_retry_before_an_open_gate_leaves_one_question() {
    let cli = Cli::new();
    let gate =
        |id: &str| format!("[[step]]\nid = \"{id}\"\napproval = {{ message = \"{id}?\" }}\n");
    cli.workflow("w.toml", &format!("{}{}", gate("g1"), gate("g2")));
    cli.run("run w.toml --id x").expect(2);
    cli.run("approve x").expect(0);
    cli.run("resume x").expect(2);
    cli.run("retry x --from g1").expect(2);
    let early = cli.run("reject x --step g2 --json").expect(65).json();
    assert_eq!(early["error"]["code"], "not_waiting");
    let shown = cli.run("show x").expect(0).stdout;
    assert!(shown.contains("approve x --step g1"), "{shown}");
    assert!(!shown.contains("--step g2"), "{shown}");
    let decided = cli.run("approve x --json").expect(0).json();
    assert_eq!(decided["path"], "g1");
    cli.run("resume x").expect(2);
    assert_eq!(cli.run("approve x --json").expect(0).json()["path"], "g2");
}

#[test]
fn a_signal_that_nothing_waits_for_is_refused_or_says_so() {
    let cli = Cli::new();
    one(&cli, "w", "wait = { signal = \"payment\" }");
    let refused = cli.run("signal w paymnet --json").expect(65).json();
    assert_eq!(refused["error"]["code"], "unknown_signal");
    assert_eq!(refused["error"]["help"], "did you mean `payment`?");
    let refused = cli.run("signal w other --json").expect(65).json();
    assert_eq!(refused["error"]["help"], "it waits for `payment`");
    assert_eq!(cli.shown("w")["inbox"], Value::Null);
    cli.workflow("signal.toml", SIGNAL);
    cli.run("run signal.toml --id c").expect(2);
    let told = cli.run("signal c og").expect(0).stdout;
    assert_eq!(
        told,
        "run c is paused and does not wait for `og` now, it waits for `go`; the signal is kept until it does\n"
    );
    cli.workflow("hello.toml", HELLO);
    cli.run("submit hello.toml --input name=x --id new")
        .expect(0);
    let told = cli.run("signal new go").expect(0).stdout;
    assert!(
        told.starts_with("run new is pending and does not wait for `go` now"),
        "{told}"
    );
}

#[test]
fn what_stops_or_decides_needs_the_whole_id_without_a_terminal() {
    let cli = at_the_gate("long-id");
    for line in [
        "approve long",
        "reject long",
        "signal long go",
        "pause long",
        "cancel long",
        "kill long",
    ] {
        let verb = line.split(' ').next().unwrap_or_default();
        let refused = cli.run(&format!("{line} --json")).expect(64).json();
        assert_eq!(refused["error"]["code"], "whole_id_needed", "{line}");
        let help = refused["error"]["help"].as_str().unwrap();
        assert!(help.contains("type `long-id`"), "{help}");
        cli.run(line).expect(64);
        let help = cli.run(&format!("{verb} --help")).expect(0).stdout;
        assert!(help.contains("at a terminal"), "{help}");
    }
    assert_eq!(
        cli.shown("long")["stop_reason"],
        "waiting_for_approval",
        "a look needs no more"
    );
    cli.run("approve long-id").expect(0);
    cli.run("resume long").expect(0);
}

/// Signals that wait for a run, put there by hand: sending a thousand takes its time.
fn stuffed(cli: &Cli, run: &str, count: usize, data: &str) {
    let db = Connection::open(cli.database()).unwrap();
    let sql = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
               INSERT INTO signal (run, name, at, data) SELECT run.key, 'go', 1, ?2 FROM n, run WHERE id = ?3";
    assert_eq!(
        db.execute(sql, (i64::try_from(count).unwrap(), data, run))
            .unwrap(),
        count
    );
}

#[test]
fn a_full_inbox_refuses_what_does_not_fit_and_keeps_what_it_has() {
    let cli = Cli::new();
    cli.workflow("signal.toml", SIGNAL);
    let large = format!("\"{}\"", "x".repeat(limits::INBOX_BYTES - 7));
    for (run, count, data) in [("many", limits::SIGNALS, "1"), ("large", 1, &large)] {
        cli.run(&format!("submit signal.toml --id {run}")).expect(0);
        stuffed(&cli, run, count, data);
        let full = cli
            .run(&format!("signal {run} go --data 123 --json"))
            .expect(75)
            .json();
        assert_eq!(full["error"]["code"], "inbox_full", "{full:#}");
        let help = full["error"]["help"].as_str().unwrap();
        assert!(help.contains(&format!("`milepost show {run}`")), "{help}");
        assert_eq!(cli.shown(run)["inbox_count"], count, "nothing was lost");
    }
    // One byte less, and it fits.
    let db = Connection::open(cli.database()).unwrap();
    db.execute("UPDATE signal SET data = '2' WHERE data <> '1'", ())
        .unwrap();
    cli.run("signal large go --data 123").expect(0);
    assert_eq!(cli.shown("large")["inbox_count"], 2);
}

#[test]
fn the_first_signals_that_wait_are_shown_and_the_rest_is_counted() {
    let cli = Cli::new();
    cli.workflow("signal.toml", SIGNAL);
    cli.run("submit signal.toml --id r").expect(0);
    assert_eq!(cli.shown("r")["inbox_count"], Value::Null);
    stuffed(&cli, "r", 998, "1");
    let see = |count: u64| {
        let shown = cli.shown("r");
        assert_eq!(shown["inbox"].as_array().unwrap().len(), 10);
        assert_eq!(shown["inbox_count"], count);
        let text = cli.run("show r").expect(0).stdout;
        assert_eq!(text.matches("the signal `go`").count(), 10, "{text}");
        let more = format!("and {} more\n", count - 10);
        assert!(text.contains(&more), "{text}");
    };
    see(998);
    // One is taken, and the run ends; what it never took is still shown.
    cli.run("work --until-idle").expect(0);
    assert_eq!(cli.shown("r")["status"], "completed");
    see(997);
}
