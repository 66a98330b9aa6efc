//! Every exit of the engine leaves a run that is over, or that can go on at once.

use milepost_tests::now::Now as _;
use std::sync::Arc;
use std::time::Duration;

use milepost::engine::{Control, EngineError};
use milepost_core::outcome::{ErrorClass, codes};
use milepost_core::state::Status;
use milepost_core::stop::StopCode;
use milepost_tests::faulty::{Fault, FaultyStore, dead_process};
use milepost_tests::recorder::Recorder;
use milepost_tests::rig::{Rig, r1};
use milepost_tests::scripted::{Gate, Script, at, error};

use super::{count, steps};

#[tokio::test]
async fn b259_a_normal_end_leaves_no_owner() {
    let rig = Rig::sqlite(&steps(&["a"]), &Script::new());
    assert_eq!(rig.run().await.unwrap().status, Status::Completed);
    let row = rig.row();
    assert_eq!(
        (row.owner, row.lease_until, row.status),
        (None, None, Status::Completed)
    );
}

#[tokio::test]
async fn b260_b272_a_failure_before_the_first_step_is_final_once() {
    let missing = |_: &_| error(ErrorClass::Host, codes::PLUGIN_UNAVAILABLE);
    let rig = Rig::sqlite(&steps(&["a", "b"]), &Script::new().step("a", missing));
    let report = rig.run().await.unwrap();
    assert_eq!(report.status, Status::Failed);
    assert_eq!(report.stop.unwrap().code(), StopCode::StepFailed);
    assert_eq!(
        report.steps[0].error.as_ref().unwrap().class,
        ErrorClass::Host
    );
    assert_eq!(rig.row().owner, None);
    assert_eq!(count(&rig.events(), "run_failed"), 1);
}

#[tokio::test]
async fn b261_a_trap_of_a_guest_fails_the_run() {
    let rig = Rig::sqlite(
        &steps(&["a", "b"]),
        &Script::new().step("a", |_| error(ErrorClass::Trap, codes::TRAP)),
    );
    let report = rig.run().await.unwrap();
    assert_eq!(
        (report.status, report.stop.unwrap().code()),
        (Status::Failed, StopCode::StepFailed)
    );
    assert_eq!(
        report.steps[0].error.as_ref().unwrap().class,
        ErrorClass::Trap
    );
}

#[tokio::test]
async fn b261_a_panic_of_the_host_fails_the_run_from_what_was_saved() {
    let script = Script::new().step("b", |call| match call.attempt {
        1 => panic!("a defect in the host"),
        _ => at(call),
    });
    let rig = Rig::sqlite(&steps(&["a", "b", "c"]), &script);
    let report = rig.run().await.unwrap();
    let stop = report.stop.unwrap();
    assert_eq!(
        (report.status, stop.code()),
        (Status::Failed, StopCode::HostError)
    );
    let error = stop.why.error().unwrap();
    assert!(error.contains("a defect in the host"), "{error}");
    assert_eq!(stop.path, "b".parse().ok());
    assert_eq!(report.steps[0].status, "completed");
    assert_eq!(
        rig.events()[4..],
        ["step_started", "step_interrupted", "run_failed"]
    );
    // The engine is as good as before.
    assert_eq!(rig.resume().await.unwrap().status, Status::Completed);
    assert_eq!(rig.script.calls(), ["a", "b", "b", "c"]);
    assert_eq!(rig.replay().await.unwrap().divergence, None);
}

#[tokio::test]
async fn b261_a_panic_after_a_delay_is_caught_too() {
    let gate = Gate::default();
    gate.open();
    let script = Script::new().slow("a", move |_| {
        let gate = gate.clone();
        async move {
            gate.pass().await;
            tokio::task::yield_now().await;
            panic!("late")
        }
    });
    let rig = Rig::new(&steps(&["a"]), &script);
    assert_eq!(
        rig.run().await.unwrap().stop.unwrap().code(),
        StopCode::HostError
    );
}

#[tokio::test]
async fn b261_a_panic_in_a_commit_forgets_what_was_not_saved() {
    let rig = Rig::sqlite(&steps(&["a", "b", "c"]), &Script::new());
    let store = FaultyStore::new(Arc::clone(&rig.store), |n| match n {
        3 => Fault::Panic,
        _ => Fault::None,
    });
    let engine = rig.engine_on(Arc::new(store));
    let report = rig.run_on(&engine, Control::default()).await.unwrap();
    assert_eq!(report.stop.as_ref().unwrap().code(), StopCode::HostError);
    let statuses: Vec<&str> = report.steps.iter().map(|step| step.status).collect();
    assert_eq!(statuses, ["completed", "pending", "pending"]);
    assert_eq!(rig.engine().report(&r1()).now().unwrap(), report);
    assert_eq!(rig.resume().await.unwrap().status, Status::Completed);
    assert_eq!(rig.script.calls(), ["a", "b", "b", "c"]);
}

#[tokio::test]
async fn a_panic_of_an_observer_is_its_own_affair() {
    let mut rig = Rig::new(&steps(&["a", "b"]), &Script::new());
    rig.recorder = Arc::new(Recorder::reacting(|_| panic!("a defect in an observer")));
    assert_eq!(rig.run().await.unwrap().status, Status::Completed);
    assert_eq!(rig.script.calls(), ["a", "b"]);
    assert_eq!(
        rig.recorder.events(),
        rig.events(),
        "it is told of every event all the same"
    );
}

