//! `milepost replay`: executes recorded runs again, against the record or with other components.

mod all;
mod told;

use std::collections::BTreeMap;
use std::path::{Path as FilePath, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Args;
use milepost::core::ids::{Path, RunId};
use milepost::core::shown::Shown;
use milepost::core::time::parse_duration;
use milepost::engine::EngineError;
use milepost::plugin::{ComponentBytes, LoadedPlugin, PluginSource};
use milepost::record;
use milepost::replay::{ReplayOptions, ReplayProgress, Replayed, replay_under};
use milepost::secrets::SecretSource;
use milepost::store::Store;
use milepost::wasm::read_component;
use milepost::wasm_plugins::{WasmPlugins, is_script};
use tokio::runtime::{Builder, Runtime};

use super::context::{Context, Reply};
use super::drive::{started, wait};
use super::exit::Exit;
use super::failure::{Code, Failure};
use super::world_args::SecretArgs;
use super::{documents, format, meant, moment, narration, place, recorded, shell};

/// Execute a recorded run again and compare
///
/// Executes a recorded run again, on all cores, and compares every decision and every output with the record.
///
/// Steps get their recorded input, time, random numbers and answers, and touch nothing outside. Exit code 4 means that
/// something differs; the first difference is shown. Where an output depends on the value of a secret, it is needed again.
///
/// With `--with`, another version of a component takes the place of the one in the record: what its steps would have returned
/// in this history, which of them differ, and how. A call of the host that the history has no answer to is listed as such, and
/// counts as a difference: nobody knows what comes of it. `--all` does that over the store, before a deployment.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost replay 7k3m
  milepost replay run.mpr
  milepost replay 7k3m --step fix#2/test
  milepost replay 7k3m --with orders=build/orders.wasm
  milepost replay --all --workflow orders --since 7d --with orders=orders.wasm
  milepost replay 7k3m --verify
  milepost replay 7k3m --json | jq .divergence")]
pub(crate) struct ReplayArgs {
    /// Id of the run, or a unique prefix; or a file that `export` wrote, which needs no store
    #[arg(
        value_name = "RUN|FILE",
        required_unless_present = "all",
        conflicts_with = "all"
    )]
    run: Option<String>,
    /// Replay all runs of the store, their child runs included
    #[arg(long)]
    all: bool,
    /// With --all: only runs of this workflow
    #[arg(long, value_name = "NAME", requires = "all")]
    workflow: Option<String>,
    /// With --all: only runs whose last event is not older, such as `24h` or `7d`
    #[arg(long, value_name = "DURATION", requires = "all", value_parser = |text: &str| parse_duration(text))]
    since: Option<Duration>,
    /// Execute only this step execution, all its attempts
    #[arg(long, value_name = "PATH", conflicts_with = "all")]
    step: Option<String>,
    /// Execute this component in place of the one that the definition calls NAME; may be repeated
    #[arg(long, value_name = "NAME=FILE", value_parser = replacement)]
    with: Vec<(String, PathBuf)>,
    /// Execute each attempt twice: both must return the same and consume the same fuel
    #[arg(long)]
    verify: bool,
    #[command(flatten)]
    secrets: SecretArgs,
}

impl ReplayArgs {
    /// The options of a replay of one of the runs, as they were given: without them it may differ nowhere.
    fn as_given(&self) -> String {
        let mut options = String::new();
        for (name, file) in &self.with {
            let mut replacement = name.clone().into_bytes();
            replacement.push(b'=');
            replacement.extend(file.as_os_str().as_encoded_bytes());
            options += &format!(" --with {}", shell::word_of_bytes(&replacement));
        }
        if self.verify {
            options += " --verify";
        }
        options
    }
}

fn replacement(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() && !file.is_empty() => {
            Ok((name.to_owned(), file.into()))
        }
        _ => Err("write NAME=FILE: the name of a plugin in the definition, and a component".into()),
    }
}

pub(super) fn run(args: &ReplayArgs, cx: &Context) -> Result<Reply, Failure> {
    let plugins = match args.verify {
        true => Arc::new(cx.components().metered()),
        false => cx.plugins(),
    };
    let with = others(&plugins, &args.with)?;
    let replaying = Replaying {
        cx,
        secrets: args.secrets.read()?,
        with: (!with.is_empty()).then_some(with),
        plugins,
        verify: args.verify,
        runtime: runtime()?,
    };
    if args.all {
        let store = place::open_to_read(&cx.store)?;
        return all::run(args, &replaying, &(store as Arc<dyn Store>));
    }
    let (store, run) = opened(args, cx)?;
    replaying.uses(&store, &run)?;
    let step = args.step.as_deref().map(moment::path).transpose()?;
    let replayed = replaying.replay(&store, &run, step.as_ref())?;
    if let Some(path) = &step
        && replayed.attempts == 0
        && replayed.not_replayed.is_empty()
        && replayed.is_same()
    {
        let message = format!("no attempt at `{path}` in run `{run}` can be executed again");
        let failure = Failure::new(Code::NotBegun, message);
        return Err(meant::at(failure, store.as_ref(), &run, &path.to_string()));
    }
    Ok(cx.reply(
        exit(replayed.is_same()),
        || documents::Replay::from(&replayed),
        || told::one(cx, &replayed),
    ))
}

