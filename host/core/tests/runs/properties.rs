//! Random runs: the journal folds to the checkpoint, any prefix can go on to the same result.

use std::collections::BTreeSet;
use std::time::Duration;

use milepost_core::checkpoint::{Position, all_parts, changed_parts, restore};
use milepost_core::event::{ClaimCause, Entry, Event, RunEvent};
use milepost_core::ids::RunId;
use milepost_core::limits::JSON_DEPTH;
use milepost_core::outcome::{ErrorClass, Outcome, Pause, StepError};
use milepost_core::request::resume::ResumeBy;
use milepost_core::retry::{self, RetryPolicy};
use milepost_core::rules::Rules;
use milepost_core::state::{RunState, Status, StepPhase, StepRecord};
use milepost_core::stop::StopCode;
use milepost_core::wait::Verdict;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::sim::{Attempt, Sim, blobs, fail, ok, pause, retryable};
use crate::values::value;

const FLOW: &str = r#"
[[step]]
id = "a"
use = "p/a"
continue_on_error = true
[[step]]
id = "outer"
loop = { until = "steps.c.?output.n.orValue(1) % 5 == 0", max_iterations = 4, on_exhausted = "continue" }
[[step]]
id = "inner"
in = "outer"
loop = { until = "steps.b.output.?n.orValue(1) % 2 == 0", max_iterations = 3 }
[[step]]
id = "b"
in = "inner"
use = "p/b"
[[step]]
id = "c"
in = "outer"
if = "steps.b.status != 'skipped'"
use = "p/c"
[[step]]
id = "nap"
in = "outer"
wait = { for = "20s" }
[[step]]
id = "each"
foreach = { items = "[1, 2]", max_parallel = 1, join = "all_done" }
[[step]]
id = "f"
in = "each"
use = "p/f"
with = { item = "${ item }" }
[[step]]
id = "again"
in = "each"
loop = { until = "loop.iteration > item_index", max_iterations = 2 }
[[step]]
id = "g"
in = "again"
use = "p/g"
continue_on_error = true
[[step]]
id = "calls"
use = "p/h"
foreach = { items = "steps.each.output", max_parallel = 1 }
with = { status = "${ item.status }" }
continue_on_error = true
[[step]]
id = "d"
if = "steps.a.status == 'completed'"
use = "p/d"
with = { c = "${ steps.c.?output.n.orValue(0) }", why = "${ steps.gate.?output.comment.orValue('') }" }
[[step]]
id = "rest"
wait = { until = "inputs.at" }
[[step]]
id = "go"
wait = { signal = "go", timeout = "1h", on_timeout = "continue" }
[[step]]
id = "gate"
approval = { message = "${ steps.d.status }?", timeout = "2h", on_timeout = "approve", rework = { from = "d" } }
[[step]]
id = "e"
if = "steps.gate.output.decision == 'approved'"
use = "p/e"
[[step]]
id = "report"
use = "p/report"
finally = true
with = { run = "${ run.status }", gate = "${ steps.gate.status }" }
[[step]]
id = "clean"
use = "p/clean"
finally = true
"#;

fn start() -> Sim {
    let body = format!("[inputs.at]\ntype = \"string\"\n{FLOW}");
    Sim::with_inputs(&body, json!({"at": "2023-11-15T00:00:00Z"}))
}

/// An outcome that depends on the attempt alone, so that an attempt that runs again ends alike.
fn outcome(script: &[u8], attempt: &Attempt) -> Outcome {
    let mut sum = 0usize;
    for byte in attempt.path.bytes() {
        sum = sum.wrapping_mul(31).wrapping_add(usize::from(byte));
    }
    let draw = script[sum % script.len()];
    // A later attempt succeeds, so that runs come to an end.
    match draw % 8 {
        0 if attempt.attempt == 1 => detailed(retryable("busy"), draw),
        1 if attempt.attempt == 1 => limited(draw),
        2 if attempt.attempt == 1 => detailed(fail("red"), draw),
        _ => ok(json!({"n": draw, "value": any_value(attempt, draw)})),
    }
}

fn detailed(outcome: Outcome, draw: u8) -> Outcome {
    match outcome {
        Outcome::Failed(error) => Outcome::Failed(StepError {
            detail: Some(value(u64::from(draw), JSON_DEPTH)),
            ..error
        }),
        other => other,
    }
}

