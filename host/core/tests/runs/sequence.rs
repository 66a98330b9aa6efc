//! The flow of top-level steps.

use milepost_core::state::{Status, StepResult};
use milepost_core::stop::StopCode;
use serde_json::json;

use crate::sim::{Attempt, Sim, fail, ok, pause, retryable};

const THREE: &str = r#"
[[step]]
id = "a"
use = "p/a"
[[step]]
id = "b"
use = "p/b"
with = { from = "${ steps.a.output.n }" }
[[step]]
id = "c"
use = "p/c"
with = { all = ["${ steps.a.output.n }", "${ steps.b.output.n }"], text = "b gave ${ steps.b.output.n }" }
"#;

#[test]
fn b82_steps_run_in_file_order_and_see_earlier_outputs() {
    let mut sim = Sim::new(THREE);
    let mut inputs = Vec::new();
    sim.run(|attempt| {
        inputs.push(attempt.input.clone());
        ok(json!({"n": inputs.len()}))
    });
    assert_eq!(sim.calls, ["a", "b", "c"]);
    assert_eq!(
        inputs,
        [
            json!({}),
            json!({"from": 1}),
            json!({"all": [1, 2], "text": "b gave 2"})
        ]
    );
    assert_eq!(sim.status(), Status::Completed);
}

#[test]
fn an_outcome_and_the_next_intent_stand_side_by_side() {
    let mut sim = Sim::new(THREE);
    sim.run(|_| ok(json!({"n": 1})));
    assert_eq!(
        sim.events(),
        [
            "step_started",
            "step_completed",
            "step_started",
            "step_completed",
            "step_started",
            "step_completed",
            "run_completed"
        ]
    );
}

#[test]
fn b83_a_false_condition_skips_the_step_and_the_run_continues() {
    let mut sim = Sim::new(
        r#"
        [[step]]
        id = "a"
        use = "p/a"
        [[step]]
        id = "b"
        if = "steps.a.output.go"
        use = "p/b"
        [[step]]
        id = "c"
        use = "p/c"
        "#,
    );
    sim.run(|_| ok(json!({"go": false})));
    assert_eq!(sim.calls, ["a", "c"]);
    assert_eq!(sim.settled("b").result, StepResult::Skipped);
    assert_eq!(sim.status(), Status::Completed);
}

#[test]
fn b84_a_failure_ends_the_run_and_names_the_step() {
    let mut sim = Sim::new(THREE);
    sim.run(|attempt| match attempt.step.as_str() {
        "b" => fail("broken"),
        _ => ok(json!({"n": 1})),
    });
    assert_eq!(sim.calls, ["a", "b"]);
    assert_eq!(sim.status(), Status::Failed);
    assert_eq!(sim.stop().code(), StopCode::StepFailed);
    assert_eq!(sim.failures(), [("b".into(), "broken".into())]);
    assert_eq!(
        sim.output("a"),
        json!({"n": 1}),
        "earlier outputs stay visible"
    );
}

const TOLERANT: &str = r#"
[[step]]
id = "a"
use = "p/a"
continue_on_error = true
[[step]]
id = "b"
use = "p/b"
continue_on_error = true
[[step]]
id = "c"
use = "p/c"
with = { a = "${ steps.a.status }", code = "${ steps.a.error.code }" }
"#;

#[test]
fn b85_b331_later_steps_run_after_a_handled_failure_and_the_run_can_complete() {
    let mut sim = Sim::new(TOLERANT);
    let mut seen = json!(null);
    sim.run(|attempt| match attempt.step.as_str() {
        "a" => fail("broken"),
        "c" => {
            seen = attempt.input.clone();
            ok(json!({}))
        }
        _ => ok(json!({})),
    });
    assert_eq!(sim.calls, ["a", "b", "c"]);
    assert_eq!(seen, json!({"a": "failed", "code": "broken"}));
    assert_eq!(sim.status(), Status::Completed);
}

/// What an old program began ends, and replays, by the rules that it began under.
#[test]
fn an_old_run_fails_after_a_tolerated_failure_and_pauses_on_the_way() {
    let mut sim = Sim::of_old(TOLERANT);
    sim.run(|attempt| match attempt.step.as_str() {
        "a" => fail("broken"),
        _ => ok(json!({})),
    });
    assert_eq!(sim.calls, ["a", "b", "c"]);
    assert_eq!(sim.status(), Status::Failed);
    let mut sim = Sim::of_old(TOLERANT);
    sim.run(|_| retryable("busy"));
    assert_eq!(sim.status(), Status::Paused);
    assert_eq!(sim.calls, ["a", "a", "a"]);
}

