//! What verbs say of the history of runs.

use milepost::comparison::Comparison;
use milepost::core::ids::{Digest, Path, RunId};
use milepost::core::json::Difference;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::run::AsOf;

/// The value of an expression over a run.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Evaluated {
    /// The run.
    pub(crate) id: RunId,
    /// The expression.
    pub(crate) expression: String,
    /// As which step execution sees it; null for one that stands outside of all steps.
    pub(crate) path: Option<Path>,
    /// The event up to which its history counts; null for all of it.
    pub(crate) as_of: Option<AsOf>,
    /// The value.
    pub(crate) value: Value,
}

/// What two runs do not share.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Compared {
    /// One run.
    a: RunId,
    /// The other one.
    b: RunId,
    /// Whether nothing differs.
    same: bool,
    /// The first step execution that differs, in the order in which they began; null when none does.
    first: Option<Path>,
    /// Where the inputs differ, at first.
    inputs: Vec<Difference>,
    /// The definitions; null when they are the same.
    definition: Option<Definitions>,
    /// Components and child workflows that differ.
    components: Vec<Components>,
    /// The first step executions that differ.
    steps: Vec<Steps>,
    /// How many more differ.
    more_steps: usize,
    /// Step executions that are the same.
    same_steps: usize,
    /// Where the endings differ.
    endings: Vec<Difference>,
}

/// Two definitions.
#[derive(Serialize, JsonSchema)]
struct Definitions {
    /// Digest of one.
    a: Digest,
    /// Digest of the other one.
    b: Digest,
    /// A unified diff of their texts.
    diff: String,
}

/// Two components of one name, or the texts of a child workflow.
#[derive(Serialize, JsonSchema)]
struct Components {
    /// Name of the plugin, or file of the child workflow.
    name: String,
    /// Digest of one; null where that run has none.
    a: Option<Digest>,
    /// Digest of the other one.
    b: Option<Digest>,
}

/// A step execution that differs.
#[derive(Serialize, JsonSchema)]
struct Steps {
    /// Which one.
    path: Path,
    /// Where, at first.
    differences: Vec<Difference>,
}

impl From<&Comparison> for Compared {
    fn from(found: &Comparison) -> Self {
        Self {
            a: found.a.clone(),
            b: found.b.clone(),
            same: found.is_same(),
            first: found.steps.first().map(|step| step.path.clone()),
            inputs: found.inputs.clone(),
            definition: found.definition.as_ref().map(|it| Definitions {
                a: it.a,
                b: it.b,
                diff: it.text.clone(),
            }),
            components: found
                .components
                .iter()
                .map(|it| Components {
                    name: it.name.clone(),
                    a: it.a,
                    b: it.b,
                })
                .collect(),
            steps: found
                .steps
                .iter()
                .map(|step| Steps {
                    path: step.path.clone(),
                    differences: step.places.clone(),
                })
                .collect(),
            more_steps: found.more_steps,
            same_steps: found.same_steps,
            endings: found.endings.clone(),
        }
    }
}
