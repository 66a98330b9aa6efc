//! Going on with a run from the command line: what is told, to people and to programs, and what is left alone.

use std::fs;

use expect_test::expect;
use milepost_tests::cli::Cli;

use super::{PAUSING, stopped, workflows};

#[test]
fn b185_every_answer_to_a_resume_has_its_exit_code_and_its_word() {
    let cli = stopped();
    let mut session = cli.session();
    let told = ["/status", "/stop/code"];
    session.document("resume nap", &["/status"]);
    session.document("resume bad", &told);
    session.document("resume done", &["/error/code"]);
    session.document("resume nobody", &["/error/code"]);
    session.reads(expect![[r#"
        $ milepost resume nap --json
        ! run nap: resumed, 1 completed step kept
        ! step ask: started
        ! step ask: completed in [elapsed]
        ! completed: run nap after [elapsed], 2 of 2 steps
        /status: "completed"

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
        /stop/code: "step_failed"
        [exit 1]

        $ milepost resume done --json
        /error/code: "not_resumable"
        [exit 65]

        $ milepost resume nobody --json
        /error/code: "run_not_found"
        [exit 65]
    "#]]);
}

#[test]
fn b187_a_resume_tells_what_stays_completed() {
    let cli = Cli::new();
    cli.workflow("pausing.toml", PAUSING);
    cli.run("run pausing.toml --id some").expect(2);
    let mut session = cli.session();
    session.milepost("resume some");
    session.comment("nothing was completed: the whole workflow runs");
    cli.workflow(
        "at_once.toml",
        PAUSING.split_at(PAUSING.rfind("[[step]]").unwrap()).1,
    );
    cli.run("run at_once.toml --id none").expect(2);
    session.milepost("resume none");
    session.reads(expect![[r#"
        $ milepost resume some
        ! run some: resumed, 1 completed step kept
        ! step ask: started
        ! step ask: completed in [elapsed]
        ! completed: run some after [elapsed], 2 of 2 steps
        {
          "attempt": 2
        }

        # nothing was completed: the whole workflow runs

        $ milepost resume none
        ! run none: resumed, 0 completed steps kept
        ! step ask: started
        ! step ask: completed in [elapsed]
        ! completed: run none after [elapsed], 1 of 1 step
        {
          "attempt": 2
        }
    "#]]);
}

#[test]
fn b193_resume_prints_the_run_or_an_error_as_one_document() {
    let cli = Cli::new();
    cli.workflow("pausing.toml", PAUSING);
    cli.run("run pausing.toml --id nap").expect(2);
    let run = cli.run("resume nap --json").expect(0).json();
    assert_eq!(
        (&run["id"], &run["workflow"]),
        (&"nap".into(), &"pausing".into())
    );
    assert_eq!(run["status"], "completed");
    for time in ["created_at", "started_at", "updated_at", "ended_at"] {
        assert!(run[time].is_string(), "{time}: {run:#}");
    }
    let refused = cli.run("resume nap --json").expect(65).json();
    assert_eq!(
        refused.as_object().map(serde_json::Map::len),
        Some(1),
        "{refused:#}"
    );
    for key in ["code", "message", "help"] {
        assert!(refused["error"][key].is_string(), "{key}: {refused:#}");
    }
}

#[test]
fn b194_starting_a_paused_run_again_points_to_resume() {
    let cli = Cli::new();
    cli.workflow("pausing.toml", PAUSING);
    let mut session = cli.session();
    session.milepost("run pausing.toml --id nap");
    let shown = cli.shown("nap");
    session.milepost("run pausing.toml --id nap");
    assert_eq!(cli.shown("nap"), shown, "nothing moved");
    session.milepost("ls");
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

        $ milepost run pausing.toml --id nap
        ! run nap already exists, with the same workflow and inputs
        ! paused: run nap after [elapsed], 1 of 2 steps
        !   step:   ask
        !   reason: step_paused: `ask` paused (quota-exhausted): attempt 1 of 2 pauses [acme]
        !   next:   `milepost resume nap` continues at `ask`; a worker (`milepost work`) does so when it is due, as automatic resume 1 of 5
        !   due:    continues at [time] (in [left])
        !   resume: milepost resume nap
        [exit 2]

        $ milepost ls
        ! no worker is running: `milepost work` starts one
        ID   WORKFLOW  STATUS                       OWNER  STARTED  TOOK       WAITED     UPDATED  NEXT
        nap  pausing   paused (step_paused) [acme]         [ago]    [elapsed]  [elapsed]  [ago]    in [left] (resume 1 of 5)
    "#]]);
}

// Nothing is reported to anybody; what has to be finished before the exit is the store.
#[test]
fn b170_the_store_is_closed_however_the_program_ends() {
    let cli = workflows();
    for (line, status) in [
        ("run hello.toml --input name=x --id done", 0),
        ("run failing.toml --id bad", 1),
        ("run pausing.toml --id nap", 2),
        ("resume done", 65),
        ("resume nobody", 65),
    ] {
        cli.run(line).expect(status);
        let beside: Vec<String> = fs::read_dir(cli.folder().join(".milepost"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with("-wal") || name.ends_with("-shm"))
            .collect();
        assert_eq!(beside, [""; 0], "{line}");
    }
}

#[test]
fn b21_a_definition_file_is_never_written() {
    let cli = Cli::new();
    cli.workflow("pausing.toml", PAUSING);
    let newer = "schema = 2\nname = \"x\"   # kept as it is\n";
    cli.write("newer.toml", newer);
    let read = |name: &str| fs::read_to_string(cli.folder().join(name)).unwrap();
    let before = read("pausing.toml");
    cli.run("run pausing.toml --id nap").expect(2);
    cli.run("resume nap").expect(0);
    cli.run("validate pausing.toml").expect(0);
    assert_eq!(read("pausing.toml"), before);
    cli.run("run newer.toml").expect(65);
    cli.run("validate newer.toml").expect(65);
    assert_eq!(read("newer.toml"), newer);
}
