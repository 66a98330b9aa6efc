//! The workflow on disk is no longer the one that the run carries.

use milepost_tests::now::Now as _;
use std::fs;
use std::sync::Arc;

use milepost::engine::{Changes, EngineError, OnChange, ResumeOptions};
use milepost::report::RunReport;
use milepost::workflow::OpenError;
use milepost_core::event::{DefinitionChanged, Event, RunEvent};
use milepost_core::ids::StepId;
use milepost_core::state::Status;
use milepost_tests::faulty::FaultyStore;
use milepost_tests::rig::{Rig, r1};
use milepost_tests::scripted::{Script, at, fail};

use super::steps;

/// A run of the steps a, b and c that failed at b, which would now complete.
async fn stopped() -> Rig {
    let script = Script::new().step("b", |call| match call.attempt {
        1 => fail("broken"),
        _ => at(call),
    });
    let rig = Rig::sqlite(&steps(&["a", "b", "c"]), &script);
    assert_eq!(rig.run().await.unwrap().status, Status::Failed);
    rig
}

async fn accept(rig: &Rig) -> Result<RunReport, EngineError> {
    let options = ResumeOptions {
        on_change: OnChange::Accept,
        ..ResumeOptions::default()
    };
    rig.engine().resume(&r1(), options).await
}

fn changes(answer: Result<RunReport, EngineError>) -> Changes {
    match answer {
        Err(EngineError::Changed { changes, .. }) => *changes,
        other => panic!("{other:?}"),
    }
}

fn dropped(rig: &Rig) -> Vec<StepId> {
    let mut changed = rig
        .journal()
        .into_iter()
        .filter_map(|entry| match entry.event {
            Event::Run(RunEvent::DefinitionChanged(DefinitionChanged { dropped, .. })) => {
                Some(dropped)
            }
            _ => None,
        });
    let dropped = changed.next().unwrap();
    assert_eq!(changed.next(), None, "it is recorded once");
    dropped
}

#[tokio::test]
async fn b128_an_edited_definition_is_refused_with_a_diff() {
    let rig = stopped().await;
    let stands = (rig.row(), rig.journal());
    rig.edit(&steps(&["a", "b", "d"]));
    let changes = changes(rig.resume().await);
    assert!(changes.plugins.is_empty());
    expect_test::expect![[r#"
        --- the run's definition
        +++ the definition on disk
        @@ -10,4 +10,4 @@
         use = "p/b"
         [[step]]
        -id = "c"
        -use = "p/c"
        +id = "d"
        +use = "p/d"
    "#]]
    .assert_eq(&changes.to_string());
    assert_eq!((rig.row(), rig.journal()), stands);
}

#[tokio::test]
async fn b128_a_rebuilt_component_is_refused_by_name() {
    let rig = stopped().await;
    let stands = (rig.row(), rig.journal());
    rig.script.rebuild();
    let changes = changes(rig.resume().await);
    assert_eq!(changes.definition, None);
    let text = changes.to_string();
    let (old, new) = changes.plugins["p"];
    assert_eq!(
        text,
        format!("component `p`: {} -> {}\n", old.unwrap(), new.unwrap())
    );
    assert_ne!(old, new);
    assert_eq!((rig.row(), rig.journal()), stands);
}

#[tokio::test]
async fn b127_accepted_changes_are_recorded_and_name_what_they_drop() {
    let mut rig = stopped().await;
    rig.edit(&steps(&["new", "b", "c"]));
    rig.script.rebuild();
    let report = accept(&rig).await.unwrap();
    assert_eq!(report.status, Status::Completed);
    assert_eq!(rig.script.calls(), ["a", "b", "new", "b", "c"]);
    assert_eq!(dropped(&rig), ["a".parse().unwrap()]);
    assert_ne!(report.definition, {
        let Event::Run(RunEvent::Created(created)) = &rig.journal()[0].event else {
            unreachable!()
        };
        created.definition
    });
    rig.reopen();
    assert_eq!(
        rig.engine().report(&r1()).now().unwrap(),
        report,
        "the new text was kept with the run"
    );
}

#[tokio::test]
async fn b128_what_was_accepted_once_need_not_be_accepted_again() {
    let rig = stopped().await;
    rig.script.answer("c", |_| fail("broken too"));
    rig.script.rebuild();
    rig.edit(&format!(
        "description = 'edited'\n{}",
        steps(&["a", "b", "c"])
    ));
    assert_eq!(accept(&rig).await.unwrap().status, Status::Failed);
    rig.script.answer("c", at);
    assert_eq!(rig.resume().await.unwrap().status, Status::Completed);
    assert!(dropped(&rig).is_empty());
}

#[tokio::test]
async fn accepting_where_nothing_changed_records_no_change() {
    let rig = stopped().await;
    assert_eq!(accept(&rig).await.unwrap().status, Status::Completed);
    assert!(!rig.events().contains(&"definition_changed"));
}

#[tokio::test]
async fn a_deleted_definition_is_served_from_the_run() {
    let rig = stopped().await;
    fs::remove_file(rig.file()).unwrap();
    let answer = accept(&rig).await;
    assert!(
        matches!(answer, Err(EngineError::Open(OpenError::Unreadable { .. }))),
        "there is nothing to accept: {answer:?}"
    );
    assert_eq!(rig.resume().await.unwrap().status, Status::Completed);
}

#[tokio::test]
async fn an_edit_that_is_not_valid_is_refused_and_the_run_stands() {
    let rig = stopped().await;
    let stands = rig.journal();
    rig.edit("[[step]]\nid = 'a'\n");
    assert!(changes(rig.resume().await).definition.is_some());
    let answer = accept(&rig).await;
    assert!(
        matches!(answer, Err(EngineError::Open(OpenError::Invalid(_)))),
        "{answer:?}"
    );
    assert_eq!(rig.journal(), stands);
}

#[tokio::test]
async fn b127_a_step_that_was_in_flight_may_be_edited_away() {
    let rig = Rig::sqlite(&steps(&["a", "b", "c"]), &Script::new());
    rig.dies_on(FaultyStore::dying_after(Arc::clone(&rig.store), 2))
        .await;
    assert_eq!(rig.events().last(), Some(&"step_started"));
    rig.edit(&steps(&["a", "c"]));
    assert_eq!(accept(&rig).await.unwrap().status, Status::Completed);
    assert_eq!(dropped(&rig), ["b".parse().unwrap()]);
    assert_eq!(rig.script.calls(), ["a", "c"]);
}

#[tokio::test]
async fn a_run_whose_definition_was_changed_replays_under_both() {
    let rig = stopped().await;
    rig.edit(&steps(&["a", "b", "new", "c"]));
    assert_eq!(accept(&rig).await.unwrap().status, Status::Completed);
    let replayed = rig.replay().await.unwrap();
    assert_eq!((replayed.divergence, replayed.attempts), (None, 5));
}
