//! `milepost fork` and `rerun`: a new run of what another one was, with the outcomes that it has recorded before a step, or none.

use clap::Args;
use milepost::core::ids::{Path, RunId, StepId};
use milepost::engine::{ForkOptions, OnChange};

use super::context::{Context, Reply};
use super::drive::{drive, recorded_definition};
use super::failure::{Code, Failure};
use super::inputs::InputArgs;
use super::memory_args::MemoryArgs;
use super::progress::Limits;
use super::words::advice::command;
use super::world_args::WorldArgs;
use super::{ending, ids, meant, place};

/// Start a new run that keeps the outcomes of another one before a step
///
/// Starts a run of the same workflow that keeps what another run has recorded before a step, and runs from that step on: in a
/// sequence this step and all after it, in a graph this step and all that need it. The other run stays as it is, whatever its status;
/// it must not be running. Its outcomes are shared, not copied, and the new run keeps them when the other one is removed.
///
/// Other steps run again, too, where there is no outcome to keep: what failed, was open, or was compensated, steps with `finally` or
/// `always_run`, and what depends on these. A loop or a fan-out is kept whole or runs again as a whole.
///
/// The new run takes the inputs of the other one, but for those that are given. An outcome is not kept beside another value of an
/// input that it comes of: name the step that reads the input, too.
///
/// The new run has an id of its own, and so have the idempotency keys of its steps: a step that runs again does its work again. What
/// the kept steps did belongs to the other run: `compensate` and `cancel --compensate` of the new one do not undo it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost fork 7k3m --from publish
  milepost fork 7k3m --from draft --input tone=formal
  milepost fork 7k3m --from fetch --from draft --input model=large
  milepost fork 7k3m --from draft --accept-changes  # with the files as they are")]
pub(crate) struct ForkArgs {
    /// Id of the run, or a unique prefix
    run: String,
    /// Step to run from, at the top level or inside of a loop or fan-out, which then runs again as a whole; may be repeated
    #[arg(long, value_name = "STEP", required = true, allow_hyphen_values = true, value_parser = step)]
    from: Vec<StepId>,
    #[command(flatten)]
    new: NewRun,
}

/// Run the same workflow again, as a new run
///
/// Starts a new run with the definition, the components and the inputs of another run, whatever its status; it must not be running.
/// Nothing is kept of what the other one has done, unless `--from` names the step to run from: that is what `milepost fork` does.
///
/// To go on with a run that stopped, see `milepost resume` and `milepost retry`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost rerun 7k3m
  milepost rerun 7k3m --input tone=formal
  milepost rerun 7k3m --from publish
  milepost rerun 7k3m --accept-changes    # with what the files hold now")]
pub(crate) struct RerunArgs {
    /// Id of the run, or a unique prefix
    run: String,
    /// Step to run from; what was done before it is kept [default: the first one]
    #[arg(long, value_name = "STEP", allow_hyphen_values = true, value_parser = step)]
    from: Vec<StepId>,
    #[command(flatten)]
    new: NewRun,
}

/// The new run, as far as it is not as the other one.
#[derive(Debug, Args)]
struct NewRun {
    #[command(flatten)]
    inputs: InputArgs,
    /// Id of the new run; if it already exists as the same fork, the answer is that run
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    id: Option<RunId>,
    /// Use the definition and components that the run carries, whatever the files hold now
    #[arg(long)]
    as_started: bool,
    /// Use the definition and components that the files hold now
    #[arg(long, conflicts_with = "as_started")]
    accept_changes: bool,
    #[command(flatten)]
    memory: MemoryArgs,
    #[command(flatten)]
    world: WorldArgs,
}

/// A step that the definition names. One iteration or one item of it is not taken alone.
fn step(text: &str) -> Result<StepId, String> {
    let refused = match StepId::new(text) {
        Ok(id) => return Ok(id),
        Err(refused) => refused,
    };
    let Ok(path) = text.parse::<Path>() else {
        return Err(refused.to_string());
    };
    let outermost = &path.segments()[0].step;
    Err(format!(
        "it is one execution of a step; a loop or a fan-out runs again as a whole: `--from {outermost}`"
    ))
}

impl ForkArgs {
    pub(super) fn world(&self) -> &WorldArgs {
        &self.new.world
    }
}

impl RerunArgs {
    pub(super) fn world(&self) -> &WorldArgs {
        &self.new.world
    }
}

pub(super) fn fork(args: ForkArgs, cx: &Context) -> Result<Reply, Failure> {
    let (run, from) = (args.run, args.from);
    let started = start(&run, from.clone(), args.new, cx);
    started.map_err(|failure| meant::step(failure, cx, &run, from.iter().map(StepId::as_str)))
}

pub(super) fn rerun(args: RerunArgs, cx: &Context) -> Result<Reply, Failure> {
    let (run, from) = (args.run, args.from);
    let started = start(&run, from.clone(), args.new, cx);
    started.map_err(|failure| meant::step(failure, cx, &run, from.iter().map(StepId::as_str)))
}

/// Starts the new run; without a step to run from, all of them run again.
fn start(run: &str, from: Vec<StepId>, args: NewRun, cx: &Context) -> Result<Reply, Failure> {
    let world = args.world.read()?;
    let store = place::open_existing(&cx.store)?;
    let run = ids::resolve(store.as_ref(), run)?;
    let Some(definition) = recorded_definition(store.as_ref(), &run) else {
        let message = format!("the definition of run {run} cannot be read");
        return Err(Failure::new(Code::DamagedRecord, message)
            .help(command("doctor").text(" lists all damage")));
    };
    let mut given = args.inputs.read(&definition)?;
    let problems = std::mem::take(&mut given.problems);
    if !problems.is_empty() {
        return Err(Failure::inputs(problems));
    }
    let mut inputs = given.inputs.clone();
    let files = given.keep(store.as_ref())?;
    inputs
        .arguments
        .retain(|(name, _)| !files.contains_key(name));
    inputs.file.extend(files);
    let on_change = match (args.as_started, args.accept_changes) {
        (true, _) => OnChange::AsStarted,
        (false, true) => OnChange::Accept,
        (false, false) => OnChange::Ask,
    };
    let limits = Limits::of(&definition);
    world.warn_idle(cx, &definition);
    let plugins = cx.plugins_within(&args.memory, 1);
    let id = args.id;
    let from = match from.is_empty() {
        true => definition
            .main()
            .iter()
            .map(|index| definition.steps()[*index].id.clone())
            .collect(),
        false => from,
    };
    let report = drive(
        cx,
        store,
        plugins,
        &world,
        limits,
        |engine, control| async move {
            let options = ForkOptions {
                id,
                on_change,
                control,
            };
            engine.fork(&run, &from, &inputs, options).await
        },
    )?;
    Ok(ending::reply(cx, &report))
}
