//! A workflow that is ready to run: its checked definition together with its loaded components.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use milepost_core::definition::input::{GivenInputs, InputProblem, Inputs};
use milepost_core::definition::{Around, Children, Definition, Manifests, Parsed};
use milepost_core::diagnostic::{Diagnostic, Diagnostics};
use milepost_core::event::CarriedWorkflow;
use milepost_core::ids::Digest;
use milepost_core::limits;
use serde_json::Value;

use crate::attempt::Callable;
use crate::bounded_file;
use crate::child_workflows;
use crate::plugin::{ComponentBytes, LoadedPlugin, PluginError, PluginSource, read_pinned};

/// A definition with its components.
#[derive(Clone)]
pub struct Workflow {
    /// The checked definition.
    pub definition: Arc<Definition>,
    /// Absolute path of the definition's file.
    pub file: PathBuf,
    /// What its author should know.
    pub warnings: Vec<Diagnostic>,
    plugins: Arc<BTreeMap<String, LoadedPlugin>>,
    /// What a run carries of its child workflows and theirs, by file.
    children: Arc<BTreeMap<String, CarriedWorkflow>>,
    /// What was read from files for it, and a new run takes into the store: its components, and what its children are made of.
    read: BTreeMap<Digest, Arc<[u8]>>,
}

/// Why a workflow cannot be opened.
#[derive(Debug, thiserror::Error)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub enum OpenError {
    /// The file cannot be read (B3).
    #[error("the definition {} cannot be read: {cause}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// The definition has problems; all of them.
    #[error("{0}")]
    Invalid(Box<Diagnostics>),
    /// A component cannot be used.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// Several components cannot be used.
    #[error("{} plugins cannot be used:{}", .0.len(), Each(.0))]
    Plugins(Vec<PluginError>),
    /// The same, of components that a text names which was given; [`Definition::unusable`] finds where.
    #[error("{cause}")]
    Unusable {
        /// Which: [`OpenError::Plugin`] or [`OpenError::Plugins`].
        cause: Box<OpenError>,
        /// The file, as it was given.
        file: String,
        /// Its text.
        text: String,
    },
}

impl OpenError {
    /// The components that cannot be used, and why.
    #[must_use]
    pub fn plugins(&self) -> &[PluginError] {
        match self {
            Self::Plugin(error) => std::slice::from_ref(error),
            Self::Plugins(errors) => errors,
            Self::Unusable { cause, .. } => cause.plugins(),
            Self::Unreadable { .. } | Self::Invalid(_) => &[],
        }
    }
}

/// Why inputs cannot start a run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidInputs {
    /// Inputs have names.
    #[error("the inputs are not a JSON object")]
    NoObject,
    /// Undeclared, missing and mistyped inputs; all of them.
    #[error("the inputs do not fit the workflow:{}", Each(.0))]
    Problems(Vec<InputProblem>),
}

/// Each on a line of its own.
struct Each<'a, E>(&'a [E]);

impl<E: fmt::Display> fmt::Display for Each<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|error| write!(f, "\n  {error}"))
    }
}

impl From<Diagnostics> for OpenError {
    fn from(diagnostics: Diagnostics) -> Self {
        Self::Invalid(Box::new(diagnostics))
    }
}

