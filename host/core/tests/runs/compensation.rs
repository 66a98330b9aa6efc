//! Compensations: what has completed is undone before the run ends, the latest first, one at a time, each once.

use milepost_core::correction::correction;
use milepost_core::decide::{Decision, decide};
use milepost_core::event::{ClaimCause, Event, RunEvent, StepEvent};
use milepost_core::limits;
use milepost_core::outcome::Outcome;
use milepost_core::request::Intent;
use milepost_core::request::compensate::{NotCompensated, Undoing, compensate};
use milepost_core::request::resume::{Refused, ResumeBy};
use milepost_core::request::stop::{Demand, finish};
use milepost_core::state::{RunState, Status, StepPhase};
use milepost_core::stop::{StopCode, Why};
use serde_json::json;

use crate::sim::{Attempt, Sim, fail, ok, pause, retryable};

/// A step with a compensation that is given the step's own output.
fn step(id: &str, more: &str) -> String {
    format!(
        "[[step]]\nid = \"{id}\"\nuse = \"p/{id}\"\n{more}\n[step.compensate]\nuse = \"p/undo\"\nwith = {{ of = \"${{ steps.{id}.output.id }}\" }}\n"
    )
}

fn plain(id: &str) -> String {
    format!("[[step]]\nid = \"{id}\"\nuse = \"p/{id}\"\n")
}

fn trip(top: &str) -> String {
    format!(
        "{top}{}{}{}",
        step("flight", ""),
        step("hotel", ""),
        plain("pay")
    )
}

const ASKED: &str = "on_failure = \"compensate\"\n";

/// Each step gives its path as id; `pay` fails.
fn booking(attempt: &Attempt) -> Outcome {
    match attempt.path.as_str() {
        "pay" => fail("declined"),
        path => ok(json!({ "id": path })),
    }
}

/// Paths and inputs of the compensations that were called, in order.
fn undone(sim: &Sim) -> Vec<(String, serde_json::Value)> {
    let started = sim.journal.iter().filter_map(|entry| match &entry.event {
        Event::Step {
            path,
            event: StepEvent::Started(started),
        } if path.is_compensation() => {
            Some((path.to_string(), started.input.value()["of"].clone()))
        }
        _ => None,
    });
    started.collect()
}

fn pairs(of: &[(&str, &str)]) -> Vec<(String, serde_json::Value)> {
    of.iter()
        .map(|(path, of)| ((*path).to_owned(), json!(of)))
        .collect()
}

#[test]
fn a_failed_run_undoes_what_has_completed_the_latest_first() {
    let mut sim = Sim::new(&trip(ASKED));
    sim.run(booking);
    assert_eq!(sim.status(), Status::Failed);
    assert_eq!(
        undone(&sim),
        pairs(&[
            ("hotel!compensate", "hotel"),
            ("flight!compensate", "flight")
        ])
    );
    assert_eq!(sim.failures(), [("pay".into(), "declined".into())]);
    assert_eq!(sim.stop().compensated, Some(2));
    assert!(sim.events().ends_with(&[
        "step_failed",
        "run_finishing",
        "step_started",
        "step_completed",
        "step_started",
        "step_completed",
        "run_failed",
    ]));
    // What was undone is past.
    for intent in [
        Intent::Resume(ResumeBy::Person),
        Intent::Retry { from: None },
    ] {
        let refused = intent.event(&sim.definition, &sim.state);
        assert_eq!(refused, Err(Refused::Compensated));
    }
    let again = Undoing {
        cancels: false,
        by: "ann",
    };
    assert_eq!(compensate(&sim.state, again), Err(NotCompensated::Nothing));
}

#[test]
fn without_being_asked_nothing_is_undone_and_a_person_may_ask_later() {
    for top in ["", "on_failure = \"finish\"\n", "on_failure = \"stop\"\n"] {
        let mut sim = Sim::new(&trip(top));
        sim.run(booking);
        assert_eq!(
            (sim.status(), sim.stop().compensated),
            (Status::Failed, None)
        );
        assert_eq!(undone(&sim), []);
        sim.compensate(false).run(booking);
        assert_eq!(
            (sim.status(), sim.stop().compensated),
            (Status::Failed, Some(2))
        );
        assert_eq!(sim.failures(), [("pay".into(), "declined".into())]);
        assert_eq!(undone(&sim).len(), 2);
    }
    // A failed run that a person cancels with that is cancelled.
    let mut sim = Sim::new(&trip(""));
    sim.run(booking);
    sim.compensate(true).run(booking);
    assert_eq!(
        (sim.status(), sim.stop().compensated),
        (Status::Cancelled, Some(2))
    );
    assert_eq!(sim.stop().code(), StopCode::Cancelled);
}

