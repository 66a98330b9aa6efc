//! `milepost call`: one call of one step, of which nothing is kept.
//!
//! The engine calls it, as the only step of a workflow that this file makes, on a store in a temporary folder: what may be
//! reached, limits, checks of values and time-outs are those of any run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Args;
use milepost::StartOptions;
use milepost::attempt::{BoxFuture, Call, CallResult, Callable};
use milepost::core::definition::PluginSpec;
use milepost::core::diagnostic::{Diagnostic, Diagnostics, Severity};
use milepost::core::ids::Digest;
use milepost::core::limits::INPUTS_BYTES;
use milepost::core::outcome::{Outcome, StepError};
use milepost::core::shown::{self, Shown};
use milepost::core::tape::TapeEntry;
use milepost::plugin::{ComponentBytes, LoadedPlugin, PluginError, PluginSource};
use milepost::report::RunReport;
use milepost::workflow::{OpenError, Workflow};
use serde_json::Value;
use toml::Table;

use super::context::{Context, Reply, bare};
use super::documents::{Called, CalledHost, LogEntry};
use super::drive::drive_telling;
use super::exit::Exit;
use super::failure::{Code, Failure};
use super::memory_args::MemoryArgs;
use super::progress::Progress;
use super::text::Text;
use super::world_args::WorldArgs;
use super::{format, inputs, meant, place, stdin, words, world};

/// Call one step of a component
///
/// Calls one step, or one function that a component exports, without a workflow and without a store: nothing of it is kept.
///
/// What it returns goes to stdout; what it logs, how long it took, its memory and its calls of the host go to stderr. It may reach
/// nothing that `--allow` does not name, and it is called once: what it would be tried again for fails it here.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost call text.wasm greet --input '{ \"name\": \"Ada\" }'
  milepost call math.wasm outliers --input @numbers.json
  jq .order run.json | milepost call shop.wasm check --input -
  milepost call shop.wasm load --allow 'kv = [\"orders\"]'
  milepost call shop.wasm load --json | jq .memory_bytes")]
pub(crate) struct CallArgs {
    /// The component's file
    component: PathBuf,
    /// Its step, or a function that it exports, such as `example:math/ops#add`; not needed where it has only one
    step: Option<String>,
    /// The input as a JSON object; `@file` reads it from a file, `-` from stdin
    #[arg(
        long,
        short,
        value_name = "JSON",
        default_value = "{}",
        allow_hyphen_values = true
    )]
    input: String,
    /// What it may reach: a line of `[plugins.NAME.allow]`, such as `artifacts = true`; may be repeated
    #[arg(long, value_name = "TOML", value_parser = table)]
    allow: Vec<Table>,
    /// A setting of the plugin: a line of `[plugins.NAME.config]`, such as `region = "north"`; may be repeated
    #[arg(long, value_name = "TOML", value_parser = table)]
    config: Vec<Table>,
    /// How long it may take, such as `30s`
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = duration)]
    timeout: String,
    #[command(flatten)]
    memory: MemoryArgs,
    #[command(flatten)]
    pub(super) world: WorldArgs,
}

fn table(text: &str) -> Result<Table, String> {
    text.parse::<Table>()
        .map_err(|error| error.message().to_owned())
}

