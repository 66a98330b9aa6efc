#![expect(clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use milepost::core::definition::Join;
use milepost::core::event::{AttemptStarted, Skip};
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
        joins: BTreeMap::from([(id("report"), Join::OneSuccess)]),
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

/// The moving lines, as many as fit.
fn now(narrator: &Narrator, millis: u64) -> Vec<String> {
    narrator.now(at(millis), 4)
}

#[test]
fn the_moving_line_counts_passes_attempts_and_time() {
    let mut narrator = narrator();
    assert_eq!(now(&narrator, 0), [""; 0]);
    tell(&mut narrator, 0, started("fix#2/test", 1));
    assert_eq!(
        now(&narrator, 1_500),
        ["fix#2/test, iteration 2 of 5, 1.5 s"]
    );
    tell(&mut narrator, 2_000, failed("fix#2/test", 1, at(6_000)));
    assert_eq!(
        now(&narrator, 4_500),
        ["fix#2/test, attempt 2 of 3 in 1.5 s: timeout: too slow"]
    );
    tell(&mut narrator, 6_000, started("fix#2/test", 2));
    assert_eq!(
        now(&narrator, 6_000),
        ["fix#2/test, iteration 2 of 5, attempt 2 of 3, 0 ms"]
    );
    progress(&mut narrator, "fix#2/test", 4, "tests\x1b[2J");
    assert!(now(&narrator, 6_000)[0].ends_with(", 4 of 9 tests\\u{1b}[2J"));
}

#[test]
fn every_step_in_flight_has_a_line_as_long_as_they_fit() {
    let mut narrator = narrator();
    // In the order of their start, whatever their names: a line stays where it is.
    for (millis, path) in [(0, "z"), (10, "y"), (10, "x")] {
        tell(&mut narrator, millis, started(path, 1));
    }
    progress(&mut narrator, "y", 1, "files");
    tell(&mut narrator, 100, failed("z", 1, at(5_100)));
    let lines = [
        "y, 90 ms, 1 of 9 files",
        "x, 90 ms",
        "z, attempt 2 in 5.0 s: timeout: too slow",
    ];
    assert_eq!(now(&narrator, 100), lines);
    tell(&mut narrator, 100, started("w", 1));
    assert_eq!(
        now(&narrator, 100),
        [lines[0], lines[1], "w, 0 ms", lines[2]]
    );
    tell(&mut narrator, 100, started("v", 1));
    tell(&mut narrator, 100, started("u", 1));
    for (most, last) in [
        (0, "+4 more in flight, 1 to be tried again"),
        (2, "+4 more in flight, 1 to be tried again"),
        (5, "+1 more in flight, 1 to be tried again"),
        (6, lines[2]),
    ] {
        let lines = narrator.now(at(100), most);
        assert_eq!(lines.len(), most.max(2));
        assert_eq!(lines[0], "y, 90 ms, 1 of 9 files");
        assert_eq!(lines.last().unwrap(), last);
    }
    tell(&mut narrator, 100, failed("y", 1, at(300)));
    assert_eq!(
        now(&narrator, 100)[3],
        "+1 more in flight, 2 to be tried again"
    );
    tell(&mut narrator, 100, failed("x", 1, at(300)));
    assert_eq!(now(&narrator, 100)[3], "+3 more to be tried again");
}

#[test]
fn lines_of_steps_at_the_same_time_name_their_step_each() {
    let mut narrator = narrator();
    let mut told = Vec::new();
    told.extend(tell(&mut narrator, 0, started("a", 1)));
    told.extend(tell(&mut narrator, 0, started("b#1/c", 1)));
    told.extend(tell(&mut narrator, 10, failed("a", 1, at(60))));
    let broken = StepError::new(ErrorClass::Failed, "red", "no\nand more");
    let path: Path = "b#1/c".parse().unwrap();
    told.extend(tell(&mut narrator, 20, StepEvent::failed(broken).at(path)));
    told.extend(tell(&mut narrator, 60, started("a", 2)));
    for (path, skip) in [("report", vec!["a", "c"]), ("after", vec!["report"])] {
        let needs = skip.into_iter().map(|id| StepId::new(id).unwrap());
        let skipped = StepEvent::Skipped(Skip::Join {
            needs: needs.collect(),
        });
        told.extend(tell(&mut narrator, 70, skipped.at(path.parse().unwrap())));
    }
    assert_eq!(
        told,
        [
            "step a: started",
            "step b#1/c: started",
            "step a: retry 2 in 50 ms: timeout: too slow",
            "step b#1/c: failed: red: no",
            "step a: started, attempt 2",
            "step report: skipped, because `a` did not succeed and `c` failed (join one_success)",
            "step after: skipped, because `report` was skipped",
        ]
    );
}

fn progress(narrator: &mut Narrator, path: &str, done: u64, message: &str) {
    let progress = Progress {
        done,
        total: Some(9),
        message: message.into(),
    };
    let path: Path = path.parse().unwrap();
    let run = RunId::new("r").unwrap();
    let notice = Notice::Progress {
        path: &path,
        progress: &progress,
    };
    assert_eq!(narrator.tell(&run, notice), None);
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
                    undo: None,
                    tape: Tape::default(),
                },
            },
        );
    }
    assert_eq!((narrator.tried.len(), narrator.in_flight.len()), (1, 0));
}

#[test]
fn a_fan_out_is_a_bar_with_counts_and_its_items_have_no_line() {
    let mut narrator = narrator();
    let begun = |items: u32, kept| {
        let items = json!(vec![0; items as usize]).into();
        ForEachEvent::Started { items, kept }.at("files".parse().unwrap())
    };
    assert_eq!(
        tell(&mut narrator, 0, begun(8, 0)).unwrap(),
        "fan-out files: 8 items"
    );
    tell(&mut narrator, 0, started("files[0]/test", 1));
    tell(&mut narrator, 0, started("other", 1));
    for index in 0..2 {
        let output = json!(1).into();
        let path = format!("files[{index}]").parse().unwrap();
        tell(
            &mut narrator,
            5,
            ForEachEvent::ItemCompleted { output }.at(path),
        );
    }
    let error = StepError::new(ErrorClass::Failed, "red", "red");
    let ended = StepEvent::failed(error).at("files[2]".parse().unwrap());
    assert_eq!(
        tell(&mut narrator, 5, ended).unwrap(),
        "step files[2]: failed: red: red"
    );
    let lines = narrator.now(at(1_000), 4);
    assert_eq!(
        lines,
        [
            "files [#######.............] 3 of 8, 1 failed",
            "other, 1.0 s"
        ]
    );
    let output = json!([1]).into();
    let over = ForEachEvent::Completed { output }.at("files".parse().unwrap());
    assert_eq!(
        tell(&mut narrator, 9, over).unwrap(),
        "fan-out files: completed, 1 item"
    );
    assert_eq!(narrator.now(at(1_000), 4).len(), 2);
    assert_eq!(
        tell(&mut narrator, 9, begun(8, 7)).unwrap(),
        "fan-out files: 8 items, 7 kept"
    );
}
