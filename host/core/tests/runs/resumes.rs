//! Going on: what runs again, what stays, under an unchanged and under a changed definition.

use milepost_core::event::{Event, RunEvent, StepEvent};
use milepost_core::outcome::codes;
use milepost_core::request::resume::{Refused, ResumeBy, resume};
use milepost_core::request::retry::retry;
use milepost_core::state::{Rejected, Status, StepResult};
use milepost_core::stop::{Stop, Why};
use serde_json::json;

use crate::sim::{Attempt, Sim, fail, ok, pause};

const THREE: &str = r#"
[[step]]
id = "a"
use = "p/a"
[[step]]
id = "b"
use = "p/b"
[[step]]
id = "c"
use = "p/c"
with = { a = "${ steps.a.output.n }" }
"#;

fn failing_at(step: &'static str) -> impl FnMut(&Attempt) -> milepost_core::outcome::Outcome {
    move |attempt| {
        if attempt.step == step {
            return fail("broken");
        }
        ok(json!({"n": attempt.attempt, "ok": true, "done": true}))
    }
}

fn fine(attempt: &Attempt) -> milepost_core::outcome::Outcome {
    failing_at("nothing")(attempt)
}

#[test]
fn b124_b125_completed_steps_do_not_run_again_and_feed_later_ones() {
    let mut sim = Sim::new(THREE);
    sim.run(failing_at("b"));
    let mut seen = json!(null);
    sim.resume().run(|attempt| {
        if attempt.step == "c" {
            seen = attempt.input.clone();
        }
        fine(attempt)
    });
    assert_eq!(sim.calls, ["a", "b", "b", "c"]);
    assert_eq!(seen, json!({"a": 1}));
    assert_eq!(sim.status(), Status::Completed);
}

#[test]
fn b126_progress_of_a_resumed_run_is_kept_when_it_fails_again() {
    let mut sim = Sim::new(THREE);
    sim.run(failing_at("b"));
    sim.resume().run(failing_at("c"));
    assert_eq!(sim.calls, ["a", "b", "b", "c"]);
    assert_eq!(sim.failures()[0].0, "c");
    sim.resume().run(fine);
    assert_eq!(sim.calls, ["a", "b", "b", "c", "c"]);
}

#[test]
fn b120_b229_a_resume_clears_the_stop() {
    let mut sim = Sim::new(THREE);
    sim.run(failing_at("b"));
    sim.resume();
    assert_eq!(sim.status(), Status::Running);
    assert!(sim.state.phase().stop().is_none());
    assert!(sim.step("b").settled().is_none());
}

#[test]
fn b139_the_resume_event_tells_what_stays_and_what_failed() {
    let mut sim = Sim::new(THREE);
    sim.run(failing_at("b"));
    let resumed = resume(&sim.definition, &sim.state, ResumeBy::Person).unwrap();
    assert_eq!(resumed.completed, 1);
    assert_eq!(resumed.reset.len(), 1);
    let cleared = resumed.cleared.unwrap();
    assert_eq!(cleared.path.unwrap().to_string(), "b");
}

#[test]
fn b180_only_paused_and_failed_runs_can_go_on() {
    let mut sim = Sim::new(THREE);
    assert_eq!(
        resume(&sim.definition, &sim.state, ResumeBy::Person),
        Err(Refused::NotStopped(Status::Running))
    );
    sim.run(fine);
    assert_eq!(
        resume(&sim.definition, &sim.state, ResumeBy::Person),
        Err(Refused::NotStopped(Status::Completed))
    );
}

#[test]
fn b137_conditions_of_open_steps_are_evaluated_anew() {
    let mut sim = Sim::new(
        r#"
        [[step]]
        id = "a"
        use = "p/a"
        continue_on_error = true
        [[step]]
        id = "b"
        if = "steps.a.status == 'failed'"
        use = "p/b"
        [[step]]
        id = "c"
        use = "p/c"
        "#,
    );
    let red = |attempt: &Attempt| match attempt.step.as_str() {
        "a" | "c" => fail("red"),
        _ => fine(attempt),
    };
    sim.run(red);
    assert_eq!(sim.calls, ["a", "b", "c"]);
    let failed: Vec<String> = sim.failures().into_iter().map(|(path, _)| path).collect();
    assert_eq!(failed, ["c"], "what is handled did not fail the run");
    assert_eq!(sim.stop().path.as_ref().unwrap().to_string(), "c");
    sim.resume().run(fine);
    assert_eq!(
        sim.calls,
        ["a", "b", "c", "a", "c"],
        "b reads a, so it is judged again"
    );
    assert_eq!(sim.settled("b").result, StepResult::Skipped);
    assert_eq!(sim.status(), Status::Completed);
}

