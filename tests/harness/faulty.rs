//! A store that does to its writes what disks, networks and power cuts do.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use milepost::owner::{Host as _, ThisHost};
use milepost::store::Owner;

use crate::decorator::Decorator;
use crate::decorator::prelude::*;
use crate::hand_on;
use crate::scripted::Gate;

/// What happens to one write.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Nothing: it is saved.
    None,
    /// It is not saved, and its writer is told.
    Refused,
    /// It is saved, but its writer is told that it was not.
    AnswerLost,
    /// It is not saved, and the store panics.
    Panic,
    /// It is not saved, and its writer is told this.
    Error(fn() -> StoreError),
    /// It waits at the gate, and is saved then.
    Held(Gate),
    /// It is saved and the process dies: its writer never hears of it.
    LastWords,
    /// It is not saved: the process dies before, or is dead already.
    Dead,
}

type Plan = dyn Fn(usize) -> Fault + Send + Sync;
type Picks = dyn Fn(&Write) -> Option<Fault> + Send + Sync;

/// Another store, with faults by the number of the write, from 1.
pub struct FaultyStore {
    inner: Arc<dyn Store>,
    plan: Box<Plan>,
    picks: Option<Box<Picks>>,
    owner: Option<Owner>,
    before_cancel: Option<Gate>,
    refused_renewals: usize,
    blobs_unavailable: bool,
    renewals: AtomicUsize,
    looks: AtomicUsize,
    entries: AtomicUsize,
    given_up: AtomicUsize,
    death: Gate,
    writes: Mutex<Vec<Write>>,
}

impl FaultyStore {
    /// Faults as `plan` says.
    #[must_use]
    pub fn new(
        inner: Arc<dyn Store>,
        plan: impl Fn(usize) -> Fault + Send + Sync + 'static,
    ) -> Self {
        Self {
            inner,
            plan: Box::new(plan),
            picks: None,
            owner: None,
            before_cancel: None,
            refused_renewals: 0,
            blobs_unavailable: false,
            renewals: AtomicUsize::new(0),
            looks: AtomicUsize::new(0),
            entries: AtomicUsize::new(0),
            given_up: AtomicUsize::new(0),
            death: Gate::default(),
            writes: Mutex::default(),
        }
    }

    /// The store as a process sees it that dies after its write number `last`.
    #[must_use]
    pub fn dying_after(inner: Arc<dyn Store>, last: usize) -> Self {
        Self::new(inner, move |n| match n.cmp(&last) {
            std::cmp::Ordering::Less => Fault::None,
            std::cmp::Ordering::Equal => Fault::LastWords,
            std::cmp::Ordering::Greater => Fault::Dead,
        })
        .owned_by(dead_process())
    }

    /// The store as a process sees it that dies before its write number `first`.
    #[must_use]
    pub fn dying_before(inner: Arc<dyn Store>, first: usize) -> Self {
        Self::new(
            inner,
            move |n| if n < first { Fault::None } else { Fault::Dead },
        )
        .owned_by(dead_process())
    }

    /// Claims made through this store are those of `owner`.
    #[must_use]
    pub fn owned_by(mut self, owner: Owner) -> Self {
        self.owner = Some(owner);
        self
    }

    /// Also faults by what a write holds.
    #[must_use]
    pub fn failing(
        mut self,
        picks: impl Fn(&Write) -> Option<Fault> + Send + Sync + 'static,
    ) -> Self {
        self.picks = Some(Box::new(picks));
        self
    }

    /// Requests for a cancellation wait at the gate.
    #[must_use]
    pub fn cancels_wait_at(mut self, gate: &Gate) -> Self {
        self.before_cancel = Some(gate.clone());
        self
    }

    /// The first `count` renewals of leases are not saved, and whoever renews is told.
    #[must_use]
    pub fn refusing_renewals(mut self, count: usize) -> Self {
        self.refused_renewals = count;
        self
    }

    /// Blobs cannot be read just now.
    #[must_use]
    pub fn without_blobs(mut self) -> Self {
        self.blobs_unavailable = true;
        self
    }

    /// How many renewals were tried.
    #[must_use]
    pub fn renewals(&self) -> usize {
        self.renewals.load(Ordering::SeqCst)
    }

    /// How often a worker looked for work.
    #[must_use]
    pub fn looks(&self) -> usize {
        self.looks.load(Ordering::SeqCst)
    }

    /// How often claims were given up.
    #[must_use]
    pub fn given_up(&self) -> usize {
        self.given_up.load(Ordering::SeqCst)
    }

