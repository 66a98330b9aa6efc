//! Steps with `finally`: they run when everything else has ended, whatever came of it, and the run ends after them.

use milepost_core::decide::{Decision, decide};
use milepost_core::event::{ClaimCause, Event, RunEvent, StepEvent};
use milepost_core::request::Intent;
use milepost_core::request::resume::Refused;
use milepost_core::request::stop::{Demand, Stopping, finish, meet, meet_late, stop};
use milepost_core::state::{Ending, Phase, Status, StepPhase};
use milepost_core::stop::{Stop, StopCode, Why};
use milepost_core::time::Timestamp;
use serde_json::{Value, json};

use crate::sim::{Attempt, Sim, fail, ok, pause, retryable};
use crate::waits::{fine, secs};

/// `a`, `b`, and at the end `report` and `clean`; `report` stands between the others.
const FLOW: &str = r#"
[[step]]
id = "a"
use = "p/a"
[[step]]
id = "report"
use = "p/report"
finally = true
with = { run = "${ run.status }", b = "${ steps.b.status }", n = "${ steps.a.?output.n.orValue(0) }" }
[[step]]
id = "b"
use = "p/b"
[[step]]
id = "clean"
use = "p/clean"
finally = true
with = { report = "${ steps.report.status }" }
"#;

fn failures(stop: &Stop) -> Vec<(String, String)> {
    let Why::FinallyFailed { failures, more: 0 } = &stop.why else {
        panic!("{stop:?}");
    };
    let failures = failures.iter();
    failures
        .map(|failure| (failure.path.to_string(), failure.code.clone()))
        .collect()
}

fn failure(path: &str, code: &str) -> (String, String) {
    (path.to_owned(), code.to_owned())
}

fn codes(stops: &[Stop]) -> Vec<StopCode> {
    stops.iter().map(Stop::code).collect()
}

/// Interrupts an attempt that was told to end.
fn interrupt(sim: &mut Sim, attempt: &Attempt) {
    let event = StepEvent::Interrupted {
        attempt: attempt.attempt,
    };
    sim.record(event.at(attempt.path.parse().unwrap()));
}

/// Attempts that have to end now, and when the run moves again by itself.
fn waits(sim: &Sim) -> (Vec<String>, Option<Timestamp>) {
    match decide(&sim.definition, &sim.state, sim.now) {
        Decision::Wait {
            cancel, wake_at, ..
        } => (cancel.iter().map(ToString::to_string).collect(), wake_at),
        other => panic!("{other:?}"),
    }
}

#[test]
fn they_run_at_the_end_in_file_order_and_know_how_the_run_ends() {
    let mut inputs = Vec::<(String, Value)>::new();
    let mut script = |attempt: &Attempt| {
        inputs.push((attempt.path.clone(), attempt.input.clone()));
        ok(json!({ "n": 7 }))
    };
    let mut sim = Sim::new(FLOW);
    sim.run(&mut script);
    assert_eq!(sim.calls, ["a", "b", "report", "clean"]);
    assert_eq!(
        inputs[2..],
        [
            (
                "report".to_owned(),
                json!({ "run": "completed", "b": "completed", "n": 7 })
            ),
            ("clean".to_owned(), json!({ "report": "completed" })),
        ]
    );
    assert_eq!(
        sim.events()[4..],
        [
            "run_finishing",
            "finally_started",
            "step_started",
            "step_completed",
            "step_started",
            "step_completed",
            "run_completed"
        ]
    );
    // The output of the run is that of what ran before.
    let Phase::Completed { output, .. } = sim.state.phase() else {
        panic!("{:?}", sim.state.phase());
    };
    assert_eq!(*output.value(), json!({ "n": 7 }));
    assert_eq!(sim.state.ending(), None);
    assert_eq!(sim.state.finally_since(), None);
}