#[tokio::test]
async fn b264_a_dropped_future_releases_the_run() {
    let gate = Gate::default();
    let mut rig = Rig::sqlite(&steps(&["a", "b", "c"]), &Script::new().held("b", &gate));
    for released in 1..=3 {
        let driven = async {
            match released {
                1 => rig.run().await,
                _ => rig.resume().await,
            }
        };
        gate.holds(driven).await;
        let row = rig.row();
        assert_eq!(
            (row.status, row.owner, row.recoveries),
            (Status::Pending, None, 0)
        );
        assert_eq!(row.epoch.0, released);
        assert_eq!(rig.events().last(), Some(&"run_released"));
        rig.reopen();
    }
    // Resumable at once, by the same living process.
    gate.open();
    let report = rig.resume().await.unwrap();
    assert_eq!((report.status, report.recoveries), (Status::Completed, 0));
    assert_eq!(rig.script.calls(), ["a", "b", "b", "b", "b", "c"]);
}

#[tokio::test]
async fn b264_a_future_dropped_before_its_commit_releases_the_run() {
    let held = Gate::default();
    let rig = Rig::new(&steps(&["a", "b"]), &Script::new());
    let store = FaultyStore::new(Arc::clone(&rig.store), {
        let held = held.clone();
        move |n| match n {
            2 => Fault::Held(held.clone()),
            _ => Fault::None,
        }
    });
    let engine = rig.engine_on(Arc::new(store));
    held.holds(rig.run_on(&engine, Control::default())).await;
    assert_eq!(rig.row().status, Status::Pending);
    assert_eq!(rig.resume().await.unwrap().status, Status::Completed);
    assert_eq!(rig.script.calls(), ["a", "a", "b"]);
}

#[tokio::test]
async fn b264_a_future_dropped_while_its_commit_is_queued_releases_the_run() {
    let gate = Gate::default();
    let mut rig = Rig::sqlite(&steps(&["a", "b"]), &Script::new().held("a", &gate));
    let mut run = Box::pin(rig.run());
    gate.holds(&mut run).await;
    // Another process writes, so the commit waits in the store's queue, where it no longer needs the future.
    let other = rusqlite::Connection::open(rig.store_file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    gate.open();
    for _ in 0..10 {
        tokio::select! {
            _ = &mut run => unreachable!("the commit cannot be made"),
            () = tokio::task::yield_now() => {}
        }
    }
    drop(run);
    other.execute_batch("ROLLBACK").unwrap();
    // What was left of the driver is the runtime's now.
    while rig.row().status == Status::Running {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    rig.reopen();
    assert_eq!(rig.row().status, Status::Pending);
    assert_eq!(rig.resume().await.unwrap().status, Status::Completed);
    assert_eq!(
        rig.script.calls(),
        ["a", "b"],
        "the outcome of `a` was saved"
    );
}

#[tokio::test]
async fn b262_a_future_dropped_after_its_end_changes_nothing() {
    let rig = Rig::sqlite(&steps(&["a"]), &Script::new());
    let engine = rig.engine();
    {
        let run = rig.run_on(&engine, Control::default());
        tokio::pin!(run);
        run.as_mut().await.unwrap();
        assert_eq!(rig.row().status, Status::Completed);
    }
    drop(engine);
    assert_eq!(rig.events().last(), Some(&"run_completed"));
}

#[tokio::test]
async fn b262_a_future_dropped_after_a_take_over_releases_nothing() {
    let gate = Gate::default();
    let rig = Rig::sqlite(&steps(&["a"]), &Script::new().held("a", &gate));
    let first = rig.engine_of(dead_process());
    let mut late = Box::pin(rig.run_on(&first, Control::default()));
    gate.holds(&mut late).await;
    let mut resumed = Box::pin(rig.resume());
    gate.holds(&mut resumed).await;
    drop(late);
    assert_eq!((rig.row().status, rig.row().epoch.0), (Status::Running, 2));
    assert!(!rig.events().contains(&"run_released"));
    gate.open();
    assert_eq!(resumed.await.unwrap().status, Status::Completed);
}

#[tokio::test]
async fn b263_a_release_that_fails_hurts_nobody() {
    let gate = Gate::default();
    let rig = Rig::new(&steps(&["a"]), &Script::new().held("a", &gate));
    let store = FaultyStore::new(Arc::clone(&rig.store), |n| {
        if n == 1 { Fault::None } else { Fault::Refused }
    });
    let engine = rig.engine_on(Arc::new(store.owned_by(dead_process())));
    gate.holds(rig.run_on(&engine, Control::default())).await;
    assert_eq!(rig.row().status, Status::Running);
    gate.open();
    assert_eq!(rig.resume().await.unwrap().status, Status::Completed);
}

#[tokio::test]
async fn b263_a_store_that_fails_after_a_panic_is_reported_as_such() {
    let rig = Rig::new(
        &steps(&["a"]),
        &Script::new().step("a", |_| panic!("a defect")),
    );
    let store = FaultyStore::new(Arc::clone(&rig.store), |n| {
        if n == 1 { Fault::None } else { Fault::Refused }
    });
    let report = rig
        .run_on(&rig.engine_on(Arc::new(store)), Control::default())
        .await
        .unwrap();
    assert_eq!(report.stop.unwrap().code(), StopCode::CheckpointNotSaved);
    assert_eq!(report.status, Status::Failed);
}

#[tokio::test]
async fn one_run_that_fails_does_not_touch_its_neighbours() {
    let script = Script::new().step("a", |call| {
        assert!(call.run != r1(), "a defect that only this run meets");
        at(call)
    });
    let rig = Rig::sqlite(&steps(&["a", "b"]), &script);
    let engine = rig.engine();
    let (bad, good) = tokio::join!(
        rig.run(),
        engine.run(rig.workflow(), Default::default(), Default::default())
    );
    assert_eq!(bad.unwrap().status, Status::Failed);
    assert_eq!(good.unwrap().status, Status::Completed);
    let answer: Result<_, EngineError> = rig.resume().await;
    assert_eq!(answer.unwrap().status, Status::Failed);
}
