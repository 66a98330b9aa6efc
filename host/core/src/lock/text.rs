//! A lock as text: written in one way, read strictly.

use std::collections::BTreeSet;
use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use super::{Key, Lock, Locked, VERSION, Wants};
use crate::grants::toml_whole;
use crate::ids::{Digest, InvalidId};
use crate::limits;
use crate::shown;

/// A text that is no lock.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLock {
    /// It is not TOML, or has other keys or types.
    #[error("{0}")]
    Shape(String),
    /// A newer version wrote it.
    #[error("its version is {0}, and this version of Milepost reads up to {VERSION}")]
    TooNew(i64),
    /// Its version is none.
    #[error("it has no version that there is: {0}")]
    Version(i64),
    /// A digest is none.
    #[error(transparent)]
    Digest(#[from] InvalidId),
    /// Two entries for one plugin with one source.
    #[error("the plugin `{name}` is in it twice, with the same source")]
    Twice {
        /// The plugin.
        name: String,
    },
    /// The hash over what a plugin wants is not of the lists that stand there.
    #[error(
        "what the plugin `{name}` wants is not what its hash `wants` says: it was changed by hand, or merged"
    )]
    Altered {
        /// The plugin.
        name: String,
    },
}

/// Why a text could not be read, and where.
type Invalid = (InvalidLock, usize);

/// Only the version, to tell a text of a newer version from one that is wrong.
#[derive(Deserialize)]
struct Versioned {
    version: Spanned<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(rename = "version")]
    _version: i64,
    #[serde(default)]
    plugin: Vec<RawEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEntry {
    name: Spanned<String>,
    source: String,
    digest: Spanned<String>,
    #[serde(default)]
    manifest: Option<Spanned<String>>,
    #[serde(default)]
    key: Option<String>,
    #[serde(default)]
    contract: Option<String>,
    #[serde(default)]
    capabilities: BTreeSet<String>,
    #[serde(default)]
    hosts: BTreeSet<String>,
    #[serde(default)]
    buckets: BTreeSet<String>,
    #[serde(default)]
    secrets: BTreeSet<String>,
    wants: Spanned<String>,
}

impl Lock {
    /// Reads a text.
    ///
    /// # Errors
    /// The first thing that is wrong, and the line where it stands.
    pub fn read(text: &str) -> Result<Self, Invalid> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let ends: Vec<usize> = text.match_indices('\n').map(|(at, _)| at).collect();
        let line = |span: Range<usize>| ends.partition_point(|end| *end < span.start) + 1;
        let shape = |error: toml::de::Error| {
            let at = error.span().map_or(1, line);
            (InvalidLock::Shape(shown::message(error.message())), at)
        };
        let versioned: Versioned = toml::from_str(text).map_err(shape)?;
        let at = line(versioned.version.span());
        match versioned.version.into_inner() {
            VERSION => {}
            newer if newer > VERSION => return Err((InvalidLock::TooNew(newer), at)),
            none => return Err((InvalidLock::Version(none), at)),
        }
        let raw: Raw = toml::from_str(text).map_err(shape)?;
        let mut lock = Self::default();
        for entry in raw.plugin {
            let at = line(entry.name.span());
            let name = entry.name.into_inner();
            let digest = |of: &Spanned<String>| {
                let digest = of.get_ref().parse::<Digest>();
                digest.map_err(|error| (InvalidLock::from(error), line(of.span())))
            };
            let locked = Locked {
                digest: digest(&entry.digest)?,
                manifest: entry.manifest.as_ref().map(digest).transpose()?,
                key: entry.key,
                contract: entry.contract,
                wants: Wants {
                    capabilities: entry.capabilities,
                    hosts: entry.hosts,
                    buckets: entry.buckets,
                    secrets: entry.secrets,
                },
                line: at,
            };
            if digest(&entry.wants)? != locked.wants.digest() {
                let name = excerpt(&name);
                return Err((InvalidLock::Altered { name }, line(entry.wants.span())));
            }
            let key = Key {
                name,
                source: entry.source,
            };
            if lock.entries.contains_key(&key) {
                let name = excerpt(&key.name);
                return Err((InvalidLock::Twice { name }, at));
            }
            lock.entries.insert(key, locked);
        }
        Ok(lock)
    }

    /// Its text, the same for the same content. `head` is said on top, in comments.
    #[must_use]
    pub fn write(&self, head: &str) -> String {
        let mut text: String = head.lines().map(|line| format!("# {line}\n")).collect();
        text.push_str(&format!("\nversion = {VERSION}\n"));
        for (key, locked) in &self.entries {
            text.push_str("\n[[plugin]]\n");
            let mut line = |name: &str, value: &str| {
                text.push_str(&format!("{name} = {}\n", toml_whole(value)));
            };
            line("name", &key.name);
            line("source", &key.source);
            line("digest", &locked.digest.to_string());
            if let Some(manifest) = &locked.manifest {
                line("manifest", &manifest.to_string());
            }
            if let Some(key) = &locked.key {
                line("key", key);
            }
            if let Some(contract) = &locked.contract {
                line("contract", contract);
            }
            for (list, names) in locked.wants.lists() {
                if !names.is_empty() {
                    text.push_str(&format!("{list} = {}\n", written(names)));
                }
            }
            text.push_str(&format!("wants = \"{}\"\n", locked.wants.digest()));
        }
        text
    }
}

