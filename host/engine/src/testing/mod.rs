//! Tests of steps and workflows: a mocked world, virtual time, and crashes at every point.
//!
//! A [`StepTest`] calls one step of one component, or a native step, once. Its host calls are answered by [`Mock`]s, its clock
//! stands still, its random numbers come from a fixed seed, and memos, buckets and artifacts live in memory. [`StepTest::crash`]
//! kills it after every host call and begins again.
//!
//! A [`WorkflowTest`] lets a whole run take place on the real engine, on a store in memory: [`Stub`]s or a mocked world stand in
//! the place of its steps, people and signals ([`Act`]) come at their times, and the clock jumps to what is due next.
//! [`WorkflowTest::crash`] kills the engine after every commit and lets another one go on.
//!
//! ```
//! use milepost::native::{Failure, NativePlugin};
//! use milepost::testing::{Component, StepTest};
//! use serde_json::json;
//!
//! let double = NativePlugin::new("math", "1").step("double", |call| async move {
//!     let n = call.input["n"].as_i64().ok_or_else(|| Failure::failed("no-number", "`n` is no number"))?;
//!     Ok(json!({ "n": 2 * n }))
//! });
//! let test = StepTest::new("double", json!({ "n": 21 }));
//! test.run(&Component::native(double)).unwrap().assert_output(&json!({ "n": 42 }));
//! ```
//!
//! Files of tests (`*.test.toml`) are read by [`TestFile`] and executed by [`Runner`]; `host/TESTING.md` describes them.
//!
//! # Invariants
//! - A test reaches nothing: no request leaves the process, no program starts, no file is written.
//! - It gives the same result every time: time is virtual, seeds are fixed, and one thread executes all of it.

mod compare;
mod crash;
mod file;
mod mock;
mod recorded;
mod runner;
mod step;
mod toml_text;
mod update;
mod workflow;
mod world;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use milepost_core::definition::{Manifest, PluginSpec};

use crate::attempt::Callable;
use crate::engine::EngineError;
use crate::native::NativePlugin;
use crate::plugin::{PluginError, PluginSource};
use crate::wasm_plugins::WasmPlugins;
use crate::workflow::{OpenError, Workflow};

pub use compare::Finding;
pub use crash::CrashReport;
pub use file::{Case, TestFile, json_schema};
pub use mock::Mock;
pub use recorded::{NotRecorded, from_run};
pub use runner::{Ran, Runner, Verdict};
pub use step::{StepRun, StepTest};
pub use update::updated;
pub use workflow::{
    Act, RecordedTest, Stub, WorkflowRun, WorkflowTest, from_run as workflow_from_run,
};
pub use world::Seen;

/// Why a test could not be executed.
#[derive(Debug, thiserror::Error)]
#[cfg_attr(not(feature = "exhaustive"), non_exhaustive)]
pub enum TestError {
    /// Its component cannot be used.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// Its workflow cannot be used.
    #[error(transparent)]
    Workflow(#[from] OpenError),
    /// What it names is not there.
    #[error("{0}")]
    Missing(String),
    /// The value of a secret cannot be used.
    #[error("the secret `{0}`: {1}")]
    Secret(String, String),
    /// The engine could not go on with its run.
    #[error("the engine could not go on: {0}")]
    Engine(Box<EngineError>),
    /// It took too long, by the clock of the machine.
    #[error("it did not end within {0:?}; `timeout` gives it more time")]
    Slow(Duration),
    /// There is no runtime for it.
    #[error("no runtime could be started: {0}")]
    Runtime(#[from] std::io::Error),
}

/// Steps that can be tested.
#[derive(Clone)]
pub struct Component {
    callable: Arc<dyn Callable>,
    manifest: Option<Manifest>,
    native: bool,
}

impl Component {
    /// A component from a file, loaded once per process and file.
    ///
    /// # Errors
    /// [`TestError::Plugin`].
    pub fn load(file: impl AsRef<Path>) -> Result<Self, TestError> {
        components().load(file.as_ref())
    }

    /// Steps in Rust.
    #[must_use]
    pub fn native(plugin: NativePlugin) -> Self {
        Self {
            callable: Arc::new(plugin),
            manifest: None,
            native: true,
        }
    }

    fn from_source(source: &dyn PluginSource, file: &Path) -> Result<Self, TestError> {
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        let spec = PluginSpec {
            source: file.display().to_string(),
            digest: None,
            config: Arc::default(),
            grants: Arc::default(),
            validate: true,
        };
        let read = source.read(&name, &spec, Path::new(""))?;
        let loaded = source.load(&read)?;
        Ok(Self {
            callable: loaded.checked(),
            manifest: loaded.manifest,
            native: false,
        })
    }

    pub(crate) fn callable(&self) -> &dyn Callable {
        &*self.callable
    }

    pub(crate) fn manifest(&self) -> Option<&Manifest> {
        self.manifest.as_ref()
    }

    pub(crate) fn is_native(&self) -> bool {
        self.native
    }
}

/// The components of this process's tests.
fn components() -> &'static runner::Components {
    static COMPONENTS: OnceLock<runner::Components> = OnceLock::new();
    COMPONENTS.get_or_init(|| runner::Components::new(Arc::new(WasmPlugins::new(None))))
}

/// A workflow from a file, loaded once per process and file, and the source of its components.
fn workflow_of(file: &Path) -> Result<(Workflow, Arc<dyn PluginSource>), TestError> {
    Ok((components().workflow(file)?, components().source()))
}

/// Executes a test on this thread alone.
fn block_on<T>(test: impl Future<Output = Result<T, TestError>>) -> Result<T, TestError> {
    runtime()?.block_on(test)
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
}

/// The file beside the one that names it.
fn beside(file: &Path, named: &str) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).join(named)
}
