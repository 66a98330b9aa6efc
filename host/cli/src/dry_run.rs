//! `milepost dry-run`: what a workflow would do, over stubs in the place of its steps.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Args;
use milepost::core::definition::Definition;
use milepost::core::definition::input::Inputs;
use milepost::core::dry_run::{DryRun, How, Schemas, Setting, Stubs, Traced, dry_run, scaffold};
use milepost::core::shown::Shown;
use milepost::core::state::Status;
use milepost::dry_run::open;

use super::context::{Context, Reply, bare};
use super::documents::Simulated;
use super::exit::Exit;
use super::failure::{Code, Failure};
use super::inputs::{self, InputArgs};
use super::text::Text;
use super::words::dry_run as words;
use super::{format, named, words::stop};

/// Simulate a workflow over stubs
///
/// Simulates a workflow: its real decisions, over stubs in the place of its steps.
///
/// Graphs, joins, conditions, expressions, loops, fan-outs, retries and child runs are worked out as in a run; nothing is
/// executed, stored or sent. Waits are over at once, signals come, approvals are approved unless a stub says otherwise.
///
/// Stubs are JSON: `{\"steps\": {\"fetch\": {\"output\": {\"rows\": 3}}}}`. A stub has one of `output`, `error` (`code`,
/// `message`, `retryable`), `pause` (`code`, `reason`), `decision` (`approved` or `rejected`, with `comment`), `signal` (its data)
/// and `timed_out`; of a list of them, each time takes the next one, and the last one stays. `call/inner` is the step `inner` of
/// the workflow that the step `call` starts.
///
/// The exit code is that of a run: 0 completed, 1 failed or a step without a stub, 2 paused, 3 cancelled.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost dry-run workflow.toml --scaffold stubs.json
  milepost dry-run workflow.toml --stubs stubs.json --input name=World
  milepost dry-run notes.toml --stop-at-gates --json | jq '.trace[].path'")]
pub(crate) struct DryRunArgs {
    /// The definition
    file: PathBuf,
    #[command(flatten)]
    inputs: InputArgs,
    /// What stands in the place of steps, as JSON
    #[arg(long, value_name = "FILE", conflicts_with = "scaffold")]
    stubs: Option<PathBuf>,
    /// Write stubs for all steps, with outputs that fit what their components declare, and simulate with them; a file that is
    /// there is never overwritten
    #[arg(long, value_name = "FILE")]
    scaffold: Option<PathBuf>,
    /// Stop at approvals instead of approving them
    #[arg(long)]
    stop_at_gates: bool,
}

pub(super) fn run(args: DryRunArgs, cx: &Context) -> Result<Reply, Failure> {
    let plugins = cx.plugins();
    let file = named::file(&args.file, cx)?;
    let (workflow, schemas) = open(&file, plugins.as_ref())?;
    let definition = &workflow.definition;
    let stubs = stubs(&args, definition, &schemas)?;
    // Also where the inputs do not let it go on.
    if let Some(file) = &args.scaffold {
        cx.note(format!("stubs written to {}", Shown(file.display())));
    }
    let mut given = args.inputs.read(definition)?;
    let mut problems = std::mem::take(&mut given.problems);
    let resolved = Inputs::resolve(definition, &given.inputs);
    let inputs = resolved.unwrap_or_else(|more| {
        problems.extend(more);
        Inputs::default()
    });
    if !problems.is_empty() {
        return Err(Failure::inputs(problems));
    }
    let simulated = dry_run(Setting {
        definition,
        inputs: inputs.values,
        stubs: &stubs,
        schemas: &schemas,
        stop_at_gates: args.stop_at_gates,
        now: SystemTime::now().into(),
    });
    let exit = match (simulated.status, simulated.missing.is_empty()) {
        (Status::Completed, false) => Exit::Failed,
        // It stands in the middle of what it would do for too long.
        (Status::Running | Status::Pending, _) => Exit::Failed,
        (status, _) => Exit::from(status),
    };
    let name = definition.name.to_string();
    Ok(cx.reply(
        exit,
        || Simulated::new(&name, &simulated),
        || text(cx, &simulated),
    ))
}

fn stubs(args: &DryRunArgs, definition: &Definition, schemas: &Schemas) -> Result<Stubs, Failure> {
    if let Some(file) = &args.scaffold {
        let stubs = scaffold(definition, schemas);
        write_new(file, &stubs.to_text())?;
        return Ok(stubs);
    }
    let Some(file) = &args.stubs else {
        return Ok(Stubs::default());
    };
    Stubs::parse(&inputs::read(file)?).map_err(|error| {
        let message = format!("cannot use the stubs in {}: {error}", Shown(file.display()));
        Failure::new(Code::InvalidInput, message)
            .help("`--scaffold FILE` writes stubs for all steps")
    })
}

/// # Errors
/// [`Failure`] when it is there, or cannot be written.
fn write_new(file: &Path, text: &str) -> Result<(), Failure> {
    let new = OpenOptions::new().write(true).create_new(true).open(file);
    let written = new.and_then(|mut new| new.write_all(text.as_bytes()));
    written.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            let message = format!("{} is there already", Shown(file.display()));
            Failure::new(Code::File, message).help("name a new file, or use it with `--stubs`")
        }
        _ => Failure::file("write", file, &error),
    })
}

fn text(cx: &Context, simulated: &DryRun) -> Text {
    let mut lines: Vec<Text> = simulated.trace.iter().map(|it| line(cx, it)).collect();
    for name in &simulated.missing {
        let name = Shown(name).to_string();
        lines.push(cx.out.red("missing") + format!(": no stub for `{name}`"));
    }
    for (name, known) in &simulated.unused {
        let why = match known {
            true => "it was not asked for",
            false => "there is no such step",
        };
        let name = Shown(name).to_string();
        lines.push(cx.out.yellow("unused") + format!(": the stub of `{name}`: {why}"));
    }
    if simulated.broken_off {
        lines.push("broken off: it has no end in sight".into());
    }
    let status = simulated.status;
    let end = cx.out.status(status, status.as_str());
    lines.push(match &simulated.stop {
        Some(why) => end + ": " + stop::message(why).as_str(),
        None if status == Status::Completed => match bare(&simulated.output) {
            output if output.is_empty() => end,
            output => end + ": " + output.as_str(),
        },
        None => end,
    });
    Text::joined(lines, "\n")
}

fn line(cx: &Context, traced: &Traced) -> Text {
    let word = traced.how.as_str();
    let word = match traced.how {
        How::Completed | How::Stubbed => cx.out.green(word),
        How::Failed => cx.out.red(word),
        How::Paused => cx.out.yellow(word),
        How::Skipped => word.into(),
    };
    let attempt = traced.attempt.filter(|attempt| *attempt > 1);
    let attempt = attempt.map_or_else(String::new, |attempt| format!(", attempt {attempt}"));
    let mut said = format!(" ({})", words::why(&traced.why));
    if let Some(input) = &traced.input {
        said += &format!(" {}", format::excerpt(input));
    }
    if let Some(error) = &traced.error {
        said += &format!(": {}", format::brief_error(error));
    } else if let Some(output) = &traced.output {
        said += &format!(" -> {}", format::excerpt(output));
    }
    let path = Shown(&traced.path).to_string();
    (Text::from(path + &attempt + ": ") + word + said).one_line()
}
