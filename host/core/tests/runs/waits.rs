//! Steps that wait for a while or to a point in time, in the process or paused; and what all waits share.

use std::time::Duration;

use milepost_core::decide::{Action, Decision, decide};
use milepost_core::event::ClaimCause;
use milepost_core::limits;
use milepost_core::outcome::{ErrorClass, Outcome, codes};
use milepost_core::request::resume::ResumeBy;
use milepost_core::state::{Status, StepPhase, StepResult};
use milepost_core::stop::StopCode;
use milepost_core::time::Timestamp;
use serde_json::json;

use crate::sim::{Attempt, Sim, fail, ok};

const NANO: Duration = Duration::from_nanos(1);

/// A step before and a step after a step `w` with these lines.
pub(crate) fn around(step: &str) -> String {
    format!(
        "[[step]]\nid = \"a\"\nuse = \"p/a\"\n[[step]]\nid = \"w\"\n{step}\n[[step]]\nid = \"b\"\nuse = \"p/b\"\n"
    )
}

pub(crate) fn fine(_: &Attempt) -> Outcome {
    ok(json!({}))
}

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A run that stands at the wait.
pub(crate) fn stopped_at(step: &str) -> Sim {
    let mut sim = Sim::new(&around(step));
    sim.run(fine);
    assert_eq!(sim.status(), Status::Paused, "{step}");
    sim
}

#[test]
fn a_long_wait_pauses_the_run_until_its_time() {
    let mut sim = Sim::new(&around("wait = { for = \"10m\" }"));
    let until = sim.now.after(secs(600));
    sim.run(fine);
    assert_eq!(sim.status(), Status::Paused);
    let stop = sim.stop();
    assert_eq!(
        (stop.code(), stop.due_at),
        (StopCode::WaitingForTime, Some(until))
    );
    assert_eq!(stop.path.unwrap().to_string(), "w");
    sim.pass_to_due().work(ResumeBy::Wait).run(fine);
    assert_eq!(sim.status(), Status::Completed);
    assert_eq!(sim.output("w"), json!({ "until": until }));
    assert_eq!(sim.calls, ["a", "b"]);
    assert_eq!(
        sim.events(),
        [
            "step_started",
            "step_completed",
            "wait_started",
            "run_paused",
            "run_resumed",
            "run_claimed",
            "wait_ended",
            "step_started",
            "step_completed",
            "run_completed",
        ]
    );
}

#[test]
fn a_wait_of_at_most_a_minute_is_sat_out_in_the_process() {
    let longest = limits::WAIT_IN_PLACE.as_secs();
    let mut sim = Sim::new(&around(&format!("wait = {{ for = \"{longest}s\" }}")));
    sim.run(fine);
    assert_eq!(sim.status(), Status::Completed);
    assert_eq!(sim.waits, [limits::WAIT_IN_PLACE]);
    assert!(!sim.events().contains(&"run_paused"));
    let mut sim = Sim::new(&around(&format!(
        "wait = {{ for = \"{}ms\" }}",
        longest * 1_000 + 1
    )));
    sim.run(fine);
    assert_eq!(sim.stop().code(), StopCode::WaitingForTime);
    // What is left of a longer wait is sat out by whoever resumes it in its last minute.
    sim.pass(Duration::from_millis(1)).resume().run(fine);
    assert_eq!(sim.status(), Status::Completed);
    assert_eq!(sim.waits, [limits::WAIT_IN_PLACE]);
}

