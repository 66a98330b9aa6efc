//! Components from files: the [`PluginSource`] of the real world.

mod kept;
pub mod oci_artifact;
pub mod oci_layout;
pub mod oci_registry;
mod script;

pub use self::kept::Kept;
pub use self::script::is_one as is_script;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use milepost_core::definition::PluginSpec;
use milepost_core::ids::Digest;
use milepost_core::json_schema::Contracts;
use milepost_core::registry;

use self::oci_layout::{LayoutError, Reference};
use crate::clock::SystemClock;
use crate::native;
use crate::plugin::{ComponentBytes, LoadedPlugin, PluginError, PluginSource};
use crate::wasm::{
    self, ChildProgram, CodeCache, Compiler, MemoryBudget, Rejection, Room, SlowCompilation,
    WasmEngine, read_component,
};

/// Whether the definition in a file may begin to use a component: see [`PluginSource::admit`].
pub type Guard =
    Arc<dyn Fn(&ComponentBytes, &PluginSpec, &Path) -> Result<(), PluginError> + Send + Sync>;

/// Which component a `source` in a registry stands for: what its tag stood for when somebody looked. A run does not ask the registry.
pub trait Chosen: Send + Sync {
    /// The digest of the component of that plugin; `base` is the definition's folder.
    ///
    /// # Errors
    /// Why it cannot be known.
    fn digest(&self, name: &str, spec: &PluginSpec, base: &Path) -> Result<Option<Digest>, String>;

    /// What to do where nothing was chosen, or what was is not on this machine.
    fn remedy(&self, name: &str, spec: &PluginSpec, base: &Path) -> String;
}

/// Loads the components that definitions name, relative to the definition's folder.
///
/// The WebAssembly engine is set up with the first component: whoever only looks at runs does not pay for it.
pub struct WasmPlugins {
    cache: Option<PathBuf>,
    compiler: Compiler,
    room: Room,
    metered: bool,
    group_holder: Option<ChildProgram>,
    program_supervisor: Option<ChildProgram>,
    slow_compilation: Option<SlowCompilation>,
    guard: Option<Guard>,
    kept: Option<Kept>,
    chosen: Option<Arc<dyn Chosen>>,
    engine: OnceLock<WasmEngine>,
}

impl WasmPlugins {
    /// `cache` is the folder for compiled code; without one, components are compiled in every process.
    #[must_use]
    pub fn new(cache: Option<PathBuf>) -> Self {
        Self {
            cache,
            compiler: Compiler::InProcess,
            room: Room::default(),
            metered: false,
            group_holder: None,
            program_supervisor: None,
            slow_compilation: None,
            guard: None,
            kept: None,
            chosen: None,
            engine: OnceLock::new(),
        }
    }

    /// Compiles elsewhere than in this process.
    #[must_use]
    pub fn compiler(mut self, compiler: Compiler) -> Self {
        self.compiler = compiler;
        self
    }

    /// Bounds what all steps in flight may take together; further ones wait until there is room.
    #[must_use]
    pub fn memory(mut self, budget: MemoryBudget) -> Self {
        self.room.memory = Some(budget);
        self
    }

    /// Bounds how many steps may be in flight at once; further ones wait.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.room.attempts = attempts;
        self
    }

    /// Counts the fuel of attempts; see [`WasmEngine::metered`].
    #[must_use]
    pub fn metered(mut self) -> Self {
        self.metered = true;
        self
    }

    /// Names a program that holds the process groups of what steps run; see [`WasmEngine::group_holder`].
    #[must_use]
    pub fn group_holder(mut self, holder: Option<ChildProgram>) -> Self {
        self.group_holder = holder;
        self
    }

    /// Names a program that starts what steps run; see [`WasmEngine::program_supervisor`].
    #[must_use]
    pub fn program_supervisor(mut self, supervisor: Option<ChildProgram>) -> Self {
        self.program_supervisor = supervisor;
        self
    }

    /// Names who hears of a component that has been compiling for a while; see [`WasmEngine::slow_compilation`].
    #[must_use]
    pub fn slow_compilation(mut self, hears: SlowCompilation) -> Self {
        self.slow_compilation = Some(hears);
        self
    }

    /// Asks about every component that a definition begins to use.
    #[must_use]
    pub fn guard(mut self, guard: Guard) -> Self {
        self.guard = Some(guard);
        self
    }

    /// Names where components of registries are kept.
    #[must_use]
    pub fn kept(mut self, kept: Option<Kept>) -> Self {
        self.kept = kept;
        self
    }

    /// Names who knows which of them are meant. Without, only those that a definition pins by their digest are.
    #[must_use]
    pub fn chosen(mut self, chosen: Arc<dyn Chosen>) -> Self {
        self.chosen = Some(chosen);
        self
    }

    /// The WebAssembly engine.
    ///
    /// # Errors
    /// When this machine lacks what it needs, such as memory; it may have it at the next call.
    pub fn engine(&self) -> Result<&WasmEngine, wasm::EngineError> {
        if let Some(engine) = self.engine.get() {
            return Ok(engine);
        }
        let cache = self.cache.as_deref().map(CodeCache::open);
        let clock = Arc::new(SystemClock);
        let compiler = self.compiler.clone();
        let mut engine = match self.metered {
            true => WasmEngine::metered(self.room, cache, clock, compiler)?,
            false => WasmEngine::within(self.room, cache, clock, compiler)?,
        };
        if let Some(holder) = &self.group_holder {
            engine = engine.group_holder(holder.clone());
        }
        if let Some(supervisor) = &self.program_supervisor {
            engine = engine.program_supervisor(supervisor.clone());
        }
        if let Some(hears) = &self.slow_compilation {
            engine = engine.slow_compilation(Arc::clone(hears));
        }
        // Of two that are set up at once, the first one stays.
        Ok(self.engine.get_or_init(|| engine))
    }
}

