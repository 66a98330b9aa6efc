//! A signal that was damaged in the store is told by its number, wherever the run meets it, and lets no run wait for ever.

use expect_test::{Expect, expect};
use milepost_tests::cli::Cli;
use rusqlite::Connection;

use super::ASKS;

fn damage(cli: &Cli) {
    let db = Connection::open(cli.database()).unwrap();
    let sql =
        "INSERT INTO signal (run, name, at, data) SELECT key, 'go', 1, '{' FROM run WHERE id = 'r'";
    assert_eq!(db.execute(sql, []).unwrap(), 1);
}

/// A run that waits for the signal, or is ready to go on to where it waits, meets a damaged one in this command; and what
/// people read of it.
fn meets(waits: bool, line: &str, transcript: Expect) {
    let cli = Cli::new();
    cli.workflow("asks.toml", ASKS);
    cli.run("run asks.toml --id r").expect(2);
    cli.run("approve r").expect(0);
    if waits {
        cli.run("resume r").expect(2);
    }
    damage(&cli);
    cli.run("submit asks.toml --id other").expect(0);
    let mut session = cli.session();
    session.milepost(line);
    if line.starts_with("resume") {
        session.comment("a person's try that cannot work leaves the run as it was");
        session.document("show r", &["/status"]);
        session.milepost("work --until-idle --max-runs 1");
    }
    session.document("show r", &["/status", "/stop_reason"]);
    session.milepost("show r");
    session.milepost("signal r go");
    let worked = cli.run("work --until-idle --max-runs 1").expect(0);
    assert!(!worked.stderr.contains("run r"), "{worked:#?}");
    assert_eq!(cli.shown("other")["status"], "paused");
    // The good one behind it is not lost with it.
    assert!(cli.shown("r")["inbox_count"].as_u64() >= Some(2));
    session.reads(transcript);
    let db = Connection::open(cli.database()).unwrap();
    db.execute("DELETE FROM signal WHERE data = '{'", [])
        .unwrap();
    cli.run("resume r").expect(0);
}

