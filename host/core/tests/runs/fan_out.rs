//! Fan-outs: the same for each item of a list, a window of them at a time; what came of them does not depend on who is faster.

use std::collections::VecDeque;

use milepost_core::checkpoint::{Position, all_parts, restore};
use milepost_core::decide::{Decision, decide_from, settle};
use milepost_core::event::{ClaimCause, Entry, Event, ForEachEvent, StepEvent};
use milepost_core::frontier::Frontier;
use milepost_core::ids::Path;
use milepost_core::outcome::Outcome;
use milepost_core::replay::check_from;
use milepost_core::request::cancel_item::NotCancellable;
use milepost_core::request::resume::{Refused, ResumeBy};
use milepost_core::request::retry::retry;
use milepost_core::state::{RunState, Status, StepPhase};
use milepost_core::stop::StopCode;
use milepost_core::tape::Tape;
use milepost_core::wait::Verdict;
use serde_json::{Value, json};

use super::sim::{Attempt, Sim, blobs, fail, ok, retryable};

/// A call for each item, and a step behind it.
fn calls(keys: &str) -> String {
    format!(
        "[inputs.files]\ntype = \"json\"\n\
         [[step]]\nid = \"files\"\nuse = \"p/convert\"\nforeach = {{ items = \"inputs.files\"{keys} }}\n\
         with = {{ file = \"${{ item }}\", at = \"${{ item_index }}\" }}\n\
         [[step]]\nid = \"sum\"\nuse = \"p/sum\"\nwith = {{ files = \"${{ steps.files.output }}\" }}\n"
    )
}

fn over(keys: &str, files: Value) -> Sim {
    Sim::with_inputs(&calls(keys), json!({ "files": files }))
}

/// The members of each item: a call, a loop around a call, and a question.
const BODY: &str = r#"
[inputs.files]
type = "json"
[[step]]
id = "files"
foreach = { items = "inputs.files", returns = "${ steps.convert.output.file + ':' + string(steps.fix.output.iterations) + ':' + steps.files.item }" }
[[step]]
id = "convert"
in = "files"
use = "p/convert"
with = { file = "${ item }", at = "${ item_index }" }
[[step]]
id = "fix"
in = "files"
loop = { until = "steps.test.output.green", max_iterations = 3 }
[[step]]
id = "test"
in = "fix"
use = "p/test"
with = { file = "${ steps.convert.output.file }", n = "${ loop.iteration }" }
[[step]]
id = "sum"
use = "p/sum"
with = { files = "${ steps.files.output }" }
"#;

fn echo(attempt: &Attempt) -> Outcome {
    match attempt.step.as_str() {
        "test" => ok(json!({ "green": attempt.input["n"] == 2 })),
        _ => ok(attempt.input.clone()),
    }
}

/// Fails where the item is one of these.
fn red<'a>(bad: &'a [&'a str]) -> impl Fn(&Attempt) -> Outcome + 'a {
    move |attempt| match attempt.input["file"].as_str() {
        Some(file) if bad.contains(&file) => fail("red"),
        _ => echo(attempt),
    }
}

fn calls_of(sim: &Sim, from: usize) -> Vec<&str> {
    sim.calls[from..].iter().map(String::as_str).collect()
}

#[test]
fn b370_outputs_are_in_the_order_of_the_items_whatever_ends_first() {
    let mut ends = Vec::new();
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let mut sim = over("", json!(["a", "b", "c"]));
        let started = sim.start_all();
        let paths: Vec<_> = started.iter().map(|attempt| attempt.path.clone()).collect();
        assert_eq!(paths, ["files[0]", "files[1]", "files[2]"]);
        for at in order {
            sim.end(&started[at], echo(&started[at]));
        }
        sim.run_graph(echo);
        assert_eq!(sim.status(), Status::Completed);
        ends.push((sim.output("files"), sim.output("sum")));
    }
    let outputs = json!([
        {"at": 0, "file": "a"},
        {"at": 1, "file": "b"},
        {"at": 2, "file": "c"},
    ]);
    assert_eq!(ends[0], (outputs.clone(), json!({ "files": outputs })));
    assert!(ends.iter().all(|end| *end == ends[0]));
}

