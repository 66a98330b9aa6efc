//! How the end of a guest's call becomes an outcome: the one classifier for what a guest returns and for what stops it.
//!
//! An output that breaks the contract (no JSON, too deep, too large) is of class [`ErrorClass::Trap`], like a trap: the
//! component misbehaved, and said nothing about whether another attempt may succeed.

use std::fmt::Write as _;

use milepost_core::limits::{self, CallLimits, MESSAGE_BYTES, NAME_BYTES};
use milepost_core::outcome::{ErrorClass, Outcome, Pause, StepError, codes};
use milepost_core::time::{Timestamp, format_duration};
use serde_json::Value;
use wasmtime::component::ResourceTableError;
use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use super::contract::v0_1::exports::milepost::step::guest;
use super::contract::v0_1::milepost::step::types;
use super::guest_json::{self, UnusableJson};
use super::limits::{Allocations, Refusal};
use super::names;

/// The outcome of a call that returned. `max_bytes` bounds every JSON text in it.
pub(super) fn returned(result: Result<String, guest::StepError>, max_bytes: usize) -> Outcome {
    let outcome = match result {
        Ok(text) => parse(text, max_bytes).map(Outcome::Completed),
        Err(types::StepError::Retryable(retry)) => {
            failure(ErrorClass::Retryable, retry.cause, max_bytes).map(|error| {
                Outcome::Failed(StepError {
                    provider: retry.provider.map(|name| cut(name, NAME_BYTES)),
                    retry_after_millis: retry.after,
                    ..error
                })
            })
        }
        Err(types::StepError::Failed(cause)) => {
            failure(ErrorClass::Failed, cause, max_bytes).map(Outcome::Failed)
        }
        Err(types::StepError::Paused(pause)) => paused(pause, max_bytes).map(Outcome::Paused),
        Err(types::StepError::Cancelled(message)) => {
            Ok(Outcome::Cancelled(cut(message, MESSAGE_BYTES)))
        }
    };
    outcome.unwrap_or_else(|unusable| Outcome::Failed(contract_broken(&unusable)))
}

/// The error of a call that something stopped: a trap, a limit, or the host.
pub(super) fn stopped(
    error: &wasmtime::Error,
    allocations: &Allocations,
    allowed: &CallLimits,
) -> StepError {
    let (class, code) = cause(error, allocations);
    let cause = error.root_cause().to_string();
    let mut message = match is_too_much(&cause) {
        true => too_much(code, allowed),
        false => cut(cause, MESSAGE_BYTES),
    };
    if let Some(trace) = error.downcast_ref::<WasmBacktrace>() {
        message.push_str(&backtrace(trace));
    }
    StepError::new(class, code, cut(message, MESSAGE_BYTES))
}

/// What the guest said of its trap stands before what the host knows: `unreachable` is how most of them end.
pub(super) fn last_words(error: StepError, said: Option<&str>) -> StepError {
    match said {
        Some(said) if error.class == ErrorClass::Trap => StepError {
            message: cut(format!("{said}\n{}", error.message), MESSAGE_BYTES),
            ..error
        },
        _ => error,
    }
}

/// The guest's calls, the innermost first: function, where in it, and where in the component's file. (Places in source files are
/// debug information, which is not read here: `symbolize` does.)
fn backtrace(trace: &WasmBacktrace) -> String {
    let frames = trace.frames().iter().take(limits::BACKTRACE_FRAMES);
    let mut text = String::new();
    for (number, frame) in frames.enumerate() {
        let module = brief(frame.module().name().unwrap_or("?"));
        let index = frame.func_index();
        let name = frame.func_name().map_or_else(
            || format!("function {index}"),
            |name| brief(&names::readable(name)).to_owned(),
        );
        let offset = frame.func_offset().unwrap_or_default();
        let at = frame.module_offset().unwrap_or_default();
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "\n{number:>4}: {module}!{name} ({index}+{offset:#x} at {at:#x})"
        );
    }
    text
}

fn brief(name: &str) -> &str {
    &name[..name.floor_char_boundary(NAME_BYTES)]
}

/// The error of an attempt that ran out of time.
pub(super) fn timed_out(after: std::time::Duration) -> StepError {
    let message = format!("the attempt took longer than {}", format_duration(after));
    StepError::new(ErrorClass::Timeout, codes::TIMEOUT, message)
}

/// The error of an attempt that nothing was heard of.
pub(super) fn silent(allowed: std::time::Duration) -> StepError {
    let message = format!(
        "nothing was heard from the attempt for {}",
        format_duration(allowed)
    );
    StepError::new(ErrorClass::Timeout, codes::IDLE, message)
}

/// The error of an attempt during which the host itself failed.
pub(super) fn host_failed(message: &str) -> StepError {
    StepError::new(ErrorClass::Host, codes::HOST_ERROR, message)
}

