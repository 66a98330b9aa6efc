//! Where the store is, and what can be done with one that can only be read.

use std::fs;

use expect_test::expect;
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

#[test]
fn the_store_of_a_folder_above_is_found_and_named() {
    let cli = stopped();
    let deep = cli.folder().join("flows/deep");
    fs::create_dir_all(&deep).unwrap();
    let within = |line: &str| {
        let mut command = cli.command(line);
        // The search ends at the home folder.
        let output = command.current_dir(&deep).output().unwrap();
        milepost_tests::cli::Output::of(output)
    };
    let here = cli.run("ls --json").expect(0).stdout;
    assert_eq!(within("ls --json").expect(0).stdout, here);
    within("run ../../hello.toml --input name=x --id below").expect(0);
    cli.run("show below").expect(0);
    assert!(!deep.join(".milepost").exists());
    let told = within("show nothing").expect(65).stderr;
    assert!(told.contains("(store: ../../.milepost)"), "{told}");
    // A named one wins, and so does the nearest.
    within("run ../../hello.toml --input name=x --id own --store .milepost").expect(0);
    assert_eq!(within("ls -o ids").expect(0).stdout, "own\n");
    let set = cli
        .command("ls")
        .env("MILEPOST_STORE", "none")
        .output()
        .unwrap();
    let told = milepost_tests::cli::Output::of(set).expect(69).stderr;
    assert!(told.contains("there is no store in none"), "{told}");
}

