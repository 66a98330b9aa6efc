//! One run, one owner: claims, take-overs, and owners that are too late.

use std::sync::Arc;
use std::time::Duration;

use milepost::Engine;
use milepost::engine::{Control, EngineError, ResumeOptions, StopAnswer};
use milepost::owner::{Host as _, ThisHost};
use milepost::report::RunReport;
use milepost::store::Owner;
use milepost_core::limits;
use milepost_core::state::Status;
use milepost_tests::faulty::{Fault, FaultyStore, dead_process, elsewhere};
use milepost_tests::rig::{Rig, START, r1};
use milepost_tests::scripted::{Gate, Script, at, fail};

use super::{count, steps};

fn already_running(answer: Result<RunReport, EngineError>) -> (Status, Option<Owner>) {
    match answer {
        Err(EngineError::AlreadyRunning { status, owner, .. }) => (status, owner),
        other => panic!("{other:?}"),
    }
}

fn not_resumable(answer: Result<RunReport, EngineError>) -> Status {
    match answer {
        Err(EngineError::NotResumable { status, .. }) => status,
        other => panic!("{other:?}"),
    }
}

/// An engine that has read a run and waits at the gate before it claims it.
fn late_engine(rig: &Rig) -> (Engine, Gate) {
    let gate = Gate::default();
    let store = FaultyStore::new(Arc::clone(&rig.store), {
        let gate = gate.clone();
        move |_| Fault::Held(gate.clone())
    });
    (rig.engine_on(Arc::new(store)), gate)
}

