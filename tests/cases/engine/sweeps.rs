//! Sweeps: runs whose owner is gone, lives but sleeps, or cannot be seen; and runs that only look as if they needed help.

use milepost_tests::now::Now as _;
use std::sync::Arc;
use std::time::Duration;

use milepost::clock::Clock as _;
use milepost::engine::{Control, StartOptions};
use milepost::owner::{Host as _, ThisHost};
use milepost::report::OwnerState;
use milepost::store::{Held, NewSignal, StopKind, StopRequest};
use milepost_core::ids::RunId;
use milepost_core::limits;
use milepost_core::state::Status;
use milepost_core::stop::{Lost, StopCode, Why};
use milepost_tests::faulty::{Fault, FaultyStore, dead_process, elsewhere};
use milepost_tests::rig::{Rig, r1, until_idle};
use milepost_tests::scripted::{Gate, Script, fail, pause};

use super::{ids, steps};

#[tokio::test(start_paused = true)]
async fn b183_b213_b398_b424_a_lost_run_is_taken_over_at_once_and_goes_on() {
    let gate = Gate::default();
    let rig = Rig::sqlite(&steps(&["a", "b"]), &Script::new().held_once("a", &gate));
    rig.begun_by(dead_process(), &gate, async {
        let swept = rig.sweep().await;
        assert_eq!(ids(&swept.lost), [r1()], "before its lease expires");
        let worked = rig.work().await;
        assert_eq!((worked.taken, worked.recovered), (1, 1));
    })
    .await;
    let row = rig.row();
    assert_eq!((row.status, row.epoch.0), (Status::Completed, 2));
    assert_eq!(row.recoveries, 0, "what was recorded since is progress");
    assert_eq!(rig.script.calls(), ["a", "a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn b399_b425_a_second_loss_without_progress_fails_the_run() {
    let gate = Gate::default();
    let rig = Rig::sqlite(&steps(&["a", "b"]), &Script::new().held("a", &gate));
    rig.begun_by(dead_process(), &gate, async {
        // The recovery dies too, at the same step.
        let engine = rig.engine_of(dead_process());
        let mut again = Box::pin(rig.run_on(&engine, Control::default()));
        gate.holds(&mut again).await;
        assert_eq!(
            rig.row().recoveries,
            1,
            "counted at the claim, before any work"
        );
        let swept = rig.sweep().await;
        assert_eq!(
            (swept.given_up.as_slice(), swept.lost.len()),
            (&[r1()][..], 0)
        );
    })
    .await;
    let report = rig.engine().report(&r1()).now().unwrap();
    let stop = report.stop.unwrap();
    assert_eq!(
        (report.status, stop.code()),
        (Status::Failed, StopCode::ProcessLost)
    );
    let lost = Lost::Repeatedly { times: 2 };
    assert_eq!(stop.why, Why::ProcessLost(lost));
    assert_eq!(
        (report.stop_reason, report.recoveries),
        (Some("process_lost"), 1)
    );
    assert_eq!(rig.row().owner, None, "ownership is released");
    assert_eq!(
        rig.sweep().await,
        Default::default(),
        "and nothing more happens"
    );
}

/// Somebody asked for its cancellation just before the worker gave it up: what was asked of it is met by the same worker.
#[tokio::test(start_paused = true)]
async fn a_worker_until_idle_looks_again_after_it_gave_a_run_up() {
    let gate = Gate::default();
    let rig = Rig::sqlite(&steps(&["a"]), &Script::new().held("a", &gate));
    rig.begun_by(dead_process(), &gate, async {
        let engine = rig.engine_of(dead_process());
        let run = r1();
        let mut again = Box::pin(rig.run_on(&engine, Control::default()));
        gate.holds(&mut again).await;
        let giving_up = Gate::default();
        let store = FaultyStore::new(Arc::clone(&rig.store), {
            let giving_up = giving_up.clone();
            move |n| match n {
                1 => Fault::Held(giving_up.clone()),
                _ => Fault::None,
            }
        });
        let worker = rig.engine_on(Arc::new(store));
        let (worked, ()) = tokio::join!(worker.work(until_idle(1)), async {
            giving_up.came().await;
            let request = StopRequest {
                kind: StopKind::Cancel,
                at: rig.clock.now(),
                by: "somebody".to_owned(),
            };
            rig.store.request_stop(&run, request).await.unwrap();
            giving_up.open();
        });
        assert_eq!(worked.taken, 0);
        let events = rig.events();
        assert_eq!(events[events.len() - 2..], ["run_failed", "run_cancelled"]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn b214_b220_b295_a_run_of_a_living_owner_is_left_alone() {
    let gate = Gate::default();
    let rig = Rig::new(&steps(&["a"]), &Script::new().held_once("a", &gate));
    rig.begun_by(ThisHost.enter(), &gate, async {
        let before = (rig.row(), rig.journal());
        assert_eq!(rig.sweep().await, Default::default());
        assert_eq!(
            rig.work().await.taken,
            0,
            "starting a worker fails nobody's run"
        );
        assert_eq!((rig.row(), rig.journal()), before);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn b395_b396_b397_an_owner_that_does_not_renew_is_detached_until_it_does() {
    let gate = Gate::default();
    let rig = Rig::new(&steps(&["a"]), &Script::new().held_once("a", &gate));
    rig.begun_by(ThisHost.enter(), &gate, async {
        rig.clock.advance(limits::LEASE + Duration::from_secs(1));
        assert_eq!(rig.sweep().await.detached, [r1()]);
        assert_eq!(rig.sweep().await, Default::default(), "one warning");
        let row = rig.row();
        assert_eq!(
            (row.status, row.detached_at),
            (Status::Running, Some(rig.clock.now()))
        );
        let owner = rig.engine().report(&r1()).now().unwrap().owner.unwrap();
        assert_eq!(owner.state, milepost::report::OwnerState::Detached);
        assert_eq!(owner.pid, std::process::id());
        let held = Held {
            run: r1(),
            epoch: row.epoch,
        };
        let news = rig.store.keep(&[held], Some(limits::LEASE)).await;
        assert_eq!(news.unwrap(), []);
        assert_eq!(rig.row().detached_at, None, "its activity clears the mark");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn b212_b218_an_owner_that_cannot_be_seen_has_its_lease() {
    let gate = Gate::default();
    let rig = Rig::new(&steps(&["a"]), &Script::new().held_once("a", &gate));
    rig.begun_by(elsewhere(), &gate, async {
        rig.clock.advance(limits::LEASE - Duration::from_nanos(1));
        assert_eq!(rig.sweep().await, Default::default());
        rig.clock.advance(Duration::from_nanos(1));
        assert_eq!(ids(&rig.sweep().await.lost), [r1()]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn b211_b224_what_stands_still_is_never_touched() {
    for (script, status) in [
        (Script::new(), Status::Completed),
        (Script::new().step("a", |_| fail("broken")), Status::Failed),
        (Script::new().step("a", |_| pause("review")), Status::Paused),
    ] {
        let rig = Rig::new(&steps(&["a"]), &script);
        assert_eq!(rig.run().await.unwrap().status, status);
        let before = (rig.row(), rig.journal());
        rig.clock.advance(Duration::from_secs(1_000_000));
        assert_eq!(rig.sweep().await, Default::default());
        assert_eq!(rig.work().await.taken, 0);
        assert_eq!((rig.row(), rig.journal()), before);
    }
}

#[tokio::test(start_paused = true)]
async fn b221_b427_one_poisoned_run_does_not_keep_the_others_waiting() {
    let gate = Gate::default();
    let mut rig = Rig::sqlite(&steps(&["a", "b"]), &Script::new().held_once("a", &gate));
    for id in ["bad", "good"] {
        let engine = rig.engine_of(dead_process());
        let options = StartOptions {
            id: Some(RunId::new(id).unwrap()),
            ..Default::default()
        };
        let mut begun = Box::pin(engine.run(rig.workflow(), Default::default(), options));
        gate.holds(&mut begun).await;
        // Dropped, its engine cannot let go: the row tells another owner.
        std::mem::forget(begun);
    }
    let db = rusqlite::Connection::open(rig.store_file()).unwrap();
    db.execute(
"DELETE FROM checkpoint WHERE part = 'run' AND run = (SELECT key FROM run WHERE id = 'bad')",
[],
)
.unwrap();
    rig.damaged = true;
    let worked = rig.work().await;
    assert_eq!((worked.recovered, worked.refused), (1, 1));
    let row = |id: &str| {
        rig.store
            .row(&RunId::new(id).unwrap())
            .now()
            .unwrap()
            .unwrap()
    };
    assert_eq!(row("good").status, Status::Completed);
    assert_eq!(
        row("bad").status,
        Status::Running,
        "nothing is guessed about it"
    );
    let trouble = rig.recorder.trouble();
    assert!(
        trouble.iter().any(|line| line.starts_with("bad: ")),
        "{trouble:?}"
    );
}

/// Whatever is wrong with one run, and whoever meets it: a sweep, a driver, a person.
#[tokio::test(start_paused = true)]
async fn a_run_whose_row_contradicts_its_journal_is_not_driven_on_and_keeps_nobody_waiting() {
    let waits = "[[step]]\nid = \"w\"\nwait = { signal = \"go\" }\n";
    let due = "[[step]]\nid = \"w\"\nwait = { for = \"10m\" }\n";
    for (definition, damage) in [
        (waits, "seq = seq - 1"),
        (waits, "seq = seq + 5"),
        (due, "seq = seq - 1"),
        (due, "seq = seq + 5"),
        (due, "seq = 9223372036854775807"),
    ] {
        let mut rig = Rig::sqlite(&format!("{definition}{}", steps(&["a"])), &Script::new());
        rig.run().await.unwrap();
        rig.damaged = true;
        let sent = NewSignal {
            name: "go".to_owned(),
            data: "7".to_owned(),
            at: rig.clock.now(),
            token: None,
        };
        rig.store.send_signal(&r1(), sent).await.unwrap();
        rig.clock.advance(Duration::from_secs(3_600));
        let db = rusqlite::Connection::open(rig.store_file()).unwrap();
        db.execute(&format!("UPDATE run SET {damage}"), []).unwrap();
        rig.edit(&steps(&["a"]));
        rig.submit("good").await;
        let journal = rig.store.journal(&r1(), 0, 99).await.unwrap();
        let worked = tokio::time::timeout(Duration::from_secs(600), rig.work()).await;
        assert_eq!(worked.unwrap().ended[&Status::Completed], 1, "{damage}");
        assert_eq!(rig.store.journal(&r1(), 0, 99).await.unwrap(), journal);
        let trouble = rig.recorder.trouble();
        assert!(
            trouble.iter().any(|line| line.starts_with("r1: ")),
            "{damage}: {trouble:?}"
        );
        assert!(rig.resume().await.is_err(), "{damage}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_means_nothing_any_more_keeps_no_worker_busy() {
    let rig = Rig::sqlite(&steps(&["a"]), &Script::new());
    rig.run().await.unwrap();
    let db = rusqlite::Connection::open(rig.store_file()).unwrap();
    let request = "request = 'pause', requested_at = 1, requested_by = 'x'";
    db.execute(&format!("UPDATE run SET {request}"), [])
        .unwrap();
    let worked = tokio::time::timeout(Duration::from_secs(60), rig.work()).await;
    assert_eq!(worked.unwrap().taken, 0);
    assert_eq!(rig.row().status, Status::Completed);
}

/// As a laptop that was closed: the process, its drivers and its keeper stood still together.
#[tokio::test(start_paused = true)]
async fn a_process_that_slept_does_not_warn_about_its_own_runs_and_renews_their_claims() {
    let gate = Gate::default();
    let rig = Rig::sqlite(&steps(&["a"]), &Script::new().held_once("a", &gate));
    let engine = rig.engine();
    let mut run = Box::pin(rig.run_on(&engine, Control::default()));
    gate.holds(&mut run).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    rig.clock.advance(limits::LEASE * 3);
    assert_eq!(engine.sweep().await.unwrap(), Default::default());
    // The keeper wakes up before the driver.
    tokio::time::advance(limits::LEASE * 3).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let row = rig.row();
    assert!(row.lease_until.unwrap() > rig.clock.now(), "{row:?}");
    assert_eq!(row.detached_at, None);
    gate.open();
    let report = run.await;
    assert_eq!(report.unwrap().status, Status::Completed);
}

/// Whoever shows a run says what a worker would do with it.
#[tokio::test(start_paused = true)]
async fn an_owner_that_nobody_here_can_see_is_gone_when_its_lease_is_over() {
    let gate = Gate::default();
    let rig = Rig::sqlite(&steps(&["a"]), &Script::new().held_once("a", &gate));
    rig.begun_by(elsewhere(), &gate, async {
        let state = || rig.engine().owner(&rig.row()).unwrap().state;
        assert_eq!(state(), OwnerState::Unknown);
        rig.clock.advance(limits::LEASE);
        assert_eq!(state(), OwnerState::Gone);
        assert_eq!(ids(&rig.sweep().await.lost), [r1()]);
    })
    .await;
}
