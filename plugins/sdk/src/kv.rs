//! State that outlives the step: buckets of keys and values, which all runs of a store share. The workflow names the buckets that a
//! plugin may use (`kv = ["rates"]`).
//!
//! ```
//! use milepost_sdk::Result;
//! use milepost_sdk::kv::Bucket;
//!
//! # fn main() -> Result<()> {
//! let rates = Bucket::open("rates")?;
//! rates.put_json("EUR", &1.07)?;
//! assert_eq!(rates.get_json::<f64>("EUR")?, Some(1.07));
//! // Somebody else may change it at the same time: nothing is lost.
//! let seen = rates.update("seen", |seen: Option<u32>| seen.unwrap_or(0) + 1)?;
//! assert_eq!(seen, 1);
//! assert_eq!(rates.keys("").collect::<Result<Vec<_>, _>>()?, ["EUR", "seen"]);
//! # Ok(())
//! # }
//! ```
//!
//! On targets without a host, as in a unit test, buckets are kept per thread.

#![allow(
    clippy::needless_question_mark,
    clippy::useless_conversion,
    reason = "in a component, the error of the host is of another type"
)]

use std::collections::VecDeque;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, HostError, Result};

/// Keys that are asked for at once.
const PAGE: u32 = 256;
/// Times that an update is tried against others who change the same key.
const TRIES: usize = 20;

/// A named set of keys and values.
pub struct Bucket {
    source: source::Bucket,
}

/// A value and its revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The value.
    pub value: Vec<u8>,
    /// Rises with every change of the key.
    pub revision: u64,
}

impl Bucket {
    /// Opens a bucket; one that nobody has written to is empty.
    ///
    /// # Errors
    /// `denied` when the workflow does not allow it.
    pub fn open(name: &str) -> Result<Self, HostError> {
        Ok(Self {
            source: source::Bucket::open(name)?,
        })
    }

    /// The value of a key, if it has one.
    ///
    /// # Errors
    /// What the host says.
    pub fn get(&self, key: &str) -> Result<Option<Item>, HostError> {
        Ok(self.source.get(key)?.map(|item| Item {
            value: item.value,
            revision: item.revision,
        }))
    }

    /// Sets the value of a key, whatever it was. Returns its new revision.
    ///
    /// # Errors
    /// What the host says; `too-large` when there is no room.
    pub fn put(&self, key: &str, value: &[u8]) -> Result<u64, HostError> {
        Ok(self.source.put(key, value)?)
    }

    /// Sets the value of a key if it has that revision, or, with `None`, if it has no value. Returns its new revision.
    ///
    /// # Errors
    /// `conflict` when it has another one, or what the host says.
    pub fn replace(&self, key: &str, over: Option<u64>, value: &[u8]) -> Result<u64, HostError> {
        Ok(self.source.replace(key, over, value)?)
    }

    /// Takes the value of a key away.
    ///
    /// # Errors
    /// What the host says.
    pub fn delete(&self, key: &str) -> Result<(), HostError> {
        Ok(self.source.delete(key)?)
    }

    /// All keys with a value that begin with `prefix`, sorted. They are read a page at a time; the first error ends them.
    #[must_use]
    pub fn keys<'a>(&'a self, prefix: &'a str) -> Keys<'a> {
        Keys {
            bucket: self,
            prefix,
            page: VecDeque::new(),
            last: None,
            over: false,
        }
    }

    /// The value of a key as JSON.
    ///
    /// # Errors
    /// What the host says, or `invalid_value` when it is no `T`.
    pub fn get_json<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        let item = self.get(key)?;
        item.map(|item| parse(key, &item.value)).transpose()
    }

    /// Sets the value of a key as JSON. Returns its new revision.
    ///
    /// # Errors
    /// What the host says, or `invalid_value` when the value is not JSON.
    pub fn put_json<T: Serialize>(&self, key: &str, value: &T) -> Result<u64> {
        Ok(self.put(key, &text(key, value)?)?)
    }

    /// Changes the value of a key as JSON from what it is, if it has one, to what `change` makes of that; again with what it is by
    /// then where somebody else was faster. Returns the new value.
    ///
    /// # Errors
    /// What the host says, `invalid_value`, or `conflict`, retryable, when others were faster every time.
    pub fn update<T: Serialize + DeserializeOwned>(
        &self,
        key: &str,
        mut change: impl FnMut(Option<T>) -> T,
    ) -> Result<T> {
        for _ in 0..TRIES {
            let item = self.get(key)?;
            let revision = item.as_ref().map(|item| item.revision);
            let present = item.map(|item| parse(key, &item.value)).transpose()?;
            let value = change(present);
            match self.replace(key, revision, &text(key, &value)?) {
                Ok(_) => return Ok(value),
                Err(error) if error.is("conflict") => {}
                Err(error) => return Err(error.into()),
            }
        }
        let message = format!("`{key}` was changed by others {TRIES} times");
        Err(Error::retryable("conflict", message).into())
    }
}

fn parse<T: DeserializeOwned>(key: &str, value: &[u8]) -> Result<T> {
    serde_json::from_slice(value).map_err(|e| invalid(key, &e))
}

fn text<T: Serialize>(key: &str, value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|e| invalid(key, &e))
}

fn invalid(key: &str, error: &serde_json::Error) -> Error {
    Error::failed("invalid_value", format!("value of `{key}`: {error}")).into()
}