#[test]
fn b370_an_empty_list_completes_with_an_empty_list() {
    for body in [calls(""), BODY.to_owned()] {
        let mut sim = Sim::with_inputs(&body, json!({"files": []}));
        sim.run_graph(echo);
        assert_eq!(sim.output("files"), json!([]));
        assert_eq!(sim.output("sum"), json!({"files": []}));
        assert_eq!(sim.calls, ["sum"]);
    }
}

#[test]
fn b370_what_is_no_list_or_has_too_many_items_fails_the_step() {
    for (files, code, said) in [
        (
            json!("a"),
            "not_a_list",
            "`foreach.items` gives a string, not a list",
        ),
        (
            json!({}),
            "not_a_list",
            "`foreach.items` gives an object, not a list",
        ),
        (
            json!(null),
            "not_a_list",
            "`foreach.items` gives null, not a list",
        ),
        (
            json!([1, 2, 3]),
            "too_many_items",
            "`foreach.items` gives 3 items, more than the maximum of 2",
        ),
    ] {
        let mut sim = over(", max_items = 2", files);
        sim.run_graph(echo);
        assert_eq!(sim.status(), Status::Failed);
        let error = sim.error("files");
        assert_eq!((error.code.as_str(), error.message.as_str()), (code, said));
        assert_eq!(sim.calls, Vec::<String>::new());
    }
}

#[test]
fn b371_the_window_slides_in_the_order_of_the_items() {
    for (keys, top, most) in [
        ("", "", 5),
        (", max_parallel = 1", "", 1),
        (", max_parallel = 3", "", 3),
        (", max_parallel = 64", "", 8),
        (", max_parallel = 64", "[limits]\nparallel = 2\n", 2),
    ] {
        let files: Vec<_> = (0..20).collect();
        let body = format!("{top}{}", calls(keys));
        let mut sim = Sim::with_inputs(&body, json!({ "files": files }));
        let mut flying = VecDeque::from(sim.start_all());
        let mut seen = 0;
        while let Some(attempt) = flying.pop_back() {
            seen = seen.max(flying.len() + 1);
            sim.end(&attempt, echo(&attempt));
            flying.extend(sim.start_all());
        }
        assert_eq!(seen, most, "{keys} {top}");
        let started = (0..20).map(|index| format!("files[{index}]"));
        assert!(
            started.eq(sim.calls[..20].iter().cloned()),
            "{:?}",
            sim.calls
        );
        assert_eq!(sim.status(), Status::Completed);
    }
}

#[test]
fn b372_when_an_item_failed_all_others_still_end() {
    let mut sim = over(", max_parallel = 2", json!(["a", "b", "c", "d"]));
    sim.run_graph(red(&["c", "b"]));
    assert_eq!(sim.calls, ["files[0]", "files[1]", "files[2]", "files[3]"]);
    assert_eq!(
        sim.failures(),
        [("files".to_owned(), "items_failed".to_owned())]
    );
    let error = sim.error("files");
    let said = "2 of 4 items failed; the first is `files[1]`: red: red happened";
    assert_eq!(error.message, said);
    let detail = json!({"items": 4, "failed": 2, "first": 1});
    assert_eq!(error.detail, Some(detail));
}

#[test]
fn b372_all_done_says_of_every_item_how_it_ended() {
    let mut sim = over(", join = \"all_done\"", json!(["a", "b"]));
    sim.run_graph(red(&["b"]));
    assert_eq!(sim.status(), Status::Completed);
    let error = json!({"class": "failed", "code": "red", "message": "red happened"});
    assert_eq!(
        sim.output("files"),
        json!([
            {"status": "completed", "output": {"at": 0, "file": "a"}},
            {"status": "failed", "error": error},
        ])
    );
}

#[test]
fn members_run_for_each_item_with_their_own_loops() {
    let mut sim = Sim::with_inputs(BODY, json!({"files": ["a", "b"]}));
    sim.run_graph(echo);
    assert_eq!(sim.status(), Status::Completed);
    assert_eq!(sim.output("files"), json!(["a:2:a", "b:2:b"]));
    assert_eq!(
        sim.calls,
        [
            "files[0]/convert",
            "files[1]/convert",
            "files[0]/fix#1/test",
            "files[1]/fix#1/test",
            "files[0]/fix#2/test",
            "files[1]/fix#2/test",
            "sum"
        ]
    );
}

