//! Dry runs: the decisions of a run over stubs.

use std::collections::BTreeMap;

use milepost_core::definition::Definition;
use milepost_core::dry_run::{DryRun, Schemas, Setting, Stubs, Why, dry_run, scaffold};
use milepost_core::state::Status;
use milepost_core::time::Timestamp;
use serde_json::{Value, json};

use crate::sim::definition;

fn simulate(definition: &Definition, stubs: &Value, stop_at_gates: bool) -> DryRun {
    let stubs = Stubs::parse(&json!({ "steps": stubs }).to_string()).unwrap();
    dry_run(Setting {
        definition,
        inputs: BTreeMap::new(),
        stubs: &stubs,
        schemas: &Schemas::new(),
        stop_at_gates,
        now: Timestamp::from_nanos(1_700_000_000_000_000_000),
    })
}

fn traced(body: &str, stubs: &Value) -> (DryRun, Vec<String>) {
    let found = simulate(&definition(body), stubs, false);
    let lines = found.trace.iter();
    let lines = lines.map(|it| format!("{} {}", it.path, it.how.as_str()));
    let lines = lines.collect();
    (found, lines)
}

#[test]
fn b381_b383_a_graph_is_scheduled_with_its_joins_and_conditions() {
    let body = r#"
flow = "graph"
returns = "${ steps.end.output }"
[[step]]
id = "a"
use = "p/s"
[[step]]
id = "b"
use = "p/s"
[[step]]
id = "never"
needs = ["a"]
if = "steps.a.output.n > 5"
use = "p/s"
[[step]]
id = "behind"
needs = ["never"]
use = "p/s"
[[step]]
id = "end"
needs = ["a", "b", "behind"]
join = "one_success"
use = "p/s"
with = { n = "${ steps.a.output.n }" }
"#;
    let stubs =
        json!({ "a": { "output": { "n": 1 } }, "b": { "output": 2 }, "end": { "output": 3 } });
    let (found, lines) = traced(body, &stubs);
    let mut lines = lines;
    lines.sort();
    let expected = [
        "a stubbed",
        "b stubbed",
        "behind skipped",
        "end stubbed",
        "never skipped",
    ];
    assert_eq!(lines, expected);
    assert_eq!(
        (found.status, &found.output),
        (Status::Completed, &json!(3))
    );
    let end = found.trace.iter().find(|it| it.path == "end").unwrap();
    assert_eq!(end.input.as_deref(), Some(&json!({ "n": 1 })));
    assert!(found.is_complete());
}

#[test]
fn b382_what_has_no_stub_is_missing_and_what_nobody_asks_for_unused() {
    let body = "[[step]]\nid = \"a\"\nuse = \"p/s\"\n[[step]]\nid = \"b\"\nif = \"false\"\nuse = \"p/s\"\n";
    let stubs = json!({ "b": { "output": 1 }, "other": { "output": 1 } });
    let (found, lines) = traced(body, &stubs);
    assert_eq!(lines, ["a stubbed", "b skipped"]);
    assert_eq!(found.trace[0].why, Why::NoStub);
    assert_eq!(found.missing, ["a"]);
    let unused = [("b".to_owned(), true), ("other".to_owned(), false)];
    assert_eq!(found.unused, unused);
    assert!(!found.is_complete());
}

#[test]
fn loops_fan_outs_and_retries_take_one_stub_after_the_other() {
    let body = r#"
[[step]]
id = "grow"
loop = { until = "steps.n.output >= 3", max_iterations = 9 }
[[step]]
id = "n"
in = "grow"
use = "p/s"
[[step]]
id = "each"
use = "p/s"
foreach = { items = "[1, 2]" }
[[step]]
id = "flaky"
use = "p/s"
retry = { initial = "30s" }
"#;
    let stubs = json!({
        "n": [{ "output": 1 }, { "output": 2 }, { "output": 3 }],
        "each": { "output": "x" },
        "flaky": [{ "error": { "code": "busy", "retryable": true } }, { "output": 0 }],
    });
    let (found, lines) = traced(body, &stubs);
    assert_eq!(
        lines,
        [
            "grow#1/n stubbed",
            "grow#2/n stubbed",
            "grow#3/n stubbed",
            "grow completed",
            "each[0] stubbed",
            "each[1] stubbed",
            "each completed",
            "flaky failed",
            "flaky stubbed"
        ]
    );
    assert!(matches!(found.trace[7].why, Why::TriedAgain(_)));
    assert_eq!(found.trace[8].attempt, Some(2));
    assert!(found.is_complete());
}

const GATES: &str = r#"
[[step]]
id = "sleep"
wait = { for = "30d" }
[[step]]
id = "gate"
approval = { message = "Go?" }
[[step]]
id = "go"
wait = { signal = "go", timeout = "1h", on_timeout = "continue" }
"#;

#[test]
fn b383_gates_are_approved_and_waits_are_over_at_once() {
    let (found, lines) = traced(GATES, &json!({ "go": { "signal": { "n": 1 } } }));
    assert_eq!(lines, ["sleep completed", "gate completed", "go completed"]);
    assert_eq!(found.status, Status::Completed);
    assert_eq!(found.trace[2].output.as_deref(), Some(&json!({ "n": 1 })));
    assert!(found.unused.is_empty());
}

#[test]
fn b383_it_stops_at_gates_when_asked() {
    let found = simulate(&definition(GATES), &json!({}), true);
    assert_eq!(found.status, Status::Paused);
    let last = found.trace.last().unwrap();
    assert_eq!((last.path.as_str(), last.how.as_str()), ("gate", "paused"));
}

