//! Which file a program's name means, and what is in it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use milepost_core::ids::Digest;
use sha2::{Digest as _, Sha256};

use super::granted::in_real_folder;
use crate::host_error::HostError;

/// Where programs are looked for that are named without a folder. The environment of the host is not asked.
const PATH: [&str; 3] = ["/usr/local/bin", "/usr/bin", "/bin"];

/// A program that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program {
    /// Its file.
    pub(super) path: PathBuf,
    /// Of the file's content; `None` where it may be executed and not read.
    pub(super) digest: Option<Digest>,
}

impl Program {
    /// Finds a program by its absolute path or its bare name.
    ///
    /// # Errors
    /// `invalid`, `not-found`, `not-executable`.
    pub(super) fn find(name: &str) -> Result<Self, HostError> {
        let path = locate(name)?;
        let digest = digest(&path).ok();
        Ok(Self { path, digest })
    }
}

/// All names of the program that is meant: as it was found, in its folder without links on the way there, and what it links to.
pub(super) fn names(name: &str) -> Result<Vec<PathBuf>, HostError> {
    let path = locate(name)?;
    let mut names = Vec::from_iter(in_real_folder(&path));
    names.extend(path.canonicalize());
    names.push(path);
    Ok(names)
}

fn locate(name: &str) -> Result<PathBuf, HostError> {
    if name.is_empty() || name.contains('\0') {
        return Err(HostError::new(
            "invalid",
            "a program has a name, without a NUL in it",
        ));
    }
    if name.starts_with('/') {
        return match look(Path::new(name)) {
            Found::Program => Ok(name.into()),
            Found::NotExecutable => Err(not_executable(name)),
            Found::Nothing => Err(HostError::new(
                "not-found",
                format!("there is no program `{name}`"),
            )),
        };
    }
    if name.contains('/') {
        let message =
            format!("`{name}` is neither an absolute path nor the bare name of a program");
        return Err(HostError::new("invalid", message));
    }
    let mut unusable = None;
    for folder in PATH {
        let path = Path::new(folder).join(name);
        match look(&path) {
            Found::Program => return Ok(path),
            Found::NotExecutable => unusable = unusable.or(Some(path)),
            Found::Nothing => {}
        }
    }
    Err(match unusable {
        Some(path) => not_executable(&path.to_string_lossy()),
        None => HostError::new(
            "not-found",
            format!("there is no program `{name}` in {}", PATH.join(", ")),
        ),
    })
}

enum Found {
    Program,
    NotExecutable,
    Nothing,
}

fn look(path: &Path) -> Found {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Found::NotExecutable,
        Err(_) => Found::Nothing,
        Ok(file) if !file.is_file() => Found::NotExecutable,
        Ok(_) => match rustix::fs::access(path, rustix::fs::Access::EXEC_OK) {
            Ok(()) => Found::Program,
            Err(_) => Found::NotExecutable,
        },
    }
}

fn not_executable(program: &str) -> HostError {
    HostError::new(
        "not-executable",
        format!("`{program}` is no file that may be executed"),
    )
}

/// Digest of a file that rarely changes and is asked for often: read once as long as it looks the same.
fn digest(path: &Path) -> io::Result<Digest> {
    /// A step rarely runs more than a few.
    const KEPT: usize = 64;
    static KNOWN: Mutex<BTreeMap<PathBuf, (Looks, Digest)>> = Mutex::new(BTreeMap::new());
    let mut file = File::open(path)?;
    let looks = Looks::of(&file)?;
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((before, digest)) = known().get(path)
        && *before == looks
    {
        return Ok(*digest);
    }
    let mut hash = Sha256::new();
    let mut piece = vec![0; 64 * 1024];
    loop {
        match file.read(&mut piece)? {
            0 => break,
            bytes => hash.update(&piece[..bytes]),
        }
    }
    let digest = Digest::from(<[u8; 32]>::from(hash.finalize()));
    let mut known = known();
    if known.len() >= KEPT {
        known.clear();
    }
    known.insert(path.to_owned(), (looks, digest));
    Ok(digest)
}

/// By what a file that was changed is recognised: whoever writes to it changes its times, the last of which cannot be set back.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Looks {
    place: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Looks {
    fn of(file: &File) -> io::Result<Self> {
        let file = file.metadata()?;
        Ok(Self {
            place: (file.dev(), file.ino()),
            size: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_program_is_an_absolute_path_or_a_bare_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tool");
        fs::write(&file, "#!/bin/sh\n").unwrap();
        let absolute = file.to_str().unwrap();
        let folder = folder.path().to_str().unwrap();
        let code = |name: &str| Program::find(name).map(|_| ()).unwrap_err().code;
        assert_eq!(code(absolute), "not-executable");
        assert_eq!(code(folder), "not-executable");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        let found = Program::find(absolute).unwrap();
        assert_eq!(
            (found.path, found.digest),
            (file.clone(), Some(Digest::of(b"#!/bin/sh\n")))
        );
        fs::write(&file, "#!/bin/sh\n\n").unwrap();
        let changed = Program::find(absolute).unwrap();
        assert_eq!(changed.digest, Some(Digest::of(b"#!/bin/sh\n\n")));
        let shell = Program::find("sh").unwrap();
        assert!(shell.path.is_absolute() && shell.digest.is_some());
        for (name, expected) in [
            ("", "invalid"),
            ("a\0b", "invalid"),
            ("bin/sh", "invalid"),
            ("./sh", "invalid"),
            ("..", "not-executable"),
            ("/no/such/program", "not-found"),
            ("no-such-program-at-all", "not-found"),
        ] {
            assert_eq!(code(name), expected, "{name:?}");
        }
    }
}