fn cause(error: &wasmtime::Error, allocations: &Allocations) -> (ErrorClass, &'static str) {
    let code = if let Some(refusal) = error.downcast_ref() {
        match refusal {
            Refusal::HostCalls { .. }
            | Refusal::Sleep { .. }
            | Refusal::Random { .. }
            | Refusal::HttpHeld => codes::LIMIT_EXCEEDED,
            Refusal::Artifact { .. } => return (ErrorClass::Host, codes::DAMAGED),
            // Nobody did anything wrong but the tape; the divergence tells.
            Refusal::Diverged => return (ErrorClass::Host, codes::HOST_ERROR),
        }
    } else if error.is::<PoolConcurrencyLimitError>() || is_of_the_system(error) {
        return (ErrorClass::Host, codes::HOST_ERROR);
    } else if matches!(error.downcast_ref(), Some(ResourceTableError::Full)) {
        codes::LIMIT_EXCEEDED
    } else if error.is::<I32Exit>() {
        codes::EXITED
    } else if matches!(error.downcast_ref(), Some(Trap::StackOverflow)) {
        codes::STACK_OVERFLOW
    } else if allocations.memory_refused() {
        codes::OUT_OF_MEMORY
    } else if allocations.table_refused() {
        codes::LIMIT_EXCEEDED
    } else {
        untyped(error)
    };
    (ErrorClass::Trap, code)
}

/// Whether the operating system refused what the host asked of it, such as memory: a guest that asks for too much is told so instead.
fn is_of_the_system(error: &wasmtime::Error) -> bool {
    let cause = error.root_cause();
    cause.is::<std::io::Error>() || cause.is::<rustix::io::Errno>()
}

/// wasmtime has no types for these, only texts. A text that changes turns one code into another, which the hostile tests
/// notice.
fn untyped(error: &wasmtime::Error) -> &'static str {
    let text = error.root_cause().to_string();
    if is_too_much(&text) {
        // With no guest on the stack it is the guest's result that is too large.
        let in_guest = error
            .downcast_ref::<WasmBacktrace>()
            .is_some_and(|trace| !trace.frames().is_empty());
        return if in_guest {
            codes::LIMIT_EXCEEDED
        } else {
            codes::OUTPUT_TOO_LARGE
        };
    }
    if text.contains("store handle limit exceeded") || text.starts_with("resource limit exceeded") {
        return codes::LIMIT_EXCEEDED;
    }
    codes::TRAP
}

/// Whether that says that the guest handed over more than it may in one go. wasmtime stops it before the host function is called, which
/// would have had an answer.
fn is_too_much(cause: &str) -> bool {
    cause.contains("fuel allocated for hostcalls")
}

fn too_much(code: &str, allowed: &CallLimits) -> String {
    if code == codes::OUTPUT_TOO_LARGE {
        let limit = allowed.output_bytes;
        return format!("the output of the step cannot be used: it has more than {limit} bytes");
    }
    let limit = allowed.passed_bytes();
    format!(
        "the component passed more than {limit} bytes to one host call; larger data can be written to an artifact, in several calls"
    )
}

fn contract_broken(unusable: &UnusableJson) -> StepError {
    let code = match unusable {
        UnusableJson::TooLarge { .. } => codes::OUTPUT_TOO_LARGE,
        UnusableJson::Content(content) if content.is_too_large() => codes::OUTPUT_TOO_LARGE,
        UnusableJson::TooDeep { .. } | UnusableJson::Content(_) => codes::INVALID_OUTPUT,
    };
    let message = format!("the output of the step cannot be used: {unusable}");
    StepError::new(ErrorClass::Trap, code, message)
}

fn parse(text: String, max_bytes: usize) -> Result<Value, UnusableJson> {
    guest_json::parse(&text, max_bytes, limits::JSON_DEPTH)
}

fn failure(
    class: ErrorClass,
    cause: types::Failure,
    max_bytes: usize,
) -> Result<StepError, UnusableJson> {
    let code = cut(cause.code, NAME_BYTES);
    Ok(StepError {
        detail: cause
            .detail
            .map(|text| parse(text, max_bytes))
            .transpose()?,
        ..StepError::new(class, &code, cut(cause.message, MESSAGE_BYTES))
    })
}

fn paused(pause: types::Pause, max_bytes: usize) -> Result<Pause, UnusableJson> {
    Ok(Pause {
        code: cut(pause.code, NAME_BYTES),
        reason: cut(pause.reason, MESSAGE_BYTES),
        provider: pause.provider.map(|name| cut(name, NAME_BYTES)),
        until: pause.until.map(Timestamp::from_nanos),
        signal: pause.signal.map(|name| cut(name, NAME_BYTES)),
        state: pause.state.map(|text| parse(text, max_bytes)).transpose()?,
    })
}

fn cut(mut text: String, bytes: usize) -> String {
    text.truncate(text.floor_char_boundary(bytes));
    text
}
