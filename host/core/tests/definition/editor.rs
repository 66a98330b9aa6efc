//! What editors and people see of a good definition.

use milepost_core::definition::json_schema;
use serde_json::Value;

use crate::good;

/// Every key of the language once.
const FULL: &str = r##"#:schema ./workflow.schema.json
schema = 1
name = "release-notes"
version = "1.0"
description = "Collect changes, fix the build, publish"
flow = "sequence"
on_failure = "stop"
returns = { url = "${ steps.publish.output.url }", all = ["${ steps.fix.output }", 1] }

[inputs.repo]
type = "string"
required = true
description = "owner/name"

[inputs.since]
type = "string"
default = "last-tag"
enum = ["last-tag", "start"]

[plugins.git]
source = "plugins/git.wasm"
digest = "sha256:9f2c0000000000000000000000000000000000000000000000000000000000ab"
allow = { kv = ["rates"], artifacts = true, secrets = ["api_token"], secrets-reveal = ["key"], http = [{ host = "*.example.com", ports = [8443], methods = ["GET"], paths = ["/v1/**"], private = true, secrets-over-http = true }], exec = [{ program = "git", args = ["log", "**"], env = ["LC_*"], dirs = ["/srv/**"] }] }
config = { api = "v3" }

[defaults]
timeout = "5m"
retry = { max_attempts = 3, initial = "2s", factor = 2.0, max = "1m", jitter = 0.25, on = ["retryable", "timeout"], codes = ["busy"], then = "pause" }

[limits]
loop = 10
parallel = 4
finally = "2m"
memory = "64MiB"
table_elements = 1000
host_calls = 500
step_output = "1MiB"
tape = "1MiB"
log = "64KiB"

[[step]]
id = "collect"
use = "git/list-commits"
with = { repo = "${ inputs.repo }", since = "${ inputs.since }", limit = 200 }
retry = { then = "fail" }
timeout = "30s"
always_run = true
idle_timeout = "10s"
secrets = ["api_token", "key"]
deadline = "5m"
continue_on_error = true
compensate = { use = "git/unlist", with = { commits = "${ steps.collect.output }" } }

[[step]]
id = "fix"
loop = { until = "steps.test.output.exit_code == 0", max_iterations = 5, on_exhausted = "continue" }

[[step]]
id = "patch"
in = "fix"
if = "loop.iteration > 1 && steps.test.output.log != \"\""
use = "git/apply-fix"

[[step]]
id = "test"
in = "fix"
use = "git/test"

[[step]]
id = "again"
if = "steps.fix.output.condition_met"
loop = { until = "true", maxIterations = 2 }
flow = "graph"

[[step]]
id = "announce"
in = "again"
use = "git/announce"
needs = ["publish"]
join = "all_done"

[[step]]
id = "publish"
in = "again"
use = "git/release"

[[step]]
id = "each"
foreach = { items = "['a', 'b']", max_parallel = 2, join = "all_done", max_items = 10, returns = "${ steps.each.item }" }

[[step]]
id = "tell"
in = "each"
use = "git/announce"

[[step]]
id = "all"
use = "git/announce"
foreach = { items = "steps.each.output" }

[[step]]
id = "rest"
wait = { for = "10m" }

[[step]]
id = "night"
wait = { until = "inputs.since" }

[[step]]
id = "deployed"
wait = { signal = "deployed", timeout = "2h", on_timeout = "continue" }

[[step]]
id = "notes"
workflow = "notes.toml"
with = { since = "${ inputs.since }" }

[[step]]
id = "packages"
workflow = "notes.toml"
foreach = { items = "['core', 'cli']" }
with = { package = "${ item }" }

[[step]]
id = "say"
if = "steps.deployed.output.timed_out"
approval = { message = "Announce ${ inputs.repo }?", timeout = "24h", on_timeout = "stay", on_reject = "cancel", rework = { from = "rest", max_attempts = 2 } }

[[step]]
id = "enough"
end = { status = "completed", message = "enough for ${ inputs.repo }", output = { n = 1 } }

