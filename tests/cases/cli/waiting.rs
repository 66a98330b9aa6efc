//! Runs that wait for a signal or a person.

use std::process::Stdio;
use std::time::Duration;

use expect_test::expect;
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
    let mut session = cli.session();
    session.document("signal r other", &["/answer", "/continues"]);
    session.document("show r", &["/inbox/0/name", "/inbox/0/sent_at", "/inbox/1"]);
    session.milepost("ls");
    cli.write("data.json", "{\"n\":\n [1]}");
    session.milepost("signal r go --data @data.json");
    session.document("ls", &["/0/status", "/0/stop_reason", "/0/awaits"]);
    session.milepost("work --until-idle");
    session.document("show r", &["/output"]);
    session.milepost("signal r go");
    session.document("signal r go", &["/error/code"]);
    session.comment("sent before the run waits for it, and without data");
    cli.run("submit signal.toml --id early").expect(0);
    session.milepost("signal early go");
    session.milepost("work --until-idle");
    session.document("show early", &["/output"]);
    session.reads(expect![[r#"
        $ milepost signal r other --json
        /answer: "kept"
        /continues: null

        $ milepost show r --json
        /inbox/0/name: "other"
        /inbox/0/sent_at: "[time]"
        /inbox/1 is missing

        $ milepost ls
        ID  WORKFLOW  STATUS                OWNER  STARTED  TOOK       WAITED     UPDATED  NEXT
        r   signal    paused (step_paused)         [ago]    [elapsed]  [elapsed]  [ago]    signal go

        $ milepost signal r go --data @data.json
        run r received `go`; no worker is running: `milepost resume r` continues it

        $ milepost ls --json
        /0/status: "paused"
        /0/stop_reason: "ready"
        /0/awaits: []

        $ milepost work --until-idle
        ! working on .milepost, up to 4 runs at once
        ! run r: resumed, 0 completed steps kept
        ! run r: completed
        1 run taken: 1 completed

        $ milepost show r --json
        /output: {"payload":{"n":[1]}}

        $ milepost signal r go
        ! error: run `r` cannot take the signal: the run is completed
        [exit 65]

        $ milepost signal r go --json
        /error/code: "signal_refused"
        [exit 65]

        # sent before the run waits for it, and without data

        $ milepost signal early go
        run early is pending and does not wait for `go` yet; the signal is kept until then

        $ milepost work --until-idle
        ! working on .milepost, up to 4 runs at once
        ! run early: started
        ! run early: completed
        1 run taken: 1 completed

        $ milepost show early --json
        /output: {"payload":null}
    "#]]);
}

#[test]
fn a_signal_without_a_name_says_which_ones_the_run_waits_for() {
    let cli = Cli::new();
    let two = "\n[[step]]\nid = \"first\"\nwait = { signal = \"go\" }\n[[step]]\nid = \"second\"\nwait = { signal = \"stop\" }\n";
    cli.workflow("signals.toml", two);
    cli.workflow("hello.toml", HELLO);
    cli.run("submit signals.toml --id new").expect(0);
    cli.run("run signals.toml --id r").expect(2);
    cli.run("run hello.toml --id done --input name=a").expect(0);
    let mut session = cli.session();
    session.milepost("signal r");
    session.document("signal r", &["/error/code"]);
    session.milepost("signal new");
    session.milepost("signal done");
    session.reads(expect![[r#"
        $ milepost signal r
        ! error: which signal? run r waits for `go`
        !   help: `milepost signal r go` sends it
        [exit 64]

        $ milepost signal r --json
        /error/code: "usage"
        [exit 64]

        $ milepost signal new
        ! error: which signal? run new waits for none now; its workflow waits for `go` and `stop`
        !   help: `milepost signal new go` sends it before
        [exit 64]

        $ milepost signal done
        ! error: which signal? run done waits for none
        !   help: `milepost show done` shows its status
        [exit 64]
    "#]]);
}

#[test]
fn a_signal_without_a_name_says_what_a_run_waits_for_while_another_step_works() {
    let cli = Cli::new();
    let both = "flow = \"graph\"\n[[step]]\nid = \"pay\"\nwait = { signal = \"paid\" }\n\
                [[step]]\nid = \"work\"\nuse = \"text/greet\"\nwith = { name = \"a\" }\n";
    cli.workflow("both.toml", both);
    let hang = [("MILEPOST_FAULT", "before_call:1:hang")];
    let mut running = cli.start_with("run both.toml --id r", &hang);
    running.until("step work: started");
    let said = cli.run("signal r").expect(64).stderr;
    assert!(said.contains("run r waits for `paid`"), "{said}");
    running.signal("KILL");
    running.wait();
}

#[test]
fn show_tells_working_and_waiting_apart_as_ls_does() {
    let cli = Cli::new();
    cli.workflow("signal.toml", SIGNAL);
    cli.run("run signal.toml --id r").expect(2);
    let shown = || cli.run("show r").expect(0).stdout;
    std::thread::sleep(Duration::from_millis(1_100));
    let text = shown();
    let line = text.lines().find(|line| line.starts_with("  begun:"));
    let (_, times) = line.unwrap().split_once(", took ").unwrap();
    let (_, waited) = times.split_once(", waited ").unwrap();
    assert!(waited.ends_with(" s"), "{text}");
}

#[test]
fn data_that_is_no_json_is_a_mistake_with_its_place() {
    let cli = Cli::new();
    cli.workflow("signal.toml", SIGNAL);
    cli.run("run signal.toml --id r").expect(2);
    cli.write("bad.json", "{\n  \"n\": }");
    let mut session = cli.session();
    session.milepost("signal r go --data {\"n\":");
    session.document("signal r go --data {\"n\":", &["/error/code"]);
    session.milepost("signal r go --data @bad.json");
    session.document("signal r go --data @bad.json", &["/error/code"]);
    session.milepost("signal r go --data @gone.json");
    session.comment("nothing was sent");
    session.document("show r", &["/stop_reason", "/inbox"]);
    session.reads(expect![[r#"
        $ milepost signal r go --data {"n":
        ! error: --data is not JSON: EOF while parsing a value at line 1 column 5
        !   help: a string needs double quotes, and the shell needs quotes around them: --data '"done"'
        [exit 64]

        $ milepost signal r go --data {"n": --json
        /error/code: "usage"
        [exit 64]

        $ milepost signal r go --data @bad.json
        ! error: bad.json is not JSON: expected value at line 2 column 8
        !   help: a string needs double quotes, and the shell needs quotes around them: --data '"done"'
        [exit 64]

        $ milepost signal r go --data @bad.json --json
        /error/code: "usage"
        [exit 64]

        $ milepost signal r go --data @gone.json
        ! error: cannot read gone.json: No such file or directory (os error 2)
        [exit 65]

        # nothing was sent

        $ milepost show r --json
        /stop_reason: "step_paused"
        /inbox is missing
    "#]]);
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
            "id": "r", "answer": "approved", "path": "gate", "taken": true, "repeated": false, "status": "paused", "rework_left": null, "held": false, "continues": "worker", "worker_present": false
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
fn b302_the_second_decision_leaves_no_event_and_another_one_is_refused() {
    let cli = at_the_gate("r");
    let mut session = cli.session();
    session.milepost("approve r --by ada");
    let before = (cli.shown("r"), events(&cli, "r"));
    assert_eq!(before.0["steps"][0]["output"]["by"], "ada");
    session.milepost("approve r");
    let members = ["/answer", "/repeated", "/status", "/held", "/continues"];
    session.document("approve r", &members);
    session.comment("it says something else");
    for other in ["approve r --comment why", "reject r"] {
        session.milepost(other);
        session.document(other, &["/error/code"]);
    }
    assert_eq!((cli.shown("r"), events(&cli, "r")), before);
    session.milepost("resume r");
    session.reads(expect![[r#"
        $ milepost approve r --by ada
        `gate` of run r is approved; no worker is running: `milepost resume r` continues it

        $ milepost approve r
        nothing to approve: `gate` of run `r` was approved by ada at [time]; the first decision counts, and the run is paused

        $ milepost approve r --json
        /answer: "approved"
        /repeated: true
        /status: "paused"
        /held: false
        /continues: "worker"

        # it says something else

        $ milepost approve r --comment why
        ! error: `gate` of run `r` was approved by ada at [time]; the first decision counts, and the run is paused
        !   help: `milepost show r` shows its status
        [exit 65]

        $ milepost approve r --comment why --json
        /error/code: "already_decided"
        [exit 65]

        $ milepost reject r
        ! error: `gate` of run `r` was approved by ada at [time]; the first decision counts, and the run is paused
        !   help: `milepost show r` shows its status
        [exit 65]

        $ milepost reject r --json
        /error/code: "already_decided"
        [exit 65]

        $ milepost resume r
        ! run r: resumed, 1 completed step kept
        ! step after: started
        ! step after: completed in [elapsed]
        ! completed: run r after [elapsed], 2 of 2 steps
    "#]]);
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
            other => assert_eq!(other, Some(65), "{verb}"),
        }
    }
    // Who says the same a second time is told that it stands.
    assert_eq!(winners.len(), 2);
    winners.dedup();
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
    let mut session = cli.session();
    for line in [
        "approve new",
        "reject done",
        "approve spin",
        "approve r --step after",
    ] {
        session.milepost(line);
        session.document(line, &["/error/code"]);
    }
    running.signal("INT");
    running.wait().expect(2);
    session.milepost("approve r --step gate");
    session.reads(expect![[r#"
        $ milepost approve new
        ! error: run `new` is pending: no approval waits in it
        !   help: `milepost show new` shows what it waits for
        [exit 65]

        $ milepost approve new --json
        /error/code: "not_waiting"
        [exit 65]

        $ milepost reject done
        ! error: run `done` is completed: no approval waits in it
        !   help: `milepost show done` shows what it waits for
        [exit 65]

        $ milepost reject done --json
        /error/code: "not_waiting"
        [exit 65]

        $ milepost approve spin
        ! error: run `spin` is running: no approval waits in it
        !   help: `milepost show spin` shows what it waits for
        [exit 65]

        $ milepost approve spin --json
        /error/code: "not_waiting"
        [exit 65]

        $ milepost approve r --step after
        ! error: run `r` is paused: no approval waits at `after`; the run asks at `gate`
        !   help: `milepost show r` shows what it waits for
        [exit 65]

        $ milepost approve r --step after --json
        /error/code: "not_waiting"
        [exit 65]

        $ milepost approve r --step gate
        `gate` of run r is approved; no worker is running: `milepost resume r` continues it
    "#]]);
}

#[test]
fn b306_a_rejection_without_rework_cancels_the_run() {
    let cli = at_the_gate("r");
    let mut session = cli.session();
    session.document(
        "reject r --comment no",
        &["/answer", "/status", "/continues"],
    );
    session.milepost("show r");
    session.document(
        "show r",
        &["/status", "/stop_reason", "/stop/message", "/ended_at"],
    );
    session.document("approve r", &["/error/code"]);
    session.reads(expect![[r#"
        $ milepost reject r --comment no --json
        /answer: "rejected"
        /status: "cancelled"
        /continues: null

        $ milepost show r
        run r of gate: cancelled
          file:   [folder]/gate.toml
          begun:  [time], took [elapsed]
          saved:  [time], [ago]
          step:   gate
          reason: rejected: `gate` was rejected: no
          next:   nothing; the run is over

        STEP   STATUS     ATTEMPTS  ITERATIONS  TOOK       TIMEOUT
        gate   completed  1                     [elapsed]
        after  pending                                     30m (engine)

        $ milepost show r --json
        /status: "cancelled"
        /stop_reason: "rejected"
        /stop/message: "`gate` was rejected: no"
        /ended_at: "[time]"

        $ milepost approve r --json
        /error/code: "already_decided"
        [exit 65]
    "#]]);
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
    let mut session = cli.session();
    session.milepost("run rework.toml --id r");
    session.document("reject r --comment again", &["/status", "/continues"]);
    session.milepost("resume r");
    session.document("show r", &["/stop_reason"]);
    session.milepost("reject r");
    session.reads(expect![[r#"
        $ milepost run rework.toml --id r
        ! run r: started
        ! step draft: started
        ! step draft: completed in [elapsed]
        ! step gate: waits for a decision: Good?
        ! paused: run r after [elapsed], 1 of 2 steps
        !   step:   gate
        !   reason: waiting_for_approval: `gate` asks: Good?
        !   next:   `milepost approve r` or `milepost reject r` decides
        [exit 2]

        $ milepost reject r --comment again --json
        /status: "paused"
        /continues: "worker"

        $ milepost resume r
        ! run r: resumed, 0 completed steps kept
        ! step draft: started
        ! step draft: completed in [elapsed]
        ! step gate: waits for a decision: Good?
        ! paused: run r after [elapsed], 1 of 2 steps
        !   step:   gate
        !   reason: waiting_for_approval: `gate` asks: Good?
        !   next:   `milepost approve r` or `milepost reject r` decides
        [exit 2]

        $ milepost show r --json
        /stop_reason: "waiting_for_approval"

        $ milepost reject r
        `gate` of run r is rejected; the run is cancelled
    "#]]);
}

#[test]
fn b300_a_run_at_a_gate_says_what_it_asks_and_how_to_answer() {
    let cli = Cli::new();
    cli.workflow("gate.toml", GATE);
    let mut session = cli.session();
    session.comment("the store is named, so the next command has to name it; a resume would lead back to the gate");
    session.milepost("run gate.toml --id r --store s");
    session.milepost("show r --store s");
    session.milepost("ls --store s");
    session.reads(expect![[r#"
        # the store is named, so the next command has to name it; a resume would lead back to the gate

        $ milepost run gate.toml --id r --store s
        ! run r: started
        ! step gate: waits for a decision: Publish?
        ! paused: run r after [elapsed], 0 of 2 steps
        !   step:   gate
        !   reason: waiting_for_approval: `gate` asks: Publish?
        !   next:   `milepost --store s approve r` or `milepost --store s reject r` decides
        [exit 2]

        $ milepost show r --store s
        run r of gate: paused
          file:   [folder]/gate.toml
          begun:  [time], took [elapsed]
          saved:  [time], [ago]
          step:   gate
          reason: waiting_for_approval: `gate` asks: Publish?
          next:   `milepost --store s approve r` or `milepost --store s reject r` decides
          waits:  gate, for a decision: Publish?
          approve: milepost --store s approve r --step gate
          reject:  milepost --store s reject r --step gate

        STEP   STATUS   ATTEMPTS  ITERATIONS  TOOK  TIMEOUT
        gate   waiting  1
        after  pending                              30m (engine)

        $ milepost ls --store s
        ID  WORKFLOW  STATUS                         OWNER  STARTED  TOOK       WAITED     UPDATED  NEXT
        r   gate      paused (waiting_for_approval)         [ago]    [elapsed]  [elapsed]  [ago]    approve or reject
    "#]]);
}

#[test]
fn what_a_run_waits_for_and_until_when_stands_in_one_line_each() {
    let waits = [
        ("wait = { for = \"36h\" }", "waiting_for_time", "continues"),
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
    let mut session = cli.session();
    session.milepost("approve r");
    session.milepost("show r");
    session.reads(expect![[r#"
        $ milepost approve r
        `gate` of run r is approved; no worker is running: `milepost resume r` continues it

        $ milepost show r
        run r of gate: paused
          file:   [folder]/gate.toml
          begun:  [time], took [elapsed]
          saved:  [time], [ago]
          step:   gate
          reason: ready: `gate` was approved
          next:   a worker or `milepost resume r` continues it

        STEP   STATUS     ATTEMPTS  ITERATIONS  TOOK       TIMEOUT
        gate   completed  1                     [elapsed]
        after  pending                                     30m (engine)
    "#]]);
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
fn b315_what_comes_after_the_timeout_is_told_so_and_not_taken() {
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
    let mut session = cli.session();
    session.comment("the time is over");
    session.document("approve g", &["/error/code", "/error/message"]);
    session.milepost("show g");
    session.milepost("resume g");
    session.milepost("approve g");
    session.document("approve g", &["/error/code"]);
    session.document("signal s go --data 1", &["/error/code"]);
    session.milepost("resume s");
    session.milepost("replay s");
    session.reads(expect![[r##"
        # the time is over

        $ milepost approve g --json
        /error/code: "timed_out"
        /error/message: "too late: `g` of run `g` waited until [time]; nobody decided in time, and the run is cancelled"
        [exit 65]

        $ milepost show g
        run g of g: cancelled
          file:   [folder]/g.toml
          begun:  [time], took [elapsed]
          saved:  [time], [ago]
          step:   g
          reason: approval_timed_out: nobody decided at `g` in time
          next:   nothing; the run is over

        STEP  STATUS     ATTEMPTS  ITERATIONS  TOOK  TIMEOUT
        g     cancelled  1

        $ milepost resume g
        ! error: run `g` is cancelled: a cancelled run cannot be continued; start a new run
        !   help: `milepost show g` shows how it ended, `milepost rerun g` runs the same again as a new run
        [exit 65]

        $ milepost approve g
        ! error: nobody decided at `g` of run `g` in time: since [time] it counts as rejected, and the run is cancelled
        !   help: `milepost show g` shows its status
        [exit 65]

        $ milepost approve g --json
        /error/code: "already_decided"
        [exit 65]

        $ milepost signal s go --data 1 --json
        /error/code: "timed_out"
        [exit 65]

        $ milepost resume s
        ! run s: resumed, 1 completed step kept
        ! completed: run s after [elapsed], 1 of 1 step
        {
          "data": null,
          "signal": "go",
          "timed_out": true
        }

        $ milepost replay s
        same as recorded: 8 events, 0 attempts
    "##]]);
}

#[test]
fn a_signal_goes_to_where_the_run_stands_first() {
    let cli = Cli::new();
    let wait = |id: &str| format!("[[step]]\nid = \"{id}\"\nwait = {{ signal = \"go\" }}\n");
    cli.workflow(
        "w.toml",
        &format!("{}{}", wait("z_first"), wait("a_second")),
    );
    let mut session = cli.session();
    session.milepost("run w.toml --id s");
    session.milepost("signal s go");
    session.milepost("resume s");
    session.milepost("retry s --from z_first");
    session.milepost("signal s go --data 7");
    cli.run("work --until-idle").expect(0);
    session.comment("a worker took it");
    session.document(
        "show s",
        &["/steps/0/output/data", "/stop/path", "/steps/1/status"],
    );
    session.reads(expect![[r#"
        $ milepost run w.toml --id s
        ! run s: started
        ! step z_first: waits for the signal `go`
        ! paused: run s after [elapsed], 0 of 2 steps
        !   step:   z_first
        !   reason: waiting_for_signal: `z_first` waits for the signal `go`
        !   next:   after `milepost signal s go`, a worker or `milepost resume s` continues the run
        [exit 2]

        $ milepost signal s go
        run s received `go`; no worker is running: `milepost resume s` continues it

        $ milepost resume s
        ! run s: resumed, 1 completed step kept
        ! step a_second: waits for the signal `go`
        ! paused: run s after [elapsed], 1 of 2 steps
        !   step:   a_second
        !   reason: waiting_for_signal: `a_second` waits for the signal `go`
        !   next:   after `milepost signal s go`, a worker or `milepost resume s` continues the run
        [exit 2]

        $ milepost retry s --from z_first
        ! run s: resumed, 0 completed steps kept; running again: z_first
        ! step z_first: waits for the signal `go`
        ! paused: run s after [elapsed], 0 of 2 steps
        !   step:   z_first
        !   reason: waiting_for_signal: `z_first` waits for the signal `go`
        !   next:   after `milepost signal s go`, a worker or `milepost resume s` continues the run
        [exit 2]

        $ milepost signal s go --data 7
        run s received `go`; no worker is running: `milepost resume s` continues it

        # a worker took it

        $ milepost show s --json
        /steps/0/output/data: 7
        /stop/path: "a_second"
        /steps/1/status: "waiting"
    "#]]);
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
    let mut session = cli.session();
    session.milepost("run w.toml --id s");
    session.milepost("retry s --from work");
    session.milepost("retry s --from work");
    session.document("reject s", &["/status", "/rework_left"]);
    session.milepost("resume s");
    session.document("show s", &["/stop_reason"]);
    session.milepost("reject s");
    session.document("show s", &["/status"]);
    session.reads(expect![[r#"
        $ milepost run w.toml --id s
        ! run s: started
        ! step work: started
        ! step work: completed in [elapsed]
        ! step gate: waits for a decision: ok A?
        ! paused: run s after [elapsed], 1 of 2 steps
        !   step:   gate
        !   reason: waiting_for_approval: `gate` asks: ok A?
        !   next:   `milepost approve s` or `milepost reject s` decides
        [exit 2]

        $ milepost retry s --from work
        ! run s: resumed, 0 completed steps kept; running again: gate, work
        ! step work: started
        ! step work: completed in [elapsed]
        ! step gate: waits for a decision: ok A?
        ! paused: run s after [elapsed], 1 of 2 steps
        !   step:   gate
        !   reason: waiting_for_approval: `gate` asks: ok A?
        !   next:   `milepost approve s` or `milepost reject s` decides
        [exit 2]

        $ milepost retry s --from work
        ! run s: resumed, 0 completed steps kept; running again: gate, work
        ! step work: started
        ! step work: completed in [elapsed]
        ! step gate: waits for a decision: ok A?
        ! paused: run s after [elapsed], 1 of 2 steps
        !   step:   gate
        !   reason: waiting_for_approval: `gate` asks: ok A?
        !   next:   `milepost approve s` or `milepost reject s` decides
        [exit 2]

        $ milepost reject s --json
        /status: "paused"
        /rework_left: 1

        $ milepost resume s
        ! run s: resumed, 0 completed steps kept
        ! step work: started
        ! step work: completed in [elapsed]
        ! step gate: waits for a decision: ok A?
        ! paused: run s after [elapsed], 1 of 2 steps
        !   step:   gate
        !   reason: waiting_for_approval: `gate` asks: ok A?
        !   next:   `milepost approve s` or `milepost reject s` decides
        [exit 2]

        $ milepost show s --json
        /stop_reason: "waiting_for_approval"

        $ milepost reject s
        `gate` of run s is rejected; the run is cancelled

        $ milepost show s --json
        /status: "cancelled"
    "#]]);
}

#[test]
fn a_retry_before_an_open_gate_leaves_one_question() {
    let cli = Cli::new();
    let gate =
        |id: &str| format!("[[step]]\nid = \"{id}\"\napproval = {{ message = \"{id}?\" }}\n");
    cli.workflow("w.toml", &format!("{}{}", gate("g1"), gate("g2")));
    let mut session = cli.session();
    session.milepost("run w.toml --id x");
    session.milepost("approve x");
    session.milepost("resume x");
    session.milepost("retry x --from g1");
    session.document("reject x --step g2", &["/error/code"]);
    session.milepost("show x");
    session.document("approve x", &["/path"]);
    session.milepost("resume x");
    session.document("approve x", &["/path"]);
    session.reads(expect![[r#"
        $ milepost run w.toml --id x
        ! run x: started
        ! step g1: waits for a decision: g1?
        ! paused: run x after [elapsed], 0 of 2 steps
        !   step:   g1
        !   reason: waiting_for_approval: `g1` asks: g1?
        !   next:   `milepost approve x` or `milepost reject x` decides
        [exit 2]

        $ milepost approve x
        `g1` of run x is approved; no worker is running: `milepost resume x` continues it

        $ milepost resume x
        ! run x: resumed, 1 completed step kept
        ! step g2: waits for a decision: g2?
        ! paused: run x after [elapsed], 1 of 2 steps
        !   step:   g2
        !   reason: waiting_for_approval: `g2` asks: g2?
        !   next:   `milepost approve x` or `milepost reject x` decides
        [exit 2]

        $ milepost retry x --from g1
        ! run x: resumed, 0 completed steps kept; running again: g1
        ! step g1: waits for a decision: g1?
        ! paused: run x after [elapsed], 0 of 2 steps
        !   step:   g1
        !   reason: waiting_for_approval: `g1` asks: g1?
        !   next:   `milepost approve x` or `milepost reject x` decides
        [exit 2]

        $ milepost reject x --step g2 --json
        /error/code: "not_waiting"
        [exit 65]

        $ milepost show x
        run x of w: paused
          file:   [folder]/w.toml
          begun:  [time], took [elapsed]
          saved:  [time], [ago]
          step:   g1
          reason: waiting_for_approval: `g1` asks: g1?
          next:   `milepost approve x` or `milepost reject x` decides
          waits:  g1, for a decision: g1?
          approve: milepost approve x --step g1
          reject:  milepost reject x --step g1

        STEP  STATUS   ATTEMPTS  ITERATIONS  TOOK  TIMEOUT
        g1    waiting  2
        g2    pending  1

        $ milepost approve x --json
        /path: "g1"

        $ milepost resume x
        ! run x: resumed, 1 completed step kept
        ! step g2: waits for a decision: g2?
        ! paused: run x after [elapsed], 1 of 2 steps
        !   step:   g2
        !   reason: waiting_for_approval: `g2` asks: g2?
        !   next:   `milepost approve x` or `milepost reject x` decides
        [exit 2]

        $ milepost approve x --json
        /path: "g2"
    "#]]);
}

#[test]
fn a_signal_that_nothing_waits_for_is_refused_or_says_so() {
    let cli = Cli::new();
    one(&cli, "w", "wait = { signal = \"payment\" }");
    let mut session = cli.session();
    let refused = ["/error/code", "/error/help"];
    session.document("signal w paymnet", &refused);
    session.document("signal w other", &refused);
    assert_eq!(cli.shown("w")["inbox"], Value::Null);
    session.comment("a step of a plugin may wait for any name");
    cli.workflow("signal.toml", SIGNAL);
    cli.run("run signal.toml --id c").expect(2);
    session.milepost("signal c og");
    cli.workflow("hello.toml", HELLO);
    cli.run("submit hello.toml --input name=x --id new")
        .expect(0);
    session.milepost("signal new go");
    session.reads(expect![[r#"
        $ milepost signal w paymnet --json
        /error/code: "unknown_signal"
        /error/help: "did you mean `payment`?"
        [exit 65]

        $ milepost signal w other --json
        /error/code: "unknown_signal"
        /error/help: "it waits for `payment`"
        [exit 65]

        # a step of a plugin may wait for any name

        $ milepost signal c og
        run c is paused and does not wait for `og` yet but for `go`; the signal is kept until then

        $ milepost signal new go
        run new is pending and does not wait for `go` yet; the signal is kept until then
    "#]]);
}

#[test]
fn what_stops_or_decides_needs_the_whole_id_without_a_terminal() {
    let cli = at_the_gate("long-id");
    let mut session = cli.session();
    for line in [
        "approve long",
        "reject long",
        "signal long go",
        "pause long",
        "cancel long",
        "kill long",
    ] {
        let verb = line.split(' ').next().unwrap_or_default();
        session.milepost(line);
        session.document(line, &["/error/code"]);
        let help = cli.run(&format!("{verb} --help")).expect(0).stdout;
        assert!(help.contains("at a terminal"), "{help}");
    }
    session.comment("a look needs no more");
    session.document("show long", &["/stop_reason"]);
    session.milepost("approve long-id");
    session.milepost("resume long");
    session.reads(expect![[r#"
        $ milepost approve long
        ! error: `long` is only a prefix of `long-id`; with --json or without a terminal, this command needs the whole id
        !   help: if you mean that run, type `long-id`
        [exit 64]

        $ milepost approve long --json
        /error/code: "whole_id_needed"
        [exit 64]

        $ milepost reject long
        ! error: `long` is only a prefix of `long-id`; with --json or without a terminal, this command needs the whole id
        !   help: if you mean that run, type `long-id`
        [exit 64]

        $ milepost reject long --json
        /error/code: "whole_id_needed"
        [exit 64]

        $ milepost signal long go
        ! error: `long` is only a prefix of `long-id`; with --json or without a terminal, this command needs the whole id
        !   help: if you mean that run, type `long-id`
        [exit 64]

        $ milepost signal long go --json
        /error/code: "whole_id_needed"
        [exit 64]

        $ milepost pause long
        ! error: `long` is only a prefix of `long-id`; with --json or without a terminal, this command needs the whole id
        !   help: if you mean that run, type `long-id`
        [exit 64]

        $ milepost pause long --json
        /error/code: "whole_id_needed"
        [exit 64]

        $ milepost cancel long
        ! error: `long` is only a prefix of `long-id`; with --json or without a terminal, this command needs the whole id
        !   help: if you mean that run, type `long-id`
        [exit 64]

        $ milepost cancel long --json
        /error/code: "whole_id_needed"
        [exit 64]

        $ milepost kill long
        ! error: `long` is only a prefix of `long-id`; with --json or without a terminal, this command needs the whole id
        !   help: if you mean that run, type `long-id`
        [exit 64]

        $ milepost kill long --json
        /error/code: "whole_id_needed"
        [exit 64]

        # a look needs no more

        $ milepost show long --json
        /stop_reason: "waiting_for_approval"

        $ milepost approve long-id
        `gate` of run long-id is approved; no worker is running: `milepost resume long-id` continues it

        $ milepost resume long
        ! run long-id: resumed, 1 completed step kept
        ! step after: started
        ! step after: completed in [elapsed]
        ! completed: run long-id after [elapsed], 2 of 2 steps
    "#]]);
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

#[test]
fn a_signal_that_comes_again_when_the_run_waits_for_the_next_one_is_told_as_taken_before() {
    let cli = Cli::new();
    let waits = ["go", "on"]
        .map(|name| format!("[[step]]\nid = \"{name}\"\nwait = {{ signal = \"{name}\" }}\n"));
    cli.workflow("w.toml", &waits.concat());
    cli.run("run w.toml --id r").expect(2);
    let mut session = cli.session();
    session.milepost("signal r go --token 1");
    cli.run("work --until-idle").expect(0);
    session.milepost("signal r go --token 1");
    session.document("signal r go --token 1", &["/answer", "/continues"]);
    session.reads(expect![[r#"
        $ milepost signal r go --token 1
        run r received `go`; no worker is running: `milepost resume r` continues it

        $ milepost signal r go --token 1
        run r received `go` before; it is paused and waits for `on`

        $ milepost signal r go --token 1 --json
        /answer: "delivered"
        /continues: null
    "#]]);
}

#[test]
fn a_signal_with_a_token_can_be_sent_again_when_its_answer_was_lost() {
    let cli = Cli::new();
    cli.workflow("signal.toml", SIGNAL);
    cli.run("run signal.toml --id r").expect(2);
    let send = "signal r go --data 1 --token order-4711";
    let first = cli.run(&format!("{send} --json")).expect(0).json();
    let mut session = cli.session();
    session.comment("its answer was lost");
    session.document(send, &["/answer", "/status"]);
    assert_eq!(cli.run(&format!("{send} --json")).json(), first);
    session.milepost("signal r go --data 2 --token order-4711");
    session.document("signal r go --data 2 --token order-4711", &["/error/code"]);
    session.milepost("work --until-idle");
    session.document("show r", &["/output"]);
    session.milepost(send);
    session.document(send, &["/answer", "/status"]);
    session.milepost("signal r go --data 1 --token order-4712");
    session.reads(expect![[r##"
        # its answer was lost

        $ milepost signal r go --data 1 --token order-4711 --json
        /answer: "delivered"
        /status: "paused"

        $ milepost signal r go --data 2 --token order-4711
        ! error: run `r` cannot take the signal: another signal was already sent with that token; a token belongs to one name and its data
        [exit 65]

        $ milepost signal r go --data 2 --token order-4711 --json
        /error/code: "signal_refused"
        [exit 65]

        $ milepost work --until-idle
        ! working on .milepost, up to 4 runs at once
        ! run r: resumed, 0 completed steps kept
        ! run r: completed
        1 run taken: 1 completed

        $ milepost show r --json
        /output: {"payload":1}

        $ milepost signal r go --data 1 --token order-4711
        run r received `go`; it is completed

        $ milepost signal r go --data 1 --token order-4711 --json
        /answer: "delivered"
        /status: "completed"

        $ milepost signal r go --data 1 --token order-4712
        ! error: run `r` cannot take the signal: the run is completed
        [exit 65]
    "##]]);
}
