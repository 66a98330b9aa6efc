//! Components in registries: pulled and pushed by the protocol of the OCI distribution specification, as the
//! [artifact](super::oci_artifact) that layouts hold, too.
//!
//! | file | idea |
//! |---|---|
//! | `session` | requests to one repository: where they may go, who asks, how much of an answer is read, and for how long |
//! | `login` | what the tools of registries keep of a person's logins |
//! | `challenge` | what a registry says about who may ask |
//! | `key`, `signature` | public keys, and signatures as `cosign` stores them |
//!
//! A registry is not trusted, nor is what it leads to: every answer is bounded before it is read and held against the digest that it is
//! to have. It is the client of this program that talks to it (`HttpClient`): one TLS, one list of trusted certificates, one place
//! that follows redirects. Nothing here is done unless a verb asks for it; runs use what [`Kept`] has.

mod challenge;
mod key;
mod login;
mod session;
mod signature;

use std::time::Duration;

use milepost_core::ids::Digest;
use milepost_core::limits;
use milepost_core::registry::Reference;

use self::session::{Access, Session};
use super::Kept;
use super::oci_artifact::{self, ArtifactError, CONFIG, Descriptor, ImageManifest, Parts, WASM};
use crate::wasm::HttpClient;

pub use self::key::{InvalidKey, PublicKey};
pub use self::login::{InvalidLogins, Logins};
pub use self::signature::{Proof, SignatureError};

/// Talks to registries.
pub struct Registries {
    client: HttpClient,
    logins: Logins,
    plain_http: bool,
    patience: Duration,
    timeout: Duration,
}

/// A component as it came.
#[derive(Debug)]
pub struct Pulled {
    /// The component.
    pub component: Vec<u8>,
    /// Digest of the manifest that names it.
    pub manifest: Digest,
    /// That it was signed, where that was asked for.
    pub proof: Option<Proof>,
}

/// Why a registry does not give a component, or does not take one.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// No answer, or none that can be read.
    #[error("`{host}` does not answer as a registry does: {reason}")]
    Exchange {
        /// Who was asked.
        host: String,
        /// What happened.
        reason: String,
        /// Whether it may be over with the next try.
        is_passing: bool,
    },
    /// The registry says no.
    #[error("the registry answers {status} to {what}{}", reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default())]
    Status {
        /// What was asked.
        what: &'static str,
        /// Its answer.
        status: u16,
        /// What it says.
        reason: Option<String>,
    },
    /// There is no such thing.
    #[error("the registry has no {0}")]
    NotFound(String),
    /// It wants to know who asks, or that one may not.
    #[error("`{registry}` refuses access: {reason}")]
    Access {
        /// The registry.
        registry: String,
        /// Why.
        reason: String,
    },
    /// It leads elsewhere.
    #[error("the registry leads to a place that is not followed: {0}")]
    Elsewhere(String),
    /// What came is not what its digest says.
    #[error("{what} is not what its digest says: expected {expected}, found {found}")]
    Other {
        /// What it is.
        what: &'static str,
        /// What it should be.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// Something was to be pushed without a tag, or to a digest.
    #[error("a component is pushed to a tag, as in `{0}:1.0.0`")]
    NoTag(String),
    /// What it has is no component.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// It was to be signed.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

impl RegistryError {
    /// Whether it may be otherwise another time, with nothing changed there: the network, or a registry that is ill.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Exchange { is_passing, .. } => *is_passing,
            Self::Status { status, .. } => *status >= 500 || *status == 429,
            _ => false,
        }
    }
}

impl Registries {
    /// With these logins; those that registries do not ask for are not used.
    #[must_use]
    pub fn new(logins: Logins) -> Self {
        Self {
            client: HttpClient::default(),
            logins,
            plain_http: false,
            patience: limits::OCI_SILENCE,
            timeout: limits::OCI_TIMEOUT,
        }
    }

    /// Talks to registries of other machines by plain http, too. Those of this machine are always talked to so.
    #[must_use]
    pub fn plain_http(mut self, plain_http: bool) -> Self {
        self.plain_http = plain_http;
        self
    }

    /// How long a registry may say nothing, and how long one exchange with it may take.
    #[must_use]
    pub fn patience(mut self, patience: Duration, timeout: Duration) -> Self {
        (self.patience, self.timeout) = (patience, timeout);
        self
    }

    /// The component that a reference stands for, of those that are `kept` or of the registry. With a key, only one that was signed
    /// with it.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn pull(
        &self,
        reference: &Reference,
        key: Option<&PublicKey>,
        kept: &Kept,
    ) -> Result<Pulled, RegistryError> {
        let mut session = Session::new(self, reference, Access::Pull);
        let (name, wanted) = match (&reference.digest, &reference.tag) {
            (Some(digest), _) => (digest.to_string(), Some(*digest)),
            (None, tag) => (tag.clone().unwrap_or_default(), None),
        };
        let (bytes, manifest) = session.manifest(&name, wanted).await?;
        let artifact = ImageManifest::read(&bytes)?;
        let layer = artifact.component()?;
        let digest = layer.checked("the component", limits::COMPONENT_BYTES)?;
        // Whoever may not be trusted is not asked for 64 MiB first.
        let proof = match key {
            Some(key) => Some(signature::find(&mut session, bytes, &manifest, key).await?),
            None => None,
        };
        let config = session
            .blob("the config", &artifact.config, limits::OCI_JSON_BYTES)
            .await?;
        artifact.check_config(&config)?;
        let component = match kept.get(&digest) {
            Some(component) => component,
            None => {
                session
                    .blob("the component", layer, limits::COMPONENT_BYTES)
                    .await?
            }
        };
        Ok(Pulled {
            component,
            manifest,
            proof,
        })
    }

    /// Puts a component under a tag, and tells the digest of its manifest.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub async fn push(
        &self,
        reference: &Reference,
        component: &[u8],
    ) -> Result<Digest, RegistryError> {
        let (Some(tag), None) = (&reference.tag, &reference.digest) else {
            let (registry, repository) = (&reference.registry, &reference.repository);
            return Err(RegistryError::NoTag(format!("oci:{registry}/{repository}")));
        };
        let Parts { config, manifest } = oci_artifact::parts(component)?;
        let mut session = Session::new(self, reference, Access::Push);
        for (media_type, bytes) in [(WASM, component), (CONFIG, &*config)] {
            session
                .put_blob(&Descriptor::of(media_type, bytes), bytes)
                .await?;
        }
        // The manifest comes last: a registry takes none whose parts it does not have.
        session.put_manifest(tag, &manifest).await?;
        Ok(Digest::of(&manifest))
    }
}
