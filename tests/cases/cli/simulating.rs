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
    session.comment("cat new.json");
    session.milepost("dry-run gate.toml --scaffold new.json");
    session.milepost("dry-run gate.toml --stubs new.json --stop-at-gates");
    session.document(
        "dry-run gate.toml --stubs new.json",
        &["/ok", "/status", "/trace/0", "/missing", "/unused"],
    );
    session.reads(expect![[""]]);
    assert!(!cli.folder().join(".milepost").exists());
    let written = std::fs::read_to_string(cli.folder().join("new.json")).unwrap();
    let written: serde_json::Value = serde_json::from_str(&written).unwrap();
    assert_eq!(written["steps"]["gate"]["decision"], "approved");
}
