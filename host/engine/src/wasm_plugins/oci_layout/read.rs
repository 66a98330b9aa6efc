//! From a layout to the bytes of a component.

use std::fs;
use std::path::Path;

use milepost_core::ids::Digest;
use milepost_core::limits;
use serde::de::DeserializeOwned;

use super::super::oci_artifact::{Descriptor, INDEX, ImageManifest, MANIFEST, expect, told};
use super::{Index, LAYOUT_VERSION, Layout, LayoutError, Reference, blob};
use crate::bounded_file;

/// Tags that are told.
const TOLD: usize = 10;

/// Reads the component that a reference names. Its folder is seen from `base`.
///
/// # Errors
/// [`LayoutError`].
pub fn read(base: &Path, reference: &Reference) -> Result<Vec<u8>, LayoutError> {
    let folder = base.join(&reference.folder);
    let index = index(&folder)?;
    let artifact = chosen(&index, reference.tag.as_deref())?;
    expect("the artifact", &artifact.media_type, MANIFEST)?;
    let bytes = file_of(&folder, "the manifest", artifact, limits::OCI_JSON_BYTES)?;
    let manifest = ImageManifest::read(&bytes)?;
    let layer = manifest.component()?;
    let config = file_of(
        &folder,
        "the config",
        &manifest.config,
        limits::OCI_JSON_BYTES,
    )?;
    manifest.check_config(&config)?;
    file_of(&folder, "the component", layer, limits::COMPONENT_BYTES)
}

/// The index of a layout.
pub(super) fn index(folder: &Path) -> Result<Index, LayoutError> {
    let file = folder.join("oci-layout");
    let layout: Layout = json(&file, &regular(&file, limits::OCI_JSON_BYTES)?)?;
    if layout.image_layout_version != LAYOUT_VERSION {
        return Err(LayoutError::NoLayout(folder.to_owned()));
    }
    let file = folder.join("index.json");
    let index: Index = json(&file, &regular(&file, limits::OCI_JSON_BYTES)?)?;
    if let Some(media_type) = &index.media_type {
        expect("its index", media_type, INDEX)?;
    }
    Ok(index)
}

/// The artifact of that tag, or the only one.
fn chosen<'a>(index: &'a Index, tag: Option<&str>) -> Result<&'a Descriptor, LayoutError> {
    let mut fitting = index
        .manifests
        .iter()
        .filter(|artifact| tag.is_none() || super::tag(artifact) == tag);
    match (fitting.next(), tag) {
        (Some(one), _) if fitting.all(|other| other.digest == one.digest) => Ok(one),
        (Some(_), Some(tag)) => Err(LayoutError::SeveralOf(told(tag))),
        (Some(_) | None, tag) => {
            let mut known: Vec<String> = index
                .manifests
                .iter()
                .filter_map(|artifact| Some(format!("`{}`", told(super::tag(artifact)?))))
                .take(TOLD)
                .collect();
            if known.is_empty() {
                known.push(format!("{} artifacts without a tag", index.manifests.len()));
            }
            let tag = tag.map(told);
            Err(LayoutError::NoTag { tag, known })
        }
    }
}

/// The file of a descriptor, whole and the right one.
fn file_of(
    folder: &Path,
    what: &'static str,
    descriptor: &Descriptor,
    most: usize,
) -> Result<Vec<u8>, LayoutError> {
    // Nothing but hex digits becomes part of a path.
    let expected = descriptor.checked(what, most)?;
    let bytes = descriptor.size;
    for part in ["blobs", "blobs/sha256"] {
        refuse_link(&folder.join(part))?;
    }
    let file = blob(folder, &expected);
    let found = regular(&file, most)?;
    let digest = Digest::of(&found);
    if digest != expected || found.len() as u64 != bytes {
        return Err(LayoutError::Other {
            file,
            expected,
            bytes,
            found: digest,
            found_bytes: found.len(),
        });
    }
    Ok(found)
}

fn regular(file: &Path, most: usize) -> Result<Vec<u8>, LayoutError> {
    refuse_link(file)?;
    bounded_file::read(file, most).map_err(|error| LayoutError::File {
        file: file.to_owned(),
        cause: error.into(),
    })
}

fn refuse_link(path: &Path) -> Result<(), LayoutError> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => Err(LayoutError::Link(path.to_owned())),
        // What is not there is told when it is read.
        Ok(_) | Err(_) => Ok(()),
    }
}

fn json<T: DeserializeOwned>(file: &Path, bytes: &[u8]) -> Result<T, LayoutError> {
    serde_json::from_slice(bytes).map_err(|cause| LayoutError::Json {
        file: file.to_owned(),
        cause,
    })
}
