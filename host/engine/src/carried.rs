//! What a run executes, as the run carries it: its text, and its components by digest, all from the store. Whatever goes on
//! by itself goes on under these, whatever the files hold by now.

mod kept;

use std::collections::BTreeMap;
use std::path::Path;

use milepost_core::definition::{Definition, PluginSpec};
use milepost_core::ids::Digest;
use milepost_core::state::RunState;

pub(crate) use self::kept::Kept;
use crate::engine::EngineError;
use crate::fault;
use crate::plugin::{ComponentBytes, PluginError, PluginSource, read_beside};
use crate::record;
use crate::store::{Store, StoreError};
use crate::workflow::{Components, OpenError, Workflow};

/// The workflow of a run.
///
/// # Errors
/// [`EngineError`] when the store cannot be asked, the text cannot be read, or a component cannot be used.
pub(crate) fn workflow(
    store: &dyn Store,
    source: &dyn PluginSource,
    kept: &Kept,
    state: &RunState,
) -> Result<Workflow, EngineError> {
    fault::point("loading");
    if let Some(workflow) = kept.of(state) {
        return Ok(workflow);
    }
    let (components, text) = components(store, source, state)?;
    components.complete()?;
    let workflow = components.relink(&text)?;
    // What came from files is yet to be brought into the store.
    if workflow.bytes().next().is_none() {
        kept.keep(state, &workflow);
    }
    Ok(workflow)
}

/// The same without its components: enough to plan by, not to call anything.
///
/// # Errors
/// [`EngineError`] when the store cannot be asked, or the text cannot be read.
pub(crate) fn without_components(
    store: &dyn Store,
    state: &RunState,
) -> Result<Workflow, EngineError> {
    let text = record::definition_text(store, state)?;
    Ok(Components::of(Path::new(&state.created().file)).relink(&text)?)
}

/// Whether loading the components of a run costs nothing.
pub(crate) fn are_at_hand(source: &dyn PluginSource, state: &RunState) -> bool {
    let mut digests = state.binding().plugins.values();
    digests.all(|digest| source.loaded(digest).is_some())
}

/// The components of a run, as far as they can be used, and its text.
///
/// # Errors
/// [`EngineError::Store`] when the store cannot be asked.
pub(crate) fn components(
    store: &dyn Store,
    source: &dyn PluginSource,
    state: &RunState,
) -> Result<(Components, String), EngineError> {
    let text = record::definition_text(store, state)?;
    let file = Path::new(&state.created().file);
    let mut components = Components::of(file);
    // Only for what has to be looked for in files.
    let mut declared: Option<BTreeMap<String, PluginSpec>> = None;
    for (name, digest) in &state.binding().plugins {
        let loaded = match source.loaded(digest) {
            Some(loaded) => Ok(loaded),
            None => match stored(store, name, digest)? {
                Some(component) => source.load(&component),
                None => {
                    let declared = declared.get_or_insert_with(|| Definition::plugins_of(&text));
                    from_file(source, name, *digest, declared.get(name), file)
                        .and_then(|component| components.load_read(source, component))
                }
            },
        };
        components.add(name.clone(), loaded);
    }
    Ok((components, text))
}

/// The bytes that the store holds; damaged ones are none.
fn stored(
    store: &dyn Store,
    name: &str,
    digest: &Digest,
) -> Result<Option<ComponentBytes>, StoreError> {
    let bytes = match store.blob(digest) {
        Ok(bytes) => bytes,
        Err(StoreError::Corrupt(_)) => None,
        Err(error) => return Err(error),
    };
    Ok(bytes.map(|bytes| ComponentBytes {
        name: name.to_owned(),
        place: digest.to_string(),
        digest: *digest,
        bytes: bytes.into(),
    }))
}

/// Runs of older versions carry digests only: the file serves as long as it is the same.
fn from_file(
    source: &dyn PluginSource,
    name: &str,
    digest: Digest,
    spec: Option<&PluginSpec>,
    file: &Path,
) -> Result<ComponentBytes, PluginError> {
    let gone = |why: String| PluginError::Missing {
        name: name.to_owned(),
        reason: format!(
            "the store does not hold its component {digest}, and {why}; put the file with that digest in its place"
        ),
    };
    let spec = spec.ok_or_else(|| gone("the definition does not say where it was".to_owned()))?;
    let component = read_beside(source, name, spec, file).map_err(|error| match error {
        PluginError::Unavailable { reason, .. }
        | PluginError::Missing { reason, .. }
        | PluginError::Incompatible { reason, .. } => gone(reason),
    })?;
    if component.digest != digest {
        return Err(gone(format!(
            "{} is another one, {}",
            component.place, component.digest
        )));
    }
    Ok(component)
}

/// The definition of a run, read without its components.
///
/// # Errors
/// [`EngineError`] when the store cannot be asked, or the text cannot be read.
pub(crate) fn definition(store: &dyn Store, state: &RunState) -> Result<Definition, EngineError> {
    let text = record::definition_text(store, state)?;
    let parsed = Definition::reread(&state.created().file, &text).map_err(OpenError::from)?;
    Ok(parsed.definition)
}
