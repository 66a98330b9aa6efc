//! `milepost symbolize`: where in its sources a guest trapped.

use std::path::Path;

use clap::Args;
use milepost::core::ids::{Path as StepPath, RunId};
use milepost::core::shown::Shown;
use milepost::engine::EngineError;
use milepost::record;
use milepost::wasm::symbolize::{MOST_OFFSETS, offsets_of, symbolize};

use super::compiling::symbolizer;
use super::context::{Context, Reply};
use super::documents::{Backtrace, Backtraces, Frame, Function};
use super::drive::wait;
use super::exit::Exit;
use super::failure::{Code, Failure};
use super::words::advice::command;
use super::{component, ids};

/// Show where in its source a component trapped
///
/// Shows function, file and line for the frames of a backtrace, if the component was built with debug information and not
/// stripped.
///
/// A run carries its components, so its backtraces are looked up in those; a separate, unstripped build of the same code has
/// other offsets. A child process with limits reads the debug information.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost symbolize 7k3m                        # all backtraces of a run
  milepost symbolize 7k3m fix#2/test             # the backtrace of one step
  milepost symbolize ./plugin.wasm 0x1a2b 0x3c4d  # offsets in a backtrace")]
pub(crate) struct SymbolizeArgs {
    /// Id of a run, or a unique prefix; or the file of a component (`./plugin.wasm`)
    #[arg(value_name = "RUN|COMPONENT")]
    target: String,
    /// For a run: the step whose backtrace to look up. For a component: offsets
    #[arg(value_name = "PATH|OFFSET")]
    which: Vec<String>,
}

pub(super) fn run(args: &SymbolizeArgs, cx: &Context) -> Result<Reply, Failure> {
    // What can be the id of a run is one: the name of a file has a dot or a slash.
    let backtraces = Backtraces(match RunId::new(&args.target) {
        Ok(_) => of_run(args, cx)?,
        Err(_) => of_component(args)?,
    });
    Ok(cx.reply(Exit::Completed, || &backtraces, || text(&backtraces.0)))
}

fn of_component(args: &SymbolizeArgs) -> Result<Vec<Backtrace>, Failure> {
    if args.which.is_empty() || args.which.len() > MOST_OFFSETS {
        let message = format!("1 to {MOST_OFFSETS} offsets are needed");
        return Err(Failure::new(Code::Usage, message)
            .help("a backtrace has them at the end of each frame: `(12+0x34 at 0x1a2b)`"));
    }
    let offsets: Result<Vec<u64>, Failure> = args.which.iter().map(|text| offset(text)).collect();
    let bytes = component::read(Path::new(&args.target))?;
    Ok(vec![Backtrace {
        path: None,
        frames: look_up(&bytes, &offsets?)?,
    }])
}

/// Decimal, or hexadecimal after `0x`.
fn offset(text: &str) -> Result<u64, Failure> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| {
        let message = format!("`{}` is not an offset", Shown(text));
        Failure::new(Code::Usage, message).help("write it as a backtrace does: `0x1a2b`")
    })
}

fn of_run(args: &SymbolizeArgs, cx: &Context) -> Result<Vec<Backtrace>, Failure> {
    let engine = cx.engine_to_read()?;
    let store = engine.store().as_ref();
    let run = ids::resolve(store, &args.target)?;
    let report = wait(engine.report(&run))?;
    let (state, definition) = wait(async {
        let state = record::load(store, &run).await?.state;
        let definition = engine.frozen(&state).await?;
        Ok::<_, EngineError>((state, definition))
    })?;
    let mut backtraces = Vec::new();
    for step in &report.steps {
        if !args.which.is_empty() && !args.which.contains(&step.path) {
            continue;
        }
        let offsets = step
            .error
            .as_ref()
            .map_or_else(Vec::new, |error| offsets_of(&error.message));
        let path = step.path.parse::<StepPath>().ok();
        let callee = path
            .as_ref()
            .and_then(|path| definition.step(path.step())?.callee(path));
        let (false, Some(used)) = (offsets.is_empty(), callee) else {
            continue;
        };
        let Some(digest) = state.binding().plugins.get(used.plugin) else {
            continue;
        };
        let bytes = wait(store.blob(digest))?.ok_or_else(|| {
            let message = format!("the store does not hold the component {digest}");
            Failure::new(Code::PluginUnavailable, message)
        })?;
        backtraces.push(Backtrace {
            path: Some(step.path.clone()),
            frames: look_up(&bytes, &offsets)?,
        });
    }
    if backtraces.is_empty() {
        let message = match args.which.first() {
            Some(path) => format!("step `{}` of run {run} has no backtrace", Shown(path)),
            None => format!("no step of run {run} has a backtrace"),
        };
        return Err(Failure::new(Code::NoBacktrace, message)
            .help(command(format!("show {run}")).text(" shows its steps and their errors")));
    }
    Ok(backtraces)
}

fn look_up(bytes: &[u8], offsets: &[u64]) -> Result<Vec<Frame>, Failure> {
    let child = symbolizer().map_err(|error| Failure::internal(error.to_string()))?;
    let places = symbolize(&child, bytes, offsets).map_err(|error| {
        let message = format!("the component cannot be inspected: {error}");
        Failure::new(Code::UnreadableDebugInformation, message)
    })?;
    Ok(places.into_iter().map(Frame::from).collect())
}

fn text(backtraces: &[Backtrace]) -> String {
    let mut lines = Vec::new();
    for backtrace in backtraces {
        lines.extend(
            backtrace
                .path
                .as_ref()
                .map(|step| format!("{}:", Shown(step))),
        );
        for place in &backtrace.frames {
            let at = format!("{:#x}", place.offset);
            if place.functions.is_empty() {
                lines.push(format!("{at:>10}: no debug information"));
            }
            for (number, function) in place.functions.iter().enumerate() {
                let lead = if number == 0 {
                    at.as_str()
                } else {
                    "inlined in"
                };
                lines.push(format!("{lead:>10}: {}", words(function)));
            }
        }
    }
    lines.join("\n")
}

/// `core::panicking::panic at library/core/src/panicking.rs:12:3`
fn words(function: &Function) -> String {
    let mut text = Shown(function.name.as_deref().unwrap_or("?")).to_string();
    if let Some(file) = &function.file {
        text.push_str(&format!(" at {}", Shown(file)));
        let numbers = [function.line, function.column];
        for number in numbers.into_iter().map_while(|number| number) {
            text.push_str(&format!(":{number}"));
        }
    }
    text
}
