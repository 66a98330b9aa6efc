//! Inputs and outputs of steps are held against the manifest when they run.

use std::collections::BTreeMap;
use std::sync::Arc;

use milepost::Engine;
use milepost::attempt::BoxFuture;
use milepost::engine::{Control, StartOptions};
use milepost::replay::replay;
use milepost::report::RunReport;
use milepost::secrets::{SecretSource, SecretValue};
use milepost_core::ids::RunId;
use milepost_core::outcome::{ErrorClass, StepError};
use milepost_core::state::Status;
use milepost_tests::rig::{Rig, r1};
use milepost_tests::scripted::{Script, ok};
use serde_json::{Value, json};

const BODY: &str = "
[inputs.count]
type = 'json'
[[step]]
id = 'a'
use = 'p/a'
with = { parts = [{ count = '${ inputs.count }' }] }
retry = { max_attempts = 3, initial = '1s', on = ['retryable'] }
";

/// A component that says what it takes and gives, and gives what it says.
fn declares() -> Script {
    let script = Script::new().step("a", |call| {
        let count = &call.input["parts"][0]["count"];
        ok(json!({ "count": count, "list": [1, 2] }))
    });
    script.declare(Some(json!({ "a": {
        "input": {
            "type": "object",
            "properties": { "parts": { "type": "array", "items": {
                "type": "object",
                "properties": { "count": { "type": ["integer", "string"], "maximum": 9 } },
                "required": ["count"],
            } } },
        },
        "output": {
            "type": "object",
            "properties": { "count": { "type": "integer" }, "list": { "type": "array" } },
            "required": ["count"],
        },
    } })));
    script
}

async fn run(rig: &Rig, count: Value) -> RunReport {
    let options = StartOptions {
        id: Some(r1()),
        control: Control::default(),
        ..StartOptions::default()
    };
    let inputs = BTreeMap::from([("count".to_owned(), count)]);
    let engine = rig.engine();
    engine.run(rig.workflow(), inputs, options).await.unwrap()
}

async fn error_of(rig: &Rig, count: Value) -> StepError {
    let report = run(rig, count).await;
    assert_eq!(report.status, Status::Failed);
    report.steps[0].error.clone().unwrap()
}

#[tokio::test]
async fn an_input_that_does_not_fit_never_reaches_the_component() {
    let script = declares();
    let rig = Rig::sqlite(BODY, &script);
    let error = error_of(&rig, json!(12)).await;
    assert_eq!(
        (error.class, &*error.code, &*error.message),
        (
            ErrorClass::Failed,
            "invalid_input",
            "the input does not fit the manifest of `a`: `parts[0].count`: expected at most 9, found 12"
        )
    );
    let problem = json!({ "path": "parts[0].count", "expected": "at most 9", "actual": "12" });
    assert_eq!(error.detail, Some(json!({ "problems": [problem] })));
    assert!(script.calls().is_empty());
    assert_eq!(rig.replay().await.unwrap().divergence, None);
}

#[tokio::test]
async fn an_output_that_does_not_fit_fails_the_step_and_is_not_tried_again() {
    let rig = Rig::sqlite(BODY, &declares());
    let error = error_of(&rig, json!("many")).await;
    assert_eq!(
        (error.class, &*error.code, &*error.message),
        (
            ErrorClass::Trap,
            "invalid_output",
            "the output does not fit the manifest of `a`: `count`: expected an integer, found \"many\""
        )
    );
    assert_eq!(rig.script.calls(), ["a"]);
    let replayed = rig.replay().await.unwrap();
    assert_eq!((replayed.divergence, replayed.attempts), (None, 1));
}

/// Whoever wants another attempt says so: it may be an answer of something that is not the same twice.
#[tokio::test]
async fn a_retry_of_traps_tries_such_an_output_again() {
    let body = BODY.replace("['retryable']", "['trap'], codes = ['invalid_output']");
    let script = declares();
    script.answer("a", |call| match call.attempt {
        1 => ok(json!({ "count": "many" })),
        _ => ok(json!({ "count": 3 })),
    });
    let rig = Rig::sqlite(&body, &script);
    assert_eq!(run(&rig, json!("many")).await.status, Status::Completed);
    assert_eq!(script.calls().len(), 2);
}

