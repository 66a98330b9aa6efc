//! Steps that start child runs: which run, with what, and what its end makes of the step and of its run.

use milepost_core::decide::{ChildStanding, child_gone, child_run, child_standing};
use milepost_core::event::{ClaimCause, Entry, Event, Parent, RunCreated, RunEvent};
use milepost_core::ids::{Digest, Epoch, Path, RunId};
use milepost_core::labels::Labels;
use milepost_core::outcome::codes;
use milepost_core::payload::Payload;
use milepost_core::request::resume::ResumeBy;
use milepost_core::rules::Rules;
use milepost_core::state::{ChildRun, RunState, Status, StepPhase, StepRecord};
use milepost_core::stop::{Came, Failure, Stop, StopCode, Why};
use milepost_core::wait::Wait;
use serde_json::{Value, json};

use crate::sim::{Sim, fail, ok};
use crate::waits::{around, fine, secs};

const CHILD: &str = "workflow = \"c.toml\"\nwith = { n = 3 }";

/// How a child run goes.
pub(crate) enum Goes {
    Runs,
    Completes(Value),
    Fails,
    IsCancelled,
}

/// The run that the step `id` waits for, after it has gone like this.
pub(crate) fn child(sim: &Sim, id: &str, goes: &[Goes]) -> RunState {
    let (path, run) = (record(sim, id).path().clone(), run_of(sim, id));
    let created = RunCreated {
        run,
        workflow: "test".to_owned(),
        definition: Digest::of(b""),
        file: "/w/c.toml".to_owned(),
        plugins: [].into(),
        inputs: Payload::new(json!({})),
        seed: 1,
        rules: Rules::PRESENT,
        children: [].into(),
        parent: Some(Parent {
            run: sim.state.created().run.clone(),
            path,
        }),
        redacted: Vec::new(),
        fork: None,
        labels: Labels::default(),
    };
    let entry = |seq, epoch, event: RunEvent| Entry {
        seq,
        at: sim.now,
        epoch: Epoch(epoch),
        event: event.into(),
    };
    let mut state = RunState::create(&entry(1, 0, RunEvent::Created(created))).unwrap();
    for goes in goes {
        let epoch = state.epoch().0;
        let claim = RunEvent::Claimed {
            owner: "w".to_owned(),
            cause: ClaimCause::Start,
        };
        // A run that failed and goes on is claimed anew; how it was resumed does not matter here.
        if state.phase().status() == Status::Failed {
            let resumed = milepost_core::event::RunResumed {
                cause: milepost_core::event::ResumeCause::Resume,
                reset: Vec::new(),
                reopened: Vec::new(),
                closed: Vec::new(),
                paused: Vec::new(),
                items: milepost_core::event::ItemsAgain::default(),
                completed: 0,
                cleared: None,
            };
            let event = RunEvent::Resumed(resumed);
            state.apply(&entry(state.seq() + 1, epoch, event)).unwrap();
        }
        state
            .apply(&entry(state.seq() + 1, epoch + 1, claim))
            .unwrap();
        let failure = Failure {
            path: "s".parse().unwrap(),
            code: "red".to_owned(),
            message: "it broke".to_owned(),
        };
        let event = match goes {
            Goes::Runs => continue,
            Goes::Completes(output) => RunEvent::Completed {
                output: Payload::new(output.clone()),
            },
            Goes::Fails => RunEvent::Failed {
                stop: Stop::new(Why::StepFailed {
                    failures: vec![failure],
                    more: 0,
                }),
            },
            Goes::IsCancelled => RunEvent::Cancelled {
                stop: Stop::cancelled_by("ann"),
            },
        };
        state
            .apply(&entry(state.seq() + 1, epoch + 1, event))
            .unwrap();
    }
    state
}

/// What is recorded of a step, or of an item such as `files[1]`.
fn record<'a>(sim: &'a Sim, id: &str) -> &'a StepRecord {
    let record = sim.state.executions().latest(&path(id));
    record.expect("it was touched")
}

pub(crate) fn run_of(sim: &Sim, id: &str) -> RunId {
    record(sim, id).child().expect("it has a child").run.clone()
}

pub(crate) fn ended(sim: &Sim, id: &str, child: &RunState) -> Event {
    match child_standing(&sim.state, record(sim, id).path(), child) {
        ChildStanding::Ended(event) => event,
        other => panic!("{other:?}"),
    }
}

/// A paused run whose step `w` waits for its child.
fn waiting() -> Sim {
    let mut sim = Sim::new(&around(CHILD));
    sim.run(fine);
    assert_eq!(sim.status(), Status::Paused);
    sim
}

pub(crate) fn path(text: &str) -> Path {
    text.parse().unwrap()
}

