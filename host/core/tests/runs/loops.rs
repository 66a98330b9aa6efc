//! Loops: the host counts, `until` alone decides, positions survive everything.

use milepost_core::event::{Event, LoopEvent, StepEvent};
use milepost_core::outcome::ErrorClass;
use milepost_core::state::{Status, StepResult};
use serde_json::{Value, json};

use crate::sim::{Sim, error, fail, ok, pause};

/// A loop `fix` with members `patch` and `test`.
fn fix(settings: &str) -> String {
    format!(
        r#"
        [[step]]
        id = "fix"
        loop = {{ until = "steps.test.output.exit == 0", {settings} }}
        [[step]]
        id = "patch"
        in = "fix"
        use = "p/patch"
        [[step]]
        id = "test"
        in = "fix"
        use = "p/test"
        "#
    )
}

/// `test` passes in pass `n`.
fn passes_in(n: usize) -> impl FnMut(&crate::sim::Attempt) -> milepost_core::outcome::Outcome {
    let mut tests = 0;
    move |attempt| {
        if attempt.step == "test" {
            tests += 1;
            return ok(json!({"exit": i32::from(tests < n)}));
        }
        ok(json!({}))
    }
}

fn loop_output(iterations: u32, met: bool) -> Value {
    json!({"iterations": iterations, "condition_met": met})
}

#[test]
fn b90_until_is_evaluated_once_after_a_full_pass() {
    let mut sim = Sim::new(&fix("max_iterations = 5"));
    sim.run(passes_in(2));
    let ended = sim
        .events()
        .into_iter()
        .filter(|name| *name == "loop_iteration_ended")
        .count();
    assert_eq!(ended, 2);
    assert_eq!(
        sim.calls,
        ["fix#1/patch", "fix#1/test", "fix#2/patch", "fix#2/test"]
    );
}

#[test]
fn b91_passes_in_the_second_pass() {
    let mut sim = Sim::new(&fix("max_iterations = 5"));
    sim.run(passes_in(2));
    assert_eq!(sim.status(), Status::Completed);
    assert_eq!(sim.output("fix"), loop_output(2, true));
}

#[test]
fn b92_a_guarded_member_is_skipped_when_its_condition_is_false() {
    let mut sim = Sim::new(
        r#"
        [[step]]
        id = "fix"
        loop = { until = "steps.test.output.exit == 0" }
        [[step]]
        id = "test"
        in = "fix"
        use = "p/test"
        [[step]]
        id = "patch"
        in = "fix"
        if = "steps.test.output.exit != 0"
        use = "p/patch"
        "#,
    );
    sim.run(|_| ok(json!({"exit": 0})));
    assert_eq!(sim.calls, ["fix#1/test"]);
    assert_eq!(sim.output("fix"), loop_output(1, true));
}

#[test]
fn b93_a_loop_yields_iterations_and_condition_met_typed() {
    let mut sim = Sim::new(&format!(
        r#"returns = "${{ steps.fix.output.iterations + steps.fix.iterations }}"{}"#,
        fix("max_iterations = 2")
    ));
    sim.run(passes_in(1));
    let phase = serde_json::to_value(sim.state.phase()).unwrap();
    assert_eq!(phase["output"]["inline"], json!(2));
}

#[test]
fn b94_an_unmet_condition_fails_the_loop_after_its_passes() {
    let mut sim = Sim::new(&fix("max_iterations = 4"));
    sim.run(passes_in(99));
    assert_eq!(sim.calls.len(), 8);
    let error = sim.error("fix");
    assert_eq!(error.code, "loop_exhausted");
    assert!(
        error
            .message
            .starts_with("condition not met after 4 iterations")
    );
    assert_eq!(sim.settled("fix").iterations, Some(4));

    let mut sim = Sim::new(
        &fix("max_iterations = 1").replace("test.output.exit == 0", "test.status == 'completed'"),
    );
    sim.run(|attempt| match attempt.step.as_str() {
        "test" => fail("red"),
        _ => ok(json!({})),
    });
    let message = sim.error("fix").message;
    assert!(
        message.contains("`fix#1/test` failed: red happened"),
        "{message}"
    );
}

#[test]
fn exhaustion_may_be_tolerated() {
    let mut sim = Sim::new(&fix("max_iterations = 2, on_exhausted = \"continue\""));
    sim.run(passes_in(99));
    assert_eq!(sim.status(), Status::Completed);
    assert_eq!(sim.output("fix"), loop_output(2, false));
}