#[test]
fn a_run_that_completes_or_is_cancelled_without_it_keeps_what_it_did() {
    let mut sim = Sim::new(&trip(ASKED));
    sim.run(|attempt| ok(json!({ "id": attempt.path })));
    assert_eq!((sim.status(), undone(&sim)), (Status::Completed, vec![]));
    let mut sim = Sim::new(&trip(ASKED));
    sim.run(|attempt| match attempt.path.as_str() {
        "pay" => pause("later"),
        path => ok(json!({ "id": path })),
    });
    sim.cancel();
    assert_eq!((sim.status(), undone(&sim)), (Status::Cancelled, vec![]));
}

#[test]
fn a_step_that_ends_the_run_as_failed_undoes_too() {
    let end = "[[step]]\nid = \"stop\"\nend = { status = \"STATUS\" }\n";
    for (status, times) in [("failed", 1), ("cancelled", 0), ("completed", 0)] {
        let end = end.replace("STATUS", status);
        let mut sim = Sim::new(&format!("{ASKED}{}{end}", step("flight", "")));
        sim.run(booking);
        assert_eq!(sim.status().to_string(), status);
        assert_eq!(undone(&sim).len(), times, "{status}");
    }
}

#[test]
fn only_what_has_completed_is_undone() {
    let mut sim = Sim::new(&format!(
        "{ASKED}{}{}{}{}",
        step("a", ""),
        step("b", "if = \"false\""),
        step("c", "continue_on_error = true"),
        step("d", ""),
    ));
    sim.run(|attempt| match attempt.path.as_str() {
        "c" | "d" => fail("no"),
        path => ok(json!({ "id": path })),
    });
    assert_eq!(undone(&sim), pairs(&[("a!compensate", "a")]));
    assert_eq!(sim.stop().compensated, Some(1));
}

#[test]
fn a_person_who_cancels_interrupts_what_is_in_flight_and_undoes_the_rest() {
    let mut sim = Sim::new(&trip(""));
    for _ in 0..2 {
        let attempt = sim.next_attempt().unwrap();
        let done = booking(&attempt);
        sim.end(&attempt, done);
    }
    let pay = sim.next_attempt().unwrap();
    sim.cancel_and_undo();
    assert!(
        sim.events()
            .ends_with(&["step_started", "run_compensating"])
    );
    let Decision::Wait { cancel, .. } = sim.decided() else {
        panic!("what is in flight ends first");
    };
    assert_eq!(cancel.len(), 1);
    let interrupted = StepEvent::Interrupted { attempt: 1 };
    sim.record(interrupted.at(pay.path.parse().unwrap()));
    sim.cancel_and_undo();
    sim.run(booking);
    assert_eq!(
        sim.events()
            .iter()
            .filter(|name| **name == "run_compensating")
            .count(),
        1
    );
    assert_eq!(
        (sim.status(), sim.stop().compensated),
        (Status::Cancelled, Some(2))
    );
    assert_eq!(
        sim.calls,
        [
            "flight",
            "hotel",
            "pay",
            "hotel!compensate",
            "flight!compensate"
        ]
    );
    // An open wait is closed.
    let wait = "[[step]]\nid = \"w\"\nwait = { signal = \"go\" }\n";
    let mut sim = Sim::new(&format!("{}{wait}", step("flight", "")));
    sim.run(booking);
    sim.cancel_and_undo();
    assert_eq!(sim.status(), Status::Pending);
    sim.claim(ClaimCause::Start);
    sim.run(booking);
    assert_eq!((sim.status(), undone(&sim).len()), (Status::Cancelled, 1));
}

#[test]
fn where_nothing_can_be_undone_a_cancellation_is_one_as_any() {
    let mut sim = Sim::new(&plain("a"));
    let _a = sim.next_attempt().unwrap();
    sim.cancel_and_undo();
    assert_eq!(
        (sim.status(), sim.stop().compensated),
        (Status::Cancelled, None)
    );
}

