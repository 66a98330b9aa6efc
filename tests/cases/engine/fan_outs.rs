//! Fan-outs, with several of their items in flight for real.

use std::collections::BTreeMap;

use milepost::engine::{Control, Demand, EngineError, Request, ResumeOptions};
use milepost_core::ids::Path;
use milepost_core::request::cancel_item::NotCancellable;
use milepost_core::state::Status;
use milepost_tests::rig::{Rig, assert_folds, r1};
use milepost_tests::scripted::{Gate, Script, at, fail};
use serde_json::{Value, json};

const ITEMS: &str = r#"
[inputs.items]
type = "json"
[[step]]
id = "f"
use = "p/c"
foreach = { items = "inputs.items", max_parallel = 4 }
with = { item = "${ item }" }
[[step]]
id = "sum"
use = "p/sum"
with = { all = "${ steps.f.output }" }
"#;

fn items(count: u32) -> BTreeMap<String, Value> {
    let items: Vec<u32> = (0..count).collect();
    BTreeMap::from([("items".to_owned(), json!(items))])
}

#[tokio::test]
async fn a_pause_interrupts_the_items_in_flight_and_a_resume_runs_those_and_the_rest() {
    let gate = Gate::default();
    let script = Script::new().held_once("c", &gate);
    let rig = Rig::sqlite(ITEMS, &script);
    let (control, engine) = (Control::default(), rig.engine());
    let asked = async {
        // The window is full, three of it end, and three more begin.
        for _ in 0..4 {
            gate.came().await;
        }
        for _ in 0..3 {
            gate.open();
            gate.came().await;
        }
        assert!(control.ask(Request::new(Demand::PauseNow, "somebody")));
    };
    let (report, ()) = tokio::join!(rig.run_with(&engine, items(12), control.clone()), asked);
    let report = report.unwrap();
    assert_eq!(report.status, Status::Paused);
    let counts = report.steps[0].items.as_ref().unwrap();
    assert_eq!(
        (counts.total, counts.completed, counts.pending()),
        (12, 3, 9)
    );
    let begun = script.calls();
    assert_eq!(begun.len(), 7);
    let interrupted = rig
        .events()
        .into_iter()
        .filter(|name| *name == "step_interrupted");
    assert_eq!(interrupted.count(), 4);

    // Those that were interrupted are in their second attempt, which nothing holds.
    for _ in 0..5 {
        gate.open();
    }
    assert_eq!(rig.resume().await.unwrap().status, Status::Completed);
    let calls = script.calls();
    for index in 0..12 {
        let path = format!("f[{index}]");
        let count = calls.iter().filter(|call| **call == path).count();
        assert!(
            count == 1 || begun.contains(&path) && count == 2,
            "{path}: {count}"
        );
    }
    assert_eq!(calls.len(), 12 + 4 + 1);
    assert_folds(rig.store.as_ref(), &r1());
    // A replay executes the held attempts, too.
    (0..20).for_each(|_| gate.open());
    assert_eq!(rig.replay().await.unwrap().divergence, None);
}

#[tokio::test]
async fn what_a_process_left_in_flight_runs_again_in_another_one_and_nothing_else() {
    let gate = Gate::default();
    let script = Script::new().held_once("c", &gate);
    let rig = Rig::sqlite(ITEMS, &script);
    let engine = rig.engine();
    let held = async {
        for _ in 0..4 {
            gate.came().await;
        }
        gate.open();
        gate.came().await;
    };
    tokio::select! {
        _ = rig.run_with(&engine, items(6), Control::default()) => unreachable!("it is held"),
        () = held => {}
    }
    let before = script.calls();
    assert_eq!(before.len(), 5);
    gate.open();
    assert_eq!(rig.resume().await.unwrap().status, Status::Completed);
    let again = script.calls()[before.len()..].to_vec();
    assert_eq!(again.len(), 4 + 1 + 1, "{again:?}");
    // A replay executes the held attempts, too.
    (0..20).for_each(|_| gate.open());
    assert_eq!(rig.replay().await.unwrap().divergence, None);
}

#[tokio::test]
async fn failed_items_run_again_by_themselves_and_a_cancelled_one_never() {
    let script = Script::new().step("c", |call| match call.path.item_index() {
        Some(1 | 3) if call.attempt == 1 => fail("red"),
        _ => at(call),
    });
    let rig = Rig::sqlite(ITEMS, &script);
    let engine = rig.engine();
    let report = rig.run_with(&engine, items(5), Control::default()).await;
    assert_eq!(report.unwrap().status, Status::Failed);
    let before = script.calls().len();
    assert_eq!(rig.resume().await.unwrap().status, Status::Completed);
    assert_eq!(script.calls()[before..], ["f[1]", "f[3]", "sum"]);

    let rig = Rig::sqlite(ITEMS, &Script::new().step("c", |_| fail("red")));
    let engine = rig.engine();
    let report = rig.run_with(&engine, items(2), Control::default()).await;
    assert_eq!(report.unwrap().status, Status::Failed);
    rig.engine()
        .cancel_item(&r1(), "f[0]", "ann")
        .await
        .unwrap();
    let from: Path = "f".parse().unwrap();
    let options = ResumeOptions::default();
    let report = rig
        .engine()
        .retry(&r1(), Some(&from), options)
        .await
        .unwrap();
    let items = report.steps[0].items.as_ref().unwrap();
    assert_eq!((items.failed, items.cancelled), (1, 1));
    let refused = rig.engine().cancel_item(&r1(), "f[9]", "ann").await;
    assert!(matches!(
        refused,
        Err(EngineError::NotCancellable {
            reason: NotCancellable::NoItem(_),
            ..
        })
    ));
}