/// Keys of a bucket; see [`Bucket::keys`].
pub struct Keys<'a> {
    bucket: &'a Bucket,
    prefix: &'a str,
    page: VecDeque<String>,
    last: Option<String>,
    over: bool,
}

impl Iterator for Keys<'_> {
    type Item = Result<String, HostError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.is_empty() && !self.over {
            let source = &self.bucket.source;
            match source.keys(self.prefix, self.last.as_deref(), PAGE) {
                Ok(keys) => {
                    // The host may give fewer than were asked for; only none is the end.
                    self.over = keys.is_empty();
                    self.last = keys.last().cloned().or(self.last.take());
                    self.page = keys.into();
                }
                Err(error) => {
                    self.over = true;
                    return Some(Err(error.into()));
                }
            }
        }
        self.page.pop_front().map(Ok)
    }
}

#[cfg(target_family = "wasm")]
mod source {
    pub(super) use crate::bindings::milepost::step::kv::Bucket;
}

#[cfg(not(target_family = "wasm"))]
mod source {
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    use super::{HostError, Item};

    /// Values by bucket and key; a deleted one keeps its revision.
    type Kept = BTreeMap<(String, String), (u64, Option<Vec<u8>>)>;

    thread_local! {
        static KEPT: RefCell<Kept> = const { RefCell::new(BTreeMap::new()) };
    }

    pub(super) struct Bucket(String);

    impl Bucket {
        pub(super) fn open(name: &str) -> Result<Self, HostError> {
            Ok(Self(name.to_owned()))
        }

        fn at(&self, key: &str) -> (String, String) {
            (self.0.clone(), key.to_owned())
        }

        pub(super) fn get(&self, key: &str) -> Result<Option<Item>, HostError> {
            Ok(KEPT.with_borrow(|kept| {
                let (revision, value) = kept.get(&self.at(key))?;
                Some(Item {
                    value: value.clone()?,
                    revision: *revision,
                })
            }))
        }

        fn set(&self, key: &str, value: Option<&[u8]>) -> u64 {
            KEPT.with_borrow_mut(|kept| {
                let (revision, present) = kept.entry(self.at(key)).or_default();
                *revision += 1;
                *present = value.map(<[u8]>::to_vec);
                *revision
            })
        }

        pub(super) fn put(&self, key: &str, value: &[u8]) -> Result<u64, HostError> {
            Ok(self.set(key, Some(value)))
        }

        pub(super) fn replace(
            &self,
            key: &str,
            over: Option<u64>,
            value: &[u8],
        ) -> Result<u64, HostError> {
            if self.get(key)?.map(|item| item.revision) != over {
                return Err(HostError::new("conflict", format!("`{key}` was changed")));
            }
            self.put(key, value)
        }

        pub(super) fn delete(&self, key: &str) -> Result<(), HostError> {
            self.set(key, None);
            Ok(())
        }

        pub(super) fn keys(
            &self,
            prefix: &str,
            after: Option<&str>,
            limit: u32,
        ) -> Result<Vec<String>, HostError> {
            Ok(KEPT.with_borrow(|kept| {
                let there = kept.iter().filter(|(_, (_, value))| value.is_some());
                let here =
                    there.filter_map(|((bucket, key), _)| (*bucket == self.0).then_some(key));
                here.filter(|key| {
                    key.starts_with(prefix) && after.is_none_or(|after| key.as_str() > after)
                })
                .take(limit as usize)
                .cloned()
                .collect()
            }))
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use super::*;

    #[test]
    fn a_key_is_replaced_only_over_what_was_read() {
        let bucket = Bucket::open("replaced").unwrap();
        assert_eq!(bucket.get("k"), Ok(None));
        assert_eq!(bucket.replace("k", None, b"1"), Ok(1));
        assert!(bucket.replace("k", None, b"2").unwrap_err().is("conflict"));
        assert_eq!(bucket.replace("k", Some(1), b"2"), Ok(2));
        bucket.delete("k").unwrap();
        assert_eq!(bucket.get("k"), Ok(None));
        // The revision goes on.
        assert_eq!(bucket.put("k", b"3"), Ok(4));
    }

    #[test]
    fn keys_come_in_order_whatever_the_size_of_a_page() {
        let bucket = Bucket::open("many").unwrap();
        let names: Vec<String> = (0..PAGE * 2 + 3).map(|n| format!("k{n:05}")).collect();
        for name in &names {
            bucket.put(name, b"").unwrap();
        }
        bucket.put("other", b"").unwrap();
        let found: Result<Vec<String>, HostError> = bucket.keys("k").collect();
        assert_eq!(found.unwrap(), names);
    }

    #[test]
    fn an_update_that_always_meets_others_can_be_tried_again() {
        let bucket = Bucket::open("busy").unwrap();
        let changed = bucket.update("k", |_: Option<u32>| {
            bucket.put("k", b"7").unwrap();
            1
        });
        let Err(Error::Retryable(retry)) = changed else {
            panic!("{changed:?}");
        };
        assert_eq!(retry.cause.code, "conflict");
        let error = bucket.get_json::<String>("k").unwrap_err().to_string();
        assert!(
            error.starts_with("failed (invalid_value): value of `k`"),
            "{error}"
        );
    }
}
