//! What a verb waits for after it has done its work: that a run has stopped, or where it stops next.

use expect_test::expect;
use milepost_tests::cli::Cli;

use super::{ASKS, GATE, HELLO, SIGNAL, spinning};

fn gated(id: &str) -> Cli {
    let cli = Cli::new();
    cli.workflow("gate.toml", GATE);
    cli.run(&format!("run gate.toml --id {id}")).expect(2);
    cli
}

#[test]
fn a_pause_waits_until_the_run_has_paused_and_no_longer_than_it_may() {
    let cli = Cli::new();
    let running = spinning(&cli);
    let mut session = cli.session();
    session.comment("its step never ends by itself");
    session.milepost("pause spin --wait=300ms");
    session.document("pause spin --wait=10ms", &["/error/code"]);
    session.milepost("pause spin --now --wait=1m");
    session.milepost("pause spin --wait");
    session.reads(expect![[r##"
        # its step never ends by itself

        $ milepost pause spin --wait=300ms
        ! error: run spin is still running after [elapsed]; the request to pause it stands
        !   help: `milepost show spin` shows how it is
        [exit 75]

        $ milepost pause spin --wait=10ms --json
        /error/code: "still_running"
        [exit 75]

        $ milepost pause spin --now --wait=1m
        run spin is paused

        $ milepost pause spin --wait
        run spin is paused
    "##]]);
    assert_eq!(cli.shown("spin")["status"], "paused");
    running.wait().expect(2);
}

#[test]
fn a_cancel_and_a_kill_wait_until_the_run_has_ended() {
    for (line, done) in [
        ("cancel spin --wait --json", "cancelled"),
        ("kill spin --wait=1m --json", "cancelled"),
    ] {
        let cli = Cli::new();
        let running = spinning(&cli);
        let answer = cli.run(line).expect(0).json();
        assert_eq!(answer["answer"], done, "{line}");
        assert_eq!(answer["status"], "cancelled");
        assert_eq!(cli.shown("spin")["status"], "cancelled");
        running.wait().expect(3);
    }
}

/// Nobody else comes to end it.
#[cfg(unix)]
#[test]
fn a_wait_ends_the_run_itself_when_its_process_dies_meanwhile() {
    let cli = Cli::new();
    let running = spinning(&cli);
    running.signal("STOP");
    let waiting = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| cli.run("kill spin --wait=1m"));
        while cli.shown("spin")["request"].is_null() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        running.signal("KILL");
        running.wait();
        waiting.join().unwrap()
    });
    let told = waiting.expect(0).stdout;
    assert_eq!(told, "run spin is cancelled\n");
}

#[test]
fn a_decision_and_a_signal_drive_the_run_on_where_they_are_told_to() {
    let cli = gated("r");
    cli.workflow("signal.toml", SIGNAL);
    cli.workflow("asks.toml", ASKS);
    cli.run("run signal.toml --id s").expect(2);
    cli.run("run asks.toml --id a").expect(2);
    let mut session = cli.session();
    session.milepost("approve r --comment fine --resume");
    session.milepost("signal s go --data 7 --resume");
    session.comment("the next question");
    session.milepost("approve a --resume");
    session.comment("it does not wait for this one");
    session.milepost("signal a other --resume");
    session.document("signal a go --resume", &["/id", "/status", "/output"]);
    session.comment("a rejection ends it");
    session.milepost("run gate.toml --id g");
    session.milepost("reject g --resume");
    session.reads(expect![[r#"
        $ milepost approve r --comment fine --resume
        ! `gate` of run r is approved; it continues here
        ! run r: resumed, 1 completed step kept
        ! step after: started
        ! step after: completed in [elapsed]
        ! completed: run r after [elapsed], 2 of 2 steps
        fine

        $ milepost signal s go --data 7 --resume
        ! run s received `go`; it continues here
        ! run s: resumed, 0 completed steps kept
        ! step ask: started
        ! step ask: completed in [elapsed]
        ! completed: run s after [elapsed], 1 of 1 step
        {
          "payload": 7
        }

        # the next question

        $ milepost approve a --resume
        ! `ask` of run a is approved; it continues here
        ! run a: resumed, 1 completed step kept
        ! step after: waits for the signal `go`
        ! paused: run a after [elapsed], 1 of 2 steps
        !   step:   after
        !   reason: waiting_for_signal: `after` waits for the signal `go`
        !   next:   after `milepost signal a go`, a worker or `milepost resume a` continues the run
        [exit 2]

        # it does not wait for this one

        $ milepost signal a other --resume
        ! error: nothing in the workflow of run `a` waits for a signal `other`
        !   help: it waits for `go`
        [exit 65]

        $ milepost signal a go --resume --json
        ! run a received `go`; it continues here
        ! run a: resumed, 2 completed steps kept
        ! completed: run a after [elapsed], 2 of 2 steps
        /id: "a"
        /status: "completed"
        /output: {"data":null,"signal":"go","timed_out":false}

        # a rejection ends it

        $ milepost run gate.toml --id g
        ! run g: started
        ! step gate: waits for a decision: Publish?
        ! paused: run g after [elapsed], 0 of 2 steps
        !   step:   gate
        !   reason: waiting_for_approval: `gate` asks: Publish?
        !   next:   `milepost approve g` or `milepost reject g` decides
        [exit 2]

        $ milepost reject g --resume
        ! `gate` of run g is rejected; the run is cancelled
        ! cancelled: run g after [elapsed], 1 of 2 steps
        !   step:   gate
        !   reason: rejected: `gate` was rejected
        !   next:   nothing; the run is over
        [exit 3]
    "#]]);
}

#[test]
fn a_submitted_run_and_a_decision_are_followed_while_a_worker_drives() {
    let cli = gated("r");
    cli.workflow("hello.toml", HELLO);
    let mut worker = cli.start("work");
    worker.until("working on");
    let followed = cli.run("approve r --comment fine --follow").expect(0);
    assert_eq!(followed.stdout, "fine\n");
    assert!(followed.stderr.contains("`gate` of run r is approved"));
    assert!(
        followed.stderr.contains("step after: completed"),
        "{followed:?}"
    );
    let submitted = cli.run("submit hello.toml --input name=Ada --id n --follow");
    let submitted = submitted.expect(0);
    assert_eq!(submitted.stdout, "Hello, Ada!\n");
    assert!(
        submitted
            .stderr
            .contains("run n is pending; a worker starts it"),
        "{submitted:?}"
    );
    cli.run("submit hello.toml --input name=Ada --id m")
        .expect(0);
    let listed = cli.run("ls --json").expect(0).json();
    assert_eq!(listed[0]["id"], "m");
    worker.signal("INT");
    worker.wait().expect(0);
    let told = cli
        .run("submit hello.toml --input name=Ada --id l")
        .expect(0);
    assert!(told.stderr.contains("no worker is running"), "{told:?}");
}
