//! The process dies between two commits: whatever was committed stands, nothing that completed runs again.

use std::collections::BTreeMap;
use std::sync::Arc;

use milepost::engine::Control;
use milepost::report::RunReport;
use milepost_core::event::Event;
use milepost_core::outcome::ErrorClass;
use milepost_core::state::Status;
use milepost_tests::faulty::FaultyStore;
use milepost_tests::rig::Rig;
use milepost_tests::scripted::{Script, error, fail, ok};
use serde_json::{Value, json};

/// Steps, a loop with a failing and a skipped member, a retry, and values that travel between them.
const BODY: &str = "
returns = '${ steps.sum.output }'
[[step]]
id = 'a'
use = 'p/a'
[[step]]
id = 'flaky'
use = 'p/flaky'
retry = { initial = '5s' }
[[step]]
id = 'fix'
loop = { until = 'steps.test.status == \"completed\"', max_iterations = 5 }
[[step]]
id = 'patch'
in = 'fix'
if = 'loop.iteration > 1'
use = 'p/patch'
[[step]]
id = 'test'
in = 'fix'
use = 'p/test'
with = { iteration = '${ loop.iteration }' }
[[step]]
id = 'sum'
use = 'p/sum'
with = { all = ['${ steps.a.output }', '${ steps.flaky.output }', '${ steps.fix.iterations }'] }
";

fn script() -> Script {
    Script::new()
        .step("a", |_| ok(json!({ "blob": "x".repeat(20_000) })))
        .step("flaky", |call| match call.attempt {
            1 => error(ErrorClass::Retryable, "busy"),
            _ => ok(json!(7)),
        })
        .step("test", |call| match call.input["iteration"].as_u64() {
            Some(3) => ok(json!("green")),
            _ => fail("red"),
        })
        .step("sum", |call| ok(call.input["all"].clone()))
}

/// What must not depend on where the process died.
fn result(report: &RunReport) -> (Status, Value, Vec<(String, &'static str, Value)>) {
    let steps = report.steps.iter();
    let steps = steps.map(|step| (step.path.clone(), step.status, step.output.clone()));
    (report.status, report.output.clone(), steps.collect())
}

/// How often each path was settled, and how often it was called after it had been.
fn settled_once(rig: &Rig) {
    let mut settled: BTreeMap<String, usize> = BTreeMap::new();
    for entry in rig.journal() {
        if let Event::StepCompleted { path, .. }
        | Event::StepFailed { path, .. }
        | Event::StepSkipped { path, .. } = &entry.event
        {
            *settled.entry(path.to_string()).or_default() += 1;
        }
    }
    assert!(settled.values().all(|times| *times == 1), "{settled:?}");
}

async fn undisturbed() -> (RunReport, usize) {
    let rig = Rig::new(BODY, &script());
    let store = Arc::new(FaultyStore::new(Arc::clone(&rig.store), |_| {
        milepost_tests::faulty::Fault::None
    }));
    let engine = rig.engine_on(Arc::clone(&store) as _);
    let report = rig.run_on(&engine, Control::default()).await.unwrap();
    (report, store.writes().len())
}

#[tokio::test]
async fn b106_death_after_any_commit_loses_the_step_in_flight_at_most() {
    let (whole, commits) = undisturbed().await;
    assert_eq!(whole.status, Status::Completed);
    for last in 1..=commits {
        let mut rig = Rig::sqlite(BODY, &script());
        let store = Arc::new(FaultyStore::dying_after(Arc::clone(&rig.store), last));
        let engine = rig.engine_on(Arc::clone(&store) as _);
        tokio::select! {
            _ = rig.run_on(&engine, Control::default()) => unreachable!("the process dies"),
            () = store.died() => {}
        }
        drop((engine, store));
        rig.reopen();
        let report = if last == commits {
            rig.engine().report(&whole.id).unwrap()
        } else {
            assert_eq!(rig.row().status, Status::Running, "after commit {last}");
            rig.resume().await.unwrap()
        };
        assert_eq!(result(&report), result(&whole), "after commit {last}");
        settled_once(&rig);
        // The intent was committed, the attempt had not begun: even the step in flight is called once here.
        let undisturbed_calls = ["a", "flaky", "flaky", "fix#1/test", "fix#2/patch", "fix#2/test", "fix#3/patch", "fix#3/test", "sum"];
        assert_eq!(rig.script.calls(), undisturbed_calls, "after commit {last}");
        assert_eq!(rig.replay().await.unwrap().divergence, None, "after commit {last}");
    }
}

#[tokio::test]
async fn b106_death_on_top_of_death_ends_the_same() {
    let (whole, _) = undisturbed().await;
    let rig = Rig::new(BODY, &script());
    let mut deaths = 0;
    loop {
        // Every process lives for two commits: its claim, and one step forward.
        let store = Arc::new(FaultyStore::dying_after(Arc::clone(&rig.store), 2));
        let engine = rig.engine_on(Arc::clone(&store) as _);
        let control = Control::default();
        let driven = async {
            if deaths == 0 {
                rig.run_on(&engine, control.clone()).await
            } else {
                engine.resume(&whole.id, Default::default()).await
            }
        };
        tokio::select! {
            _ = driven => unreachable!("the process dies"),
            () = store.died() => deaths += 1,
        }
        if rig.row().status != Status::Running {
            break;
        }
    }
    let report = rig.engine().report(&whole.id).unwrap();
    assert_eq!(result(&report), result(&whole));
    assert_eq!(report.epoch, deaths);
    settled_once(&rig);
}
