//! Runs that start other runs: who drives those, what their end does, and what becomes of all of them together.

use std::fs;
use std::sync::Arc;

use milepost::engine::{
    ApprovalDecision, Control, EngineError, OnChange, Request, ResumeOptions, StopAnswer, Wanted,
};
use milepost::record;
use milepost::report::RunReport;
use milepost::store::{Family, Filter, RunRow};
use milepost_core::ids::{Path, RunId};
use milepost_core::outcome::codes;
use milepost_core::request::stop::Demand;
use milepost_core::state::Status;
use milepost_core::stop::{StopCode, Why};
use milepost_core::wait::Verdict;
use milepost_tests::faulty::{FaultyStore, dead_process};
use milepost_tests::now::Now as _;
use milepost_tests::rig::{Rig, START, r1};
use milepost_tests::scripted::{Gate, Script, at, fail, ok, pause};
use serde_json::{Value, json};

use super::{block_on, count, steps};

/// `before`, a child run, `after`.
const PARENT: &str = "
returns = '${ steps.after.output }'
[[step]]
id = 'before'
use = 'p/before'
[[step]]
id = 'child'
workflow = 'c.toml'
with = { n = 3 }
[[step]]
id = 'after'
use = 'p/after'
with = { got = '${ steps.child.output }' }
";

pub(super) const CHILD: &str = "
returns = '${ steps.inner.output }'
[inputs.n]
type = 'int'
[[step]]
id = 'inner'
use = 'p/inner'
with = { n = '${ inputs.n }' }
";

fn script() -> Script {
    Script::new()
        .step("inner", |call| {
            ok(json!(call.input["n"].as_i64().unwrap() * 2))
        })
        .step("after", |call| ok(call.input["got"].clone()))
}

/// A parent whose child is this one.
fn rig(child: &str, script: &Script) -> Rig {
    rig_of(PARENT, &[("c.toml", child)], script)
}

pub(crate) fn rig_of(parent: &str, files: &[(&str, &str)], script: &Script) -> Rig {
    let rig = Rig::sqlite(parent, script);
    for (name, body) in files {
        write(&rig, name, body);
    }
    rig
}

fn write(rig: &Rig, name: &str, body: &str) {
    let (top, tables) = body.split_at(body.find('[').unwrap_or(0));
    let text =
        format!("schema = 1\nname = \"{name}\"\n{top}[plugins.p]\nsource = \"p.wasm\"\n{tables}");
    fs::write(rig.file().with_file_name(name), text).unwrap();
}

pub(super) fn children(rig: &Rig, of: &RunId) -> Vec<RunRow> {
    let filter = Filter {
        family: Family::ChildrenOf(of.clone()),
        ..Filter::default()
    };
    rig.store.list(&filter).now().unwrap().rows
}

/// The only child of `r1`.
fn child(rig: &Rig) -> RunRow {
    let mut children = children(rig, &r1());
    let child = children.pop().expect("a child");
    assert!(children.is_empty(), "more than one child");
    child
}

pub(super) fn row(rig: &Rig, run: &RunId) -> RunRow {
    rig.store.row(run).now().unwrap().unwrap()
}

async fn resume(rig: &Rig, on_change: OnChange) -> Result<RunReport, EngineError> {
    let options = ResumeOptions {
        on_change,
        ..ResumeOptions::default()
    };
    rig.engine().resume(&r1(), options).await
}

fn decision(verdict: Verdict) -> ApprovalDecision {
    ApprovalDecision {
        path: None,
        verdict,
        comment: None,
        by: None,
    }
}

