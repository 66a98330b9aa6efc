//! Components in OCI image layouts: folders as registries' tools write them, with every file named by its digest.
//!
//! The artifact is that of the CNCF's guidance for WebAssembly: an image manifest whose config is
//! `application/vnd.wasm.config.v0+json` and whose one layer, `application/wasm`, is the component. Every file is read up to the size
//! that its descriptor says, and held against its digest. What such a layout does not need is refused: links, an index in an index,
//! other algorithms, several layers.

mod read;
#[cfg(test)]
mod tests;
mod write;

use std::fmt;
use std::path::{Path, PathBuf};

use milepost_core::ids::Digest;
use serde::{Deserialize, Serialize};

use crate::wasm::Rejection;

pub use self::read::read;
pub use self::write::write;

/// What a `source` in a layout begins with.
pub const SCHEME: &str = "oci-layout:";

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.wasm.config.v0+json";
const WASM: &str = "application/wasm";
/// The annotation that holds a tag.
const TAG: &str = "org.opencontainers.image.ref.name";
const LAYOUT_VERSION: &str = "1.0.0";

/// Bytes of `index.json`, of a manifest, of a config.
const JSON_BYTES: usize = 4 * 1024 * 1024;

/// `oci-layout:FOLDER[:TAG]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The folder.
    pub folder: PathBuf,
    /// Which of its artifacts; without it, there must be only one.
    pub tag: Option<String>,
}

impl Reference {
    /// Reads a `source`; `None` when it is another kind of source.
    #[must_use]
    pub fn parse(source: &str) -> Option<Self> {
        let place = source.strip_prefix(SCHEME)?;
        // A colon before a separator is part of the path.
        let tagged = place
            .rsplit_once(':')
            .filter(|(folder, tag)| !folder.is_empty() && !tag.contains(['/', '\\']));
        Some(match tagged {
            Some((folder, tag)) => Self {
                folder: folder.into(),
                tag: Some(tag.to_owned()),
            },
            None => Self {
                folder: place.into(),
                tag: None,
            },
        })
    }

    /// The same, seen from where `base` is seen from.
    #[must_use]
    pub fn within(&self, base: &Path) -> Self {
        Self {
            folder: base.join(&self.folder),
            tag: self.tag.clone(),
        }
    }
}

/// As a `source` has it.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}", self.folder.display())?;
        match &self.tag {
            Some(tag) => write!(f, ":{tag}"),
            None => Ok(()),
        }
    }
}

/// Why a layout does not give a component.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// A file of it cannot be read or written.
    #[error("{}: {cause}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// A file is not the JSON that belongs there.
    #[error("{} is not what belongs there: {cause}", file.display())]
    Json {
        /// The file.
        file: PathBuf,
        /// Why.
        cause: serde_json::Error,
    },
    /// The folder is no layout, or one of another version.
    #[error("{} is no OCI image layout of version {LAYOUT_VERSION}", .0.display())]
    NoLayout(PathBuf),
    /// There is no such tag, or none was named and there are several artifacts.
    #[error("{}; it has {}", match tag { Some(tag) => format!("it has no tag `{tag}`"), None => "its tag has to be named".to_owned() }, known.join(", "))]
    NoTag {
        /// The tag.
        tag: Option<String>,
        /// Those that there are, or how many artifacts have none.
        known: Vec<String>,
    },
    /// Two artifacts have the same tag.
    #[error("the tag `{0}` stands for several artifacts")]
    SeveralOf(String),
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
    /// A file is a link.
    #[error("{} is a link; a layout has its files in its own folder", .0.display())]
    Link(PathBuf),
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
    /// A file is not the one that its descriptor names.
    #[error("{} is not what its descriptor says: expected {expected} of {bytes} bytes, found {found} of {found_bytes}", file.display())]
    Other {
        /// The file.
        file: PathBuf,
        /// Its digest.
        expected: Digest,
        /// Its size.
        bytes: u64,
        /// The digest that it has.
        found: Digest,
        /// The size that it has.
        found_bytes: usize,
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
}

/// What a file is.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    annotations: serde_json::Map<String, serde_json::Value>,
    /// What it says beside, kept when an index is written again.
    #[serde(flatten)]
    more: serde_json::Map<String, serde_json::Value>,
}

impl Descriptor {
    fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: Digest::of(bytes).to_string(),
            size: bytes.len() as u64,
            annotations: serde_json::Map::new(),
            more: serde_json::Map::new(),
        }
    }

    fn tag(&self) -> Option<&str> {
        self.annotations.get(TAG)?.as_str()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Layout {
    image_layout_version: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    media_type: Option<String>,
    manifests: Vec<Descriptor>,
    /// What it says beside, kept when it is written again.
    #[serde(flatten)]
    more: serde_json::Map<String, serde_json::Value>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ImageManifest {
    schema_version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    media_type: Option<String>,
    config: Descriptor,
    layers: Vec<Descriptor>,
}

/// Of the config, what has to do with the layer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    layer_digests: Option<Vec<String>>,
}

fn blob(folder: &Path, digest: &Digest) -> PathBuf {
    folder.join("blobs").join("sha256").join(digest.hex())
}