#[test]
fn they_run_after_a_failure_and_whatever_came_of_the_one_before() {
    let mut seen = Value::Null;
    let mut sim = Sim::new(FLOW);
    sim.run(|attempt| match attempt.step.as_str() {
        "a" => fail("red"),
        "report" => {
            seen = attempt.input.clone();
            fail("blue")
        }
        _ => ok(json!({})),
    });
    assert_eq!(sim.calls, ["a", "report", "clean"]);
    assert_eq!(seen, json!({ "run": "failed", "b": "pending", "n": 0 }));
    // The first reason is kept.
    assert_eq!(sim.status(), Status::Failed);
    let stop = sim.stop();
    assert_eq!(failures(&stop), [failure("report", "blue")]);
    assert_eq!(stop.path.unwrap().to_string(), "report");
    assert_eq!(codes(&stop.reasons), [StopCode::StepFailed]);
}

#[test]
fn a_failed_one_fails_a_run_that_would_have_completed() {
    let mut sim = Sim::new(FLOW);
    sim.run(|attempt| match attempt.step.as_str() {
        "report" | "clean" => fail("blue"),
        _ => ok(json!({})),
    });
    assert_eq!(sim.status(), Status::Failed);
    let stop = sim.stop();
    assert_eq!(
        failures(&stop),
        [failure("report", "blue"), failure("clean", "blue")]
    );
    assert_eq!(stop.reasons, []);
    // One that is handled does not.
    let handled = FLOW.replace("finally = true", "finally = true\ncontinue_on_error = true");
    let mut sim = Sim::new(&handled);
    sim.run(|attempt| match attempt.step.as_str() {
        "report" | "clean" => fail("blue"),
        _ => ok(json!({})),
    });
    assert_eq!(sim.status(), Status::Completed);
    assert_eq!(sim.calls.len(), 4);
}

#[test]
fn their_conditions_ask_how_the_run_ends() {
    let asks = FLOW.replace(
        "finally = true\nwith = { run",
        "finally = true\nif = \"run.status == 'failed'\"\nwith = { run",
    );
    let mut sim = Sim::new(&asks);
    sim.run(fine);
    assert_eq!(sim.calls, ["a", "b", "clean"]);
    assert_eq!(sim.status(), Status::Completed);
    let mut sim = Sim::new(&asks);
    sim.run(|attempt| match attempt.step.as_str() {
        "a" => fail("red"),
        _ => ok(json!({})),
    });
    assert_eq!(sim.calls, ["a", "report", "clean"]);
    assert_eq!(sim.stop().code(), StopCode::StepFailed);
}

#[test]
fn they_run_however_the_run_ends() {
    let end = "[[step]]\nid = \"stop\"\nend = { status = \"STATUS\", message = \"enough\" }\n";
    for (status, expected) in [("failed", Status::Failed), ("cancelled", Status::Cancelled)] {
        let mut sim = Sim::new(&format!("{}{FLOW}", end.replace("STATUS", status)));
        let mut seen = Value::Null;
        sim.run(|attempt| {
            if attempt.step == "report" {
                seen = attempt.input["run"].clone();
            }
            ok(json!({}))
        });
        assert_eq!(seen, json!(status));
        assert_eq!(sim.calls, ["report", "clean"]);
        assert_eq!(sim.status(), expected);
        assert_eq!(sim.stop().code(), StopCode::Ended);
    }
    // `returns` fails.
    let mut sim = Sim::new(&format!("returns = \"${{ steps.a.output.x }}\"\n{FLOW}"));
    sim.run(fine);
    assert_eq!(sim.calls.len(), 4);
    assert_eq!(sim.stop().code(), StopCode::ReturnsFailed);
    // An approval is not decided in time.
    let gate = "[[step]]\nid = \"gate\"\napproval = { message = \"?\", timeout = \"1h\" }\n";
    let mut sim = Sim::new(&format!("{gate}{FLOW}"));
    sim.run(fine).pass_to_due();
    assert_eq!(sim.calls.len(), 0);
    let event = sim.overdue().unwrap();
    assert_eq!(event.name(), "run_finishing");
    sim.record(event);
    assert_eq!(sim.status(), Status::Pending);
    sim.claim(ClaimCause::Start);
    sim.run(fine);
    assert_eq!(sim.calls, ["report", "clean"]);
    assert_eq!(sim.status(), Status::Cancelled);
    assert_eq!(sim.stop().code(), StopCode::ApprovalTimedOut);
}

