//! Waits, durations, and clocks that are set.

use milepost_tests::now::Now as _;
use std::sync::Arc;
use std::time::Duration;

use milepost::Engine;
use milepost::clock::{Clock, VirtualClock};
use milepost::engine::{Control, Demand, Request};
use milepost_core::outcome::ErrorClass;
use milepost_core::state::Status;
use milepost_core::time::Timestamp;
use milepost_tests::rig::{Rig, START, until_idle};
use milepost_tests::scripted::{Gate, Script, at, error, ok, pause};
use serde_json::json;

use super::{count, steps};

fn seconds(all: &[u64]) -> Vec<Duration> {
    all.iter().copied().map(Duration::from_secs).collect()
}

#[tokio::test]
async fn b147_retries_wait_ten_and_twenty_seconds() {
    let busy = |call: &milepost::attempt::Call| match call.attempt {
        1 | 2 => error(ErrorClass::Retryable, "busy"),
        _ => at(call),
    };
    let rig = Rig::sqlite(&steps(&["a", "b"]), &Script::new().step("a", busy));
    let report = rig.run().await.unwrap();
    assert_eq!(report.status, Status::Completed);
    assert_eq!(report.steps[0].attempts, 3);
    assert_eq!(rig.clock.waits(), seconds(&[10, 20]));
    assert_eq!(report.ended_at, Some(START.after(Duration::from_secs(30))));
    assert_eq!(rig.replay().await.unwrap().divergence, None);
}

#[tokio::test]
async fn b148_after_the_last_attempt_there_is_no_wait() {
    let busy = |_: &milepost::attempt::Call| error(ErrorClass::Retryable, "busy");
    let rig = Rig::new(&steps(&["a"]), &Script::new().step("a", busy));
    assert_eq!(rig.run().await.unwrap().status, Status::Paused);
    assert_eq!(rig.clock.waits(), seconds(&[10, 20]));
    // Resumed by a person: all attempts again, with the same waits.
    assert_eq!(rig.resume().await.unwrap().status, Status::Paused);
    assert_eq!(rig.clock.waits(), seconds(&[10, 20, 10, 20]));
}

/// Runs until the first attempt of step `a` has failed and its retry is waited for.
async fn paused_while_waiting(rig: &Rig) {
    let (engine, control) = (rig.engine(), Control::default());
    let (report, ()) = tokio::join!(rig.run_on(&engine, control.clone()), async {
        while rig.clock.waits().is_empty() {
            tokio::task::yield_now().await;
        }
        control.ask(Request::new(Demand::PauseNow, "SIGINT"));
    });
    let report = report.unwrap();
    assert_eq!(report.status, Status::Paused);
    assert_eq!(report.stop.unwrap().path, "a".parse().ok());
}

#[tokio::test]
async fn a_wait_for_a_retry_can_be_paused_and_keeps_its_time() {
    let busy = |call: &milepost::attempt::Call| match call.attempt {
        1 => error(ErrorClass::Retryable, "busy"),
        _ => at(call),
    };
    for (away, remaining) in [(4, vec![6]), (10, vec![]), (3_600, vec![])] {
        let mut rig = Rig::new(&steps(&["a"]), &Script::new().step("a", busy));
        rig.clock = VirtualClock::manual(START);
        paused_while_waiting(&rig).await;
        assert_eq!(rig.script.calls(), ["a"]);
        rig.clock = VirtualClock::jumping(START.after(Duration::from_secs(away)));
        let report = rig.resume().await.unwrap();
        assert_eq!(report.status, Status::Completed);
        assert_eq!(rig.clock.waits(), seconds(&remaining), "after {away} s");
    }
}

#[tokio::test]
async fn the_times_of_the_record_never_go_back() {
    let script = Script::new();
    let rig = Rig::sqlite(&steps(&["a", "b", "c"]), &script);
    for (step, at) in [("a", 100), ("b", 40), ("c", 70)] {
        let clock = rig.clock.clone();
        script.answer(step, move |_| {
            clock.set(Timestamp::from_nanos(START.as_nanos() - 200 + at));
            ok(json!(at))
        });
    }
    let report = rig.run().await.unwrap();
    assert_eq!(report.status, Status::Completed);
    // All of them before the start: the record stands still rather than going back.
    assert!(rig.journal().iter().all(|entry| entry.at == START));
    assert_eq!(report.duration_millis, 0);
}