/// Depends on the attempt's place and the draw alone.
fn any_value(attempt: &Attempt, draw: u8) -> Value {
    let place = attempt.path.bytes().map(u64::from).sum::<u64>();
    value(place * 256 + u64::from(draw), JSON_DEPTH - 1)
}

fn limited(draw: u8) -> Outcome {
    match pause("quota") {
        Outcome::Paused(pause) => Outcome::Paused(Pause {
            provider: (draw >= 128).then(|| "acme".to_owned()),
            signal: (draw % 16 == 1).then(|| "more".to_owned()),
            state: Some(value(u64::from(draw), JSON_DEPTH)),
            ..pause
        }),
        other => other,
    }
}

fn to_the_end(sim: &mut Sim, script: &[u8]) {
    for _ in 0..512 {
        sim.run(|attempt| outcome(script, attempt));
        match sim.status() {
            Status::Completed => return,
            Status::Paused => answer(sim, script),
            _ => {
                sim.resume();
            }
        }
    }
    panic!("no end: {:?}", sim.state.phase());
}

/// Lets a paused run go on, in one of the ways that its stop allows. What is chosen depends on the script and on what the run
/// stands at, so that a run that was cut chooses alike.
fn answer(sim: &mut Sim, script: &[u8]) {
    let stop = sim.stop();
    let path = stop.path.as_ref().map(ToString::to_string);
    let path = path.unwrap_or_default();
    let began = stop
        .path
        .as_ref()
        .and_then(|path| sim.state.executions().latest(path))
        .map_or(0, |record| record.attempts() as usize);
    let draw = script[(path.len() + began) % script.len()];
    match stop.code() {
        StopCode::WaitingForSignal if draw.is_multiple_of(2) => {
            sim.signal("go", value(u64::from(draw), JSON_DEPTH))
                .unwrap();
        }
        StopCode::WaitingForApproval if draw.is_multiple_of(2) => {
            let verdict = match began {
                1 | 2 if draw.is_multiple_of(4) => Verdict::Rejected,
                _ => Verdict::Approved,
            };
            let comment = "x".repeat(usize::from(draw));
            sim.decide(&path, verdict, &comment).unwrap();
        }
        StopCode::WaitingForTime | StopCode::WaitingForSignal | StopCode::WaitingForApproval => {
            sim.pass_to_due().work(ResumeBy::Wait);
        }
        StopCode::Ready => {
            sim.work(ResumeBy::Wait);
        }
        _ if sim.state.awaits("more").is_some() && draw.is_multiple_of(2) => {
            sim.signal("more", json!({"more": draw})).unwrap();
        }
        _ if stop.due_at.is_some() => {
            sim.pass_to_due();
            if draw.is_multiple_of(2) {
                sim.record(Event::Run(RunEvent::Postponed {
                    reason: "not yet".to_owned(),
                    due_at: Some(sim.now),
                    waited: false,
                }));
            }
            sim.work(ResumeBy::Schedule);
        }
        _ => {
            sim.resume();
        }
    }
}

fn restored(state: &RunState, parts: &[(String, Option<String>)]) -> RunState {
    let position = Position {
        seq: state.seq(),
        epoch: state.epoch(),
        updated_at: state.updated_at(),
    };
    let parts = parts
        .iter()
        .filter_map(|(name, body)| Some((name.as_str(), body.as_deref()?)));
    let blobs = blobs(state, None);
    restore(position, parts, &|digest| blobs.get(digest).cloned()).unwrap()
}

/// Folds entry by entry, keeping the parts as a store would: only what was touched is written again.
fn fold_as_a_store(journal: &[Entry]) -> (RunState, Vec<(String, Option<String>)>) {
    let mut state = RunState::create(&journal[0]).unwrap();
    let mut parts: std::collections::BTreeMap<String, Option<String>> =
        all_parts(&state).into_iter().collect();
    for entry in &journal[1..] {
        let touched = state.apply(entry).unwrap();
        parts.extend(changed_parts(&state, &touched.slots, touched.run));
    }
    (state, parts.into_iter().collect())
}

