//! Expressions that are asked of a run from outside of its order.

use milepost_core::ids::Path;
use milepost_core::question::ask;
use serde_json::{Value, json};

use crate::sim::{Sim, ok};

const BODY: &str = r#"
[inputs.n]
type = "int"
[[step]]
id = "grow"
loop = { until = "loop.iteration == 2", max_iterations = 3 }
[[step]]
id = "a"
in = "grow"
use = "p/s"
[[step]]
id = "each"
use = "p/s"
foreach = { items = "[5, 6]" }
with = { v = "${ item }" }
[[step]]
id = "last"
use = "p/s"
"#;

fn run() -> Sim {
    let mut sim = Sim::with_inputs(BODY, json!({ "n": 7 }));
    sim.run_graph(|attempt| match attempt.step.as_str() {
        "each" => ok(attempt.input["v"].clone()),
        _ => ok(json!({ "at": attempt.path })),
    });
    sim
}

fn asked(sim: &Sim, at: Option<&str>, text: &str) -> Result<Value, String> {
    let at: Option<Path> = at.map(|path| path.parse().unwrap());
    ask(&sim.definition, &sim.state, at.as_ref(), text).map_err(|found| found.to_string())
}

#[test]
fn every_step_can_be_read_from_outside() {
    let sim = run();
    for (text, expected) in [
        ("inputs.n", json!(7)),
        ("steps.last.output.at + '!'", json!("last!")),
        ("steps.a.output.at", json!("grow#2/a")),
        ("steps.grow.iterations", json!(2)),
        ("steps.each.output", json!([5, 6])),
        ("run.status == 'completed'", json!(true)),
        ("has(steps.last.error)", json!(false)),
    ] {
        assert_eq!(asked(&sim, None, text), Ok(expected), "{text}");
    }
}

#[test]
fn a_step_sees_its_item_and_its_loop() {
    let sim = run();
    let item = asked(&sim, Some("each[1]"), "[item, item_index, steps.each.item]");
    assert_eq!(item, Ok(json!([6, 1, 6])));
    let iteration = asked(&sim, Some("grow#2/a"), "loop.iteration");
    assert_eq!(iteration, Ok(json!(2)));
}

#[test]
fn mistakes_are_shown_where_they_stand() {
    let sim = run();
    for (text, says, caret) in [
        ("steps.lats.output", "unknown step `lats`", "1:7"),
        ("1 + 'a'", "does not take", "1:1"),
        ("1 / (inputs.n - 7)", "divides by zero", "1:1"),
        ("2 + steps.last.output.no", "no field `no`", "1:5"),
        ("loop.iteration", "only inside a loop", "1:1"),
        ("item", "", "1:1"),
        ("steps.each.item", "only inside that fan-out", "1:1"),
        ("steps.last.iterations", "not a loop", "1:1"),
    ] {
        let told = asked(&sim, None, text).unwrap_err();
        assert!(told.contains(says), "{text}: {told}");
        assert!(
            told.contains(&format!("expression:{caret}")),
            "{text}: {told}"
        );
        assert!(told.contains('^'), "{text}: {told}");
    }
}
