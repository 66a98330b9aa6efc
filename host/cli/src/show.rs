//! `milepost show`: one run as it stands.

use std::time::{Duration, SystemTime};

use clap::Args;
use milepost::core::definition::{Definition, Join};
use milepost::core::event::Skip;
use milepost::core::limits;
use milepost::core::request::signal::is_reserved;
use milepost::core::shown::Shown;
use milepost::core::state::Status;
use milepost::core::stop::{Stop, StopCode};
use milepost::core::time::{Timestamp, format_duration};
use milepost::core::wait::Wait;
use milepost::engine::Spent;
use milepost::history::{self, HistoryError, Past};
use milepost::report::{OwnerReport, OwnerState, RunReport, StepReport};
use milepost::store::{StopRequest, Store, StoredSignal, UsedArtifact};
use serde_json::Value;

use super::context::{Context, Reply, bare};
use super::documents::{AsOf, Kept, KeptArtifact, Request, Run, Skipped};
use super::drive::{recorded_definition, wait};
use super::ending::{others_paused, reasons, why};
use super::exit::Exit;
use super::failure::Failure;
use super::moment::{self, MomentArgs};
use super::table::{Cell, Table};
use super::text::Text;
use super::words::event::Unmet;
use super::{artifacts, follow, format, ids, meant, shell, words, world};

/// Show one run: its status, steps and output
///
/// Shows a run: its status, why it stopped and what happens next, its steps and its output.
///
/// With `--at` or `--at-step`: as it was, from its journal, with its children as they were then. What the store keeps beside the
/// journal (signals, requests, artifacts, the owner) is of today, and left out.
///
/// With `--follow`: everything that it did and does, with the logs of attempts in flight, until it completes, fails, pauses or is
/// cancelled, with the exit codes of `run`. `--json` prints a line for each entry, and the run on the last one.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost show 7k3m
  milepost show 7k3m --follow              # until it stands still
  milepost show 7k3m --at 12
  milepost show 7k3m --at-step fix#2/test
  milepost show 7k3m --json | jq '.steps[] | select(.status == \"failed\")'")]
pub(crate) struct ShowArgs {
    /// Id of the run, or a unique prefix
    run: String,
    /// Show what happens as `run` does, wherever the run is driven, until it does not move any more
    #[arg(long, short, conflicts_with_all = ["at", "at_step"])]
    follow: bool,
    #[command(flatten)]
    moment: MomentArgs,
}

/// Cells of a path in the table of steps.
const PATH: usize = 80;

/// Kept signals that are listed; the rest is counted.
const KEPT: usize = 10;

/// A run, with what the store keeps for it beside its record.
struct Detailed {
    report: RunReport,
    /// Up to where its history counts, where that is not all of it.
    past: Option<Past>,
    /// How long it has worked and waited. Up to an earlier point, the two are not known apart.
    spent: Option<Spent>,
    /// What somebody asked of it, until that is met.
    request: Option<StopRequest>,
    /// The first signals that it does not wait for yet.
    inbox: Vec<StoredSignal>,
    /// How many such signals there are.
    inbox_count: u64,
    /// Bytes that it takes in the store.
    stored_bytes: Option<u64>,
    /// Names of the signals that it waits for.
    awaits: Vec<String>,
    /// Why steps were skipped.
    skipped: Vec<SkippedStep>,
    /// The last host calls of attempts that failed, by their path.
    calls: Vec<(String, Vec<milepost::core::tape::HostCall>)>,
    /// What it uses that is too large for its record.
    artifacts: Vec<UsedArtifact>,
}

/// Why a step was skipped.
struct SkippedStep {
    /// Its place among the steps.
    at: usize,
    skip: Skip,
    join: Join,
    /// The same in words.
    told: String,
}

impl Detailed {
    fn document(&self) -> Run {
        let skips = self.skipped.iter();
        let skips = skips.map(|step| (step.at, Skipped::new(&step.skip, step.join)));
        let calls = self.calls.iter();
        let calls = calls.map(|(path, calls)| {
            let calls = calls.iter().map(world::document);
            (path.clone(), calls.collect())
        });
        let mut run = Run::from(&self.report).with_skips(skips).with_calls(calls);
        run.artifacts = self.artifacts.iter().map(KeptArtifact::new).collect();
        run.request = self.request.as_ref().map(Request::from);
        let inbox = self.inbox.iter();
        run.inbox = inbox
            .map(|stored| Kept {
                name: stored.name.clone(),
                sent_at: stored.at,
            })
            .collect();
        run.inbox_count = self.inbox_count;
        run.stored_bytes = self.stored_bytes;
        run.as_of = self.past.as_ref().map(AsOf::from);
        run
    }
}

