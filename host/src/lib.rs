//! Milepost: durable workflows of WebAssembly steps.
//!
//! A workflow is a TOML file, every step is a WebAssembly component, and the host commits the outcome of each step before it
//! begins the next. Stop it anywhere and the run goes on from the last milepost.

pub mod attempt;
pub mod clock;
pub mod engine;
pub mod owner;
pub mod plugin;
pub mod record;
pub mod replay;
pub mod report;
pub mod store;
pub mod wasm;
pub mod wasm_plugins;
pub mod workflow;

pub use engine::Engine;
pub use milepost_core as core;
