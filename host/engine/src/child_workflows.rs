//! The workflows of child runs: read from the files that a definition names, or from what a run carries.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use milepost_core::definition::{Around, Child, Children, Definition, Manifests, UnusableChild};
use milepost_core::diagnostic::{Diagnostics, Position, Severity};
use milepost_core::event::CarriedWorkflow;
use milepost_core::ids::Digest;
use milepost_core::limits;

use crate::bounded_file;
use crate::plugin::{PluginSource, read_beside, read_pinned};

/// Problems of a child workflow that its parent names.
const NAMED: usize = 3;

/// What was found of the child workflows of a definition.
#[derive(Default)]
pub(crate) struct Found {
    /// Those of its own steps, by what they say.
    pub(crate) children: Children,
    /// What a run carries of all of them, by file.
    pub(crate) carried: BTreeMap<String, CarriedWorkflow>,
    /// Their texts and components.
    pub(crate) blobs: BTreeMap<Digest, Arc<[u8]>>,
}

/// Reads, checks and links the child workflows of a text that stands in `file`, and theirs; without a source, they are read without
/// their components.
pub(crate) fn open(file: &Path, text: &str, source: Option<&dyn PluginSource>) -> Found {
    let names = Definition::children_of(text);
    if names.is_empty() {
        return Found::default();
    }
    let mut opening = Opening {
        source,
        known: BTreeMap::new(),
        found: Found::default(),
    };
    let mut chain = vec![Place::of(file)];
    let children = names
        .into_iter()
        .map(|name| {
            let child = opening.child(&name, &mut chain);
            (name, child)
        })
        .collect();
    Found {
        children,
        ..opening.found
    }
}

/// A file as it is found, and as it is shown.
#[derive(Clone)]
struct Place {
    path: PathBuf,
    shown: String,
}

impl Place {
    fn of(file: &Path) -> Self {
        let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        Self {
            path: plain(&absolute),
            shown: file.display().to_string(),
        }
    }

    /// The file that `workflow` names in this one.
    fn beside(&self, workflow: &str) -> Self {
        let shown = Path::new(&self.shown).with_file_name("");
        Self {
            path: beside(&self.path, workflow),
            shown: plain(&shown.join(workflow)).display().to_string(),
        }
    }

    /// Its text. A definition that is a link may have its children beside the file that it leads to.
    fn read(&self, from: &Self, workflow: &str) -> Result<String, UnusableChild> {
        read(&self.path, &from.path, workflow)
            .map_err(|reason| UnusableChild::Unreadable { reason })
    }
}

fn read(path: &Path, from: &Path, workflow: &str) -> Result<String, String> {
    let text = bounded_file::read_text(path, limits::DEFINITION_BYTES);
    text.or_else(|error| {
        let real = std::fs::canonicalize(from).map(|real| beside(&real, workflow));
        match real {
            Ok(real) if real != *path => {
                bounded_file::read_text(&real, limits::DEFINITION_BYTES).map_err(|_| error)
            }
            Ok(_) | Err(_) => Err(error),
        }
    })
    .map_err(|error| error.to_string())
}

/// The file that `workflow` names in the definition `from`.
fn beside(from: &Path, workflow: &str) -> PathBuf {
    plain(&from.with_file_name("").join(workflow))
}

/// The same path without `.` and, as far as it can be told without looking, without `..`.
fn plain(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir
                if matches!(out.components().next_back(), Some(Component::Normal(_))) =>
            {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out
}

fn key(path: &Path) -> String {
    path.display().to_string()
}

/// What is known of a file that was opened: with how many levels of children below it.
type Known = Result<(Arc<Definition>, usize), UnusableChild>;

struct Opening<'a> {
    source: Option<&'a dyn PluginSource>,
    known: BTreeMap<PathBuf, Known>,
    found: Found,
}

