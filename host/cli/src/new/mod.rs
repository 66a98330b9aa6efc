//! `milepost new`: a folder with a workflow that runs at once, to be changed into something else.

mod examples;

use std::borrow::Cow;
use std::path::PathBuf;

use clap::Args;
use milepost::core::shown::Shown;

use self::examples::{EXAMPLES, Example, FIRST};
use super::context::{Context, Reply};
use super::documents::NewWorkflow;
use super::exit::Exit;
use super::failure::{Code, Failure};
use super::{shell, whole_folder};

/// Begin a workflow: a folder with one that runs
///
/// Makes a folder with a workflow, the components that it uses and the data that it needs, which runs at once. Without `--example` it
/// is a small one, with comments on what else there is. Nothing is downloaded, and nothing that is there is changed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost new greetings
  milepost new orders --example table-report")]
pub(crate) struct NewArgs {
    /// The folder to make; its last part is the name of the workflow
    #[arg(value_name = "NAME")]
    folder: PathBuf,
    /// A copy of this example instead
    #[arg(long, value_name = "EXAMPLE", value_parser = examples::named())]
    example: Option<String>,
}

/// Longest name that a folder gives to a workflow, bytes.
const LONGEST: usize = 100;

pub(super) fn run(args: &NewArgs, cx: &Context) -> Result<Reply, Failure> {
    let name = args.folder.file_name().and_then(|name| name.to_str());
    let Some(name) = name.filter(|name| is_name(name)) else {
        let shown = Shown(args.folder.display());
        let message = format!("`{shown}` does not end with a name for a workflow");
        let help = "a name has letters, digits, `-` and `_`, and begins with a letter";
        return Err(Failure::new(Code::Usage, message).help(help));
    };
    let wanted = args.example.as_deref();
    let example = EXAMPLES
        .iter()
        .find(|example| Some(example.name) == wanted)
        .unwrap_or(&FIRST);
    let folder = args.folder.display().to_string();
    let files = example.files(name, &folder);
    whole_folder::make(&args.folder, &files)?;
    let workflow = shell::argument(&format!("{folder}/workflow.toml"));
    let inputs = example.inputs.replace("{{folder}}", &folder);
    let inputs = inputs.split('\n').filter(|input| !input.is_empty());
    let inputs: String = inputs
        .map(|input| format!(" --input {}", shell::word(input)))
        .collect();
    let run = cx.program(&format!("run {workflow}{inputs}"));
    let document = || NewWorkflow {
        folder: folder.clone(),
        example: wanted.map(|_| example.name),
        files: files.iter().map(|(file, _)| *file).collect(),
        run: run.clone(),
    };
    Ok(cx.reply(Exit::Completed, document, || {
        format!("made {}: {}\nnext: {run}", Shown(&folder), example.about)
    }))
}

fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(plain)
        && name.len() <= LONGEST
}

/// Where the examples of the repository find their components.
const PREBUILT: &str = "../../plugins/prebuilt/";

impl Example {
    /// The files of a copy of it.
    fn files(&self, name: &str, folder: &str) -> Vec<(&'static str, Cow<'static, [u8]>)> {
        let texts = self.texts.iter().map(|(to, text)| {
            let text = text
                .replace("{{name}}", name)
                .replace("{{folder}}", folder)
                .replace(PREBUILT, "plugins/");
            // A hint for a command line names a file of the folder.
            let text = self.data.iter().fold(text, |text, (to, from, _)| {
                text.replace(&format!("@{from}"), &format!("@{folder}/{to}"))
            });
            (*to, Cow::from(text.into_bytes()))
        });
        let data = self.data.iter();
        let data = data.map(|(to, _, text)| (*to, Cow::from(text.as_bytes())));
        let components = self.components.iter();
        let components = components.map(|(to, bytes)| (*to, Cow::from(*bytes)));
        texts.chain(data).chain(components).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_copy_names_nothing_outside_of_its_folder() {
        for example in EXAMPLES.iter().chain([&FIRST]) {
            for (file, bytes) in example.files("mine", "at/mine") {
                assert!(Path::new(file).is_relative(), "{file}");
                if !file.ends_with(".toml") {
                    continue;
                }
                let text = String::from_utf8_lossy(&bytes);
                for part in ["../", "{{", "@examples/"] {
                    assert!(!text.contains(part), "{}: {file}: {part}", example.name);
                }
            }
        }
    }

    #[test]
    fn a_name_fits_a_workflow_and_a_folder() {
        for (name, good) in [
            ("orders", true),
            ("Orders_2-b", true),
            ("", false),
            ("2nd", false),
            ("a b", false),
            ("a\"b", false),
            ("..", false),
        ] {
            assert_eq!(is_name(name), good, "{name}");
        }
    }
}
