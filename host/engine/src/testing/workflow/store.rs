//! The store as one life of the engine sees it. Every commit is a point at which the engine can be killed: from then on, nothing
//! of that life gets through, as after a crash.

use std::future::pending;
use std::sync::Arc;

use crate::store::decorator::Decorator;
use crate::store::decorator::prelude::*;
use crate::store::hand_on;
use crate::store::memory::MemoryStore;

use super::stage::{Point, Stage};

pub(super) struct Seen {
    pub(super) store: Arc<MemoryStore>,
    pub(super) stage: Arc<Stage>,
    pub(super) life: u32,
}

impl Seen {
    async fn alive(&self) {
        if !self.stage.lives(self.life) {
            pending::<()>().await;
        }
    }

    async fn committed(&self, point: Point) {
        if self.stage.reach(point) {
            pending::<()>().await;
        }
    }
}

impl Decorator for Seen {
    fn inner(&self) -> &dyn Store {
        self.store.as_ref()
    }

    fn change<'a, T: Send + 'a>(
        &'a self,
        change: BoxFuture<'a, Result<T, StoreError>>,
    ) -> BoxFuture<'a, Result<T, StoreError>> {
        Box::pin(async move {
            self.alive().await;
            change.await
        })
    }

    fn read<'a, T: Send + 'a>(
        &'a self,
        read: BoxFuture<'a, Result<T, StoreError>>,
    ) -> BoxFuture<'a, Result<T, StoreError>> {
        self.change(read)
    }
}

impl Runs for Seen {
    fn write(&self, write: Write) -> BoxFuture<'_, Result<Written, StoreError>> {
        Box::pin(async move {
            self.alive().await;
            let run = write.run.clone();
            let entries = write.entries.iter();
            let entries: Vec<(u64, String)> = entries
                .map(|entry| (entry.seq, entry.body.clone()))
                .collect();
            let renewed = write.renewed.clone();
            let written = self.store.write(write).await?;
            self.stage.renew(&run, &renewed);
            self.committed(Point::Commit { run, entries }).await;
            Ok(written)
        })
    }

    hand_on! { row checkpoint journal logs }
}

impl Attempts for Seen {
    fn note(&self, note: Note) -> BoxFuture<'_, Result<Applied, StoreError>> {
        Box::pin(async move {
            self.alive().await;
            let (run, path) = (note.run.clone(), note.path.clone());
            let applied = self.store.note(note).await?;
            self.committed(Point::Note { run, path }).await;
            Ok(applied)
        })
    }

    fn memo<'a>(
        &'a self,
        run: &'a RunId,
        path: &'a str,
        key: &'a str,
    ) -> BoxFuture<'a, Result<Option<String>, StoreError>> {
        Box::pin(async move {
            self.alive().await;
            match self.store.memo(run, path, key).await? {
                Some(value) => Ok(Some(value)),
                None => Ok(self.stage.memo(run, path, key).await),
            }
        })
    }

    hand_on! { say progress tape memos groups artifacts artifact kv kv_keys kv_change buckets }
}

hand_on! { Seen: Claims }
hand_on! { Seen: Artifacts }
hand_on! { Seen: Mailbox }
hand_on! { Seen: Blobs }
hand_on! { Seen: Upkeep }
hand_on! { Seen: Watch }
