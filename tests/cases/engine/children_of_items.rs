//! A fan-out over child runs, driven for real: one run for each item, in this process or by workers.

use std::sync::Arc;

use milepost::engine::{
    ApprovalDecision, Control, EngineError, ItemAnswer, ResumeOptions, StopAnswer,
};
use milepost::record;
use milepost::store::RunRow;
use milepost_core::ids::Path;
use milepost_core::outcome::codes;
use milepost_core::state::Status;
use milepost_core::stop::{StopCode, Why};
use milepost_core::wait::Verdict;
use milepost_tests::faulty::{FaultyStore, dead_process};
use milepost_tests::now::Now as _;
use milepost_tests::rig::{Rig, r1};
use milepost_tests::scripted::{Gate, Script, fail, ok};
use serde_json::{Value, json};

use super::children::{CHILD, GATE, children, rig_of, row, wherever_it_dies};
use super::count;

/// A child run for each of three numbers, two at a time.
const PARENT: &str = "
returns = '${ steps.all.output }'
[[step]]
id = 'all'
workflow = 'c.toml'
foreach = { items = '[1, 2, 3]', max_parallel = 2 }
with = { n = '${ item }' }
";

fn number(input: &Value) -> i64 {
    input["n"].as_i64().unwrap()
}

fn script() -> Script {
    Script::new().step("inner", |call| ok(json!(number(&call.input) * 2)))
}

/// Fails at the second item, until it has been tried so often.
fn failing(tries: u32) -> Script {
    script().step("inner", move |call| match number(&call.input) {
        2 if call.attempt <= tries => fail("red"),
        n => ok(json!(n * 2)),
    })
}

fn rig(child: &str, script: &Script) -> Rig {
    rig_of(PARENT, &[("c.toml", child)], script)
}

/// The child run of an item.
fn of_item(rig: &Rig, index: u32) -> RunRow {
    let item = format!("all[{index}]").parse::<Path>().unwrap();
    let recorded = record::load(rig.store.as_ref(), &r1()).now();
    let state = recorded.unwrap().state;
    let record = state.executions().at(&item).expect("it has begun");
    row(rig, &record.child().expect("a child").run)
}

