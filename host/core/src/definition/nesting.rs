//! Bounds the nesting of a TOML text before it is parsed. The parser bounds brackets and dotted keys each, but not their
//! product (`{ a.a.a = { a.a.a = ..`), and a tree that deep exhausts the stack when it is dropped.

use crate::limits;

/// Levels of tables and arrays, dotted keys included; well above [`limits::JSON_DEPTH`], which the shape check enforces.
const LEVELS: usize = 2 * limits::JSON_DEPTH;

/// Where the text first nests deeper than [`LEVELS`]. Counts at least what the parser would build.
pub(super) fn too_deep(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    // Levels that each open bracket added: itself and the dots of the key before it.
    let mut open: Vec<usize> = Vec::new();
    let (mut depth, mut dots, mut at) = (0, 0, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' | b'\'' => {
                at = after_string(bytes, at);
                continue;
            }
            b'#' => {
                at = find(bytes, at, b"\n").unwrap_or(bytes.len());
                continue;
            }
            b'{' | b'[' => {
                open.push(dots + 1);
                depth += dots + 1;
                dots = 0;
            }
            b'}' | b']' => {
                depth -= open.pop().unwrap_or(0);
                dots = 0;
            }
            b'.' => dots += 1,
            b',' => dots = 0,
            b'\n' if open.is_empty() => dots = 0,
            _ => {}
        }
        if depth + dots > LEVELS {
            return Some(at);
        }
        at += 1;
    }
    None
}

/// The offset after the string that starts at `at`.
fn after_string(bytes: &[u8], at: usize) -> usize {
    let quote = bytes[at];
    let triple = [quote; 3];
    let (close, mut at) = if bytes[at..].starts_with(&triple) {
        (&triple[..], at + 3)
    } else {
        (&triple[..1], at + 1)
    };
    while at < bytes.len() {
        if bytes[at..].starts_with(close) {
            return at + close.len();
        }
        match bytes[at] {
            // A string that is not closed ends with its line.
            b'\n' if close.len() == 1 => return at,
            b'\\' if quote == b'"' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn find(bytes: &[u8], from: usize, what: &[u8]) -> Option<usize> {
    bytes[from..]
        .windows(what.len())
        .position(|window| window == what)
        .map(|offset| from + offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_and_dots_count_together() {
        let dotted = |levels: usize| format!("x = {{ {} = 1 }}", vec!["a"; levels].join("."));
        assert_eq!(too_deep(&dotted(LEVELS)), None);
        assert!(too_deep(&dotted(LEVELS + 1)).is_some());
        let nested = |levels: usize| {
            (0..levels / 4).fold("1".to_owned(), |inner, _| {
                format!("{{ a.b.c.d = {inner} }}")
            })
        };
        assert_eq!(too_deep(&nested(LEVELS)), None);
        assert!(too_deep(&nested(LEVELS + 4)).is_some());
    }

    #[test]
    fn texts_comments_and_siblings_do_not_count() {
        let many = ".[{".repeat(LEVELS);
        for text in [
            format!("a = \"{many}\\\"{many}\""),
            format!("a = '{many}'"),
            format!("a = \"\"\"{many}\n\"{many}\"\"\""),
            format!("a = '''{many}\n'{many}'''"),
            format!("# {many}\n"),
            format!("a = [{}]", "1.5,".repeat(LEVELS * 2)),
            "a.b = 1.5\n".repeat(LEVELS),
            "[a.b]\n".repeat(LEVELS),
        ] {
            assert_eq!(too_deep(&text), None, "{text}");
        }
        assert!(too_deep(&format!("a = \"open\n{many}")).is_some());
    }
}
