//! What reaches a run while it is driven: signals, decisions and cancelled items, with other steps in flight for real.

use std::time::Duration;

use milepost::clock::Clock as _;
use milepost::engine::{ApprovalDecision, Decided, EngineError, ItemAnswer, SignalAnswer};
use milepost::store::NewSignal;
use milepost_core::request::posted::{self, Posted};
use milepost_core::state::Status;
use milepost_core::stop::StopCode;
use milepost_core::wait::Verdict;
use milepost_tests::rig::{Rig, assert_folds, r1};
use milepost_tests::scripted::{Gate, Script, at};
use serde_json::json;

use super::count;

const GATED: &str = r#"
flow = "graph"
[[step]]
id = "draft"
use = "p/draft"
[[step]]
id = "gate"
approval = { message = "Good?", rework = { from = "draft" } }
needs = ["draft"]
[[step]]
id = "go"
wait = { signal = "go" }
[[step]]
id = "publish"
use = "p/publish"
needs = ["gate", "go"]
[[step]]
id = "slow"
use = "p/slow"
"#;

fn decision(verdict: Verdict) -> ApprovalDecision {
    ApprovalDecision {
        path: None,
        verdict,
        comment: None,
        by: Some("ann".to_owned()),
    }
}

async fn until(rig: &Rig, event: &str, times: usize) {
    while count(&rig.events(), event) < times {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Answers through another engine, as another process does: nobody nudges the driver.
async fn answered(rig: &Rig, verdict: Verdict) -> Result<Decided, EngineError> {
    let engine = rig.engine_on(std::sync::Arc::new(rig.open_sqlite()));
    engine.decide_approval(&r1(), &decision(verdict)).await
}

#[tokio::test]
async fn signals_and_decisions_reach_a_run_that_moves_at_once() {
    let slow = Gate::default();
    let script = Script::new().held("slow", &slow);
    let rig = Rig::sqlite(GATED, &script);
    let engine = rig.engine();
    let answering = async {
        until(&rig, "wait_started", 2).await;
        let rejected = answered(&rig, Verdict::Rejected).await.unwrap();
        assert!(
            rejected.taken && rejected.status == Status::Running,
            "{rejected:?}"
        );
        assert_eq!(rejected.rework_left, Some(2));
        // The work is done again, and the question asked again.
        until(&rig, "wait_started", 3).await;
        let approved = answered(&rig, Verdict::Approved).await.unwrap();
        assert!(approved.taken && approved.goes_on, "{approved:?}");
        let second = answered(&rig, Verdict::Rejected).await.unwrap_err();
        assert!(
            matches!(second, EngineError::AlreadyDecided(_)),
            "{second:?}"
        );
        let signalled = engine.signal(&r1(), "go", &json!(7)).await.unwrap();
        assert_eq!(signalled.answer, SignalAnswer::Delivered);
        // All that was needed came while `slow` was in flight.
        until(&rig, "step_completed", 3).await;
        slow.open();
    };
    let (report, ()) = tokio::join!(rig.run_on(&engine, Default::default()), answering);
    assert_eq!(report.unwrap().status, Status::Completed);
    assert_eq!(
        script
            .calls()
            .iter()
            .filter(|path| *path == "draft")
            .count(),
        2
    );
    assert_eq!(count(&rig.events(), "run_paused"), 0);
    assert_folds(rig.store.as_ref(), &r1());
    slow.open();
    assert_eq!(rig.replay().await.unwrap().divergence, None);
}

#[tokio::test]
async fn a_rejection_ends_a_run_that_moves_with_what_is_in_flight() {
    let slow = Gate::default();
    let body = GATED.replace("rework = { from = \"draft\" }", "on_reject = \"cancel\"");
    let script = Script::new().held("slow", &slow);
    let rig = Rig::sqlite(&body, &script);
    let answering = async {
        until(&rig, "wait_started", 2).await;
        slow.came().await;
        answered(&rig, Verdict::Rejected).await.unwrap()
    };
    let (report, decided) = tokio::join!(rig.run(), answering);
    let report = report.unwrap();
    assert_eq!(report.status, Status::Cancelled);
    assert_eq!(report.stop.unwrap().code(), StopCode::Rejected);
    assert_eq!(decided.decision, Verdict::Rejected);
    let names = rig.events();
    assert_eq!(
        names[names.len() - 3..],
        ["approval_decided", "step_interrupted", "run_cancelled"]
    );
    assert_folds(rig.store.as_ref(), &r1());
}

/// A run that nobody drives takes a decision like a paused one, and whoever recovers it goes on with it.
#[tokio::test]
async fn a_run_whose_process_died_is_answered_without_it() {
    let slow = Gate::default();
    let script = Script::new().held_once("slow", &slow);
    let rig = Rig::sqlite(GATED, &script);
    let engine = rig.engine_of(milepost_tests::faulty::dead_process());
    let begun = rig.run_on(&engine, Default::default());
    let answering = async {
        until(&rig, "wait_started", 2).await;
        slow.came().await;
        let decided = answered(&rig, Verdict::Approved).await.unwrap();
        assert!(decided.taken, "{decided:?}");
    };
    tokio::select! {
        _ = begun => unreachable!("it hangs"),
        () = answering => {}
    }
    rig.resume().await.unwrap();
    rig.engine().signal(&r1(), "go", &json!(1)).await.unwrap();
    assert_eq!(rig.resume().await.unwrap().status, Status::Completed);
    assert_folds(rig.store.as_ref(), &r1());
}

#[tokio::test]
async fn an_item_is_cancelled_while_it_is_worked_at() {
    let gate = Gate::default();
    let held = gate.clone();
    let script = Script::new().slow("c", move |call| {
        let held = held.clone();
        async move {
            if call.path.to_string() == "f[1]" {
                held.pass().await;
            }
            at(&call)
        }
    });
    let body = r#"
        [[step]]
        id = "f"
        use = "p/c"
        foreach = { items = "[0, 1, 2, 3]", max_parallel = 2, join = "all_done" }
        with = { item = "${ item }" }
    "#;
    let rig = Rig::sqlite(body, &script);
    let engine = rig.engine();
    let cancelling = async {
        gate.came().await;
        until(&rig, "step_completed", 3).await;
        let answer = engine.cancel_item(&r1(), "f[1]", "ann").await.unwrap();
        assert!(
            matches!(answer.answer, ItemAnswer::Cancelled(_)),
            "{answer:?}"
        );
    };
    let (report, ()) = tokio::join!(rig.run_on(&engine, Default::default()), cancelling);
    let report = report.unwrap();
    assert_eq!(report.status, Status::Completed);
    let output = report.output;
    assert_eq!(output[1]["status"], "failed", "{output}");
    assert_eq!(output[3]["status"], "completed");
    assert_folds(rig.store.as_ref(), &r1());
    gate.open();
    assert_eq!(rig.replay().await.unwrap().divergence, None);
}

/// Whoever decided died between two looks, and the run paused meanwhile: a sweep takes what was left, and what does not hold any
/// more goes, too.
#[tokio::test]
async fn what_was_left_for_a_run_that_paused_is_taken_by_a_sweep() {
    let rig = Rig::sqlite(GATED, &Script::new());
    assert_eq!(rig.run().await.unwrap().status, Status::Paused);
    let stale = Posted::CancelItem {
        path: "gate[1]".parse().unwrap(),
        by: "ann".to_owned(),
    };
    let decided = Posted::Decision {
        path: "gate".parse().unwrap(),
        attempt: 1,
        decision: Verdict::Approved,
        comment: None,
        by: Some("ann".to_owned()),
    };
    for posted in [stale, decided] {
        let new = NewSignal {
            name: posted::NAME.to_owned(),
            data: json!(posted).to_string(),
            at: rig.clock.now(),
            token: None,
        };
        rig.store.send_signal(&r1(), new).await.unwrap();
    }
    rig.sweep().await;
    assert_eq!(rig.store.inbox_size(&r1()).await.unwrap().signals, 0);
    assert_eq!(count(&rig.events(), "approval_decided"), 1);
    assert_folds(rig.store.as_ref(), &r1());
}
