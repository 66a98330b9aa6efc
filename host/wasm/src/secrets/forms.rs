//! The forms in which a value may turn up in a text.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// Shortest form that is looked for, bytes: what is shorter stands in any text.
const SHORTEST: usize = 4;
/// Shortest line of a value of several lines that is looked for by itself, bytes.
const SHORTEST_LINE: usize = 8;

/// The value itself and its encodings, each once.
pub(super) fn of(value: &str) -> Vec<Vec<u8>> {
    let mut forms = encodings(value.as_bytes());
    // What is written line by line, as a key may be, never comes as a whole.
    let lines = value.lines().map(str::trim);
    for line in lines.filter(|line| line.len() >= SHORTEST_LINE && *line != value) {
        forms.extend(encodings(line.as_bytes()));
    }
    forms.retain(|form| form.len() >= SHORTEST);
    forms.sort_unstable();
    forms.dedup();
    forms
}

fn encodings(value: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![value.to_vec()];
    for offset in 0..3 {
        forms.extend(base64(value, offset));
    }
    for upper in [true, false] {
        forms.push(hex(value, upper));
        for plain in PLAIN {
            forms.push(percent(value, plain, upper));
        }
        forms.push(percent(value, b"*-._ ", upper).replace_spaces());
    }
    let text = String::from_utf8_lossy(value);
    for escaped in [json(&text), ascii_json(&text)] {
        forms.push(json(&escaped).into_bytes());
        forms.push(escaped.replace('/', "\\/").into_bytes());
        forms.push(escaped.into_bytes());
    }
    forms
}

/// What percent-encodings leave as it is, beside letters and digits: RFC 3986's unreserved characters, JavaScript's
/// `encodeURIComponent` and `encodeURI`, nothing.
const PLAIN: [&[u8]; 4] = [b"-._~", b"-._~!'()*", b"-._~!'()*;,/?:@&=+$#", b""];

trait Spaces {
    fn replace_spaces(self) -> Self;
}

impl Spaces for Vec<u8> {
    /// As forms of HTML are encoded.
    fn replace_spaces(mut self) -> Self {
        for byte in &mut self {
            if *byte == b' ' {
                *byte = b'+';
            }
        }
        self
    }
}

/// The characters of a Base64 text that are the same whatever stands around the value, where it begins at that offset of a group
/// of three bytes; in both alphabets.
fn base64(value: &[u8], offset: usize) -> [Vec<u8>; 2] {
    let mut padded = vec![0; offset];
    padded.extend_from_slice(value);
    let first = (offset * 8).div_ceil(6);
    let last = padded.len() * 8 / 6;
    [STANDARD.encode(&padded), URL_SAFE.encode(&padded)].map(|text| {
        text.as_bytes()
            .get(first..last)
            .unwrap_or_default()
            .to_vec()
    })
}

fn hex(value: &[u8], upper: bool) -> Vec<u8> {
    value.iter().flat_map(|byte| digits(*byte, upper)).collect()
}

fn digits(byte: u8, upper: bool) -> [u8; 2] {
    let digits = match upper {
        true => b"0123456789ABCDEF",
        false => b"0123456789abcdef",
    };
    [
        digits[usize::from(byte >> 4)],
        digits[usize::from(byte & 15)],
    ]
}

fn percent(value: &[u8], plain: &[u8], upper: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len() * 3);
    for byte in value {
        // Encoders that leave nothing as it is encode letters, too.
        if plain.contains(byte) || !plain.is_empty() && byte.is_ascii_alphanumeric() {
            out.push(*byte);
        } else {
            out.push(b'%');
            out.extend(digits(*byte, upper));
        }
    }
    out
}

/// The inside of a JSON string.
fn json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// The same in ASCII alone.
fn ascii_json(text: &str) -> String {
    let mut out = String::new();
    for c in json(text).chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    out
}
