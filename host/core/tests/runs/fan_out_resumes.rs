//! What goes on of a fan-out whose items stand in every way that they can, by who asks for it: which of them run again, and what is said
//! at the end. Each row is a run of its own.

use std::collections::BTreeMap;

use milepost_core::event::{Event, ForEachEvent, StepEvent};
use milepost_core::outcome::Outcome;
use milepost_core::request::resume::ResumeBy;
use milepost_core::state::{Status, StepPhase};
use serde_json::{Value, json};

use super::sim::{Attempt, Sim, fail, ok, pause};

/// The items, by what has come of each of them when the run stops; two of them are at work at a time.
const ITEMS: [&str; 6] = [
    "completed",
    "failed",
    "cancelled",
    "waiting",
    "interrupted",
    "pending",
];

/// A list, a fan-out over it, and a step behind it. An item is two calls, and a question between them where it is `waiting`.
const MEMBERS: &str = r#"
[[step]]
id = "list"
use = "p/list"
[[step]]
id = "files"
foreach = { items = "steps.list.output", max_parallel = 2, join = "JOIN" }
[[step]]
id = "work"
in = "files"
use = "p/work"
with = { item = "${ item }" }
[[step]]
id = "ask"
in = "files"
if = "item == 'waiting'"
approval = { message = "${ item }?" }
[[step]]
id = "last"
in = "files"
use = "p/last"
with = { work = "${ steps.work.output }" }
[[step]]
id = "sum"
use = "p/sum"
with = { files = "${ steps.files.output }" }
"#;

/// The same of one call an item; the `waiting` one asked to stop.
const CALLS: &str = r#"
[[step]]
id = "list"
use = "p/list"
[[step]]
id = "files"
use = "p/work"
foreach = { items = "steps.list.output", max_parallel = 2, join = "JOIN" }
with = { item = "${ item }" }
[[step]]
id = "sum"
use = "p/sum"
with = { files = "${ steps.files.output }" }
"#;

/// What a component gives that is asked for the list.
fn script(list: &[&str]) -> impl Fn(&Attempt) -> Outcome {
    let list = json!(list);
    move |attempt| match attempt.step.as_str() {
        "list" => ok(list.clone()),
        _ => ok(attempt.input.clone()),
    }
}

/// How the run stops.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Stops {
    /// A person pauses it.
    Paused,
    /// Its process dies, and another one takes it over.
    Lost,
    /// All items have ended: there are only the first three.
    Failed,
}

fn stopped(body: &str, join: &str, stops: Stops) -> Sim {
    let items: &[&str] = if stops == Stops::Failed {
        &ITEMS[..3]
    } else {
        &ITEMS
    };
    let mut sim = Sim::new(&body.replace("JOIN", join));
    let calls = !body.contains("ask");
    let mut flying = sim.start_all();
    loop {
        let at = |attempt: &Attempt| attempt.input["item"] != "interrupted";
        let Some(at) = flying.iter().position(at) else {
            break;
        };
        let attempt = flying.remove(at);
        match attempt.input["item"].as_str() {
            Some("failed") => sim.end(&attempt, fail("red")),
            Some("cancelled") => sim.cancel_item(&attempt.path[..8]).unwrap(),
            Some("waiting") if calls => sim.end(&attempt, pause("later")),
            _ => {
                let outcome = script(items)(&attempt);
                sim.end(&attempt, outcome);
            }
        }
        flying.extend(sim.start_all());
    }
    match stops {
        Stops::Paused => sim.pause(),
        Stops::Lost => sim.crash(),
        Stops::Failed => {}
    }
    sim
}

