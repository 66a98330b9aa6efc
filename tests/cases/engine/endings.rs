//! What is recorded of an end or a stop, who is told, and what a resume leaves of it.

use milepost_tests::now::Now as _;
use std::sync::Arc;

use milepost::attempt::Mode;
use milepost::engine::{Control, EngineError, ResumeOptions};
use milepost::store::StoreError;
use milepost_core::event::{Event, RunEvent};
use milepost_core::outcome::{ErrorClass, Outcome, Pause};
use milepost_core::state::Status;
use milepost_core::stop::{Stop, StopCode, Why};
use milepost_tests::faulty::{Fault, FaultyStore, dead_process};
use milepost_tests::recorder::Recorder;
use milepost_tests::rig::{Rig, r1};
use milepost_tests::scripted::{Gate, Script, at, error, fail, ok, pause};
use serde_json::json;

use super::{count, steps};

/// What an attempt comes to.
type Answer = fn() -> Outcome;

#[tokio::test]
async fn b215_b216_b217_what_a_process_recorded_last_is_how_its_run_ended() {
    let outcomes: [(Answer, Status, &str); 3] = [
        (|| ok(json!(1)), Status::Completed, "completed"),
        (|| pause("review"), Status::Paused, "step_paused"),
        (|| fail("too-bad"), Status::Failed, "step_failed"),
    ];
    for (outcome, status, reason) in outcomes {
        let script = Script::new().step("a", move |_| outcome());
        let whole = Rig::new(&steps(&["a"]), &script);
        let store = Arc::new(FaultyStore::new(Arc::clone(&whole.store), |_| Fault::None));
        let undisturbed = whole
            .run_on(
                &whole.engine_on(Arc::clone(&store) as _),
                Control::default(),
            )
            .await
            .unwrap();
        let last = store.writes().len();

        let rig = Rig::sqlite(&steps(&["a"]), &script);
        rig.dies_on(FaultyStore::dying_after(Arc::clone(&rig.store), last))
            .await;
        let row = rig.row();
        assert_eq!((row.status, row.owner), (status, None));
        assert_eq!(rig.sweep().await, Default::default());
        assert_eq!(rig.work().await.taken, 0);
        let report = rig.engine().report(&r1()).now().unwrap();
        assert_eq!(report.stop_reason, Some(reason));
        let why = |stop: Option<Stop>| stop.map(|stop| stop.why);
        assert_eq!(why(report.stop), why(undisturbed.stop));
        assert_eq!(report.output, undisturbed.output);
    }
}