#[test]
fn without_returns_an_item_has_the_output_of_its_last_member_that_completed() {
    let body = r#"
[[step]]
id = "files"
foreach = { items = "['a', 'b']" }
[[step]]
id = "first"
in = "files"
use = "p/first"
with = { file = "${ item }" }
[[step]]
id = "second"
in = "files"
if = "item == 'b'"
use = "p/second"
with = { of = "${ steps.first.output.file }" }
"#;
    let mut sim = Sim::new(body);
    sim.run_graph(echo);
    assert_eq!(sim.output("files"), json!([{"file": "a"}, {"of": "b"}]));
}

#[test]
fn a_failed_member_ends_its_item_and_no_other() {
    let mut sim = Sim::with_inputs(BODY, json!({"files": ["a", "b", "c"]}));
    sim.run_graph(red(&["b"]));
    assert_eq!(sim.status(), Status::Failed);
    let error = sim.at("files[1]").settled().unwrap();
    assert!(error.has_failed());
    let said = "1 of 3 items failed; the first is `files[1]`: red: `convert`: red happened";
    assert_eq!(sim.error("files").message, said);
    assert!(!sim.calls.iter().any(|call| call == "files[1]/fix#1/test"));
    // Resumed, only what failed runs again, in that item.
    let before = sim.calls.len();
    sim.resume().run_graph(echo);
    assert_eq!(
        calls_of(&sim, before),
        [
            "files[1]/convert",
            "files[1]/fix#1/test",
            "files[1]/fix#2/test",
            "sum"
        ]
    );
    assert_eq!(sim.output("files"), json!(["a:2:a", "b:2:b", "c:2:c"]));
}

#[test]
fn fan_outs_stand_inside_each_other_and_in_loops() {
    let body = r#"
[[step]]
id = "again"
loop = { until = "loop.iteration == 2", max_iterations = 2 }
[[step]]
id = "outer"
in = "again"
foreach = { items = "loop.iteration == 1 ? ['a', 'b', 'c'] : ['d']" }
[[step]]
id = "inner"
in = "outer"
foreach = { items = "[item + '1', item + '2']" }
use = "p/s"
with = { file = "${ steps.outer.item + '/' + item }", at = "${ item_index }" }
"#;
    let mut sim = Sim::new(body);
    sim.run_graph(|attempt| ok(attempt.input["file"].clone()));
    assert_eq!(sim.status(), Status::Completed);
    assert_eq!(sim.calls.len(), 8);
    assert_eq!(sim.calls[0], "again#1/outer[0]/inner[0]");
    assert_eq!(sim.output("outer"), json!([["d/d1", "d/d2"]]));
    let previous = sim.step("outer").previous().unwrap().output().unwrap();
    let first = json!([["a/a1", "a/a2"], ["b/b1", "b/b2"], ["c/c1", "c/c2"]]);
    assert_eq!(*previous.value(), first);
}

#[test]
fn b373_resume_drives_only_items_that_failed() {
    for join in ["", ", join = \"all_success\""] {
        let mut sim = over(join, json!(["a", "b", "c"]));
        sim.run_graph(red(&["a", "c"]));
        let before = sim.calls.len();
        sim.resume().run_graph(red(&["c"]));
        assert_eq!(calls_of(&sim, before), ["files[0]", "files[2]"]);
        assert_eq!(sim.status(), Status::Failed);
        let before = sim.calls.len();
        sim.retry(None).run_graph(echo);
        assert_eq!(calls_of(&sim, before), ["files[2]", "sum"]);
        assert_eq!(sim.status(), Status::Completed);
        assert_eq!(sim.at("files[2]").attempts(), 3);
        assert_eq!(sim.at("files[1]").attempts(), 1);
        let evaluated = sim
            .events()
            .iter()
            .filter(|e| **e == "fan_out_started")
            .count();
        assert_eq!(evaluated, 1, "the list is not evaluated again");
    }
}

#[test]
fn b373_items_in_flight_when_the_process_died_start_again_and_no_others() {
    let mut sim = over(", max_parallel = 2", json!(["a", "b", "c", "d"]));
    let started = sim.start_all();
    sim.end(&started[0], echo(&started[0]));
    let more = sim.start_all();
    assert_eq!(more[0].path, "files[2]");
    sim.crash();
    let before = sim.calls.len();
    sim.run_graph(echo);
    assert_eq!(
        calls_of(&sim, before),
        ["files[1]", "files[2]", "files[3]", "sum"]
    );
}

