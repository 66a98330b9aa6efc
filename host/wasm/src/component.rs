//! The bytes of a component, looked at from outside: is it one, what does it import and export, which manifest does it carry.
//! Nothing here compiles or executes anything.

use std::ops::Range;

use std::sync::Arc;

use milepost_core::definition::{InvalidManifest, Manifest, WASI_HTTP};
use milepost_core::function::{Functions, NotCallable};
use milepost_core::ids::Digest;
use milepost_core::limits;
use milepost_core::shown::{self, Shown};
use wasmtime::wasmparser::{
    BinaryReader, BinaryReaderError, ComponentExportSectionReader, ComponentImportSectionReader,
    CustomSectionReader,
};

use super::contract;
use super::function;
use super::script::{self, Script};

/// Name of the custom section that holds the manifest, as UTF-8 JSON.
const MANIFEST_SECTION: &str = "milepost:manifest";
/// First bytes of every WebAssembly binary.
pub(super) const MAGIC: &[u8] = b"\0asm";
/// What follows in a component; a core module has version 1, layer 0.
pub(super) const COMPONENT_VERSION: &[u8] = &[0x0d, 0, 1, 0];
pub(super) const CORE_VERSION: &[u8] = &[1, 0, 0, 0];
/// Packages of WASI p2 that are linked, all with an empty context.
const WASI: [&str; 6] = ["cli", "clocks", "filesystem", "io", "random", "sockets"];
/// What a client needs of `wasi:http`; the rest is for servers.
const WASI_HTTP_CLIENT: [&str; 2] = ["types", "outgoing-handler"];

/// Numbers of the sections that are read here.
mod section {
    pub(super) const CUSTOM: u8 = 0;
    pub(super) const IMPORT: u8 = 10;
    pub(super) const EXPORT: u8 = 11;
}

/// Why a file is no plugin that this version can run.
#[derive(Debug, thiserror::Error)]
pub enum Rejection {
    /// The file is not WebAssembly.
    #[error("it is not WebAssembly")]
    NotWasm,
    /// The file is a core module.
    #[error("it is a core module, not a component")]
    CoreModule,
    /// The file is damaged, or uses a part of WebAssembly that is switched off.
    #[error("it is not a valid component: {0}")]
    Invalid(String),
    /// The file is larger than [`limits::COMPONENT_BYTES`].
    #[error(
        "it has {bytes} bytes, more than the {} that a component may have",
        limits::COMPONENT_BYTES
    )]
    TooLarge {
        /// Size of the file.
        bytes: u64,
    },
    /// The component exports neither the contract's interface nor a function that can be called.
    #[error(
        "it does not export `milepost:step/guest@0.1`{}; it exports {}{}",
        or_functions(not_callable),
        list(exports),
        reasons(not_callable)
    )]
    WrongWorld {
        /// What it does export.
        exports: Vec<String>,
        /// Its functions, and why none of them can be called; `None` where they were not looked for.
        not_callable: Option<Vec<NotCallable>>,
    },
    /// The component is built for more of the contract than this version of the host has got.
    #[error(
        "it wants {}, and this version of Milepost offers the contract {}",
        list(wanted),
        contract::offered()
    )]
    NotProvided {
        /// Its imports, or its export, with the version since which the contract has them.
        wanted: Vec<String>,
    },
    /// The component needs something from outside the contract and WASI p2.
    #[error("it imports {}, which no part of Milepost provides", list(imports))]
    UnknownImports {
        /// The imports, as written in the component.
        imports: Vec<String>,
    },
    /// An import or export has the right name and another type.
    #[error("it does not fit the contract: {0}")]
    OtherType(String),
    /// The component could not even start within the limits of an attempt.
    #[error("it needs more than an attempt may have: {0}")]
    TooDemanding(String),
    /// It consists of more than an honest component does.
    #[error("it has more {what} than the {most} that a component may have: at least {found}")]
    TooComplex {
        /// What was counted.
        what: &'static str,
        /// How many there are, as far as was counted.
        found: usize,
        /// How many there may be.
        most: usize,
    },
    /// It uses a part of the component model that is not supported.
    #[error("it uses {0}, which Milepost does not support")]
    Unsupported(&'static str),
    /// The compiler did not come to an end with it.
    #[error("it could not be compiled: {0}")]
    NotCompiled(String),
    /// It claims to need nothing of WASI, and imports some of it.
    #[error("it claims to be pure, and imports {}", list(imports))]
    NotPure {
        /// What it imports of WASI.
        imports: Vec<String>,
    },
    /// The manifest inside is wrong.
    #[error(transparent)]
    Manifest(#[from] InvalidManifest),
}

impl Rejection {
    /// What to do about it, when there is something to say.
    #[must_use]
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::NotWasm => {
                Some("give the path of a compiled component, which begins with `\\0asm`")
            }
            Self::CoreModule => Some(
                "`plugin pack` makes a component of it, also of one for WASI preview 1, and `plugin build` of its sources",
            ),
            Self::Invalid(_) => Some("the file may be incomplete: build or copy it again"),
            Self::TooLarge { .. } => Some("strip debug information (`wasm-tools strip`)"),
            Self::WrongWorld { .. } | Self::OtherType(_) => {
                Some("build the component for the world `milepost:step/step` of wit/v0.1.0")
            }
            Self::NotProvided { .. } => Some(
                "use a newer Milepost, or build the plugin for the older contract, without the calls that are new (unused imports vanish)",
            ),
            Self::UnknownImports { .. } => Some(
                "a plugin may import the interfaces of `milepost:step` and of WASI 0.2, but those of `wasi:http` that are for servers",
            ),
            Self::TooDemanding(_) => {
                Some("lower the initial memory or table size that the plugin is linked with")
            }
            Self::TooComplex { .. } => Some("build a smaller component, or split it into several"),
            Self::Unsupported(_) => {
                Some("let the parts of the component be known when it is built")
            }
            Self::NotCompiled(_) => Some(
                "build it with optimisations, and look for very large functions; a smaller component compiles faster",
            ),
            Self::NotPure { .. } => Some(
                "build it without WASI (a core module: `plugin build --wasi none`), or take `pure` out of its manifest",
            ),
            Self::Manifest(_) => {
                Some("repair what `describe` returns and pack the component again")
            }
        }
    }
}

