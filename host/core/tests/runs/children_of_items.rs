//! A fan-out over child runs: one for each item, a window of them at a time.

use milepost_core::decide::child_run;
use milepost_core::outcome::codes;
use milepost_core::request::resume::ResumeBy;
use milepost_core::state::Status;
use milepost_core::stop::{Came, StopCode, Why};
use serde_json::{Value, json};

use crate::children::{Goes, child, ended, path, run_of};
use crate::sim::Sim;
use crate::waits::fine;

/// A child run for each number, and a step behind them.
fn over(keys: &str, files: Value) -> Sim {
    let body = format!(
        "[inputs.files]\ntype = \"json\"\n[[step]]\nid = \"files\"\nworkflow = \"c.toml\"\n\
         foreach = {{ items = \"inputs.files\"{keys} }}\nwith = {{ n = \"${{ item }}\", tag = \"${{ string(item_index) }}\" }}\n\
         [[step]]\nid = \"sum\"\nuse = \"p/sum\"\nwith = {{ files = \"${{ steps.files.output }}\" }}\n"
    );
    let mut sim = Sim::with_inputs(&body, json!({ "files": files }));
    sim.run_graph(fine);
    sim
}

/// The child run of the item ends like this, and its parent goes on as far as it can.
fn ends(sim: &mut Sim, item: &str, goes: &[Goes]) {
    let event = ended(sim, item, &child(sim, item, goes));
    sim.record(event);
    if sim.state.moves() {
        sim.work(ResumeBy::Wait);
    }
    sim.run_graph(fine);
}

fn started(sim: &Sim) -> Vec<Value> {
    let inputs = sim.children.iter();
    inputs
        .map(|started| started.inputs.value()["n"].clone())
        .collect()
}

#[test]
fn b370_a_child_run_for_each_item_and_their_outputs_in_order() {
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let mut sim = over("", json!([7, 8, 9]));
        assert_eq!(sim.status(), Status::Paused);
        for (index, started) in (0..).zip(&sim.children) {
            let item = path("files").item(index);
            assert_eq!(started.run, child_run(&sim.state.created().run, &item, 1));
            let inputs = json!({"n": 7 + index, "tag": index.to_string()});
            assert_eq!(*started.inputs.value(), inputs);
        }
        for index in order {
            let run = run_of(&sim, &format!("files[{index}]"));
            let stop = sim.stop();
            let waits = Why::WaitingForChild { run };
            let mut reasons = stop.reasons.iter().chain([&stop]);
            assert!(reasons.any(|reason| reason.why == waits), "{stop:?}");
            ends(
                &mut sim,
                &format!("files[{index}]"),
                &[Goes::Completes(json!(index))],
            );
        }
        assert_eq!(sim.status(), Status::Completed);
        assert_eq!(sim.output("files"), json!([0, 1, 2]));
        assert_eq!(sim.children.len(), 3);
        assert!(sim.state.left_children().next().is_none());
    }
    let empty = over("", json!([]));
    assert_eq!(
        (empty.status(), empty.output("files")),
        (Status::Completed, json!([]))
    );
}

#[test]
fn b371_as_many_child_runs_as_the_window_has_places() {
    let mut sim = over(", max_parallel = 2", json!([1, 2, 3, 4]));
    assert_eq!(started(&sim), [1, 2]);
    ends(&mut sim, "files[1]", &[Goes::Completes(json!(1))]);
    assert_eq!(started(&sim), [1, 2, 3]);
    ends(&mut sim, "files[0]", &[Goes::Fails]);
    assert_eq!(started(&sim), [1, 2, 3, 4]);
    let parallel = over(", max_parallel = 64", json!(vec![1; 70]));
    assert_eq!(
        parallel.children.len(),
        64,
        "the places of attempts do not count"
    );
}

#[test]
fn b372_what_failed_or_was_cancelled_is_told_as_the_join_asks() {
    for (join, status) in [
        ("all_success", Status::Failed),
        ("all_done", Status::Completed),
    ] {
        let mut sim = over(&format!(", join = \"{join}\""), json!([1, 2, 3]));
        ends(&mut sim, "files[2]", &[Goes::IsCancelled]);
        ends(&mut sim, "files[1]", &[Goes::Fails]);
        ends(&mut sim, "files[0]", &[Goes::Completes(json!("ok"))]);
        assert_eq!(sim.status(), status);
        if join == "all_success" {
            let error = sim.error("files");
            assert_eq!(error.code, codes::ITEMS_FAILED);
            assert!(
                error
                    .message
                    .starts_with("2 of 3 items failed; the first is `files[1]`: child_failed: "),
                "{}",
                error.message
            );
        } else {
            let output = sim.output("files");
            assert_eq!(output[0], json!({"status": "completed", "output": "ok"}));
            assert_eq!(output[1]["error"]["code"], codes::CHILD_FAILED);
            assert_eq!(output[2]["error"]["code"], codes::CHILD_CANCELLED);
        }
    }
}

