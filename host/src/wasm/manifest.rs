//! The manifest that a component carries: its steps and the JSON Schemas of what they take and give.

use std::collections::BTreeMap;

use milepost_core::ids::StepId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Name of the custom section that holds the manifest, as UTF-8 JSON.
pub const SECTION: &str = "milepost:manifest";

/// What a plugin says about itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Name of the plugin.
    pub name: String,
    /// Its own version.
    pub version: String,
    /// For a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its steps by name; at least one.
    pub steps: BTreeMap<String, Step>,
}

/// What a plugin says about one of its steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// For a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// JSON Schema of the input.
    pub input: Value,
    /// JSON Schema of the output.
    pub output: Value,
}

/// Why a text is not a manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Not JSON, an unknown or missing key, or a value of another type.
    #[error("the manifest cannot be read: {0}")]
    Shape(#[from] serde_json::Error),
    /// It names no step.
    #[error("the manifest lists no step")]
    NoSteps,
    /// A step's name cannot be written in `use = "plugin/step"`.
    #[error("the manifest's step {0}")]
    StepName(milepost_core::ids::InvalidId),
    /// A schema is neither an object nor a boolean.
    #[error(
        "the {which} schema of step `{step}` is not a JSON Schema: it must be an object or a boolean"
    )]
    Schema {
        /// The step.
        step: String,
        /// `input` or `output`.
        which: &'static str,
    },
}

impl Manifest {
    /// Reads and checks a manifest.
    ///
    /// # Errors
    /// [`ManifestError`]: the first thing that is wrong with it.
    pub fn parse(json: &[u8]) -> Result<Self, ManifestError> {
        let manifest: Self = serde_json::from_slice(json)?;
        if manifest.steps.is_empty() {
            return Err(ManifestError::NoSteps);
        }
        for (name, step) in &manifest.steps {
            StepId::new(name).map_err(ManifestError::StepName)?;
            for (which, schema) in [("input", &step.input), ("output", &step.output)] {
                if !(schema.is_object() || schema.is_boolean()) {
                    return Err(ManifestError::Schema {
                        step: name.clone(),
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
    use super::*;

    #[test]
    fn manifests_are_strict() {
        let good = r#"{"name":"n","version":"1","steps":{"s":{"input":{},"output":true}}}"#;
        assert!(Manifest::parse(good.as_bytes()).is_ok());
        for (bad, says) in [
            ("{", "cannot be read"),
            (r#"{"name":"n","version":"1"}"#, "missing field `steps`"),
            (
                &good.replace("\"name\"", "\"nmae\""),
                "unknown field `nmae`",
            ),
            (
                &good.replace("{\"s\":{\"input\":{},\"output\":true}}", "{}"),
                "no step",
            ),
            (&good.replace("\"s\"", "\"a/b\""), "`a/b`"),
            (&good.replace("true", "3"), "output schema of step `s`"),
        ] {
            let error = Manifest::parse(bad.as_bytes()).map_err(|error| error.to_string());
            assert!(
                error.as_ref().is_err_and(|text| text.contains(says)),
                "{bad}: {error:?}"
            );
        }
    }
}
