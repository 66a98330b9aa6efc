//! What `run` was given as inputs: files are read here, the rest is the core's.

use std::path::{Path, PathBuf};

use clap::Args;
use milepost::bounded_file::{self, ReadError};
use milepost::core::definition::format_size;
use milepost::core::definition::input::{
    FileFormat, GivenInputs, InputProblem, read_argument, read_file,
};
use milepost::core::limits::INPUTS_BYTES;
use milepost::core::shown::Shown;

use super::failure::{Code, Failure};

/// What some editors begin a file with.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The inputs of a new run.
#[derive(Debug, Args)]
pub(crate) struct InputArgs {
    /// Value of an input; `name=@file` reads it from a file or pipe, `name=@@text` means the text `@text`; may be repeated
    #[arg(long, short, value_name = "NAME=VALUE", allow_hyphen_values = true)]
    input: Vec<String>,
    /// File or pipe with inputs, as TOML or JSON; `--input` overrides it
    #[arg(long, value_name = "FILE")]
    inputs: Option<PathBuf>,
    /// Ignore inputs that the workflow does not declare, with a warning
    #[arg(long)]
    allow_extra_inputs: bool,
}

impl InputArgs {
    /// Reads what the arguments name. Arguments without a `=` (B36) come back as problems, to be told with all others.
    ///
    /// # Errors
    /// [`Failure`] when a file cannot be read (B38).
    pub(crate) fn read(self) -> Result<(GivenInputs, Vec<InputProblem>), Failure> {
        let mut problems = Vec::new();
        let mut given = GivenInputs {
            allow_extra: self.allow_extra_inputs,
            ..GivenInputs::default()
        };
        if let Some(file) = &self.inputs {
            let format = format_of(file)?;
            let text = read(file)?;
            let format = format.unwrap_or_else(|| guess(&text));
            given.file = read_file(&file.display().to_string(), &text, format)
                .map_err(|problem| Failure::inputs(vec![problem]))?;
        }
        for argument in &self.input {
            let (name, value) = match read_argument(argument) {
                Ok(read) => read,
                Err(problem) => {
                    problems.push(problem);
                    continue;
                }
            };
            let value = match value.strip_prefix('@') {
                Some(text) if text.starts_with('@') => text.to_owned(),
                Some(file) => read(Path::new(file)).map_err(|failure| {
                    failure.help(format!(
                        "to give a text that starts with `@`, write `{name}=@@…`"
                    ))
                })?,
                None => value,
            };
            given.arguments.push((name, value));
        }
        Ok((given, problems))
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
                    "inputs are stored with the run; give the step a place to read from instead",
                )
            }
            other => Failure::file("read", file, &other.into()),
        })?;
    if text.starts_with(BYTE_ORDER_MARK) {
        text.remove(0);
    }
    Ok(text)
}
