//! Steps that are a file of JavaScript: one component with an engine for it, which is compiled once, and a copy of that for each script
//! with the text in a section of its own.
//!
//! So a script is a component like any other: its digest covers engine and text, a run carries it, and whatever works with
//! components works with it. Only its code is shared, because the section is no part of that. What it declares is asked of it when it
//! is read, as a component is asked when it is built: with every capability off.

use std::sync::Arc;

use milepost_core::limits;
use serde::Deserialize;
use wasmtime::wasmparser::BinaryReader;

use super::component::{Rejection, custom_section, embed_manifest};
use super::describe::DescribeError;
use super::engine::WasmEngine;

/// The component with the engine, whose sources are `plugins/javascript`.
const JAVASCRIPT: &[u8] = include_bytes!("../../../plugins/javascript/prebuilt/javascript.wasm");
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
    /// Makes a component of a script, with a manifest of what it declares. `file` is its name, for messages.
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
