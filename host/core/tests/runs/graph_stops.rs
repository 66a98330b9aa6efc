//! Graphs that stand at several steps, and what people do to them there.

use std::time::Duration;

use milepost_core::outcome::{Outcome, Pause};
use milepost_core::request::approve::{self, NotWaiting};
use milepost_core::request::resume::ResumeBy;
use milepost_core::state::{Status, StepPhase};
use milepost_core::stop::{Automatic, StopCode};
use milepost_core::wait::Verdict;
use serde_json::json;

use super::sim::{Attempt, Sim, fail, ok};

/// Three things to stand at, one call beside them, and a step that needs them all.
const OPEN: &str = r#"
flow = "graph"
[[step]]
id = "go"
wait = { signal = "go", timeout = "2h", on_timeout = "continue" }
[[step]]
id = "gate"
approval = { message = "Now?" }
[[step]]
id = "asks"
use = "p/asks"
[[step]]
id = "beside"
use = "p/beside"
[[step]]
id = "last"
use = "p/last"
needs = ["go", "gate", "asks", "beside"]
"#;

/// `asks` pauses at first, everything else succeeds.
fn pauses_once(attempt: &Attempt) -> Outcome {
    match (attempt.step.as_str(), attempt.attempt) {
        ("asks", 1) => Outcome::Paused(Pause {
            code: "quota".to_owned(),
            reason: "none left".to_owned(),
            provider: None,
            until: None,
            signal: Some("refill".to_owned()),
            state: None,
        }),
        _ => ok(json!(attempt.step)),
    }
}

fn standing(sim: &Sim) -> Vec<(StopCode, String)> {
    let reasons = sim.stop().reasons.into_iter();
    reasons
        .map(|reason| {
            let path = reason.path.as_ref().map(ToString::to_string);
            (reason.code(), path.unwrap_or_default())
        })
        .collect()
}

fn open() -> Sim {
    let mut sim = Sim::new(OPEN);
    sim.run_graph(pauses_once);
    sim
}

#[test]
fn a_run_pauses_when_nothing_moves_and_says_everything_that_it_stands_at() {
    let sim = open();
    let stop = sim.stop();
    assert_eq!(sim.status(), Status::Paused);
    assert_eq!(
        stop.code(),
        StopCode::WaitingForSignal,
        "the first in the file"
    );
    let all = [
        (StopCode::WaitingForSignal, "go"),
        (StopCode::WaitingForApproval, "gate"),
        (StopCode::StepPaused, "asks"),
    ];
    assert_eq!(
        standing(&sim),
        all.map(|(code, path)| (code, path.to_owned()))
    );
    assert_eq!(stop.due_at, Some(sim.now.after(Duration::from_secs(7_200))));
    assert_eq!(sim.settled("beside").result.status(), "completed");
}

#[test]
fn whatever_it_stands_at_can_be_answered_in_any_order() {
    for order in [
        ["go", "gate", "asks"],
        ["gate", "asks", "go"],
        ["asks", "go", "gate"],
    ] {
        // All while it is paused, or each followed by a worker.
        for worked in [false, true] {
            let mut sim = open();
            for step in order {
                match step {
                    "go" => sim.signal("go", json!(1)).unwrap(),
                    "gate" => drop(sim.approve("gate")),
                    _ => sim.signal("refill", json!(2)).unwrap(),
                }
                assert_eq!(sim.stop().code(), StopCode::Ready, "{order:?}");
                if worked {
                    sim.work(ResumeBy::Wait).run_graph(pauses_once);
                }
            }
            if !worked {
                assert_eq!(sim.stop().path.unwrap().to_string(), order[0]);
                assert_eq!(standing(&sim), []);
                sim.work(ResumeBy::Wait).run_graph(pauses_once);
            }
            assert_eq!(sim.status(), Status::Completed, "{order:?} {worked}");
            assert_eq!(sim.output("go")["data"], json!(1));
            assert_eq!(sim.calls, ["asks", "beside", "asks", "last"]);
        }
    }
}

#[test]
fn what_came_leaves_the_other_reasons_in_the_stop() {
    let mut sim = open();
    sim.approve("gate");
    let left = [
        (StopCode::WaitingForSignal, "go"),
        (StopCode::StepPaused, "asks"),
    ];
    let left = left.map(|(code, path)| (code, path.to_owned()));
    assert_eq!(standing(&sim), left);
    sim.work(ResumeBy::Wait).run_graph(pauses_once);
    assert_eq!(standing(&sim), left, "nobody has done anything about them");
    assert_eq!(sim.calls, ["asks", "beside"], "no pause was over");
}

