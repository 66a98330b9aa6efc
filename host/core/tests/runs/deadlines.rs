//! Deadlines: over all attempts and waits of a step, from its first start at its path.

use std::time::Duration;

use milepost_core::decide::{Decision, decide};
use milepost_core::event::{Event, StepEvent};
use milepost_core::outcome::{ErrorClass, codes};
use milepost_core::request::resume::ResumeBy;
use milepost_core::state::{Status, StepPhase};
use milepost_core::stop::StopCode;
use serde_json::json;

use crate::sim::{Attempt, Sim, error, fail, ok, pause, retryable};
use crate::waits::{around, fine, secs};

const EXCEEDED: &str = codes::DEADLINE_EXCEEDED;

fn failed_by_deadline(sim: &Sim, step: &str) -> bool {
    let error = sim.error(step);
    (error.class, error.code.as_str()) == (ErrorClass::Timeout, EXCEEDED)
}

/// The timeout of the attempt that was started last.
fn timeout(sim: &Sim) -> Duration {
    let started = sim
        .journal
        .iter()
        .rev()
        .find_map(|entry| match &entry.event {
            Event::Step {
                event: StepEvent::Started(started),
                ..
            } => Some(started.timeout_millis),
            _ => None,
        });
    Duration::from_millis(started.unwrap())
}

