//! `milepost show`: one run as it stands.

use std::time::Duration;

use clap::Args;
use milepost::core::state::Status;
use milepost::report::{RunReport, StepReport};
use serde_json::Value;

use super::context::{Context, Reply, bare};
use super::ending::reasons;
use super::exit::Exit;
use super::failure::Failure;
use super::table::{Cell, Table};
use super::{format, ids};

/// Show one run: status, steps, output
///
/// Shows one run: its status, why it stopped and what happens next, its steps and its output.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost show 7k3m
  milepost show 7k3m --json | jq '.steps[] | select(.status == \"failed\")'")]
pub(crate) struct ShowArgs {
    /// Id of the run, or its beginning
    run: String,
}

pub(super) fn run(args: &ShowArgs, cx: &Context) -> Result<Reply, Failure> {
    let engine = cx.engine()?;
    let run = ids::resolve(engine.store().as_ref(), &args.run)?;
    let report = engine.report(&run)?;
    Ok(cx.reply(Exit::Completed, &report, || text(cx, &report)))
}

fn text(cx: &Context, report: &RunReport) -> String {
    let status = cx.out.status(report.status, report.status.as_str());
    let mut lines = vec![
        format!(
            "run {} of {}: {status}",
            cx.out.bold(report.id.as_str()),
            report.workflow
        ),
        format!("  file:   {}", report.file),
        format!(
            "  begun:  {}, took {}",
            format::instant(report.created_at),
            format::length(Duration::from_millis(report.duration_millis))
        ),
    ];
    lines.extend(report.stop.as_ref().into_iter().flat_map(reasons));
    if let Value::Object(inputs) = &report.inputs
        && !inputs.is_empty()
    {
        lines.push(String::new());
        lines.extend(
            inputs
                .iter()
                .map(|(name, value)| format!("  {name} = {}", format::excerpt(value))),
        );
    }
    lines.push(String::new());
    lines.push(steps(cx, report));
    let failed = report
        .steps
        .iter()
        .filter_map(|step| Some((step, step.error.as_ref()?)));
    lines.extend(failed.map(|(step, error)| format!("{}: {}", step.path, format::error(error))));
    if report.status == Status::Completed {
        lines.push(cx.out.bold("output"));
        lines.push(bare(&report.output));
    }
    lines.join("\n")
}

fn steps(cx: &Context, report: &RunReport) -> String {
    let headings = ["STEP", "STATUS", "ATTEMPTS", "PASSES", "TOOK"];
    let mut table = Table::new(headings.map(|text| Cell::painted(text, |text| cx.out.bold(text))));
    for step in &report.steps {
        table.row([
            step.path.as_str().into(),
            Cell::painted(step.status, |text| paint(cx, text)),
            count(step.attempts),
            step.iterations.map_or_else(|| "".into(), count),
            took(step).into(),
        ]);
    }
    table.render()
}

fn paint(cx: &Context, status: &str) -> String {
    match status {
        "completed" => cx.out.green(status),
        "failed" => cx.out.red(status),
        "paused" | "waiting" => cx.out.yellow(status),
        _ => status.to_owned(),
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
