//! A component as an OCI artifact: that of the CNCF's guidance for WebAssembly, an image manifest whose config is
//! `application/vnd.wasm.config.v0+json` and whose one layer, `application/wasm`, is the component.
//!
//! Layouts and registries hold the same; what is read of either is anybody's, and checked here: types, sizes, digests.

use milepost_core::ids::Digest;
use milepost_core::{limits, shown};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::wasm::{Inspection, Rejection};

pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(super) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(super) const CONFIG: &str = "application/vnd.wasm.config.v0+json";
pub(super) const WASM: &str = "application/wasm";

/// Why an artifact is no component.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// A tag that cannot be one.
    #[error("`{0}` is no tag: letters, digits, `.`, `_` and `-`, up to 128")]
    BadTag(String),
    /// Something in it is of another kind.
    #[error("{what} is of type `{found}`, not `{expected}`")]
    Type {
        /// What it is.
        what: &'static str,
        /// Its media type.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// A digest is none, or of an algorithm that is not SHA-256.
    #[error("{what} has no SHA-256 digest: {found}")]
    Algorithm {
        /// What it is.
        what: &'static str,
        /// What stands there.
        found: String,
    },
    /// A file is larger than it may be, by its descriptor.
    #[error("{what} has {bytes} bytes, more than the {most} that it may have")]
    TooLarge {
        /// What it is.
        what: &'static str,
        /// Its size.
        bytes: u64,
        /// The limit.
        most: usize,
    },
    /// The artifact does not have one layer.
    #[error("it has {0} layers; a component is one")]
    Layers(usize),
    /// The config names other layers.
    #[error("its config does not name its layer")]
    OtherLayers,
    /// What was to be written is no component.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The JSON of a part is not what belongs there.
    #[error("{what} is not what belongs there: {cause}")]
    Json {
        /// What it is.
        what: &'static str,
        /// Why.
        cause: serde_json::Error,
    },
}

/// What a file is.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    pub(super) media_type: String,
    pub(super) digest: String,
    pub(super) size: u64,
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub(super) annotations: serde_json::Map<String, serde_json::Value>,
    /// What it says beside, kept when an index is written again.
    #[serde(flatten)]
    pub(super) more: serde_json::Map<String, serde_json::Value>,
}

impl Descriptor {
    pub(super) fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: Digest::of(bytes).to_string(),
            size: bytes.len() as u64,
            annotations: serde_json::Map::new(),
            more: serde_json::Map::new(),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ImageManifest {
    pub(super) schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) media_type: Option<String>,
    pub(super) config: Descriptor,
    pub(super) layers: Vec<Descriptor>,
}

/// Of the config, what has to do with the layer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    layer_digests: Option<Vec<String>>,
}

impl Descriptor {
    /// Its digest, where its size may be that.
    pub(super) fn checked(&self, what: &'static str, most: usize) -> Result<Digest, ArtifactError> {
        let digest = self.digest.parse().map_err(|_| ArtifactError::Algorithm {
            what,
            found: told(&self.digest),
        })?;
        match self.size > most as u64 {
            true => Err(ArtifactError::TooLarge {
                what,
                bytes: self.size,
                most,
            }),
            false => Ok(digest),
        }
    }
}

impl ImageManifest {
    /// Reads one; what it is of is checked.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, ArtifactError> {
        let what = "the manifest";
        let manifest: Self =
            serde_json::from_slice(bytes).map_err(|cause| ArtifactError::Json { what, cause })?;
        if let Some(media_type) = &manifest.media_type {
            expect(what, media_type, MANIFEST)?;
        }
        Ok(manifest)
    }

    /// The layer that is the component.
    pub(super) fn component(&self) -> Result<&Descriptor, ArtifactError> {
        expect("the config", &self.config.media_type, CONFIG)?;
        let [layer] = self.layers.as_slice() else {
            return Err(ArtifactError::Layers(self.layers.len()));
        };
        expect("the layer", &layer.media_type, WASM)?;
        Ok(layer)
    }

    /// Holds the config against the layer.
    pub(super) fn check_config(&self, bytes: &[u8]) -> Result<(), ArtifactError> {
        let what = "the config";
        let config: Config =
            serde_json::from_slice(bytes).map_err(|cause| ArtifactError::Json { what, cause })?;
        let own = self.layers.iter().map(|layer| &layer.digest);
        match config.layer_digests {
            Some(layers) if !layers.iter().eq(own) => Err(ArtifactError::OtherLayers),
            Some(_) | None => Ok(()),
        }
    }
}

/// The parts of an artifact beside the component.
pub(super) struct Parts {
    pub(super) config: Vec<u8>,
    pub(super) manifest: Vec<u8>,
}

/// What is put beside a component: the same for the same one.
///
/// # Errors
/// [`ArtifactError::Rejected`] of what is none.
pub(super) fn parts(component: &[u8]) -> Result<Parts, ArtifactError> {
    let inspection = Inspection::of(component)?;
    let layer = Descriptor::of(WASM, component);
    let config = text(&json!({
        "architecture": "wasm",
        "os": "wasip2",
        "layerDigests": [layer.digest],
        "component": { "exports": inspection.exports, "imports": inspection.imports },
    }));
    let manifest = text(&json!(ImageManifest {
        schema_version: 2,
        media_type: Some(MANIFEST.to_owned()),
        config: Descriptor::of(CONFIG, &config),
        layers: vec![layer],
    }));
    Ok(Parts { config, manifest })
}

pub(super) fn text(value: &serde_json::Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

pub(super) fn told(text: &str) -> String {
    shown::excerpt(text, limits::NAME_BYTES)
}

pub(super) fn expect(
    what: &'static str,
    found: &str,
    expected: &'static str,
) -> Result<(), ArtifactError> {
    match found == expected {
        true => Ok(()),
        false => Err(ArtifactError::Type {
            what,
            found: told(found),
            expected,
        }),
    }
}
