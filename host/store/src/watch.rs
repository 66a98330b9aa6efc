//! The time of a store, and what it says by itself.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::future::BoxFuture;
use milepost_core::time::Timestamp;

use crate::StoreError;

/// What a store tells of itself.
pub trait Watch: Send + Sync {
    /// What time it is by the clock of a store that is far away; its engines follow that. `None` for a store whose clock is its
    /// callers' own.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    fn time(&self) -> BoxFuture<'_, Result<Option<Timestamp>, StoreError>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Ready when there may be something new to take or to look after, since it was called. A hint may be lost or come twice:
    /// whoever waits for one looks by himself now and then.
    fn hint(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }
}

/// Where a store reads the time at which leases begin and end.
#[derive(Clone)]
pub struct StoreClock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl StoreClock {
    /// Another clock than the machine's.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Now, UTC.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

/// The machine's clock.
impl Default for StoreClock {
    fn default() -> Self {
        Self::new(|| SystemTime::now().into())
    }
}

impl fmt::Debug for StoreClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreClock")
    }
}
