//! From a component to a layout.

use std::fs;
use std::io;
use std::path::Path;

use milepost_core::ids::Digest;
use milepost_core::registry::is_tag;
use serde_json::{Map, json};

use super::super::oci_artifact::{self, ArtifactError, Descriptor, INDEX, MANIFEST, Parts, text};
use super::{Index, LAYOUT_VERSION, Layout, LayoutError, Reference, TAG, blob};
use crate::whole_file;

/// Writes a component into a layout, which is made if there is none; what the tag stood for before stays there without it. The same
/// component gives the same files.
///
/// # Errors
/// [`LayoutError`].
pub fn write(reference: &Reference, component: &[u8]) -> Result<(), LayoutError> {
    let folder = &reference.folder;
    if let Some(tag) = reference.tag.as_ref().filter(|tag| !is_tag(tag)) {
        return Err(ArtifactError::BadTag(tag.clone()).into());
    }
    let Parts { config, manifest } = oci_artifact::parts(component)?;
    let mut index = match folder.join("oci-layout").try_exists() {
        Ok(true) => super::read::index(folder)?,
        Ok(false) if is_empty(folder) => Index {
            schema_version: 2,
            media_type: Some(INDEX.to_owned()),
            manifests: Vec::new(),
            more: Map::new(),
        },
        Ok(false) | Err(_) => return Err(LayoutError::NoLayout(folder.clone())),
    };
    let mut artifact = Descriptor::of(MANIFEST, &manifest);
    if let Some(tag) = &reference.tag {
        artifact
            .annotations
            .insert(TAG.to_owned(), tag.as_str().into());
        for other in &mut index.manifests {
            if super::tag(other) == Some(tag) {
                other.annotations.remove(TAG);
            }
        }
    }
    let same = |other: &Descriptor| {
        other.digest == artifact.digest
            && (super::tag(other).is_none() || super::tag(other) == super::tag(&artifact))
    };
    index.manifests.retain(|other| !same(other));
    index.manifests.push(artifact);

    let layout = text(&json!(Layout {
        image_layout_version: LAYOUT_VERSION.to_owned(),
    }));
    // The index comes last: until then, nothing names the new files.
    for bytes in [component, &config, &manifest] {
        put(&blob(folder, &Digest::of(bytes)), bytes)?;
    }
    put(&folder.join("oci-layout"), &layout)?;
    put(&folder.join("index.json"), &text(&json!(index)))
}

/// Whether it is no folder yet, or holds nothing.
fn is_empty(folder: &Path) -> bool {
    match fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// Puts a file in place whole.
fn put(file: &Path, bytes: &[u8]) -> Result<(), LayoutError> {
    let failed = |cause| LayoutError::File {
        file: file.to_owned(),
        cause,
    };
    let folder = file.parent().map_or(Ok(()), fs::create_dir_all);
    folder
        .and_then(|()| whole_file::replace(file, bytes))
        .map_err(failed)
}
