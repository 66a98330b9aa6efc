//! Which components the workflows of a folder may use, as somebody has looked at them: the content of a lock file, and whether a
//! component is the one that it holds.
//!
//! A lock belongs to a folder: an entry holds for every definition beside it that names the same plugin with the same source. What is
//! not in it is refused, so that a workflow or a plugin that comes later is looked at, too. Its text ([`Lock::read`], [`Lock::write`])
//! is TOML in a stable order, an entry a table, so that versions of it can be compared and merged line by line.

mod text;
mod wants;

use std::collections::BTreeMap;

pub use text::InvalidLock;
pub use wants::Wants;

use crate::ids::Digest;

/// The version of the text that this version of the host writes.
pub const VERSION: i64 = 1;

/// What a lock file holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lock {
    entries: BTreeMap<Key, Locked>,
}

/// How a definition names a component.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Name of the plugin.
    pub name: String,
    /// Its `source`, as it is written.
    pub source: String,
}

/// A component that may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locked {
    /// Of a component, digest of the file; of a script, digest of its text as it is run.
    pub digest: Digest,
    /// Of a component from a registry, digest of the manifest that named it.
    pub manifest: Option<Digest>,
    /// The public key that has to have signed it, as `wasm_plugins::oci_registry::PublicKey` of the engine writes it.
    pub key: Option<String>,
    /// The version of the contract that it was built for; none of one that has functions alone.
    pub contract: Option<String>,
    /// What it wanted when it was looked at.
    pub wants: Wants,
    /// Where it stands in the text, from 1; 0 of one that was not read.
    pub line: usize,
}

/// Why a component may not be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotLocked<'a> {
    /// There is no such plugin in the lock.
    Unknown,
    /// It is there from another source.
    Source(&'a str, &'a Locked),
    /// It is another component.
    Digest(&'a Locked),
}

/// What became of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "a few, and for a moment")]
pub enum Taken {
    /// It is new.
    Added,
    /// It was there, with the same component.
    Unchanged,
    /// It was there, with another component.
    Changed {
        /// What was there.
        before: Locked,
        /// What it wants more than that.
        more: Wants,
        /// What that wanted more.
        less: Wants,
    },
}

impl Lock {
    /// Whether the component that a definition names may be used.
    ///
    /// # Errors
    /// [`NotLocked`].
    pub fn check(&self, key: &Key, digest: &Digest) -> Result<(), NotLocked<'_>> {
        match self.entries.get(key) {
            Some(locked) if locked.digest == *digest => Ok(()),
            Some(locked) => Err(NotLocked::Digest(locked)),
            None => {
                let named = self
                    .entries
                    .iter()
                    .find(|(known, _)| known.name == key.name);
                Err(named.map_or(NotLocked::Unknown, |(known, locked)| {
                    NotLocked::Source(&known.source, locked)
                }))
            }
        }
    }

    /// Takes a component as it was found.
    pub fn take(&mut self, key: Key, found: Locked) -> Taken {
        let same = |before: &Locked| {
            before.digest == found.digest
                && before.manifest == found.manifest
                && before.key == found.key
                && before.contract == found.contract
                && before.wants == found.wants
        };
        match self.entries.get(&key) {
            Some(before) if same(before) => Taken::Unchanged,
            Some(before) => {
                let (more, less) = (
                    found.wants.beyond(&before.wants),
                    before.wants.beyond(&found.wants),
                );
                let before = before.clone();
                self.entries.insert(key, found);
                Taken::Changed { before, more, less }
            }
            None => {
                self.entries.insert(key, found);
                Taken::Added
            }
        }
    }

    /// Takes out what nobody uses.
    pub fn drop_unused(&mut self, is_used: impl Fn(&Key) -> bool) -> Vec<Key> {
        let unused: Vec<Key> = self.keys().filter(|key| !is_used(key)).cloned().collect();
        for key in &unused {
            self.entries.remove(key);
        }
        unused
    }

    /// What it holds of that key.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&Locked> {
        self.entries.get(key)
    }

    /// What it holds, in the order of the text.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.entries.keys()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use super::*;

    pub(super) fn key(name: &str, source: &str) -> Key {
        Key {
            name: name.to_owned(),
            source: source.to_owned(),
        }
    }

    pub(super) fn locked(bytes: &str, capabilities: &[&str]) -> Locked {
        let capabilities: Vec<String> = capabilities.iter().map(ToString::to_string).collect();
        Locked {
            digest: Digest::of(bytes.as_bytes()),
            manifest: None,
            key: None,
            contract: Some("0.1.0".to_owned()),
            wants: Wants::new(&capabilities, None),
            line: 0,
        }
    }

    fn lock() -> Lock {
        let mut lock = Lock::default();
        assert_eq!(
            lock.take(key("a", "a.wasm"), locked("a", &["log"])),
            Taken::Added
        );
        assert_eq!(
            lock.take(key("b", "x/b.wasm"), locked("b", &[])),
            Taken::Added
        );
        lock
    }

    #[test]
    fn a_component_is_let_in_by_name_source_and_digest_together() {
        let lock = lock();
        let (a, b) = (locked("a", &["log"]), locked("b", &[]));
        for (name, source, bytes, expected) in [
            ("a", "a.wasm", "a", Ok(())),
            ("b", "x/b.wasm", "b", Ok(())),
            ("a", "a.wasm", "b", Err(NotLocked::Digest(&a))),
            ("a", "x/b.wasm", "b", Err(NotLocked::Source("a.wasm", &a))),
            ("b", "b.wasm", "b", Err(NotLocked::Source("x/b.wasm", &b))),
            ("c", "a.wasm", "a", Err(NotLocked::Unknown)),
            ("", "", "", Err(NotLocked::Unknown)),
        ] {
            let digest = Digest::of(bytes.as_bytes());
            assert_eq!(
                lock.check(&key(name, source), &digest),
                expected,
                "{name} {source} {bytes}"
            );
        }
    }

    #[test]
    fn what_is_taken_is_compared_with_what_was_there() {
        let mut lock = lock();
        let a = key("a", "a.wasm");
        assert_eq!(
            lock.take(a.clone(), locked("a", &["log"])),
            Taken::Unchanged
        );
        let Taken::Changed { before, more, less } = lock.take(a.clone(), locked("a2", &["exec"]))
        else {
            panic!("it is another one")
        };
        assert_eq!(before, locked("a", &["log"]));
        assert_eq!(more.to_string(), "capabilities exec");
        assert_eq!(less.to_string(), "capabilities log");
        assert_eq!(lock.get(&a).unwrap().digest, Digest::of(b"a2"));
        // The same component, seen by a version of the host that sees more of it.
        let seen = lock.take(a.clone(), locked("a2", &["exec", "http"]));
        assert!(matches!(seen, Taken::Changed { .. }), "{seen:?}");

        assert_eq!(
            lock.drop_unused(|key| key.name == "a"),
            [key("b", "x/b.wasm")]
        );
        assert_eq!(lock.keys().collect::<Vec<_>>(), [&a]);
    }
}