#[test]
fn none_runs_when_the_run_pauses_or_is_killed() {
    let mut sim = Sim::new(FLOW);
    sim.run(|_| pause("quota"));
    assert_eq!((sim.status(), sim.calls.len()), (Status::Paused, 1));
    for status in [Status::Paused, Status::Running] {
        let mut sim = Sim::new(FLOW);
        match status {
            Status::Paused => sim.run(|_| pause("quota")).calls.clear(),
            _ => drop(sim.next_attempt()),
        }
        let definition = Some(&sim.definition);
        let killed = match stop(definition, &sim.state, Demand::Kill, "ann", false) {
            Ok(Stopping::Stop(events)) => events,
            other => panic!("{other:?}"),
        };
        killed.into_iter().for_each(|event| sim.record(event));
        assert_eq!(sim.status(), Status::Cancelled);
    }
    let mut sim = Sim::new(FLOW);
    sim.next_attempt();
    let events = meet(&sim.state, Demand::Kill, "ann");
    events.into_iter().for_each(|event| sim.record(event));
    assert_eq!(sim.status(), Status::Cancelled);
}

#[test]
fn a_run_that_is_cancelled_runs_them_after_what_is_in_flight_has_ended() {
    for cleans_up in [true, false] {
        let mut sim = Sim::new(FLOW);
        let a = sim.next_attempt().unwrap();
        sim.cancel();
        assert_eq!(waits(&sim).0, ["a"]);
        match cleans_up {
            true => sim.end(&a, ok(json!({ "n": 3 }))),
            false => interrupt(&mut sim, &a),
        }
        let mut seen = Value::Null;
        sim.run(|attempt| {
            if attempt.step == "report" {
                seen = attempt.input.clone();
            }
            fail("blue")
        });
        let n = if cleans_up { 3 } else { 0 };
        assert_eq!(seen, json!({ "run": "cancelled", "b": "pending", "n": n }));
        assert_eq!(sim.calls, ["a", "report", "clean"]);
        // It stays cancelled, and says what failed.
        assert_eq!(sim.status(), Status::Cancelled);
        let stop = sim.stop();
        assert_eq!(stop.code(), StopCode::Cancelled);
        assert_eq!(
            failures(&stop.reasons[0]),
            [failure("report", "blue"), failure("clean", "blue")]
        );
    }
}

#[test]
fn a_cancelled_run_that_stood_still_is_driven_again_for_them() {
    let mut sim = Sim::new(FLOW);
    sim.run(|_| pause("quota"));
    sim.cancel();
    assert_eq!(sim.status(), Status::Pending);
    // Nothing is new to whoever cancels it again.
    let again = stop(
        Some(&sim.definition),
        &sim.state,
        Demand::Cancel,
        "bo",
        false,
    );
    assert_eq!(again, Ok(Stopping::Finishing));
    sim.claim(ClaimCause::Start);
    sim.run(fine);
    assert_eq!(sim.calls, ["a", "report", "clean"]);
    assert_eq!(sim.status(), Status::Cancelled);
    assert!(matches!(sim.step("a").phase(), StepPhase::Pending));

    // The owner that meets it late records the same.
    let mut sim = Sim::new(FLOW);
    sim.run(|_| pause("quota"));
    let event = meet_late(&sim.definition, &sim.state, Demand::Cancel, "ann").unwrap();
    assert_eq!(event.name(), "run_finishing");
    let event = meet_late(&sim.definition, &sim.state, Demand::Kill, "ann").unwrap();
    assert_eq!(event.name(), "run_cancelled");
}

#[test]
fn a_rejection_that_ends_the_run_does_so_after_them() {
    let gate = "[[step]]\nid = \"gate\"\napproval = { message = \"?\" }\n";
    let mut sim = Sim::new(&format!("{gate}{FLOW}"));
    sim.run(fine);
    sim.reject("gate", "no");
    assert_eq!(sim.status(), Status::Pending);
    sim.claim(ClaimCause::Start);
    sim.run(fine);
    assert_eq!(sim.calls, ["report", "clean"]);
    assert_eq!(sim.status(), Status::Cancelled);
    assert_eq!(sim.stop().code(), StopCode::Rejected);
}

