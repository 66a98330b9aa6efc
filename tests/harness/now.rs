//! Answers of stores in this process, in tests that have nothing else to do.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// A future whose answer is there.
pub trait Now: Future + Sized {
    /// The answer.
    ///
    /// # Panics
    /// When it has to be waited for.
    fn now(self) -> Self::Output {
        match pin!(self).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => answer,
            Poll::Pending => panic!("the answer has to be waited for"),
        }
    }
}

impl<F: Future> Now for F {}
