//! For stores in one process with those who use them: tells whoever waits that there may be something new.

use futures_util::future::BoxFuture;
use tokio::sync::Notify;

/// Hints for [`Watch::hint`](crate::Watch::hint).
#[derive(Debug, Default)]
pub struct Hints(Notify);

impl Hints {
    /// There may be something new.
    pub fn give(&self) {
        self.0.notify_waiters();
    }

    /// Ready at the first hint after this call.
    pub fn next(&self) -> BoxFuture<'_, ()> {
        // Whoever gives a hint after this line reaches it, polled or not.
        Box::pin(self.0.notified())
    }
}
