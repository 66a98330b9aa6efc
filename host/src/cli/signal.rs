//! `milepost signal`: sends a signal to a run that waits for it, or will. (Signals of the operating system: `signals`.)

use std::path::Path;

use clap::Args;
use milepost::core::json::{self, UnusableJson};
use milepost::core::shown::Shown;
use milepost::engine::SignalAnswer;
use serde_json::{Value, json};

use super::context::{Context, Reply};
use super::drive::runtime;
use super::exit::Exit;
use super::failure::Failure;
use super::{ids, inputs};

/// Send a signal to a run
///
/// Sends a signal, with data, to a run. It is kept until the run waits for it.
///
/// A run that waits for it now can go on: a worker goes on with it, or `milepost resume`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost signal 7k3m deployed
  milepost signal 7k3m payment --data '{\"amount\": 12}'
  milepost signal 7k3m payment --data @payment.json")]
pub(crate) struct SignalArgs {
    /// Id of the run, or its beginning
    run: String,
    /// Name of the signal
    name: String,
    /// What comes with it, as JSON; `@file` takes the file's; null when left out
    #[arg(long, value_name = "JSON")]
    data: Option<String>,
}

pub(super) fn run(args: &SignalArgs, cx: &Context) -> Result<Reply, Failure> {
    let data = args.data.as_deref().map_or(Ok(Value::Null), parse)?;
    let engine = cx.engine()?;
    let run = ids::resolve(engine.store().as_ref(), &args.run)?;
    let answer = runtime()?.block_on(engine.signal(&run, &args.name, &data))?;
    let status = engine.store().row(&run)?.map(|row| row.status.as_str());
    let delivered = answer == SignalAnswer::Delivered;
    let held = engine.is_held(&run)?;
    let document = json!({
        "id": run,
        "signal": args.name,
        "answer": answer,
        "status": status,
        "held": held,
        "continues": (delivered && !held).then_some("worker"),
    });
    let name = Shown(&args.name);
    Ok(cx.reply(Exit::Completed, &document, || match answer {
        SignalAnswer::Delivered => format!("run {run} got `{name}`; {}", cx.goes_on(&run, held)),
        SignalAnswer::Kept if held => {
            let next = cx.goes_on(&run, held);
            format!("`{name}` is kept until run {run} waits for it; {next}")
        }
        SignalAnswer::Kept => format!("`{name}` is kept until run {run} waits for it"),
    }))
}

fn parse(data: &str) -> Result<Value, Failure> {
    let (place, text) = match data.strip_prefix('@') {
        Some(file) => (file, inputs::read(Path::new(file))?),
        None => ("--data", data.to_owned()),
    };
    json::parse(&text).map_err(|error| match error {
        UnusableJson::Syntax(reason) => Failure::new(
            Exit::Usage,
            "usage",
            format!("{} is not JSON: {reason}", Shown(place)),
        )
        .help("a text needs its quotes, and those need quotes of the shell: --data '\"done\"'"),
        UnusableJson::Inexact(_)
        | UnusableJson::Twice(_)
        | UnusableJson::TooManyValues
        | UnusableJson::TooMuchMemory => {
            Failure::new(Exit::Usage, "usage", format!("{}: {error}", Shown(place)))
        }
    })
}
