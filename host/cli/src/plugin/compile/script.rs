//! JavaScript and TypeScript, with a small engine inside of the component.

use std::fs;

use super::super::language::{Language, entry};
use super::super::tools::{Call, Tool};
use super::{Compiled, Job, read, wit};
use crate::failure::Failure;

const COMPONENTIZE: Tool = Tool {
    names: &["componentize-qjs"],
    install: "npm install --ignore-scripts componentize-qjs@0.4.5 esbuild@0.28.2",
};
const ESBUILD: Tool = Tool {
    names: &["esbuild"],
    install: COMPONENTIZE.install,
};

pub(super) fn compile(job: &Job<'_>, language: Language) -> Result<Compiled, Failure> {
    let componentize = COMPONENTIZE.find(job.folder)?;
    let source = entry(job.folder, language)?;
    let bundle = job.scratch.join("plugin.js");
    // Types are left out, packages are put in.
    Call::new(&ESBUILD.find(job.folder)?, job.folder)
        .arg(source.strip_prefix(job.folder).unwrap_or(&source))
        .args([
            "--bundle",
            "--format=esm",
            "--target=es2022",
            "--log-level=warning",
        ])
        .args(["--external:milepost:*", "--external:wasi:*"])
        .arg(format!("--outfile={}", bundle.display()))
        .run(job.cx)?;
    let failed = |error| Failure::file("read", &bundle, &error);
    let text = without_bare_imports(&fs::read_to_string(&bundle).map_err(failed)?);
    fs::write(&bundle, &text).map_err(|error| Failure::file("write", &bundle, &error))?;
    let world = wit::narrowed(job, |interface| {
        text.contains(&format!("milepost:step/{interface}@"))
    })?;
    let out = job.scratch.join("plugin.wasm");
    Call::new(&componentize, job.folder)
        .arg("-w")
        .arg(&world.folder)
        .args(world.option("-n"))
        .args(["--sync", "--stub-wasi", "-j"])
        .arg(&bundle)
        .arg("-o")
        .arg(&out)
        .args(job.more)
        .run(job.cx)?;
    read(&out).map(Compiled::new)
}

/// An interface whose functions nobody calls is not wanted of the host: what is left of it after bundling is an import without
/// names.
fn without_bare_imports(text: &str) -> String {
    let bare = |line: &&str| {
        line.starts_with("import \"milepost:") || line.starts_with("import 'milepost:")
    };
    let lines = text.lines().filter(|line| !bare(line));
    lines.flat_map(|line| [line, "\n"]).collect()
}
