//! Forks: what a new run keeps of another one, what runs again, and which values of inputs it may have.

use milepost_core::event::{Entry, Event};
use milepost_core::outcome::Outcome;
use milepost_core::request::fork::NotForked;
use milepost_core::state::{RunState, Status};
use serde_json::{Value, json};

use super::sim::{Attempt, Sim, fail, ok};

/// What the steps of a fork came to that were called in it, in that order.
fn called(fork: &mut Sim) -> Vec<String> {
    fork.run_graph(|attempt| ok(json!(format!("again {}", attempt.path))));
    fork.calls.clone()
}

fn of(body: &str, script: impl Fn(&Attempt) -> Outcome) -> Sim {
    let mut sim = Sim::new(body);
    sim.run_graph(script);
    sim
}

const FOUR: &str = r#"
[[step]]
id = "a"
use = "p/a"
[[step]]
id = "b"
use = "p/b"
[[step]]
id = "c"
use = "p/c"
with = { a = "${ steps.a.output }" }
[[step]]
id = "d"
use = "p/d"
with = { a = "${ steps.a.output }", c = "${ steps.c.output }" }
"#;

#[test]
fn a_fork_of_a_sequence_runs_from_the_named_step_on_and_keeps_what_came_before() {
    let sim = of(FOUR, |attempt| ok(json!(attempt.path)));
    assert_eq!(sim.status(), Status::Completed);
    for (from, calls) in [
        (&["a"][..], &["a", "b", "c", "d"][..]),
        (&["b"], &["b", "c", "d"]),
        (&["c"], &["c", "d"]),
        (&["d"], &["d"]),
        (&["d", "c"], &["c", "d"]),
    ] {
        let mut fork = sim.forked(from, json!({})).unwrap();
        assert_eq!(called(&mut fork), calls, "{from:?}");
        assert_eq!(fork.status(), Status::Completed);
    }
    let mut fork = sim.forked(&["d"], json!({})).unwrap();
    let attempt = fork.next_attempt().unwrap();
    assert_eq!(attempt.input, json!({"a": "a", "c": "c"}));
    fork.end(&attempt, ok(json!(1)));
    fork.run(|_| unreachable!());
    assert_eq!(fork.output("c"), json!("c"));
}

const DIAMOND: &str = r#"flow = "graph"
[[step]]
id = "left"
use = "p/left"
[[step]]
id = "right"
use = "p/right"
[[step]]
id = "join"
needs = ["left", "right"]
use = "p/join"
[[step]]
id = "alone"
use = "p/alone"
"#;

#[test]
fn a_fork_of_a_graph_runs_what_needs_the_named_step() {
    let sim = of(DIAMOND, |attempt| ok(json!(attempt.path)));
    for (from, calls) in [
        (&["left"][..], &["left", "join"][..]),
        (&["join"], &["join"]),
        (&["alone"], &["alone"]),
        (&["left", "alone"], &["left", "alone", "join"]),
    ] {
        let mut fork = sim.forked(from, json!({})).unwrap();
        assert_eq!(called(&mut fork), calls, "{from:?}");
    }
}

/// What failed, was skipped for that, or is open runs again, wherever it stands.
#[test]
fn a_fork_keeps_only_outcomes_that_a_run_can_go_on_from() {
    let sim = of(DIAMOND, |attempt| match attempt.step.as_str() {
        "right" => fail("red"),
        _ => ok(json!(1)),
    });
    assert_eq!(sim.status(), Status::Failed);
    let mut fork = sim.forked(&["alone"], json!({})).unwrap();
    assert_eq!(called(&mut fork), ["right", "alone", "join"]);
    assert_eq!(fork.status(), Status::Completed);

    let handled = DIAMOND.replace(
        "use = \"p/right\"",
        "use = \"p/right\"\ncontinue_on_error = true",
    );
    let sim = of(&handled, |attempt| match attempt.step.as_str() {
        "right" => fail("red"),
        _ => ok(json!(1)),
    });
    assert_eq!(sim.status(), Status::Completed);
    let mut fork = sim.forked(&["join"], json!({})).unwrap();
    assert_eq!(called(&mut fork), ["join"]);

    let mut sim = Sim::new(DIAMOND);
    let flying = sim.start_all();
    let refused = sim.forked(&["join"], json!({})).err();
    assert_eq!(refused, Some(NotForked::Moves(Status::Running)));
    sim.end(&flying[0], ok(json!(1)));
    sim.pause();
    let mut fork = sim.forked(&["join"], json!({})).unwrap();
    assert_eq!(called(&mut fork), ["right", "alone", "join"]);
    sim.cancel();
    let mut fork = sim.forked(&["join"], json!({})).unwrap();
    assert_eq!(called(&mut fork), ["right", "alone", "join"]);
}

#[test]
fn a_fork_is_refused_where_nothing_has_that_name_or_an_outcome_comes_of_another_input() {
    let body = r#"flow = "graph"
[inputs.x]
type = "int"
[inputs.y]
type = "int"
[[step]]
id = "a"
use = "p/a"
with = { x = "${ inputs.x }" }
[[step]]
id = "l"
loop = { until = "true" }
[[step]]
id = "m"
in = "l"
use = "p/m"
with = { x = "${ inputs.x }" }
[[step]]
id = "b"
needs = ["a", "l"]
use = "p/b"
with = { x = "${ inputs.x }", y = "${ inputs.y }" }
"#;
    let mut sim = Sim::with_inputs(body, json!({"x": 1, "y": 2}));
    sim.run_graph(|_| ok(json!(1)));
    let refused = sim.forked(&["nope"], json!({"x": 1, "y": 2}));
    assert!(matches!(refused, Err(NotForked::UnknownStep(_))));
    let reads = |from: &[&str], inputs: Value| match sim.forked(from, inputs) {
        Err(NotForked::ReadsInput { step, input }) => Some((step.to_string(), input)),
        Err(other) => panic!("{other}"),
        Ok(_) => None,
    };
    let x = json!({"x": 5, "y": 2});
    assert_eq!(reads(&["b"], x.clone()), Some(("a".into(), "x".into())));
    assert_eq!(reads(&["a"], x.clone()), Some(("l".into(), "x".into())));
    assert_eq!(reads(&["a", "m"], x.clone()), None);
    assert_eq!(reads(&["b"], json!({"x": 1, "y": 3})), None);
    let mut fork = sim.forked(&["a", "l"], x).unwrap();
    let inputs: Vec<Value> = fork.start_all().into_iter().map(|a| a.input).collect();
    assert_eq!(inputs, [json!({"x": 5}), json!({"x": 5})]);
}

