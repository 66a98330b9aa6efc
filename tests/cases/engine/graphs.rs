//! Graphs on the engine: several steps of a run in flight at once, for real, and what stops them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use milepost::engine::{Control, Demand, Request};
use milepost_core::outcome::ErrorClass;
use milepost_core::state::{Status, StepPhase};
use milepost_core::stop::{StopCode, Why};
use milepost_tests::faulty::dead_process;
use milepost_tests::rig::{Rig, r1};
use milepost_tests::scripted::{Gate, Script, at, error, fail, ok};
use serde_json::json;
use tokio::sync::Barrier;

use super::count;

/// Calls of the scripted steps of their own names: `a`, or `c: a b`, one a line.
fn graph(limit: usize, lines: &str) -> String {
    let mut text = format!("flow = \"graph\"\nlimits = {{ parallel = {limit} }}\n");
    for line in lines.lines() {
        let (id, needs) = line.split_once(':').unwrap_or((line, ""));
        let needs: Vec<_> = needs.split_whitespace().collect();
        text.push_str(&format!(
            "[[step]]\nid = \"{id}\"\nuse = \"p/{id}\"\nneeds = {needs:?}\n"
        ));
    }
    text
}

/// What was held is held in a replay, too: once more at most.
async fn assert_replays(rig: &Rig, gates: &[&Gate]) {
    gates.iter().for_each(|gate| gate.open());
    let replayed = rig.replay().await.unwrap();
    assert_eq!(replayed.divergence, None);
}

/// Steps that end only when all of them have begun.
fn together(script: Script, names: &[&str]) -> Script {
    let barrier = Arc::new(Barrier::new(names.len()));
    names.iter().fold(script, |script, name| {
        let barrier = Arc::clone(&barrier);
        script.slow(name, move |call| {
            let barrier = Arc::clone(&barrier);
            async move {
                barrier.wait().await;
                at(&call)
            }
        })
    })
}

#[tokio::test]
async fn independent_steps_are_in_flight_at_once_and_what_needs_them_comes_after() {
    let script = together(Script::new(), &["a", "b", "c"]);
    let rig = Rig::sqlite(&graph(8, "a\nb\nc\nd: a b c"), &script);
    let report = rig.run().await.unwrap();
    assert_eq!(report.status, Status::Completed);
    assert_eq!(script.calls().last().unwrap(), "d");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_more_are_in_flight_than_there_may_be() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let names: Vec<String> = (0..20).map(|number| format!("s{number}")).collect();
    let script = names.iter().fold(Script::new(), |script, name| {
        let (now, most) = (Arc::clone(&now), Arc::clone(&most));
        script.slow(name, move |call| {
            let (now, most) = (Arc::clone(&now), Arc::clone(&most));
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(2)).await;
                now.fetch_sub(1, Ordering::SeqCst);
                at(&call)
            }
        })
    });
    let rig = Rig::sqlite(&graph(3, &names.join("\n")), &script);
    assert_eq!(rig.run().await.unwrap().status, Status::Completed);
    assert_eq!(most.load(Ordering::SeqCst), 3);
    assert_replays(&rig, &[]).await;
}

/// A step that takes a processor for itself keeps no other one, and no commit, from moving.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_never_yields_holds_up_itself_alone() {
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = Arc::new(std::sync::Mutex::new(held));
    let script = Script::new().slow("busy", move |call| {
        let held = Arc::clone(&held);
        async move {
            held.lock().unwrap().recv().unwrap();
            at(&call)
        }
    });
    let rig = Rig::sqlite(&graph(8, "busy\na\nb: a\nc: b"), &script);
    let run = rig.run();
    let released = async {
        loop {
            tokio::time::sleep(Duration::from_millis(5)).await;
            let completed = count(&rig.events(), "step_completed");
            if completed == 3 {
                release.send(()).unwrap();
                return;
            }
        }
    };
    let (report, ()) = tokio::join!(run, released);
    assert_eq!(report.unwrap().status, Status::Completed);
}

#[tokio::test]
async fn outcomes_that_are_there_together_share_a_commit_with_what_they_start() {
    let rig = Rig::sqlite(
        &graph(
            64,
            &(0..60)
                .map(|n| format!("s{n}"))
                .collect::<Vec<_>>()
                .join("\n"),
        ),
        &Script::new(),
    );
    assert_eq!(rig.run().await.unwrap().status, Status::Completed);
    let times: BTreeSet<_> = rig.journal().iter().map(|entry| entry.at).collect();
    assert!(times.len() < 60, "each outcome was committed by itself");
}

