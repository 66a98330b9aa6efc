//! `milepost.lock`, beside the workflows of a folder: which components they may use. The decisions are the core's
//! ([`milepost::core::lock`]); here are the file, what is found of components, and the words.
//!
//! Without the file, everything may be used. With it, what is not in it is refused whenever a workflow begins to use it; a run goes on
//! with what it carries. A file that cannot be read refuses everything.

pub(crate) mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::{fs, io};

use milepost::bounded_file::{self, ReadError};
use milepost::core::definition::{Definition, PluginSpec};
use milepost::core::ids::Digest;
use milepost::core::limits;
use milepost::core::lock::{Key, Lock, Locked, Wants};
use milepost::core::registry::SCHEME;
use milepost::core::shown::Shown;
use milepost::plugin::{ComponentBytes, PluginError};
use milepost::wasm::{Inspection, Rejection};
use milepost::wasm_plugins::oci_layout::Reference;
use milepost::wasm_plugins::oci_registry::PublicKey;
use milepost::wasm_plugins::{Chosen, Guard, is_script};
use milepost::workflow::read_definition;

use super::context::Context;
use super::failure::{Code, Failure};
use super::registry;

/// Its name.
const FILE: &str = "milepost.lock";

/// What stands on top of it.
const HEAD: &str = "\
The components that the workflows of this folder may use, as somebody has looked at them. Milepost refuses others.
Commit this file. `milepost plugin lock WORKFLOW` adds what is new and drops what is unused; `milepost plugin update WORKFLOW`
takes the components of today, and stops where one wants more than stands here.";

/// The lock beside a definition.
pub(crate) fn beside(definition: &Path) -> PathBuf {
    definition.with_file_name(FILE)
}

/// Reads a lock; nothing where there is none.
///
/// # Errors
/// Where and why it cannot be read.
pub(crate) fn read(path: &Path) -> Result<Option<Lock>, String> {
    let place = Shown(path.display());
    let text = match bounded_file::read_text(path, limits::LOCK_BYTES) {
        Ok(text) => text,
        Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("{place} cannot be read: {error}")),
    };
    let read = Lock::read(&text);
    read.map(Some)
        .map_err(|(error, line)| format!("{place}:{line} cannot be used: {error}"))
}

/// The same for a verb that is about the lock.
///
/// # Errors
/// [`Failure`].
pub(crate) fn read_or_fail(path: &Path) -> Result<Option<Lock>, Failure> {
    read(path).map_err(|reason| {
        Failure::new(Code::LockInvalid, reason).help(
            "put it back as it was; or remove it, and `milepost plugin lock` writes a new one of the components that are there",
        )
    })
}

/// How the lock is written.
pub(crate) fn written(lock: &Lock) -> String {
    lock.write(HEAD)
}

/// What is known of a component that a definition names.
///
/// # Errors
/// [`Rejection`] when it cannot be used at all.
pub(crate) fn found(component: &ComponentBytes, spec: &PluginSpec) -> Result<Locked, Rejection> {
    let inspection = Inspection::of(&component.bytes)?;
    inspection.check()?;
    Ok(Locked {
        digest: digest(component, spec, Some(&inspection)),
        manifest: None,
        key: None,
        contract: inspection.contract(),
        wants: Wants::new(&inspection.capabilities, inspection.manifest.as_ref()),
        line: 0,
    })
}

/// By which name the lock knows a component. A script is a component together with an engine that this program brings; another version
/// of the program is no other script. What is no script by its name may carry any engine.
fn digest(
    component: &ComponentBytes,
    spec: &PluginSpec,
    inspection: Option<&Inspection>,
) -> Digest {
    let script = is_script(Path::new(&spec.source))
        && Reference::parse(&spec.source).is_none()
        && !spec.source.starts_with(SCHEME);
    let of_script = script.then(|| match inspection {
        Some(inspection) => inspection.script_digest(),
        None => Inspection::of(&component.bytes).ok()?.script_digest(),
    });
    of_script.flatten().unwrap_or(component.digest)
}

/// The key of a plugin.
pub(crate) fn key(name: &str, spec: &PluginSpec) -> Key {
    Key {
        name: name.to_owned(),
        source: spec.source.clone(),
    }
}

/// Refuses components that the lock beside a definition does not hold.
pub(crate) fn guard() -> Guard {
    Arc::new(hold)
}

/// Tells of them once, for a person who changes them.
pub(crate) fn telling(cx: &Context) -> Guard {
    let (cx, told) = (cx.clone(), Mutex::new(BTreeSet::new()));
    Arc::new(move |component, spec, file| {
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = hold(component, spec, file)
            && told.insert(component.name.clone())
        {
            cx.warn(format!("{error}; `dev` uses it all the same"));
        }
        Ok(())
    })
}

