//! Where things are kept: the store, and the compiled code of components.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use milepost::core::shown::Shown;
use milepost::store::Store;
use milepost::store::sqlite::{Durability, SqliteStore};

use super::failure::{Code, DENIED, Failure};
use super::words::advice::Advice;

/// Name of the database in the store's folder.
const FILE: &str = "milepost.db";

/// The name of a store's folder where nobody chose another.
const FOLDER: &str = ".milepost";

/// The folder of the store: the one that was named, else MILEPOST_STORE, else the nearest `.milepost` with a store in the working
/// folder or one above it, else `.milepost` in the working folder, where the first run makes it.
pub(crate) fn store(named: Option<PathBuf>) -> PathBuf {
    named
        .or_else(|| variable("MILEPOST_STORE"))
        .unwrap_or_else(|| match std::env::current_dir() {
            Ok(here) => above(&here, variable("HOME").as_deref()),
            Err(_) => FOLDER.into(),
        })
}

fn above(here: &Path, home: Option<&Path>) -> PathBuf {
    let store = nearest(here, home, FOLDER, |store| store.join(FILE).is_file());
    store.unwrap_or_else(|| FOLDER.into())
}

/// The nearest folder of that name at the working folder or above it: what a project has for itself.
pub(crate) fn project(name: &str) -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    nearest(&here, variable("HOME").as_deref(), name, Path::is_dir)
}

