//! Attempts that fail or pause: one classifier, the step's retry policy, seeded waits.

use std::time::Duration;

use milepost_core::event::{AttemptStarted, Event, StepEvent};
use milepost_core::limits::RUN_STATE_BYTES;
use milepost_core::outcome::{ErrorClass, Outcome, Pause, StepError, codes};
use milepost_core::state::Status;
use milepost_core::stop::{StopCode, Why};
use serde_json::json;

use crate::sim::{Sim, error, fail, ok, pause, retryable};

const ONE: &str = r#"
[[step]]
id = "a"
use = "p/a"
"#;

fn with_retry(retry: &str) -> String {
    format!("{ONE}retry = {{ {retry} }}\n")
}

fn seconds(waits: &[Duration]) -> Vec<f64> {
    waits.iter().map(Duration::as_secs_f64).collect()
}

#[test]
fn b147_a_retryable_error_is_tried_again_with_growing_waits() {
    let mut sim = Sim::new(ONE);
    sim.run(|attempt| match attempt.attempt {
        1 | 2 => retryable("busy"),
        _ => ok(json!({})),
    });
    assert_eq!(sim.status(), Status::Completed);
    assert_eq!(seconds(&sim.waits), [10.0, 20.0]);
    assert!(
        !sim.events().contains(&"step_paused"),
        "no trace of a pause"
    );
}

#[test]
fn b148_after_all_attempts_the_run_pauses() {
    let mut sim = Sim::new(ONE);
    sim.run(|_| retryable("busy"));
    assert_eq!(sim.calls.len(), 3);
    assert_eq!(sim.status(), Status::Paused);
    assert_eq!(sim.stop().code(), StopCode::RetriesExhausted);
    let Why::RetriesExhausted(pausing) = &sim.stop().why else {
        panic!("retries are used up");
    };
    assert_eq!(pausing.reason, "busy happened");
}

#[test]
fn exhausted_retries_may_fail_instead() {
    let mut sim = Sim::new(&with_retry(
        "max_attempts = 2, initial = \"1s\", then = \"fail\"",
    ));
    sim.run(|_| retryable("busy"));
    assert_eq!(sim.status(), Status::Failed);
    assert_eq!(sim.error("a").code, "busy");
}

#[test]
fn b149_a_pause_error_pauses_at_once() {
    let mut sim = Sim::new(ONE);
    sim.run(|_| pause("quota-exhausted"));
    assert_eq!(sim.calls.len(), 1);
    assert_eq!(sim.status(), Status::Paused);
    assert_eq!(sim.stop().code(), StopCode::StepPaused);
    assert_eq!(sim.waits, []);
}

#[test]
fn a_wait_longer_than_the_policys_longest_pauses_until_then() {
    let mut sim = Sim::new(ONE);
    let before = sim.now;
    sim.run(|_| {
        Outcome::Failed(StepError {
            retry_after_millis: Some(3_600_000),
            provider: Some("acme".into()),
            ..StepError::new(ErrorClass::Retryable, "rate-limited", "slow down")
        })
    });
    assert_eq!(sim.calls.len(), 1);
    let stop = sim.stop();
    assert_eq!(stop.due_at, Some(before.after(Duration::from_secs(3_600))));
    assert_eq!(stop.provider.as_deref(), Some("acme"));
}

#[test]
fn b150_b152_any_other_failure_fails_the_run_at_once_and_keeps_the_record() {
    let mut sim = Sim::new(ONE);
    sim.run(|_| fail("no"));
    assert_eq!(sim.calls.len(), 1);
    assert_eq!(sim.status(), Status::Failed);
    assert_eq!(sim.error("a").class, ErrorClass::Failed);
}

#[test]
fn b151_traps_host_errors_and_returned_errors_pass_one_classifier() {
    for class in [
        ErrorClass::Trap,
        ErrorClass::Host,
        ErrorClass::Failed,
        ErrorClass::Timeout,
    ] {
        let mut sim = Sim::new(ONE);
        sim.run(|_| error(class, "x"));
        assert_eq!(
            (sim.calls.len(), sim.status()),
            (1, Status::Failed),
            "{class:?}"
        );
    }
    for (word, class) in [
        ("trap", ErrorClass::Trap),
        ("failed", ErrorClass::Failed),
        ("timeout", ErrorClass::Timeout),
    ] {
        let mut sim = Sim::new(&with_retry(&format!("on = [\"{word}\"], max_attempts = 2")));
        sim.run(|_| error(class, "x"));
        assert_eq!(
            (sim.calls.len(), sim.status()),
            (2, Status::Paused),
            "{class:?}"
        );
    }
}

#[test]
fn b145_b146_a_timeout_is_a_plain_failure_unless_the_policy_names_it() {
    let mut sim = Sim::new(ONE);
    sim.run(|_| error(ErrorClass::Timeout, "timeout"));
    assert_eq!(sim.status(), Status::Failed);
}

#[test]
fn b144_classes_come_from_the_variant_never_from_text() {
    let mut sim = Sim::new(ONE);
    sim.run(|_| {
        Outcome::Failed(StepError::new(
            ErrorClass::Failed,
            "retryable",
            "429 too many requests, connection refused, please retry",
        ))
    });
    assert_eq!((sim.calls.len(), sim.status()), (1, Status::Failed));
}

#[test]
fn only_listed_codes_are_tried_again() {
    let body = with_retry("codes = [\"busy\"], max_attempts = 2");
    for (code, calls) in [("busy", 2), ("other", 1)] {
        let mut sim = Sim::new(&body);
        sim.run(|_| retryable(code));
        assert_eq!(sim.calls.len(), calls, "{code}");
    }
}

