//! Replay of a recorded run: folds the journal, checks that the core allows every event, and executes every attempt again
//! with its recorded input, seed and tape. No clock, no network, no side effect: the store is only read.
//!
//! The journal is read once, in order (`against`); attempts are executed beside it, on all threads of the runtime
//! (`attempt`), and only those in flight are in memory. What is found does not depend on which of them ends first.

mod against;
mod attempt;
mod checkpoint;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use milepost_core::ids::{Digest, Path, RunId};
use milepost_core::json::Difference;
use milepost_core::replay::Divergence;
use serde_json::Value;

use crate::attempt::BoxFuture;
use crate::engine::EngineError;
use crate::plugin::{LoadedPlugin, Once, PluginSource};
use crate::record;
use crate::secrets::{NoSecrets, SecretSource};
use crate::store::{Family, Filter, Pages, Store, StoreError};

pub(crate) use self::checkpoint::checkpoint_differs;

/// What a replay found.
#[derive(Debug, Clone, PartialEq)]
pub struct Replayed {
    /// The run.
    pub run: RunId,
    /// Events checked.
    pub events: u64,
    /// Attempts executed again.
    pub attempts: u64,
    /// Attempts that cannot be executed again, with the reason: no outcome was recorded, the tape outgrew its bound, a
    /// timeout depends on the machine, this machine is too slow.
    pub not_replayed: Vec<NotReplayed>,
    /// Decisions that were not compared, because values that they depend on were replaced when the run was exported.
    pub not_compared: Vec<NotCompared>,
    /// The first place where record and replay differ; null when there is none.
    pub divergence: Option<Box<Divergence>>,
    /// With other components: attempts that come to something else with them, at first.
    pub changed: Vec<Changed>,
    /// With other components: how many more come to something else.
    pub more_changed: u64,
    /// Verified: attempts of which two executions are not the same.
    pub unstable: Vec<Unstable>,
    /// The runs that it has started and that are there, in the order in which they began.
    pub children: Vec<Replayed>,
}

impl Replayed {
    /// Whether nothing differs, in its children neither.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.divergence.is_none()
            && self.changed.is_empty()
            && self.unstable.is_empty()
            && self.children.iter().all(Self::is_same)
    }

    fn nothing(run: &RunId) -> Self {
        Self {
            run: run.clone(),
            events: 0,
            attempts: 0,
            not_replayed: Vec::new(),
            not_compared: Vec::new(),
            divergence: None,
            changed: Vec::new(),
            more_changed: 0,
            unstable: Vec::new(),
            children: Vec::new(),
        }
    }
}

/// An attempt that was not executed again.
#[derive(Debug, Clone, PartialEq)]
pub struct NotReplayed {
    /// The execution.
    pub path: Path,
    /// Which attempt.
    pub attempt: u32,
    /// Why not.
    pub reason: String,
}

/// A decision that was not compared with its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotCompared {
    /// Position of the event.
    pub seq: u64,
    /// Its name.
    pub event: String,
    /// The execution, if it is about one.
    pub path: Option<Path>,
}

/// An attempt that comes to something else with another component.
#[derive(Debug, Clone, PartialEq)]
pub struct Changed {
    /// The event that ended it.
    pub seq: u64,
    /// The execution.
    pub path: Path,
    /// Which attempt.
    pub attempt: u32,
    /// Name of the component.
    pub plugin: String,
    /// How.
    pub how: Change,
}

/// How an attempt differs.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// In its outcome: the places, at first.
    Outcome(Vec<Difference>),
    /// It calls the host where the tape has no such call, so that nobody knows what it would come to.
    Unanswered {
        /// Position on the tape, from 0.
        index: usize,
        /// What the tape holds there; absent at its end.
        recorded: Option<String>,
        /// What the attempt did.
        actual: String,
    },
}

/// An attempt that is not the same when it is executed twice.
#[derive(Debug, Clone, PartialEq)]
pub struct Unstable {
    /// The execution.
    pub path: Path,
    /// Which attempt.
    pub attempt: u32,
    /// What each execution consumed.
    pub fuel: [u64; 2],
    /// What each came to.
    pub outcomes: [Value; 2],
}

/// How far a replay is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayProgress {
    /// The run.
    pub run: RunId,
    /// Events checked.
    pub events: u64,
    /// Events of the run.
    pub of: u64,
    /// Attempts executed again.
    pub attempts: u64,
}

