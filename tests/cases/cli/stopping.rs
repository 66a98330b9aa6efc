//! Pause, cancel and kill, from another process than the one that has the run.

use milepost_tests::cli::Cli;
use serde_json::{Value, json};

use super::{HELLO, flaky, spinning, stopped, workflows};

fn answer(cli: &Cli, line: &str) -> Value {
    cli.run(&format!("{line} --json")).expect(0).json()
}

#[test]
fn b290_only_a_running_run_is_paused_and_one_that_is_due_is_held() {
    let cli = stopped();
    cli.run("submit hello.toml --input name=x --id new")
        .expect(0);
    let refused = cli.run("pause new --json").expect(65).json();
    assert_eq!(refused["error"]["code"], "not_pausable");
    assert_eq!(
        answer(&cli, "pause nap"),
        json!({ "id": "nap", "answer": "held", "status": "paused" })
    );
    let nap = cli.shown("nap");
    assert_eq!(
        (&nap["stop"]["due_at"], &nap["stop"]["held_by"]),
        (&json!(null), &json!("`milepost pause`"))
    );
    for (run, status) in [("done", "completed"), ("nap", "paused"), ("bad", "failed")] {
        let before = cli.shown(run);
        assert_eq!(
            answer(&cli, &format!("pause {run}")),
            json!({ "id": run, "answer": format!("already_{status}"), "status": status })
        );
        assert_eq!(cli.shown(run), before);
    }
    let running = spinning(&cli);
    assert_eq!(
        answer(&cli, "pause spin --now"),
        json!({ "id": "spin", "answer": "pausing", "status": "running" })
    );
    let run = running.wait().expect(2).json();
    assert_eq!(run["stop"]["message"], "paused by `milepost pause`");
    assert_eq!(
        (&run["ended_at"], run["paused_at"].is_string()),
        (&json!(null), true)
    );
    assert_eq!(
        run["steps"][1]["status"], "pending",
        "the step in flight was interrupted"
    );
}

