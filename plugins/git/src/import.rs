//! A repository from a text: a stream as `git fast-export` writes it.

use milepost_sdk::{Context, Result, Schema, Step};
use serde::{Deserialize, Serialize};

use crate::command::git;

#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImportInput {
    /// The folder that it is to have, as an absolute path.
    repository: String,
    /// What `git fast-export` wrote.
    stream: String,
    /// The branch that `HEAD` names.
    #[serde(default = "main")]
    branch: String,
}

fn main() -> String {
    "main".to_owned()
}

#[derive(Serialize, Schema)]
pub(crate) struct ImportOutput {
    repository: String,
    /// The commit of `HEAD`.
    head: String,
}

pub(crate) struct Import;

impl Step for Import {
    const NAME: &'static str = "import";
    const DESCRIPTION: &'static str =
        "Makes a bare repository of a history. Once more, it changes nothing.";
    type Input = ImportInput;
    type Output = ImportOutput;

    fn run(input: ImportInput, _: &Context) -> Result<ImportOutput> {
        git("/")
            .args(["init", "--quiet", "--bare"])
            .arg(format!("--initial-branch={}", input.branch))
            .args(["--", &input.repository])
            .output()?
            .checked()?;
        git(&input.repository)
            .args(["fast-import", "--quiet", "--force"])
            .stdin(input.stream)
            .output()?
            .checked()?;
        let head = git(&input.repository)
            .args(["rev-parse", "HEAD"])
            .output()?
            .checked()?;
        Ok(ImportOutput {
            head: head.stdout_text().trim().to_owned(),
            repository: input.repository,
        })
    }
}
