//! Secrets in what a guest wants kept.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::host_error::HostError;

/// The secrets that were found in something. What others read later is kept as it was given, or not at all: with a mask in it, it would be
/// something that nobody gave.
#[derive(Debug, Default)]
pub(crate) struct Found(BTreeSet<Arc<str>>);

impl Found {
    pub(crate) fn note(&mut self, name: &Arc<str>) {
        self.0.insert(Arc::clone(name));
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|name| &**name)
    }

    /// Refuses what held one.
    ///
    /// # Errors
    /// `contains-secret`.
    pub(crate) fn refused(&self, what: &str) -> Result<(), HostError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = self.names().map(|name| format!("`{name}`")).collect();
        let (noun, value) = match names.len() {
            1 => ("secret", "its value"),
            _ => ("secrets", "a value"),
        };
        Err(HostError::new(
            "contains-secret",
            format!(
                "{what} holds the {noun} {}, which is kept nowhere; nothing was read or written. Keep something else instead, such as a digest; \
                 where {value} stands there by chance, give the secret a longer one",
                names.join(", ")
            ),
        ))
    }
}
