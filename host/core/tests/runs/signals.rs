//! Signals: the wait or the paused component that one ends, and what it leaves alone.

use milepost_core::decide::{Decision, decide};
use milepost_core::event::{Event, StopCode};
use milepost_core::outcome::{ErrorClass, Outcome, Pause, codes};
use milepost_core::resume::GoOn;
use milepost_core::state::{Rejected, Status};
use serde_json::{Value, json};

use crate::sim::{Attempt, Sim, ok, pause};
use crate::waits::{around, fine, secs, stopped_at};

#[test]
fn a_signal_ends_its_wait_and_the_run_is_due_at_once() {
    let mut sim = stopped_at("wait = { signal = \"go\" }");
    assert_eq!(
        (sim.stop().code, sim.stop().due_at),
        (StopCode::WaitingForSignal, None)
    );
    assert!(sim.stop().next.contains("milepost signal r1 go"));
    assert_eq!(sim.step("w").status(), "waiting");
    assert_eq!(sim.state.awaits("stop"), None);
    sim.pass(secs(5)).signal("go", json!({ "n": 1 })).unwrap();
    assert_eq!(sim.status(), Status::Paused, "until somebody takes it");
    assert_eq!(
        (sim.stop().code, sim.stop().due_at),
        (StopCode::Ready, Some(sim.state.created_at))
    );
    assert_eq!(sim.state.awaits("go"), None, "a signal ends one wait");
    sim.work(GoOn::Wait).run(fine);
    assert_eq!(sim.status(), Status::Completed);
    assert_eq!(
        sim.output("w"),
        json!({ "signal": "go", "data": { "n": 1 }, "timed_out": false })
    );
}

#[test]
fn a_signal_that_nobody_waits_for_is_refused() {
    let forged = |sim: &Sim, signal: &str| Event::SignalReceived {
        path: "w".parse().unwrap(),
        signal: signal.to_owned(),
        data: Value::Null.into(),
        sent_at: sim.now,
    };
    let mut sim = Sim::new(&around("wait = { signal = \"go\" }"));
    let event = forged(&sim, "go");
    assert!(matches!(sim.try_record(event), Err(Rejected::Step { .. })));
    sim.run(fine);
    let event = forged(&sim, "stop");
    assert!(matches!(sim.try_record(event), Err(Rejected::Step { .. })));
    sim.signal("go", json!(null)).unwrap();
    let event = forged(&sim, "go");
    assert!(matches!(sim.try_record(event), Err(Rejected::Step { .. })));
    sim.work(GoOn::Wait).run(fine);
    let event = forged(&sim, "go");
    assert!(matches!(
        sim.try_record(event),
        Err(Rejected::NotRunning { .. })
    ));
}

// Signals that came before are kept by the store; the engine hands one over as soon as the wait begins.
#[test]
fn a_signal_that_came_before_ends_the_wait_without_a_pause() {
    let mut sim = Sim::new(&around("wait = { signal = \"go\", timeout = \"2h\" }"));
    let attempt = sim.next_attempt().unwrap();
    sim.end(&attempt, ok(json!({})));
    let Decision::Record(started) = decide(&sim.definition, &sim.state, sim.now) else {
        panic!("the wait begins");
    };
    sim.record(started);
    sim.signal("go", json!("early")).unwrap();
    sim.run(fine);
    assert_eq!(sim.status(), Status::Completed);
    assert!(!sim.events().contains(&"run_paused"));
    assert_eq!(sim.output("w")["data"], "early");
}

#[test]
fn a_wait_for_a_signal_that_does_not_come_fails_unless_it_may_go_on() {
    let signal = |rest: &str| format!("wait = {{ signal = \"go\", timeout = \"30s\" }}\n{rest}");
    let mut sim = stopped_at(&signal(""));
    let due = sim.now.after(secs(30));
    assert_eq!(
        sim.stop().due_at,
        Some(due),
        "a signal is never sat out in the process"
    );
    sim.pass_to_due().work(GoOn::Wait).run(fine);
    assert_eq!(sim.status(), Status::Failed);
    let error = sim.error("w");
    assert_eq!(
        (error.class, error.code.as_str()),
        (ErrorClass::Timeout, codes::WAIT_TIMED_OUT)
    );
    // A resume waits again, as long as at first.
    sim.resume().run(fine);
    assert_eq!(sim.stop().due_at, Some(due.after(secs(30))));
    assert_eq!(sim.step("w").attempts, 2);
    sim.signal("go", json!(1)).unwrap();
    sim.work(GoOn::Wait).run(fine);
    assert_eq!(sim.status(), Status::Completed);
    assert_eq!(sim.calls, ["a", "b"]);

    let mut sim = stopped_at(&signal("continue_on_error = true"));
    sim.pass_to_due().work(GoOn::Wait).run(fine);
    assert_eq!(sim.calls, ["a", "b"], "it goes on after the failure");
    assert_eq!(sim.status(), Status::Completed);

    let mut sim =
        stopped_at("wait = { signal = \"go\", timeout = \"30s\", on_timeout = \"continue\" }");
    sim.pass_to_due().work(GoOn::Wait).run(fine);
    assert_eq!(sim.status(), Status::Completed);
    assert_eq!(
        sim.output("w"),
        json!({ "signal": "go", "data": null, "timed_out": true })
    );
}

