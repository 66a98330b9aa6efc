//! What `docker login`, `podman login`, `oras login` keep of a person's logins: the `auths` of a `config.json`.
//!
//! Programs that keep them elsewhere (`credsStore`, `credHelpers`) are not started; that one would be needed is told.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

/// Logins by registry. Never shown.
#[derive(Clone, Default)]
pub struct Logins {
    auths: BTreeMap<String, Login>,
    /// Programs that keep logins, of all registries and of one.
    store: Option<String>,
    helpers: BTreeMap<String, String>,
}

/// How somebody proves who they are.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Login {
    /// With a name and a password, as it is sent.
    Basic(String),
    /// With a token that other tokens are given for.
    Identity(String),
    /// With a token that is sent as it is.
    Bearer(String),
}

/// A text that holds no logins. What it says is not repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLogins {
    /// It is not the JSON that belongs there.
    #[error("it is not what `docker login` writes, at line {line}, column {column}")]
    Json {
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
    /// A login that cannot be read.
    #[error("the `auth` of `{0}` is not the Base64 of a name, a colon and a password")]
    Auth(String),
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    auths: BTreeMap<String, RawLogin>,
    #[serde(default, rename = "credsStore")]
    store: Option<String>,
    #[serde(default, rename = "credHelpers")]
    helpers: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawLogin {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
    registrytoken: String,
}

impl Logins {
    /// Reads a `config.json`.
    ///
    /// # Errors
    /// [`InvalidLogins`].
    pub fn read(json: &str) -> Result<Self, InvalidLogins> {
        // What serde says may repeat a value.
        let raw: Raw = serde_json::from_str(json).map_err(|error| InvalidLogins::Json {
            line: error.line(),
            column: error.column(),
        })?;
        let mut auths = BTreeMap::new();
        for (place, login) in raw.auths {
            let invalid = || InvalidLogins::Auth(place.clone());
            let login = if !login.registrytoken.is_empty() {
                Login::Bearer(login.registrytoken)
            } else if !login.identitytoken.is_empty() {
                Login::Identity(login.identitytoken)
            } else if !login.auth.is_empty() {
                let auth = login.auth.trim();
                let decoded = STANDARD.decode(auth).map_err(|_| invalid())?;
                if !decoded.contains(&b':') {
                    return Err(invalid());
                }
                Login::Basic(auth.to_owned())
            } else if !login.username.is_empty() {
                let (name, password) = (login.username, login.password);
                Login::Basic(STANDARD.encode(format!("{name}:{password}")))
            } else {
                // Of a registry whose login a program keeps.
                continue;
            };
            auths.insert(place, login);
        }
        Ok(Self {
            auths,
            store: raw.store.filter(|name| !name.is_empty()),
            helpers: raw.helpers,
        })
    }

    /// That of a registry.
    pub(super) fn of(&self, registry: &str) -> Option<&Login> {
        let is_its = |place: &str| host(place) == registry;
        let mut found = self.auths.iter().filter(|(place, _)| is_its(place));
        self.auths
            .get(registry)
            .or_else(|| found.next().map(|(_, login)| login))
    }

    /// The program that keeps the login of a registry.
    pub(super) fn helper(&self, registry: &str) -> Option<&str> {
        let of_one = self.helpers.get(registry).or(self.store.as_ref());
        of_one.map(String::as_str)
    }
}

/// Without scheme and version: `https://index.docker.io/v1/` is how the first registry is known.
fn host(place: &str) -> &str {
    let place = place
        .strip_prefix("https://")
        .or_else(|| place.strip_prefix("http://"))
        .unwrap_or(place);
    let place = place.trim_end_matches('/');
    let place = place
        .strip_suffix("/v1")
        .or_else(|| place.strip_suffix("/v2"))
        .unwrap_or(place);
    match place {
        "index.docker.io" | "registry-1.docker.io" => "docker.io",
        other => other,
    }
}

impl fmt::Debug for Logins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.auths.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use super::*;

    #[test]
    fn logins_are_found_by_registry_and_never_shown() {
        let text = r#"{
            "auths": {
                "registry.example.com": { "auth": "bWU6czNjcmV0" },
                "https://other.example.com:5000/v2/": { "username": "me", "password": "s3cret" },
                "https://index.docker.io/v1/": { "auth": "", "identitytoken": "s3cret" },
                "token.example.com": { "registrytoken": "s3cret" },
                "kept.example.com": {}
            },
            "credsStore": "secretservice",
            "credHelpers": { "ecr.example.com": "ecr-login" },
            "HttpHeaders": { "User-Agent": "x" }
        }"#;
        let logins = Logins::read(text).unwrap();
        let basic = || Some(Login::Basic("bWU6czNjcmV0".to_owned()));
        let token = "s3cret".to_owned();
        for (registry, expected) in [
            ("registry.example.com", basic()),
            ("other.example.com:5000", basic()),
            ("docker.io", Some(Login::Identity(token.clone()))),
            ("token.example.com", Some(Login::Bearer(token))),
            ("kept.example.com", None),
            ("example.com", None),
            ("evil.registry.example.com", None),
            ("registry.example.com:5000", None),
        ] {
            assert!(logins.of(registry) == expected.as_ref(), "{registry}");
        }
        assert_eq!(logins.helper("ecr.example.com"), Some("ecr-login"));
        assert_eq!(logins.helper("kept.example.com"), Some("secretservice"));
        let shown = format!("{logins:?}");
        assert!(
            !shown.contains("s3cret") && !shown.contains("bWU6"),
            "{shown}"
        );

        for text in [
            "",
            "1",
            r#"{"auths": {"r.example.com": "s3cret"}}"#,
            r#"{"auths": {"r.example.com": {"auth": "s3cret"}}}"#,
            r#"{"auths": {"r.example.com": {"auth": "bWU="}}}"#,
        ] {
            let refused = Logins::read(text).unwrap_err();
            assert!(!refused.to_string().contains("s3cret"), "{refused}");
        }
    }
}
