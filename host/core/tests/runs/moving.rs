//! What reaches a run that moves: decisions, signals and cancelled items, while other steps are in flight.

use std::time::Duration;

use milepost_core::decide::Decision;
use milepost_core::event::{Event, RunEvent};
use milepost_core::outcome::{ErrorClass, Outcome, Pause, StepError};
use milepost_core::request::approve::{self, Answer};
use milepost_core::request::posted::Posted;
use milepost_core::request::signal::{self, Kept, SignalRefused};
use milepost_core::state::{Status, StepPhase};
use milepost_core::stop::Automatic;
use milepost_core::time::Timestamp;
use milepost_core::wait::Verdict;
use serde_json::json;

use super::sim::{Attempt, Sim, ok};

/// An approval that looks over `draft`, beside a step that takes long.
const GATED: &str = r#"
flow = "graph"
[[step]]
id = "draft"
use = "p/draft"
[[step]]
id = "gate"
approval = { message = "Good?", timeout = "1h", rework = { from = "draft" } }
needs = ["draft"]
[[step]]
id = "publish"
use = "p/publish"
needs = ["gate"]
[[step]]
id = "slow"
use = "p/slow"
"#;

/// A decision as it is left for whoever drives the run.
fn posted(sim: &Sim, path: &str, verdict: Verdict) -> Posted {
    let asking = approve::asking(&sim.state, Some(path), None, false).unwrap();
    let answer = Answer {
        verdict,
        comment: None,
        by: Some("ann"),
    };
    Posted::decision(&asking, answer)
}

/// Takes it as the driver does; returns how many events came of it.
fn take(sim: &mut Sim, posted: &Posted, sent_at: Timestamp) -> usize {
    let text = json!(posted).to_string();
    let kept = Kept {
        number: 1,
        name: milepost_core::request::posted::NAME,
        data: &text,
        sent_at,
    };
    let delivery = signal::deliver(Some(&sim.definition), &sim.state, [kept]).unwrap();
    let events = delivery.expect("a request is always taken").events;
    let count = events.len();
    for event in events {
        sim.record(event);
    }
    count
}

/// Everything has started that can; `slow` is in flight.
fn gated() -> (Sim, Attempt) {
    let mut sim = Sim::new(GATED);
    let mut started = sim.start_all();
    let slow = started.pop().unwrap();
    sim.end(&started.pop().unwrap(), ok(json!(1)));
    assert!(sim.start_all().is_empty());
    assert_eq!(sim.status(), Status::Running);
    (sim, slow)
}

#[test]
fn a_decision_reaches_its_step_while_another_one_is_in_flight() {
    let (mut sim, slow) = gated();
    let (approved, now) = (posted(&sim, "gate", Verdict::Approved), sim.now);
    assert_eq!(take(&mut sim, &approved, now), 1);
    let publish = sim.start_all().pop().unwrap();
    assert_eq!(publish.step, "publish");
    sim.end(&publish, ok(json!(2)));
    sim.end(&slow, ok(json!(3)));
    sim.start_all();
    assert_eq!(sim.status(), Status::Completed);
    // The first one counts.
    let (mut sim, _) = gated();
    let (approved, rejected) = (
        posted(&sim, "gate", Verdict::Approved),
        posted(&sim, "gate", Verdict::Rejected),
    );
    let now = sim.now;
    assert_eq!(take(&mut sim, &approved, now), 1);
    assert_eq!(take(&mut sim, &rejected, now), 0);
    assert_eq!(sim.output("gate")["decision"], "approved");
}

// What is behind the frontier of the walk has to come back; `decided` compares with a walk from the beginning.
#[test]
fn a_rejection_repeats_the_work_while_another_step_is_in_flight_and_asks_again() {
    let (mut sim, slow) = gated();
    let (rejected, now) = (posted(&sim, "gate", Verdict::Rejected), sim.now);
    assert_eq!(take(&mut sim, &rejected, now), 1);
    let again = sim.start_all();
    let paths: Vec<_> = again.iter().map(|attempt| attempt.path.as_str()).collect();
    assert_eq!(paths, ["draft"]);
    sim.end(&again[0], ok(json!("better")));
    sim.start_all();
    // An answer to the first question is none to the second.
    assert_eq!(take(&mut sim, &rejected, now), 0);
    let (approved, now) = (posted(&sim, "gate", Verdict::Approved), sim.now);
    assert_eq!(take(&mut sim, &approved, now), 1);
    let publish = sim.start_all().pop().unwrap();
    sim.end(&publish, ok(json!(2)));
    sim.end(&slow, ok(json!(3)));
    sim.start_all();
    assert_eq!(sim.status(), Status::Completed);
}

#[test]
fn a_decision_counts_when_it_was_made_in_time_whenever_it_is_taken() {
    for (sent, counts) in [(3_599, 1), (3_600, 0), (4_000, 0)] {
        let (mut sim, _) = gated();
        let approved = posted(&sim, "gate", Verdict::Approved);
        let sent = sim.now.after(Duration::from_secs(sent));
        sim.pass(Duration::from_secs(5_000));
        assert_eq!(take(&mut sim, &approved, sent), counts, "{sent}");
        let awaits = matches!(sim.step("gate").phase(), StepPhase::Awaiting { .. });
        assert_eq!(awaits, counts == 0);
    }
}

