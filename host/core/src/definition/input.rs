//! Inputs of a run: what the user gave, checked against what the workflow declares. Text in, typed values out; reading
//! files is the caller's part.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::codes;
use super::model::{Definition, InputSpec, InputType};
use super::nearest::{listed, nearest};
use super::nesting::too_deep;
use super::toml_values::to_json;
use crate::effect::Artifact;
use crate::json::{self, UnusableJson};
use crate::limits;
use crate::payload::within_depth;
use crate::shown::{self, Shown};

/// What the user gave.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GivenInputs {
    /// From an inputs file; see [`read_file`].
    pub file: BTreeMap<String, Value>,
    /// From the command line, in order; see [`read_argument`]. Each wins over the file.
    pub arguments: Vec<(String, String)>,
    /// Undeclared inputs are ignored instead of refused.
    pub allow_extra: bool,
}

/// The inputs of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Inputs {
    /// Values by name, of their declared types. An optional input that was not given has none.
    pub values: BTreeMap<String, Value>,
    /// Names whose value is the declared default.
    pub defaulted: BTreeSet<String>,
    /// Undeclared names that were given and allowed; the caller warns about them.
    pub ignored: BTreeSet<String>,
}

/// Why the inputs cannot start a run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InputProblem {
    /// Stable code, as in diagnostics.
    pub code: &'static str,
    /// What is wrong, in one sentence.
    pub message: String,
    /// How to mend it.
    pub help: Option<String>,
    /// Nearest valid names, best first.
    pub candidates: Vec<String>,
}

impl InputProblem {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: shown::message(message),
            help: None,
            candidates: Vec::new(),
        }
    }

    /// A file that an input names cannot be one.
    #[must_use]
    pub fn unkept(name: &str, reason: impl std::fmt::Display) -> Self {
        Self::new(codes::INPUT_UNKEPT, format!("input `{name}`: {reason}"))
    }

    /// Whether the input was not given at all.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.code == codes::MISSING_INPUT
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(shown::message(help));
        self
    }
}

/// Syntax of an inputs file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// A TOML table.
    Toml,
    /// A JSON object.
    Json,
}

/// Splits `name=value` at the first `=` (B36).
///
/// # Errors
/// When there is no `=`, or nothing before it.
pub fn read_argument(text: &str) -> Result<(String, String), InputProblem> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(InputProblem::new(
            codes::INPUT_FORM,
            format!("`{}` is not of the form `name=value`", brief(text)),
        )),
    }
}

/// Reads the text of an inputs file; `file` is its name in messages.
///
/// # Errors
/// When the text is malformed, is not a table or an object, or holds what JSON cannot.
pub fn read_file(
    file: &str,
    text: &str,
    format: FileFormat,
) -> Result<BTreeMap<String, Value>, InputProblem> {
    let bad = |reason: String| {
        InputProblem::new(
            codes::INPUT_FILE,
            format!("cannot read the inputs file {}: {reason}", Shown(file)),
        )
    };
    let value = match format {
        FileFormat::Json => json::parse(text).map_err(|error| bad(error.to_string()))?,
        FileFormat::Toml if too_deep(text).is_some() => {
            return Err(bad("it is nested too deeply".to_owned()));
        }
        FileFormat::Toml => {
            let root = toml::de::DeValue::Table(
                toml::de::DeTable::parse(text)
                    .map_err(|error| bad(error.to_string().trim_end().to_owned()))?
                    .into_inner(),
            );
            let mut found = Vec::new();
            super::shape::check_json(&toml::Spanned::new(0..0, root.clone()), 0, &mut found);
            if let Some(problem) = found.first() {
                let at = crate::diagnostic::Position::of(text, problem.span.start);
                return Err(bad(format!("line {}: {}", at.line, problem.message)));
            }
            to_json(&root)
        }
    };
    match value {
        Value::Object(entries) => Ok(entries.into_iter().collect()),
        _ => Err(bad("it is not an object of names and values".to_owned())),
    }
}

/// The artifacts among these inputs of a run, with the names of the inputs.
pub fn files<'a>(
    definition: &'a Definition,
    inputs: &Value,
) -> impl Iterator<Item = (&'a str, Artifact)> {
    let of_type = definition.inputs.iter();
    let of_type = of_type.filter(|(_, spec)| spec.ty == InputType::File);
    of_type.filter_map(|(name, _)| Some((name.as_str(), Artifact::from_value(inputs.get(name)?)?)))
}

