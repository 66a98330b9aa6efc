//! What goes wrong before there is a run: exit codes, documents, and nothing left behind.

use std::process::Stdio;

use expect_test::expect;
use milepost_tests::cli::Cli;

use super::{HELLO, PAUSING};

#[test]
fn b171_a_mistake_in_the_command_line_is_64() {
    let cli = Cli::new();
    let mut session = cli.session();
    for line in [
        "nope",
        "run",
        "run a.toml --nope",
        "ls --status dancing",
        "events r --after x",
    ] {
        session.milepost(line);
        session.document(line, &["/error/code"]);
    }
    session.reads(expect![[r#"
        $ milepost nope
        ! error: unrecognized subcommand 'nope'
        !
        !   tip: a similar subcommand exists: 'inspect'
        !
        ! Usage: milepost [OPTIONS] <COMMAND>
        !
        ! For more information, try '--help'.
        [exit 64]

        $ milepost nope --json
        /error/code: "usage"
        [exit 64]

        $ milepost run
        ! error: the following required arguments were not provided:
        !   <FILE>
        !
        ! Usage: milepost run <FILE>
        !
        ! For more information, try '--help'.
        [exit 64]

        $ milepost run --json
        /error/code: "usage"
        [exit 64]

        $ milepost run a.toml --nope
        ! error: unexpected argument '--nope' found
        !
        !   tip: to pass '--nope' as a value, use '-- --nope'
        !
        ! Usage: milepost run <FILE>
        !
        ! For more information, try '--help'.
        [exit 64]

        $ milepost run a.toml --nope --json
        /error/code: "usage"
        [exit 64]

        $ milepost ls --status dancing
        ! error: invalid value 'dancing' for '--status <STATUS>': choose one of pending, running, paused, completed, failed, cancelled
        !
        ! For more information, try '--help'.
        [exit 64]

        $ milepost ls --status dancing --json
        /error/code: "usage"
        [exit 64]

        $ milepost events r --after x
        ! error: invalid value 'x' for '--after <N>': invalid digit found in string
        !
        ! For more information, try '--help'.
        [exit 64]

        $ milepost events r --after x --json
        /error/code: "usage"
        [exit 64]
    "#]]);
    let nothing = cli.run("").expect(64);
    assert_eq!(nothing.stdout, "");
    assert!(!nothing.stderr.is_empty());
    let json = cli.run("--json").expect(64).json();
    assert_eq!(json["error"]["code"], "usage");
}

#[test]
fn without_a_store_nothing_is_created() {
    let cli = Cli::new();
    let mut session = cli.session();
    session.milepost("show r");
    for line in [
        "ls", "show r", "events r", "logs r", "resume r", "retry r", "cancel r", "replay r",
    ] {
        session.document(line, &["/error/code"]);
    }
    session.reads(expect![[r#"
        $ milepost show r
        ! error: there is no store in .milepost
        !   help: the first `milepost run` creates it; `--store` or MILEPOST_STORE names another folder
        [exit 69]

        $ milepost ls --json
        /error/code: "no_store"
        [exit 69]

        $ milepost show r --json
        /error/code: "no_store"
        [exit 69]

        $ milepost events r --json
        /error/code: "no_store"
        [exit 69]

        $ milepost logs r --json
        /error/code: "no_store"
        [exit 69]

        $ milepost resume r --json
        /error/code: "no_store"
        [exit 69]

        $ milepost retry r --json
        /error/code: "no_store"
        [exit 69]

        $ milepost cancel r --json
        /error/code: "no_store"
        [exit 69]

        $ milepost replay r --json
        /error/code: "no_store"
        [exit 69]
    "#]]);
    assert!(!cli.folder().join(".milepost").exists());
}

#[test]
fn a_bad_definition_or_input_leaves_no_store_behind() {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    cli.write("bad.toml", "schema = 1\nname = \"x\"\n");
    cli.write("broken.toml", "schema = ");
    cli.write("in.toml", "name = ");
    let mut session = cli.session();
    for line in [
        "run gone.toml",
        "run bad.toml",
        "run broken.toml",
        "run hello.toml",
        "run hello.toml --input nmae=x",
        "run hello.toml --input name",
        "run hello.toml --inputs in.toml",
        "run hello.toml --inputs in.yaml",
        "run hello.toml --inputs gone.toml",
        "run hello.toml --input name=@gone.txt",
    ] {
        session.milepost(line);
        session.document(line, &["/error/code"]);
    }
    session.reads(expect![[r#"
        $ milepost run gone.toml
        ! error: the definition gone.toml cannot be read: No such file or directory (os error 2)
        !   help: did you mean `in.toml`?
        [exit 65]

        $ milepost run gone.toml --json
        /error/code: "unreadable_definition"
        [exit 65]

        $ milepost run bad.toml
        ! error[MP0102]: a workflow needs `step`
        !  --> bad.toml:1:1
        !   |
        ! 1 | schema = 1
        !   | ^
        !   |
        !   = help: add a `[[step]]`
        [exit 65]

        $ milepost run bad.toml --json
        /error/code: "invalid_definition"
        [exit 65]

        $ milepost run broken.toml
        ! error[MP0001]: this is not TOML: string values must be quoted, expected literal string
        !  --> broken.toml:1:10
        !   |
        ! 1 | schema =
        !   |          ^
        [exit 65]

        $ milepost run broken.toml --json
        /error/code: "invalid_definition"
        [exit 65]

        $ milepost run hello.toml
        ! error[MP0703]: input `name` is missing
        !   help: it is of type string
        !   help: `--input NAME=VALUE` gives one, `--inputs FILE` all of a file
        [exit 65]

        $ milepost run hello.toml --json
        /error/code: "invalid_input"
        [exit 65]

        $ milepost run hello.toml --input nmae=x
        ! error[MP0701]: the workflow has no input `nmae`
        !   help: did you mean `name`?
        ! error[MP0703]: input `name` is missing
        !   help: it is of type string
        !   help: `--input NAME=VALUE` gives one, `--inputs FILE` all of a file
        [exit 65]

        $ milepost run hello.toml --input nmae=x --json
        /error/code: "invalid_input"
        [exit 65]

        $ milepost run hello.toml --input name
        ! error[MP0705]: `name` is not of the form `name=value`
        ! error[MP0703]: input `name` is missing
        !   help: it is of type string
        !   help: `--input NAME=VALUE` gives one, `--inputs FILE` all of a file
        [exit 65]

        $ milepost run hello.toml --input name --json
        /error/code: "invalid_input"
        [exit 65]

        $ milepost run hello.toml --inputs in.toml
        ! error[MP0706]: cannot read the inputs file in.toml: TOML parse error at line 1, column 8
        !   |
        ! 1 | name =
        !   |        ^
        ! string values must be quoted, expected literal string
        [exit 65]

        $ milepost run hello.toml --inputs in.toml --json
        /error/code: "invalid_input"
        [exit 65]

        $ milepost run hello.toml --inputs in.yaml
        ! error: cannot tell whether in.yaml is TOML or JSON
        !   help: name it `.toml` or `.json`
        [exit 65]

        $ milepost run hello.toml --inputs in.yaml --json
        /error/code: "invalid_input"
        [exit 65]

        $ milepost run hello.toml --inputs gone.toml
        ! error: cannot read gone.toml: No such file or directory (os error 2)
        [exit 65]

        $ milepost run hello.toml --inputs gone.toml --json
        /error/code: "file"
        [exit 65]

        $ milepost run hello.toml --input name=@gone.txt
        ! error: cannot read gone.txt: No such file or directory (os error 2)
        !   help: to give a text that starts with `@`, write `name=@@…`
        [exit 65]

        $ milepost run hello.toml --input name=@gone.txt --json
        /error/code: "file"
        [exit 65]
    "#]]);
    assert!(!cli.folder().join(".milepost").exists());
    // Every missing and every unknown input is named (B32, B34).
    let problems = cli.run("run hello.toml --input nmae=x --json").json();
    assert_eq!(
        problems["error"]["diagnostics"].as_array().map(Vec::len),
        Some(2)
    );
}

#[test]
fn a_component_that_is_not_there_is_69() {
    let cli = Cli::new();
    cli.write("w.toml", "schema = 1\nname = \"w\"\n[plugins.p]\nsource = \"gone.wasm\"\n[[step]]\nid = \"a\"\nuse = \"p/s\"\n");
    let mut session = cli.session();
    session.milepost("run w.toml");
    session.document("run w.toml", &["/error/code"]);
    session.comment("there is a file, but it is no component");
    cli.write("gone.wasm", "not wasm");
    session.milepost("run w.toml");
    session.document("run w.toml", &["/error/code"]);
    session.reads(expect![[r#"
        $ milepost run w.toml
        ! error[MP0607]: plugin `p` is not available: cannot read the component [folder]/gone.wasm: No such file or directory (os error 2)
        !  --> w.toml:4:10
        !   |
        ! 4 | source = "gone.wasm"
        !   |          ^^^^^^^^^^^
        [exit 69]

        $ milepost run w.toml --json
        /error/code: "plugin_unavailable"
        [exit 69]

        # there is a file, but it is no component

        $ milepost run w.toml
        ! error[MP0607]: plugin `p` does not fit: cannot use the component [folder]/gone.wasm: it is not WebAssembly; give the path of a compiled component, which begins with `\0asm`
        !  --> w.toml:4:10
        !   |
        ! 4 | source = "gone.wasm"
        !   |          ^^^^^^^^^^^
        [exit 65]

        $ milepost run w.toml --json
        /error/code: "plugin_incompatible"
        [exit 65]
    "#]]);
}

#[test]
fn b186_b190_b192_runs_that_cannot_be_named_or_resumed() {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    cli.run("run hello.toml --input name=x --id done").expect(0);
    let mut session = cli.session();
    for verb in [
        "show", "events", "logs", "resume", "retry", "cancel", "replay",
    ] {
        session.document(&format!("{verb} nobody"), &["/error/code", "/error/help"]);
        // What can be no id is a file to `replay`.
        let status = if verb == "replay" { 65 } else { 64 };
        cli.run(&format!("{verb} no/id --json")).expect(status);
    }
    session.milepost("show nobody");
    session.milepost("show no/id");
    for verb in ["resume", "retry"] {
        session.milepost(&format!("{verb} done"));
        session.document(&format!("{verb} done"), &["/error/code"]);
    }
    session.reads(expect![[r#"
        $ milepost show nobody --json
        /error/code: "run_not_found"
        /error/help: "`milepost ls` lists the runs"
        [exit 65]

        $ milepost events nobody --json
        /error/code: "run_not_found"
        /error/help: "`milepost ls` lists the runs"
        [exit 65]

        $ milepost logs nobody --json
        /error/code: "run_not_found"
        /error/help: "`milepost ls` lists the runs"
        [exit 65]

        $ milepost resume nobody --json
        /error/code: "run_not_found"
        /error/help: "`milepost ls` lists the runs"
        [exit 65]

        $ milepost retry nobody --json
        /error/code: "run_not_found"
        /error/help: "`milepost ls` lists the runs"
        [exit 65]

        $ milepost cancel nobody --json
        /error/code: "run_not_found"
        /error/help: "`milepost ls` lists the runs"
        [exit 65]

        $ milepost replay nobody --json
        /error/code: "run_not_found"
        /error/help: "`milepost ls` lists the runs"
        [exit 65]

        $ milepost show nobody
        ! error: no run begins with `nobody` (store: .milepost)
        !   help: `milepost ls` lists the runs
        [exit 65]

        $ milepost show no/id
        ! error: `no/id` is not a valid run id: only letters, digits, `_` and `-` are allowed
        [exit 64]

        $ milepost resume done
        ! error: run `done` is completed: it has ended; start a new run
        !   help: `milepost show done` shows how it ended, `milepost rerun done` runs the same again as a new run
        [exit 65]

        $ milepost resume done --json
        /error/code: "not_resumable"
        [exit 65]

        $ milepost retry done
        ! error: run `done` is completed: it has ended; start a new run
        !   help: `milepost show done` shows how it ended, `milepost rerun done` runs the same again as a new run
        [exit 65]

        $ milepost retry done --json
        /error/code: "not_resumable"
        [exit 65]
    "#]]);
}

#[test]
fn a_store_elsewhere_is_named_in_what_to_type_next() {
    let cli = Cli::new();
    cli.workflow("pausing.toml", PAUSING);
    let mut session = cli.session();
    session.milepost("--store elsewhere run pausing.toml --id nap");
    session.shell("MILEPOST_STORE=elsewhere milepost ls");
    session.comment("a store is a folder");
    session.milepost("--store pausing.toml ls");
    session.reads(expect![[r#"
        $ milepost --store elsewhere run pausing.toml --id nap
        ! run nap: started
        ! step first: started
        ! step first: completed in [elapsed]
        ! step ask: started
        ! step ask: paused: quota-exhausted: attempt 1 of 2 pauses
        ! paused: run nap after [elapsed], 1 of 2 steps
        !   step:   ask
        !   reason: step_paused: `ask` paused (quota-exhausted): attempt 1 of 2 pauses [acme]
        !   next:   `milepost --store elsewhere resume nap` continues at `ask`; a worker (`milepost --store elsewhere work`) does so when it is due, as automatic resume 1 of 5
        !   due:    continues at [time] (in [left])
        !   resume: milepost --store elsewhere resume nap
        [exit 2]

        $ MILEPOST_STORE=elsewhere milepost ls
        ! no worker is running: `milepost work` starts one
        ID   WORKFLOW  STATUS                       OWNER  STARTED  TOOK       WAITED     UPDATED  NEXT
        nap  pausing   paused (step_paused) [acme]         [ago]    [elapsed]  [elapsed]  [ago]    in [left] (resume 1 of 5)

        # a store is a folder

        $ milepost --store pausing.toml ls
        ! error: the store pausing.toml is a file
        !   help: name the folder that holds milepost.db
        [exit 64]
    "#]]);
    assert!(cli.folder().join("elsewhere/milepost.db").exists());
}

#[test]
fn a_store_that_is_no_database_is_69() {
    let cli = Cli::new();
    cli.write(
        ".milepost/milepost.db",
        "this is a text, and not a short one either: it is no database at all",
    );
    let mut session = cli.session();
    session.milepost("ls");
    session.document("ls", &["/error/code"]);
    session.reads(expect![[r#"
        $ milepost ls
        ! error: stored data is corrupted: `[folder]/.milepost/milepost.db`: file is not a database
        !   help: `milepost doctor` lists all damage; restore the store from a backup, or name another one with `--store`
        [exit 69]

        $ milepost ls --json
        /error/code: "store_damaged"
        [exit 69]
    "#]]);
}

#[test]
fn a_reader_who_has_had_enough_is_no_error() {
    let cli = Cli::new();
    let mut command = cli.command("schema");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = command
        .stdout(writer)
        .stderr(Stdio::piped())
        .output()
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn colours_only_where_they_are_wanted() {
    let cli = Cli::new();
    cli.workflow("pausing.toml", PAUSING);
    let plain = cli.run("run pausing.toml --id nap").expect(2);
    assert!(!plain.stderr.contains('\x1b'), "{plain:#?}");
    let coloured = cli.run("--color always ls").expect(0);
    assert!(coloured.stdout.contains("\x1b[33mpaused"), "{coloured:#?}");
}