#[test]
fn b366_a_step_starts_a_child_run_and_waits_for_it() {
    let sim = waiting();
    let [started] = &sim.children[..] else {
        panic!("{:?}", sim.children);
    };
    assert_eq!(started.file, "/w/c.toml");
    assert_eq!(*started.inputs.value(), json!({ "n": 3, "tag": "x" }));
    let stop = sim.stop();
    let run = started.run.clone();
    assert_eq!(stop.why, Why::WaitingForChild { run });
    assert_eq!((stop.path, stop.due_at), (Some(path("w")), None));
    let StepPhase::Awaiting {
        wait: Wait::Child { run, .. },
    } = sim.step("w").phase()
    else {
        panic!("{:?}", sim.step("w"));
    };
    assert_eq!(*run, started.run);
    assert!(sim.state.moves_by_itself());
    let awaited: Vec<_> = sim.state.awaited_children().collect();
    assert_eq!(awaited.len(), 1);
    assert_eq!(
        sim.state.awaited().next(),
        None,
        "no signal of a person ends it"
    );
}

#[test]
fn b366_the_id_of_a_child_follows_from_its_parent_and_the_path() {
    let (one, other) = (RunId::new("r1").unwrap(), RunId::new("r2").unwrap());
    let ids = [
        child_run(&one, &path("w"), 1),
        child_run(&one, &path("w"), 2),
        child_run(&one, &path("l#2/w"), 1),
        child_run(&one, &path("l#3/w"), 1),
        child_run(&other, &path("w"), 1),
    ];
    assert_eq!(ids[0], waiting().children[0].run);
    for (at, id) in ids.iter().enumerate() {
        assert!(!ids[..at].contains(id), "{id}");
    }
}

#[test]
fn b366_the_output_of_the_child_is_that_of_the_step() {
    let mut sim = waiting();
    let running = child(&sim, "w", &[Goes::Runs]);
    let standing = child_standing(&sim.state, &path("w"), &running);
    assert_eq!(standing, ChildStanding::Open);
    let done = child(&sim, "w", &[Goes::Completes(json!({ "text": "t" }))]);
    let event = ended(&sim, "w", &done);
    sim.record(event);
    assert_eq!(sim.output("w"), json!({ "text": "t" }));
    let stop = sim.stop();
    assert_eq!(stop.why, Why::Ready(Came::Child(run_of(&sim, "w"))));
    assert!(stop.due_at.is_some());
    sim.work(ResumeBy::Wait).run(fine);
    assert_eq!(sim.status(), Status::Completed);
    assert_eq!(sim.calls, ["a", "b"]);
    assert_eq!(sim.step("w").attempts(), 1);
}

#[test]
fn a_child_that_ends_while_the_run_moves_is_taken_before_it_pauses() {
    let mut sim = Sim::new(&around(CHILD));
    let first = sim.next_attempt().unwrap();
    sim.end(&first, ok(json!({})));
    sim.move_once();
    let done = child(&sim, "w", &[Goes::Completes(json!(null))]);
    let event = ended(&sim, "w", &done);
    sim.record(event);
    assert_eq!(sim.output("w"), json!(null));
    sim.run(fine);
    assert_eq!(sim.status(), Status::Completed);
}

#[test]
fn b366_a_failed_child_fails_the_step_with_its_stop_and_goes_on_once_per_request() {
    let mut sim = waiting();
    let first = run_of(&sim, "w");
    let failed = child(&sim, "w", &[Goes::Fails]);
    let event = ended(&sim, "w", &failed);
    sim.record(event);
    let error = sim.error("w");
    assert_eq!(error.code, codes::CHILD_FAILED);
    assert_eq!(
        error.message,
        format!("the child run `{first}` failed: s: it broke")
    );
    sim.work(ResumeBy::Wait).run(fine);
    assert_eq!(
        sim.failures(),
        [("w".to_owned(), codes::CHILD_FAILED.to_owned())]
    );
    // The same run goes on, and only where it stood does its failure not count.
    sim.resume().run(fine);
    assert_eq!(sim.status(), Status::Paused);
    assert_eq!(run_of(&sim, "w"), first);
    assert_eq!(sim.children.len(), 2);
    let standing = child_standing(&sim.state, &path("w"), &failed);
    assert_eq!(standing, ChildStanding::ToGoOn);
    let again = child(&sim, "w", &[Goes::Fails, Goes::Fails]);
    let event = ended(&sim, "w", &again);
    sim.record(event);
    sim.work(ResumeBy::Wait).run(fine);
    assert_eq!(sim.status(), Status::Failed);
    sim.resume().run(fine);
    let done = [Goes::Fails, Goes::Fails, Goes::Completes(json!(1))];
    let done = child(&sim, "w", &done);
    let event = ended(&sim, "w", &done);
    sim.record(event);
    sim.work(ResumeBy::Wait).run(fine);
    assert_eq!(
        (sim.status(), sim.output("w")),
        (Status::Completed, json!(1))
    );
    assert_eq!(sim.step("w").attempts(), 1);
}

