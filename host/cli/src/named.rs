//! Workflows by name: those in a folder of the project, and in one of the user.
//!
//! A name is that of a file without its ending (`workflows/report.toml`), or of a folder with a `workflow.toml`. What the project has
//! hides what the user has under the same name, and every use of such a name says so.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use milepost::core::shown::Shown;

use super::context::Context;
use super::failure::{Code, Failure};
use super::{meant, place, test, validate};

/// The folder of a project.
pub(crate) const FOLDER: &str = "workflows";

/// The definition in a folder of its own.
const IN_FOLDER: &str = "workflow.toml";

/// Whose a workflow is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    Project,
    User,
}

impl Source {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::User => "user",
        }
    }
}

/// A workflow that has a name.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) source: Source,
    pub(crate) file: PathBuf,
    /// Whether the project has another one of this name, so that the name does not lead here.
    pub(crate) hidden: bool,
}

/// Where workflows are looked for, as far as there are such folders: the project comes first.
pub(crate) fn folders() -> Vec<(Source, PathBuf)> {
    let project = place::project(FOLDER);
    let user = place::config().map(|config| config.join(FOLDER));
    let all = [(Source::Project, project), (Source::User, user)];
    all.into_iter()
        .filter_map(|(source, folder)| Some((source, folder?)))
        .collect()
}

/// All of them, in the order of their names.
///
/// # Errors
/// [`Failure`] when a folder cannot be read.
pub(crate) fn all() -> Result<Vec<Named>, Failure> {
    let mut all = Vec::new();
    for (source, folder) in folders() {
        let found = in_folder(&folder).map_err(|error| Failure::file("read", &folder, &error))?;
        // The folder of the project came first.
        let of_project: BTreeSet<String> = match source {
            Source::Project => BTreeSet::new(),
            Source::User => all.iter().map(|other: &Named| other.name.clone()).collect(),
        };
        all.extend(found.into_iter().map(|(name, file)| Named {
            hidden: of_project.contains(&name),
            name,
            source,
            file,
        }));
    }
    all.sort();
    Ok(all)
}

fn in_folder(folder: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let file = match path.is_dir() {
            true => path.join(IN_FOLDER),
            false if path.extension().is_some_and(|ending| ending == "toml") => path.clone(),
            false => continue,
        };
        let is_one = file.is_file() && !test::is_test_file(&file) && validate::is_definition(&file);
        let name = match path.is_dir() {
            true => path.file_name(),
            false => path.file_stem(),
        };
        if let Some(name) = name.and_then(|name| name.to_str()).filter(|_| is_one) {
            found.push((name.to_owned(), file));
        }
    }
    Ok(found)
}

/// The file of a definition that was named: by its path, or by a name.
///
/// # Errors
/// [`Failure`] when a name leads nowhere, or to more than one place.
pub(crate) fn file(typed: &Path, cx: &Context) -> Result<PathBuf, Failure> {
    let Some(name) = name(typed) else {
        return match typed.is_dir() {
            true => Err(a_folder(typed)),
            false => Ok(typed.to_owned()),
        };
    };
    let is_there = fs::symlink_metadata(typed).is_ok();
    // A folder is no definition, whatever else the name may be.
    let is_file = is_there && !typed.is_dir();
    let workflows = match all() {
        Ok(workflows) => workflows,
        // Whoever names a file needs no folder of workflows.
        Err(_) if is_file => return Ok(typed.to_owned()),
        Err(failure) => return Err(failure),
    };
    let of_name = |workflow: &&Named| workflow.name == name && !workflow.hidden;
    let found: Vec<&Named> = workflows.iter().filter(of_name).collect();
    let found = match (&*found, is_file) {
        ([], false) if is_there && typed.is_dir() => return Err(a_folder(typed)),
        ([], _) if is_there => return Ok(typed.to_owned()),
        ([], _) => return Err(unknown(typed, name, &workflows)),
        ([one], false) => one,
        ([one, ..], true) => {
            let message = format!(
                "`{}` is a file here, and the name of the workflow {}",
                Shown(name),
                Shown(one.file.display())
            );
            return Err(
                Failure::new(Code::Usage, message).help("name the path: `./NAME` is the file")
            );
        }
        ([one, other, ..], false) => {
            let message = format!(
                "`{}` is the name of two workflows: {} and {}",
                Shown(name),
                Shown(one.file.display()),
                Shown(other.file.display())
            );
            return Err(Failure::new(Code::Usage, message)
                .help("name the path of one, or rename the other"));
        }
    };
    let hides = workflows
        .iter()
        .any(|other| other.name == name && other.hidden);
    let instead = match hides {
        true => ", and not the user's workflow of that name",
        false => "",
    };
    cx.note(format!(
        "`{}` is {} ({}){instead}",
        Shown(name),
        Shown(found.file.display()),
        found.source.word()
    ));
    Ok(found.file.clone())
}

/// What can be a name: one part of a path that does not end as files of definitions do.
fn name(typed: &Path) -> Option<&str> {
    let mut parts = typed.components();
    let (Some(Component::Normal(only)), None) = (parts.next(), parts.next()) else {
        return None;
    };
    // `./report` and `report/` are paths.
    let name = typed.to_str().filter(|text| only.to_str() == Some(text))?;
    (typed.extension().is_none_or(|ending| ending != "toml")).then_some(name)
}

fn a_folder(typed: &Path) -> Failure {
    let message = format!("{} is a folder", Shown(typed.display()));
    let inside = typed.join(IN_FOLDER);
    let help = match inside.is_file() {
        true => format!("the workflow in it is {}", Shown(inside.display())),
        false => "name the file of a workflow in it".to_owned(),
    };
    Failure::new(Code::UnreadableDefinition, message).help(help)
}

fn unknown(typed: &Path, name: &str, workflows: &[Named]) -> Failure {
    let message = format!("there is no file and no workflow `{}`", Shown(name));
    let failure = Failure::new(Code::UnreadableDefinition, message);
    let names = workflows.iter().map(|workflow| workflow.name.as_str());
    let question = meant::question(name, names).or_else(|| meant::file(typed));
    match question {
        Some(question) => failure.help(question),
        None => failure
            .help("`milepost workflows` lists the names that there are; a path names any file"),
    }
}
