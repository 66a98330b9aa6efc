//! A store that many ask may keep what it offered from being offered again for a moment: it keeps all promises like any other.

use std::collections::BTreeMap;
use std::sync::Mutex;

use milepost::store::StoreClock;
use milepost::store::memory::MemoryStore;
use milepost_store::conformance::words::clock;
use milepost_tests::decorator::Decorator;
use milepost_tests::decorator::prelude::*;
use milepost_tests::hand_on;

/// How long nobody else is offered a run.
const MOMENT: Duration = Duration::from_secs(10);

struct Reserving {
    inner: MemoryStore,
    clock: StoreClock,
    /// Until when a run is not offered again.
    reserved: Mutex<BTreeMap<RunId, Timestamp>>,
}

impl Reserving {
    fn new() -> Self {
        Self {
            inner: MemoryStore::with_clock(clock()),
            clock: clock(),
            reserved: Mutex::default(),
        }
    }
}

impl Decorator for Reserving {
    fn inner(&self) -> &dyn Store {
        &self.inner
    }
}

impl Claims for Reserving {
    fn offer<'a>(&'a self, ask: &'a Ask) -> BoxFuture<'a, Result<Offer, StoreError>> {
        Box::pin(async move {
            let now = self.clock.now();
            let mut ask = ask.clone();
            {
                let mut reserved = self.reserved.lock().unwrap();
                reserved.retain(|_, until| *until > now);
                ask.except.extend(reserved.keys().cloned());
            }
            let offer = self.inner.offer(&ask).await?;
            let offered = offer
                .rows
                .iter()
                .map(|row| (row.id.clone(), now.after(MOMENT)));
            self.reserved.lock().unwrap().extend(offered);
            Ok(offer)
        })
    }

    hand_on! { keep give_up mark_detached look present absent workers }
}

hand_on! { Reserving: Attempts }
hand_on! { Reserving: Artifacts }
hand_on! { Reserving: Runs }
hand_on! { Reserving: Mailbox }
hand_on! { Reserving: Blobs }
hand_on! { Reserving: Upkeep }
hand_on! { Reserving: Watch }

milepost_store::conformance!(|| (Reserving::new(), ()));
