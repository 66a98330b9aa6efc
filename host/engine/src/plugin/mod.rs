//! Where components come from: the seam between workflows and whatever can execute their steps.

mod checked;
mod once;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use milepost_core::definition::{Manifest, Offer, PluginSpec};
use milepost_core::function::Functions;
use milepost_core::ids::Digest;
use milepost_core::json_schema::Contracts;

use crate::attempt::Callable;

use checked::Checked;
pub(crate) use once::Once;

/// Finds and loads the components that a definition names.
///
/// In two steps, because runs carry their components: the bytes are read where the definition says once, when a run is
/// created, and loaded from the store in every process that continues it.
pub trait PluginSource: Send + Sync {
    /// Reads a component from its `source`. `base` is the folder of the definition.
    ///
    /// # Errors
    /// [`PluginError`], with the remedy.
    fn read(
        &self,
        name: &str,
        spec: &PluginSpec,
        base: &Path,
    ) -> Result<ComponentBytes, PluginError>;

    /// Whether the definition in `file` may begin to use the component; every one may, unless the source says otherwise. Runs that
    /// carry it go on with it without being asked.
    ///
    /// # Errors
    /// [`PluginError::Refused`].
    fn admit(
        &self,
        _component: &ComponentBytes,
        _spec: &PluginSpec,
        _file: &Path,
    ) -> Result<(), PluginError> {
        Ok(())
    }

    /// Makes a component callable.
    ///
    /// # Errors
    /// [`PluginError`], with the remedy.
    fn load(&self, component: &ComponentBytes) -> Result<LoadedPlugin, PluginError>;

    /// The component of that digest, if this source has loaded it before and kept it.
    fn loaded(&self, _digest: &Digest) -> Option<LoadedPlugin> {
        None
    }

    /// Whether loading may take so long that it is done on a thread of its own, also where a runtime has only one.
    fn takes_long(&self) -> bool {
        false
    }
}

/// A component before it is loaded.
#[derive(Debug, Clone)]
pub struct ComponentBytes {
    /// Name in the definition.
    pub name: String,
    /// Where the bytes were found, for messages.
    pub place: String,
    /// Digest of the bytes.
    pub digest: Digest,
    /// The bytes.
    pub bytes: Arc<[u8]>,
}

impl ComponentBytes {
    /// What was found in some place for the plugin of that name.
    #[must_use]
    pub fn new(name: &str, place: impl Into<String>, bytes: impl Into<Arc<[u8]>>) -> Self {
        let bytes = bytes.into();
        Self {
            name: name.to_owned(),
            place: place.into(),
            digest: Digest::of(&bytes),
            bytes,
        }
    }
}

/// A component that can be called.
#[derive(Clone)]
pub struct LoadedPlugin {
    /// Digest of its bytes.
    pub digest: Digest,
    /// What it says of itself, when it carries a manifest.
    pub manifest: Option<Manifest>,
    /// What its steps declare of their inputs and outputs, to hold values against.
    pub contracts: Arc<Contracts>,
    /// The functions that it exports.
    pub functions: Arc<Functions>,
    /// Its steps.
    pub callable: Arc<dyn Callable>,
}

impl LoadedPlugin {
    /// Its steps, with their inputs and outputs held against what they declare.
    #[must_use]
    pub fn checked(&self) -> Arc<dyn Callable> {
        let component = Arc::clone(&self.callable);
        if self.contracts.is_empty() {
            return component;
        }
        let contracts = Arc::clone(&self.contracts);
        Arc::new(Checked {
            component,
            contracts,
        })
    }

    /// What definitions that use it are checked against.
    #[must_use]
    pub fn offer(&self) -> Offer {
        Offer {
            manifest: self.manifest.clone(),
            functions: Arc::clone(&self.functions),
        }
    }
}

/// Why a component cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub enum PluginError {
    /// It could not be found or read, or it is not the pinned one: fix the place.
    #[error("plugin `{name}` is not available: {reason}")]
    Unavailable {
        /// Name in the definition.
        name: String,
        /// What is wrong and how to fix it.
        reason: String,
    },
    /// The store of a run does not hold it whole, and the file is not there either: put it back.
    #[error("plugin `{name}` is not available: {reason}")]
    Missing {
        /// Name in the definition.
        name: String,
        /// What is wrong and how to fix it.
        reason: String,
    },
    /// It is there, and not one that may be used.
    #[error("plugin `{name}` is refused: {reason}")]
    Refused {
        /// Name in the definition.
        name: String,
        /// Why, and what to do.
        reason: String,
    },
    /// It does not fit the contract: fix the component.
    #[error("plugin `{name}` does not fit: {reason}")]
    Incompatible {
        /// Name in the definition.
        name: String,
        /// What is wrong and how to fix it.
        reason: String,
    },
}

/// Reads a component of the definition in `file`: beside that file, and when it is a link and nothing is there, beside the
/// file that it leads to. Releases are made of links of both kinds.
///
/// # Errors
/// [`PluginError`] of the first place.
pub fn read_beside(
    source: &dyn PluginSource,
    name: &str,
    spec: &PluginSpec,
    file: &Path,
) -> Result<ComponentBytes, PluginError> {
    source.read(name, spec, &folder(file)).or_else(|error| {
        let (real, beside) = (std::fs::canonicalize(file), folder(file).canonicalize());
        match real.map(|real| folder(&real)) {
            // The same folder in another spelling is no other place.
            Ok(real) if beside.is_ok_and(|beside| beside != real) => source
                .read(name, spec, &real)
                .map_err(|_| error.beside(&real)),
            Ok(_) | Err(_) => Err(error),
        }
    })
}

/// The same for a new use of the component: one that the definition pins to another digest is refused, and so is one that the source
/// does not [admit](PluginSource::admit).
///
/// # Errors
/// [`PluginError`].
pub fn read_pinned(
    source: &dyn PluginSource,
    name: &str,
    spec: &PluginSpec,
    file: &Path,
) -> Result<ComponentBytes, PluginError> {
    let component = read_beside(source, name, spec, file)?;
    match spec.digest {
        Some(pinned) if pinned != component.digest => Err(PluginError::Unavailable {
            name: name.to_owned(),
            reason: format!(
                "the component {} has changed: expected {pinned}, found {}; restore the expected file, or accept the new one \
                 by putting its digest in its place",
                component.place, component.digest
            ),
        }),
        Some(_) | None => {
            source.admit(&component, spec, file)?;
            Ok(component)
        }
    }
}

fn folder(file: &Path) -> PathBuf {
    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    absolute.parent().unwrap_or(Path::new(".")).to_owned()
}

impl PluginError {
    fn beside(mut self, real: &Path) -> Self {
        let (Self::Unavailable { reason, .. }
        | Self::Missing { reason, .. }
        | Self::Refused { reason, .. }
        | Self::Incompatible { reason, .. }) = &mut self;
        reason.push_str(&format!(
            "; the definition is a link, and there is none in {} either",
            real.display()
        ));
        self
    }
}
