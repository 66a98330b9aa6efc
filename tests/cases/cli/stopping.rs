//! Pause, cancel and kill, from another process than the one that has the run.

use expect_test::{Expect, expect};
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
    let mut session = cli.session();
    session.milepost("pause new");
    session.document("pause new", &["/error/code"]);
    session.document("pause nap", &[""]);
    session.document("show nap", &["/stop/due_at", "/stop/held_by"]);
    for run in ["done", "nap", "bad"] {
        let before = cli.shown(run);
        session.milepost(&format!("pause {run}"));
        session.document(&format!("pause {run}"), &[""]);
        assert_eq!(cli.shown(run), before);
    }
    let running = spinning(&cli);
    session.comment("spin is in the middle of its second step");
    session.document("pause spin --now", &[""]);
    let run = running.wait().expect(2).json();
    assert_eq!(
        (&run["ended_at"], run["paused_at"].is_string()),
        (&json!(null), true)
    );
    session.comment("the step in flight was interrupted");
    session.milepost("show spin");
    session.reads(expect![[r#"
        $ milepost pause new
        ! error: run `new` is pending: only a running run can be paused
        !   help: `milepost cancel new` ends it
        [exit 65]

        $ milepost pause new --json
        /error/code: "not_pausable"
        [exit 65]

        $ milepost pause nap --json
        {"answer":"held","id":"nap","status":"paused"}

        $ milepost show nap --json
        /stop/due_at: null
        /stop/held_by: "`milepost pause`"

        $ milepost pause done
        nothing to pause: run done is completed

        $ milepost pause done --json
        {"answer":"already_completed","id":"done","status":"completed"}

        $ milepost pause nap
        nothing to pause: run nap is paused

        $ milepost pause nap --json
        {"answer":"already_paused","id":"nap","status":"paused"}

        $ milepost pause bad
        nothing to pause: run bad is failed

        $ milepost pause bad --json
        {"answer":"already_failed","id":"bad","status":"failed"}

        # spin is in the middle of its second step

        $ milepost pause spin --now --json
        {"answer":"pausing","id":"spin","status":"running"}

        # the step in flight was interrupted

        $ milepost show spin
        run spin of endless: paused
          file:   [folder]/endless.toml
          begun:  [time], took [elapsed]
          saved:  [time], [ago]
          step:   spin
          reason: interrupted: paused by `milepost pause`
          next:   `milepost resume spin` continues the run

        STEP   STATUS     ATTEMPTS  ITERATIONS  TOOK       TIMEOUT
        first  completed  1                     [elapsed]  30m (engine)
        spin   pending    1                                30m (engine)
    "#]]);
}

#[test]
fn a_patient_pause_comes_when_no_attempt_is_in_flight() {
    let cli = Cli::new();
    cli.workflow("flaky.toml", &flaky(r#"initial = "1h", max = "1h""#));
    let mut running = cli.start("run flaky.toml --id r");
    running.until("step try: retry 2 of 3");
    let mut session = cli.session();
    session.milepost("pause r");
    running.wait().expect(2);
    session.comment("its process has ended");
    session.document("show r", &["/status", "/stop_reason"]);
    session.reads(expect![[r#"
        $ milepost pause r
        run r is running; its process was asked to pause it

        # its process has ended

        $ milepost show r --json
        /status: "paused"
        /stop_reason: "interrupted"
    "#]]);
}

#[test]
fn b285_everything_but_the_completed_and_the_cancelled_can_be_cancelled() {
    let cli = workflows();
    for verb in ["cancel", "kill"] {
        for (line, status) in [
            ("submit hello.toml --input name=x --id new", 0),
            ("run pausing.toml --id nap", 2),
            ("run failing.toml --id bad", 1),
        ] {
            cli.run(&format!("{line}-{verb}")).expect(status);
        }
    }
    let mut session = cli.session();
    session.milepost("cancel new-cancel");
    session.document("cancel nap-cancel", &[""]);
    session.document("cancel bad-cancel", &[""]);
    session.document("kill new-kill", &[""]);
    session.milepost("kill nap-kill");
    session.document("kill bad-kill", &[""]);
    session.milepost("ls");
    session.reads(expect![[r#"
        $ milepost cancel new-cancel
        run new-cancel is cancelled

        $ milepost cancel nap-cancel --json
        {"answer":"cancelled","id":"nap-cancel","status":"cancelled"}

        $ milepost cancel bad-cancel --json
        {"answer":"cancelled","id":"bad-cancel","status":"cancelled"}

        $ milepost kill new-kill --json
        {"answer":"cancelled","id":"new-kill","status":"cancelled"}

        $ milepost kill nap-kill
        run nap-kill is cancelled

        $ milepost kill bad-kill --json
        {"answer":"cancelled","id":"bad-kill","status":"cancelled"}

        $ milepost ls
        ID          WORKFLOW  STATUS     OWNER  STARTED  TOOK       WAITED     UPDATED  NEXT
        bad-kill    failing   cancelled         [ago]    [elapsed]  [elapsed]  [ago]
        nap-kill    pausing   cancelled         [ago]    [elapsed]  [elapsed]  [ago]
        new-kill    hello     cancelled         [ago]               [elapsed]  [ago]
        bad-cancel  failing   cancelled         [ago]    [elapsed]  [elapsed]  [ago]
        nap-cancel  pausing   cancelled         [ago]    [elapsed]  [elapsed]  [ago]
        new-cancel  hello     cancelled         [ago]               [elapsed]  [ago]
    "#]]);
}

#[test]
fn b286_b287_a_run_that_is_over_has_nothing_to_cancel() {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    cli.run("run hello.toml --input name=x --id done").expect(0);
    cli.run("submit hello.toml --input name=x --id gone")
        .expect(0);
    cli.run("cancel gone").expect(0);
    let mut session = cli.session();
    for run in ["done", "gone"] {
        let before = cli.shown(run);
        for verb in ["cancel", "kill"] {
            session.milepost(&format!("{verb} {run}"));
            session.document(&format!("{verb} {run}"), &["/answer"]);
        }
        assert_eq!(cli.shown(run), before, "its end is not stamped again");
    }
    session.reads(expect![[r#"
        $ milepost cancel done
        nothing to cancel: run done is completed

        $ milepost cancel done --json
        /answer: "already_completed"

        $ milepost kill done
        nothing to kill: run done is completed

        $ milepost kill done --json
        /answer: "already_completed"

        $ milepost cancel gone
        nothing to cancel: run gone is cancelled

        $ milepost cancel gone --json
        /answer: "already_cancelled"

        $ milepost kill gone
        nothing to kill: run gone is cancelled

        $ milepost kill gone --json
        /answer: "already_cancelled"
    "#]]);
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
            // To `replay`, that is a file.
            if verb == "replay" && id.contains('.') {
                cli.run(&format!("replay {id}")).expect(65);
                continue;
            }
            let refused = cli.run(&format!("{verb} {id} --json")).expect(64).json();
            assert_eq!(refused["error"]["code"], "usage", "{verb} {id}");
        }
        let unknown = cli.run(&format!("{verb} nobody --json")).expect(65).json();
        assert_eq!(unknown["error"]["code"], "run_not_found", "{verb}");
    }
    cli.run("signal a% go").expect(64);
    cli.run("signal nobody go").expect(65);
}

/// What comes after such a stop is told that it does not count. The process stands still, so that what was asked of it
/// stays open.
#[cfg(unix)]
fn acknowledged(stop: &str, transcript: Expect) {
    let cli = Cli::new();
    let running = spinning(&cli);
    running.signal("STOP");
    let mut session = cli.session();
    session.milepost(&format!("{stop} spin"));
    session.document("pause spin", &[""]);
    session.document("pause spin --now", &[""]);
    session.milepost("pause spin");
    session.milepost("signal spin go");
    session.milepost("approve spin");
    session.milepost("reject spin");
    session.document("cancel spin", &["/answer"]);
    session.milepost("cancel spin");
    session.reads(transcript);
    running.signal("CONT");
    running.wait().expect(3);
}

#[cfg(unix)]
#[test]
fn what_comes_after_an_acknowledged_cancel_is_told_that_it_does_not_count() {
    acknowledged(
        "cancel",
        expect![[r#"
            $ milepost cancel spin
            run spin is running; its process was asked to end it

            $ milepost pause spin --json
            {"answer":"being_cancelled","id":"spin","status":"running"}

            $ milepost pause spin --now --json
            {"answer":"being_cancelled","id":"spin","status":"running"}

            $ milepost pause spin
            nothing to pause: run spin is being cancelled

            $ milepost signal spin go
            ! error: run `spin` cannot take the signal: the run is being cancelled
            [exit 65]

            $ milepost approve spin
            ! error: run `spin` is running: it is being cancelled
            !   help: `milepost show spin` shows what it waits for
            [exit 65]

            $ milepost reject spin
            ! error: run `spin` is running: it is being cancelled
            !   help: `milepost show spin` shows what it waits for
            [exit 65]

            $ milepost cancel spin --json
            /answer: "cancelling"

            $ milepost cancel spin
            run spin is running; its process was asked to end it
        "#]],
    );
}

#[cfg(unix)]
#[test]
fn what_comes_after_an_acknowledged_kill_is_told_that_it_does_not_count() {
    acknowledged(
        "kill",
        expect![[r#"
            $ milepost kill spin
            run spin is running; its process was asked to end it

            $ milepost pause spin --json
            {"answer":"being_cancelled","id":"spin","status":"running"}

            $ milepost pause spin --now --json
            {"answer":"being_cancelled","id":"spin","status":"running"}

            $ milepost pause spin
            nothing to pause: run spin is being cancelled

            $ milepost signal spin go
            ! error: run `spin` cannot take the signal: the run is being cancelled
            [exit 65]

            $ milepost approve spin
            ! error: run `spin` is running: it is being cancelled
            !   help: `milepost show spin` shows what it waits for
            [exit 65]

            $ milepost reject spin
            ! error: run `spin` is running: it is being cancelled
            !   help: `milepost show spin` shows what it waits for
            [exit 65]

            $ milepost cancel spin --json
            /answer: "cancelling"

            $ milepost cancel spin
            run spin is running; its process was asked to end it
        "#]],
    );
}

#[test]
fn a_retry_of_a_run_that_has_not_stopped_is_told_where_to_look() {
    let cli = stopped();
    cli.run("submit hello.toml --input name=x --id new")
        .expect(0);
    let mut session = cli.session();
    session.milepost("retry new");
    session.milepost("retry done");
    session.reads(expect![[r#"
        $ milepost retry new
        ! error: run `new` is pending: only a paused or failed run can be retried
        !   help: `milepost show new` shows its status
        [exit 65]

        $ milepost retry done
        ! error: run `done` is completed: it has ended; start a new run
        !   help: `milepost show done` shows how it ended, `milepost rerun done` runs the same again as a new run
        [exit 65]
    "#]]);
}