#[test]
fn what_is_in_the_way_of_a_store_has_a_code_and_names_the_path() {
    let cli = stopped();
    let code = |line: &str| {
        let told = cli.run(&format!("{line} --json")).expect(69).json();
        let error = &told["error"];
        let message = error["message"].as_str().unwrap().to_owned();
        assert!(
            message.contains(".milepost")
                || message.contains("/milepost.db")
                || message.contains("none"),
            "{message}"
        );
        assert!(error["help"].is_string(), "{told}");
        error["code"].as_str().unwrap().to_owned()
    };
    assert_eq!(code("ls --store none"), "no_store");

    // Somebody writes for longer than anybody waits.
    let db = Connection::open(cli.database()).unwrap();
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(code("submit hello.toml -i name=x"), "store_locked");
    drop(db);

    let newer = cli.folder().join("newer");
    fs::create_dir(&newer).unwrap();
    fs::copy(cli.database(), newer.join("milepost.db")).unwrap();
    let db = Connection::open(newer.join("milepost.db")).unwrap();
    db.execute_batch("PRAGMA user_version = 9999").unwrap();
    drop(db);
    assert_eq!(code("ls --store newer"), "store_too_new");

    fs::create_dir(cli.folder().join("damaged")).unwrap();
    cli.write("damaged/milepost.db", vec![7; 8192]);
    assert_eq!(code("ls --store damaged"), "store_damaged");
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
    let mut session = cli.session();
    for verb in [
        "submit hello.toml --input name=x",
        "run hello.toml --input name=x",
        "signal nap go",
        "cancel nap",
        "resume nap",
        "gc --older-than 0s",
        "work --until-idle",
    ] {
        session.milepost(verb);
    }
    session.reads(expect![[r#"
        $ milepost submit hello.toml --input name=x
        ! error: the store `[folder]/.milepost/milepost.db` is read-only here: the file, its folder or its disk cannot be written to
        !   help: commands that only read, such as `milepost ls` and `milepost show`, can use it
        [exit 69]

        $ milepost run hello.toml --input name=x
        ! error: the store `[folder]/.milepost/milepost.db` is read-only here: the file, its folder or its disk cannot be written to
        !   help: commands that only read, such as `milepost ls` and `milepost show`, can use it
        [exit 69]

        $ milepost signal nap go
        ! error: the store `[folder]/.milepost/milepost.db` is read-only here: the file, its folder or its disk cannot be written to
        !   help: commands that only read, such as `milepost ls` and `milepost show`, can use it
        [exit 69]

        $ milepost cancel nap
        ! error: the store `[folder]/.milepost/milepost.db` is read-only here: the file, its folder or its disk cannot be written to
        !   help: commands that only read, such as `milepost ls` and `milepost show`, can use it
        [exit 69]

        $ milepost resume nap
        ! error: the store `[folder]/.milepost/milepost.db` is read-only here: the file, its folder or its disk cannot be written to
        !   help: commands that only read, such as `milepost ls` and `milepost show`, can use it
        [exit 69]

        $ milepost gc --older-than 0s
        ! error: the store `[folder]/.milepost/milepost.db` is read-only here: the file, its folder or its disk cannot be written to
        !   help: commands that only read, such as `milepost ls` and `milepost show`, can use it
        [exit 69]

        $ milepost work --until-idle
        ! error: the store `[folder]/.milepost/milepost.db` is read-only here: the file, its folder or its disk cannot be written to
        !   help: commands that only read, such as `milepost ls` and `milepost show`, can use it
        [exit 69]
    "#]]);
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
    let mut session = cli.session();
    for verb in READING {
        session.milepost(&format!("{verb} --store old"));
    }
    assert_eq!(fs::read(&old).unwrap(), before);
    session.milepost("doctor --migrate --store old");
    session.milepost("ls --store old");
    session.reads(expect![[r#"
        $ milepost ls --store old
        ! error: the store `[folder]/old/milepost.db` has version 0, this program reads version [version]
        !   help: `milepost --store old doctor --migrate` migrates it, where it can be written to
        [exit 69]

        $ milepost show done --store old
        ! error: the store `[folder]/old/milepost.db` has version 0, this program reads version [version]
        !   help: `milepost --store old doctor --migrate` migrates it, where it can be written to
        [exit 69]

        $ milepost events done --store old
        ! error: the store `[folder]/old/milepost.db` has version 0, this program reads version [version]
        !   help: `milepost --store old doctor --migrate` migrates it, where it can be written to
        [exit 69]

        $ milepost logs done --store old
        ! error: the store `[folder]/old/milepost.db` has version 0, this program reads version [version]
        !   help: `milepost --store old doctor --migrate` migrates it, where it can be written to
        [exit 69]

        $ milepost replay done --store old
        ! error: the store `[folder]/old/milepost.db` has version 0, this program reads version [version]
        !   help: `milepost --store old doctor --migrate` migrates it, where it can be written to
        [exit 69]

        $ milepost doctor --store old
        ! error: the store `[folder]/old/milepost.db` has version 0, this program reads version [version]
        !   help: `milepost --store old doctor --migrate` migrates it, where it can be written to
        [exit 69]

        $ milepost gc --older-than 0s --dry-run --store old
        ! error: the store `[folder]/old/milepost.db` has version 0, this program reads version [version]
        !   help: `milepost --store old doctor --migrate` migrates it, where it can be written to
        [exit 69]

        $ milepost doctor --migrate --store old
        store old, version [version]
          size: [size] (0 bytes unused) and [size] of log, [size] free on its disk
          runs: none
        no problems found

        $ milepost ls --store old
        no runs yet (store: old)
    "#]]);
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
    let mut session = cli.session();
    for verb in READING {
        session.milepost(&format!("{verb} --store loop"));
    }
    session.reads(expect![[r#"
        $ milepost ls --store loop
        ! error: the store in loop cannot be reached: Too many levels of symbolic links (os error 40)
        !   help: a store is its owner's: use it as that user, or name another folder with `--store` or MILEPOST_STORE
        [exit 69]

        $ milepost show done --store loop
        ! error: the store in loop cannot be reached: Too many levels of symbolic links (os error 40)
        !   help: a store is its owner's: use it as that user, or name another folder with `--store` or MILEPOST_STORE
        [exit 69]

        $ milepost events done --store loop
        ! error: the store in loop cannot be reached: Too many levels of symbolic links (os error 40)
        !   help: a store is its owner's: use it as that user, or name another folder with `--store` or MILEPOST_STORE
        [exit 69]

        $ milepost logs done --store loop
        ! error: the store in loop cannot be reached: Too many levels of symbolic links (os error 40)
        !   help: a store is its owner's: use it as that user, or name another folder with `--store` or MILEPOST_STORE
        [exit 69]

        $ milepost replay done --store loop
        ! error: the store in loop cannot be reached: Too many levels of symbolic links (os error 40)
        !   help: a store is its owner's: use it as that user, or name another folder with `--store` or MILEPOST_STORE
        [exit 69]

        $ milepost doctor --store loop
        ! error: the store in loop cannot be reached: Too many levels of symbolic links (os error 40)
        !   help: a store is its owner's: use it as that user, or name another folder with `--store` or MILEPOST_STORE
        [exit 69]

        $ milepost gc --older-than 0s --dry-run --store loop
        ! error: the store in loop cannot be reached: Too many levels of symbolic links (os error 40)
        !   help: a store is its owner's: use it as that user, or name another folder with `--store` or MILEPOST_STORE
        [exit 69]
    "#]]);
}

/// A name that is no text is written as the bytes that it is.
#[cfg(target_os = "linux")]
#[test]
fn commands_for_a_store_whose_name_is_no_text_can_be_pasted() {
    let cli = stopped();
    cli.shell("cp -r .milepost $'bad\\xff'").expect(0);
    let mut session = cli.session();
    session.shell("milepost --store $'bad\\xff' show nap");
    session.comment("as it stands there");
    session.shell("milepost --store $'bad\\377' resume nap");
    session.reads(expect![[r#"
        $ milepost --store $'bad\xff' show nap
        run nap of pausing: paused
          file:   [folder]/pausing.toml
          begun:  [time], took [elapsed]
          saved:  [time], [ago]
          step:   ask
          reason: step_paused: `ask` paused (quota-exhausted): attempt 1 of 2 pauses [acme]
          next:   `milepost --store $'bad\377' resume nap` continues at `ask`; a worker (`milepost --store $'bad\377' work`) does so when it is due, as automatic resume 1 of 5
          due:    continues at [time] (in [left])

        STEP   STATUS     ATTEMPTS  ITERATIONS  TOOK       TIMEOUT
        first  completed  1                     [elapsed]  30m (engine)
        ask    paused     1                                30m (engine)

        # as it stands there

        $ milepost --store $'bad\377' resume nap
        ! run nap: resumed, 1 completed step kept
        ! step ask: started
        ! step ask: completed in [elapsed]
        ! completed: run nap after [elapsed], 2 of 2 steps
        {
          "attempt": 2
        }
    "#]]);
}
