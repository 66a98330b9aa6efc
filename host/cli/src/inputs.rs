//! What `run` was given as inputs: files are read here, the rest is the core's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use milepost::bounded_file::{self, ReadError};
use milepost::core::definition::format_size;
use milepost::core::definition::input::{
    FileFormat, GivenInputs, InputProblem, read_argument, read_file,
};
use milepost::core::definition::{Definition, InputType};
use milepost::core::effect::Artifact;
use milepost::core::ids::Digest;
use milepost::core::limits::INPUTS_BYTES;
use milepost::core::shown::Shown;
use milepost::input_file::{InputFile, InputFileError};
use milepost::store::Store;
use serde_json::Value;

use super::drive::wait;
use super::failure::{Code, Failure};

/// What some editors begin a file with.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The inputs of a new run.
#[derive(Debug, Clone, Args)]
pub(crate) struct InputArgs {
    /// Value of an input; `name=@file` reads it from a file or pipe, `name=@@text` means the text `@text`; may be repeated. The
    /// file of an input of type `file` is kept with the run, as an artifact
    #[arg(long, short, value_name = "NAME=VALUE", allow_hyphen_values = true)]
    input: Vec<String>,
    /// File or pipe with inputs, as TOML or JSON; `--input` overrides it
    #[arg(long, value_name = "FILE")]
    inputs: Option<PathBuf>,
    /// Ignore inputs that the workflow does not declare, with a warning
    #[arg(long)]
    allow_extra_inputs: bool,
}

/// What the arguments name.
#[derive(Default)]
pub(crate) struct Given {
    /// Checked by the core. A file stands in it as an artifact of which nothing but the name is right.
    pub(crate) inputs: GivenInputs,
    /// What is wrong already, to be told with all other problems.
    pub(crate) problems: Vec<InputProblem>,
    /// Files of inputs of type `file`, by their names: open, and not read yet.
    files: BTreeMap<String, InputFile>,
}

impl InputArgs {
    /// Reads what the arguments name, but for the files that become artifacts: these are only opened. What is wrong with these (B47), and
    /// arguments without a `=` (B36), come back as problems.
    ///
    /// # Errors
    /// [`Failure`] when another file cannot be read (B38).
    pub(crate) fn read(self, definition: &Definition) -> Result<Given, Failure> {
        let mut given = Given {
            inputs: GivenInputs {
                allow_extra: self.allow_extra_inputs,
                ..GivenInputs::default()
            },
            ..Given::default()
        };
        if let Some(file) = &self.inputs {
            let format = format_of(file)?;
            let text = read(file)?;
            let format = format.unwrap_or_else(|| guess(&text));
            given.inputs.file = read_file(&file.display().to_string(), &text, format)
                .map_err(|problem| Failure::inputs(vec![problem]))?;
        }
        for argument in &self.input {
            let (name, value) = match read_argument(argument) {
                Ok(read) => read,
                Err(problem) => {
                    given.problems.push(problem);
                    continue;
                }
            };
            let spec = definition.inputs.get(&name);
            let is_file = spec.is_some_and(|spec| spec.ty == InputType::File);
            let value = match value.strip_prefix('@') {
                Some(file) if is_file => given.open(&name, Path::new(file)),
                Some(text) if text.starts_with('@') => text.to_owned(),
                Some(file) => read(Path::new(file)).map_err(|failure| {
                    failure.help(format!(
                        "to give a text that starts with `@`, write `{name}=@@…`"
                    ))
                })?,
                None => value,
            };
            given.inputs.arguments.push((name, value));
        }
        Ok(given)
    }
}

impl Given {
    /// Opens a file for an input. Gives what stands for it until it is read.
    fn open(&mut self, name: &str, file: &Path) -> String {
        let outline = match InputFile::open(file, name) {
            Ok(file) => {
                let outline = file.outline();
                self.files.insert(name.to_owned(), file);
                outline
            }
            Err(error) => {
                self.problems.push(InputProblem::unkept(name, error));
                // Whatever else is wrong is told beside that.
                Artifact {
                    digest: Digest::of(&[]),
                    name: name.to_owned(),
                    size: 0,
                    media_type: "application/octet-stream".to_owned(),
                }
            }
        };
        outline.to_value().to_string()
    }

    /// Reads the files into the store; their values by the names of the inputs.
    ///
    /// # Errors
    /// [`Failure`] with the problem of the first that cannot be kept.
    pub(crate) fn keep(self, store: &dyn Store) -> Result<BTreeMap<String, Value>, Failure> {
        let mut kept = BTreeMap::new();
        for (name, file) in self.files {
            let keeping = wait(async { Ok::<_, Failure>(file.keep(store).await) });
            match keeping? {
                Ok(artifact) => drop(kept.insert(name, artifact.to_value())),
                Err(InputFileError::Store(error)) => return Err(error.into()),
                Err(error) => {
                    return Err(Failure::inputs(vec![InputProblem::unkept(&name, error)]));
                }
            }
        }
        Ok(kept)
    }
}

/// The format that the suffix names; none without a suffix, as of a pipe.
fn format_of(file: &Path) -> Result<Option<FileFormat>, Failure> {
    let Some(suffix) = file.extension() else {
        return Ok(None);
    };
    match suffix.to_str() {
        Some("toml") => Ok(Some(FileFormat::Toml)),
        Some("json") => Ok(Some(FileFormat::Json)),
        Some(_) | None => {
            let message = format!(
                "cannot tell whether {} is TOML or JSON",
                Shown(file.display())
            );
            Err(Failure::new(Code::InvalidInput, message).help("name it `.toml` or `.json`"))
        }
    }
}

/// No TOML begins as the document of inputs does in JSON.
fn guess(text: &str) -> FileFormat {
    match text.trim_start().starts_with('{') {
        true => FileFormat::Json,
        false => FileFormat::Toml,
    }
}

/// Reads the text of a file or a pipe, as far as inputs may go: whoever named it can end the wait for it with Ctrl-C. A byte order mark says how the text is written and is no part of it; every
/// line end is.
///
/// # Errors
/// [`Failure`] when it cannot be read or is larger.
pub(crate) fn read(file: &Path) -> Result<String, Failure> {
    let mut text =
        bounded_file::read_text_stream(file, INPUTS_BYTES).map_err(|error| match error {
            ReadError::TooLarge { .. } => {
                let message = format!(
                    "{} is larger than {}",
                    Shown(file.display()),
                    format_size(INPUTS_BYTES)
                );
                Failure::new(Code::InvalidInput, message).help(
                    "inputs are stored with the run; give large data as an input of type `file`",
                )
            }
            other => Failure::file("read", file, &other.into()),
        })?;
    if text.starts_with(BYTE_ORDER_MARK) {
        text.remove(0);
    }
    Ok(text)
}
