//! Where the store is, and what can be done with one that can only be read.

use std::fs;

use rusqlite::Connection;

use super::{spinning, stopped};

const READING: [&str; 7] = [
    "ls",
    "show done",
    "events done",
    "logs done",
    "replay done",
    "doctor",
    "gc --older-than 0s --dry-run",
];

#[test]
fn an_empty_variable_counts_as_unset() {
    let cli = stopped();
    let with = |line: &str, name: &str| {
        let output = cli.command(line).env(name, "").output().unwrap();
        milepost_tests::cli::Output::of(output)
    };
    for name in ["MILEPOST_STORE", "MILEPOST_CACHE", "NO_COLOR", "TERM"] {
        with("validate hello.toml", name).expect(0);
        with("explain MP0101", name).expect(0);
        with("run hello.toml --input name=x --store here", name).expect(0);
        with("show done", name).expect(0);
    }
    assert!(cli.folder().join("here/milepost.db").exists());
    // One that is set is heard, and the command line is heard first.
    let set = |line: &str| cli.command(line).env("MILEPOST_STORE", "here").output();
    let rows = |line: &str| {
        let output = milepost_tests::cli::Output::of(set(line).unwrap()).expect(0);
        output.json().as_array().map(Vec::len)
    };
    assert_eq!(
        (rows("ls --json"), rows("ls --json --store .milepost")),
        (Some(4), Some(3))
    );
}

/// A folder that takes no log beside the database, as one on a medium that cannot be written to.
#[cfg(unix)]
#[test]
fn a_store_that_can_only_be_read_is_read() {
    let cli = stopped();
    let log = cli.folder().join(".milepost/milepost.db-wal");
    std::os::unix::fs::symlink(cli.folder().join("no folder/log"), &log).unwrap();
    let before = fs::read(cli.database()).unwrap();
    for verb in READING {
        cli.run(verb).expect(0);
    }
    for verb in [
        "submit hello.toml --input name=x",
        "run hello.toml --input name=x",
        "signal nap go",
        "cancel nap",
        "resume nap",
        "gc --older-than 0s",
        "work --until-idle",
    ] {
        let refused = cli.run(verb).expect(69);
        assert!(
            refused.stderr.contains("is read-only here")
                && refused.stderr.contains("`milepost ls`"),
            "{verb}: {refused:#?}"
        );
    }
    assert_eq!(fs::read(cli.database()).unwrap(), before);
}

#[test]
fn verbs_that_read_change_nothing_and_never_migrate() {
    let cli = stopped();
    let before = fs::read(cli.database()).unwrap();
    for verb in READING {
        cli.run(verb).expect(0);
    }
    assert_eq!(fs::read(cli.database()).unwrap(), before);

    // As a store of the first version, before its first table.
    let old = cli.folder().join("old/milepost.db");
    fs::create_dir(cli.folder().join("old")).unwrap();
    let db = Connection::open(&old).unwrap();
    db.execute_batch("PRAGMA application_id = 1836086132; CREATE TABLE t (x); DROP TABLE t")
        .unwrap();
    drop(db);
    let before = fs::read(&old).unwrap();
    for verb in READING {
        let refused = cli.run(&format!("{verb} --store old")).expect(69);
        assert!(
            refused.stderr.contains("has version 0")
                && refused.stderr.contains("doctor --migrate`"),
            "{verb}: {refused:#?}"
        );
    }
    assert_eq!(fs::read(&old).unwrap(), before);
    cli.run("doctor --migrate --store old").expect(0);
    cli.run("ls --store old").expect(0);
}

#[cfg(unix)]
#[test]
fn a_worker_whose_store_goes_away_stops_and_says_so() {
    let cli = stopped();
    let mut worker = cli.start("work --json");
    worker.until("working on");
    let moved = cli.folder().join("moved");
    fs::rename(cli.folder().join(".milepost"), &moved).unwrap();
    let ended = worker.wait().expect(69);
    assert_eq!(ended.json()["error"]["code"], "store_gone");
    assert!(
        !cli.folder().join(".milepost").exists(),
        "nothing was made in its place"
    );
    cli.run("show done --store moved").expect(0);

    let running = spinning(&cli);
    fs::rename(cli.folder().join(".milepost"), cli.folder().join("again")).unwrap();
    let ended = running.wait().expect(69);
    assert_eq!(ended.json()["error"]["code"], "store_gone");
}

/// A folder that cannot be looked into is not one without a store.
#[cfg(unix)]
#[test]
fn a_store_that_cannot_be_reached_is_not_said_to_be_none() {
    let cli = stopped();
    std::os::unix::fs::symlink("loop", cli.folder().join("loop")).unwrap();
    for verb in READING {
        let told = cli.run(&format!("{verb} --store loop")).expect(69).stderr;
        assert!(
            told.contains("the store in loop cannot be reached: "),
            "{told}"
        );
        assert!(!told.contains("there is no store"), "{told}");
    }
}

/// A name that is no text is written as the bytes that it is.
#[cfg(target_os = "linux")]
#[test]
fn commands_for_a_store_whose_name_is_no_text_can_be_pasted() {
    let cli = stopped();
    cli.shell("cp -r .milepost $'bad\\xff'").expect(0);
    let told = cli.shell("milepost --store $'bad\\xff' show nap").expect(0);
    let command = "milepost --store $'bad\\377' resume nap";
    assert!(told.stdout.contains(command), "{told:#?}");
    cli.shell(command).expect(0);
}
