//! What is printed when a run does not move any more: its output on stdout, the rest on stderr.

use std::time::{Duration, SystemTime};

use milepost::core::ids::RunId;
use milepost::core::shown::Shown;
use milepost::core::state::Status;
use milepost::core::stop::{Stop, StopCode};
use milepost::report::RunReport;

use super::context::{Context, Reply, bare};
use super::documents;
use super::exit::Exit;
use super::format;
use super::narration;
use super::text::Text;
use super::words;

/// The reply of `run`, `resume` and `retry`.
pub(crate) fn reply(cx: &Context, report: &RunReport) -> Reply {
    if report.is_unsaved() {
        cx.warn("the checkpoint could not be saved");
    }
    // What a run ends with is always told: it finds room when nothing else waits.
    narration::settle();
    cx.note(summary(cx, report));
    let document = || documents::Run::from(report);
    cx.reply(Exit::from(report.status), document, || {
        match report.status {
            Status::Completed => bare(&report.output),
            Status::Failed
            | Status::Paused
            | Status::Cancelled
            | Status::Pending
            | Status::Running => String::new(),
        }
    })
}

/// The lines for a person: how it ended, why, and what happens next.
fn summary(cx: &Context, report: &RunReport) -> Text {
    let status = cx.err.status(report.status, report.status.as_str());
    let steps = steps(report);
    let took = format::length(Duration::from_millis(report.duration_millis));
    let head = format!(": run {} after {took}, {steps}", report.id);
    let mut lines = Vec::new();
    match report.status {
        Status::Completed => {}
        Status::Failed => {
            lines.extend(failures(report));
            lines.extend(
                report
                    .stop
                    .as_ref()
                    .into_iter()
                    .flat_map(|stop| reasons(cx, &report.id, stop)),
            );
            lines.push(format!("  look:   {}", cx.command("show", &report.id)));
        }
        Status::Paused => {
            lines.extend(
                report
                    .stop
                    .as_ref()
                    .into_iter()
                    .flat_map(|stop| reasons(cx, &report.id, stop)),
            );
            // Resumed before what it waits for has come, it would stand there again.
            if report.stop.as_ref().is_none_or(|stop| !waits(stop.code())) {
                lines.push(format!("  resume: {}", cx.command("resume", &report.id)));
            }
        }
        Status::Cancelled => lines.extend(
            report
                .stop
                .as_ref()
                .into_iter()
                .flat_map(|stop| reasons(cx, &report.id, stop)),
        ),
        Status::Pending | Status::Running => {
            lines.push(format!(
                "  another process is driving it; {} shows how far it is",
                cx.command("show", &report.id)
            ));
        }
    }
    lines.insert(0, String::new());
    status + head + lines.join("\n")
}

fn waits(code: StopCode) -> bool {
    code.is_wait() && code != StopCode::Ready
}

/// `3 of 4 steps (1 skipped)`.
fn steps(report: &RunReport) -> String {
    let counts = &report.summary;
    let settled = counts.completed + counts.skipped + counts.failed;
    let rest: Vec<String> = [(counts.skipped, "skipped"), (counts.failed, "failed")]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    let plural = if counts.total == 1 { "" } else { "s" };
    let rest = if rest.is_empty() {
        String::new()
    } else {
        format!(" ({})", rest.join(", "))
    };
    format!("{settled} of {} step{plural}{rest}", counts.total)
}

/// One line per failed step, loop members included.
fn failures(report: &RunReport) -> impl Iterator<Item = String> {
    report
        .steps
        .iter()
        .filter(|step| step.status == "failed")
        .map(|step| {
            let error = step.error.as_ref().map(format::error).unwrap_or_default();
            format!("  step {}: {}", Shown(&step.path), indent(&error))
        })
}

/// Why it stands still, and what happens next (B157). That steps failed is told by the steps.
pub(crate) fn reasons(cx: &Context, run: &RunId, stop: &Stop) -> Vec<String> {
    let mut lines = Vec::new();
    if stop.code() != StopCode::StepFailed {
        let provider = stop
            .provider
            .as_ref()
            .map(|name| format!(" [{}]", Shown(name)))
            .unwrap_or_default();
        lines.extend(
            stop.path
                .as_ref()
                .map(|path| format!("  step:   {}", Shown(path))),
        );
        lines.push(format!(
            "  reason: {}: {}{provider}",
            stop.code(),
            indent(&words::stop::message(stop))
        ));
    }
    let next = words::stop::next(run, stop, |verb| cx.program(verb));
    lines.push(format!("  next:   {}", indent(&next)));
    let now = SystemTime::now().into();
    // What is ready goes on at once, unless it could not and was put off.
    let due = stop.due_at;
    if let Some(at) = due.filter(|at| stop.code() != StopCode::Ready || *at > now) {
        let due = format::due(stop.code(), at);
        lines.push(format!("  due:    {due} ({})", format::ahead(now, at)));
    }
    lines
}

/// Further lines stand under the first one.
fn indent(text: &str) -> String {
    text.trim_end().replace('\n', "\n    ")
}
