//! What goes wrong before there is a run: exit codes, documents, and nothing left behind.

use std::process::Stdio;

use milepost_tests::cli::Cli;

use super::{HELLO, PAUSING};

#[test]
fn b171_a_mistake_in_the_command_line_is_64() {
    let cli = Cli::new();
    for line in [
        "",
        "nope",
        "run",
        "run a.toml --nope",
        "ls --status dancing",
        "events r --after x",
    ] {
        let output = cli.run(line).expect(64);
        assert_eq!(output.stdout, "", "{line}");
        assert!(!output.stderr.is_empty(), "{line}");
        let json = cli.run(&format!("{line} --json")).expect(64);
        assert_eq!(json.json()["error"]["code"], "usage", "{line}");
    }
}

#[test]
fn without_a_store_nothing_is_created() {
    let cli = Cli::new();
    for line in [
        "ls", "show r", "events r", "logs r", "resume r", "retry r", "cancel r", "replay r",
    ] {
        let output = cli.run(&format!("{line} --json")).expect(69);
        assert_eq!(output.json()["error"]["code"], "no_store", "{line}");
    }
    assert!(!cli.folder().join(".milepost").exists());
}

#[test]
fn a_bad_definition_or_input_leaves_no_store_behind() {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    cli.write("bad.toml", "schema = 1\nname = \"x\"\n");
    cli.write("broken.toml", "schema = ");
    cli.write("in.toml", "name = ");
    for (line, code) in [
        ("run gone.toml", "unreadable_definition"),
        ("run bad.toml", "invalid_definition"),
        ("run broken.toml", "invalid_definition"),
        ("run hello.toml", "invalid_input"),
        ("run hello.toml --input nmae=x", "invalid_input"),
        ("run hello.toml --input name", "invalid_input"),
        ("run hello.toml --inputs in.toml", "invalid_input"),
        ("run hello.toml --inputs in.yaml", "invalid_input"),
        ("run hello.toml --inputs gone.toml", "file"),
        ("run hello.toml --input name=@gone.txt", "file"),
    ] {
        let output = cli.run(&format!("{line} --json")).expect(65);
        assert_eq!(output.json()["error"]["code"], code, "{line}");
        assert!(!cli.run(line).expect(65).stderr.is_empty(), "{line}");
    }
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
    let error = cli.run("run w.toml --json").expect(69).json();
    assert_eq!(error["error"]["code"], "plugin_unavailable");
    cli.write("gone.wasm", "not wasm");
    let error = cli.run("run w.toml --json").expect(65).json();
    assert_eq!(error["error"]["code"], "plugin_incompatible");
}

#[test]
fn b186_b190_b192_runs_that_cannot_be_named_or_resumed() {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    cli.run("run hello.toml --input name=x --id done").expect(0);
    for verb in [
        "show", "events", "logs", "resume", "retry", "cancel", "replay",
    ] {
        let unknown = cli.run(&format!("{verb} nobody --json")).expect(65).json();
        assert_eq!(unknown["error"]["code"], "run_not_found", "{verb}");
        assert_eq!(
            unknown["error"]["help"], "`milepost ls` lists the runs",
            "{verb}"
        );
        cli.run(&format!("{verb} no/id --json")).expect(64);
    }
    for verb in ["resume", "retry"] {
        let refused = cli.run(&format!("{verb} done --json")).expect(65).json();
        assert_eq!(refused["error"]["code"], "not_resumable");
        let message = refused["error"]["message"].as_str().unwrap_or_default();
        assert!(message.contains("completed"), "B180: {message}");
    }
}

#[test]
fn a_store_elsewhere_is_named_in_what_to_type_next() {
    let cli = Cli::new();
    cli.workflow("pausing.toml", PAUSING);
    let paused = cli
        .run("--store elsewhere run pausing.toml --id nap")
        .expect(2);
    assert!(
        paused
            .stderr
            .contains("milepost --store elsewhere resume nap"),
        "{paused:#?}"
    );
    assert!(cli.folder().join("elsewhere/milepost.db").exists());
    let output = cli
        .command("show nap --json")
        .env("MILEPOST_STORE", "elsewhere")
        .output();
    assert!(output.is_ok_and(|output| output.status.success()));
    cli.run("--store pausing.toml ls").expect(64);
}

#[test]
fn a_store_that_is_no_database_is_69() {
    let cli = Cli::new();
    cli.write(
        ".milepost/milepost.db",
        "this is a text, and not a short one either: it is no database at all",
    );
    let error = cli.run("ls --json").expect(69).json();
    assert_eq!(error["error"]["code"], "store_damaged");
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