impl WasmPlugins {
    /// Reads a component, or makes one of a script.
    ///
    /// # Errors
    /// [`PluginError`], with the remedy.
    pub fn read_file(&self, name: &str, path: &Path) -> Result<ComponentBytes, PluginError> {
        let place = path.display().to_string();
        let bytes = match script::is_one(path) {
            true => script::read(self, name, path)?,
            false => read_component(path)
                .map_err(|error| PluginError::Unavailable {
                    name: name.to_owned(),
                    reason: format!("cannot read the component {place}: {error}"),
                })?
                .map_err(|rejection| rejected(name, &place, &rejection))?,
        };
        Ok(ComponentBytes::new(name, place, bytes))
    }

    /// Reads a component from an OCI image layout, whose folder is seen from `base`.
    ///
    /// # Errors
    /// [`PluginError`], with the remedy.
    pub fn read_layout(
        &self,
        name: &str,
        base: &Path,
        reference: &Reference,
    ) -> Result<ComponentBytes, PluginError> {
        let place = reference.within(base).to_string();
        let bytes = oci_layout::read(base, reference).map_err(|error| {
            let name = name.to_owned();
            let reason = format!("cannot read the component {place}: {error}");
            match error {
                LayoutError::File { .. } | LayoutError::NoTag { .. } => {
                    PluginError::Unavailable { name, reason }
                }
                _ => PluginError::Incompatible { name, reason },
            }
        })?;
        Ok(ComponentBytes::new(name, place, bytes))
    }

    /// The component of a registry that was chosen, from those that are kept here.
    fn read_kept(
        &self,
        name: &str,
        spec: &PluginSpec,
        base: &Path,
    ) -> Result<ComponentBytes, PluginError> {
        let unavailable = |reason: String| PluginError::Unavailable {
            name: name.to_owned(),
            reason,
        };
        let chosen = self.chosen.as_deref();
        let remedy = |reason: String| match chosen {
            Some(chosen) => format!("{reason}; {}", chosen.remedy(name, spec, base)),
            None => reason,
        };
        let place = &spec.source;
        let digest = chosen.map(|chosen| chosen.digest(name, spec, base));
        let digest = digest.transpose().map_err(unavailable)?.flatten();
        let Some(digest) = digest.or(spec.digest) else {
            return Err(unavailable(remedy(format!(
                "nothing says which component {place} stands for"
            ))));
        };
        let kept = self.kept.as_ref();
        let bytes = kept.and_then(|kept| kept.get(&digest)).ok_or_else(|| {
            unavailable(remedy(format!(
                "the component {place} ({digest}) is not on this machine"
            )))
        })?;
        Ok(ComponentBytes::new(name, place.as_str(), bytes))
    }
}

impl PluginSource for WasmPlugins {
    fn read(
        &self,
        name: &str,
        spec: &PluginSpec,
        base: &Path,
    ) -> Result<ComponentBytes, PluginError> {
        if spec.source.starts_with(native::SCHEME) {
            return Err(not_native(name, &spec.source));
        }
        if spec.source.starts_with(registry::SCHEME) {
            return self.read_kept(name, spec, base);
        }
        match Reference::parse(&spec.source) {
            Some(reference) => self.read_layout(name, base, &reference),
            None => self.read_file(name, &base.join(&spec.source)),
        }
    }

    fn admit(
        &self,
        component: &ComponentBytes,
        spec: &PluginSpec,
        file: &Path,
    ) -> Result<(), PluginError> {
        match &self.guard {
            Some(guard) => guard(component, spec, file),
            None => Ok(()),
        }
    }

