//! What a component may reach outside of its sandbox: `allow` of its plugin, the secrets of the step that calls it, and what
//! the operator takes away. Everything is denied that is not granted.

mod address;
mod denied;
mod dir;
mod env;
mod exec;
#[cfg(test)]
mod exec_tests;
mod host;
mod narrowing;
mod path;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

pub use address::{is_private as is_private_host, special as special_address};
pub use denied::Denied;
pub use dir::{InvalidDir, check_dir};
pub use env::{InvalidEnv, check_env};
pub use exec::{ExecCall, ExecGrant, InvalidProgram, check_program};
pub use host::{InvalidHost, check_host};
pub use narrowing::{Idle, InvalidNarrowing, Narrowing};
pub use path::{InvalidPath, check_path};

use denied::toml_list;
pub(crate) use denied::{toml_text, toml_whole};
pub(crate) use host::{canonical as canonical_host, fits as host_fits};

/// What the calls of a component may reach. The default is nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// The plugin, by its name in the definition; for messages.
    pub plugin: Arc<str>,
    /// HTTP requests.
    pub http: Vec<HttpGrant>,
    /// Buckets of state.
    pub kv: BTreeSet<Arc<str>>,
    /// Reading and writing artifacts.
    pub artifacts: bool,
    /// Secrets that it may use without seeing them.
    pub secrets: BTreeSet<Arc<str>>,
    /// Secrets whose value it may see.
    pub secrets_reveal: BTreeSet<Arc<str>>,
    /// Programs.
    pub exec: Vec<ExecGrant>,
    /// What the operator takes away from all of that.
    pub narrowing: Narrowing,
}

/// A set of HTTP requests.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct HttpGrant {
    /// Name or address, or `*.` and a name: whatever stands below that at any depth, but not the name itself.
    pub host: String,
    /// Ports; empty: 443 of `https` and 80 of `http`.
    pub ports: Vec<u16>,
    /// Methods, in upper case; empty: all.
    pub methods: Vec<String>,
    /// Patterns of the path; empty: all. `*` is one segment, `**` at the end any rest.
    pub paths: Vec<String>,
    /// Whether the host may have a private address.
    pub private: bool,
    /// Whether secrets may go there over plain `http`.
    pub secrets_over_http: bool,
}

impl Grants {
    /// The same for a call with these secrets of all that the plugin is allowed.
    #[must_use]
    pub fn with_secrets(&self, secrets: &BTreeSet<Arc<str>>) -> Self {
        let both = |granted: &BTreeSet<Arc<str>>| granted.intersection(secrets).cloned().collect();
        Self {
            secrets: both(&self.secrets),
            secrets_reveal: both(&self.secrets_reveal),
            ..self.clone()
        }
    }

    /// The same without what the operator takes away.
    #[must_use]
    pub fn narrowed(mut self, narrowing: &Narrowing) -> Self {
        self.narrowing = narrowing.clone();
        self
    }

    /// The grant of a request. Where several fit, one that allows private addresses.
    ///
    /// # Errors
    /// [`Denied`] when none fits.
    pub fn http(
        &self,
        scheme: &str,
        method: &str,
        host: &str,
        port: u16,
        path: &str,
    ) -> Result<&HttpGrant, Denied> {
        let host = host::canonical(host);
        self.narrowing.http(&self.plugin, &host)?;
        let mut fitting = self.fitting(scheme, method, &host, port, path);
        let first = fitting.next();
        let private = first.filter(|grant| grant.private);
        let found = private.or_else(|| fitting.find(|grant| grant.private));
        found.or(first).ok_or_else(|| {
            let usual = default_port(scheme) == Some(port);
            let bare = path.split(['?', '#']).next().unwrap_or_default();
            let named = host::in_url(&host);
            let what = match usual {
                true => format!("the request {method} {scheme}://{named}{bare}"),
                false => format!("the request {method} {scheme}://{named}:{port}{bare}"),
            };
            let wanted = path::as_pattern(bare).map(|path| {
                HttpGrant {
                    private: address::is_private(&host),
                    host: host.clone(),
                    ports: if usual { Vec::new() } else { vec![port] },
                    methods: vec![method.to_ascii_uppercase()],
                    paths: vec![path],
                    secrets_over_http: false,
                }
                .toml()
            });
            let wanted = wanted.ok_or(
                "no pattern fits this very path, which servers read in more than one way; have the component ask for it in its shortest form",
            );
            Denied::missing(
                &self.plugin,
                what,
                ("http", !self.http.is_empty()),
                wanted,
            )
        })
    }

    /// The denial of such a request, which a grant allows, but not to this address.
    #[must_use]
    pub fn http_private(
        &self,
        scheme: &str,
        method: &str,
        host: &str,
        port: u16,
        path: &str,
    ) -> Option<Denied> {
        let host = host::canonical(host);
        let grant = self.fitting(scheme, method, &host, port, path).next()?;
        let widened = HttpGrant {
            private: true,
            ..grant.clone()
        };
        let what = format!("HTTP to {host} at an address that is not public");
        Some(Denied::instead(
            &self.plugin,
            what,
            "http",
            Ok(widened.toml()),
        ))
    }

