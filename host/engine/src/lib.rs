//! Milepost: durable workflows of WebAssembly steps.
//!
//! A workflow is a TOML file, every step is a WebAssembly component, and the host commits the outcome of each step before it
//! begins the next. Stop it anywhere and the run goes on from the last milepost.
//!
//! An [`Engine`] needs two things: a [`store`](store::Store) that keeps runs, and a [source](plugin::PluginSource) of
//! components. The library prints nothing, reads no environment and installs no signal handlers.
//!
//! ```
//! use std::{path::Path, sync::Arc};
//! use milepost::core::definition::input::{GivenInputs, Inputs};
//! use milepost::store::sqlite::{Durability, SqliteStore};
//! use milepost::{Engine, engine::StartOptions, wasm_plugins::WasmPlugins};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path();
//! # let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/hello/workflow.toml");
//! let store = SqliteStore::open(&folder.join("milepost.db"), Durability::PowerLoss)?;
//! let engine = Engine::builder(Arc::new(store), Arc::new(WasmPlugins::new(None))).build();
//!
//! let workflow = engine.open(&file)?; // examples/hello/workflow.toml
//! let inputs = Inputs::resolve(&workflow.definition, &GivenInputs::default()).expect("all have a default");
//! let report = engine.run(workflow, inputs.values, StartOptions::default()).await?;
//!
//! assert_eq!(report.output, "Hello, world!");
//! assert_eq!(engine.report(&report.id)?, report); // read back from the store
//! # Ok(())
//! # }
//! ```
//!
//! `host/ARCHITECTURE.md` is the map of the code.

mod audit;
mod carried;
pub mod engine;
pub mod owner;
pub mod plugin;
pub mod record;
pub mod replay;
pub mod report;
pub mod wasm_plugins;
pub mod workflow;

pub use engine::Engine;
pub use milepost_core as core;
use milepost_store::fault;
pub use milepost_wasm::{self as wasm, attempt, bounded_file, clock};

/// Where runs are kept: the trait, its words, and two implementations.
pub mod store {
    pub use milepost_store::*;
    pub use milepost_store_sqlite as sqlite;
}
