//! Workflows that start other workflows, as a person sees them.

use expect_test::expect;
use milepost_tests::cli::Cli;

use super::{GATE, HELLO};

const RELEASE: &str = "\
[[step]]
id = \"notes\"
workflow = \"notes/hello.toml\"\nwith = { name = \"Ann\" }

[[step]]
id = \"gate\"
workflow = \"./gate.toml\"
";

/// A release with notes and a gate.
fn release() -> Cli {
    let cli = Cli::new();
    cli.workflow("release.toml", RELEASE);
    cli.workflow("gate.toml", GATE);
    std::fs::create_dir(cli.folder().join("notes")).unwrap();
    cli.workflow("notes/hello.toml", HELLO);
    cli
}

#[test]
fn b366_b368_b442_a_run_shows_its_children_and_what_they_wait_for() {
    let cli = release();
    let mut session = cli.session();
    session.milepost("validate release.toml");
    session.milepost("run release.toml --id r");
    session.milepost("ls");
    session.milepost("ls --flat --limit 2");
    session.milepost("show r");
    session.comment("the child is the one to ask");
    session.milepost("approve r");
    session.milepost("reject r --step gate");
    session.milepost("graph release.toml --run r");
    session.reads(expect![[r#"
        $ milepost validate release.toml
        ok release.toml
        1 file checked, no errors

        $ milepost run release.toml --id r
        ! run r: started
        ! step notes: child run 7kpqw1ptwpdn7ctx4g55
        ! notes: run 7kpqw1ptwpdn7ctx4g55: started
        ! notes: step greet: started
        ! notes: step greet: completed in [elapsed]
        ! step notes: completed
        ! step gate: child run 8886egp0w0aqhzhpagd6
        ! gate: run 8886egp0w0aqhzhpagd6: started
        ! gate: step gate: waits for a decision: Publish?
        ! paused: run r after [elapsed], 1 of 2 steps
        !   step:   gate
        !   reason: waiting_for_child: `gate` waits for its child run 8886egp0w0aqhzhpagd6
        !   next:   the end of 8886egp0w0aqhzhpagd6 continues the run; `milepost show 8886egp0w0aqhzhpagd6` shows how far that is
        !   child:  notes: run 7kpqw1ptwpdn7ctx4g55 is completed
        !   child:  gate: run 8886egp0w0aqhzhpagd6 is paused
        !           `gate` asks: Publish?
        !           `milepost approve 8886egp0w0aqhzhpagd6` or `milepost reject 8886egp0w0aqhzhpagd6` decides
        [exit 2]

        $ milepost ls
        ID                      WORKFLOW     STATUS                         OWNER  STARTED  TOOK       WAITED     UPDATED  NEXT
        r                       release      paused (waiting_for_child)            [ago]    [elapsed]  [elapsed]  [ago]    its child run ends
          7kpqw1ptwpdn7ctx4g55  notes/hello  completed                             [ago]    [elapsed]  [elapsed]  [ago]
          8886egp0w0aqhzhpagd6  gate         paused (waiting_for_approval)         [ago]    [elapsed]  [elapsed]  [ago]    approve or reject

        $ milepost ls --flat --limit 2
        ! 1 older run not shown; `--limit` shows more
        ID                    WORKFLOW     STATUS                         OWNER  STARTED  TOOK       WAITED     UPDATED  NEXT
        8886egp0w0aqhzhpagd6  gate         paused (waiting_for_approval)         [ago]    [elapsed]  [elapsed]  [ago]    approve or reject
        7kpqw1ptwpdn7ctx4g55  notes/hello  completed                             [ago]    [elapsed]  [elapsed]  [ago]

        $ milepost show r
        run r of release: paused
          file:   [folder]/release.toml
          begun:  [time], took [elapsed]
          saved:  [time], [ago]
          step:   gate
          reason: waiting_for_child: `gate` waits for its child run 8886egp0w0aqhzhpagd6
          next:   the end of 8886egp0w0aqhzhpagd6 continues the run; `milepost show 8886egp0w0aqhzhpagd6` shows how far that is
          runs:   1 paused, 1 completed
          child:  notes: run 7kpqw1ptwpdn7ctx4g55 is completed
          child:  gate: run 8886egp0w0aqhzhpagd6 is paused
                  `gate` asks: Publish?
                  `milepost approve 8886egp0w0aqhzhpagd6` or `milepost reject 8886egp0w0aqhzhpagd6` decides

        STEP   STATUS     ATTEMPTS  ITERATIONS  TOOK       TIMEOUT
        notes  completed  1                     [elapsed]
        gate   waiting    1

        # the child is the one to ask

        $ milepost approve r
        ! error: run `r` waits at `gate` for its child run `8886egp0w0aqhzhpagd6`, which is the one to ask
        !   help: `milepost approve 8886egp0w0aqhzhpagd6` or `milepost reject 8886egp0w0aqhzhpagd6` decides there
        [exit 65]

        $ milepost reject r --step gate
        ! error: run `r` waits at `gate` for its child run `8886egp0w0aqhzhpagd6`, which is the one to ask
        !   help: `milepost approve 8886egp0w0aqhzhpagd6` or `milepost reject 8886egp0w0aqhzhpagd6` decides there
        [exit 65]

        $ milepost graph release.toml --run r
        release, run r: paused
          ✓ notes: child run of notes/hello.toml (completed in [elapsed])
          ◷ gate: child run of ./gate.toml (waiting for the run 8886egp0w0aqhzhpagd6)
    "#]]);
}

#[test]
fn b366_b442_what_a_child_waited_for_moves_its_parent_on() {
    let cli = release();
    cli.run("run release.toml --id r").expect(2);
    let gate = cli.run("ls --flat --json").expect(0).json();
    let gate = gate.as_array().unwrap().iter();
    let gate = gate
        .filter(|row| row["workflow"] == "gate")
        .map(|row| row["id"].as_str().unwrap());
    let gate = gate.collect::<Vec<_>>().join(" ");
    let mut session = cli.session();
    session.milepost(&format!("approve {gate}"));
    session.milepost("resume r");
    session.milepost("events r");
    session.milepost("show r");
    session.milepost("replay r");
    session.document(
        "show r",
        &["/children", "/parent", "/steps/1/child", "/steps/1/status"],
    );
    session.document(&format!("show {gate}"), &["/parent", "/steps/0/child"]);
    session.document(
        "replay r",
        &[
            "/attempts",
            "/children/0/attempts",
            "/children/1/divergence",
        ],
    );
    session.milepost("doctor");
    session.reads(expect![[r#"
        $ milepost approve 8886egp0w0aqhzhpagd6
        `gate` of run 8886egp0w0aqhzhpagd6 is approved; no worker is running: `milepost resume 8886egp0w0aqhzhpagd6` continues it

        $ milepost resume r
        ! run r: resumed, 1 completed step kept
        ! 8886egp0w0aqhzhpagd6: run 8886egp0w0aqhzhpagd6: resumed, 1 completed step kept
        ! 8886egp0w0aqhzhpagd6: step after: started
        ! 8886egp0w0aqhzhpagd6: step after: completed in [elapsed]
        ! step gate: completed
        ! completed: run r after [elapsed], 2 of 2 steps

        $ milepost events r
            1 [time] run_created release from [folder]/release.toml
            2 [time] run_claimed by process [pid] on [host]
            3 [time] wait_started notes, for the child run 7kpqw1ptwpdn7ctx4g55
            4 [time] run_paused notes: waiting_for_child: `notes` waits for its child run 7kpqw1ptwpdn7ctx4g55
            5 [time] child_ended notes, 7kpqw1ptwpdn7ctx4g55 completed, 13 bytes
            6 [time] run_resumed: 1 completed step kept
            7 [time] run_claimed by process [pid] on [host]
            8 [time] wait_started gate, for the child run 8886egp0w0aqhzhpagd6
            9 [time] run_paused gate: waiting_for_child: `gate` waits for its child run 8886egp0w0aqhzhpagd6
           10 [time] run_resumed: 1 completed step kept
           11 [time] run_claimed by process [pid] on [host]
           12 [time] run_paused gate: waiting_for_child: `gate` waits for its child run 8886egp0w0aqhzhpagd6
           13 [time] child_ended gate, 8886egp0w0aqhzhpagd6 completed, 2 bytes
           14 [time] run_resumed: 2 completed steps kept
           15 [time] run_claimed by process [pid] on [host]
           16 [time] run_completed, 2 bytes

        $ milepost show r
        run r of release: completed
          file:   [folder]/release.toml
          begun:  [time], took [elapsed]
          saved:  [time], [ago]
          runs:   2 completed; all have ended
          child:  notes: run 7kpqw1ptwpdn7ctx4g55 is completed
          child:  gate: run 8886egp0w0aqhzhpagd6 is completed

        STEP   STATUS     ATTEMPTS  ITERATIONS  TOOK       TIMEOUT
        notes  completed  1                     [elapsed]
        gate   completed  1                     [elapsed]

        output

        $ milepost replay r
        same as recorded: 16 events, 0 attempts
        child run 7kpqw1ptwpdn7ctx4g55:
        same as recorded: 5 events, 1 attempt
        child run 8886egp0w0aqhzhpagd6:
        same as recorded: 10 events, 1 attempt

        $ milepost show r --json
        /children: {"completed":2}
        /parent is missing
        /steps/1/child: {"id":"8886egp0w0aqhzhpagd6","status":"completed"}
        /steps/1/status: "completed"

        $ milepost show 8886egp0w0aqhzhpagd6 --json
        /parent: {"path":"gate","run":"r"}
        /steps/0/child is missing

        $ milepost replay r --json
        /attempts: 0
        /children/0/attempts: 1
        /children/1/divergence: null

        $ milepost doctor
        store .milepost, version [version]
          size: [size] (0 bytes unused) and 0 bytes of log, [size] free on its disk
          runs: 3 completed
        no problems found
    "#]]);
}

#[test]
fn b369_a_cancellation_tells_of_the_runs_around_it() {
    let cli = release();
    cli.run("run release.toml --id r").expect(2);
    cli.run("run release.toml --id s").expect(2);
    let gate = cli.shown("s")["steps"][1]["child"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut session = cli.session();
    session.milepost("cancel r");
    session.milepost("ls");
    session.milepost(&format!("cancel {gate}"));
    session.milepost("work --until-idle");
    session.milepost("show s");
    session.milepost("gc --older-than 0s --status cancelled");
    session.reads(expect![[r#"
        $ milepost cancel r
        ! 1 child run cancelled
        run r is cancelled

        $ milepost ls
        ID                      WORKFLOW     STATUS                         OWNER  STARTED  TOOK       WAITED     UPDATED  NEXT
        s                       release      paused (waiting_for_child)            [ago]    [elapsed]  [elapsed]  [ago]    its child run ends
          hers520zyhwg92hkagy2  notes/hello  completed                             [ago]    [elapsed]  [elapsed]  [ago]
          23ff44x9z0wsa73qzyn7  gate         paused (waiting_for_approval)         [ago]    [elapsed]  [elapsed]  [ago]    approve or reject
        r                       release      cancelled                             [ago]    [elapsed]  [elapsed]  [ago]
          7kpqw1ptwpdn7ctx4g55  notes/hello  completed                             [ago]    [elapsed]  [elapsed]  [ago]
          8886egp0w0aqhzhpagd6  gate         cancelled                             [ago]    [elapsed]  [elapsed]  [ago]

        $ milepost cancel 23ff44x9z0wsa73qzyn7
        ! warning: run s waits at gate for this run, and goes on as after a failure of that step: `milepost show s`
        run 23ff44x9z0wsa73qzyn7 is cancelled

        $ milepost work --until-idle
        ! working on .milepost, up to 4 runs at once
        ! run s: failed: step_failed: `gate` failed (child_cancelled): the child run `23ff44x9z0wsa73qzyn7` was cancelled by `milepost cancel`
        1 run taken: 1 failed

        $ milepost show s
        run s of release: failed
          file:   [folder]/release.toml
          begun:  [time], took [elapsed]
          saved:  [time], [ago]
          next:   nothing by itself; fix the cause, then `milepost resume s` runs the failed steps again
          runs:   1 completed, 1 cancelled; all have ended
          child:  notes: run hers520zyhwg92hkagy2 is completed
          child:  gate: run 23ff44x9z0wsa73qzyn7 is cancelled

        STEP   STATUS     ATTEMPTS  ITERATIONS  TOOK       TIMEOUT
        notes  completed  1                     [elapsed]
        gate   failed     1                     [elapsed]

        gate: child_cancelled: the child run `23ff44x9z0wsa73qzyn7` was cancelled by `milepost cancel`

        $ milepost gc --older-than 0s --status cancelled
        0 runs removed
    "#]]);
}

#[test]
fn b367_what_is_wrong_with_a_child_is_shown_where_it_is_named() {
    let cli = Cli::new();
    let step = |file: &str| format!("[[step]]\nid = \"s\"\nworkflow = \"{file}\"\n");
    cli.workflow("a.toml", &step("b.toml"));
    cli.workflow("b.toml", &step("a.toml"));
    cli.workflow("gone.toml", &step("nowhere.toml"));
    cli.workflow("bad.toml", "[[step]]\nid = \"s\"\nuse = \"nobody/x\"\n");
    cli.workflow("over.toml", &step("bad.toml"));
    cli.workflow("hello.toml", HELLO);
    cli.workflow(
        "with.toml",
        "[[step]]\nid = \"s\"\nworkflow = \"hello.toml\"\nwith = { nam = \"Ann\" }\n",
    );
    let mut session = cli.session();
    session.milepost("run a.toml");
    session.milepost("validate gone.toml over.toml with.toml");
    session.reads(expect![[r#"
        $ milepost run a.toml
        ! error[MP0233]: the child workflow `b.toml` would start itself without end: `a.toml` -> `b.toml` -> `a.toml`
        !  --> a.toml:7:12
        !   |
        ! 7 | workflow = "b.toml"
        !   |            ^^^^^^^^
        !   |
        !   = help: for work that is repeated, use a loop
        [exit 65]

        $ milepost validate gone.toml over.toml with.toml
        error[MP0231]: the child workflow `nowhere.toml` cannot be read: No such file or directory (os error 2)
         --> gone.toml:7:12
          |
        7 | workflow = "nowhere.toml"
          |            ^^^^^^^^^^^^^^
          |
          = help: the file is looked for relative to this one
        error[MP0232]: the child workflow `bad.toml` cannot be used
         --> over.toml:7:12
          |
        7 | workflow = "bad.toml"
          |            ^^^^^^^^^^
          |
          = help: bad.toml:7:7: there is no plugin `nobody`
        error[MP0501]: the step needs `name`
         --> with.toml:8:1
          |
        8 | with = { nam = "Ann" }
          | ^^^^

        error[MP0502]: the step has no input `nam`
         --> with.toml:8:10
          |
        8 | with = { nam = "Ann" }
          |          ^^^
          |
          = help: did you mean `name`?
        3 files checked, 3 with errors
        [exit 65]
    "#]]);
}

/// A gate for each of two packages, one after the other, so that a session reads the same every time.
const GATES: &str = "\
[[step]]
id = \"packages\"
workflow = \"gate.toml\"
foreach = { items = \"['core', 'cli']\", max_parallel = 1, join = \"all_done\" }
";

#[test]
fn the_child_run_of_every_item_is_shown_and_an_item_is_cancelled_with_it() {
    let cli = release();
    cli.workflow("all.toml", GATES);
    let mut session = cli.session();
    session.milepost("graph all.toml");
    session.milepost("run all.toml --id a");
    session.milepost("ls");
    session.milepost("approve a --step packages[0]");
    session.milepost("cancel a --step packages[0]");
    session.milepost("resume a");
    session.milepost("show a");
    session.document("show a", &["/children", "/steps/0/items/open/0/child"]);
    session.milepost("cancel a");
    session.milepost("ls");
    session.reads(expect![[r#"
        $ milepost graph all.toml
        all
          packages: child run of gate.toml for each of ['core', 'cli'], 1 at a time, whatever comes of them

        $ milepost run all.toml --id a
        ! run a: started
        ! fan-out packages: 2 items
        ! step packages[0]: child run 9wwf316wv6yhs8b3xtxe
        ! packages[0]: run 9wwf316wv6yhs8b3xtxe: started
        ! packages[0]: step gate: waits for a decision: Publish?
        ! paused: run a after [elapsed], 0 of 1 step
        !   step:   packages[0]
        !   reason: waiting_for_child: `packages[0]` waits for its child run 9wwf316wv6yhs8b3xtxe
        !   next:   the end of 9wwf316wv6yhs8b3xtxe continues the run; `milepost show 9wwf316wv6yhs8b3xtxe` shows how far that is
        !   child:  packages[0]: run 9wwf316wv6yhs8b3xtxe is paused
        !           `gate` asks: Publish?
        !           `milepost approve 9wwf316wv6yhs8b3xtxe` or `milepost reject 9wwf316wv6yhs8b3xtxe` decides
        [exit 2]

        $ milepost ls
        ID                      WORKFLOW  STATUS                         OWNER  STARTED  TOOK       WAITED     UPDATED  NEXT
        a                       all       paused (waiting_for_child)            [ago]    [elapsed]  [elapsed]  [ago]    its child run ends
          9wwf316wv6yhs8b3xtxe  gate      paused (waiting_for_approval)         [ago]    [elapsed]  [elapsed]  [ago]    approve or reject

        $ milepost approve a --step packages[0]
        ! error: run `a` waits at `packages[0]` for its child run `9wwf316wv6yhs8b3xtxe`, which is the one to ask
        !   help: `milepost approve 9wwf316wv6yhs8b3xtxe` or `milepost reject 9wwf316wv6yhs8b3xtxe` decides there
        [exit 65]

        $ milepost cancel a --step packages[0]
        `packages[0]` of run a is cancelled; the run is paused

        $ milepost resume a
        ! run a: resumed, 0 completed steps kept
        ! step packages[1]: child run wb1md2s0qswzbv2zkthk
        ! packages[1]: run wb1md2s0qswzbv2zkthk: started
        ! packages[1]: step gate: waits for a decision: Publish?
        ! paused: run a after [elapsed], 0 of 1 step
        !   step:   packages[1]
        !   reason: waiting_for_child: `packages[1]` waits for its child run wb1md2s0qswzbv2zkthk
        !   next:   the end of wb1md2s0qswzbv2zkthk continues the run; `milepost show wb1md2s0qswzbv2zkthk` shows how far that is
        !   child:  packages[1]: run wb1md2s0qswzbv2zkthk is paused
        !           `gate` asks: Publish?
        !           `milepost approve wb1md2s0qswzbv2zkthk` or `milepost reject wb1md2s0qswzbv2zkthk` decides
        [exit 2]

        $ milepost show a
        run a of all: paused
          file:   [folder]/all.toml
          begun:  [time], took [elapsed]
          saved:  [time], [ago]
          step:   packages[1]
          reason: waiting_for_child: `packages[1]` waits for its child run wb1md2s0qswzbv2zkthk
          next:   the end of wb1md2s0qswzbv2zkthk continues the run; `milepost show wb1md2s0qswzbv2zkthk` shows how far that is
          runs:   1 paused, 1 cancelled
          child:  packages[1]: run wb1md2s0qswzbv2zkthk is paused
                  `gate` asks: Publish?
                  `milepost approve wb1md2s0qswzbv2zkthk` or `milepost reject wb1md2s0qswzbv2zkthk` decides

        STEP      STATUS                                         ATTEMPTS  ITERATIONS  TOOK  TIMEOUT
        packages  running, 1 of 2 items, 1 cancelled, 1 waiting

        $ milepost show a --json
        /children: {"cancelled":1,"paused":1}
        /steps/0/items/open/0/child: {"id":"wb1md2s0qswzbv2zkthk","status":"paused","stop":{"code":"waiting_for_approval","due_at":null,"message":"`gate` asks: Publish?","next":"`milepost approve wb1md2s0qswzbv2zkthk` or `milepost reject wb1md2s0qswzbv2zkthk` decides","path":"gate","provider":null}}

        $ milepost cancel a
        ! 1 child run cancelled
        run a is cancelled

        $ milepost ls
        ID                      WORKFLOW  STATUS     OWNER  STARTED  TOOK       WAITED     UPDATED  NEXT
        a                       all       cancelled         [ago]    [elapsed]  [elapsed]  [ago]
          9wwf316wv6yhs8b3xtxe  gate      cancelled         [ago]    [elapsed]  [elapsed]  [ago]
          wb1md2s0qswzbv2zkthk  gate      cancelled         [ago]    [elapsed]  [elapsed]  [ago]
    "#]]);
}
