//! A workflow that is ready to run: its checked definition together with its loaded components.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use milepost_core::definition::{Definition, Manifests};
use milepost_core::diagnostic::{Diagnostic, Diagnostics};
use milepost_core::ids::Digest;
use milepost_core::limits;

use crate::attempt::Callable;
use crate::plugin::{LoadedPlugin, PluginError, PluginSource};

/// A definition with its components.
#[derive(Clone)]
pub struct Workflow {
    /// The checked definition.
    pub definition: Arc<Definition>,
    /// Absolute path of the definition's file.
    pub file: PathBuf,
    /// What its author should know.
    pub warnings: Vec<Diagnostic>,
    plugins: BTreeMap<String, LoadedPlugin>,
}

/// Why a workflow cannot be opened.
#[derive(Debug, thiserror::Error)]
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
    /// [`OpenError::Invalid`], [`OpenError::Plugin`].
    pub fn link(file: &Path, text: &str, source: &dyn PluginSource) -> Result<Self, OpenError> {
        let shown = file.display().to_string();
        let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        let base = absolute.parent().unwrap_or(Path::new(".")).to_owned();
        let parsed = Definition::parse(&shown, text)?;
        let mut plugins = BTreeMap::new();
        for (name, spec) in &parsed.definition.plugins {
            plugins.insert(name.clone(), source.load(name, spec, &base)?);
        }
        let manifests: Manifests = plugins
            .iter()
            .map(|(name, plugin)| (name.clone(), plugin.manifest.clone()))
            .collect();
        let parsed = Definition::with_manifests(&parsed, &manifests)?;
        Ok(Self {
            definition: Arc::new(parsed.definition),
            file: absolute,
            warnings: parsed.warnings,
            plugins,
        })
    }

    /// Digests of all components, by plugin name.
    #[must_use]
    pub fn digests(&self) -> BTreeMap<String, Digest> {
        self.plugins
            .iter()
            .map(|(name, plugin)| (name.clone(), plugin.digest))
            .collect()
    }

    /// The component of that name.
    #[must_use]
    pub fn callable(&self, plugin: &str) -> Option<Arc<dyn Callable>> {
        self.plugins
            .get(plugin)
            .map(|plugin| Arc::clone(&plugin.callable))
    }
}

/// Reads a definition's text, bounded.
///
/// # Errors
/// [`OpenError::Unreadable`] when the file does not exist, is not UTF-8, or is larger than a definition may be.
pub fn read_definition(file: &Path) -> Result<String, OpenError> {
    let unreadable = |cause| OpenError::Unreadable {
        file: file.to_owned(),
        cause,
    };
    let size = fs::metadata(file).map_err(unreadable)?.len();
    if size > limits::DEFINITION_BYTES as u64 {
        let text = format!(
            "it has {size} bytes, a definition may have {}",
            limits::DEFINITION_BYTES
        );
        return Err(unreadable(std::io::Error::other(text)));
    }
    fs::read_to_string(file).map_err(unreadable)
}
