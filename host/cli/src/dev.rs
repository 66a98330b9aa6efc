//! `milepost dev`: from a saved source to the same run, one step further.
//!
//! One turn builds the plugins whose sources have changed, and then starts a run, or continues the one that stands still with what the
//! files hold now. Between turns it waits for the next change, and for what the run waits for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use clap::Args;
use milepost::core::ids::RunId;
use milepost::core::limits::SIGNALS;
use milepost::core::shown::Shown;
use milepost::core::state::Status;
use milepost::engine::{OnChange, ResumeOptions};
use milepost::report::RunReport;
use milepost::store::RunRow;
use milepost::wasm_plugins::WasmPlugins;

use super::context::{Context, Reply};
use super::drive::{drive, recorded_limits, runtime, wait};
use super::exit::Exit;
use super::failure::Failure;
use super::memory_args::MemoryArgs;
use super::plugin::sources::Sources;
use super::signals::{self, Signals};
use super::start::StartArgs;
use super::watched::{self, Look};
use super::world_args::{World, WorldArgs};
use super::{ending, format, lock, place};

/// How often a run that stands still is asked whether it can continue.
const ASKS: Duration = Duration::from_secs(1);
/// Changed files that are named; the rest is counted.
const NAMED: usize = 3;

/// Run a workflow, and continue it whenever a source changes
///
/// Runs a workflow, and then waits for changes of it, of its child workflows and of the sources of its plugins. After a change it builds the
/// plugins that are older than their sources, as `milepost plugin build` does. A run that failed or paused then continues, with the files as they
/// are now, from the step where it stopped: what was completed is not done again. After a run that completed, a new one begins.
///
/// A plugin has sources when its component lies where `milepost plugin build` writes it: `words/words.wasm`. Of other plugins, the component is
/// watched. What does not build, or makes the workflow invalid, leaves the run as it was.
///
/// A paused run also continues when its time, its signal or its decision comes. Ctrl-C ends this, with the exit code of the last run.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost plugin new words --lang rust
  milepost dev words/workflow.toml --input name=Ada
  milepost dev words/workflow.toml --id r    # goes on with run r
  milepost dev words/workflow.toml --json | jq -c .status")]
pub(crate) struct DevArgs {
    #[command(flatten)]
    start: StartArgs,
    #[command(flatten)]
    memory: MemoryArgs,
    #[command(flatten)]
    pub(super) world: WorldArgs,
}

pub(super) fn run(args: &DevArgs, cx: &Context) -> Result<Reply, Failure> {
    let runtime = runtime()?;
    let mut signals = Signals::listen(Weak::new()).map_err(|error| signals::refused(&error))?;
    let mut session = Session {
        cx,
        world: args.world.read()?,
        plugins: cx.plugins_guarded(&args.memory, 1, lock::telling(cx)),
        start: args.start.clone(),
        built: BTreeMap::new(),
    };
    loop {
        // From before on: what changes meanwhile is seen.
        let before = session.look();
        let mut stands = None;
        let exit: Exit = match session.turn() {
            Ok(report) => {
                let reply = ending::reply(cx, &report);
                stands = (report.status == Status::Paused).then_some(report.id);
                reply.print()
            }
            Err(failure) => cx.fail(&failure),
        };
        // One that came meanwhile has paused the run, or ended a compiler.
        if !signals::one_came() {
            cx.note("waiting for changes; Ctrl-C ends this");
        }
        let goes_on = runtime.block_on(async {
            tokio::select! {
                biased;
                _ = signals.next() => false,
                now = watched::change(&before, || session.look()) => {
                    session.tell(&now, &before);
                    true
                }
                () = can_continue(cx, stands.as_ref()) => true,
            }
        });
        if !goes_on {
            return Ok(Reply::text(exit, ""));
        }
    }
}

/// What stays from turn to turn.
struct Session<'a> {
    cx: &'a Context,
    world: World,
    plugins: Arc<WasmPlugins>,
    /// How the next run begins; its id is that of the run that is there.
    start: StartArgs,
    /// Components that were built here, and how their sources were before.
    built: BTreeMap<PathBuf, Look>,
}

