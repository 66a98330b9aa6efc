//! Graphs: members start when what they need is settled, several at once, and what comes of them does not depend on who is faster.

use milepost_core::event::{Event, Skip, StepEvent};
use milepost_core::outcome::Outcome;
use milepost_core::state::{Status, StepResult};
use serde_json::json;

use super::sim::{Attempt, Sim, fail, ok};
use super::waits::secs;

fn done(attempt: &Attempt) -> Outcome {
    Outcome::Completed(json!({ "at": attempt.path }))
}

/// A graph of calls: `a`, or `c: a b`, one a line, each with further keys behind `|`.
fn graph(lines: &str) -> String {
    let mut text = "flow = \"graph\"\n".to_owned();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (head, keys) = line.split_once('|').unwrap_or((line, ""));
        let (id, needs) = head.split_once(':').unwrap_or((head, ""));
        let needs: Vec<_> = needs.split_whitespace().collect();
        text.push_str(&format!(
            "[[step]]\nid = \"{id}\"\nuse = \"p/{id}\"\nneeds = {needs:?}\n{keys}\n",
            id = id.trim()
        ));
    }
    text
}

/// What came of every step, in file order: `+` completed, `-` failed, `o` skipped, `?` not settled.
fn outcomes(sim: &Sim) -> String {
    let steps = sim.definition.steps().iter();
    let outcome = |record: Option<&milepost_core::state::StepRecord>| match record
        .and_then(|record| record.settled())
        .map(|settled| &settled.result)
    {
        Some(StepResult::Completed { .. }) => '+',
        Some(StepResult::Failed { .. }) => '-',
        Some(StepResult::Skipped) => 'o',
        None => '?',
    };
    steps
        .map(|step| outcome(sim.state.executions().of(&step.id)))
        .collect()
}

#[test]
fn b325_members_start_when_what_they_need_is_settled_and_not_before() {
    let mut sim = Sim::new(&graph("a\nb\nc: a b\nd: a\ne: c d"));
    let mut layers = Vec::new();
    loop {
        let started = sim.start_all();
        if started.is_empty() {
            break;
        }
        let names = started.iter().map(|attempt| attempt.path.clone());
        layers.push(names.collect::<Vec<_>>().join(" "));
        for attempt in started {
            let outcome = done(&attempt);
            sim.end(&attempt, outcome);
        }
    }
    assert_eq!(layers, ["a b", "c d", "e"]);
    assert_eq!(sim.state.phase().status(), Status::Completed);
}

#[test]
fn a_member_starts_as_soon_as_what_it_needs_is_settled() {
    let mut sim = Sim::new(&graph("a\nb\nc: a\nd: b"));
    let started = sim.start_all();
    assert_eq!(started.len(), 2);
    sim.end(&started[1], done(&started[1]));
    let next = sim.start_all();
    assert_eq!(next.len(), 1);
    assert_eq!(next[0].path, "d", "b has ended, and a is still at work");
}

#[test]
fn as_many_attempts_are_in_flight_as_there_may_be_in_the_order_of_the_file() {
    let lines = "z\ny\nx\nw: z\nv";
    for (most, first) in [(1, "z"), (2, "z y"), (3, "z y x"), (8, "z y x v")] {
        let text = format!("{}[limits]\nparallel = {most}\n", graph(lines));
        let mut sim = Sim::new(&text);
        let mut flying = sim.start_all();
        let names: Vec<_> = flying.iter().map(|attempt| attempt.path.as_str()).collect();
        assert_eq!(names.join(" "), first);
        let mut ended = 0;
        while !flying.is_empty() {
            assert!(flying.len() <= most, "{most}");
            let attempt = flying.remove(0);
            sim.end(&attempt, done(&attempt));
            ended += 1;
            flying.extend(sim.start_all());
        }
        assert_eq!((ended, outcomes(&sim).as_str()), (5, "+++++"));
    }
}

