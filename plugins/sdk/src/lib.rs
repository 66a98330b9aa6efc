//! Write the steps of a Milepost plugin in Rust.
//!
//! A *step* is a type with a name, a typed input, a typed output and one function. [`export!`] turns a list of steps into
//! a component. Build it with `cargo build --release --target wasm32-wasip2` in a package with `crate-type = ["cdylib"]`
//! and name the file as the `source` of a plugin in a workflow.
//!
//! ```
//! use std::time::Duration;
//!
//! use milepost_sdk::{Context, Error, Result, Schema, Step, export, log};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Deserialize, Schema)]
//! struct CountInput {
//!     /// Text whose words are counted.
//!     text: String,
//! }
//!
//! #[derive(Serialize, Schema)]
//! struct CountOutput {
//!     words: usize,
//! }
//!
//! struct CountWords;
//!
//! impl Step for CountWords {
//!     const NAME: &'static str = "count-words";
//!     const DESCRIPTION: &'static str = "Counts the words of a text.";
//!     type Input = CountInput;
//!     type Output = CountOutput;
//!
//!     fn run(input: CountInput, ctx: &Context) -> Result<CountOutput> {
//!         if input.text.is_empty() && ctx.attempt() == 1 {
//!             let soon = Duration::from_millis(200);
//!             return Err(Error::retryable("empty", "the text is not there yet").after(soon).into());
//!         }
//!         log::info("counting");
//!         Ok(CountOutput { words: input.text.split_whitespace().count() })
//!     }
//! }
//!
//! export! {
//!     name: "words",
//!     version: env!("CARGO_PKG_VERSION"),
//!     description: "Small things about words.",
//!     steps: [CountWords],
//! }
//!
//! # fn main() {
//! // What a unit test of the plugin does, on any target and without a host:
//! let output = PLUGIN.run("count-words", r#"{"text":"one two"}"#, &Context::fake());
//! assert_eq!(output.map_err(|e| e.to_string()), Ok(r#"{"words":2}"#.to_owned()));
//! # }
//! ```
//!
//! **State.** The host runs every attempt in a fresh instance: nothing in a `static` survives. What has to survive goes
//! through the output, or through [`Pause::state`] and [`Context::resume_state`]. The [guide] has examples of that, of time and of randomness.
//!
//! **Memory.** The feature `bump-alloc` (default) installs a global allocator that never gives memory back; see
//! [`alloc`]. **Randomness and time** come from [`random`] and [`clock`], which the host records, so that a replay sees
//! the same.
//!
//! **The world.** What outlives an attempt, and what lies outside of the sandbox, the workflow has to allow by name: [`memo`]
//! (always allowed), [`kv`], [`artifacts`], [`secrets`], [`exec`], [`http`]. A call that fails is a [`HostError`], which `?` makes the step's.

// The derived code of this crate names it from outside.
extern crate self as milepost_sdk;

#[cfg(all(feature = "bump-alloc", any(test, doc, target_family = "wasm")))]
pub mod alloc;
pub mod artifacts;
pub mod clock;
pub mod exec;
pub mod guide;
pub mod http;
pub mod kv;
pub mod log;
pub mod memo;
pub mod progress;
pub mod random;
pub mod schema;
pub mod secrets;

mod context;
mod error;
mod host_error;
mod plugin;

#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod bindings;

pub use context::Context;
pub use error::{Error, Failure, Pause, ResultExt, Retryable};
pub use host_error::HostError;
pub use milepost_sdk_derive::Schema;
#[doc(hidden)]
pub use plugin::same_name;
pub use plugin::{Plugin, Step, StepEntry};
pub use schema::{Role, Schema};

/// What a step returns.
pub type Result<T, E = Error> = core::result::Result<T, E>;
