//! Fan-outs: what is told of their items, and the commands that name one.

use expect_test::expect;
use milepost_tests::cli::Cli;

/// One item after the other, so that a session reads the same every time.
const GREETINGS: &str = r#"
returns = "${ steps.greet.output }"
[[step]]
id = "greet"
use = "text/greet"
foreach = { items = "['Ada', '', 'Bob', ' ']", max_parallel = 1 }
with = { name = "${ item }" }
"#;

const QUESTIONS: &str = r#"
[[step]]
id = "files"
foreach = { items = "['a.txt', 'b.txt']", max_parallel = 1, join = "all_done", returns = "${ steps.files.item + ': ' + steps.ok.output.comment }" }
[[step]]
id = "read"
in = "files"
use = "text/upper"
with = { text = "${ item }" }
[[step]]
id = "ok"
in = "files"
approval = { message = "Publish ${ steps.read.output.text }?" }
"#;

/// A run that failed for nothing but an item that a person cancelled is not helped by a resume.
#[test]
fn no_resume_is_offered_for_what_a_person_cancelled() {
    let cli = Cli::new();
    cli.workflow(
        "w.toml",
        "[[step]]\nid = \"each\"\nforeach = { items = \"[1, 2]\" }\n\
         [[step]]\nid = \"ask\"\nin = \"each\"\napproval = { message = \"Go?\" }\n",
    );
    cli.run("run w.toml --id r").expect(2);
    cli.run("cancel r --step each[0]").expect(0);
    cli.run("approve r --step each[1]/ask").expect(0);
    let failed = cli.run("resume r").expect(1);
    let next = "next:   nothing; the items that failed were cancelled for good";
    assert!(failed.stderr.contains(next), "{failed:?}");
    for from in ["each[0]", "each[0]/ask"] {
        let refused = cli.run(&format!("retry r --from {from}")).expect(65);
        let said = "`each[0]` was cancelled for good, and does not run again";
        assert!(refused.stderr.contains(said), "{refused:?}");
    }
}

/// The rows of members have no error of their own: each of their items has one.
#[test]
fn what_failed_inside_of_items_is_told_by_their_fan_out() {
    let cli = Cli::new();
    cli.workflow(
        "w.toml",
        "[[step]]\nid = \"each\"\nforeach = { items = \"[1, 2]\" }\n\
         [[step]]\nid = \"red\"\nin = \"each\"\nif = \"item == 2\"\nuse = \"flaky/fail_always\"\n",
    );
    let failed = cli.run("run w.toml --id r").expect(1);
    let (_, end) = failed.stderr.split_once("failed: run r").unwrap();
    let told: Vec<&str> = end
        .lines()
        .filter(|line| line.starts_with("  step "))
        .collect();
    let said = "  step each: items_failed: 1 of 2 items failed; the first is `each[1]`: broken: `red`: broken";
    assert_eq!(told, [said]);
}

