//! From a file to a plugin that can be called: read, check, compile or take from the cache, link. No guest code runs here.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use milepost_core::definition::{Manifest, WASI_HTTP};
use milepost_core::function::{Function, Functions, SEPARATOR, Unresolved};
use milepost_core::ids::Digest;
use milepost_core::limits;
use wasmtime::component::InstancePre;

use super::capability;
use super::component::{Inspection, Rejection, words};
use super::contract::v0_1::PluginPre;
use super::engine::{Sandbox, WasmEngine};
use super::script::Script;
use super::state::HostState;
use crate::bounded_file::{self, ReadError};

/// A loaded component whose steps can be called. A clone is another handle on it.
#[derive(Clone)]
pub struct Plugin {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) engine: Arc<Sandbox>,
    pub(super) pre: InstancePre<HostState>,
    /// The contract's exports, where it has them.
    guest: Option<PluginPre<HostState>>,
    inspection: Inspection,
    from_cache: bool,
}

/// What a call names.
pub(super) enum Callee<'a> {
    /// A step of the contract.
    Step(&'a PluginPre<HostState>),
    /// A function that is exported.
    Function(&'a Function),
}

impl Callee<'_> {
    /// What its arguments may take while the guest runs: those of a step are text by then.
    pub(super) fn held_bytes(&self) -> usize {
        match self {
            Self::Step(_) => 0,
            Self::Function(_) => limits::JSON_MEMORY_BYTES,
        }
    }
}

impl Inner {
    /// What `step` names: with a `#` in it, a function, unless there is none of that name and the component has steps.
    ///
    /// # Errors
    /// [`Unresolved`].
    pub(super) fn callee(&self, step: &str) -> Result<Callee<'_>, Unresolved> {
        let functions = &self.inspection.functions;
        let found = match (&self.guest, step.contains(SEPARATOR)) {
            (Some(guest), false) => return Ok(Callee::Step(guest)),
            (_, _) => functions.find(step),
        };
        match (found, &self.guest) {
            (Ok(function), _) => Ok(Callee::Function(function)),
            (Err(Unresolved::Unknown { .. }), Some(guest)) => Ok(Callee::Step(guest)),
            (Err(unresolved), _) => Err(unresolved),
        }
    }

    /// The script that it carries.
    pub(super) fn script(&self) -> Option<Arc<Script>> {
        self.inspection.script.clone()
    }

    /// What its attempts may hold because of what it imports: of programs, and of responses that came before they were asked for.
    pub(super) fn held_bytes(&self) -> usize {
        let held = |interface: &String| match interface.as_str() {
            capability::exec::INTERFACE => limits::EXEC_HELD_BYTES,
            WASI_HTTP => limits::HTTP_HELD_BYTES,
            _ => 0,
        };
        self.inspection.capabilities.iter().map(held).sum()
    }
}

/// A component could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file could not be read.
    #[error("cannot read the component {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is another one than the caller expects.
    #[error("the component {} has changed: expected {expected}, found {found}", path.display())]
    OtherDigest {
        /// The file.
        path: PathBuf,
        /// What was expected.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// The file is no plugin that this version can run.
    #[error("cannot use the component {}: {rejection}", path.display())]
    Rejected {
        /// The file.
        path: PathBuf,
        /// Why.
        rejection: Rejection,
    },
}

impl LoadError {
    /// What to do about it, when there is something to say.
    #[must_use]
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Read { .. } => None,
            Self::OtherDigest { .. } => Some(
                "restore the expected file, or accept the new one by putting its digest in its place",
            ),
            Self::Rejected { rejection, .. } => rejection.help(),
        }
    }
}

impl WasmEngine {
    /// Loads the component in a file. May compile it, which takes from milliseconds to seconds of processor time: call it
    /// where blocking is allowed.
    ///
    /// # Errors
    /// [`LoadError`] when the file cannot be read, is not the expected one, or cannot be run by this version.
    pub fn load(&self, path: &Path, expected: Option<Digest>) -> Result<Plugin, LoadError> {
        let rejected = |rejection| LoadError::Rejected {
            path: path.to_owned(),
            rejection,
        };
        let bytes = read_component(path)
            .map_err(|source| LoadError::Read {
                path: path.to_owned(),
                source,
            })?
            .map_err(rejected)?;
        let found = Digest::of(&bytes);
        if let Some(expected) = expected
            && found != expected
        {
            return Err(LoadError::OtherDigest {
                path: path.to_owned(),
                expected,
                found,
            });
        }
        self.link(&bytes, found).map_err(rejected)
    }

    /// Loads a component from memory; see [`WasmEngine::load`].
    ///
    /// # Errors
    /// [`Rejection`] when it cannot be run by this version.
    pub fn load_bytes(&self, bytes: &[u8]) -> Result<Plugin, Rejection> {
        self.link(bytes, Digest::of(bytes))
    }

    /// The same for a caller who knows the digest already.
    pub fn link(&self, bytes: &[u8], digest: Digest) -> Result<Plugin, Rejection> {
        let inspection = Inspection::with_digest(bytes, digest)?;
        inspection.check()?;
        let shared = &self.shared;
        let (component, from_cache) = shared.code(bytes, &inspection)?;
        let pre = shared
            .linker(&inspection)
            .and_then(|linker| linker.instantiate_pre(&component))
            .map_err(|error| Rejection::OtherType(words(&error)))?;
        let guest = match inspection.functions.alone {
            true => None,
            false => Some(PluginPre::new(pre.clone()))
                .transpose()
                .map_err(|error| Rejection::OtherType(words(&error)))?,
        };
        Ok(Plugin {
            inner: Arc::new(Inner {
                engine: Arc::clone(shared),
                pre,
                guest,
                inspection,
                from_cache,
            }),
        })
    }
}

/// Reads a file that may not be larger than a component.
pub fn read_component(path: &Path) -> io::Result<Result<Vec<u8>, Rejection>> {
    match bounded_file::read(path, limits::COMPONENT_BYTES) {
        Ok(bytes) => Ok(Ok(bytes)),
        Err(ReadError::TooLarge { bytes, .. }) => Ok(Err(Rejection::TooLarge { bytes })),
        Err(other) => Err(other.into()),
    }
}

impl Plugin {
    /// Digest of the component file.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.inner.inspection.digest
    }

    /// The manifest that it carries, if it carries one.
    #[must_use]
    pub fn manifest(&self) -> Option<&Manifest> {
        self.inner.inspection.manifest.as_ref()
    }

    /// The functions that it exports beside the contract's.
    #[must_use]
    pub fn functions(&self) -> &Arc<Functions> {
        &self.inner.inspection.functions
    }

    /// What it looks like from outside.
    #[must_use]
    pub fn inspection(&self) -> &Inspection {
        &self.inner.inspection
    }

    /// Whether its machine code came from the cache.
    #[must_use]
    pub fn from_cache(&self) -> bool {
        self.inner.from_cache
    }
}
