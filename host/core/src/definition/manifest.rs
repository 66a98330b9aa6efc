//! What a component says about itself: its steps, with JSON Schemas of their inputs and outputs.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::expr::Type;
use crate::function::Functions;
use crate::ids::{InvalidId, StepId};
use crate::json::{self, UnusableJson};
use crate::limits;
use crate::payload::within_depth;

/// The manifest inside a component.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Name of the plugin, as its author calls it.
    pub name: String,
    /// Version of the plugin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its steps, by the name given to `guest.run`; at least one.
    pub steps: BTreeMap<String, StepManifest>,
    /// Hosts that it wants to talk to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Buckets that it wants to keep state in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buckets: Vec<String>,
    /// Secrets that it wants to use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// Whether it claims to import nothing of WASI; one that does all the same is refused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pure: bool,
}

/// One step of a component.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct StepManifest {
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// JSON Schema of the input; `true` (anything) when absent.
    #[serde(default = "anything")]
    pub input: Value,
    /// JSON Schema of the output; `true` (anything) when absent.
    #[serde(default = "anything")]
    pub output: Value,
}

impl StepManifest {
    /// What expressions may read of the output. A manifest declares its outputs: where properties are listed and nothing
    /// is said about others, a name that is not listed is a mistake (B48), although JSON Schema would allow it.
    pub(super) fn output_type(&self) -> Type {
        let mut schema = self.output.clone();
        close(&mut schema);
        Type::from_json_schema(&schema)
    }
}

fn close(schema: &mut Value) {
    let Some(keywords) = schema.as_object_mut() else {
        return;
    };
    if let Some(Value::Object(properties)) = keywords.get_mut("properties") {
        properties.values_mut().for_each(close);
        keywords
            .entry("additionalProperties")
            .or_insert(Value::Bool(false));
    }
    if let Some(items) = keywords.get_mut("items") {
        close(items);
    }
}

fn anything() -> Value {
    Value::Bool(true)
}

/// What a component has to call.
#[derive(Debug, Clone, Default)]
pub struct Offer {
    /// What it says about its steps; `None`: it carries no manifest.
    pub manifest: Option<Manifest>,
    /// The functions that it exports.
    pub functions: Arc<Functions>,
}

impl From<Option<Manifest>> for Offer {
    fn from(manifest: Option<Manifest>) -> Self {
        Self {
            manifest,
            functions: Arc::default(),
        }
    }
}

/// What components have to call, by plugin name. No entry: the component was not read.
pub type Manifests = BTreeMap<String, Offer>;

/// A manifest that cannot be read: the component was built with a broken or a newer tool.
#[derive(Debug, thiserror::Error)]
pub enum InvalidManifest {
    /// Not the expected JSON.
    #[error("the component's manifest cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// JSON that is beyond a bound.
    #[error("the component's manifest cannot be used: {0}")]
    Unusable(#[from] UnusableJson),
    /// Larger than it may be; nothing of it was read.
    #[error("the component's manifest has {0} bytes, more than the {max} that it may have", max = limits::MANIFEST_BYTES)]
    TooLarge(usize),
    /// It nests deeper than values may.
    #[error("the component's manifest is nested deeper than {max} levels", max = limits::JSON_DEPTH)]
    TooDeep,
    /// Not UTF-8.
    #[error("the component's manifest is not UTF-8 text")]
    NotText,
    /// It names no step.
    #[error("the component's manifest lists no step")]
    NoSteps,
    /// A step's name cannot be written in `use = "plugin/step"`.
    #[error("the component's manifest cannot be read: step {0}")]
    StepName(#[from] InvalidId),
    /// A schema is neither an object nor a boolean.
    #[error(
        "the component's manifest cannot be read: the {which} schema of step `{step}` is neither an object nor a boolean"
    )]
    Schema {
        /// Name of the step.
        step: String,
        /// `input` or `output`.
        which: &'static str,
    },
}

impl Manifest {
    /// Reads a manifest from its JSON text.
    ///
    /// # Errors
    /// [`InvalidManifest`]: the first thing that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, InvalidManifest> {
        if text.len() > limits::MANIFEST_BYTES {
            return Err(InvalidManifest::TooLarge(text.len()));
        }
        let value = json::parse_names(text)?;
        if !within_depth(&value, limits::JSON_DEPTH) {
            return Err(InvalidManifest::TooDeep);
        }
        let manifest: Self = serde_json::from_value(value)?;
        if manifest.steps.is_empty() {
            return Err(InvalidManifest::NoSteps);
        }
        for (step, shape) in &manifest.steps {
            StepId::new(step)?;
            for (which, schema) in [("input", &shape.input), ("output", &shape.output)] {
                if !schema.is_object() && !schema.is_boolean() {
                    return Err(InvalidManifest::Schema {
                        step: step.clone(),
                        which,
                    });
                }
            }
        }
        Ok(manifest)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]
    use super::*;

    #[test]
    fn manifests_are_strict() {
        let good = r#"{"name": "git", "version": "1.0.0", "steps": {"log": {"input": {"type": "object"}}}}"#;
        let manifest = Manifest::parse(good).ok();
        assert_eq!(
            manifest.map(|m| m.steps["log"].output.clone()),
            Some(Value::Bool(true))
        );
        for (text, reason) in [
            ("", "EOF"),
            ("3", "invalid type"),
            (r#"{"name": "git"}"#, "missing field `steps`"),
            (r#"{"name": "git", "steps": {}}"#, "lists no step"),
            (r#"{"name": "git", "steps": {"a/b": {}}}"#, "`a/b`"),
            (
                r#"{"name": "git", "steps": {}, "stepps": {}}"#,
                "unknown field `stepps`",
            ),
            (
                r#"{"name": "git", "steps": {"log": {"inputs": {}}}}"#,
                "unknown field `inputs`",
            ),
            (
                r#"{"name": "git", "steps": {"log": {"output": 3}}}"#,
                "the output schema of step `log`",
            ),
        ] {
            let error =
                Manifest::parse(text).map_or_else(|error| error.to_string(), |_| String::new());
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn manifests_are_bounded_before_they_are_read() {
        let with = |input: &str| {
            format!(r#"{{"name": "n", "steps": {{"s": {{"input": {{"x": {input}}}}}}}}}"#)
        };
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(Manifest::parse(&with(&nested(limits::JSON_DEPTH - 4))).is_ok());
        for (input, reason) in [
            (
                format!("\"{}\"", "x".repeat(limits::MANIFEST_BYTES)),
                "more than the 262144",
            ),
            (nested(limits::JSON_DEPTH), "deeper than 64 levels"),
            (nested(100_000), "recursion limit"),
            (r#"{"a": 1, "a": 2}"#.to_owned(), "`a` is given twice"),
        ] {
            let error = Manifest::parse(&with(&input)).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
