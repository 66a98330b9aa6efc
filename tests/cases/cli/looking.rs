//! `ls`, `show`, `events`, `logs`, `replay`, and everything that only reads files.

use milepost_tests::cli::{Cli, component};

use super::{HELLO, PAUSING, flaky, ids};

#[test]
fn runs_are_listed_newest_first_and_filtered() {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    cli.workflow("pausing.toml", PAUSING);
    cli.run("run hello.toml --id one --input name=x").expect(0);
    cli.run("run pausing.toml --id two").expect(2);
    let ids = |line: &str| ids(&cli, line);
    assert_eq!(ids("ls --json"), ["two", "one"]);
    assert_eq!(ids("ls --json --status paused --status failed"), ["two"]);
    assert_eq!(ids("ls --json --workflow hello"), ["one"]);
    assert_eq!(ids("ls --json --status failed"), [""; 0]);
    let table = cli.run("ls").expect(0).stdout;
    assert!(table.contains("paused (step_paused)"), "{table}");
    let cut = cli.run("ls --limit 1").expect(0);
    assert!(
        !cut.stdout.contains("hello") && cut.stderr.contains("1 more"),
        "{cut:#?}"
    );
}

#[test]
fn b244_a_row_that_cannot_be_read_does_not_hide_the_others() {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    cli.run("run hello.toml --id good --input name=x").expect(0);
    cli.run("run hello.toml --id bad --input name=x").expect(0);
    let db = rusqlite::Connection::open(cli.database()).expect("the store is a database");
    db.execute("UPDATE run SET status = 'dancing' WHERE id = 'bad'", ())
        .expect("the row can be damaged");
    let listed = cli.run("ls --json").expect(0);
    assert_eq!(listed.json()[0]["id"], "good");
    assert!(
        listed.stderr.contains("warning: run bad cannot be read"),
        "{listed:#?}"
    );
}

