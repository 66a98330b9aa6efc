//! What else a step can be, inside the items of a fan-out: one that ends the run, one with a deadline, one that always runs.

use milepost_core::outcome::codes;
use milepost_core::request::resume::ResumeBy;
use milepost_core::state::Status;
use serde_json::json;

use super::sim::{Attempt, Sim, fail, ok};

fn fine(attempt: &Attempt) -> milepost_core::outcome::Outcome {
    ok(json!({ "at": attempt.path }))
}

/// Items of these members, with a step behind them.
fn each(keys: &str, members: &[(&str, &str)]) -> Sim {
    let mut text =
        format!("[[step]]\nid = \"each\"\nforeach = {{ items = \"[1, 2, 3]\"{keys} }}\n");
    for (id, what) in members {
        text.push_str(&format!("[[step]]\nid = \"{id}\"\nin = \"each\"\n{what}\n"));
    }
    text.push_str("[[step]]\nid = \"after\"\nuse = \"p/after\"\n");
    Sim::new(&text)
}

#[test]
fn a_member_of_an_item_that_ends_the_run_ends_it_beside_items_that_stand() {
    let waits = ("wait", "if = \"item == 1\"\nwait = { signal = \"go\" }");
    for (status, said) in [
        (Status::Completed, "completed"),
        (Status::Failed, "failed"),
        (Status::Cancelled, "cancelled"),
    ] {
        let end =
            format!("if = \"item == 2\"\nend = {{ status = \"{said}\", message = \"enough\" }}");
        let mut sim = each(
            ", max_parallel = 2, join = \"all_done\"",
            &[waits, ("stop", end.as_str()), ("call", "use = \"p/call\"")],
        );
        sim.run_graph(fine);
        assert_eq!(sim.status(), status);
        assert!(sim.calls.is_empty(), "{:?}", sim.calls);
        if status == Status::Failed {
            // Its turn comes again, and the signal is waited for again.
            sim.resume().run_graph(fine);
            assert_eq!(sim.status(), status);
            assert!(sim.calls.is_empty(), "{:?}", sim.calls);
        }
    }
}

#[test]
fn a_deadline_in_an_item_fails_that_item_and_no_other() {
    let mut sim = each(
        ", max_parallel = 2, join = \"all_done\"",
        &[
            (
                "wait",
                "if = \"item == 1\"\nwait = { signal = \"go\" }\ndeadline = \"1m\"",
            ),
            ("call", "use = \"p/call\""),
        ],
    );
    sim.run_graph(fine);
    assert_eq!(sim.status(), Status::Paused);
    assert_eq!(sim.calls, ["each[1]/call", "each[2]/call"]);
    sim.pass_to_due().work(ResumeBy::Wait).run_graph(fine);
    assert_eq!(sim.status(), Status::Completed);
    assert_eq!(sim.calls[2..], ["after"]);
    let items = sim.output("each");
    let said: Vec<_> = (0..3).map(|n| items[n]["status"].clone()).collect();
    assert_eq!(said, ["failed", "completed", "completed"]);
    assert_eq!(items[0]["error"]["code"], codes::DEADLINE_EXCEEDED);
}

#[test]
fn what_always_runs_in_an_item_runs_again_on_a_resume_with_what_reads_it() {
    let mut sim = each(
        ", max_parallel = 2",
        &[
            ("login", "use = \"p/login\"\nalways_run = true"),
            (
                "call",
                "use = \"p/call\"\nwith = { by = \"${ steps.login.output.at }\" }",
            ),
        ],
    );
    let mut red = true;
    sim.run_graph(|attempt| match attempt.path.as_str() {
        "each[1]/call" => fail("red"),
        _ => fine(attempt),
    });
    assert_eq!(sim.status(), Status::Failed);
    let before = sim.calls.len();
    sim.resume().run_graph(|attempt| {
        red &= attempt.path != "each[1]/login";
        fine(attempt)
    });
    assert_eq!(sim.status(), Status::Completed);
    assert!(!red, "{:?}", &sim.calls[before..]);
    let reads = sim.calls[before..].iter();
    assert!(reads.clone().any(|call| call == "each[1]/call"));
}
