//! Automatic resumes as bounded continuations: which stops go on by themselves, how often, what they carry, and what they
//! leave alone.

use milepost_tests::now::Now as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use milepost::clock::Clock as _;
use milepost::engine::{Control, Demand, Request, Worked};
use milepost_core::event::{ClaimCause, Event, ResumeCause, RunEvent, RunResumed};
use milepost_core::outcome::{ErrorClass, Outcome, Pause};
use milepost_core::state::Status;
use milepost_core::stop::{Automatic, Lost, Why};
use milepost_tests::faulty::{Fault, FaultyStore, dead_process};
use milepost_tests::rig::{Rig, START, r1, until_idle};
use milepost_tests::scripted::{Gate, Script, at, error, fail, pause};
use serde_json::{Value, json};

use super::{count, steps};

/// Longer than any wait between automatic resumes.
const LONG: Duration = Duration::from_secs(1_000_000);

/// What an attempt comes to.
type Answer = fn() -> Outcome;
/// Number of an attempt, and what the pause before it saved.
type Seen = (u32, Option<Value>);

fn pausing(change: impl FnOnce(&mut Pause)) -> Outcome {
    match pause("quota") {
        Outcome::Paused(mut pause) => {
            change(&mut pause);
            Outcome::Paused(pause)
        }
        other => other,
    }
}

fn quota() -> Outcome {
    pausing(|pause| pause.provider = Some("acme".to_owned()))
}

/// Moves the clock to where the run is due, and works.
async fn work_when_due(rig: &Rig) -> Worked {
    let due = rig.row().due_at.expect("it is due some time");
    rig.clock.advance(due.since(rig.clock.now()));
    rig.work().await
}

fn resumes(rig: &Rig) -> Vec<RunResumed> {
    let journal = rig.journal().into_iter();
    journal
        .filter_map(|entry| match entry.event {
            Event::Run(RunEvent::Resumed(resumed)) => Some(resumed),
            _ => None,
        })
        .collect()
}