#[test]
fn a_decision_names_its_approval_where_several_wait() {
    let two = "flow = \"graph\"\n[[step]]\nid = \"a\"\napproval = { message = \"A?\" }\n[[step]]\nid = \"b\"\napproval = { message = \"B?\" }\n";
    let mut sim = Sim::new(two);
    sim.run_graph(|_| unreachable!());
    let several = NotWaiting::Several(vec!["a".parse().unwrap(), "b".parse().unwrap()]);
    assert_eq!(
        approve::asking(&sim.state, None, None, false),
        Err(several.clone().into())
    );
    assert_eq!(
        several.to_string(),
        "several approvals wait in it: name one, `a`, `b`"
    );
    sim.approve("b");
    let asked = approve::asking(&sim.state, None, None, false).unwrap();
    assert_eq!(asked.path().to_string(), "a", "the only one that is left");
    sim.reject("a", "no");
    assert_eq!(sim.status(), Status::Cancelled);
}

#[test]
fn time_moves_only_what_is_due() {
    let body = "flow = \"graph\"\n[[step]]\nid = \"wait\"\nwait = { for = \"1h\" }\n[[step]]\nid = \"soon\"\nuse = \"p/soon\"\n[[step]]\nid = \"later\"\nuse = \"p/later\"\n";
    let mut sim = Sim::new(body);
    let begin = sim.now;
    let until = |attempt: &Attempt| {
        let minutes = match (attempt.step.as_str(), attempt.attempt) {
            ("soon", 1) => 10,
            ("later", 1) => 600,
            _ => return ok(json!(attempt.step)),
        };
        Outcome::Paused(Pause {
            code: "busy".to_owned(),
            reason: "come back".to_owned(),
            provider: None,
            until: Some(begin.after(Duration::from_secs(minutes * 60))),
            signal: None,
            state: None,
        })
    };
    sim.run_graph(until);
    assert_eq!(sim.calls, ["soon", "later"]);
    // The headline is the wait; what is due first is a pause, and that counts among automatic resumes.
    assert_eq!(sim.stop().code(), StopCode::WaitingForTime);
    sim.pass_to_due().work(ResumeBy::Wait).run_graph(until);
    assert_eq!(sim.calls, ["soon", "later", "soon"]);
    assert_eq!(sim.now, begin.after(Duration::from_secs(600)));
    assert!(matches!(
        sim.step("later").phase(),
        StepPhase::Paused { .. }
    ));
    // Then the wait, which is no automatic resume of anything.
    sim.pass_to_due().work(ResumeBy::Wait).run_graph(until);
    assert_eq!(
        sim.output("wait")["until"],
        json!(begin.after(Duration::from_secs(3_600)))
    );
    assert_eq!(sim.calls.len(), 3);
    assert_eq!(
        sim.stop().code(),
        StopCode::StepPaused,
        "the only one that is left"
    );
    sim.pass_to_due().work(ResumeBy::Schedule).run_graph(until);
    assert_eq!(sim.status(), Status::Completed);
}

#[test]
fn pauses_behind_a_wait_are_resumed_a_bounded_number_of_times() {
    let body = "flow = \"graph\"\n[[step]]\nid = \"go\"\nwait = { signal = \"go\" }\n[[step]]\nid = \"busy\"\nuse = \"p/busy\"\nretry = { max_attempts = 1 }\n";
    let mut sim = Sim::new(body);
    let busy = |_: &Attempt| super::sim::retryable("busy");
    sim.run_graph(busy);
    let mut resumes = 0;
    while sim.stop().due_at.is_some() {
        sim.pass_to_due().work(ResumeBy::Wait).run_graph(busy);
        resumes += 1;
        assert!(resumes <= 5, "no end");
    }
    assert_eq!(resumes, 5);
    assert_eq!(sim.stop().code(), StopCode::WaitingForSignal);
    let used_up = sim
        .stop()
        .reasons
        .into_iter()
        .find_map(|reason| match reason.why {
            milepost_core::stop::Why::RetriesExhausted(pausing) => pausing.automatic,
            _ => None,
        });
    assert_eq!(used_up, Some(Automatic::UsedUp { of: 5 }));
}

const DIAMOND: &str = r#"
flow = "graph"
[[step]]
id = "a"
use = "p/a"
[[step]]
id = "b"
use = "p/b"
needs = ["a"]
[[step]]
id = "c"
use = "p/c"
needs = ["a"]
[[step]]
id = "d"
use = "p/d"
needs = ["b", "c"]
[[step]]
id = "always"
use = "p/always"
needs = ["b"]
join = "all_done"
[[step]]
id = "other"
use = "p/other"
"#;

#[test]
fn a_resume_runs_what_failed_again_and_all_that_needs_it() {
    let mut sim = Sim::new(DIAMOND);
    sim.run_graph(|attempt| match attempt.step.as_str() {
        "b" => fail("red"),
        _ => ok(json!(attempt.step)),
    });
    assert_eq!(sim.status(), Status::Failed);
    assert_eq!(sim.failures(), [("b".to_owned(), "red".to_owned())]);
    assert_eq!(sim.settled("d").result.status(), "skipped");
    sim.calls.clear();
    sim.resume().run_graph(|attempt| ok(json!(attempt.step)));
    assert_eq!(sim.status(), Status::Completed);
    assert_eq!(sim.calls, ["b", "d", "always"]);
}

