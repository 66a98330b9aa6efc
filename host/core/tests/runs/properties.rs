//! Random runs: the journal folds to the checkpoint, any prefix can go on to the same result.

use milepost_core::checkpoint::{Position, all_parts, changed_parts, restore};
use milepost_core::event::{ClaimCause, Entry, Event};
use milepost_core::outcome::Outcome;
use milepost_core::state::{RunState, Status};
use proptest::prelude::*;
use serde_json::json;

use crate::sim::{Attempt, Sim, fail, ok, pause, retryable};

const FLOW: &str = r#"
[[step]]
id = "a"
use = "p/a"
continue_on_error = true
[[step]]
id = "outer"
loop = { until = "steps.c.output.n % 5 == 0", max_iterations = 4, on_exhausted = "continue" }
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
id = "d"
if = "steps.a.status == 'completed'"
use = "p/d"
with = { c = "${ steps.c.?output.n.orValue(0) }" }
"#;

/// An outcome that depends on the attempt alone, so that an attempt that runs again ends alike.
fn outcome(script: &[u8], attempt: &Attempt) -> Outcome {
    let mut sum = 0usize;
    for byte in attempt.path.bytes() {
        sum = sum.wrapping_mul(31).wrapping_add(usize::from(byte));
    }
    let draw = script[sum % script.len()];
    // A later attempt succeeds, so that runs come to an end.
    match draw % 8 {
        0 if attempt.attempt == 1 => retryable("busy"),
        1 if attempt.attempt == 1 => pause("quota"),
        2 if attempt.attempt == 1 => fail("red"),
        _ => ok(json!({"n": draw, "text": "x".repeat(usize::from(draw))})),
    }
}

fn to_the_end(sim: &mut Sim, script: &[u8]) {
    for _ in 0..64 {
        sim.run(|attempt| outcome(script, attempt));
        if sim.status() == Status::Completed {
            return;
        }
        sim.resume();
    }
}

fn restored(state: &RunState, parts: &[(String, Option<String>)]) -> RunState {
    let position = Position {
        seq: state.seq,
        epoch: state.epoch,
        updated_at: state.updated_at,
    };
    let parts = parts
        .iter()
        .filter_map(|(name, body)| Some((name.as_str(), body.as_deref()?)));
    restore(position, parts, &|_| None).unwrap()
}

/// Folds entry by entry, keeping the parts as a store would: only what was touched is written again.
fn fold_as_a_store(journal: &[Entry]) -> (RunState, Vec<(String, Option<String>)>) {
    let mut state = RunState::create(&journal[0]).unwrap();
    let mut parts: std::collections::BTreeMap<String, Option<String>> =
        all_parts(&state).into_iter().collect();
    for entry in &journal[1..] {
        let touched = state.apply(entry).unwrap();
        parts.extend(changed_parts(&state, &touched));
    }
    (state, parts.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn the_journal_folds_to_the_checkpoint(script in prop::collection::vec(any::<u8>(), 4..24)) {
        let mut sim = Sim::new(FLOW);
        to_the_end(&mut sim, &script);
        let (state, parts) = fold_as_a_store(&sim.journal);
        prop_assert_eq!(&state, &sim.state);
        prop_assert_eq!(&restored(&state, &parts), &sim.state);
        prop_assert_eq!(&restored(&state, &all_parts(&state)), &sim.state);
    }

    #[test]
    fn events_survive_their_stored_form(script in prop::collection::vec(any::<u8>(), 4..24)) {
        let mut sim = Sim::new(FLOW);
        to_the_end(&mut sim, &script);
        for entry in &sim.journal {
            let back = Event::decode(&entry.event.encode(), &|_| None).unwrap();
            prop_assert_eq!(&back, &entry.event);
        }
    }

    #[test]
    fn any_prefix_goes_on_to_the_same_outputs(
        script in prop::collection::vec(any::<u8>(), 4..24),
        cut in any::<prop::sample::Index>(),
    ) {
        // Without failures, retries and pauses a run's result does not depend on where it was cut.
        let calm: Vec<u8> = script.iter().map(|b| b | 0b100).collect();
        let mut whole = Sim::new(FLOW);
        to_the_end(&mut whole, &calm);
        let cut = 2 + cut.index(whole.journal.len() - 2);
        let mut again = Sim::new(FLOW);
        again.journal = whole.journal[..cut].to_vec();
        again.state = RunState::fold(&again.journal).unwrap();
        if again.status() == Status::Running {
            again.claim(ClaimCause::Resume);
        }
        to_the_end(&mut again, &calm);
        let outputs = |sim: &Sim| {
            sim.state
                .steps
                .iter()
                .map(|(id, r)| (id.clone(), r.settled().map(|s| s.result.clone())))
                .collect::<Vec<_>>()
        };
        prop_assert_eq!(outputs(&again), outputs(&whole));
    }

    #[test]
    fn b111_a_missing_part_is_damage_and_not_a_step_that_never_ran(lost in any::<prop::sample::Index>()) {
        let mut sim = Sim::new(FLOW);
        to_the_end(&mut sim, &[7]);
        let mut parts = all_parts(&sim.state);
        parts.remove(lost.index(parts.len()));
        let position = Position { seq: 1, epoch: sim.state.epoch, updated_at: sim.now };
        let parts = parts.iter().filter_map(|(n, b)| Some((n.as_str(), b.as_deref()?)));
        prop_assert!(restore(position, parts, &|_| None).is_err());
    }

    #[test]
    fn damaged_parts_never_panic(name in "(created|run|now|step/[a-z]{1,3}|other)", body in ".{0,80}") {
        let mut sim = Sim::new(FLOW);
        to_the_end(&mut sim, &[7]);
        let mut parts = all_parts(&sim.state);
        parts.retain(|(n, _)| *n != name);
        parts.push((name, Some(body)));
        let position = Position { seq: 1, epoch: sim.state.epoch, updated_at: sim.now };
        let parts = parts.iter().filter_map(|(n, b)| Some((n.as_str(), b.as_deref()?)));
        prop_assert!(restore(position, parts, &|_| None).is_err());
    }
}
