//! `milepost plugin lock` and `plugin update`: what the workflows of a folder may use, and how that changes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::Args;
use milepost::core::definition::{Around, Definition};
use milepost::core::lock::{Key, Lock, Locked, Taken};
use milepost::core::shown::Shown;
use milepost::wasm_plugins::oci_registry::PublicKey;
use milepost::workflow::{children, read_definition};

use super::found::Finder;
use crate::context::{Context, Reply};
use crate::documents::{DroppedPlugin, LockChange, LockFile, LockedPlugin, LockedPlugins};
use crate::exit::Exit;
use crate::failure::{Code, Failure};
use crate::lock::{self, words};
use crate::meant;
use crate::registry::{self, Asked, RegistryArgs};
use milepost::whole_file;

/// Write milepost.lock: the components that workflows may use
///
/// Writes `milepost.lock` beside each workflow and its child workflows: for each plugin its source, digest, contract version, and
/// what it wants (the interfaces that it imports, and the hosts, buckets and secrets that its manifest asks for).
///
/// What a tag in a registry stands for (`source = "oci:.."`) is looked up now, and the component kept on this machine; no other command but
/// `plugin update` and `plugin add` asks a registry for it. What the lock holds already is fetched by its digest.
///
/// From then on, every command that begins to use a component (`run`, `submit`, `validate`, `test`, `--accept-changes`) refuses one
/// that is not in the lock of its folder, or is another one. Commit the file. A component that has changed is taken by `plugin update`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost plugin lock workflow.toml
  milepost plugin lock workflow.toml   # elsewhere: fetch what registries have
  milepost plugin lock flows/*.toml --json | jq '.locks[].plugins[].wants'")]
pub(crate) struct LockArgs {
    /// The workflows
    #[arg(required = true, value_name = "WORKFLOW")]
    workflows: Vec<PathBuf>,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// Take the components of today into milepost.lock
///
/// Takes the components as they are now into the lock, of a workflow and its child workflows, all or those of one plugin.
///
/// One that wants more than the lock records stops it: what is new is told, nothing is written, and the exit code is 65. After a look
/// at it, `--approve` takes it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost plugin update workflow.toml
  milepost plugin update workflow.toml git
  milepost plugin update workflow.toml git --approve   # it wants more, and may
  milepost plugin update workflow.toml words --key cosign.pub")]
pub(crate) struct UpdateArgs {
    /// The workflow
    workflow: PathBuf,
    /// Only this plugin
    plugin: Option<String>,
    /// Also where a component wants more than before
    #[arg(long)]
    approve: bool,
    /// Public key (PEM) that has to have signed that plugin, from a registry, from now on
    #[arg(long, value_name = "FILE", requires = "plugin")]
    key: Option<PathBuf>,
    #[command(flatten)]
    registry: RegistryArgs,
}

/// What may become of components that are in a lock already.
#[derive(Clone, Copy)]
pub(super) enum How<'a> {
    /// They stay as they are.
    Add,
    /// Those of this plugin, or all, may be others; where they want more, only if that was approved.
    Update {
        plugin: Option<&'a str>,
        approve: bool,
    },
}

pub(super) fn lock(args: &LockArgs, cx: &Context) -> Result<Reply, Failure> {
    let files = with_children(&args.workflows)?;
    let locks = relocked(&files, How::Add, None, &args.registry.asked(), cx)?;
    written(&locks, cx)
}

pub(super) fn update(args: &UpdateArgs, cx: &Context) -> Result<Reply, Failure> {
    let files = with_children(std::slice::from_ref(&args.workflow))?;
    let how = How::Update {
        plugin: args.plugin.as_deref(),
        approve: args.approve,
    };
    if let Some(plugin) = &args.plugin {
        let keys: Vec<Key> = files.values().flat_map(|text| lock::keys(text)).collect();
        let known = || keys.iter().map(|key| key.name.as_str());
        if !known().any(|name| name == plugin) {
            let message = format!("the workflow has no plugin `{}`", Shown(plugin));
            let failure = Failure::new(Code::UnknownPlugin, message);
            return Err(match meant::question(plugin, known()) {
                Some(question) => failure.help(question),
                None => failure,
            });
        }
    }
    let key = args.key.as_deref().map(registry::key).transpose()?;
    let signed = args.plugin.as_deref().zip(key.as_ref());
    let locks = relocked(&files, how, signed, &args.registry.asked(), cx)?;
    written(&locks, cx)
}

/// The texts of these workflows and of their child workflows, by file.
pub(super) fn with_children(workflows: &[PathBuf]) -> Result<BTreeMap<PathBuf, String>, Failure> {
    let mut files = BTreeMap::new();
    let mut open = workflows.to_vec();
    while let Some(file) = open.pop() {
        if files.contains_key(&file) {
            continue;
        }
        let text = read_definition(&file)?;
        let names = children(&file, &text, None);
        open.extend(names.keys().map(|name| file.with_file_name("").join(name)));
        files.insert(file, text);
    }
    Ok(files)
}

/// An update needs a lock to begin with: that of the workflow, or of one of its child workflows.
fn must_have_one(
    folders: &BTreeMap<PathBuf, Vec<(&Path, &str)>>,
    how: How<'_>,
) -> Result<(), Failure> {
    let is_there = |path: &PathBuf| path.symlink_metadata().is_ok();
    if matches!(how, How::Add) || folders.keys().any(is_there) {
        return Ok(());
    }
    let has_plugins = |(_, text): &&(&Path, &str)| !Definition::plugins_of(text).is_empty();
    let first = folders.iter().find_map(|(path, files)| {
        let (file, _) = files.iter().find(has_plugins)?;
        Some((path, file))
    });
    let Some((path, file)) = first else {
        return Ok(());
    };
    let message = format!("there is no {}", Shown(path.display()));
    Err(Failure::new(Code::NoLock, message).help(format!(
        "`milepost plugin lock {}` writes it",
        words::workflow(file)
    )))
}

/// A lock as it is to be.
pub(super) struct Relocked {
    path: PathBuf,
    /// Whether it differs from what is there.
    is_new: bool,
    was_there: bool,
    lock: Lock,
    plugins: Vec<(Key, Locked, Taken)>,
    dropped: Vec<Key>,
    /// Other workflows that need more than it holds.
    lacking: Vec<PathBuf>,
}

/// What becomes of the locks beside these definitions. Nothing is written.
///
/// # Errors
/// [`Failure`] when a definition, a component or a lock cannot be used, and where the lock does not allow it.
pub(super) fn relocked(
    files: &BTreeMap<PathBuf, String>,
    how: How<'_>,
    signed: Option<(&str, &PublicKey)>,
    asked: &Asked,
    cx: &Context,
) -> Result<Vec<Relocked>, Failure> {
    let mut folders = BTreeMap::<PathBuf, Vec<(&Path, &str)>>::new();
    for (file, text) in files {
        let shown = file.display().to_string();
        // One that cannot be read whole could name fewer plugins than its author meant.
        Definition::parse_with(&shown, text, Around::default())?;
        let of_folder = folders.entry(lock::beside(file)).or_default();
        of_folder.push((file, text));
    }
    let mut named = BTreeSet::new();
    for path in folders.keys() {
        if let Some(lock) = lock::read_or_fail(path)? {
            let locked = lock.keys().filter_map(|key| lock.get(key));
            named.extend(locked.map(|locked| locked.digest));
        }
    }
    let finder = Finder {
        named,
        how,
        signed,
        asked,
        // What is looked at is not in the lock yet.
        files: cx.components(),
    };
    must_have_one(&folders, how)?;
    let locks = folders.into_iter();
    let locks = locks.map(|(path, files)| Relocked::new(path, &files, &finder));
    let mut locks: Vec<Relocked> = locks.collect::<Result<_, _>>()?;
    // A folder without plugins needs no lock.
    locks.retain(|lock| lock.is_new || lock.was_there);
    approved(&locks, how, files)?;
    Ok(locks)
}

impl Relocked {
    fn new(path: PathBuf, files: &[(&Path, &str)], finder: &Finder<'_>) -> Result<Self, Failure> {
        let how = finder.how;
        let before = lock::read_or_fail(&path)?;
        // Nobody has asked for a lock in that folder, and an update is of what there is.
        let files = match (&before, how) {
            (None, How::Update { .. }) => &[],
            _ => files,
        };
        let mut lock = before.clone().unwrap_or_default();
        let mut plugins = BTreeMap::new();
        for (file, text) in files {
            for (name, spec) in Definition::plugins_of(text) {
                let key = lock::key(&name, &spec);
                let meant = match how {
                    How::Update {
                        plugin: Some(plugin),
                        ..
                    } => plugin == name,
                    How::Add | How::Update { .. } => true,
                };
                if !meant || plugins.contains_key(&key) {
                    continue;
                }
                let found = finder.find(&name, &spec, file, (&path, lock.get(&key)))?;
                let taken = lock.take(key.clone(), found.clone());
                if let (How::Add, Taken::Changed { before, more, less }) = (how, &taken)
                    && before.digest != found.digest
                {
                    let message = format!(
                        "plugin `{}` is another component than {}:{} holds: expected {}, found {}; {}",
                        Shown(&name),
                        Shown(path.display()),
                        before.line,
                        before.digest,
                        found.digest,
                        words::change(more, less),
                    );
                    return Err(Failure::new(Code::PluginNotLocked, message).help(format!(
                        "`milepost plugin update {}` takes the components of today",
                        words::workflow(file)
                    )));
                }
                plugins.insert(key, (found, taken));
            }
        }
        // Definitions that were not named are as they stand in the folder; those that were, as they are to be.
        let mut named = lock::named(&path);
        named.extend(
            files
                .iter()
                .map(|(file, text)| (file.to_path_buf(), lock::keys(text))),
        );
        let used: BTreeSet<&Key> = named.values().flatten().collect();
        let dropped = lock.drop_unused(|key| used.contains(key));
        let lacks = |keys: &BTreeSet<Key>| keys.iter().any(|key| lock.get(key).is_none());
        let lacking = named.iter().filter(|(_, keys)| lacks(keys));
        let lacking = lacking.map(|(file, _)| file.clone()).collect();
        let plugins = plugins.into_iter();
        let plugins = plugins.map(|(key, (found, taken))| (key, found, taken));
        let is_new = match &before {
            Some(before) => lock::written(before) != lock::written(&lock),
            None => lock.keys().next().is_some(),
        };
        Ok(Self {
            path,
            is_new,
            was_there: before.is_some(),
            plugins: plugins.collect(),
            dropped,
            lacking,
            lock,
        })
    }

    fn write(&self, cx: &Context) -> Result<(), Failure> {
        if self.is_new {
            whole_file::replace(&self.path, lock::written(&self.lock).as_bytes())
                .map_err(|error| Failure::file("write", &self.path, &error))?;
        }
        for file in self
            .lacking
            .iter()
            .filter(|_| self.lock.keys().next().is_some())
        {
            cx.warn(format!(
                "{} names plugins that {} does not hold, and is refused as long as that is so; `milepost plugin lock {}` adds them",
                Shown(file.display()),
                Shown(self.path.display()),
                words::workflow(file)
            ));
        }
        Ok(())
    }

    fn document(&self) -> LockFile {
        let plugins = self.plugins.iter().map(|(key, found, taken)| {
            let (change, before) = match taken {
                Taken::Added => (LockChange::Added, None),
                Taken::Unchanged => (LockChange::Unchanged, None),
                Taken::Changed { before, more, less } => {
                    (LockChange::Changed, Some((before.digest, more, less)))
                }
            };
            LockedPlugin {
                name: key.name.clone(),
                source: key.source.clone(),
                digest: found.digest,
                manifest: found.manifest,
                key: found.key.clone(),
                contract: found.contract.clone(),
                wants: found.wants.clone(),
                change,
                before: before.map(|(digest, ..)| digest),
                more: before.map(|(_, more, _)| more.clone()),
                less: before.map(|(.., less)| less.clone()),
            }
        });
        let dropped = self.dropped.iter().map(|key| DroppedPlugin {
            name: key.name.clone(),
            source: key.source.clone(),
        });
        LockFile {
            file: self.path.display().to_string(),
            written: self.is_new,
            plugins: plugins.collect(),
            dropped: dropped.collect(),
        }
    }

    fn text(&self) -> String {
        let path = Shown(self.path.display());
        let mut lines = vec![match self.is_new {
            true => format!("wrote {path}"),
            false => format!("{path} is up to date"),
        }];
        let mut line = |what: &str, key: &Key, about: &str| {
            let (name, source) = (Shown(&key.name), Shown(&key.source));
            lines.push(format!("  {what:<10} {name} ({source}){about}"));
        };
        for (key, found, taken) in &self.plugins {
            match taken {
                Taken::Added => {
                    line(
                        "added",
                        key,
                        &format!(": wants {}", words::brief(&found.wants)),
                    );
                }
                Taken::Unchanged => line("unchanged", key, ""),
                Taken::Changed { more, less, .. } => {
                    line("changed", key, &format!(": {}", words::change(more, less)));
                }
            }
        }
        for key in &self.dropped {
            line("dropped", key, "");
        }
        lines.join("\n")
    }
}

/// Stops where components want more, and nobody said that they may.
fn approved(
    locks: &[Relocked],
    how: How<'_>,
    files: &BTreeMap<PathBuf, String>,
) -> Result<(), Failure> {
    if !matches!(how, How::Update { approve: false, .. }) {
        return Ok(());
    }
    let more = locks.iter().flat_map(|lock| {
        lock.plugins
            .iter()
            .filter_map(|(key, found, taken)| match taken {
                Taken::Changed { before, more, .. }
                    if !more.is_empty() && before.digest != found.digest =>
                {
                    let (name, path) = (Shown(&key.name), Shown(lock.path.display()));
                    let at = before.line;
                    Some(format!(
                        "plugin `{name}` wants more than {path}:{at} records: {}",
                        words::brief(more)
                    ))
                }
                Taken::Changed { .. } | Taken::Added | Taken::Unchanged => None,
            })
    });
    let more: Vec<String> = more.collect();
    if more.is_empty() {
        return Ok(());
    }
    let message = format!("{}; nothing was written", more.join("; "));
    let workflow = files.keys().next().map(|file| words::workflow(file));
    Err(Failure::new(Code::WantsMore, message).help(format!(
        "look into it with `milepost plugin inspect`; `milepost plugin update {} --approve` takes it",
        workflow.unwrap_or_default()
    )))
}

/// Writes the locks, and says so.
pub(super) fn written(locks: &[Relocked], cx: &Context) -> Result<Reply, Failure> {
    for lock in locks {
        lock.write(cx)?;
    }
    let document = || LockedPlugins {
        locks: locks.iter().map(Relocked::document).collect(),
    };
    Ok(cx.reply(Exit::Completed, document, || {
        if locks.is_empty() {
            return "there is no plugin to lock".to_owned();
        }
        let texts: Vec<String> = locks.iter().map(Relocked::text).collect();
        texts.join("\n")
    }))
}