#[test]
fn a_run_of_which_nothing_has_begun_has_none() {
    let mut sim = Sim::new(FLOW);
    sim.cancel();
    assert_eq!(sim.status(), Status::Cancelled);
    assert_eq!(sim.events(), ["run_cancelled"]);
    // So does one that has failed: they ran then.
    let mut sim = Sim::new(FLOW);
    sim.run(|attempt| match attempt.step.as_str() {
        "a" => fail("red"),
        _ => ok(json!({})),
    });
    sim.cancel();
    assert_eq!(sim.status(), Status::Cancelled);
    assert_eq!(sim.calls, ["a", "report", "clean"]);
}

#[test]
fn time_ends_them() {
    let short = |limit: &str| format!("[limits]\nfinally = \"{limit}\"\n{FLOW}");
    for at_work in [true, false] {
        let mut sim = Sim::new(&short("1m"));
        for _ in ["a", "b"] {
            let attempt = sim.next_attempt().unwrap();
            sim.end(&attempt, ok(json!({})));
        }
        let report = sim.next_attempt().unwrap();
        let until = sim.now.after(secs(60));
        assert_eq!(waits(&sim), (vec![], Some(until)));
        sim.pass(secs(60));
        assert_eq!(waits(&sim), (vec!["report".to_owned()], None));
        match at_work {
            true => interrupt(&mut sim, &report),
            // What ends in time after all counts.
            false => sim.end(&report, ok(json!({}))),
        }
        sim.run(fine);
        assert_eq!(sim.calls, ["a", "b", "report"], "nothing begins any more");
        let late = match at_work {
            true => vec![
                failure("report", "deadline_exceeded"),
                failure("clean", "deadline_exceeded"),
            ],
            false => vec![failure("clean", "deadline_exceeded")],
        };
        assert_eq!(failures(&sim.stop()), late);
    }
    // A retry that would come later is not waited for.
    let retried = short("1m").replace(
        "use = \"p/report\"",
        "use = \"p/report\"\nretry = { max_attempts = 9, initial = \"50s\", max = \"50s\", jitter = 0 }",
    );
    let mut sim = Sim::new(&retried);
    sim.run(|attempt| match attempt.step.as_str() {
        "report" => retryable("busy"),
        _ => ok(json!({})),
    });
    assert_eq!(sim.calls, ["a", "b", "report", "report"]);
    assert_eq!(sim.waits, [secs(50), secs(10)]);
    assert_eq!(sim.stop().code(), StopCode::FinallyFailed);
}

/// The run had ended early, and does again: what stands behind the end does not start because a report is tried again.
#[test]
fn an_early_end_is_decided_again_when_they_failed_after_it() {
    let end = |status: &str| {
        let end = format!(
            "[[step]]\nid = \"enough\"\nend = {{ status = \"{status}\", message = \"m\" }}\n"
        );
        FLOW.replace(
            "[[step]]\nid = \"b\"",
            &format!("{end}[[step]]\nid = \"b\""),
        )
    };
    for (status, by_retry) in [
        ("completed", false),
        ("completed", true),
        ("failed", false),
        ("failed", true),
    ] {
        let mut sim = Sim::new(&end(status));
        sim.run(|attempt| match attempt.step.as_str() {
            "report" => fail("no"),
            _ => ok(json!({})),
        });
        assert_eq!(sim.status(), Status::Failed);
        match by_retry {
            true => sim.retry(None),
            false => sim.resume(),
        };
        sim.run(fine);
        assert_eq!(
            sim.calls,
            ["a", "report", "clean", "report", "clean"],
            "{status}, by retry: {by_retry}"
        );
        let expected = match status {
            "completed" => Status::Completed,
            _ => Status::Failed,
        };
        assert_eq!(sim.status(), expected);
    }
}

