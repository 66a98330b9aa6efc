//! Signals: the wait or the paused component that one ends, and what it leaves alone.

use milepost_core::event::{Event, StepEvent, WaitEvent};
use milepost_core::limits;
use milepost_core::outcome::{ErrorClass, Outcome, Pause, codes};
use milepost_core::request::resume::ResumeBy;
use milepost_core::request::signal::{Delivery, Kept, SignalRefused, deliver, send};
use milepost_core::state::{Rejected, Status};
use milepost_core::stop::{StopCode, Why};
use milepost_core::time::Timestamp;
use serde_json::{Value, json};

use crate::sim::{Attempt, Sim, ok, pause};
use crate::waits::{around, fine, secs, stopped_at};

#[test]
fn a_signal_ends_its_wait_and_the_run_is_due_at_once() {
    let mut sim = stopped_at("wait = { signal = \"go\" }");
    assert_eq!(
        (sim.stop().code(), sim.stop().due_at),
        (StopCode::WaitingForSignal, None)
    );
    let signal = "go".to_owned();
    assert_eq!(sim.stop().why, Why::WaitingForSignal { signal });
    assert_eq!(sim.step("w").status(), "waiting");
    assert_eq!(sim.state.awaits("stop"), None);
    sim.pass(secs(5)).signal("go", json!({ "n": 1 })).unwrap();
    assert_eq!(sim.status(), Status::Paused, "until somebody takes it");
    assert_eq!(
        (sim.stop().code(), sim.stop().due_at),
        (StopCode::Ready, Some(sim.state.created_at()))
    );
    assert_eq!(sim.state.awaits("go"), None, "a signal ends one wait");
    sim.work(ResumeBy::Wait).run(fine);
    assert_eq!(sim.status(), Status::Completed);
    assert_eq!(
        sim.output("w"),
        json!({ "signal": "go", "data": { "n": 1 }, "timed_out": false })
    );
}