    fn load(&self, component: &ComponentBytes) -> Result<LoadedPlugin, PluginError> {
        let ComponentBytes {
            name,
            place,
            digest,
            bytes,
        } = component;
        if bytes.starts_with(native::SCHEME.as_bytes()) {
            return Err(not_native(name, &String::from_utf8_lossy(bytes)));
        }
        let engine = self.engine().map_err(|error| PluginError::Unavailable {
            name: name.clone(),
            reason: error.to_string(),
        })?;
        let plugin = engine
            .link(bytes, *digest)
            .map_err(|rejection| rejected(name, place, &rejection))?;
        Ok(LoadedPlugin {
            digest: plugin.digest(),
            manifest: plugin.manifest().cloned(),
            contracts: plugin
                .manifest()
                .map(|manifest| Arc::new(Contracts::of(manifest)))
                .unwrap_or_default(),
            functions: Arc::clone(plugin.functions()),
            callable: Arc::new(plugin),
        })
    }

    fn takes_long(&self) -> bool {
        true
    }
}

/// Of a run or a definition of a program with steps of its own.
fn not_native(name: &str, which: &str) -> PluginError {
    PluginError::Unavailable {
        name: name.to_owned(),
        reason: format!(
            "`{which}` is Rust inside the program that embeds Milepost; only that program can call it"
        ),
    }
}

/// A component that has to be built differently, or one whose compiler did not come to an end, which may be different next time.
fn rejected(name: &str, place: &str, rejection: &Rejection) -> PluginError {
    let help = rejection.help().map(|help| format!("; {help}"));
    let name = name.to_owned();
    let reason = format!(
        "cannot use the component {place}: {rejection}{}",
        help.unwrap_or_default()
    );
    match rejection {
        Rejection::NotCompiled(_) => PluginError::Unavailable { name, reason },
        _ => PluginError::Incompatible { name, reason },
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use std::collections::BTreeMap;

    use super::*;
    use crate::plugin::read_pinned;

    fn load(bytes: Option<&[u8]>, digest: Option<Digest>) -> PluginError {
        let folder = tempfile::tempdir().unwrap();
        if let Some(bytes) = bytes {
            std::fs::write(folder.path().join("p.wasm"), bytes).unwrap();
        }
        let spec = PluginSpec {
            source: "p.wasm".into(),
            digest,
            config: Arc::new(BTreeMap::new()),
            grants: Arc::default(),
            validate: true,
        };
        let plugins = WasmPlugins::new(None);
        let file = folder.path().join("w.toml");
        let read = read_pinned(&plugins, "p", &spec, &file);
        match read.and_then(|component| plugins.load(&component)) {
            Ok(_) => panic!("it was loaded"),
            Err(error) => error,
        }
    }

    fn component(text: &str) -> Vec<u8> {
        wat::parse_str(text).unwrap()
    }

    #[test]
    fn a_file_that_can_be_put_in_place_is_unavailable() {
        for error in [load(None, None), load(Some(b"x"), Some(Digest::of(b"y")))] {
            assert!(matches!(error, PluginError::Unavailable { .. }), "{error}");
            assert!(error.to_string().contains("p.wasm"), "{error}");
        }
    }

    #[test]
    fn a_component_whose_compiler_cannot_be_started_is_unavailable() {
        let bytes = component(
            r#"(component (instance $guest) (export "milepost:step/guest@0.1.0" (instance $guest)))"#,
        );
        let plugins = WasmPlugins::new(None).compiler(Compiler::Child(ChildProgram {
            program: "/nowhere/milepost".into(),
            arguments: Vec::new(),
        }));
        let loaded = plugins.load(&ComponentBytes::new("p", "p.wasm", bytes));
        let Err(error) = loaded else {
            panic!("it was loaded")
        };
        assert!(matches!(error, PluginError::Unavailable { .. }), "{error}");
    }

    #[test]
    fn a_component_that_does_not_fit_is_incompatible_and_told_why() {
        let unknown = r#"(component
            (import "milepost:step/teleport@0.1.0" (instance))
            (instance $guest)
            (export "milepost:step/guest@0.1.0" (instance $guest)))"#;
        for (bytes, says) in [
            (b"not wasm".to_vec(), "not WebAssembly"),
            (component("(module)"), "core module"),
            (component("(component)"), "milepost:step/guest@0.1"),
            (component(unknown), "milepost:step/teleport"),
        ] {
            let error = load(Some(&bytes), None);
            assert!(matches!(error, PluginError::Incompatible { .. }), "{error}");
            assert!(error.to_string().contains(says), "{error}");
        }
    }
}
