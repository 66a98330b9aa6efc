//! The store does not take a commit: it is held in memory and tried again; the component is not called again for it.

use milepost_tests::now::Now as _;
use std::sync::Arc;
use std::time::Duration;

use milepost::clock::Clock as _;
use milepost::engine::{Control, EngineError, ResumeOptions};
use milepost::report::stop_of;
use milepost::store::{StopKind, StopRequest, StoreError};
use milepost_core::outcome::ErrorClass;
use milepost_core::state::Status;
use milepost_core::stop::StopCode;
use milepost_tests::faulty::{Fault, FaultyStore, dead_process};
use milepost_tests::rig::{Rig, START, r1};
use milepost_tests::scripted::{Gate, Script, at, error, fail, ok, pause};
use serde_json::{Value, json};

use super::steps;

const ALL_WAITS: [u64; 6] = [100, 200, 400, 800, 1_600, 3_200];

fn faulty(rig: &Rig, plan: impl Fn(usize) -> Fault + Send + Sync + 'static) -> Arc<FaultyStore> {
    Arc::new(FaultyStore::new(Arc::clone(&rig.store), plan).owned_by(dead_process()))
}

fn millis(all: &[u64]) -> Vec<Duration> {
    all.iter().copied().map(Duration::from_millis).collect()
}

#[tokio::test]
async fn b107_b116_a_refused_commit_is_kept_and_tried_again() {
    let rig = Rig::new(&steps(&["a", "b"]), &Script::new());
    let store = faulty(&rig, |n| match n {
        2..=4 => Fault::Refused,
        _ => Fault::None,
    });
    let report = rig
        .run_on(&rig.engine_on(store), Control::default())
        .await
        .unwrap();
    assert_eq!(report.status, Status::Completed);
    assert_eq!(rig.script.calls(), ["a", "b"]);
    assert_eq!(rig.clock.waits(), millis(&[100, 200, 400]));
    let told = [100, 300, 700].map(|after| START.after(Duration::from_millis(after)));
    assert_eq!(rig.recorder.delays(), told);
    assert_eq!(
        rig.recorder.events(),
        rig.events(),
        "each event is announced once, when it is durable"
    );
}

#[tokio::test]
async fn b107_every_commit_has_all_its_tries() {
    let rig = Rig::new(&steps(&["a", "b"]), &Script::new());
    // Six refusals and the seventh try succeeds, for the second and for the third commit.
    let store = faulty(&rig, |n| match n {
        2..=7 | 9..=14 => Fault::Refused,
        _ => Fault::None,
    });
    let report = rig
        .run_on(&rig.engine_on(store), Control::default())
        .await
        .unwrap();
    assert_eq!(report.status, Status::Completed);
    assert_eq!(rig.clock.waits(), millis(&[ALL_WAITS, ALL_WAITS].concat()));
    assert_eq!(rig.script.calls(), ["a", "b"]);
}

#[tokio::test]
async fn b156_what_was_not_saved_is_failed_whatever_it_would_have_been() {
    for (step_status, outcome) in [
        ("paused", pause("quota")),
        ("failed", fail("broken")),
        ("failed", error(ErrorClass::Trap, "trap")),
        ("completed", ok(json!(1))),
    ] {
        let rig = Rig::new(
            &steps(&["a"]),
            &Script::new().step("a", move |_| outcome.clone()),
        );
        let store = faulty(&rig, |n| if n == 1 { Fault::None } else { Fault::Refused });
        let report = rig
            .run_on(&rig.engine_on(store), Control::default())
            .await
            .unwrap();
        let stop = report.stop.unwrap();
        assert_eq!(
            (report.status, stop.code()),
            (Status::Failed, StopCode::CheckpointNotSaved)
        );
        let error = stop.why.error().unwrap();
        assert!(error.contains("the disk is full"), "{error}");
        assert_eq!(report.output, Value::Null);
        // B263: the trouble with the store does not hide how the step itself ended.
        assert_eq!(report.steps[0].status, step_status);
        assert_eq!(rig.clock.waits(), millis(&ALL_WAITS));
        assert_eq!(rig.script.calls(), ["a"]);
        assert_eq!(
            rig.row().status,
            Status::Running,
            "the record still shows what was saved"
        );
    }
}

#[tokio::test]
async fn b156_once_the_store_takes_writes_again_the_run_goes_on() {
    let rig = Rig::sqlite(&steps(&["a", "b", "c"]), &Script::new());
    let store = faulty(&rig, |n| if n <= 2 { Fault::None } else { Fault::Refused });
    let report = rig
        .run_on(&rig.engine_on(store), Control::default())
        .await
        .unwrap();
    assert_eq!(report.status, Status::Failed);
    let report = rig.resume().await.unwrap();
    assert_eq!(report.status, Status::Completed);
    // The outcome of `b` was lost with its process.
    assert_eq!(rig.script.calls(), ["a", "b", "b", "c"]);
    assert_eq!(report.steps[1].attempts, 2);
}

#[tokio::test]
async fn b156_a_process_that_gave_up_lets_go_of_the_run() {
    let rig = Rig::sqlite(&steps(&["a", "b"]), &Script::new());
    // The outage outlasts the tries for the outcome of `a`, and ends then.
    let store = FaultyStore::new(Arc::clone(&rig.store), |n| match n {
        2..=8 => Fault::Refused,
        _ => Fault::None,
    });
    let engine = rig.engine_on(Arc::new(store));
    let report = rig.run_on(&engine, Control::default()).await.unwrap();
    assert!(report.is_unsaved());
    assert_eq!(
        rig.differences.none_of(),
        2,
        "what was saved is read back: the start, and the stop"
    );
    let lost = "steps whose outcome was not saved run again";
    let stop = report.stop.as_ref().unwrap();
    assert!(stop.why.error().unwrap().contains(lost), "{stop:?}");
    // What is told is what stands in the store.
    let stored = rig.engine().report(&r1()).now().unwrap();
    assert_eq!(
        (report.status, report.events, report.stop),
        (stored.status, stored.events, stored.stop)
    );
    let row = rig.row();
    assert_eq!((row.status, row.owner.as_ref()), (Status::Paused, None));
    assert_eq!(stop_of(&row), Some(StopCode::HostError));
    assert!(row.due_at.is_some(), "a worker tries again");
    assert_eq!(rig.resume().await.unwrap().status, Status::Completed);
    assert_eq!(rig.script.calls(), ["a", "a", "b"]);
}

