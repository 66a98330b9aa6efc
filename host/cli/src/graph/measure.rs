//! How wide a text is at most, without knowing the font that will show it.
//!
//! The widths are those of the widest faces in the lists of fonts that the picture names (DejaVu and Verdana), so that a text may
//! take less than it was given, but never more. Thousandths of an em, in whole numbers.

use unicode_width::UnicodeWidthChar as _;

/// A face in a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Font {
    /// Height of the letters, in pixels.
    pub(super) size: i32,
    /// Which face.
    pub(super) face: Face,
}

/// A face.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Face {
    /// Letters of different widths.
    Sans,
    /// The same in bold.
    Bold,
    /// All of one width.
    Mono,
}

/// Thousandths of an em that a character takes at most.
fn advance(c: char, face: Face) -> i32 {
    let cells = c.width().unwrap_or(1);
    let sans = match (cells, c) {
        (0, _) => return 0,
        (2.., _) => return 1_050,
        _ if face == Face::Mono => return 620,
        (_, 'i' | 'j' | 'l' | '\'' | '|') => 340,
        (
            _,
            ' ' | '.' | ',' | ':' | ';' | '!' | 'I' | 'f' | 't' | 'r' | '(' | ')' | '[' | ']' | '/',
        ) => 430,
        (_, 'm' | 'w' | 'M' | 'W' | '@' | '%') => 1_000,
        (_, 'A'..='Z' | '<' | '>' | '=' | '+' | '~' | '#' | '&' | '_' | '^') => 790,
        (_, ' '..='~') => 640,
        _ => 850,
    };
    match face {
        Face::Bold => sans * 112 / 100,
        Face::Sans | Face::Mono => sans,
    }
}

fn pixels(thousandths: i32, font: Font) -> i32 {
    (thousandths * font.size + 999) / 1_000
}

/// How many pixels a text takes at most.
pub(super) fn width(text: &str, font: Font) -> i32 {
    let taken = text.chars().map(|c| advance(c, font.face));
    pixels(taken.fold(0, i32::saturating_add).min(1_000_000), font)
}

/// The text in lines of at most so many pixels; an ellipsis ends the last line when there are not enough. Words that fit on a line
/// are not broken.
pub(super) fn wrap(text: &str, font: Font, widest: i32, most: usize) -> Vec<String> {
    let room = widest * 1_000 / font.size - advance('…', font.face);
    let mut lines = Vec::new();
    let mut line = Line::default();
    for word in text.split_inclusive(' ') {
        let whole: i32 = word
            .trim_end()
            .chars()
            // A longer word is broken wherever the line ends.
            .take(500)
            .map(|c| advance(c, font.face))
            .sum();
        if line.taken > 0 && whole <= room && line.taken + whole > room {
            lines.push(std::mem::take(&mut line));
        }
        for c in word.chars() {
            let next = advance(c, font.face);
            if c != ' ' && line.taken > 0 && line.taken + next > room {
                lines.push(std::mem::take(&mut line));
            }
            if lines.len() >= most {
                break;
            }
            line.push(c, next);
        }
        if lines.len() >= most {
            break;
        }
    }
    let cut = lines.len() >= most;
    if !cut {
        lines.push(line);
    }
    let count = lines.len();
    let lines = lines.into_iter().enumerate().map(|(at, line)| {
        let text = line.text.trim_end();
        match cut && at + 1 == count {
            true => format!("{text}…"),
            false => text.to_owned(),
        }
    });
    lines.collect()
}

#[derive(Default)]
struct Line {
    text: String,
    taken: i32,
}

impl Line {
    fn push(&mut self, c: char, taken: i32) {
        self.text.push(c);
        self.taken += taken;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MONO: Font = Font {
        size: 10,
        face: Face::Mono,
    };

    #[test]
    fn long_texts_become_lines_of_the_width_and_the_last_one_says_that_more_follows() {
        // Ten characters and the ellipsis.
        for (text, most, lines) in [
            ("", 2, vec![""]),
            ("one two", 2, vec!["one two"]),
            ("one two three", 2, vec!["one two", "three"]),
            ("one two three four five", 2, vec!["one two", "three four…"]),
            ("0123456789ab", 3, vec!["0123456789", "ab"]),
            ("a 0123456789ab", 3, vec!["a 01234567", "89ab"]),
            ("0123456789ab", 1, vec!["0123456789…"]),
            ("日本語日本語日本語", 9, vec!["日本語日本", "語日本語"]),
        ] {
            let wrapped = wrap(text, MONO, 69, most);
            assert_eq!(wrapped, lines, "{text}");
            for line in &wrapped {
                assert!(width(line, MONO) <= 69, "{line}");
            }
        }
    }

    #[test]
    fn a_text_without_an_end_takes_no_time() {
        let text = "x".repeat(1_000_000);
        assert_eq!(wrap(&text, MONO, 69, 3).len(), 3);
        assert!(width(&text, MONO) > 0);
    }
}
