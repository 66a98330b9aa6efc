//! Signals and approvals, as they reach a run through the store.

use milepost_tests::now::Now as _;
use std::sync::Arc;
use std::time::Duration;

use milepost::engine::{
    ApprovalDecision, Control, Decided, EngineError, Holds, ResumeOptions, SignalAnswer,
};
use milepost_core::event::{Event, StepEvent, WaitEvent};
use milepost_core::limits;
use milepost_core::outcome::{Outcome, Pause};
use milepost_core::state::Status;
use milepost_core::stop::{StopCode, Why};
use milepost_core::wait::Verdict;
use milepost_tests::faulty::{Fault, FaultyStore};
use milepost_tests::rig::{Rig, r1};
use milepost_tests::scripted::{Gate, Script, ok, pause};
use serde_json::{Value, json};

use super::{count, steps};

const WAITS: &str = "\
[[step]]\nid = \"w\"\nwait = { signal = \"go\" }\n\
[[step]]\nid = \"b\"\nuse = \"p/b\"\nwith = { got = \"${ steps.w.output.data }\" }\n";

const ASKS: &str = "\
[[step]]\nid = \"a\"\nuse = \"p/a\"\n\
[[step]]\nid = \"g\"\napproval = { message = \"Ship ${ steps.a.output.at }?\" }\n\
[[step]]\nid = \"b\"\nuse = \"p/b\"\n";

pub(super) const REWORKS: &str = "\
[[step]]\nid = \"a\"\nuse = \"p/a\"\nwith = { why = \"${ steps.g.?output.comment.orValue('') }\" }\n\
[[step]]\nid = \"g\"\napproval = { message = \"Good?\", rework = { from = \"a\", max_attempts = 2 } }\n";

pub(super) fn echo() -> Script {
    Script::new()
        .step("b", |call| ok((*call.input).clone()))
        .step("a", |call| ok((*call.input).clone()))
}

pub(super) fn decision(verdict: Verdict) -> ApprovalDecision {
    ApprovalDecision {
        path: None,
        verdict,
        comment: Some("because".to_owned()),
        by: Some("ann".to_owned()),
    }
}

pub(super) async fn decide(rig: &Rig, verdict: Verdict) -> Result<Decided, EngineError> {
    rig.engine()
        .decide_approval(&r1(), &decision(verdict))
        .await
}

#[tokio::test]
async fn a_signal_lets_a_waiting_run_go_on() {
    let rig = Rig::sqlite(WAITS, &echo());
    let report = rig.run().await.unwrap();
    assert_eq!(report.stop_reason, Some("waiting_for_signal"));
    assert_eq!(rig.row().awaits, ["go"]);
    let answer = rig
        .engine()
        .signal(&r1(), "go", &json!({"n": 7}))
        .await
        .unwrap();
    assert_eq!(answer.answer, SignalAnswer::Delivered);
    assert!(answer.goes_on);
    let row = rig.row();
    assert_eq!(
        (row.status, row.stop_code.as_deref()),
        (Status::Paused, Some("ready"))
    );
    assert_eq!(
        rig.store.inbox(&r1(), 10).now().unwrap(),
        [],
        "taken in the same transaction"
    );
    assert_eq!(rig.work().await.taken, 1);
    assert_eq!(
        rig.engine().report(&r1()).now().unwrap().output,
        json!({"got": {"n": 7}})
    );
}

#[tokio::test]
async fn a_signal_that_is_kept_and_cannot_be_delivered_yet_is_no_error() {
    let rig = Rig::sqlite(WAITS, &echo());
    rig.run().await.unwrap();
    let store = FaultyStore::new(Arc::clone(&rig.store), |_| Fault::Refused);
    let answer = rig
        .engine_on(Arc::new(store))
        .signal(&r1(), "go", &json!(1))
        .await
        .unwrap();
    assert_eq!(answer.answer, SignalAnswer::Kept);
    assert_eq!(rig.recorder.trouble().len(), 1);
    assert_eq!(rig.store.inbox(&r1(), 10).now().unwrap().len(), 1);
    assert_eq!(rig.work().await.taken, 1);
    assert_eq!(
        rig.engine().report(&r1()).now().unwrap().status,
        Status::Completed
    );
}

