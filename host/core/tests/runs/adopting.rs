//! A run goes on under another definition: what is dropped, what runs again for it, and what a lower limit leaves behind.

use milepost_core::event::{DefinitionChanged, Event, RunEvent};
use milepost_core::ids::StepId;
use milepost_core::request::resume::ResumeBy;
use milepost_core::state::Status;
use milepost_core::stop::StopCode;
use serde_json::json;

use crate::sim::{Attempt, Sim, ok, pause, retryable};

fn fine(_: &Attempt) -> milepost_core::outcome::Outcome {
    ok(json!({}))
}

/// `inner` turns inside `outer`; `w` is its last member.
fn nested(outer: u32, inner: u32, on_exhausted: &str, w: &str) -> String {
    format!(
        r#"
        [[step]]
        id = "outer"
        loop = {{ until = "loop.iteration >= 2", max_iterations = {outer} }}
        continue_on_error = true
        [[step]]
        id = "inner"
        in = "outer"
        loop = {{ until = "false", max_iterations = {inner}, on_exhausted = "{on_exhausted}" }}
        [[step]]
        id = "c"
        in = "inner"
        use = "p/c"
        [[step]]
        id = "w"
        in = "inner"
        {w}
        [[step]]
        id = "after"
        use = "p/after"
        "#
    )
}

const MEMBERS: [&str; 4] = [
    "wait = { signal = \"go\" }",
    "approval = { message = \"?\" }",
    "use = \"p/w\"",
    "loop = { until = \"true\" }\n[[step]]\nid = \"deep\"\nin = \"w\"\nwait = { signal = \"go\" }",
];

/// A run that stands in pass 2 of `inner`, at a member that has begun.
fn open_in_pass_2(member: &str) -> Sim {
    let mut sim = Sim::new(&nested(3, 5, "continue", member));
    sim.run(|attempt| match attempt.path.as_str() {
        "outer#1/inner#2/w" => pause("quota"),
        _ => ok(json!({})),
    });
    match sim.stop().code() {
        StopCode::WaitingForSignal => {
            sim.signal("go", json!(null)).unwrap();
            sim.work(ResumeBy::Wait).run(fine);
        }
        StopCode::WaitingForApproval => {
            sim.approve("outer#1/inner#1/w");
            sim.work(ResumeBy::Wait).run(fine);
        }
        _ => {}
    }
    let stop = sim.stop().path.clone().unwrap().to_string();
    assert!(stop.starts_with("outer#1/inner#2/w"), "{stop}");
    sim
}

fn changed(sim: &Sim) -> (Vec<StepId>, Vec<StepId>) {
    let last = sim
        .journal
        .iter()
        .rev()
        .find_map(|entry| match &entry.event {
            Event::Run(RunEvent::DefinitionChanged(DefinitionChanged {
                dropped, reset, ..
            })) => Some((dropped.clone(), reset.clone())),
            _ => None,
        });
    last.unwrap()
}

fn ids<const N: usize>(names: [&str; N]) -> Vec<StepId> {
    names.map(|name| name.parse().unwrap()).to_vec()
}

#[test]
fn b134_open_members_of_a_loop_that_a_lower_limit_ends_are_closed() {
    for member in MEMBERS {
        for on_exhausted in ["continue", "fail"] {
            let mut sim = open_in_pass_2(member);
            sim.change(&nested(3, 1, on_exhausted, member));
            assert_eq!(sim.state.awaited().next(), None, "{member}");
            assert_eq!(sim.state.approvals().next(), None, "{member}");
            sim.resume().run(fine);
            assert!(
                sim.calls.contains(&"outer#2/inner#1/c".to_owned()),
                "{member}: {:?}",
                sim.calls
            );
            // It comes to the same member anew, in the next pass of the outer loop.
            if member.contains("signal") {
                sim.signal("go", json!(null)).unwrap();
            } else if member.contains("approval") {
                sim.approve("outer#2/inner#1/w");
            }
            if sim.status() != Status::Completed {
                sim.resume().run(fine);
            }
            assert_eq!(sim.status(), Status::Completed, "{member}");
            let twice = sim.calls.iter().filter(|c| *c == "outer#2/inner#1/c");
            assert_eq!(twice.count(), 1, "{member}");
        }
    }
}

#[test]
fn b134_a_lower_limit_of_an_outer_loop_closes_everything_in_it() {
    for member in MEMBERS {
        let mut sim = Sim::new(&nested(3, 5, "continue", member).replace(
            "until = \"loop.iteration >= 2\"",
            "until = \"loop.iteration >= 3\"",
        ));
        // Until the outer loop stands in pass 2.
        loop {
            sim.run(|attempt| match attempt.path.as_str() {
                "outer#2/inner#1/w" => pause("quota"),
                _ => ok(json!({})),
            });
            if sim.calls.iter().any(|call| call.starts_with("outer#2/")) {
                break;
            }
            match sim.stop().code() {
                StopCode::WaitingForSignal => sim.signal("go", json!(null)).unwrap(),
                StopCode::WaitingForApproval => {
                    let path = sim.stop().path.clone().unwrap().to_string();
                    sim.approve(&path);
                }
                other => panic!("{member}: {other}"),
            }
            sim.work(ResumeBy::Wait);
        }
        sim.change(&nested(1, 5, "continue", member));
        assert_eq!(sim.state.awaited().next(), None, "{member}");
        sim.resume().run(fine);
        assert_eq!(sim.error("outer").code, "loop_exhausted", "{member}");
        assert_eq!(sim.calls.last().unwrap(), "after", "{member}");
    }
}