#[test]
fn b353_waits_double_up_to_the_cap() {
    let mut sim = Sim::new(&with_retry(
        "max_attempts = 6, initial = \"1s\", factor = 3.0, max = \"20s\"",
    ));
    sim.run(|_| retryable("busy"));
    assert_eq!(seconds(&sim.waits), [1.0, 3.0, 9.0, 20.0, 20.0]);
}

#[test]
fn b198_jitter_is_seeded_by_run_and_path() {
    let body = with_retry("max_attempts = 4, initial = \"8s\", jitter = 0.25");
    let waits = || {
        let mut sim = Sim::new(&body);
        sim.run(|_| retryable("busy"));
        std::mem::take(&mut sim.waits)
    };
    let first = waits();
    assert_eq!(first, waits());
    for (wait, plain) in first.iter().zip([8.0, 16.0, 32.0]) {
        let share = wait.as_secs_f64() / plain;
        assert!((0.75..=1.25).contains(&share) && share != 1.0, "{first:?}");
    }
}

#[test]
fn b153_the_pause_and_the_progress_before_it_are_recorded_together() {
    let mut sim = Sim::new(
        r#"
        [[step]]
        id = "a"
        use = "p/a"
        [[step]]
        id = "b"
        use = "p/b"
        "#,
    );
    sim.run(|attempt| match attempt.step.as_str() {
        "b" => pause("quota"),
        _ => ok(json!({"n": 1})),
    });
    let names: Vec<_> = sim.events();
    assert_eq!(names[names.len() - 2..], ["step_paused", "run_paused"]);
    assert_eq!(sim.output("a"), json!({"n": 1}));
}

#[test]
fn b157_b159_a_pause_names_step_reason_and_provider_and_nothing_follows() {
    let mut sim = Sim::new(ONE);
    sim.run(|_| {
        Outcome::Paused(Pause {
            provider: Some("acme-llm".into()),
            ..match pause("quota") {
                Outcome::Paused(pause) => pause,
                _ => unreachable!(),
            }
        })
    });
    let stop = sim.stop();
    assert_eq!(stop.path.unwrap().to_string(), "a");
    let Why::StepPaused(pausing) = &stop.why else {
        panic!("a step asked to pause");
    };
    assert_eq!(pausing.reason, "quota reason");
    assert_eq!(stop.provider.as_deref(), Some("acme-llm"));
    assert!(sim.next_attempt().is_none());
    assert_eq!(sim.status(), Status::Paused);
}

#[test]
fn b158_there_is_one_pause_event() {
    let mut sim = Sim::new(ONE);
    sim.run(|_| pause("quota"));
    let pauses = sim.events().iter().filter(|n| **n == "run_paused").count();
    assert_eq!(pauses, 1);
}

#[test]
fn a_paused_step_gets_its_state_back() {
    let mut sim = Sim::new(ONE);
    sim.run(|_| match pause("ask") {
        Outcome::Paused(pause) => Outcome::Paused(Pause {
            state: Some(json!({"asked": true})),
            ..pause
        }),
        other => other,
    });
    sim.resume();
    let attempt = sim.next_attempt().unwrap();
    assert_eq!(attempt.attempt, 2);
    assert_eq!(sim.step("a").resume_state(), Some(&json!({"asked": true})));
    sim.end(&attempt, ok(json!({})));
    assert_eq!(
        sim.step("a").resume_state(),
        None,
        "settled steps need no state"
    );
}

#[test]
fn the_same_idempotent_identity_but_another_seed_for_each_attempt() {
    let mut sim = Sim::new(ONE);
    sim.run(|_| retryable("busy"));
    let mut seeds: Vec<u64> = sim
        .journal
        .iter()
        .filter_map(|entry| match entry.event {
            Event::Step {
                event: StepEvent::Started(AttemptStarted { seed, .. }),
                ..
            } => Some(seed),
            _ => None,
        })
        .collect();
    seeds.sort_unstable();
    seeds.dedup();
    assert_eq!(seeds.len(), 3);
}

// What bounds the state of a run bounds everything in it, not only outputs.
#[test]
fn pause_states_and_error_details_have_to_fit_into_the_state_of_the_run() {
    let body = "[[step]]\nid = \"a\"\nuse = \"p/a\"\n[[step]]\nid = \"b\"\nuse = \"p/b\"\n";
    let half = || json!("x".repeat(RUN_STATE_BYTES / 2));
    let mut sim = Sim::new(body);
    sim.run(|attempt| match attempt.step.as_str() {
        "a" => ok(half()),
        _ => match pause("ask") {
            Outcome::Paused(pause) => Outcome::Paused(Pause {
                state: Some(half()),
                ..pause
            }),
            other => other,
        },
    });
    assert_eq!(sim.error("b").code, codes::RUN_STATE_TOO_LARGE);
    let mut sim = Sim::new(body);
    sim.run(|attempt| match attempt.step.as_str() {
        "a" => ok(half()),
        _ => match fail("red") {
            Outcome::Failed(error) => Outcome::Failed(StepError {
                detail: Some(half()),
                ..error
            }),
            other => other,
        },
    });
    let error = sim.error("b");
    assert_eq!((error.code.as_str(), error.detail), ("red", None));
    assert!(error.message.contains("its detail of"), "{}", error.message);
    assert!(sim.state.recorded_bytes() <= RUN_STATE_BYTES);
}