    /// How many entries of journals were read.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.entries.load(Ordering::SeqCst)
    }

    /// Waits until the process is dead.
    pub async fn died(&self) {
        self.death.came().await;
    }

    /// Drives a future until the process is dead.
    ///
    /// # Panics
    /// When the future ends before.
    pub async fn kills<T>(&self, future: impl Future<Output = T>) {
        self.death.holds(future).await;
    }

    /// Every write that was tried, in order.
    #[must_use]
    pub fn writes(&self) -> Vec<Write> {
        self.tried().clone()
    }

    fn tried(&self) -> MutexGuard<'_, Vec<Write>> {
        self.writes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A process on this host that no longer exists.
#[must_use]
pub fn dead_process() -> Owner {
    let here = ThisHost.enter();
    ThisHost.leave(&here);
    Owner {
        started: here.started + 1,
        ..here
    }
}

/// A process on another host: nobody here can tell whether it lives.
#[must_use]
pub fn elsewhere() -> Owner {
    Owner {
        host: "elsewhere".to_owned(),
        ..ThisHost.enter()
    }
}

fn unavailable() -> StoreError {
    StoreError::unavailable("the disk is full".to_owned())
}

impl Decorator for FaultyStore {
    fn inner(&self) -> &dyn Store {
        self.inner.as_ref()
    }
}

impl Runs for FaultyStore {
    fn write(&self, mut write: Write) -> BoxFuture<'_, Result<Written, StoreError>> {
        Box::pin(async move {
            let number = {
                let mut tried = self.tried();
                tried.push(write.clone());
                tried.len()
            };
            if let (Some(claim), Some(owner)) = (&mut write.claim, &self.owner) {
                claim.owner = owner.clone();
            }
            let picked = self.picks.as_ref().and_then(|picks| picks(&write));
            match picked.unwrap_or_else(|| (self.plan)(number)) {
                Fault::None => self.inner.write(write).await,
                Fault::Refused => Err(unavailable()),
                Fault::AnswerLost => {
                    self.inner.write(write).await?;
                    Err(unavailable())
                }
                Fault::Panic => panic!("a defect in the store"),
                Fault::Error(error) => Err(error()),
                Fault::Held(gate) => {
                    gate.pass().await;
                    self.inner.write(write).await
                }
                Fault::LastWords => {
                    self.inner.write(write).await?;
                    self.death.pass().await;
                    Err(unavailable())
                }
                Fault::Dead => {
                    self.death.pass().await;
                    std::future::pending().await
                }
            }
        })
    }

    fn journal<'a>(
        &'a self,
        run: &'a RunId,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'a, Result<Vec<StoredEntry>, StoreError>> {
        Box::pin(async move {
            let found = self.inner.journal(run, after, limit).await?;
            self.entries.fetch_add(found.len(), Ordering::SeqCst);
            Ok(found)
        })
    }

    hand_on! { row checkpoint logs }
}

impl Claims for FaultyStore {
    fn keep<'a>(
        &'a self,
        held: &'a [Held],
        renew: Option<Duration>,
    ) -> BoxFuture<'a, Result<Vec<News>, StoreError>> {
        Box::pin(async move {
            if renew.is_some()
                && self.renewals.fetch_add(1, Ordering::SeqCst) < self.refused_renewals
            {
                return Err(unavailable());
            }
            self.inner.keep(held, renew).await
        })
    }

    fn look<'a>(&'a self, look: &'a Look) -> BoxFuture<'a, Result<Attention, StoreError>> {
        self.looks.fetch_add(1, Ordering::SeqCst);
        self.inner.look(look)
    }

    fn give_up<'a>(&'a self, held: &'a [Held]) -> BoxFuture<'a, Result<(), StoreError>> {
        self.given_up.fetch_add(1, Ordering::SeqCst);
        self.inner.give_up(held)
    }

    hand_on! { offer mark_detached present absent workers }
}

hand_on! { FaultyStore: Attempts }
hand_on! { FaultyStore: Artifacts }
hand_on! { FaultyStore: Watch }

impl Mailbox for FaultyStore {
    fn request_stop<'a>(
        &'a self,
        run: &'a RunId,
        request: StopRequest,
    ) -> BoxFuture<'a, Result<Status, StoreError>> {
        Box::pin(async move {
            if let Some(gate) = &self.before_cancel {
                gate.pass().await;
            }
            self.inner.request_stop(run, request).await
        })
    }

    hand_on! { withdraw_pause send_signal known_token inbox inbox_size }
}

impl Blobs for FaultyStore {
    fn blob<'a>(
        &'a self,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<Option<Vec<u8>>, StoreError>> {
        match self.blobs_unavailable {
            true => Box::pin(std::future::ready(Err(unavailable()))),
            false => self.inner.blob(digest),
        }
    }

    hand_on! { checked_blob }
}

hand_on! { FaultyStore: Upkeep }