#[test]
fn what_completes_while_the_run_is_cancelled_is_undone_too() {
    let mut sim = Sim::new(&trip(""));
    let flight = sim.next_attempt().unwrap();
    let asked = finish(&sim.definition, &sim.state, Demand::Compensate, "ann");
    sim.record(asked.unwrap().unwrap());
    assert_eq!(sim.status(), Status::Running);
    sim.end(&flight, booking(&flight));
    sim.run(booking);
    assert_eq!(undone(&sim), pairs(&[("flight!compensate", "flight")]));
    assert_eq!(
        (sim.status(), sim.stop().compensated),
        (Status::Cancelled, Some(1))
    );
}

#[test]
fn a_compensation_that_fails_pauses_the_run_and_resume_tries_it_again() {
    let mut sim = Sim::new(&trip(ASKED));
    let mut fails = 2;
    let mut script = |attempt: &Attempt| match attempt.path.as_str() {
        "hotel!compensate" if fails > 0 => {
            fails -= 1;
            fail("closed")
        }
        _ => booking(attempt),
    };
    sim.run(&mut script);
    for again in 0..2 {
        assert_eq!(sim.status(), Status::Paused);
        let stop = sim.stop();
        assert_eq!(stop.path.as_ref().unwrap().to_string(), "hotel!compensate");
        assert!(
            matches!(&stop.why, Why::CompensationFailed { code, automatic: None, .. } if code == "closed"),
            "{stop:?}"
        );
        assert_eq!(stop.due_at, None);
        let retry = Intent::Retry { from: None }.event(&sim.definition, &sim.state);
        assert_eq!(retry, Err(Refused::Compensating));
        assert_eq!(undone(&sim).len(), 1 + again);
        sim.resume().run(&mut script);
    }
    assert_eq!(sim.status(), Status::Failed);
    assert_eq!(
        undone(&sim)
            .into_iter()
            .map(|(path, _)| path)
            .collect::<Vec<_>>(),
        [
            "hotel!compensate",
            "hotel!compensate",
            "hotel!compensate",
            "flight!compensate"
        ]
    );
    assert_eq!(sim.at("hotel!compensate").attempts(), 3);
    assert_eq!(sim.stop().compensated, Some(2));
    // The failed step did not run again.
    assert_eq!(sim.calls.iter().filter(|path| *path == "pay").count(), 1);
}

#[test]
fn the_retry_policy_of_the_step_is_that_of_its_compensation() {
    let retry = "retry = { max_attempts = 3, initial = \"1s\" }";
    let flight = step("flight", retry);
    let mut sim = Sim::new(&format!("{ASKED}{flight}{}", plain("pay")));
    let mut script = |attempt: &Attempt| match (attempt.path.as_str(), attempt.attempt) {
        ("flight!compensate", 1 | 2) => retryable("busy"),
        _ => booking(attempt),
    };
    sim.run(&mut script);
    assert_eq!(sim.status(), Status::Failed);
    assert_eq!((undone(&sim).len(), sim.waits.len()), (3, 2));
    // Used up, it waits for better times, and a worker tries again by itself.
    let mut sim = Sim::new(&format!("{ASKED}{flight}{}", plain("pay")));
    sim.run(|attempt| match attempt.path.as_str() {
        "flight!compensate" => retryable("busy"),
        _ => booking(attempt),
    });
    assert_eq!((sim.status(), undone(&sim).len()), (Status::Paused, 3));
    assert_eq!(sim.stop().code(), StopCode::CompensationFailed);
    sim.pass_to_due().work(ResumeBy::Schedule).run(booking);
    assert_eq!((sim.status(), undone(&sim).len()), (Status::Failed, 4));
}

#[test]
fn one_that_asks_to_stop_stands_as_a_step_does() {
    let mut sim = Sim::new(&trip(ASKED));
    let mut asked = true;
    let mut script = |attempt: &Attempt| match attempt.path.as_str() {
        "hotel!compensate" if std::mem::take(&mut asked) => pause("later"),
        _ => booking(attempt),
    };
    sim.run(&mut script);
    assert_eq!(sim.stop().code(), StopCode::StepPaused);
    sim.resume().run(&mut script);
    assert_eq!(
        (sim.status(), sim.stop().compensated),
        (Status::Failed, Some(2))
    );
}