#[test]
fn b373_from_the_fan_out_on_items_are_evaluated_anew_and_the_same_ones_kept() {
    let body = calls("").replace(
        "[[step]]\nid = \"files\"",
        "[[step]]\nid = \"list\"\nuse = \"p/list\"\n[[step]]\nid = \"files\"",
    );
    let body = body.replace(
        "items = \"inputs.files\"",
        "items = \"steps.list.output.files\"",
    );
    let mut sim = Sim::with_inputs(&body, json!({"files": []}));
    let script = |files: Value| {
        move |attempt: &Attempt| match attempt.step.as_str() {
            "list" => ok(json!({ "files": files })),
            _ => red(&["bad"])(attempt),
        }
    };
    sim.run_graph(script(json!(["a", "b", "bad", "d"])));
    assert_eq!(sim.status(), Status::Failed);
    // The list itself has not changed: only what failed runs again.
    let before = sim.calls.len();
    sim.retry(Some("files")).run_graph(echo);
    assert_eq!(calls_of(&sim, before), ["files[2]", "sum"]);
    let kept = sim
        .journal
        .iter()
        .rev()
        .find_map(|entry| match &entry.event {
            Event::Step {
                event: StepEvent::ForEach(ForEachEvent::Started { kept, .. }),
                ..
            } => Some(*kept),
            _ => None,
        });
    assert_eq!(kept, Some(3));
    assert_eq!(sim.status(), Status::Completed);
}

#[test]
fn b373_one_item_runs_again() {
    let mut sim = Sim::with_inputs(BODY, json!({"files": ["a", "b", "bad"]}));
    sim.run_graph(red(&["bad"]));
    let before = sim.calls.len();
    sim.retry(Some("files[1]")).run_graph(red(&["bad"]));
    // What failed runs again with any retry.
    let again = calls_of(&sim, before);
    assert_eq!(
        again,
        [
            "files[1]/convert",
            "files[2]/convert",
            "files[1]/fix#1/test",
            "files[1]/fix#2/test"
        ]
    );
    for nothing in ["files[9]", "sum[1]", "files[0]/nothing"] {
        let from = nothing.parse().unwrap();
        let refused =
            milepost_core::request::retry::retry(&sim.definition, &sim.state, Some(&from));
        assert!(refused.is_err(), "{nothing}");
    }
}

#[test]
fn b373_a_cancelled_item_is_not_revived() {
    for body in [
        calls(", join = \"all_done\""),
        BODY.replace("items = ", "join = \"all_done\", items = "),
    ] {
        let mut sim = Sim::with_inputs(&body, json!({"files": ["a", "b", "c"]}));
        let started = sim.start_all();
        assert_eq!(started.len(), 3);
        sim.end(&started[0], echo(&started[0]));
        // One at work, and the run as a whole goes on.
        sim.cancel_item("files[1]").unwrap();
        sim.cancel_item("files[1]").unwrap();
        sim.end(&started[2], echo(&started[2]));
        sim.run_graph(echo);
        assert_eq!(sim.status(), Status::Completed);
        let error = &sim.output("files")[1]["error"];
        assert_eq!(error["code"], "item_cancelled");
        assert_eq!(error["class"], "cancelled");
        assert_eq!(error["message"], "cancelled by ann");
        let refused = sim.cancel_item("files[0]");
        assert_eq!(refused, Err(NotCancellable::Over(Status::Completed)));
    }
    let mut sim = over("", json!(["a", "b", "c"]));
    sim.run_graph(red(&["b", "c"]));
    for (path, refusal) in [
        (
            "files[0]",
            NotCancellable::Completed("files[0]".parse().unwrap()),
        ),
        ("files[3]", NotCancellable::NoItem("files[3]".to_owned())),
        ("sum", NotCancellable::NoItem("sum".to_owned())),
        ("", NotCancellable::NoItem(String::new())),
    ] {
        assert_eq!(sim.cancel_item(path), Err(refusal));
    }
    sim.cancel_item("files[1]").unwrap();
    for _ in 0..2 {
        let before = sim.calls.len();
        sim.resume().run_graph(red(&["c"]));
        assert_eq!(calls_of(&sim, before), ["files[2]"]);
    }
    let item: Path = "files[1]".parse().unwrap();
    let refused = retry(&sim.definition, &sim.state, Some(&item));
    assert_eq!(refused, Err(Refused::ItemCancelled(item)));
    let before = sim.calls.len();
    sim.retry(Some("files")).run_graph(echo);
    assert_eq!(calls_of(&sim, before), ["files[2]"]);
    assert_eq!(
        sim.error("files").message,
        "1 of 3 items failed; the first is `files[1]`: item_cancelled: cancelled by ann"
    );
}