#[test]
fn b373_a_resume_drives_the_failed_child_runs_on_and_no_others() {
    let mut sim = over("", json!([1, 2, 3]));
    ends(&mut sim, "files[0]", &[Goes::Completes(json!(1))]);
    ends(&mut sim, "files[1]", &[Goes::Fails]);
    ends(&mut sim, "files[2]", &[Goes::IsCancelled]);
    let (failed, cancelled) = (run_of(&sim, "files[1]"), run_of(&sim, "files[2]"));
    for again in [None, Some("files[1]")] {
        let before = sim.children.len();
        match again {
            None => sim.resume(),
            item => sim.retry(item),
        };
        sim.run_graph(fine);
        assert_eq!(run_of(&sim, "files[1]"), failed, "the same run goes on");
        let went_on: Vec<_> = sim.children[before..]
            .iter()
            .map(|child| child.run.clone())
            .collect();
        match again {
            None => {
                let other = run_of(&sim, "files[2]");
                assert_ne!(other, cancelled, "nothing goes on from a cancellation");
                assert_eq!(went_on, [failed.clone(), other]);
                ends(&mut sim, "files[2]", &[Goes::Completes(json!(3))]);
                ends(&mut sim, "files[1]", &[Goes::Fails, Goes::Fails]);
                assert_eq!(sim.status(), Status::Failed);
            }
            Some(_) => assert_eq!(went_on, std::slice::from_ref(&failed)),
        }
    }
    let done = [Goes::Fails, Goes::Fails, Goes::Completes(json!(2))];
    ends(&mut sim, "files[1]", &done);
    assert_eq!(sim.status(), Status::Completed);
    assert_eq!(sim.output("files"), json!([1, 2, 3]));
}

#[test]
fn b373_a_cancelled_item_leaves_its_child_run() {
    let mut sim = over(", join = \"all_done\"", json!([1, 2]));
    let left = run_of(&sim, "files[1]");
    sim.cancel_item("files[1]").unwrap();
    assert_eq!(sim.state.left_children().collect::<Vec<_>>(), [&left]);
    let awaited: Vec<_> = sim.state.awaited_children().collect();
    assert_eq!(awaited.len(), 1);
    if sim.state.moves() {
        sim.work(ResumeBy::Wait).run_graph(fine);
    }
    ends(&mut sim, "files[0]", &[Goes::Completes(json!(1))]);
    assert_eq!(sim.status(), Status::Completed);
    assert_eq!(sim.output("files")[1]["error"]["code"], "item_cancelled");
}

#[test]
fn b376_an_item_whose_value_does_not_fit_fails_alone() {
    let mut sim = over("", json!([1, "two", 3]));
    assert_eq!(started(&sim), [1, 3]);
    ends(&mut sim, "files[0]", &[Goes::Completes(json!(1))]);
    assert_eq!(
        sim.stop().why,
        Why::WaitingForChild {
            run: run_of(&sim, "files[2]")
        }
    );
    ends(&mut sim, "files[2]", &[Goes::Completes(json!(1))]);
    let said = sim.error("files").message;
    assert!(said.contains("`files[1]`: inputs_unfit: "), "{said}");
}

#[test]
fn the_first_end_makes_the_run_ready_whichever_its_stop_names() {
    let mut sim = over("", json!([1, 2]));
    assert_eq!(sim.stop().path, Some(path("files[0]")));
    let event = ended(
        &sim,
        "files[1]",
        &child(&sim, "files[1]", &[Goes::Completes(json!(1))]),
    );
    sim.record(event);
    let run = run_of(&sim, "files[1]");
    assert_eq!(sim.stop().why, Why::Ready(Came::Child(run)));
    assert_eq!(sim.stop().code(), StopCode::Ready);
}

#[test]
fn items_that_are_the_same_keep_their_child_runs_when_the_list_is_evaluated_anew() {
    let mut sim = over(", join = \"all_done\"", json!([1, 2]));
    ends(&mut sim, "files[0]", &[Goes::Completes(json!(1))]);
    ends(&mut sim, "files[1]", &[Goes::Fails]);
    assert_eq!(sim.status(), Status::Completed);
    let mut sim = over("", json!([1, 2]));
    ends(&mut sim, "files[0]", &[Goes::Completes(json!(1))]);
    ends(&mut sim, "files[1]", &[Goes::Fails]);
    let before = sim.children.len();
    sim.retry(Some("files")).run_graph(fine);
    assert_eq!(started(&sim)[before..], [json!(2)]);
}

#[test]
fn the_deadline_of_a_fan_out_leaves_the_child_runs_of_its_items() {
    let body = "[[step]]\nid = \"files\"\nworkflow = \"c.toml\"\ndeadline = \"1m\"\n\
                foreach = { items = \"[1, 2, 3]\" }\nwith = { n = \"${ item }\" }\n";
    let mut sim = Sim::new(body);
    sim.run_graph(fine);
    ends(&mut sim, "files[0]", &[Goes::Completes(json!(1))]);
    let left = [run_of(&sim, "files[1]"), run_of(&sim, "files[2]")];
    sim.pass_to_due().work(ResumeBy::Wait).run_graph(fine);
    assert_eq!(sim.error("files").code, codes::DEADLINE_EXCEEDED);
    assert!(sim.state.left_children().eq(&left));
    // Other runs follow, and the item that had ended keeps what it came to.
    sim.resume().run_graph(fine);
    assert!(sim.state.left_children().next().is_none());
    for (item, before) in ["files[1]", "files[2]"].iter().zip(&left) {
        assert_ne!(run_of(&sim, item), *before);
        ends(&mut sim, item, &[Goes::Completes(json!(2))]);
    }
    assert_eq!(sim.output("files"), json!([1, 2, 2]));
}
