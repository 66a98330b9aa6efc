//! `milepost plugin add`: one more plugin in a workflow, and in its lock.

use std::fs;
use std::path::{Component, Path, PathBuf};

use clap::Args;
use milepost::core::definition::{Around, Definition};
use milepost::core::shown::Shown;
use milepost::wasm_plugins::oci_layout::Reference;

use super::lock::{How, relocked, with_children, written};
use crate::context::{Context, Reply};
use crate::failure::{Code, Failure};
use crate::registry::{self, RegistryArgs};
use milepost::whole_file;

/// Add a plugin to a workflow and to its milepost.lock
///
/// Writes `[plugins.NAME]` with its `source` into the workflow, whose text stays as it is otherwise, and locks its plugins as
/// `plugin lock` does. The path is one from the working folder; in the workflow stands the one from the workflow's folder.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost plugin add workflow.toml git plugins/git.wasm
  milepost plugin add flows/notes.toml text flows/steps.js
  milepost plugin add flows/notes.toml words oci-layout:dist/words:1.0.0
  milepost plugin add workflow.toml words oci:example.com/team/words:1.0.0
  milepost plugin add a.toml words oci:example.com/words:1 --key cosign.pub")]
pub(crate) struct AddArgs {
    /// The workflow
    workflow: PathBuf,
    /// What the workflow calls the plugin
    name: String,
    /// The component, a script, `oci-layout:FOLDER[:TAG]`, or `oci:REGISTRY/REPOSITORY:TAG`
    source: PathBuf,
    /// Public key (PEM) that has to have signed the component, now and whenever it is updated
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    #[command(flatten)]
    registry: RegistryArgs,
}

pub(super) fn run(args: &AddArgs, cx: &Context) -> Result<Reply, Failure> {
    let (file, name) = (&args.workflow, &args.name);
    let mut files = with_children(std::slice::from_ref(file))?;
    let text = files[file].clone();
    let shown = file.display().to_string();
    Definition::parse_with(&shown, &text, Around::default())?;
    if Definition::plugins_of(&text).contains_key(name) {
        let message = format!("{} has a plugin `{}` already", Shown(&shown), Shown(name));
        return Err(Failure::new(Code::PluginNotAdded, message)
            .help("choose another name, or change its `source` there"));
    }
    let key = args.key.as_deref().map(registry::key).transpose()?;
    let from_registry = registry::reference(&args.source)?;
    let source = match args.source.to_str().and_then(Reference::parse) {
        _ if from_registry.is_some() => args.source.clone(),
        Some(reference) => {
            let folder = from_folder_of(file, &reference.folder);
            let tag = reference.tag;
            Reference { folder, tag }.to_string().into()
        }
        None => from_folder_of(file, &args.source),
    };
    let Some(source) = source.to_str() else {
        let message = format!("the path {} is not UTF-8", Shown(source.display()));
        return Err(Failure::new(Code::Usage, message));
    };
    let Some(new) = Definition::with_plugin(&text, name, source) else {
        let message = format!(
            "no table `[plugins.{}]` fits into {}",
            Shown(name),
            Shown(&shown)
        );
        return Err(Failure::new(Code::PluginNotAdded, message).help(
            "names are letters, digits, `-` and `_`; plugins that are written in another form than `[plugins.NAME]` are added by hand",
        ));
    };
    files.insert(file.clone(), new.clone());
    // All that can be wrong is found before the first file is written.
    let signed = key.as_ref().map(|key| (name.as_str(), key));
    let locks = relocked(&files, How::Add, signed, &args.registry.asked(), cx)?;
    write(file, &new).map_err(|error| Failure::file("write", file, &error))?;
    cx.note(format!(
        "added `[plugins.{}]` to {}",
        Shown(name),
        Shown(&shown)
    ));
    written(&locks, cx)
}

/// Writes the file that a link leads to, and leaves who may read it.
fn write(file: &Path, text: &str) -> std::io::Result<()> {
    let real = fs::canonicalize(file)?;
    let permissions = fs::metadata(&real)?.permissions();
    whole_file::replace(&real, text.as_bytes())?;
    fs::set_permissions(&real, permissions)
}

/// The path of a file as it is seen from the folder of another one. An absolute path stays one.
fn from_folder_of(file: &Path, path: &Path) -> PathBuf {
    if path.is_absolute() {
        return path.to_owned();
    }
    let plain = |path: &Path| -> Vec<PathBuf> {
        let parts = path.components().filter(|part| *part != Component::CurDir);
        parts.map(|part| PathBuf::from(part.as_os_str())).collect()
    };
    let folder = plain(&file.with_file_name(""));
    let parts = plain(path);
    let is_up = |parts: &[PathBuf]| parts.iter().any(|part| part == Path::new(".."));
    let shared = folder
        .iter()
        .zip(&parts)
        .take_while(|(a, b)| a == b)
        .count();
    if file.is_absolute() || is_up(&folder[shared..]) {
        // How the way back is called is not known from the names.
        return std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    }
    let up = folder[shared..].iter().map(|_| PathBuf::from(".."));
    let down = parts[shared..].iter().cloned();
    up.chain(down).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_seen_from_the_folder_of_the_workflow() {
        for (file, path, expected) in [
            ("w.toml", "p.wasm", "p.wasm"),
            ("./w.toml", "./p/p.wasm", "p/p.wasm"),
            ("flows/w.toml", "flows/p.wasm", "p.wasm"),
            ("flows/w.toml", "plugins/p.wasm", "../plugins/p.wasm"),
            ("a/b/w.toml", "a/c/p.wasm", "../c/p.wasm"),
            ("flows/w.toml", "../p.wasm", "../../p.wasm"),
            ("../w.toml", "../p.wasm", "p.wasm"),
            ("w.toml", "/abs/p.wasm", "/abs/p.wasm"),
        ] {
            let found = from_folder_of(Path::new(file), Path::new(path));
            assert_eq!(found, Path::new(expected), "{file} {path}");
        }
        assert!(from_folder_of(Path::new("../x/w.toml"), Path::new("p.wasm")).is_absolute());
    }
}
