//! What was imported goes on when somebody says so, and never by itself.

use std::time::Duration;

use milepost::bundle::{BundleError, Imported};
use milepost::engine::ResumeOptions;
use milepost::store::Filter;
use milepost_core::ids::RunId;
use milepost_core::state::Status;
use milepost_core::stop::StopCode;
use milepost_tests::now::Now as _;
use milepost_tests::rig::{Rig, r1};
use milepost_tests::scripted::{Gate, Script, error, ok, pause};
use serde_json::json;

use super::{export, import};
use crate::engine::{rig_of, steps};

const NAPS: &str =
    "[[step]]\nid = 'nap'\nwait = { for = '48h' }\n[[step]]\nid = 'last'\nuse = 'p/last'\n";
const WAITS: &str = "[[step]]\nid = 'go'\nwait = { signal = 'go', timeout = '2h' }\n[[step]]\nid = 'last'\nuse = 'p/last'\n";

/// The run of `rig` on another machine, where a worker looks after everything for a month.
async fn carried_over(rig: &Rig) -> (Rig, Imported) {
    let file = export(rig.store.as_ref(), &r1());
    let other = Rig::sqlite("", &rig.script);
    let imported = import(other.store.as_ref(), &file).unwrap();
    let rows = || other.store.list(&Filter::default()).now().unwrap().rows;
    let (before, calls) = (rows(), other.script.calls());
    for _ in 0..3 {
        other.clock.advance(Duration::from_secs(10 * 24 * 60 * 60));
        other.work().await;
        other.sweep().await;
    }
    assert_eq!(rows(), before, "nothing moved");
    assert_eq!(other.script.calls(), calls, "nothing was called");
    (other, imported)
}

#[tokio::test(start_paused = true)]
async fn a_run_that_was_at_work_is_paused_and_goes_on_when_somebody_resumes_it() {
    let gate = Gate::default();
    let rig = Rig::sqlite(&steps(&["a", "b"]), &Script::new().held_once("b", &gate));
    let mut run = Box::pin(rig.run());
    gate.holds(&mut run).await;
    let (other, imported) = carried_over(&rig).await;
    assert_eq!(
        (imported.status, &imported.held),
        (Status::Paused, &vec![r1()])
    );
    let report = other.engine().report(&r1()).await.unwrap();
    assert_eq!(report.stop.unwrap().code(), StopCode::Interrupted);
    let resumed = other.engine().resume(&r1(), ResumeOptions::default()).await;
    assert_eq!(resumed.unwrap().status, Status::Completed);
    assert!(other.replay().await.unwrap().is_same());
    gate.open();
    run.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_pending_run_is_not_taken_by_a_worker() {
    let rig = Rig::sqlite(&steps(&["a"]), &Script::new());
    rig.submit("r1").await;
    let (other, imported) = carried_over(&rig).await;
    assert_eq!((imported.status, imported.held.len()), (Status::Paused, 1));
    let resumed = other.engine().resume(&r1(), ResumeOptions::default()).await;
    assert_eq!(resumed.unwrap().status, Status::Completed);
    assert!(other.replay().await.unwrap().is_same());
}

#[tokio::test(start_paused = true)]
async fn what_is_due_or_waits_is_held_where_it_stands() {
    let quota = Script::new().step("a", |call| match call.attempt {
        1..=9 => error(milepost_core::outcome::ErrorClass::Retryable, "busy"),
        _ => ok(json!(1)),
    });
    for (body, script) in [
        (NAPS, &Script::new()),
        (WAITS, &Script::new()),
        (&*steps(&["a"]), &quota),
    ] {
        let rig = Rig::sqlite(body, script);
        let run = tokio::time::timeout(Duration::from_secs(3600), rig.run()).await;
        assert_eq!(run.unwrap().unwrap().status, Status::Paused);
        let (other, imported) = carried_over(&rig).await;
        let moves = rig.row().due_at.is_some();
        assert_eq!(imported.held.len(), usize::from(moves), "{body}");
        let resumed = other.engine().resume(&r1(), ResumeOptions::default()).await;
        assert!(resumed.is_ok(), "{body}: {resumed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_stands_or_is_over_is_as_it_was() {
    let script = Script::new().step("a", |call| match call.attempt {
        1 => pause("quota"),
        _ => ok(json!(1)),
    });
    let rig = Rig::sqlite(&steps(&["a"]), &script);
    assert_eq!(rig.run().await.unwrap().status, Status::Paused);
    let before = rig.row().seq;
    let (other, imported) = carried_over(&rig).await;
    assert!(imported.held.is_empty());
    assert_eq!(other.row().seq, before);
}

#[tokio::test(start_paused = true)]
async fn a_family_stands_still_until_somebody_resumes_it() {
    let parent =
        "[[step]]\nid = 'child'\nworkflow = 'c.toml'\n[[step]]\nid = 'after'\nuse = 'p/after'\n";
    let rig = rig_of(parent, &[("c.toml", NAPS)], &Script::new());
    assert_eq!(rig.run().await.unwrap().status, Status::Paused);
    let (other, imported) = carried_over(&rig).await;
    assert_eq!(imported.held.len(), 2);
    let child: RunId = imported
        .held
        .iter()
        .find(|run| **run != r1())
        .unwrap()
        .clone();
    other
        .engine()
        .resume(&child, ResumeOptions::default())
        .await
        .unwrap();
    assert_eq!(
        other.row().status,
        Status::Paused,
        "the parent is still held"
    );
    let resumed = other.engine().resume(&r1(), ResumeOptions::default()).await;
    assert_eq!(resumed.unwrap().status, Status::Completed);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_newer_or_older_than_the_run_that_is_there_is_told_apart_from_another_record()
 {
    let gate = Gate::default();
    let rig = Rig::sqlite(&steps(&["a", "b"]), &Script::new().held_once("b", &gate));
    let mut run = Box::pin(rig.run());
    gate.holds(&mut run).await;
    let early = export(rig.store.as_ref(), &r1());
    gate.open();
    run.await.unwrap();
    let late = export(rig.store.as_ref(), &r1());
    let events = rig.journal().len() as u64;
    // Imported while it was at work, so that an import stopped it.
    let other = Rig::sqlite("", &rig.script);
    import(other.store.as_ref(), &early).unwrap();
    let behind = import(other.store.as_ref(), &late);
    assert!(
        matches!(&behind, Err(BundleError::Behind { there, file, .. }) if *there < events && *file == events),
        "{behind:?}"
    );
    assert_eq!(import(other.store.as_ref(), &early).unwrap().there, 1);
    // Somebody went on with it there, and so did the other one.
    let resumed = other.engine().resume(&r1(), ResumeOptions::default()).await;
    assert_eq!(resumed.unwrap().status, Status::Completed);
    let differs = import(other.store.as_ref(), &late);
    assert!(
        matches!(&differs, Err(BundleError::Exists { .. })),
        "{differs:?}"
    );
    // An older file of a run that is there brings nothing.
    let third = Rig::sqlite("", &rig.script);
    import(third.store.as_ref(), &late).unwrap();
    let older = import(third.store.as_ref(), &early).unwrap();
    assert_eq!(
        (older.runs, older.there, older.status),
        (0, 1, Status::Completed)
    );
}
