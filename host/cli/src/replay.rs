//! `milepost replay`: executes a recorded run again, against the record.

use clap::Args;
use milepost::core::replay::Divergence;
use milepost::core::shown;
use milepost::replay::{Replayed, replay_with};
use serde_json::Value;

use super::context::{Context, Reply, bare};
use super::documents;
use super::drive::wait;
use super::exit::Exit;
use super::failure::Failure;
use super::text::Text;
use super::world_args::SecretArgs;
use super::{format, recorded};

/// Execute a recorded run again and compare
///
/// Executes a recorded run again and compares every decision and every output with the record.
///
/// Steps get their recorded input, time, random numbers and answers, and touch nothing outside. Exit code 4 means that
/// something differs; the first difference is shown. Where an output depends on the value of a secret, it is needed again.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost replay 7k3m
  milepost replay run.mpr
  milepost replay 7k3m --json | jq .divergence")]
pub(crate) struct ReplayArgs {
    /// Id of the run, or a unique prefix; or a file that `export` wrote, which needs no store
    #[arg(value_name = "RUN|FILE")]
    run: String,
    #[command(flatten)]
    secrets: SecretArgs,
}

pub(super) fn run(args: &ReplayArgs, cx: &Context) -> Result<Reply, Failure> {
    let (store, run) = recorded::open(cx, &args.run)?;
    let plugins = cx.plugins();
    let secrets = args.secrets.read()?;
    let replayed = wait(replay_with(
        &store,
        plugins.as_ref(),
        secrets.as_ref(),
        &run,
    ))?;
    let exit = if replayed.is_same() {
        Exit::Completed
    } else {
        Exit::Diverged
    };
    Ok(cx.reply(
        exit,
        || documents::Replay::from(&replayed),
        || text(cx, &replayed),
    ))
}

fn text(cx: &Context, replayed: &Replayed) -> Text {
    let mut lines: Vec<Text> = replayed
        .not_replayed
        .iter()
        .map(|it| {
            format!(
                "not replayed: {}, attempt {}: {}",
                it.path, it.attempt, it.reason
            )
            .into()
        })
        .collect();
    if let [first, ..] = replayed.not_compared.as_slice() {
        let what = format::count(replayed.not_compared.len() as u64, "decision");
        lines.push(
            format!("not compared: {what}, the first at event {} ({}): values were replaced when the run was exported", first.seq, first.event)
                .into(),
        );
    }
    let counts = format!(
        "{}, {}",
        format::count(replayed.events, "event"),
        format::count(replayed.attempts, "attempt")
    );
    match &replayed.divergence {
        None => lines.push(cx.out.green("same as recorded") + format!(": {counts}")),
        Some(divergence) => {
            lines.extend(difference(divergence).into_iter().map(Text::from));
            lines.push(cx.out.red("differs") + format!(" after {counts}"));
        }
    }
    for child in &replayed.children {
        lines.push(format!("child run {}:", child.run).into());
        lines.push(text(cx, child));
    }
    Text::joined(lines, "\n")
}

/// Recorded and actual, one under the other.
fn difference(divergence: &Divergence) -> Vec<String> {
    let path = divergence
        .path
        .as_ref()
        .map(|path| format!(" {path}"))
        .unwrap_or_default();
    let field = if divergence.field.is_empty() {
        String::new()
    } else {
        format!(" at {}", divergence.field)
    };
    let show = |value: &Value| shown::message(bare(value));
    vec![
        format!(
            "event {} ({}{path}){field}",
            divergence.seq, divergence.event
        ),
        format!("  recorded: {}", show(&divergence.recorded)),
        format!("  actual:   {}", show(&divergence.actual)),
    ]
}
