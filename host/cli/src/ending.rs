//! What is printed when a run does not move any more: its output on stdout, the rest on stderr.

use std::time::{Duration, SystemTime};

use milepost::core::shown::Shown;
use milepost::core::state::Status;
use milepost::core::stop::{Stop, StopCode};
use milepost::core::time::Timestamp;
use milepost::core::wait::Wait;
use milepost::report::{RunReport, StepReport};

use super::context::{Context, Reply, bare};
use super::documents;
use super::exit::Exit;
use super::format;
use super::narration;
use super::show::children;
use super::text::Text;
use super::words;

/// Steps beside the first one that are named; the rest is counted.
const ALSO: usize = 10;

/// The reply of `run`, `resume` and `retry`.
pub(crate) fn reply(cx: &Context, report: &RunReport) -> Reply {
    tell(cx, report);
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

/// Says how a run stands that does not move any more.
pub(crate) fn tell(cx: &Context, report: &RunReport) {
    if report.is_unsaved() {
        cx.warn("the checkpoint could not be saved");
    }
    // What a run ends with is always told: it finds room when nothing else waits.
    narration::settle();
    cx.note(summary(cx, report));
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
            lines.extend(failures(cx, report));
            lines.extend(
                report
                    .stop
                    .as_ref()
                    .into_iter()
                    .flat_map(|stop| reasons(cx, report, stop)),
            );
            lines.push(format!("  look:   {}", cx.command("show", &report.id)));
        }
        Status::Paused => {
            lines.extend(
                report
                    .stop
                    .as_ref()
                    .into_iter()
                    .flat_map(|stop| reasons(cx, report, stop)),
            );
            let mut others = others(report);
            lines.extend(others.by_ref().take(ALSO));
            let more = others.count();
            lines.extend((more > 0).then(|| {
                format!(
                    "  also:   {more} more; {} lists them",
                    cx.command("show", &report.id)
                )
            }));
            if report.stop.as_ref().map(Stop::code) == Some(StopCode::WaitingForChild) {
                lines.extend(children(cx, report, SystemTime::now().into()));
            }
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
                .flat_map(|stop| reasons(cx, report, stop)),
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

/// One line per failed step, loop members included, in the order in which they failed: what a loop says of a member that failed comes
/// after that. What failed inside of items is told by their fan-out.
fn failures(cx: &Context, report: &RunReport) -> Vec<String> {
    let failed = report.steps.iter().filter(|step| step.status == "failed");
    let mut failed: Vec<&StepReport> = failed.collect();
    failed.sort_by_key(|step| (step.ended_at.is_none(), step.ended_at));
    let told = failed.into_iter().filter_map(|step| {
        let error = step.error.as_ref()?;
        let help = words::help(error);
        let help = help.map_or_else(String::new, |help| format!("\n    help: {help}"));
        let error = indent(&format::error(error, cx.verbose));
        Some(format!("  step {}: {error}{help}", Shown(&step.path)))
    });
    told.collect()
}

/// Why it stands still (B157). That steps failed is told by the steps.
pub(crate) fn why(report: &RunReport, stop: &Stop) -> Vec<String> {
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
            "  reason: {}{provider}",
            indent(&words::stop::reason(stop))
        ));
    }
    if report.status.has_ended() {
        // What else there is to say of its end, where that was more than one thing.
        let word = match stop.code() {
            StopCode::FinallyFailed => "first:",
            _ => "also:",
        };
        lines.extend(stop.reasons.iter().map(|reason| {
            let told = words::stop::reason(reason);
            format!("  {word:<7} {}", indent(&told))
        }));
    }
    lines
}

/// The same, and what happens next.
pub(crate) fn reasons(cx: &Context, report: &RunReport, stop: &Stop) -> Vec<String> {
    let mut lines = why(report, stop);
    let next = words::next::of_stop(report, stop, |verb| cx.program(verb));
    lines.push(format!("  next:   {}", indent(&next)));
    let now = SystemTime::now().into();
    // What is ready goes on at once, unless it could not and was put off.
    let due = stop.due_at;
    if let Some(at) = due.filter(|at| stop.code() != StopCode::Ready || *at > now) {
        let due = due_elsewhere(report, at).unwrap_or_else(|| format::due(stop.code(), at));
        lines.push(format!("  due:    {due} ({})", format::ahead(now, at)));
    }
    lines
}

/// What is due then, if not the step that the stop is about.
fn due_elsewhere(report: &RunReport, at: Timestamp) -> Option<String> {
    let first = report.stop.as_ref()?.path.as_ref()?.to_string();
    let mut steps = report.steps.iter();
    // Of what is paused, the report does not say until when.
    let first = steps.find(|step| step.path == first)?.waits_for.as_ref()?;
    if first.until() == Some(at) {
        return None;
    }
    let waits = others_of(report).find_map(|step| {
        let wait = step.waits_for.as_ref()?;
        (wait.until() == Some(at)).then_some((step, wait))
    });
    let paused = || others_of(report).find(|step| step.status == "paused");
    let (step, what) = match waits {
        Some((step, Wait::Time { .. })) => (step, "continues"),
        Some((step, Wait::Signal { .. } | Wait::Approval { .. } | Wait::Child { .. })) => {
            (step, "times out")
        }
        None => (paused()?, "continues"),
    };
    let path = Shown(&step.path);
    Some(format!("`{path}` {what} at {}", format::instant(at)))
}

/// What else stands still. The stop tells the first reason of several.
fn others(report: &RunReport) -> impl Iterator<Item = String> {
    others_of(report).filter_map(|step| {
        let what = match &step.waits_for {
            Some(Wait::Time { until }) => format!("waits until {}", format::instant(*until)),
            Some(Wait::Signal { name, .. }) => format!("waits for the signal `{}`", Shown(name)),
            Some(Wait::Approval { message, .. }) => format!("asks: {}", indent(message)),
            Some(Wait::Child { run, .. }) => format!("waits for its child run {run}"),
            None => return paused(step),
        };
        Some(format!("  also:   `{}` {what}", Shown(&step.path)))
    })
}

/// The same, of those that do not wait for anything.
pub(crate) fn others_paused(report: &RunReport) -> impl Iterator<Item = String> {
    others_of(report).filter_map(paused)
}

fn others_of(report: &RunReport) -> impl Iterator<Item = &StepReport> {
    let first = report.stop.as_ref().and_then(|stop| stop.path.as_ref());
    let first = first.map(ToString::to_string);
    let steps = report.steps.iter();
    steps.filter(move |step| Some(&step.path) != first.as_ref())
}

fn paused(step: &StepReport) -> Option<String> {
    let why = match step.stop_reason {
        Some("retries_exhausted") => " after its last attempt",
        _ => "",
    };
    let path = Shown(&step.path);
    (step.status == "paused").then(|| format!("  also:   `{path}` paused{why}"))
}

/// Further lines stand under the first one.
fn indent(text: &str) -> String {
    text.trim_end().replace('\n', "\n    ")
}
