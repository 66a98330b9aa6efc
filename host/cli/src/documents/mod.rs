//! The documents that `--json` prints: every verb has one, each is a type of this folder, and the JSON Schema of all of them is
//! published (`milepost schema --documents`).
//!
//! They stand in the program, because they are for its readers: a document carries the sentences that name commands, and the
//! library knows none. What of a run is shown as it is recorded (events, errors, waits) keeps its types in the core, which describe
//! themselves with its feature `schema`. A server answers with the same documents: it needs nothing of the command line for that.
//!
//! # Rules
//! - One name for one thing: a document about one run begins with its `id`, and what refers to a run says `run`; `path` is where a
//!   step execution stands; what a person can do is `help`, how bad something is `severity`.
//! - A member that is always there is never left out: it is null. One that only some have is absent elsewhere.
//! - The schema allows no other members, and changes only on purpose: `host/cli/documents.schema.json` is compared with it.

mod answer;
mod bundle;
mod called;
mod component;
mod definition;
mod dry_run;
mod failure;
mod history;
mod journal;
mod kept;
mod lock;
mod plugin;
mod replay;
mod run;
mod schema;
mod store;
mod tested;

pub(crate) use answer::{Answer, Decided, FailedRun, Signalled, Stopped};
pub(crate) use bundle::{Exported, Imported};
pub(crate) use called::{Called, CalledHost};
pub(crate) use component::{Backtrace, Backtraces, Component, Frame, Function};
pub(crate) use definition::{
    Checked, Completions, Drawing, Explanation, Needed, NewWorkflow, Refused, Secrets, Validated,
};
pub(crate) use dry_run::Simulated;
pub(crate) use failure::{Diagnostic, Failed, Problem, located};
pub(crate) use history::{Compared, Evaluated};
pub(crate) use journal::{EventEntry, LogEntry};
pub(crate) use kept::{
    Artifacts, Bucket, Buckets, Changed, Counted, Item, KeptArtifact, Metrics, Range,
    WrittenArtifact,
};
pub(crate) use lock::{DroppedPlugin, LockChange, LockFile, LockedPlugin, LockedPlugins};
pub(crate) use plugin::{BuiltPlugin, ListChange, NewPlugin, PluginChange};
pub(crate) use replay::{NotReplayable, Replay, ReplayedAll};
pub(crate) use run::{AsOf, Grade, HostCall, Kept, Request, Row, Run, Runs, Skipped};
pub(crate) use schema::{manifest_schema, schema};
pub(crate) use store::{Collected, Doctor, Finding, KeptRun, Worked};
pub(crate) use tested::{Test, Tested, Unmet};
