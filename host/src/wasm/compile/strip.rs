//! What a component carries beside its code (debug information, producers, names of locals) is left out before the compiler
//! sees it: whoever made the component chose those bytes, and nothing that runs needs them. Function names stay, within a
//! bound, because a backtrace shows them; they are copied, never interpreted.
//!
//! Components stand inside components: the walk keeps its own stack.

use std::ops::Range;

use milepost_core::limits;
use wasmtime::wasmparser::{BinaryReader, BinaryReaderError, CustomSectionReader};

use crate::wasm::component::{COMPONENT_VERSION, CORE_VERSION, MAGIC, Rejection, invalid};

/// Bytes of every length that is written here: a fixed number, so that it can be filled in later.
const LENGTH_BYTES: usize = 5;
const PREAMBLE_BYTES: usize = MAGIC.len() + COMPONENT_VERSION.len();

/// Numbers of the sections that are not just copied.
mod section {
    pub(super) const CUSTOM: u8 = 0;
    pub(super) const CORE_MODULE: u8 = 1;
    pub(super) const COMPONENT: u8 = 4;
}

/// A component or a core module that is being copied.
struct Open {
    /// Where it ends in the original.
    end: usize,
    /// Where its length stands in the copy; the outermost has none.
    length_at: Option<usize>,
    is_core: bool,
}

/// A copy of a component whose preamble was checked, without its custom sections.
///
/// # Errors
/// [`Rejection`] when sections do not fit into each other.
pub(super) fn strip(bytes: &[u8]) -> Result<Vec<u8>, Rejection> {
    let mut out = Vec::with_capacity(bytes.len());
    out.extend_from_slice(&bytes[..PREAMBLE_BYTES]);
    let mut names_left = limits::FUNCTION_NAMES_BYTES;
    let mut at = PREAMBLE_BYTES;
    let mut open = vec![Open {
        end: bytes.len(),
        length_at: None,
        is_core: false,
    }];
    while let Some(inside) = open.last() {
        if at == inside.end {
            if let Some(length_at) = inside.length_at {
                fill_in(&mut out, length_at);
            }
            open.pop();
            continue;
        }
        let (id, body) = read(&bytes[..inside.end], at).map_err(invalid)?;
        match id {
            section::CUSTOM => {
                if inside.is_core
                    && is_names(bytes, &body).map_err(invalid)?
                    && body.len() <= names_left
                {
                    names_left -= body.len();
                    out.extend_from_slice(&bytes[at..body.end]);
                }
                at = body.end;
            }
            section::CORE_MODULE | section::COMPONENT if !inside.is_core => {
                let is_core = id == section::CORE_MODULE;
                let version = if is_core {
                    CORE_VERSION
                } else {
                    COMPONENT_VERSION
                };
                let preamble = bytes[body.clone()].strip_prefix(MAGIC);
                if !preamble.is_some_and(|rest| rest.starts_with(version)) {
                    let what = format!("no module or component at offset {:#x}", body.start);
                    return Err(Rejection::Invalid(what));
                }
                out.push(id);
                open.push(Open {
                    end: body.end,
                    length_at: Some(out.len()),
                    is_core,
                });
                out.extend_from_slice(&[0; LENGTH_BYTES]);
                at = body.start + PREAMBLE_BYTES;
                out.extend_from_slice(&bytes[body.start..at]);
            }
            _ => {
                out.extend_from_slice(&bytes[at..body.end]);
                at = body.end;
            }
        }
    }
    Ok(out)
}

/// Number and body of the section at `at`, which must end where `bytes` does at the latest.
fn read(bytes: &[u8], at: usize) -> Result<(u8, Range<usize>), BinaryReaderError> {
    let mut reader = BinaryReader::new(&bytes[at..], at);
    let id = reader.read_u8()?;
    let length = reader.read_var_u32()?;
    let start = reader.original_position();
    reader.read_bytes(length as usize)?;
    Ok((id, start..reader.original_position()))
}

fn is_names(bytes: &[u8], body: &Range<usize>) -> Result<bool, BinaryReaderError> {
    let reader = BinaryReader::new(&bytes[body.clone()], body.start);
    Ok(CustomSectionReader::new(reader)?.name() == "name")
}

/// Writes the length of everything after it: LEB128 of a fixed width.
fn fill_in(out: &mut [u8], length_at: usize) {
    let mut left = out.len() - length_at - LENGTH_BYTES;
    let place = &mut out[length_at..length_at + LENGTH_BYTES];
    for (index, byte) in place.iter_mut().enumerate() {
        let more = if index + 1 < LENGTH_BYTES { 0x80 } else { 0 };
        *byte = (left & 0x7f) as u8 | more;
        left >>= 7;
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]
    use super::*;

    /// Names of all custom sections, at any depth.
    fn custom_sections(bytes: &[u8]) -> Vec<String> {
        wasmtime::wasmparser::Parser::new(0)
            .parse_all(bytes)
            .filter_map(|payload| match payload.unwrap() {
                wasmtime::wasmparser::Payload::CustomSection(custom) => {
                    Some(custom.name().to_owned())
                }
                _ => None,
            })
            .collect()
    }

    fn nested(levels: usize) -> Vec<u8> {
        let text = format!("{}{}", "(component".repeat(levels), ")".repeat(levels));
        wat::parse_str(text).unwrap()
    }

    #[test]
    fn only_function_names_stay_beside_the_code() {
        let component = wat::parse_str(
            r#"(component $outer
                (@custom "milepost:manifest" "{}")
                (core module $m (func $named unreachable) (@custom ".debug_info" "abc") (@custom "producers" "\00"))
                (component $inner (@custom "deep" "x") (core module (func $other) (@custom ".debug_line" "d")))
                (core instance (instantiate $m)))"#,
        )
        .unwrap();
        assert!(custom_sections(&component).len() > 6, "the input has them");
        let stripped = strip(&component).unwrap();
        assert_eq!(custom_sections(&stripped), ["name", "name"]);
        assert_eq!(strip(&stripped).unwrap(), stripped);
    }

    #[test]
    fn names_beyond_their_bound_are_left_out() {
        let module = |n: usize| format!("(core module (func ${}))", "n".repeat(n));
        let half = limits::FUNCTION_NAMES_BYTES / 2;
        // A name stands in two subsections at most; the second section does not fit any more.
        let text = format!("(component {} {})", module(half), module(half));
        let stripped = strip(&wat::parse_str(text).unwrap()).unwrap();
        assert_eq!(custom_sections(&stripped), ["name"]);
    }

    #[test]
    fn deep_nesting_needs_no_stack() {
        // Nested by hand: the text format itself has a bound.
        let mut component = nested(1);
        for _ in 0..10_000 {
            let mut outer = component[..PREAMBLE_BYTES].to_vec();
            outer.push(section::COMPONENT);
            outer.extend([0; LENGTH_BYTES]);
            outer.extend_from_slice(&component);
            fill_in(&mut outer, PREAMBLE_BYTES + 1);
            component = outer;
        }
        assert_eq!(strip(&component).unwrap(), component);
    }

    #[test]
    fn sections_that_reach_beyond_their_parent_are_invalid() {
        let good = nested(3);
        for cut in PREAMBLE_BYTES + 1..good.len() {
            assert!(matches!(strip(&good[..cut]), Err(Rejection::Invalid(_))));
        }
        let mut beyond = good.clone();
        // The length of the innermost component, whose body is its preamble alone.
        let length = beyond.len() - PREAMBLE_BYTES - 1;
        beyond[length] += 1;
        assert!(matches!(strip(&beyond), Err(Rejection::Invalid(_))));
    }
}
