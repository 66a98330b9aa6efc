//! A stopped run goes on from its checkpoint, through a store that was closed in between.

use milepost_tests::now::Now as _;
use std::sync::{Arc, Mutex};

use milepost::engine::{EngineError, ResumeOptions};
use milepost::plugin::PluginError;
use milepost::store::StoreError;
use milepost::workflow::OpenError;
use milepost_core::event::{Event, RunEvent};
use milepost_core::outcome::{Outcome, Pause};
use milepost_core::state::Status;
use milepost_tests::rig::{Rig, r1};
use milepost_tests::scripted::{Gate, Script, at, fail, ok, pause};
use serde_json::{Value, json};

use super::steps;

#[tokio::test]
async fn b124_b125_b126_only_what_did_not_complete_is_invoked() {
    let mut rig = Rig::sqlite(
        "
        returns = '${ steps.c.output }'
        [[step]]
        id = 'a'
        use = 'p/a'
        [[step]]
        id = 'b'
        use = 'p/b'
        [[step]]
        id = 'c'
        use = 'p/c'
        with = { from = '${ steps.a.output.n }' }
        ",
        &Script::new()
            .step("a", |_| ok(json!({ "n": 1 })))
            .step("b", |_| fail("broken"))
            .step("c", |_| fail("broken")),
    );
    assert_eq!(rig.run().await.unwrap().status, Status::Failed);
    rig.reopen();
    rig.script.answer("b", at);
    let report = rig.resume().await.unwrap();
    assert_eq!(report.status, Status::Failed);
    assert_eq!(report.stop.as_ref().unwrap().path, "c".parse().ok());
    let statuses: Vec<&str> = report.steps.iter().map(|step| step.status).collect();
    assert_eq!(statuses, ["completed", "completed", "failed"]);
    rig.reopen();
    rig.script
        .answer("c", |call| ok(call.input.as_ref().clone()));
    let report = rig.resume().await.unwrap();
    assert_eq!(report.output, json!({ "from": 1 }));
    assert_eq!(rig.script.calls(), ["a", "b", "b", "c", "c"]);
    assert_eq!(report.epoch, 3);
}

#[tokio::test]
async fn what_a_pause_saved_reaches_the_next_attempt() {
    let seen: Arc<Mutex<Vec<Option<Value>>>> = Arc::default();
    let script = Script::new().step("a", {
        let seen = Arc::clone(&seen);
        move |call| {
            let state = call.resume_state.as_deref().cloned();
            seen.lock().unwrap().push(state.clone());
            let page = state.map_or(1, |state| state["page"].as_i64().unwrap() + 1);
            if page == 3 {
                return ok(json!(page));
            }
            Outcome::Paused(Pause {
                state: Some(json!({ "page": page })),
                ..match pause("more") {
                    Outcome::Paused(pause) => pause,
                    _ => unreachable!(),
                }
            })
        }
    });
    let mut rig = Rig::sqlite(&steps(&["a"]), &script);
    assert_eq!(rig.run().await.unwrap().status, Status::Paused);
    for expected in [Status::Paused, Status::Completed] {
        rig.reopen();
        assert_eq!(rig.resume().await.unwrap().status, expected);
    }
    let pages = [None, Some(json!({ "page": 1 })), Some(json!({ "page": 2 }))];
    assert_eq!(*seen.lock().unwrap(), pages);
    assert_eq!(rig.replay().await.unwrap().divergence, None);
}

#[tokio::test]
async fn b124_outputs_of_completed_steps_reach_later_calls() {
    let script = Script::new()
        .step("a", |_| ok(json!("x".repeat(20_000))))
        .step("b", |call| match call.attempt {
            1 => pause("quota"),
            _ => ok(call
                .outputs
                .iter()
                .map(|(id, output)| json!([id, output.value()]))
                .collect()),
        });
    let body = "
        [[step]]
        id = 'a'
        use = 'p/a'
        [[step]]
        id = 'unread'
        use = 'p/unread'
        [[step]]
        id = 'b'
        use = 'p/b'
        with = { size = '${ size(steps.a.output) }' }
    ";
    let mut rig = Rig::sqlite(body, &script);
    rig.run().await.unwrap();
    rig.reopen();
    let report = rig.resume().await.unwrap();
    assert_eq!(report.steps[2].output, json!([["a", "x".repeat(20_000)]]));
}

