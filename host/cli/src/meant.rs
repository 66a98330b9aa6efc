//! What a person meant by a name that is not there.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt::Display;
use std::io::Read as _;
use std::path::Path;

use milepost::bundle;
use milepost::core::definition::{Definition, nearest};
use milepost::core::diagnostic::Diagnostic;
use milepost::core::ids::{Path as StepPath, RunId};
use milepost::core::labels::LabelFilter;
use milepost::core::shown::Shown;
use milepost::plugin::PluginError;
use milepost::store::{Filter, Pages, RunRow, Store};

use super::context::Context;
use super::drive::recorded_definition;
use super::failure::{Code, Failure};
use super::words::script;
use super::{ids, place};

/// `did you mean `a` or `b`?`, of the names that are near.
pub(crate) fn question<'a>(
    typed: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let near = nearest(typed, known);
    if near.is_empty() || near.iter().any(|name| name == typed) {
        return None;
    }
    Some(ask(near))
}

/// `did you mean `a` or `b`?`
pub(crate) fn ask(names: impl IntoIterator<Item: Display>) -> String {
    let names = names.into_iter().map(|name| format!("`{}`", Shown(name)));
    let names: Vec<_> = names.collect();
    format!("did you mean {}?", names.join(" or "))
}

/// The failure, with the steps that were probably meant where the run has none of that name.
pub(crate) fn step<'s>(
    failure: Failure,
    cx: &Context,
    run: &str,
    steps: impl IntoIterator<Item = &'s str>,
) -> Failure {
    let Ok(store) = place::open_to_read(&cx.store) else {
        return failure;
    };
    let Ok(run) = ids::resolve(store.as_ref(), run) else {
        return failure;
    };
    let Some(definition) = recorded_definition(store.as_ref(), &run) else {
        return failure;
    };
    let known = || definition.steps().iter().map(|step| step.id.as_str());
    let mut unknown = steps
        .into_iter()
        .filter(|step| !known().any(|id| id == *step));
    match unknown.find_map(|step| question(step, known())) {
        Some(question) => failure.help(question),
        None => failure,
    }
}

/// Whether the run knows every step that a path names, as far as its definition can be read; of one that it does not know, the ones that
/// were probably meant.
///
/// # Errors
/// [`Failure`] when there is no such step.
pub(crate) fn known_step(store: &dyn Store, run: &RunId, path: &StepPath) -> Result<(), Failure> {
    let Some(definition) = recorded_definition(store, run) else {
        return Ok(());
    };
    let known = || definition.steps().iter().map(|step| step.id.as_str());
    let named = path.segments().iter().map(|segment| segment.step.as_str());
    let mut named = named.chain([path.step().as_str()]);
    let Some(unknown) = named.find(|step| !known().any(|id| id == *step)) else {
        return Ok(());
    };
    let message = format!("run `{run}` has no step `{}`", Shown(unknown));
    let help = question(unknown, known()).unwrap_or_else(|| {
        let names: Vec<String> = known().take(NAMED).map(|id| format!("`{id}`")).collect();
        let more = match known().count() > NAMED {
            true => " and others",
            false => "",
        };
        format!("its steps are {}{more}", names.join(", "))
    });
    Err(Failure::new(Code::UnknownStep, message).help(help))
}

/// Steps that are named where none is near.
const NAMED: usize = 10;

/// The failure to find an execution; or, where the run does not even know the step, that.
pub(crate) fn at(failure: Failure, store: &dyn Store, run: &RunId, path: &str) -> Failure {
    let Ok(path) = path.parse() else {
        return failure;
    };
    known_step(store, run, &path).err().unwrap_or(failure)
}

/// Workflows of the runs in a store that were probably meant, where none has that name.
pub(crate) async fn workflow(store: &dyn Store, typed: &str) -> Option<String> {
    let names = words_of_runs(store, |row, words| {
        words.insert(row.workflow);
    });
    let names = names.await?;
    question(typed, names.iter().map(String::as_str))
}

