//! Signals and approvals, as they reach a run through the store.

use std::sync::Arc;

use milepost::engine::{Control, Decided, Decision, EngineError, SignalAnswer};
use milepost_core::event::{Event, StopCode};
use milepost_core::limits;
use milepost_core::outcome::{Outcome, Pause};
use milepost_core::state::Status;
use milepost_core::wait::Verdict;
use milepost_tests::faulty::{Fault, FaultyStore};
use milepost_tests::rig::{Rig, r1};
use milepost_tests::scripted::{Gate, Script, ok};
use serde_json::{Value, json};

use super::{count, steps};

const WAITS: &str = "\
[[step]]\nid = \"w\"\nwait = { signal = \"go\" }\n\
[[step]]\nid = \"b\"\nuse = \"p/b\"\nwith = { got = \"${ steps.w.output.data }\" }\n";

const ASKS: &str = "\
[[step]]\nid = \"a\"\nuse = \"p/a\"\n\
[[step]]\nid = \"g\"\napproval = { message = \"Ship ${ steps.a.output.at }?\" }\n\
[[step]]\nid = \"b\"\nuse = \"p/b\"\n";

const REWORKS: &str = "\
[[step]]\nid = \"a\"\nuse = \"p/a\"\nwith = { why = \"${ steps.g.?output.comment.orValue('') }\" }\n\
[[step]]\nid = \"g\"\napproval = { message = \"Good?\", rework = { from = \"a\", max_attempts = 2 } }\n";

fn echo() -> Script {
    Script::new()
        .step("b", |call| ok((*call.input).clone()))
        .step("a", |call| ok((*call.input).clone()))
}

fn decision(verdict: Verdict) -> Decision {
    Decision {
        path: None,
        verdict,
        comment: Some("because".to_owned()),
        by: Some("ann".to_owned()),
    }
}

async fn decide(rig: &Rig, verdict: Verdict) -> Result<Decided, EngineError> {
    rig.engine().decide(&r1(), &decision(verdict)).await
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
    assert_eq!(answer, SignalAnswer::Delivered);
    let row = rig.row();
    assert_eq!(
        (row.status, row.stop_code.as_deref()),
        (Status::Paused, Some("ready"))
    );
    assert_eq!(
        rig.store.inbox(&r1(), 10).unwrap(),
        [],
        "taken in the same transaction"
    );
    assert_eq!(rig.work().await.taken, 1);
    assert_eq!(
        rig.engine().report(&r1()).unwrap().output,
        json!({"got": {"n": 7}})
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
            assert_eq!(answer, SignalAnswer::Kept);
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
        .unwrap()
        .into_iter()
        .map(|s| s.signal.data)
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
    };
    rig.store.send_signal(&r1(), signal).await.unwrap();
    assert_eq!(rig.sweep().await.delivered, [r1()]);
    rig.work().await;
    assert_eq!(
        rig.engine().report(&r1()).unwrap().output,
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
    assert_eq!(sent, SignalAnswer::Delivered);
    rig.work().await;
    assert_eq!(rig.engine().report(&r1()).unwrap().output, json!("hello"));
}

#[tokio::test]
async fn b300_b301_b309_b310_an_approval_pauses_and_an_approved_run_goes_on_behind_it() {
    let rig = Rig::sqlite(ASKS, &Script::new());
    let report = rig.run().await.unwrap();
    let stop = report.stop.as_ref().unwrap();
    assert_eq!(
        (report.status, stop.code),
        (Status::Paused, StopCode::WaitingForApproval)
    );
    assert_eq!(stop.path.as_deref(), Some("g"));
    assert!(stop.message.contains("Ship a?"), "{}", stop.message);
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
    assert_eq!(gate.output["decision"], "approved");
    assert_eq!(
        (&gate.output["comment"], &gate.output["by"]),
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
            Err(EngineError::AlreadyDecided { decision, .. }) => assert_eq!(decision, "approved"),
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
    let (one, two) = tokio::join!(engine.decide(&run, &yes), engine.decide(&run, &no));
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
        .decide(&r1(), &decision(Verdict::Approved))
        .await;
    assert!(refused.is_err());
    assert_eq!((rig.row(), rig.journal()), before);
    decide(&rig, Verdict::Approved).await.unwrap();
}

#[tokio::test]
async fn b305_a_running_run_is_not_decided() {
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
    let report = rig.engine().report(&r1()).unwrap();
    assert_eq!(report.stop_reason, Some("rejected"));
    assert!(report.ended_at.is_some());
    assert_eq!(
        rig.row().seq,
        commits + 2,
        "the decision and the end, together"
    );
    assert!(matches!(
        decide(&rig, Verdict::Approved).await,
        Err(EngineError::AlreadyDecided { .. })
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
    let report = rig.engine().report(&r1()).unwrap();
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
        |entry| matches!(&entry.event, Event::ApprovalDecided { rework, .. } if !rework.is_empty()),
    );
    assert_eq!(reworks.count(), 1);
}
