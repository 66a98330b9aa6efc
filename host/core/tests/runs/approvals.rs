//! Steps that ask a person: what is asked, who may answer when, and what an answer does.

use std::time::Duration;

use milepost_core::decide::{Decision, decide};
use milepost_core::event::{Event, StepEvent, WaitEvent};
use milepost_core::limits;
use milepost_core::outcome::{Outcome, codes};
use milepost_core::request::approve::{self, Answer, Approving, NotDecided, NotWaiting, rework};
use milepost_core::request::resume::ResumeBy;
use milepost_core::state::{Rejected, Status};
use milepost_core::stop::{Stop, StopCode, Why};
use milepost_core::time::Timestamp;
use milepost_core::wait::Verdict;
use serde_json::{Value, json};

use crate::sim::{Attempt, Sim, fail, ok};

/// A draft, an approval of it with these settings, and what comes after.
fn flow(settings: &str) -> String {
    format!(
        r#"
[[step]]
id = "draft"
use = "p/draft"
with = {{ why = "${{ steps.gate.?output.comment.orValue('none') }}" }}
[[step]]
id = "note"
use = "p/note"
[[step]]
id = "shape"
use = "p/shape"
with = {{ text = "${{ steps.draft.output.text }}" }}
[[step]]
id = "gate"
approval = {{ message = "Publish ${{ steps.shape.output.text }}?", rework = {{ from = "draft"{settings} }} }}
[[step]]
id = "publish"
use = "p/publish"
"#
    )
}

fn plain(settings: &str) -> String {
    format!(
        "[[step]]\nid = \"a\"\nuse = \"p/a\"\n[[step]]\nid = \"gate\"\napproval = {{ message = \"Go?\"{settings} }}\n\
         [[step]]\nid = \"z\"\nif = \"steps.gate.output.decision == 'approved'\"\nuse = \"p/z\"\n"
    )
}

fn fine(attempt: &Attempt) -> Outcome {
    ok(json!({ "text": format!("{} {}", attempt.step, attempt.attempt) }))
}

/// A run that stands at its approval.
fn asked(body: &str) -> Sim {
    let mut sim = Sim::new(body);
    sim.run(fine);
    assert_eq!(sim.stop().code(), StopCode::WaitingForApproval);
    sim
}

#[test]
fn b300_b310_an_approval_pauses_the_run_and_asks_with_what_earlier_steps_gave() {
    let sim = asked(&flow(""));
    assert_eq!(sim.status(), Status::Paused);
    let stop = sim.stop();
    assert_eq!(stop.path.as_ref().unwrap().to_string(), "gate");
    assert_eq!(sim.question(), "Publish shape 1?");
    assert_eq!(stop.due_at, None);
    let open: Vec<_> = sim
        .state
        .approvals()
        .next()
        .into_iter()
        .map(|(path, message)| (path.to_string(), message))
        .collect();
    assert_eq!(open, [("gate".to_owned(), "Publish shape 1?")]);
    assert_eq!(
        sim.calls,
        ["draft", "note", "shape"],
        "nothing after it runs"
    );
}

#[test]
fn a_message_that_is_no_text_is_shown_as_json() {
    let body = plain("").replace("\"Go?\"", "\"${ steps.a.output }\"");
    let sim = asked(&body);
    assert_eq!(sim.question(), "{\"text\":\"a 1\"}");
}

#[test]
fn a_message_that_cannot_be_made_fails_the_step() {
    let mut sim = Sim::new(&plain("").replace("Go?", "${ steps.a.output.gone }"));
    sim.run(fine);
    assert_eq!(sim.status(), Status::Failed);
    assert_eq!(sim.error("gate").code, codes::MISSING_VALUE);
    assert_eq!(sim.calls, ["a"]);
}

