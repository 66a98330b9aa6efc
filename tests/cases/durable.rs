//! What the engine asks of its store, and what a run needs of it to go on.

use milepost_tests::now::Now as _;
use std::fs;
use std::sync::Arc;

use milepost::engine::{Control, EngineError};
use milepost::record;
use milepost::store::{Filter, Store, StoreError, Write};
use milepost_core::ids::RunId;
use milepost_core::state::Status;
use milepost_tests::faulty::{Fault, FaultyStore, dead_process};
use milepost_tests::rig::{Rig, r1};
use milepost_tests::scripted::{Gate, Script, at, fail, pause};
use serde_json::Value;

const ABC: &str = "
returns = '${ steps.b.output }'
[[step]]
id = 'a'
use = 'p/a'
[[step]]
id = 'b'
use = 'p/b'
[[step]]
id = 'c'
use = 'p/c'
";

/// Names of the events of a write.
fn events(write: &Write) -> Vec<String> {
    let types = write.entries.iter().map(|entry| {
        let body: Value = serde_json::from_str(&entry.body).unwrap();
        body["body"]["type"].as_str().unwrap().to_owned()
    });
    types.collect()
}

/// Runs and returns every write that the engine made.
async fn writes(rig: &Rig) -> Vec<Write> {
    let store = Arc::new(FaultyStore::new(Arc::clone(&rig.store), |_| Fault::None));
    let engine = rig.engine_on(Arc::clone(&store) as _);
    rig.run_on(&engine, Control::default()).await.unwrap();
    store.writes()
}

#[tokio::test]
async fn b255_the_store_is_a_part_that_can_be_exchanged() {
    let mut all = Vec::new();
    for make in [Rig::new, Rig::sqlite] {
        let script = Script::new().step("b", |call| match call.attempt {
            1 => fail("broken"),
            _ => at(call),
        });
        let rig = make(ABC, &script);
        let first = rig.run().await.unwrap();
        let second = rig.resume().await.unwrap();
        assert_eq!(
            (first.status, second.status),
            (Status::Failed, Status::Completed)
        );
        all.push((first.steps, second.steps, second.output, rig.events()));
    }
    assert_eq!(all[0], all[1]);
}

/// Ids of the runs that ran and did not end.
fn interrupted(store: &dyn Store) -> Vec<RunId> {
    let filter = Filter {
        statuses: vec![Status::Pending, Status::Running],
        ..Filter::default()
    };
    let rows = store.list(&filter).now().unwrap().rows;
    rows.into_iter().map(|row| row.id).collect()
}

#[tokio::test]
async fn b256_a_run_is_listed_as_interrupted_until_it_ends_in_any_way() {
    for outcome in [None, Some(fail("broken")), Some(pause("quota"))] {
        let gate = Gate::default();
        let script =
            Script::new().step("b", move |call| outcome.clone().unwrap_or_else(|| at(call)));
        let rig = Rig::sqlite(ABC, &script.held("b", &gate));
        let engine = rig.engine();
        let (report, ()) = tokio::join!(rig.run_on(&engine, Control::default()), async {
            gate.came().await;
            assert_eq!(interrupted(rig.store.as_ref()), [r1()]);
            gate.open();
        });
        report.unwrap();
        assert_eq!(interrupted(rig.store.as_ref()), []);
    }
}

#[tokio::test]
async fn b258_a_run_can_be_understood_without_the_file_it_came_from() {
    let rig = Rig::sqlite(ABC, &Script::new().step("b", |_| pause("quota")));
    let text = fs::read_to_string(rig.file()).unwrap();
    let before = rig.run().await.unwrap();
    fs::remove_file(rig.file()).unwrap();
    let recorded = record::load(rig.store.as_ref(), &r1()).now().unwrap();
    assert_eq!(
        rig.engine().frozen_text(&recorded.state).now().unwrap(),
        text
    );
    let created = &recorded.state.created();
    assert_eq!(
        (created.workflow.as_str(), created.plugins.len()),
        ("test", 1)
    );
    assert_eq!(rig.engine().report(&r1()).now().unwrap(), before);
}

// Durability is always required: what cannot be recorded does not start.
#[tokio::test]
async fn b265_a_start_that_cannot_be_recorded_is_an_error_and_executes_nothing() {
    let rig = Rig::sqlite(ABC, &Script::new());
    let refusing = FaultyStore::new(Arc::clone(&rig.store), |_| Fault::Refused);
    let engine = rig.engine_on(Arc::new(refusing));
    let answer = rig.run_on(&engine, Control::default()).await;
    assert!(
        matches!(answer, Err(EngineError::Store(StoreError::Unavailable(_)))),
        "{answer:?}"
    );
    assert_eq!(rig.script.calls(), [""; 0]);
    assert_eq!(interrupted(rig.store.as_ref()), []);
}

#[tokio::test]
async fn b270_every_outcome_is_saved_before_the_next_step_is_called() {
    let rig = Rig::sqlite(ABC, &Script::new());
    let saved: Vec<Vec<String>> = writes(&rig).await.iter().map(events).collect();
    assert_eq!(
        saved,
        [
            vec!["run_created", "run_claimed", "step_started"],
            vec!["step_completed", "step_started"],
            vec!["step_completed", "step_started"],
            vec!["step_completed", "run_completed"],
        ]
    );
}

#[tokio::test]
async fn b234_status_checkpoint_and_journal_change_in_one_write() {
    for (outcome, status, event) in [
        (pause("quota"), Status::Paused, "run_paused"),
        (fail("broken"), Status::Failed, "run_failed"),
    ] {
        let script = Script::new().step("b", move |_| outcome.clone());
        let all = writes(&Rig::sqlite(ABC, &script)).await;
        let write = all.last().unwrap();
        assert_eq!(write.head.status, status);
        assert!(events(write).iter().any(|name| name == event));
        let parts: Vec<&str> = write.parts.iter().map(|(name, _)| name.as_str()).collect();
        assert!(
            parts.contains(&"run") && parts.contains(&"step/b"),
            "{parts:?}"
        );
    }
}

#[tokio::test]
async fn b234_a_status_that_is_not_saved_leaves_the_checkpoint_as_it_was() {
    let rig = Rig::sqlite(ABC, &Script::new().step("a", |_| pause("quota")));
    let store = FaultyStore::new(Arc::clone(&rig.store), |n| match n {
        1 => Fault::None,
        _ => Fault::Refused,
    })
    .owned_by(dead_process());
    let engine = rig.engine_on(Arc::new(store));
    let report = rig.run_on(&engine, Control::default()).await.unwrap();
    assert_eq!(report.status, Status::Failed, "and it is told");
    let recorded = record::load(rig.store.as_ref(), &r1()).now().unwrap();
    assert_eq!(recorded.row.status, Status::Running);
    let in_flight: Vec<String> = recorded
        .state
        .in_flight()
        .map(|record| record.path().to_string())
        .collect();
    assert_eq!(in_flight, ["a"]);
}
