//! From a layout to the bytes of a component.

use std::fs;
use std::path::{Path, PathBuf};

use milepost_core::ids::Digest;
use milepost_core::limits;
use milepost_core::shown;
use serde::de::DeserializeOwned;

use super::{
    CONFIG, Config, Descriptor, INDEX, ImageManifest, Index, JSON_BYTES, LAYOUT_VERSION, Layout,
    LayoutError, MANIFEST, Reference, WASM, blob,
};
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
    let (file, bytes) = file_of(&folder, "the manifest", artifact, JSON_BYTES)?;
    let manifest: ImageManifest = json(&file, &bytes)?;
    if let Some(media_type) = &manifest.media_type {
        expect("the manifest", media_type, MANIFEST)?;
    }
    expect("the config", &manifest.config.media_type, CONFIG)?;
    let [layer] = manifest.layers.as_slice() else {
        return Err(LayoutError::Layers(manifest.layers.len()));
    };
    expect("the layer", &layer.media_type, WASM)?;
    let (file, bytes) = file_of(&folder, "the config", &manifest.config, JSON_BYTES)?;
    let config: Config = json(&file, &bytes)?;
    if config
        .layer_digests
        .is_some_and(|layers| layers != [layer.digest.as_str()])
    {
        return Err(LayoutError::OtherLayers);
    }
    let (_, component) = file_of(&folder, "the component", layer, limits::COMPONENT_BYTES)?;
    Ok(component)
}

/// The index of a layout.
pub(super) fn index(folder: &Path) -> Result<Index, LayoutError> {
    let file = folder.join("oci-layout");
    let layout: Layout = json(&file, &regular(&file, JSON_BYTES)?)?;
    if layout.image_layout_version != LAYOUT_VERSION {
        return Err(LayoutError::NoLayout(folder.to_owned()));
    }
    let file = folder.join("index.json");
    let index: Index = json(&file, &regular(&file, JSON_BYTES)?)?;
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
        .filter(|artifact| tag.is_none() || artifact.tag() == tag);
    match (fitting.next(), tag) {
        (Some(one), _) if fitting.all(|other| other.digest == one.digest) => Ok(one),
        (Some(_), Some(tag)) => Err(LayoutError::SeveralOf(told(tag))),
        (Some(_) | None, tag) => {
            let mut known: Vec<String> = index
                .manifests
                .iter()
                .filter_map(|artifact| Some(format!("`{}`", told(artifact.tag()?))))
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

fn told(text: &str) -> String {
    shown::excerpt(text, limits::NAME_BYTES)
}

fn expect(what: &'static str, found: &str, expected: &'static str) -> Result<(), LayoutError> {
    match found == expected {
        true => Ok(()),
        false => Err(LayoutError::Type {
            what,
            found: told(found),
            expected,
        }),
    }
}

/// The file of a descriptor, whole and the right one.
fn file_of(
    folder: &Path,
    what: &'static str,
    descriptor: &Descriptor,
    most: usize,
) -> Result<(PathBuf, Vec<u8>), LayoutError> {
    // Nothing but hex digits becomes part of a path.
    let expected: Digest = descriptor
        .digest
        .parse()
        .map_err(|_| LayoutError::Algorithm {
            what,
            found: told(&descriptor.digest),
        })?;
    let bytes = descriptor.size;
    if bytes > most as u64 {
        return Err(LayoutError::TooLarge { what, bytes, most });
    }
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
    Ok((file, found))
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