#[test]
fn b95_the_workflow_limit_caps_the_loop() {
    let mut sim = Sim::new(&format!(
        "[limits]\nloop = 3\n{}",
        fix("max_iterations = 10")
    ));
    sim.run(passes_in(99));
    assert_eq!(sim.settled("fix").iterations, Some(3));
}

#[test]
fn b23_a_loop_without_a_limit_runs_three_times() {
    for alias in ["", "maxIterations = 3"] {
        let mut sim = Sim::new(&fix(alias).replace(", }", " }"));
        sim.run(passes_in(99));
        assert_eq!(sim.settled("fix").iterations, Some(3));
    }
}

#[test]
fn b96_limit_zero_never_runs_the_body() {
    let mut sim = Sim::new(&format!(
        "[limits]\nloop = 0\n{}",
        fix("max_iterations = 5")
    ));
    sim.run(|_| unreachable!("the body must not run"));
    assert_eq!(sim.calls, [""; 0]);
    assert_eq!(sim.error("fix").code, "loop_exhausted");
    assert!(!sim.has_record("test"));
    assert_eq!(sim.status(), Status::Failed);
}

#[test]
fn b97_a_failing_member_does_not_end_the_pass_or_the_loop() {
    let mut sim = Sim::new(&fix("max_iterations = 5"));
    let mut inner = passes_in(2);
    sim.run(|attempt| match attempt.step.as_str() {
        "patch" => fail("no_patch"),
        _ => inner(attempt),
    });
    assert_eq!(sim.calls.len(), 4);
    assert_eq!(sim.status(), Status::Completed);
}

#[test]
fn b98_until_true_completes_although_the_last_member_failed() {
    let mut sim = Sim::new(
        &fix("max_iterations = 5").replace("test.output.exit == 0", "test.status == 'failed'"),
    );
    sim.run(|attempt| match attempt.step.as_str() {
        "test" => fail("red"),
        _ => ok(json!({})),
    });
    assert_eq!(sim.output("fix"), loop_output(1, true));
    assert_eq!(sim.status(), Status::Completed);
}

#[test]
fn b99_outputs_of_the_pass_before_stay_visible_until_overwritten() {
    let mut sim = Sim::new(
        r#"
        [[step]]
        id = "l"
        loop = { until = "loop.iteration == 3", max_iterations = 3 }
        [[step]]
        id = "read"
        in = "l"
        use = "p/read"
        with = { last = "${ steps.write.?output.n.orValue(-1) }" }
        [[step]]
        id = "write"
        in = "l"
        if = "loop.iteration != 2"
        use = "p/write"
        "#,
    );
    let mut seen = Vec::new();
    sim.run(|attempt| {
        if attempt.step == "read" {
            seen.push(attempt.input["last"].clone());
        }
        ok(json!({"n": seen.len()}))
    });
    // Pass 2 sees what pass 1 wrote; the skip in pass 2 leaves nothing for pass 3.
    assert_eq!(seen, [json!(-1), json!(1), json!(-1)]);
}

#[test]
fn b350_the_output_of_the_pass_before_is_available() {
    let mut sim = Sim::new(
        r#"
        [[step]]
        id = "l"
        loop = { until = "loop.iteration > 1 && loop.previous.n == steps.b.output.n", max_iterations = 9 }
        [[step]]
        id = "a"
        in = "l"
        use = "p/a"
        if = "loop.iteration == 1 || loop.previous.n < 9"
        [[step]]
        id = "b"
        in = "l"
        use = "p/b"
        "#,
    );
    let mut n = 0;
    sim.run(|attempt| {
        if attempt.step == "b" {
            n = (n + 1).min(3);
        }
        ok(json!({"n": n}))
    });
    // A fixed point: b gives 1, 2, 3, 3.
    assert_eq!(sim.output("l"), loop_output(4, true));
}

const NESTED: &str = r#"
[[step]]
id = "outer"
loop = { until = "steps.check.output.done", max_iterations = 4 }
[[step]]
id = "inner"
in = "outer"
loop = { until = "steps.work.output.ok", max_iterations = 2 }
[[step]]
id = "work"
in = "inner"
use = "p/work"
[[step]]
id = "check"
in = "outer"
use = "p/check"
"#;

#[test]
fn b100_inner_exhaustion_is_a_failed_member_and_inner_starts_afresh() {
    let mut sim = Sim::new(NESTED);
    let mut checks = 0;
    sim.run(|attempt| match attempt.step.as_str() {
        "check" => {
            checks += 1;
            ok(json!({"done": checks == 2}))
        }
        _ => ok(json!({"ok": false})),
    });
    assert_eq!(
        sim.calls,
        [
            "outer#1/inner#1/work",
            "outer#1/inner#2/work",
            "outer#1/check",
            "outer#2/inner#1/work",
            "outer#2/inner#2/work",
            "outer#2/check"
        ]
    );
    assert!(matches!(
        sim.settled("inner").result,
        StepResult::Failed { .. }
    ));
    assert_eq!(sim.output("outer"), loop_output(2, true));
    assert_eq!(sim.status(), Status::Completed);
}