#[tokio::test]
async fn b180_b192_b278_terminal_runs_cannot_be_resumed_or_retried() {
    for (cancelled, status) in [(false, "completed"), (true, "cancelled")] {
        let script = Script::new().step(
            "a",
            move |call| if cancelled { fail("broken") } else { at(call) },
        );
        let rig = Rig::sqlite(&steps(&["a"]), &script);
        rig.run().await.unwrap();
        if cancelled {
            rig.engine().cancel(&r1(), "somebody").await.unwrap();
        }
        let stands = (rig.row(), rig.journal());
        let engine = rig.engine();
        for answer in [
            rig.resume().await,
            engine.retry(&r1(), None, ResumeOptions::default()).await,
        ] {
            let error = answer.unwrap_err();
            assert!(
                matches!(error, EngineError::NotResumable { .. }),
                "{error:?}"
            );
            assert!(error.to_string().contains(status), "{error}");
        }
        assert_eq!((rig.row(), rig.journal()), stands);
        assert_eq!(rig.script.calls(), ["a"]);
    }
}

#[tokio::test]
async fn b180_a_pending_run_can_be_resumed_but_not_retried() {
    let gate = Gate::default();
    let rig = Rig::new(&steps(&["a"]), &Script::new().held("a", &gate));
    gate.holds(rig.run()).await;
    let answer = rig
        .engine()
        .retry(&r1(), None, ResumeOptions::default())
        .await;
    assert!(matches!(
        answer,
        Err(EngineError::NotResumable {
            status: Status::Pending,
            ..
        })
    ));
    gate.open();
    assert_eq!(rig.resume().await.unwrap().status, Status::Completed);
}

#[tokio::test]
async fn b186_b279_an_unknown_id_is_its_own_error() {
    let rig = Rig::sqlite(&steps(&["a"]), &Script::new());
    let engine = rig.engine();
    for answer in [
        rig.resume().await,
        engine.retry(&r1(), None, ResumeOptions::default()).await,
        engine.report(&r1()).now(),
    ] {
        assert!(
            matches!(&answer, Err(EngineError::Store(StoreError::NotFound(id))) if *id == r1()),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn b184_a_resume_that_cannot_start_leaves_the_run_as_it_was() {
    for (outcome, status) in [
        (pause("quota"), Status::Paused),
        (fail("broken"), Status::Failed),
    ] {
        let script = Script::new().step("a", move |call| match call.attempt {
            1 => outcome.clone(),
            _ => at(call),
        });
        let rig = Rig::sqlite(&steps(&["a"]), &script);
        let report = rig.run().await.unwrap();
        assert_eq!(report.status, status);
        let stands = (rig.row(), rig.journal());
        rig.script.refuse(true);
        let answer = rig.resume().await;
        assert!(
            matches!(
                answer,
                Err(EngineError::Open(OpenError::Plugin(
                    PluginError::Unavailable { .. }
                )))
            ),
            "{answer:?}"
        );
        assert_eq!((rig.row(), rig.journal()), stands);
        assert_eq!(rig.engine().report(&r1()).now().unwrap(), report);
        rig.script.refuse(false);
        assert_eq!(rig.resume().await.unwrap().status, Status::Completed);
    }
}

#[tokio::test]
async fn a_retry_from_a_step_runs_it_and_its_readers_again() {
    let body = "
        [[step]]
        id = 'a'
        use = 'p/a'
        [[step]]
        id = 'b'
        use = 'p/b'
        with = { from = '${ steps.a.output }' }
        [[step]]
        id = 'c'
        use = 'p/c'
        [[step]]
        id = 'd'
        use = 'p/d'
    ";
    let script = Script::new().step("d", |call| match call.attempt {
        1 => fail("broken"),
        _ => at(call),
    });
    let mut rig = Rig::sqlite(body, &script);
    rig.run().await.unwrap();
    rig.reopen();
    let from = "a".parse().unwrap();
    let report = rig
        .engine()
        .retry(&r1(), Some(&from), ResumeOptions::default())
        .await
        .unwrap();
    assert_eq!(report.status, Status::Completed);
    assert_eq!(rig.script.calls(), ["a", "b", "c", "d", "a", "b", "d"]);
    let resumed = rig
        .journal()
        .into_iter()
        .find_map(|entry| match entry.event {
            Event::Run(RunEvent::Resumed(resumed)) => Some(resumed),
            _ => None,
        });
    assert_eq!(resumed.unwrap().completed, 1);
    assert_eq!(rig.replay().await.unwrap().divergence, None);
}

#[tokio::test]
async fn a_retry_from_an_unknown_step_changes_nothing() {
    let rig = Rig::new(&steps(&["a"]), &Script::new().step("a", |_| fail("broken")));
    rig.run().await.unwrap();
    let stands = rig.journal();
    let from = "zz".parse().unwrap();
    let answer = rig
        .engine()
        .retry(&r1(), Some(&from), ResumeOptions::default())
        .await;
    assert!(matches!(answer, Err(EngineError::Refused(_))), "{answer:?}");
    assert_eq!(rig.journal(), stands);
}