    /// Whether the operator denies an address, whatever name led there.
    ///
    /// # Errors
    /// [`Denied`] when it is denied.
    pub fn http_found(&self, host: &str, address: IpAddr) -> Result<(), Denied> {
        self.narrowing.address(&self.plugin, host, address)
    }

    /// The grants of a request; `host` in its canonical form.
    fn fitting(
        &self,
        scheme: &str,
        method: &str,
        host: &str,
        port: u16,
        path: &str,
    ) -> impl Iterator<Item = &HttpGrant> {
        let grants = self.http.iter();
        grants.filter(move |grant| grant.fits(scheme, method, host, port, path))
    }

    /// Whether such a request may carry secrets although it is not encrypted.
    ///
    /// # Errors
    /// [`Denied`] when no grant of it says so.
    pub fn http_secrets(
        &self,
        scheme: &str,
        method: &str,
        host: &str,
        port: u16,
        path: &str,
    ) -> Result<(), Denied> {
        let host = host::canonical(host);
        let mut fitting = self.fitting(scheme, method, &host, port, path);
        if fitting.any(|grant| grant.secrets_over_http) {
            return Ok(());
        }
        // The rest of it is what it was. A request that no grant fits does not come here.
        let grant = self.fitting(scheme, method, &host, port, path).next();
        let widened = grant.map(|grant| HttpGrant {
            secrets_over_http: true,
            ..grant.clone()
        });
        let widened = widened.map(|grant| grant.toml());
        let widened = widened.ok_or("no grant allows the request itself");
        let what = format!("to send secrets to {host} over http, which is not encrypted,");
        Err(Denied::instead(&self.plugin, what, "http", widened))
    }

    /// Whether the host of a grant may be asked at all, whatever the request: for a look before there is one.
    #[must_use]
    pub fn covers_host(&self, host: &str) -> bool {
        let host = host::canonical(host);
        self.http
            .iter()
            .any(|grant| grant.host == host || host::fits(&grant.host, &host))
    }

    /// Whether it may use the bucket.
    ///
    /// # Errors
    /// [`Denied`] when it may not.
    pub fn kv(&self, bucket: &str) -> Result<(), Denied> {
        self.narrowing.kv(&self.plugin, bucket)?;
        listed(&self.kv, bucket).ok_or_else(|| {
            let what = format!("the bucket {}", toml_text(bucket));
            let item = Ok(toml_whole(bucket));
            Denied::missing(&self.plugin, what, ("kv", !self.kv.is_empty()), item)
        })
    }

    /// Whether it may read and write artifacts.
    ///
    /// # Errors
    /// [`Denied`] when it may not.
    pub fn artifacts(&self) -> Result<(), Denied> {
        self.narrowing.artifacts(&self.plugin)?;
        match self.artifacts {
            true => Ok(()),
            false => {
                let what = "access to artifacts".to_owned();
                Err(Denied::missing_line(&self.plugin, what, "artifacts = true"))
            }
        }
    }

    /// Whether it may use the secret without seeing it.
    ///
    /// # Errors
    /// [`Denied`] when it may not.
    pub fn secret(&self, name: &str) -> Result<(), Denied> {
        listed(&self.secrets, name)
            .ok_or_else(|| Denied::secret(&self.plugin, "the secret", "secrets", name))
    }

    /// Whether it may see the value of the secret.
    ///
    /// # Errors
    /// [`Denied`] when it may not.
    pub fn reveal(&self, name: &str) -> Result<(), Denied> {
        listed(&self.secrets_reveal, name).ok_or_else(|| {
            Denied::secret(
                &self.plugin,
                "the value of the secret",
                "secrets-reveal",
                name,
            )
        })
    }
}

fn listed(granted: &BTreeSet<Arc<str>>, name: &str) -> Option<()> {
    granted.contains(name).then_some(())
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "https" => Some(443),
        "http" => Some(80),
        _ => None,
    }
}

impl HttpGrant {
    /// As it stands in a definition.
    fn toml(&self) -> String {
        let mut parts = vec![format!("host = {}", toml_whole(&self.host))];
        if !self.ports.is_empty() {
            let ports: Vec<String> = self.ports.iter().map(u16::to_string).collect();
            parts.push(format!("ports = [{}]", ports.join(", ")));
        }
        for (key, texts) in [("methods", &self.methods), ("paths", &self.paths)] {
            if !texts.is_empty() {
                parts.push(format!("{key} = {}", toml_list(texts)));
            }
        }
        for (key, is_so) in [
            ("private", self.private),
            ("secrets-over-http", self.secrets_over_http),
        ] {
            if is_so {
                parts.push(format!("{key} = true"));
            }
        }
        format!("{{ {} }}", parts.join(", "))
    }

    /// `host` must be canonical.
    fn fits(&self, scheme: &str, method: &str, host: &str, port: u16, path: &str) -> bool {
        let scheme = scheme.to_ascii_lowercase();
        let Some(usual) = default_port(&scheme) else {
            return false;
        };
        let ports = match self.ports.is_empty() {
            true => port == usual,
            false => self.ports.contains(&port),
        };
        let named = |known: &String| known.eq_ignore_ascii_case(method);
        ports
            && host::fits(&self.host, host)
            && (self.methods.is_empty() || self.methods.iter().any(named))
            && (self.paths.is_empty() || path::fits(&self.paths, path))
    }
}
