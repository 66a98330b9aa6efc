//! A component without what only debuggers and package managers read: custom sections, at any depth.

use std::borrow::Cow;

use wasmparser::BinaryReader;

/// What of the custom sections stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Names of functions, so that the backtrace of a trap can be read.
    Names,
    /// Names, and the debug information that finds source lines.
    Debug,
}

/// Bytes of the preamble.
const PREAMBLE: usize = 8;
const CUSTOM: u8 = 0;
/// Sections of a component that hold a module and a component.
const NESTED: [u8; 2] = [1, 4];

/// Leaves out the custom sections that are not kept. Bytes that do not parse are returned as they are: what is wrong with them is
/// for those to say who validate.
#[must_use]
pub fn strip(component: &[u8], kept: Kept) -> Cow<'_, [u8]> {
    stripped(component, kept).map_or(Cow::Borrowed(component), Cow::Owned)
}

fn stripped(bytes: &[u8], kept: Kept) -> Option<Vec<u8>> {
    let is_component = bytes.get(4..PREAMBLE)? == [0x0d, 0, 1, 0];
    let mut out = bytes.get(..PREAMBLE)?.to_vec();
    let mut reader = BinaryReader::new(&bytes[PREAMBLE..], PREAMBLE);
    while !reader.eof() {
        let start = reader.original_position();
        let id = reader.read_u8().ok()?;
        let size = reader.read_var_u32().ok()? as usize;
        let body = reader.read_bytes(size).ok()?;
        let whole = &bytes[start..reader.original_position()];
        if id == CUSTOM {
            let name = BinaryReader::new(body, 0).read_string().ok()?;
            if stays(name, kept) {
                out.extend_from_slice(whole);
            }
        } else if is_component && NESTED.contains(&id) {
            let inner = stripped(body, kept)?;
            out.push(id);
            write_u32(&mut out, inner.len());
            out.extend_from_slice(&inner);
        } else {
            out.extend_from_slice(whole);
        }
    }
    Some(out)
}

fn stays(section: &str, kept: Kept) -> bool {
    let debug = section.starts_with(".debug") || section == "external_debug_info";
    let tools = [
        "producers",
        "target_features",
        "sourceMappingURL",
        "linking",
    ];
    match kept {
        Kept::Debug => true,
        Kept::Names => !debug && !tools.contains(&section) && !section.starts_with("reloc."),
    }
}

/// LEB128, as all lengths in WebAssembly.
fn write_u32(out: &mut Vec<u8>, mut value: usize) {
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}
