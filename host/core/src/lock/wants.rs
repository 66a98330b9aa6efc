//! What a component wants of the world around it, and how much more that is than before.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::definition::Manifest;
use crate::grants::{canonical_host, host_fits};
use crate::ids::Digest;
use crate::shown::Shown;

/// Names in a list that are told; a component chooses how many there are.
const TOLD: usize = 20;

/// What a component imports and what its manifest asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Wants {
    /// Interfaces of the contract that it uses, `wasi` when it uses any of WASI, and `wasi:http` when that.
    pub capabilities: BTreeSet<String>,
    /// Hosts that it wants to talk to.
    pub hosts: BTreeSet<String>,
    /// Buckets that it wants to keep state in.
    pub buckets: BTreeSet<String>,
    /// Secrets that it wants to use.
    pub secrets: BTreeSet<String>,
}

impl Wants {
    /// Of a component with these capabilities and this manifest.
    #[must_use]
    pub fn new(capabilities: &[String], manifest: Option<&Manifest>) -> Self {
        let set = |names: &[String]| names.iter().cloned().collect();
        let asked = |of: fn(&Manifest) -> &Vec<String>| {
            manifest.map_or_else(BTreeSet::new, |manifest| set(of(manifest)))
        };
        Self {
            capabilities: set(capabilities),
            hosts: asked(|manifest| &manifest.hosts),
            buckets: asked(|manifest| &manifest.buckets),
            secrets: asked(|manifest| &manifest.secrets),
        }
    }

    /// What this is more than `other`. A host that a pattern of the other one covers is not more.
    #[must_use]
    pub fn beyond(&self, other: &Self) -> Self {
        let without = |of: &BTreeSet<String>, others: &BTreeSet<String>| {
            of.difference(others).cloned().collect()
        };
        let known: BTreeSet<String> = other
            .hosts
            .iter()
            .map(|host| canonical_host(host))
            .collect();
        let patterns: Vec<&String> = known.iter().filter(|host| host.starts_with('*')).collect();
        let covered = |host: &str| {
            known.contains(&canonical_host(host))
                || patterns.iter().any(|pattern| host_fits(pattern, host))
        };
        let hosts = self.hosts.iter().filter(|host| !covered(host));
        Self {
            capabilities: without(&self.capabilities, &other.capabilities),
            hosts: hosts.cloned().collect(),
            buckets: without(&self.buckets, &other.buckets),
            secrets: without(&self.secrets, &other.secrets),
        }
    }

    /// Whether it is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lists().iter().all(|(_, names)| names.is_empty())
    }

    /// One name for all of it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let json = serde_json::to_vec(self).expect("lists of texts are JSON");
        Digest::of(&json)
    }

    /// The lists and what is in them.
    pub(super) fn lists(&self) -> [(&'static str, &BTreeSet<String>); 4] {
        [
            ("capabilities", &self.capabilities),
            ("hosts", &self.hosts),
            ("buckets", &self.buckets),
            ("secrets", &self.secrets),
        ]
    }
}

/// `capabilities http, log; hosts api.example.com`.
impl fmt::Display for Wants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        for (what, names) in self.lists() {
            if names.is_empty() {
                continue;
            }
            let told: Vec<&str> = names.iter().take(TOLD).map(String::as_str).collect();
            write!(f, "{between}{what} {}", Shown(told.join(", ")))?;
            if let Some(more @ 1..) = names.len().checked_sub(TOLD) {
                write!(f, " and {more} more")?;
            }
            between = "; ";
        }
        match between {
            "" => f.write_str("nothing"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &str) -> BTreeSet<String> {
        names.split_whitespace().map(str::to_owned).collect()
    }

    fn wants(capabilities: &str, hosts: &str, buckets: &str, secrets: &str) -> Wants {
        Wants {
            capabilities: set(capabilities),
            hosts: set(hosts),
            buckets: set(buckets),
            secrets: set(secrets),
        }
    }

    #[test]
    fn what_is_more_is_told_list_by_list() {
        let before = wants("http log", "api.example.com *.example.org", "seen", "token");
        for (now, more, less) in [
            (before.clone(), "nothing", "nothing"),
            (
                wants("log", "", "", ""),
                "nothing",
                "capabilities http; hosts *.example.org, api.example.com; buckets seen; secrets token",
            ),
            (
                wants(
                    "exec http log",
                    "api.example.com *.example.org",
                    "seen",
                    "token",
                ),
                "capabilities exec",
                "nothing",
            ),
            // What a pattern covers is not more, and the pattern for what it covers is.
            (
                wants(
                    "http log",
                    "api.example.com a.b.example.org",
                    "seen",
                    "token",
                ),
                "nothing",
                "hosts *.example.org",
            ),
            (
                wants("http log", "*.example.com *.example.org", "seen", "token"),
                "hosts *.example.com",
                "nothing",
            ),
            (
                wants(
                    "http log",
                    "api.example.com *.example.org example.org",
                    "seen",
                    "token",
                ),
                "hosts example.org",
                "nothing",
            ),
            (
                wants(
                    "http log",
                    "API.example.com *.example.org",
                    "kept",
                    "token other",
                ),
                "buckets kept; secrets other",
                "buckets seen",
            ),
            // A name of one list is none of another.
            (
                wants(
                    "http log token",
                    "api.example.com *.example.org",
                    "seen",
                    "token seen",
                ),
                "capabilities token; secrets seen",
                "nothing",
            ),
        ] {
            assert_eq!(now.beyond(&before).to_string(), more, "{now}");
            assert_eq!(before.beyond(&now).to_string(), less, "{now}");
            assert_eq!(now.beyond(&before).is_empty(), more == "nothing");
        }
    }

    #[test]
    fn the_digest_tells_lists_apart() {
        let all = [
            wants("", "", "", ""),
            wants("a", "", "", ""),
            wants("", "a", "", ""),
            wants("", "", "a", ""),
            wants("", "", "", "a"),
            wants("a b", "", "", ""),
        ];
        let digests: BTreeSet<String> = all.iter().map(|of| of.digest().to_string()).collect();
        assert_eq!(digests.len(), all.len());
        // It stands in files: it stays what it is.
        assert_eq!(
            all[0].digest(),
            Digest::of(br#"{"capabilities":[],"hosts":[],"buckets":[],"secrets":[]}"#)
        );
    }

    #[test]
    fn names_that_a_component_chose_control_no_terminal() {
        let mut hostile = wants("log", "", "", "");
        hostile.secrets.insert("a\u{1b}[2J\nb".to_owned());
        let told = hostile.to_string();
        assert!(!told.contains(['\u{1b}', '\n']), "{told:?}");
        let many: Vec<String> = (0..50).map(|n| format!("h{n:02}")).collect();
        let told = wants("", &many.join(" "), "", "").to_string();
        assert!(told.ends_with("h19 and 30 more"), "{told}");
    }
}
