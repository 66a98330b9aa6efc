//! `milepost eval`: an expression over a recorded run.

use clap::Args;
use milepost::core::ids::Path;
use milepost::core::question;
use milepost::engine::EngineError;
use milepost::history::{self, HistoryError, Moment};
use milepost::record;

use super::context::{Context, Reply, bare};
use super::documents::{AsOf, Evaluated};
use super::drive::wait;
use super::exit::Exit;
use super::failure::Failure;
use super::ids;
use super::moment::{self, MomentArgs};

/// Evaluate an expression over a recorded run
///
/// Evaluates an expression of the workflow language over a recorded run, as it is or as it was.
///
/// The expression may read inputs, all steps and the run; as a step sees it (`--at-step`, `--as-step`), also `loop`, `item` and
/// `item_index`. Nothing is executed and nothing is changed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost eval 7k3m 'steps.fetch.output.items[0]'
  milepost eval 7k3m 'size(steps.get.output) > 3 && run.status == \"failed\"'
  milepost eval 7k3m 'loop.previous' --at-step fix#2/test
  milepost eval 7k3m 'steps.fetch.status' --at 12 --json | jq .value")]
pub(crate) struct EvalArgs {
    /// Id of the run, or a unique prefix
    run: String,
    /// The expression, without `${ }`
    expression: String,
    #[command(flatten)]
    moment: MomentArgs,
    /// As this step execution sees the run; --at-step implies it
    #[arg(long, value_name = "PATH")]
    as_step: Option<String>,
}

pub(super) fn run(args: &EvalArgs, cx: &Context) -> Result<Reply, Failure> {
    let engine = cx.engine_to_read()?;
    let store = engine.store();
    let run = ids::resolve(store.as_ref(), &args.run)?;
    let moment = args.moment.read()?;
    let seen_from: Option<Path> = match (&args.as_step, &moment) {
        (Some(typed), _) => Some(moment::path(typed)?),
        (None, Some(Moment::Step(path))) => Some(path.clone()),
        (None, _) => None,
    };
    let (state, as_of) = match &moment {
        None => {
            let recorded = wait(async {
                let recorded = record::load(store.as_ref(), &run).await;
                recorded.map_err(EngineError::from)
            })?;
            (recorded.state, None)
        }
        Some(moment) => {
            let past = wait::<_, HistoryError>(history::at(store.as_ref(), &run, moment))?;
            let as_of = AsOf::from(&past);
            (past.state, Some(as_of))
        }
    };
    let definition = wait(engine.frozen(&state))?;
    let value = question::ask(&definition, &state, seen_from.as_ref(), &args.expression)
        .map_err(Failure::expression)?;
    let document = || Evaluated {
        id: run.clone(),
        expression: args.expression.clone(),
        path: seen_from.clone(),
        as_of,
        value: value.clone(),
    };
    Ok(cx.reply(Exit::Completed, document, || bare(&value)))
}
