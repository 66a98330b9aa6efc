//! What `show` says of a run's dealings with the world: the last calls of attempts that failed, and artifacts.

use milepost::core::shown::{self, Shown};
use milepost::core::tape::{HostCall, TapeEntry};
use milepost::record;
use milepost::report::{RunReport, StepReport};
use milepost::store::{Store, UsedArtifact};
use serde_json::Value;

use super::documents::{self, Grade};
use super::drive::wait;
use super::failure::Failure;
use super::format;
use super::text::Text;

/// Calls of a failed attempt that are told.
const TOLD: usize = 5;
/// Artifacts that are told; `artifacts` lists all.
const ARTIFACTS: usize = 10;

/// The last host calls of attempts that failed, by their path, whether or not others may follow; of a fan-out, those of the items that are
/// listed. A tape that cannot be read is a matter for `doctor`.
pub(super) fn last_calls(store: &dyn Store, report: &RunReport) -> Vec<(String, Vec<HostCall>)> {
    let executed = report.steps.iter().flat_map(|step| match &step.items {
        Some(items) => items.failures.as_slice(),
        None => std::slice::from_ref(step),
    });
    let failed = executed
        .filter(|step| step.error.is_some() || step.stop_reason == Some("retries_exhausted"));
    failed
        .filter_map(|step| {
            let kept = &step.tape.as_ref()?.kept;
            let read = record::tape(store, &report.id, kept.started);
            let entries = wait::<_, Failure>(async {
                read.await
                    .map_err(milepost::engine::EngineError::from)
                    .map_err(Failure::from)
            })
            .ok()?;
            let calls = entries.into_iter().filter_map(|entry| match entry {
                TapeEntry::Host(call) => Some(call),
                _ => None,
            });
            let mut calls: Vec<HostCall> = calls.collect();
            calls.drain(..calls.len().saturating_sub(TOLD));
            (!calls.is_empty()).then(|| (step.path.clone(), calls))
        })
        .collect()
}

pub(super) fn document(call: &HostCall) -> documents::HostCall {
    documents::HostCall {
        call: format!("{}.{}", call.interface, call.function),
        about: call.about.clone(),
        took_millis: call.took_millis,
        error: call.answer["error"]["code"].as_str().map(str::to_owned),
        status: call.answer["ok"]["status"].as_u64(),
        ended: ended(call),
    }
}

/// How a program ended, where it did not with 0.
fn ended(call: &HostCall) -> Option<String> {
    let program = call.answer["ok"].as_object()?;
    let number = |key: &str| program.get(key).and_then(Value::as_i64);
    if call.interface != "exec" {
        None
    } else if program.get("timed_out") == Some(&Value::Bool(true)) {
        Some("timed out".to_owned())
    } else if let Some(signal) = number("signal") {
        Some(format!("signal {signal}"))
    } else {
        let code = number("exit_code").filter(|code| *code != 0)?;
        Some(format!("exit code {code}"))
    }
}

/// What is on the tape of a step's last attempt.
pub(super) fn tape(step: &StepReport) -> String {
    let entries = step.tape.as_ref().map_or(0, |tape| tape.kept.entries);
    match Grade::of(step) {
        None => String::new(),
        Some(Grade::Pure) => "pure".to_owned(),
        Some(Grade::Journaled) => entries.to_string(),
        Some(Grade::NotReplayable) => format!("{entries}, no replay"),
    }
}

/// A call and its answer, in a few words.
pub(super) fn said(call: &documents::HostCall) -> String {
    let what = match (call.status, &call.error, &call.ended) {
        (Some(status), ..) => status.to_string(),
        (None, Some(code), _) => format!("error `{}`", Shown(code)),
        (None, None, Some(ended)) => ended.clone(),
        (None, None, None) => "ok".to_owned(),
    };
    format!(
        "{} {}: {what}, {} ms",
        call.call, call.about, call.took_millis
    )
}

/// The last calls of the attempt at `path`.
pub(super) fn calls(path: &str, calls: &[HostCall]) -> Text {
    let lines = calls
        .iter()
        .map(|call| Text::from(format!("  {}", said(&document(call)))).one_line());
    lines.fold(
        Text::from(format!("{}: last calls of the host:", Shown(path))),
        |text, line| text + "\n" + line,
    )
}

/// The file that an input of the run is, in a few words.
pub(super) fn input_file(used: &[UsedArtifact], input: &str) -> Option<String> {
    let is_input = |path: &str| path.strip_prefix("inputs.") == Some(input);
    let artifact = &used.iter().find(|used| is_input(&used.path))?.artifact;
    Some(format!(
        "{} ({}, {})",
        Shown(&artifact.name),
        Shown(&artifact.media_type),
        shown::bytes(artifact.size)
    ))
}

/// The artifacts of a run, in a few lines.
pub(super) fn artifacts(used: &[UsedArtifact]) -> Text {
    let lines = used.iter().take(ARTIFACTS).map(|used| {
        let artifact = &used.artifact;
        Text::from(format!(
            "  {} ({}, {}) of {}",
            artifact.name,
            artifact.media_type,
            shown::bytes(artifact.size),
            used.path
        ))
        .one_line()
    });
    let head = Text::from(format::count(used.len(), "artifact"));
    let text = lines.fold(head, |text, line| text + "\n" + line);
    match used.len().saturating_sub(ARTIFACTS) {
        0 => text,
        more => text + format!("\n  and {more} more"),
    }
}