#[test]
fn b327_b328_a_join_says_which_outcomes_let_a_step_run() {
    // The steps that it needs complete, fail, fail and are handled, or are skipped.
    let lines = "ok\nbad\nhandled | continue_on_error = true\nskipped | if = \"false\"\n";
    let all = [
        "all_success",
        "one_success",
        "none_failed_min_one_success",
        "all_done",
    ];
    for (needs, runs) in [
        ("", "++++"),
        ("ok", "++++"),
        ("handled", "++++"),
        ("bad", "ooo+"),
        ("skipped", "ooo+"),
        ("ok handled", "++++"),
        ("ok bad", "o+o+"),
        ("ok skipped", "o++"),
        ("bad skipped", "ooo+"),
        ("handled skipped", "o++"),
        ("ok bad skipped", "o+o+"),
    ] {
        let runs = format!("{runs:+<4}");
        for (join, expected) in all.iter().zip(runs.chars()) {
            let key = match needs {
                "" => String::new(),
                _ => format!("join = {join:?}"),
            };
            let mut sim = Sim::new(&graph(&format!("{lines}last: {needs} | {key}")));
            sim.run_graph(|attempt| match attempt.step.as_str() {
                "bad" | "handled" => fail("no"),
                _ => done(attempt),
            });
            let found = outcomes(&sim);
            assert_eq!(
                found.chars().last(),
                Some(expected),
                "{join} of {needs:?}: {found}"
            );
            // The same as a table, for whoever tells people why.
            let last = sim.definition.steps().last().expect("there are steps");
            let of = |kinds: &[&str]| {
                let needs = needs.split_whitespace();
                needs.filter(|need| kinds.contains(need)).count()
            };
            let (succeeded, failed, skipped) =
                (of(&["ok", "handled"]), of(&["bad"]), of(&["skipped"]));
            assert_eq!(
                last.join.lets_run(succeeded, failed, skipped),
                expected == '+',
                "{join} of {needs:?}"
            );
        }
    }
}

#[test]
fn b329_the_event_of_a_skipped_step_says_why() {
    let mut sim = Sim::new(&graph(
        "no | if = \"false\"\nbad\nafter: no bad\nlast: after",
    ));
    sim.run_graph(|attempt| match attempt.step.as_str() {
        "bad" => fail("no"),
        _ => done(attempt),
    });
    let skips = sim.journal.iter().filter_map(|entry| match &entry.event {
        Event::Step {
            path,
            event: StepEvent::Skipped(skip),
        } => Some((path.to_string(), skip.clone())),
        _ => None,
    });
    let join = |needs: &[&str]| Skip::Join {
        needs: needs.iter().map(|id| id.parse().unwrap()).collect(),
    };
    let expected = [
        ("no", Skip::Condition("false".to_owned())),
        ("after", join(&["no", "bad"])),
        ("last", join(&["after"])),
    ];
    let expected = expected.map(|(path, skip)| (path.to_owned(), skip));
    assert_eq!(skips.collect::<Vec<_>>(), expected);
}

#[test]
fn b331_a_failed_step_does_not_keep_the_others_from_running_unless_it_should_stop_them() {
    let lines = "bad\nslow\nnext: slow\nlast: bad";
    for (key, expected) in [
        ("", "-++o"),
        ("on_failure = \"finish\"\n", "-++o"),
        ("on_failure = \"stop\"\n", "-+??"),
    ] {
        let mut sim = Sim::new(&format!("{key}{}", graph(lines)));
        // `bad` ends first: what is in flight then ends, too.
        sim.run_graph(|attempt| match attempt.step.as_str() {
            "bad" => fail("no"),
            _ => done(attempt),
        });
        assert_eq!(outcomes(&sim), expected, "{key}");
        assert_eq!(sim.state.phase().status(), Status::Failed);
    }
}