#[test]
fn a_handled_failure_stays_when_a_paused_run_goes_on() {
    let mut sim = Sim::new(
        r#"
        [[step]]
        id = "a"
        use = "p/a"
        continue_on_error = true
        [[step]]
        id = "reads_a"
        use = "p/b"
        with = { status = "${ steps.a.status }" }
        [[step]]
        id = "asks"
        use = "p/c"
        "#,
    );
    sim.run(|attempt| match attempt.step.as_str() {
        "a" => fail("red"),
        "asks" => pause("quota"),
        _ => fine(attempt),
    });
    assert_eq!(sim.status(), Status::Paused);
    sim.resume().run(fine);
    assert_eq!(sim.calls, ["a", "reads_a", "asks", "asks"]);
    assert_eq!(sim.status(), Status::Completed);
}

#[test]
fn b138_failed_steps_run_again_with_their_dependents_and_nothing_else() {
    let mut sim = Sim::of_old(
        r#"
        [[step]]
        id = "a"
        use = "p/a"
        continue_on_error = true
        [[step]]
        id = "reads_a"
        use = "p/b"
        with = { status = "${ steps.a.status }" }
        [[step]]
        id = "reads_reader"
        use = "p/c"
        with = { n = "${ steps.reads_a.output.n }" }
        [[step]]
        id = "free"
        use = "p/d"
        "#,
    );
    sim.run(failing_at("a"));
    assert_eq!(sim.status(), Status::Failed);
    sim.resume().run(fine);
    assert_eq!(
        sim.calls,
        [
            "a",
            "reads_a",
            "reads_reader",
            "free",
            "a",
            "reads_a",
            "reads_reader"
        ]
    );
    assert_eq!(sim.status(), Status::Completed);
}

#[test]
fn retry_from_a_step_runs_it_and_what_depends_on_it() {
    let mut sim = Sim::new(THREE);
    sim.run(failing_at("c"));
    sim.retry(Some("a")).run(fine);
    assert_eq!(sim.calls, ["a", "b", "c", "a", "c"]);
    assert_eq!(sim.status(), Status::Completed);
}

#[test]
fn retry_from_an_unknown_step_is_refused() {
    let mut sim = Sim::new(THREE);
    sim.run(failing_at("c"));
    let nope: milepost_core::ids::Path = "nope".parse().unwrap();
    let refused = retry(&sim.definition, &sim.state, Some(&nope));
    assert_eq!(refused, Err(Refused::UnknownStep(nope.step().clone())));
}

fn looping(max: u32) -> String {
    format!(
        r#"
        [[step]]
        id = "fix"
        loop = {{ until = "steps.two.output.ok", max_iterations = {max} }}
        [[step]]
        id = "one"
        in = "fix"
        use = "p/one"
        [[step]]
        id = "two"
        in = "fix"
        use = "p/two"
        "#
    )
}

#[test]
fn b130_a_loop_goes_on_at_its_pass_and_member() {
    let mut sim = Sim::new(&looping(5));
    sim.run(|attempt| match attempt.path.as_str() {
        "fix#2/two" => pause("quota"),
        _ => ok(json!({"ok": false})),
    });
    assert_eq!(sim.status(), Status::Paused);
    sim.resume()
        .run(|attempt| ok(json!({"ok": attempt.path == "fix#3/two"})));
    assert_eq!(
        sim.calls[4..],
        ["fix#2/two", "fix#3/one", "fix#3/two"],
        "pass 2 goes on at its second member, pass 3 starts at the first"
    );
    assert_eq!(sim.output("fix")["iterations"], 3);
}

#[test]
fn b131_after_the_last_member_until_comes_first() {
    let mut sim = Sim::new(&looping(5));
    let one = sim.next_attempt().unwrap();
    sim.end(&one, ok(json!({})));
    let two = sim.next_attempt().unwrap();
    sim.end(&two, ok(json!({"ok": true})));
    // The process dies between the outcome and the evaluation.
    sim.crash();
    sim.run(|_| unreachable!("nothing is left to execute"));
    assert_eq!(sim.output("fix")["iterations"], 1);
}

