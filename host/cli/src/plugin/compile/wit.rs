//! The world for languages whose components import all of it: only what the sources call, so that a component asks for no more
//! than it needs.

use std::fs;
use std::path::PathBuf;

use milepost_componentize::{CORE_WIT, CORE_WORLD, STEP_WIT, WORLD, World};

use super::Job;
use crate::failure::Failure;

/// A world in a folder of WIT.
pub(super) struct Narrowed {
    pub(super) folder: PathBuf,
    pub(super) name: Option<String>,
}

impl Narrowed {
    /// The name behind an option, if there is one.
    pub(super) fn option(&self, option: &str) -> Vec<String> {
        let name = self.name.iter();
        name.flat_map(|name| [option.to_owned(), name.clone()])
            .collect()
    }
}

/// Writes the contract with those interfaces in its world that `is_used` tells. A world that was named stays as it is.
pub(super) fn narrowed(job: &Job<'_>, is_used: impl Fn(&str) -> bool) -> Result<Narrowed, Failure> {
    let (text, world) = match job.world {
        World::Step => (with_imports(STEP_WIT, WORLD, is_used), WORLD),
        World::StepCore => {
            let core = with_imports(CORE_WIT, CORE_WORLD, is_used);
            ([STEP_WIT, &core].concat(), CORE_WORLD)
        }
        World::Of { wit, world } => {
            return Ok(Narrowed {
                folder: wit.clone(),
                name: world.clone(),
            });
        }
    };
    let folder = job.scratch.join("wit");
    let file = folder.join("step.wit");
    fs::create_dir_all(&folder)
        .and_then(|()| fs::write(&file, text))
        .map_err(|error| Failure::file("write", &file, &error))?;
    Ok(Narrowed {
        folder,
        name: Some(world.to_owned()),
    })
}

fn with_imports(wit: &str, world: &str, is_used: impl Fn(&str) -> bool) -> String {
    let head = format!("world {world} {{");
    let Some((before, statements)) = wit.split_once(&head) else {
        return wit.to_owned();
    };
    let kept = statements.split_inclusive(';').filter(|statement| {
        let import = statement
            .split_once("import ")
            .map(|(_, name)| name.trim_end_matches(';'));
        import.is_none_or(&is_used)
    });
    format!("{before}{head}{}", kept.collect::<String>())
}

/// Whether sources in Python import an interface: `from wit_world.imports import kv` or `wit_world.imports.kv`.
pub(super) fn is_used_in_python(text: &str, interface: &str) -> bool {
    let module = interface.replace('-', "_");
    let is_word = |word: &str| word == module;
    let words = |line: &str| {
        line.split(|c: char| !c.is_alphanumeric() && c != '_')
            .any(is_word)
    };
    text.lines().any(|line| {
        let code = line.split('#').next().unwrap_or_default();
        code.split_once("imports")
            .is_some_and(|(_, rest)| words(rest))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_world_has_only_what_is_used() {
        let left = |wit: &str, world: &str| {
            let wit = with_imports(wit, world, |name| ["log", "secrets-reveal"].contains(&name));
            let (_, world) = wit
                .split_once(&format!("world {world} {{"))
                .unwrap_or_default();
            world.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            left(STEP_WIT, WORLD),
            "import secrets-reveal; import log; export guest; }"
        );
        assert_eq!(left(CORE_WIT, CORE_WORLD), "import log; export guest; }");
        assert_eq!(with_imports(STEP_WIT, WORLD, |_| true), STEP_WIT);
        assert_eq!(with_imports(CORE_WIT, CORE_WORLD, |_| true), CORE_WIT);
    }

    #[test]
    fn what_python_imports_is_found() {
        let text = "from wit_world.imports import log, secrets_reveal as s\nimport kv\nx = wit_world.imports.http.Request # imports exec";
        let used = |interface| is_used_in_python(text, interface);
        assert!(used("log") && used("secrets-reveal") && used("http"));
        assert!(!used("kv") && !used("exec") && !used("secrets"));
    }
}
