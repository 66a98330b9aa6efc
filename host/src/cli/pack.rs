//! `milepost pack`: asks a component for its manifest, once, and embeds the answer.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use milepost::wasm::{Inspection, embed_manifest};

use super::component;
use super::context::{Context, Reply};
use super::drive::runtime;
use super::exit::Exit;
use super::failure::Failure;

/// Ask a component for its manifest and embed it
///
/// Asks a component for its manifest and writes a copy that carries it. With it, workflows are checked against the
/// component's steps before anything runs.
///
/// The component's `describe` is the only thing that is executed, with every capability switched off.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost pack target/wasm32-wasip2/release/git.wasm -o plugins/git.wasm")]
pub(crate) struct PackArgs {
    /// The component
    component: PathBuf,
    /// Where to write it; may be the same file
    #[arg(long, short, value_name = "OUT")]
    output: PathBuf,
}

pub(super) fn run(args: &PackArgs, cx: &Context) -> Result<Reply, Failure> {
    let bytes = component::read(&args.component)?;
    let plugins = cx.plugins();
    let engine = plugins.engine().map_err(|error| {
        Failure::new(Exit::Unavailable, "engine_unavailable", error.to_string())
    })?;
    let manifest = runtime()?.block_on(engine.describe(&bytes))?;
    let packed = embed_manifest(&bytes, &manifest)?;
    let inspection = Inspection::of(&packed)?;
    if let Err(problem) = inspection.check() {
        cx.warn(&format!("this version cannot run it: {problem}"));
    }
    replace(&args.output, &packed).map_err(|error| Failure::file("write", &args.output, &error))?;
    let document = component::document(&args.output, &inspection);
    Ok(cx.reply(Exit::Completed, &document, || {
        component::text(&args.output, &inspection)
    }))
}

/// Whoever reads meanwhile sees the old file or the new one, never a part.
fn replace(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut unfinished = file.as_os_str().to_owned();
    unfinished.push(format!(".{}.tmp", std::process::id()));
    let unfinished = PathBuf::from(unfinished);
    let written = fs::write(&unfinished, bytes).and_then(|()| fs::rename(&unfinished, file));
    if written.is_err() {
        // The first error is the one to report; the file may not even exist.
        let _ = fs::remove_file(&unfinished);
    }
    written
}