#[test]
fn each_iteration_and_each_item_is_undone_with_what_it_read_then() {
    let body = "[step.compensate]\nuse = \"p/undo\"\nwith = { of = \"${ loop.iteration }/${ steps.book.output.id }\" }\n";
    let mut sim = Sim::new(&format!(
        "{ASKED}[[step]]\nid = \"l\"\nloop = {{ until = \"loop.iteration == 3\" }}\n[[step]]\nid = \"book\"\nin = \"l\"\nuse = \"p/book\"\n{body}{}",
        plain("pay")
    ));
    sim.run(booking);
    assert_eq!(
        undone(&sim),
        pairs(&[
            ("l#3/book!compensate", "3/l#3/book"),
            ("l#2/book!compensate", "2/l#2/book"),
            ("l#1/book!compensate", "1/l#1/book"),
        ])
    );
    let body = "[step.compensate]\nuse = \"p/undo\"\nwith = { of = \"${ item }${ item_index }/${ steps.book.output.id }\" }\n";
    for (call, paths) in [
        (
            "[[step]]\nid = \"book\"\nuse = \"p/book\"\nforeach = { items = \"['x', 'y']\" }\n",
            ["book[0]", "book[1]"],
        ),
        (
            "[[step]]\nid = \"all\"\nforeach = { items = \"['x', 'y']\" }\n[[step]]\nid = \"book\"\nin = \"all\"\nuse = \"p/book\"\n",
            ["all[0]/book", "all[1]/book"],
        ),
    ] {
        let mut sim = Sim::new(&format!("{ASKED}{call}{body}{}", plain("pay")));
        sim.run_graph(booking);
        let [first, second] = paths;
        assert_eq!(
            undone(&sim),
            pairs(&[
                (&format!("{second}!compensate"), &format!("y1/{second}")),
                (&format!("{first}!compensate"), &format!("x0/{first}")),
            ])
        );
    }
}

#[test]
fn the_order_is_that_of_completion_whatever_the_file_says() {
    let mut sim = Sim::new(&format!(
        "flow = \"graph\"\n{ASKED}{}{}[[step]]\nid = \"pay\"\nneeds = [\"a\", \"b\"]\nuse = \"p/pay\"\n",
        step("a", ""),
        step("b", "")
    ));
    let started = sim.start_all();
    for attempt in started.iter().rev() {
        sim.end(attempt, booking(attempt));
    }
    sim.run(booking);
    assert_eq!(
        undone(&sim),
        pairs(&[("a!compensate", "a"), ("b!compensate", "b")])
    );
}

#[test]
fn what_ran_again_is_undone_once_with_what_it_came_to_last() {
    let mut sim = Sim::new(&trip(""));
    sim.run(booking);
    sim.retry(Some("flight"))
        .run(|attempt| match attempt.path.as_str() {
            "flight" => ok(json!({ "id": "again" })),
            _ => booking(attempt),
        });
    let ran_again = sim.calls.iter().filter(|path| *path == "flight").count();
    assert_eq!(ran_again, 2);
    sim.compensate(false).run(booking);
    // It completed later than the hotel, which did not run again.
    let expected = [
        ("flight!compensate", "again"),
        ("hotel!compensate", "hotel"),
    ];
    assert_eq!(undone(&sim), pairs(&expected));
}

#[test]
fn what_cannot_be_evaluated_when_the_step_completes_is_tried_again_when_it_is_needed() {
    let mut sim = Sim::new(&trip(ASKED));
    sim.run(|attempt| match attempt.path.as_str() {
        "hotel" => ok(json!({ "number": 7 })),
        _ => booking(attempt),
    });
    assert_eq!(
        (sim.status(), sim.stop().code()),
        (Status::Paused, StopCode::CompensationFailed)
    );
    assert_eq!(undone(&sim), []);
    sim.resume().run(booking);
    assert_eq!(
        sim.status(),
        Status::Paused,
        "it cannot be evaluated now either"
    );
    sim.change(&trip(ASKED).replace("steps.hotel.output.id", "steps.hotel.output.number"));
    sim.resume().run(booking);
    assert_eq!(sim.status(), Status::Failed);
    assert_eq!(undone(&sim)[0], ("hotel!compensate".to_owned(), json!(7)));
    // One that the definition does not know any more is left as it is.
    let mut sim = Sim::new(&trip(""));
    sim.run(booking);
    sim.change(&format!(
        "{}{}{}",
        step("flight", ""),
        plain("hotel"),
        plain("pay")
    ));
    sim.compensate(false).run(booking);
    assert_eq!(undone(&sim), pairs(&[("flight!compensate", "flight")]));
}

