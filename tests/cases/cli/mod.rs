//! The program as its users see it. Each test reads like a terminal session.

mod errors;
mod going_on;
mod keeping;
mod ledger;
mod listing;
mod looking;
mod running;
mod signals;
mod stopping;
mod waiting;
mod working;

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
