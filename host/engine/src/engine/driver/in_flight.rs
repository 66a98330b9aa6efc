//! The attempts of one run that were called and have not ended.

use futures_util::FutureExt as _;
use tokio::task::JoinSet;

use super::Ended;
use crate::attempt::BoxFuture;

/// Dropped, it drops them with it.
#[derive(Default)]
pub(super) struct InFlight {
    /// Polled by the driver: one step after the other needs no task of its own.
    here: Option<BoxFuture<'static, Ended>>,
    /// Each a task, so that it moves on while others do, and while the driver commits.
    beside: JoinSet<Ended>,
}

impl InFlight {
    pub(super) fn push(&mut self, attempt: BoxFuture<'static, Ended>, beside: bool) {
        if beside || self.here.is_some() {
            self.beside.spawn(attempt);
        } else {
            self.here = Some(attempt);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.here.is_none() && self.beside.is_empty()
    }

    /// The next one that ends; pending for good where there is none. A panic of an attempt is the caller's.
    pub(super) async fn next(&mut self) -> Ended {
        let here = async {
            match &mut self.here {
                Some(attempt) => Some(attempt.await),
                None => None,
            }
        };
        tokio::select! {
            biased;
            Some(ended) = here => {
                self.here = None;
                ended
            }
            Some(joined) = self.beside.join_next() => {
                joined.unwrap_or_else(|error| match error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(error) => unreachable!("nobody aborts an attempt and asks for it: {error}"),
                })
            }
            else => std::future::pending().await,
        }
    }

    /// One that has ended by now.
    pub(super) fn ended(&mut self) -> Option<Ended> {
        self.next().now_or_never()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
