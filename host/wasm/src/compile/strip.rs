//! What a component carries beside its code (debug information, producers, names of locals) is blanked before the compiler
//! sees it: whoever made the component chose those bytes, and nothing that runs needs them. Everything stays in its place, so that the
//! offsets of a backtrace are those of the component's file. Function names stay, within a bound, because a backtrace shows them; they
//! are copied, never interpreted.
//!
//! Components stand inside components: the walk keeps its own stack.

use std::ops::Range;

use milepost_core::limits;
use wasmtime::wasmparser::{BinaryReader, BinaryReaderError, CustomSectionReader};

use crate::component::{COMPONENT_VERSION, CORE_VERSION, MAGIC, Rejection, invalid};

const PREAMBLE_BYTES: usize = MAGIC.len() + COMPONENT_VERSION.len();

/// Numbers of the sections that are not just copied.
mod section {
    pub(super) const CUSTOM: u8 = 0;
    pub(super) const CORE_MODULE: u8 = 1;
    pub(super) const COMPONENT: u8 = 4;
}

/// A component or a core module that is walked through.
struct Open {
    end: usize,
    is_core: bool,
}

/// A copy of a component whose preamble was checked, its custom sections without a name and full of zeros.
///
/// # Errors
/// [`Rejection`] when sections do not fit into each other.
fn strip(bytes: &[u8]) -> Result<Vec<u8>, Rejection> {
    let mut out = bytes.to_vec();
    let mut names_left = limits::FUNCTION_NAMES_BYTES;
    let mut at = PREAMBLE_BYTES;
    let mut open = vec![Open {
        end: bytes.len(),
        is_core: false,
    }];
    while let Some(inside) = open.last() {
        if at == inside.end {
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
                } else {
                    out[body.clone()].fill(0);
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
                at = body.start + PREAMBLE_BYTES;
                open.push(Open {
                    end: body.end,
                    is_core,
                });
            }
            _ => at = body.end,
        }
    }
    Ok(out)
}

/// What the compiler gets to see of a component, without what stands behind the last section that it reads: two components of which this is
/// equal become the same code.
///
/// # Errors
/// [`Rejection`] when sections do not fit into each other.
pub(super) fn seen(bytes: &[u8]) -> Result<Vec<u8>, Rejection> {
    let mut out = strip(bytes)?;
    let (mut at, mut end) = (PREAMBLE_BYTES, PREAMBLE_BYTES);
    while at < out.len() {
        let (id, body) = read(&out, at).map_err(invalid)?;
        at = body.end;
        if id != section::CUSTOM {
            end = at;
        }
    }
    out.truncate(end);
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
        let left = custom_sections(&stripped);
        assert!(
            left.iter().all(|name| name == "name" || name.is_empty()),
            "{left:?}"
        );
        assert_eq!(left.iter().filter(|name| *name == "name").count(), 2);
        assert_eq!(strip(&stripped).unwrap(), stripped);
        // Nothing moved.
        let of = |what: &[u8]| component.windows(what.len()).position(|here| here == what);
        assert_eq!(stripped.len(), component.len());
        assert!(of(b"abc").is_some() && !stripped.windows(3).any(|here| here == b"abc"));
    }

    #[test]
    fn names_beyond_their_bound_are_left_out() {
        let module = |n: usize| format!("(core module (func ${}))", "n".repeat(n));
        let half = limits::FUNCTION_NAMES_BYTES / 2;
        // A name stands in two subsections at most; the second section does not fit any more.
        let text = format!("(component {} {})", module(half), module(half));
        let stripped = strip(&wat::parse_str(text).unwrap()).unwrap();
        assert_eq!(custom_sections(&stripped), ["name", ""]);
    }

    #[test]
    fn equal_code_is_told_by_all_that_the_compiler_reads() {
        let of = |before: &str, inside: &str, behind: &str| {
            let text = format!(
                r#"(component {before}
                    (core module $m (func $named {inside})) (core instance (instantiate $m)) {behind})"#
            );
            seen(&wat::parse_str(text).unwrap()).unwrap()
        };
        let plain = of("", "", "");
        for behind in [
            r#"(@custom "milepost:manifest" "{}")"#,
            r#"(@custom "a" "b") (@custom "c" "")"#,
        ] {
            assert_eq!(of("", "", behind), plain);
        }
        // The code is another one, its names are, or it stands elsewhere.
        assert_ne!(of("", "unreachable", ""), plain);
        assert_ne!(of(r#"(@custom "a" "b")"#, "", ""), plain);
        let named = |name: &str| {
            let text = format!("(component (core module (func ${name})))");
            seen(&wat::parse_str(text).unwrap()).unwrap()
        };
        assert_ne!(named("a"), named("b"));
    }

    #[test]
    fn deep_nesting_needs_no_stack() {
        // Nested by hand: the text format itself has a bound.
        let mut component = nested(1);
        for _ in 0..10_000 {
            let mut outer = component[..PREAMBLE_BYTES].to_vec();
            outer.push(section::COMPONENT);
            // LEB128, four times seven bits and the rest.
            let length = component.len();
            outer.extend((0..4).map(|n| (length >> (7 * n)) as u8 | 0x80));
            outer.push((length >> 28) as u8);
            outer.extend_from_slice(&component);
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
