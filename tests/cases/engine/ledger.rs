//! What the rows and the journal say of runs and their owners, and what looking at them does.

use milepost_tests::now::Now as _;
use std::sync::Arc;
use std::time::Duration;

use milepost::clock::Clock as _;
use milepost::engine::{Control, Demand, EngineError, Request, ResumeOptions, WorkOptions};
use milepost::owner::{Host as _, ThisHost};
use milepost::store::Owner;
use milepost_core::event::{ClaimCause, Event, RunEvent};
use milepost_core::limits;
use milepost_core::state::Status;
use milepost_tests::faulty::{Fault, FaultyStore, dead_process, elsewhere};
use milepost_tests::rig::{Rig, START, r1};
use milepost_tests::scripted::{Gate, Script, at, fail, pause};

use super::{count, ids, steps};

#[tokio::test(start_paused = true)]
async fn b173_a_claim_names_process_and_start_and_one_without_a_start_has_its_lease() {
    let me = ThisHost.enter();
    let old = Owner {
        boot: String::new(),
        started: 0,
        ..me.clone()
    };
    for (owner, taken) in [(me.clone(), false), (dead_process(), true), (old, false)] {
        let gate = Gate::default();
        let rig = Rig::sqlite(&steps(&["a"]), &Script::new().held("a", &gate));
        rig.begun_by(owner.clone(), &gate, async {
            assert_eq!(rig.row().owner.as_ref(), Some(&owner));
            let lost = rig.sweep().await.lost;
            assert_eq!(!lost.is_empty(), taken, "{owner:?}");
            rig.clock.advance(limits::LEASE);
            let lost = rig.sweep().await.lost;
            // Without a start time nobody can tell the process from a later one of that number: the lease decides.
            assert_eq!(lost.is_empty(), owner == me, "{owner:?}");
        })
        .await;
    }
}

