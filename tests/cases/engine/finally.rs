//! Steps with `finally` in the engine: after a request, a lost process, a release, and when their time is over.

use std::time::Duration;

use milepost::clock::VirtualClock;
use milepost::engine::{Control, Demand, Request, ResumeOptions, StopAnswer};
use milepost::store::StopKind;
use milepost_core::state::Status;
use milepost_core::stop::{StopCode, Why};
use milepost_tests::faulty::dead_process;
use milepost_tests::rig::{Rig, START, r1, until_idle};
use milepost_tests::scripted::{Gate, Script, at, fail, pause};
use tokio::time::Instant;

use super::children::{children, rig_of};
use super::{count, steps};

/// `a`, `b`, and at the end `report` and `clean`.
fn flow() -> String {
    let head = "[limits]\nfinally = \"1m\"\n".to_owned();
    let finally = ["report", "clean"]
        .map(|id| format!("[[step]]\nid = \"{id}\"\nuse = \"p/{id}\"\nfinally = true\n"));
    head + &steps(&["a", "b"]) + &finally.concat()
}

/// With a clock that moves when the test says so: those that jump would be over their time at once.
fn rig(script: &Script) -> Rig {
    let mut rig = Rig::sqlite(&flow(), script);
    rig.clock = VirtualClock::manual(START);
    rig
}

fn ask(control: &Control, demand: Demand) -> bool {
    control.ask(Request::new(demand, "somebody"))
}