#[test]
fn a_handled_step_that_uses_up_its_attempts_fails_unless_it_says_otherwise() {
    let retry =
        |keys: &str| TOLERANT.replacen("use = \"p/a\"", &format!("use = \"p/a\"\n{keys}"), 1);
    let busy_at_a = |attempt: &Attempt| match attempt.step.as_str() {
        "a" => retryable("busy"),
        _ => ok(json!({})),
    };
    for keys in [
        "",
        "retry = { max_attempts = 3 }",
        "retry = { then = \"fail\" }",
    ] {
        let mut sim = Sim::new(&retry(keys));
        sim.run(busy_at_a);
        assert_eq!(sim.calls, ["a", "a", "a", "b", "c"], "{keys}");
        assert_eq!(sim.status(), Status::Completed, "{keys}");
    }
    let mut sim = Sim::new(&retry("retry = { then = \"pause\" }"));
    sim.run(busy_at_a);
    assert_eq!(sim.stop().code(), StopCode::RetriesExhausted);
    // A pause that the step itself asks for is no failure.
    let mut sim = Sim::new(TOLERANT);
    sim.run(|_| pause("ask"));
    assert_eq!(sim.stop().code(), StopCode::StepPaused);
}

#[test]
fn b86_b330_the_stop_lists_what_failed_the_run() {
    let mut sim = Sim::new(TOLERANT);
    sim.run(|attempt| fail(&format!("{}_broke", attempt.step)));
    // What is handled did not end the run.
    assert_eq!(sim.failures(), [("c".to_owned(), "c_broke".to_owned())]);
}

#[test]
fn b87_only_successful_steps_are_completed() {
    let mut sim = Sim::new(TOLERANT);
    sim.run(|attempt| match attempt.step.as_str() {
        "a" => fail("broken"),
        _ => ok(json!({})),
    });
    let completed: Vec<&str> = ["a", "b", "c"]
        .into_iter()
        .filter(|id| matches!(sim.settled(id).result, StepResult::Completed { .. }))
        .collect();
    assert_eq!(completed, ["b", "c"]);
}

#[test]
fn b332_without_returns_the_last_completed_step_gives_the_output() {
    let mut sim = Sim::new(
        r#"
        [[step]]
        id = "a"
        use = "p/a"
        [[step]]
        id = "b"
        if = "false"
        use = "p/b"
        "#,
    );
    sim.run(|_| ok(json!({"n": 5})));
    let text = serde_json::to_value(sim.state.phase()).unwrap();
    assert_eq!(text["output"]["inline"], json!({"n": 5}));
}

#[test]
fn returns_is_evaluated_at_the_end() {
    let mut sim = Sim::new(
        r#"returns = { n = "${ steps.a.output.n + 1 }", text = "n was ${ steps.a.output.n }" }
        [[step]]
        id = "a"
        use = "p/a"
        "#,
    );
    sim.run(|_| ok(json!({"n": 5})));
    let text = serde_json::to_value(sim.state.phase()).unwrap();
    assert_eq!(text["output"]["inline"], json!({"n": 6, "text": "n was 5"}));
}

#[test]
fn a_returns_that_cannot_be_evaluated_fails_the_run() {
    let mut sim = Sim::new(
        r#"returns = "${ steps.a.output.missing }"
        [[step]]
        id = "a"
        use = "p/a"
        "#,
    );
    sim.run(|_| ok(json!({"n": 5})));
    assert_eq!(sim.stop().code(), StopCode::ReturnsFailed);
}

#[test]
fn b42_a_missing_value_fails_the_step_before_anything_is_called() {
    let mut sim = Sim::new(THREE);
    sim.run(|_| ok(json!({})));
    assert_eq!(sim.calls, ["a"]);
    let error = sim.error("b");
    assert_eq!(error.code, "missing_value");
    assert!(
        error.message.contains("steps.a.output"),
        "{}",
        error.message
    );
}

#[test]
fn b41_all_missing_values_are_listed_at_once() {
    let mut sim = Sim::new(
        r#"
        [[step]]
        id = "a"
        use = "p/a"
        [[step]]
        id = "b"
        use = "p/b"
        with = { x = "${ steps.a.output.one } and ${ steps.a.output.two }" }
        "#,
    );
    sim.run(|_| ok(json!({})));
    let message = sim.error("b").message;
    let (one, two) = (message.find("one"), message.find("two"));
    assert!(one.is_some() && one < two, "{message}");
}
