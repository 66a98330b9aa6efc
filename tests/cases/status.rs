//! Statuses, times and reasons of a run, as they are reported and stored while it moves.

use milepost_tests::now::Now as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use milepost::engine::{Control, EngineError, ResumeOptions};
use milepost::report::{RunReport, Summary};
use milepost_core::event::{Event, RunEvent};
use milepost_core::outcome::{Outcome, Pause, StepError};
use milepost_core::state::Status;
use milepost_core::stop::{StopCode, Why};
use milepost_tests::faulty::{Fault, FaultyStore, dead_process};
use milepost_tests::recorder::Recorder;
use milepost_tests::rig::{Rig, START, r1};
use milepost_tests::scripted::{Gate, Script, at, fail, ok, pause};
use serde_json::json;

const ABC: &str = "
[[step]]
id = 'a'
use = 'p/a'
[[step]]
id = 'b'
use = 'p/b'
[[step]]
id = 'c'
use = 'p/c'
";

fn paused_by(provider: Option<&str>) -> Outcome {
    Outcome::Paused(Pause {
        code: "quota".to_owned(),
        reason: "no more today".to_owned(),
        provider: provider.map(str::to_owned),
        until: None,
        signal: None,
        state: None,
    })
}

#[tokio::test]
async fn b88_the_summary_counts_top_level_steps_only() {
    let body = "
        [[step]]
        id = 'good'
        use = 'p/good'
        [[step]]
        id = 'bad'
        use = 'p/bad'
        continue_on_error = true
        [[step]]
        id = 'never'
        if = 'false'
        use = 'p/never'
        [[step]]
        id = 'l'
        loop = { until = 'loop.iteration == 3' }
        [[step]]
        id = 'm'
        in = 'l'
        use = 'p/m'
    ";
    let rig = Rig::new(body, &Script::new().step("bad", |_| fail("broken")));
    let report = rig.run().await.unwrap();
    let summary = Summary {
        total: 4,
        completed: 2,
        failed: 1,
        skipped: 1,
        percent: 100,
    };
    assert_eq!((report.summary, report.steps.len()), (summary, 5));
}

#[tokio::test]
async fn b89_percent_is_rounded_down_and_100_only_at_an_end() {
    for (stops_at, percent) in [("a", 0), ("b", 33), ("c", 66)] {
        for (outcome, expected) in [(pause("quota"), percent), (fail("broken"), 100)] {
            let script = Script::new().step(stops_at, move |_| outcome.clone());
            let report = Rig::new(ABC, &script).run().await.unwrap();
            assert_eq!(
                report.summary.percent, expected,
                "{} at {stops_at}",
                report.status
            );
        }
    }
    let done = Rig::new(ABC, &Script::new()).run().await.unwrap();
    assert_eq!(done.summary.percent, 100);
}

type Seen = Arc<Mutex<Vec<(Status, bool, Option<String>, RunReport)>>>;

/// Looks at the store from inside every attempt of step `a`.
fn look_from_a(rig: &Rig, answer: impl Fn(u32) -> Outcome + Send + Sync + 'static) -> Seen {
    let seen = Seen::default();
    rig.script.answer("a", {
        let (seen, store, engine) = (Arc::clone(&seen), Arc::clone(&rig.store), rig.engine());
        move |call| {
            let row = store.row(&r1()).now().unwrap().unwrap();
            let report = engine.report(&r1()).now().unwrap();
            let mut seen = seen.lock().unwrap();
            seen.push((row.status, row.owner.is_some(), row.stop_code, report));
            answer(call.attempt)
        }
    });
    seen
}

#[tokio::test]
async fn b182_a_run_is_running_in_the_store_before_its_first_step_executes() {
    let rig = Rig::sqlite(ABC, &Script::new());
    let seen = look_from_a(&rig, |_| ok(json!(1)));
    assert_eq!(rig.run().await.unwrap().status, Status::Completed);
    let seen = seen.lock().unwrap();
    let (status, owned, stop_code, report) = &seen[0];
    assert_eq!((*status, *owned, stop_code), (Status::Running, true, &None));
    assert_eq!(report.steps[0].status, "running");
}

