//! A start names a run; the same start again is the same run.

use milepost_tests::now::Now as _;
use std::collections::BTreeMap;

use milepost::engine::{Control, Demand, EngineError, Request, StartOptions};
use milepost_core::state::Status;
use milepost_tests::rig::{Rig, r1};
use milepost_tests::scripted::{Gate, Script};
use serde_json::{Value, json};

use super::steps;

const WITH_INPUT: &str = "
[inputs.n]
type = 'int'
[[step]]
id = 'a'
use = 'p/a'
";

fn n(value: i64) -> BTreeMap<String, Value> {
    BTreeMap::from([("n".to_owned(), json!(value))])
}

#[tokio::test]
async fn the_same_start_again_is_the_same_run() {
    let rig = Rig::new(WITH_INPUT, &Script::new());
    let (engine, control) = (rig.engine(), Control::default());
    let first = rig.run_with(&engine, n(1), control.clone()).await.unwrap();
    let again = rig.run_with(&engine, n(1), control.clone()).await.unwrap();
    assert_eq!(again, first);
    assert_eq!(rig.script.calls(), ["a"]);
}

#[tokio::test]
async fn an_id_with_other_inputs_or_another_workflow_is_taken() {
    let rig = Rig::new(WITH_INPUT, &Script::new());
    let (engine, control) = (rig.engine(), Control::default());
    let first = rig.run_with(&engine, n(1), control.clone()).await.unwrap();
    let answer = rig.run_with(&engine, n(2), control.clone()).await;
    match answer {
        Err(EngineError::IdTaken(taken)) => assert_eq!(
            taken.to_string(),
            "run `r1` already exists, with other values of the input `n`; choose another id"
        ),
        other => panic!("{other:?}"),
    }
    let differs = |answer| match answer {
        Err(EngineError::StartedOtherwise { changes, .. }) => *changes,
        other => panic!("{other:?}"),
    };
    rig.edit(&format!("{WITH_INPUT}timeout = '1m'"));
    let changes = differs(rig.run_with(&engine, n(1), control.clone()).await);
    assert!(changes.to_string().contains("+timeout = '1m'"), "{changes}");
    rig.edit(WITH_INPUT);
    rig.script.rebuild();
    let changes = differs(rig.run_with(&engine, n(1), control.clone()).await);
    assert!(changes.plugins.contains_key("p"), "{changes}");
    assert_eq!(engine.report(&r1()).now().unwrap(), first);
    assert_eq!(rig.script.calls(), ["a"]);
}

#[tokio::test]
async fn two_starts_of_one_id_at_once_execute_once() {
    let gate = Gate::default();
    let rig = Rig::sqlite(&steps(&["a", "b"]), &Script::new().held("a", &gate));
    let (one, other) = (rig.engine(), rig.engine());
    let control = Control::default();
    let both = async {
        tokio::join!(
            rig.run_on(&one, control.clone()),
            rig.run_on(&other, control.clone())
        )
    };
    let ((first, second), ()) = tokio::join!(both, async {
        gate.came().await;
        gate.open();
    });
    assert_eq!(first.unwrap().status, Status::Completed);
    assert_eq!(
        second.unwrap().status,
        Status::Running,
        "told of the first one's run"
    );
    assert_eq!(rig.script.calls(), ["a", "b"]);
    assert_eq!(rig.row().epoch.0, 1);
}

#[tokio::test]
async fn a_pending_run_is_driven_by_the_same_start() {
    let gate = Gate::default();
    let rig = Rig::new(&steps(&["a", "b"]), &Script::new().held("b", &gate));
    gate.holds(rig.run()).await;
    assert_eq!(rig.row().status, Status::Pending);
    gate.open();
    assert_eq!(rig.run().await.unwrap().status, Status::Completed);
    assert_eq!(rig.script.calls(), ["a", "b", "b"]);
}

#[tokio::test]
async fn runs_without_an_id_are_different_runs() {
    let rig = Rig::new(&steps(&["a"]), &Script::new());
    let mut ids = Vec::new();
    let engine = rig.engine();
    for _ in 0..2 {
        let started = engine.run(rig.workflow(), BTreeMap::new(), StartOptions::default());
        ids.push(started.await.unwrap().id);
    }
    assert_ne!(ids[0], ids[1]);
    assert_eq!(ids[0].as_str().len(), 16);
    assert_eq!(rig.script.calls(), ["a", "a"]);
}

#[tokio::test]
async fn b168_a_request_after_the_end_changes_nothing() {
    let rig = Rig::new(&steps(&["a"]), &Script::new());
    let control = Control::default();
    let report = rig.run_on(&rig.engine(), control.clone()).await.unwrap();
    assert!(
        control.ask(Request::new(Demand::Cancel, "somebody")),
        "nobody asked before"
    );
    assert_eq!(rig.engine().report(&r1()).now().unwrap(), report);
}
