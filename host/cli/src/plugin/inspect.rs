//! `milepost plugin inspect`: what a component is and needs.

use std::path::PathBuf;

use clap::Args;
use milepost::wasm::Inspection;

use crate::component;
use crate::context::{Context, Reply};
use crate::documents::Component;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::registry::RegistryArgs;

/// Show what a component contains and needs, without executing it
///
/// Shows a component's steps and their schemas, the capabilities that it needs, its digest and its size. Functions that it exports
/// beside those are shown with a step to paste that calls them, or with the reason why none can. Nothing in it is executed; of a
/// script (`.js`, `.ts`), what it declares is evaluated, with every capability off.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost plugin inspect plugins/git.wasm
  milepost plugin inspect steps.js
  milepost plugin inspect oci:example.com/team/words:1.0.0
  milepost plugin inspect plugins/git.wasm --json | jq -r .digest")]
pub(crate) struct InspectArgs {
    /// The component, a script, `oci-layout:FOLDER[:TAG]`, or `oci:REGISTRY/REPOSITORY:TAG`
    component: PathBuf,
    #[command(flatten)]
    registry: RegistryArgs,
}

pub(crate) fn run(args: &InspectArgs, cx: &Context) -> Result<Reply, Failure> {
    let inspection = Inspection::of(&component::read_or_make(
        &args.component,
        args.registry,
        cx,
    )?)?;
    let document = || Component::new(&args.component, &inspection);
    Ok(cx.reply(Exit::Completed, document, || {
        component::text(&args.component, &inspection)
    }))
}