pub(super) fn run(args: &ShowArgs, cx: &Context) -> Result<Reply, Failure> {
    let engine = cx.engine_to_read()?;
    let store = engine.store();
    let run = ids::resolve(store.as_ref(), &args.run)?;
    if args.follow {
        return follow::follow(cx, &engine, &run);
    }
    if let Some(moment) = args.moment.read()? {
        let past = wait::<_, HistoryError>(history::at(store.as_ref(), &run, &moment));
        let past = past.map_err(|failure| match args.moment.step() {
            Some(step) => meant::at(failure, store.as_ref(), &run, step),
            None => failure,
        })?;
        return as_it_was(cx, store.as_ref(), past);
    }
    let row = wait(store.row(&run))?;
    let report = wait(engine.report(&run))?;
    let definition = || recorded_definition(store.as_ref(), &run);
    let now = SystemTime::now().into();
    let spent = row
        .as_ref()
        .map(|row| wait(engine.spent(row, now)))
        .transpose()?;
    let shown = Detailed {
        past: None,
        spent,
        skipped: skipped(definition, &report),
        calls: world::last_calls(store.as_ref(), &report),
        artifacts: artifacts::used(store.as_ref(), &run)?,
        report,
        request: row.as_ref().and_then(|row| row.request.clone()),
        inbox: wait(store.inbox(&run, KEPT))?,
        inbox_count: wait(store.inbox_size(&run))?.signals,
        stored_bytes: Some(row.as_ref().map_or(0, |row| row.stored_bytes)),
        awaits: row.map(|row| row.awaits).unwrap_or_default(),
    };
    Ok(cx.reply(
        Exit::Completed,
        || shown.document(),
        || text(cx, &shown, now),
    ))
}

/// The same of an earlier point of its history.
fn as_it_was(cx: &Context, store: &dyn Store, past: Past) -> Result<Reply, Failure> {
    let (report, definition) = wait::<_, HistoryError>(history::report(store, &past))?;
    let then = past.at;
    let shown = Detailed {
        skipped: skipped(|| definition, &report),
        calls: world::last_calls(store, &report),
        artifacts: Vec::new(),
        report,
        past: Some(past),
        spent: None,
        request: None,
        inbox: Vec::new(),
        inbox_count: 0,
        stored_bytes: None,
        awaits: Vec::new(),
    };
    Ok(cx.reply(
        Exit::Completed,
        || shown.document(),
        || text(cx, &shown, then),
    ))
}