#[test]
fn b129_outputs_of_a_completed_loops_members_resolve_after_a_resume() {
    let mut sim = Sim::new(&format!(
        "{}\n[[step]]\nid = \"after\"\nuse = \"p/after\"\nwith = {{ ok = \"${{ steps.two.output.ok }}\" }}\n",
        looping(5)
    ));
    sim.run(failing_at("after"));
    let mut seen = json!(null);
    sim.resume().run(|attempt| {
        seen = attempt.input.clone();
        fine(attempt)
    });
    assert_eq!(sim.calls, ["fix#1/one", "fix#1/two", "after", "after"]);
    assert_eq!(seen, json!({"ok": true}));
}

#[test]
fn b132_a_skipped_member_stays_skipped_and_empty() {
    let body = looping(5).replace("id = \"one\"", "id = \"one\"\nif = \"loop.iteration == 1\"");
    let mut sim = Sim::new(&body);
    sim.run(|attempt| match attempt.path.as_str() {
        "fix#2/two" => pause("quota"),
        _ => ok(json!({"ok": false})),
    });
    sim.resume();
    assert_eq!(sim.settled("one").result, StepResult::Skipped);
    sim.run(fine);
    assert_eq!(
        sim.calls,
        ["fix#1/one", "fix#1/two", "fix#2/two", "fix#2/two"]
    );
}

#[test]
fn b134_a_limit_lowered_below_the_recorded_pass_fails_the_loop() {
    let mut sim = Sim::new(&looping(9));
    sim.run(|attempt| match attempt.path.as_str() {
        "fix#5/two" => pause("quota"),
        _ => ok(json!({"ok": false})),
    });
    sim.change(&looping(3));
    sim.resume()
        .run(|_| unreachable!("no side effect is repeated"));
    assert_eq!(sim.error("fix").code, "loop_exhausted");
    assert_eq!(sim.status(), Status::Failed);
}

#[test]
fn a_raised_limit_lets_an_exhausted_loop_go_on_where_it_was() {
    let mut sim = Sim::new(&looping(2));
    sim.run(|_| ok(json!({"ok": false})));
    assert_eq!(sim.calls.len(), 4);
    sim.resume().run(|_| unreachable!("the limit still holds"));
    assert_eq!(sim.status(), Status::Failed);
    sim.change(&looping(3));
    sim.resume().run(|_| ok(json!({"ok": true})));
    assert_eq!(sim.calls[4..], ["fix#3/one", "fix#3/two"]);
    assert_eq!(sim.status(), Status::Completed);
}

#[test]
fn retry_starts_an_exhausted_loop_afresh() {
    let mut sim = Sim::new(&looping(2));
    sim.run(|_| ok(json!({"ok": false})));
    sim.retry(None).run(|_| ok(json!({"ok": true})));
    assert_eq!(sim.calls[4..], ["fix#1/one", "fix#1/two"]);
    assert_eq!(sim.output("fix")["iterations"], 1);
}

#[test]
fn b136_nested_loops_keep_their_own_positions() {
    let mut sim = Sim::new(
        r#"
        [[step]]
        id = "outer"
        loop = { until = "steps.check.output.done", max_iterations = 4 }
        [[step]]
        id = "inner"
        in = "outer"
        loop = { until = "loop.iteration == 2", max_iterations = 2 }
        [[step]]
        id = "work"
        in = "inner"
        use = "p/work"
        [[step]]
        id = "check"
        in = "outer"
        use = "p/check"
        "#,
    );
    sim.run(|attempt| match attempt.path.as_str() {
        "outer#2/inner#2/work" => pause("quota"),
        _ => ok(json!({"done": false})),
    });
    sim.resume().run(|_| ok(json!({"done": true})));
    assert_eq!(
        sim.calls,
        [
            "outer#1/inner#1/work",
            "outer#1/inner#2/work",
            "outer#1/check",
            "outer#2/inner#1/work",
            "outer#2/inner#2/work",
            "outer#2/inner#2/work",
            "outer#2/check"
        ]
    );
    assert_eq!(sim.status(), Status::Completed);
}