#[test]
fn b301_b309_an_approved_run_stays_paused_until_it_is_resumed_behind_the_gate() {
    let mut sim = asked(&plain(""));
    sim.approve("gate");
    assert_eq!(sim.status(), Status::Paused);
    assert_eq!(
        (sim.stop().code(), sim.stop().due_at),
        (StopCode::Ready, Some(sim.now))
    );
    assert_eq!(sim.step("gate").status(), "completed");
    assert_eq!(sim.state.approvals().next(), None);
    sim.work(ResumeBy::Wait).run(fine);
    assert_eq!(sim.status(), Status::Completed);
    assert_eq!(sim.calls, ["a", "z"]);
}

#[test]
fn b302_b303_the_first_decision_wins_and_the_second_writes_nothing() {
    for first in [Verdict::Approved, Verdict::Rejected] {
        for second in [Verdict::Approved, Verdict::Rejected] {
            for body in [plain(""), flow("")] {
                let mut sim = asked(&body);
                sim.decide("gate", first, "").unwrap();
                let events = sim.journal.len();
                let refused = sim.decide("gate", second, "").unwrap_err();
                let NotDecided::Before(earlier) = refused else {
                    panic!("{refused:?}");
                };
                assert_eq!(
                    (earlier.decision, earlier.by.as_deref()),
                    (first, Some("ann"))
                );
                assert_eq!(earlier.says(second, None), first == second);
                assert!(!earlier.says(first, Some("why")), "that is not recorded");
                assert_eq!(sim.journal.len(), events);
            }
        }
    }
}

#[test]
fn b305_only_an_approval_that_asks_can_be_decided() {
    let refused =
        |sim: &mut Sim, path: &str| match sim.decide(path, Verdict::Approved, "").unwrap_err() {
            NotDecided::NotWaiting(reason) => reason,
            NotDecided::Before(earlier) => panic!("{earlier}"),
        };
    let not_there = |path: &str| NotWaiting::NotThere(path.to_owned());
    let mut sim = Sim::new(&plain(""));
    let attempt = sim.next_attempt().unwrap();
    assert_eq!(refused(&mut sim, "gate"), not_there("gate"));
    sim.end(&attempt, ok(json!({})));
    sim.move_once();
    assert!(
        sim.state.approvals().next().is_some(),
        "asked, but still running"
    );
    sim.run(fine);
    let elsewhere = NotWaiting::Elsewhere {
        named: "z".to_owned(),
        open: vec!["gate".parse().unwrap()],
    };
    assert_eq!(refused(&mut sim, "z"), elsewhere);
    let asked = approve::asking(&sim.state, None, None, true);
    assert_eq!(asked, Err(NotWaiting::Ends.into()));
    sim.approve("gate").work(ResumeBy::Wait);
    let late = sim.decide("gate", Verdict::Rejected, "").unwrap_err();
    assert!(matches!(late, NotDecided::Before(_)), "{late:?}");
}

#[test]
fn b305_no_decision_is_recorded_of_what_does_not_ask() {
    let approved = |path: &str| {
        WaitEvent::ApprovalDecided {
            decision: Verdict::Approved,
            comment: None,
            by: None,
            rework: Vec::new(),
        }
        .at(path.parse().unwrap())
    };
    let mut sim = Sim::new(&plain(""));
    let early = sim.try_record(approved("gate"));
    assert!(
        matches!(
            early,
            Err(Rejected::Step { .. } | Rejected::NotRunning { .. })
        ),
        "{early:?}"
    );
    sim.run(fine);
    for wrong in ["z", "a"] {
        let wrong = sim.try_record(approved(wrong));
        assert!(matches!(wrong, Err(Rejected::Step { .. })), "{wrong:?}");
    }
    sim.approve("gate").work(ResumeBy::Wait);
    let late = sim.try_record(approved("gate"));
    assert!(matches!(late, Err(Rejected::Step { .. })), "{late:?}");
}

#[test]
fn b306_a_rejected_run_is_cancelled_from_where_it_stands() {
    let mut sim = asked(&plain(""));
    sim.pass(Duration::from_secs(60)).reject("gate", "no");
    assert_eq!(sim.status(), Status::Cancelled);
    assert_eq!(sim.state.updated_at(), sim.now);
    assert_eq!(sim.output("gate")["decision"], "rejected");
    assert_eq!(
        decide(&sim.definition, &sim.state, sim.now),
        Decision::Still
    );
    assert_eq!(sim.calls, ["a"]);
}