fn text(cx: &Context, shown: &Detailed, now: Timestamp) -> Text {
    let report = &shown.report;
    let status = cx.out.status(report.status, report.status.as_str());
    let workflow = Shown(&report.workflow);
    let head = Text::from("run ") + cx.out.bold(report.id.as_str());
    let as_of = shown.past.iter();
    let mut lines: Vec<String> = as_of
        .map(|past| format!("  as of:  {}", moment::told(past)))
        .collect();
    lines.extend([
        format!("  file:   {}", Shown(&report.file)),
        format!(
            "  begun:  {}{}",
            format::instant(report.created_at),
            times(shown.spent)
        ),
        format!(
            "  saved:  {}, {}",
            format::instant(report.updated_at),
            format::ago(now, report.updated_at)
        ),
    ]);
    if let Some(problem) = &report.definition_problem {
        let problem = problem.replace('\n', "\n    ");
        lines.push(format!("  cannot be read: its definition: {problem}"));
    }
    lines.extend(ledger(cx, shown, now));
    lines.extend(open(report).filter_map(|step| {
        let at = step.retry_at?;
        let (attempt, path) = (step.attempts + 1, &step.path);
        let (when, ahead) = (format::instant(at), format::ahead(now, at));
        Some(format!(
            "  retry:  attempt {attempt} of {path} at {when} ({ahead})"
        ))
    }));
    lines.extend(waits(cx, shown, now));
    lines.extend(family(cx, report, now));
    if let Value::Object(inputs) = &*report.inputs.value()
        && !inputs.is_empty()
    {
        lines.push(String::new());
        lines.extend(inputs.iter().map(|(name, value)| {
            let file = world::input_file(&shown.artifacts, name);
            let value = file.unwrap_or_else(|| format::excerpt(value));
            format!("  {name} = {value}")
        }));
    }
    let mut text = head + format!(" of {workflow}: ") + status;
    text = text + "\n" + lines.join("\n") + "\n\n" + steps(cx, report) + "\n";
    let failed = executed(report).filter_map(|step| Some((step, step.error.as_ref()?)));
    let mut failed: Vec<_> = failed.collect();
    // Causes before what follows from them.
    failed.sort_by_key(|(step, _)| (step.ended_at.is_none(), step.ended_at));
    for (step, error) in failed {
        text = text
            + format!(
                "\n{}: {}",
                Shown(&step.path),
                format::error(error, cx.verbose)
            );
        if let Some(help) = words::help(error) {
            text = text + format!("\n  help: {help}");
        }
    }
    for items in report.steps.iter().filter_map(|step| step.items.as_ref()) {
        for item in &items.failures {
            let error = item.error.as_ref();
            let error = error.map(|error| format::error(error, cx.verbose));
            let error = error.unwrap_or_default();
            text = text + format!("\n{}: {error}", Shown(&item.path));
        }
        let more = (items.failed as usize).saturating_sub(items.failures.len());
        if more > 0 {
            text = text + format!("\n  and {more} more failed");
        }
    }
    for step in &shown.skipped {
        let path = Shown(&report.steps[step.at].path);
        text = text + format!("\n{path}: skipped, {}", step.told);
    }
    for (path, calls) in &shown.calls {
        text = text + "\n" + world::calls(path, calls);
    }
    for step in &report.steps {
        if let Some(reason) = step
            .tape
            .as_ref()
            .and_then(|tape| tape.not_replayable.as_ref())
        {
            let path = Shown(&step.path);
            text = text + format!("\n{path}: cannot be replayed: {}", Shown(reason));
        }
        if let Some(dropped) = step.log_dropped {
            let path = Shown(&step.path);
            text = text + format!("\n{path}: {dropped} dropped from its log");
        }
    }
    if !shown.artifacts.is_empty() {
        text = text + "\n" + world::artifacts(&shown.artifacts);
    }
    if report.status == Status::Completed {
        text = text + "\n" + cx.out.bold("output") + "\n" + bare(&report.output);
    }
    text
}

/// How long it has worked and waited, as `ls` counts it.
fn times(spent: Option<Spent>) -> String {
    let spent = spent.unwrap_or_default();
    // Every run waits for its first claim, a moment that tells nothing.
    let waited = spent.waiting.filter(|waited| waited.as_secs() > 0);
    let times = [("took", spent.working), ("waited", waited)];
    let told = times
        .into_iter()
        .filter_map(|(word, length)| Some(format!(", {word} {}", format::length(length?))));
    told.collect()
}

/// Who has it, what was asked of it, how often it was picked up, why it stands still and what happens next.
fn ledger(cx: &Context, shown: &Detailed, now: Timestamp) -> Vec<String> {
    let report = &shown.report;
    let mut lines = Vec::new();
    lines.extend(report.owner.as_ref().map(owner));
    lines.extend(shown.request.as_ref().map(|request| {
        format!(
            "  asked:  {} by {}, {}",
            request.kind,
            Shown(&request.by),
            format::ago(now, request.at)
        )
    }));
    // How often it was lost is what such a stop says, the last time included.
    let told = report.stop.as_ref().map(Stop::code) == Some(StopCode::ProcessLost);
    if report.recoveries > 0 && !told {
        lines.push(format!(
            "  lost:   its process, {} without progress in between",
            format::times(report.recoveries)
        ));
    }
    if report.automatic_resumes > 0 {
        lines.push(format!(
            "  again:  {} of {} automatic resumes used",
            report.automatic_resumes,
            limits::AUTOMATIC_RESUMES.len()
        ));
    }
    lines.extend(report.compensations.as_ref().map(|undone| {
        let all = format::count(undone.total, "completed step");
        format!("  undone: {} of {all}", undone.completed)
    }));
    match &report.stop {
        Some(stop) => {
            // What came of it is known.
            lines.extend(match shown.past {
                Some(_) => why(report, stop),
                None => reasons(cx, report, stop),
            });
            lines.extend(others_paused(report));
        }
        None if shown.past.is_some() => {}
        None => lines.extend(
            words::next::of_run(report, |verb| cx.program(verb))
                .map(|next| format!("  next:   {next}")),
        ),
    }
    lines
}

fn owner(owner: &OwnerReport) -> String {
    let what = match owner.state {
        OwnerState::Alive => "alive",
        OwnerState::Gone => "gone",
        OwnerState::Detached => "alive, but it does not renew its claim",
        OwnerState::Unknown => "on another host, status unknown",
    };
    let host = Shown(&owner.host);
    format!("  owner:  process {} on {host}, {what}", owner.pid)
}

