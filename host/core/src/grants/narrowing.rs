//! What an operator takes away from the grants of every workflow: `--deny exec`, `--deny http=api.example.com`.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::Arc;

use super::denied::{Denied, toml_text};
use super::host;

/// Capabilities that are denied whatever a workflow grants, as a whole or for one host, bucket or program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Narrowing(Arc<BTreeSet<Word>>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Word {
    capability: &'static str,
    only: Option<String>,
}

/// Names that can be denied.
const CAPABILITIES: [&str; 4] = ["http", "kv", "artifacts", "exec"];

/// Why a word says nothing that can be denied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNarrowing {
    /// No such capability.
    #[error("`{0}` cannot be denied; what can is `http`, `kv`, `artifacts` and `exec`")]
    Capability(String),
    /// Artifacts are one thing.
    #[error("`artifacts` can only be denied as a whole")]
    Artifacts,
    /// Nothing after the `=`.
    #[error("`{0}=` names nothing; leave the `=` out to deny all of it")]
    Empty(&'static str),
}

impl FromStr for Narrowing {
    type Err = InvalidNarrowing;

    fn from_str(text: &str) -> Result<Self, InvalidNarrowing> {
        let (name, only) = match text.split_once('=') {
            Some((name, only)) => (name, Some(only)),
            None => (text, None),
        };
        let found = CAPABILITIES.into_iter().find(|known| *known == name);
        let capability = found.ok_or_else(|| InvalidNarrowing::Capability(name.to_owned()))?;
        let only = match (capability, only) {
            (_, None) => None,
            ("artifacts", Some(_)) => return Err(InvalidNarrowing::Artifacts),
            (_, Some("")) => return Err(InvalidNarrowing::Empty(capability)),
            ("http", Some(only)) => Some(host::canonical(only)),
            (_, Some(only)) => Some(only.to_owned()),
        };
        Ok(Self(Arc::new(BTreeSet::from([Word { capability, only }]))))
    }
}

impl FromIterator<Self> for Narrowing {
    fn from_iter<I: IntoIterator<Item = Self>>(all: I) -> Self {
        let words = all.into_iter().flat_map(|one| (*one.0).clone());
        Self(Arc::new(words.collect()))
    }
}

impl Narrowing {
    pub(super) fn http(&self, plugin: &Arc<str>, host: &str) -> Result<(), Denied> {
        let what = || format!("HTTP to {host}");
        self.check(plugin, "http", what, |only| host::fits(only, host))
    }

    pub(super) fn kv(&self, plugin: &Arc<str>, bucket: &str) -> Result<(), Denied> {
        let what = || format!("the bucket {}", toml_text(bucket));
        self.check(plugin, "kv", what, |only| only == bucket)
    }

    pub(super) fn artifacts(&self, plugin: &Arc<str>) -> Result<(), Denied> {
        let what = || "access to artifacts".to_owned();
        self.check(plugin, "artifacts", what, |_| true)
    }

    pub(super) fn exec(&self, plugin: &Arc<str>, program: &str) -> Result<(), Denied> {
        let name = program.rsplit('/').next().unwrap_or(program);
        let what = || format!("the program {}", toml_text(program));
        // A name denies the program wherever it stands.
        self.check(plugin, "exec", what, |only| only == program || only == name)
    }

    fn check(
        &self,
        plugin: &Arc<str>,
        capability: &str,
        what: impl Fn() -> String,
        is: impl Fn(&str) -> bool,
    ) -> Result<(), Denied> {
        let denies =
            |word: &&Word| word.capability == capability && word.only.as_deref().is_none_or(&is);
        match self.0.iter().find(denies) {
            None => Ok(()),
            Some(Word { only: None, .. }) => {
                Err(Denied::by_operator(plugin, what(), capability.to_owned()))
            }
            Some(Word {
                only: Some(only), ..
            }) => {
                let word = format!("{capability}={only}");
                Err(Denied::by_operator(plugin, what(), word))
            }
        }
    }
}
