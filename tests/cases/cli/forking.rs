//! `milepost fork`, as a person uses it.

use expect_test::expect;
use milepost_tests::cli::Cli;

const NOTES: &str = r#"
returns = "${ steps.join.output.text }"
[inputs.tone]
type = "string"
default = "plain"
[[step]]
id = "draft"
use = "text/upper"
with = { text = "notes" }
[[step]]
id = "style"
use = "text/upper"
with = { text = "${ inputs.tone }" }
[[step]]
id = "join"
use = "text/upper"
with = { text = "${ steps.draft.output.text + ', ' + steps.style.output.text }" }
"#;

#[test]
fn a_fork_keeps_what_came_before_a_step_and_says_so() {
    let cli = Cli::new();
    cli.workflow("notes.toml", NOTES);
    cli.run("run notes.toml --id first").expect(0);
    let mut session = cli.session();
    session.milepost("fork first --from style --input tone=loud --id second");
    session.milepost("show second");
    session.shell("milepost show second --json | grep -A7 forked_from");
    session.milepost("events second --limit 1");
    session.milepost("replay second");
    session.comment("the run that was forked may go");
    session.shell("milepost gc --older-than 0s --status completed --dry-run");
    session.comment("an outcome of another value of an input is not kept");
    session.milepost("fork first --from join --input tone=loud");
    session.milepost("fork first --from jion");
    session.milepost("fork first --from files[3]/check");
    session.milepost("fork first --from style --input tone=1 --input tnoe=2");
    session.milepost("fork first --from join --id second");
    session.milepost("explain not_forked");
    session.comment("what the files hold now is a decision of its own");
    cli.workflow("notes.toml", &NOTES.replace("', '", "'; '"));
    session.shell("milepost fork first --from join 2>&1 | grep -E '^[-+e]|help'");
    session.milepost("fork first --from join --accept-changes --id third");
    session.reads(expect![[r#"
        $ milepost fork first --from style --input tone=loud --id second
        ! run second: forked from first at step `style`, keeps step `draft`
        ! run second: started
        ! step style: started
        ! step style: completed in [elapsed]
        ! step join: started
        ! step join: completed in [elapsed]
        ! completed: run second after [elapsed], 3 of 3 steps
        NOTES, LOUD

        $ milepost show second
        run second of notes: completed
          file:   [folder]/notes.toml
          begun:  [time], took [elapsed]
          saved:  [time], [ago]
          forked: from first at step `style`

          tone = "loud"

        STEP   STATUS     ATTEMPTS  ITERATIONS  TOOK       TIMEOUT
        draft  completed  1                     [elapsed]  30m (engine)
        style  completed  1                     [elapsed]  30m (engine)
        join   completed  1                     [elapsed]  30m (engine)

        output
        NOTES, LOUD

        $ milepost show second --json | grep -A7 forked_from
          "forked_from": {
            "run": "first",
            "events": 9,
            "from": [
              "style"
            ]
          },
          "created_at": "[time]",

        $ milepost events second --limit 1
            1 [time] run_created notes from [folder]/notes.toml, forked from first at step `style`

        $ milepost replay second
        same as recorded: 7 events, 2 attempts

        # the run that was forked may go

        $ milepost gc --older-than 0s --status completed --dry-run
        2 runs would be removed
          first
          second

        # an outcome of another value of an input is not kept

        $ milepost fork first --from join --input tone=loud
        ! error: run `first` cannot be forked: step `style` keeps an outcome that comes of the input `tone`, which is to be changed
        !   help: add `--from style`, so that this step runs again, or leave the input as it was
        [exit 65]

        $ milepost fork first --from jion
        ! error: run `first` cannot be forked: the definition has no step `jion`
        !   help: did you mean `join`?
        [exit 65]

        $ milepost fork first --from files[3]/check
        ! error: invalid value 'files[3]/check' for '--from <STEP>': it is one execution of a step; a loop or a fan-out runs again as a whole: `--from files`
        !
        ! For more information, try '--help'.
        [exit 64]

        $ milepost fork first --from style --input tone=1 --input tnoe=2
        ! error[MP0701]: the workflow has no input `tnoe`
        !   help: did you mean `tone`?
        [exit 65]

        $ milepost fork first --from join --id second
        ! error: run `second` already exists, with another origin; choose another id
        !   help: `milepost show second` shows that run
        [exit 65]

        $ milepost explain not_forked
        not_forked

        The run cannot be forked so: it moves, has no such step, or a step whose outcome would be kept has read an input that is to be changed. `--from` may be given several times. Exit code 65.

        # what the files hold now is a decision of its own

        $ milepost fork first --from join 2>&1 | grep -E '^[-+e]|help'
        error: the workflow of run `first` has changed since:
        --- the run's definition
        +++ the definition on disk
        -with = { text = "${ steps.draft.output.text + ', ' + steps.style.output.text }" }
        +with = { text = "${ steps.draft.output.text + '; ' + steps.style.output.text }" }
          help: `--as-started` continues with the version that the run was started with, `--accept-changes` with the one on disk

        $ milepost fork first --from join --accept-changes --id third
        ! run third: forked from first at step `join`, keeps steps `draft` and `style`
        ! run third: continues with the changed workflow
        ! run third: started
        ! step join: started
        ! step join: completed in [elapsed]
        ! completed: run third after [elapsed], 3 of 3 steps
        NOTES; PLAIN
    "#]]);
}

#[test]
fn a_fork_of_a_run_that_was_undone_does_that_work_again() {
    let cli = Cli::new();
    cli.workflow(
        "trip.toml",
        r#"
[[step]]
id = "plan"
use = "text/upper"
with = { text = "plan" }
[[step]]
id = "book"
use = "text/upper"
with = { text = "book" }
compensate = { use = "text/upper", with = { text = "undo" } }
[[step]]
id = "pay"
use = "flaky/fail_always"
with = { class = "failed" }
"#,
    );
    let mut session = cli.session();
    session.milepost("run trip.toml --id trip");
    session.milepost("compensate trip");
    session.milepost("resume trip");
    session.milepost("fork trip --from pay --id again");
    session.reads(expect![[r#"
        $ milepost run trip.toml --id trip
        ! run trip: started
        ! step plan: started
        ! step plan: completed in [elapsed]
        ! step book: started
        ! step book: completed in [elapsed]
        ! step pay: started
        ! step pay: failed: broken: broken
        ! failed: run trip after [elapsed], 3 of 3 steps (1 failed)
        !   step pay: broken: broken
        !   next:   nothing by itself; fix the cause, then `milepost resume trip` runs the failed steps again
        !   look:   milepost show trip
        [exit 1]

        $ milepost compensate trip
        ! run trip: compensating what its completed steps did, the latest first
        ! step book!compensate: started
        ! step book!compensate: completed in [elapsed]
        ! failed: run trip after [elapsed], 3 of 3 steps (1 failed)
        !   step pay: broken: broken
        !   next:   nothing; the run is over, and what its steps did is undone
        !   look:   milepost show trip
        [exit 1]

        $ milepost resume trip
        ! error: its completed steps were compensated, so it cannot continue; fork it, or start a new run
        [exit 65]

        $ milepost fork trip --from pay --id again
        ! run again: forked from trip at step `pay`, keeps step `plan`
        ! run again: started
        ! step book: started
        ! step book: completed in [elapsed]
        ! step pay: started
        ! step pay: failed: broken: broken
        ! failed: run again after [elapsed], 3 of 3 steps (1 failed)
        !   step pay: broken: broken
        !   next:   nothing by itself; fix the cause, then `milepost resume again` runs the failed steps again
        !   look:   milepost show again
        [exit 1]
    "#]]);
}

#[test]
fn a_fork_differs_from_its_origin_by_what_it_does_itself() {
    let cli = Cli::new();
    let loops = "[[step]]\nid = \"again\"\nloop = { until = \"loop.iteration >= 2\" }\n\
         [[step]]\nid = \"count\"\nin = \"again\"\nuse = \"text/count\"\nwith = { n = \"${ loop.iteration }\" }\n\
         [[step]]\nid = \"never\"\nif = \"1 > 2\"\nuse = \"text/count\"\nwith = { n = 1 }\n\
         [[step]]\nid = \"last\"\nuse = \"text/count\"\nwith = { n = 3 }\n";
    cli.workflow("notes.toml", &format!("{NOTES}{loops}"));
    cli.run("run notes.toml --id first").expect(0);
    cli.run("fork first --from last --id same").expect(0);
    let same = cli.run("diff first same --json").expect(0).json();
    assert_eq!(same["steps"], serde_json::json!([]), "{same:#}");
    cli.run("fork first --from style --input tone=loud --id other")
        .expect(0);
    let other = cli.run("diff same other --json").expect(1).json();
    let paths: Vec<&str> = other["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["path"].as_str().unwrap())
        .collect();
    assert_eq!(paths, ["style", "join"], "{other:#}");
}

#[test]
fn a_rerun_is_a_new_run_of_the_same_workflow() {
    let cli = Cli::new();
    cli.workflow("notes.toml", NOTES);
    cli.run("run notes.toml --id first --input tone=loud")
        .expect(0);
    let mut session = cli.session();
    session.milepost("rerun first --id second");
    session.milepost("rerun first --from join --input tone=soft");
    session.milepost("rerun first --from join --id third");
    session.milepost("rerun fisrt");
    session.reads(expect![[r#"
        $ milepost rerun first --id second
        ! run second: a new run of the workflow of first, from the beginning
        ! run second: started
        ! step draft: started
        ! step draft: completed in [elapsed]
        ! step style: started
        ! step style: completed in [elapsed]
        ! step join: started
        ! step join: completed in [elapsed]
        ! completed: run second after [elapsed], 3 of 3 steps
        NOTES, LOUD

        $ milepost rerun first --from join --input tone=soft
        ! error: run `first` cannot be forked: step `style` keeps an outcome that comes of the input `tone`, which is to be changed
        !   help: add `--from style`, so that this step runs again, or leave the input as it was
        [exit 65]

        $ milepost rerun first --from join --id third
        ! run third: forked from first at step `join`, keeps steps `draft` and `style`
        ! run third: started
        ! step join: started
        ! step join: completed in [elapsed]
        ! completed: run third after [elapsed], 3 of 3 steps
        NOTES, LOUD

        $ milepost rerun fisrt
        ! error: no run begins with `fisrt` (store: .milepost)
        !   help: did you mean `first`? `milepost ls` lists the runs
        [exit 65]
    "#]]);
    for (run, status) in [("second", "completed"), ("third", "completed")] {
        assert_eq!(cli.shown(run)["status"], status);
        cli.run(&format!("replay {run}")).expect(0);
    }
    cli.run("diff first second").expect(0);
}
