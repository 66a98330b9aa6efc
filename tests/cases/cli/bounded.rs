//! The real program where work could go on without an end, or wait without one.

use expect_test::expect;
use milepost_core::time::Timestamp;
use milepost_tests::cli::Cli;
use serde_json::{Value, json};

use super::{flaky, spinning};

/// The store takes everything but the outcome of the step: a worker calls it once, puts the run off, and says until when.
#[test]
fn a_worker_puts_a_run_off_whose_outcome_the_store_does_not_take() {
    let cli = Cli::new();
    let step = "[[step]]\nid = \"a\"\nuse = \"text/upper\"\nwith = { text = \"a\" }\n";
    cli.workflow("w.toml", step);
    cli.run("submit w.toml --id r").expect(0);
    let db = rusqlite::Connection::open(cli.database()).unwrap();
    db.execute_batch(
        "CREATE TRIGGER refuse BEFORE INSERT ON journal WHEN NEW.body LIKE '%step_completed%'
         BEGIN SELECT RAISE(ABORT, 'scripted'); END",
    )
    .unwrap();
    let worked = cli.run("work --until-idle --json").expect(0);
    assert_eq!(worked.json()["unsaved"], 1);
    let mut session = cli.session();
    session.milepost("show r");
    session.document("show r", &["/status", "/stop_reason", "/steps/0/attempts"]);
    assert!(cli.shown("r")["stop"]["due_at"].is_string());
    db.execute_batch("DROP TRIGGER refuse").unwrap();
    drop(db);
    session.comment("the store takes it again");
    session.milepost("resume r");
    session.reads(expect![[r#"
        $ milepost show r
        run r of w: paused
          file:   [folder]/w.toml
          begun:  [time], took [elapsed]
          saved:  [time], [ago]
          step:   a
          reason: host_error: the host could not continue: the checkpoint could not be saved: the change was not saved: scripted; steps whose outcome was not saved run again
          next:   a worker (`milepost work`) tries again when it is due, as automatic resume 1 of 5; `milepost resume r` tries at once
          due:    continues at [time] (in [left])

        STEP  STATUS   ATTEMPTS  ITERATIONS  TOOK  TIMEOUT
        a     pending  1                           30m (engine)

        $ milepost show r --json
        /status: "paused"
        /stop_reason: "host_error"
        /steps/0/attempts: 1

        # the store takes it again

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
fn show_says_when_the_next_attempt_comes_and_no_wait_is_longer_than_the_longest() {
    let cli = Cli::new();
    cli.workflow(
        "w.toml",
        &flaky(r#"initial = "20s", max = "20s", jitter = 1.0"#),
    );
    for id in ["r1", "r2", "r3"] {
        let mut running = cli.start(&format!("run w.toml --id {id}"));
        running.until("step try: retry 2 of 3");
        let shown = cli.run(&format!("show {id}")).expect(0).stdout;
        assert!(shown.contains("  retry:  attempt 2 of try at "), "{shown}");
        let run = cli.shown(id);
        let at = |value: &Value| value.as_str().unwrap().parse::<Timestamp>().unwrap();
        let wait = at(&run["steps"][0]["retry_at"]).since(at(&run["updated_at"]));
        assert!(wait.as_secs_f64() <= 20.0, "{wait:?}");
        running.signal("INT");
        running.wait().expect(2);
    }
}

#[test]
fn a_failure_that_is_handled_lets_the_run_complete() {
    for (use_, with) in [
        ("hostile/trap", ""),
        ("flaky/fail_always", "class = \"retryable\""),
    ] {
        let cli = Cli::new();
        let retry = match with {
            "" => "",
            _ => "retry = { initial = \"10ms\" }\n",
        };
        cli.workflow(
            "w.toml",
            &format!(
                "[[step]]\nid = \"a\"\nuse = \"{use_}\"\nwith = {{ {with} }}\ncontinue_on_error = true\n{retry}\
                 [[step]]\nid = \"fallback\"\nif = \"steps.a.status == 'failed'\"\nuse = \"text/upper\"\nwith = {{ text = \"handled\" }}\n"
            ),
        );
        cli.run("validate w.toml").expect(0);
        let run = cli.run("run w.toml --json").expect(0).json();
        assert_eq!(
            (&run["status"], &run["output"]["text"]),
            (&json!("completed"), &json!("HANDLED"))
        );
        assert_eq!(run["steps"][0]["status"], "failed");
    }
}

#[test]
fn a_resume_takes_back_a_pause_that_was_not_met_yet() {
    let cli = Cli::new();
    let running = spinning(&cli);
    let mut session = cli.session();
    session.milepost("pause spin");
    session.comment(
        "changes are for a run that stands still: it is not passed over that they were asked for",
    );
    session.milepost("resume spin --accept-changes");
    session.document("show spin", &["/request/kind"]);
    session.document("resume spin", &[""]);
    session.document("show spin", &["/request/kind"]);
    session.comment("nothing is asked any more");
    session.milepost("resume spin");
    session.reads(expect![[r#"
        $ milepost pause spin
        run spin is running; its process was asked to pause it

        # changes are for a run that stands still: it is not passed over that they were asked for

        $ milepost resume spin --accept-changes
        ! error: run spin was asked to pause but is still running: `--accept-changes` cannot be applied now
        !   help: nothing was changed; `milepost resume spin --accept-changes` works once it has paused, `milepost resume spin` withdraws the pause
        [exit 64]

        $ milepost show spin --json
        /request/kind: "pause"

        $ milepost resume spin --json
        {"answer":"pause_withdrawn","id":"spin","status":"running"}

        $ milepost show spin --json
        /request/kind is missing

        # nothing is asked any more

        $ milepost resume spin
        ! error: run `spin` is already being driven (running) by process [pid] on [host]; try again later
        !   help: `milepost show spin` shows how far it is
        [exit 75]
    "#]]);
    running.signal("KILL");
    running.wait().expect(128 + 9);
}
