//! Rust: the target `wasm32-wasip2` where the toolchain has it, else Debian's compiler, which has its library as source.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::super::tools::{Call, Tool, path_with};
use super::{Compiled, Job, read};
use crate::failure::{Code, Failure};

const TARGET: &str = "wasm32-wasip2";
const CARGO: Tool = Tool {
    names: &["cargo"],
    install: "curl https://sh.rustup.rs -sSf | sh && rustup target add wasm32-wasip2",
};
const RUSTC: Tool = Tool {
    names: &["rustc"],
    install: CARGO.install,
};
/// Debian's packages rustc-web, rust-web-src and wasi-libc.
const DEBIAN: [&str; 3] = [
    "/usr/bin/rustc",
    "/usr/lib/rustlib/src/rust",
    "/usr/lib/wasm32-wasi",
];

pub(super) fn compile(job: &Job<'_>) -> Result<Compiled, Failure> {
    let cargo = CARGO.find(job.folder)?;
    let mut call = Call::new(&cargo, job.folder)
        .args(["build", "--release", "--target", TARGET])
        .arg("--message-format=json-render-diagnostics");
    let mut flags = remapped(job.folder);
    let sysroot = sysroot(job)?;
    if !sysroot.join("lib/rustlib").join(TARGET).is_dir() {
        if std::env::var_os("RUSTC").is_some()
            || !DEBIAN.iter().all(|file| Path::new(file).exists())
        {
            let message = format!("the Rust toolchain has no target {TARGET}");
            return Err(Failure::new(Code::ToolMissing, message)
                .help(format!("install it: `rustup target add {TARGET}`")));
        }
        flags.push("-Lnative=/usr/lib/wasm32-wasi".to_owned());
        // The linker for components comes with a toolchain of rustup only.
        call = call
            .args([
                "-Zbuild-std=std,panic_abort",
                "-Zbuild-std-features=optimize_for_size",
            ])
            .env("RUSTC", DEBIAN[0])
            .env("RUSTC_BOOTSTRAP", "1")
            .env("PATH", path_with(&linkers(&sysroot)));
    }
    call = match std::env::var("RUSTFLAGS") {
        // They take the place of every other setting: what is added has to stand there, too.
        Ok(given) => call.env("RUSTFLAGS", format!("{given} {}", flags.join(" "))),
        Err(_) => call.args(["--config", &settings(&flags)]),
    };
    let said = call.args(job.more).run(job.cx)?;
    read(&artifact(&said, job.folder)?).map(Compiled::new)
}

/// Where the compiler that cargo would use has its libraries.
fn sysroot(job: &Job<'_>) -> Result<PathBuf, Failure> {
    let rustc = match std::env::var_os("RUSTC") {
        Some(rustc) => PathBuf::from(rustc),
        None => RUSTC.find(job.folder)?,
    };
    let said = Call::new(&rustc, job.folder)
        .args(["--print", "sysroot"])
        .run(job.cx)?;
    Ok(String::from_utf8_lossy(&said).trim().into())
}

/// Folders with linkers in a toolchain.
fn linkers(sysroot: &Path) -> Vec<PathBuf> {
    let hosts = std::fs::read_dir(sysroot.join("lib/rustlib"));
    let bins = hosts
        .into_iter()
        .flatten()
        .flatten()
        .map(|host| host.path().join("bin"));
    bins.flat_map(|bin| [bin.join("gcc-ld"), bin]).collect()
}

/// Panic messages name source files. Where those lie is nobody's business, and the same sources give the same component.
fn remapped(folder: &Path) -> Vec<String> {
    let folder = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    let mut all = vec![(folder, "plugin")];
    all.extend(home.map(|home| (home, "cargo")));
    let flags = all.iter().filter_map(|(from, to)| {
        let from = from
            .to_str()
            .filter(|from| !from.contains(char::is_whitespace))?;
        Some(format!("--remap-path-prefix={from}={to}"))
    });
    flags.collect()
}

/// Flags as a setting of cargo, which is added to those of its files.
fn settings(flags: &[String]) -> String {
    format!("target.{TARGET}.rustflags={}", Value::from(flags.to_vec()))
}

/// The component among what cargo says that it made: that of the package in this folder.
fn artifact(said: &[u8], folder: &Path) -> Result<PathBuf, Failure> {
    let here = std::fs::canonicalize(folder.join("Cargo.toml")).ok();
    let text = String::from_utf8_lossy(said);
    let made = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let ours = made.filter(|line| {
        let manifest = line["manifest_path"].as_str().map(PathBuf::from);
        line["reason"] == "compiler-artifact"
            && manifest.and_then(|file| std::fs::canonicalize(file).ok()) == here
    });
    let mut files = ours.flat_map(|line| {
        let files = line["filenames"].as_array().cloned().unwrap_or_default();
        files
            .into_iter()
            .filter_map(|file| file.as_str().map(PathBuf::from))
    });
    files
        .find(|file| file.extension().is_some_and(|ending| ending == "wasm"))
        .ok_or_else(|| {
            Failure::new(
                Code::BuildFailed,
                "cargo built no component of this package",
            )
            .help("add `[lib]` with `crate-type = [\"cdylib\"]` to Cargo.toml")
        })
}