#[tokio::test]
async fn a_resume_under_an_older_clock_keeps_the_order() {
    let script = Script::new().step("b", |call| match call.attempt {
        1 => pause("quota"),
        _ => at(call),
    });
    let rig = Rig::sqlite(&steps(&["a", "b", "c"]), &script);
    rig.clock.advance(Duration::from_secs(60));
    rig.run().await.unwrap();
    rig.clock.set(START);
    assert_eq!(rig.resume().await.unwrap().status, Status::Completed);
    assert_eq!(rig.row().updated_at, START.after(Duration::from_secs(60)));
}

#[tokio::test]
async fn b231_b235_durations_stop_where_the_run_stopped() {
    let script = Script::new();
    let rig = Rig::sqlite(&steps(&["a", "b"]), &script);
    let clock = rig.clock.clone();
    script.answer("a", {
        let clock = clock.clone();
        move |call| {
            clock.advance(Duration::from_secs(5));
            at(call)
        }
    });
    script.answer("b", move |call| {
        clock.advance(Duration::from_secs(2));
        if call.attempt == 1 {
            pause("quota")
        } else {
            at(call)
        }
    });
    let seconds_of = |report: milepost::report::RunReport| report.duration_millis / 1_000;
    assert_eq!(seconds_of(rig.run().await.unwrap()), 7);
    rig.clock.advance(Duration::from_secs(1_000));
    let report = || {
        rig.engine()
            .report(&milepost_tests::rig::r1())
            .now()
            .unwrap()
    };
    assert_eq!(
        report().paused_at,
        Some(START.after(Duration::from_secs(7)))
    );
    assert_eq!(seconds_of(report()), 7, "fixed at the pause");
    rig.resume().await.unwrap();
    rig.clock.advance(Duration::from_secs(1_000));
    assert_eq!(report().started_at, Some(START), "set once");
    assert_eq!(
        seconds_of(report()),
        1_009,
        "from the first start to the end"
    );
    assert_eq!(report().steps[1].ended_at, report().ended_at);
}

/// What a list says of the time of a run: in the queue, at work, and where it stood.
#[tokio::test]
async fn b235_a_list_tells_working_and_waiting_apart() {
    let body = "[[step]]\nid = \"a\"\nuse = \"p/a\"\n[[step]]\nid = \"go\"\nwait = { signal = \"go\" }\n\
                [[step]]\nid = \"b\"\nuse = \"p/b\"\n";
    let script = Script::new();
    let rig = Rig::sqlite(body, &script);
    for (step, seconds) in [("a", 3), ("b", 4)] {
        let clock = rig.clock.clone();
        script.answer(step, move |call| {
            clock.advance(Duration::from_secs(seconds));
            at(call)
        });
    }
    let engine = rig.engine();
    let spent = async || {
        let spent = engine
            .spent(&rig.row(), Clock::now(&rig.clock))
            .await
            .unwrap();
        let seconds = |of: Option<Duration>| of.map(|of| of.as_secs());
        (seconds(spent.working), seconds(spent.waiting))
    };
    let pass = |seconds| rig.clock.advance(Duration::from_secs(seconds));
    rig.submit("r1").await;
    pass(100);
    assert_eq!(spent().await, (None, Some(100)));
    rig.work().await;
    assert_eq!(rig.row().status, Status::Paused);
    pass(1_000);
    assert_eq!(spent().await, (Some(3), Some(1_100)));
    let run = milepost_tests::rig::r1();
    engine.signal(&run, "go", &json!(1)).await.unwrap();
    rig.work().await;
    assert_eq!(rig.row().status, Status::Completed);
    pass(5_000);
    assert_eq!(spent().await, (Some(7), Some(1_100)), "it is over");
}