#[tokio::test(start_paused = true)]
async fn b245_every_end_is_told_once_and_a_pause_is_none() {
    let ends = |recorder: &Recorder| {
        let events = recorder.events();
        (
            count(&events, "run_completed"),
            count(&events, "run_failed"),
        )
    };
    let script = Script::new().step("a", |call| match call.attempt {
        1 => pause("review"),
        2 => fail("broken"),
        _ => at(call),
    });
    let rig = Rig::sqlite(&steps(&["a"]), &script);
    rig.run().await.unwrap();
    assert_eq!(ends(&rig.recorder), (0, 0));
    rig.resume().await.unwrap();
    assert_eq!(ends(&rig.recorder), (0, 1));
    rig.resume().await.unwrap();
    assert_eq!(ends(&rig.recorder), (1, 1));
    rig.resume().await.unwrap_err();
    rig.work().await;
    assert_eq!(ends(&rig.recorder), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn b245_the_end_of_a_run_that_nobody_drives_is_told_by_whoever_ends_it() {
    let gate = Gate::default();
    let rig = Rig::sqlite(&steps(&["a"]), &Script::new().held("a", &gate));
    rig.begun_by(dead_process(), &gate, async {
        let engine = rig.engine_of(dead_process());
        let mut again = Box::pin(rig.run_on(&engine, Control::default()));
        gate.holds(&mut again).await;
        assert_eq!(count(&rig.recorder.events(), "run_failed"), 0);
        assert_eq!(rig.sweep().await.given_up, [r1()]);
        rig.sweep().await;
    })
    .await;
    assert_eq!(count(&rig.recorder.events(), "run_failed"), 1);
}

#[tokio::test(start_paused = true)]
async fn b284_a_resume_clears_the_stop_and_keeps_it_in_its_event_in_one_transaction() {
    let script = Script::new().step("a", |call| match call.attempt {
        1 => fail("broken"),
        _ => at(call),
    });
    let rig = Rig::sqlite(&steps(&["a"]), &script);
    let stop = rig.run().await.unwrap().stop.unwrap();
    let stands = (rig.row(), rig.journal());
    let store = FaultyStore::new(Arc::clone(&rig.store), |_| Fault::Refused);
    let refused = rig
        .engine_on(Arc::new(store))
        .resume(&r1(), ResumeOptions::default())
        .await;
    assert!(
        matches!(
            &refused,
            Err(EngineError::Store(StoreError::Unavailable(_)))
        ),
        "{refused:?}"
    );
    assert_eq!((rig.row(), rig.journal()), stands);

    let store = Arc::new(FaultyStore::new(Arc::clone(&rig.store), |_| Fault::None));
    let engine = rig.engine_on(Arc::clone(&store) as _);
    let report = engine
        .resume(&r1(), ResumeOptions::default())
        .await
        .unwrap();
    assert_eq!((report.status, report.stop), (Status::Completed, None));
    assert_eq!(rig.row().stop_code, None);
    let first = &store.writes()[0];
    assert_eq!(
        (first.head.status, first.head.stop_code.as_deref()),
        (Status::Running, None)
    );
    let resumed = rig
        .journal()
        .into_iter()
        .find(|entry| entry.seq == stands.0.seq + 1);
    let Some(Event::Run(RunEvent::Resumed(resumed))) = resumed.map(|entry| entry.event) else {
        panic!("{:?}", rig.events());
    };
    assert!(
        first
            .entries
            .iter()
            .any(|entry| entry.seq == stands.0.seq + 1),
        "the event and the change are one write"
    );
    let cleared = resumed.cleared.unwrap();
    assert_eq!(cleared.code(), StopCode::StepFailed);
    assert_eq!(cleared.why, stop.why);
}

#[tokio::test]
async fn b284_a_run_that_had_no_stop_is_begun_without_such_an_event() {
    let rig = Rig::sqlite(&steps(&["a"]), &Script::new());
    rig.submit("r1").await;
    rig.resume().await.unwrap();
    assert_eq!(count(&rig.events(), "run_resumed"), 0);
}

#[tokio::test(start_paused = true)]
async fn b299_a_stop_replaces_the_one_before_as_a_whole_in_every_store() {
    let pausing = |provider: Option<&str>, signal: Option<&str>| {
        Outcome::Paused(Pause {
            code: "quota".to_owned(),
            reason: "used up".to_owned(),
            provider: provider.map(str::to_owned),
            until: None,
            signal: signal.map(str::to_owned),
            state: None,
        })
    };
    let script = Script::new().step("a", move |call| match call.attempt {
        1 => pausing(Some("acme"), None),
        2 => pausing(None, Some("go")),
        3 => fail("broken"),
        _ => at(call),
    });
    for rig in [
        Rig::new(&steps(&["a"]), &script),
        Rig::sqlite(&steps(&["a"]), &script),
    ] {
        let row = || {
            let row = rig.row();
            let awaits = row.awaits.join(" ");
            (row.stop_code, row.provider, row.due_at.is_some(), awaits)
        };
        let stop = |code: &str, provider: Option<&str>, due, awaits: &str| {
            let provider = provider.map(str::to_owned);
            (Some(code.to_owned()), provider, due, awaits.to_owned())
        };
        rig.run().await.unwrap();
        assert_eq!(row(), stop("step_paused", Some("acme"), true, ""));
        rig.resume().await.unwrap();
        assert_eq!(row(), stop("step_paused", None, false, "go"));
        let failed = rig.resume().await.unwrap().stop.unwrap();
        assert_eq!(row(), stop("step_failed", None, false, ""));
        assert_eq!((failed.provider, failed.due_at), (None, None));
        rig.resume().await.unwrap();
        assert_eq!(row(), (None, None, false, String::new()));
    }
}

#[tokio::test]
async fn b407_what_a_step_says_of_its_own_end_is_kept_beside_what_was_done() {
    let script = Script::new()
        .step("a", |_| ok(json!({ "done": 3 })))
        .step("b", |_| error(ErrorClass::Failed, "max-turns"));
    let rig = Rig::sqlite(&steps(&["a", "b"]), &script);
    let report = rig.run().await.unwrap();
    assert_eq!(report.stop_reason, Some("step_failed"));
    let stop = report.stop.unwrap();
    let Why::StepFailed { failures, .. } = &stop.why else {
        panic!("{stop:?}");
    };
    assert_eq!(failures[0].code, "max-turns");
    let code = report.steps[1].error.as_ref().map(|error| &*error.code);
    assert_eq!(code, Some("max-turns"));
    assert_eq!(report.steps[0].output, json!({ "done": 3 }));
}

#[tokio::test(start_paused = true)]
async fn b333_a_step_that_ends_the_run_cancels_what_is_in_flight() {
    let flow = r#"
flow = "graph"
[[step]]
id = "slow"
use = "p/slow"
[[step]]
id = "stubborn"
use = "p/stubborn"
[[step]]
id = "quick"
use = "p/quick"
[[step]]
id = "stop"
needs = ["quick"]
end = { status = "failed", message = "${ steps.quick.output.at } was enough" }
[[step]]
id = "later"
needs = ["quick"]
use = "p/later"
"#;
    let script = Script::new()
        .slow("slow", |call| async move {
            if let Mode::Live = call.mode {
                call.host.cancelled().await;
            }
            ok(json!("cleaned up"))
        })
        .slow("stubborn", |_| std::future::pending());
    let rig = Rig::sqlite(flow, &script);
    let report = rig.run().await.unwrap();
    assert_eq!(report.status, Status::Failed);
    let stop = report.stop.unwrap();
    assert_eq!(stop.code(), StopCode::Ended);
    assert!(
        matches!(&stop.why, Why::Ended { message: Some(message), .. } if message == "quick was enough")
    );
    assert_eq!(rig.script.calls(), ["slow", "stubborn", "quick"]);
    let events = rig.recorder.events();
    assert_eq!(count(&events, "step_completed"), 2);
    assert_eq!(count(&events, "step_interrupted"), 1);
    assert_eq!(rig.replay().await.unwrap().divergence, None);
}