#[test]
fn a_member_that_waits_for_its_next_attempt_is_closed_too() {
    let body = |limit| nested(3, limit, "continue", "use = \"p/w\"");
    let mut sim = Sim::new(&body(5));
    while let Some(attempt) = sim.next_attempt() {
        if attempt.path == "outer#1/inner#2/w" {
            sim.end(&attempt, retryable("busy"));
            break;
        }
        sim.end(&attempt, ok(json!({})));
    }
    sim.pause();
    sim.change(&body(1));
    assert_eq!(changed(&sim).1, ids(["w"]));
    sim.resume().run(fine);
    assert_eq!(sim.status(), Status::Completed);
    assert!(!sim.calls.contains(&"outer#1/inner#3/c".to_owned()));
}

const COMPONENT: &str = "use = \"p/a\"";
const LOOP: &str = "loop = { until = \"true\" }\n[[step]]\nid = \"m\"\nin = \"a\"\nuse = \"p/m\"";

#[test]
fn readers_of_what_was_dropped_run_again_and_nobody_else() {
    let body = |a: &str| {
        format!(
            r#"
            [[step]]
            id = "a"
            {a}
            [[step]]
            id = "b"
            use = "p/b"
            with = {{ a = "${{ steps.a.status }}" }}
            [[step]]
            id = "c"
            use = "p/c"
            with = {{ b = "${{ steps.b.status }}" }}
            [[step]]
            id = "d"
            use = "p/d"
            [[step]]
            id = "z"
            use = "p/z"
            "#
        )
    };
    let mut sim = Sim::new(&body(COMPONENT));
    sim.run(|attempt| match attempt.step.as_str() {
        "z" => pause("quota"),
        _ => ok(json!({})),
    });
    sim.change(&body(LOOP));
    assert_eq!(changed(&sim), (ids(["a"]), ids(["b", "c"])));
    sim.resume().run(fine);
    assert_eq!(sim.calls[5..], ["a#1/m", "b", "c", "z"]);
    assert_eq!(sim.status(), Status::Completed);
}

/// `a` stands before the loop `l` or in it; `r` reads it there, `n` does not, `s` pauses in pass 2.
fn around_a_loop(a: &str, inside: bool) -> String {
    let a = format!(
        "[[step]]\nid = \"a\"\n{}{a}\n",
        if inside { "in = \"l\"\n" } else { "" }
    );
    let (before, within) = if inside {
        ("", a.as_str())
    } else {
        (a.as_str(), "")
    };
    format!(
        r#"
        {before}
        [[step]]
        id = "l"
        loop = {{ until = "loop.iteration >= 2", max_iterations = 3 }}
        {within}
        [[step]]
        id = "r"
        in = "l"
        use = "p/r"
        with = {{ a = "${{ steps.a.status }}" }}
        [[step]]
        id = "n"
        in = "l"
        use = "p/n"
        [[step]]
        id = "s"
        in = "l"
        use = "p/s"
        [[step]]
        id = "z"
        use = "p/z"
        "#
    )
}

#[test]
fn a_reader_in_a_loop_takes_the_loop_with_it_or_stands_beside_what_was_dropped() {
    for (inside, reset, next) in [
        (true, ids(["r"]), ["l#2/a#1/m", "l#2/r", "l#2/s"].as_slice()),
        (
            false,
            ids(["l", "n", "r", "s"]),
            ["a#1/m", "l#1/r", "l#1/n"].as_slice(),
        ),
    ] {
        let mut sim = Sim::new(&around_a_loop(COMPONENT, inside));
        sim.run(|attempt| match attempt.path.as_str() {
            "l#2/s" => pause("quota"),
            _ => ok(json!({})),
        });
        let before = sim.calls.len();
        sim.change(&around_a_loop(LOOP, inside));
        assert_eq!(changed(&sim), (ids(["a"]), reset));
        sim.resume().run(fine);
        assert_eq!(sim.calls[before..before + 3], *next);
        assert_eq!(sim.status(), Status::Completed);
    }
}

#[test]
fn a_loop_that_ended_runs_again_when_a_member_of_it_was_dropped() {
    let mut sim = Sim::new(&around_a_loop(COMPONENT, true));
    sim.run(|attempt| match attempt.step.as_str() {
        "z" => pause("quota"),
        _ => ok(json!({})),
    });
    let before = sim.calls.len();
    sim.change(&around_a_loop(LOOP, true));
    assert_eq!(changed(&sim), (ids(["a"]), ids(["l", "n", "r", "s"])));
    sim.resume().run(fine);
    assert_eq!(sim.calls[before..before + 2], ["l#1/a#1/m", "l#1/r"]);
    assert_eq!(sim.status(), Status::Completed);
}
