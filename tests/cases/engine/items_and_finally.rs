//! A child run for each item, and steps with `finally`: whatever ends the run ends the children first, and what runs at the end runs
//! after that, once; and a fan-out over child runs as the last step.

use std::time::Duration;

use milepost::engine::{Control, StopAnswer};
use milepost::store::RunRow;
use milepost_core::state::Status;
use milepost_core::stop::StopCode;
use milepost_tests::faulty::dead_process;
use milepost_tests::rig::{Rig, START, r1};
use milepost_tests::scripted::{Gate, Script, at, fail, ok};
use serde_json::json;

use super::children::{CHILD, GATE, children, rig_of, wherever_it_dies};
use super::count;

/// A child run for each of three numbers, two at a time, and a report at the end.
const PARENT: &str = "
returns = '${ steps.all.output }'
[[step]]
id = 'all'
workflow = 'c.toml'
foreach = { items = '[1, 2, 3]', max_parallel = 2 }
with = { n = '${ item }' }
[[step]]
id = 'report'
use = 'p/report'
finally = true
with = { how = '${ run.status }' }
";

/// The same the other way round: children at the end, of a step that may fail.
const AT_THE_END: &str = "
[limits]
finally = '1m'
[[step]]
id = 'a'
use = 'p/a'
[[step]]
id = 'all'
workflow = 'c.toml'
foreach = { items = '[1, 2, 3]', max_parallel = 2 }
finally = true
with = { n = '${ item }' }
";

fn script() -> Script {
    Script::new().step("inner", |call| {
        ok(json!(call.input["n"].as_i64().unwrap() * 2))
    })
}

/// A report at the end that is told this.
fn told(script: Script, how: &'static str) -> Script {
    script.step("report", move |call| {
        assert_eq!(call.input["how"], how);
        at(call)
    })
}

fn rig(child: &str, script: &Script) -> Rig {
    rig_of(PARENT, &[("c.toml", child)], script)
}

fn statuses(rows: &[RunRow]) -> Vec<Status> {
    rows.iter().map(|row| row.status).collect()
}

fn reports(rig: &Rig) -> usize {
    count_calls(rig, "report")
}

fn count_calls(rig: &Rig, step: &str) -> usize {
    rig.script
        .calls()
        .iter()
        .filter(|call| *call == step)
        .count()
}

