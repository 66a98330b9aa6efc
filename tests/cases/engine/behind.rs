//! The checkpoint of a moving run stands some events before its row: whoever reads the run back applies them.

use std::sync::{Arc, Mutex};

use milepost::engine::EngineError;
use milepost::record::{self, RecordError};

use milepost_core::limits::CHECKPOINT_EVENTS;
use milepost_tests::decorator::Decorator;
use milepost_tests::decorator::prelude::*;
use milepost_tests::faulty::FaultyStore;
use milepost_tests::hand_on;
use milepost_tests::now::Now as _;
use milepost_tests::rig::{Rig, assert_folds, r1};
use milepost_tests::scripted::Script;
use serde_json::Value;

use super::steps;

/// Steps of the workflow; each is two events, and one write holds the end of one and the start of the next.
const STEPS: usize = 50;

fn names() -> Vec<String> {
    (0..STEPS).map(|step| format!("s{step}")).collect()
}

/// A run whose process died after so many writes.
async fn lost_after(writes: usize) -> Rig {
    let names = names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut rig = Rig::sqlite(&steps(&names), &Script::new());
    rig.dies_on(FaultyStore::dying_after(Arc::clone(&rig.store), writes))
        .await;
    rig.reopen();
    rig
}

/// Events that the stored checkpoint is behind the row.
fn behind(rig: &Rig) -> u64 {
    let stored = rig.store.checkpoint(&r1()).now().unwrap().unwrap();
    let now = stored.parts.iter().find(|(name, _)| name == "now").unwrap();
    let now: Value = serde_json::from_str(&now.1).unwrap();
    stored.row.seq - now["body"]["at"]["seq"].as_u64().unwrap()
}

#[tokio::test(start_paused = true)]
async fn b103_a_moving_run_is_read_back_from_its_checkpoint_and_the_events_since() {
    let mut most = 0;
    for writes in [1, 2, 3, 30, 31, 32, 33, 34, 35, STEPS] {
        let rig = lost_after(writes).await;
        assert_folds(rig.store.as_ref(), &r1());
        let events = behind(&rig);
        assert!(events <= CHECKPOINT_EVENTS, "{writes} writes: {events}");
        most = most.max(events);
        let before = rig.script.calls();
        rig.clock.advance(Duration::from_secs(660));
        rig.work().await;
        assert_eq!(rig.row().status, Status::Completed, "{writes} writes");
        assert_eq!(behind(&rig), 0, "a run that stopped has its checkpoint");
        assert_folds(rig.store.as_ref(), &r1());
        // The step in flight runs again, and no other.
        let again = rig.script.calls().split_off(before.len());
        let at = names().iter().position(|name| *name == again[0]).unwrap();
        assert_eq!(again, names()[at..], "{writes} writes");
        let ended = before.len().saturating_sub(1);
        assert!(at == ended || at == before.len(), "{writes} writes");
    }
    assert!(most > CHECKPOINT_EVENTS - 8, "{most}");
}

#[tokio::test(start_paused = true)]
async fn b111_an_event_after_the_checkpoint_that_is_damaged_makes_no_step_run_again() {
    for (sql, says) in [
        ("DELETE FROM journal WHERE seq = 9", "at event 8"),
        ("DELETE FROM journal WHERE seq > 9", "at event 9"),
        ("UPDATE journal SET body = '{}' WHERE seq = 9", "event 9"),
        (
            "UPDATE journal SET body = (SELECT body FROM journal WHERE seq = 3) WHERE seq = 9",
            "at event 8",
        ),
        ("UPDATE run SET seq = 2", "at event 3"),
    ] {
        let mut rig = lost_after(5).await;
        let calls = rig.script.calls();
        rig.damaged = true;
        let db = rusqlite::Connection::open(rig.store_file()).unwrap();
        assert!(db.execute(sql, []).unwrap() > 0, "{sql}");
        drop(db);
        rig.reopen();
        for answer in [
            rig.resume().await.map(drop),
            rig.engine().report(&r1()).now().map(drop),
        ] {
            let error = answer.unwrap_err();
            assert!(
                matches!(
                    error,
                    EngineError::Record(RecordError::Checkpoint { .. } | RecordError::Entry { .. })
                ),
                "{sql}: {error:?}"
            );
            assert!(error.to_string().contains(says), "{sql}: {error}");
        }
        rig.clock.advance(Duration::from_secs(660));
        rig.work().await;
        assert_eq!(rig.script.calls(), calls, "{sql}: nothing ran again");
        let found = rig.engine().examine(&|_| ()).now().unwrap().findings;
        assert!(!found.is_empty(), "{sql}");
        let replayed = rig.replay().await.unwrap();
        assert!(
            replayed.divergence.is_some(),
            "{sql}: a finding about the run"
        );
    }
}

/// A store from which a checkpoint comes that is of some time ago, once.
struct Slow {
    inner: Arc<dyn Store>,
    before: Mutex<Option<StoredCheckpoint>>,
}

impl Decorator for Slow {
    fn inner(&self) -> &dyn Store {
        self.inner.as_ref()
    }
}

impl Runs for Slow {
    fn checkpoint<'a>(
        &'a self,
        run: &'a RunId,
    ) -> BoxFuture<'a, Result<Option<StoredCheckpoint>, StoreError>> {
        match self.before.lock().unwrap().take() {
            Some(before) => Box::pin(std::future::ready(Ok(Some(before)))),
            None => self.inner.checkpoint(run),
        }
    }

    hand_on! { write row journal logs }
}

hand_on! { Slow: Claims }
hand_on! { Slow: Attempts }
hand_on! { Slow: Artifacts }
hand_on! { Slow: Mailbox }
hand_on! { Slow: Blobs }
hand_on! { Slow: Upkeep }
hand_on! { Slow: Watch }

#[tokio::test(start_paused = true)]
async fn a_run_that_moves_on_or_is_removed_while_it_is_read_is_no_damage() {
    let rig = lost_after(5).await;
    let before = rig.store.checkpoint(&r1()).now().unwrap();
    rig.clock.advance(Duration::from_secs(660));
    rig.work().await;
    let read = async || {
        let slow = Slow {
            inner: Arc::clone(&rig.store),
            before: Mutex::new(before.clone()),
        };
        record::load(&slow, &r1()).await
    };
    let then = read().await.unwrap();
    assert_eq!(then.state.seq(), before.as_ref().unwrap().row.seq);
    rig.store.delete(&r1(), rig.row().seq).now().unwrap();
    assert!(matches!(
        read().await,
        Err(RecordError::Store(StoreError::NotFound(_)))
    ));
}
