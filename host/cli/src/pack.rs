//! `milepost pack`: asks a component for its manifest, once, and embeds the answer.

use std::path::PathBuf;

use clap::Args;
use milepost::wasm::{Inspection, embed_manifest};

use super::context::{Context, Reply};
use super::documents::Component;
use super::drive::runtime;
use super::exit::Exit;
use super::failure::{Code, Failure};
use super::{component, whole_file};

/// Embed a component's manifest in it
///
/// Asks a component for its manifest and writes a copy with the manifest inside. Workflows can then be checked against the
/// component's steps before anything runs.
///
/// Only the component's `describe` function is executed, with every capability switched off.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost pack target/wasm32-wasip2/release/git.wasm -o plugins/git.wasm")]
pub(crate) struct PackArgs {
    /// The component
    component: PathBuf,
    /// File to write; may be the same file
    #[arg(long, short, value_name = "OUT")]
    output: PathBuf,
}

pub(super) fn run(args: &PackArgs, cx: &Context) -> Result<Reply, Failure> {
    let bytes = component::read(&args.component)?;
    let plugins = cx.plugins();
    let engine = plugins
        .engine()
        .map_err(|error| Failure::new(Code::EngineUnavailable, error.to_string()))?;
    let manifest = runtime()?.block_on(engine.describe(&bytes))?;
    let packed = embed_manifest(&bytes, &manifest)?;
    let inspection = Inspection::of(&packed)?;
    if let Err(problem) = inspection.check() {
        cx.warn(format!("this version cannot run it: {problem}"));
    }
    whole_file::replace(&args.output, &packed)
        .map_err(|error| Failure::file("write", &args.output, &error))?;
    let document = || Component::new(&args.output, &inspection);
    Ok(cx.reply(Exit::Completed, document, || {
        component::text(&args.output, &inspection)
    }))
}
