//! C and C++, with clang and wasi-libc.

use std::path::{Path, PathBuf};

use super::super::language::{Language, sources};
use super::super::tools::{Call, Tool};
use super::{Compiled, Job, read};
use crate::failure::Failure;

const CLANG: Tool = Tool {
    names: &[
        "clang-22", "clang-21", "clang-20", "clang-19", "clang-18", "clang-17", "clang-16", "clang",
    ],
    install: "apt-get install clang-22 lld-22 libclang-rt-22-dev-wasm32 wasi-libc",
};
const CLANG_CPP: Tool = Tool {
    names: &[
        "clang++-22",
        "clang++-21",
        "clang++-20",
        "clang++-19",
        "clang++-18",
        "clang++-17",
        "clang++-16",
        "clang++",
    ],
    install: "apt-get install clang-22 lld-22 libclang-rt-22-dev-wasm32 libc++-22-dev-wasm32 wasi-libc",
};

pub(super) fn compile(job: &Job<'_>, language: Language) -> Result<Compiled, Failure> {
    let is_cpp = language == Language::Cpp;
    let tool = if is_cpp { CLANG_CPP } else { CLANG };
    let sdk = std::env::var_os("WASI_SDK_PATH").map(PathBuf::from);
    let (clang, sysroot) = match sdk {
        Some(sdk) => {
            let name = if is_cpp { "clang++" } else { "clang" };
            (sdk.join("bin").join(name), sdk.join("share/wasi-sysroot"))
        }
        None => (tool.find(job.folder)?, debian(&tool)?),
    };
    let failed = |error| Failure::file("read", job.folder, &error);
    let mut files = sources(job.folder, language).map_err(failed)?;
    if is_cpp {
        files.extend(sources(job.folder, Language::C).map_err(failed)?);
    }
    files.extend(component_types(job.folder));
    let core = job.scratch.join("core.wasm");
    let mut call = Call::new(&clang, job.folder)
        .arg("--target=wasm32-wasi")
        .arg(format!("--sysroot={}", sysroot.display()))
        .args([
            "-Wno-deprecated",
            "-Os",
            "-flto",
            "-mexec-model=reactor",
            "-Wl,--strip-debug",
        ])
        .args(["-I", "."]);
    if is_cpp {
        call = call.args([
            "-stdlib=libc++",
            "-std=c++20",
            "-fno-exceptions",
            "-fno-rtti",
        ]);
    }
    call.args(files.iter().map(|file| relative(file, job.folder)))
        .args(job.more)
        .arg("-o")
        .arg(&core)
        .run(job.cx)?;
    Ok(Compiled::new(read(&core)?).without_wasi())
}

/// Where Debian's wasi-libc is.
fn debian(tool: &Tool) -> Result<PathBuf, Failure> {
    let root = Path::new("/usr");
    match root.join("include/wasm32-wasi").is_dir() {
        true => Ok(root.to_owned()),
        false => Err(Failure::new(
            crate::failure::Code::ToolMissing,
            "the C library for WebAssembly (wasi-libc) is not installed",
        )
        .help(format!(
            "install it: `{}`; or name a WASI SDK with `WASI_SDK_PATH`",
            tool.install
        ))),
    }
}

/// Objects of generated bindings, which say which world they are of.
fn component_types(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let files = entries.map(|entry| entry.path());
    let mut found: Vec<PathBuf> = files
        .filter(|file| file.to_string_lossy().ends_with("_component_type.o"))
        .collect();
    found.sort();
    found
}

/// Messages name files as their author knows them, and objects do not depend on the folder.
fn relative(file: &Path, folder: &Path) -> PathBuf {
    file.strip_prefix(folder).unwrap_or(file).to_owned()
}