#[test]
fn a_rejection_may_let_the_run_go_on() {
    let mut sim = asked(&plain(", on_reject = \"continue\""));
    sim.reject("gate", "not now").work(ResumeBy::Wait).run(fine);
    assert_eq!(sim.status(), Status::Completed);
    assert_eq!(sim.calls, ["a"], "the condition of `z` read the decision");
    assert_eq!(
        sim.output("gate"),
        json!({ "decision": "rejected", "comment": "not now", "by": "ann", "timed_out": false })
    );
}

#[test]
fn b307_a_rejection_with_rework_runs_again_what_depends_on_it_and_asks_again() {
    let mut sim = asked(&flow(""));
    let mut reasons = Vec::new();
    let mut script = |attempt: &Attempt| {
        if attempt.step == "draft" {
            reasons.push(attempt.input["why"].clone());
        }
        fine(attempt)
    };
    for (round, reason) in ["too long", "too dull"].into_iter().enumerate() {
        sim.reject("gate", reason);
        assert_eq!(sim.stop().code(), StopCode::Ready);
        assert_eq!(
            sim.step("gate").attempts() as usize,
            round + 1,
            "rejections"
        );
        sim.work(ResumeBy::Wait).run(&mut script);
        assert_eq!(sim.stop().code(), StopCode::WaitingForApproval);
        assert_eq!(sim.question(), format!("Publish shape {}?", round + 2));
    }
    assert_eq!(
        sim.calls,
        ["draft", "note", "shape", "draft", "shape", "draft", "shape"],
        "`note` reads nothing of it"
    );
    sim.approve("gate").work(ResumeBy::Wait).run(&mut script);
    assert_eq!(sim.status(), Status::Completed);
    assert_eq!(reasons, ["too long", "too dull"]);
    assert_eq!(sim.output("gate")["decision"], "approved");
}

// The engine counts the rejections and cancels the run after the last: what it counts is the record.
#[test]
fn b307_the_count_of_rejections_is_recorded_and_the_last_one_ends_the_run() {
    let mut sim = asked(&flow(", max_attempts = 2"));
    assert_eq!(sim.step("gate").attempts(), 1);
    sim.reject("gate", "once").work(ResumeBy::Wait).run(fine);
    assert_eq!(sim.step("gate").attempts(), 2);
    sim.reject("gate", "twice");
    assert_eq!(sim.status(), Status::Cancelled);
    assert_eq!(
        sim.output("gate"),
        json!({ "decision": "rejected", "comment": "twice", "by": "ann", "timed_out": false })
    );
}

