//! A run whose row says something else than its checkpoint, or takes no change, is an error of that run: told at once, by every
//! verb, and in nobody's way.

use expect_test::expect;
use milepost_tests::cli::Cli;
use rusqlite::Connection;
use serde_json::json;

use super::ASKS;

const NOTHING: &str = "[[step]]\nid = \"nap\"\nwait = { for = \"1ms\" }\n";

fn edit(cli: &Cli, sql: &str) {
    let db = Connection::open(cli.database()).unwrap();
    db.execute_batch(sql).unwrap();
}

/// Whatever does not end by itself fails the test instead of holding it up.
fn bounded(cli: &Cli, line: &str) -> milepost_tests::cli::Output {
    cli.shell(&format!("timeout -s KILL 120 milepost {line}"))
}

const VERBS: [&str; 9] = [
    "approve",
    "reject",
    "cancel",
    "kill",
    "pause",
    "pause --now",
    "resume",
    "retry",
    "show",
];

#[test]
fn a_row_that_contradicts_its_checkpoint_is_an_error_of_its_run_for_every_verb() {
    for (verb, id, column, value, is_work) in [
        ("run", "x1", "id", "x1", false),
        ("run", "r", "status", "pending", true),
        ("run", "r", "status", "running", true),
        ("run", "r", "status", "completed", false),
        ("run", "r", "status", "failed", false),
        ("run", "r", "status", "cancelled", false),
        ("submit", "x1", "id", "x1", true),
        ("submit", "r", "status", "paused", false),
        ("submit", "r", "status", "completed", false),
    ] {
        let case = format!("{verb}: {column} {value}");
        let cli = Cli::new();
        cli.workflow("asks.toml", ASKS);
        cli.workflow("nothing.toml", NOTHING);
        cli.run(&format!("{verb} asks.toml --id r"));
        edit(&cli, &format!("UPDATE run SET {column} = '{value}'"));
        let verbs = VERBS.map(|verb| format!("{verb} {id}"));
        for line in verbs.iter().chain([&format!("signal {id} go")]) {
            let told = bounded(&cli, &format!("{line} --json"));
            assert_eq!(told.status, 69, "{case}: {line}: {told:#?}");
            let error = &told.json()["error"];
            assert_eq!(error["code"], "damaged_record", "{case}: {line}: {error:#}");
            let (message, help) = (error["message"].to_string(), error["help"].to_string());
            let says =
                format!("run `{id}` cannot be read back: the run's row has the {column} `{value}`");
            assert!(message.contains(&says), "{case}: {line}: {message}");
            assert!(help.contains("`milepost doctor`"), "{case}: {line}: {help}");
        }
        let found = cli.run("doctor --json").expect(1).json();
        let part = format!("column {column}");
        let told = found["findings"].as_array().unwrap().iter();
        let told = told.filter(|found| found["run"] == id && found["part"] == json!(part));
        assert_eq!(told.count(), 1, "{case}: {found:#}");
        // It is told once, and others go on.
        cli.run("submit nothing.toml --id other").expect(0);
        let worked = bounded(&cli, "work --until-idle").expect(0);
        assert_eq!(cli.shown("other")["status"], "completed", "{case}");
        let warned = worked.stderr.matches("cannot be read back").count();
        assert_eq!(warned, usize::from(is_work), "{case}: {worked:#?}");
    }
}

#[test]
fn what_contradicts_itself_is_told_to_people() {
    let cli = Cli::new();
    cli.workflow("asks.toml", ASKS);
    cli.run("run asks.toml --id r").expect(2);
    edit(&cli, "UPDATE run SET status = 'pending'");
    let mut session = cli.session();
    session.milepost("show r");
    session.milepost("doctor");
    session.milepost("work --until-idle");
    session.reads(expect![[r#"
        $ milepost show r
        ! error: run `r` cannot be read back: the run's row has the status `pending`, the checkpoint `paused`
        !   help: `milepost doctor` lists all damage; the record is left as it is: restore the store from a backup, or start a new run
        [exit 69]

        $ milepost doctor
        store .milepost, version [version]
          size: [size] (0 bytes unused) and 0 bytes of log, [size] free on its disk
          runs: 1 pending
        problem: run r: column status: it is pending, but paused according to the journal
          other runs are not affected; keep a copy of the store, then restore a backup, or start the workflow again as a new run
        [exit 1]

        $ milepost work --until-idle
        ! working on .milepost, up to 4 runs at once
        ! warning: run r cannot be read back: the run's row has the status `pending`, the checkpoint `paused`
        1 run taken: 1 could not start
    "#]]);
}

#[test]
fn a_run_that_takes_no_change_is_not_tried_for_ever() {
    let cli = Cli::new();
    cli.workflow("asks.toml", ASKS);
    cli.run("run asks.toml --id r").expect(2);
    edit(
        &cli,
        "CREATE TRIGGER stuck BEFORE UPDATE ON run BEGIN SELECT RAISE(IGNORE); END",
    );
    let mut session = cli.session();
    for verb in ["approve", "reject", "cancel", "kill", "pause"] {
        let line = format!("{verb} r");
        session.ended(&format!("milepost {line}"), &bounded(&cli, &line));
    }
    session.reads(expect![[r#"
        $ milepost approve r
        ! error: stored data is corrupted: run `r` cannot be changed although no process drives it
        !   help: `milepost doctor` lists all damage; restore the store from a backup, or name another one with `--store`
        [exit 69]

        $ milepost reject r
        ! error: stored data is corrupted: run `r` cannot be changed although no process drives it
        !   help: `milepost doctor` lists all damage; restore the store from a backup, or name another one with `--store`
        [exit 69]

        $ milepost cancel r
        ! error: stored data is corrupted: run `r` cannot be changed although no process drives it
        !   help: `milepost doctor` lists all damage; restore the store from a backup, or name another one with `--store`
        [exit 69]

        $ milepost kill r
        ! error: stored data is corrupted: run `r` cannot be changed although no process drives it
        !   help: `milepost doctor` lists all damage; restore the store from a backup, or name another one with `--store`
        [exit 69]

        $ milepost pause r
        ! error: stored data is corrupted: run `r` cannot be changed although no process drives it
        !   help: `milepost doctor` lists all damage; restore the store from a backup, or name another one with `--store`
        [exit 69]
    "#]]);
}