/// A list counts as the report does: not the time in the queue, and of a run that stands still not what comes to it then.
#[tokio::test]
async fn b235_a_list_counts_from_the_first_claim_to_where_the_run_stopped() {
    let body = "[[step]]\nid = \"go\"\nwait = { signal = \"go\" }\n";
    let rig = Rig::sqlite(body, &Script::new());
    let took = async || {
        let engine = rig.engine();
        let now = Clock::now(&rig.clock);
        engine.took(&rig.row(), now).await.unwrap()
    };
    let pass = |seconds| rig.clock.advance(Duration::from_secs(seconds));
    rig.submit("r1").await;
    pass(100);
    assert_eq!(took().await, None, "nobody has taken it");
    rig.work().await;
    let reported = async || {
        let report = rig.engine().report(&milepost_tests::rig::r1()).await;
        Some(Duration::from_millis(report.unwrap().duration_millis))
    };
    assert_eq!(rig.row().status, Status::Paused);
    assert_eq!(took().await, reported().await);
    pass(20);
    let engine = rig.engine();
    let (run, data) = (milepost_tests::rig::r1(), json!(1));
    engine.signal(&run, "go", &data).await.unwrap();
    assert_eq!(took().await, reported().await, "a signal is no progress");
    assert!(took().await.unwrap() < Duration::from_secs(20));
    rig.work().await;
    assert_eq!(rig.row().status, Status::Completed);
    assert_eq!(took().await, reported().await);
    assert!(took().await.unwrap() >= Duration::from_secs(20));
}

#[tokio::test]
async fn b235_the_duration_of_a_running_run_counts_to_its_last_event() {
    let gate = Gate::default();
    let script = Script::new().held("b", &gate);
    let rig = Rig::new(&steps(&["a", "b"]), &script);
    let clock = rig.clock.clone();
    script.answer("a", move |call| {
        clock.advance(Duration::from_secs(3));
        at(call)
    });
    let engine = rig.engine();
    let (report, ()) = tokio::join!(rig.run_on(&engine, Control::default()), async {
        gate.came().await;
        let now = rig
            .engine()
            .report(&milepost_tests::rig::r1())
            .now()
            .unwrap();
        assert_eq!(
            (now.status, now.duration_millis, now.ended_at),
            (Status::Running, 3_000, None)
        );
        gate.open();
    });
    report.unwrap();
}

/// The wall clock is set back by an hour, or ahead by one, in the middle of a wait of 10 s: it takes 10 s all the same.
#[tokio::test(start_paused = true)]
async fn a_back_off_takes_its_own_time_whatever_the_wall_clock_does() {
    let busy = |call: &milepost::attempt::Call| match call.attempt {
        1 | 2 => error(ErrorClass::Retryable, "busy"),
        _ => at(call),
    };
    let hour = 3_600_000_000_000;
    for wall in [START.as_nanos() - hour, START.as_nanos() + hour] {
        let mut rig = Rig::new(&steps(&["a"]), &Script::new().step("a", busy));
        rig.clock = VirtualClock::manual(START);
        let engine = rig.engine();
        let mut run = Box::pin(rig.run_on(&engine, Control::default()));
        let moves = async |calls: usize| {
            tokio::time::sleep(Duration::from_millis(5)).await;
            assert_eq!(rig.script.calls().len(), calls);
        };
        let report = tokio::select! {
            report = &mut run => report.unwrap(),
            () = async {
                moves(1).await;
                rig.clock.set(Timestamp::from_nanos(wall));
                for (wait, calls) in [(9, 1), (1, 2), (19, 2)] {
                    rig.clock.advance(Duration::from_secs(wait));
                    moves(calls).await;
                }
                rig.clock.advance(Duration::from_secs(1));
                std::future::pending::<()>().await;
            } => unreachable!("it waits for the run"),
        };
        assert_eq!(report.status, Status::Completed, "{wall}");
        assert_eq!(rig.script.calls().len(), 3);
    }
}