#[tokio::test]
async fn a_failed_step_interrupts_no_other_one_and_the_run_names_every_failure() {
    let gate = Gate::default();
    let script = Script::new()
        .step("red", |_| fail("red"))
        .held("slow", &gate)
        .step("blue", |_| fail("blue"));
    let rig = Rig::sqlite(&graph(8, "slow\nred\nblue: slow\nlast: red"), &script);
    let (report, ()) = tokio::join!(rig.run(), async {
        gate.came().await;
        while count(&rig.events(), "step_failed") == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        gate.open();
    });
    let report = report.unwrap();
    assert_eq!(report.status, Status::Failed);
    let Some(Why::StepFailed { failures, .. }) = report.stop.map(|stop| stop.why) else {
        panic!("steps failed");
    };
    let paths: Vec<_> = failures
        .iter()
        .map(|failure| failure.path.to_string())
        .collect();
    assert_eq!(paths, ["red", "blue"]);
    assert_eq!(count(&rig.events(), "step_interrupted"), 0);
    assert_replays(&rig, &[&gate]).await;
}

/// Runs until all of these hold, and asks.
async fn asked(rig: &Rig, gates: &[&Gate], demand: Demand, then: impl FnOnce()) -> Status {
    let control = Control::default();
    let engine = rig.engine();
    let (report, ()) = tokio::join!(rig.run_on(&engine, control.clone()), async {
        for gate in gates {
            gate.came().await;
        }
        assert!(control.ask(Request::new(demand, "somebody")));
        tokio::time::sleep(Duration::from_millis(50)).await;
        then();
    });
    report.unwrap().status
}

#[tokio::test]
async fn a_patient_pause_lets_everything_in_flight_end_and_starts_nothing() {
    let (one, two) = (Gate::default(), Gate::default());
    let script = Script::new().held("a", &one).held("b", &two);
    let rig = Rig::sqlite(&graph(2, "a\nb\nc\nd: a"), &script);
    let open = || {
        one.open();
        two.open();
    };
    assert_eq!(
        asked(&rig, &[&one, &two], Demand::Pause, open).await,
        Status::Paused
    );
    assert_eq!(script.calls(), ["a", "b"]);
    let completed = rig
        .events()
        .into_iter()
        .filter(|name| *name == "step_completed");
    assert_eq!(completed.count(), 2);
    assert_eq!(rig.resume().await.unwrap().status, Status::Completed);
    assert_eq!(script.calls().len(), 4);
}

#[tokio::test]
async fn a_pause_at_once_interrupts_everything_in_flight() {
    let (one, two) = (Gate::default(), Gate::default());
    let script = Script::new().held_once("a", &one).held_once("b", &two);
    let rig = Rig::sqlite(&graph(8, "a\nb\nc: a b"), &script);
    let status = asked(&rig, &[&one, &two], Demand::PauseNow, || {}).await;
    assert_eq!(status, Status::Paused);
    assert_eq!(count(&rig.events(), "step_interrupted"), 2);
    assert_eq!(rig.resume().await.unwrap().status, Status::Completed);
    assert_replays(&rig, &[&one, &two]).await;
}

#[tokio::test]
async fn a_cancellation_keeps_what_ends_in_time_and_interrupts_the_rest() {
    let held = Gate::default();
    let begun = Gate::default();
    let also = begun.clone();
    let script = Script::new().held("deaf", &held).slow("tidy", move |call| {
        let begun = also.clone();
        async move {
            begun.pass().await;
            while !call.host.cancel_requested().await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            ok(json!("tidied up"))
        }
    });
    let rig = Rig::sqlite(&graph(8, "deaf\ntidy\nlast: tidy"), &script);
    begun.open();
    let status = asked(&rig, &[&held, &begun], Demand::Cancel, || {}).await;
    assert_eq!(status, Status::Cancelled);
    let names = rig.events();
    assert_eq!(
        names[names.len() - 3..],
        ["step_completed", "step_interrupted", "run_cancelled"]
    );
    assert_eq!(script.calls().len(), 2);
}

#[tokio::test]
async fn a_run_whose_process_died_with_several_in_flight_repeats_those_alone() {
    let (one, two) = (Gate::default(), Gate::default());
    let script = Script::new().held_once("b", &one).held_once("c", &two);
    let rig = Rig::sqlite(&graph(8, "a\nb\nc\nd: a b c"), &script);
    let engine = rig.engine_of(dead_process());
    let begun = rig.run_on(&engine, Control::default());
    let mut again = Vec::new();
    let taken_over = async {
        one.came().await;
        two.came().await;
        while count(&rig.events(), "step_completed") == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        again = script.calls();
        assert_eq!(rig.resume().await.unwrap().status, Status::Completed);
    };
    tokio::select! {
        _ = begun => unreachable!("it hangs"),
        () = taken_over => {}
    }
    again = script.calls().split_off(again.len());
    again.sort();
    assert_eq!(again, ["b", "c", "d"]);
    assert_replays(&rig, &[&one, &two]).await;
}

