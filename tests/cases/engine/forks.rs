//! Forks: a new run that begins with what another one has recorded, and lives without it.

use milepost::engine::{EngineError, ForkOptions, Gravity, OnChange};
use milepost::replay::replay;
use milepost::report::RunReport;
use milepost::store::Filter;
use milepost_core::definition::input::GivenInputs;
use milepost_core::ids::{RunId, StepId};
use milepost_core::request::fork::NotForked;
use milepost_core::state::Status;
use milepost_tests::now::Now as _;
use milepost_tests::rig::{Rig, r1};
use milepost_tests::scripted::{Gate, Script, fail, ok};
use serde_json::json;

use super::children::{CHILD, rig_of};

fn r2() -> RunId {
    RunId::new("r2").unwrap()
}

fn steps_of(ids: &[&str]) -> Vec<StepId> {
    ids.iter().map(|id| StepId::new(id).unwrap()).collect()
}

async fn forked(rig: &Rig, from: &[&str], on_change: OnChange) -> Result<RunReport, EngineError> {
    let options = ForkOptions {
        id: Some(r2()),
        on_change,
        ..ForkOptions::default()
    };
    let inputs = GivenInputs::default();
    let engine = rig.engine();
    engine.fork(&r1(), &steps_of(from), &inputs, options).await
}

/// The record of the fork is whole by itself: it replays, and nothing of the store is damaged.
async fn is_whole(rig: &Rig) {
    let replayed = replay(&rig.store, &rig.script, &r2()).await.unwrap();
    assert!(replayed.is_same(), "{replayed:?}");
    let found = rig.engine().examine(&|_| ()).await.unwrap();
    let broken = found.findings.iter();
    let broken: Vec<_> = broken.filter(|it| it.gravity == Gravity::Problem).collect();
    assert!(broken.is_empty(), "{broken:?}");
}

const FAN: &str = "
returns = '${ steps.end.output }'
[[step]]
id = 'big'
use = 'p/big'
[[step]]
id = 'child'
workflow = 'c.toml'
with = { n = 3 }
[[step]]
id = 'files'
use = 'p/file'
foreach = { items = \"['a', 'b']\" }
with = { item = '${ item }', big = '${ steps.big.output }' }
[[step]]
id = 'end'
use = 'p/end'
with = { got = '${ steps.child.output }', files = '${ size(steps.files.output) }', big = '${ size(steps.big.output) }' }
";

fn fan(end_fails: bool) -> Rig {
    let script = Script::new()
        .step("big", |_| ok(json!("x".repeat(200_000))))
        .step("inner", |call| {
            ok(json!(call.input["n"].as_i64().unwrap() * 2))
        })
        .step("file", |call| ok(call.input["item"].clone()))
        .step("end", move |call| match end_fails {
            true => fail("red"),
            false => ok(call.input.as_ref().clone()),
        });
    rig_of(FAN, &[("c.toml", CHILD)], &script)
}

/// Large outputs, those of a child run, and those of items: all there after the other run and its child are removed.
#[tokio::test]
async fn a_fork_keeps_what_it_began_with_when_its_origin_is_removed() {
    for end_fails in [false, true] {
        let rig = fan(end_fails);
        let report = rig.run().await.unwrap();
        let bytes = rig.row().stored_bytes;
        rig.script
            .answer("end", |call| ok(call.input.as_ref().clone()));
        let before = rig.script.calls().len();
        let fork = forked(&rig, &["end"], OnChange::Ask).await.unwrap();
        assert_eq!(rig.script.calls()[before..], ["end"]);
        let got = json!({"got": 6, "files": 2, "big": 200_000});
        assert_eq!((fork.status, &fork.output), (Status::Completed, &got));
        let origin = fork.fork.clone().unwrap();
        assert_eq!((origin.run, origin.seq), (r1(), report.events));
        assert!(bytes > 200_000);
        is_whole(&rig).await;
        // The child of the other run is that one's.
        let child = fork.steps.iter().find(|step| step.path == "child").unwrap();
        assert!(child.child.is_none());

        let rows = rig.store.list(&Filter::default()).now().unwrap().rows;
        let others: Vec<_> = rows.into_iter().filter(|row| row.id != r2()).collect();
        assert_eq!(others.len(), 2);
        for row in others {
            rig.store.delete(&row.id, row.seq).now().unwrap();
        }
        assert!(rig.store.row(&r1()).now().unwrap().is_none());
        is_whole(&rig).await;
        let options = ForkOptions::default();
        let inputs = GivenInputs::default();
        let (engine, run, end) = (rig.engine(), r2(), steps_of(&["end"]));
        let again = engine.fork(&run, &end, &inputs, options).await.unwrap();
        assert_eq!((again.status, again.output), (Status::Completed, got));
    }
}

const TWO: &str = "
[inputs.x]
type = 'int'
default = 1
[[step]]
id = 'a'
use = 'p/a'
[[step]]
id = 'b'
use = 'p/b'
with = { x = '${ inputs.x }', a = '${ steps.a.output }' }
";

fn two() -> Rig {
    let script = Script::new()
        .step("a", |_| ok(json!("first")))
        .step("b", |call| ok(call.input.as_ref().clone()));
    Rig::new(TWO, &script)
}

#[tokio::test]
async fn a_fork_takes_other_inputs_which_are_checked_as_at_a_start() {
    let rig = two();
    rig.run().await.unwrap();
    let engine = rig.engine();
    let fork = |from: &'static str, name: &str, text: &str| {
        let inputs = GivenInputs {
            arguments: vec![(name.to_owned(), text.to_owned())],
            ..GivenInputs::default()
        };
        let (engine, options) = (engine.clone(), ForkOptions::default());
        async move {
            let from = steps_of(&[from]);
            engine.fork(&r1(), &from, &inputs, options).await
        }
    };
    let report = fork("b", "x", "7").await.unwrap();
    assert_eq!(report.output, json!({"x": 7, "a": "first"}));
    assert_eq!(report.inputs, json!({"x": 7}));
    for (name, text) in [("x", "seven"), ("y", "7")] {
        let refused = fork("b", name, text).await.unwrap_err();
        assert!(matches!(refused, EngineError::Inputs(_)), "{refused}");
    }
    let refused = fork("nope", "x", "1").await.unwrap_err();
    let EngineError::NotForked { reason, .. } = refused else {
        panic!("{refused}");
    };
    assert!(matches!(reason, NotForked::UnknownStep(_)));
    assert_eq!(rig.store.count(&Filter::default()).now().unwrap(), 2);
}