impl Workflow {
    /// Reads, checks and links a definition: everything that can be wrong is found here, before anything runs.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(file: &Path, source: &dyn PluginSource) -> Result<Self, OpenError> {
        let text = read_definition(file)?;
        Self::link(file, &text, source)
    }

    /// Checks and links a text as if it stood in `file`.
    ///
    /// # Errors
    /// [`OpenError`], but for [`OpenError::Unreadable`].
    pub fn link(file: &Path, text: &str, source: &dyn PluginSource) -> Result<Self, OpenError> {
        Components::load(file, text, source).link(text)
    }

    /// Inputs of a run, from a JSON object: checked against what the definition declares, with its defaults.
    ///
    /// # Errors
    /// [`InvalidInputs`] with every problem.
    pub fn inputs(&self, given: Value) -> Result<BTreeMap<String, Value>, InvalidInputs> {
        let file = match given {
            Value::Null => BTreeMap::new(),
            Value::Object(given) => given.into_iter().collect(),
            _ => return Err(InvalidInputs::NoObject),
        };
        let given = GivenInputs {
            file,
            ..GivenInputs::default()
        };
        Inputs::resolve(&self.definition, &given)
            .map(|inputs| inputs.values)
            .map_err(InvalidInputs::Problems)
    }

    /// Digests of all components, by plugin name.
    #[must_use]
    pub fn digests(&self) -> BTreeMap<String, Digest> {
        digests(&self.plugins)
    }

    /// What a run carries of its child workflows and theirs, by file.
    #[must_use]
    pub fn children(&self) -> &BTreeMap<String, CarriedWorkflow> {
        &self.children
    }

    /// The bytes of its components and of its child workflows, as far as they were read from files.
    pub(crate) fn bytes(&self) -> impl Iterator<Item = (Digest, &Arc<[u8]>)> {
        self.read.iter().map(|(digest, bytes)| (*digest, bytes))
    }

    /// The same with these bytes, for a new run of it.
    pub(crate) fn with_bytes(mut self, bytes: BTreeMap<Digest, Arc<[u8]>>) -> Self {
        self.read.extend(bytes);
        self
    }

    /// The same without the bytes, which a run that was created does not need any more.
    pub(crate) fn without_bytes(mut self) -> Self {
        self.read.clear();
        self
    }

    /// Its components, by plugin name.
    pub(crate) fn loaded(&self) -> &BTreeMap<String, LoadedPlugin> {
        &self.plugins
    }

    /// The same with these components.
    pub(crate) fn with(self, plugins: BTreeMap<String, LoadedPlugin>) -> Self {
        Self {
            plugins: Arc::new(plugins),
            ..self
        }
    }

    /// The same with these in the places of others.
    pub(crate) fn replacing(mut self, plugins: &BTreeMap<String, LoadedPlugin>) -> Self {
        if !plugins.is_empty() {
            let others = plugins.iter();
            let others = others.map(|(name, plugin)| (name.clone(), plugin.clone()));
            Arc::make_mut(&mut self.plugins).extend(others);
        }
        self
    }

    /// The component of that name; `checked`: with inputs and outputs held against its manifest.
    #[must_use]
    pub fn callable(&self, plugin: &str, checked: bool) -> Option<Arc<dyn Callable>> {
        let plugin = self.plugins.get(plugin)?;
        Some(match checked {
            true => plugin.checked(),
            false => Arc::clone(&plugin.callable),
        })
    }
}

/// The components of a text, loaded before the text itself is judged.
pub(crate) struct Components {
    file: PathBuf,
    shown: String,
    plugins: BTreeMap<String, LoadedPlugin>,
    children: Children,
    carried: BTreeMap<String, CarriedWorkflow>,
    read: BTreeMap<Digest, Arc<[u8]>>,
    refused: BTreeMap<String, PluginError>,
}

impl Components {
    /// None yet.
    pub(crate) fn of(file: &Path) -> Self {
        Self {
            file: std::path::absolute(file).unwrap_or_else(|_| file.to_owned()),
            shown: file.display().to_string(),
            plugins: BTreeMap::new(),
            children: Children::new(),
            carried: BTreeMap::new(),
            read: BTreeMap::new(),
            refused: BTreeMap::new(),
        }
    }

    /// Loads what the text declares, from files. What cannot be loaded is told by [`Components::link`], after the problems of
    /// the text.
    pub(crate) fn load(file: &Path, text: &str, source: &dyn PluginSource) -> Self {
        let mut components = Self::of(file);
        for (name, spec) in Definition::plugins_of(text) {
            let component = read_pinned(source, &name, &spec, file);
            let loaded = component.and_then(|component| components.load_read(source, component));
            components.add(name, loaded);
        }
        let found = child_workflows::open(file, text, Some(source));
        components.read.extend(found.blobs);
        components.with_children(found.children, found.carried)
    }

    /// The same with these child workflows, and what a run carries of them.
    pub(crate) fn with_children(
        self,
        children: Children,
        carried: BTreeMap<String, CarriedWorkflow>,
    ) -> Self {
        Self {
            children,
            carried,
            ..self
        }
    }