#[tokio::test]
async fn the_time_of_an_approval_that_cancels_the_run_stops_what_is_in_flight() {
    let body = graph(8, "heeds\ndeaf")
        + "[[step]]\nid = \"gate\"\napproval = { message = \"Go?\", timeout = \"30ms\" }\n";
    let script = Script::new()
        .slow("heeds", |call| async move {
            while !call.host.cancel_requested().await {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            ok(json!("tidied up"))
        })
        .slow("deaf", |_| std::future::pending());
    let rig = Rig::sqlite(&body, &script);
    let report = rig.run().await.unwrap();
    assert_eq!(report.status, Status::Cancelled);
    assert_eq!(report.stop.unwrap().code(), StopCode::ApprovalTimedOut);
    let names = rig.events();
    assert_eq!(
        names[names.len() - 3..],
        ["step_completed", "step_interrupted", "run_cancelled"]
    );
}

#[tokio::test]
async fn a_retry_delay_of_one_step_does_not_delay_the_others() {
    let gate = Gate::default();
    let busy = |call: &milepost::attempt::Call| match call.attempt {
        1 => error(ErrorClass::Retryable, "busy"),
        _ => at(call),
    };
    let script = Script::new().held("held", &gate).step("flaky", busy);
    let body = graph(8, "held\nflaky\na\nb: a").replace(
        "id = \"flaky\"",
        "id = \"flaky\"\nretry = { initial = \"50ms\" }",
    );
    let rig = Rig::sqlite(&body, &script);
    let (report, ()) = tokio::join!(rig.run(), async {
        gate.came().await;
        // Everything else ends while `held` is held, the second attempt of `flaky` too.
        while count(&rig.events(), "step_completed") < 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        gate.open();
    });
    assert_eq!(report.unwrap().status, Status::Completed);
    assert_replays(&rig, &[&gate]).await;
}

#[tokio::test]
async fn an_attempt_that_panics_ends_the_run_and_nothing_else() {
    let gate = Gate::default();
    let script = Script::new()
        .held("held", &gate)
        .slow("bad", |_| async { panic!("a defect") });
    let rig = Rig::sqlite(&graph(8, "held\nbad"), &script);
    let report = rig.run().await;
    let row = rig.row();
    assert!(
        report.is_err() || row.status == Status::Failed,
        "{report:?}"
    );
    assert_eq!(row.status, Status::Failed);
    // The process goes on with others.
    let other = Rig::sqlite(&graph(8, "a\nb"), &Script::new());
    assert_eq!(other.run().await.unwrap().status, Status::Completed);
}

#[tokio::test]
async fn a_run_that_stands_at_several_steps_shows_all_of_them() {
    let body = "flow = \"graph\"\n[[step]]\nid = \"go\"\nwait = { signal = \"go\" }\n[[step]]\nid = \"gate\"\napproval = { message = \"Now?\" }\n[[step]]\nid = \"a\"\nuse = \"p/a\"\n";
    let rig = Rig::sqlite(body, &Script::new());
    let report = rig.run().await.unwrap();
    let stop = report.stop.unwrap();
    assert_eq!(stop.reasons.len(), 2);
    let engine = rig.engine();
    engine.signal(&r1(), "go", &json!(1)).await.unwrap();
    let state = milepost::record::load(&rig.open_sqlite(), &r1())
        .await
        .unwrap()
        .state;
    let open: Vec<_> = state
        .stands_at()
        .map(|record| record.path().to_string())
        .collect();
    assert_eq!(open, ["gate"]);
    assert!(matches!(
        state
            .executions()
            .at(&"gate".parse().unwrap())
            .unwrap()
            .phase(),
        StepPhase::Awaiting { .. }
    ));
    let report = rig.resume().await.unwrap();
    assert_eq!(report.stop.unwrap().code(), StopCode::WaitingForApproval);
    let row = rig.row();
    assert_eq!(row.status, Status::Paused);
}

#[tokio::test]
async fn a_signal_that_was_there_when_several_waits_are_over_ends_one_of_them_once() {
    let body = "flow = 'graph'\n[[step]]\nid = 'gate'\napproval = { message = 'Now?', timeout = '1m', on_timeout = 'approve' }\n\
                [[step]]\nid = 'go'\nwait = { signal = 'go', timeout = '1m', on_timeout = 'continue' }\n\
                [[step]]\nid = 'a'\nuse = 'p/a'\n";
    let gate = Gate::default();
    let rig = Rig::sqlite(body, &Script::new().held("a", &gate));
    rig.submit("r1").await;
    rig.engine().signal(&r1(), "go", &json!(7)).await.unwrap();
    gate.open();
    rig.work().await;
    assert_eq!(rig.row().status, Status::Completed);
    let events = rig.events();
    let ended = |name| count(&events, name);
    assert_eq!((ended("signal_received"), ended("wait_ended")), (1, 1));
}