#[test]
fn b165_b169_a_signal_interrupts_the_attempt_and_its_result_does_not_count() {
    let mut sim = Sim::new(THREE);
    let attempt = sim.next_attempt().unwrap();
    sim.pause();
    assert_eq!(sim.status(), Status::Paused);
    assert_eq!(sim.step("a").status(), "pending");
    // The late result finds nothing in flight.
    let late = milepost_core::event::Entry {
        seq: sim.state.seq() + 1,
        at: sim.now,
        epoch: sim.state.epoch(),
        event: Event::Step {
            path: attempt.path.parse().unwrap(),
            event: StepEvent::Completed {
                attempt: 1,
                output: json!({}).into(),
                undo: None,
                tape: Default::default(),
            },
        },
    };
    assert!(matches!(
        sim.state.apply(&late),
        Err(Rejected::NotRunning { .. })
    ));
    sim.resume().run(fine);
    assert_eq!(sim.calls, ["a", "a", "b", "c"]);
}

#[test]
fn b268_a_lost_attempt_runs_again_under_the_next_number_and_counts_no_failure() {
    let mut sim = Sim::new(THREE);
    sim.next_attempt().unwrap();
    sim.crash();
    let again = sim.next_attempt().unwrap();
    assert_eq!((again.path.as_str(), again.attempt), ("a", 2));
    assert_eq!(sim.step("a").failures(), 0);
}

#[test]
fn b127_records_of_steps_that_no_longer_exist_are_dropped() {
    let mut sim = Sim::new(THREE);
    sim.run(failing_at("c"));
    sim.change(&THREE.replace("\"b\"", "\"renamed\""));
    assert!(!sim.has_record("b"));
    sim.resume().run(fine);
    assert_eq!(sim.calls, ["a", "b", "c", "renamed", "c"]);
}

#[test]
fn b135_a_step_that_moved_into_a_loop_is_not_taken_for_done() {
    let mut sim = Sim::new(THREE);
    sim.run(failing_at("c"));
    sim.change(
        r#"
        [[step]]
        id = "l"
        loop = { until = "true" }
        [[step]]
        id = "a"
        in = "l"
        use = "p/a"
        "#,
    );
    assert!(sim.state.executions().is_empty());
}

#[test]
fn b237_illegal_transitions_name_both_states() {
    let mut sim = Sim::new(THREE);
    sim.run(fine);
    let entry = milepost_core::event::Entry {
        seq: sim.state.seq() + 1,
        at: sim.now,
        epoch: sim.state.epoch(),
        event: Event::Run(RunEvent::Paused {
            stop: Stop::new(Why::WaitingForTime),
        }),
    };
    let before = sim.state.clone();
    let rejected = sim.state.apply(&entry).unwrap_err().to_string();
    assert!(
        rejected.contains("completed") && rejected.contains("paused"),
        "{rejected}"
    );
    assert_eq!(sim.state, before, "a rejected event changes nothing");
}

#[test]
fn b231_the_start_time_is_set_once() {
    let mut sim = Sim::new(THREE);
    let started = sim.state.started_at();
    sim.run(failing_at("b"));
    sim.now = sim.now.after(std::time::Duration::from_secs(60));
    sim.resume();
    assert_eq!(sim.state.started_at(), started);
}

#[test]
fn a_step_that_became_a_loop_or_ceased_to_be_one_is_not_taken_for_done() {
    let component = "[[step]]\nid = \"a\"\nuse = \"p/a\"\n";
    let a_loop = "[[step]]\nid = \"a\"\nloop = { until = \"true\" }\n[[step]]\nid = \"m\"\nin = \"a\"\nuse = \"p/m\"\n";
    let last = "[[step]]\nid = \"z\"\nuse = \"p/z\"\n";
    let (component, a_loop) = (format!("{component}{last}"), format!("{a_loop}{last}"));
    // The step is completed, or paused itself, when its kind changes.
    for stops_at in ["a", "z"] {
        let mut sim = Sim::new(&component);
        sim.run(|attempt| {
            if attempt.step == stops_at {
                return pause("quota");
            }
            ok(json!({"n": 1}))
        });
        sim.change(&a_loop);
        assert!(!sim.has_record("a"), "a component became a loop");
        sim.resume().run(fine);
        assert!(sim.calls.contains(&"a#1/m".to_owned()));
        assert_eq!(sim.status(), Status::Completed);
    }
    let mut sim = Sim::new(&a_loop);
    sim.run(|attempt| match attempt.step.as_str() {
        "z" => pause("quota"),
        _ => ok(json!({})),
    });
    sim.change(&component);
    assert!(!sim.has_record("a"), "a loop became a component");
    sim.resume().run(fine);
    assert!(sim.calls.contains(&"a".to_owned()));
    assert_eq!(sim.status(), Status::Completed);

    let mut sim = Sim::new(&component);
    let attempt = sim.next_attempt().unwrap();
    sim.end(&attempt, crate::sim::retryable("busy"));
    sim.pause();
    sim.change(&a_loop);
    sim.now = sim.now.after(std::time::Duration::from_secs(3_600));
    sim.resume().run(fine);
    assert_eq!(
        sim.calls,
        ["a", "a#1/m", "z"],
        "a waiting component became a loop"
    );
    assert_eq!(sim.status(), Status::Completed);
}

