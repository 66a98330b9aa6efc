//! How `git` is called.

use milepost_sdk::exec::{Command, Output};
use milepost_sdk::{Error, Result};

/// `git` in a repository, cut off from what it would find in a home folder and from whoever sits at a terminal.
pub(crate) fn git(repository: &str) -> Command {
    Command::new("git")
        .current_dir(repository)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("GIT_NO_LAZY_FETCH", "1")
        .env("GIT_ALLOW_PROTOCOL", "none")
        .env("LC_ALL", "C.UTF-8")
}

/// Runs it. An output of which a part is missing would be read as something else.
pub(crate) fn whole(command: Command, remedy: &str) -> Result<Output> {
    let output = command.output()?.checked()?;
    if output.stdout_dropped > 0 {
        let message = format!("git says more than 100,000 characters; {remedy}");
        return Err(Error::failed("too-large", message).into());
    }
    Ok(output)
}

/// A range of revisions, or one. Neither can be an option.
pub(crate) fn revisions(from: Option<&str>, to: &str) -> Result<String> {
    for revision in from.into_iter().chain([to]) {
        if revision.is_empty() || revision.starts_with('-') || revision.contains("..") {
            let message = format!("`{revision}` is not the name of a revision");
            return Err(Error::failed("invalid_input", message).into());
        }
    }
    Ok(from.map_or_else(|| to.to_owned(), |from| format!("{from}..{to}")))
}

/// The present state.
pub(crate) fn head() -> String {
    "HEAD".to_owned()
}
