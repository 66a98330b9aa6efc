//! `workflow`: the definition of a child run, found by whoever reads files, and whether its inputs are given.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use toml::de::DeTable;

use super::codes;
use super::contract;
use super::expressions::Compiler;
use super::grammar::WORKFLOW;
use super::model::{Child, ChildStep, Definition, InputSpec, InputType};
use super::nesting::too_deep;
use super::outline::Entry;
use super::scope::Place;
use super::view::View;
use crate::diagnostic::Diagnostic;
use crate::expr::Template;
use crate::limits;

/// What stands in the files of child workflows, by what `workflow` says. No entry: nobody has looked.
pub type Children = BTreeMap<String, Result<Child, UnusableChild>>;

/// Why a file cannot be a child workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnusableChild {
    /// It cannot be read.
    Unreadable {
        /// Why.
        reason: String,
    },
    /// It, or a child of it, has problems of its own, or its components cannot be used.
    Invalid {
        /// The first problems, each with its place.
        problems: Vec<String>,
        /// How many more there are.
        more: usize,
    },
    /// It leads back to a workflow that started it.
    Cycle {
        /// From that workflow back to it.
        files: Vec<String>,
    },
    /// It has more children in one another than there may be.
    TooDeep {
        /// From the workflow to the first file too many.
        files: Vec<String>,
    },
    /// With it, the workflow has more child workflows than it may.
    TooMany,
}

impl Definition {
    /// The files that a text starts as child runs, as they are written, as far as it can be read: what has to be found before
    /// [`Definition::parse_with`] can judge the rest.
    #[must_use]
    pub fn children_of(text: &str) -> BTreeSet<String> {
        if too_deep(text).is_some() {
            return BTreeSet::new();
        }
        let (root, _) = DeTable::parse_recoverable(text);
        let workflow = View::new(&WORKFLOW, root.get_ref(), 0..0);
        let steps = workflow.tables("step");
        let files = steps.iter().filter_map(|step| step.owned("workflow"));
        files.filter(|file| !file.trim().is_empty()).collect()
    }

    /// The child workflows of its steps, those of their own steps included, by their file.
    #[must_use]
    pub fn descendants(&self) -> BTreeMap<&str, &Arc<Self>> {
        let mut found = BTreeMap::new();
        let mut open = vec![self];
        while let Some(definition) = open.pop() {
            for child in definition.steps().iter().filter_map(|step| step.child()) {
                if found.insert(&*child.file, &child.definition).is_none() {
                    open.push(&child.definition);
                }
            }
        }
        found
    }
}

/// Builds the child run of the step at `index`; `None` when it has a problem that was reported.
pub(super) fn child(
    compiler: &mut Compiler<'_>,
    index: usize,
    entry: &Entry<'_>,
) -> Option<ChildStep> {
    let view = &entry.view;
    let given = view.node("with");
    let place = match entry.fans_out {
        true => Place::Item(index),
        false => Place::Step(index),
    };
    let with = match given {
        Some(node) => compiler.template(node, place),
        None => Some(Template::Object(BTreeMap::new())),
    };
    let workflow = view.owned("workflow")?;
    let span = view.node("workflow")?.span();
    let found = compiler.children.and_then(|all| all.get(&workflow));
    let child = match found {
        Some(Ok(child)) => Some(child),
        Some(Err(unusable)) => {
            compiler
                .out
                .push(refusal(&workflow, unusable, span.clone()));
            None
        }
        None => None,
    };
    if let (Some(child), Some(template)) = (child, &with) {
        let place = view.key_span("with").unwrap_or(span);
        contract::check(
            &schema_of(&child.definition.inputs),
            given.map(|node| (node, template)),
            place,
            &mut compiler.out,
        );
    }
    Some(ChildStep {
        child: child.cloned(),
        workflow,
        with: with?,
    })
}

fn refusal(workflow: &str, unusable: &UnusableChild, span: Range<usize>) -> Diagnostic {
    let chain = |files: &[String]| {
        let named: Vec<_> = files.iter().map(|file| format!("`{file}`")).collect();
        named.join(" -> ")
    };
    match unusable {
        UnusableChild::Unreadable { reason } => {
            let message = format!("the child workflow `{workflow}` cannot be read: {reason}");
            Diagnostic::error(codes::CHILD_UNREADABLE, span, message)
                .with_help("the file is looked for relative to this one")
        }
        UnusableChild::Invalid { problems, more } => {
            let message = format!("the child workflow `{workflow}` cannot be used");
            let mut help = problems.join("\n");
            if *more > 0 {
                help.push_str(&format!("\nand {more} more"));
            }
            Diagnostic::error(codes::CHILD_INVALID, span, message).with_help(help)
        }
        UnusableChild::Cycle { files } => {
            let message = format!(
                "the child workflow `{workflow}` would start itself without end: {}",
                chain(files)
            );
            Diagnostic::error(codes::CHILD_CYCLE, span, message)
                .with_help("for work that is repeated, use a loop")
        }
        UnusableChild::TooDeep { files } => {
            let message = format!(
                "child workflows are more than {} deep: {}",
                limits::CHILD_DEPTH,
                chain(files)
            );
            Diagnostic::error(codes::CHILD_DEPTH, span, message)
        }
        UnusableChild::TooMany => {
            let message = format!(
                "a workflow has at most {} child workflows in all, theirs included",
                limits::CHILD_FILES
            );
            Diagnostic::error(codes::CHILD_DEPTH, span, message)
        }
    }
}

/// The inputs of a workflow as the input of a step.
fn schema_of(inputs: &BTreeMap<String, InputSpec>) -> Value {
    let properties: Map<String, Value> = inputs
        .iter()
        .map(|(name, spec)| (name.clone(), input_schema(spec)))
        .collect();
    let needed = |(_, spec): &(&String, &InputSpec)| spec.required && spec.default.is_none();
    let required: Vec<&String> = inputs.iter().filter(needed).map(|(name, _)| name).collect();
    json!({
        "type": "object", "properties": properties, "required": required, "additionalProperties": false,
    })
}

fn input_schema(spec: &InputSpec) -> Value {
    let mut schema = Map::new();
    let kind = match spec.ty {
        InputType::String => Some("string"),
        InputType::Int => Some("integer"),
        InputType::Float => Some("number"),
        InputType::Bool => Some("boolean"),
        InputType::File => Some("object"),
        InputType::Json => None,
    };
    if let Some(kind) = kind {
        schema.insert("type".to_owned(), json!(kind));
    }
    if spec.ty == InputType::File {
        schema.insert(
            "required".to_owned(),
            json!(["digest", "size", "media_type"]),
        );
    }
    if let Some(allowed) = &spec.allowed {
        schema.insert("enum".to_owned(), json!(allowed));
    }
    if let Some(description) = &spec.description {
        schema.insert("description".to_owned(), json!(description));
    }
    Value::Object(schema)
}
