//! The WebAssembly host: loads components, keeps their compiled code, and executes attempts of their steps.
//!
//! This crate is the only one that names wasmtime. It knows nothing of runs, stores or retries: a [`Call`] goes in as
//! data, a [`CallResult`] comes out, and every way in which a guest can end is an [`Outcome`].
//!
//! | file | idea |
//! |---|---|
//! | [`engine`], `ticker` | one [`WasmEngine`] per process: wasmtime's knobs, and the thread behind its time slices |
//! | [`loader`], [`component`], `contract` | from a file to a [`Plugin`], without executing any of it |
//! | [`cache`] | compiled code on disk |
//! | [`compile`] | machine code, made in a child process that can do nothing else |
//! | [`describe`] | asking a component for its manifest at build time, and storing the answer in it |
//! | [`script`] | files of JavaScript as components |
//! | `call`, `state`, `limits` | one attempt: a fresh store, its state, its budget |
//! | `memory_budget` | what all attempts may take together, and how they wait for it |
//! | [`log`] | what an attempt says: shown by its host, kept within a bound |
//! | `recorder`, `taped` | the tape: recording live, answering in replay |
//! | [`secrets`] | what stands for them, where they are filled in, and the mask over what is said |
//! | `function` | exported functions as steps: which ones there are, calls of them, their values as JSON |
//! | `ending`, `guest_json` | from a returned value or a trap to a classified outcome |
//! | `capability` | what a guest may ask of the host, one file per interface, which owns all of it |
//! | [`exec`], [`process_group`], [`supervisor`], [`process_table`] | programs that steps run, and the processes that come of them |
//! | [`attempt`], [`clock`], [`bounded_file`] | what the crate shares with whoever drives runs: the call, its result, and the host that an attempt asks |
//! | `descriptors` | what this process was started with, which no program inherits |
//! | [`symbolize`], `names` | from the offsets of a backtrace to places in source files, in such a child process, too |
//!
//! # Invariants
//! - Loading never executes guest code. Only [`Plugin`]'s call, [`WasmEngine::describe`] and [`WasmEngine::script`] do.
//! - A guest sees its [`Call`] and its tape and nothing else: no clock, environment, file, socket or random source of the
//!   machine reaches it, not through WASI either.
//! - Whatever is not a function of the call goes through the recorder, so that replay gives the same bytes.
//! - Debug information of a guest is never interpreted in a process that does anything else: it is blanked before compilation, and
//!   [`symbolize`] reads it in a child process with limits.
//! - Nothing a guest does ends the process, blocks a runtime thread for longer than a time slice, or outlives the attempt:
//!   each attempt has its own store, which is dropped with it.
//!
//! [`Call`]: crate::attempt::Call
//! [`CallResult`]: crate::attempt::CallResult
//! [`Outcome`]: milepost_core::outcome::Outcome

pub mod attempt;
pub mod bounded_file;
pub mod cache;
mod call;
mod capability;
pub mod clock;
pub mod compile;
pub mod component;
mod contract;
pub mod describe;
#[cfg(target_os = "linux")]
pub mod descriptors;
mod ending;
pub mod engine;
pub mod exec {
    //! Programs that steps run.

    pub use crate::capability::exec::command::{Captured, Command, Finished};
    pub use crate::capability::exec::granted::found_elsewhere;
}
mod function;
mod guest_code;
mod guest_json;
mod host_error;
mod last_words;
mod limits;
pub mod loader;
pub mod log;
mod memory_budget;
mod mocked;
mod names;
pub mod process_group;
pub mod process_table;
mod recorder;
pub mod script;
pub mod secrets;
mod spawn;
mod state;
#[cfg(target_os = "linux")]
pub mod strays;
pub mod supervisor;
pub mod symbolize;
mod taped;
mod ticker;

pub use cache::CodeCache;
pub use capability::http::{HttpClient, HttpSettings, Resolve, WebRequest, WebResponse, WebRules};
pub use compile::{ChildProgram, Compiler};
pub use component::{Inspection, Rejection, embed_manifest};
pub use describe::DescribeError;
pub use engine::{EngineError, SlowCompilation, WasmEngine};
pub use host_error::HostError;
pub use loader::{LoadError, Plugin, read_component};
pub use memory_budget::{BudgetTooSmall, MemoryBudget, Room};
pub use mocked::{Question, Reply, World};
pub use script::ScriptError;