/// Loops and fan-outs are kept with all that stands in them, or run again as a whole.
#[test]
fn a_fork_keeps_loops_and_fan_outs_whole() {
    let body = r#"
[[step]]
id = "l"
loop = { until = "loop.iteration == 2" }
[[step]]
id = "m"
in = "l"
use = "p/m"
[[step]]
id = "files"
use = "p/file"
foreach = { items = "['x', 'y']" }
with = { item = "${ item }" }
[[step]]
id = "end"
use = "p/end"
with = { n = "${ steps.l.iterations }", files = "${ steps.files.output }" }
"#;
    let sim = of(body, |attempt| ok(json!(attempt.path)));
    for (from, calls) in [
        ("m", &["l#1/m", "l#2/m", "files[0]", "files[1]", "end"][..]),
        ("files", &["files[0]", "files[1]", "end"]),
        ("end", &["end"]),
    ] {
        let mut fork = sim.forked(&[from], json!({})).unwrap();
        assert_eq!(called(&mut fork), calls, "{from}");
        assert_eq!(fork.status(), Status::Completed);
    }
    let mut fork = sim.forked(&["end"], json!({})).unwrap();
    let attempt = fork.next_attempt().unwrap();
    let files = json!(["files[0]", "files[1]"]);
    assert_eq!(attempt.input, json!({"n": 2, "files": files}));
    // What was kept can be named later on, as of any run.
    fork.end(&attempt, fail("red"));
    fork.run(|_| unreachable!());
    fork.retry(Some("files[1]"));
    fork.run(|_| ok(json!(1)));
    assert_eq!(fork.calls, ["end", "files[1]", "end"]);
}

/// What was undone is to be done again. A fork undoes what it has done itself.
#[test]
fn a_fork_of_a_compensated_run_does_again_what_was_undone() {
    let body = r#"
[[step]]
id = "look"
use = "p/look"
[[step]]
id = "book"
use = "p/book"
compensate = { use = "p/unbook" }
[[step]]
id = "pay"
use = "p/pay"
"#;
    let mut sim = of(body, |attempt| match attempt.step.as_str() {
        "pay" => fail("broke"),
        _ => ok(json!(1)),
    });
    let mut fork = sim.forked(&["pay"], json!({})).unwrap();
    fork.run(|_| fail("broke"));
    assert_eq!(fork.calls, ["pay"]);
    assert!(
        fork.state
            .executions()
            .compensations()
            .iter()
            .next()
            .is_none()
    );
    sim.compensate(false);
    sim.run_graph(|_| ok(json!(1)));
    assert_eq!(sim.status(), Status::Failed);
    assert!(sim.calls.iter().any(|call| call == "book!compensate"));
    let mut fork = sim.forked(&["pay"], json!({})).unwrap();
    assert_eq!(called(&mut fork), ["book", "pay"]);
    assert_eq!(fork.status(), Status::Completed);
}

/// Steps at the end, steps that always run, and an end that the run came to are decided anew.
#[test]
fn a_fork_comes_to_its_end_by_itself() {
    let body = r#"
[[step]]
id = "token"
use = "p/token"
always_run = true
[[step]]
id = "look"
use = "p/look"
[[step]]
id = "use"
use = "p/use"
with = { token = "${ steps.token.output }" }
[[step]]
id = "enough"
if = "steps.use.output == 'stop'"
end = { status = "failed", message = "enough" }
[[step]]
id = "more"
use = "p/more"
[[step]]
id = "last"
finally = true
use = "p/last"
"#;
    let sim = of(body, |_| ok(json!("stop")));
    assert_eq!(sim.status(), Status::Failed);
    let mut fork = sim.forked(&["more"], json!({})).unwrap();
    assert_eq!(called(&mut fork), ["token", "use", "more", "last"]);
    assert_eq!(fork.status(), Status::Completed);
}

/// The first event of its journal has all of it, and the state does not keep it twice.
#[test]
fn the_journal_of_a_fork_folds_and_its_first_event_reads_back() {
    let large = json!("x".repeat(100_000));
    let sim = of(FOUR, |_| ok(large.clone()));
    let fork = sim.forked(&["c"], json!({})).unwrap();
    let first = &fork.journal[0];
    let blobs = super::sim::blobs(&fork.state, Some(&first.event));
    let text = first.event.encode();
    assert!(text.len() < 10_000, "large outputs stand beside it");
    let event = Event::decode(&text, &|digest| blobs.get(digest).cloned()).unwrap();
    assert_eq!(event, first.event);
    let entry = Entry {
        event,
        ..first.clone()
    };
    let state = RunState::create(&entry).unwrap();
    assert!(state.created().fork.as_ref().unwrap().kept.is_empty());
    assert_eq!(state.executions().len(), 2);
    assert_eq!(state.recorded_bytes() / 100_000, 2);
}
