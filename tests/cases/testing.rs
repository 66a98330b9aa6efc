//! `milepost::testing` as an author of plugins uses it: the plugin `notify`, tested here as its own tests would.

use milepost::native::{Failure, NativePlugin, NativePlugins};
use milepost::testing::{Act, Component, Mock, StepTest, Stub, WorkflowTest};
use milepost_core::effect::{Effect, Memo};
use milepost_core::outcome::{ErrorClass, Outcome};
use milepost_core::state::Status;
use milepost_tests::cli::component;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

fn webhook() -> StepTest {
    StepTest::new(
        "webhook",
        json!({ "url": "https://hooks.test/1", "payload": { "text": "done" }, "bearer": "token" }),
    )
    .secret("token", "s3cret-value")
}

fn posted() -> Mock {
    Mock::new("http.send").request(json!({
        "method": "POST",
        "url": "https://hooks.test/1",
        "json": { "text": "done" },
        "headers": { "authorization": "Bearer s3cret-value" },
    }))
}

fn notify() -> Component {
    Component::load(component("notify")).expect("it is built")
}

#[test]
fn a_message_is_delivered() {
    let test = webhook().mock(posted().answers(json!({ "status": 202 })));
    let ran = test.run(&notify()).unwrap();
    ran.assert_output(&json!({ "status": 202, "attempt": 1 }));
    let calls: Vec<_> = ran.calls.iter().map(|call| call.call.as_str()).collect();
    assert_eq!(calls, ["memo.begin", "http.send", "memo.settle"]);
}

#[test]
fn a_server_that_is_down_is_asked_again() {
    let test = webhook().mock(posted().answers(json!({ "status": 502 })));
    let ran = test.run(&notify()).unwrap();
    ran.assert_error(ErrorClass::Retryable, "http-502");
    let unreachable = webhook().mock(posted().fails("unreachable", "no route", true));
    let ran = unreachable.run(&notify()).unwrap();
    assert!(matches!(&ran.outcome, Outcome::Failed(error) if error.class == ErrorClass::Retryable));
}

#[test]
fn a_call_that_no_mock_answers_is_told_with_the_mock_to_add() {
    let ran = webhook().run(&notify()).unwrap();
    let finding = &ran.findings[0];
    assert_eq!(finding.message, "no mock answers `http.send`");
    assert!(
        finding.detail.contains(
            "[[test.call]]\ncall = \"http.send\"\nrequest = { json = { text = \"done\" }, method = \"POST\", url = \"https://hooks.test/1\" }"
        ),
        "{}",
        finding.detail
    );
    // Out of order, it is told which one was next.
    let other = Mock::new("exec.run").answers(json!({}));
    let ran = webhook()
        .mock(other.clone())
        .mock(posted())
        .run(&notify())
        .unwrap();
    assert!(
        ran.findings[0]
            .message
            .contains("the next one is for `exec.run`")
    );
    let any = webhook()
        .mock(other)
        .mock(posted().answers(json!({})))
        .any_order();
    let ran = any.run(&notify()).unwrap();
    assert_eq!(ran.findings[0].message, "`exec.run` was not called");
}

#[test]
fn a_message_is_sent_again_after_a_crash_only_under_the_same_key() {
    let test = webhook().mock(posted().answers(json!({ "status": 202 })));
    let report = test.crash(&notify()).unwrap();
    assert_eq!(report.kills, 4);
    assert_eq!(report.findings, [], "it has an idempotency key");
}

#[test]
fn a_program_that_is_run_again_is_not_safe() {
    let test = StepTest::new("run", json!({ "program": "deploy", "args": ["now"] })).mock(
        Mock::new("exec.run")
            .request(json!({ "program": "deploy", "args": ["now"] }))
            .answers(json!({ "stdout": "done" })),
    );
    let command = Component::load(component("command")).expect("it is built");
    let ran = test.run(&command).unwrap();
    ran.assert_answered();
    let report = test.crash(&command).unwrap();
    let messages: Vec<_> = report.findings.iter().map(|found| &found.message).collect();
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert!(
        messages[0].starts_with("killed after call 1 (`exec.run` ")
            && messages[0].ends_with(" was run twice"),
        "{messages:?}"
    );
}

#[test]
fn the_world_is_the_same_every_time() {
    let calls = json!([
        { "do": "now" },
        { "do": "sleep", "millis": 60_000 },
        { "do": "now" },
        { "do": "random", "bytes": 8 },
        { "do": "memo", "key": "k", "value": 1 },
        { "do": "put", "bucket": "b", "key": "x", "value": "1" },
        { "do": "get", "bucket": "b", "key": "x" },
        { "do": "keys", "bucket": "b", "prefix": "" },
        { "do": "write", "name": "a", "text": "line", "times": 2 },
        { "do": "read", "offset": 0, "max": 8 },
    ]);
    let world = Component::load(component("world")).expect("it is built");
    let test = StepTest::new("visit", json!({ "calls": calls }));
    let begun = std::time::Instant::now();
    let (first, second) = (test.run(&world).unwrap(), test.run(&world).unwrap());
    assert!(
        begun.elapsed().as_secs() < 50,
        "two minutes of sleep take no time"
    );
    first.assert_answered();
    assert!(
        matches!(first.outcome, Outcome::Completed(_)),
        "{:?}",
        first.outcome
    );
    assert_eq!(first.outcome, second.outcome);
    let other = test.clone().seed(2).run(&world).unwrap();
    assert_ne!(
        first.outcome, other.outcome,
        "another seed, other random bytes"
    );
    let report = test.crash(&world).unwrap();
    assert!(report.kills > 8, "{report:?}");
}

