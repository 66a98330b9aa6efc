//! Places inside a TOML string: byte offsets of its value mapped back to the file, through escapes and line continuations.

use std::ops::Range;

/// Where each byte of a string's value stands in the file.
#[derive(Debug)]
pub(super) struct StringMap {
    /// File range of each byte of the value; empty when the literal could not be followed.
    bytes: Vec<Range<usize>>,
    /// The whole literal, quotes included.
    literal: Range<usize>,
}

impl StringMap {
    /// Follows the literal at `literal` in `file`, whose value is `value`.
    pub(super) fn new(file: &str, literal: Range<usize>, value: &str) -> Self {
        let mut bytes = file
            .get(literal.clone())
            .map_or_else(Vec::new, |raw| follow(raw, literal.start));
        // A key written without quotes, or an escape that this walk does not know: point at the whole literal instead.
        if bytes.len() != value.len() {
            bytes.clear();
        }
        Self { bytes, literal }
    }

    /// The file range of a range of the value.
    pub(super) fn range(&self, inner: Range<usize>) -> Range<usize> {
        if self.bytes.is_empty() || inner.start > self.bytes.len() {
            return self.literal.clone();
        }
        let end_of = |at: usize| self.bytes.get(at).map(|byte| byte.end);
        let start = match self.bytes.get(inner.start) {
            Some(byte) => byte.start,
            None => end_of(self.bytes.len() - 1).unwrap_or(self.literal.end),
        };
        let last = inner.end.min(self.bytes.len());
        let end = if last > inner.start {
            end_of(last - 1).unwrap_or(start)
        } else {
            start
        };
        start..end
    }
}

/// File range of every byte of the value of the literal `raw`, which starts at `base`.
fn follow(raw: &str, base: usize) -> Vec<Range<usize>> {
    let (quote, escapes) = match raw.as_bytes() {
        [b'"', b'"', b'"', ..] => (3, true),
        [b'\'', b'\'', b'\'', ..] => (3, false),
        [b'"', ..] => (1, true),
        [b'\'', ..] => (1, false),
        _ => return Vec::new(),
    };
    let Some(end) = raw.len().checked_sub(quote).filter(|end| *end >= quote) else {
        return Vec::new();
    };
    let mut at = quote;
    if quote == 3 {
        // The line break right after the opening quotes is not part of the value.
        at += ["\r\n", "\n"]
            .into_iter()
            .find(|line| raw[at..].starts_with(line))
            .map_or(0, str::len);
    }
    let mut bytes = Vec::with_capacity(end - at);
    while at < end {
        let (length, decoded) = match raw.as_bytes()[at] {
            b'\\' if escapes => escape(&raw[at..end]),
            _ => {
                bytes.push(base + at..base + at + 1);
                at += 1;
                continue;
            }
        };
        bytes.extend(std::iter::repeat_n(base + at..base + at + length, decoded));
        at += length;
    }
    bytes
}

/// Length of the escape at the start of `rest`, and the bytes of value that it makes.
fn escape(rest: &str) -> (usize, usize) {
    let hex = |digits: usize| {
        let length = (2 + digits).min(rest.len());
        let code = rest
            .get(2..length)
            .and_then(|text| u32::from_str_radix(text, 16).ok());
        (
            length,
            code.and_then(char::from_u32).map_or(0, char::len_utf8),
        )
    };
    match rest.as_bytes().get(1) {
        Some(b'x') => hex(2),
        Some(b'u') => hex(4),
        Some(b'U') => hex(8),
        Some(b' ' | b'\t' | b'\r' | b'\n') => {
            let kept = rest[1..].trim_start_matches([' ', '\t', '\r', '\n']);
            (rest.len() - kept.len(), 0)
        }
        Some(_) => (2, 1),
        None => (1, 0),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use super::*;
    use toml::de::DeTable;

    /// Where `needle` of the value stands in the file, as text.
    fn place<'a>(file: &'a str, needle: &str) -> &'a str {
        let table = DeTable::parse(file).unwrap();
        let node = table.get_ref().get("k").unwrap();
        let value = node.get_ref().as_str().unwrap();
        let map = StringMap::new(file, node.span(), value);
        let start = value.find(needle).unwrap();
        &file[map.range(start..start + needle.len())]
    }

    #[test]
    fn every_kind_of_string_maps_back() {
        for (file, needle, found) in [
            ("k = 'a + bad'", "bad", "bad"),
            ("k = \"a + bad\"", "bad", "bad"),
            (r#"k = "\"q\" + bad""#, "bad", "bad"),
            (r#"k = "\u00e9\t\U0001F600 bad \n""#, "bad", "bad"),
            (r#"k = "a\u00e9b""#, "é", r"\u00e9"),
            ("k = \"\"\"\na \\\n    + bad\n\"\"\"", "bad", "bad"),
            ("k = \"\"\"\r\na\r\n+ bad\"\"\"", "bad", "bad"),
            ("k = '''\na\n+ bad'''", "bad", "bad"),
            ("k = '''it''bad'''", "bad", "bad"),
            ("k = \"é + bad\"", "bad", "bad"),
        ] {
            assert_eq!(place(file, needle), found, "{file}");
        }
    }

    #[test]
    fn ranges_beyond_the_value_stay_in_the_file() {
        let file = "k = 'ab'";
        let map = StringMap::new(file, 4..8, "ab");
        assert_eq!(map.range(2..2), 7..7);
        assert_eq!(map.range(1..9), 6..7);
        assert_eq!(map.range(5..9), 4..8);
        assert_eq!(StringMap::new(file, 0..1, "k").range(0..1), 0..1);
    }
}