#[test]
fn a_process_that_dies_anywhere_goes_on_there_and_nothing_is_undone_twice() {
    let mut whole = Sim::new(&trip(ASKED));
    whole.run(booking);
    let begun = whole
        .events()
        .iter()
        .position(|name| *name == "run_finishing")
        .unwrap()
        + 2;
    for cut in begun..whole.journal.len() {
        let mut sim = Sim::new(&trip(ASKED));
        sim.go_back_to(&whole.journal[..cut]);
        sim.calls.clear();
        sim.crash();
        sim.run(booking);
        assert_eq!(
            (sim.status(), sim.stop().compensated),
            (Status::Failed, Some(2)),
            "{cut}"
        );
        let completed = sim.journal.iter().filter(|entry| {
            let compensation = entry
                .event
                .path()
                .is_some_and(|path| path.is_compensation());
            compensation && entry.event.name() == "step_completed"
        });
        assert_eq!(completed.count(), 2, "{cut}");
    }
}

#[test]
fn a_cancellation_ends_the_undoing_where_it_stands() {
    let mut sim = Sim::new(&trip(ASKED));
    sim.run(|attempt| match attempt.path.as_str() {
        "flight!compensate" => fail("closed"),
        _ => booking(attempt),
    });
    sim.cancel();
    assert_eq!(sim.status(), Status::Cancelled);
    assert_eq!(sim.state.executions().compensations().completed(), 1);
}

#[test]
fn no_compensation_starts_before_the_run_winds_up() {
    let mut sim = Sim::new(&trip(""));
    for _ in 0..2 {
        let attempt = sim.next_attempt().unwrap();
        sim.end(&attempt, booking(&attempt));
    }
    let record = sim.at("flight!compensate");
    assert_eq!((record.status(), record.attempts()), ("pending", 0));
    let mut whole = Sim::new(&trip(ASKED));
    whole.run(booking);
    let started = whole.journal.iter().find(|entry| {
        entry
            .event
            .path()
            .is_some_and(|path| path.is_compensation())
    });
    assert!(sim.try_record(started.unwrap().event.clone()).is_err());
}

#[test]
fn a_step_that_would_be_one_too_many_to_undo_does_not_start() {
    let mut sim = Sim::new(&format!(
        "[[step]]\nid = \"l\"\nloop = {{ until = \"false\", max_iterations = 10000, on_exhausted = \"continue\" }}\n{}{}",
        step("a", "in = \"l\""),
        step("b", "")
    ));
    let mut state = RunState::fold(&sim.journal).unwrap();
    let mut journal = sim.journal.clone();
    // As many completions as there may be, recorded without the checks that the simulation makes of each.
    while state.executions().compensations().len() < limits::COMPENSATIONS {
        for event in decide(&sim.definition, &state, sim.now).into_events() {
            push(&mut journal, &mut state, event);
        }
        let path = state.in_flight().next().map(|record| record.path().clone());
        if let Some(path) = path {
            let output = ok(json!({ "id": "x" }));
            let tape = milepost_core::tape::Tape::default();
            let event = milepost_core::decide::settle(
                &sim.definition,
                &state,
                &path,
                1,
                output,
                tape,
                sim.now,
            );
            push(&mut journal, &mut state, event);
        }
    }
    sim.go_back_to(&journal);
    while let Decision::Act(_) = decide(&sim.definition, &sim.state, sim.now) {
        sim.move_once();
        if sim.has_record("b") {
            break;
        }
    }
    assert_eq!(sim.error("b").code, "too_many_compensations");
}

