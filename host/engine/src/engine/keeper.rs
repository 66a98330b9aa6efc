//! Keeps the claims of this process: one question per beat for all of them, however many runs it drives, and one write when their
//! leases are to be renewed. Drivers hear what is new of theirs; none of them waits for the store to find out.
//!
//! A claim whose driver has not moved for a whole lease is not renewed any more: a run that hangs must not look alive.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures_util::future::BoxFuture;
use milepost_core::ids::RunId;
use milepost_core::limits;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, timeout};

use super::shared::Shared;
use crate::fault;
use crate::store::{Claimed, Held, StopRequest, StoreError};

/// How often the store is asked whether the claims hold, and what somebody wants of their owners.
const BEAT: Duration = Duration::from_millis(500);

/// A task that has not shown a sign of life for so long is not driven any more.
const SILENT: Duration = Duration::from_secs(5);

/// What is known of a claim.
#[derive(Debug, Clone)]
pub(super) enum Tidings {
    /// It held at that time, and this was asked of its owner.
    Holds(Instant, Option<StopRequest>),
    /// It holds no longer.
    Lost,
    /// The store is gone: nothing more can be recorded.
    Gone(String),
    /// Something was left for the run in this process.
    Mail,
}

/// The claims that drivers of one engine hold.
#[derive(Default)]
pub(super) struct Keeper {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    claims: BTreeMap<u64, Entry>,
    last: u64,
    /// The task that looks after them, and when it last showed that it lives: one may be left on a runtime that nobody drives.
    task: u64,
    alive: Option<Instant>,
    renewed: Option<Instant>,
}

struct Entry {
    held: Held,
    /// Whether its driver moved since the last beat.
    moves: Arc<AtomicBool>,
    /// When it was last seen to have moved.
    moved: Instant,
    tidings: watch::Sender<Tidings>,
    mail: Arc<Notify>,
}

/// A claim that is kept until this is dropped.
pub(super) struct KeptClaim {
    shared: Arc<Shared>,
    number: u64,
    moves: Arc<AtomicBool>,
    tidings: watch::Receiver<Tidings>,
    mail: Arc<Notify>,
    /// For a keeper that is silent.
    idle: Interval,
}

impl Keeper {
    /// Keeps a claim that was made just now.
    pub(super) fn keep(shared: &Arc<Shared>, held: Held) -> KeptClaim {
        let now = Instant::now();
        let (sender, receiver) = watch::channel(Tidings::Holds(now, None));
        let moves = Arc::<AtomicBool>::default();
        let mail = Arc::<Notify>::default();
        let mut idle = interval_at(now + limits::LEASE_RENEWAL, limits::LEASE_RENEWAL);
        idle.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut inner = shared.keeper.lock();
        inner.last += 1;
        let number = inner.last;
        let entry = Entry {
            held,
            moves: Arc::clone(&moves),
            moved: now,
            tidings: sender,
            mail: Arc::clone(&mail),
        };
        inner.claims.insert(number, entry);
        inner.watch(shared);
        KeptClaim {
            shared: Arc::clone(shared),
            number,
            moves,
            tidings: receiver,
            mail,
            idle,
        }
    }

    /// The claims that drivers of this engine hold.
    pub(super) fn held(&self) -> BTreeSet<Held> {
        let inner = self.lock();
        inner
            .claims
            .values()
            .map(|entry| entry.held.clone())
            .collect()
    }

    /// Something was left for a run: where this process drives it, its driver need not wait for the next beat to look.
    pub(super) fn nudge(&self, run: &RunId) {
        let inner = self.lock();
        let driven = inner.claims.values().filter(|entry| entry.held.run == *run);
        driven.for_each(|entry| entry.mail.notify_one());
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Sees to it that a task looks after the claims. One that ended with its runtime, or sleeps in one that nobody drives, is
    /// followed by another.
    fn watch(&mut self, shared: &Arc<Shared>) {
        let lives = |alive: Instant| alive.elapsed() < SILENT;
        if !self.alive.is_some_and(lives) {
            self.task += 1;
            self.alive = Some(Instant::now());
            tokio::spawn(keep(Arc::downgrade(shared), self.task));
        }
    }
}

impl KeptClaim {
    /// Its driver moves. Said in every turn, so it costs next to nothing: the keeper looks at its beats.
    pub(super) fn moves(&self) {
        self.moves.store(true, Ordering::Relaxed);
    }