/// What is replayed, and how.
#[derive(Clone, Copy)]
pub struct ReplayOptions<'a> {
    /// Secrets: attempts whose outcome depends on one that has no value are not executed.
    pub secrets: &'a dyn SecretSource,
    /// Only the attempts of this execution; all events are checked.
    pub only: Option<&'a Path>,
    /// Components that take the places of others, by name: only their attempts are executed, also in child runs that use the
    /// same ones, and what differs then is no divergence but [changed](Replayed::changed).
    pub with: Option<&'a BTreeMap<String, LoadedPlugin>>,
    /// Executes each attempt twice: it must consume the same fuel. For components that are
    /// [metered](crate::wasm_plugins::WasmPlugins::metered).
    pub verify: bool,
    /// Is told now and then how far it is.
    pub progress: Option<&'a (dyn Fn(ReplayProgress) + Sync)>,
}

impl Default for ReplayOptions<'_> {
    fn default() -> Self {
        Self {
            secrets: &NoSecrets,
            only: None,
            with: None,
            verify: false,
            progress: None,
        }
    }
}

/// Replays a run; one that moves, up to where it is seen first.
///
/// # Errors
/// [`EngineError`] when the record or a component cannot be read. A divergence is not an error but the result.
pub async fn replay(
    store: &Arc<dyn Store>,
    plugins: &dyn PluginSource,
    run: &RunId,
) -> Result<Replayed, EngineError> {
    replay_under(store, plugins, run, ReplayOptions::default()).await
}

/// The same where secrets have values: attempts whose outcome depends on them are executed again, too.
///
/// # Errors
/// As [`replay`].
pub async fn replay_with(
    store: &Arc<dyn Store>,
    plugins: &dyn PluginSource,
    secrets: &dyn SecretSource,
    run: &RunId,
) -> Result<Replayed, EngineError> {
    let options = ReplayOptions {
        secrets,
        ..ReplayOptions::default()
    };
    replay_under(store, plugins, run, options).await
}

/// The same under options.
///
/// # Errors
/// As [`replay`].
pub async fn replay_under(
    store: &Arc<dyn Store>,
    plugins: &dyn PluginSource,
    run: &RunId,
    options: ReplayOptions<'_>,
) -> Result<Replayed, EngineError> {
    // However often the definition was changed, each component is loaded once.
    let plugins = Once::new(plugins);
    let answer = whole(store, &plugins, run, options).await;
    let same = matches!(&answer, Ok(replayed) if replayed.is_same());
    // A run that was removed meanwhile does not differ from its record: it has none any more.
    if !same && matches!(store.row(run).await, Ok(None)) {
        return Err(StoreError::NotFound(run.clone()).into());
    }
    answer
}

async fn whole(
    store: &Arc<dyn Store>,
    plugins: &dyn PluginSource,
    run: &RunId,
    options: ReplayOptions<'_>,
) -> Result<Replayed, EngineError> {
    let mut replacing = Replacing::default();
    if let Some(with) = options.with {
        replacing.by_name.clone_from(with);
        if let Ok(recorded) = record::read(store.as_ref(), run).await {
            for (name, digest) in &recorded.state.binding().plugins {
                if let Some(plugin) = with.get(name) {
                    replacing.by_digest.insert(*digest, plugin.clone());
                }
            }
        }
    }
    with_children(store, plugins, run, options, &replacing).await
}

/// Components that take the places of others.
#[derive(Default)]
struct Replacing {
    /// In the run that was named.
    by_name: BTreeMap<String, LoadedPlugin>,
    /// In its children: what they replace there is the same component, whatever it is called.
    by_digest: BTreeMap<Digest, LoadedPlugin>,
}

/// The run, and whatever it has started, one after the other.
fn with_children<'a>(
    store: &'a Arc<dyn Store>,
    plugins: &'a dyn PluginSource,
    run: &'a RunId,
    options: ReplayOptions<'a>,
    replacing: &'a Replacing,
) -> BoxFuture<'a, Result<Replayed, EngineError>> {
    Box::pin(async move {
        let mut replayed = against::record(store, plugins, run, options, replacing).await?;
        // A path is one of the run that was named.
        if options.only.is_some() {
            return Ok(replayed);
        }
        let below = Replacing {
            by_name: BTreeMap::new(),
            by_digest: replacing.by_digest.clone(),
        };
        let mut pages = Pages::of(Filter {
            family: Family::ChildrenOf(run.clone()),
            ..Filter::default()
        });
        let mut children = Vec::new();
        while let Some(page) = pages.next(store.as_ref()).await? {
            children.extend(page.rows.into_iter().map(|row| row.id));
        }
        // The newest come first.
        for child in children.into_iter().rev() {
            replayed
                .children
                .push(with_children(store, plugins, &child, options, &below).await?);
        }
        Ok(replayed)
    })
}

/// Attempts that are in flight at once: enough that no thread waits for the one that reads the journal.
fn at_once() -> usize {
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    2 * threads
}