fn push(journal: &mut Vec<milepost_core::event::Entry>, state: &mut RunState, event: Event) {
    let entry = milepost_core::event::Entry {
        seq: state.seq() + 1,
        at: state.updated_at(),
        epoch: state.epoch(),
        event,
    };
    state.apply(&entry).unwrap();
    journal.push(entry);
}

#[test]
fn a_host_that_cannot_go_on_leaves_the_rest_to_a_person() {
    let mut sim = Sim::new(&trip(ASKED));
    sim.run(|attempt| match attempt.path.as_str() {
        "flight!compensate" => fail("closed"),
        _ => booking(attempt),
    });
    sim.resume();
    let _flight = sim.next_attempt().unwrap();
    let last = milepost_core::request::recover::give_up(&sim.state);
    sim.record(last);
    assert_eq!(sim.status(), Status::Failed);
    let resume = Intent::Resume(ResumeBy::Person).event(&sim.definition, &sim.state);
    assert_eq!(resume, Err(Refused::Compensated));
    sim.compensate(false).run(booking);
    assert_eq!(
        (sim.status(), sim.stop().compensated),
        (Status::Failed, Some(2))
    );
}

#[test]
fn a_forged_end_is_noticed() {
    let mut sim = Sim::new(&trip(ASKED));
    sim.run(booking);
    let mut state = RunState::fold(&sim.journal[..sim.journal.len() - 3]).unwrap();
    let mut last = sim.journal.last().unwrap().clone();
    last.seq = state.seq() + 1;
    assert!(matches!(&last.event, Event::Run(RunEvent::Failed { .. })));
    let checked = milepost_core::replay::check(&sim.definition, &mut state, &last);
    assert!(checked.is_err(), "one compensation is missing");
}

fn with_finally(top: &str) -> String {
    let last = "[[step]]\nid = \"last\"\nuse = \"p/last\"\nfinally = true\nwith = { status = \"${ run.status }\" }\n";
    format!("{}{last}", trip(top))
}

#[test]
fn what_is_undone_is_undone_before_steps_with_finally_run() {
    let mut sim = Sim::new(&with_finally(ASKED));
    sim.run(booking);
    assert_eq!(
        sim.calls,
        [
            "flight",
            "hotel",
            "pay",
            "hotel!compensate",
            "flight!compensate",
            "last"
        ]
    );
    assert_eq!(
        (sim.status(), sim.stop().compensated),
        (Status::Failed, Some(2))
    );
    // Failed first and compensated later, they do not run again.
    let mut sim = Sim::new(&with_finally(""));
    let script = |attempt: &Attempt| match attempt.path.as_str() {
        "last" => fail("no report"),
        _ => booking(attempt),
    };
    sim.run(script);
    assert_eq!(sim.stop().code(), StopCode::FinallyFailed);
    sim.compensate(false).run(script);
    assert_eq!(sim.calls.iter().filter(|path| *path == "last").count(), 1);
    let stop = sim.stop();
    assert_eq!(
        (stop.code(), stop.compensated),
        (StopCode::FinallyFailed, Some(2))
    );
    assert_eq!(stop.reasons.len(), 1);
    // Cancelled, they run after it, and it is too late for it when they run.
    let mut sim = Sim::new(&with_finally(""));
    sim.run(|attempt| match attempt.path.as_str() {
        "pay" => pause("later"),
        path => ok(json!({ "id": path })),
    });
    sim.cancel_and_undo();
    sim.claim(ClaimCause::Start);
    for _ in 0..2 {
        let attempt = sim.next_attempt().unwrap();
        sim.end(&attempt, booking(&attempt));
    }
    let last = sim.next_attempt().unwrap();
    assert_eq!(
        (last.path.as_str(), &last.input["status"]),
        ("last", &json!("cancelled"))
    );
    let undoing = Undoing {
        cancels: true,
        by: "ann",
    };
    assert_eq!(
        compensate(&sim.state, undoing),
        Err(NotCompensated::TooLate)
    );
    sim.end(&last, booking(&last));
    sim.run(booking);
    assert_eq!(
        (sim.status(), sim.stop().compensated),
        (Status::Cancelled, Some(2))
    );
}

