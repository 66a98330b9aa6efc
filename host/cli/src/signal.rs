//! `milepost signal`: sends a signal to a run that waits for it, or will. (Signals of the operating system: `signals`.)

use std::path::Path;

use clap::Args;
use milepost::Engine;
use milepost::core::definition::{Definition, StepKind, WaitStep};
use milepost::core::ids::{RunId, StepId};
use milepost::core::json::{self, UnusableJson};
use milepost::core::request::signal::is_reserved;
use milepost::core::shown::Shown;
use milepost::core::state::Status;
use milepost::engine::{EngineError, SignalAnswer, Signalled};
use milepost::record;
use serde_json::Value;

use super::context::{By, Context, Reply};
use super::documents;
use super::drive::{recorded_definition, wait};
use super::exit::Exit;
use super::failure::{Code, Failure};
use super::text::Text;
use super::then::ThenArgs;
use super::world_args::WorldArgs;
use super::{format, ids, inputs, shell};

/// Send a signal to a run
///
/// Sends a signal, optionally with data, to a run. The store keeps it until the run waits for it.
///
/// If the run is already waiting for the signal, a worker or `milepost resume` continues it. A signal is refused if no step
/// of the workflow can ever wait for it (a component may wait for any name), or if it comes after the timeout of its wait.
///
/// With `--resume` or `--follow`, and unless the signal is only kept, the answer is the run where it stops next, with the exit codes of
/// `run`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost signal 7k3m deployed
  milepost signal 7k3m payment --data '{\"amount\": 12}'
  milepost signal 7k3m payment --data @payment.json
  milepost signal 7k3m payment --data @payment.json --token order-4711
  milepost signal 7k3m deployed --resume   # and continue the run here")]
pub(crate) struct SignalArgs {
    #[arg(help = ids::WHOLE)]
    run: String,
    /// Name of the signal; left out, the answer is what the run waits for
    name: Option<String>,
    /// Data of the signal, as JSON; `@file` reads it from a file; null by default
    #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
    data: Option<String>,
    /// Makes it one signal, however often it is sent to the run: repeat the command when you got no answer
    #[arg(long, allow_hyphen_values = true)]
    token: Option<String>,
    #[command(flatten)]
    then: ThenArgs,
    #[command(flatten)]
    pub(super) world: WorldArgs,
}

pub(super) fn run(args: &SignalArgs, cx: &Context) -> Result<Reply, Failure> {
    let world = args.world.read()?;
    let data = args.data.as_deref().map_or(Ok(Value::Null), parse)?;
    let engine = cx.engine()?;
    let run = ids::resolve_to_change(cx, engine.store().as_ref(), &args.run)?;
    let Some(name) = &args.name else {
        return Err(unnamed(cx, &engine, &run));
    };
    let sent = wait(async {
        match &args.token {
            Some(token) => engine.signal_once(&run, name, &data, token).await,
            None => engine.signal(&run, name, &data).await,
        }
    })?;
    let worker = cx.has_worker(&engine);
    let document = || documents::Signalled::new(&run, name, &sent, worker);
    // One that still waits, or never has, does not wait again.
    let waiting = match sent.status {
        Status::Failed => recorded_definition(engine.store().as_ref(), &run)
            .and_then(|definition| waits_for(&definition, name))
            .filter(|step| is_over(&engine, &run, step)),
        _ => None,
    };
    let did = text(
        cx,
        name,
        &run,
        &sent,
        args.then.by(worker),
        waiting.as_ref(),
    );
    let did = Text::from(did);
    let reply = cx.reply(Exit::Completed, document, || did.clone());
    // One that is kept moves nothing.
    if sent.answer == SignalAnswer::Kept && sent.status != Status::Running {
        return Ok(reply);
    }
    args.then.reply(cx, &world, &run, (did, reply))
}

/// The refusal of a signal without a name: it says which ones the run waits for, or can.
fn unnamed(cx: &Context, engine: &Engine, run: &RunId) -> Failure {
    let store = engine.store().as_ref();
    let recorded = wait(async { Ok::<_, EngineError>(record::load(store, run).await?) }).ok();
    let over = recorded
        .as_ref()
        .is_some_and(|recorded| recorded.row.status.has_ended());
    let awaited = recorded
        .iter()
        .flat_map(|recorded| recorded.state.awaited());
    let mut names: Vec<String> = awaited.map(|(_, name)| name.to_owned()).collect();
    names.retain(|name| !is_reserved(name));
    names.sort();
    names.dedup();
    let waits = !names.is_empty();
    if !waits
        && !over
        && let Some(definition) = recorded_definition(store, run)
    {
        names = definition
            .signals()
            .into_iter()
            .map(str::to_owned)
            .collect();
    }
    let named = names.iter().map(|name| format!("`{}`", Shown(name)));
    let named = format::list(&named.collect::<Vec<_>>());
    let told = match (names.is_empty(), waits) {
        (true, _) => "waits for none".to_owned(),
        (false, true) => format!("waits for {named}"),
        (false, false) => format!("waits for none now; its workflow waits for {named}"),
    };
    let help = match names.first() {
        Some(first) => {
            let does = if waits { "sends it" } else { "sends it before" };
            let first = shell::argument(first);
            format!("`{} {first}` {does}", cx.command("signal", run))
        }
        None => format!("`{}` shows its status", cx.command("show", run)),
    };
    Failure::new(Code::Usage, format!("which signal? run {run} {told}")).help(help)
}

