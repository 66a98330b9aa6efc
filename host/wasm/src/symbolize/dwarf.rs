//! The child's side: which module an offset lies in, and what that module's DWARF says of it. Only the limits of the process bound
//! what happens here.

use std::collections::BTreeMap;
use std::ops::Range;

use addr2line::Context;
use addr2line::gimli::{Dwarf, EndianSlice, Error, LittleEndian, SectionId};
use wasmtime::wasmparser::{Parser, Payload};

use super::{Function, Place};
use crate::names;

/// Most functions that are told of one offset.
const FUNCTIONS: usize = 64;
/// Longest name of a file that is told.
const FILE_BYTES: usize = 1_024;

/// A core module in the component.
#[derive(Default)]
struct Module<'a> {
    is_core: bool,
    /// Offsets of DWARF count from the beginning of this section.
    code: Option<Range<u64>>,
    sections: BTreeMap<&'a str, &'a [u8]>,
}

/// What the component says of each offset, in their order.
pub(super) fn places(bytes: &[u8], offsets: &[u64]) -> Result<Vec<Place>, String> {
    let mut found: BTreeMap<u64, Vec<Function>> = BTreeMap::new();
    let mut open: Vec<Module<'_>> = Vec::new();
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(|error| error.to_string())? {
            Payload::Version { encoding, .. } => open.push(Module {
                is_core: encoding == wasmtime::wasmparser::Encoding::Module,
                ..Module::default()
            }),
            Payload::CodeSectionStart { range, .. } => {
                if let Some(module) = open.last_mut() {
                    module.code = Some(range.start as u64..range.end as u64);
                }
            }
            Payload::CustomSection(custom) => {
                if let Some(module) = open.last_mut()
                    && module.is_core
                {
                    module.sections.insert(custom.name(), custom.data());
                }
            }
            Payload::End(_) => {
                if let Some(module) = open.pop() {
                    module.look_up(offsets, &mut found)?;
                }
            }
            _ => {}
        }
    }
    let places = offsets.iter().map(|offset| Place {
        offset: *offset,
        functions: found.get(offset).cloned().unwrap_or_default(),
    });
    Ok(places.collect())
}

impl Module<'_> {
    fn look_up(
        &self,
        offsets: &[u64],
        found: &mut BTreeMap<u64, Vec<Function>>,
    ) -> Result<(), String> {
        let Some(code) = &self.code else {
            return Ok(());
        };
        let mut inside = offsets
            .iter()
            .filter(|offset| code.contains(offset))
            .peekable();
        if inside.peek().is_none() {
            return Ok(());
        }
        let words = |error: Error| error.to_string();
        let section = |id: SectionId| {
            let bytes = self.sections.get(id.name()).copied().unwrap_or_default();
            Ok::<_, Error>(EndianSlice::new(bytes, LittleEndian))
        };
        let context = Context::from_dwarf(Dwarf::load(section).map_err(words)?).map_err(words)?;
        for offset in inside {
            let mut frames = context
                .find_frames(offset - code.start)
                .skip_all_loads()
                .map_err(words)?;
            let mut functions = Vec::new();
            while functions.len() < FUNCTIONS
                && let Some(frame) = frames.next().map_err(words)?
            {
                let name = frame.function.as_ref().map(|name| name.raw_name());
                let name = name.transpose().map_err(words)?;
                let at = frame.location.as_ref();
                functions.push(Function {
                    name: name
                        .map(|name| names::readable(&name).into_owned())
                        .map(cut),
                    file: at.and_then(|at| at.file).map(|file| cut(file.to_owned())),
                    line: at.and_then(|at| at.line),
                    column: at.and_then(|at| at.column),
                });
            }
            found.insert(*offset, functions);
        }
        Ok(())
    }
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(FILE_BYTES));
    text
}
