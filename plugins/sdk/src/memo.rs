//! Pieces of work that are done once for all attempts of a step, whatever interrupts it between them.
//!
//! ```
//! use milepost_sdk::{Result, memo};
//!
//! fn upload(part: u32) -> Result<String> {
//!     Ok(format!("etag-{part}"))
//! }
//!
//! # fn main() -> Result<()> {
//! let mut tags = Vec::new();
//! for part in 0..3 {
//!     // After an interruption, parts that were uploaded are not uploaded again.
//!     tags.push(memo::once(&format!("part-{part}"), || upload(part))?);
//! }
//! assert_eq!(tags, ["etag-0", "etag-1", "etag-2"]);
//! assert_eq!(memo::once("part-1", || upload(99))?, "etag-1");
//! # Ok(())
//! # }
//! ```
//!
//! A crash can come after the work and before it is settled: the work is then done again. Hand
//! [`Context::idempotency_key`](crate::Context::idempotency_key), and the key here, to whatever must not happen twice.
//!
//! On targets without a host, as in a unit test, memos are kept per thread.

#![allow(
    clippy::needless_question_mark,
    reason = "in a component, the error of the host is of another type"
)]

use core::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, HostError, Result};

/// Does the work, unless an earlier attempt of the step has: then this is what it came to. Work that fails is not settled.
///
/// # Errors
/// What `work` returns, what the host says, or `invalid_memo` when an earlier version of the plugin settled something that is no `T`.
pub fn once<T: Serialize + DeserializeOwned>(
    key: &str,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    match begin(key)? {
        Entry::Recorded(value) => Ok(value),
        Entry::Fresh(ticket) => {
            let value = work()?;
            ticket.settle(&value)?;
            Ok(value)
        }
    }
}

/// Asks whether the work under a key was done.
///
/// # Errors
/// What the host says, or `invalid_memo` when what was settled is no `T`.
pub fn begin<T: Serialize + DeserializeOwned>(key: &str) -> Result<Entry<T>> {
    Ok(match source::begin(key)? {
        source::Entry::Recorded(text) => {
            let value = serde_json::from_str(&text)
                .map_err(|e| Error::failed("invalid_memo", format!("memo `{key}`: {e}")))?;
            Entry::Recorded(value)
        }
        source::Entry::Fresh(ticket) => Entry::Fresh(Ticket {
            ticket,
            of: PhantomData,
        }),
    })
}

/// What is known of a piece of work.
pub enum Entry<T> {
    /// It was done, and came to this.
    Recorded(T),
    /// It is to be done now.
    Fresh(Ticket<T>),
}

/// The right to do a piece of work. Dropped unsettled, the work is done again by the next attempt.
#[must_use = "work that is not settled is done again"]
pub struct Ticket<T> {
    ticket: source::Ticket,
    of: PhantomData<fn(T)>,
}

impl<T: Serialize> Ticket<T> {
    /// Records what the work came to. It is durable when this returns.
    ///
    /// # Errors
    /// What the host says, or `invalid_memo` when the value is not JSON.
    pub fn settle(self, value: &T) -> Result<()> {
        let text = serde_json::to_string(value)
            .map_err(|e| Error::failed("invalid_memo", e.to_string()))?;
        source::settle(self.ticket, &text)?;
        Ok(())
    }
}

#[cfg(target_family = "wasm")]
mod source {
    use super::HostError;
    use crate::bindings::milepost::step::memo;
    pub(super) use crate::bindings::milepost::step::memo::{Entry, Ticket};

    pub(super) fn begin(key: &str) -> Result<Entry, HostError> {
        Ok(memo::begin(key)?)
    }

    pub(super) fn settle(ticket: Ticket, value: &str) -> Result<(), HostError> {
        Ok(Ticket::settle(ticket, value)?)
    }
}

#[cfg(not(target_family = "wasm"))]
mod source {
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    use super::HostError;

    thread_local! {
        static SETTLED: RefCell<BTreeMap<String, String>> = const { RefCell::new(BTreeMap::new()) };
    }

    pub(super) struct Ticket(String);

    pub(super) enum Entry {
        Recorded(String),
        Fresh(Ticket),
    }

    pub(super) fn begin(key: &str) -> Result<Entry, HostError> {
        if key.is_empty() {
            return Err(HostError::new("invalid", "the key is empty"));
        }
        let known = SETTLED.with_borrow(|settled| settled.get(key).cloned());
        Ok(known.map_or_else(|| Entry::Fresh(Ticket(key.to_owned())), Entry::Recorded))
    }

    pub(super) fn settle(ticket: Ticket, value: &str) -> Result<(), HostError> {
        SETTLED.with_borrow_mut(|settled| settled.insert(ticket.0, value.to_owned()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use super::*;

    #[test]
    fn work_that_fails_is_done_again_and_work_that_was_done_is_not() {
        let failing = || Err(Error::failed("no", "not yet").into());
        assert!(once::<u32>("work", failing).is_err());
        assert_eq!(once("work", || Ok(1)), Ok(1));
        assert_eq!(once("work", || Ok(2)), Ok(1));
        let Entry::Fresh(dropped) = begin::<u32>("dropped").unwrap() else {
            panic!("it was never begun");
        };
        drop(dropped);
        assert_eq!(once("dropped", || Ok(3)), Ok(3));
    }

    #[test]
    fn a_memo_of_another_type_is_an_error_with_a_stable_code() {
        once("typed", || Ok("text".to_owned())).unwrap();
        let error = once::<u32>("typed", || Ok(1)).unwrap_err().to_string();
        assert!(
            error.starts_with("failed (invalid_memo): memo `typed`"),
            "{error}"
        );
        let error = once::<u32>("", || Ok(1)).unwrap_err().to_string();
        assert_eq!(error, "failed (invalid): the key is empty");
    }
}