#[test]
fn a_patient_pause_comes_when_no_attempt_is_in_flight() {
    let cli = Cli::new();
    cli.workflow("flaky.toml", &flaky(r#"initial = "1h", max = "1h""#));
    let mut running = cli.start("run flaky.toml --id r");
    running.until("step try: retry 2 of 3");
    let told = cli.run("pause r").expect(0).stdout;
    assert_eq!(
        told,
        "run r is running; its process was asked to pause it\n"
    );
    running.wait().expect(2);
    assert_eq!(cli.shown("r")["stop_reason"], "interrupted");
}

#[test]
fn b285_everything_but_the_completed_and_the_cancelled_can_be_cancelled() {
    let cli = workflows();
    for verb in ["cancel", "kill"] {
        let id = |word: &str| format!("{word}-{verb}");
        cli.run(&format!(
            "submit hello.toml --input name=x --id {}",
            id("new")
        ))
        .expect(0);
        cli.run(&format!("run pausing.toml --id {}", id("nap")))
            .expect(2);
        cli.run(&format!("run failing.toml --id {}", id("bad")))
            .expect(1);
        for run in [id("new"), id("nap"), id("bad")] {
            assert_eq!(
                answer(&cli, &format!("{verb} {run}")),
                json!({ "id": run, "answer": "cancelled", "status": "cancelled" })
            );
        }
    }
}

#[test]
fn b286_b287_a_run_that_is_over_has_nothing_to_cancel() {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    cli.run("run hello.toml --input name=x --id done").expect(0);
    cli.run("submit hello.toml --input name=x --id gone")
        .expect(0);
    cli.run("cancel gone").expect(0);
    for (run, status) in [("done", "completed"), ("gone", "cancelled")] {
        let before = cli.shown(run);
        for verb in ["cancel", "kill"] {
            assert_eq!(
                answer(&cli, &format!("{verb} {run}"))["answer"],
                format!("already_{status}")
            );
            let told = cli.run(&format!("{verb} {run}")).expect(0).stdout;
            assert_eq!(told, format!("nothing to {verb}: run {run} is {status}\n"));
        }
        assert_eq!(cli.shown(run), before, "its end is not stamped again");
    }
}

#[test]
fn b408_b292_a_running_run_is_cancelled_through_the_store() {
    for (verb, answered) in [("cancel", "cancelling"), ("kill", "cancelling")] {
        let cli = Cli::new();
        let running = spinning(&cli);
        assert_eq!(
            answer(&cli, &format!("{verb} spin")),
            json!({ "id": "spin", "answer": answered, "status": "running" })
        );
        let run = running.wait().expect(3).json();
        assert_eq!(
            (&run["status"], &run["stop_reason"]),
            (&json!("cancelled"), &json!("cancelled"))
        );
        assert_eq!(run["steps"][1]["timeout"]["fired"], false);
        assert_eq!(cli.report("spin"), run);
    }
}

#[test]
fn a_run_whose_process_is_gone_is_stopped_by_whoever_asks() {
    for (verb, answered, status) in [
        ("pause", "paused", "paused"),
        ("cancel", "cancelled", "cancelled"),
    ] {
        let cli = Cli::new();
        let running = spinning(&cli);
        running.signal("KILL");
        running.wait().expect(128 + 9);
        assert_eq!(
            answer(&cli, &format!("{verb} spin")),
            json!({ "id": "spin", "answer": answered, "status": status })
        );
    }
}

#[test]
fn b190_what_is_no_id_is_a_mistake_in_the_command_line() {
    let cli = Cli::new();
    cli.run("work --until-idle").expect(0);
    for verb in [
        "show", "resume", "retry", "pause", "cancel", "kill", "approve", "reject", "events",
        "logs", "replay",
    ] {
        for id in ["a%", "A.B", "../x"] {
            let refused = cli.run(&format!("{verb} {id} --json")).expect(64).json();
            assert_eq!(refused["error"]["code"], "usage", "{verb} {id}");
        }
        let unknown = cli.run(&format!("{verb} nobody --json")).expect(65).json();
        assert_eq!(unknown["error"]["code"], "run_not_found", "{verb}");
    }
    cli.run("signal a% go").expect(64);
    cli.run("signal nobody go").expect(65);
}

/// Its process stands still, so that what was asked of it stays open.
#[cfg(unix)]
#[test]
fn what_comes_after_an_acknowledged_cancel_is_told_that_it_does_not_count() {
    for verb in ["cancel", "kill"] {
        let cli = Cli::new();
        let running = spinning(&cli);
        running.signal("STOP");
        assert_eq!(
            answer(&cli, &format!("{verb} spin"))["answer"],
            "cancelling"
        );
        for (pause, flag) in [("pause", ""), ("pause", " --now")] {
            assert_eq!(
                answer(&cli, &format!("{pause} spin{flag}")),
                json!({ "id": "spin", "answer": "being_cancelled", "status": "running" })
            );
        }
        let told = cli.run("pause spin").expect(0).stdout;
        assert_eq!(told, "nothing to pause: run spin is being cancelled\n");
        let told = cli.run("signal spin go").expect(65).stderr;
        assert!(told.contains("the run is being cancelled"), "{told}");
        for verb in ["approve", "reject"] {
            let told = cli.run(&format!("{verb} spin")).expect(65).stderr;
            assert!(told.contains("it is being cancelled"), "{verb}: {told}");
        }
        let told = cli.run("cancel spin").expect(0).stdout;
        assert_eq!(
            told,
            "run spin is running; its process was asked to end it\n"
        );
        running.signal("CONT");
        running.wait().expect(3);
    }
}

#[test]
fn a_retry_of_a_run_that_has_not_stopped_is_told_where_to_look() {
    let cli = stopped();
    cli.run("submit hello.toml --input name=x --id new")
        .expect(0);
    for (run, tells) in [("new", "where it stands"), ("done", "how it ended")] {
        let told = cli.run(&format!("retry {run}")).expect(65).stderr;
        let tells = format!("`milepost show {run}` tells {tells}");
        assert!(told.contains(&tells), "{told}");
    }
}
