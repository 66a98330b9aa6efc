//! A core module, looked at from outside. What people get wrong most often is found here, before the encoder would say it in its
//! own words.

use std::borrow::Cow;

use wasmparser::{Parser, Payload};

use super::Problem;

/// The import module of WASI preview 1.
const PREVIEW1: &str = "wasi_snapshot_preview1";
/// Names of the sections in which bindings say which world they are of begin with this.
const WORLD_SECTION: &str = "component-type";

/// What is seen of a module.
pub(super) struct Module {
    /// Whether it says itself which world it was written for.
    pub(super) names_its_world: bool,
    /// Whether it calls WASI preview 1.
    pub(super) calls_preview1: bool,
    is_command: bool,
    foreign: Option<(String, String)>,
}

impl Module {
    pub(super) fn of(bytes: &[u8]) -> Result<Self, Problem> {
        let mut found = Self {
            names_its_world: false,
            calls_preview1: false,
            is_command: false,
            foreign: None,
        };
        let invalid = |error: wasmparser::BinaryReaderError| Problem::Invalid(error.to_string());
        for payload in Parser::new(0).parse_all(bytes) {
            match payload.map_err(invalid)? {
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        let import = import.map_err(invalid)?;
                        if import.module == PREVIEW1 {
                            found.calls_preview1 = true;
                        } else if !is_interface(import.module) && found.foreign.is_none() {
                            found.foreign = Some((import.module.into(), import.name.into()));
                        }
                    }
                }
                Payload::ExportSection(exports) => {
                    for export in exports {
                        found.is_command |= export.map_err(invalid)?.name == "_start";
                    }
                }
                Payload::CustomSection(section) => {
                    found.names_its_world |= section.name().starts_with(WORLD_SECTION);
                }
                _ => {}
            }
        }
        Ok(found)
    }

    /// Refuses what can never become a plugin.
    pub(super) fn check(&self) -> Result<(), Problem> {
        if self.is_command {
            return Err(Problem::Command);
        }
        match &self.foreign {
            Some((from, name)) => Err(Problem::Import {
                from: from.clone(),
                name: name.clone(),
            }),
            None => Ok(()),
        }
    }
}

/// Names of interfaces have a namespace; those of functions of a world, and of what the encoder provides, begin with a sign.
fn is_interface(from: &str) -> bool {
    from.contains(':') || from.starts_with(['$', '['])
}

/// The binary of what may be in the text format.
pub(super) fn assembled(bytes: &[u8]) -> Result<Cow<'_, [u8]>, Problem> {
    if bytes.starts_with(b"\0asm") {
        return Ok(bytes.into());
    }
    let looks_like_text = std::str::from_utf8(bytes).is_ok_and(|text| {
        let text = text.trim_start();
        text.starts_with('(') || text.starts_with(";;")
    });
    match looks_like_text {
        true => wat::parse_bytes(bytes).map_err(|error| Problem::Text(error.to_string())),
        false => Err(Problem::NotWasm),
    }
}

/// What the encoder says, without the steps on its way there.
pub(super) fn words(error: &anyhow::Error) -> String {
    let chain = error.chain().map(ToString::to_string);
    let told = chain.filter(|text| {
        !text.starts_with("failed to decode world")
            && !text.starts_with("decoding custom section")
            && !text.starts_with("failed to validate")
    });
    told.collect::<Vec<_>>().join(": ")
}
