//! Zig, AssemblyScript and the text format: languages without bindings for components, whose plugins call the contract's functions
//! by their flat names.

use milepost_componentize::Encoding;

use super::super::language::{Language, entry};
use super::super::tools::{Call, Tool};
use super::{Compiled, Job, read};
use crate::failure::Failure;

const ZIG: Tool = Tool {
    names: &["zig", "python-zig"],
    install: "pip install ziglang==0.17.0",
};
const ASC: Tool = Tool {
    names: &["asc"],
    install: "npm install --ignore-scripts assemblyscript@0.28.20",
};

pub(super) fn zig(job: &Job<'_>) -> Result<Compiled, Failure> {
    let source = entry(job.folder, Language::Zig)?;
    let core = job.scratch.join("core.wasm");
    Call::new(&ZIG.find(job.folder)?, job.folder)
        .arg("build-exe")
        .arg(source.strip_prefix(job.folder).unwrap_or(&source))
        .args([
            "-target",
            "wasm32-freestanding",
            "-fno-entry",
            "-rdynamic",
            "-O",
            "ReleaseSmall",
        ])
        .arg(format!("-femit-bin={}", core.display()))
        .args(job.more)
        .run(job.cx)?;
    read(&core).map(Compiled::new)
}

pub(super) fn assembly_script(job: &Job<'_>) -> Result<Compiled, Failure> {
    let source = entry(job.folder, Language::AssemblyScript)?;
    let core = job.scratch.join("core.wasm");
    Call::new(&ASC.find(job.folder)?, job.folder)
        .arg(source.strip_prefix(job.folder).unwrap_or(&source))
        .args([
            "-O3",
            "--shrinkLevel",
            "1",
            "--runtime",
            "minimal",
            "--use",
            "abort=",
            "-o",
        ])
        .arg(&core)
        .args(job.more)
        .run(job.cx)?;
    Ok(Compiled {
        encoding: Encoding::Utf16,
        ..Compiled::new(read(&core)?)
    })
}

/// The program assembles it itself.
pub(super) fn wat(job: &Job<'_>) -> Result<Compiled, Failure> {
    let source = entry(job.folder, Language::Wat)?;
    read(&source).map(|text| Compiled::new(text).without_wasi())
}
