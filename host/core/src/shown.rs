//! Texts from outside, as people may see them: control characters are shown, not obeyed, and long texts are cut.
//!
//! One function decides what is hidden from a terminal: [`is_hostile`]. Everything for people goes through it.

use std::fmt::{self, Write as _};

use crate::limits::MESSAGE_BYTES;

/// Whether a terminal could obey the character, or a reader be misled by it: C0, DEL, C1, line separators, what reverses
/// the direction of writing, and what cannot be seen at all.
#[must_use]
pub fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'
                | '\u{200e}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// Something from outside in one line: its line breaks are shown as well.
#[derive(Debug, Clone, Copy)]
pub struct Shown<T>(pub T);

/// Something from outside that may have several lines: line breaks and tabs stay.
#[derive(Debug, Clone, Copy)]
pub struct ShownLines<T>(pub T);

impl<T: fmt::Display> fmt::Display for Shown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keeps = |_| false;
        write!(Escaping { out: f, keeps }, "{}", self.0)
    }
}

impl<T: fmt::Display> fmt::Display for ShownLines<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keeps = |c| matches!(c, '\n' | '\t');
        write!(Escaping { out: f, keeps }, "{}", self.0)
    }
}

struct Escaping<'a, 'b> {
    out: &'a mut fmt::Formatter<'b>,
    keeps: fn(char) -> bool,
}

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(|c| is_hostile(c) && !(self.keeps)(c)) {
            let (plain, tail) = rest.split_at(at);
            self.out.write_str(plain)?;
            let mut chars = tail.chars();
            match chars.next() {
                Some('\n') => self.out.write_str("\\n")?,
                Some('\t') => self.out.write_str("\\t")?,
                Some(c) => write!(self.out, "{}", c.escape_unicode())?,
                None => {}
            }
            rest = chars.as_str();
        }
        self.out.write_str(rest)
    }
}

/// An amount of storage: `512 bytes`, `4.2 KiB`, `18.0 GiB`.
#[must_use]
pub fn bytes(count: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match UNITS.into_iter().find(|(_, size)| count >= *size) {
        // Not as a float: that would round up into the next unit.
        Some((unit, size)) => format!("{}.{} {unit}", count / size, count % size * 10 / size),
        None if count == 1 => "1 byte".to_owned(),
        None => format!("{count} bytes"),
    }
}

/// The beginning of a long text, and its size: `aaaa… (5000000 bytes)`. A text of at most `bytes` stays as it is.
#[must_use]
pub fn excerpt(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let mut beginning = text[..text.floor_char_boundary(bytes)].to_owned();
    mark_cut(&mut beginning, text.len());
    beginning
}

/// Says at the end of a text that it is the beginning of one of so many bytes.
pub fn mark_cut(beginning: &mut String, bytes: usize) {
    let _ = write!(beginning, "… ({bytes} bytes)");
}

/// A message that is recorded or told, cut to [`MESSAGE_BYTES`].
#[must_use]
pub fn message(text: impl Into<String>) -> String {
    let text = text.into();
    if text.len() <= MESSAGE_BYTES {
        text
    } else {
        excerpt(&text, MESSAGE_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_and_not_obeyed() {
        let text = "a\x1b[2J\r\u{7f}\u{9b}\u{202e}\u{2028}\u{200b}\u{e0041}\n\tü\u{200d}";
        assert_eq!(
            Shown(text).to_string(),
            "a\\u{1b}[2J\\u{d}\\u{7f}\\u{9b}\\u{202e}\\u{2028}\\u{200b}\\u{e0041}\\n\\tü\u{200d}"
        );
        assert_eq!(
            ShownLines("a\n\tb\x07").to_string(),
            "a\n\tb\\u{7}",
            "lines stay lines"
        );
        assert_eq!(Shown(Shown("\x1b")).to_string(), "\\u{1b}");
    }

    #[test]
    fn long_texts_are_told_with_their_size() {
        assert_eq!(excerpt("abc", 3), "abc");
        assert_eq!(excerpt("abcd", 3), "abc… (4 bytes)");
        assert_eq!(excerpt("aüb", 2), "a… (4 bytes)");
        let long = "x".repeat(5_000_000);
        assert!(message(long).ends_with("… (5000000 bytes)"));
        assert_eq!(message("x".repeat(MESSAGE_BYTES)).len(), MESSAGE_BYTES);
    }

    #[test]
    fn storage_is_told_in_its_largest_unit() {
        for (count, text) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (2, "2 bytes"),
            (1_023, "1023 bytes"),
            (1_024, "1.0 KiB"),
            (1_048_575, "1023.9 KiB"),
            (5 << 30, "5.0 GiB"),
            (u64::MAX, "17179869183.9 GiB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }
}
