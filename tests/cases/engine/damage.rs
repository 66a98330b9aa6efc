//! Damaged records are errors of their run: never a panic, never a silent restart.

use std::time::Duration;

use milepost::engine::{EngineError, Gravity, Remedy, ResumeOptions};
use milepost::record::RecordError;
use milepost::store::StoreError;
use milepost_tests::now::Now as _;
use milepost_tests::rig::{Rig, r1};
use milepost_tests::rng::Rng;
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
            engine.report(&r1()).now().map(drop),
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
    assert_eq!(engine.report(&other.id).now().unwrap(), other);
    assert!(engine.report(&r1()).now().is_err());
}

#[tokio::test]
async fn an_examination_tells_of_runs_that_nobody_begins() {
    let rig = Rig::sqlite(&steps(&["a"]), &Script::new());
    let told = || {
        let found = rig.engine().examine(&|_| ()).now().unwrap().findings;
        let told = found
            .into_iter()
            .map(|f| (f.gravity, f.run, f.message, f.remedy));
        told.collect::<Vec<_>>()
    };
    rig.submit("first").await;
    rig.clock.advance(Duration::from_secs(59));
    assert_eq!(told(), [], "a worker may be about to take it");
    rig.submit("second").await;
    for (seconds, others) in [(1, ""), (59, ", like another one")] {
        rig.clock.advance(Duration::from_secs(seconds));
        let waits = format!("it has waited for a worker for more than a minute{others}");
        let first = Some("first".to_owned());
        assert_eq!(
            told(),
            [(Gravity::Warning, first, waits, Remedy::StartWorker)]
        );
    }
    rig.work().await;
    assert_eq!(told(), []);
}

/// Whatever a byte of a record becomes, the examination tells of it or finds the record as good as before, and never panics.
#[tokio::test]
async fn an_examination_survives_any_byte_in_any_record() {
    let rig = damaged("UPDATE run SET recoveries = 0").await;
    let db = rusqlite::Connection::open(rig.store_file()).unwrap();
    let engine = rig.engine();
    let problems = || {
        let found = engine.examine(&|_| ()).now().unwrap().findings;
        let broken = found.into_iter().filter(|f| f.gravity == Gravity::Problem);
        broken.collect::<Vec<_>>()
    };
    assert_eq!(problems(), []);
    let rng = Rng::new(11);
    let mut told = 0;
    for (table, column) in [
        ("journal", "body"),
        ("checkpoint", "body"),
        ("run", "present"),
        ("blob", "bytes"),
    ] {
        let rows: Vec<(i64, Vec<u8>)> = db
            .prepare(&format!(
                "SELECT rowid, CAST({column} AS BLOB) FROM {table}"
            ))
            .unwrap()
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        for _ in 0..60 {
            let (row, bytes) = &rows[rng.below(rows.len() as u64) as usize];
            let mut changed = bytes.clone();
            let at = rng.below(changed.len() as u64) as usize;
            changed[at] ^= 1 << rng.below(8);
            let kind = if table == "blob" { "BLOB" } else { "TEXT" };
            let sql = format!("UPDATE {table} SET {column} = CAST(?1 AS {kind}) WHERE rowid = ?2");
            db.execute(&sql, (&changed, row)).unwrap();
            let found = problems();
            assert!(
                table != "blob" || !found.is_empty(),
                "a blob is known by its digest"
            );
            told += usize::from(!found.is_empty());
            db.execute(&sql, (bytes, row)).unwrap();
        }
    }
    assert!(told > 180, "{told} of 240");
    assert_eq!(problems(), []);
}
