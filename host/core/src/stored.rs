//! How records are stored: a body of some shape, with the version of that shape.
//!
//! Every stored shape has a version of its own, so that one of them can change without the others.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::limits;
use crate::payload::{FindBlob, MissingBlob, hydrate};

/// A shape in which records are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Format {
    /// The version that is written, and the newest one that is read.
    pub(crate) version: u32,
}

/// A stored record that cannot be read back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A version that this program does not know.
    #[error("it has format {found}, this program knows up to {known}")]
    TooNew {
        /// Its version.
        found: u64,
        /// The newest version of this shape that can be read.
        known: u32,
    },
    /// Not the expected shape.
    #[error("it does not have the expected shape: {0}")]
    Malformed(String),
    /// A blob is gone.
    #[error(transparent)]
    MissingBlob(#[from] MissingBlob),
}

impl DecodeError {
    pub(crate) fn malformed(cause: &dyn std::fmt::Display) -> Self {
        Self::Malformed(cause.to_string())
    }
}

impl Format {
    /// Checks and removes the version of a stored body and puts its blobs back.
    pub(crate) fn open(
        self,
        text: &str,
        pointers: &[&str],
        find: &FindBlob<'_>,
    ) -> Result<Value, DecodeError> {
        let mut body: Value = serde_json::from_str(text).map_err(|e| DecodeError::malformed(&e))?;
        let found = body
            .get("format")
            .and_then(Value::as_u64)
            .ok_or_else(|| DecodeError::malformed(&"it has no format version"))?;
        if found > u64::from(self.version) {
            return Err(DecodeError::TooNew {
                found,
                known: self.version,
            });
        }
        let mut inner = body
            .get_mut("body")
            .map(Value::take)
            .ok_or_else(|| DecodeError::malformed(&"it has no body"))?;
        hydrate(&mut inner, pointers, find)?;
        Ok(inner)
    }

    /// Reads a stored body straight into `T`, which is much faster than the tree that [`Self::open`] makes of it. `None` where that does
    /// not work: because it names blobs, which no `T` takes, or because something is wrong with it. `open` finds out.
    pub(crate) fn read<'t, T: Deserialize<'t>>(self, text: &'t str) -> Option<T> {
        #[derive(Deserialize)]
        struct Stored<T> {
            format: u32,
            body: T,
        }
        // `open` bounds how much a body holds, also in members that nobody knows. The rest is only to save the attempt: a user's
        // value may say so, too.
        if text.len() > limits::PARSED_VALUE_BYTES || text.contains("\"blob\":") {
            return None;
        }
        let stored: Stored<T> = serde_json::from_str(text).ok()?;
        (stored.format <= self.version).then_some(stored.body)
    }

    /// Wraps a record with the version.
    pub(crate) fn close<T: Serialize>(self, body: &T) -> String {
        #[derive(Serialize)]
        struct Stored<'a, T> {
            format: u32,
            body: &'a T,
        }
        // Room for most bodies: growing on the way would copy them.
        let mut text = Vec::with_capacity(512);
        let stored = Stored {
            format: self.version,
            body,
        };
        serde_json::to_writer(&mut text, &stored)
            .expect("records have string keys and no failing serializers");
        String::from_utf8(text).expect("JSON is text")
    }
}
