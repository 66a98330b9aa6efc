//! Makes a component of a core module for a world of its own: `componentize CORE WIT WORLD OUT`. `milepost plugin pack` does more,
//! and only for plugins.

#![expect(clippy::disallowed_macros, reason = "a program of its own")]

use std::path::PathBuf;
use std::process::ExitCode;

use milepost_componentize::{Encoding, Kept, Options, Wasi, World, componentize, strip};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [core, wit, world, out] = arguments.as_slice() else {
        eprintln!("usage: componentize CORE WIT WORLD OUT");
        return ExitCode::from(64);
    };
    let options = Options {
        world: World::Of {
            wit: PathBuf::from(wit),
            world: Some(world.clone()),
        },
        encoding: Encoding::Utf8,
        wasi: Wasi::None,
    };
    let made = std::fs::read(core)
        .map_err(|error| format!("cannot read {core}: {error}"))
        .and_then(|bytes| componentize(&bytes, &options).map_err(|problem| problem.to_string()))
        .map(|component| strip(&component, Kept::Names).into_owned())
        .and_then(|bytes| {
            std::fs::write(out, bytes).map_err(|error| format!("cannot write {out}: {error}"))
        });
    match made {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}
