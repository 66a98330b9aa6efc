//! Where components come from: the seam between workflows and whatever can execute their steps.

use std::path::Path;
use std::sync::Arc;

use milepost_core::definition::{Manifest, PluginSpec};
use milepost_core::ids::Digest;

use crate::attempt::Callable;

/// Finds and loads the components that a definition names.
pub trait PluginSource: Send + Sync {
    /// Loads one component. `base` is the folder of the definition.
    ///
    /// # Errors
    /// [`PluginError`], with the remedy.
    fn load(&self, name: &str, spec: &PluginSpec, base: &Path)
    -> Result<LoadedPlugin, PluginError>;
}

/// A component that can be called.
#[derive(Clone)]
pub struct LoadedPlugin {
    /// Digest of its bytes.
    pub digest: Digest,
    /// What it says of itself, when it carries a manifest.
    pub manifest: Option<Manifest>,
    /// Its steps.
    pub callable: Arc<dyn Callable>,
}

/// Why a component cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PluginError {
    /// It could not be found or read, or it is not the pinned one: mend the place.
    #[error("plugin `{name}` is not available: {reason}")]
    Unavailable {
        /// Name in the definition.
        name: String,
        /// What is wrong and how to mend it.
        reason: String,
    },
    /// It does not fit the contract: mend the component.
    #[error("plugin `{name}` does not fit: {reason}")]
    Incompatible {
        /// Name in the definition.
        name: String,
        /// What is wrong and how to mend it.
        reason: String,
    },
}