#[test]
fn every_item_has_its_own_retries() {
    let mut sim = over(", max_parallel = 2", json!(["a", "b", "c"]));
    let busy = |attempt: &Attempt| match (attempt.path.as_str(), attempt.attempt) {
        ("files[0]", 1 | 2) => retryable("busy"),
        _ => echo(attempt),
    };
    sim.run_graph(busy);
    assert_eq!(sim.status(), Status::Completed);
    assert_eq!(
        sim.calls,
        [
            "files[0]", "files[1]", "files[2]", "files[0]", "files[0]", "sum"
        ],
        "an item that is tried again holds up no other"
    );
}

const GATES: &str = r#"
[[step]]
id = "files"
foreach = { items = "['a', 'b']" }
[[step]]
id = "draft"
in = "files"
use = "p/draft"
with = { file = "${ item }", said = "${ steps.gate.?output.comment.orValue('') }" }
[[step]]
id = "gate"
in = "files"
approval = { message = "${ item }?", rework = { from = "draft" } }
"#;

#[test]
fn b374_gates_inside_of_items_are_ordinary() {
    let mut sim = Sim::new(GATES);
    sim.run_graph(echo);
    assert_eq!(sim.status(), Status::Paused);
    assert_eq!(sim.stop().code(), StopCode::WaitingForApproval);
    assert_eq!(sim.question(), "a?");
    // A rejection repeats the work of this item alone.
    sim.reject("files[0]/gate", "shorter");
    assert!(matches!(
        sim.at("files[1]/draft").phase(),
        StepPhase::Settled(_)
    ));
    let before = sim.calls.len();
    sim.work(ResumeBy::Wait).run_graph(echo);
    assert_eq!(calls_of(&sim, before), ["files[0]/draft"]);
    let draft = sim
        .at("files[0]/draft")
        .settled()
        .unwrap()
        .output()
        .unwrap();
    assert_eq!(draft.value()["said"], "shorter");
    sim.decide("files[0]/gate", Verdict::Approved, "").unwrap();
    sim.work(ResumeBy::Wait).run_graph(echo);
    sim.approve("files[1]/gate");
    sim.work(ResumeBy::Wait).run_graph(echo);
    assert_eq!(sim.status(), Status::Completed);
    assert_eq!(sim.output("files")[1]["decision"], "approved");
}

/// Drives a state alone: what a test keeps besides would cost more than ten thousand items do.
fn drive(sim: &Sim) -> (RunState, Vec<Entry>) {
    let (mut state, mut frontier) = (sim.state.clone(), Frontier::default());
    let (mut journal, mut flying) = (Vec::new(), VecDeque::new());
    loop {
        let decision = decide_from(&mut frontier, &sim.definition, &state, sim.now);
        let events = match decision {
            Decision::Wait { .. } => {
                let (path, attempt, input): (Path, _, Value) = flying.pop_front().unwrap();
                vec![settle(
                    &sim.definition,
                    &state,
                    &path,
                    attempt,
                    ok(input),
                    Tape::default(),
                    sim.now,
                )]
            }
            Decision::Still => return (state, journal),
            other => other.into_events(),
        };
        for event in events {
            if let Event::Step {
                path,
                event: StepEvent::Started(started),
            } = &event
            {
                let input = started.input.value().as_ref().clone();
                flying.push_back((path.clone(), started.attempt, input));
            }
            let entry = Entry {
                seq: state.seq() + 1,
                at: sim.now,
                epoch: state.epoch(),
                event,
            };
            state.apply(&entry).unwrap();
            journal.push(entry);
        }
    }
}

#[test]
fn a_run_that_stood_at_a_cancelled_item_goes_on_without_a_person() {
    let mut sim = Sim::new(GATES);
    sim.run_graph(echo);
    assert_eq!(sim.question(), "a?");
    sim.cancel_item("files[0]").unwrap();
    assert_eq!(sim.stop().code(), StopCode::Ready);
    sim.work(ResumeBy::Wait).run_graph(echo);
    assert_eq!(sim.question(), "b?");
}

