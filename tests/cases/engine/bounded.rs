//! No work without bound: whatever error ends the driving of a run, a worker calls its step a few times, later and later, and
//! then a person has to look.

use milepost_tests::now::Now as _;
use std::sync::Arc;
use std::time::Duration;

use milepost::clock::Clock as _;
use milepost::report::stop_of;
use milepost::store::{StoreError, Write};
use milepost_core::ids::Epoch;
use milepost_core::limits::AUTOMATIC_RESUMES;
use milepost_core::outcome::{Outcome, Pause};
use milepost_core::state::Status;
use milepost_core::stop::{AfterHostError, Automatic, StopCode, Why};
use milepost_tests::faulty::{Fault, FaultyStore};
use milepost_tests::rig::{Rig, r1, until_idle};
use milepost_tests::scripted::{Script, at, ok};
use serde_json::json;

use super::{block_on, steps};

/// More calls than any bound allows: a run that is retaken for ever ends here.
const RUNAWAY: usize = 40;

/// What a store says, by a name.
type Refusal = (&'static str, fn() -> StoreError);

/// Every way in which a store can say no to a write.
fn errors() -> Vec<Refusal> {
    vec![
        ("corrupt", || StoreError::corrupt("scripted".to_owned())),
        ("unavailable", || {
            StoreError::unavailable("scripted".to_owned())
        }),
        ("too new", || StoreError::TooNew {
            place: "scripted".to_owned(),
            found: 9,
            known: 8,
        }),
        ("exists", || StoreError::Exists(r1())),
        ("not found", || StoreError::NotFound(r1())),
        ("conflict", || StoreError::Conflict {
            run: r1(),
            status: Status::Running,
            seq: 1,
            epoch: Epoch(1),
        }),
    ]
}

fn holds(write: &Write, word: &str) -> bool {
    let mut entries = write.entries.iter();
    entries.any(|entry| entry.body.contains(word))
}

fn holds_outcome(write: &Write) -> bool {
    holds(write, "step_completed")
}

/// Which writes of a run that was claimed fail.
#[derive(Debug, Clone, Copy)]
enum Fails {
    /// Those that hold an outcome: what was recorded instead of it is kept.
    Outcomes,
    /// Those, and what a driver records of an error of its own.
    Endings,
    /// All but claims: nothing can be recorded of the error.
    Everything,
}

#[tokio::test]
async fn b386_a_large_output_is_kept_whole_for_whoever_reads_it() {
    // Around the size from which on it does not stand beside its event, and far beyond.
    for length in [100, 16_000, 17_000, 1_000_000] {
        let body = "[[step]]\nid = \"big\"\nuse = \"p/big\"\n\
            [[step]]\nid = \"last\"\nuse = \"p/echo\"\nwith = { got = \"${ steps.big.output }\" }\n";
        let text = "é".repeat(length / 2);
        let output = text.clone();
        let script = Script::new()
            .step("big", move |_| ok(json!(output)))
            .step("echo", |call| ok(call.input["got"].clone()));
        let rig = Rig::sqlite(body, &script);
        let ran = rig.run().await.unwrap();
        assert_eq!(ran.status, Status::Completed, "{length}");
        for step in &ran.steps {
            assert_eq!(step.output.value().as_str(), Some(&*text), "{length}");
        }
    }
}

/// A worker on a store with that fault, for days. Returns the calls of the step.
fn works_for_days(fails: Fails, fault: impl Fn() -> Fault + Send + Sync + 'static) -> (Rig, usize) {
    block_on(async {
        let script = Script::new();
        script.answer("a", {
            let script = script.clone();
            move |call| {
                assert!(script.calls().len() < RUNAWAY, "retaken for ever");
                at(call)
            }
        });
        let rig = Rig::sqlite(&steps(&["a"]), &script);
        rig.submit("r1").await;
        let store = FaultyStore::new(Arc::clone(&rig.store), |_| Fault::None);
        let store = store.failing(move |write| {
            let fails = match fails {
                Fails::Outcomes => holds_outcome(write),
                Fails::Endings => holds_outcome(write) || holds(write, "host_error"),
                Fails::Everything => write.claim.is_none(),
            };
            fails.then(&fault)
        });
        let engine = rig.engine_on(Arc::new(store));
        for _ in 0..AUTOMATIC_RESUMES.len() * 3 {
            // A store that takes nothing is waited for: then the worker is never idle.
            let hour = Duration::from_secs(60 * 60);
            let _ = tokio::time::timeout(hour, engine.work(until_idle(2))).await;
            rig.clock.advance(Duration::from_secs(3 * 60 * 60));
        }
        let calls = rig.script.calls().len();
        (rig, calls)
    })
}

#[test]
fn an_outcome_that_cannot_be_recorded_is_tried_a_few_times_and_then_a_person_has_to_look() {
    for (name, error) in errors() {
        let (rig, calls) = works_for_days(Fails::Outcomes, move || Fault::Error(error));
        // One who is told that somebody else has the run writes nothing more: that is a lost process.
        let lost = ["conflict", "not found"].contains(&name);
        let (most, code) = match name {
            _ if lost => (2, StopCode::ProcessLost),
            // No try of its own would mend the store.
            "corrupt" => (1, StopCode::HostError),
            _ => (1 + AUTOMATIC_RESUMES.len(), StopCode::HostError),
        };
        assert_eq!(calls, most, "{name}");
        let report = rig.engine().report(&r1()).now().unwrap();
        let stop = report.stop.unwrap();
        assert_eq!(
            (report.status, stop.code()),
            (Status::Failed, code),
            "{name}"
        );
        assert_eq!(stop.due_at, None, "{name}");
        // A person's word begins afresh.
        let resumed = block_on(rig.resume()).unwrap();
        assert_eq!(resumed.status, Status::Completed, "{name}");
        assert_eq!((resumed.automatic_resumes, resumed.recoveries), (0, 0));
    }
}

#[test]
fn an_error_of_which_nothing_can_be_recorded_is_bounded_by_the_count_of_losses() {
    for (name, error) in errors() {
        let (_, calls) = works_for_days(Fails::Everything, move || Fault::Error(error));
        assert!((1..=2).contains(&calls), "{name}: {calls} calls");
    }
}

#[test]
fn a_store_that_panics_is_bounded_too() {
    let (rig, calls) = works_for_days(Fails::Outcomes, || Fault::Panic);
    assert_eq!(calls, 1);
    assert_eq!(stop_of(&rig.row()), Some(StopCode::HostError));
    let (rig, calls) = works_for_days(Fails::Endings, || Fault::Panic);
    assert_eq!(calls, 2);
    assert_eq!(stop_of(&rig.row()), Some(StopCode::ProcessLost));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_was_put_off_says_why_and_when_it_is_tried_again() {
    let rig = Rig::sqlite(&steps(&["a"]), &Script::new());
    rig.submit("r1").await;
    let store = FaultyStore::new(Arc::clone(&rig.store), |_| Fault::None).failing(|write| {
        let error = || StoreError::TooNew {
            place: "scripted".to_owned(),
            found: 9,
            known: 8,
        };
        holds_outcome(write).then_some(Fault::Error(error))
    });
    rig.engine_on(Arc::new(store)).work(until_idle(1)).await;
    let report = rig.engine().report(&r1()).now().unwrap();
    let stop = report.stop.unwrap();
    assert_eq!(
        (report.status, stop.code()),
        (Status::Paused, StopCode::HostError)
    );
    assert_eq!(stop.path, "a".parse().ok());
    let Why::HostError { error, then } = &stop.why else {
        panic!("{stop:?}");
    };
    assert!(error.contains("scripted"), "{error}");
    let first = Automatic::Next { number: 1, of: 5 };
    assert_eq!(*then, AfterHostError::Automatic(first));
    assert!(stop.due_at.is_some());
    let trouble = rig.recorder.trouble();
    assert!(
        trouble.iter().any(|line| line.contains("scripted")),
        "{trouble:?}"
    );
    // Where the fault is gone, it just goes on.
    rig.clock.advance(AUTOMATIC_RESUMES[0] * 2);
    assert_eq!(rig.work().await.ended[&Status::Completed], 1);
    assert_eq!(rig.replay().await.unwrap().divergence, None);
}

/// Whatever happens to the decision itself, before anything could be written.
#[tokio::test(start_paused = true)]
async fn a_driver_that_panics_before_its_claim_is_put_off() {
    let rig = Rig::sqlite(&steps(&["a"]), &Script::new());
    rig.submit("r1").await;
    let store = FaultyStore::new(Arc::clone(&rig.store), |n| match n {
        1 => Fault::Panic,
        _ => Fault::None,
    });
    let worked = rig.engine_on(Arc::new(store)).work(until_idle(1)).await;
    assert_eq!((worked.taken, worked.refused), (1, 1));
    let report = rig.engine().report(&r1()).now().unwrap();
    let stop = report.stop.unwrap();
    assert_eq!(
        (report.status, stop.code()),
        (Status::Paused, StopCode::HostError)
    );
    assert!(stop.why.error().unwrap().contains("panicked"), "{stop:?}");
    rig.clock.advance(AUTOMATIC_RESUMES[0] * 2);
    assert_eq!(rig.work().await.ended[&Status::Completed], 1);
    assert_eq!(rig.replay().await.unwrap().divergence, None);
}

/// How a run stands that is to go on where nothing can be loaded.
#[derive(Debug, Clone, Copy)]
enum Stands {
    Pending,
    Lost,
    Paused,
    Waiting,
}

async fn one_that_stands(stands: Stands) -> Rig {
    let wait = "[[step]]\nid = \"w\"\nwait = { for = \"10m\" }\n";
    let definition = match stands {
        Stands::Waiting => format!("{wait}{}", steps(&["a"])),
        _ => steps(&["a"]),
    };
    let script = Script::new().step("a", move |call| match (stands, call.attempt) {
        (Stands::Paused, 1) => Outcome::Paused(Pause {
            code: "quota".to_owned(),
            reason: "used up".to_owned(),
            provider: Some("acme".to_owned()),
            until: None,
            signal: None,
            state: None,
        }),
        _ => at(call),
    });
    let rig = Rig::sqlite(&definition, &script);
    match stands {
        Stands::Pending => rig.submit("r1").await,
        Stands::Lost => {
            rig.dies_on(FaultyStore::dying_after(Arc::clone(&rig.store), 1))
                .await;
        }
        Stands::Paused | Stands::Waiting => {
            rig.run().await.unwrap();
        }
    }
    rig
}

#[tokio::test(start_paused = true)]
async fn a_run_that_cannot_begin_is_tried_a_few_times_and_then_a_person_has_to_look() {
    for stands in [
        Stands::Pending,
        Stands::Lost,
        Stands::Paused,
        Stands::Waiting,
    ] {
        let rig = one_that_stands(stands).await;
        let called = rig.script.calls().len();
        rig.script.refuse(true);
        let (mut tries, mut waits) = (0, Vec::new());
        for _ in 0..20 {
            if let Some(due) = rig.row().due_at {
                rig.clock.advance(due.since(rig.clock.now()));
            }
            tries += rig.work().await.refused as usize;
            waits.extend(rig.row().due_at.map(|due| due.since(rig.clock.now())));
        }
        let most = AUTOMATIC_RESUMES.len();
        assert!((most..=most + 1).contains(&tries), "{stands:?}: {tries}");
        assert!(waits.windows(2).all(|w| w[0] < w[1] * 2), "{waits:?}");
        assert!(waits[0] >= Duration::from_secs(60), "{waits:?}");
        let report = rig.engine().report(&r1()).now().unwrap();
        let stop = report.stop.unwrap();
        assert_eq!(
            (report.status, stop.code()),
            (Status::Failed, StopCode::HostError),
            "{stands:?}"
        );
        let says = "it cannot be loaded here";
        assert!(stop.why.error().unwrap().contains(says), "{stop:?}");
        assert_eq!(rig.row().due_at, None);
        assert_eq!(rig.script.calls().len(), called);
        rig.script.refuse(false);
        let resumed = rig.resume().await.unwrap();
        assert_eq!(resumed.status, Status::Completed, "{stands:?}");
        assert_eq!(rig.replay().await.unwrap().divergence, None, "{stands:?}");
    }
}

/// What is wrong for a while only, is right again at the next try.
#[tokio::test(start_paused = true)]
async fn a_run_that_could_not_begin_goes_on_by_itself() {
    for stands in [Stands::Pending, Stands::Lost] {
        let rig = one_that_stands(stands).await;
        rig.script.refuse(true);
        assert_eq!(rig.work().await.refused, 1);
        rig.script.refuse(false);
        rig.clock.advance(AUTOMATIC_RESUMES[0] * 2);
        assert_eq!(rig.work().await.ended[&Status::Completed], 1);
        assert_eq!(rig.replay().await.unwrap().divergence, None, "{stands:?}");
    }
}
