//! Components in OCI image layouts: folders as registries' tools write them, with every file named by its digest.
//!
//! What lies in one is an [artifact](super::oci_artifact). Every file is read up to the size that its descriptor says, and held against
//! its digest. What such a layout does not need is refused: links, an index in an index, other algorithms.

mod read;
#[cfg(test)]
mod tests;
mod write;

use std::fmt;
use std::path::{Path, PathBuf};

use milepost_core::ids::Digest;
use serde::{Deserialize, Serialize};

use super::oci_artifact::{ArtifactError, Descriptor};

pub use self::read::read;
pub use self::write::write;

/// What a `source` in a layout begins with.
pub const SCHEME: &str = "oci-layout:";

/// The annotation that holds a tag.
const TAG: &str = "org.opencontainers.image.ref.name";
const LAYOUT_VERSION: &str = "1.0.0";

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
    /// A file is a link.
    #[error("{} is a link; a layout has its files in its own folder", .0.display())]
    Link(PathBuf),
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
    /// What it has under the tag is no component.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
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

fn tag(artifact: &Descriptor) -> Option<&str> {
    artifact.annotations.get(TAG)?.as_str()
}

fn blob(folder: &Path, digest: &Digest) -> PathBuf {
    folder.join("blobs").join("sha256").join(digest.hex())
}
