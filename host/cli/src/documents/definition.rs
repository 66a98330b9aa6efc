//! What is said of definitions, and texts that the program makes.

use schemars::JsonSchema;
use serde::Serialize;

use super::failure::{Diagnostic, Problem, is_zero};

/// What was found in definitions.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Validated {
    /// Whether all of them can be used.
    pub(crate) ok: bool,
    /// Each of them.
    pub(crate) files: Vec<Checked>,
}

/// What was found in one file.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Checked {
    /// The file.
    pub(crate) file: String,
    /// Whether it can be used.
    pub(crate) ok: bool,
    /// Why it could not be examined.
    pub(crate) error: Option<Problem>,
    /// Its first problems, warnings included.
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// Components that cannot be used.
    pub(crate) components: Vec<Refused>,
    /// How many more problems it has.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) omitted: usize,
}

/// A component that a definition names and that cannot be used.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Refused {
    /// Name of the plugin.
    pub(crate) plugin: String,
    /// Stable code.
    pub(crate) code: &'static str,
    /// Why.
    pub(crate) message: String,
}

/// The workflows that have a name.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Workflows {
    /// Each of them, by name.
    pub(crate) workflows: Vec<NamedWorkflow>,
}

/// A workflow that has a name.
#[derive(Serialize, JsonSchema)]
pub(crate) struct NamedWorkflow {
    /// The name.
    pub(crate) name: String,
    /// Whose it is: `project` or `user`.
    pub(crate) source: &'static str,
    /// The file.
    pub(crate) file: String,
    /// Whether the project has another one of this name, which is the one that the name means.
    pub(crate) hidden: bool,
}

/// What a definition needs of secrets; no values.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Secrets {
    /// The file.
    pub(crate) file: String,
    /// Whether each of them has a value.
    pub(crate) ok: bool,
    /// Each of them, by name.
    pub(crate) secrets: Vec<Needed>,
}

/// A secret that steps need.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Needed {
    /// Its name.
    pub(crate) name: String,
    /// The steps, with the file of those of child workflows.
    pub(crate) steps: Vec<String>,
    /// Whether a component may see its value.
    pub(crate) revealed: bool,
    /// Where its value stands: `file` or `environment`; null where it has none.
    pub(crate) from: Option<&'static str>,
    /// Why what stands there cannot be used.
    pub(crate) problem: Option<String>,
}

/// A definition, drawn.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Drawing {
    /// Name of the workflow.
    pub(crate) workflow: String,
    /// How it is drawn: `text`, `mermaid`, `dot` or `svg`.
    pub(crate) format: &'static str,
    /// The drawing.
    pub(crate) graph: String,
}

/// What a code means.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Explanation {
    /// The code.
    pub(crate) code: &'static str,
    /// In a few words; null where the code says it.
    pub(crate) title: Option<&'static str>,
    /// What it means, and what to do.
    pub(crate) explanation: String,
}

/// A completion script.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Completions {
    /// The shell.
    pub(crate) shell: String,
    /// The script.
    pub(crate) script: String,
}

/// A folder with a workflow.
#[derive(Serialize, JsonSchema)]
pub(crate) struct NewWorkflow {
    /// The folder.
    pub(crate) folder: String,
    /// The example that it is a copy of; null for a first workflow.
    pub(crate) example: Option<&'static str>,
    /// The files in the folder.
    pub(crate) files: Vec<&'static str>,
    /// The command that runs it.
    pub(crate) run: String,
}