#[test]
fn the_journal_and_the_logs_can_be_read() {
    let cli = Cli::new();
    cli.workflow("flaky.toml", &flaky(r#"initial = "1ms""#));
    cli.run("run flaky.toml --id r").expect(0);
    let all = cli.run("events r --json").expect(0).json();
    let names: Vec<_> = all["events"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|e| &e["event"]["type"])
        .collect();
    assert_eq!(names.first(), Some(&&"run_created".into()));
    assert_eq!(names.last(), Some(&&"run_completed".into()));
    assert_eq!(
        cli.run("events r").expect(0).stdout.lines().count(),
        names.len()
    );
    let two = cli
        .run("events r --after 2 --limit 2 --json")
        .expect(0)
        .json();
    assert_eq!(
        (
            &two["events"][0]["seq"],
            two["events"].as_array().map(Vec::len)
        ),
        (&3.into(), Some(2))
    );

    let logs = cli.run("logs r --json").expect(0).json();
    assert_eq!(logs["lines"][0]["path"], "try");
    assert_eq!(logs["lines"][0]["level"], "warn");
    assert!(
        cli.run("logs r --step try")
            .expect(0)
            .stdout
            .contains("warn: attempt 1 of 2 fails")
    );
    assert_eq!(cli.run("logs r --step other").expect(0).stdout, "");
    let replayed = cli.run("replay r --json").expect(0).json();
    assert_eq!(
        (&replayed["divergence"], &replayed["attempts"]),
        (&serde_json::Value::Null, &2.into())
    );
}

#[test]
fn a_prefix_is_enough_when_only_one_run_has_it() {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    for id in ["alpha", "alps", "al"] {
        cli.run(&format!("run hello.toml --input name=x --id {id}"))
            .expect(0);
    }
    assert_eq!(cli.shown("alph")["id"], "alpha");
    assert_eq!(cli.shown("al")["id"], "al", "a whole id is not ambiguous");
    let ambiguous = cli.run("show alp --json").expect(64).json();
    assert_eq!(ambiguous["error"]["code"], "ambiguous_run");
    let message = ambiguous["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("`alpha`, `alps`"), "{message}");
}

#[test]
fn every_problem_of_every_file_is_told() {
    let cli = Cli::new();
    cli.workflow("flows/good.toml", HELLO);
    cli.write(
        "flows/bad.toml",
        "schema = 1\nname = \"x\"\nnmae = 2\n[[step]]\nid = \"a\"\nuse = \"p\"\n",
    );
    cli.write("flows/deep/gone.toml", "schema = 1\nname = \"x\"\n[plugins.p]\nsource = \"no.wasm\"\n[[step]]\nid = \"a\"\nuse = \"p/s\"\n");
    cli.write("flows/Cargo.toml", "[package]\nname = \"x\"\n");
    let text = cli.run("validate flows").expect(65).stdout;
    for part in [
        "MP0101",
        "MP0211",
        "no.wasm",
        "ok flows/good.toml",
        "3 files checked, 2 with errors",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let found = cli.run("validate flows --json").expect(65).json();
    assert_eq!(found["ok"], false);
    assert_eq!(
        found["files"][0]["diagnostics"].as_array().map(Vec::len),
        Some(2)
    );
    assert_eq!(
        found["files"][1]["components"][0]["code"],
        "plugin_unavailable"
    );
    assert_eq!(found["files"][2]["ok"], true);
    cli.run("validate flows/deep --no-components").expect(0);
    cli.run("validate flows/good.toml").expect(0);
    let gone = cli.run("validate gone.toml").expect(65).stdout;
    assert!(gone.contains("gone.toml"), "{gone}");
}

#[test]
fn a_workflow_can_be_drawn() {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    assert_eq!(
        cli.run("graph hello.toml").expect(0).stdout,
        "hello\n  greet: text/greet\n"
    );
    assert!(
        cli.run("graph hello.toml --format mermaid")
            .expect(0)
            .stdout
            .starts_with("flowchart TD\n")
    );
    assert_eq!(
        cli.run("graph hello.toml --json").expect(0).json()["format"],
        "text"
    );
}

#[test]
fn a_component_is_inspected_and_packed() {
    let cli = Cli::new();
    let text = component("text");
    let file = text.display();
    let seen = cli.run(&format!("inspect {file} --json")).expect(0).json();
    assert_eq!(seen["manifest"]["name"], "text");
    assert_eq!(seen["ok"], true);
    assert!(
        cli.run(&format!("inspect {file}"))
            .expect(0)
            .stdout
            .contains("step greet")
    );
    let packed = cli
        .run(&format!("pack {file} -o packed.wasm --json"))
        .expect(0)
        .json();
    assert_eq!(packed["manifest"], seen["manifest"]);
    let again = cli
        .run("pack packed.wasm -o packed.wasm --json")
        .expect(0)
        .json();
    assert_eq!(
        again["digest"], packed["digest"],
        "packing twice changes nothing"
    );
    cli.write("no.wasm", "no");
    let refused = cli.run("inspect no.wasm --json").expect(65).json();
    assert_eq!(refused["error"]["code"], "plugin_incompatible");
}

#[test]
fn the_rest_explains_itself() {
    let cli = Cli::new();
    assert_eq!(
        cli.run("schema --json").expect(0).json()["title"],
        "Milepost workflow"
    );
    assert!(
        cli.run("explain MP0101")
            .expect(0)
            .stdout
            .starts_with("MP0101: unknown key\n")
    );
    assert_eq!(
        cli.run("explain mp0101 --json").expect(0).json()["code"],
        "MP0101"
    );
    cli.run("explain MP9999").expect(64);
    assert!(
        cli.run("completions bash")
            .expect(0)
            .stdout
            .contains("milepost")
    );
    assert_eq!(
        cli.run("completions zsh --json").expect(0).json()["shell"],
        "zsh"
    );
    assert!(
        cli.run("--version")
            .expect(0)
            .stdout
            .starts_with("milepost ")
    );
    assert!(cli.run("run --help").expect(0).stdout.contains("Examples:"));
}