impl Opening<'_> {
    /// The workflow that `workflow` names in the last file of the chain.
    fn child(&mut self, workflow: &str, chain: &mut Vec<Place>) -> Result<Child, UnusableChild> {
        self.level(workflow, chain).map(|(child, _)| child)
    }

    fn level(
        &mut self,
        workflow: &str,
        chain: &mut Vec<Place>,
    ) -> Result<(Child, usize), UnusableChild> {
        let from = chain
            .last()
            .cloned()
            .unwrap_or_else(|| Place::of(Path::new("")));
        let place = from.beside(workflow);
        let named = |chain: &[Place]| {
            let files = chain.iter().chain([&place]);
            files.map(|place| place.shown.clone()).collect()
        };
        if let Some(begins) = chain.iter().position(|before| before.path == place.path) {
            let files = named(&chain[begins..]);
            return Err(UnusableChild::Cycle { files });
        }
        let depth = chain.len();
        let too_deep = |below: usize| depth + below > limits::CHILD_DEPTH;
        if too_deep(0) {
            let files = named(chain);
            return Err(UnusableChild::TooDeep { files });
        }
        let known = match self.known.get(&place.path) {
            Some(known) => known.clone(),
            None if self.known.len() >= limits::CHILD_FILES => Err(UnusableChild::TooMany),
            None => {
                let known = self.read(workflow, &from, &place, chain);
                self.known.insert(place.path.clone(), known.clone());
                known
            }
        };
        let (definition, below) = known?;
        if too_deep(below) {
            let files = named(chain);
            return Err(UnusableChild::TooDeep { files });
        }
        let child = Child {
            file: key(&place.path),
            definition,
        };
        Ok((child, below))
    }

    fn read(
        &mut self,
        workflow: &str,
        from: &Place,
        place: &Place,
        chain: &mut Vec<Place>,
    ) -> Known {
        let text = place.read(from, workflow)?;
        let (mut children, mut below) = (Children::new(), 0);
        chain.push(place.clone());
        for name in Definition::children_of(&text) {
            let child = self.level(&name, chain).map(|(child, levels)| {
                below = below.max(levels + 1);
                child
            });
            children.insert(name, child);
        }
        chain.pop();
        // What leads on and on is said of every workflow that leads there, as it is.
        let endless = children.values().find_map(|child| match child {
            Err(
                endless @ (UnusableChild::Cycle { .. }
                | UnusableChild::TooDeep { .. }
                | UnusableChild::TooMany),
            ) => Some(endless.clone()),
            Ok(_) | Err(_) => None,
        });
        if let Some(endless) = endless {
            return Err(endless);
        }
        let definition = self.link(place, &text, &children)?;
        Ok((definition, below))
    }

    /// Checks a text against its components and children, and keeps what a run of it carries.
    fn link(
        &mut self,
        place: &Place,
        text: &str,
        children: &Children,
    ) -> Result<Arc<Definition>, UnusableChild> {
        let (mut manifests, mut plugins) = (Manifests::new(), BTreeMap::new());
        let (mut blobs, mut refused) = (BTreeMap::new(), Vec::new());
        let declared = self.source.map(|_| Definition::plugins_of(text));
        for ((name, spec), source) in declared
            .into_iter()
            .flatten()
            .zip(std::iter::repeat(self.source).flatten())
        {
            let component = read_pinned(source, &name, &spec, &place.path);
            let loaded = component.and_then(|component| {
                let loaded = source.load(&component)?;
                Ok((component, loaded))
            });
            match loaded {
                Ok((component, loaded)) => {
                    manifests.insert(name.clone(), loaded.offer());
                    plugins.insert(name, component.digest);
                    blobs.insert(component.digest, component.bytes);
                }
                Err(error) => refused.push(format!("{}: {error}", place.shown)),
            }
        }
        let around = Around {
            manifests: self.source.map(|_| &manifests),
            children: Some(children),
        };
        let parsed = Definition::parse_with(&place.shown, text, around)
            .map_err(|problems| invalid(&problems))?;
        if !refused.is_empty() {
            let more = refused.len().saturating_sub(NAMED);
            refused.truncate(NAMED);
            return Err(UnusableChild::Invalid {
                problems: refused,
                more,
            });
        }
        let definition = Arc::new(parsed.definition);
        blobs.insert(definition.source.digest, text.as_bytes().into());
        self.found.blobs.extend(blobs);
        let carried = CarriedWorkflow {
            definition: definition.source.digest,
            plugins,
        };
        self.found.carried.insert(key(&place.path), carried);
        Ok(definition)
    }
}