#[test]
fn b101_a_pause_leaves_all_loops_and_is_no_failure() {
    let mut sim = Sim::new(NESTED);
    let mut calls = 0;
    sim.run(|attempt| {
        calls += 1;
        match attempt.step.as_str() {
            "work" if calls == 2 => pause("quota"),
            _ => ok(json!({"ok": false, "done": false})),
        }
    });
    assert_eq!(sim.status(), Status::Paused);
    assert_eq!(sim.calls.len(), 2, "nothing runs after the pause");
    assert_eq!(sim.step("work").status(), "paused");
    assert_eq!(sim.step("inner").status(), "running");
    assert_eq!(
        sim.stop().path.as_ref().unwrap().to_string(),
        "outer#1/inner#2/work"
    );
}

#[test]
fn b102_a_trap_counts_as_the_failed_member_and_the_count_is_the_hosts() {
    let mut sim = Sim::new(
        &fix("max_iterations = 3").replace("test.output.exit == 0", "test.status == 'completed'"),
    );
    sim.run(|attempt| match attempt.step.as_str() {
        "test" => error(ErrorClass::Trap, "trap"),
        // Whatever a guest returns, it neither ends nor extends the loop.
        _ => ok(json!({"iteration": 99, "max_iterations": 1, "condition_met": true})),
    });
    assert_eq!(sim.settled("fix").iterations, Some(3));
    assert_eq!(sim.calls.len(), 6);
}

#[test]
fn an_until_that_cannot_be_evaluated_fails_the_loop() {
    let mut sim = Sim::new(&fix("max_iterations = 3"));
    sim.run(|_| ok(json!({})));
    assert_eq!(sim.error("fix").code, "missing_value");
    assert_eq!(sim.calls.len(), 2);
}

#[test]
fn a_loop_of_skipped_members_still_counts() {
    let mut sim = Sim::new(
        &fix("max_iterations = 100")
            .replace("in = \"fix\"", "in = \"fix\"\nif = \"false\"")
            .replace("test.output.exit == 0", "test.status == 'completed'"),
    );
    sim.run(|_| unreachable!("all members are skipped"));
    assert_eq!(sim.settled("fix").iterations, Some(100));
}

#[test]
fn b271_the_state_does_not_grow_with_passes() {
    let size = |passes: usize| {
        let mut sim = Sim::new(&fix("max_iterations = 10000"));
        sim.run(passes_in(passes));
        let parts = milepost_core::checkpoint::all_parts(&sim.state);
        parts
            .iter()
            .map(|(_, body)| body.as_ref().map_or(0, String::len))
            .sum::<usize>()
    };
    let (few, many) = (size(10), size(2_000));
    assert!(
        many < few + 100,
        "{few} bytes after 10 passes, {many} after 2,000"
    );
}

#[test]
fn every_started_pass_has_one_end() {
    let mut sim = Sim::new(NESTED);
    sim.run(|_| ok(json!({"ok": true, "done": false})));
    let count =
        |wanted: fn(&Event) -> bool| sim.journal.iter().filter(|e| wanted(&e.event)).count();
    assert_eq!(
        count(|e| matches!(
            e,
            Event::Step {
                event: StepEvent::Loop(LoopEvent::IterationStarted { .. }),
                ..
            }
        )),
        count(|e| matches!(
            e,
            Event::Step {
                event: StepEvent::Loop(LoopEvent::IterationEnded { .. }),
                ..
            }
        ))
    );
}

#[test]
fn loops_one_after_another_run_all_their_members_in_passes_of_the_same_number() {
    let of = |name: &str| {
        format!(
            "[[step]]\nid = \"{name}\"\nloop = {{ until = \"true\" }}\n\
             [[step]]\nid = \"{name}1\"\nin = \"{name}\"\nuse = \"p/x\"\n\
             [[step]]\nid = \"{name}2\"\nin = \"{name}\"\nuse = \"p/x\"\n"
        )
    };
    let mut sim = Sim::new(&format!("{}{}", of("a"), of("b")));
    sim.run(|_| ok(json!({})));
    assert_eq!(sim.calls, ["a#1/a1", "a#1/a2", "b#1/b1", "b#1/b2"]);
    assert_eq!(sim.status(), Status::Completed);
}
