//! What a run says while it moves, seen from another process: the log of an attempt in flight, and that of one whose process died.

use std::time::{Duration, Instant};

use milepost_tests::cli::Cli;
use serde_json::{Value, json};

/// How long a condition may take to come about on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A step that speaks and hangs in its first attempt, and speaks and ends in any later one.
const HANGS_ONCE: &str = "import { clock, progress } from 'milepost';
export const steps = {
  work(_, { attempt }) {
    console.log('begun', attempt);
    progress(1, 3, 'one of three');
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
    let line = cli.shell("milepost show r --follow --json | grep -m1 progress");
    let line: Value = line.expect(0).json();
    let told = &line["progress"];
    let told = [
        &told["path"],
        &told["attempt"],
        &told["done"],
        &told["total"],
    ];
    assert_eq!(told, [&json!("work"), &json!(1), &json!(1), &json!(3)]);
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

/// A step that waits for a file, told by a second one: a signal that nobody has to time.
const GATED: &str = "[[step]]
id = \"one\"
use = \"world/visit\"
with = { calls = [{ do = \"log\", message = \"first\" }] }
[[step]]
id = \"two\"
use = \"world/visit\"
retry = { initial = \"1ms\", max_attempts = 2 }
with = { calls = [
    { do = \"fail_in\", attempt = 1, retryable = true },
    { do = \"log\", message = \"second\" },
    { do = \"sleep\", millis = 50000 },
    { do = \"sleep\", millis = 50000 },
] }
";

const ASKS: &str = "[[step]]
id = \"one\"
use = \"world/visit\"
with = { calls = [{ do = \"log\", message = \"first\" }] }
[[step]]
id = \"ask\"
approval = { message = \"Go on?\" }
[[step]]
id = \"two\"
use = \"world/visit\"
with = { calls = [{ do = \"log\", message = \"second\" }] }
";

#[test]
fn a_run_of_another_process_is_followed_to_where_it_stops() {
    let cli = Cli::new();
    cli.workflow("gated.toml", GATED);
    cli.run("submit gated.toml --id r").expect(0);
    let mut shown = cli.start("show r --follow");
    // Nobody drives it, which is told once.
    shown.until("run r is pending: a worker");
    let logs = cli.start("logs r --follow --json");
    let worker = cli.start("work");
    // In flight: its outcome is far away.
    shown.until("step two: retry 2 of 2 in 1 ms: retryable told: as it was told");
    shown.until("two | second");
    cli.run("cancel r").expect(0);
    let shown = shown.wait().expect(3);
    assert!(shown.stderr.contains("run r: started\n"), "{shown:?}");
    assert!(shown.stderr.contains("step one: completed in"), "{shown:?}");
    assert!(shown.stderr.contains("cancelled: run r after"), "{shown:?}");
    assert_eq!(shown.stdout, "");

    let logs = logs.wait().expect(3);
    assert_eq!(logs.stderr, "");
    let lines = logs.stdout.lines();
    let lines: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(lines.iter().all(|line| line["id"] == "r"), "{lines:#?}");
    let logged: Vec<&str> = lines
        .iter()
        .filter_map(|line| line["log"]["message"].as_str())
        .collect();
    assert_eq!(logged, ["first", "second"]);
    let kinds: Vec<&str> = lines
        .iter()
        .filter_map(|line| line["event"]["event"]["type"].as_str())
        .collect();
    assert!(kinds.contains(&"attempt_failed"), "{kinds:?}");
    assert_eq!(lines.last().unwrap()["run"]["status"], "cancelled");
    worker.signal("TERM");
    worker.wait();
}

#[test]
fn a_run_that_stands_still_is_told_whole_with_the_next_command() {
    let cli = Cli::new();
    cli.workflow("asks.toml", ASKS);
    let ran = cli.run("run asks.toml --id r").expect(2);
    let shown = cli.run("show r --follow").expect(2);
    // As `run` has told it.
    assert_eq!(shown.stderr, ran.stderr);
    assert!(shown.stderr.contains("`milepost approve r`"), "{shown:?}");
    let logs = cli.run("logs r --follow").expect(2);
    assert_eq!(logs.stdout.lines().count(), 1);
    assert!(logs.stdout.contains("one info: first"), "{logs:?}");
    assert!(logs.stderr.contains("step ask: waits for a decision"));
    assert!(logs.stderr.contains("`milepost approve r`"), "{logs:?}");
    // Continued by a worker, it is followed across the pause.
    cli.run("approve r").expect(0);
    let followed = cli.start("show r --follow --json");
    cli.run("work --until-idle").expect(0);
    let followed = followed.wait().expect(0);
    let last = followed.stdout.lines().last().unwrap();
    let last: Value = serde_json::from_str(last).unwrap();
    assert_eq!(last["run"]["status"], "completed");
    // Only what stands in a step.
    let logs = cli.run("logs r --follow --step two").expect(0);
    assert_eq!(logs.stdout.lines().count(), 1);
    cli.run("show nobody --follow").expect(65);
    cli.run("show r --follow --at 3").expect(64);
}

#[test]
fn a_reader_that_leaves_ends_it_quietly() {
    let cli = Cli::new();
    cli.workflow("gated.toml", GATED);
    cli.run("submit gated.toml --id r").expect(0);
    let worker = cli.start("work");
    // The run goes on long after that line.
    for line in [
        "milepost logs r --follow | head -1",
        "milepost show r --follow --json | head -1",
    ] {
        let piped = format!("set -o pipefail; {line}");
        let left = cli.shell(&piped).expect(0);
        assert_eq!(left.stdout.lines().count(), 1, "{line}");
        assert!(!left.stderr.contains("error"), "{line}: {}", left.stderr);
    }
    worker.signal("KILL");
    worker.wait();
}

#[test]
fn an_interrupted_look_leaves_the_run_alone() {
    let cli = Cli::new();
    cli.workflow("gated.toml", GATED);
    cli.run("submit gated.toml --id r").expect(0);
    let worker = cli.start("work");
    let mut shown = cli.start("show r --follow");
    shown.until("two | second");
    shown.signal("INT");
    // It runs on, elsewhere.
    let shown = shown.wait().expect(75);
    assert!(shown.stderr.contains("another process is driving it"));
    assert_eq!(cli.shown("r")["status"], "running");
    worker.signal("KILL");
    worker.wait();
    // Its process is gone, which is told once.
    let mut shown = cli.start("show r --follow");
    shown.until("run r is running: a worker");
    shown.signal("TERM");
    shown.wait().expect(75);
}

#[test]
fn child_runs_are_told_with_their_parent() {
    let cli = Cli::new();
    cli.workflow("child.toml", "[[step]]\nid = \"inner\"\nuse = \"world/visit\"\nwith = { calls = [{ do = \"log\", message = \"deep\" }] }\n");
    cli.workflow(
        "w.toml",
        "[[step]]\nid = \"outer\"\nworkflow = \"child.toml\"\n",
    );
    let ran = cli.run("run w.toml --id r").expect(0);
    let shown = cli.run("show r --follow").expect(0);
    let told = |text: &str| {
        let lines = text.lines().filter(|line| !line.contains("completed"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(told(&shown.stderr), told(&ran.stderr));
    assert!(shown.stderr.contains("deep"), "{shown:?}");
    let inner = shown.stderr.find("outer: step inner: completed").unwrap();
    assert!(inner < shown.stderr.find("step outer: completed").unwrap());
}

#[test]
fn a_trap_says_first_what_happened_and_where() {
    let cli = Cli::new();
    cli.workflow(
        "traps.toml",
        "[[step]]\nid = \"one\"\nuse = \"world/visit\"\nwith = { calls = [{ do = \"trap_in\", attempt = 1 }] }\n",
    );
    let ran = cli.run("run traps.toml --id r").expect(1);
    let told = "step one: failed: trap: panicked at ";
    let line = ran.stderr.lines().find(|line| line.contains(told)).unwrap();
    assert!(line.contains("src/lib.rs:") && line.ends_with(": as it was told"));
    for line in ["show r", "show r --follow"] {
        let brief = cli.run(line);
        let brief = brief.stdout + &brief.stderr;
        assert!(brief.contains("as it was told"), "{brief}");
        assert!(
            brief.contains("(`--verbose` shows the backtrace)"),
            "{brief}"
        );
        assert!(!brief.contains("!function "), "{brief}");
        let whole = cli.run(&format!("{line} --verbose"));
        let whole = whole.stdout + &whole.stderr;
        // The component has no names of functions.
        assert!(whole.contains("0: ?!function "), "{whole}");
    }
    let error = cli.shown("r")["steps"][0]["error"]["message"].clone();
    let error = error.as_str().unwrap();
    assert!(error.starts_with("panicked at ") && error.contains("0: ?!function "));
    let replayed = cli.run("replay r --json").expect(0).json();
    assert_eq!(replayed["divergence"], Value::Null);
    // As hosts recorded it before they told the guest's words.
    let begins = error.find("wasm trap").unwrap();
    let old = serde_json::to_string(&error[begins..]).unwrap();
    let new = serde_json::to_string(error).unwrap();
    let db = rusqlite::Connection::open(cli.database()).unwrap();
    for table in ["journal", "checkpoint"] {
        let sql = format!("UPDATE {table} SET body = replace(body, ?1, ?2)");
        db.execute(&sql, [&new, &old]).unwrap();
    }
    let sql = "UPDATE run SET present = replace(present, ?1, ?2)";
    db.execute(sql, [&new, &old]).unwrap();
    drop(db);
    assert!(!cli.run("show r").stdout.contains("panicked"));
    let replayed = cli.run("replay r --json").expect(0).json();
    assert_eq!(replayed["divergence"], Value::Null);
}

#[test]
fn on_a_terminal_a_run_is_followed_as_it_was_shown_when_it_ran() {
    let cli = Cli::new();
    cli.workflow("asks.toml", ASKS);
    let ran = cli.on_terminal("run asks.toml --id r", 8);
    let shown = cli.on_terminal("show r --follow", 8);
    assert_eq!((ran.status, shown.status), (2, 2));
    let took = |line: &String| !line.contains("completed in");
    let left = |lines: Vec<String>| lines.into_iter().filter(took).collect::<Vec<_>>();
    let (ran, shown) = (left(ran.left), left(shown.left));
    assert_eq!(ran, shown);
    for line in [
        "run r: started",
        "  one | first",
        "step ask: waits for a decision: Go on?",
    ] {
        assert!(ran.iter().any(|left| left == line), "{line}: {ran:#?}");
    }
    let dumb = cli
        .command("show r --follow")
        .env("TERM", "dumb")
        .output()
        .unwrap();
    let said = String::from_utf8(dumb.stderr).unwrap();
    assert!(
        !said.contains('\u{1b}') && said.contains("step one: started\n"),
        "{said}"
    );
}
