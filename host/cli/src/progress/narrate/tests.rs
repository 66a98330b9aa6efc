#![expect(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use milepost::core::event::AttemptStarted;
use milepost::core::ids::Epoch;
use milepost::core::outcome::{ErrorClass, StepError};
use milepost::core::tape::Tape;
use serde_json::json;

use super::*;

fn at(millis: u64) -> Timestamp {
    Timestamp::default().after(Duration::from_millis(millis))
}

fn narrator() -> Narrator {
    let id = |text| StepId::new(text).unwrap();
    let limits = Limits {
        attempts: BTreeMap::from([(id("test"), 3)]),
        iterations: BTreeMap::from([(id("fix"), 5)]),
    };
    Narrator::new(limits, Style::new(false))
}

fn tell(narrator: &mut Narrator, millis: u64, event: Event) -> Option<String> {
    let entry = Entry {
        seq: 1,
        at: at(millis),
        epoch: Epoch(1),
        event,
    };
    let run = RunId::new("r").unwrap();
    narrator
        .tell(&run, Notice::Recorded(&entry))
        .map(|line| line.text.plain())
}

fn started(path: &str, attempt: u32) -> Event {
    Event::Step {
        path: path.parse().unwrap(),
        event: StepEvent::Started(AttemptStarted {
            attempt,
            input: json!({}).into(),
            seed: 0,
            timeout_millis: 1,
        }),
    }
}

fn failed(path: &str, attempt: u32, retry_at: Timestamp) -> Event {
    Event::Step {
        path: path.parse().unwrap(),
        event: StepEvent::AttemptFailed {
            attempt,
            error: StepError::new(ErrorClass::Timeout, "timeout", "too slow\n0: backtrace"),
            retry_at,
            tape: Tape::default(),
        },
    }
}

#[test]
fn the_moving_line_counts_passes_attempts_and_time() {
    let mut narrator = narrator();
    assert_eq!(narrator.now(at(0)), "");
    tell(&mut narrator, 0, started("fix#2/test", 1));
    assert_eq!(
        narrator.now(at(1_500)),
        "fix#2/test, iteration 2 of 5, 1.5 s"
    );
    tell(&mut narrator, 2_000, failed("fix#2/test", 1, at(6_000)));
    assert_eq!(
        narrator.now(at(4_500)),
        "fix#2/test, attempt 2 of 3 in 1.5 s: timeout: too slow"
    );
    tell(&mut narrator, 6_000, started("fix#2/test", 2));
    assert_eq!(
        narrator.now(at(6_000)),
        "fix#2/test, iteration 2 of 5, attempt 2 of 3, 0 ms"
    );
    let progress = Progress {
        done: 4,
        total: Some(9),
        message: "tests\x1b[2J".into(),
    };
    let path: Path = "fix#2/test".parse().unwrap();
    let run = RunId::new("r").unwrap();
    narrator.tell(
        &run,
        Notice::Progress {
            path: &path,
            progress: &progress,
        },
    );
    assert!(
        narrator
            .now(at(6_000))
            .ends_with(", 4 of 9 tests\\u{1b}[2J")
    );
}

#[test]
fn b356_attempts_count_anew_after_a_resume() {
    let mut narrator = narrator();
    let first = tell(&mut narrator, 0, started("test", 4));
    assert_eq!(first.as_deref(), Some("step test: started"));
    let retry = tell(&mut narrator, 10, failed("test", 4, at(260)));
    assert_eq!(
        retry.as_deref(),
        Some("step test: retry 2 of 3 in 250 ms: timeout: too slow")
    );
    let second = tell(&mut narrator, 260, started("test", 5));
    assert_eq!(
        second.as_deref(),
        Some("step test: started, attempt 2 of 3")
    );
}

#[test]
fn a_long_loop_leaves_nothing_behind() {
    let mut narrator = narrator();
    let path: Path = "fix".parse().unwrap();
    for iteration in 1..=100 {
        tell(
            &mut narrator,
            0,
            Event::Step {
                path: path.clone(),
                event: StepEvent::Loop(LoopEvent::IterationStarted { iteration }),
            },
        );
        tell(
            &mut narrator,
            0,
            started(&format!("fix#{iteration}/test"), 1),
        );
        let path = format!("fix#{iteration}/test").parse().unwrap();
        let output = json!(null).into();
        tell(
            &mut narrator,
            1,
            Event::Step {
                path,
                event: StepEvent::Completed {
                    attempt: 1,
                    output,
                    tape: Tape::default(),
                },
            },
        );
    }
    assert_eq!((narrator.tried.len(), narrator.in_flight.len()), (1, 0));
}