#[test]
fn a_retry_from_a_step_runs_it_again_and_all_that_needs_it() {
    for (from, again) in [
        ("a", vec!["a", "b", "c", "d", "always"]),
        ("c", vec!["c", "d"]),
        ("other", vec!["other"]),
    ] {
        let mut sim = Sim::new(DIAMOND);
        // It fails at its end, so that there is something to retry.
        sim.run_graph(|attempt| match attempt.step.as_str() {
            "d" => fail("red"),
            _ => ok(json!(attempt.step)),
        });
        sim.calls.clear();
        sim.retry(Some(from))
            .run_graph(|attempt| ok(json!(attempt.step)));
        assert_eq!(sim.status(), Status::Completed, "{from}");
        let mut calls = sim.calls.clone();
        calls.sort();
        let mut expected: Vec<_> = again.into_iter().map(str::to_owned).collect();
        if !expected.contains(&"d".to_owned()) {
            expected.push("d".to_owned());
        }
        expected.sort();
        assert_eq!(calls, expected, "{from}");
    }
}

#[test]
fn a_resume_while_something_waits_runs_failed_steps_again_and_leaves_the_wait_open() {
    let body = format!("{DIAMOND}[[step]]\nid = \"gate\"\napproval = {{ message = \"Go?\" }}\n");
    let mut sim = Sim::new(&body);
    sim.run_graph(|attempt| match attempt.step.as_str() {
        "c" => fail("red"),
        _ => ok(json!(attempt.step)),
    });
    assert_eq!(sim.stop().code(), StopCode::WaitingForApproval);
    sim.calls.clear();
    sim.resume().run_graph(|attempt| ok(json!(attempt.step)));
    assert_eq!(sim.calls, ["c", "d"]);
    assert_eq!(sim.step("gate").attempts(), 1, "it was not asked again");
    sim.approve("gate")
        .work(ResumeBy::Wait)
        .run_graph(|_| unreachable!());
    assert_eq!(sim.status(), Status::Completed);
}

#[test]
fn a_rejection_goes_over_the_work_that_leads_to_it_and_over_nothing_else() {
    let body = r#"
flow = "graph"
[[step]]
id = "draft"
use = "p/draft"
[[step]]
id = "words"
use = "p/words"
needs = ["draft"]
[[step]]
id = "picture"
use = "p/picture"
[[step]]
id = "gate"
needs = ["words", "picture"]
approval = { message = "Good?", rework = { from = "draft", max_attempts = 2 } }
[[step]]
id = "publish"
use = "p/publish"
needs = ["gate"]
"#;
    let mut sim = Sim::new(body);
    let good = |attempt: &Attempt| ok(json!(attempt.step));
    sim.run_graph(good);
    assert_eq!(sim.calls, ["draft", "picture", "words"]);
    sim.reject("gate", "too long")
        .work(ResumeBy::Wait)
        .run_graph(good);
    assert_eq!(sim.calls[3..], ["draft", "words"]);
    assert_eq!(sim.stop().code(), StopCode::WaitingForApproval);
    sim.decide("gate", Verdict::Approved, "").unwrap();
    sim.work(ResumeBy::Wait).run_graph(good);
    assert_eq!(sim.calls[5..], ["publish"]);
    assert_eq!(sim.status(), Status::Completed);
}

#[test]
fn a_changed_graph_runs_again_what_needs_a_step_that_does_something_else_now() {
    let mut sim = Sim::new(DIAMOND);
    sim.run_graph(|attempt| match attempt.step.as_str() {
        "other" => fail("red"),
        _ => ok(json!(attempt.step)),
    });
    assert_eq!(sim.status(), Status::Failed);
    sim.calls.clear();
    sim.change(&DIAMOND.replace(
        "id = \"c\"\nuse = \"p/c\"",
        "id = \"c\"\nwait = { for = \"1s\" }",
    ));
    sim.resume().run_graph(|attempt| ok(json!(attempt.step)));
    assert_eq!(sim.calls, ["other", "d"]);
    assert_eq!(sim.status(), Status::Completed);
}

/// With `on_failure = "stop"` nothing starts after a failure; what has begun is still answered, and nothing comes of it.
#[test]
fn what_has_begun_goes_to_its_end_after_a_failure_that_stops_the_rest() {
    let flow = r#"
flow = "graph"
on_failure = "stop"
[[step]]
id = "gate"
approval = { message = "Now?" }
[[step]]
id = "bad"
use = "p/bad"
[[step]]
id = "after"
use = "p/after"
needs = ["gate"]
join = "all_done"
"#;
    let mut sim = Sim::new(flow);
    sim.run_graph(|_| fail("broken"));
    assert_eq!(sim.status(), Status::Paused);
    assert_eq!(sim.stop().code(), StopCode::WaitingForApproval);
    sim.approve("gate");
    sim.work(ResumeBy::Wait).run_graph(|_| fail("broken"));
    assert_eq!(sim.status(), Status::Failed);
    assert_eq!(sim.calls, ["bad"]);
}
