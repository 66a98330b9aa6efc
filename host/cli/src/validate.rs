//! `milepost validate`: every problem of every file, before anything runs.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use milepost::core::definition::{Around, Definition, Imports, Manifests};
use milepost::core::diagnostic::Diagnostics;
use milepost::core::shown::Shown;
use milepost::plugin::{PluginError, PluginSource, read_pinned};
use milepost::wasm::Inspection;
use milepost::workflow::{children, read_definition};

use super::context::{Context, Reply};
use super::documents::{self, Problem, Refused, Validated, located};
use super::exit::Exit;
use super::failure::{Code, Failure};
use super::text::Text;
use super::{lock, meant, named};

/// Check definitions without running them
///
/// Checks definitions and the components that they name, without running anything.
///
/// In a folder, every TOML file with a `schema` line or a `[[step]]` is checked; others that look like workflows are named.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost validate                   # all below this folder
  milepost validate workflow.toml
  milepost validate flows/ --no-components
  milepost validate . --json | jq '.files[] | select(.ok | not)'")]
pub(crate) struct ValidateArgs {
    /// Definitions, folders with definitions, or names of workflows
    #[arg(value_name = "FILE|DIR|NAME", default_value = ".")]
    files: Vec<PathBuf>,
    /// Do not check the components
    #[arg(long)]
    no_components: bool,
}

/// What was found in one file.
struct Checked {
    file: PathBuf,
    /// Why the file could not be looked at.
    unreadable: Option<String>,
    /// Warnings included, and components that cannot be used.
    diagnostics: Option<Diagnostics>,
    components: Vec<PluginError>,
}

pub(super) fn run(args: &ValidateArgs, cx: &Context) -> Result<Reply, Failure> {
    let (mut files, mut skipped) = (Vec::new(), Vec::new());
    for path in &args.files {
        if path.is_dir() {
            collect(path, &mut files, &mut skipped)
                .map_err(|error| Failure::file("read", path, &error))?;
        } else {
            files.push(named::file(path, cx)?);
        }
    }
    for file in &skipped {
        let file = Shown(file.display());
        cx.note(format!(
            "{file} is not checked: it looks like a workflow, and has neither a `schema` line nor a `[[step]]`; `milepost validate {file}` tells what to write"
        ));
    }
    if files.is_empty() {
        return Err(Failure::new(Code::NoDefinitions, "no definitions found")
            .help("a definition is a TOML file with a `schema` line"));
    }
    let plugins = cx.plugins();
    let source = (!args.no_components).then_some(plugins.as_ref() as &dyn PluginSource);
    let checked: Vec<Checked> = files.iter().map(|file| Checked::of(file, source)).collect();
    lock::tell_unused(cx, &files);
    let bad = checked.iter().filter(|checked| !checked.is_ok()).count();
    let exit = if bad == 0 {
        Exit::Completed
    } else {
        Exit::Invalid
    };
    let document = || Validated {
        ok: bad == 0,
        files: checked.iter().map(Checked::document).collect(),
    };
    Ok(cx.reply(exit, document, || {
        let plural = if files.len() == 1 { "file" } else { "files" };
        let end = match bad {
            0 => format!("{} {plural} checked, no errors", files.len()),
            _ => format!("{} {plural} checked, {bad} with errors", files.len()),
        };
        let texts = checked.iter().map(|checked| checked.text(cx));
        Text::joined(texts.chain([end.into()]), "\n")
    }))
}

/// Definitions below a folder, in the order of their names, and what only looks like one. Hidden folders are left alone, and links are
/// not followed.
fn collect(
    folder: &Path,
    files: &mut Vec<PathBuf>,
    skipped: &mut Vec<PathBuf>,
) -> std::io::Result<()> {
    let mut entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() && !entry.file_name().as_encoded_bytes().starts_with(b".") {
            collect(&path, files, skipped)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "toml")
            && !super::test::is_test_file(&path)
        {
            match Looks::of(&path) {
                Looks::Definition => files.push(path),
                Looks::Alike => skipped.push(path),
                Looks::Other => {}
            }
        }
    }
    Ok(())
}

/// Whether a TOML file is a definition by its looks.
pub(crate) fn is_definition(file: &Path) -> bool {
    matches!(Looks::of(file), Looks::Definition)
}

/// What a TOML file looks like, without reading it as TOML.
enum Looks {
    Definition,
    /// A workflow in the words of another tool.
    Alike,
    Other,
}

