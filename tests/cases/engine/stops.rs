//! Pause and cancel, from this process and from others.

use milepost_tests::now::Now as _;
use std::sync::Arc;
use std::time::Duration;

use milepost::attempt::Call;
use milepost::engine::{ApprovalDecision, Control, Demand, EngineError, Request, StopAnswer};
use milepost::report::RunReport;
use milepost::store::StoreError;
use milepost::store::{StopKind, StopRequest};
use milepost_core::outcome::{ErrorClass, Outcome, Pause};
use milepost_core::state::Status;
use milepost_core::stop::{StopCode, Why};
use milepost_core::wait::Verdict;
use milepost_tests::faulty::{Fault, FaultyStore};
use milepost_tests::rig::{Rig, START, r1};
use milepost_tests::scripted::{Gate, Script, at, error, fail, ok, pause};
use serde_json::json;

use super::steps;

fn pause_by(who: &str) -> Request {
    Request::new(Demand::PauseNow, who)
}

fn cancel_by(who: &str) -> Request {
    Request::new(Demand::Cancel, who)
}

fn stop_of(report: &RunReport) -> (&Why, Option<String>) {
    let stop = report.stop.as_ref().unwrap();
    (&stop.why, stop.path.as_ref().map(ToString::to_string))
}

fn cancelled_by_somebody() -> Why {
    Why::Cancelled {
        by: "somebody".to_owned(),
    }
}

/// Runs until `gate` holds a step, asks, and returns the report.
async fn asked_at(rig: &Rig, gate: &Gate, request: Request) -> RunReport {
    let control = Control::default();
    let engine = rig.engine();
    let (report, ()) = tokio::join!(rig.run_on(&engine, control.clone()), async {
        gate.came().await;
        assert!(control.ask(request));
    });
    report.unwrap()
}