[[step]]
id = "tidy"
use = "git"
call = "example:chat/rooms@1.0.0#announce"
finally = true
"##;

fn as_json(text: &str) -> Value {
    toml::from_str(text).unwrap()
}

#[test]
fn the_schema_accepts_every_key_of_the_language() {
    good(FULL);
    let schema = json_schema();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let found: Vec<_> = validator
        .iter_errors(&as_json(FULL))
        .map(|error| error.to_string())
        .collect();
    assert_eq!(found, Vec::<String>::new());
    // The sample names every key that the schema has, so that this test sees a key that is added.
    let text = schema.to_string();
    for (name, _) in schema["properties"].as_object().unwrap() {
        assert!(FULL.contains(name.as_str()), "{name}: {text}");
    }
    for (name, _) in schema["properties"]["step"]["items"]["properties"]
        .as_object()
        .unwrap()
    {
        assert!(FULL.contains(&format!("\n{name} = ")), "{name}");
    }
}

#[test]
fn the_schema_refuses_what_the_reader_refuses_by_shape() {
    let validator = jsonschema::draft202012::new(&json_schema()).unwrap();
    for (from, to) in [
        ("schema = 1", "schema = 2"),
        ("name = \"release-notes\"", "name = \"\""),
        ("name = \"release-notes\"\n", ""),
        ("flow = \"sequence\"", "flow = \"parallel\""),
        ("on_failure = \"stop\"", "on_failure = \"undo\""),
        ("use = \"git/unlist\", ", ""),
        (
            "call = \"example:chat/rooms@1.0.0#announce\"",
            "call = \"\"",
        ),
        ("parallel = 4", "parallel = 65"),
        ("finally = \"2m\"", "finally = \"0s\""),
        ("always_run = true", "always_run = true\nfinally = \"yes\""),
        ("join = \"all_done\"", "join = \"all\""),
        ("needs = [\"publish\"]", "needs = [\"\"]"),
        ("timeout = \"5m\"", "timeout = 300"),
        ("timeout = \"30s\"", "timeout = \"0s\""),
        ("max_iterations = 5", "max_iterations = 0"),
        ("max_iterations = 5", "max_iteration = 5"),
        ("factor = 2.0", "factor = 0.5"),
        ("artifacts = true", "artifact = true"),
        ("host = \"*.example.com\"", "host = \"\""),
        ("host = \"*.example.com\", ", ""),
        ("ports = [8443]", "ports = [\"8443\"]"),
        ("ports = [8443]", "ports = [65536]"),
        ("secrets = [\"api_token\"]", "secrets = [\"API_TOKEN\"]"),
        ("kv = [\"rates\"]", "kv = [\"the rates\"]"),
        (", args = [\"log\", \"**\"]", ""),
        ("[inputs.repo]", "[inputs.re-po]"),
        ("id = \"collect\"", "id = \"col lect\""),
        (
            "in = \"fix\"\nuse = \"git/test\"",
            "in = \"fix\"\nuse = \"git/test\"\nloop = { until = \"true\" }",
        ),
        ("use = \"git/release\"", "deadline = \"1h\""),
        ("memory = \"64MiB\"", "memory = \"64MB\""),
        ("for = \"10m\"", "for = \"10m\", signal = \"s\""),
        ("for = \"10m\"", ""),
        ("for = \"10m\"", "for = \"0m\""),
        ("signal = \"deployed\"", "signal = \"no way\""),
        ("on_timeout = \"continue\"", "on_timeout = \"stay\""),
        ("on_timeout = \"stay\"", "on_timeout = \"continue\""),
        ("message = \"Announce ${ inputs.repo }?\", ", ""),
        ("max_attempts = 2 }", "max_attempts = 11 }"),
        ("from = \"rest\", ", ""),
        (
            "wait = { for = \"10m\" }",
            "wait = { for = \"10m\" }\nuse = \"git/log\"",
        ),
    ] {
        assert!(FULL.contains(from), "{from}");
        let text = FULL.replacen(from, to, 1);
        assert!(
            !validator.is_valid(&as_json(&text)),
            "the schema accepts {to}"
        );
        crate::bad(&text);
    }
}
