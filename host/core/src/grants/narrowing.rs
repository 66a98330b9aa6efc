//! What an operator takes away from the grants of every workflow: `--deny exec`, `--deny http=api.example.com`; or the same in the environment.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use super::address::is_localhost;
use super::denied::{Denied, toml_text};
use super::{Grants, InvalidHost, check_host, host};
use crate::definition::nearest;

/// Capabilities that are denied whatever a workflow grants, as a whole or for one host, bucket or program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Narrowing(Arc<BTreeSet<Word>>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Word {
    capability: &'static str,
    only: Option<String>,
}

/// The name of this very machine.
const LOCALHOST: &str = "localhost";

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
    /// No grant can name such a host.
    #[error(
        "`{0}` is no host of a grant: {1}; write a name, an address, or `*.example.com`, or `http` for all of them"
    )]
    Host(String, InvalidHost),
    /// No grant can name such a program.
    #[error(
        "`{0}` is no program of a grant; write its name or its absolute path, or `exec` for all of them"
    )]
    Program(String),
}

/// Something that is denied and that no grant of a workflow has to do with: probably a slip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idle {
    /// As it was written, such as `exec=gti`.
    pub word: String,
    /// What the workflow grants that is close to it.
    pub nearest: Vec<String>,
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
            ("http", Some(only)) => {
                let host = check_host(only);
                Some(host.map_err(|why| InvalidNarrowing::Host(only.to_owned(), why))?)
            }
            ("exec", Some(only)) if only.contains('*') || !is_program(only) => {
                return Err(InvalidNarrowing::Program(only.to_owned()));
            }
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
        self.check(plugin, "http", what, |only| {
            // A name of this machine and its addresses are one thing; what another name leads to is seen when it is looked up.
            host::fits(only, host) || only == LOCALHOST && is_loopback(host)
        })
    }

    /// An address to which a name has led.
    pub(super) fn address(
        &self,
        plugin: &Arc<str>,
        host: &str,
        address: IpAddr,
    ) -> Result<(), Denied> {
        let address = address.to_canonical();
        let what = || format!("HTTP to {host} at {address}");
        let text = address.to_string();
        self.check(plugin, "http", what, |only| {
            host::fits(only, &text) || only == LOCALHOST && address.is_loopback()
        })
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
        let what = || format!("the program {}", toml_text(program));
        // A name denies the program wherever it stands, and a place the name that may mean it, once it is known that it does.
        self.check(plugin, "exec", what, |only| {
            only == program || only == file_name(program)
        })
    }

    /// Whether it names any of a capability.
    pub(super) fn names(&self, capability: &str) -> bool {
        let mut words = self.0.iter();
        words.any(|word| word.capability == capability && word.only.is_some())
    }

    pub(super) fn found(
        &self,
        plugin: &Arc<str>,
        program: &str,
        is: impl Fn(&str) -> bool,
    ) -> Result<(), Denied> {
        let what = || format!("the program {}", toml_text(program));
        self.check(plugin, "exec", what, is)
    }

    /// What of its words has to do with none of these grants.
    #[must_use]
    pub fn idle(&self, grants: &[&Grants]) -> Vec<Idle> {
        let all = self.0.iter();
        all.filter_map(|word| word.idle(grants)).collect()
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

impl Narrowing {
    /// Programs that are denied by their place, beside the names that are granted and may mean them: where a name is found is the machine's matter.
    #[must_use]
    pub fn places<'a>(&'a self, grants: &[&'a Grants]) -> Vec<(&'a str, &'a str)> {
        let mut found = Vec::new();
        for word in self.0.iter().filter(|word| word.capability == "exec") {
            let Some(only) = word.only.as_deref().filter(|only| is_place(only)) else {
                continue;
            };
            let granted = grants.iter().flat_map(|grants| &grants.exec);
            let names: BTreeSet<&str> = granted.map(|grant| &*grant.program).collect();
            // Where the very place is granted, something is denied.
            let names = names.iter().filter(|_| !names.contains(only));
            let names = names.filter(|name| **name == file_name(only));
            found.extend(names.map(|name| (only, *name)));
        }
        found
    }
}

impl Word {
    fn idle(&self, grants: &[&Grants]) -> Option<Idle> {
        // What is denied as a whole says nothing about a name.
        let only = self.only.as_deref()?;
        let granted: BTreeSet<&str> = grants
            .iter()
            .flat_map(|grants| match self.capability {
                "http" => names(grants.http.iter().map(|grant| &*grant.host)),
                "exec" => names(grants.exec.iter().map(|grant| &*grant.program)),
                _ => names(grants.kv.iter().map(|bucket| &**bucket)),
            })
            .collect();
        let concerns = |name: &&str| match self.capability {
            "http" => {
                host::fits(only, name)
                    || host::fits(name, only)
                    || only == *name
                    || only == LOCALHOST && is_loopback(name)
                    // Where a name leads is seen when it is looked up.
                    || only.parse::<IpAddr>().is_ok() && name.parse::<IpAddr>().is_err()
            }
            // Where a name is found is seen when it is called.
            "exec" => {
                only == *name
                    || file_name(only) == file_name(name) && !(is_place(only) && is_place(name))
            }
            _ => only == *name,
        };
        if granted.iter().any(concerns) {
            return None;
        }
        let near = |name: &&&str| match self.capability {
            "exec" => !nearest(file_name(only), [file_name(name)]).is_empty(),
            _ => false,
        };
        let mut found = nearest(only, granted.iter().copied());
        found.extend(granted.iter().filter(near).map(|name| (*name).to_owned()));
        found.sort_unstable();
        found.dedup();
        Some(Idle {
            word: format!("{}={only}", self.capability),
            nearest: found,
        })
    }
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    names.collect()
}

fn is_loopback(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => is_localhost(host),
    }
}

/// Whether a grant can name such a program.
fn is_program(text: &str) -> bool {
    is_place(text) || !text.contains('/')
}

fn is_place(program: &str) -> bool {
    program.starts_with('/')
}

fn file_name(program: &str) -> &str {
    program.rsplit('/').next().unwrap_or(program)
}
