//! A run in the foreground: drives it to where it does not move, shows progress, and obeys signals.

use std::future::Future;
use std::sync::{Arc, OnceLock};

use milepost::Engine;
use milepost::core::definition::Definition;
use milepost::core::ids::RunId;
use milepost::engine::{Control, Demand, EngineError};
use milepost::plugin::PluginSource;
use milepost::record;
use milepost::report::RunReport;
use milepost::store::Store;
use milepost::store::sqlite::SqliteStore;
use tokio::runtime::{Builder, Runtime};

use super::context::Context;
use super::failure::{Code, Failure};
use super::progress::{Limits, Progress};
use super::signals::{self, Orders};
use super::words::advice::command;
use super::world_args::World;

/// Builds the engine and lets `work` drive a run with it. The first SIGINT or SIGTERM pauses the run (B165); a second one
/// drops the work and closes the store, which releases the claim.
///
/// # Errors
/// [`Failure`] when there is no run to report on.
pub(crate) fn drive<W, F>(
    cx: &Context,
    store: Arc<SqliteStore>,
    plugins: Arc<dyn PluginSource>,
    world: &World,
    limits: Limits,
    work: W,
) -> Result<RunReport, Failure>
where
    W: FnOnce(Engine, Control) -> F,
    F: Future<Output = Result<RunReport, EngineError>>,
{
    let progress = Progress::new(limits, cx.err, cx.lively);
    drive_telling(cx, store, plugins, world, progress, work)
}

/// The same with other words on the way.
///
/// # Errors
/// As [`drive`].
pub(crate) fn drive_telling<W, F>(
    cx: &Context,
    store: Arc<SqliteStore>,
    plugins: Arc<dyn PluginSource>,
    world: &World,
    progress: Progress,
    work: W,
) -> Result<RunReport, Failure>
where
    W: FnOnce(Engine, Control) -> F,
    F: Future<Output = Result<RunReport, EngineError>>,
{
    let progress = Arc::new(progress);
    let observer: Arc<Progress> = Arc::clone(&progress);
    // Weak: whoever drops the engine closes the store.
    let held = Arc::downgrade(&store);
    let builder = Engine::builder(store, plugins).observer(observer);
    let engine = world.around(builder).build();
    let control = Control::default();
    let (context, shown) = (cx.clone(), Arc::clone(&progress));
    let orders = Orders {
        control: control.clone(),
        stages: &[(Demand::PauseNow, "pausing; a second signal stops at once")],
        give_up: Box::new(move |signal| {
            shown.finish();
            context.fail(&stopped_at_once(signal))
        }),
    };
    let runtime = runtime()?;
    // The work owns the engine and with it the store: dropping it closes both.
    let ended = runtime.block_on(signals::obey(orders, held, work(engine, control)));
    // What still blocks a thread has nothing to say any more.
    runtime.shutdown_background();
    progress.finish();
    match ended {
        Ok(Ok(ended)) => ended.map_err(Failure::from),
        Ok(Err(signal)) => Err(stopped_at_once(signal)),
        Err(error) => Err(signals::refused(&error)),
    }
}

fn stopped_at_once(signal: &str) -> Failure {
    let message = format!("stopped by a second {signal} before the pause was saved");
    Failure::new(Code::Stopped, message).help(
        command("ls")
            .text(" shows the status of the run, ")
            .command("resume")
            .text(" continues it from its last checkpoint"),
    )
}

/// The "of n" of a recorded run. Without them progress is shown all the same, so whatever is wrong with the record is left
/// for the engine to tell.
pub(crate) fn recorded_limits(store: &dyn Store, run: &RunId) -> Limits {
    let definition = recorded_definition(store, run);
    definition.as_ref().map(Limits::of).unwrap_or_default()
}

/// The definition that a run carries, if it can be read.
pub(crate) fn recorded_definition(store: &dyn Store, run: &RunId) -> Option<Definition> {
    let text = wait(async {
        let recorded = record::load(store, run).await?;
        Ok::<_, EngineError>(record::definition_text(store, &recorded.state).await?)
    });
    let parsed = text.and_then(|text| Ok(Definition::reread("", &text)?));
    Some(parsed.ok()?.definition)
}

/// Waits for an answer of a store or an engine, for verbs that have nothing else to do meanwhile: one runtime for all of
/// them.
///
/// # Errors
/// What the answer says; [`Failure`] when there is no runtime.
pub(crate) fn wait<T, E: Into<Failure>>(
    answer: impl Future<Output = Result<T, E>>,
) -> Result<T, Failure> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let runtime = match RUNTIME.get() {
        Some(runtime) => runtime,
        None => {
            let started = runtime()?;
            RUNTIME.get_or_init(|| started)
        }
    };
    runtime.block_on(answer).map_err(Into::into)
}

/// One thread: a run is one chain of steps, guests give way at every time slice, and a second thread would only cost time
/// at the start.
///
/// # Errors
/// [`Failure`] when the operating system gives no timer or no signal pipe.
pub(crate) fn runtime() -> Result<Runtime, Failure> {
    started(&mut Builder::new_current_thread())
}

/// A runtime of that kind.
///
/// # Errors
/// [`Failure`] when the operating system has no thread, no timer or no file left for it.
pub(crate) fn started(kind: &mut Builder) -> Result<Runtime, Failure> {
    kind.enable_all().build().map_err(|error| {
        let message = format!("the runtime cannot be started: {error}");
        Failure::new(Code::EngineUnavailable, message)
            .help("the limits of this process are too low (`ulimit -a`), or the system has nothing left to give")
    })
}
