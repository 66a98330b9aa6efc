//! Components are compiled by a child process of this same program, which can do nothing else.

use std::path::PathBuf;
use std::process::ExitCode;

use milepost::wasm::{ChildProgram, Compiler, compile};

/// The first argument of such a child. No verb: people have no use for it.
const COMPILE: &str = "compile-component-from-stdin";

/// What the program does when it is such a child; `None` when it is not.
pub(crate) fn child() -> Option<ExitCode> {
    let word = std::env::args_os().nth(1)?;
    (word == COMPILE).then(compile::compile_stdin_to_stdout)
}

/// How this program compiles.
pub(crate) fn compiler() -> Compiler {
    // Where Linux finds the program that runs, although its file was replaced by an update.
    let running = PathBuf::from("/proc/self/exe");
    let program = if running.exists() {
        Ok(running)
    } else {
        std::env::current_exe()
    };
    match program {
        Ok(program) => Compiler::Child(ChildProgram {
            program,
            arguments: vec![COMPILE.into()],
        }),
        Err(error) => {
            tracing::warn!(%error, "this program does not find itself; components are compiled in this process");
            Compiler::InProcess
        }
    }
}