#[tokio::test]
async fn b176_a_claim_of_this_very_process_is_not_passed_over() {
    let gate = Gate::default();
    let rig = Rig::sqlite(&steps(&["a"]), &Script::new().held("a", &gate));
    let engine = rig.engine();
    let (report, ()) = tokio::join!(rig.run_on(&engine, Control::default()), async {
        gate.came().await;
        let stands = (rig.row(), rig.journal());
        for other in [&engine, &rig.engine()] {
            let refused = other.resume(&r1(), ResumeOptions::default()).await;
            match refused {
                Err(EngineError::AlreadyRunning { status, owner, .. }) => {
                    assert_eq!((status, owner), (Status::Running, rig.row().owner));
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(rig.work().await.taken, 0);
        assert_eq!((rig.row(), rig.journal()), stands);
        gate.open();
    });
    assert_eq!(report.unwrap().epoch, 1);
}

#[tokio::test]
async fn b177_b220_of_two_who_saw_a_stale_claim_one_takes_it_from_where_it_was_seen() {
    let gate = Gate::default();
    let rig = Rig::sqlite(&steps(&["a"]), &Script::new().held_once("a", &gate));
    rig.begun_by(dead_process(), &gate, async {
        let (_, loser) = rig.two_resumes_at_once().await;
        // The winner has it, or has ended it by then.
        assert!(
            matches!(
                loser,
                EngineError::AlreadyRunning { .. }
                    | EngineError::NotResumable {
                        status: Status::Completed,
                        ..
                    }
            ),
            "{loser:?}"
        );
    })
    .await;
    assert_eq!(count(&rig.events(), "run_claimed"), 2);
    assert_eq!(
        (rig.row().epoch.0, rig.row().status),
        (2, Status::Completed)
    );
}

#[tokio::test(start_paused = true)]
async fn b219_a_resume_that_has_not_begun_yet_has_its_lease_or_is_looked_at_at_once() {
    for (owner, at_once) in [(elsewhere(), false), (dead_process(), true)] {
        let rig = Rig::sqlite(&steps(&["a"]), &Script::new().step("a", |_| fail("broken")));
        rig.run().await.unwrap();
        let dying = FaultyStore::dying_after(Arc::clone(&rig.store), 1).owned_by(owner);
        let dying = Arc::new(dying);
        let engine = rig.engine_on(Arc::clone(&dying) as _);
        let id = r1();
        let resumed = engine.resume(&id, ResumeOptions::default());
        dying.kills(resumed).await;
        assert_eq!(rig.row().status, Status::Running);
        assert_eq!(rig.script.calls(), ["a"], "not begun");
        assert_eq!(!rig.sweep().await.lost.is_empty(), at_once);
        rig.clock.advance(limits::LEASE);
        assert_eq!(ids(&rig.sweep().await.lost), [r1()]);
    }
}

#[tokio::test(start_paused = true)]
async fn b222_a_worker_without_work_looks_once_a_second() {
    let rig = Rig::new(&steps(&["a"]), &Script::new());
    let store = Arc::new(FaultyStore::new(Arc::clone(&rig.store), |_| Fault::None));
    let engine = rig.engine_on(Arc::clone(&store) as _);
    let control = Control::default();
    let options = WorkOptions {
        max_runs: 4,
        until_idle: false,
        control: control.clone(),
    };
    tokio::join!(engine.work(options), async {
        tokio::time::sleep(Duration::from_millis(60_500)).await;
        control.ask(Request::new(Demand::Release, "SIGTERM"));
    });
    assert_eq!(store.looks(), 61);
}

#[tokio::test(start_paused = true)]
async fn b275_a_claim_is_stale_when_its_lease_is_over_or_missing() {
    for missing in [false, true] {
        let gate = Gate::default();
        let rig = Rig::sqlite(&steps(&["a"]), &Script::new().held("a", &gate));
        rig.begun_by(elsewhere(), &gate, async {
            rig.clock.advance(limits::LEASE - Duration::from_nanos(1));
            assert_eq!(rig.sweep().await.lost, []);
            if missing {
                let db = rusqlite::Connection::open(rig.store_file()).unwrap();
                let changed = db.execute("UPDATE run SET lease_until = NULL", []);
                assert_eq!(changed.unwrap(), 1);
            } else {
                rig.clock.advance(Duration::from_nanos(1));
            }
            assert_eq!(ids(&rig.sweep().await.lost), [r1()]);
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn b294_a_renewal_that_fails_is_tried_again_and_ends_nothing() {
    let gate = Gate::default();
    let rig = Rig::sqlite(&steps(&["a"]), &Script::new().held("a", &gate));
    let store = FaultyStore::new(Arc::clone(&rig.store), |_| Fault::None).refusing_renewals(3);
    let store = Arc::new(store);
    let engine = rig.engine_on(Arc::clone(&store) as _);
    let (report, ()) = tokio::join!(rig.run_on(&engine, Control::default()), async {
        gate.came().await;
        let lease = rig.row().lease_until;
        rig.clock.advance(limits::LEASE);
        while store.renewals() < 3 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(rig.row().lease_until, lease);
        assert_eq!(rig.sweep().await.detached, [r1()], "anybody can see it");
        while store.renewals() < 4 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let row = rig.row();
        assert_eq!(row.detached_at, None);
        assert_eq!(row.lease_until, Some(rig.clock.now().after(limits::LEASE)));
        gate.open();
    });
    let report = report.unwrap();
    assert_eq!((report.status, report.epoch), (Status::Completed, 1));
}

#[tokio::test(start_paused = true)]
async fn b394_b402_a_run_is_in_one_of_six_states_and_only_a_running_one_has_an_owner() {
    let gate = Gate::default();
    let script = Script::new()
        .step("ends", at)
        .step("fails", |_| fail("broken"))
        .step("pauses", |_| pause("review"))
        .held("a", &gate);
    let row = |rig: &Rig| {
        let row = rig.row();
        (row.status, row.owner.is_some(), row.lease_until.is_some())
    };
    let mut reached = Vec::new();
    for (step, status) in [
        ("ends", Status::Completed),
        ("fails", Status::Failed),
        ("pauses", Status::Paused),
    ] {
        let rig = Rig::sqlite(&steps(&[step]), &script);
        rig.submit("r1").await;
        assert_eq!(row(&rig), (Status::Pending, false, false));
        rig.resume().await.unwrap();
        assert_eq!(row(&rig), (status, false, false));
        reached.extend([Status::Pending, status]);
        if !status.is_terminal() {
            rig.engine().cancel(&r1(), "somebody").await.unwrap();
            assert_eq!(row(&rig), (Status::Cancelled, false, false));
            reached.push(Status::Cancelled);
        }
    }
    let rig = Rig::sqlite(&steps(&["a"]), &script);
    rig.begun_by(ThisHost.enter(), &gate, async {
        assert_eq!(row(&rig), (Status::Running, true, true));
        reached.push(Status::Running);
    })
    .await;
    for status in Status::ALL {
        assert!(reached.contains(&status), "{status}");
    }
    let names = Status::ALL.map(|status| status.to_string());
    assert_eq!(
        names.join(" "),
        "pending running paused completed failed cancelled"
    );
}

#[tokio::test(start_paused = true)]
async fn b403_the_record_says_who_had_a_lost_run_since_when_and_who_took_it_over() {
    let gate = Gate::default();
    let rig = Rig::sqlite(&steps(&["a"]), &Script::new().held("a", &gate));
    let rebooted = Owner {
        boot: "an earlier one".to_owned(),
        pid: 4_000_000,
        ..ThisHost.enter()
    };
    rig.begun_by(rebooted, &gate, async {
        rig.clock.advance(Duration::from_secs(5));
        tokio::join!(async { rig.run().await.unwrap() }, async {
            gate.came().await;
            // The lost attempt may have the first pass.
            gate.open();
            gate.open();
        });
    })
    .await;
    let journal = rig.journal();
    let claims: Vec<_> = journal
        .iter()
        .filter_map(|entry| match &entry.event {
            Event::Run(RunEvent::Claimed { owner, cause }) => {
                Some((entry.at, *cause, owner.clone()))
            }
            _ => None,
        })
        .collect();
    let me = format!("process {} on", std::process::id());
    assert_eq!(
        claims
            .iter()
            .map(|claim| (claim.0, claim.1))
            .collect::<Vec<_>>(),
        [
            (START, ClaimCause::Start),
            (START.after(Duration::from_secs(5)), ClaimCause::Recovery),
        ]
    );
    assert!(claims[1].2.starts_with(&me), "{claims:?}");
}

#[tokio::test(start_paused = true)]
async fn b430_silence_is_shown_and_never_judged_while_the_owner_renews() {
    let gate = Gate::default();
    let body = "[[step]]\nid = \"a\"\nuse = \"p/a\"\ntimeout = \"10h\"\n";
    let rig = Rig::sqlite(body, &Script::new().held("a", &gate));
    let engine = rig.engine();
    let (report, ()) = tokio::join!(rig.run_on(&engine, Control::default()), async {
        gate.came().await;
        let quiet_since = rig.row().updated_at;
        for hours in 1..=5 {
            rig.clock.advance(Duration::from_secs(3_600));
            let until = rig.clock.now().after(limits::LEASE);
            while rig.row().lease_until != Some(until) {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            assert_eq!(rig.sweep().await, Default::default(), "{hours} h");
            let report = rig.engine().report(&r1()).now().unwrap();
            assert_eq!(report.updated_at, quiet_since);
            assert_eq!(
                report.owner.unwrap().state,
                milepost::report::OwnerState::Alive
            );
        }
        gate.open();
    });
    assert_eq!(report.unwrap().status, Status::Completed);
}
