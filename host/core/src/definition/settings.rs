//! `[defaults]`, `[limits]` and retry policies.

use std::time::Duration;

use super::codes;
use super::view::View;
use crate::diagnostic::Diagnostic;
use crate::limits::{self, CallLimits};
use crate::outcome::ErrorClass;
use crate::retry::{RetryPolicy, WhenExhausted};

/// What steps take when they say nothing themselves.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) timeout: Option<Duration>,
    pub(super) retry: RetryPolicy,
    pub(super) call_limits: CallLimits,
    /// `limits.disk`.
    pub(super) disk_bytes: usize,
    /// `limits.loop`.
    pub(super) loop_limit: u32,
    /// `limits.parallel`.
    pub(super) parallel: usize,
    /// `limits.finally`.
    pub(super) finally_time: Duration,
}

impl Settings {
    pub(super) fn read(workflow: &View<'_>, out: &mut Vec<Diagnostic>) -> Self {
        let defaults = workflow.record("defaults");
        let limits = workflow.record("limits");
        let engine = CallLimits::default();
        let size = |key, engine| {
            limits
                .as_ref()
                .and_then(|view| view.size(key))
                .unwrap_or(engine)
        };
        let call_limits = CallLimits {
            memory_bytes: size("memory", engine.memory_bytes),
            table_elements: limits
                .as_ref()
                .and_then(|view| view.integer("table_elements"))
                .unwrap_or(engine.table_elements),
            host_calls: limits
                .as_ref()
                .and_then(|view| view.integer("host_calls"))
                .unwrap_or(engine.host_calls),
            output_bytes: size("step_output", engine.output_bytes),
            tape_bytes: size("tape", engine.tape_bytes),
            log_bytes: size("log", engine.log_bytes),
        };
        let table = defaults.as_ref().and_then(|view| view.record("retry"));
        Self {
            timeout: defaults.as_ref().and_then(|view| view.duration("timeout")),
            retry: retry(table.as_ref(), &RetryPolicy::default(), out),
            call_limits,
            disk_bytes: size("disk", limits::DISK_DEFAULT_BYTES),
            parallel: limits
                .as_ref()
                .and_then(|view| view.integer("parallel"))
                .unwrap_or(limits::PARALLEL_DEFAULT),
            finally_time: limits
                .as_ref()
                .and_then(|view| view.duration("finally"))
                .unwrap_or(limits::FINALLY_TIME),
            loop_limit: limits
                .as_ref()
                .and_then(|view| view.integer("loop"))
                .unwrap_or(limits::LOOP_ITERATIONS),
        }
    }
}

/// The policy of a `retry` table: its own keys win over `base` one by one.
pub(super) fn retry(
    table: Option<&View<'_>>,
    base: &RetryPolicy,
    out: &mut Vec<Diagnostic>,
) -> RetryPolicy {
    let Some(view) = table else {
        return base.clone();
    };
    let policy = RetryPolicy {
        max_attempts: view.integer("max_attempts").unwrap_or(base.max_attempts),
        initial: view.duration("initial").unwrap_or(base.initial),
        factor: view.number("factor").unwrap_or(base.factor),
        max: view.duration("max").unwrap_or(base.max),
        jitter: view.number("jitter").unwrap_or(base.jitter),
        on: match view.texts("on") {
            Some(words) => words.into_iter().filter_map(class).collect(),
            None => base.on.clone(),
        },
        codes: match view.texts("codes") {
            Some(codes) => codes.into_iter().map(str::to_owned).collect(),
            None => base.codes.clone(),
        },
        then: view.text("then").and_then(then).unwrap_or(base.then),
    };
    // A cap below the first wait would silently shorten it.
    if policy.initial > policy.max
        && let Some(node) = view.node("initial").or_else(|| view.node("max"))
    {
        let (initial, max) = (
            crate::time::format_duration(policy.initial),
            crate::time::format_duration(policy.max),
        );
        let message = format!("the first wait ({initial}) is longer than the maximum wait ({max})");
        out.push(
            Diagnostic::error(codes::OUT_OF_RANGE, node.span(), message).with_help(format!(
                "set `max` to at least {initial}; if not set, it is {max}"
            )),
        );
    }
    policy
}

fn class(word: &str) -> Option<ErrorClass> {
    Some(match word {
        "retryable" => ErrorClass::Retryable,
        "timeout" => ErrorClass::Timeout,
        "trap" => ErrorClass::Trap,
        "failed" => ErrorClass::Failed,
        _ => return None,
    })
}

fn then(word: &str) -> Option<WhenExhausted> {
    Some(match word {
        "pause" => WhenExhausted::Pause,
        "fail" => WhenExhausted::Fail,
        _ => return None,
    })
}