#[test]
fn of_a_fan_out_the_counts_are_told_and_the_items_that_failed() {
    let cli = Cli::new();
    cli.workflow("greet.toml", GREETINGS);
    let mut session = cli.session();
    session.milepost("run greet.toml --id g");
    session.milepost("show g");
    session.milepost("cancel g --step greet[1]");
    session.milepost("cancel g --step greet[1]");
    session.milepost("cancel g --step greet[0]");
    session.milepost("cancel g --step greet");
    session.milepost("resume g");
    session.milepost("retry g --from greet[0]");
    session.milepost("retry g --from greet");
    session.milepost("retry g --from greet[7]");
    session.milepost("graph greet.toml --run g");
    session.milepost("explain items_failed");
    session.reads(expect![[r#"
        $ milepost run greet.toml --id g
        ! run g: started
        ! fan-out greet: 4 items
        ! step greet[0]: started
        ! step greet[0]: completed in [elapsed]
        ! step greet[1]: started
        ! step greet[1]: failed: invalid_input: nobody to greet: `name` is empty
        ! step greet[2]: started
        ! step greet[2]: completed in [elapsed]
        ! step greet[3]: started
        ! step greet[3]: failed: invalid_input: nobody to greet: `name` is empty
        ! step greet: failed: items_failed: 2 of 4 items failed; the first is `greet[1]`: invalid_input: nobody to greet: `name` is empty
        ! failed: run g after [elapsed], 1 of 1 step (1 failed)
        !   step greet: items_failed: 2 of 4 items failed; the first is `greet[1]`: invalid_input: nobody to greet: `name` is empty
        !   next:   nothing by itself; fix the cause, then `milepost resume g` runs the failed steps again
        !   look:   milepost show g
        [exit 1]

        $ milepost show g
        run g of greet: failed
          file:   [folder]/greet.toml
          begun:  [time], took [elapsed]
          saved:  [time], [ago]
          next:   nothing by itself; fix the cause, then `milepost resume g` runs the failed steps again

        STEP   STATUS                     ATTEMPTS  ITERATIONS  TOOK       TIMEOUT
        greet  failed, 4 items, 2 failed                        [elapsed]  30m (engine)

        greet: items_failed: 2 of 4 items failed; the first is `greet[1]`: invalid_input: nobody to greet: `name` is empty
        greet[1]: invalid_input: nobody to greet: `name` is empty
        greet[3]: invalid_input: nobody to greet: `name` is empty

        $ milepost cancel g --step greet[1]
        `greet[1]` of run g is cancelled; the run is failed

        $ milepost cancel g --step greet[1]
        nothing to cancel: `greet[1]` of run g is cancelled

        $ milepost cancel g --step greet[0]
        ! error: run `g`: `greet[0]` has completed
        !   help: `milepost show g` shows the items
        [exit 65]

        $ milepost cancel g --step greet
        ! error: run `g`: `greet` is no item of a fan-out that has begun
        !   help: `milepost show g` shows the items
        [exit 65]

        $ milepost resume g
        ! run g: resumed, 0 completed steps kept; running again in fan-outs: greet[3]
        ! step greet[3]: started
        ! step greet[3]: failed: invalid_input: nobody to greet: `name` is empty
        ! step greet: failed: items_failed: 2 of 4 items failed; the first is `greet[1]`: item_cancelled: cancelled by `milepost cancel`
        ! failed: run g after [elapsed], 1 of 1 step (1 failed)
        !   step greet: items_failed: 2 of 4 items failed; the first is `greet[1]`: item_cancelled: cancelled by `milepost cancel`
        !   next:   nothing by itself; fix the cause, then `milepost resume g` runs the failed steps again
        !   look:   milepost show g
        [exit 1]

        $ milepost retry g --from greet[0]
        ! run g: resumed, 0 completed steps kept; running again in fan-outs: greet[3], greet[0]
        ! step greet[0]: started
        ! step greet[0]: completed in [elapsed]
        ! step greet[3]: started
        ! step greet[3]: failed: invalid_input: nobody to greet: `name` is empty
        ! step greet: failed: items_failed: 2 of 4 items failed; the first is `greet[1]`: item_cancelled: cancelled by `milepost cancel`
        ! failed: run g after [elapsed], 1 of 1 step (1 failed)
        !   step greet: items_failed: 2 of 4 items failed; the first is `greet[1]`: item_cancelled: cancelled by `milepost cancel`
        !   next:   nothing by itself; fix the cause, then `milepost resume g` runs the failed steps again
        !   look:   milepost show g
        [exit 1]

        $ milepost retry g --from greet
        ! run g: resumed, 0 completed steps kept; running again in fan-outs: greet[3], greet
        ! fan-out greet: 4 items, 3 kept
        ! step greet[3]: started
        ! step greet[3]: failed: invalid_input: nobody to greet: `name` is empty
        ! step greet: failed: items_failed: 2 of 4 items failed; the first is `greet[1]`: item_cancelled: cancelled by `milepost cancel`
        ! failed: run g after [elapsed], 1 of 1 step (1 failed)
        !   step greet: items_failed: 2 of 4 items failed; the first is `greet[1]`: item_cancelled: cancelled by `milepost cancel`
        !   next:   nothing by itself; fix the cause, then `milepost resume g` runs the failed steps again
        !   look:   milepost show g
        [exit 1]

        $ milepost retry g --from greet[7]
        ! error: nothing that could run again by itself is recorded at `greet[7]`
        [exit 65]

        $ milepost graph greet.toml --run g
        greet, run g: failed
          ✗ greet: text/greet for each of ['Ada', '', 'Bob', ' '], 1 at a time, all must succeed (failed after [elapsed], 4 items, 1 failed, 1 cancelled)

        $ milepost explain items_failed
        items_failed

        Items of a fan-out failed; the others ended all the same. The message names the first one, `detail` has the counts. `resume` and `retry` run the failed items alone again; with `join = "all_done"` the step completes and says how each item ended.
    "#]]);
}

#[test]
fn a_question_inside_of_an_item_is_answered_by_its_path() {
    let cli = Cli::new();
    cli.workflow("ask.toml", QUESTIONS);
    let mut session = cli.session();
    session.milepost("run ask.toml --id a");
    session.milepost("show a");
    session.milepost("approve a --step files[0]/ok --comment good");
    session.milepost("resume a");
    session.milepost("cancel a --step files[1]");
    session.milepost("resume a");
    session.reads(expect![[r#"
        $ milepost run ask.toml --id a
        ! run a: started
        ! fan-out files: 2 items
        ! item files[0]: started
        ! step files[0]/read: started
        ! step files[0]/read: completed in [elapsed]
        ! step files[0]/ok: waits for a decision: Publish A.TXT?
        ! paused: run a after [elapsed], 0 of 1 step
        !   step:   files[0]/ok
        !   reason: waiting_for_approval: `files[0]/ok` asks: Publish A.TXT?
        !   next:   `milepost approve a` or `milepost reject a` decides
        [exit 2]

        $ milepost show a
        run a of ask: paused
          file:   [folder]/ask.toml
          begun:  [time], took [elapsed]
          saved:  [time], [ago]
          step:   files[0]/ok
          reason: waiting_for_approval: `files[0]/ok` asks: Publish A.TXT?
          next:   `milepost approve a` or `milepost reject a` decides
          waits:  files[0]/ok, for a decision: Publish A.TXT?
          approve: milepost approve a --step 'files[0]/ok'
          reject:  milepost reject a --step 'files[0]/ok'

        STEP   STATUS                            ATTEMPTS  ITERATIONS  TOOK  TIMEOUT
        files  running, 0 of 2 items, 1 running
        read   completed, 1 item                                             30m (engine)
        ok     waiting, 0 of 1 item, 1 waiting

        $ milepost approve a --step files[0]/ok --comment good
        `files[0]/ok` of run a is approved; no worker is running: `milepost resume a` continues it

        $ milepost resume a
        ! run a: resumed, 0 completed steps kept
        ! item files[0]: completed
        ! item files[1]: started
        ! step files[1]/read: started
        ! step files[1]/read: completed in [elapsed]
        ! step files[1]/ok: waits for a decision: Publish B.TXT?
        ! paused: run a after [elapsed], 0 of 1 step
        !   step:   files[1]/ok
        !   reason: waiting_for_approval: `files[1]/ok` asks: Publish B.TXT?
        !   next:   `milepost approve a` or `milepost reject a` decides
        [exit 2]

        $ milepost cancel a --step files[1]
        `files[1]` of run a is cancelled; the run is paused

        $ milepost resume a
        ! run a: resumed, 0 completed steps kept
        ! fan-out files: completed, 2 items
        ! completed: run a after [elapsed], 1 of 1 step
        [
          {
            "output": "a.txt: good",
            "status": "completed"
          },
          {
            "error": {
              "class": "cancelled",
              "code": "item_cancelled",
              "message": "cancelled by `milepost cancel`"
            },
            "status": "failed"
          }
        ]
    "#]]);
}
