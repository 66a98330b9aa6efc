//! What this program starts itself for: to compile components and to read their debug information, by a child process that can do
//! nothing else; and to start what steps run, hold its process groups, and end all that comes of it.

use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

#[cfg(unix)]
use milepost::wasm::process_group::hold_group_until_stdin_ends;
use milepost::wasm::{ChildProgram, Compiler, compile, symbolize};

/// The first argument of such a child. No verb: people have no use for it.
const COMPILE: &str = "compile-component-from-stdin";
/// The same for one that reads debug information; offsets follow.
const SYMBOLIZE: &str = "symbolize-component-from-stdin";
/// The same for one that a group of processes ends with.
const HOLD: &str = "hold-process-group-until-stdin-ends";

/// The same for one that starts a program, and ends all that comes of it.
const SUPERVISE: &str = "supervise-program";

/// What the program does when it is such a child; `None` when it is not.
pub(crate) fn child() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let word = arguments.next()?;
    if word == COMPILE {
        Some(compile::compile_stdin_to_stdout(arguments))
    } else if word == SYMBOLIZE {
        Some(symbolize::symbolize_stdin_to_stdout(arguments))
    } else {
        hold(&word).or_else(|| supervise(&word))
    }
}

#[cfg(target_os = "linux")]
fn supervise(word: &OsStr) -> Option<ExitCode> {
    (word == SUPERVISE).then(milepost::wasm::supervisor::supervise_program)
}

#[cfg(not(target_os = "linux"))]
fn supervise(_: &OsStr) -> Option<ExitCode> {
    None
}

#[cfg(unix)]
fn hold(word: &OsStr) -> Option<ExitCode> {
    (word == HOLD).then(hold_group_until_stdin_ends)
}

#[cfg(not(unix))]
fn hold(_: &OsStr) -> Option<ExitCode> {
    None
}

/// What holds the process groups of what steps run; `None` when this program does not find itself.
pub(crate) fn group_holder() -> Option<ChildProgram> {
    this_program(HOLD).ok()
}

/// What starts what steps run; `None` where programs are not supervised, or when this program does not find itself.
#[cfg(target_os = "linux")]
pub(crate) fn program_supervisor() -> Option<ChildProgram> {
    // All that this program starts, it starts through the library.
    if let Err(error) = milepost::wasm::strays::adopt() {
        tracing::warn!(%error, "what kills its supervisor can leave processes behind");
    }
    this_program(SUPERVISE).ok()
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn program_supervisor() -> Option<ChildProgram> {
    None
}

/// How this program compiles.
pub(crate) fn compiler() -> Compiler {
    match this_program(COMPILE) {
        Ok(child) => Compiler::Child(child),
        Err(error) => {
            tracing::warn!(%error, "this program does not find itself; components are compiled in this process");
            Compiler::InProcess
        }
    }
}

/// How this program reads debug information.
///
/// # Errors
/// When it does not find itself.
pub(crate) fn symbolizer() -> io::Result<ChildProgram> {
    this_program(SYMBOLIZE)
}

fn this_program(word: &str) -> io::Result<ChildProgram> {
    // Where Linux finds the program that runs, although its file was replaced by an update.
    let running = PathBuf::from("/proc/self/exe");
    let program = if running.exists() {
        running
    } else {
        std::env::current_exe()?
    };
    Ok(ChildProgram {
        program,
        arguments: vec![word.into()],
    })
}