#[test]
fn a_wait_never_ends_early() {
    for (step, moved) in [
        ("wait = { for = \"10m\" }", 600),
        ("wait = { for = \"5s\" }", 5),
    ] {
        let mut sim = Sim::new(&around(step));
        let until = sim.now.after(secs(moved));
        let attempt = sim.next_attempt().unwrap();
        sim.end(&attempt, ok(json!({})));
        sim.move_once();
        sim.now = Timestamp::from_nanos(until.as_nanos() - 1);
        assert_eq!(
            decide(&sim.definition, &sim.state, sim.now),
            Decision::Wait {
                wake_at: Some(until),
                cancel: Vec::new(),
            }
        );
        sim.pass(NANO);
        match decide(&sim.definition, &sim.state, sim.now) {
            Decision::Act(actions) => {
                assert!(
                    matches!(actions[..], [Action::EndWait { .. }]),
                    "{actions:?}"
                );
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_clock_that_is_set_back_makes_a_wait_longer_and_never_shorter() {
    let mut sim = stopped_at("wait = { for = \"10m\" }");
    let until = sim.stop().due_at.unwrap();
    sim.now = Timestamp::from_nanos(sim.now.as_nanos() - 3_600_000_000_000);
    sim.resume().run(fine);
    assert_eq!(sim.status(), Status::Paused);
    assert_eq!(sim.stop().due_at, Some(until), "the end stays where it was");
    sim.pass_to_due().work(ResumeBy::Wait).run(fine);
    assert_eq!(sim.status(), Status::Completed);

    // A short wait that has become a long one pauses.
    let mut sim = Sim::new(&around("wait = { for = \"30s\" }"));
    let until = sim.now.after(secs(30));
    let attempt = sim.next_attempt().unwrap();
    sim.end(&attempt, ok(json!({})));
    sim.move_once();
    sim.now = Timestamp::from_nanos(sim.now.as_nanos() - 3_600_000_000_000);
    sim.run(fine);
    assert_eq!(
        (sim.stop().code(), sim.stop().due_at),
        (StopCode::WaitingForTime, Some(until))
    );
}

fn until(text: &str) -> Sim {
    let body = format!(
        "[inputs.at]\ntype = \"string\"\nrequired = false\n{}",
        around("wait = { until = \"inputs.at\" }\ncontinue_on_error = true")
    );
    let inputs = match text {
        "" => json!({}),
        text => json!({ "at": text }),
    };
    let mut sim = Sim::with_inputs(&body, inputs);
    sim.run(fine);
    sim
}

#[test]
fn a_wait_until_takes_its_time_from_an_expression() {
    // The clock of these runs begins on 2023-11-14 at 22:13:20.
    for text in ["2023-11-15T00:00:00Z", "2023-11-15T01:30:00+01:30"] {
        let mut sim = until(text);
        let due = "2023-11-15T00:00:00Z".parse().unwrap();
        assert_eq!(sim.stop().due_at, Some(due), "{text}");
        sim.pass_to_due().work(ResumeBy::Wait).run(fine);
        assert_eq!(sim.output("w"), json!({ "until": due }));
    }
    let sim = until("2001-01-01T00:00:00Z");
    assert_eq!(
        sim.status(),
        Status::Completed,
        "a time in the past is over"
    );
    assert_eq!(sim.waits, []);
}

#[test]
fn a_wait_until_something_else_than_a_time_fails_the_step() {
    for text in ["tomorrow", "2023-11-15", "1700000000", " "] {
        let sim = until(text);
        let error = sim.error("w");
        assert_eq!(
            (error.class, error.code.as_str()),
            (ErrorClass::Definition, codes::EXPRESSION_ERROR)
        );
        assert!(error.message.contains(text), "{}", error.message);
        assert_eq!(sim.calls, ["a", "b"], "it goes on, as the step asks");
    }
    assert_eq!(until("").error("w").code, codes::MISSING_VALUE);
}

#[test]
fn a_wait_whose_condition_is_false_is_skipped() {
    for kind in [
        "wait = { for = \"10m\" }",
        "wait = { until = \"steps.a.output.at\" }",
        "wait = { signal = \"go\" }",
        "approval = { message = \"${ steps.a.output.text }?\" }",
    ] {
        let mut sim = Sim::new(&around(&format!("{kind}\nif = \"steps.a.output.n == 1\"")));
        sim.run(|_| ok(json!({ "n": 2 })));
        assert_eq!(sim.status(), Status::Completed, "{kind}");
        assert_eq!(sim.settled("w").result, StepResult::Skipped);
    }
}

#[test]
fn a_wait_in_a_loop_waits_in_every_pass() {
    let mut sim = Sim::new(
        r#"
        [[step]]
        id = "l"
        loop = { until = "loop.iteration == 2 && steps.w.output.until != ''", max_iterations = 3 }
        [[step]]
        id = "m"
        in = "l"
        use = "p/m"
        with = { before = "${ steps.w.?output.until.orValue('') }" }
        [[step]]
        id = "w"
        in = "l"
        wait = { for = "10m" }
        "#,
    );
    let mut seen = Vec::new();
    let mut script = |attempt: &Attempt| {
        seen.push(attempt.input["before"].clone());
        ok(json!({}))
    };
    sim.run(&mut script);
    let first = sim.stop().due_at.unwrap();
    assert_eq!(sim.stop().path.as_ref().unwrap().to_string(), "l#1/w");
    sim.pass_to_due().work(ResumeBy::Wait).run(&mut script);
    assert_eq!(sim.stop().path.as_ref().unwrap().to_string(), "l#2/w");
    assert_eq!(sim.stop().due_at, Some(first.after(secs(600))));
    sim.pass_to_due().work(ResumeBy::Wait).run(&mut script);
    assert_eq!(sim.status(), Status::Completed);
    assert_eq!(seen, [json!(""), json!(first)]);
}

#[test]
fn a_wait_survives_the_process_that_began_it() {
    let mut sim = stopped_at("wait = { for = \"10m\" }");
    let until = sim.stop().due_at.unwrap();
    sim.pass(secs(590)).resume();
    sim.claim(ClaimCause::Recovery);
    sim.claim(ClaimCause::Recovery);
    sim.run(fine);
    assert_eq!(sim.output("w"), json!({ "until": until }));
    assert_eq!(sim.waits, [secs(10)]);
    assert_eq!(sim.step("w").attempts(), 1, "it began once");
}

#[test]
fn going_on_behind_a_wait_repeats_nothing() {
    let body = format!(
        "[[step]]\nid = \"red\"\nuse = \"p/red\"\ncontinue_on_error = true\n{}",
        around("wait = { for = \"10m\" }")
    );
    let script = |attempt: &Attempt| match attempt.step.as_str() {
        "red" => fail("broken"),
        _ => ok(json!({})),
    };
    let mut sim = Sim::new(&body);
    sim.run(script);
    assert_eq!(sim.calls, ["red", "a"]);
    sim.resume().run(script);
    assert_eq!(sim.calls, ["red", "a"], "an early resume only waits on");
    sim.pass_to_due().work(ResumeBy::Wait).run(script);
    assert_eq!(sim.calls, ["red", "a", "b"]);
    let mut sim = Sim::new(&body);
    sim.run(script).retry(None).run(script);
    assert_eq!(sim.calls, ["red", "a", "red"], "a retry was asked to");
}

#[test]
fn a_changed_definition_keeps_a_wait_that_is_still_the_same() {
    for (old, new, kept) in [
        ("wait = { for = \"10m\" }", "wait = { for = \"1h\" }", true),
        (
            "wait = { for = \"10m\" }",
            "wait = { until = \"run.started_at\" }",
            true,
        ),
        (
            "wait = { for = \"10m\" }",
            "wait = { signal = \"go\" }",
            false,
        ),
        (
            "wait = { for = \"10m\" }",
            "approval = { message = \"?\" }",
            false,
        ),
        ("wait = { for = \"10m\" }", "use = \"p/w\"", false),
        (
            "wait = { signal = \"go\" }",
            "wait = { signal = \"go\", timeout = \"1h\" }",
            true,
        ),
        (
            "wait = { signal = \"og\" }",
            "wait = { signal = \"go\" }",
            false,
        ),
        (
            "wait = { signal = \"go\" }",
            "wait = { for = \"1h\" }",
            false,
        ),
        (
            "wait = { signal = \"go\" }",
            "approval = { message = \"?\" }",
            false,
        ),
        (
            "approval = { message = \"?\" }",
            "approval = { message = \"!\" }",
            true,
        ),
        (
            "approval = { message = \"?\" }",
            "wait = { for = \"1h\" }",
            false,
        ),
        (
            "approval = { message = \"?\" }",
            "wait = { signal = \"go\" }",
            false,
        ),
        ("approval = { message = \"?\" }", "use = \"p/w\"", false),
    ] {
        let mut sim = stopped_at(old);
        let before = sim.step("w").clone();
        sim.change(&around(new));
        let after = sim.state.executions().of(&"w".parse().unwrap());
        assert_eq!(after, Some(&before).filter(|_| kept), "{old} -> {new}");
        sim.resume().run(fine);
        assert_eq!(sim.calls[0], "a", "{old} -> {new}");
    }
}

// A wait that is over must not count as a person's word.
#[test]
fn a_settled_wait_does_not_become_an_approval_nor_the_other_way_round() {
    let settled = |step: &str| {
        let mut sim = stopped_at(step);
        match sim.stop().code() {
            StopCode::WaitingForApproval => {
                sim.approve("w");
            }
            StopCode::WaitingForSignal => sim.signal("go", json!(null)).unwrap(),
            _ => {
                sim.pass_to_due();
            }
        }
        sim.work(ResumeBy::Wait).run(|_| fail("red"));
        assert_eq!(sim.status(), Status::Failed);
        sim
    };
    let waits = ["wait = { for = \"10m\" }", "wait = { signal = \"go\" }"];
    let approval = "approval = { message = \"?\" }";
    for wait in waits {
        let mut sim = settled(wait);
        sim.change(&around(approval));
        sim.resume().run(fine);
        assert_eq!(sim.stop().code(), StopCode::WaitingForApproval, "{wait}");
        let mut sim = settled(approval);
        sim.change(&around(wait));
        sim.resume().run(fine);
        assert!(sim.stop().code().is_wait(), "{wait}");
        // Waits of another kind are waits; what is over is over.
        let mut sim = settled(wait);
        sim.change(&around(waits[0]));
        sim.resume().run(fine);
        assert_eq!(sim.status(), Status::Completed, "{wait}");
    }
    let mut sim = settled(approval);
    sim.change(&around("approval = { message = \"!\", timeout = \"1h\" }"));
    sim.resume().run(fine);
    assert_eq!(sim.status(), Status::Completed);
}

#[test]
fn a_retry_from_a_wait_waits_anew() {
    let mut sim = stopped_at("wait = { for = \"10m\" }");
    let until = sim.stop().due_at.unwrap();
    sim.pass(secs(60)).retry(Some("w")).run(fine);
    assert_eq!(sim.stop().due_at, Some(until.after(secs(60))));
    assert_eq!(sim.calls, ["a"]);
    assert!(matches!(sim.step("w").phase(), StepPhase::Awaiting { .. }));
}

#[test]
fn what_happens_next_is_told_once_when() {
    for step in [
        "wait = { for = \"10m\" }",
        "wait = { signal = \"go\", timeout = \"10m\" }",
        "approval = { message = \"Go on?\", timeout = \"10m\" }",
    ] {
        let sim = stopped_at(step);
        let stop = sim.stop();
        assert_eq!(stop.due_at, Some(sim.now.after(secs(600))));
        let year = &sim.now.to_string()[..5];
        let why = format!("{:?}", stop.why);
        assert!(!why.contains(year), "{why}");
    }
}