#[test]
fn a_cancellation_of_a_run_that_undoes_after_a_failure_ends_that_but_not_one_that_is_cancelled_so()
{
    for (top, by_person) in [(ASKED, false), ("", true)] {
        let mut sim = Sim::new(&with_finally(top));
        let script = |attempt: &Attempt| match attempt.path.as_str() {
            "hotel!compensate" => fail("closed"),
            "pay" if by_person => pause("later"),
            _ => booking(attempt),
        };
        sim.run(script);
        if by_person {
            sim.cancel_and_undo();
            sim.claim(ClaimCause::Start);
            sim.run(script);
        }
        assert_eq!(sim.stop().code(), StopCode::CompensationFailed);
        sim.cancel();
        if by_person {
            assert_eq!(sim.status(), Status::Paused, "it was cancelled before");
            continue;
        }
        sim.claim(ClaimCause::Start);
        sim.run(script);
        assert_eq!(
            (sim.status(), sim.calls.last().map(String::as_str)),
            (Status::Cancelled, Some("last"))
        );
    }
}

/// The end of a run that somebody cancels while it is compensated says how far that had come.
#[test]
fn a_run_that_ends_before_all_is_undone_says_how_many_were_and_were_not() {
    for demand in [Demand::Cancel, Demand::Kill] {
        let mut sim = Sim::new(&trip(ASKED));
        sim.run(|attempt| match attempt.path.as_str() {
            "flight!compensate" => fail("closed"),
            _ => booking(attempt),
        });
        assert_eq!(sim.status(), Status::Paused, "{demand:?}");
        assert_eq!(sim.stop().code(), StopCode::CompensationFailed);
        sim.end_by(demand);
        assert_eq!(sim.status(), Status::Cancelled, "{demand:?}");
        let stop = sim.stop();
        assert_eq!(
            (stop.compensated, stop.uncompensated),
            (Some(1), Some(1)),
            "{demand:?}"
        );
    }
}

/// Where a person asked for it, a cancellation changes how the run ends, and not what is undone before.
#[test]
fn what_a_person_wants_undone_is_undone_in_a_run_that_is_cancelled() {
    let last = "[[step]]\nid = \"last\"\nuse = \"p/last\"\nfinally = true\n";
    let mut sim = Sim::new(&format!("{}{last}", trip("")));
    let mut closed = true;
    let mut script = |attempt: &Attempt| match attempt.path.as_str() {
        "flight!compensate" if std::mem::take(&mut closed) => fail("closed"),
        _ => booking(attempt),
    };
    sim.run(&mut script);
    sim.compensate(false).run(&mut script);
    assert_eq!(sim.stop().code(), StopCode::CompensationFailed);
    sim.end_by(Demand::Cancel).claim(ClaimCause::Start);
    sim.run(&mut script);
    assert_eq!(sim.stop().code(), StopCode::CompensationFailed);
    sim.resume().run(&mut script);
    let stop = sim.stop();
    assert_eq!(sim.status(), Status::Cancelled);
    assert_eq!((stop.compensated, stop.uncompensated), (Some(2), None));
}

/// Its retries, and its own pauses, too.
#[test]
fn what_a_clock_far_ahead_left_of_a_compensation_moves_back_with_it() {
    let far = std::time::Duration::from_secs(400 * 24 * 3_600);
    let retry = "retry = { max_attempts = 3, initial = \"1h\", max = \"1h\" }";
    let body = format!("{ASKED}{}{}", step("flight", retry), plain("pay"));
    let mut sim = Sim::new(&body);
    let right = sim.now;
    sim.pass(far);
    let mut tried = 0;
    sim.claim(ClaimCause::Start);
    while let Some(attempt) = sim.next_attempt() {
        let outcome = match attempt.path.as_str() {
            "flight!compensate" => {
                tried += 1;
                retryable("busy")
            }
            _ => booking(&attempt),
        };
        sim.end(&attempt, outcome);
        if tried == 1 {
            break;
        }
    }
    let retry_at = |sim: &Sim| match sim.at("flight!compensate").phase() {
        StepPhase::Waiting { retry_at, .. } => *retry_at,
        other => panic!("{other:?}"),
    };
    assert!(retry_at(&sim) > right.after(far));
    sim.now = right;
    let event = correction(&sim.definition, &sim.state, sim.now).unwrap();
    sim.record(event);
    assert!(retry_at(&sim) <= right.after(std::time::Duration::from_secs(2 * 3_600)));
}