/// Whose child it is, and how its own children stand.
fn family(cx: &Context, report: &RunReport, now: Timestamp) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(parent) = &report.parent {
        let (run, path) = (&parent.run, Shown(&parent.path));
        lines.push(format!("  parent: {run}, at {path}"));
    }
    if let Some(fork) = &report.fork {
        let steps = words::steps_of(&fork.from);
        lines.push(format!("  forked: from {} at {steps}", fork.run));
    }
    if !report.labels.is_empty() {
        lines.push(format!("  labels: {}", Shown(&report.labels)));
    }
    let counts = report.children.iter();
    let counts: Vec<String> = counts
        .map(|(status, count)| format!("{count} {status}"))
        .collect();
    if !counts.is_empty() {
        let over = |status: &Status| status.is_terminal() || *status == Status::Failed;
        let all = match report.children.keys().all(over) {
            true => "; all have ended",
            false => "",
        };
        lines.push(format!("  runs:   {}{all}", counts.join(", ")));
    }
    lines.extend(children(cx, report, now));
    lines
}

/// How the child runs of its steps stand.
pub(crate) fn children(cx: &Context, report: &RunReport, now: Timestamp) -> Vec<String> {
    let mut lines = Vec::new();
    let failed = report.steps.iter().filter_map(|step| step.items.as_ref());
    let failed = failed.flat_map(|items| &items.failures);
    for step in open(report).chain(failed) {
        let Some(child) = &step.child else {
            continue;
        };
        let (path, run) = (Shown(&step.path), &child.run);
        let status = child.status.map_or("removed", |status| status.as_str());
        lines.push(format!("  child:  {path}: run {run} is {status}"));
        let stop = child.stop.iter().filter(|_| step.waits_for.is_some());
        for stop in stop {
            lines.push(format!("          {}", words::stop::message(stop)));
            let next = words::stop::next(run, stop, |verb| cx.program(verb));
            lines.push(format!("          {next}"));
            lines.extend(stop.due_at.map(|at| {
                format!(
                    "          due {} ({})",
                    format::instant(at),
                    format::ahead(now, at)
                )
            }));
        }
    }
    lines
}

/// What ends its waits, with the commands that do.
fn waits(cx: &Context, shown: &Detailed, now: Timestamp) -> Vec<String> {
    let run = &shown.report.id;
    let told = shown.report.stop.as_ref().and_then(|stop| stop.due_at);
    let over = shown.report.status.is_terminal();
    let mut lines = Vec::new();
    for step in open(&shown.report) {
        // A run that is over waits for nothing, however its last step stands.
        let Some(wait) = step.waits_for.as_ref().filter(|_| !over) else {
            continue;
        };
        let until = wait.until().filter(|until| Some(*until) != told);
        let until = until.map_or_else(String::new, |until| {
            format!(
                ", until {} ({})",
                format::instant(until),
                format::ahead(now, until)
            )
        });
        let path = Shown(&step.path);
        match wait {
            Wait::Time { .. } if until.is_empty() => {}
            Wait::Time { .. } => lines.push(format!("  waits:  {path}{until}")),
            Wait::Child { .. } => {}
            Wait::Signal { name, .. } => {
                let name = Shown(name);
                lines.push(format!("  waits:  {path}, for the signal `{name}`{until}"));
            }
            Wait::Approval { message, .. } => {
                let message = message.replace('\n', "\n    ");
                lines.push(format!(
                    "  waits:  {path}, for a decision{until}: {message}"
                ));
                // Nobody decides in a run that failed or is over, nor in the past.
                let verbs = match shown.report.status {
                    Status::Running | Status::Paused if shown.past.is_none() => {
                        &["approve", "reject"][..]
                    }
                    _ => &[],
                };
                for verb in verbs {
                    let label = format!("{verb}:");
                    let command = cx.command(verb, run);
                    let step = shell::word(&step.path);
                    lines.push(format!("  {label:<9}{command} --step {step}"));
                }
            }
        }
    }
    let signals = shown.awaits.iter().filter(|name| !is_reserved(name));
    lines.extend(signals.map(|name| {
        let command = cx.command("signal", run);
        format!("  send:   {command} {}", shell::argument(name))
    }));
    let kept = shown.inbox.iter().filter(|kept| !is_reserved(&kept.name));
    lines.extend(kept.map(|kept| {
        let name = Shown(&kept.name);
        format!(
            "  kept:   the signal `{name}`, sent {}",
            format::ago(now, kept.at)
        )
    }));
    let more = shown.inbox_count.saturating_sub(shown.inbox.len() as u64);
    lines.extend((more > 0).then(|| format!("          and {more} more")));
    lines
}

