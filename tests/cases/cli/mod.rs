//! The program as its users see it. Each test reads like a terminal session; how to update the transcripts stands in
//! `tests/harness/session.rs`.

mod advice;
mod afterwards;
mod beginning;
mod bounded;
mod calling;
mod carrying;
mod children;
mod completing;
mod contradicted;
mod developing;
mod documents;
mod drawing;
mod ending;
mod errors;
mod examining;
mod explaining;
mod fan_out;
mod files;
mod finally;
mod foreign;
mod forking;
mod going_on;
mod graphs;
mod history;
mod keeping;
mod labelling;
mod language;
mod ledger;
mod listing;
mod locking;
mod looking;
mod many;
mod meant;
mod named;
mod once;
mod output;
mod outputs;
mod places;
mod plugins;
mod replaying;
mod running;
mod scarce;
mod scripts;
mod signals;
mod simulating;
mod stopping;
mod testing;
mod testing_workflows;
mod undelivered;
mod values;
mod waiting;
mod working;
mod wrong_files;

use milepost_tests::cli::{Cli, Running};

/// One step that greets.
const HELLO: &str = r#"
returns = "${ steps.greet.output.greeting }"
[inputs.name]
type = "string"
[[step]]
id = "greet"
use = "text/greet"
with = { name = "${ inputs.name }" }
"#;

/// A step that asks a person, and one behind it.
const GATE: &str = r#"
returns = "${ steps.gate.output.comment }"
[[step]]
id = "gate"
approval = { message = "Publish?" }
[[step]]
id = "after"
use = "text/upper"
with = { text = "a" }
"#;

/// Asks a person, then waits for a signal.
const ASKS: &str = r#"
[[step]]
id = "ask"
approval = { message = "Sure?" }
[[step]]
id = "after"
wait = { signal = "go" }
"#;

/// A step that pauses until the signal `go` comes, and returns what came with it.
const SIGNAL: &str = r#"
[[step]]
id = "ask"
use = "pausing/for_signal"
with = { signal = "go" }
"#;

/// A step that completes, then one that pauses once.
const PAUSING: &str = r#"
[[step]]
id = "first"
use = "text/upper"
with = { text = "a" }
[[step]]
id = "ask"
use = "pausing/until_attempt"
with = { complete_on = 2, provider = "acme" }
"#;

/// Two steps that fail.
const FAILING: &str = r#"
[[step]]
id = "one"
use = "flaky/fail_always"
continue_on_error = true
[[step]]
id = "two"
use = "flaky/fail_always"
with = { code = "too-bad" }
"#;

/// A step that never ends by itself.
const ENDLESS: &str = r#"
[[step]]
id = "first"
use = "text/upper"
with = { text = "a" }
[[step]]
id = "spin"
use = "hostile/spin"
"#;

/// A step that fails once and is then tried again.
fn flaky(retry: &str) -> String {
    format!(
        "[[step]]\nid = \"try\"\nuse = \"flaky/fail_until\"\nwith = {{ succeed_on = 2 }}\nretry = {{ {retry} }}\n"
    )
}

/// A program in the middle of a step that never ends.
fn spinning(cli: &Cli) -> Running {
    cli.workflow("endless.toml", ENDLESS);
    let mut running = cli.start("run endless.toml --id spin --json");
    running.until("step spin: started");
    running
}

/// A folder with workflows that complete, pause and fail.
fn workflows() -> Cli {
    let cli = Cli::new();
    cli.workflow("hello.toml", HELLO);
    cli.workflow("pausing.toml", PAUSING);
    cli.workflow("failing.toml", FAILING);
    cli
}

/// The same after a run of each, from the oldest: `done`, `bad`, `nap`.
fn stopped() -> Cli {
    let cli = workflows();
    cli.run("run hello.toml --input name=x --id done").expect(0);
    cli.run("run failing.toml --id bad").expect(1);
    cli.run("run pausing.toml --id nap").expect(2);
    cli
}

/// Ids of the runs that a list has, in its order.
fn ids(cli: &Cli, list: &str) -> Vec<String> {
    let rows = cli.run(list).expect(0).json();
    let rows = rows.as_array().into_iter().flatten();
    rows.filter_map(|row| row["id"].as_str().map(str::to_owned))
        .collect()
}
