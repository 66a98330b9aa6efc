//! Automatic resumes: when, how often, and who counts.

use milepost_tests::now::Now as _;
use std::time::Duration;

use milepost::clock::Clock as _;
use milepost::report::stop_of;
use milepost_core::ids::RunId;
use milepost_core::limits;
use milepost_core::outcome::{Outcome, Pause};
use milepost_core::state::Status;
use milepost_core::stop::{Automatic, StopCode, Why};
use milepost_tests::rig::{Rig, START, r1};
use milepost_tests::scripted::{Script, at};

use super::steps;

fn quota(provider: &str) -> Outcome {
    Outcome::Paused(Pause {
        code: "quota".to_owned(),
        reason: "used up".to_owned(),
        provider: Some(provider.to_owned()),
        until: None,
        signal: None,
        state: None,
    })
}

fn always_paused() -> Script {
    Script::new().step("a", |_| quota("acme"))
}

/// Moves the clock to where the run is due.
fn pass_time(rig: &Rig) {
    let due = rig.row().due_at.expect("it is due some time");
    rig.clock.advance(due.since(rig.clock.now()));
}

#[tokio::test(start_paused = true)]
async fn b199_b202_b439_a_pause_is_resumed_five_times_and_then_left_to_a_person() {
    let rig = Rig::sqlite(&steps(&["a"]), &always_paused());
    rig.run().await.unwrap();
    for n in 1..=5 {
        assert_eq!(rig.work().await.taken, 0, "not before its time");
        pass_time(&rig);
        assert_eq!(rig.work().await.taken, 1);
        let row = rig.row();
        assert_eq!(
            (row.auto_resumes, row.provider.as_deref()),
            (n, Some("acme"))
        );
        let report = rig.engine().report(&r1()).now().unwrap();
        assert_eq!(report.automatic_resumes, n);
    }
    assert_eq!(rig.row().due_at, None);
    let report = rig.engine().report(&r1()).now().unwrap();
    let Why::StepPaused(pausing) = report.stop.unwrap().why else {
        panic!("a step asked to pause");
    };
    assert_eq!(pausing.automatic, Some(Automatic::UsedUp { of: 5 }));
    rig.clock.advance(Duration::from_secs(1_000_000));
    assert_eq!(rig.work().await.taken, 0);
    rig.resume().await.unwrap();
    assert_eq!(rig.row().auto_resumes, 0, "a person begins a new episode");
    assert!(rig.row().due_at.is_some());
}