#[test]
fn an_exhausted_loop_says_how_to_go_on_and_how_far_it_came() {
    let mut sim = Sim::new(&format!(
        "{}[[step]]\nid = \"after\"\nuse = \"p/after\"\nwith = {{ met = \"${{ steps.fix.output.condition_met }}\" }}\n",
        looping(2).replace("loop = {", "continue_on_error = true\nloop = {")
    ));
    let mut seen = json!(null);
    sim.run(|attempt| {
        seen = attempt.input.clone();
        ok(json!({"ok": false}))
    });
    assert_eq!(seen, json!({"met": false}));
    assert_eq!(sim.status(), Status::Completed, "handled");
    let mut sim = Sim::new(&looping(2));
    sim.run(|_| ok(json!({"ok": false})));
    assert_eq!(sim.failures()[0].1, codes::LOOP_EXHAUSTED);
}

#[test]
fn b363_a_step_that_always_runs_does_so_on_every_resume_and_retry_by_a_person() {
    const FLOW: &str = r#"
[[step]]
id = "login"
use = "p/login"
always_run = true
[[step]]
id = "apart"
use = "p/apart"
[[step]]
id = "reads"
use = "p/reads"
with = { token = "${ steps.login.output.token }" }
[[step]]
id = "last"
use = "p/last"
"#;
    let script = |attempt: &Attempt| match (attempt.step.as_str(), attempt.attempt) {
        ("last", 1) => pause("quota"),
        ("last", 2) => fail("red"),
        _ => ok(json!({ "token": attempt.attempt })),
    };
    let reset = |sim: &Sim| {
        let resumed = sim
            .journal
            .iter()
            .rev()
            .find_map(|entry| match &entry.event {
                Event::Run(RunEvent::Resumed(resumed)) => Some(resumed.reset.clone()),
                _ => None,
            });
        let ids = resumed.unwrap();
        ids.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let mut sim = Sim::new(FLOW);
    sim.run(script).resume();
    assert_eq!(reset(&sim), ["login", "reads"]);
    sim.run(script);
    assert_eq!(sim.status(), Status::Failed);
    sim.retry(None);
    assert_eq!(reset(&sim), ["last", "login", "reads"]);
    sim.run(script);
    assert_eq!(sim.status(), Status::Completed);
    assert_eq!(
        sim.calls,
        [
            "login", "apart", "reads", "last", "login", "reads", "last", "login", "reads", "last"
        ]
    );
    assert_eq!(sim.output("reads")["token"], 3);
    // What goes on by itself repeats nothing, or no bound on automatic resumes would hold.
    let mut sim = Sim::new(FLOW);
    sim.run(script).work(ResumeBy::Schedule);
    assert!(reset(&sim).is_empty());
    sim.crash();
    sim.run(script);
    assert_eq!(sim.calls.iter().filter(|call| *call == "login").count(), 1);

    // An approval that reads one asks once.
    let mut sim = Sim::new(
        "[[step]]\nid = \"login\"\nuse = \"p/login\"\nalways_run = true\n[[step]]\nid = \"gate\"\napproval = { message = \"${ steps.login.output.token }?\" }\n",
    );
    sim.run(script).approve("gate").resume().run(script);
    assert_eq!(sim.status(), Status::Completed);
    // In a loop, the whole loop runs again with it.
    let mut sim = Sim::new(
        "[[step]]\nid = \"l\"\nloop = { until = \"loop.iteration == 2\" }\n[[step]]\nid = \"m\"\nin = \"l\"\nuse = \"p/m\"\nalways_run = true\n[[step]]\nid = \"last\"\nuse = \"p/last\"\n",
    );
    sim.run(script).resume().run(script);
    assert_eq!(
        sim.calls,
        ["l#1/m", "l#2/m", "last", "l#1/m", "l#2/m", "last"]
    );
}
