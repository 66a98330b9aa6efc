//! Milepost: durable workflows of WebAssembly steps.
//!
//! A workflow is a TOML file, every step is a WebAssembly component, and the host commits the outcome of each step before it
//! begins the next. Stop it anywhere and the run goes on from the last milepost.
//!
//! ```
//! use milepost::{Engine, StartOptions};
//! use serde_json::json;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # std::env::set_current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))?;
//! # let database = folder.path().join("milepost.db");
//! let engine = Engine::at(database)?;
//! let workflow = engine.open("examples/hello/workflow.toml")?;
//! let inputs = workflow.inputs(json!({ "name": "Ada" }))?;
//! let report = engine.run(workflow, inputs, StartOptions::default()).await?;
//! assert_eq!(report.output, "Hello, Ada!");
//! #
//! # assert_eq!(engine.report(&report.id).await?, report); // read back from the store
//! # Ok(())
//! # }
//! ```
//!
//! Behind it are two things that [`Engine::builder`] takes apart: a [`store`](store::Store) that keeps runs, and a
//! [source](plugin::PluginSource) of components. Steps can also be [Rust in this program](native). The library prints nothing, reads no
//! environment and installs no signal handlers.
//!
//! `host/ARCHITECTURE.md` is the map of the code.

mod audit;
pub mod bundle;
mod carried;
mod child_workflows;
pub mod comparison;
pub mod dry_run;
pub mod engine;
pub mod history;
pub mod input_file;
pub mod metrics;
pub mod native;
pub mod owner;
pub mod plugin;
pub mod record;
pub mod replay;
pub mod report;
pub mod secrets;
pub mod testing;
pub mod wasm_plugins;
pub mod whole_file;
pub mod workflow;

pub use engine::{Engine, StartOptions};
pub use milepost_core as core;
use milepost_store::fault;
pub use milepost_wasm::{self as wasm, attempt, bounded_file, clock};

/// Where runs are kept: the trait, its words, and two implementations.
pub mod store {
    pub use milepost_store::*;
    pub use milepost_store_sqlite as sqlite;
}