/// As it was written, if it is one.
fn duration(text: &str) -> Result<String, String> {
    match milepost::core::time::parse_duration(text) {
        Ok(length) if length.is_zero() => Err("it must be longer than zero".to_owned()),
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// What the definition calls the component, and its only step.
const PLUGIN: &str = "component";
const STEP: &str = "call";

/// Where the definition stands, for messages.
const FILE: &str = "the call";

pub(super) fn run(args: &CallArgs, cx: &Context) -> Result<Reply, Failure> {
    let world = args.world.read()?;
    let input = read_input(&args.input)?;
    let source = Watched::new(cx.plugins_within(&args.memory, 1));
    let text = args.definition(&input, &source)?;
    let linked = Workflow::link(Path::new(FILE), &text, &source);
    let workflow = linked.map_err(|error| match error {
        // The definition is made up: places in it tell nothing.
        OpenError::Unusable { cause, .. } => Failure::from(*cause),
        OpenError::Invalid(problems) => args.refused(&problems),
        other => other.into(),
    })?;
    let values = Value::Array(input.into_iter().map(|(_, value)| value).collect());
    let inputs = BTreeMap::from([(VALUES.to_owned(), values)]);
    let unkept = |error: std::io::Error| {
        Failure::new(
            Code::StoreUnavailable,
            format!("no temporary folder could be made: {error}"),
        )
    };
    let folder = tempfile::tempdir().map_err(unkept)?;
    let store = place::open_or_create(folder.path())?;
    world.warn_idle(cx, &workflow.definition);
    let seen = Arc::clone(&source.seen);
    let report = drive_telling(
        cx,
        store,
        Arc::new(source),
        &world,
        Progress::of_logs(cx.err),
        |engine, control| async move {
            let options = StartOptions {
                control,
                ..StartOptions::default()
            };
            engine.run(workflow, inputs, options).await
        },
    )?;
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner).take();
    Ok(reply(args, cx, &report, seen))
}

/// The input of the workflow that holds the values of the step's input, in their order: their names may be any text.
const VALUES: &str = "values";

impl CallArgs {
    /// A workflow that calls the step.
    fn definition(
        &self,
        input: &[(String, Value)],
        source: &dyn PluginSource,
    ) -> Result<String, Failure> {
        let file = std::path::absolute(&self.component)
            .map_err(|error| Failure::file("read", &self.component, &error))?;
        let of = |pairs: &[(&str, toml::Value)]| -> Table {
            let pairs = pairs.iter().cloned();
            pairs.map(|(key, value)| (key.to_owned(), value)).collect()
        };
        let Some(path) = file.to_str() else {
            let message = format!("the path {} is not UTF-8", Shown(file.display()));
            return Err(Failure::new(Code::Usage, message));
        };
        let mut plugin = of(&[("source", path.into())]);
        for (key, given) in [("allow", &self.allow), ("config", &self.config)] {
            let all: Table = given.iter().flatten().map(owned).collect();
            plugin.insert(key.to_owned(), all.into());
        }
        let mut step = of(&[
            ("id", STEP.into()),
            ("use", PLUGIN.into()),
            ("timeout", self.timeout.as_str().into()),
        ]);
        let once = [("max_attempts", 1.into()), ("then", "fail".into())];
        step.insert("retry".to_owned(), of(&once).into());
        if let Some(name) = &self.step {
            match self.is_function(name, path, source)? {
                true => step.insert("call".to_owned(), name.as_str().into()),
                false => step.insert("use".to_owned(), format!("{PLUGIN}/{name}").into()),
            };
        }
        let with: Table = (0..)
            .zip(input)
            .map(|(at, (name, _)): (usize, _)| {
                let value = format!("${{ inputs.{VALUES}[{at}] }}");
                (name.clone(), value.into())
            })
            .collect();
        if !with.is_empty() {
            step.insert("with".to_owned(), with.into());
        }
        let secrets = self.secrets();
        if !secrets.is_empty() {
            step.insert("secrets".to_owned(), secrets.into());
        }
        let definition = of(&[
            ("schema", 1.into()),
            ("name", STEP.into()),
            (
                "inputs",
                of(&[(VALUES, of(&[("type", "json".into())]).into())]).into(),
            ),
            ("plugins", of(&[(PLUGIN, plugin.into())]).into()),
            ("step", vec![toml::Value::Table(step)].into()),
        ]);
        toml::to_string(&definition)
            .map_err(|error| Failure::internal(format!("the call cannot be written: {error}")))
    }

    /// What is wrong with the call, of problems of the definition: nobody has written that, so nobody is shown it.
    fn refused(&self, problems: &Diagnostics) -> Failure {
        let component = format!("`{}`", Shown(self.component.display()));
        let about = |message: &str| {
            let message = message.replace(&format!("plugin `{PLUGIN}`"), &component);
            message.replace(", so `use` must name one", ": name one")
        };
        let errors = || {
            let errors = problems.items.iter();
            errors.filter(|problem| problem.severity == Severity::Error)
        };
        let messages: Vec<String> = errors().map(|problem| about(&problem.message)).collect();
        let helps = errors().filter_map(|problem| match problem.candidates.is_empty() {
            true => problem.help.as_deref().map(about),
            false => Some(meant::ask(&problem.candidates)),
        });
        let helps: Vec<String> = helps.collect();
        let of_input = |problem: &Diagnostic| problem.code.starts_with("MP05");
        let code = match errors().all(of_input) {
            true => Code::InvalidInput,
            false => Code::InvalidDefinition,
        };
        let failure = Failure::new(code, messages.join("; "));
        match helps.is_empty() {
            true => failure,
            false => failure.help(helps.join("; ")),
        }
    }

    /// Whether a name is that of a function of the component, and not of a step.
    fn is_function(
        &self,
        name: &str,
        path: &str,
        source: &dyn PluginSource,
    ) -> Result<bool, Failure> {
        let spec = PluginSpec {
            source: path.to_owned(),
            digest: None,
            config: Arc::default(),
            grants: Arc::default(),
            validate: true,
        };
        let shown = self.component.display().to_string();
        let read = source.read(&shown, &spec, Path::new("")).map_err(|error| {
            let gone = matches!(error, PluginError::Unavailable { .. });
            let failure = Failure::from(error);
            match gone.then(|| meant::file(&self.component)).flatten() {
                Some(question) => failure.help(question),
                None => failure,
            }
        })?;
        let loaded = source.load(&read)?;
        let manifest = loaded.manifest.as_ref();
        let is_step = manifest.is_some_and(|manifest| manifest.steps.contains_key(name));
        Ok(!is_step && (loaded.functions.alone || loaded.functions.find(name).is_ok()))
    }

    /// The secrets that it may have, all of which it gets.
    fn secrets(&self) -> Vec<toml::Value> {
        let mut all: Vec<toml::Value> = Vec::new();
        for (key, value) in self.allow.iter().flatten() {
            let names = value
                .as_array()
                .filter(|_| key == "secrets" || key == "secrets-reveal");
            for name in names.into_iter().flatten() {
                if !all.contains(name) {
                    all.push(name.clone());
                }
            }
        }
        all
    }
}

fn owned((key, value): (&String, &toml::Value)) -> (String, toml::Value) {
    (key.clone(), value.clone())
}

/// The members of the input, in the order of their names.
fn read_input(given: &str) -> Result<Vec<(String, Value)>, Failure> {
    let text = match given.strip_prefix('@') {
        Some(file) => inputs::read(Path::new(file))?,
        None if given == "-" => from_stdin()?,
        None => given.to_owned(),
    };
    let refused = |why: String| {
        Failure::new(Code::InvalidInput, format!("the input {why}")).help(
            "write it as `--input '{ \"name\": \"Ada\" }'`, `--input @file.json` or `--input -`",
        )
    };
    let input = milepost::core::json::parse(&text)
        .map_err(|error| refused(format!("cannot be read: {error}")))?;
    match input {
        Value::Object(members) => Ok(members.into_iter().collect()),
        other => Err(refused(format!(
            "is not a JSON object: {}",
            format::excerpt(&other)
        ))),
    }
}

fn from_stdin() -> Result<String, Failure> {
    let text = stdin::read(INPUTS_BYTES)
        .map_err(|error| Failure::new(Code::File, format!("cannot read stdin: {error}")))?;
    text.ok_or_else(|| {
        let most = shown::bytes(INPUTS_BYTES as u64);
        let message = format!("the input on stdin is larger than {most}");
        Failure::new(Code::InvalidInput, message)
    })
}

fn reply(args: &CallArgs, cx: &Context, report: &RunReport, seen: Option<Seen>) -> Reply {
    let recorded = report.steps.iter().find(|step| step.path == STEP);
    let error = recorded.and_then(|step| step.error.clone());
    let result = seen.as_ref().map(|seen| &seen.result);
    let pause = result.and_then(|result| match &result.outcome {
        Outcome::Paused(pause) => Some(pause.clone()),
        _ => None,
    });
    let calls = result.map_or(&[][..], |result| &result.tape.entries);
    let calls: Vec<CalledHost> = calls.iter().map(called).collect();
    let took = seen.as_ref().map(|seen| seen.took);
    let memory = result.and_then(|result| result.memory);
    cx.note(summary(cx, report, error.as_ref(), &calls, took, memory));
    let document = || Called {
        component: args.component.display().to_string(),
        step: args.step.clone().unwrap_or_else(|| {
            seen.as_ref()
                .map_or_else(String::new, |seen| seen.step.clone())
        }),
        status: report.status.as_str(),
        output: report.output.clone(),
        error: error.clone(),
        pause: pause.clone(),
        logs: result
            .map_or(&[][..], |result| &result.logs)
            .iter()
            .map(|line| LogEntry::of(STEP.to_owned(), 1, line))
            .collect(),
        calls: calls.into_iter().collect(),
        took_millis: took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
        memory_bytes: memory,
    };
    let exit = Exit::from(report.status);
    let completed = exit == Exit::Completed;
    let output = completed.then(|| bare(&report.output));
    cx.reply(exit, document, || output.unwrap_or_default())
}

/// Calls of the host that are told; `--json` has all.
const TOLD: usize = 20;

/// How it ended, and what it used.
fn summary(
    cx: &Context,
    report: &RunReport,
    error: Option<&StepError>,
    calls: &[CalledHost],
    took: Option<Duration>,
    memory: Option<u64>,
) -> Text {
    let status = cx.err.status(report.status, report.status.as_str());
    let mut used: Vec<String> = Vec::new();
    used.extend(took.map(|took| format!("after {}", format::length(took))));
    used.extend(memory.map(|bytes| format!("{} of memory", shown::bytes(bytes))));
    used.push(format::count(calls.len(), "host call"));
    let between = if took.is_some() { " " } else { ", " };
    let mut lines = vec![status + format!("{between}{}", used.join(", "))];
    lines.extend(error.map(|error| Text::from(format!("  {}", format::error(error, cx.verbose)))));
    let help = error.and_then(words::help);
    lines.extend(help.map(|help| Text::from(format!("  help: {help}"))));
    if error.is_none() {
        let stop = report.stop.as_ref().map(words::stop::message);
        lines.extend(stop.map(|stop| Text::from(format!("  {stop}"))));
    }
    let told = calls.iter().take(TOLD).map(|call| {
        Text::from(match call {
            CalledHost::Host(call) => format!("  {}", world::said(call)),
            CalledHost::Small { call, about } => format!("  {call}: {about}"),
        })
        .one_line()
    });
    lines.extend(told);
    let more = calls.len().saturating_sub(TOLD);
    lines.extend((more > 0).then(|| Text::from(format!("  and {more} more; `--json` lists all"))));
    Text::joined(lines, "\n")
}

fn called(entry: &TapeEntry) -> CalledHost {
    let (call, about) = match entry {
        TapeEntry::Host(call) => return CalledHost::Host(world::document(call)),
        TapeEntry::WallClock { nanos } => ("clock.now", format!("{nanos} ns")),
        TapeEntry::MonotonicClock { nanos } => ("clock.monotonic", format!("{nanos} ns")),
        TapeEntry::Sleep { millis } => ("clock.sleep", format!("{millis} ms")),
        TapeEntry::CancelRequested { requested } => {
            ("context.cancel-requested", requested.to_string())
        }
        TapeEntry::Responses { waiting, arrived } => (
            "wasi:http",
            format!("{} of {} answered", arrived.len(), waiting.len()),
        ),
    };
    CalledHost::Small { call, about }
}

/// What the engine got from the component, before it made a record of it.
struct Seen {
    step: String,
    result: CallResult,
    took: Duration,
}

type LastSeen = Arc<Mutex<Option<Seen>>>;

/// A source of components whose calls are looked at. A call is no use by a workflow: no lock is asked.
struct Watched<S> {
    source: Arc<S>,
    seen: LastSeen,
}

impl<S: PluginSource> Watched<S> {
    fn new(source: Arc<S>) -> Self {
        let seen = LastSeen::default();
        Self { source, seen }
    }

    fn watch(&self, plugin: LoadedPlugin) -> LoadedPlugin {
        let callable = plugin.callable;
        let seen = Arc::clone(&self.seen);
        LoadedPlugin {
            callable: Arc::new(WatchedCalls { callable, seen }),
            ..plugin
        }
    }
}

impl<S: PluginSource> PluginSource for Watched<S> {
    fn read(
        &self,
        name: &str,
        spec: &PluginSpec,
        base: &Path,
    ) -> Result<ComponentBytes, PluginError> {
        self.source.read(name, spec, base)
    }

    fn load(&self, component: &ComponentBytes) -> Result<LoadedPlugin, PluginError> {
        self.source.load(component).map(|plugin| self.watch(plugin))
    }

    fn loaded(&self, digest: &Digest) -> Option<LoadedPlugin> {
        self.source.loaded(digest).map(|plugin| self.watch(plugin))
    }

    fn takes_long(&self) -> bool {
        self.source.takes_long()
    }
}

struct WatchedCalls {
    callable: Arc<dyn Callable>,
    seen: LastSeen,
}

impl Callable for WatchedCalls {
    fn call(&self, call: Call) -> BoxFuture<'_, CallResult> {
        Box::pin(async move {
            let step = call.step.to_string();
            let begun = Instant::now();
            let result = self.callable.call(call).await;
            let seen = Seen {
                step,
                result: result.clone(),
                took: begun.elapsed(),
            };
            *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
            result
        })
    }
}
