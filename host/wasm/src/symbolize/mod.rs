//! From the offsets of a backtrace to functions, files and lines: what an author's debug information says of them.
//!
//! Debug information is a program of its own for whoever reads it, and its makers are not trusted. It is read in a child process of
//! the same program with little memory, little time and nothing to reach, as components are [compiled](super::compile): a child that
//! does not come to its end is an error here, and nothing else.

mod dwarf;

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use milepost_core::limits;
use serde::{Deserialize, Serialize};

use super::compile::child::Bounds;
use super::compile::{CANNOT_COMPILE, ChildProgram, first_of, jail, serve};

/// Most offsets that are asked for at once.
pub const MOST_OFFSETS: usize = 1_000;

/// What stands at an offset of a component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The offset, from the beginning of the component's file.
    pub offset: u64,
    /// Functions, the innermost first: each was made part of the next one. Empty where the component does not say.
    pub functions: Vec<Function>,
}

/// A function, and its place in the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    /// Its name.
    pub name: Option<String>,
    /// The source file.
    pub file: Option<String>,
    /// The line, from 1.
    pub line: Option<u32>,
    /// The column, from 1.
    pub column: Option<u32>,
}

/// Debug information that could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SymbolizeError {
    /// The component is none, or what it says contradicts itself.
    #[error("its debug information cannot be read: {0}")]
    Unreadable(String),
    /// The child did not come to its end.
    #[error("its debug information was not read: {0}")]
    NotRead(String),
}

/// Offsets in a backtrace, as a trap's message has it.
#[must_use]
pub fn offsets_of(message: &str) -> Vec<u64> {
    let offset = |line: &str| {
        let (_, at) = line.strip_suffix(')')?.rsplit_once(" at 0x")?;
        u64::from_str_radix(at, 16).ok()
    };
    message
        .lines()
        .filter_map(offset)
        .take(MOST_OFFSETS)
        .collect()
}

/// What a component says of some offsets. The child has to call [`symbolize_stdin_to_stdout`] with the arguments behind those of
/// `child`.
///
/// # Errors
/// [`SymbolizeError`].
pub fn symbolize(
    child: &ChildProgram,
    component: &[u8],
    offsets: &[u64],
) -> Result<Vec<Place>, SymbolizeError> {
    let not_read = |error: io::Error| SymbolizeError::NotRead(error.to_string());
    let arguments: Vec<String> = offsets
        .iter()
        .take(MOST_OFFSETS)
        .map(|offset| format!("{offset:x}"))
        .collect();
    let bounds = Bounds {
        output_bytes: limits::SYMBOLIZED_BYTES,
        time: limits::SYMBOLIZE_TIME,
    };
    let talked = child
        .give(component, &arguments, bounds)
        .map_err(not_read)?;
    let Some(status) = talked.status else {
        return Err(SymbolizeError::NotRead(format!(
            "it took longer than {} s",
            limits::SYMBOLIZE_TIME.as_secs()
        )));
    };
    let words = || first_of(&String::from_utf8_lossy(&talked.words));
    match status.code() {
        Some(0) => {
            let output = talked.output.map_err(not_read)?;
            serde_json::from_slice(&output)
                .map_err(|error| SymbolizeError::NotRead(error.to_string()))
        }
        Some(1) => Err(SymbolizeError::Unreadable(words())),
        Some(code) if code == i32::from(CANNOT_COMPILE) => Err(SymbolizeError::NotRead(words())),
        _ => Err(SymbolizeError::NotRead(format!(
            "it took more than {} s of processor time or {} MiB of memory, or broke the reader ({status})",
            limits::SYMBOLIZE_PROCESSOR_TIME.as_secs(),
            limits::SYMBOLIZE_MEMORY_BYTES / (1024 * 1024)
        ))),
    }
}

/// The child's whole life, as that of one that [compiles](super::compile::compile_stdin_to_stdout): `offsets` are its arguments, in
/// hexadecimal.
#[must_use]
pub fn symbolize_stdin_to_stdout(offsets: impl Iterator<Item = OsString>) -> ExitCode {
    let bounds = jail::Bounds {
        memory_bytes: limits::SYMBOLIZE_MEMORY_BYTES,
        processor_time: limits::SYMBOLIZE_PROCESSOR_TIME,
    };
    serve(bounds, |bytes| {
        let offsets: Vec<u64> = offsets
            .take(MOST_OFFSETS)
            .filter_map(|text| u64::from_str_radix(text.to_str()?, 16).ok())
            .collect();
        match dwarf::places(bytes, &offsets) {
            Ok(places) => serde_json::to_vec(&places)
                .map(Ok)
                .map_err(|error| error.to_string()),
            Err(refused) => Ok(Err(refused)),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_stand_at_the_ends_of_lines() {
        let message = "wasm trap: unreachable\n   0: m!f (1+0x2 at 0x1a2b)\n   1: m!g at 0x9) (7+0x0 at 0xff)\nat 0x5\n \
                       m!h (1+0x2 at 0xzz)";
        assert_eq!(offsets_of(message), [0x1a2b, 0xff]);
        assert_eq!(offsets_of(""), Vec::<u64>::new());
    }
}