#[test]
fn none_of_them_can_pause_the_run() {
    for retry in ["", "retry = { max_attempts = 2, then = \"pause\" }"] {
        let flow = FLOW.replace(
            "use = \"p/report\"",
            &format!("use = \"p/report\"\n{retry}"),
        );
        for (outcome, code) in [
            (pause("quota"), "cannot_pause"),
            (pause("secret_missing"), "secret_missing"),
            (retryable("busy"), "busy"),
        ] {
            let mut sim = Sim::new(&flow);
            sim.run(|attempt| match attempt.step.as_str() {
                "report" => outcome.clone(),
                _ => ok(json!({})),
            });
            assert_eq!(failures(&sim.stop()), [failure("report", code)]);
            assert_eq!(sim.calls.last().unwrap(), "clean");
        }
    }
}

#[test]
fn whoever_takes_over_goes_on_there() {
    let mut sim = Sim::new(FLOW);
    for _ in ["a", "b", "report"] {
        let attempt = sim.next_attempt().unwrap();
        sim.end(&attempt, ok(json!({})));
    }
    let clean = sim.next_attempt().unwrap();
    sim.pass(secs(299));
    sim.claim(ClaimCause::Recovery);
    assert_eq!(
        sim.state.finally_since(),
        Some(sim.now.before(secs(299))),
        "it has what is left of the time"
    );
    let again = sim.next_attempt().unwrap();
    assert_eq!((again.path, again.attempt), (clean.path, 2));
    sim.claim(ClaimCause::Recovery);
    sim.run(fine);
    assert_eq!(sim.status(), Status::Completed);
    assert_eq!(sim.calls, ["a", "b", "report", "clean", "clean", "clean"]);
    // Nothing is left of it.
    let mut sim = Sim::new(FLOW);
    for _ in ["a", "b"] {
        let attempt = sim.next_attempt().unwrap();
        sim.end(&attempt, ok(json!({})));
    }
    let report = sim.next_attempt().unwrap();
    assert_eq!(report.path, "report");
    sim.pass(secs(301));
    sim.claim(ClaimCause::Recovery);
    sim.run(fine);
    assert_eq!(sim.stop().code(), StopCode::FinallyFailed);
    assert_eq!(sim.calls, ["a", "b", "report"]);
    // Taken over between the last of them and the end, nothing is left to do.
    let mut sim = Sim::new(FLOW);
    for _ in ["a", "b", "report", "clean"] {
        let attempt = sim.next_attempt().unwrap();
        sim.end(&attempt, ok(json!({})));
    }
    sim.claim(ClaimCause::Recovery);
    sim.run(fine);
    assert_eq!(
        sim.events()[sim.events().len() - 2..],
        ["run_claimed", "run_completed"]
    );
}

#[test]
fn a_run_that_is_paused_or_released_on_its_way_to_the_end_goes_on_there() {
    for failed in [true, false] {
        let mut sim = Sim::new(FLOW);
        let a = sim.next_attempt().unwrap();
        sim.end(&a, if failed { fail("red") } else { ok(json!({})) });
        if !failed {
            let b = sim.next_attempt().unwrap();
            sim.end(&b, ok(json!({})));
        }
        sim.next_attempt().unwrap();
        sim.pause();
        assert_eq!(sim.status(), Status::Paused);
        sim.resume().run(fine);
        let status = if failed {
            Status::Failed
        } else {
            Status::Completed
        };
        assert_eq!(sim.status(), status);
        let again = ["report", "report", "clean"];
        assert_eq!(sim.calls[sim.calls.len() - 3..], again);
        assert_eq!(sim.calls.iter().filter(|path| *path == "a").count(), 1);
    }
    let mut sim = Sim::new(FLOW);
    let a = sim.next_attempt().unwrap();
    sim.end(&a, fail("red"));
    sim.next_attempt().unwrap();
    let events = meet(&sim.state, Demand::Release, "SIGTERM");
    events.into_iter().for_each(|event| sim.record(event));
    assert_eq!(sim.status(), Status::Pending);
    sim.claim(ClaimCause::Start);
    sim.run(fine);
    assert_eq!(sim.calls, ["a", "report", "report", "clean"]);
}

