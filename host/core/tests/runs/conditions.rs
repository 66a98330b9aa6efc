//! Conditions are evaluated by the host, on recorded values, at the right time.

use milepost_core::event::{Event, RunEvent};
use milepost_core::limits::{JSON_DEPTH, PARSED_VALUE_BYTES};
use milepost_core::outcome::codes;
use milepost_core::replay::check;
use milepost_core::rules::Rules;
use milepost_core::state::{Phase, RunState, Status, StepResult};
use milepost_core::stop::StopCode;
use serde_json::{Value, json};

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

/// A value of so many levels.
fn nested(levels: usize) -> Value {
    (0..levels).fold(json!(1), |inner, _| json!([inner]))
}

#[test]
fn a_value_that_an_expression_makes_is_nested_no_deeper_than_one_that_comes_in() {
    let flow = r#"
        returns = { v = "${ steps.a.output }" }
        [[step]]
        id = "a"
        use = "p/a"
        [[step]]
        id = "b"
        if = "inputs.with"
        use = "p/b"
        with = { v = ["${ [steps.a.output] }"] }
        [inputs.with]
        type = "bool"
    "#;
    let run = |levels: usize, with: bool| {
        let mut sim = Sim::with_inputs(flow, json!({ "with": with }));
        sim.run(|attempt| match attempt.step.as_str() {
            "a" => ok(nested(levels)),
            _ => ok(json!(null)),
        });
        sim
    };
    let fits = run(JSON_DEPTH - 3, true);
    assert_eq!(fits.status(), Status::Completed, "{:?}", fits.state.phase());
    let too_deep = run(JSON_DEPTH - 2, true);
    let error = too_deep.error("b");
    assert_eq!(error.code, "expression_error");
    assert!(error.message.contains("deeper than 64 levels"), "{error:?}");

    assert_eq!(run(JSON_DEPTH - 1, false).status(), Status::Completed);
    let too_deep = run(JSON_DEPTH, false);
    assert_eq!(too_deep.stop().code(), StopCode::ReturnsFailed);
    let stop = too_deep.stop();
    let error = stop.why.error().unwrap();
    assert!(error.contains("deeper than 64 levels"), "{error}");
}

const BY_RULES: &str = r#"
[[step]]
id = "a"
use = "p/a"
[[step]]
id = "equal"
if = "steps.a.output.n == steps.a.output.d"
use = "p/equal"
[[step]]
id = "listed"
if = "steps.a.output.list.?x.orValue('none') == 'none'"
use = "p/listed"
[[step]]
id = "z"
use = "p/z"
with = { n = "${ steps.a.output.u }!" }
"#;

/// An old journal replays, because its conditions keep the meaning that they had.
#[test]
fn the_conditions_of_an_old_run_decide_as_they_did() {
    let output = json!({
        "n": 9_007_199_254_740_993_i64, "d": 9_007_199_254_740_992.0, "list": [1], "u": u64::MAX,
    });
    let mut old = Sim::of_old(BY_RULES);
    let mut written = Value::Null;
    old.run(|attempt| {
        if attempt.step == "z" {
            written = attempt.input.clone();
        }
        ok(output.clone())
    });
    assert_eq!(old.calls, ["a", "listed", "z"]);
    assert_eq!(written, json!({"n": "18446744073709552000!"}));
    assert_eq!(old.status(), Status::Completed);
    let mut state = RunState::create(&old.journal[0]).unwrap();
    for entry in &old.journal[1..] {
        check(&old.definition, &mut state, entry).unwrap();
    }
    // Under the rules of today the same journal is not what is decided.
    let mut first = old.journal[0].clone();
    if let Event::Run(RunEvent::Created(created)) = &mut first.event {
        created.rules = Rules::PRESENT;
    }
    let mut state = RunState::create(&first).unwrap();
    let divergence = old.journal[1..]
        .iter()
        .find_map(|entry| check(&old.definition, &mut state, entry).err());
    let path = divergence.unwrap().path.unwrap();
    assert_eq!(path.to_string(), "equal");

    let mut new = Sim::new(BY_RULES);
    new.run(|_| ok(output.clone()));
    assert_eq!(new.calls, ["a", "equal"]);
    assert_eq!(new.status(), Status::Failed);
    assert_eq!(new.error("listed").code, codes::EXPRESSION_ERROR);
}

/// Outputs that are text until somebody reads them are read as if they were not.
#[test]
fn large_outputs_are_read_by_conditions_inputs_and_what_is_returned() {
    let mut sim = Sim::new(
        r#"
        returns = { n = "${ steps.m.output.n }", size = "${ size(steps.a.output.text) }" }
        [[step]]
        id = "a"
        use = "p/a"
        [[step]]
        id = "l"
        loop = { until = "loop.previous.n == steps.a.output.n && steps.m.output.n == 2", max_iterations = 3 }
        [[step]]
        id = "m"
        in = "l"
        if = "steps.a.output.text == steps.a.output.text"
        use = "p/m"
        with = { whole = "${ steps.a.output }", before = "${ loop.?previous.n.orValue(0) }" }
        "#,
    );
    let text = "x".repeat(PARSED_VALUE_BYTES);
    let mut n = 0;
    sim.run(|attempt| {
        n += 1;
        if attempt.step == "m" {
            let before = if n == 2 { 0 } else { n - 2 };
            let whole = json!({ "n": 1, "text": text });
            assert_eq!(attempt.input, json!({ "whole": whole, "before": before }));
            return ok(json!({ "n": n - 1, "text": text }));
        }
        ok(json!({ "n": n, "text": text }))
    });
    assert_eq!(sim.calls, ["a", "l#1/m", "l#2/m"]);
    assert_eq!(sim.status(), Status::Completed);
    let Phase::Completed { output, .. } = &sim.state.phase() else {
        panic!("completed");
    };
    assert_eq!(*output.value(), json!({ "n": 2, "size": text.len() }));
}