/// Whether a step at the top level has come to its end.
fn is_over(engine: &Engine, run: &RunId, step: &StepId) -> bool {
    let report = wait(engine.report(run)).ok();
    let mut steps = report.iter().flat_map(|report| &report.steps);
    steps.any(|known| known.path == step.as_str() && matches!(known.status, "completed" | "failed"))
}

/// The step at the top level that waits for this signal, of a run that would wait for it again.
fn waits_for(definition: &Definition, signal: &str) -> Option<StepId> {
    let mut top = definition
        .main()
        .iter()
        .map(|index| &definition.steps()[*index]);
    let found = top.find(|step| {
        matches!(&step.kind, StepKind::Wait(WaitStep::Signal { name, .. }) if name == signal)
    });
    found.map(|step| step.id.clone())
}

fn text(
    cx: &Context,
    signal: &str,
    run: &RunId,
    sent: &Signalled,
    by: By,
    waiting: Option<&StepId>,
) -> String {
    let name = Shown(signal);
    match sent.answer {
        SignalAnswer::Delivered if sent.status != Status::Paused => {
            format!("run {run} received `{name}`; it is {}", sent.status)
        }
        // Sent again under its token, it was taken long before the run came to wait for this one.
        SignalAnswer::Delivered if !sent.goes_on && !sent.held => match &sent.waits_for {
            Some(waits) => format!(
                "run {run} received `{name}` before; it is {} and waits for `{}`",
                sent.status,
                Shown(waits)
            ),
            None => format!("run {run} received `{name}` before; it is {}", sent.status),
        },
        SignalAnswer::Delivered => {
            format!(
                "run {run} received `{name}`; {}",
                cx.goes_on(run, sent.held, by)
            )
        }
        SignalAnswer::Kept => {
            let waits = match &sent.waits_for {
                Some(other) if other != signal => {
                    format!(" but for `{}`", Shown(other))
                }
                Some(_) | None => String::new(),
            };
            let meant = match sent.nearest.first() {
                Some(nearest) => format!("; did you mean `{}`?", Shown(nearest)),
                None => String::new(),
            };
            let held = match sent.held {
                true => format!("; {}", cx.goes_on(run, true, By::Nobody)),
                false => String::new(),
            };
            if sent.status == Status::Failed {
                let kept = format!("run {run} has failed; the signal is kept");
                return match waiting {
                    Some(step) => format!(
                        "{kept}: `{} --from {step}` takes it",
                        cx.command("retry", run)
                    ),
                    None => format!(
                        "{kept}; `{}` shows what happens next",
                        cx.command("show", run)
                    ),
                };
            }
            if sent.waits_for.as_deref() == Some(signal) {
                let delivers = match by {
                    By::Worker => "a worker delivers it",
                    By::Here | By::Nobody => "the next worker delivers it; none is running now",
                };
                return format!(
                    "run {run} waits for `{name}` but has not received it yet; the signal is kept, and {delivers}{held}"
                );
            }
            format!(
                "run {run} is {} and does not wait for `{name}` yet{waits}; the signal is kept until then{meant}{held}",
                sent.status
            )
        }
    }
}

fn parse(data: &str) -> Result<Value, Failure> {
    let (place, text) = match data.strip_prefix('@') {
        Some(file) => (file, inputs::read(Path::new(file))?),
        None => ("--data", data.to_owned()),
    };
    json::parse(&text).map_err(|error| match error {
        UnusableJson::Syntax(reason) => Failure::new(
            Code::Usage,
            format!("{} is not JSON: {reason}", Shown(place)),
        )
        .help("a string needs double quotes, and the shell needs quotes around them: --data '\"done\"'"),
        UnusableJson::Inexact(_)
        | UnusableJson::Twice(_)
        | UnusableJson::TooManyValues
        | UnusableJson::TooMuchMemory => {
            Failure::new(Code::Usage, format!("{}: {error}", Shown(place)))
        }
    })
}