impl Looks {
    /// Other TOML files stand beside definitions. One that cannot be read counts, so that it is told about.
    fn of(file: &Path) -> Self {
        let Ok(text) = read_definition(file) else {
            return Self::Definition;
        };
        let text = text.trim_start_matches('\u{feff}');
        let lines = || text.lines().map(str::trim_start);
        let is_key = |line: &str, key: &str| {
            let rest = line.strip_prefix(key).map(str::trim_start);
            rest.is_some_and(|rest| rest.starts_with('='))
        };
        let alike = [
            "[steps",
            "[[steps",
            "[[tasks",
            "[tasks.",
            "[[jobs",
            "[jobs",
            "[plugins.",
        ];
        if lines().any(|line| line.starts_with("[[step]]") || is_key(line, "schema")) {
            Self::Definition
        } else if lines().any(|line| alike.iter().any(|word| line.starts_with(word))) {
            Self::Alike
        } else {
            Self::Other
        }
    }
}

impl Checked {
    /// Checks one file; `source` loads its components.
    fn of(file: &Path, source: Option<&dyn PluginSource>) -> Self {
        let mut checked = Self {
            file: file.to_owned(),
            unreadable: None,
            diagnostics: None,
            components: Vec::new(),
        };
        let text = match read_definition(file) {
            Ok(text) => text,
            Err(error) => {
                checked.unreadable = Some(error.to_string());
                return checked;
            }
        };
        let shown = file.display().to_string();
        let mut imports = Imports::new();
        let manifests = source.map(|source| checked.manifests(&text, source, &mut imports));
        let around = Around {
            manifests: manifests.as_ref(),
            children: Some(&children(file, &text, source)),
        };
        let parsed = Definition::parse_with(&shown, &text, around);
        let mut diagnostics =
            parsed.map_or_else(|diagnostics| diagnostics, |parsed| parsed.diagnostics());
        if let Some(manifests) = &manifests {
            let grants = Definition::compare_grants(&text, &imports, manifests);
            let all = [diagnostics.items, grants].concat();
            let unusable = meant::components(file, &text, &checked.components);
            let all = [all, unusable].concat();
            diagnostics = Diagnostics::new(&shown, diagnostics.text, all);
        }
        checked.diagnostics = Some(diagnostics);
        checked
    }

    fn manifests(
        &mut self,
        text: &str,
        source: &dyn PluginSource,
        imports: &mut Imports,
    ) -> Manifests {
        let mut manifests = Manifests::new();
        for (name, spec) in &Definition::plugins_of(text) {
            let read = read_pinned(source, name, spec, &self.file);
            let loaded = read.and_then(|component| {
                if let Ok(inspection) = Inspection::of(&component.bytes) {
                    imports.insert(name.clone(), inspection.capabilities);
                }
                source.load(&component)
            });
            match loaded {
                Ok(plugin) => drop(manifests.insert(name.clone(), plugin.offer())),
                Err(error) => self.components.push(error),
            }
        }
        manifests
    }

    fn is_ok(&self) -> bool {
        let errors = self
            .diagnostics
            .as_ref()
            .is_some_and(Diagnostics::has_errors);
        self.unreadable.is_none() && !errors && self.components.is_empty()
    }

    fn text(&self, cx: &Context) -> Text {
        let file = Shown(self.file.display());
        let error = || cx.out.red("error:") + " ";
        let mut lines = Vec::new();
        lines.extend(self.unreadable.iter().map(|reason| error() + reason));
        let found = self.diagnostics.as_ref();
        let found = found.filter(|found| !found.items.is_empty());
        lines.extend(found.map(|found| Text::diagnostics(found, cx.out.is_on())));
        if self.is_ok() {
            lines.push(cx.out.green("ok") + format!(" {file}"));
        }
        Text::joined(lines, "\n")
    }

    fn document(&self) -> documents::Checked {
        let report = self.diagnostics.as_ref().map(Diagnostics::report);
        let components = self.components.iter().map(|error| {
            let (code, plugin) = match error {
                PluginError::Unavailable { name, .. } | PluginError::Missing { name, .. } => {
                    (Code::PluginUnavailable, name)
                }
                PluginError::Incompatible { name, .. } => (Code::PluginIncompatible, name),
                PluginError::Refused { name, .. } => (Code::PluginNotLocked, name),
            };
            Refused {
                plugin: plugin.clone(),
                code: code.about().code,
                message: error.to_string(),
            }
        });
        documents::Checked {
            file: self.file.display().to_string(),
            ok: self.is_ok(),
            error: self.unreadable.clone().map(Problem::unreadable),
            omitted: report.as_ref().map_or(0, |report| report.omitted),
            diagnostics: report.map_or_else(Vec::new, |report| located(report.diagnostics)),
            components: components.collect(),
        }
    }
}