fn excerpt(name: &str) -> String {
    shown::excerpt(name, limits::NAME_BYTES)
}

fn written(names: &BTreeSet<String>) -> String {
    let names: Vec<String> = names.iter().map(|name| toml_whole(name)).collect();
    format!("[{}]", names.join(", "))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use super::super::tests::{key, locked};
    use super::*;

    fn lock() -> Lock {
        let mut lock = Lock::default();
        let mut b = locked("b", &["log", "http"]);
        b.wants.hosts.insert("api.example.com".to_owned());
        lock.take(key("b", "x/b.wasm"), b);
        let mut a = locked("a", &[]);
        a.contract = None;
        lock.take(key("a", "a.wasm"), a);
        lock
    }

    const TEXT: &str = r#"# What it is.
# And more.

version = 1

[[plugin]]
name = "a"
source = "a.wasm"
digest = "sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
wants = "sha256:411cd14eddeffc8d026e6529f306e85065b66a24ed0bd3c9cd524066a3feed26"

[[plugin]]
name = "b"
source = "x/b.wasm"
digest = "sha256:3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d"
contract = "0.1.0"
capabilities = ["http", "log"]
hosts = ["api.example.com"]
wants = "sha256:930e372dd20e14b69cb7e12532815dc99ff1ce282de64d856f078ff34af1562e"
"#;

    #[test]
    fn the_text_is_stable_and_comes_back() {
        let text = lock().write("What it is.\nAnd more.");
        assert_eq!(text, TEXT);
        let read = Lock::read(&text).unwrap();
        let a = read.get(&key("a", "a.wasm")).unwrap();
        assert_eq!((a.line, &a.contract), (7, &None));
        assert_eq!(read.get(&key("b", "x/b.wasm")).unwrap().line, 13);
        assert_eq!(read.write("What it is.\nAnd more."), text);
        // As git writes it on other systems, and as editors do.
        let other = format!("\u{feff}{}", text.replace('\n', "\r\n"));
        assert_eq!(Lock::read(&other).unwrap().write(""), lock().write(""));
        assert_eq!(Lock::read("version = 1").unwrap(), Lock::default());
    }

    #[test]
    fn what_came_from_a_registry_has_its_manifest_and_its_key() {
        let mut lock = Lock::default();
        let mut one = locked("x", &[]);
        one.manifest = Some(Digest::of(b"manifest"));
        one.key = Some("MCow".to_owned());
        let signed = key("x", "oci:registry.example.com/x:1");
        lock.take(signed.clone(), one.clone());
        let text = lock.write("head");
        let digest = Digest::of(b"manifest");
        assert!(
            text.contains(&format!(
                "\nmanifest = \"{digest}\"\nkey = \"MCow\"\ncontract"
            )),
            "{text}"
        );
        let mut read = Lock::read(&text).unwrap();
        assert_eq!(read.write("head"), text);
        // A key more is a change, with nothing else changed.
        one.key = None;
        let taken = read.take(signed, one);
        assert!(
            matches!(taken, super::super::Taken::Changed { .. }),
            "{taken:?}"
        );
        let broken = text.replace("manifest = \"sha256:", "manifest = \"sha512:");
        let (error, line) = Lock::read(&broken).unwrap_err();
        assert_eq!(
            (line, matches!(error, InvalidLock::Digest(_))),
            (9, true),
            "{error}"
        );
    }

    #[test]
    fn names_of_any_kind_come_back() {
        for hostile in [
            "a\"b\\",
            "'",
            "'''\n\"\"\"",
            "\u{1b}[2J\0\r",
            "]\n[[plugin]]",
            "\u{2028}ü#",
        ] {
            let mut lock = Lock::default();
            let mut one = locked("x", &[hostile, "log"]);
            one.wants.secrets.insert(hostile.to_owned());
            lock.take(key(hostile, hostile), one);
            let text = lock.write("head");
            assert_eq!(Lock::read(&text).unwrap().write("head"), text, "{text}");
            assert!(!text.contains('\u{1b}'), "{text}");
        }
    }

    #[test]
    fn a_text_that_is_no_lock_is_refused_with_its_line() {
        let good = lock().write("head");
        let twice = format!("{good}{}", &good[good.find("\n[[plugin]]").unwrap()..]);
        for (text, line, says) in [
            (String::new(), 1, "missing field `version`"),
            ("version = ".to_owned(), 1, ""),
            ("\nversion = 2\nplugins = 3".to_owned(), 2, "reads up to 1"),
            ("version = 0".to_owned(), 1, "no version that there is"),
            ("version = \"1\"".to_owned(), 1, "invalid type"),
            (
                "version = 1\nlock = 1".to_owned(),
                2,
                "unknown field `lock`",
            ),
            (
                good.replace("[[plugin]]\nname = \"a\"", "[[plugin]]"),
                5,
                "missing field `name`",
            ),
            (good.replace("sha256:ca97", "sha256:xa97"), 8, "hex digits"),
            (
                good.replace("[\"http\", \"log\"]", "[\"log\"]"),
                18,
                "was changed by hand",
            ),
            (
                good.replace("contract", "contracts"),
                15,
                "unknown field `contracts`",
            ),
            (twice, 21, "in it twice"),
        ] {
            let (error, at) = Lock::read(&text).unwrap_err();
            assert!(error.to_string().contains(says), "{text}: {error}");
            assert_eq!(at, line, "{text}: {error}");
        }
    }
}