#[test]
fn a_signal_that_nobody_waits_for_is_refused() {
    let forged = |sim: &Sim, signal: &str| Event::Step {
        path: "w".parse().unwrap(),
        event: StepEvent::Wait(WaitEvent::SignalReceived {
            signal: signal.to_owned(),
            data: Value::Null.into(),
            sent_at: sim.now,
        }),
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
    sim.work(ResumeBy::Wait).run(fine);
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
    sim.move_once();
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
    sim.pass_to_due().work(ResumeBy::Wait).run(fine);
    assert_eq!(sim.status(), Status::Failed);
    let error = sim.error("w");
    assert_eq!(
        (error.class, error.code.as_str()),
        (ErrorClass::Timeout, codes::WAIT_TIMED_OUT)
    );
    // A resume waits again, as long as at first.
    sim.resume().run(fine);
    assert_eq!(sim.stop().due_at, Some(due.after(secs(30))));
    assert_eq!(sim.step("w").attempts(), 2);
    sim.signal("go", json!(1)).unwrap();
    sim.work(ResumeBy::Wait).run(fine);
    assert_eq!(sim.status(), Status::Completed);
    assert_eq!(sim.calls, ["a", "b"]);

    let mut sim = stopped_at(&signal("continue_on_error = true"));
    sim.pass_to_due().work(ResumeBy::Wait).run(fine);
    assert_eq!(sim.calls, ["a", "b"], "it goes on after the failure");
    assert_eq!(sim.status(), Status::Completed);

    let mut sim =
        stopped_at("wait = { signal = \"go\", timeout = \"30s\", on_timeout = \"continue\" }");
    sim.pass_to_due().work(ResumeBy::Wait).run(fine);
    assert_eq!(sim.status(), Status::Completed);
    assert_eq!(
        sim.output("w"),
        json!({ "signal": "go", "data": null, "timed_out": true })
    );
}

#[test]
fn a_signal_that_was_sent_in_time_ends_the_wait_whenever_it_is_delivered_and_a_late_one_does_not() {
    let mut sim = stopped_at("wait = { signal = \"go\", timeout = \"30s\" }");
    let sent = sim.now.after(secs(30));
    sim.pass_to_due().pass(secs(5));
    let before = Timestamp::from_nanos(sent.as_nanos() - 1);
    let delivered = |name: &str, sent_at| {
        let kept = Kept {
            number: 3,
            name,
            data: "1",
            sent_at,
        };
        deliver(Some(&sim.definition), &sim.state, [kept]).unwrap()
    };
    assert_eq!(delivered("go", sent), None);
    assert_eq!(delivered("og", before), None);
    let Delivery { number, events } = delivered("go", before).unwrap();
    assert_eq!(number, 3);
    events.into_iter().for_each(|event| sim.record(event));
    sim.work(ResumeBy::Wait).run(fine);
    assert_eq!(sim.output("w")["timed_out"], false);
}

#[test]
fn a_signal_that_comes_too_late_finds_what_the_timeout_left() {
    for (settings, word) in [
        ("", "step_failed"),
        (", on_timeout = \"continue\"", "wait_ended"),
    ] {
        let mut sim = stopped_at(&format!(
            "wait = {{ signal = \"go\", timeout = \"30s\"{settings} }}"
        ));
        assert_eq!(sim.overdue(), None);
        sim.pass_to_due();
        let event = sim.overdue().unwrap();
        assert_eq!(event.name(), word);
        sim.record(event);
        assert_eq!(
            (sim.stop().code(), sim.status()),
            (StopCode::Ready, Status::Paused)
        );
        assert_eq!(sim.state.awaits("go"), None);
        sim.work(ResumeBy::Wait).run(fine);
        let failed = settings.is_empty();
        assert_eq!(sim.status() == Status::Failed, failed, "{settings}");
    }
}

#[test]
fn time_does_not_end_a_wait_that_is_not_over_or_stands_nowhere() {
    let mut sim = stopped_at("wait = { signal = \"go\" }");
    sim.pass(secs(1_000_000));
    assert_eq!(sim.overdue(), None);
    let mut sim = stopped_at("wait = { signal = \"go\", timeout = \"30s\" }");
    sim.pass_to_due().work(ResumeBy::Wait);
    assert_eq!(sim.overdue(), None, "a worker has it");
    sim.run(fine);
}

#[test]
fn what_a_signal_brings_has_to_fit_into_the_state_of_the_run() {
    let mut sim = stopped_at("wait = { signal = \"go\" }");
    let room = limits::RUN_STATE_BYTES - sim.state.recorded_bytes();
    let data = json!("x".repeat(room));
    let sending = send(Some(&sim.definition), &sim.state, "go", &data, sim.now);
    assert!(
        matches!(sending, Err(SignalRefused::NoRoom(_))),
        "{sending:?}"
    );
    // It was kept when there was room.
    let kept = Kept {
        number: 1,
        name: "go",
        data: &data.to_string(),
        sent_at: sim.now,
    };
    let delivery = deliver(Some(&sim.definition), &sim.state, [kept])
        .unwrap()
        .unwrap();
    delivery
        .events
        .into_iter()
        .for_each(|event| sim.record(event));
    assert_eq!(sim.error("w").code, codes::RUN_STATE_TOO_LARGE);
    sim.work(ResumeBy::Wait).run(fine);
    assert_eq!(sim.status(), Status::Failed);
}

// Names in the alphabet's order say nothing about the order of the steps.
#[test]
fn a_signal_goes_to_where_the_run_stands() {
    let mut sim = Sim::new(
        r#"
        [[step]]
        id = "z_first"
        wait = { signal = "go" }
        [[step]]
        id = "a_second"
        wait = { signal = "go" }
        "#,
    );
    sim.run(fine);
    sim.signal("go", json!(1)).unwrap();
    sim.work(ResumeBy::Wait).run(fine);
    sim.retry(Some("z_first")).run(fine);
    sim.signal("go", json!(2)).unwrap();
    assert_eq!(sim.output("z_first")["data"], 2);
    sim.work(ResumeBy::Wait).run(fine);
    assert_eq!(sim.stop().path.as_ref().unwrap().to_string(), "a_second");
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
        (sim.stop().code(), sim.stop().due_at),
        (StopCode::StepPaused, None)
    );
    let Why::StepPaused(pausing) = &sim.stop().why else {
        panic!("a step asked to pause");
    };
    assert_eq!(pausing.signal.as_deref(), Some("answer"));
    sim.signal("answer", json!({ "yes": true })).unwrap();
    assert_eq!(
        (sim.stop().code(), sim.stop().due_at),
        (StopCode::Ready, Some(sim.now))
    );
    sim.work(ResumeBy::Wait);
    let attempt = sim.next_attempt().unwrap();
    assert_eq!(attempt.attempt, 2);
    let record = sim.step("a");
    assert_eq!(record.resume_signal(), Some(&json!({ "yes": true })));
    assert_eq!(record.resume_state(), Some(&json!({ "asked": true })));
    sim.end(&attempt, ok(json!({})));
    let record = sim.step("a");
    assert_eq!(
        (&record.resume_signal(), &record.resume_state()),
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
    assert_eq!(sim.step("a").resume_signal(), None);
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
    sim.work(ResumeBy::Wait).run(again);
    assert_eq!(sim.status(), Status::Paused);
    assert_eq!(
        sim.step("a").resume_signal(),
        None,
        "the second pause asks anew"
    );
    sim.signal("answer", json!(2)).unwrap();
    assert_eq!(sim.step("a").resume_signal(), Some(&json!(2)));
    sim.work(ResumeBy::Wait).run(again);
    assert_eq!(sim.status(), Status::Completed);
}

#[test]
fn a_run_that_a_person_paused_is_not_woken_by_a_signal() {
    let mut sim = Sim::new(&around("wait = { signal = \"go\" }"));
    let attempt = sim.next_attempt().unwrap();
    sim.end(&attempt, ok(json!({})));
    sim.move_once();
    sim.pause();
    sim.signal("go", json!(null)).unwrap();
    assert_eq!(
        (sim.stop().code(), sim.stop().due_at),
        (StopCode::Interrupted, None)
    );
    sim.resume().run(fine);
    assert_eq!(sim.status(), Status::Completed, "the signal is not lost");
}

#[test]
fn a_signal_does_not_cut_the_pause_of_another_step_short() {
    let mut sim = stopped_at("wait = { signal = \"go\" }");
    sim.retry(Some("a")).run(|_| pause("quota"));
    let before = sim.stop();
    assert_eq!(before.path.as_ref().unwrap().to_string(), "a");
    assert_eq!(
        sim.state.awaits("go"),
        None,
        "the wait begins anew behind it"
    );
    sim.resume().run(fine);
    assert_eq!(sim.stop().path.as_ref().unwrap().to_string(), "w");
}