#[test]
fn a_rejection_that_cancels_the_run_says_so_after_the_decision() {
    let body = GATED.replace("rework = { from = \"draft\" }", "on_reject = \"cancel\"");
    let mut sim = Sim::new(&body);
    let mut started = sim.start_all();
    started.pop();
    sim.end(&started.pop().unwrap(), ok(json!(1)));
    sim.start_all();
    let rejected = posted(&sim, "gate", Verdict::Rejected);
    let events = rejected.events(&sim.definition, &sim.state, sim.now);
    let [Event::Step { .. }, Event::Run(RunEvent::Cancelled { .. })] = events.as_slice() else {
        panic!("{events:?}");
    };
}

#[test]
fn an_item_that_is_cancelled_in_flight_is_interrupted_and_not_worked_at_again() {
    let mut sim = Sim::new(
        r#"
        [[step]]
        id = "f"
        use = "p/f"
        foreach = { items = "[1, 2, 3]", max_parallel = 2, join = "all_done" }
        with = { item = "${ item }" }
        "#,
    );
    let started = sim.start_all();
    assert_eq!(started.len(), 2);
    let cancel = Posted::CancelItem {
        path: "f[0]".parse().unwrap(),
        by: "ann".to_owned(),
    };
    let now = sim.now;
    assert_eq!(take(&mut sim, &cancel, now), 2);
    assert_eq!(take(&mut sim, &cancel, now), 0);
    let next = sim.start_all();
    assert_eq!(next[0].path, "f[2]");
    sim.end(&started[1], ok(json!(2)));
    sim.end(&next[0], ok(json!(3)));
    sim.start_all();
    assert_eq!(sim.status(), Status::Completed);
    let output = sim.output("f");
    assert_eq!(output[0]["status"], "failed", "{output}");
    assert_eq!(output[2]["output"], 3);
}

#[test]
fn nobody_sends_what_the_engine_tells_a_run() {
    for name in ["request:", "child:r2", "child:"] {
        let refused = signal::text(name, &json!({}));
        assert_eq!(refused, Err(SignalRefused::Reserved), "{name}");
    }
    assert!(signal::text("request", &json!({})).is_ok());
}

/// What is limited asks to be called again in an hour; `slow` takes longer.
const LIMITED: &str = r#"
flow = "graph"
[[step]]
id = "limited"
use = "p/limited"
[[step]]
id = "slow"
use = "p/slow"
"#;

fn limited(until: Option<Timestamp>, provider: Option<&str>) -> Outcome {
    Outcome::Paused(Pause {
        code: "quota".to_owned(),
        reason: "none left".to_owned(),
        provider: provider.map(str::to_owned),
        until,
        signal: None,
        state: None,
    })
}

#[test]
fn the_time_of_a_paused_component_moves_it_on_beside_another_step() {
    let mut sim = Sim::new(LIMITED);
    let mut started = sim.start_all();
    let (slow, first) = (started.pop().unwrap(), started.pop().unwrap());
    let hour = sim.now.after(Duration::from_secs(3_600));
    sim.end(&first, limited(Some(hour), None));
    assert!(sim.start_all().is_empty());
    let Decision::Wait { wake_at, .. } = sim.decided() else {
        panic!("`slow` is in flight");
    };
    let due = wake_at.unwrap();
    assert!(due >= hour, "{due}");
    sim.now = Timestamp::from_nanos(due.as_nanos() - 1);
    assert!(sim.start_all().is_empty());
    sim.now = due;
    let again = sim.start_all().pop().unwrap();
    assert_eq!((again.step.as_str(), again.attempt), ("limited", 2));
    assert_eq!(sim.state.episode().resumes, 1);
    sim.end(&again, ok(json!(1)));
    sim.end(&slow, ok(json!(2)));
    sim.start_all();
    assert_eq!(sim.status(), Status::Completed);
    assert!(!sim.events().contains(&"run_paused"));
}

/// Beside what moves and after the run has paused, the same number of times.
#[test]
fn a_component_that_always_pauses_goes_on_by_itself_so_often_and_no_more() {
    let mut sim = Sim::new(LIMITED);
    let mut started = sim.start_all();
    let slow = started.pop().unwrap();
    for resumes in 1..=5 {
        sim.end(&started.pop().unwrap(), limited(None, Some("models")));
        assert!(sim.start_all().is_empty());
        let Decision::Wait { wake_at, .. } = sim.decided() else {
            panic!("`slow` is in flight");
        };
        sim.now = wake_at.unwrap();
        started = sim.start_all();
        assert_eq!(sim.state.episode().resumes, resumes);
    }
    sim.end(&started.pop().unwrap(), limited(None, Some("models")));
    assert!(sim.start_all().is_empty());
    let Decision::Wait { wake_at: None, .. } = sim.decided() else {
        panic!("nothing comes by itself any more");
    };
    let failed = Outcome::Failed(StepError::new(ErrorClass::Failed, "no", "no"));
    sim.end(&slow, failed);
    sim.start_all();
    assert_eq!(sim.status(), Status::Paused);
    assert_eq!(sim.stop().due_at, None);
    assert_eq!(sim.automatic(), Some(Automatic::UsedUp { of: 5 }));
}

/// It is due when it was, whenever the run comes to stand still.
#[test]
fn a_run_that_pauses_is_due_when_its_component_is() {
    let mut sim = Sim::new(LIMITED);
    let mut started = sim.start_all();
    let slow = started.pop().unwrap();
    sim.end(&started.pop().unwrap(), limited(None, Some("models")));
    let Decision::Wait { wake_at, .. } = sim.decided() else {
        panic!("`slow` is in flight");
    };
    sim.pass(Duration::from_secs(60));
    sim.end(&slow, ok(json!(2)));
    sim.start_all();
    assert_eq!((sim.status(), sim.stop().due_at), (Status::Paused, wake_at));
}
