//! Steps that are a file of JavaScript or TypeScript: one component with an engine for it, which is compiled once, and a copy of that for
//! each script with the text in a section of its own.
//!
//! So a script is a component like any other: its digest covers engine and text, a run carries it, and whatever works with
//! components works with it. Only its code is shared, because the section is no part of that. What it declares is asked of it when it
//! is read, as a component is asked when it is built: with every capability off.

use std::path::Path;
use std::sync::Arc;

use milepost_core::limits;
use milepost_core::outcome::{ErrorClass, Outcome};
use serde::Deserialize;
use serde_json::{Value, json};
use wasmtime::wasmparser::BinaryReader;

use super::component::{Rejection, custom_section, embed_manifest};
use super::describe::{DescribeError, nobody};
use super::engine::WasmEngine;
use crate::attempt::Callable as _;

/// The component with the engine, whose sources are `plugins/javascript`.
const JAVASCRIPT: &[u8] = include_bytes!("../../../plugins/javascript/prebuilt/javascript.wasm");
/// The script that takes the types out of TypeScript, whose sources are in `plugins/javascript/typescript`.
const STRIPPER: &str = include_str!("../../../plugins/javascript/typescript/stripper.js");
/// Name of the custom section that holds the file's name, the interfaces that the script can reach, and its text, with zeros between.
pub(super) const SECTION: &str = "milepost:script";
/// What the engine imports beside the contract.
pub(super) const INTERFACE: &str = "milepost:script/source@0.1.0";

/// A script that a component carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Script {
    pub(super) file: Arc<str>,
    pub(super) text: Arc<str>,
    /// Interfaces of the contract. Of those that the engine imports, a script reaches the ones behind what it imports itself.
    pub(super) uses: Vec<String>,
    /// Where its section begins: what stands before is the component with the engine.
    pub(super) engine_bytes: usize,
}

impl Script {
    /// Reads the section that begins at `engine_bytes`.
    ///
    /// # Errors
    /// [`Rejection::Invalid`] when it is not what [`WasmEngine::script`] writes.
    pub(super) fn read(data: &[u8], engine_bytes: usize) -> Result<Self, Rejection> {
        let invalid = || Rejection::Invalid("its script is damaged".to_owned());
        let text = std::str::from_utf8(data).map_err(|_| invalid())?;
        let (file, rest) = text.split_once('\0').ok_or_else(invalid)?;
        let (uses, text) = rest.split_once('\0').ok_or_else(invalid)?;
        let uses = uses.split(',').filter(|name| !name.is_empty());
        Ok(Self {
            file: file.into(),
            text: text.into(),
            uses: uses.map(str::to_owned).collect(),
            engine_bytes,
        })
    }
}

/// A script does not become a component.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// The file is larger than [`limits::SCRIPT_BYTES`].
    #[error(
        "it has {bytes} bytes, more than the {} that a script may have",
        limits::SCRIPT_BYTES
    )]
    TooLarge {
        /// Its size.
        bytes: u64,
    },
    /// It is not UTF-8.
    #[error("it is not UTF-8 from byte {0} on")]
    NotText(usize),
    /// It cannot be parsed or evaluated, or declares no steps.
    #[error("{0}")]
    Thrown(String),
    /// It took too long, or used too much.
    #[error(transparent)]
    Describe(#[from] DescribeError),
}

impl WasmEngine {
    /// Makes a component of a script, with a manifest of what it declares. `file` is its name, for messages; one that ends as those of
    /// TypeScript do loses its types first, which nobody checks.
    ///
    /// # Errors
    /// [`ScriptError`].
    pub async fn script(&self, file: &str, text: &[u8]) -> Result<Vec<u8>, ScriptError> {
        if text.len() > limits::SCRIPT_BYTES {
            let bytes = text.len() as u64;
            return Err(ScriptError::TooLarge { bytes });
        }
        let text =
            std::str::from_utf8(text).map_err(|error| ScriptError::NotText(error.valid_up_to()))?;
        let file = file.replace('\0', "");
        let stripped = match is_typed(Path::new(&file)) {
            true => Some(self.without_types(&file, text).await?),
            false => None,
        };
        let text = stripped.as_deref().unwrap_or(text);
        let read = self.describe(&component(&file, &[], text)).await?;
        match serde_json::from_str(&read) {
            Ok(Read::Script { manifest, uses }) => {
                let component = component(&file, &uses, text);
                Ok(embed_manifest(&component, &manifest).map_err(DescribeError::from)?)
            }
            Ok(Read::Refused { error }) => Err(ScriptError::Thrown(error)),
            Err(_) => Err(ScriptError::Thrown("it does not say what it is".to_owned())),
        }
    }

    async fn without_types(&self, file: &str, text: &str) -> Result<String, ScriptError> {
        // One of ours, which nobody has to ask what it declares.
        let bytes = component("stripper.js", &[], STRIPPER);
        let stripper = self.load_bytes(&bytes).map_err(DescribeError::from)?;
        let mut call = nobody().expect("its names are valid");
        call.step = "strip".into();
        call.input = Arc::new(json!({ "file": file, "text": text }));
        match stripper.call(call).await.outcome {
            Outcome::Completed(Value::String(text)) => Ok(text),
            Outcome::Failed(error) if error.class == ErrorClass::Failed => {
                Err(ScriptError::Thrown(error.message))
            }
            Outcome::Failed(error) => Err(DescribeError::Stopped(error).into()),
            other => Err(ScriptError::Thrown(format!(
                "its types cannot be taken out: {other:?}"
            ))),
        }
    }
}

/// Whether a file is TypeScript, by its name.
#[must_use]
pub fn is_typed(file: &Path) -> bool {
    file.extension()
        .is_some_and(|extension| extension == "ts" || extension == "mts")
}

/// The engine with a script.
fn component(file: &str, uses: &[String], text: &str) -> Vec<u8> {
    let mut bytes = JAVASCRIPT.to_vec();
    let data = format!("{file}\0{}\0{text}", uses.join(","));
    custom_section(&mut bytes, SECTION, data.as_bytes());
    bytes
}

/// What the engine answers when it is asked what a script is.
#[derive(Deserialize)]
#[serde(untagged)]
enum Read {
    Script { manifest: String, uses: Vec<String> },
    Refused { error: String },
}

/// Whether all that follows is no code either.
pub(super) fn is_last(bytes: &[u8], at: usize) -> bool {
    let mut reader = BinaryReader::new(&bytes[at..], at);
    while !reader.eof() {
        let is_custom = reader.read_u8().is_ok_and(|id| id == 0);
        let length = reader.read_var_u32();
        if !is_custom || !length.is_ok_and(|length| reader.read_bytes(length as usize).is_ok()) {
            return false;
        }
    }
    true
}
