//! Steps that end the run: nothing new starts, what is in flight ends first, and the run ends as the first of them says.

use milepost_core::decide::{Decision, decide};
use milepost_core::event::{Event, StepEvent};
use milepost_core::state::{Ending, Phase, Status, StepPhase};
use milepost_core::stop::{StopCode, Why};
use serde_json::{Value, json};

use crate::sim::{Attempt, Sim, fail, ok, pause};
use crate::waits::fine;

fn ends(end: &str) -> String {
    format!(
        "[[step]]\nid = \"a\"\nuse = \"p/a\"\n[[step]]\nid = \"stop\"\nif = \"steps.a.output.stop\"\nend = {{ {end} }}\n[[step]]\nid = \"b\"\nuse = \"p/b\"\n"
    )
}

fn stopping(_: &Attempt) -> milepost_core::outcome::Outcome {
    ok(json!({ "stop": true, "n": 7 }))
}

fn returned(sim: &Sim) -> Value {
    match sim.state.phase() {
        Phase::Completed { output, .. } => output.value().as_ref().clone(),
        other => panic!("{other:?}"),
    }
}

/// Attempts that have to end now.
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
fn b333_a_step_ends_the_run_as_it_says_and_nothing_runs_after_it() {
    for (end, status) in [
        ("status = \"completed\"", Status::Completed),
        (
            "status = \"failed\", message = \"n is ${ steps.a.output.n }\"",
            Status::Failed,
        ),
        (
            "status = \"cancelled\", message = \"n is ${ steps.a.output.n }\"",
            Status::Cancelled,
        ),
    ] {
        let mut sim = Sim::new(&ends(end));
        sim.run(stopping);
        assert_eq!(sim.status(), status);
        assert_eq!(sim.calls, ["a"]);
        assert!(
            sim.events()
                .ends_with(&["run_ending", &format!("run_{status}")])
        );
        if status == Status::Completed {
            assert_eq!(returned(&sim), Value::Null);
            continue;
        }
        let stop = sim.stop();
        assert_eq!(stop.path.unwrap().to_string(), "stop");
        assert!(
            matches!(&stop.why, Why::Ended { message: Some(message), .. } if message == "n is 7"),
            "{:?}",
            stop.why
        );
    }
    // Skipped, it ends nothing.
    let mut sim = Sim::new(&ends("status = \"cancelled\""));
    sim.run(|_| ok(json!({ "stop": false })));
    assert_eq!(sim.status(), Status::Completed);
    assert_eq!(sim.calls, ["a", "b"]);
}

#[test]
fn its_output_is_that_of_the_run_whatever_returns_says() {
    let end = "status = \"completed\", output = { n = \"${ steps.a.output.n }\" }";
    let mut sim = Sim::new(&format!(
        "returns = \"${{ steps.b.output.n }}\"\n{}",
        ends(end)
    ));
    sim.run(stopping);
    assert_eq!(returned(&sim), json!({ "n": 7 }));
    assert_eq!(sim.output("stop"), json!({ "n": 7 }));
}

#[test]
fn what_cannot_be_evaluated_fails_the_step_and_ends_nothing() {
    for end in [
        "status = \"failed\", message = \"${ steps.a.output.nowhere }\"",
        "status = \"completed\", output = \"${ steps.a.output.nowhere }\"",
    ] {
        let mut sim = Sim::new(&ends(end));
        sim.run(stopping);
        assert_eq!(sim.failures(), [("stop".into(), "missing_value".into())]);
    }
}

/// `a` and `w` are in flight, or open, when `stop` ends the run.
fn beside(other: &str) -> String {
    format!(
        "flow = \"graph\"\n[[step]]\nid = \"a\"\nuse = \"p/a\"\n[[step]]\nid = \"w\"\n{other}\n[[step]]\nid = \"q\"\nuse = \"p/q\"\n[[step]]\nid = \"stop\"\nneeds = [\"q\"]\nend = {{ status = \"failed\", message = \"enough\" }}\n[[step]]\nid = \"later\"\nneeds = [\"q\"]\nuse = \"p/later\"\n[[step]]\nid = \"second\"\nneeds = [\"q\"]\nend = {{ status = \"cancelled\" }}\n"
    )
}

#[test]
fn b333_what_is_in_flight_may_clean_up_and_what_is_open_is_closed() {
    for cleans_up in [true, false] {
        for other in [
            "wait = { signal = \"go\" }",
            "approval = { message = \"?\" }",
            "use = \"p/w\"",
        ] {
            let mut sim = Sim::new(&beside(other));
            let mut started = sim.start_all();
            let at = |started: &[Attempt], step: &str| {
                started.iter().position(|attempt| attempt.step == step)
            };
            if let Some(w) = at(&started, "w") {
                let w = started.remove(w);
                sim.end(&w, pause("quota"));
            }
            let q = started.remove(at(&started, "q").unwrap());
            sim.end(&q, ok(json!({})));
            assert!(sim.start_all().is_empty(), "nothing new starts");
            assert!(matches!(sim.state.ending(), Some(Ending::Failed { .. })));
            assert_eq!(cancelled(&sim), ["a"]);
            assert!(matches!(sim.step("w").phase(), StepPhase::Pending));
            match cleans_up {
                true => sim.end(&started[0], ok(json!({}))),
                false => interrupt(&mut sim, &started[0]),
            }
            sim.run_graph(fine);
            assert_eq!(sim.status(), Status::Failed);
            assert_eq!(sim.stop().code(), StopCode::Ended);
            assert!(!sim.has_record("second"), "the first one wins");
            assert_eq!(sim.calls.len(), 2 + usize::from(other.contains("use")));

            // When a person goes on, the end is decided again, before anything starts.
            sim.resume();
            assert!(sim.start_all().is_empty());
            assert_eq!(sim.stop().code(), StopCode::Ended);
        }
    }
}

