//! The process dies between two commits: whatever was committed stands, nothing that completed runs again.

use milepost_tests::now::Now as _;
use std::collections::BTreeMap;
use std::sync::Arc;

use milepost::engine::{Control, ResumeOptions};
use milepost::report::RunReport;
use milepost::store::Store;
use milepost_core::event::{Event, StepEvent};
use milepost_core::outcome::ErrorClass;
use milepost_core::state::Status;
use milepost_tests::faulty::{Fault, FaultyStore, dead_process};
use milepost_tests::rig::Rig;
use milepost_tests::scripted::{Script, error, fail, ok};
use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, prop_oneof, proptest};
use serde_json::{Value, json};

use super::block_on;

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

/// Paths in the order in which they are called.
const CALLS: [&str; 8] = [
    "a",
    "flaky",
    "fix#1/test",
    "fix#2/patch",
    "fix#2/test",
    "fix#3/patch",
    "fix#3/test",
    "sum",
];

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
    let steps = steps.map(|step| {
        (
            step.path.clone(),
            step.status,
            step.output.value().as_ref().clone(),
        )
    });
    (report.status, report.output.clone(), steps.collect())
}

/// No path has two outcomes.
fn settled_once(rig: &Rig) {
    let mut settled: BTreeMap<String, usize> = BTreeMap::new();
    for entry in rig.journal() {
        if let Event::Step {
            path,
            event:
                StepEvent::Completed { .. } | StepEvent::Failed { .. } | StepEvent::Skipped { .. },
        } = &entry.event
        {
            *settled.entry(path.to_string()).or_default() += 1;
        }
    }
    assert!(settled.values().all(|times| *times == 1), "{settled:?}");
}

async fn undisturbed() -> (RunReport, usize) {
    let rig = Rig::new(BODY, &script());
    let store = Arc::new(FaultyStore::new(Arc::clone(&rig.store), |_| Fault::None));
    let engine = rig.engine_on(Arc::clone(&store) as _);
    let report = rig.run_on(&engine, Control::default()).await.unwrap();
    (report, store.writes().len())
}

/// Runs in a process that dies where `mortal` says, then in one that lives.
async fn one_death(mortal: impl Fn(Arc<dyn Store>) -> FaultyStore, whole: &RunReport, when: &str) {
    let mut rig = Rig::sqlite(BODY, &script());
    rig.dies_on(mortal(Arc::clone(&rig.store))).await;
    rig.reopen();
    let report = match rig.row().status {
        Status::Completed => rig.engine().report(&whole.id).now().unwrap(),
        status => {
            assert_eq!(status, Status::Running, "{when}");
            rig.resume().await.unwrap()
        }
    };
    assert_eq!(result(&report), result(whole), "{when}");
    settled_once(&rig);
    // The step in flight may be called twice, nothing else may be, and nothing is left out.
    let mut calls = rig.script.calls();
    calls.dedup();
    assert_eq!(calls, CALLS, "{when}");
    assert!(rig.script.calls().len() <= CALLS.len() + 2, "{when}");
    assert_eq!(rig.replay().await.unwrap().divergence, None, "{when}");
}

#[tokio::test]
async fn b106_death_around_any_commit_loses_the_step_in_flight_at_most() {
    let (whole, commits) = undisturbed().await;
    assert_eq!(whole.status, Status::Completed);
    for n in 1..=commits {
        let after = |store| FaultyStore::dying_after(store, n);
        one_death(after, &whole, &format!("after commit {n}")).await;
    }
    for n in 2..=commits {
        let before = |store| FaultyStore::dying_before(store, n);
        one_death(before, &whole, &format!("before commit {n}")).await;
    }
}

#[tokio::test]
async fn b106_death_on_top_of_death_ends_the_same() {
    let (whole, _) = undisturbed().await;
    let rig = Rig::new(BODY, &script());
    let mut deaths = 0;
    loop {
        // Every process lives for its claim, which the first one makes with its first start, and for one step forward.
        let commits = if deaths == 0 { 2 } else { 3 };
        let store = Arc::new(FaultyStore::dying_after(Arc::clone(&rig.store), commits));
        let engine = rig.engine_on(Arc::clone(&store) as _);
        let control = Control::default();
        let driven = async {
            if deaths == 0 {
                rig.run_on(&engine, control.clone()).await
            } else {
                engine.resume(&whole.id, ResumeOptions::default()).await
            }
        };
        store.kills(driven).await;
        deaths += 1;
        if rig.row().status != Status::Running {
            break;
        }
    }
    let report = rig.engine().report(&whole.id).now().unwrap();
    assert_eq!(result(&report), result(&whole));
    assert_eq!(report.epoch, deaths);
    settled_once(&rig);
}

/// What happens to the writes of one process, in order; the rest succeed.
fn lifetime() -> impl Strategy<Value = Vec<Fault>> {
    let fault = prop_oneof![
        6 => Just(Fault::None),
        3 => Just(Fault::Refused),
        2 => Just(Fault::AnswerLost),
        1 => Just(Fault::LastWords),
    ];
    let long_outage = Just(vec![Fault::Refused; 9]);
    prop_oneof![9 => vec(fault, 0..12), 1 => long_outage]
}

/// Processes come and go, each with the faults of its store, until one ends the run.
async fn survive(lives: Vec<Vec<Fault>>, whole: &RunReport) {
    let rig = Rig::new(BODY, &script());
    for faults in lives.into_iter().chain([Vec::new()]) {
        let plan = move |n: usize| faults.get(n - 1).cloned().unwrap_or(Fault::None);
        let store = FaultyStore::new(Arc::clone(&rig.store), plan).owned_by(dead_process());
        let store = Arc::new(store);
        let engine = rig.engine_on(Arc::clone(&store) as _);
        let exists = rig.store.row(&whole.id).now().unwrap().is_some();
        let driven = async {
            if exists {
                engine.resume(&whole.id, ResumeOptions::default()).await
            } else {
                rig.run_on(&engine, Control::default()).await
            }
        };
        tokio::select! {
            _ = driven => {}
            () = store.died() => {}
        }
        let row = rig.store.row(&whole.id).now().unwrap();
        if row.is_some_and(|row| row.status == Status::Completed) {
            break;
        }
    }
    let report = rig.engine().report(&whole.id).now().unwrap();
    assert_eq!(result(&report), result(whole));
    settled_once(&rig);
    let mut calls = rig.script.calls();
    calls.dedup();
    assert_eq!(calls, CALLS);
    assert_eq!(rig.replay().await.unwrap().divergence, None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn b106_whatever_happens_to_writes_the_run_ends_the_same(lives in vec(lifetime(), 0..6)) {
        block_on(async {
            let (whole, _) = undisturbed().await;
            survive(lives, &whole).await;
        });
    }
}
