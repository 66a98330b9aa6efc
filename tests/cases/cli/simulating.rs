//! `dry-run`: what a workflow would do.

use expect_test::expect;
use milepost_tests::cli::Cli;

use super::{GATE, HELLO};

#[test]
fn b381_b382_b383_a_dry_run_shows_what_would_happen_and_leaves_nothing() {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    cli.workflow("gate.toml", GATE);
    cli.write(
        "stubs.json",
        r#"{"steps": {"greet": {"output": {"greeting": "Hi"}}, "nobody": {"output": 1}}}"#,
    );
    cli.write("bad.json", r#"{"steps": {"greet": {}}}"#);
    let mut session = cli.session();
    session.milepost("dry-run hello.toml --input name=x --stubs stubs.json");
    session.milepost("dry-run hello.toml --input name=x");
    session.milepost("dry-run hello.toml --stubs bad.json");
    session.milepost("dry-run hello.toml --stubs stubs.json");
    session.milepost("dry-run gate.toml --scaffold new.json");
    session.milepost("dry-run gate.toml --scaffold new.json");
    session.milepost("dry-run gate.toml --stubs new.json --stop-at-gates");
    session.document(
        "dry-run gate.toml --stubs new.json",
        &["/ok", "/status", "/trace/0", "/missing", "/unused"],
    );
    session.reads(expect![[r#"
        $ milepost dry-run hello.toml --input name=x --stubs stubs.json
        greet: stubbed (stub) {"name":"x"} -> {"greeting":"Hi"}
        unused: the stub of `nobody`: there is no such step
        completed: Hi

        $ milepost dry-run hello.toml --input name=x
        greet: stubbed (no stub) {"name":"x"} -> {"greeting":""}
        missing: no stub for `greet`
        completed
        [exit 1]

        $ milepost dry-run hello.toml --stubs bad.json
        ! error: cannot use the stubs in bad.json: the stub of `greet` has to have one of `output`, `error`, `pause`, `decision`, `signal` and `timed_out`
        !   help: `--scaffold FILE` writes stubs for all steps
        [exit 65]

        $ milepost dry-run hello.toml --stubs stubs.json
        ! error[MP0703]: input `name` is missing
        !   help: it is of type string
        !   help: `--input NAME=VALUE` gives one, `--inputs FILE` all of a file
        [exit 65]

        $ milepost dry-run gate.toml --scaffold new.json
        ! stubs written to new.json
        gate: completed (approved) -> {"comment":null,"decision":"approved"}
        after: stubbed (stub) {"text":"a"} -> {"text":""}
        completed

        $ milepost dry-run gate.toml --scaffold new.json
        ! error: new.json is there already
        !   help: name a new file, or use it with `--stubs`
        [exit 65]

        $ milepost dry-run gate.toml --stubs new.json --stop-at-gates
        gate: paused (waits for a decision: Publish?)
        unused: the stub of `after`: it was not asked for
        unused: the stub of `gate`: it was not asked for
        paused: `gate` asks: Publish?
        [exit 2]

        $ milepost dry-run gate.toml --stubs new.json --json
        /ok: true
        /status: "completed"
        /trace/0: {"attempt":null,"error":null,"input":null,"output":{"comment":null,"decision":"approved"},"path":"gate","reason":"approved","status":"completed"}
        /missing: []
        /unused: []
    "#]]);
    assert!(!cli.folder().join(".milepost").exists());
    let written = std::fs::read_to_string(cli.folder().join("new.json")).unwrap();
    let written: serde_json::Value = serde_json::from_str(&written).unwrap();
    assert_eq!(written["steps"]["gate"]["decision"], "approved");
}
