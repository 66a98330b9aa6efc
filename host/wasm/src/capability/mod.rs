//! What a guest may ask of the host: one file per interface of the contract.

mod clock;
pub(crate) mod config;
pub(crate) mod context;
pub(crate) mod log;
pub(crate) mod progress;
mod random;
pub(crate) mod wasi;
