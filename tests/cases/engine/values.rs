//! What is recorded can be read back, equal: values at the boundaries, in every place that a run keeps one. The rig reads the
//! run back after every write.

use milepost_tests::now::Now as _;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use milepost::engine::{ApprovalDecision, Control};
use milepost::record::{self, RecordError};
use milepost::store::StoreError;
use milepost_core::limits::{INLINE_VALUE_BYTES, JSON_DEPTH, NOTE_BYTES};
use milepost_core::outcome::{Outcome, Pause, StepError};
use milepost_core::state::Status;
use milepost_core::wait::Verdict;
use milepost_tests::faulty::{Fault, FaultyStore};
use milepost_tests::rig::{Rig, r1};
use milepost_tests::scripted::{Script, fail, ok, pause};
use milepost_tests::values::value;
use serde_json::{Value, json};

use super::block_on;

const EVERYWHERE: &str = r#"
returns = "${ steps.last.output }"
[inputs.v]
type = "json"
[[step]]
id = "first"
use = "p/first"
with = { v = "${ inputs.v.v }" }
[[step]]
id = "l"
loop = { until = "loop.iteration >= 3", max_iterations = 3 }
[[step]]
id = "go"
in = "l"
wait = { signal = "go" }
[[step]]
id = "broken"
in = "l"
use = "p/broken"
[[step]]
id = "again"
in = "l"
use = "p/again"
with = { before = "${ loop.?previous.v.orValue(null) }", data = "${ steps.go.output.data.v }" }
[[step]]
id = "asks"
use = "p/asks"
[[step]]
id = "gate"
approval = { message = "?", rework = { from = "asks" } }
[[step]]
id = "last"
use = "p/last"
with = { v = "${ steps.first.output.v }", said = "${ steps.gate.output.comment }" }
"#;

/// Every place of a run gets a value of its own.
fn everywhere(draw: u64) -> Script {
    // One level goes around each.
    let wrapped = move |place: u64| json!({ "v": value(draw * 10 + place, JSON_DEPTH - 1) });
    Script::new()
        .step("first", move |_| ok(wrapped(1)))
        .step("broken", move |_| match fail("broken") {
            Outcome::Failed(error) => Outcome::Failed(StepError {
                detail: Some(value(draw * 10 + 2, JSON_DEPTH)),
                ..error
            }),
            other => other,
        })
        .step("again", move |call| {
            ok(wrapped(3 + u64::from(call.attempt)))
        })
        .step("asks", move |call| {
            match (&call.resume_state, pause("asks")) {
                (None, Outcome::Paused(pause)) => Outcome::Paused(Pause {
                    signal: Some("answer".to_owned()),
                    state: Some(value(draw * 10 + 5, JSON_DEPTH)),
                    ..pause
                }),
                (Some(state), _) => {
                    assert_eq!(**state, value(draw * 10 + 5, JSON_DEPTH));
                    let signal = call.resume_signal.as_ref().expect("it came with the call");
                    assert_eq!(**signal, value(draw * 10 + 6, JSON_DEPTH));
                    ok(Value::Null)
                }
                _ => unreachable!(),
            }
        })
        .step("last", move |call| ok(call.input["v"].clone()))
}

async fn through(rig: &Rig, draw: u64) {
    let inputs = json!({ "v": value(draw * 10, JSON_DEPTH - 2) });
    let inputs = BTreeMap::from([("v".to_owned(), inputs)]);
    rig.run_with(&rig.engine(), inputs, Control::default())
        .await
        .unwrap();
    let engine = rig.engine();
    let signal = async |name: &str, data: Value| {
        engine.signal(&r1(), name, &data).await.unwrap();
        rig.work().await;
    };
    for pass in 0..3 {
        signal(
            "go",
            json!({ "v": value(draw * 10 + 7 + pass, JSON_DEPTH - 2) }),
        )
        .await;
    }
    signal("answer", value(draw * 10 + 6, JSON_DEPTH)).await;
    for (verdict, length) in [(Verdict::Rejected, NOTE_BYTES), (Verdict::Approved, 3)] {
        let decision = ApprovalDecision {
            path: None,
            verdict,
            comment: Some("\u{1}".repeat(length)),
            by: None,
        };
        engine.decide_approval(&r1(), &decision).await.unwrap();
        rig.work().await;
        if verdict == Verdict::Rejected {
            signal("answer", value(draw * 10 + 6, JSON_DEPTH)).await;
        }
    }
    let state = record::load(rig.store.as_ref(), &r1()).now().unwrap().state;
    assert_eq!(
        state.phase().status(),
        Status::Completed,
        "{:?}",
        state.phase()
    );
    assert!(rig.differences.none_of() > 20);
    let replayed = rig.replay().await.unwrap();
    assert_eq!(replayed.divergence, None);
}

#[test]
fn values_at_the_boundaries_come_back_from_every_place_of_a_run() {
    for draw in 0..60 {
        let rig = match draw % 4 {
            0 => Rig::sqlite(EVERYWHERE, &everywhere(draw)),
            _ => Rig::new(EVERYWHERE, &everywhere(draw)),
        };
        block_on(through(&rig, draw));
    }
}

#[test]
fn what_comes_with_a_signal_is_kept_whatever_its_size() {
    // The step's output is some bytes longer than the data.
    for below in (0..80).chain([INLINE_VALUE_BYTES / 2]) {
        let rig = Rig::new(
            "[[step]]\nid = \"w\"\nwait = { signal = \"go\" }\n",
            &Script::new(),
        );
        block_on(async {
            rig.run().await.unwrap();
            let data = json!("x".repeat(INLINE_VALUE_BYTES + 2 - below));
            let engine = rig.engine();
            engine.signal(&r1(), "go", &data).await.unwrap();
            let report = rig.resume().await.unwrap();
            assert_eq!(report.status, Status::Completed, "{below}");
        });
    }
}

#[test]
fn a_signal_without_data_reaches_a_component_in_another_process() {
    let got = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&got);
    let script = Script::new().step("a", move |call| {
        let signal = call.resume_signal.as_deref().cloned();
        let state = call.resume_state.as_deref().cloned();
        seen.lock().unwrap().push((state, signal));
        match (call.attempt, pause("waits")) {
            (1, Outcome::Paused(pause)) => Outcome::Paused(Pause {
                signal: Some("go".to_owned()),
                state: Some(Value::Null),
                ..pause
            }),
            _ => ok(Value::Null),
        }
    });
    let mut rig = Rig::sqlite(&super::steps(&["a"]), &script);
    block_on(async {
        rig.run().await.unwrap();
        rig.engine()
            .signal(&r1(), "go", &Value::Null)
            .await
            .unwrap();
        rig.reopen();
        let report = rig.resume().await.unwrap();
        assert_eq!(report.status, Status::Completed);
    });
    let null = Some(Value::Null);
    let calls = [(None, None), (null.clone(), null)];
    assert_eq!(*got.lock().unwrap(), calls);
}

#[tokio::test]
async fn a_store_that_cannot_be_asked_for_a_blob_has_not_lost_it() {
    let script = Script::new()
        .step("a", |_| ok(json!("x".repeat(20_000))))
        .step("b", |_| fail("broken"));
    let rig = Rig::new(&super::steps(&["a", "b"]), &script);
    rig.run().await.unwrap();
    let store = FaultyStore::new(Arc::clone(&rig.store), |_| Fault::None).without_blobs();
    assert!(matches!(
        record::load(&store, &r1()).now(),
        Err(RecordError::Store(StoreError::Unavailable(_)))
    ));
}