#[test]
fn a_cancellation_on_the_way_to_the_end_lets_them_go_on() {
    let mut sim = Sim::new(FLOW);
    let a = sim.next_attempt().unwrap();
    sim.end(&a, fail("red"));
    let report = sim.next_attempt().unwrap();
    sim.cancel();
    assert!(matches!(sim.state.ending(), Some(Ending::Cancelled { .. })));
    assert_eq!(
        waits(&sim).0,
        Vec::<String>::new(),
        "none of them is cancelled"
    );
    // A second one changes nothing.
    assert_eq!(
        finish(&sim.definition, &sim.state, Demand::Cancel, "bo"),
        Some(None)
    );
    let refused = sim.try_record(
        RunEvent::Finishing {
            ending: sim.state.ending().unwrap().clone(),
        }
        .into(),
    );
    assert!(refused.is_err());
    sim.end(&report, ok(json!({})));
    sim.run(fine);
    assert_eq!(sim.calls, ["a", "report", "clean"]);
    assert_eq!(sim.status(), Status::Cancelled);

    // Nothing of one that is cancelled is tried again.
    let mut sim = Sim::new(FLOW);
    sim.next_attempt().unwrap();
    sim.cancel().pause();
    let retry = Intent::Retry { from: None };
    let refused = retry.event(&sim.definition, &sim.state);
    assert_eq!(refused, Err(Refused::Cancelled));
    sim.resume().run(fine);
    assert_eq!(sim.calls, ["a", "report", "clean"]);
    assert_eq!(sim.status(), Status::Cancelled);
}

#[test]
fn they_come_again_at_the_next_end() {
    // After a resume, a retry, and where they alone had failed.
    for retry in [true, false] {
        for failing in ["a", "report"] {
            let mut sim = Sim::new(FLOW);
            sim.run(|attempt| match attempt.step == failing {
                true => fail("red"),
                false => ok(json!({})),
            });
            assert_eq!(sim.status(), Status::Failed);
            sim.calls.clear();
            match retry {
                true => sim.retry(None),
                false => sim.resume(),
            };
            let mut seen = Value::Null;
            sim.run(|attempt| {
                if attempt.step == "report" {
                    seen = attempt.input["run"].clone();
                }
                ok(json!({}))
            });
            let again: &[&str] = match failing {
                "a" => &["a", "b", "report", "clean"],
                _ => &["report", "clean"],
            };
            assert_eq!(sim.calls, again, "{retry} {failing}");
            assert_eq!(seen, json!("completed"));
            assert_eq!(sim.status(), Status::Completed);
        }
    }
    // A step that ended the run is decided again, also where they failed after it.
    let end = "[[step]]\nid = \"stop\"\nif = \"steps.a.?output.n.orValue(0) == 1\"\nend = { status = \"failed\" }\n";
    let flow = FLOW.replacen(
        "[[step]]\nid = \"report\"",
        &format!("{end}[[step]]\nid = \"report\""),
        1,
    );
    let mut sim = Sim::new(&flow);
    sim.run(|attempt| match attempt.step.as_str() {
        "report" => fail("blue"),
        _ => ok(json!({ "n": 1 })),
    });
    assert_eq!(codes(&sim.stop().reasons), [StopCode::Ended]);
    sim.retry(Some("a")).run(|_| ok(json!({ "n": 2 })));
    assert_eq!(sim.status(), Status::Completed);
    // Paused on the way to the end, a retry goes back as well.
    let mut sim = Sim::new(&flow);
    let a = sim.next_attempt().unwrap();
    sim.end(&a, ok(json!({ "n": 1 })));
    sim.next_attempt().unwrap();
    sim.pause();
    sim.retry(Some("a")).run(|_| ok(json!({ "n": 2 })));
    assert_eq!(sim.calls, ["a", "report", "a", "b", "report", "clean"]);
    assert_eq!(sim.status(), Status::Completed);
}