#[tokio::test]
async fn a_signal_that_comes_early_is_kept_and_the_run_does_not_even_pause() {
    let gate = Gate::default();
    let body = format!("{}{WAITS}", steps(&["a"]));
    let rig = Rig::sqlite(&body, &echo().held("a", &gate));
    let engine = rig.engine();
    let (report, ()) = tokio::join!(rig.run_on(&engine, Control::default()), async {
        gate.came().await;
        for (name, data) in [("other", json!(1)), ("go", json!(2)), ("go", json!(3))] {
            let answer = rig.engine().signal(&r1(), name, &data).await.unwrap();
            assert_eq!(answer.answer, SignalAnswer::Kept);
        }
        gate.open();
    });
    assert_eq!(
        report.unwrap().output,
        json!({"got": 2}),
        "the oldest of that name"
    );
    let left: Vec<String> = rig
        .store
        .inbox(&r1(), 10)
        .now()
        .unwrap()
        .into_iter()
        .map(|s| s.data)
        .collect();
    assert_eq!(left, ["1", "3"]);
    assert!(!rig.events().contains(&"run_paused"));
}

#[tokio::test]
async fn a_signal_that_was_kept_while_the_run_paused_is_found_by_a_sweep() {
    let rig = Rig::sqlite(WAITS, &echo());
    rig.run().await.unwrap();
    // As when the sender dies between keeping the signal and delivering it.
    let signal = milepost::store::NewSignal {
        name: "go".to_owned(),
        data: "9".to_owned(),
        at: milepost_tests::rig::START,
        token: None,
    };
    rig.store.send_signal(&r1(), signal).await.unwrap();
    assert_eq!(rig.sweep().await.delivered, [r1()]);
    rig.work().await;
    assert_eq!(
        rig.engine().report(&r1()).now().unwrap().output,
        json!({"got": 9})
    );
}

#[tokio::test]
async fn signals_that_cannot_be_taken_are_refused_with_the_reason() {
    let rig = Rig::new(WAITS, &echo());
    rig.run().await.unwrap();
    let engine = rig.engine();
    let large = Value::String("x".repeat(limits::SIGNAL_BYTES));
    let deep = (0..limits::JSON_DEPTH).fold(json!([]), |inner, _| json!([inner]));
    for (name, data) in [("", json!(null)), ("go", large), ("go", deep)] {
        let refused = engine.signal(&r1(), name, &data).await;
        assert!(
            matches!(refused, Err(EngineError::Signal { .. })),
            "{refused:?}"
        );
    }
    engine.cancel(&r1(), "somebody").await.unwrap();
    let refused = engine.signal(&r1(), "go", &json!(null)).await.unwrap_err();
    assert!(refused.to_string().contains("cancelled"), "{refused}");
}

#[tokio::test]
async fn a_component_that_pauses_for_a_signal_gets_what_came_with_it() {
    let script = Script::new().step("a", |call| match &call.resume_signal {
        Some(signal) => ok((**signal).clone()),
        None => Outcome::Paused(Pause {
            code: "waits".to_owned(),
            reason: "for a word".to_owned(),
            provider: None,
            until: None,
            signal: Some("word".to_owned()),
            state: None,
        }),
    });
    let rig = Rig::sqlite(&steps(&["a"]), &script);
    rig.run().await.unwrap();
    assert_eq!(rig.row().awaits, ["word"]);
    let sent = rig
        .engine()
        .signal(&r1(), "word", &json!("hello"))
        .await
        .unwrap();
    assert_eq!(sent.answer, SignalAnswer::Delivered);
    rig.work().await;
    assert_eq!(
        rig.engine().report(&r1()).now().unwrap().output,
        json!("hello")
    );
}

