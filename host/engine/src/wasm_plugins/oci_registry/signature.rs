//! Signatures as `cosign` stores them: under the tag `sha256-HEX.sig` in the same repository lies an image whose layers are texts that
//! name the digest of the manifest, each with its signature as an annotation.
//!
//! The manifest names the component by its digest, so who has signed the one has signed the other. Whose the key is, and whether it
//! still counts, is for the person who names it: there is no look at certificates or transparency logs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use milepost_core::ids::Digest;
use milepost_core::limits::{OCI_SIGNATURES, OCI_SIGNED_BYTES};
use serde::{Deserialize, Serialize};

use super::super::oci_artifact::{Descriptor, ImageManifest};
use super::session::Session;
use super::{PublicKey, RegistryError};

const PAYLOAD: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";

/// Why a component is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is no signature.
    #[error(
        "the key that is named has to have signed it, and the registry has no signature of it (`{0}`)"
    )]
    None(String),
    /// There are others.
    #[error("none of its {0} signatures is one of the key that is named")]
    Others(usize),
}

/// What is signed, as far as it counts.
#[derive(Deserialize)]
struct Payload {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

/// What shows that a component was signed: enough to be held against a key again, with nobody trusted in between.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    manifest: String,
    payload: String,
    /// Base64.
    signature: String,
}

impl Proof {
    /// Whether that component was signed with that key.
    #[must_use]
    pub fn holds(&self, component: &Digest, key: &PublicKey) -> bool {
        let manifest = Digest::of(self.manifest.as_bytes());
        let names_it = || {
            let read = ImageManifest::read(self.manifest.as_bytes()).ok()?;
            let layer = read.component().ok()?;
            layer.digest.parse::<Digest>().ok()
        };
        STANDARD
            .decode(&self.signature)
            .is_ok_and(|signature| key.verifies(self.payload.as_bytes(), &signature))
            && is_of(self.payload.as_bytes(), &manifest)
            && names_it() == Some(*component)
    }
}

/// Looks for a signature of a manifest among those that the registry has of it.
pub(super) async fn find(
    session: &mut Session<'_>,
    manifest: Vec<u8>,
    digest: &Digest,
    key: &PublicKey,
) -> Result<Proof, RegistryError> {
    let tag = format!("sha256-{}.sig", digest.hex());
    let bytes = match session.manifest(&tag, None).await {
        Ok((bytes, _)) => bytes,
        Err(RegistryError::NotFound(_)) => return Err(SignatureError::None(tag).into()),
        Err(error) => return Err(error),
    };
    let signatures = ImageManifest::read(&bytes)?;
    let mut seen = 0;
    for layer in signatures.layers.iter().take(OCI_SIGNATURES) {
        if layer.media_type != PAYLOAD {
            continue;
        }
        seen += 1;
        let Some((signature, text)) = signature(layer) else {
            continue;
        };
        let payload = session
            .blob("what is signed", layer, OCI_SIGNED_BYTES)
            .await?;
        if !key.verifies(&payload, &signature) || !is_of(&payload, digest) {
            continue;
        }
        // Both were read as JSON, so both are text.
        if let (Ok(manifest), Ok(payload)) = (
            String::from_utf8(manifest.clone()),
            String::from_utf8(payload),
        ) {
            return Ok(Proof {
                manifest,
                payload,
                signature: text.to_owned(),
            });
        }
    }
    Err(match seen {
        0 => SignatureError::None(tag),
        seen => SignatureError::Others(seen),
    }
    .into())
}

fn signature(layer: &Descriptor) -> Option<(Vec<u8>, &str)> {
    let text = layer.annotations.get(SIGNATURE)?.as_str()?;
    Some((STANDARD.decode(text).ok()?, text))
}

/// Whether a text that was signed is about that manifest. Read only once it is known who has written it.
fn is_of(payload: &[u8], manifest: &Digest) -> bool {
    let payload: Option<Payload> = serde_json::from_slice(payload).ok();
    payload.is_some_and(|payload| {
        payload.critical.kind == "cosign container image signature"
            && payload.critical.image.digest == manifest.to_string()
    })
}