fn claims(rig: &Rig) -> Vec<ClaimCause> {
    let journal = rig.journal().into_iter();
    journal
        .filter_map(|entry| match entry.event {
            Event::Run(RunEvent::Claimed { cause, .. }) => Some(cause),
            _ => None,
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn b416_only_a_pause_that_passes_by_itself_goes_on_by_itself() {
    let retryable = || error(ErrorClass::Retryable, "busy");
    let retried =
        "[[step]]\nid = \"a\"\nuse = \"p/a\"\nretry = { max_attempts = 1, then = \"pause\" }\n";
    let plain = steps(&["a"]);
    let cases: [(&str, &str, Answer, bool); 7] = [
        ("somebody's limit", &plain, quota, true),
        (
            "a time",
            &plain,
            || pausing(|pause| pause.until = Some(START.after(Duration::from_secs(60)))),
            true,
        ),
        ("used-up retries", retried, retryable, true),
        ("a plain pause", &plain, || pause("review"), false),
        (
            "a signal",
            &plain,
            || pausing(|pause| pause.signal = Some("go".to_owned())),
            false,
        ),
        ("a failure", &plain, || fail("broken"), false),
        ("an end", &plain, || Outcome::Completed(json!(1)), false),
    ];
    for (what, body, outcome, goes_on) in cases {
        let rig = Rig::new(body, &Script::new().step("a", move |_| outcome()));
        rig.run().await.unwrap();
        assert_eq!(rig.row().due_at.is_some(), goes_on, "{what}");
        rig.clock.advance(LONG);
        assert_eq!(rig.work().await.taken, u64::from(goes_on), "{what}");
    }
}

/// Whether an automatic resume is due where the run paused.
fn automatic(rig: &Rig) -> Option<Automatic> {
    let report = rig.engine().report(&r1()).now().unwrap();
    match report.stop.unwrap().why {
        Why::StepPaused(pausing) => pausing.automatic,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn b417_a_chain_has_five_continuations_and_its_end_changes_nothing() {
    let rig = Rig::sqlite(&steps(&["a"]), &Script::new().step("a", |_| quota()));
    rig.run().await.unwrap();
    for n in 1..=5 {
        let next = Automatic::Next { number: n, of: 5 };
        assert_eq!(automatic(&rig), Some(next));
        assert_eq!(work_when_due(&rig).await.taken, 1);
    }
    let causes: Vec<_> = resumes(&rig).iter().map(|resumed| resumed.cause).collect();
    assert_eq!(causes, [ResumeCause::Schedule; 5]);
    let stands = (rig.row(), rig.journal());
    rig.clock.advance(LONG);
    assert_eq!(rig.work().await.taken, 0);
    assert_eq!((rig.row(), rig.journal()), stands);
    assert_eq!(stands.0.status, Status::Paused);
    assert_eq!(automatic(&rig), Some(Automatic::UsedUp { of: 5 }));
}

#[tokio::test(start_paused = true)]
async fn b418_one_due_time_gives_one_continuation_however_many_look() {
    let rig = Rig::sqlite(&steps(&["a"]), &Script::new().step("a", |_| quota()));
    rig.run().await.unwrap();
    rig.clock.advance(LONG);
    let engines = [rig.engine(), rig.engine(), rig.engine()];
    let [one, two, three] = &engines;
    let worked = tokio::join!(
        one.work(until_idle(4)),
        two.work(until_idle(4)),
        three.work(until_idle(4))
    );
    assert_eq!(worked.0.taken + worked.1.taken + worked.2.taken, 1);
    assert_eq!((resumes(&rig).len(), rig.row().auto_resumes), (1, 1));
    assert_eq!(rig.script.calls(), ["a", "a"]);
}

#[tokio::test(start_paused = true)]
async fn b419_what_moved_or_is_gone_or_has_no_willing_worker_is_passed_over() {
    let due = || async {
        let gate = Gate::default();
        let script = Script::new().step("a", |call| match call.attempt {
            1 => quota(),
            _ => at(call),
        });
        let script = script.held_in("a", &gate, |attempt| attempt > 1);
        let rig = Rig::sqlite(&steps(&["a"]), &script);
        rig.run().await.unwrap();
        rig.clock.advance(LONG);
        (rig, gate)
    };

    let (rig, _) = due().await;
    rig.engine().cancel(&r1(), "somebody").await.unwrap();
    assert_eq!(rig.work().await.taken, 0, "cancelled");
    rig.store.delete(&r1(), rig.row().seq).await.unwrap();
    assert_eq!(rig.work().await.taken, 0, "gone");

    let (rig, gate) = due().await;
    let (resumed, ()) = tokio::join!(rig.resume(), async {
        gate.came().await;
        assert_eq!(rig.work().await.taken, 0, "a person was quicker");
        gate.open();
    });
    assert_eq!(resumed.unwrap().status, Status::Completed);
    assert_eq!(rig.row().auto_resumes, 0);

    let (rig, gate) = due().await;
    let stopped = until_idle(4);
    stopped
        .control
        .ask(Request::new(Demand::Release, "somebody"));
    let worked = rig.engine().work(stopped).await;
    assert_eq!(worked.ended.get(&Status::Completed), None);
    assert_eq!(rig.script.calls(), ["a"], "a worker that is to stop");

    // A worker that had trouble before still goes on with it.
    let store = FaultyStore::new(Arc::clone(&rig.store), |n| match n {
        1..=3 => Fault::Refused,
        _ => Fault::None,
    });
    gate.open();
    let worked = rig.engine_on(Arc::new(store)).work(until_idle(4)).await;
    assert_eq!(worked.ended.get(&Status::Completed), Some(&1));
}

#[tokio::test(start_paused = true)]
async fn b420_a_continuation_carries_why_it_goes_on_and_what_the_pause_saved() {
    let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
    let script = Script::new().step("a", {
        let seen = Arc::clone(&seen);
        move |call| {
            let state = call.resume_state.as_deref().cloned();
            seen.lock().unwrap().push((call.attempt, state));
            match call.attempt {
                1 => pausing(|pause| {
                    pause.provider = Some("acme".to_owned());
                    pause.state = Some(json!({ "page": 7 }));
                }),
                _ => at(call),
            }
        }
    });
    let rig = Rig::sqlite(&steps(&["a"]), &script);
    let paused = rig.run().await.unwrap().stop.unwrap();
    work_when_due(&rig).await;
    let resumed = resumes(&rig).remove(0);
    let cleared = resumed.cleared.unwrap();
    assert_eq!(resumed.cause, ResumeCause::Schedule);
    let Why::StepPaused(pausing) = &cleared.why else {
        panic!("{cleared:?}");
    };
    assert_eq!(pausing.reason, "quota happened");
    assert_eq!((&cleared.why, cleared.due_at), (&paused.why, paused.due_at));
    assert_eq!(cleared.provider.as_deref(), Some("acme"));
    assert_eq!(
        *seen.lock().unwrap(),
        [(1, None), (2, Some(json!({ "page": 7 })))]
    );
}

#[tokio::test(start_paused = true)]
async fn b421_continuations_recoveries_and_retries_are_counted_apart() {
    let gate = Gate::default();
    let script = Script::new().step("a", |call| match call.attempt {
        1..5 => error(ErrorClass::Retryable, "busy"),
        _ => at(call),
    });
    let script = script.held_in("a", &gate, |attempt| attempt > 2);
    let body =
        "[[step]]\nid = \"a\"\nuse = \"p/a\"\nretry = { max_attempts = 2, then = \"pause\" }\n";
    let rig = Rig::sqlite(body, &script);
    let counts = || (rig.row().auto_resumes, rig.row().recoveries);
    rig.run().await.unwrap();
    assert_eq!(counts(), (0, 0), "retries are neither");

    let due = rig.row().due_at.unwrap();
    rig.clock.advance(due.since(rig.clock.now()));
    let engine = rig.engine_of(dead_process());
    let mut dying = Box::pin(engine.work(until_idle(4)));
    gate.holds(&mut dying).await;
    assert_eq!(counts(), (1, 0), "a continuation is no recovery");
    let recovering = rig.engine();
    let (worked, ()) = tokio::join!(recovering.work(until_idle(4)), async {
        gate.came().await;
        assert_eq!(counts(), (1, 1), "a recovery is no continuation");
        // The lost attempt and the one that took its place.
        gate.open();
        gate.open();
        gate.came().await;
        gate.open();
    });
    drop(dying);
    assert_eq!(worked.recovered, 1);
    let report = rig.engine().report(&r1()).now().unwrap();
    assert_eq!(
        (report.status, report.steps[0].attempts),
        (Status::Completed, 5),
        "all retries again after the pause, and the lost attempt is none"
    );
    let reasons = [ClaimCause::Start, ClaimCause::Resume, ClaimCause::Recovery];
    assert_eq!(claims(&rig), reasons);
}

#[tokio::test(start_paused = true)]
async fn b429_a_scheduled_resume_stands_in_the_row_and_goes_with_a_cancel() {
    let rig = Rig::sqlite(&steps(&["a"]), &Script::new().step("a", |_| quota()));
    rig.run().await.unwrap();
    work_when_due(&rig).await;
    let row = rig.row();
    assert!(row.due_at.is_some_and(|due| due > rig.clock.now()));
    assert_eq!(
        (row.auto_resumes, row.stop_code.as_deref()),
        (1, Some("step_paused"))
    );
    assert_eq!(row.provider.as_deref(), Some("acme"));
    rig.engine().cancel(&r1(), "somebody").await.unwrap();
    let row = rig.row();
    assert_eq!((row.status, row.due_at), (Status::Cancelled, None));
    rig.clock.advance(LONG);
    assert_eq!(rig.work().await.taken, 0);
    assert_eq!(rig.script.calls(), ["a", "a"]);
}

#[tokio::test(start_paused = true)]
async fn b426_what_waits_for_a_person_is_never_touched() {
    let approval = "[[step]]\nid = \"a\"\napproval = { message = \"Ship?\" }\n";
    let signal = "[[step]]\nid = \"a\"\nwait = { signal = \"go\" }\n";
    let gate = Gate::default();
    let held = Script::new().held("a", &gate);
    for (body, script, code) in [
        (approval, Script::new(), "waiting_for_approval"),
        (signal, Script::new(), "waiting_for_signal"),
        (&*steps(&["a"]), held, "interrupted"),
    ] {
        let rig = Rig::sqlite(body, &script);
        let control = Control::default();
        if code == "interrupted" {
            control.ask(Request::new(Demand::PauseNow, "somebody"));
        }
        let report = rig.run_on(&rig.engine(), control).await.unwrap();
        assert_eq!(report.stop_reason, Some(code));
        let stands = (rig.row(), rig.journal());
        rig.clock.advance(LONG);
        assert_eq!(rig.sweep().await, Default::default());
        assert_eq!(rig.work().await.taken, 0, "{code}");
        assert_eq!((rig.row(), rig.journal()), stands, "{code}");
    }
}

/// Starts the run, or has it taken over, in a process that dies after its write number `last`.
async fn dies_after(rig: &Rig, last: usize, first: bool) {
    let store = Arc::new(FaultyStore::dying_after(Arc::clone(&rig.store), last));
    let engine = rig.engine_on(Arc::clone(&store) as _);
    let driven = async {
        if first {
            rig.run_on(&engine, Control::default()).await.map(|_| ())
        } else {
            engine.work(until_idle(4)).await;
            Ok(())
        }
    };
    store.kills(driven).await;
}

#[tokio::test(start_paused = true)]
async fn b422_b423_a_run_that_was_lost_before_its_first_step_is_tried_once_more() {
    for lost_again in [false, true] {
        let rig = Rig::sqlite(&steps(&["a"]), &Script::new());
        dies_after(&rig, 1, true).await;
        assert_eq!(rig.row().status, Status::Running);
        assert_eq!(rig.script.calls(), [""; 0], "nothing has begun");
        if lost_again {
            dies_after(&rig, 1, false).await;
            let swept = rig.sweep().await;
            assert_eq!((swept.given_up, swept.lost), (vec![r1()], Vec::new()));
        }
        let worked = rig.work().await;
        assert_eq!(claims(&rig), [ClaimCause::Start, ClaimCause::Recovery]);
        let report = rig.engine().report(&r1()).now().unwrap();
        if lost_again {
            let stop = report.stop.unwrap();
            assert_eq!((worked.taken, report.status), (0, Status::Failed));
            let lost = Lost::Repeatedly { times: 2 };
            assert_eq!(stop.why, Why::ProcessLost(lost));
            assert_eq!(count(&rig.events(), "run_failed"), 1);
        } else {
            assert_eq!((worked.recovered, report.status), (1, Status::Completed));
            assert_eq!(rig.script.calls(), ["a"]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn b418_b431_a_worker_that_looked_before_another_one_worked_repeats_nothing() {
    let rig = Rig::sqlite(&steps(&["a"]), &Script::new().step("a", |_| fail("broken")));
    rig.submit("r1").await;
    let engines = [rig.engine(), rig.engine()];
    let [one, two] = &engines;
    let worked = tokio::join!(one.work(until_idle(4)), two.work(until_idle(4)));
    assert_eq!(worked.0.taken + worked.1.taken, 1);
    assert_eq!(rig.script.calls(), ["a"], "a failed run is a person's");
    assert_eq!(resumes(&rig), []);
}