#[test]
fn b327_every_join_over_every_ending_of_three_dependencies() {
    // How a dependency can end, with what it counts as.
    let endings = [
        ("{}", '+'),
        ("{} | continue_on_error = true", '+'),
        ("{}", '-'),
        ("{} | if = \"false\"", 'o'),
        ("{}: never", 'o'),
    ];
    for case in 0..125 {
        let drawn = [case % 5, case / 5 % 5, case / 25];
        let ids = ["a", "b", "c"];
        let lines = ids.iter().zip(drawn);
        let lines = lines.map(|(id, ending)| endings[ending].0.replace("{}", id));
        let lines: Vec<_> = lines.collect();
        let counts = |wanted| {
            let found = drawn.iter().filter(|ending| endings[**ending].1 == wanted);
            found.count()
        };
        let (succeeded, failed) = (counts('+'), counts('-'));
        for (join, runs) in [
            ("all_success", succeeded == 3),
            ("one_success", succeeded >= 1),
            ("none_failed_min_one_success", failed == 0 && succeeded >= 1),
            ("all_done", true),
        ] {
            let lines = lines.join("\n");
            let text = graph(&format!(
                "never | if = \"false\"\n{lines}\nlast: a b c | join = {join:?}"
            ));
            let mut sim = Sim::new(&text);
            sim.run_graph(|attempt| {
                let at = ids.iter().position(|id| attempt.step == *id);
                match at.map(|at| drawn[at]) {
                    Some(1 | 2) => fail("no"),
                    _ => done(attempt),
                }
            });
            let last = outcomes(&sim).pop();
            assert_eq!(
                last,
                Some(if runs { '+' } else { 'o' }),
                "{join} of {drawn:?}"
            );
        }
    }
}

#[test]
fn a_call_waits_until_it_is_known_what_comes_before_it() {
    let mut sim = Sim::new(
        "flow = \"graph\"\n[limits]\nparallel = 1\n\
         [[step]]\nid = \"first\"\nuse = \"p/first\"\n\
         [[step]]\nid = \"again\"\nloop = { until = \"loop.iteration == 2\" }\nneeds = [\"first\"]\n\
         [[step]]\nid = \"member\"\nin = \"again\"\nuse = \"p/member\"\n\
         [[step]]\nid = \"not\"\nuse = \"p/not\"\nif = \"false\"\n\
         [[step]]\nid = \"last\"\nuse = \"p/last\"\n",
    );
    sim.run_graph(done);
    assert_eq!(
        sim.calls,
        ["first", "again#1/member", "again#2/member", "last"]
    );
    // A step that does not run needs no place to be skipped.
    assert_eq!(sim.events()[..2], ["step_skipped", "step_started"]);
}

#[test]
fn an_approval_that_ends_the_run_interrupts_what_is_in_flight() {
    let mut sim = Sim::new(
        "flow = \"graph\"\n\
         [[step]]\nid = \"gate\"\napproval = { message = \"Go?\", timeout = \"1h\" }\n\
         [[step]]\nid = \"slow\"\nuse = \"p/slow\"\n",
    );
    assert_eq!(sim.start_all().len(), 1);
    sim.pass(std::time::Duration::from_secs(3_600)).start_all();
    assert_eq!(sim.status(), Status::Cancelled);
    let last = sim.events().len() - 2;
    assert_eq!(sim.events()[last..], ["step_interrupted", "run_cancelled"]);
}

#[test]
fn what_has_not_begun_does_not_begin_beside_a_failure_that_stops_it() {
    let mut sim = Sim::new(
        "flow = \"graph\"\non_failure = \"stop\"\n\
         [[step]]\nid = \"late\"\nwait = { signal = \"go\", timeout = \"30s\" }\n\
         [[step]]\nid = \"call\"\nuse = \"p/s\"\n\
         [[step]]\nid = \"then\"\nneeds = [\"call\"]\nwait = { signal = \"go\" }\n",
    );
    let attempt = sim.start_all().remove(0);
    sim.pass(secs(31));
    sim.end(&attempt, ok(json!({})));
    assert!(sim.start_all().is_empty());
    assert!(!sim.has_record("then"));
    assert_eq!(sim.status(), Status::Failed);
}