#[tokio::test]
async fn b140_nothing_of_the_stop_is_left_when_a_resumed_run_executes() {
    for outcome in [pause("quota"), fail("broken")] {
        let rig = Rig::sqlite(ABC, &Script::new());
        let seen = look_from_a(&rig, move |attempt| match attempt {
            1 => outcome.clone(),
            _ => ok(json!(1)),
        });
        let stopped = rig.run().await.unwrap();
        assert!(stopped.stop.is_some());
        rig.resume().await.unwrap();
        let seen = seen.lock().unwrap();
        let (status, owned, stop_code, report) = &seen[1];
        assert_eq!((*status, *owned, stop_code), (Status::Running, true, &None));
        assert_eq!(
            (&report.stop, report.paused_at, report.ended_at),
            (&None, None, None)
        );
    }
}

#[tokio::test]
async fn b228_a_pause_sets_its_time_and_its_reason_and_no_end() {
    let rig = Rig::sqlite(ABC, &Script::new().step("b", |_| paused_by(None)));
    rig.clock.advance(Duration::from_secs(3));
    let report = rig.run().await.unwrap();
    assert_eq!(report.status, Status::Paused);
    assert_eq!(report.paused_at, Some(START.after(Duration::from_secs(3))));
    assert_eq!(report.ended_at, None);
    let Some(Why::StepPaused(pausing)) = report.stop.map(|stop| stop.why) else {
        panic!("a step asked to pause");
    };
    assert!(pausing.reason.contains("no more today"));
    assert_eq!(rig.row().stop_code.as_deref(), Some("step_paused"));
}

#[tokio::test]
async fn b230_an_end_clears_the_pause_and_replaces_its_reason() {
    let script = Script::new().step("b", |call| match call.attempt {
        1 => pause("quota"),
        2 => fail("broken"),
        _ => at(call),
    });
    let rig = Rig::sqlite(ABC, &script);
    assert!(rig.run().await.unwrap().paused_at.is_some());
    let failed = rig.resume().await.unwrap();
    assert_eq!((failed.status, failed.paused_at), (Status::Failed, None));
    assert_eq!(failed.ended_at, Some(START));
    let stop = failed.stop.unwrap();
    assert_eq!(stop.code(), StopCode::StepFailed);
    assert!(!format!("{stop:?}").contains("quota"), "{stop:?}");
    let completed = rig.resume().await.unwrap();
    assert_eq!(
        (completed.status, completed.stop),
        (Status::Completed, None)
    );
    assert_eq!((completed.paused_at, rig.row().stop_code), (None, None));
}

#[tokio::test]
async fn b232_the_provider_is_that_of_the_present_pause() {
    let script = Script::new().step("a", |call| match call.attempt {
        1 => paused_by(Some("acme")),
        2 => paused_by(None),
        3 => fail("broken"),
        _ => at(call),
    });
    let rig = Rig::sqlite(ABC, &script);
    let provider = |report: RunReport| report.stop.and_then(|stop| stop.provider);
    assert_eq!(provider(rig.run().await.unwrap()).as_deref(), Some("acme"));
    assert_eq!(
        provider(rig.resume().await.unwrap()),
        None,
        "pausing again without one"
    );
    assert_eq!(provider(rig.resume().await.unwrap()), None, "failing");
    assert_eq!(provider(rig.resume().await.unwrap()), None, "completing");
}

// An error cannot be empty here: a step has one or it has none.
#[tokio::test]
async fn b233_what_succeeds_in_the_end_shows_no_former_error() {
    let script = Script::new().step("b", |call| match call.attempt {
        1 => fail("broken"),
        _ => at(call),
    });
    let rig = Rig::sqlite(ABC, &script);
    assert!(rig.run().await.unwrap().steps[1].error.is_some());
    let report = rig.resume().await.unwrap();
    assert_eq!((&report.stop, &report.steps[1].error), (&None, &None));
    assert_eq!(rig.engine().report(&r1()).now().unwrap(), report);
}

#[tokio::test]
async fn b155_a_pause_that_was_not_saved_at_once_is_saved_again() {
    let rig = Rig::sqlite(ABC, &Script::new().step("a", |_| pause("quota")));
    let store = FaultyStore::new(Arc::clone(&rig.store), |n| match n {
        2 => Fault::Refused,
        _ => Fault::None,
    });
    let engine = rig.engine_on(Arc::new(store));
    let report = rig.run_on(&engine, Control::default()).await.unwrap();
    assert_eq!(report.status, Status::Paused);
    assert_eq!(rig.row().status, Status::Paused, "and not only in memory");
    assert_eq!(rig.engine().report(&r1()).now().unwrap(), report);
    assert_eq!(rig.script.calls(), ["a"]);
}

