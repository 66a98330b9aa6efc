//! What a shell asks while a person types: ids of runs, their steps and signals, and codes, beside the verbs and options.
//!
//! The script of a shell (`milepost completions bash`) calls the program for each answer, with [`VARIABLE`] set and the words of the
//! command line. Answers come from the store as it is; where it cannot be read there are none, and nothing is said.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::OnceLock;

use clap::Command;
use clap_complete::engine::{
    ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter,
};
use clap_complete::env::{Bash, Elvish, EnvCompleter, Fish, Powershell, Zsh};
use clap_complete::{CompleteEnv, Shell};
use milepost::core::definition::{CODES, Definition};
use milepost::core::ids::RunId;
use milepost::core::shown::Shown;
use milepost::core::state::Status;
use milepost::store::{Filter, Store};

use super::drive::{recorded_definition, wait};
use super::words::explain;
use super::{args, named, place};

/// Says which shell asks.
const VARIABLE: &str = "MILEPOST_COMPLETE";

/// The name that is completed.
const NAME: &str = "milepost";

/// Runs that are offered, the latest.
const RUNS: usize = 100;

/// Answers a shell, if one asks. Then there is nothing else to do.
///
/// # Errors
/// What is wrong with the question, or with stdout.
pub(crate) fn answer(line: &[OsString]) -> Result<bool, String> {
    if std::env::var_os(VARIABLE).is_none() {
        return Ok(false);
    }
    let _ = LINE.set(Line::of(line));
    let folder = std::env::current_dir().ok();
    CompleteEnv::with_factory(command)
        .var(VARIABLE)
        .bin(NAME)
        .completer(NAME)
        .try_complete(line.to_vec(), folder.as_deref())
        .map_err(|error| error.to_string())
}

/// The script that makes a shell ask.
///
/// # Errors
/// None that a script in memory can have.
pub(crate) fn script(shell: Shell) -> std::io::Result<String> {
    let shell: &dyn EnvCompleter = match shell {
        Shell::Elvish => &Elvish,
        Shell::Fish => &Fish,
        Shell::PowerShell => &Powershell,
        Shell::Zsh => &Zsh,
        _ => &Bash,
    };
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, NAME, NAME, NAME, &mut script)?;
    Ok(String::from_utf8_lossy(&script).into_owned())
}

/// The command line, with what answers for its arguments.
fn command() -> Command {
    args::command().mut_subcommands(|verb| {
        let statuses = acts_on(verb.get_name());
        let names_workflows = NAME_WORKFLOWS.contains(&verb.get_name());
        let is_explain = verb.get_name() == "explain";
        let is_signal = verb.get_name() == "signal";
        verb.mut_args(|arg| {
            let of_runs = arg
                .get_value_names()
                .is_some_and(|names| names.iter().any(|name| *name == "RUN"));
            match arg.get_id().as_str() {
                "run" | "runs" | "from_run" => arg.add(completer(move |_| runs(statuses))),
                "from" | "step" | "at_step" | "as_step" => arg.add(completer(|_| steps())),
                "name" if is_signal => arg.add(completer(|_| signals())),
                "code" if is_explain => arg.add(completer(|_| codes())),
                "file" | "files" if names_workflows => arg.add(ArgValueCompleter::new(workflows)),
                _ if of_runs => arg.add(completer(move |_| runs(statuses))),
                _ => arg,
            }
        })
    })
}

/// Verbs whose file is a definition, which can have a name.
const NAME_WORKFLOWS: [&str; 7] = [
    "run", "submit", "dev", "graph", "dry-run", "secrets", "validate",
];

/// Workflows by their names, and paths.
fn workflows(typed: &OsStr) -> Vec<CompletionCandidate> {
    let named = named::all().unwrap_or_default();
    let begun = typed.to_str().unwrap_or_default();
    let named = named
        .iter()
        .filter(|one| !one.hidden && one.name.starts_with(begun));
    let mut all: Vec<CompletionCandidate> = named
        .map(|one| CompletionCandidate::new(&one.name).help(Some(one.source.word().into())))
        .collect();
    all.extend(PathCompleter::any().complete(typed));
    all
}

