//! Who loads components in a worker. A run that needs what another one is loading already does not take a place only to wait for
//! it, and half of the places are never taken by loading: runs whose components are at hand always find one.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use milepost_core::ids::Digest;
use milepost_core::state::RunState;
use tokio::sync::Notify;

use crate::plugin::PluginSource;

/// What the runs of one worker load.
pub(super) struct Loads {
    /// How many runs may load at once.
    most: usize,
    now: Mutex<Now>,
    ended: Notify,
}

#[derive(Default)]
struct Now {
    runs: usize,
    digests: BTreeSet<Digest>,
}

/// A run may load; dropped when it has.
pub(crate) struct LoadPermit {
    loads: Arc<Loads>,
    digests: Vec<Digest>,
}

/// What a run would have to load, and may not yet.
pub(super) struct MayNotLoad(Vec<Digest>);

impl Loads {
    /// For a worker with so many places.
    pub(super) fn of(places: usize) -> Arc<Self> {
        Arc::new(Self {
            most: (places / 2).max(1),
            now: Mutex::default(),
            ended: Notify::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a run may go on: with a permit, if it has to load anything.
    pub(super) fn admit(
        self: &Arc<Self>,
        source: &dyn PluginSource,
        state: &RunState,
    ) -> Result<Option<LoadPermit>, MayNotLoad> {
        let digests = state.binding().plugins.values();
        let missing = digests.filter(|digest| source.loaded(digest).is_none());
        let digests: Vec<Digest> = missing.copied().collect();
        if digests.is_empty() {
            return Ok(None);
        }
        let mut now = self.lock();
        if !self.have_room(&now, &digests) {
            return Err(MayNotLoad(digests));
        }
        now.runs += 1;
        now.digests.extend(&digests);
        let loads = Arc::clone(self);
        Ok(Some(LoadPermit { loads, digests }))
    }

    /// Whether it is worth the try again.
    pub(super) fn may_admit(&self, source: &dyn PluginSource, refused: &MayNotLoad) -> bool {
        let MayNotLoad(digests) = refused;
        self.have_room(&self.lock(), digests)
            || digests.iter().all(|digest| source.loaded(digest).is_some())
    }

    fn have_room(&self, now: &Now, digests: &[Digest]) -> bool {
        let wanted = |digest| now.digests.contains(digest);
        now.runs < self.most && !digests.iter().any(wanted)
    }

    /// Waits until a run has loaded what it needs since the last time.
    pub(super) async fn ended(&self) {
        self.ended.notified().await;
    }
}

impl Drop for LoadPermit {
    fn drop(&mut self) {
        let mut now = self.loads.lock();
        now.runs -= 1;
        for digest in &self.digests {
            now.digests.remove(digest);
        }
        drop(now);
        self.loads.ended.notify_one();
    }
}