#[test]
fn a_child_that_a_person_drove_on_by_hand_is_taken_at_the_next_resume() {
    let mut sim = waiting();
    let event = ended(&sim, "w", &child(&sim, "w", &[Goes::Fails]));
    sim.record(event);
    sim.work(ResumeBy::Wait).run(fine).resume().run(fine);
    let done = child(&sim, "w", &[Goes::Fails, Goes::Completes(json!(2))]);
    let event = ended(&sim, "w", &done);
    sim.record(event);
    assert_eq!(sim.output("w"), json!(2));
}

#[test]
fn b369_a_cancelled_child_fails_the_step_and_is_followed_by_another_run() {
    let mut sim = waiting();
    let first = run_of(&sim, "w");
    let event = ended(&sim, "w", &child(&sim, "w", &[Goes::IsCancelled]));
    sim.record(event);
    let error = sim.error("w");
    assert_eq!(error.code, codes::CHILD_CANCELLED);
    assert_eq!(
        error.message,
        format!("the child run `{first}` was cancelled by ann")
    );
    sim.work(ResumeBy::Wait).run(fine).resume().run(fine);
    let second = run_of(&sim, "w");
    assert_eq!(second, child_run(&RunId::new("r1").unwrap(), &path("w"), 2));
    assert_eq!(sim.step("w").attempts(), 2);
}

#[test]
fn a_child_that_completed_is_not_used_again_when_its_step_runs_again() {
    let mut sim = waiting();
    let event = ended(&sim, "w", &child(&sim, "w", &[Goes::Completes(json!(1))]));
    sim.record(event);
    sim.work(ResumeBy::Wait)
        .run(|attempt| match &*attempt.step {
            "b" => fail("red"),
            _ => ok(json!({})),
        });
    assert_eq!(sim.status(), Status::Failed);
    sim.retry(Some("w")).run(fine);
    assert_eq!(sim.step("w").attempts(), 2);
    assert_ne!(sim.children[0].run, sim.children[1].run);
    assert_ne!(sim.children[0].seed, sim.children[1].seed);
}

#[test]
fn a_failed_child_that_is_given_other_inputs_is_another_run() {
    let body = around("workflow = \"c.toml\"\nwith = { n = \"${ steps.a.output.n }\" }");
    let mut sim = Sim::new(&body);
    sim.run(|_| ok(json!({ "n": 1 })));
    let event = ended(&sim, "w", &child(&sim, "w", &[Goes::Fails]));
    sim.record(event);
    sim.work(ResumeBy::Wait).run(fine);
    sim.retry(Some("a")).run(|_| ok(json!({ "n": 2 })));
    assert_eq!(sim.step("w").attempts(), 2);
    assert_eq!(
        *sim.children[1].inputs.value(),
        json!({ "n": 2, "tag": "x" })
    );
}

#[test]
fn a_child_that_is_gone_fails_its_step() {
    let mut sim = waiting();
    let run = run_of(&sim, "w");
    sim.record(child_gone(&path("w"), &run));
    assert_eq!(
        sim.error("w").message,
        format!("the child run `{run}` is gone")
    );
}

#[test]
fn only_the_end_of_the_run_that_it_waits_for_settles_a_step() {
    let mut sim = waiting();
    let other = RunId::new("other").unwrap();
    assert!(sim.try_record(child_gone(&path("w"), &other)).is_err());
    let run = run_of(&sim, "w");
    assert!(sim.try_record(child_gone(&path("b"), &run)).is_err());
    sim.record(child_gone(&path("w"), &run));
    assert!(sim.try_record(child_gone(&path("w"), &run)).is_err());
}

#[test]
fn b376_what_does_not_fit_the_inputs_of_the_child_fails_the_step() {
    for (given, message) in [
        (
            "${ steps.a.output.n }",
            "input `n` must be of type int, `\"one\"` is not",
        ),
        (
            "${ steps.a.output.?gone.orValue(null) }",
            "input `n` must be of type int, `null` is not",
        ),
    ] {
        let body = around(&format!(
            "workflow = \"c.toml\"\nwith = {{ n = \"{given}\" }}"
        ));
        let mut sim = Sim::new(&body);
        sim.run(|_| ok(json!({ "n": "one" })));
        let error = sim.error("w");
        assert_eq!(error.code, codes::INPUTS_UNFIT, "{given}");
        assert!(error.message.contains(message), "{}", error.message);
        assert!(sim.children.is_empty());
    }
}

#[test]
fn a_held_parent_stays_where_it_is_when_its_child_ends() {
    let mut sim = waiting();
    sim.hold();
    let event = ended(&sim, "w", &child(&sim, "w", &[Goes::Completes(json!(1))]));
    sim.record(event);
    assert!(sim.state.is_held());
    assert_eq!(sim.output("w"), json!(1));
    sim.resume().run(fine);
    assert_eq!(sim.status(), Status::Completed);
}

