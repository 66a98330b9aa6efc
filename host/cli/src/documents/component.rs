//! What a component is, and where it trapped.

use std::path::Path;

use milepost::core::definition::Manifest;
use milepost::core::function::Functions;
use milepost::core::ids::Digest;
use milepost::wasm::Inspection;
use milepost::wasm::symbolize as found;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::functions::{plugin, snippet};

/// A component.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Component {
    /// Its file.
    pub(crate) file: String,
    /// Digest of the file.
    pub(crate) digest: Digest,
    /// Size of the file.
    pub(crate) bytes: usize,
    /// Whether this version can run it.
    pub(crate) ok: bool,
    /// Why not.
    pub(crate) problem: Option<String>,
    /// Interfaces of the contract that it uses, `wasi` when it uses any of WASI, and `wasi:http` when that.
    pub(crate) capabilities: Vec<String>,
    /// Names of everything that it imports.
    pub(crate) imports: Vec<String>,
    /// Names of everything that it exports.
    pub(crate) exports: Vec<String>,
    /// What its author says of its steps; null when nothing is embedded.
    pub(crate) manifest: Option<Manifest>,
    /// Functions that it exports, in its order: first those that a step can call.
    pub(crate) functions: Vec<Exported>,
}

/// A function that a component exports.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Exported {
    /// How a step names it: `call`.
    pub(crate) call: String,
    /// Why no step can call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
    /// Its type, as WIT writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) signature: Option<String>,
    /// JSON Schema of its arguments: what `with` holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) input: Option<Value>,
    /// JSON Schema of the output of the step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) output: Option<Value>,
    /// A step that calls it, in TOML.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) step: Option<String>,
}

fn exported(functions: &Functions, plugin: &str) -> Vec<Exported> {
    let callable = functions.callable.iter().map(|function| Exported {
        call: function.call_name(),
        problem: None,
        signature: Some(function.to_string()),
        input: Some(function.input_schema()),
        output: Some(function.output_schema()),
        step: Some(snippet(function, plugin)),
    });
    let not_callable = functions.not_callable.iter().map(|refused| Exported {
        call: refused.name.clone(),
        problem: Some(refused.reason.clone()),
        signature: None,
        input: None,
        output: None,
        step: None,
    });
    callable.chain(not_callable).collect()
}

impl Component {
    pub(crate) fn new(file: &Path, inspection: &Inspection) -> Self {
        let problem = inspection.check().err();
        Self {
            file: file.display().to_string(),
            digest: inspection.digest,
            bytes: inspection.bytes,
            ok: problem.is_none(),
            problem: problem.map(|problem| problem.to_string()),
            capabilities: inspection.capabilities.clone(),
            imports: inspection.imports.clone(),
            exports: inspection.exports.clone(),
            manifest: inspection.manifest.clone(),
            functions: exported(&inspection.functions, &plugin(file)),
        }
    }
}

/// Backtraces, in the order of the steps.
#[derive(Serialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct Backtraces(pub(crate) Vec<Backtrace>);

/// One backtrace.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Backtrace {
    /// The step execution, if it is one of a run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<String>,
    /// Its frames, the innermost first.
    pub(crate) frames: Vec<Frame>,
}

/// What stands at an offset of a component.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Frame {
    /// The offset, from the beginning of the component's file.
    pub(crate) offset: u64,
    /// Functions, the innermost first: each was made part of the next one. Empty where the component does not say.
    pub(crate) functions: Vec<Function>,
}

/// A function, and its place in the source.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Function {
    /// Its name.
    pub(crate) name: Option<String>,
    /// The source file.
    pub(crate) file: Option<String>,
    /// The line, from 1.
    pub(crate) line: Option<u32>,
    /// The column, from 1.
    pub(crate) column: Option<u32>,
}

impl From<found::Place> for Frame {
    fn from(place: found::Place) -> Self {
        let functions = place.functions.into_iter();
        Self {
            offset: place.offset,
            functions: functions
                .map(|function| Function {
                    name: function.name,
                    file: function.file,
                    line: function.line,
                    column: function.column,
                })
                .collect(),
        }
    }
}
