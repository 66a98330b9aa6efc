//! Damaged records are errors of their run: never a panic, never a silent restart.

use milepost::engine::{EngineError, ResumeOptions};
use milepost::record::RecordError;
use milepost::store::StoreError;
use milepost_tests::rig::{Rig, r1};
use milepost_tests::scripted::{Script, fail, ok};
use serde_json::json;

use super::steps;

/// A failed run whose file was edited.
async fn damaged(sql: &str) -> Rig {
    let script = Script::new()
        .step("a", |_| ok(json!("x".repeat(20_000))))
        .step("b", |_| fail("broken"));
    let mut rig = Rig::sqlite(&steps(&["a", "b"]), &script);
    rig.run().await.unwrap();
    rig.damaged = true;
    let db = rusqlite::Connection::open(rig.store_file()).unwrap();
    assert!(db.execute(sql, []).unwrap() > 0, "{sql}");
    rig.reopen();
    rig
}

#[tokio::test]
async fn b109_b111_a_damaged_checkpoint_is_an_error_for_every_verb() {
    for (sql, says) in [
        (
            "UPDATE checkpoint SET body = substr(body, 1, 20) WHERE part = 'step/a'",
            "step/a",
        ),
        (
            "UPDATE checkpoint SET body = '{}' WHERE part = 'run'",
            "format",
        ),
        (
            "UPDATE checkpoint SET body = replace(body, '\"format\":1', '\"format\":9') WHERE part = 'created'",
            "9",
        ),
        ("DELETE FROM checkpoint WHERE part = 'run'", "`run`"),
        (
            "UPDATE checkpoint SET part = 'stage/a' WHERE part = 'step/a'",
            "stage/a",
        ),
        ("DELETE FROM blob WHERE length(bytes) > 20000", "blob"),
        (
            "UPDATE blob SET bytes = x'2278' WHERE length(bytes) > 20000",
            "blob",
        ),
    ] {
        let rig = damaged(sql).await;
        let engine = rig.engine();
        for answer in [
            rig.resume().await.map(drop),
            rig.run().await.map(drop),
            engine
                .retry(&r1(), None, ResumeOptions::default())
                .await
                .map(drop),
            engine.cancel(&r1(), "somebody").await.map(drop),
            engine.report(&r1()).map(drop),
        ] {
            let error = answer.unwrap_err();
            assert!(
                matches!(error, EngineError::Record(RecordError::Checkpoint { .. })),
                "{sql}: {error:?}"
            );
            assert!(error.to_string().contains(says), "{sql}: {error}");
        }
        assert_eq!(rig.script.calls(), ["a", "b"], "{sql}: nothing ran again");
    }
}

#[tokio::test]
async fn a_missing_definition_is_an_error() {
    for sql in [
        "DELETE FROM blob WHERE length(bytes) < 20000",
        "UPDATE blob SET bytes = x'ff' WHERE length(bytes) < 20000",
    ] {
        let rig = damaged(sql).await;
        let error = rig.resume().await.unwrap_err();
        assert!(
            matches!(error, EngineError::Store(StoreError::Corrupt(_))),
            "{sql}: {error:?}"
        );
        assert_eq!(rig.script.calls(), ["a", "b"]);
    }
}

#[tokio::test]
async fn b244_a_damaged_run_does_not_hide_the_others() {
    let rig = damaged("UPDATE checkpoint SET body = '' WHERE part = 'run'").await;
    let engine = rig.engine();
    let other = engine
        .run(rig.workflow(), Default::default(), Default::default())
        .await
        .unwrap();
    assert_eq!(engine.report(&other.id).unwrap(), other);
    assert!(engine.report(&r1()).is_err());
}