/// Who asks for what.
#[derive(Debug, Clone, Copy)]
enum Asks {
    /// Nobody: whoever took it over goes on.
    Nobody,
    Resume,
    Retry,
    From(&'static str),
}

/// What ran, item by item, and what was said.
fn went_on(mut sim: Sim, asks: Asks) -> (String, u32, String) {
    let before = sim.calls.len();
    match asks {
        Asks::Nobody => {}
        Asks::Resume => drop(sim.resume()),
        Asks::Retry => drop(sim.retry(None)),
        Asks::From(path) => drop(sim.retry(Some(path))),
    }
    loop {
        sim.run_graph(script(&ITEMS));
        let asks = sim
            .state
            .approvals()
            .next()
            .map(|(path, _)| path.to_string());
        match asks {
            Some(path) if sim.status() == Status::Paused => {
                sim.approve(&path);
                sim.work(ResumeBy::Wait);
            }
            _ => break,
        }
    }
    let mut ran = BTreeMap::<String, Vec<&str>>::new();
    for call in sim.calls[before..]
        .iter()
        .filter(|call| call.starts_with("files"))
    {
        let (item, member) = call.split_once('/').unwrap_or((call, "again"));
        ran.entry(item.to_owned()).or_default().push(member);
    }
    let ran: Vec<String> = ran
        .into_iter()
        .map(|(item, members)| format!("{} {}", &item[6..7], members.join("+")))
        .collect();
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
    let said = match sim.step("files").phase() {
        StepPhase::Settled(settled) if settled.has_failed() => sim.error("files").message,
        StepPhase::FannedOut => format!("paused at {}", sim.stop().path.unwrap()),
        _ => {
            let output = sim.output("files");
            let statuses = output.as_array().unwrap().iter();
            let said: Vec<&str> = statuses
                .map(|item| {
                    item.get("status")
                        .and_then(Value::as_str)
                        .unwrap_or("output")
                })
                .collect();
            said.join(" ")
        }
    };
    (ran.join(", "), kept.unwrap_or(0), said)
}

const ALL_SUCCESS: &str = "all_success";
const ALL_DONE: &str = "all_done";

/// Join, how the run stopped, and who asked; which items ran and what of them, how many were kept when the list was evaluated anew, and
/// what was said.
type Row<'a> = (&'a str, Stops, Asks, &'a str, u32, &'a str);