impl Inputs {
    /// Checks and types what was given.
    ///
    /// A value counts as given when it is present, also when it is empty, `false` or zero (B33).
    ///
    /// # Errors
    /// Every problem: undeclared, doubled, missing and mistyped inputs.
    pub fn resolve(
        definition: &Definition,
        given: &GivenInputs,
    ) -> Result<Self, Vec<InputProblem>> {
        let mut inputs = Self::default();
        let mut problems = doubled(&given.arguments);
        let names: BTreeSet<_> = given
            .file
            .keys()
            .chain(given.arguments.iter().map(|(name, _)| name))
            .collect();
        for name in names {
            if definition.inputs.contains_key(name) {
                continue;
            }
            if given.allow_extra {
                inputs.ignored.insert(name.clone());
            } else {
                problems.push(undeclared(name, &definition.inputs));
            }
        }
        for (name, spec) in &definition.inputs {
            let argument = given
                .arguments
                .iter()
                .rev()
                .find(|(given, _)| given == name);
            let value = match (argument, given.file.get(name)) {
                (Some((_, text)), _) => from_text(name, spec, text),
                (None, Some(value)) => from_value(name, spec, value),
                (None, None) => match &spec.default {
                    Some(default) => {
                        inputs.defaulted.insert(name.clone());
                        Ok(default.clone())
                    }
                    None if spec.required => Err(missing(name, spec)),
                    None => continue,
                },
            };
            match value {
                Ok(value) => {
                    inputs.values.insert(name.clone(), value);
                }
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() {
            Ok(inputs)
        } else {
            Err(problems)
        }
    }
}

fn doubled(arguments: &[(String, String)]) -> Vec<InputProblem> {
    let mut counts = BTreeMap::<&str, usize>::new();
    for (name, _) in arguments {
        *counts.entry(name).or_default() += 1;
    }
    let doubled = counts.into_iter().filter(|(_, count)| *count > 1);
    doubled
        .map(|(name, count)| {
            InputProblem::new(
                codes::INPUT_TWICE,
                format!("input `{}` is given {count} times", brief(name)),
            )
        })
        .collect()
}

fn undeclared(name: &str, declared: &BTreeMap<String, InputSpec>) -> InputProblem {
    let names = declared.keys().map(String::as_str);
    let mut problem = InputProblem::new(
        codes::UNKNOWN_INPUT,
        format!("the workflow has no input `{}`", brief(name)),
    );
    problem.candidates = nearest(name, names.clone());
    if problem.candidates.is_empty() && !declared.is_empty() {
        problem.help = Some(format!("its inputs are {}", listed(names)));
    }
    problem
}

fn missing(name: &str, spec: &InputSpec) -> InputProblem {
    let problem = InputProblem::new(codes::MISSING_INPUT, format!("input `{name}` is missing"));
    match &spec.description {
        Some(description) => problem.help(format!("{name} ({}): {description}", spec.ty.name())),
        None => problem.help(format!("it is of type {}", spec.ty.name())),
    }
}

fn from_text(name: &str, spec: &InputSpec, text: &str) -> Result<Value, InputProblem> {
    // A file ends with a line end, which is no part of a number or a word.
    let text = match spec.ty {
        InputType::Int | InputType::Float | InputType::Bool => text.trim_end_matches(['\r', '\n']),
        InputType::String | InputType::Json | InputType::File => text,
    };
    if let Some(number) = oddly_written(spec.ty, text) {
        return Err(
            mistyped(name, spec, text).help(format!("a number is written as in JSON: `{number}`"))
        );
    }
    let value = match spec.ty {
        InputType::String => Some(Value::from(text)),
        InputType::Int => text.parse::<i64>().ok().map(Value::from),
        // Non-finite numbers have no JSON form and read as null.
        InputType::Float => text
            .parse::<f64>()
            .ok()
            .filter(|number| number.is_finite())
            .filter(|number| {
                let is_whole = text
                    .bytes()
                    .all(|b| b.is_ascii_digit() || b == b'-' || b == b'+');
                !is_whole
                    || text
                        .parse()
                        .is_ok_and(|whole: i128| *number as i128 == whole)
            })
            .map(Value::from),
        InputType::Bool => text.parse::<bool>().ok().map(Value::from),
        // One that the store has; what a file becomes comes in this form, too.
        InputType::File => {
            let parsed = json::parse(text).ok();
            parsed.and_then(|value| spec.ty.accept(value))
        }
        InputType::Json => {
            let parsed = json::parse(text);
            return parsed
                .map_err(|error| not_json(name, text, &error))
                .and_then(|value| {
                    check_depth(name, &value)?;
                    check_allowed(name, spec, value)
                });
        }
    };
    check_allowed(name, spec, value.ok_or_else(|| mistyped(name, spec, text))?)
}

/// The number that a text means which is none in JSON: `+1`, `007`, `.5`.
fn oddly_written(ty: InputType, text: &str) -> Option<Value> {
    let number: Value = match ty {
        InputType::Int => text.parse::<i64>().ok()?.into(),
        InputType::Float => {
            let number = text
                .parse::<f64>()
                .ok()
                .filter(|number| number.is_finite())?;
            number.into()
        }
        InputType::String | InputType::Bool | InputType::Json | InputType::File => return None,
    };
    let odd = matches!(json::parse(text), Err(UnusableJson::Syntax(_)));
    odd.then_some(number)
}

fn from_value(name: &str, spec: &InputSpec, value: &Value) -> Result<Value, InputProblem> {
    check_depth(name, value)?;
    let accepted = spec.ty.accept(value.clone());
    check_allowed(
        name,
        spec,
        accepted.ok_or_else(|| mistyped(name, spec, &value.to_string()))?,
    )
}

fn mistyped(name: &str, spec: &InputSpec, given: &str) -> InputProblem {
    if spec.ty == InputType::File {
        let message = format!("input `{name}` must be a file, `{}` is not", brief(given));
        let help = format!(
            "a file is given as `{name}=@FILE`, an artifact that the store has as `{{\"digest\", \"size\", \"media_type\", \"name\"}}`"
        );
        return InputProblem::new(codes::INPUT_TYPE, message).help(help);
    }
    let message = format!(
        "input `{name}` must be of type {}, `{}` is not",
        spec.ty.name(),
        brief(given)
    );
    let problem = InputProblem::new(codes::INPUT_TYPE, message);
    match spec.ty {
        InputType::Bool => problem.help("write `true` or `false`"),
        InputType::Int if given.parse::<u64>().is_ok() => {
            problem.help(format!("an int is at most {}; `type = \"json\"` also takes it", i64::MAX))
        }
        InputType::Float if given.parse::<f64>().is_ok_and(f64::is_finite) => problem.help(
            "no double has just this value; write it with an exponent if a rounded number is enough",
        ),
        InputType::Json | InputType::String | InputType::Int | InputType::Float | InputType::File => problem,
    }
}

/// What the parser says helps where somebody wrote JSON; where somebody wrote a text, it needs quotes.
fn not_json(name: &str, given: &str, error: &UnusableJson) -> InputProblem {
    let problem = |message| InputProblem::new(codes::INPUT_TYPE, message);
    match error {
        UnusableJson::Syntax(reason) => problem(format!(
            "input `{name}` must be of type json, `{}` is not: {reason}",
            brief(given)
        ))
        .help("texts are written in quotes: '\"text\"'"),
        UnusableJson::Inexact(_)
        | UnusableJson::Twice(_)
        | UnusableJson::TooManyValues
        | UnusableJson::TooMuchMemory => {
            problem(format!("input `{name}` must be of type json: {error}"))
        }
    }
}

fn check_allowed(name: &str, spec: &InputSpec, value: Value) -> Result<Value, InputProblem> {
    match &spec.allowed {
        Some(allowed) if !allowed.contains(&value) => {
            let all: Vec<_> = allowed
                .iter()
                .map(|value| format!("`{}`", brief(&bare(value))))
                .collect();
            let message = format!("input `{name}` cannot be `{}`", brief(&bare(&value)));
            Err(InputProblem::new(codes::INPUT_NOT_ALLOWED, message)
                .help(format!("choose one of {}", all.join(", "))))
        }
        Some(_) | None => Ok(value),
    }
}

/// A text from outside as a message repeats it: in one line, the beginning and the size of a long one.
fn brief(text: &str) -> String {
    Shown(shown::excerpt(text, limits::EXCERPT_BYTES)).to_string()
}

/// Texts without quotes, as they are given on a command line.
fn bare(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn check_depth(name: &str, value: &Value) -> Result<(), InputProblem> {
    if within_depth(value, limits::JSON_DEPTH) {
        return Ok(());
    }
    let message = format!(
        "input `{name}` is nested deeper than {} levels",
        limits::JSON_DEPTH
    );
    Err(InputProblem::new(codes::INPUT_TYPE, message))
}
