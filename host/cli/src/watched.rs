//! Files that a command waits for: how they were last seen, and whether that has changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use milepost::core::definition::Definition;
use milepost::core::registry::SCHEME;
use milepost::wasm_plugins::oci_layout::Reference;

use super::lock;

/// How often files are looked at.
const LOOKS: Duration = Duration::from_millis(250);

/// Files and how they were seen: nothing where there was none.
#[derive(PartialEq, Eq)]
pub(crate) struct Look(BTreeMap<PathBuf, Option<(SystemTime, u64)>>);

impl Look {
    /// How the files are now.
    pub(crate) fn at(files: impl IntoIterator<Item = PathBuf>) -> Self {
        let seen = files.into_iter().map(|file| {
            let meta = fs::metadata(&file).ok();
            let seen = meta.and_then(|meta| Some((meta.modified().ok()?, meta.len())));
            (file, seen)
        });
        Self(seen.collect())
    }

    /// The files that are not as they were in `before`, in the order of their names.
    pub(crate) fn changed_since<'a>(&'a self, before: &'a Self) -> Vec<&'a Path> {
        let all: BTreeSet<&PathBuf> = self.0.keys().chain(before.0.keys()).collect();
        all.into_iter()
            .filter(|file| self.0.get(*file) != before.0.get(*file))
            .map(PathBuf::as_path)
            .collect()
    }
}

/// Waits until `look` sees something else than `before`, and then until that stays as it is: editors write a file in several steps, and
/// people save several at once.
pub(crate) async fn change(before: &Look, look: impl Fn() -> Look) -> Look {
    let mut last = look();
    loop {
        tokio::time::sleep(LOOKS).await;
        let now = look();
        if now != *before && now == last {
            return now;
        }
        last = now;
    }
}

/// Adds a component, or a workflow with its components and child workflows.
pub(crate) fn add(file: &Path, files: &mut BTreeSet<PathBuf>) {
    if !files.insert(file.to_owned()) || file.extension().is_none_or(|kind| kind != "toml") {
        return;
    }
    let Ok(text) = milepost::workflow::read_definition(file) else {
        return;
    };
    let folder = file.parent().unwrap_or(Path::new(""));
    for (_, spec) in Definition::plugins_of(&text) {
        if spec.source.starts_with(SCHEME) {
            // What stands for what in a registry is looked up by verbs that change this.
            files.insert(lock::beside(file));
            continue;
        }
        files.insert(match Reference::parse(&spec.source) {
            // What its tags stand for.
            Some(reference) => folder.join(reference.folder).join("index.json"),
            None => folder.join(&spec.source),
        });
    }
    for child in milepost::workflow::children(file, &text, None).keys() {
        add(&folder.join(child), files);
    }
}