#[test]
fn children_of_a_graph_run_side_by_side_and_each_end_moves_the_run_on() {
    let mut sim = Sim::new(
        "flow = \"graph\"\n[[step]]\nid = \"x\"\nworkflow = \"c.toml\"\nwith = { n = 1 }\n[[step]]\nid = \"y\"\nworkflow = \"c.toml\"\n\
         with = { n = 2 }\n[[step]]\nid = \"after\"\nuse = \"p/a\"\nneeds = [\"y\"]\n",
    );
    sim.run_graph(fine);
    assert_eq!(sim.children.len(), 2);
    assert_eq!(sim.stop().path, Some(path("x")));
    let event = ended(&sim, "y", &child(&sim, "y", &[Goes::Completes(json!(2))]));
    sim.record(event);
    assert_eq!(sim.stop().code(), StopCode::Ready);
    sim.work(ResumeBy::Wait).run_graph(fine);
    assert_eq!(sim.calls, ["after"]);
    assert_eq!(sim.stop().path, Some(path("x")));
    let event = ended(&sim, "x", &child(&sim, "x", &[Goes::Completes(json!(1))]));
    sim.record(event);
    sim.work(ResumeBy::Wait).run_graph(fine);
    assert_eq!(sim.status(), Status::Completed);
}

#[test]
fn a_child_in_a_loop_is_another_run_in_each_iteration() {
    let mut sim = Sim::new(
        "[[step]]\nid = \"l\"\nloop = { until = \"loop.iteration == 2\" }\n[[step]]\nid = \"w\"\nin = \"l\"\nworkflow = \"c.toml\"\n\
         with = { n = \"${ loop.iteration }\" }\n",
    );
    sim.run(fine);
    for iteration in 1..=2 {
        assert_eq!(sim.step("w").path().to_string(), format!("l#{iteration}/w"));
        let event = ended(
            &sim,
            "w",
            &child(&sim, "w", &[Goes::Completes(json!(iteration))]),
        );
        sim.record(event);
        sim.work(ResumeBy::Wait).run(fine);
    }
    assert_eq!(sim.status(), Status::Completed);
    assert_ne!(sim.children[0].run, sim.children[1].run);
}

#[test]
fn a_child_is_recorded_as_its_step_has_it() {
    let mut sim = waiting();
    let event = ended(&sim, "w", &child(&sim, "w", &[Goes::Fails]));
    sim.record(event);
    let known: ChildRun = sim.step("w").child().unwrap().clone();
    assert_eq!((known.made, known.failed_at, known.over), (1, 3, false));
}

#[test]
fn the_deadline_of_a_step_leaves_its_child_run_and_another_one_follows() {
    let around_loop = "loop = { until = \"true\" }\ndeadline = \"1m\"\n[[step]]\nid = \"in\"\nin = \"w\"\nworkflow = \"c.toml\"\nwith = { n = 3 }";
    for (step, waits) in [
        (format!("{CHILD}\ndeadline = \"1m\""), "w"),
        (around_loop.to_owned(), "in"),
    ] {
        let mut sim = Sim::new(&around(&step));
        sim.run(fine);
        let left = run_of(&sim, waits);
        let due = sim.stop().due_at;
        assert_eq!(due, Some(sim.now.after(secs(60))));
        assert!(sim.state.left_children().next().is_none());
        sim.pass_to_due().work(ResumeBy::Wait).run(fine);
        assert_eq!(sim.status(), Status::Failed);
        assert_eq!(sim.error("w").code, codes::DEADLINE_EXCEEDED);
        assert!(sim.state.left_children().eq([&left]));
        sim.resume().run(fine);
        assert_ne!(run_of(&sim, waits), left);
        assert!(sim.state.left_children().next().is_none());
        let event = ended(
            &sim,
            waits,
            &child(&sim, waits, &[Goes::Completes(json!(1))]),
        );
        sim.record(event);
        sim.work(ResumeBy::Wait).run(fine);
        assert_eq!(sim.status(), Status::Completed);
    }
}

#[test]
fn a_step_that_ends_the_run_leaves_the_child_runs_beside_it() {
    let mut sim = Sim::new(
        "flow = \"graph\"\n[[step]]\nid = \"w\"\nworkflow = \"c.toml\"\nwith = { n = 1 }\n[[step]]\nid = \"a\"\nuse = \"p/a\"\n\
         [[step]]\nid = \"done\"\nneeds = [\"a\"]\nend = { status = \"completed\" }\n",
    );
    sim.run_graph(fine);
    assert_eq!(sim.status(), Status::Completed);
    assert!(sim.state.left_children().eq([&run_of(&sim, "w")]));
}
