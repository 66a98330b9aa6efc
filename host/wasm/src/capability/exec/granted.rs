//! Whether a program may be run as a guest wants it: its name, its arguments, its variables and where it starts, as they are in truth.

use std::path::{Path, PathBuf};

use milepost_core::grants::{Denied, ExecCall, Grants};

use super::command::Command;
#[cfg(not(unix))]
use super::elsewhere::{Folder, names};
#[cfg(unix)]
use super::folder::Folder;
#[cfg(unix)]
use super::program::names;
use crate::host_error::HostError;
use crate::secrets::Secrets;
use crate::state::HostState;

impl HostState {
    /// The folder that the program is to start in, if the guest names one, when all of it is granted.
    ///
    /// # Errors
    /// `denied`, or why there is no such program or folder, which only whoever may start it there is told.
    pub(super) fn granted(&self, command: &Command) -> Result<Option<Folder>, HostError> {
        let (grants, secrets) = (&*self.call.grants, &self.call.secrets);
        let check = |dir: Option<&str>| check(grants, secrets, command, dir);
        let wanted = command.working_dir.as_deref();
        if let Err(denied) = check(None) {
            // Nothing is opened for it, but all that it lacks is told at once.
            check(wanted)?;
            return Err(denied);
        }
        let folder = match wanted.map(Folder::open) {
            None => None,
            Some(Ok(folder)) => {
                check(Some(&folder.path))?;
                Some(folder)
            }
            Some(Err(error)) => {
                check(wanted)?;
                return Err(error);
            }
        };
        if grants.denies_programs() {
            let names = names(&command.program)?;
            grants.exec_found(&command.program, |denied| is_one_of(denied, &names))?;
        }
        Ok(folder)
    }
}

/// A refusal repeats what was asked for, and says no secret of it.
fn check(
    grants: &Grants,
    secrets: &Secrets,
    command: &Command,
    dir: Option<&str>,
) -> Result<(), HostError> {
    let asked = |program: &str, args: &[String], env: &[(String, String)], dir: Option<&str>| {
        let call = ExecCall {
            program,
            args,
            env,
            dir,
        };
        grants.exec(&call).map(|_| ()).map_err(Box::new)
    };
    let Err(denied): Result<(), Box<Denied>> =
        asked(&command.program, &command.args, &command.env, dir)
    else {
        return Ok(());
    };
    let mask = |text: &str| secrets.mask(text).into_owned();
    let args: Vec<String> = command.args.iter().map(|arg| mask(arg)).collect();
    let env = command.env.iter();
    let env: Vec<_> = env.map(|(name, value)| (mask(name), mask(value))).collect();
    let dir = dir.map(mask);
    let shown = asked(&mask(&command.program), &args, &env, dir.as_deref());
    Err((*shown.err().unwrap_or(denied)).into())
}

/// Where the program of a bare name is, unless it is the one at that place, by whatever links: `None` also where there is none.
#[must_use]
pub fn found_elsewhere(name: &str, place: &str) -> Option<PathBuf> {
    let mut names = names(name).ok()?;
    match is_one_of(place, &names) {
        true => None,
        // As it was found.
        false => names.pop(),
    }
}

/// Whether what an operator denies is a program of these names: a bare name wherever it stands; a path also when links lead to its folder.
fn is_one_of(denied: &str, names: &[PathBuf]) -> bool {
    let denied = Path::new(denied);
    if !denied.has_root() {
        return names
            .iter()
            .any(|name| name.file_name() == Some(denied.as_os_str()));
    }
    let real = in_real_folder(denied);
    names
        .iter()
        .any(|name| name == denied || Some(name) == real.as_ref())
}

/// The same file in its folder without links on the way there.
pub(super) fn in_real_folder(path: &Path) -> Option<PathBuf> {
    let folder = path.parent()?.canonicalize().ok()?;
    Some(folder.join(path.file_name()?))
}