#[tokio::test(start_paused = true)]
async fn b366_whoever_runs_a_parent_drives_its_child_to_the_end() {
    let script = script();
    let rig = rig(CHILD, &script);
    let report = rig.run().await.unwrap();
    assert_eq!(
        (report.status, report.output),
        (Status::Completed, json!(6))
    );
    assert_eq!(script.calls(), ["before", "inner", "after"]);
    let child = child(&rig);
    assert_eq!(
        (child.status, child.parent),
        (Status::Completed, Some(r1()))
    );
    let state = record::load(rig.store.as_ref(), &child.id)
        .now()
        .unwrap()
        .state;
    let parent = state.created().parent.clone().unwrap();
    assert_eq!(
        (parent.run, parent.path.to_string()),
        (r1(), "child".to_owned())
    );
    assert_eq!(*state.inputs().value(), json!({ "n": 3 }));
    assert!(rig.store.inbox(&r1(), 10).now().unwrap().is_empty());
    let replayed = rig.replay().await.unwrap();
    assert!(replayed.is_same(), "{replayed:?}");
    assert_eq!((replayed.attempts, replayed.children[0].attempts), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn b366_workers_take_parent_and_child_as_ordinary_runs() {
    let script = script();
    let rig = rig(CHILD, &script);
    rig.submit("r1").await;
    rig.work().await;
    assert_eq!(rig.row().status, Status::Completed);
    assert_eq!(child(&rig).status, Status::Completed);
    assert_eq!(script.calls(), ["before", "inner", "after"]);
    // A parent that only waits is paused meanwhile, and costs nothing.
    assert_eq!(count(&rig.events(), "run_paused"), 1);
    assert!(rig.replay().await.unwrap().is_same());
}

#[tokio::test(start_paused = true)]
async fn a_child_comes_with_the_first_commit_of_its_parent() {
    let body = "[[step]]\nid = 'child'\nworkflow = 'c.toml'\nwith = { n = 1 }\n";
    let rig = rig_of(body, &[("c.toml", CHILD)], &script());
    let report = rig.run().await.unwrap();
    assert_eq!(
        (report.status, report.output),
        (Status::Completed, json!(2))
    );
}

#[tokio::test(start_paused = true)]
async fn b367_children_have_children_and_a_value_comes_back_through_all_of_them() {
    let files: Vec<(String, String)> = (1..=8)
        .map(|level| {
            let body = match level {
                8 => CHILD.to_owned(),
                _ => format!(
                    "returns = '${{ steps.down.output }}'\n[inputs.n]\ntype = 'int'\n[[step]]\nid = 'down'\n\
                     workflow = 'c{}.toml'\nwith = {{ n = '${{ inputs.n + 1 }}' }}\n",
                    level + 1
                ),
            };
            (format!("c{level}.toml"), body)
        })
        .collect();
    let files: Vec<_> = files
        .iter()
        .map(|(n, b)| (n.as_str(), b.as_str()))
        .collect();
    let rig = rig_of(&PARENT.replace("c.toml", "c1.toml"), &files, &script());
    let report = rig.run().await.unwrap();
    assert_eq!(
        (report.status, report.output),
        (Status::Completed, json!(20))
    );
    let all = rig.store.list(&Filter::default()).now().unwrap().rows;
    assert_eq!(all.len(), 9);
    assert!(rig.replay().await.unwrap().is_same());
}

#[tokio::test(start_paused = true)]
async fn b366_a_failed_child_fails_the_step_and_each_resume_drives_it_again_once() {
    let script = script().step("inner", |call| match call.attempt {
        1 | 2 => fail("red"),
        _ => ok(json!("green")),
    });
    let rig = rig(CHILD, &script);
    for (tries, status) in [
        (1, Status::Failed),
        (2, Status::Failed),
        (3, Status::Completed),
    ] {
        let report = match tries {
            1 => rig.run().await.unwrap(),
            _ => rig.resume().await.unwrap(),
        };
        assert_eq!(report.status, status, "{tries}");
        assert_eq!(count(&calls(&script), "inner"), tries);
        if status == Status::Failed {
            let error = report.steps[1].error.clone().unwrap();
            assert_eq!(error.code, codes::CHILD_FAILED);
            assert!(
                error.message.ends_with("failed: inner: red happened"),
                "{}",
                error.message
            );
        }
    }
    assert_eq!(count(&calls(&script), "before"), 1);
    assert_eq!(child(&rig).status, Status::Completed);
    assert!(rig.replay().await.unwrap().is_same());
}

fn calls(script: &Script) -> Vec<&'static str> {
    let calls = script.calls();
    let known = ["before", "inner", "after"];
    calls
        .iter()
        .filter_map(|call| known.into_iter().find(|name| name == call))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn b366_a_worker_drives_the_failed_child_of_a_resumed_parent() {
    let script = script().step("inner", |call| match call.attempt {
        1 => fail("red"),
        _ => ok(json!("green")),
    });
    let rig = rig(CHILD, &script);
    rig.submit("r1").await;
    rig.work().await;
    assert_eq!(rig.row().status, Status::Failed);
    // Whoever resumes it dies as soon as the resume is recorded.
    let store = FaultyStore::dying_after(Arc::clone(&rig.store), 1);
    let store = Arc::new(store.owned_by(dead_process()));
    let engine = rig.engine_on(Arc::clone(&store) as _);
    store
        .kills(engine.resume(&r1(), ResumeOptions::default()))
        .await;
    rig.work().await;
    assert_eq!(rig.row().status, Status::Completed);
    assert_eq!(count(&calls(&script), "inner"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_a_child_can_be_handled() {
    let script = script().step("inner", |_| fail("red"));
    let parent = PARENT.replace(
        "with = { n = 3 }",
        "with = { n = 3 }\ncontinue_on_error = true",
    );
    let parent = parent.replace("steps.child.output", "steps.child.error.code");
    let rig = rig_of(&parent, &[("c.toml", CHILD)], &script);
    let report = rig.run().await.unwrap();
    assert_eq!(report.status, Status::Completed);
    assert_eq!(report.output, json!(codes::CHILD_FAILED));
}

pub(super) const GATE: &str = "
returns = '${ steps.ask.output.decision }'
[inputs.n]
type = 'int'
[[step]]
id = 'ask'
approval = { message = 'Go on?' }
";

#[tokio::test(start_paused = true)]
async fn b368_a_child_at_a_gate_pauses_its_parent_and_is_the_one_to_be_asked() {
    let rig = rig(GATE, &script());
    let report = rig.run().await.unwrap();
    assert_eq!(report.status, Status::Paused);
    let gate = child(&rig).id;
    let stop = report.stop.unwrap();
    assert_eq!(stop.why, Why::WaitingForChild { run: gate.clone() });
    let told = report.steps[1].child.clone().unwrap();
    assert_eq!(
        (told.run, told.status),
        (gate.clone(), Some(Status::Paused))
    );
    let why = told.stop.map(|stop| stop.code());
    assert_eq!(why, Some(StopCode::WaitingForApproval));
    let engine = rig.engine();
    let before = rig.row();
    for path in [None, Some("child".to_owned())] {
        let decision = ApprovalDecision {
            path,
            ..decision(Verdict::Approved)
        };
        match engine.decide_approval(&r1(), &decision).await {
            Err(EngineError::AtChild { child, wanted, .. }) => {
                assert_eq!((child, wanted), (gate.clone(), Wanted::Decision));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(rig.row(), before, "a refusal changes nothing");
    engine
        .decide_approval(&gate, &decision(Verdict::Approved))
        .await
        .unwrap();
    rig.work().await;
    assert_eq!(rig.row().status, Status::Completed);
    assert_eq!(
        rig.engine().report(&r1()).await.unwrap().output,
        json!("approved")
    );
}

#[tokio::test(start_paused = true)]
async fn b368_a_signal_for_a_child_is_refused_with_the_child_that_waits_for_it() {
    let waits = "[inputs.n]\ntype = 'int'\n[[step]]\nid = 'go'\nwait = { signal = 'go' }\n";
    let middle =
        "[inputs.n]\ntype = 'int'\n[[step]]\nid = 'd'\nworkflow = 'deep.toml'\nwith = { n = 1 }\n";
    let rig = rig_of(
        PARENT,
        &[("c.toml", middle), ("deep.toml", waits)],
        &script(),
    );
    assert_eq!(rig.run().await.unwrap().status, Status::Paused);
    let deep = children(&rig, &child(&rig).id).pop().unwrap().id;
    match rig.engine().signal(&r1(), "go", &json!(1)).await {
        Err(EngineError::AtChild { child, wanted, .. }) => {
            assert_eq!(
                (child, wanted),
                (deep.clone(), Wanted::Signal("go".to_owned()))
            );
        }
        other => panic!("{other:?}"),
    }
    rig.engine().signal(&deep, "go", &json!(1)).await.unwrap();
    rig.work().await;
    assert_eq!(rig.row().status, Status::Completed);
}

/// It does not wait yet: its workflow says that it will.
#[tokio::test(start_paused = true)]
async fn b368_a_signal_is_refused_with_the_child_that_will_wait_for_it() {
    let waits = "[inputs.n]\ntype = 'int'\n[[step]]\nid = 'inner'\nuse = 'p/inner'\n[[step]]\nid = 'go'\nwait = { signal = 'go' }\n";
    let script = script().step("inner", |_| pause("quota"));
    let rig = rig(waits, &script);
    assert_eq!(rig.run().await.unwrap().status, Status::Paused);
    let run = child(&rig).id;
    match rig.engine().signal(&r1(), "go", &json!(1)).await {
        Err(EngineError::AtChild { child, wanted, .. }) => {
            assert_eq!(
                (child, wanted),
                (run.clone(), Wanted::Signal("go".to_owned()))
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(rig.store.inbox_size(&r1()).now().unwrap().signals, 0);
}

#[tokio::test(start_paused = true)]
async fn b368_a_resume_of_the_parent_drives_a_paused_child_on() {
    let script = script().step("inner", |call| match call.attempt {
        1 => pause("later"),
        _ => ok(json!(1)),
    });
    let rig = rig(CHILD, &script);
    let report = rig.run().await.unwrap();
    assert_eq!(report.stop.unwrap().code(), StopCode::WaitingForChild);
    assert_eq!(rig.resume().await.unwrap().status, Status::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_pause_of_this_process_pauses_parent_and_child_and_a_resume_moves_both() {
    let gate = Gate::default();
    let script = script().held_once("inner", &gate);
    let rig = rig(CHILD, &script);
    let control = Control::default();
    let engine = rig.engine();
    let mut run = Box::pin(rig.run_on(&engine, control.clone()));
    gate.holds(&mut run).await;
    control.ask(Request::new(Demand::PauseNow, "SIGINT"));
    assert_eq!(run.await.unwrap().status, Status::Paused);
    assert_eq!(child(&rig).stop_code.as_deref(), Some("interrupted"));
    gate.open();
    let report = rig.resume().await.unwrap();
    assert_eq!(
        (report.status, report.output),
        (Status::Completed, json!(6))
    );
}

/// A parent, its child, and a child of that, which waits.
fn deep_rig() -> Rig {
    let waits = "[[step]]\nid = 'go'\nwait = { signal = 'go' }\n";
    let middle = "[inputs.n]\ntype = 'int'\n[[step]]\nid = 'd'\nworkflow = 'deep.toml'\n";
    rig_of(
        PARENT,
        &[("c.toml", middle), ("deep.toml", waits)],
        &script(),
    )
}

#[tokio::test(start_paused = true)]
async fn b369_cancelling_a_parent_cancels_all_that_it_has_started_first() {
    let rig = deep_rig();
    rig.run().await.unwrap();
    let middle = child(&rig).id;
    let deep = children(&rig, &middle).pop().unwrap().id;
    let ended = rig.engine().end_family(&r1(), false, "ann").await.unwrap();
    assert_eq!(ended.answer, StopAnswer::Done(Status::Cancelled));
    assert_eq!(ended.children, [deep.clone(), middle.clone()]);
    assert!(ended.kept.is_empty() && !ended.more && ended.strands.is_none());
    for run in [&r1(), &middle, &deep] {
        assert_eq!(row(&rig, run).status, Status::Cancelled, "{run}");
    }
    // Nobody has anything left to do, and nothing goes on.
    rig.work().await;
    assert_eq!(script_calls(&rig), ["before"]);
    let again = rig.engine().end_family(&r1(), false, "ann").await.unwrap();
    assert_eq!(again.answer, StopAnswer::Already(Status::Cancelled));
    assert!(again.children.is_empty());
}

fn script_calls(rig: &Rig) -> Vec<String> {
    rig.script.calls()
}

#[tokio::test(start_paused = true)]
async fn b369_cancelling_a_child_says_whom_it_strands_and_fails_the_step() {
    let rig = deep_rig();
    rig.run().await.unwrap();
    let middle = child(&rig).id;
    let ended = rig
        .engine()
        .end_family(&middle, false, "ann")
        .await
        .unwrap();
    let strands = ended.strands.unwrap();
    assert_eq!(
        (strands.run, strands.path.to_string()),
        (r1(), "child".to_owned())
    );
    rig.work().await;
    assert_eq!(rig.row().status, Status::Failed);
    let report = rig.engine().report(&r1()).await.unwrap();
    assert_eq!(
        report.steps[1].error.clone().unwrap().code,
        codes::CHILD_CANCELLED
    );
    // What was cancelled does not come back: another run follows.
    rig.resume().await.unwrap();
    assert_eq!(children(&rig, &r1()).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn b369_a_parent_that_was_cancelled_while_it_moved_ends_what_it_had_started() {
    let gate = Gate::default();
    let script = script().held_once("inner", &gate);
    let body = "flow = 'graph'\n[[step]]\nid = 'child'\nworkflow = 'c.toml'\nwith = { n = 1 }\n[[step]]\nid = 'long'\nuse = 'p/long'\n";
    let held = Gate::default();
    let script = script.held("long", &held);
    let rig = rig_of(body, &[("c.toml", CHILD)], &script);
    let engine = rig.engine();
    let mut run = Box::pin(rig.run_on(&engine, Control::default()));
    gate.holds(&mut run).await;
    let asked = async {
        let ended = rig.engine().end_family(&r1(), true, "ann").await.unwrap();
        assert_eq!(ended.answer, StopAnswer::Asked);
    };
    let (report, ()) = tokio::join!(run, asked);
    assert_eq!(report.unwrap().status, Status::Cancelled);
    assert_eq!(child(&rig).status, Status::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn a_tree_is_removed_whole_or_not_at_all() {
    let rig = deep_rig();
    rig.run().await.unwrap();
    let middle = child(&rig).id;
    let deep = children(&rig, &middle).pop().unwrap().id;
    let over = [Status::Completed, Status::Cancelled];
    let engine = rig.engine();
    engine.end_family(&deep, false, "ann").await.unwrap();
    let later = rig
        .row()
        .updated_at
        .after(std::time::Duration::from_secs(60));
    for pretend in [true, false] {
        let collected = engine.collect(later, &over, pretend).await.unwrap();
        assert!(collected.runs.is_empty(), "{collected:?}");
    }
    engine.end_family(&r1(), false, "ann").await.unwrap();
    let all = [r1(), middle, deep];
    for pretend in [true, false] {
        let collected = engine.collect(later, &over, pretend).await.unwrap();
        assert_eq!(collected.runs, all, "{pretend}");
    }
    for run in &all {
        assert!(rig.store.row(run).now().unwrap().is_none(), "{run}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_changed_child_workflow_is_shown_and_taken_only_when_a_person_says_so() {
    let script = script().step("inner", |_| fail("red"));
    let rig = rig(CHILD, &script);
    rig.run().await.unwrap();
    write(&rig, "c.toml", &CHILD.replace("p/inner", "p/mended"));
    let file = rig.file().with_file_name("c.toml").display().to_string();
    match resume(&rig, OnChange::Ask).await {
        Err(EngineError::Changed { changes, .. }) => {
            assert!(changes.definition.is_none());
            let (old, new) = changes.children[&file].definition.clone().unwrap();
            assert!(old.contains("p/inner") && new.contains("p/mended"));
            let shown = changes.to_string();
            assert!(shown.contains(&format!("{file} on disk")), "{shown}");
        }
        other => panic!("{other:?}"),
    }
    let report = resume(&rig, OnChange::AsStarted).await.unwrap();
    assert_eq!(report.status, Status::Failed);
    script.answer("mended", |call| {
        ok(json!(call.input["n"].as_i64().unwrap() + 1))
    });
    let report = resume(&rig, OnChange::Accept).await.unwrap();
    assert_eq!(
        (report.status, report.output),
        (Status::Completed, json!(4))
    );
    assert_eq!(children(&rig, &r1()).len(), 1, "the same child went on");
    assert!(rig.replay().await.unwrap().is_same());
}

/// A child that stands still is frozen with its parent, and goes on with what that carries from now on; so does a child of it.
#[tokio::test(start_paused = true)]
async fn changes_that_are_accepted_for_a_parent_reach_its_paused_children() {
    let pauses = CHILD.to_owned();
    let asks = "returns = '${ steps.inner.output }'\n[inputs.n]\ntype = 'int'\n[[step]]\nid = 'inner'\napproval = { message = 'go on?' }\n".to_owned();
    for (name, child) in [("a component", pauses), ("an approval", asks)] {
        let script = script().step("inner", |_| pause("quota"));
        let middle = "returns = '${ steps.d.output }'\n[inputs.n]\ntype = 'int'\n[[step]]\nid = 'd'\nworkflow = 'deep.toml'\nwith = { n = '${ inputs.n }' }\n";
        let files = [("c.toml", middle), ("deep.toml", &child)];
        let rig = rig_of(PARENT, &files, &script);
        assert_eq!(rig.run().await.unwrap().status, Status::Paused, "{name}");
        let mended = CHILD.replace("p/inner", "p/mended");
        write(&rig, "deep.toml", &mended);
        script.answer("mended", |call| {
            ok(json!(call.input["n"].as_i64().unwrap() + 1))
        });
        let asked = resume(&rig, OnChange::Ask).await;
        assert!(matches!(asked, Err(EngineError::Changed { .. })), "{name}");
        let report = resume(&rig, OnChange::AsStarted).await.unwrap();
        assert_eq!(report.status, Status::Paused, "{name}");
        let report = resume(&rig, OnChange::Accept).await.unwrap();
        assert_eq!(
            (report.status, report.output),
            (Status::Completed, json!(4)),
            "{name}"
        );
        let middle = child_of(&rig, &r1());
        let deep = child_of(&rig, &middle);
        for run in [&middle, &deep] {
            let state = record::load(rig.store.as_ref(), run).now().unwrap().state;
            assert_ne!(
                (&state.created().children, state.created().definition),
                (&state.binding().children, state.binding().definition),
                "{name}"
            );
        }
        assert!(rig.replay().await.unwrap().is_same(), "{name}");
    }
}

/// The only child of a run.
fn child_of(rig: &Rig, run: &RunId) -> RunId {
    let mut children = children(rig, run);
    assert_eq!(children.len(), 1);
    children.remove(0).id
}

#[tokio::test(start_paused = true)]
async fn a_run_carries_its_children_whatever_the_disk_holds() {
    let rig = rig(CHILD, &script());
    rig.submit("r1").await;
    fs::write(rig.file(), "no definition").unwrap();
    fs::remove_file(rig.file().with_file_name("c.toml")).unwrap();
    rig.work().await;
    assert_eq!(rig.row().status, Status::Completed);
}

#[tokio::test(start_paused = true)]
async fn an_id_belongs_to_one_version_of_the_children_too() {
    let rig = rig(CHILD, &script());
    rig.run().await.unwrap();
    assert_eq!(rig.run().await.unwrap().status, Status::Completed);
    write(&rig, "c.toml", &CHILD.replace("p/inner", "p/other"));
    let refused = rig.run().await;
    assert!(
        matches!(refused, Err(EngineError::StartedOtherwise { .. })),
        "{refused:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_retry_from_a_step_before_starts_another_child() {
    let rig = rig(CHILD, &script());
    rig.run().await.unwrap();
    let from: Path = "child".parse().unwrap();
    let retried = rig
        .engine()
        .retry(&r1(), Some(&from), ResumeOptions::default())
        .await;
    assert!(
        matches!(retried, Err(EngineError::NotResumable { .. })),
        "a completed run stays"
    );
    let script = script().step("after", |_| fail("red"));
    let rig = self::rig(CHILD, &script);
    rig.run().await.unwrap();
    script.answer("after", at);
    rig.engine()
        .retry(&r1(), Some(&from), ResumeOptions::default())
        .await
        .unwrap();
    assert_eq!(children(&rig, &r1()).len(), 2);
    assert_eq!(count(&calls(&script), "inner"), 2);
}

/// Lets the process that runs a parent die after so many commits, one more each time until it lives, and others drive it to its
/// end, with this output. Returns how often it died.
pub(super) fn wherever_it_dies(
    rig: impl Fn() -> Rig,
    output: &Value,
    check: impl Fn(&Rig, usize),
) -> usize {
    let survives = |last: &usize| {
        let last = *last;
        block_on(async {
            let rig = rig();
            let store = FaultyStore::dying_after(Arc::clone(&rig.store), last);
            let store = Arc::new(store.owned_by(dead_process()));
            let engine = rig.engine_on(Arc::clone(&store) as _);
            let run = rig.run_on(&engine, Control::default());
            let survived = tokio::select! {
                biased;
                report = run => Some(report.unwrap().status),
                () = store.died() => None,
            };
            drop(engine);
            if survived.is_none() && rig.store.row(&r1()).now().unwrap().is_none() {
                assert_eq!(last, 0);
                return false;
            }
            rig.work().await;
            let report = rig.engine().report(&r1()).await.unwrap();
            assert_eq!(
                (report.status, &report.output),
                (Status::Completed, output),
                "{last}"
            );
            check(&rig, last);
            assert!(rig.replay().await.unwrap().is_same(), "{last}");
            survived.is_some()
        })
    };
    (0..).find(survives).unwrap()
}

/// Whatever the process had committed when it died, others come to the same end, with one child and each step once.
#[test]
fn b366_parent_and_child_come_to_their_end_wherever_the_process_dies() {
    let rig = || rig(CHILD, &script());
    let deaths = wherever_it_dies(rig, &json!(6), |rig, last| {
        assert_eq!(child(rig).status, Status::Completed, "{last}");
        let completed = |name| count(&rig.events(), name);
        assert_eq!(
            (completed("child_ended"), completed("step_completed")),
            (1, 2),
            "{last}"
        );
    });
    assert!(deaths > 6, "{deaths}");
}

#[tokio::test(start_paused = true)]
async fn a_child_that_was_removed_by_hand_fails_its_step() {
    let rig = rig(GATE, &script());
    rig.run().await.unwrap();
    let gate = child(&rig);
    rig.engine()
        .end_family(&gate.id, false, "ann")
        .await
        .unwrap();
    let gate = row(&rig, &gate.id);
    rig.store.delete(&gate.id, gate.seq).now().unwrap();
    rig.work().await;
    let report = rig.engine().report(&r1()).await.unwrap();
    let error = report.steps[1].error.clone().unwrap();
    assert_eq!(error.code, codes::CHILD_FAILED, "{}", error.message);
    assert!(error.message.ends_with("is gone"), "{}", error.message);
}

#[tokio::test]
async fn b367_workflows_that_start_each_other_are_refused_file_by_file() {
    let child = |file: &str| format!("[[step]]\nid = 's'\nworkflow = '{file}'\n");
    let open = |files: &[(&str, &str)]| {
        let rig = rig_of(&child("a.toml"), files, &script());
        match rig.engine().open(rig.file()) {
            Ok(_) => panic!("it was opened"),
            Err(error) => error.to_string(),
        }
    };
    let problem = open(&[
        ("a.toml", &child("sub/../b.toml")),
        ("b.toml", &child("./a.toml")),
    ]);
    for part in ["MP0233", "a.toml` -> `", "b.toml` -> `", "a.toml`"] {
        assert!(problem.contains(part), "{problem}");
    }
    let problem = open(&[("a.toml", &child("test.toml"))]);
    assert!(
        problem.contains("MP0233") && problem.contains("test.toml` -> `"),
        "{problem}"
    );
    let names: Vec<String> = (0..10).map(|n| format!("d{n}.toml")).collect();
    let bodies: Vec<String> = (1..11).map(|n| child(&format!("d{n}.toml"))).collect();
    let mut files: Vec<(&str, &str)> = names
        .iter()
        .map(String::as_str)
        .zip(bodies.iter().map(String::as_str))
        .collect();
    let first = child("d0.toml");
    files.push(("a.toml", &first));
    let end = steps(&["x"]);
    files.push(("d10.toml", &end));
    let problem = open(&files);
    assert!(
        problem.contains("MP0234") && problem.contains("d6.toml` -> `"),
        "{problem}"
    );
    let problem = open(&[]);
    assert!(problem.contains("MP0231"), "{problem}");
    let problem = open(&[("a.toml", "[[step]]\nid = 's'\nuse = 'q/x'\n")]);
    assert!(
        problem.contains("MP0232") && problem.contains("a.toml:7:7: there is no plugin `q`"),
        "{problem}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_a_step_ends_the_child_that_it_waits_for_and_what_that_has_started() {
    let waits = "[[step]]\nid = 'go'\nwait = { signal = 'go' }\n";
    let middle = "[inputs.n]\ntype = 'int'\n[[step]]\nid = 'd'\nworkflow = 'deep.toml'\n";
    let parent = PARENT.replace("with = { n = 3 }", "with = { n = 3 }\ndeadline = '10m'");
    let files = [("c.toml", middle), ("deep.toml", waits)];
    let rig = rig_of(&parent, &files, &script());
    rig.run().await.unwrap();
    let middle = child(&rig).id;
    let deep = children(&rig, &middle).pop().unwrap().id;
    rig.clock
        .set(START.after(std::time::Duration::from_secs(599)));
    rig.work().await;
    assert_eq!(rig.row().status, Status::Paused);
    rig.clock
        .set(START.after(std::time::Duration::from_secs(600)));
    rig.work().await;
    let report = rig.engine().report(&r1()).await.unwrap();
    let error = report.steps[1].error.clone().unwrap();
    assert_eq!(
        (report.status, error.code.as_str()),
        (Status::Failed, codes::DEADLINE_EXCEEDED)
    );
    for run in [&middle, &deep] {
        assert_eq!(row(&rig, run).status, Status::Cancelled);
    }
    // The step has its whole time again, with another run.
    rig.resume().await.unwrap();
    assert_eq!(rig.row().status, Status::Paused);
    assert_eq!(children(&rig, &r1()).len(), 2);
    assert!(rig.replay().await.unwrap().is_same());
}

/// The process dies when the end of the step is recorded, before the child is ended: whoever drives the parent next ends it.
#[tokio::test(start_paused = true)]
async fn a_child_that_a_lost_process_left_is_ended_by_the_next_one() {
    let parent = PARENT.replace("with = { n = 3 }", "with = { n = 3 }\ndeadline = '10m'");
    let rig = rig_of(&parent, &[("c.toml", GATE)], &script());
    rig.run().await.unwrap();
    let left = child(&rig).id;
    rig.clock
        .set(START.after(std::time::Duration::from_secs(600)));
    for writes in 1.. {
        let store = FaultyStore::dying_after(Arc::clone(&rig.store), writes);
        let store = Arc::new(store.owned_by(dead_process()));
        let engine = rig.engine_on(Arc::clone(&store) as _);
        store
            .kills(engine.resume(&r1(), ResumeOptions::default()))
            .await;
        if rig.row().status == Status::Failed {
            break;
        }
        assert!(writes < 9);
    }
    assert_eq!(row(&rig, &left).status, Status::Paused);
    rig.resume().await.unwrap();
    assert_eq!(row(&rig, &left).status, Status::Cancelled);
    assert_eq!(children(&rig, &r1()).len(), 2);
}

/// A child with a loop whose second iteration fails at first.
#[tokio::test(start_paused = true)]
async fn a_retry_of_the_parent_begins_the_failed_loops_of_its_child_anew() {
    let body = "[inputs.n]\ntype = 'int'\n[[step]]\nid = 'again'\nloop = { until = 'loop.iteration == 2 && steps.inner.status == \"completed\"', max_iterations = 2 }\n\
                [[step]]\nid = 'inner'\nin = 'again'\nuse = 'p/inner'\nwith = { n = '${ loop.iteration }' }\n";
    // A resume leaves a loop whose iterations are used up as it is.
    let ways = [(false, Status::Failed, 2), (true, Status::Completed, 4)];
    for (retries, status, calls) in ways {
        let called = std::sync::atomic::AtomicU32::new(0);
        let script = script().step("inner", move |_| {
            match called.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
                1 => fail("red"),
                _ => ok(json!(1)),
            }
        });
        let rig = rig(body, &script);
        assert_eq!(rig.run().await.unwrap().status, Status::Failed);
        let engine = rig.engine();
        let report = match retries {
            true => engine.retry(&r1(), None, ResumeOptions::default()).await,
            false => engine.resume(&r1(), ResumeOptions::default()).await,
        };
        assert_eq!(report.unwrap().status, status, "{retries}");
        let inner = script_calls(&rig);
        let inner = inner.iter().filter(|call| call.ends_with("inner"));
        assert_eq!(inner.count(), calls, "{retries}");
    }
}