/// Settles a memo, and counts on it in the next attempt.
fn counting() -> Component {
    Component::native(
        NativePlugin::new("count", "1").step("once", |call| async move {
            let known = call
                .host
                .memo("n")
                .await
                .map_err(|e| Failure::failed("memo", e.message))?;
            if let Some(known) = known {
                return Ok(json!({ "n": known, "at": call.host.now().map(|now| now.to_string()) }));
            }
            let memo = Memo {
                key: "n".into(),
                value: "1".into(),
            };
            let effect = Effect {
                memo: Some(memo),
                ..Effect::default()
            };
            call.host
                .note(effect)
                .await
                .map_err(|e| Failure::failed("memo", e.message))?;
            Ok(json!({ "n": "1", "at": call.host.now().map(|now| now.to_string()) }))
        }),
    )
}

#[test]
fn native_steps_have_the_same_world() {
    let test = StepTest::new("once", json!({}));
    let ran = test.run(&counting()).unwrap();
    ran.assert_output(&json!({ "n": "1", "at": "2026-01-01T00:00:00.000000000Z" }));
    let report = test.crash(&counting()).unwrap();
    assert_eq!((report.kills, report.findings.len()), (3, 0));
    let known = test.memo("n", &json!(7)).run(&counting()).unwrap();
    known.assert_output(&json!({ "n": "7", "at": "2026-01-01T00:00:00.000000000Z" }));
}

/// The train of the examples, with one package.
fn train() -> WorkflowTest {
    WorkflowTest::new(json!({
        "train": "2026.11",
        "packages": [{ "name": "core", "version": "1.4.2", "changes": ["fix: a leak"] }],
    }))
}

const TRAIN: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../examples/release-train/workflow.toml"
);

#[test]
fn a_workflow_is_tested_whole() {
    let ran = train()
        .act(Act::approve("gate").at(Duration::from_secs(3 * 86_400)))
        .run(TRAIN)
        .unwrap();
    ran.assert_output(&json!("## core 1.4.3\n\n- fix: a leak\n"));
    assert_eq!(ran.took, Duration::from_secs(3 * 86_400));
    assert_eq!(
        ran.path,
        [
            "packages[0]",
            "packages[0]/numbers",
            "packages[0]/changes",
            "packages[0]/kind",
            "packages[0]/next",
            "packages[0]/notes",
            "plan",
            "gate",
            "publish[0]/upload",
            "changelog",
            "report"
        ]
    );
    // Nobody decides: it stands there, until it gives up.
    let ran = train()
        .until(Duration::from_secs(86_400))
        .run(TRAIN)
        .unwrap();
    ran.assert_status(Status::Paused);
    let ran = train().run(TRAIN).unwrap();
    ran.assert_status(Status::Cancelled);
    assert_eq!(ran.attempts.get("upload"), None);
}

#[test]
fn b124_a_person_resumes_what_failed_and_completed_steps_are_not_called_again() {
    let test = train()
        .stub("packages[0]/kind", Stub::fails("broken"))
        .stub("packages[0]/kind", Stub::output(json!({ "kind": "patch" })))
        .act(Act::resume())
        .act(Act::approve("gate"));
    let ran = test.run(TRAIN).unwrap();
    ran.assert_status(Status::Completed);
    assert_eq!(ran.attempts["packages/numbers"], 1);
    assert_eq!(ran.attempts["packages/kind"], 2);
    let report = test.crash(TRAIN).unwrap();
    assert!(report.kills > 20, "{report:?}");
    assert_eq!(report.findings, []);
}

#[test]
fn native_steps_are_tested_in_their_workflow() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("w.toml");
    let text = "schema = 1\nname = \"w\"\nreturns = \"${ steps.a.output + steps.b.output }\"\n\
                [plugins.math]\nsource = \"native:math\"\n\
                [[step]]\nid = \"a\"\nuse = \"math/double\"\nwith = { n = 1 }\n\
                [[step]]\nid = \"b\"\nuse = \"math/double\"\nwith = { n = \"${ steps.a.output }\" }\n";
    std::fs::write(&file, text).unwrap();
    let double = NativePlugin::new("math", "1").step("double", |call| async move {
        let n = call.input["n"].as_i64().ok_or("`n` is no number")?;
        Ok(json!(2 * n))
    });
    let plugins = Arc::new(NativePlugins::default().plugin(double));
    let ran = WorkflowTest::new(json!({}))
        .run_with(&file, plugins.clone())
        .unwrap();
    ran.assert_output(&json!(6));
    let stubbed = WorkflowTest::new(json!({})).stub("a", Stub::output(json!(5)));
    let ran = stubbed.run_with(&file, plugins.clone()).unwrap();
    ran.assert_output(&json!(15));
    assert_eq!(stubbed.crash_with(&file, plugins).unwrap().findings, []);
}
