//! Advice that is printed can be followed: every command that the program names, in whatever state a run stands, is executed
//! against that very state and must not be refused there.

use std::collections::BTreeSet;
use std::path::Path;

use milepost_tests::cli::{Cli, Output};
use serde_json::Value;

use super::{FAILING, GATE, HELLO, PAUSING, SIGNAL, flaky};

/// Exit codes of a command that meant nothing where it was typed.
const REFUSED: [i32; 6] = [64, 65, 69, 70, 75, 101];

/// How a run gets into a state: the workflow `w.toml`, and commands with their exit codes. `INT` and `KILL` end a `run` that
/// was begun with `begin`.
type State = (&'static str, String, &'static [(&'static str, i32)]);

/// Sat out in the process, so that it can be interrupted in there; and short, so that it can be gone on with.
const NAP: &str = "[[step]]\nid = \"nap\"\nwait = { for = \"2s\" }\n[[step]]\nid = \"up\"\nuse = \"text/upper\"\nwith = { text = \"a\" }\n";
const GATES: &str = "[[step]]\nid = \"g1\"\napproval = { message = \"One?\" }\n[[step]]\nid = \"g2\"\napproval = { message = \"Two?\" }\n";
const LOOP: &str = "[[step]]\nid = \"l\"\nloop = { until = \"steps.m.status == 'completed'\", max_iterations = 2 }\n[[step]]\nid = \"m\"\nin = \"l\"\nuse = \"flaky/fail_always\"\n";
const RUN: (&str, i32) = ("run w.toml --id r", 2);

fn states() -> Vec<State> {
    let wait = |wait: &str| format!("[[step]]\nid = \"w\"\n{wait}\n");
    let returns = format!(
        "returns = \"${{ steps.w.output.data.n }}\"\n{}",
        wait("wait = { signal = \"go\" }")
    );
    let rework = "[[step]]\nid = \"draft\"\nuse = \"text/upper\"\nwith = { text = \"a\" }\n[[step]]\nid = \"g\"\napproval = { message = \"Good?\", rework = { from = \"draft\" } }\n";
    vec![
        (
            "completed",
            HELLO.to_owned(),
            &[("run w.toml --id r --input name=x", 0)],
        ),
        ("failed", FAILING.to_owned(), &[("run w.toml --id r", 1)]),
        ("loop used up", LOOP.to_owned(), &[("run w.toml --id r", 1)]),
        (
            "returns failed",
            returns,
            &[RUN, ("signal r go", 0), ("resume r", 1)],
        ),
        ("paused", PAUSING.to_owned(), &[RUN]),
        ("paused for a signal", SIGNAL.to_owned(), &[RUN]),
        ("retries used up", flaky("max_attempts = 1"), &[RUN]),
        ("waits for time", wait("wait = { for = \"36h\" }"), &[RUN]),
        (
            "waits for a signal",
            wait("wait = { signal = \"go\", timeout = \"36h\" }"),
            &[RUN],
        ),
        ("asks", GATE.to_owned(), &[RUN]),
        ("approved", GATE.to_owned(), &[RUN, ("approve r", 0)]),
        ("rejected", GATE.to_owned(), &[RUN, ("reject r", 0)]),
        ("sent back", rework.to_owned(), &[RUN, ("reject r", 0)]),
        ("signalled", SIGNAL.to_owned(), &[RUN, ("signal r go", 0)]),
        (
            "at an earlier gate again",
            GATES.to_owned(),
            &[
                RUN,
                ("approve r", 0),
                ("resume r", 2),
                ("retry r --from g1", 2),
            ],
        ),
        ("cancelled", PAUSING.to_owned(), &[RUN, ("cancel r", 0)]),
        ("pending", NAP.to_owned(), &[("submit w.toml --id r", 0)]),
        ("interrupted", NAP.to_owned(), &[("begin", 0), ("INT", 2)]),
        ("lost", NAP.to_owned(), &[("begin", 0), ("KILL", 137)]),
    ]
}

/// What is typed in every state, as advice is sought in what the program answers.
const TYPED: [&str; 13] = [
    "show r",
    "show r --json",
    "ls --json",
    "doctor",
    "resume r",
    "retry r",
    "approve r",
    "reject r --json",
    "signal r go",
    "signal r og",
    "pause r",
    "cancel r --json",
    "submit w.toml --id r",
];

fn reach(cli: &Cli, workflow: &str, commands: &[(&str, i32)]) {
    cli.workflow("w.toml", workflow);
    let mut begun = None;
    for (line, exit) in commands {
        match *line {
            "begin" => {
                let mut running = cli.start("run w.toml --id r");
                running.until("nap: ");
                begun = Some(running);
            }
            "INT" | "KILL" => {
                let running = begun.take().expect("it was begun");
                running.signal(line);
                running.wait().expect(*exit);
            }
            line => drop(cli.run(line).expect(*exit)),
        }
    }
}

#[test]
fn every_command_that_is_suggested_can_be_typed_where_it_is_suggested() {
    let mut followed = 0;
    for (state, workflow, commands) in states() {
        let reached = Cli::new();
        reach(&reached, &workflow, commands);
        let mut known = BTreeSet::new();
        for typed in TYPED {
            let asked = copy(&reached);
            let answer = asked.run(typed);
            for command in advice(&answer) {
                // What changed nothing leaves the state as it was.
                let looked = typed.starts_with("show") || typed.starts_with("ls");
                if looked && !known.insert(command.clone()) {
                    continue;
                }
                let tried = copy(&asked).shell(&runnable(&command));
                assert!(
                    !REFUSED.contains(&tried.status),
                    "state `{state}`: `{typed}` suggests `{command}`, which is refused there\n{answer:#?}\n{tried:#?}"
                );
                followed += 1;
            }
        }
        // Where a run does not move, something leads on.
        if !matches!(state, "completed" | "rejected" | "cancelled") {
            assert!(!known.is_empty(), "state `{state}` suggests nothing");
        }
    }
    assert!(followed > 100, "only {followed} commands were found");
}

/// The commands that an answer names: between backticks, or behind the label of a line. Who did something is no advice.
fn advice(answer: &Output) -> Vec<String> {
    let mut found = Vec::new();
    for text in [&answer.stdout, &answer.stderr] {
        match serde_json::from_str::<Value>(text) {
            Ok(document) => strings(&document, &mut |text| named(text, &mut found)),
            Err(_) => named(text, &mut found),
        }
    }
    found
}

fn strings(value: &Value, with: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => with(text),
        Value::Array(values) => values.iter().for_each(|value| strings(value, with)),
        Value::Object(entries) => entries.values().for_each(|value| strings(value, with)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn named(text: &str, found: &mut Vec<String>) {
    for line in text.lines() {
        if let Some((label, command)) = line.trim().split_once(": ")
            && command.trim_start().starts_with("milepost ")
            && label.chars().all(|c| c.is_ascii_lowercase())
        {
            found.push(command.trim().to_owned());
        }
        for (at, _) in line.match_indices("`milepost ") {
            let command = line[at + 1..].split('`').next().unwrap_or_default();
            if !line[..at].ends_with("by ") {
                found.push(command.to_owned());
            }
        }
    }
}

/// A worker without an end would have none here; a verb that is only mentioned has its help.
fn runnable(command: &str) -> String {
    match command.split_whitespace().collect::<Vec<_>>().as_slice() {
        ["milepost", "work"] => "milepost work --until-idle".to_owned(),
        ["milepost", "ls" | "doctor"] => command.to_owned(),
        ["milepost", verb] => format!("milepost {verb} --help"),
        _ => command.to_owned(),
    }
}

/// The same folder once more: what is tried there leaves this one alone.
fn copy(cli: &Cli) -> Cli {
    let copy = Cli::new();
    copy_into(cli.folder(), copy.folder());
    copy
}

fn copy_into(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir_all(&target).unwrap();
            copy_into(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
