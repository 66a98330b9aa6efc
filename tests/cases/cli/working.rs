//! Runs that are recorded by one process and driven by another.

use std::fs;
use std::time::Duration;

use expect_test::expect;
use milepost_core::time::Timestamp;
use milepost_tests::cli::{Cli, Running, component};
use serde_json::json;

use super::{ENDLESS, HELLO, workflows};

fn status_of(cli: &Cli, run: &str) -> serde_json::Value {
    cli.shown(run)["status"].clone()
}

/// A worker that has begun the step `spin` of a submitted run.
fn spinning(cli: &Cli) -> Running {
    cli.workflow("endless.toml", ENDLESS);
    cli.run("submit endless.toml --id spin").expect(0);
    let mut worker = cli.start("work --json --verbose");
    worker.until("spin: step spin: started");
    worker
}

#[test]
fn a_submitted_run_waits_for_a_worker() {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    let mut session = cli.session();
    session.milepost("submit hello.toml --input name=x --id one");
    session.comment("a script can take the id as it is");
    session.shell("milepost submit hello.toml --input name=x --id three 2>/dev/null");
    session.document(
        "submit hello.toml --input name=y --id two",
        &["/id", "/status", "/inputs"],
    );
    session.milepost("submit hello.toml --input name=x --id one");
    session.document(
        "submit hello.toml --input name=z --id one",
        &["/error/code"],
    );
    session.milepost("ls");
    session.reads(expect![[r#"
        $ milepost submit hello.toml --input name=x --id one
        ! run one is pending; no worker is running: `milepost work` or `milepost resume one` starts it
        one

        # a script can take the id as it is

        $ milepost submit hello.toml --input name=x --id three 2>/dev/null
        three

        $ milepost submit hello.toml --input name=y --id two --json
        ! run two is pending; no worker is running: `milepost work` or `milepost resume two` starts it
        /id: "two"
        /status: "pending"
        /inputs: {"name":"y"}

        $ milepost submit hello.toml --input name=x --id one
        ! run one already exists, with the same workflow and inputs
        ! run one is pending; no worker is running: `milepost work` or `milepost resume one` starts it
        one

        $ milepost submit hello.toml --input name=z --id one --json
        /error/code: "id_taken"
        [exit 65]

        $ milepost ls
        ! no worker is running: `milepost work` starts one
        ID     WORKFLOW  STATUS   OWNER  STARTED  TOOK  WAITED     UPDATED  NEXT
        two    hello     pending         [ago]          [elapsed]  [ago]    needs a worker
        three  hello     pending         [ago]          [elapsed]  [ago]    needs a worker
        one    hello     pending         [ago]          [elapsed]  [ago]    needs a worker
    "#]]);
    let drawn = cli.run("submit hello.toml --input name=x").expect(0).stdout;
    assert_eq!(status_of(&cli, drawn.trim()), "pending");
}

#[test]
fn a_worker_drives_what_there_is_and_tells_about_every_run() {
    let cli = workflows();
    cli.run("submit hello.toml --input name=x --id good")
        .expect(0);
    cli.run("submit pausing.toml --id nap").expect(0);
    cli.run("submit failing.toml --id bad").expect(0);
    let mut session = cli.session();
    session.document("work --until-idle --max-runs 1 --verbose", &[""]);
    session.document("show good", &["/output"]);
    session.comment("nothing is left that could be done now");
    session.milepost("work --until-idle");
    session.comment("thousands of steps a second are for those who ask");
    cli.run("submit hello.toml --input name=x --id more")
        .expect(0);
    session.milepost("work --until-idle");
    session.reads(expect![[r#"
        $ milepost work --until-idle --max-runs 1 --verbose --json
        ! working on .milepost, up to 1 run at once
        ! run good: started
        ! good: step greet: started
        ! good: step greet: completed in [elapsed]
        ! run good: completed
        ! run nap: started
        ! nap: step first: started
        ! nap: step first: completed in [elapsed]
        ! nap: step ask: started
        ! nap: step ask: paused: quota-exhausted: attempt 1 of 2 pauses
        ! run nap: paused: step_paused: `ask` paused (quota-exhausted): attempt 1 of 2 pauses [acme], continues at [time]
        ! run bad: started
        ! bad: step one: started
        ! bad: step one: failed: broken: broken
        ! bad: step two: started
        ! bad: step two: failed: too-bad: broken
        ! run bad: failed: step_failed: `two` failed (too-bad): broken
        {"ended":{"completed":1,"failed":1,"paused":1},"recovered":0,"refused":0,"taken":3,"unsaved":0}

        $ milepost show good --json
        /output: "Hello, x!"

        # nothing is left that could be done now

        $ milepost work --until-idle
        ! working on .milepost, up to 4 runs at once
        0 runs taken

        # thousands of steps a second are for those who ask

        $ milepost work --until-idle
        ! working on .milepost, up to 4 runs at once
        ! run more: started
        ! run more: completed
        1 run taken: 1 completed
    "#]]);
}

#[test]
fn a_worker_resumes_what_is_due() {
    let cli = Cli::new();
    let steps = r#"
        [[step]]
        id = "sleep"
        use = "pausing/until_time"
        with = { after_ms = 0 }
    "#;
    cli.workflow("sleep.toml", steps);
    cli.run("run sleep.toml --id r").expect(2);
    let mut session = cli.session();
    session.milepost("work --until-idle");
    session.document("show r", &["/status"]);
    session.reads(expect![[r#"
        $ milepost work --until-idle
        ! working on .milepost, up to 4 runs at once
        ! run r: resumed automatically (1 of 5), 0 completed steps kept
        ! run r: completed
        1 run taken: 1 completed

        $ milepost show r --json
        /status: "completed"
    "#]]);
}

#[test]
fn a_worker_may_come_before_the_first_run() {
    let cli = Cli::new();
    let mut session = cli.session();
    session.milepost("work --until-idle");
    session.milepost("ls");
    session.document("ls", &[""]);
    session.reads(expect![[r#"
        $ milepost work --until-idle
        ! working on .milepost, up to 4 runs at once
        0 runs taken

        $ milepost ls
        no runs yet (store: .milepost)

        $ milepost ls --json
        []
    "#]]);
}

#[test]
fn an_idle_worker_ends_at_the_first_signal() {
    for signal in ["INT", "TERM"] {
        let cli = Cli::new();
        let mut worker = cli.start("work");
        worker.until("working on .milepost");
        worker.signal(signal);
        let ended = worker.wait().expect(0);
        assert_eq!(ended.stdout, "0 runs taken\n");
        assert!(ended.stderr.contains(&format!("SIG{signal}")), "{ended:#?}");
    }
}

#[test]
fn a_second_signal_gives_runs_back_at_once_and_another_worker_goes_on() {
    let cli = Cli::new();
    let mut worker = spinning(&cli);
    worker.signal("TERM");
    worker.until("a second signal interrupts them");
    worker.signal("TERM");
    let ended = worker.wait().expect(0);
    assert_eq!(
        (&ended.json()["taken"], &ended.json()["ended"]),
        (&json!(1), &json!({ "pending": 1 }))
    );
    let row = &cli.run("ls --json").expect(0).json()[0];
    assert_eq!(
        (&row["status"], &row["owner"], &row["recoveries"]),
        (&json!("pending"), &json!(null), &json!(0)),
        "it was given back, not lost"
    );
    let mut other = cli.start("work --verbose");
    other.until("spin: step spin: started");
    let first = &cli.shown("spin")["steps"][0];
    assert_eq!(
        (&first["status"], &first["attempts"]),
        (&json!("completed"), &json!(1))
    );
    other.signal("INT");
    other.until("a second signal");
    other.signal("INT");
    other.wait().expect(0);
}

#[test]
fn b214_a_run_whose_process_was_killed_is_taken_over_once() {
    let cli = Cli::new();
    let worker = spinning(&cli);
    worker.signal("KILL");
    worker.wait().expect(128 + 9);
    let row = &cli.run("ls --json").expect(0).json()[0];
    assert_eq!(row["owner"]["liveness"], "gone");
    assert_eq!(row["next_action"], "needs a worker");
    let mut second = cli.start("work --verbose");
    second.until("run spin: taken over from a process that is gone");
    second.until("spin: step spin: started");
    let shown = cli.shown("spin");
    assert_eq!(
        (&shown["recoveries"], &shown["owner"]["liveness"]),
        (&json!(1), &json!("alive"))
    );
    let told = cli.run("show spin").expect(0).stdout;
    assert!(told.contains("lost:   its process, once without"), "{told}");
    second.signal("KILL");
    second.wait().expect(128 + 9);
    let shown = cli.shown("spin");
    let next = shown["next_action"].as_str().unwrap();
    assert!(next.starts_with("a worker fails it"), "{next}");
    // Nothing was recorded in between: it is not tried a third time.
    let worked = cli.run("work --until-idle --json").expect(0);
    assert_eq!(worked.json()["taken"], 0);
    let shown = cli.shown("spin");
    assert_eq!(
        (&shown["status"], &shown["stop_reason"]),
        (&json!("failed"), &json!("process_lost"))
    );
    let told = cli.run("show spin").expect(0).stdout;
    assert!(!told.contains("milepost show"), "{told}");
    let lost = "the process that ran it was lost 2 times in a row";
    assert!(told.contains(lost) && !told.contains("lost:  "), "{told}");
}

#[test]
fn a_run_whose_component_is_gone_fails_and_is_told_about() {
    let cli = Cli::new();
    fs::copy(component("text"), cli.folder().join("text.wasm")).unwrap();
    let steps = "[plugins.text]\nsource = \"text.wasm\"\n[[step]]\nid = \"a\"\nuse = \"text/upper\"\nwith = { text = \"a\" }\n";
    cli.write("own.toml", format!("schema = 1\nname = \"own\"\n{steps}"));
    cli.run("submit own.toml --id r").expect(0);
    fs::remove_file(cli.folder().join("text.wasm")).unwrap();
    // As in a store of an older version, which left components to their files.
    rusqlite::Connection::open(cli.database())
        .unwrap()
        .execute("DELETE FROM blob WHERE length(bytes) > 100000", [])
        .unwrap();
    let mut session = cli.session();
    session.document("work --until-idle", &["/refused"]);
    session.milepost("show r");
    session.document("show r", &["/status", "/stop_reason", "/next_action"]);
    session.comment("the component is back");
    fs::copy(component("text"), cli.folder().join("text.wasm")).unwrap();
    session.milepost("resume r");
    session.reads(expect![[r#"
        $ milepost work --until-idle --json
        ! working on .milepost, up to 4 runs at once
        ! run r: started
        ! run r: failed: host_error: it could not start: plugin `text` is not available: the store does not hold its component [digest]; cannot read the component [folder]/text.wasm: No such file or directory (os error 2); put the file with that digest in its place
        ! warning: run r: plugin `text` is not available: the store does not hold its component [digest]; cannot read the component [folder]/text.wasm: No such file or directory (os error 2); put the file with that digest in its place
        /refused: 1

        $ milepost show r
        run r of own: failed
          file:   [folder]/own.toml
          begun:  [time], took [elapsed]
          saved:  [time], [ago]
          reason: host_error: it could not start: plugin `text` is not available: the store does not hold its component [digest]; cannot read the component [folder]/text.wasm: No such file or directory (os error 2); put the file with that digest in its place
          next:   nothing by itself; put the component back, then `milepost resume r`, or start a new run

        STEP  STATUS   ATTEMPTS  ITERATIONS  TOOK  TIMEOUT
        a     pending                              30m (engine)

        $ milepost show r --json
        /status: "failed"
        /stop_reason: "host_error"
        /next_action: "nothing by itself; put the component back, then `milepost resume r`, or start a new run"

        # the component is back

        $ milepost resume r
        ! run r: resumed, 0 completed steps kept
        ! step a: started
        ! step a: completed in [elapsed]
        ! completed: run r after [elapsed], 1 of 1 step
        {
          "text": "A"
        }
    "#]]);
}

#[test]
fn b36_all_problems_of_inputs_and_of_components_are_told_together() {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    let plugins = "[plugins.a]\nsource = \"a.wasm\"\n[plugins.b]\nsource = \"b.wasm\"\n";
    let steps = "[[step]]\nid = \"x\"\nuse = \"a/s\"\n[[step]]\nid = \"y\"\nuse = \"b/s\"\n";
    cli.write(
        "gone.toml",
        format!("schema = 1\nname = \"gone\"\n{plugins}{steps}"),
    );
    let mut session = cli.session();
    for verb in ["run", "submit"] {
        let line = format!("{verb} hello.toml --input name --input fo=1 --input =x");
        session.milepost(&line);
        session.document(
            &line,
            &[
                "/error/diagnostics/0/message",
                "/error/diagnostics/1/message",
                "/error/diagnostics/2/message",
                "/error/diagnostics/3/message",
                "/error/diagnostics/4",
            ],
        );
        session.milepost(&format!("{verb} gone.toml"));
        session.document(&format!("{verb} gone.toml"), &["/error/code"]);
    }
    session.reads(expect![[r#"
        $ milepost run hello.toml --input name --input fo=1 --input =x
        ! error[MP0705]: `name` is not of the form `name=value`
        ! error[MP0705]: `=x` is not of the form `name=value`
        ! error[MP0701]: the workflow has no input `fo`
        !   help: its inputs are `name`
        ! error[MP0703]: input `name` is missing
        !   help: it is of type string
        !   help: `--input NAME=VALUE` gives one, `--inputs FILE` all of a file
        [exit 65]

        $ milepost run hello.toml --input name --input fo=1 --input =x --json
        /error/diagnostics/0/message: "`name` is not of the form `name=value`"
        /error/diagnostics/1/message: "`=x` is not of the form `name=value`"
        /error/diagnostics/2/message: "the workflow has no input `fo`"
        /error/diagnostics/3/message: "input `name` is missing"
        /error/diagnostics/4 is missing
        [exit 65]

        $ milepost run gone.toml
        ! error[MP0607]: plugin `a` is not available: cannot read the component [folder]/a.wasm: No such file or directory (os error 2)
        !  --> gone.toml:4:10
        !   |
        ! 4 | source = "a.wasm"
        !   |          ^^^^^^^^
        !
        ! error[MP0607]: plugin `b` is not available: cannot read the component [folder]/b.wasm: No such file or directory (os error 2)
        !  --> gone.toml:6:10
        !   |
        ! 6 | source = "b.wasm"
        !   |          ^^^^^^^^
        [exit 69]

        $ milepost run gone.toml --json
        /error/code: "plugin_unavailable"
        [exit 69]

        $ milepost submit hello.toml --input name --input fo=1 --input =x
        ! error[MP0705]: `name` is not of the form `name=value`
        ! error[MP0705]: `=x` is not of the form `name=value`
        ! error[MP0701]: the workflow has no input `fo`
        !   help: its inputs are `name`
        ! error[MP0703]: input `name` is missing
        !   help: it is of type string
        !   help: `--input NAME=VALUE` gives one, `--inputs FILE` all of a file
        [exit 65]

        $ milepost submit hello.toml --input name --input fo=1 --input =x --json
        /error/diagnostics/0/message: "`name` is not of the form `name=value`"
        /error/diagnostics/1/message: "`=x` is not of the form `name=value`"
        /error/diagnostics/2/message: "the workflow has no input `fo`"
        /error/diagnostics/3/message: "input `name` is missing"
        /error/diagnostics/4 is missing
        [exit 65]

        $ milepost submit gone.toml
        ! error[MP0607]: plugin `a` is not available: cannot read the component [folder]/a.wasm: No such file or directory (os error 2)
        !  --> gone.toml:4:10
        !   |
        ! 4 | source = "a.wasm"
        !   |          ^^^^^^^^
        !
        ! error[MP0607]: plugin `b` is not available: cannot read the component [folder]/b.wasm: No such file or directory (os error 2)
        !  --> gone.toml:6:10
        !   |
        ! 6 | source = "b.wasm"
        !   |          ^^^^^^^^
        [exit 69]

        $ milepost submit gone.toml --json
        /error/code: "plugin_unavailable"
        [exit 69]
    "#]]);
    assert!(
        !cli.folder().join(".milepost").exists(),
        "no mistake leaves a store behind"
    );
}

#[test]
fn b214_a_run_whose_loading_kills_the_worker_is_given_up_and_the_others_go_on() {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    for id in ["bad", "good"] {
        cli.run(&format!("submit hello.toml --input name=x --id {id}"))
            .expect(0);
    }
    for _ in 0..2 {
        let dies = [("MILEPOST_FAULT", "loading:1")];
        let worker = cli.start_with("work --max-runs 1", &dies);
        worker.wait().expect(128 + 6);
    }
    cli.run("work --until-idle").expect(0);
    let bad = cli.shown("bad");
    assert_eq!(
        (&bad["status"], &bad["stop_reason"]),
        (&json!("failed"), &json!("process_lost"))
    );
    assert_eq!(status_of(&cli, "good"), "completed");
}

/// A step that sleeps.
const SLEEPY: &str = r#"
    [[step]]
    id = "sleep"
    use = "hostile/sleep"
    with = { ms = 400 }
"#;

/// When the step of a run was recorded as completed.
fn completed_at(cli: &Cli, run: &str) -> Timestamp {
    let events = cli.run(&format!("events {run} --json")).expect(0).json();
    let events = events["events"].as_array().unwrap();
    let completed = |entry: &&serde_json::Value| entry["event"]["type"] == "step_completed";
    let entry = events.iter().find(completed).unwrap();
    entry["at"].as_str().unwrap().parse().unwrap()
}

#[test]
fn a_worker_begins_no_step_for_which_there_is_no_room_in_memory() {
    let cli = Cli::new();
    cli.workflow("sleepy.toml", SLEEPY);
    let runs: Vec<String> = (0..8).map(|n| format!("r{n}")).collect();
    for run in &runs {
        cli.run(&format!("submit sleepy.toml --id {run}")).expect(0);
    }
    // Room for two.
    let worked = cli.run("work --until-idle --max-runs 8 --memory 560MiB --json");
    assert_eq!(worked.expect(0).json()["ended"], json!({ "completed": 8 }));
    let times: Vec<Timestamp> = runs.iter().map(|run| completed_at(&cli, run)).collect();
    let (first, last) = (times.iter().min().unwrap(), times.iter().max().unwrap());
    // Four rows of two, which sleep one after the other; with room for all of them there is one.
    let apart = last.since(*first);
    assert!(apart >= Duration::from_millis(600), "{times:?}");

    let mut session = cli.session();
    for memory in ["64MiB", "lots"] {
        for verb in [
            "run sleepy.toml",
            "work --until-idle",
            "resume r0",
            "retry r0",
        ] {
            session.milepost(&format!("{verb} --memory {memory}"));
        }
    }
    session.reads(expect![[r#"
        $ milepost run sleepy.toml --memory 64MiB
        ! error: invalid value '64MiB' for '--memory <SIZE>': 64MiB is too little: one step may take 321MiB (its memory, and what it returns, requests, runs, records and logs)
        !
        ! For more information, try '--help'.
        [exit 64]

        $ milepost work --until-idle --memory 64MiB
        ! error: invalid value '64MiB' for '--memory <SIZE>': 64MiB is too little: one step may take 321MiB (its memory, and what it returns, requests, runs, records and logs)
        !
        ! For more information, try '--help'.
        [exit 64]

        $ milepost resume r0 --memory 64MiB
        ! error: invalid value '64MiB' for '--memory <SIZE>': 64MiB is too little: one step may take 321MiB (its memory, and what it returns, requests, runs, records and logs)
        !
        ! For more information, try '--help'.
        [exit 64]

        $ milepost retry r0 --memory 64MiB
        ! error: invalid value '64MiB' for '--memory <SIZE>': 64MiB is too little: one step may take 321MiB (its memory, and what it returns, requests, runs, records and logs)
        !
        ! For more information, try '--help'.
        [exit 64]

        $ milepost run sleepy.toml --memory lots
        ! error: invalid value 'lots' for '--memory <SIZE>': `lots` is not a size; write a whole number and one of B, KiB, MiB, GiB, such as "64MiB"
        !
        ! For more information, try '--help'.
        [exit 64]

        $ milepost work --until-idle --memory lots
        ! error: invalid value 'lots' for '--memory <SIZE>': `lots` is not a size; write a whole number and one of B, KiB, MiB, GiB, such as "64MiB"
        !
        ! For more information, try '--help'.
        [exit 64]

        $ milepost resume r0 --memory lots
        ! error: invalid value 'lots' for '--memory <SIZE>': `lots` is not a size; write a whole number and one of B, KiB, MiB, GiB, such as "64MiB"
        !
        ! For more information, try '--help'.
        [exit 64]

        $ milepost retry r0 --memory lots
        ! error: invalid value 'lots' for '--memory <SIZE>': `lots` is not a size; write a whole number and one of B, KiB, MiB, GiB, such as "64MiB"
        !
        ! For more information, try '--help'.
        [exit 64]
    "#]]);
}

#[test]
fn a_run_that_waits_for_room_in_memory_can_be_cancelled_and_paused() {
    let cli = Cli::new();
    cli.workflow("endless.toml", ENDLESS);
    cli.run("submit endless.toml --id first").expect(0);
    let mut worker = cli.start("work --max-runs 3 --memory 330MiB --verbose");
    worker.until("first: step spin: started");
    for run in ["second", "third"] {
        cli.run(&format!("submit endless.toml --id {run}"))
            .expect(0);
        worker.until(&format!("{run}: step first: started"));
    }
    cli.run("cancel second").expect(0);
    worker.until("run second: cancelled");
    cli.run("pause third --now").expect(0);
    worker.until("run third: paused");
    assert_eq!(status_of(&cli, "first"), "running");
    cli.run("kill first").expect(0);
    worker.until("run first: cancelled");
}