/// Names that a component chose: there may be thousands, of any length.
fn list(names: &[String]) -> String {
    const TOLD: usize = 10;
    if names.is_empty() {
        return "nothing".to_owned();
    }
    let told = names.iter().take(TOLD);
    let quoted: Vec<String> = told
        .map(|name| format!("`{}`", Shown(shown::excerpt(name, limits::NAME_BYTES))))
        .collect();
    let more = match names.len().saturating_sub(TOLD) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", quoted.join(", "))
}

fn or_functions(not_callable: &Option<Vec<NotCallable>>) -> &'static str {
    match not_callable {
        Some(_) => ", nor a function that can be called",
        None => "",
    }
}

/// Why functions cannot be called, of as many as can be read.
fn reasons(not_callable: &Option<Vec<NotCallable>>) -> String {
    const TOLD: usize = 5;
    let told = not_callable.iter().flatten().take(TOLD);
    told.map(|NotCallable { name, reason }| {
        let name = Shown(shown::excerpt(name, limits::NAME_BYTES));
        format!("; `{name}` cannot be called: {}", Shown(reason))
    })
    .collect()
}

/// What wasmtime says about a component: bounded, because it repeats what it found in there.
pub(super) fn words(error: &wasmtime::Error) -> String {
    shown::message(format!("{error:#}"))
}

/// A component as seen from outside.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspection {
    /// Of the whole file.
    pub digest: Digest,
    /// Size of the file.
    pub bytes: usize,
    /// Names of everything that it imports, in its order.
    pub imports: Vec<String>,
    /// Names of everything that it exports, in its order.
    pub exports: Vec<String>,
    /// Interfaces of the contract that it uses (`log`, `clock`), and `wasi` when it uses any of WASI, `wasi:http` when that.
    pub capabilities: Vec<String>,
    /// The embedded manifest, if there is one.
    pub manifest: Option<Manifest>,
    /// The functions that it exports beside the contract's.
    pub functions: Arc<Functions>,
    /// The script that it carries, if it is one.
    pub(super) script: Option<Arc<Script>>,
    /// How the types of its imports and exports differ from the contract's.
    other_type: Option<String>,
}

impl Inspection {
    /// Reads a component. One that this version cannot run is no error here, unless it is no component at all.
    ///
    /// # Errors
    /// [`Rejection`] when the bytes are no component, or the manifest is wrong.
    pub fn of(bytes: &[u8]) -> Result<Self, Rejection> {
        let mut inspection = Self::with_digest(bytes, Digest::of(bytes))?;
        inspection.other_type = inspection.difference(bytes)?;
        Ok(inspection)
    }

    /// How the types of its imports and exports differ from the contract's.
    fn difference(&self, bytes: &[u8]) -> Result<Option<String>, Rejection> {
        contract::difference(bytes, &self.imports, &self.exports)
    }

    /// Refuses other types than the contract's.
    pub(super) fn check_types(&self, bytes: &[u8]) -> Result<(), Rejection> {
        match self.difference(bytes)? {
            Some(difference) => Err(Rejection::OtherType(difference)),
            None => Ok(()),
        }
    }

