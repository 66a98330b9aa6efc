//! One process of the simulation: its identity, its clock, and its view of the store, through which the faults come.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use milepost::Engine;
use milepost::clock::Clock;
use milepost::engine::Unobserved;
use milepost::owner::{Host, Liveness};
use milepost::store::Owner;
use milepost_tests::decorator::Decorator;
use milepost_tests::decorator::prelude::*;
use milepost_tests::hand_on;
use milepost_tests::read_back::ReadBack;
use milepost_tests::rng::Rng;
use tokio::sync::Notify;

use crate::workload::Steps;
use crate::world::{START, World};

pub(crate) struct Process {
    world: Arc<World>,
    pub(crate) pid: u32,
    rng: Rng,
    dead: AtomicBool,
    pub(crate) died: Notify,
    /// Nanoseconds that its clock is ahead.
    skew: AtomicI64,
    /// Milliseconds of virtual time until which it hangs.
    hangs_until: AtomicU64,
    claims: AtomicU64,
}

impl Process {
    pub(crate) fn new(world: Arc<World>, pid: u32) -> Self {
        let seed = world.rng.next();
        Self {
            world,
            pid,
            rng: Rng::new(seed),
            dead: AtomicBool::new(false),
            died: Notify::new(),
            skew: AtomicI64::new(0),
            hangs_until: AtomicU64::new(0),
            claims: AtomicU64::new(0),
        }
    }

    /// An engine in this process.
    pub(crate) fn engine(self: &Arc<Self>) -> Engine {
        let steps = Steps {
            world: Arc::clone(&self.world),
        };
        Engine::builder(Arc::new(View(Arc::clone(self))), Arc::new(steps))
            .clock(Arc::new(SkewedClock(Arc::clone(self))))
            .host(Arc::new(Seen(Arc::clone(self))))
            .observer(Arc::new(ReadBack {
                store: Arc::clone(&self.world.store) as _,
                then: Arc::new(Unobserved),
                differences: self.world.differences.clone(),
            }))
            .build()
    }

    /// As by SIGKILL: nothing that it does from now on has an effect.
    pub(crate) fn kill(&self) {
        if !self.dead.swap(true, Ordering::Relaxed) {
            self.world.say(format!("process {} dies", self.pid));
            self.world.bury(self.pid);
            self.died.notify_one();
        }
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    /// Corrects its clock by so many seconds.
    pub(crate) fn step_clock(&self, seconds: i64) {
        self.world
            .say(format!("clock of {} steps by {seconds} s", self.pid));
        self.skew
            .fetch_add(seconds * 1_000_000_000, Ordering::Relaxed);
    }

    /// Stops it for a while, as SIGSTOP or a swapping machine would.
    pub(crate) fn hang(&self, time: Duration) {
        self.world
            .say(format!("process {} hangs for {time:?}", self.pid));
        let until = self.world.began.elapsed() + time;
        let millis = u64::try_from(until.as_millis()).unwrap_or(u64::MAX);
        self.hangs_until.store(millis, Ordering::Relaxed);
    }

    /// The way to the store: dead processes never come through, hanging ones late.
    async fn pass(&self) {
        if self.is_dead() {
            std::future::pending::<()>().await;
        }
        let until = Duration::from_millis(self.hangs_until.load(Ordering::Relaxed));
        if until > self.world.began.elapsed() {
            tokio::time::sleep_until(self.world.began + until).await;
        }
        if self.is_dead() {
            std::future::pending::<()>().await;
        }
    }

    fn fault(&self, once_in: u64) -> bool {
        self.world.is_stormy() && self.rng.once_in(once_in)
    }

    async fn crash(&self) {
        self.kill();
        std::future::pending::<()>().await;
    }
}

fn unavailable() -> StoreError {
    StoreError::unavailable("a simulated fault".to_owned())
}

/// The process as a host: it knows which other processes live, as `/proc` would tell. Every third one is on a machine of its
/// own, where nobody can see it.
struct Seen(Arc<Process>);

fn host_of(pid: u32) -> String {
    match pid % 3 {
        0 => format!("host-{pid}"),
        _ => "host".to_owned(),
    }
}

impl Host for Seen {
    fn enter(&self) -> Owner {
        let claim = self.0.claims.fetch_add(1, Ordering::Relaxed);
        Owner {
            host: host_of(self.0.pid),
            boot: "boot".to_owned(),
            pid: self.0.pid,
            started: 1,
            nonce: format!("{}-{claim}", self.0.pid),
        }
    }

    fn leave(&self, _: &Owner) {}

    fn name(&self) -> String {
        host_of(self.0.pid)
    }

    fn liveness(&self, owner: &Owner) -> Liveness {
        if owner.host != host_of(self.0.pid) {
            return Liveness::Unknown;
        }
        match self.0.world.living(owner.pid) {
            Some(_) => Liveness::Alive,
            None => Liveness::Gone,
        }
    }

    fn draw(&self) -> u64 {
        self.0.rng.next()
    }
}

struct SkewedClock(Arc<Process>);

impl Clock for SkewedClock {
    fn now(&self) -> Timestamp {
        let right = START.after(self.0.world.began.elapsed()).as_nanos();
        Timestamp::from_nanos(right.saturating_add_signed(self.0.skew.load(Ordering::Relaxed)))
    }

    fn monotonic(&self) -> Duration {
        self.0.world.began.elapsed()
    }

    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(time))
    }
}

/// The store as the process sees it.
struct View(Arc<Process>);

impl Decorator for View {
    fn inner(&self) -> &dyn Store {
        self.0.world.store.as_ref()
    }

    /// A change, with what can go wrong before and after it.
    fn change<'a, T: Send + 'a>(
        &'a self,
        change: BoxFuture<'a, Result<T, StoreError>>,
    ) -> BoxFuture<'a, Result<T, StoreError>> {
        Box::pin(async move {
            let process = self.0.as_ref();
            process.pass().await;
            if process.fault(300) {
                process.crash().await;
            }
            if process.fault(60) {
                return Err(unavailable());
            }
            let answer = change.await;
            if process.fault(300) {
                process.crash().await;
            }
            if answer.is_ok() && process.fault(80) {
                return Err(unavailable());
            }
            answer
        })
    }

    fn read<'a, T: Send + 'a>(
        &'a self,
        read: BoxFuture<'a, Result<T, StoreError>>,
    ) -> BoxFuture<'a, Result<T, StoreError>> {
        Box::pin(async move {
            if self.0.is_dead() || self.0.fault(400) {
                return Err(unavailable());
            }
            read.await
        })
    }
}

impl Runs for View {
    fn write(&self, write: Write) -> BoxFuture<'_, Result<Written, StoreError>> {
        Box::pin(async move {
            let (run, entries) = (write.run.clone(), write.entries.clone());
            let written = self.change(self.inner().write(write)).await?;
            let mut promises = self.0.world.promises();
            for entry in entries {
                promises.entries.insert((run.clone(), entry.seq), entry);
            }
            Ok(written)
        })
    }

    hand_on! { row checkpoint journal logs }
}

hand_on! { View: Claims }
hand_on! { View: Attempts }
hand_on! { View: Artifacts }
hand_on! { View: Mailbox }
hand_on! { View: Blobs }
hand_on! { View: Upkeep }
hand_on! { View: Watch }