/// A step that ends when it sees the cancellation.
async fn until_cancelled(call: Call, outcome: Outcome) -> Outcome {
    while !call.host.cancel_requested().await {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    outcome
}

#[tokio::test]
async fn b165_a_pause_interrupts_the_attempt_in_flight() {
    let gate = Gate::default();
    let rig = Rig::sqlite(&steps(&["a", "b", "c"]), &Script::new().held("b", &gate));
    let report = asked_at(&rig, &gate, pause_by("SIGINT")).await;
    assert_eq!(report.status, Status::Paused);
    assert_eq!(
        stop_of(&report),
        (
            &Why::Interrupted {
                by: "SIGINT".to_owned(),
                lost: false
            },
            Some("b".to_owned())
        )
    );
    assert_eq!(
        rig.events()[4..],
        ["step_started", "step_interrupted", "run_paused"]
    );
    assert_eq!(rig.row().owner, None);

    gate.open();
    let report = rig.resume().await.unwrap();
    assert_eq!(report.status, Status::Completed);
    assert_eq!(report.steps[1].attempts, 2);
    assert_eq!(rig.script.calls(), ["a", "b", "b", "c"]);
}

#[tokio::test]
async fn b169_a_result_that_comes_with_the_request_does_not_count() {
    let gate = Gate::default();
    let rig = Rig::new(&steps(&["a"]), &Script::new().held("a", &gate));
    let control = Control::default();
    let engine = rig.engine();
    let (report, ()) = tokio::join!(rig.run_on(&engine, control.clone()), async {
        gate.came().await;
        gate.open();
        control.ask(pause_by("SIGTERM"));
    });
    assert_eq!(report.unwrap().status, Status::Paused);
    assert!(!rig.events().contains(&"step_completed"));
}

#[tokio::test]
async fn b167_the_first_request_holds_until_a_stronger_one_comes() {
    let gate = Gate::default();
    let rig = Rig::new(&steps(&["a"]), &Script::new().held("a", &gate));
    let control = Control::default();
    let engine = rig.engine();
    let (report, ()) = tokio::join!(rig.run_on(&engine, control.clone()), async {
        gate.came().await;
        assert!(control.ask(pause_by("SIGINT")));
        assert!(!control.clone().ask(pause_by("SIGTERM")));
        assert!(control.ask(cancel_by("somebody")));
        assert!(!control.ask(pause_by("SIGINT")));
    });
    let report = report.unwrap();
    assert_eq!(*stop_of(&report).0, cancelled_by_somebody());
}

#[tokio::test]
async fn a_request_before_the_start_pauses_at_the_first_step() {
    let gate = Gate::default();
    let rig = Rig::new(&steps(&["a"]), &Script::new().held("a", &gate));
    let control = Control::default();
    control.ask(pause_by("SIGINT"));
    let report = rig.run_on(&rig.engine(), control.clone()).await.unwrap();
    assert_eq!(report.status, Status::Paused);
    gate.open();
    assert_eq!(rig.resume().await.unwrap().status, Status::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_step_is_asked_first_and_its_output_is_kept() {
    let gate = Gate::default();
    let script =
        Script::new().slow("a", {
            let gate = gate.clone();
            move |call| {
                let gate = gate.clone();
                async move {
                    tokio::join!(gate.pass(), until_cancelled(call, ok(json!("cleaned up")))).1
                }
            }
        });
    gate.open();
    let rig = Rig::new(&steps(&["a", "b"]), &script);
    let report = asked_at(&rig, &gate, cancel_by("somebody")).await;
    assert_eq!(report.status, Status::Cancelled);
    assert_eq!(*stop_of(&report).0, cancelled_by_somebody());
    assert_eq!(report.steps[0].output, json!("cleaned up"));
    assert_eq!(rig.script.calls(), ["a"], "nothing starts after it");
}

#[tokio::test(start_paused = true)]
async fn a_step_that_cleans_up_without_an_output_is_interrupted() {
    for outcome in [
        || Outcome::Cancelled("stopped".to_owned()),
        || fail("half"),
        || pause("later"),
    ] {
        let script = Script::new().slow("a", move |call| until_cancelled(call, outcome()));
        let rig = Rig::new(&steps(&["a", "b"]), &script);
        let control = Control::default();
        control.ask(cancel_by("somebody"));
        let report = rig.run_on(&rig.engine(), control.clone()).await.unwrap();
        assert_eq!(report.status, Status::Cancelled);
        assert_eq!(
            rig.events()[2..],
            ["step_started", "step_interrupted", "run_cancelled"]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_that_does_not_listen_is_interrupted_after_the_grace() {
    let gate = Gate::default();
    let rig = Rig::new(&steps(&["a"]), &Script::new().held("a", &gate));
    let began = tokio::time::Instant::now();
    let report = asked_at(&rig, &gate, cancel_by("somebody")).await;
    assert_eq!(report.status, Status::Cancelled);
    assert_eq!(began.elapsed(), Duration::from_secs(2));
    assert_eq!(
        rig.events()[2..],
        ["step_started", "step_interrupted", "run_cancelled"]
    );
}

#[tokio::test]
async fn b285_b286_stopped_runs_can_be_cancelled_and_terminal_ones_stay() {
    for (outcome, before) in [
        (Some(pause("quota")), Status::Paused),
        (Some(fail("broken")), Status::Failed),
        (None, Status::Completed),
    ] {
        let script =
            Script::new().step("a", move |call| outcome.clone().unwrap_or_else(|| at(call)));
        let rig = Rig::sqlite(&steps(&["a"]), &script);
        assert_eq!(rig.run().await.unwrap().status, before);
        rig.clock.advance(Duration::from_secs(60));
        let first = rig.engine().cancel(&r1(), "somebody").await.unwrap();
        let stands = (rig.row(), rig.journal());
        rig.clock.advance(Duration::from_secs(60));
        let again = rig.engine().cancel(&r1(), "somebody else").await.unwrap();
        if before == Status::Completed {
            assert_eq!(first, StopAnswer::Already(Status::Completed));
            assert_eq!(again, first);
        } else {
            assert_eq!(first, StopAnswer::Done(Status::Cancelled));
            assert_eq!(again, StopAnswer::Already(Status::Cancelled));
        }
        assert_eq!(
            (rig.row(), rig.journal()),
            stands,
            "nothing is stamped again"
        );
    }
}

#[tokio::test]
async fn b285_a_pending_run_and_an_orphan_are_cancelled_at_once() {
    for orphan in [false, true] {
        let gate = Gate::default();
        let rig = Rig::new(&steps(&["a"]), &Script::new().held("a", &gate));
        let store: Arc<FaultyStore> = Arc::new(if orphan {
            FaultyStore::dying_after(Arc::clone(&rig.store), 1)
        } else {
            FaultyStore::new(Arc::clone(&rig.store), |_| Fault::None)
        });
        let engine = rig.engine_on(Arc::clone(&store) as _);
        tokio::select! {
            _ = rig.run_on(&engine, Control::default()) => unreachable!("it is held or dies"),
            () = gate.came() => {}
            () = store.died() => {}
        }
        let expected = if orphan {
            Status::Running
        } else {
            Status::Pending
        };
        assert_eq!(rig.row().status, expected);
        let answer = rig.engine().cancel(&r1(), "somebody").await.unwrap();
        assert_eq!(answer, StopAnswer::Done(Status::Cancelled));
        let report = rig.engine().report(&r1()).now().unwrap();
        assert_eq!(
            (report.status, stop_of(&report).0),
            (Status::Cancelled, &cancelled_by_somebody())
        );
    }
}

#[tokio::test]
async fn b186_cancelling_an_unknown_run_says_so() {
    let rig = Rig::new(&steps(&["a"]), &Script::new());
    let answer = rig.engine().cancel(&r1(), "somebody").await;
    assert!(matches!(answer, Err(EngineError::Store(StoreError::NotFound(id))) if id == r1()));
}

#[tokio::test(start_paused = true)]
async fn b292_a_run_of_a_living_owner_is_ended_by_its_owner() {
    let gate = Gate::default();
    let rig = Rig::new(&steps(&["a", "b"]), &Script::new().held("a", &gate));
    let (owner, control) = (rig.engine(), Control::default());
    let began = tokio::time::Instant::now();
    let (report, ()) = tokio::join!(rig.run_on(&owner, control.clone()), async {
        gate.came().await;
        let answer = rig.engine().cancel(&r1(), "somebody").await.unwrap();
        assert_eq!(answer, StopAnswer::Asked);
        assert_eq!(rig.row().status, Status::Running, "its owner decides");
    });
    assert_eq!(report.unwrap().status, Status::Cancelled);
    // One beat of the keeper, then the grace for a step that does not listen.
    assert_eq!(began.elapsed(), Duration::from_millis(2_500));
    assert_eq!(rig.row().request, None);
    assert_eq!(rig.script.calls(), ["a"]);
}

#[tokio::test]
async fn b292_the_next_commit_notices_too() {
    let gate = Gate::default();
    let rig = Rig::sqlite(&steps(&["a", "b", "c"]), &Script::new().held("a", &gate));
    let (owner, control) = (rig.engine(), Control::default());
    let (report, ()) = tokio::join!(rig.run_on(&owner, control.clone()), async {
        gate.came().await;
        rig.engine().cancel(&r1(), "somebody").await.unwrap();
        gate.open();
    });
    let report = report.unwrap();
    assert_eq!(report.status, Status::Cancelled);
    assert_eq!(report.steps[0].status, "completed");
    assert_eq!(report.steps[2].status, "pending");
}

#[tokio::test]
async fn b287_a_run_that_ends_before_the_request_arrives_has_nothing_to_cancel() {
    for (outcome, answer, status) in [
        (
            ok(json!(1)),
            StopAnswer::Already(Status::Completed),
            Status::Completed,
        ),
        (
            pause("quota"),
            StopAnswer::Done(Status::Cancelled),
            Status::Cancelled,
        ),
        (
            fail("broken"),
            StopAnswer::Done(Status::Cancelled),
            Status::Cancelled,
        ),
    ] {
        let (gate, on_the_way) = (Gate::default(), Gate::default());
        let script = Script::new().step("a", move |_| outcome.clone());
        let rig = Rig::new(&steps(&["a"]), &script.held("a", &gate));
        let store = FaultyStore::new(Arc::clone(&rig.store), |_| Fault::None);
        let other = rig.engine_on(Arc::new(store.cancels_wait_at(&on_the_way)));
        let (owner, control) = (rig.engine(), Control::default());
        let id = r1();
        let run = async {
            let report = rig.run_on(&owner, control.clone()).await;
            on_the_way.open();
            report
        };
        let cancel = async {
            gate.came().await;
            other.cancel(&id, "somebody").await
        };
        let (report, given, ()) = tokio::join!(run, cancel, async {
            on_the_way.came().await;
            gate.open();
        });
        report.unwrap();
        assert_eq!(given.unwrap(), answer);
        assert_eq!(rig.row().status, status);
    }
}

#[tokio::test]
async fn a_request_that_arrives_while_the_run_pauses_is_still_honoured() {
    for outcome in [pause("quota"), fail("broken")] {
        let rig = Rig::new(
            &steps(&["a"]),
            &Script::new().step("a", move |_| outcome.clone()),
        );
        let stopping = Gate::default();
        let store = FaultyStore::new(Arc::clone(&rig.store), {
            let stopping = stopping.clone();
            move |n| {
                if n == 2 {
                    Fault::Held(stopping.clone())
                } else {
                    Fault::None
                }
            }
        });
        let (owner, control) = (rig.engine_on(Arc::new(store)), Control::default());
        let (report, ()) = tokio::join!(rig.run_on(&owner, control.clone()), async {
            stopping.came().await;
            let answer = rig.engine().cancel(&r1(), "somebody").await.unwrap();
            assert_eq!(answer, StopAnswer::Asked);
            stopping.open();
        });
        assert_eq!(report.unwrap().status, Status::Cancelled);
        assert_eq!(rig.row().status, Status::Cancelled);
    }
}

/// Step `a` ends like this until [`stays_held`].
fn ends_with(outcome: &Outcome) -> Script {
    let outcome = outcome.clone();
    Script::new().step("a", move |_| outcome.clone())
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_arrives_while_the_run_stops_by_itself_holds_it() {
    let until = match pause("quota") {
        Outcome::Paused(pause) => Outcome::Paused(Pause {
            until: Some(START.after(Duration::from_secs(60))),
            ..pause
        }),
        other => other,
    };
    let cases = [
        (until, StopCode::StepPaused),
        (
            error(ErrorClass::Retryable, "busy"),
            StopCode::RetriesExhausted,
        ),
    ];
    for (outcome, code) in cases {
        for now in [false, true] {
            let rig = Rig::sqlite(&steps(&["a"]), &ends_with(&outcome));
            let stopping = Gate::default();
            let store = FaultyStore::new(Arc::clone(&rig.store), |_| Fault::None).failing({
                let stopping = stopping.clone();
                move |write| {
                    let pauses = write.head.status == Status::Paused;
                    (pauses && write.head.due_at.is_some()).then(|| Fault::Held(stopping.clone()))
                }
            });
            let engine = rig.engine_on(Arc::new(store));
            let (report, ()) = tokio::join!(rig.run_on(&engine, Control::default()), async {
                stopping.came().await;
                let answer = rig.engine().pause(&r1(), now, "somebody").await.unwrap();
                assert_eq!(answer, StopAnswer::Asked);
                stopping.open();
            });
            stays_held(&rig, &report.unwrap(), code).await;
        }
    }
}

/// Nothing but a person's resume lets it go on.
async fn stays_held(rig: &Rig, report: &RunReport, code: StopCode) {
    let stop = report.stop.as_ref().unwrap();
    assert_eq!((report.status, stop.code()), (Status::Paused, code));
    assert_eq!(
        (stop.due_at, stop.held_by.as_deref()),
        (None, Some("somebody"))
    );
    assert_eq!(rig.row().request, None);
    rig.clock.advance(Duration::from_secs(1_000_000));
    assert_eq!(rig.work().await.taken, 0);
    rig.script.answer("a", at);
    assert_eq!(rig.resume().await.unwrap().status, Status::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_arrives_while_the_host_puts_a_run_off_holds_it() {
    let rig = Rig::sqlite(&steps(&["a"]), &Script::new());
    let putting_off = Gate::default();
    let store = FaultyStore::new(Arc::clone(&rig.store), {
        let putting_off = putting_off.clone();
        move |n| match n {
            2..=8 => Fault::Refused,
            9 => Fault::Held(putting_off.clone()),
            _ => Fault::None,
        }
    });
    let engine = rig.engine_on(Arc::new(store));
    let (report, ()) = tokio::join!(rig.run_on(&engine, Control::default()), async {
        putting_off.came().await;
        let answer = rig.engine().pause(&r1(), false, "somebody").await.unwrap();
        assert_eq!(answer, StopAnswer::Asked);
        putting_off.open();
    });
    stays_held(&rig, &report.unwrap(), StopCode::HostError).await;
}

/// The owner dies after the stop was saved, before it could hold the run: a sweep does.
#[tokio::test(start_paused = true)]
async fn a_pause_that_a_dead_owner_did_not_meet_holds_the_run_where_it_stopped() {
    let rig = Rig::sqlite(
        &steps(&["a"]),
        &ends_with(&error(ErrorClass::Retryable, "busy")),
    );
    let stopping = Gate::default();
    let store = FaultyStore::new(Arc::clone(&rig.store), |_| Fault::None).failing({
        let stopping = stopping.clone();
        move |write| match (write.head.status, write.head.due_at) {
            (Status::Paused, Some(_)) => Some(Fault::Held(stopping.clone())),
            (Status::Paused, None) => Some(Fault::Dead),
            _ => None,
        }
    });
    let store = Arc::new(store);
    let engine = rig.engine_on(Arc::clone(&store) as _);
    let asks = async {
        stopping.came().await;
        let answer = rig.engine().pause(&r1(), false, "somebody").await.unwrap();
        assert_eq!(answer, StopAnswer::Asked);
        stopping.open();
    };
    let run = store.kills(rig.run_on(&engine, Control::default()));
    tokio::join!(run, asks);
    let swept = rig.sweep().await;
    assert_eq!(swept.stopped, [r1()]);
    let report = rig.engine().report(&r1()).now().unwrap();
    stays_held(&rig, &report, StopCode::RetriesExhausted).await;
}

#[tokio::test]
async fn a_take_over_honours_a_request_that_its_dead_owner_did_not_see() {
    let rig = Rig::new(&steps(&["a", "b"]), &Script::new());
    rig.dies_on(FaultyStore::dying_after(Arc::clone(&rig.store), 1))
        .await;
    let request = StopRequest {
        kind: StopKind::Cancel,
        at: START,
        by: "somebody".to_owned(),
    };
    rig.store.request_stop(&r1(), request).await.unwrap();
    let report = rig.resume().await.unwrap();
    assert_eq!(report.status, Status::Cancelled);
    assert_eq!(
        rig.script.calls().len(),
        0,
        "no step starts after a cancel was acknowledged"
    );
}

#[tokio::test]
async fn b293_a_pause_lets_the_step_in_flight_finish_and_a_cancellation_does_not() {
    for (demand, events) in [
        (Demand::Pause, ["step_completed", "run_paused"]),
        (Demand::Kill, ["step_interrupted", "run_cancelled"]),
    ] {
        let gate = Gate::default();
        let rig = Rig::new(&steps(&["a", "b"]), &Script::new().held("a", &gate));
        let (engine, control) = (rig.engine(), Control::default());
        let (report, ()) = tokio::join!(rig.run_on(&engine, control.clone()), async {
            gate.came().await;
            control.ask(Request::new(demand, "somebody"));
            tokio::task::yield_now().await;
            gate.open();
        });
        assert!(report.is_ok());
        assert!(
            rig.events().ends_with(&events),
            "{demand:?}: {:?}",
            rig.events()
        );
        assert_eq!(rig.script.calls(), ["a"], "nothing new starts");
    }
}

#[tokio::test(start_paused = true)]
async fn a_paused_run_that_is_due_can_be_held_until_a_person_resumes_it() {
    let script = Script::new().step("a", |call| match call.attempt {
        1..=3 => error(ErrorClass::Retryable, "busy"),
        _ => at(call),
    });
    let rig = Rig::sqlite(&steps(&["a"]), &script);
    assert!(rig.run().await.unwrap().stop.unwrap().due_at.is_some());
    let engine = rig.engine();
    let pause = async || engine.pause(&r1(), false, "somebody").await.unwrap();
    assert_eq!(pause().await, StopAnswer::Held);
    assert_eq!(pause().await, StopAnswer::Already(Status::Paused), "once");
    let report = engine.report(&r1()).now().unwrap();
    let stop = report.stop.unwrap();
    assert_eq!(
        (stop.code(), stop.due_at),
        (StopCode::RetriesExhausted, None)
    );
    assert_eq!(stop.held_by.as_deref(), Some("somebody"));
    rig.clock.advance(Duration::from_secs(1_000_000));
    assert_eq!(rig.work().await.taken, 0);
    assert_eq!(rig.resume().await.unwrap().status, Status::Completed);
    assert_eq!(rig.replay().await.unwrap().divergence, None);
}

#[tokio::test(start_paused = true)]
async fn what_a_held_run_waits_for_is_taken_and_the_answer_says_that_it_is_held() {
    let body = "[[step]]\nid = \"w\"\nwait = { signal = \"go\" }\n\
                [[step]]\nid = \"g\"\napproval = { message = \"?\" }\n";
    let rig = Rig::sqlite(body, &Script::new());
    let engine = rig.engine();
    rig.run().await.unwrap();
    engine.pause(&r1(), true, "somebody").await.unwrap();
    let sent = engine.signal(&r1(), "go", &json!(1)).await.unwrap();
    assert_eq!((sent.held, sent.goes_on), (true, false));
    assert_eq!(rig.work().await.taken, 0);
    assert_eq!(rig.resume().await.unwrap().status, Status::Paused);
    engine.pause(&r1(), true, "somebody").await.unwrap();
    let decision = ApprovalDecision {
        path: None,
        verdict: Verdict::Approved,
        comment: None,
        by: None,
    };
    assert!(engine.decide_approval(&r1(), &decision).await.unwrap().held);
    assert_eq!(rig.work().await.taken, 0);
    assert_eq!(rig.resume().await.unwrap().status, Status::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_pause_that_was_not_met_yet_can_be_withdrawn() {
    // Heard by the owner, or not yet.
    for heard in [Duration::ZERO, Duration::from_secs(2)] {
        let gate = Gate::default();
        let rig = Rig::sqlite(&steps(&["a", "b"]), &Script::new().held("a", &gate));
        let engine = rig.engine();
        let (report, ()) = tokio::join!(rig.run_on(&engine, Control::default()), async {
            gate.came().await;
            let pause = async || engine.pause(&r1(), false, "somebody").await.unwrap();
            assert!(!engine.withdraw_pause(&r1()).await.unwrap());
            assert_eq!(pause().await, StopAnswer::Asked);
            tokio::time::sleep(heard).await;
            assert!(engine.withdraw_pause(&r1()).await.unwrap());
            assert_eq!(rig.row().request, None);
            // And asked for again, and taken back again.
            assert_eq!(pause().await, StopAnswer::Asked);
            tokio::time::sleep(heard).await;
            assert!(engine.withdraw_pause(&r1()).await.unwrap());
            gate.open();
        });
        assert_eq!(report.unwrap().status, Status::Completed, "{heard:?}");
    }
}