    /// What is new, once something was looked up; `None` when it was long enough to show again that the driver moves.
    pub(super) async fn next(&mut self) -> Option<Tidings> {
        tokio::select! {
            biased;
            // The sender is kept as long as this.
            Ok(()) = self.tidings.changed() => Some(self.tidings.borrow_and_update().clone()),
            () = self.mail.notified() => Some(Tidings::Mail),
            _ = self.idle.tick() => {
                self.shared.keeper.lock().watch(&self.shared);
                None
            }
        }
    }
}

impl Drop for KeptClaim {
    fn drop(&mut self) {
        self.shared.keeper.lock().claims.remove(&self.number);
    }
}

/// Looks after the claims until there are none, and all that was counted is saved, or another task does.
async fn keep(shared: Weak<Shared>, task: u64) {
    let mut beat = tokio::time::interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first one is due at once.
    beat.tick().await;
    let mut round: Option<BoxFuture<'static, ()>> = None;
    loop {
        let asked = async {
            match &mut round {
                Some(round) => round.as_mut().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = asked => round = None,
            _ = beat.tick() => {
                let Some(shared) = shared.upgrade() else {
                    return;
                };
                // Beats go on while a store takes its time.
                match Round::begin(&shared, task) {
                    None => return,
                    Some(next) if round.is_none() => {
                        round = Some(Box::pin(async move {
                            if timeout(limits::LEASE, next.ask(&shared)).await.is_err() {
                                tracing::warn!("the store does not tell how the claims of this process are");
                            }
                        }));
                    }
                    Some(_) => {}
                }
            }
        }
    }
}

/// One look at all claims.
struct Round {
    began: Instant,
    /// Claims whose driver moves, with their numbers.
    moving: BTreeMap<u64, Held>,
    /// And those that seem to hang.
    hanging: BTreeMap<u64, Held>,
    /// Whether leases are to be renewed.
    renews: bool,
}

impl Round {
    /// `None` when there are no claims, or another task has taken this one's place: it ends.
    fn begin(shared: &Shared, task: u64) -> Option<Self> {
        let began = Instant::now();
        let mut inner = shared.keeper.lock();
        if inner.task != task {
            return None;
        }
        if inner.claims.is_empty() {
            inner.renewed = None;
            // The last to be counted is saved, too, when its time has come.
            inner.alive = shared.metrics.is_changed().then_some(began);
            return inner.alive.map(|began| Self {
                began,
                moving: BTreeMap::new(),
                hanging: BTreeMap::new(),
                renews: false,
            });
        }
        // The whole process slept, and none of its drivers could move.
        let slept = inner.alive.is_some_and(|alive| began - alive > SILENT);
        inner.alive = Some(began);
        let renewed = *inner.renewed.get_or_insert(began);
        for entry in inner.claims.values_mut() {
            if entry.moves.swap(false, Ordering::Relaxed) || slept {
                entry.moved = began;
            }
        }
        let claims = inner.claims.iter();
        let (moving, hanging) =
            claims.partition::<Vec<_>, _>(|(_, entry)| began - entry.moved < limits::LEASE);
        let held = |entries: Vec<(&u64, &Entry)>| {
            let entries = entries.into_iter();
            entries
                .map(|(number, entry)| (*number, entry.held.clone()))
                .collect()
        };
        Some(Self {
            began,
            moving: held(moving),
            hanging: held(hanging),
            renews: began - renewed >= limits::LEASE_RENEWAL,
        })
    }

    async fn ask(self, shared: &Shared) {
        if !self.moving.is_empty() || !self.hanging.is_empty() {
            self.ask_claims(shared).await;
        }
        // Claims come first.
        if shared.metrics.is_due() {
            shared.save_metrics().await;
        }
    }

    async fn ask_claims(&self, shared: &Shared) {
        shared.follow().await;
        let lease = self.renews.then_some(limits::LEASE);
        if self.renews {
            fault::point("before_renewal");
        }
        let kept = self.ask_of(shared, &self.moving, lease).await;
        if self.renews {
            fault::point("after_renewal");
        }
        if self.renews && kept {
            shared.metrics.renewed(self.moving.len());
            shared.keeper.lock().renewed = Some(self.began);
        }
        self.ask_of(shared, &self.hanging, None).await;
    }

    /// Tells the drivers. Returns whether the store answered.
    async fn ask_of(
        &self,
        shared: &Shared,
        claims: &BTreeMap<u64, Held>,
        renew: Option<Duration>,
    ) -> bool {
        if claims.is_empty() {
            return true;
        }
        let held: Vec<Held> = claims.values().cloned().collect();
        let answer = shared.store.keep(&held, renew).await;
        let inner = shared.keeper.lock();
        let tell = |number: &u64, tidings| {
            if let Some(entry) = inner.claims.get(number) {
                entry.tidings.send_replace(tidings);
            }
        };
        match answer {
            Ok(news) => {
                let news = news.into_iter().map(|news| (news.held, news.what));
                let mut news: BTreeMap<_, _> = news.collect();
                for (number, held) in claims {
                    let tidings = match news.remove(held) {
                        Some(Claimed::Lost) => Tidings::Lost,
                        Some(Claimed::Asked(request)) => Tidings::Holds(self.began, Some(request)),
                        None => Tidings::Holds(self.began, None),
                    };
                    tell(number, tidings);
                }
                true
            }
            // Nothing that their steps still do could be recorded.
            Err(StoreError::Gone(place)) => {
                for number in claims.keys() {
                    tell(number, Tidings::Gone(place.clone()));
                }
                false
            }
            // The next look may succeed; a commit will find out otherwise.
            Err(error) => {
                tracing::warn!(%error, "the claims of this process could not be looked at");
                false
            }
        }
    }
}
