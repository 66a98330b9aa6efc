//! What steps write: how it is kept, and that no trouble with it ends a run.

use std::process::Stdio;

use milepost_tests::cli::Cli;
use rusqlite::Connection;
use serde_json::Value;

/// A run `r` whose step printed three lines.
fn printed() -> Cli {
    let cli = Cli::new();
    cli.workflow(
        "print.toml",
        "[[step]]\nid = \"say\"\nuse = \"hostile/print\"\nwith = { stdout = \"one\\n\\\"two\\\"\\n\", stderr = \"three\" }\n",
    );
    cli.run("run print.toml --id r").expect(0);
    cli
}

fn database(cli: &Cli) -> Connection {
    Connection::open(cli.database()).expect("the store is a database")
}

fn messages(cli: &Cli) -> Vec<String> {
    let document = cli.run("logs r --json").expect(0).json();
    let lines = document["lines"].as_array().unwrap().iter();
    lines
        .map(|line| line["message"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn b249_every_line_is_kept_as_one_object() {
    let cli = printed();
    let db = database(&cli);
    let mut rows = db
        .prepare("SELECT body FROM log ORDER BY position")
        .unwrap();
    let bodies: Vec<String> = rows
        .query_map((), |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(bodies.len(), 3, "{bodies:?}");
    for body in &bodies {
        assert!(!body.contains('\n'), "{body}");
        let line: Value = serde_json::from_str(body).unwrap();
        for key in ["at", "level", "message"] {
            assert!(line[key].is_string(), "{key}: {body}");
        }
    }
    let mut messages = messages(&cli);
    messages.sort();
    assert_eq!(messages, ["\"two\"", "one", "three"]);
    let text = cli.run("logs r").expect(0).stdout;
    assert_eq!(text.lines().count(), 3, "{text}");
}

#[test]
fn b250_a_terminal_that_is_gone_does_not_fail_the_run() {
    let cli = Cli::new();
    cli.workflow(
        "print.toml",
        "[[step]]\nid = \"say\"\nuse = \"hostile/print\"\nwith = { stdout = \"one\", stderr = \"two\" }\n",
    );
    let mut command = cli.command("run print.toml --id r");
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = command
        .stdout(Stdio::null())
        .stderr(writer)
        .output()
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(cli.shown("r")["status"], "completed");
    assert_eq!(messages(&cli).len(), 2, "the lines are kept all the same");
}

#[test]
fn b251_a_broken_line_is_told_and_hides_no_other() {
    let cli = printed();
    let whole = messages(&cli);
    let broken = "UPDATE log SET body = '{' WHERE position = (SELECT min(position) FROM log)";
    database(&cli).execute(broken, ()).unwrap();
    assert_eq!(messages(&cli), whole[1..]);
    let told = cli.run("logs r").expect(0).stderr;
    assert!(
        told.contains("warning: line") && told.contains("cannot be read"),
        "{told}"
    );
}

#[test]
fn b251_a_run_without_lines_has_an_empty_list() {
    let cli = printed();
    database(&cli).execute("DELETE FROM log", ()).unwrap();
    assert_eq!(messages(&cli), [""; 0]);
    assert_eq!(cli.run("logs r").expect(0).stdout, "");
}

#[test]
fn a_log_that_is_too_long_keeps_both_ends_and_says_what_was_dropped_everywhere() {
    let cli = Cli::new();
    cli.workflow(
        "flood.toml",
        "[[step]]\nid = \"flood\"\nuse = \"hostile/log_flood\"\nwith = { lines = 5000, bytes = 1000 }\n",
    );
    let told = cli.run("run flood.toml --id r").expect(0);
    let document = cli.run("logs r --json").expect(0).json();
    let lines = document["lines"].as_array().unwrap();
    let gap = lines
        .iter()
        .position(|line| line["log_dropped"].is_object());
    let gap = gap.expect("a line says what was dropped");
    assert!(
        gap > 100 && gap < lines.len() - 100,
        "{gap} of {}",
        lines.len()
    );
    let dropped = &lines[gap]["log_dropped"];
    assert_eq!(dropped["lines"], 5_000 + 1 - lines.len());
    let says = format!(
        "{} lines with {} bytes were dropped",
        dropped["lines"], dropped["bytes"]
    );
    for (surface, text) in [
        ("run", told.stderr),
        ("logs", cli.run("logs r").expect(0).stdout),
        ("show", cli.run("show r").expect(0).stdout),
        ("events", cli.run("events r").expect(0).stdout),
    ] {
        assert!(text.contains(&says), "{surface}");
    }
    let step = &cli.shown("r")["steps"][0];
    assert_eq!(step["log_dropped"], *dropped);
    let events = cli.run("events r --json").expect(0).json();
    let ended = events["events"].as_array().unwrap().iter();
    let tapes: Vec<_> = ended
        .map(|entry| &entry["event"]["tape"]["log_dropped"])
        .collect();
    assert!(tapes.contains(&dropped), "{tapes:?}");
    cli.run("replay r").expect(0);
}
