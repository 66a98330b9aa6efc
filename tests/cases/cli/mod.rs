//! The program as its users see it. Each test reads like a terminal session.

mod errors;
mod going_on;
mod looking;
mod running;
mod signals;

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