#[tokio::test]
async fn b191_a_process_that_lost_its_run_cannot_hide_how_it_ended() {
    let gate = Gate::default();
    let script = Script::new().step("a", |call| match call.attempt {
        1 => at(call),
        _ => fail("broken"),
    });
    let rig = Rig::sqlite(ABC, &script.held_once("a", &gate));
    let first = rig.engine_of(dead_process());
    let control = Control::default();
    let (late, ()) = tokio::join!(rig.run_on(&first, control.clone()), async {
        gate.came().await;
        assert_eq!(rig.resume().await.unwrap().status, Status::Failed);
        gate.open();
    });
    assert!(
        matches!(
            late,
            Err(EngineError::ClaimLost {
                status: Some(Status::Failed),
                ..
            })
        ),
        "{late:?}"
    );
    assert_eq!(rig.row().status, Status::Failed);
    assert_eq!(
        rig.engine().report(&r1()).now().unwrap().steps[0].status,
        "failed"
    );
}

#[tokio::test]
async fn b196_every_end_is_announced_once_and_only_when_it_is_stored() {
    for (outcome, status, last) in [
        (ok(json!(1)), Status::Completed, "run_completed"),
        (fail("broken"), Status::Failed, "run_failed"),
        (pause("quota"), Status::Paused, "run_paused"),
    ] {
        let script = Script::new().step("c", move |_| outcome.clone());
        let mut rig = Rig::sqlite(ABC, &script);
        let stored: Arc<Mutex<Vec<Status>>> = Arc::default();
        rig.recorder = Arc::new(Recorder::reacting({
            let (stored, store) = (Arc::clone(&stored), Arc::clone(&rig.store));
            move |event| {
                let end = matches!(
                    event,
                    Event::Run(
                        RunEvent::Completed { .. }
                            | RunEvent::Failed { .. }
                            | RunEvent::Paused { .. }
                    )
                );
                if end {
                    let row = store.row(&r1()).now().unwrap().unwrap();
                    stored.lock().unwrap().push(row.status);
                }
            }
        }));
        let report = rig.run().await.unwrap();
        assert_eq!(rig.recorder.events().last(), Some(&last));
        assert_eq!(*stored.lock().unwrap(), [status]);
        assert_eq!(report.stop.is_none(), status == Status::Completed);
    }
}

#[tokio::test]
async fn b163_whatever_is_thrown_becomes_a_readable_text() {
    for (thrown, says) in [
        (0, "a plain text"),
        (1, "an owned text 7"),
        (2, "a panic without a message"),
    ] {
        let script = Script::new().step("a", move |_| -> Outcome {
            match thrown {
                0 => std::panic::panic_any("a plain text"),
                1 => std::panic::panic_any(format!("an owned text {}", 7)),
                _ => std::panic::panic_any(vec![1, 2, 3]),
            }
        });
        let report = Rig::sqlite(ABC, &script).run().await.unwrap();
        let stop = report.stop.unwrap();
        assert_eq!(stop.code(), StopCode::HostError);
        assert!(stop.why.error().unwrap().contains(says), "{stop:?}");
    }
    // What a component throws keeps its shape, beside the text.
    let thrown = StepError {
        detail: Some(json!({ "deep": [null, 1.5, "é"] })),
        ..StepError::new(milepost_core::outcome::ErrorClass::Failed, "c", "m")
    };
    let expected = thrown.clone();
    let script = Script::new().step("a", move |_| Outcome::Failed(thrown.clone()));
    let report = Rig::sqlite(ABC, &script).run().await.unwrap();
    assert_eq!(report.steps[0].error, Some(expected));
}

#[tokio::test]
async fn b333_a_cancelled_run_says_by_whom_and_goes_no_further() {
    let rig = Rig::sqlite(ABC, &Script::new().step("b", |_| pause("quota")));
    rig.run().await.unwrap();
    rig.engine().cancel(&r1(), "the operator").await.unwrap();
    let report = rig.engine().report(&r1()).now().unwrap();
    let stop = report.stop.unwrap();
    assert_eq!(
        (report.status, stop.code()),
        (Status::Cancelled, StopCode::Cancelled)
    );
    let by = "the operator".to_owned();
    assert_eq!(stop.why, Why::Cancelled { by });
    let answer = rig
        .engine()
        .retry(&r1(), None, ResumeOptions::default())
        .await;
    assert!(matches!(answer, Err(EngineError::NotResumable { .. })));
    assert_eq!(rig.script.calls(), ["a", "b"]);
}