fn check(body: &str, rows: &[Row<'_>]) {
    for (join, stops, asks, ran, kept, said) in rows {
        let went = went_on(stopped(body, join, *stops), *asks);
        let expected = ((*ran).to_owned(), *kept, (*said).to_owned());
        assert_eq!(went, expected, "{join}, {stops:?}, {asks:?}");
    }
}

const ONE_FAILED: &str =
    "1 of 6 items failed; the first is `files[2]`: item_cancelled: cancelled by ann";
const ONE_OF_THREE: &str =
    "1 of 3 items failed; the first is `files[2]`: item_cancelled: cancelled by ann";
const ONE_SAID: &str = "completed completed failed completed completed completed";
const TWO_SAID: &str = "completed failed failed completed completed completed";

#[test]
fn b373_of_items_with_members_what_failed_or_was_interrupted_goes_on() {
    use Asks::{From, Nobody, Resume, Retry};
    use Stops::{Failed, Lost, Paused};
    let open = "3 last, 4 work+last, 5 work+last";
    let failed = "1 work+last, 3 last, 4 work+last, 5 work+last";
    check(
        MEMBERS,
        &[
            // Whoever takes it over repeats nothing that ended; nor does a person's resume, where failures are part of the output.
            (ALL_DONE, Lost, Nobody, open, 0, TWO_SAID),
            (ALL_DONE, Paused, Resume, open, 0, TWO_SAID),
            (ALL_SUCCESS, Paused, Resume, failed, 0, ONE_FAILED),
            (ALL_SUCCESS, Failed, Resume, "1 work+last", 0, ONE_OF_THREE),
            (ALL_DONE, Paused, Retry, failed, 0, ONE_SAID),
            (ALL_SUCCESS, Paused, Retry, failed, 0, ONE_FAILED),
            (ALL_SUCCESS, Failed, Retry, "1 work+last", 0, ONE_OF_THREE),
            // The list is evaluated anew: what completed, and what was cancelled, is kept.
            (
                ALL_DONE,
                Paused,
                From("files"),
                "1 work+last, 3 work+last, 4 work+last, 5 work+last",
                2,
                ONE_SAID,
            ),
            (
                ALL_SUCCESS,
                Failed,
                From("files"),
                "1 work+last",
                2,
                ONE_OF_THREE,
            ),
            // One item, or a part of it, and what failed.
            (
                ALL_DONE,
                Paused,
                From("files[0]"),
                "0 work+last, 1 work+last, 3 last, 4 work+last, 5 work+last",
                0,
                ONE_SAID,
            ),
            (
                ALL_DONE,
                Paused,
                From("files[0]/last"),
                "0 last, 1 work+last, 3 last, 4 work+last, 5 work+last",
                0,
                ONE_SAID,
            ),
            (
                ALL_DONE,
                Paused,
                From("files[3]"),
                "1 work+last, 3 work+last, 4 work+last, 5 work+last",
                0,
                ONE_SAID,
            ),
            (ALL_DONE, Paused, From("files[4]"), failed, 0, ONE_SAID),
            (
                ALL_SUCCESS,
                Failed,
                From("files[0]"),
                "0 work+last, 1 work+last",
                0,
                ONE_OF_THREE,
            ),
        ],
    );
}

#[test]
fn b373_of_items_that_are_one_call_what_failed_or_was_interrupted_goes_on() {
    use Asks::{From, Nobody, Resume, Retry};
    use Stops::{Failed, Lost, Paused};
    let open = "3 again, 4 again, 5 again";
    let failed = "1 again, 3 again, 4 again, 5 again";
    check(
        CALLS,
        &[
            // Nobody says that the item which asked to stop may go on.
            (
                ALL_DONE,
                Lost,
                Nobody,
                "4 again, 5 again",
                0,
                "paused at files[3]",
            ),
            (ALL_DONE, Paused, Resume, open, 0, TWO_SAID),
            (ALL_SUCCESS, Paused, Resume, failed, 0, ONE_FAILED),
            (ALL_SUCCESS, Failed, Resume, "1 again", 0, ONE_OF_THREE),
            (ALL_DONE, Paused, Retry, failed, 0, ONE_SAID),
            (ALL_SUCCESS, Paused, Retry, failed, 0, ONE_FAILED),
            (ALL_SUCCESS, Failed, Retry, "1 again", 0, ONE_OF_THREE),
            (ALL_DONE, Paused, From("files"), failed, 2, ONE_SAID),
            (ALL_SUCCESS, Paused, From("files"), failed, 2, ONE_FAILED),
            (
                ALL_SUCCESS,
                Failed,
                From("files"),
                "1 again",
                2,
                ONE_OF_THREE,
            ),
            (
                ALL_DONE,
                Paused,
                From("files[0]"),
                "0 again, 1 again, 3 again, 4 again, 5 again",
                0,
                ONE_SAID,
            ),
            (ALL_DONE, Paused, From("files[3]"), failed, 0, ONE_SAID),
            (ALL_DONE, Paused, From("files[4]"), failed, 0, ONE_SAID),
            (
                ALL_SUCCESS,
                Failed,
                From("files[0]"),
                "0 again, 1 again",
                0,
                ONE_OF_THREE,
            ),
        ],
    );
}

/// The definition lists other items now, and a person retries from the fan-out on: an item whose value at its index is the same keeps
/// what came of it.
#[test]
fn b373_items_whose_value_has_changed_run_again_and_no_others() {
    let written = |body: &str, list: &[&str]| {
        body.replace("JOIN", ALL_SUCCESS)
            .replace("steps.list.output", &format!("{list:?}").replace('"', "'"))
    };
    for (list, ran, kept, said) in [
        // Nothing has changed: what failed runs again.
        (
            &["completed", "failed", "cancelled"][..],
            "1",
            2,
            ONE_OF_THREE,
        ),
        // What a person cancelled was another item.
        (
            &["completed", "failed", "new"],
            "1 2",
            1,
            "output output output",
        ),
        (&["new", "failed", "cancelled"], "0 1", 1, ONE_OF_THREE),
        // The same values at other indices are other items.
        (
            &["failed", "completed", "new"],
            "0 1 2",
            0,
            "output output output",
        ),
        (
            &["completed", "failed", "new", "more"],
            "1 2 3",
            1,
            "output output output output",
        ),
        (&["completed"], "", 1, "output"),
        (&[], "", 0, ""),
    ] {
        for body in [MEMBERS, CALLS] {
            let mut sim = stopped(&written(body, &ITEMS[..3]), ALL_SUCCESS, Stops::Failed);
            sim.change(&written(body, list));
            let went = went_on(sim, Asks::From("files"));
            let again = if body == CALLS { "again" } else { "work+last" };
            let expected: Vec<String> = ran
                .split_whitespace()
                .map(|item| format!("{item} {again}"))
                .collect();
            let expected = (expected.join(", "), kept, said.to_owned());
            assert_eq!(went, expected, "{list:?}");
        }
    }
}

/// From an earlier step on, whatever reads that step runs again: of a fan-out over its output, every item but the one that a person
/// cancelled, whose value is the same.
#[test]
fn b373_from_the_list_on_every_item_runs_again_but_the_cancelled_one() {
    let at = |ran: &str| {
        let items = ["0", "1", "3", "4", "5"];
        items.map(|item| format!("{item} {ran}")).join(", ")
    };
    let (again, members) = (at("again"), at("work+last"));
    for (body, ran) in [(CALLS, &again), (MEMBERS, &members)] {
        for (join, said) in [(ALL_DONE, ONE_SAID), (ALL_SUCCESS, ONE_FAILED)] {
            let row = (
                join,
                Stops::Paused,
                Asks::From("list"),
                ran.as_str(),
                1,
                said,
            );
            check(body, &[row]);
        }
    }
}

/// The list runs again and has another value where a person cancelled an item: that is another item.
#[test]
fn b373_another_item_in_the_place_of_a_cancelled_one_runs() {
    for (body, ran) in [(CALLS, "again"), (MEMBERS, "work+last")] {
        let mut sim = stopped(body, ALL_SUCCESS, Stops::Failed);
        sim.retry(Some("list"));
        let before = sim.calls.len();
        sim.run_graph(script(&["completed", "failed", "new"]));
        let calls = sim.calls[before..].iter();
        let ran_again = calls.filter(|call| call.starts_with("files[2]"));
        assert_eq!(ran_again.count(), ran.split('+').count(), "{ran}");
        assert_eq!(sim.status(), Status::Completed);
    }
}

/// A run that began under a program which began such an item anew goes on so, or its journal would not replay.
#[test]
fn an_older_run_works_at_a_cancelled_item_again() {
    let body = CALLS.replace("JOIN", ALL_DONE);
    for (mut sim, ran) in [(Sim::of_old(&body), true), (Sim::new(&body), false)] {
        let list = sim.start_all().pop().unwrap();
        sim.end(&list, ok(json!(["a"])));
        assert_eq!(sim.start_all()[0].path, "files[0]");
        sim.cancel_item("files[0]").unwrap();
        sim.run_graph(|_| fail("red"));
        assert_eq!(sim.status(), Status::Failed);
        let before = sim.calls.len();
        sim.retry(Some("list"));
        sim.run_graph(script(&["a"]));
        let again = sim.calls[before..].iter().any(|call| call == "files[0]");
        assert_eq!(again, ran);
    }
}

/// In an item that runs again, an item inside of it stays cancelled.
#[test]
fn b373_a_cancelled_item_inside_an_item_that_runs_again_stays_cancelled() {
    const BODY: &str = r#"
[[step]]
id = "outer"
foreach = { items = "['x', 'y']" }
[[step]]
id = "inner"
in = "outer"
use = "p/inner"
foreach = { items = "['a', 'b']", join = "all_done" }
with = { item = "${ item }" }
[[step]]
id = "last"
in = "outer"
use = "p/last"
"#;
    for from in [
        None,
        Some("outer[0]"),
        Some("outer[0]/inner"),
        Some("outer"),
    ] {
        let mut sim = Sim::new(BODY);
        for attempt in sim.start_all() {
            match attempt.path.as_str() {
                "outer[0]/inner[1]" => sim.cancel_item(&attempt.path).unwrap(),
                _ => sim.end(&attempt, ok(attempt.input.clone())),
            }
        }
        sim.run_graph(|attempt| match attempt.path.as_str() {
            "outer[0]/last" => fail("red"),
            _ => ok(json!(1)),
        });
        assert_eq!(sim.status(), Status::Failed);
        let before = sim.calls.len();
        sim.retry(from);
        sim.run_graph(|_| ok(json!(1)));
        let again = |path: &str| sim.calls[before..].iter().any(|call| call == path);
        assert!(again("outer[0]/last"), "{from:?}");
        assert!(!again("outer[0]/inner[1]"), "{from:?}");
        assert_eq!(sim.status(), Status::Completed, "{from:?}");
    }
}