#[tokio::test]
async fn b300_b301_b309_b310_an_approval_pauses_and_an_approved_run_goes_on_behind_it() {
    let rig = Rig::sqlite(ASKS, &Script::new());
    let report = rig.run().await.unwrap();
    let stop = report.stop.as_ref().unwrap();
    assert_eq!(
        (report.status, stop.code()),
        (Status::Paused, StopCode::WaitingForApproval)
    );
    assert_eq!(stop.path, "g".parse().ok());
    let Why::WaitingForApproval { question, .. } = &stop.why else {
        panic!("{stop:?}");
    };
    assert!(question.contains("Ship a?"), "{question}");
    assert_eq!(rig.script.calls(), ["a"], "nothing after it runs");

    let decided = decide(&rig, Verdict::Approved).await.unwrap();
    assert_eq!(
        (decided.status, decided.decision),
        (Status::Paused, Verdict::Approved)
    );
    assert_eq!(rig.row().status, Status::Paused, "until it is resumed");
    let report = rig.resume().await.unwrap();
    assert_eq!(report.status, Status::Completed);
    assert_eq!(rig.script.calls(), ["a", "b"]);
    let gate = &report.steps[1];
    assert_eq!(gate.output.value()["decision"], "approved");
    assert_eq!(
        (&gate.output.value()["comment"], &gate.output.value()["by"]),
        (&json!("because"), &json!("ann"))
    );
}

