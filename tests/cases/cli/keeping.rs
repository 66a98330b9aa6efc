//! Keeping a store in order: `gc` and `doctor`.

use expect_test::expect;
use milepost_tests::cli::Cli;
use rusqlite::Connection;
use serde_json::json;

use super::{ids, spinning, stopped};

/// One run of every status that nobody has to drive, the oldest first.
fn store() -> Cli {
    let cli = stopped();
    cli.run("submit hello.toml --input name=x --id gone")
        .expect(0);
    cli.run("cancel gone").expect(0);
    cli.run("submit hello.toml --input name=x --id new")
        .expect(0);
    cli
}

#[test]
fn b296_only_runs_that_are_over_and_old_are_removed() {
    let cli = store();
    let young = cli.run("gc --json").expect(0).json();
    assert_eq!(young["runs"], json!([]), "30 days is the default");
    let mut session = cli.session();
    session.milepost("gc --older-than 0s --dry-run");
    session.document("gc --older-than 0s --dry-run", &["/runs", "/dry_run"]);
    assert_eq!(ids(&cli, "ls --json").len(), 5, "nothing was removed yet");
    session.milepost("gc --older-than 0s");
    assert_eq!(ids(&cli, "ls --json"), ["new", "nap", "bad"]);
    session.milepost("show done");
    session.document("gc --older-than 0s --status failed", &["/runs", "/kept"]);
    assert_eq!(ids(&cli, "ls --json"), ["new", "nap"]);
    cli.run("doctor").expect(0);
    session.reads(expect![[r#"
        $ milepost gc --older-than 0s --dry-run
        2 runs would be removed
          done
          gone

        $ milepost gc --older-than 0s --dry-run --json
        /runs: ["done","gone"]
        /dry_run: true

        $ milepost gc --older-than 0s
        2 runs removed

        $ milepost show done
        ! error: no run begins with `done` (store: .milepost)
        !   help: `milepost ls` lists the runs
        [exit 65]

        $ milepost gc --older-than 0s --status failed --json
        /runs: ["bad"]
        /kept: []
    "#]]);
}

#[test]
fn b296_a_run_that_is_not_over_has_to_be_cancelled_first() {
    let cli = store();
    let mut session = cli.session();
    for option in [
        "--older-than 0s --status paused",
        "--older-than 0s --status pending",
        "--older-than 0s --status running",
        "--older-than 30",
        "--older-than -1d",
        "--older-than 1.5h",
        "--status sleeping",
    ] {
        session.milepost(&format!("gc {option}"));
    }
    session.reads(expect![[r#"
        $ milepost gc --older-than 0s --status paused
        ! error: invalid value 'paused' for '--status <STATUS>': a paused run has not ended; cancel it first (`milepost cancel`)
        !
        ! For more information, try '--help'.
        [exit 64]

        $ milepost gc --older-than 0s --status pending
        ! error: invalid value 'pending' for '--status <STATUS>': a pending run has not ended; cancel it first (`milepost cancel`)
        !
        ! For more information, try '--help'.
        [exit 64]

        $ milepost gc --older-than 0s --status running
        ! error: invalid value 'running' for '--status <STATUS>': a running run has not ended; cancel it first (`milepost cancel`)
        !
        ! For more information, try '--help'.
        [exit 64]

        $ milepost gc --older-than 30
        ! error: invalid value '30' for '--older-than <DURATION>': `30` is not a duration; write a whole number and one of ms, s, m, h, d, such as "250ms", "30s" or "5m"
        !
        ! For more information, try '--help'.
        [exit 64]

        $ milepost gc --older-than -1d
        ! error: unexpected argument '-1' found
        !
        ! Usage: milepost gc [OPTIONS]
        !
        ! For more information, try '--help'.
        [exit 64]

        $ milepost gc --older-than 1.5h
        ! error: invalid value '1.5h' for '--older-than <DURATION>': `1.5h` is not a duration; write a whole number and one of ms, s, m, h, d, such as "250ms", "30s" or "5m"
        !
        ! For more information, try '--help'.
        [exit 64]

        $ milepost gc --status sleeping
        ! error: invalid value 'sleeping' for '--status <STATUS>': choose one of completed, cancelled, failed
        !
        ! For more information, try '--help'.
        [exit 64]
    "#]]);
    assert_eq!(ids(&cli, "ls --json").len(), 5);
}

const BIG: &str = r#"
[inputs.s]
type = "string"
[[step]]
id = "a"
use = "text/echo"
with = { s = "${ inputs.s }" }
"#;

/// The database after three large runs have come and gone; `fresh` says whether it was made by this version.
fn emptied(fresh: bool) -> Cli {
    let cli = Cli::new();
    cli.workflow("big.toml", BIG);
    cli.workflow("hello.toml", super::HELLO);
    cli.run("run hello.toml --input name=x --id kept").expect(0);
    if !fresh {
        let db = Connection::open(cli.database()).unwrap();
        db.execute_batch("PRAGMA journal_mode = DELETE; PRAGMA auto_vacuum = NONE; VACUUM")
            .unwrap();
    }
    for n in 0..3_u8 {
        cli.write("s.txt", char::from(b'a' + n).to_string().repeat(1_500_000));
        cli.run(&format!("run big.toml --input s=@s.txt --id big{n}"))
            .expect(0);
        let db = Connection::open(cli.database()).unwrap();
        db.execute(
            "UPDATE run SET created_at = 1, updated_at = 1 WHERE id LIKE 'big%'",
            (),
        )
        .unwrap();
    }
    cli
}

fn size(cli: &Cli) -> u64 {
    std::fs::metadata(cli.database()).unwrap().len()
}

#[test]
fn what_removed_runs_took_is_given_back_to_the_disk() {
    let cli = emptied(true);
    let before = size(&cli);
    assert!(before > 4_000_000, "{before}");
    let mut session = cli.session();
    session.milepost("gc");
    session.reads(expect![[r#"
        $ milepost gc
        3 runs removed
        [size] returned to the disk
    "#]]);
    assert!(size(&cli) < before / 10, "{} of {before}", size(&cli));
    let well = cli.run("doctor --json").expect(0).json();
    assert_eq!(
        (&well["findings"], &well["store"]["unused_bytes"]),
        (&json!([]), &json!(0))
    );
}

#[test]
fn a_file_that_keeps_its_room_says_so_and_how_to_get_it_back() {
    let cli = emptied(false);
    let before = size(&cli);
    let mut session = cli.session();
    session.milepost("gc");
    session.milepost("gc --dry-run");
    session.milepost("doctor");
    session.document("doctor", &["/findings/0/severity"]);
    session.reads(expect![[r#"
        $ milepost gc
        3 runs removed
        [size] of the file's [size] are unused; `milepost gc --compact` returns them to the disk

        $ milepost gc --dry-run
        0 runs would be removed
        [size] of the file's [size] are unused; `milepost gc --compact` returns them to the disk

        $ milepost doctor
        store .milepost, version [version]
          size: [size] ([size] unused) and 0 bytes of log, [size] free on its disk
          runs: 1 completed
        note: [size] of the file's [size] are unused
          `milepost gc --compact` rewrites the file and returns the space to the disk

        $ milepost doctor --json
        /findings/0/severity: "note"
    "#]]);
    let compacted = cli.run("gc --compact --json").expect(0).json();
    assert!(
        compacted["given_back_bytes"].as_u64().unwrap() > before / 2,
        "{compacted:#}"
    );
    assert_eq!(compacted["unused_bytes"], 0);
    assert!(size(&cli) < before / 10, "{} of {before}", size(&cli));
    assert_eq!(
        cli.run("doctor --json").expect(0).json()["findings"],
        json!([])
    );
    assert_eq!(cli.shown("kept")["status"], "completed");
}

#[test]
fn a_store_without_problems_is_well() {
    let cli = store();
    let mut session = cli.session();
    session.milepost("doctor");
    session.document("doctor", &["/ok", "/folder", "/store/runs", "/findings"]);
    session.reads(expect![[r#"
        $ milepost doctor
        store .milepost, version [version]
          size: [size] (0 bytes unused) and 0 bytes of log, [size] free on its disk
          runs: 1 pending, 1 paused, 1 completed, 1 failed, 1 cancelled
        no problems found

        $ milepost doctor --json
        /ok: true
        /folder: ".milepost"
        /store/runs: {"cancelled":1,"completed":1,"failed":1,"paused":1,"pending":1}
        /findings: []
    "#]]);
    let seen = cli.run("doctor --json").expect(0).json();
    assert!(
        seen["store"]["version"].is_u64() && seen["store"]["bytes"].is_u64(),
        "{seen:#}"
    );
    let none = Cli::new();
    let mut session = none.session();
    session.milepost("doctor");
    session.document("doctor", &["/error/code"]);
    session.reads(expect![[r#"
        $ milepost doctor
        ! error: there is no store in .milepost
        !   help: the first `milepost run` creates it; `--store` or MILEPOST_STORE names another folder
        [exit 69]

        $ milepost doctor --json
        /error/code: "no_store"
        [exit 69]
    "#]]);
}

#[test]
fn damage_is_a_problem_and_a_lost_process_is_a_warning() {
    let cli = store();
    let running = spinning(&cli);
    cli.run("doctor").expect(0);
    running.signal("KILL");
    running.wait().expect(128 + 9);
    let mut session = cli.session();
    session.comment("kill -9");
    session.milepost("doctor");
    let first = [
        "/findings/0/severity",
        "/findings/0/run",
        "/findings/0/part",
    ];
    session.document("doctor", &first);

    let db = Connection::open(cli.database()).unwrap();
    let removed = db.execute(
        "DELETE FROM journal WHERE seq = 2 AND run = (SELECT key FROM run WHERE id = 'done')",
        (),
    );
    assert_eq!(removed.unwrap(), 1);
    session.comment("an event is lost; the gravest comes first");
    session.milepost("doctor");
    session.document("doctor", &first);
    session.reads(expect![[r##"
        # kill -9

        $ milepost doctor
        store .milepost, version [version]
          size: [size] (0 bytes unused) and [size] of log, [size] free on its disk
          runs: 1 pending, 1 running, 1 paused, 1 completed, 1 failed, 1 cancelled
        warning: run spin: its owner, process [pid] on [host], is gone
          a worker (`milepost work`) or `milepost resume spin` takes the run over

        $ milepost doctor --json
        /findings/0/severity: "warning"
        /findings/0/run: "spin"
        /findings/0/part is missing

        # an event is lost; the gravest comes first

        $ milepost doctor
        store .milepost, version [version]
          size: [size] (0 bytes unused) and [size] of log, [size] free on its disk
          runs: 1 pending, 1 running, 1 paused, 1 completed, 1 failed, 1 cancelled
        problem: run done: event 2: it is missing
          other runs are not affected; keep a copy of the store, then restore a backup, or start the workflow again as a new run
        warning: run spin: its owner, process [pid] on [host], is gone
          a worker (`milepost work`) or `milepost resume spin` takes the run over
        [exit 1]

        $ milepost doctor --json
        /findings/0/severity: "problem"
        /findings/0/run: "done"
        /findings/0/part: "event 2"
        [exit 1]
    "##]]);
}

/// Passes that leave many events, and one output that is a blob.
const LONG: &str = r#"
[[step]]
id = "again"
loop = { until = "false", max_iterations = 700, on_exhausted = "continue" }
[[step]]
id = "never"
in = "again"
if = "false"
use = "text/upper"
with = { text = "a" }
[[step]]
id = "big"
use = "text/upper"
with = { text = "${ inputs.s }" }
[inputs.s]
type = "string"
"#;

/// A process that dies while it removes a run with much leaves nothing of it to be seen, and the next one goes on.
#[test]
fn a_large_run_is_removed_in_pieces_and_is_gone_with_the_first() {
    let cli = Cli::new();
    cli.workflow("long.toml", LONG);
    cli.workflow("hello.toml", super::HELLO);
    cli.write("s.txt", "x".repeat(100_000));
    cli.run("run hello.toml --input name=x --id kept").expect(0);
    let submit = "submit long.toml --input s=@s.txt --id long";
    cli.run(submit).expect(0);
    cli.run("work --until-idle").expect(0);
    assert!(cli.shown("long")["events"].as_u64().unwrap() > 2_000);
    let db = Connection::open(cli.database()).unwrap();
    let count = |table: &str| -> i64 {
        let sql = format!("SELECT count(*) FROM {table}");
        db.query_row(&sql, [], |row| row.get(0)).unwrap()
    };
    db.execute(
        "UPDATE run SET updated_at = 1, created_at = 1 WHERE id = 'long'",
        (),
    )
    .unwrap();
    let before = count("journal");
    let mut dying = cli.command("gc");
    dying.env("MILEPOST_FAULT", "removal:1");
    assert!(!dying.output().unwrap().status.success());
    let left = count("journal");
    assert!(0 < left && left < before - 500, "{left} of {before}");

    assert_eq!(ids(&cli, "ls --json"), ["kept"]);
    for verb in [
        "show long",
        "events long",
        "logs long",
        "resume long",
        "replay long",
    ] {
        let unknown = cli.run(&format!("{verb} --json")).expect(65).json();
        assert_eq!(unknown["error"]["code"], "run_not_found", "{verb}");
    }
    let seen = cli.run("doctor --json").expect(0).json();
    assert_eq!(seen["findings"], json!([]));
    assert_eq!(seen["store"]["runs"], json!({ "completed": 1 }));
    // Its id is free, and what takes it is another run.
    cli.run(submit).expect(0);
    cli.run("gc").expect(0);
    assert_eq!(count("run"), 2);
    assert_eq!(cli.shown("long")["status"], "pending");
    assert!(count("journal") < 20);
    cli.run("work --until-idle").expect(0);
    assert_eq!(cli.shown("long")["output"]["text"], "X".repeat(100_000));
    cli.run("doctor").expect(0);
    assert_eq!(cli.shown("kept")["status"], "completed");
}
