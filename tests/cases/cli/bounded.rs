//! The real program where work could go on without an end, or wait without one.

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
    let run = cli.shown("r");
    assert_eq!(
        (
            &run["status"],
            &run["stop_reason"],
            &run["steps"][0]["attempts"]
        ),
        (&json!("paused"), &json!("host_error"), &json!(1))
    );
    assert!(
        run["stop"]["message"].to_string().contains("scripted"),
        "{run:#}"
    );
    assert!(run["stop"]["due_at"].is_string(), "{run:#}");
    db.execute_batch("DROP TRIGGER refuse").unwrap();
    drop(db);
    cli.run("resume r").expect(0);
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
    cli.run("pause spin").expect(0);
    // Changes are for a run that stands still: it is not passed over that they were asked for.
    let refused = cli
        .run("resume spin --accept-changes --json")
        .expect(64)
        .json();
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(message.contains("`--accept-changes`"), "{message}");
    assert_eq!(cli.shown("spin")["request"]["kind"], "pause");
    let answer = cli.run("resume spin --json").expect(0).json();
    assert_eq!(
        answer,
        json!({ "id": "spin", "answer": "pause_withdrawn", "status": "running" })
    );
    assert_eq!(cli.shown("spin")["request"], Value::Null);
    // Nothing is asked any more: now it is refused as ever.
    cli.run("resume spin").expect(75);
    running.signal("KILL");
    running.wait().expect(128 + 9);
}