/// The user's folder of what people write themselves.
pub(crate) fn config() -> Option<PathBuf> {
    let user = variable("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
    let user = user.or_else(|| Some(variable("HOME")?.join(".config")))?;
    Some(user.join("milepost"))
}

/// The nearest such folder at `here` or above it, as seen from `here`. The search ends at the home folder, and where another file system
/// begins; a folder above that belongs to somebody else is passed over, so that nobody is led to the store of a stranger.
fn nearest(
    here: &Path,
    home: Option<&Path>,
    name: &str,
    is_one: impl Fn(&Path) -> bool,
) -> Option<PathBuf> {
    let mut folder = PathBuf::from(name);
    for ancestor in here.ancestors() {
        let found = ancestor.join(name);
        if is_one(&found) && (ancestor == here || is_ours(&found)) {
            return Some(folder);
        }
        let parent = ancestor.parent();
        if home == Some(ancestor) || parent.is_none_or(|parent| !on_one_disk(ancestor, parent)) {
            break;
        }
        folder = Path::new("..").join(folder);
    }
    None
}

#[cfg(unix)]
fn is_ours(folder: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;

    let me = rustix::process::geteuid().as_raw();
    folder
        .metadata()
        .is_ok_and(|folder| folder.is_dir() && folder.uid() == me)
}

#[cfg(not(unix))]
fn is_ours(folder: &Path) -> bool {
    folder.is_dir()
}

#[cfg(unix)]
fn on_one_disk(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;

    let disk = |folder: &Path| folder.metadata().map(|folder| folder.dev()).ok();
    disk(one).is_some_and(|one| disk(other) == Some(one))
}

#[cfg(not(unix))]
fn on_one_disk(_: &Path, _: &Path) -> bool {
    true
}

/// Opens the store in `folder`; creates it when it is missing.
///
/// # Errors
/// [`Failure`] when it cannot be opened.
pub(crate) fn open_or_create(folder: &Path) -> Result<Arc<SqliteStore>, Failure> {
    must_be_folder(folder)?;
    let file = folder.join(FILE);
    Ok(Arc::new(SqliteStore::open(&file, Durability::PowerLoss)?))
}

/// Opens the store in `folder`, for verbs that have nothing to do in an empty one. Creates nothing.
///
/// # Errors
/// [`Failure`] when there is none, or it cannot be opened.
pub(crate) fn open_existing(folder: &Path) -> Result<Arc<SqliteStore>, Failure> {
    must_exist(folder)?;
    open_or_create(folder)
}

/// Opens the store in `folder` for verbs that only read. Changes nothing, also not its version.
///
/// # Errors
/// [`Failure`] when there is none, or it cannot be read.
pub(crate) fn open_to_read(folder: &Path) -> Result<Arc<dyn Store>, Failure> {
    must_exist(folder)?;
    Ok(Arc::new(SqliteStore::open_read_only(&folder.join(FILE))?))
}

fn must_be_folder(folder: &Path) -> Result<(), Failure> {
    if folder.is_file() {
        let message = format!("the store {} is a file", Shown(folder.display()));
        let help = format!("name the folder that holds {FILE}");
        return Err(Failure::new(Code::Usage, message).help(help));
    }
    Ok(())
}

fn must_exist(folder: &Path) -> Result<(), Failure> {
    must_be_folder(folder)?;
    let there = folder.join(FILE).try_exists().map_err(|error| {
        let message = format!(
            "the store in {} cannot be reached: {error}",
            Shown(folder.display())
        );
        let code = match error.kind() {
            std::io::ErrorKind::PermissionDenied => Code::StoreDenied,
            _ => Code::StoreUnavailable,
        };
        Failure::new(code, message).help(DENIED)
    })?;
    if !there {
        let message = format!("there is no store in {}", Shown(folder.display()));
        let help = Advice::from("the first ")
            .command("run")
            .text(" creates it; `--store` or MILEPOST_STORE names another folder");
        return Err(Failure::new(Code::NoStore, message).help(help));
    }
    Ok(())
}

/// A variable of the environment that names a path. An empty one counts as unset.
pub(crate) fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

/// Where compiled code is kept: MILEPOST_CACHE, else the user's cache folder. None when the user has none.
pub(crate) fn code_cache() -> Option<PathBuf> {
    cache_folder(variable)
}

/// Where components of registries are kept: beside the compiled code.
pub(crate) fn components() -> Option<PathBuf> {
    Some(code_cache()?.join("components"))
}

fn cache_folder(variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    variable("MILEPOST_CACHE").or_else(|| {
        // The standard says: a relative path is to be ignored.
        let user = variable("XDG_CACHE_HOME").filter(|path| path.is_absolute());
        let user = user.or_else(|| Some(variable("HOME")?.join(".cache")))?;
        Some(user.join("milepost"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_store_above_is_found_up_to_the_home_folder() {
        let root = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
        let root = root.path();
        let store = |folder: &str| {
            let folder = root.join(folder).join(FOLDER);
            std::fs::create_dir_all(&folder)
                .and_then(|()| std::fs::write(folder.join(FILE), ""))
                .unwrap_or_else(|error| panic!("{error}"));
        };
        let home = root.join("home");
        let deep = home.join("project/flows/deep");
        std::fs::create_dir_all(&deep).unwrap_or_else(|error| panic!("{error}"));
        let found = |here: &Path| above(here, Some(&home)).display().to_string();
        assert_eq!(found(&deep), ".milepost");
        // Above the home folder, and a folder of that name without a store.
        store("");
        std::fs::create_dir(home.join("project/flows/.milepost"))
            .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(found(&deep), ".milepost");
        store("home");
        assert_eq!(found(&deep), "../../../.milepost");
        store("home/project");
        assert_eq!(found(&deep), "../../.milepost");
        store("home/project/flows/deep");
        assert_eq!(found(&deep), ".milepost");
    }

    #[test]
    fn the_cache_follows_the_standard() {
        let with = |set: &'static [(&str, &str)]| {
            cache_folder(|name| {
                set.iter()
                    .find(|(n, _)| *n == name)
                    .map(|(_, path)| path.into())
            })
        };
        for (set, expected) in [
            (
                &[
                    ("MILEPOST_CACHE", "/c"),
                    ("XDG_CACHE_HOME", "/x"),
                    ("HOME", "/h"),
                ][..],
                Some("/c"),
            ),
            (
                &[("XDG_CACHE_HOME", "/x"), ("HOME", "/h")],
                Some("/x/milepost"),
            ),
            (
                &[("XDG_CACHE_HOME", "relative"), ("HOME", "/h")],
                Some("/h/.cache/milepost"),
            ),
            (&[], None),
        ] {
            assert_eq!(with(set), expected.map(PathBuf::from));
        }
    }
}