#[tokio::test]
async fn a_start_that_cannot_be_saved_is_no_run() {
    let rig = Rig::new(&steps(&["a"]), &Script::new());
    let store = faulty(&rig, |_| Fault::Refused);
    let answer = rig.run_on(&rig.engine_on(store), Control::default()).await;
    assert!(
        matches!(answer, Err(EngineError::Store(StoreError::Unavailable(_)))),
        "{answer:?}"
    );
    assert_eq!(rig.store.row(&r1()).now().unwrap(), None);
    assert!(rig.script.calls().is_empty());
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_counts_once() {
    for lost in 2..=4 {
        let rig = Rig::sqlite(&steps(&["a", "b", "c"]), &Script::new());
        let store = faulty(&rig, move |n| {
            if n == lost {
                Fault::AnswerLost
            } else {
                Fault::None
            }
        });
        let report = rig
            .run_on(&rig.engine_on(store), Control::default())
            .await
            .unwrap();
        assert_eq!(report.status, Status::Completed, "answer {lost}");
        assert_eq!(rig.script.calls(), ["a", "b", "c"], "answer {lost}");
        assert_eq!(rig.recorder.events(), rig.events(), "answer {lost}");
        assert_eq!(rig.row().status, Status::Completed, "answer {lost}");
    }
}

#[tokio::test]
async fn a_claim_whose_answer_was_lost_is_a_claim() {
    let rig = Rig::sqlite(
        &steps(&["a", "b"]),
        &Script::new().step("a", |call| match call.attempt {
            1 => fail("broken"),
            _ => at(call),
        }),
    );
    let engine = || {
        let lost = |n| {
            if n == 1 {
                Fault::AnswerLost
            } else {
                Fault::None
            }
        };
        rig.engine_on(Arc::new(FaultyStore::new(Arc::clone(&rig.store), lost)))
    };
    let report = rig.run_on(&engine(), Control::default()).await.unwrap();
    assert_eq!((report.status, report.epoch), (Status::Failed, 1));
    let report = engine()
        .resume(&r1(), ResumeOptions::default())
        .await
        .unwrap();
    assert_eq!((report.status, report.epoch), (Status::Completed, 2));
    assert_eq!(rig.script.calls(), ["a", "a", "b"]);
    assert_eq!(rig.recorder.events(), rig.events());
}

#[tokio::test]
async fn a_lost_answer_before_a_refusal_counts_once_too() {
    let rig = Rig::new(&steps(&["a", "b"]), &Script::new().step("a", at));
    let store = faulty(&rig, |n| match n {
        2 => Fault::AnswerLost,
        3 => Fault::Refused,
        _ => Fault::None,
    });
    let report = rig
        .run_on(&rig.engine_on(store), Control::default())
        .await
        .unwrap();
    assert_eq!(report.status, Status::Completed);
    assert_eq!(rig.script.calls(), ["a", "b"]);
    assert_eq!(rig.recorder.events(), rig.events());
}

#[tokio::test]
async fn log_lines_are_kept_once_with_the_outcome_of_their_attempt() {
    let script = Script::new().step("b", |call| match call.attempt {
        1 => error(ErrorClass::Retryable, "busy"),
        _ => at(call),
    });
    let rig = Rig::sqlite(&steps(&["a", "b"]), &script);
    let store = faulty(&rig, |n| match n {
        2 => Fault::AnswerLost,
        4 => Fault::Refused,
        _ => Fault::None,
    });
    let engine = rig.engine_on(store);
    rig.run_on(&engine, Control::default()).await.unwrap();
    let lines = ["a, attempt 1", "b, attempt 1", "b, attempt 2"];
    assert_eq!(rig.logs(), lines);
    assert_eq!(rig.recorder.logs(), lines);
}

/// The commit that starts `b` is saved, but its answer is lost, and with it the cancellation that was acknowledged since.
#[tokio::test(start_paused = true)]
async fn what_was_asked_while_an_answer_was_lost_is_heard_before_anything_starts() {
    for kind in [StopKind::Cancel, StopKind::Kill] {
        let rig = Rig::sqlite(&steps(&["a", "b"]), &Script::new());
        let again = Gate::default();
        let store = Arc::new(FaultyStore::new(Arc::clone(&rig.store), {
            let again = again.clone();
            move |n| match n {
                2 => Fault::AnswerLost,
                3 => Fault::Held(again.clone()),
                _ => Fault::None,
            }
        }));
        let engine = rig.engine_on(store);
        let (report, ()) = tokio::join!(rig.run_on(&engine, Control::default()), async {
            again.came().await;
            let request = StopRequest {
                kind,
                at: rig.clock.now(),
                by: "somebody".to_owned(),
            };
            let status = rig.store.request_stop(&r1(), request).await.unwrap();
            assert_eq!(status, Status::Running);
            again.open();
        });
        assert_eq!(report.unwrap().status, Status::Cancelled);
        assert_eq!(rig.script.calls(), ["a"], "{kind}");
    }
}
