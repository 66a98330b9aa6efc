//! From what a compiler wrote to a component with its manifest, which is known to run here.

use milepost::core::shown;
use milepost::wasm::{Inspection, Rejection};
use milepost_componentize::{Kept, Options, Problem, componentize, strip};

use crate::context::Context;
use crate::drive::runtime;
use crate::failure::{Code, Failure};

/// A component that can be written.
pub(super) struct Finished {
    pub(super) bytes: Vec<u8>,
    pub(super) inspection: Inspection,
}

/// Makes a component of a module, unless it is one, asks it for its manifest and embeds the answer.
///
/// # Errors
/// [`Failure`] when it does not become one, or does not describe itself.
pub(super) fn finish(
    bytes: &[u8],
    options: &Options,
    kept: Kept,
    pure: bool,
    cx: &Context,
) -> Result<Finished, Failure> {
    let component = componentize(bytes, options)?;
    let component = strip(&component, kept);
    let plugins = cx.plugins();
    let engine = plugins
        .engine()
        .map_err(|error| Failure::new(Code::EngineUnavailable, error.to_string()))?;
    // What does not fit is told from its types, before anything is compiled.
    match Inspection::of(&component)?.check() {
        // A newer version may run it.
        Err(problem @ Rejection::NotProvided { .. }) => {
            cx.warn(format!("this version cannot run it: {problem}"));
        }
        checked => checked?,
    }
    let bytes = runtime()?.block_on(engine.complete(&component, pure))?;
    let inspection = Inspection::of(&bytes)?;
    Ok(Finished { bytes, inspection })
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let failure = Self::new(
            Code::PluginIncompatible,
            shown::message(format!("cannot make a component of it: {problem}")),
        );
        match problem.help() {
            Some(help) => failure.help(help),
            None => failure,
        }
    }
}