/// Whether the output of one execution is a piece of the text of another one's.
fn holds(state: &RunState, whole: &str, part: &str) -> bool {
    let text = |path: &str| {
        let record = state.executions().at(&path.parse().unwrap()).unwrap();
        record.settled().unwrap().output().unwrap().text()
    };
    let places = |text: &str| (text.as_ptr().addr(), text.as_ptr().addr() + text.len());
    let ((from, to), (start, end)) = (places(text(whole)), places(text(part)));
    from <= start && end <= to
}

#[test]
fn the_outputs_of_items_are_in_memory_once() {
    let body = r#"
[[step]]
id = "files"
foreach = { items = "['a', 'b']", join = "JOIN" }
[[step]]
id = "long"
in = "files"
use = "p/long"
with = { file = "${ item }" }
"#;
    for join in ["all_success", "all_done"] {
        let mut sim = Sim::new(&body.replace("JOIN", join));
        sim.run_graph(|attempt| ok(json!(attempt.path.repeat(3_000))));
        let parts = all_parts(&sim.state);
        let parts = parts
            .iter()
            .filter_map(|(name, body)| Some((name.as_str(), body.as_deref()?)));
        let position = Position {
            seq: sim.state.seq(),
            epoch: sim.state.epoch(),
            updated_at: sim.state.updated_at(),
        };
        let blobs = blobs(&sim.state, None);
        let restored = restore(position, parts, &|digest| blobs.get(digest).cloned()).unwrap();
        assert_eq!(restored, sim.state);
        for state in [&sim.state, &restored] {
            for part in ["files[0]", "files[1]", "files[1]/long"] {
                assert!(holds(state, "files", part), "{join}: {part}");
            }
            assert!(!holds(state, "files[0]", "files[1]"));
        }
    }
}

#[test]
fn ten_thousand_items_run_replay_and_come_back() {
    let files: Vec<_> = (0..10_000).map(|n| format!("file {n}")).collect();
    let sim = over(", max_parallel = 64", json!(files));
    let (state, journal) = drive(&sim);
    assert_eq!(state.phase().status(), Status::Completed);
    let output = state.executions().of(&"files".parse().unwrap()).unwrap();
    let output = output.settled().unwrap().output().unwrap();
    assert_eq!(output.value()[9_999]["file"], "file 9999");
    assert_eq!(journal.len(), 2 * 10_000 + 5);

    let (mut again, mut frontier) = (sim.state.clone(), Frontier::default());
    for entry in &journal {
        check_from(&mut frontier, &sim.definition, &mut again, entry).unwrap();
    }
    assert_eq!(again, state);

    let position = Position {
        seq: state.seq(),
        epoch: state.epoch(),
        updated_at: state.updated_at(),
    };
    let parts = all_parts(&state);
    let parts = parts
        .iter()
        .filter_map(|(name, body)| Some((name.as_str(), body.as_deref()?)));
    let blobs = blobs(&state, None);
    let restored = restore(position, parts, &|digest| blobs.get(digest).cloned());
    assert_eq!(restored, Ok(state));

    let mut refused = over("", json!(vec![0; 10_001]));
    refused.run_graph(echo);
    assert_eq!(refused.error("files").code, "too_many_items");
}

#[test]
fn a_journal_that_goes_beyond_its_items_is_refused() {
    let mut sim = over("", json!(["a"]));
    let started = sim.start_all();
    for event in [
        ForEachEvent::ItemStarted.at("files[1]".parse().unwrap()),
        ForEachEvent::ItemStarted.at("files[0]".parse().unwrap()),
        ForEachEvent::ItemStarted.at("sum[0]".parse().unwrap()),
        ForEachEvent::Completed {
            output: json!([]).into(),
        }
        .at("sum".parse().unwrap()),
        ForEachEvent::ItemCompleted {
            output: json!(1).into(),
        }
        .at("files[0]".parse().unwrap()),
        ForEachEvent::Started {
            items: json!([]).into(),
            kept: 0,
        }
        .at("files".parse().unwrap()),
        ForEachEvent::Started {
            items: json!(7).into(),
            kept: 0,
        }
        .at("sum".parse().unwrap()),
    ] {
        assert!(sim.try_record(event.clone()).is_err(), "{event:?}");
    }
    sim.end(&started[0], Outcome::Completed(json!(1)));
    sim.claim(ClaimCause::Resume);
    sim.run_graph(echo);
    assert_eq!(sim.status(), Status::Completed);
}

