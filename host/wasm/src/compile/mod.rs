//! From WebAssembly to machine code, without trusting the WebAssembly.
//!
//! A compiler that is fed by an attacker can be made to take minutes and gigabytes, and a defect in it could be used. So two
//! walls stand in front: `census` refuses what no honest component looks like, for the price of reading it once; and the
//! compiler itself runs in a child process with little memory, little time and nothing to reach, where it can
//! only hurt itself. What is no code (`strip`) gets to neither compiler nor child. Code that is [cached](super::cache) meets neither.

mod census;
pub(super) mod child;
pub(super) mod jail;
mod strip;

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;

use milepost_core::limits;
use wasmtime::Engine;

pub use self::child::ChildProgram;

use super::component::Rejection;
use super::guest_code::GuestCode;

/// Where components are compiled.
#[derive(Debug, Clone, Default)]
pub enum Compiler {
    /// In this process: for components that are trusted, as those of a test are.
    #[default]
    InProcess,
    /// In a child process that is limited as far as the system allows.
    Child(ChildProgram),
}

impl Compiler {
    /// Compiles a component for engines with the settings of `engine`.
    pub(super) fn compile(
        &self,
        engine: &Engine,
        code: GuestCode,
        bytes: &[u8],
    ) -> Result<Vec<u8>, Rejection> {
        census::check(bytes)?;
        let bytes = strip::seen(bytes)?;
        match self {
            Self::InProcess => engine
                .precompile_component(&bytes)
                .map_err(|error| Rejection::Invalid(first_of(&format!("{error:#}")))),
            Self::Child(program) => program.compile(&bytes, code),
        }
    }
}

/// Refuses a component that consists of more than one may.
pub(super) fn count(bytes: &[u8]) -> Result<(), Rejection> {
    census::check(bytes)
}

/// Whether two components become the same code: the compiler sees the same of both.
pub(super) fn is_same_code(one: &[u8], other: &[u8]) -> bool {
    matches!((strip::seen(one), strip::seen(other)), (Ok(one), Ok(other)) if one == other)
}

/// The child's whole life: limits itself, reads a component from standard input, writes its machine code to standard output.
///
/// A program that compiles with [`Compiler::Child`] calls this, and nothing else, when it is started with the arguments of its
/// [`ChildProgram`], with those that follow. The exit code is 0 with the code written, 1 with what the compiler says against the component on standard
/// error, or 70 with what else went wrong, which says nothing of the component.
#[must_use]
pub fn compile_stdin_to_stdout(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let code = GuestCode::of_words(arguments);
    let bounds = jail::Bounds {
        memory_bytes: limits::COMPILE_MEMORY_BYTES,
        processor_time: limits::COMPILE_PROCESSOR_TIME,
    };
    serve(bounds, |bytes| {
        let words = |error| format!("{error:#}");
        let engine = Engine::new(&code.config()).map_err(words)?;
        Ok(engine.precompile_component(bytes).map_err(words))
    })
}

/// Exit code of a child that could not do its work: it could not be shut in, or had no memory.
pub(super) const CANNOT_COMPILE: u8 = 70;

/// The whole life of a child: shuts itself in, reads a component, and writes what is made of it. The inner error of `make` is one
/// of the component, the outer one is of anything else.
#[expect(clippy::disallowed_methods, reason = "the child talks to its parent")]
pub(super) fn serve(
    bounds: jail::Bounds,
    make: impl FnOnce(&[u8]) -> Result<Result<Vec<u8>, String>, String>,
) -> ExitCode {
    let (reason, code) = match served(bounds, make) {
        Ok(Ok(())) => return ExitCode::SUCCESS,
        Ok(Err(refused)) => (refused, ExitCode::FAILURE),
        Err(error) => (error, ExitCode::from(CANNOT_COMPILE)),
    };
    // Nobody else is there to be told.
    let _ = io::stderr().write_all(first_of(&reason).as_bytes());
    code
}

#[expect(clippy::disallowed_methods, reason = "the child talks to its parent")]
fn served(
    bounds: jail::Bounds,
    make: impl FnOnce(&[u8]) -> Result<Result<Vec<u8>, String>, String>,
) -> Result<Result<(), String>, String> {
    let words = |error: io::Error| error.to_string();
    jail::enter(bounds).map_err(words)?;
    let mut bytes = Vec::new();
    io::stdin()
        .lock()
        .take(limits::COMPONENT_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(words)?;
    match make(&bytes)? {
        Ok(made) => io::stdout().lock().write_all(&made).map(Ok).map_err(words),
        Err(refused) => Ok(Err(refused)),
    }
}

/// The beginning of a message that quotes a component: its names are as long as it likes.
pub(super) fn first_of(message: &str) -> String {
    const CHARACTERS: usize = 1_000;
    let mut cut: String = message.chars().take(CHARACTERS).collect();
    if cut.len() < message.len() {
        let _ = write!(cut, " .. ({} bytes in all)", message.len());
    }
    cut
}
