//! `milepost work`: drives runs that nobody drives, until it is told to stop.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use milepost::Engine;
use milepost::core::shown::Shown;
use milepost::engine::{Control, Demand, WorkOptions, Worked};
use tokio::runtime::{Builder, Runtime};

use super::context::{Context, Reply};
use super::documents;
use super::drive::started;
use super::exit::Exit;
use super::failure::{Code, Failure};
use super::format;
use super::memory_args::MemoryArgs;
use super::place;
use super::progress::Several;
use super::signals::{self, Orders};
use super::world_args::WorldArgs;

/// How long interrupted runs have to give back their claims at the end.
const GIVING_BACK: Duration = Duration::from_secs(1);

/// Drive runs that are new, due or abandoned
///
/// A worker starts runs that were submitted, resumes paused runs when their time or their signal comes, and takes over runs
/// whose process died. Any number of workers can share a store. A worker reports on stderr how each run starts and ends;
/// with `--verbose`, also what its steps do and log.
///
/// On SIGINT, SIGTERM or SIGHUP a worker lets the steps in flight finish, releases their runs for other workers, and exits
/// with 0. A second signal interrupts the steps, a third one ends the program within a second.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost work
  milepost work --max-runs 16 --memory 4GiB
  milepost work --until-idle    # for a timer: do what is due now, then exit")]
pub(crate) struct WorkArgs {
    /// Number of runs to drive at once
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    max_runs: u16,
    /// Exit when nothing is left to do now; runs that are due later stay for the next time
    #[arg(long)]
    until_idle: bool,
    #[command(flatten)]
    memory: MemoryArgs,
    #[command(flatten)]
    pub(super) world: WorldArgs,
}

pub(super) fn run(args: &WorkArgs, cx: &Context) -> Result<Reply, Failure> {
    let world = args.world.read()?;
    let store = place::open_or_create(&cx.store)?;
    let held = Arc::downgrade(&store);
    let progress = Arc::new(Several::new(cx.err, cx.verbose));
    let builder = Engine::builder(store, cx.plugins_within(&args.memory, args.max_runs));
    let engine = world.around(builder.observer(progress)).build();
    let control = Control::default();
    let options = WorkOptions {
        max_runs: usize::from(args.max_runs),
        until_idle: args.until_idle,
        control: control.clone(),
    };
    let context = cx.clone();
    let orders = Orders {
        control,
        stages: &[
            (
                Demand::Release,
                "letting steps in flight finish; a second signal interrupts them",
            ),
            (
                Demand::ReleaseNow,
                "interrupting steps in flight; a third signal stops at once",
            ),
        ],
        give_up: Box::new(move |signal| context.fail(&stopped_at_once(signal))),
    };
    let words = format!(
        "working on {}, up to {} at once",
        Shown(cx.store.display()),
        format::count(args.max_runs, "run")
    );
    let runtime = runtime()?;
    let worked = runtime.block_on(signals::obey(orders, held, async move {
        // Only now: whoever reads this may send a signal at once.
        cx.note(words);
        engine.work(options).await
    }));
    // Runs that are interrupted give back their claims; a thread that is blocked does not keep the others.
    runtime.shutdown_timeout(GIVING_BACK);
    let worked = worked
        .map_err(|error| signals::refused(&error))?
        .map_err(stopped_at_once)?;
    if let Some(gone) = worked.store_gone {
        return Err(Failure::store_gone(gone));
    }
    Ok(cx.reply(
        Exit::Completed,
        || documents::Worked::from(&worked),
        || text(&worked),
    ))
}

fn stopped_at_once(signal: &str) -> Failure {
    let message = format!("stopped by a third {signal} before all runs were released");
    Failure::new(Code::Stopped, message).help("another worker takes them over")
}

fn text(worked: &Worked) -> String {
    let mut parts: Vec<String> = worked
        .ended
        .iter()
        .map(|(status, count)| format!("{count} {status}"))
        .collect();
    if worked.unsaved > 0 {
        parts.push(format!("{} could not be saved", worked.unsaved));
    }
    if worked.refused > 0 {
        parts.push(format!("{} could not start", worked.refused));
    }
    if worked.recovered > 0 {
        parts.push(format!("{} taken over", worked.recovered));
    }
    let parts = if parts.is_empty() {
        String::new()
    } else {
        format!(": {}", parts.join(", "))
    };
    format!("{} taken{parts}", format::count(worked.taken, "run"))
}

/// Several threads: a guest that computes holds the thread that it is on for a time slice, and runs are independent.
fn runtime() -> Result<Runtime, Failure> {
    started(&mut Builder::new_multi_thread())
}

#[cfg(test)]
mod tests {
    use milepost::core::state::Status;

    use super::*;

    #[test]
    fn runs_that_could_not_be_saved_are_told_apart_from_failed_ones() {
        let worked = Worked {
            taken: 3,
            ended: [(Status::Completed, 1), (Status::Failed, 1)].into(),
            unsaved: 1,
            ..Worked::default()
        };
        assert_eq!(
            text(&worked),
            "3 runs taken: 1 completed, 1 failed, 1 could not be saved"
        );
    }
}