const GRAPH: &str = r#"
flow = "graph"
on_failure = "stop"
[[step]]
id = "a"
use = "p/a"
[[step]]
id = "b"
use = "p/b"
[[step]]
id = "last"
use = "p/last"
finally = true
needs = ["x", "y"]
join = "all_done"
[[step]]
id = "x"
use = "p/x"
finally = true
[[step]]
id = "y"
use = "p/y"
finally = true
[[step]]
id = "z"
use = "p/z"
finally = true
needs = ["x"]
"#;

#[test]
fn in_a_graph_they_run_as_they_need_each_other() {
    let mut sim = Sim::new(GRAPH);
    let started = sim.start_all();
    assert_eq!(sim.calls, ["a", "b"]);
    sim.end(&started[0], fail("red"));
    sim.start_all();
    assert_eq!(sim.calls, ["a", "b"], "b is in flight");
    sim.end(&started[1], ok(json!({})));
    let started = sim.start_all();
    assert_eq!(sim.calls, ["a", "b", "x", "y"], "at once");
    sim.end(&started[0], fail("blue"));
    assert_eq!(sim.start_all().len(), 0);
    sim.end(&started[1], ok(json!({})));
    sim.run_graph(fine);
    // `z` needed `x`, which failed; `on_failure` is about what runs before.
    assert_eq!(sim.calls, ["a", "b", "x", "y", "last"]);
    assert_eq!(sim.settled("z").result.status(), "skipped");
    assert_eq!(failures(&sim.stop()), [failure("x", "blue")]);
    assert_eq!(codes(&sim.stop().reasons), [StopCode::StepFailed]);
}

#[test]
fn the_last_of_a_graph_that_is_cancelled_closes_all_that_is_open() {
    let others = "[[step]]\nid = \"w\"\nwait = { signal = \"go\" }\n[[step]]\nid = \"g\"\napproval = { message = \"?\" }\n";
    let mut sim = Sim::new(&GRAPH.replacen("[[step]]", &format!("{others}[[step]]"), 1));
    let started = sim.start_all();
    assert_eq!(started.len(), 2);
    sim.cancel();
    sim.start_all();
    assert_eq!(waits(&sim).0, ["a", "b"]);
    for id in ["w", "g"] {
        assert!(matches!(sim.step(id).phase(), StepPhase::Pending));
    }
    for attempt in &started {
        interrupt(&mut sim, attempt);
    }
    sim.run_graph(fine);
    assert_eq!(sim.calls, ["a", "b", "x", "y", "z", "last"]);
    assert_eq!(sim.status(), Status::Cancelled);
    let finishing = sim
        .journal
        .iter()
        .filter(|entry| matches!(&entry.event, Event::Run(RunEvent::Finishing { .. })));
    assert_eq!(finishing.count(), 1);
}

#[test]
fn a_fan_out_may_be_one_of_them() {
    let flow = "[[step]]\nid = \"a\"\nuse = \"p/a\"\n[[step]]\nid = \"each\"\nuse = \"p/each\"\nfinally = true\nforeach = { items = \"[1, 2]\" }\nwith = { n = \"${ item }\", run = \"${ run.status }\" }\n";
    let mut sim = Sim::new(flow);
    sim.run_graph(|attempt| match attempt.path.as_str() {
        "a" => fail("red"),
        "each[1]" => pause("quota"),
        _ => {
            assert_eq!(attempt.input, json!({ "n": 1, "run": "failed" }));
            ok(json!({}))
        }
    });
    assert_eq!(failures(&sim.stop()), [failure("each", "items_failed")]);
    // All items come again.
    sim.resume().run_graph(fine);
    assert_eq!(sim.status(), Status::Completed);
    assert_eq!(
        sim.calls,
        ["a", "each[0]", "each[1]", "a", "each[0]", "each[1]"]
    );
    // Time ends it with its items.
    let mut sim = Sim::new(flow);
    let a = sim.start_all().remove(0);
    sim.end(&a, ok(json!({})));
    let items = sim.start_all();
    sim.pass(secs(300));
    assert_eq!(waits(&sim).0, ["each[0]", "each[1]"]);
    items.iter().for_each(|item| interrupt(&mut sim, item));
    sim.run_graph(fine);
    assert_eq!(
        failures(&sim.stop()),
        [failure("each", "deadline_exceeded")]
    );
}