#[test]
fn stubs_reject_and_let_time_pass() {
    let stubs = json!({
        "gate": { "decision": "rejected", "comment": "no" },
    });
    let (found, _) = traced(GATES, &stubs);
    assert_ne!(found.status, Status::Completed);
    let (found, lines) = traced(GATES, &json!({ "go": { "timed_out": true } }));
    assert_eq!(found.status, Status::Completed);
    assert_eq!(lines.last().unwrap(), "go completed");
    assert_eq!(found.trace.last().unwrap().why, Why::Passed);
}

#[test]
fn a_child_run_takes_place_unless_a_stub_stands_for_it() {
    let body = "[[step]]\nid = \"call\"\nworkflow = \"c.toml\"\nwith = { n = 1 }\n";
    let (found, lines) = traced(body, &json!({ "call/s": { "output": 1 } }));
    assert_eq!(lines, ["call/s stubbed", "call completed"]);
    assert!(found.is_complete(), "{found:?}");
    let (found, lines) = traced(body, &json!({ "call": { "output": 1 } }));
    assert_eq!(lines, ["call completed"]);
    assert!(found.is_complete());
    let (found, _) = traced(body, &json!({}));
    assert_eq!(found.missing, ["call/s"]);
}

#[test]
fn a_failure_ends_it_as_it_ends_a_run() {
    let body = "[[step]]\nid = \"a\"\nuse = \"p/s\"\n[[step]]\nid = \"b\"\nuse = \"p/s\"\n";
    let stubs = json!({ "a": { "error": { "code": "broken", "message": "it broke" } } });
    let (found, lines) = traced(body, &stubs);
    assert_eq!(found.status, Status::Failed);
    assert_eq!(lines[0], "a failed");
    assert_eq!(found.trace[0].error.as_ref().unwrap().code, "broken");
}

#[test]
fn what_pauses_without_end_comes_to_rest() {
    let body = "[[step]]\nid = \"a\"\nuse = \"p/s\"\n";
    for pause in [
        json!({ "pause": { "code": "quota" } }),
        json!({ "pause": { "code": "asks", "signal": "go" } }),
    ] {
        let (found, _) = traced(body, &json!({ "a": pause }));
        assert_eq!(found.status, Status::Paused, "{pause}");
        assert!(!found.broken_off);
    }
    let twice = json!({ "a": [{ "pause": { "code": "asks", "signal": "go" } }, { "output": 1 }] });
    let (found, _) = traced(body, &twice);
    assert_eq!(found.status, Status::Completed);
}

#[test]
fn what_has_no_end_in_sight_is_broken_off() {
    let nested = |id: &str, within: &str| {
        format!(
            "[[step]]\nid = \"{id}\"\n{within}loop = {{ until = \"false\", max_iterations = 10000, on_exhausted = \"continue\" }}\n"
        )
    };
    let body = nested("outer", "")
        + &nested("inner", "in = \"outer\"\n")
        + "[[step]]\nid = \"a\"\nin = \"inner\"\nuse = \"p/s\"\n";
    let (found, _) = traced(&body, &json!({ "a": { "output": 1 } }));
    assert!(found.broken_off);
    assert_eq!(found.status, Status::Running);
}

#[test]
fn b382_a_scaffold_is_enough() {
    let body = format!(
        "{GATES}[[step]]\nid = \"a\"\nuse = \"p/s\"\n[[step]]\nid = \"call\"\nworkflow = \"c.toml\"\nwith = {{ n = 1 }}\n"
    );
    let definition = definition(&body);
    let key = (definition.source.file.clone(), "p".to_owned());
    let schema = json!({ "type": "object", "required": ["n"], "properties": { "n": { "type": "integer", "minimum": 2 } } });
    let schemas = Schemas::from([(key, BTreeMap::from([("s".to_owned(), schema)]))]);
    let stubs = scaffold(&definition, &schemas);
    let text = stubs.to_text();
    assert_eq!(Stubs::parse(&text).as_ref(), Ok(&stubs));
    let written: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(written["steps"]["a"]["output"], json!({ "n": 2 }));
    let found = dry_run(Setting {
        definition: &definition,
        inputs: BTreeMap::new(),
        stubs: &stubs,
        schemas: &schemas,
        stop_at_gates: false,
        now: Timestamp::from_nanos(0),
    });
    assert!(found.is_complete(), "{found:?}");
    assert!(found.unused.is_empty(), "{:?}", found.unused);
}

#[test]
fn a_stub_that_cannot_be_used_is_named() {
    for (text, words) in [
        (
            r#"{"steps": {"a": {"outputt": 1}}}"#,
            "the stub of `a`: unknown field `outputt`",
        ),
        (
            r#"{"steps": {"a": {}, "b": [{"output": 1}, 5]}}"#,
            "the stub of `a` has to have one of",
        ),
        (
            r#"{"steps": {"b": [{"output": 1}, 5]}}"#,
            "the stub of `b`: it is no object",
        ),
        (
            r#"{"steps": {"b": [[]]}}"#,
            "the stub of `b`: it is no object",
        ),
        (
            r#"{"steps": {"b": []}}"#,
            "the stub of `b` has to have one of",
        ),
        (
            r#"{"steps": {"b": {"error": {}}}}"#,
            "the stub of `b`: missing field `code`",
        ),
        (r#"{"stubs": {}}"#, "unknown field `stubs`"),
    ] {
        let refused = Stubs::parse(text).unwrap_err().to_string();
        assert!(refused.contains(words), "{text}: {refused}");
    }
}
