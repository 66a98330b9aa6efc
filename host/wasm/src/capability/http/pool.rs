//! Connections that are kept for the next request to the same place.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::client::conn::http1::SendRequest;
use tokio::task::AbortHandle;

use super::request::Origin;

/// How long a connection is kept unused. Many servers close theirs after five seconds.
const IDLE: Duration = Duration::from_secs(4);
/// How often somebody looks for those that nobody came for.
pub(super) const SWEEP: Duration = Duration::from_secs(1);
/// Connections that are kept unused, in all and to one place.
const MOST: usize = 32;
const MOST_TO_ONE: usize = 4;

/// Where a connection leads, and whether it may have been made to an address that is not public.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) origin: Origin,
    pub(super) private: bool,
}

/// A connection. Dropped, it is closed, whatever is under way on it.
pub(super) struct Connection {
    pub(super) sender: SendRequest<Whole>,
    /// Whether nobody on the way can read along: it is encrypted, or it does not leave the machine.
    pub(super) guarded: bool,
    /// Where it leads.
    pub(super) address: IpAddr,
    task: AbortHandle,
}

impl Connection {
    pub(super) fn new(
        sender: SendRequest<Whole>,
        guarded: bool,
        address: IpAddr,
        task: AbortHandle,
    ) -> Self {
        Self {
            sender,
            guarded,
            address,
            task,
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The body of a request, in one piece.
pub(super) struct Whole(pub(super) Option<Bytes>);

impl Body for Whole {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

/// Unused connections.
#[derive(Default)]
pub(super) struct Pool {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    idle: HashMap<Key, Vec<(Connection, Instant)>>,
    /// Somebody comes by to sweep.
    swept: bool,
}

impl Pool {
    /// One to that place that was open a moment ago.
    pub(super) fn take(&self, key: &Key) -> Option<Connection> {
        let mut kept = self.kept();
        let connections = kept.idle.get_mut(key)?;
        while let Some((connection, since)) = connections.pop() {
            if connection.sender.is_ready() && since.elapsed() < IDLE {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps one, unless there are enough. Whether somebody has to come by to [`Pool::sweep`].
    pub(super) fn put(&self, key: Key, connection: Connection) -> bool {
        let mut kept = self.kept();
        let all: usize = kept.idle.values().map(Vec::len).sum();
        let connections = kept.idle.entry(key).or_default();
        if all < MOST && connections.len() < MOST_TO_ONE {
            connections.push((connection, Instant::now()));
        }
        !std::mem::replace(&mut kept.swept, true)
    }

    /// Closes those that nobody came for. Whether it has to be done again.
    pub(super) fn sweep(&self) -> bool {
        let mut kept = self.kept();
        kept.idle.retain(|_, connections| {
            connections.retain(|(connection, since)| {
                !connection.sender.is_closed() && since.elapsed() < IDLE
            });
            !connections.is_empty()
        });
        kept.swept = !kept.idle.is_empty();
        kept.swept
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