impl Session<'_> {
    /// Builds what has changed, and starts or continues a run.
    fn turn(&mut self) -> Result<RunReport, Failure> {
        self.build()?;
        let ended = match self.standing() {
            Some(run) => self.resume(run),
            None => self.begin(),
        };
        if let Ok(report) = &ended {
            let stands = matches!(report.status, Status::Failed | Status::Paused);
            self.start.id = stands.then(|| report.id.clone());
        }
        ended
    }

    /// Builds the plugins whose sources have changed.
    fn build(&mut self) -> Result<(), Failure> {
        for sources in plugins_of(&self.files()) {
            let now = Look::at(sources.files());
            // What was saved during the last build is older than its component.
            let stale = match self.built.get(sources.component()) {
                Some(before) => *before != now,
                None => sources.is_stale(),
            };
            if stale {
                let built = sources.build(self.cx)?;
                self.cx.note(built.text());
            }
            self.built.insert(sources.component().to_owned(), now);
        }
        Ok(())
    }

    /// The run that is there and can continue.
    fn standing(&self) -> Option<RunId> {
        let id = self.start.id.as_ref()?;
        let row = row(self.cx, id)?;
        (!matches!(row.status, Status::Completed | Status::Cancelled)).then(|| id.clone())
    }

    fn begin(&self) -> Result<RunReport, Failure> {
        let start = self.start.clone();
        let prepared = start.prepare(Arc::clone(&self.plugins), self.cx)?;
        prepared.drive(&self.world, self.cx)
    }

    fn resume(&self, run: RunId) -> Result<RunReport, Failure> {
        let store = place::open_existing(&self.cx.store)?;
        let limits = recorded_limits(store.as_ref(), &run);
        let plugins = Arc::clone(&self.plugins);
        drive(
            self.cx,
            store,
            plugins,
            &self.world,
            limits,
            |engine, control| async move {
                let on_change = OnChange::Accept;
                engine
                    .resume(&run, ResumeOptions { on_change, control })
                    .await
            },
        )
    }

    /// The workflow with its child workflows and components.
    fn files(&self) -> BTreeSet<PathBuf> {
        let mut files = BTreeSet::new();
        watched::add(&self.start.file, &mut files);
        files
    }

    /// What the run depends on: of a plugin with sources, those, because its component is built here.
    fn look(&self) -> Look {
        let mut files = self.files();
        for sources in plugins_of(&files) {
            files.remove(sources.component());
            files.extend(sources.files());
        }
        Look::at(files)
    }

    fn tell(&self, now: &Look, before: &Look) {
        let changed = now.changed_since(before);
        let mut names: Vec<String> = changed
            .iter()
            .take(NAMED)
            .map(|file| Shown(file.display()).to_string())
            .collect();
        let more = changed.len().saturating_sub(NAMED);
        names.extend((more > 0).then(|| format!("{more} more")));
        self.cx.note(format!("changed: {}", format::list(&names)));
    }
}

/// Those of the components that have sources.
fn plugins_of(files: &BTreeSet<PathBuf>) -> Vec<Sources> {
    files.iter().filter_map(|file| Sources::of(file)).collect()
}

/// The row of a run, if it is there and can be read.
fn row(cx: &Context, run: &RunId) -> Option<RunRow> {
    let store = place::open_to_read(&cx.store).ok()?;
    wait(store.row(run)).ok()?
}

/// Waits until a paused run has what it waited for; for ever, where none is.
async fn can_continue(cx: &Context, run: Option<&RunId>) {
    let Some(run) = run else {
        return std::future::pending().await;
    };
    loop {
        tokio::time::sleep(ASKS).await;
        if is_ready(cx, run).await.unwrap_or(false) {
            return;
        }
    }
}

async fn is_ready(cx: &Context, run: &RunId) -> Option<bool> {
    let store = place::open_to_read(&cx.store).ok()?;
    let row = store.row(run).await.ok()??;
    if row.status != Status::Paused {
        return Some(false);
    }
    if row
        .due_at
        .is_some_and(|due| due <= SystemTime::now().into())
    {
        return Some(true);
    }
    let inbox = store.inbox(run, SIGNALS).await.ok()?;
    Some(inbox.iter().any(|signal| row.awaits.contains(&signal.name)))
}
