//! What a run executes, as the run carries it: its text, and its components by digest, all from the store. Whatever goes on
//! by itself goes on under these, whatever the files hold by now.

mod kept;

use std::collections::BTreeMap;
use std::path::Path;

use milepost_core::definition::{Around, Definition, PluginSpec};
use milepost_core::event::CarriedWorkflow;
use milepost_core::ids::Digest;
use milepost_core::state::RunState;

pub(crate) use self::kept::Kept;
use crate::child_workflows;
use crate::engine::EngineError;
use crate::fault;
use crate::plugin::{ComponentBytes, LoadedPlugin, PluginError, PluginSource, read_beside};
use crate::record;
use crate::store::{Store, StoreError};
use crate::workflow::{Components, OpenError, Workflow};

/// What the store has of a run's workflow, not loaded yet.
pub(crate) struct Carried {
    /// The file that the definition was read from.
    file: String,
    text: String,
    components: Vec<(String, Digest, Found)>,
    children: BTreeMap<String, CarriedWorkflow>,
    child_texts: BTreeMap<String, String>,
}

/// Where a component is.
enum Found {
    /// At hand, when the store was asked.
    Loaded(LoadedPlugin),
    Stored(ComponentBytes),
    /// Runs of older versions carry digests only.
    Nowhere,
}

/// Reads the text of a run, and those of its components that are not at hand. Damaged ones count as missing.
///
/// # Errors
/// [`EngineError::Store`] when the store cannot be asked.
pub(crate) async fn read(
    store: &dyn Store,
    source: &dyn PluginSource,
    state: &RunState,
) -> Result<Carried, EngineError> {
    let text = record::definition_text(store, state).await?;
    let mut components = Vec::new();
    for (name, digest) in &state.binding().plugins {
        let found = match source.loaded(digest) {
            Some(loaded) => Found::Loaded(loaded),
            None => match stored(store, name, digest).await? {
                Some(bytes) => Found::Stored(bytes),
                None => Found::Nowhere,
            },
        };
        components.push((name.clone(), *digest, found));
    }
    Ok(Carried {
        file: state.created().file.clone(),
        text,
        components,
        children: state.binding().children.clone(),
        child_texts: record::child_texts(store, state).await?,
    })
}

impl Carried {
    /// The workflow. Loading components takes long.
    ///
    /// # Errors
    /// [`EngineError`] when the text cannot be read, or a component cannot be used.
    pub(crate) fn workflow(self, source: &dyn PluginSource) -> Result<Workflow, EngineError> {
        fault::point("loading");
        let (components, text) = self.components(source);
        components.complete()?;
        Ok(components.relink(&text)?)
    }

    /// The components, as far as they can be used, and the text.
    pub(crate) fn components(self, source: &dyn PluginSource) -> (Components, String) {
        let file = Path::new(&self.file);
        let children = child_workflows::carried(&self.file, &self.text, &self.child_texts);
        let mut components = Components::of(file).with_children(children, self.children);
        // Only for what has to be looked for in files.
        let mut declared: Option<BTreeMap<String, PluginSpec>> = None;
        for (name, digest, found) in self.components {
            let loaded = match found {
                Found::Loaded(loaded) => Ok(loaded),
                Found::Stored(component) => source.load(&component),
                Found::Nowhere => {
                    let text = &self.text;
                    let declared = declared.get_or_insert_with(|| Definition::plugins_of(text));
                    from_file(source, &name, digest, declared.get(&name), file)
                        .and_then(|component| components.load_read(source, component))
                }
            };
            components.add(name, loaded);
        }
        (components, self.text)
    }
}

/// The workflow of a run with all that a new run of it takes into its store.
///
/// # Errors
/// [`EngineError`].
pub(crate) async fn whole(
    store: &dyn Store,
    source: &dyn PluginSource,
    state: &RunState,
) -> Result<Workflow, EngineError> {
    let workflow = read(store, source, state).await?.workflow(source)?;
    let binding = state.binding();
    let children = binding.children.values().flat_map(CarriedWorkflow::blobs);
    let digests = binding.plugins.values().copied().chain(children);
    let mut bytes = BTreeMap::new();
    for digest in digests {
        if let Some(blob) = store.blob(&digest).await? {
            bytes.insert(digest, blob.into());
        }
    }
    Ok(workflow.with_bytes(bytes))
}

/// The same without its components: enough to plan by, not to call anything.
///
/// # Errors
/// [`EngineError`] when the store cannot be asked, or the text cannot be read.
pub(crate) async fn without_components(
    store: &dyn Store,
    state: &RunState,
) -> Result<Workflow, EngineError> {
    let text = record::definition_text(store, state).await?;
    let file = &state.created().file;
    let texts = record::child_texts(store, state).await?;
    let children = child_workflows::carried(file, &text, &texts);
    let components = Components::of(Path::new(file));
    let components = components.with_children(children, state.binding().children.clone());
    Ok(components.relink(&text)?)
}

/// Whether loading the components of a run costs nothing.
pub(crate) fn are_at_hand(source: &dyn PluginSource, state: &RunState) -> bool {
    let mut digests = state.binding().plugins.values();
    digests.all(|digest| source.loaded(digest).is_some())
}

/// The bytes that the store holds; damaged ones are none.
async fn stored(
    store: &dyn Store,
    name: &str,
    digest: &Digest,
) -> Result<Option<ComponentBytes>, StoreError> {
    let bytes = match store.blob(digest).await {
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
            "the store does not hold its component {digest}; {why}; put the file with that digest in its place"
        ),
    };
    let spec = spec.ok_or_else(|| gone("the definition does not say where it was".to_owned()))?;
    let component = read_beside(source, name, spec, file).map_err(|error| match error {
        PluginError::Unavailable { reason, .. }
        | PluginError::Missing { reason, .. }
        | PluginError::Refused { reason, .. }
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
pub(crate) async fn definition(
    store: &dyn Store,
    state: &RunState,
) -> Result<Definition, EngineError> {
    let text = record::definition_text(store, state).await?;
    let file = &state.created().file;
    let texts = record::child_texts(store, state).await?;
    let children = child_workflows::carried(file, &text, &texts);
    let around = Around {
        manifests: None,
        children: Some(&children),
    };
    let parsed = Definition::reread_with(file, &text, around).map_err(OpenError::from)?;
    Ok(parsed.definition)
}
