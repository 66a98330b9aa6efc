//! Conditions are evaluated by the host, on recorded values, at the right time.

use milepost_core::state::{Status, StepResult};
use serde_json::json;

use crate::sim::{Sim, fail, ok};

#[test]
fn b51_a_value_that_does_not_exist_is_an_error_of_the_reader() {
    let mut sim = Sim::new(
        r#"
        [[step]]
        id = "a"
        use = "p/a"
        [[step]]
        id = "b"
        if = "steps.a.output.x == 0"
        use = "p/b"
        "#,
    );
    sim.run(|_| ok(json!({})));
    assert_eq!(sim.error("b").code, "missing_value");
    assert_eq!(sim.status(), Status::Failed);
}

#[test]
fn absence_is_tolerated_only_when_the_author_says_so() {
    let mut sim = Sim::new(
        r#"
        [[step]]
        id = "a"
        use = "p/a"
        [[step]]
        id = "b"
        if = "has(steps.a.output.x) && steps.a.output.x == 0"
        use = "p/b"
        [[step]]
        id = "c"
        if = "steps.a.output.?x.orValue(0) == 0"
        use = "p/c"
        "#,
    );
    sim.run(|_| ok(json!({})));
    assert_eq!(sim.calls, ["a", "c"]);
}

#[test]
fn a_condition_reads_the_status_of_a_failed_and_of_a_skipped_step() {
    let mut sim = Sim::new(
        r#"
        [[step]]
        id = "a"
        use = "p/a"
        continue_on_error = true
        [[step]]
        id = "b"
        if = "steps.a.status == 'completed'"
        use = "p/b"
        [[step]]
        id = "c"
        if = "steps.a.status == 'failed' && steps.b.status == 'skipped'"
        use = "p/c"
        "#,
    );
    sim.run(|attempt| match attempt.step.as_str() {
        "a" => fail("x"),
        _ => ok(json!({})),
    });
    assert_eq!(sim.settled("b").result, StepResult::Skipped);
    assert_eq!(sim.calls, ["a", "c"]);
}

#[test]
fn b71_the_same_outputs_give_the_same_run() {
    let body = r#"
        [[step]]
        id = "a"
        use = "p/a"
        [[step]]
        id = "b"
        if = "steps.a.output.n % 2 == 1"
        use = "p/b"
        "#;
    let journal = |n: i64| {
        let mut sim = Sim::new(body);
        sim.run(|_| ok(json!({"n": n})));
        sim.journal.clone()
    };
    assert_eq!(journal(1), journal(1));
    assert_ne!(journal(1).len(), journal(2).len());
}

#[test]
fn inputs_and_run_facts_are_readable() {
    let mut sim = Sim::with_inputs(
        r#"
        [inputs.n]
        type = "int"
        [[step]]
        id = "a"
        use = "p/a"
        with = { n = "${ inputs.n + 1 }", run = "${ run.id }", at = "${ run.started_at }" }
        "#,
        json!({"n": 4}),
    );
    let mut seen = json!(null);
    sim.run(|attempt| {
        seen = attempt.input.clone();
        ok(json!({}))
    });
    assert_eq!(seen["n"], 5);
    assert_eq!(seen["run"], "r1");
    assert_eq!(seen["at"], "2023-11-14T22:13:20.000000000Z");
}