fn hold(component: &ComponentBytes, spec: &PluginSpec, file: &Path) -> Result<(), PluginError> {
    let refused = |reason: String| PluginError::Refused {
        name: component.name.clone(),
        reason,
    };
    let Some((path, lock)) = of(file).map_err(refused)? else {
        return Ok(());
    };
    let key = key(&component.name, spec);
    let digest = digest(component, spec, None);
    lock.check(&key, &digest).map_err(|why| {
        let found = found(component, spec);
        refused(words::refusal(
            &why,
            &key,
            file,
            &path,
            component,
            found.as_ref().ok(),
        ))
    })?;
    match lock.get(&key) {
        Some(locked) if !is_signed(locked) => Err(refused(words::unsigned(locked, file, &path))),
        Some(_) | None => Ok(()),
    }
}

/// Whether the key that a lock names has signed the component that it names, as far as this machine knows.
fn is_signed(locked: &Locked) -> bool {
    let Some(key) = &locked.key else {
        return true;
    };
    let kept = registry::kept().ok();
    let key = key.parse::<PublicKey>().ok();
    kept.zip(key)
        .is_some_and(|(kept, key)| kept.is_signed(&locked.digest, &key))
}

/// Says which components of registries are meant: those of the lock.
pub(crate) fn chosen() -> Arc<dyn Chosen> {
    Arc::new(Here)
}

struct Here;

impl Chosen for Here {
    fn digest(&self, name: &str, spec: &PluginSpec, base: &Path) -> Result<Option<Digest>, String> {
        let lock = read(&base.join(FILE))?;
        Ok(lock.and_then(|lock| Some(lock.get(&key(name, spec))?.digest)))
    }

    fn remedy(&self, name: &str, spec: &PluginSpec, base: &Path) -> String {
        let key = key(name, spec);
        let named = named(&base.join(FILE));
        let file = named.iter().find(|(_, keys)| keys.contains(&key));
        let file = file.map(|(file, _)| relative(file));
        words::fetch(file.as_deref())
    }
}

/// As a person in the working folder would name it.
fn relative(file: &Path) -> PathBuf {
    let here = std::env::current_dir().ok();
    let below = here.and_then(|here| Some(file.strip_prefix(here).ok()?.to_owned()));
    below.unwrap_or_else(|| file.to_owned())
}

/// The lock of a definition. One that is a link may have it beside the file that it leads to, as its components.
fn of(definition: &Path) -> Result<Option<(PathBuf, Lock)>, String> {
    let path = beside(definition);
    if let Some(lock) = read(&path)? {
        return Ok(Some((path, lock)));
    }
    match fs::canonicalize(definition).map(|real| beside(&real)) {
        Ok(real) => Ok(read(&real)?.map(|lock| (real, lock))),
        Err(_) => Ok(None),
    }
}

/// What the definitions beside a lock name.
pub(crate) fn named(lock: &Path) -> BTreeMap<PathBuf, BTreeSet<Key>> {
    let folder = lock.parent().filter(|of| !of.as_os_str().is_empty());
    let entries = fs::read_dir(folder.unwrap_or(Path::new(".")));
    let files = entries.into_iter().flatten().flatten();
    let files = files.map(|entry| lock.with_file_name(entry.file_name()));
    let definitions = files.filter(|file| {
        let is_toml = file.extension().is_some_and(|kind| kind == "toml");
        is_toml && !super::test::is_test_file(file)
    });
    definitions
        .filter_map(|file| {
            let text = read_definition(&file).ok()?;
            let keys = keys(&text);
            (!keys.is_empty()).then_some((file, keys))
        })
        .collect()
}

/// What a definition names.
pub(crate) fn keys(text: &str) -> BTreeSet<Key> {
    let plugins = Definition::plugins_of(text);
    plugins.iter().map(|(name, spec)| key(name, spec)).collect()
}

/// Tells which entries of the locks beside definitions nothing uses.
pub(crate) fn tell_unused(cx: &Context, definitions: &[PathBuf]) {
    let locks: BTreeSet<PathBuf> = definitions.iter().map(|file| beside(file)).collect();
    for path in locks {
        // One that cannot be read is told of every plugin that it would hold.
        let Ok(Some(mut lock)) = read(&path) else {
            continue;
        };
        let named = named(&path);
        let is_used = |key: &Key| named.values().any(|keys| keys.contains(key));
        for key in lock.drop_unused(is_used) {
            cx.warn(words::unused(&key, &path));
        }
    }
}