/// The same fork under the same id is one run; another one, or a start, does not take the id.
#[tokio::test]
async fn a_fork_is_made_once_under_its_id() {
    let rig = two();
    rig.run().await.unwrap();
    let first = forked(&rig, &["b"], OnChange::Ask).await.unwrap();
    let calls = rig.script.calls().len();
    let again = forked(&rig, &["b"], OnChange::Ask).await.unwrap();
    assert_eq!((again.id, again.events), (first.id, first.events));
    assert_eq!(rig.script.calls().len(), calls);
    let other = forked(&rig, &["a"], OnChange::Ask).await.unwrap_err();
    assert!(matches!(other, EngineError::IdTaken(_)), "{other}");
    let inputs = rig.workflow().inputs(json!({})).unwrap();
    let options = milepost::engine::StartOptions {
        id: Some(r2()),
        ..Default::default()
    };
    let started = rig.engine().run(rig.workflow(), inputs, options).await;
    assert!(matches!(started, Err(EngineError::IdTaken(_))));
}

/// What the files hold by now is a person's decision, as when a run goes on.
#[tokio::test]
async fn a_fork_begins_with_what_its_origin_carries_or_with_accepted_changes() {
    let rig = two();
    rig.run().await.unwrap();
    let changed = TWO.replace("steps.a.output }'", "steps.a.output + \"!\" }'");
    assert_ne!(changed, TWO);
    rig.edit(&changed);
    let asked = forked(&rig, &["b"], OnChange::Ask).await.unwrap_err();
    assert!(matches!(asked, EngineError::Changed { .. }), "{asked}");
    let accepted = forked(&rig, &["b"], OnChange::Accept).await.unwrap();
    assert_eq!(accepted.output, json!({"x": 1, "a": "first!"}));
    is_whole(&rig).await;
    let options = ForkOptions {
        on_change: OnChange::AsStarted,
        ..ForkOptions::default()
    };
    let inputs = GivenInputs::default();
    let (engine, run, from) = (rig.engine(), r1(), steps_of(&["b"]));
    let as_started = engine.fork(&run, &from, &inputs, options).await.unwrap();
    assert_eq!(as_started.output, json!({"x": 1, "a": "first"}));
}

/// A process that dies right after the first write of a fork leaves a run that goes on; one before it leaves none.
#[tokio::test]
async fn a_fork_whose_process_dies_goes_on_or_was_never_there() {
    let rig = two();
    rig.run().await.unwrap();
    let journal = rig.journal();
    let gate = Gate::default();
    drop(rig.script.clone().held_once("b", &gate));
    let engine = rig.engine();
    let options = ForkOptions {
        id: Some(r2()),
        ..ForkOptions::default()
    };
    let (run, from, inputs) = (r1(), steps_of(&["b"]), GivenInputs::default());
    {
        let mut fork = Box::pin(engine.fork(&run, &from, &inputs, options));
        gate.holds(&mut fork).await;
    }
    assert_eq!(
        rig.store.row(&r2()).now().unwrap().unwrap().status,
        Status::Pending
    );
    gate.open();
    let resumed = rig
        .engine()
        .resume(&r2(), Default::default())
        .await
        .unwrap();
    assert_eq!(resumed.output, json!({"x": 1, "a": "first"}));
    is_whole(&rig).await;
    // Whoever forks a run leaves it as it was.
    assert_eq!(rig.journal(), journal);
}

/// A run that moves is not forked.
#[tokio::test]
async fn a_run_that_moves_is_not_forked() {
    let rig = two();
    rig.submit("r1").await;
    let refused = forked(&rig, &["b"], OnChange::Ask).await.unwrap_err();
    let EngineError::NotForked { reason, .. } = refused else {
        panic!("{refused}");
    };
    assert_eq!(reason, NotForked::Moves(Status::Pending));
}