    /// Loads one that was read from a file, and keeps its bytes for the store.
    pub(crate) fn load_read(
        &mut self,
        source: &dyn PluginSource,
        component: ComponentBytes,
    ) -> Result<LoadedPlugin, PluginError> {
        let loaded = source.load(&component)?;
        self.read.insert(component.digest, component.bytes);
        Ok(loaded)
    }

    /// Adds one, or why it cannot be used.
    pub(crate) fn add(&mut self, name: String, loaded: Result<LoadedPlugin, PluginError>) {
        match loaded {
            Ok(plugin) => drop(self.plugins.insert(name, plugin)),
            Err(error) => drop(self.refused.insert(name, error)),
        }
    }

    /// Names of those that cannot be used.
    pub(crate) fn refused(&self) -> impl Iterator<Item = &String> {
        self.refused.keys()
    }

    /// Whether all components can be used.
    ///
    /// # Errors
    /// [`OpenError::Plugin`], [`OpenError::Plugins`].
    pub(crate) fn complete(&self) -> Result<(), OpenError> {
        let mut refused = self.refused.values();
        match (refused.next(), refused.len()) {
            (None, _) => Ok(()),
            (Some(one), 0) => Err(OpenError::Plugin(one.clone())),
            (Some(_), _) => Err(OpenError::Plugins(self.refused.values().cloned().collect())),
        }
    }

    /// Checks the text against its components.
    ///
    /// # Errors
    /// [`OpenError::Invalid`] with every problem of the text, else [`OpenError::Unusable`] with what [`Components::complete`] says.
    pub(crate) fn link(self, text: &str) -> Result<Workflow, OpenError> {
        let manifests = self.manifests();
        let parsed = Definition::parse_with(&self.shown, text, self.around(&manifests))?;
        self.complete().map_err(|cause| OpenError::Unusable {
            cause: Box::new(cause),
            file: self.shown.clone(),
            text: text.to_owned(),
        })?;
        Ok(self.workflow(parsed))
    }

    /// The same for the text of a run, which was accepted before. Components that cannot be used are left out.
    ///
    /// # Errors
    /// [`OpenError::Invalid`] when the text cannot be read at all.
    pub(crate) fn relink(self, text: &str) -> Result<Workflow, OpenError> {
        let manifests = self.manifests();
        let parsed = Definition::reread_with(&self.shown, text, self.around(&manifests))?;
        Ok(self.workflow(parsed))
    }

    fn around<'a>(&'a self, manifests: &'a Manifests) -> Around<'a> {
        Around {
            manifests: Some(manifests),
            children: Some(&self.children),
        }
    }

    fn manifests(&self) -> Manifests {
        let plugins = self.plugins.iter();
        plugins
            .map(|(name, plugin)| (name.clone(), plugin.offer()))
            .collect()
    }

    fn workflow(self, parsed: Parsed) -> Workflow {
        Workflow {
            definition: Arc::new(parsed.definition),
            file: self.file,
            warnings: parsed.warnings,
            plugins: Arc::new(self.plugins),
            children: Arc::new(self.carried),
            read: self.read,
        }
    }
}

fn digests(plugins: &BTreeMap<String, LoadedPlugin>) -> BTreeMap<String, Digest> {
    plugins
        .iter()
        .map(|(name, plugin)| (name.clone(), plugin.digest))
        .collect()
}

/// What stands in the files of the child workflows of a text that stands in `file`; without a source, their components are left out.
#[must_use]
pub fn children(file: &Path, text: &str, source: Option<&dyn PluginSource>) -> Children {
    child_workflows::open(file, text, source).children
}

/// Reads a definition's text, bounded.
///
/// # Errors
/// [`OpenError::Unreadable`] when the file does not exist, is not UTF-8, or is larger than a definition may be.
pub fn read_definition(file: &Path) -> Result<String, OpenError> {
    bounded_file::read_text(file, limits::DEFINITION_BYTES).map_err(|error| OpenError::Unreadable {
        file: file.to_owned(),
        cause: error.into(),
    })
}