/// Once, the clock was ten years ahead: a run that it left behind is not held up for ten years.
#[tokio::test(start_paused = true)]
async fn a_clock_far_ahead_does_not_poison_a_run() {
    let years = Duration::from_secs(10 * 365 * 86_400);
    let flow = |step: &str| format!("{}[[step]]\nid = \"s\"\n{step}\n", steps(&["a"]));
    for step in [
        "use = \"p/s\"",
        "wait = { for = \"10m\" }",
        "wait = { signal = \"go\", timeout = \"10m\", on_timeout = \"continue\" }",
    ] {
        let script = Script::new().step("s", |call| match call.attempt {
            1..4 => error(ErrorClass::Retryable, "busy"),
            _ => at(call),
        });
        let rig = Rig::sqlite(&flow(step), &script);
        rig.clock.advance(years);
        assert_eq!(rig.run().await.unwrap().status, Status::Paused, "{step}");
        rig.clock.set(START);
        for _ in 0..3 {
            rig.work().await;
            rig.clock.advance(Duration::from_secs(10 * 60));
        }
        let row = rig.row();
        assert_eq!(row.status, Status::Completed, "{step}");
        assert!(row.updated_at < START.after(Duration::from_secs(86_400)));
        assert_eq!(rig.replay().await.unwrap().divergence, None, "{step}");
    }
}

/// A device boots in 1970, and its worker begins before a time server is heard: what waits keeps its time.
#[tokio::test(start_paused = true)]
async fn a_clock_that_was_never_set_takes_no_deadline_from_a_run() {
    let body = "[[step]]\nid = \"w\"\napproval = { message = \"?\", timeout = \"2d\", on_timeout = \"reject\" }\n";
    let rig = Rig::sqlite(body, &Script::new());
    rig.run().await.unwrap();
    let stands = (rig.row(), rig.journal());
    for booted in [0, 60, 946_684_800] {
        rig.clock.set(Timestamp::from_nanos(booted * 1_000_000_000));
        rig.work().await;
        assert_eq!((rig.row(), rig.journal()), stands, "{booted}");
    }
    let hour = Duration::from_secs(60 * 60);
    rig.clock.set(START.after(hour));
    rig.work().await;
    assert_eq!((rig.row(), rig.journal()), stands);
    rig.clock.advance(hour * 48);
    rig.work().await;
    assert_ne!(rig.row().status, Status::Paused, "its time is over now");
}

/// A clock that is corrected under a run that it drives.
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_corrected_on_the_way_takes_the_run_back_with_it() {
    let years = Duration::from_secs(10 * 365 * 86_400);
    let script = Script::new();
    let rig = Rig::sqlite(&steps(&["a", "b", "c"]), &script);
    rig.clock.advance(years);
    let clock = rig.clock.clone();
    script.answer("b", move |call| {
        clock.set(START);
        at(call)
    });
    script.answer("c", |call| match call.attempt {
        1..4 => error(ErrorClass::Retryable, "busy"),
        _ => at(call),
    });
    let report = rig.run().await.unwrap();
    assert_eq!(report.status, Status::Paused);
    let due = report.stop.unwrap().due_at.unwrap();
    assert!(due < START.after(Duration::from_secs(3_600)), "{due}");
    assert_eq!(rig.replay().await.unwrap().divergence, None);
}

#[tokio::test(start_paused = true)]
async fn a_worker_whose_clock_is_behind_takes_nothing_before_its_own_time() {
    let wait = "[[step]]\nid = 'w'\nwait = { for = '1h' }\n";
    let rig = Rig::new(wait, &Script::new());
    assert_eq!(rig.run().await.unwrap().status, Status::Paused);
    let hour = Duration::from_secs(3_600);
    rig.clock.advance(hour);
    let behind = VirtualClock::manual(START.after(hour - Duration::from_secs(60)));
    let engine = Engine::builder(Arc::clone(&rig.store), Arc::new(rig.script.clone()))
        .clock(Arc::new(behind.clone()))
        .build();
    let work = || tokio::time::timeout(Duration::from_secs(20), engine.work(until_idle(1)));
    assert!(work().await.is_err(), "there is something left to do");
    assert_eq!(count(&rig.events(), "run_resumed"), 0);
    behind.advance(Duration::from_secs(60));
    assert!(work().await.is_ok());
    assert_eq!(rig.row().status, Status::Completed);
}