    /// The same for a caller who knows the digest already, without a look at types.
    pub(super) fn with_digest(bytes: &[u8], digest: Digest) -> Result<Self, Rejection> {
        check_preamble(bytes)?;
        let mut imports = Vec::new();
        let mut exports = Vec::new();
        let mut manifest = None;
        let mut script = None;
        for part in Sections::of(bytes) {
            let part = part.map_err(invalid)?;
            let reader = BinaryReader::new(&bytes[part.body.clone()], part.body.start);
            match part.id {
                section::CUSTOM => {
                    let custom = CustomSectionReader::new(reader).map_err(invalid)?;
                    if custom.name() == MANIFEST_SECTION {
                        manifest = Some(read_manifest(custom.data())?);
                    }
                    if custom.name() == script::SECTION && script::is_last(bytes, part.whole.start)
                    {
                        script = Some(Script::read(custom.data(), part.whole.start)?.into());
                    }
                }
                section::IMPORT => {
                    for import in ComponentImportSectionReader::new(reader).map_err(invalid)? {
                        imports.push(import.map_err(invalid)?.name.name.to_owned());
                    }
                }
                section::EXPORT => {
                    for export in ComponentExportSectionReader::new(reader).map_err(invalid)? {
                        exports.push(export.map_err(invalid)?.name.name.to_owned());
                    }
                }
                _ => {}
            }
        }
        Ok(Self {
            digest,
            bytes: bytes.len(),
            capabilities: capabilities(&imports, script.as_deref()),
            functions: function::of(bytes, &exports)?.into(),
            imports,
            exports,
            manifest,
            script,
            other_type: None,
        })
    }

    /// The version of the contract that it was built for: that of the interface which it exports, or else the newest one that it
    /// imports.
    #[must_use]
    pub fn contract(&self) -> Option<String> {
        let exported = contract::newest(&self.exports);
        exported.or_else(|| contract::newest(&self.imports))
    }

    /// Digest of the script that it carries, as that is run: the engine, which comes with the host, is no part of it.
    #[must_use]
    pub fn script_digest(&self) -> Option<Digest> {
        let script = self.script.as_ref()?;
        Some(Digest::of(script.text.as_bytes()))
    }

    /// Whether it has steps of its own.
    ///
    /// # Errors
    /// [`Rejection::WrongWorld`]: it has functions at the most.
    pub(super) fn check_guest(&self) -> Result<(), Rejection> {
        match self.functions.alone {
            true => Err(Rejection::WrongWorld {
                exports: self.exports.clone(),
                not_callable: None,
            }),
            false => Ok(()),
        }
    }

    /// Whether this version can run it, as far as names and types tell.
    ///
    /// # Errors
    /// [`Rejection`]: wrong world, capabilities that are not provided, unknown imports, other types, a claim to
    /// be pure that does not hold.
    pub fn check(&self) -> Result<(), Rejection> {
        // A plugin may serve several versions. One that serves newer ones alone has steps, which are no functions to call.
        let mut exports = self.exports.iter();
        let wanted = contract::newer(&self.exports);
        if !wanted.is_empty() && !exports.any(|name| name.starts_with(contract::GUEST)) {
            return Err(Rejection::NotProvided { wanted });
        }
        if self.functions.alone && self.functions.callable.is_empty() {
            return Err(Rejection::WrongWorld {
                exports: self.exports.clone(),
                not_callable: Some(self.functions.not_callable.clone()),
            });
        }
        if self.manifest.as_ref().is_some_and(|manifest| manifest.pure) {
            let wasi = self.imports.iter().filter(|import| is_wasi(import));
            let imports: Vec<String> = wasi.cloned().collect();
            if !imports.is_empty() {
                return Err(Rejection::NotPure { imports });
            }
        }
        let mut wanted = Vec::new();
        let mut unknown = Vec::new();
        for import in &self.imports {
            match contract::interface(import) {
                Some(name) if contract::provides(name) => {}
                Some(_) => wanted.push(import.clone()),
                None if contract::is_newer(import) => wanted.push(import.clone()),
                None if is_wasi(import) => {}
                None if import == script::INTERFACE && self.script.is_some() => {}
                None => unknown.push(import.clone()),
            }
        }
        if !wanted.is_empty() {
            return Err(Rejection::NotProvided { wanted });
        }
        if !unknown.is_empty() {
            return Err(Rejection::UnknownImports { imports: unknown });
        }
        let Some(difference) = &self.other_type else {
            return Ok(());
        };
        // A later patch may have more functions.
        let wanted = contract::newer(&self.imports);
        Err(match wanted.is_empty() {
            true => Rejection::OtherType(difference.clone()),
            false => Rejection::NotProvided { wanted },
        })
    }
}

