//! What a completed step is known by: its place, never the component it calls, and never what is in memory.

use milepost_core::decide::{Decision, decide};
use milepost_core::event::{Event, StepEvent};
use milepost_core::request::resume::{ResumeBy, resume};
use milepost_core::state::Status;
use serde_json::json;

use crate::sim::{Sim, ok, pause};

const TWINS: &str = r#"
[[step]]
id = "first"
use = "p/same"
with = { n = 1 }
[[step]]
id = "second"
use = "p/same"
with = { n = 1 }
"#;

#[test]
fn b266_two_steps_that_do_the_same_both_run() {
    let mut sim = Sim::new(TWINS);
    sim.run(|_| ok(json!({})));
    assert_eq!(sim.calls, ["first", "second"]);
}

#[test]
fn b267_after_a_crash_between_them_exactly_the_second_runs() {
    let mut sim = Sim::new(TWINS);
    let first = sim.next_attempt().unwrap();
    sim.end(&first, ok(json!({})));
    sim.crash();
    sim.run(|_| ok(json!({})));
    assert_eq!(sim.calls, ["first", "second"]);
    assert_eq!(sim.status(), Status::Completed);
}

const LOOP: &str = r#"
[[step]]
id = "before"
use = "p/x"
[[step]]
id = "l"
loop = { until = "steps.m.output.ok", max_iterations = 9 }
[[step]]
id = "m"
in = "l"
use = "p/x"
[[step]]
id = "n"
in = "l"
use = "p/x"
"#;

#[test]
fn b154_members_of_a_half_finished_loop_are_not_counted_as_completed() {
    let mut sim = Sim::new(LOOP);
    sim.run(|attempt| match attempt.path.as_str() {
        "l#2/n" => pause("quota"),
        _ => ok(json!({"ok": false})),
    });
    assert_eq!(sim.status(), Status::Paused);
    // `m` has outputs of two passes, and is completed in the present one; of the run only `before` is.
    let resumed = resume(&sim.definition, &sim.state, ResumeBy::Person).unwrap();
    assert_eq!(resumed.completed, 1);
    assert_eq!(sim.step("l").status(), "running");
}

#[test]
fn b268_an_interrupted_step_runs_again_from_its_start_and_nothing_before_it() {
    let mut sim = Sim::new(LOOP);
    let before = sim.next_attempt().unwrap();
    sim.end(&before, ok(json!({})));
    let lost = sim.next_attempt().unwrap();
    sim.crash();
    let again = sim.next_attempt().unwrap();
    assert_eq!((&again.path, &again.input), (&lost.path, &lost.input));
    assert_eq!(sim.calls, ["before", "l#1/m", "l#1/m"]);
}

// Layers of a graph would run at once; a sequence has one attempt in flight at most.
#[test]
fn b325_nothing_starts_while_a_step_is_in_flight() {
    let mut sim = Sim::new(TWINS);
    let first = sim.next_attempt().unwrap();
    assert!(matches!(
        decide(&sim.definition, &sim.state, sim.now),
        Decision::Wait { wake_at: None, .. }
    ));
    sim.end(&first, ok(json!({})));
    assert_eq!(sim.next_attempt().unwrap().path, "second");
}

#[test]
fn b271_the_journal_keeps_every_pass_while_the_checkpoint_keeps_the_last() {
    let mut sim = Sim::new(LOOP);
    let mut pass = 0;
    sim.run(|attempt| {
        pass += usize::from(attempt.step == "m");
        ok(json!({"ok": pass == 5, "pass": pass}))
    });
    let kept = sim.journal.iter().filter(|entry| {
        matches!(&entry.event, Event::Step { path, event: StepEvent::Completed { .. } } if path.step().as_str() == "m")
    });
    assert_eq!(kept.count(), 5);
    assert_eq!(sim.output("m"), json!({"ok": true, "pass": 5}));
    assert_eq!(sim.state.executions().len(), 4, "one record for each step");
}