/// Steps that were held and ended are let through once more.
async fn replays(rig: &Rig, gates: &[&Gate]) {
    gates.iter().for_each(|gate| gate.open());
    let replayed = rig.replay().await.unwrap();
    assert!(replayed.divergence.is_none(), "{replayed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_run_runs_them_where_it_is_and_a_kill_ends_it() {
    for killed in [false, true] {
        let (gate, last) = (Gate::default(), Gate::default());
        let script = Script::new().held("a", &gate).held("clean", &last);
        // In memory: virtual time passes while a file's thread saves what `a` has logged.
        let mut rig = Rig::new(&flow(), &script);
        rig.clock = VirtualClock::manual(START);
        let control = Control::default();
        let engine = rig.engine();
        let began = Instant::now();
        let (report, ()) = tokio::join!(rig.run_on(&engine, control.clone()), async {
            gate.came().await;
            assert!(ask(&control, Demand::Cancel));
            last.came().await;
            // `a` had its moment to clean up; `report` and `clean` are not told to end.
            assert_eq!(began.elapsed(), Duration::from_secs(2));
            assert!(!ask(&control, Demand::Cancel), "it is met");
            match killed {
                true => assert!(ask(&control, Demand::Kill)),
                false => last.open(),
            }
        });
        let report = report.unwrap();
        assert_eq!(report.status, Status::Cancelled);
        assert_eq!(rig.script.calls(), ["a", "report", "clean"]);
        assert_eq!(
            rig.events()[2..7],
            [
                "step_started",
                "run_finishing",
                "step_interrupted",
                "finally_started",
                "step_started"
            ]
        );
        let interrupted = count(&rig.events(), "step_interrupted");
        assert_eq!(interrupted, 1 + usize::from(killed));
        replays(&rig, &[&last]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_release_is_heard_after_a_cancellation_and_whoever_is_next_goes_on() {
    let (gate, last) = (Gate::default(), Gate::default());
    let script = Script::new().held("a", &gate).held_once("report", &last);
    let rig = rig(&script);
    let control = Control::default();
    let engine = rig.engine();
    let (report, ()) = tokio::join!(rig.run_on(&engine, control.clone()), async {
        gate.came().await;
        ask(&control, Demand::Cancel);
        last.came().await;
        assert!(ask(&control, Demand::Release));
        tokio::time::sleep(Duration::from_millis(50)).await;
        last.open();
    });
    assert_eq!(report.unwrap().status, Status::Pending);
    assert_eq!(rig.script.calls(), ["a", "report"]);
    assert_eq!(rig.resume().await.unwrap().status, Status::Cancelled);
    assert_eq!(rig.script.calls(), ["a", "report", "clean"]);
    replays(&rig, &[&last]).await;
}

#[tokio::test(start_paused = true)]
async fn a_request_through_the_store_is_met_once() {
    let (gate, last) = (Gate::default(), Gate::default());
    let script = Script::new().held("a", &gate).held("report", &last);
    let rig = rig(&script);
    let engine = rig.engine();
    let (report, ()) = tokio::join!(rig.run_on(&engine, Control::default()), async {
        gate.came().await;
        let answer = rig.engine().cancel(&r1(), "ann").await.unwrap();
        assert_eq!(answer, StopAnswer::Asked);
        last.came().await;
        assert_eq!(rig.row().request, None);
        // Somebody who asks again is told the same, and changes nothing.
        let again = rig.engine().cancel(&r1(), "bo").await.unwrap();
        assert_eq!(again, StopAnswer::Asked);
        assert_eq!(rig.row().request.unwrap().kind, StopKind::Cancel);
        tokio::time::sleep(Duration::from_secs(5)).await;
        last.open();
    });
    let report = report.unwrap();
    assert_eq!(report.status, Status::Cancelled);
    let by = "ann".to_owned();
    assert_eq!(report.stop.unwrap().why, Why::Cancelled { by });
    assert_eq!(rig.row().request, None);
    assert_eq!(rig.script.calls(), ["a", "report", "clean"]);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_among_them_leaves_the_rest_to_the_next() {
    for cancelled in [false, true] {
        let (gate, last) = (Gate::default(), Gate::default());
        let script = Script::new().held("a", &gate).held_once("clean", &last);
        let rig = rig(&script);
        let engine = rig.engine_of(dead_process());
        let control = Control::default();
        {
            let mut begun = Box::pin(rig.run_on(&engine, control.clone()));
            gate.holds(&mut begun).await;
            match cancelled {
                true => assert!(ask(&control, Demand::Cancel)),
                false => gate.open(),
            }
            last.holds(&mut begun).await;
            last.open();
            rig.resume().await.unwrap();
        }
        let status = if cancelled {
            Status::Cancelled
        } else {
            Status::Completed
        };
        assert_eq!(rig.row().status, status);
        let finally = rig.script.calls().into_iter();
        let finally: Vec<_> = finally.filter(|call| call != "a" && call != "b").collect();
        assert_eq!(finally, ["report", "clean", "clean"]);
        assert_eq!(count(&rig.events(), "finally_started"), 1);
        replays(&rig, &[&gate]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn time_ends_them_and_the_run() {
    let gate = Gate::default();
    let script = Script::new()
        .step("a", |call| match call.attempt {
            1 => fail("red"),
            _ => at(call),
        })
        .held("report", &gate);
    let rig = rig(&script);
    let (report, ()) = tokio::join!(rig.run(), async {
        gate.came().await;
        rig.clock.advance(Duration::from_secs(60));
    });
    let report = report.unwrap();
    assert_eq!(report.status, Status::Failed);
    let stop = report.stop.unwrap();
    let Why::FinallyFailed { failures, .. } = &stop.why else {
        panic!("{stop:?}");
    };
    let late = failures.iter().map(|failure| failure.path.to_string());
    assert_eq!(late.collect::<Vec<_>>(), ["report", "clean"]);
    assert_eq!(stop.reasons[0].code(), StopCode::StepFailed);
    // What failed runs again, and all of them after it.
    gate.open();
    assert_eq!(rig.resume().await.unwrap().status, Status::Completed);
    assert_eq!(
        rig.script.calls(),
        ["a", "report", "a", "b", "report", "clean"]
    );
    replays(&rig, &[&gate]).await;
}

#[tokio::test]
async fn a_run_that_stands_still_is_cancelled_and_pending_until_somebody_drives_it() {
    for by_worker in [true, false] {
        let rig = Rig::sqlite(&flow(), &Script::new().step("a", |_| pause("later")));
        assert_eq!(rig.run().await.unwrap().status, Status::Paused);
        for _ in 0..2 {
            let answer = rig.engine().cancel(&r1(), "ann").await.unwrap();
            assert_eq!(answer, StopAnswer::Finishing);
            assert_eq!(rig.row().status, Status::Pending);
        }
        match by_worker {
            true => drop(rig.work().await),
            false => drop(rig.resume().await.unwrap()),
        }
        assert_eq!(rig.row().status, Status::Cancelled);
        assert_eq!(rig.script.calls(), ["a", "report", "clean"]);
        replays(&rig, &[]).await;
    }
    // A kill leaves nothing to do.
    let rig = Rig::sqlite(&flow(), &Script::new().step("a", |_| pause("later")));
    rig.run().await.unwrap();
    let answer = rig.engine().kill(&r1(), "ann").await.unwrap();
    assert_eq!(answer, StopAnswer::Done(Status::Cancelled));
    assert_eq!(rig.script.calls(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_process_is_lost_is_cancelled_and_finished_by_the_next() {
    let gate = Gate::default();
    let rig = Rig::sqlite(&flow(), &Script::new().held_once("a", &gate));
    rig.begun_by(dead_process(), &gate, async {
        let answer = rig.engine().cancel(&r1(), "ann").await.unwrap();
        assert_eq!(answer, StopAnswer::Finishing);
        rig.work().await;
    })
    .await;
    assert_eq!(rig.row().status, Status::Cancelled);
    assert_eq!(rig.script.calls(), ["a", "report", "clean"]);
    replays(&rig, &[]).await;
}

#[tokio::test]
async fn a_cancellation_that_comes_as_the_run_pauses_is_met_there() {
    let control = Control::default();
    let script = Script::new().step("a", {
        let control = control.clone();
        move |_| {
            ask(&control, Demand::Cancel);
            pause("later")
        }
    });
    let rig = Rig::sqlite(&flow(), &script);
    let report = rig.run_on(&rig.engine(), control).await.unwrap();
    assert_eq!(report.status, Status::Cancelled);
    assert_eq!(rig.script.calls(), ["a", "report", "clean"]);
    replays(&rig, &[]).await;
}

/// It is heard as long as it is not too late; the driver meets both requests.
#[tokio::test]
async fn what_was_done_is_undone_though_a_plain_cancellation_came_first() {
    let (gate, last) = (Gate::default(), Gate::default());
    let script = Script::new().held("b", &gate).held("report", &last);
    let undone = "compensate = { use = \"p/undo\" }\n";
    let body = flow().replacen("use = \"p/a\"\n", &format!("use = \"p/a\"\n{undone}"), 1);
    let mut rig = Rig::sqlite(&body, &script);
    rig.clock = VirtualClock::manual(START);
    let engine = rig.engine();
    let (report, ()) = tokio::join!(rig.run_on(&engine, Control::default()), async {
        gate.came().await;
        let other = rig.engine();
        let asked = other.end_family_by(&r1(), StopKind::Cancel, "ann").await;
        assert_eq!(asked.unwrap().answer, StopAnswer::Asked);
        while !rig.events().contains(&"run_finishing") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // What is in flight has not ended yet.
        let asked = other.end_family_by(&r1(), StopKind::Compensate, "bo").await;
        assert_eq!(asked.unwrap().answer, StopAnswer::Asked);
        last.came().await;
        // By now it is.
        let late = other.end_family_by(&r1(), StopKind::Compensate, "bo").await;
        assert_eq!(late.unwrap().answer, StopAnswer::Ending);
        last.open();
    });
    let report = report.unwrap();
    assert_eq!(report.status, Status::Cancelled);
    assert_eq!(report.stop.unwrap().compensated, Some(1));
    assert_eq!(
        rig.script.calls(),
        ["a", "b", "a!compensate", "report", "clean"]
    );
    replays(&rig, &[&last]).await;
}

/// The time of these steps is counted from when the first of them began, whoever goes on with them.
#[tokio::test(start_paused = true)]
async fn their_time_is_counted_across_claims() {
    let last = Gate::default();
    let script = Script::new().held("report", &last);
    let rig = rig(&script);
    rig.begun_by(dead_process(), &last, async {}).await;
    rig.clock.set(START.after(Duration::from_secs(59)));
    // Another process had almost the whole time already.
    let again = rig.engine_of(dead_process());
    let run = r1();
    last.holds(again.resume(&run, ResumeOptions::default()))
        .await;
    rig.clock.set(START.after(Duration::from_secs(61)));
    let report = rig.resume().await.unwrap();
    let stop = report.stop.unwrap();
    assert_eq!(stop.code(), StopCode::FinallyFailed);
    assert_eq!(rig.script.calls(), ["a", "b", "report", "report"]);
}

/// A child run as the last step: here, and by a worker with one place.
#[tokio::test(start_paused = true)]
async fn a_child_run_may_be_one_of_them() {
    let parent = steps(&["a"])
        + "[[step]]\nid = \"tell\"\nworkflow = \"c.toml\"\nfinally = true\nwith = { how = \"${ run.status }\" }\n";
    let child = "[inputs.how]\ntype = 'string'\n[[step]]\nid = 'inner'\nuse = 'p/inner'\nwith = { how = '${ inputs.how }' }\n";
    for (here, fails) in [(true, false), (true, true), (false, false)] {
        let script = Script::new()
            .step("a", |_| fail("red"))
            .step("inner", move |call| {
                assert_eq!(call.input["how"], "failed");
                if fails { fail("blue") } else { at(call) }
            });
        let rig = rig_of(&parent, &[("c.toml", child)], &script);
        if here {
            rig.run().await.unwrap();
        } else {
            rig.submit("r1").await;
            rig.engine().work(until_idle(1)).await;
        }
        let report = rig.engine().report(&r1()).await.unwrap();
        assert_eq!(report.status, Status::Failed);
        let code = report.stop.unwrap().code();
        let wanted = if fails {
            StopCode::FinallyFailed
        } else {
            StopCode::StepFailed
        };
        assert_eq!(code, wanted, "{here} {fails}");
        assert_eq!(rig.script.calls(), ["a", "inner"]);
        assert!(rig.replay().await.unwrap().is_same());
    }
}

/// One that does not end in time is cancelled.
#[tokio::test(start_paused = true)]
async fn a_child_run_at_the_end_has_no_more_time_than_the_others() {
    let parent = "[limits]\nfinally = \"1m\"\n".to_owned()
        + &steps(&["a"])
        + "[[step]]\nid = \"tell\"\nworkflow = \"c.toml\"\nfinally = true\n[[step]]\nid = \"clean\"\nuse = \"p/clean\"\nfinally = true\n";
    let child = "[[step]]\nid = 'go'\nwait = { signal = 'go' }\n";
    let rig = rig_of(&parent, &[("c.toml", child)], &Script::new());
    let report = rig.run().await.unwrap();
    assert_eq!(report.status, Status::Paused);
    let until = START.after(Duration::from_secs(60));
    assert_eq!(report.stop.unwrap().due_at, Some(until));
    rig.clock.set(until);
    rig.work().await;
    let report = rig.engine().report(&r1()).await.unwrap();
    assert_eq!(report.stop.unwrap().code(), StopCode::FinallyFailed);
    let child = children(&rig, &r1()).remove(0);
    assert_eq!(child.status, Status::Cancelled);
    assert_eq!(rig.script.calls(), ["a"]);
    assert!(rig.replay().await.unwrap().is_same());
}
