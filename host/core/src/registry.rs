//! Components in registries, as a `source` names them: `oci:HOST[:PORT]/REPOSITORY[:TAG][@sha256:..]`.
//!
//! There is no registry that is meant where none is named, and no tag: what a `source` stands for depends on nothing else.

use std::fmt;

use crate::ids::Digest;
use crate::limits::{EXCERPT_BYTES, NAME_BYTES, OCI_TAG_BYTES};
use crate::shown;

/// What such a `source` begins with.
pub const SCHEME: &str = "oci:";

/// Where a component is kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// Host and perhaps port of the registry.
    pub registry: String,
    /// The repository in it.
    pub repository: String,
    /// The tag; without it, there is a digest.
    pub tag: Option<String>,
    /// Digest of the manifest. Where there is a tag, too, it only tells people which version that was.
    pub digest: Option<Digest>,
}

/// Why a `source` names no component in a registry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReference {
    /// It is written as a URL.
    #[error("no `//` follows `oci:`, as in `oci:registry.example.com/team/words:1.0.0`")]
    Slashes,
    /// There is no registry in it.
    #[error(
        "`{0}` is no registry: it is named by its domain or address, as in `oci:registry.example.com/team/words:1.0.0`"
    )]
    Registry(String),
    /// A part of the repository is none.
    #[error(
        "`{0}` is no repository: small letters and digits, between them `.`, `_`, `-`, in parts with `/` between them"
    )]
    Repository(String),
    /// A tag that cannot be one.
    #[error("`{0}` is no tag: letters, digits, `.`, `_` and `-`, up to 128")]
    Tag(String),
    /// A digest that is none, or of an algorithm that is not SHA-256.
    #[error("`{0}` is no SHA-256 digest: `@sha256:` and 64 hex digits")]
    Digest(String),
    /// It names no version.
    #[error("it names neither a tag nor a digest, as in `{0}:1.0.0`")]
    NoVersion(String),
}

impl Reference {
    /// Reads a `source`; `None` when it is another kind of source.
    #[must_use]
    pub fn parse(source: &str) -> Option<Result<Self, InvalidReference>> {
        source.strip_prefix(SCHEME).map(Self::parsed)
    }

    fn parsed(place: &str) -> Result<Self, InvalidReference> {
        let told = |text: &str| shown::excerpt(text, EXCERPT_BYTES);
        if place.starts_with('/') {
            return Err(InvalidReference::Slashes);
        }
        let Some((registry, rest)) = place.split_once('/') else {
            return Err(InvalidReference::Registry(told(place)));
        };
        if !is_registry(registry) {
            return Err(InvalidReference::Registry(told(registry)));
        }
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => {
                let parsed = digest.parse::<Digest>();
                let parsed = parsed.map_err(|_| InvalidReference::Digest(told(digest)))?;
                (rest, Some(parsed))
            }
            None => (rest, None),
        };
        let (repository, tag) = match rest.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (rest, None),
        };
        if !is_repository(repository) {
            return Err(InvalidReference::Repository(told(repository)));
        }
        if let Some(tag) = tag.filter(|tag| !is_tag(tag)) {
            return Err(InvalidReference::Tag(told(tag)));
        }
        if tag.is_none() && digest.is_none() {
            return Err(InvalidReference::NoVersion(format!("{SCHEME}{place}")));
        }
        Ok(Self {
            registry: registry.to_owned(),
            repository: repository.to_owned(),
            tag: tag.map(str::to_owned),
            digest,
        })
    }

    /// Whether the registry runs on this machine, by its name.
    #[must_use]
    pub fn is_local(&self) -> bool {
        let host = match self.registry.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => host,
            _ => &self.registry,
        };
        let address = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost"
            || address
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }
}

/// As a `source` has it.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

/// Whether it can be a tag, as the distribution specification has it.
#[must_use]
pub fn is_tag(tag: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=OCI_TAG_BYTES).contains(&tag.len())
        && tag.bytes().all(is_part)
        && !tag.starts_with(['.', '-'])
}