#[tokio::test(start_paused = true)]
async fn b370_whoever_runs_the_parent_drives_a_child_for_each_item() {
    let script = script();
    let rig = rig(CHILD, &script);
    let report = rig.run().await.unwrap();
    assert_eq!(
        (report.status, report.output),
        (Status::Completed, json!([2, 4, 6]))
    );
    assert_eq!(script.calls(), ["inner"; 3]);
    for index in 0..3 {
        let child = of_item(&rig, index);
        assert_eq!(
            (child.status, child.parent),
            (Status::Completed, Some(r1()))
        );
    }
    let report = rig.engine().report(&r1()).await.unwrap();
    assert_eq!(report.children.get(&Status::Completed), Some(&3));
    assert!(rig.store.inbox(&r1(), 10).now().unwrap().is_empty());
    let replayed = rig.replay().await.unwrap();
    assert!(replayed.is_same(), "{replayed:?}");
    assert_eq!(replayed.children.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn b371_no_more_child_runs_than_the_window_has_places() {
    let rig = rig(GATE, &script());
    let report = rig.run().await.unwrap();
    assert_eq!(report.status, Status::Paused);
    assert_eq!(children(&rig, &r1()).len(), 2);
    approve(&rig, 1).await;
    rig.work().await;
    assert_eq!(children(&rig, &r1()).len(), 3);
    for index in [2, 0] {
        approve(&rig, index).await;
    }
    rig.work().await;
    let report = rig.engine().report(&r1()).await.unwrap();
    assert_eq!(
        (report.status, report.output),
        (Status::Completed, json!(vec!["approved"; 3]))
    );
    assert!(rig.replay().await.unwrap().is_same());
}

fn decision(path: Option<&str>) -> ApprovalDecision {
    ApprovalDecision {
        path: path.map(str::to_owned),
        verdict: Verdict::Approved,
        comment: None,
        by: None,
    }
}

async fn approve(rig: &Rig, index: u32) {
    let child = of_item(rig, index).id;
    let decided = rig.engine().decide_approval(&child, &decision(None)).await;
    assert!(decided.is_ok(), "{decided:?}");
}

#[tokio::test(start_paused = true)]
async fn b368_every_child_that_waits_is_a_reason_and_the_named_one_is_asked() {
    let rig = rig(GATE, &script());
    let report = rig.run().await.unwrap();
    let stop = report.stop.clone().unwrap();
    assert_eq!(stop.code(), StopCode::WaitingForChild);
    let runs = [of_item(&rig, 0).id, of_item(&rig, 1).id];
    let reasons: Vec<_> = stop.reasons.iter().map(|reason| &reason.why).collect();
    let waits = runs.clone().map(|run| Why::WaitingForChild { run });
    assert_eq!(reasons, waits.iter().collect::<Vec<_>>());
    let items = report.steps[0].items.clone().unwrap();
    assert_eq!((items.waiting, items.pending()), (2, 1));
    for (item, run) in items.open.iter().zip(&runs) {
        let child = item.child.clone().unwrap();
        assert_eq!(
            (&child.run, child.status),
            (run, Some(Status::Paused)),
            "{}",
            item.path
        );
        let why = child.stop.map(|stop| stop.code());
        assert_eq!(why, Some(StopCode::WaitingForApproval));
    }
    let refused = |path: &'static str| {
        let engine = rig.engine();
        async move {
            match engine.decide_approval(&r1(), &decision(Some(path))).await {
                Err(EngineError::AtChild { child, path, .. }) => (child, path.to_string()),
                other => panic!("{other:?}"),
            }
        }
    };
    for (index, path) in [(0, "all[0]"), (1, "all[1]")] {
        assert_eq!(refused(path).await, (runs[index].clone(), path.to_owned()));
    }
}

#[tokio::test(start_paused = true)]
async fn b373_a_resume_of_the_parent_drives_the_failed_child_on_and_no_other() {
    for by_worker in [false, true] {
        let script = failing(2);
        let rig = rig(CHILD, &script);
        rig.run().await.unwrap();
        let report = rig.engine().report(&r1()).await.unwrap();
        let error = report.steps[0].error.clone().unwrap();
        assert_eq!(
            (report.status, error.code.as_str()),
            (Status::Failed, codes::ITEMS_FAILED)
        );
        let failed = of_item(&rig, 1);
        let listed = &report.steps[0].items.as_ref().unwrap().failures[0];
        let told = listed.child.clone().unwrap();
        assert_eq!(
            (told.run, told.status),
            (failed.id.clone(), Some(Status::Failed))
        );
        for (calls, status) in [(4, Status::Failed), (5, Status::Completed)] {
            if by_worker {
                // Whoever resumes it dies as soon as that is recorded.
                let store = FaultyStore::dying_after(Arc::clone(&rig.store), 1);
                let store = Arc::new(store.owned_by(dead_process()));
                let engine = rig.engine_on(Arc::clone(&store) as _);
                store
                    .kills(engine.resume(&r1(), ResumeOptions::default()))
                    .await;
                rig.work().await;
            } else {
                rig.resume().await.unwrap();
            }
            assert_eq!(rig.row().status, status);
            assert_eq!(script.calls().len(), calls);
        }
        assert_eq!(of_item(&rig, 1).id, failed.id);
        assert_eq!(children(&rig, &r1()).len(), 3);
        let report = rig.engine().report(&r1()).await.unwrap();
        assert_eq!(report.output, json!([2, 4, 6]));
        assert!(rig.replay().await.unwrap().is_same());
    }
}

#[tokio::test(start_paused = true)]
async fn b369_the_end_of_the_parent_ends_the_child_runs_of_its_items() {
    let rig = rig(GATE, &script());
    rig.run().await.unwrap();
    let ended = rig.engine().end_family(&r1(), false, "ann").await.unwrap();
    assert_eq!(ended.answer, StopAnswer::Done(Status::Cancelled));
    assert_eq!(ended.children.len(), 2);
    rig.work().await;
    for child in children(&rig, &r1()) {
        assert_eq!(child.status, Status::Cancelled);
    }
    assert_eq!(children(&rig, &r1()).len(), 2, "no other one begins");
}

#[tokio::test(start_paused = true)]
async fn b369_a_parent_cancelled_while_children_of_items_move_ends_them() {
    let gate = Gate::default();
    let script = script().held("inner", &gate);
    let rig = rig(CHILD, &script);
    let engine = rig.engine();
    let mut run = Box::pin(rig.run_on(&engine, Control::default()));
    gate.holds(&mut run).await;
    let asked = async { rig.engine().end_family(&r1(), true, "ann").await };
    let (report, ended) = tokio::join!(run, asked);
    ended.unwrap();
    // Its children ended first, so that the one who drove them may have looked before it did.
    let status = report.unwrap().status;
    assert!(
        matches!(status, Status::Cancelled | Status::Paused),
        "{status}"
    );
    rig.work().await;
    assert_eq!(rig.row().status, Status::Cancelled);
    for child in children(&rig, &r1()) {
        assert_eq!(child.status, Status::Cancelled);
    }
}

#[tokio::test(start_paused = true)]
async fn b373_who_cancels_an_item_ends_its_child_run() {
    let parent = PARENT.replace("max_parallel = 2", "join = 'all_done'");
    let rig = rig_of(&parent, &[("c.toml", GATE)], &script());
    rig.run().await.unwrap();
    let cancelled = of_item(&rig, 1).id;
    let engine = rig.engine();
    let answer = engine.cancel_item(&r1(), "all[1]", "ann").await.unwrap();
    assert_eq!(answer.answer, ItemAnswer::Cancelled(Status::Paused));
    assert_eq!(row(&rig, &cancelled).status, Status::Cancelled);
    let again = engine.cancel_item(&r1(), "all[1]", "ann").await.unwrap();
    assert_eq!(again.answer, ItemAnswer::Already(Status::Paused));
    rig.work().await;
    for index in [0, 2] {
        approve(&rig, index).await;
    }
    rig.work().await;
    let report = rig.engine().report(&r1()).await.unwrap();
    assert_eq!(report.status, Status::Completed);
    assert_eq!(report.output[1]["error"]["code"], codes::ITEM_CANCELLED);
    assert_eq!(report.output[2]["output"], "approved");
    assert_eq!(children(&rig, &r1()).len(), 3);
    assert!(rig.replay().await.unwrap().is_same());
}

/// What its child run has left to do before its end is told, so that whoever cancels it runs that; where the run moves, its process
/// does.
#[tokio::test]
async fn b373_a_child_run_that_ends_with_its_item_does_what_it_has_left_to_do() {
    let last = "[[step]]\nid = 'last'\nuse = 'p/last'\nfinally = true\n";
    let child = format!("{GATE}{last}");
    let parent = PARENT.replace("max_parallel = 2", "join = 'all_done'");
    let rig = rig_of(&parent, &[("c.toml", &child)], &script());
    rig.run().await.unwrap();
    let cancelled = of_item(&rig, 1).id;
    let engine = rig.engine();
    let stopped = engine.cancel_item(&r1(), "all[1]", "ann").await.unwrap();
    assert_eq!(stopped.finishing, std::slice::from_ref(&cancelled));
    engine
        .resume(&cancelled, ResumeOptions::default())
        .await
        .unwrap();
    assert_eq!(row(&rig, &cancelled).status, Status::Cancelled);
    // Beside a step in flight.
    let gate = Gate::default();
    let script = script().held("long", &gate);
    let parent = format!("flow = 'graph'\n{parent}[[step]]\nid = 'long'\nuse = 'p/long'\n");
    let rig = rig_of(&parent, &[("c.toml", &child)], &script);
    let engine = rig.engine();
    let (report, ()) = tokio::join!(rig.run_on(&engine, Control::default()), async {
        gate.came().await;
        let cancelled = loop {
            let found = children(&rig, &r1());
            if found.len() == 3 && found.iter().all(|row| row.status == Status::Paused) {
                break of_item(&rig, 1).id;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        };
        let stopped = rig.engine().cancel_item(&r1(), "all[1]", "ann").await;
        let left = stopped.unwrap().finishing;
        while row(&rig, &cancelled).status != Status::Cancelled {
            assert!(left.is_empty() || left.contains(&cancelled));
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        gate.open();
    });
    assert_eq!(report.unwrap().status, Status::Paused);
}

#[tokio::test(start_paused = true)]
async fn b373_an_item_that_is_retried_drives_its_child_run_on() {
    let script = failing(1);
    let rig = rig(CHILD, &script);
    rig.run().await.unwrap();
    let item: Path = "all[1]".parse().unwrap();
    let report = rig
        .engine()
        .retry(&r1(), Some(&item), ResumeOptions::default())
        .await
        .unwrap();
    assert_eq!(
        (report.status, report.output),
        (Status::Completed, json!([2, 4, 6]))
    );
    assert_eq!(script.calls().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn items_with_members_have_child_runs_of_their_own() {
    let parent = "
returns = '${ steps.all.output }'
[[step]]
id = 'all'
foreach = { items = '[1, 2]' }
[[step]]
id = 'before'
in = 'all'
use = 'p/before'
with = { n = '${ item }' }
[[step]]
id = 'child'
in = 'all'
workflow = 'c.toml'
with = { n = '${ steps.before.output.n + 10 * item }' }
";
    let script = script().step("before", |call| ok((*call.input).clone()));
    let rig = rig_of(parent, &[("c.toml", CHILD)], &script);
    let report = rig.run().await.unwrap();
    assert_eq!(
        (report.status, report.output),
        (Status::Completed, json!([22, 44]))
    );
    assert_eq!(children(&rig, &r1()).len(), 2);
    assert!(rig.replay().await.unwrap().is_same());
}

/// Whatever the process had committed when it died, others come to the same end, with one child for each item and each step once.
#[test]
fn b370_the_children_of_items_come_to_their_end_wherever_the_process_dies() {
    let rig = || rig(CHILD, &script());
    let deaths = wherever_it_dies(rig, &json!([2, 4, 6]), |rig, last| {
        let children = children(rig, &r1());
        assert_eq!(children.len(), 3, "{last}");
        assert!(
            children
                .iter()
                .all(|child| child.status == Status::Completed)
        );
        assert_eq!(count(&rig.events(), "child_ended"), 3, "{last}");
    });
    assert!(deaths > 10, "{deaths}");
}