/// What the core wants to end now.
fn cancelled(sim: &Sim) -> Vec<String> {
    match decide(&sim.definition, &sim.state, sim.now) {
        Decision::Wait { cancel, .. } => cancel.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

fn interrupt(sim: &mut Sim, attempt: &Attempt) {
    let event = StepEvent::Interrupted {
        attempt: attempt.attempt,
    };
    sim.record(event.at(attempt.path.parse().unwrap()));
}

#[test]
fn attempts_waits_and_the_last_timeout_count() {
    let keys = "use = \"p/w\"\ntimeout = \"2m\"\ndeadline = \"3m\"\nretry = { initial = \"30s\", on = [\"timeout\"], max_attempts = 9 }";
    let mut sim = Sim::new(&around(keys));
    let first = sim.next_attempt().unwrap();
    sim.end(&first, ok(json!({})));
    let due = sim.now.after(secs(180));
    let one = sim.next_attempt().unwrap();
    assert_eq!(timeout(&sim), secs(120));
    assert_eq!(sim.step("w").deadline(), Some(due));
    sim.pass(secs(120));
    sim.end(&one, error(ErrorClass::Timeout, codes::TIMEOUT));
    assert!(matches!(sim.step("w").phase(), StepPhase::Waiting { .. }));
    let two = sim.next_attempt().unwrap();
    assert_eq!(timeout(&sim), secs(30), "120 s and 30 s of 180 s are over");
    sim.pass(secs(30));
    sim.end(&two, error(ErrorClass::Timeout, codes::TIMEOUT));
    assert!(failed_by_deadline(&sim, "w"), "whatever its retries say");
    sim.run(fine);
    assert_eq!(sim.status(), Status::Failed);
    assert_eq!(sim.failures(), [("w".into(), EXCEEDED.into())]);
    assert_eq!(sim.calls, ["a", "w", "w"]);

    // A timeout of its own is one, and a person who runs the step again gives it its whole time.
    sim.pass(secs(3_600)).resume();
    let three = sim.next_attempt().unwrap();
    assert_eq!(timeout(&sim), secs(120));
    sim.end(&three, ok(json!({})));
    sim.run(fine);
    assert_eq!(sim.status(), Status::Completed);
}

#[test]
fn a_retry_that_would_come_too_late_is_not_waited_for() {
    let keys = "use = \"p/w\"\ndeadline = \"1m\"\nretry = { initial = \"60s\" }";
    let mut sim = Sim::new(&around(keys));
    sim.run(|attempt| match attempt.step.as_str() {
        "w" => retryable("busy"),
        _ => ok(json!({})),
    });
    assert!(failed_by_deadline(&sim, "w"));
    assert_eq!(sim.waits, []);
    let message = sim.error("w").message;
    assert!(
        message.contains("1m") && message.contains("(busy): busy happened"),
        "{message}"
    );
    // The attempt has the outcome that it had.
    assert!(sim.events().contains(&"attempt_failed"));
}

#[test]
fn a_pause_does_not_stop_the_clock() {
    {
        let mut sim = Sim::new(&around("use = \"p/w\"\ndeadline = \"10m\""));
        let started = sim.now;
        sim.run(|attempt| match attempt.step.as_str() {
            "w" => pause("quota"),
            _ => ok(json!({})),
        });
        let stop = sim.stop();
        assert_eq!(
            (stop.code(), stop.due_at),
            (StopCode::StepPaused, Some(started.after(secs(600))))
        );
        sim.pass_to_due().work(ResumeBy::Schedule).run(fine);
        assert_eq!(sim.failures(), [("w".into(), EXCEEDED.into())]);
        assert_eq!(sim.calls, ["a", "w"]);
    }
    // Resumed in time it goes on, with the time that is left.
    let mut sim = Sim::new(&around("use = \"p/w\"\ndeadline = \"10m\""));
    sim.run(|attempt| match attempt.step.as_str() {
        "w" => pause("quota"),
        _ => ok(json!({})),
    });
    sim.pass(secs(540)).resume();
    let again = sim.next_attempt().unwrap();
    assert_eq!(timeout(&sim), secs(60));
    sim.end(&again, ok(json!({})));
    sim.run(fine);
    assert_eq!(sim.status(), Status::Completed);
}

#[test]
fn waits_and_approvals_end_by_it_whatever_their_own_timeout_does() {
    for step in [
        "wait = { for = \"20m\" }",
        "wait = { signal = \"go\" }",
        "wait = { signal = \"go\", timeout = \"20m\", on_timeout = \"continue\" }",
        "approval = { message = \"?\" }",
        "approval = { message = \"?\", timeout = \"10m\", on_timeout = \"stay\" }",
        "approval = { message = \"?\", timeout = \"20m\", on_timeout = \"approve\" }",
    ] {
        let mut sim = Sim::new(&around(&format!("{step}\ndeadline = \"15m\"")));
        sim.run(fine);
        let mut due = sim.stop().due_at.unwrap();
        if step.contains("stay") {
            due = sim.step("w").deadline().unwrap();
        }
        assert_eq!(due.since(sim.now), secs(900), "{step}");
        sim.now = due;
        if !step.contains("for =") {
            // Whoever comes too late with a decision or a signal finds it recorded.
            let event = sim.overdue().unwrap();
            sim.record(event);
            assert!(failed_by_deadline(&sim, "w"), "{step}");
            assert_eq!(sim.stop().code(), StopCode::Ready);
        }
        sim.work(ResumeBy::Wait).run(fine);
        assert_eq!(sim.failures(), [("w".into(), EXCEEDED.into())], "{step}");
    }
    // What ends earlier ends as it says.
    let step = "wait = { signal = \"go\", timeout = \"10m\", on_timeout = \"continue\" }";
    let mut sim = Sim::new(&around(&format!("{step}\ndeadline = \"15m\"")));
    sim.run(fine).pass_to_due().work(ResumeBy::Wait).run(fine);
    assert_eq!(sim.status(), Status::Completed);
    assert_eq!(sim.output("w")["timed_out"], true);
}

const LOOP: &str = r#"
[[step]]
id = "l"
loop = { until = "steps.m.status == 'completed'", max_iterations = 9 }
deadline = "10m"
continue_on_error = true
[[step]]
id = "m"
in = "l"
use = "p/m"
[[step]]
id = "after"
use = "p/after"
"#;

#[test]
fn a_loop_ends_with_the_attempt_that_is_in_flight_in_it() {
    for cleans_up in [true, false] {
        let mut sim = Sim::new(LOOP);
        let one = sim.next_attempt().unwrap();
        sim.pass(secs(599));
        sim.end(&one, fail("red"));
        let two = sim.next_attempt().unwrap();
        assert_eq!((two.path.as_str(), timeout(&sim)), ("l#2/m", secs(1_800)));
        assert_eq!(cancelled(&sim), Vec::<String>::new());
        sim.pass(secs(1));
        assert_eq!(cancelled(&sim), ["l#2/m"]);
        sim.pass(secs(2));
        match cleans_up {
            true => sim.end(&two, ok(json!({}))),
            false => interrupt(&mut sim, &two),
        }
        assert_eq!(sim.next_attempt().unwrap().path, "after");
        assert!(failed_by_deadline(&sim, "l"), "{cleans_up}");
        assert_eq!(sim.settled("l").iterations, Some(2));
    }
}

#[test]
fn a_loop_closes_what_is_open_in_it_and_goes_on_there_when_a_person_asks() {
    let body = |member: &str| {
        format!(
            "[[step]]\nid = \"l\"\nloop = {{ until = \"true\" }}\ndeadline = \"10m\"\n[[step]]\nid = \"m\"\nin = \"l\"\n{member}\n"
        )
    };
    for (member, by) in [
        ("wait = { signal = \"go\" }", ResumeBy::Wait),
        ("approval = { message = \"?\" }", ResumeBy::Wait),
        ("use = \"p/m\"", ResumeBy::Schedule),
    ] {
        let mut sim = Sim::new(&body(member));
        let outcome = |_: &Attempt| pause("quota");
        sim.run(outcome);
        assert_eq!(sim.status(), Status::Paused);
        assert_eq!(sim.stop().due_at.unwrap().since(sim.now), secs(600));
        sim.pass_to_due().work(by).run(outcome);
        assert_eq!(sim.failures(), [("l".into(), EXCEEDED.into())], "{member}");
        assert!(matches!(sim.step("m").phase(), StepPhase::Pending));
        assert_eq!(sim.state.awaits("go"), None);
        assert_eq!(sim.state.approvals().next(), None);
        // The loop has its whole time again.
        sim.pass(secs(3_600)).resume().run(outcome);
        assert_eq!(sim.status(), Status::Paused, "{member}");
        assert_eq!(sim.step("m").path().to_string(), "l#1/m");
        assert_eq!(sim.stop().due_at.unwrap().since(sim.now), secs(600));
    }
}

#[test]
fn every_iteration_of_a_member_has_its_own_deadline() {
    let mut sim = Sim::new(
        "[[step]]\nid = \"l\"\nloop = { until = \"loop.iteration == 3\" }\n[[step]]\nid = \"m\"\nin = \"l\"\nuse = \"p/m\"\ndeadline = \"1m\"\n",
    );
    for _ in 0..3 {
        let attempt = sim.next_attempt().unwrap();
        assert_eq!(timeout(&sim), secs(60));
        sim.pass(secs(59));
        sim.end(&attempt, ok(json!({})));
    }
    sim.run(fine);
    assert_eq!(sim.status(), Status::Completed);
}

#[test]
fn a_lost_process_does_not_stop_the_clock() {
    let mut sim = Sim::new(&around("use = \"p/w\"\ndeadline = \"10m\""));
    let first = sim.next_attempt().unwrap();
    sim.end(&first, ok(json!({})));
    sim.next_attempt().unwrap();
    sim.pass(secs(240)).crash();
    sim.next_attempt().unwrap();
    assert_eq!(timeout(&sim), secs(360));
    sim.pass(secs(360)).crash();
    sim.run(fine);
    assert_eq!(sim.failures(), [("w".into(), EXCEEDED.into())]);
    assert_eq!(sim.calls, ["a", "w", "w"]);
}

#[test]
fn an_attempt_that_was_not_even_called_by_then_is_ended() {
    let mut sim = Sim::new("[[step]]\nid = \"w\"\nuse = \"p/w\"\ndeadline = \"1m\"\n");
    let attempt = sim.next_attempt().unwrap();
    sim.pass(secs(60));
    assert_eq!(cancelled(&sim), ["w"]);
    interrupt(&mut sim, &attempt);
    sim.run(fine);
    assert_eq!(sim.failures(), [("w".into(), EXCEEDED.into())]);
}

#[test]
fn a_skipped_step_has_none_and_a_plugin_cannot_claim_it() {
    let mut sim =
        Sim::new("[[step]]\nid = \"w\"\nif = \"false\"\nuse = \"p/w\"\ndeadline = \"1m\"\n");
    sim.run(fine);
    assert_eq!(sim.events(), ["step_skipped", "run_completed"]);
    let mut sim = Sim::new("[[step]]\nid = \"w\"\nuse = \"p/w\"\n");
    sim.run(|_| retryable(EXCEEDED));
    assert_eq!(sim.status(), Status::Paused, "it is tried again");
}

#[test]
fn in_a_graph_the_others_go_on() {
    let mut sim = Sim::new(
        "flow = \"graph\"\n[[step]]\nid = \"w\"\nwait = { signal = \"go\" }\ndeadline = \"1m\"\n[[step]]\nid = \"a\"\nuse = \"p/a\"\n[[step]]\nid = \"b\"\nneeds = [\"a\"]\nuse = \"p/b\"\n",
    );
    let started = sim.start_all();
    assert_eq!(started.len(), 1);
    sim.pass(secs(60));
    assert!(sim.start_all().is_empty());
    assert!(failed_by_deadline(&sim, "w"));
    sim.end(&started[0], ok(json!({})));
    sim.run_graph(fine);
    assert_eq!(sim.failures(), [("w".into(), EXCEEDED.into())]);
    assert_eq!(sim.calls, ["a", "b"]);
}

#[test]
fn after_a_clock_that_was_far_ahead_it_moves_back_too() {
    let mut sim = Sim::new(&around("use = \"p/w\"\ndeadline = \"10m\""));
    let years = Duration::from_secs(10 * 365 * 86_400);
    sim.pass(years);
    sim.run(|attempt| match attempt.step.as_str() {
        "w" => pause("quota"),
        _ => ok(json!({})),
    });
    let correction = {
        sim.now = sim.now.before(years);
        milepost_core::correction::correction(&sim.definition, &sim.state, sim.now)
    };
    sim.record(correction.unwrap());
    assert_eq!(sim.step("w").deadline(), Some(sim.now.after(secs(600))));
    assert_eq!(sim.stop().due_at, Some(sim.now.after(secs(600))));
}

#[test]
fn what_a_deadline_ended_half_way_begins_again_in_the_next_iteration() {
    for inner in [
        "loop = { until = \"true\" }",
        "foreach = { items = \"[1]\", join = \"all_done\" }",
    ] {
        let mut sim = Sim::new(&format!(
            "[[step]]\nid = \"again\"\nloop = {{ until = \"loop.iteration == 2\", max_iterations = 2 }}\n\
             [[step]]\nid = \"timed\"\nin = \"again\"\nloop = {{ until = \"true\" }}\ndeadline = \"1h\"\n\
             [[step]]\nid = \"inner\"\nin = \"timed\"\n{inner}\n\
             [[step]]\nid = \"go\"\nin = \"inner\"\nwait = {{ signal = \"go\" }}\n"
        ));
        for _ in 0..2 {
            sim.run(|_| ok(json!({})));
            assert_eq!(sim.status(), Status::Paused);
            sim.pass_to_due().work(ResumeBy::Wait);
        }
        sim.run(|_| ok(json!({})));
        assert_eq!(sim.status(), Status::Completed, "{inner}");
        assert!(failed_by_deadline(&sim, "timed"));
    }
}