#[test]
fn b307_what_is_gone_over_is_what_reads_the_work_or_the_verdict() {
    let again = |body: &str, from: &str| {
        let definition = crate::sim::definition(body);
        let gate = "gate".parse().unwrap();
        rework(&definition, &gate, &from.parse().unwrap())
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(again(&flow(""), "draft"), ["draft", "shape"]);
    let body = r#"
        [[step]]
        id = "early"
        use = "p/x"
        [[step]]
        id = "from"
        use = "p/x"
        [[step]]
        id = "l"
        loop = { until = "true" }
        [[step]]
        id = "m"
        in = "l"
        use = "p/x"
        with = { v = "${ steps.from.output }" }
        [[step]]
        id = "n"
        in = "l"
        use = "p/x"
        [[step]]
        id = "apart"
        loop = { until = "true" }
        [[step]]
        id = "o"
        in = "apart"
        use = "p/x"
        with = { v = "${ steps.early.output }" }
        [[step]]
        id = "reads_gate"
        use = "p/x"
        if = "!has(steps.gate.output)"
        [[step]]
        id = "reads_reader"
        use = "p/x"
        if = "steps.reads_gate.status == 'skipped'"
        [[step]]
        id = "pause"
        wait = { for = "1h" }
        [[step]]
        id = "gate"
        approval = { message = "?", rework = { from = "from" } }
        [[step]]
        id = "after"
        use = "p/x"
        with = { v = "${ steps.from.output }" }
    "#;
    assert_eq!(
        again(body, "from"),
        ["from", "l", "m", "n", "reads_gate", "reads_reader"]
    );
}

#[test]
fn b307_a_gate_in_a_loop_goes_over_its_own_pass() {
    let mut sim = Sim::new(
        r#"
        [[step]]
        id = "l"
        loop = { until = "loop.iteration == 2", max_iterations = 2 }
        [[step]]
        id = "draft"
        in = "l"
        use = "p/draft"
        with = { why = "${ steps.gate.?output.comment.orValue('none') }" }
        [[step]]
        id = "gate"
        in = "l"
        approval = { message = "pass ${ loop.iteration }: ${ steps.draft.output.text }", rework = { from = "draft" } }
        "#,
    );
    let mut seen = Vec::new();
    let mut script = |attempt: &Attempt| {
        seen.push((attempt.path.clone(), attempt.input["why"].clone()));
        fine(attempt)
    };
    sim.run(&mut script);
    sim.reject("l#1/gate", "dull")
        .work(ResumeBy::Wait)
        .run(&mut script);
    assert_eq!(sim.question(), "pass 1: draft 2");
    sim.approve("l#1/gate")
        .work(ResumeBy::Wait)
        .run(&mut script);
    assert_eq!(sim.question(), "pass 2: draft 1");
    sim.reject("l#2/gate", "short")
        .work(ResumeBy::Wait)
        .run(&mut script);
    sim.approve("l#2/gate")
        .work(ResumeBy::Wait)
        .run(&mut script);
    assert_eq!(sim.status(), Status::Completed);
    let seen: Vec<(&str, &Value)> = seen
        .iter()
        .map(|(path, why)| (path.as_str(), why))
        .collect();
    // In the second pass `draft` sees the first pass's decision, which had no comment.
    assert_eq!(
        seen,
        [
            ("l#1/draft", &json!("none")),
            ("l#1/draft", &json!("dull")),
            ("l#2/draft", &json!("")),
            ("l#2/draft", &json!("short")),
        ]
    );
}

#[test]
fn b307_a_rework_that_fails_or_dies_goes_on_to_the_same_gate() {
    let mut sim = asked(&flow(""));
    sim.reject("gate", "again").work(ResumeBy::Wait);
    let lost = sim.next_attempt().unwrap();
    assert_eq!(lost.input["why"], "again");
    sim.crash();
    sim.run(|attempt| match attempt.step.as_str() {
        "shape" => fail("broken"),
        _ => fine(attempt),
    });
    assert_eq!(sim.status(), Status::Failed);
    sim.resume().run(fine);
    assert_eq!(sim.stop().code(), StopCode::WaitingForApproval);
    assert_eq!(sim.step("gate").attempts(), 2);
}

// What an earlier step read of the gate is past: only a rejection makes it run again.
#[test]
fn b124_a_gate_that_fails_does_not_make_the_work_run_again() {
    let broken = flow("").replace("output.text }?", "output.gone }?");
    let mut sim = Sim::new(&broken);
    sim.run(fine);
    assert_eq!(sim.status(), Status::Failed);
    sim.change(&flow(""));
    sim.resume().run(fine);
    assert_eq!(sim.stop().code(), StopCode::WaitingForApproval);
    assert_eq!(sim.calls, ["draft", "note", "shape"]);
    sim.retry(Some("gate")).run(fine);
    assert_eq!(sim.calls, ["draft", "note", "shape"]);
    sim.retry(Some("draft")).run(fine);
    assert_eq!(sim.calls, ["draft", "note", "shape", "draft", "shape"]);
    assert_eq!(sim.question(), "Publish shape 2?");
}

#[test]
fn an_approval_behind_the_work_reads_as_pending_and_a_rejected_one_as_completed() {
    let mut sim = asked(
        r#"
        [[step]]
        id = "draft"
        use = "p/draft"
        with = { gate = "${ steps.gate.status }" }
        [[step]]
        id = "gate"
        approval = { message = "?", rework = { from = "draft" } }
        "#,
    );
    let mut seen = Vec::new();
    let mut script = |attempt: &Attempt| {
        seen.push(attempt.input["gate"].clone());
        fine(attempt)
    };
    sim.retry(Some("draft")).run(&mut script);
    sim.reject("gate", "").work(ResumeBy::Wait).run(&mut script);
    sim.retry(Some("draft")).run(&mut script);
    // Work that a person asked for again is not asked about before it is done.
    assert_eq!(seen, ["pending", "completed", "completed"]);
}

#[test]
fn b308_the_comment_is_in_the_output_and_empty_without_one() {
    for comment in ["", "well done"] {
        let mut sim = asked(&plain(""));
        sim.decide("gate", Verdict::Approved, comment).unwrap();
        assert_eq!(
            sim.output("gate"),
            json!({ "decision": "approved", "comment": comment, "by": "ann", "timed_out": false })
        );
    }
}

#[test]
fn b313_a_signal_is_no_approval() {
    let mut sim = asked(&plain(""));
    for name in ["gate", "approve", "approved"] {
        assert_eq!(sim.state.awaits(name), None);
        let refused = sim.try_record(Event::Step {
            path: "gate".parse().unwrap(),
            event: StepEvent::Wait(WaitEvent::SignalReceived {
                signal: name.to_owned(),
                data: json!("yes").into(),
                sent_at: sim.now,
            }),
        });
        assert!(matches!(refused, Err(Rejected::Step { .. })));
    }
    sim.resume().run(fine);
    assert_eq!(
        sim.stop().code(),
        StopCode::WaitingForApproval,
        "nor is a resume"
    );
    assert_eq!(sim.calls, ["a"]);
}

#[test]
fn b315_an_approval_without_timeout_waits_for_ever() {
    let mut sim = asked(&plain(""));
    sim.pass(Duration::from_secs(10 * 365 * 86_400))
        .resume()
        .run(fine);
    assert_eq!(sim.stop().code(), StopCode::WaitingForApproval);
}

#[test]
fn b315_nobody_decides_in_time() {
    let timed = |rest: &str| {
        let mut sim = asked(&plain(&format!(", timeout = \"24h\"{rest}")));
        let due = sim.now.after(Duration::from_secs(86_400));
        if !rest.contains("stay") {
            assert_eq!(sim.stop().due_at, Some(due), "{rest}");
        }
        // Not a moment before.
        sim.now = Timestamp::from_nanos(due.as_nanos() - 1);
        sim.work(ResumeBy::Wait).run(fine);
        assert_eq!(sim.stop().code(), StopCode::WaitingForApproval, "{rest}");
        sim.now = due;
        sim.work(ResumeBy::Wait).run(fine);
        sim
    };
    let output = |decision: &str| json!({ "decision": decision, "comment": "", "by": null, "timed_out": true });
    for rest in ["", ", on_timeout = \"reject\""] {
        let sim = timed(rest);
        assert_eq!(sim.status(), Status::Cancelled);
        assert_eq!(sim.stop().code(), StopCode::ApprovalTimedOut);
        assert_eq!(sim.calls, ["a"]);
    }
    let sim = timed(", on_reject = \"continue\"");
    assert_eq!(sim.status(), Status::Completed);
    assert_eq!(sim.output("gate"), output("rejected"));
    assert_eq!(sim.calls, ["a"]);
    let sim = timed(", on_timeout = \"approve\"");
    assert_eq!(sim.status(), Status::Completed);
    assert_eq!(sim.output("gate"), output("approved"));
    assert_eq!(sim.calls, ["a", "z"]);
    let mut sim = timed(", on_timeout = \"stay\"");
    assert_eq!(
        (sim.stop().code(), sim.stop().due_at),
        (StopCode::WaitingForApproval, None)
    );
    let overdue = |stop: &Stop| matches!(stop.why, Why::WaitingForApproval { overdue: true, .. });
    assert!(overdue(&sim.stop()), "{:?}", sim.stop());
    sim.approve("gate").work(ResumeBy::Wait).run(fine);
    assert_eq!(sim.status(), Status::Completed);
    assert_eq!(sim.output("gate")["timed_out"], false);
}

#[test]
fn b315_a_timeout_rejects_without_rework() {
    let body = flow("").replace("approval = { ", "approval = { timeout = \"1h\", ");
    let mut sim = asked(&body);
    sim.pass_to_due().work(ResumeBy::Wait).run(fine);
    assert_eq!(sim.status(), Status::Cancelled);
    assert_eq!(sim.calls, ["draft", "note", "shape"]);
}

#[test]
fn b315_a_decision_that_comes_too_late_finds_what_the_timeout_left() {
    for (settings, word) in [
        ("", "run_cancelled"),
        (", on_reject = \"continue\"", "wait_ended"),
        (", on_timeout = \"approve\"", "wait_ended"),
    ] {
        let mut sim = asked(&plain(&format!(", timeout = \"1h\"{settings}")));
        let due = sim.stop().due_at.unwrap();
        sim.now = Timestamp::from_nanos(due.as_nanos() - 1);
        assert_eq!(sim.overdue(), None);
        sim.now = due;
        let event = sim.overdue().unwrap();
        assert_eq!(event.name(), word, "{settings}");
        sim.record(event);
        assert_eq!(sim.overdue(), None);
        assert_eq!(sim.state.approvals().next(), None);
        match sim.decide("gate", Verdict::Approved, "").unwrap_err() {
            NotDecided::Before(earlier) => assert!(earlier.timed_out, "{earlier}"),
            other @ NotDecided::NotWaiting(_) => panic!("{other:?}"),
        }
        if sim.status() == Status::Paused {
            assert_eq!(sim.stop().code(), StopCode::Ready);
            sim.work(ResumeBy::Wait).run(fine);
            assert_eq!(sim.output("gate")["timed_out"], true);
            assert_eq!(sim.status(), Status::Completed);
        }
    }
    let mut sim = asked(&plain(", timeout = \"1h\", on_timeout = \"stay\""));
    sim.pass(Duration::from_secs(7_200));
    assert_eq!(sim.overdue(), None, "it asks on");
}

// Journals of a time when a late decision was taken still fold and replay.
#[test]
fn a_late_decision_that_was_recorded_once_is_read_back() {
    let mut sim = asked(&plain(", timeout = \"1h\""));
    sim.pass_to_due();
    sim.record(
        WaitEvent::ApprovalDecided {
            decision: Verdict::Approved,
            comment: None,
            by: None,
            rework: Vec::new(),
        }
        .at("gate".parse().unwrap()),
    );
    sim.work(ResumeBy::Wait).run(fine);
    assert_eq!(sim.status(), Status::Completed);
    assert_eq!(sim.output("gate")["timed_out"], false);
}

/// What a rejection of the approval would record now.
fn rejection(sim: &Sim) -> (Vec<&'static str>, Option<u32>) {
    let asking = approve::asking(&sim.state, Some("gate"), None, false).unwrap();
    let no = Answer {
        verdict: Verdict::Rejected,
        comment: Some("no"),
        by: None,
    };
    match approve::approve(&sim.definition, &sim.state, &asking, no, sim.now).unwrap() {
        Approving::Decided {
            events,
            rework_left,
        } => (events.iter().map(Event::name).collect(), rework_left),
        Approving::TooLate(event) => panic!("{event:?}"),
    }
}

#[test]
fn b307_rejections_are_counted_and_nothing_else() {
    let mut sim = asked(&flow(", max_attempts = 2"));
    for _ in 0..3 {
        sim.retry(Some("draft")).run(fine);
        sim.retry(Some("gate")).run(fine);
    }
    assert_eq!(sim.step("gate").attempts(), 7);
    assert_eq!(sim.step("gate").rejections(), Some(0));
    assert_eq!(rejection(&sim), (vec!["approval_decided"], Some(1)));
    sim.reject("gate", "once").work(ResumeBy::Wait).run(fine);
    sim.retry(Some("draft")).run(fine);
    assert_eq!(
        sim.step("gate").rejections(),
        Some(1),
        "a retry forgets none"
    );
    assert_eq!(
        rejection(&sim),
        (vec!["approval_decided", "run_cancelled"], Some(0))
    );
}

#[test]
fn a_question_that_is_too_long_is_cut_and_says_so() {
    let body = plain("").replace("Go?", "${ steps.a.output.text }");
    let mut sim = Sim::new(&body);
    sim.run(|_| ok(json!({ "text": "ä".repeat(limits::NOTE_BYTES) })));
    let (_, message) = sim.state.approvals().next().unwrap();
    assert!(message.len() <= limits::NOTE_BYTES, "{}", message.len());
    assert!(message.ends_with(" more bytes)"), "{message}");
}

const GATES: &str = r#"
[[step]]
id = "z1"
approval = { message = "one?" }
[[step]]
id = "a2"
approval = { message = "two?" }
[[step]]
id = "l"
loop = { until = "true" }
[[step]]
id = "m"
in = "l"
use = "p/m"
[[step]]
id = "g3"
in = "l"
approval = { message = "three?" }
"#;

#[test]
fn gates_behind_the_step_that_runs_again_ask_anew_when_their_turn_comes() {
    let stands = |sim: &Sim| {
        sim.state
            .approvals()
            .next()
            .map(|(path, _)| path.to_string())
    };
    let mut sim = Sim::new(GATES);
    sim.run(fine);
    sim.approve("z1").work(ResumeBy::Wait).run(fine);
    sim.retry(Some("z1")).run(fine);
    assert_eq!(stands(&sim).as_deref(), Some("z1"));
    assert_eq!(
        sim.step("a2").status(),
        "pending",
        "it does not ask any more"
    );
    let early = sim.decide("a2", Verdict::Rejected, "").unwrap_err();
    let elsewhere = NotWaiting::Elsewhere {
        named: "a2".to_owned(),
        open: vec!["z1".parse().unwrap()],
    };
    assert_eq!(early, elsewhere.into());
    sim.approve("z1").work(ResumeBy::Wait).run(fine);
    assert_eq!(stands(&sim).as_deref(), Some("a2"));
    sim.approve("a2").work(ResumeBy::Wait).run(fine);
    assert_eq!(stands(&sim).as_deref(), Some("l#1/g3"));
    // From within the loop, and from before it.
    sim.retry(Some("m")).run(fine);
    assert_eq!(stands(&sim).as_deref(), Some("l#1/g3"));
    sim.retry(Some("a2")).run(fine);
    assert_eq!(stands(&sim).as_deref(), Some("a2"));
    assert_eq!(sim.step("g3").status(), "pending");
    sim.approve("a2").work(ResumeBy::Wait).run(fine);
    sim.approve("l#1/g3").work(ResumeBy::Wait).run(fine);
    assert_eq!(sim.status(), Status::Completed);
    assert_eq!(sim.calls, ["l#1/m", "l#1/m"]);
}

#[test]
fn a_gate_that_a_new_definition_puts_first_is_asked_first() {
    let mut sim = Sim::new(GATES);
    sim.run(fine);
    sim.change(&format!(
        "[[step]]\nid = \"zero\"\napproval = {{ message = \"zero?\" }}\n{GATES}"
    ));
    sim.resume().run(fine);
    let stands = sim
        .state
        .approvals()
        .next()
        .map(|(path, _)| path.to_string());
    assert_eq!(stands.as_deref(), Some("zero"));
    assert_eq!(sim.step("z1").status(), "pending");
}

#[test]
fn every_asking_has_the_whole_time() {
    let body = flow("").replace("approval = { ", "approval = { timeout = \"1h\", ");
    let mut sim = asked(&body);
    sim.pass(Duration::from_secs(3_000)).reject("gate", "no");
    sim.work(ResumeBy::Wait).run(fine);
    assert_eq!(
        sim.stop().due_at,
        Some(sim.now.after(Duration::from_secs(3_600)))
    );
}