#[test]
fn a_worker_fails_a_run_that_waits_for_a_damaged_signal_and_names_it() {
    meets(
        true,
        "work --until-idle --max-runs 1",
        expect![[r#"
            $ milepost work --until-idle --max-runs 1
            ! working on .milepost, up to 1 run at once
            ! run r: resumed, 1 completed step kept
            ! run r: failed: host_error: the host could not continue: stored data is corrupted: run `r`: the data of signal 1: EOF while parsing an object at line 1 column 1
            ! warning: run r: stored data is corrupted: the data of signal 1: EOF while parsing an object at line 1 column 1
            ! run other: started
            ! run other: paused: waiting_for_approval: `ask` asks: Sure?
            1 run taken: 1 paused

            $ milepost show r --json
            /status: "failed"
            /stop_reason: "host_error"

            $ milepost show r
            run r of asks: failed
              file:   [folder]/asks.toml
              begun:  [time], took [elapsed]
              saved:  [time], [ago]
              again:  1 of 5 automatic resumes used
              step:   after
              reason: host_error: the host could not continue: stored data is corrupted: run `r`: the data of signal 1: EOF while parsing an object at line 1 column 1
              next:   nothing by itself; `milepost doctor` lists all damage; restore the store from a backup, then `milepost resume r`, or start a new run
              waits:  after, for the signal `go`
              kept:   the signal `go`, sent [ago]

            STEP   STATUS     ATTEMPTS  ITERATIONS  TOOK       TIMEOUT
            ask    completed  1                     [elapsed]
            after  waiting    1

            $ milepost signal r go
            run r has failed; the signal is kept; `milepost show r` shows what happens next
        "#]],
    );
}

#[test]
fn a_second_signal_fails_a_run_that_waits_for_a_damaged_one() {
    meets(
        true,
        "signal r go",
        expect![[r#"
            $ milepost signal r go
            run r has failed; the signal is kept; `milepost show r` shows what happens next

            $ milepost show r --json
            /status: "failed"
            /stop_reason: "host_error"

            $ milepost show r
            run r of asks: failed
              file:   [folder]/asks.toml
              begun:  [time], took [elapsed]
              saved:  [time], [ago]
              again:  1 of 5 automatic resumes used
              step:   after
              reason: host_error: the host could not continue: stored data is corrupted: run `r`: the data of signal 1: EOF while parsing an object at line 1 column 1
              next:   nothing by itself; `milepost doctor` lists all damage; restore the store from a backup, then `milepost resume r`, or start a new run
              waits:  after, for the signal `go`
              kept:   the signal `go`, sent [ago]
              kept:   the signal `go`, sent [ago]

            STEP   STATUS     ATTEMPTS  ITERATIONS  TOOK       TIMEOUT
            ask    completed  1                     [elapsed]
            after  waiting    1

            $ milepost signal r go
            run r has failed; the signal is kept; `milepost show r` shows what happens next
        "#]],
    );
}

#[test]
fn a_resume_is_told_that_the_signal_of_its_wait_is_damaged() {
    meets(
        true,
        "resume r",
        expect![[r#"
            $ milepost resume r
            ! error: stored data is corrupted: run `r`: the data of signal 1: EOF while parsing an object at line 1 column 1
            !   help: `milepost doctor` lists all damage; restore the store from a backup, or name another one with `--store`
            [exit 69]

            # a person's try that cannot work leaves the run as it was

            $ milepost show r --json
            /status: "paused"

            $ milepost work --until-idle --max-runs 1
            ! working on .milepost, up to 1 run at once
            ! run r: resumed, 1 completed step kept
            ! run r: failed: host_error: the host could not continue: stored data is corrupted: run `r`: the data of signal 1: EOF while parsing an object at line 1 column 1
            ! warning: run r: stored data is corrupted: the data of signal 1: EOF while parsing an object at line 1 column 1
            ! run other: started
            ! run other: paused: waiting_for_approval: `ask` asks: Sure?
            1 run taken: 1 paused

            $ milepost show r --json
            /status: "failed"
            /stop_reason: "host_error"

            $ milepost show r
            run r of asks: failed
              file:   [folder]/asks.toml
              begun:  [time], took [elapsed]
              saved:  [time], [ago]
              again:  1 of 5 automatic resumes used
              step:   after
              reason: host_error: the host could not continue: stored data is corrupted: run `r`: the data of signal 1: EOF while parsing an object at line 1 column 1
              next:   nothing by itself; `milepost doctor` lists all damage; restore the store from a backup, then `milepost resume r`, or start a new run
              waits:  after, for the signal `go`
              kept:   the signal `go`, sent [ago]

            STEP   STATUS     ATTEMPTS  ITERATIONS  TOOK       TIMEOUT
            ask    completed  1                     [elapsed]
            after  waiting    1

            $ milepost signal r go
            run r has failed; the signal is kept; `milepost show r` shows what happens next
        "#]],
    );
}

#[test]
fn a_worker_fails_a_run_that_comes_to_a_damaged_signal() {
    meets(
        false,
        "work --until-idle --max-runs 1",
        expect![[r#"
            $ milepost work --until-idle --max-runs 1
            ! working on .milepost, up to 1 run at once
            ! warning: run r: stored data is corrupted: the data of signal 1: EOF while parsing an object at line 1 column 1
            ! run r: resumed, 1 completed step kept
            ! run r: failed: host_error: the host could not continue: stored data is corrupted: run `r`: the data of signal 1: EOF while parsing an object at line 1 column 1
            ! run other: started
            ! run other: paused: waiting_for_approval: `ask` asks: Sure?
            2 runs taken: 1 paused, 1 could not start

            $ milepost show r --json
            /status: "failed"
            /stop_reason: "host_error"

            $ milepost show r
            run r of asks: failed
              file:   [folder]/asks.toml
              begun:  [time], took [elapsed]
              saved:  [time], [ago]
              again:  1 of 5 automatic resumes used
              step:   ask
              reason: host_error: the host could not continue: stored data is corrupted: run `r`: the data of signal 1: EOF while parsing an object at line 1 column 1
              next:   nothing by itself; `milepost doctor` lists all damage; restore the store from a backup, then `milepost resume r`, or start a new run
              kept:   the signal `go`, sent [ago]

            STEP   STATUS     ATTEMPTS  ITERATIONS  TOOK       TIMEOUT
            ask    completed  1                     [elapsed]
            after  pending

            $ milepost signal r go
            run r has failed; the signal is kept; `milepost show r` shows what happens next
        "#]],
    );
}

#[test]
fn a_resume_is_told_that_the_signal_ahead_is_damaged() {
    meets(
        false,
        "resume r",
        expect![[r#"
            $ milepost resume r
            ! error: stored data is corrupted: run `r`: the data of signal 1: EOF while parsing an object at line 1 column 1
            !   help: `milepost doctor` lists all damage; restore the store from a backup, or name another one with `--store`
            [exit 69]

            # a person's try that cannot work leaves the run as it was

            $ milepost show r --json
            /status: "paused"

            $ milepost work --until-idle --max-runs 1
            ! working on .milepost, up to 1 run at once
            ! warning: run r: stored data is corrupted: the data of signal 1: EOF while parsing an object at line 1 column 1
            ! run r: resumed, 1 completed step kept
            ! run r: failed: host_error: the host could not continue: stored data is corrupted: run `r`: the data of signal 1: EOF while parsing an object at line 1 column 1
            ! run other: started
            ! run other: paused: waiting_for_approval: `ask` asks: Sure?
            2 runs taken: 1 paused, 1 could not start

            $ milepost show r --json
            /status: "failed"
            /stop_reason: "host_error"

            $ milepost show r
            run r of asks: failed
              file:   [folder]/asks.toml
              begun:  [time], took [elapsed]
              saved:  [time], [ago]
              again:  1 of 5 automatic resumes used
              step:   ask
              reason: host_error: the host could not continue: stored data is corrupted: run `r`: the data of signal 1: EOF while parsing an object at line 1 column 1
              next:   nothing by itself; `milepost doctor` lists all damage; restore the store from a backup, then `milepost resume r`, or start a new run
              kept:   the signal `go`, sent [ago]

            STEP   STATUS     ATTEMPTS  ITERATIONS  TOOK       TIMEOUT
            ask    completed  1                     [elapsed]
            after  pending

            $ milepost signal r go
            run r has failed; the signal is kept; `milepost show r` shows what happens next
        "#]],
    );
}
