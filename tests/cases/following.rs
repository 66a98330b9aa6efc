//! What a run says while it moves, seen from another process: the log of an attempt in flight, and that of one whose process died.

use std::time::{Duration, Instant};

use milepost_tests::cli::Cli;
use serde_json::Value;

/// How long a condition may take to come about on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A step that speaks and hangs in its first attempt, and speaks and ends in any later one.
const HANGS_ONCE: &str = "import { clock } from 'milepost';
export const steps = {
  work(_, { attempt }) {
    console.log('begun', attempt);
    if (attempt === 1) for (;;) clock.sleep(50000);
    console.log('done', attempt);
  },
};
";

const WORKFLOW: &str = "schema = 1\nname = \"w\"\n[plugins.s]\nsource = \"s.js\"\n\
[[step]]\nid = \"work\"\nuse = \"s/work\"\n";

fn script(text: &str) -> Cli {
    let cli = Cli::new();
    cli.write("w.toml", WORKFLOW);
    cli.write("s.js", text);
    cli
}

/// Waits until something has come about.
fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "{what} never came about");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Attempt and text of every line.
fn lines(cli: &Cli, run: &str) -> Vec<(u64, String)> {
    let document = cli.run(&format!("logs {run} --json")).expect(0).json();
    let lines = document["lines"].as_array().unwrap().iter();
    let line = |line: &Value| {
        let text = line["message"].as_str().unwrap().to_owned();
        (line["attempt"].as_u64().unwrap(), text)
    };
    lines.map(line).collect()
}

fn said(lines: &[(u64, &str)]) -> Vec<(u64, String)> {
    let lines = lines.iter();
    lines.map(|(n, text)| (*n, (*text).to_owned())).collect()
}

#[test]
fn what_an_attempt_said_before_it_died_stays_and_is_told_once() {
    let cli = script(HANGS_ONCE);
    cli.run("submit w.toml --id r").expect(0);
    let worker = cli.start("work");
    let first = said(&[(1, "begun 1")]);
    until("a line of an attempt in flight", || {
        (lines(&cli, "r") == first).then_some(())
    });
    assert_eq!(cli.shown("r")["status"], "running");
    worker.signal("KILL");
    assert_eq!(worker.wait().status, 128 + 9);
    assert_eq!(lines(&cli, "r"), first);
    // What is there is counted, and is of an attempt that has begun.
    cli.run("doctor").expect(0);

    cli.run("resume r").expect(0);
    let all = said(&[(1, "begun 1"), (2, "begun 2"), (2, "done 2")]);
    assert_eq!(lines(&cli, "r"), all);
    cli.run("doctor").expect(0);
    let replayed = cli.run("replay r --json").expect(0).json();
    assert_eq!(replayed["divergence"], Value::Null);
    cli.run("export r -o r.mpr").expect(0);
    cli.run("--store other import r.mpr").expect(0);
    let other = Cli::run(&cli, "--store other logs r --json")
        .expect(0)
        .json();
    assert_eq!(other["lines"], cli.run("logs r --json").json()["lines"]);
    cli.run("gc --older-than 0s").expect(0);
    cli.run("logs r").expect(65);
}
