//! What changed between two revisions.

use milepost_sdk::{Context, Error, Result, Schema, Step};
use serde::{Deserialize, Serialize};

use crate::command::{git, head, revisions, whole};

#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DiffInput {
    /// Its folder, as an absolute path.
    repository: String,
    from: String,
    #[serde(default = "head")]
    to: String,
    /// Only these.
    #[serde(default)]
    paths: Vec<String>,
}

#[derive(Serialize, Schema)]
pub(crate) struct DiffOutput {
    files: Vec<File>,
    /// In the unified format.
    patch: String,
}

/// A file that changed.
#[derive(Debug, PartialEq, Eq, Serialize, Schema)]
pub(crate) struct File {
    path: String,
    /// Lines; null where it is no text.
    added: Option<u64>,
    removed: Option<u64>,
}

pub(crate) struct Diff;

impl Step for Diff {
    const NAME: &'static str = "diff";
    const DESCRIPTION: &'static str = "Shows what changed between two revisions.";
    type Input = DiffInput;
    type Output = DiffOutput;

    fn run(input: DiffInput, _: &Context) -> Result<DiffOutput> {
        let range = revisions(Some(&input.from), &input.to)?;
        let diff = |form: &[&str]| {
            let command = git(&input.repository)
                .args([
                    "diff",
                    "--no-color",
                    "--no-ext-diff",
                    "--no-textconv",
                    "--no-renames",
                ])
                .args(form.iter().copied())
                .arg("--end-of-options")
                .arg(&range)
                .arg("--")
                .args(&input.paths);
            whole(command, "name the paths that matter")
        };
        let numbers = diff(&["--numstat", "-z"])?;
        let patch = diff(&["--patch"])?;
        Ok(DiffOutput {
            files: parse(&String::from_utf8_lossy(&numbers.stdout))?,
            patch: patch.stdout_text(),
        })
    }
}

fn parse(text: &str) -> Result<Vec<File>> {
    let files = text.split_terminator('\0').map(|line| {
        let (added, rest) = line.split_once('\t')?;
        let (removed, path) = rest.split_once('\t')?;
        Some(File {
            path: path.to_owned(),
            added: added.parse().ok(),
            removed: removed.parse().ok(),
        })
    });
    let files: Option<Vec<File>> = files.collect();
    files.ok_or_else(|| Error::failed("unreadable", "git says something else than expected").into())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use milepost_sdk::exec::{self, Output};
    use serde_json::{Value, json};

    use super::*;
    use crate::PLUGIN;

    #[test]
    fn files_and_patch_are_asked_for_one_after_the_other() {
        exec::answer(|command| {
            assert!(command.arguments().iter().any(|arg| arg == "v1..HEAD"));
            let numbers = command.arguments().iter().any(|arg| arg == "--numstat");
            Ok(Output::exited(0).with_stdout(match numbers {
                true => "3\t1\tsrc/a b.rs\0-\t-\tlogo.png\0",
                false => "diff --git a/x b/x\n",
            }))
        });
        let input = json!({"repository": "/r", "from": "v1"}).to_string();
        let text = PLUGIN.run("diff", &input, &Context::fake()).unwrap();
        let expected = json!({
            "files": [
                {"path": "src/a b.rs", "added": 3, "removed": 1},
                {"path": "logo.png", "added": null, "removed": null},
            ],
            "patch": "diff --git a/x b/x\n",
        });
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
    }
}
