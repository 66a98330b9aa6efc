//! The files that a plugin is made of, and whether its component is older than they are.

use std::fs;
use std::path::{Path, PathBuf};

use super::build::{Built, HowArgs, build};
use super::language::{self, Language};
use crate::context::Context;
use crate::failure::Failure;

/// A folder in which the component beside the sources is built.
#[derive(Debug, Clone)]
pub(crate) struct Sources {
    folder: PathBuf,
    component: PathBuf,
}

impl Sources {
    /// Of a component that lies where `plugin build` writes it: in the folder of its sources, under that folder's name.
    pub(crate) fn of(component: &Path) -> Option<Self> {
        let folder = match component.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let name = format!("{}.wasm", language::name(folder));
        let built_here = component.file_name().is_some_and(|file| file == &*name);
        if !built_here || Language::of(folder).is_err() {
            return None;
        }
        Some(Self {
            folder: folder.to_owned(),
            component: component.to_owned(),
        })
    }

    /// The component that is built of them.
    pub(crate) fn component(&self) -> &Path {
        &self.component
    }

    /// The files.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        files(&self.folder)
    }

    /// Whether one of them is newer than the component.
    pub(crate) fn is_stale(&self) -> bool {
        is_stale(&self.component, &self.folder)
    }

    /// Builds the component.
    ///
    /// # Errors
    /// [`Failure`]. What was built before stays as it is then.
    pub(crate) fn build(&self, cx: &Context) -> Result<Built, Failure> {
        build(&self.folder, &HowArgs::default(), cx)
    }
}

/// Whether a component is older than what it could be made of.
pub(super) fn is_stale(component: &Path, folder: &Path) -> bool {
    let changed = |file: &Path| fs::metadata(file).and_then(|data| data.modified()).ok();
    let Some(built) = changed(component) else {
        return true;
    };
    let newest = files(folder).iter().filter_map(|file| changed(file)).max();
    newest.is_none_or(|newest| newest >= built)
}

/// What is in a folder, but for what tools put there, tests and components.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else {
        return found;
    };
    for entry in entries.flatten() {
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        let tools = ["target", "node_modules", "__pycache__", "venv"];
        let made = name.ends_with(".wasm") || name.ends_with(".toml") && name != "Cargo.toml";
        if name.starts_with('.') || tools.contains(&&*name) {
            continue;
        }
        if kind.is_dir() {
            found.extend(files(&path));
        } else if !made && name != "Cargo.lock" {
            found.push(path);
        }
    }
    found
}