#[test]
fn the_deadline_of_a_fan_out_ends_all_of_its_items() {
    let body = r#"
[[step]]
id = "files"
deadline = "1m"
continue_on_error = true
foreach = { items = "['a', 'b']" }
[[step]]
id = "ask"
in = "files"
approval = { message = "${ item }?" }
"#;
    let mut sim = Sim::new(body);
    sim.run_graph(echo);
    assert_eq!(sim.stop().code(), StopCode::WaitingForApproval);
    sim.approve("files[0]/ask");
    sim.work(ResumeBy::Wait).run_graph(echo);
    sim.pass(std::time::Duration::from_secs(61));
    sim.work(ResumeBy::Wait).run_graph(echo);
    assert_eq!(sim.status(), Status::Completed);
    assert_eq!(sim.error("files").code, "deadline_exceeded");
}

/// An item of a fan-out in the present iteration of a loop: what stands behind it in that iteration, and behind the loop, runs again.
#[test]
fn b373_an_item_in_an_iteration_of_a_loop_runs_again_by_itself() {
    let body = "[[step]]\nid = \"fix\"\nloop = { until = \"loop.iteration == 2\", max_iterations = 3 }\n\
        [[step]]\nid = \"files\"\nin = \"fix\"\nuse = \"p/files\"\nforeach = { items = \"[10, 20, 30]\", max_parallel = 1 }\nwith = { n = \"${ item }\" }\n\
        [[step]]\nid = \"sum\"\nin = \"fix\"\nuse = \"p/sum\"\nwith = { all = \"${ steps.files.output }\" }\n\
        [[step]]\nid = \"after\"\nuse = \"p/after\"\nwith = { sum = \"${ steps.sum.output }\" }\n";
    let mut sim = Sim::new(body);
    let fine = |attempt: &Attempt| ok(json!({ "at": attempt.path }));
    sim.run(|attempt| match attempt.path.as_str() {
        "after" => fail("red"),
        _ => fine(attempt),
    });
    let called = sim.calls.len();
    let earlier: Path = "fix#1/files[1]".parse().unwrap();
    let refused = retry(&sim.definition, &sim.state, Some(&earlier));
    assert_eq!(refused, Err(Refused::NothingAt(earlier)));
    sim.retry(Some("fix#2/files[1]")).run(fine);
    assert_eq!(sim.status(), Status::Completed);
    assert_eq!(
        sim.calls[called..],
        ["fix#2/files[1]", "fix#2/sum", "after"]
    );
    // The whole fan-out evaluates its list anew, and keeps what is the same.
    let mut sim = Sim::new(body);
    sim.run(|attempt| match attempt.path.as_str() {
        "after" => fail("red"),
        _ => fine(attempt),
    });
    let called = sim.calls.len();
    sim.retry(Some("fix#2/files")).run(fine);
    assert_eq!(sim.calls[called..], ["fix#2/sum", "after"]);
}

/// An `end` in an item: a retry decides that one again, and leaves what the others came to.
#[test]
fn b373_a_retry_after_an_end_in_an_item_runs_only_what_that_reached() {
    let body = "[[step]]\nid = \"each\"\nforeach = { items = \"[0, 1, 2]\", max_parallel = 1 }\n\
        [[step]]\nid = \"call\"\nin = \"each\"\nuse = \"p/call\"\n\
        [[step]]\nid = \"stop\"\nin = \"each\"\nif = \"item == 1\"\nend = { status = \"failed\" }\n\
        [[step]]\nid = \"tail\"\nin = \"each\"\nuse = \"p/tail\"\n";
    let mut sim = Sim::new(body);
    let fine = |attempt: &Attempt| ok(json!({ "at": attempt.path }));
    sim.run(fine);
    assert_eq!(sim.status(), Status::Failed);
    assert_eq!(sim.calls, ["each[0]/call", "each[0]/tail", "each[1]/call"]);
    sim.retry(None).run(fine);
    assert_eq!(sim.status(), Status::Failed);
    assert_eq!(
        sim.calls,
        ["each[0]/call", "each[0]/tail", "each[1]/call"],
        "what was not reached by the end stays as it is"
    );
}