fn claim_lost(answer: Result<RunReport, EngineError>) -> Status {
    match answer {
        Err(EngineError::ClaimLost {
            status: Some(status),
            ..
        }) => status,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn b183_a_run_whose_process_is_dead_is_taken_over() {
    let gate = Gate::default();
    let rig = Rig::sqlite(&steps(&["a", "b"]), &Script::new().held_once("a", &gate));
    let first = rig.engine_of(dead_process());
    tokio::select! {
        _ = rig.run_on(&first, Control::default()) => unreachable!("step a is held"),
        () = async {
            gate.came().await;
            let report = rig.resume().await.unwrap();
            assert_eq!((report.status, report.epoch), (Status::Completed, 2));
        } => {}
    }
    assert_eq!(rig.script.calls(), ["a", "a", "b"]);
}

#[tokio::test]
async fn b183_b277_a_run_whose_owner_may_live_is_left_alone() {
    for owner in [ThisHost.enter(), elsewhere()] {
        let gate = Gate::default();
        let rig = Rig::new(&steps(&["a", "b"]), &Script::new().held_once("a", &gate));
        let first = rig.engine_of(owner.clone());
        let control = Control::default();
        let (report, ()) = tokio::join!(rig.run_on(&first, control.clone()), async {
            gate.came().await;
            let before = rig.journal();
            let (status, told) = already_running(rig.resume().await);
            assert_eq!((status, told), (Status::Running, Some(owner)));
            assert_eq!(rig.journal(), before);
            gate.open();
        });
        assert_eq!(report.unwrap().status, Status::Completed);
        assert_eq!(rig.script.calls(), ["a", "b"]);
    }
}

#[tokio::test]
async fn an_owner_that_cannot_be_seen_lives_as_long_as_its_lease() {
    for cancel in [false, true] {
        let gate = Gate::default();
        let rig = Rig::new(&steps(&["a"]), &Script::new().held_once("a", &gate));
        let first = rig.engine_of(elsewhere());
        let mut lost = Box::pin(rig.run_on(&first, Control::default()));
        gate.holds(&mut lost).await;
        rig.clock.advance(limits::LEASE - Duration::from_nanos(1));
        already_running(rig.resume().await);
        rig.clock.advance(Duration::from_nanos(1));
        let status = if cancel {
            let answer = rig.engine().cancel(&r1(), "somebody").await.unwrap();
            assert_eq!(answer, StopAnswer::Done(Status::Cancelled));
            Status::Cancelled
        } else {
            assert_eq!(rig.resume().await.unwrap().epoch, 2);
            Status::Completed
        };
        assert_eq!(rig.row().status, status);
    }
}

#[tokio::test]
async fn a_living_owner_keeps_its_run_however_late_it_is() {
    let gate = Gate::default();
    let rig = Rig::new(&steps(&["a"]), &Script::new().held_once("a", &gate));
    let engine = rig.engine();
    let (report, ()) = tokio::join!(rig.run_on(&engine, Control::default()), async {
        gate.came().await;
        rig.clock.advance(limits::LEASE * 10);
        already_running(rig.resume().await);
        gate.open();
    });
    assert_eq!(report.unwrap().status, Status::Completed);
}

#[tokio::test]
async fn b276_b283_of_two_resumes_at_once_one_wins() {
    let script = Script::new().step("a", |call| match call.attempt {
        1 => fail("broken"),
        _ => at(call),
    });
    let rig = Rig::sqlite(&steps(&["a", "b"]), &script);
    assert_eq!(rig.run().await.unwrap().status, Status::Failed);

    let (winner, loser) = rig.two_resumes_at_once().await;
    assert_eq!(winner.status, Status::Completed);
    // Told by the present status: the winner has it, or has ended it.
    match loser {
        EngineError::AlreadyRunning { status, .. } => assert_eq!(status, Status::Running),
        over => assert_eq!(not_resumable(Err(over)), Status::Completed),
    }
    assert_eq!(count(&rig.events(), "run_resumed"), 1);
    assert_eq!(rig.script.calls(), ["a", "a", "b"]);
}

#[tokio::test]
async fn b181_a_run_that_changed_since_it_was_read_is_not_resumed() {
    for retry in [false, true] {
        let script = Script::new().step("a", |_| fail("broken"));
        let rig = Rig::new(&steps(&["a"]), &script);
        rig.run().await.unwrap();
        let (late, gate) = late_engine(&rig);
        let (id, options) = (r1(), ResumeOptions::default());
        let going_on = async {
            match retry {
                false => late.resume(&id, options).await,
                true => late.retry(&id, None, options).await,
            }
        };
        let (answer, ()) = tokio::join!(going_on, async {
            gate.came().await;
            rig.engine().cancel(&id, "somebody").await.unwrap();
            gate.open();
        });
        // As if it had come later: trying again would not help.
        assert_eq!(not_resumable(answer), Status::Cancelled);
        assert_eq!(rig.row().status, Status::Cancelled);
        assert_eq!(rig.script.calls(), ["a"]);
    }
}

#[tokio::test]
async fn the_same_start_again_is_told_of_a_run_that_ended_before_it_could_claim_it() {
    let rig = Rig::new(&steps(&["a"]), &Script::new());
    rig.submit("r1").await;
    let gate = Gate::default();
    let store = FaultyStore::new(Arc::clone(&rig.store), {
        let gate = gate.clone();
        move |n| match n {
            // The first write finds that the run exists, the second one claims it.
            1 => Fault::None,
            _ => Fault::Held(gate.clone()),
        }
    });
    let late = rig.engine_on(Arc::new(store));
    let (answer, ()) = tokio::join!(rig.run_on(&late, Control::default()), async {
        gate.came().await;
        rig.engine().cancel(&r1(), "somebody").await.unwrap();
        gate.open();
    });
    assert_eq!(answer.unwrap().status, Status::Cancelled);
    assert!(rig.script.calls().is_empty());
}

#[tokio::test]
async fn b291_an_owner_that_lost_its_claim_writes_nothing_more() {
    let gate = Gate::default();
    let rig = Rig::sqlite(&steps(&["a", "b"]), &Script::new().held_once("a", &gate));
    let first = rig.engine_of(dead_process());
    let control = Control::default();
    let mut after_take_over = Vec::new();
    let (late, ()) = tokio::join!(rig.run_on(&first, control.clone()), async {
        gate.came().await;
        rig.resume().await.unwrap();
        after_take_over = rig.journal();
        gate.open();
    });
    assert_eq!(claim_lost(late), Status::Completed);
    assert_eq!(rig.journal(), after_take_over);
    assert_eq!(
        rig.script.calls(),
        ["a", "a", "b"],
        "the late one does not go on to step b"
    );
}

#[tokio::test(start_paused = true)]
async fn b291_an_owner_that_lost_its_claim_notices_while_its_step_runs() {
    let (gate, other) = (Gate::default(), Gate::default());
    let rig = Rig::new(
        &steps(&["a", "b"]),
        &Script::new().held_once("a", &gate).held("b", &other),
    );
    let first = rig.engine_of(dead_process());
    let control = Control::default();
    let late = rig.run_on(&first, control.clone());
    let taken = async {
        gate.came().await;
        rig.resume().await
    };
    tokio::pin!(taken);
    let answer = tokio::select! {
        answer = late => answer,
        _ = &mut taken => unreachable!("step b is held"),
    };
    assert_eq!(claim_lost(answer), Status::Running);
    other.open();
    assert_eq!(taken.await.unwrap().status, Status::Completed);
}

#[tokio::test(start_paused = true)]
async fn the_lease_is_renewed_while_a_step_runs() {
    let gate = Gate::default();
    let rig = Rig::new(&steps(&["a"]), &Script::new().held_once("a", &gate));
    let lease = || rig.row().lease_until.unwrap();
    let engine = rig.engine();
    let control = Control::default();
    let (report, ()) = tokio::join!(rig.run_on(&engine, control.clone()), async {
        gate.came().await;
        assert_eq!(lease(), START.after(limits::LEASE));
        rig.clock.advance(limits::LEASE_RENEWAL);
        tokio::time::sleep(limits::LEASE_RENEWAL + Duration::from_secs(1)).await;
        assert_eq!(
            lease(),
            START.after(limits::LEASE_RENEWAL).after(limits::LEASE)
        );
        gate.open();
    });
    assert_eq!(report.unwrap().status, Status::Completed);
    assert_eq!(rig.row().lease_until, None);
}

/// Ended over the head of an owner that hung, with as many events as that owner holds: the owner must not take its own write for
/// saved, whatever its store answered before.
#[tokio::test(start_paused = true)]
async fn b289_b291_a_run_that_was_ended_meanwhile_stays_ended() {
    let gate = Gate::default();
    let rig = Rig::sqlite(&steps(&["a", "b"]), &Script::new().held_once("a", &gate));
    let store = FaultyStore::new(Arc::clone(&rig.store), |_| Fault::None);
    let store = Arc::new(store.owned_by(elsewhere()));
    let first = rig.engine_on(Arc::clone(&store) as _);
    let (lost, ()) = tokio::join!(rig.run_on(&first, Control::default()), async {
        gate.came().await;
        rig.clock.advance(limits::LEASE);
        let answer = rig.engine().cancel(&r1(), "somebody").await.unwrap();
        assert_eq!(answer, StopAnswer::Done(Status::Cancelled));
        gate.open();
    });
    assert!(
        matches!(
            lost,
            Err(EngineError::ClaimLost {
                status: Some(Status::Cancelled),
                ..
            })
        ),
        "{lost:?}"
    );
    assert_eq!(store.given_up(), 0, "there is nothing left of its claim");
    assert_eq!(
        rig.script.calls(),
        ["a"],
        "no step starts after the cancellation"
    );
    assert_eq!(rig.row().status, Status::Cancelled);
    assert_eq!(rig.events().last(), Some(&"run_cancelled"));
}

#[tokio::test(start_paused = true)]
async fn b399_the_same_start_again_does_not_recover_without_end() {
    let gate = Gate::default();
    let rig = Rig::sqlite(&steps(&["a"]), &Script::new().held("a", &gate));
    let mut reports = Vec::new();
    for _ in 0..3 {
        let engine = rig.engine_of(dead_process());
        let mut run = Box::pin(rig.run_on(&engine, Control::default()));
        tokio::select! {
            report = &mut run => reports.push(report.unwrap()),
            () = gate.came() => std::mem::forget(run),
        }
    }
    assert_eq!(reports.len(), 1, "the third start is told that it failed");
    assert_eq!(reports[0].stop_reason, Some("process_lost"));
}