/// The first problems of a file, in words.
fn invalid(problems: &Diagnostics) -> UnusableChild {
    let errors: Vec<_> = problems
        .items
        .iter()
        .filter(|item| item.severity == Severity::Error)
        .collect();
    let named = errors.iter().take(NAMED).map(|problem| {
        let at = Position::of(&problems.text, problem.span.start);
        let file = &problems.file;
        let text = format!("{file}:{}:{}: {}", at.line, at.column, problem.message);
        match &problem.help {
            // The way to a problem that is further down.
            Some(help) if problem.code.starts_with("MP023") => format!("{text}\n{help}"),
            Some(_) | None => text,
        }
    });
    UnusableChild::Invalid {
        problems: named.collect(),
        more: errors.len().saturating_sub(NAMED),
    }
}

/// The child workflows of a text that a run carries; `texts` are those of all that it carries, by file.
pub(crate) fn carried(file: &str, text: &str, texts: &BTreeMap<String, String>) -> Children {
    if texts.is_empty() {
        return Children::new();
    }
    let mut reading = Reading {
        texts,
        known: BTreeMap::new(),
    };
    reading.children(Path::new(file), text, 0)
}

struct Reading<'a> {
    texts: &'a BTreeMap<String, String>,
    known: BTreeMap<String, Result<Child, UnusableChild>>,
}

impl Reading<'_> {
    fn children(&mut self, file: &Path, text: &str, depth: usize) -> Children {
        let names = Definition::children_of(text).into_iter();
        names
            .map(|name| {
                let path = beside(&plain(file), &name);
                let child = self.child(&path, depth);
                (name, child)
            })
            .collect()
    }

    fn child(&mut self, path: &Path, depth: usize) -> Result<Child, UnusableChild> {
        let file = key(path);
        if let Some(known) = self.known.get(&file) {
            return known.clone();
        }
        let text = match self.texts.get(&file) {
            Some(text) if depth <= limits::CHILD_DEPTH => text.as_str(),
            _ => {
                let reason = "the run does not carry it".to_owned();
                return Err(UnusableChild::Unreadable { reason });
            }
        };
        let children = self.children(path, text, depth + 1);
        let around = Around {
            manifests: None,
            children: Some(&children),
        };
        let child = Definition::reread_with(&file, text, around)
            .map(|parsed| Child {
                file: file.clone(),
                definition: Arc::new(parsed.definition),
            })
            .map_err(|problems| invalid(&problems));
        self.known.insert(file, child.clone());
        child
    }
}

/// A child workflow as its files hold it now: text, and digests of its components.
pub(crate) struct OnDisk {
    pub(crate) text: String,
    pub(crate) plugins: BTreeMap<String, Digest>,
}

/// What the files of the child workflows of a text hold now, and of theirs; nothing is loaded. What cannot be read is as it was
/// recorded, and `unread` says why.
pub(crate) fn on_disk(
    file: &Path,
    text: &str,
    source: &dyn PluginSource,
    recorded: &BTreeMap<String, (String, BTreeMap<String, Digest>)>,
    unread: &mut Vec<String>,
) -> BTreeMap<String, OnDisk> {
    let mut found = BTreeMap::<String, OnDisk>::new();
    let mut open = vec![(Place::of(file), text.to_owned())];
    while let Some((from, text)) = open.pop() {
        for name in Definition::children_of(&text) {
            let place = from.beside(&name);
            let file = key(&place.path);
            if found.contains_key(&file) || found.len() >= limits::CHILD_FILES {
                continue;
            }
            let before = recorded.get(&file);
            let text = read(&place.path, &from.path, &name).unwrap_or_else(|reason| {
                unread.push(format!("the child workflow {}: {reason}", place.shown));
                before.map(|(text, _)| text.clone()).unwrap_or_default()
            });
            let mut plugins = BTreeMap::new();
            for (name, spec) in Definition::plugins_of(&text) {
                match read_beside(source, &name, &spec, &place.path) {
                    Ok(component) => drop(plugins.insert(name, component.digest)),
                    Err(error) => {
                        unread.push(error.to_string());
                        if let Some(digest) = before.and_then(|(_, plugins)| plugins.get(&name)) {
                            plugins.insert(name, *digest);
                        }
                    }
                }
            }
            open.push((place, text.clone()));
            found.insert(file, OnDisk { text, plugins });
        }
    }
    found
}
