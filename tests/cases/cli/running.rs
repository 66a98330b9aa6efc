//! `run`, `resume`, `retry`, `cancel`.

use expect_test::expect;
use milepost_tests::cli::Cli;

use super::{ENDLESS, FAILING, HELLO, PAUSING};

#[test]
fn b164_a_completed_run_prints_what_it_returns_and_exits_with_0() {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    let mut session = cli.session();
    session.milepost("run hello.toml --input name=World --id one");
    session.reads(expect![[r#"
        $ milepost run hello.toml --input name=World --id one
        ! run one: started
        ! step greet: started
        ! step greet: completed in [elapsed]
        ! completed: run one after [elapsed], 1 of 1 step
        Hello, World!
    "#]]);
}

#[test]
fn what_is_no_text_is_printed_as_json() {
    let cli = Cli::new();
    cli.workflow("hello.toml", &HELLO.replace(".greeting }", " }"));
    let mut session = cli.session();
    session.milepost("run hello.toml --input name=World --id one");
    session.reads(expect![[r#"
        $ milepost run hello.toml --input name=World --id one
        ! run one: started
        ! step greet: started
        ! step greet: completed in [elapsed]
        ! completed: run one after [elapsed], 1 of 1 step
        {
          "greeting": "Hello, World!"
        }
    "#]]);
}

#[test]
fn b189_b388_json_is_one_document_on_stdout() {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    let mut session = cli.session();
    let told = ["/id", "/status", "/output", "/summary"];
    session.document("run hello.toml --input name=World --id one", &told);
    session.document("show one", &told);
    session.reads(expect![[r#"
        $ milepost run hello.toml --input name=World --id one --json
        ! run one: started
        ! step greet: started
        ! step greet: completed in [elapsed]
        ! completed: run one after [elapsed], 1 of 1 step
        /id: "one"
        /status: "completed"
        /output: "Hello, World!"
        /summary: {"completed":1,"failed":0,"percent":100,"skipped":0,"total":1}

        $ milepost show one --json
        /id: "one"
        /status: "completed"
        /output: "Hello, World!"
        /summary: {"completed":1,"failed":0,"percent":100,"skipped":0,"total":1}
    "#]]);
    let run = cli
        .run("run hello.toml --input name=World --json --id two")
        .expect(0)
        .json();
    assert_eq!(cli.report("two"), run);
}

#[test]
fn inputs_come_from_arguments_and_files() {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    cli.write("in.toml", "name = \"Toml\"");
    cli.write("in.json", r#"{"name": "Json", "more": 1}"#);
    cli.write("name.txt", "File");
    let mut session = cli.session();
    for (n, inputs) in [
        "--inputs in.toml",
        "--inputs in.toml --input name=Wins",
        "--input name=@name.txt",
        "--input name=@@at",
        "--input name=a=b",
        "--inputs in.json --allow-extra-inputs",
    ]
    .into_iter()
    .enumerate()
    {
        session.milepost(&format!("run hello.toml --id r{n} {inputs}"));
    }
    session.reads(expect![[r#"
        $ milepost run hello.toml --id r0 --inputs in.toml
        ! run r0: started
        ! step greet: started
        ! step greet: completed in [elapsed]
        ! completed: run r0 after [elapsed], 1 of 1 step
        Hello, Toml!

        $ milepost run hello.toml --id r1 --inputs in.toml --input name=Wins
        ! run r1: started
        ! step greet: started
        ! step greet: completed in [elapsed]
        ! completed: run r1 after [elapsed], 1 of 1 step
        Hello, Wins!

        $ milepost run hello.toml --id r2 --input name=@name.txt
        ! run r2: started
        ! step greet: started
        ! step greet: completed in [elapsed]
        ! completed: run r2 after [elapsed], 1 of 1 step
        Hello, File!

        $ milepost run hello.toml --id r3 --input name=@@at
        ! run r3: started
        ! step greet: started
        ! step greet: completed in [elapsed]
        ! completed: run r3 after [elapsed], 1 of 1 step
        Hello, @at!

        $ milepost run hello.toml --id r4 --input name=a=b
        ! run r4: started
        ! step greet: started
        ! step greet: completed in [elapsed]
        ! completed: run r4 after [elapsed], 1 of 1 step
        Hello, a=b!

        $ milepost run hello.toml --id r5 --inputs in.json --allow-extra-inputs
        ! warning: the workflow has no input `more`; it is ignored
        ! run r5: started
        ! step greet: started
        ! step greet: completed in [elapsed]
        ! completed: run r5 after [elapsed], 1 of 1 step
        Hello, Json!
    "#]]);
}

#[test]
fn the_same_start_again_is_no_second_run() {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    let mut session = cli.session();
    session.milepost("run hello.toml --input name=World --id one");
    session.milepost("run hello.toml --input name=World --id one");
    session.document(
        "run hello.toml --input name=Moon --id one",
        &["/error/code"],
    );
    session.milepost("ls");
    session.reads(expect![[r#"
        $ milepost run hello.toml --input name=World --id one
        ! run one: started
        ! step greet: started
        ! step greet: completed in [elapsed]
        ! completed: run one after [elapsed], 1 of 1 step
        Hello, World!

        $ milepost run hello.toml --input name=World --id one
        ! run one already exists, with the same workflow and inputs
        ! completed: run one after [elapsed], 1 of 1 step
        Hello, World!

        $ milepost run hello.toml --input name=Moon --id one --json
        /error/code: "id_taken"
        [exit 65]

        $ milepost ls
        ID   WORKFLOW  STATUS     OWNER  STARTED  TOOK       WAITED     UPDATED  NEXT
        one  hello     completed         [ago]    [elapsed]  [elapsed]  [ago]
    "#]]);
    let line = "run hello.toml --input name=World --id one --json";
    assert_eq!(cli.run(line).expect(0).json(), cli.report("one"));
}

#[test]
fn b157_a_paused_run_says_why_and_how_to_go_on() {
    let cli = Cli::new();
    cli.workflow("pausing.toml", PAUSING);
    let mut session = cli.session();
    session.milepost("run pausing.toml --id nap");
    session.milepost("show nap");
    session.milepost("resume nap");
    session.document(
        "show nap",
        &["/status", "/steps/0/attempts", "/steps/1/attempts"],
    );
    session.reads(expect![[r#"
        $ milepost run pausing.toml --id nap
        ! run nap: started
        ! step first: started
        ! step first: completed in [elapsed]
        ! step ask: started
        ! step ask: paused: quota-exhausted: attempt 1 of 2 pauses
        ! paused: run nap after [elapsed], 1 of 2 steps
        !   step:   ask
        !   reason: step_paused: `ask` paused (quota-exhausted): attempt 1 of 2 pauses [acme]
        !   next:   `milepost resume nap` continues at `ask`; a worker (`milepost work`) does so when it is due, as automatic resume 1 of 5
        !   due:    continues at [time] (in [left])
        !   resume: milepost resume nap
        [exit 2]

        $ milepost show nap
        run nap of pausing: paused
          file:   [folder]/pausing.toml
          begun:  [time], took [elapsed]
          saved:  [time], [ago]
          step:   ask
          reason: step_paused: `ask` paused (quota-exhausted): attempt 1 of 2 pauses [acme]
          next:   `milepost resume nap` continues at `ask`; a worker (`milepost work`) does so when it is due, as automatic resume 1 of 5
          due:    continues at [time] (in [left])

        STEP   STATUS     ATTEMPTS  ITERATIONS  TOOK       TIMEOUT
        first  completed  1                     [elapsed]  30m (engine)
        ask    paused     1                                30m (engine)

        $ milepost resume nap
        ! run nap: resumed, 1 completed step kept
        ! step ask: started
        ! step ask: completed in [elapsed]
        ! completed: run nap after [elapsed], 2 of 2 steps
        {
          "attempt": 2
        }

        $ milepost show nap --json
        /status: "completed"
        /steps/0/attempts: 1
        /steps/1/attempts: 2
    "#]]);
}

#[test]
fn a_failed_run_tells_every_failed_step() {
    let cli = Cli::new();
    cli.workflow("bad.toml", FAILING);
    let mut session = cli.session();
    session.milepost("run bad.toml --id bad");
    let told = ["/status", "/steps/0/attempts", "/steps/1/attempts"];
    session.document("resume bad", &told);
    session.document("retry bad --from one", &told);
    session.document("retry bad --from tow", &["/error/code", "/error/message"]);
    session.reads(expect![[r#"
        $ milepost run bad.toml --id bad
        ! run bad: started
        ! step one: started
        ! step one: failed: broken: broken
        ! step two: started
        ! step two: failed: too-bad: broken
        ! failed: run bad after [elapsed], 2 of 2 steps (2 failed)
        !   step one: broken: broken
        !   step two: too-bad: broken
        !   next:   nothing by itself; fix the cause, then `milepost resume bad` runs the failed steps again
        !   look:   milepost show bad
        [exit 1]

        $ milepost resume bad --json
        ! run bad: resumed, 0 completed steps kept; running again: one, two
        ! step one: started
        ! step one: failed: broken: broken
        ! step two: started
        ! step two: failed: too-bad: broken
        ! failed: run bad after [elapsed], 2 of 2 steps (2 failed)
        !   step one: broken: broken
        !   step two: too-bad: broken
        !   next:   nothing by itself; fix the cause, then `milepost resume bad` runs the failed steps again
        !   look:   milepost show bad
        /status: "failed"
        /steps/0/attempts: 2
        /steps/1/attempts: 2
        [exit 1]

        $ milepost retry bad --from one --json
        ! run bad: resumed, 0 completed steps kept; running again: one, two
        ! step one: started
        ! step one: failed: broken: broken
        ! step two: started
        ! step two: failed: too-bad: broken
        ! failed: run bad after [elapsed], 2 of 2 steps (2 failed)
        !   step one: broken: broken
        !   step two: too-bad: broken
        !   next:   nothing by itself; fix the cause, then `milepost resume bad` runs the failed steps again
        !   look:   milepost show bad
        /status: "failed"
        /steps/0/attempts: 3
        /steps/1/attempts: 3
        [exit 1]

        $ milepost retry bad --from tow --json
        /error/code: "refused"
        /error/message: "the definition has no step `tow`"
        [exit 65]
    "#]]);
}

#[test]
fn b356_a_retry_is_announced_with_kind_count_and_delay() {
    let cli = Cli::new();
    let steps = r#"
        [[step]]
        id = "try"
        use = "flaky/fail_until"
        with = { succeed_on = 3 }
        retry = { max_attempts = 4, initial = "1ms", factor = 1.0 }
    "#;
    cli.workflow("flaky.toml", steps);
    let mut session = cli.session();
    session.milepost("run flaky.toml --id r");
    session.reads(expect![[r#"
        $ milepost run flaky.toml --id r
        ! run r: started
        ! step try: started
        !   try | warning: attempt 1 of 3 fails
        ! step try: retry 2 of 4 in 1 ms: retryable busy: attempt 1 of 3 fails
        ! step try: started, attempt 2 of 4
        !   try | warning: attempt 2 of 3 fails
        ! step try: retry 3 of 4 in 1 ms: retryable busy: attempt 2 of 3 fails
        ! step try: started, attempt 3 of 4
        ! step try: completed in [elapsed]
        ! completed: run r after [elapsed], 1 of 1 step
        {
          "attempt": 3,
          "message": "succeeded on attempt 3"
        }
    "#]]);
}

#[test]
fn a_loop_counts_its_iterations() {
    let cli = Cli::new();
    let steps = r#"
        [[step]]
        id = "again"
        loop = { until = "loop.iteration == 2", max_iterations = 4 }
        [[step]]
        id = "echo"
        in = "again"
        use = "text/upper"
        with = { text = "a" }
        [[step]]
        id = "never"
        if = "1 == 2"
        use = "text/upper"
        with = { text = "a" }
    "#;
    cli.workflow("loop.toml", steps);
    let mut session = cli.session();
    session.milepost("run loop.toml --id r");
    session.reads(expect![[r#"
        $ milepost run loop.toml --id r
        ! run r: started
        ! loop again: iteration 1 of 4
        ! step again#1/echo: started
        ! step again#1/echo: completed in [elapsed]
        ! loop again: iteration 2 of 4
        ! step again#2/echo: started
        ! step again#2/echo: completed in [elapsed]
        ! loop again: completed after 2 iterations
        ! step never: skipped, because `1 == 2` is false
        ! completed: run r after [elapsed], 2 of 2 steps (1 skipped)
        {
          "condition_met": true,
          "iterations": 2
        }
    "#]]);
}

#[test]
fn a_changed_workflow_is_refused_with_a_diff() {
    let cli = Cli::new();
    cli.workflow("pausing.toml", PAUSING);
    let mut session = cli.session();
    session.milepost("run pausing.toml --id nap");
    cli.workflow("pausing.toml", &PAUSING.replace("acme", "other"));
    session.comment("the provider in the file is another one now");
    session.milepost("resume nap");
    session.milepost("resume nap --accept-changes");
    session.reads(expect![[r#"
        $ milepost run pausing.toml --id nap
        ! run nap: started
        ! step first: started
        ! step first: completed in [elapsed]
        ! step ask: started
        ! step ask: paused: quota-exhausted: attempt 1 of 2 pauses
        ! paused: run nap after [elapsed], 1 of 2 steps
        !   step:   ask
        !   reason: step_paused: `ask` paused (quota-exhausted): attempt 1 of 2 pauses [acme]
        !   next:   `milepost resume nap` continues at `ask`; a worker (`milepost work`) does so when it is due, as automatic resume 1 of 5
        !   due:    continues at [time] (in [left])
        !   resume: milepost resume nap
        [exit 2]

        # the provider in the file is another one now

        $ milepost resume nap
        ! error: the workflow of run `nap` has changed since:
        ! --- the run's definition
        ! +++ the definition on disk
        ! @@ -15,3 +15,3 @@
        !  id = "ask"
        !  use = "pausing/until_attempt"
        ! -with = { complete_on = 2, provider = "acme" }
        ! +with = { complete_on = 2, provider = "other" }
        !   help: `--as-started` continues with the version that the run was started with, `--accept-changes` with the one on disk
        [exit 65]

        $ milepost resume nap --accept-changes
        ! run nap: continues with the changed workflow
        ! run nap: resumed, 1 completed step kept
        ! step ask: started
        ! step ask: completed in [elapsed]
        ! completed: run nap after [elapsed], 2 of 2 steps
        {
          "attempt": 2
        }
    "#]]);
}

#[test]
fn b286_cancelling_is_idempotent() {
    let cli = Cli::new();
    cli.workflow("pausing.toml", PAUSING);
    cli.run("run pausing.toml --id nap").expect(2);
    let mut session = cli.session();
    session.document("cancel nap", &["/answer", "/status"]);
    let shown = cli.shown("nap");
    session.milepost("cancel nap");
    assert_eq!(cli.shown("nap"), shown);
    // Resuming what was cancelled is refused with its state (B180, B192).
    session.milepost("resume nap");
    session.reads(expect![[r#"
        $ milepost cancel nap --json
        /answer: "cancelled"
        /status: "cancelled"

        $ milepost cancel nap
        nothing to cancel: run nap is cancelled

        $ milepost resume nap
        ! error: run `nap` is cancelled: a cancelled run cannot be continued; start a new run
        !   help: `milepost show nap` shows how it ended, `milepost rerun nap` runs the same again as a new run
        [exit 65]
    "#]]);
}

#[test]
fn b195_a_run_of_another_process_is_left_to_it_and_cancelled_by_asking() {
    let cli = Cli::new();
    cli.workflow("endless.toml", ENDLESS);
    let mut running = cli.start("run endless.toml --id busy --json");
    running.until("step spin: started");
    // While it runs, nobody else can have it (B172).
    let second = cli.run("resume busy --json").expect(75).json();
    assert_eq!(second["error"]["code"], "already_running");
    let again = cli.run("run endless.toml --id busy --json").expect(75);
    assert_eq!(again.json()["status"], "running");
    let asked = cli.run("cancel busy --json").expect(0).json();
    assert_eq!(asked["answer"], "cancelling");
    let ended = running.wait().expect(3);
    assert_eq!(ended.json()["status"], "cancelled");
}

#[test]
fn b195_a_run_whose_process_was_killed_goes_on() {
    let cli = Cli::new();
    cli.workflow("endless.toml", ENDLESS);
    let mut running = cli.start("run endless.toml --id dead");
    running.until("step spin: started");
    running.signal("KILL");
    running.wait().expect(128 + 9);
    let mut resumed = cli.start("resume dead --json");
    resumed.until("step spin: started");
    resumed.signal("INT");
    let run = resumed.wait().expect(2).json();
    assert_eq!(run["steps"][0]["attempts"], 1, "{run:#}");
    assert_eq!(run["steps"][1]["attempts"], 2, "{run:#}");
}