/// Why steps were skipped, as far as the definition and what came of the others tell.
fn skipped(
    definition: impl FnOnce() -> Option<Definition>,
    report: &RunReport,
) -> Vec<SkippedStep> {
    let is_skipped = |step: &StepReport| step.status == "skipped";
    if !report.steps.iter().any(is_skipped) {
        return Vec::new();
    }
    let Some(definition) = definition() else {
        return Vec::new();
    };
    let steps = || definition.steps().iter().zip(&report.steps);
    let mut unmet = Unmet::default();
    for (step, told) in steps() {
        match told.status {
            "failed" if !step.continue_on_error => unmet.failed(&step.id),
            "skipped" => unmet.skipped(&step.id),
            _ => {}
        }
    }
    let skips = steps().enumerate();
    let skips = skips.filter(|(_, (_, told))| is_skipped(told));
    let skips = skips.filter_map(|(at, (step, _))| {
        let needs = step.needs.iter().map(|need| &definition.steps()[*need].id);
        let (of_all, failed) = (
            needs.clone().count(),
            needs.clone().filter(|id| unmet.has_failed(id)).count(),
        );
        let needs: Vec<_> = needs.filter(|id| unmet.has(id)).cloned().collect();
        let skipped = needs.len() - failed;
        let skip = match step.join.lets_run(of_all - needs.len(), failed, skipped) {
            false => Skip::Join { needs },
            true => Skip::Condition(step.condition.as_ref()?.text().to_owned()),
        };
        let told = words::event::skipped(&skip, Some(step.join), &unmet);
        Some(SkippedStep {
            at,
            skip,
            join: step.join,
            told,
        })
    });
    skips.collect()
}

/// What may wait: steps, and what waits of their executions in fan-outs.
fn open(report: &RunReport) -> impl Iterator<Item = &StepReport> {
    let steps = report.steps.iter();
    steps.flat_map(|step| {
        let open = step.items.as_ref().map_or(&[][..], |items| &items.open);
        [step].into_iter().chain(open)
    })
}

/// The steps, then the compensations that were tried.
fn executed(report: &RunReport) -> impl Iterator<Item = &StepReport> {
    let undone = report.compensations.iter();
    let undone = undone.flat_map(|undone| &undone.tried);
    report.steps.iter().chain(undone)
}

fn steps(cx: &Context, report: &RunReport) -> Text {
    let headings = [
        "STEP",
        "STATUS",
        "ATTEMPTS",
        "ITERATIONS",
        "TOOK",
        "TIMEOUT",
    ];
    // Most runs ask the host for nothing, and their readers need no column for that.
    let taped = executed(report).any(|step| step.tape.is_some());
    let headings = headings.into_iter().chain(taped.then_some("TAPE"));
    let mut table = Table::new(headings.map(|text| cx.out.bold(text).into()));
    for step in executed(report) {
        let status = paint(cx, step.status);
        let status = match &step.items {
            Some(items) => status + ", " + format::items(items),
            None => status,
        };
        let cells = [
            Cell::from(step.path.as_str()).at_most(PATH),
            status.into(),
            count(step.attempts),
            step.iterations.map_or_else(|| "".into(), count),
            took(step).into(),
            timeout(step).into(),
        ];
        let tape = taped.then(|| world::tape(step).into());
        table.row(cells.into_iter().chain(tape));
    }
    table.render()
}

fn paint(cx: &Context, status: &'static str) -> Text {
    match status {
        "completed" => cx.out.green(status),
        "failed" => cx.out.red(status),
        "paused" | "waiting" => cx.out.yellow(status),
        _ => status.into(),
    }
}

fn count(number: u32) -> Cell {
    if number == 0 {
        "".into()
    } else {
        number.to_string().into()
    }
}

fn took(step: &StepReport) -> String {
    match (step.started_at, step.ended_at) {
        (Some(start), Some(end)) => format::length(end.since(start)),
        _ => String::new(),
    }
}

/// `30s (step)`: the time that an attempt has, and where it was set.
fn timeout(step: &StepReport) -> String {
    let Some(timeout) = step.timeout else {
        return String::new();
    };
    let fired = if timeout.fired { ", exceeded" } else { "" };
    let length = format_duration(Duration::from_millis(timeout.millis));
    format!("{length} ({}{fired})", timeout.source)
}