#[test]
fn a_failed_end_can_be_resumed_and_retried() {
    let mut sim = Sim::new(&ends("status = \"failed\""));
    sim.run(stopping);
    // Nothing else has changed: it decides as before.
    sim.resume().run(fine);
    assert_eq!((sim.status(), sim.calls.len()), (Status::Failed, 1));
    // An earlier step that comes out otherwise.
    sim.retry(Some("a")).run(|_| ok(json!({ "stop": false })));
    assert_eq!(sim.status(), Status::Completed);
    assert_eq!(sim.calls, ["a", "a", "b"]);
}

#[test]
fn in_a_loop_it_ends_the_run_and_a_resume_goes_on_in_that_iteration() {
    let mut sim = Sim::new(
        "[[step]]\nid = \"l\"\nloop = { until = \"steps.m.output.n == 3\" }\n[[step]]\nid = \"m\"\nin = \"l\"\nuse = \"p/m\"\n[[step]]\nid = \"stop\"\nin = \"l\"\nif = \"steps.m.output.stop\"\nend = { status = \"failed\" }\n[[step]]\nid = \"n\"\nin = \"l\"\nuse = \"p/n\"\n",
    );
    sim.run(|attempt| match attempt.path.as_str() {
        "l#2/m" => ok(json!({ "n": 2, "stop": true })),
        _ => ok(json!({ "n": 1, "stop": false })),
    });
    assert_eq!(sim.status(), Status::Failed);
    assert_eq!(sim.stop().path.unwrap().to_string(), "l#2/stop");
    assert_eq!(sim.calls, ["l#1/m", "l#1/n", "l#2/m"]);
    sim.retry(None)
        .run(|_| ok(json!({ "n": 3, "stop": false })));
    assert_eq!(sim.status(), Status::Completed);
    assert_eq!(sim.calls[3..], ["l#1/m", "l#1/n"]);
}

#[test]
fn a_run_that_is_about_to_end_is_found_so_by_whoever_takes_it_over() {
    let mut sim = Sim::new(&beside("use = \"p/w\""));
    let started = sim.start_all();
    let q = started.iter().find(|attempt| attempt.step == "q").unwrap();
    sim.end(q, fail("red"));
    assert!(sim.state.ending().is_none(), "its join does not let it");
    let mut sim = Sim::new(&beside("use = \"p/w\""));
    let started = sim.start_all();
    let q = started.iter().find(|attempt| attempt.step == "q").unwrap();
    sim.end(q, ok(json!({})));
    assert!(sim.start_all().is_empty());
    sim.crash();
    sim.run_graph(fine);
    assert_eq!(sim.stop().code(), StopCode::Ended);
    assert_eq!(sim.calls.len(), 3, "what was lost does not start again");
    // So does one that is paused meanwhile.
    let mut sim = Sim::new(&beside("use = \"p/w\""));
    let started = sim.start_all();
    let q = started.iter().find(|attempt| attempt.step == "q").unwrap();
    sim.end(q, ok(json!({})));
    assert!(sim.start_all().is_empty());
    sim.pause();
    assert_eq!(sim.status(), Status::Paused);
    sim.resume().run_graph(fine);
    assert_eq!(sim.stop().code(), StopCode::Ended);
    assert!(sim.journal.iter().any(|entry| matches!(
        &entry.event,
        Event::Step {
            event: StepEvent::Ends { .. },
            ..
        }
    )));
}

/// A step is skipped, another one begins to wait, and the first lets a third one end the run: that is decided when both are recorded.
#[test]
fn what_was_decided_before_the_end_was_ready_replays() {
    for other in [
        "wait = { signal = \"go\" }",
        "approval = { message = \"?\" }",
    ] {
        let mut sim = Sim::new(&format!(
            "flow = \"graph\"\n[[step]]\nid = \"x\"\nif = \"false\"\nuse = \"p/x\"\n[[step]]\nid = \"w\"\n{other}\n[[step]]\nid = \"stop\"\nneeds = [\"x\"]\njoin = \"all_done\"\nend = {{ status = \"completed\" }}\n"
        ));
        assert!(sim.start_all().is_empty());
        assert_eq!(
            sim.events(),
            [
                "step_skipped",
                "wait_started",
                "run_ending",
                "step_interrupted",
                "run_completed"
            ]
        );
        // What is recorded replays when it goes.
    }
}
