//! What the tests of this store share, beside the words of the conformance suite.

#![allow(
    dead_code,
    unused_imports,
    reason = "each test binary uses its own part of this"
)]

use std::pin::pin;
use std::task::{Context, Poll, Waker};

pub(crate) use milepost_store::conformance::words::{
    ALL, Talk, With, at, change, claim, clock, conflict, create, entry, id, in_status, line, owner,
    request, signal, start, step, wait,
};

/// A future whose answer is there: both stores of this workspace answer reads at once.
pub(crate) trait Now: Future + Sized {
    fn now(self) -> Self::Output {
        match poll_once(&mut Box::pin(self)) {
            Poll::Ready(answer) => answer,
            Poll::Pending => panic!("the answer has to be waited for"),
        }
    }
}

impl<F: Future> Now for F {}

/// Lets a future go as far as it can without waiting.
pub(crate) fn poll_once<T>(future: &mut (impl Future<Output = T> + Unpin)) -> Poll<T> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}