const fn exit(same: bool) -> Exit {
    match same {
        true => Exit::Completed,
        false => Exit::Diverged,
    }
}

/// The run that is meant, and the store that it is in.
fn opened(args: &ReplayArgs, cx: &Context) -> Result<(Arc<dyn Store>, RunId), Failure> {
    recorded::open(cx, args.run.as_deref().unwrap_or_default())
}

/// The components that take the places of others.
fn others(
    plugins: &WasmPlugins,
    named: &[(String, PathBuf)],
) -> Result<BTreeMap<String, LoadedPlugin>, Failure> {
    let named = named.iter();
    named
        .map(|(name, file)| Ok((name.clone(), other(plugins, name, file)?)))
        .collect()
}

fn other(plugins: &WasmPlugins, name: &str, file: &FilePath) -> Result<LoadedPlugin, Failure> {
    if is_script(file) {
        return Ok(plugins.load(&plugins.read_file(name, file)?)?);
    }
    let read = read_component(file).map_err(|error| Failure::file("read", file, &error))?;
    let bytes = read.map_err(|rejection| {
        let message = format!("cannot use {}: {rejection}", Shown(file.display()));
        Failure::new(Code::PluginIncompatible, message)
    })?;
    let component = ComponentBytes::new(name, file.display().to_string(), bytes);
    Ok(plugins.load(&component)?)
}

/// Attempts are executed beside the journal, on all cores.
fn runtime() -> Result<Runtime, Failure> {
    started(&mut Builder::new_multi_thread())
}

/// How runs are replayed.
struct Replaying<'a> {
    cx: &'a Context,
    secrets: Arc<dyn SecretSource>,
    with: Option<BTreeMap<String, LoadedPlugin>>,
    plugins: Arc<WasmPlugins>,
    verify: bool,
    runtime: Runtime,
}

impl Replaying<'_> {
    fn replay(
        &self,
        store: &Arc<dyn Store>,
        run: &RunId,
        step: Option<&Path>,
    ) -> Result<Replayed, Failure> {
        let told = Told::default();
        let progress = |progress| told.tell(&progress);
        let options = ReplayOptions {
            secrets: self.secrets.as_ref(),
            only: step,
            with: self.with.as_ref(),
            verify: self.verify,
            progress: Some(&progress),
        };
        let replayed = replay_under(store, self.plugins.as_ref(), run, options);
        Ok(self.runtime.block_on(replayed)?)
    }

    /// Whether the run has the components that are to be replaced.
    fn uses(&self, store: &Arc<dyn Store>, run: &RunId) -> Result<(), Failure> {
        let Some(with) = &self.with else {
            return Ok(());
        };
        let recorded = wait(async {
            let recorded = record::load(store.as_ref(), run).await;
            recorded.map_err(EngineError::from)
        })?;
        let has = &recorded.state.binding().plugins;
        match with.keys().find(|name| !has.contains_key(*name)) {
            None => Ok(()),
            Some(name) => {
                let message = format!("run `{run}` has no plugin `{}`", Shown(name));
                let names: Vec<String> = has.keys().map(|name| format!("`{name}`")).collect();
                let near = meant::question(name, has.keys().map(String::as_str));
                let help = near.unwrap_or_else(|| match names.is_empty() {
                    true => "it has none".to_owned(),
                    false => format!("it has {}", names.join(", ")),
                });
                Err(Failure::new(Code::Usage, message).help(help))
            }
        }
    }
}

/// A replay that takes long says how far it is.
struct Told(Mutex<Instant>);

/// How often.
const EVERY: Duration = Duration::from_secs(2);

impl Default for Told {
    fn default() -> Self {
        Self(Mutex::new(Instant::now()))
    }
}

impl Told {
    fn tell(&self, progress: &ReplayProgress) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.elapsed() < EVERY {
            return;
        }
        *last = Instant::now();
        let attempts = format::count(progress.attempts, "attempt");
        let line = format!(
            "run {}: {} of {} events, {attempts}",
            progress.run, progress.events, progress.of
        );
        narration::say(&line.into());
    }
}