#[tokio::test(start_paused = true)]
async fn b369_a_cancelled_run_ends_the_children_of_its_items_and_then_reports() {
    for killed in [false, true] {
        let gate = Gate::default();
        let script = told(script().held("inner", &gate), "cancelled");
        let rig = rig(CHILD, &script);
        let engine = rig.engine();
        let mut run = Box::pin(rig.run_on(&engine, Control::default()));
        gate.holds(&mut run).await;
        let asked = async { rig.engine().end_family(&r1(), killed, "ann").await };
        let (report, ended) = tokio::join!(run, asked);
        ended.unwrap();
        assert_eq!(report.unwrap().status, Status::Cancelled);
        rig.work().await;
        let children = statuses(&children(&rig, &r1()));
        assert!(!children.is_empty() && children.len() <= 2, "{children:?}");
        assert!(children.iter().all(|status| *status == Status::Cancelled));
        // A kill leaves nothing to do.
        assert_eq!(reports(&rig), usize::from(!killed));
        gate.open();
        let replayed = rig.replay().await.unwrap();
        assert!(replayed.divergence.is_none(), "{replayed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn b369_a_run_that_stands_at_the_children_of_its_items_is_cancelled_and_reports() {
    for killed in [false, true] {
        let rig = rig(GATE, &told(script(), "cancelled"));
        assert_eq!(rig.run().await.unwrap().status, Status::Paused);
        let ended = rig.engine().end_family(&r1(), killed, "ann").await.unwrap();
        let answer = match killed {
            true => StopAnswer::Done(Status::Cancelled),
            false => StopAnswer::Finishing,
        };
        assert_eq!((ended.answer, ended.children.len()), (answer, 2));
        rig.work().await;
        assert_eq!(rig.row().status, Status::Cancelled);
        let children = statuses(&children(&rig, &r1()));
        assert_eq!(children, [Status::Cancelled; 2], "no other one begins");
        assert_eq!(reports(&rig), usize::from(!killed));
        assert!(rig.replay().await.unwrap().is_same());
    }
}

/// The process that drives the parent and the children of its items is lost; whoever takes them over cancels or completes them.
#[tokio::test(start_paused = true)]
async fn b369_a_lost_process_leaves_children_and_report_to_the_next() {
    for cancelled in [false, true] {
        let gate = Gate::default();
        let how = if cancelled { "cancelled" } else { "completed" };
        let script = told(script().held_once("inner", &gate), how);
        // Each of them is held in its first attempt: there is room for both.
        let two = PARENT.replace("[1, 2, 3]", "[1, 2]");
        let rig = rig_of(&two, &[("c.toml", CHILD)], &script);
        rig.begun_by(dead_process(), &gate, async {
            if cancelled {
                rig.engine().end_family(&r1(), false, "ann").await.unwrap();
            }
            rig.work().await;
        })
        .await;
        let status = match cancelled {
            true => Status::Cancelled,
            false => Status::Completed,
        };
        assert_eq!(rig.row().status, status);
        assert_eq!(statuses(&children(&rig, &r1())), [status; 2]);
        assert_eq!(reports(&rig), 1);
        let replayed = rig.replay().await.unwrap();
        assert!(replayed.divergence.is_none(), "{replayed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn b373_a_failed_child_is_reported_and_driven_on_and_reported_again() {
    let script = Script::new()
        .step("inner", |call| match call.input["n"].as_i64().unwrap() {
            2 if call.attempt == 1 => fail("red"),
            n => ok(json!(n * 2)),
        })
        .step("report", |call| ok(call.input["how"].clone()));
    let rig = rig(CHILD, &script);
    rig.run().await.unwrap();
    let report = rig.engine().report(&r1()).await.unwrap();
    assert_eq!(report.status, Status::Failed);
    assert_eq!(report.steps[1].output, json!("failed"));
    let resumed = rig.resume().await.unwrap();
    assert_eq!(
        (resumed.status, resumed.output),
        (Status::Completed, json!([2, 4, 6]))
    );
    let report = rig.engine().report(&r1()).await.unwrap();
    assert_eq!(report.steps[1].output, json!("completed"));
    assert_eq!((count_calls(&rig, "inner"), reports(&rig)), (4, 2));
    assert!(rig.replay().await.unwrap().is_same());
}

/// Whatever the process had committed when it died, each child completes once, and the report comes after all of them, once.
#[test]
fn b370_children_of_items_and_report_come_to_their_end_wherever_the_process_dies() {
    let rig = || rig(CHILD, &told(script(), "completed"));
    let deaths = wherever_it_dies(rig, &json!([2, 4, 6]), |rig, last| {
        let children = statuses(&children(rig, &r1()));
        assert_eq!(children, [Status::Completed; 3], "{last}");
        let events = rig.events();
        assert_eq!(count(&events, "child_ended"), 3, "{last}");
        assert_eq!(count(&events, "step_completed"), 1, "{last}");
        assert_eq!(count(&events, "finally_started"), 1, "{last}");
    });
    assert!(deaths > 10, "{deaths}");
}

/// Children of items at the end: the run gets its status when all of them have ended.
#[tokio::test(start_paused = true)]
async fn children_of_items_may_be_the_last_to_run() {
    for (fails, killed) in [(false, false), (true, false), (false, true)] {
        let gate = Gate::default();
        let script = script()
            .step("a", move |call| if fails { fail("red") } else { at(call) })
            .held("inner", &gate);
        let rig = rig_of(AT_THE_END, &[("c.toml", CHILD)], &script);
        let engine = rig.engine();
        let (report, ()) = tokio::join!(rig.run_on(&engine, Control::default()), async {
            gate.came().await;
            if killed {
                rig.engine().end_family(&r1(), true, "ann").await.unwrap();
            } else {
                (0..3).for_each(|_| gate.open());
            }
        });
        let _paused_or_ended = report.unwrap();
        rig.work().await;
        let report = rig.engine().report(&r1()).await.unwrap();
        let children = statuses(&children(&rig, &r1()));
        let (status, ended) = match (fails, killed) {
            (_, true) => (Status::Cancelled, Status::Cancelled),
            (true, _) => (Status::Failed, Status::Completed),
            (false, _) => (Status::Completed, Status::Completed),
        };
        assert_eq!(report.status, status);
        assert!(children.iter().all(|child| *child == ended), "{children:?}");
        assert_eq!(children.len(), if killed { 2 } else { 3 });
        // All of them are held once more.
        (0..3).for_each(|_| gate.open());
        let replayed = rig.replay().await.unwrap();
        assert!(replayed.divergence.is_none(), "{replayed:?}");
    }
}

/// Those that wait have no more time than all steps at the end together.
#[tokio::test(start_paused = true)]
async fn children_of_items_at_the_end_are_cancelled_when_the_time_is_over() {
    let rig = rig_of(AT_THE_END, &[("c.toml", GATE)], &script());
    let report = rig.run().await.unwrap();
    assert_eq!(report.status, Status::Paused);
    let until = START.after(Duration::from_secs(60));
    assert_eq!(report.stop.unwrap().due_at, Some(until));
    rig.clock.set(until);
    rig.work().await;
    let report = rig.engine().report(&r1()).await.unwrap();
    let stop = report.stop.unwrap();
    assert_eq!(
        (report.status, stop.code()),
        (Status::Failed, StopCode::FinallyFailed)
    );
    let children = statuses(&children(&rig, &r1()));
    assert_eq!(children, [Status::Cancelled; 2], "no other one begins");
    assert!(rig.replay().await.unwrap().is_same());
}