/// Offers those that begin with what is there.
fn completer(
    all: impl Fn(&str) -> Vec<CompletionCandidate> + Send + Sync + 'static,
) -> ArgValueCompleter {
    ArgValueCompleter::new(move |typed: &OsStr| {
        let Some(typed) = typed.to_str() else {
            return Vec::new();
        };
        let mut all = all(typed);
        all.retain(|one| {
            let value = one.get_value().to_str();
            value.is_some_and(|value| value.starts_with(typed))
        });
        all
    })
}

/// The runs that a verb can do something with; none means all of them.
fn acts_on(verb: &str) -> &'static [Status] {
    match verb {
        "resume" => &[
            Status::Pending,
            Status::Running,
            Status::Paused,
            Status::Failed,
        ],
        "retry" => &[Status::Paused, Status::Failed],
        "compensate" => &[Status::Failed],
        "approve" | "reject" => &[Status::Running, Status::Paused],
        "pause" => &[Status::Running],
        "kill" => &[Status::Pending, Status::Running, Status::Paused],
        "cancel" => &[
            Status::Pending,
            Status::Running,
            Status::Paused,
            Status::Failed,
        ],
        "signal" => &[Status::Pending, Status::Running, Status::Paused],
        _ => &[],
    }
}

/// What stands on the command line that is completed.
struct Line {
    store: Option<PathBuf>,
    words: Vec<String>,
}

static LINE: OnceLock<Line> = OnceLock::new();

impl Line {
    /// Of the program's own line: behind `--` stands the one that is completed.
    fn of(line: &[OsString]) -> Self {
        let typed = line.iter().skip_while(|word| *word != "--").skip(1);
        let words: Vec<String> = typed
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        let mut store = None;
        for (at, word) in words.iter().enumerate() {
            store = match word.strip_prefix("--store=") {
                Some(folder) => Some(folder.into()),
                None if word == "--store" => words.get(at + 1).map(PathBuf::from),
                None => store,
            };
        }
        Self { store, words }
    }
}

fn store() -> Option<std::sync::Arc<dyn Store>> {
    let named = LINE.get().and_then(|line| line.store.clone());
    place::open_to_read(&place::store(named)).ok()
}

fn runs(statuses: &[Status]) -> Vec<CompletionCandidate> {
    let Some(store) = store() else {
        return Vec::new();
    };
    let filter = Filter {
        statuses: statuses.to_vec(),
        limit: RUNS,
        ..Filter::default()
    };
    let Ok(page) = wait(store.list(&filter)) else {
        return Vec::new();
    };
    let runs = page.rows.iter().enumerate();
    runs.map(|(at, row)| {
        let about = format!("{}, {}", Shown(&row.workflow), row.status.as_str());
        CompletionCandidate::new(row.id.as_str())
            .help(Some(about.into()))
            .display_order(Some(at))
    })
    .collect()
}

/// The definition of the run that the line names.
fn definition() -> Option<Definition> {
    let store = store()?;
    // The first words are the program and the verb; what no run has as its id is an option, or the value of one.
    let words = LINE.get()?.words.iter().skip(2);
    let mut ids = words.filter_map(|word| RunId::new(word).ok());
    ids.find_map(|id| {
        let found = wait(store.ids_with_prefix(id.as_str(), 2)).ok()?;
        match found.as_slice() {
            [one] => recorded_definition(store.as_ref(), one),
            several if several.contains(&id) => recorded_definition(store.as_ref(), &id),
            _ => None,
        }
    })
}

fn steps() -> Vec<CompletionCandidate> {
    let definition = definition();
    let steps = definition.iter().flat_map(Definition::steps).enumerate();
    steps
        .map(|(at, step)| CompletionCandidate::new(step.id.as_str()).display_order(Some(at)))
        .collect()
}

fn signals() -> Vec<CompletionCandidate> {
    let definition = definition();
    let signals = definition.iter().flat_map(Definition::signals);
    signals.map(CompletionCandidate::new).collect()
}

fn codes() -> Vec<CompletionCandidate> {
    let of_definitions = CODES
        .iter()
        .map(|known| CompletionCandidate::new(known.code).help(Some(known.title.into())));
    of_definitions
        .chain(explain::words().map(CompletionCandidate::new))
        .collect()
}
