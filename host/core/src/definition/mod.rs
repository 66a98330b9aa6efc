//! The definition language: from TOML text to a [`Definition`] that cannot be wrong.
//!
//! [`Definition::parse`] reports every problem of a file at once. The way through: the TOML tree is checked against the
//! tables in `grammar` (keys, types, ranges), the steps are put in their tree (`outline`), `use` is resolved (`calls`),
//! and the expressions are compiled against what exists at their place (`scope`). The editor schema ([`json_schema`])
//! is made from the same tables.

mod allow;
mod approvals;
mod arguments;
mod bits;
mod calls;
mod children;
mod codes;
mod contract;
mod declarations;
mod expressions;
mod first_iteration;
mod fit;
mod foreign;
mod forms;
mod grammar;
pub mod input;
mod input_type;
mod insert;
mod kept;
mod load;
mod manifest;
mod model;
mod names;
mod nearest;
mod needs;
mod nesting;
mod outline;
mod retries;
mod schema;
mod scope;
mod settings;
mod shape;
mod signals;
mod size;
mod skips;
mod steps;
mod string_map;
mod toml_values;
mod view;
mod waits;
mod wanted;

pub use children::{Children, UnusableChild};
pub use codes::{ALL as CODES, Code, explain};
pub(crate) use expressions::code_of;
pub use load::{Around, Parsed};
pub use manifest::{InvalidManifest, Manifest, Manifests, Offer, StepManifest};
pub use model::{
    ApprovalStep, Callee, Child, ChildStep, Compensation, ComponentStep, Definition, EndStatus,
    EndStep, Flow, ForEachStep, InputSpec, InputType, ItemsJoin, Join, LoopStep, OnApprovalTimeout,
    OnExhausted, OnFailure, OnReject, OnWaitTimeout, Over, PluginSpec, Rework, Source, Step,
    StepKind, TimeoutSource, WaitStep,
};
pub use names::check_secret;
pub use nearest::nearest;
pub use schema::json_schema;
pub use signals::UnknownSignal;
pub use size::{InvalidSize, format_size, parse_size};
pub use wanted::{Imports, WASI_HTTP};
