//! How an attempt can end, as typed data. Classes come from the plugin's error variant or from the host, never from text.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::shown;
use crate::time::Timestamp;

/// Which kind of ending an error is; the word that `retry.on` uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// The plugin said that another attempt may succeed.
    Retryable,
    /// The plugin said that it failed.
    Failed,
    /// The component trapped, or a limit of the sandbox ended it.
    Trap,
    /// The attempt ran out of time.
    Timeout,
    /// The host could not do its part: the component is missing, or does not fit the contract.
    Host,
    /// An expression of the step could not be evaluated, or its input was refused; the component was not called.
    Definition,
    /// A person did not want it any more.
    Cancelled,
}

/// Why an attempt or a step has no output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StepError {
    /// The kind of ending.
    pub class: ErrorClass,
    /// Stable code: the plugin's own, or one of the host's (see [`codes`]).
    pub code: String,
    /// For a person.
    pub message: String,
    /// More, chosen by the plugin.
    #[serde(
        default,
        deserialize_with = "crate::payload::present",
        skip_serializing_if = "Option::is_none"
    )]
    pub detail: Option<Value>,
    /// Whose limit was met ("acme-llm").
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Milliseconds that the plugin asked to wait before another attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_millis: Option<u64>,
}

impl StepError {
    /// An error without detail, its message bounded.
    pub fn new(class: ErrorClass, code: &str, message: impl Into<String>) -> Self {
        Self {
            class,
            code: code.to_owned(),
            message: shown::message(message),
            detail: None,
            provider: None,
            retry_after_millis: None,
        }
    }
}

impl StepError {
    /// A person cancelled an item of a fan-out.
    pub(crate) fn item_cancelled(by: &str) -> Self {
        let message = format!("cancelled by {by}");
        Self::new(ErrorClass::Cancelled, codes::ITEM_CANCELLED, message)
    }
}

/// Why a plugin stopped without failing; see `step.wit`, record `pause`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Pause {
    /// Stable code ("quota-exhausted", "needs-approval").
    pub code: String,
    /// For a person.
    pub reason: String,
    /// Whose limit was met.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// When a scheduler may resume the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Which signal resumes the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// Handed to the next attempt through `context.resume-state`.
    #[serde(
        default,
        deserialize_with = "crate::payload::present",
        skip_serializing_if = "Option::is_none"
    )]
    pub state: Option<Value>,
}

/// How one attempt ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// With an output.
    Completed(Value),
    /// With an error of any class.
    Failed(StepError),
    /// With a pause.
    Paused(Pause),
    /// Cancellation was noticed by the plugin, which cleaned up; the text is its message.
    Cancelled(String),
}

/// The host's own error codes. A plugin may use any other text.
pub mod codes {
    /// `unreachable`, division by zero, out-of-bounds access and the like.
    pub const TRAP: &str = "trap";
    /// The guest exhausted its call stack.
    pub const STACK_OVERFLOW: &str = "stack_overflow";
    /// The attempt asked for more memory than it may have, and trapped.
    pub const OUT_OF_MEMORY: &str = "out_of_memory";
    /// A table, instance, handle or host-call limit was met.
    pub const LIMIT_EXCEEDED: &str = "limit_exceeded";
    /// The attempt ran out of time.
    pub const TIMEOUT: &str = "timeout";
    /// Nothing was heard from the attempt for too long.
    pub const IDLE: &str = "idle";
    /// The step did not end within its deadline.
    pub const DEADLINE_EXCEEDED: &str = "deadline_exceeded";
    /// A step with `finally` asked to pause, which it cannot: the run is about to end.
    pub const CANNOT_PAUSE: &str = "cannot_pause";
    /// The output is not JSON, is nested too deep, or does not fit what the component declares.
    pub const INVALID_OUTPUT: &str = "invalid_output";
    /// The output is larger than a step output may be.
    pub const OUTPUT_TOO_LARGE: &str = "output_too_large";
    /// All recorded outputs together are larger than a run's state may be.
    pub const RUN_STATE_TOO_LARGE: &str = "run_state_too_large";
    /// An expression read a value that does not exist.
    pub const MISSING_VALUE: &str = "missing_value";
    /// An expression could not be evaluated for another reason.
    pub const EXPRESSION_ERROR: &str = "expression_error";
    /// A loop used up its iterations.
    pub const LOOP_EXHAUSTED: &str = "loop_exhausted";
    /// What a fan-out was to go over is no list.
    pub const NOT_A_LIST: &str = "not_a_list";
    /// A list has more items than its fan-out may have.
    pub const TOO_MANY_ITEMS: &str = "too_many_items";
    /// There are too many completed executions to undo for another one.
    pub const TOO_MANY_COMPENSATIONS: &str = "too_many_compensations";
    /// Items of a fan-out failed.
    pub const ITEMS_FAILED: &str = "items_failed";
    /// A person cancelled an item of a fan-out.
    pub const ITEM_CANCELLED: &str = "item_cancelled";
    /// A component could not be read, or its bytes changed.
    pub const PLUGIN_UNAVAILABLE: &str = "plugin_unavailable";
    /// A component does not fit the contract (core module, wrong world, unsupported import).
    pub const PLUGIN_INCOMPATIBLE: &str = "plugin_incompatible";
    /// The guest ended itself through WASI's `exit`.
    pub const EXITED: &str = "exited";
    /// The plugin noticed a cancellation although nobody had asked for one.
    pub const CANCELLED: &str = "cancelled";
    /// A signal or a decision did not come in time.
    pub const WAIT_TIMED_OUT: &str = "wait_timed_out";
    /// The child run of the step failed.
    pub const CHILD_FAILED: &str = "child_failed";
    /// The child run of the step was cancelled.
    pub const CHILD_CANCELLED: &str = "child_cancelled";
    /// A secret that the step needs has no value; the component was not called.
    pub const SECRET_MISSING: &str = "secret_missing";
    /// What a child run is given does not fit the inputs of its workflow.
    pub const INPUTS_UNFIT: &str = "inputs_unfit";
    /// What a step or a function is given does not fit what it takes; it was not called.
    pub const INVALID_INPUT: &str = "invalid_input";
    /// Bytes that the attempt was about to read are not what they were.
    pub const DAMAGED: &str = "damaged";
    /// The host itself failed while it ran the step.
    pub const HOST_ERROR: &str = "host_error";
}
