//! `milepost plugin build`: from sources to a component that is known to run here.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use milepost::core::shown::Shown;
use milepost::wasm::Inspection;
use milepost_componentize::Kept;

use super::compile::{Job, compile};
use super::finish::finish;
use super::language::{self, Language};
use super::pack::ModuleArgs;
use crate::context::{Context, Reply};
use crate::documents::{BuiltPlugin, Component, PluginChange};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::{component, format};
use milepost::whole_file;

/// Build the plugin in a folder
///
/// Finds the language, runs its compiler, makes a component of what that wrote, checks it against the contract, asks it for its
/// manifest and embeds the answer. Tells its size, steps and capabilities, and what of those is new.
///
/// A compiler that is missing is named, with the command that installs it (exit code 69). Nothing is downloaded, but what
/// cargo needs.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost plugin build
  milepost plugin build words -o plugins/words.wasm
  milepost plugin build words --debug            # with what `symbolize` reads
  milepost plugin build words -- --features csv  # for the compiler")]
pub(crate) struct BuildArgs {
    /// The folder of the plugin
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    #[command(flatten)]
    how: HowArgs,
}

/// How a plugin is built.
#[derive(Debug, Default, Args)]
pub(super) struct HowArgs {
    /// File to write [default: DIR/NAME.wasm, named as the folder is]
    #[arg(long, short, value_name = "OUT")]
    output: Option<PathBuf>,
    /// The language, when the files do not tell
    #[arg(long, value_name = "LANGUAGE", value_enum, hide_possible_values = true)]
    lang: Option<Language>,
    /// Keep debug information
    #[arg(long)]
    debug: bool,
    #[command(flatten)]
    module: ModuleArgs,
    /// Arguments for the compiler
    #[arg(last = true, value_name = "ARG")]
    more: Vec<OsString>,
}

/// A plugin that was built.
pub(crate) struct Built {
    language: Language,
    file: PathBuf,
    inspection: Inspection,
    before: Option<Inspection>,
    took: Duration,
}

pub(super) fn run(args: &BuildArgs, cx: &Context) -> Result<Reply, Failure> {
    let built = build(&args.folder, &args.how, cx)?;
    Ok(cx.reply(Exit::Completed, || built.document(), || built.text()))
}

impl HowArgs {
    /// Where the component of a folder is written.
    pub(super) fn output(&self, folder: &Path) -> PathBuf {
        self.output.clone().unwrap_or_else(|| {
            let file = format!("{}.wasm", language::name(folder));
            match folder == Path::new(".") {
                true => file.into(),
                false => folder.join(file),
            }
        })
    }

    /// The language of a folder.
    pub(super) fn language(&self, folder: &Path) -> Result<Language, Failure> {
        self.lang.map_or_else(|| Language::of(folder), Ok)
    }
}

/// Builds the plugin in a folder.
///
/// # Errors
/// [`Failure`]. What was built before stays as it is then.
pub(super) fn build(folder: &Path, how: &HowArgs, cx: &Context) -> Result<Built, Failure> {
    let begun = Instant::now();
    let language = how.language(folder)?;
    let scratch = tempfile::tempdir()
        .map_err(|error| Failure::file("write", &std::env::temp_dir(), &error))?;
    let job = Job {
        folder,
        scratch: scratch.path(),
        more: &how.more,
        world: &how.module.world()?,
        cx,
    };
    let compiled = compile(language, &job)?;
    let options = how.module.options(compiled.wasi, compiled.encoding)?;
    let kept = if how.debug { Kept::Debug } else { Kept::Names };
    let finished = finish(&compiled.bytes, &options, kept, how.module.pure, cx)?;
    let file = how.output(folder);
    let before = component::read(&file)
        .ok()
        .and_then(|bytes| Inspection::of(&bytes).ok());
    whole_file::replace(&file, &finished.bytes)
        .map_err(|error| Failure::file("write", &file, &error))?;
    Ok(Built {
        language,
        file,
        inspection: finished.inspection,
        before,
        took: begun.elapsed(),
    })
}

impl Built {
    pub(super) fn document(&self) -> BuiltPlugin {
        BuiltPlugin {
            language: self.language,
            took_millis: u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX),
            component: Component::new(&self.file, &self.inspection),
            change: self.before.as_ref().map(|before| PluginChange {
                bytes_before: before.bytes,
                steps: Difference::of(&steps(before), &steps(&self.inspection)).into(),
                capabilities: Difference::of(&before.capabilities, &self.inspection.capabilities)
                    .into(),
            }),
        }
    }

    /// What was built, and what has changed, for a person.
    pub(crate) fn text(&self) -> String {
        let now = &self.inspection;
        let before = self.before.as_ref();
        let told = |names: &[String], before: Option<Vec<String>>| {
            let all = match names {
                [] => "none".to_owned(),
                names => names.join(", "),
            };
            let change = before.map(|before| Difference::of(&before, names).to_string());
            Shown(all + &change.unwrap_or_default()).to_string()
        };
        let size = match before.map(|before| before.bytes) {
            Some(before) if before != now.bytes => {
                let sign = if before > now.bytes { '-' } else { '+' };
                format!(" ({sign}{})", before.abs_diff(now.bytes))
            }
            _ => String::new(),
        };
        [
            format!(
                "built {} ({}, {})",
                Shown(self.file.display()),
                self.language.name(),
                format::length(self.took)
            ),
            format!("  size:         {} bytes{size}", now.bytes),
            format!("  steps:        {}", told(&steps(now), before.map(steps))),
            format!(
                "  capabilities: {}",
                told(
                    &now.capabilities,
                    before.map(|before| before.capabilities.clone())
                )
            ),
        ]
        .join("\n")
    }
}

fn steps(inspection: &Inspection) -> Vec<String> {
    let manifest = inspection.manifest.iter();
    manifest
        .flat_map(|manifest| manifest.steps.keys().map(ToString::to_string))
        .collect()
}

/// What is new in a list, and what is gone.
struct Difference {
    added: Vec<String>,
    removed: Vec<String>,
}

impl Difference {
    fn of(before: &[String], now: &[String]) -> Self {
        let without = |of: &[String], others: &[String]| {
            let left = of.iter().filter(|name| !others.contains(name));
            left.cloned().collect()
        };
        Self {
            added: without(now, before),
            removed: without(before, now),
        }
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts = [("new", &self.added), ("gone", &self.removed)];
        let told = parts.iter().filter(|(_, names)| !names.is_empty());
        let told: Vec<String> = told
            .map(|(word, names)| format!("{word}: {}", names.join(", ")))
            .collect();
        match told.is_empty() {
            true => Ok(()),
            false => write!(f, " ({})", told.join("; ")),
        }
    }
}

impl From<Difference> for crate::documents::ListChange {
    fn from(difference: Difference) -> Self {
        Self {
            added: difference.added,
            removed: difference.removed,
        }
    }
}