#[test]
fn the_random_runs_meet_every_event_of_a_life() {
    let mut met = BTreeSet::new();
    for seed in 0..=255u8 {
        let mut sim = start();
        to_the_end(
            &mut sim,
            &[seed, seed.wrapping_add(1), seed.wrapping_mul(31), 2],
        );
        met.extend(sim.journal.iter().map(|entry| entry.event.name()));
    }
    let never = [
        // Made by hand, by a shutdown, or by an ending that these runs do not have.
        "definition_changed",
        "run_released",
        "run_cancelled",
        "step_interrupted",
        "item_cancelled",
    ];
    for name in never {
        assert!(!met.contains(name), "{name}");
    }
    assert_eq!(met.len() + never.len(), 31, "{met:?}");
}

/// Questions and waits in every place, in an order that is not the alphabet's.
const QUESTIONS: &str = r#"
[[step]]
id = "z"
approval = { message = "z?", on_reject = "continue" }
[[step]]
id = "y"
loop = { until = "loop.iteration == 2", max_iterations = 2 }
[[step]]
id = "m"
in = "y"
use = "p/m"
[[step]]
id = "x"
in = "y"
wait = { signal = "go", timeout = "1h" }
[[step]]
id = "w"
in = "y"
approval = { message = "w?", on_reject = "continue" }
[[step]]
id = "v"
wait = { signal = "go", timeout = "1h", on_timeout = "continue" }
[[step]]
id = "u"
approval = { message = "${ steps.v.output.timed_out }?", timeout = "1h", on_timeout = "approve", on_reject = "continue" }
"#;

