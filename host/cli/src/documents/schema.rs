//! The JSON Schema of all documents.

use milepost::core::definition::Manifest;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform as _};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::answer::{AfterDecision, AfterSignal, Cancelled, Resumed, Stopped};
use super::bundle::{Exported, Imported};
use super::called::Called;
use super::component::{Backtraces, Component};
use super::definition::{
    Completions, Drawing, Explanation, NewWorkflow, Secrets, Validated, Workflows,
};
use super::dry_run::Simulated;
use super::failure::Failed;
use super::followed::Followed;
use super::history::{Compared, Evaluated};
use super::journal::{Events, Logs};
use super::kept::{ArtifactsAnswer, KvAnswer, Metrics};
use super::plugin::PluginAnswer;
use super::replay::ReplayAnswer;
use super::run::{Run, Runs};
use super::store::{Collected, Doctor, Worked};
use super::tested::Tested;

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Which document each verb prints.
type Of = fn(&mut SchemaGenerator) -> Schema;
const VERBS: [(&str, Of); 43] = [
    ("run", of::<Run>),
    ("dev", of::<Run>),
    ("submit", of::<Run>),
    ("work", of::<Worked>),
    ("resume", of::<Resumed>),
    ("retry", of::<Resumed>),
    ("fork", of::<Run>),
    ("rerun", of::<Run>),
    ("compensate", of::<Run>),
    ("signal", of::<AfterSignal>),
    ("approve", of::<AfterDecision>),
    ("reject", of::<AfterDecision>),
    ("pause", of::<Stopped>),
    ("cancel", of::<Cancelled>),
    ("kill", of::<Stopped>),
    ("ls", of::<Runs>),
    ("show", of::<Run>),
    ("events", of::<Events>),
    ("logs", of::<Logs>),
    ("artifacts", of::<ArtifactsAnswer>),
    ("kv", of::<KvAnswer>),
    ("metrics", of::<Metrics>),
    ("diff", of::<Compared>),
    ("eval", of::<Evaluated>),
    ("replay", of::<ReplayAnswer>),
    ("export", of::<Exported>),
    ("import", of::<Imported>),
    ("new", of::<NewWorkflow>),
    ("call", of::<Called>),
    ("test", of::<Tested>),
    ("workflows", of::<Workflows>),
    ("validate", of::<Validated>),
    ("dry-run", of::<Simulated>),
    ("graph", of::<Drawing>),
    ("plugin", of::<PluginAnswer>),
    ("inspect", of::<Component>),
    ("pack", of::<Component>),
    ("secrets", of::<Secrets>),
    ("symbolize", of::<Backtraces>),
    ("gc", of::<Collected>),
    ("doctor", of::<Doctor>),
    ("explain", of::<Explanation>),
    ("completions", of::<Completions>),
];

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// A JSON Schema (draft 2020-12) that every document fits. `verbs` says which one a verb prints; any of them may print `Failed`
/// instead.
pub(crate) fn schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator();
    let mut verbs: Map<String, Value> = VERBS
        .iter()
        .map(|(verb, of)| ((*verb).to_owned(), of(&mut generator).to_value()))
        .collect();
    verbs.insert("schema".into(), json!({ "$ref": DRAFT }));
    let failed = of::<Failed>(&mut generator).to_value();
    // A line of what is followed is one, too.
    let followed = of::<Followed>(&mut generator).to_value();
    let mut all: Vec<Value> = vec![failed, followed];
    for document in verbs.values() {
        if !all.contains(document) {
            all.push(document.clone());
        }
    }
    let mut schema = Schema::try_from(json!({
        "$schema": DRAFT,
        "title": "Milepost documents",
        "description": "What `milepost --json` prints: `verbs` says which document each verb prints; `Failed` stands in its \
                        place when the verb did nothing. With `--follow`, each line is a `Followed`.",
        "anyOf": all,
        "verbs": verbs,
        "$defs": generator.take_definitions(true),
    }))
    .expect("an object is a schema");
    RecursiveTransform(close).transform(&mut schema);
    schema.to_value()
}

/// The JSON Schema (draft 2020-12) of what a plugin's `describe` returns.
pub(crate) fn manifest_schema() -> Value {
    let generator = SchemaSettings::draft2020_12()
        .for_deserialize()
        .into_generator();
    let mut schema = generator.into_root_schema_for::<Manifest>().to_value();
    schema["title"] = json!("Manifest of a Milepost plugin");
    // What the reader checks beside the shape.
    schema["properties"]["steps"]["minProperties"] = json!(1);
    schema
}

/// No other members than these.
fn close(schema: &mut Schema) {
    if schema.get("properties").is_some() && schema.get("additionalProperties").is_none() {
        schema.insert("additionalProperties".into(), Value::Bool(false));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory as _;

    use super::*;
    use crate::args::Cli;

    #[test]
    fn every_verb_has_a_document() {
        let command = Cli::command();
        let verbs: BTreeSet<&str> = command
            .get_subcommands()
            .map(clap::Command::get_name)
            .collect();
        let schema = schema();
        let described = schema["verbs"].as_object().into_iter().flatten();
        assert_eq!(
            described
                .map(|(verb, _)| verb.as_str())
                .collect::<BTreeSet<_>>(),
            verbs
        );
    }

    #[test]
    fn the_schema_changes_only_on_purpose() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/documents.schema.json");
        let now = crate::context::pretty(&schema()) + "\n";
        let then = std::fs::read_to_string(file).unwrap_or_default();
        assert!(
            now == then,
            "the documents have changed: if they should, write `milepost schema --documents` to {file}, and say so in CHANGELOG.md"
        );
    }
}