fn is_wasi(import: &str) -> bool {
    import
        .strip_prefix("wasi:")
        .and_then(|rest| rest.split_once('/'))
        .and_then(|(package, name)| Some((package, name.split_once("@0.2.")?.0)))
        .is_some_and(|(package, name)| match package {
            "http" => WASI_HTTP_CLIENT.contains(&name),
            package => WASI.contains(&package),
        })
}

fn capabilities(imports: &[String], script: Option<&Script>) -> Vec<String> {
    let mut names: Vec<String> = imports
        .iter()
        .filter_map(|import| contract::interface(import))
        .filter(|name| *name != "types")
        .filter(|name| script.is_none_or(|script| script.uses.iter().any(|used| used == name)))
        .map(str::to_owned)
        .collect();
    if imports.iter().any(|import| import.starts_with("wasi:")) {
        names.push("wasi".to_owned());
    }
    if imports
        .iter()
        .any(|import| import.starts_with("wasi:http/"))
    {
        names.push(WASI_HTTP.to_owned());
    }
    names
}

fn read_manifest(bytes: &[u8]) -> Result<Manifest, Rejection> {
    let text =
        std::str::from_utf8(bytes).map_err(|_| Rejection::Manifest(InvalidManifest::NotText))?;
    Ok(Manifest::parse(text)?)
}

/// Puts a manifest into a component, in place of the one that it may carry.
///
/// # Errors
/// [`Rejection`] when the bytes are no component, or the text is no manifest.
pub fn embed_manifest(bytes: &[u8], json: &str) -> Result<Vec<u8>, Rejection> {
    Manifest::parse(json)?;
    check_preamble(bytes)?;
    let mut out = bytes[..MAGIC.len() + COMPONENT_VERSION.len()].to_vec();
    for part in Sections::of(bytes) {
        let part = part.map_err(invalid)?;
        let reader = BinaryReader::new(&bytes[part.body.clone()], part.body.start);
        let is_manifest = part.id == section::CUSTOM
            && CustomSectionReader::new(reader).map_err(invalid)?.name() == MANIFEST_SECTION;
        if !is_manifest {
            out.extend_from_slice(&bytes[part.whole]);
        }
    }
    custom_section(&mut out, MANIFEST_SECTION, json.as_bytes());
    Ok(out)
}

/// Appends a custom section.
pub(super) fn custom_section(out: &mut Vec<u8>, name: &str, data: &[u8]) {
    let mut body = Vec::new();
    write_u32(&mut body, name.len());
    body.extend_from_slice(name.as_bytes());
    body.extend_from_slice(data);
    out.push(section::CUSTOM);
    write_u32(out, body.len());
    out.extend_from_slice(&body);
}

/// LEB128, as all lengths in WebAssembly.
fn write_u32(out: &mut Vec<u8>, mut value: usize) {
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

fn check_preamble(bytes: &[u8]) -> Result<(), Rejection> {
    let Some(version) = bytes.strip_prefix(MAGIC) else {
        return Err(Rejection::NotWasm);
    };
    if version.starts_with(COMPONENT_VERSION) {
        Ok(())
    } else if version.starts_with(CORE_VERSION) {
        Err(Rejection::CoreModule)
    } else {
        Err(Rejection::Invalid("unknown binary version".to_owned()))
    }
}

pub(super) fn invalid(error: BinaryReaderError) -> Rejection {
    Rejection::Invalid(shown::message(error.to_string()))
}

/// The top-level sections of a component whose preamble was checked.
struct Sections<'a> {
    reader: BinaryReader<'a>,
}

struct Section {
    id: u8,
    whole: Range<usize>,
    body: Range<usize>,
}

impl<'a> Sections<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        let start = MAGIC.len() + COMPONENT_VERSION.len();
        Self {
            reader: BinaryReader::new(&bytes[start..], start),
        }
    }

    fn read(&mut self) -> Result<Section, BinaryReaderError> {
        let reader = &mut self.reader;
        let start = reader.original_position();
        let id = reader.read_u8()?;
        let length = reader.read_var_u32()?;
        let body = reader.original_position();
        reader.read_bytes(length as usize)?;
        let end = reader.original_position();
        Ok(Section {
            id,
            whole: start..end,
            body: body..end,
        })
    }
}

impl Iterator for Sections<'_> {
    type Item = Result<Section, BinaryReaderError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.eof() {
            return None;
        }
        let section = self.read();
        if section.is_err() {
            self.reader = BinaryReader::new(&[], 0);
        }
        Some(section)
    }
}