#[tokio::test]
async fn a_plugin_that_is_not_validated_takes_and_gives_what_comes() {
    let rig = Rig::sqlite(BODY, &declares());
    let text = std::fs::read_to_string(rig.file()).unwrap();
    let text = text.replace("\"p.wasm\"\n", "\"p.wasm\"\nvalidate = false\n");
    std::fs::write(rig.file(), text).unwrap();
    assert_eq!(run(&rig, json!("many")).await.status, Status::Completed);
    assert_eq!(rig.replay().await.unwrap().divergence, None);
}

/// A run that began before values were checked came to what it came to, and goes on so.
#[tokio::test]
async fn an_older_run_replays_as_it_was_recorded() {
    let script = declares();
    script.declare(None);
    let mut rig = Rig::sqlite(BODY, &script);
    assert_eq!(run(&rig, json!("many")).await.status, Status::Completed);
    // The same component, which says now what it declared.
    let declared = declares();
    rig.script = declared;
    assert!(rig.replay().await.unwrap().divergence.is_some());
    rig.damaged = true;
    for table in ["journal", "checkpoint"] {
        let db = rusqlite::Connection::open(rig.store_file()).unwrap();
        let older = format!(
            "UPDATE {table} SET body = replace(body, '\"rules\":6', '\"rules\":5') WHERE body LIKE '%\"rules\":6%'"
        );
        assert_eq!(db.execute(&older, []).unwrap(), 1, "{table}");
    }
    rig.reopen();
    let replayed = rig.replay().await.unwrap();
    assert_eq!((replayed.divergence, replayed.attempts), (None, 1));
}

/// Knows one secret.
struct Knows;

const SECRET: &str = "hush-hush-hush";

impl SecretSource for Knows {
    fn secret<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<SecretValue>, String>> {
        Box::pin(std::future::ready(Ok(SecretValue::new(SECRET).ok())))
    }

    fn advice(&self, _: &str) -> String {
        String::new()
    }
}

/// What an error shows is masked before it is cut: no part of a value is left at its end.
#[tokio::test]
async fn what_an_error_shows_is_cut_and_holds_no_secret() {
    let script = Script::new().step("a", |call| ok(json!({ "list": call.input["long"] })));
    let schema = json!({
        "type": "object",
        "properties": { "long": { "type": "integer" }, "names": { "additionalProperties": false } },
    });
    script.declare(Some(json!({ "a": { "input": schema } })));
    let body = "
[plugins.p.allow]
secrets = ['s']
[[step]]
id = 'a'
use = 'p/a'
secrets = ['s']
with = { long = '${ inputs.long }', names = '${ inputs.names }' }
[inputs.long]
type = 'json'
[inputs.names]
type = 'json'
";
    let rig = Rig::sqlite(body, &script);
    let engine = Engine::builder(Arc::clone(&rig.store), Arc::new(script.clone()))
        .clock(Arc::new(rig.clock.clone()))
        .secrets(Arc::new(Knows))
        .build();
    for cut in 180..205 {
        let long = format!("{}{SECRET}{}", "x".repeat(cut), "y".repeat(1_000));
        let inputs = BTreeMap::from([
            ("names".to_owned(), json!({ &*long: 1 })),
            ("long".to_owned(), json!(long)),
        ]);
        let id = RunId::new(&format!("r{cut}")).unwrap();
        let options = StartOptions {
            id: Some(id.clone()),
            control: Control::default(),
            ..StartOptions::default()
        };
        let workflow = engine.open(rig.file()).unwrap();
        let report = engine.run(workflow, inputs, options).await.unwrap();
        let error = report.steps[0].error.clone().unwrap();
        let told = json!(error).to_string();
        assert!(told.contains("invalid_input"), "{told}");
        assert!(told.len() < 2_000, "{told}");
        for part in [&SECRET[..4], &SECRET[..6]] {
            assert!(!told.contains(part), "{told}");
        }
        let without = replay(&rig.store, &script, &id).await.unwrap();
        assert_eq!(without.not_replayed.len(), 1);
    }
}