#[tokio::test]
async fn b302_the_second_decision_is_told_of_the_first_and_writes_nothing() {
    let rig = Rig::new(ASKS, &Script::new());
    rig.run().await.unwrap();
    decide(&rig, Verdict::Approved).await.unwrap();
    let before = rig.journal();
    for verdict in [Verdict::Approved, Verdict::Rejected] {
        match decide(&rig, verdict).await {
            Err(EngineError::AlreadyDecided(earlier)) => {
                assert_eq!(earlier.decision, Verdict::Approved);
                assert_eq!(earlier.by.as_deref(), Some("ann"));
                assert_eq!(earlier.at, milepost_tests::rig::START);
                let told = earlier.to_string();
                assert!(
                    told.contains("`g` of run `r1` was approved by ann at 2023-11-14 22:13:20Z;"),
                    "{told}"
                );
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(rig.journal(), before);
}

#[tokio::test]
async fn b303_of_two_decisions_at_once_exactly_one_wins() {
    let rig = Rig::sqlite(ASKS, &Script::new());
    rig.run().await.unwrap();
    let engine = rig.engine();
    let (yes, no) = (decision(Verdict::Approved), decision(Verdict::Rejected));
    let run = r1();
    let (one, two) = tokio::join!(
        engine.decide_approval(&run, &yes),
        engine.decide_approval(&run, &no)
    );
    assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
    assert_eq!(count(&rig.events(), "approval_decided"), 1);
}

#[tokio::test]
async fn b304_a_decision_that_cannot_be_saved_changes_nothing_and_can_be_made_again() {
    let rig = Rig::new(ASKS, &Script::new());
    rig.run().await.unwrap();
    let before = (rig.row(), rig.journal());
    let full = FaultyStore::new(Arc::clone(&rig.store), |_| Fault::Refused);
    let refused = rig
        .engine_on(Arc::new(full))
        .decide_approval(&r1(), &decision(Verdict::Approved))
        .await;
    assert!(refused.is_err());
    assert_eq!((rig.row(), rig.journal()), before);
    decide(&rig, Verdict::Approved).await.unwrap();
}

#[tokio::test]
async fn b305_a_run_that_does_not_ask_yet_is_not_decided() {
    let gate = Gate::default();
    let rig = Rig::new(ASKS, &Script::new().held("a", &gate));
    let engine = rig.engine();
    let (report, ()) = tokio::join!(rig.run_on(&engine, Control::default()), async {
        gate.came().await;
        let refused = decide(&rig, Verdict::Approved).await;
        assert!(
            matches!(refused, Err(EngineError::NotWaiting { .. })),
            "{refused:?}"
        );
        gate.open();
    });
    assert_eq!(report.unwrap().stop_reason, Some("waiting_for_approval"));
}

#[tokio::test]
async fn b306_a_rejection_without_rework_cancels_in_one_write() {
    let rig = Rig::new(ASKS, &Script::new());
    rig.run().await.unwrap();
    let commits = rig.row().seq;
    let decided = decide(&rig, Verdict::Rejected).await.unwrap();
    assert_eq!(decided.status, Status::Cancelled);
    let report = rig.engine().report(&r1()).now().unwrap();
    assert_eq!(report.stop_reason, Some("rejected"));
    assert!(report.ended_at.is_some());
    assert_eq!(
        rig.row().seq,
        commits + 2,
        "the decision and the end, together"
    );
    assert!(matches!(
        decide(&rig, Verdict::Approved).await,
        Err(EngineError::AlreadyDecided(_))
    ));
}

#[tokio::test]
async fn b307_a_rejection_with_rework_runs_the_work_again_with_the_reason_until_it_is_used_up() {
    let rig = Rig::sqlite(REWORKS, &echo());
    rig.run().await.unwrap();
    let decided = decide(&rig, Verdict::Rejected).await.unwrap();
    assert_eq!(
        (decided.status, decided.rework_left),
        (Status::Paused, Some(1))
    );
    rig.work().await;
    let report = rig.engine().report(&r1()).now().unwrap();
    assert_eq!(
        report.stop_reason,
        Some("waiting_for_approval"),
        "the same gate again"
    );
    assert_eq!(report.steps[0].output, json!({"why": "because"}));
    assert_eq!(rig.script.calls(), ["a", "a"]);
    let last = decide(&rig, Verdict::Rejected).await.unwrap();
    assert_eq!(
        (last.status, last.rework_left),
        (Status::Cancelled, Some(0))
    );
    let reworks = rig.journal().into_iter().filter(
        |entry| matches!(&entry.event, Event::Step { event: StepEvent::Wait(WaitEvent::ApprovalDecided { rework, .. }), .. } if !rework.is_empty()),
    );
    assert_eq!(reworks.count(), 1);
}

fn timed(wait: &str) -> String {
    format!("[[step]]\nid = \"w\"\n{wait}\n[[step]]\nid = \"b\"\nuse = \"p/b\"\n")
}

#[tokio::test]
async fn b315_a_late_decision_records_the_timeout_instead_and_is_told_what_holds() {
    for (settings, holds, status, text) in [
        (
            "",
            Holds::Cancelled,
            Status::Cancelled,
            "the run is cancelled",
        ),
        (
            ", on_timeout = 'approve'",
            Holds::Approved,
            Status::Completed,
            "counts as approved",
        ),
        (
            ", on_reject = 'continue'",
            Holds::Rejected,
            Status::Completed,
            "counts as rejected",
        ),
    ] {
        let body = timed(&format!(
            "approval = {{ message = '?', timeout = '1h'{settings} }}"
        ));
        let rig = Rig::sqlite(&body, &Script::new());
        rig.run().await.unwrap();
        rig.clock.advance(Duration::from_secs(3_600));
        let before = rig.row().seq;
        match decide(&rig, Verdict::Approved).await {
            Err(EngineError::TimedOut(over)) => {
                assert_eq!((over.holds, over.path.to_string()), (holds, "w".to_owned()));
                assert!(over.to_string().contains(text), "{over}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(rig.row().seq, before + 1, "the timeout, in that write");
        assert_eq!(count(&rig.events(), "approval_decided"), 0);
        match decide(&rig, Verdict::Approved).await {
            Err(EngineError::AlreadyDecided(earlier)) => assert!(earlier.timed_out),
            other => panic!("{other:?}"),
        }
        rig.work().await;
        assert_eq!(rig.row().status, status, "{settings}");
        assert_eq!(rig.replay().await.unwrap().divergence, None, "{settings}");
    }
}

#[tokio::test]
async fn b315_an_approval_that_stays_takes_a_late_decision() {
    let body = timed("approval = { message = '?', timeout = '1h', on_timeout = 'stay' }");
    let rig = Rig::new(&body, &Script::new());
    rig.run().await.unwrap();
    rig.clock.advance(Duration::from_secs(7_200));
    decide(&rig, Verdict::Approved).await.unwrap();
}

#[tokio::test]
async fn a_late_signal_records_the_timeout_instead_and_is_not_kept() {
    for (settings, holds, status) in [
        ("", Holds::Failed, Status::Failed),
        (
            ", on_timeout = 'continue'",
            Holds::WithoutSignal,
            Status::Completed,
        ),
    ] {
        let body = timed(&format!(
            "wait = {{ signal = 'go', timeout = '1h'{settings} }}"
        ));
        let rig = Rig::sqlite(&body, &Script::new());
        rig.run().await.unwrap();
        rig.clock.advance(Duration::from_secs(3_600));
        match rig.engine().signal(&r1(), "go", &json!(1)).await {
            Err(EngineError::TimedOut(over)) => assert_eq!(over.holds, holds),
            other => panic!("{other:?}"),
        }
        assert_eq!(rig.store.inbox(&r1(), 10).now().unwrap(), []);
        assert_eq!(rig.row().stop_code.as_deref(), Some("ready"));
        rig.work().await;
        assert_eq!(rig.row().status, status, "{settings}");
        assert_eq!(rig.replay().await.unwrap().divergence, None, "{settings}");
    }
}

// Its sender died before it could deliver it; the wait is over by the clock when somebody looks.
#[tokio::test]
async fn a_signal_that_was_kept_in_time_ends_the_wait_also_when_it_is_found_late() {
    for by_hand in [false, true] {
        let rig = Rig::sqlite(
            &timed("wait = { signal = 'go', timeout = '1h' }"),
            &Script::new(),
        );
        rig.run().await.unwrap();
        let signal = milepost::store::NewSignal {
            name: "go".to_owned(),
            data: "9".to_owned(),
            at: milepost_tests::rig::START,
            token: None,
        };
        rig.store.send_signal(&r1(), signal).await.unwrap();
        rig.clock.advance(Duration::from_secs(7_200));
        match by_hand {
            true => drop(rig.resume().await.unwrap()),
            false => drop(rig.work().await),
        }
        let report = rig.engine().report(&r1()).now().unwrap();
        assert_eq!(report.status, Status::Completed);
        assert_eq!(report.steps[0].output.value()["data"], json!(9));
    }
}

#[tokio::test]
async fn a_signal_answers_for_itself_and_not_for_the_one_that_was_taken() {
    let body = format!("{}{WAITS}", steps(&["a"]));
    let rig = Rig::sqlite(&body, &echo());
    rig.submit("r1").await;
    let engine = rig.engine();
    let first = engine.signal(&r1(), "go", &json!(1)).await.unwrap();
    assert_eq!(
        (first.answer, first.status),
        (SignalAnswer::Kept, Status::Pending)
    );
    rig.work().await;
    // The run waits, an older signal is there and was not delivered yet: it is taken, and this one is kept.
    let rig = Rig::sqlite(WAITS, &echo());
    rig.run().await.unwrap();
    let older = milepost::store::NewSignal {
        name: "go".to_owned(),
        data: "1".to_owned(),
        at: milepost_tests::rig::START,
        token: None,
    };
    rig.store.send_signal(&r1(), older).await.unwrap();
    let newer = rig.engine().signal(&r1(), "go", &json!(2)).await.unwrap();
    assert_eq!((newer.answer, newer.goes_on), (SignalAnswer::Kept, false));
    rig.work().await;
    assert_eq!(
        rig.engine().report(&r1()).now().unwrap().output,
        json!({"got": 1})
    );
}

#[tokio::test]
async fn a_signal_that_nothing_can_wait_for_is_refused_with_the_nearest_name() {
    let rig = Rig::new(
        "[[step]]\nid = \"w\"\nwait = { signal = 'payment' }\n",
        &Script::new(),
    );
    rig.run().await.unwrap();
    match rig.engine().signal(&r1(), "paymnet", &json!(1)).await {
        Err(EngineError::UnknownSignal { unknown, .. }) => {
            assert_eq!(unknown.nearest, ["payment"]);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(rig.store.inbox(&r1(), 10).now().unwrap(), []);
    // A component may pause for whatever it likes.
    let rig = Rig::new(WAITS, &echo());
    rig.run().await.unwrap();
    let kept = rig.engine().signal(&r1(), "og", &json!(1)).await.unwrap();
    assert_eq!(kept.answer, SignalAnswer::Kept);
    assert_eq!(
        (kept.waits_for.as_deref(), kept.nearest),
        (Some("go"), vec!["go".to_owned()])
    );
    // Within what a name may have.
    for (bytes, taken) in [(128, true), (129, false)] {
        let name = "x".repeat(bytes);
        match rig.engine().signal(&r1(), &name, &json!(1)).await {
            Ok(_) => assert!(taken, "{bytes}"),
            Err(EngineError::UnknownSignal { .. }) => assert!(!taken, "{bytes}"),
            other => panic!("{bytes}: {other:?}"),
        }
    }
    let inbox = rig.store.inbox(&r1(), 10).now().unwrap();
    assert_eq!(inbox.len(), 2, "what is refused is not kept");
}

#[tokio::test]
async fn two_gates_are_decided_in_their_order() {
    let gate = |id: &str| format!("[[step]]\nid = \"{id}\"\napproval = {{ message = '{id}?' }}\n");
    let rig = Rig::sqlite(&format!("{}{}", gate("g1"), gate("a2")), &Script::new());
    rig.run().await.unwrap();
    decide(&rig, Verdict::Approved).await.unwrap();
    rig.work().await;
    let from = "g1".parse().unwrap();
    let report = rig
        .engine()
        .retry(&r1(), Some(&from), ResumeOptions::default())
        .await;
    assert_eq!(report.unwrap().stop.unwrap().path, "g1".parse().ok());
    let later = ApprovalDecision {
        path: Some("a2".to_owned()),
        ..decision(Verdict::Rejected)
    };
    match rig.engine().decide_approval(&r1(), &later).await {
        Err(EngineError::NotWaiting { reason, .. }) => {
            assert!(reason.contains("asks at `g1`"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    let first = decide(&rig, Verdict::Approved).await.unwrap();
    assert_eq!(
        (first.path.to_string(), first.goes_on),
        ("g1".to_owned(), true)
    );
    rig.work().await;
    let second = decide(&rig, Verdict::Approved).await.unwrap();
    assert_eq!(second.path.to_string(), "a2");
}

// Whoever was quicker brought the run to its next question before the slower one could write.
#[tokio::test]
async fn a_decision_never_answers_the_next_question() {
    let gate = |id: &str| format!("[[step]]\nid = \"{id}\"\napproval = {{ message = '{id}?' }}\n");
    let rig = Rig::sqlite(&format!("{}{}", gate("g1"), gate("g2")), &Script::new());
    rig.run().await.unwrap();
    let held = Gate::default();
    let slow = {
        let held = held.clone();
        FaultyStore::new(Arc::new(rig.open_sqlite()), move |n| match n {
            1 => Fault::Held(held.clone()),
            _ => Fault::None,
        })
    };
    let slow = rig.engine_on(Arc::new(slow));
    let (run, no) = (r1(), decision(Verdict::Rejected));
    let (slower, ()) = tokio::join!(slow.decide_approval(&run, &no), async {
        held.came().await;
        decide(&rig, Verdict::Approved).await.unwrap();
        rig.work().await;
        held.open();
    });
    match slower {
        Err(EngineError::AlreadyDecided(earlier)) => {
            assert_eq!(
                (earlier.path.to_string(), earlier.decision),
                ("g1".to_owned(), Verdict::Approved)
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(
        rig.engine().report(&r1()).now().unwrap().stop.unwrap().path,
        "g2".parse().ok()
    );
}

/// Some databases have no NUL in a text: it is refused before any store is asked.
#[tokio::test]
async fn names_and_notes_with_a_nul_are_refused() {
    let rig = Rig::new(ASKS, &Script::new());
    rig.run().await.unwrap();
    let engine = rig.engine();
    let (comment, by) = (decision(Verdict::Approved), decision(Verdict::Approved));
    let nul = || Some("a\0b".to_owned());
    for refused in [
        ApprovalDecision {
            comment: nul(),
            ..comment
        },
        ApprovalDecision { by: nul(), ..by },
    ] {
        let answer = engine.decide_approval(&r1(), &refused).await;
        assert!(matches!(answer, Err(EngineError::NoteWithNul { .. })));
    }
    for answer in [
        engine.cancel(&r1(), "a\0b").await,
        engine.kill(&r1(), "a\0b").await,
        engine.pause(&r1(), false, "a\0b").await,
    ] {
        assert!(matches!(answer, Err(EngineError::NoteWithNul { .. })));
    }
    for (name, token) in [("a\0b", "t"), ("go", "a\0b")] {
        let sent = engine.signal_once(&r1(), name, &json!(1), token).await;
        let refused = sent.unwrap_err().to_string();
        assert!(refused.contains("and no NUL"), "{refused}");
    }
}

/// What a component chooses is recorded as it is, in a body that escapes it; the columns have it without.
#[tokio::test]
async fn what_a_component_names_with_a_nul_stands_in_no_column() {
    let script = Script::new().step("a", |_| {
        let Outcome::Paused(pause) = pause("quota") else {
            unreachable!("a pause");
        };
        Outcome::Paused(Pause {
            provider: Some("a\0b".to_owned()),
            signal: Some("go\0".to_owned()),
            ..pause
        })
    });
    let rig = Rig::sqlite(&steps(&["a"]), &script);
    rig.run().await.unwrap();
    let row = rig.row();
    assert_eq!(row.provider.as_deref(), Some("a\u{FFFD}b"));
    assert_eq!(row.awaits, ["go\u{FFFD}"]);
    let body = &rig.store.journal(&r1(), 0, 9).now().unwrap();
    assert!(body.iter().any(|entry| entry.body.contains("a\\u0000b")));
    assert!(body.iter().all(|entry| !entry.body.contains('\0')));
}

#[tokio::test]
async fn notes_that_are_too_long_are_refused() {
    let rig = Rig::new(ASKS, &Script::new());
    rig.run().await.unwrap();
    let long = || Some("x".repeat(limits::NOTE_BYTES + 1));
    let (comment, by) = (decision(Verdict::Approved), decision(Verdict::Approved));
    for refused in [
        ApprovalDecision {
            comment: long(),
            ..comment
        },
        ApprovalDecision { by: long(), ..by },
    ] {
        let answer = rig.engine().decide_approval(&r1(), &refused).await;
        assert!(
            matches!(answer, Err(EngineError::NoteTooLong { .. })),
            "{answer:?}"
        );
    }
    let answer = rig
        .engine()
        .cancel(&r1(), &"x".repeat(limits::NOTE_BYTES + 1))
        .await;
    assert!(
        matches!(answer, Err(EngineError::NoteTooLong { .. })),
        "{answer:?}"
    );
    let most = ApprovalDecision {
        comment: Some("x".repeat(limits::NOTE_BYTES)),
        ..decision(Verdict::Approved)
    };
    rig.engine().decide_approval(&r1(), &most).await.unwrap();
}

#[tokio::test]
async fn a_signal_with_a_token_is_one_however_often_it_is_sent() {
    let rig = Rig::sqlite(WAITS, &echo());
    rig.run().await.unwrap();
    let engine = rig.engine();
    let send = async |data: i32, token: &str| {
        let sent = engine
            .signal_once(&r1(), "go", &json!(data), token)
            .await
            .map_err(|error| error.to_string())?;
        Ok::<_, String>((sent.answer, sent.status))
    };
    let delivered = Ok((SignalAnswer::Delivered, Status::Paused));
    assert_eq!(send(1, "t").await, delivered);
    assert_eq!(send(1, "t").await, delivered, "taken, and nothing is kept");
    assert!(rig.store.inbox(&r1(), 9).now().unwrap().is_empty());
    // The same token for something else, and what is none.
    let refused = send(2, "t").await.unwrap_err();
    assert!(refused.contains("another signal was already sent with that token"));
    for bad in [String::new(), "x".repeat(limits::TOKEN_BYTES + 1)] {
        let refused = send(2, &bad).await.unwrap_err();
        assert!(refused.contains("a signal's token has 1 to 256 bytes"));
    }
    // Another one waits until the run is over, which never takes it.
    let kept = Ok((SignalAnswer::Kept, Status::Paused));
    assert_eq!(send(2, "u").await, kept);
    assert_eq!(send(2, "u").await, kept);
    rig.work().await;
    assert_eq!(
        rig.engine().report(&r1()).now().unwrap().output,
        json!({"got": 1})
    );
    let delivered = Ok((SignalAnswer::Delivered, Status::Completed));
    assert_eq!(send(1, "t").await, delivered, "the lost answer, again");
    for never_taken in [(2, "u"), (3, "new")] {
        let refused = send(never_taken.0, never_taken.1).await.unwrap_err();
        assert!(refused.contains("the run is completed"), "{refused}");
    }
}
