//! What a component is, and where it trapped.

use std::path::Path;

use milepost::core::definition::Manifest;
use milepost::core::ids::Digest;
use milepost::wasm::Inspection;
use milepost::wasm::symbolize as found;
use schemars::JsonSchema;
use serde::Serialize;

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
