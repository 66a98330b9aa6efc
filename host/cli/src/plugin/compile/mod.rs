//! From sources to what a language's own compiler makes of them: a core module or a component.

mod c;
mod go;
mod python;
mod rest;
mod rust;
mod script;
mod wit;

use std::ffi::OsString;
use std::path::Path;

use milepost_componentize::{Encoding, Wasi, World};

use super::language::Language;
use crate::context::Context;
use crate::failure::Failure;

/// What there is to compile.
pub(super) struct Job<'a> {
    /// The folder of the plugin.
    pub(super) folder: &'a Path,
    /// A folder for what is only needed in between.
    pub(super) scratch: &'a Path,
    /// Arguments for the compiler that its user gave.
    pub(super) more: &'a [OsString],
    /// The world that it is written for.
    pub(super) world: &'a World,
    pub(super) cx: &'a Context,
}

/// What a compiler made.
pub(super) struct Compiled {
    /// A core module, or a component.
    pub(super) bytes: Vec<u8>,
    /// What its calls of WASI preview 1 lead to, unless its user says otherwise.
    pub(super) wasi: Wasi,
    /// How it keeps its strings.
    pub(super) encoding: Encoding,
}

impl Compiled {
    fn new(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            wasi: Wasi::Reactor,
            encoding: Encoding::Utf8,
        }
    }

    /// Of a language whose runtime asks WASI for what it does not need.
    fn without_wasi(self) -> Self {
        Self {
            wasi: Wasi::None,
            ..self
        }
    }
}

/// Compiles a plugin.
///
/// # Errors
/// [`Failure`] when a tool is missing, or found a mistake.
pub(super) fn compile(language: Language, job: &Job<'_>) -> Result<Compiled, Failure> {
    match language {
        Language::Rust => rust::compile(job),
        Language::Go => go::compile(job),
        Language::TypeScript | Language::JavaScript => script::compile(job, language),
        Language::Python => python::compile(job),
        Language::C | Language::Cpp => c::compile(job, language),
        Language::Zig => rest::zig(job),
        Language::AssemblyScript => rest::assembly_script(job),
        Language::Wat => rest::wat(job),
    }
}

/// What a tool wrote.
fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    crate::component::read(file)
}
