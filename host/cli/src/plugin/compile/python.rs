//! Python, with its interpreter inside of the component.

use super::super::language::{Language, entry, sources};
use super::super::tools::{Call, Tool};
use super::{Compiled, Job, read, wit};
use crate::failure::Failure;

const COMPONENTIZE_PY: Tool = Tool {
    names: &["componentize-py"],
    install: "pip install componentize-py==0.25.1",
};

pub(super) fn compile(job: &Job<'_>) -> Result<Compiled, Failure> {
    let tool = COMPONENTIZE_PY.find(job.folder)?;
    let file = entry(job.folder, Language::Python)?;
    let failed = |error| Failure::file("read", job.folder, &error);
    let mut text = String::new();
    for source in sources(job.folder, Language::Python).map_err(failed)? {
        text.push_str(
            &std::fs::read_to_string(&source)
                .map_err(|error| Failure::file("read", &source, &error))?,
        );
        text.push('\n');
    }
    let world = wit::narrowed(job, |interface| wit::is_used_in_python(&text, interface))?;
    let out = job.scratch.join("plugin.wasm");
    Call::new(&tool, file.parent().unwrap_or(job.folder))
        .args(["--quiet", "--wit-path"])
        .arg(&world.folder)
        .args(world.option("--world"))
        .arg("componentize")
        .arg(file.file_stem().unwrap_or_default())
        .arg("-o")
        .arg(&out)
        .args(job.more)
        .run(job.cx)?;
    read(&out).map(Compiled::new)
}
