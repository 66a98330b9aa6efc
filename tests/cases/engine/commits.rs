//! What one transaction holds, and how many there are.

use milepost_tests::now::Now as _;
use std::collections::BTreeMap;
use std::sync::Arc;

use milepost::engine::{Control, Demand, Request, StartOptions};
use milepost_core::event::{AttemptStarted, Event, StepEvent};
use milepost_core::limits;
use milepost_core::state::Status;
use milepost_tests::faulty::{Fault, FaultyStore};
use milepost_tests::recorder::Recorder;
use milepost_tests::rig::Rig;
use milepost_tests::scripted::{Script, ok};
use serde_json::{Value, json};

use super::steps;

/// A loop without calls: three events a pass.
const IDLE_LOOP: &str = "
[[step]]
id = 'spin'
loop = { until = 'loop.iteration > 1000', max_iterations = 1000, on_exhausted = 'continue' }
[[step]]
id = 'idle'
in = 'spin'
if = 'loop.iteration < 1'
use = 'p/idle'
";

#[tokio::test]
async fn p3_a_hundred_steps_make_101_commits() {
    let ids: Vec<String> = (1..=100).map(|n| format!("s{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let mut rig = Rig::new(&steps(&ids), &Script::new());
    let sqlite = Arc::new(rig.open_sqlite());
    rig.store = Arc::clone(&sqlite) as _;
    let report = rig.run().await.unwrap();
    assert_eq!(report.summary.completed, 100);
    // One creates, claims and starts the first step; 99 settle a step and start the next; one settles the last and ends.
    assert_eq!(sqlite.commits(), 101);
}

#[tokio::test]
async fn p3_no_commit_ends_with_an_outcome_while_a_step_is_due() {
    let body = "
        [[step]]
        id = 'a'
        use = 'p/a'
        [[step]]
        id = 'fix'
        loop = { until = 'loop.iteration == 2' }
        [[step]]
        id = 'b'
        in = 'fix'
        use = 'p/b'
        [[step]]
        id = 'c'
        in = 'fix'
        if = 'loop.iteration == 2'
        use = 'p/c'
        [[step]]
        id = 'd'
        use = 'p/d'
    ";
    let rig = Rig::new(body, &Script::new());
    let store = Arc::new(FaultyStore::new(Arc::clone(&rig.store), |_| Fault::None));
    let engine = rig.engine_on(Arc::clone(&store) as _);
    rig.run_on(&engine, Control::default()).await.unwrap();
    let last_of_each: Vec<String> = store
        .writes()
        .iter()
        .map(|write| {
            let entry = write.entries.last().unwrap();
            let body: Value = serde_json::from_str(&entry.body).unwrap();
            format!("{} {}", body["body"]["type"], body["body"]["path"]).replace('"', "")
        })
        .collect();
    let expected = [
        "step_started a",
        "step_started fix#1/b",
        "step_started fix#2/b",
        "step_started fix#2/c",
        "step_started d",
        "run_completed null",
    ];
    assert_eq!(last_of_each, expected);
}

#[tokio::test]
async fn a_thousand_passes_without_a_call_are_committed_in_pieces() {
    let rig = Rig::new(IDLE_LOOP, &Script::new());
    let store = Arc::new(FaultyStore::new(Arc::clone(&rig.store), |_| Fault::None));
    let engine = rig.engine_on(Arc::clone(&store) as _);
    let report = rig.run_on(&engine, Control::default()).await.unwrap();
    assert_eq!(report.status, Status::Completed);
    assert_eq!(report.steps[0].iterations, Some(1000));
    let sizes: Vec<usize> = store.writes().iter().map(|w| w.entries.len()).collect();
    assert!(
        sizes.iter().all(|size| *size <= limits::EVENTS_PER_COMMIT),
        "{sizes:?}"
    );
    assert_eq!(sizes.iter().sum::<usize>(), rig.journal().len());
    assert!(rig.clock.waits().iter().all(std::time::Duration::is_zero));
}

#[tokio::test]
async fn a_run_that_calls_nothing_can_still_be_paused() {
    let mut rig = Rig::new(IDLE_LOOP, &Script::new());
    let control = Control::default();
    rig.recorder = Arc::new(Recorder::reacting({
        let control = control.clone();
        move |_| {
            control.ask(Request::new(Demand::PauseNow, "SIGINT"));
        }
    }));
    let report = rig.run_on(&rig.engine(), control.clone()).await.unwrap();
    assert_eq!(report.status, Status::Paused);
    assert!(report.events < 1000, "{}", report.events);
}

#[tokio::test]
async fn large_values_come_back_equal() {
    let large =
        json!({ "text": "é".repeat(limits::INLINE_VALUE_BYTES), "blob": "sha256:0", "inline": 1 });
    // Looks like the record's own words for a value that stands elsewhere.
    let tricky = json!({ "blob": "sha256:0000", "bytes": 3 });
    let body = "
        returns = { large = '${ steps.large.output }', tricky = '${ steps.tricky.output }' }
        [inputs.text]
        type = 'string'
        [[step]]
        id = 'large'
        use = 'p/large'
        [[step]]
        id = 'tricky'
        use = 'p/tricky'
        [[step]]
        id = 'reader'
        use = 'p/reader'
        with = { all = ['${ steps.large.output }', '${ steps.tricky.output }', '${ inputs.text }'] }
    ";
    let script = Script::new()
        .step("large", {
            let large = large.clone();
            move |_| ok(large.clone())
        })
        .step("tricky", {
            let tricky = tricky.clone();
            move |_| ok(tricky.clone())
        })
        .step("reader", |call| ok(call.input["all"].clone()));
    let mut rig = Rig::sqlite(body, &script);
    let text = json!("t".repeat(limits::INLINE_VALUE_BYTES));
    let inputs = BTreeMap::from([("text".to_owned(), text.clone())]);
    let first = rig
        .run_with(&rig.engine(), inputs, Control::default())
        .await
        .unwrap();
    rig.reopen();
    let report = rig.engine().report(&first.id).now().unwrap();
    assert_eq!(report, first);
    assert_eq!(report.output, json!({ "large": large, "tricky": tricky }));
    assert_eq!(report.steps[2].output, json!([large, tricky, text]));
    let started = rig
        .journal()
        .into_iter()
        .find_map(|entry| match entry.event {
            Event::Step {
                path,
                event: StepEvent::Started(AttemptStarted { input, .. }),
            } if path.to_string() == "reader" => Some(input),
            _ => None,
        });
    assert_eq!(
        started.unwrap().value()["all"],
        json!([large, tricky, text])
    );
    assert_eq!(rig.replay().await.unwrap().divergence, None);
}

#[tokio::test]
async fn outputs_beyond_the_limit_of_a_run_fail_the_step() {
    let half = limits::RUN_STATE_BYTES / 2;
    let script = Script::new()
        .step("a", move |_| ok(json!("x".repeat(half))))
        .step("b", move |_| ok(json!("x".repeat(half))));
    let rig = Rig::new(&steps(&["a", "b"]), &script);
    let report = rig.run().await.unwrap();
    assert_eq!(report.status, Status::Failed);
    assert_eq!(report.steps[0].status, "completed");
    assert_eq!(
        report.steps[1].error.as_ref().unwrap().code,
        "run_state_too_large"
    );
    assert_eq!(rig.replay().await.unwrap().divergence, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_runs_share_one_store() {
    let rig = Rig::sqlite(&steps(&["a", "b", "c"]), &Script::new());
    let runs: Vec<_> = (0..50)
        .map(|_| {
            let (engine, workflow) = (rig.engine(), rig.workflow());
            tokio::spawn(async move {
                engine
                    .run(workflow, BTreeMap::new(), StartOptions::default())
                    .await
            })
        })
        .collect();
    for run in runs {
        assert_eq!(run.await.unwrap().unwrap().status, Status::Completed);
    }
    assert_eq!(rig.script.calls().len(), 150);
}