/// A name with a dot or a port, `localhost`, or an address: anything else would be the first part of a repository.
fn is_registry(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    if port.is_some_and(|port| !is_port(port)) {
        return false;
    }
    if let Some(address) = host.strip_prefix('[') {
        let address = address.strip_suffix(']').unwrap_or_default();
        return address.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let is_label = |label: &str| {
        let inside = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !label.is_empty()
            && label.bytes().all(inside)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    host.len() <= NAME_BYTES
        && host.split('.').all(is_label)
        && (host.contains('.') || port.is_some() || host == "localhost")
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}

/// As the distribution specification has it.
fn is_repository(text: &str) -> bool {
    let is_part = |part: &str| {
        let ends = |byte: Option<u8>| {
            byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        let between = part.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        let fits =
            |of: &str| matches!(of, "" | "." | "_" | "__") || of.bytes().all(|byte| byte == b'-');
        ends(part.bytes().next()) && ends(part.bytes().next_back()) && between.into_iter().all(fits)
    };
    text.len() <= NAME_BYTES && text.split('/').all(is_part)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use super::*;

    const DIGEST: &str = "sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb";

    #[test]
    fn a_source_names_a_registry_a_repository_and_a_version() {
        for (place, registry, repository, tag, digest, local) in [
            (
                "registry.example.com/words:1.0.0",
                "registry.example.com",
                "words",
                Some("1.0.0"),
                false,
                false,
            ),
            (
                "r.example.com:5000/a/b-c/d__e.f:V_1",
                "r.example.com:5000",
                "a/b-c/d__e.f",
                Some("V_1"),
                false,
                false,
            ),
            ("localhost/w:1", "localhost", "w", Some("1"), false, true),
            (
                "127.0.0.1:5000/w:1",
                "127.0.0.1:5000",
                "w",
                Some("1"),
                false,
                true,
            ),
            ("[::1]:5000/w:1", "[::1]:5000", "w", Some("1"), false, true),
            ("[::1]/w:1", "[::1]", "w", Some("1"), false, true),
            ("10.0.0.1/w:1", "10.0.0.1", "w", Some("1"), false, false),
            (
                "localhost.example.com/w:1",
                "localhost.example.com",
                "w",
                Some("1"),
                false,
                false,
            ),
            ("hub:5000/w@DIGEST", "hub:5000", "w", None, true, false),
            (
                "hub:5000/w:1@DIGEST",
                "hub:5000",
                "w",
                Some("1"),
                true,
                false,
            ),
        ] {
            let source = format!("oci:{}", place.replace("DIGEST", DIGEST));
            let reference = Reference::parse(&source).unwrap().unwrap();
            assert_eq!(reference.registry, registry, "{source}");
            assert_eq!(reference.repository, repository, "{source}");
            assert_eq!(reference.tag.as_deref(), tag, "{source}");
            assert_eq!(reference.digest.is_some(), digest, "{source}");
            assert_eq!(reference.is_local(), local, "{source}");
            assert_eq!(reference.to_string(), source);
        }
        for other in ["w.wasm", "oci-layout:words:1", "./oci:x", ""] {
            assert_eq!(Reference::parse(other), None, "{other}");
        }
    }

    #[test]
    fn what_is_no_place_in_a_registry_is_told_why() {
        for (place, says) in [
            ("//registry.example.com/w:1", "no `//`"),
            ("", "is no registry"),
            ("words:1", "is no registry"),
            ("team/words:1", "`team` is no registry"),
            ("user@registry.example.com/w:1", "is no registry"),
            ("registry.example.com:0/w:1", "is no registry"),
            ("registry.example.com:70000/w:1", "is no registry"),
            ("registry.example.com:+5/w:1", "is no registry"),
            ("-x.example.com/w:1", "is no registry"),
            ("a..b/w:1", "is no registry"),
            ("[::1/w:1", "is no registry"),
            ("r.example.com/w?x=1:1", "is no repository"),
            ("r.example.com/Words:1", "is no repository"),
            ("r.example.com/../w:1", "is no repository"),
            ("r.example.com/a//w:1", "is no repository"),
            ("r.example.com/-w:1", "is no repository"),
            ("r.example.com/a..b:1", "is no repository"),
            ("r.example.com/:1", "is no repository"),
            (
                "r.example.com/w",
                "neither a tag nor a digest, as in `oci:r.example.com/w:1.0.0`",
            ),
            ("r.example.com/w:", "is no tag"),
            ("r.example.com/w:.1", "is no tag"),
            ("r.example.com/w:a/b", "is no tag"),
            ("r.example.com/w:a:b", "is no tag"),
            ("r.example.com/w@sha512:00", "is no SHA-256 digest"),
            ("r.example.com/w@", "is no SHA-256 digest"),
        ] {
            let refused = Reference::parse(&format!("oci:{place}"))
                .unwrap()
                .unwrap_err();
            assert!(refused.to_string().contains(says), "{place}: {refused}");
        }
    }

    #[test]
    fn a_tag_is_as_long_as_it_may_be() {
        let tag = "a".repeat(OCI_TAG_BYTES);
        assert!(is_tag(&tag));
        assert!(!is_tag(&format!("{tag}a")));
    }
}