#[test]
fn a_signal_wins_as_long_as_the_time_out_is_not_recorded() {
    let mut sim = stopped_at("wait = { signal = \"go\", timeout = \"30s\" }");
    sim.pass_to_due().pass(secs(5));
    sim.signal("go", json!(null)).unwrap();
    sim.work(GoOn::Wait).run(fine);
    assert_eq!(sim.output("w")["timed_out"], false);
}

fn asks(signal: Option<&str>, attempt: &Attempt) -> Outcome {
    match (pause("ask"), attempt.attempt) {
        (Outcome::Paused(pause), 1) => Outcome::Paused(Pause {
            signal: signal.map(str::to_owned),
            state: Some(json!({ "asked": true })),
            ..pause
        }),
        _ => ok(json!({})),
    }
}

#[test]
fn a_signal_wakes_a_component_that_paused_for_it() {
    let mut sim = Sim::new("[[step]]\nid = \"a\"\nuse = \"p/a\"\n");
    sim.run(|attempt| asks(Some("answer"), attempt));
    assert_eq!(
        (sim.stop().code, sim.stop().due_at),
        (StopCode::StepPaused, None)
    );
    assert!(sim.stop().next.contains("milepost signal r1 answer"));
    sim.signal("answer", json!({ "yes": true })).unwrap();
    assert_eq!(
        (sim.stop().code, sim.stop().due_at),
        (StopCode::Ready, Some(sim.now))
    );
    sim.work(GoOn::Wait);
    let attempt = sim.next_attempt().unwrap();
    assert_eq!(attempt.attempt, 2);
    let record = sim.step("a");
    assert_eq!(record.resume_signal, Some(json!({ "yes": true })));
    assert_eq!(record.resume_state, Some(json!({ "asked": true })));
    sim.end(&attempt, ok(json!({})));
    let record = sim.step("a");
    assert_eq!(
        (&record.resume_signal, &record.resume_state),
        (&None, &None)
    );
    sim.run(fine);
    assert_eq!(sim.status(), Status::Completed);
}

#[test]
fn a_resume_by_hand_calls_the_component_without_a_signal() {
    let mut sim = Sim::new("[[step]]\nid = \"a\"\nuse = \"p/a\"\n");
    sim.run(|attempt| asks(Some("answer"), attempt));
    sim.resume();
    let attempt = sim.next_attempt().unwrap();
    assert_eq!(sim.step("a").resume_signal, None);
    sim.end(&attempt, pause("ask"));
    // What came for one pause is not there for the next.
    sim.run(fine).resume();
    assert_eq!(sim.state.awaits("answer"), None);
    sim.run(fine);
}

#[test]
fn a_signal_does_not_wake_a_component_twice() {
    let mut sim = Sim::new("[[step]]\nid = \"a\"\nuse = \"p/a\"\n");
    let again = |attempt: &Attempt| match attempt.attempt {
        1 | 2 => asks(
            Some("answer"),
            &Attempt {
                attempt: 1,
                ..Attempt::clone(attempt)
            },
        ),
        _ => ok(json!({})),
    };
    sim.run(again);
    sim.signal("answer", json!(1)).unwrap();
    sim.work(GoOn::Wait).run(again);
    assert_eq!(sim.status(), Status::Paused);
    assert_eq!(
        sim.step("a").resume_signal,
        None,
        "the second pause asks anew"
    );
    sim.signal("answer", json!(2)).unwrap();
    assert_eq!(sim.step("a").resume_signal, Some(json!(2)));
    sim.work(GoOn::Wait).run(again);
    assert_eq!(sim.status(), Status::Completed);
}

#[test]
fn a_run_that_a_person_paused_is_not_woken_by_a_signal() {
    let mut sim = Sim::new(&around("wait = { signal = \"go\" }"));
    let attempt = sim.next_attempt().unwrap();
    sim.end(&attempt, ok(json!({})));
    if let Decision::Record(started) = decide(&sim.definition, &sim.state, sim.now) {
        sim.record(started);
    }
    sim.pause();
    sim.signal("go", json!(null)).unwrap();
    assert_eq!(
        (sim.stop().code, sim.stop().due_at),
        (StopCode::Interrupted, None)
    );
    sim.resume().run(fine);
    assert_eq!(sim.status(), Status::Completed, "the signal is not lost");
}

#[test]
fn a_signal_does_not_cut_the_pause_of_another_step_short() {
    let mut sim = stopped_at("wait = { signal = \"go\" }");
    sim.retry(Some("a")).run(|_| pause("quota"));
    let before = sim.stop().clone();
    assert_eq!(before.path.as_ref().unwrap().to_string(), "a");
    sim.signal("go", json!(null)).unwrap();
    assert_eq!(*sim.stop(), before);
    sim.resume().run(fine);
    assert_eq!(sim.status(), Status::Completed);
}