/// Labels of the runs in a store that were probably meant, where none has that name or that value.
pub(crate) async fn label(store: &dyn Store, wanted: &[LabelFilter]) -> Option<String> {
    let written = |name: &str, value: &str| format!("{name}={value}");
    let labels = words_of_runs(store, |row, words| {
        for (name, value) in row.labels.iter() {
            words.insert(name.to_owned());
            words.insert(written(name, value));
        }
    });
    let labels = labels.await?;
    wanted.iter().find_map(|filter| {
        let typed = match &filter.value {
            Some(value) => written(&filter.name, value),
            None => filter.name.clone(),
        };
        // Of a value, values are meant.
        let alike = |label: &&String| label.contains('=') == filter.value.is_some();
        question(&typed, labels.iter().filter(alike).map(String::as_str))
    })
}

/// Words that runs of a store have, of as many runs as are looked at.
async fn words_of_runs(
    store: &dyn Store,
    take: impl Fn(RunRow, &mut BTreeSet<String>),
) -> Option<BTreeSet<String>> {
    /// Runs that are looked at.
    const LOOKED_AT: usize = 10_000;
    let mut words = BTreeSet::new();
    let mut pages = Pages::of(Filter::default());
    let mut seen = 0;
    while seen < LOOKED_AT
        && let Some(page) = pages.next(store).await.ok()?
    {
        seen += page.rows.len() + page.unreadable.len();
        for row in page.rows {
            take(row, &mut words);
        }
    }
    Some(words)
}

/// Components that cannot be used, each where the definition names it, with the file that was probably meant.
pub(crate) fn components(definition: &Path, text: &str, errors: &[PluginError]) -> Vec<Diagnostic> {
    let specs = Definition::plugins_of(text);
    let folder = definition.parent().unwrap_or(Path::new(""));
    let meant = |plugin: &String| file(&folder.join(&specs.get(plugin)?.source));
    let reasons = errors.iter().map(|error| {
        let (name, help) = match error {
            PluginError::Unavailable { name, .. } | PluginError::Missing { name, .. } => {
                (name, meant(name))
            }
            PluginError::Incompatible { name, reason } => {
                (name, script::instead(reason).map(str::to_owned))
            }
            PluginError::Refused { name, .. } => (name, None),
        };
        (name.clone(), (error.to_string(), help))
    });
    Definition::unusable(text, &reasons.collect())
}

/// Files of the folder whose names end so, and that were probably meant.
pub(crate) fn file(typed: &Path) -> Option<String> {
    let name = typed.file_name().and_then(OsStr::to_str)?;
    let folder = typed
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let entries = std::fs::read_dir(folder.unwrap_or_else(|| Path::new("."))).ok()?;
    /// Entries of a folder that are looked at.
    const LOOKED_AT: usize = 10_000;
    let names: Vec<String> = entries
        .take(LOOKED_AT)
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|known| known != name && Path::new(known).extension() == typed.extension())
        .collect();
    let near = nearest(name, names.iter().map(String::as_str));
    let files: Vec<_> = near.iter().map(|name| typed.with_file_name(name)).collect();
    (!files.is_empty()).then(|| ask(files.iter().map(|file| file.display())))
}

/// What to do with a file that is there and is no workflow.
pub(crate) fn instead(file: &Path) -> Option<String> {
    // To open a pipe is to wait for whoever writes to it.
    if !file.is_file() {
        return None;
    }
    let mut begins = [0; 4];
    let read = std::fs::File::open(file).and_then(|mut file| file.read_exact(&mut begins));
    let file = Shown(file.display());
    match begins {
        _ if read.is_err() => None,
        WASM => Some(format!(
            "it is a component: `milepost call {file} STEP` calls a step of it"
        )),
        bundle::MAGIC => Some(format!(
            "it looks like an exported run: `milepost replay {file}` executes it again, `milepost import {file}` keeps it"
        )),
        _ => None,
    }
}

/// How a component begins.
const WASM: [u8; 4] = *b"\0asm";