/// One deed of somebody: an answer where the run stands, a timeout, a retry from anywhere.
fn meddle(sim: &mut Sim, draw: u8) {
    let waits = sim.status() == Status::Paused && sim.stop().code() != StopCode::Ready;
    let steps = ["z", "y", "m", "x", "w", "v", "u"];
    let asked = sim
        .state
        .approvals()
        .next()
        .map(|(path, _)| path.to_string());
    match (draw % 8, asked) {
        (0, _) => drop(sim.retry(Some(steps[usize::from(draw / 8) % steps.len()]))),
        (1, _) => drop(sim.resume()),
        (2, _) if waits && sim.stop().due_at.is_some() => {
            sim.pass_to_due();
            let over = sim.overdue();
            sim.record(over.expect("its time is over"));
        }
        (3, Some(path)) if waits => sim.decide(&path, Verdict::Rejected, "").unwrap(),
        (_, Some(path)) if waits => sim.decide(&path, Verdict::Approved, "").unwrap(),
        _ if waits && sim.state.awaits("go").is_some() => sim.signal("go", json!(draw)).unwrap(),
        _ => drop(sim.resume()),
    }
    if matches!(sim.status(), Status::Paused | Status::Failed) {
        sim.resume();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn the_journal_folds_to_the_checkpoint(script in prop::collection::vec(any::<u8>(), 4..24)) {
        let mut sim = start();
        to_the_end(&mut sim, &script);
        let (state, parts) = fold_as_a_store(&sim.journal);
        prop_assert_eq!(&state, &sim.state);
        prop_assert_eq!(&restored(&state, &parts), &sim.state);
        prop_assert_eq!(&restored(&state, &all_parts(&state)), &sim.state);
    }

    #[test]
    fn a_run_asks_one_question_at_a_time_and_says_where(draws in prop::collection::vec(any::<u8>(), 1..40)) {
        let mut sim = Sim::new(QUESTIONS);
        for draw in draws {
            sim.run(|_| ok(json!({})));
            if sim.status() == Status::Completed {
                break;
            }
            let awaiting = |r: &&StepRecord| matches!(r.phase(), StepPhase::Awaiting { .. });
            let open: Vec<_> = sim.state.executions().iter().filter(awaiting).map(StepRecord::path).collect();
            if sim.status() == Status::Paused {
                let stop = sim.stop();
                prop_assert_eq!(&open, &[stop.path.as_ref().unwrap()]);
                prop_assert_eq!(open[0], sim.state.stands_at().next().unwrap().path());
            }
            meddle(&mut sim, draw);
        }
        let bytes: usize = sim.state.executions().iter().map(StepRecord::bytes).sum();
        prop_assert_eq!(sim.state.recorded_bytes(), bytes);
    }

    #[test]
    fn any_prefix_goes_on_to_the_same_outputs(
        script in prop::collection::vec(any::<u8>(), 4..24),
        cut in any::<prop::sample::Index>(),
    ) {
        // Without failures, retries and pauses of components a run's result does not depend on where it was cut.
        let calm: Vec<u8> = script.iter().map(|b| b | 0b100).collect();
        let mut whole = start();
        to_the_end(&mut whole, &calm);
        let cut = 2 + cut.index(whole.journal.len() - 2);
        let mut again = start();
        again.go_back_to(&whole.journal[..cut]);
        if matches!(again.status(), Status::Running | Status::Pending) {
            again.claim(ClaimCause::Resume);
        }
        to_the_end(&mut again, &calm);
        let outputs = |sim: &Sim| {
            sim.state
                .executions()
                .iter()
                .map(|r| (r.path().step().clone(), r.settled().map(|s| s.result.clone())))
                .collect::<Vec<_>>()
        };
        prop_assert_eq!(outputs(&again), outputs(&whole));
    }

    #[test]
    fn b111_a_missing_part_is_damage_and_not_a_step_that_never_ran(lost in any::<prop::sample::Index>()) {
        let mut sim = start();
        to_the_end(&mut sim, &[7]);
        let mut parts = all_parts(&sim.state);
        parts.remove(lost.index(parts.len()));
        let position = Position { seq: 1, epoch: sim.state.epoch(), updated_at: sim.now };
        let parts = parts.iter().filter_map(|(n, b)| Some((n.as_str(), b.as_deref()?)));
        prop_assert!(restore(position, parts, &|_| None).is_err());
    }

    #[test]
    fn damaged_parts_never_panic(name in "(created|run|now|step/[a-z]{1,3}|other)", body in ".{0,80}") {
        let mut sim = start();
        to_the_end(&mut sim, &[7]);
        let mut parts = all_parts(&sim.state);
        parts.retain(|(n, _)| *n != name);
        parts.push((name, Some(body)));
        let position = Position { seq: 1, epoch: sim.state.epoch(), updated_at: sim.now };
        let parts = parts.iter().filter_map(|(n, b)| Some((n.as_str(), b.as_deref()?)));
        prop_assert!(restore(position, parts, &|_| None).is_err());
    }
}

/// Policies as definitions may hold them, the extremes included.
fn policies() -> impl Strategy<Value = RetryPolicy> {
    let millis = prop_oneof![Just(0), Just(1), 0..100_000u64, Just(86_400_000)];
    let factor = prop_oneof![Just(1.0), Just(2.0), 1.0..10.0f64, Just(1e300)];
    let jitter = prop_oneof![Just(0.0), Just(0.25), Just(1.0), 0.0..=1.0f64];
    (millis.clone(), millis, factor, jitter).prop_map(|(one, other, factor, jitter)| RetryPolicy {
        max_attempts: 100,
        initial: Duration::from_millis(one.min(other)),
        max: Duration::from_millis(one.max(other)),
        factor,
        jitter,
        ..RetryPolicy::default()
    })
}

proptest! {
    #[test]
    fn no_wait_before_another_attempt_is_longer_than_the_longest(
        policy in policies(),
        run in 0..1_000u32,
        failures in 1..100u32,
        asked in prop::option::of(0..200_000u64),
    ) {
        let run = RunId::new(&format!("r{run}")).unwrap();
        let path = "a".parse().unwrap();
        let wait = policy.wait(Rules::PRESENT, &run, &path, failures);
        prop_assert!(wait <= policy.max, "{wait:?} of {policy:?}");
        let shortest = policy.initial.mul_f64((1.0 - policy.jitter).max(0.0));
        prop_assert!(wait + Duration::from_micros(1) >= shortest, "{wait:?} of {policy:?}");
        let mut error = StepError::new(ErrorClass::Retryable, "busy", "busy");
        error.retry_after_millis = asked;
        if let retry::AfterFailure::Retry(wait) = policy.after(Rules::PRESENT, &run, &path, failures, &error) {
            prop_assert!(wait <= policy.max, "{wait:?} of {policy:?}, asked for {asked:?}");
        }
    }
}