#[tokio::test(start_paused = true)]
async fn b210_b205_b208_schedules_outlive_the_worker_and_belong_to_one_run_of_one_store() {
    let mut rig = Rig::sqlite(&steps(&["a"]), &always_paused());
    let other = Rig::sqlite(&steps(&["a"]), &always_paused());
    rig.run().await.unwrap();
    other.run().await.unwrap();
    let due = rig.row().due_at;
    rig.work().await;
    assert_eq!(rig.row().due_at, due, "looking at it again changes nothing");
    rig.reopen();
    assert_eq!(rig.row().due_at, due);
    pass_time(&rig);
    rig.work().await;
    assert_eq!((rig.row().auto_resumes, other.row().auto_resumes), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn b207_runs_of_one_provider_do_not_wait_for_each_other() {
    let rig = Rig::sqlite(&steps(&["a"]), &always_paused());
    for id in ["one", "two"] {
        rig.submit(id).await;
    }
    rig.work().await;
    let row = |id: &str| {
        rig.store
            .row(&RunId::new(id).unwrap())
            .now()
            .unwrap()
            .unwrap()
    };
    let (first, second) = (row("one").due_at.unwrap(), row("two").due_at.unwrap());
    assert_ne!(first, second, "each has its own time");
    rig.clock.advance(first.min(second).since(rig.clock.now()));
    assert_eq!(rig.work().await.taken, 1);
}

#[tokio::test(start_paused = true)]
async fn b203_b200_a_resume_that_cannot_begin_counts_and_is_put_off() {
    let rig = Rig::sqlite(&steps(&["a"]), &always_paused());
    rig.run().await.unwrap();
    rig.script.refuse(true);
    for n in 1..=5 {
        pass_time(&rig);
        assert_eq!(rig.work().await.refused, 1);
        let row = rig.row();
        let status = if n < 5 {
            Status::Paused
        } else {
            Status::Failed
        };
        assert_eq!((row.status, row.auto_resumes), (status, n));
        assert_eq!(row.due_at.is_some(), n < 5, "after {n}");
    }
    let stop = rig.engine().report(&r1()).now().unwrap().stop.unwrap();
    assert_eq!(stop.code(), StopCode::HostError);
    let says = "it cannot be loaded here";
    assert!(stop.why.error().unwrap().contains(says), "{stop:?}");
    rig.script.refuse(false);
    rig.script.answer("a", at);
    assert_eq!(rig.resume().await.unwrap().status, Status::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_wait_is_over_but_cannot_go_on_says_so() {
    let body = "
        [[step]]
        id = 'w'
        wait = { signal = 'go', timeout = '1m', on_timeout = 'continue' }
        [[step]]
        id = 'a'
        use = 'p/a'
    ";
    let rig = Rig::sqlite(body, &Script::new());
    rig.run().await.unwrap();
    rig.script.refuse(true);
    rig.clock.advance(Duration::from_secs(61));
    assert_eq!(rig.work().await.refused, 1);
    let (row, report) = (rig.row(), rig.engine().report(&r1()).now().unwrap());
    assert_eq!(stop_of(&row), Some(StopCode::HostError));
    assert!(row.due_at > Some(rig.clock.now()));
    let stop = report.stop.unwrap();
    let says = "it cannot be loaded here";
    assert!(stop.why.error().unwrap().contains(says), "{stop:?}");
    rig.script.refuse(false);
    pass_time(&rig);
    assert_eq!(rig.work().await.ended[&Status::Completed], 1);
    assert_eq!(rig.replay().await.unwrap().divergence, None);
}

#[tokio::test(start_paused = true)]
async fn b204_progress_ends_the_episode() {
    let script = Script::new().step("a", |call| match call.attempt {
        1..3 => quota("acme"),
        _ => at(call),
    });
    let rig = Rig::sqlite(&steps(&["a", "b"]), &script.step("b", |_| quota("acme")));
    rig.run().await.unwrap();
    for expected in [1, 0] {
        pass_time(&rig);
        rig.work().await;
        assert_eq!(rig.row().auto_resumes, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_due_wait_is_no_automatic_resume_and_is_never_early() {
    let body = format!(
        "[[step]]\nid = \"w\"\nwait = {{ for = \"10m\" }}\n{}",
        steps(&["a"])
    );
    let rig = Rig::sqlite(&body, &Script::new());
    assert_eq!(
        rig.run().await.unwrap().stop_reason,
        Some("waiting_for_time")
    );
    rig.clock
        .advance(Duration::from_secs(600) - Duration::from_nanos(1));
    assert_eq!(rig.work().await.taken, 0);
    rig.clock.set(START);
    assert_eq!(rig.work().await.taken, 0, "a clock that is set back");
    rig.clock.advance(Duration::from_secs(600));
    assert_eq!(rig.work().await.taken, 1);
    let report = rig.engine().report(&r1()).now().unwrap();
    assert_eq!(
        (report.status, report.automatic_resumes),
        (Status::Completed, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_short_wait_is_sat_out_in_place() {
    let body = format!(
        "[[step]]\nid = \"w\"\nwait = {{ for = \"60s\" }}\n{}",
        steps(&["a"])
    );
    let rig = Rig::new(&body, &Script::new());
    assert_eq!(rig.run().await.unwrap().status, Status::Completed);
    assert_eq!(rig.clock.waits(), [limits::WAIT_IN_PLACE]);
}

#[tokio::test(start_paused = true)]
async fn b314_a_due_run_is_taken_and_a_newer_failed_one_is_left_to_a_person() {
    let script = Script::new().step("a", |call| match (call.run.as_str(), call.attempt) {
        ("older", 1) => quota("acme"),
        ("newer", _) => milepost_tests::scripted::fail("broken"),
        _ => at(call),
    });
    let rig = Rig::sqlite(&steps(&["a"]), &script);
    for id in ["older", "newer"] {
        rig.submit(id).await;
        rig.clock.advance(Duration::from_secs(1));
    }
    rig.work().await;
    let row = |id: &str| {
        rig.store
            .row(&RunId::new(id).unwrap())
            .now()
            .unwrap()
            .unwrap()
    };
    rig.clock
        .advance(row("older").due_at.unwrap().since(rig.clock.now()));
    assert_eq!(rig.work().await.taken, 1);
    assert_eq!(
        (row("older").status, row("newer").status),
        (Status::Completed, Status::Failed)
    );
}
