//! Components are loaded once per process, however many runs use them.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use milepost_core::definition::PluginSpec;
use milepost_core::ids::Digest;

use super::{ComponentBytes, LoadedPlugin, PluginError, PluginSource};

/// How many loaded components are kept; one that is used longer is kept by its runs.
const KEPT: usize = 32;

/// Another source, asked to load a component only when none of that digest is at hand.
pub(crate) struct Once<S> {
    source: S,
    /// The one used last stands last.
    kept: Mutex<Vec<(Digest, Arc<Slot>)>>,
}

/// Held while the component is loaded, so that whoever comes second waits instead of loading it as well.
type Slot = Mutex<Option<LoadedPlugin>>;

impl<S> Once<S> {
    pub(crate) fn new(source: S) -> Self {
        Self {
            source,
            kept: Mutex::default(),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Vec<(Digest, Arc<Slot>)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slot(&self, digest: &Digest) -> Arc<Slot> {
        let mut kept = self.kept();
        let at = kept.iter().position(|(known, _)| known == digest);
        let slot = at.map_or_else(Arc::default, |at| kept.remove(at).1);
        kept.push((*digest, Arc::clone(&slot)));
        if kept.len() > KEPT {
            kept.remove(0);
        }
        slot
    }
}

impl<S: std::ops::Deref<Target: PluginSource> + Send + Sync> PluginSource for Once<S> {
    fn read(
        &self,
        name: &str,
        spec: &PluginSpec,
        base: &Path,
    ) -> Result<ComponentBytes, PluginError> {
        self.source.read(name, spec, base)
    }

    fn load(&self, component: &ComponentBytes) -> Result<LoadedPlugin, PluginError> {
        let slot = self.slot(&component.digest);
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(loaded) = &*slot {
            return Ok(loaded.clone());
        }
        let loaded = self.source.load(component)?;
        *slot = Some(loaded.clone());
        Ok(loaded)
    }

    fn loaded(&self, digest: &Digest) -> Option<LoadedPlugin> {
        self.kept().iter().find(|(known, _)| known == digest)?;
        let slot = self.slot(digest);
        let slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        slot.clone()
    }
}
